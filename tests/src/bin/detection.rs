//! Writes the tables of `docs/policies/deny_patterns.md`: what is found of the requests of others.

use std::fs;
use std::process::ExitCode;

use portcullis_tests::detection::{TABLES_BEGIN, TABLES_END, page, tables};

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
    let path = page();
    let page = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
    let parts = page.split_once(TABLES_BEGIN).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(TABLES_END)?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or("the page has no place for the tables")?;
    let tables = tables();
    print!("{tables}");
    let page = format!("{before}{TABLES_BEGIN}{tables}{TABLES_END}{after}");
    fs::write(&path, page).map_err(|error| format!("{}: {error}", path.display()))
}
