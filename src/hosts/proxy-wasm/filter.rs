//! One exchange as the proxy calls it: callbacks carried to a [`Stream`], and its answers back.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::abi::{self, HostError, Map};
use super::contexts;
use super::edits::apply;
use super::host::Envoy;
use super::pairs;
use super::plugin::Running;
use portcullis_engine::stream::{Action, MOST_HEAD, PauseReason, Stream};
use portcullis_engine::worker::WholeResponse;
use portcullis_exchange::body::Inspection;
use portcullis_exchange::call::{CallError, Token};
use portcullis_exchange::exchange::BodyState;
use portcullis_exchange::host::{Clock as _, Failure, Metrics as _, Side};
use portcullis_exchange::refusal::Reply;
use portcullis_exchange::wait::Wait;
use portcullis_wire::budget;
use portcullis_wire::budget::{Reservation, Share};
use portcullis_wire::headers::Headers;

/// As many fields as a head seldom has: where the proxy does not say how many there are.
pub(super) const MOST_FIELDS: usize = 1000;

/// One exchange. Those share it who look after a request between its callbacks: while its head waits for
/// the body, or it waits in the midst of its chain.
pub(super) struct Live {
    pub(super) id: u32,
    pub(super) stream: RefCell<Stream>,
    pub(super) running: Rc<Running>,
    /// The body for which the head in hand waits.
    pub(super) waits_for: Cell<Option<Side>>,
    /// What had come with the head of a request that waits in its chain.
    pub(super) size: Cell<Option<u64>>,
    /// The last call that was made for it.
    pub(super) call: Cell<Option<Token>>,
    /// Whether it has ever waited in its chain.
    waited: Cell<bool>,
    /// Whether it has something to do when a piece of a body comes.
    pub(super) minds: Cell<bool>,
    /// The status of the response, if that was read and went on.
    pub(super) status: Cell<Option<u16>>,
    /// What goes out in place of the response's body, if something does.
    pub(super) response_body: RefCell<Option<Vec<u8>>>,
    _memory: Reservation,
}

/// Where an action is carried out.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// In the callback for the request's head.
    Head,
    /// In one for its body or trailers.
    Body,
    /// In one that is not the request's: its head has been kept, and has to be let go on.
    Later,
}

/// While no exchange minds bodies, their callbacks return at once: one that is gone minds none.
impl Drop for Live {
    fn drop(&mut self) {
        if self.minds.get() {
            contexts::mind(false);
        }
    }
}

impl Live {
    /// What of a stream is there from the beginning, and its place among the contexts.
    pub(super) const BYTES: usize = size_of::<Live>().saturating_add(64);

    /// None if there is no memory for it.
    pub(super) fn begin(id: u32, running: &Rc<Running>) -> Option<Rc<Self>> {
        let memory = budget::reserve(Share::Streams, Self::BYTES)?;
        Some(Self::begin_in(memory, id, running))
    }

    /// The same in memory that has been reserved.
    pub(super) fn begin_in(memory: Reservation, id: u32, running: &Rc<Running>) -> Rc<Self> {
        let stream = Stream::new(Some(Rc::clone(&running.engine)));
        Self::of(id, running, stream, memory, (false, None))
    }

    /// One that has come so far; with whether it has something to do when a piece of a body comes, and the status
    /// of the response, if that was read.
    pub(super) fn of(
        id: u32,
        running: &Rc<Running>,
        stream: Stream,
        memory: Reservation,
        (minds, status): (bool, Option<u16>),
    ) -> Rc<Self> {
        Rc::new(Self {
            id,
            stream: RefCell::new(stream),
            running: Rc::clone(running),
            waits_for: Cell::new(None),
            size: Cell::new(None),
            call: Cell::new(None),
            waited: Cell::new(false),
            minds: Cell::new(minds),
            status: Cell::new(status),
            response_body: RefCell::new(None),
            _memory: memory,
        })
    }

    /// The proxy logs it. If it knows nothing of the request, that never came here.
    pub(super) fn log(self: &Rc<Self>) {
        self.tell(|| read(Map::Request, MOST_FIELDS).ok());
    }

    /// Over HTTP/3, Envoy asks only its own access loggers to log, later, and never the filters:
    /// this is the last that is heard of most exchanges.
    pub(super) fn done(self: &Rc<Self>) {
        self.tell(|| None);
    }

    /// Tells of its end, once: it is among the contexts no more.
    fn tell(self: &Rc<Self>, late: impl Fn() -> Option<Headers>) {
        let Live { id, running, .. } = &**self;
        if self.waited.get() {
            running.waits.remove(*id);
        }
        self.forget(None);
        let mut stream = self.stream.borrow_mut();
        stream.tell_end(self.host());
        running.host.know_status(self.status.get());
        running.worker.finished(&stream, &late);
        running.host.know_status(None);
        // Most are gone with this one.
        if Rc::strong_count(self) > 1 {
            stream.end();
        }
    }

    /// Notes whether it has something to do when a piece of a body comes. Once it has, it is asked until
    /// its end.
    pub(super) fn mind(&self, minds: bool) {
        if minds && !self.minds.replace(true) {
            contexts::mind(true);
        }
    }

    pub(super) fn host(&self) -> &Envoy {
        &self.running.host
    }

    pub(super) fn carry_out(self: &Rc<Self>, mut action: Action, phase: Phase) -> abi::Action {
        loop {
            if !self.running.shows_bodies
                && let Some(reply) = self
                    .stream
                    .borrow_mut()
                    .without_body(Side::Request, self.host())
            {
                return send(&reply);
            }
            let (edits, then, head_waits) = match action {
                Action::Reply(reply) => return send(&reply),
                // No request's body is replaced.
                Action::Replace(_) => return abi::Action::Pause,
                Action::Pause {
                    reason: PauseReason::Wait(wait),
                    ..
                } => match self.pause(&wait, phase) {
                    Some(next) => {
                        action = next;
                        continue;
                    }
                    None => return abi::Action::Pause,
                },
                Action::Pause { edits, .. } => (edits, abi::Action::Pause, phase != Phase::Body),
                Action::Continue(edits) => (edits, abi::Action::Continue, false),
            };
            let body = match (head_waits, phase) {
                (true, Phase::Later) => self.came_behind_head(),
                _ => 0,
            };
            // An edit may take a token or a forged identity away: not one to do without.
            if let Err(error) = apply(Map::Request, &edits) {
                return self.fail("change the request", error);
            }
            if head_waits {
                self.wait(Side::Request, body);
            }
            if (phase, then) == (Phase::Later, abi::Action::Continue)
                && let Err(error) = abi::resume_request()
            {
                return self.fail("let the request go on", error);
            }
            return then;
        }
    }

    /// Begins a wait in the midst of the chain; what is to be done, if it is over at once.
    pub(super) fn pause(self: &Rc<Self>, wait: &Wait, phase: Phase) -> Option<Action> {
        let host = self.host();
        let mut stream = self.stream.borrow_mut();
        if !host.has_ticks() {
            log::error!("the proxy gives no ticks; a request that would have to wait is refused");
            return Some(stream.host_failed(Failure::HostCall, host));
        }
        if phase == Phase::Head && self.running.engine.inspection() == Inspection::HoldHeaders {
            self.size.set(self.running.held.size(host));
        }
        let worker = &self.running.worker;
        let called = match wait {
            Wait::Response(call) => Some(worker.call_for(self.id, call)),
            Wait::Shared(call) => Some(worker.share_call(self.id, call)),
            Wait::Until(_) | Wait::Turn(_) => None,
        };
        match called {
            Some(Ok(token)) => {
                stream.called(token);
                self.forget(Some(token));
            }
            Some(Err(error)) => return stream.not_called(error, host),
            None => {}
        }
        if let Some(deadline) = stream.deadline() {
            let now = host.monotonic();
            self.waited.set(true);
            self.running.waits.add(self.id, self, deadline, now);
        }
        None
    }

    /// Of calls before this one, nothing more is to be heard. With the context, the proxy forgets its
    /// calls without a word.
    pub(super) fn forget(&self, next: Option<Token>) {
        if let Some(before) = self.call.replace(next) {
            self.forget_call(before);
        }
    }

    #[cold]
    #[inline(never)]
    fn forget_call(&self, before: Token) {
        if self.running.worker.forget(self.id, before) {
            // Others wait for that response. A call that is made now would be lost with this context.
            self.running.waits.tick_soon(self.host().monotonic());
        }
    }

    /// Time has passed. What follows concerns this context.
    pub(super) fn passed(self: &Rc<Self>, now: Duration) {
        // Nobody else runs while the root ticks.
        let Ok(mut stream) = self.stream.try_borrow_mut() else {
            return;
        };
        if let Some(ticket) = self.call.get() {
            stream.call_runs_since(self.running.worker.call_since(ticket));
        }
        let action = stream.passed(now, self.host());
        drop(stream);
        if let Some(action) = action {
            self.forget(None);
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
            self.call.set(None);
            self.carry_out(action, Phase::Later);
        }
    }

    /// How much of the body has come while a head has waited in its chain. The head has not been changed yet.
    fn came_behind_head(&self) -> u64 {
        let (with_head, now) = (self.size.get(), self.running.held.size(self.host()));
        let both = now.zip(with_head);
        both.map_or(0, |(now, with_head)| now.saturating_sub(with_head))
    }

    /// The head waits for its body, of which so much has come. The proxy counts the head as it is, and by now it
    /// has been changed: what was taken out of it before would hide as many bytes of the body.
    pub(super) fn wait(self: &Rc<Self>, side: Side, body: u64) {
        self.waits_for.set(Some(side));
        let (held, host) = (&self.running.held, self.host());
        let size = held.size(host).map(|size| size.saturating_sub(body));
        held.wait(self, side, size, host);
    }

    /// A piece of a body that comes while the chain waits, and the head with it, says that the proxy
    /// shows the bodies of held heads.
    pub(super) fn shown_meanwhile(&self) {
        let waits = self.stream.borrow().deadline().is_some();
        if waits && self.size.get().is_some() {
            self.running.held.body_arrived();
        }
    }

    /// Bodies are shown in any case where heads do not wait.
    pub(super) fn shown(&self, side: Side) {
        if self.waits_for.get() == Some(side) {
            self.waits_for.set(None);
            self.running.held.body_arrived();
        }
    }

    #[cold]
    #[inline(never)]
    pub(super) fn fail(&self, what: &str, error: HostError) -> abi::Action {
        let HostError(status) = error;
        log::error!("the proxy does not {what} (status {status}); the request is refused");
        let mut stream = self.stream.borrow_mut();
        let failed = stream.host_failed(error.failure(), self.host());
        match failed {
            Action::Reply(reply) => send(&reply),
            Action::Pause { .. } | Action::Continue(_) | Action::Replace(_) => abi::Action::Pause,
        }
    }
}

/// Reads the fields of a map that is looked at and let go.
pub(super) fn read(map: Map, fields: usize) -> Result<Headers, HostError> {
    let size = pairs::memory(abi::header_bytes(map)?, fields);
    if size > MOST_HEAD {
        return Err(HostError::NO_MEMORY);
    }
    let block = abi::header_pairs_of(map, size)?;
    pairs::read(block).ok_or(HostError(0))
}

pub(super) fn state(end_of_stream: bool) -> BodyState {
    if end_of_stream {
        BodyState::Complete
    } else {
        BodyState::Open
    }
}

/// Whether or not the reply can be sent, the request does not go on.
pub(super) fn send(reply: &Reply) -> abi::Action {
    let Reply {
        status,
        grpc_status,
        headers,
        body,
        details,
    } = reply;
    let headers = headers.iter();
    let headers =
        pairs::write(headers.map(|(name, value)| (name.as_str().as_bytes(), value.as_bytes())));
    not_sent(abi::send_local_response(
        *status,
        *grpc_status,
        &headers,
        body,
        details,
    ));
    abi::Action::Pause
}

/// Says so, if a refusal has not been sent.
#[inline]
pub(super) fn not_sent(sent: Result<(), HostError>) {
    if let Err(HostError(status)) = sent {
        say_not_sent(status);
    }
}

#[cold]
#[inline(never)]
fn say_not_sent(status: u32) {
    log::error!("the proxy does not send the refusal (status {status}); the request is held");
}
