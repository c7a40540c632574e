//! What holds for all bytes: nothing that a client, an operator or an issuer sends makes the
//! filter panic, and no shortcut changes what it says.
//!
//! A test build checks arithmetic and indexing, so that a wrong one fails here and not as a trap.

use std::rc::Rc;

use portcullis::engine::Engine;
use portcullis::headers::Headers;
use portcullis::memory_host::MemoryHost;
use portcullis::target::{Authority, Target};
use portcullis_tests::case;
use portcullis_tests::fuzz::{NOW, judge};
use portcullis_tests::random::Random;
use portcullis_tests::still::still;
use portcullis_tests::tokens::{self, SigningKey, repository};
use serde_json::{Value, json};

fn proxy() -> MemoryHost {
    still(NOW)
}

/// Changes a few bytes: flips, cuts, repeats, and pieces that parsers dislike.
fn mutate(random: &mut Random, bytes: &[u8]) -> Vec<u8> {
    const PIECES: [&[u8]; 16] = [
        b"\"",
        b"{",
        b"}",
        b"[",
        b"]",
        b",",
        b":",
        b"\\u0000",
        b"\\ud800",
        b"1e999",
        b"-0",
        b"%",
        b"%2e",
        b"\xff\xfe",
        b"\r\n",
        b"..",
    ];
    let mut mutated = bytes.to_vec();
    for _ in 0..=random.below(4) {
        let at = random.below(mutated.len() + 1);
        match random.below(5) {
            0 if at < mutated.len() => mutated[at] = random.byte(),
            1 => mutated.truncate(at),
            2 => {
                let piece = PIECES[random.below(PIECES.len())];
                mutated.splice(at..at, piece.iter().copied());
            }
            3 if at < mutated.len() => {
                let end = (at + 1 + random.below(20)).min(mutated.len());
                let slice = mutated[at..end].to_vec();
                mutated.splice(at..at, slice);
            }
            _ if at < mutated.len() => {
                let end = (at + 1 + random.below(8)).min(mutated.len());
                mutated.drain(at..end);
            }
            _ => mutated.push(random.byte()),
        }
    }
    mutated
}

#[test]
fn no_document_panics_and_each_problem_has_a_place() {
    let cases = case::read_all(&repository().join("tests/cases")).unwrap();
    let documents: Vec<&[u8]> = cases.iter().map(|case| case.document.as_slice()).collect();
    let mut random = Random(3);
    let (mut accepted, mut refused) = (0, 0);
    for _ in 0..9000 {
        let chosen = documents[random.below(documents.len())];
        let document = mutate(&mut random, chosen);
        match Engine::compile(&document) {
            Ok(_) => accepted += 1,
            Err(error) => {
                refused += 1;
                assert!(!error.problems.is_empty());
                for problem in &error.problems {
                    assert!(
                        problem.pointer.is_empty() || problem.pointer.starts_with('/'),
                        "{problem:?}"
                    );
                    assert!(
                        !problem.reason.is_empty() && !problem.to_string().contains('\n'),
                        "{problem:?}"
                    );
                    assert!(problem.to_string().len() < 600, "{problem:?}");
                }
            }
        }
    }
    assert!(
        accepted > 50 && refused > 3000,
        "{accepted} accepted, {refused} refused"
    );
}

#[test]
fn a_problem_never_quotes_a_secret() {
    // 64 bytes that stand nowhere else, in every place that takes a secret or a key.
    let secret = "c2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldC1zZWNyZXQtc2VjcmV0LXNlY3JldA";
    let mut random = Random(9);
    let document = json!({
        "version": 1,
        "providers": { "corp": {
            "issuer": "https://id.example.com/",
            "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [{ "kty": "oct", "k": secret, "kid": "k1" }] } },
        } },
        "routes": [{ "name": "all", "match": {}, "jwt": { "provider": "corp" } }],
    })
    .to_string();
    assert!(Engine::compile(document.as_bytes()).is_ok());
    let mut seen = 0;
    for _ in 0..4000 {
        if let Err(error) = Engine::compile(&mutate(&mut random, document.as_bytes())) {
            seen += 1;
            // A piece of it, because the mutation may have changed some of it.
            assert!(
                !error.to_string().contains("c2VjcmV0LXNlY3JldC1z"),
                "{error}"
            );
        }
    }
    assert!(seen > 2000);
}

#[test]
fn paths_are_decoded_once_or_refused() {
    let mut random = Random(21);
    let seeds: [&[u8]; 5] = [
        b"/orders/7?x=1",
        b"/a/%2e%2e/b",
        b"/caf%C3%A9;x=1//y",
        b"/%252e/%00",
        b"*",
    ];
    let mut parsed = 0;
    for _ in 0..40_000 {
        let seed = seeds[random.below(seeds.len())];
        let raw = mutate(&mut random, seed);
        let Ok(target) = Target::parse(&raw) else {
            continue;
        };
        parsed += 1;
        let path = target.path();
        assert!(
            path.starts_with('/') && !path.contains("//"),
            "{raw:?} {path}"
        );
        assert!(
            !path.split('/').any(|part| part == "." || part == ".."),
            "{raw:?} {path}"
        );
        assert!(
            !path.contains([';', '\\', '%']) && !path.chars().any(char::is_control),
            "{raw:?} {path}"
        );
        // What is left is fixed: writing it plainly and reading it again changes nothing.
        if path.is_ascii()
            && !path.contains([' ', '"', '<', '>', '`', '{', '}', '|', '^', '?', '#'])
        {
            let again = Target::parse(path.as_bytes()).unwrap();
            assert_eq!(again.path(), path);
        }
    }
    assert!(parsed > 5000, "only {parsed} paths are accepted");
}

#[test]
fn hosts_have_one_spelling_or_are_refused() {
    let mut random = Random(23);
    let seeds: [&[u8]; 6] = [
        b"api.example.com:443",
        b"API.Example.com.",
        b"192.0.2.1:80",
        b"[2001:DB8::0:1]:8080",
        b"a_b-c.example",
        b"user@a.example, b.example",
    ];
    let mut parsed = 0;
    for _ in 0..40_000 {
        let seed = seeds[random.below(seeds.len())];
        let raw = mutate(&mut random, seed);
        let Ok(authority) = Authority::parse(&raw) else {
            continue;
        };
        parsed += 1;
        let host = authority.host();
        let again = Authority::parse(host.as_bytes()).expect("it is a host");
        assert_eq!((again.host(), again.port()), (host, None), "{raw:?}");
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-._:[]".contains(&b);
        assert!(host.bytes().all(plain), "{raw:?} {host}");
        assert!(
            !host.ends_with('.') && !host.contains(".."),
            "{raw:?} {host}"
        );
        // What is written in capitals, or ends in a dot, is the same host.
        let loud = host.to_ascii_uppercase();
        let loud = if host.starts_with('[') {
            loud
        } else {
            loud + "."
        };
        let loud = Authority::parse(loud.as_bytes()).expect("it is a host");
        assert_eq!(loud.host(), host);
    }
    assert!(parsed > 5000, "only {parsed} hosts are accepted");
}

/// Requests with everything a client can choose.
fn hostile_headers(random: &mut Random, token: &str) -> Headers {
    let mut headers = Headers::default();
    let mut path = mutate(random, b"/orders?access_token=x&b=1");
    if random.below(3) > 0 {
        path = b"/orders".to_vec();
    }
    headers.push(b":authority", &mutate(random, b"api.example.com:443"));
    headers.push(b":path", &path);
    headers.push(
        b":method",
        if random.below(4) == 0 {
            b"\xff"
        } else {
            b"GET"
        },
    );
    headers.push(b":scheme", b"https");
    for _ in 0..=random.below(2) {
        let value = [b"Bearer ".to_vec(), mutate(random, token.as_bytes())].concat();
        headers.push(b"authorization", &value);
    }
    headers.push(b"cookie", &mutate(random, b"a=1; session=x.y.z; b=\"2\""));
    headers.push(b"content-length", &mutate(random, b"12"));
    headers.push(b"user-agent", &mutate(random, b"curl/8.0 (\"x\")"));
    headers.push(b"x-request-id", &mutate(random, b"6f9a-1"));
    headers.push(b"x_user", &mutate(random, b"root"));
    headers
}

fn document(cache: Value) -> Vec<u8> {
    json!({
        "version": 1,
        "access_log": {},
        "providers": { "corp": {
            "issuer": "https://id.example.com/", "audiences": ["orders-api"],
            "from_headers": [{ "name": "authorization", "value_prefix": "Bearer " }],
            "from_params": ["access_token"], "from_cookies": ["session"],
            "claim_to_headers": [{ "header_name": "x-user", "claim_name": "sub" }],
            "jwks": { "inline": { "keys": [SigningKey::named("hmac").jwk()] } },
            "jwt_cache": cache,
        } },
        "defaults": { "security_headers": { "preset": "api" } },
        "routes": [{
            "name": "orders", "match": { "path": { "prefix": "/orders" } },
            "jwt": { "provider": "corp", "require": { "scopes": ["orders.read"] } },
            "payload": { "max_bytes": "1KiB" },
        }],
    })
    .to_string()
    .into_bytes()
}

fn good_token() -> String {
    tokens::mint(
        &json!({ "key": "hmac", "claims": {
            "iss": "https://id.example.com/", "aud": "orders-api", "sub": "alice",
            "scope": "orders.read", "exp": NOW + 60,
        } }),
        NOW,
    )
}

/// One line that says what became of a request.
fn outcome(engine: &Rc<Engine>, headers: Headers) -> String {
    let refusal = judge(engine, headers, &proxy()).refusal;
    refusal.unwrap_or_else(|| "passed".to_owned())
}

#[test]
fn no_request_panics_or_forges_a_line() {
    let engine = Rc::new(Engine::compile(&document(json!({}))).unwrap());
    let token = good_token();
    let mut random = Random(17);
    let outcomes: Vec<String> = (0..20_000)
        .map(|_| outcome(&engine, hostile_headers(&mut random, &token)))
        .collect();
    let kinds: std::collections::BTreeSet<&String> = outcomes.iter().collect();
    assert!(kinds.len() >= 8, "{kinds:?}");
}

#[test]
fn a_cache_never_changes_a_verdict() {
    let without = Rc::new(Engine::compile(&document(json!("off"))).unwrap());
    let with = Rc::new(Engine::compile(&document(json!({ "max_entries": 4 }))).unwrap());
    let token = good_token();
    let mut random = Random(29);
    let mut passed = 0;
    for round in 0..4000 {
        let mut headers = Headers::default();
        headers.push(b":authority", b"api.example.com");
        headers.push(b":path", b"/orders");
        headers.push(b":method", b"POST");
        let sent = if round % 3 == 0 {
            token.clone().into_bytes()
        } else {
            mutate(&mut random, token.as_bytes())
        };
        headers.push(b"authorization", &[b"Bearer ".to_vec(), sent].concat());
        let (one, other) = (outcome(&without, headers.clone()), outcome(&with, headers));
        assert_eq!(one, other);
        passed += usize::from(one == "passed");
    }
    assert!(passed > 1000, "only {passed} pass");
}
