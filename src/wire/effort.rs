//! What judging a request may cost, counted before it is done.

use std::cell::Cell;

/// Steps that are left. A step takes some nanoseconds: a character of a text that is compared with
/// a pattern. Who is told that there are none left has not decided anything, and refuses.
#[derive(Debug)]
pub struct Effort {
    left: Cell<u64>,
    spent: Cell<bool>,
}

/// It would take more work than there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TooCostly;

/// What all that a document asks of the head of one request may cost.
pub const HEAD: u64 = 1_000_000;

impl Effort {
    /// So many steps.
    pub const fn new(steps: u64) -> Self {
        Self {
            left: Cell::new(steps),
            spent: Cell::new(false),
        }
    }

    /// Takes steps.
    ///
    /// # Errors
    /// [`TooCostly`] when there are not as many left, from then on.
    pub fn spend(&self, steps: u64) -> Result<(), TooCostly> {
        match self.left.get().checked_sub(steps) {
            Some(left) if !self.spent.get() => {
                self.left.set(left);
                Ok(())
            }
            _ => {
                self.left.set(0);
                self.spent.set(true);
                Err(TooCostly)
            }
        }
    }

    /// How many steps are left.
    pub fn left(&self) -> u64 {
        self.left.get()
    }

    /// Whether more was asked for than there was.
    pub fn is_spent(&self) -> bool {
        self.spent.get()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_spent_does_not_come_back() {
        let effort = Effort::new(10);
        assert_eq!(effort.spend(9), Ok(()));
        assert_eq!(effort.spend(1), Ok(()));
        assert!(!effort.is_spent());
        assert_eq!(effort.spend(1), Err(TooCostly));
        assert_eq!(effort.spend(0), Err(TooCostly));
        assert!(effort.is_spent());
    }
}
