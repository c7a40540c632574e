//! Tokens that others made to find holes: see `tests/vectors` for where they come from.

use std::collections::BTreeSet;
use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use portcullis::engine::Engine;
use portcullis_tests::client::Connection;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::fake_host::{FakeHost, HostOptions};
use portcullis_tests::module_path;
use portcullis_tests::tokens::repository;
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::{Request, Response};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(10);

fn vectors(name: &str) -> Value {
    let path = repository().join("tests/vectors").join(name);
    serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap()
}

/// A document with one route for each provider, `/0`, `/1`, ….
fn document(providers: &[Value]) -> Value {
    let named = |index: usize| format!("p{index}");
    let routes: Vec<Value> = (0..providers.len())
        .map(|index| {
            json!({
                "name": named(index),
                "match": { "path": { "exact": format!("/{index}") } },
                "jwt": { "provider": named(index) },
            })
        })
        .collect();
    let providers: serde_json::Map<String, Value> = providers
        .iter()
        .enumerate()
        .map(|(index, each)| (named(index), each.clone()))
        .collect();
    json!({ "version": 1, "providers": providers, "routes": routes })
}

fn key_set(jwks: &Value) -> Value {
    if jwks.get("keys").is_some() {
        jwks.clone()
    } else {
        json!({ "keys": [jwks] })
    }
}

/// Why the filter does not load a provider's keys.
fn refusal(provider: &Value) -> Option<String> {
    let document = document(std::slice::from_ref(provider)).to_string();
    let error = Engine::compile(document.as_bytes()).err()?;
    Some(error.problems[0].reason.clone())
}

fn bearer(index: usize, token: &str) -> Request {
    Request {
        method: b"GET".to_vec(),
        path: format!("/{index}").into_bytes(),
        authority: b"api.example.com".to_vec(),
        headers: vec![(
            b"authorization".to_vec(),
            format!("Bearer {token}").into_bytes(),
        )],
        ..Request::default()
    }
}

/// What Envoy answers, and the code and reason of its response code details.
struct Proxy {
    envoy: Envoy,
    connection: Connection,
    _upstream: Upstream,
}

impl Proxy {
    fn start(document: &Value) -> Self {
        let upstream = Upstream::start_forgetful().unwrap();
        let clusters = vec![cluster("upstream", upstream.addr())];
        let configuration = string_value(&document.to_string());
        let filter = wasm_filter(
            "jose",
            &module_path(),
            configuration,
            WasmOptions::default(),
        );
        let options = ListenerOptions {
            access_log: Some("%REQ(x-request-id)% %RESPONSE_CODE_DETAILS%\n".into()),
            ..ListenerOptions::default()
        };
        let listeners = vec![listener("jose", vec![filter], options)];
        let options = Options {
            concurrency: 1,
            ..Options::default()
        };
        let envoy = Envoy::start(bootstrap(listeners, clusters), &options).unwrap();
        let connection = Connection::new(envoy.listener_addr("jose").unwrap());
        Self {
            envoy,
            connection,
            _upstream: upstream,
        }
    }

    fn ask(&mut self, index: usize, token: &str, id: &str) -> Response {
        let mut request = bearer(index, token);
        request
            .headers
            .push((b"x-request-id".to_vec(), id.as_bytes().to_vec()));
        self.connection.send(&request, TIMEOUT).unwrap()
    }

    /// `code.reason` of a refusal.
    fn details(&self, id: &str) -> String {
        let prefix = format!("{id} ");
        self.envoy.wait_for_stdout(&prefix, TIMEOUT).unwrap();
        let log = self.envoy.stdout();
        let line = log
            .lines()
            .find_map(|line| line.strip_prefix(&prefix))
            .unwrap();
        line.trim_start_matches("portcullis.").to_owned()
    }
}

#[test]
fn wycheproof() {
    let suite = vectors("wycheproof/blackbox_jws.json");
    let groups = suite["groups"].as_array().unwrap();
    let provider = |group: &Value| {
        json!({
            "issuer": "https://wycheproof.test",
            "audiences": ["wycheproof"],
            "jwks": { "inline": key_set(&group["jwks"]) },
        })
    };
    let (loaded, refused): (Vec<&Value>, Vec<&Value>) = groups
        .iter()
        .partition(|group| refusal(&provider(group)).is_none());
    let refused: Vec<(u64, String)> = refused
        .iter()
        .map(|group| {
            (
                group["group"].as_u64().unwrap(),
                refusal(&provider(group)).unwrap(),
            )
        })
        .collect();
    let alg = "\"ES521\" is not a signature algorithm that is supported; did you mean \"ES512\"?";
    let encryption = "the key is not for signatures (\"sig\"); remove it from the set";
    let operations = "the key is not for \"verify\"; remove it from the set";
    let expected = [(11, alg), (15, alg), (17, encryption), (19, operations)];
    let expected: Vec<(u64, String)> = expected
        .iter()
        .map(|(group, reason)| (*group, (*reason).to_owned()))
        .collect();
    assert_eq!(refused, expected);
    let providers: Vec<Value> = loaded.iter().map(|group| provider(group)).collect();
    let mut proxy = Proxy::start(&document(&providers));
    let mut judged = 0;
    for (index, group) in loaded.iter().enumerate() {
        let control = proxy.ask(index, group["control_token"].as_str().unwrap(), "control");
        assert_eq!(
            control.status, 200,
            "the control token of group {}",
            group["group"]
        );
        for case in group["cases"].as_array().unwrap() {
            let id = format!("case-{}", case["tcId"]);
            let response = proxy.ask(index, case["token"].as_str().unwrap_or_default(), &id);
            assert_eq!(response.status, 401, "{id} {}", case["comment"]);
            if case["reason"] == "claims" {
                assert_eq!(proxy.details(&id), "jwt_invalid.claims", "{id}");
            }
            judged += 1;
        }
    }
    assert!(judged > 150, "only {judged} cases");
}

#[test]
fn wycheproof_signatures_under_real_claims() {
    let suite = vectors("wycheproof/blackbox_transplanted.json");
    let provider = json!({
        "issuer": suite["issuer"], "audiences": [suite["audience"]],
        "jwks": { "inline": key_set(&suite["jwks"]) },
    });
    // The file has one key set; its control tokens are those of the whole suite's groups.
    let mut proxy = Proxy::start(&document(&[provider]));
    let cases = suite["cases"].as_array().unwrap();
    for case in cases {
        let id = format!("case-{}", case["tcId"]);
        let response = proxy.ask(0, case["token"].as_str().unwrap(), &id);
        assert_eq!(response.status, 401, "{id} {}", case["comment"]);
    }
    let reasons: BTreeSet<String> = cases
        .iter()
        .map(|case| proxy.details(&format!("case-{}", case["tcId"])))
        .collect();
    assert!(reasons.contains("jwt_invalid.signature"), "{reasons:?}");
    assert!(cases.len() > 100);
}

#[test]
fn rfc_7515_and_8037() {
    let suite = vectors("jose-rfc/rfc7515_rfc8037.json");
    let cases: Vec<&Value> = suite["cases"].as_array().unwrap().iter().collect();
    let any_key = json!({ "keys": [{ "kty": "oct", "k": "A".repeat(86) }] });
    let providers: Vec<Value> = cases
        .iter()
        .map(|case| {
            let keys = case
                .get("jwks")
                .filter(|keys| !keys.is_null())
                .unwrap_or(&any_key);
            json!({ "issuer": "any", "jwks": { "inline": key_set(keys) } })
        })
        .collect();
    let document = document(&providers);
    let mut proxy = Proxy::start(&document);
    for (index, case) in cases.iter().enumerate() {
        let id = case["id"].as_str().unwrap();
        let token = case["token"]
            .as_str()
            .unwrap_or_default()
            .replace(['\n', '\r'], "");
        let response = proxy.ask(index, &token, id);
        assert_eq!(response.status, 401, "{id}");
        if case["signature_valid"] == true {
            let details = proxy.details(id);
            assert!(
                details.ends_with("claims") || details.ends_with("expired"),
                "{id}: {details}"
            );
        }
    }
    // Envoy has no clock to set; the module in a fake host has.
    let accepted: Vec<&str> = cases
        .iter()
        .enumerate()
        .filter(|(index, case)| {
            let token = case["token"].as_str().unwrap_or_default();
            status_at(&document, *index, token, 1_300_819_000) == 200
        })
        .map(|(_, case)| case["id"].as_str().unwrap())
        .collect();
    assert_eq!(accepted, ["RFC7515-A.1", "RFC7515-A.2", "RFC7515-A.3"]);
}

#[test]
fn jwt_verify_lib() {
    let suite = vectors("jwt-verify-lib/verify_cases.json");
    let cases = suite["cases"].as_array().unwrap();
    let with_sets = cases.iter().filter(|case| case["jwks_format"] == "JWKS");
    let mut judged = 0;
    for case in with_sets {
        let keys: Value = serde_json::from_str(case["jwks"].as_str().unwrap()).unwrap();
        let audiences = match case["audiences"].as_array().map(Vec::as_slice) {
            None | Some([]) => json!("any"),
            Some(list) => json!(list),
        };
        let provider = json!({
            "issuer": "any", "audiences": audiences, "require_expiration": false,
            "jwks": { "inline": keys },
        });
        let id = case["id"].as_str().unwrap();
        assert_eq!(refusal(&provider), None, "{id}");
        let token = case["token"].as_str().unwrap();
        let status = status_at(&document(&[provider]), 0, token, clock(case, token));
        let expected = if case["expect"] == "accept" { 200 } else { 401 };
        // One token has no issuer, which the library does not ask for; `any` does not either.
        assert_eq!(status, expected, "{id}");
        judged += 1;
    }
    assert!(judged >= 36, "only {judged} cases");
}

/// The time that a case names, but not before the token was issued: the library does not look at
/// `iat`, and we do.
fn clock(case: &Value, token: &str) -> u64 {
    #[allow(
        clippy::disallowed_methods,
        reason = "the cases without a clock mean the real one"
    )]
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs();
    use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Decoder};
    let payload = token.split('.').nth(1).unwrap();
    let payload = Base64UrlSafeNoPadding::decode_to_vec(payload, None).unwrap();
    let claims: Value = serde_json::from_slice(&payload).unwrap();
    let issued = claims["iat"].as_u64().unwrap_or_default();
    case["now"].as_u64().unwrap_or(now).max(issued)
}

fn status_at(document: &Value, index: usize, token: &str, seconds: u64) -> u16 {
    let wasm = fs::read(module_path()).unwrap();
    let options = HostOptions {
        now_nanos: seconds * 1_000_000_000,
        ..HostOptions::default()
    };
    let mut host = FakeHost::start(&wasm, document.to_string().as_bytes(), options).unwrap();
    let upstream = Response {
        status: 200,
        ..Response::default()
    };
    host.exchange(&bearer(index, token), &upstream)
        .unwrap()
        .response
        .status
}
