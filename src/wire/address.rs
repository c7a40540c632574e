//! Addresses of clients, as the proxy writes them.

use std::fmt;
use std::net::{IpAddr, SocketAddr};

/// The address of `192.0.2.1:40000` or `[2001:db8::1]:40000`. An IPv4 address in an IPv6 one is
/// the IPv4 address, so that a client has one spelling.
pub fn with_port(written: &[u8]) -> Option<IpAddr> {
    let written: SocketAddr = std::str::from_utf8(written).ok()?.parse().ok()?;
    Some(written.ip().to_canonical())
}

/// The address with all bits behind the prefix taken away.
pub fn network(address: IpAddr, ipv4_prefix: u32, ipv6_prefix: u32) -> IpAddr {
    match address {
        IpAddr::V4(address) => {
            let mask = u32::MAX.checked_shl(32_u32.saturating_sub(ipv4_prefix));
            IpAddr::V4((address.to_bits() & mask.unwrap_or(0)).into())
        }
        IpAddr::V6(address) => {
            let mask = u128::MAX.checked_shl(128_u32.saturating_sub(ipv6_prefix));
            IpAddr::V6((address.to_bits() & mask.unwrap_or(0)).into())
        }
    }
}

/// All addresses that begin alike. IPv4 addresses in IPv6 ones are IPv4 addresses, and so are networks
/// of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    first: IpAddr,
    prefix: u32,
}

/// Why a text is no range.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RangeError {
    /// It is no address, and no network.
    Syntax,
    /// Bits behind the prefix are set: the address as written, and the network that it is in.
    HostBits(IpAddr, Range),
}

/// The bits of `::ffff:0:0/96`, whose addresses are IPv4 ones.
const MAPPED_PREFIX: u32 = 96;

impl Range {
    /// Reads `192.0.2.1`, `192.0.2.0/24`, `2001:db8::/32`. None if bits behind the prefix are set.
    pub fn parse(written: &str) -> Option<Self> {
        Self::read(written).ok()
    }

    /// The same, with why a text is none.
    ///
    /// # Errors
    /// [`RangeError`].
    pub fn read(written: &str) -> Result<Self, RangeError> {
        let (first, prefix) = match written.split_once('/') {
            Some((first, prefix)) => (first, Some(prefix)),
            None => (written, None),
        };
        let first: IpAddr = first.parse().map_err(|_| RangeError::Syntax)?;
        let longest = if first.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => Some(longest),
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok(),
            Some(_) => None,
        };
        let prefix = prefix.filter(|prefix| *prefix <= longest);
        let prefix = prefix.ok_or(RangeError::Syntax)?;
        let range = Self {
            first: network(first, prefix, prefix),
            prefix,
        };
        match range.first == first {
            true => Ok(range.canonical()),
            false => Err(RangeError::HostBits(first, range.canonical())),
        }
    }

    /// The network of IPv4 addresses, of those that are written as IPv6 ones.
    fn canonical(self) -> Self {
        match (
            self.first.to_canonical(),
            self.prefix.checked_sub(MAPPED_PREFIX),
        ) {
            (first @ IpAddr::V4(_), Some(prefix)) if self.first.is_ipv6() => Self { first, prefix },
            _ => self,
        }
    }

    /// The first and the last of them.
    pub fn ends(&self) -> (IpAddr, IpAddr) {
        let last = match self.first {
            IpAddr::V4(first) => {
                let behind = u32::MAX.checked_shr(self.prefix).unwrap_or(0);
                IpAddr::V4((first.to_bits() | behind).into())
            }
            IpAddr::V6(first) => {
                let behind = u128::MAX.checked_shr(self.prefix).unwrap_or(0);
                IpAddr::V6((first.to_bits() | behind).into())
            }
        };
        (self.first, last)
    }

    /// Whether an address is one of them. An IPv4 address in an IPv6 one is the IPv4 address: a network
    /// such as `::/0`, which is larger than that of all of these, holds none of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        let alike = self.first.is_ipv4() == address.is_ipv4();
        alike && network(address, self.prefix, self.prefix) == self.first
    }
}

impl fmt::Display for Range {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.first, self.prefix)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_with_their_port() {
        for (written, address) in [
            ("192.0.2.1:40000", Some("192.0.2.1")),
            ("[2001:db8::1]:0", Some("2001:db8::1")),
            ("[::ffff:192.0.2.1]:1", Some("192.0.2.1")),
            ("192.0.2.1", None),
            ("/run/socket", None),
            ("", None),
        ] {
            let address = address.map(|text| text.parse().unwrap());
            assert_eq!(with_port(written.as_bytes()), address, "{written}");
        }
        assert_eq!(with_port(b"\xff:1"), None);
    }

    #[test]
    fn ranges_hold_what_begins_alike() {
        let range = |text: &str| Range::parse(text);
        let holds =
            |text: &str, address: &str| range(text).unwrap().contains(address.parse().unwrap());
        assert!(holds("192.0.2.0/24", "192.0.2.255") && !holds("192.0.2.0/24", "192.0.3.0"));
        assert!(holds("0.0.0.0/0", "203.0.113.9") && !holds("0.0.0.0/0", "::1"));
        assert!(holds("2001:db8::/32", "2001:db8:1::") && !holds("::1", "::2"));
        for wrong in [
            "192.0.2.1/24",
            "192.0.2.0/33",
            "192.0.2.0/+8",
            "x",
            "10.0.0.0/",
            "",
        ] {
            assert_eq!(range(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn networks_of_ipv4_addresses_have_one_spelling() {
        for (written, range) in [
            ("::ffff:192.0.2.0/120", "192.0.2.0/24"),
            ("::ffff:192.0.2.1", "192.0.2.1/32"),
            ("::ffff:0:0/96", "0.0.0.0/0"),
            ("::ffff:0:0/95", ""),
            ("::fffe:0:0/95", "::fffe:0:0/95"),
            ("::/0", "::/0"),
        ] {
            let found = Range::parse(written).map(|range| range.to_string());
            assert_eq!(found.unwrap_or_default(), range, "{written}");
        }
        let holds = |range, address: &str| {
            let range = Range::parse(range).unwrap();
            range.contains(address.parse().unwrap())
        };
        for range in ["::ffff:192.0.2.0/120", "192.0.2.0/24", "::ffff:0:0/96"] {
            for address in ["192.0.2.9", "::ffff:192.0.2.9"] {
                assert!(holds(range, address), "{range} {address}");
            }
            assert!(!holds(range, "::192.0.2.9"), "{range}");
        }
        for range in ["::/0", "::/57", "::/80", "::fffe:0:0/95"] {
            for address in ["192.0.2.9", "::ffff:192.0.2.9"] {
                assert!(!holds(range, address), "{range} {address}");
            }
        }
        assert!(holds("::/57", "::192.0.2.9") && holds("::fffe:0:0/95", "::fffe:192.0.2.9"));
    }

    #[test]
    fn what_a_network_with_host_bits_could_mean_is_said() {
        for (written, meant) in [
            ("192.0.2.1/24", "192.0.2.0/24"),
            ("2001:db8::1/32", "2001:db8::/32"),
            ("::ffff:192.0.2.1/120", "192.0.2.0/24"),
        ] {
            let Err(RangeError::HostBits(_, range)) = Range::read(written) else {
                panic!("{written}");
            };
            assert_eq!(range.to_string(), meant);
        }
        for wrong in [
            "",
            "x",
            "10.0.0.0/",
            "10.0.0.0/33",
            "10.0.0.0/+8",
            "::/129",
            "010.0.0.1",
        ] {
            assert_eq!(Range::read(wrong), Err(RangeError::Syntax), "{wrong}");
        }
    }

    #[test]
    fn ranges_begin_and_end_somewhere() {
        for (written, first, last) in [
            ("192.0.2.0/24", "192.0.2.0", "192.0.2.255"),
            ("192.0.2.7", "192.0.2.7", "192.0.2.7"),
            ("0.0.0.0/0", "0.0.0.0", "255.255.255.255"),
            (
                "2001:db8::/32",
                "2001:db8::",
                "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff",
            ),
            ("::1", "::1", "::1"),
        ] {
            let ends = Range::parse(written).unwrap().ends();
            assert_eq!(ends, (first.parse().unwrap(), last.parse().unwrap()));
        }
    }

    #[test]
    fn networks_keep_the_first_bits() {
        let of = |text: &str, v4, v6| network(text.parse().unwrap(), v4, v6).to_string();
        assert_eq!(of("192.0.2.129", 32, 64), "192.0.2.129");
        assert_eq!(of("192.0.2.129", 24, 64), "192.0.2.0");
        assert_eq!(of("192.0.2.129", 0, 64), "0.0.0.0");
        assert_eq!(of("2001:db8:1:2:3::4", 32, 64), "2001:db8:1:2::");
        assert_eq!(of("2001:db8:1:2:3::4", 32, 128), "2001:db8:1:2:3::4");
        assert_eq!(of("2001:db8::1", 32, 0), "::");
    }
}
