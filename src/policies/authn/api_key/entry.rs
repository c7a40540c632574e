//! A key as a document or a service writes it: everything but the key itself.

use super::form::has_shape;
use super::moment::read_moment;
use super::table::{Digest, KeyEntry, KeyState, NEVER};
use crate::authn::grants::read_grants;
use portcullis_document::{Node, Problems};

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

/// How to come by the hash of a key.
const CURE: &str = "write its SHA-256 in 64 hexadecimal digits as `hash`: `make key` makes a key and prints both; of a key that there is, `printf %s \"$KEY\" | sha256sum` is the hash";

impl<'d> WrittenKey<'d> {
    /// Reads `{ id, hash, client, scopes, attributes, not_before, not_after, state }`.
    pub(super) fn read(node: &Node<'d>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.object(
            problems,
            "{\"id\": \"…\", \"hash\": \"…\", \"client\": \"…\"}",
        )?;
        if let Some(key) = fields.optional("key") {
            key.report(
                problems,
                format_args!(
                    "a key itself does not stand in the document, where everybody reads it; {CURE}. Replace a key that has stood here"
                ),
            );
            return None;
        }
        let id = fields
            .required("id", problems)
            .and_then(|node| read_name(&node, LONGEST_ID, problems));
        let digest = fields
            .required("hash", problems)
            .and_then(|node| read_digest(&node, problems));
        let client = fields
            .required("client", problems)
            .and_then(|node| read_name(&node, LONGEST_CLIENT, problems));
        let grants = read_grants(&mut fields, problems, holds_no_key);
        let not_before = fields.or_default("not_before", 0, problems, read_moment);
        let not_after = fields.or_default("not_after", NEVER, problems, read_moment);
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
        Some(Self {
            digest: digest?,
            id: id?,
            client: client?,
            grants: grants?,
            not_before,
            not_after,
            state: state?,
        })
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

/// A name that can stand in a header field and in a record.
fn read_name<'d>(node: &Node<'d>, longest: usize, problems: &mut Problems) -> Option<&'d str> {
    let name = node.non_empty(problems)?;
    let plain = name.trim() == name && !name.chars().any(char::is_control);
    holds_no_key(node, problems).then_some(())?;
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

fn read_digest(node: &Node<'_>, problems: &mut Problems) -> Option<Digest> {
    let written = node.text(problems)?;
    let digest = from_hex(written.as_bytes());
    if digest.is_none() && holds_no_key(node, problems) {
        node.report(problems, format_args!("is not a hash; {CURE}"));
    }
    digest
}

/// Whether a value is no key, as far as can be seen.
fn holds_no_key(node: &Node<'_>, problems: &mut Problems) -> bool {
    let is_key = node.json().as_str().is_some_and(has_shape);
    if is_key {
        node.report(
            problems,
            format_args!(
                "is a key, it seems, and everybody can read it here; replace the key. {CURE}"
            ),
        );
    }
    !is_key
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
