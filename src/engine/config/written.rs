//! Header fields that a document has written or taken away, and that something else writes, or judges by.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::document::Document;
use super::problem::{Pointer, Problems, Quoted};
use super::request_id::RequestId;
use super::routes::Block;
use crate::engine::{Chain, Route, Step};
use portcullis_exchange::policy::{ChangedRequestField, RequestFieldChange};
use portcullis_exchange::versions::{VersionPlace, VersionScheme};
use portcullis_wire::headers::{HeaderName, are_alike};

impl Document<'_> {
    /// Reports fields of responses that two policies of a route at that place write, so that one of them says
    /// nothing.
    pub(super) fn check_written(&mut self, chain: &Block, at: &Pointer) {
        let steps = || chain.steps.iter();
        for step in steps() {
            let others = || steps().filter(|other| other.kind != step.kind);
            let written = || {
                let declared = &step.declared;
                declared
                    .sets_response_headers
                    .iter()
                    .chain(&declared.answers_with)
            };
            for other in others() {
                let Some(age) = &other.declared.tells_age else {
                    continue;
                };
                let answered = &other.declared.replaces_response_headers;
                let set = step.declared.sets_response_headers.iter();
                let set = set.filter(|name| age.names.contains(name));
                let sent = step.declared.answers_with.iter();
                let sent = sent.filter(|name| answered.contains(name));
                for name in set.chain(sent) {
                    self.problems.report(
                        at,
                        format_args!(
                            "`{}` names {}, which the dates and links of {} write; take it out, and say in `upstream_headers` there what becomes of the service's own",
                            step.name,
                            Quoted(name.as_str()),
                            age.place
                        ),
                    );
                }
            }
            let own = self.sections.find::<RequestId>();
            let twice = own.filter(|own| written().any(|name| *name == own.0));
            if let Some(own) = twice {
                self.problems.report(
                    at,
                    format_args!(
                        "`{}` names {}, in which `request_id` writes the id of the request; choose another name",
                        step.name,
                        Quoted(own.0.as_str())
                    ),
                );
            }
            self.check_replaced(step, chain, at);
        }
    }

    /// Reports what one policy writes into responses and another replaces.
    fn check_replaced(&mut self, step: &Step, chain: &Block, at: &Pointer) {
        let others = chain.steps.iter().filter(|other| other.kind != step.kind);
        // What tells of an age has been looked at.
        for other in others.filter(|other| other.declared.tells_age.is_none()) {
            let both = |names: &[HeaderName], theirs: &[HeaderName]| {
                names.iter().find(|name| theirs.contains(name)).cloned()
            };
            let (own, theirs) = (&step.declared, &other.declared);
            let written = match step.name {
                "response_headers" => {
                    both(&theirs.sets_response_headers, &own.sets_response_headers)
                }
                _ => None,
            };
            let answered = both(&own.answers_with, &theirs.replaces_response_headers);
            if let Some(name) = written {
                self.problems.report(
                    at,
                    format_args!(
                        "`response_headers` and `{0}` both write {1}; say it in `{0}` alone",
                        other.name,
                        Quoted(name.as_str())
                    ),
                );
            }
            if let Some(name) = answered {
                self.problems.report(
                    at,
                    format_args!(
                        "`{0}` writes {1}, and `{2}` replaces it in every response; say it in `{2}` alone, or name another header in one of them",
                        step.name,
                        Quoted(name.as_str()),
                        other.name
                    ),
                );
            }
        }
    }
}

/// Reports request fields that name the version of a request, and that a policy of the route changes: the service
/// would see another version than the one that was judged.
pub(super) fn report_changed_versions(routes: &[Route], problems: &mut Problems) {
    let mut reported = BTreeSet::new();
    for route in routes {
        let steps = || route.chain.steps.iter();
        let judged = steps().filter_map(|step| step.declared.judges_versions.as_ref());
        let mut schemes: Vec<&Rc<VersionScheme>> = judged.collect();
        schemes.extend(route.matcher.version_scheme());
        for field in steps().flat_map(|step| &step.declared.sets_request_headers) {
            for scheme in &schemes {
                let Some(place) = changed_place(field, scheme) else {
                    continue;
                };
                let at = format!("{}/in/{place}", scheme.pointer);
                if !reported.insert((field.place.to_string(), at.clone())) {
                    continue;
                }
                problems.report(
                    &field.place,
                    format_args!(
                        "names the header field {}, by which {at} tells versions: the service would see another version than the one that is judged; leave it alone",
                        Quoted(field.name.as_str())
                    ),
                );
            }
        }
    }
}

/// The place of `in` that a policy changes, if it changes one.
fn changed_place(field: &ChangedRequestField, scheme: &VersionScheme) -> Option<usize> {
    let names_it = |place: &VersionPlace| {
        place
            .header()
            .is_some_and(|name| is_alike(&name, &field.name))
    };
    let place = scheme.places.iter().position(names_it)?;
    // A service that is told of the usual version, where nothing else can name one, sees what is judged.
    let usual = scheme.usual.and_then(|usual| scheme.known.get(usual));
    let is_only = matches!(scheme.places.as_slice(), [VersionPlace::Header(_)]);
    let is_usual = match (&field.change, usual) {
        (RequestFieldChange::AddIfAbsent(Some(value)), Some(usual)) => {
            value.as_bytes() == usual.name.as_bytes()
        }
        _ => false,
    };
    (!(is_only && is_usual)).then_some(place)
}

/// Notes request fields by which a route judges, and of which the service gets another value.
pub(super) fn note_changed(routes: &[Route]) -> Vec<String> {
    let mut noted = BTreeSet::new();
    let mut notes = Vec::new();
    for route in routes {
        let fields = changed(&route.chain);
        for field in fields.filter(|field| field.change != RequestFieldChange::Remove) {
            let judged = judged_at(route, &field.name);
            let Some(judged) = judged.filter(|judged| {
                noted.insert((field.place.to_string(), field.name.clone(), judged.clone()))
            }) else {
                continue;
            };
            notes.push(format!(
                "{}: writes the header field {}, by which {judged} goes: that sees what the client sent, and the service gets another value",
                field.place,
                Quoted(field.name.as_str())
            ));
        }
    }
    notes
}

/// What goes by a request field on a route.
fn judged_at(route: &Route, name: &HeaderName) -> Option<String> {
    let steps = || route.chain.steps.iter();
    let of_steps = steps().flat_map(|step| &step.declared.conditions_on_headers);
    let of_steps = of_steps.map(|(name, place)| (name, place));
    let mut conditions = route.matcher.conditions_on_headers().chain(of_steps);
    let condition = conditions.find(|(each, _)| is_alike(each, name));
    if let Some((_, place)) = condition {
        return Some(place.to_string());
    }
    let counts = |step: &&Step| {
        let mut names = step.declared.counted_request_headers.iter();
        names.any(|each| is_alike(each, name))
    };
    let step = steps().find(counts)?;
    Some(format!("`{}`", step.name))
}

fn changed(chain: &Chain) -> impl Iterator<Item = &ChangedRequestField> {
    let steps = chain.steps.iter();
    steps.flat_map(|step| &step.declared.sets_request_headers)
}

fn is_alike(one: &HeaderName, other: &HeaderName) -> bool {
    are_alike(one.as_str().as_bytes(), other.as_str().as_bytes())
}
