//! What a head leaves to be compared with the body, and what is still to be noted of a message.

use portcullis_exchange::body::{BodyNeed, NoBytes, RequestBody};
use portcullis_exchange::exchange::BodyState;
use portcullis_exchange::principal::Principal;
use portcullis_exchange::refusal::Refusal;
use portcullis_exchange::seed::Hashed;
use portcullis_wire::budget::Reservation;

use super::message::DigestCheck;
use super::refusals::{BODY_TOO_LARGE, MEMORY, UNSIGNED_BODY};
use super::webhook::MacCheck;

/// A signature that the body has still to bear out, or of which it is not noted yet that it has been used.
pub(super) struct UnsettledSignature {
    pub(super) check: BodyCheck,
    pub(super) message: SignedTimes,
    /// The message, when it is known to be one of ours; none once it has been noted.
    pub(super) mark: Option<MessageMark>,
    /// How many bytes of the body have been taken in.
    done: u64,
    _memory: Reservation,
}

/// What the body is compared with.
pub(super) enum BodyCheck {
    /// The tags of the message: only with them it is known who sent it.
    Mac(MacCheck, Box<Result<Principal, Refusal>>),
    /// The digests that a good signature covers.
    Digest(Box<DigestCheck>),
    /// Nothing: a good signature covers no body.
    Empty,
    /// All has been compared.
    Done,
}

/// The times of a message, in seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct SignedTimes {
    /// The second after which it is no longer good, if it says so itself.
    pub(super) until: Option<u64>,
    /// When its head came.
    pub(super) arrived: u64,
}

/// What makes a message this one and no other, hashed; none if that could not be.
#[derive(Clone, Copy, Debug)]
pub(super) struct MessageMark(pub(super) Option<Hashed>);

impl UnsettledSignature {
    /// In memory that has been asked for.
    pub(super) fn new(check: BodyCheck, message: SignedTimes, memory: Reservation) -> Self {
        Self {
            check,
            message,
            mark: None,
            done: 0,
            _memory: memory,
        }
    }

    /// Takes in what has come of the body since it was last asked.
    pub(super) fn advance(&mut self, body: &RequestBody<'_>, most: u64) -> Result<(), Refusal> {
        let size = body.progress.size;
        if let BodyCheck::Empty = self.check {
            return match size {
                0 => Ok(()),
                _ => Err(Refusal::new(&UNSIGNED_BODY)),
            };
        }
        if size > most {
            return Err(Refusal::new(&BODY_TOO_LARGE));
        }
        let (done, check) = (self.done, &mut self.check);
        let shown = body.content.show(done, most, |bytes| check.update(bytes));
        if shown.is_some() {
            self.done = size;
            return Ok(());
        }
        // There may be room for it later.
        if body.progress.state == BodyState::Open {
            return Ok(());
        }
        let whole = body.bytes().map_err(|error| match error {
            NoBytes::TooMany => Refusal::new(&BODY_TOO_LARGE),
            NoBytes::Incomplete | NoBytes::Unavailable => Refusal::new(&MEMORY),
        })?;
        let rest = usize::try_from(done)
            .ok()
            .and_then(|done| whole.get(done..));
        self.check
            .update(rest.ok_or_else(|| Refusal::new(&MEMORY))?);
        self.done = size;
        Ok(())
    }
}

impl BodyCheck {
    fn update(&mut self, bytes: &[u8]) {
        match self {
            BodyCheck::Mac(check, _) => check.update(bytes),
            BodyCheck::Digest(check) => check.update(bytes),
            BodyCheck::Empty | BodyCheck::Done => {}
        }
    }

    /// How it has to be seen.
    pub(super) fn need(&self, most: u64) -> BodyNeed {
        match self {
            BodyCheck::Mac(..) | BodyCheck::Digest(_) => BodyNeed::Bytes { most },
            BodyCheck::Empty | BodyCheck::Done => BodyNeed::Size,
        }
    }
}
