//! Comparing what came of an exchange with what must.

use serde_json::Value;

use crate::{Outcome, Upstream, grpc_status};

/// What is compared.
pub(crate) const EXPECT: &[&str] = &[
    "status",
    "grpc_status",
    "code",
    "reason",
    "problem",
    "headers",
    "trailers",
    "body",
    "upstream",
    "log",
];
/// What is compared of the request that the service received.
pub(crate) const UPSTREAM: &[&str] = &["method", "path", "body", "headers", "trailers"];

/// What an outcome has that is not as it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The expectation; none if there is none at all.
    pub field: Option<String>,
    /// What was expected, and what came.
    pub text: String,
}

impl std::fmt::Display for Difference {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{field}: {}", self.text),
            None => f.write_str(&self.text),
        }
    }
}

/// Everything that differs; nothing when all is as it must be.
pub fn compare(expect: &Value, outcome: &Outcome) -> Vec<Difference> {
    let Some(expected) = expect.as_object().filter(|expected| !expected.is_empty()) else {
        return vec![Difference {
            field: None,
            text: "`expect` must be an object that says something".to_owned(),
        }];
    };
    let mut differences = Vec::new();
    for (name, expected) in expected {
        let difference = match name.as_str() {
            "status" => equal(expected, &outcome.response.status.into()),
            "grpc_status" => equal(expected, &grpc_status(&outcome.response).into()),
            "code" => equal(
                expected,
                &problem(outcome).get("code").cloned().unwrap_or_default(),
            ),
            "reason" => equal(expected, &logged(outcome, "portcullis.reason")),
            "problem" => members(expected, &problem(outcome)),
            "headers" => headers(expected, |name| values(&outcome.response.headers, name)),
            "trailers" => headers(expected, |name| values(&outcome.response.trailers, name)),
            "body" => equal(expected, &text(&outcome.response.body)),
            "upstream" => upstream(expected, &outcome.upstream),
            "log" => match outcome.log.as_slice() {
                [line] => members(expected, line),
                lines => Some(format!("{} log lines instead of one", lines.len())),
            },
            _ => Some(format!(
                "is no expectation; there are {}",
                EXPECT.join(", ")
            )),
        };
        differences.extend(difference.map(|text| Difference {
            field: Some(name.clone()),
            text,
        }));
    }
    differences
}

fn equal(expected: &Value, found: &Value) -> Option<String> {
    (expected != found).then(|| format!("expected {expected}, found {found}"))
}

/// The members that are named; `null` for one that must not be there.
fn members(expected: &Value, found: &Value) -> Option<String> {
    let Some(expected) = expected.as_object() else {
        return Some("must be an object".to_owned());
    };
    let differing = expected.iter().filter_map(|(name, expected)| {
        let found = found.get(name).cloned().unwrap_or_default();
        matches(expected, &found).map(|difference| format!("{name}: {difference}"))
    });
    joined(differing.collect())
}

/// A value, `{"contains": …}` for a part of a string, or `{"present": true}` for anything but null.
fn matches(expected: &Value, found: &Value) -> Option<String> {
    if let Some(part) = expected.get("contains").and_then(Value::as_str) {
        let contains = found.as_str().is_some_and(|text| text.contains(part));
        return (!contains).then(|| format!("expected something with {part:?}, found {found}"));
    }
    if expected.get("present") == Some(&Value::Bool(true)) {
        return found.is_null().then(|| "is missing".to_owned());
    }
    match (expected, found) {
        (Value::Array(expected), Value::Array(found)) if expected.iter().any(Value::is_object) => {
            items(expected, found)
        }
        _ => equal(expected, found),
    }
}

/// As many items, and each as it is expected: objects by the members that are named.
fn items(expected: &[Value], found: &[Value]) -> Option<String> {
    if expected.len() != found.len() {
        let (many, found) = (expected.len(), Value::Array(found.to_vec()));
        return Some(format!("expected {many} items, found {found}"));
    }
    let differing = expected.iter().zip(found).filter_map(|pair| match pair {
        (Value::Object(_), found) => members(pair.0, found),
        (expected, found) => equal(expected, found),
    });
    joined(differing.collect())
}

fn headers(expected: &Value, values: impl Fn(&str) -> Vec<Value>) -> Option<String> {
    let Some(expected) = expected.as_object() else {
        return Some("must be an object".to_owned());
    };
    let differing = expected.iter().filter_map(|(name, expected)| {
        let found = match values(name).as_slice() {
            [] => Value::Null,
            [one] => one.clone(),
            many => Value::Array(many.to_vec()),
        };
        matches(expected, &found).map(|difference| format!("{name}: {difference}"))
    });
    joined(differing.collect())
}

fn upstream(expected: &Value, found: &Upstream) -> Option<String> {
    match (expected, found) {
        (Value::Bool(false), Upstream::Nothing) | (Value::Bool(true), Upstream::Whole(_)) => None,
        (Value::String(part), Upstream::Part | Upstream::Nothing) if part == "part_at_most" => None,
        (Value::Object(expected), Upstream::Whole(request)) => {
            let fields = lower_case(&request.headers);
            let trailers = lower_case(&request.trailers);
            let body: Vec<u8> = request.body.iter().flatten().flatten().copied().collect();
            let differing = expected.iter().filter_map(|(name, expected)| {
                let difference = match name.as_str() {
                    "method" => equal(expected, &text(&request.method)),
                    "path" => equal(expected, &text(&request.path)),
                    "body" => equal(expected, &text(&body)),
                    "headers" => headers(expected, |name| values(&fields, name)),
                    "trailers" => headers(expected, |name| values(&trailers, name)),
                    _ => Some(format!(
                        "is no expectation; there are {}",
                        UPSTREAM.join(", ")
                    )),
                };
                difference.map(|difference| format!("{name}: {difference}"))
            });
            joined(differing.collect())
        }
        (Value::Object(_) | Value::Bool(_), found) => {
            Some(format!("expected {expected}, found {}", received(found)))
        }
        (Value::String(part), found) if part == "part_at_most" => {
            Some(format!("expected {expected}, found {}", received(found)))
        }
        _ => Some("must be true, false, \"part_at_most\" or an object".to_owned()),
    }
}

/// What the service received, in a word.
fn received(found: &Upstream) -> String {
    match found {
        Upstream::Nothing => "that it received nothing".to_owned(),
        Upstream::Part => "that it received a part of the request".to_owned(),
        Upstream::Whole(request) => format!(
            "that it received {} {}",
            String::from_utf8_lossy(&request.method),
            String::from_utf8_lossy(&request.path)
        ),
    }
}

fn lower_case(fields: &[(Vec<u8>, Vec<u8>)]) -> Vec<(String, Vec<u8>)> {
    let lowered = |name: &[u8]| String::from_utf8_lossy(name).to_ascii_lowercase();
    let fields = fields.iter();
    fields
        .map(|(name, value)| (lowered(name), value.clone()))
        .collect()
}

fn problem(outcome: &Outcome) -> Value {
    serde_json::from_slice(&outcome.response.body).unwrap_or_default()
}

fn logged(outcome: &Outcome, field: &str) -> Value {
    match outcome.log.as_slice() {
        [line] => line.get(field).cloned().unwrap_or_default(),
        lines => Value::String(format!("{} log lines instead of one", lines.len())),
    }
}

fn values(fields: &[(String, Vec<u8>)], name: &str) -> Vec<Value> {
    fields
        .iter()
        .filter(|(each, _)| each == name)
        .map(|(_, value)| text(value))
        .collect()
}

fn text(bytes: &[u8]) -> Value {
    String::from_utf8_lossy(bytes).into_owned().into()
}

fn joined(differences: Vec<String>) -> Option<String> {
    (!differences.is_empty()).then(|| differences.join("; "))
}
