//! Cases on the engine alone: no proxy, no module.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::atomic::{AtomicU64, Ordering};

use portcullis::call::{CallError, Calls as _, Token};
use portcullis::config::ConfigError;
use portcullis::engine::Engine;
use portcullis::exchange::{BodyState, Edit};
use portcullis::headers::Headers;
use portcullis::host::{Clock as _, Property, Side};
use portcullis::memory_host::{CallEnd, MemoryHost, MemoryResponse};
use portcullis::refusal::{Detail, Reply};
use portcullis::stream::{Action, Decision, PauseReason, Stream};
use portcullis::wait::Wait;
use portcullis::worker::WholeResponse;
use serde_json::Value;

use super::{Case, CaseServer, Outcome, Upstream, expect, servers};
use crate::both;
use crate::wire::{Request, Response, Version};

/// Runs a case; what differs from what it expects.
pub fn run(case: &Case) -> Vec<String> {
    let engine = match (Engine::compile(&case.document), case.problems.as_slice()) {
        (Ok(_), [_, ..]) => return vec!["the document is accepted".to_owned()],
        (Err(error), expected) => {
            let found: Vec<String> = error.problems.iter().map(ToString::to_string).collect();
            return if found == expected {
                Vec::new()
            } else {
                vec![format!("problems: {found:#?}")]
            };
        }
        (Ok(engine), []) => Rc::new(engine),
    };
    let host = Proxy::new(&case.servers);
    let mut differences = Vec::new();
    for exchange in &case.fresh_exchanges() {
        let outcome = judge(&engine, &exchange.request, &exchange.upstream, &host);
        let mut found = expect::compare(&exchange.expect, &outcome);
        found.extend(astray(&case.document, &host.rules.take()));
        differences.extend(
            found
                .into_iter()
                .map(|difference| format!("{}: {difference}", exchange.name)),
        );
    }
    differences.extend(unlike(case));
    differences
}

/// What differs where requests are judged by plans, and where no refused token is remembered, each
/// three times.
fn unlike(case: &Case) -> Vec<String> {
    #[allow(
        clippy::disallowed_methods,
        reason = "tokens are minted for this moment"
    )]
    let now = MemoryHost::of_system().wall_clock();
    let engines = [
        Engine::compile(&case.document),
        Engine::compile(&case.document),
        Engine::compile(&case.document),
    ];
    let [Ok(planned), Ok(asked), Ok(forgetful)] = engines else {
        return vec!["the document is not accepted a second time".to_owned()];
    };
    let sides = [planned.with_plans(), asked, forgetful].map(|engine| {
        let still = |host: MemoryHost| host.at(now);
        let host = still(MemoryHost::new());
        (Rc::new(engine), Proxy::of(host, &case.servers))
    });
    let mut differences = Vec::new();
    for exchange in &case.fresh_exchanges() {
        for _ in 0..3 {
            sides[2].0.forget_refused_tokens();
            let [planned, asked, forgetful] = sides.each_ref().map(|(engine, proxy)| {
                let outcome = judge(engine, &exchange.request, &exchange.upstream, proxy);
                let lines = proxy.left.take();
                let counted = both::counted(engine, &proxy.host);
                (format!("{outcome:?}"), lines, counted)
            });
            if planned != asked {
                differences.push(format!(
                    "{}: by a plan {planned:?}, by asking {asked:?}",
                    exchange.name
                ));
            }
            let but_for_memory = |(outcome, lines, counted)| -> (String, Vec<String>, _) {
                (outcome, lines, both::but_for_memory(counted))
            };
            let [asked, forgetful] = [asked, forgetful].map(but_for_memory);
            if asked != forgetful {
                differences.push(format!(
                    "{}: from memory {asked:?}, without {forgetful:?}",
                    exchange.name
                ));
            }
        }
    }
    let [(planned, _), _, _] = sides;
    PLANNED.fetch_add(planned.planned(), Ordering::Relaxed);
    differences
}

/// How many requests of all cases have been judged by plans.
static PLANNED: AtomicU64 = AtomicU64::new(0);

/// How many requests of all cases that have run have been judged by plans.
pub fn planned() -> u64 {
    PLANNED.load(Ordering::Relaxed)
}

/// What the access log has of a case, on the core alone; nothing of a document with problems.
pub fn records(case: &Case) -> Vec<Value> {
    let Ok(engine) = Engine::compile(&case.document).map(Rc::new) else {
        return Vec::new();
    };
    let host = Proxy::new(&case.servers);
    let exchanges = case.exchanges.iter();
    let outcomes =
        exchanges.map(|exchange| judge(&engine, &exchange.request, &exchange.upstream, &host));
    outcomes.flat_map(|outcome| outcome.log).collect()
}

/// Whatever a policy refuses, the log says by which rule, and that is in the document.
fn astray(document: &[u8], rules: &[Option<String>]) -> Vec<String> {
    let document: Value = serde_json::from_slice(document).unwrap_or_default();
    let stray = |rule: &Option<String>| match rule {
        None => Some("a refusal does not say by which rule".to_owned()),
        Some(rule) if document.pointer(rule).is_none() => {
            Some(format!("a refusal is by {rule}, which is not there"))
        }
        Some(_) => None,
    };
    rules.iter().filter_map(stray).collect()
}

/// The rules by which policies refused, or would have.
fn rules(record: &Decision) -> Vec<Option<String>> {
    let enforced = record.refused_by.map(|_| &record.detail);
    let shadow = record.shadow.iter().filter(|each| each.policy.is_some());
    let details = enforced.into_iter().chain(shadow.map(|each| &each.detail));
    let rule = |detail: &Option<Box<Detail>>| Some(detail.as_ref()?.rule()?.to_owned());
    details.map(rule).collect()
}

/// What a client gets under a document, on the core alone.
///
/// # Errors
/// What is wrong with the document.
pub fn answer(
    document: &[u8],
    request: &Request,
    upstream: &Response,
) -> Result<Response, ConfigError> {
    let engine = Rc::new(Engine::compile(document)?);
    Ok(answer_by(&engine, request, upstream))
}

/// What a client gets on an engine, on the core alone.
pub fn answer_by(engine: &Rc<Engine>, request: &Request, upstream: &Response) -> Response {
    judge(engine, request, upstream, &Proxy::new(&[])).response
}

/// A proxy that checks no signatures, so that the filter's own code is what runs.
struct Proxy {
    host: MemoryHost,
    /// By which rules policies refused the last request.
    rules: RefCell<Vec<Option<String>>>,
    /// What the last exchange has left behind.
    left: RefCell<Vec<String>>,
}

impl Proxy {
    /// Tokens are minted for the clock of a real proxy.
    fn new(servers: &[CaseServer]) -> Self {
        Self::of(MemoryHost::of_system(), servers)
    }

    fn of(host: MemoryHost, servers: &[CaseServer]) -> Self {
        let host = host.with_client("192.0.2.1:40000");
        let host = servers.iter().fold(host, |host, server| {
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
        for (name, value) in super::environment() {
            host.set_variable(&name, value);
        }
        Self {
            host,
            rules: RefCell::default(),
            left: RefCell::default(),
        }
    }
}

fn judge(engine: &Rc<Engine>, request: &Request, upstream: &Response, proxy: &Proxy) -> Outcome {
    let host = &proxy.host;
    let mut stream = Stream::new(Some(Rc::clone(engine)));
    let mut seen = request.clone();
    let reply = forward(&mut stream, &mut seen, host);
    let passed = reply.is_none();
    let mut outcome = match reply {
        None => Outcome {
            response: sent(upstream, request),
            upstream: Upstream::Whole(seen),
            log: Vec::new(),
        },
        Some((reply, part)) => Outcome {
            response: local_reply(reply, request),
            upstream: part,
            log: Vec::new(),
        },
    };
    let refused = shape(&mut outcome.response, &mut stream, host, passed);
    if let Some(reply) = refused {
        outcome.response = local_reply(reply, request);
    }
    host.set_number(Property::ResponseStatus, u64::from(outcome.response.status));
    proxy.rules.replace(rules(stream.decision()));
    proxy.left.replace(both::left(&stream, host));
    if let Some(line) = both::record(&stream, host) {
        assert!(
            !line.contains('\n'),
            "a log line has a line break: {line:?}"
        );
        outcome
            .log
            .push(serde_json::from_str(&line).expect("a log line is JSON"));
    }
    outcome
}

/// Takes the request through the stream; the refusal, if there is one, and what had gone ahead.
fn forward(
    stream: &mut Stream,
    request: &mut Request,
    host: &MemoryHost,
) -> Option<(Reply, Upstream)> {
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
    let mut action = both::request_headers(stream, head(request), state, host);
    while let Action::Pause {
        reason: PauseReason::Wait(wait),
        ..
    } = &action
    {
        action = called(stream, wait, host);
    }
    match action {
        Action::Reply(reply) => return Some((reply, Upstream::Nothing)),
        Action::Replace(_) => panic!("a request's body is replaced"),
        Action::Pause { .. } if bodiless => {
            panic!("a request is held for a body that does not come")
        }
        Action::Pause { edits, .. } => {
            edit_request(request, &edits);
            head_held = true;
        }
        Action::Continue(edits) => edit_request(request, &edits),
    }
    if bodiless {
        return None;
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
            Action::Reply(reply) => return Some((reply.clone(), gone_ahead(head_held))),
            Action::Pause { .. } => held = true,
            Action::Replace(_) => panic!("a request's body is replaced"),
            // What was held goes on, the head first.
            Action::Continue(_) => (held, head_held) = (false, false),
        }
    }
    if !request.trailers.is_empty() {
        host.receive(Side::Request, b"", held);
        last = stream.on_request_trailers(&trailers(request), host);
        if let Action::Continue(edits) = &last {
            edit_trailers(request, edits);
        }
    }
    match last {
        Action::Continue(_) => None,
        Action::Reply(reply) => Some((reply, gone_ahead(head_held))),
        Action::Replace(_) => panic!("a request's body is replaced"),
        Action::Pause { .. } => panic!("a complete request is held for ever"),
    }
}

/// Makes the call that a request waits for, and tells of its end.
fn called(stream: &mut Stream, wait: &Wait, host: &MemoryHost) -> Action {
    let (Wait::Response(call) | Wait::Shared(call)) = wait else {
        panic!("no case lets time pass");
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
    next.expect("the request has waited for it")
}

/// The head as Envoy hands it over: pseudo-header fields first, names in lower case, repeated
/// fields joined where Envoy joins them.
fn head(request: &Request) -> Headers {
    const JOINED: [&[u8]; 6] = [
        b"authorization",
        b"content-type",
        b"origin",
        b"accept",
        b"user-agent",
        b"x-request-id",
    ];
    let mut fields: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    for (name, value) in &request.headers {
        let name = name.to_ascii_lowercase();
        let crumb = name == b"cookie" && request.version == Version::Http2;
        let separator: &[u8] = if crumb { b"; " } else { b"," };
        let joins = crumb || JOINED.contains(&name.as_slice());
        match fields.iter_mut().find(|(each, _)| joins && *each == name) {
            Some((_, joined)) => {
                if !joined.is_empty() {
                    joined.extend_from_slice(separator);
                }
                joined.extend_from_slice(value);
            }
            None => fields.push((name, value.clone())),
        }
    }
    let mut headers = Headers::default();
    headers.push(b":authority", &request.authority);
    headers.push(b":path", &request.path);
    headers.push(b":method", &request.method);
    headers.push(b":scheme", b"http");
    if let (Some(body), true) = (&request.body, request.trailers.is_empty()) {
        let declared = fields.iter().any(|(name, _)| name == b"content-length");
        if let ([one], false, Version::Http1) = (body.as_slice(), declared, request.version) {
            headers.push(b"content-length", one.len().to_string().as_bytes());
        }
    }
    for (name, value) in &fields {
        headers.push(name, value);
    }
    if headers.all("x-request-id").next().is_none() {
        headers.push(b"x-request-id", b"00000000-0000-4000-8000-000000000000");
    }
    headers
}

/// Trailers as Envoy hands them over.
fn trailers(request: &Request) -> Headers {
    let mut trailers = Headers::default();
    for (name, value) in &request.trailers {
        trailers.push(&name.to_ascii_lowercase(), value);
    }
    trailers
}

fn edit_trailers(request: &mut Request, edits: &[Edit]) {
    for edit in edits {
        let Edit::Remove(name) = edit else {
            panic!("trailers are only taken out: {edit:?}");
        };
        let is_named = |each: &[u8]| each.eq_ignore_ascii_case(name.as_str().as_bytes());
        request.trailers.retain(|(each, _)| !is_named(each));
    }
}

fn edit_request(request: &mut Request, edits: &[Edit]) {
    for edit in edits {
        let mut remove = |name: &str| {
            request
                .headers
                .retain(|(each, _)| !each.eq_ignore_ascii_case(name.as_bytes()));
        };
        match edit {
            Edit::Remove(name) => remove(name.as_str()),
            Edit::Set(name, value) => {
                remove(name.as_str());
                request
                    .headers
                    .push((name.as_str().as_bytes().to_vec(), value.as_bytes().to_vec()));
            }
            Edit::Add(name, value) => request
                .headers
                .push((name.as_str().as_bytes().to_vec(), value.as_bytes().to_vec())),
            Edit::SetPath(path) => request.path = path.as_bytes().to_vec(),
            Edit::FilterState(..) | Edit::HitsAddend(_) => {}
            Edit::Prepared(edits) => edit_request(request, edits),
        }
    }
}

/// Takes the answer through the stream; the refusal, if its body is refused.
fn shape(
    response: &mut Response,
    stream: &mut Stream,
    host: &MemoryHost,
    from_service: bool,
) -> Option<Reply> {
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
    let head = both::response_headers(stream, read, rest, host);
    edit_response(&mut response.headers, &head.edits);
    if let (Some(body), BodyState::Open) = (head.body, rest) {
        if !response.body.is_empty() || head.held {
            response.body = body;
        }
        response.trailers.clear();
        return None;
    }
    if !from_service || rest == BodyState::Complete {
        return None;
    }
    match judge_answer(response, stream, host) {
        Action::Reply(reply) if head.held => Some(reply),
        Action::Continue(_) => None,
        Action::Replace(rewrite) => {
            edit_response(&mut response.headers, &rewrite.edits);
            edit_response(&mut response.trailers, &rewrite.trailers);
            response.body = rewrite.body;
            None
        }
        Action::Reply(_) => panic!("an answer is broken off; no case can say so"),
        Action::Pause { .. } => panic!("a complete answer is held for ever"),
    }
}

/// The answer's body in one piece, then its end.
fn judge_answer(response: &Response, stream: &mut Stream, host: &MemoryHost) -> Action {
    let size = host.receive(Side::Response, &response.body, false);
    let held = match stream.on_response_body(size, BodyState::Open, host) {
        Action::Reply(reply) => return Action::Reply(reply),
        Action::Replace(_) => panic!("a body is replaced before all of it has come"),
        Action::Pause { .. } => true,
        Action::Continue(_) => false,
    };
    let size = host.receive(Side::Response, b"", held);
    if response.trailers.is_empty() {
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
    }
}

fn edit_response(headers: &mut Vec<(String, Vec<u8>)>, edits: &[Edit]) {
    for edit in edits {
        match edit {
            Edit::Remove(name) => headers.retain(|(each, _)| each != name.as_str()),
            Edit::Set(name, value) => {
                headers.retain(|(each, _)| each != name.as_str());
                headers.push((name.as_str().to_owned(), value.as_bytes().to_vec()));
            }
            Edit::Add(name, value) => {
                // Envoy joins this one to what is there.
                let joined = headers
                    .iter_mut()
                    .find(|(each, _)| each == "vary" && each == name.as_str());
                match joined {
                    Some((_, before)) => before.extend([b",", value.as_bytes()].concat()),
                    None => headers.push((name.as_str().to_owned(), value.as_bytes().to_vec())),
                }
            }
            Edit::Prepared(edits) => edit_response(headers, edits),
            Edit::SetPath(_) | Edit::FilterState(..) | Edit::HitsAddend(_) => {
                panic!("a response has no such edit")
            }
        }
    }
}

/// What a service sends: no body to HEAD.
fn sent(upstream: &Response, request: &Request) -> Response {
    let mut response = upstream.clone();
    if request.method == b"HEAD" {
        response.body.clear();
        response.trailers.clear();
    }
    response
}

/// What Envoy makes of a local reply.
fn local_reply(reply: Reply, request: &Request) -> Response {
    let is_grpc = request.headers.iter().any(|(name, value)| {
        name.eq_ignore_ascii_case(b"content-type")
            && value.starts_with(b"application/grpc")
            && !value.starts_with(b"application/grpc-")
    });
    let mut headers = Vec::new();
    let added = reply.headers.into_iter();
    let added: Vec<Edit> = added.map(|(name, value)| Edit::Add(name, value)).collect();
    edit_response(&mut headers, &added);
    if is_grpc {
        headers.push(("content-type".to_owned(), b"application/grpc".to_vec()));
        headers.push((
            "grpc-status".to_owned(),
            reply.grpc_status.to_string().into_bytes(),
        ));
        headers.push(("grpc-message".to_owned(), reply.body));
        return Response {
            status: 200,
            headers,
            ..Response::default()
        };
    }
    let body = if request.method == b"HEAD" {
        Vec::new()
    } else {
        reply.body
    };
    Response {
        status: reply.status,
        headers,
        body,
        trailers: Vec::new(),
    }
}
