//! What is at hand of bodies.

use portcullis_exchange::host::{Failure, Side};

/// One body of each side. None is there before the first piece has come.
#[derive(Debug, Default)]
pub(super) struct BodyBuffers {
    request: Option<Vec<u8>>,
    response: Option<Vec<u8>>,
}

impl BodyBuffers {
    fn of(&mut self, side: Side) -> &mut Option<Vec<u8>> {
        match side {
            Side::Request => &mut self.request,
            Side::Response => &mut self.response,
        }
    }

    pub(super) fn set(&mut self, side: Side, bytes: &[u8]) {
        *self.of(side) = Some(bytes.to_vec());
    }

    pub(super) fn receive(&mut self, side: Side, piece: &[u8], held: bool) -> u64 {
        let at_hand = self.of(side).get_or_insert_default();
        if !held {
            at_hand.clear();
        }
        at_hand.extend_from_slice(piece);
        u64::try_from(at_hand.len()).unwrap_or(u64::MAX)
    }

    /// `size` bytes of it, or what there are.
    pub(super) fn read(&self, side: Side, start: usize, size: usize) -> Result<Vec<u8>, Failure> {
        let body = match side {
            Side::Request => &self.request,
            Side::Response => &self.response,
        };
        let body = body.as_deref().ok_or(Failure::HostCall)?;
        let rest = body.get(start..).unwrap_or_default();
        Ok(rest.get(..size).unwrap_or(rest).to_vec())
    }
}
