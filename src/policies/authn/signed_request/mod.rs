//! Signed requests: who asks, proven by a signature over the request itself.
//!
//! A webhook has an HMAC over its raw body; a message signature covers parts of the head, and with the digest
//! of the body that too. INVARIANT: the body is judged byte for byte as it came, never what a
//! parser makes of it, and its end is let through only when all of it has been judged. Before that nothing
//! is known of the sender: nobody calls, and no message is taken to have been used.

mod acceptance;
mod alike;
mod block;
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

use std::hash::Hasher as _;
use std::rc::Rc;

use portcullis_exchange::body::{Inspection, RequestBody};
use portcullis_exchange::exchange::{BodyState, Edit, Exchange, Facts};
use portcullis_exchange::host::Host;
use portcullis_exchange::policy::{
    AskedCredentials, Compile, Declaration, Policy, PolicyKind, Role, Verdict,
};
use portcullis_exchange::principal::{CredentialKind, Principal};
use portcullis_exchange::refusal::{Refusal, Selector};
use portcullis_exchange::seed::Hashed;
use portcullis_wire::budget::{Share, reserve};
use portcullis_wire::headers::HeaderName;
use portcullis_wire::json::compact::Value;

use self::alike::has_alike;
use self::block::compile;
use self::client::SigningClient;
use self::message::SignedBody;
use self::period::Period;
use self::refusals::{
    AGAIN, BODY_TOO_LARGE, CHECK, CODES, DIGEST, INSUFFICIENT, INVALID, LISTED_AS_REVOKED, MEMORY,
    MISMATCH, MISSING, NO_REVOCATIONS, NO_SIGNATURE, REPEATED, REPLAYS_FULL, SECRET, UPGRADE,
};
use self::replay::Noting;
use self::signer::{SignatureScheme, Signer};
use self::unsettled::{BodyCheck, MessageMark, SignedTimes, UnsettledSignature};
use self::webhook::MacResult;
use super::challenge::Challenges;
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
    inspection: Inspection,
}

impl SignedRequest {
    fn judge_head(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Result<Verdict, Refusal> {
        let request = exchange.request;
        let signer = &*self.signer;
        if has_alike(
            request.headers,
            signer.judged.iter().map(HeaderName::as_str),
        ) {
            return Err(Refusal::new(&REPEATED));
        }
        if !signer.is_presented(request.headers) {
            return match self.presence {
                Presence::Required => Err(Refusal::new(&NO_SIGNATURE)),
                Presence::Optional => Ok(Verdict::Pass),
            };
        }
        if is_upgrade(request.headers) {
            return Err(Refusal::new(&UPGRADE));
        }
        let memory = reserve(Share::Streams, signer.memory_of_check());
        let memory = memory.ok_or_else(|| Refusal::new(&MEMORY))?;
        let period = Period::new(exchange.arrived, signer.tolerance);
        let new = |check, until| {
            let arrived = period.now;
            UnsettledSignature::new(check, SignedTimes { until, arrived }, memory)
        };
        let mut unsettled = match &signer.scheme {
            SignatureScheme::Webhook(webhook, client) => {
                let text = signer.replays.hasher(host);
                let head = webhook.judge_head(request.headers, &period, text, host)?;
                let client = self.edited(client, exchange, host);
                new(BodyCheck::Mac(head.check, Box::new(client)), head.until)
            }
            SignatureScheme::Message(message) => {
                let (headers, rest) = (request.headers, exchange.body);
                let signed = message.judge_head(headers, rest, &period, host)?;
                let principal = self.edited(signed.client, exchange, host)?;
                let check = match signed.body {
                    SignedBody::Any => BodyCheck::Done,
                    SignedBody::Empty => BodyCheck::Empty,
                    SignedBody::Digest(check) => BodyCheck::Digest(check),
                };
                let mut unsettled = new(check, Some(signed.until));
                let hasher = signer.replays.hasher(host);
                let message = hasher.map(|mut hasher| {
                    hasher.write(&signed.identity);
                    Hashed::of(&hasher)
                });
                let mark = unsettled.mark.insert(MessageMark(message));
                self.check_use(*mark, unsettled.message, Noting::Look, host)?;
                exchange.facts.principal.get_or_insert(principal);
                unsettled
            }
        };
        if exchange.body == BodyState::Complete {
            self.settle(&mut unsettled, exchange.facts, host)?;
        }
        let need = unsettled.check.need(signer.max_bytes);
        let is_settled = matches!(unsettled.check, BodyCheck::Done);
        exchange.facts.seldom_mut().unsettled_signature = Some(Box::new(unsettled));
        match is_settled {
            true => Ok(Verdict::Pass),
            false => Ok(Verdict::AwaitBody(need)),
        }
    }

    /// Who would have signed, if they are granted what is needed; what is to become of the head is noted.
    fn edited(
        &self,
        client: &SigningClient,
        exchange: &mut Exchange<'_>,
        host: &dyn Host,
    ) -> Result<Principal, Refusal> {
        let principal = self.met(client, exchange, host);
        self.edit(client, &mut exchange.edits);
        principal
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
            roles: client.roles.clone(),
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
        let unsettled = body.facts.seldom_mut().unsettled_signature.take();
        let unsettled = unsettled.and_then(|any| any.downcast::<UnsettledSignature>().ok());
        // Nobody takes it out. Without it nothing has been judged.
        let mut unsettled = unsettled.ok_or_else(|| Refusal::new(&CHECK))?;
        unsettled.advance(body, self.signer.max_bytes)?;
        if body.progress.state == BodyState::Open {
            body.facts.seldom_mut().unsettled_signature = Some(unsettled);
            return Ok(Verdict::AwaitBody(body.need));
        }
        self.settle(&mut unsettled, body.facts, host)?;
        body.facts.seldom_mut().unsettled_signature = Some(unsettled);
        Ok(Verdict::Pass)
    }

    /// Judges a message of which all is there. It may have been on its way for long.
    fn settle(
        &self,
        unsettled: &mut UnsettledSignature,
        facts: &mut Facts,
        host: &dyn Host,
    ) -> Result<(), Refusal> {
        let times = unsettled.message;
        match std::mem::replace(&mut unsettled.check, BodyCheck::Done) {
            BodyCheck::Done => Ok(()),
            BodyCheck::Empty => self.time_of(times, host).map(drop),
            BodyCheck::Digest(check) => match check.end() {
                true => self.time_of(times, host).map(drop),
                false => Err(Refusal::new(&DIGEST)),
            },
            BodyCheck::Mac(check, client) => {
                let message = match check.end() {
                    MacResult::Valid(message) => message,
                    MacResult::Invalid => return Err(Refusal::new(&MISMATCH)),
                    MacResult::Impossible => return Err(Refusal::new(&SECRET)),
                };
                let principal = (*client)?;
                let mark = MessageMark(message);
                self.check_use(mark, times, Noting::Look, host)?;
                unsettled.mark = Some(mark);
                facts.principal.get_or_insert(principal);
                Ok(())
            }
        }
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
        let judged = self.signer.judged.iter().cloned();
        let mut declared = Declaration {
            owned_request_headers: forwarding.owned_headers(),
            judged_request_headers: judged.collect(),
            asks_for: Some(AskedCredentials {
                authorities: vec![(CredentialKind::SignedRequest, Rc::clone(&self.signer.name))],
                roles: self.signer.roles.source().into_iter().collect(),
                needs_all: true,
                is_optional: self.presence == Presence::Optional,
            }),
            names_caller_late: self.signer.needs_body(),
            only_looks_in_shadow: true,
            exports: forwarding.exports(),
            ..Declaration::default()
        };
        self.requirement.declare(&mut declared);
        declared
    }
}
