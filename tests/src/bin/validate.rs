//! Reads a configuration document as the filter would, and says what is wrong with it.

use std::fs;
use std::process::ExitCode;

use portcullis::engine::Engine;

fn main() -> ExitCode {
    let paths: Vec<String> = std::env::args().skip(1).collect();
    if paths.is_empty() {
        eprintln!("usage: validate FILE...   (the policy as JSON)");
        return ExitCode::from(2);
    }
    let results: Vec<bool> = paths.iter().map(|path| validate(path)).collect();
    if results.iter().all(|valid| *valid) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn validate(path: &str) -> bool {
    let document = match fs::read(path) {
        Ok(document) => document,
        Err(error) => {
            eprintln!("{path}: {error}");
            return false;
        }
    };
    match Engine::compile(&document) {
        Ok(engine) => {
            for note in engine.notes() {
                println!("{path}: note: {note}");
            }
            let variables: Vec<&str> = engine.variables().into_iter().collect();
            if !variables.is_empty() {
                let names = variables.join(", ");
                println!("{path}: needs in vm_config.environment_variables: {names}");
            }
            let count = engine.route_count();
            let routes = if count == 1 { "route" } else { "routes" };
            println!("{path}: valid, {count} {routes}");
            true
        }
        Err(error) => {
            for problem in &error.problems {
                eprintln!("{path}: {problem}");
            }
            false
        }
    }
}
