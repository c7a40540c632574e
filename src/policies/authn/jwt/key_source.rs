//! Where a provider's keys come from: JWK Sets, PEM, secrets that only the VM's environment
//! knows, and keys that the provider publishes.

use std::rc::Rc;
use std::time::Duration;

use super::algorithm::{CHECKS_SIGNATURES, SignatureAlgorithm};
use super::claims::Accepted;
use super::jwk::{self, Jwk};
use super::pem;
use super::remote::RemoteKeys;
use super::signature::VerifyingKey;
use crate::authn::secret::{EnvironmentSecret, read_variable};
use portcullis_document::{Fields, LeftOut, Node, Problems};
use portcullis_exchange::host::Host;

/// A provider's keys.
pub(super) enum KeySource {
    /// Those of the document.
    Fixed(Rc<[Jwk]>),
    /// Keys that it publishes.
    Remote(Rc<RemoteKeys>),
}

/// The members of `jwks`, each of which is a source of keys of its own.
const FIELDS: [&str; 3] = ["remote", "discovery", "inline"];

impl KeySource {
    /// Reads `jwks`, `pem` and `hmac`. `issuers` are those whose tokens are accepted; `None` when
    /// something is wrong with them, which has been reported.
    pub(super) fn read(
        provider: &Rc<str>,
        issuers: Option<&Accepted>,
        fields: &mut Fields<'_>,
        notes: &mut Vec<String>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let jwks = fields.optional("jwks");
        let is_fetched = |node: &&Node<'_>| {
            let block = node.json().as_object();
            let has = |name: &&str| block.is_some_and(|block| block.member(name).is_some());
            ["remote", "discovery"].iter().any(has)
        };
        let Some(node) = jwks.as_ref().filter(is_fetched) else {
            return read_fixed(jwks, fields, notes, problems)
                .map(|keys| KeySource::Fixed(keys.into()));
        };
        let remote = read_fetched(provider, issuers, node, notes, problems);
        for name in ["pem", "hmac"] {
            if let Some(node) = fields.optional(name) {
                node.report(
                    problems,
                    "cannot stand beside keys that are fetched; make two providers and use `any_of`",
                );
                return None;
            }
        }
        remote.map(|remote| KeySource::Remote(Rc::new(remote)))
    }

    /// The keys to check tokens with; none while those of a provider are not there.
    pub(super) fn keys(&self, host: &dyn Host) -> Option<Rc<[Jwk]>> {
        match self {
            KeySource::Fixed(_) => self.keys_at(Duration::ZERO),
            KeySource::Remote(_) => self.keys_at(host.monotonic()),
        }
    }

    /// The same, where it is known what the clock says that does not step.
    pub(super) fn keys_at(&self, now: Duration) -> Option<Rc<[Jwk]>> {
        match self {
            KeySource::Fixed(keys) => Some(Rc::clone(keys)),
            KeySource::Remote(remote) => remote.keys(now),
        }
    }

    /// Keys that the provider publishes.
    pub(super) fn remote(&self) -> Option<&Rc<RemoteKeys>> {
        match self {
            KeySource::Fixed(_) => None,
            KeySource::Remote(remote) => Some(remote),
        }
    }
}

/// `jwks: { remote: {...} }` or `jwks: { discovery: {...} }`.
fn read_fetched(
    provider: &Rc<str>,
    issuers: Option<&Accepted>,
    node: &Node<'_>,
    notes: &mut Vec<String>,
    problems: &mut Problems,
) -> Option<RemoteKeys> {
    let mut fields = node.fields(problems)?;
    let mut written = FIELDS.iter().filter_map(|name| {
        let node = fields.optional(name)?;
        Some((*name, node))
    });
    let (first, second) = (written.next(), written.next());
    drop(written);
    let (name, source) = first?;
    if let Some((_, second)) = second {
        second.report(
            problems,
            format_args!("cannot stand beside `{name}`; keep one of them"),
        );
        return None;
    }
    fields.deny_unknown(problems);
    match name {
        "discovery" => RemoteKeys::read_discovery(provider, &source, issuers, notes, problems),
        _ => RemoteKeys::read(provider, &source, problems),
    }
}

/// Reads `jwks`, `pem` and `hmac`, of which there must be one; several make one set.
fn read_fixed(
    jwks: Option<Node<'_>>,
    fields: &mut Fields<'_>,
    notes: &mut Vec<String>,
    problems: &mut Problems,
) -> Option<Vec<Jwk>> {
    let pem = fields.optional("pem");
    let hmac = fields.optional("hmac");
    if jwks.is_none() && pem.is_none() && hmac.is_none() {
        let names = ["jwks", "pem", "hmac"];
        fields.lacks(&names, problems, "has no keys; add `jwks`, `pem` or `hmac`");
        return None;
    }
    let jwks = jwks.map_or_else(
        || Some(Vec::new()),
        |node| read_jwks(&node, notes, problems),
    );
    let pem = pem.map_or_else(|| Some(Vec::new()), |node| node.list(problems, read_pem));
    let hmac = hmac.map_or_else(|| Some(Vec::new()), |node| node.list(problems, read_secret));
    let keys: Vec<Jwk> = jwks?.into_iter().chain(pem?).chain(hmac?).collect();
    if keys.len() > jwk::MAX_KEYS {
        problems.report(
            fields.pointer(),
            format_args!(
                "{}; take out those that no token needs any more, or make two providers",
                jwk::TooMany(keys.len())
            ),
        );
        return None;
    }
    let class = keys.first().map(|key| key.verifying.class());
    if keys.iter().any(|key| Some(key.verifying.class()) != class) {
        problems.report(
            fields.pointer(),
            "mixes HMAC secrets with public keys, by which a public key could be passed off as a secret; make two providers",
        );
        return None;
    }
    Some(keys)
}

/// `jwks: { inline: { keys: [...] } }`.
fn read_jwks(
    node: &Node<'_>,
    notes: &mut Vec<String>,
    problems: &mut Problems,
) -> Option<Vec<Jwk>> {
    let mut fields = node.fields(problems)?;
    let inline = fields.optional("inline");
    if inline.is_none() {
        let reason = "lacks the field \"inline\"; or \"remote\", or \"discovery\"";
        fields.lacks(&FIELDS, problems, reason);
    }
    let keys = inline.and_then(|node| {
        jwk::note_misspelt(&node, notes);
        jwk::note_unknown(&node, notes);
        jwk::read_set(&node, problems)
    });
    fields.deny_unknown(problems);
    keys
}

/// `{ key, kid, alg }`, where `key` is a public key in PEM.
fn read_pem(node: &Node<'_>, problems: &mut Problems) -> Option<Jwk> {
    if !CHECKS_SIGNATURES {
        node.report(problems, LeftOut::SIGNATURES);
        return None;
    }
    let mut fields = node.fields(problems)?;
    let key = fields.required("key", problems);
    let (id, algorithm) = read_name(&mut fields, problems);
    fields.deny_unknown(problems);
    let key = key?;
    let text = key.text(problems)?;
    if text.contains("PRIVATE KEY") {
        key.report(
            problems,
            "this is a private key; write only its public part, and replace the key",
        );
        return None;
    }
    let verifying = pem::read(text.trim());
    if verifying.is_none() {
        key.report(
            problems,
            "is not a public key in PEM: RSA of 2048 to 4096 bits with the exponent 65537, P-256, P-384, P-521, secp256k1 with an uncompressed point, or Ed25519",
        );
    }
    finish(node, id?, algorithm?, verifying?, problems)
}

/// `{ env, kid, alg }`, where `env` is a variable of the VM that holds the secret.
fn read_secret(node: &Node<'_>, problems: &mut Problems) -> Option<Jwk> {
    let mut fields = node.fields(problems)?;
    let variable = fields
        .required("env", problems)
        .and_then(|node| read_variable(&node, problems));
    let (id, algorithm) = read_name(&mut fields, problems);
    fields.deny_unknown(problems);
    let verifying = VerifyingKey::Environment(EnvironmentSecret::new(variable?));
    finish(node, id?, algorithm?, verifying, problems)
}

/// What names a key: its `kid` and its `alg`, either of which may be absent.
type KeyName = (Option<Option<String>>, Option<Option<SignatureAlgorithm>>);

fn read_name(fields: &mut Fields<'_>, problems: &mut Problems) -> KeyName {
    let id = fields.or_default("kid", None, problems, |node, problems| {
        node.text(problems).map(|id| Some(id.to_owned()))
    });
    let algorithm = fields.or_default("alg", None, problems, |node, problems| {
        jwk::read_own_algorithm(node, problems).map(Some)
    });
    (id, algorithm)
}

fn finish(
    node: &Node<'_>,
    id: Option<String>,
    algorithm: Option<SignatureAlgorithm>,
    verifying: VerifyingKey,
    problems: &mut Problems,
) -> Option<Jwk> {
    if algorithm.is_some_and(|algorithm| !verifying.allows(algorithm)) {
        node.report(problems, "the key and its `alg` do not belong together");
        return None;
    }
    Some(Jwk {
        id,
        algorithm,
        verifying,
    })
}
