//! Proofs of possession (RFC 9449) with several workers, and nonces over time. What is asked of one proof is in
//! `tests/cases/bound_tokens`.

use std::rc::Rc;
use std::thread;
use std::time::Duration;

use portcullis::engine::Engine;
use portcullis::exchange::BodyState;
use portcullis::headers::Headers;
use portcullis::memory_host::MemoryHost;
use portcullis::stream::{Action, Stream};
use portcullis_tests::both;
use portcullis_tests::client;
use portcullis_tests::mesh::{Mesh, TIMEOUT, now};
use portcullis_tests::tokens::{self, SigningKey, base64url, thumbprint};
use portcullis_tests::wire::{Request, Response};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

const ISSUER: &str = "https://id.example.com/";

fn document() -> Value {
    let provider = |dpop: Value| {
        json!({
            "issuer": ISSUER,
            "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [SigningKey::named("p256").jwk()] } },
            "bound": { "dpop": dpop },
        })
    };
    json!({
        "version": 1,
        "access_log": {},
        "providers": {
            "corp": provider(json!({ "mode": "required", "origins": "any" })),
            "nonce": provider(json!({ "mode": "required", "origins": "any", "nonce": "required" })),
        },
        "routes": [
            { "name": "nonce", "match": { "path": { "prefix": "/nonce" } }, "jwt": { "provider": "nonce" } },
            { "name": "rest", "match": {}, "jwt": { "provider": "corp" } },
        ],
    })
}

/// A token that is bound to a key, and the key.
struct Bound {
    token: String,
    key: &'static str,
}

impl Bound {
    fn to(key: &'static str, now: u64) -> Self {
        let description = json!({
            "key": "p256",
            "claims": {
                "iss": ISSUER, "aud": "orders-api", "exp": now + 3600,
                "cnf": { "jkt": thumbprint(&SigningKey::named(key).jwk()) },
            },
        });
        Self {
            token: tokens::mint(&description, now),
            key,
        }
    }

    /// A proof for a request.
    fn proof(&self, id: &str, path: &str, nonce: Option<&str>, now: u64) -> String {
        let mut description = json!({
            "key": self.key,
            "header": { "typ": "dpop+jwt", "jwk": SigningKey::named(self.key).jwk() },
            "claims": {
                "jti": id, "htm": "GET", "htu": format!("http://api.example.com{path}"), "iat": now,
                "ath": base64url(digest(&SHA256, self.token.as_bytes()).as_ref()),
            },
        });
        if let Some(nonce) = nonce {
            description["claims"]["nonce"] = nonce.into();
        }
        tokens::mint(&description, now)
    }

    fn request(&self, path: &str, proof: &str) -> Request {
        let authorization = format!("DPoP {}", self.token);
        Request {
            method: b"GET".to_vec(),
            path: path.into(),
            authority: b"api.example.com".to_vec(),
            headers: vec![
                (b"authorization".to_vec(), authorization.into_bytes()),
                (b"dpop".to_vec(), proof.into()),
            ],
            ..Request::default()
        }
    }
}

fn seconds() -> u64 {
    #[allow(
        clippy::disallowed_methods,
        reason = "proofs are made for the clock of a real proxy"
    )]
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

fn code(response: &Response) -> String {
    let body: Value = serde_json::from_slice(&response.body).unwrap_or_default();
    body["code"].as_str().unwrap_or_default().to_owned()
}

fn field<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    let mut fields = response.headers.iter();
    let (_, value) = fields.find(|(each, _)| each == name)?;
    std::str::from_utf8(value).ok()
}

#[test]
fn no_proof_is_accepted_twice_whichever_worker_gets_it() {
    const WORKERS: u32 = 4;
    const PROOFS: usize = 20;
    const TIMES: usize = 8;
    let mesh = Mesh::start_reused(&document(), WORKERS, &[]);
    let bound = Bound::to("ed25519", seconds());
    let began = now();
    for number in 0..PROOFS {
        let proof = bound.proof(&format!("proof {number}"), "/orders", None, seconds());
        let request = bound.request("/orders", &proof);
        let senders: Vec<_> = (0..TIMES)
            .map(|_| {
                let (request, addr) = (request.clone(), mesh.addr());
                thread::spawn(move || client::send(addr, &request, TIMEOUT).unwrap())
            })
            .collect();
        let responses: Vec<Response> = senders
            .into_iter()
            .map(|sender| sender.join().unwrap())
            .collect();
        let accepted = responses.iter().filter(|each| each.status == 200).count();
        assert_eq!(accepted, 1, "proof {number}");
        for refused in responses.iter().filter(|each| each.status != 200) {
            assert_eq!((refused.status, &*code(refused)), (401, "dpop_replayed"));
        }
    }
    println!("{:?} for {} requests", now() - began, PROOFS * TIMES);
    let stats = mesh.envoy.stats().unwrap();
    let workers = stats
        .iter()
        .filter(|(name, count)| {
            name.contains(".worker_") && name.ends_with("downstream_cx_total") && **count > 0
        })
        .count();
    assert!(workers >= 2, "one worker got all requests: {stats:?}");

    // RFC 9449 §9: whichever worker gives a nonce out, the others take it.
    let without = bound.proof("first", "/nonce", None, seconds());
    let response = client::send(mesh.addr(), &bound.request("/nonce", &without), TIMEOUT).unwrap();
    assert_eq!((response.status, &*code(&response)), (401, "dpop_nonce"));
    let challenge = field(&response, "www-authenticate").unwrap();
    assert!(challenge.starts_with("DPoP ") && challenge.contains("error=\"use_dpop_nonce\""));
    let nonce = field(&response, "dpop-nonce").unwrap().to_owned();
    for number in 0..16 {
        let id = format!("nonce {number}");
        let proof = bound.proof(&id, "/nonce", Some(&nonce), seconds());
        let request = bound.request("/nonce", &proof);
        let response = client::send(mesh.addr(), &request, TIMEOUT).unwrap();
        assert_eq!(response.status, 200, "{}", code(&response));
    }
}

/// RFC 9449 §8.2: a response brings the next nonce, and is not kept.
#[test]
fn a_response_brings_the_next_nonce() {
    const NOW: u64 = 1_800_000_000;
    let engine = Rc::new(Engine::compile(document().to_string().as_bytes()).unwrap());
    let host = MemoryHost::new();
    let bound = Bound::to("p256-other", NOW);
    // What the client is told in the end: the status, and the fields that count here.
    let ask = |id: &str, nonce: Option<&str>, at: u64| -> (u16, Option<String>, bool) {
        host.set_now(Duration::from_secs(at));
        let proof = bound.proof(id, "/nonce", nonce, at);
        let mut headers = Headers::default();
        headers.push(b":method", b"GET");
        headers.push(b":scheme", b"http");
        headers.push(b":authority", b"api.example.com");
        headers.push(b":path", b"/nonce");
        for (name, value) in bound.request("/nonce", &proof).headers {
            headers.push(&name, &value);
        }
        let mut stream = Stream::new(Some(Rc::clone(&engine)));
        match stream.on_request_headers(headers, BodyState::Complete, &host) {
            Action::Reply(reply) => {
                let mut fields = reply.headers.iter();
                let nonce = fields.find(|(name, _)| name.as_str() == "dpop-nonce");
                let is_only = fields.all(|(name, _)| name.as_str() != "dpop-nonce");
                assert!(is_only, "RFC 9449 §8: there is one");
                let nonce = nonce.map(|(_, value)| value.as_bytes().to_vec());
                let nonce = nonce.map(|nonce| String::from_utf8(nonce).unwrap());
                (reply.status, nonce, false)
            }
            _ => {
                let head = stream.on_response_headers(None, BodyState::Complete, &host);
                let edits = both::flat(&head.edits);
                let mut nonces = edits
                    .iter()
                    .filter_map(|edit| edit.strip_prefix("set dpop-nonce: "));
                let nonce = nonces.next().map(str::to_owned);
                assert_eq!(nonces.next(), None, "RFC 9449 §8: there is one");
                (
                    200,
                    nonce,
                    edits
                        .iter()
                        .any(|edit| edit == "set cache-control: no-store"),
                )
            }
        }
    };
    let (status, first, _) = ask("1", None, NOW);
    assert_eq!(status, 401);
    let first = first.unwrap();
    assert_eq!(ask("2", Some(&first), NOW), (200, None, false));
    let (status, second, is_kept_by_nobody) = ask("3", Some(&first), NOW + 200);
    assert_eq!((status, is_kept_by_nobody), (200, true));
    let second = second.unwrap();
    assert_ne!(first, second);
    assert_eq!(ask("4", Some(&second), NOW + 200), (200, None, false));
    let (status, third, _) = ask("5", Some(&first), NOW + 400);
    assert_eq!(status, 401);
    assert_ne!(third.unwrap(), second);
}
