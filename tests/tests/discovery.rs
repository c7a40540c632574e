//! Keys whose place a provider publishes, found and fetched by a real Envoy from servers that
//! misbehave.

use std::time::Duration;

use portcullis_tests::client;
use portcullis_tests::mesh::{ISSUER, Mesh, TIMEOUT, answer, key_set, late, request};
use portcullis_tests::patience::wait_until;
use portcullis_tests::upstream::{Answer, Upstream};
use portcullis_tests::wire::Request;
use serde_json::{Map, Value, json};

/// Where the document of [`ISSUER`] is.
const WELL_KNOWN: &str = "/.well-known/openid-configuration";

fn document(settings: &Value) -> Value {
    let mut discovery = json!({ "cluster": "idp", "timeout": "1s", "cooldown": "1s" });
    for (name, value) in settings.as_object().unwrap() {
        discovery[name] = value.clone();
    }
    json!({
        "version": 1,
        "providers": { "corp": {
            "issuer": ISSUER,
            "audiences": ["orders-api"],
            "jwks": { "discovery": discovery },
        } },
        "routes": [{ "name": "all", "match": {}, "jwt": { "provider": "corp" } }],
    })
}

/// A discovery document of [`ISSUER`].
fn says(keys: &str) -> Answer {
    let document = json!({
        "issuer": ISSUER, "jwks_uri": keys,
        "authorization_endpoint": "https://id.example.com/authorize",
        "id_token_signing_alg_values_supported": ["ES256", "RS256"],
    });
    answer(200, &document.to_string())
}

fn asked(upstream: &Upstream, path: &str) -> usize {
    upstream.take_path(path).len()
}

#[test]
fn keys_are_found_and_followed_when_they_move() {
    let idp = Upstream::start().unwrap();
    idp.answer_path(WELL_KNOWN, says("https://id.example.com/keys/1?v=2"));
    idp.answer_path("/keys/1", key_set(&[("p256", "a")]));
    idp.answer_path("/keys/2", key_set(&[("rsa", "b")]));
    let settings = json!({ "cache_duration": "2s" });
    let mesh = Mesh::start_reused(&document(&settings), 4, &[("idp", &idp)]);
    mesh.wait_for("p256", "a", 200);
    let question = idp.take_path(WELL_KNOWN).remove(0);
    assert_eq!(question.values("host").next(), Some(&b"id.example.com"[..]));
    assert_eq!(
        question.values("accept").next(),
        Some(&b"application/json"[..])
    );
    let log = mesh.envoy.log();
    assert!(log.contains("provider corp: its keys are at https://id.example.com/keys/1?v=2"));
    let mark = mesh.envoy.log_mark();
    idp.answer_path(WELL_KNOWN, says("https://id.example.com/keys/2"));
    mesh.wait_for("rsa", "b", 200);
    assert_eq!(
        mesh.status("p256", "a"),
        401,
        "the old place counts no more"
    );
    let log = mesh.envoy.log_since(mark);
    assert!(log.contains("provider corp: its keys are at https://id.example.com/keys/2"));
    // Five threads tick and one of them asks. Its answers are good for two seconds.
    let before = mesh.metric("jwks_fetch_success");
    asked(&idp, WELL_KNOWN);
    mesh.wait_for_metric("jwks_fetch_success", |fetches| fetches >= before + 4);
    let documents = asked(&idp, WELL_KNOWN);
    assert!(
        (1..=5).contains(&documents),
        "{documents} documents for four fetches of keys"
    );
}

/// Each answer has a provider of its own, so that all of them are tried at once.
#[test]
fn bad_documents_never_harm_good_keys() {
    let idp = Upstream::start().unwrap();
    let bad_documents = bad_documents();
    let all = 0..bad_documents.len();
    let document_path = |number: usize| format!("/{number}/document");
    let good = |number: usize| says(&format!("https://id.example.com/{number}/keys"));
    for number in all.clone() {
        idp.answer_path(&document_path(number), good(number));
        idp.answer_path(&format!("/{number}/keys"), key_set(&[("p256", "a")]));
    }
    idp.answer_path("/evil", key_set(&[("rsa", "a"), ("p256-other", "a")]));
    let mesh = Mesh::start_reused(&many(all.len(), document_path), 2, &[("idp", &idp)]);
    let status = |number: usize, key: &str| {
        let request = Request {
            path: format!("/{number}/").into_bytes(),
            ..request(key, "a")
        };
        client::send(mesh.addr(), &request, TIMEOUT).unwrap().status
    };
    for number in all.clone() {
        let mut in_a_row = 0;
        wait_until(&format!("provider {number} has keys everywhere"), || {
            in_a_row = if status(number, "p256") == 200 {
                in_a_row + 1
            } else {
                0
            };
            in_a_row >= 24
        });
    }
    let mark = mesh.envoy.log_mark();
    for (number, (bad, _)) in bad_documents.iter().enumerate() {
        idp.answer_path(&document_path(number), bad.clone());
    }
    for (number, (_, reason)) in bad_documents.iter().enumerate() {
        let line =
            format!("provider c{number}: the discovery document cannot be fetched: {reason}");
        mesh.wait_for_log(mark, &line, || {
            assert_eq!(status(number, "p256"), 200, "{reason}");
        });
        // Keys are fetched from where they were, so a bad document ages nothing.
        let keys = format!("/{number}/keys");
        asked(&idp, &keys);
        wait_until("keys are fetched again", || asked(&idp, &keys) > 0);
        assert_eq!(status(number, "p256"), 200, "{reason}");
        assert_eq!(status(number, "rsa"), 401, "{reason}");
    }
    assert!(mesh.metric("discovery_fetch_failed") >= bad_documents.len() as u64);
    for number in all.clone() {
        idp.answer_path(&document_path(number), good(number));
    }
    let found = mesh.metric("discovery_fetch_success") + bad_documents.len() as u64;
    mesh.wait_for_metric("discovery_fetch_success", |documents| documents >= found);
    assert_eq!(asked(&idp, "/evil"), 0);
    assert_eq!(mesh.metric("jwks_fetch_failed"), 0);
    assert!(!mesh.envoy.log().contains("panicked"));
}

/// So many providers, and a route for each.
fn many(count: usize, document_path: impl Fn(usize) -> String) -> Value {
    let provider = |number: usize| {
        let settings = json!({
            "uri": format!("https://id.example.com{}", document_path(number)),
            "cache_duration": "1s",
        });
        let provider = document(&settings)["providers"]["corp"].clone();
        (format!("c{number}"), provider)
    };
    let route = |number: usize| {
        json!({
            "name": format!("r{number}"),
            "match": { "path": { "prefix": format!("/{number}/") } },
            "jwt": { "provider": format!("c{number}") },
        })
    };
    let providers: Map<String, Value> = (0..count).map(provider).collect();
    let routes: Vec<Value> = (0..count).map(route).collect();
    json!({ "version": 1, "providers": providers, "routes": routes })
}

/// Answers that are of no use, each with the reason in the log.
fn bad_documents() -> Vec<(Answer, &'static str)> {
    const NO_DOCUMENT: &str = "an answer that is not a discovery document";
    const NO_URI: &str = "a jwks_uri that is not an absolute http or https URI";
    const OTHER_HOST: &str = "a jwks_uri on another host";
    let with = |members: &str| answer(200, &format!("{{\"issuer\":\"{ISSUER}\"{members}}}"));
    let evil = "https://id.example.com/evil";
    let other = json!({ "issuer": "https://id.example.com", "jwks_uri": evil });
    let twice = format!(r#","jwks_uri":"{evil}","jwks_uri":"{evil}""#);
    let two_issuers = format!(r#","issuer":"{ISSUER}","jwks_uri":"{evil}""#);
    let endless = format!(r#","x":"{}","jwks_uri":"{evil}""#, "x".repeat(70 << 10));
    vec![
        (answer(500, "no"), "status 500"),
        (answer(302, ""), "status 302"),
        (answer(200, "<html>"), NO_DOCUMENT),
        (answer(200, "[]"), NO_DOCUMENT),
        (with(&twice), NO_DOCUMENT),
        (with(&two_issuers), NO_DOCUMENT),
        (with(&endless), "an answer longer than 65536 bytes"),
        (
            answer(200, &other.to_string()),
            "a discovery document of another issuer",
        ),
        (with(""), "a discovery document without jwks_uri"),
        (with(r#","jwks_uri":"/evil""#), NO_URI),
        (says("https://u@id.example.com/evil"), NO_URI),
        (says("https://id.example.com/evil#x"), NO_URI),
        (says("https://id.example.com/evil\r\nx: y"), NO_URI),
        (says("https://id.example.com\\evil"), NO_URI),
        (says("http://id.example.com/evil"), "a jwks_uri without TLS"),
        (says("https://evil.example/evil"), OTHER_HOST),
        (says("https://id.example.com:8443/evil"), OTHER_HOST),
        (
            Answer::HangUp,
            "status 503, the server's or, if nobody answered",
        ),
        (late(Duration::from_secs(3), says(evil)), "status 504"),
    ]
}

#[test]
fn without_a_good_document_tokens_are_503() {
    let idp = Upstream::start().unwrap();
    idp.answer_path(WELL_KNOWN, says("https://keys.example.net/keys"));
    idp.answer_path("/keys", key_set(&[("p256", "a")]));
    let mesh = Mesh::start_reused(&document(&json!({})), 2, &[("idp", &idp)]);
    let line = "a jwks_uri on another host, and jwks_cluster is not written; next try in";
    mesh.wait_for_log(0, line, || assert_eq!(mesh.status("p256", "a"), 503));
    assert_eq!(asked(&idp, "/keys"), 0);
    assert_eq!(mesh.metric("jwks_fetch_failed"), 0);
    idp.answer_path(WELL_KNOWN, says("https://ID.example.com:443/keys"));
    mesh.wait_for("p256", "a", 200);
}

#[test]
fn keys_on_another_host_have_a_cluster_of_their_own() {
    let (idp, cdn) = (Upstream::start().unwrap(), Upstream::start().unwrap());
    // RFC 8414 puts the well-known part in front of the issuer's path.
    let place = "/.well-known/oauth-authorization-server/tenant";
    idp.answer_path(place, says("https://keys.example.net/tenant/keys"));
    cdn.answer_path("/tenant/keys", key_set(&[("p256", "a")]));
    let settings = json!({
        "uri": format!("https://id.example.com{place}"), "jwks_cluster": "cdn",
    });
    let clusters = [("idp", &idp), ("cdn", &cdn)];
    let mesh = Mesh::start_reused(&document(&settings), 2, &clusters);
    mesh.wait_for("p256", "a", 200);
    let question = cdn.take_path("/tenant/keys").remove(0);
    assert_eq!(
        question.values("host").next(),
        Some(&b"keys.example.net"[..])
    );
    assert_eq!(asked(&idp, "/tenant/keys"), 0);
}

#[test]
fn keys_that_are_gone_are_looked_for_before_the_document_has_aged() {
    let idp = Upstream::start().unwrap();
    idp.answer_path(WELL_KNOWN, says("https://id.example.com/keys/1"));
    let Answer::Respond(mut soon) = key_set(&[("p256", "a")]) else {
        unreachable!("a key set is a plain answer");
    };
    soon.headers = vec![("cache-control".into(), b"max-age=1".to_vec())];
    idp.answer_path("/keys/1", Answer::Respond(soon));
    idp.answer_path("/keys/2", key_set(&[("rsa", "b")]));
    let settings = json!({ "cache_duration": "1h" });
    let mesh = Mesh::start_reused(&document(&settings), 2, &[("idp", &idp)]);
    mesh.wait_for("p256", "a", 200);
    idp.answer_path(WELL_KNOWN, says("https://id.example.com/keys/2"));
    idp.answer_path("/keys/1", answer(404, ""));
    mesh.wait_for("rsa", "b", 200);
}
