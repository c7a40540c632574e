//! What clients are told to do: to send a token, one that comes with a proof, or another.

use super::{Binding, ProofAudience, ProofChallenges, is_of_proof, proof_challenge, proof_parts};
use crate::authn::challenge::{Challenges, metadata_parameter, plain_challenge};
use crate::authn::member::About;
use crate::authn::presented::AuthScheme;
use portcullis_exchange::refusal::{Code, Refusal};

/// What the clients of one authority are told. What is said of proofs is made when it is said: there are many
/// challenges, and few routes ever need one.
pub(in crate::authn) struct TokenChallenges {
    /// With which code tokens are refused of which there are too many.
    several: &'static Code,
    /// For a token that came without a proof.
    plain: Challenges,
    realm: Box<str>,
    metadata: Box<str>,
    beside: Box<str>,
}

impl TokenChallenges {
    /// `scopes` are those that a client may lack.
    pub(in crate::authn) fn new(
        several: &'static Code,
        binding: &Binding,
        about: &About<'_>,
        scopes: &str,
    ) -> Option<Self> {
        let told = Self {
            several,
            plain: challenges_of(several, &[binding], about, scopes)?,
            realm: about.realm.into(),
            metadata: about.metadata.into(),
            beside: about.beside.into(),
        };
        if binding.takes_proofs() {
            // What can be written now can be written later.
            told.of_proofs(binding, scopes)?;
        }
        Some(told)
    }

    /// For a token that came without a proof.
    pub(in crate::authn) fn plain(&self) -> &Challenges {
        &self.plain
    }

    /// What a client is told that has sent a token with a proof, or should have.
    fn of_proofs(&self, binding: &Binding, scopes: &str) -> Option<ProofChallenges> {
        let bearer =
            || plain_challenge("Bearer", &self.realm) + &metadata_parameter(&self.metadata);
        let bearer = (!binding.needs_proofs()).then(bearer);
        ProofChallenges::new(&ProofAudience {
            several: self.several,
            realm: &self.realm,
            metadata: &self.metadata,
            algorithms: &binding.algorithms(),
            scopes,
            bearer: bearer.as_deref(),
            beside: &self.beside,
        })
    }

    /// With what a client is to do that has sent a token so.
    pub(in crate::authn) fn attach(
        &self,
        refusal: Refusal,
        scheme: AuthScheme,
        binding: &Binding,
        scopes: impl FnOnce() -> String,
    ) -> Refusal {
        let is_of_proof = scheme == AuthScheme::Dpop || is_of_proof(&refusal);
        let proofs = is_of_proof && binding.takes_proofs();
        let proofs = proofs.then(|| self.of_proofs(binding, &scopes())).flatten();
        match proofs {
            Some(proofs) => proofs.attach(refusal),
            None => self.plain.attach(refusal),
        }
    }
}

/// What asks for a token of any of these, and says what was wrong with one that came without a proof.
pub(in crate::authn) fn challenges_of(
    several: &'static Code,
    bindings: &[&Binding],
    about: &About<'_>,
    scopes: &str,
) -> Option<Challenges> {
    let told = bindings
        .iter()
        .find_map(|binding| binding.told_algorithms());
    match told {
        Some(algorithms) if bindings.iter().all(|binding| binding.needs_proofs()) => {
            let (start, end) = proof_parts(about.realm, about.metadata, &algorithms);
            Challenges::of_scheme(several, &start, &end, scopes)?.beside(about.beside)
        }
        Some(algorithms) => {
            let proof = proof_challenge(about.realm, about.metadata, &algorithms);
            let challenges = Challenges::bearer(several, about.realm, scopes)?;
            let challenges = challenges.with_metadata(about.metadata)?;
            challenges.beside(&proof)?.beside(about.beside)
        }
        None => {
            let challenges = Challenges::bearer(several, about.realm, scopes)?;
            let challenges = challenges.with_metadata(about.metadata)?;
            challenges.beside(about.beside)
        }
    }
}

/// The challenge that asks for a token of any of these, and says nothing else.
pub(in crate::authn) fn challenge_of(bindings: &[&Binding], about: &About<'_>) -> String {
    let (realm, metadata) = (about.realm, about.metadata);
    let bearer = plain_challenge("Bearer", realm) + &metadata_parameter(metadata);
    let told = bindings
        .iter()
        .find_map(|binding| binding.told_algorithms());
    match told.map(|algorithms| proof_challenge(realm, metadata, &algorithms)) {
        None => bearer,
        Some(proof) if bindings.iter().all(|binding| binding.needs_proofs()) => proof,
        Some(proof) => format!("{bearer}, {proof}"),
    }
}
