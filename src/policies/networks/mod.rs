//! Lists of networks, by name: which addresses are meant by `office` or `blocked`. They stand in the document
//! or are fetched, and whatever judges by an address asks them.
//!
//! INVARIANT: a list that is not there, or too old, knows nothing: neither that an address is in it nor that it
//! is not. Who asks refuses then, whatever it would do with either.

mod list;
mod section;
#[cfg(test)]
mod tests;

use portcullis_document::{Node, Problems};
use portcullis_wire::address::{Range, RangeError};
use portcullis_wire::budget::Share;
use portcullis_wire::networks::{NetworkSet, NetworkSetBuilder};

pub use self::list::{Membership, NetworkList};
pub use self::section::NetworkLists;

/// The most networks of a list.
const MOST_NETWORKS: usize = 100_000;

/// Reads `["203.0.113.0/24", "2001:db8::1"]`, a list of networks and addresses.
pub(crate) fn read_addresses(node: &Node<'_>, problems: &mut Problems) -> Option<NetworkSet> {
    let mut builder = NetworkSetBuilder::default();
    let read = node.list(problems, |item, problems| {
        let range = read_range(item, problems)?;
        builder.add(&range);
        Some(())
    });
    if builder.added() > MOST_NETWORKS {
        node.report(
            problems,
            format_args!("has more than {MOST_NETWORKS} networks; make two lists"),
        );
        return None;
    }
    problems.account(node.pointer(), Share::Documents, builder.memory());
    read.map(|_| builder.finish())
}

/// Reads a network or an address.
fn read_range(node: &Node<'_>, problems: &mut Problems) -> Option<Range> {
    let written = node.text(problems)?;
    match Range::read(written) {
        Ok(range) => return Some(range),
        Err(RangeError::Syntax) => node.report(
            problems,
            "is no address and no network: write \"192.0.2.1\", \"192.0.2.0/24\" or \"2001:db8::/32\"",
        ),
        Err(RangeError::HostBits(address, range)) => node.report(
            problems,
            format_args!(
                "has bits set behind its prefix: write \"{range}\" for the network, or \"{address}\" for the one address"
            ),
        ),
    }
    None
}
