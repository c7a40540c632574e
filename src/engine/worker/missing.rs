//! What the document needs of the VM's environment, and this VM has not.

use crate::engine::Engine;
use portcullis_exchange::host::{Level, WorkerHost};
use portcullis_exchange::section::EnvironmentFault;

/// Tells an operator of the variables that the document needs and that are missing, or too short. A
/// secret that is not there is no reason to refuse the document, for another worker's VM might have
/// it; the tokens that need it are refused.
pub fn report_missing(engine: &Engine, host: &dyn WorkerHost) {
    for EnvironmentFault { is_error, text } in engine.environment_faults(host) {
        let level = if is_error { Level::Error } else { Level::Warn };
        host.log(level, &text);
    }
}
