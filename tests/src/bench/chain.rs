//! What a chain is, and which tokens its requests carry.

use std::path::{Path, PathBuf};
use std::thread;

use portcullis_tests::envoy::{ListenerOptions, WasmOptions, listener, string_value, wasm_filter};
use portcullis_tests::tokens::{self, SigningKey};
use serde_json::{Value, json};

use super::native::{self, TokenCache};
use super::proofs::Proofs;
use super::scratch::Scratch;

pub(super) const ISSUER: &str = "https://id.bench.test/";
pub(super) const AUDIENCE: &str = "orders-api";
/// How many tokens each worker may remember where that matters.
pub(super) const CACHED_TOKENS: u32 = 10_000;
/// What is asked for.
pub(super) const PATH: &str = "/orders/1";
/// What Envoy itself answers, in place of a service.
pub(super) const BODY: &str = r#"{"order":1}"#;

/// The page that all requests come from.
pub(super) const ORIGIN: &str = "https://app.bench.test";

/// The five response headers that every whole chain sets: those of the preset `api` that matter
/// most to an API.
pub(super) const HEADERS: [(&str, &str); 5] = [
    ("cache-control", "no-store, max-age=0"),
    (
        "content-security-policy",
        "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("referrer-policy", "no-referrer"),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "deny"),
];

/// One configuration of Envoy, and the requests it gets.
pub(super) struct Chain {
    /// Its name in the results.
    pub(super) id: &'static str,
    /// Its name in the table.
    pub(super) title: &'static str,
    pub(super) listener: Value,
    pub(super) traffic: Traffic,
    pub(super) work: Work,
    /// The number of Envoy's workers.
    pub(super) workers: u32,
    /// Where it writes its access log, if that is a file of its own.
    pub(super) access_log: Option<PathBuf>,
    /// A file with the JSON that each request sends; without one they ask by GET.
    pub(super) body: Option<PathBuf>,
    /// What answers in place of the chain's own route.
    pub(super) service: Option<Service>,
}

/// A service behind the chain: a listener of the same Envoy. Filters that leave alone what the proxy answers
/// itself have their work then.
#[derive(Clone)]
pub(super) struct Service {
    /// Where it listens.
    pub(super) socket: PathBuf,
    /// The fields that answers have when they have come through the chain.
    pub(super) fields: Vec<(String, String)>,
    /// The JSON that it answers.
    pub(super) answer: &'static str,
}

impl Service {
    pub(super) fn listener(&self) -> Value {
        let mut routes = routes(json!({}));
        let route = &mut routes["virtual_hosts"][0]["routes"][0];
        route["direct_response"]["body"] = json!({ "inline_string": self.answer });
        route["response_headers_to_add"] = json!([{
            "header": { "key": "content-type", "value": "application/json" },
            "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
        }]);
        let mut listener = answering("service", Vec::new(), json!({ "route_config": routes }));
        listener["address"] = self.address();
        listener
    }

    /// The cluster that a [`listener`] leads to by itself.
    pub(super) fn cluster(&self) -> Value {
        json!({
            "name": "upstream",
            "load_assignment": { "cluster_name": "upstream", "endpoints": [{ "lb_endpoints": [{
                "endpoint": { "address": self.address() },
            }] }] },
        })
    }

    fn address(&self) -> Value {
        json!({ "pipe": { "path": self.socket } })
    }
}

/// Which tokens the requests carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Traffic {
    /// The same one each time.
    Same(Algorithm),
    /// Another one each time, more of them than a cache holds.
    New(Algorithm),
    /// None, so that every request is refused.
    None,
    /// One that has expired, the same each time, so that every request is refused.
    Expired,
    /// The same good one each time, to a chain with [`Bucket::Spent`].
    OverLimit,
    /// The same one each time, among as many fields as [`WIDE`] says.
    Wide,
    /// The same one each time, over HTTP/2.
    Http2,
    /// No token, and the same API key each time.
    ApiKey,
    /// No token, and the same certificate each time, as a proxy in front tells of it.
    Certificate,
    /// The same token each time, which is none that can be read.
    Opaque,
    /// The same token each time, with another proof of its key.
    Proof,
}

impl Traffic {
    /// The status of the refusal that every request gets, but for those that spend a limit.
    pub(super) fn refused(self) -> Option<u16> {
        match self {
            Self::None | Self::Expired => Some(401),
            Self::OverLimit => Some(429),
            Self::Same(_)
            | Self::New(_)
            | Self::Wide
            | Self::Http2
            | Self::ApiKey
            | Self::Certificate
            | Self::Opaque
            | Self::Proof => None,
        }
    }

    /// The field of what it presents, and what stands there before it.
    pub(super) fn field(self) -> (&'static str, &'static str) {
        match self {
            Self::ApiKey => ("x-api-key", ""),
            Self::Certificate => ("x-forwarded-client-cert", ""),
            Self::Proof => ("authorization", "DPoP "),
            _ => ("authorization", "Bearer "),
        }
    }

    /// What it presents that is no token, and one like it that is of nobody.
    pub(super) fn credentials(self) -> Option<(&'static str, &'static str)> {
        match self {
            Self::ApiKey => Some((API_KEY, "bench_09z1VvPl6hJs2ZLrQ1MZbG7HNWf3oA8sD")),
            Self::Certificate => Some((
                CERTIFICATE,
                "Hash=468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688;URI=spiffe://bench.test/other",
            )),
            // The service calls every token good that is one.
            Self::Opaque => Some(("2YotnFZFEjr1zCsicMWpAA", "2Yotn!FZFEjr1zCsicMWpAA")),
            _ => None,
        }
    }
}

/// How much a limit admits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Bucket {
    /// More than any load asks for.
    Ample,
    /// One request an hour.
    Spent,
}

/// The key of [`Traffic::ApiKey`].
pub(super) const API_KEY: &str = "demo_IKrezonC2Pt7yogGjJdCiBkctpY22QuQS";
/// The certificate of [`Traffic::Certificate`], and its name.
pub(super) const CERTIFICATE: &str = "Hash=468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688;URI=spiffe://bench.test/orders";
pub(super) const SPIFFE_ID: &str = "spiffe://bench.test/orders";

/// How many fields the requests of [`Traffic::Wide`] have besides the usual ones.
pub(super) const WIDE: u32 = 64;

/// How tokens are signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Algorithm {
    Rs256,
    Ps256,
    Es256,
    EdDsa,
}

impl Algorithm {
    /// RS256 first: it is the one of the chains that are not about algorithms.
    pub(super) const ALL: [Self; 4] = [Self::Rs256, Self::Ps256, Self::Es256, Self::EdDsa];

    /// As JWS has it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Ps256 => "PS256",
            Self::Es256 => "ES256",
            Self::EdDsa => "EdDSA",
        }
    }

    /// The key in `tests/keys`.
    fn key(self) -> &'static str {
        match self {
            Self::Rs256 => "rsa",
            Self::Ps256 => "rsa-other",
            Self::Es256 => "p256",
            Self::EdDsa => "ed25519",
        }
    }
}

/// What a chain does, and so what its answers show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Nothing,
    Token,
    /// A credential that is no token.
    Credential,
    /// Rules that allow what is asked for, and nothing beside it.
    Access,
    /// A limit, with the `x-ratelimit` fields.
    Limit,
    /// Response headers.
    Headers,
    /// Token, limit, CORS, response headers and, but for one chain, an access log.
    Whole,
}

/// Nothing but the router.
pub(super) fn router() -> Chain {
    Chain {
        id: "router",
        title: "nothing but the router",
        listener: answering("api", Vec::new(), json!({})),
        traffic: Traffic::Same(Algorithm::Rs256),
        work: Work::Nothing,
        workers: 1,
        access_log: None,
        service: None,
        body: None,
    }
}

/// The whole native chain. Its refusals carry the response headers too.
pub(super) fn native(
    id: &'static str,
    title: &'static str,
    cache: TokenCache,
    log: PathBuf,
) -> Chain {
    native_with((id, title), native::jwt_authn(cache), Bucket::Ample, log)
}

/// The whole native chain with its token cache, and a limit that is spent. The limit comes first, as in the module,
/// whose limits that need no token are asked before it.
pub(super) fn native_spent(id: &'static str, title: &'static str, log: PathBuf) -> Chain {
    let jwt_authn = native::jwt_authn(TokenCache::On);
    native_with((id, title), jwt_authn, Bucket::Spent, log)
}

/// The whole native chain with its token cache, and rules for other prefixes in front.
pub(super) fn native_behind(
    id: &'static str,
    title: &'static str,
    prefixes: &[String],
    log: PathBuf,
) -> Chain {
    let jwt_authn = native::jwt_authn_behind(TokenCache::On, prefixes);
    native_with((id, title), jwt_authn, Bucket::Ample, log)
}

fn native_with(
    (id, title): (&'static str, &'static str),
    jwt_authn: Value,
    bucket: Bucket,
    log: PathBuf,
) -> Chain {
    let mut filters = vec![
        native::cors(),
        jwt_authn,
        native::local_ratelimit(bucket),
        native::header_mutation(&HEADERS),
    ];
    if bucket == Bucket::Spent {
        filters.swap(1, 2);
    }
    let mut manager = json!({ "access_log": native::access_log(&log) });
    manager["route_config"] = routes(native::cors_policy());
    Chain {
        id,
        title,
        listener: answering("api", filters, manager),
        traffic: Traffic::Same(Algorithm::Rs256),
        work: Work::Whole,
        workers: 1,
        access_log: Some(log),
        service: None,
        body: None,
    }
}

/// The module, with Envoy's logger writing the record that it leaves.
pub(super) fn recorded(
    id: &'static str,
    title: &'static str,
    module: &Path,
    document: &Value,
    log: PathBuf,
) -> Chain {
    let mut manager = json!({ "access_log": native::record_log(&log) });
    manager["route_config"] = routes(json!({}));
    Chain {
        id,
        title,
        listener: answering("api", vec![filter(module, document, "portcullis")], manager),
        traffic: Traffic::Same(Algorithm::Rs256),
        work: Work::Whole,
        workers: 1,
        access_log: Some(log),
        service: None,
        body: None,
    }
}

/// The module with this document.
pub(super) fn portcullis(
    id: &'static str,
    title: &'static str,
    module: &Path,
    document: &Value,
    (traffic, work): (Traffic, Work),
) -> Chain {
    let filter = filter(module, document, "portcullis");
    Chain {
        id,
        title,
        listener: answering("api", vec![filter], json!({})),
        traffic,
        work,
        workers: 1,
        access_log: None,
        service: None,
        body: None,
    }
}

/// The module as a filter, in the VM of this name.
pub(super) fn filter(module: &Path, document: &Value, vm_id: &str) -> Value {
    let options = WasmOptions {
        vm_id: vm_id.into(),
        allow_on_headers_stop_iteration: true,
        ..WasmOptions::default()
    };
    let configuration = string_value(&document.to_string());
    wasm_filter("portcullis", module, configuration, options)
}

/// A listener whose route is an answer.
pub(super) fn answering(name: &str, filters: Vec<Value>, mut manager: Value) -> Value {
    if manager.get("route_config").is_none() {
        manager["route_config"] = routes(json!({}));
    }
    let options = ListenerOptions {
        http_connection_manager: manager,
        ..ListenerOptions::default()
    };
    listener(name, filters, options)
}

pub(super) fn routes(per_filter: Value) -> Value {
    let route = json!({
        "name": "everything",
        "match": { "prefix": "/" },
        "direct_response": { "status": 200, "body": { "inline_string": BODY } },
        "typed_per_filter_config": per_filter,
    });
    json!({ "virtual_hosts": [{ "name": "everyone", "domains": ["*"], "routes": [route] }] })
}

/// The public keys of all tokens.
pub(super) fn jwks() -> Value {
    let public = |algorithm: Algorithm| {
        let mut jwk = SigningKey::named(algorithm.key()).jwk();
        jwk["kid"] = algorithm.key().into();
        jwk["alg"] = algorithm.name().into();
        jwk["use"] = "sig".into();
        jwk
    };
    json!({ "keys": Algorithm::ALL.map(public) })
}

/// Tokens, good and bad, and files of them for the load generator, one a line.
pub(super) struct Tokens {
    pub(super) good: Vec<(Algorithm, String)>,
    pub(super) expired: String,
    pub(super) forged: String,
    pub(super) proofs: Proofs,
    files: Vec<(Traffic, PathBuf)>,
}

impl Tokens {
    pub(super) fn mint(scratch: &Scratch, different: u32, now: u64) -> Result<Self, String> {
        let mut good = Vec::new();
        let mut files = Vec::new();
        for algorithm in Algorithm::ALL {
            let key = SigningKey::named(algorithm.key());
            let one = tokens::mint_with(&key, &described(algorithm, 0), now);
            let several = many(&key, algorithm, different, now);
            let name = algorithm.name();
            files.push((Traffic::Same(algorithm), scratch.write(name, &one)?));
            let new = scratch.write(&format!("new-{name}"), &several)?;
            files.push((Traffic::New(algorithm), new));
            good.push((algorithm, one));
        }
        let rsa = SigningKey::named(Algorithm::Rs256.key());
        let same = files
            .first()
            .map(|(_, path): &(Traffic, PathBuf)| path.clone());
        let same = same.unwrap_or_default();
        let alike = [Traffic::Wide, Traffic::Http2, Traffic::OverLimit];
        files.extend(alike.map(|traffic| (traffic, same.clone())));
        files.push((Traffic::None, scratch.write("none", "\n")?));
        for traffic in [Traffic::ApiKey, Traffic::Certificate, Traffic::Opaque] {
            let (good, _) = traffic.credentials().unwrap_or_default();
            files.push((traffic, scratch.write(traffic.field().0, good)?));
        }
        let mut expired = described(Algorithm::Rs256, 0);
        expired["claims"]["exp"] = "now-3600".into();
        let mut forged = described(Algorithm::Rs256, 0);
        forged["tamper"] = "signature".into();
        let expired = tokens::mint_with(&rsa, &expired, now);
        files.push((Traffic::Expired, scratch.write("expired", &expired)?));
        let proven = described(Algorithm::Rs256, 0);
        Ok(Self {
            proofs: Proofs::of(scratch, &rsa, proven, now),
            expired,
            forged: tokens::mint_with(&rsa, &forged, now),
            good,
            files,
        })
    }

    /// The file with what is sent in so many seconds of this traffic.
    pub(super) fn for_run(&self, traffic: Traffic, seconds: u32) -> Result<&Path, String> {
        match traffic {
            Traffic::Proof => self.proofs.fresh(seconds, super::now()),
            _ => Ok(self.file(traffic)),
        }
    }

    /// The file with the tokens of this traffic.
    pub(super) fn file(&self, traffic: Traffic) -> &Path {
        let found = self.files.iter().find(|(each, _)| *each == traffic);
        found.map_or(Path::new(""), |(_, path)| path)
    }
}

fn described(algorithm: Algorithm, number: u32) -> Value {
    json!({
        "alg": algorithm.name(),
        "header": { "kid": algorithm.key() },
        "claims": {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "0f4c1f7a-7a8e-4c57-9b41-3a5d3b8a6c11",
            "scope": "orders.read orders.write",
            "jti": format!("{number:08}"),
            "iat": "now",
            "exp": "now+86400",
        },
    })
}

fn many(key: &SigningKey, algorithm: Algorithm, count: u32, now: u64) -> String {
    let threads = thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|part| {
                let numbers = (part..count).step_by(threads as usize);
                scope.spawn(move || {
                    numbers
                        .map(|number| {
                            tokens::mint_with(key, &described(algorithm, number + 1), now)
                        })
                        .collect::<Vec<_>>()
                        .join("\n")
                })
            })
            .collect();
        let parts = parts.into_iter().filter_map(|part| part.join().ok());
        parts.collect::<Vec<_>>().join("\n")
    })
}
