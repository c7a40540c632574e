//! Cells for tests, as the proxy has them.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use crate::host::{
    CellUnavailable, Counter, Host, HostVerdict, Mark, Property, SignatureCheck, Swap,
};

/// All cells of a proxy. Marks come from one counter; a write is compared if it names a mark and
/// there is something to compare with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Cells {
    cells: BTreeMap<String, (Vec<u8>, u32)>,
    last_mark: u32,
}

impl Cells {
    pub(super) fn read(&self, key: &str) -> Option<(Vec<u8>, Mark)> {
        let (value, mark) = self.cells.get(key)?;
        Some((value.clone(), Mark(*mark)))
    }

    pub(super) fn write(&mut self, key: &str, seen: Option<Mark>, value: &[u8]) -> Swap {
        let there = self.cells.get(key).map(|(_, mark)| Mark(*mark));
        match (there, seen) {
            (Some(there), Some(seen)) if there != seen => Swap::Changed,
            _ => {
                self.last_mark += 1;
                let cell = (value.to_vec(), self.last_mark);
                self.cells.insert(key.to_owned(), cell);
                Swap::Written
            }
        }
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.cells.keys().map(String::as_str)
    }
}

/// A proxy with one worker.
#[derive(Default)]
pub(super) struct Alone {
    pub(super) cells: RefCell<Cells>,
    pub(super) counted: RefCell<Vec<Counter>>,
}

impl Host for Alone {
    fn wall_clock(&self) -> Duration {
        Duration::ZERO
    }
    fn count(&self, counter: Counter) {
        self.counted.borrow_mut().push(counter);
    }
    fn environment(&self, _: &str) -> Option<Vec<u8>> {
        None
    }
    fn verify_signature(&self, _: SignatureCheck<'_>) -> HostVerdict {
        HostVerdict::Unavailable
    }
    fn property(&self, _: Property) -> Option<Vec<u8>> {
        None
    }
    fn cell(&self, key: &str) -> Result<Option<(Vec<u8>, Mark)>, CellUnavailable> {
        Ok(self.cells.borrow().read(key))
    }
    fn swap_cell(
        &self,
        key: &str,
        seen: Option<Mark>,
        value: &[u8],
    ) -> Result<Swap, CellUnavailable> {
        Ok(self.cells.borrow_mut().write(key, seen, value))
    }
    fn random(&self) -> u64 {
        7
    }
}
