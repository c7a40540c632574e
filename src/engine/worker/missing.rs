//! What the document needs of the VM's environment, and this VM has not; what of it has ended.

use crate::engine::Engine;
use portcullis_exchange::host::{Level, WorkerHost};
use portcullis_exchange::section::EnvironmentFault;

/// So many rules that have ended are named; the others are counted.
const MOST_ENDED: usize = 16;

/// Tells an operator of the variables that the document needs and that are missing, or too short. A
/// secret that is not there is no reason to refuse the document, for another worker's VM might have
/// it; the tokens that need it are refused. And of rules that are past their end, which is no reason either.
pub fn report_missing(engine: &Engine, host: &dyn WorkerHost) {
    for EnvironmentFault { is_error, text } in engine.environment_faults(host) {
        let level = if is_error { Level::Error } else { Level::Warn };
        host.log(level, &text);
    }
    #[allow(
        clippy::disallowed_methods,
        reason = "the document dates its rules by it"
    )]
    let now = host.wall_clock();
    let ended = || engine.ended(now);
    for place in ended().take(MOST_ENDED) {
        host.log(
            Level::Warn,
            &format!("{place}: has ended, by `not_after`, and says nothing any more; remove it"),
        );
    }
    let more = ended().count().saturating_sub(MOST_ENDED);
    if more > 0 {
        host.log(
            Level::Warn,
            &format!("{more} more rules have ended, by `not_after`"),
        );
    }
}
