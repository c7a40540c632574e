//! Many networks, found by an address: flat memory, and few steps however many there are.
//!
//! What is kept are the addresses at which they begin and end, in order, networks that overlap or touch
//! as one: 8 bytes for networks of IPv4 addresses, 16 for those of IPv6 addresses that have at most 64
//! bits, 32 for others. An address is found by halves: 17 steps in 100 000.
//!
//! A set is made in as many steps for each network however many there are, but for few: what is added comes
//! in runs that are in order, and two runs of one length become one. So no one step takes long.

use std::net::IpAddr;

use crate::address::Range;
use crate::sort::sort;

/// Addresses in networks.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct NetworkSet {
    ipv4: Spans<u32>,
    /// By the first half of addresses: spans that begin and end with such a half.
    halves: Spans<u64>,
    ipv6: Spans<u128>,
}

/// A set in the making.
#[derive(Debug, Default)]
pub struct NetworkSetBuilder {
    ipv4: Runs<u32>,
    ipv6: Runs<u128>,
    added: usize,
}

/// Spans of numbers that do not touch, in order.
#[derive(Debug, PartialEq, Eq)]
struct Spans<N> {
    firsts: Box<[N]>,
    lasts: Box<[N]>,
}

/// From one number to another, both included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Span<N> {
    first: N,
    last: N,
}

/// Spans in the making.
#[derive(Debug)]
struct Runs<N> {
    /// Each in order; a later one is shorter.
    sorted: Vec<Vec<Span<N>>>,
    fresh: Vec<Span<N>>,
}

/// The number behind another.
trait SpanEnd: Copy + Ord {
    fn next(self) -> Option<Self>;
}

/// So many networks are brought into order at once.
const RUN: usize = 256;

impl NetworkSet {
    /// Whether an address is in one of the networks. An IPv4 address in an IPv6 one is the IPv4
    /// address.
    pub fn contains(&self, address: IpAddr) -> bool {
        match address.to_canonical() {
            IpAddr::V4(address) => self.ipv4.contains(address.to_bits()),
            IpAddr::V6(address) => {
                let bits = address.to_bits();
                self.halves.contains(half(bits)) || self.ipv6.contains(bits)
            }
        }
    }

    /// Whether there is no address in it.
    pub fn is_empty(&self) -> bool {
        self.spans() == 0
    }

    /// How many spans are kept: no more than networks were added.
    pub fn spans(&self) -> usize {
        let ipv6 = self.halves.len().saturating_add(self.ipv6.len());
        self.ipv4.len().saturating_add(ipv6)
    }

    /// How many bytes of memory it takes.
    pub fn memory(&self) -> usize {
        let ipv6 = self.halves.memory().saturating_add(self.ipv6.memory());
        self.ipv4.memory().saturating_add(ipv6)
    }
}

impl NetworkSetBuilder {
    /// Adds a network.
    pub fn add(&mut self, range: &Range) {
        self.added = self.added.saturating_add(1);
        match range.ends() {
            (IpAddr::V4(first), IpAddr::V4(last)) => self.ipv4.add(Span {
                first: first.to_bits(),
                last: last.to_bits(),
            }),
            (IpAddr::V6(first), IpAddr::V6(last)) => self.ipv6.add(Span {
                first: first.to_bits(),
                last: last.to_bits(),
            }),
            // Both ends are of one kind.
            _ => {}
        }
    }

    /// How many networks were added.
    pub fn added(&self) -> usize {
        self.added
    }

    /// How many bytes of memory the set would take at most.
    pub fn memory(&self) -> usize {
        let ipv4 = self.ipv4.len().saturating_mul(size_of::<Span<u32>>());
        let ipv6 = self.ipv6.len().saturating_mul(size_of::<Span<u128>>());
        ipv4.saturating_add(ipv6)
    }

    /// The set.
    pub fn finish(self) -> NetworkSet {
        let (mut halves, mut whole) = (Vec::new(), Vec::new());
        for span in self.ipv6.finish() {
            match span.halves() {
                Some(span) => halves.push(span),
                None => whole.push(span),
            }
        }
        NetworkSet {
            ipv4: Spans::of(&self.ipv4.finish()),
            halves: Spans::of(&halves),
            ipv6: Spans::of(&whole),
        }
    }
}

impl<N: SpanEnd> Spans<N> {
    fn of(spans: &[Span<N>]) -> Self {
        Self {
            firsts: spans.iter().map(|span| span.first).collect(),
            lasts: spans.iter().map(|span| span.last).collect(),
        }
    }

    fn contains(&self, number: N) -> bool {
        let behind = self.firsts.partition_point(|first| *first <= number);
        let last = behind.checked_sub(1).and_then(|at| self.lasts.get(at));
        last.is_some_and(|last| number <= *last)
    }

    fn len(&self) -> usize {
        self.firsts.len()
    }

    fn memory(&self) -> usize {
        size_of_val(&*self.firsts).saturating_add(size_of_val(&*self.lasts))
    }
}

impl<N> Default for Spans<N> {
    fn default() -> Self {
        Self {
            firsts: Box::default(),
            lasts: Box::default(),
        }
    }
}

impl<N: SpanEnd> Runs<N> {
    fn add(&mut self, span: Span<N>) {
        self.fresh.push(span);
        if self.fresh.len() >= RUN {
            self.settle();
        }
    }

    /// Brings what is fresh into order, and joins runs of which the later is not much shorter.
    fn settle(&mut self) {
        let mut run = std::mem::take(&mut self.fresh);
        sort(&mut run, |one, other| one.first.cmp(&other.first));
        let mut run = joined(run.iter().copied());
        while let Some(before) = self.sorted.pop_if(|before| before.len() / 2 <= run.len()) {
            run = merged(&before, &run);
        }
        self.sorted.push(run);
    }

    fn len(&self) -> usize {
        let sorted = self.sorted.iter().map(Vec::len);
        sorted.fold(self.fresh.len(), usize::saturating_add)
    }

    fn finish(mut self) -> Vec<Span<N>> {
        self.settle();
        let mut all = Vec::new();
        while let Some(run) = self.sorted.pop() {
            all = merged(&run, &all);
        }
        all
    }
}

impl<N> Default for Runs<N> {
    fn default() -> Self {
        Self {
            sorted: Vec::new(),
            fresh: Vec::new(),
        }
    }
}

/// Two lists that are in order as one.
fn merged<N: SpanEnd>(one: &[Span<N>], other: &[Span<N>]) -> Vec<Span<N>> {
    let (mut one, mut other) = (
        one.iter().copied().peekable(),
        other.iter().copied().peekable(),
    );
    let next = std::iter::from_fn(|| match (one.peek(), other.peek()) {
        (Some(here), Some(there)) if there.first < here.first => other.next(),
        (Some(_), _) => one.next(),
        (None, _) => other.next(),
    });
    joined(next)
}

/// Spans in the order of their beginnings, with those as one that overlap or touch.
fn joined<N: SpanEnd>(spans: impl Iterator<Item = Span<N>>) -> Vec<Span<N>> {
    let mut joined: Vec<Span<N>> = Vec::with_capacity(spans.size_hint().0);
    for span in spans {
        match joined.last_mut() {
            Some(before) if before.reaches(span.first) => before.last = before.last.max(span.last),
            _ => joined.push(span),
        }
    }
    joined
}

impl<N: SpanEnd> Span<N> {
    /// Whether a number is no farther than behind its last.
    fn reaches(&self, number: N) -> bool {
        self.last.next().is_none_or(|behind| number <= behind)
    }
}

impl Span<u128> {
    /// The same by first halves, if it begins and ends with such.
    fn halves(&self) -> Option<Span<u64>> {
        let behind = u128::from(u64::MAX);
        let fits = self.first & behind == 0 && self.last & behind == behind;
        fits.then(|| Span {
            first: half(self.first),
            last: half(self.last),
        })
    }
}

/// The first half of an address.
fn half(address: u128) -> u64 {
    (address >> 64) as u64
}

impl SpanEnd for u32 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl SpanEnd for u64 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

impl SpanEnd for u128 {
    fn next(self) -> Option<Self> {
        self.checked_add(1)
    }
}

#[cfg(test)]
mod tests {
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
    struct Random(u64);

    impl Random {
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
        let mut random = Random(7);
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
            builder.add(
                &Range::parse(&format!("{}/25", std::net::Ipv4Addr::from(each << 8))).unwrap(),
            );
        }
        assert_eq!(builder.finish().memory(), 800_000);
        let mut builder = NetworkSetBuilder::default();
        for each in 0..100_000_u128 {
            let first = std::net::Ipv6Addr::from(0x2001_0db8 << 96 | each << 65);
            builder.add(&Range::parse(&format!("{first}/64")).unwrap());
        }
        assert_eq!(builder.finish().memory(), 1_600_000);
    }
}
