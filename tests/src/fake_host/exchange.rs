//! The course of one exchange: request through the filter, upstream, response through the filter.

use std::collections::BTreeMap;

use super::course::{Course, Direction, End};
use super::headers::HeaderMap;
use super::incoming::Incoming;
use super::state::{LocalReply, Stream};
use super::{Calls, FakeHost, LogLine, Trap, TrapKind, http};
use crate::wire::{Request, Response};

/// What came of one request.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// What the client received.
    pub response: Response,
    /// Envoy's `%RESPONSE_CODE_DETAILS%`: `via_upstream`, or the details of the local reply.
    pub response_details: String,
    /// The `grpc-status` the client received, in a header or a trailer.
    pub grpc_status: Option<u32>,
    /// The whole request as it was forwarded. `None`: the upstream got none, or only a part.
    pub upstream_saw: Option<Request>,
    /// The head went ahead but the request never became whole.
    pub upstream_saw_headers_only: bool,
    /// The part that went ahead, when it did.
    pub upstream_saw_part: Option<Request>,
    /// The stream was reset: the client received less than a response.
    pub reset: bool,
    /// Filter state the module set, by its whole name (`wasm.` and the path).
    pub filter_state: BTreeMap<String, Vec<u8>>,
    /// The lines of this exchange.
    pub log: Vec<LogLine>,
    /// The host calls of this exchange.
    pub calls: Calls,
}

/// What left the filter so far, on either side.
#[derive(Default)]
struct Sent<Message> {
    message: Option<Message>,
    whole: bool,
}

impl FakeHost {
    /// One whole exchange: the request through the filter, `upstream` as the answer of the
    /// upstream if it gets there, the response through the filter, the access log.
    pub fn exchange(&mut self, request: &Request, upstream: &Response) -> Result<Exchange, Trap> {
        self.shown = None;
        self.check_alive()?;
        let id = self.new_context();
        let logged = self.log().len();
        let vm = self.store.data_mut();
        vm.calls = Calls::default();
        vm.effective_context = id;
        let now = vm.server().now_nanos;
        vm.stream = Some(Stream::new(id, request.version, now));
        let head = http::request_head(request, &vm.next_request_id());
        let course = Course {
            id,
            logged,
            grpc: http::is_grpc(&head),
            to_head: request.method == b"HEAD",
            host: self,
        };
        let ended = course.run(head, request, upstream);
        self.store.data_mut().stream = None;
        let vm = self.store.data_mut();
        vm.effective_context = vm.root;
        ended
    }
}

impl Course<'_> {
    fn run(
        mut self,
        head: HeaderMap,
        request: &Request,
        upstream: &Response,
    ) -> Result<Exchange, Trap> {
        let params = (self.id, self.host.store.data().root);
        let logged = self.logged;
        self.host
            .callback::<_, ()>("proxy_on_context_create", params, logged)?;
        let mut forwarded = Sent::default();
        let mut answered = Sent::default();
        let mut details = "via_upstream".to_owned();
        let incoming = Incoming::request(head, request);
        let mut ended = match self.request(incoming, &mut forwarded) {
            Ok(()) => self.response(Incoming::upstream(upstream, self.to_head), &mut answered),
            Err(End::Reply(reply)) => {
                details.clone_from(&reply.details);
                let (head, body) = http::local_reply(&reply, self.grpc, self.to_head);
                self.response(Incoming::reply(head, &body), &mut answered)
            }
            Err(end) => Err(end),
        };
        if let Err(End::Reply(reply)) = &ended {
            details.clone_from(&reply.details);
            ended = self.answer_directly(reply, &mut answered);
        }
        self.host.shown.clone_from(&answered.message);
        let reset = matches!(ended, Err(End::Reset));
        // A stream that hangs ends when its client gives up, so that its context goes too.
        let hang = match ended {
            Err(End::Trap(trap)) if trap.kind == TrapKind::Hang => Some(trap),
            Err(End::Trap(trap)) => return Err(trap),
            _ => None,
        };
        let response = answered.message.unwrap_or_default();
        let grpc_status = (response.trailers.iter().chain(&response.headers))
            .find(|(name, _)| name == "grpc-status")
            .and_then(|(_, value)| std::str::from_utf8(value).ok()?.parse().ok());
        self.stream(|stream| {
            stream.request.close();
            stream.response.close();
            stream.logging = true;
            stream.code = Some(response.status);
            stream.details.clone_from(&details);
            stream.grpc_status = grpc_status;
        });
        self.finish()?;
        if let Some(trap) = hang {
            return Err(trap);
        }
        let filter_state = self.stream(|stream| std::mem::take(&mut stream.filter_state));
        Ok(Exchange {
            response,
            response_details: details,
            grpc_status,
            upstream_saw_headers_only: forwarded.message.is_some() && !forwarded.whole,
            upstream_saw_part: (!forwarded.whole)
                .then(|| forwarded.message.clone())
                .flatten(),
            upstream_saw: forwarded.whole.then_some(forwarded.message).flatten(),
            reset,
            filter_state: (filter_state.into_iter())
                .map(|(key, value)| (String::from_utf8_lossy(&key).into_owned(), value))
                .collect(),
            log: self.host.log()[self.logged..].to_vec(),
            calls: self.host.calls().clone(),
        })
    }

    /// The access log, then the end of the context.
    fn finish(&mut self) -> Result<(), Trap> {
        let (id, logged) = (self.id, self.logged);
        self.host.store.data_mut().effective_context = id;
        self.host.callback::<_, ()>("proxy_on_log", id, logged)?;
        self.stream(|stream| stream.logging = false);
        self.host.callback::<_, u32>("proxy_on_done", id, logged)?;
        self.host.callback("proxy_on_delete", id, logged)
    }

    /// The request through the filter. `Ok` once the upstream has all of it.
    fn request(&mut self, incoming: Incoming<'_>, sent: &mut Sent<Request>) -> Result<(), End> {
        let ends = incoming.ends_with_head();
        self.stream(|stream| stream.request.open_headers(incoming.head));
        let held = self.headers(Direction::Request, ends)?;
        if !held {
            self.forward_head(sent)?;
            self.stream(|stream| stream.request.headers_open = false);
        }
        if ends {
            self.pass(sent);
            return Ok(());
        }
        let mut holding = false;
        for (piece, last) in incoming.pieces {
            self.stream(|stream| stream.received += piece.len() as u64);
            holding = self.body(Direction::Request, piece, last, holding)?;
            if !holding {
                self.forward_head(sent)?;
                self.forward_body(sent);
            }
        }
        if incoming.trailers.len() > 0 {
            self.stream(|stream| stream.request.open_trailers(incoming.trailers));
            self.trailers(Direction::Request)?;
            self.forward_head(sent)?;
            self.forward_body(sent);
            let trailers = self.stream(|stream| stream.request.trailers.fields().to_vec());
            sent.message.get_or_insert_default().trailers = trailers;
        }
        // An empty body that did not end with the head is one for the upstream too.
        (sent.message.get_or_insert_default().body).get_or_insert_default();
        self.pass(sent);
        Ok(())
    }

    /// The upstream has all of the request.
    fn pass(&mut self, sent: &mut Sent<Request>) {
        sent.whole = true;
        self.host.passed += 1;
    }

    /// Sends the head upstream unless it has gone.
    fn forward_head(&mut self, sent: &mut Sent<Request>) -> Result<(), End> {
        if sent.message.is_none() {
            let head = self.stream(|s| http::forwarded(&s.request.headers, s.version));
            sent.message = Some(head.map_err(End::Reply)?);
        }
        Ok(())
    }

    /// Sends what there is of the body upstream.
    fn forward_body(&mut self, sent: &mut Sent<Request>) {
        let piece = self.stream(|stream| stream.request.body.take());
        if let (Some(piece), Some(message)) = (piece, &mut sent.message)
            && !piece.is_empty()
        {
            message.body.get_or_insert_default().push(piece);
        }
    }

    /// A response through the filter to the client.
    fn response(&mut self, incoming: Incoming<'_>, sent: &mut Sent<Response>) -> Result<(), End> {
        let ends = incoming.ends_with_head();
        self.stream(|stream| stream.response.open_headers(incoming.head));
        let held = self.headers(Direction::Response, ends)?;
        if !held {
            self.answer_head(sent);
            self.stream(|stream| stream.response.headers_open = false);
        }
        let mut holding = false;
        for (piece, last) in incoming.pieces {
            let step = self.body(Direction::Response, piece, last, holding);
            holding = step.map_err(|end| unanswerable(end, sent))?;
            if !holding {
                self.answer_head(sent);
                self.answer_body(sent);
            }
        }
        if incoming.trailers.len() > 0 {
            self.stream(|stream| stream.response.open_trailers(incoming.trailers));
            let step = self.trailers(Direction::Response);
            step.map_err(|end| unanswerable(end, sent))?;
            self.answer_head(sent);
            self.answer_body(sent);
            let trailers = self.stream(|stream| http::fields(&stream.response.trailers));
            sent.message.get_or_insert_default().trailers = trailers;
        }
        Ok(())
    }

    fn answer_head(&mut self, sent: &mut Sent<Response>) {
        if sent.message.is_none() {
            let now = self.host.server().now_nanos;
            let head = self.stream(|s| http::client_response(&s.response.headers, now));
            sent.message = Some(head);
        }
    }

    fn answer_body(&mut self, sent: &mut Sent<Response>) {
        let piece = self.stream(|stream| stream.response.body.take());
        if let (Some(piece), Some(message)) = (piece, &mut sent.message) {
            message.body.extend(piece);
        }
    }

    /// A local reply from the response phase: no filter sees it.
    fn answer_directly(
        &mut self,
        reply: &LocalReply,
        sent: &mut Sent<Response>,
    ) -> Result<(), End> {
        let (head, body) = http::local_reply(reply, self.grpc, self.to_head);
        self.stream(|stream| stream.response.headers = head);
        self.answer_head(sent);
        if let Some(message) = &mut sent.message {
            message.body = body;
        }
        Ok(())
    }
}

/// Once the client has the head of a response no other reply can reach it.
fn unanswerable(end: End, sent: &Sent<Response>) -> End {
    match end {
        End::Reply(_) if sent.message.is_some() => End::Reset,
        end => end,
    }
}
