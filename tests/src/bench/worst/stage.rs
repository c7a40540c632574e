//! One Envoy with a listener for each family, and the time that a request takes of its one worker.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use portcullis_tests::client;
use portcullis_tests::envoy::{Envoy, ListenerOptions, Options, bootstrap, cluster, listener};
use portcullis_tests::upstream::{Answer, Upstream};
use portcullis_tests::wire::Response;
use serde_json::{Value, json};

use super::super::chain;
use super::super::groups::payload;
use super::{Family, Shape};

const TIMEOUT: Duration = Duration::from_secs(30);
/// How often one looks whether the worker has come to rest.
const POLL: Duration = Duration::from_micros(300);

/// A running Envoy.
pub(super) struct Stage {
    envoy: Envoy,
    worker: Worker,
    /// For each family its listener.
    filtered: Vec<SocketAddr>,
    /// Without the filter: one that answers by itself, and one with the service behind it.
    answering: SocketAddr,
    forwarding: SocketAddr,
    service: Upstream,
}

/// What one request came to.
pub(super) struct Cost {
    pub(super) held: Duration,
    /// The status, and what the proxy says of it.
    pub(super) answer: String,
}

impl Stage {
    pub(super) fn start(module: &Path, families: &[Family]) -> Result<Self, String> {
        let service = Upstream::start_forgetful().map_err(|error| error.to_string())?;
        let mut listeners = vec![
            bare("answering", vec![payload::buffer()], false),
            bare("forwarding", Vec::new(), true),
        ];
        for (number, family) in families.iter().enumerate() {
            // Each in a VM of its own, with all of a VM's memory.
            let name = name(number);
            let filter = chain::filter(module, &family.document, &name);
            listeners.push(bare(&name, vec![filter], family.answer.is_some()));
        }
        let options = Options {
            concurrency: 1,
            timeout: Duration::from_secs(180),
            ..Options::default()
        };
        let clusters = vec![cluster("upstream", service.addr())];
        let failed = |error: portcullis_tests::envoy::EnvoyError| error.to_string();
        let envoy = Envoy::start(bootstrap(listeners, clusters), &options).map_err(failed)?;
        let addr = |name: &str| envoy.listener_addr(name).map_err(failed);
        let (answering, forwarding) = (addr("answering")?, addr("forwarding")?);
        let filtered = (0..families.len()).map(|number| addr(&name(number)));
        Ok(Self {
            filtered: filtered.collect::<Result<_, _>>()?,
            answering,
            forwarding,
            worker: Worker::of(envoy.pid())?,
            service,
            envoy,
        })
    }

    pub(super) fn version(&self) -> String {
        self.envoy.version().to_owned()
    }

    /// What a request costs the worker, with the filter or without.
    pub(super) fn cost(
        &self,
        family: &Family,
        number: usize,
        shape: &Shape<'_>,
        filtered: bool,
    ) -> Result<Cost, String> {
        let mut request = (family.request)(shape);
        let mut addr = self.answering;
        if let Some(answer) = &family.answer {
            self.service
                .answer_with(CASE, Answer::Respond(answer(shape)));
            request.headers.push((b"x-case-id".to_vec(), CASE.into()));
            addr = self.forwarding;
        }
        if filtered {
            addr = *self.filtered.get(number).ok_or("no such listener")?;
        }
        let before = self.worker.rest()?;
        let response = client::send(addr, &request, TIMEOUT).map_err(|error| error.to_string())?;
        let held = self.worker.rest()?.saturating_sub(before);
        let answer = describe(&response);
        Ok(Cost { held, answer })
    }
}

fn name(number: usize) -> String {
    format!("family-{number}")
}

/// A listener that says in each answer of the filter's why it is so.
fn bare(name: &str, filters: Vec<Value>, forwards: bool) -> Value {
    let details = json!({ "header": { "key": DETAILS, "value": "%RESPONSE_CODE_DETAILS%" } });
    let every = json!({ "status_code_filter": { "comparison": {
        "op": "GE", "value": { "default_value": 200, "runtime_key": "bench.worst.status" },
    } } });
    let mut manager = json!({
        "local_reply_config": { "mappers": [{ "filter": every, "headers_to_add": [details] }] },
    });
    if !forwards {
        manager["route_config"] = chain::routes(json!({}));
    }
    let options = ListenerOptions {
        http_connection_manager: manager,
        ..ListenerOptions::default()
    };
    listener(name, filters, options)
}

const CASE: &str = "worst";
const DETAILS: &str = "x-response-code-details";

fn describe(response: &Response) -> String {
    let mut fields = response.headers.iter();
    let details = fields.find(|(name, _)| name == DETAILS);
    let details = details.map(|(_, value)| String::from_utf8_lossy(value).into_owned());
    let details = details.and_then(|text| text.strip_prefix("portcullis.").map(str::to_owned));
    match details {
        Some(details) => format!("{} {details}", response.status),
        None => response.status.to_string(),
    }
}

/// Envoy's only worker thread.
struct Worker(PathBuf);

impl Worker {
    fn of(pid: u32) -> Result<Self, String> {
        let tasks = PathBuf::from(format!("/proc/{pid}/task"));
        let entries = fs::read_dir(&tasks).map_err(|error| error.to_string())?;
        let mut paths = entries.flatten().map(|entry| entry.path());
        let named = |path: &PathBuf| {
            let name = fs::read_to_string(path.join("comm")).unwrap_or_default();
            name.trim() == "wrk:worker_0"
        };
        let found = paths.find(named);
        found
            .map(Self)
            .ok_or_else(|| "no thread is named wrk:worker_0".to_owned())
    }

    /// Waits until it sleeps; its time on a processor so far.
    fn rest(&self) -> Result<Duration, String> {
        let deadline = Instant::now() + TIMEOUT;
        let mut last = None;
        while Instant::now() < deadline {
            // The count of a running thread is old.
            let now = self.sleeps()?.then(|| self.time()).transpose()?;
            match (last, now) {
                (Some(before), Some(now)) if before == now => return Ok(now),
                _ => last = now,
            }
            thread::sleep(POLL);
        }
        Err("the worker does not come to rest".to_owned())
    }

    fn sleeps(&self) -> Result<bool, String> {
        let stat = self.read("stat")?;
        let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        Ok(after.trim_start().starts_with('S'))
    }

    fn time(&self) -> Result<Duration, String> {
        let text = self.read("schedstat")?;
        let first = text.split_whitespace().next();
        let nanoseconds = first.and_then(|first| first.parse().ok());
        let nanoseconds = nanoseconds.ok_or_else(|| format!("schedstat: {text}"))?;
        Ok(Duration::from_nanos(nanoseconds))
    }

    fn read(&self, name: &str) -> Result<String, String> {
        let path = self.0.join(name);
        fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))
    }
}
