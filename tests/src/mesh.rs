//! An Envoy whose filter fetches keys from a provider, and the provider.

use std::net::SocketAddr;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client;
use crate::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use crate::module_path;
use crate::patience::{self, PATIENCE};
use crate::tokens::{self, SigningKey};
use crate::upstream::{Answer, Upstream};
use crate::wire::{Request, Response};
use crate::yaml::read_yaml;

/// How long an answer may take.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// Who issues the tokens of [`request`].
pub const ISSUER: &str = "https://id.example.com/";

/// An Envoy whose filter fetches keys, and a service behind it.
#[derive(Debug)]
pub struct Mesh {
    /// The proxy.
    pub envoy: Envoy,
    /// What lies behind it; it counts and forgets.
    pub service: Upstream,
    addr: SocketAddr,
}

impl Mesh {
    /// Starts one for a document, with clusters of these names.
    pub fn start(document: &Value, workers: u32, clusters: &[(&str, &Upstream)]) -> Self {
        Self::start_in(document, workers, clusters, &[])
    }

    /// The same, in an Envoy that [others use too](Options::reuse).
    pub fn start_reused(document: &Value, workers: u32, clusters: &[(&str, &Upstream)]) -> Self {
        Self::start_by(Options::reused(), document, workers, clusters, &[])
    }

    /// The same, with these variables in the VM's environment.
    pub fn start_in(
        document: &Value,
        workers: u32,
        clusters: &[(&str, &Upstream)],
        environment: &[(&str, &str)],
    ) -> Self {
        Self::start_by(Options::default(), document, workers, clusters, environment)
    }

    fn start_by(
        options: Options,
        document: &Value,
        workers: u32,
        clusters: &[(&str, &Upstream)],
        environment: &[(&str, &str)],
    ) -> Self {
        let service = Upstream::start_forgetful().unwrap();
        let others = clusters.iter().map(|(name, idp)| cluster(name, idp.addr()));
        let clusters = others
            .chain([cluster("upstream", service.addr())])
            .collect();
        let configuration = string_value(&document.to_string());
        let filter = wasm_filter(
            "remote",
            &module_path(),
            configuration,
            WasmOptions {
                environment: environment
                    .iter()
                    .map(|(name, value)| ((*name).into(), (*value).into()))
                    .collect(),
                ..WasmOptions::default()
            },
        );
        let listeners = vec![listener("remote", vec![filter], ListenerOptions::default())];
        let options = Options {
            concurrency: workers,
            ..options
        };
        let mut bootstrap = bootstrap(listeners, clusters);
        bootstrap["stats_config"] = shipped_tags();
        let envoy = Envoy::start(bootstrap, &options).unwrap();
        let addr = envoy.listener_addr("remote").unwrap();
        Self {
            envoy,
            service,
            addr,
        }
    }

    /// Where the filter listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The status of a request with a token of this key.
    pub fn status(&self, key: &str, kid: &str) -> u16 {
        let answer = client::send(self.addr, &request(key, kid), TIMEOUT);
        answer.unwrap().status
    }

    /// Waits until as many fresh connections as reach every worker give that status.
    pub fn wait_for(&self, key: &str, kid: &str, status: u16) {
        let deadline = now() + PATIENCE;
        let mut in_a_row = 0;
        while in_a_row < 24 {
            let found = self.status(key, kid);
            in_a_row = if found == status { in_a_row + 1 } else { 0 };
            assert!(
                now() < deadline,
                "still {found}; log:\n{}",
                self.envoy.log()
            );
            if found != status {
                thread::sleep(Duration::from_millis(50));
            }
        }
    }

    /// A metric of the filter; 0 if there is none of that name.
    pub fn metric(&self, name: &str) -> u64 {
        let name = format!("wasmcustom.portcullis.{name}");
        self.envoy.stat(&name).unwrap()
    }

    /// Waits until a metric of the filter is as wanted.
    pub fn wait_for_metric(&self, name: &str, wanted: impl Fn(u64) -> bool) {
        self.keep(name, || wanted(self.metric(name)), || {});
    }

    /// Waits until the log has a text after a mark, and sees to it meanwhile that something holds.
    pub fn wait_for_log(&self, mark: u64, text: &str, holds: impl Fn()) {
        self.keep(text, || self.envoy.log_since(mark).contains(text), holds);
    }

    fn keep(&self, what: &str, wanted: impl Fn() -> bool, holds: impl Fn()) {
        let there = patience::comes(|| {
            holds();
            wanted()
        });
        let log = || self.envoy.log();
        assert!(there, "waited in vain for {what}; log:\n{}", log());
        holds();
    }
}

/// What makes labels of the parts of metrics, as it is shipped.
pub(crate) fn shipped_tags() -> Value {
    let path = tokens::repository().join("envoy/observability/stats-tags.yaml");
    read_yaml(&path)["stats_config"].clone()
}

/// The real time.
#[allow(
    clippy::disallowed_methods,
    reason = "deadlines against a real process need the real clock"
)]
pub fn now() -> Instant {
    Instant::now()
}

/// A key set with keys of these names and these `kid`s.
pub fn key_set(keys: &[(&str, &str)]) -> Answer {
    let keys: Vec<Value> = keys
        .iter()
        .map(|(name, kid)| {
            let mut jwk = SigningKey::named(name).jwk();
            jwk["kid"] = (*kid).into();
            jwk
        })
        .collect();
    answer(200, &json!({ "keys": keys }).to_string())
}

/// An answer with this status and body.
pub fn answer(status: u16, body: &str) -> Answer {
    Answer::Respond(Response {
        status,
        body: body.as_bytes().to_vec(),
        ..Response::default()
    })
}

/// The same answer, after a while.
pub fn late(delay: Duration, answer: Answer) -> Answer {
    match answer {
        Answer::Respond(response) => Answer::Delay(delay, response),
        other => other,
    }
}

/// A request with a token of [`ISSUER`] by this key.
pub fn request(key: &str, kid: &str) -> Request {
    let claims = json!({ "iss": ISSUER, "aud": "orders-api", "exp": 4_102_444_800_u64 });
    let token = tokens::mint(
        &json!({ "key": key, "header": { "kid": kid }, "claims": claims }),
        0,
    );
    Request {
        method: b"GET".to_vec(),
        path: b"/".to_vec(),
        authority: b"api.example.com".to_vec(),
        headers: vec![(
            b"authorization".to_vec(),
            format!("Bearer {token}").into_bytes(),
        )],
        ..Request::default()
    }
}
