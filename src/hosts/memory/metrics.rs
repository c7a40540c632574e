//! What has been counted and measured.

use std::collections::{BTreeMap, VecDeque};

use crate::host::{Counter, Histogram};

/// Counters and histograms by their numbers. How many there are is up to the code: nothing a
/// client sends is one.
#[derive(Debug, Default)]
pub(super) struct Metrics {
    counters: BTreeMap<usize, u64>,
    histograms: BTreeMap<usize, Recorded>,
}

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

impl Metrics {
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

    pub(super) fn recorded(&self, Histogram(number): Histogram) -> Recorded {
        self.histograms.get(&number).cloned().unwrap_or_default()
    }
}
