//! What tokens may cost a worker: signature checks of bad ones, memory of good ones.

use std::time::Duration;

use portcullis_tests::client::Connection;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::mesh::{ISSUER, Mesh, TIMEOUT};
use portcullis_tests::module_path;
use portcullis_tests::random::Random;
use portcullis_tests::tokens::{self, SigningKey, base64url};
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::Request;
use serde_json::{Value, json};

/// An RSA key of the largest size, of which nobody has the private part.
fn large_rsa(random: &mut Random, kid: Option<&str>) -> Value {
    let mut modulus: Vec<u8> = (0..512).map(|_| random.byte()).collect();
    modulus[0] |= 0x80;
    modulus[511] |= 1;
    let mut key = json!({ "kty": "RSA", "e": "AQAB", "n": base64url(&modulus) });
    if let Some(kid) = kid {
        key["kid"] = kid.into();
    }
    key
}

fn provider(keys: &[Value], more: &Value) -> Value {
    let mut provider = json!({
        "issuer": ISSUER, "audiences": ["orders-api"],
        "jwks": { "inline": { "keys": keys } },
    });
    for (name, value) in more.as_object().unwrap() {
        provider[name] = value.clone();
    }
    provider
}

fn document(providers: &Value, jwt: &Value) -> Value {
    json!({
        "version": 1,
        "access_log": {},
        "providers": providers,
        "routes": [{ "name": "all", "match": {}, "jwt": jwt }],
    })
}

/// A token with a signature that is noise, and in range for every key.
fn forged(header: &Value, length: usize, random: &mut Random) -> String {
    let claims = json!({ "iss": ISSUER, "aud": "orders-api", "exp": 4_102_444_800_u64 });
    let mut signature: Vec<u8> = (0..length).map(|_| random.byte()).collect();
    signature[0] = 0;
    signature[length / 2] = 0;
    let part = |json: &Value| base64url(json.to_string().as_bytes());
    format!(
        "{}.{}.{}",
        part(header),
        part(&claims),
        base64url(&signature)
    )
}

fn request(token: &str) -> Request {
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

/// What requests with these tokens come to: their statuses, and the proxy's processor time for each.
fn send(mesh: &Mesh, tokens: &[String]) -> (Vec<u16>, Duration) {
    let mut connection = Connection::new(mesh.addr());
    let begun = mesh.envoy.cpu_time().unwrap();
    let mut statuses = Vec::new();
    for token in tokens {
        statuses.push(connection.send(&request(token), TIMEOUT).unwrap().status);
    }
    statuses.dedup();
    let took = mesh.envoy.cpu_time().unwrap().saturating_sub(begun);
    (statuses, took / u32::try_from(tokens.len()).unwrap())
}

/// So many tokens, each another: one that comes again is refused from memory.
fn all_forged(header: &Value, length: usize, random: &mut Random, count: u32) -> Vec<String> {
    let all = (0..count).map(|_| forged(header, length, random));
    all.collect()
}

fn checks(mesh: &Mesh) -> u64 {
    let stats = mesh.envoy.told_stats().unwrap();
    let count = |who: &str| stats.get(&format!("wasmcustom.portcullis.jwt_signature_{who}"));
    [count("filter"), count("proxy")]
        .into_iter()
        .flatten()
        .sum()
}

#[test]
fn a_bad_token_costs_two_signature_checks_however_many_keys_there_are() {
    const REQUESTS: u32 = 25;
    let random = &mut Random(7);
    let many: Vec<Value> = (0..8).map(|_| large_rsa(random, None)).collect();
    let named: Vec<Value> = ["a", "b", "c", "d"]
        .iter()
        .map(|kid| large_rsa(random, Some(kid)))
        .collect();
    let names: Vec<String> = (0..8).map(|number| format!("p{number}")).collect();
    let several: serde_json::Map<String, Value> = names
        .iter()
        .map(|name| (name.clone(), provider(&many, &json!({}))))
        .collect();
    let any_of: Vec<Value> = names
        .iter()
        .map(|name| json!({ "provider": name }))
        .collect();
    let one = json!({ "provider": "p" });
    let with = |keys: &[Value], more: Value| json!({ "p": provider(keys, &more) });
    let (ps256, named_b) = (
        json!({ "alg": "PS256" }),
        json!({ "alg": "PS256", "kid": "b" }),
    );
    for (about, providers, jwt, header, each, reason) in [
        (
            "eight keys",
            with(&many, json!({})),
            &one,
            &ps256,
            2,
            "keys_untried",
        ),
        (
            "eight providers of eight keys",
            several.into(),
            &json!({ "any_of": any_of }),
            &ps256,
            2,
            "keys_untried",
        ),
        (
            "a key that is named",
            with(&named, json!({})),
            &one,
            &named_b,
            1,
            "signature",
        ),
        (
            "more by the document",
            with(&many, json!({ "max_signature_checks": 4 })),
            &one,
            &ps256,
            4,
            "keys_untried",
        ),
        (
            "names demanded",
            with(&named, json!({ "require_kid": true })),
            &one,
            &ps256,
            0,
            "kid",
        ),
    ] {
        let mesh = Mesh::start_reused(&document(&providers, jwt), 1, &[]);
        let tokens = all_forged(header, 512, random, REQUESTS);
        let (statuses, took) = send(&mesh, &tokens);
        assert_eq!(statuses, [401], "{about}");
        assert_eq!(checks(&mesh), each * u64::from(REQUESTS), "{about}");
        let last = vec![tokens.last().unwrap().clone(); tokens.len()];
        let (statuses, again) = send(&mesh, &last);
        assert_eq!(statuses, [401], "{about}");
        assert_eq!(checks(&mesh), each * u64::from(REQUESTS), "{about}: again");
        let record = &mesh.envoy.records(REQUESTS as usize, TIMEOUT).unwrap()[0];
        assert_eq!(record["portcullis.reason"], reason, "{about}");
        let (took, again) = (took.as_micros(), again.as_micros());
        println!("{about}: {took} µs, again {again} µs");
    }
}

#[test]
fn one_check_of_each_algorithm_by_the_filter() {
    let random = &mut Random(9);
    let of = |name: &str| SigningKey::named(name).jwk();
    for (algorithm, key, length) in [
        ("PS256", large_rsa(random, None), 512),
        ("RS512", large_rsa(random, None), 512),
        ("ES256", of("p256"), 64),
        ("ES384", of("p384"), 96),
        ("ES512", of("p521"), 132),
        ("ES256K", of("secp256k1"), 64),
        ("EdDSA", of("ed25519"), 64),
    ] {
        let providers = json!({ "p": provider(&[key], &json!({ "signatures": "filter" })) });
        let mesh = Mesh::start_reused(&document(&providers, &json!({ "provider": "p" })), 1, &[]);
        let tokens = all_forged(&json!({ "alg": algorithm }), length, random, 60);
        let (statuses, took) = send(&mesh, &tokens);
        assert_eq!(statuses, [401], "{algorithm}");
        let malformed: Vec<String> = tokens.iter().map(|token| format!("{token}=")).collect();
        let (_, without) = send(&mesh, &malformed);
        let check = took.saturating_sub(without);
        println!("{algorithm}: {} µs", check.as_micros());
        assert_eq!(checks(&mesh), 60, "{algorithm}");
    }
}

/// Claims that a tree of values takes twenty times their bytes for.
#[test]
fn remembered_tokens_stay_within_their_bytes() {
    const TOKENS: usize = 4200;
    let keys = [SigningKey::named("ed25519").jwk()];
    let cache = json!({ "jwt_cache": { "max_entries": 100_000, "max_token_bytes": 16384 } });
    let providers = json!({ "p": provider(&keys, &cache) });
    let mesh = Mesh::start(&document(&providers, &json!({ "provider": "p" })), 1, &[]);
    let key = SigningKey::named("ed25519");
    let large = json!(vec![json!({ "": 0 }); 1150]);
    let mut connection = Connection::new(mesh.addr());
    let before = mesh.envoy.resident_memory().unwrap();
    for number in 0..TOKENS {
        let claims = json!({
            "iss": ISSUER, "aud": "orders-api", "exp": 4_102_444_800_u64, "jti": number.to_string(),
            "x": large,
        });
        let token = tokens::mint_with(&key, &json!({ "claims": claims }), 0);
        let response = connection.send(&request(&token), TIMEOUT).unwrap();
        assert_eq!(response.status, 200, "{number}");
    }
    let grown = mesh.envoy.resident_memory().unwrap().saturating_sub(before);
    println!("{TOKENS} tokens: {} KB more", grown >> 10);
    mesh.wait_for_metric("jwt_cache_entries", |entries| entries > 50);
    assert!(grown < 40 << 20, "{grown}");
}

#[test]
fn secrets_that_are_missing_or_too_short_are_told_of_when_the_filter_starts() {
    const SECRET: &str = "a-secret-of-forty-bytes-0123456789abcdef";
    let secret = |variable: &str, alg: Value| {
        let mut key = json!({ "env": variable });
        if alg.is_string() {
            key["alg"] = alg;
        }
        json!({ "issuer": ISSUER, "audiences": ["orders-api"], "hmac": [key] })
    };
    let providers = json!({
        "enough": secret("FORTY", json!("HS256")),
        "some": secret("FORTY", Value::Null),
        "short": secret("FORTY", json!("HS512")),
        "shorter": secret("TEN", Value::Null),
        "none": secret("NOT_THERE", Value::Null),
        "any": { "issuer": "any", "audiences": "any", "hmac": [{ "env": "FORTY", "alg": "HS256" }] },
    });
    let configuration =
        string_value(&document(&providers, &json!({ "provider": "enough" })).to_string());
    let environment = [("FORTY", SECRET), ("TEN", &SECRET[..10])];
    let options = WasmOptions {
        environment: environment
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .to_vec(),
        ..WasmOptions::default()
    };
    let filter = wasm_filter("tokens", &module_path(), configuration, options);
    let listeners = vec![listener("tokens", vec![filter], ListenerOptions::default())];
    let service = Upstream::start_forgetful().unwrap();
    let clusters = vec![cluster("upstream", service.addr())];
    let envoy = Envoy::start(bootstrap(listeners, clusters), &Options::reused()).unwrap();
    for line in [
        "provider some: the secret in the environment variable FORTY is too short: HS384 needs 48 bytes at least, HS512 needs 64 bytes at least; tokens of that are refused",
        "provider short: the secret in the environment variable FORTY is too short: HS512 needs 64 bytes at least. Until then",
        "provider shorter: the secret in the environment variable TEN is too short: HS256 needs 32 bytes at least, HS384",
        "provider none: the VM has no environment variable NOT_THERE",
        "provider \"any\": `issuer` is \"any\"",
        "provider \"short\" is used by no `jwt` block",
    ] {
        envoy.wait_for_log(line, TIMEOUT).unwrap();
    }
    let log = envoy.log();
    assert!(!log.contains("provider enough: "), "{log}");
    assert!(!log.contains(&SECRET[..10]), "{log}");
}
