//! Reads `versions`.

use std::rc::Rc;

use crate::HAS_TRAFFIC;
use portcullis_document::LeftOut;
use portcullis_document::{Node, Problems, Quoted};
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::lifecycle::{ApiVersion, VersionCounts};
use portcullis_exchange::refusal::Reason;
use portcullis_exchange::route::read_header_name;
use portcullis_exchange::versions::{
    SubtypePattern, UpstreamFields, VersionForm, VersionPlace, VersionScheme, refusals,
};
use portcullis_wire::budget::Share;
use portcullis_wire::headers::is_token_byte;

use super::known::{read_known, read_usual};
use super::links::read_upstream;

/// The most places in which requests may name one.
const MOST_PLACES: usize = 8;
/// The last segment of a path that may be one.
const LAST_SEGMENT: u64 = 8;

/// The fields of a place, of which it has one.
const FIELDS: [&str; 4] = ["path_segment", "header", "query", "accept"];

/// Reads how requests name versions, and which there are.
pub(crate) fn read_scheme(
    node: &Node<'_>,
    notes: &mut Vec<String>,
    problems: &mut Problems,
) -> Option<VersionScheme> {
    if !HAS_TRAFFIC {
        node.report(problems, LeftOut::TRAFFIC);
        return None;
    }
    let mut fields = node.object(
        problems,
        "{\"in\": [{\"header\": \"Api-Version\"}], \"known\": {\"v1\": {}}}",
    )?;
    let mode = fields.or_default("mode", Mode::Enforce, problems, Mode::read);
    let places = fields.required("in", problems);
    let places = places.and_then(|node| read_places(&node, problems));
    let form = fields.or_default("format", VersionForm::Marked, problems, |node, problems| {
        let forms = [
            ("v", VersionForm::Marked),
            ("number", VersionForm::Number),
            ("date", VersionForm::Date),
        ];
        node.choice(problems, &forms)
    });
    let unknown = fields.or_default("unknown_status", &refusals::NO_SUCH, problems, read_unknown);
    let upstream = fields.or_default(
        "upstream_headers",
        UpstreamFields::Replace,
        problems,
        read_upstream,
    );
    let known = fields.required("known", problems);
    let known = known.and_then(|node| read_known(&node, form, notes, problems));
    let usual = fields.optional("default");
    let usual = match (&usual, &known) {
        (None, _) => Some(None),
        (Some(node), Some(known)) => read_usual(node, known, notes, problems).map(Some),
        (Some(_), None) => None,
    };
    fields.deny_unknown(problems);
    let (mode, places, form, known) = (mode?, places?, form?, known?);
    let (usual, unknown, upstream) = (usual?, unknown?, upstream?);
    let known = known.into_iter().map(|written| {
        Rc::new(ApiVersion {
            name: written.name.into(),
            pointer: written.pointer.into(),
            lifecycle: written.lifecycle,
            counts: VersionCounts::default(),
        })
    });
    let scheme = VersionScheme {
        pointer: node.pointer().to_string().into(),
        mode,
        places,
        form,
        known: known.collect(),
        usual,
        unknown,
        upstream,
    };
    problems.account(node.pointer(), Share::Documents, scheme.memory());
    Some(scheme)
}

fn read_unknown(node: &Node<'_>, problems: &mut Problems) -> Option<&'static Reason> {
    match node.integer(problems, 400..=404)? {
        400 => Some(&refusals::NO_SUCH),
        404 => Some(&refusals::NOWHERE),
        _ => {
            node.report(problems, "must be 400 or 404");
            None
        }
    }
}

fn read_places(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<VersionPlace>> {
    let places = node.list(problems, read_place)?;
    if places.is_empty() || places.len() > MOST_PLACES {
        node.report(
            problems,
            format_args!(
                "must have from 1 to {MOST_PLACES} items: where requests name their version"
            ),
        );
        return None;
    }
    let before = |at: usize| places.get(..at).unwrap_or_default();
    let mut twice = places.iter().enumerate().filter_map(|(at, place)| {
        let mut before = before(at).iter();
        let like = before.find(|each| each.is_like(place))?;
        Some((at, like == place))
    });
    if let Some((at, is_same)) = twice.next() {
        let reason = match is_same {
            true => "is there twice; remove one of them",
            false => {
                "is for some services the one before it, so that every request with it would be refused; keep one of them"
            }
        };
        problems.report(&node.pointer().item(at), reason);
        return None;
    }
    Some(places)
}

fn read_place(node: &Node<'_>, problems: &mut Problems) -> Option<VersionPlace> {
    let mut fields = node.object(problems, "{\"header\": \"Api-Version\"}")?;
    let written = FIELDS.map(|name| fields.optional(name).map(|node| (name, node)));
    let mut written = written.into_iter().flatten();
    let first = written.next();
    if first.is_none() {
        let names = FIELDS.map(|name| Quoted(name).to_string()).join(", ");
        fields.lacks(&FIELDS, problems, format_args!("needs one of {names}"));
    }
    fields.deny_unknown(problems);
    let (name, value) = first?;
    if let Some((_, second)) = written.next() {
        second.report(
            problems,
            format_args!("cannot stand beside `{name}`; write an item for each place"),
        );
        return None;
    }
    match name {
        "path_segment" => {
            let number = value.integer(problems, 1..=LAST_SEGMENT)?;
            let place = usize::try_from(number).ok()?.checked_sub(1)?;
            Some(VersionPlace::PathSegment(place))
        }
        "header" => {
            let name = read_header_name(&value, problems)?;
            const OTHERS: [&str; 5] = ["host", "accept", "content-type", "cookie", "authorization"];
            if OTHERS.contains(&name.as_str()) {
                value.report(
                    problems,
                    "has another meaning; a version in media types is {\"accept\": …}, and goes by what the client accepts",
                );
                return None;
            }
            Some(VersionPlace::Header(name))
        }
        "query" => value
            .non_empty(problems)
            .map(|name| VersionPlace::Query(name.into())),
        _ => read_accept(&value, problems),
    }
}

/// `{ "parameter": "version" }` or `{ "subtype": "vnd.example.{version}" }`.
fn read_accept(node: &Node<'_>, problems: &mut Problems) -> Option<VersionPlace> {
    const FIELDS: [&str; 2] = ["parameter", "subtype"];
    let mut fields = node.object(problems, "{\"parameter\": \"version\"}")?;
    let [parameter, subtype] = FIELDS.map(|name| fields.optional(name));
    if parameter.is_none() && subtype.is_none() {
        fields.lacks(&FIELDS, problems, "needs one of \"parameter\", \"subtype\"");
    }
    fields.deny_unknown(problems);
    match (parameter, subtype) {
        (Some(_), Some(second)) => {
            second.report(
                problems,
                "cannot stand beside `parameter`; write an item for each place",
            );
            None
        }
        (Some(node), None) => {
            let name = node.non_empty(problems)?;
            let is_free = !name.eq_ignore_ascii_case("q");
            if name.bytes().all(is_token_byte) && is_free {
                return Some(VersionPlace::AcceptParameter(name.into()));
            }
            node.report(
                problems,
                "must be the name of a parameter of media types, and not `q`",
            );
            None
        }
        (None, Some(node)) => {
            let written = node.non_empty(problems)?.to_ascii_lowercase();
            let halves = written.split_once("{version}");
            let is_subtype = |part: &str| {
                part.bytes().all(is_token_byte) && !part.contains(['+', '{', '}', '*', '/'])
            };
            match halves {
                Some((before, after))
                    if is_subtype(before) && is_subtype(after) && !before.is_empty() =>
                {
                    Some(VersionPlace::AcceptSubtype(SubtypePattern {
                        before: before.into(),
                        after: after.into(),
                    }))
                }
                _ => {
                    node.report(
                        problems,
                        "must be a subtype with \"{version}\" in it and without its suffix, such as \"vnd.example.{version}\"",
                    );
                    None
                }
            }
        }
        (None, None) => None,
    }
}
