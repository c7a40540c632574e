//! Reads `known` of `versions`: which versions there are and have been, and which one is usual.

use std::collections::BTreeSet;

use crate::authn::moment::Moment;
use portcullis_document::{DidYouMean, Fields, Node, Problems, Quoted};
use portcullis_exchange::gauges::segment;
use portcullis_exchange::lifecycle::Lifecycle;
use portcullis_exchange::versions::VersionForm;

use super::lifecycle::read_lifecycle;

/// The most versions of one document or API.
const MOST_VERSIONS: usize = 64;
/// The longest name of one.
const LONGEST_NAME: usize = 64;

/// A version as it is written.
pub(super) struct WrittenVersion<'d> {
    pub(super) name: &'d str,
    pub(super) pointer: String,
    pub(super) lifecycle: Lifecycle,
    successor: Option<Node<'d>>,
}

/// Reads all of them.
pub(super) fn read_known<'d>(
    node: &Node<'d>,
    form: Option<VersionForm>,
    notes: &mut Vec<String>,
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
        let read = read_version(name, node, &names, notes, problems);
        known.push(read.filter(|_| is_good));
    }
    let known = known.into_iter().collect::<Option<Vec<_>>>()?;
    let ends = check_successors(&known, problems);
    check_circle(&known, problems).and(ends)?;
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
    notes: &mut Vec<String>,
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
        notes,
        problems,
    );
    let tells = |lifecycle: &Lifecycle| lifecycle.is_removed || lifecycle.sunset.is_some();
    if let (Some(node), Some(lifecycle)) = (&successor, &lifecycle)
        && !tells(lifecycle)
    {
        notes.push(format!(
            "{}: nobody is told: it stands in responses to requests that are refused, and the version has neither `sunset` nor `removed`; add one of them, or `successor_link`",
            node.pointer()
        ));
    }
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

/// Successors that lead back to a version lead to no place to go to.
fn check_circle(known: &[WrittenVersion<'_>], problems: &mut Problems) -> Option<()> {
    let next = |of: &WrittenVersion<'_>| {
        let name = of.successor.as_ref()?.json().as_str()?;
        known.iter().find(|each| each.name == name)
    };
    for version in known {
        let mut names = vec![version.name];
        let mut at = next(version);
        while let Some(each) = at.filter(|each| each.name != version.name) {
            if names.contains(&each.name) {
                // That circle is told of at the versions that are in it.
                break;
            }
            names.push(each.name);
            at = next(each);
        }
        if let (Some(back), Some(node)) = (at, &version.successor)
            && back.name == version.name
        {
            names.push(back.name);
            let names: Vec<String> = names.iter().map(|name| Quoted(name).to_string()).collect();
            node.report(
                problems,
                format_args!(
                    "leads back to the version itself, {}, so that clients are sent round in a circle; leave out the `successor` of the one that stays",
                    names.join(" → ")
                ),
            );
            return None;
        }
    }
    Some(())
}

/// Reads `default`: the place of the version of requests that name none.
pub(super) fn read_usual(
    node: &Node<'_>,
    known: &[WrittenVersion<'_>],
    notes: &mut Vec<String>,
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
    if let Some(sunset) = version.lifecycle.sunset {
        notes.push(format!(
            "{}: {} is no more from {} on, so that every client that names no version is refused from then on; name one that stays before that day",
            node.pointer(),
            Quoted(name),
            Moment(sunset)
        ));
    }
    Some(place)
}
