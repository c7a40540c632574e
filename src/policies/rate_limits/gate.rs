//! Asks the limits of one stage.

use std::hash::Hasher as _;
use std::rc::Rc;
use std::slice;

use super::algorithm::nanoseconds;
use super::charge::ChargedOn;
use super::cost::Cost;
use super::counts::count;
use super::key::{Caller, KeyError};
use super::ledger::{LimitResult, LimitResults};
use super::limit::{Limit, Missing};
use super::refusals;
use super::spend::{Charge, LimitCheck, LimitVerdict, spend};
use portcullis_document::{DidYouMean, Quoted};
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::exchange::Exchange;
use portcullis_exchange::host::Host;
use portcullis_exchange::meter::Event;
use portcullis_exchange::plan::Draft;
use portcullis_exchange::policy::{
    Declaration, Misfits, Placement, Policy, RoleSource, RouteCredentials, Verdict,
};
use portcullis_exchange::refusal::Refusal;
use portcullis_exchange::seed::{Hashed, Seed};

/// A limit as one route has it.
#[derive(Clone, Debug)]
pub(super) struct RouteLimit {
    pub(super) limit: Rc<Limit>,
    pub(super) cost: Cost,
}

/// All limits of a route that can be asked at one stage.
pub(super) struct Gate {
    pub(super) enforced: Vec<RouteLimit>,
    /// In shadow mode.
    pub(super) shadow: Vec<RouteLimit>,
    pub(super) seed: Rc<Seed>,
    /// Whether no other gate of the route comes after it.
    pub(super) is_last: bool,
}

/// What becomes of a limit for one request.
enum Lookup {
    /// Nothing: it is not for this request.
    No,
    /// It is asked for this caller.
    Of(usize, Hashed),
    /// It cannot be asked.
    Failed,
    /// The request has no key, and that refuses it.
    Unkeyed(KeyError),
}

impl Policy for Gate {
    fn check_request(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        let now = nanoseconds(host.monotonic());
        if let Err(refusal) = self.ask(&self.enforced, exchange, now, host) {
            if let Some(ledger) = exchange.facts.limits.kept_mut::<LimitResults>() {
                ledger.take_back(now, host);
            }
            host.count(Event::RateLimited.counter());
            return Verdict::Refuse(refusal);
        }
        if self.is_last {
            host.count(Event::RateLimitOk.counter());
        }
        // One by one: what one of them would refuse is nothing to the others.
        for applied in &self.shadow {
            if let Err(refusal) = self.ask(slice::from_ref(applied), exchange, now, host) {
                exchange.shadow.push(refusal);
            }
        }
        Verdict::Pass
    }

    fn plan(&self, draft: &mut Draft<'_>) -> Option<()> {
        self.put_on(draft)
    }

    fn declares(&self) -> Declaration {
        let mut limits = self.enforced.iter().chain(&self.shadow);
        Declaration {
            counts_claimants: limits.any(|applied| applied.limit.key.has_claimed_subject()),
            ..Declaration::default()
        }
    }

    fn misfits(&self, credentials: &RouteCredentials<'_>) -> Misfits {
        // Without any, nobody is known: that is reported, once for all routes.
        if credentials.asked.is_empty() {
            return Misfits::default();
        }
        let sources = credentials.asked.iter().flat_map(|asked| &asked.roles);
        let sources: Vec<&Rc<dyn RoleSource>> = sources.collect();
        let limits = self.enforced.iter().chain(&self.shadow);
        let mut notes = Vec::new();
        for RouteLimit { limit, .. } in limits {
            for role in limit.roles() {
                if !sources.iter().any(|source| source.can_give(role)) {
                    let names = sources.iter().flat_map(|source| source.names());
                    let names: Vec<&str> = names.collect();
                    let near = DidYouMean(role, names.iter().copied());
                    notes.push(format!(
                        "the limit {} has a tier by the role {}, and nobody here has that, by `roles` of who vouches for callers{near}",
                        Quoted(&limit.name),
                        Quoted(role)
                    ));
                }
            }
        }
        Misfits {
            notes,
            ..Misfits::default()
        }
    }

    fn placed(&self, route: Placement) {
        for applied in self.enforced.iter().chain(&self.shadow) {
            applied.limit.usage.placed(route.guard);
        }
    }
}

impl Gate {
    /// Charges all of these limits, or none.
    fn ask(
        &self,
        limits: &[RouteLimit],
        exchange: &mut Exchange<'_>,
        now: u64,
        host: &dyn Host,
    ) -> Result<(), Refusal> {
        let mut demands = Vec::with_capacity(limits.len());
        for (place, applied) in limits.iter().enumerate() {
            let limit = &applied.limit;
            match self.find(limit, exchange, host) {
                Lookup::No => {}
                Lookup::Unkeyed(KeyError::Unknown)
                    if limit.on_error.said(host) != LimitVerdict::Failed => {}
                Lookup::Unkeyed(unkeyed) => {
                    return Err(refusals::unkeyed(unkeyed).because(limit.detail(None)));
                }
                Lookup::Failed => {
                    if limit.on_error.said(host) == LimitVerdict::Failed {
                        return Err(refusals::failed().because(limit.detail(None)));
                    }
                }
                Lookup::Of(tier, caller) => {
                    let Some(table) = limit.table(tier) else {
                        continue;
                    };
                    demands.push(LimitCheck {
                        table,
                        caller,
                        cost: applied.cost.at_first,
                        charge: match limit.charged {
                            ChargedOn::Request | ChargedOn::Response(_) => Charge::Now,
                            ChargedOn::Refusal => Charge::Later,
                        },
                        on_error: limit.on_error,
                        place: (place, tier),
                    });
                }
            }
        }
        let said = spend(&demands, now, host);
        if said.is_empty() {
            return Ok(());
        }
        let Some(ledger) = exchange.facts.limits.keep::<LimitResults>() else {
            // What is kept is of another policy: nothing could be given back.
            return Err(refusals::failed());
        };
        let entries = &mut ledger.entries;
        entries.reserve_exact(said.len());
        let (mut refusal, mut refusing): (Option<(u64, Refusal)>, _) = (None, None);
        for (demand, said) in demands.iter().zip(said) {
            let (place, tier) = demand.place;
            let Some(applied) = limits.get(place) else {
                return Err(refusals::failed());
            };
            let (state, receipt) = match said {
                LimitVerdict::Ignored => continue,
                LimitVerdict::Failed => {
                    let detail = applied.limit.detail(Some(tier));
                    return Err(refusals::failed().because(detail));
                }
                LimitVerdict::Charged(state, receipt) => {
                    count(&applied.limit.counts.ok);
                    (state, Some(receipt))
                }
                LimitVerdict::Passes(state) => {
                    count(&applied.limit.counts.ok);
                    (state, None)
                }
                LimitVerdict::Refused(state, wait) => {
                    let counts = &applied.limit.counts;
                    count(match applied.limit.mode {
                        Mode::Enforce => &counts.rate_limited,
                        Mode::Shadow => &counts.shadow_denied,
                    });
                    // The client has to wait for the last of them.
                    if refusal.as_ref().is_none_or(|(longest, _)| wait > *longest) {
                        refusing = Some(entries.len());
                        let reason = refusals::reason(applied.limit.charged);
                        let detail = applied.limit.detail(Some(tier));
                        refusal = Some((wait, refusals::limited(reason, wait).because(detail)));
                    }
                    (state, None)
                }
            };
            entries.push(LimitResult {
                limit: Rc::clone(&applied.limit),
                tier,
                caller: demand.caller,
                cost: demand.cost,
                receipt,
                afterwards: applied.cost.afterwards.clone(),
                state,
                at: now,
                enforced: applied.limit.mode == Mode::Enforce,
            });
        }
        let Some((_, refusal)) = refusal else {
            return Ok(());
        };
        ledger.refused_by(refusing);
        Err(refusal)
    }

    fn find(&self, limit: &Limit, exchange: &Exchange<'_>, host: &dyn Host) -> Lookup {
        let caller = Caller {
            request: exchange.request,
            route: exchange.route,
            facts: exchange.facts,
            host,
        };
        let tier = match limit.tier(&caller) {
            Ok(tier) => tier,
            Err(unkeyed) => return Lookup::Unkeyed(unkeyed),
        };
        if limit.table(tier).is_none() {
            return Lookup::No;
        }
        let hasher = self.seed.hasher(host);
        let mut hashed = hasher.unwrap_or_default();
        let pieces = limit.key.pieces(&caller, &mut |piece| hashed.write(piece));
        match (pieces, limit.missing, hasher) {
            (Err(KeyError::Missing), Missing::Skip, _) => Lookup::No,
            (Err(unkeyed), Missing::Skip | Missing::Refuse, _)
            | (
                Err(unkeyed @ (KeyError::Repeated | KeyError::Effort | KeyError::Unknown)),
                Missing::Anonymous,
                _,
            ) => Lookup::Unkeyed(unkeyed),
            (_, _, Err(_)) => Lookup::Failed,
            (Ok(()), _, Ok(_)) => Lookup::Of(tier, Hashed::of(&hashed)),
            // Every part of a key has a length in front, so that no key is empty but this one
            // and that of a list without parts, which cannot miss any.
            (Err(KeyError::Missing), Missing::Anonymous, Ok(empty)) => {
                Lookup::Of(tier, Hashed::of(&empty))
            }
        }
    }
}
