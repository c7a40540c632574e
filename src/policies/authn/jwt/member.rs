//! A token beside credentials of other kinds.

use std::rc::Rc;

use super::bound::{proof_challenge, tell_nonce};
use super::challenges::challenges;
use super::claimant::UnverifiedSubject;
use super::provider::Providers;
use super::{ProviderRequirement, distinct};
use crate::authn::challenge::{Challenges, metadata_parameter, plain_challenge};
use crate::authn::combination::Needed;
use crate::authn::member::{About, Member, TokenShape};
use portcullis_document::Fields;
use portcullis_exchange::exchange::{ClaimedSubject, Response};
use portcullis_exchange::policy::{Context, Declaration};

impl Member for ProviderRequirement {
    const NAME: &'static str = "jwt";

    fn read(
        fields: &mut Fields<'_>,
        about: &About<'_>,
        context: &mut Context<'_>,
    ) -> Option<Option<Self>> {
        let providers = context.sections.get::<Providers>();
        Self::read_one(fields, about, &providers, context.problems)
    }

    fn challenge_alone(about: &About<'_>) -> Option<String> {
        let challenge = plain_challenge("Bearer", about.realm);
        Some(challenge + &metadata_parameter(about.metadata))
    }

    fn challenges(about: &About<'_>, scopes: &str) -> Option<Challenges> {
        super::challenges(&[], about, scopes)
    }

    fn challenges_of_all(members: &[Self], about: &About<'_>) -> Option<Challenges> {
        challenges(&distinct(members), about, "")
    }

    fn challenge_of_all(members: &[Self], about: &About<'_>) -> Option<String> {
        let bindings = || members.iter().map(|member| &member.provider.binding);
        let (realm, metadata) = (about.realm, about.metadata);
        let bearer = plain_challenge("Bearer", realm) + &metadata_parameter(metadata);
        let told = bindings().find_map(|binding| binding.told_algorithms());
        Some(
            match told.map(|algorithms| proof_challenge(realm, metadata, &algorithms)) {
                None => bearer,
                Some(proof) if bindings().all(|binding| binding.needs_proofs()) => proof,
                Some(proof) => format!("{bearer}, {proof}"),
            },
        )
    }

    fn edit_response(response: &mut Response<'_>) {
        tell_nonce(response);
    }

    fn shape(_: &[Self]) -> TokenShape {
        TokenShape::SignedJwt
    }

    fn declare(&self, declared: &mut Declaration) {
        let judged = self.provider.binding.judged_headers();
        declared.judged_request_headers.extend(judged);
        let forwarding = &self.provider.forwarding;
        declared
            .owned_request_headers
            .extend(forwarding.owned_headers());
        declared.exports.extend(forwarding.exports());
    }

    fn claimants(needed: Needed, members: &[Self]) -> Option<Rc<dyn ClaimedSubject>> {
        let providers = distinct(members).into_iter().map(Rc::clone).collect();
        Some(Rc::new(UnverifiedSubject::new(needed, providers)))
    }
}
