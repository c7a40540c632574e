//! Keys that a provider publishes, fetched by a real Envoy from a server that misbehaves.

use std::ops::Deref;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use portcullis_tests::client::{self, Connection};
use portcullis_tests::mesh::{self, ISSUER, TIMEOUT, answer, key_set, late, now, request};
use portcullis_tests::patience::wait_until;
use portcullis_tests::tokens::SigningKey;
use portcullis_tests::upstream::{Answer, Upstream};
use serde_json::{Value, json};

/// An Envoy whose filter fetches keys from `idp`.
struct Mesh {
    mesh: mesh::Mesh,
    idp: Upstream,
}

impl Deref for Mesh {
    type Target = mesh::Mesh;

    fn deref(&self) -> &mesh::Mesh {
        &self.mesh
    }
}

fn document(remote: &Value) -> Value {
    let mut settings = json!({
        "cluster": "idp", "uri": "http://id.example.com/jwks", "timeout": "1s", "cooldown": "1s",
    });
    for (name, value) in remote.as_object().unwrap() {
        settings[name] = value.clone();
    }
    json!({
        "version": 1,
        "providers": { "corp-EU": {
            "issuer": ISSUER,
            "audiences": ["orders-api"],
            "jwks": { "remote": settings },
        } },
        "routes": [{ "name": "all", "match": {}, "jwt": { "provider": "corp-EU" } }],
    })
}

impl Mesh {
    fn start(remote: &Value, workers: u32, answer: Answer) -> Self {
        let idp = Upstream::start().unwrap();
        idp.answer_path("/jwks", answer);
        let mesh = mesh::Mesh::start_reused(&document(remote), workers, &[("idp", &idp)]);
        Self { mesh, idp }
    }

    /// One whose gauges and memory are of this test alone.
    fn start_fresh(remote: &Value, workers: u32, answer: Answer) -> Self {
        let idp = Upstream::start().unwrap();
        idp.answer_path("/jwks", answer);
        let mesh = mesh::Mesh::start(&document(remote), workers, &[("idp", &idp)]);
        Self { mesh, idp }
    }

    fn publish(&self, keys: &[(&str, &str)]) {
        self.idp.answer_path("/jwks", key_set(keys));
    }

    fn fetches(&self) -> usize {
        self.idp.take_path("/jwks").len()
    }
}

#[test]
fn keys_are_there_before_the_first_request_and_one_worker_fetches() {
    let limits = json!({ "cache_duration": "2s" });
    let good = key_set(&[("p256", "a")]);
    let mesh = Mesh::start(&limits, 4, good);
    mesh.wait_for_metric("jwks_fetch_success", |fetches| fetches >= 1);
    // A worker takes up what another has fetched on one of its ticks, of which there are several in
    // a second. That nothing else is needed is what is tested here, so no request is sent meanwhile.
    thread::sleep(Duration::from_secs(1));
    for _ in 0..64 {
        assert_eq!(mesh.status("p256", "a"), 200);
    }
    // Five threads tick. The host cannot create a lease once, so the very first may go to several.
    let first = mesh.fetches();
    assert!((1..=5).contains(&first), "{first} fetches at the start");
    // Every 1.5 to 2 seconds; if each thread fetched, three would come at once.
    let (begun, mut later) = (now(), 0);
    wait_until("there are three more fetches", || {
        later += mesh.fetches();
        later >= 3
    });
    let took = begun.elapsed();
    assert!(
        took > Duration::from_millis(2900),
        "{later} fetches in {took:?}"
    );
    assert!(mesh.metric("jwks_fetch_success") >= 1);
}

#[test]
fn without_keys_tokens_are_503_until_the_provider_answers() {
    let down = answer(500, "no");
    let mesh = Mesh::start(&json!({}), 2, down);
    mesh.wait_for_log(0, "the keys cannot be fetched: status 500", || {});
    let refused = client::send(mesh.addr(), &request("p256", "a"), TIMEOUT).unwrap();
    assert_eq!(refused.status, 503);
    let problem: Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!(problem["code"], "jwt_keys_unavailable");
    mesh.publish(&[("p256", "a")]);
    mesh.wait_for("p256", "a", 200);
    assert!(mesh.service.count() > 0);
}

#[test]
fn bad_answers_never_harm_good_keys() {
    let good = key_set(&[("p256", "a")]);
    let mesh = Mesh::start(&json!({ "cache_duration": "1s" }), 2, good);
    mesh.wait_for("p256", "a", 200);
    let broken = json!({ "keys": [{ "kty": "RSA" }, { "kty": "oct", "k": "A".repeat(60) }] });
    let endless = "x".repeat(700 << 10);
    for (bad, message) in [
        (answer(500, "no"), "status 500"),
        (answer(200, "<html>"), "not a JWK Set"),
        (answer(200, "{\"keys\":[]}"), "without any key"),
        (answer(200, &broken.to_string()), "without any key"),
        (answer(200, &endless), "longer than"),
        (
            Answer::HangUp,
            "status 503, the server's or, if nobody answered",
        ),
        (
            late(Duration::from_secs(3), key_set(&[("p256", "b")])),
            "status 504",
        ),
    ] {
        let mark = mesh.envoy.log_mark();
        mesh.idp.answer_path("/jwks", bad);
        mesh.wait_for_log(mark, message, || {
            assert_eq!(mesh.status("p256", "a"), 200, "after {message}");
        });
        // Good again, so that pauses stay short.
        mesh.publish(&[("p256", "a")]);
        let before = mesh.metric("jwks_fetch_success");
        mesh.wait_for_metric("jwks_fetch_success", |fetches| fetches > before);
    }
    assert!(!mesh.envoy.log().contains("panicked"));
}

#[test]
fn a_rotation_under_load_loses_no_request() {
    let good = key_set(&[("p256", "old")]);
    let mesh = Mesh::start(&json!({ "cache_duration": "1s" }), 2, good);
    mesh.wait_for("p256", "old", 200);
    let (stop, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut connection = Connection::new(mesh.addr());
                let old = request("p256", "old");
                while !stop.load(Ordering::Relaxed) {
                    let response = connection.send(&old, TIMEOUT).expect("no request is lost");
                    assert_eq!(response.status, 200);
                    asked.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
        // The provider publishes the next key beside the old one, then signs with it.
        mesh.publish(&[("p256", "old"), ("rsa", "new")]);
        mesh.wait_for("rsa", "new", 200);
        stop.store(true, Ordering::Relaxed);
    });
    assert!(asked.load(Ordering::Relaxed) > 100);
    // Once the old key is gone, its tokens are too, remembered ones included.
    mesh.publish(&[("rsa", "new")]);
    mesh.wait_for("p256", "old", 401);
    assert_eq!(mesh.status("rsa", "new"), 200);
}

#[test]
fn unknown_keys_ask_early_but_cannot_hammer() {
    let good = key_set(&[("p256", "a")]);
    let mesh = Mesh::start(
        &json!({ "cooldown": "3s", "cache_duration": "1h" }),
        2,
        good,
    );
    mesh.wait_for("p256", "a", 200);
    mesh.publish(&[("p256", "a"), ("rsa", "b")]);
    mesh.wait_for("rsa", "b", 200);
    mesh.fetches();
    let begun = now();
    let mut asked = 0;
    while begun.elapsed() < Duration::from_secs(7) {
        assert_eq!(mesh.status("p256", &format!("no-such-key-{asked}")), 401);
        asked += 1;
    }
    let fetches = mesh.fetches();
    assert!(
        asked > 100 && (1..=4).contains(&fetches),
        "{fetches} fetches for {asked} tokens"
    );
}

#[test]
fn keys_that_are_too_old_are_not_used() {
    let good = key_set(&[("p256", "a")]);
    let limits = json!({ "cache_duration": "1s", "max_stale": "4s" });
    let mesh = Mesh::start(&limits, 1, good);
    mesh.wait_for("p256", "a", 200);
    let begun = now();
    mesh.idp.answer_path("/jwks", Answer::HangUp);
    mesh.wait_for_metric("jwks_fetch_failed", |failed| failed >= 1);
    let status = mesh.status("p256", "a");
    // Those that came last were fetched at most a second before.
    let is_stale = begun.elapsed() > Duration::from_secs(3);
    assert!(
        status == 200 || is_stale,
        "{status}, and they are not stale"
    );
    mesh.wait_for("p256", "a", 503);
    mesh.publish(&[("p256", "a")]);
    mesh.wait_for("p256", "a", 200);
}

#[test]
fn keys_and_their_age_are_shown() {
    let keys = "provider.corp_eu.jwks_keys";
    let age = "provider.corp_eu.jwks_age_seconds";
    let good = key_set(&[("p256", "a"), ("rsa", "b")]);
    let limits = json!({ "cache_duration": "1s", "max_stale": "10s", "timeout": "5s" });
    let mesh = Mesh::start_fresh(&limits, 2, good);
    mesh.wait_for_metric(keys, |keys| keys == 2);
    mesh.wait_for_metric(age, |age| age <= 3);
    // The worker that takes a request may not have looked at them yet.
    mesh.wait_for("p256", "a", 200);
    mesh.wait_for_metric("jwt_cache_entries", |entries| entries >= 1);
    let prometheus = mesh.envoy.admin_get("/stats/prometheus").unwrap();
    for line in [
        "# TYPE portcullis_jwks_keys gauge",
        "portcullis_jwks_keys{provider=\"corp_eu\"} 2",
        "portcullis_jwt_cache_entries{} ",
        "# TYPE portcullis_jwks_fetch_ms histogram",
    ] {
        assert!(prometheus.contains(line), "{line} is not in {prometheus}");
    }
    // An answer without keys harms none, but age tells, and in the end they are too old.
    mesh.publish(&[]);
    mesh.wait_for_metric(age, |age| age >= 5);
    mesh.wait_for_metric(keys, |keys| keys == 0);
    mesh.publish(&[("p256", "a")]);
    mesh.wait_for_metric(keys, |keys| keys == 1);
    mesh.wait_for_metric(age, |age| age <= 3);
}

/// An answer of a provider is not copied into the VM before its length is known.
#[test]
fn an_answer_that_is_too_long_is_not_read() {
    let limits = json!({ "cache_duration": "1s" });
    let mesh = Mesh::start_fresh(&limits, 1, key_set(&[("p256", "a")]));
    mesh.wait_for("p256", "a", 200);
    let body = format!("{{\"keys\":[{}]}}", " ".repeat(31 << 20));
    let before = mesh.envoy.resident_memory().unwrap();
    mesh.idp.answer_path("/jwks", answer(200, &body));
    mesh.wait_for_metric("jwks_fetch_failed", |failed| failed >= 2);
    let grown = mesh.envoy.resident_memory().unwrap().saturating_sub(before);
    println!("{} KB more", grown >> 10);
    let log = mesh.envoy.log();
    assert!(log.contains("an answer longer than 524288 bytes"), "{log}");
    assert_eq!(mesh.status("p256", "a"), 200);
    // The proxy itself holds such an answer, and keeps some of that for the next.
    assert!(grown < 60 << 20, "{grown}");
    mesh.idp.answer_path("/jwks", key_set(&[("p384", "b")]));
    mesh.wait_for("p384", "b", 200);
}

/// What an operator must know of a fetch that goes wrong stands in the log, and no credential does.
#[test]
fn credentials_are_sent_and_what_goes_wrong_is_said() {
    const SECRET: &str = "Bearer 5f1dd7c09a3e";
    let idp = Upstream::start().unwrap();
    let sloppy =
        json!({ "issuer": "https://ID.example.com", "jwks_uri": "http://id.example.com/jwks" });
    let echo =
        json!({ "issuer": format!("not for {SECRET}"), "jwks_uri": "http://id.example.com/jwks" });
    idp.answer_path("/sloppy", answer(200, &sloppy.to_string()));
    idp.answer_path("/echo", answer(200, &echo.to_string()));
    let mut set: Vec<Value> = (0..70)
        .map(|number| {
            let mut jwk = SigningKey::named("p256").jwk();
            jwk["kid"] = format!("k{number}").into();
            jwk
        })
        .collect();
    set[1]["use"] = "jwt-svid".into();
    let set = answer(200, &json!({ "keys": set }).to_string());
    idp.answer_path("/openid/v1/jwks", set);
    let fetched =
        |jwks: Value| json!({ "issuer": ISSUER, "audiences": ["orders-api"], "jwks": jwks });
    let headers = json!({
        "authorization": { "env": "JWKS_TOKEN" }, "x-tenant": "t-1", "x-none": { "env": "NOT_THERE" },
    });
    let discovered = |path: &str| {
        fetched(json!({ "discovery": {
            "cluster": "idp", "uri": format!("http://id.example.com{path}"), "headers": headers,
        } }))
    };
    let document = json!({
        "version": 1,
        "providers": {
            "cluster": fetched(json!({ "remote": {
                "cluster": "idp", "uri": "http://id.example.com/openid/v1/jwks", "headers": headers,
            } })),
            "lost": fetched(json!({ "remote": {
                "cluster": "nowhere", "uri": "http://id.example.com/jwks",
            } })),
            "sloppy": discovered("/sloppy"),
            "echo": discovered("/echo"),
        },
        "routes": [
            { "name": "others", "match": { "path": { "prefix": "/others" } }, "jwt": { "any_of": [
                { "provider": "lost" }, { "provider": "sloppy" }, { "provider": "echo" },
            ] } },
            { "name": "all", "match": {}, "jwt": { "provider": "cluster" } },
        ],
    });
    let environment = [("JWKS_TOKEN", SECRET)];
    let mesh = mesh::Mesh::start_in(&document, 1, &[("idp", &idp)], &environment);
    for text in [
        "provider lost: the proxy has no cluster \"nowhere\"; write one of that name",
        "provider lost: the keys cannot be fetched: the proxy has no such cluster",
        "provider cluster: the VM has no environment variable NOT_THERE",
        "provider cluster: key 2 of the set (kid \"k1\") is passed over: its `use` is \"jwt-svid\"",
        "provider cluster: the set has more keys than are kept, 64,",
        "its last 5 are passed over",
        "provider sloppy: it is of the issuer \"https://ID.example.com\", and \"https://id.example.com/\" is asked for; they differ in a \"/\" at the end",
        "provider echo: (left out, since a part of a credential stands in it)",
    ] {
        mesh.wait_for_log(0, text, || {});
    }
    mesh.wait_for("p256", "k0", 200);
    assert_eq!(mesh.status("p256", "k69"), 401);
    assert!(!mesh.envoy.log().contains("5f1dd7c09a3e"));
    for path in ["/openid/v1/jwks", "/sloppy", "/echo"] {
        let asked = idp.take_path(path);
        assert!(!asked.is_empty(), "{path}");
        for request in asked {
            let all = |name: &str| request.values(name).map(<[u8]>::to_vec).collect::<Vec<_>>();
            assert_eq!(all("authorization"), [SECRET.as_bytes()]);
            assert_eq!(all("x-tenant"), [b"t-1"]);
            assert!(all("x-none").is_empty());
        }
    }
}

#[test]
fn each_key_that_is_passed_over_is_told_once_with_its_reason() {
    let point = |more: Value| {
        let mut key = json!({ "kty": "OKP", "crv": "Ed25519", "x": "A".repeat(43) });
        for (name, value) in more.as_object().unwrap() {
            key[name] = value.clone();
        }
        key
    };
    let mut good = SigningKey::named("p256").jwk();
    good["kid"] = "a".into();
    let set = json!({ "keys": [
        good,
        point(json!({ "kid": "spiffe\n[error]", "use": "jwt-svid" })),
        { "kty": "RSA", "alg": "RSA-OAEP", "n": "AQAB", "e": "AQAB" },
        { "kty": "RSA", "n": "AQAB", "e": "AQAB" },
    ] });
    let mesh = Mesh::start(
        &json!({ "cache_duration": "1s" }),
        2,
        answer(200, &set.to_string()),
    );
    mesh.wait_for("p256", "a", 200);
    let lines = [
        "key 2 of the set (kid \"spiffe\u{fffd}[error]\") is passed over: its `use` is \"jwt-svid\", not \"sig\"",
        "key 3 of the set is passed over: its `alg` is \"RSA-OAEP\", which is not supported",
        "key 4 of the set is passed over: not an RSA key of 2048 to 4096 bits with the exponent 65537",
    ];
    for line in lines {
        mesh.wait_for_log(0, line, || {});
    }
    let before = mesh.metric("jwks_fetch_success");
    mesh.wait_for_metric("jwks_fetch_success", |fetches| fetches >= before + 3);
    let log = mesh.envoy.log();
    for line in lines {
        // Whoever fetches first may be more than one.
        let told = log.matches(line).count();
        assert!((1..=3).contains(&told), "{told} times: {line}\n{log}");
    }
}
