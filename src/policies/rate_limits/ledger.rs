//! What limits said of one request, and what it has been charged.

use std::rc::Rc;

use super::algorithm::nanoseconds;
use super::algorithm::{Receipt, State};
use super::charge::{ChargedOn, Learned, Statuses};
use super::cost::Afterwards;
use super::delay::AwaitedTurn;
use super::limit::Limit;
use super::table::{Charged, CounterStore};
use portcullis_exchange::host::Host;
use portcullis_exchange::limits::{LimitRecord, LimitStatus};
use portcullis_exchange::seed::Hashed;

/// All that limits said of a request, in the order in which they were asked.
#[derive(Debug, Default)]
pub(super) struct LimitResults {
    pub(super) entries: Vec<LimitResult>,
    /// The place of the one that refused.
    refusing: Option<usize>,
    /// Whether the service has got the head of the request.
    is_under_way: bool,
    /// Of limits that are for a share of requests, whether each is in force for this one.
    shares: Vec<(Rc<str>, bool)>,
    /// Set while it waits for its turn.
    pub(super) turn: Option<AwaitedTurn>,
}

/// What one limit said.
#[derive(Debug)]
pub(super) struct LimitResult {
    pub(super) limit: Rc<Limit>,
    pub(super) tier: usize,
    pub(super) caller: Hashed,
    /// What the request costs when it comes.
    pub(super) cost: u64,
    /// What has been charged, for as long as it can be given back.
    pub(super) receipt: Option<Receipt>,
    /// What the response changes of that.
    pub(super) afterwards: Option<Afterwards>,
    /// Whether what it asks for changes that, once it has been read.
    pub(super) is_of_query: bool,
    /// What was known of the caller after that.
    pub(super) state: State,
    /// When that was.
    pub(super) at: u64,
    pub(super) enforced: bool,
}

/// How a caller with that state stands.
pub(super) fn standing(table: &CounterStore, state: State, now: u64, cost: u64) -> LimitStatus {
    let rule = table.rule();
    let (remaining, reset) = rule.standing(state, now, cost);
    LimitStatus {
        quota: rule.quota(),
        period: rule.period(),
        remaining,
        reset,
    }
}

impl LimitResult {
    pub(super) fn table(&self) -> Option<&CounterStore> {
        self.limit.table(self.tier)
    }

    /// How the caller stands: worked out for those who ask.
    pub(super) fn standing(&self) -> LimitStatus {
        let table = self.table();
        let standing = table.map(|table| standing(table, self.state, self.at, self.cost));
        standing.unwrap_or_default()
    }
}

impl LimitRecord for LimitResults {
    fn tightest(&self) -> Option<(&str, LimitStatus)> {
        let refusing = self.refusing.and_then(|place| self.entries.get(place));
        let found = match refusing.filter(|entry| entry.enforced) {
            Some(entry) => Some((entry, entry.standing())),
            None => tightest(self.entries.iter().filter(|entry| entry.enforced)),
        };
        found.map(|(entry, standing)| (&*entry.limit.name, standing))
    }

    fn goes_ahead(&mut self) {
        self.is_under_way = true;
    }

    fn never_asked(&mut self, host: &dyn Host) {
        let now = nanoseconds(host.monotonic());
        for entry in &mut self.entries {
            entry.settle_failure(false, now, host);
            entry.settle_cost(None, now, host);
        }
    }

    fn awaits_trailers(&self) -> bool {
        let mut entries = self.entries.iter();
        entries.any(|entry| entry.statuses().is_some())
    }

    fn memory(&self) -> usize {
        let entries = self
            .entries
            .capacity()
            .saturating_mul(size_of::<LimitResult>());
        let shares = self
            .shares
            .capacity()
            .saturating_mul(size_of::<(Rc<str>, bool)>());
        entries
            .saturating_add(shares)
            .saturating_add(size_of::<Self>())
    }

    fn shares(&self) -> &[(Rc<str>, bool)] {
        &self.shares
    }
}

impl LimitResults {
    /// Notes which one refused.
    pub(super) fn refused_by(&mut self, place: Option<usize>) {
        self.refusing = place;
    }

    /// Whether a limit that is for a share of requests is in force for this one, if that has been drawn.
    pub(super) fn share(&self, name: &str) -> Option<bool> {
        let mut shares = self.shares.iter();
        let found = shares.find(|(each, _)| &**each == name);
        found.map(|(_, is_in)| *is_in)
    }

    /// Notes that.
    pub(super) fn note_share(&mut self, name: Rc<str>, is_in: bool) {
        self.shares.push((name, is_in));
    }

    /// Takes back all that has been charged.
    pub(super) fn take_back(&mut self, now: u64, host: &dyn Host) {
        for entry in &mut self.entries {
            entry.give_back(entry.cost, now, host);
            entry.receipt = None;
        }
    }

    /// Gives the turn back that a limit gave, whose result has that place.
    pub(super) fn give_turn_back(&mut self, place: usize, now: u64, host: &dyn Host) {
        if let Some(entry) = self.entries.get_mut(place)
            && let (Some(receipt), Some(table)) =
                (entry.receipt.take(), entry.limit.table(entry.tier))
        {
            table.give_turn_back(entry.caller, receipt, entry.cost, now, host);
        }
    }

    /// Whether the service may have done something for the request.
    pub(super) fn is_under_way(&self) -> bool {
        self.is_under_way
    }
}

impl LimitResult {
    /// Charges more than before, whether or not there is room for it.
    pub(super) fn charge_more(&mut self, cost: u64, now: u64, host: &dyn Host) {
        let Some(table) = self.limit.table(self.tier) else {
            return;
        };
        if let Charged::Made(state, _) = table.charge_anyway(self.caller, cost, now, host) {
            (self.state, self.at) = (state, now);
        }
    }

    /// Gives back so much of what has been charged.
    fn give_back(&mut self, cost: u64, now: u64, host: &dyn Host) {
        let table = self.limit.table(self.tier);
        if let (Some(receipt), Some(table), 1..) = (self.receipt, table, cost) {
            table.refund(self.caller, receipt, cost, now, host);
            self.state = table.rule().refund(self.state, receipt, now, cost);
            self.at = now;
        }
    }

    /// Charges what the response says beyond what has been charged, or gives the rest back.
    pub(super) fn settle_cost(&mut self, said: Option<u64>, now: u64, host: &dyn Host) {
        let (Some(afterwards), Some(_)) = (self.afterwards.take(), self.receipt) else {
            return;
        };
        let cost = said.unwrap_or(afterwards.otherwise);
        match cost.checked_sub(self.cost) {
            None => self.give_back(self.cost.saturating_sub(cost), now, host),
            Some(0) => {}
            Some(more) => self.charge_more(more, now, host),
        }
    }

    /// The statuses with which it stays charged, while it is not known whether it does.
    fn statuses(&self) -> Option<Statuses> {
        match self.limit.charged {
            ChargedOn::Response(statuses) => self.receipt.and(Some(statuses)),
            ChargedOn::Request | ChargedOn::Refusal => None,
        }
    }

    /// Gives back what has been charged, unless the response is one of those that are. What never
    /// becomes known stays charged.
    pub(super) fn settle_status(&mut self, learned: Learned, now: u64, host: &dyn Host) {
        let (Some(statuses), Learned::Status(status)) = (self.statuses(), learned) else {
            return;
        };
        self.settle_failure(statuses.has(status), now, host);
    }

    /// The same, when it is known whether the request failed.
    pub(super) fn settle_failure(&mut self, failed: bool, now: u64, host: &dyn Host) {
        if self.statuses().is_some() {
            if !failed {
                self.give_back(self.cost, now, host);
            }
            self.receipt = None;
        }
    }
}

/// The least remains; among equals, the one that takes longest.
pub(super) fn tightest<'e>(
    entries: impl Iterator<Item = &'e LimitResult>,
) -> Option<(&'e LimitResult, LimitStatus)> {
    let all = entries.map(|entry| (entry, entry.standing()));
    all.min_by_key(|(_, standing)| (standing.remaining, std::cmp::Reverse(standing.reset)))
}
