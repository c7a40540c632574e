//! One exchange as the proxy calls it.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types;

use super::abi::{self, Buffer, HostError, Map};
use super::calls::Arrived;
use super::host::Envoy;
use super::pairs;
use super::plugin::Running;
use super::waits;
use portcullis_engine::stream::{Action, MOST_HEAD, PauseReason, Stream};
use portcullis_engine::worker::WholeResponse;
use portcullis_exchange::body::Inspection;
use portcullis_exchange::call::{CallError, Token};
use portcullis_exchange::exchange::{BodyState, Edit, effective};
use portcullis_exchange::host::{Clock as _, Failure, Metrics as _, Side};
use portcullis_exchange::refusal::{Reply, grpc};
use portcullis_exchange::wait::Wait;
use portcullis_wire::budget;
use portcullis_wire::budget::{Reservation, Share};
use portcullis_wire::headers::{HeaderName, HeaderValue, Headers};

/// As many fields as a head seldom has: where the proxy does not say how many there are.
const MOST_FIELDS: usize = 1000;

/// Carries callbacks to a [`Stream`] and its answers back.
pub(super) struct Filter {
    live: Rc<Live>,
    /// Whether the exchange has been told of.
    told: bool,
    /// What goes out in place of the response's body, if something does.
    response_body: Option<Vec<u8>>,
    _memory: Reservation,
}

/// What those share who look after a request between its callbacks: while its head waits for the body, or
/// it waits in the midst of its chain.
pub(super) struct Live {
    pub(super) id: u32,
    pub(super) stream: RefCell<Stream>,
    running: Rc<Running>,
    /// The body for which the head in hand waits.
    waits_for: Cell<Option<Side>>,
    /// What had come with the head of a request that waits in its chain.
    size: Cell<Option<u64>>,
    /// The last call that was made for it.
    call: Cell<Option<Token>>,
}

/// Where an action is carried out.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// In the callback for the request's head.
    Head,
    /// In one for its body or trailers.
    Body,
    /// In one that is not the request's: its head has been kept, and has to be let go on.
    Later,
}

impl Live {
    fn host(&self) -> &Envoy {
        &self.running.host
    }

    fn carry_out(self: &Rc<Self>, mut action: Action, phase: Phase) -> types::Action {
        loop {
            let (edits, then) = match action {
                Action::Reply(reply) => return send(&reply),
                Action::Pause {
                    reason: PauseReason::Wait(wait),
                    ..
                } => match self.pause(&wait, phase) {
                    Some(next) => {
                        action = next;
                        continue;
                    }
                    None => return types::Action::Pause,
                },
                Action::Pause { edits, .. } => {
                    if phase != Phase::Body {
                        self.wait(Side::Request, phase);
                    }
                    (edits, types::Action::Pause)
                }
                Action::Continue(edits) => (edits, types::Action::Continue),
            };
            // An edit may take a token or a forged identity away: not one to do without.
            if let Err(error) = apply(Map::Request, &edits) {
                return self.fail("change the request", error);
            }
            if (phase, then) == (Phase::Later, types::Action::Continue)
                && let Err(error) = abi::resume_request()
            {
                return self.fail("let the request go on", error);
            }
            return then;
        }
    }

    /// Begins a wait in the midst of the chain; what is to be done, if it is over at once.
    fn pause(self: &Rc<Self>, wait: &Wait, phase: Phase) -> Option<Action> {
        let host = self.host();
        let mut stream = self.stream.borrow_mut();
        if !host.has_ticks() {
            log::error!("the proxy gives no ticks; a request that would have to wait is refused");
            return Some(stream.host_failed(Failure::HostCall, host));
        }
        if phase == Phase::Head && self.running.engine.inspection() == Inspection::HoldHeaders {
            self.size.set(self.running.held.size(host));
        }
        if let Wait::Response(call) = wait {
            match self.running.worker.call_for(self.id, call) {
                Ok(token) => {
                    stream.called(token);
                    self.forget(Some(token));
                }
                Err(error) => return stream.not_called(error, host),
            }
        }
        if let Some(deadline) = stream.deadline() {
            let now = host.monotonic();
            self.running.waits.add(self.id, self, deadline, now);
        }
        None
    }

    /// Of calls before this one, nothing more is to be heard. With the context, the proxy forgets its
    /// calls without a word.
    fn forget(&self, next: Option<Token>) {
        if let Some(before) = self.call.replace(next) {
            self.running.worker.forget(before);
        }
    }

    /// Time has passed. What follows concerns this context.
    pub(super) fn passed(self: &Rc<Self>, now: Duration) {
        // Nobody else runs while the root ticks.
        let Ok(mut stream) = self.stream.try_borrow_mut() else {
            return;
        };
        let action = stream.passed(now, self.host());
        drop(stream);
        if let Some(action) = action {
            self.carry_out(action, Phase::Later);
        }
    }

    /// The end of a call. What follows concerns this context.
    pub(super) fn received(
        self: &Rc<Self>,
        token: Token,
        response: &Result<WholeResponse, CallError>,
    ) {
        let Ok(mut stream) = self.stream.try_borrow_mut() else {
            return;
        };
        let response = match response {
            Ok(response) => Ok(response.as_response()),
            Err(error) => Err(*error),
        };
        let action = stream.received(token, response, self.host());
        drop(stream);
        if let Some(action) = action {
            self.running.waits.remove(self.id);
            self.carry_out(action, Phase::Later);
        }
    }

    fn wait(self: &Rc<Self>, side: Side, phase: Phase) {
        self.waits_for.set(Some(side));
        let (held, host) = (&self.running.held, self.host());
        let size = match phase {
            Phase::Later => self.size.get(),
            Phase::Head | Phase::Body => held.size(host),
        };
        held.wait(self, side, size, host);
    }

    /// A piece of a body that comes while the chain waits, and the head with it, says that the proxy
    /// shows the bodies of held heads.
    fn shown_meanwhile(&self) {
        let waits = self.stream.borrow().deadline().is_some();
        if waits && self.size.get().is_some() {
            self.running.held.body_arrived();
        }
    }

    /// Bodies are shown in any case where heads do not wait.
    fn shown(&self, side: Side) {
        if self.waits_for.get() == Some(side) {
            self.waits_for.set(None);
            self.running.held.body_arrived();
        }
    }

    fn fail(&self, what: &str, error: HostError) -> types::Action {
        let HostError(status) = error;
        log::error!("the proxy does not {what} (status {status}); the request is refused");
        let mut stream = self.stream.borrow_mut();
        let failed = stream.host_failed(error.failure(), self.host());
        match failed {
            Action::Reply(reply) => send(&reply),
            Action::Pause { .. } | Action::Continue(_) => types::Action::Pause,
        }
    }
}

impl Filter {
    /// None if there is no memory for it.
    pub(super) fn new(id: u32, running: &Rc<Running>) -> Option<Self> {
        // The filter, what of a stream is there from the beginning, and the SDK's notes of it.
        const BYTES: usize = size_of::<Filter>()
            .saturating_add(size_of::<Live>())
            .saturating_add(64);
        let memory = budget::reserve(Share::Streams, BYTES)?;
        let live = Live {
            id,
            stream: RefCell::new(Stream::new(Some(Rc::clone(&running.engine)))),
            running: Rc::clone(running),
            waits_for: Cell::new(None),
            size: Cell::new(None),
            call: Cell::new(None),
        };
        Some(Self {
            live: Rc::new(live),
            told: false,
            response_body: None,
            _memory: memory,
        })
    }

    fn fail(&self, what: &str, error: HostError) -> types::Action {
        self.live.fail(what, error)
    }

    /// A response whose head cannot be read: what goes out in its place, where something must.
    fn never_read(&mut self, error: HostError) -> Option<Reply> {
        let HostError(status) = error;
        log::error!("the proxy does not hand over the head of an answer (status {status})");
        let mut stream = self.live.stream.borrow_mut();
        stream.response_unread(error.failure(), self.live.host())
    }

    /// Answers with the head in hand, which has been shaped, and with that body.
    fn replace_body(&mut self, body: Vec<u8>) -> types::Action {
        self.live.waits_for.set(None);
        self.live.running.held.body_arrived();
        let head = match read(Map::Response, MOST_FIELDS) {
            Ok(head) => head,
            Err(HostError(status)) => {
                log::error!("the proxy does not hand over the head of an answer (status {status})");
                return types::Action::Pause;
            }
        };
        let status = head.text(":status").parse().unwrap_or(500);
        let field = |(name, value): (&[u8], &[u8])| {
            let name = HeaderName::parse(std::str::from_utf8(name).ok()?).ok()?;
            let value = HeaderValue::parse(value).ok()?;
            // Of the length, the proxy speaks itself.
            let framing = [
                "connection",
                "content-length",
                "keep-alive",
                "transfer-encoding",
            ];
            (!framing.contains(&name.as_str())).then_some((name, value))
        };
        send(&Reply {
            status,
            grpc_status: grpc::UNAVAILABLE,
            headers: head.iter().filter_map(field).collect(),
            body,
            details: "portcullis.upstream_error".to_owned(),
        })
    }

    fn tell(&mut self, late: impl Fn() -> Option<Headers>) {
        if !self.told {
            self.told = true;
            let Live { id, running, .. } = &*self.live;
            running.waits.remove(*id);
            self.live.forget(None);
            let mut stream = self.live.stream.borrow_mut();
            stream.tell_end(self.live.host());
            running.worker.finished(&stream, &late);
            stream.end();
        }
    }
}

impl Context for Filter {
    /// Over HTTP/3, Envoy asks only its own access loggers to log, later, and never the filters:
    /// this is the last that is heard of most exchanges.
    fn on_done(&mut self) -> bool {
        self.tell(|| None);
        true
    }

    fn on_http_call_response(&mut self, token: u32, fields: usize, body: usize, _: usize) {
        let (token, response) = (Token(token), Arrived { fields, body });
        if self
            .live
            .running
            .worker
            .received(token, &response)
            .is_some()
        {
            self.live.received(token, &waits::read(&response));
        }
    }
}

impl HttpContext for Filter {
    fn on_http_request_headers(&mut self, fields: usize, end_of_stream: bool) -> types::Action {
        let size = match abi::header_bytes(Map::Request) {
            Ok(bytes) => pairs::memory(bytes, fields),
            Err(error) => return self.fail("tell the size of the request's head", error),
        };
        let mut stream = self.live.stream.borrow_mut();
        let refused = stream.admit(size, self.live.host());
        drop(stream);
        if let Some(refused) = refused {
            return self.live.carry_out(refused, Phase::Head);
        }
        let headers = match abi::header_pairs_of(Map::Request, size) {
            Ok(block) => block,
            Err(error) => return self.fail("hand over the request", error),
        };
        let Some(headers) = pairs::read(headers) else {
            return self.fail("hand over the request in a known form", HostError(0));
        };
        let mut stream = self.live.stream.borrow_mut();
        let action = stream.on_request_headers(headers, state(end_of_stream), self.live.host());
        drop(stream);
        self.live.carry_out(action, Phase::Head)
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> types::Action {
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        self.live.shown(Side::Request);
        self.live.shown_meanwhile();
        let mut stream = self.live.stream.borrow_mut();
        let action = stream.on_request_body(size, state(end_of_stream), self.live.host());
        drop(stream);
        self.live.carry_out(action, Phase::Body)
    }

    fn on_http_request_trailers(&mut self, fields: usize) -> types::Action {
        let trailers = match read(Map::RequestTrailers, fields) {
            Ok(trailers) => trailers,
            Err(error) => return self.fail("hand over the request's trailers", error),
        };
        let mut stream = self.live.stream.borrow_mut();
        let action = stream.on_request_trailers(&trailers, self.live.host());
        drop(stream);
        let (edits, then) = match action {
            Action::Continue(edits) => (edits, types::Action::Continue),
            Action::Pause { edits, .. } => (edits, types::Action::Pause),
            Action::Reply(reply) => return send(&reply),
        };
        match apply(Map::RequestTrailers, &edits) {
            Ok(()) => then,
            Err(error) => self.fail("change the request's trailers", error),
        }
    }

    fn on_http_response_headers(&mut self, fields: usize, end_of_stream: bool) -> types::Action {
        // A reply of ours on its way back: it was shaped before it went.
        if self.live.stream.borrow().has_replied() {
            return types::Action::Continue;
        }
        let headers = if self.live.stream.borrow().reads_response() {
            match read(Map::Response, fields) {
                Ok(headers) => Some(headers),
                Err(error) => match self.never_read(error) {
                    Some(reply) => return send(&reply),
                    None => None,
                },
            }
        } else {
            None
        };
        let rest = state(end_of_stream);
        let mut stream = self.live.stream.borrow_mut();
        let head = stream.on_response_headers(headers.as_ref(), rest, self.live.host());
        drop(stream);
        let applied = match &headers {
            Some(fields) => effective(&head.edits, fields)
                .into_iter()
                .try_for_each(|edit| carry(Map::Response, edit)),
            None => apply(Map::Response, &head.edits),
        };
        if let Err(HostError(status)) = applied {
            log::error!("the proxy does not change the response (status {status})");
        }
        self.response_body = match rest {
            BodyState::Open => head.body,
            BodyState::Complete => None,
        };
        if head.held {
            self.live.wait(Side::Response, Phase::Head);
            types::Action::Pause
        } else {
            types::Action::Continue
        }
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> types::Action {
        let Some(body) = &mut self.response_body else {
            let size = u64::try_from(size).unwrap_or(u64::MAX);
            let state = state(end_of_stream);
            self.live.shown(Side::Response);
            let mut stream = self.live.stream.borrow_mut();
            return answered(&stream.on_response_body(size, state, self.live.host()));
        };
        self.live.shown(Side::Response);
        // The whole of it stands in place of the first piece, and nothing in place of the others.
        if let Err(HostError(status)) = abi::replace_buffer(Buffer::ResponseBody, body) {
            log::error!("the proxy does not replace a response body (status {status})");
            return types::Action::Pause;
        }
        body.clear();
        types::Action::Continue
    }

    fn on_http_response_trailers(&mut self, fields: usize) -> types::Action {
        if self.live.stream.borrow().reads_response_trailers() {
            // Without them nothing is known of how it ended.
            let trailers = read(Map::ResponseTrailers, fields).unwrap_or_default();
            let mut stream = self.live.stream.borrow_mut();
            stream.response_ended(&trailers, self.live.host());
        }
        if self.response_body.is_none() {
            let mut stream = self.live.stream.borrow_mut();
            return answered(&stream.on_response_trailers(self.live.host()));
        }
        // There was none in whose place ours could go out; a head that waits goes out with it.
        if self.live.waits_for.get() == Some(Side::Response)
            && let Some(body) = self.response_body.take()
        {
            return self.replace_body(body);
        }
        // They speak of a body that does not go out.
        let trailers = read(Map::ResponseTrailers, fields).unwrap_or_default();
        for (name, _) in trailers.iter() {
            let name = std::str::from_utf8(name).unwrap_or_default();
            if let Err(HostError(status)) = abi::remove_header(Map::ResponseTrailers, name) {
                log::error!("the proxy does not remove a trailer (status {status})");
            }
        }
        types::Action::Continue
    }

    fn on_log(&mut self) {
        // Without a request callback this context was made for the log alone.
        self.tell(|| read(Map::Request, MOST_FIELDS).ok());
    }
}

/// Reads the fields of a map that is looked at and let go.
fn read(map: Map, fields: usize) -> Result<Headers, HostError> {
    let size = pairs::memory(abi::header_bytes(map)?, fields);
    if size > MOST_HEAD {
        return Err(HostError::NO_MEMORY);
    }
    let block = abi::header_pairs_of(map, size)?;
    pairs::read(block).ok_or(HostError(0))
}

fn state(end_of_stream: bool) -> BodyState {
    if end_of_stream {
        BodyState::Complete
    } else {
        BodyState::Open
    }
}

fn apply(map: Map, edits: &[Edit]) -> Result<(), HostError> {
    edits.iter().try_for_each(|edit| carry(map, edit))
}

fn carry(map: Map, edit: &Edit) -> Result<(), HostError> {
    match edit {
        Edit::Remove(name) => abi::remove_header(map, name.as_str()),
        Edit::Set(name, value) => abi::replace_header(map, name.as_str(), value.as_bytes()),
        Edit::Add(name, value) => abi::add_header(map, name.as_str(), value.as_bytes()),
        Edit::SetPath(value) => abi::replace_header(map, ":path", value.as_bytes()),
        Edit::FilterState(name, value) => abi::set_property(name.as_str(), value.as_bytes()),
        Edit::HitsAddend(hits) => set_hits(*hits),
        Edit::Prepared(edits) => apply(map, edits),
    }
}

/// Tells Envoy's own rate limit filter how much the request costs.
fn set_hits(hits: u32) -> Result<(), HostError> {
    // `SetEnvoyFilterStateArguments`: `path`, of 27 bytes, and `value`, of fewer than 128.
    let mut message = b"\x0a\x1benvoy.ratelimit.hits_addend\x12".to_vec();
    let value = hits.to_string();
    message.extend(u8::try_from(value.len()));
    message.extend_from_slice(value.as_bytes());
    abi::foreign_function("set_envoy_filter_state", &message).map(|_| ())
}

/// The response's head has been edited when its body comes.
fn answered(action: &Action) -> types::Action {
    match action {
        Action::Continue(_) => types::Action::Continue,
        Action::Pause { .. } => types::Action::Pause,
        Action::Reply(reply) => send(reply),
    }
}

/// Whether or not the reply can be sent, the request does not go on.
pub(super) fn send(reply: &Reply) -> types::Action {
    let Reply {
        status,
        grpc_status,
        headers,
        body,
        details,
    } = reply;
    let headers = pairs::write(headers);
    if let Err(HostError(status)) =
        abi::send_local_response(*status, *grpc_status, &headers, body, details)
    {
        log::error!("the proxy does not send the refusal (status {status}); the request is held");
    }
    types::Action::Pause
}
