//! OpenAPI documents, and requests to what they describe.

use std::rc::Rc;

use portcullis::engine::Engine;
use portcullis::exchange::BodyState;
use portcullis::headers::Headers;
use portcullis::stream::{Action, Stream};
use serde_json::Value;

use super::document::check;
use super::spelling::respelled;
use crate::still::holding;

const BEFORE: &[u8] = br#"{"version":1,"routes":[{"name":"a","match":{},"open":true,"openapi":{"api":"a","max_bytes":"4KiB","responses":{"mode":"enforce"}}}],"apis":{"a":"#;

/// A document, a line break, a method, a blank, a target, a line break, a body. The document is
/// compiled or refused, twice the same and in another order of its members, with a place for each
/// problem and few lines of notes. A request passes only if a path of the document with that
/// method has as many segments as its target, and the same text where it has text.
///
/// # Panics
/// When that does not hold.
pub fn openapi(bytes: &[u8]) -> bool {
    let mut parts = bytes.splitn(3, |b| *b == b'\n');
    let (Some(api), Some(line)) = (parts.next(), parts.next()) else {
        return false;
    };
    // What closes the braces before it is another document.
    let Ok(declared) = serde_json::from_slice::<Value>(api) else {
        return false;
    };
    let document = |api: &[u8]| [BEFORE, api, b"}}"].concat();
    let (one, two) = (document(api), document(api));
    let engine = match (Engine::compile(&one), Engine::compile(&two)) {
        (Ok(engine), Ok(again)) => {
            assert_eq!(engine.notes(), again.notes());
            engine
        }
        (Err(error), Err(again)) => {
            assert_eq!(error, again);
            check(&error);
            return false;
        }
        _ => panic!("compiling depends on more than the document"),
    };
    assert!(engine.notes().len() <= 41, "{} notes", engine.notes().len());
    for note in engine.notes() {
        assert!(!note.contains(char::is_control), "{note:?}");
    }
    let mut words = line.splitn(2, |b| *b == b' ');
    let (method, target) = (words.next().unwrap_or_default(), words.next());
    let target = target.unwrap_or_default();
    let body = parts.next().unwrap_or_default();
    let passes = judge(engine, method, target, body);
    let reordered = Engine::compile(&document(&respelled(api, b"")));
    let reordered = reordered.expect("a good document in another spelling");
    let paths = declared["paths"].as_object().into_iter().flatten();
    // Templates that fit the same paths are asked in the order of the document.
    if paths.filter(|(path, _)| path.contains('{')).count() < 2 {
        assert_eq!(passes, judge(reordered, method, target, body));
    }
    if passes {
        assert!(is_declared(&declared, method, target), "{target:?}");
    }
    passes
}

fn is_declared(api: &Value, method: &[u8], target: &[u8]) -> bool {
    let target = String::from_utf8_lossy(target);
    let path = target.split('?').next().unwrap_or_default();
    if path.contains('%') {
        return true;
    }
    let method = String::from_utf8_lossy(method).to_lowercase();
    let fits = |template: &str| {
        let (one, two) = (template.split('/'), path.split('/'));
        let same = |(one, two): (&str, &str)| match one.contains('{') {
            true => !two.is_empty(),
            false => one == two,
        };
        one.clone().count() == two.clone().count() && one.zip(two).all(same)
    };
    let mut paths = api["paths"].as_object().into_iter().flatten();
    paths.any(|(template, item)| {
        let has_method = item.get(&method).is_some() || item.get("$ref").is_some();
        fits(template) && has_method
    })
}

/// What a body looks like.
fn media_type(body: &[u8]) -> &'static [u8] {
    match body {
        [b'-', b'-', ..] => b"multipart/form-data; boundary=x",
        [first, ..] if first.is_ascii_lowercase() => b"application/x-www-form-urlencoded",
        _ => b"application/json",
    }
}

/// Whether a request passes.
fn judge(engine: Engine, method: &[u8], target: &[u8], body: &[u8]) -> bool {
    let mut headers = Headers::default();
    for (name, value) in [
        (":authority", &b"api.example.com"[..]),
        (":path", target),
        (":method", method),
        (":scheme", b"https"),
        ("content-type", media_type(body)),
    ] {
        headers.push(name.as_bytes(), value);
    }
    let host = holding(body);
    let state = match body {
        [] => BodyState::Complete,
        _ => BodyState::Open,
    };
    let mut stream = Stream::new(Some(Rc::new(engine)));
    let mut action = stream.on_request_headers(headers, state, &host);
    if state == BodyState::Open && !matches!(action, Action::Reply(_)) {
        action = stream.on_request_body(body.len() as u64, BodyState::Complete, &host);
    }
    let mut answer = Headers::default();
    answer.push(b":status", b"200");
    answer.push(b"content-type", b"application/json");
    stream.on_response_headers(Some(&answer), BodyState::Open, &host);
    stream.on_response_body(body.len() as u64, BodyState::Complete, &host);
    match action {
        Action::Reply(_) => false,
        Action::Continue(_) => true,
        Action::Pause { .. } | Action::Replace(_) => panic!("a complete request is held"),
    }
}
