//! Expressions as rules.

use super::*;

fn paths(path: &str) -> Expression {
    Expression::Is(Leaf::To("paths", vec![path.into()]))
}

fn subject(name: &str) -> Expression {
    Expression::Is(Leaf::From("subjects", vec![name.into()]))
}

fn rules(expression: &Expression, action: Action) -> (Value, bool) {
    let Rules {
        rules, is_stricter, ..
    } = expression.rules(action);
    let rules = rules.iter().map(|rule| Value::from(rule.json(action)));
    (rules.collect(), is_stricter)
}

#[test]
fn alternatives_of_callers_and_requests_are_one_rule() {
    let who = Expression::Or(vec![subject("a"), Expression::Is(Leaf::Authenticated)]);
    let what = Expression::any([paths("/a"), paths("/b")]);
    let (rules, is_stricter) = rules(&Expression::all([who, what]), Action::Allow);
    assert_eq!(
        rules,
        json!([{
            "action": "allow",
            "from": [{ "subjects": ["a"] }, { "authenticated": true }],
            "to": { "paths": ["/a", "/b"] },
        }])
    );
    assert!(!is_stricter);
}

#[test]
fn what_is_unknown_allows_nothing_and_denies_more() {
    let both = Expression::any([
        Expression::all([subject("a"), Expression::Unknown]),
        Expression::all([subject("b"), paths("/b")]),
    ]);
    let (allowed, is_stricter) = rules(&both, Action::Allow);
    let b = json!({ "subjects": ["b"] });
    let to = json!({ "paths": ["/b"] });
    assert_eq!(allowed, json!([{ "action": "allow", "from": b, "to": to }]));
    assert!(is_stricter);
    let (denied, is_stricter) = rules(&both, Action::Deny);
    assert_eq!(
        denied,
        json!([
            { "action": "deny", "from": { "subjects": ["a"] } },
            { "action": "deny", "from": b, "to": to },
        ])
    );
    assert!(is_stricter);
    let (denied, _) = rules(&Expression::Unknown.not(), Action::Deny);
    assert_eq!(denied, json!([{ "action": "deny" }]), "denies all");
}

#[test]
fn what_holds_less_often_is_for_allowances() {
    let certificate = Leaf::From("certificates", vec!["spiffe://a/b".into()]);
    let under = Expression::Under(certificate);
    for (expression, action, is_expected) in [
        (under.clone(), Action::Allow, false),
        (under.clone().not(), Action::Allow, true),
        (under.clone(), Action::Deny, true),
        (under.not(), Action::Deny, false),
    ] {
        assert_eq!(
            rules(&expression, action).1,
            is_expected,
            "{expression:?} {action:?}"
        );
    }
}

#[test]
fn methods_are_themselves_alone() {
    let get = Expression::methods(vec!["GET".into()]);
    let (allowed, _) = rules(&get, Action::Allow);
    assert_eq!(
        allowed,
        json!([{ "action": "allow", "to": { "methods": ["GET"], "not_methods": ["HEAD"] } }])
    );
    let (others, _) = rules(&get.not(), Action::Deny);
    assert_eq!(
        others,
        json!([{ "action": "deny", "to": [{ "not_methods": ["GET"] }, { "methods": ["HEAD"] }] }])
    );
}

#[test]
fn of_nobody_nothing_holds() {
    let mixed = Expression::any([
        Expression::all([subject("a"), paths("/a")]),
        Expression::all([subject("a").not(), paths("/b")]),
    ]);
    let (allowed, is_stricter) = rules(&mixed.of_nobody(), Action::Allow);
    assert_eq!(
        allowed,
        json!([{ "action": "allow", "to": { "paths": ["/b"] } }])
    );
    assert!(!is_stricter);
}
