//! The keys that a provider published. Those of one and the same answer are held once in a VM,
//! however many documents use them.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use hmac_sha256::Hash;

use super::response::{FetchError, MAX_BODY_BYTES, MAX_DEPTH};
use crate::authn::jwt::jwk::{Jwk, unusable};
use crate::authn::jwt::signature::KeyClass;
use crate::remote::NoAnswer;
use portcullis_document::{Node, Problems, Quoted};
use portcullis_wire::budget::{Share, reserve};
use portcullis_wire::json::compact::{Compact, FACTOR_WHILE_READ, Value};

/// Keys, and what tells the response that they come from from others.
pub(in crate::authn::jwt) struct Published {
    pub(in crate::authn::jwt) keys: Rc<[Jwk]>,
    pub(super) digest: [u8; 32],
}

/// The most keys of a response that are kept, and the most that are looked at.
const MAX_KEYS: usize = 64;
const MAX_LOOKED_AT: usize = 256;
/// So many keys that were passed over are named; the others are counted.
const MAX_NAMED: usize = 16;
/// A key of more values, or with a longer name, is left out.
const MAX_VALUES: usize = 256;
const MAX_ID_BYTES: usize = 1024;

/// The most memory that the keys of one provider take: the largest are RSA keys of 4096 bits, each
/// held as numbers and in the form that the proxy takes.
pub(super) const MOST_MEMORY: usize = MAX_KEYS * (MAX_ID_BYTES + 4096);

/// The keys of a response, while a document uses them.
struct Held {
    digest: [u8; 32],
    keys: Weak<[Jwk]>,
}

thread_local! {
    static HELD: RefCell<Vec<Held>> = const { RefCell::new(Vec::new()) };
}

/// Reads what a provider published. A key that cannot be used does not spoil the others; a secret
/// that is published is none. `notes` takes which were passed over, and why, unless that answer has
/// been read before and is still in use.
pub(in crate::authn::jwt) fn read_set(
    body: &[u8],
    notes: &mut Vec<String>,
) -> Result<Published, FetchError> {
    if body.len() > MAX_BODY_BYTES {
        return Err(FetchError::NoAnswer(NoAnswer::TooLong(MAX_BODY_BYTES)));
    }
    let digest = Hash::hash(body);
    let keys = match held(&digest) {
        Some(keys) => keys,
        None => {
            let keys = read_keys(body, notes)?;
            hold(digest, &keys);
            keys
        }
    };
    Ok(Published { keys, digest })
}

fn read_keys(body: &[u8], notes: &mut Vec<String>) -> Result<Rc<[Jwk]>, FetchError> {
    let memory = body.len().saturating_mul(FACTOR_WHILE_READ);
    let _memory = reserve(Share::Queues, memory).ok_or(FetchError::NoAnswer(NoAnswer::NoMemory))?;
    let set = Compact::parse(body, MAX_DEPTH).ok_or(FetchError::NoKeySet)?;
    let Some(Value::Array(items)) = set.member("keys") else {
        return Err(FetchError::NoKeySet);
    };
    let mut keys = Vec::new();
    let mut passed = PassedOver::default();
    let (mut looked_at, mut all) = (0_usize, 0_usize);
    for item in items.iter() {
        all = all.saturating_add(1);
        if keys.len() >= MAX_KEYS || looked_at >= MAX_LOOKED_AT {
            continue;
        }
        looked_at = looked_at.saturating_add(1);
        match read_key(item) {
            Ok(key) => keys.push(key),
            Err(reason) => passed.add(looked_at, item, &reason),
        }
    }
    notes.extend(passed.finish(all.saturating_sub(looked_at)));
    if keys.is_empty() {
        return Err(FetchError::Empty);
    }
    Ok(keys.into())
}

/// Key by key: a tree of the whole set would be many times as large.
fn read_key(item: Value<'_>) -> Result<Jwk, String> {
    let Some(tree) = item.to_tree(MAX_VALUES) else {
        return Err(format!("it has more than {MAX_VALUES} values"));
    };
    let mut problems = Problems::default();
    let read = Jwk::read(&Node::root(&tree), &mut problems);
    let key = problems.into_result(read).map_err(|error| {
        let first = || {
            let first = error.problems.first()?;
            Some(match &*first.pointer {
                "" => first.reason.clone(),
                _ => first.to_string(),
            })
        };
        let reason = unusable(&tree).or_else(first);
        reason.unwrap_or_else(|| "it cannot be used".to_owned())
    })?;
    if key.verifying.class() != KeyClass::Public {
        return Err("it is a secret, and whoever can read the set knows it".to_owned());
    }
    if key.id.as_ref().is_some_and(|id| id.len() > MAX_ID_BYTES) {
        return Err(format!("its `kid` is longer than {MAX_ID_BYTES} bytes"));
    }
    Ok(key)
}

/// Keys that were passed over.
#[derive(Default)]
struct PassedOver {
    lines: Vec<String>,
    more: usize,
}

impl PassedOver {
    fn add(&mut self, number: usize, item: Value<'_>, reason: &str) {
        if self.lines.len() >= MAX_NAMED {
            self.more = self.more.saturating_add(1);
            return;
        }
        let members = item.as_object();
        let id = members.and_then(|members| members.member("kid"));
        let id = id.and_then(Value::as_str);
        let named = id.map_or(String::new(), |id| format!(" (kid {})", Quoted(id)));
        self.lines.push(format!(
            "key {number} of the set{named} is passed over: {reason}"
        ));
    }

    /// All lines. So many keys have not been looked at.
    fn finish(mut self, rest: usize) -> Vec<String> {
        if self.more > 0 {
            self.lines.push(format!(
                "{} more keys of the set are passed over",
                self.more
            ));
        }
        if rest > 0 {
            self.lines.push(format!(
                "the set has more keys than are kept, {MAX_KEYS}, or looked at, {MAX_LOOKED_AT}: its last {rest} are passed over, and tokens that they signed are refused; ask the provider to take out what it no longer signs with"
            ));
        }
        self.lines
    }
}

fn held(digest: &[u8; 32]) -> Option<Rc<[Jwk]>> {
    HELD.with_borrow(|held| {
        let found = held.iter().find(|each| each.digest == *digest);
        found.and_then(|found| found.keys.upgrade())
    })
}

fn hold(digest: [u8; 32], keys: &Rc<[Jwk]>) {
    HELD.with_borrow_mut(|held| {
        held.retain(|each| each.keys.strong_count() > 0);
        let keys = Rc::downgrade(keys);
        held.push(Held { digest, keys });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::budget::used;

    fn read(body: &[u8]) -> Result<Published, FetchError> {
        read_set(body, &mut Vec::new())
    }

    const SET: &[u8] = br#"{"keys":[
        {"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
        {"kty":"XYZ"}, {"kty":"RSA","n":"AA","e":"AQAB"}, 7
    ]}"#;
    #[test]
    fn one_usable_key_is_a_set() {
        let keys = read(SET).unwrap().keys;
        assert_eq!(keys.len(), 1);
        assert_eq!(keys[0].id.as_deref(), Some("a"));
        for (body, error) in [
            (&b"<html>"[..], FetchError::NoKeySet),
            (b"{}", FetchError::NoKeySet),
            (b"{\"keys\":{}}", FetchError::NoKeySet),
            (b"{\"keys\":[]}", FetchError::Empty),
            (
                br#"{"keys":[{"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"}]}"#,
                FetchError::Empty,
            ),
        ] {
            assert_eq!(read(body).err(), Some(error));
        }
        assert_eq!(
            read(&vec![b' '; MAX_BODY_BYTES + 1]).err(),
            Some(FetchError::NoAnswer(NoAnswer::TooLong(MAX_BODY_BYTES)))
        );
    }

    #[test]
    fn what_is_passed_over_is_told_with_its_reason_and_in_few_lines() {
        let key = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":""#;
        let told = |keys: &str| {
            let mut notes = Vec::new();
            let set = format!(r#"{{"keys":[{keys}]}}"#);
            let kept = read_set(set.as_bytes(), &mut notes).map_or(0, |set| set.keys.len());
            (kept, notes)
        };
        assert_eq!(told(&format!("{key}a\"}}")), (1, Vec::new()));
        let (kept, notes) = told(&format!(
            r#"{key}a"}}, {key}\nb","use":"jwt-svid"}}, {{"kty":"oct","k":"{}"}}, 7"#,
            "A".repeat(43)
        ));
        assert_eq!(kept, 1);
        assert_eq!(
            notes,
            [
                "key 2 of the set (kid \"\u{fffd}b\") is passed over: its `use` is \"jwt-svid\", not \"sig\"",
                "key 3 of the set is passed over: it is a secret, and whoever can read the set knows it",
                "key 4 of the set is passed over: must be an object, not a number",
            ]
        );
        let (_, notes) = told(
            r#"{"kty":"AKP","kid":"a"},{"kty":"RSA","alg":"RSA-OAEP","n":"AA","e":"AQAB"},
            {"kty":"OKP","crv":"X448","x":"AA"},{"kty":"RSA","n":"AA","e":"AQAB"},{"kty":"EC","crv":"P-256","x":"!","y":"AA"},
            {"kty":"RSA","use":7,"n":"AA","e":"AQAB"}"#,
        );
        assert_eq!(
            notes,
            [
                "key 1 of the set (kid \"a\") is passed over: its `kty` is \"AKP\", which is not supported",
                "key 2 of the set is passed over: its `alg` is \"RSA-OAEP\", which is not supported",
                "key 3 of the set is passed over: its `crv` is \"X448\", which is not supported",
                "key 4 of the set is passed over: not an RSA key of 2048 to 4096 bits with the exponent 65537",
                "key 5 of the set is passed over: /x: is not base64url without padding",
                "key 6 of the set is passed over: /use: must be a string, not a number",
            ]
        );
        let many = vec![format!("{key}a\"}}"); 70].join(",");
        let (kept, notes) = told(&many);
        assert_eq!(kept, MAX_KEYS);
        assert_eq!(notes.len(), 1);
        assert!(notes[0].contains("its last 6 are passed over"), "{notes:?}");
        let odd = vec!["{}"; 300].join(",");
        let (kept, notes) = told(&odd);
        assert_eq!((kept, notes.len()), (0, MAX_NAMED + 2));
    }

    #[test]
    fn one_answer_is_held_once() {
        let (one, other) = (read(SET).unwrap(), read(SET).unwrap());
        assert!(Rc::ptr_eq(&one.keys, &other.keys));
        assert_eq!(one.digest, other.digest);
        let spaced = [SET, b" "].concat();
        let third = read(&spaced).unwrap();
        assert!(!Rc::ptr_eq(&one.keys, &third.keys));
        drop((one, other));
        let digest = Hash::hash(SET);
        assert!(held(&digest).is_none());
        hold([0; 32], &third.keys);
        HELD.with_borrow(|held| assert!(held.iter().all(|each| each.digest != digest)));
    }

    #[test]
    fn large_sets_take_memory_that_is_asked_for_and_give_it_back() {
        let key = r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","kid":""#;
        let many = vec![format!("{key}a\"}}"); 1000].join(",");
        let set = |keys: &str| format!(r#"{{"keys":[{keys}]}}"#);
        assert_eq!(read(set(&many).as_bytes()).unwrap().keys.len(), MAX_KEYS);
        assert_eq!(used(Share::Queues), 0);
        let odd = vec!["{}"; MAX_LOOKED_AT].join(",");
        let late = set(&format!("{odd},{key}a\"}}"));
        assert_eq!(read(late.as_bytes()).err(), Some(FetchError::Empty));
        let long = set(&format!("{key}{}\"}}", "a".repeat(MAX_ID_BYTES + 1)));
        assert_eq!(read(long.as_bytes()).err(), Some(FetchError::Empty));
        let wide = set(&format!(
            r#"{key}a","x5c":[{}]}}"#,
            vec!["0"; MAX_VALUES].join(",")
        ));
        assert_eq!(read(wide.as_bytes()).err(), Some(FetchError::Empty));
        let all = reserve(Share::Queues, Share::Queues.most()).unwrap();
        let other = set(&format!("{key}b\"}}"));
        assert_eq!(
            read(other.as_bytes()).err(),
            Some(FetchError::NoAnswer(NoAnswer::NoMemory))
        );
        drop(all);
        assert!(read(other.as_bytes()).is_ok());
    }
}
