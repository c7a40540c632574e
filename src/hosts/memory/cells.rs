//! Cells that workers share.

use std::collections::BTreeMap;

use portcullis_exchange::host::{CasResult, CasToken, CellUnavailable, Cells};

/// All cells of a proxy, with keys and values of 64 MiB at the most. Marks come from one counter;
/// a write is compared if it names a mark and there is something to compare with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct CellTable {
    cells: BTreeMap<String, (Vec<u8>, u32)>,
    last_mark: u32,
    /// Whether each cell has a counter of its own.
    apart: bool,
    /// Of keys and values.
    bytes: usize,
}

/// So many bytes are keys and values together at the most. No document makes cells of that size;
/// without a bound, what writes them would have to be trusted.
const MOST_BYTES: usize = 64 << 20;

/// Cells that take everything and keep nothing: each request is the first.
#[derive(Clone, Copy, Debug, Default)]
pub struct ForgetfulCells;

/// What is wrong with a host's cells, so that a test sees what happens then.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum CellFault {
    #[default]
    None,
    /// There is no access.
    Unavailable,
    /// So many writes come too late.
    Lost(u32),
}

impl CellTable {
    /// One in which the marks of each cell are counted apart, as another proxy might.
    pub fn numbered_apart() -> Self {
        Self {
            apart: true,
            ..Self::default()
        }
    }

    /// A cell, and the mark of its last change.
    pub fn read(&self, key: &str) -> Option<(Vec<u8>, CasToken)> {
        let (value, mark) = self.cells.get(key)?;
        Some((value.clone(), CasToken(*mark)))
    }

    /// Writes a cell, unless it has changed since it was `seen`.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn write(
        &mut self,
        key: &str,
        seen: Option<CasToken>,
        value: &[u8],
    ) -> Result<CasResult, CellUnavailable> {
        let there = self.cells.get(key);
        if let (Some((_, there)), Some(CasToken(seen))) = (there, seen)
            && *there != seen
        {
            return Ok(CasResult::Changed);
        }
        let before = there.map_or(0, |(value, _)| key.len().saturating_add(value.len()));
        let after = key.len().saturating_add(value.len());
        let bytes = self.bytes.saturating_sub(before).saturating_add(after);
        if bytes > MOST_BYTES {
            return Err(CellUnavailable);
        }
        let last_mark = match self.apart {
            true => there.map_or(0, |(_, mark)| *mark),
            false => self.last_mark,
        };
        self.bytes = bytes;
        self.last_mark = next(last_mark);
        let cell = (value.to_vec(), self.last_mark);
        self.cells.insert(key.to_owned(), cell);
        Ok(CasResult::Written)
    }

    /// The keys of all cells, in order.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.cells.keys().map(String::as_str)
    }
}

/// The mark after that. Two are never given: 0 is none, and the last is what
/// [`Cells::create_cell`] names as the mark that no cell has.
fn next(mark: u32) -> u32 {
    match mark.saturating_add(1) {
        u32::MAX => 1,
        next => next,
    }
}

impl Cells for ForgetfulCells {
    fn cell(&self, _: &str) -> Result<Option<(Vec<u8>, CasToken)>, CellUnavailable> {
        Ok(None)
    }

    fn compare_and_swap(
        &self,
        _: &str,
        _: Option<CasToken>,
        _: &[u8],
    ) -> Result<CasResult, CellUnavailable> {
        Ok(CasResult::Written)
    }
}
