//! The files of `envoy/production` with addresses and paths of this machine, and what stands around
//! a gateway.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use portcullis_tests::envoy::{Envoy, Options, cluster};
use portcullis_tests::limit_service::LimitService;
use portcullis_tests::module_path;
use portcullis_tests::published::to_json;
use portcullis_tests::redis::Redis;
use portcullis_tests::tokens::{self, SigningKey, repository};
use portcullis_tests::upstream::Upstream;
use portcullis_tests::yaml::read_yaml;
use serde_json::{Value, json};

/// The second at which the limit services are.
const NOW: u64 = 1_800_000_040;

/// The first certificate of the gateways, and the one after it.
pub(super) const FIRST: [&str; 2] = ["certificate.pem", "key.pem"];
pub(super) const RENEWED: [&str; 2] = ["renewed.pem", "renewed-key.pem"];

/// A directory in place of `/etc/envoy`.
pub(super) struct Files(PathBuf);

impl Files {
    pub(super) fn new(test: &str) -> Self {
        let name = format!("gateway-{test}-{}", std::process::id());
        let files = Self(Path::new(env!("CARGO_TARGET_TMPDIR")).join(name));
        for directory in ["cache", "tls", "client-tls"] {
            fs::create_dir_all(files.0.join(directory)).unwrap();
        }
        files.put("tls", FIRST);
        files.put("client-tls", ["clients/uri.pem", "clients/key.pem"]);
        for secret in ["certificate.yaml", "client-certificate.yaml"] {
            fs::write(files.0.join(secret), files.text(secret)).unwrap();
        }
        files
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    /// A file as it is shipped, but for its paths, and the name by which the proxy in front is known.
    pub(super) fn text(&self, name: &str) -> String {
        let shipped = fs::read_to_string(production().join(name)).unwrap();
        let of_tests = |path: &str| repository().join("tests").join(path);
        [
            (
                "/etc/envoy/GeoLite2-Country.mmdb",
                of_tests("vectors/geoip/country.mmdb"),
            ),
            (
                "/etc/envoy/GeoLite2-ASN.mmdb",
                of_tests("vectors/geoip/asn.mmdb"),
            ),
            (
                "/etc/envoy/front-ca.crt",
                of_tests("keys/tls/clients/ca.pem"),
            ),
            (
                "/etc/envoy/gateway-ca.crt",
                of_tests("keys/tls/certificate.pem"),
            ),
            ("/etc/envoy", self.0.clone()),
            ("/var/cache/envoy", self.0.join("cache")),
            ("/plugin.wasm", module_path()),
            (
                "spiffe://example.com/front",
                "spiffe://mesh.example/ns/billing/sa/invoices".into(),
            ),
        ]
        .iter()
        .fold(shipped, |text, (shipped, here)| {
            text.replace(shipped, here.to_str().expect("a path in UTF-8"))
        })
    }

    /// A bootstrap with free ports of this machine, and these addresses of clusters.
    ///
    /// Tests of many requests come from one address, and the limit service may be slow.
    pub(super) fn bootstrap(
        &self,
        name: &str,
        old: bool,
        clusters: &[(&str, &[SocketAddr])],
    ) -> Value {
        let limit = "\"token_bucket\": { \"max_tokens\": 200,";
        let text = self
            .text(name)
            .replace(limit, "\"token_bucket\": { \"max_tokens\": 1000000,");
        let text = if old { as_1_36(&text) } else { text };
        let mut bootstrap = to_json(&text).unwrap();
        let port = bootstrap.pointer_mut("/admin/address/socket_address/port_value");
        *port.unwrap() = 0.into();
        for listener in bootstrap["static_resources"]["listeners"]
            .as_array_mut()
            .unwrap()
        {
            if let Some(address) = listener.pointer_mut("/address/socket_address") {
                address["address"] = "127.0.0.1".into();
                address["port_value"] = 0.into();
            }
            for filter in http_filters(listener) {
                if filter["name"] == "envoy.filters.http.ratelimit" {
                    filter["typed_config"]["timeout"] = "5s".into();
                }
            }
        }
        for (name, addrs) in clusters {
            let all = bootstrap["static_resources"]["clusters"]
                .as_array_mut()
                .unwrap();
            let found = all
                .iter_mut()
                .find(|cluster| cluster["name"] == *name)
                .unwrap();
            let endpoint = |addr: &SocketAddr| {
                let mut one = cluster("", *addr);
                one["load_assignment"]["endpoints"][0]["lb_endpoints"][0].take()
            };
            let endpoints: Vec<Value> = addrs.iter().map(endpoint).collect();
            found["load_assignment"]["endpoints"] = json!([{ "lb_endpoints": endpoints }]);
        }
        bootstrap
    }

    /// Puts another certificate into the directory as Kubernetes does: a link is moved over another.
    pub(super) fn put(&self, directory: &str, [chain, key]: [&str; 2]) {
        let watched = self.0.join(directory);
        let keys = repository().join("tests/keys/tls");
        let count = fs::read_dir(&watched).unwrap().count();
        let fresh = watched.join(format!("..{count}"));
        fs::create_dir(&fresh).unwrap();
        fs::copy(keys.join(chain), fresh.join("tls.crt")).unwrap();
        fs::copy(keys.join(key), fresh.join("tls.key")).unwrap();
        symlink(&fresh, watched.join("..next")).unwrap();
        fs::rename(watched.join("..next"), watched.join("..data")).unwrap();
        for name in ["tls.crt", "tls.key"] {
            if fs::symlink_metadata(watched.join(name)).is_err() {
                symlink(Path::new("..data").join(name), watched.join(name)).unwrap();
            }
        }
    }

    /// Moves another version of the SDS file to its place, with a certificate in a directory of its own.
    pub(super) fn put_secret(&self, directory: &str, pair: [&str; 2]) {
        fs::create_dir(self.0.join(directory)).unwrap();
        self.put(directory, pair);
        let known = self.0.join("tls");
        let text = self.text("certificate.yaml");
        let text = text.replace(
            known.to_str().unwrap(),
            self.0.join(directory).to_str().unwrap(),
        );
        fs::write(self.0.join("next.yaml"), text).unwrap();
        fs::rename(self.0.join("next.yaml"), self.0.join("certificate.yaml")).unwrap();
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(super) fn production() -> PathBuf {
    repository().join("envoy/production")
}

/// What `docs/gateway.md` says of Envoy 1.36.
pub(super) fn as_1_36(text: &str) -> String {
    let page = fs::read_to_string(repository().join("docs/gateway.md")).unwrap();
    [
        ("country_db_path", "city_db_path"),
        ("geo_field_keys", "geo_headers_to_add"),
    ]
    .iter()
    .fold(text.to_owned(), |text, (now, then)| {
        let row = format!("| `{now}` | `{then}` |");
        assert!(page.contains(&row), "{row}");
        text.replace(now, then)
    })
}

/// The HTTP filters of a listener.
pub(super) fn http_filters(listener: &mut Value) -> &mut Vec<Value> {
    let filters = listener["filter_chains"][0]["filters"]
        .as_array_mut()
        .unwrap();
    let manager = filters.last_mut().expect("a connection manager");
    manager["typed_config"]["http_filters"]
        .as_array_mut()
        .unwrap()
}

/// A token of the demo's issuer.
pub(super) fn bearer(subject: &str) -> String {
    let key = SigningKey::from_pem_file(&repository().join("envoy/demo-keys/es256.pem"));
    let claims = json!({
        "iss": "https://id.demo.portcullis.test/",
        "aud": "orders-api",
        "sub": subject,
        "scope": "orders.read",
        "exp": 4_102_444_800_u64,
    });
    let token = json!({ "header": { "kid": "demo-es256" }, "claims": claims });
    format!(
        "Authorization: Bearer {}\r\n",
        tokens::mint_with(&key, &token, 0)
    )
}

/// The rate limit service of the gateways.
pub(super) struct Limits {
    pub(super) service: LimitService,
    _redis: Redis,
}

impl Limits {
    /// As it is shipped, or with another number in a minute.
    pub(super) fn start(requests: Option<u64>) -> Self {
        let mut limits = read_yaml(&production().join("ratelimit.yaml"));
        if let Some(requests) = requests {
            limits["descriptors"][0]["rate_limit"]["requests_per_unit"] = requests.into();
        }
        let redis = Redis::start().unwrap();
        Self {
            service: LimitService::start(&limits, &redis, NOW).unwrap(),
            _redis: redis,
        }
    }
}

/// A gateway that clients reach, two servers behind it, and the limit service.
pub(super) struct Edge {
    pub(super) envoy: Envoy,
    pub(super) files: Files,
    pub(super) upstreams: [Upstream; 2],
    _limits: Limits,
    pub(super) https: SocketAddr,
}

impl Edge {
    /// `old`: the older release, at this place.
    pub(super) fn start(test: &str, old: Option<PathBuf>) -> Self {
        let files = Files::new(test);
        let upstreams = [Upstream::start().unwrap(), Upstream::start().unwrap()];
        let limits = Limits::start(None);
        let addrs = [upstreams[0].addr(), upstreams[1].addr()];
        let clusters: [(&str, &[SocketAddr]); 2] = [
            ("upstream", &addrs),
            ("ratelimit", &[limits.service.addr()]),
        ];
        let bootstrap = files.bootstrap("edge.yaml", old.is_some(), &clusters);
        let options = Options {
            binary: old,
            ..Options::default()
        };
        let envoy = Envoy::start(bootstrap, &options).unwrap_or_else(|error| panic!("{error}"));
        let https = envoy.listener_addr("https").unwrap();
        Self {
            envoy,
            files,
            upstreams,
            _limits: limits,
            https,
        }
    }

    /// How many requests for this path, query included, have come to either server since the last time.
    pub(super) fn arrived(&self, path: &str) -> usize {
        let taken = self.upstreams.iter().map(|each| each.take_path(path).len());
        taken.sum()
    }
}
