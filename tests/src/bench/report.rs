//! The results: for people as tables, for others as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::costs::Costs;
use super::groups::{Aim, Comparison, Group, P99_AIM};
use super::machine::Machine;
use super::rounds::{Both, HalfLoad, Measured};
use super::spread::Aggregation;

/// Said under the tables, and in the results.
pub(super) const NOTES: &[&str] = &[
    "Both whole chains check the token, count one bucket for all with the x-ratelimit fields, answer CORS, set five header fields and write a record of each request. The answers are direct responses of the proxy: Envoy's `cors` adds nothing to those, so the native chains do that much less.",
    "In the group `browser` a service stands behind every chain, so that `cors` has its work: a second listener of the same Envoy, whose time is in all three figures. Native and module send the same fields.",
    "The same token comes with each request, except where tokens are new; there, more of them go round than the module remembers by default, and native jwt_authn remembers none.",
    "Requests of the group `refusals` are refused, each one: those over the limit have a good token that was seen before. Native refusals are a line of text, the module's a problem document.",
    "CPU is the time of all threads of the Envoy process on a processor, as the kernel counts it in nanoseconds, by answered requests; not that of the neighbour. Low is the mean of the lowest third of the rounds.",
    "The neighbour is a process on each of Envoy's cores that walks through 64 MiB for 100 µs and sleeps for 100 µs, again and again.",
    "Half load is half of the requests a second that the slowest of these chains answers at full load, at random times, in an open loop over 32 connections: a request that is due is sent, or its wait is counted, whatever came of the one before.",
    "Chains take turns in each round, in reversed order in every other; the neighbour's turn is a round of its own.",
    "The native access log goes to a file by Envoy's buffered logger. So does the module's record from the sink `filter_state`; from the sink `envoy_log` it goes to Envoy's own log, a file too, with a write for each line.",
    "Load time is the time from a new listener configuration to its acceptance, looked for every 5 ms, divided by how often on_configure ran, as Envoy's log counts it: in a VM that only tries the document, in the main thread's and in the worker's. The first VM of a process waits for the compiler as well; for those after it V8 has the code. For these, eight listeners are added at once.",
    "Memory: `new-tokens` is after that many different tokens, with a cache for 10000 of them in each worker.",
];

/// Everything that was measured.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) date: String,
    pub(super) note: String,
    pub(super) notes: &'static [&'static str],
    pub(super) machine: Machine,
    pub(super) load_average_after: f64,
    pub(super) envoy: String,
    pub(super) load_generator: String,
    pub(super) rounds: u32,
    pub(super) seconds: u32,
    pub(super) connections: u32,
    pub(super) different_tokens: u32,
    /// Envoy and the load generator on cores of their own.
    pub(super) pinned: bool,
    pub(super) groups: Vec<GroupReport>,
    pub(super) costs: Option<Costs>,
}

/// The figures of one group of chains.
#[derive(Debug, Serialize)]
pub(super) struct GroupReport {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) chains: Vec<Measured>,
    pub(super) comparisons: Vec<Compared>,
    pub(super) half_load: Option<HalfLoad>,
    /// The 99th percentile at half load of each chain, by that of the first.
    pub(super) half_load_p99: Vec<Compared>,
}

/// One chain by another, round by round.
#[derive(Debug, Serialize)]
pub(super) struct Compared {
    pub(super) of: &'static str,
    pub(super) against: &'static str,
    #[serde(flatten)]
    pub(super) ratio: Both<Aggregation>,
    /// Requests a second, on an idle machine.
    pub(super) requests_per_second: Option<Aggregation>,
    pub(super) aim: Option<Aimed>,
}

/// An aim, and what it is called.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Aimed {
    pub(super) name: String,
    pub(super) most: Both<f64>,
}

impl From<&Aim> for Aimed {
    fn from(aim: &Aim) -> Self {
        Self {
            name: aim.of.to_owned(),
            most: aim.most,
        }
    }
}

impl Compared {
    /// Whether the medians are within the aim.
    pub(super) fn meets(&self) -> Option<bool> {
        let most = self.aim.as_ref()?.most;
        let ratio = &self.ratio;
        Some(ratio.idle.median <= most.idle && ratio.busy.median <= most.busy)
    }
}

impl GroupReport {
    pub(super) fn of(group: &Group, chains: Vec<Measured>, half_load: Option<HalfLoad>) -> Self {
        let named = |id| chains.iter().find(|each| each.id == id);
        let comparisons = group.comparisons.iter().filter_map(|comparison| {
            let &Comparison {
                of,
                against,
                ref aim,
            } = comparison;
            let (ours, theirs) = (named(of)?, named(against)?);
            let per_second = ours.ratio(theirs, |sample| sample.requests_per_second);
            Some(Compared {
                of,
                against,
                ratio: ours.ratio(theirs, |sample| sample.cpu_us_per_request),
                requests_per_second: Some(per_second.idle),
                aim: aim.as_ref().map(Aimed::from),
            })
        });
        Self {
            name: group.name,
            about: group.about,
            comparisons: comparisons.collect(),
            half_load_p99: half_load.as_ref().map(p99).unwrap_or_default(),
            chains,
            half_load,
        }
    }

    /// What was measured of a chain at full load.
    pub(super) fn chain(&self, id: &str) -> Option<&Measured> {
        self.chains.iter().find(|each| each.id == id)
    }
}

/// The last chain is the one that has an aim.
fn p99(half_load: &HalfLoad) -> Vec<Compared> {
    let Some((peer, others)) = half_load.chains.split_first() else {
        return Vec::new();
    };
    let compared = others.iter().map(|each| {
        let is_ours = each.id.starts_with("portcullis");
        let workers = match each.workers {
            1 => "one worker".to_owned(),
            count => format!("{count} workers"),
        };
        Compared {
            of: each.id,
            against: peer.id,
            ratio: each.ratio(peer, |sample| sample.load.p99_us as f64),
            requests_per_second: None,
            aim: is_ours.then(|| Aimed {
                name: format!("p99 at half load, {workers}"),
                most: Both {
                    idle: P99_AIM,
                    busy: P99_AIM,
                },
            }),
        }
    });
    compared.collect()
}

impl Report {
    /// What goes to standard output.
    pub(super) fn text(&self) -> String {
        let mut out = self.head();
        out.push_str(&self.aims());
        for group in &self.groups {
            let _ = write!(out, "\n## {}: {}\n\n", group.name, group.about);
            out.push_str(&group.tables());
        }
        if let Some(costs) = &self.costs {
            let _ = write!(out, "\n## costs\n\n{}", costs.tables());
        }
        out.push('\n');
        for note in self.notes {
            let _ = writeln!(out, "- {note}");
        }
        out
    }

    /// What goes to a file.
    pub(super) fn json(&self) -> Result<String, String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        Ok(text + "\n")
    }

    fn head(&self) -> String {
        let Machine {
            processor,
            cores,
            memory_mib,
            load_average_before,
        } = &self.machine;
        let mut out = format!(
            "{}: Envoy {}, {cores} cores ({processor}), {memory_mib} MiB; {} with {} connections\n",
            self.date, self.envoy, self.load_generator, self.connections
        );
        let _ = writeln!(
            out,
            "{} rounds of {} s for each chain; load average {load_average_before} before, {} after",
            self.rounds, self.seconds, self.load_average_after
        );
        if !self.note.is_empty() {
            let _ = writeln!(out, "{}", self.note);
        }
        out.push('\n');
        out
    }
}
