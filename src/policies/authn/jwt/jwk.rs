//! JSON Web Keys of the document: which keys a provider signs with.

use std::fmt;

use jwt_simple::reexports::ct_codecs::{Base64UrlSafeNoPadding, Decoder};

use super::algorithm::{ALGORITHMS, CHECKS_SIGNATURES, SignatureAlgorithm};
use super::ec::{CURVES, EcKey};
use super::ed25519::Ed25519Key;
use super::rsa::RsaKey;
use super::signature::{KeyClass, VerifyingKey};
use portcullis_document::{DidYouMean, Fields, LeftOut, Node, Problems, Quoted, is_near};
use portcullis_wire::json::{Json, Object};

/// The most keys that a provider may have.
pub(super) const MAX_KEYS: usize = 64;

/// That a set has so many keys, more than are taken.
pub(super) struct TooMany(pub(super) usize);

impl fmt::Display for TooMany {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "has {} keys, and at most {MAX_KEYS} can be used", self.0)
    }
}

/// A key and what it is for.
pub(super) struct Jwk {
    pub(super) id: Option<String>,
    /// The one algorithm, where the key names it.
    pub(super) algorithm: Option<SignatureAlgorithm>,
    pub(super) verifying: VerifyingKey,
}

/// Reads a JWK Set, RFC 7517 §5: other members beside `keys` are ignored. Unlike a set that a provider publishes, one that an operator
/// writes has no excuse for a key that cannot be used: it is an error.
pub(super) fn read_set(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<Jwk>> {
    let mut fields = node.fields(problems)?;
    let list = fields.required("keys", problems);
    list?.list(problems, Jwk::read)
}

/// Notes members of written keys whose names look misspelt. RFC 7517 §4 has unknown members
/// ignored, so a `kdi` in place of `kid` is no error, and yet not what was meant.
pub(super) fn note_misspelt(set: &Node<'_>, notes: &mut Vec<String>) {
    /// Members that may be left out, so that nothing else tells that they are not there.
    const OPTIONAL: [&str; 4] = ["kid", "alg", "use", "key_ops"];
    let keys = set.json().as_object().and_then(|set| set.member("keys"));
    let Some(Json::Array(keys)) = keys else {
        return;
    };
    for (index, key) in keys.iter().enumerate() {
        let members = key.as_object().into_iter().flat_map(Object::iter);
        for (name, _) in members.filter(|(name, _)| !OPTIONAL.contains(name)) {
            if let Some(meant) = OPTIONAL.iter().find(|meant| is_near(name, meant)) {
                let place = set.pointer().member("keys").item(index).member(name);
                notes.push(format!("{place}: ignored; did you mean {}?", Quoted(meant)));
            }
        }
    }
}

/// Notes members beside `keys`: RFC 7517 §5 has them ignored, and whoever wrote them may have
/// thought otherwise.
pub(super) fn note_unknown(set: &Node<'_>, notes: &mut Vec<String>) {
    const MOST: usize = 4;
    let members = set.json().as_object().into_iter().flat_map(Object::iter);
    let mut others = members.map(|(name, _)| name).filter(|name| *name != "keys");
    let named: Vec<String> = others
        .by_ref()
        .take(MOST)
        .map(|name| Quoted(name).to_string())
        .collect();
    if !named.is_empty() {
        let more = match others.count() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        notes.push(format!(
            "{}: only `keys` of a JWK Set is read (RFC 7517 §5); ignored: {}{more}",
            set.pointer(),
            named.join(", ")
        ));
    }
}

impl Jwk {
    /// Reads one key.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let key_type = fields.required("kty", problems)?;
        let kind = key_type.choice(
            problems,
            &[
                ("RSA", KeyType::Rsa),
                ("EC", KeyType::Ec),
                ("OKP", KeyType::Okp),
                ("oct", KeyType::Oct),
            ],
        )?;
        let id = fields.or_default("kid", None, problems, |node, problems| {
            node.text(problems).map(|id| Some(id.to_owned()))
        });
        let algorithm = fields.or_default("alg", None, problems, |node, problems| {
            read_own_algorithm(node, problems).map(Some)
        });
        let usable = check_use(&mut fields, problems);
        // RFC 7517 §4: what else a key may carry does not matter here.
        let verifying = match kind {
            KeyType::Rsa => read_rsa(&mut fields, problems),
            KeyType::Ec => read_ec(&mut fields, problems),
            KeyType::Okp => read_okp(&mut fields, problems),
            KeyType::Oct => read_oct(&mut fields, problems),
        };
        usable?;
        let key = Self {
            id: id?,
            algorithm: algorithm?,
            verifying: verifying?,
        };
        if key
            .algorithm
            .is_some_and(|algorithm| !key.verifying.allows(algorithm))
        {
            let is_mac = matches!(
                key.algorithm,
                Some(
                    SignatureAlgorithm::Hs256
                        | SignatureAlgorithm::Hs384
                        | SignatureAlgorithm::Hs512
                )
            );
            let reason = if is_mac && key.verifying.class() == KeyClass::Secret {
                "the secret is shorter than the hash of its `alg` (RFC 7518 §3.2)"
            } else {
                "the key and its `alg` do not belong together"
            };
            node.report(problems, reason);
            return None;
        }
        Some(key)
    }

    /// Whether the key may check a token with this header.
    pub(super) fn may_check(&self, algorithm: SignatureAlgorithm, key_id: Option<&str>) -> bool {
        let id_fits = match (key_id, &self.id) {
            (Some(asked), Some(id)) => asked == id,
            _ => true,
        };
        let algorithm_fits = self.algorithm.is_none_or(|own| own == algorithm);
        id_fits && algorithm_fits && self.verifying.allows(algorithm)
    }
}

#[derive(Clone, Copy)]
enum KeyType {
    Rsa,
    Ec,
    Okp,
    Oct,
}

/// Why a published key is of no use here, in its own words: every reader of the set can read them.
pub(super) fn unusable(key: &Json) -> Option<String> {
    let text = |name: &str| key.as_object()?.member(name)?.as_str();
    let other = |name: &'static str, known: &dyn Fn(&str) -> bool| {
        text(name).filter(|value| !known(value)).map(Quoted)
    };
    let kinds = ["RSA", "EC", "OKP", "oct"];
    if let Some(kind) = other("kty", &|kind| kinds.contains(&kind)) {
        return Some(format!("its `kty` is {kind}, which is not supported"));
    }
    if let Some(purpose) = other("use", &|purpose| purpose == "sig") {
        return Some(format!("its `use` is {purpose}, not \"sig\""));
    }
    if let Some(algorithm) = other("alg", &|name| SignatureAlgorithm::named(name).is_some()) {
        return Some(format!("its `alg` is {algorithm}, which is not supported"));
    }
    let is_curve = |name: &str| name == "Ed25519" || CURVES.iter().any(|(each, _)| *each == name);
    let curve = other("crv", &is_curve)?;
    Some(format!("its `crv` is {curve}, which is not supported"))
}

/// Reads the name of an algorithm that we check.
pub(super) fn read_algorithm(
    node: &Node<'_>,
    problems: &mut Problems,
) -> Option<SignatureAlgorithm> {
    let name = node.text(problems)?;
    let algorithm = SignatureAlgorithm::named(name);
    if algorithm.is_some_and(|algorithm| !algorithm.is_available()) {
        node.report(problems, LeftOut::SIGNATURES);
        return None;
    }
    if algorithm.is_none() {
        let near = DidYouMean(name, ALGORITHMS.iter().map(|(name, _)| *name));
        node.report(
            problems,
            format_args!(
                "{} is not a signature algorithm that is supported{near}",
                Quoted(name)
            ),
        );
    }
    algorithm
}

/// Reads the `alg` of a key. What stands in a key is not repeated: where a secret is written, it
/// may stand in the wrong place.
pub(super) fn read_own_algorithm(
    node: &Node<'_>,
    problems: &mut Problems,
) -> Option<SignatureAlgorithm> {
    let name = node.text(problems)?;
    let algorithm = SignatureAlgorithm::named(name);
    if algorithm.is_some_and(|algorithm| !algorithm.is_available()) {
        node.report(problems, LeftOut::SIGNATURES);
        return None;
    }
    if algorithm.is_none() {
        let near = DidYouMean(name, ALGORITHMS.iter().map(|(name, _)| *name));
        node.report(
            problems,
            format_args!("`alg` is not a signature algorithm that is supported{near}"),
        );
    }
    algorithm
}

/// RFC 7517 §4.2 and §4.3: a key for encryption or for signing only does not check signatures.
fn check_use(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<()> {
    let mut usable = Some(());
    if let Some(node) = fields.optional("use")
        && node.text(problems) != Some("sig")
    {
        node.report(
            problems,
            "the key is not for signatures (\"sig\"); remove it from the set",
        );
        usable = None;
    }
    if let Some(node) = fields.optional("key_ops") {
        let operations = node.list(problems, |item, problems| item.text(problems))?;
        if !operations.contains(&"verify") {
            node.report(
                problems,
                "the key is not for \"verify\"; remove it from the set",
            );
            usable = None;
        }
    }
    usable
}

fn read_rsa(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<VerifyingKey> {
    refuse_private(fields, problems)?;
    let modulus = required_bytes(fields, "n", problems);
    let exponent = required_bytes(fields, "e", problems);
    let key = RsaKey::new(&modulus?, &exponent?);
    if key.is_none() {
        problems.report(
            fields.pointer(),
            "not an RSA key of 2048 to 4096 bits with the exponent 65537",
        );
    }
    key.map(|key| VerifyingKey::Rsa(Box::new(key)))
}

fn read_ec(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<VerifyingKey> {
    refuse_private(fields, problems)?;
    let curve = fields
        .required("crv", problems)
        .and_then(|node| node.choice(problems, &CURVES));
    let x = required_bytes(fields, "x", problems);
    let y = required_bytes(fields, "y", problems);
    let curve = curve?;
    if !curve.algorithm().is_available() {
        problems.report(fields.pointer(), LeftOut::SIGNATURES);
        return None;
    }
    let key = EcKey::new(curve, &x?, &y?);
    if key.is_none() {
        problems.report(fields.pointer(), "`x` and `y` are not a point of the curve");
    }
    key.map(|key| VerifyingKey::Ec(Box::new(key)))
}

fn read_okp(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<VerifyingKey> {
    refuse_private(fields, problems)?;
    let curve = fields
        .required("crv", problems)
        .and_then(|node| node.choice(problems, &[("Ed25519", ())]));
    let x = required_bytes(fields, "x", problems);
    let (_, x) = (curve?, x?);
    if !CHECKS_SIGNATURES {
        problems.report(fields.pointer(), LeftOut::SIGNATURES);
        return None;
    }
    let key = Ed25519Key::new(&x);
    if key.is_none() {
        problems.report(fields.pointer(), "`x` is not an Ed25519 public key");
    }
    key.map(|key| VerifyingKey::Ed25519(Box::new(key)))
}

fn read_oct(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<VerifyingKey> {
    const LEAST: usize = 32;
    let secret = required_bytes(fields, "k", problems)?;
    if secret.len() < LEAST {
        problems.report(
            fields.pointer(),
            format_args!("the secret is shorter than {LEAST} bytes (RFC 7518 §3.2)"),
        );
        return None;
    }
    Some(VerifyingKey::Secret(secret))
}

/// A private key in a proxy's configuration is a leak, whatever reads it. RFC 7518 §6.2.2 and
/// §6.3.2: `d`, and for RSA what `d` can be computed from.
fn refuse_private(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<()> {
    const FIELDS: [&str; 7] = ["d", "p", "q", "dp", "dq", "qi", "oth"];
    let mut public = Some(());
    for name in FIELDS {
        if let Some(node) = fields.optional(name) {
            node.report(
                problems,
                "this is a private key; write only its public part, and replace the key",
            );
            public = None;
        }
    }
    public
}

fn required_bytes(
    fields: &mut Fields<'_>,
    name: &'static str,
    problems: &mut Problems,
) -> Option<Vec<u8>> {
    let node = fields.required(name, problems)?;
    let text = node.text(problems)?;
    let bytes = Base64UrlSafeNoPadding::decode_to_vec(text, None).ok();
    if bytes.is_none() {
        node.report(problems, "is not base64url without padding");
    }
    bytes
}
