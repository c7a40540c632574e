//! One document as it was read: what was asked of each of its values, and what was said.

use std::collections::BTreeMap;

use portcullis::engine::Engine;
use portcullis::questions::{Question, Step, record};
use serde_json::Value;

/// What was asked of one value, and by which readers of its members.
#[derive(Default)]
pub(super) struct Answers {
    pub(super) questions: Vec<Question>,
    /// Who read its members by their names: places in the sources.
    pub(super) readers: Vec<String>,
}

/// A document, as its readers saw it.
pub(super) struct Reading {
    /// By the way from the root; a value comes before what is within.
    pub(super) asked: BTreeMap<Vec<Step>, Answers>,
    /// Pointer and reason of each problem.
    pub(super) problems: Vec<(String, String)>,
}

/// What readers said of a value.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Said {
    /// Nothing is wrong with it, nor with anything within.
    Accepted,
    /// It is of the wrong kind.
    WrongKind,
    /// Something else is wrong.
    Wrong,
    /// Nobody came to read it.
    Nothing,
}

impl Reading {
    /// Of what stands on the way to a place, and within.
    pub(super) fn of(document: &Value, way: &[Step]) -> Self {
        let text = document.to_string();
        let (compiled, asked) = record(way, || Engine::compile(text.as_bytes()).err());
        let mut values: BTreeMap<Vec<Step>, Answers> = BTreeMap::new();
        for each in asked {
            let answers = values.entry(each.place).or_default();
            if each.question == Question::Object {
                let reader = format!("{}:{}", each.reader.file(), each.reader.line());
                if !answers.readers.contains(&reader) {
                    answers.readers.push(reader);
                }
            }
            if !answers.questions.contains(&each.question) {
                answers.questions.push(each.question);
            }
        }
        let problems = compiled.map(|error| error.problems).unwrap_or_default();
        let problems = problems.into_iter();
        Self {
            asked: values,
            problems: problems.map(|each| (each.pointer, each.reason)).collect(),
        }
    }

    pub(super) fn is_valid(&self) -> bool {
        self.problems.is_empty()
    }

    /// What was said of the value at a place.
    pub(super) fn said(&self, place: &[Step], value: &Value) -> Said {
        let pointer = pointer(place);
        let wrong_kind = format!(", not {}", kind_in_words(value));
        let mut is_wrong = false;
        for (at, reason) in &self.problems {
            let is_here = *at == pointer;
            if is_here && reason.contains(&wrong_kind) {
                return Said::WrongKind;
            }
            let within = at.strip_prefix(&pointer);
            is_wrong |= within.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'));
        }
        match (is_wrong, self.asked.contains_key(place)) {
            (true, _) => Said::Wrong,
            (false, true) => Said::Accepted,
            (false, false) if self.is_valid() => Said::Accepted,
            (false, false) => Said::Nothing,
        }
    }
}

/// As messages call it.
fn kind_in_words(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// As a problem names a place.
pub(super) fn pointer(place: &[Step]) -> String {
    let tokens = place.iter().map(|step| match step {
        Step::Member(name) => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
        Step::Item(index) => format!("/{index}"),
    });
    tokens.collect()
}

/// The value at a place.
pub(super) fn value_at<'v>(document: &'v Value, place: &[Step]) -> Option<&'v Value> {
    place.iter().try_fold(document, |value, step| match step {
        Step::Member(name) => value.as_object()?.get(name),
        Step::Item(index) => value.as_array()?.get(*index),
    })
}

/// A document with another value at a place, in an object or array that is there.
pub(super) fn with_value(document: &Value, place: &[Step], value: Value) -> Option<Value> {
    let mut changed = document.clone();
    let Some((last, before)) = place.split_last() else {
        return Some(value);
    };
    let mut outer = &mut changed;
    for step in before {
        outer = match step {
            Step::Member(name) => outer.as_object_mut()?.get_mut(name)?,
            Step::Item(index) => outer.as_array_mut()?.get_mut(*index)?,
        };
    }
    match last {
        Step::Member(name) => {
            outer.as_object_mut()?.insert(name.clone(), value);
        }
        Step::Item(index) => {
            let items = outer.as_array_mut()?;
            match items.get_mut(*index) {
                Some(item) => *item = value,
                None => items.push(value),
            }
        }
    }
    Some(changed)
}
