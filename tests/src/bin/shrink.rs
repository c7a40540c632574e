//! Prints an OpenAPI document without what the filter does not read.

use std::fs;
use std::process::ExitCode;

use portcullis::json::Json;
use portcullis_tests::published::{shrink::shrink, to_json};

fn main() -> ExitCode {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    let [path] = paths.as_slice() else {
        eprintln!("usage: shrink FILE   (an OpenAPI document, as JSON or YAML)");
        return ExitCode::from(2);
    };
    let read = fs::read_to_string(path).map_err(|error| error.to_string());
    let document = read.and_then(|text| {
        let text = match to_json(&text) {
            Ok(yaml) if !text.trim_start().starts_with('{') => yaml.to_string(),
            _ => text,
        };
        Json::parse(text.as_bytes(), 512).map_err(|error| error.to_string())
    });
    match document {
        Ok(document) => {
            println!("{}", shrink(&document));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("{path}: {error}");
            ExitCode::FAILURE
        }
    }
}
