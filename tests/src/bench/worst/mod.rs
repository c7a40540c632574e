//! The worst request: for each policy the request, of those it accepts, that holds a worker longest.
//!
//! [`families`] says which requests there are, each family with a document and a few parameters;
//! [`search`] looks for the parameters that cost most, and [`stage`] measures what a request costs
//! the worker of a real Envoy. [`page`] writes the table.

mod families;
mod page;
mod search;
mod stage;

use std::path::Path;
use std::time::{Duration, Instant};

use portcullis_tests::wire::{Request, Response};
use serde::Serialize;
use serde_json::Value;

use self::search::{Found, Parameter};
use self::stage::{Cost, Stage};
use super::machine::Machine;
use super::step;

/// Chosen like a group.
pub(super) const WORST: &str = "worst";

/// What a request may hold a worker for.
const AIM: Duration = Duration::from_millis(10);
/// How long the search may take, all families together.
const SEARCH: Duration = Duration::from_secs(240);
/// How often each request is sent: while searching, and at last.
const TRIES: u32 = 3;
const TRIES_AT_LAST: u32 = 9;

/// Requests of one kind to one document.
struct Family {
    /// The policy that they are for, and what of it.
    policy: String,
    document: Value,
    parameters: Vec<Parameter>,
    request: Build<Request>,
    /// What the service answers; without it the proxy does.
    answer: Option<Build<Response>>,
}

/// Makes a message of a shape.
type Build<M> = Box<dyn Fn(&Shape<'_>) -> M>;

/// One choice of the parameters.
struct Shape<'a> {
    values: &'a [usize],
    /// Another one for each request: what the filter has learnt of one does not help it with the next.
    seed: u64,
}

impl Shape<'_> {
    /// The value of the parameter at this place.
    fn get(&self, place: usize) -> usize {
        self.values.get(place).copied().unwrap_or(0)
    }
}

/// All that was found.
#[derive(Debug, Serialize)]
struct Results {
    date: String,
    note: String,
    envoy: String,
    machine: Machine,
    load_average_after: f64,
    aim_ms: f64,
    method: &'static str,
    rows: Vec<Row>,
}

/// The worst request of one family.
#[derive(Debug, Serialize)]
struct Row {
    policy: String,
    shape: String,
    answer: String,
    /// How long the filter holds the worker.
    ms: f64,
    /// How long the proxy does for the same request without the filter.
    proxy_ms: f64,
    requests_tried: u32,
    within_aim: bool,
}

/// How it is measured, for who reads the results.
const METHOD: &str = "The time on a processor of Envoy's only worker thread, by the kernel's count in nanoseconds, \
from before a request to when the thread sleeps again; the least of nine requests of one shape and different bytes, \
less the least of the same requests through a listener without the filter.";

/// Searches, and writes what was found.
pub(super) fn run(module: &Path, note: &str) -> Result<(), String> {
    let machine = Machine::look();
    let families = families::all();
    let problems = families
        .iter()
        .filter_map(|family| families::check(family).err());
    let problems: Vec<String> = problems.collect();
    if !problems.is_empty() {
        return Err(problems.join("\n"));
    }
    step(&format!("{WORST}: one Envoy, {} listeners", families.len()));
    let stage = Stage::start(module, &families)?;
    let mut rows = Vec::new();
    let begun = Instant::now();
    for (number, family) in families.iter().enumerate() {
        let left = SEARCH.saturating_sub(begun.elapsed());
        let share = left / u32::try_from(families.len() - number).unwrap_or(1);
        let row = measure(&stage, family, number, share)
            .map_err(|error| format!("{}: {error}", family.policy))?;
        step(&format!(
            "{}: {:.2} ms, {} ({}; {} tried)",
            row.policy, row.ms, row.shape, row.answer, row.requests_tried
        ));
        rows.push(row);
    }
    let results = Results {
        date: super::machine::date()?,
        note: note.to_owned(),
        envoy: stage.version(),
        machine,
        load_average_after: super::machine::load_average(),
        aim_ms: AIM.as_secs_f64() * 1e3,
        method: METHOD,
        rows,
    };
    page::write(&results)
}

/// The worst request that can be found in so much time.
fn measure(stage: &Stage, family: &Family, number: usize, time: Duration) -> Result<Row, String> {
    let deadline = Instant::now() + time;
    let mut seed = 0;
    let mut cost = |values: &[usize], tries: u32, filtered: bool| {
        let mut least: Option<Cost> = None;
        for _ in 0..tries {
            seed += 1;
            let shape = Shape { values, seed };
            let cost = stage.cost(family, number, &shape, filtered)?;
            least = match least {
                Some(least) if least.held <= cost.held => Some(least),
                _ => Some(cost),
            };
        }
        least.ok_or_else(|| "nothing was tried".to_owned())
    };
    // The engine of the proxy compiles what is used often.
    let first = search::first(&family.parameters);
    cost(&first, TRIES_AT_LAST, true)?;
    let Found { values, tried } = search::worst(&family.parameters, deadline, &mut |values| {
        cost(values, TRIES, true).map(|cost| cost.held)
    })?;
    let with = cost(&values, TRIES_AT_LAST, true)?;
    let without = cost(&values, TRIES_AT_LAST, false)?;
    let held = with.held.saturating_sub(without.held);
    let ms = |time: Duration| (time.as_secs_f64() * 1e5).round() / 1e2;
    Ok(Row {
        policy: family.policy.clone(),
        shape: search::describe(&family.parameters, &values),
        answer: with.answer,
        ms: ms(held),
        proxy_ms: ms(without.held),
        requests_tried: tried,
        within_aim: held <= AIM,
    })
}
