//! Reads `versions`.

use std::collections::BTreeSet;
use std::rc::Rc;

use crate::HAS_TRAFFIC;
use portcullis_document::LeftOut;
use portcullis_document::{DidYouMean, Fields, Node, Problems, Quoted};
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::gauges::segment;
use portcullis_exchange::lifecycle::{ApiVersion, Lifecycle, VersionCounts};
use portcullis_exchange::refusal::Reason;
use portcullis_exchange::route::read_header_name;
use portcullis_exchange::versions::{
    SubtypePattern, UpstreamFields, VersionForm, VersionPlace, VersionScheme, refusals,
};
use portcullis_wire::budget::Share;
use portcullis_wire::headers::is_token_byte;

use super::lifecycle::read_lifecycle;
use super::links::read_upstream;

/// The most versions of one document or API.
const MOST_VERSIONS: usize = 64;
/// The longest name of one.
const LONGEST_NAME: usize = 64;
/// The most places in which requests may name one.
const MOST_PLACES: usize = 8;
/// The last segment of a path that may be one.
const LAST_SEGMENT: u64 = 8;

/// The fields of a place, of which it has one.
const FIELDS: [&str; 4] = ["path_segment", "header", "query", "accept"];

/// A version as it is written.
struct WrittenVersion<'d> {
    name: &'d str,
    pointer: String,
    lifecycle: Lifecycle,
    successor: Option<Node<'d>>,
}

/// Reads how requests name versions, and which there are.
pub(crate) fn read_scheme(node: &Node<'_>, problems: &mut Problems) -> Option<VersionScheme> {
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
    let known = known.and_then(|node| read_known(&node, form, problems));
    let usual = fields.optional("default");
    let usual = match (&usual, &known) {
        (None, _) => Some(None),
        (Some(node), Some(known)) => read_usual(node, known, problems).map(Some),
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
    let twice = places
        .iter()
        .enumerate()
        .find(|(at, place)| before(*at).contains(place));
    if let Some((at, _)) = twice {
        problems.report(
            &node.pointer().item(at),
            "is there twice; remove one of them",
        );
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

fn read_known<'d>(
    node: &Node<'d>,
    form: Option<VersionForm>,
    problems: &mut Problems,
) -> Option<Vec<WrittenVersion<'d>>> {
    let members = node.members(problems)?;
    if members.is_empty() || members.len() > MOST_VERSIONS {
        node.report(
            problems,
            format_args!("must have from 1 to {MOST_VERSIONS} versions"),
        );
        return None;
    }
    let names: Vec<&str> = members.iter().map(|(name, _)| *name).collect();
    let mut shown = BTreeSet::new();
    let mut folded = BTreeSet::new();
    let mut known = Vec::new();
    for (name, node) in &members {
        let is_good = check_name(name, node, form, problems);
        if !shown.insert(segment(name)) || !folded.insert(name.to_ascii_lowercase()) {
            node.report(
                problems,
                "another version has the same name but for case and punctuation, and metrics could not tell them apart",
            );
        }
        let read = read_version(name, node, &names, problems);
        known.push(read.filter(|_| is_good));
    }
    let known = known.into_iter().collect::<Option<Vec<_>>>()?;
    check_successors(&known, problems)?;
    if known.iter().all(|version| version.lifecycle.is_removed) {
        node.report(
            problems,
            "has no version that is not removed, so every request would be refused",
        );
        return None;
    }
    Some(known)
}

fn check_name(
    name: &str,
    node: &Node<'_>,
    form: Option<VersionForm>,
    problems: &mut Problems,
) -> bool {
    // Of a wrong format that has been reported.
    let Some(form) = form else { return false };
    let fits = form.fits(name) && name.len() <= LONGEST_NAME;
    if !fits {
        node.report(
            problems,
            format_args!(
                "is no version of the `format`: one is called such as {}",
                Quoted(form.example())
            ),
        );
    }
    if fits && name.starts_with('V') {
        node.report(problems, "must begin with a small \"v\"");
        return false;
    }
    fits
}

fn read_version<'d>(
    name: &'d str,
    node: &Node<'d>,
    names: &[&'d str],
    problems: &mut Problems,
) -> Option<WrittenVersion<'d>> {
    let mut fields = node.fields(problems)?;
    let is_removed = fields.or_default("removed", false, problems, |node, problems| {
        let is_removed = node.boolean(problems)?;
        if !is_removed {
            node.report(problems, "says nothing; leave it out");
        }
        Some(is_removed)
    });
    let successor = fields.optional("successor");
    let named = match &successor {
        None => Some(None),
        Some(node) => read_successor(node, name, names, problems).map(Some),
    };
    let lifecycle = read_lifecycle(
        &mut fields,
        named.flatten(),
        is_removed.unwrap_or(false),
        problems,
    );
    let usage = check_removed(&fields, is_removed, lifecycle.as_ref(), problems);
    fields.deny_unknown(problems);
    named?;
    usage?;
    Some(WrittenVersion {
        name,
        pointer: node.pointer().to_string(),
        lifecycle: lifecycle?,
        successor,
    })
}

/// What is gone is switched off all the time.
fn check_removed(
    fields: &Fields<'_>,
    is_removed: Option<bool>,
    lifecycle: Option<&Lifecycle>,
    problems: &mut Problems,
) -> Option<()> {
    if is_removed? && !lifecycle?.brownouts.is_empty() {
        problems.report(
            &fields.pointer().member("brownouts"),
            "says nothing of a version that is `removed`; remove one of them",
        );
        return None;
    }
    Some(())
}

fn read_successor<'d>(
    node: &Node<'d>,
    own: &str,
    names: &[&'d str],
    problems: &mut Problems,
) -> Option<&'d str> {
    let name = node.non_empty(problems)?;
    if name == own {
        node.report(problems, "is the version itself");
        return None;
    }
    if !names.contains(&name) {
        let near = DidYouMean(name, names.iter().copied());
        node.report(
            problems,
            format_args!("no version is named {}{near}", Quoted(name)),
        );
        return None;
    }
    Some(name)
}

/// A successor that is no more itself is no place to go to.
fn check_successors(known: &[WrittenVersion<'_>], problems: &mut Problems) -> Option<()> {
    let mut good = Some(());
    for version in known {
        let Some(node) = &version.successor else {
            continue;
        };
        let successor = known
            .iter()
            .find(|each| node.json().as_str() == Some(each.name));
        let Some(successor) = successor else { continue };
        let (own, other) = (&version.lifecycle, &successor.lifecycle);
        let ends_first = match (own.sunset, other.sunset) {
            (Some(own), Some(other)) => other <= own,
            (None, Some(_)) => !own.is_removed,
            (_, None) => false,
        };
        if other.is_removed || ends_first {
            node.report(
                problems,
                format_args!(
                    "{} is no more before {} is; name one that stays",
                    Quoted(successor.name),
                    Quoted(version.name)
                ),
            );
            good = None;
        }
    }
    good
}

fn read_usual(
    node: &Node<'_>,
    known: &[WrittenVersion<'_>],
    problems: &mut Problems,
) -> Option<usize> {
    let name = node.non_empty(problems)?;
    let place = known.iter().position(|version| version.name == name);
    let Some((place, version)) = place.and_then(|place| Some((place, known.get(place)?))) else {
        let near = DidYouMean(name, known.iter().map(|version| version.name));
        node.report(
            problems,
            format_args!("no version is named {}{near}", Quoted(name)),
        );
        return None;
    };
    if version.lifecycle.is_removed {
        node.report(
            problems,
            format_args!(
                "{} is `removed`: every client that names no version would be refused; name one that is there, or leave `default` out",
                Quoted(name)
            ),
        );
        return None;
    }
    Some(place)
}
