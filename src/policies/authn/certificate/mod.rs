//! Client certificates: who asks, proven to the proxy by a TLS handshake.
//!
//! The proxy verifies them, and this filter believes it: of the connection that it has, or of what proxies in
//! front have written into a header field, where the document says that they do. Whose certificate it is,
//! the document says.

mod client;
mod names;
pub mod refusals;
pub(super) mod set;
mod source;
mod spiffe;

use std::rc::Rc;

use crate::authn::roles::RoleRules;
use portcullis_document::Fields;
use portcullis_exchange::exchange::{Edit, Exchange, Request};
use portcullis_exchange::host::Host;
use portcullis_exchange::policy::{
    ChainPart, Compile, Context, Declaration, PolicyKind, Role, Stage,
};
use portcullis_exchange::principal::{CredentialKind, Principal};
use portcullis_exchange::refusal::{Detail, Fact, Reason, Refusal, Selector};
use portcullis_wire::json::compact::{Compact, Value};

use self::refusals::{
    CLAIM_VALUE, CODES, FORMAT, INSUFFICIENT, LISTED_AS_REVOKED, MISSING, NO_CERTIFICATE, NO_ENTRY,
    NO_REVOCATIONS, REPEATED, ROLES, SEVERAL_CERTIFICATES,
};
use self::set::CertificateSet;
use self::source::{Certificate, CertificateSource};
use super::challenge::Challenges;
use super::combination::{Needed, Presence};
use super::left_out::unless_left_out;
use super::location::{LocationError, Locations};
use super::member::{About, Member, kin};
use super::mixed::Mixed;
use super::presented::{PresentedCredential, Unwritable};
use super::requirement::Requirement;
use super::revocation::{Revocable, RevocationObjection, UsedLists};
use super::{AcceptedCredential, Authenticator, NotAccepted};

pub use self::set::CertificateSets;

/// `certificate: { set, require, optional }`.
pub const KIND: PolicyKind = PolicyKind {
    name: "certificate",
    role: Role::Authenticates,
    codes: CODES,
    compile: Compile::Object(unless_left_out(compile)),
    rules: &[(Selector::Code(&MISSING), "set")],
};

/// A certificate of one set, and what its client must be granted.
pub(super) struct CertificateRequirement {
    /// Where it stands in the block, if it is one of several.
    at: String,
    set: Rc<CertificateSet>,
    requirement: Requirement,
    challenges: Challenges,
}

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    let presence = Presence::read(fields, context.problems);
    let about = About {
        at: "",
        realm: "",
        metadata: "",
        beside: "",
    };
    let member = CertificateRequirement::read(fields, &about, context)??;
    let kinds = vec![kin(vec![(0, member)], &about)?];
    let missing = (&NO_CERTIFICATE, Challenges::none(&REPEATED)?);
    let policy = Mixed::new(Needed::Any, presence?, kinds, 1, missing);
    Some(ChainPart::only(Stage::Credentials, policy))
}

impl Member for CertificateRequirement {
    const NAME: &'static str = "certificate";
    const EXAMPLE: &'static str = "{\"set\": \"…\"}";

    /// Reads `set` and `require`.
    fn read(
        fields: &mut Fields<'_>,
        about: &About<'_>,
        context: &mut Context<'_>,
    ) -> Option<Option<Self>> {
        let sets = context.sections.get::<CertificateSets>();
        let path = &context.route_path();
        let problems = &mut *context.problems;
        let set = fields
            .required("set", problems)
            .and_then(|node| sets.by_name.asked(&node, problems));
        let named = set.as_ref().and_then(Option::as_deref);
        let requirement = Requirement::beside(fields, named.map(|set| &set.roles), path, problems);
        let (set, requirement) = (set?, requirement?);
        let challenges = Self::challenges(about, "")?;
        Some(set.map(|set| Self {
            at: about.at.to_owned(),
            set,
            requirement,
            challenges,
        }))
    }

    fn challenge_alone(_: &About<'_>) -> Option<String> {
        None
    }

    fn challenges(about: &About<'_>, _: &str) -> Option<Challenges> {
        Challenges::none(&REPEATED)?.beside(about.beside)
    }

    fn declare(&self, declared: &mut Declaration) {
        self.requirement.declare(declared);
        let forwarding = &self.set.forwarding;
        declared
            .owned_request_headers
            .extend(forwarding.owned_headers());
        declared.exports.extend(forwarding.exports());
    }

    fn take_out(&self, edits: &mut Vec<Edit>) {
        if !self.set.forwarding.forwards_token() {
            self.set.source.take_out(edits);
        }
    }
}

impl Authenticator for CertificateRequirement {
    type Attempt<'c> = ();
    const MISSING: &'static Reason = &NO_CERTIFICATE;
    const SEVERAL: &'static Reason = &SEVERAL_CERTIFICATES;

    fn authority(&self) -> (CredentialKind, Rc<str>) {
        (CredentialKind::Certificate, Rc::clone(&self.set.name))
    }

    fn roles(&self) -> &RoleRules {
        &self.set.roles
    }

    fn locations(&self) -> &Locations {
        &self.set.locations
    }

    /// A connection has one or none. A field may tell of proxies alone: then the client had none.
    fn extract<'r>(
        &'r self,
        request: &Request<'r>,
        host: &dyn Host,
    ) -> Result<PresentedCredential<'r>, LocationError> {
        match &self.set.source {
            CertificateSource::Connection(_) if CertificateSource::is_presented(host) => {
                Ok(PresentedCredential::of_connection())
            }
            CertificateSource::Connection(_) => Err(LocationError::Missing),
            CertificateSource::Header(forwarded) => {
                let found = self.set.locations.find(request)?;
                match forwarded.tells(found.token()) {
                    true => Ok(found),
                    false => Err(LocationError::Missing),
                }
            }
        }
    }

    fn attempt(_: &[u8], _: &mut dyn Iterator<Item = &Self>) {}

    /// A certificate does not say of which set it is.
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
        let set = &*self.set;
        let refuse = |refusal: Refusal, field| {
            let refusal = refusal.placed(&set.place, Some(field));
            self.challenges.attach(refusal)
        };
        let certificate = set.source.certificate(found.token(), set.asked, host);
        let certificate = certificate.map_err(|refusal| refuse(refusal, "source"))?;
        let facts = set.facts(&certificate);
        let no_entry = || refuse(Refusal::new(&NO_ENTRY), "clients");
        let (facts, roles) = facts.ok_or_else(no_entry)?;
        let listed = check_lists(set, &certificate, &facts, host);
        listed.map_err(|refusal| refuse(refusal, "revocation_lists"))?;
        let roles =
            roles.map_err(|detail| refuse(Refusal::new(&ROLES).because(detail), "roles"))?;
        let edits = set.forwarding.edits(&facts);
        let edits =
            edits.map_err(|Unwritable| refuse(Refusal::new(&CLAIM_VALUE), "claim_to_headers"))?;
        let principal = Principal {
            kind: CredentialKind::Certificate,
            authority: Rc::clone(&set.name),
            attributes: facts,
            roles,
        };
        let (request, at) = (&exchange.request, &*self.at);
        let met = self.requirement.met(principal, request, at, &INSUFFICIENT);
        Ok(AcceptedCredential {
            principal: Some(met.map_err(|refusal| self.challenges.attach(refusal))?),
            edits: edits.into(),
        })
    }

    fn not_issued(_: &[&Self], (): &(), _: &Exchange<'_>) -> Refusal {
        Refusal::new(&NO_ENTRY)
    }

    /// Some services take one field for the other.
    fn resembling(_: &str) -> Refusal {
        Refusal::new(&FORMAT)
    }

    fn challenge(&self) -> &Challenges {
        &self.challenges
    }
}

/// Whether no list revokes a certificate of that client.
fn check_lists(
    set: &CertificateSet,
    certificate: &Certificate<'_>,
    facts: &Compact,
    host: &dyn Host,
) -> Result<(), Refusal> {
    let lists = &set.lists;
    if lists.is_empty() {
        return Ok(());
    }
    let hash = certificate.sha256.as_deref();
    // One whose hash nobody has told may be any of those that are revoked.
    if hash.is_none() && lists.name_certificates(host) {
        let detail = Detail::default().and("fault", Fact::Word("missing"));
        return Err(Refusal::new(&NO_REVOCATIONS).because(detail));
    }
    let text = |name| facts.member(name).and_then(Value::as_str);
    let revocable = Revocable {
        subject: text("sub"),
        clients: [text("client"), None],
        certificate: hash,
        ..Revocable::default()
    };
    lists.check(&revocable, host).map_err(refusal)
}

/// Whether none of these lists revokes the certificate with that SHA-256, of whose client nothing is known.
pub(super) fn unless_revoked(
    lists: &UsedLists,
    sha256: &str,
    host: &dyn Host,
) -> Result<(), Refusal> {
    let revocable = Revocable {
        certificate: Some(sha256),
        ..Revocable::default()
    };
    lists.check(&revocable, host).map_err(refusal)
}

fn refusal(objection: RevocationObjection) -> Refusal {
    match objection {
        RevocationObjection::Revoked(detail) => Refusal::new(&LISTED_AS_REVOKED).because(detail),
        RevocationObjection::Missing(detail) => Refusal::new(&NO_REVOCATIONS).because(detail),
    }
}
