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

    /// Whether all addresses of another are in it.
    pub fn holds_all_of(&self, other: &Self) -> bool {
        let holds = |span: Span<u128>| {
            let (first, last) = (half(span.first), half(span.last));
            self.halves.holds(&Span { first, last }) || self.ipv6.holds(&span)
        };
        other.ipv4.iter().all(|span| self.ipv4.holds(&span))
            && other.halves.iter().all(|span| holds(span.whole()))
            && other.ipv6.iter().all(holds)
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
        self.holds(&Span {
            first: number,
            last: number,
        })
    }

    /// Whether a span is in one of these: they do not touch.
    fn holds(&self, span: &Span<N>) -> bool {
        let behind = self.firsts.partition_point(|first| *first <= span.first);
        let last = behind.checked_sub(1).and_then(|at| self.lasts.get(at));
        last.is_some_and(|last| span.last <= *last)
    }

    fn iter(&self) -> impl Iterator<Item = Span<N>> {
        let ends = self.firsts.iter().zip(&self.lasts);
        ends.map(|(first, last)| Span {
            first: *first,
            last: *last,
        })
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

impl Span<u64> {
    /// The addresses that begin so.
    fn whole(self) -> Span<u128> {
        let behind = u128::from(u64::MAX);
        Span {
            first: u128::from(self.first) << 64,
            last: u128::from(self.last) << 64 | behind,
        }
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
mod tests;
