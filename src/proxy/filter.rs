//! One exchange as the proxy calls it.

use std::cell::RefCell;
use std::rc::Rc;

use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types;

use super::abi::{self, Buffer, HostError, Map};
use super::held::Held;
use super::host::Envoy;
use super::pairs;
use super::plugin::Running;
use crate::budget::{self, Reservation, Share};
use crate::exchange::{BodyState, Edit, effective};
use crate::headers::{HeaderName, HeaderValue, Headers};
use crate::host::Side;
use crate::refusal::{Reply, grpc};
use crate::stream::{Action, MOST_HEAD, Stream};
use crate::worker::Worker;

/// As many fields as a head seldom has: where the proxy does not say how many there are.
const MOST_FIELDS: usize = 1000;

/// Carries callbacks to a [`Stream`] and its answers back.
pub(super) struct Filter {
    id: u32,
    /// Shared with [`Held`], for as long as its head waits.
    stream: Rc<RefCell<Stream>>,
    host: Rc<Envoy>,
    held: Rc<Held>,
    /// The body for which the head in hand waits.
    waits_for: Option<Side>,
    worker: Rc<Worker>,
    /// Whether the exchange has been told of.
    told: bool,
    /// What goes out in place of the answer's body, if something does.
    response_body: Option<Vec<u8>>,
    _memory: Reservation,
}

impl Filter {
    /// None if there is no memory for it.
    pub(super) fn new(id: u32, running: &Running) -> Option<Self> {
        // The filter, what of a stream is there from the beginning, and the SDK's notes of it.
        const BYTES: usize = size_of::<Filter>()
            .saturating_add(size_of::<RefCell<Stream>>())
            .saturating_add(64);
        let memory = budget::reserve(Share::Streams, BYTES)?;
        Some(Self {
            id,
            stream: Rc::new(RefCell::new(Stream::new(Some(Rc::clone(&running.engine))))),
            host: Rc::clone(&running.host),
            held: Rc::clone(&running.held),
            waits_for: None,
            worker: Rc::clone(&running.worker),
            told: false,
            response_body: None,
            _memory: memory,
        })
    }

    fn carry_out(&mut self, action: Action) -> types::Action {
        match action {
            Action::Reply(reply) => send(&reply),
            Action::Continue(edits) => self.change(&edits, types::Action::Continue),
            Action::Hold(edits) => self.change(&edits, types::Action::Pause),
        }
    }

    fn change(&mut self, edits: &[Edit], then: types::Action) -> types::Action {
        match apply(Map::Request, edits) {
            Ok(()) => then,
            // An edit may take a token or a forged identity away: not one to do without.
            Err(error) => self.fail("change the request", error),
        }
    }

    fn wait(&mut self, side: Side) {
        self.waits_for = Some(side);
        let stream = Rc::downgrade(&self.stream);
        self.held.wait(self.id, stream, side, &*self.host);
    }

    /// Bodies are shown in any case where heads do not wait.
    fn shown(&mut self, side: Side) {
        if self.waits_for == Some(side) {
            self.waits_for = None;
            self.held.shown();
        }
    }

    fn fail(&mut self, what: &str, error: HostError) -> types::Action {
        let HostError(status) = error;
        log::error!("the proxy does not {what} (status {status}); the request is refused");
        let failed = self
            .stream
            .borrow_mut()
            .host_failed(error.failure(), &*self.host);
        match failed {
            Action::Reply(reply) => send(&reply),
            Action::Hold(_) | Action::Continue(_) => types::Action::Pause,
        }
    }

    /// An answer whose head cannot be read: what goes out in its place, where something must.
    fn never_read(&mut self, error: HostError) -> Option<Reply> {
        let HostError(status) = error;
        log::error!("the proxy does not hand over the head of an answer (status {status})");
        self.stream
            .borrow_mut()
            .response_unread(error.failure(), &*self.host)
    }

    /// Answers with the head in hand, which has been shaped, and with that body.
    fn answer_with(&mut self, body: Vec<u8>) -> types::Action {
        self.waits_for = None;
        self.held.shown();
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
            self.worker.finished(&self.stream.borrow(), &late);
            self.stream.borrow_mut().end();
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
}

impl HttpContext for Filter {
    fn on_http_request_headers(&mut self, fields: usize, end_of_stream: bool) -> types::Action {
        let size = match abi::header_bytes(Map::Request) {
            Ok(bytes) => pairs::memory(bytes, fields),
            Err(error) => return self.fail("tell the size of the request's head", error),
        };
        let refused = self.stream.borrow_mut().admit(size, &*self.host);
        if let Some(refused) = refused {
            return self.carry_out(refused);
        }
        let headers = match abi::header_pairs_of(Map::Request, size) {
            Ok(block) => block,
            Err(error) => return self.fail("hand over the request", error),
        };
        let Some(headers) = pairs::read(headers) else {
            return self.fail("hand over the request in a known form", HostError(0));
        };
        let action =
            self.stream
                .borrow_mut()
                .request_headers(headers, state(end_of_stream), &*self.host);
        if let Action::Hold(_) = &action {
            self.wait(Side::Request);
        }
        self.carry_out(action)
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> types::Action {
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        self.shown(Side::Request);
        let state = state(end_of_stream);
        let action = self
            .stream
            .borrow_mut()
            .request_body(size, state, &*self.host);
        self.carry_out(action)
    }

    fn on_http_request_trailers(&mut self, fields: usize) -> types::Action {
        let trailers = match read(Map::RequestTrailers, fields) {
            Ok(trailers) => trailers,
            Err(error) => return self.fail("hand over the request's trailers", error),
        };
        let mut stream = self.stream.borrow_mut();
        let action = stream.request_trailers(&trailers, &*self.host);
        drop(stream);
        match action {
            Action::Continue(edits) => match apply(Map::RequestTrailers, &edits) {
                Ok(()) => types::Action::Continue,
                Err(error) => self.fail("change the request's trailers", error),
            },
            action => self.carry_out(action),
        }
    }

    fn on_http_response_headers(&mut self, fields: usize, end_of_stream: bool) -> types::Action {
        // A reply of ours on its way back: it was shaped before it went.
        if self.stream.borrow().has_replied() {
            return types::Action::Continue;
        }
        let headers = if self.stream.borrow().reads_response() {
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
        let head = self
            .stream
            .borrow_mut()
            .response_headers(headers.as_ref(), rest, &*self.host);
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
            self.wait(Side::Response);
            types::Action::Pause
        } else {
            types::Action::Continue
        }
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> types::Action {
        let Some(body) = &mut self.response_body else {
            let size = u64::try_from(size).unwrap_or(u64::MAX);
            let state = state(end_of_stream);
            self.shown(Side::Response);
            let mut stream = self.stream.borrow_mut();
            return answered(&stream.response_body(size, state, &*self.host));
        };
        if self.waits_for == Some(Side::Response) {
            self.waits_for = None;
            self.held.shown();
        }
        // The whole of it stands in place of the first piece, and nothing in place of the others.
        if let Err(HostError(status)) = abi::replace_buffer(Buffer::ResponseBody, body) {
            log::error!("the proxy does not replace a response body (status {status})");
            return types::Action::Pause;
        }
        body.clear();
        types::Action::Continue
    }

    fn on_http_response_trailers(&mut self, fields: usize) -> types::Action {
        if self.stream.borrow().reads_response_trailers() {
            // Without them nothing is known of how it ended.
            let trailers = read(Map::ResponseTrailers, fields).unwrap_or_default();
            let mut stream = self.stream.borrow_mut();
            stream.response_ended(&trailers, &*self.host);
        }
        if self.response_body.is_none() {
            let mut stream = self.stream.borrow_mut();
            return answered(&stream.response_trailers(&*self.host));
        }
        // There was none in whose place ours could go out; a head that waits goes out with it.
        if self.waits_for == Some(Side::Response)
            && let Some(body) = self.response_body.take()
        {
            return self.answer_with(body);
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
        Edit::Export(name, value) => abi::set_property(name.as_str(), value.as_bytes()),
        Edit::Hits(hits) => set_hits(*hits),
        Edit::Shared(edits) => apply(map, edits),
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

/// The answer's head has been edited when its body comes.
fn answered(action: &Action) -> types::Action {
    match action {
        Action::Continue(_) => types::Action::Continue,
        Action::Hold(_) => types::Action::Pause,
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
