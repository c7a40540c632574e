//! The callbacks for the parts of a message, and what the answers to them mean.

use super::state::{Half, LocalReply, Stream};
use super::{FakeHost, Trap, TrapKind};

/// How a phase goes on after a callback.
enum Step {
    Continue,
    Pause,
    Reply(LocalReply),
    Reset,
}

/// Why a phase ends before its message does.
pub(super) enum End {
    Reply(LocalReply),
    Reset,
    Trap(Trap),
}

impl From<Trap> for End {
    fn from(trap: Trap) -> End {
        End::Trap(trap)
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Direction {
    Request,
    Response,
}

impl Direction {
    /// The export for a part of the message.
    fn callback(self, part: Part) -> &'static str {
        match (self, part) {
            (Direction::Request, Part::Headers) => "proxy_on_request_headers",
            (Direction::Request, Part::Body) => "proxy_on_request_body",
            (Direction::Request, Part::Trailers) => "proxy_on_request_trailers",
            (Direction::Response, Part::Headers) => "proxy_on_response_headers",
            (Direction::Response, Part::Body) => "proxy_on_response_body",
            (Direction::Response, Part::Trailers) => "proxy_on_response_trailers",
        }
    }
}

#[derive(Clone, Copy)]
enum Part {
    Headers,
    Body,
    Trailers,
}

/// A stream's way through the filter.
pub(super) struct Course<'a> {
    pub(super) host: &'a mut FakeHost,
    pub(super) id: u32,
    pub(super) logged: usize,
    pub(super) grpc: bool,
    pub(super) to_head: bool,
}

impl Course<'_> {
    /// The headers callback. Says whether the head is held back.
    pub(super) fn headers(&mut self, direction: Direction, ends: bool) -> Result<bool, End> {
        let count = self.half(direction, |half| half.headers.len());
        match self.call(direction, Part::Headers, count, Some(ends))? {
            Step::Continue => Ok(false),
            Step::Pause if self.host.headers_stop_iteration && !ends => Ok(true),
            Step::Pause => Err(self.hang(direction, Part::Headers)),
            Step::Reply(reply) => Err(End::Reply(reply)),
            Step::Reset => Err(End::Reset),
        }
    }

    /// The body callback. Says whether the body, which is `piece` after what was held back, is
    /// held back now.
    pub(super) fn body(
        &mut self,
        direction: Direction,
        piece: &[u8],
        last: bool,
        holding: bool,
    ) -> Result<bool, End> {
        let size = self.half(direction, |half| {
            let body = half.body.get_or_insert_default();
            body.extend_from_slice(piece);
            body.len()
        });
        let limit = self.host.buffer_limit;
        let step = self.call(direction, Part::Body, size, Some(last))?;
        if holding && size > limit {
            // The callback for the piece that overflowed comes too late to reply.
            return Err(End::Reply(too_large(direction)));
        }
        match step {
            Step::Continue => Ok(false),
            Step::Pause if size > limit => Err(End::Reply(too_large(direction))),
            Step::Pause if last => Err(self.hang(direction, Part::Body)),
            Step::Pause => Ok(true),
            Step::Reply(reply) => Err(End::Reply(reply)),
            Step::Reset => Err(End::Reset),
        }
    }

    pub(super) fn trailers(&mut self, direction: Direction) -> Result<(), End> {
        let count = self.half(direction, |half| half.trailers.len());
        match self.call(direction, Part::Trailers, count, None)? {
            Step::Continue => Ok(()),
            Step::Pause => Err(self.hang(direction, Part::Trailers)),
            Step::Reply(reply) => Err(End::Reply(reply)),
            Step::Reset => Err(End::Reset),
        }
    }

    /// Calls back for a part of the message, with its size and, unless it is the trailers,
    /// whether it is the last.
    fn call(
        &mut self,
        direction: Direction,
        part: Part,
        size: usize,
        last: Option<bool>,
    ) -> Result<Step, Trap> {
        const PAUSE: u32 = 1;
        let name = direction.callback(part);
        let size = u32::try_from(size).expect("a message fits wasm memory");
        self.host.store.data_mut().effective_context = self.id;
        let action: u32 = match last {
            Some(last) => {
                let params = (self.id, size, u32::from(last));
                self.host.callback(name, params, self.logged)?
            }
            None => self.host.callback(name, (self.id, size), self.logged)?,
        };
        let mut step = self.after(direction, action == PAUSE);
        while matches!((&step, part), (Step::Pause, Part::Headers)) {
            if !self.host.respond(self.logged)? {
                break;
            }
            step = self.after(direction, true);
        }
        Ok(step)
    }

    /// What has become of the message since, that is paused or not.
    fn after(&mut self, direction: Direction, paused: bool) -> Step {
        self.stream(|stream| {
            let resumed = match direction {
                Direction::Request => std::mem::take(&mut stream.resumed_request),
                Direction::Response => std::mem::take(&mut stream.resumed_response),
            };
            match stream.reply.take() {
                _ if stream.reset => Step::Reset,
                Some(reply) => Step::Reply(reply),
                None if paused && !resumed => Step::Pause,
                None => Step::Continue,
            }
        })
    }

    fn hang(&self, direction: Direction, part: Part) -> End {
        let name = direction.callback(part);
        End::Trap(Trap {
            kind: TrapKind::Hang,
            message: format!("{name} paused a stream that nothing resumes"),
            log: self.host.log()[self.logged..].to_vec(),
        })
    }

    fn half<R>(&mut self, direction: Direction, see: impl FnOnce(&mut Half) -> R) -> R {
        self.stream(|stream| match direction {
            Direction::Request => see(&mut stream.request),
            Direction::Response => see(&mut stream.response),
        })
    }

    pub(super) fn stream<R>(&mut self, see: impl FnOnce(&mut Stream) -> R) -> R {
        let stream = self.host.store.data_mut().stream.as_mut();
        see(stream.expect("set for the whole exchange"))
    }
}

fn too_large(direction: Direction) -> LocalReply {
    match direction {
        Direction::Request => {
            LocalReply::of_proxy(413, "request_payload_too_large", "Payload Too Large")
        }
        Direction::Response => {
            LocalReply::of_proxy(500, "response_payload_too_large", "Internal Server Error")
        }
    }
}
