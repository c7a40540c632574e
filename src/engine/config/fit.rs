//! Whether the policies of a route fit one another.

use super::document::Document;
use super::problem::{DidYouMean, Pointer, Quoted};
use super::routes::Block;
use crate::engine::{Mode, Step};
use portcullis_exchange::policy::{Misfits, RouteCredentials, Stage};
use portcullis_exchange::route::RequestMatcher;
use portcullis_exchange::versions::{VersionPlace, VersionScheme};

impl Document<'_> {
    /// Reports the policies of a route at that place which do not fit how it asks for credentials.
    pub(super) fn check_fit(&mut self, guard: Option<Mode>, chain: &Block, at: &Pointer) {
        let asked = chain.steps.iter();
        let asked = asked.filter_map(|step| step.declared.asks_for.as_ref());
        let credentials = RouteCredentials {
            guard,
            asked: asked.collect(),
        };
        for step in chain.steps.iter().chain(&chain.beside) {
            let Misfits { problems, notes } = step.policy.misfits(&credentials);
            let name = step.name;
            for problem in problems {
                self.problems
                    .report(at, format_args!("`{name}`: {problem}"));
            }
            let notes = notes.iter().map(|note| format!("{at}: `{name}`: {note}"));
            self.notes.extend(notes);
        }
    }

    /// Reports the policies of a route at that place which are for operations that its API does not have.
    pub(super) fn check_operations(&mut self, chain: &Block, is_whole: bool, at: &Pointer) {
        let mut declared = chain.steps.iter();
        let api = declared.find_map(|step| step.declared.operations.clone());
        // The block that names the API may be wrong, and have been reported.
        if api.is_none() && !is_whole {
            return;
        }
        for step in chain.steps.iter().chain(&chain.beside) {
            for problem in step.policy.misfits_of_api(api.as_deref()) {
                self.problems
                    .report(at, format_args!("`{}`: {problem}", step.name));
            }
        }
    }

    /// Reports the policies of a route at that place which go by GraphQL requests, where nothing reads them.
    pub(super) fn check_graphql(&mut self, chain: &Block, is_whole: bool, at: &Pointer) {
        let reads = |step: &Step| step.declared.reads_graphql;
        // The block that reads them may be wrong, and have been reported.
        if !is_whole || chain.steps.iter().any(reads) {
            return;
        }
        let asks = |step: &&Step| step.declared.asks_graphql;
        let mut asking = chain.steps.iter().chain(&chain.beside).filter(asks);
        if let Some(step) = asking.next() {
            self.problems.report(
                at,
                format_args!(
                    "`{}` goes by what GraphQL requests ask for, and the route has no `graphql`, which reads them: add it",
                    step.name
                ),
            );
        }
    }

    /// Reports a path that names a version which there is not, and notes versions that are all removed, of a route at
    /// that place: none of its requests would pass.
    pub(super) fn check_versions(
        &mut self,
        matcher: &RequestMatcher,
        scheme: &VersionScheme,
        at: &Pointer,
    ) {
        let mut named: Vec<&str> = matcher.versions().collect();
        for place in &scheme.places {
            let VersionPlace::PathSegment(segment) = place else {
                continue;
            };
            let (_, literal) = matcher.apart_from_version(Some(*segment));
            let Some(literal) = literal.filter(|literal| scheme.form.fits(literal)) else {
                continue;
            };
            // In another case it may be one that there is.
            let mut names = scheme.names();
            if !names.any(|name| name.eq_ignore_ascii_case(literal)) {
                let near = DidYouMean(literal, scheme.names());
                self.problems.report(
                    &at.member("match").member("path"),
                    format_args!(
                        "names the version {}, which there is not, so that every request is refused{near}",
                        Quoted(literal)
                    ),
                );
                return;
            }
            named.push(literal);
        }
        let is_removed = |name: &&str| {
            let mut known = scheme.known.iter();
            known.any(|version| *version.name == **name && version.lifecycle.is_removed)
        };
        if !named.is_empty() && named.iter().all(is_removed) {
            self.notes.push(format!(
                "{at}/match: every request is refused, since {} of its versions is `removed`; remove the route: without it, clients get the same",
                match named.len() {
                    1 => "that",
                    _ => "each",
                }
            ));
        }
    }

    /// Notes what goes by versions of a route at that place which has none, by `versions: "off"`.
    pub(super) fn note_versions_off(
        &mut self,
        matcher: Option<&RequestMatcher>,
        chain: &Block,
        at: &Pointer,
    ) {
        if matcher.is_some_and(|matcher| matcher.versions().next().is_some()) {
            self.notes.push(format!(
                "{at}/match/version: the route is for some versions and says `versions: \"off\"`: their requests pass whatever their age, and clients are told nothing; remove one of them"
            ));
        }
        let mut steps = chain.steps.iter();
        if let Some(step) = steps.find(|step| step.declared.counts_versions) {
            self.notes.push(format!(
                "{at}: `{}` counts by version, and no request of the route has one, by `versions: \"off\"`: all of them count together",
                step.name
            ));
        }
    }

    /// Notes the policies of a route at that place which are never asked, and reports where a response would be sent
    /// before a policy has seen the body that it judges callers by.
    pub(super) fn check_ends(&mut self, chain: &Block, at: &Pointer) {
        let mut steps = chain.steps.iter();
        let ends = |step: &&Step| step.declared.ends_chain && step.is_always_enforced();
        let Some(last) = steps.find(ends) else {
            return;
        };
        let own = format!("{at}/");
        let is_written = |step: &&Step| {
            let place = step.place.as_ref();
            place.is_some_and(|place| place.pointer().starts_with(&own))
        };
        let later = |step: &&Step| {
            let after = (last.stage, last.kind) < (step.stage, step.kind);
            after && step.stage < Stage::Response && step.kind != last.kind
        };
        let mut names: Vec<&str> = Vec::new();
        for step in chain.steps.iter().filter(later).filter(is_written) {
            if !names.contains(&step.name) {
                names.push(step.name);
            }
        }
        for name in names {
            self.notes.push(format!(
                "{at}/{name}: is never asked: `{}` ends every request of the route first; remove one of them",
                last.name
            ));
        }
        let waits = |step: &&Step| {
            let is_before = (step.stage, step.kind) < (last.stage, last.kind);
            let goes_by_body = step.declared.names_caller_late
                || step.declared.reads_graphql
                || step.name == "access" && !step.declared.later_request_fields.is_empty();
            is_before && goes_by_body
        };
        if let Some(step) = chain.steps.iter().find(waits) {
            self.problems.report(
                at,
                format_args!(
                    "`{}` judges bodies, and `{}` answers before they come; remove one of them",
                    step.name, last.name
                ),
            );
        }
    }
}
