//! Case files, judged one after the other.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::time::Duration;

use portcullis::engine::Engine;
use portcullis_cases::keys::FoundKeys;
use portcullis_cases::place::{Position, Source};
use portcullis_cases::tree::{Tree, of_json};
use portcullis_cases::{Case, compare, judge};

use super::super::explained;
use super::coverage::Coverage;
use super::{now, shown};

/// What came of all of them.
#[derive(Default)]
pub(crate) struct Run {
    pub(crate) files: Vec<FileRun>,
    pub(crate) took: Duration,
}

/// What came of one file.
pub(crate) struct FileRun {
    pub(crate) name: String,
    pub(crate) judged: Vec<Judged>,
    /// Why it could not be judged, and where.
    pub(crate) fault: Option<(Position, String)>,
    /// Variables of the VM's environment that the document names and that are not set.
    pub(crate) unset: Vec<String>,
}

/// What came of one exchange, or of a document that must be refused.
pub(crate) struct Judged {
    /// Its place in the file.
    index: usize,
    pub(crate) name: String,
    pub(crate) at: Position,
    pub(crate) took: Duration,
    pub(crate) differences: Vec<Differing>,
    /// What the filter says of itself, if something differs.
    pub(crate) told: Vec<String>,
}

/// What was not as expected.
pub(crate) struct Differing {
    pub(crate) at: Position,
    /// The expectation.
    pub(crate) field: Option<String>,
    pub(crate) text: String,
}

/// Which exchanges are meant.
pub(crate) struct Selection<'a>(pub(crate) Option<&'a str>);

impl Selection<'_> {
    fn takes(&self, file: &str, name: &str) -> bool {
        self.0
            .is_none_or(|text| file.contains(text) || name.contains(text))
    }
}

/// The text of a case file, with places.
struct Text {
    source: Source,
    tree: Option<Tree>,
}

impl Text {
    fn read(path: &Path) -> Self {
        // A file that cannot be read has been told of.
        let text = fs::read_to_string(path).unwrap_or_default();
        let tree = of_json(&text).ok();
        let name = shown(path);
        Self {
            source: Source { name, text },
            tree,
        }
    }

    fn position(&self, pointer: &str) -> Position {
        let at = self.tree.as_ref().map(|tree| tree.locate(pointer).start);
        self.source.position(at.unwrap_or(0))
    }
}

impl Run {
    pub(crate) fn exchanges(&self) -> usize {
        self.files.iter().map(|file| file.judged.len()).sum()
    }

    pub(crate) fn failed(&self) -> usize {
        let all = self.files.iter().flat_map(|file| &file.judged);
        all.filter(|judged| !judged.differences.is_empty()).count()
    }

    /// Whether every file is a case that could be judged.
    pub(crate) fn is_read(&self) -> bool {
        self.files.iter().all(|file| file.fault.is_none())
    }

    /// Judges a file.
    pub(crate) fn file(
        &mut self,
        path: &Path,
        keys: &FoundKeys,
        variables: &BTreeMap<String, String>,
        filter: &Selection<'_>,
        coverage: &mut Coverage,
    ) {
        let text = Text::read(path);
        let mut file = FileRun {
            name: shown(path),
            judged: Vec::new(),
            fault: None,
            unset: Vec::new(),
        };
        match Case::read(path, keys) {
            Err(error) => {
                let (pointer, reason) = match error.split_once(": ") {
                    Some((pointer, reason)) if error.starts_with('/') => (pointer, reason),
                    _ => ("", error.as_str()),
                };
                file.fault = Some((text.position(pointer), reason.to_owned()));
            }
            Ok(mut case) => {
                case.environment.extend(variables.clone());
                file.judge(&case, &text, filter, coverage);
            }
        }
        if file.fault.is_some() || !file.judged.is_empty() {
            self.files.push(file);
        }
    }
}

impl FileRun {
    fn judge(&mut self, case: &Case, text: &Text, filter: &Selection<'_>, coverage: &mut Coverage) {
        let began = now();
        let engine = match Engine::compile(&case.document) {
            Ok(engine) => Rc::new(engine),
            Err(error) => {
                let found: Vec<String> = error.problems.iter().map(ToString::to_string).collect();
                if case.problems.is_empty() {
                    let reason = format!("the document is refused: {}", found.join("; "));
                    self.fault = Some((text.position("/document"), reason));
                } else {
                    let differs = (found != case.problems)
                        .then(|| format!("expected {:?}, found {found:?}", case.problems));
                    self.problems(differs, text, filter, began.elapsed());
                }
                return;
            }
        };
        if !case.problems.is_empty() {
            let differs = Some("the document is accepted".to_owned());
            return self.problems(differs, text, filter, began.elapsed());
        }
        let unset = engine.variables().into_iter();
        let unset = unset.filter(|name| !case.environment.contains_key(*name));
        self.unset = unset.map(str::to_owned).collect();
        let host = judge::host(case);
        let covered = coverage.of(case);
        let mut has_failed = false;
        for (index, exchange) in case.exchanges.iter().enumerate() {
            let began = now();
            let (request, upstream) = (&exchange.request, &exchange.upstream);
            let outcome = judge::exchange(&engine, request, upstream, &host, |stream| {
                covered.note(stream);
            });
            let took = began.elapsed();
            let differences = match outcome {
                Ok(outcome) => compare(&exchange.expect, &outcome),
                Err(text) => vec![portcullis_cases::Difference { field: None, text }],
            };
            if !filter.takes(&self.name, &exchange.name) {
                continue;
            }
            has_failed |= !differences.is_empty();
            let pointer = format!("/exchanges/{index}");
            let place = |field: &Option<String>| match field {
                None => text.position(&pointer),
                Some(field) => text.position(&format!("{pointer}/expect/{field}")),
            };
            let differences = differences.into_iter().map(|difference| Differing {
                at: place(&difference.field),
                field: difference.field,
                text: difference.text,
            });
            self.judged.push(Judged {
                index,
                name: exchange.name.clone(),
                at: text.position(&pointer),
                took,
                differences: differences.collect(),
                told: Vec::new(),
            });
        }
        if has_failed {
            self.explain(case);
        }
    }

    fn problems(
        &mut self,
        differs: Option<String>,
        text: &Text,
        filter: &Selection<'_>,
        took: Duration,
    ) {
        const NAME: &str = "the document is refused";
        if !filter.takes(&self.name, NAME) {
            return;
        }
        let at = text.position("/problems");
        let differences = differs.map(|text| Differing {
            at,
            field: Some("problems".to_owned()),
            text,
        });
        self.judged.push(Judged {
            index: 0,
            name: NAME.to_owned(),
            at,
            took,
            differences: differences.into_iter().collect(),
            told: Vec::new(),
        });
    }

    /// Has the filter say what it made of exchanges that failed. That changes responses, so it is asked for apart,
    /// and all exchanges go before it that went before.
    fn explain(&mut self, case: &Case) {
        let Ok(engine) = explained::engine(&case.document) else {
            return;
        };
        let host = judge::host(case);
        for (index, exchange) in case.exchanges.iter().enumerate() {
            let mut request = exchange.request.clone();
            explained::ask(&mut request);
            let outcome = judge::exchange(&engine, &request, &exchange.upstream, &host, |_| ());
            let Ok(outcome) = outcome else { continue };
            let mut judged = self.judged.iter_mut();
            let judged = judged.find(|judged| judged.index == index);
            if let Some(failed) = judged.filter(|judged| !judged.differences.is_empty()) {
                failed.told = explained::told(&outcome.response.headers);
            }
        }
    }
}
