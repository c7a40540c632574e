//! The requests that are tried: to each policy, with its defaults, what an outsider may send within
//! the proxy's own limits: 60 KiB of a head in a hundred fields, and bodies that a buffer of 1 MiB
//! holds.

mod answers;
mod bodies;
mod heads;
mod paths;
mod patterns;
mod schemas;
mod tokens;

use portcullis_tests::random::Random;
use portcullis_tests::wire::Request;
use serde_json::{Value, json};

use super::search::Parameter;
use super::{Family, Shape};

/// The longest path or field that is tried: Envoy takes heads of 60 KiB.
const LONGEST_FIELD: usize = 58_000;
/// How large bodies may be.
#[derive(Clone, Copy)]
enum Bodies {
    /// As documents say that expect no large ones.
    Usual,
    /// As large as Envoy holds with its defaults.
    Largest,
}

impl Bodies {
    const ALL: [Self; 2] = [Self::Usual, Self::Largest];

    fn most(self) -> usize {
        match self {
            Self::Usual => 64 << 10,
            Self::Largest => LONGEST_BODY,
        }
    }

    /// The policy, and how large its bodies may be.
    fn title(self, policy: &str) -> String {
        match self {
            Self::Usual => policy.to_owned(),
            Self::Largest => format!("{policy}, 1 MB"),
        }
    }
}

/// The longest body: Envoy holds 1 MiB.
const LONGEST_BODY: usize = 1_000_000;

/// Every family.
pub(super) fn all() -> Vec<Family> {
    let parts = [
        tokens::all(),
        heads::all(),
        paths::all(),
        Bodies::ALL.into_iter().flat_map(bodies::all).collect(),
        Bodies::ALL.into_iter().flat_map(schemas::all).collect(),
        patterns::all(),
        answers::all(),
    ];
    parts.into_iter().flatten().collect()
}

fn family(
    policy: impl Into<String>,
    document: Value,
    parameters: Vec<Parameter>,
    request: impl Fn(&Shape<'_>) -> Request + 'static,
) -> Family {
    Family {
        policy: policy.into(),
        document,
        parameters,
        request: Box::new(request),
        answer: None,
    }
}

/// A document with one open route, and this beside its name.
fn open(policies: Value) -> Value {
    document(vec![policies])
}

/// A document with a route for each of these: `/0`, `/1` and so on.
fn document(routes: Vec<Value>) -> Value {
    let routes = routes.into_iter().enumerate().map(|(number, policies)| {
        let mut route = json!({
            "name": format!("r{number}"),
            "match": { "path": { "prefix": format!("/{number}") } },
        });
        if policies.get("jwt").is_none() {
            route["open"] = true.into();
        }
        merge(&mut route, policies);
        route
    });
    json!({
        "version": 1,
        "body_inspection": "hold_headers",
        "routes": routes.collect::<Vec<_>>(),
    })
}

/// Puts the members of one object into another.
fn merge(into: &mut Value, from: Value) {
    if let Value::Object(members) = from {
        for (name, value) in members {
            into[name] = value;
        }
    }
}

fn get(path: &str) -> Request {
    Request {
        method: b"GET".to_vec(),
        path: path.into(),
        authority: b"api.bench.test".to_vec(),
        ..Request::default()
    }
}

fn post(path: &str, media_type: &str, body: Vec<u8>) -> Request {
    Request {
        method: b"POST".to_vec(),
        headers: vec![field("content-type", media_type)],
        body: Some(vec![body]),
        ..get(path)
    }
}

fn field(name: &str, value: &str) -> (Vec<u8>, Vec<u8>) {
    (name.into(), value.into())
}

/// A text of so many bytes, from pieces that are made one after the other.
fn text(bytes: usize, mut piece: impl FnMut() -> String) -> String {
    let mut text = String::with_capacity(bytes + 64);
    while text.len() < bytes {
        text.push_str(&piece());
    }
    text.truncate(text.floor_char_boundary(bytes));
    text
}

/// Letters of ASCII, with a digit here and there.
fn letters(bytes: usize, random: &mut Random) -> String {
    text(bytes, || match random.below(64) {
        0 => "1".to_owned(),
        n => char::from(b'a' + (n % 26) as u8).to_string(),
    })
}

/// A JSON array of arrays, none longer than the gate's default allows, of about so many bytes.
fn rows(bytes: usize, mut item: impl FnMut() -> String) -> Vec<u8> {
    const ROW: usize = 9999;
    let mut out = String::with_capacity(bytes + 4096);
    out.push_str("[[");
    let mut in_row = 0;
    while out.len() + 4 < bytes {
        let next = item();
        if out.len() + next.len() + 4 > bytes && in_row > 0 {
            break;
        }
        match in_row {
            0 => {}
            ROW => {
                out.push_str("],[");
                in_row = 0;
            }
            _ => out.push(','),
        }
        out.push_str(&next);
        in_row += 1;
    }
    out.push_str("]]");
    out.into_bytes()
}

/// Many fields with these values, in as many bytes as a head may have.
fn fields(
    count: usize,
    bytes: usize,
    mut value: impl FnMut(usize) -> String,
) -> Vec<(Vec<u8>, Vec<u8>)> {
    let each = bytes / count.max(1);
    (0..count)
        .map(|number| {
            field(
                &format!("x-field-{number}"),
                &value(each.saturating_sub(12)),
            )
        })
        .collect()
}

/// What is wrong with the document of a family, said before an Envoy says it.
pub(super) fn check(family: &Family) -> Result<(), String> {
    match portcullis::engine::Engine::compile(family.document.to_string().as_bytes()) {
        Ok(_) => Ok(()),
        Err(error) => {
            let problems = error.problems.iter().take(3);
            let problems: Vec<String> = problems.map(ToString::to_string).collect();
            Err(format!("{}: {}", family.policy, problems.join("; ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::search;
    use super::*;

    /// What Envoy takes of a head with its defaults.
    const HEAD: usize = 60 << 10;

    #[test]
    fn documents_are_accepted_and_requests_are_what_envoy_takes() {
        // Those with large bodies are the same but for that.
        for family in all().iter().filter(|each| !each.policy.ends_with(" MB")) {
            assert_eq!(check(family), Ok(()));
            let first = search::first(&family.parameters);
            for (place, parameter) in family.parameters.iter().enumerate() {
                for kind in 0..parameter.kinds().max(1) {
                    let mut values = first.clone();
                    if parameter.kinds() > 0 {
                        values[place] = kind;
                    }
                    let shape = Shape {
                        values: &values,
                        seed: 7,
                    };
                    let request = (family.request)(&shape);
                    let about = search::describe(&family.parameters, &values);
                    let about = format!("{}: {about}", family.policy);
                    let fields = request.headers.iter();
                    let head: usize = fields.map(|(name, value)| name.len() + value.len()).sum();
                    assert!(head + request.path.len() < HEAD, "{about}");
                    assert!(request.headers.len() < 95, "{about}");
                    let body = request.body.unwrap_or_default().concat();
                    assert!(body.len() <= LONGEST_BODY + 1000, "{about}");
                }
            }
        }
    }
}
