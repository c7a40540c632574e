//! What an authority says of the proofs that come with its tokens.

use std::time::Duration;

use super::super::algorithm::{ALGORITHMS, SignatureAlgorithm};
use super::super::jwk::read_algorithm;
use super::super::signature::SignatureBackend;
use super::BindingMode;
use super::authority::TokenAuthority;
use super::nonce::Nonces;
use super::target::SeenAs;
use portcullis_document::{Node, Problems};
use portcullis_wire::json::Json;

/// What is asked of a proof.
pub(super) struct ProofRules {
    /// Whose tokens it comes with.
    pub(super) authority: TokenAuthority,
    pub(super) mode: BindingMode,
    /// Those of public keys alone: RFC 9449 §11.6.
    pub(super) algorithms: Vec<SignatureAlgorithm>,
    /// For how long it is accepted after it was made.
    pub(super) lifetime: Duration,
    /// How far clocks may be apart.
    pub(super) skew: Duration,
    /// How clients see the service, if that is not how the requests that come say it.
    pub(super) origins: Vec<SeenAs>,
    /// Whether the document says that they may name any host.
    pub(super) any_origin: bool,
    pub(super) nonces: Option<Nonces>,
    /// How many proofs are remembered.
    pub(super) most: u64,
    pub(super) backend: SignatureBackend,
}

/// What has been said before of tokens, and what holds for proofs as well.
pub(super) struct Known<'k> {
    pub(super) authority: &'k TokenAuthority,
    pub(super) skew: Duration,
    pub(super) backend: SignatureBackend,
}

/// What is taken unless the document says so.
const USUAL: [SignatureAlgorithm; 4] = [
    SignatureAlgorithm::Es256,
    SignatureAlgorithm::EdDsa,
    SignatureAlgorithm::Ps256,
    SignatureAlgorithm::Rs256,
];
const LIFETIME: Duration = Duration::from_secs(60);
/// RFC 9449 §11.1: seconds or minutes.
const LONGEST: Duration = Duration::from_secs(600);
const MOST_ORIGINS: usize = 16;
/// In place of `origins`.
const ANY: &str = "any";
const MOST: u64 = 100_000;

impl ProofRules {
    /// What holds unless the document says so.
    pub(super) fn usual(known: &Known<'_>) -> Self {
        let suits = |algorithm: &SignatureAlgorithm| {
            let is_left_to_proxy = known.backend == SignatureBackend::Proxy;
            algorithm.is_available() && (!is_left_to_proxy || algorithm.suits_proxy())
        };
        Self {
            authority: known.authority.clone(),
            mode: BindingMode::IfBound,
            algorithms: USUAL.into_iter().filter(suits).collect(),
            lifetime: LIFETIME,
            skew: known.skew,
            origins: Vec::new(),
            any_origin: false,
            nonces: None,
            most: MOST,
            backend: known.backend,
        }
    }

    /// Reads `dpop`.
    pub(super) fn read(
        node: &Node<'_>,
        known: &Known<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let usual = Self::usual(known);
        if let Json::String(_) = node.json() {
            let mode = BindingMode::read(node, problems)?;
            return Some(Self { mode, ..usual });
        }
        let mut fields =
            node.fields_or(problems, "\"required\", \"if_bound\", \"off\" or an object")?;
        let mode = fields.or_default("mode", BindingMode::IfBound, problems, BindingMode::read);
        let algorithms = fields.or_default(
            "algorithms",
            usual.algorithms,
            problems,
            |node, problems| read_algorithms(node, known.backend, problems),
        );
        let lifetime = fields.or_default("proof_lifetime", LIFETIME, problems, |node, problems| {
            let lifetime = node.duration(problems)?;
            if !(Duration::from_secs(1)..=LONGEST).contains(&lifetime) {
                node.report(problems, "must be from 1s to 10m");
                return None;
            }
            Some(lifetime)
        });
        let origins = node.member("origins");
        let any_origin = origins.is_some_and(|node| node.json().as_str() == Some(ANY));
        let origins = fields.or_default("origins", Vec::new(), problems, read_origins);
        let nonces = fields.or_default("nonce", None, problems, Nonces::read);
        let most = fields.or_default("max_proofs", MOST, problems, |node, problems| {
            node.integer(problems, 128..=1_000_000)
        });
        fields.deny_unknown(problems);
        let mode = mode?;
        mode.deny_unasked(
            node,
            &[
                "algorithms",
                "proof_lifetime",
                "origins",
                "nonce",
                "max_proofs",
            ],
            problems,
        )?;
        Some(Self {
            mode,
            algorithms: algorithms?,
            lifetime: lifetime?,
            origins: origins?,
            any_origin,
            nonces: nonces?,
            most: most?,
            ..Self::usual(known)
        })
    }

    /// The names of the algorithms, as a challenge lists them: RFC 9449 §7.1.
    pub(super) fn algorithm_names(&self) -> String {
        let mut names: Vec<&str> = Vec::new();
        for algorithm in &self.algorithms {
            let named = ALGORITHMS.iter().find(|(_, each)| each == algorithm);
            let name = named.map(|(name, _)| *name);
            names.extend(name.filter(|name| !names.contains(name)));
        }
        names.join(" ")
    }

    /// How many bytes of memory it takes beside its own.
    pub(super) fn memory(&self) -> usize {
        let origins = self
            .origins
            .iter()
            .map(|origin| origin.memory().saturating_add(size_of::<SeenAs>()));
        origins.fold(self.algorithms.len(), usize::saturating_add)
    }
}

/// A list, or `any`, which is none.
fn read_origins(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<SeenAs>> {
    match node.json().as_str() {
        Some(ANY) => return Some(Vec::new()),
        Some(_) => {
            node.report(
                problems,
                "must be a list of how clients write the service, such as [\"https://api.example.com\"], or \"any\"",
            );
            return None;
        }
        None => {}
    }
    let origins = node.list(problems, SeenAs::read)?;
    if origins.len() > MOST_ORIGINS {
        node.report(problems, format_args!("has more than {MOST_ORIGINS} items"));
        return None;
    }
    Some(origins)
}

fn read_algorithms(
    node: &Node<'_>,
    backend: SignatureBackend,
    problems: &mut Problems,
) -> Option<Vec<SignatureAlgorithm>> {
    node.list(problems, |item, problems| {
        let algorithm = read_algorithm(item, problems)?;
        if algorithm.is_symmetric() {
            item.report(
                problems,
                "needs a secret that both know: a proof is signed with a key that its sender alone has",
            );
            return None;
        }
        if backend == SignatureBackend::Proxy && !algorithm.suits_proxy() {
            item.report(
                problems,
                "cannot be checked by the proxy, to which `signatures` leaves it",
            );
            return None;
        }
        Some(algorithm)
    })
}
