//! Lists of networks, of which the first counts that a client is in.

use std::net::IpAddr;
use std::rc::Rc;

use super::KeyError;
use crate::networks::{Membership, NetworkList, NetworkLists};
use portcullis_document::{Node, Problems};
use portcullis_exchange::host::Host;

/// Some of the document's `networks`, in order.
#[derive(Debug)]
pub struct NetworkChoice(Vec<Rc<NetworkList>>);

impl NetworkChoice {
    /// Reads their names.
    pub fn read(node: &Node<'_>, lists: &NetworkLists, problems: &mut Problems) -> Option<Self> {
        let read = node.list(problems, |node, problems| lists.read_name(node, problems));
        read.map(Self)
    }

    /// The name of the first that an address is in; none if it is in none.
    ///
    /// # Errors
    /// [`KeyError::Unknown`] where that cannot be told, since one that comes before is not there.
    pub fn name_of(&self, client: IpAddr, host: &dyn Host) -> Result<Option<&str>, KeyError> {
        let now = host.monotonic();
        for list in &self.0 {
            match list.contains(client, now) {
                Membership::In => return Ok(Some(list.name())),
                Membership::Out => {}
                Membership::Unknown => return Err(KeyError::Unknown),
            }
        }
        Ok(None)
    }
}
