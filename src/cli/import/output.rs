//! Documents as texts of JSON and YAML, with what names a thing before what is said of it. In YAML, texts are in double quotes
//! wherever they could be read as something else.

use serde_json::{Map, Value};

/// What stands first in its object, in this order; all else follows by name.
const FIRST: [&str; 28] = [
    "version",
    "providers",
    "api_key_stores",
    "apis",
    "rate_limits",
    "defaults",
    "name",
    "id",
    "match",
    "hosts",
    "path",
    "methods",
    "deny",
    "open",
    "jwt",
    "api_key",
    "credentials",
    "action",
    "from",
    "to",
    "when",
    "issuer",
    "audiences",
    "header_name",
    "header",
    "claim",
    "key",
    "kty",
];

/// A value as YAML.
pub(super) fn yaml(value: &Value) -> String {
    let mut out = String::new();
    block(value, 0, &mut out);
    out
}

/// A value as JSON, with lines and margins.
pub(super) fn json(value: &Value) -> String {
    let mut out = String::new();
    lines(value, 0, &mut out);
    out.push('\n');
    out
}

/// The members of an object in the order in which people read them.
fn ordered(members: &Map<String, Value>) -> Vec<(&String, &Value)> {
    let mut all: Vec<(&String, &Value)> = members.iter().collect();
    let rank = |name: &str| {
        FIRST
            .iter()
            .position(|first| *first == name)
            .unwrap_or(FIRST.len())
    };
    all.sort_by_key(|(name, _)| rank(name));
    all
}

fn lines(value: &Value, depth: usize, out: &mut String) {
    // What is short stands on one line.
    const WIDTH: usize = 80;
    let short = inline(value);
    if short.len() + 2 * depth <= WIDTH {
        out.push_str(&short);
        return;
    }
    let margin = "  ".repeat(depth + 1);
    let (open, close, all): (char, char, Vec<(Option<&String>, &Value)>) = match value {
        Value::Object(members) => {
            let all = ordered(members).into_iter();
            (
                '{',
                '}',
                all.map(|(name, value)| (Some(name), value)).collect(),
            )
        }
        Value::Array(items) => ('[', ']', items.iter().map(|item| (None, item)).collect()),
        _ => {
            out.push_str(&short);
            return;
        }
    };
    out.push(open);
    for (place, (name, value)) in all.into_iter().enumerate() {
        out.push_str(if place == 0 { "\n" } else { ",\n" });
        out.push_str(&margin);
        if let Some(name) = name {
            out.push_str(&Value::from(name.as_str()).to_string());
            out.push_str(": ");
        }
        lines(value, depth + 1, out);
    }
    out.push('\n');
    out.push_str(&"  ".repeat(depth));
    out.push(close);
}

fn inline(value: &Value) -> String {
    match value {
        Value::Object(members) if !members.is_empty() => {
            let members = ordered(members).into_iter();
            let members = members
                .map(|(name, value)| format!("{}: {}", Value::from(name.as_str()), inline(value)));
            format!("{{ {} }}", members.collect::<Vec<_>>().join(", "))
        }
        Value::Array(items) => {
            let items = items.iter().map(inline);
            format!("[{}]", items.collect::<Vec<_>>().join(", "))
        }
        value => value.to_string(),
    }
}

/// Writes a value that stands alone on lines of that indentation.
fn block(value: &Value, depth: usize, out: &mut String) {
    let margin = "  ".repeat(depth);
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in ordered(members) {
                out.push_str(&margin);
                out.push_str(&scalar(&Value::from(name.as_str())));
                out.push(':');
                behind(value, depth, out);
            }
        }
        Value::Array(items) if !items.is_empty() => {
            for item in items {
                out.push_str(&margin);
                out.push('-');
                match item {
                    // The first member stands behind the dash.
                    Value::Object(members) if !members.is_empty() => {
                        let mut lines = String::new();
                        block(item, depth + 1, &mut lines);
                        out.push(' ');
                        out.push_str(lines.trim_start());
                    }
                    item => behind(item, depth, out),
                }
            }
        }
        value => {
            out.push_str(&margin);
            out.push_str(&scalar(value));
            out.push('\n');
        }
    }
}

/// Writes a value behind a name or a dash.
fn behind(value: &Value, depth: usize, out: &mut String) {
    let is_empty = match value {
        Value::Object(members) => members.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => true,
    };
    if is_empty {
        out.push(' ');
        out.push_str(&scalar(value));
        out.push('\n');
    } else {
        out.push('\n');
        block(value, depth + 1, out);
    }
}

fn scalar(value: &Value) -> String {
    let Value::String(text) = value else {
        // Numbers, booleans, null, and what is empty are the same in JSON.
        return value.to_string();
    };
    let is_word = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .chars()
            .all(|c| c.is_ascii_alphanumeric() || "_-./".contains(c));
    const OTHERS: [&str; 12] = [
        "true", "false", "null", "yes", "no", "on", "off", "y", "n", "nan", "inf", "none",
    ];
    match is_word && !OTHERS.contains(&text.to_ascii_lowercase().as_str()) {
        true => text.clone(),
        false => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_cases::tree::of_yaml;
    use serde_json::json;

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let value = json!({
            "version": 1, "a": [], "b": {}, "c": [[1, 2], [], { "x": "off", "y": ["off", "1.0", "a: b", "é\n#"] }],
            "on": "true", "path": "/a/b", "n": null, "deep": { "er": { "x": [{ "a": 1, "b": { "c": 2 } }, "z"] } },
        });
        let text = yaml(&value);
        let trees = of_yaml(&text).unwrap();
        assert_eq!(trees.len(), 1, "{text}");
        assert_eq!(trees[0].json(), value, "{text}");
        let text = json(&value);
        assert_eq!(
            serde_json::from_str::<Value>(&text).unwrap(),
            value,
            "{text}"
        );
    }
}
