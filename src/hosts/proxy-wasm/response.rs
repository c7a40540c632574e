//! The response on its way back.

use std::rc::Rc;

use super::abi::{self, Buffer, HostError, Map};
use super::edits::{apply, apply_to, pay_for_reading};
use super::filter::{Live, MOST_FIELDS, read, send, state};
use portcullis_engine::stream::Action;
use portcullis_exchange::exchange::BodyState;
use portcullis_exchange::host::{Failure, Side};
use portcullis_exchange::refusal::{Reply, grpc};
use portcullis_wire::headers::{HeaderName, HeaderValue};

impl Live {
    pub(crate) fn response_headers(self: &Rc<Self>, fields: usize, ends: bool) -> abi::Action {
        // A reply of ours on its way back: it was shaped before it went.
        if self.stream.borrow().has_replied() {
            return abi::Action::Continue;
        }
        let action = self.shape_head(fields, ends);
        let minds = self.response_body.borrow().is_some();
        self.mind(minds || self.stream.borrow().minds_response_body());
        action
    }

    fn shape_head(self: &Rc<Self>, fields: usize, ends: bool) -> abi::Action {
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
        let rest = state(ends);
        let mut stream = self.stream.borrow_mut();
        let head = stream.on_response_headers(headers.as_ref(), rest, self.host());
        if !self.running.shows_bodies
            && let Some(reply) = stream.without_body(Side::Response, self.host())
        {
            return send(&reply);
        }
        drop(stream);
        // What is not read here is changed all the same.
        let headers = headers.or_else(|| {
            let pays = pay_for_reading(&head.edits, self.running.records_status);
            pays.then(|| read(Map::Response, fields).ok()).flatten()
        });
        let applied = match &headers {
            Some(fields) => apply_to(fields, Map::Response, &head.edits),
            None => apply(Map::Response, &head.edits),
        };
        // One that waits may yet become another.
        if let Some(fields) = headers.as_ref().filter(|_| !head.held) {
            self.status.set(fields.text(":status").parse().ok());
        }
        if let Err(HostError(status)) = applied {
            log::error!("the proxy does not change the response (status {status})");
            // One whose body may be changed must not say how long it is.
            let mut stream = self.stream.borrow_mut();
            if stream.may_rewrite_response() {
                return send(&stream.response_failed(Failure::HostCall, self.host()));
            }
        }
        *self.response_body.borrow_mut() = match rest {
            BodyState::Open => head.body,
            BodyState::Complete => None,
        };
        if head.held {
            self.wait(Side::Response, 0);
            abi::Action::Pause
        } else {
            abi::Action::Continue
        }
    }

    pub(crate) fn response_body(self: &Rc<Self>, size: usize, ends: bool) -> abi::Action {
        let mut replaced = self.response_body.borrow_mut();
        let Some(body) = &mut *replaced else {
            let size = u64::try_from(size).unwrap_or(u64::MAX);
            let state = state(ends);
            self.shown(Side::Response);
            let mut stream = self.stream.borrow_mut();
            let action = stream.on_response_body(size, state, self.host());
            drop(stream);
            return self.answered(&action);
        };
        self.shown(Side::Response);
        // The whole of it stands in place of the first piece, and nothing in place of the others.
        if let Err(HostError(status)) = abi::replace_buffer(Buffer::ResponseBody, body) {
            log::error!("the proxy does not replace a response body (status {status})");
            return abi::Action::Pause;
        }
        body.clear();
        abi::Action::Continue
    }

    pub(crate) fn response_trailers(self: &Rc<Self>, fields: usize) -> abi::Action {
        if self.stream.borrow().reads_response_trailers() {
            // Without them nothing is known of how it ended.
            let trailers = read(Map::ResponseTrailers, fields).unwrap_or_default();
            let mut stream = self.stream.borrow_mut();
            stream.response_ended(&trailers, self.host());
        }
        if self.response_body.borrow().is_none() {
            let mut stream = self.stream.borrow_mut();
            let action = stream.on_response_trailers(self.host());
            drop(stream);
            if let Action::Replace(rewrite) = &action {
                // Those that are not there need not be removed.
                let removed = apply(Map::ResponseTrailers, &rewrite.trailers);
                if let Err(error) = removed {
                    return self.not_rewritten(error);
                }
            }
            return self.answered(&action);
        }
        // There was none in whose place ours could go out; a head that waits goes out with it.
        if self.waits_for.get() == Some(Side::Response)
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
        abi::Action::Continue
    }

    /// The response's head has been edited when its body comes.
    fn answered(&self, action: &Action) -> abi::Action {
        match action {
            Action::Continue(_) => abi::Action::Continue,
            Action::Pause { .. } => abi::Action::Pause,
            Action::Reply(reply) => {
                self.status.set(None);
                send(reply)
            }
            Action::Replace(rewrite) => {
                let edited = apply(Map::Response, &rewrite.edits);
                let replaced =
                    edited.and_then(|()| abi::replace_buffer(Buffer::ResponseBody, &rewrite.body));
                match replaced {
                    Ok(()) => abi::Action::Continue,
                    Err(error) => self.not_rewritten(error),
                }
            }
        }
    }

    /// A body that was to go out otherwise than it came does not go out.
    #[cold]
    #[inline(never)]
    fn not_rewritten(&self, error: HostError) -> abi::Action {
        let HostError(status) = error;
        log::error!("the proxy does not replace a response body (status {status})");
        self.status.set(None);
        let mut stream = self.stream.borrow_mut();
        send(&stream.response_failed(error.failure(), self.host()))
    }

    /// A response whose head cannot be read: what goes out in its place, where something must.
    fn never_read(&self, error: HostError) -> Option<Reply> {
        let HostError(status) = error;
        log::error!("the proxy does not hand over the head of a response (status {status})");
        let mut stream = self.stream.borrow_mut();
        stream.response_unread(error.failure(), self.host())
    }

    /// Answers with the head in hand, which has been shaped, and with that body.
    fn replace_body(&self, body: Vec<u8>) -> abi::Action {
        self.waits_for.set(None);
        self.running.held.body_arrived();
        let head = match read(Map::Response, MOST_FIELDS) {
            Ok(head) => head,
            Err(HostError(status)) => {
                log::error!(
                    "the proxy does not hand over the head of a response (status {status})"
                );
                return abi::Action::Pause;
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
}
