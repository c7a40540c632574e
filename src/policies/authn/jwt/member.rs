//! A token beside credentials of other kinds.

use std::rc::Rc;

use super::bound::{Binding, challenge_of, challenges_of, tell_nonce};
use super::claimant::UnverifiedSubject;
use super::providers::Providers;
use super::refusals::REPEATED;
use super::{ProviderRequirement, distinct};
use crate::authn::challenge::{Challenges, metadata_parameter, plain_challenge};
use crate::authn::combination::Needed;
use crate::authn::member::{About, Member, TokenShape};
use portcullis_document::Fields;
use portcullis_exchange::exchange::{ClaimedSubject, Response};
use portcullis_exchange::policy::{Context, Declaration};

impl Member for ProviderRequirement {
    const NAME: &'static str = "jwt";
    const EXAMPLE: &'static str = "{\"provider\": \"…\"}";

    fn read(
        fields: &mut Fields<'_>,
        about: &About<'_>,
        context: &mut Context<'_>,
    ) -> Option<Option<Self>> {
        let providers = context.sections.get::<Providers>();
        let path = context.route_path();
        Self::read_one(fields, about, &providers, &path, context.problems)
    }

    fn challenge_alone(about: &About<'_>) -> Option<String> {
        let challenge = plain_challenge("Bearer", about.realm);
        Some(challenge + &metadata_parameter(about.metadata))
    }

    fn challenges(about: &About<'_>, scopes: &str) -> Option<Challenges> {
        challenges_of(&REPEATED, &[], about, scopes)
    }

    fn challenges_of_all(members: &[Self], about: &About<'_>) -> Option<Challenges> {
        challenges_of(&REPEATED, &bindings(members), about, "")
    }

    fn challenge_of_all(members: &[Self], about: &About<'_>) -> Option<String> {
        Some(challenge_of(&bindings(members), about))
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
        self.requirement.declare(declared);
        let forwarding = &self.provider.forwarding;
        declared
            .owned_request_headers
            .extend(forwarding.owned_headers());
        declared.exports.extend(forwarding.exports());
        declared.admits_any_token |= self.requirement.is_empty();
    }

    fn claimants(needed: Needed, members: &[Self]) -> Option<Rc<dyn ClaimedSubject>> {
        let providers = distinct(members).into_iter().map(Rc::clone).collect();
        Some(Rc::new(UnverifiedSubject::new(needed, providers)))
    }
}

fn bindings(members: &[ProviderRequirement]) -> Vec<&Binding> {
    let members = members.iter();
    members.map(|member| &member.provider.binding).collect()
}
