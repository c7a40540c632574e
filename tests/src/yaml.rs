//! YAML, read so that no other reader could take it for something else.

use std::fs;
use std::path::Path;

use regex::Regex;
use saphyr_parser::{Event, Parser, ScalarStyle};
use serde_json::{Map, Value};

/// A file with one document.
///
/// # Panics
///
/// If it cannot be read as one.
pub fn read_yaml(path: &Path) -> Value {
    let read = fs::read_to_string(path).map_err(|error| error.to_string());
    read.and_then(|text| yaml(&text))
        .unwrap_or_else(|problem| panic!("{}: {problem}", path.display()))
}

/// One YAML document without anchors and tags.
///
/// # Errors
///
/// What in it is not the same to all readers.
pub fn yaml(text: &str) -> Result<Value, String> {
    let mut events = Parser::new_from_str(text).map(|event| event.expect("YAML").0);
    let mut content =
        || events.find(|event| !matches!(event, Event::StreamStart | Event::DocumentStart(_)));
    let value = node(content().expect("a document"), &mut events)?;
    let end: Vec<Event> = events.collect();
    assert_eq!(end, [Event::DocumentEnd, Event::StreamEnd]);
    Ok(value)
}

fn node<'t>(
    event: Event<'t>,
    events: &mut dyn Iterator<Item = Event<'t>>,
) -> Result<Value, String> {
    match event {
        Event::Scalar(text, style, 0, None) => scalar(&text, style),
        Event::SequenceStart(0, None) => {
            let mut items = Vec::new();
            loop {
                match events.next().expect("an end") {
                    Event::SequenceEnd => return Ok(items.into()),
                    item => items.push(node(item, events)?),
                }
            }
        }
        Event::MappingStart(0, None) => {
            let mut members = Map::new();
            loop {
                let name = match events.next().expect("an end") {
                    Event::MappingEnd => return Ok(members.into()),
                    name => node(name, events)?,
                };
                let Value::String(name) = name else {
                    return Err(format!("{name} is no name"));
                };
                let value = node(events.next().expect("a value"), events)?;
                if members.insert(name.clone(), value).is_some() {
                    return Err(format!("{name} appears twice"));
                }
            }
        }
        other => Err(format!("{other:?} is not read")),
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Result<Value, String> {
    // Booleans, integers to other bases or with underscores, exponents, times and dates.
    let ambiguous = "(?i)^(y|n|yes|no|on|off|true|false|null|[+][0-9.]+\
        |[-+]?(0[0-9xob][0-9a-f_]*|[0-9]+_[0-9_]*|[0-9]+(:[0-9]+)+|[0-9.]+e[-+]?[0-9]+)\
        |[-+]?([.](inf|nan|[0-9]+)|[0-9]+[.])|[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}.*)$";
    match text {
        _ if style != ScalarStyle::Plain => Ok(text.into()),
        "" | "~" | "null" => Ok(Value::Null),
        "true" | "false" => Ok((text == "true").into()),
        _ if Regex::new(ambiguous).expect("a regex").is_match(text) => {
            Err(format!("{text} is not the same to all readers of YAML"))
        }
        _ => Ok(text.parse().map_or_else(|_| text.into(), Value::Number)),
    }
}
