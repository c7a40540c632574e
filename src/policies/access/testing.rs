//! Rules and requests of tests.

use std::rc::Rc;

use portcullis_document::{Node, Problems};
use portcullis_exchange::policy::RoutePath;
use portcullis_exchange::target::LetterCase;
use portcullis_wire::json::Json;

use super::group::RuleSources;
use super::read::{RuleContext, read_rule};
use super::rule::AccessRule;
use crate::networks::NetworkLists;

/// The rules of a list, each an object with a name.
pub(super) fn rules(text: &str) -> Vec<Rc<AccessRule>> {
    rules_by(text, LetterCase::Significant)
}

/// The same, where upper and lower case are the same or are not.
pub(super) fn rules_by(text: &str, letter_case: LetterCase) -> Vec<Rc<AccessRule>> {
    let json = Json::parse(text.as_bytes(), 16).unwrap();
    let mut problems = Problems::default();
    let items = Node::root(&json).items(&mut problems).unwrap();
    let mut rules = Vec::new();
    let (networks, geo) = (NetworkLists::default(), Rc::default());
    for item in items {
        let mut fields = item.fields(&mut problems).unwrap();
        let name = fields.required("name", &mut problems).unwrap();
        let name = name.json().as_str().unwrap();
        let context = RuleContext {
            letter_case,
            places: RuleSources {
                networks: &networks,
                geo: &geo,
            },
            path: &RoutePath::default(),
        };
        let rule = read_rule(name, &mut fields, &context, Rc::default(), &mut problems);
        fields.deny_unknown(&mut problems);
        rules.extend(rule.map(Rc::new));
    }
    problems
        .into_result(Some(rules))
        .unwrap_or_else(|error| panic!("{error}"))
}
