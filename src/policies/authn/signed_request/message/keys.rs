//! The keys of message signatures: each with its one algorithm, and whose it is.

use hmac_sha256::HMAC;
use jwt_simple::reexports::ct_codecs;
use portcullis_document::{Fields, Node, Problems, Quoted};
use portcullis_exchange::host::Host;
use portcullis_exchange::refusal::{Reason, Refusal};
use portcullis_exchange::section::Variable;

use crate::authn::jwt::{KeyVerdict, PublicKey};
use crate::authn::signed_request::client::SigningClient;
use crate::authn::signed_request::refusals::{CHECK, MISMATCH, SECRET};
use crate::authn::signed_request::shared_secret::{SecretEncoding, SharedSecret};

/// A key.
pub(super) struct MessageKey {
    /// What requests call it by.
    pub(super) id: Box<str>,
    /// Its algorithm, as RFC 9421 §6.2.2 has it.
    pub(super) algorithm: &'static str,
    material: KeyMaterial,
    pub(super) client: SigningClient,
}

enum KeyMaterial {
    Secret(SharedSecret),
    Public(PublicKey),
}

/// The algorithms of RFC 9421 §3.3, each with its name among those of tokens; none for a shared secret.
const ALGORITHMS: [(&str, Option<&str>); 6] = [
    ("hmac-sha256", None),
    ("ed25519", Some("EdDSA")),
    ("ecdsa-p256-sha256", Some("ES256")),
    ("ecdsa-p384-sha384", Some("ES384")),
    ("rsa-pss-sha512", Some("PS512")),
    ("rsa-v1_5-sha256", Some("RS256")),
];

/// The most keys of a signer.
const MOST_KEYS: usize = 64;
/// The longest id of a key, in bytes.
const LONGEST_ID: usize = 256;

/// Reads `keys`.
pub(super) fn read_keys(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<MessageKey>> {
    let keys = node.list(problems, MessageKey::read)?;
    if keys.is_empty() || keys.len() > MOST_KEYS {
        node.report(problems, format_args!("must have 1 to {MOST_KEYS} items"));
        return None;
    }
    for (place, key) in keys.iter().enumerate() {
        if keys.iter().take(place).any(|before| before.id == key.id) {
            node.report(
                problems,
                format_args!("has two keys with the id {}", Quoted(&key.id)),
            );
            return None;
        }
    }
    Some(keys)
}

impl MessageKey {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.object(
            problems,
            "{\"id\": \"…\", \"algorithm\": \"ed25519\", \"jwk\": {…}}",
        )?;
        let id = fields
            .required("id", problems)
            .and_then(|node| read_id(&node, problems));
        let algorithm = fields.required("algorithm", problems).and_then(|node| {
            let names = ALGORITHMS.map(|(name, jose)| (name, (name, jose)));
            node.choice(problems, &names)
        });
        let material = match algorithm {
            None => None,
            Some((_, None)) => read_secret(&mut fields, problems),
            Some((_, Some(jose))) => fields
                .required("jwk", problems)
                .and_then(|node| PublicKey::read(&node, jose, problems))
                .map(KeyMaterial::Public),
        };
        let client = SigningClient::read(id.unwrap_or("a"), &mut fields, problems);
        // Which of these belongs there depends on what is wrong.
        if algorithm.is_none() {
            for name in ["jwk", "secret", "secret_encoding"] {
                fields.optional(name);
            }
        }
        fields.deny_unknown(problems);
        Some(Self {
            id: id?.into(),
            algorithm: algorithm?.0,
            material: material?,
            client: client?,
        })
    }

    /// The same key, of that client.
    pub(super) fn of(self, client: SigningClient) -> Self {
        Self { client, ..self }
    }

    /// Why a signature is not this key's.
    pub(super) fn verify(
        &self,
        signed: &[u8],
        signature: &[u8],
        host: &dyn Host,
    ) -> Result<(), Refusal> {
        let refuse = |reason: &'static Reason| Err(Refusal::new(reason));
        match &self.material {
            KeyMaterial::Secret(secret) => {
                let Some(secret) = secret.value(host) else {
                    return refuse(&SECRET);
                };
                match ct_codecs::verify(&HMAC::mac(signed, secret), signature) {
                    true => Ok(()),
                    false => refuse(&MISMATCH),
                }
            }
            KeyMaterial::Public(key) => match key.verify(signed, signature, host) {
                KeyVerdict::Valid => Ok(()),
                KeyVerdict::Invalid => refuse(&MISMATCH),
                KeyVerdict::Unavailable => refuse(&CHECK),
            },
        }
    }

    /// The variable in which its secret stands, if it has one.
    pub(super) fn secret(&self) -> Option<&str> {
        match &self.material {
            KeyMaterial::Secret(secret) => Some(secret.name()),
            KeyMaterial::Public(_) => None,
        }
    }

    /// The variable of the environment that it needs.
    pub(super) fn variable(&self, signer: &str) -> Option<Variable> {
        match &self.material {
            KeyMaterial::Secret(secret) => Some(secret.variable(signer)),
            KeyMaterial::Public(_) => None,
        }
    }

    /// How many bytes of memory it takes, roughly.
    pub(super) fn memory(&self) -> usize {
        // An RSA key with what is computed of it beforehand is the largest.
        const MATERIAL: usize = 4096;
        self.client.memory().saturating_add(MATERIAL)
    }
}

fn read_id<'d>(node: &Node<'d>, problems: &mut Problems) -> Option<&'d str> {
    let id = node.non_empty(problems)?;
    let plain = |b: u8| (b' '..=b'~').contains(&b);
    if id.len() > LONGEST_ID || !id.bytes().all(plain) {
        node.report(
            problems,
            "must be 1 to 256 printable ASCII characters, as `keyid` has them",
        );
        return None;
    }
    Some(id)
}

fn read_secret(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<KeyMaterial> {
    let encoding = fields.or_default(
        "secret_encoding",
        SecretEncoding::Text,
        problems,
        SecretEncoding::read,
    );
    let secret = fields.required("secret", problems).and_then(|node| {
        SharedSecret::read(&node, encoding.unwrap_or(SecretEncoding::Text), problems)
    });
    encoding?;
    secret.map(KeyMaterial::Secret)
}
