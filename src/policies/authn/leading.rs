//! Where to look in a list that is in the order of hashes: as many steps however long it is.

use std::cmp::Ordering;
use std::ops::Range;

use portcullis_wire::sort;

/// Where in such a list the hashes begin that have the same leading bits.
#[derive(Debug, Default)]
pub(super) struct LeadingBits {
    /// For each choice of these bits, and the end.
    starts: Box<[u32]>,
    bits: u32,
}

/// The most hashes on average that have the same leading bits.
const EACH: usize = 4;

/// Brings a list into the order of hashes that begin as `hash` says and whose order `order` is. In as many steps for
/// each item however many there are, as long as hashes look random; else in `n log n`.
pub(super) fn arrange<T: Copy>(
    items: &[T],
    hash: impl Fn(&T) -> u32,
    order: impl Fn(&T, &T) -> Ordering,
) -> (Box<[T]>, LeadingBits) {
    let groups = items.len().div_ceil(EACH).next_power_of_two();
    let bits = groups.trailing_zeros();
    let mut starts = vec![0_u32; groups.saturating_add(1)];
    for item in items {
        let behind = leading(hash(item), bits).saturating_add(1);
        if let Some(count) = starts.get_mut(behind) {
            *count = count.saturating_add(1);
        }
    }
    let mut sum = 0_u32;
    for start in &mut starts {
        sum = sum.saturating_add(*start);
        *start = sum;
    }
    let mut next = starts.clone();
    let mut places = vec![0_u32; items.len()];
    for (place, item) in (0_u32..).zip(items) {
        let Some(next) = next.get_mut(leading(hash(item), bits)) else {
            continue;
        };
        if let Some(to) = places.get_mut(index(*next)) {
            *to = place;
        }
        *next = next.saturating_add(1);
    }
    let arranged = places.iter().filter_map(|place| items.get(index(*place)));
    let mut arranged: Box<[T]> = arranged.copied().collect();
    for group in starts.windows(2) {
        if let [start, end] = group
            && let Some(group) = arranged.get_mut(index(*start)..index(*end))
        {
            sort::sort(group, &order);
        }
    }
    let starts = starts.into_boxed_slice();
    (arranged, LeadingBits { starts, bits })
}

/// Whether two of these are the same.
pub(super) fn has_repeated(hashes: impl Iterator<Item = u64>) -> bool {
    let hashes: Vec<u64> = hashes.collect();
    let first = |hash: &u64| u32::try_from(hash >> 32).unwrap_or_default();
    let (arranged, _) = arrange(&hashes, first, u64::cmp);
    arranged.windows(2).any(|pair| pair.first() == pair.last())
}

impl LeadingBits {
    /// The places at which a hash may stand that begins so.
    pub(super) fn near(&self, hash: u32) -> Option<Range<usize>> {
        let first = leading(hash, self.bits);
        let start = |place: usize| self.starts.get(place).map(|start| index(*start));
        Some(start(first)?..start(first.checked_add(1)?)?)
    }

    /// How many bytes of memory it takes.
    #[cfg(test)]
    pub(super) fn memory(&self) -> usize {
        size_of_val(&*self.starts)
    }

    /// The most places at which one hash may stand.
    #[cfg(test)]
    pub(super) fn longest(&self) -> Option<u32> {
        let pairs = self.starts.windows(2);
        pairs.map(|pair| pair[1] - pair[0]).max()
    }
}

fn index(place: u32) -> usize {
    usize::try_from(place).unwrap_or(usize::MAX)
}

/// The first bits of a hash, as a number.
fn leading(hash: u32, bits: u32) -> usize {
    let leading = hash.checked_shr(u32::BITS.saturating_sub(bits));
    usize::try_from(leading.unwrap_or_default()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_hash_stands_where_it_is_looked_for() {
        for count in [0_u32, 1, 2, 4, 5, 100, 1000] {
            let hashes: Vec<u32> = (0..count)
                .map(|each| each.wrapping_mul(0x9e37_79b1))
                .collect();
            let mut sorted = hashes.clone();
            sorted.sort_unstable();
            let (arranged, leading) = arrange(&hashes, |hash| *hash, u32::cmp);
            assert_eq!(*arranged, *sorted);
            for hash in &sorted {
                let near = leading.near(*hash).unwrap();
                assert!(sorted[near.clone()].contains(hash), "{count} {hash}");
                assert!(near.len() < 12, "{count} {near:?}");
            }
            assert!(leading.near(u32::MAX).unwrap().end <= sorted.len());
        }
        assert_eq!(LeadingBits::default().near(7), None);
    }

    #[test]
    fn hashes_that_begin_alike_are_in_order_too() {
        let hashes: Vec<u64> = (0..1000).rev().collect();
        let (arranged, leading) = arrange(&hashes, |_| 7, u64::cmp);
        assert!(arranged.is_sorted());
        assert_eq!(leading.near(7), Some(0..1000));
        assert!(!has_repeated(hashes.iter().copied()));
        assert!(has_repeated(hashes.iter().copied().chain([500])));
        assert!(!has_repeated([].into_iter()));
    }
}
