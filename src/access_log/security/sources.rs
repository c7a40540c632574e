//! Where failures come from: counts in a table that never grows.

#![deny(clippy::arithmetic_side_effects)]

use std::net::IpAddr;
use std::time::Duration;

use siphasher::sip::SipHasher13;

/// Failures by source. Sources are hashed with a key that nobody outside knows, so that nobody
/// can choose addresses that push each other out.
pub(super) struct Sources {
    keys: (u64, u64),
    cells: Vec<Cell>,
}

#[derive(Clone, Copy, Default)]
struct Cell {
    tag: u64,
    since: Duration,
    failures: u32,
    told: bool,
}

/// Cells of one set; a source has its place in one set.
const WAYS: usize = 4;
/// A power of two.
const SETS: usize = 256;

impl Sources {
    pub(super) fn new(keys: (u64, u64)) -> Self {
        Self {
            keys,
            cells: vec![Cell::default(); SETS.saturating_mul(WAYS)],
        }
    }

    /// Counts a failure. The number of them since the window began, when that reaches `threshold`:
    /// once in a window.
    pub(super) fn failed(
        &mut self,
        source: IpAddr,
        now: Duration,
        window: Duration,
        threshold: u32,
    ) -> Option<u32> {
        let hash = self.hash(source);
        let first = usize::try_from(hash).unwrap_or(0) % SETS;
        let first = first.saturating_mul(WAYS);
        let set = self.cells.get_mut(first..first.saturating_add(WAYS))?;
        let over = |cell: &Cell| now.saturating_sub(cell.since) >= window || now < cell.since;
        let place = set.iter().position(|cell| cell.tag == hash);
        let cell = match place {
            Some(place) => set.get_mut(place)?,
            // Who has failed least, or not lately, makes room.
            None => {
                let weight = |cell: &&mut Cell| if over(cell) { 0 } else { cell.failures };
                let cell = set.iter_mut().min_by_key(weight)?;
                *cell = Cell::default();
                cell
            }
        };
        if cell.tag != hash || over(cell) {
            *cell = Cell {
                tag: hash,
                since: now,
                ..Cell::default()
            };
        }
        cell.failures = cell.failures.saturating_add(1);
        if cell.told || cell.failures < threshold {
            return None;
        }
        cell.told = true;
        Some(cell.failures)
    }

    fn hash(&self, source: IpAddr) -> u64 {
        let hasher = SipHasher13::new_with_keys(self.keys.0, self.keys.1);
        match source {
            IpAddr::V4(address) => hasher.hash(&address.octets()),
            IpAddr::V6(address) => hasher.hash(&address.octets()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WINDOW: Duration = Duration::from_secs(60);

    fn address(number: u32) -> IpAddr {
        IpAddr::V4(number.into())
    }

    #[test]
    fn the_threshold_is_told_once_in_a_window() {
        let mut sources = Sources::new((1, 2));
        let mut told = |second: u64| {
            let now = Duration::from_secs(1000 + second);
            sources.failed(address(7), now, WINDOW, 3)
        };
        assert_eq!(
            [told(0), told(1), told(2), told(3)],
            [None, None, Some(3), None]
        );
        // A new window begins with the first failure after the end of the last.
        assert_eq!([told(61), told(62), told(63)], [None, None, Some(3)]);
    }

    #[test]
    fn a_flood_of_sources_neither_grows_it_nor_hides_one_that_goes_on() {
        let mut sources = Sources::new((3, 4));
        let now = Duration::from_secs(1000);
        for _ in 0..5 {
            assert_eq!(sources.failed(address(7), now, WINDOW, 10), None);
        }
        for other in 100..50_100 {
            assert_eq!(sources.failed(address(other), now, WINDOW, 10), None);
        }
        assert_eq!(sources.cells.len(), SETS * WAYS);
        let told = (0..5).filter_map(|_| sources.failed(address(7), now, WINDOW, 10));
        assert_eq!(told.collect::<Vec<_>>(), [10]);
    }
}
