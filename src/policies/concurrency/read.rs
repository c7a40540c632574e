//! Reads the block.

use std::rc::Rc;

use super::{Concurrency, WithoutPlaces};
use crate::HAS_TRAFFIC;
use crate::places::PlaceStore;
use crate::rate_limits::key::Key;
use crate::rate_limits::{LimitDelay, LimitNames, Missing, SharedLimits, read_name};
use portcullis_document::Fields;
use portcullis_document::LeftOut;
use portcullis_exchange::policy::{ChainPart, Context};

/// More requests of one key than a proxy has under way.
const MOST: u64 = 1_000_000;

pub(super) fn compile(
    fields: &mut Fields<'_>,
    context: &mut Context<'_>,
) -> Option<Vec<ChainPart>> {
    if !HAS_TRAFFIC {
        context.problems.report(fields.pointer(), LeftOut::TRAFFIC);
        return None;
    }
    let shared = context.sections.get::<SharedLimits>();
    let named = LimitNames::of(context.sections);
    let place = context.place;
    let problems = &mut *context.problems;
    let node = fields.required("key", problems);
    let written = node.as_ref().map(|node| node.json().to_string());
    let key = node.and_then(|node| Key::read(&node, &named, problems));
    let max = fields
        .required("max", problems)
        .and_then(|node| node.integer(problems, 1..=MOST));
    let name = fields.or_default("name", None, problems, |node, problems| {
        read_name(node.text(problems)?, node, problems).map(|name| Some(name.to_owned()))
    });
    let missing = fields.or_default("missing", Missing::Anonymous, problems, Missing::read);
    let delay = fields.or_default("on_limit", None, problems, LimitDelay::read);
    let on_error = fields.or_default(
        "on_error",
        WithoutPlaces::Deny,
        problems,
        |node, problems| {
            let choices = [
                ("deny", WithoutPlaces::Deny),
                ("allow", WithoutPlaces::Allow),
            ];
            node.choice(problems, &choices)
        },
    );
    let max_entries = fields.or_default("max_entries", None, problems, |node, problems| {
        node.integer(problems, 1..=1 << 24).map(Some)
    });
    let (key, written, max, delay) = (key?, written?, max?, delay?);
    let issuers = match key.is_of_tokens() {
        true => named.providers.issuers(),
        false => String::new(),
    };
    let max_entries = max_entries?.unwrap_or_else(|| key.usual_entries());
    // What a place is of; not how many there are, so that a new number counts those that are taken. A block that is
    // tried looks at the places of the one in force.
    let place = place.strip_suffix("/shadow").unwrap_or(place);
    let names = [place, &written, &issuers];
    let store = Rc::new(PlaceStore::new(&names, max_entries, shared.places()));
    let footprint = store.footprint();
    shared.announce_places(format!("concurrency {place}: {footprint}"));
    let pointer = fields.pointer().to_string();
    if let Some(remark) = delay.as_ref().and_then(LimitDelay::remark) {
        context.notes.push(format!("{pointer}/on_limit: {remark}"));
    }
    let own_name = || place.rsplit('/').next().unwrap_or_default().to_owned();
    let name: Rc<str> = name?.unwrap_or_else(own_name).into();
    let stage = key.stage();
    let policy = Concurrency {
        counts: shared.place_metrics().of(&name),
        name,
        pointer: pointer.into(),
        key,
        missing: missing?,
        max,
        delay,
        on_error: on_error?,
        store,
        seed: shared.seed(),
    };
    Some(ChainPart::only(stage, policy))
}
