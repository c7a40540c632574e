//! A token beside credentials of other kinds.

use std::rc::Rc;

use super::claimant::UnverifiedSubject;
use super::provider::Providers;
use super::refusals::REPEATED;
use super::{ProviderRequirement, distinct};
use crate::authn::challenge::{Challenges, plain_challenge};
use crate::authn::combination::Needed;
use crate::authn::member::{About, Member, TokenShape};
use portcullis_document::Fields;
use portcullis_exchange::exchange::ClaimedSubject;
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

    fn challenge_alone(realm: &str) -> Option<String> {
        Some(plain_challenge("Bearer", realm))
    }

    fn challenges(about: &About<'_>, scopes: &str) -> Option<Challenges> {
        Challenges::bearer(&REPEATED, about.realm, scopes)?.beside(about.beside)
    }

    fn shape(_: &[Self]) -> TokenShape {
        TokenShape::SignedJwt
    }

    fn declare(&self, declared: &mut Declaration) {
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
