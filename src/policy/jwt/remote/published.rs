//! The keys that a provider published. Those of one and the same answer are held once in a VM,
//! however many documents use them.

use std::cell::RefCell;
use std::rc::{Rc, Weak};

use hmac_sha256::Hash;

use super::answer::{FetchError, MAX_BODY_BYTES, MAX_DEPTH};
use crate::budget::{Share, reserve};
use crate::config::{Node, Problems};
use crate::json::compact::{Compact, FACTOR_WHILE_READ, Value};
use crate::policy::jwt::jwk::Key;
use crate::policy::jwt::signature::KeyClass;

/// Keys, and what tells the answer that they come from from others.
pub(in crate::policy::jwt) struct Published {
    pub(in crate::policy::jwt) keys: Rc<[Key]>,
    pub(super) digest: [u8; 32],
}

/// The most keys of an answer that are kept, and the most that are looked at.
const MAX_KEYS: usize = 64;
const MAX_LOOKED_AT: usize = 256;
/// A key of more values, or with a longer name, is left out.
const MAX_VALUES: usize = 256;
const MAX_ID_BYTES: usize = 1024;

/// The most memory that the keys of one provider take: the largest are RSA keys of 4096 bits, each
/// held as numbers and in the form that the proxy takes.
pub(super) const MOST_MEMORY: usize = MAX_KEYS * (MAX_ID_BYTES + 4096);

/// The keys of an answer, while somebody uses them.
struct Held {
    digest: [u8; 32],
    keys: Weak<[Key]>,
}

thread_local! {
    static HELD: RefCell<Vec<Held>> = const { RefCell::new(Vec::new()) };
}

/// Reads what a provider published. A key that cannot be used does not spoil the others; a secret
/// that is published is none.
pub(in crate::policy::jwt) fn read_set(body: &[u8]) -> Result<Published, FetchError> {
    if body.len() > MAX_BODY_BYTES {
        return Err(FetchError::TooLong(MAX_BODY_BYTES));
    }
    let digest = Hash::hash(body);
    let keys = match held(&digest) {
        Some(keys) => keys,
        None => {
            let keys = read_keys(body)?;
            hold(digest, &keys);
            keys
        }
    };
    Ok(Published { keys, digest })
}

fn read_keys(body: &[u8]) -> Result<Rc<[Key]>, FetchError> {
    let memory = body.len().saturating_mul(FACTOR_WHILE_READ);
    let _memory = reserve(Share::Queues, memory).ok_or(FetchError::NoMemory)?;
    let set = Compact::parse(body, MAX_DEPTH).ok_or(FetchError::NoKeySet)?;
    let Some(Value::Array(items)) = set.member("keys") else {
        return Err(FetchError::NoKeySet);
    };
    // Key by key: a tree of the whole set would be many times as large.
    let read = |item: Value<'_>| {
        let tree = item.to_tree(MAX_VALUES)?;
        Key::read(&Node::root(&tree), &mut Problems::default())
    };
    let usable = items.iter().take(MAX_LOOKED_AT).filter_map(read);
    let usable = usable.filter(|key| {
        let id = key.id.as_ref().map_or(0, String::len);
        key.verifying.class() == KeyClass::Public && id <= MAX_ID_BYTES
    });
    let keys: Rc<[Key]> = usable.take(MAX_KEYS).collect();
    if keys.is_empty() {
        Err(FetchError::Empty)
    } else {
        Ok(keys)
    }
}

fn held(digest: &[u8; 32]) -> Option<Rc<[Key]>> {
    HELD.with_borrow(|held| {
        let found = held.iter().find(|each| each.digest == *digest);
        found.and_then(|found| found.keys.upgrade())
    })
}

fn hold(digest: [u8; 32], keys: &Rc<[Key]>) {
    HELD.with_borrow_mut(|held| {
        held.retain(|each| each.keys.strong_count() > 0);
        let keys = Rc::downgrade(keys);
        held.push(Held { digest, keys });
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget::used;

    const SET: &[u8] = br#"{"keys":[
        {"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
        {"kty":"XYZ"}, {"kty":"RSA","n":"AA","e":"AQAB"}, 7
    ]}"#;
    #[test]
    fn one_usable_key_is_a_set() {
        let keys = read_set(SET).unwrap().keys;
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
            assert_eq!(read_set(body).err(), Some(error));
        }
        assert_eq!(
            read_set(&vec![b' '; MAX_BODY_BYTES + 1]).err(),
            Some(FetchError::TooLong(MAX_BODY_BYTES))
        );
    }

    #[test]
    fn one_answer_is_held_once() {
        let (one, other) = (read_set(SET).unwrap(), read_set(SET).unwrap());
        assert!(Rc::ptr_eq(&one.keys, &other.keys));
        assert_eq!(one.digest, other.digest);
        let spaced = [SET, b" "].concat();
        let third = read_set(&spaced).unwrap();
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
        assert_eq!(
            read_set(set(&many).as_bytes()).unwrap().keys.len(),
            MAX_KEYS
        );
        assert_eq!(used(Share::Queues), 0);
        let odd = vec!["{}"; MAX_LOOKED_AT].join(",");
        let late = set(&format!("{odd},{key}a\"}}"));
        assert_eq!(read_set(late.as_bytes()).err(), Some(FetchError::Empty));
        let long = set(&format!("{key}{}\"}}", "a".repeat(MAX_ID_BYTES + 1)));
        assert_eq!(read_set(long.as_bytes()).err(), Some(FetchError::Empty));
        let wide = set(&format!(
            r#"{key}a","x5c":[{}]}}"#,
            vec!["0"; MAX_VALUES].join(",")
        ));
        assert_eq!(read_set(wide.as_bytes()).err(), Some(FetchError::Empty));
        let all = reserve(Share::Queues, Share::Queues.most()).unwrap();
        let other = set(&format!("{key}b\"}}"));
        assert_eq!(read_set(other.as_bytes()).err(), Some(FetchError::NoMemory));
        drop(all);
        assert!(read_set(other.as_bytes()).is_ok());
    }
}
