//! Which signed messages have been accepted already, so that none is accepted twice.
//!
//! All workers share what is known: cells of a fixed number and size. A message is known by a keyed hash of what
//! makes it one (what is signed, its nonce) until its time is over anyway. Only what has been accepted is noted,
//! so nobody without a secret can fill the cells. INVARIANT: nothing is forgotten early. Where a cell is full
//! of messages whose time is not over, the next is not accepted.

#![deny(clippy::arithmetic_side_effects)]

use portcullis_exchange::host::{CasResult, Host};
use portcullis_exchange::seed::{Hashed, Seed, plain_hash};
use siphasher::sip128::SipHasher13;

/// Notes messages in the cells of one signer.
pub(super) struct ReplayFilter {
    prefix: String,
    cells: u64,
    seed: Seed,
}

/// What is known of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Seen {
    /// It is new, and has been noted.
    First,
    /// It has been noted before.
    Again,
    /// There is no room to note it.
    Full,
    /// The proxy does not give access to the cells, or others have changed them each time.
    Unknown,
}

/// Whether a message is to be noted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Noting {
    /// It is only looked whether it has been.
    Look,
    Note,
}

/// One message: its tag, and the second after which its time is over.
type NotedMessage = (u64, u64);

/// The first bytes of a cell: ours, format 1.
const FORMAT: [u8; 8] = *b"pl-sign\x01";
const RECORD_BYTES: usize = 16;
/// How many messages a cell holds at most: twice as many as are meant for it, since they are spread by chance.
const SLOTS: usize = 128;
const MEANT: u64 = 64;
/// How often to look again when other workers write at the same moment.
const ATTEMPTS: usize = 16;

/// How many messages one signer may have noted at a time, as the document says, unless it does.
pub(super) const USUAL_ENTRIES: u64 = 32_768;
/// The most that it may say.
pub(super) const MOST_ENTRIES: u64 = 1_048_576;

impl ReplayFilter {
    /// One for so many messages at a time.
    pub(super) fn new(signer: &str, entries: u64) -> Self {
        let cells = entries.div_ceil(MEANT).max(1);
        let [one, other] = plain_hash(&[signer.as_bytes(), &cells.to_le_bytes()]);
        Self {
            prefix: format!("signed/{one:016x}{other:016x}/"),
            cells,
            seed: Seed::default(),
        }
    }

    /// How many bytes its cells take in the proxy when all are full.
    pub(super) fn footprint(&self) -> u64 {
        let cell = SLOTS.saturating_mul(RECORD_BYTES).saturating_add(128);
        self.cells
            .saturating_mul(u64::try_from(cell).unwrap_or(u64::MAX))
    }

    /// What hashes a message; none if the proxy does not give access to the key.
    pub(super) fn hasher(&self, host: &dyn Host) -> Option<SipHasher13> {
        self.seed.hasher(host).ok()
    }

    /// Looks whether a message has been noted, whose time is over after the second `until`, and notes it if it
    /// is to be; `now` is the time in seconds. Where nothing can be written, nothing is.
    pub(super) fn seen(
        &self,
        hashed: Option<Hashed>,
        (until, now): (u64, u64),
        noting: Noting,
        host: &dyn Host,
    ) -> Seen {
        let only_looks = noting == Noting::Look || host.is_read_only();
        let Some(hashed) = hashed else {
            // Nobody has chosen a key yet, so nothing has been noted.
            let is_new = host.is_read_only() && host.cell(&self.prefix).is_ok();
            return if is_new { Seen::First } else { Seen::Unknown };
        };
        let cell = hashed.place.checked_rem(self.cells).unwrap_or(0);
        let key = format!("{}{cell}", self.prefix);
        for _ in 0..ATTEMPTS {
            let Ok(found) = host.cell(&key) else {
                return Seen::Unknown;
            };
            let (mut records, mark) = match found {
                None => (Vec::new(), None),
                Some((bytes, mark)) => match read(&bytes, now) {
                    Some(records) => (records, Some(mark)),
                    // Somebody else's bytes: what stood here is not known.
                    None => return Seen::Unknown,
                },
            };
            if records.iter().any(|(tag, _)| *tag == hashed.tag) {
                return Seen::Again;
            }
            if records.len() >= SLOTS {
                return Seen::Full;
            }
            if only_looks {
                return Seen::First;
            }
            records.push((hashed.tag, until));
            let bytes = written(&records);
            let became = match mark {
                None => host.create_cell(&key, &bytes),
                Some(mark) => host.compare_and_swap(&key, Some(mark), &bytes),
            };
            match became {
                Ok(CasResult::Written) => return Seen::First,
                Ok(CasResult::Changed) => {}
                Err(_) => return Seen::Unknown,
            }
        }
        Seen::Unknown
    }
}

/// The messages of a cell whose time is not over. None if the bytes are none of ours.
fn read(bytes: &[u8], now: u64) -> Option<Vec<NotedMessage>> {
    let (words, []) = bytes.strip_prefix(&FORMAT)?.as_chunks::<8>() else {
        return None;
    };
    let (pairs, []) = words.as_chunks::<2>() else {
        return None;
    };
    if pairs.len() > SLOTS {
        return None;
    }
    let records = pairs.iter().map(|pair| {
        let [tag, until] = pair.map(u64::from_le_bytes);
        (tag, until)
    });
    Some(records.filter(|(_, until)| *until >= now).collect())
}

fn written(records: &[NotedMessage]) -> Vec<u8> {
    let size = records.len().saturating_mul(RECORD_BYTES);
    let mut bytes = Vec::with_capacity(FORMAT.len().saturating_add(size));
    bytes.extend_from_slice(&FORMAT);
    for (tag, until) in records {
        bytes.extend_from_slice(&tag.to_le_bytes());
        bytes.extend_from_slice(&until.to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_memory_host::MemoryHost;
    use std::hash::Hasher as _;

    impl ReplayFilter {
        fn noted(&self, message: &[u8], until: u64, now: u64, host: &dyn Host) -> Seen {
            let hashed = self.hasher(host).map(|mut hasher| {
                hasher.write(message);
                Hashed::of(&hasher)
            });
            let times = (until, now);
            let looked = self.seen(hashed, times, Noting::Look, host);
            let noted = self.seen(hashed, times, Noting::Note, host);
            if noted != Seen::Unknown {
                assert_eq!(looked, noted);
            }
            noted
        }
    }

    #[test]
    fn a_message_is_known_by_all_workers_until_its_time_is_over() {
        let one = MemoryHost::new();
        let other = MemoryHost::new().with_cells_of(&one);
        let (here, there) = (ReplayFilter::new("a", 1000), ReplayFilter::new("a", 1000));
        assert_eq!(here.noted(b"m", 600, 100, &one), Seen::First);
        assert_eq!(there.noted(b"m", 600, 100, &other), Seen::Again);
        assert_eq!(there.noted(b"n", 600, 100, &other), Seen::First);
        assert_eq!(here.noted(b"m", 600, 600, &one), Seen::Again);
        // Nobody would accept it any more; so it is new to who asks all the same.
        assert_eq!(here.noted(b"m", 601, 601, &one), Seen::First);
        // Another signer has cells of its own.
        let another = ReplayFilter::new("b", 1000);
        assert_eq!(another.noted(b"n", 600, 100, &one), Seen::First);
    }

    #[test]
    fn nothing_is_forgotten_early() {
        let host = MemoryHost::new();
        let filter = ReplayFilter::new("a", 1);
        for number in 0_u64..128 {
            let seen = filter.noted(&number.to_le_bytes(), 50, 10, &host);
            assert_eq!(seen, Seen::First, "{number}");
        }
        assert_eq!(filter.noted(b"one more", 50, 10, &host), Seen::Full);
        assert_eq!(
            filter.noted(&7_u64.to_le_bytes(), 50, 10, &host),
            Seen::Again
        );
        assert_eq!(filter.noted(b"one more", 99, 51, &host), Seen::First);
        assert_eq!(filter.footprint(), 128 * 16 + 128);
    }

    #[test]
    fn what_cannot_be_known_is_not_taken_for_new() {
        let host = MemoryHost::new();
        let filter = ReplayFilter::new("a", 1);
        assert_eq!(filter.noted(b"m", 50, 10, &host), Seen::First);
        let key = format!("{}0", filter.prefix);
        for foreign in [
            &b""[..],
            b"pl-sign\x01123",
            b"pl-sign\x02",
            b"pl-sign\x0112345678",
        ] {
            host.set_cell(&key, foreign).unwrap();
            assert_eq!(filter.noted(b"m", 50, 10, &host), Seen::Unknown);
        }
        host.set_cell(&key, &written(&vec![(1, 99); SLOTS + 1]))
            .unwrap();
        assert_eq!(filter.noted(b"m", 50, 10, &host), Seen::Unknown);
        host.set_cell(&key, &FORMAT).unwrap();
        host.lose_writes(1000);
        assert_eq!(filter.noted(b"m", 50, 10, &host), Seen::Unknown);
        let shut = MemoryHost::new().without_cells();
        assert_eq!(filter.noted(b"m", 50, 10, &shut), Seen::Unknown);
    }
}
