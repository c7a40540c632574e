//! The results as tables for people and as JSON.

use std::fmt::Write as _;

use serde::Serialize;

use super::costs::Costs;
use super::groups::{Comparison, Group};
use super::machine::Machine;
use super::rounds::{EqualLoad, MetricsConfig};
use super::spread::Aggregation;

/// Said under the tables, and in the results.
pub(super) const NOTES: &[&str] = &[
    "Both whole chains check the token, count one bucket for all with the x-ratelimit fields, answer CORS, set five header fields and write a record of each request. The answers are direct responses of the proxy: Envoy's `cors` adds nothing to those, so the native chains do that much less.",
    "In the group `browser` a service stands behind every chain, so that `cors` has its work: a second listener of the same Envoy, whose time is in all three figures. Native and module send the same fields.",
    "The same token comes with each request, except where tokens are new; there, more of them go round than the module remembers by default, and native jwt_authn remembers none.",
    "CPU is user and system time of the whole Envoy process, in steps of 10 ms, by answered requests.",
    "The same load is a pause before each request of a connection, not a fixed rate: slower answers make it a little lower.",
    "Latency in the first table is that of a saturated worker, with the next request sent when an answer is here.",
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
    /// Envoy on the first core, the load generator on the second.
    pub(super) pinned: bool,
    pub(super) groups: Vec<GroupReport>,
    pub(super) costs: Option<Costs>,
}

/// The figures of one group of chains.
#[derive(Debug, Serialize)]
pub(super) struct GroupReport {
    pub(super) name: &'static str,
    pub(super) about: &'static str,
    pub(super) chains: Vec<MetricsConfig>,
    pub(super) comparisons: Vec<Compared>,
    pub(super) equal_load: Option<EqualLoad>,
}

impl GroupReport {
    pub(super) fn of(
        group: &Group,
        chains: Vec<MetricsConfig>,
        equal_load: Option<EqualLoad>,
    ) -> Self {
        let named = |id| chains.iter().find(|each| each.id == id);
        let comparisons = group.comparisons.iter().filter_map(|comparison| {
            let &Comparison { of, against, aim } = comparison;
            let (ours, theirs) = (named(of)?, named(against)?);
            Some(Compared {
                of,
                against,
                aim,
                requests_per_second: ours.ratio(theirs, |sample| sample.requests_per_second),
                cpu: ours.ratio(theirs, |sample| sample.cpu_us_per_request),
                p99: ours.ratio(theirs, |sample| sample.load.p99_us as f64),
            })
        });
        Self {
            name: group.name,
            about: group.about,
            comparisons: comparisons.collect(),
            chains,
            equal_load,
        }
    }
}

/// One chain by another, round by round.
#[derive(Debug, Serialize)]
pub(super) struct Compared {
    of: &'static str,
    against: &'static str,
    /// What is aimed at: requests per second, as a share of the other's.
    aim: Option<f64>,
    requests_per_second: Aggregation,
    cpu: Aggregation,
    p99: Aggregation,
}

impl Report {
    /// What goes to standard output.
    pub(super) fn table(&self) -> String {
        let mut out = String::new();
        self.head(&mut out);
        for group in &self.groups {
            group.requests(&mut out);
            group.ratios(&mut out);
            group.latency(&mut out);
        }
        if let Some(costs) = &self.costs {
            others(costs, &mut out);
        }
        out.push('\n');
        for note in self.notes {
            line(&mut out, format_args!("- {note}"));
        }
        out
    }

    /// What goes to a file.
    pub(super) fn json(&self) -> Result<String, String> {
        let text = serde_json::to_string_pretty(self).map_err(|error| error.to_string())?;
        Ok(text + "\n")
    }

    fn head(&self, out: &mut String) {
        let Machine {
            processor,
            cores,
            memory_mib,
            load_average_before,
        } = &self.machine;
        line(
            out,
            format_args!(
                "{}: Envoy {}, {} cores ({processor}), {memory_mib} MiB; {} with {} connections",
                self.date, self.envoy, cores, self.load_generator, self.connections
            ),
        );
        line(
            out,
            format_args!(
                "{} rounds of {} s for each chain; load average {load_average_before} before, {} after",
                self.rounds, self.seconds, self.load_average_after
            ),
        );
        if !self.note.is_empty() {
            line(out, format_args!("{}", self.note));
        }
    }
}

impl GroupReport {
    fn requests(&self, out: &mut String) {
        line(
            out,
            format_args!(
                "\n## {}: {}\n\nFull load, one worker: median (least–most of the rounds)\n",
                self.name, self.about
            ),
        );
        table(
            out,
            &[
                "chain",
                "",
                "requests/s",
                "CPU µs",
                "p50 µs",
                "p99 µs",
                "MiB",
            ],
            self.chains.iter().map(|each| {
                vec![
                    each.id.to_owned(),
                    each.title.to_owned(),
                    format!("{:.0}", each.requests_per_second),
                    format!("{:.1}", each.cpu_us_per_request),
                    format!("{:.0}", each.p50_us.median),
                    format!("{:.0}", each.p99_us),
                    format!("{:.0}", each.resident_mib),
                ]
            }),
        );
    }

    fn ratios(&self, out: &mut String) {
        line(out, format_args!("\nRatios, round by round\n"));
        table(
            out,
            &["chain", "against", "requests/s", "aim", "CPU", "p99"],
            self.comparisons.iter().map(|each| {
                vec![
                    each.of.to_owned(),
                    each.against.to_owned(),
                    format!("{:.3}", each.requests_per_second),
                    each.aim.map_or(String::new(), |aim| format!("≥ {aim}")),
                    format!("{:.2}", each.cpu),
                    format!("{:.2}", each.p99),
                ]
            }),
        );
    }

    fn latency(&self, out: &mut String) {
        let Some(equal_load) = &self.equal_load else {
            return;
        };
        let pause = equal_load.pause_ms;
        line(
            out,
            format_args!("\nThe same load for all: a pause of {pause} ms before each request\n"),
        );
        let peer = equal_load.chains.first();
        table(
            out,
            &[
                "chain",
                "requests/s",
                "CPU µs",
                "p50 µs",
                "p99 µs",
                "p99 ratio",
            ],
            equal_load.chains.iter().map(|each| {
                let p99 = peer.map(|peer| each.ratio(peer, |sample| sample.load.p99_us as f64));
                vec![
                    each.id.to_owned(),
                    format!("{:.0}", each.requests_per_second.median),
                    format!("{:.1}", each.cpu_us_per_request),
                    format!("{:.0}", each.p50_us),
                    format!("{:.0}", each.p99_us),
                    format!("{:.2}", p99.unwrap_or_default()),
                ]
            }),
        );
    }
}

fn others(costs: &Costs, out: &mut String) {
    let gzip = costs.module_gzip_bytes;
    let gzip = gzip.map_or("unknown".to_owned(), |bytes| format!("{bytes} bytes"));
    line(
        out,
        format_args!("\nModule: {} bytes, with gzip {gzip}\n", costs.module_bytes),
    );
    if let Some(bytes) = costs.minimal_bytes {
        line(out, format_args!("The smallest module: {bytes} bytes\n"));
    }
    table(
        out,
        &[
            "document",
            "VM",
            "on_configure runs",
            "ms/listener",
            "ms/run",
            "CPU ms/run",
        ],
        costs.loads.iter().map(|load| {
            vec![
                load.of.clone(),
                load.vm.title().to_owned(),
                format!("{:.1}", load.configured_per_listener),
                format!("{:.1}", load.ms_per_listener),
                format!("{:.1}", load.ms_per_configuration),
                format!("{:.1}", load.cpu_ms_per_configuration),
            ]
        }),
    );
    out.push('\n');
    table(
        out,
        &["chain", "resident MiB by workers", "MiB per worker"],
        costs.memory.iter().map(|memory| {
            let by_workers = memory.resident_mib.iter();
            let by_workers = by_workers.map(|(workers, mib)| format!("{workers}: {mib:.1}"));
            vec![
                memory.id.to_owned(),
                by_workers.collect::<Vec<_>>().join(", "),
                format!("{:.1}", memory.mib_per_worker),
            ]
        }),
    );
    out.push('\n');
    table(
        out,
        &["chain", "ms from start to the first 401"],
        costs
            .cold_starts
            .iter()
            .map(|each| vec![each.id.to_owned(), format!("{:.0}", each.ms)]),
    );
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a `String` cannot fail.
    let _ = writeln!(out, "{text}");
}

/// Columns as wide as they need to be.
fn table(out: &mut String, head: &[&str], rows: impl Iterator<Item = Vec<String>>) {
    let head: Vec<String> = head.iter().map(|cell| (*cell).to_owned()).collect();
    let rows: Vec<Vec<String>> = std::iter::once(head).chain(rows).collect();
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| {
        let cells = rows.iter().filter_map(|row| row.get(column));
        cells.map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..columns).map(width).collect();
    for row in &rows {
        let mut text = String::new();
        for (cell, &width) in row.iter().zip(&widths) {
            let _ = write!(text, "{cell:width$}  ");
        }
        line(out, format_args!("{}", text.trim_end()));
    }
}
