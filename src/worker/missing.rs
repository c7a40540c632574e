//! What an operator should know of the environment.

use crate::engine::Engine;
use crate::host::{Level, WorkerHost};
use crate::section::EnvironmentFault;

/// Logs the variables that the document needs and this VM has not.
pub fn report_missing(engine: &Engine, host: &dyn WorkerHost) {
    for EnvironmentFault { is_error, text } in engine.environment_faults(host) {
        let level = if is_error { Level::Error } else { Level::Warn };
        host.log(level, &text);
    }
}
