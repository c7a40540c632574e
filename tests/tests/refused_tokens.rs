//! Refused tokens are remembered: what is said of them then is what judging them anew says, in every byte.

use std::rc::Rc;
use std::time::Duration;

use portcullis::engine::Engine;
use portcullis::exchange::BodyState;
use portcullis::headers::Headers;
use portcullis::host::Clock as _;
use portcullis::memory_host::MemoryHost;
use portcullis::meter::Event;
use portcullis::policy::jwt::FetchTarget;
use portcullis_tests::believing::NOW;
use portcullis_tests::both;
use portcullis_tests::conformance::{self, Question, SUITES};
use portcullis_tests::random::Random;
use portcullis_tests::still::still;
use portcullis_tests::tokens::{self, SigningKey};
use serde_json::{Value, json};

/// One document twice, and a host for each.
struct Sides {
    remembering: (Rc<Engine>, MemoryHost),
    /// Forgets all refused tokens before each request.
    forgetful: (Rc<Engine>, MemoryHost),
}

impl Sides {
    fn new(document: &Value, host: impl Fn() -> MemoryHost) -> Self {
        let side = || {
            let engine = Engine::compile(document.to_string().as_bytes());
            let engine = engine.unwrap_or_else(|error| panic!("{error}"));
            (Rc::new(engine), host())
        };
        Self {
            remembering: side(),
            forgetful: side(),
        }
    }

    /// Takes a request through both; how it ended.
    fn exchange(&self, request: &Headers) -> Vec<String> {
        self.forgetful.0.forget_refused_tokens();
        let answer = Headers::default();
        let all = [&self.remembering, &self.forgetful].map(|(engine, host)| {
            let seen = both::seen(engine, request, BodyState::Complete, (&answer, false), host);
            (seen, both::but_for_memory(both::counted(engine, host)))
        });
        let [remembering, forgetful] = all;
        assert_eq!(remembering, forgetful, "{request:?}");
        remembering.0
    }

    /// How many signatures the side that remembers has checked.
    fn checks(&self) -> u64 {
        let host = &self.remembering.1;
        let events = [Event::SignatureByFilter, Event::SignatureByProxy];
        events
            .iter()
            .map(|event| host.counted(event.counter()))
            .sum()
    }

    fn set_wall_clock(&self, second: u64) {
        for (_, host) in [&self.remembering, &self.forgetful] {
            host.set_wall_clock(Duration::from_secs(second));
        }
    }
}

fn bearer(path: &str, token: &str) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "api.example.com"),
        (":path", path),
        ("authorization", &format!("Bearer {token}")),
    ] {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    headers
}

/// A host that checks no signatures.
fn proxy() -> MemoryHost {
    MemoryHost::new()
        .at_second(NOW)
        .with_client("192.0.2.1:40000")
}

fn jwk(name: &str) -> Value {
    SigningKey::named(name).jwk()
}

fn claims(more: &Value) -> Value {
    let mut claims = json!({ "iss": "i", "aud": "a", "sub": "alice", "exp": NOW + 600 });
    for (name, value) in more.as_object().unwrap() {
        claims[name] = value.clone();
    }
    claims
}

fn mint(key: &str, more: &Value) -> String {
    tokens::mint(&json!({ "key": key, "claims": claims(more) }), NOW)
}

fn forged(key: &str) -> String {
    let description = json!({ "key": key, "claims": claims(&json!({})), "tamper": "signature" });
    tokens::mint(&description, NOW)
}

fn provider(keys: &[Value], more: &Value) -> Value {
    let mut provider = json!({
        "issuer": "any", "audiences": ["a"], "jwks": { "inline": { "keys": keys } },
        "signatures": "filter",
    });
    for (name, value) in more.as_object().unwrap() {
        provider[name] = value.clone();
    }
    provider
}

fn document(providers: &Value, routes: &[(&str, Value)]) -> Value {
    let routes: Vec<Value> = routes
        .iter()
        .map(|(name, jwt)| {
            let path = json!({ "exact": format!("/{name}") });
            json!({ "name": name, "match": { "path": path }, "jwt": jwt })
        })
        .collect();
    json!({
        "version": 1, "access_log": { "sinks": ["filter_state"] }, "security_events": {},
        "providers": providers, "routes": routes,
    })
}

/// With one provider of one key, for `/a`.
fn plain(more: &Value) -> Sides {
    let providers = json!({ "p": provider(&[jwk("p256")], more) });
    Sides::new(
        &document(&providers, &[("a", json!({ "provider": "p" }))]),
        proxy,
    )
}

#[test]
fn a_bad_token_is_checked_once_and_refused_in_the_same_words() {
    let sides = plain(
        &json!({ "revoked": { "sub": ["mallory"] }, "claim_to_headers": [
        { "header_name": "x-user", "claim_name": "name" },
    ] }),
    );
    for (number, token) in (1..).zip([
        forged("p256"),
        mint("p256-other", &json!({})),
        mint("p256", &json!({ "aud": "b" })),
        mint("p256", &json!({ "exp": NOW - 600 })),
        mint("p256", &json!({ "nbf": NOW + 600 })),
        mint("p256", &json!({ "iat": NOW + 600 })),
        mint("p256", &json!({ "sub": "mallory" })),
        mint("p256", &json!({ "sub": 7 })),
        mint("p256", &json!({ "name": "a\nb" })),
    ]) {
        let request = bearer("/a", &token);
        let first = sides.exchange(&request);
        assert!(first[0].contains("401"), "{first:?}");
        for _ in 0..3 {
            assert_eq!(sides.exchange(&request)[0], first[0]);
        }
        assert_eq!(sides.checks(), number, "{first:?}");
    }
}

#[test]
fn what_costs_no_check_or_may_end_at_any_moment_is_not_remembered() {
    let cells = json!({ "p": {
        "issuer": "any", "audiences": ["a"], "hmac": [{ "env": "NOT_THERE", "alg": "HS256" }],
    } });
    let sides = Sides::new(
        &document(&cells, &[("a", json!({ "provider": "p" }))]),
        proxy,
    );
    let request = bearer("/a", &mint("hmac", &json!({})));
    for number in 1..4 {
        assert!(sides.exchange(&request)[0].contains("503"));
        assert_eq!(sides.checks(), number);
    }
    let sides = plain(&json!({ "jwt_cache": "off" }));
    let request = bearer("/a", &forged("p256"));
    for number in 1..4 {
        assert!(sides.exchange(&request)[0].contains("401"));
        assert_eq!(sides.checks(), number);
    }
}

#[test]
fn time_ends_what_is_remembered_for_its_sake() {
    let sides = plain(&json!({ "max_age": "1h", "revoked": { "sub": ["mallory"] } }));
    let ends_with = |token: &str, expected: &str| {
        for _ in 0..2 {
            let seen = sides.exchange(&bearer("/a", token)).join(" ");
            assert!(seen.contains(expected), "{expected}: {seen}");
        }
    };
    let early = mint(
        "p256",
        &json!({ "nbf": NOW + 600, "iat": NOW, "exp": NOW + 1200 }),
    );
    let revoked = mint(
        "p256",
        &json!({ "sub": "mallory", "iat": NOW, "exp": NOW + 600 }),
    );
    ends_with(&early, "jwt_not_yet_valid");
    ends_with(&revoked, "jwt_revoked");
    sides.set_wall_clock(NOW + 300);
    ends_with(&early, "jwt_not_yet_valid");
    sides.set_wall_clock(NOW + 700);
    ends_with(&early, "goes on");
    ends_with(&revoked, "jwt_expired");
    sides.set_wall_clock(NOW + 1300);
    ends_with(&early, "jwt_expired");
    sides.set_wall_clock(NOW + 5000);
    ends_with(&early, "jwt_expired");
    sides.set_wall_clock(NOW + 700);
    ends_with(&early, "goes on");
    sides.set_wall_clock(NOW);
    ends_with(&early, "jwt_not_yet_valid");
    ends_with(&revoked, "jwt_revoked");
}

#[test]
fn other_keys_end_it() {
    let providers = json!({ "p": {
        "issuer": "any", "audiences": ["a"], "signatures": "filter",
        "jwks": { "remote": { "uri": "https://id.example.com/keys", "cluster": "id" } },
    } });
    let document = document(&providers, &[("a", json!({ "provider": "p" }))]);
    let sides = Sides::new(&document, proxy);
    let publish = |key: &str| {
        let set = json!({ "keys": [jwk(key)] }).to_string();
        for (engine, host) in [&sides.remembering, &sides.forgetful] {
            let [keys] = &engine.remote_keys()[..] else {
                panic!("one provider publishes keys");
            };
            let answer = Ok((set.as_bytes(), None));
            keys.on_response(host.monotonic(), FetchTarget::KeySet, answer);
        }
    };
    let request = bearer("/a", &mint("p256-other", &json!({})));
    let ends_with = |expected: &str| {
        for _ in 0..3 {
            let seen = sides.exchange(&request).join(" ");
            assert!(seen.contains(expected), "{expected}: {seen}");
        }
    };
    ends_with("jwt_keys_unavailable");
    publish("p256");
    ends_with("jwt_invalid.signature");
    publish("p256-other");
    ends_with("goes on");
    publish("p256");
    ends_with("jwt_invalid.signature");
    publish("p256-other");
    ends_with("goes on");
}

/// Requests in any order at any time, where what a token costs one provider is taken from what it may cost
/// the next.
#[test]
fn providers_share_the_checks_of_a_token_as_if_none_were_remembered() {
    let (p256, other, ed) = (jwk("p256"), jwk("p256-other"), jwk("ed25519"));
    let named = |key: &Value, kid: &str| {
        let mut key = key.clone();
        key["kid"] = kid.into();
        key
    };
    let providers = json!({
        "a": provider(&[p256.clone(), other.clone()], &json!({})),
        "b": provider(&[other.clone(), p256.clone()], &json!({ "max_signature_checks": 1, "audiences": ["a", "b"] })),
        "c": provider(&[named(&p256, "1"), named(&other, "2"), ed.clone()], &json!({ "issuer": "i", "max_age": "1h" })),
        "d": provider(&[p256, other], &json!({ "max_signature_checks": 3, "revoked": { "sub": ["mallory"] }, "subjects": [{ "prefix": "m" }] })),
    });
    let item = |name: &str| json!({ "provider": name });
    let scoped = |name: &str| json!({ "provider": name, "require": { "scopes": ["read"] } });
    let routes = [
        ("a", item("a")),
        ("b", item("b")),
        ("c", scoped("c")),
        ("d", item("d")),
        (
            "bad",
            json!({ "any_of": [item("b"), item("a"), item("d")] }),
        ),
        (
            "abcd",
            json!({ "any_of": [item("a"), item("b"), item("c"), item("d")] }),
        ),
        ("bb", json!({ "any_of": [scoped("b"), item("b")] })),
        (
            "aab",
            json!({ "any_of": [scoped("a"), item("a"), scoped("b")] }),
        ),
        ("ac", json!({ "all_of": [item("a"), item("c")] })),
    ];
    let document = document(&providers, &routes);
    let more = [
        json!({}),
        json!({ "aud": "b" }),
        json!({ "aud": "c", "scope": "read" }),
        json!({ "iss": "j", "iat": NOW }),
        json!({ "sub": "mallory", "iat": NOW }),
        json!({ "sub": "mary", "exp": NOW + 100 }),
        json!({ "nbf": NOW + 200, "scope": "read" }),
        json!({ "iat": NOW - 3600 }),
        json!({ "exp": "never" }),
    ];
    let mut tokens: Vec<String> = ["p256", "p256-other", "ed25519"]
        .iter()
        .flat_map(|key| more.iter().map(|more| mint(key, more)))
        .collect();
    tokens.extend(["p256", "ed25519"].map(forged));
    tokens.extend([mint("p384", &json!({})), "a.b.c".to_owned()]);
    let sides = Sides::new(&document, proxy);
    let random = &mut Random(17);
    let mut below = |most: usize| random.below(most);
    for _ in 0..500 {
        let (path, _) = &routes[below(routes.len())];
        let token = &tokens[below(tokens.len())];
        sides.exchange(&bearer(&format!("/{path}"), token));
        if below(20) == 0 {
            sides.set_wall_clock(NOW + 60 * below(16) as u64);
        }
    }
    let checks = sides.checks();
    assert!(checks < 400, "{checks} signatures were checked");
}

#[test]
fn vectors_of_others_have_the_same_verdict_from_memory() {
    let mut refused = 0;
    for suite in SUITES {
        for vector in (suite.vectors)() {
            let Question::Token {
                provider,
                token,
                at,
            } = &vector.question
            else {
                continue;
            };
            if conformance::engine(provider).is_err() {
                continue;
            }
            let document = conformance::document(std::slice::from_ref(provider));
            let sides = Sides::new(&document, || still(*at));
            let request = bearer("/0", token);
            let first = sides.exchange(&request);
            assert_eq!(sides.exchange(&request)[0], first[0], "{}", vector.id);
            refused += usize::from(first[0].contains("401"));
        }
    }
    assert!(refused > 100, "{refused}");
}
