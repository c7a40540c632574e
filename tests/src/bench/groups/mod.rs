//! What is compared with what: each group of chains is measured in one go, round by round.

mod browser;
mod limits;
pub(super) mod payload;
mod records;
mod tokens;
mod whole;
mod workloads;

use std::path::Path;

use super::chain::Chain;
use super::scratch::Scratch;

/// Chains that are compared with each other.
pub(super) struct Group {
    /// Its name on the command line and in the results.
    pub(super) name: &'static str,
    /// What it shows.
    pub(super) about: &'static str,
    /// Its chains, in the order of the table.
    pub(super) chains: fn(&Path, &Scratch) -> Vec<Chain>,
    pub(super) comparisons: &'static [Comparison],
    /// The chains whose latency is compared at equal load, the peers first.
    pub(super) equal_load: &'static [&'static str],
}

/// One chain by another.
pub(super) struct Comparison {
    pub(super) of: &'static str,
    pub(super) against: &'static str,
    /// What is aimed at: requests per second, as a share of the other's.
    pub(super) aim: Option<f64>,
}

/// Every group.
pub(super) const ALL: &[Group] = &[
    whole::GROUP,
    workloads::GROUP,
    tokens::GROUP,
    limits::GROUP,
    browser::GROUP,
    records::GROUP,
    payload::GROUP,
];

const fn compare(of: &'static str, against: &'static str, aim: Option<f64>) -> Comparison {
    Comparison { of, against, aim }
}
