//! Secrets that the environment does not hold.

use crate::access_log::AccessLog;
use crate::credentials::Credential;
use crate::engine::Engine;
use crate::host::{Level, WorkerHost};
use crate::policy::jwt::SecretFault;

/// Logs what is missing. A secret that is not there is no reason to refuse the document, for another
/// worker's VM might have it; the tokens that need it are refused.
pub fn report_missing(engine: &Engine, host: &dyn WorkerHost) {
    let missing = |place: &str, variable: &str, until_then: &str| {
        if host.environment(variable).is_none() {
            host.log(
                Level::Error,
                &format!(
                    "{place}: the VM has no environment variable {variable}; name it in vm_config.environment_variables. Until then {until_then}"
                ),
            );
        }
    };
    if let Some(variable) = engine.access_log().and_then(AccessLog::environment) {
        missing("access_log", variable, "records do not name subjects");
    }
    if let Some(collector) = engine.collector() {
        for variable in collector.environment() {
            missing("otlp_http", variable, "the collector is asked without it");
        }
    }
    for needed in engine.environment() {
        let place = format!("provider {}", needed.provider);
        let variable = &needed.variable;
        match needed.fault(host) {
            None => {}
            Some(SecretFault::Missing) => {
                missing(&place, variable, "its tokens are refused with 503");
            }
            Some(fault @ SecretFault::TooShort(_)) => host.log(
                Level::Error,
                &format!(
                    "{place}: the secret in the environment variable {variable} {fault}. Until then its tokens are refused with 503"
                ),
            ),
            Some(fault @ SecretFault::TooShortForSome(_)) => host.log(
                Level::Warn,
                &format!(
                    "{place}: the secret in the environment variable {variable} {fault}; tokens of that are refused with 503. If there are none, write `alg` beside `env`"
                ),
            ),
        }
    }
    for fetched in engine.fetched() {
        let place = fetched.place();
        let until_then = format!("its {} are asked for without it", fetched.noun());
        let variables = fetched.credentials().iter();
        for variable in variables.filter_map(Credential::variable) {
            missing(&place, variable, &until_then);
        }
    }
}
