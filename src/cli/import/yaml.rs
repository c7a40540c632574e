//! JSON as YAML: blocks of lines, and texts in double quotes wherever they could be read as something else.

use serde_json::Value;

/// A value as one document.
pub(super) fn write(value: &Value) -> String {
    let mut out = String::new();
    block(value, 0, &mut out);
    out
}

/// Writes a value that stands alone on lines of that indentation.
fn block(value: &Value, depth: usize, out: &mut String) {
    let margin = "  ".repeat(depth);
    match value {
        Value::Object(members) if !members.is_empty() => {
            for (name, value) in members {
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
    use super::super::super::tree::of_yaml;
    use super::*;
    use serde_json::json;

    #[test]
    fn what_is_written_is_read_as_the_same() {
        let value = json!({
            "version": 1, "a": [], "b": {}, "c": [[1, 2], [], { "x": "off", "y": ["off", "1.0", "a: b", "é\n#"] }],
            "on": "true", "path": "/a/b", "n": null, "deep": { "er": { "x": [{ "a": 1, "b": { "c": 2 } }, "z"] } },
        });
        let text = write(&value);
        let trees = of_yaml(&text).unwrap();
        assert_eq!(trees.len(), 1, "{text}");
        assert_eq!(trees[0].json(), value, "{text}");
    }
}
