//! The benchmark: the same requests through Envoy's own filters and through the module.
//!
//! [`chain`] lists what is compared, [`native`] and [`document`] configure it. Each chain has an
//! Envoy process of its own with one worker, which answers by itself (`direct_response`), so that
//! only the chains differ. [`alike`] checks that they answer alike; that alone can fail a run.
//! [`rounds`] drives one chain after the other, again and again, with [`wrk`]; [`costs`] measures
//! what a request does not show. [`report`] prints, [`plot`] draws.

#![allow(
    clippy::disallowed_methods,
    reason = "a benchmark measures with the real clock"
)]

mod alike;
mod chain;
mod costs;
mod document;
mod machine;
mod native;
mod plot;
mod report;
mod rounds;
mod scratch;
mod spread;
mod wrk;

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use portcullis_tests::{envoy, module_path, tokens};

use self::report::Report;
use self::scratch::Scratch;
use self::wrk::Wrk;

/// What the command line may say.
pub(crate) const USAGE: &str = "\
usage: bench [--rounds N] [--seconds N] [--tokens N] [--note TEXT]
  --rounds   rounds over all chains                          (BENCH_ROUNDS, default 7)
  --seconds  how long each chain is driven in a round        (BENCH_SECONDS, default 3)
  --tokens   different tokens where each is to look new      (BENCH_TOKENS, default 20000)
  --note     a remark that goes into the results             (BENCH_NOTE)";

/// How long and how often.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    rounds: u32,
    seconds: u32,
    tokens: u32,
    note: String,
}

impl Settings {
    /// Flags, else the environment, else the defaults.
    pub(crate) fn read(arguments: impl Iterator<Item = String>) -> Result<Self, String> {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        let mut rounds = variable("BENCH_ROUNDS").unwrap_or_else(|| "7".into());
        let mut seconds = variable("BENCH_SECONDS").unwrap_or_else(|| "3".into());
        let mut tokens = variable("BENCH_TOKENS").unwrap_or_else(|| "20000".into());
        let mut note = variable("BENCH_NOTE").unwrap_or_default();
        let mut arguments = arguments;
        while let Some(flag) = arguments.next() {
            let target = match flag.as_str() {
                "--rounds" => &mut rounds,
                "--seconds" => &mut seconds,
                "--tokens" => &mut tokens,
                "--note" => &mut note,
                _ => return Err(format!("`{flag}` is not a flag")),
            };
            *target = arguments
                .next()
                .ok_or_else(|| format!("`{flag}` needs a value"))?;
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
        })
    }
}

/// Measures everything, prints the tables and writes the results.
pub(crate) fn run(settings: &Settings) -> Result<(), String> {
    let module = module_path();
    if !module.exists() {
        return Err(format!("{}: no module; run `make build`", module.display()));
    }
    envoy::locate().map_err(|error| error.to_string())?;
    let scratch = Scratch::create()?;
    let wrk = Wrk::find(&scratch)?;
    let machine = machine::Machine::look();
    let date = machine::date()?;
    let day = date.get(..10).unwrap_or(&date).to_owned();

    step("minting tokens");
    let traffic = chain::Tokens::mint(&scratch, settings.tokens, now())?;
    step("starting one Envoy for each chain");
    let chains = chain::all(&module, &scratch);
    let running = rounds::start(chains)?;
    step("checking that the chains answer alike");
    alike::check(&running, &traffic)?;
    let measured = rounds::measure(&running, &wrk, &traffic, settings)?;
    let equal_load = rounds::equal_load(&running, &wrk, &traffic, settings, &measured)?;
    let envoy = running.first().map(|first| first.version());
    drop(running);
    let costs = costs::measure(&module, &scratch, &wrk, &traffic)?;

    let report = Report {
        date,
        note: settings.note.clone(),
        notes: report::NOTES,
        envoy: envoy.unwrap_or_default(),
        load_generator: wrk.version(),
        load_average_after: machine::load_average(),
        machine,
        rounds: settings.rounds,
        seconds: settings.seconds,
        connections: wrk::CONNECTIONS,
        different_tokens: settings.tokens,
        pinned: wrk.pins(),
        comparisons: report::compare(&measured),
        chains: measured,
        equal_load,
        costs,
    };
    print!("{}", report.table());

    let folder = tokens::repository().join("tests/bench/results");
    let write = |name: String, text: String| {
        fs::create_dir_all(&folder)
            .and_then(|()| fs::write(folder.join(&name), text))
            .map_err(|error| format!("tests/bench/results/{name}: {error}"))
    };
    write(format!("{day}.json"), report.json()?)?;
    write(format!("{day}.svg"), plot::draw(&report))?;
    println!("\nwritten: tests/bench/results/{day}.json and {day}.svg");
    Ok(())
}

fn step(what: &str) {
    eprintln!("bench: {what}");
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}
