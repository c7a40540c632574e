//! Which documents have been told to be in force, as all workers of a proxy know it.
//!
//! Several can be in force at once under one lineage, on two listeners for one, and all workers
//! look at them one after the other. So a cell holds the last of them, each with the time at which
//! it was last seen to be alive, and one that is alive is not told again. All times are those of
//! the clock that does not step.

use std::time::Duration;

use portcullis_exchange::host::{CasResult, Host};

/// The shared cell.
const CELL: &str = "configuration";
/// The first bytes of it: ours, format 1.
const FORMAT: [u8; 8] = *b"pl-conf\x01";
/// So many documents are remembered.
const MOST: usize = 16;
/// How long one is taken to be alive after it was seen.
const ALIVE: Duration = Duration::from_secs(60);
/// How often one that is alive says so.
const OFTEN: Duration = Duration::from_secs(15);
/// How often to try again when another worker was quicker.
const ATTEMPTS: usize = 16;

/// The first bytes of a document's SHA-256.
pub(super) type Hash = [u8; 4];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Seen {
    hash: Hash,
    /// Milliseconds.
    at: u64,
}

/// The news of a document that is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct News {
    /// The one that was told before, if one was.
    pub(super) previous: Option<Hash>,
}

/// Notes that a document is in force. News, if that has not been told.
pub(super) fn announce(hash: Hash, host: &dyn Host) -> Option<News> {
    let now = u64::try_from(host.monotonic().as_millis()).unwrap_or(u64::MAX);
    let within = |seen: &Seen, time: Duration| u128::from(now.abs_diff(seen.at)) < time.as_millis();
    for _ in 0..ATTEMPTS {
        let (bytes, mark) = match host.cell(CELL).ok()? {
            Some((bytes, mark)) => (bytes, Some(mark)),
            None => (Vec::new(), None),
        };
        let mut all = read(&bytes);
        let found = all.iter().find(|seen| seen.hash == hash).copied();
        if found.is_some_and(|seen| within(&seen, OFTEN)) {
            return None;
        }
        let is_known = found.is_some_and(|seen| within(&seen, ALIVE));
        let previous = all.first().map(|seen| seen.hash);
        if is_known {
            // It keeps its place: the first is the one that was told last.
            for seen in all.iter_mut().filter(|seen| seen.hash == hash) {
                seen.at = now;
            }
        } else {
            all.retain(|seen| seen.hash != hash);
            all.insert(0, Seen { hash, at: now });
            all.truncate(MOST);
        }
        let bytes = write(&all);
        let written = match mark {
            None => host.create_cell(CELL, &bytes),
            Some(mark) => host.compare_and_swap(CELL, Some(mark), &bytes),
        };
        if written.ok()? == CasResult::Written {
            return (!is_known).then_some(News { previous });
        }
    }
    None
}

fn write(all: &[Seen]) -> Vec<u8> {
    let mut bytes = FORMAT.to_vec();
    for seen in all {
        bytes.extend_from_slice(&seen.hash);
        bytes.extend_from_slice(&seen.at.to_le_bytes());
    }
    bytes
}

/// None of bytes of another format.
fn read(bytes: &[u8]) -> Vec<Seen> {
    let Some((entries, [])) = bytes
        .strip_prefix(&FORMAT)
        .map(|rest| rest.as_chunks::<12>())
    else {
        return Vec::new();
    };
    let one = |entry: &[u8; 12]| {
        let (hash, at) = entry.split_first_chunk()?;
        let at = u64::from_le_bytes(at.try_into().ok()?);
        Some(Seen { hash: *hash, at })
    };
    entries.iter().take(MOST).filter_map(one).collect()
}
