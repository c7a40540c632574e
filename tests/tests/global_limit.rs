//! One limit for several proxies: the example of `envoy/global-rate-limit` on real Envoys, each
//! with a rate limit service of its own, and one Redis for all.

use std::env;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use portcullis_tests::client;
use portcullis_tests::envoy::{Envoy, Options, cluster};
use portcullis_tests::limit_service::LimitService;
use portcullis_tests::module_path;
use portcullis_tests::redis::Redis;
use portcullis_tests::tokens::{self, SigningKey, repository};
use portcullis_tests::upstream::{Received, Upstream};
use portcullis_tests::wire::{Request, Response};
use portcullis_tests::yaml::read_yaml;
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(20);
/// The second at which the services are.
const NOW: u64 = 1_800_000_040;
/// What is left of the minute then.
const LEFT: &str = "20";
const MANAGER: &str = "/static_resources/listeners/0/filter_chains/0/filters/0/typed_config";
const HEADER: &str = "x-portcullis-user";

/// The example's limits, and the Redis of all services.
struct Mesh {
    redis: Redis,
    limits: Value,
}

/// One of the proxies, with what it asks and what it guards.
struct Proxy {
    service: Option<LimitService>,
    service_addr: SocketAddr,
    upstream: Upstream,
    _envoy: Envoy,
    addr: SocketAddr,
}

impl Mesh {
    fn start() -> Self {
        Self {
            redis: Redis::start().unwrap(),
            limits: read_yaml(&repository().join("envoy/global-rate-limit/ratelimit.yaml")),
        }
    }

    /// How many requests a minute the example allows under this key.
    fn allowed(&self, key: &str) -> usize {
        let rules = self.limits["descriptors"].as_array().unwrap();
        let rule = rules.iter().find(|rule| rule["key"] == key).unwrap();
        assert_eq!(rule["rate_limit"]["unit"], "minute");
        usize::try_from(rule["rate_limit"]["requests_per_unit"].as_u64().unwrap()).unwrap()
    }

    /// The example, at addresses of this machine, with a change.
    fn proxy(&self, binary: Option<PathBuf>, change: impl FnOnce(&mut Value)) -> Proxy {
        let service = LimitService::start(&self.limits, &self.redis, NOW).unwrap();
        let upstream = Upstream::start().unwrap();
        let mut bootstrap = read_yaml(&repository().join("envoy/global-rate-limit/envoy.yaml"));
        bootstrap["admin"]["address"]["socket_address"]["port_value"] = 0.into();
        let resources = &mut bootstrap["static_resources"];
        resources["listeners"][0]["address"]["socket_address"] =
            json!({ "address": "127.0.0.1", "port_value": 0 });
        for (at, addr) in [upstream.addr(), service.addr()].into_iter().enumerate() {
            let endpoint = cluster("", addr)["load_assignment"]["endpoints"].take();
            resources["clusters"][at]["load_assignment"]["endpoints"] = endpoint;
        }
        let ours = &mut filters(&mut bootstrap)[0]["typed_config"]["config"];
        ours["vm_config"]["code"]["local"]["filename"] = module_path().to_str().into();
        // Far more than a service on a busy machine needs.
        filters(&mut bootstrap)[1]["typed_config"]["timeout"] = "5s".into();
        change(&mut bootstrap);
        let options = Options {
            binary,
            ..Options::reused()
        };
        let envoy = Envoy::start(bootstrap, &options).unwrap_or_else(|error| panic!("{error}"));
        let addr = envoy.listener_addr("api").unwrap();
        Proxy {
            service_addr: service.addr(),
            service: Some(service),
            upstream,
            _envoy: envoy,
            addr,
        }
    }
}

impl Proxy {
    fn get(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        let bytes = |text: &str| text.as_bytes().to_vec();
        let fields = headers
            .iter()
            .map(|(name, value)| (bytes(name), bytes(value)));
        let request = Request {
            method: bytes("GET"),
            path: bytes(path),
            authority: bytes("api.example.com"),
            headers: fields.collect(),
            ..Request::default()
        };
        client::send(self.addr, &request, TIMEOUT).unwrap()
    }

    fn get_as(&self, subject: &str) -> Response {
        self.get("/orders", &[("authorization", &bearer(subject))])
    }

    fn received(&self) -> Vec<Received> {
        self.upstream.take_all()
    }

    /// What the service was asked since the last time: descriptors, each of one entry.
    fn asked(&self) -> Vec<Vec<(String, String)>> {
        let asked = self.service.as_ref().unwrap().take_asked();
        let asked = asked.into_iter();
        asked.map(|descriptors| descriptors.concat()).collect()
    }
}

fn manager(bootstrap: &mut Value) -> &mut Value {
    bootstrap.pointer_mut(MANAGER).unwrap()
}

fn filters(bootstrap: &mut Value) -> &mut Value {
    &mut manager(bootstrap)["http_filters"]
}

fn bearer(subject: &str) -> String {
    let key = SigningKey::from_pem_file(&repository().join("envoy/demo-keys/es256.pem"));
    let claims = json!({
        "iss": "https://id.demo.portcullis.test/",
        "aud": "orders-api",
        "sub": subject,
        "exp": 4_102_444_800_u64,
    });
    let token = json!({ "header": { "kid": "demo-es256" }, "claims": claims });
    format!("Bearer {}", tokens::mint_with(&key, &token, 0))
}

fn field<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    let found = response.headers.iter().find(|(n, _)| n == name)?;
    std::str::from_utf8(&found.1).ok()
}

fn assert_secured(response: &Response) {
    assert_eq!(field(response, "x-content-type-options"), Some("nosniff"));
}

#[test]
fn two_proxies_share_one_limit() {
    let mesh = Mesh::start();
    let old = env::var_os("ENVOY_1_36").map(PathBuf::from);
    assert!(
        old.is_some(),
        "ENVOY_1_36 names Envoy 1.36; `make test` sets it"
    );
    let proxies = [mesh.proxy(None, |_| {}), mesh.proxy(old, |_| {})];
    let allowed = mesh.allowed("user");
    for number in 0..allowed {
        let response = proxies[number % 2].get_as("alice");
        assert_eq!(response.status, 200, "request {number}");
        let left = (allowed - number - 1).to_string();
        assert_eq!(field(&response, "x-ratelimit-remaining"), Some(&*left));
        assert_secured(&response);
    }
    for proxy in &proxies {
        let refused = proxy.get_as("alice");
        assert_eq!(refused.status, 429);
        assert_eq!(field(&refused, "retry-after"), Some(LEFT));
        let problem: Value = serde_json::from_slice(&refused.body).unwrap();
        assert_eq!(problem["code"], "rate_limited");
        assert_eq!(problem["status"], 429);
        assert_secured(&refused);
        let call = [
            ("authorization", &*bearer("alice")),
            ("content-type", "application/grpc"),
        ];
        let refused = proxy.get("/orders", &call);
        assert_eq!(refused.status, 200);
        assert_eq!(field(&refused, "grpc-status"), Some("8"));
        assert_eq!(field(&refused, "grpc-message"), None);
        // Another user's limit is not touched.
        assert_eq!(proxy.get_as("bob").status, 200);
        // What has no limit goes on as before.
        assert_eq!(proxy.get("/healthz", &[]).status, 200);
    }
}

#[test]
fn the_service_hears_what_a_request_costs() {
    let mesh = Mesh::start();
    let old = env::var_os("ENVOY_1_36").map(PathBuf::from);
    for binary in [None, old] {
        let proxy = mesh.proxy(binary, |bootstrap| {
            let ours = &mut filters(bootstrap)[0]["typed_config"]["config"]["configuration"];
            let mut document: Value =
                serde_json::from_str(ours["value"].as_str().unwrap()).unwrap();
            let routes = document["routes"].as_array_mut().unwrap();
            let orders = routes
                .iter_mut()
                .find(|route| route["name"] == "orders")
                .unwrap();
            for limit in orders["rate_limits"].as_array_mut().unwrap() {
                limit["cost"] = 3.into();
            }
            ours["value"] = document.to_string().into();
        });
        let subject = format!("alice of {}", proxy.addr);
        let response = proxy.get_as(&subject);
        assert_eq!(response.status, 200);
        assert_eq!(proxy.service.as_ref().unwrap().take_hits(), [3]);
        let left = (mesh.allowed("user") - 3).to_string();
        assert_eq!(field(&response, "x-ratelimit-remaining"), Some(&*left));
    }
}

#[test]
fn each_address_has_a_limit_of_its_own() {
    let mesh = Mesh::start();
    let proxy = mesh.proxy(None, |bootstrap| {
        // Behind one other proxy, which says who connected there.
        manager(bootstrap)["xff_num_trusted_hops"] = 1.into();
    });
    let from = |address: &str| {
        let who = [
            ("authorization", &*bearer(address)),
            ("x-forwarded-for", address),
        ];
        let status = proxy.get("/orders", &who).status;
        let asked = proxy.asked().concat();
        let network = asked.into_iter().find(|(key, _)| key == "network");
        (status, network.unwrap().1)
    };
    let network = |network: &str| format!("client_address={network}");
    for host in 1..=10 {
        let (status, key) = from(&format!("198.51.100.{host}"));
        assert_eq!((status, key), (200, network("198.51.100.0/24")));
    }
    assert_eq!(from("198.51.100.11").0, 429);
    assert_eq!(from("198.51.101.1"), (200, network("198.51.101.0/24")));
    assert_eq!(from("2001:db8::1"), (200, network("2001:db8::/64")));
}

#[test]
fn nobody_counts_under_a_name_of_their_choice() {
    let mesh = Mesh::start();
    let proxy = mesh.proxy(None, |_| {});
    let alice = ("authorization", &*bearer("alice"));
    assert_eq!(proxy.get("/orders", &[alice]).status, 200);
    let honest = proxy.asked();
    let [descriptors] = &honest[..] else {
        panic!("one question expected: {honest:?}");
    };
    let keys: Vec<&str> = descriptors.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(keys, ["user", "network"]);
    let digest = descriptors[0].1.strip_prefix("sha256=").unwrap();
    assert_eq!(digest.len(), 64);
    for spoofed in [HEADER, "X-Portcullis-User", "x_portcullis_user"] {
        let sent = [(spoofed, "bob"), alice, (spoofed, "carol")];
        assert_eq!(proxy.get("/orders", &sent).status, 200);
        assert_eq!(proxy.asked(), honest, "{spoofed}");
        // Where nothing is handed over, nothing is asked under a name that a client made up.
        assert_eq!(proxy.get("/healthz", &sent).status, 200);
        assert_eq!(proxy.asked(), [] as [Vec<_>; 0], "{spoofed}");
    }
    // The service behind sees neither what was handed over nor what was made up.
    for received in proxy.received() {
        for (name, _) in received.headers {
            let name = String::from_utf8_lossy(&name).replace('_', "-");
            assert!(!name.eq_ignore_ascii_case(HEADER));
        }
    }
}

#[test]
fn without_the_service_requests_are_refused() {
    let mesh = Mesh::start();
    let mut proxy = mesh.proxy(None, |_| {});
    assert_eq!(proxy.get_as("alice").status, 200);
    proxy.received();
    for gone in [silent, stopped] {
        gone(&mut proxy);
        let refused = proxy.get_as("alice");
        assert_eq!(refused.status, 503);
        assert_secured(&refused);
        assert_eq!(proxy.received(), []);
    }
    // The counts have not gone with it.
    let service = LimitService::start_at(proxy.service_addr, &mesh.limits, &mesh.redis, NOW);
    proxy.service = Some(service.unwrap());
    let left = (mesh.allowed("user") - 2).to_string();
    let response = proxy.get_as("alice");
    assert_eq!(field(&response, "x-ratelimit-remaining"), Some(&*left));
    // A service that cannot count says so, and does not let requests pass uncounted.
    drop(mesh);
    assert_eq!(proxy.get_as("alice").status, 503);
}

#[test]
fn without_the_service_requests_pass_where_they_are_allowed_to() {
    let mesh = Mesh::start();
    let mut proxy = mesh.proxy(None, |bootstrap| {
        let theirs = &mut filters(bootstrap)[1]["typed_config"];
        assert_eq!(theirs["failure_mode_deny"], true);
        theirs["failure_mode_deny"] = false.into();
    });
    for gone in [silent, stopped] {
        gone(&mut proxy);
        assert_eq!(proxy.get_as("alice").status, 200);
    }
    assert_eq!(proxy.received().len(), 2);
}

fn silent(proxy: &mut Proxy) {
    proxy.service.as_ref().unwrap().fall_silent();
}

fn stopped(proxy: &mut Proxy) {
    proxy.service = None;
}
