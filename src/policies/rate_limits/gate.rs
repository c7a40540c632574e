//! Asks the limits of one stage.

use std::borrow::Cow;
use std::rc::Rc;
use std::slice;
use std::time::Duration;

use super::algorithm::nanoseconds;
use super::charge::ChargedOn;
use super::cost::Cost;
use super::counts::count;
use super::delay::AwaitedTurn;
use super::key::{Caller, KeyError};
use super::ledger::{LimitResult, LimitResults};
use super::limit::Limit;
use super::lookup::KeyLookup;
use super::refusals;
use super::spend::{Charge, LimitCheck, LimitVerdict, spend};
use portcullis_document::{DidYouMean, Quoted};
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::exchange::{Exchange, Facts, Finished};
use portcullis_exchange::host::Host;
use portcullis_exchange::meter::{Event, Timing};
use portcullis_exchange::plan::Draft;
use portcullis_exchange::policy::{
    Declaration, Misfits, Placement, Policy, RoleSource, RouteCredentials, Verdict,
};
use portcullis_exchange::refusal::Refusal;
use portcullis_exchange::seed::{Hashed, Seed};
use portcullis_exchange::turn::TurnPlace;
use portcullis_exchange::wait::{Wait, Wake};

/// A limit as one route has it.
#[derive(Clone, Debug)]
pub(super) struct RouteLimit {
    pub(super) limit: Rc<Limit>,
    pub(super) cost: Cost,
}

/// All limits of a route that can be asked at one stage.
pub(super) struct Gate {
    /// In force for all requests, or for a share of them.
    pub(super) enforced: Vec<RouteLimit>,
    /// In shadow mode for all requests.
    pub(super) shadow: Vec<RouteLimit>,
    /// Whether one of those in force is so for a share of requests.
    pub(super) has_shares: bool,
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
        let in_force = self.in_force(exchange, host);
        let asked = self.ask(&in_force, Mode::Enforce, exchange, now, host);
        let asked = asked.and_then(|turn| match turn {
            Some(turn) => begin_wait(turn, exchange.facts, now, host).map(Some),
            None => Ok(None),
        });
        match asked {
            Ok(None) => self.go_on(exchange, now, host),
            Ok(Some(until)) => Verdict::Wait(Wait::Turn(Duration::from_nanos(until))),
            Err(refusal) => {
                if let Some(ledger) = exchange.facts.limits.kept_mut::<LimitResults>() {
                    ledger.take_back(now, host);
                }
                host.count(Event::RateLimited.counter());
                Verdict::Refuse(refusal)
            }
        }
    }

    /// Its turn has come.
    fn resume(&self, _: Wake<'_>, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        let now = nanoseconds(host.monotonic());
        let ledger = exchange.facts.limits.kept_mut::<LimitResults>();
        if let Some(turn) = ledger.and_then(|ledger| ledger.turn.take()) {
            const MILLISECOND: u64 = 1_000_000;
            let waited = now.saturating_sub(turn.since).wrapping_div(MILLISECOND);
            host.observe(Timing::Turn.histogram(), waited);
        }
        self.go_on(exchange, now, host)
    }

    /// It goes on at once: nobody enforces that it waits.
    fn not_waited(&self, facts: &mut Facts) {
        if let Some(ledger) = facts.limits.kept_mut::<LimitResults>() {
            ledger.turn = None;
        }
    }

    /// Somebody else has refused it while it waited.
    fn refused(&self, _: &Refusal, _: Option<&'static str>, facts: &mut Facts, host: &dyn Host) {
        give_turn_back(facts, host);
    }

    /// It has ended, and may still have waited.
    fn finished(&self, exchange: &mut Finished<'_>, host: &dyn Host) {
        give_turn_back(exchange.facts, host);
    }

    fn plan(&self, draft: &mut Draft<'_>) -> Option<()> {
        self.put_on(draft)
    }

    fn declares(&self) -> Declaration {
        let limits = || self.enforced.iter().chain(&self.shadow);
        let mut enforced = self.enforced.iter();
        Declaration {
            counted_request_headers: limits()
                .flat_map(|applied| applied.limit.key.header_names())
                .cloned()
                .collect(),
            counts_claimants: limits().any(|each| each.limit.key.has_claimed_subject()),
            evadable: limits().flat_map(|each| each.limit.evasions()).collect(),
            bounds_clients: enforced.any(|each| each.limit.bounds_clients()),
            minds_end_if_asked: self.enforced.iter().any(RouteLimit::delays),
            draws: self.enforced.iter().any(|each| each.limit.rollout.draws()),
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

    fn placed(&self, route: Placement<'_>) {
        for applied in self.enforced.iter().chain(&self.shadow) {
            applied.limit.usage.placed(&route);
        }
    }
}

impl RouteLimit {
    /// Whether requests wait that it has no room for.
    pub(super) fn delays(&self) -> bool {
        self.limit.delay.is_some()
    }
}

/// A turn that a limit gives, for which a request has to wait.
struct GivenTurn {
    /// The place of the limit's result.
    entry: usize,
    /// How long.
    wait: u64,
    limit: Rc<Limit>,
}

/// Begins to wait for a turn; until when. If there is no place for one more that waits, it is refused.
fn begin_wait(
    turn: GivenTurn,
    facts: &mut Facts,
    now: u64,
    host: &dyn Host,
) -> Result<u64, Refusal> {
    let GivenTurn { entry, wait, limit } = turn;
    let place = TurnPlace::take(Rc::as_ptr(&limit).addr());
    let ledger = facts.limits.kept_mut::<LimitResults>();
    let (Some(place), Some(ledger)) = (place, ledger) else {
        if let Some(ledger) = facts.limits.kept_mut::<LimitResults>() {
            ledger.give_turn_back(entry, now, host);
            ledger.refused_by(Some(entry));
        }
        count(&limit.counts.rate_limited);
        let tier = facts.limits.kept::<LimitResults>();
        let tier = tier.and_then(|ledger| ledger.entries.get(entry));
        let detail = limit.detail(tier.map(|entry| entry.tier));
        return Err(refusals::limited(refusals::reason(&limit), wait).because(detail));
    };
    ledger.turn = Some(AwaitedTurn::new(entry, now, &limit.counts, place));
    host.count(Event::RateLimitDelayed.counter());
    Ok(now.saturating_add(wait))
}

/// A request waits for its turn no more, if it has: it is given back.
fn give_turn_back(facts: &mut Facts, host: &dyn Host) {
    let ledger = facts.limits.kept_mut::<LimitResults>();
    if let Some(ledger) = ledger
        && let Some(turn) = ledger.turn.take()
    {
        let now = nanoseconds(host.monotonic());
        ledger.give_turn_back(turn.entry, now, host);
    }
}

impl Gate {
    /// The limits that are in force for a request.
    fn in_force(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Cow<'_, [RouteLimit]> {
        if !self.has_shares {
            return Cow::Borrowed(&self.enforced);
        }
        let is_in =
            |each: &&RouteLimit| each.limit.rollout.mode_for(exchange, host) == Mode::Enforce;
        Cow::Owned(self.enforced.iter().filter(is_in).cloned().collect())
    }

    /// Lets a request go on that the limits in force have let pass.
    fn go_on(&self, exchange: &mut Exchange<'_>, now: u64, host: &dyn Host) -> Verdict {
        if self.is_last {
            host.count(Event::RateLimitOk.counter());
        }
        let mut not_in_force: Vec<&RouteLimit> = Vec::new();
        if self.has_shares {
            let is_out =
                |each: &&RouteLimit| each.limit.rollout.mode_for(exchange, host) == Mode::Shadow;
            not_in_force.extend(self.enforced.iter().filter(is_out));
        }
        // One by one: what one of them would refuse is nothing to the others.
        for applied in self.shadow.iter().chain(not_in_force) {
            let limit = slice::from_ref(applied);
            match self.ask(limit, Mode::Shadow, exchange, now, host) {
                Ok(None) => {}
                Ok(Some(turn)) => count(&turn.limit.counts.shadow_delayed),
                Err(refusal) => exchange.shadow.push(refusal),
            }
        }
        Verdict::Pass
    }

    /// Charges all of these limits, which are in that mode for the request, or none. The turn that the request has to wait for, if one gives it any.
    fn ask(
        &self,
        limits: &[RouteLimit],
        mode: Mode,
        exchange: &mut Exchange<'_>,
        now: u64,
        host: &dyn Host,
    ) -> Result<Option<GivenTurn>, Refusal> {
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
            return Ok(None);
        }
        let Some(ledger) = exchange.facts.limits.keep::<LimitResults>() else {
            // What is kept is of another policy: nothing could be given back.
            return Err(refusals::failed());
        };
        let entries = &mut ledger.entries;
        entries.reserve_exact(said.len());
        let (mut refusal, mut refusing): (Option<(u64, Refusal)>, _) = (None, None);
        let mut turn: Option<GivenTurn> = None;
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
                    let wait = demand.table.rule().turn(state, now);
                    if wait > 0 {
                        // A route has one limit that delays, or it does not compile.
                        let (entry, limit) = (entries.len(), Rc::clone(&applied.limit));
                        turn = Some(GivenTurn { entry, wait, limit });
                    }
                    (state, Some(receipt))
                }
                LimitVerdict::Passes(state) => {
                    count(&applied.limit.counts.ok);
                    (state, None)
                }
                LimitVerdict::Refused(state, wait) => {
                    let counts = &applied.limit.counts;
                    count(match mode {
                        Mode::Enforce => &counts.rate_limited,
                        Mode::Shadow => &counts.shadow_denied,
                    });
                    // The client has to wait for the last of them.
                    if refusal.as_ref().is_none_or(|(longest, _)| wait > *longest) {
                        refusing = Some(entries.len());
                        let reason = refusals::reason(&applied.limit);
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
                is_of_query: applied.cost.is_of_query,
                state,
                at: now,
                enforced: mode == Mode::Enforce,
            });
        }
        let Some((_, refusal)) = refusal else {
            return Ok(turn);
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
        match KeyLookup::of(&limit.key, limit.missing, &self.seed, &caller) {
            KeyLookup::No => Lookup::No,
            KeyLookup::Of(hashed) => Lookup::Of(tier, hashed),
            KeyLookup::Failed => Lookup::Failed,
            KeyLookup::Unkeyed(unkeyed) => Lookup::Unkeyed(unkeyed),
        }
    }
}
