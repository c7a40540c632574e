//! What has been counted and measured, and what has been written.

use std::collections::{BTreeMap, VecDeque};

use portcullis_exchange::host::{Counter, Histogram, Level, MetricId, MetricKind};

/// Counters and histograms by their numbers. How many there are is up to the code: nothing a
/// client sends is one.
#[derive(Debug, Default)]
pub(super) struct Registry {
    counters: BTreeMap<usize, u64>,
    histograms: BTreeMap<usize, Recorded>,
    /// What documents brought; the number of each is its place.
    named: Vec<(MetricKind, String, i64)>,
}

/// The last lines of the log, up to 1024 of them.
#[derive(Debug, Default)]
pub(super) struct Lines(VecDeque<(Level, String)>);

/// What a histogram has recorded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// How many values.
    pub count: u64,
    /// All of them together.
    pub sum: u64,
    /// The latest, up to 1024 of them, in order.
    pub latest: VecDeque<u64>,
}

const MOST_LATEST: usize = 1024;
/// So many metrics can have names at the most. Documents have far fewer.
const MOST_NAMED: usize = 1 << 16;

impl Registry {
    pub(super) fn count(&mut self, Counter(number): Counter, many: u64) {
        let counted = self.counters.entry(number).or_default();
        *counted = counted.saturating_add(many);
    }

    pub(super) fn counted(&self, Counter(number): Counter) -> u64 {
        self.counters.get(&number).copied().unwrap_or(0)
    }

    pub(super) fn record(&mut self, Histogram(number): Histogram, value: u64) {
        let recorded = self.histograms.entry(number).or_default();
        recorded.count = recorded.count.saturating_add(1);
        recorded.sum = recorded.sum.saturating_add(value);
        if recorded.latest.len() == MOST_LATEST {
            recorded.latest.pop_front();
        }
        recorded.latest.push_back(value);
    }

    /// The number of a metric. One that is known keeps its own, and its value.
    pub(super) fn define(&mut self, kind: MetricKind, name: &str) -> Option<MetricId> {
        let mut named = self.named.iter();
        let known = named.position(|(each, known, _)| (*each, known.as_str()) == (kind, name));
        let place = match known {
            Some(place) => place,
            None if self.named.len() >= MOST_NAMED => return None,
            None => {
                self.named.push((kind, name.to_owned(), 0));
                self.named.len().saturating_sub(1)
            }
        };
        u32::try_from(place).ok().map(MetricId)
    }

    /// The value of a metric of that number; none of one that was never defined.
    pub(super) fn value(&mut self, MetricId(place): MetricId) -> Option<&mut i64> {
        let named = self.named.get_mut(usize::try_from(place).ok()?);
        named.map(|(_, _, value)| value)
    }

    pub(super) fn named(&self, name: &str) -> Option<i64> {
        let found = self.named.iter().find(|(_, known, _)| known == name);
        found.map(|(_, _, value)| *value)
    }

    pub(super) fn recorded(&self, Histogram(number): Histogram) -> Recorded {
        self.histograms.get(&number).cloned().unwrap_or_default()
    }
}

impl Lines {
    pub(super) fn push(&mut self, level: Level, line: &str) {
        if self.0.len() == MOST_LATEST {
            self.0.pop_front();
        }
        self.0.push_back((level, line.to_owned()));
    }

    pub(super) fn take(&mut self) -> Vec<(Level, String)> {
        self.0.drain(..).collect()
    }
}
