//! Outcomes as data, and in numbers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::{Outcome, Says, Suite, Vector};
use crate::tokens::repository;

/// What stands before and after the tables in `docs/conformance.md`.
pub const TABLES_BEGIN: &str = "<!-- make outcomes writes from here -->\n";
/// See [`TABLES_BEGIN`].
pub const TABLES_END: &str = "<!-- to here -->\n";

/// Where the outcomes of a suite are written down.
pub fn path(suite: &Suite) -> PathBuf {
    repository().join(format!("tests/vectors/outcomes/{}.json", suite.name))
}

/// The outcomes of a suite as text, one vector a line.
///
/// # Errors
/// The vectors for which the filter and the suite differ, and nobody has said why.
pub fn file(suite: &Suite, judged: &[(Vector, Outcome)]) -> Result<String, String> {
    let mut unexplained = String::new();
    let mut lines = Vec::new();
    for (vector, outcome) in judged {
        let mut line = json!({
            "id": vector.id, "says": vector.says.name(), "ours": outcome.to_string(),
        });
        if differs(vector.says, outcome) {
            match (suite.why)(vector, outcome) {
                Some(why) => line["why"] = why.into(),
                None => {
                    let says = vector.says.name();
                    let _ = writeln!(unexplained, "{}: {says}, {outcome}", vector.id);
                }
            }
        }
        lines.push(line.to_string());
    }
    if unexplained.is_empty() {
        Ok(format!("[\n{}\n]\n", lines.join(",\n")))
    } else {
        Err(format!("{}:\n{unexplained}", suite.name))
    }
}

fn differs(says: Says, outcome: &Outcome) -> bool {
    match says {
        Says::Valid => !outcome.is_accepted(),
        Says::Invalid => outcome.is_accepted(),
        Says::Acceptable => false,
    }
}

/// How many vectors of each suite have which outcome, and why some differ, as Markdown. `files`
/// are those of [`file()`], in the order of the suites.
pub fn tables(files: &[(&Suite, String)]) -> String {
    let mut counts = String::from(
        "| suite | vectors | valid, accepted | valid, refused | invalid, refused | invalid, accepted | either |\n\
         | --- | --- | --- | --- | --- | --- | --- |\n",
    );
    let mut reasons = String::from("| suite | vectors | ours | why |\n| --- | --- | --- | --- |\n");
    for (suite, text) in files {
        let lines: Vec<Value> = serde_json::from_str(text).expect("outcomes are JSON");
        let ours = |line: &Value| line["ours"] == "accepted";
        let count = |says: &str, accepted: bool| {
            let fits = |line: &&Value| line["says"] == says && ours(line) == accepted;
            lines.iter().filter(fits).count()
        };
        let _ = writeln!(
            counts,
            "| [{}](../tests/vectors/outcomes/{}.json) | {} | {} | {} | {} | {} | {} |",
            suite.title,
            suite.name,
            lines.len(),
            count("valid", true),
            count("valid", false),
            count("invalid", false),
            count("invalid", true),
            count("acceptable", true) + count("acceptable", false),
        );
        let mut classes: BTreeMap<(String, String), usize> = BTreeMap::new();
        for line in lines.iter().filter(|line| !line["why"].is_null()) {
            let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            *classes.entry((text("ours"), text("why"))).or_default() += 1;
        }
        for ((ours, why), count) in classes {
            let _ = writeln!(reasons, "| {} | {count} | {ours} | {why} |", suite.title);
        }
    }
    format!("{counts}\nWhere suite and filter differ:\n\n{reasons}")
}
