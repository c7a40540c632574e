//! One request on an engine, and all that can be seen of it from outside.

use std::rc::Rc;

use crate::both;
use portcullis::call::CallError;
use portcullis::engine::Engine;
use portcullis::exchange::BodyState;
use portcullis::headers::Headers;
use portcullis::host::Host;
use portcullis::json::Json;
use portcullis::stream::{Action, PauseReason, Stream};

/// The time that all laws go by, in seconds since the epoch.
pub const NOW: u64 = 2_000_000_000;

/// What became of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// The status and the details of a refusal; none if the request passes.
    pub refusal: Option<String>,
    /// Its line in the log; empty if it gets none.
    pub line: String,
    /// What the service is to see, as far as it differs.
    pub edits: String,
}

impl Judged {
    /// Whether the request goes on to the service.
    pub fn passes(&self) -> bool {
        self.refusal.is_none()
    }
}

/// The head of a request with that `authorization`.
pub fn bearer(path: &[u8], authorization: &[u8]) -> Headers {
    let mut headers = Headers::default();
    headers.push(b":authority", b"api.example.com");
    headers.push(b":path", path);
    headers.push(b":method", b"GET");
    headers.push(b":scheme", b"https");
    headers.push(b"authorization", authorization);
    headers.push(b"x-request-id", b"6f9a-1");
    headers
}

/// Takes a request with a body of 600 bytes and trailers through the engine.
///
/// # Panics
/// When a refusal is not one problem document, when a line of the log is not one line of JSON,
/// or when a complete request is held.
pub fn judge(engine: &Rc<Engine>, headers: Headers, host: &dyn Host) -> Judged {
    let judged = judge_once(engine, &headers, host, true);
    let asked = |line: &str| !line.contains("rate_limit.remaining");
    // What a limit has left differs from one to the next.
    if judged.is_planned && asked(&judged.judged.line) {
        let again = judge_once(engine, &headers, host, false);
        assert_eq!(judged.judged, again.judged, "by a plan, and by asking");
    }
    judged.judged
}

struct Once {
    judged: Judged,
    is_planned: bool,
}

fn judge_once(engine: &Rc<Engine>, headers: &Headers, host: &dyn Host, by_plan: bool) -> Once {
    let mut stream = Stream::new(Some(Rc::clone(engine)));
    let mut edits = String::new();
    let trailers = headers.clone();
    let headers = headers.clone();
    let mut action = match by_plan {
        true => both::request_headers(&mut stream, headers, BodyState::Open, host),
        false => stream.on_request_headers(headers, BodyState::Open, host),
    };
    // Nobody is there to be asked.
    while let Action::Pause {
        reason: PauseReason::Wait(_),
        ..
    } = &action
    {
        let next = stream.not_called(CallError::Unreachable, host);
        action = next.expect("it has waited for that");
    }
    let is_planned = stream.is_planned();
    for step in 0..2 {
        if let Action::Continue(more) | Action::Pause { edits: more, .. } = &action {
            edits.push_str(&format!("{:?}", both::flat(more)));
        }
        if matches!(action, Action::Reply(_)) {
            break;
        }
        action = match step {
            0 => stream.on_request_body(600, BodyState::Open, host),
            _ => stream.on_request_trailers(&trailers, host),
        };
    }
    let head = both::response_headers(&mut stream, None, BodyState::Open, host);
    edits.push_str(&format!("{:?}", both::flat(&head.edits)));
    let refusal = match action {
        Action::Reply(reply) => {
            // A response of the document's own has whatever body that says.
            let mut headers = reply.headers.iter();
            let is_problem = headers.any(|(name, value)| {
                name.as_str() == "content-type" && value.as_bytes() == b"application/problem+json"
            });
            let is_refusal = stream.summary().record.refusal.is_some();
            assert_eq!(is_problem, is_refusal, "{reply:?}");
            if is_problem {
                let problem = Json::parse(&reply.body, 2);
                assert!(problem.is_ok(), "{:?}", reply.body);
            }
            Some(format!("{} {}", reply.status, reply.details))
        }
        Action::Continue(_) => None,
        Action::Pause { .. } | Action::Replace(_) => panic!("a complete request is held"),
    };
    let line = log_line(&stream, host);
    let judged = Judged {
        refusal,
        line,
        edits,
    };
    Once { judged, is_planned }
}

fn log_line(stream: &Stream, host: &dyn Host) -> String {
    let Some(line) = both::record(stream, host) else {
        return String::new();
    };
    let one_line = !line.contains(|c: char| c.is_control());
    assert!(
        one_line && Json::parse(line.as_bytes(), 8).is_ok(),
        "{line:?}"
    );
    assert!(line.len() < 8192, "{} bytes", line.len());
    line
}
