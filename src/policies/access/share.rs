//! For which callers a rule is in force that is tried out on some of them.

use std::cell::OnceCell;
use std::net::IpAddr;

use portcullis_exchange::connection::Connection;
use portcullis_exchange::host::Host;
use portcullis_exchange::principal::Principal;
use portcullis_wire::address::network;
use portcullis_wire::json::compact::Value;

use super::rule::{AccessRule, RuleAction, Trial};

/// Who calls, for rules that are in force for some callers.
pub(super) struct ShareOfCaller<'f> {
    principal: Option<&'f Principal>,
    connection: &'f Connection,
    host: &'f dyn Host,
    /// A hash of who calls, else of the network it calls from; none if neither is known.
    hash: OnceCell<Option<u64>>,
}

impl<'f> ShareOfCaller<'f> {
    pub(super) fn new(
        principal: Option<&'f Principal>,
        connection: &'f Connection,
        host: &'f dyn Host,
    ) -> Self {
        Self {
            principal,
            connection,
            host,
            hash: OnceCell::new(),
        }
    }

    /// Whether a rule is in force for the caller of a request. It is the same for a caller whenever it asks, in
    /// every worker and proxy; one of whom nothing is known meets denials and no allowances.
    pub(super) fn meets(&self, rule: &AccessRule) -> bool {
        match rule.trial {
            Trial::Enforced | Trial::Percent(100..) => true,
            Trial::Shadow | Trial::Percent(0) => false,
            Trial::Percent(percent) => {
                let hash = self.hash.get_or_init(|| self.hash());
                match hash {
                    Some(hash) => share(*hash, &rule.name) < percent,
                    None => rule.action == RuleAction::Deny,
                }
            }
        }
    }

    fn hash(&self) -> Option<u64> {
        let mut hash = Fnv::default();
        let named = self.principal.and_then(|principal| {
            let names = ["sub", "client", "client_id"].into_iter();
            let mut names = names.filter_map(|name| principal.attributes.member(name));
            let name = names.find_map(Value::as_str)?;
            Some((&principal.authority, name))
        });
        match named {
            Some((authority, name)) => {
                hash.add(authority.as_bytes());
                hash.add(name.as_bytes());
            }
            // Of IPv6 one caller has a whole network.
            None => match network(self.connection.client(self.host)?, 32, 64) {
                IpAddr::V4(address) => hash.add(&address.octets()),
                IpAddr::V6(address) => hash.add(&address.octets()),
            },
        }
        Some(hash.0)
    }
}

/// A number below a hundred for a caller and a rule, whose name is short.
fn share(caller: u64, rule: &str) -> u8 {
    let mut hash = Fnv(caller);
    hash.add(rule.as_bytes());
    u8::try_from(hash.finish() % 100).unwrap_or_default()
}

/// FNV-1a of 64 bits, mixed at the end. It has to spread, and to be the same everywhere; who may guess it gains
/// nothing but to be among the callers that a rule is tried on, or not yet.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn add(&mut self, bytes: &[u8]) {
        // A mark behind each part, so that two parts are not two others.
        for byte in bytes.iter().chain(&[0xff]) {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    fn finish(&self) -> u64 {
        let mixed = (self.0 ^ (self.0 >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        mixed ^ (mixed >> 33)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_spread() {
        let mut counts = [0_u32; 100];
        for caller in 0..10_000_u32 {
            let mut hash = Fnv::default();
            hash.add(format!("user-{caller}").as_bytes());
            counts[usize::from(share(hash.0, "rule"))] += 1;
        }
        let few = counts.iter().min().unwrap();
        let many = counts.iter().max().unwrap();
        assert!(*few > 50 && *many < 160, "{few} {many}");
    }
}
