//! Documents and requests by which plans are measured.

use std::time::Duration;

use portcullis::exchange::BodyState;
use portcullis::headers::Headers;
use portcullis::host::{HostVerdict, Property};
use portcullis::memory_host::MemoryHost;
use serde_json::{Map, Value, json};

use super::NOW;
use crate::believing::believing;
use crate::both::Both;
use crate::tokens::{self, SigningKey};

thread_local! {
    static TOKENS: Vec<String> = minted();
}

/// Whatever a document of the kinds below says, and whatever requests come: by the plans of its routes they
/// come to what they come to by asking every policy. Verdict, edits, answer, record, counters, gauges and
/// events are the same. Whether some request was judged by a plan.
///
/// # Panics
/// When that does not hold.
pub fn plan(bytes: &[u8]) -> bool {
    let mut choices = Choices { left: bytes };
    let document = document(&mut choices).to_string();
    let over_tls = choices.is(3);
    let host = || proxy(over_tls);
    let Ok(both) = Both::new(document.as_bytes(), host) else {
        return false;
    };
    for _ in 0..8 {
        let request = request(&mut choices);
        let answer = answer(&mut choices);
        let body = match choices.is(3) {
            true => BodyState::Open,
            false => BodyState::Complete,
        };
        // The token is known to the second.
        for _ in 0..choices.below(3) + 1 {
            both.exchange(&request, body, &answer);
        }
        both.advance(Duration::from_millis(match choices.below(8) {
            0 => 70_000,
            1 => 999,
            _ => 0,
        }));
    }
    both.planned.0.planned() > 0
}

/// No signature is good under a header that is longer.
const FORGED: usize = 50;

fn proxy(over_tls: bool) -> MemoryHost {
    let host = believing().with_signatures(|check| {
        let header = check.signed.iter().position(|b| *b == b'.');
        match header.is_some_and(|length| length > FORGED) {
            true => HostVerdict::Invalid,
            false => HostVerdict::Valid,
        }
    });
    host.set_variable("HASH_KEY", b"a key of hashes".as_slice());
    match over_tls {
        true => host.with_property(Property::TlsVersion, "TLSv1.2"),
        false => host,
    }
}

/// What bytes choose, one after the other; when there are none left, the first of all.
struct Choices<'b> {
    left: &'b [u8],
}

impl<'b> Choices<'b> {
    fn below(&mut self, end: usize) -> usize {
        let Some((first, left)) = self.left.split_first() else {
            return 0;
        };
        self.left = left;
        usize::from(*first) % end
    }

    /// Whether it is one of so many.
    fn is(&mut self, of: usize) -> bool {
        self.below(of) == of - 1
    }

    fn of<T: Clone>(&mut self, all: &[T]) -> T {
        all[self.below(all.len())].clone()
    }

    /// One of them, and the first more often than not.
    fn mostly<T: Clone>(&mut self, all: &[T]) -> T {
        match self.is(3) {
            true => self.of(all),
            false => all[0].clone(),
        }
    }

    fn bytes(&mut self, most: usize) -> &'b [u8] {
        let length = self.below(most).min(self.left.len());
        let (some, left) = self.left.split_at(length);
        self.left = left;
        some
    }
}

/// Some of these members, one in so many.
fn some(choices: &mut Choices<'_>, of: usize, all: &[(&str, &[Value])]) -> Map<String, Value> {
    let mut members = Map::new();
    for (name, values) in all {
        if choices.is(of) {
            members.insert((*name).to_owned(), choices.of(values));
        }
    }
    members
}

fn document(choices: &mut Choices<'_>) -> Value {
    let mut document = some(choices, 8, &sections());
    let logs = [
        json!({ "sinks": ["filter_state"] }),
        json!({ "sinks": ["filter_state"], "query": "values", "attributes": "all" }),
        json!({ "schema": "ecs", "max_bytes": "512B" }),
        json!({ "subject": "hashed", "subject_key": { "env": "HASH_KEY" } }),
        json!({ "fields": { "claims": ["sub"], "headers": ["x-a", "cookie"] }, "query": "off" }),
        json!({ "fields": { "headers": ["x_user", "x-a", "x_http_method_override", "x-original_url"] } }),
        json!({ "sinks": ["filter_state"], "claimed": "off" }),
        json!({ "claimed": "hashed", "subject": "hashed", "subject_key": { "env": "HASH_KEY" } }),
        json!({ "sample": { "allowed": "50%" } }),
        json!("off"),
    ];
    document.insert("version".to_owned(), json!(1));
    document.insert("access_log".to_owned(), choices.mostly(&logs));
    document.insert("providers".to_owned(), providers(choices));
    document.insert("defaults".to_owned(), some(choices, 3, &blocks()).into());
    let routes: Vec<Value> = (0..choices.below(4) + 1)
        .map(|number| route(number, choices))
        .collect();
    document.insert("routes".to_owned(), routes.into());
    document.into()
}

fn sections() -> Vec<(&'static str, &'static [Value])> {
    fn kept(all: Vec<Value>) -> &'static [Value] {
        Vec::leak(all)
    }
    thread_local! {
        static SECTIONS: Vec<(&'static str, &'static [Value])> = vec![
            ("mode", kept(vec![json!("enforce"), json!("shadow")])),
            ("metrics", kept(vec![json!({ "timings": true, "by_route": true })])),
            ("request_id", kept(vec![json!({ "response_header": "x-id" })])),
            ("security_events", kept(vec![json!({})])),
            ("explain", kept(vec![json!({ "header": "x-why", "addresses": ["192.0.2.0/24"] })])),
            ("requests", kept(["strip", "refuse", "pass"].map(|word| json!({ "override_headers": word })).into())),
            ("paths", kept(vec![
                json!({ "empty_segments": "merge" }), json!({ "semicolons": "same_route" }),
                json!({ "letter_case": "same_route" }), json!({ "padding": "refuse" }),
            ])),
            ("rate_limits", kept(vec![json!({ "everywhere": {
                "routes": "all", "key": ["subject"], "headers": "both",
                "token_bucket": { "max_tokens": 3, "tokens_per_fill": 1, "fill_interval": "1s" },
            } })])),
        ];
    }
    SECTIONS.with(Clone::clone)
}

fn blocks() -> Vec<(&'static str, &'static [Value])> {
    thread_local! {
        static BLOCKS: Vec<(&'static str, &'static [Value])> = {
            let kept = |all: Vec<Value>| -> &'static [Value] { Vec::leak(all) };
            vec![
                ("cors", kept(cors())),
                ("csrf", kept(vec![
                    json!({}), json!({ "safe_methods": "isolate" }), json!({ "on_missing": "allow" }),
                    json!({ "additional_origins": [{ "exact": "https://app.example.com" }] }),
                ])),
                ("https", kept(vec![
                    json!({}), json!({ "trust_forwarded_proto": true }),
                    json!({ "min_tls_version": "1.2" }), json!({ "min_tls_version": "1.3" }),
                    json!({ "on_cleartext": "redirect", "hosts": ["api.example.com"] }),
                ])),
                ("rate_limits", kept(limits())),
                ("security_headers", kept(vec![
                    json!({ "preset": "api" }), json!({ "preset": "web", "remove_revealing": false }),
                    json!({ "preset": "api", "remove_revealing": false }),
                    json!({ "preset": "none", "set": { "x-a": "b", "cache-control": { "value": "no-store", "action": "if_absent" } } }),
                    json!({ "preset": "none", "remove": ["server"], "mode": "shadow" }),
                ])),
                ("sanitize_errors", kept(vec![json!({})])),
                ("error_pages", kept(vec![json!({})])),
                ("payload", kept(vec![json!({ "max_bytes": "1KiB" })])),
            ]
        };
    }
    BLOCKS.with(Clone::clone)
}

fn cors() -> Vec<Value> {
    let app = json!({ "exact": "https://app.example.com" });
    vec![
        json!({ "allow_origins": [app] }),
        json!({ "allow_origins": [app, { "exact": "https://b.example" }], "allow_credentials": true, "expose_headers": ["x-b"] }),
        json!({ "allow_origins": [app, { "wildcard": "https://*.example.com" }], "on_disallowed": "refuse" }),
        json!({ "allow_origins": [{ "wildcard": "*" }] }),
        json!({ "allow_origins": [app], "mode": "shadow" }),
    ]
}

fn limits() -> Vec<Value> {
    let bucket = |name: &str, key: Value, most: u64| {
        json!({
            "name": name, "key": key,
            "token_bucket": { "max_tokens": most, "tokens_per_fill": most, "fill_interval": "1s" },
        })
    };
    let with = |mut limit: Value, name: &str, value: Value| {
        limit[name] = value;
        limit
    };
    let wide = bucket("a", json!([]), 1000);
    vec![
        json!([with(wide.clone(), "headers", json!("both"))]),
        json!([with(
            bucket("b", json!(["client_address"]), 2),
            "headers",
            json!("x_ratelimit")
        )]),
        json!([with(
            bucket("c", json!(["subject", "route", "method"]), 3),
            "headers",
            json!("ietf")
        )]),
        json!([with(
            bucket("d", json!([{ "claim": "plan" }]), 3),
            "missing",
            json!("skip")
        )]),
        json!([with(
            bucket("e", json!([{ "header": "x-a" }]), 3),
            "missing",
            json!("refuse")
        )]),
        json!([wide, bucket("f", json!(["subject"]), 2)]),
        json!([with(bucket("g", json!([]), 2), "mode", json!("shadow"))]),
        json!([with(
            bucket("h", json!(["client_address"]), 9),
            "charge",
            json!({ "on_status": ["4xx"] })
        )]),
        json!([with(bucket("i", json!([]), 9), "cost", json!(4))]),
        json!([{ "name": "j", "key": [], "sliding_window": { "requests": 4, "per": "1s" }, "headers": "both" }]),
    ]
}

fn providers(choices: &mut Choices<'_>) -> Value {
    let mut provider = json!({
        "issuer": "https://id.example.com/", "audiences": ["orders-api"],
        "jwks": { "inline": { "keys": [SigningKey::named("p256").jwk()] } },
    });
    let more = [
        ("forward", json!(true)),
        ("jwt_cache", json!("off")),
        ("clock_skew", json!("10s")),
        ("max_age", json!("1h")),
        ("forward_payload_header", json!("x-payload")),
        (
            "claim_to_headers",
            json!([{ "header_name": "x-user", "claim_name": "sub" }]),
        ),
        (
            "claim_to_filter_state",
            json!([{ "key": "user", "claim_name": "sub" }]),
        ),
        ("from_headers", json!([{ "name": "x-token" }])),
        ("from_headers", json!([{ "name": "x_request_id" }])),
        ("from_cookies", json!(["token"])),
    ];
    for (name, value) in more {
        if choices.is(6) {
            provider[name] = value;
        }
    }
    json!({ "corp": provider })
}

fn route(number: usize, choices: &mut Choices<'_>) -> Value {
    let paths = [
        json!({ "prefix": "/" }),
        json!({ "prefix": "/orders" }),
        json!({ "exact": "/orders/1" }),
        json!({ "template": "/orders/{id}" }),
        json!({ "regex": "/[a-z]+/.*" }),
    ];
    let mut matching = json!({ "path": choices.mostly(&paths) });
    if choices.is(4) {
        matching["methods"] = json!(["GET", "POST"]);
    }
    if choices.is(6) {
        matching["hosts"] = json!(["api.example.com", "*.example.net"]);
    }
    if choices.is(8) {
        matching["headers"] = json!([{ "name": "x-a", "present": true }]);
    }
    let mut route = some(choices, 10, &blocks());
    route.insert("name".to_owned(), format!("r{number}").into());
    route.insert("match".to_owned(), matching);
    if choices.is(4) {
        route.insert("open".to_owned(), true.into());
    } else {
        let jwt = [
            json!({ "provider": "corp" }),
            json!({ "provider": "corp", "require": { "scopes": ["read"] } }),
            json!({ "provider": "corp", "require": { "claims": [{ "claim": "plan", "exact": "gold" }] } }),
            json!({ "provider": "corp", "optional": true }),
            json!({ "provider": "corp", "mode": "shadow" }),
        ];
        route.insert("jwt".to_owned(), choices.mostly(&jwt));
    }
    route.into()
}

fn request(choices: &mut Choices<'_>) -> Headers {
    let mut headers = Headers::default();
    let mut push = |name: &str, value: &[u8]| headers.push(name.as_bytes(), value);
    let authorities = [
        "api.example.com",
        "API.example.com:443",
        "a.example.net",
        "",
        "a..b",
    ];
    let paths = [
        "/orders/1",
        "/orders",
        "/orders/1?page=2&token=x",
        "/Orders/1",
        "/orders//1",
        "/orders/%31",
        "/orders/1;a=b",
        "/orders/.",
        "/orders/a.b",
        "/orders/a.",
        "/%6frders/1#x",
        "*",
        "/",
    ];
    let methods = ["GET", "POST", "OPTIONS", "HEAD", "DELETE", "CONNECT"];
    push(":authority", choices.mostly(&authorities).as_bytes());
    match choices.is(6) {
        true => push(":path", &[b"/", choices.bytes(12)].concat()),
        false => push(":path", choices.mostly(&paths).as_bytes()),
    }
    push(":method", choices.mostly(&methods).as_bytes());
    push(":scheme", choices.of(&["https", "http"]).as_bytes());
    if !choices.is(5) {
        let token = TOKENS.with(|tokens| choices.mostly(tokens));
        let scheme = choices.mostly(&["Bearer ", "bearer  ", "Bearer\t", ""]);
        let name = choices.mostly(&[
            "authorization",
            "authorization",
            "authorization",
            "x-token",
            "authorization_",
            "x_request_id",
        ]);
        push(name, format!("{scheme}{token}").as_bytes());
    }
    for _ in 0..choices.below(6) {
        let (name, values) = choices.of(&FIELDS);
        match choices.is(10) {
            true => push(name, choices.bytes(24)),
            false => push(name, choices.of(values).as_bytes()),
        }
    }
    // Of a large head, no more is kept than what is read later.
    if choices.is(9) {
        headers.push(b"x-large", &[b'a'; 3000]);
    }
    headers
}

type Field = (&'static str, &'static [&'static str]);

const FIELDS: [Field; 19] = [
    (
        "origin",
        &[
            "https://app.example.com",
            "https://api.example.com",
            "null",
            "https://evil.example",
            "https://a.example.com",
        ],
    ),
    ("x-request-id", &["6f1f6f0e-7a0e", "a b", "\"<>"]),
    (
        "user-agent",
        &[
            "test",
            "a \"quoted\" \\ one",
            "eyJhbGciOiJIUzI1NiJ9.e30.c2ln",
        ],
    ),
    (
        "traceparent",
        &[
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            "x",
        ],
    ),
    (
        "sec-fetch-site",
        &["same-origin", "cross-site", "none", "x"],
    ),
    ("upgrade", &["websocket", "h2c"]),
    ("x-forwarded-proto", &["https", "http"]),
    ("x-user", &["mallory"]),
    ("x_user", &["mallory"]),
    ("x-http-method-override", &["DELETE"]),
    ("x-original_url", &["/admin"]),
    ("x_http_method_override", &["DELETE"]),
    ("x-why", &["1"]),
    ("x-a", &["1", ""]),
    ("cookie", &["a=b", "token=x"]),
    ("content-type", &["application/json", "application/grpc"]),
    ("accept", &["text/html", "*/*"]),
    ("access-control-request-method", &["GET"]),
    ("x-payload", &["e30"]),
];

fn answer(choices: &mut Choices<'_>) -> Headers {
    let mut headers = Headers::default();
    headers.push(b":status", choices.of(&["200", "404", "503"]).as_bytes());
    for (name, value) in [
        ("server", "x"),
        ("content-type", "application/json"),
        ("cache-control", "public"),
        ("access-control-allow-origin", "*"),
        ("vary", "accept"),
    ] {
        if choices.is(3) {
            headers.push(name.as_bytes(), value.as_bytes());
        }
    }
    headers
}

fn minted() -> Vec<String> {
    let mint = |more: Value| {
        let mut claims = json!({
            "iss": "https://id.example.com/", "aud": "orders-api", "sub": "alice", "iat": NOW - 60,
            "exp": NOW + 60,
        });
        for (name, value) in more.as_object().into_iter().flatten() {
            claims[name] = value.clone();
        }
        tokens::mint(&json!({ "key": "p256", "claims": claims }), NOW)
    };
    vec![
        mint(json!({})),
        mint(json!({ "scope": "read write", "plan": "gold" })),
        mint(json!({ "plan": "silver", "sub": "b\"ob\u{1f600}" })),
        mint(json!({ "sub": null, "scope": ["read"] })),
        mint(json!({ "exp": NOW - 60 })),
        mint(json!({ "exp": NOW + 1000, "nbf": NOW + 65 })),
        mint(json!({ "iss": "https://other.example.com/" })),
        "a.b.c".to_owned(),
        tokens::mint(
            &json!({
                "key": "p256", "header": { "kid": "a name that makes the header long" },
                "claims": { "iss": "https://id.example.com/", "sub": "m\u{e9}\"", "aud": ["a", "b"], "exp": NOW + 9 },
            }),
            NOW,
        ),
    ]
}
