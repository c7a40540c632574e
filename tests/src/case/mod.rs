//! Cases on three backends: the engine alone, the built module in a fake host, and a real Envoy.
//!
//! `docs/testing.md` documents the format; [`portcullis_cases`] reads it.

mod envoy;
mod javascript;
mod module;
mod native;

use std::path::Path;

pub use envoy::run_all as run_all_on_envoy;
pub use javascript::run_all as run_all_in_javascript;
pub use module::run as run_in_module;
pub use native::{
    answer as answer_on_engine, answer_by, planned, records as records_on_engine,
    run as run_on_engine,
};
pub use portcullis_cases::{Case, CaseServer, Exchange, Outcome, Upstream};

use crate::tokens::TestKeys;

/// All cases of a folder and the folders in it, in order of their paths, with the keys of `tests/keys`.
///
/// # Errors
/// A message that names the file and what is wrong with it.
pub fn read_all(folder: &Path) -> Result<Vec<Case>, String> {
    Case::read_all(folder, &TestKeys)
}

/// What differs from what must come of an exchange, as text.
fn compared(expect: &serde_json::Value, outcome: &Outcome) -> Vec<String> {
    let differences = portcullis_cases::compare(expect, outcome);
    differences.iter().map(ToString::to_string).collect()
}
