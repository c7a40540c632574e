//! A server that is asked about tokens: where they stand, how it is asked, and by which rules its answers are
//! judged.

use std::rc::Rc;
use std::time::Duration;

use super::cache::{AnswerCache, Rejected, Reported};
use super::form::AskedTokens;
use super::patience::Patience;
use super::refusals::{
    AskError, CLAIM_VALUE, INACTIVE, ROLES, STATUS, TOKEN_TYPE, field_of_server, objected,
};
use super::request::Endpoint;
use super::response::{self, Said};
use super::settings::{Lifetimes, OnAskError};
use crate::authn::forwarding::Forwarding;
use crate::authn::jwt::bound::Binding;
use crate::authn::jwt::claims::{ClaimRules, Times};
use crate::authn::location::Locations;
use crate::authn::presented::Unwritable;
use crate::authn::revocation::UsedLists;
use crate::authn::roles::RoleRules;
use crate::authn::{Asking, Heard};
use portcullis_exchange::asked::{Asker, Question};
use portcullis_exchange::exchange::Exchange;
use portcullis_exchange::host::Host;
use portcullis_exchange::meter::{Event, Timing};
use portcullis_exchange::refusal::{BlockPlace, Refusal};
use portcullis_exchange::section::Variable;
use portcullis_exchange::wait::GRACE;
use portcullis_wire::budget::{Reservation, Share, reserve};
use portcullis_wire::json::compact;
use portcullis_wire::json::compact::Compact;

/// One server.
pub(in crate::authn) struct IntrospectionServer {
    pub(in crate::authn) name: Rc<str>,
    /// Where its block stands.
    pub(super) place: BlockPlace,
    pub(in crate::authn) locations: Locations,
    pub(super) forwarding: Forwarding,
    pub(in crate::authn) roles: RoleRules,
    pub(super) tokens: AskedTokens,
    pub(super) endpoint: Endpoint,
    pub(super) rules: ClaimRules,
    /// What is revoked whatever the server says.
    pub(super) lists: UsedLists,
    pub(in crate::authn) binding: Binding,
    pub(super) lifetimes: Lifetimes,
    pub(super) on_error: OnAskError,
    pub(super) cache: Option<AnswerCache>,
    pub(super) patience: Patience,
}

/// Why there is nothing to report of a token.
pub(super) enum Unreported {
    /// It is not accepted, or the server objects to being asked about it.
    Rejected(Refusal),
    /// Nobody can tell now.
    Failed(AskError),
    /// That has to be asked first.
    Asks(Box<Asking>),
}

/// What has been heard of a token of the request in hand.
enum Answer {
    Reported(Reported),
    Rejected(Rejected),
    Failed(AskError),
}

/// So many times the bytes of an answer is taken while it is read, at most: by its reader, beside what has been
/// read of it once already.
const TIMES_THE_BODY: usize = compact::FACTOR_WHILE_READ + compact::FACTOR;

impl IntrospectionServer {
    /// The variables of the environment that it needs.
    pub(super) fn variables(&self) -> impl Iterator<Item = Variable> {
        let place = format!("introspection server {}", self.name);
        let of_client = self.endpoint.client.variable(&self.name);
        of_client.into_iter().chain(self.binding.variable(&place))
    }

    /// Whether it is asked about signed JWTs too.
    pub(super) fn asks_about_jwts(&self) -> bool {
        self.tokens == AskedTokens::Any
    }

    /// Whether requests pass of whose tokens nobody can tell whether they are good.
    pub(super) fn lets_pass_unknown(&self) -> bool {
        self.on_error == OnAskError::Allow
    }

    /// A refusal by one of its rules.
    pub(super) fn placed(&self, refusal: Refusal) -> Refusal {
        let field = field_of_server(&refusal);
        refusal.placed(&self.place, field)
    }

    /// A refusal by the rule that stands in that field.
    pub(super) fn placed_in(&self, refusal: Refusal, field: &str) -> Refusal {
        refusal.placed(&self.place, Some(field))
    }

    /// What is known of a token, if no list revokes it.
    pub(super) fn judge(
        &self,
        token: &[u8],
        exchange: &Exchange<'_>,
        host: &dyn Host,
    ) -> Result<Reported, Unreported> {
        let known = self.known(token, exchange, host)?;
        let cleared = self.check_lists(token, &known, host);
        cleared.map_err(|refusal| Unreported::Rejected(self.placed(refusal)))?;
        Ok(known)
    }

    /// What is known of a token.
    fn known(
        &self,
        token: &[u8],
        exchange: &Exchange<'_>,
        host: &dyn Host,
    ) -> Result<Reported, Unreported> {
        let rejected = |refusal| Err(Unreported::Rejected(self.placed(refusal)));
        if let Err(refusal) = self.tokens.check(token) {
            return rejected(refusal);
        }
        match exchange
            .facts
            .asked
            .heard::<Answer>(self.asker())
            .as_deref()
        {
            Some(Answer::Reported(reported)) => return Ok(reported.clone()),
            Some(Answer::Rejected(known)) => return rejected(Refusal::clone(&known.refusal)),
            Some(Answer::Failed(error)) => return Err(Unreported::Failed(*error)),
            None => {}
        }
        let now = host.monotonic();
        if let Some(cache) = &self.cache {
            if let Some(known) = cache.accepted(token, now) {
                host.count(Event::IntrospectionCacheHit.counter());
                if let Err(objection) = self.rules.check_times(known.times, exchange.arrived) {
                    cache.forget(token);
                    return rejected(objected(objection));
                }
                return Ok(known);
            }
            if let Some(known) = cache.rejected(token, now) {
                host.count(Event::IntrospectionCacheHit.counter());
                return rejected(Refusal::clone(&known.refusal));
            }
        }
        let Some(call) = self.endpoint.call(token, host) else {
            host.count(Event::IntrospectionFailed.counter());
            return Err(Unreported::Failed(AskError::NoSecret));
        };
        let patience = self.endpoint.timeout.saturating_add(GRACE);
        if !self.patience.may_ask(now) {
            host.count(Event::IntrospectionFailed.counter());
            return Err(Unreported::Failed(AskError::Resting));
        }
        let question = Question {
            by: self.asker(),
            since: now,
            note: self.patience.note(),
            turn: self.patience.turn(now.saturating_add(patience)),
        };
        Err(Unreported::Asks(Box::new(Asking { call, question })))
    }

    /// Hears what has been said of a token, if the request has waited for that.
    pub(super) fn heard(
        &self,
        token: &[u8],
        answer: &Heard<'_>,
        exchange: &mut Exchange<'_>,
        host: &dyn Host,
    ) {
        let Some(question) = exchange.facts.asked.take(self.asker()) else {
            return;
        };
        let now = host.monotonic();
        let waited = now.saturating_sub(question.since);
        let waited = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
        host.observe(Timing::Introspection.histogram(), waited);
        host.count(Event::IntrospectionCacheMiss.counter());
        // Of many who waited, the first has read it.
        let is_known = self.cache.as_ref().is_some_and(|cache| {
            cache.accepted(token, now).is_some() || cache.rejected(token, now).is_some()
        });
        if answer.is_ok() && is_known {
            return;
        }
        let (answer, memory) = self.answer(answer, question.since, exchange.arrived);
        match &answer {
            Answer::Failed(error) => {
                host.count(Event::IntrospectionFailed.counter());
                if error.counts() {
                    self.patience
                        .failed(question.note, now, self.lifetimes.cooldown);
                }
            }
            // Said of this question alone: nothing of how the server does.
            Answer::Rejected(known) if known.refusal.reason == &STATUS => {
                host.count(Event::IntrospectionFailed.counter());
            }
            Answer::Reported(_) | Answer::Rejected(_) => self.patience.succeeded(),
        }
        match (&self.cache, &answer) {
            (Some(cache), Answer::Reported(known)) if known.until > now => {
                cache.accept(token, known.clone());
            }
            (Some(cache), Answer::Rejected(known)) if known.until > now => {
                cache.reject(token, known.clone());
            }
            _ => {}
        }
        exchange
            .facts
            .asked
            .hear(self.asker(), Rc::new(answer), memory);
    }

    /// What an answer comes to that was asked for at `since`, by the clock that does not step, and is judged
    /// at `now`, by the wall clock.
    fn answer(&self, answer: &Heard<'_>, since: Duration, now: Duration) -> (Answer, Reservation) {
        let none = || Reservation::none(Share::Streams);
        let response = match answer {
            Ok(response) => response,
            Err(error) => return (Answer::Failed((*error).into()), none()),
        };
        // What is read of it, for the rules once more, and what is kept.
        let read = response.body.len().min(response::LONGEST_ANSWER);
        // Names may be mapped to longer ones.
        let roles = self.roles.most_memory();
        let bytes = read.saturating_mul(TIMES_THE_BODY).saturating_add(roles);
        let Some(mut memory) = reserve(Share::Streams, bytes) else {
            return (Answer::Failed(AskError::NoMemory), none());
        };
        let rejected = |refusal| {
            Answer::Rejected(Rejected {
                refusal: Rc::new(self.placed(refusal)),
                until: since.saturating_add(self.lifetimes.of_rejected),
            })
        };
        let answer = match response::read(response, &self.rules, now) {
            Err(error) if error.is_of_question() => rejected(error.into()),
            Err(error) => Answer::Failed(error),
            Ok(Said::Inactive) => rejected(Refusal::new(&INACTIVE)),
            Ok(Said::NoAccessToken) => rejected(Refusal::new(&TOKEN_TYPE)),
            Ok(Said::Objected(objection)) => rejected(objected(objection)),
            Ok(Said::Active(claims, times)) => {
                let until = since.saturating_add(self.lifetimes.of_accepted(times.expires(), now));
                match self.reported(claims, times, until) {
                    Ok(reported) => Answer::Reported(reported),
                    Err(refusal) => rejected(refusal),
                }
            }
        };
        memory.shrink_to(read.saturating_mul(compact::FACTOR).saturating_add(roles));
        (answer, memory)
    }

    /// What comes of the claims of an active token.
    fn reported(
        &self,
        claims: Compact,
        times: Times,
        until: Duration,
    ) -> Result<Reported, Refusal> {
        let roles = self.roles.of(&claims);
        let roles = roles.map_err(|detail| Refusal::new(&ROLES).because(detail))?;
        let edits = self.forwarding.edits(&claims);
        let edits = edits.map_err(|Unwritable| Refusal::new(&CLAIM_VALUE))?;
        Ok(Reported {
            claims,
            roles,
            times,
            edits: edits.into(),
            until,
            cleared: None,
        })
    }

    fn asker(&self) -> Asker {
        Asker(std::ptr::from_ref(self).addr())
    }
}

impl std::fmt::Debug for IntrospectionServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "IntrospectionServer({})", self.name)
    }
}
