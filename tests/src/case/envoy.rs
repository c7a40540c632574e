//! Cases through a real Envoy: one process, a listener for each case.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use super::{Case, Exchange, Outcome, Upstream, compared};
use crate::authorization_server::AuthorizationServer;
use crate::client;
use crate::envoy::{
    Envoy, ListenerOptions, Options, Update, WasmOptions, bootstrap, cluster, listener,
    string_value, wasm_filter,
};
use crate::patience;
use crate::tokens::TestKeys;
use crate::upstream::{Arrival, Received, Upstream as Service};
use crate::wire::{Request, Version};

const TIMEOUT: Duration = Duration::from_secs(10);

/// Runs all cases in one Envoy; what differs from what they expect, each with its file.
pub fn run_all(wasm: &Path, cases: &[Case], options: &Options) -> Result<Vec<String>, String> {
    let service = Service::start().map_err(|error| error.to_string())?;
    let (valid, invalid): (Vec<&Case>, Vec<&Case>) =
        cases.iter().partition(|case| case.problems.is_empty());
    let listeners: Vec<Value> = valid.iter().map(|case| case_listener(wasm, case)).collect();
    let mut clusters = vec![cluster("upstream", service.addr())];
    let called = called(&valid)?;
    clusters.extend(
        called
            .iter()
            .map(|(name, server)| cluster(name, server.addr())),
    );
    let bootstrap = bootstrap(Vec::new(), clusters);
    let envoy =
        Envoy::start_with_lds(bootstrap, &listeners, options).map_err(|error| error.to_string())?;
    let mut differences = Vec::new();
    for case in &valid {
        let addr = envoy
            .listener_addr(&case.name)
            .map_err(|error| error.to_string())?;
        for (index, exchange) in case.fresh_exchanges(&TestKeys).iter().enumerate() {
            let id = format!("{}-{index}", case.name.replace('_', "-"));
            let found = match carry_out(&envoy, &service, addr, case, exchange, &id) {
                Ok(outcome) => compared(&exchange.expect, &outcome),
                Err(error) => vec![error],
            };
            differences.extend(found.into_iter().map(|difference| {
                format!("{}: {}: {difference}", case.path.display(), exchange.name)
            }));
        }
    }
    differences.extend(refuse_all(wasm, &envoy, listeners, &invalid)?);
    if !envoy.is_running() {
        differences.push("Envoy has ended".to_owned());
    }
    Ok(differences)
}

/// The servers that documents have called, one for each name of a cluster. All cases that name it share it.
fn called(cases: &[&Case]) -> Result<BTreeMap<String, AuthorizationServer>, String> {
    let mut called = BTreeMap::new();
    let mut known: BTreeMap<(&str, &str), &Case> = BTreeMap::new();
    for case in cases {
        for server in &case.servers {
            let running = called
                .entry(server.cluster.clone())
                .or_insert_with(AuthorizationServer::start);
            for (when, response) in server.answers.iter().rev() {
                if let Some(other) = known.insert((&server.cluster, when), case) {
                    return Err(format!(
                        "{} and {} both say what {} answers to {when}",
                        other.path.display(),
                        case.path.display(),
                        server.cluster
                    ));
                }
                running.answer(when, response.clone());
            }
        }
    }
    Ok(called)
}

fn case_listener(wasm: &Path, case: &Case) -> Value {
    let document = String::from_utf8_lossy(&case.document);
    let filter = wasm_filter(
        &case.name,
        wasm,
        configuration(&case.document, &document),
        WasmOptions {
            environment: case.environment.clone().into_iter().collect(),
            allow_on_headers_stop_iteration: case.headers_stop_iteration,
            ..WasmOptions::default()
        },
    );
    let route = json!({
        "request_headers_to_add": [{ "header": { "key": "x-case-id", "value": case.name } }],
    });
    listener(
        &case.name,
        vec![filter],
        ListenerOptions {
            route,
            // Envoy itself refuses upgrades that its configuration does not name, and takes out what clients
            // say of certificates: here the client stands for a proxy in front.
            http_connection_manager: json!({
                "upgrade_configs": [{ "upgrade_type": "websocket" }],
                "forward_client_cert_details": "ALWAYS_FORWARD_ONLY",
            }),
            ..ListenerOptions::default()
        },
    )
}

/// A document that is not text goes as bytes, as a `Struct` would.
fn configuration(document: &[u8], text: &str) -> Value {
    if std::str::from_utf8(document).is_ok() {
        return string_value(text);
    }
    use jwt_simple::reexports::ct_codecs::{Base64, Encoder};
    let encoded = Base64::encode_to_string(document).expect("base64 of bytes in memory");
    json!({ "@type": "type.googleapis.com/google.protobuf.BytesValue", "value": encoded })
}

fn carry_out(
    envoy: &Envoy,
    service: &Service,
    addr: std::net::SocketAddr,
    case: &Case,
    exchange: &Exchange,
    id: &str,
) -> Result<Outcome, String> {
    service.answer(&case.name, exchange.upstream.clone());
    let mark = envoy.log_mark();
    let mut request = exchange.request.clone();
    let given = request
        .headers
        .iter()
        .find(|(name, _)| name.eq_ignore_ascii_case(b"x-request-id"));
    let id = match given {
        Some((_, id)) => String::from_utf8_lossy(id).into_owned(),
        None => {
            let header = (b"x-request-id".to_vec(), id.as_bytes().to_vec());
            request.headers.push(header);
            id.to_owned()
        }
    };
    let response =
        client::send(addr, &request, TIMEOUT).map_err(|error| format!("no answer: {error}"))?;
    // By its own id: what is left of an exchange before may still be arriving.
    let upstream = match service.take_request(&id).pop() {
        None => Upstream::Nothing,
        Some(received) if received.arrival != Arrival::Whole => Upstream::Part,
        Some(received) => Upstream::Whole(as_request(received)),
    };
    let wants_log = exchange.expect.get("log").is_some() || exchange.expect.get("reason").is_some();
    let log = if wants_log {
        wait_for_line(envoy, mark, &case.name)
    } else {
        Vec::new()
    };
    Ok(Outcome {
        response,
        upstream,
        log,
    })
}

/// Envoy logs after the client has its answer; exchanges follow one another.
fn wait_for_line(envoy: &Envoy, mark: u64, name: &str) -> Vec<Value> {
    let prefix = format!("wasm log {name}");
    let found = patience::find(|| {
        let log = envoy.log_since(mark);
        let lines = log.lines().filter(|line| line.contains(&prefix));
        let lines: Vec<Value> = lines
            .filter_map(|line| serde_json::from_str(line.get(line.find('{')?..)?).ok())
            .collect();
        (!lines.is_empty()).then_some(lines)
    });
    found.unwrap_or_default()
}

fn as_request(received: Received) -> Request {
    Request {
        version: Version::Http1,
        method: received.method,
        path: received.path,
        authority: Vec::new(),
        headers: received.headers,
        body: Some(vec![received.body]),
        trailers: received.trailers,
    }
}

/// Offers every invalid document beside the good listeners: all must be rejected, with their
/// problems in Envoy's log, and the good ones must stay.
fn refuse_all(
    wasm: &Path,
    envoy: &Envoy,
    mut listeners: Vec<Value>,
    cases: &[&Case],
) -> Result<Vec<String>, String> {
    if cases.is_empty() {
        return Ok(Vec::new());
    }
    let good = listeners.len();
    listeners.extend(cases.iter().map(|case| case_listener(wasm, case)));
    let mark = envoy.log_mark();
    let mut differences = Vec::new();
    match envoy
        .update_listeners(&listeners)
        .map_err(|error| error.to_string())?
    {
        Update::Accepted => differences.push("documents with problems are accepted".to_owned()),
        Update::Rejected { .. } => {}
    }
    let log = envoy.log_since(mark);
    // Envoy names the plugin only after the problems, when it gives up on it.
    let mut rest = log.as_str();
    for case in cases {
        let end = format!("Plugin {} failed to load", case.name);
        let (before, after) = rest.split_once(&end).unwrap_or(("", rest));
        rest = after;
        for problem in &case.problems {
            if !before.lines().any(|line| line.ends_with(problem.as_str())) {
                differences.push(format!(
                    "{}: not in Envoy's log: {problem}",
                    case.path.display()
                ));
            }
        }
        if envoy.listener_addr(&case.name).is_ok() {
            differences.push(format!("{}: the listener is live", case.path.display()));
        }
    }
    let live = envoy
        .stat("listener_manager.total_listeners_active")
        .map_err(|error| error.to_string())?;
    if usize::try_from(live) != Ok(good) {
        differences.push(format!("{live} listeners are live instead of {good}"));
    }
    Ok(differences)
}
