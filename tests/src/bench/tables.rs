//! Tables in Markdown, as they are printed and as they stand on pages.

use std::fmt::Write as _;

use super::costs::Costs;
use super::report::{Aimed, Compared, GroupReport, Report};
use super::rounds::{Both, Cores, HalfLoad, Measured};
use super::spread::Aggregation;

/// A head, and rows of as many cells.
fn table(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> String {
    let mut out = format!(
        "| {} |\n|{}\n",
        head.join(" | "),
        " --- |".repeat(head.len())
    );
    for row in rows {
        // Writing to a `String` cannot fail.
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
    out
}

/// Median, least and most, then low; on an idle machine, then beside the neighbour.
fn spread(both: &Both<Aggregation>, digits: usize) -> [String; 4] {
    let [idle, busy] = Cores::ALL.map(|cores| {
        let value = both.get(cores);
        (
            format!("{value:.digits$}"),
            format!("{:.digits$}", value.low),
        )
    });
    [idle.0, idle.1, busy.0, busy.1]
}

fn most(aim: &Aimed) -> String {
    let Both { idle, busy } = aim.most;
    match idle == busy {
        true => format!("≤ {idle}"),
        false => format!("≤ {idle}, ≤ {busy}"),
    }
}

fn kept(meets: Option<bool>) -> &'static str {
    match meets {
        Some(true) => "yes",
        Some(false) => "**no**",
        None => "",
    }
}

impl Report {
    /// Each aim with what was measured.
    pub(super) fn aims(&self) -> String {
        let compared = self.groups.iter().flat_map(|group| {
            let p99 = group.half_load_p99.iter();
            group.comparisons.iter().chain(p99)
        });
        let aimed = compared.filter_map(|each| {
            let aim = each.aim.as_ref()?;
            let mut row = vec![aim.name.clone()];
            row.extend(spread(&each.ratio, 2));
            row.extend([most(aim), kept(each.meets()).to_owned()]);
            Some(row)
        });
        let head = [
            "CPU per request, × native",
            "idle",
            "low",
            "busy neighbour",
            "low",
            "aim",
            "met",
        ];
        let mut out = table(&head, aimed);
        for aim in self.costs.iter().flat_map(Costs::aims) {
            let met = kept(Some(aim.found <= aim.most));
            let _ = writeln!(
                out,
                "| {} | {:.1} MiB | | | | ≤ {} MiB | {met} |",
                aim.name, aim.found, aim.most
            );
        }
        out
    }
}

impl GroupReport {
    /// All of its tables.
    pub(super) fn tables(&self) -> String {
        let mut out = self.requests();
        out.push('\n');
        out.push_str(&self.ratios());
        if let Some(half_load) = &self.half_load {
            out.push('\n');
            out.push_str(&half_load.table(&self.half_load_p99));
        }
        out
    }

    /// What a request through each chain takes.
    pub(super) fn requests(&self) -> String {
        let head = [
            "chain",
            "CPU µs, idle",
            "low",
            "CPU µs, busy neighbour",
            "low",
            "requests/s, idle",
            "busy",
            "MiB",
        ];
        let rows = self.chains.iter().map(|each| {
            let mut row = vec![each.title.to_owned()];
            row.extend(spread(&each.figures.map(|it| it.cpu_us_per_request), 1));
            row.extend(Cores::ALL.map(|cores| {
                let figures = each.figures.get(cores);
                format!("{:.0}", figures.requests_per_second.median)
            }));
            row.push(format!("{:.0}", each.resident_mib));
            row
        });
        table(&head, rows)
    }

    /// What they take by what others take.
    pub(super) fn ratios(&self) -> String {
        let head = [
            "CPU of",
            "against",
            "idle",
            "low",
            "busy neighbour",
            "low",
            "aim",
            "met",
            "requests/s, idle",
        ];
        let title = |id| self.chain(id).map_or(id, |chain| chain.title).to_owned();
        let rows = self.comparisons.iter().map(|each| {
            let mut row = vec![title(each.of), title(each.against)];
            row.extend(spread(&each.ratio, 2));
            row.push(each.aim.as_ref().map(most).unwrap_or_default());
            row.push(kept(each.meets()).to_owned());
            let per_second = each.requests_per_second;
            row.push(per_second.map_or(String::new(), |ratio| format!("{:.2}", ratio.median)));
            row
        });
        table(&head, rows)
    }
}

impl HalfLoad {
    fn table(&self, compared: &[Compared]) -> String {
        let Both { idle, busy } = self.rate;
        let rates = format!("at {idle} requests/s, beside a busy neighbour at {busy}");
        let head = [
            rates.as_str(),
            "p50 µs, idle",
            "p99 µs",
            "p50 µs, busy neighbour",
            "p99 µs",
            "p99 ratio, idle",
            "busy",
            "aim",
            "met",
        ];
        let rows = self.chains.iter().map(|each: &Measured| {
            let mut row = vec![each.title.to_owned()];
            for cores in Cores::ALL {
                let figures = each.figures.get(cores);
                row.push(format!("{:.0}", figures.p50_us.median));
                row.push(format!("{:.0}", figures.p99_us));
            }
            match compared.iter().find(|other| other.of == each.id) {
                Some(ratio) => {
                    row.extend(Cores::ALL.map(|cores| {
                        let ratio = ratio.ratio.get(cores);
                        format!("{ratio:.2}")
                    }));
                    row.push(ratio.aim.as_ref().map(most).unwrap_or_default());
                    row.push(kept(ratio.meets()).to_owned());
                }
                None => row.resize(head.len(), String::new()),
            }
            row
        });
        table(&head, rows)
    }
}

impl Costs {
    pub(super) fn tables(&self) -> String {
        let gzip = self.module_gzip_bytes;
        let gzip = gzip.map_or("unknown".to_owned(), |bytes| bytes.to_string());
        let mut out = format!(
            "The module has {} bytes, {gzip} with gzip",
            self.module_bytes
        );
        if let Some(bytes) = self.minimal_bytes {
            let _ = write!(out, "; the smallest {bytes}");
        }
        out.push_str(".\n\n");
        let head = ["document", "VM", "ms for each VM", "CPU ms for each VM"];
        let loads = self.loads.iter().map(|load| {
            vec![
                load.of.clone(),
                load.vm.title().to_owned(),
                format!("{:.1}", load.ms_per_configuration),
                format!("{:.1}", load.cpu_ms_per_configuration),
            ]
        });
        out.push_str(&table(&head, loads));
        out.push('\n');
        let head = ["chain", "resident MiB by workers", "MiB per worker"];
        let memory = self.memory.iter().map(|memory| {
            let by_workers = memory.resident_mib.iter();
            let by_workers = by_workers.map(|(workers, mib)| format!("{workers}: {mib:.1}"));
            vec![
                memory.id.to_owned(),
                by_workers.collect::<Vec<_>>().join(", "),
                format!("{:.1}", memory.mib_per_worker),
            ]
        });
        out.push_str(&table(&head, memory));
        out.push('\n');
        let head = [
            "chain",
            "ms from the start of the process to the first refusal",
        ];
        let starts = self.cold_starts.iter();
        let starts = starts.map(|each| vec![each.id.to_owned(), format!("{:.0}", each.ms)]);
        out.push_str(&table(&head, starts));
        out
    }
}
