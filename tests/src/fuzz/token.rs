//! Tokens.

use std::collections::BTreeSet;
use std::rc::Rc;

use portcullis::engine::Engine;
use serde_json::{Value, json};

use super::{NOW, bearer, judge, ring_host};
use crate::still::still;
use crate::tokens::{self, SigningKey};

thread_local! {
    static WORLD: World = World::new();
}

/// Keys with their names, each with the algorithms it signs with.
const PUBLIC: [(&str, &[&str]); 6] = [
    (
        "rsa",
        &["RS256", "RS384", "RS512", "PS256", "PS384", "PS512"],
    ),
    ("p256", &["ES256"]),
    ("p384", &["ES384"]),
    ("p521", &["ES512"]),
    ("secp256k1", &["ES256K"]),
    ("ed25519", &["EdDSA", "Ed25519"]),
];

/// Three issuers behind one route, with caches and without.
struct World {
    without_cache: Rc<Engine>,
    with_cache: Rc<Engine>,
    /// What has really been signed.
    signed: BTreeSet<Vec<u8>>,
}

/// Whatever stands in `Authorization`, only a token that has been issued is accepted; and the
/// verdict, the log and what the service gets do not depend on whether the token is remembered,
/// nor on whose code checks its signature.
///
/// # Panics
/// When that does not hold.
pub fn token(authorization: &[u8]) -> bool {
    WORLD.with(|world| {
        let (still, ring) = (still(NOW), ring_host(NOW));
        let ask = |engine, host| judge(engine, bearer(b"/", authorization), host);
        let alone = ask(&world.without_cache, &still);
        assert_eq!(alone, ask(&world.with_cache, &still), "first sight");
        assert_eq!(alone, ask(&world.with_cache, &still), "second sight");
        assert_eq!(alone, ask(&world.without_cache, &ring), "another's code");
        if alone.passes() {
            let words = authorization.rsplit(u8::is_ascii_whitespace);
            let token = words
                .into_iter()
                .find(|word| !word.is_empty())
                .expect("a token");
            let end = token.iter().rposition(|b| *b == b'.').expect("a dot");
            assert!(
                world.signed.contains(&token[..end]),
                "a forged token is accepted"
            );
            assert!(alone.edits.contains("remove "), "the token goes on");
        }
        alone.passes()
    })
}

impl World {
    fn new() -> Self {
        let tokens = good_tokens();
        let signed = tokens.iter().map(|token| {
            let (signed, _) = token.rsplit_once('.').expect("a dot");
            signed.as_bytes().to_vec()
        });
        Self {
            without_cache: Rc::new(engine(&json!("off"))),
            with_cache: Rc::new(engine(&json!({ "max_entries": 4 }))),
            signed: signed.collect(),
        }
    }
}

fn engine(cache: &Value) -> Engine {
    let named = |name: &str| {
        let mut key = SigningKey::named(name).jwk();
        key["kid"] = name.into();
        key
    };
    let keys: Vec<Value> = PUBLIC.iter().map(|(name, _)| named(name)).collect();
    let provider = |issuer: &str, keys: Value| {
        json!({
            "issuer": issuer, "audiences": ["orders-api"], "jwt_cache": cache,
            "jwks": { "inline": { "keys": keys } },
            "claim_to_headers": [{ "header_name": "x-user", "claim_name": "sub" }],
        })
    };
    let mut narrow = provider("https://narrow.example.com/", json!([named("rsa-other")]));
    narrow["algorithms"] = json!(["PS256"]);
    narrow["typ"] = json!("at+jwt");
    narrow["max_lifetime"] = json!("1h");
    narrow["revoked"] = json!({ "jti": ["stolen"] });
    let document = json!({
        "version": 1,
        "access_log": {},
        "providers": {
            "public": provider("https://id.example.com/", json!(keys)),
            "secret": provider("https://hmac.example.com/", json!([named("hmac")])),
            "narrow": narrow,
        },
        "routes": [{ "name": "all", "match": {}, "jwt": { "any_of": [
            { "provider": "public" }, { "provider": "secret" }, { "provider": "narrow" },
        ] } }],
    });
    Engine::compile(document.to_string().as_bytes()).expect("the document is right")
}

/// A token of every algorithm; the same at every call, except for signatures that are random.
pub(super) fn good_tokens() -> Vec<String> {
    let mut all = Vec::new();
    let mut mint = |key: &str, alg: &str, issuer: &str, typ: &str| {
        let description = json!({
            "key": key, "alg": alg, "header": { "kid": key, "typ": typ },
            "claims": {
                "iss": issuer, "aud": "orders-api", "sub": "alice", "iat": NOW - 60,
                "exp": NOW + 60,
            },
        });
        all.push(tokens::mint(&description, NOW));
    };
    for (key, algorithms) in PUBLIC {
        for algorithm in algorithms {
            mint(key, algorithm, "https://id.example.com/", "JWT");
        }
    }
    for algorithm in ["HS256", "HS384", "HS512"] {
        mint("hmac", algorithm, "https://hmac.example.com/", "JWT");
    }
    mint(
        "rsa-other",
        "PS256",
        "https://narrow.example.com/",
        "at+jwt",
    );
    all
}
