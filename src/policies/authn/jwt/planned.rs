//! Tokens on the plan of a route: those that this provider has accepted before.

use std::rc::Rc;
use std::time::Duration;

use super::Jwt;
use super::provider::Provider;
use super::requirement::Requirement;
use crate::authn::combination::Presence;
use portcullis_exchange::host::{Counter, Host};
use portcullis_exchange::meter::Event;
use portcullis_exchange::plan::{AcceptedToken, Draft, Step, Tokens};
use portcullis_exchange::principal::{CredentialKind, Principal};

/// The tokens of one provider that meet what one route demands.
struct PlannedTokens {
    provider: Rc<Provider>,
    requirement: Rc<Requirement>,
    /// The bit by which the cache remembers that a token meets it; none if nothing is demanded.
    bit: Option<u64>,
}

impl Jwt {
    /// Puts its one demand on a plan, if its tokens stand in one header field and are remembered.
    pub(super) fn put_on(&self, draft: &mut Draft<'_>) -> Option<()> {
        let [demand] = self.combination.members() else {
            return None;
        };
        if self.combination.presence() == Presence::Optional {
            return None;
        }
        let (name, prefix) = demand.provider.locations.only_header()?;
        let cache = demand.provider.cache.as_ref()?;
        let bit = match demand.requirement.is_empty() {
            true => None,
            false => Some(cache.next_bit()?),
        };
        let step = Step::Token {
            slot: draft.slot(name.as_str()),
            prefix: prefix.into(),
            strips: (!demand.provider.forwarding.forwards_token()).then(|| name.clone()),
            tokens: Rc::new(PlannedTokens {
                provider: Rc::clone(&demand.provider),
                requirement: Rc::clone(&demand.requirement),
                bit,
            }),
            missing: self.combination.missing(),
        };
        draft.steps.push(step);
        Some(())
    }
}

impl Tokens for PlannedTokens {
    fn accepted(&self, token: &[u8], now: Duration, host: &dyn Host) -> Option<AcceptedToken> {
        let cache = self.provider.cache_in_force(host)??;
        let verified = cache.find(token)?;
        self.provider
            .is_in_time(verified.times, now)
            .then_some(())?;
        if let Some(bit) = self.bit
            && verified.met & bit == 0
        {
            self.requirement.is_met_by(&verified.claims).then_some(())?;
            cache.change(token, |verified| verified.met |= bit);
        }
        Some(AcceptedToken {
            principal: Principal {
                kind: CredentialKind::Jwt,
                authority: Rc::clone(&self.provider.name),
                attributes: verified.claims,
            },
            edits: verified.edits,
            words: verified.words,
        })
    }

    fn note(&self, token: &[u8], words: &Rc<str>) {
        if let Some(cache) = &self.provider.cache {
            cache.change(token, |verified| verified.words = Some(Rc::clone(words)));
        }
    }

    fn counter(&self) -> Counter {
        Event::TokenCacheHit.counter()
    }
}
