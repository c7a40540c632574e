//! Turns that nobody takes, behind which others wait: when these leave as well, all are given back.

use super::algorithm::{Receipt, State};
use portcullis_exchange::seed::Hashed;
use portcullis_exchange::turn::MOST_TURNS;
use portcullis_wire::budget::{Reservation, Share};

/// Those of one table that requests of this worker gave up, and whose time has not come.
#[derive(Debug)]
pub(super) struct LostTurns {
    all: Vec<LostTurn>,
    memory: Reservation,
}

/// One of them.
#[derive(Clone, Copy, Debug)]
pub(super) struct LostTurn {
    pub(super) caller: Hashed,
    pub(super) receipt: Receipt,
    pub(super) cost: u64,
    /// When it would have come.
    pub(super) at: u64,
}

impl Default for LostTurns {
    fn default() -> Self {
        Self {
            all: Vec::new(),
            memory: Reservation::none(Share::Caches),
        }
    }
}

impl LostTurns {
    /// The one that led to that state, if its time has not come.
    pub(super) fn at(&self, caller: Hashed, state: State, now: u64) -> Option<LostTurn> {
        let turn = self.all.get(self.place(caller, state)?)?;
        (turn.at > now).then_some(*turn)
    }

    fn place(&self, caller: Hashed, state: State) -> Option<usize> {
        let is_it = |turn: &LostTurn| turn.caller == caller && turn.receipt.is_last(state);
        self.all.iter().position(is_it)
    }

    /// Takes out the one that led to that state, whose time has not come.
    pub(super) fn take_at(&mut self, caller: Hashed, state: State, now: u64) -> Option<LostTurn> {
        let place = self.place(caller, state)?;
        let turn = self.all.swap_remove(place);
        self.shrink();
        (turn.at > now).then_some(turn)
    }

    /// Notes one. Without memory for that, it is lost for good.
    pub(super) fn note(&mut self, turn: LostTurn, now: u64) {
        self.all.retain(|each| each.at > now);
        self.shrink();
        let has_room = self.all.len() < MOST_TURNS && turn.at > now;
        if has_room
            && self.memory.grow(size_of::<LostTurn>())
            && self.all.try_reserve_exact(1).is_ok()
        {
            self.all.push(turn);
        }
    }

    fn shrink(&mut self) {
        self.all.shrink_to_fit();
        let bytes = self.all.len().saturating_mul(size_of::<LostTurn>());
        self.memory.shrink_to(bytes);
    }
}
