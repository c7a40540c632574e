//! Waiting for a turn: how many requests of a VM do, of which policies.
//!
//! Whoever has a request wait for a time takes a place here first, and refuses it in its own words if there
//! is none. Waits for calls have bounds of their own: requests that are held up for their number keep none from
//! asking who sends it, and the other way round.

use std::cell::RefCell;
use std::collections::BTreeMap;

/// How many requests of a VM wait for a turn at once.
pub const MOST_TURNS: usize = 1000;

/// How many of them wait for the turns of one limit: one that is busy takes no room from the others.
pub const MOST_TURNS_OF_ONE: usize = MOST_TURNS / 2;

thread_local! {
    static TAKEN: RefCell<Taken> = const {
        RefCell::new(Taken { all: 0, each: BTreeMap::new() })
    };
}

struct Taken {
    all: usize,
    /// Of each limit that any request waits for.
    each: BTreeMap<usize, usize>,
}

/// One of the [`MOST_TURNS`] places. It is free again when this is dropped.
#[derive(Debug)]
pub struct TurnPlace(usize);

impl TurnPlace {
    /// A place for a request that waits for a turn of that limit, which has a number of its own; none if there
    /// is no room.
    pub fn take(limit: usize) -> Option<Self> {
        TAKEN.with(|taken| {
            let mut taken = taken.try_borrow_mut().ok()?;
            let of_limit = taken.each.get(&limit).copied().unwrap_or_default();
            if taken.all >= MOST_TURNS || of_limit >= MOST_TURNS_OF_ONE {
                return None;
            }
            taken.all = taken.all.saturating_add(1);
            taken.each.insert(limit, of_limit.saturating_add(1));
            Some(Self(limit))
        })
    }
}

impl Drop for TurnPlace {
    fn drop(&mut self) {
        TAKEN.with(|taken| {
            let Ok(mut taken) = taken.try_borrow_mut() else {
                return;
            };
            taken.all = taken.all.saturating_sub(1);
            let left = taken
                .each
                .get(&self.0)
                .map_or(0, |many| many.saturating_sub(1));
            match left {
                0 => taken.each.remove(&self.0),
                left => taken.each.insert(self.0, left),
            };
        });
    }
}

/// How many requests of this VM wait for a turn.
pub fn waiting_for_turns() -> usize {
    TAKEN.with(|taken| taken.try_borrow().map_or(0, |taken| taken.all))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_limit_leaves_room_for_others() {
        let take = |limit, many: usize| -> Vec<TurnPlace> {
            (0..many).map_while(|_| TurnPlace::take(limit)).collect()
        };
        let one = take(1, MOST_TURNS);
        assert_eq!(one.len(), MOST_TURNS_OF_ONE);
        let other = take(2, MOST_TURNS);
        assert_eq!(other.len(), MOST_TURNS - MOST_TURNS_OF_ONE);
        assert!(TurnPlace::take(3).is_none());
        drop(one);
        assert_eq!(waiting_for_turns(), other.len());
        assert!(TurnPlace::take(3).is_some());
        drop(other);
        assert_eq!(waiting_for_turns(), 0);
        TAKEN.with_borrow(|taken| assert!(taken.each.is_empty()));
    }
}
