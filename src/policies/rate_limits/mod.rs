//! Limits on how often something may be asked, kept by all workers together.
//!
//! From the inside out: [`algorithm`] has the ways to count, which are arithmetic, as one list.
//! A [`shard`] is what one shared cell holds, a [`table`] is the cells of a limit and the only
//! place where they are written, always by compare and swap. [`spend`] charges several limits or
//! none. What a request is counted by is its [`key`], hashed with a [`seed`](portcullis_exchange::seed) that the workers
//! share. The rest reads the document and answers requests.
//!
//! Limits are asked as soon as all they need is known: those by address before credentials are
//! looked at, those by claims after. Where the service's response decides, the most is charged before and
//! given back when the response comes: a client that leaves early, or sends much at once, gains nothing. A `global` limit is counted elsewhere; only its key is made here.

pub mod algorithm;
mod charge;
mod cost;
mod counts;
mod delay;
mod gate;
mod global;
pub mod key;
mod ledger;
mod limit;
mod lookup;
mod lost_turns;
mod named;
mod planned;
mod query_cost;
pub mod refusals;
mod response;
pub mod shard;
mod share;
mod shared;
pub mod spend;
pub mod table;
mod tier;
mod usage;

use std::rc::Rc;

use self::charge::ChargedOn;
use self::cost::Cost;
use self::gate::{Gate, RouteLimit};
use self::global::Global;
use self::limit::{Limit, LimitScope};
use self::query_cost::QueryCost;
use self::response::ResponsePart;
use portcullis_document::{DidYouMean, Fields, Node, Pointer, Quoted};
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::policy::{ChainPart, Compile, Context, PolicyKind, Role, Stage};

pub use self::delay::LimitDelay;
pub use self::limit::{Missing, read_name};
pub use self::lookup::KeyLookup;
pub use self::named::LimitNames;
pub use self::shared::SharedLimits;

/// `rate_limits: [ … ]`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "rate_limits",
    role: Role::Guards,
    codes: refusals::CODES,
    compile: Compile::List(compile),
    rules: &[],
};

/// The most limits on one route: each costs a look at a cell.
const MOST_LIMITS: usize = 16;

/// One item of a block.
enum Item {
    /// Counted here.
    Counted(RouteLimit),
    /// Counted elsewhere.
    Global(Global),
}

impl Item {
    fn name(&self) -> &str {
        match self {
            Item::Counted(applied) => &applied.limit.name,
            Item::Global(global) => global.name(),
        }
    }
}

fn compile(block: Option<&Node<'_>>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    let parts = compile_all(block, context);
    if parts.is_none() {
        context.sections.get::<SharedLimits>().usages.lack();
    }
    parts
}

fn compile_all(block: Option<&Node<'_>>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    let shared = context.sections.get::<SharedLimits>();
    let mut limits: Vec<Item> = shared.everywhere().map(Item::Counted).collect();
    if let Some(block) = block {
        let items = block.items(context.problems)?;
        let read: Vec<Option<Item>> = items.iter().map(|item| read(item, context)).collect();
        let read = read.into_iter().collect::<Option<Vec<_>>>()?;
        for (node, item) in items.iter().zip(read) {
            if limits.iter().any(|other| other.name() == item.name()) {
                let name = Quoted(item.name()).to_string();
                node.report(
                    context.problems,
                    format_args!("another limit of this route is named {name} too"),
                );
                return None;
            }
            limits.push(item);
        }
        let delays = |item: &&Item| matches!(item, Item::Counted(applied) if applied.delays());
        if let Some(second) = limits.iter().filter(delays).nth(1) {
            let name = Quoted(second.name()).to_string();
            block.report(
                context.problems,
                format_args!("another limit of this route delays beside {name}, and what one lets go on evenly the other would hold up again: let one of them delay, and the other refuse"),
            );
            return None;
        }
        if limits.len() > MOST_LIMITS {
            block.report(
                context.problems,
                format_args!("a route has more than {MOST_LIMITS} limits"),
            );
            return None;
        }
    }
    let (mut counted, mut elsewhere) = (Vec::new(), Vec::new());
    for item in limits {
        match item {
            Item::Counted(applied) => counted.push(applied),
            Item::Global(global) => elsewhere.push(global),
        }
    }
    if let Some(block) = block {
        global::check(&elsewhere, block, context.problems)?;
    }
    let mut parts = parts(counted, &shared);
    parts.extend(elsewhere.into_iter().map(Global::into_part));
    Some(parts)
}

/// Reads one item: a limit of its own, or `{ use, cost }`. `None` inside when a limit that is
/// used has been reported where it is written.
fn read(item: &Node<'_>, context: &mut Context<'_>) -> Option<Item> {
    let mut fields = item.fields(context.problems)?;
    let read = match fields.optional("use") {
        Some(node) => read_use(&node, &mut fields, context).map(Item::Counted),
        None if fields.misnames(&["use"], context.problems) => return None,
        None => read_own(&mut fields, context),
    };
    fields.deny_unknown(context.problems);
    read
}

fn read_use(
    node: &Node<'_>,
    fields: &mut Fields<'_>,
    context: &mut Context<'_>,
) -> Option<RouteLimit> {
    let cost = fields.optional("cost");
    let name = node.non_empty(context.problems)?;
    let shared = context.sections.get::<SharedLimits>();
    let found = shared.named(name);
    let section = Pointer::default();
    let none_is_read = shared.names().next().is_none();
    let is_amiss = (none_is_read && context.problems.is_amiss(&section, "rate_limits"))
        || context
            .problems
            .is_amiss(&section.member("rate_limits"), name);
    if found.is_none() && !is_amiss {
        let near = DidYouMean(name, shared.names());
        let name = Quoted(name).to_string();
        node.report(
            context.problems,
            format_args!("no limit in `rate_limits` of the document is named {name}{near}"),
        );
    }
    let cost = match cost {
        None => None,
        Some(node) => Some(Cost::read(&node, context.problems)?),
    };
    let limit = found.flatten()?;
    if let Some(remark) = cost.as_ref().and_then(Cost::remark) {
        let place = fields.pointer();
        context.notes.push(format!("{place}/cost: {remark}"));
    }
    let cost = cost.unwrap_or_else(|| limit.cost.clone());
    let affords = limit.affords(&cost, fields, context.problems);
    affords.then_some(RouteLimit { limit, cost })
}

fn read_own(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Item> {
    let name = fields
        .required("name", context.problems)
        .and_then(|node| read_name(node.text(context.problems)?, &node, context.problems));
    let shared = context.sections.get::<SharedLimits>();
    let named = &LimitNames::of(context.sections);
    let problems = &mut *context.problems;
    if let Some(node) = fields.optional("global") {
        let name_of = name.unwrap_or_default();
        let global = Global::read(name_of, &node, fields, named, &shared, problems);
        return name.and(global).map(Item::Global);
    }
    let place = LimitScope {
        section: context.place,
        name: name.unwrap_or_default(),
        counts: shared.counts(name.unwrap_or_default()),
        shares: &shared.shares,
        usages: &shared.usages,
        is_shared: false,
    };
    let limit = Limit::read(fields, &place, named, problems);
    let limit = name.and(limit)?;
    shared.announce(context.place, &limit);
    let cost = limit.cost.clone();
    Some(Item::Counted(RouteLimit {
        limit: Rc::new(limit),
        cost,
    }))
}

fn parts(limits: Vec<RouteLimit>, shared: &SharedLimits) -> Vec<ChainPart> {
    if limits.is_empty() {
        return Vec::new();
    }
    let reads_response = limits.iter().any(|applied| {
        let by_status = matches!(applied.limit.charged, ChargedOn::Response(_));
        applied.cost.afterwards.is_some() || by_status
    });
    let speaks_after = |applied: &RouteLimit| {
        let shown = applied.limit.headers;
        shown.ietf || shown.x_ratelimit || applied.limit.charged == ChargedOn::Refusal
    };
    let has_answer = reads_response || limits.iter().any(speaks_after);
    let last = limits.iter().map(|applied| applied.limit.stage()).max();
    let mut parts = Vec::new();
    for mode in [Mode::Enforce, Mode::Shadow] {
        let mut of_mode = limits
            .iter()
            .filter(|applied| applied.limit.rollout.may_be(mode));
        if of_mode.any(|applied| applied.cost.is_of_query) {
            parts.extend(ChainPart::only(Stage::Acceptance, QueryCost(mode)));
        }
    }
    for stage in [Stage::Arrival, Stage::Identity] {
        let of_stage = limits
            .iter()
            .filter(|applied| applied.limit.stage() == stage);
        let (enforced, shadow): (Vec<RouteLimit>, Vec<RouteLimit>) = of_stage
            .cloned()
            .partition(|applied| applied.limit.rollout.mode == Mode::Enforce);
        if !enforced.is_empty() || !shadow.is_empty() {
            let mut each = enforced.iter();
            let policy = Rc::new(Gate {
                has_shares: each.any(|applied| applied.limit.rollout.is_partial()),
                enforced,
                shadow,
                seed: shared.seed(),
                is_last: last == Some(stage),
            });
            parts.push(ChainPart { stage, policy });
        }
    }
    if has_answer {
        let answer = ResponsePart::new(reads_response);
        parts.extend(
            answer
                .into_iter()
                .flat_map(|answer| ChainPart::only(Stage::Response, answer)),
        );
    }
    parts
}

#[cfg(test)]
mod crowd;
#[cfg(test)]
mod identity;
#[cfg(test)]
mod interleavings;
#[cfg(test)]
pub(crate) mod random;
#[cfg(test)]
mod turns;
