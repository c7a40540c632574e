//! Expressions in CEL, which the API server evaluates when a manifest is applied: the rules of definitions, and those
//! of the chart's admission policy.

use std::collections::HashMap;
use std::sync::Arc;

use ::cel::extractors::This;
use ::cel::objects::Key;
use ::cel::{Context, Env, Value as Cel};
use serde_json::{Value, json};

/// What an expression comes to, with these variables; or why it comes to nothing.
pub(super) fn evaluate(expression: &str, variables: &[(&str, &Value)]) -> Result<Value, String> {
    let env = Arc::new(Env::stdlib());
    let program = env.compile(expression);
    let program = program.map_err(|error| format!("{expression}: {error}"))?;
    let mut context = Context::with_env(env);
    let url = |text: Arc<String>| text;
    let is_url = |text: Arc<String>| text.starts_with('/') || scheme(&text).is_some();
    let own_scheme =
        |This(url): This<Arc<String>>| Arc::new(scheme(&url).unwrap_or_default().to_owned());
    // Of the functions that Kubernetes adds, those that the definitions here call. A URL stands for itself.
    for added in [
        context.add_function("url", url),
        context.add_function("isURL", is_url),
        context.add_function("getScheme", own_scheme),
    ] {
        added.map_err(|error| error.to_string())?;
    }
    for (name, value) in variables {
        context.add_variable_from_value(*name, from_json(value));
    }
    let result = program.execute(&context);
    let result = result.map_err(|error| format!("{expression}: {error}"))?;
    to_json(&result).ok_or_else(|| format!("{expression}: {result:?}"))
}

/// Whether a rule holds.
pub(super) fn holds(expression: &str, variables: &[(&str, &Value)]) -> Result<bool, String> {
    let result = evaluate(expression, variables)?;
    let is_held = result.as_bool();
    is_held.ok_or_else(|| format!("{expression}: {result} is no boolean"))
}

/// What a URL begins with.
fn scheme(url: &str) -> Option<&str> {
    let (scheme, rest) = url.split_once(':')?;
    let is_scheme = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    let begins = scheme.starts_with(|first: char| first.is_ascii_alphabetic());
    let is_url = begins && scheme.bytes().all(is_scheme) && rest.starts_with('/');
    is_url.then_some(scheme)
}

fn from_json(value: &Value) -> Cel {
    match value {
        Value::Null => Cel::Null,
        Value::Bool(is_true) => Cel::Bool(*is_true),
        Value::Number(number) => number
            .as_i64()
            .map_or_else(|| Cel::Float(number.as_f64().expect("a number")), Cel::Int),
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => items.iter().map(from_json).collect::<Vec<Cel>>().into(),
        Value::Object(members) => {
            let members = members.iter();
            let members: HashMap<String, Cel> = members
                .map(|(name, value)| (name.clone(), from_json(value)))
                .collect();
            members.into()
        }
    }
}

/// None of what JSON does not have.
fn to_json(value: &Cel) -> Option<Value> {
    Some(match value {
        Cel::Null => Value::Null,
        Cel::Bool(is_true) => json!(is_true),
        Cel::Int(number) => json!(number),
        Cel::UInt(number) => json!(number),
        Cel::Float(number) => json!(number),
        Cel::String(text) => json!(text.as_str()),
        Cel::List(items) => {
            let items: Option<Vec<Value>> = items.iter().map(to_json).collect();
            items?.into()
        }
        Cel::Map(map) => {
            let members = map.map.iter().map(|(key, value)| match key {
                Key::String(name) => Some((name.to_string(), to_json(value)?)),
                _ => None,
            });
            let members: Option<serde_json::Map<String, Value>> = members.collect();
            members?.into()
        }
        _ => return None,
    })
}

#[test]
fn expressions_are_evaluated() {
    let object = json!({ "a": { "b": [1, 2.5, "c", null, true] }, "on": true });
    let is = |expression: &str, expected: Value| {
        assert_eq!(
            evaluate(expression, &[("object", &object)]),
            Ok(expected),
            "{expression}"
        );
    };
    is("object", object.clone());
    is("has(object.a) && !has(object.b)", json!(true));
    is("object.a.b.map(x, [x])[0]", json!([1]));
    is("has(object.c) ? object.c : {}", json!({}));
    is("isURL('a.b/c:d') || isURL('http://a.b/c:d')", json!(true));
    is("url('oci://a.b/c:d').getScheme()", json!("oci"));
    // Either side decides, whatever becomes of the other.
    is("object.c == 1 || object.on", json!(true));
    is("object.c == 1 && !object.on", json!(false));
    for wrong in ["object.c", "object.a.size() ==", "nothing"] {
        assert!(evaluate(wrong, &[("object", &object)]).is_err(), "{wrong}");
    }
    assert!(holds("object.a", &[("object", &object)]).is_err());
}
