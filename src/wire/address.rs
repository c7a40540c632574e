//! Addresses of clients, as the proxy writes them.

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

/// All addresses that begin alike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Range {
    first: IpAddr,
    prefix: u32,
}

impl Range {
    /// Reads `192.0.2.1`, `192.0.2.0/24`, `2001:db8::/32`. None if bits behind the prefix are set.
    pub fn parse(written: &str) -> Option<Self> {
        let (first, prefix) = match written.split_once('/') {
            Some((first, prefix)) => (first, Some(prefix)),
            None => (written, None),
        };
        let first: IpAddr = first.parse().ok()?;
        let longest = if first.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            None => longest,
            Some(digits) if digits.bytes().all(|b| b.is_ascii_digit()) => digits.parse().ok()?,
            Some(_) => return None,
        };
        let range = Self { first, prefix };
        (prefix <= longest && range.contains(first)).then_some(range)
    }

    /// Whether an address is one of them.
    pub fn contains(&self, address: IpAddr) -> bool {
        let alike = self.first.is_ipv4() == address.is_ipv4();
        alike && network(address, self.prefix, self.prefix) == self.first
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
