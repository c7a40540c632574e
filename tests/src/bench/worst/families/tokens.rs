//! Tokens: of bad signature, of good signature that are refused, and good ones that are new.

use std::time::{SystemTime, UNIX_EPOCH};

use portcullis_tests::random::Random;
use portcullis_tests::tokens::{self, SigningKey, base64url};
use portcullis_tests::wire::Request;
use serde_json::{Map, Value, json};

use super::super::search::Parameter;
use super::super::{Family, Shape};
use super::{document, field, get, letters, text};

const ISSUER: &str = "https://id.bench.test/";
const AUDIENCE: &str = "orders-api";

/// Algorithm, key, and the bytes of a signature.
const ALGORITHMS: [(&str, &str, usize); 9] = [
    ("RS256", "", 512),
    ("RS512", "", 512),
    ("PS256", "", 512),
    ("PS512", "", 512),
    ("ES256", "p256", 64),
    ("ES384", "p384", 96),
    ("ES512", "p521", 132),
    ("ES256K", "secp256k1", 64),
    ("EdDSA", "ed25519", 64),
];
const NAMES: &[&str] = &[
    "RS256, 4096 bits",
    "RS512, 4096 bits",
    "PS256, 4096 bits",
    "PS512, 4096 bits",
    "ES256",
    "ES384",
    "ES512",
    "ES256K",
    "EdDSA",
];
const KEYS: &[&str] = &[
    "two keys, no `kid`",
    "the `kid` of one key",
    "eight providers",
];

pub(super) fn all() -> Vec<Family> {
    let bad = |policy: &str, signatures: &'static str| Family {
        policy: policy.to_owned(),
        document: bad_document(signatures),
        parameters: vec![
            Parameter::kind("algorithm", NAMES),
            Parameter::kind("keys", KEYS),
            Parameter::size("claims of bytes", 10, 11_000),
        ],
        request: Box::new(bad_token),
        answer: None,
    };
    vec![
        bad(
            "`jwt`, bad signatures, checked by the proxy where it can",
            "auto",
        ),
        bad("`jwt`, bad signatures, all checked by the filter", "filter"),
        Family {
            policy: "`jwt`, good signatures, refused for their claims or new".to_owned(),
            document: good_document(),
            parameters: vec![
                Parameter::kind("algorithm", SIGNED_NAMES),
                Parameter::kind("claims", CLAIMS),
                Parameter::kind("times", &["expired", "good"]),
                Parameter::size("claims of bytes", 10, 11_000),
            ],
            request: Box::new(good_token),
            answer: None,
        },
        Family {
            policy: "`jwt`, nothing that is a token".to_owned(),
            document: good_document(),
            parameters: vec![
                Parameter::kind(
                    "text",
                    &["dots", "letters", "header of one object", "many `Bearer`"],
                ),
                Parameter::size("bytes", 10, super::LONGEST_FIELD),
            ],
            request: Box::new(no_token),
            answer: None,
        },
    ]
}

fn bad_document(signatures: &str) -> Value {
    let random = &mut Random(7);
    let mut providers = Map::new();
    let mut routes = Vec::new();
    for (algorithm, key, _) in ALGORITHMS {
        let mut one = |kid: Option<String>| {
            let mut key = match key {
                "" => large_rsa(random),
                name => SigningKey::named(name).jwk(),
            };
            key["alg"] = algorithm.into();
            if let Some(kid) = kid {
                key["kid"] = kid.into();
            }
            key
        };
        let two = [one(None), one(None)];
        let named: Vec<Value> = (0..8).map(|n| one(Some(format!("k{n}")))).collect();
        let names = ["two", "named"].map(|kind| format!("{kind}-{algorithm}"));
        providers.insert(names[0].clone(), provider(&two, signatures));
        providers.insert(names[1].clone(), provider(&named, signatures));
        let several: Vec<Value> = (0..8)
            .map(|n| {
                let name = format!("several-{algorithm}-{n}");
                providers.insert(name.clone(), provider(&[one(None), one(None)], signatures));
                json!({ "provider": name })
            })
            .collect();
        routes.push(json!({ "jwt": { "provider": names[0] } }));
        routes.push(json!({ "jwt": { "provider": names[1] } }));
        routes.push(json!({ "jwt": { "any_of": several } }));
    }
    let mut document = document(routes);
    document["providers"] = providers.into();
    document
}

pub(super) fn provider(keys: &[Value], signatures: &str) -> Value {
    json!({
        "issuer": ISSUER, "audiences": [AUDIENCE],
        "jwks": { "inline": { "keys": keys } }, "signatures": signatures,
    })
}

/// A key of the largest size, of which nobody has the private part.
fn large_rsa(random: &mut Random) -> Value {
    let mut modulus: Vec<u8> = (0..512).map(|_| random.byte()).collect();
    modulus[0] |= 0x80;
    modulus[511] |= 1;
    json!({ "kty": "RSA", "e": "AQAB", "n": base64url(&modulus) })
}

fn bad_token(shape: &Shape<'_>) -> Request {
    let random = &mut Random(shape.seed.wrapping_mul(977).wrapping_add(1));
    let (algorithm, keys) = (shape.get(0), shape.get(1));
    let (name, _, length) = ALGORITHMS[algorithm];
    let mut header = json!({ "alg": name });
    if keys == 1 {
        header["kid"] = "k7".into();
    }
    let claims = json!({
        "iss": ISSUER, "aud": AUDIENCE, "exp": 4_102_444_800_u64, "x": letters(shape.get(2), random),
    });
    let mut signature: Vec<u8> = (0..length).map(|_| random.byte()).collect();
    // In range for every key.
    signature[0] = 0;
    signature[length / 2] = 0;
    let part = |json: &Value| base64url(json.to_string().as_bytes());
    let token = format!(
        "{}.{}.{}",
        part(&header),
        part(&claims),
        base64url(&signature)
    );
    bearer(&format!("/{}", algorithm * KEYS.len() + keys), &token)
}

/// Keys that tests sign with.
const SIGNED: [(&str, &str); 5] = [
    ("ES256", "p256"),
    ("RS256", "rsa"),
    ("PS512", "rsa"),
    ("ES384", "p384"),
    ("ES512", "p521"),
];
const SIGNED_NAMES: &[&str] = &[
    "ES256",
    "RS256, 2048 bits",
    "PS512, 2048 bits",
    "ES384",
    "ES512",
];
const CLAIMS: &[&str] = &[
    "one long text",
    "a list of empty objects",
    "members of no value",
    "escaped texts",
    "many audiences",
    "many scopes",
    "nested lists",
];

fn good_document() -> Value {
    let mut providers = Map::new();
    let mut routes = Vec::new();
    for (algorithm, key) in SIGNED {
        let mut jwk = SigningKey::named(key).jwk();
        jwk["alg"] = algorithm.into();
        providers.insert(algorithm.to_owned(), provider(&[jwk], "auto"));
        routes.push(json!({ "jwt": {
            "provider": algorithm, "require": { "scopes": ["orders.read", "orders.write"] },
        } }));
    }
    let mut document = document(routes);
    document["providers"] = providers.into();
    document
}

fn good_token(shape: &Shape<'_>) -> Request {
    let (algorithm, kind, good, bytes) = (shape.get(0), shape.get(1), shape.get(2), shape.get(3));
    let (name, key) = SIGNED[algorithm];
    let mut count = 0;
    let mut list = |item: &dyn Fn(usize) -> String| {
        let items = text(bytes, || {
            count += 1;
            item(count) + ","
        });
        let whole = items.rsplit_once(',').map_or("", |(items, _)| items);
        whole.to_owned()
    };
    let more = match kind {
        0 => format!(r#""x":"{}""#, "x".repeat(bytes)),
        1 => format!(r#""x":[{}]"#, list(&|_| r#"{"":0}"#.to_owned())),
        2 => format!(r#""x":{{{}}}"#, list(&|n| format!(r#""{n}":0"#))),
        3 => format!(r#""x":"{}""#, "\\u00e9".repeat(bytes / 6)),
        4 => format!(r#""x":0,"aud":[{}]"#, list(&|n| format!(r#""{n}""#))),
        5 => format!(
            r#""x":0,"scope":"{}""#,
            list(&|_| "a b".to_owned()).replace(',', " ")
        ),
        _ => format!(r#""x":[{}]"#, list(&|_| "[[[[[[[[[]]]]]]]]]".to_owned())),
    };
    let aud = match kind {
        4 => String::new(),
        _ => format!(r#","aud":"{AUDIENCE}""#),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    let now = now.map_or(0, |since| since.as_secs());
    let exp = now + 86_400 * good as u64 * 2 - 86_400;
    let payload = format!(
        r#"{{"iss":"{ISSUER}"{aud},"exp":{exp},"jti":"{}",{more}}}"#,
        shape.seed
    );
    let description = json!({ "alg": name, "payload": payload });
    let token = tokens::mint_with(&SigningKey::named(key), &description, now);
    bearer(&format!("/{algorithm}"), &token)
}

fn no_token(shape: &Shape<'_>) -> Request {
    let bytes = shape.get(1);
    let text = match shape.get(0) {
        0 => ".".repeat(bytes),
        1 => letters(bytes, &mut Random(shape.seed)),
        2 => {
            base64url(
                format!(r#"{{"alg":"ES256","x":"{}"}}"#, "x".repeat(bytes * 3 / 4)).as_bytes(),
            ) + ".e30.AA"
        }
        _ => "Bearer ".repeat(bytes / 7),
    };
    bearer("/0", text.trim_end())
}

fn bearer(path: &str, token: &str) -> Request {
    Request {
        headers: vec![field("authorization", &format!("Bearer {token}"))],
        ..get(path)
    }
}
