//! What was found, for people and for programs.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use clap::ValueEnum;
use serde_json::{Value, json};

use super::check::{Checked, Finding, Severity};

/// How findings are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// With the line of the file, for people.
    Text,
    /// One object for all files.
    Json,
    /// SARIF 2.1.0, which code hosts and editors show.
    Sarif,
    /// Workflow commands of GitHub Actions, which annotate a pull request.
    Github,
}

/// Everything, in one text.
pub(crate) fn write(all: &[Checked], format: Format, colour: bool) -> String {
    match format {
        Format::Text => text(all, colour),
        Format::Json => json_of(all).to_string() + "\n",
        Format::Sarif => sarif(all).to_string() + "\n",
        Format::Github => github(all),
    }
}

/// Its severity, and what it is called where it has a name.
fn title(finding: &Finding) -> String {
    let severity = finding.severity.name();
    match finding.id {
        Some(id) => format!("{severity}[{id}]"),
        None => severity.to_owned(),
    }
}

/// Its name for programs.
fn rule(finding: &Finding) -> String {
    match finding.id {
        Some(id) => id.to_owned(),
        None => format!("document-{}", finding.severity.name()),
    }
}

fn each(all: &[Checked]) -> impl Iterator<Item = (&Checked, &Finding)> {
    all.iter()
        .flat_map(|checked| checked.findings.iter().map(move |each| (checked, each)))
}

fn text(all: &[Checked], colour: bool) -> String {
    let paint = |code: &str, text: &str| match colour {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text.to_owned(),
    };
    let mut out = String::new();
    for (checked, finding) in each(all) {
        let source = &checked.source;
        let place = source.position(finding.at.start);
        let tint = match finding.severity {
            Severity::Error => "1;31",
            Severity::Warning => "1;33",
            Severity::Note => "1;36",
        };
        let number = place.line.to_string();
        let margin = " ".repeat(number.len());
        let bar = paint("34", "|");
        let _ = writeln!(
            out,
            "{}: {}",
            paint(tint, &title(finding)),
            paint("1", &printable(&finding.message))
        );
        let _ = writeln!(
            out,
            "{margin}{} {}:{}:{}",
            paint("34", "-->"),
            printable(&source.name),
            place.line,
            place.column
        );
        let line = source.line(finding.at.start);
        if !line.trim().is_empty() {
            let (shown, before) = window(line, place.column);
            let most = shown.chars().count().saturating_sub(before).max(1);
            let width = source.width(&finding.at).min(most);
            let marks = format!("{}{}", " ".repeat(before), "^".repeat(width));
            let _ = writeln!(out, "{margin} {bar}");
            let _ = writeln!(out, "{} {bar} {}", paint("34", &number), printable(&shown));
            let _ = writeln!(out, "{margin} {bar} {}", paint(tint, &marks));
        }
        if let Some(pointer) = finding.pointer.as_deref().filter(|at| !at.is_empty()) {
            let _ = writeln!(out, "{margin} {} {}", paint("34", "="), printable(pointer));
        }
        out.push('\n');
    }
    for checked in all {
        for line in &checked.valid {
            let _ = writeln!(out, "{}: {line}", printable(&checked.source.name));
        }
    }
    out
}

/// As much of a line as fits a terminal, and how many of its characters stand before a column.
fn window(line: &str, column: usize) -> (String, usize) {
    const WIDTH: usize = 120;
    let before = column.saturating_sub(1);
    if line.chars().count() <= WIDTH {
        return (line.to_owned(), before);
    }
    let skipped = before.saturating_sub(WIDTH / 3);
    let shown = line.chars().skip(skipped).take(WIDTH).collect();
    (shown, before - skipped)
}

/// Without what a terminal would carry out. A tab is one column here.
fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(shown).collect()
}

fn json_of(all: &[Checked]) -> Value {
    let findings: Vec<Value> = each(all)
        .map(|(checked, finding)| {
            let place = checked.source.position(finding.at.start);
            json!({
                "severity": finding.severity.name(),
                "id": finding.id,
                "file": checked.source.name,
                "line": place.line,
                "column": place.column,
                "pointer": finding.pointer,
                "message": finding.message,
            })
        })
        .collect();
    let valid: usize = all.iter().map(|checked| checked.valid.len()).sum();
    json!({ "findings": findings, "files": all.len(), "valid_documents": valid })
}

fn sarif(all: &[Checked]) -> Value {
    let results: Vec<Value> = each(all)
        .map(|(checked, finding)| {
            let place = checked.source.position(finding.at.start);
            json!({
                "ruleId": rule(finding),
                "level": finding.severity.name(),
                "message": { "text": finding.message },
                "locations": [{ "physicalLocation": {
                    "artifactLocation": { "uri": checked.source.name },
                    "region": { "startLine": place.line, "startColumn": place.column },
                }, "logicalLocations": [{ "fullyQualifiedName": finding.pointer.as_deref().unwrap_or_default() }] }],
            })
        })
        .collect();
    let names: BTreeSet<String> = each(all).map(|(_, finding)| rule(finding)).collect();
    let rules: Vec<Value> = names.iter().map(|name| json!({ "id": name })).collect();
    json!({
        "$schema": "https://json.schemastore.org/sarif-2.1.0.json",
        "version": "2.1.0",
        "runs": [{
            "tool": { "driver": { "name": "portcullis", "version": env!("CARGO_PKG_VERSION"), "rules": rules } },
            "columnKind": "unicodeCodePoints",
            "results": results,
        }],
    })
}

fn github(all: &[Checked]) -> String {
    let mut out = String::new();
    let escaped = |text: &str| {
        let text = text.replace('%', "%25");
        text.replace('\r', "%0D").replace('\n', "%0A")
    };
    let property = |text: &str| escaped(text).replace(':', "%3A").replace(',', "%2C");
    for (checked, finding) in each(all) {
        let place = checked.source.position(finding.at.start);
        let command = match finding.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
            Severity::Note => "notice",
        };
        let _ = writeln!(
            out,
            "::{command} file={},line={},col={}::{}",
            property(&checked.source.name),
            place.line,
            place.column,
            escaped(&finding.message)
        );
    }
    out
}
