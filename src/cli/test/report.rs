//! What came of cases, for people and for programs.

use std::fmt::Write as _;
use std::time::Duration;

use portcullis_cases::place::Position;
use serde_json::{Value, json};

use super::coverage::{Covered, share};
use super::run::{Judged, Run};

fn milliseconds(took: Duration) -> f64 {
    (took.as_secs_f64() * 1e5).round() / 100.0
}

fn count(many: usize, of: &str) -> String {
    match many {
        1 => format!("1 {of}"),
        many => format!("{many} {of}s"),
    }
}

/// What differs, on one line.
fn differences(judged: &Judged) -> String {
    let each = judged
        .differences
        .iter()
        .map(|differing| match &differing.field {
            Some(field) => format!("{field}: {}", differing.text),
            None => differing.text.clone(),
        });
    each.collect::<Vec<_>>().join("; ")
}

/// The place of the first difference.
fn place(judged: &Judged) -> Position {
    let first = judged.differences.first();
    first.map_or(judged.at, |differing| differing.at)
}

pub(crate) fn text(run: &Run, covered: Option<&[Covered]>, colour: bool) -> String {
    let paint = |code: &str, text: &str| match colour {
        true => format!("\x1b[{code}m{text}\x1b[0m"),
        false => text.to_owned(),
    };
    let mut out = String::new();
    for file in &run.files {
        let name = printable(&file.name);
        let line = |at: Position| paint("34", &format!("{name}:{}:{}:", at.line, at.column));
        if let Some((at, reason)) = &file.fault {
            let _ = writeln!(out, "{} {}", line(*at), paint("1;31", &printable(reason)));
        }
        let mut has_failed = false;
        for judged in &file.judged {
            if judged.differences.is_empty() {
                continue;
            }
            has_failed = true;
            let what = printable(&differences(judged));
            let title = paint("1", &printable(&judged.name));
            let _ = writeln!(
                out,
                "{} {title}: {}",
                line(place(judged)),
                paint("31", &what)
            );
            for told in &judged.told {
                let _ = writeln!(out, "    {}", printable(told));
            }
        }
        if has_failed && !file.unset.is_empty() {
            let names = file.unset.join(", ");
            let _ = writeln!(
                out,
                "    the environment lacks {names}: see `environment` of a case, and --env"
            );
        }
    }
    for document in covered.unwrap_or_default() {
        for missing in &document.missing {
            let at = format!(
                "{}:{}:{}:",
                printable(&document.file),
                missing.at.line,
                missing.at.column
            );
            let _ = writeln!(
                out,
                "{} not reached: {}: {}",
                paint("34", &at),
                missing.pointer,
                printable(&missing.text)
            );
        }
        let _ = writeln!(
            out,
            "{}: {} of {} routes, rules and limits, {} of {} codes",
            printable(&document.file),
            document.reached,
            document.all,
            document.codes_reached,
            document.codes
        );
    }
    if let Some(covered) = covered {
        let _ = writeln!(
            out,
            "cases reach {:.1} % of routes, rules and limits",
            share(covered)
        );
    }
    let failed = run.failed();
    let sum = format!("{failed} failed");
    let tint = if failed == 0 && run.is_read() {
        "1;32"
    } else {
        "1;31"
    };
    let unread = run.files.iter().filter(|file| file.fault.is_some()).count();
    let unread = match unread {
        0 => String::new(),
        many => format!(", {} not judged", count(many, "file")),
    };
    let _ = writeln!(
        out,
        "{} in {}, {}{unread}, {} ms",
        count(run.exchanges(), "exchange"),
        count(run.files.len(), "file"),
        paint(tint, &sum),
        milliseconds(run.took)
    );
    out
}

pub(crate) fn json(run: &Run, covered: Option<&[Covered]>) -> String {
    let mut results = Vec::new();
    let mut faults = Vec::new();
    for file in &run.files {
        if let Some((at, reason)) = &file.fault {
            faults.push(json!({
                "file": file.name, "line": at.line, "column": at.column, "message": reason,
            }));
        }
        for judged in &file.judged {
            let differences = judged.differences.iter().map(|differing| {
                json!({
                    "field": differing.field,
                    "message": differing.text,
                    "line": differing.at.line,
                    "column": differing.at.column,
                })
            });
            results.push(json!({
                "file": file.name,
                "exchange": judged.name,
                "line": judged.at.line,
                "column": judged.at.column,
                "passed": judged.differences.is_empty(),
                "differences": differences.collect::<Vec<Value>>(),
                "explanation": judged.told,
            }));
        }
    }
    let mut all = json!({
        "exchanges": run.exchanges(),
        "failed": run.failed(),
        "milliseconds": milliseconds(run.took),
        "results": results,
        "faults": faults,
    });
    if let (Some(covered), Value::Object(members)) = (covered, &mut all) {
        members.insert("coverage".to_owned(), coverage(covered));
    }
    all.to_string() + "\n"
}

fn coverage(covered: &[Covered]) -> Value {
    let documents = covered.iter().map(|document| {
        let missing = document.missing.iter().map(|missing| {
            json!({
                "kind": missing.kind.name(),
                "pointer": missing.pointer,
                "line": missing.at.line,
                "column": missing.at.column,
                "message": missing.text,
            })
        });
        json!({
            "file": document.file,
            "all": document.all,
            "reached": document.reached,
            "codes": document.codes,
            "codes_reached": document.codes_reached,
            "not_reached": missing.collect::<Vec<Value>>(),
        })
    });
    json!({ "percent": share(covered), "documents": documents.collect::<Vec<Value>>() })
}

/// JUnit's XML, in the form that most systems read: a suite for each file, a test for each exchange.
pub(crate) fn junit(run: &Run) -> String {
    let mut out = String::from("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n");
    let faults = run.files.iter().filter(|file| file.fault.is_some()).count();
    let _ = writeln!(
        out,
        "<testsuites name=\"portcullis\" tests=\"{}\" failures=\"{}\" errors=\"{faults}\" time=\"{:.6}\">",
        run.exchanges() + faults,
        run.failed(),
        run.took.as_secs_f64()
    );
    for file in &run.files {
        let name = xml(&file.name);
        let errors = usize::from(file.fault.is_some());
        let failed = file
            .judged
            .iter()
            .filter(|judged| !judged.differences.is_empty());
        let took: Duration = file.judged.iter().map(|judged| judged.took).sum();
        let _ = writeln!(
            out,
            "  <testsuite name=\"{name}\" tests=\"{}\" failures=\"{}\" errors=\"{errors}\" time=\"{:.6}\">",
            file.judged.len() + errors,
            failed.count(),
            took.as_secs_f64()
        );
        if let Some((at, reason)) = &file.fault {
            let _ = writeln!(
                out,
                "    <testcase name=\"the case file\" classname=\"{name}\" file=\"{name}\" line=\"{}\">\n      <error message=\"{}\"/>\n    </testcase>",
                at.line,
                xml(reason)
            );
        }
        for judged in &file.judged {
            let _ = write!(
                out,
                "    <testcase name=\"{}\" classname=\"{name}\" file=\"{name}\" line=\"{}\" time=\"{:.6}\"",
                xml(&judged.name),
                judged.at.line,
                judged.took.as_secs_f64()
            );
            if judged.differences.is_empty() {
                out += "/>\n";
                continue;
            }
            let at = place(judged);
            let _ = writeln!(
                out,
                ">\n      <failure message=\"{}\">{name}:{}:{}\n{}</failure>\n    </testcase>",
                xml(&differences(judged)),
                at.line,
                at.column,
                xml(&judged.told.join("\n"))
            );
        }
        out += "  </testsuite>\n";
    }
    out + "</testsuites>\n"
}

pub(crate) fn github(run: &Run, covered: Option<&[Covered]>) -> String {
    let escaped = |text: &str| {
        let text = text.replace('%', "%25");
        text.replace('\r', "%0D").replace('\n', "%0A")
    };
    let property = |text: &str| escaped(text).replace(':', "%3A").replace(',', "%2C");
    let mut out = String::new();
    let mut say = |command: &str, file: &str, at: Position, text: &str| {
        let _ = writeln!(
            out,
            "::{command} file={},line={},col={}::{}",
            property(file),
            at.line,
            at.column,
            escaped(text)
        );
    };
    for file in &run.files {
        if let Some((at, reason)) = &file.fault {
            say("error", &file.name, *at, reason);
        }
        for judged in &file.judged {
            if judged.differences.is_empty() {
                continue;
            }
            let told = judged
                .told
                .iter()
                .fold(String::new(), |all, line| all + "\n" + line);
            let text = format!("{}: {}{told}", judged.name, differences(judged));
            say("error", &file.name, place(judged), &text);
        }
    }
    for document in covered.unwrap_or_default() {
        for missing in &document.missing {
            let text = format!("not reached by a case: {}", missing.text);
            say("notice", &document.file, missing.at, &text);
        }
    }
    out
}

/// A text in XML, without what XML 1.0 has no character for.
fn xml(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            '\n' => out += "&#10;",
            '\t' => out += "&#9;",
            '\r' => out += "&#13;",
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// Without what a terminal would carry out.
fn printable(text: &str) -> String {
    let shown = |c: char| match c {
        '\n' | '\t' => ' ',
        c if c.is_control() => '\u{fffd}',
        c => c,
    };
    text.chars().map(shown).collect()
}
