//! What is searched for, and what becomes of it.

use super::read::SearchedFor;
use portcullis_document::{Pointer, Problems};
use portcullis_formats::sensitive::{MOST_SELECTORS, Selector, Selectors, Treatment, Treatments};

/// One rule, as it is written.
pub(super) struct WrittenRule {
    pub(super) sought: SearchedFor,
    pub(super) treatment: Treatment,
    pub(super) place: Pointer,
}

/// All of them, ready to search.
#[derive(Debug, Default)]
pub(super) struct SearchRules {
    pub(super) members: Selectors,
    pub(super) kinds: Treatments,
}

impl SearchRules {
    /// Takes up what is written. None if a rule can never do what it says.
    pub(super) fn of(written: Vec<WrittenRule>, problems: &mut Problems) -> Option<Self> {
        let mut rules = Self::default();
        let mut taken: Vec<(Selector, Treatment, Pointer)> = Vec::new();
        let mut is_whole = true;
        let mut wrong = |place: &Pointer, reason: std::fmt::Arguments<'_>| {
            problems.report(place, reason);
            is_whole = false;
        };
        for WrittenRule {
            sought,
            treatment,
            place,
        } in written
        {
            match sought {
                SearchedFor::Text(kind) if rules.kinds.of(kind).is_some() => wrong(
                    &place,
                    format_args!(
                        "is in `redact` as well: a response with it is refused, so there is nothing to redact; keep one of them"
                    ),
                ),
                SearchedFor::Text(kind) => rules.kinds.set(kind, treatment),
                SearchedFor::Members(selector) => taken.push((selector, treatment, place)),
            }
        }
        for (index, (selector, treatment, place)) in taken.iter().enumerate() {
            // The stronger one of two that mean the same counts, and the other means nothing.
            let covering = taken.iter().enumerate().find(|(other, (by, with, _))| {
                let is_stronger = match by.covers(selector) && selector.covers(by) {
                    true => with > treatment || (with == treatment && *other < index),
                    false => by.covers(selector) && with >= treatment,
                };
                *other != index && is_stronger
            });
            if let Some((_, (_, _, by))) = covering {
                wrong(place, format_args!("decides nothing: {by} means all of it"));
            } else if !rules.members.add(selector.clone(), *treatment) {
                wrong(
                    place,
                    format_args!("is one too many: there may be {MOST_SELECTORS} members"),
                );
            }
        }
        is_whole.then_some(rules)
    }
}
