//! `portcullis diff`: what becomes of requests otherwise under another document.

mod documents;
mod replay;
mod report;
mod sides;

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::Duration;

use clap::{Args, ValueEnum};
use portcullis::engine::Engine;
use portcullis::host::Property;
use portcullis::memory_host::MemoryHost;
use portcullis_cases::keys::{FoundKeys, KeyRing as _, LOCAL};
use portcullis_cases::{Case, ProviderKeys, judge};
use serde_json::{Value, json};

use self::documents::Change;
use self::sides::{Side, differences};
use super::check;
use super::test::{CaseKeys, files, shown};

#[derive(Debug, Args)]
pub(crate) struct DiffArguments {
    /// The document in force, or a file that has one
    old: PathBuf,
    /// The one that is to take its place
    new: PathBuf,
    /// Requests of case files, or of folders with them
    #[arg(long, value_name = "FILE", num_args = 1.., required_unless_present = "log")]
    cases: Vec<PathBuf>,
    /// Requests made again from records of the access log, a line each; - is standard input
    #[arg(long, value_name = "FILE", conflicts_with = "cases")]
    log: Option<PathBuf>,
    /// Which document, of files that have several, from 1 on
    #[arg(long, value_name = "NUMBER")]
    number: Option<usize>,
    #[command(flatten)]
    keys: CaseKeys,
    /// How to write what differs
    #[arg(long, value_enum, default_value = "text")]
    format: DiffFormat,
}

/// How what differs is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum DiffFormat {
    /// By route and by what differs, for people.
    Text,
    /// One object.
    Json,
}

/// What was found.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) changes: Vec<Change>,
    /// Requests that both documents have judged.
    pub(crate) judged: usize,
    /// How many of them differ.
    pub(crate) differing: usize,
    /// By route, and by what differs.
    pub(crate) groups: BTreeMap<(String, String), Group>,
    /// Requests that could not be judged, by the reason.
    pub(crate) unjudged: BTreeMap<String, usize>,
    /// Whether the requests are made from records, which say nothing of bodies and most header fields.
    pub(crate) is_of_records: bool,
}

/// Requests that differ in the same way.
#[derive(Default)]
pub(crate) struct Group {
    pub(crate) many: usize,
    /// The first of them: where each stands, and what it asks.
    pub(crate) examples: Vec<(String, String)>,
}

/// So many are shown of each group.
const EXAMPLES: usize = 3;
/// The longest line that is read of a log: a record has 64 KiB at most.
const LONGEST_LINE: u64 = 1 << 20;

impl DiffArguments {
    /// What differs, and the exit status.
    ///
    /// # Errors
    /// If a document is not valid, or something cannot be read.
    pub(crate) fn run(&self) -> Result<(String, u8), String> {
        let old = self.document(&self.old)?;
        let new = self.document(&self.new)?;
        let keys = self.keys.found();
        let mut found = Found {
            changes: documents::changes(&old, &new),
            is_of_records: self.log.is_some(),
            ..Found::default()
        };
        match &self.log {
            Some(log) => self.log(log, &old, &new, &keys, &mut found)?,
            None => self.cases(&old, &new, &keys, &mut found)?,
        }
        let text = match self.format {
            DiffFormat::Text => report::text(&found),
            DiffFormat::Json => report::json(&found),
        };
        Ok((
            text,
            u8::from(found.differing > 0 || !found.changes.is_empty()),
        ))
    }

    /// A document that the engine takes.
    fn document(&self, path: &Path) -> Result<Value, String> {
        let document = check::one_document(path, self.number)?;
        compiled(&document).map_err(|problems| format!("{}: {problems}", path.display()))?;
        Ok(document)
    }

    fn cases(
        &self,
        old: &Value,
        new: &Value,
        keys: &FoundKeys,
        found: &mut Found,
    ) -> Result<(), String> {
        let variables = self.keys.variables()?;
        for path in files(&self.cases)? {
            let case = Case::read(&path, keys);
            let mut case = case.map_err(|error| format!("{}: {error}", path.display()))?;
            if case.exchanges.is_empty() {
                continue;
            }
            case.environment.extend(variables.clone());
            // Cases of another document have no keys for these two.
            let local = local(keys)?;
            let provided = ProviderKeys {
                local: case.keys.local.clone().or(Some(local)),
                named: case.keys.named.clone(),
            };
            let side = |document: &Value| -> Result<Side, String> {
                let engine = with_keys(document, &provided)?;
                let host = MemoryHost::new().at(Duration::from_secs(case.now));
                let host = judge::of_case(host, &case);
                Ok(Side { engine, host })
            };
            let (old, new) = (side(old)?, side(new)?);
            for exchange in &case.exchanges {
                let (request, upstream) = (&exchange.request, &exchange.upstream);
                let sides = (old.judge(request, upstream), new.judge(request, upstream));
                let place = format!("{}: {}", shown(&path), exchange.name);
                match sides {
                    (Ok(before), Ok(after)) => found.note(place, request, &before, &after),
                    (Err(reason), _) | (_, Err(reason)) => found.cannot(reason),
                }
            }
        }
        Ok(())
    }

    fn log(
        &self,
        path: &Path,
        old: &Value,
        new: &Value,
        keys: &FoundKeys,
        found: &mut Found,
    ) -> Result<(), String> {
        let provided = ProviderKeys {
            local: Some(local(keys)?),
            named: BTreeMap::new(),
        };
        let variables = self.keys.variables()?;
        let side = |document: &Value| -> Result<Side, String> {
            let host = MemoryHost::new();
            for (name, value) in &variables {
                host.set_variable(name, value.as_bytes());
            }
            let engine = with_keys(document, &provided)?;
            Ok(Side { engine, host })
        };
        let (before, after) = (side(old)?, side(new)?);
        let told = |error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
        let mut input: Box<dyn std::io::BufRead> = match path == Path::new("-") {
            true => Box::new(std::io::stdin().lock()),
            false => Box::new(BufReader::new(
                fs::File::open(path).map_err(|error| told(&error))?,
            )),
        };
        let (mut number, mut latest) = (0_usize, 0);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = std::io::Read::take(&mut input, LONGEST_LINE).read_until(b'\n', &mut line);
            if read.map_err(|error| told(&error))? == 0 {
                break;
            }
            number += 1;
            let Some(record) = replay::record(&String::from_utf8_lossy(&line)) else {
                continue;
            };
            let replayed = match replay::replay(&record, old, keys) {
                Ok(replayed) => replayed,
                Err(reason) => {
                    found.cannot(reason);
                    continue;
                }
            };
            // Limits fill and empty as they did.
            latest = replayed.at.max(latest);
            for side in [&before, &after] {
                side.host.set_now(Duration::from_secs(latest));
                let client = replayed.client.as_deref().unwrap_or("192.0.2.1");
                let address = match client.contains(':') {
                    true => format!("[{client}]:40000"),
                    false => format!("{client}:40000"),
                };
                side.host.set_property(Property::ClientAddress, address);
            }
            let (request, upstream) = (&replayed.request, &replayed.upstream);
            let sides = (
                before.judge(request, upstream),
                after.judge(request, upstream),
            );
            let (was, is) = match sides {
                (Ok(was), Ok(is)) => (was, is),
                (Err(reason), _) | (_, Err(reason)) => {
                    found.cannot(reason);
                    continue;
                }
            };
            match replayed.agrees(&was) {
                Ok(()) => found.note(format!("{}:{number}", shown(path)), request, &was, &is),
                Err(reason) => found.cannot(reason),
            }
        }
        if found.judged == 0 && found.unjudged.is_empty() {
            return Err(told(&"has no records of an access log"));
        }
        Ok(())
    }
}

/// The key of this run as the key of issuers.
fn local(keys: &FoundKeys) -> Result<Value, String> {
    let key = keys.key(Path::new(""), LOCAL)?;
    let mut jwk = key.jwk();
    if let Value::Object(members) = &mut jwk {
        members.insert("kid".to_owned(), LOCAL.into());
        members.insert("alg".to_owned(), key.usual_algorithm().into());
    }
    Ok(json!({ "keys": [jwk] }))
}

fn compiled(document: &Value) -> Result<Engine, String> {
    Engine::compile(document.to_string().as_bytes()).map_err(|error| {
        let problems: Vec<String> = error.problems.iter().map(ToString::to_string).collect();
        format!("is not valid: {}", problems.join("; "))
    })
}

/// The document with keys in place of those that are fetched, as far as it has such providers.
fn with_keys(document: &Value, keys: &ProviderKeys) -> Result<Rc<Engine>, String> {
    let mut document = document.clone();
    let has = |name: &str| {
        let providers = document.get("providers");
        providers.is_some_and(|providers| providers.get(name).is_some())
    };
    let mut keys = keys.clone();
    keys.named.retain(|name, _| has(name));
    keys.fill(&mut document)?;
    Ok(Rc::new(compiled(&document)?))
}

impl Found {
    fn cannot(&mut self, reason: String) {
        *self.unjudged.entry(reason).or_default() += 1;
    }

    fn note(
        &mut self,
        place: String,
        request: &portcullis_cases::wire::Request,
        old: &sides::Judgement,
        new: &sides::Judgement,
    ) {
        self.judged += 1;
        let differing = differences(old, new);
        if differing.is_empty() {
            return;
        }
        self.differing += 1;
        let route = old.route.clone().or_else(|| new.route.clone());
        let route = route.unwrap_or_else(|| "no route".to_owned());
        let asked = format!(
            "{} {}",
            String::from_utf8_lossy(&request.method),
            String::from_utf8_lossy(&request.path)
        );
        for difference in differing {
            let group = self.groups.entry((route.clone(), difference)).or_default();
            group.many += 1;
            if group.examples.len() < EXAMPLES {
                group.examples.push((place.clone(), asked.clone()));
            }
        }
    }
}
