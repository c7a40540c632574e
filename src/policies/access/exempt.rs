//! Requests that something else is not for, in the words of rules: `from` and `to`.

use std::rc::Rc;

use portcullis_document::Node;
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::exchange::{ApiOperations, Exchange};
use portcullis_exchange::geo::Geo;
use portcullis_exchange::host::Host;
use portcullis_exchange::policy::{Context, Declaration, RouteCredentials, RoutePath};
use portcullis_exchange::rollout::Rollout;
use portcullis_exchange::target::PathRules;

use super::HAS_ACCESS;
use super::anybody::{check_anybody, unknown_roles};
use super::decision::{Truth, matches};
use super::group::{GroupReader, RuleSources, read_groups};
use super::operations::unknown_operations;
use super::request::{Head, HeadContext};
use super::rule::{AccessRule, FieldTest, Group, Need, RuleAction, RuleUsage, Values};
use super::schedule::RuleSchedule;
use super::{from, to};
use crate::networks::NetworkLists;
use portcullis_document::LeftOut;

/// Requests of which one item of a list holds. One of which that cannot be told is none of them.
#[derive(Debug, Default)]
pub(crate) struct Exemptions {
    rules: Vec<Rc<AccessRule>>,
    path: RoutePath,
}

/// The most items.
const MOST: usize = 64;

impl Exemptions {
    /// Reads a list of objects with `from` and `to`.
    pub(crate) fn read(node: &Node<'_>, context: &mut Context<'_>) -> Option<Self> {
        if !HAS_ACCESS {
            node.report(context.problems, LeftOut::ACCESS);
            return None;
        }
        let items = node.items(context.problems)?;
        if items.is_empty() || items.len() > MOST {
            node.report(
                context.problems,
                format_args!("must have from 1 to {MOST} items"),
            );
            return None;
        }
        let rules: Vec<Option<Rc<AccessRule>>> = items
            .iter()
            .map(|item| read_item(item, context).map(Rc::new))
            .collect();
        let rules: Option<Vec<Rc<AccessRule>>> = rules.into_iter().collect();
        Some(Self {
            rules: rules?,
            path: context.route_path(),
        })
    }

    /// Whether it goes by who calls.
    pub(crate) fn needs_identity(&self) -> bool {
        self.rules.iter().any(|rule| rule.need() > Need::Head)
    }

    /// Whether a request is one of them.
    pub(crate) fn has(&self, exchange: &Exchange<'_>, host: &dyn Host) -> bool {
        if self.rules.is_empty() {
            return false;
        }
        let known = HeadContext {
            facts: exchange.facts,
            host,
            now: exchange.arrived,
            names_caller_late: false,
            path: &self.path,
            body: None,
        };
        let head = Head::new(exchange.request, known);
        let mut rules = self.rules.iter();
        rules.any(|rule| matches(rule, &head) == Truth::Yes)
    }

    /// The roles that it goes by and nobody has on a route.
    pub(crate) fn unknown_roles(&self, credentials: &RouteCredentials<'_>) -> Vec<String> {
        let rules: Vec<&AccessRule> = self.rules.iter().map(|rule| &**rule).collect();
        unknown_roles(&rules, credentials)
    }

    /// Whether one item lets through whoever has been identified.
    pub(crate) fn lets_all_callers(&self) -> bool {
        let is_of_all = |group: &Group| {
            let is_known = |test: &FieldTest| matches!(test.values, Values::Authenticated(true));
            group.tests.iter().all(is_known)
        };
        let mut rules = self.rules.iter();
        rules.any(|rule| rule.to.is_empty() && rule.from.iter().any(is_of_all))
    }

    /// The names of operations that the API of a route does not have.
    pub(crate) fn unknown_operations(&self, api: Option<&dyn ApiOperations>) -> Vec<String> {
        unknown_operations(&self.rules, api)
    }

    /// What a policy says of itself that goes by them.
    pub(crate) fn declares(&self) -> Declaration {
        let mut rules = self.rules.iter();
        Declaration {
            asks_for_certificate: rules.clone().any(|rule| rule.asks_for_certificate()),
            asks_operations: rules.any(|rule| rule.operations().next().is_some()),
            ..Declaration::default()
        }
    }
}

fn read_item(node: &Node<'_>, context: &mut Context<'_>) -> Option<AccessRule> {
    let (networks, geo) = (
        context.sections.get::<NetworkLists>(),
        context.sections.get::<Geo>(),
    );
    let letter_case = context.sections.get::<PathRules>().letter_case;
    let mut fields = node.fields(context.problems)?;
    let (of_whom, of_what) = (fields.optional("from"), fields.optional("to"));
    if of_whom.is_none() && of_what.is_none() {
        match inner(node) {
            Some((name, place)) => node.report(
                context.problems,
                format_args!("`{name}` belongs into `{place}`: {{\"{place}\": {{\"{name}\": …}}}}"),
            ),
            None => {
                fields.lacks(
                    &["from", "to"],
                    context.problems,
                    "lets everything through; write `from` or `to` into it",
                );
                fields.deny_unknown(context.problems);
            }
        }
        return None;
    }
    let mut reader = GroupReader {
        letter_case,
        places: RuleSources {
            networks: &networks,
            geo: &geo,
        },
        problems: context.problems,
        parts: 0,
    };
    let from = match of_whom {
        None => Some(Vec::new()),
        Some(node) => read_groups(&node, &from::FIELDS, &mut reader),
    };
    let to = match of_what {
        None => Some(Vec::new()),
        Some(node) => read_groups(&node, &to::FIELDS, &mut reader),
    };
    let parts = reader.parts;
    let graphql = to.iter().flatten().flat_map(|group| &group.tests);
    let mut graphql = graphql.filter(|test| matches!(test.values, Values::Graphql(_)));
    if let Some(test) = graphql.next() {
        context.problems.report(
            &test.at,
            "is not known here: what GraphQL requests ask for is read after this is judged",
        );
    }
    fields.deny_unknown(context.problems);
    let rule = AccessRule {
        name: "".into(),
        place: node.pointer().to_string().into(),
        action: RuleAction::Allow,
        from: from?,
        to: to?,
        when: Vec::new(),
        schedule: RuleSchedule::default(),
        trial: Rollout::of(Mode::Enforce),
        parts,
        counts: Rc::default(),
        usage: RuleUsage::default(),
    };
    check_anybody(&rule, context.notes, context.problems);
    Some(rule)
}

/// A field that stands beside `from` and `to` and belongs into one of them, and into which.
fn inner(node: &Node<'_>) -> Option<(&'static str, &'static str)> {
    let fields = [("from", &from::FIELDS[..]), ("to", &to::FIELDS[..])];
    let mut names = fields
        .into_iter()
        .flat_map(|(place, fields)| fields.iter().map(move |field| (field, place)))
        .flat_map(|(field, place)| field.names().map(move |name| (name, place)));
    names.find(|(name, _)| node.member(name).is_some())
}
