//! Signed requests: who asks, proven by a signature over the request itself.
//!
//! A webhook has an HMAC over its raw body; a message signature covers parts of the head, and with the digest
//! of the body that too. INVARIANT: the body is judged byte for byte as it came, never what a
//! parser makes of it, and its end is let through only when all of it has been judged. Before that nothing
//! is known of the sender: nobody calls, and no message is taken to have been used.

mod client;
mod message;
mod period;
pub mod refusals;
mod replay;
mod replays;
mod shared_secret;
mod signer;
mod signers;
mod unsettled;
mod webhook;

use std::rc::Rc;

use portcullis_document::Fields;
use portcullis_exchange::body::{Inspection, RequestBody};
use portcullis_exchange::exchange::{BodyState, Edit, Exchange, Facts};
use portcullis_exchange::host::Host;
use portcullis_exchange::policy::{
    ChainPart, Compile, Context, Declaration, Policy, PolicyKind, Role, Stage, Verdict,
};
use portcullis_exchange::principal::{CredentialKind, Principal};
use portcullis_exchange::refusal::{Refusal, Selector};
use portcullis_wire::json::compact::Value;

use self::client::SigningClient;
use self::message::SignedBody;
use self::period::Period;
use self::refusals::{
    AGAIN, BODY_TOO_LARGE, CHECK, CODES, DIGEST, INSUFFICIENT, INVALID, LISTED_AS_REVOKED, MEMORY,
    MISMATCH, MISSING, NO_REVOCATIONS, NO_SIGNATURE, REPLAYS_FULL, SECRET, UPGRADE,
};
use self::signer::{SignatureScheme, Signer};
use self::unsettled::{BodyCheck, Claim, UnsettledSignature};
use self::webhook::MacResult;
use super::challenge::{Challenges, read_realm};
use super::combination::Presence;
use super::left_out::unless_left_out;
use super::requirement::Requirement;
use super::revocation::{Revocable, RevocationObjection};
use crate::payload::head::is_upgrade;

pub use self::signers::Signers;

/// `signed_request: { signer, require, optional, realm, head }`.
pub const KIND: PolicyKind = PolicyKind {
    name: "signed_request",
    role: Role::Seals,
    codes: CODES,
    compile: Compile::Object(unless_left_out(compile)),
    rules: &[(Selector::Code(&MISSING), "signer")],
};

/// Asks for a signature by one signer.
struct SignedRequest {
    signer: Rc<Signer>,
    requirement: Requirement,
    presence: Presence,
    challenges: Challenges,
}

/// Whether a head may go ahead of a body by which alone its sender is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HeadFate {
    Held,
    Ahead,
}

/// The scheme in `WWW-Authenticate`. There is no registered one.
const SCHEME: &str = "Signature";

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    let signers = context.sections.get::<Signers>();
    let inspection = context.inspection;
    let problems = &mut *context.problems;
    let realm = fields.or_default("realm", "api", problems, read_realm);
    let presence = Presence::read(fields, problems);
    let signer = fields
        .required("signer", problems)
        .and_then(|node| signers.named(&node, problems));
    let requirement = fields.or_default(
        "require",
        Requirement::default(),
        problems,
        Requirement::read,
    );
    let head = fields.or_default("head", HeadFate::Held, problems, |node, problems| {
        node.choice(
            problems,
            &[("held", HeadFate::Held), ("ahead", HeadFate::Ahead)],
        )
    });
    // One whose own block is wrong has been reported there.
    let (signer, head) = (signer??, head?);
    if signer.needs_body() && inspection == Inspection::Stream {
        if head == HeadFate::Held {
            problems.report(
                fields.pointer(),
                "who signed is known from the body alone, and heads go ahead of bodies here: say `body_inspection: hold_headers` at the top of the document, or `head: ahead` where a service does nothing before it has the whole body",
            );
            return None;
        }
        if !signer.forwarding.owned_headers().is_empty() || !signer.forwarding.exports().is_empty()
        {
            problems.report(
                fields.pointer(),
                "with `head: ahead` the head would tell of a client that is not proven yet: take `claim_to_headers` and `claim_to_filter_state` out of the signer, or say `body_inspection: hold_headers`",
            );
            return None;
        }
    } else if head == HeadFate::Ahead {
        problems.report(
            &fields.pointer().member("head"),
            "says nothing here: heads are held until bodies have been judged (`body_inspection`), or tell who signed; take it out",
        );
        return None;
    }
    let policy = SignedRequest {
        signer,
        requirement: requirement?,
        presence: presence?,
        challenges: Challenges::plain(&INVALID, SCHEME, realm?)?,
    };
    Some(ChainPart::only(Stage::Credentials, policy))
}

impl SignedRequest {
    fn judge_head(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Result<Verdict, Refusal> {
        let request = exchange.request;
        let signer = &*self.signer;
        if !signer.is_presented(request.headers) {
            return match self.presence {
                Presence::Required => Err(Refusal::new(&NO_SIGNATURE)),
                Presence::Optional => Ok(Verdict::Pass),
            };
        }
        if is_upgrade(request.headers) {
            return Err(Refusal::new(&UPGRADE));
        }
        let period = Period::new(exchange.arrived, signer.tolerance);
        let check = match &signer.scheme {
            SignatureScheme::Webhook(webhook, client) => {
                let head = webhook.judge_head(request.headers, &period, host)?;
                let claim = Claim {
                    client: self.met(client, exchange, host),
                    until: head.until,
                    now: period.now,
                };
                self.edit(client, &mut exchange.edits);
                BodyCheck::Mac(head.check, claim)
            }
            SignatureScheme::Message(message) => {
                let (headers, rest) = (request.headers, exchange.body);
                let signed = message.judge_head(headers, rest, &period, host)?;
                let principal = self.met(signed.client, exchange, host)?;
                let until = Some(signed.until);
                let replays = &signer.replays;
                replays.note(&signed.identity, until, period.now, host)?;
                exchange.facts.principal.get_or_insert(principal);
                self.edit(signed.client, &mut exchange.edits);
                match signed.body {
                    SignedBody::Any => return Ok(Verdict::Pass),
                    SignedBody::Empty => BodyCheck::Empty,
                    SignedBody::Digest(check) => BodyCheck::Digest(check),
                }
            }
        };
        if exchange.body == BodyState::Complete {
            self.settle(check, exchange.facts, host)?;
            return Ok(Verdict::Pass);
        }
        let need = check.need(signer.max_bytes);
        let unsettled = UnsettledSignature::new(check);
        let unsettled = unsettled.ok_or_else(|| Refusal::new(&MEMORY))?;
        exchange.facts.unsettled_signature = Some(Box::new(unsettled));
        Ok(Verdict::AwaitBody(need))
    }

    /// Who would have signed, if no list revokes them and they are granted what is needed. Nobody is told before
    /// it is known that they have.
    fn met(
        &self,
        client: &SigningClient,
        exchange: &Exchange<'_>,
        host: &dyn Host,
    ) -> Result<Principal, Refusal> {
        self.check_lists(client, host)?;
        let principal = Principal {
            kind: CredentialKind::SignedRequest,
            authority: Rc::clone(&self.signer.name),
            attributes: client.facts.clone(),
        };
        let request = &exchange.request;
        self.requirement.met(principal, request, "", &INSUFFICIENT)
    }

    fn check_lists(&self, client: &SigningClient, host: &dyn Host) -> Result<(), Refusal> {
        let name = client.facts.member("client").and_then(Value::as_str);
        let revocable = Revocable {
            subject: name,
            clients: [name, None],
            ..Revocable::default()
        };
        let checked = self.signer.lists.check(&revocable, host);
        checked.map_err(|objection| match objection {
            RevocationObjection::Revoked(detail) => {
                Refusal::new(&LISTED_AS_REVOKED).because(detail)
            }
            RevocationObjection::Missing(detail) => Refusal::new(&NO_REVOCATIONS).because(detail),
        })
    }

    /// What becomes of the head. It goes on only if the request does.
    fn edit(&self, client: &SigningClient, edits: &mut Vec<Edit>) {
        if !self.signer.forwarding.forwards_token() {
            let names = self.signer.signature_headers().into_iter();
            edits.extend(names.map(Edit::Remove));
        }
        edits.extend(client.edits.iter().cloned());
    }

    fn judge_body(&self, body: &mut RequestBody<'_>, host: &dyn Host) -> Result<Verdict, Refusal> {
        let unsettled = body.facts.unsettled_signature.take();
        let unsettled = unsettled.and_then(|any| any.downcast::<UnsettledSignature>().ok());
        // Nobody takes it out. Without it nothing has been judged.
        let mut unsettled = unsettled.ok_or_else(|| Refusal::new(&CHECK))?;
        unsettled.advance(body, self.signer.max_bytes)?;
        if body.progress.state == BodyState::Open {
            body.facts.unsettled_signature = Some(unsettled);
            return Ok(Verdict::AwaitBody(body.need));
        }
        self.settle(unsettled.check, body.facts, host)?;
        Ok(Verdict::Pass)
    }

    /// Judges a message of which all is there.
    fn settle(&self, check: BodyCheck, facts: &mut Facts, host: &dyn Host) -> Result<(), Refusal> {
        let (check, claim) = match check {
            BodyCheck::Empty => return Ok(()),
            BodyCheck::Digest(check) => {
                return match check.end() {
                    true => Ok(()),
                    false => Err(Refusal::new(&DIGEST)),
                };
            }
            BodyCheck::Mac(check, claim) => (check, claim),
        };
        let tag = match check.end() {
            MacResult::Valid(tag) => tag,
            MacResult::Invalid => return Err(Refusal::new(&MISMATCH)),
            MacResult::Impossible => return Err(Refusal::new(&SECRET)),
        };
        let principal = claim.client?;
        let replays = &self.signer.replays;
        replays.note(&tag, claim.until, claim.now, host)?;
        facts.principal.get_or_insert(principal);
        Ok(())
    }

    /// The refusal, with where its rule stands and what to send instead.
    fn refuse(&self, refusal: Refusal) -> Verdict {
        let reason = refusal.reason;
        let field = match reason {
            _ if reason.code == &MISSING => {
                return Verdict::Refuse(self.challenges.attach(refusal));
            }
            _ if *reason == AGAIN || *reason == REPLAYS_FULL => "replay",
            _ if *reason == LISTED_AS_REVOKED || *reason == NO_REVOCATIONS => "revocation_lists",
            _ if *reason == BODY_TOO_LARGE => "max_bytes",
            _ if *reason == MISMATCH || *reason == SECRET => "secrets",
            _ if *reason.code == INVALID => "message_signatures",
            _ if *reason.code == refusals::EXPIRED => "tolerance",
            _ => "",
        };
        let is_grant =
            [&refusals::INSUFFICIENT_SCOPE, &refusals::CLAIM_NOT_ALLOWED].contains(&reason.code);
        let refusal = match is_grant {
            true => refusal,
            false => refusal.placed(
                &self.signer.place,
                Some(field).filter(|field| !field.is_empty()),
            ),
        };
        Verdict::Refuse(self.challenges.attach(refusal))
    }
}

impl Policy for SignedRequest {
    fn check_request(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        let judged = self.judge_head(exchange, host);
        judged.unwrap_or_else(|refusal| self.refuse(refusal))
    }

    fn request_body(&self, body: &mut RequestBody<'_>, host: &dyn Host) -> Verdict {
        let judged = self.judge_body(body, host);
        judged.unwrap_or_else(|refusal| self.refuse(refusal))
    }

    fn declares(&self) -> Declaration {
        let forwarding = &self.signer.forwarding;
        Declaration {
            owned_request_headers: forwarding.owned_headers(),
            judged_request_headers: self.signer.judged_headers(),
            exports: forwarding.exports(),
            ..Declaration::default()
        }
    }
}
