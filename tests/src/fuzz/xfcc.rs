//! `x-forwarded-client-cert`, before it says who calls.

use std::cell::OnceCell;
use std::rc::Rc;

use portcullis::engine::Engine;
use portcullis::exchange::BodyState;
use portcullis::headers::Headers;
use portcullis::stream::{Action, Stream};
use portcullis::xfcc::{Element, elements};
use serde_json::json;

use super::judge::NOW;
use crate::still::still;

/// Whom the route lets in.
const KNOWN: &str = "spiffe://mesh.example/a";
/// The most elements that the law reads.
const MOST: usize = 8;

thread_local! {
    static ENGINE: OnceCell<Rc<Engine>> = const { OnceCell::new() };
}

fn engine() -> Rc<Engine> {
    let document = || {
        json!({
            "version": 1,
            "certificates": { "mesh": {
                "source": { "x_forwarded_client_cert": {} },
                "clients": [{ "spiffe": { "exact": KNOWN } }],
            } },
            "routes": [{ "name": "all", "match": {}, "certificate": { "set": "mesh" } }],
        })
    };
    let compile = || {
        let engine = Engine::compile(document().to_string().as_bytes());
        Rc::new(engine.expect("the document is valid"))
    };
    ENGINE.with(|engine| Rc::clone(engine.get_or_init(compile)))
}

fn passes(raw: &[u8]) -> bool {
    let mut headers = Headers::default();
    headers.push(b":authority", b"api.example.com");
    headers.push(b":path", b"/");
    headers.push(b":method", b"GET");
    headers.push(b"x-forwarded-client-cert", raw);
    let mut stream = Stream::new(Some(engine()));
    let action = stream.on_request_headers(headers, BodyState::Complete, &still(NOW));
    matches!(action, Action::Continue(_))
}

/// How many parts there are to a reader who takes each backslash for an escape, and whose quotes may stand
/// anywhere.
fn parts(text: &str, between: char) -> usize {
    let mut parts = 1;
    let mut is_quoted = false;
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        match c {
            '"' => is_quoted = !is_quoted,
            '\\' if is_quoted => {
                chars.next();
            }
            c if c == between && !is_quoted => parts += 1,
            _ => {}
        }
    }
    parts
}

/// The element, written with quotes wherever they may stand.
fn written(element: &Element<'_>) -> String {
    let mut pairs = Vec::new();
    let mut add = |key: &str, value: &str| {
        let is_plain = !value.contains([',', ';', '=', '"', ' ']);
        pairs.push(match is_plain {
            true => format!("{key}={value}"),
            false => format!("{key}=\"{}\"", value.replace('"', "\\\"")),
        });
    };
    // No more pairs than were read: there may not be many.
    element.hash.iter().for_each(|hash| add("Hash", hash));
    element
        .subject
        .iter()
        .for_each(|subject| add("Subject", subject));
    element.uris.iter().for_each(|uri| add("URI", uri));
    element.dns.iter().for_each(|name| add("DNS", name));
    if pairs.is_empty() {
        return "Hash=".to_owned();
    }
    pairs.join(";")
}

/// What is read of a field is what every careful reader reads: the same elements, and the same again when they
/// are written anew. Only a field of one element whose one URI is known lets anybody in.
///
/// # Panics
/// When that does not hold.
pub fn xfcc(raw: &[u8]) -> bool {
    let read = elements(raw, MOST);
    // As a header field, it has no blanks around it.
    let is_one =
        matches!(elements(raw.trim_ascii(), 1).as_deref(), Ok([one]) if one.uris == [KNOWN]);
    assert_eq!(passes(raw.trim_ascii()), is_one);
    let Ok(read) = read else {
        return false;
    };
    let text = std::str::from_utf8(raw).expect("what is read is text");
    assert_eq!(parts(text, ','), read.len());
    let again: Vec<String> = read.iter().map(written).collect();
    let again = again.join(",");
    let read_again = elements(again.as_bytes(), MOST).expect("it is read again");
    for (one, other) in read.iter().zip(&read_again) {
        assert_eq!((one.hash, &one.subject), (other.hash, &other.subject));
        assert_eq!((&one.uris, &one.dns), (&other.uris, &other.dns));
    }
    assert_eq!(read.len(), read_again.len());
    true
}
