//! Exchanges on the engine alone: no proxy, no module.

use std::rc::Rc;
use std::time::Duration;

use portcullis::call::{CallError, Calls as _, Token};
use portcullis::engine::Engine;
use portcullis::exchange::BodyState;
use portcullis::headers::Headers;
use portcullis::host::{Property, Side};
use portcullis::memory_host::{CallEnd, MemoryHost, MemoryResponse};
use portcullis::refusal::Reply;
use portcullis::stream::{Action, PauseReason, Stream};
use portcullis::wait::Wait;
use portcullis::worker::WholeResponse;

use crate::message::{
    edit_request, edit_response, edit_trailers, head, local_reply, sent, trailers,
};
use crate::wire::{Request, Response};
use crate::{Case, Outcome, Upstream, planned, servers};

/// A proxy that checks no signatures, so that the filter's own code is what runs. Its clock is that of the case, whose
/// tokens are minted for it.
pub fn host(case: &Case) -> MemoryHost {
    of_case(
        MemoryHost::of_system().at(Duration::from_secs(case.now)),
        case,
    )
}

/// The same of another host.
pub fn of_case(host: MemoryHost, case: &Case) -> MemoryHost {
    let host = host.with_client(CLIENT);
    let host = case.servers.iter().fold(host, |host, server| {
        let answers = server.answers.clone();
        host.with_responding_cluster(&server.cluster, move |call| {
            let Response {
                status,
                headers,
                body,
                ..
            } = servers::answer_of(&answers, &call.body);
            let mut response = MemoryResponse::new(status, &body);
            for (name, value) in headers {
                response.headers.push(name.as_bytes(), &value);
            }
            Ok(response)
        })
    });
    for (name, value) in &case.environment {
        host.set_variable(name, value.as_bytes());
    }
    host
}

/// Who asks.
pub const CLIENT: &str = "192.0.2.1:40000";

/// What comes of a request and the service's response. What else is of interest is for the caller to take from the
/// stream before it ends.
///
/// # Errors
/// If the request waits for something that no case has, or the engine does what no proxy could carry out.
pub fn exchange(
    engine: &Rc<Engine>,
    request: &Request,
    upstream: &Response,
    host: &MemoryHost,
    look: impl FnOnce(&Stream),
) -> Result<Outcome, String> {
    let mut stream = Stream::new(Some(Rc::clone(engine)));
    let mut seen = request.clone();
    let reply = forward(&mut stream, &mut seen, host)?;
    let passed = reply.is_none();
    let mut outcome = match reply {
        None => Outcome {
            response: sent(upstream, request),
            upstream: Upstream::Whole(seen),
            log: Vec::new(),
        },
        Some((reply, part)) => Outcome {
            response: local_reply(reply, request)?,
            upstream: part,
            log: Vec::new(),
        },
    };
    let refused = shape(&mut outcome.response, &mut stream, host, passed)?;
    if let Some(reply) = refused {
        outcome.response = local_reply(reply, request)?;
    }
    host.set_number(Property::ResponseStatus, u64::from(outcome.response.status));
    look(&stream);
    if let Some(line) = planned::record(&stream, host) {
        if line.contains('\n') {
            return Err(format!("a log line has a line break: {line:?}"));
        }
        let read = serde_json::from_str(&line);
        let read = read.map_err(|_| format!("a log line is not JSON: {line:?}"))?;
        outcome.log.push(read);
    }
    Ok(outcome)
}

/// Takes the request through the stream; the refusal, if there is one, and what had gone ahead.
fn forward(
    stream: &mut Stream,
    request: &mut Request,
    host: &MemoryHost,
) -> Result<Option<(Reply, Upstream)>, String> {
    let chunks = request.body.clone().unwrap_or_default();
    let bodiless = chunks.iter().all(Vec::is_empty) && request.trailers.is_empty();
    let state = if bodiless {
        BodyState::Complete
    } else {
        BodyState::Open
    };
    // A body that is refused has let its head go ahead, unless that was held.
    let mut head_held = false;
    let gone_ahead = |head_held| match head_held {
        true => Upstream::Nothing,
        false => Upstream::Part,
    };
    let mut action = planned::request_headers(stream, head(request), state, host)?;
    while let Action::Pause {
        reason: PauseReason::Wait(wait),
        ..
    } = &action
    {
        action = called(stream, wait, host)?;
    }
    match action {
        Action::Reply(reply) => return Ok(Some((reply, Upstream::Nothing))),
        Action::Replace(_) => return Err(replaced()),
        Action::Pause { .. } if bodiless => {
            return Err("a request is held for a body that does not come".to_owned());
        }
        Action::Pause { edits, .. } => {
            edit_request(request, &edits);
            head_held = true;
        }
        Action::Continue(edits) => edit_request(request, &edits),
    }
    if bodiless {
        return Ok(None);
    }
    let mut held = false;
    let mut pieces: Vec<(&[u8], BodyState)> = chunks
        .iter()
        .map(|chunk| (chunk.as_slice(), BodyState::Open))
        .collect();
    if request.trailers.is_empty() {
        pieces.push((b"", BodyState::Complete));
    }
    let mut last = Action::Continue(Vec::new());
    for (piece, state) in pieces {
        let size = host.receive(Side::Request, piece, held);
        last = stream.on_request_body(size, state, host);
        match &last {
            Action::Reply(reply) => return Ok(Some((reply.clone(), gone_ahead(head_held)))),
            Action::Pause { .. } => held = true,
            Action::Replace(_) => return Err(replaced()),
            // What was held goes on, the head first.
            Action::Continue(_) => (held, head_held) = (false, false),
        }
    }
    if !request.trailers.is_empty() {
        host.receive(Side::Request, b"", held);
        last = stream.on_request_trailers(&trailers(request), host);
        if let Action::Continue(edits) = &last {
            edit_trailers(request, edits)?;
        }
    }
    match last {
        Action::Continue(_) => Ok(None),
        Action::Reply(reply) => Ok(Some((reply, gone_ahead(head_held)))),
        Action::Replace(_) => Err(replaced()),
        Action::Pause { .. } => Err("a complete request is held for ever".to_owned()),
    }
}

/// Makes the call that a request waits for, and tells of its end.
fn called(stream: &mut Stream, wait: &Wait, host: &MemoryHost) -> Result<Action, String> {
    let (Wait::Response(call) | Wait::Shared(call)) = wait else {
        return Err("the request waits for its turn, and in a case no time passes".to_owned());
    };
    let next = match host.call(call) {
        Err(error) => stream.not_called(error, host),
        Ok(token) => {
            stream.called(token);
            host.take_calls();
            let ended = |(of, end): (Token, CallEnd)| (of == token).then_some(end);
            let end = host.take_ended().into_iter().find_map(ended);
            let response = end
                .ok_or(CallError::Timeout)
                .and_then(|end| WholeResponse::read(&end, usize::MAX, |_| true));
            let response = response.as_ref().map(WholeResponse::as_response);
            stream.received(token, response.map_err(|error| *error), host)
        }
    };
    next.ok_or_else(|| "a call has come to nothing".to_owned())
}

/// Takes the answer through the stream; the refusal, if its body is refused.
fn shape(
    response: &mut Response,
    stream: &mut Stream,
    host: &MemoryHost,
    from_service: bool,
) -> Result<Option<Reply>, String> {
    let mut headers = Headers::default();
    headers.push(b":status", response.status.to_string().as_bytes());
    for (name, value) in &response.headers {
        headers.push(name.as_bytes(), value);
    }
    let read = stream.reads_response().then_some(&headers);
    let rest = match response.body.is_empty() && response.trailers.is_empty() {
        true => BodyState::Complete,
        false => BodyState::Open,
    };
    let head = planned::response_headers(stream, read, rest, host)?;
    edit_response(&mut response.headers, &head.edits)?;
    if let (Some(body), BodyState::Open) = (head.body, rest) {
        if !response.body.is_empty() || head.held {
            response.body = body;
        }
        response.trailers.clear();
        return Ok(None);
    }
    if !from_service || rest == BodyState::Complete {
        return Ok(None);
    }
    match judge_answer(response, stream, host)? {
        Action::Reply(reply) if head.held => Ok(Some(reply)),
        Action::Continue(_) => Ok(None),
        Action::Replace(rewrite) => {
            edit_response(&mut response.headers, &rewrite.edits)?;
            edit_response(&mut response.trailers, &rewrite.trailers)?;
            response.body = rewrite.body;
            Ok(None)
        }
        Action::Reply(_) => Err("a response is broken off, and no case can say so".to_owned()),
        Action::Pause { .. } => Err("a complete response is held for ever".to_owned()),
    }
}

/// The answer's body in one piece, then its end.
fn judge_answer(
    response: &Response,
    stream: &mut Stream,
    host: &MemoryHost,
) -> Result<Action, String> {
    let size = host.receive(Side::Response, &response.body, false);
    let held = match stream.on_response_body(size, BodyState::Open, host) {
        Action::Reply(reply) => return Ok(Action::Reply(reply)),
        Action::Replace(_) => {
            return Err("a body is replaced before all of it has come".to_owned());
        }
        Action::Pause { .. } => true,
        Action::Continue(_) => false,
    };
    let size = host.receive(Side::Response, b"", held);
    Ok(if response.trailers.is_empty() {
        stream.on_response_body(size, BodyState::Complete, host)
    } else {
        if stream.reads_response_trailers() {
            let mut trailers = Headers::default();
            for (name, value) in &response.trailers {
                trailers.push(name.as_bytes(), value);
            }
            stream.response_ended(&trailers, host);
        }
        stream.on_response_trailers(host)
    })
}

fn replaced() -> String {
    "a request's body is replaced".to_owned()
}
