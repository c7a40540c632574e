use super::*;

fn set(written: &[&str]) -> NetworkSet {
    let mut builder = NetworkSetBuilder::default();
    for text in written {
        builder.add(&Range::parse(text).unwrap());
    }
    builder.finish()
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Numbers that look random, the same on every run.
struct RandomNetworks(u64);

impl RandomNetworks {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    fn below(&mut self, most: u64) -> u64 {
        self.next() % most
    }

    /// An address in a small part of all, so that networks overlap.
    fn address(&mut self) -> IpAddr {
        match self.below(3) {
            0 => {
                let bits = 0xc000_0200 | self.below(1 << 12) as u32;
                IpAddr::V4(bits.into())
            }
            1 => {
                let low = u128::from(self.below(1 << 8)) << 60 | u128::from(self.below(4));
                IpAddr::V6((0x2001_0db8_u128 << 96 | low).into())
            }
            _ => {
                let edges = [0, 1, u128::MAX, u128::MAX - 1, u128::from(u64::MAX)];
                let edge = edges[self.below(5) as usize];
                IpAddr::V6(edge.into())
            }
        }
    }

    fn range(&mut self) -> Range {
        let address = self.address();
        let (most, usual) = if address.is_ipv4() {
            (32, 20)
        } else {
            (128, 56)
        };
        let prefix = match self.below(40) {
            0 => 8 + self.below(most - 7),
            _ => (usual + self.below(most - usual + 1)).min(most),
        };
        let prefix = u32::try_from(prefix).unwrap();
        let first = crate::address::network(address, prefix, prefix);
        Range::parse(&format!("{first}/{prefix}")).unwrap()
    }
}

/// A set is what the plain list of its networks is.
#[test]
fn addresses_are_in_a_set_as_they_are_in_one_of_its_networks() {
    let mut random = RandomNetworks(7);
    let mut found = [0_usize; 2];
    for round in 0..300 {
        let count = [1, 2, 3, 30, RUN, RUN + 1, 1000][round % 7];
        let ranges: Vec<Range> = (0..count).map(|_| random.range()).collect();
        let mut builder = NetworkSetBuilder::default();
        ranges.iter().for_each(|range| builder.add(range));
        assert_eq!(builder.added(), ranges.len());
        let most = builder.memory();
        let set = builder.finish();
        assert!(set.spans() <= ranges.len() && set.memory() <= most);
        let ends = ranges.iter().flat_map(|range| {
            let (first, last) = range.ends();
            [first, last]
        });
        let near = ends.flat_map(neighbours);
        let more = (0..200).map(|_| random.address()).collect::<Vec<_>>();
        for address in near.chain(more).take(3000) {
            let expected = ranges.iter().any(|range| range.contains(address));
            assert_eq!(set.contains(address), expected, "{address} {ranges:?}");
            found[usize::from(expected)] += 1;
        }
    }
    assert!(found.iter().all(|count| *count > 10_000), "{found:?}");
}

/// An address, the one before and the one behind.
fn neighbours(address: IpAddr) -> [IpAddr; 3] {
    match address {
        IpAddr::V4(at) => {
            let at = at.to_bits();
            [at.wrapping_sub(1), at, at.wrapping_add(1)].map(|bits| IpAddr::V4(bits.into()))
        }
        // Those of `::ffff:0:0/96` are IPv4 addresses, for a set as for a network.
        IpAddr::V6(at) => {
            let at = at.to_bits();
            [at.wrapping_sub(1), at, at.wrapping_add(1)].map(|bits| IpAddr::V6(bits.into()))
        }
    }
}

#[test]
fn what_overlaps_or_touches_is_one() {
    let one = set(&["10.0.0.0/9", "10.128.0.0/9", "10.1.2.3", "10.0.0.0/24"]);
    assert_eq!((one.spans(), one.memory()), (1, 8));
    assert_eq!(one, set(&["10.0.0.0/8"]));
    let all = set(&[
        "0.0.0.0/1",
        "128.0.0.0/1",
        "255.255.255.255",
        "::/1",
        "8000::/1",
        "::",
    ]);
    assert_eq!((all.spans(), all.memory()), (2, 24));
    let longer = set(&["2001:db8::/64", "2001:db8:0:1::1"]);
    assert_eq!((longer.spans(), longer.memory()), (2, 48));
}

#[test]
fn families_are_kept_apart() {
    let all = set(&["::/0"]);
    assert!(all.contains(address("::1")) && !all.contains(address("192.0.2.1")));
    assert!(
        !all.contains(address("::ffff:192.0.2.1")),
        "is an IPv4 address"
    );
    let mapped = set(&["::ffff:192.0.2.0/120"]);
    for same in ["192.0.2.7", "::ffff:192.0.2.7"] {
        assert!(mapped.contains(address(same)), "{same}");
    }
    assert!(!mapped.contains(address("::192.0.2.7")));
    assert!(set(&[]).is_empty() && !set(&[]).contains(address("::")));
}

/// The memory that the reference states.
#[test]
fn a_hundred_thousand_networks_take_few_bytes_each() {
    let mut builder = NetworkSetBuilder::default();
    for each in 0..100_000_u32 {
        builder.add(&Range::parse(&format!("{}/25", std::net::Ipv4Addr::from(each << 8))).unwrap());
    }
    assert_eq!(builder.finish().memory(), 800_000);
    let mut builder = NetworkSetBuilder::default();
    for each in 0..100_000_u128 {
        let first = std::net::Ipv6Addr::from(0x2001_0db8 << 96 | each << 65);
        builder.add(&Range::parse(&format!("{first}/64")).unwrap());
    }
    assert_eq!(builder.finish().memory(), 1_600_000);
}

#[test]
fn a_set_may_hold_all_of_another() {
    for (own, other, expected) in [
        (&["10.0.0.0/8"][..], &["10.1.0.0/16", "10.2.3.4"][..], true),
        (&["10.0.0.0/9", "10.128.0.0/9"], &["10.0.0.0/8"], true),
        (&["10.1.0.0/16"], &["10.0.0.0/8"], false),
        (&["::/0"], &["10.0.0.0/8"], false),
        (&["::/0"], &["2001:db8::1", "2001:db8:1::/48"], true),
        (
            &["2001:db8::/64", "2001:db8:0:1::1"],
            &["2001:db8::/64"],
            true,
        ),
        (
            &["2001:db8::/65", "2001:db8:0:0:8000::/65"],
            &["2001:db8::/64"],
            true,
        ),
        (&["2001:db8::/64"], &["2001:db8:0:1::1"], false),
        (&["2001:db8::/64"], &["2001:db8::/63"], false),
        (&["::1"], &[], true),
    ] {
        assert_eq!(
            set(own).holds_all_of(&set(other)),
            expected,
            "{own:?} {other:?}"
        );
    }
}
