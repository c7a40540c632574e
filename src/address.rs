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
