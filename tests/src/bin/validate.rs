//! Reads a configuration document as the filter would, and says what is wrong with it.

use std::collections::BTreeSet;
use std::fs;
use std::process::ExitCode;

use portcullis::engine::Engine;
use serde_json::Value;

/// Where a document names clusters of the proxy; `*` is any name.
const CLUSTERS: [&[&str]; 8] = [
    &["providers", "*", "jwks", "remote", "cluster"],
    &["providers", "*", "jwks", "discovery", "cluster"],
    &["providers", "*", "jwks", "discovery", "jwks_cluster"],
    &["api_key_stores", "*", "remote", "cluster"],
    &["revocation_lists", "*", "remote", "cluster"],
    &["networks", "*", "remote", "cluster"],
    &["introspection_servers", "*", "cluster"],
    &["otlp_http", "cluster"],
];

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
            let variables = engine.variables();
            tell(path, "in vm_config.environment_variables", &variables);
            let read: Value = serde_json::from_slice(&document).unwrap_or_default();
            let mut clusters = BTreeSet::new();
            for place in CLUSTERS {
                collect(&read, place, &mut clusters);
            }
            tell(path, "clusters of the proxy", &clusters);
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

/// Says what the document needs of the proxy, if it does.
fn tell(path: &str, what: &str, names: &BTreeSet<&str>) {
    if !names.is_empty() {
        let names: Vec<&str> = names.iter().copied().collect();
        println!("{path}: needs {what}: {}", names.join(", "));
    }
}

/// Adds the texts that stand at a place.
fn collect<'d>(value: &'d Value, place: &[&str], found: &mut BTreeSet<&'d str>) {
    match place {
        [] => found.extend(value.as_str()),
        ["*", rest @ ..] => {
            let members = value.as_object().into_iter().flatten();
            members.for_each(|(_, member)| collect(member, rest, found));
        }
        [name, rest @ ..] => {
            let member = value.get(name);
            member
                .into_iter()
                .for_each(|member| collect(member, rest, found));
        }
    }
}
