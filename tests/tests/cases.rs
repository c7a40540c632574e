//! The case files of `tests/cases`: on the engine, in the module, and through Envoy.

use std::fs;
use std::path::PathBuf;

use portcullis_tests::case::{self, Case};
use portcullis_tests::envoy::Options;
use portcullis_tests::{module_path, tokens};

fn cases() -> Vec<Case> {
    let folder = tokens::repository().join("tests/cases");
    let mut cases = case::read_all(&folder).unwrap_or_else(|error| panic!("{error}"));
    assert!(cases.len() >= 20, "only {} case files", cases.len());
    // `make test ONLY=jwt/expired` sets it.
    if let Ok(only) = std::env::var("CASES") {
        cases.retain(|case| case.path.to_string_lossy().contains(&only));
        assert!(
            !cases.is_empty(),
            "no test binary and no case file is named {only}"
        );
    }
    cases
}

fn assert_none(differences: &[String]) {
    assert!(differences.is_empty(), "\n{}\n", differences.join("\n"));
}

#[test]
fn on_the_engine() {
    let run = |case: &Case| {
        let differences = case::run_on_engine(case);
        differences
            .into_iter()
            .map(|difference| format!("{}: {difference}", case.path.display()))
            .collect::<Vec<_>>()
    };
    let cases = cases();
    assert_none(&cases.iter().flat_map(run).collect::<Vec<_>>());
    let (planned, of) = (case::planned(), cases.len());
    println!("{planned} requests of {of} cases by plans");
    assert!(
        planned > 100 || std::env::var_os("CASES").is_some(),
        "{planned}"
    );
}

#[test]
fn in_the_module() {
    let wasm = fs::read(module_path()).expect("the module is built: make build");
    let run = |case: &Case| {
        let differences = case::run_in_module(&wasm, case);
        differences
            .into_iter()
            .map(|difference| format!("{}: {difference}", case.path.display()))
            .collect::<Vec<_>>()
    };
    assert_none(&cases().iter().flat_map(run).collect::<Vec<_>>());
}

#[test]
fn through_envoy() {
    through(None);
}

#[test]
fn through_the_oldest_envoy_at_hand() {
    let oldest = std::env::var_os("ENVOY_1_36").map(PathBuf::from);
    assert!(
        oldest.is_some(),
        "ENVOY_1_36 names the binary of Envoy 1.36; `make test` sets it"
    );
    through(oldest);
}

fn through(binary: Option<PathBuf>) {
    let options = Options {
        binary,
        ..Options::default()
    };
    let differences = case::run_all_on_envoy(&module_path(), &cases(), &options);
    assert_none(&differences.unwrap_or_else(|error| panic!("{error}")));
}
