//! The security headers, held against the list that they follow.

mod everywhere;
mod failed;
mod list;
mod observatory;
mod policies;
mod readme;

use std::rc::Rc;

use portcullis::engine::Engine;
use portcullis::exchange::{BodyState, Edit};
use portcullis::headers::Headers;
use portcullis::memory_host::MemoryHost;
use portcullis::stream::Stream;
use portcullis_tests::still::still;
use serde_json::{Value, json};

fn proxy() -> MemoryHost {
    still(1_800_000_000)
}

/// A document whose one route has this block.
fn document(security_headers: &Value) -> Value {
    json!({
        "version": 1,
        "routes": [{
            "name": "all", "match": {}, "open": true, "security_headers": security_headers,
        }],
    })
}

fn engine(security_headers: &Value) -> Rc<Engine> {
    let document = document(security_headers).to_string();
    let engine = Engine::compile(document.as_bytes());
    Rc::new(engine.unwrap_or_else(|error| panic!("{error}")))
}

/// What becomes of an answer of the service with these fields, over TLS, on that engine.
fn shaped(engine: &Rc<Engine>, fields: &[(String, String)]) -> Vec<(String, String)> {
    let mut request = Headers::default();
    for (name, value) in [
        (":authority", "api.example.com"),
        (":path", "/"),
        (":method", "GET"),
        (":scheme", "https"),
    ] {
        request.push(name.as_bytes(), value.as_bytes());
    }
    let mut stream = Stream::new(Some(Rc::clone(engine)));
    stream.on_request_headers(request, BodyState::Complete, &proxy());
    let mut answer = Headers::default();
    answer.push(b":status", b"200");
    for (name, value) in fields {
        answer.push(name.as_bytes(), value.as_bytes());
    }
    let read = stream.reads_response().then_some(&answer);
    let head = stream.on_response_headers(read, BodyState::Open, &proxy());
    let mut fields = fields.to_vec();
    apply(&mut fields, &head.edits);
    fields
}

fn apply(fields: &mut Vec<(String, String)>, edits: &[Edit]) {
    for edit in edits {
        let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
        match edit {
            Edit::Remove(name) => fields.retain(|(each, _)| each != name.as_str()),
            Edit::Set(name, value) => {
                fields.retain(|(each, _)| each != name.as_str());
                fields.push((name.as_str().to_owned(), text(value.as_bytes())));
            }
            Edit::Add(name, value) => {
                fields.push((name.as_str().to_owned(), text(value.as_bytes())));
            }
            Edit::Prepared(edits) => apply(fields, edits),
            Edit::SetPath(_) | Edit::FilterState(..) | Edit::HitsAddend(_) => {
                panic!("an answer has no {edit:?}")
            }
        }
    }
}
