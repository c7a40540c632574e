//! Several limits on one request: it is charged to all of them or to none.

use super::algorithm::{Receipt, State};
use super::table::{Charged, CounterStore, PendingCharge};
use portcullis_exchange::host::Host;
use portcullis_exchange::meter::Event;
use portcullis_exchange::seed::Hashed;

/// What one limit is asked for.
#[derive(Clone, Copy, Debug)]
pub struct LimitCheck<'l> {
    /// Where it counts.
    pub table: &'l CounterStore,
    /// Who asks.
    pub caller: Hashed,
    /// For how much.
    pub cost: u64,
    /// Whether it is charged now, or only asked whether it would be.
    pub charge: Charge,
    /// What to do when it cannot be asked.
    pub on_error: OnError,
    /// Which limit of its list it is, and which tier of that: for the caller.
    pub place: (usize, usize),
}

/// Whether a limit is charged when the request passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Charge {
    /// It is.
    Now,
    /// It may be, once more is known.
    Later,
}

/// What to do when the cells cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// Refuse the request.
    Deny,
    /// Go on as if the limit were not there.
    Allow,
}

/// What one limit says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitVerdict {
    /// It has been charged.
    Charged(State, Receipt),
    /// It would pass, and has not been charged.
    Passes(State),
    /// It does not pass; how long until it does.
    Refused(State, u64),
    /// It cannot be asked, and that refuses the request.
    Failed,
    /// It cannot be asked, and that does not matter.
    Ignored,
}

/// Charges all demands, or none if one of them refuses.
///
/// All limits are read first, so a request that one refuses as things stand costs no write at
/// all. Then one after the other is charged, if nothing has changed since. Where something has,
/// the limit is judged anew; if it refuses now, what has been charged is taken back.
pub fn spend(demands: &[LimitCheck<'_>], now: u64, host: &dyn Host) -> Vec<LimitVerdict> {
    let mut said = Vec::with_capacity(demands.len());
    // Most requests have one limit, and no list then.
    let mut one = [None];
    let mut more = Vec::new();
    let drafts: &mut [Option<PendingCharge>] = match demands.len() {
        0 | 1 => &mut one,
        count => {
            more.resize_with(count, || None);
            &mut more
        }
    };
    for (demand, place) in demands.iter().zip(&mut *drafts) {
        let LimitCheck {
            table,
            caller,
            cost,
            ..
        } = *demand;
        let draft = match demand.charge {
            Charge::Now => table.draft_to_charge(caller, cost, now, host),
            Charge::Later => table.draft(caller, cost, now, host),
        };
        said.push(match &draft {
            Err(_) => demand.on_error.said(host),
            Ok(draft) => match draft.wait() {
                None => LimitVerdict::Passes(draft.before()),
                Some(wait) => LimitVerdict::Refused(draft.before(), wait),
            },
        });
        *place = draft.ok();
    }
    let is_refused = said.iter().any(LimitVerdict::refuses);
    for (index, (demand, draft)) in demands.iter().zip(drafts).enumerate() {
        let Some(draft) = draft.take() else {
            continue;
        };
        if is_refused || demand.charge == Charge::Later {
            demand.table.leave(draft, host);
            continue;
        }
        let charged = demand
            .table
            .charge(draft, demand.caller, demand.cost, now, host);
        let outcome = match charged {
            Charged::Made(state, receipt) => LimitVerdict::Charged(state, receipt),
            Charged::Refused(state, wait) => LimitVerdict::Refused(state, wait),
            Charged::Contended => {
                host.count(Event::RateLimitContended.counter());
                demand.on_error.said(host)
            }
            Charged::Unavailable => demand.on_error.said(host),
        };
        if let Some(place) = said.get_mut(index) {
            *place = outcome;
        }
        if outcome.refuses() {
            take_back(demands, &mut said, now, host);
            break;
        }
    }
    said
}

fn take_back(demands: &[LimitCheck<'_>], said: &mut [LimitVerdict], now: u64, host: &dyn Host) {
    for (demand, outcome) in demands.iter().zip(said) {
        if let LimitVerdict::Charged(state, receipt) = *outcome {
            let LimitCheck { caller, cost, .. } = *demand;
            demand.table.refund(caller, receipt, cost, now, host);
            let before = demand.table.rule().refund(state, receipt, now, cost);
            *outcome = LimitVerdict::Passes(before);
        }
    }
}

impl LimitVerdict {
    /// Whether the request may not pass because of it.
    pub fn refuses(&self) -> bool {
        matches!(self, LimitVerdict::Refused(..) | LimitVerdict::Failed)
    }
}

impl OnError {
    /// What a limit says that cannot be asked.
    pub fn said(self, host: &dyn Host) -> LimitVerdict {
        host.count(Event::RateLimitFailed.counter());
        match self {
            OnError::Deny => LimitVerdict::Failed,
            OnError::Allow => LimitVerdict::Ignored,
        }
    }
}
