//! Loads the published documents in some directories, and says how many load and what is wrong with
//! the others.

use std::path::PathBuf;
use std::process::ExitCode;

use portcullis_tests::published::{Kind, count};

fn main() -> ExitCode {
    let directories: Vec<PathBuf> = std::env::args_os().skip(1).map(PathBuf::from).collect();
    if directories.is_empty() {
        eprintln!(
            "usage: published DIRECTORY...   (OpenAPI 3 documents and JSON Schemas, as JSON or YAML)"
        );
        return ExitCode::from(2);
    }
    for (kind, count) in count(&directories) {
        let name = match kind {
            Kind::OpenApi => "OpenAPI 3.0 and 3.1",
            Kind::Schema => "JSON Schema draft 7 and 2020-12",
            Kind::Other => "others",
        };
        println!("{name}: {count}");
    }
    ExitCode::SUCCESS
}
