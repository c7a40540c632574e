//! Signatures that cost a worker its time, and key servers that cost it its memory.

use std::time::Duration;

use portcullis_tests::client::Connection;
use portcullis_tests::patience;
use portcullis_tests::random::Random;
use portcullis_tests::tokens::base64url;
use portcullis_tests::upstream::{Answer, Upstream};
use portcullis_tests::wire::Response;
use serde_json::{Value, json};

use super::documents::{ISSUER, get, guarded, now};
use super::size;
use super::stage::{Delivery, Setting, Stage, TIMEOUT};

fn bytes(random: &mut Random, count: usize) -> Vec<u8> {
    (0..count).map(|_| random.byte()).collect()
}

/// A public key of 4096 bits that nobody has the private one of.
fn rsa_key(random: &mut Random, number: usize) -> Value {
    let mut modulus = bytes(random, 512);
    modulus[0] |= 0x80;
    modulus[511] |= 1;
    json!({
        "kty": "RSA", "kid": format!("k{number}"), "alg": "PS256",
        "n": base64url(&modulus), "e": "AQAB",
    })
}

/// What a request takes of processor time, the fetching of a refusal without a token taken off.
fn cost(stage: &Stage, count: u32, token: impl Fn(u32) -> Option<String>) -> Duration {
    let mut connection = Connection::new(stage.addr);
    let before = stage.envoy.cpu_time().unwrap();
    for number in 0..count {
        let answer = connection
            .send(&get(token(number).as_deref()), TIMEOUT)
            .unwrap();
        assert_eq!(answer.status, 401, "{answer:?}");
    }
    (stage.envoy.cpu_time().unwrap() - before) / count
}

fn forged(algorithm: &str, length: usize, number: u32) -> String {
    let header = json!({ "alg": algorithm });
    let claims = json!({ "iss": ISSUER, "aud": "orders-api", "sub": number.to_string(), "exp": now() + 600 });
    let [header, claims] = [header, claims].map(|part| base64url(part.to_string().as_bytes()));
    let mut signature = bytes(&mut Random(u64::from(number) + 1), length);
    // Both numbers of a pair, and the one of RSA, are below what they are taken modulo.
    (signature[0], signature[length / 2]) = (0, 0);
    format!("{header}.{claims}.{}", base64url(&signature))
}

fn judge(what: &str, keys: Value, algorithm: &'static str, length: usize, verify: &str) {
    let mut document = guarded();
    let provider = &mut document["providers"]["corp"];
    provider["jwks"]["inline"]["keys"] = keys;
    provider["algorithms"] = json!([algorithm]);
    provider["signatures"] = verify.into();
    let setting = Setting {
        drain: Duration::from_secs(1),
        reuse: true,
        ..Setting::new(1, Delivery::Lds)
    };
    let stage = Stage::start(setting, &document);
    cost(&stage, 50, |_| None);
    let plain = cost(&stage, 200, |_| None);
    cost(&stage, 10, |number| Some(forged(algorithm, length, number)));
    let count = size(50, 200);
    let checked = || {
        let checks = [
            "portcullis.jwt_signature_filter",
            "portcullis.jwt_signature_proxy",
        ];
        let told = checks.map(|name| stage.envoy.stat(&format!("wasmcustom.{name}")));
        told.map(|told| told.unwrap_or(0)).iter().sum::<u64>()
    };
    let before = checked();
    let dear = cost(&stage, count, |number| {
        Some(forged(algorithm, length, 1_000 + number))
    });
    println!("{what}: {dear:.2?} for each bad token, {plain:.2?} without one");
    assert_eq!(stage.traps(), 0);
    // Counters are told on ticks: those of earlier tokens may be among them, and the last late.
    patience::comes(|| checked() - before >= u64::from(count));
    let checks = checked() - before;
    assert!(checks >= u64::from(count), "{what}: {checks} checks");
    assert!(
        checks <= 2 * u64::from(count + 10),
        "{what}: {checks} checks"
    );
}

#[test]
fn a_bad_token_against_eight_keys() {
    let mut random = Random(4096);
    let keys: Value = (0..8).map(|number| rsa_key(&mut random, number)).collect();
    judge("PS256, eight keys of 4096 bits", keys, "PS256", 512, "auto");
}

#[test]
fn a_bad_token_on_a_slow_curve() {
    let key = portcullis_tests::tokens::SigningKey::named("p521").jwk();
    judge("ES512 by the filter", json!([key]), "ES512", 132, "filter");
}

/// An identity provider that answers with more than anybody reads.
#[test]
fn an_endless_key_set() {
    let idp = Upstream::start_forgetful().unwrap();
    let large = size(8, 31) << 20;
    let answer = Response {
        status: 200,
        headers: vec![("content-type".into(), b"application/json".to_vec())],
        body: vec![b' '; large],
        ..Response::default()
    };
    idp.answer_path("/jwks", Answer::Respond(answer));
    let mut document = guarded();
    document["providers"]["other"] = json!({
        "issuer": "https://other.example.com/", "audiences": ["orders-api"],
        "jwks": { "remote": {
            "cluster": "idp", "uri": "http://id.example.com/jwks", "timeout": "5s", "cooldown": "1s",
        } },
    });
    document["routes"][0]["jwt"] =
        json!({ "any_of": [{ "provider": "corp" }, { "provider": "other" }] });
    let mut plain = document.clone();
    plain["providers"]["other"]["jwks"] =
        json!({ "inline": { "keys": guarded()["providers"]["corp"]["jwks"]["inline"]["keys"] } });
    let setting = Setting {
        clusters: vec![("idp", idp.addr())],
        ..Setting::new(1, Delivery::Lds)
    };
    let stage = Stage::start(setting, &plain);
    stage.await_good();
    let before = stage.resident_mebibytes();
    stage.update(&document);
    let mark = 0;
    let deadline = std::time::Instant::now() + TIMEOUT;
    while !stage.envoy.log_since(mark).contains("longer than") {
        assert!(
            std::time::Instant::now() < deadline,
            "{}",
            stage.envoy.log()
        );
        stage.ask_without_token();
    }
    let after = stage.resident_mebibytes();
    println!(
        "an answer of {} MiB: from {before} to {after} MiB resident",
        large >> 20
    );
    stage.assert_shut("an endless key set", Default::default());
    // Envoy's own buffers hold it for a moment; the VM does not.
    assert!(
        after < before + (large as u64 >> 20) + 24,
        "{before} to {after} MiB"
    );
}
