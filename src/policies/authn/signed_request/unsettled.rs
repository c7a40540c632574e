//! What a head leaves to be compared with the body.

use portcullis_exchange::body::{BodyNeed, NoBytes, RequestBody};
use portcullis_exchange::exchange::BodyState;
use portcullis_exchange::principal::Principal;
use portcullis_exchange::refusal::Refusal;
use portcullis_wire::budget::{Reservation, Share, reserve};

use super::message::DigestCheck;
use super::refusals::{BODY_TOO_LARGE, MEMORY, UNSIGNED_BODY};
use super::webhook::MacCheck;

/// A signature that the body has still to bear out.
pub(super) struct UnsettledSignature {
    pub(super) check: BodyCheck,
    /// How many bytes of the body have been taken in.
    done: u64,
    _memory: Reservation,
}

/// What the body is compared with.
pub(super) enum BodyCheck {
    /// The tags of the message: only with them it is known who sent it.
    Mac(MacCheck, Claim),
    /// The digests that a good signature covers.
    Digest(Box<DigestCheck>),
    /// Nothing: a good signature covers no body.
    Empty,
}

/// Who would have signed, and what else is to be done if they have.
pub(super) struct Claim {
    /// Who, or why they may not even if it was them.
    pub(super) client: Result<Principal, Refusal>,
    /// The second after which the message is no longer good.
    pub(super) until: Option<u64>,
    /// The time in seconds.
    pub(super) now: u64,
}

impl UnsettledSignature {
    /// None if there is no memory for it.
    pub(super) fn new(check: BodyCheck) -> Option<Self> {
        let bytes = size_of::<Self>().saturating_add(check.memory());
        Some(Self {
            check,
            done: 0,
            _memory: reserve(Share::Streams, bytes)?,
        })
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
            BodyCheck::Empty => {}
        }
    }

    /// How it has to be seen.
    pub(super) fn need(&self, most: u64) -> BodyNeed {
        match self {
            BodyCheck::Mac(..) | BodyCheck::Digest(_) => BodyNeed::Bytes { most },
            BodyCheck::Empty => BodyNeed::Size,
        }
    }

    fn memory(&self) -> usize {
        match self {
            BodyCheck::Mac(check, claim) => {
                let client = claim.client.as_ref().map_or(512, Principal::memory);
                check.memory().saturating_add(client)
            }
            BodyCheck::Digest(check) => check.memory(),
            BodyCheck::Empty => 0,
        }
    }
}
