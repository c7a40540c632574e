//! Versions of an API: which one a request is for, and that old ones go in good order.
//!
//! How versions are named is said once, in the document or in an API; what a request names is found in the
//! exchange layer, since routes are chosen by it. Here it is judged, in two parts: at the beginning whether there
//! is such a version, and, when it is known who calls, whether it is switched off for a while.

mod dates;
mod known;
mod lifecycle;
mod links;
mod read;
mod schemes;
mod section;

use std::rc::Rc;

use portcullis_document::{Fields, Node};
use portcullis_exchange::edit::Edit;
use portcullis_exchange::exchange::{Author, Exchange, Response};
use portcullis_exchange::host::Host;
use portcullis_exchange::lifecycle::{Lifecycle, VersionCounts};
use portcullis_exchange::policy::{
    AgeFields, ChainPart, Compile, Context, Declaration, Policy, PolicyKind, Role, Stage, Verdict,
};
use portcullis_exchange::refusal::Fact;
pub use portcullis_exchange::versions::refusals;
use portcullis_exchange::versions::{VersionScheme, refused_version};
use portcullis_wire::headers::HeaderName;

use self::lifecycle::{DEPRECATION, LINK, SUNSET};
use self::links::OwnFields;

pub(crate) use self::lifecycle::read_lifecycle;
pub(crate) use self::links::{UpstreamFields, read_upstream};
pub(crate) use self::read::read_scheme;
pub(crate) use self::schemes::VersionSchemes;
pub use self::section::Versions;
pub(crate) use self::section::show;

/// `versions: { mode }`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "versions",
    role: Role::Guards,
    codes: refusals::CODES,
    compile: Compile::Everywhere {
        object: compile,
        always,
        may_be_off: true,
    },
    rules: &[],
};

/// Versions of every route whose document or API has them.
fn always(block: Option<&Node<'_>>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    if !crate::HAS_TRAFFIC {
        return Some(Vec::new());
    }
    // A block is judged as it says itself.
    Some(match (block, &context.versions) {
        (None, Some(declared)) => parts(declared),
        _ => Vec::new(),
    })
}

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    if context.place.ends_with("/shadow") {
        context.problems.report(
            fields.pointer(),
            "there is nothing to try beside: say `mode: shadow` in `versions`",
        );
        return None;
    }
    let Some(declared) = &context.versions else {
        // In `defaults` no route is known, nor its API.
        if context.place != "defaults" {
            context.problems.report(
                fields.pointer(),
                "there are no versions: say in `versions` of the document, or of the API of the route, where requests name one",
            );
        } else {
            context.problems.report(
                fields.pointer(),
                "says nothing here: versions are judged on every route; say `mode` in `versions` of the document, or in a route",
            );
        }
        return None;
    };
    Some(parts(declared))
}

fn parts(scheme: &Rc<VersionScheme>) -> Vec<ChainPart> {
    let parameters: Rc<[Box<str>]> = scheme.parameters().map(Box::from).collect();
    let parameters = (!parameters.is_empty()).then_some(parameters);
    let mut parts = ChainPart::only(Stage::Origin, VersionJudge(Rc::clone(scheme), parameters));
    let mut known = scheme.known.iter();
    if known.any(|version| !version.lifecycle.brownouts.is_empty()) {
        parts.extend(ChainPart::only(
            Stage::Access,
            BrownoutJudge(Rc::clone(scheme)),
        ));
    }
    parts
}

/// Whether there is such a version, and what is told of it; and the parameters of the query that name one.
struct VersionJudge(Rc<VersionScheme>, Option<Rc<[Box<str>]>>);

impl Policy for VersionJudge {
    fn check_request(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        if let Some(parameters) = &self.1 {
            exchange.facts.seldom_mut().version_parameters = Some(Rc::clone(parameters));
        }
        let (version, refusal) = self.0.judge(&exchange.request, exchange.arrived);
        let version = version.unwrap_or_else(|fault| {
            exchange.facts.seldom_mut().version_fault = Some(fault);
            None
        });
        if let Some(version) = version.as_ref().and_then(|version| version.of.as_ref()) {
            let is_tried = host.is_read_only();
            version.counts.judged(refusal.is_some(), is_tried);
        }
        exchange.facts.note_version(version);
        refusal.map_or(Verdict::Pass, Verdict::Refuse)
    }

    fn edit_response(&self, response: &mut Response<'_>, _: &dyn Host) {
        let version = response.facts.version();
        let Some(version) = version.and_then(|version| version.of.clone()) else {
            return;
        };
        tell(&version.lifecycle, self.0.upstream, response);
    }

    fn declares(&self) -> Declaration {
        let lifecycles = self.0.known.iter().map(|version| &version.lifecycle);
        let age = age_fields(lifecycles, self.0.upstream, &self.0.pointer);
        Declaration {
            mode: self.0.mode,
            reads_response: reads_response(self.0.upstream, self.0.tells_of_age()),
            judged_request_headers: self.0.header_names().collect(),
            only_looks_in_shadow: true,
            replaces_response_headers: age.as_ref().map(replaced).unwrap_or_default(),
            tells_age: age,
            judges_versions: Some(Rc::clone(&self.0)),
            ..Declaration::default()
        }
    }
}

/// The fields in which that is told of lifecycles whose dates and links stand there.
pub(crate) fn age_fields<'l>(
    lifecycles: impl Iterator<Item = &'l Lifecycle>,
    upstream: UpstreamFields,
    place: &Rc<str>,
) -> Option<AgeFields> {
    let written: Vec<&str> = lifecycles
        .flat_map(|lifecycle| &lifecycle.fields)
        .map(|(name, _)| name.as_str())
        .collect();
    let is_told = |name: &&str| upstream == UpstreamFields::Remove || written.contains(name);
    let names = [DEPRECATION, SUNSET, LINK].into_iter().filter(is_told);
    let names = names.filter_map(|name| HeaderName::parse(name).ok());
    let names: Vec<HeaderName> = names.collect();
    (!names.is_empty()).then(|| AgeFields {
        names,
        place: Rc::clone(place),
    })
}

/// Those of which nothing else stays. Links stand beside others.
pub(crate) fn replaced(age: &AgeFields) -> Vec<HeaderName> {
    let names = age.names.iter().filter(|name| name.as_str() != LINK);
    names.cloned().collect()
}

/// Writes what is told of a lifecycle to an answer, which may have fields of its own.
pub(crate) fn tell(lifecycle: &Lifecycle, upstream: UpstreamFields, response: &mut Response<'_>) {
    if lifecycle.fields.is_empty() && upstream != UpstreamFields::Remove {
        return;
    }
    if upstream == UpstreamFields::Replace || response.author == Author::Filter {
        response
            .edits
            .push(Edit::Prepared(Rc::clone(&lifecycle.edits)));
        return;
    }
    let own = OwnFields::of(response.headers);
    let edits = own.edits(lifecycle, upstream);
    response.edits.extend(edits);
}

/// Whether the fields of answers are looked at.
pub(crate) fn reads_response(upstream: UpstreamFields, tells_of_age: bool) -> bool {
    match upstream {
        UpstreamFields::Replace => false,
        UpstreamFields::Keep => tells_of_age,
        UpstreamFields::Remove => true,
    }
}

/// Whether a version is switched off for a while.
struct BrownoutJudge(Rc<VersionScheme>);

impl Policy for BrownoutJudge {
    fn check_request(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        let version = exchange.facts.version();
        let version = version.filter(|version| !version.state.is_gone());
        let Some(version) = version.and_then(|version| version.of.clone()) else {
            return Verdict::Pass;
        };
        let Some(window) = version.lifecycle.brownout(exchange.arrived) else {
            return Verdict::Pass;
        };
        let is_drawn = window.takes_next();
        exchange.facts.note_drawn(is_drawn);
        if !is_drawn {
            return Verdict::Pass;
        }
        VersionCounts::add(match host.is_read_only() {
            true => &version.counts.shadow_refused,
            false => &version.counts.brownouts,
        });
        let refusal = refused_version(&refusals::WINDOW, &version, "brownouts");
        Verdict::Refuse(refusal.and("until", Fact::Number(u64::from(window.until))))
    }

    fn declares(&self) -> Declaration {
        Declaration {
            mode: self.0.mode,
            only_looks_in_shadow: true,
            ..Declaration::default()
        }
    }
}
