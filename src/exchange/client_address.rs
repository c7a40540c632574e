//! Which address counts as the client's: by the proxy's word, or by that of proxies in front that the
//! document trusts.

use std::net::IpAddr;

use portcullis_document::{Node, Problems};
use portcullis_wire::headers::Headers;

use crate::section::{Reading, Section};

/// The document's `client_address`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClientAddress {
    /// How many proxies in front are trusted; 0 where the proxy's word counts.
    trusted_hops: usize,
}

/// The field in which proxies write who has asked them.
pub const FORWARDED_FOR: &str = "x-forwarded-for";

/// More are in front of nobody.
const MOST_HOPS: u64 = 16;

/// A field line is read no farther from its end: so many addresses take no more.
const LONGEST: usize = 1024;

impl ClientAddress {
    /// Whether `X-Forwarded-For` counts, and not the proxy's word.
    #[inline]
    pub fn is_forwarded(self) -> bool {
        self.trusted_hops > 0
    }

    /// The address by `X-Forwarded-For`. `Some(None)` where it counts and cannot be read.
    pub fn forwarded(self, headers: &Headers) -> Option<Option<IpAddr>> {
        let lines = || headers.all(FORWARDED_FOR);
        self.is_forwarded()
            .then(|| self.read(lines().collect::<Vec<_>>().into_iter().rev()))
    }

    /// The same, of a request with one such line or none.
    #[inline(never)]
    pub fn forwarded_in(self, line: Option<&[u8]>) -> Option<Option<IpAddr>> {
        self.is_forwarded().then(|| self.read(line.into_iter()))
    }

    /// The address at its place from the right, in lines of which the last comes first. None if it is not there,
    /// or anything from there on is no address: then it is not known who wrote what. What stands before it is
    /// the client's to write, and does not count.
    fn read<'l>(self, lines: impl Iterator<Item = &'l [u8]>) -> Option<IpAddr> {
        let mut found = None;
        let mut left = self.trusted_hops;
        for line in lines {
            let start = line.len().saturating_sub(LONGEST);
            let is_cut = start > 0;
            let line = line.get(start..).unwrap_or_default();
            let mut entries = line.rsplit(|byte| *byte == b',').peekable();
            while let Some(entry) = entries.next() {
                // Of the first that is left of a line that was cut a part may be missing.
                if is_cut && entries.peek().is_none() {
                    return None;
                }
                found = Some(address(entry)?);
                left = left.saturating_sub(1);
                if left == 0 {
                    return found;
                }
            }
        }
        found.filter(|_| left == 0)
    }
}

/// An address without a port, with blanks around it.
fn address(entry: &[u8]) -> Option<IpAddr> {
    let entry = entry.trim_ascii();
    let address: IpAddr = std::str::from_utf8(entry).ok()?.parse().ok()?;
    Some(address.to_canonical())
}

impl Section for ClientAddress {
    const NAME: &'static str = "client_address";

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let problems: &mut Problems = reading.problems;
        let mut fields = node.object(problems, "{\"trusted_hops\": 1}")?;
        let hops = fields.required("trusted_hops", problems);
        let hops = hops.and_then(|node| node.integer(problems, 1..=MOST_HOPS));
        fields.deny_unknown(problems);
        let trusted_hops = usize::try_from(hops?).ok()?;
        Some(Self { trusted_hops })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forwarded(trusted_hops: usize, lines: &[&str]) -> Option<Option<IpAddr>> {
        let mut headers = Headers::default();
        for line in lines {
            headers.push(FORWARDED_FOR.as_bytes(), line.as_bytes());
        }
        let address = ClientAddress { trusted_hops };
        let found = address.forwarded(&headers);
        if let [] | [_] = lines {
            let line = lines.first().map(|line| line.as_bytes());
            assert_eq!(found, address.forwarded_in(line), "{lines:?}");
        }
        found
    }

    #[test]
    fn the_address_stands_as_far_from_the_right_as_proxies_are_trusted() {
        let long = format!("{}192.0.2.9, 198.51.100.1", "10.0.0.1, ".repeat(1000));
        for (hops, lines, expected) in [
            (1, &["192.0.2.1"][..], "192.0.2.1"),
            (1, &["10.0.0.1, 192.0.2.1"], "192.0.2.1"),
            (2, &["10.0.0.1, 192.0.2.1 ,\t198.51.100.1"], "192.0.2.1"),
            (2, &["10.0.0.1,192.0.2.1", "198.51.100.1"], "192.0.2.1"),
            (1, &["2001:db8::1"], "2001:db8::1"),
            (1, &["::ffff:192.0.2.1"], "192.0.2.1"),
            // What a client writes in front does not count, whatever it is.
            (1, &["unknown, 192.0.2.1"], "192.0.2.1"),
            (1, &[",,\u{e9}, 192.0.2.1"], "192.0.2.1"),
            (2, &[&long], "192.0.2.9"),
            // What cannot be read.
            (1, &[], ""),
            (1, &[""], ""),
            (1, &["192.0.2.1,"], ""),
            (1, &["unknown"], ""),
            (1, &["192.0.2.1:4000"], ""),
            (1, &["[2001:db8::1]"], ""),
            (1, &["192.0.2.01"], ""),
            (2, &["192.0.2.1"], ""),
            (2, &["192.0.2.1, unknown"], ""),
            (2, &["192.0.2.1,,198.51.100.1"], ""),
            (3, &["192.0.2.1", "198.51.100.1"], ""),
        ] {
            let expected = (!expected.is_empty()).then(|| expected.parse().unwrap());
            assert_eq!(forwarded(hops, lines), Some(expected), "{hops} {lines:?}");
        }
    }

    #[test]
    fn without_trust_the_field_says_nothing() {
        assert_eq!(forwarded(0, &["192.0.2.1"]), None);
        assert!(!ClientAddress::default().is_forwarded());
    }
}
