//! Credentials that are no tokens of `jwt`, where the module is built without them.

use portcullis_document::{Fields, LeftOut, Node};
use portcullis_exchange::policy::{ChainPart, Context};
use portcullis_exchange::section::Reading;

/// Whether they are there.
pub(super) const HAS_CREDENTIALS: bool = cfg!(feature = "credentials");

/// Reads the block of a policy.
pub(super) type ReadBlock = fn(&mut Fields<'_>, &mut Context<'_>) -> Option<Vec<ChainPart>>;

/// What reads the block of a policy, or says that it is left out.
pub(super) const fn unless_left_out(read: ReadBlock) -> ReadBlock {
    match HAS_CREDENTIALS {
        true => read,
        false => refuse,
    }
}

fn refuse(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    let at = fields.pointer();
    context.problems.report(at, LeftOut::CREDENTIALS);
    None
}

/// Says of a section that it is left out.
pub(super) fn left_out<T>(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<T> {
    node.report(reading.problems, LeftOut::CREDENTIALS);
    None
}
