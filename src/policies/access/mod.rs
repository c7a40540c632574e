//! Who may do what: rules that allow and deny.
//!
//! A `rule` is plain data, read by `read` from a block or from the document's `section` of shared rules.
//! `decision` says what a list of rules comes to, of a `request` or of whatever else gives
//! `RequestFacts`. Each of its answers has a third value: what cannot be told refuses,
//! be it of a denial, of an allowance or of a `not_`. `judge` is the part of a chain that asks, of the rules
//! that its `index` finds.
//!
//! Denials that need nothing but the head of a request are judged before anything else is spent on it. The others
//! are judged when it is known who calls; where that is known with the body alone, or a rule looks at the body,
//! what the head says of the rules is `kept`.

mod anybody;
mod caller;
mod callers;
mod closest;
mod counts;
mod decision;
mod exempt;
mod from;
mod group;
mod index;
mod judge;
mod kept;
mod operations;
mod overlap;
mod peer;
mod planned;
mod read;
pub mod refusals;
mod request;
mod rule;
mod schedule;
mod section;
mod texts;
mod to;
mod vouched;

use std::cell::Cell;
use std::rc::Rc;

use portcullis_document::{DidYouMean, Fields, LeftOut, Node, Pointer, Quoted};
use portcullis_exchange::body::Inspection;
use portcullis_exchange::condition::BodyPlan;
use portcullis_exchange::geo::Geo;
use portcullis_exchange::policy::{
    ChainPart, Compile, Context, PolicyKind, Role, RoutePath, Stage,
};
use portcullis_exchange::refusal::Selector;
use portcullis_exchange::target::PathRules;
use portcullis_wire::json::Json;

use self::decision::Fallback;
use self::group::RuleSources;
use self::index::RuleList;
use self::judge::{Judge, Task};
use self::read::{RuleContext, read_name, read_rule};
use self::refusals::Visibility;
use self::rule::{AccessRule, Need, RuleAction};

use crate::networks::NetworkLists;

pub(crate) use self::exempt::Exemptions;
pub use self::section::AccessRules;

/// `access: { rules, default, conceal }`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "access",
    role: Role::Guards,
    codes: refusals::CODES,
    compile: Compile::Everywhere {
        object: compile,
        always,
        may_be_off: false,
    },
    rules: &[
        (Selector::Reason(&refusals::NO_RULE), "rules"),
        (Selector::Reason(&refusals::CONCEALED_NO_RULE), "rules"),
        (Selector::Reason(&refusals::OBJECT), "rules"),
        (Selector::Reason(&refusals::CONCEALED_OBJECT), "rules"),
    ],
};

/// The most rules of one block.
const MOST_RULES: usize = 5000;

/// Whether they are there; a module may be built without them.
const HAS_ACCESS: bool = cfg!(feature = "access");

/// How many bytes of a body are read, unless the block says otherwise.
const MAX_BYTES: u64 = 64 << 10;

/// The numbers of the parts: of the rules of all routes, then of those of the block.
const EVERYWHERE: u8 = 0;
const OF_BLOCK: u8 = 4;

/// The denials of all routes.
fn always(block: Option<&Node<'_>>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    if !HAS_ACCESS {
        return Some(Vec::new());
    }
    let shared = context.sections.get::<AccessRules>();
    let rules: Vec<Rc<AccessRule>> = shared.everywhere().cloned().collect();
    let conceal = block.and_then(|block| block.member("conceal"));
    let shown = match conceal.map(|node| node.json()) {
        Some(Json::Bool(true)) => Visibility::Nothing,
        _ => Visibility::Refused,
    };
    let setting = Setting::of(context, Fallback::Allow, shown, MAX_BYTES);
    Some(parts(EVERYWHERE, rules, &setting, context))
}

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    if !HAS_ACCESS {
        context.problems.report(fields.pointer(), LeftOut::ACCESS);
        return None;
    }
    let rules = fields.required("rules", context.problems);
    let rules = rules.and_then(|node| read_rules(&node, context));
    let problems = &mut *context.problems;
    let fallback = fields.or_default("default", Fallback::Deny, problems, |node, problems| {
        node.choice(
            problems,
            &[("deny", Fallback::Deny), ("allow", Fallback::Allow)],
        )
    });
    let shown = fields.or_default(
        "conceal",
        Visibility::Refused,
        problems,
        |node, problems| {
            Some(match node.boolean(problems)? {
                true => Visibility::Nothing,
                false => Visibility::Refused,
            })
        },
    );
    let max_bytes = fields.or_default("max_bytes", MAX_BYTES, problems, Node::bytes_read);
    let (rules, fallback, shown, max_bytes) = (rules?, fallback?, shown?, max_bytes?);
    let mut allowances = rules.iter().filter(|rule| rule.action == RuleAction::Allow);
    match fallback {
        Fallback::Deny if !allowances.any(|rule| rule.may_be_in_force()) => {
            problems.report(
                fields.pointer(),
                "allows nothing: none of its rules is an allowance that is in force; add one, or write `default: allow` if everything else may pass",
            );
            return None;
        }
        Fallback::Allow => {
            if let Some(rule) = allowances.next() {
                problems.report(
                    fields.pointer(),
                    format_args!(
                        "rule {} allows what `default: allow` allows as well, so it says nothing; remove one of them",
                        Quoted(&rule.name)
                    ),
                );
                return None;
            }
        }
        Fallback::Deny => {}
    }
    let shared = context.sections.get::<AccessRules>();
    for note in shared.overlaps(&rules) {
        // Rules that several blocks share overlap in each of them.
        if !context.notes.contains(&note) {
            context.notes.push(note);
        }
    }
    let setting = Setting::of(context, fallback, shown, max_bytes);
    Some(parts(OF_BLOCK, rules, &setting, context))
}

/// Reads `rules`: names of shared rules, and rules of the block's own.
fn read_rules(node: &Node<'_>, context: &mut Context<'_>) -> Option<Vec<Rc<AccessRule>>> {
    let items = node.items(context.problems)?;
    if items.is_empty() || items.len() > MOST_RULES {
        node.report(
            context.problems,
            format_args!("must have from 1 to {MOST_RULES} items"),
        );
        return None;
    }
    let mut good = true;
    let mut rules: Vec<Rc<AccessRule>> = Vec::with_capacity(items.len());
    let mut names = std::collections::BTreeSet::new();
    for item in &items {
        let read = match item.json() {
            Json::String(_) => read_shared(item, context),
            _ => read_own(item, context).map(Some),
        };
        match read {
            None => good = false,
            Some(None) => {}
            Some(Some(rule)) if !names.insert(Rc::clone(&rule.name)) => {
                let name = Quoted(&rule.name).to_string();
                item.report(
                    context.problems,
                    format_args!("another rule of this block is named {name} too"),
                );
                good = false;
            }
            Some(Some(rule)) => rules.push(rule),
        }
        if context.problems.is_full() {
            return None;
        }
    }
    good.then_some(rules)
}

/// A shared rule. `Some(None)` if it is judged on every route as it is.
fn read_shared(node: &Node<'_>, context: &mut Context<'_>) -> Option<Option<Rc<AccessRule>>> {
    let name = node.non_empty(context.problems)?;
    let shared = context.sections.get::<AccessRules>();
    let found = shared.named(name);
    let none_is_read = shared.names().next().is_none();
    let is_amiss = none_is_read
        && context
            .problems
            .is_amiss(&Pointer::default(), "access_rules");
    if found.is_none() && !is_amiss {
        let near = DidYouMean(name, shared.names());
        let name = Quoted(name).to_string();
        node.report(
            context.problems,
            format_args!("no rule in `access_rules` of the document is named {name}{near}"),
        );
    }
    let rule = found.flatten()?;
    check_variables(&rule, node, context)?;
    if shared.is_everywhere(name) {
        context.notes.push(format!(
            "{}: is judged on every route, so naming it here says nothing; remove it",
            node.pointer()
        ));
        return Some(None);
    }
    Some(Some(rule))
}

/// Reports a path variable of a shared rule that the route does not have.
fn check_variables(rule: &AccessRule, node: &Node<'_>, context: &mut Context<'_>) -> Option<()> {
    let path = context.route_path();
    let lacking = rule
        .lacking(path.variables())
        .filter(|_| context.is_matched);
    let Some(name) = lacking else {
        return Some(());
    };
    node.report(
        context.problems,
        format_args!(
            "the rule looks at the path variable {}, which the template of the route does not have",
            Quoted(name)
        ),
    );
    None
}

fn read_own(node: &Node<'_>, context: &mut Context<'_>) -> Option<Rc<AccessRule>> {
    let mut fields = node.fields_or(
        context.problems,
        "the name of a rule in `access_rules`, or an object",
    )?;
    let name = fields.required("name", context.problems);
    let name = name.and_then(|node| {
        let written = node.text(context.problems)?;
        read_name(written, &node, context.problems)
    });
    let path = context.route_path();
    let (networks, geo) = (
        context.sections.get::<NetworkLists>(),
        context.sections.get::<Geo>(),
    );
    let rule_context = RuleContext {
        letter_case: context.sections.get::<PathRules>().letter_case,
        places: RuleSources {
            networks: &networks,
            geo: &geo,
        },
        path: &path,
    };
    let counts = match name {
        Some(name) => context.sections.get::<AccessRules>().counts(name),
        None => Rc::default(),
    };
    let written = name.unwrap_or_default();
    let rule = read_rule(
        written,
        &mut fields,
        &rule_context,
        counts,
        context.problems,
    );
    if let Some(node) = fields.optional("everywhere") {
        node.report(
            context.problems,
            "a rule that is judged on every route stands in `access_rules` of the document",
        );
        return None;
    }
    fields.deny_unknown(context.problems);
    name?;
    let rule = Rc::new(rule?);
    context.sections.get::<AccessRules>().take_up(&rule);
    Some(rule)
}

/// Where rules are judged, and what comes of them.
struct Setting {
    fallback: Fallback,
    shown: Visibility,
    path: RoutePath,
    inspection: Inspection,
    /// How much is read of a body.
    max_bytes: u64,
}

impl Setting {
    fn of(context: &Context<'_>, fallback: Fallback, shown: Visibility, max_bytes: u64) -> Self {
        Self {
            fallback,
            shown,
            path: context.route_path(),
            inspection: context.inspection,
            max_bytes,
        }
    }

    fn judge(&self, part: u8, rules: &Rc<RuleList>, fallback: Fallback, task: Task) -> Judge {
        let whens = rules.all().iter().flat_map(|rule| &rule.when);
        let body = BodyPlan::of(whens.map(|when| &when.condition), self.max_bytes);
        Judge {
            part,
            rules: Rc::clone(rules),
            fallback,
            shown: self.shown,
            task,
            path: self.path.clone(),
            body,
            inspection: self.inspection,
            names_caller_late: Cell::new(false),
        }
    }
}

/// The parts of a chain that decide these rules: denials that need the head alone as early as can be.
fn parts(
    first: u8,
    rules: Vec<Rc<AccessRule>>,
    setting: &Setting,
    context: &mut Context<'_>,
) -> Vec<ChainPart> {
    let shared = context.sections.get::<AccessRules>();
    let is_early =
        |rule: &Rc<AccessRule>| rule.action == RuleAction::Deny && rule.need() == Need::Head;
    let (early, late): (Vec<_>, Vec<_>) = rules.into_iter().partition(is_early);
    let mut parts = Vec::new();
    let stages = [
        (Stage::Arrival, early, Fallback::Allow),
        (Stage::Access, late, setting.fallback),
    ];
    let mut part = first;
    for (stage, rules, fallback) in stages {
        let is_tried =
            |rule: &Rc<AccessRule>| rule.action == RuleAction::Deny && !rule.is_always_in_force();
        let tried = rules.iter().any(is_tried);
        let is_asked = fallback == Fallback::Deny || !rules.is_empty();
        let rules = shared.list(rules, context.problems);
        for (task, is_needed) in [(Task::Enforce, is_asked), (Task::Try, tried)] {
            if is_needed {
                let judge = setting.judge(part, &rules, fallback, task);
                parts.extend(ChainPart::only(stage, judge));
            }
            part = part.saturating_add(1);
        }
    }
    parts
}

#[cfg(test)]
mod laws;
#[cfg(test)]
mod testing;
