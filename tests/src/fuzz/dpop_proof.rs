//! Proofs of possession, RFC 9449.

use std::collections::BTreeSet;
use std::rc::Rc;

use portcullis::engine::Engine;
use portcullis::host::Property;
use portcullis::memory_host::MemoryHost;
use serde_json::{Value, json};

use super::{NOW, bearer, judge, ring_host};
use crate::still::still;
use crate::tokens::{self, SigningKey, base64url, thumbprint};

thread_local! {
    static WORLD: World = World::new();
}

/// The keys that proofs are signed with, each with its algorithms.
const KEYS: [(&str, &[&str]); 3] = [
    ("p256", &["ES256"]),
    ("rsa", &["RS256", "PS256"]),
    ("ed25519", &["EdDSA", "Ed25519"]),
];

/// A route whose tokens have to be bound to a key, and a token for each.
struct World {
    engine: Rc<Engine>,
    tokens: Vec<String>,
    /// What has really been signed, but for the signature.
    signed: BTreeSet<Vec<u8>>,
}

/// Whatever stands in `DPoP`, a bound token passes only with a proof that has been made for it, and with that once;
/// the verdict does not depend on whose code checks the signature. Both are taken out.
///
/// # Panics
/// When that does not hold.
pub fn dpop_proof(proof: &[u8]) -> bool {
    WORLD.with(|world| {
        let mut accepted = 0;
        for token in &world.tokens {
            let mut headers = bearer(b"/orders?page=2", format!("DPoP {token}").as_bytes());
            headers.push(b"dpop", proof.trim_ascii());
            let ask = |host: &MemoryHost| judge(&world.engine, headers.clone(), host);
            let alone = ask(&still(NOW));
            assert_eq!(alone, ask(&ring_host(NOW)), "another's code");
            if !alone.passes() {
                let line = &alone.line;
                assert!(
                    !line.contains("eyJ"),
                    "the log shows a proof or a token: {line}"
                );
                continue;
            }
            accepted += 1;
            let proof = proof.trim_ascii();
            let end = proof.iter().rposition(|b| *b == b'.').expect("a dot");
            assert!(
                world.signed.contains(&proof[..end]),
                "a forged proof is accepted"
            );
            for name in ["authorization", "dpop"] {
                let gone = format!("remove {name}");
                assert!(alone.edits.contains(&gone), "{}", alone.edits);
            }
            let host = MemoryHost::new()
                .at_second(NOW)
                .with_property(Property::TlsVersion, "TLSv1.3");
            assert!(ask(&host).passes(), "the first time");
            assert!(!ask(&host).passes(), "the second time");
        }
        assert!(accepted <= 1, "one proof is for {accepted} tokens");
        accepted > 0
    })
}

impl World {
    fn new() -> Self {
        let key = |name: &str| {
            let mut jwk = SigningKey::named(name).jwk();
            jwk["kid"] = name.into();
            jwk
        };
        let document = json!({
            "version": 1,
            "access_log": {},
            "providers": { "corp": {
                "issuer": "https://id.example.com/",
                "audiences": ["orders-api"],
                "jwks": { "inline": { "keys": [key("p384")] } },
                "bound": { "dpop": { "mode": "required", "origins": "any" } },
            } },
            "routes": [{ "name": "all", "match": {}, "jwt": { "provider": "corp" } }],
        });
        let engine = Engine::compile(document.to_string().as_bytes());
        let signed = good_proofs().into_iter().chain(odd_proofs());
        let signed = signed.map(|proof| {
            let (signed, _) = proof.rsplit_once('.').expect("a dot");
            signed.as_bytes().to_vec()
        });
        Self {
            engine: Rc::new(engine.expect("the document is valid")),
            tokens: KEYS.iter().map(|(name, _)| token_of(name)).collect(),
            signed: signed.collect(),
        }
    }
}

/// A token that is bound to that key. ECDSA draws lots, and a proof has to be for the same token each time.
fn token_of(key: &str) -> String {
    thread_local! {
        static TOKENS: Vec<(&'static str, String)> = KEYS.iter().map(|(name, _)| (*name, minted(name))).collect();
    }
    TOKENS.with(|tokens| {
        let found = tokens.iter().find(|(name, _)| *name == key);
        found.expect("one for each key").1.clone()
    })
}

fn minted(key: &str) -> String {
    let description = json!({
        "key": "p384",
        "header": { "kid": "p384" },
        "claims": {
            "iss": "https://id.example.com/", "aud": "orders-api", "exp": NOW + 60,
            "cnf": { "jkt": thumbprint(&SigningKey::named(key).jwk()) },
        },
    });
    tokens::mint(&description, NOW)
}

/// Proofs of every key and algorithm, each for the token that is bound to its key.
pub(super) fn good_proofs() -> Vec<String> {
    let mut all = Vec::new();
    for (key, algorithms) in KEYS {
        for algorithm in algorithms {
            all.push(tokens::mint(
                &described(key, algorithm, &json!({}), &json!({})),
                NOW,
            ));
        }
    }
    all
}

/// Proofs in which something is wrong or odd, and is signed.
pub(super) fn odd_proofs() -> Vec<String> {
    let nothing = json!({});
    let claims = [
        json!({ "htm": "POST" }),
        json!({ "htu": "https://api.example.com/" }),
        json!({ "htu": "https://API.example.com:443/a/../%6frders?x#y" }),
        json!({ "htu": "https://api.example.com\\orders" }),
        json!({ "iat": NOW - 121 }),
        json!({ "iat": NOW + 60 }),
        json!({ "iat": 1e300 }),
        json!({ "jti": "" }),
        json!({ "jti": "x".repeat(257) }),
        json!({ "ath": "x" }),
        json!({ "nonce": "x", "exp": 0, "more": [[{}]] }),
    ];
    let headers = [
        json!({ "typ": "JWT" }),
        json!({ "typ": "application/DPOP+JWT" }),
        json!({ "alg": "none" }),
        json!({ "crit": ["exp"] }),
        json!({ "kid": "a", "x5c": ["AA"] }),
    ];
    let claims = claims
        .iter()
        .map(|more| described("ed25519", "EdDSA", &nothing, more));
    let headers = headers
        .iter()
        .map(|more| described("ed25519", "EdDSA", more, &nothing));
    claims
        .chain(headers)
        .map(|described| tokens::mint(&described, NOW))
        .collect()
}

fn described(key: &str, algorithm: &str, header: &Value, claims: &Value) -> Value {
    let ath = ring::digest::digest(&ring::digest::SHA256, token_of(key).as_bytes());
    let mut described = json!({
        "key": key,
        "alg": algorithm,
        "header": { "typ": "dpop+jwt", "jwk": SigningKey::named(key).jwk() },
        "claims": {
            "jti": format!("{key} {algorithm}"), "htm": "GET", "iat": NOW,
            "htu": "https://api.example.com/orders", "ath": base64url(ath.as_ref()),
        },
    });
    for (part, more) in [("header", header), ("claims", claims)] {
        for (name, value) in more.as_object().into_iter().flatten() {
            described[part][name] = value.clone();
        }
    }
    described
}
