//! Writes the JSON Schema of the configuration document: `docs/schema`.

use std::fs;
use std::process::ExitCode;

use portcullis_tests::document_schema::{PATH, text};
use portcullis_tests::tokens::repository;

fn main() -> ExitCode {
    let path = repository().join(PATH);
    if let Some(folder) = path.parent()
        && let Err(error) = fs::create_dir_all(folder)
    {
        eprintln!("{}: {error}", folder.display());
        return ExitCode::FAILURE;
    }
    match fs::write(&path, text()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}: {error}", path.display());
            ExitCode::FAILURE
        }
    }
}
