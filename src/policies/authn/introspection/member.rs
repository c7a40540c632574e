//! A token that a server is asked about, beside credentials of other kinds.

use super::ServerRequirement;
use super::refusals::REPEATED;
use super::servers::IntrospectionServers;
use crate::authn::challenge::{Challenges, metadata_parameter, plain_challenge};
use crate::authn::jwt::bound::{Binding, TokenChallenges, challenge_of, challenges_of, tell_nonce};
use crate::authn::member::{About, Member, TokenShape};
use crate::authn::requirement::Requirement;
use portcullis_document::{Fields, Quoted};
use portcullis_exchange::exchange::Response;
use portcullis_exchange::policy::{Context, Declaration};

impl Member for ServerRequirement {
    const NAME: &'static str = "introspection";
    const EXAMPLE: &'static str = "{\"server\": \"…\"}";

    fn read(
        fields: &mut Fields<'_>,
        about: &About<'_>,
        context: &mut Context<'_>,
    ) -> Option<Option<Self>> {
        let servers = context.sections.get::<IntrospectionServers>();
        let path = &context.route_path();
        let problems = &mut *context.problems;
        let server = fields
            .required("server", problems)
            .and_then(|node| servers.by_name.asked(&node, problems));
        let named = server.as_ref().and_then(Option::as_deref);
        let requirement =
            Requirement::beside(fields, named.map(|server| &server.roles), path, problems);
        let (server, requirement) = (server?, requirement?);
        let Some(server) = server else {
            return Some(None);
        };
        let scopes = requirement.scopes();
        let challenges = TokenChallenges::new(&REPEATED, &server.binding, about, &scopes)?;
        if server.lets_pass_unknown() && !requirement.is_empty() {
            context.notes.push(format!(
                "{}{}: `on_error: allow` of introspection server {} lets nothing pass here, since a token must grant what `require` says",
                fields.pointer(),
                about.at,
                Quoted(&server.name)
            ));
        }
        Some(Some(Self {
            at: about.at.to_owned(),
            server,
            requirement,
            challenges,
        }))
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

    fn shape(members: &[Self]) -> TokenShape {
        match members.iter().any(|each| each.server.asks_about_jwts()) {
            true => TokenShape::Any,
            false => TokenShape::Opaque,
        }
    }

    fn declare(&self, declared: &mut Declaration) {
        let judged = self.server.binding.judged_headers();
        declared.judged_request_headers.extend(judged);
        self.requirement.declare(declared);
        let forwarding = &self.server.forwarding;
        declared
            .owned_request_headers
            .extend(forwarding.owned_headers());
        declared.exports.extend(forwarding.exports());
        declared.admits_any_token |= self.requirement.is_empty();
    }
}

fn bindings(members: &[ServerRequirement]) -> Vec<&Binding> {
    let members = members.iter();
    members.map(|member| &member.server.binding).collect()
}
