//! Conditions on a caller and a request, and what they come to.

use portcullis::condition::{ACCESS, BodyPlan, Condition, Kept, PathVariables, View};
use portcullis::config::{Node, Problems};
use portcullis::effort::Effort;
use portcullis::exchange::Request;
use portcullis::headers::Headers;
use portcullis::json::Json;
use portcullis::json::compact::Compact;
use portcullis::route::PathTemplate;
use portcullis::target::{Authority, LetterCase, PathRules, Target};
use serde_json::Value;

/// What the variables of paths stand in.
const TEMPLATE: &str = "/t/{a}/{b=**}";

/// What a condition comes to: yes, no, or neither, with why.
type Outcome = Result<bool, String>;

/// A condition, claims, a target and the value of `x-a`, a line each; then a body. What comes to yes or
/// no does so for a reader that has nothing in common with the filter's and knows no doubt. `not` turns yes
/// into no, and doubt into the same doubt. It is all the same when the head is gone, and when the body is
/// read in one go or many.
///
/// # Panics
/// When that does not hold.
pub fn conditions(text: &[u8]) -> bool {
    let mut lines = text.splitn(5, |b| *b == b'\n');
    let mut line = || lines.next().unwrap_or_default();
    let (written, claims, target, field, body) = (line(), line(), line(), line(), line());
    let Ok(json) = Json::parse(written, 8) else {
        return false;
    };
    let (Some(condition), Some(claims)) = (read(&json), Compact::parse(claims, 8)) else {
        return false;
    };
    let Ok(parsed) = Target::parse_by(target, rules()) else {
        return false;
    };
    let seen = Seen {
        claims: &claims,
        target: &parsed,
        raw: target,
        field,
        body,
    };
    let outcome = seen.judge(&condition);
    let opposite = format!("{{\"not\":{}}}", String::from_utf8_lossy(written));
    if let Some(opposite) = Json::parse(opposite.as_bytes(), 9)
        .ok()
        .and_then(|json| read(&json))
    {
        let inverted = seen.judge(&opposite);
        assert_eq!(inverted, outcome.clone().map(|yes| !yes), "{condition:?}");
    }
    let Ok(yes) = outcome else { return false };
    let written: Value = serde_json::from_slice(written).expect("it has been read");
    if let Some(plain) = seen.plainly(&written) {
        assert_eq!(yes, plain, "{written}");
    }
    true
}

fn rules() -> PathRules {
    PathRules {
        letter_case: LetterCase::SameRoute,
        ..PathRules::default()
    }
}

fn read(json: &Json) -> Option<Condition> {
    let mut problems = Problems::default();
    let condition = Condition::read(&Node::root(json), &ACCESS, &mut problems);
    problems.into_result(condition).ok()
}

fn template() -> PathTemplate {
    let json = Json::String(TEMPLATE.to_owned());
    let template = PathTemplate::read(&Node::root(&json), &mut Problems::default());
    template.expect("it is a template")
}

/// A request, and what is known of its sender.
struct Seen<'s> {
    claims: &'s Compact,
    target: &'s Target,
    raw: &'s [u8],
    field: &'s [u8],
    body: &'s [u8],
}

impl Seen<'_> {
    fn judge(&self, condition: &Condition) -> Outcome {
        let mut headers = Headers::default();
        headers.push(b":path", self.raw);
        headers.push(b"x-a", self.field);
        let (authority, effort) = (Authority::default(), Effort::new(1_000_000));
        let request = Request {
            headers: &headers,
            authority: &authority,
            target: self.target,
            effort: &effort,
        };
        let template = template();
        // Requests for another path are of another route.
        let template: Option<&dyn PathVariables> = match template.matches(self.target.path()) {
            true => Some(&template),
            false => None,
        };
        let plan = BodyPlan::of(std::iter::once(condition), 1 << 20);
        let members = plan.map(|plan| plan.members_of(self.body));
        let view = View::new(&request).of(Some(self.claims)).on(template);
        let kept = Kept::of(std::iter::once(condition), &view).expect("there is memory");
        let now = condition.holds(&view.with_body(members.as_ref()));
        if let Some(members) = &members {
            let effort = Effort::new(1_000_000);
            let later = condition.holds(&View::later(&kept, members, &effort));
            assert_eq!(later, now, "{condition:?}");
        }
        now.map_err(|why| why.word().to_owned())
    }

    /// What a plain reader makes of it; none if that takes more than it knows.
    fn plainly(&self, written: &Value) -> Option<bool> {
        if let Some(inner) = written.get("not") {
            return self.plainly(inner).map(|yes| !yes);
        }
        let found = self.part(written)?;
        let folds = written.get("ignore_case") == Some(&Value::Bool(true));
        let same = |one: &Value, other: &Value| match (one, other) {
            (Value::String(one), Value::String(other)) if folds => one.eq_ignore_ascii_case(other),
            (Value::String(text), Value::Number(number))
            | (Value::Number(number), Value::String(text)) => number.to_string() == *text,
            (Value::String(text), Value::Bool(value))
            | (Value::Bool(value), Value::String(text)) => value.to_string() == *text,
            (one, other) => one == other && !one.is_null(),
        };
        if let Some(other) = written.get("exact").filter(|other| other.is_object()) {
            return Some(match (found, self.part(other)?) {
                (Some(one), Some(other)) => same(&one, &other),
                _ => false,
            });
        }
        if let Some(other) = written.get("in").filter(|other| other.is_object()) {
            return Some(match (found, self.part(other)?) {
                (Some(one), Some(Value::Array(items))) => items.iter().any(|item| same(&one, item)),
                (Some(one), Some(other)) => same(&one, &other),
                _ => false,
            });
        }
        if let Some(expected) = written.get("exact").and_then(Value::as_str) {
            let expected = Value::String(expected.to_owned());
            return Some(found.is_some_and(|one| one.is_string() && same(&one, &expected)));
        }
        let expected = written.get("exists")?.as_bool()?;
        Some(found.is_some() == expected)
    }

    /// What is there of the part that is named; the outer none if it is not known how to find that.
    fn part(&self, named: &Value) -> Option<Option<Value>> {
        let part = self.any_part(named)?;
        part.as_ref().is_none_or(has_plain_numbers).then_some(part)
    }

    fn any_part(&self, named: &Value) -> Option<Option<Value>> {
        let name = |field: &str| named.get(field).and_then(Value::as_str);
        if let Some(path) = name("claim") {
            let claims: Value = serde_json::from_str(&self.claims.value().to_string()).ok()?;
            return Some(at(&claims, path));
        }
        if let Some(path) = name("body") {
            if self.body.is_empty() {
                return None;
            }
            let body: Value = serde_json::from_slice(self.body).expect("it has been read");
            return Some(at(&body, path));
        }
        if let Some(name) = name("path_variable") {
            let mut parts = self.target.path().splitn(4, '/').skip(2);
            let part = match name {
                "a" => parts.next(),
                _ => parts.nth(1),
            };
            return Some(part.map(|part| Value::String(part.to_owned())));
        }
        if let Some(name) = name("query") {
            let query = self.target.query(self.raw).unwrap_or_default();
            return Some(parameter(query, name).map(Value::String));
        }
        if named.get("header")?.as_str()?.eq_ignore_ascii_case("x-a") {
            let value = String::from_utf8(self.field.to_vec()).ok()?;
            return Some(Some(Value::String(value)));
        }
        Some(None)
    }
}

/// Whether every number in it is an integer, so that all who write it do so alike.
fn has_plain_numbers(value: &Value) -> bool {
    match value {
        Value::Number(number) => number.as_i64().is_some(),
        Value::Array(items) => items.iter().all(has_plain_numbers),
        _ => true,
    }
}

fn at(value: &Value, path: &str) -> Option<Value> {
    match path.starts_with('/') {
        true => value.pointer(path).cloned(),
        false => value.get(path).cloned(),
    }
}

/// The last parameter of that name: where there are several, nothing is decided.
fn parameter(query: &[u8], name: &str) -> Option<String> {
    let pairs = query.split(|b| *b == b'&').filter(|pair| !pair.is_empty());
    let mut found = None;
    for pair in pairs {
        let text = String::from_utf8_lossy(pair).replace('+', " ");
        let (key, value) = text.split_once('=').unwrap_or((&text, ""));
        if decoded(key) == name {
            found = Some(decoded(value));
        }
    }
    found
}

fn decoded(text: &str) -> String {
    let mut pieces = text.split('%');
    let mut out = pieces.next().unwrap_or_default().as_bytes().to_vec();
    for piece in pieces {
        let byte = piece
            .get(..2)
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        out.extend(byte);
        out.extend_from_slice(piece.get(2..).unwrap_or_default().as_bytes());
    }
    String::from_utf8_lossy(&out).into_owned()
}
