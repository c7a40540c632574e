//! Conditions of others as expressions, and as access rules.
//!
//! What has no counterpart is [`Expression::Unknown`]. An allowance is left out where it would depend on that; of a denial,
//! only that part is. So rules never allow more than they were made of.

use serde_json::{Map, Value, json};

/// A condition on a request.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Expression {
    Const(bool),
    Is(Leaf),
    /// This holds only where what it stands for does, and perhaps not always then.
    Under(Leaf),
    /// This holds wherever what it stands for does, and perhaps elsewhere too.
    Over(Leaf),
    Not(Box<Expression>),
    And(Vec<Expression>),
    Or(Vec<Expression>),
    Unknown,
}

/// What rules can ask.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Leaf {
    /// A field of `from`, and its values.
    From(&'static str, Vec<Value>),
    /// A field of `to`, and its values.
    To(&'static str, Vec<Value>),
    /// Whether somebody was accepted.
    Authenticated,
    /// A condition on the request.
    When(Value),
    /// A condition on claims.
    Claim(Value),
}

/// What a rule does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    Allow,
    Deny,
}

/// A rule without its name: alternatives of `from` and `to`, of which none means any, and conditions.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Rule {
    pub(super) from: Vec<Map<String, Value>>,
    pub(super) to: Vec<Map<String, Value>>,
    pub(super) when: Vec<Value>,
}

/// Rules, and whether they are stricter than what they were made of.
#[derive(Debug, Default)]
pub(super) struct Rules {
    pub(super) rules: Vec<Rule>,
    pub(super) is_stricter: bool,
    /// Whether that is because rules know of hosts in any case and at any port alone.
    is_of_hosts: bool,
}

/// One part of a term.
#[derive(Clone, Debug)]
enum Literal {
    Leaf {
        leaf: Leaf,
        holds: bool,
        kind: LeafKind,
    },
    Unknown,
}

/// How exactly a leaf stands for what was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LeafKind {
    Exact,
    Under,
    Over,
}

/// So many alternatives have rules of one policy at most.
const MOST_TERMS: usize = 128;
/// So many objects `from` and `to` have.
const MOST_OBJECTS: usize = 32;

impl Expression {
    pub(super) fn not(self) -> Self {
        match self {
            Self::Not(inner) => *inner,
            Self::Const(holds) => Self::Const(!holds),
            other => Self::Not(Box::new(other)),
        }
    }

    /// `self`, or not, if it is inverted.
    pub(super) fn inverted(self, is_inverted: bool) -> Self {
        if is_inverted { self.not() } else { self }
    }

    /// One of these. Values of one field stand together.
    pub(super) fn any(all: impl IntoIterator<Item = Self>) -> Self {
        let mut alternatives: Vec<Self> = Vec::new();
        for each in all {
            let is_joined = alternatives.iter_mut().any(|known| known.join(&each));
            if !is_joined {
                alternatives.push(each);
            }
        }
        match <[Self; 1]>::try_from(alternatives) {
            Ok([one]) => one,
            Err(all) => Self::Or(all),
        }
    }

    /// All of these.
    pub(super) fn all(all: impl IntoIterator<Item = Self>) -> Self {
        let all: Vec<Self> = all.into_iter().collect();
        match <[Self; 1]>::try_from(all) {
            Ok([one]) => one,
            Err(all) => Self::And(all),
        }
    }

    /// Adds the values of another alternative, if it asks of the same field.
    fn join(&mut self, other: &Self) -> bool {
        match (self, other) {
            (Self::Is(Leaf::From(field, values)), Self::Is(Leaf::From(same, more)))
            | (Self::Is(Leaf::To(field, values)), Self::Is(Leaf::To(same, more)))
            | (Self::Under(Leaf::From(field, values)), Self::Under(Leaf::From(same, more)))
            | (Self::Over(Leaf::To(field, values)), Self::Over(Leaf::To(same, more)))
                if field == same =>
            {
                values.extend(more.iter().cloned());
                true
            }
            _ => false,
        }
    }

    /// One of these methods: `GET` does not stand for `HEAD` as it does in documents.
    pub(super) fn methods(methods: Vec<String>) -> Self {
        let has = |name: &str| methods.iter().any(|method| method == name);
        let is_alone = has("GET") && !has("HEAD");
        let methods = methods.into_iter().map(Value::from).collect();
        let named = Self::Is(Leaf::To("methods", methods));
        match is_alone {
            true => Self::And(vec![
                named,
                Self::Is(Leaf::To("methods", vec!["HEAD".into()])).not(),
            ]),
            false => named,
        }
    }

    /// What is left of it where nobody can be known.
    pub(super) fn of_nobody(&self) -> Self {
        let is_of_callers = |leaf: &Leaf| match leaf {
            Leaf::From(field, _) => !["certificates", "addresses"].contains(field),
            Leaf::Authenticated | Leaf::Claim(_) => true,
            Leaf::To(..) | Leaf::When(_) => false,
        };
        match self {
            Self::Is(leaf) | Self::Under(leaf) | Self::Over(leaf) if is_of_callers(leaf) => {
                Self::Const(false)
            }
            Self::Not(inner) => inner.of_nobody().not(),
            Self::And(all) => Self::And(all.iter().map(Self::of_nobody).collect()),
            Self::Or(all) => Self::Or(all.iter().map(Self::of_nobody).collect()),
            other => other.clone(),
        }
    }

    /// As rules of that action.
    pub(super) fn rules(&self, action: Action) -> Rules {
        let mut found = Rules::default();
        let Some(terms) = self.terms(true) else {
            found.is_stricter = true;
            if action == Action::Deny {
                found.rules.push(Rule::default());
            }
            return found;
        };
        for term in terms {
            match of_term(&term, action, &mut found) {
                Some(rule) if !found.rules.contains(&rule) => found.rules.push(rule),
                _ => {}
            }
        }
        found.rules = merged(found.rules);
        found
    }

    /// What holds in one of these terms, where it is asked whether the expression holds, or whether it does not. None if
    /// there are too many.
    fn terms(&self, holds: bool) -> Option<Vec<Vec<Literal>>> {
        let leaf = |leaf: &Leaf, kind| Literal::Leaf {
            leaf: leaf.clone(),
            holds,
            kind,
        };
        let terms = match self {
            Self::Const(value) if *value == holds => vec![Vec::new()],
            Self::Const(_) => Vec::new(),
            Self::Is(asked) => vec![vec![leaf(asked, LeafKind::Exact)]],
            Self::Under(asked) => vec![vec![leaf(asked, LeafKind::Under)]],
            Self::Over(asked) => vec![vec![leaf(asked, LeafKind::Over)]],
            Self::Unknown => vec![vec![Literal::Unknown]],
            Self::Not(inner) => inner.terms(!holds)?,
            Self::And(all) if holds => product(all, holds)?,
            Self::Or(all) if !holds => product(all, holds)?,
            Self::And(all) | Self::Or(all) => {
                let mut terms = Vec::new();
                for each in all {
                    terms.extend(each.terms(holds)?);
                }
                terms
            }
        };
        (terms.len() <= MOST_TERMS).then_some(terms)
    }
}

fn product(all: &[Expression], holds: bool) -> Option<Vec<Vec<Literal>>> {
    let mut terms = vec![Vec::new()];
    for each in all {
        let more = each.terms(holds)?;
        if terms.len().saturating_mul(more.len()) > MOST_TERMS {
            return None;
        }
        let with = |term: &Vec<Literal>| {
            let term = term.clone();
            more.iter()
                .map(move |more| term.iter().chain(more).cloned().collect::<Vec<_>>())
                .collect::<Vec<_>>()
        };
        terms = terms.iter().flat_map(with).collect();
    }
    Some(terms)
}

/// What became of one more part of a rule.
enum Added {
    Yes,
    /// The rule can never hold.
    Never,
    /// It cannot be said beside the others.
    No,
}

/// One term as a rule; none if it never holds, or is left out.
fn of_term(term: &[Literal], action: Action, found: &mut Rules) -> Option<Rule> {
    let (mut from, mut to, mut when) = (Map::new(), Map::new(), Vec::new());
    for literal in term {
        let added = match literal {
            Literal::Unknown => Added::No,
            Literal::Leaf {
                holds,
                kind: LeafKind::Under,
                ..
            } if *holds != (action == Action::Allow) => Added::No,
            Literal::Leaf {
                leaf,
                holds,
                kind: LeafKind::Over,
            } if *holds == (action == Action::Allow) => {
                found.is_of_hosts |= matches!(leaf, Leaf::To("hosts", _));
                Added::No
            }
            Literal::Leaf { leaf, holds, .. } => match leaf {
                Leaf::From(field, values) => add(&mut from, field, values, *holds),
                Leaf::To(field, values) => add(&mut to, field, values, *holds),
                Leaf::Authenticated => match from.insert("authenticated".into(), json!(holds)) {
                    Some(other) if other != *holds => Added::Never,
                    _ => Added::Yes,
                },
                Leaf::When(condition) | Leaf::Claim(condition) => {
                    let condition = match holds {
                        true => condition.clone(),
                        false => json!({ "not": condition }),
                    };
                    if !when.contains(&condition) {
                        when.push(condition);
                    }
                    Added::Yes
                }
            },
        };
        match (added, action) {
            (Added::Yes, _) => {}
            (Added::Never, _) => return None,
            (Added::No, Action::Allow) => {
                found.is_stricter = true;
                return None;
            }
            (Added::No, Action::Deny) => found.is_stricter = true,
        }
    }
    let objects = |map: Map<String, Value>| match map.is_empty() {
        true => Vec::new(),
        false => vec![map],
    };
    Some(Rule {
        from: objects(from),
        to: objects(to),
        when,
    })
}

/// Fields of which a request has one value, that texts name.
const SINGLE: [&str; 5] = ["subjects", "issuers", "paths", "methods", "hosts"];

/// Adds a field to an object of a rule.
fn add(object: &mut Map<String, Value>, field: &str, values: &[Value], holds: bool) -> Added {
    let name = match holds {
        true => field.to_owned(),
        false => format!("not_{field}"),
    };
    let Some(Value::Array(known)) = object.get_mut(&name) else {
        object.insert(name, values.to_vec().into());
        return Added::Yes;
    };
    if !holds {
        known.extend(
            values
                .iter()
                .filter(|value| !values_has(known, value))
                .cloned()
                .collect::<Vec<_>>(),
        );
        return Added::Yes;
    }
    if known.as_slice() == values {
        return Added::Yes;
    }
    // Of what a request has one of it is plain what two lists of texts have in common. A caller may have several scopes and
    // be vouched for by several, and networks are in one another.
    if !SINGLE.contains(&field) {
        return Added::No;
    }
    let is_plain = |value: &Value| value.as_str().is_some_and(|text| !text.contains('*'));
    if !known.iter().chain(values).all(is_plain) {
        return Added::No;
    }
    known.retain(|value| values_has(values, value));
    match known.is_empty() {
        true => Added::Never,
        false => Added::Yes,
    }
}

fn values_has(values: &[Value], value: &Value) -> bool {
    values.contains(value)
}

/// Rules that differ in `from` or in `to` alone are one with alternatives.
fn merged(rules: Vec<Rule>) -> Vec<Rule> {
    let by_from = joined(
        rules,
        |rule| (rule.to.clone(), rule.when.clone()),
        |rule| &mut rule.from,
    );
    joined(
        by_from,
        |rule| (rule.from.clone(), rule.when.clone()),
        |rule| &mut rule.to,
    )
}

fn joined<K: PartialEq>(
    rules: Vec<Rule>,
    key: impl Fn(&Rule) -> K,
    part: impl Fn(&mut Rule) -> &mut Vec<Map<String, Value>>,
) -> Vec<Rule> {
    let mut all: Vec<Rule> = Vec::new();
    for mut rule in rules {
        let same = all.iter().position(|known| key(known) == key(&rule));
        let known = same.and_then(|place| all.get_mut(place));
        let more = std::mem::take(part(&mut rule));
        match known {
            Some(known) => {
                let objects = part(known);
                // No object at all stands for any.
                if more.is_empty() || objects.is_empty() {
                    objects.clear();
                } else if objects.len() + more.len() <= MOST_OBJECTS {
                    objects.extend(more);
                } else {
                    *part(&mut rule) = more;
                    all.push(rule);
                }
            }
            None => {
                *part(&mut rule) = more;
                all.push(rule);
            }
        }
    }
    all
}

impl Rules {
    /// What came of them, if they are stricter than what they were made of.
    pub(super) fn came(&self, action: Action) -> &'static str {
        match (action, self.is_of_hosts) {
            (Action::Allow, false) => "allows less here",
            (Action::Deny, false) => "denies more here",
            (Action::Allow, true) => {
                "allows less here: `hosts` is for a host in any case, at any port and with a final dot, which was not asked; write `hosts` into a rule by hand if that may pass"
            }
            (Action::Deny, true) => {
                "denies more here: `hosts` is for a host in any case, at any port and with a final dot, which was not asked; write `not_hosts` into the rule by hand if that may pass"
            }
        }
    }
}

impl Rule {
    /// In the words of documents.
    pub(super) fn json(&self, action: Action) -> Map<String, Value> {
        let mut rule = Map::new();
        let action = match action {
            Action::Allow => "allow",
            Action::Deny => "deny",
        };
        rule.insert("action".into(), action.into());
        for (name, objects) in [("from", &self.from), ("to", &self.to)] {
            let value = match objects.as_slice() {
                [] => continue,
                [one] => json!(one),
                all => json!(all),
            };
            rule.insert(name.into(), value);
        }
        if !self.when.is_empty() {
            rule.insert("when".into(), self.when.clone().into());
        }
        rule
    }
}

#[cfg(test)]
mod tests;
