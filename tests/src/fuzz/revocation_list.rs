//! Lists of what is revoked, as a service answers.

use std::rc::Rc;

use portcullis::call::CallError;
use portcullis::engine::Engine;
use portcullis::memory_host::{MemoryHost, MemoryResponse};
use portcullis::worker::Worker;
use ring::digest::{SHA256, digest};
use ring::hmac;
use serde_json::{Value, json};

use super::{NOW, bearer, judge};
use crate::still::still;
use crate::tokens::{SigningKey, base64url};

/// Of whom requests come: by which fields an entry may name each.
struct Caller {
    path: &'static [u8],
    header: (&'static [u8], String),
    names: Vec<(&'static str, &'static str)>,
    /// The second of issue, of a token.
    issued: Option<f64>,
}

const HASH: &str = "468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688";
const ISSUED: u64 = NOW - 1000;

thread_local! {
    static CALLERS: Vec<Caller> = callers();
}

fn callers() -> Vec<Caller> {
    let certificate = format!("Hash={HASH};DNS=a.example");
    vec![
        Caller {
            path: b"/keys",
            header: (b"x-api-key", "k-1".to_owned()),
            names: vec![("key_id", "k-1"), ("client", "acme"), ("sub", "acme")],
            issued: None,
        },
        Caller {
            path: b"/certificates",
            header: (b"x-forwarded-client-cert", certificate),
            names: vec![("certificate", HASH), ("client", "app"), ("sub", "app")],
            issued: None,
        },
        Caller {
            path: b"/tokens",
            header: (b"authorization", format!("Bearer {}", token())),
            names: vec![
                ("jti", "t-1"),
                ("sub", "alice"),
                ("client", "web"),
                ("kid", "k1"),
            ],
            issued: Some(ISSUED as f64),
        },
    ]
}

fn token() -> String {
    let header = base64url(
        json!({ "alg": "HS256", "kid": "k1" })
            .to_string()
            .as_bytes(),
    );
    let claims = json!({
        "iss": "https://id.example.com/", "aud": "orders-api", "exp": NOW + 1000, "iat": ISSUED,
        "jti": "t-1", "sub": "alice", "client_id": "web",
    });
    let signed = format!("{header}.{}", base64url(claims.to_string().as_bytes()));
    let SigningKey::Secret(secret) = SigningKey::named("hmac") else {
        panic!("a secret");
    };
    let mac = hmac::sign(
        &hmac::Key::new(hmac::HMAC_SHA256, &secret),
        signed.as_bytes(),
    );
    format!("{signed}.{}", base64url(mac.as_ref()))
}

fn document() -> String {
    let hash = digest(&SHA256, b"k-1");
    let hash: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
    let mut key = SigningKey::named("hmac").jwk();
    key["kid"] = json!("k1");
    let lists = json!(["l"]);
    let route = |name: &str, policy: &str, block: Value| json!({ "name": name, "match": { "path": { "exact": format!("/{name}") } }, policy: block });
    json!({
        "version": 1,
        "access_log": {},
        "revocation_lists": { "l": { "remote": {
            "cluster": "lists", "uri": "https://lists.example.com/revoked", "max_entries": 100,
        } } },
        "providers": { "corp": {
            "issuer": "https://id.example.com/", "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [key] } }, "revocation_lists": lists,
        } },
        "api_key_stores": { "s": {
            "keys": [{ "id": "k-1", "hash": hash, "client": "acme" }], "revocation_lists": lists,
        } },
        "certificates": { "c": {
            "source": { "x_forwarded_client_cert": {} },
            "clients": [{ "dns": "a.example", "client": "app" }], "revocation_lists": lists,
        } },
        "routes": [
            route("keys", "api_key", json!({ "store": "s" })),
            route("certificates", "certificate", json!({ "set": "c" })),
            route("tokens", "jwt", json!({ "provider": "corp" })),
        ],
    })
    .to_string()
}

/// The answer of a service that is asked for a list. It is taken whole or not at all: if it is not, nobody
/// passes. Whoever passes is named by no entry that a plain reader finds, and whoever is refused as revoked is
/// named by one; at the first request and at the second, by a plan and by asking.
///
/// # Panics
/// When that does not hold.
pub fn revocation_list(answer: &[u8]) -> bool {
    let answer = answer.to_vec();
    let read: Option<Value> = serde_json::from_slice(&answer).ok();
    let host = still(NOW).with_responding_cluster("lists", move |_| -> Result<_, CallError> {
        Ok(MemoryResponse::new(200, &answer))
    });
    let host = Rc::new(host);
    let engine = Rc::new(Engine::compile(document().as_bytes()).expect("the document is right"));
    fetch(&engine, &host);
    CALLERS.with(|callers| {
        let mut accepted = 0;
        for caller in callers.iter().chain(callers) {
            accepted += usize::from(judge_one(&engine, caller, read.as_ref(), &host));
        }
        assert!(accepted == 0 || accepted == callers.len() * 2);
        accepted > 0
    })
}

fn fetch(engine: &Rc<Engine>, host: &Rc<MemoryHost>) {
    let worker = Worker::new(Rc::clone(engine), Rc::<MemoryHost>::clone(host));
    worker.tick();
    for (token, end) in host.take_ended() {
        worker.received(token, &end);
    }
}

/// Whether the list has been taken, as far as this caller is told.
fn judge_one(
    engine: &Rc<Engine>,
    caller: &Caller,
    list: Option<&Value>,
    host: &MemoryHost,
) -> bool {
    let (name, value) = &caller.header;
    let authorization = if *name == b"authorization" {
        value
    } else {
        "Basic none"
    };
    let mut headers = bearer(caller.path, authorization.as_bytes());
    if *name != b"authorization" {
        headers.push(name, value.as_bytes());
    }
    let judged = judge(engine, headers, host);
    let refusal = judged.refusal.unwrap_or_default();
    if refusal.starts_with("503") {
        assert!(refusal.ends_with(".revocations"), "{refusal}");
        return false;
    }
    let list = list.expect("a list that is JSON");
    let entries = list["revoked"].as_array().expect("a list of entries");
    let named: Vec<Option<bool>> = entries.iter().map(|entry| names(entry, caller)).collect();
    match &*refusal {
        "" => assert!(!named.contains(&Some(true)), "{list}"),
        other => {
            assert!(other.ends_with(".revoked"), "{other}");
            let may_be = named.iter().any(|named| *named != Some(false));
            assert!(may_be, "{list}");
        }
    }
    true
}

/// Whether an entry names a caller; none where it does from a time that is written in words.
fn names(entry: &Value, caller: &Caller) -> Option<bool> {
    let before = match &entry["issued_before"] {
        Value::Null => None,
        Value::Number(second) => Some(second.as_f64()),
        Value::String(_) => Some(None),
        other => panic!("a time that is {other}"),
    };
    let mut names = caller.names.iter();
    let is_named = names.any(|(field, name)| {
        let written = entry[*field].as_str();
        match *field {
            "certificate" => {
                written.is_some_and(|text| text.replace(':', "").eq_ignore_ascii_case(name))
            }
            _ => written == Some(*name),
        }
    });
    let has_name = ["jti", "sub", "client", "kid", "key_id", "certificate"]
        .iter()
        .any(|field| entry.get(*field).is_some());
    match (before, caller.issued) {
        (None, _) => Some(is_named),
        (Some(_), Some(_)) if !is_named && has_name => Some(false),
        (Some(_), None) => Some(false),
        (Some(before), Some(issued)) => before.map(|before| issued < before),
    }
}
