//! The last word on a signed message: it is noted as used when nothing else would refuse it.
//!
//! A message that another policy refuses, for its size or a limit, may come again: its sender has been told that
//! it was not taken. What has been noted before is refused with the signature already, so that who sends an
//! old message once more uses up no limit of its sender.

use std::rc::Rc;

use portcullis_exchange::body::{BodyNeed, Inspection, RequestBody};
use portcullis_exchange::exchange::{BodyState, Exchange, Facts};
use portcullis_exchange::host::Host;
use portcullis_exchange::policy::{Declaration, Policy, Verdict};
use portcullis_exchange::refusal::{Fact, Refusal};

use super::SignedRequest;
use super::refusals::{CHECK, OLD};
use super::replay::Noting;
use super::unsettled::{BodyCheck, MessageMark, SignedTimes, UnsettledSignature};

/// Notes that messages have been used.
pub(super) struct Acceptance(pub(super) Rc<SignedRequest>);

impl SignedRequest {
    /// The time in seconds, in which a message has still to be good.
    pub(super) fn time_of(&self, message: SignedTimes, host: &dyn Host) -> Result<u64, Refusal> {
        #[allow(
            clippy::disallowed_methods,
            reason = "what signatures say of their times is judged by it"
        )]
        let now = host.wall_clock().as_secs().max(message.arrived);
        match message.until {
            Some(until) if until < now => {
                let seconds = now
                    .saturating_sub(until)
                    .saturating_add(self.signer.tolerance);
                Err(Refusal::new(&OLD).and("seconds", Fact::Number(seconds)))
            }
            Some(_) | None => Ok(now),
        }
    }

    /// Refuses a message that has been used or whose time is over, and notes that it is used now, if that is to
    /// be noted.
    pub(super) fn check_use(
        &self,
        MessageMark(mark): MessageMark,
        times: SignedTimes,
        noting: Noting,
        host: &dyn Host,
    ) -> Result<(), Refusal> {
        let now = self.time_of(times, host)?;
        let replays = &self.signer.replays;
        replays.check(mark, times.until, now, noting, host)
    }
}

impl Acceptance {
    fn note(&self, unsettled: &mut UnsettledSignature, host: &dyn Host) -> Result<(), Refusal> {
        match unsettled.mark.take() {
            Some(mark) => self
                .0
                .check_use(mark, unsettled.message, Noting::Note, host),
            None => Ok(()),
        }
    }

    fn judge_head(&self, facts: &mut Facts, host: &dyn Host) -> Result<Verdict, Refusal> {
        let Some(mut unsettled) = taken(facts) else {
            return Ok(Verdict::Pass);
        };
        let is_settled = matches!(unsettled.check, BodyCheck::Done);
        // Where heads go ahead, the next one with this message must not.
        if is_settled || self.0.inspection == Inspection::Stream {
            self.note(&mut unsettled, host)?;
        }
        if is_settled {
            return Ok(Verdict::Pass);
        }
        facts.seldom_mut().unsettled_signature = Some(unsettled);
        Ok(Verdict::AwaitBody(BodyNeed::Size))
    }

    fn judge_body(&self, body: &mut RequestBody<'_>, host: &dyn Host) -> Result<Verdict, Refusal> {
        if body.progress.state == BodyState::Open {
            return Ok(Verdict::AwaitBody(body.need));
        }
        // What is refused is not there any more, be it in shadow mode.
        let Some(mut unsettled) = taken(body.facts) else {
            return Ok(Verdict::Pass);
        };
        if !matches!(unsettled.check, BodyCheck::Done) {
            return Err(Refusal::new(&CHECK));
        }
        self.note(&mut unsettled, host)?;
        Ok(Verdict::Pass)
    }
}

fn taken(facts: &mut Facts) -> Option<Box<UnsettledSignature>> {
    let unsettled = facts.seldom_mut().unsettled_signature.take()?;
    unsettled.downcast().ok()
}

impl Policy for Acceptance {
    fn check_request(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        let judged = self.judge_head(exchange.facts, host);
        judged.unwrap_or_else(|refusal| self.0.refuse(refusal))
    }

    fn request_body(&self, body: &mut RequestBody<'_>, host: &dyn Host) -> Verdict {
        let judged = self.judge_body(body, host);
        judged.unwrap_or_else(|refusal| self.0.refuse(refusal))
    }

    fn declares(&self) -> Declaration {
        Declaration {
            only_looks_in_shadow: true,
            ..Declaration::default()
        }
    }
}
