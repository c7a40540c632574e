//! What is counted of each finished exchange: what became of it, and what each policy said.
//!
//! There are at most as many of these counters as routes, policies, codes and outcomes allow; the
//! proxy learns of each when it is first needed. They are raised once for an exchange, when it has
//! ended, so that they and the access log agree.

use crate::record::{Ending, PolicyVerdict, Summary};
use portcullis_exchange::gauges::segment;
use portcullis_exchange::meter::Outcome;
use portcullis_policies as policy;

/// The place of requests that no route is for.
pub(super) const NO_ROUTE: &str = "no_route";

/// One counter of what became of exchanges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExchangeCounter {
    /// Of which exchanges.
    pub of: CounterScope,
    what: What,
}

/// Of which exchanges a counter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CounterScope {
    /// Of all.
    All,
    /// Of those without a route.
    NoRoute,
    /// Of those of the route at that place.
    Route(usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum What {
    /// What became of it.
    Request(Ending),
    /// What a policy said, by its place as [`policy::name`] has it.
    Verdict(usize, PolicyVerdict),
    /// With which code a policy, or else the core, refused.
    Refusal(Option<&'static str>, &'static str, Outcome),
}

impl CounterScope {
    /// A number for each, from 0.
    pub fn place(self) -> usize {
        match self {
            CounterScope::All => 0,
            CounterScope::NoRoute => 1,
            CounterScope::Route(index) => index.saturating_add(2),
        }
    }
}

impl ExchangeCounter {
    /// Names every counter that an exchange raises.
    pub fn of(exchange: &Summary<'_>, by_route: bool, mut each: impl FnMut(Self)) {
        let route = exchange
            .route
            .map_or(CounterScope::NoRoute, CounterScope::Route);
        let mut both = |what| {
            each(Self {
                of: CounterScope::All,
                what,
            });
            if by_route {
                each(Self { of: route, what });
            }
        };
        for (policy, said) in exchange.verdicts.by_place() {
            if said != PolicyVerdict::Waiting {
                both(What::Verdict(policy, said));
            }
        }
        let record = exchange.record;
        if let Some(reason) = record.refusal {
            let by = record.refused_by;
            both(What::Refusal(by, reason.code.name, Outcome::Denied));
        }
        for shadow in &record.shadow {
            let (by, code) = (shadow.policy, shadow.reason.code);
            both(What::Refusal(by, code.name, Outcome::ShadowDenied));
        }
        if by_route {
            let what = What::Request(exchange.ending);
            each(Self { of: route, what });
        }
    }

    /// The name of the metric, where routes are named by their places. Envoy puts `wasmcustom.` in
    /// front.
    pub fn name<'n>(&self, route_name: impl Fn(usize) -> Option<&'n str>) -> String {
        let mut parts = vec!["portcullis"];
        let (family, of_route) = match self.what {
            // Those of all are counted at once.
            What::Request(_) => ("requests", "route_requests"),
            What::Verdict(..) => ("policy_verdicts", "route_verdicts"),
            What::Refusal(..) => ("policy_refusals", "route_refusals"),
        };
        let route;
        match self.of {
            CounterScope::All => parts.push(family),
            CounterScope::NoRoute => parts.extend([of_route, NO_ROUTE]),
            CounterScope::Route(index) => {
                route = segment(route_name(index).unwrap_or_default());
                parts.extend([of_route, &route]);
            }
        }
        match self.what {
            What::Request(ending) => parts.push(ending.name()),
            What::Verdict(kind, said) => {
                parts.extend([policy::name(kind), said.name()]);
            }
            What::Refusal(policy, code, outcome) => {
                parts.extend([policy.unwrap_or("core"), code, outcome.name()]);
            }
        }
        parts.join(".")
    }
}
