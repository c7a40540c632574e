//! Sets of keys.

use std::rc::Rc;
use std::time::Duration;

use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Decoder};
use portcullis::engine::Engine;
use portcullis::policy::jwt::testing::{KeyFacts, KeySet};
use portcullis::policy::jwt::{FetchTarget, Next};
use serde_json::{Value, json};

use super::{NOW, bearer, judge};
use crate::still::still;
use crate::tokens::{self, SigningKey};

thread_local! {
    static WORLD: World = World::new();
}

struct World {
    document: Vec<u8>,
    good_set: Vec<u8>,
    authorization: String,
}

/// Whatever a provider publishes or an operator writes: no weak, private or secret key comes of
/// what is published; a set that may stand in a document means the same when it is published; and
/// a bad answer takes no good key away.
///
/// # Panics
/// When that does not hold.
pub fn jwks(body: &[u8]) -> bool {
    let (published, written) = (KeySet::published(body), KeySet::written(body));
    let plausible = plausible(body);
    if let Ok(set) = &published {
        let facts = set.facts();
        assert!((1..=64).contains(&facts.len()), "{facts:?}");
        assert!(facts.len() <= plausible.len(), "{facts:?}");
        for fact in &facts {
            check(fact);
            assert_ne!(fact.kind, "oct", "a published secret");
            let fits = |(kind, bits): &(String, usize)| *kind == fact.kind && *bits == fact.bits;
            assert!(plausible.iter().any(fits), "{fact:?} of {plausible:?}");
        }
    }
    match &written {
        Ok(set) => {
            let facts = set.facts();
            facts.iter().for_each(check);
            let is_public = facts.iter().all(|fact| fact.kind != "oct");
            if is_public && facts.len() <= 64 && body.len() <= FetchTarget::KeySet.longest() {
                let published = published.as_ref().map(KeySet::facts);
                assert_eq!(published.ok(), Some(facts));
            }
        }
        Err(error) => assert!(!error.problems.is_empty()),
    }
    WORLD.with(|world| world.answer(body, published.is_ok()));
    published.is_ok() || written.is_ok()
}

fn check(fact: &KeyFacts) {
    let KeyFacts {
        kind,
        bits,
        algorithms,
        ..
    } = fact;
    let (range, family) = match *kind {
        "RSA" => (2048..=4096, &["RS", "PS"][..]),
        "oct" => (256..=usize::MAX, &["HS"][..]),
        "P-256" => (256..=256, &["ES256"][..]),
        "P-384" => (384..=384, &["ES384"][..]),
        "P-521" => (521..=521, &["ES512"][..]),
        "secp256k1" => (256..=256, &["ES256K"][..]),
        "Ed25519" => (255..=255, &["EdDSA", "Ed25519"][..]),
        other => panic!("a key of kind {other}"),
    };
    assert!(range.contains(bits), "{fact:?}");
    assert!(!algorithms.is_empty(), "{fact:?}");
    let belongs = |name: &&'static str| family.iter().any(|prefix| name.starts_with(prefix));
    assert!(algorithms.iter().all(belongs), "{fact:?}");
}

/// The keys that a plain reader finds in a set and that could be used: kind and size.
fn plausible(body: &[u8]) -> Vec<(String, usize)> {
    let set: Value = serde_json::from_slice(body).unwrap_or_default();
    let keys = set["keys"].as_array().map_or(&[][..], Vec::as_slice);
    keys.iter().filter_map(plausible_key).collect()
}

fn plausible_key(key: &Value) -> Option<(String, usize)> {
    let for_signatures = key.get("use").is_none_or(|purpose| purpose == "sig");
    let operations = key.get("key_ops").map(|operations| operations.as_array());
    let verifies = operations.is_none_or(|list| {
        list.is_some_and(|list| list.iter().any(|operation| operation == "verify"))
    });
    if !for_signatures || !verifies || key.get("d").is_some() {
        return None;
    }
    let bytes = |name: &str| Base64UrlSafeNoPadding::decode_to_vec(key[name].as_str()?, None).ok();
    match key["kty"].as_str()? {
        "RSA" => {
            let bits: String = bytes("n")?.iter().map(|b| format!("{b:08b}")).collect();
            let exponent = bytes("e")?;
            let exponent: Vec<&u8> = exponent.iter().skip_while(|b| **b == 0).collect();
            let size = bits.trim_start_matches('0').len();
            (exponent == [&1, &0, &1]).then(|| ("RSA".to_owned(), size))
        }
        "EC" => {
            let curve = key["crv"].as_str()?;
            let size = curve.trim_start_matches(|c: char| !c.is_ascii_digit());
            Some((curve.to_owned(), size.get(..3)?.parse().ok()?))
        }
        "OKP" => (key["crv"] == "Ed25519").then(|| ("Ed25519".to_owned(), 255)),
        _ => None,
    }
}

impl World {
    fn new() -> Self {
        let key = SigningKey::named("ed25519");
        let document = json!({
            "version": 1,
            "providers": { "corp": {
                "issuer": "any", "audiences": "any",
                "jwks": { "remote": { "cluster": "idp", "uri": "https://id.example.com/jwks" } },
            } },
            "routes": [{ "name": "all", "match": {}, "jwt": { "provider": "corp" } }],
        });
        let token = json!({ "key": "ed25519", "claims": { "exp": NOW + 60 } });
        Self {
            document: document.to_string().into_bytes(),
            good_set: json!({ "keys": [key.jwk()] }).to_string().into_bytes(),
            authorization: format!("Bearer {}", tokens::mint(&token, NOW)),
        }
    }

    /// A good answer, then this one, then what the next worker makes of what the first one left.
    fn answer(&self, body: &[u8], good: bool) {
        let host = still(NOW);
        let now = Duration::from_secs(NOW);
        let engine = || Rc::new(Engine::compile(&self.document).expect("the document is right"));
        let passes = |engine: &Rc<Engine>| {
            let headers = bearer(b"/", self.authorization.as_bytes());
            judge(engine, headers, &host).passes()
        };
        let first = engine();
        let keys = &first.remote_keys()[0];
        let first_answer = keys.on_response(now, FetchTarget::KeySet, Ok((&self.good_set, None)));
        assert!(first_answer.outcome.is_ok());
        let later = now + Duration::from_secs(1);
        let arrived = keys.on_response(later, FetchTarget::KeySet, Ok((body, None)));
        assert_eq!(arrived.outcome.is_ok(), good);
        let second = engine();
        let others = &second.remote_keys()[0];
        match arrived.next {
            Next::Share(record) => {
                assert!(good, "a bad answer is shared");
                assert!(
                    others.adopt(&record, later),
                    "a record that is not taken up"
                );
                assert_eq!(passes(&first), passes(&second));
            }
            _ => assert!(!good && passes(&first), "a bad answer harms a good key"),
        }
        // As a record it is anybody's bytes.
        let _ = others.adopt(body, later);
    }
}
