//! What is compared, and with which tokens.

use std::path::{Path, PathBuf};
use std::thread;

use portcullis_tests::envoy::{ListenerOptions, WasmOptions, listener, string_value, wasm_filter};
use portcullis_tests::tokens::{self, SigningKey};
use serde_json::{Value, json};

use super::native::{self, TokenCache};
use super::{document, scratch::Scratch};

pub(super) const ISSUER: &str = "https://id.bench.test/";
pub(super) const AUDIENCE: &str = "orders-api";
/// How many tokens each worker may remember where that matters.
pub(super) const CACHED_TOKENS: u32 = 10_000;
/// What is asked for.
pub(super) const PATH: &str = "/orders/1";
/// What Envoy itself answers, in place of a service.
pub(super) const BODY: &str = r#"{"order":1}"#;

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
    /// Where it writes its access log, if that is a file of its own.
    pub(super) access_log: Option<PathBuf>,
}

/// Which tokens the requests carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Traffic {
    /// The same one each time.
    SameRs256,
    SameEs256,
    /// Another one each time, more of them than a cache holds.
    NewRs256,
    NewEs256,
}

/// What a chain does, and so what its answers show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    Nothing,
    Token,
    /// Token, response headers and, but for one chain, an access log.
    Whole,
}

/// Every chain, in the order of the table.
pub(super) fn all(module: &Path, scratch: &Scratch) -> Vec<Chain> {
    let log = |name: &str| scratch.file(&format!("{name}.log"));
    vec![
        router(),
        native(
            "native-cached",
            "native chain, token cache on",
            TokenCache::On,
            log("native-cached"),
        ),
        native(
            "native",
            "native chain, no token cache (its default)",
            TokenCache::Off,
            log("native"),
        ),
        native_without_limits(log("native-same-work")),
        portcullis(
            "portcullis",
            "Portcullis, RS256, the same five headers",
            module,
            &document::whole(),
            (Traffic::SameRs256, Work::Whole),
        ),
        portcullis(
            "portcullis-no-log",
            "Portcullis, RS256, five headers, no access log",
            module,
            &document::without_log(),
            (Traffic::SameRs256, Work::Whole),
        ),
        portcullis(
            "portcullis-api",
            "Portcullis, RS256, preset api",
            module,
            &document::with_preset(),
            (Traffic::SameRs256, Work::Whole),
        ),
        portcullis(
            "portcullis-es256",
            "Portcullis, ES256, preset api",
            module,
            &document::with_preset(),
            (Traffic::SameEs256, Work::Whole),
        ),
        native_token(
            "native-new-rs256",
            "native jwt_authn alone, new RS256 tokens",
            Traffic::NewRs256,
        ),
        portcullis(
            "portcullis-new-rs256",
            "Portcullis jwt alone, new RS256 tokens",
            module,
            &document::token_only(),
            (Traffic::NewRs256, Work::Token),
        ),
        native_token(
            "native-new-es256",
            "native jwt_authn alone, new ES256 tokens",
            Traffic::NewEs256,
        ),
        portcullis(
            "portcullis-new-es256",
            "Portcullis jwt alone, new ES256 tokens",
            module,
            &document::token_only(),
            (Traffic::NewEs256, Work::Token),
        ),
    ]
}

/// Nothing but the router.
pub(super) fn router() -> Chain {
    Chain {
        id: "router",
        title: "nothing but the router",
        listener: answering("api", Vec::new(), json!({})),
        traffic: Traffic::SameRs256,
        work: Work::Nothing,
        access_log: None,
    }
}

/// The whole native chain. Its refusals carry the response headers too.
pub(super) fn native(
    id: &'static str,
    title: &'static str,
    cache: TokenCache,
    log: PathBuf,
) -> Chain {
    let filters = vec![
        native::cors(),
        native::jwt_authn(cache),
        native::local_ratelimit(),
        native::header_mutation(),
    ];
    let mut manager = json!({ "access_log": native::access_log(&log) });
    manager["route_config"] = routes(native::cors_policy());
    Chain {
        id,
        title,
        listener: answering("api", filters, manager),
        traffic: Traffic::SameRs256,
        work: Work::Whole,
        access_log: Some(log),
    }
}

/// The native chain reduced to what the module does so far.
fn native_without_limits(log: PathBuf) -> Chain {
    let filters = vec![native::jwt_authn(TokenCache::On), native::header_mutation()];
    let manager = json!({ "access_log": native::access_log(&log) });
    Chain {
        id: "native-same-work",
        title: "native, cache on, without cors and local_ratelimit",
        listener: answering("api", filters, manager),
        traffic: Traffic::SameRs256,
        work: Work::Whole,
        access_log: Some(log),
    }
}

fn native_token(id: &'static str, title: &'static str, traffic: Traffic) -> Chain {
    let filters = vec![native::jwt_authn(TokenCache::Off)];
    Chain {
        id,
        title,
        listener: answering("api", filters, json!({})),
        traffic,
        work: Work::Token,
        access_log: None,
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
        access_log: None,
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

fn routes(per_filter: Value) -> Value {
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
    let public = |name: &str, algorithm: &str| {
        let mut jwk = SigningKey::named(name).jwk();
        jwk["kid"] = name.into();
        jwk["alg"] = algorithm.into();
        jwk["use"] = "sig".into();
        jwk
    };
    json!({ "keys": [public("rsa", "RS256"), public("p256", "ES256")] })
}

/// Tokens, good and bad, and files of them for the load generator, one a line.
pub(super) struct Tokens {
    pub(super) good: [(Traffic, String); 2],
    pub(super) expired: String,
    pub(super) forged: String,
    files: [(Traffic, PathBuf); 4],
}

impl Tokens {
    pub(super) fn mint(scratch: &Scratch, different: u32, now: u64) -> Result<Self, String> {
        let (rsa, p256) = (SigningKey::named("rsa"), SigningKey::named("p256"));
        let rs256 = tokens::mint_with(&rsa, &described("rsa", 0), now);
        let es256 = tokens::mint_with(&p256, &described("p256", 0), now);
        let mut expired = described("rsa", 0);
        expired["claims"]["exp"] = "now-3600".into();
        let mut forged = described("rsa", 0);
        forged["tamper"] = "signature".into();
        let files = [
            (Traffic::SameRs256, scratch.write("rs256", &rs256)?),
            (Traffic::SameEs256, scratch.write("es256", &es256)?),
            (
                Traffic::NewRs256,
                scratch.write("new-rs256", &many(&rsa, "rsa", different, now))?,
            ),
            (
                Traffic::NewEs256,
                scratch.write("new-es256", &many(&p256, "p256", different, now))?,
            ),
        ];
        Ok(Self {
            expired: tokens::mint_with(&rsa, &expired, now),
            forged: tokens::mint_with(&rsa, &forged, now),
            good: [(Traffic::SameRs256, rs256), (Traffic::SameEs256, es256)],
            files,
        })
    }

    /// The file with the tokens of this traffic.
    pub(super) fn file(&self, traffic: Traffic) -> &Path {
        let found = self.files.iter().find(|(each, _)| *each == traffic);
        found.map_or(Path::new(""), |(_, path)| path)
    }
}

fn described(key: &str, number: u32) -> Value {
    json!({
        "header": { "kid": key },
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

fn many(key: &SigningKey, name: &str, count: u32, now: u64) -> String {
    let threads = thread::available_parallelism().map_or(1, |cores| cores.get() as u32);
    thread::scope(|scope| {
        let parts: Vec<_> = (0..threads)
            .map(|part| {
                let numbers = (part..count).step_by(threads as usize);
                scope.spawn(move || {
                    numbers
                        .map(|number| tokens::mint_with(key, &described(name, number + 1), now))
                        .collect::<Vec<_>>()
                        .join("\n")
                })
            })
            .collect();
        let parts = parts.into_iter().filter_map(|part| part.join().ok());
        parts.collect::<Vec<_>>().join("\n")
    })
}
