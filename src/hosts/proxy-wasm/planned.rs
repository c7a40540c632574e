//! An exchange on the plan of its route: its head judged and its answer shaped, without a list of edits in
//! between, and without what an exchange needs that is judged by asking. What a plan does not know makes it one of
//! those.

use std::rc::Rc;

use super::abi::{self, HostError, Map};
use super::contexts;
use super::edits::{Applied, pays_for_reading};
use super::filter::{Live, not_sent};
use super::pairs;
use super::plugin::Running;
use portcullis_engine::stream::{FIXED, MOST_HEAD, PlannedReply, PlannedStream};
use portcullis_wire::budget::{self, Reservation, Share};
use portcullis_wire::pairs::Block;

/// An exchange that was judged by a plan.
pub(super) struct OnPlan {
    pub(super) id: u32,
    pub(super) stream: Box<PlannedStream>,
    pub(super) running: Rc<Running>,
    /// The status of the response, if that was read.
    pub(super) status: Option<u16>,
    /// What an exchange takes that is judged by asking: it may become one.
    pub(super) memory: Reservation,
}

/// What came of trying to judge by a plan.
pub(super) enum Tried {
    /// It is on its plan, and this is done.
    Planned(OnPlan, abi::Action),
    /// It is judged by asking, and this is done.
    Asked(Rc<Live>, abi::Action),
    /// Nothing has been tried.
    Not,
}

impl OnPlan {
    /// Judges the head of a request by the plan of its route, if one knows all of it.
    #[inline]
    pub(super) fn judge(id: u32, running: &Rc<Running>, fields: usize, ends: bool) -> Tried {
        if running.engine.plans.names.is_none() {
            return Tried::Not;
        }
        let Some((block, size)) = head_of_request(fields) else {
            return Tried::Not;
        };
        let head = size.saturating_add(FIXED);
        let own = budget::reserve(Share::Streams, Live::BYTES);
        let (Some(own), Some(head)) = (own, budget::reserve(Share::Streams, head)) else {
            return Tried::Not;
        };
        let mut stream = PlannedStream::begin(&running.engine, head, block);
        let Some(reply) = stream.judge(&*running.host) else {
            return by_asking(id, running, own, stream, ends);
        };
        let on_plan = Self {
            id,
            stream: Box::new(stream),
            running: Rc::clone(running),
            status: None,
            memory: own,
        };
        if let Some(reply) = reply {
            // What comes of its body is held, should the proxy not send the reply.
            contexts::mind(true);
            let action = send_prepared(&reply);
            return Tried::Planned(on_plan, action);
        }
        let mut applied = Applied::blindly(Map::Request);
        on_plan.stream.changes(&mut |change| applied.change(change));
        // One of them may take a token or a forged identity away: not one to do without.
        match applied.result() {
            Ok(()) => Tried::Planned(on_plan, abi::Action::Continue),
            Err(error) => on_plan.fail(error),
        }
    }

    #[cold]
    #[inline(never)]
    fn fail(self, error: HostError) -> Tried {
        let live = self.leave();
        let action = live.fail("change the request", error);
        live.mind(true);
        Tried::Asked(live, action)
    }

    /// Shapes the head of the answer by the plan. False if there is none, and nothing has been done.
    #[inline]
    pub(super) fn shape(&mut self, fields: usize) -> bool {
        // A reply of ours on its way back: it was shaped before it went.
        if self.stream.has_replied() {
            return true;
        }
        let Some(answer) = self.stream.answer() else {
            return false;
        };
        let wants_status = self.running.records_status;
        let reads = answer.reads_fields || pays_for_reading(answer.changes, wants_status);
        let block = if reads { read(fields) } else { None };
        if answer.reads_fields && block.is_none() {
            return false;
        }
        let mut applied = match &block {
            Some(block) => Applied::knowing(Map::Response, block),
            None => Applied::blindly(Map::Response),
        };
        let host = &*self.running.host;
        let is_shaped = self.stream.shape(block.as_ref(), host, &mut |change| {
            applied.change(change);
        });
        if let Err(HostError(status)) = applied.result() {
            not_changed(status);
        }
        let status = block.as_ref().and_then(|block| block.first(":status"));
        self.status = status.and_then(number);
        is_shaped
    }

    /// Tells of its end.
    #[inline]
    pub(super) fn end(self) {
        let Self {
            id: _,
            stream,
            running,
            status,
            memory: _memory,
        } = self;
        if stream.has_replied() {
            contexts::mind(false);
        }
        running.host.know_status(status);
        running.worker.finished_on_plan(stream, &*running.host);
        running.host.know_status(None);
    }

    /// As one that is judged by asking.
    #[cold]
    #[inline(never)]
    pub(super) fn leave(self) -> Rc<Live> {
        let minds = self.stream.has_replied();
        let stream = self.stream.leave();
        Live::of(
            self.id,
            &self.running,
            stream,
            self.memory,
            (minds, self.status),
        )
    }
}

#[cold]
#[inline(never)]
fn by_asking(
    id: u32,
    running: &Rc<Running>,
    own: Reservation,
    stream: PlannedStream,
    ends: bool,
) -> Tried {
    let (block, head) = stream.give_back();
    let live = Live::begin_in(own, id, running);
    live.stream.borrow_mut().admitted(head);
    let action = live.judge_by_asking(block, ends);
    Tried::Asked(live, action)
}

/// Whether or not the reply can be sent, the request does not go on.
fn send_prepared(reply: &PlannedReply) -> abi::Action {
    let PlannedReply {
        status,
        grpc_status,
        head,
        body,
        details,
    } = reply;
    not_sent(abi::send_local_response(
        *status,
        *grpc_status,
        head,
        body,
        details,
    ));
    abi::Action::Pause
}

#[cold]
#[inline(never)]
fn not_changed(status: u32) {
    log::error!("the proxy does not change the response (status {status})");
}

/// The fields of a request and what they take of memory, if that is there.
#[inline]
fn head_of_request(fields: usize) -> Option<(Vec<u8>, usize)> {
    if budget::has(Share::Streams, MOST_HEAD.saturating_add(BESIDE))
        && let Some(read) = within(Map::Request, fields)
    {
        return Some(read);
    }
    head_by_size(fields)
}

/// What an exchange takes beside the fields of its request.
const BESIDE: usize = FIXED.saturating_add(Live::BYTES);

#[cold]
#[inline(never)]
fn head_by_size(fields: usize) -> Option<(Vec<u8>, usize)> {
    let size = pairs::memory(abi::header_bytes(Map::Request).ok()?, fields);
    let is_there = size <= MOST_HEAD && budget::has(Share::Streams, size.saturating_add(BESIDE));
    let block = is_there.then(|| abi::header_pairs_of(Map::Request, size))?;
    Some((block.ok()?, size))
}

/// The fields of an answer; none if the proxy does not hand them over.
#[inline(never)]
fn read(fields: usize) -> Option<Block> {
    match within(Map::Response, fields) {
        Some((block, _)) => Block::of(block),
        None => read_by_size(fields),
    }
}

/// Fields, and what they take of memory, as the proxy hands them over without being asked first how many bytes they
/// have.
#[inline]
fn within(map: Map, fields: usize) -> Option<(Vec<u8>, usize)> {
    let beside = pairs::spans(fields);
    let block = abi::header_pairs_within(map, MOST_HEAD.checked_sub(beside)?)?;
    let size = block.len().saturating_add(beside);
    Some((block, size))
}

#[cold]
#[inline(never)]
fn read_by_size(fields: usize) -> Option<Block> {
    let size = pairs::memory(abi::header_bytes(Map::Response).ok()?, fields);
    let block = (size <= MOST_HEAD).then(|| abi::header_pairs_of(Map::Response, size))?;
    Block::of(block.ok()?)
}

/// A status: three digits, as proxies write it.
fn number(status: &[u8]) -> Option<u16> {
    match status {
        [a @ b'0'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
            let digits = [a, b, c].map(|digit| u16::from(*digit & 0x0f));
            let [hundreds, tens, ones] = digits;
            Some(hundreds * 100 + tens * 10 + ones)
        }
        _ => None,
    }
}
