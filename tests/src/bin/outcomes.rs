//! Writes down what the filter makes of each vector, and the tables of `docs/conformance.md`.

use std::fs;
use std::process::ExitCode;

use portcullis_tests::conformance::{
    CLOCK, SUITES, TABLES_BEGIN, TABLES_END, file, judge_with, path, tables,
};
use portcullis_tests::still::still;
use portcullis_tests::tokens::repository;

fn main() -> ExitCode {
    match write() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn write() -> Result<(), String> {
    let host = still(CLOCK);
    let mut files = Vec::new();
    for suite in SUITES {
        let vectors = (suite.vectors)().into_iter();
        let judged: Vec<_> = vectors
            .map(|vector| {
                let outcome = judge_with(&vector, &host);
                (vector, outcome)
            })
            .collect();
        let text = file(suite, &judged)?;
        let path = path(suite);
        fs::write(&path, &text).map_err(|error| format!("{}: {error}", path.display()))?;
        println!("{}: {} vectors", suite.name, judged.len());
        files.push((suite, text));
    }
    let path = repository().join("docs/conformance.md");
    let page = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let parts = page.split_once(TABLES_BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(TABLES_END)?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or("docs/conformance.md has no place for the tables")?;
    let page = format!(
        "{before}{TABLES_BEGIN}{}{TABLES_END}{after}",
        tables(&files)
    );
    fs::write(&path, page).map_err(|error| format!("{}: {error}", path.display()))
}
