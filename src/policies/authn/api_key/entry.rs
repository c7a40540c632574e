//! A key as a document or a service writes it: everything but the key itself.

use super::table::{Digest, KeyEntry, KeyState, NEVER};
use crate::authn::exposed::has_shape;
use crate::authn::grants::read_grants;
use crate::authn::moment::{Rounding, read_moment};
use portcullis_document::{Node, Problems};
use portcullis_wire::json::compact::Compact;
use portcullis_wire::json::{Json, quoted};

/// A key that has been read.
#[derive(Debug)]
pub(super) struct WrittenKey<'d> {
    digest: Digest,
    id: &'d str,
    client: &'d str,
    grants: String,
    not_before: u32,
    not_after: u32,
    state: KeyState,
}

/// The longest id, and name of a client, in bytes.
const LONGEST_ID: usize = 128;
const LONGEST_CLIENT: usize = 256;

/// How deep what is known of a key may nest.
const MAX_DEPTH: usize = 16;

const NO_END: &str = "; leave out an end that never comes";

/// What the keys of a store are: how to come by the hash of one depends on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum HashedKey {
    /// What stands in a request as it is.
    Whole,
    /// The base64 of user and password: RFC 7617 §2.
    UserAndPassword,
    /// One of these: whoever reads a store that is fetched does not know where its keys stand.
    Either,
}

impl HashedKey {
    /// That of keys behind this prefix of a header field's value.
    pub(super) fn behind(value_prefix: &str) -> Self {
        match value_prefix.trim().eq_ignore_ascii_case("basic") {
            true => Self::UserAndPassword,
            false => Self::Whole,
        }
    }

    /// How to come by the hash of a key.
    fn cure(self) -> &'static str {
        match self {
            Self::Whole => CURE,
            Self::UserAndPassword => CURE_OF_PASSWORDS,
            Self::Either => CURE_OF_EITHER,
        }
    }
}

const CURE_OF_PASSWORDS: &str = "what is hashed is the base64 of user and password: `printf %s \"$USER:$PASSWORD\" | base64 -w0 | tr -d '\\n' | sha256sum` prints what to write as `hash`; replace a password that has stood here";

const CURE_OF_EITHER: &str = "write the SHA-256 of what stands in requests, in 64 hexadecimal digits, as `hash`: of a key, `printf %s \"$KEY\" | sha256sum` prints it; behind `Basic ` stands the base64 of user and password, `printf %s \"$USER:$PASSWORD\" | base64 -w0 | tr -d '\\n'`";

const CURE: &str = "write its SHA-256 in 64 hexadecimal digits as `hash`: `make key` makes a key and prints both; of a key that there is, `printf %s \"$KEY\" | sha256sum` is the hash";

impl<'d> WrittenKey<'d> {
    /// Reads `{ id, hash, client, scopes, attributes, not_before, not_after, state }`.
    pub(super) fn read(
        node: &Node<'d>,
        material: HashedKey,
        problems: &mut Problems,
    ) -> Option<Self> {
        let cure = material.cure();
        let mut fields = node.object(
            problems,
            "{\"id\": \"…\", \"hash\": \"…\", \"client\": \"…\"}",
        )?;
        if let Some(key) = fields.optional("key") {
            key.report(
                problems,
                format_args!(
                    "a key itself does not stand in the document, where everybody reads it; {cure}. Replace a key that has stood here"
                ),
            );
            return None;
        }
        // Nothing else is said of such an entry: a message could repeat the key.
        holds_no_key(node, cure, problems).then_some(())?;
        let id = fields
            .required("id", problems)
            .and_then(|node| read_name(&node, LONGEST_ID, problems));
        let digest = fields
            .required("hash", problems)
            .and_then(|node| read_digest(&node, cure, problems));
        let client = fields
            .required("client", problems)
            .and_then(|node| read_name(&node, LONGEST_CLIENT, problems));
        let grants = read_grants(&mut fields, problems);
        let not_before = fields.or_default("not_before", 0, problems, |node, problems| {
            read_moment(node, Rounding::Down, "", problems)
        });
        let not_after = fields.or_default("not_after", NEVER, problems, |node, problems| {
            read_moment(node, Rounding::Down, NO_END, problems)
        });
        let states = [("active", KeyState::Active), ("revoked", KeyState::Revoked)];
        let state = fields.or_default("state", KeyState::Active, problems, |node, problems| {
            node.choice(problems, &states)
        });
        let pointer = fields.pointer().clone();
        fields.deny_unknown(problems);
        let (not_before, not_after) = (not_before?, not_after?);
        if not_before >= not_after {
            problems.report(
                &pointer.member("not_after"),
                "must lie behind `not_before`: the key would never be accepted",
            );
            return None;
        }
        let written = Self {
            digest: digest?,
            id: id?,
            client: client?,
            grants: grants?,
            not_before,
            not_after,
            state: state?,
        };
        // What nests nothing does not nest too deep.
        let nests = written.grants.contains(['[', '{']);
        if nests && known(&written.entry()).is_none() {
            problems.report(
                &pointer.member("attributes"),
                format_args!("nests more than {MAX_DEPTH} deep"),
            );
            return None;
        }
        Some(written)
    }

    /// What is kept of it.
    pub(super) fn entry(&self) -> KeyEntry<'_> {
        KeyEntry {
            digest: self.digest,
            id: self.id,
            client: self.client,
            grants: &self.grants,
            not_before: self.not_before,
            not_after: self.not_after,
            state: self.state,
        }
    }
}

/// What is known of who presents a key, as claims are of a token. Some of every key that has been read.
pub(super) fn known(entry: &KeyEntry<'_>) -> Option<Compact> {
    let (client, id, grants) = (quoted(entry.client), quoted(entry.id), entry.grants);
    let known = format!(r#"{{"sub":{client},"client":{client},"key_id":{id}{grants}}}"#);
    Compact::parse(known.as_bytes(), MAX_DEPTH)
}

/// A name that can stand in a header field and in a record.
fn read_name<'d>(node: &Node<'d>, longest: usize, problems: &mut Problems) -> Option<&'d str> {
    let name = node.non_empty(problems)?;
    let plain = name.trim() == name && !name.chars().any(char::is_control);
    let usable = plain && name.len() <= longest;
    if !usable {
        node.report(
            problems,
            format_args!(
                "must have at most {longest} bytes, no control characters, and no blanks at its ends"
            ),
        );
    }
    usable.then_some(name)
}

fn read_digest(node: &Node<'_>, cure: &str, problems: &mut Problems) -> Option<Digest> {
    let written = node.text(problems)?;
    let digest = from_hex(written.as_bytes());
    if digest.is_none() {
        node.report(problems, format_args!("is not a hash; {cure}"));
    }
    digest
}

/// Whether no key stands anywhere in a value, as far as can be seen. Where a name is one, the object is
/// named that has it: a place with it would show it.
fn holds_no_key(node: &Node<'_>, cure: &str, problems: &mut Problems) -> bool {
    let what = match node.json() {
        Json::String(text) if has_shape(text) => "is a key, it seems,",
        Json::Object(object) if object.iter().any(|(name, _)| has_shape(name)) => {
            "has a key, it seems, for the name of a member,"
        }
        Json::Object(object) => {
            let mut good = true;
            for (name, value) in object.iter() {
                let member = Node::at(value, node.pointer().member(name));
                good &= holds_no_key(&member, cure, problems);
            }
            return good;
        }
        Json::Array(items) => {
            let mut good = true;
            for (index, item) in items.iter().enumerate() {
                let item = Node::at(item, node.pointer().item(index));
                good &= holds_no_key(&item, cure, problems);
            }
            return good;
        }
        _ => return true,
    };
    node.report(
        problems,
        format_args!("{what} and everybody can read it here; replace the key; {cure}"),
    );
    false
}

fn from_hex(text: &[u8]) -> Option<Digest> {
    let digit = |b: &u8| {
        let digit = char::from(*b).to_digit(16)?;
        u8::try_from(digit).ok()
    };
    let (pairs, []) = text.as_chunks::<2>() else {
        return None;
    };
    let bytes = pairs
        .iter()
        .map(|[high, low]| Some((digit(high)? << 4) | digit(low)?));
    let bytes: Vec<u8> = bytes.collect::<Option<_>>()?;
    bytes.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
    const KEY: &str = "pk_Mz3hF4y8BNQrZ4dA5QYjSnvKxb21f1tqW";

    fn problems_of(more: &str) -> Vec<String> {
        let text = format!(r#"{{"id":"a","client":"c","hash":"{HASH}"{more}}}"#);
        let json = Json::parse(text.as_bytes(), 64).unwrap();
        let mut problems = Problems::default();
        let read = WrittenKey::read(&Node::root(&json), HashedKey::Whole, &mut problems);
        match problems.into_result(read.map(|_| ())) {
            Ok(()) => Vec::new(),
            Err(error) => error.problems.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn a_key_in_plain_text_is_seen_anywhere_and_not_repeated() {
        for (more, place) in [
            (r#","scopes":["KEY"]"#, "/scopes/0"),
            (r#","attributes":{"a":"KEY"}"#, "/attributes/a"),
            (r#","attributes":{"a":[{"b":"KEY"}]}"#, "/attributes/a/0/b"),
            (r#","attributes":{"KEY":1}"#, "/attributes"),
            (
                r#","attributes":{"a":{"KEY":{"b":"KEY"}}}"#,
                "/attributes/a",
            ),
            (r#","state":"KEY""#, "/state"),
            (r#","not_after":"KEY""#, "/not_after"),
            (r#","more":{"a":["KEY"]}"#, "/more/a/0"),
            (r#","KEY":1"#, "document"),
        ] {
            let found = problems_of(&more.replace("KEY", KEY));
            let [only] = &found[..] else {
                panic!("{more}: {found:?}");
            };
            assert!(only.starts_with(&format!("{place}: ")), "{only}");
            assert!(
                only.contains("replace the key") && !only.contains(KEY),
                "{only}"
            );
        }
        assert_eq!(problems_of(r#","attributes":{"a_b":["pk_live"]}"#).len(), 0);
    }

    /// What loads can be used.
    #[test]
    fn attributes_nest_as_deep_as_they_are_read() {
        let nested = |depth: usize| {
            let (open, close) = ("[".repeat(depth), "]".repeat(depth));
            problems_of(&format!(r#","attributes":{{"a":{open}{close}}}"#))
        };
        assert_eq!(nested(MAX_DEPTH - 1).len(), 0);
        assert_eq!(nested(MAX_DEPTH), ["/attributes: nests more than 16 deep"]);
        assert_eq!(nested(40), ["/attributes: nests more than 16 deep"]);
    }
}
