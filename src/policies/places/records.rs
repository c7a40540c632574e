//! What one cell holds: who has how many requests under way, and how many that wait, in which worker.

/// The first bytes of a cell: ours, format 1.
const FORMAT: [u8; 4] = *b"plc\x01";

/// The length of a record.
const SIZE: usize = 24;

/// A cell has no more records: each is of one caller in one worker, for as long as it has requests there.
pub(super) const MOST: usize = 256;

/// The most bytes that a cell has.
pub(super) const MOST_BYTES: usize = SIZE * MOST + FORMAT.len();

/// The records of a cell.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Records(Vec<PlaceRecord>);

/// What one caller has in one worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PlaceRecord {
    pub(super) tag: u64,
    pub(super) holder: u64,
    pub(super) taken: u32,
    pub(super) waiting: u32,
}

/// What all workers have of one caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PlaceSum {
    pub(super) taken: u64,
    pub(super) waiting: u64,
}

impl Records {
    /// Reads a cell. None if nobody of ours has written it.
    pub(super) fn read(cell: &[u8]) -> Option<Self> {
        let rest = cell.strip_prefix(&FORMAT)?;
        let (records, []) = rest.as_chunks::<SIZE>() else {
            return None;
        };
        if records.len() > MOST {
            return None;
        }
        Some(Self(records.iter().map(PlaceRecord::read).collect()))
    }

    /// The bytes of the cell.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let size = self.0.len().saturating_mul(SIZE);
        let mut cell = Vec::with_capacity(size.saturating_add(FORMAT.len()));
        cell.extend_from_slice(&FORMAT);
        for PlaceRecord {
            tag,
            holder,
            taken,
            waiting,
        } in &self.0
        {
            cell.extend_from_slice(&tag.to_le_bytes());
            cell.extend_from_slice(&holder.to_le_bytes());
            cell.extend_from_slice(&taken.to_le_bytes());
            cell.extend_from_slice(&waiting.to_le_bytes());
        }
        cell
    }

    /// What there is of a caller.
    pub(super) fn of(&self, tag: u64) -> PlaceSum {
        let records = self.0.iter().filter(|record| record.tag == tag);
        records.fold(PlaceSum::default(), |sum, record| PlaceSum {
            taken: sum.taken.saturating_add(record.taken.into()),
            waiting: sum.waiting.saturating_add(record.waiting.into()),
        })
    }

    /// What one worker has of a caller, to be changed, if there is anything.
    pub(super) fn known(&mut self, tag: u64, holder: u64) -> Option<&mut PlaceRecord> {
        let mut all = self.0.iter_mut();
        all.find(|record| (record.tag, record.holder) == (tag, holder))
    }

    /// The same, with a record for it if there is none; none if there is no room for one.
    pub(super) fn own(&mut self, tag: u64, holder: u64) -> Option<&mut PlaceRecord> {
        let mut all = self.0.iter();
        let is_it = |record: &PlaceRecord| (record.tag, record.holder) == (tag, holder);
        let place = match all.position(is_it) {
            Some(place) => place,
            None if self.0.len() < MOST => {
                self.0.push(PlaceRecord {
                    tag,
                    holder,
                    taken: 0,
                    waiting: 0,
                });
                self.0.len().saturating_sub(1)
            }
            None => return None,
        };
        self.0.get_mut(place)
    }

    /// Leaves out those in which nothing stands.
    pub(super) fn trim(&mut self) {
        self.0
            .retain(|record| record.taken > 0 || record.waiting > 0);
    }

    /// Leaves out what those hold who are gone. How many places that were.
    pub(super) fn lapse(&mut self, is_gone: impl Fn(u64) -> bool) -> u64 {
        let mut lapsed = 0_u64;
        self.0.retain(|record| {
            let is_gone = is_gone(record.holder);
            if is_gone {
                lapsed = lapsed.saturating_add(record.taken.into());
            }
            !is_gone
        });
        lapsed
    }
}

impl PlaceRecord {
    fn read(bytes: &[u8; SIZE]) -> Self {
        let word = |start: usize| {
            let bytes = bytes.get(start..).and_then(<[u8]>::first_chunk);
            bytes.map_or(0, |bytes| u64::from_le_bytes(*bytes))
        };
        let half = |start: usize| {
            let bytes = bytes.get(start..).and_then(<[u8]>::first_chunk);
            bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
        };
        Self {
            tag: word(0),
            holder: word(8),
            taken: half(16),
            waiting: half(20),
        }
    }
}
