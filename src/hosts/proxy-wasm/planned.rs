//! An exchange on the plan of its route: its head judged and its answer shaped, without a list of edits in
//! between.

use super::abi::{self, HostError, Map};
use super::edits::{Applied, pays_for_reading};
use super::filter::{Live, send};
use super::pairs;
use portcullis_engine::stream::MOST_HEAD;
use portcullis_wire::pairs::Block;

impl Live {
    /// Judges the head of a request by the plan of its route.
    ///
    /// # Errors
    /// Its fields, if no plan knows all of it.
    pub(super) fn judge_by_plan(&self, block: Vec<u8>) -> Result<abi::Action, Vec<u8>> {
        let mut stream = self.stream.borrow_mut();
        if let Some(reply) = stream.request_by_plan(block, self.host())? {
            drop(stream);
            return Ok(send(&reply));
        }
        let mut applied = Applied::blindly(Map::Request);
        stream.planned_changes(&mut |change| applied.change(change));
        drop(stream);
        // One of them may take a token or a forged identity away: not one to do without.
        Ok(match applied.result() {
            Ok(()) => abi::Action::Continue,
            Err(error) => self.fail("change the request", error),
        })
    }

    /// Shapes the head of the answer by the plan. False if there is none, and nothing has been done.
    pub(super) fn shape_by_plan(&self, fields: usize) -> bool {
        let Some(answer) = self.stream.borrow().planned_answer() else {
            return false;
        };
        let wants_status = self.running.records_status;
        let block = match answer.reads_fields || pays_for_reading(answer.changes, wants_status) {
            true => read(fields),
            false => None,
        };
        if answer.reads_fields && block.is_none() {
            return false;
        }
        let mut applied = match &block {
            Some(block) => Applied::knowing(Map::Response, block),
            None => Applied::blindly(Map::Response),
        };
        let mut stream = self.stream.borrow_mut();
        let is_shaped = stream.response_by_plan(block.as_ref(), self.host(), &mut |change| {
            applied.change(change);
        });
        if let Err(HostError(status)) = applied.result() {
            log::error!("the proxy does not change the response (status {status})");
        }
        let status = block.as_ref().and_then(|block| block.first(":status"));
        let status = status.and_then(|status| std::str::from_utf8(status).ok());
        self.status
            .set(status.and_then(|status| status.parse().ok()));
        is_shaped
    }
}

/// The fields of an answer; none if the proxy does not hand them over.
fn read(fields: usize) -> Option<Block> {
    let size = pairs::memory(abi::header_bytes(Map::Response).ok()?, fields);
    let block = (size <= MOST_HEAD).then(|| abi::header_pairs_of(Map::Response, size))?;
    Block::of(block.ok()?)
}
