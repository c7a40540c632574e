//! What clients are told to do: to send a token, one that comes with a proof, or another.

use std::rc::Rc;

use super::ProviderRequirement;
use super::bound::{ProofAudience, ProofChallenges, is_of_proof, proof_challenge, proof_parts};
use super::provider::Provider;
use super::refusals::REPEATED;
use crate::authn::challenge::{Challenges, metadata_parameter, plain_challenge};
use crate::authn::location::AuthScheme;
use crate::authn::member::About;
use portcullis_exchange::refusal::Refusal;

impl ProviderRequirement {
    /// What a client is told that has sent a token with a proof, or should have.
    pub(super) fn proof_challenges(&self) -> Option<ProofChallenges> {
        let binding = &self.provider.binding;
        let bearer = match binding.needs_proofs() {
            true => String::new(),
            false => plain_challenge("Bearer", &self.realm) + &metadata_parameter(&self.metadata),
        };
        let others = [&*bearer, &*self.beside];
        let others: Vec<&str> = others.into_iter().filter(|text| !text.is_empty()).collect();
        ProofChallenges::new(&ProofAudience {
            several: &REPEATED,
            realm: &self.realm,
            metadata: &self.metadata,
            algorithms: &binding.algorithms(),
            scopes: &self.requirement.scopes(),
            beside: &others.join(", "),
        })
    }

    /// With what a client is to do that has sent a token so.
    pub(super) fn attach(&self, refusal: Refusal, scheme: AuthScheme) -> Refusal {
        let is_of_proof = scheme == AuthScheme::Dpop || is_of_proof(&refusal);
        let proofs = is_of_proof && self.provider.binding.takes_proofs();
        match proofs.then(|| self.proof_challenges()).flatten() {
            Some(proofs) => proofs.attach(refusal),
            None => self.challenges.attach(refusal),
        }
    }
}

/// What asks for a token of any of these providers, and says what was wrong with one that came without a proof.
pub(super) fn challenges(
    providers: &[&Rc<Provider>],
    about: &About<'_>,
    scopes: &str,
) -> Option<Challenges> {
    let mut told = providers
        .iter()
        .map(|provider| provider.binding.told_algorithms());
    let told = told.find_map(|told| told);
    let needs_proofs = providers
        .iter()
        .all(|provider| provider.binding.needs_proofs());
    match told {
        Some(algorithms) if needs_proofs => {
            let (start, end) = proof_parts(about.realm, about.metadata, &algorithms);
            Challenges::of_scheme(&REPEATED, &start, &end, scopes)?.beside(about.beside)
        }
        Some(algorithms) => {
            let proof = proof_challenge(about.realm, about.metadata, &algorithms);
            let challenges = Challenges::bearer(&REPEATED, about.realm, scopes)?;
            let challenges = challenges.with_metadata(about.metadata)?;
            challenges.beside(&proof)?.beside(about.beside)
        }
        None => {
            let challenges = Challenges::bearer(&REPEATED, about.realm, scopes)?;
            let challenges = challenges.with_metadata(about.metadata)?;
            challenges.beside(about.beside)
        }
    }
}
