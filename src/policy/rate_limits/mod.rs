//! Limits on how often something may be asked, kept by all workers together.
//!
//! From the inside out: [`gcra`] and [`sliding_window`] are arithmetic, [`rule`] is either of them.
//! A [`shard`] is what one shared cell holds, a [`table`] is the cells of a limit and the only
//! place where they are written, always by compare and swap. [`spend`] charges several limits or
//! none. What a request is counted by is its [`key`], hashed with a [`seed`] that the workers
//! share. The rest reads the document and answers requests.
//!
//! Limits are asked as soon as all they need is known: those by address before credentials are
//! looked at, those by claims after.

mod answer;
mod gate;
pub mod gcra;
pub mod key;
mod ledger;
mod limit;
mod refusals;
pub mod rule;
pub mod seed;
pub mod shard;
mod shared;
pub mod sliding_window;
pub mod spend;
pub mod table;
mod tier;

#[cfg(test)]
mod cells;
#[cfg(test)]
mod interleavings;
#[cfg(test)]
mod random;

use std::rc::Rc;

use self::answer::Answer;
use self::gate::{Applied, Gate};
use self::limit::{ChargedOn, Cost, Limit, Place, read_name};
use super::{Compile, Context, Kind, Part, Role, Stage};
use crate::config::{DidYouMean, Node, Quoted};

pub use self::ledger::{Ledger, Standing};
pub use self::shared::SharedLimits;

/// `rate_limits: [ … ]`.
pub(super) const KIND: Kind = Kind {
    name: "rate_limits",
    role: Role::Guards,
    codes: refusals::CODES,
    compile: Compile::List(compile),
};

/// The most limits on one route: each costs a look at a cell.
const MOST_LIMITS: usize = 16;

fn compile(block: Option<&Node<'_>>, context: &mut Context<'_>) -> Option<Vec<Part>> {
    let mut limits: Vec<Applied> = context.limits.everywhere().collect();
    if let Some(block) = block {
        let items = block.items(context.problems)?;
        let read: Vec<Option<Applied>> = items.iter().map(|item| read(item, context)).collect();
        for (item, applied) in items
            .iter()
            .zip(read.into_iter().collect::<Option<Vec<_>>>()?)
        {
            let name = &applied.limit.name;
            if limits.iter().any(|other| other.limit.name == *name) {
                let name = Quoted(name).to_string();
                item.report(
                    context.problems,
                    format_args!("another limit of this route is named {name} too"),
                );
                return None;
            }
            limits.push(applied);
        }
        if limits.len() > MOST_LIMITS {
            block.report(
                context.problems,
                format_args!("a route has more than {MOST_LIMITS} limits"),
            );
            return None;
        }
    }
    Some(parts(limits, context))
}

/// Reads one item: a limit of its own, or `{ use, cost }`. `None` inside when a limit that is
/// used has been reported where it is written.
fn read(item: &Node<'_>, context: &mut Context<'_>) -> Option<Applied> {
    let mut fields = item.fields(context.problems)?;
    let applied = match fields.optional("use") {
        Some(node) => {
            let name = node.name(context.problems)?;
            let found = context.limits.named(name);
            if found.is_none() {
                let near = DidYouMean(name, context.limits.names());
                let name = Quoted(name).to_string();
                node.report(
                    context.problems,
                    format_args!("no limit in `rate_limits` of the document is named {name}{near}"),
                );
            }
            let cost = fields.or("cost", None, context.problems, |node, problems| {
                Cost::read(node, problems).map(Some)
            });
            let limit = found.flatten();
            let cost = cost.and_then(|cost| {
                let limit = limit.as_ref()?;
                let cost = cost.unwrap_or_else(|| limit.cost.clone());
                let affords = limit.affords(&cost, &fields, context.problems);
                affords.then_some(cost)
            });
            limit.zip(cost).map(|(limit, cost)| Applied { limit, cost })
        }
        None => {
            let name = fields
                .required("name", context.problems)
                .and_then(|node| read_name(node.text(context.problems)?, &node, context.problems));
            let place = Place {
                section: context.place,
                name: name.unwrap_or_default(),
            };
            let limit = Limit::read(&mut fields, &place, context.providers, context.problems);
            name.and(limit).map(|limit| {
                context.limits.announce(context.place, &limit);
                let cost = limit.cost.clone();
                Applied {
                    limit: Rc::new(limit),
                    cost,
                }
            })
        }
    };
    fields.finish(context.problems);
    applied
}

fn parts(limits: Vec<Applied>, context: &Context<'_>) -> Vec<Part> {
    if limits.is_empty() {
        return Vec::new();
    }
    let reads_response = limits
        .iter()
        .any(|applied| applied.cost.afterwards.is_some());
    let speaks_after = |applied: &Applied| {
        let shown = applied.limit.headers;
        shown.ietf || shown.x_ratelimit || applied.limit.charged == ChargedOn::Refusal
    };
    let has_answer = reads_response || limits.iter().any(speaks_after);
    let last = limits.iter().map(|applied| applied.limit.stage()).max();
    let mut parts = Vec::new();
    for stage in [Stage::Arrival, Stage::Identity] {
        let of_stage = limits
            .iter()
            .filter(|applied| applied.limit.stage() == stage);
        let limits: Vec<Applied> = of_stage.cloned().collect();
        if !limits.is_empty() {
            let policy = Rc::new(Gate {
                limits,
                seed: context.limits.seed(),
                is_last: last == Some(stage),
            });
            parts.push(Part { stage, policy });
        }
    }
    if has_answer {
        parts.extend(Part::only(Stage::Answer, Answer { reads_response }));
    }
    parts
}
