//! Queries, before parameters are judged.

use std::cell::OnceCell;
use std::rc::Rc;

use portcullis::engine::Engine;
use portcullis::exchange::{BodyState, Edit};
use portcullis::headers::Headers;
use portcullis::policy::parameters::{Controls, pairs};
use portcullis::stream::{Action, Stream};
use serde_json::json;

use super::judge::NOW;
use crate::still::still;

thread_local! {
    static ENGINE: OnceCell<Rc<Engine>> = const { OnceCell::new() };
}

fn engine() -> Rc<Engine> {
    let document = || {
        let route = |undeclared: &str| {
            json!({
                "name": undeclared,
                "match": { "path": { "exact": format!("/{undeclared}") } },
                "open": true,
                "parameters": { "undeclared": undeclared, "query": [
                    { "name": "a", "schema": { "type": "integer", "minimum": 1, "maximum": 50 } },
                    { "name": "b c", "schema": { "type": "array", "items": { "enum": ["x", "y"] } } },
                ] },
            })
        };
        json!({ "version": 1, "routes": [route("refuse"), route("strip"), route("pass")] })
    };
    let compile = || {
        let engine = Engine::compile(document().to_string().as_bytes());
        Rc::new(engine.expect("the document is valid"))
    };
    ENGINE.with(|engine| Rc::clone(engine.get_or_init(compile)))
}

/// The path that the service sees; none if the request is refused.
fn judged(path: &[u8]) -> Option<Vec<u8>> {
    let mut headers = Headers::default();
    headers.push(b":authority", b"api.example.com");
    headers.push(b":path", path);
    headers.push(b":method", b"GET");
    let mut stream = Stream::new(Some(engine()));
    let host = still(NOW);
    let Action::Continue(edits) = stream.on_request_headers(headers, BodyState::Complete, &host)
    else {
        return None;
    };
    let set = edits.iter().rev().find_map(|edit| match edit {
        Edit::SetPath(path) => Some(path.as_bytes().to_vec()),
        _ => None,
    });
    Some(set.unwrap_or_else(|| path.to_vec()))
}

/// Whoever reads a query that is read, at `&` or at `;` as well, decoding once, reads the same
/// pairs; what the document asks of them holds for that reading; what is taken out is what nobody
/// declared, and nothing else changes.
///
/// # Panics
/// When that does not hold.
pub fn query(raw: &[u8]) -> bool {
    let at = |path: &str| judged(&[path.as_bytes(), raw].concat());
    let (refused, stripped, passed) = (at("/refuse?"), at("/strip?"), at("/pass?"));
    let Ok(read) = pairs(raw, Controls::Refused) else {
        assert_eq!((refused, stripped, passed), (None, None, None));
        return false;
    };
    let leniently = leniently(raw);
    let strictly = read
        .iter()
        .map(|pair| (pair.name.to_string(), pair.value.to_string()));
    assert_eq!(strictly.collect::<Vec<_>>(), leniently);
    let text = |pair: &(String, String)| [pair.0.as_str(), pair.1.as_str()].concat();
    assert!(
        !leniently
            .iter()
            .map(text)
            .any(|text| text.contains(char::is_control))
    );
    let declared = |name: &str| matches!(name, "a" | "b c");
    if let Some(path) = &refused {
        assert_eq!(path, &[b"/refuse?", raw].concat());
        assert!(leniently.iter().all(|(name, _)| declared(name)) && fits(&leniently));
        assert!(stripped.is_some() && passed.is_some());
    }
    if let Some(path) = &passed {
        assert_eq!(path, &[b"/pass?", raw].concat());
        assert!(fits(&leniently));
    }
    if let Some(path) = &stripped {
        let rest = path.strip_prefix(b"/strip").expect("the path stays");
        let rest = rest.strip_prefix(b"?").unwrap_or_default();
        let kept = leniently.iter().filter(|(name, _)| declared(name));
        assert_eq!(self::leniently(rest), kept.cloned().collect::<Vec<_>>());
        assert_eq!(
            judged(path).as_ref(),
            Some(path),
            "nothing is left to take out"
        );
        assert!(fits(&leniently));
    }
    refused.is_some()
}

/// Whether what came for the declared parameters is as the document asks.
fn fits(pairs: &[(String, String)]) -> bool {
    let of = |name: &'static str| pairs.iter().filter(move |pair| pair.0 == name);
    let number = of("a").all(|pair| matches!(pair.1.parse::<u8>(), Ok(1..=50)));
    let items = of("b c").all(|pair| matches!(pair.1.as_str(), "x" | "y"));
    of("a").count() <= 1 && number && items
}

/// As the most lenient server reads it.
fn leniently(query: &[u8]) -> Vec<(String, String)> {
    let pieces = query.split(|b| matches!(b, b'&' | b';'));
    let pieces = pieces.filter(|piece| !piece.is_empty());
    let pair = |piece: &[u8]| {
        let end = piece.iter().position(|b| *b == b'=');
        let (name, value) = piece.split_at(end.unwrap_or(piece.len()));
        (
            decoded(name),
            decoded(value.strip_prefix(b"=").unwrap_or_default()),
        )
    };
    pieces.map(pair).collect()
}

fn decoded(encoded: &[u8]) -> String {
    let mut out = Vec::new();
    let mut rest = encoded;
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let digits = digits.filter(|two| two.bytes().all(|b| b.is_ascii_hexdigit()));
        let value = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        rest = tail;
        out.push(match (first, value) {
            (b'%', Some(value)) => {
                rest = &tail[2..];
                value
            }
            (b'+', _) => b' ',
            (other, _) => *other,
        });
    }
    String::from_utf8_lossy(&out).into_owned()
}
