//! Where to look in a list that is in the order of hashes: as many steps however long it is.

use std::ops::Range;

/// Where in such a list the hashes begin that have the same leading bits.
#[derive(Debug, Default)]
pub(super) struct LeadingBits {
    /// For each choice of these bits, and the end.
    starts: Box<[u32]>,
    bits: u32,
}

/// The most hashes on average that have the same leading bits.
const EACH: usize = 4;

impl LeadingBits {
    /// Of a list whose hashes begin so, in their order.
    pub(super) fn of(hashes: impl ExactSizeIterator<Item = u32>) -> Self {
        let groups = hashes.len().div_ceil(EACH).next_power_of_two();
        let bits = groups.trailing_zeros();
        let mut starts = Vec::with_capacity(groups.saturating_add(1));
        let mut end = 0_u32;
        for (place, hash) in (0_u32..).zip(hashes) {
            let group = leading(hash, bits);
            while starts.len() <= group {
                starts.push(place);
            }
            end = place.saturating_add(1);
        }
        while starts.len() <= groups {
            starts.push(end);
        }
        Self {
            starts: starts.into_boxed_slice(),
            bits,
        }
    }

    /// The places at which a hash may stand that begins so.
    pub(super) fn near(&self, hash: u32) -> Option<Range<usize>> {
        let first = leading(hash, self.bits);
        let start = |place: usize| {
            let start = self.starts.get(place)?;
            usize::try_from(*start).ok()
        };
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
            let mut sorted = hashes;
            sorted.sort_unstable();
            let leading = LeadingBits::of(sorted.iter().copied());
            for hash in &sorted {
                let near = leading.near(*hash).unwrap();
                assert!(sorted[near.clone()].contains(hash), "{count} {hash}");
                assert!(near.len() < 12, "{count} {near:?}");
            }
            assert!(leading.near(u32::MAX).unwrap().end <= sorted.len());
        }
        assert_eq!(LeadingBits::default().near(7), None);
    }
}
