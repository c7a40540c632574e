//! Which response is in force, as workers tell one another.

use std::time::Duration;

/// Bytes in shared data are anybody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) fetched: Duration,
    pub(super) next_fetch: Duration,
    pub(super) digest: [u8; 32],
    pub(super) length: u32,
}

impl Record {
    const FORMAT: u8 = 1;

    /// Whether another is of the same response.
    pub(super) fn is_of_same(&self, other: &Self) -> bool {
        (self.digest, self.length) == (other.digest, other.length)
    }

    /// A format number; two times in milliseconds, on the clock that does not step; the length and the
    /// digest of the response.
    pub(super) fn write(&self) -> Vec<u8> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let mut record = vec![Self::FORMAT];
        for time in [self.fetched, self.next_fetch] {
            record.extend_from_slice(&millis(time).to_le_bytes());
        }
        record.extend_from_slice(&self.length.to_le_bytes());
        record.extend_from_slice(&self.digest);
        record
    }

    pub(super) fn read(record: &[u8]) -> Option<Self> {
        let (format, rest) = record.split_first()?;
        (*format == Self::FORMAT).then_some(())?;
        let (fetched, rest) = rest.split_first_chunk()?;
        let (next_fetch, rest) = rest.split_first_chunk()?;
        let (length, digest) = rest.split_first_chunk()?;
        let time = |bytes: &[u8; 8]| Duration::from_millis(u64::from_le_bytes(*bytes));
        Some(Self {
            fetched: time(fetched),
            next_fetch: time(next_fetch),
            length: u32::from_le_bytes(*length),
            digest: digest.try_into().ok()?,
        })
    }
}
