//! What two documents say differently, by place.

use serde_json::Value;

/// One difference. Texts are never quoted: documents hold secrets.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Change {
    pub(crate) kind: ChangeKind,
    /// Of the new document; of the old one for what is removed.
    pub(crate) pointer: String,
    /// The name of the route or of what else it is in.
    pub(crate) name: Option<String>,
    /// Numbers and booleans, before and after.
    pub(crate) values: Option<(String, String)>,
}

/// Of what kind it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ChangeKind {
    Added,
    Removed,
    Changed,
    /// It is the same, and stands elsewhere in its list.
    Moved,
}

impl ChangeKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
            Self::Moved => "moved",
        }
    }
}

/// All that differs, in the order of the new document.
pub(crate) fn changes(old: &Value, new: &Value) -> Vec<Change> {
    let mut all = Vec::new();
    compare(old, new, "", None, &mut all);
    all
}

fn compare(old: &Value, new: &Value, at: &str, name: Option<&str>, all: &mut Vec<Change>) {
    let change = |kind, pointer: String, name: Option<&str>| Change {
        kind,
        pointer,
        name: name.map(str::to_owned),
        values: None,
    };
    match (old, new) {
        (old, new) if old == new => {}
        (Value::Object(old), Value::Object(new)) => {
            for (member, value) in new {
                let at = format!("{at}/{}", escaped(member));
                match old.get(member) {
                    None => all.push(change(ChangeKind::Added, at, name)),
                    Some(before) => compare(before, value, &at, name, all),
                }
            }
            for member in old.keys().filter(|member| !new.contains_key(*member)) {
                let at = format!("{at}/{}", escaped(member));
                all.push(change(ChangeKind::Removed, at, name));
            }
        }
        (Value::Array(old), Value::Array(new)) if are_named(old) && are_named(new) => {
            let mut last = 0;
            for (index, item) in new.iter().enumerate() {
                let own = name_of(item);
                let at = format!("{at}/{index}");
                let before = old.iter().position(|each| name_of(each) == own);
                let Some((place, before)) = before.and_then(|place| Some((place, old.get(place)?)))
                else {
                    all.push(change(ChangeKind::Added, at, own));
                    continue;
                };
                // The first route that fits takes a request, so that order is a difference.
                if place < last {
                    all.push(change(ChangeKind::Moved, at.clone(), own));
                }
                last = last.max(place);
                compare(before, item, &at, own, all);
            }
            for (index, item) in old.iter().enumerate() {
                let own = name_of(item);
                if !new.iter().any(|each| name_of(each) == own) {
                    all.push(change(ChangeKind::Removed, format!("{at}/{index}"), own));
                }
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for (index, item) in new.iter().enumerate() {
                let at = format!("{at}/{index}");
                match old.get(index) {
                    None => all.push(change(ChangeKind::Added, at, name)),
                    Some(before) => compare(before, item, &at, name, all),
                }
            }
            for index in new.len()..old.len() {
                all.push(change(ChangeKind::Removed, format!("{at}/{index}"), name));
            }
        }
        (old, new) => {
            let shown = |value: &Value| match value {
                Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
                _ => None,
            };
            let mut changed = change(ChangeKind::Changed, at.to_owned(), name);
            changed.values = shown(old).zip(shown(new));
            all.push(changed);
        }
    }
}

fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

fn name_of(item: &Value) -> Option<&str> {
    let name = ["name", "id", "kid"].iter().find_map(|name| item.get(name));
    name.and_then(Value::as_str)
}

/// Whether each item has a name of its own.
fn are_named(items: &[Value]) -> bool {
    let mut names: Vec<&str> = items.iter().filter_map(name_of).collect();
    names.sort_unstable();
    names.dedup();
    names.len() == items.len()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(old: &Value, new: &Value) -> Vec<String> {
        let all = changes(old, new);
        let told = |change: &Change| {
            let values = change.values.as_ref();
            let values = values.map(|(old, new)| format!(" {old} {new}"));
            let name = change.name.as_deref().unwrap_or("-");
            let kind = change.kind.name();
            format!(
                "{kind} {} {name}{}",
                change.pointer,
                values.unwrap_or_default()
            )
        };
        all.iter().map(told).collect()
    }

    #[test]
    fn routes_are_told_apart_by_their_names() {
        let old =
            json!({ "routes": [{ "name": "a", "open": true }, { "name": "b", "deny": true }] });
        let new = json!({ "routes": [{ "name": "c" }, { "name": "b", "deny": true, "jwt": {} }] });
        assert_eq!(
            told(&old, &new),
            [
                "added /routes/0 c",
                "added /routes/1/jwt b",
                "removed /routes/0 a"
            ]
        );
        let turned =
            json!({ "routes": [{ "name": "b", "deny": true }, { "name": "a", "open": true }] });
        assert_eq!(told(&old, &turned), ["moved /routes/1 a"]);
        assert_eq!(told(&old, &old), [""; 0]);
    }

    #[test]
    fn numbers_are_shown_and_texts_are_not() {
        let old = json!({ "limit": 5, "secret": "one", "list": [1, 2] });
        let new = json!({ "limit": 6, "secret": "two", "list": [1] });
        assert_eq!(
            told(&old, &new),
            [
                "changed /limit - 5 6",
                "removed /list/1 -",
                "changed /secret -"
            ]
        );
    }
}
