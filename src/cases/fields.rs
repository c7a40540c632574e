//! The parts of case files that come again and again: bytes, header fields, objects without unknown members.

use serde_json::{Map, Value, json};

use crate::minted::{Minted, fill};

/// The name and the value of a header field.
pub(crate) type Field = (Vec<u8>, Vec<u8>);

pub(crate) fn fields(value: Option<&Value>, tokens: &Minted<'_>) -> Result<Vec<Field>, String> {
    const FORM: &str = "fields must be an array of [name, value] pairs";
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    let pair = |pair: &Value| match pair.as_array().map(Vec::as_slice) {
        Some([name, value]) => Ok((bytes(name, tokens)?, bytes(value, tokens)?)),
        _ => Err(FORM.to_owned()),
    };
    value.as_array().ok_or(FORM)?.iter().map(pair).collect()
}

/// Text, or `{"hex": "…"}`, or `{"repeat": "…", "times": N}`.
pub(crate) fn bytes(value: &Value, tokens: &Minted<'_>) -> Result<Vec<u8>, String> {
    match value {
        Value::String(text) => Ok(fill(text, tokens)?.into_bytes()),
        Value::Object(object) => {
            match (object.get("hex"), object.get("repeat"), object.get("times")) {
                (Some(Value::String(hex)), None, None) => unhex(hex),
                (None, Some(Value::String(text)), Some(times)) => {
                    let times = times.as_u64().and_then(|times| usize::try_from(times).ok());
                    Ok(text
                        .repeat(times.ok_or("`times` must be a number")?)
                        .into_bytes())
                }
                _ => Err("bytes are a string, {\"hex\"} or {\"repeat\", \"times\"}".to_owned()),
            }
        }
        _ => Err(format!("{} is not bytes", json!(value))),
    }
}

pub(crate) fn unhex(hex: &str) -> Result<Vec<u8>, String> {
    let digits: String = hex.split_whitespace().collect();
    let pair = |at: usize| {
        digits
            .get(at..at + 2)
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
    };
    (0..digits.len())
        .step_by(2)
        .map(|at| pair(at).ok_or_else(|| format!("`{hex}` is not hexadecimal")))
        .collect()
}

pub(crate) fn strings(value: &Value, name: &str) -> Result<Vec<String>, String> {
    let list = value.as_array().and_then(|items| {
        items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect()
    });
    list.ok_or_else(|| format!("`{name}` must be an array of strings"))
}

/// The members of an object, none of them unknown.
pub(crate) struct Members<'v> {
    pub(crate) members: &'v Map<String, Value>,
}

impl<'v> Members<'v> {
    pub(crate) fn of(value: &'v Value, what: &str, known: &[&str]) -> Result<Self, String> {
        let members = value
            .as_object()
            .ok_or_else(|| format!("{what} must be an object"))?;
        match members.keys().find(|name| !known.contains(&name.as_str())) {
            Some(unknown) => Err(format!(
                "{what} has no field `{unknown}`; it has {}",
                known.join(", ")
            )),
            None => Ok(Self { members }),
        }
    }

    pub(crate) fn get(&self, name: &str) -> Option<&'v Value> {
        self.members.get(name)
    }

    pub(crate) fn text(&self, name: &str) -> Result<String, String> {
        let text = self
            .get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty());
        text.map(str::to_owned)
            .ok_or_else(|| format!("needs `{name}`, a string"))
    }
}
