//! A limit on the plan of a route: the same cells and the same arithmetic, for a request that it has room
//! for.

use std::cell::OnceCell;
use std::hash::Hasher as _;
use std::rc::Rc;

use super::algorithm::{Receipt, State};
use super::charge::ChargedOn;
use super::counts::count;
use super::gate::{Gate, RouteLimit};
use super::ledger::{LimitResult, LimitResults, standing};
use super::limit::Limit;
use super::refusals;
use super::table::{Charged, CounterStore};
use portcullis_exchange::exchange::Facts;
use portcullis_exchange::host::{Counter, Host};
use portcullis_exchange::limits::LimitStatus;
use portcullis_exchange::meter::Event;
use portcullis_exchange::plan::{self, Caller, Charge, Draft, Step};
use portcullis_exchange::refusal::Refusal;
use portcullis_exchange::seed::{Hashed, Seed};

/// The one limit of a gate: without tiers, charged when the request comes, by a key that needs no effort.
struct PlannedLimit {
    limit: Rc<Limit>,
    cost: u64,
    seed: Rc<Seed>,
    /// The key, where it is the same for all.
    fixed: Option<OnceCell<Hashed>>,
}

impl Gate {
    /// Puts its limit on a plan.
    pub(super) fn put_on(&self, draft: &mut Draft<'_>) -> Option<()> {
        let ([RouteLimit { limit, cost }], []) = (&*self.enforced, &*self.shadow) else {
            return None;
        };
        let [tier] = &*limit.tiers else {
            return None;
        };
        let is_plain = tier.when.is_none() && tier.table.is_some() && limit.key.is_plain();
        let is_simple = limit.charged == ChargedOn::Request && limit.rollout.is_for_all();
        if !is_plain || !is_simple || cost.afterwards.is_some() || cost.is_of_query {
            return None;
        }
        draft.steps.push(Step::Limit(Rc::new(PlannedLimit {
            limit: Rc::clone(limit),
            cost: cost.at_first,
            seed: Rc::clone(&self.seed),
            fixed: limit.key.is_fixed().then(OnceCell::new),
        })));
        if self.is_last {
            draft.steps.push(Step::Count(Event::RateLimitOk.counter()));
        }
        Some(())
    }
}

impl PlannedLimit {
    fn table(&self) -> Option<&CounterStore> {
        self.limit.table(0)
    }

    fn caller(&self, caller: &Caller<'_>, host: &dyn Host) -> Option<Hashed> {
        let known = self.fixed.as_ref().and_then(OnceCell::get);
        if let Some(known) = known {
            return Some(*known);
        }
        let mut hasher = self.seed.hasher(host).ok()?;
        let pieces = &mut |piece: &[u8]| hasher.write(piece);
        self.limit.key.plain_pieces(caller, host, pieces)?;
        let hashed = Hashed::of(&hasher);
        Some(match &self.fixed {
            Some(fixed) => *fixed.get_or_init(|| hashed),
            None => hashed,
        })
    }
}

impl PlannedLimit {
    /// Charges a request whatever its cell is. An error where there is no room, with the caller's state as it is;
    /// none as [`plan::Limit::charge`] says.
    #[cold]
    #[inline(never)]
    fn charge_among_others(
        &self,
        caller: Hashed,
        may_refuse: bool,
        now: u64,
        host: &dyn Host,
    ) -> Option<Result<(State, Receipt), State>> {
        let table = self.table()?;
        let draft = table.look_to_charge(caller, self.cost, now, host);
        let draft = draft.ok()?;
        // Who has to wait is judged by asking.
        (draft.turn(table.rule(), now) == 0).then_some(())?;
        if draft.wait().is_some() {
            may_refuse.then_some(())?;
            table.note(&draft);
            let state = draft.before();
            table.leave(draft, host);
            count(&self.limit.counts.rate_limited);
            return Some(Err(state));
        }
        table.note(&draft);
        // Where others were quicker and it is full now, it has charged nothing.
        match table.charge(draft, caller, self.cost, now, host) {
            Charged::Made(state, receipt) if table.rule().turn(state, now) > 0 => {
                table.give_turn_back(caller, receipt, self.cost, now, host);
                None
            }
            Charged::Made(state, receipt) => Some(Ok((state, receipt))),
            Charged::Refused(..) | Charged::Contended | Charged::Unavailable => None,
        }
    }
}

impl plan::Limit for PlannedLimit {
    fn name(&self) -> &str {
        &self.limit.name
    }

    fn is_told(&self) -> [bool; 2] {
        let shown = self.limit.headers;
        [shown.x_ratelimit, shown.ietf]
    }

    fn charge(
        &self,
        caller: &Caller<'_>,
        may_refuse: bool,
        now: u64,
        host: &dyn Host,
    ) -> Option<Charge> {
        let (table, caller) = (self.table()?, self.caller(caller, host)?);
        let charge = |State(state), receipt: Option<Receipt>| Charge {
            caller,
            state,
            receipt: receipt.map(|Receipt(receipt)| receipt),
            at: now,
        };
        // Where requests may have to wait, each is looked at before it is charged.
        let alone = match self.limit.delay {
            None => table.charge_alone(caller, self.cost, now, host),
            Some(_) => None,
        };
        let made = match alone {
            Some(made) => made,
            None => match self.charge_among_others(caller, may_refuse, now, host)? {
                Ok(made) => made,
                Err(state) => return Some(charge(state, None)),
            },
        };
        count(&self.limit.counts.ok);
        let (state, receipt) = made;
        Some(charge(state, Some(receipt)))
    }

    fn refusal(&self) -> (Refusal, Counter) {
        let refusal = Refusal::new(refusals::reason(&self.limit));
        let refusal = refusal.because(self.limit.detail(Some(0)));
        (refusal, Event::RateLimited.counter())
    }

    fn standing(&self, charge: &Charge) -> LimitStatus {
        let state = State(charge.state);
        let known = self.table();
        let known = known.map(|table| standing(table, state, charge.at, self.cost));
        known.unwrap_or_default()
    }

    fn enter(&self, charge: &Charge, facts: &mut Facts) {
        if let Some(ledger) = facts.limits.keep::<LimitResults>() {
            ledger.entries.push(LimitResult {
                limit: Rc::clone(&self.limit),
                tier: 0,
                caller: charge.caller,
                cost: self.cost,
                receipt: charge.receipt.map(Receipt),
                afterwards: None,
                is_of_query: false,
                state: State(charge.state),
                at: charge.at,
                enforced: true,
            });
            if charge.receipt.is_none() {
                ledger.refused_by(Some(0));
            }
        }
    }
}
