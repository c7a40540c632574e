//! `portcullis check`: reads documents as the filter would, and says what is wrong with them, and where.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};

use portcullis::engine::Engine;
use portcullis_cases::documents::{self, contents, read};
use portcullis_cases::find::Found;
use portcullis_cases::place::Source;
use portcullis_cases::tree::{Tree, Unreadable};
use serde_json::Value;

/// What is said of a place.
pub(crate) struct Finding {
    pub(crate) severity: Severity,
    /// What is looked for by `audit`.
    pub(crate) id: Option<&'static str>,
    /// Bytes of the file.
    pub(crate) at: Range<usize>,
    /// The place in the document, an RFC 6901 pointer.
    pub(crate) pointer: Option<String>,
    pub(crate) message: String,
}

/// From the worst.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, clap::ValueEnum)]
pub(crate) enum Severity {
    Error,
    Warning,
    Note,
}

impl Severity {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Note => "note",
        }
    }
}

/// What became of one file.
pub(crate) struct Checked {
    pub(crate) source: Source,
    pub(crate) findings: Vec<Finding>,
    /// One line for each document that would be taken.
    pub(crate) valid: Vec<String>,
}

/// Where a document names clusters of the proxy; `*` is any name.
const CLUSTERS: [&[&str]; 8] = [
    &["providers", "*", "jwks", "remote", "cluster"],
    &["providers", "*", "jwks", "discovery", "cluster"],
    &["providers", "*", "jwks", "discovery", "jwks_cluster"],
    &["api_key_stores", "*", "remote", "cluster"],
    &["revocation_lists", "*", "remote", "cluster"],
    &["networks", "*", "remote", "cluster"],
    &["introspection_servers", "*", "cluster"],
    &["otlp_http", "cluster"],
];

/// What a name of a file ends with that is read in a folder.
const ENDINGS: [&str; 3] = ["json", "yaml", "yml"];

/// What becomes of each file, and what is said of those that cannot be read.
///
/// # Errors
/// A folder that cannot be read.
pub(crate) fn each(
    paths: &[PathBuf],
    look: fn(&Path, bool) -> Result<Option<Checked>, String>,
) -> Result<(Vec<Checked>, Vec<String>), String> {
    let (mut all, mut unread) = (Vec::new(), Vec::new());
    for (path, is_named) in files(paths)? {
        match look(&path, is_named) {
            Ok(checked) => all.extend(checked),
            Err(reason) => unread.push(reason),
        }
    }
    match (all.is_empty(), unread.is_empty()) {
        (true, true) => Err("there is no document in these folders".to_owned()),
        (true, false) => Err(unread.join("\nerror: ")),
        (false, _) => Ok((all, unread)),
    }
}

/// The files that are meant: those that are named, and in folders those that may have a document.
///
/// # Errors
/// A path that cannot be read.
fn files(paths: &[PathBuf]) -> Result<Vec<(PathBuf, bool)>, String> {
    let mut found = Vec::new();
    for path in paths {
        if path.is_dir() {
            walk(path, &mut found)?;
        } else {
            found.push((path.clone(), true));
        }
    }
    Ok(found)
}

fn walk(folder: &Path, found: &mut Vec<(PathBuf, bool)>) -> Result<(), String> {
    let told = |error: io::Error| format!("{}: {error}", folder.display());
    let mut entries: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir(folder).map_err(told)? {
        entries.push(entry.map_err(told)?.path());
    }
    entries.sort();
    for path in entries {
        let ending = path.extension().and_then(|ending| ending.to_str());
        // Templates of a Helm chart are no YAML before they are rendered.
        let is_template = path.ends_with("templates") && folder.join("Chart.yaml").exists();
        // A link to a folder may lead to where it stands.
        if path.is_dir() && !path.is_symlink() && !is_template {
            walk(&path, found)?;
        } else if ending.is_some_and(|ending| ENDINGS.contains(&ending)) && !path.is_dir() {
            found.push((path, false));
        }
    }
    Ok(())
}

/// Checks a file; `-` is standard input. One that was named has to have a document; of others none is said.
///
/// # Errors
/// If the file cannot be read.
pub(crate) fn check(path: &Path, is_named: bool) -> Result<Option<Checked>, String> {
    let text = read(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let source = Source {
        name: path.display().to_string(),
        text,
    };
    let mut checked = Checked {
        findings: Vec::new(),
        valid: Vec::new(),
        source,
    };
    let contents = match contents(path, &checked.source.text, is_named) {
        Ok(contents) => contents,
        // In a folder, what is no text of this kind is not for us, unless it looks like a document with a slip in it.
        Err(_) if !is_named && !looks_ours(&checked.source.text) => return Ok(None),
        Err(Unreadable { at, reason }) => {
            checked.error(at..at, reason);
            return Ok(Some(checked));
        }
    };
    if contents.documents.is_empty() && contents.faults.is_empty() {
        // In a folder, what has a format's number and no routes is a document with a slip in a name.
        let is_ours = |tree: &Tree| {
            let has_version = tree.get("version").is_some_and(|it| it.json() == 1);
            let known = ["defaults", "providers", "access_log"];
            has_version && known.iter().any(|name| tree.get(name).is_some())
        };
        if !is_named && !contents.trees.iter().any(is_ours) {
            return Ok(None);
        }
        let reason = "has no document: neither `version` and `routes` at its top, nor a configuration of a Wasm filter that has them";
        checked.error(0..0, reason.to_owned());
    }
    for (at, reason) in contents.faults {
        checked.error(at, reason);
    }
    for found in &contents.documents {
        checked.judge(found);
    }
    Ok(Some(checked))
}

/// Whether a text that cannot be read has the names that every document has.
fn looks_ours(text: &str) -> bool {
    ["version", "routes", "match"]
        .iter()
        .all(|name| text.contains(name))
}

/// A document of a file: the one that there is, or that with a number, from 1 on.
///
/// # Errors
/// If the file cannot be read, or has none, or several and no number says which.
pub(crate) fn one_document(path: &Path, number: Option<usize>) -> Result<Value, String> {
    let (found, _) = documents::one(path, number)?;
    let read = serde_json::from_slice(&found.document);
    read.map_err(|error| format!("{}: {error}", path.display()))
}

impl Checked {
    pub(crate) fn has_errors(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.any(|finding| finding.severity == Severity::Error)
    }

    fn error(&mut self, at: Range<usize>, message: String) {
        self.findings.push(Finding {
            severity: Severity::Error,
            id: None,
            at,
            pointer: None,
            message,
        });
    }

    fn judge(&mut self, found: &Found) {
        let text = &self.source.text;
        match Engine::compile(&found.document) {
            Err(error) => {
                for problem in error.problems {
                    self.findings.push(Finding {
                        severity: Severity::Error,
                        id: None,
                        at: found.locate(&problem.pointer, text),
                        message: problem.reason,
                        pointer: Some(problem.pointer),
                    });
                }
            }
            Ok(engine) => {
                for note in engine.notes() {
                    let (pointer, message) = match note.split_once(": ") {
                        Some((pointer, message)) if note.starts_with('/') => (pointer, message),
                        _ => ("", note.as_str()),
                    };
                    self.findings.push(Finding {
                        severity: Severity::Note,
                        id: None,
                        at: found.locate(pointer, text),
                        message: message.to_owned(),
                        pointer: Some(pointer.to_owned()),
                    });
                }
                self.valid.push(summary(found, &engine));
            }
        }
    }
}

fn summary(found: &Found, engine: &Engine) -> String {
    let count = engine.route_count();
    let routes = if count == 1 { "route" } else { "routes" };
    let mut line = match &found.within {
        Some(within) => format!("{within}: valid, {count} {routes}"),
        None => format!("valid, {count} {routes}"),
    };
    let mut add = |what: &str, names: BTreeSet<&str>| {
        if !names.is_empty() {
            let names: Vec<&str> = names.into_iter().collect();
            line += &format!("; needs {what}: {}", names.join(", "));
        }
    };
    add("in vm_config.environment_variables", engine.variables());
    let read: Value = serde_json::from_slice(&found.document).unwrap_or_default();
    let clusters = clusters(&read);
    let names = clusters.iter().map(String::as_str).collect();
    add("clusters of the proxy", names);
    line
}

/// The clusters of the proxy that a document names.
pub(crate) fn clusters(document: &Value) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for place in CLUSTERS {
        collect(document, place, &mut found);
    }
    found.into_iter().map(str::to_owned).collect()
}

/// Adds the texts that stand at a place.
fn collect<'d>(value: &'d Value, place: &[&str], found: &mut BTreeSet<&'d str>) {
    match place {
        [] => found.extend(value.as_str()),
        ["*", rest @ ..] => {
            let members = value.as_object().into_iter().flatten();
            members.for_each(|(_, member)| collect(member, rest, found));
        }
        [name, rest @ ..] => {
            let member = value.get(name);
            member
                .into_iter()
                .for_each(|member| collect(member, rest, found));
        }
    }
}
