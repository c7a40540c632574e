//! Tokens on the plan of a route: those that this provider has judged before.

use std::rc::Rc;
use std::time::Duration;

use super::Jwt;
use super::cache::{TokenCache, Verified};
use super::provider::Provider;
use super::refusals::{PAST_EXPIRY, SCOPE, SIGNATURE};
use crate::authn::combination::Presence;
use crate::authn::requirement::Requirement;
use portcullis_exchange::host::{Counter, Host};
use portcullis_exchange::meter::Event;
use portcullis_exchange::plan::{Draft, JudgedToken, RefusedToken, Step, Tokens};
use portcullis_exchange::refusal::{Reason, Refusal};

/// For which reasons refusals of tokens are prepared: those of clients that go on with what is of no use.
const PREPARED: [&Reason; 3] = [&PAST_EXPIRY, &SIGNATURE, &SCOPE];

/// The tokens of one provider that meet what one route demands.
struct PlannedTokens {
    provider: Rc<Provider>,
    requirement: Rc<Requirement>,
    /// Where the demand stands in the block of the policy.
    at: String,
    /// The bit by which the cache remembers that a token meets it; none if nothing is demanded.
    bit: Option<u64>,
}

impl Jwt {
    /// Puts its one demand on a plan, if its tokens stand in one header field and are remembered.
    pub(super) fn put_on(&self, draft: &mut Draft<'_>) -> Option<()> {
        let [demand] = self.combination.members() else {
            return None;
        };
        if self.combination.presence() == Presence::Optional
            || demand.provider.binding.is_demanded()
            || !demand.requirement.is_of_claims()
        {
            return None;
        }
        let (name, prefix) = demand.provider.locations.only_header()?;
        let cache = demand.provider.cache.as_ref()?;
        let bit = match demand.requirement.is_empty() {
            true => None,
            false => Some(cache.next_bit()?),
        };
        let refused = PREPARED.into_iter().filter(|reason| {
            let needs_demand = *reason == &SCOPE;
            !needs_demand || demand.requirement.demands_scopes()
        });
        let step = Step::Token {
            slot: draft.slot(name.as_str()),
            prefix: prefix.into(),
            strips: (!demand.provider.forwarding.forwards_token()).then(|| name.clone()),
            tokens: Rc::new(PlannedTokens {
                provider: Rc::clone(&demand.provider),
                requirement: Rc::clone(&demand.requirement),
                at: demand.at.clone(),
                bit,
            }),
            missing: self.combination.missing(),
            refused: refused
                .map(|reason| demand.challenges.plain().attach(Refusal::new(reason)))
                .collect(),
        };
        draft.steps.push(step);
        Some(())
    }
}

/// What comes of an accepted token at the first look.
enum Looked {
    Accepted(JudgedToken),
    /// It is to be judged by asking.
    Asks,
    /// Whether it meets the demand, or is revoked, has not been seen yet.
    Unseen(Box<Verified>),
}

impl PlannedTokens {
    /// One that was accepted. Nothing is copied but what a request keeps.
    #[inline]
    fn look(&self, verified: &Verified, now: Duration) -> Looked {
        // What its sender has to show is judged by asking.
        if verified.is_bound || !self.provider.is_in_time(verified.times, now) {
            return Looked::Asks;
        }
        let is_met = self.bit.is_none_or(|bit| verified.met & bit != 0);
        if !is_met || self.provider.has_lists() {
            return Looked::Unseen(Box::new(verified.clone()));
        }
        let accepted = Rc::clone(&verified.accepted);
        Looked::Accepted(JudgedToken::Accepted(accepted, verified.words.clone()))
    }

    /// One that was accepted, and whose time it is.
    #[cold]
    #[inline(never)]
    fn suffices(
        &self,
        cache: &TokenCache,
        token: &[u8],
        verified: Verified,
        host: &dyn Host,
    ) -> Option<JudgedToken> {
        self.provider.is_cleared(&verified, host).then_some(())?;
        let principal = &verified.accepted.principal;
        let claims = &principal.attributes;
        if let Some(bit) = self.bit
            && verified.met & bit == 0
        {
            if !self.requirement.grants_scopes(claims) {
                let mut detail = self.requirement.scope_detail(claims, &self.at);
                detail.principal = Some(principal.clone());
                let refused = RefusedToken {
                    refusal: Refusal::new(&SCOPE).because(detail),
                    words: verified.words,
                };
                return Some(JudgedToken::Refused(Box::new(refused)));
            }
            self.requirement.is_met_by(principal).then_some(())?;
            cache.change(token, |verified| verified.met |= bit);
        }
        Some(JudgedToken::Accepted(verified.accepted, verified.words))
    }

    /// One that was refused.
    #[cold]
    #[inline(never)]
    fn refused(&self, cache: &TokenCache, token: &[u8], now: Duration) -> Option<JudgedToken> {
        let refused = cache.find_refused(token)?;
        let refusal = self.provider.recalled(&refused, now)?;
        let words = refused.words;
        let refused = Box::new(RefusedToken { refusal, words });
        Some(JudgedToken::Refused(refused))
    }
}

impl Tokens for PlannedTokens {
    fn judged(&self, token: &[u8], now: Duration, host: &dyn Host) -> Option<JudgedToken> {
        let cache = self.provider.cache_in_force(host)??;
        match cache.look_at(token, |verified| self.look(verified, now)) {
            Some(Looked::Accepted(accepted)) => Some(accepted),
            Some(Looked::Asks) => None,
            Some(Looked::Unseen(verified)) => self.suffices(cache, token, *verified, host),
            None => self.refused(cache, token, now),
        }
    }

    fn note(&self, token: &[u8], words: &Rc<str>) {
        if let Some(cache) = &self.provider.cache {
            let words = || Some(Rc::clone(words));
            let is_accepted = cache.change(token, |verified| verified.words = words());
            if !is_accepted {
                cache.change_refused(token, |refused| refused.words = words());
            }
        }
    }

    fn counter(&self) -> Option<Counter> {
        Some(Event::TokenCacheHit.counter())
    }
}
