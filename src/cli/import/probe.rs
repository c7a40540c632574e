//! Whether the engine takes what was made.

use portcullis::engine::Engine;
use serde_json::Value;

/// Whether a document is valid; what is wrong with it.
pub(super) fn probe(document: &Value) -> Result<(), String> {
    match Engine::compile(document.to_string().as_bytes()) {
        Ok(_) => Ok(()),
        Err(error) => {
            let problems = error.problems.iter().map(ToString::to_string);
            Err(problems.collect::<Vec<_>>().join("; "))
        }
    }
}
