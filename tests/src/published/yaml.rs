//! YAML as publishers write it, to JSON: the core schema of YAML 1.2, with anchors and merge keys.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Number, Value};

/// The first document of a text.
///
/// # Errors
///
/// If it is not YAML, or cannot be JSON.
pub fn to_json(text: &str) -> Result<Value, String> {
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
    };
    loop {
        match reader.next()? {
            Event::StreamStart | Event::DocumentStart(_) => {}
            first => return reader.value(first),
        }
    }
}

struct Reader<'t> {
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    anchors: HashMap<usize, Value>,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<Event<'t>, String> {
        match self.parser.next() {
            Some(Ok((event, _))) => Ok(event),
            Some(Err(_)) | None => Err("not YAML".to_owned()),
        }
    }

    fn value(&mut self, event: Event<'t>) -> Result<Value, String> {
        let (anchor, value) = match event {
            Event::Scalar(text, ScalarStyle::Plain, anchor, None) => (anchor, plain(&text)),
            Event::Scalar(text, _, anchor, _) => (anchor, Value::String(text.into_owned())),
            Event::Alias(anchor) => {
                let known = self.anchors.get(&anchor).cloned();
                return known.ok_or_else(|| "an alias of nothing".to_owned());
            }
            Event::SequenceStart(anchor, _) => (anchor, self.sequence()?),
            Event::MappingStart(anchor, _) => (anchor, self.mapping()?),
            _ => return Err("not YAML".to_owned()),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, value.clone());
        }
        Ok(value)
    }

    fn sequence(&mut self) -> Result<Value, String> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                Event::SequenceEnd => return Ok(items.into()),
                item => items.push(self.value(item)?),
            }
        }
    }

    fn mapping(&mut self) -> Result<Value, String> {
        let mut members = Map::new();
        loop {
            let name = match self.next()? {
                Event::MappingEnd => return Ok(members.into()),
                // A status such as 200 is a number in YAML and a name in JSON.
                Event::Scalar(text, ..) => text.into_owned(),
                _ => return Err("a name that is no scalar".to_owned()),
            };
            let event = self.next()?;
            match (name.as_str(), self.value(event)?) {
                ("<<", Value::Object(merged)) => {
                    for (name, value) in merged {
                        members.entry(name).or_insert(value);
                    }
                }
                (_, value) => {
                    members.insert(name, value);
                }
            }
        }
    }
}

fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => true.into(),
        "false" | "False" | "FALSE" => false.into(),
        _ => {
            let number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
            let whole = text.parse::<i64>().map(Number::from);
            let number = whole
                .ok()
                .or_else(|| Number::from_f64(text.parse().ok()?))
                .filter(|_| number);
            number.map_or_else(|| Value::String(text.to_owned()), Value::Number)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn is_read_as_publishers_mean_it() {
        let text = "openapi: 3.0.3\na: &x {b: [1, -2.5, yes, null, '7', \"8\"]}\nc: *x\n\
            responses:\n  200: {<<: *x, description: |\n    two\n    lines\n  }\n";
        let text = text.replace(", description: |\n    two\n    lines\n  }", ", d: true}");
        let list = json!([1, -2.5, "yes", null, "7", "8"]);
        assert_eq!(
            to_json(&text),
            Ok(json!({
                "openapi": "3.0.3",
                "a": {"b": list},
                "c": {"b": list},
                "responses": {"200": {"b": list, "d": true}},
            }))
        );
        assert!(to_json("a: [1").is_err());
    }
}
