//! What a server says of an opaque token.

use std::cell::{Cell, OnceCell};
use std::rc::Rc;
use std::time::Duration;

use portcullis::call::{CallResponse, Token};
use portcullis::engine::Engine;
use portcullis::exchange::BodyState;
use portcullis::headers::Headers;
use portcullis::memory_host::MemoryHost;
use portcullis::stream::{Action, PauseReason, Stream};
use portcullis::wait::Wait;
use serde_json::{Value, json};

use super::{NOW, bearer};
use crate::both;

/// The token that is asked about.
const OPAQUE: &str = "2YotnFZFEjr1zCsicMWpAA";
const ISSUER: &str = "https://id.example.com/";
const AUDIENCE: &str = "orders-api";
/// The usual `clock_skew`.
const SKEW: f64 = 60.0;

thread_local! {
    static ENGINE: OnceCell<Rc<Engine>> = const { OnceCell::new() };
    static RUNS: Cell<u32> = const { Cell::new(0) };
}

/// A proxy whose clock that does not step is later each time, so that no server rests for what it has
/// answered before.
fn proxy() -> MemoryHost {
    const APART: Duration = Duration::from_secs(60);
    let host = MemoryHost::new().at_second(NOW);
    let run = RUNS.with(|runs| runs.replace(runs.get().wrapping_add(1)));
    host.advance(APART.saturating_mul(run));
    host.set_wall_clock(Duration::from_secs(NOW));
    host
}

fn engine() -> Rc<Engine> {
    let document = || {
        json!({
            "version": 1,
            "access_log": {},
            "introspection_servers": { "s": {
                "cluster": "s", "uri": "https://id.example.com/introspect", "authentication": "none",
                "issuer": ISSUER, "audiences": [AUDIENCE], "introspection_cache": "off",
                "claim_to_headers": [{ "header_name": "x-user", "claim_name": "sub" }],
            } },
            "routes": [{
                "name": "all", "match": {},
                "introspection": { "server": "s", "require": { "scopes": ["a"] } },
            }],
        })
    };
    let compile = || {
        let engine = Engine::compile(document().to_string().as_bytes());
        Rc::new(engine.expect("the document is valid"))
    };
    ENGINE.with(|engine| Rc::clone(engine.get_or_init(compile)))
}

/// Whether a plain reader, who knows what RFC 7662 §2.2 says, would let the token in.
fn is_good(answer: &Value) -> bool {
    let lists = |name: &str, wanted: &str| match &answer[name] {
        Value::String(one) => one == wanted,
        Value::Array(all) => all.iter().any(|each| each == wanted),
        _ => false,
    };
    let has_scope = |scopes: &Value| match scopes {
        Value::String(scopes) => scopes.split(' ').any(|scope| scope == "a"),
        Value::Array(scopes) => scopes.iter().any(|scope| scope == "a"),
        _ => false,
    };
    let time = |name: &str, usual| answer[name].as_f64().unwrap_or(usual);
    let now = NOW as f64;
    answer["active"] == json!(true)
        && answer["iss"] == ISSUER
        && lists("aud", AUDIENCE)
        // `scp` as `require` reads it of JWTs; a `scope` that is a list is no answer.
        && ((answer["scope"].is_string() && has_scope(&answer["scope"])) || has_scope(&answer["scp"]))
        && answer["cnf"].is_null()
        && now < time("exp", f64::INFINITY) + SKEW
        && time("nbf", 0.0) <= now + SKEW
        && time("iat", 0.0) <= now + SKEW
}

/// Whatever a server answers, a request waits for it once and then passes or not. It passes only if a plain
/// reader would let it. What is no answer is no fault of the client's, and no record has the token.
///
/// # Panics
/// When that does not hold.
pub fn introspection_response(body: &[u8]) -> bool {
    let host = proxy();
    let mut stream = Stream::new(Some(engine()));
    let head = bearer(b"/", format!("Bearer {OPAQUE}").as_bytes());
    let action = stream.on_request_headers(head, BodyState::Complete, &host);
    let waits = matches!(
        action,
        Action::Pause {
            reason: PauseReason::Wait(Wait::Shared(_)),
            ..
        }
    );
    assert!(waits, "{action:?}");
    stream.called(Token(1));
    let mut headers = Headers::default();
    headers.push(b":status", b"200");
    headers.push(b"content-type", b"application/json");
    let response = CallResponse {
        headers: &headers,
        body,
    };
    let action = stream.received(Token(1), Ok(response), &host);
    let action = action.expect("the request has waited for it");
    let read: Option<Value> = serde_json::from_slice(body).ok();
    let passes = match action {
        Action::Continue(_) => true,
        Action::Pause { .. } | Action::Replace(_) => panic!("it waits again: {action:?}"),
        Action::Reply(reply) => {
            assert!([401, 403, 503].contains(&reply.status), "{}", reply.status);
            let active = read.as_ref().map(|answer| &answer["active"]);
            let is_answer = active.is_some_and(Value::is_boolean);
            assert!(is_answer || reply.status == 503, "{}", reply.details);
            false
        }
    };
    if passes {
        assert!(read.as_ref().is_some_and(is_good), "{read:?}");
    }
    let line = both::record(&stream, &host).expect("there is a log");
    assert!(!line.contains(OPAQUE), "{line}");
    passes
}
