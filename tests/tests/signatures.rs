//! Shortcuts give the verdicts of the long way: signatures checked by the proxy against those
//! checked by the filter, tokens remembered against tokens verified.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Decoder};
use portcullis_tests::client::Connection;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::random::Random;
use portcullis_tests::tokens::{self, SigningKey, base64url};
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::Request;
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(20);

/// The algorithms that the proxy can check, with a key of ours and the order of its curve.
const ALGORITHMS: [(&str, &str, Option<&str>); 6] = [
    ("RS256", "rsa", None),
    ("RS384", "rsa", None),
    ("RS512", "rsa", None),
    (
        "ES256",
        "p256",
        Some("ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551"),
    ),
    (
        "ES384",
        "p384",
        Some(
            "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973",
        ),
    ),
    (
        "ES512",
        "p521",
        Some(
            "01fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffa51868783bf2f966b7fcc0148f709a5d03bb5c9b8899c47aebb6fb71e91386409",
        ),
    ),
];

fn listener_with(name: &str, signatures: &str, cache: Value) -> Value {
    let keys: Vec<Value> = ["rsa", "p256", "p384", "p521"]
        .iter()
        .map(|key| SigningKey::named(key).jwk())
        .collect();
    let document = json!({
        "version": 1,
        "access_log": {},
        "providers": { "corp": {
            "issuer": "https://id.example.com/", "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": keys } },
            "signatures": signatures, "jwt_cache": cache,
        } },
        "routes": [{ "name": "all", "match": {}, "jwt": { "provider": "corp" } }],
    });
    let filter = wasm_filter(
        name,
        &module_path(),
        string_value(&document.to_string()),
        WasmOptions::default(),
    );
    listener(name, vec![filter], ListenerOptions::default())
}

fn start(listeners: Vec<Value>) -> (Envoy, Upstream) {
    let upstream = Upstream::start_forgetful().unwrap();
    let clusters = vec![cluster("upstream", upstream.addr())];
    let options = Options {
        concurrency: 1,
        ..Options::reused()
    };
    (
        Envoy::start(bootstrap(listeners, clusters), &options).unwrap(),
        upstream,
    )
}

/// Status and code for each token, and from the log the reason.
fn verdicts(envoy: &Envoy, name: &str, addr: SocketAddr, tokens: &[String]) -> Vec<String> {
    let mut connection = Connection::new(addr);
    let mut verdicts = Vec::new();
    for (index, token) in tokens.iter().enumerate() {
        let request = Request {
            method: b"GET".to_vec(),
            path: b"/".to_vec(),
            authority: b"api.example.com".to_vec(),
            headers: vec![
                (
                    b"authorization".to_vec(),
                    format!("Bearer {token}").into_bytes(),
                ),
                (
                    b"x-request-id".to_vec(),
                    format!("{name}-{index}").into_bytes(),
                ),
            ],
            ..Request::default()
        };
        let response = connection.send(&request, TIMEOUT).unwrap();
        let problem: Value = serde_json::from_slice(&response.body).unwrap_or_default();
        verdicts.push(format!("{} {}", response.status, problem["code"]));
    }
    let last = format!("\"{name}-{}\"", tokens.len() - 1);
    envoy.wait_for_log(&last, TIMEOUT).unwrap();
    let log = envoy.log();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line.get(line.find('{')?..)?).ok());
    let reasons: BTreeMap<String, String> = lines
        .map(|line| {
            (
                line["http.request.header.x-request-id"][0].to_string(),
                line["portcullis.reason"].to_string(),
            )
        })
        .collect();
    for (index, verdict) in verdicts.iter_mut().enumerate() {
        verdict.push_str(&format!(" {}", reasons[&format!("\"{name}-{index}\"")]));
    }
    verdicts
}

fn claims() -> Value {
    json!({ "iss": "https://id.example.com/", "aud": "orders-api", "sub": "alice", "exp": 4_102_444_800_u64 })
}

#[test]
fn the_proxy_and_the_filter_agree_on_every_signature() {
    let tokens = hostile_tokens();
    assert!(tokens.len() > 3000, "{} tokens", tokens.len());
    let (envoy, _upstream) = start(vec![
        listener_with("proxy", "auto", "off".into()),
        listener_with("filter", "filter", "off".into()),
    ]);
    let [proxy, filter] = ["proxy", "filter"]
        .map(|name| verdicts(&envoy, name, envoy.listener_addr(name).unwrap(), &tokens));
    for (token, (proxy, filter)) in tokens.iter().zip(proxy.iter().zip(&filter)) {
        assert_eq!(proxy, filter, "{token}");
    }
    let count = |verdict: &str| {
        proxy
            .iter()
            .filter(|each| each.starts_with(verdict))
            .count()
    };
    // Six algorithms, each with its good token, and the twins that ECDSA has by nature.
    assert!(
        (6..50).contains(&count("200")),
        "{} tokens pass",
        count("200")
    );
    assert!(
        count("401 \"jwt_invalid\" \"signature\"") > 1500,
        "hardly any token reaches the check"
    );
    assert_eq!(count("503"), 0);
    for name in ["jwt_signature_proxy", "jwt_signature_filter"] {
        assert!(
            envoy
                .told_stat(&format!("wasmcustom.portcullis.{name}"))
                .unwrap()
                > 1500,
            "{name}"
        );
    }
}

/// Good tokens and what forgers make of them, signatures above all.
fn hostile_tokens() -> Vec<String> {
    let mut tokens = Vec::new();
    let mut random = Random(11);
    for (algorithm, key, order) in ALGORITHMS {
        let good = tokens::mint(
            &json!({ "key": key, "alg": algorithm, "claims": claims() }),
            0,
        );
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let signature = Base64UrlSafeNoPadding::decode_to_vec(signature, None).unwrap();
        let mut with = |signature: &[u8]| tokens.push(format!("{signed}.{}", base64url(signature)));
        with(&signature);
        for index in 0..signature.len() {
            let mut flipped = signature.clone();
            flipped[index] ^= 1 << random.below(8);
            with(&flipped);
        }
        for _ in 0..200 {
            let noise: Vec<u8> = (0..signature.len()).map(|_| random.byte()).collect();
            with(&noise);
        }
        for length in [0, 1, 31, 32, 63, 65, 95, 97, 128, 255, 257, 512] {
            with(
                &signature
                    .iter()
                    .copied()
                    .cycle()
                    .take(length)
                    .collect::<Vec<_>>(),
            );
        }
        with(&[vec![0], signature.clone()].concat());
        with(&[signature.clone(), vec![0]].concat());
        with(&signature[1..]);
        with(&vec![0; signature.len()]);
        with(&vec![0xff; signature.len()]);
        if let Some(order) = order {
            ecdsa_tricks(&signature, &unhex(order), &mut with);
        }
        for other in [
            "RS256", "RS384", "RS512", "ES256", "ES384", "ES512", "PS256",
        ] {
            let header = base64url(json!({ "alg": other }).to_string().as_bytes());
            let payload = good.split('.').nth(1).unwrap();
            tokens.push(format!("{header}.{payload}.{}", base64url(&signature)));
        }
        for _ in 0..300 {
            let mut mutated = good.clone().into_bytes();
            let at = random.below(mutated.len());
            mutated[at] = b"ABCDEFabcdef0123456789-_.=+/"[random.below(28)];
            tokens.push(String::from_utf8(mutated).unwrap());
        }
    }
    tokens
}

/// Numbers at the edges of the range, and the forms that DER allows and JOSE does not.
fn ecdsa_tricks(signature: &[u8], order: &[u8], with: &mut impl FnMut(&[u8])) {
    let (r, s) = signature.split_at(signature.len() / 2);
    let zero = vec![0; order.len()];
    let mut one = zero.clone();
    one[order.len() - 1] = 1;
    let mut beyond = order.to_vec();
    beyond[order.len() - 1] += 1;
    let mut below = order.to_vec();
    below[order.len() - 1] -= 1;
    for number in [
        &zero,
        &one,
        &below,
        &order.to_vec(),
        &beyond,
        &vec![0xff; order.len()],
    ] {
        with(&[number, s].concat());
        with(&[r, number].concat());
        with(&[number.as_slice(), number].concat());
    }
    with(&[s, r].concat());
    // The twin of every ECDSA signature, r and n - s, is as good; JOSE does not forbid it.
    with(&[r, &minus(order, s)].concat());
    let integer = |number: &[u8], padding: usize| {
        let padded = [vec![0; padding], number.to_vec()].concat();
        [vec![2, u8::try_from(padded.len()).unwrap()], padded].concat()
    };
    for padding in 0..3 {
        let body = [integer(r, padding), integer(s, padding)].concat();
        with(&[vec![0x30, u8::try_from(body.len()).unwrap()], body.clone()].concat());
        with(&[vec![0x30, 0x81, u8::try_from(body.len()).unwrap()], body].concat());
    }
}

fn minus(one: &[u8], other: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut difference: Vec<u8> = one
        .iter()
        .zip(other)
        .rev()
        .map(|(a, b)| {
            let value = i16::from(*a) - i16::from(*b) - borrow;
            borrow = i16::from(value < 0);
            u8::try_from(value.rem_euclid(256)).unwrap()
        })
        .collect();
    difference.reverse();
    difference
}

fn unhex(hex: &str) -> Vec<u8> {
    (0..hex.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&hex[at..at + 2], 16).unwrap())
        .collect()
}

#[test]
fn a_remembered_token_is_judged_like_a_new_one() {
    let mut tokens = Vec::new();
    for (algorithm, key, _) in ALGORITHMS {
        let good = json!({ "key": key, "alg": algorithm, "claims": claims() });
        tokens.push(tokens::mint(&good, 0));
        let mut tampered = good.clone();
        tampered["tamper"] = "signature".into();
        tokens.push(tokens::mint(&tampered, 0));
        tampered["tamper"] = "payload".into();
        tokens.push(tokens::mint(&tampered, 0));
        let mut expired = good.clone();
        expired["claims"]["exp"] = 1_000_000_000.into();
        tokens.push(tokens::mint(&expired, 0));
    }
    // Each again and again, in changing company.
    let mut random = Random(5);
    let asked: Vec<String> = (0..600)
        .map(|_| tokens[random.below(tokens.len())].clone())
        .collect();
    let small = json!({ "max_entries": 4, "max_token_bytes": 4096 });
    let (envoy, _upstream) = start(vec![
        listener_with("none", "auto", "off".into()),
        listener_with("usual", "auto", json!({})),
        listener_with("small", "auto", small),
    ]);
    let [none, usual, small] = ["none", "usual", "small"]
        .map(|name| verdicts(&envoy, name, envoy.listener_addr(name).unwrap(), &asked));
    assert_eq!(none, usual);
    assert_eq!(none, small);
    assert!(
        none.iter()
            .filter(|verdict| verdict.starts_with("200"))
            .count()
            > 100
    );
    let hits = envoy.told_stat("wasmcustom.portcullis.jwt_cache_hit");
    assert!(hits.unwrap() > 150);
}
