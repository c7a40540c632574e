//! Where failures come from: counts that all workers share, in cells whose number is fixed.

#![deny(clippy::arithmetic_side_effects)]

use std::net::IpAddr;
use std::time::Duration;

use portcullis_exchange::host::{CasResult, Host};
use portcullis_exchange::seed::Seed;
use portcullis_wire::digits;

/// Failures by source. Sources are hashed with the seed of the limits, which nobody outside knows:
/// nobody can choose addresses that push each other out, and no address is in a cell or its key.
#[derive(Default)]
pub(super) struct FailureCounters {
    seed: Seed,
    /// What they failed at: tells their cells from those of others.
    name: &'static str,
}

/// What one cell holds. A source has its place in one set.
#[derive(Clone, Copy, Default)]
struct Set([SourceSlot; WAYS]);

#[derive(Clone, Copy, Default)]
struct SourceSlot {
    tag: u64,
    /// Milliseconds.
    since: u64,
    failures: u32,
    /// When its failures have been told, 1.
    told: u32,
}

const WAYS: usize = 4;
/// So many sources in all have a place: four times as many.
const SETS: u64 = 256;
/// How often to try again when another worker was quicker.
const ATTEMPTS: usize = 16;
/// The first bytes of a cell: ours, format 1.
const FORMAT: [u8; 8] = *b"pl-src\0\x01";

impl FailureCounters {
    /// Those who failed at that.
    pub(super) fn named(name: &'static str) -> Self {
        let seed = Seed::default();
        Self { seed, name }
    }

    /// Counts a failure. The number of them since the window began, when that reaches `threshold`:
    /// once in a window, in one of the workers.
    pub(super) fn failed(
        &self,
        source: IpAddr,
        window: Duration,
        threshold: u32,
        host: &dyn Host,
    ) -> Option<u32> {
        let hashed = match source {
            IpAddr::V4(address) => self.seed.hash(&address.octets(), host),
            IpAddr::V6(address) => self.seed.hash(&address.octets(), host),
        };
        let hashed = hashed.ok()?;
        let [now, window] = [host.monotonic(), window].map(millis);
        // Who counts in other windows, or up to another number, means something else.
        let mut key = format!("events/{}/{window}/{threshold}/", self.name);
        digits::push(&mut key, hashed.place % SETS);
        for _ in 0..ATTEMPTS {
            let seen = host.cell(&key).ok()?;
            let read = seen.as_ref().and_then(|(bytes, _)| Set::read(bytes));
            let mut set = read.unwrap_or_default();
            let failures = set.failed(hashed.tag, now, window, threshold);
            let written = match seen {
                None => host.create_cell(&key, &set.bytes()),
                Some((_, mark)) => host.compare_and_swap(&key, Some(mark), &set.bytes()),
            };
            if written.ok()? == CasResult::Written {
                return failures;
            }
        }
        None
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Set {
    fn failed(&mut self, tag: u64, now: u64, window: u64, threshold: u32) -> Option<u32> {
        // A time to come, but for what workers look at the clock one after the other, nobody here wrote.
        let over = |place: &SourceSlot| now.abs_diff(place.since) >= window;
        let Set(places) = self;
        let found = places.iter().position(|place| place.tag == tag);
        let place = match found {
            Some(found) => places.get_mut(found)?,
            // Who has failed least, or not lately, makes room.
            None => {
                let weight = |place: &&mut SourceSlot| if over(place) { 0 } else { place.failures };
                places.iter_mut().min_by_key(weight)?
            }
        };
        if place.tag != tag || over(place) {
            *place = SourceSlot {
                tag,
                since: now,
                ..SourceSlot::default()
            };
        }
        place.failures = place.failures.saturating_add(1);
        if place.told != 0 || place.failures < threshold {
            return None;
        }
        place.told = 1;
        Some(place.failures)
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = FORMAT.to_vec();
        for place in &self.0 {
            bytes.extend_from_slice(&place.tag.to_le_bytes());
            bytes.extend_from_slice(&place.since.to_le_bytes());
            bytes.extend_from_slice(&place.failures.to_le_bytes());
            bytes.extend_from_slice(&place.told.to_le_bytes());
        }
        bytes
    }

    /// None of bytes of another format.
    fn read(bytes: &[u8]) -> Option<Self> {
        let (words, []) = bytes.strip_prefix(&FORMAT)?.as_chunks::<4>() else {
            return None;
        };
        let mut words = words.iter().map(|word| u32::from_le_bytes(*word));
        let mut set = Set::default();
        for place in &mut set.0 {
            let mut long = || {
                let (low, high) = (words.next()?, words.next()?);
                Some(u64::from(low) | u64::from(high) << 32)
            };
            let (tag, since) = (long()?, long()?);
            *place = SourceSlot {
                tag,
                since,
                failures: words.next()?,
                told: words.next()?,
            };
        }
        words.next().is_none().then_some(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_memory_host::MemoryHost;

    const WINDOW: Duration = Duration::from_secs(60);

    fn at(second: u64) -> Duration {
        Duration::from_secs(second)
    }

    /// A failure as a worker of its own sees it.
    fn failed(host: &MemoryHost, source: u32, threshold: u32) -> Option<u32> {
        let source = IpAddr::V4(source.into());
        FailureCounters::default().failed(source, WINDOW, threshold, host)
    }

    #[test]
    fn the_threshold_is_told_once_in_a_window_whichever_workers_see_it() {
        let proxy = MemoryHost::new();
        let told = |second: u64| {
            proxy.set_now(at(1000 + second));
            failed(&proxy, 7, 3)
        };
        assert_eq!(
            [told(0), told(1), told(2), told(3)],
            [None, None, Some(3), None]
        );
        // A new window begins with the first failure after the end of the last.
        assert_eq!([told(61), told(62)], [None, None]);
        proxy.lose_writes(5);
        assert_eq!(told(63), Some(3));
        proxy.lose_writes(u32::MAX);
        assert_eq!(told(200), None);
    }

    #[test]
    fn documents_with_other_numbers_do_not_disturb_each_other() {
        let proxy = MemoryHost::new();
        let asked = |window: u64, threshold| {
            let source = IpAddr::V4(7.into());
            FailureCounters::default().failed(
                source,
                Duration::from_secs(window),
                threshold,
                &proxy,
            )
        };
        proxy.set_now(at(1000));
        for second in 1000..1004 {
            proxy.set_now(at(second));
            assert_eq!(asked(60, 5), None);
            assert!(asked(1, 5).is_none() && asked(60, 50).is_none());
        }
        assert_eq!((asked(60, 5), asked(1, 5)), (Some(5), None));
    }

    #[test]
    fn a_flood_of_sources_neither_grows_it_nor_hides_one_that_goes_on() {
        let proxy = MemoryHost::new();
        proxy.set_now(at(1000));
        for _ in 0..5 {
            assert_eq!(failed(&proxy, 7, 10), None);
        }
        for other in 100..50_100 {
            assert_eq!(failed(&proxy, other, 10), None);
        }
        // One more is the seed.
        assert_eq!(proxy.cells().keys().count() as u64, SETS + 1);
        let told = (0..5).filter_map(|_| failed(&proxy, 7, 10));
        assert_eq!(told.collect::<Vec<_>>(), [10]);
    }

    #[test]
    fn bytes_of_others_are_written_over() {
        let proxy = MemoryHost::new();
        assert_eq!(failed(&proxy, 7, 2), None);
        let cells = proxy.cells();
        for key in cells.keys().filter(|key| key.starts_with("events/")) {
            let (mut bytes, _) = cells.read(key).unwrap();
            assert!(Set::read(&bytes).is_some());
            let short = bytes.len() - 4;
            assert!(Set::read(&bytes[..short]).is_none());
            bytes.push(0);
            assert!(Set::read(&bytes).is_none());
            proxy.set_cell(key, &bytes).unwrap();
        }
        assert_eq!(
            [failed(&proxy, 7, 2), failed(&proxy, 7, 2)],
            [None, Some(2)]
        );
    }
}
