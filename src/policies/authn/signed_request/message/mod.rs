//! HTTP message signatures, RFC 9421, with `Content-Digest` of RFC 9530 for bodies.
//!
//! The signature covers the head, and with it the digest of the body: who signed is known before the body
//! comes, and the body is compared with its digest after that.

mod base;
mod digest;
mod input;
mod keys;
mod origin;
mod query;
mod required;

use portcullis_document::{Node, Problems};
use portcullis_exchange::exchange::BodyState;
use portcullis_exchange::host::Host;
use portcullis_exchange::refusal::{Fact, Reason, Refusal};
use portcullis_exchange::section::Variable;
use portcullis_wire::budget::{Share, reserve};
use portcullis_wire::effort;
use portcullis_wire::effort::Effort;
use portcullis_wire::headers::Headers;
use portcullis_wire::structured::{BareItem, Dictionary, InnerList, LONGEST, Member, memory_of};

use self::base::Message;
use self::input::{InputError, SignatureInput};
use self::keys::{MessageKey, read_keys};
use self::origin::Origin;
use self::required::RequiredComponents;
use super::alike::has_alike;
use super::client::SigningClient;
use super::period::Period;
use super::refusals::{
    ALGORITHM, COMPONENTS, DIGEST, FORMAT, KEY, MEMORY, NO_SIGNATURE, NONCE, OLD, REPEATED,
    UNSIGNED_BODY,
};
use crate::authn::forwarding::Forwarding;
use crate::authn::roles::RoleRules;

pub(super) use self::digest::DigestCheck;

/// The message signatures of one signer.
pub(super) struct MessageSignatures {
    keys: Vec<MessageKey>,
    required: RequiredComponents,
    body: BodyCover,
    nonce: NonceRule,
    label: Option<Box<str>>,
    tag: Option<Box<str>>,
    origin: Option<Origin>,
}

/// A head whose signature is good.
pub(super) struct SignedMessage<'s> {
    pub(super) client: &'s SigningClient,
    pub(super) body: SignedBody,
    /// The second after which it is no longer good.
    pub(super) until: u64,
    /// What makes it this message and no other.
    pub(super) identity: Vec<u8>,
}

/// What a signature says of the body.
pub(super) enum SignedBody {
    /// There is none, or nothing is asked of it.
    Any,
    /// There is none.
    Empty,
    /// It has these digests.
    Digest(Box<DigestCheck>),
}

/// Whether a body has to be signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum BodyCover {
    Required,
    Optional,
}

/// Whether a signature has to have a nonce.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum NonceRule {
    Required,
    Optional,
}

/// The fields of a signature.
pub(super) const SIGNATURE_FIELDS: [&str; 2] = ["signature", "signature-input"];
/// The field with the digest of a body.
pub(super) const DIGEST_FIELD: &str = "content-digest";
/// The longest label and tag, in bytes.
const LONGEST_NAME: usize = 64;

impl MessageSignatures {
    /// Reads `message_signatures`.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.object(problems, "{\"keys\": […]}")?;
        let keys = fields
            .required("keys", problems)
            .and_then(|node| read_keys(&node, problems));
        let required = fields.or_default(
            "components",
            RequiredComponents::Usual,
            problems,
            RequiredComponents::read,
        );
        let body = fields.or_default(
            "content_digest",
            BodyCover::Required,
            problems,
            |node, problems| {
                let choices = [
                    ("required", BodyCover::Required),
                    ("optional", BodyCover::Optional),
                ];
                node.choice(problems, &choices)
            },
        );
        let nonce = fields.or_default("nonce", NonceRule::Optional, problems, |node, problems| {
            let choices = [
                ("required", NonceRule::Required),
                ("optional", NonceRule::Optional),
            ];
            node.choice(problems, &choices)
        });
        let label = fields.or_default("label", None, problems, read_name);
        let tag = fields.or_default("tag", None, problems, read_name);
        let origin = fields.or_default("origin", None, problems, |node, problems| {
            Origin::read(node, problems).map(Some)
        });
        fields.deny_unknown(problems);
        Some(Self {
            keys: keys?,
            required: required?,
            body: body?,
            nonce: nonce?,
            label: label?,
            tag: tag?,
            origin: origin?,
        })
    }

    /// The same, with the roles of each client and with what the service is told of it.
    pub(super) fn told(
        self,
        with: (&Forwarding, &RoleRules),
        node: &Node<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let keys = self.keys.into_iter().map(|key| {
            let client = key.client.clone().told(with, node, problems)?;
            Some(key.of(client))
        });
        let keys: Vec<Option<MessageKey>> = keys.collect();
        Some(Self {
            keys: keys.into_iter().collect::<Option<_>>()?,
            ..self
        })
    }

    /// Whether a request has a signature, or a part of one.
    pub(super) fn is_presented(headers: &Headers) -> bool {
        let mut values = SIGNATURE_FIELDS.iter().flat_map(|name| headers.all(name));
        values.any(|value| !value.is_empty())
    }

    /// The variables of the environment that its keys need.
    pub(super) fn variables(&self, signer: &str) -> Vec<Variable> {
        let keys = self.keys.iter();
        keys.filter_map(|key| key.variable(signer)).collect()
    }

    /// The variables in which its secrets stand.
    pub(super) fn secrets(&self) -> Vec<&str> {
        self.keys.iter().filter_map(MessageKey::secret).collect()
    }

    pub(super) fn memory(&self) -> usize {
        let keys = self.keys.iter().map(MessageKey::memory);
        keys.fold(0, usize::saturating_add)
    }

    /// Judges a head: RFC 9421 §3.2.
    pub(super) fn judge_head(
        &self,
        headers: &Headers,
        rest: BodyState,
        period: &Period,
        host: &dyn Host,
    ) -> Result<SignedMessage<'_>, Refusal> {
        let input = joined(headers, "signature-input")?;
        let signatures = joined(headers, "signature")?;
        let bytes = memory_of(input.len().saturating_add(signatures.len()));
        let _memory = reserve(Share::Streams, bytes).ok_or_else(|| Refusal::new(&MEMORY))?;
        let form = |_| Refusal::new(&FORMAT);
        let inputs = Dictionary::parse(&input).map_err(form)?;
        let signatures = Dictionary::parse(&signatures).map_err(form)?;
        let (label, written) = self.choose(&inputs)?;
        if !are_whole(&inputs, &signatures) {
            return Err(Refusal::new(&FORMAT));
        }
        let signature = match signatures.member(label) {
            Some(Member::Item(item)) => match &item.bare {
                BareItem::Bytes(bytes) => bytes,
                _ => return Err(Refusal::new(&FORMAT)),
            },
            Some(Member::List(_)) | None => return Err(Refusal::new(&FORMAT)),
        };
        let input = SignatureInput::read(written).map_err(|error| match error {
            InputError::Form => Refusal::new(&FORMAT),
            InputError::Component => Refusal::new(&COMPONENTS),
        })?;
        let key = self.key(&input)?;
        if input.algorithm.is_some_and(|own| own != key.algorithm) {
            return Err(Refusal::new(&ALGORITHM));
        }
        let until = times(&input, period)?;
        if self.nonce == NonceRule::Required && input.nonce.is_none() {
            return Err(Refusal::new(&NONCE));
        }
        if let Some(lacking) = self.required.lacking(&input, headers) {
            let refusal = Refusal::new(&COMPONENTS);
            return Err(refusal.and("component", Fact::trusted(lacking)));
        }
        // What is signed, and beside it what some gateways take for the same.
        let names = input.covered.iter().map(|each| each.name);
        if has_alike(headers, names.filter(|name| !name.starts_with('@'))) {
            return Err(Refusal::new(&REPEATED));
        }
        let base = self.base(&input, headers)?;
        key.verify(&base, signature, host)?;
        // Who has a message with a signature by each of two keys of a client may send either alone. So nothing
        // of it is of the key: not its name, nor what a signature says of itself.
        let client = key.client.name.as_bytes();
        let identity = match input.nonce {
            Some(nonce) => [client, b"\n", nonce.as_bytes()].concat(),
            // The same text of the same second is the same message.
            None => {
                let created = input.created.unwrap_or_default().to_le_bytes();
                [client, b"\n\n", &created, without_params(&base)].concat()
            }
        };
        Ok(SignedMessage {
            client: &key.client,
            body: self.body(&input, headers, rest)?,
            until,
            identity,
        })
    }

    /// The one signature that is judged, with its label: RFC 9421 §3.2, step 1.
    fn choose<'i>(&self, inputs: &'i Dictionary) -> Result<(&'i str, &'i InnerList), Refusal> {
        let mut found: Vec<(&str, &InnerList)> = Vec::new();
        for (label, member) in &inputs.members {
            let Member::List(list) = member else {
                return Err(Refusal::new(&FORMAT));
            };
            let has_label = self.label.as_deref().is_none_or(|own| own == label);
            if has_label && self.has_tag(list) {
                found.push((label, list));
            }
        }
        if found.len() > 1 {
            found.retain(|(_, list)| self.names_key(list));
        }
        match found[..] {
            [one] => Ok(one),
            [] if inputs.members.is_empty() => Err(Refusal::new(&NO_SIGNATURE)),
            [] => Err(Refusal::new(&KEY)),
            _ => Err(Refusal::new(&REPEATED)),
        }
    }

    fn has_tag(&self, list: &InnerList) -> bool {
        let tag = match list.parameters.find("tag") {
            Some(BareItem::Text(tag)) => Some(&**tag),
            _ => None,
        };
        self.tag.as_deref().is_none_or(|own| tag == Some(own))
    }

    fn names_key(&self, list: &InnerList) -> bool {
        match list.parameters.find("keyid") {
            Some(BareItem::Text(id)) => self.keys.iter().any(|key| *key.id == **id),
            _ => false,
        }
    }

    fn key(&self, input: &SignatureInput<'_>) -> Result<&MessageKey, Refusal> {
        let key = match (input.key, &self.keys[..]) {
            (Some(id), keys) => keys.iter().find(|key| *key.id == *id),
            (None, [only]) => Some(only),
            (None, _) => None,
        };
        key.ok_or_else(|| Refusal::new(&KEY))
    }

    fn base(&self, input: &SignatureInput<'_>, headers: &Headers) -> Result<Vec<u8>, Refusal> {
        let effort = Effort::new(effort::HEAD);
        let message = Message {
            headers,
            origin: self.origin.as_ref(),
            effort: &effort,
        };
        // Each component comes once, so all of them together are hardly more than the head.
        let bytes = headers.memory().saturating_mul(3);
        let _memory = reserve(Share::Streams, bytes).ok_or_else(|| Refusal::new(&MEMORY))?;
        let base = message.base(input);
        base.map_err(|_| Refusal::new(&COMPONENTS))
    }

    /// What the signature says of the body.
    fn body(
        &self,
        input: &SignatureInput<'_>,
        headers: &Headers,
        rest: BodyState,
    ) -> Result<SignedBody, Refusal> {
        if !input.covers(DIGEST_FIELD) {
            return match (self.body, rest) {
                (BodyCover::Optional, _) | (BodyCover::Required, BodyState::Complete) => {
                    Ok(SignedBody::Any)
                }
                (BodyCover::Required, BodyState::Open) if says_body(headers) => {
                    Err(Refusal::new(&UNSIGNED_BODY))
                }
                (BodyCover::Required, BodyState::Open) => Ok(SignedBody::Empty),
            };
        }
        let value = joined(headers, DIGEST_FIELD)?;
        let bytes = memory_of(value.len());
        let _memory = reserve(Share::Streams, bytes).ok_or_else(|| Refusal::new(&MEMORY))?;
        let check = DigestCheck::new(&value).map_err(|_| Refusal::new(&DIGEST))?;
        Ok(SignedBody::Digest(Box::new(check)))
    }
}

/// Whether each signature has both its parts, those of others too: a label in one field and not in the other is
/// an error, RFC 9421 §4. Each label comes once in each.
fn are_whole(inputs: &Dictionary, signatures: &Dictionary) -> bool {
    let mut labels = inputs.members.iter().map(|(label, _)| label);
    inputs.members.len() == signatures.members.len()
        && labels.all(|label| signatures.member(label).is_some())
}

/// What is covered, without what the signature says of itself: RFC 9421 §2.3, the last line of the base.
fn without_params(base: &[u8]) -> &[u8] {
    let end = base.iter().rposition(|b| *b == b'\n');
    end.and_then(|end| base.get(..=end)).unwrap_or_default()
}

/// Whether a head says that there is a body.
fn says_body(headers: &Headers) -> bool {
    let mut lengths = headers.all("content-length");
    lengths.any(|length| length != b"0")
}

/// The second after which a signature is no longer good, by `created` and `expires`: RFC 9421 §2.3. It has to be
/// good now.
fn times(input: &SignatureInput<'_>, period: &Period) -> Result<u64, Refusal> {
    let malformed: &'static Reason = &FORMAT;
    let created = input.created.ok_or_else(|| Refusal::new(malformed))?;
    let until = period.until(created)?;
    match input.expires {
        None => Ok(until),
        Some(expires) if expires < created => Err(Refusal::new(malformed)),
        Some(expires) if expires < period.now => {
            let seconds = period.now.saturating_sub(expires);
            Err(Refusal::new(&OLD).and("seconds", Fact::Number(seconds)))
        }
        Some(expires) => Ok(until.min(expires)),
    }
}

/// All values of a field as one, RFC 9651 §4.2.
fn joined(headers: &Headers, name: &str) -> Result<Vec<u8>, Refusal> {
    let length = headers.all(name).fold(0_usize, |sum, value| {
        sum.saturating_add(value.len()).saturating_add(2)
    });
    if length > LONGEST {
        return Err(Refusal::new(&FORMAT));
    }
    let values: Vec<&[u8]> = headers.all(name).collect();
    Ok(values.join(&b", "[..]))
}

fn read_name(node: &Node<'_>, problems: &mut Problems) -> Option<Option<Box<str>>> {
    let name = node.non_empty(problems)?;
    let plain = |b: u8| (b' '..=b'~').contains(&b);
    if name.len() > LONGEST_NAME || !name.bytes().all(plain) {
        node.report(problems, "must be 1 to 64 printable ASCII characters");
        return None;
    }
    Some(Some(name.into()))
}

#[cfg(test)]
mod tests;
