//! Opaque tokens: who calls, as the server says that issued them (RFC 7662).
//!
//! A token is a name for what the server knows, and nothing can be read from it. So it is asked, and the
//! request waits; what it says is judged by the rules that claims of a JWT are judged by, and remembered
//! for a while. Requests that come meanwhile with the same token wait for the same answer.
//!
//! INVARIANT: a server that does not answer, or not so as the standard has it, has said nothing of a token.
//! What becomes of the request is what the document says (`on_error`), and never what the answer looks like.

mod cache;
mod form;
mod patience;
pub mod refusals;
mod request;
mod response;
mod server;
mod servers;
mod settings;

use std::rc::Rc;

use self::refusals::{
    CODES, INSUFFICIENT, MISSING, NO_TOKEN, REPEATED, SEVERAL_TOKENS, malformed, resembling,
};
use self::server::{IntrospectionServer, Unreported};
use super::challenge::{
    Challenges, metadata_parameter, plain_challenge, read_metadata, read_realm,
};
use super::combination::{Combination, Needed, Presence};
use super::left_out::unless_left_out;
use super::location::{Locations, PresentedCredential, Unwritable};
use super::member::{About, Member, TokenShape};
use super::requirement::Requirement;
use super::{AcceptedCredential, Authenticator, Heard, NotAccepted, heard, settle};
use portcullis_document::{DidYouMean, Fields, Node, Pointer, Problems, Quoted};
use portcullis_exchange::exchange::{Edit, Exchange};
use portcullis_exchange::host::Host;
use portcullis_exchange::policy::{
    ChainPart, Compile, Context, Declaration, Policy, PolicyKind, Role, Stage, Verdict,
};
use portcullis_exchange::principal::{CredentialKind, Principal};
use portcullis_exchange::refusal::{Reason, Refusal, Selector};
use portcullis_exchange::wait::Wake;

pub(in crate::authn) use self::form::{is_opaque, is_signed_jwt};
pub use self::servers::IntrospectionServers;

/// `introspection: { server, require, optional, realm, resource_metadata }`.
pub const KIND: PolicyKind = PolicyKind {
    name: "introspection",
    role: Role::Authenticates,
    codes: CODES,
    compile: Compile::Object(unless_left_out(compile)),
    rules: &[(Selector::Code(&MISSING), "server")],
};

/// Asks for a token, and for what it must grant.
struct Introspection {
    combination: Combination<ServerRequirement>,
}

/// A token of one server, and what it must grant.
pub(super) struct ServerRequirement {
    /// Where it stands in the block, if it is one of several.
    at: String,
    server: Rc<IntrospectionServer>,
    requirement: Requirement,
    challenges: Challenges,
}

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    let metadata = read_metadata(fields, context);
    let realm = fields.or_default("realm", "api", context.problems, read_realm);
    let presence = Presence::read(fields, context.problems);
    // What stands beside a realm that is wrong is read all the same.
    let about = About {
        at: "",
        realm: realm.unwrap_or("api"),
        metadata: metadata.as_deref().unwrap_or_default(),
        beside: "",
    };
    // A server whose own block is wrong has been reported there.
    let demand = ServerRequirement::read(fields, &about, context)??;
    realm?;
    metadata.as_ref()?;
    let challenges = ServerRequirement::challenges(&about, "")?;
    let policy = Introspection {
        combination: Combination::new(Needed::Any, presence?, vec![demand], challenges),
    };
    Some(ChainPart::only(Stage::Credentials, policy))
}

impl ServerRequirement {
    /// What comes of a token that nobody can tell anything about.
    fn unknown(
        &self,
        found: &PresentedCredential<'_>,
        refusal: Refusal,
        exchange: &mut Exchange<'_>,
    ) -> Result<AcceptedCredential, NotAccepted> {
        // What a token must grant is not granted by one of which nothing is known.
        if !self.server.lets_pass_unknown() || !self.requirement.is_empty() {
            return Err(refusal.into());
        }
        exchange.shadow.push(refusal);
        self.strip(found, &mut exchange.edits)?;
        Ok(AcceptedCredential {
            principal: None,
            edits: Rc::from([]),
        })
    }

    fn strip(&self, found: &PresentedCredential<'_>, edits: &mut Vec<Edit>) -> Result<(), Refusal> {
        if self.server.forwarding.forwards_token() {
            return Ok(());
        }
        let stripped = found.strip(edits);
        stripped.map_err(|Unwritable| self.challenges.attach(malformed("characters")))
    }
}

impl Member for ServerRequirement {
    const NAME: &'static str = "introspection";

    fn read(
        fields: &mut Fields<'_>,
        about: &About<'_>,
        context: &mut Context<'_>,
    ) -> Option<Option<Self>> {
        let servers = context.sections.get::<IntrospectionServers>();
        let problems = &mut *context.problems;
        let server = fields
            .required("server", problems)
            .and_then(|node| named_server(&node, &servers, problems));
        let requirement = fields.or_default(
            "require",
            Requirement::default(),
            problems,
            Requirement::read,
        );
        let (server, requirement) = (server?, requirement?);
        let challenges = Self::challenges(about, &requirement.scopes())?;
        if let Some(server) = &server
            && server.lets_pass_unknown()
            && !requirement.is_empty()
        {
            context.notes.push(format!(
                "{}{}: `on_error: allow` of introspection server {} lets nothing pass here, since a token must grant what `require` says",
                fields.pointer(),
                about.at,
                Quoted(&server.name)
            ));
        }
        Some(server.map(|server| Self {
            at: about.at.to_owned(),
            server,
            requirement,
            challenges,
        }))
    }

    fn challenge_alone(about: &About<'_>) -> Option<String> {
        let challenge = plain_challenge("Bearer", about.realm);
        Some(challenge + &metadata_parameter(about.metadata))
    }

    fn challenges(about: &About<'_>, scopes: &str) -> Option<Challenges> {
        let own = Challenges::bearer(&REPEATED, about.realm, scopes)?;
        own.with_metadata(about.metadata)?.beside(about.beside)
    }

    fn shape(members: &[Self]) -> TokenShape {
        match members.iter().any(|each| each.server.asks_about_jwts()) {
            true => TokenShape::Any,
            false => TokenShape::Opaque,
        }
    }

    fn declare(&self, declared: &mut Declaration) {
        let forwarding = &self.server.forwarding;
        declared
            .owned_request_headers
            .extend(forwarding.owned_headers());
        declared.exports.extend(forwarding.exports());
    }
}

impl Authenticator for ServerRequirement {
    type Attempt<'c> = ();
    const MISSING: &'static Reason = &NO_TOKEN;
    const SEVERAL: &'static Reason = &SEVERAL_TOKENS;

    fn locations(&self) -> &Locations {
        &self.server.locations
    }

    fn attempt(_: &[u8], _: &mut dyn Iterator<Item = &Self>) {}

    /// A token does not say whose it is.
    fn may_have_issued(&self, (): &()) -> bool {
        true
    }

    fn authenticate(
        &self,
        found: &PresentedCredential<'_>,
        (): &(),
        exchange: &mut Exchange<'_>,
        host: &dyn Host,
    ) -> Result<AcceptedCredential, NotAccepted> {
        let attach = |refusal| self.challenges.attach(refusal);
        let reported = match self.server.judge(found.token(), exchange, host) {
            Ok(reported) => reported,
            Err(Unreported::Rejected(refusal)) => return Err(attach(refusal).into()),
            Err(Unreported::Failed(error)) => {
                let refusal = self.server.placed(error.into());
                if !error.is_of_server() {
                    return Err(refusal.into());
                }
                let unknown = self.unknown(found, refusal, exchange)?;
                // The service would take a token that it gets from us for one that has been judged.
                if self.server.forwarding.forwards_token() {
                    let stripped = found.strip(&mut exchange.edits);
                    stripped.map_err(|Unwritable| attach(malformed("characters")))?;
                }
                return Ok(unknown);
            }
            Err(Unreported::Asks(asking)) => return Err(NotAccepted::Asks(asking)),
        };
        let principal = Principal {
            kind: CredentialKind::Introspection,
            authority: Rc::clone(&self.server.name),
            attributes: reported.claims,
        };
        let sufficient =
            self.requirement
                .met(principal, &exchange.request, &self.at, &INSUFFICIENT);
        let principal = sufficient.map_err(attach)?;
        self.strip(found, &mut exchange.edits)?;
        Ok(AcceptedCredential {
            principal: Some(principal),
            edits: reported.edits,
        })
    }

    fn heard(&self, answer: &Heard<'_>, exchange: &mut Exchange<'_>, host: &dyn Host) {
        let request = exchange.request;
        if let Ok(found) = self.server.locations.find(&request) {
            self.server.heard(found.token(), answer, exchange, host);
        }
    }

    /// Whoever is asked first says so itself.
    fn not_issued(by: &[&Self], (): &(), _: &Exchange<'_>) -> Refusal {
        let refusal = Refusal::new(&refusals::INACTIVE);
        match by {
            [one] => one.server.placed(refusal),
            _ => refusal,
        }
    }

    fn resembling(place: &str) -> Refusal {
        resembling(place)
    }

    fn challenge(&self) -> &Challenges {
        &self.challenges
    }
}

/// The server, or `Some(None)` when its own block is wrong and has been reported there.
fn named_server(
    node: &Node<'_>,
    servers: &IntrospectionServers,
    problems: &mut Problems,
) -> Option<Option<Rc<IntrospectionServer>>> {
    let name = node.non_empty(problems)?;
    let found = servers.named(name);
    let none_is_read = servers.names().next().is_none();
    let is_amiss = none_is_read && problems.is_amiss(&Pointer::default(), "introspection_servers");
    if found.is_none() && !is_amiss {
        let near = DidYouMean(name, servers.names());
        node.report(
            problems,
            format_args!("no introspection server is named {}{near}", Quoted(name)),
        );
    }
    found
}

impl Policy for Introspection {
    fn check_request(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        settle(exchange, |exchange| self.combination.judge(exchange, host))
    }

    fn resume(&self, wake: Wake<'_>, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        if let Some(answer) = heard(&wake) {
            self.combination.heard(answer, exchange, host);
        }
        self.check_request(exchange, host)
    }

    fn declares(&self) -> Declaration {
        let mut declared = Declaration::default();
        for member in self.combination.members() {
            member.declare(&mut declared);
            let judged = member.server.locations.header_names();
            declared.judged_request_headers.extend(judged);
        }
        declared
    }
}
