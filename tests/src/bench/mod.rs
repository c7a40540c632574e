//! The benchmark: the same requests through Envoy's own filters and through the module.
//!
//! [`groups`] lists what is compared, [`chain`], [`native`] and [`document`] configure it. Each chain has an
//! Envoy process of its own with one worker, which answers by itself (`direct_response`) or, behind
//! the chains of `browser`, for a service, so that only the chains differ. [`alike`] checks that they answer alike; that alone can fail a run.
//! [`rounds`] drives one chain after the other, again and again, with [`wrk`] as fast as they answer, and with
//! [`open_loop`] at a fixed rate; each time by itself and beside a [`neighbour`] on the same cores
//! ([`placement`]). [`costs`] measures what a request does not show, [`worst`] searches for the request that costs
//! most. [`report`] holds the results, [`tables`] prints them, [`page`] puts them on pages, [`plot`] draws.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark measures with the real clock"
)]

mod alike;
mod chain;
mod costs;
mod document;
mod groups;
mod h2load;
mod machine;
mod native;
pub(crate) mod neighbour;
pub(crate) mod open_loop;
mod page;
mod placement;
mod plot;
mod proofs;
mod report;
mod rounds;
mod scratch;
mod spread;
mod tables;
mod worst;
mod wrk;

use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use portcullis_tests::{envoy, module_path, tokens};

use self::report::Report;
use self::scratch::Scratch;
use self::wrk::Wrk;

/// What the command line may say.
pub(crate) const USAGE: &str = "\
usage: bench [--group NAME]... [--rounds N] [--seconds N] [--tokens N] [--note TEXT] [--page]
  --group    only this group of chains, `costs` or `worst`   (BENCH_GROUP, default all but `worst`)
  --rounds   rounds over all chains                          (BENCH_ROUNDS, default 7)
  --seconds  how long each chain is driven in a round        (BENCH_SECONDS, default 1)
  --tokens   different tokens where each is to look new      (BENCH_TOKENS, default 20000)
  --note     a remark that goes into the results             (BENCH_NOTE)
  --page     puts the tables on the pages for people as well (BENCH_PAGE=1)";

/// How long and how often.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    rounds: u32,
    seconds: u32,
    tokens: u32,
    note: String,
    only: Vec<String>,
    page: bool,
}

impl Settings {
    /// Flags, else the environment, else the defaults.
    pub(crate) fn read(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let mut rounds = variable("BENCH_ROUNDS").unwrap_or_else(|| "7".into());
        let mut seconds = variable("BENCH_SECONDS").unwrap_or_else(|| "1".into());
        let mut tokens = variable("BENCH_TOKENS").unwrap_or_else(|| "20000".into());
        let mut note = variable("BENCH_NOTE").unwrap_or_default();
        let mut only: Vec<String> = variable("BENCH_GROUP").into_iter().collect();
        let mut page = variable("BENCH_PAGE").is_some();
        let mut arguments = arguments;
        while let Some(flag) = arguments.next() {
            if flag == "--page" {
                page = true;
                continue;
            }
            let mut group = String::new();
            let target = match flag.as_str() {
                "--group" => &mut group,
                "--rounds" => &mut rounds,
                "--seconds" => &mut seconds,
                "--tokens" => &mut tokens,
                "--note" => &mut note,
                _ => return Err(format!("`{flag}` is not a flag")),
            };
            *target = arguments
                .next()
                .ok_or_else(|| format!("`{flag}` needs a value"))?;
            if !group.is_empty() {
                only.push(group);
            }
        }
        let count = |name: &str, text: &str| {
            let number = text.parse().ok().filter(|number| *number > 0);
            number.ok_or_else(|| format!("{name} is a number above 0, not `{text}`"))
        };
        Ok(Self {
            rounds: count("rounds", &rounds)?,
            seconds: count("seconds", &seconds)?,
            tokens: count("tokens", &tokens)?,
            note,
            only: known_groups(only)?,
            page,
        })
    }
}

impl Settings {
    fn wants(&self, group: &str) -> bool {
        self.only.is_empty() || self.only.iter().any(|each| each == group)
    }
}

/// What the module costs beside requests; chosen like a group.
const COSTS: &str = "costs";

fn known_groups(only: Vec<String>) -> Result<Vec<String>, String> {
    let names: Vec<&str> = groups::ALL
        .iter()
        .map(|group| group.name)
        .chain([COSTS, worst::WORST])
        .collect();
    match only.iter().find(|each| !names.contains(&each.as_str())) {
        Some(unknown) => Err(format!(
            "no group is named `{unknown}`; there are {}",
            names.join(", ")
        )),
        None => Ok(only),
    }
}

/// Measures everything, prints the tables and writes the results.
pub(crate) fn run(settings: &Settings) -> Result<(), String> {
    let module = module_path();
    if !module.exists() {
        return Err(format!("{}: no module; run `make build`", module.display()));
    }
    envoy::locate().map_err(|error| error.to_string())?;
    if settings.only.iter().any(|only| only == worst::WORST) {
        worst::run(&module, &settings.note)?;
        if settings.only == [worst::WORST] {
            return Ok(());
        }
    }
    let scratch = Scratch::create()?;
    let wrk = Wrk::find(&scratch)?;
    let machine = machine::Machine::look();
    let date = machine::date()?;
    let day = date.get(..10).unwrap_or(&date).to_owned();

    step("minting tokens");
    let traffic = chain::Tokens::mint(&scratch, settings.tokens, now())?;
    let mut groups = Vec::new();
    let mut envoy = String::new();
    // What has been measured is told, whatever fails later.
    let mut failures = Vec::new();
    let wanted = groups::ALL
        .iter()
        .filter(|group| settings.wants(group.name));
    for group in wanted {
        match measure(group, (&module, &scratch), &wrk, &traffic, settings) {
            Ok((version, report)) => {
                envoy = version;
                groups.push(report);
            }
            Err(error) => {
                step(&format!("{}: {error}", group.name));
                failures.push(format!("{}: {error}", group.name));
            }
        }
    }
    let costs = match settings.wants(COSTS) {
        true => costs::measure(&module, &scratch, &wrk, &traffic)
            .map_err(|error| failures.push(format!("{COSTS}: {error}")))
            .ok(),
        false => None,
    };

    let report = Report {
        date,
        note: settings.note.clone(),
        notes: report::NOTES,
        envoy,
        load_generator: wrk.version(),
        load_average_after: machine::load_average(),
        machine,
        rounds: settings.rounds,
        seconds: settings.seconds,
        connections: wrk::CONNECTIONS,
        different_tokens: settings.tokens,
        pinned: wrk.placement().pins(),
        groups,
        costs,
    };
    print!("{}", report.text());

    let folder = tokens::repository().join("tests/bench/results");
    let write = |name: String, text: String| {
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join(&name), text))
            .map_err(|error| format!("tests/bench/results/{name}: {error}"))
    };
    let name = [&[day][..], &settings.only].concat().join("-");
    write(format!("{name}.json"), report.json()?)?;
    write(format!("{name}.svg"), plot::draw(&report))?;
    println!("\nwritten: tests/bench/results/{name}.json and {name}.svg");
    if settings.page {
        page::write(&report, &name, settings.only.is_empty())?;
        println!("written: the tables on the pages for people");
    }
    match failures.as_slice() {
        [] => Ok(()),
        failures => Err(failures.join("\n")),
    }
}

/// One group: the version of Envoy, and what was measured.
fn measure(
    group: &groups::Group,
    (module, scratch): (&Path, &Scratch),
    wrk: &Wrk,
    traffic: &chain::Tokens,
    settings: &Settings,
) -> Result<(String, report::GroupReport), String> {
    step(&format!(
        "{}: starting one Envoy for each chain",
        group.name
    ));
    let running = rounds::start((group.chains)(module, scratch), wrk)?;
    step("checking that the chains answer alike");
    alike::check(&running, traffic)?;
    let measured = rounds::measure(&running, wrk, traffic, settings)?;
    let half_load = match group.half_load {
        [] => None,
        chosen => {
            let chosen = (measured.as_slice(), chosen);
            Some(rounds::half_load(&running, wrk, traffic, settings, chosen)?)
        }
    };
    let version = running.first().map(|first| first.version());
    let report = report::GroupReport::of(group, measured, half_load);
    Ok((version.unwrap_or_default(), report))
}

fn step(what: &str) {
    eprintln!("bench: {what}");
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
