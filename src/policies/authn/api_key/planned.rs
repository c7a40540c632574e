//! Keys on the plan of a route: a look-up is quick enough that none need be remembered.

use std::rc::Rc;
use std::time::Duration;

use super::ApiKey;
use super::refusals::{EXPIRED, INSUFFICIENT, MALFORMED, REVOKED, SCOPE, UNKNOWN};
use super::store::ApiKeyStore;
use crate::authn::combination::Presence;
use crate::authn::requirement::Requirement;
use portcullis_exchange::host::{Counter, Host};
use portcullis_exchange::plan::{AcceptedToken, Draft, JudgedToken, RefusedToken, Step, Tokens};
use portcullis_exchange::refusal::{Reason, Refusal};

/// For which reasons refusals are prepared: those of clients that go on with what is of no use.
const PREPARED: [&Reason; 5] = [&MALFORMED, &UNKNOWN, &REVOKED, &EXPIRED, &SCOPE];

/// The keys of one store that grant what one route demands.
struct PlannedKeys {
    store: Rc<ApiKeyStore>,
    requirement: Rc<Requirement>,
    /// Where the demand stands in the block of the policy.
    at: String,
}

impl ApiKey {
    /// Puts its one demand on a plan, if keys stand in one header field.
    pub(super) fn put_on(&self, draft: &mut Draft<'_>) -> Option<()> {
        let [demand] = self.combination.members() else {
            return None;
        };
        if self.combination.presence() == Presence::Optional || !demand.requirement.is_of_claims() {
            return None;
        }
        let (name, prefix) = demand.store.locations.only_header()?;
        let refused = PREPARED.into_iter().filter(|reason| {
            let needs_demand = *reason == &SCOPE;
            !needs_demand || demand.requirement.demands_scopes()
        });
        let step = Step::Token {
            slot: draft.slot(name.as_str()),
            prefix: prefix.into(),
            strips: (!demand.store.forwarding.forwards_token()).then(|| name.clone()),
            tokens: Rc::new(PlannedKeys {
                store: Rc::clone(&demand.store),
                requirement: Rc::clone(&demand.requirement),
                at: demand.at.clone(),
            }),
            missing: self.combination.missing(),
            refused: refused
                .map(|reason| demand.challenges.attach(Refusal::new(reason)))
                .collect(),
        };
        draft.steps.push(step);
        Some(())
    }
}

impl Tokens for PlannedKeys {
    fn judged(&self, key: &[u8], now: Duration, host: &dyn Host) -> Option<JudgedToken> {
        let refused = |refusal| {
            let words = None;
            let refused = Box::new(RefusedToken { refusal, words });
            Some(JudgedToken::Refused(refused))
        };
        let principal = match self.store.judge(key, now, host) {
            Ok(principal) => principal,
            Err(refusal) => return refused(refusal),
        };
        let claims = &principal.attributes;
        let edits = self.store.forwarding.edits(claims).ok()?;
        if !self.requirement.is_empty() {
            if !self.requirement.grants_scopes(claims) {
                let mut detail = self.requirement.scope_detail(claims, &self.at);
                detail.principal = Some(principal);
                return refused(Refusal::new(INSUFFICIENT.scope).because(detail));
            }
            self.requirement.is_met_by(&principal).then_some(())?;
        }
        let edits = edits.into();
        let accepted = Rc::new(AcceptedToken { principal, edits });
        Some(JudgedToken::Accepted(accepted, None))
    }

    /// Nothing is kept with a key.
    fn note(&self, _: &[u8], _: &Rc<str>) {}

    fn counter(&self) -> Option<Counter> {
        None
    }
}
