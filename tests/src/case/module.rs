//! Cases in the built module, in a fake host.

use std::time::{SystemTime, UNIX_EPOCH};

use portcullis_cases::answer;

use super::{Case, Outcome, Upstream, compared};
use crate::fake_host::{FakeHost, HostOptions, LogLine, StartError};
use crate::tokens::TestKeys;

/// Runs a case; what differs from what it expects.
pub fn run(wasm: &[u8], case: &Case) -> Vec<String> {
    #[allow(
        clippy::disallowed_methods,
        reason = "tokens are minted for the clock of a real proxy"
    )]
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let now_nanos = u64::try_from(now.as_nanos()).unwrap_or(u64::MAX);
    let options = HostOptions {
        now_nanos,
        environment: case.environment.clone().into_iter().collect(),
        ..HostOptions::default()
    };
    let mut host = match FakeHost::start(wasm, &case.document, options) {
        Ok(_) if !case.problems.is_empty() => return vec!["the document is accepted".to_owned()],
        Ok(host) => host,
        Err(StartError::Refused { log }) => {
            let lines: Vec<String> = log.iter().map(text).collect();
            let missing = case
                .problems
                .iter()
                .filter(|problem| !lines.contains(problem));
            let missing: Vec<String> = missing
                .map(|problem| format!("not logged: {problem}"))
                .collect();
            return match (case.problems.is_empty(), missing.is_empty()) {
                (true, _) => vec![format!("the document is refused: {lines:#?}")],
                (false, true) => Vec::new(),
                (false, false) => [missing, vec![format!("logged: {lines:#?}")]].concat(),
            };
        }
        Err(error) => return vec![format!("the module does not start: {error:?}")],
    };
    for server in &case.servers {
        host.set_cluster(&server.cluster);
    }
    let called = case.servers.clone();
    host.set_responder(move |cluster, body| answer(&called, cluster, body));
    host.set_headers_stop_iteration(case.headers_stop_iteration);
    host.set_foreign_function("set_envoy_filter_state", |_| (0, Vec::new()));
    host.set_property(&["source", "address"], b"192.0.2.1:40000".to_vec());
    let mut differences = Vec::new();
    for exchange in &case.fresh_exchanges(&TestKeys) {
        let found = match host.exchange(&exchange.request, &exchange.upstream) {
            Err(trap) => vec![format!("the module traps: {trap:?}")],
            Ok(result) => {
                let upstream = match result.upstream_saw {
                    Some(request) => Upstream::Whole(request),
                    None if result.upstream_saw_headers_only => Upstream::Part,
                    None => Upstream::Nothing,
                };
                let log = result
                    .log
                    .iter()
                    .filter_map(|line| serde_json::from_slice(&line.message).ok());
                let outcome = Outcome {
                    response: result.response,
                    upstream,
                    log: log.collect(),
                };
                compared(&exchange.expect, &outcome)
            }
        };
        differences.extend(
            found
                .into_iter()
                .map(|difference| format!("{}: {difference}", exchange.name)),
        );
    }
    differences
}

fn text(line: &LogLine) -> String {
    String::from_utf8_lossy(&line.message).into_owned()
}
