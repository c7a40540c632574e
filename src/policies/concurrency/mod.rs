//! How many requests of one key may be under way at once, over all workers.
//!
//! A request takes a place and gives it back when its exchange ends, whatever way: the proxy tells
//! of every end. What a worker held that is gone lapses. INVARIANT: a place is given back once: whoever has it is
//! one value, and that is gone with it.

mod read;
pub mod refusals;

use std::rc::Rc;
use std::time::Duration;

use crate::places::{HeldPlace, PlaceAnswer, PlaceCounts, PlaceStore};
use crate::rate_limits::key::{Caller, Key};
use crate::rate_limits::refusals::detail;
use crate::rate_limits::{KeyLookup, LimitDelay, Missing};
use portcullis_exchange::exchange::{Exchange, Facts, Finished};
use portcullis_exchange::host::Host;
use portcullis_exchange::meter::{Event, Timing};
use portcullis_exchange::policy::{
    Compile, Declaration, Misfits, Policy, PolicyKind, Role, RouteCredentials, Stage, Verdict,
};
use portcullis_exchange::refusal::{Reason, Refusal};
use portcullis_exchange::seed::Seed;
use portcullis_exchange::turn::TurnPlace;
use portcullis_exchange::wait::{Wait, Wake};

/// `concurrency: { key, max }`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "concurrency",
    role: Role::Guards,
    codes: refusals::CODES,
    compile: Compile::Object(read::compile),
    rules: &[],
};

/// What to do when places cannot be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WithoutPlaces {
    Deny,
    Allow,
}

/// The limit of one block.
struct Concurrency {
    name: Rc<str>,
    /// Where it stands in the document.
    pointer: Rc<str>,
    key: Key,
    missing: Missing,
    max: u64,
    delay: Option<LimitDelay>,
    on_error: WithoutPlaces,
    store: Rc<PlaceStore>,
    seed: Rc<Seed>,
    counts: Rc<PlaceCounts>,
}

/// What a request has.
struct Flight {
    place: Option<HeldPlace>,
    counts: Rc<PlaceCounts>,
    waits: Option<FlightWait>,
}

/// While it waits.
struct FlightWait {
    since: Duration,
    /// When it has waited for long enough.
    until: Duration,
    _place: TurnPlace,
}

/// How soon a request that waits looks for a place again, at first and at last: a free place waits as long for it.
const SOONEST: Duration = Duration::from_millis(5);
const LATEST: Duration = Duration::from_millis(50);

impl Flight {
    fn new(place: HeldPlace, waits: Option<FlightWait>, counts: &Rc<PlaceCounts>) -> Self {
        let now = match waits {
            Some(_) => &counts.waiting,
            None => &counts.in_flight,
        };
        PlaceCounts::add(now, 1);
        Self {
            place: Some(place),
            counts: Rc::clone(counts),
            waits,
        }
    }

    /// It waits no more: it has a place.
    fn begins(&mut self) {
        if self.waits.take().is_some() {
            PlaceCounts::add(&self.counts.waiting, -1);
            PlaceCounts::add(&self.counts.in_flight, 1);
        }
    }

    fn end(mut self, host: &dyn Host) {
        if let Some(place) = self.place.take() {
            place.give_back(host);
        }
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let now = match self.waits {
            Some(_) => &self.counts.waiting,
            None => &self.counts.in_flight,
        };
        PlaceCounts::add(now, -1);
    }
}

impl Policy for Concurrency {
    fn check_request(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        let caller = Caller {
            request: exchange.request,
            route: exchange.route,
            facts: exchange.facts,
            host,
        };
        let caller = match KeyLookup::of(&self.key, self.missing, &self.seed, &caller) {
            KeyLookup::No => return Verdict::Pass,
            KeyLookup::Of(caller) => caller,
            // What is only tried chooses no seed: nobody has a place yet.
            KeyLookup::Failed if host.is_read_only() => return Verdict::Pass,
            KeyLookup::Failed => return self.failed(&refusals::CELLS, host),
            KeyLookup::Unkeyed(unkeyed) => return self.refuse(refusals::unkeyed(unkeyed)),
        };
        let turn = self.delay.and_then(|delay| {
            let place = TurnPlace::take(Rc::as_ptr(&self.store).addr())?;
            Some((delay, place))
        });
        // Without room for one more that waits here, it still passes nobody who does.
        let queue = self.delay.map(|delay| match turn {
            Some(_) => delay.queue,
            None => 0,
        });
        let place = match self.store.ask(caller, self.max, queue, host) {
            PlaceAnswer::Held(place) => place,
            PlaceAnswer::Full => {
                let reason = match self.delay {
                    Some(_) => &refusals::QUEUE,
                    None => &refusals::IN_FLIGHT,
                };
                return self.limited(reason, host);
            }
            PlaceAnswer::Crowded => return self.failed(&refusals::CROWDED, host),
            PlaceAnswer::Contended | PlaceAnswer::Unavailable => {
                return self.failed(&refusals::CELLS, host);
            }
        };
        if host.is_read_only() {
            return match place.waits() {
                true => Verdict::Wait(Wait::Turn(host.monotonic())),
                false => Verdict::Pass,
            };
        }
        match turn.filter(|_| place.waits()) {
            None => {
                PlaceCounts::add(&self.counts.ok, 1);
                exchange.facts.seldom_mut().place =
                    Some(Box::new(Flight::new(place, None, &self.counts)));
                Verdict::Pass
            }
            Some((delay, turn)) => {
                let since = host.monotonic();
                let until = since.saturating_add(delay.max);
                let wait = FlightWait {
                    since,
                    until,
                    _place: turn,
                };
                PlaceCounts::add(&self.counts.delayed, 1);
                host.count(Event::ConcurrencyDelayed.counter());
                exchange.facts.seldom_mut().place =
                    Some(Box::new(Flight::new(place, Some(wait), &self.counts)));
                Verdict::Wait(Wait::Turn(since.saturating_add(SOONEST).min(until)))
            }
        }
    }

    /// It looks for a place again.
    fn resume(&self, _: Wake<'_>, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        let now = host.monotonic();
        let Some(flight) = flight(exchange.facts) else {
            return self.failed(&refusals::CELLS, host);
        };
        let Some((since, until)) = flight.waits.as_ref().map(|wait| (wait.since, wait.until))
        else {
            return Verdict::Pass;
        };
        let waited = now.saturating_sub(since);
        let place = flight.place.as_mut();
        if place.is_some_and(|place| place.try_again(self.max, host)) {
            flight.begins();
            let millis = u64::try_from(waited.as_millis()).unwrap_or(u64::MAX);
            host.observe(Timing::Turn.histogram(), millis);
            PlaceCounts::add(&self.counts.ok, 1);
            return Verdict::Pass;
        }
        if now >= until {
            end(exchange.facts, host);
            return self.limited(&refusals::TIMEOUT, host);
        }
        let again = waited
            .checked_div(4)
            .unwrap_or(SOONEST)
            .clamp(SOONEST, LATEST);
        Verdict::Wait(Wait::Turn(now.saturating_add(again).min(until)))
    }

    /// It goes on without a place: nobody enforces that it has one.
    fn not_waited(&self, facts: &mut Facts) {
        facts.seldom_mut().place = None;
    }

    fn refused(&self, _: &Refusal, _: Option<&'static str>, facts: &mut Facts, host: &dyn Host) {
        end(facts, host);
    }

    fn finished(&self, exchange: &mut Finished<'_>, host: &dyn Host) {
        end(exchange.facts, host);
    }

    fn declares(&self) -> Declaration {
        let key = format!("{}/key", self.pointer);
        Declaration {
            counted_request_headers: self.key.header_names().cloned().collect(),
            counts_claimants: self.key.has_claimed_subject(),
            counts_versions: self.key.kinds().contains(&"version"),
            evadable: self.key.evasion(self.missing, &key).into_iter().collect(),
            minds_end: true,
            ..Declaration::default()
        }
    }

    fn misfits(&self, credentials: &RouteCredentials<'_>) -> Misfits {
        let mut misfits = Misfits::default();
        let is_unknown = credentials.guard.is_none() && self.missing != Missing::Skip;
        if self.key.stage() == Stage::Identity && is_unknown {
            misfits.problems.push(
                "the route asks for no credentials, so nobody has a subject or a claim; use \"client_address\" or another part that every request has, `missing: skip`, or `concurrency: off` on this route".to_owned(),
            );
        }
        misfits
    }
}

impl Concurrency {
    fn refuse(&self, refusal: Refusal) -> Verdict {
        let because = detail(Rc::clone(&self.pointer), &self.name, &self.key);
        Verdict::Refuse(refusal.because(because))
    }

    fn limited(&self, reason: &'static Reason, host: &dyn Host) -> Verdict {
        PlaceCounts::add(&self.counts.limited, 1);
        host.count(Event::ConcurrencyLimited.counter());
        self.refuse(refusals::after_a_second(reason))
    }

    fn failed(&self, reason: &'static Reason, host: &dyn Host) -> Verdict {
        host.count(Event::ConcurrencyFailed.counter());
        match self.on_error {
            WithoutPlaces::Allow => Verdict::Pass,
            WithoutPlaces::Deny => self.refuse(refusals::after_a_second(reason)),
        }
    }
}

fn flight(facts: &mut Facts) -> Option<&mut Flight> {
    facts.seldom()?.place.as_ref()?;
    facts.seldom_mut().place.as_mut()?.downcast_mut()
}

/// Gives back what the request has.
fn end(facts: &mut Facts, host: &dyn Host) {
    if facts.seldom().is_none_or(|seldom| seldom.place.is_none()) {
        return;
    }
    if let Some(place) = facts.seldom_mut().place.take()
        && let Ok(flight) = place.downcast::<Flight>()
    {
        flight.end(host);
    }
}
