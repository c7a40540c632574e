//! What becomes of requests that a limit has no room for: they are refused, or wait for their turn.

use std::rc::Rc;
use std::time::Duration;

use super::algorithm::{LimitAlgorithm, nanoseconds};
use super::charge::ChargedOn;
use super::cost::Cost;
use super::counts::{Counts, add, count};
use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::turn::TurnPlace;
use portcullis_exchange::wait::LONGEST;

/// `on_limit: { delay: { max, queue } }`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LimitDelay {
    /// How long a request waits at most.
    pub max: Duration,
    /// How many of one key wait at once.
    pub queue: u64,
    /// Whether the document says how many.
    says_queue: bool,
}

/// The shortest wait that ticks can tell.
const SHORTEST: Duration = Duration::from_millis(1);

/// The most that wait for one key: more than a worker lets wait.
const LONGEST_QUEUE: u64 = 10_000;

/// How many wait at once unless the document says so.
const USUAL_QUEUE: u64 = 100;

/// Above that, many a client has given up.
const LONG: Duration = Duration::from_secs(15);

impl LimitDelay {
    /// Reads `on_limit`: `refuse`, which is no delay, or one.
    pub fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Option<Self>> {
        if node.json().as_str() == Some("refuse") {
            return Some(None);
        }
        let instead = "\"refuse\", or {\"delay\": {\"max\": \"2s\", \"queue\": 100}}";
        let mut fields = node.object(problems, instead)?;
        let delay = fields.required("delay", problems);
        fields.deny_unknown(problems);
        let mut fields = delay?.object(problems, "{\"max\": \"2s\", \"queue\": 100}")?;
        let max = fields
            .required("max", problems)
            .and_then(|node| read_max(&node, problems));
        let says_queue = fields.optional("queue").is_some();
        let queue = fields.or_default("queue", USUAL_QUEUE, problems, |node, problems| {
            node.integer(problems, 1..=LONGEST_QUEUE)
        });
        fields.deny_unknown(problems);
        let (max, queue) = (max?, queue?);
        Some(Some(Self {
            max,
            queue,
            says_queue,
        }))
    }

    /// What an operator should know of it.
    pub fn remark(&self) -> Option<&'static str> {
        (self.max > LONG).then_some(
            "many clients and proxies give up after 15 seconds; what waits longer is lost work",
        )
    }

    /// Which of `max` and `queue` says nothing beside the other, with its field, where turns come up as often as these
    /// rules say. Bounds that are near to each other are both meant.
    pub(super) fn one_bound<'r>(
        &self,
        rules: impl Iterator<Item = &'r LimitAlgorithm>,
    ) -> Option<(&'static str, String)> {
        const FAR: u64 = 2;
        let turns = rules.filter_map(|rule| rule.period().checked_div(rule.quota()));
        let turns: Vec<u64> = turns.collect();
        let (quickest, slowest) = (*turns.iter().min()?, *turns.iter().max()?);
        let max = nanoseconds(self.max);
        let queue = |turn: u64| turn.saturating_mul(self.queue);
        let (max_text, queue_text) = (plain(max), self.queue);
        if quickest > max.saturating_mul(FAR) {
            return Some((
                "on_limit/delay/max",
                format!(
                    "a turn comes up every {}, so that hardly any request gets one within {max_text}; make `max` longer, or leave `on_limit` out",
                    plain(quickest)
                ),
            ));
        }
        if queue(slowest).saturating_mul(FAR) < max {
            return Some((
                "on_limit/delay/max",
                format!(
                    "`queue` bounds the wait, and not this: {queue_text} that wait are through in {}, so that none waits for {max_text}; make `queue` larger, or `max` shorter",
                    plain(queue(slowest))
                ),
            ));
        }
        (self.says_queue && queue(quickest) > max.saturating_mul(FAR)).then(|| {
            let most = max.checked_div(quickest).unwrap_or(self.queue);
            (
                "on_limit/delay/queue",
                format!(
                    "`max` bounds who waits, and not this: no more than {most} get their turn within {max_text}, so that {queue_text} never wait; make `max` longer, or `queue` smaller"
                ),
            )
        })
    }

    /// A rule whose requests wait; none, once that has been reported, if it cannot say when.
    pub(super) fn of(
        &self,
        rule: LimitAlgorithm,
        fields: &Fields<'_>,
        problems: &mut Problems,
    ) -> Option<LimitAlgorithm> {
        let delayed = rule.with_delay(nanoseconds(self.max), self.queue);
        if delayed.is_none() {
            problems.report(
                &fields.pointer().member("on_limit"),
                "a `sliding_window` cannot say when it is whose turn; use `token_bucket`, in tiers too, or `on_limit: \"refuse\"`",
            );
        }
        delayed
    }

    /// Whether what is charged stays charged: a turn is not given back behind which others wait.
    pub(super) fn suits(
        charged: ChargedOn,
        cost: &Cost,
        fields: &Fields<'_>,
        problems: &mut Problems,
    ) -> bool {
        let is_known = cost.afterwards.is_none() && !cost.is_of_query;
        let told = match charged {
            ChargedOn::Request if is_known => return true,
            ChargedOn::Request => (
                "cost",
                "a limit that delays has a cost that is known before; write a number, or `on_limit: \"refuse\"`",
            ),
            _ => (
                "charge",
                "a limit that counts failures cannot delay: who guesses would wait, and go on guessing; leave `on_limit` out",
            ),
        };
        let (field, text) = told;
        problems.report(&fields.pointer().member(field), text);
        false
    }
}

/// So many nanoseconds for people, who want no more than three or four digits.
fn plain(nanoseconds: u64) -> String {
    let whole = Duration::from_nanos(nanoseconds);
    let cut = match nanoseconds {
        0..1_000_000 => Duration::from_micros(nanoseconds.div_ceil(1000)),
        1_000_000..10_000_000_000 => {
            Duration::from_millis(u64::try_from(whole.as_millis()).unwrap_or(u64::MAX))
        }
        _ => Duration::from_secs(whole.as_secs()),
    };
    format!("{cut:?}")
}

fn read_max(node: &Node<'_>, problems: &mut Problems) -> Option<Duration> {
    let max = node.duration(problems)?;
    let fits = (SHORTEST..=LONGEST).contains(&max);
    if !fits {
        node.report(problems, "must be between 1ms and 60s");
    }
    fits.then_some(max)
}

/// A request that waits for its turn. It is counted among those that do for as long as this is there.
#[derive(Debug)]
pub(super) struct AwaitedTurn {
    /// The place of the limit's result.
    pub(super) entry: usize,
    /// Since when.
    pub(super) since: u64,
    counts: Rc<Counts>,
    _place: TurnPlace,
}

impl AwaitedTurn {
    pub(super) fn new(entry: usize, since: u64, counts: &Rc<Counts>, place: TurnPlace) -> Self {
        count(&counts.delayed);
        add(&counts.waiting, 1);
        Self {
            entry,
            since,
            counts: Rc::clone(counts),
            _place: place,
        }
    }
}

impl Drop for AwaitedTurn {
    fn drop(&mut self) {
        add(&self.counts.waiting, -1);
    }
}
