//! The request on its way to the service.

use std::rc::Rc;

use super::abi::{self, HostError, Map};
use super::edits::apply;
use super::filter::{Live, Phase, read, send, state};
use super::pairs;
use portcullis_engine::stream::Action;
use portcullis_exchange::host::Side;

impl Live {
    pub(crate) fn request_headers(self: &Rc<Self>, fields: usize, ends: bool) -> abi::Action {
        let action = self.judge_head(fields, ends);
        self.mind(self.stream.borrow().minds_request_body());
        action
    }

    fn judge_head(self: &Rc<Self>, fields: usize, ends: bool) -> abi::Action {
        let size = match abi::header_bytes(Map::Request) {
            Ok(bytes) => pairs::memory(bytes, fields),
            Err(error) => return self.fail("tell the size of the request's head", error),
        };
        let mut stream = self.stream.borrow_mut();
        let refused = stream.admit(size, self.host());
        drop(stream);
        if let Some(refused) = refused {
            return self.carry_out(refused, Phase::Head);
        }
        let block = match abi::header_pairs_of(Map::Request, size) {
            Ok(block) => block,
            Err(error) => return self.fail("hand over the request", error),
        };
        self.ask(block, ends)
    }

    /// Judges a head that has been read and that no plan knows all of.
    pub(super) fn judge_by_asking(self: &Rc<Self>, block: Vec<u8>, ends: bool) -> abi::Action {
        let action = self.ask(block, ends);
        self.mind(self.stream.borrow().minds_request_body());
        action
    }

    fn ask(self: &Rc<Self>, block: Vec<u8>, ends: bool) -> abi::Action {
        let Some(headers) = pairs::read(block) else {
            return self.fail("hand over the request in a known form", HostError(0));
        };
        let mut stream = self.stream.borrow_mut();
        let action = stream.on_request_headers(headers, state(ends), self.host());
        drop(stream);
        self.carry_out(action, Phase::Head)
    }

    pub(crate) fn request_body(self: &Rc<Self>, size: usize, ends: bool) -> abi::Action {
        let size = u64::try_from(size).unwrap_or(u64::MAX);
        self.shown(Side::Request);
        self.shown_meanwhile();
        let mut stream = self.stream.borrow_mut();
        let action = stream.on_request_body(size, state(ends), self.host());
        drop(stream);
        self.carry_out(action, Phase::Body)
    }

    pub(crate) fn request_trailers(self: &Rc<Self>, fields: usize) -> abi::Action {
        let trailers = match read(Map::RequestTrailers, fields) {
            Ok(trailers) => trailers,
            Err(error) => return self.fail("hand over the request's trailers", error),
        };
        let mut stream = self.stream.borrow_mut();
        let action = stream.on_request_trailers(&trailers, self.host());
        drop(stream);
        let (edits, then) = match action {
            Action::Continue(edits) => (edits, abi::Action::Continue),
            Action::Pause { edits, .. } => (edits, abi::Action::Pause),
            Action::Reply(reply) => return send(&reply),
            Action::Replace(_) => return abi::Action::Pause,
        };
        match apply(Map::RequestTrailers, &edits) {
            Ok(()) => then,
            Err(error) => self.fail("change the request's trailers", error),
        }
    }
}
