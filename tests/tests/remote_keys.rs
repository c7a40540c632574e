//! Keys that a provider publishes, fetched by a real Envoy from a server that misbehaves.

use std::fs;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use portcullis_tests::client::{self, Connection};
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::tokens::{self, SigningKey};
use portcullis_tests::upstream::{Answer, Upstream};
use portcullis_tests::wire::{Request, Response};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(10);

/// An Envoy whose filter fetches keys from `idp`.
struct Mesh {
    envoy: Envoy,
    idp: Upstream,
    service: Upstream,
    addr: SocketAddr,
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
            "issuer": "https://id.example.com/",
            "audiences": ["orders-api"],
            "jwks": { "remote": settings },
        } },
        "routes": [{ "name": "all", "match": {}, "jwt": { "provider": "corp-EU" } }],
    })
}

impl Mesh {
    fn start(remote: &Value, workers: u32, answer: Answer) -> Self {
        let (idp, service) = (
            Upstream::start().unwrap(),
            Upstream::start_forgetful().unwrap(),
        );
        idp.answer_path("/jwks", answer);
        let clusters = vec![
            cluster("upstream", service.addr()),
            cluster("idp", idp.addr()),
        ];
        let configuration = string_value(&document(remote).to_string());
        let filter = wasm_filter(
            "remote",
            &module_path(),
            configuration,
            WasmOptions::default(),
        );
        let listeners = vec![listener("remote", vec![filter], ListenerOptions::default())];
        let options = Options {
            concurrency: workers,
            ..Options::default()
        };
        let mut bootstrap = bootstrap(listeners, clusters);
        bootstrap["stats_config"] = documented_tags();
        let envoy = Envoy::start(bootstrap, &options).unwrap();
        let addr = envoy.listener_addr("remote").unwrap();
        Self {
            envoy,
            idp,
            service,
            addr,
        }
    }

    fn publish(&self, keys: &[(&str, &str)]) {
        self.idp
            .answer_path("/jwks", Answer::Respond(key_set(keys)));
    }

    fn status(&self, key: &str, kid: &str) -> u16 {
        client::send(self.addr, &request(key, kid), TIMEOUT)
            .unwrap()
            .status
    }

    /// Waits until as many fresh connections as reach every worker give that status.
    fn wait_for(&self, key: &str, kid: &str, status: u16) {
        let deadline = now() + Duration::from_secs(20);
        let mut in_a_row = 0;
        while in_a_row < 24 {
            let found = self.status(key, kid);
            in_a_row = if found == status { in_a_row + 1 } else { 0 };
            assert!(
                now() < deadline,
                "still {found}; log:\n{}",
                self.envoy.log()
            );
            if found != status {
                thread::sleep(Duration::from_millis(50));
            }
        }
    }

    fn fetches(&self) -> usize {
        self.idp.take_path("/jwks").len()
    }
}

/// The snippet of the reference that makes labels of codes and providers.
fn documented_tags() -> Value {
    let tag = |name: &str, part: &str| {
        let regex = format!("^wasmcustom\\.portcullis(\\.{part}\\.([^.]+))");
        let written = format!(
            "- {{ tag_name: {name}, regex: \"{}\" }}",
            regex.replace('\\', "\\\\")
        );
        let page = tokens::repository().join("docs/record.md");
        let page = fs::read_to_string(page).unwrap();
        assert!(page.contains(&written), "the reference lacks {written}");
        json!({ "tag_name": name, "regex": regex })
    };
    json!({ "stats_tags": [tag("code", "code"), tag("provider", "provider")] })
}

#[allow(
    clippy::disallowed_methods,
    reason = "these tests wait for a real proxy"
)]
fn now() -> Instant {
    Instant::now()
}

fn key_set(keys: &[(&str, &str)]) -> Response {
    let keys: Vec<Value> = keys
        .iter()
        .map(|(name, kid)| {
            let mut jwk = SigningKey::named(name).jwk();
            jwk["kid"] = (*kid).into();
            jwk
        })
        .collect();
    answer(200, &json!({ "keys": keys }).to_string())
}

fn answer(status: u16, body: &str) -> Response {
    Response {
        status,
        body: body.as_bytes().to_vec(),
        ..Response::default()
    }
}

fn request(key: &str, kid: &str) -> Request {
    let claims =
        json!({ "iss": "https://id.example.com/", "aud": "orders-api", "exp": 4_102_444_800_u64 });
    let token = tokens::mint(
        &json!({ "key": key, "header": { "kid": kid }, "claims": claims }),
        0,
    );
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

#[test]
fn keys_are_there_before_the_first_request_and_one_worker_fetches() {
    let limits = json!({ "cache_duration": "2s" });
    let good = Answer::Respond(key_set(&[("p256", "a")]));
    let mesh = Mesh::start(&limits, 4, good);
    thread::sleep(Duration::from_secs(1));
    for _ in 0..64 {
        assert_eq!(mesh.status("p256", "a"), 200);
    }
    // Five threads tick. The host cannot create a lease once, so the very first may go to several.
    let first = mesh.fetches();
    assert!((1..=5).contains(&first), "{first} fetches at the start");
    thread::sleep(Duration::from_secs(6));
    // Every 1.5 to 2 seconds; if each thread fetched, there would be 15 at the least.
    let later = mesh.fetches();
    assert!((2..=6).contains(&later), "{later} fetches in six seconds");
    assert!(
        mesh.envoy
            .stat("wasmcustom.portcullis.jwks_fetch_success")
            .unwrap()
            >= 1
    );
}

#[test]
fn without_keys_tokens_are_503_until_the_provider_answers() {
    let down = Answer::Respond(answer(500, "no"));
    let mesh = Mesh::start(&json!({}), 2, down);
    thread::sleep(Duration::from_secs(1));
    let refused = client::send(mesh.addr, &request("p256", "a"), TIMEOUT).unwrap();
    assert_eq!(refused.status, 503);
    let problem: Value = serde_json::from_slice(&refused.body).unwrap();
    assert_eq!(problem["code"], "jwt_keys_unavailable");
    assert!(
        mesh.envoy
            .log()
            .contains("the keys cannot be fetched: status 500")
    );
    mesh.publish(&[("p256", "a")]);
    mesh.wait_for("p256", "a", 200);
    assert!(mesh.service.count() > 0);
}

#[test]
fn bad_answers_never_harm_good_keys() {
    let good = Answer::Respond(key_set(&[("p256", "a")]));
    let mesh = Mesh::start(&json!({ "cache_duration": "1s" }), 2, good);
    mesh.wait_for("p256", "a", 200);
    let broken = json!({ "keys": [{ "kty": "RSA" }, { "kty": "oct", "k": "A".repeat(60) }] });
    let endless = "x".repeat(700 << 10);
    for (bad, message) in [
        (Answer::Respond(answer(500, "no")), "status 500"),
        (Answer::Respond(answer(200, "<html>")), "not a JWK Set"),
        (
            Answer::Respond(answer(200, "{\"keys\":[]}")),
            "without any key",
        ),
        (
            Answer::Respond(answer(200, &broken.to_string())),
            "without any key",
        ),
        (Answer::Respond(answer(200, &endless)), "longer than"),
        (Answer::HangUp, "status 503"),
        (
            Answer::Delay(Duration::from_secs(3), key_set(&[("p256", "b")])),
            "status 504",
        ),
    ] {
        let mark = mesh.envoy.log_mark();
        mesh.idp.answer_path("/jwks", bad);
        let deadline = now() + Duration::from_secs(30);
        while !mesh.envoy.log_since(mark).contains(message) {
            assert_eq!(mesh.status("p256", "a"), 200, "after {message}");
            assert!(
                now() < deadline,
                "never seen: {message}\n{}",
                mesh.envoy.log_since(mark)
            );
            thread::sleep(Duration::from_millis(20));
        }
        assert_eq!(mesh.status("p256", "a"), 200, "after {message}");
        // Good again, so that pauses stay short.
        mesh.publish(&[("p256", "a")]);
        let before = mesh
            .envoy
            .stat("wasmcustom.portcullis.jwks_fetch_success")
            .unwrap();
        while mesh
            .envoy
            .stat("wasmcustom.portcullis.jwks_fetch_success")
            .unwrap()
            == before
        {
            assert!(now() < deadline, "no fetch succeeds after {message}");
            thread::sleep(Duration::from_millis(50));
        }
    }
    assert!(!mesh.envoy.log().contains("panicked"));
}

#[test]
fn a_rotation_under_load_loses_no_request() {
    let good = Answer::Respond(key_set(&[("p256", "old")]));
    let mesh = Mesh::start(&json!({ "cache_duration": "1s" }), 2, good);
    mesh.wait_for("p256", "old", 200);
    let (stop, asked) = (AtomicBool::new(false), AtomicU64::new(0));
    thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut connection = Connection::new(mesh.addr);
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
    let good = Answer::Respond(key_set(&[("p256", "a")]));
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
    let good = Answer::Respond(key_set(&[("p256", "a")]));
    let limits = json!({ "cache_duration": "1s", "max_stale": "4s" });
    let mesh = Mesh::start(&limits, 1, good);
    mesh.wait_for("p256", "a", 200);
    mesh.idp.answer_path("/jwks", Answer::HangUp);
    thread::sleep(Duration::from_secs(1));
    assert_eq!(mesh.status("p256", "a"), 200, "not stale yet");
    mesh.wait_for("p256", "a", 503);
    mesh.publish(&[("p256", "a")]);
    mesh.wait_for("p256", "a", 200);
}

#[test]
fn keys_and_their_age_are_shown() {
    let (keys, age) = (
        "wasmcustom.portcullis.provider.corp_eu.jwks_keys",
        "wasmcustom.portcullis.provider.corp_eu.jwks_age_seconds",
    );
    let good = Answer::Respond(key_set(&[("p256", "a"), ("rsa", "b")]));
    let limits = json!({ "cache_duration": "1s", "max_stale": "4s" });
    let mesh = Mesh::start(&limits, 2, good);
    let wait = |name: &str, wanted: &dyn Fn(u64) -> bool| {
        let deadline = now() + Duration::from_secs(20);
        let mut found = mesh.envoy.stat(name).unwrap();
        while !wanted(found) {
            assert!(now() < deadline, "{name} is still {found}");
            thread::sleep(Duration::from_millis(50));
            found = mesh.envoy.stat(name).unwrap();
        }
    };
    wait(keys, &|keys| keys == 2);
    wait(age, &|age| age <= 2);
    assert_eq!(mesh.status("p256", "a"), 200);
    wait("wasmcustom.portcullis.jwt_cache_entries", &|entries| {
        entries == 1
    });
    let prometheus = mesh.envoy.admin_get("/stats/prometheus").unwrap();
    for line in [
        "# TYPE portcullis_jwks_keys gauge",
        "portcullis_jwks_keys{provider=\"corp_eu\"} 2",
        "portcullis_jwt_cache_entries{} 1",
        "# TYPE portcullis_jwks_fetch_ms histogram",
    ] {
        assert!(prometheus.contains(line), "{line} is not in {prometheus}");
    }
    // An answer without keys harms none, but age tells, and in the end they are too old.
    mesh.publish(&[]);
    wait(age, &|age| age >= 3);
    wait(keys, &|keys| keys == 0);
    mesh.publish(&[("p256", "a")]);
    wait(keys, &|keys| keys == 1);
    wait(age, &|age| age <= 2);
}
