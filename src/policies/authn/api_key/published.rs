//! What a service answers that is asked for the keys of a store: `{"keys": […]}`, with the entries of a
//! document.
//!
//! Entry by entry: a tree of a hundred thousand keys would be many times as large as their text. An
//! entry that cannot be used does not spoil the others: its key is unknown. What is no such text as a
//! whole changes nothing.

use std::fmt;

use super::entry::WrittenKey;
use super::table::{KeyTable, MOST_KEYS, TableBuilder};
use crate::authn::jwt::remote::FetchError;
use portcullis_document::{Node, Problems};
use portcullis_wire::budget::{Share, reserve};
use portcullis_wire::json::Json;

/// How much of a store is read, by the most keys that it may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    keys: usize,
}

/// Why a response is of no use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StoreError {
    /// There is none, or it could not be read.
    Fetch(FetchError),
    /// It is no object with nothing but a list of `keys`.
    NoStore,
    /// It has more keys than that.
    TooMany(usize),
    /// The texts of its keys take more memory than there is for so many keys.
    TooLarge(usize),
    /// Two keys have the same `hash`, or the same `id`.
    Twice(&'static str, usize, usize),
    /// None of its entries can be used.
    Unusable,
}

/// What a key may take of memory, and what its text may be long, on average.
const MEMORY_EACH: usize = 128;
const TEXT_EACH: usize = 512;
/// The longest text.
const LONGEST: usize = 16 << 20;
/// How deep an entry may nest.
const MAX_DEPTH: usize = 16;
/// So many entries that were passed over are named; the others are counted.
const MAX_NAMED: usize = 16;

impl Default for Bounds {
    fn default() -> Self {
        Self { keys: 10_000 }
    }
}

impl Bounds {
    /// Reads `max_keys`.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let most = u64::try_from(MOST_KEYS).unwrap_or(u64::MAX);
        let keys = node.integer(problems, 1..=most)?;
        let keys = usize::try_from(keys).ok()?;
        Some(Self { keys })
    }

    /// The longest text that is read, in bytes.
    pub(super) fn body(self) -> usize {
        const LEAST: usize = 64 << 10;
        self.keys.saturating_mul(TEXT_EACH).clamp(LEAST, LONGEST)
    }

    /// The memory that the keys may take.
    pub(super) fn memory(self) -> usize {
        const LEAST: usize = 8 << 10;
        self.keys.saturating_mul(MEMORY_EACH).max(LEAST)
    }
}

/// Reads what a service answered. `notes` takes which entries were passed over, and why.
pub(super) fn read_store(
    body: &[u8],
    bounds: Bounds,
    notes: &mut Vec<String>,
) -> Result<KeyTable, StoreError> {
    // A table that grows is for a moment there twice.
    let memory = bounds.memory().saturating_mul(2);
    let _memory = reserve(Share::Queues, memory.min(body.len().saturating_mul(2)));
    let _memory = _memory.ok_or(StoreError::Fetch(FetchError::NoMemory))?;
    let mut builder = TableBuilder::default();
    let (mut passed, mut all) = (0_usize, 0_usize);
    let mut rest = inner(body).ok_or(StoreError::NoStore)?;
    while let Some(PublishedKey { text, after }) = next_item(rest, all)? {
        rest = after;
        all = all.saturating_add(1);
        if all > bounds.keys {
            return Err(StoreError::TooMany(bounds.keys));
        }
        let json = Json::parse(text, MAX_DEPTH).map_err(|_| StoreError::NoStore)?;
        let mut problems = Problems::default();
        let key = WrittenKey::read(&Node::root(&json), &mut problems);
        match problems.into_result(key) {
            Ok(key) if builder.push(&key.entry()) => {}
            Ok(_) => passed = passed.saturating_add(1),
            Err(error) => {
                passed = passed.saturating_add(1);
                if let Some(first) = error.problems.first().filter(|_| notes.len() < MAX_NAMED) {
                    notes.push(format!("key {all} of the store is passed over: {first}"));
                }
            }
        }
        if builder.memory() > bounds.memory() {
            return Err(StoreError::TooLarge(bounds.memory()));
        }
    }
    let more = passed.saturating_sub(notes.len());
    if more > 0 {
        notes.push(format!("{more} more keys of the store are passed over"));
    }
    if passed > 0 && passed == all {
        return Err(StoreError::Unusable);
    }
    match builder.twice() {
        None => Ok(builder.finish()),
        Some(twice) => Err(StoreError::Twice(twice.field, twice.first, twice.second)),
    }
}

/// What stands in the list of `{"keys": [ … ]}`.
fn inner(body: &[u8]) -> Option<&[u8]> {
    let mut rest = blanks(body);
    for piece in [&b"{"[..], b"\"keys\"", b":", b"["] {
        rest = blanks(rest.strip_prefix(piece)?);
    }
    for piece in [&b"}"[..], b"]"] {
        let end = rest.iter().rposition(|b| !is_blank(b))?;
        rest = rest.get(..=end)?.strip_suffix(piece)?;
    }
    Some(rest)
}

/// What follows white space.
fn blanks(text: &[u8]) -> &[u8] {
    let count = text.iter().take_while(|b| is_blank(b)).count();
    text.get(count..).unwrap_or_default()
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// An item of a list, and what follows it.
struct PublishedKey<'b> {
    text: &'b [u8],
    after: &'b [u8],
}

/// The next item of a list of which `before` have been, and what follows it. Whether it is JSON is for
/// others to see: here it ends at the first comma that is in no string and in no brackets.
fn next_item(list: &[u8], before: usize) -> Result<Option<PublishedKey<'_>>, StoreError> {
    let list = blanks(list);
    let list = match (list.split_first(), before) {
        (None, _) => return Ok(None),
        (_, 0) => list,
        (Some((b',', rest)), _) => rest,
        (Some(_), _) => return Err(StoreError::NoStore),
    };
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let end = list.iter().position(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth = depth.saturating_add(1),
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            b',' if !quoted && depth == 0 => return true,
            _ => {}
        }
        false
    });
    let item = list.split_at_checked(end.unwrap_or(list.len()));
    let (text, after) = item.ok_or(StoreError::NoStore)?;
    Ok(Some(PublishedKey { text, after }))
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            StoreError::Fetch(error) => error.fmt(f),
            StoreError::NoStore => {
                f.write_str("an answer that is not {\"keys\": […]} with nothing beside it")
            }
            StoreError::TooMany(most) => write!(f, "more than {most} keys, which is `max_keys`"),
            StoreError::TooLarge(most) => write!(
                f,
                "keys that take more than the {most} bytes of memory that `max_keys` allows"
            ),
            StoreError::Twice(field, first, second) => {
                write!(f, "items {first} and {second} have the same `{field}`")
            }
            StoreError::Unusable => f.write_str("a list of which no key can be used"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hmac_sha256::Hash;

    fn read(body: &str) -> Result<usize, StoreError> {
        let mut notes = Vec::new();
        read_store(body.as_bytes(), Bounds { keys: 3 }, &mut notes).map(|table| table.len())
    }

    fn entry(id: usize, more: &str) -> String {
        let hash = Hash::hash(&id.to_le_bytes());
        let hash: String = hash.iter().map(|b| format!("{b:02x}")).collect();
        format!(r#"{{"id":"k{id}","hash":"{hash}","client":"a, [\"{{}}\"]"{more}}}"#)
    }

    #[test]
    fn stores_are_read_entry_by_entry() {
        let (one, two) = (
            entry(1, ""),
            entry(2, r#","attributes":{"a":[1,{"b":"\\"}]}"#),
        );
        for (body, keys) in [
            (r#"{"keys":[]}"#.to_owned(), 0),
            (" {\n\"keys\" : [ ] } \n".to_owned(), 0),
            (format!(r#"{{"keys":[{one}]}}"#), 1),
            (format!("{{\"keys\":\t[ {one} , \r\n{two} ]}}"), 2),
        ] {
            assert_eq!(read(&body), Ok(keys), "{body}");
        }
    }

    #[test]
    fn what_is_no_store_is_refused_as_a_whole() {
        let (one, two) = (entry(1, ""), entry(2, ""));
        let no_store: Vec<String> = vec![
            String::new(),
            "[]".to_owned(),
            "{}".to_owned(),
            r#"{"keys":{}}"#.to_owned(),
            r#"{"keys":[]}}"#.to_owned(),
            r#"{"keys":[]"#.to_owned(),
            r#"{"keys":[],"more":[]}"#.to_owned(),
            format!(r#"{{"keys":[{one}]"#),
            format!(r#"{{"keys":[{one}{two}]}}"#),
            format!(r#"{{"keys":[{one},]}}"#),
            format!(r#"{{"keys":[,{one}]}}"#),
            format!(r#"{{"keys":[{one}],"keys":[{two}]}}"#),
            format!(r#"{{"keys":[{one}]]}}"#),
            format!(r#"{{"keys":[{one},{{]}}"#),
        ];
        for body in no_store {
            assert_eq!(read(&body), Err(StoreError::NoStore), "{body}");
        }
        let all = (1..=4)
            .map(|id| entry(id, ""))
            .collect::<Vec<_>>()
            .join(",");
        assert_eq!(
            read(&format!(r#"{{"keys":[{all}]}}"#)),
            Err(StoreError::TooMany(3))
        );
        let twice = format!(r#"{{"keys":[{two},{one},{one}]}}"#);
        assert_eq!(read(&twice), Err(StoreError::Twice("hash", 1, 2)));
        let large = |id: usize| {
            let scope = id.to_string().repeat(4000);
            entry(id, &format!(r#","scopes":["{scope}"]"#))
        };
        let large = [large(1), large(2), large(3)].join(",");
        assert_eq!(
            read(&format!(r#"{{"keys":[{large}]}}"#)),
            Err(StoreError::TooLarge(8 << 10))
        );
    }

    #[test]
    fn an_entry_that_cannot_be_used_does_not_spoil_the_others() {
        let good = entry(1, "");
        let bad = entry(2, r#","state":"off""#);
        let mut notes = Vec::new();
        let body = format!(r#"{{"keys":[{bad},{good}]}}"#);
        let table = read_store(body.as_bytes(), Bounds::default(), &mut notes).unwrap();
        assert_eq!(table.len(), 1);
        assert_eq!(
            notes,
            ["key 1 of the store is passed over: /state: must be one of \"active\", \"revoked\""]
        );
        assert_eq!(
            read(&format!(r#"{{"keys":[{bad}]}}"#)),
            Err(StoreError::Unusable)
        );
    }

    /// The length that the reference states.
    #[test]
    fn a_hundred_thousand_keys_are_read() {
        let entries: Vec<String> = (0..MOST_KEYS)
            .map(|id| entry(id, r#","scopes":["orders.read"]"#))
            .collect();
        let body = format!(r#"{{"keys":[{}]}}"#, entries.join(","));
        let bounds = Bounds { keys: MOST_KEYS };
        assert!(body.len() < bounds.body(), "{}", body.len());
        let table = read_store(body.as_bytes(), bounds, &mut Vec::new()).unwrap();
        assert_eq!(table.len(), MOST_KEYS);
        assert!(table.memory() < bounds.memory());
    }
}
