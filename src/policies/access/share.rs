//! For which callers a rule is in force that is tried out on some of them.

use std::net::IpAddr;

use portcullis_exchange::exchange::Facts;
use portcullis_exchange::host::Host;
use portcullis_wire::address::network;
use portcullis_wire::json::compact::Value;

use super::rule::{AccessRule, RuleAction, Trial};

/// Whether a rule is in force for the caller of a request. It is the same for a caller whenever it asks, in
/// every worker and proxy; one of whom nothing is known meets denials and no allowances.
pub(super) fn is_in_force(rule: &AccessRule, facts: &Facts, host: &dyn Host) -> bool {
    match rule.trial {
        Trial::Enforced | Trial::Percent(100..) => true,
        Trial::Shadow | Trial::Percent(0) => false,
        Trial::Percent(percent) => match share(&rule.name, facts, host) {
            Some(share) => share < percent,
            None => rule.action == RuleAction::Deny,
        },
    }
}

/// A number below a hundred for a caller and a rule: of who calls, else of the network it calls from.
fn share(rule: &str, facts: &Facts, host: &dyn Host) -> Option<u8> {
    let mut hash = Fnv::default();
    hash.add(rule.as_bytes());
    let named = facts.principal.as_ref().and_then(|principal| {
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
        None => match network(facts.client(host)?, 32, 64) {
            IpAddr::V4(address) => hash.add(&address.octets()),
            IpAddr::V6(address) => hash.add(&address.octets()),
        },
    }
    u8::try_from(hash.finish() % 100).ok()
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
            hash.add(b"rule");
            hash.add(format!("user-{caller}").as_bytes());
            counts[usize::try_from(hash.finish() % 100).unwrap()] += 1;
        }
        let few = counts.iter().min().unwrap();
        let many = counts.iter().max().unwrap();
        assert!(*few > 50 && *many < 160, "{few} {many}");
    }
}
