//! What a stream keeps when its head has been judged: what can still be asked for, in memory that
//! has been reserved.

use super::{Action, Stream};
use crate::engine::{Engine, ShownFields};
use crate::record::ShadowRefusal;
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::host::Host;
use portcullis_exchange::refusal::Refusal;
use portcullis_exchange::refusal::core::{HEAD_TOO_LARGE, KEPT_TOO_LARGE, NO_MEMORY};
use portcullis_wire::budget;
use portcullis_wire::budget::{Reservation, Share};

/// The largest head that is read, with what the proxy needs to hand it over.
pub const MOST_HEAD: usize = 1 << 20;

/// How many bytes of fields that policies read later are kept of one request.
const MOST_WHOLE: usize = 8 << 10;

/// A head is kept as it came if it takes no more than this: most do.
const SMALL: usize = 1 << 10;

/// What the allocator needs beside what a stream keeps. The stream itself has been reserved by who
/// made it.
pub const FIXED: usize = 128;

/// How much of the fields that are shown is kept.
#[derive(Clone, Copy)]
struct Room {
    value: usize,
    all: usize,
}

/// Whether streams take more than half of their memory.
#[inline]
pub(super) fn is_crowded() -> bool {
    budget::used(Share::Streams) > Share::Streams.most() / 2
}

impl Room {
    /// While streams have room, as much as a record shows of one value, and a byte by which it
    /// sees that there was more. Records of refused requests make do with less when a flood of
    /// them fills that room.
    fn of(shown: &ShownFields, is_refused: bool) -> Self {
        if is_refused && is_crowded() {
            Self {
                value: 129,
                all: 512,
            }
        } else {
            Self {
                value: 513,
                all: shown.all(),
            }
        }
    }
}

impl Room {
    /// A path is one value, and the query behind it another, of which names alone may be shown.
    /// Behind a path that is cut there is no query.
    fn of_target(self, target: &[u8]) -> usize {
        match target.iter().position(|b| *b == b'?') {
            Some(path) if path < self.value => {
                let query = self.value.saturating_mul(4);
                path.saturating_add(query)
            }
            _ => self.value,
        }
    }
}

impl Stream {
    /// Asks for the memory of a head of so many bytes before it is read. A refusal, if there is
    /// none.
    pub fn admit(&mut self, bytes: usize, host: &dyn Host) -> Option<Action> {
        let refusal = if bytes > MOST_HEAD {
            Refusal::new(&HEAD_TOO_LARGE)
        } else if let Some(memory) = budget::reserve(Share::Streams, bytes.saturating_add(FIXED)) {
            self.memory = memory;
            return None;
        } else {
            Refusal::new(&NO_MEMORY)
        };
        self.begin(host);
        Some(self.refuse(refusal, None, host))
    }

    /// The same where the memory has been reserved: so much, and [`FIXED`].
    pub fn admitted(&mut self, memory: Reservation) {
        self.memory = memory;
    }

    /// Whether a head has been admitted.
    pub(super) fn is_admitted(&self) -> bool {
        self.memory.bytes() > 0
    }

    /// Keeps what can be asked for when the request goes on; why it may not, if there is too much
    /// of that.
    pub(super) fn keep(&mut self, engine: &Engine, host: &dyn Host) -> Result<(), Refusal> {
        let whole = self.headers.memory() <= SMALL || self.keep_fields(engine, false);
        if !whole {
            let refusal = Refusal::new(&KEPT_TOO_LARGE);
            match self.mode_of_document(engine) {
                Mode::Enforce => return Err(refusal),
                Mode::Shadow => self.note(ShadowRefusal::new(refusal, None), host),
            }
        }
        if self.reserve_kept() {
            return Ok(());
        }
        // What is only tried makes room.
        self.stop_trying();
        if self.reserve_kept() {
            Ok(())
        } else {
            Err(Refusal::new(&NO_MEMORY))
        }
    }

    /// Lets everything go that no step asks for when the request has been refused or answered.
    pub(super) fn let_go(&mut self) {
        if let Some(step) = self.paused_step() {
            self.stands_at(step);
        }
        self.paused = None;
        self.awaiting = Vec::new();
        self.beside.forget();
        self.body.take_kept();
        if is_crowded() {
            self.decision.forget_claimed();
        }
        match self.engine.clone() {
            Some(engine) => _ = self.keep_fields(&engine, true),
            None => self.headers.keep(|_, _| None),
        }
        if !self.reserve_kept() {
            // The verdict stands, and less can be said of it.
            self.headers.keep(|_, _| None);
            self.decision.forget();
            self.facts.forget();
            self.memory.shrink_to(FIXED);
        }
    }

    /// Lets go of what was kept for the record: it has been written.
    pub fn end(&mut self) {
        self.paused = None;
        self.planned = None;
        self.headers.keep(|_, _| None);
        self.facts = Default::default();
        self.beside.forget();
        self.decision.forget();
        self.body.take_kept();
        self.response.end();
        self.memory = Reservation::none(Share::Streams);
    }

    /// Drops fields that no step asks for. Whether all fields that policies ask for are there.
    fn keep_fields(&mut self, engine: &Engine, is_refused: bool) -> bool {
        let shown = &engine.shown_fields;
        let chain = self.chain(engine);
        let (later, tried) = (&chain.later_request_fields, &chain.tried_request_fields);
        let room = Room::of(shown, is_refused);
        let mut all = room.all;
        let (mut whole, mut whole_of_tried) = (MOST_WHOLE, MOST_WHOLE);
        let (mut complete, mut trial_is_complete) = (true, true);
        let mut headers = std::mem::take(&mut self.headers);
        headers.keep(|name, value| {
            let spend = |left: &mut usize, most: usize| {
                let most = value.len().min(most);
                *left = left.checked_sub(name.len().saturating_add(most))?;
                Some(most)
            };
            // Of a request that has been refused nothing is judged later.
            if !is_refused && later.iter().any(|each| each.as_bytes() == name) {
                let kept = spend(&mut whole, usize::MAX);
                complete &= kept.is_some();
                return kept;
            }
            if !is_refused && tried.iter().any(|each| each.as_bytes() == name) {
                let kept = spend(&mut whole_of_tried, usize::MAX);
                trial_is_complete &= kept.is_some();
                if kept.is_some() {
                    return kept;
                }
            }
            let value_room = match name {
                b":path" => room.of_target(value),
                _ => room.value,
            };
            spend(&mut all, shown.most(name)?.min(value_room))
        });
        self.headers = headers;
        if !trial_is_complete {
            self.stop_trying();
        }
        complete
    }

    /// Reserves what is kept, and no more. Whether there is as much.
    pub(super) fn reserve_kept(&mut self) -> bool {
        let parts = [
            FIXED,
            self.headers.memory(),
            self.facts.memory(),
            self.beside.memory(),
            self.decision.memory(),
        ];
        let bytes = parts.into_iter().fold(0, usize::saturating_add);
        let more = bytes.saturating_sub(self.memory.bytes());
        let settled = more == 0 || self.memory.grow(more);
        self.memory.shrink_to(bytes);
        settled
    }
}
