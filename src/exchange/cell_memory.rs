//! What a worker wrote to cells last, so that it need not read them before it writes again.
//!
//! A write that names a mark stands only if the cell still has it. So a worker may guess which mark its
//! last write gave a cell: the next after the one that the write named. If nobody has written since, the
//! next write stands without a read before it; in all other cases it does not, and the cell is read.
//!
//! INVARIANT: a guess that fits is no accident. Marks count up, for each cell or for all cells together,
//! and a cell is never given one twice. The write named mark *c*, so its own is *c + 1* or, where others
//! have written to other cells meanwhile, a later one. In the second case *c + 1* went to another cell
//! before, and this cell never has it.
//!
//! That holds until marks begin anew, after four thousand million of them: what is remembered is
//! [`forgotten`](CellMemory::age) long before. A host that numbers in another way sees guesses that do not
//! fit; after some of them none is made for a while.

use portcullis_wire::budget::{Reservation, Share};

use crate::host::{CasResult, CasToken};

/// How many cells are remembered at once: few are written by one request after the other.
const PLACES: usize = 16;

/// The longest key or value that is remembered.
const LONGEST: usize = 2048;

/// So many guesses in a row that do not fit, and none is made for a while.
const FAILURES: u32 = 8;

/// So many times [`CellMemory::age`] is called meanwhile.
const PAUSE: u32 = 20;

/// What one worker remembers of cells.
#[derive(Debug)]
pub struct CellMemory {
    places: [Option<Known>; PLACES],
    /// The mark that was guessed and has not been named yet.
    guessed: Option<u32>,
    failures: u32,
    pause: u32,
    memory: Reservation,
}

/// A cell as it was written.
#[derive(Debug)]
struct Known {
    key: Box<str>,
    value: Vec<u8>,
    mark: u32,
}

impl Default for CellMemory {
    fn default() -> Self {
        Self {
            places: [const { None }; PLACES],
            guessed: None,
            failures: 0,
            pause: 0,
            memory: Reservation::none(Share::Caches),
        }
    }
}

impl CellMemory {
    /// What was written to a cell, and the mark that it then has. It is not remembered any more: the
    /// write that follows is.
    #[inline]
    pub fn take(&mut self, key: &str) -> Option<(Vec<u8>, CasToken)> {
        let place = self.places.get_mut(place(key))?;
        if place.as_ref()?.key.as_ref() != key {
            return None;
        }
        let known = place.take()?;
        self.shrink(known.memory());
        self.guessed = Some(known.mark);
        Some((known.value, CasToken(known.mark)))
    }

    /// Notes a write and what became of it.
    #[inline]
    pub fn wrote(&mut self, key: &str, seen: Option<CasToken>, value: &[u8], became: CasResult) {
        let guessed = self.guessed.take();
        let Some(CasToken(seen)) = seen else {
            return;
        };
        let was_guess = guessed == Some(seen);
        match became {
            CasResult::Written if was_guess => self.failures = 0,
            CasResult::Changed if was_guess => {
                self.failures = self.failures.saturating_add(1);
                if self.failures >= FAILURES {
                    (self.failures, self.pause) = (0, PAUSE);
                    self.forget();
                }
            }
            CasResult::Written | CasResult::Changed => {}
        }
        if became == CasResult::Written && self.pause == 0 {
            self.remember(key, value, seen);
        }
    }

    /// Changes what was written to a cell and writes that, by the mark which the cell then has. None, and nothing
    /// has been written, if it is not remembered or `change` has not changed it.
    #[inline]
    pub fn change<E>(
        &mut self,
        key: &str,
        change: &mut dyn FnMut(&mut [u8]) -> bool,
        write: impl FnOnce(&[u8], CasToken) -> Result<CasResult, E>,
    ) -> Option<Result<CasResult, E>> {
        let known = self.places.get_mut(place(key))?.as_mut()?;
        if known.key.as_ref() != key || !change(&mut known.value) {
            return None;
        }
        let became = write(&known.value, CasToken(known.mark));
        let next = known.mark.checked_add(1);
        match (&became, next.filter(|mark| *mark != u32::MAX)) {
            (Ok(CasResult::Written), Some(next)) => {
                known.mark = next;
                self.failures = 0;
            }
            _ => self.changed_amiss(key, became.as_ref().ok().copied()),
        }
        Some(became)
    }

    /// What is remembered of a cell is not what it has now, or its next mark means something else.
    #[cold]
    #[inline(never)]
    fn changed_amiss(&mut self, key: &str, became: Option<CasResult>) {
        if let Some((_, mark)) = self.take(key)
            && let Some(became) = became
        {
            // Written, it is not remembered: its next mark means something else.
            self.wrote(key, Some(mark), &[], became);
        }
        self.guessed = None;
    }

    /// Forgets everything; called every so often, so that nothing is remembered for long.
    pub fn age(&mut self) {
        self.forget();
        self.pause = self.pause.saturating_sub(1);
    }

    fn forget(&mut self) {
        self.places = [const { None }; PLACES];
        self.guessed = None;
        self.memory = Reservation::none(Share::Caches);
    }

    fn remember(&mut self, key: &str, value: &[u8], seen: u32) {
        // No mark is 0, which hosts take for none, and none is the last, which no cell has.
        let Some(mark) = seen.checked_add(1).filter(|mark| *mark != u32::MAX) else {
            return;
        };
        if key.len() > LONGEST || value.len() > LONGEST {
            return;
        }
        let known = Known {
            key: key.into(),
            value: value.to_vec(),
            mark,
        };
        let before = self.places.get_mut(place(key)).and_then(Option::take);
        self.shrink(before.map_or(0, |before| before.memory()));
        if self.memory.grow(known.memory())
            && let Some(place) = self.places.get_mut(place(key))
        {
            *place = Some(known);
        }
    }

    #[inline]
    fn shrink(&mut self, by: usize) {
        self.memory
            .shrink_to(self.memory.bytes().saturating_sub(by));
    }
}

impl Known {
    #[inline]
    fn memory(&self) -> usize {
        self.key.len().saturating_add(self.value.capacity())
    }
}

/// Where a cell is remembered. Keys of one kind differ in their last bytes.
#[inline]
fn place(key: &str) -> usize {
    let mut bytes = key.bytes().rev();
    let (last, before) = (bytes.next(), bytes.next());
    let sum = last
        .unwrap_or_default()
        .wrapping_add(before.unwrap_or_default().wrapping_mul(10));
    usize::from(sum) % PLACES
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::budget::used;

    const KEY: &str = "limits/a/1";

    #[test]
    fn a_write_that_stands_is_remembered_with_the_next_mark() {
        let mut memory = CellMemory::default();
        assert_eq!(memory.take(KEY), None);
        memory.wrote(KEY, Some(CasToken(7)), b"state", CasResult::Written);
        assert_eq!(memory.take("limits/b/1"), None);
        assert_eq!(memory.take(KEY), Some((b"state".to_vec(), CasToken(8))));
        assert_eq!(memory.take(KEY), None, "until it is written again");
        memory.wrote(KEY, Some(CasToken(8)), b"more", CasResult::Written);
        assert_eq!(memory.take(KEY), Some((b"more".to_vec(), CasToken(9))));
        memory.wrote(KEY, Some(CasToken(9)), b"late", CasResult::Changed);
        assert_eq!(memory.take(KEY), None);
    }

    #[test]
    fn marks_that_mean_something_else_are_not_guessed() {
        let mut memory = CellMemory::default();
        for seen in [None, Some(CasToken(u32::MAX)), Some(CasToken(u32::MAX - 1))] {
            memory.wrote(KEY, seen, b"state", CasResult::Written);
            assert_eq!(memory.take(KEY), None, "{seen:?}");
        }
    }

    #[test]
    fn guesses_that_never_fit_are_given_up_for_a_while() {
        let mut memory = CellMemory::default();
        for round in 0..FAILURES {
            memory.wrote(KEY, Some(CasToken(1)), b"state", CasResult::Written);
            assert!(memory.take(KEY).is_some(), "{round}");
            memory.wrote(KEY, Some(CasToken(2)), b"state", CasResult::Changed);
        }
        for _ in 0..PAUSE {
            memory.wrote(KEY, Some(CasToken(1)), b"state", CasResult::Written);
            assert_eq!(memory.take(KEY), None);
            memory.age();
        }
        memory.wrote(KEY, Some(CasToken(1)), b"state", CasResult::Written);
        assert!(memory.take(KEY).is_some());
    }

    /// Changing in place comes to what taking and writing do, mark by mark.
    #[test]
    fn what_is_changed_in_place_is_remembered_as_if_written_anew() {
        let results = [
            Ok(CasResult::Written),
            Ok(CasResult::Written),
            Ok(CasResult::Changed),
            Err(()),
        ];
        for first in [1, 1000, u32::MAX - 4] {
            let (mut one, mut other) = (CellMemory::default(), CellMemory::default());
            let mut number = 0_usize;
            for round in 0..200_u32 {
                let mark = first.saturating_add(round % 7);
                for memory in [&mut one, &mut other] {
                    memory.wrote(KEY, Some(CasToken(mark)), b"state", CasResult::Written);
                }
                for _ in 0..round % 5 {
                    number += 1;
                    let became = results[(number / 3 + number * number) % results.len()];
                    let mut seen = None;
                    let changed = one.change(
                        KEY,
                        &mut |value| {
                            value[0] = value[0].wrapping_add(1);
                            true
                        },
                        |value, mark| {
                            seen = Some((value.to_vec(), mark));
                            became
                        },
                    );
                    let taken = other.take(KEY).map(|(mut value, mark)| {
                        value[0] = value[0].wrapping_add(1);
                        if let Ok(became) = became {
                            other.wrote(KEY, Some(mark), &value, became);
                        }
                        // A guess that came to nothing is no guess of the next write.
                        other.guessed = None;
                        (value, mark)
                    });
                    assert_eq!(seen, taken);
                    assert_eq!(changed, taken.map(|_| became));
                    assert_eq!(one.memory.bytes(), other.memory.bytes());
                    assert_eq!((one.failures, one.pause), (other.failures, other.pause));
                }
                assert_eq!(one.change(KEY, &mut |_| false, |_, _| Err(())), None);
                if round % 50 == 0 {
                    one.age();
                    other.age();
                }
            }
        }
    }

    #[test]
    fn what_is_remembered_is_of_the_budget_and_bounded() {
        let before = used(Share::Caches);
        let mut memory = CellMemory::default();
        for number in 0..1000 {
            let key = format!("limits/a/{number}");
            memory.wrote(
                &key,
                Some(CasToken(number)),
                &[0; LONGEST],
                CasResult::Written,
            );
            memory.wrote(
                &key,
                Some(CasToken(number)),
                &[0; LONGEST + 1],
                CasResult::Written,
            );
        }
        let taken = used(Share::Caches) - before;
        assert!(
            taken > LONGEST && taken < PLACES * (LONGEST + 64),
            "{taken}"
        );
        memory.age();
        assert_eq!(used(Share::Caches), before);
        memory.wrote(KEY, Some(CasToken(1)), b"state", CasResult::Written);
        drop(memory);
        assert_eq!(used(Share::Caches), before);
    }
}
