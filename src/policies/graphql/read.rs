//! Reading the block.

use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::policy::Context;
use portcullis_formats::graphql::{CostTable, OPERATION_KINDS, OperationKind};
use portcullis_wire::sort::sort;

use super::persisted::Persisted;
use super::{Bound, Bounds, ContentType, Graphql};

/// The most that a field may cost, or a request.
pub(super) const MOST_COST: u64 = 1_000_000_000;
/// The most arguments that may be the length of a list.
const MOST_ARGUMENTS: usize = 16;
/// More tokens may take more than ten milliseconds: a hundred thousand have taken 42.
const MANY_TOKENS: u64 = 20_000;
/// What a larger request would take cannot be bounded well.
const LARGEST: u64 = 1 << 20;

/// What may pass where the block does not say.
const USUAL_BYTES: u64 = 64 << 10;

/// Reads all of it.
pub(super) fn read(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Graphql> {
    let problems = &mut *context.problems;
    let max_bytes = fields.or_default("max_bytes", USUAL_BYTES, problems, read_size);
    let types = fields.or_default(
        "content_types",
        vec![ContentType::Json],
        problems,
        |node, problems| {
            let known = [
                ("application/json", ContentType::Json),
                ("application/graphql", ContentType::Document),
            ];
            node.list(problems, |node, problems| node.choice(problems, &known))
        },
    );
    let by_get = fields.or_default("get", true, problems, |node, problems| {
        node.choice(problems, &[("allow", true), ("refuse", false)])
    });
    let usual = vec![OperationKind::Query, OperationKind::Mutation];
    let kinds = fields.or_default("operations", usual, problems, |node, problems| {
        let known = OPERATION_KINDS.map(|kind| (kind.name(), kind));
        node.list(problems, |node, problems| node.choice(problems, &known))
    });
    let needs_name = fields.or_default("require_operation_name", false, problems, Node::boolean);
    let introspects = fields.or_default("introspection", false, problems, |node, problems| {
        node.choice(problems, &[("refuse", false), ("allow", true)])
    });
    let mut bounds = Bounds::USUAL;
    let mut good = true;
    for bound in Bound::ALL {
        let (usual, least) = (bounds.most(bound), bound.least());
        let most = fields.or_default(bound.field(), usual, problems, |node, problems| {
            node.integer(problems, least..=bound.largest())
        });
        good &= most.is_some();
        bounds.set(bound, most.unwrap_or(usual));
    }
    let cost = fields.optional("cost");
    let has_costs = cost.is_some();
    let costs = match cost {
        None => Some((
            CostTable {
                default: 1,
                depth_factor: 1,
                ..CostTable::default()
            },
            None,
        )),
        Some(node) => read_costs(&node, problems),
    };
    let persisted = fields.or_default("persisted", None, problems, |node, problems| {
        Persisted::read(node, has_costs, problems).map(Some)
    });
    let (costs, max_cost) = costs?;
    let at = fields.pointer();
    if max_cost.is_none() && !(costs.fields.is_empty() && costs.root_fields.is_empty()) {
        context.notes.push(format!(
            "{at}/cost: has no `max`: what fields cost counts only for limits with `\"cost\": \"graphql\"`"
        ));
    }
    if bounds.most(Bound::Tokens) > MANY_TOKENS {
        context.notes.push(format!(
            "{at}/max_tokens: reading so many tokens may hold a worker for longer than 10 ms"
        ));
    }
    Some(Graphql {
        max_bytes: max_bytes?,
        types: types?,
        by_get: by_get?,
        kinds: kinds?,
        needs_name: needs_name?,
        introspects: introspects?,
        bounds: good.then_some(bounds)?,
        costs,
        max_cost,
        persisted: persisted?,
        inspection: context.inspection,
    })
}

fn read_size(node: &Node<'_>, problems: &mut Problems) -> Option<u64> {
    let size = node.bytes(problems)?;
    if size > LARGEST {
        node.report(problems, "must be at most 1MiB");
    }
    (size <= LARGEST).then_some(size)
}

fn read_costs(node: &Node<'_>, problems: &mut Problems) -> Option<(CostTable, Option<u64>)> {
    let mut fields = node.fields(problems)?;
    let amount = |node: &Node<'_>, problems: &mut Problems| node.integer(problems, 0..=MOST_COST);
    let max = fields.or_default("max", None, problems, |node, problems| {
        node.integer(problems, 1..=MOST_COST).map(Some)
    });
    let default = fields.or_default("default_field", 1, problems, amount);
    let factor = fields.or_default("depth_factor", 1, problems, |node, problems| {
        node.integer(problems, 1..=100)
    });
    let listed = fields.or_default("fields", (Vec::new(), Vec::new()), problems, read_table);
    let arguments = fields.or_default("list_arguments", Vec::new(), problems, |node, problems| {
        let names = node.list(problems, |node, problems| {
            read_name(node, problems).map(Box::from)
        })?;
        if names.len() > MOST_ARGUMENTS {
            node.report(
                problems,
                format_args!("has more than {MOST_ARGUMENTS} items"),
            );
            return None;
        }
        Some(names)
    });
    fields.deny_unknown(problems);
    let (names, roots) = listed?;
    let table = CostTable {
        default: default?,
        depth_factor: factor?,
        fields: names,
        root_fields: roots,
        list_arguments: arguments?,
    };
    Some((table, max?))
}

type Costs = (Vec<(Box<str>, u64)>, Vec<((OperationKind, Box<str>), u64)>);

/// Names of fields, or of fields of operations, each with what it costs.
fn read_table(node: &Node<'_>, problems: &mut Problems) -> Option<Costs> {
    let (mut names, mut roots) = (Vec::new(), Vec::new());
    let mut good = true;
    for (written, cost) in node.members(problems)? {
        let amount = cost.integer(problems, 0..=MOST_COST);
        let (kind, name) = match written.split_once('.') {
            None => (None, written),
            Some((type_name, name)) => {
                let kind = OPERATION_KINDS.into_iter();
                let mut kind = kind.filter(|kind| kind.type_name() == type_name);
                let Some(kind) = kind.next() else {
                    cost.report(
                        problems,
                        "types are not known here but for those of operations: write the name of a field, or \"Query.\", \"Mutation.\" or \"Subscription.\" in front of it",
                    );
                    good = false;
                    continue;
                };
                (Some(kind), name)
            }
        };
        if !is_name(name) {
            cost.report(problems, NO_NAME);
            good = false;
        }
        let Some(amount) = amount else {
            good = false;
            continue;
        };
        match kind {
            None => names.push((Box::from(name), amount)),
            Some(kind) => roots.push(((kind, Box::from(name)), amount)),
        }
    }
    sort(&mut names, Ord::cmp);
    sort(&mut roots, Ord::cmp);
    good.then_some((names, roots))
}

const NO_NAME: &str = "is no name of GraphQL: letters, digits and \"_\", and no digit first";

fn is_name(name: &str) -> bool {
    let letter = |b: u8| b == b'_' || b.is_ascii_alphanumeric();
    let starts = name.bytes().next().is_some_and(|b| !b.is_ascii_digit());
    starts && name.bytes().all(letter)
}

fn read_name<'d>(node: &Node<'d>, problems: &mut Problems) -> Option<&'d str> {
    let name = node.text(problems)?;
    if !is_name(name) {
        node.report(problems, NO_NAME);
    }
    is_name(name).then_some(name)
}
