//! How many signatures are checked for one request: what a bad token may cost.

use std::cell::{Cell, RefCell};
use std::rc::Rc;

use super::algorithm::{ALGORITHMS, SignatureAlgorithm};
use super::jwk::Jwk;
use super::provider::Provider;
use super::token::TokenError;
use portcullis_document::{Fields, Problems};

/// What a provider says of how its keys are tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct KeyChoice {
    /// The most keys that one token is tried against.
    pub(super) most: usize,
    pub(super) naming: Naming,
}

/// Whether a token must say by which key it is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Naming {
    /// Its `kid` must be that of a key.
    Required,
    /// Without `kid`, keys of its algorithm are tried.
    Optional,
}

/// What is known of the key that a token was checked with. If it has a name, a token that names a key names
/// that one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SigningKey {
    /// It has a `kid` of its own.
    Named,
    /// It has none, and checks tokens whatever `kid` they have.
    Nameless,
}

/// Signature checks that one token still has, at all providers together, and what they came to: a
/// provider that several demands name checks it once.
pub(super) struct Allowance {
    left: Cell<usize>,
    /// Where each provider stands in memory, and what it said.
    settled: RefCell<Vec<(usize, Result<SigningKey, TokenError>)>>,
}

/// What came of a signature, if that is the same each time, and how many checks it took.
#[derive(Clone, Copy, Debug)]
pub(super) struct CheckedSignature {
    pub(super) said: Result<SigningKey, TokenError>,
    pub(super) checks: usize,
}

/// Two, so that a key can be replaced by another where neither has a name.
const DEFAULT: usize = 2;
const MOST: u64 = 8;

impl KeyChoice {
    /// Reads `max_signature_checks` and `require_kid`.
    pub(super) fn read(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Self> {
        let most = fields.or_default(
            "max_signature_checks",
            DEFAULT,
            problems,
            |node, problems| usize::try_from(node.integer(problems, 1..=MOST)?).ok(),
        );
        let naming = fields.or_default(
            "require_kid",
            Naming::Optional,
            problems,
            |node, problems| {
                Some(if node.boolean(problems)? {
                    Naming::Required
                } else {
                    Naming::Optional
                })
            },
        );
        Some(Self {
            most: most?,
            naming: naming?,
        })
    }

    /// Whether a key may check a token with this header.
    pub(super) fn fits(
        self,
        key: &Jwk,
        algorithm: SignatureAlgorithm,
        key_id: Option<&str>,
    ) -> bool {
        let named = self.naming == Naming::Optional || key.id.is_some();
        named && key.may_check(algorithm, key_id)
    }

    /// The keys that may check a token with this header: first the keys of its `kid`, then keys that
    /// are for its algorithm alone, then keys that are for others as well.
    pub(super) fn candidates<'k>(
        self,
        keys: &'k [Jwk],
        algorithm: SignatureAlgorithm,
        key_id: Option<&str>,
    ) -> impl Iterator<Item = &'k Jwk> {
        let rank = move |key: &Jwk| match (key_id, &key.id) {
            (Some(asked), Some(id)) if asked == id => 0,
            _ if key.algorithm.is_some() => 1,
            _ => 2,
        };
        (0..3).flat_map(move |place| {
            let fits = move |key: &&Jwk| rank(key) == place && self.fits(key, algorithm, key_id);
            keys.iter().filter(fits)
        })
    }

    /// What an operator should know of keys that stand in the document.
    pub(super) fn note(
        self,
        keys: &[Jwk],
        allows: impl Fn(SignatureAlgorithm) -> bool,
    ) -> Option<String> {
        if self.naming == Naming::Required {
            let nameless = keys.iter().filter(|key| key.id.is_none()).count();
            return (nameless > 0).then(|| {
                format!("{nameless} of its keys have no `kid` and are never used, since `require_kid` is set")
            });
        }
        let able = |algorithm: SignatureAlgorithm| {
            let able = keys.iter().filter(|key| key.may_check(algorithm, None));
            if allows(algorithm) { able.count() } else { 0 }
        };
        let counts = ALGORITHMS
            .iter()
            .map(|(name, algorithm)| (able(*algorithm), name));
        let (count, name) = counts.rev().max_by_key(|(count, _)| *count)?;
        let most = self.most;
        (count > most).then(|| {
            format!(
                "{count} keys can check {name}, and a token without `kid` is tried against {most} of them; set `require_kid`, or raise `max_signature_checks`"
            )
        })
    }
}

/// What an operator should know of providers of one `any_of`, which share the checks of a token: that
/// one without `kid` which several of them may have issued is not tried against the keys of all.
pub(super) fn note_shared(providers: &[&Rc<Provider>]) -> Option<String> {
    let most = providers
        .iter()
        .map(|provider| provider.choice.most)
        .max()?;
    let listed = providers.iter().filter_map(|provider| provider.issuers());
    // An issuer that nobody lists is accepted by those that accept any.
    let issuers = listed.flatten().map(Some).chain([None]);
    let pairs = issuers.flat_map(|issuer| ALGORITHMS.iter().map(move |each| (issuer, each)));
    pairs
        .filter_map(|(issuer, (name, algorithm))| {
            let accepts = |provider: &&&Rc<Provider>| match (provider.issuers(), issuer) {
                (None, _) => true,
                (Some(listed), Some(issuer)) => listed.contains(issuer),
                (Some(_), None) => false,
            };
            let able = providers.iter().filter(accepts);
            let checks = able.map(|provider| provider.nameless_checks(*algorithm));
            let checks = checks.fold(0_usize, usize::saturating_add);
            (checks > most).then(|| {
                format!(
                    "one issuer's tokens may be of several of these providers, which have {checks} keys for {name}; one without `kid` is tried against {most} of them; set `require_kid`, or raise `max_signature_checks`"
                )
            })
        })
        .next()
}

impl SigningKey {
    pub(super) fn of(key: &Jwk) -> Self {
        match key.id {
            Some(_) => Self::Named,
            None => Self::Nameless,
        }
    }
}

impl CheckedSignature {
    /// None if a token is to be judged anew each time: it cost nothing that is worth remembering, or another
    /// time it may come to something else. A provider checks against `most` keys.
    pub(super) fn of(
        said: Result<SigningKey, TokenError>,
        checks: usize,
        most: usize,
    ) -> Option<Self> {
        let lasts = match said {
            Ok(_) | Err(TokenError::Signature) => true,
            // Unless other providers had left it fewer checks.
            Err(TokenError::Untried) => checks == most,
            Err(_) => false,
        };
        (lasts && checks > 0).then_some(Self { said, checks })
    }
}

impl Allowance {
    pub(super) fn new(checks: usize) -> Self {
        Self {
            left: Cell::new(checks),
            settled: RefCell::default(),
        }
    }

    /// What a provider says of the signature; `check` is asked at most once for each provider.
    pub(super) fn settle(
        &self,
        provider: &Provider,
        check: impl FnOnce() -> Result<SigningKey, TokenError>,
    ) -> Result<SigningKey, TokenError> {
        let place = std::ptr::from_ref(provider).addr();
        if let Some(said) = self.known(place) {
            return said;
        }
        let said = check();
        self.settled.borrow_mut().push((place, said));
        said
    }

    /// What that provider has said of the signature.
    fn known(&self, place: usize) -> Option<Result<SigningKey, TokenError>> {
        let settled = self.settled.borrow();
        let mut settled = settled.iter();
        let known = settled.find(|(each, _)| *each == place);
        known.map(|(_, said)| *said)
    }

    /// Does as if the provider checked a signature once more. False, and nothing has been taken, if that
    /// would not come to the same here: there are fewer checks left, or it has said something else.
    pub(super) fn repeat(&self, provider: &Provider, signature: CheckedSignature) -> bool {
        let place = std::ptr::from_ref(provider).addr();
        let CheckedSignature { said, checks } = signature;
        if let Some(known) = self.known(place) {
            return known == said;
        }
        let Some(left) = self.left.get().checked_sub(checks) else {
            return false;
        };
        self.left.set(left);
        self.settled.borrow_mut().push((place, said));
        true
    }

    /// How many checks there are.
    pub(super) fn left(&self) -> usize {
        self.left.get()
    }

    /// Takes one check; whether there was one.
    pub(super) fn take(&self) -> bool {
        let left = self.left.get().checked_sub(1);
        self.left.set(left.unwrap_or(0));
        left.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::jwt::jwk;
    use portcullis_document::Node;
    use portcullis_wire::json::Json;

    const POINT: &str =
        r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;

    fn set(members: &[&str]) -> String {
        let keys: Vec<String> = members
            .iter()
            .map(|more| format!("{{{POINT}{more}}}"))
            .collect();
        format!(r#"{{"keys":[{}]}}"#, keys.join(","))
    }

    /// The places of the keys that are tried, in order.
    fn tried(members: &[&str], naming: Naming, key_id: Option<&str>) -> Vec<usize> {
        let json = Json::parse(set(members).as_bytes(), 8).unwrap();
        let keys = jwk::read_set(&Node::root(&json), &mut Problems::default()).unwrap();
        let choice = KeyChoice { most: 2, naming };
        let place = |key: &Jwk| {
            keys.iter()
                .position(|each| std::ptr::eq(each, key))
                .unwrap()
        };
        let candidates = choice.candidates(&keys, SignatureAlgorithm::EdDsa, key_id);
        candidates.map(place).collect()
    }

    #[test]
    fn the_likeliest_key_is_tried_first() {
        let members = [
            "",
            r#","kid":"a""#,
            r#","alg":"EdDSA""#,
            r#","kid":"b","alg":"EdDSA""#,
        ];
        let tried = |naming, key_id| tried(&members, naming, key_id);
        assert_eq!(tried(Naming::Optional, None), [2, 3, 0, 1]);
        assert_eq!(tried(Naming::Optional, Some("a")), [1, 2, 0]);
        assert_eq!(tried(Naming::Optional, Some("x")), [2, 0]);
        assert_eq!(tried(Naming::Required, Some("b")), [3]);
        assert_eq!(tried(Naming::Required, Some("x")), [0; 0]);
    }
}
