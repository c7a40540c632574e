//! Reading one rule, be it shared or of a block.

use std::rc::Rc;

use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::condition::ACCESS;
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::policy::RoutePath;
use portcullis_exchange::rollout::Rollout;
use portcullis_exchange::target::LetterCase;

use super::counts::RuleCounts;
use super::group::{GroupField, GroupReader, RuleSources, read_groups};
use super::rule::{AccessRule, Group, RuleAction, RuleCondition, RuleUsage};
use super::schedule::RuleSchedule;
use super::{from, to};

/// The longest name of a rule, in bytes: it is a part of names of metrics.
const LONGEST_NAME: usize = 64;
/// The most conditions of one rule.
const MOST_CONDITIONS: usize = 32;

/// Reads the name of a rule.
pub(super) fn read_name<'d>(
    written: &'d str,
    node: &Node<'_>,
    problems: &mut Problems,
) -> Option<&'d str> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    let usable = (1..=LONGEST_NAME).contains(&written.len()) && written.bytes().all(plain);
    if !usable {
        node.report(
            problems,
            format_args!(
                "the name of a rule is made of letters, digits, \"-\", \"_\" and \".\", at most {LONGEST_NAME}"
            ),
        );
    }
    usable.then_some(written)
}

/// What a rule is read with.
pub(super) struct RuleContext<'c> {
    pub(super) letter_case: LetterCase,
    pub(super) places: RuleSources<'c>,
    /// The path of its route; not known of a rule that is shared.
    pub(super) path: &'c RoutePath,
}

/// Reads all of a rule but its name.
pub(super) fn read_rule(
    name: &str,
    fields: &mut Fields<'_>,
    context: &RuleContext<'_>,
    counts: Rc<RuleCounts>,
    problems: &mut Problems,
) -> Option<AccessRule> {
    let action = fields.required("action", problems);
    let action = action.and_then(|node| read_action(&node, problems));
    let trial = Rollout::read(fields, Mode::Enforce, problems);
    let schedule = RuleSchedule::read(fields, problems);
    let mut reader = GroupReader {
        letter_case: context.letter_case,
        places: context.places,
        problems,
        parts: 0,
    };
    let from = groups("from", &from::FIELDS, fields, &mut reader);
    let to = groups("to", &to::FIELDS, fields, &mut reader);
    let when = fields.optional("when");
    let when = match when {
        None => Some(Vec::new()),
        Some(node) => read_conditions(&node, context.path, &mut reader),
    };
    let parts = reader.parts;
    Some(AccessRule {
        name: name.into(),
        place: fields.pointer().to_string().into(),
        action: action?,
        from: from?,
        to: to?,
        when: when?,
        schedule: schedule?,
        trial: trial?,
        parts,
        counts,
        usage: RuleUsage::default(),
    })
}

fn read_action(node: &Node<'_>, problems: &mut Problems) -> Option<RuleAction> {
    let written = node.json().as_str().unwrap_or_default();
    let instead = match written.to_ascii_lowercase().as_str() {
        "audit" | "log" => "what is to be logged alone is a rule with `mode: shadow`",
        "custom" => "nobody else is asked; write what allows, or denies, as a rule",
        _ => {
            let known = [("allow", RuleAction::Allow), ("deny", RuleAction::Deny)];
            return node.choice(problems, &known);
        }
    };
    node.report(
        problems,
        format_args!("must be one of \"allow\", \"deny\"; {instead}"),
    );
    None
}

fn groups(
    name: &'static str,
    known: &'static [GroupField],
    fields: &mut Fields<'_>,
    reader: &mut GroupReader<'_>,
) -> Option<Vec<Group>> {
    match fields.optional(name) {
        None => Some(Vec::new()),
        Some(node) => read_groups(&node, known, reader),
    }
}

fn read_conditions(
    node: &Node<'_>,
    path: &RoutePath,
    reader: &mut GroupReader<'_>,
) -> Option<Vec<RuleCondition>> {
    let conditions = node.list(reader.problems, |item, problems| {
        path.read(item, &ACCESS, problems)
    })?;
    if conditions.len() > MOST_CONDITIONS {
        node.report(
            reader.problems,
            format_args!("has more than {MOST_CONDITIONS} items"),
        );
        return None;
    }
    let when = conditions.into_iter().map(|condition| RuleCondition {
        part: reader.part(),
        condition,
    });
    Some(when.collect())
}
