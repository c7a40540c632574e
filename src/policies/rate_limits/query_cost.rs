//! Limits whose cost is that of a GraphQL request.
//!
//! A request is charged 1 when it comes, and the rest when all else lets it pass: only then is it known what it
//! asks for. All such limits of a request are charged the rest, or none.

use std::rc::Rc;

use super::algorithm::nanoseconds;
use super::counts::count;
use super::ledger::{LimitResult, LimitResults};
use super::limit::Limit;
use super::refusals;
use super::spend::{Charge, LimitCheck, LimitVerdict, spend};
use portcullis_exchange::body::{BodyNeed, RequestBody};
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::exchange::{BodyState, Exchange, Facts};
use portcullis_exchange::host::Host;
use portcullis_exchange::meter::Event;
use portcullis_exchange::policy::{Declaration, Policy, Verdict};
use portcullis_exchange::refusal::Refusal;

/// Charges the rest to the limits of that mode.
pub(super) struct QueryCost(pub(super) Mode);

impl Policy for QueryCost {
    fn check_request(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        if !self.is_for(exchange.facts) {
            return Verdict::Pass;
        }
        match (exchange.facts.graphql(), exchange.body) {
            (None, BodyState::Open) => Verdict::AwaitBody(BodyNeed::Size),
            _ => self.charge(exchange.facts, host),
        }
    }

    fn request_body(&self, body: &mut RequestBody<'_>, host: &dyn Host) -> Verdict {
        match body.progress.state {
            BodyState::Open => Verdict::AwaitBody(body.need),
            BodyState::Complete => self.charge(body.facts, host),
        }
    }

    fn declares(&self) -> Declaration {
        Declaration {
            mode: self.0,
            asks_graphql: true,
            ..Declaration::default()
        }
    }
}

impl QueryCost {
    /// Whether a limit in that mode was charged for the request. For which mode that is, requests may differ.
    fn is_for(&self, facts: &Facts) -> bool {
        let ledger = facts.limits.kept::<LimitResults>();
        let mut entries = ledger.into_iter().flat_map(|ledger| &ledger.entries);
        entries.any(|entry| self.charges(entry))
    }

    fn charges(&self, entry: &LimitResult) -> bool {
        let is_of_mode = entry.enforced == (self.0 == Mode::Enforce);
        entry.is_of_query && is_of_mode && entry.receipt.is_some()
    }

    fn charge(&self, facts: &mut Facts, host: &dyn Host) -> Verdict {
        let asked = facts.graphql().and_then(|asked| asked.as_ref().ok());
        let cost = asked.and_then(|asked| asked.cost());
        let Some(ledger) = facts.limits.kept_mut::<LimitResults>() else {
            return Verdict::Pass;
        };
        let now = nanoseconds(host.monotonic());
        match self.charge_all(ledger, cost, now, host) {
            Ok(()) => Verdict::Pass,
            Err(refusal) => {
                if self.0 == Mode::Enforce {
                    ledger.take_back(now, host);
                    host.count(Event::RateLimited.counter());
                }
                Verdict::Refuse(refusal)
            }
        }
    }

    fn charge_all(
        &self,
        ledger: &mut LimitResults,
        cost: Option<u64>,
        now: u64,
        host: &dyn Host,
    ) -> Result<(), Refusal> {
        let is_enforced = self.0 == Mode::Enforce;
        let places = ledger.entries.iter().enumerate();
        let charged = places.filter(|(_, entry)| self.charges(entry));
        // The limits are kept, so that what they say can be noted beside them.
        let charged: Vec<(usize, Rc<Limit>)> = charged
            .map(|(place, entry)| (place, Rc::clone(&entry.limit)))
            .collect();
        let mut demands = Vec::with_capacity(charged.len());
        for (place, limit) in &charged {
            let Some(entry) = ledger.entries.get(*place) else {
                continue;
            };
            let detail = || limit.detail(Some(entry.tier));
            let Some(cost) = cost else {
                return Err(Refusal::new(&refusals::COST_UNKNOWN).because(detail()));
            };
            let Some(table) = limit.table(entry.tier) else {
                continue;
            };
            if cost > table.rule().quota() {
                return Err(Refusal::new(&refusals::QUERY_COST).because(detail()));
            }
            let rest = cost.saturating_sub(entry.cost);
            if rest > 0 {
                demands.push(LimitCheck {
                    table,
                    caller: entry.caller,
                    cost: rest,
                    charge: Charge::Now,
                    on_error: limit.on_error,
                    place: (*place, entry.tier),
                });
            }
        }
        let said = spend(&demands, now, host);
        for (demand, said) in demands.iter().zip(said) {
            let Some(entry) = ledger.entries.get_mut(demand.place.0) else {
                continue;
            };
            let detail = || entry.limit.detail(Some(entry.tier));
            match said {
                LimitVerdict::Charged(state, receipt) => {
                    (entry.state, entry.at) = (state, now);
                    entry.receipt = Some(receipt);
                    entry.cost = entry.cost.saturating_add(demand.cost);
                }
                LimitVerdict::Passes(_) | LimitVerdict::Ignored => {}
                LimitVerdict::Failed => return Err(refusals::failed().because(detail())),
                LimitVerdict::Refused(state, wait) => {
                    count(match is_enforced {
                        true => &entry.limit.counts.rate_limited,
                        false => &entry.limit.counts.shadow_denied,
                    });
                    let refusal = refusals::limited(&refusals::LIMIT, wait).because(detail());
                    (entry.state, entry.at) = (state, now);
                    ledger.refused_by(Some(demand.place.0));
                    return Err(refusal);
                }
            }
        }
        Ok(())
    }
}
