//! Members of messages of protobuf, as JSON and YAML have them; and what is said of them.

use std::ops::Range;

use serde_json::{Value, json};

use super::super::check::{Checked, Finding, Severity};
use super::super::report::{self, Format};
use portcullis_cases::place::Source;
use portcullis_cases::tree::{Content, Tree};

/// What was taken of files, and what was not.
#[derive(Default)]
pub(super) struct Report {
    sources: Vec<Source>,
    /// The file that is being read.
    current: usize,
    findings: Vec<(usize, Finding)>,
    taken: Vec<(usize, String)>,
}

impl Report {
    /// Begins with a file.
    pub(super) fn begin(&mut self, source: Source) {
        self.current = self.sources.len();
        self.sources.push(source);
    }

    /// Goes back to a file, by its place.
    pub(super) fn turn_to(&mut self, file: usize) {
        self.current = file;
    }

    /// Something has no exact counterpart: what came of it is stricter.
    pub(super) fn lost(&mut self, at: &Range<usize>, message: impl Into<String>) {
        self.push(Severity::Error, at, message.into());
    }

    /// Something is to be known of what was taken.
    pub(super) fn note(&mut self, at: &Range<usize>, message: impl Into<String>) {
        self.push(Severity::Note, at, message.into());
    }

    /// Something was taken.
    pub(super) fn took(&mut self, what: impl Into<String>) {
        let taken = (self.current, what.into());
        if !self.taken.contains(&taken) {
            self.taken.push(taken);
        }
    }

    fn push(&mut self, severity: Severity, at: &Range<usize>, message: String) {
        let is_known = |(file, each): &(usize, Finding)| {
            *file == self.current && each.at == *at && each.message == message
        };
        if self.findings.iter().any(is_known) {
            return;
        }
        let finding = Finding {
            severity,
            id: None,
            at: at.clone(),
            pointer: None,
            message,
        };
        self.findings.push((self.current, finding));
    }

    /// Whether all was taken.
    pub(super) fn is_whole(&self) -> bool {
        let mut findings = self.findings.iter();
        findings.all(|(_, finding)| finding.severity != Severity::Error)
    }

    /// Everything, as one object.
    pub(super) fn json(&self) -> Value {
        let name = |file: usize| self.sources.get(file).map(|source| source.name.as_str());
        let findings = self.findings.iter().map(|(file, finding)| {
            let source = self.sources.get(*file);
            let place = source.map(|source| source.position(finding.at.start));
            json!({
                "severity": finding.severity.name(),
                "file": name(*file),
                "line": place.map(|place| place.line),
                "column": place.map(|place| place.column),
                "message": finding.message,
            })
        });
        let taken = self.taken.iter();
        let taken = taken.map(|(file, what)| json!({ "file": name(*file), "what": what }));
        json!({ "taken": taken.collect::<Vec<_>>(), "findings": findings.collect::<Vec<_>>() })
    }

    /// Everything, for people or for programs.
    pub(super) fn write(self, format: Format, colour: bool) -> String {
        let of_file = |source| Checked {
            source,
            findings: Vec::new(),
            valid: Vec::new(),
        };
        let mut files: Vec<Checked> = self.sources.into_iter().map(of_file).collect();
        for (file, finding) in self.findings {
            if let Some(checked) = files.get_mut(file) {
                checked.findings.push(finding);
            }
        }
        for (file, taken) in self.taken {
            if let Some(checked) = files.get_mut(file) {
                checked.valid.push(format!("taken: {taken}"));
            }
        }
        report::write(&files, format, colour)
    }
}

/// A member by its name in protobuf, or as JSON writes that: `max_tokens` or `maxTokens`. `null` is absence.
pub(super) fn member<'t>(tree: &'t Tree, name: &str) -> Option<&'t Tree> {
    let found = tree.get(name).or_else(|| tree.get(&camel(name)));
    found.filter(|tree| !matches!(tree.content, Content::Plain(Value::Null)))
}

/// Where some member leads, one in another.
pub(super) fn path<'t>(tree: &'t Tree, names: &[&str]) -> Option<&'t Tree> {
    let mut names = names.iter();
    names.try_fold(tree, |tree, name| member(tree, name))
}

pub(super) fn text<'t>(tree: &'t Tree, name: &str) -> Option<&'t str> {
    member(tree, name)?.text()
}

/// A text of any scalar: YAML may have read a number.
pub(super) fn scalar(tree: &Tree) -> Option<String> {
    match &tree.content {
        Content::Text(text) => Some(text.value.clone()),
        Content::Plain(value @ (Value::Number(_) | Value::Bool(_))) => Some(value.to_string()),
        _ => None,
    }
}

pub(super) fn boolean(tree: &Tree, name: &str) -> bool {
    member(tree, name).is_some_and(|tree| tree.json() == true)
}

/// A whole number, which may be written as a text.
pub(super) fn number(tree: &Tree, name: &str) -> Option<u64> {
    let found = member(tree, name)?;
    found.json().as_u64().or_else(|| found.text()?.parse().ok())
}

/// The items of a list; none if there is no list.
pub(super) fn items<'t>(tree: &'t Tree, name: &str) -> Vec<&'t Tree> {
    member(tree, name).map(Tree::children).unwrap_or_default()
}

/// The texts of a list.
pub(super) fn texts(tree: &Tree, name: &str) -> Vec<String> {
    items(tree, name).into_iter().filter_map(scalar).collect()
}

/// The members of an object, with their names.
pub(super) fn entries(tree: &Tree) -> Vec<(&str, &Tree)> {
    match &tree.content {
        Content::Object(members) => {
            let members = members.iter();
            members
                .map(|member| (member.name.as_str(), &member.tree))
                .collect()
        }
        _ => Vec::new(),
    }
}

/// A duration of protobuf, `1.5s`, as documents write it; rounded up to milliseconds.
pub(super) fn duration(tree: &Tree) -> Option<String> {
    let written = tree.text()?.strip_suffix('s')?;
    let seconds: f64 = written.parse().ok()?;
    let milliseconds = (seconds * 1000.0).ceil();
    if !(1.0..=1e15).contains(&milliseconds) {
        return None;
    }
    let whole = format!("{milliseconds:.0}");
    Some(match whole.strip_suffix("000") {
        Some(seconds) => format!("{seconds}s"),
        None => format!("{whole}ms"),
    })
}

/// What an enumeration says, by its name or by its number: the names stand in the order of their numbers. None if nothing is
/// said.
///
/// # Errors
/// If it says something else.
pub(super) fn choice<'n>(
    tree: &Tree,
    name: &str,
    names: &[&'n str],
) -> Result<Option<&'n str>, ()> {
    let Some(tree) = member(tree, name) else {
        return Ok(None);
    };
    let written = scalar(tree).ok_or(())?;
    let by_number = written.parse::<usize>().ok();
    let by_number = by_number.and_then(|number| names.get(number));
    let by_name = names.iter().find(|each| **each == written);
    by_name.or(by_number).map(|name| Some(*name)).ok_or(())
}

/// Says of each member that is not one of these that it is not taken. Whether there is none.
pub(super) fn rest(tree: &Tree, known: &[&str], what: &str, report: &mut Report) -> bool {
    let mut is_whole = true;
    for (name, tree) in entries(tree) {
        let is_known = name == "@type"
            || known
                .iter()
                .any(|each| *each == name || camel(each) == name);
        if !is_known {
            is_whole = false;
            report.lost(
                &tree.at,
                format!("`{name}` of {what} is not taken: there is no counterpart, or none that is known"),
            );
        }
    }
    is_whole
}

/// A name as JSON writes it.
fn camel(name: &str) -> String {
    let mut parts = name.split('_');
    let mut camel = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut letters = part.chars();
        camel.extend(letters.next().map(|first| first.to_ascii_uppercase()));
        camel.push_str(letters.as_str());
    }
    camel
}
