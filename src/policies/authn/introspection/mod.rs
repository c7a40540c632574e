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
mod lists;
mod member;
mod patience;
pub mod refusals;
mod request;
mod response;
mod server;
mod servers;
mod settings;
mod written;

use std::rc::Rc;

use self::refusals::{
    CODES, INSUFFICIENT, MISSING, NO_TOKEN, SEVERAL_TOKENS, malformed, resembling,
};
pub(in crate::authn) use self::server::IntrospectionServer;
use self::server::Unreported;
use super::challenge::{Challenges, read_metadata, read_realm};
use super::combination::{Combination, Needed, Presence};
use super::jwt::bound::{SentToken, Shown, TokenChallenges, tell_nonce};
use super::left_out::unless_left_out;
use super::location::Locations;
use super::member::{About, Member};
use super::presented::{AuthScheme, PresentedCredential, Unwritable};
use super::requirement::Requirement;
use super::{AcceptedCredential, Authenticator, Heard, NotAccepted, heard, settle};
use crate::authn::roles::RoleRules;
use portcullis_document::Fields;
use portcullis_exchange::exchange::{Edit, Exchange, Response};
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
    challenges: TokenChallenges,
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
    let demands = vec![demand];
    let challenges = ServerRequirement::challenges_of_all(&demands, &about)?;
    let policy = Introspection {
        combination: Combination::new(Needed::Any, presence?, demands, challenges),
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
        if !self.server.lets_pass_unknown() || self.needs_more() {
            return Err(refusal.into());
        }
        exchange.shadow.push(refusal);
        // Nobody has judged the token or a proof that came with it, and a service would take what it gets from us
        // for something that has been judged: both are taken out, whatever `forward` says.
        let came_with = match found.scheme() {
            AuthScheme::Dpop if self.server.binding.takes_proofs() => Shown::Proof,
            AuthScheme::Dpop | AuthScheme::Other => Shown::Nothing,
        };
        self.take_out(found, came_with, &mut exchange.edits)?;
        Ok(AcceptedCredential {
            principal: None,
            edits: Rc::from([]),
        })
    }

    /// Whether a token must be more than active: what it must grant, and be bound to, is not known of one of
    /// which nothing is known.
    fn needs_more(&self) -> bool {
        !self.requirement.is_empty() || self.server.binding.is_demanded()
    }

    fn strip(
        &self,
        found: &PresentedCredential<'_>,
        shown: Shown,
        edits: &mut Vec<Edit>,
    ) -> Result<(), Refusal> {
        match self.server.forwarding.forwards_token() {
            true => Ok(()),
            false => self.take_out(found, shown, edits),
        }
    }

    fn take_out(
        &self,
        found: &PresentedCredential<'_>,
        shown: Shown,
        edits: &mut Vec<Edit>,
    ) -> Result<(), Refusal> {
        let stripped = found.strip(edits);
        stripped.map_err(|Unwritable| self.attach(malformed("characters"), found.scheme()))?;
        self.server.binding.strip(shown, edits);
        Ok(())
    }

    /// With what a client is to do that has sent a token so.
    fn attach(&self, refusal: Refusal, scheme: AuthScheme) -> Refusal {
        let scopes = || self.requirement.scopes();
        let binding = &self.server.binding;
        self.challenges.attach(refusal, scheme, binding, scopes)
    }
}

impl Authenticator for ServerRequirement {
    type Attempt<'c> = ();
    const MISSING: &'static Reason = &NO_TOKEN;
    const SEVERAL: &'static Reason = &SEVERAL_TOKENS;

    fn authority(&self) -> (CredentialKind, Rc<str>) {
        (CredentialKind::Introspection, Rc::clone(&self.server.name))
    }

    fn roles(&self) -> &RoleRules {
        &self.server.roles
    }

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
        let (token, scheme) = (found.token(), found.scheme());
        let attach = |refusal| self.attach(refusal, scheme);
        let reported = match self.server.judge(token, exchange, host) {
            Ok(reported) => reported,
            Err(Unreported::Rejected(refusal)) => return Err(attach(refusal).into()),
            Err(Unreported::Failed(error)) => {
                let refusal = self.server.placed(error.into());
                if !error.is_of_server() {
                    return Err(refusal.into());
                }
                return self.unknown(found, refusal, exchange);
            }
            Err(Unreported::Asks(asking)) => return Err(NotAccepted::Asks(asking)),
        };
        let sent = SentToken {
            token,
            scheme,
            lists: &self.server.lists,
        };
        let binding = &self.server.binding;
        let shown = binding.check(&sent, &reported.claims, exchange, host);
        let principal = Principal {
            kind: CredentialKind::Introspection,
            authority: Rc::clone(&self.server.name),
            attributes: reported.claims,
            roles: reported.roles,
        };
        let shown = shown.map_err(|mut refusal| {
            let detail = refusal.detail.get_or_insert_default();
            detail.principal = Some(principal.clone());
            attach(self.server.placed_in(refusal, "bound"))
        })?;
        let sufficient =
            self.requirement
                .met(principal, &exchange.request, &self.at, &INSUFFICIENT);
        let principal = sufficient.map_err(attach)?;
        self.strip(found, shown, &mut exchange.edits)?;
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
        self.challenges.plain()
    }
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

    fn edit_response(&self, response: &mut Response<'_>, _: &dyn Host) {
        tell_nonce(response);
    }

    fn declares(&self) -> Declaration {
        let mut declared = Declaration {
            asks_for: Some(self.combination.asked()),
            ..Declaration::default()
        };
        for member in self.combination.members() {
            member.declare(&mut declared);
            let judged = member.server.locations.header_names();
            declared.judged_request_headers.extend(judged);
        }
        declared
    }
}
