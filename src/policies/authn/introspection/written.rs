//! Reads what a document says of a server.

use std::rc::Rc;
use std::time::Duration;

use super::cache::AnswerCache;
use super::form::AskedTokens;
use super::patience::Patience;
use super::server::IntrospectionServer;
use super::settings::{Lifetimes, OnAskError, read_endpoint};
use crate::authn::certificate::set::CertificateSets;
use crate::authn::forwarding::Forwarding;
use crate::authn::jwt::bound::{Binding, OfAuthority, TokenAuthority};
use crate::authn::jwt::cache_limits::CacheLimits;
use crate::authn::jwt::claims::Accepted;
use crate::authn::jwt::rules::read_rules_of_answers;
use crate::authn::jwt::signature::SignatureBackend;
use crate::authn::location::Locations;
use crate::authn::revocation::{RevocationLists, UsedLists};
use crate::authn::roles::RoleRules;
use portcullis_document::{Node, Quoted};
use portcullis_exchange::refusal::BlockPlace;
use portcullis_exchange::section::Reading;
use portcullis_wire::budget::Share;

/// What a server takes of memory beside what its block has.
const FIXED: usize = 4096;

impl IntrospectionServer {
    pub(super) fn read(
        name: &Rc<str>,
        node: &Node<'_>,
        limits: CacheLimits,
        reading: &mut Reading<'_>,
    ) -> Option<Self> {
        let sets = reading.known.get::<CertificateSets>();
        let lists = reading.known.get::<RevocationLists>();
        let (notes, problems) = (&mut *reading.notes, &mut *reading.problems);
        let mut fields = node.object(problems, "{\"cluster\": \"…\", \"uri\": \"…\"}")?;
        let endpoint = read_endpoint(&mut fields, problems);
        let tokens =
            fields.or_default("tokens", AskedTokens::Opaque, problems, |node, problems| {
                let choices = [("opaque", AskedTokens::Opaque), ("any", AskedTokens::Any)];
                node.choice(problems, &choices)
            });
        let lifetimes = Lifetimes::read(&mut fields, problems);
        let on_error =
            fields.or_default("on_error", OnAskError::Deny, problems, |node, problems| {
                let choices = [("deny", OnAskError::Deny), ("allow", OnAskError::Allow)];
                node.choice(problems, &choices)
            });
        let cache = fields.or_default(
            "introspection_cache",
            Some(limits),
            problems,
            |node, problems| CacheLimits::read(node, limits, problems),
        );
        let rules = read_rules_of_answers(&mut fields, problems);
        let lists = UsedLists::read(&mut fields, &lists, problems);
        let of_server = OfAuthority {
            authority: TokenAuthority::IntrospectionServer(Rc::clone(name)),
            clock_skew: rules
                .as_ref()
                .map_or(Duration::ZERO, |rules| rules.clock_skew),
            backend: SignatureBackend::Auto,
        };
        let binding = Binding::read(&mut fields, &of_server, &sets, problems);
        let locations = Locations::read(&mut fields, problems);
        let forwarding = Forwarding::read_without_payload(&mut fields, problems);
        let roles = RoleRules::read(&mut fields, problems);
        fields.deny_unknown(problems);
        let (rules, cache, on_error) = (rules?, cache?, on_error?);
        let (mut locations, binding) = (locations?, binding?);
        binding.settle(&mut locations, node, notes, problems)?;
        if !rules.revoked.key_ids.is_empty() {
            problems.report(
                &node.pointer().member("revoked").member("kid"),
                "an answer does not say which key has signed; list `jti` or `sub`",
            );
            return None;
        }
        if let Some(limits) = cache {
            problems.account(node.pointer(), Share::Caches, limits.max_bytes);
        }
        if matches!(rules.audiences, Accepted::Absent) {
            notes.push(format!(
                "introspection server {} has no `audiences`: tokens that name an audience are refused",
                Quoted(name)
            ));
        }
        if on_error == OnAskError::Allow && binding.is_demanded() {
            notes.push(format!(
                "introspection server {}: `on_error` is \"allow\" and lets nothing pass: `bound` demands of every token what is not known while it cannot be asked",
                Quoted(name)
            ));
        } else if on_error == OnAskError::Allow {
            notes.push(format!(
                "introspection server {}: `on_error` is \"allow\": while it cannot be asked, any token opens the routes that require nothing more of one; whoever keeps it from answering opens them too",
                Quoted(name)
            ));
        }
        let place = BlockPlace::of(node);
        problems.account(
            node.pointer(),
            Share::Documents,
            FIXED.saturating_add(place.memory()),
        );
        Some(Self {
            name: Rc::clone(name),
            place,
            locations,
            forwarding: forwarding?,
            roles: roles?,
            tokens: tokens?,
            endpoint: endpoint?,
            rules,
            lists: lists?,
            binding,
            lifetimes: lifetimes?,
            on_error,
            cache: cache.map(AnswerCache::new),
            patience: Patience::default(),
        })
    }
}
