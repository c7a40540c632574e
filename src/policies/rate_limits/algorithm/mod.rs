//! The ways to count.
//!
//! # A new algorithm
//!
//! One file here with a type that implements [`Algorithm`], a `mod` line, and one line in the list
//! `algorithms!` below. Limits and tiers take their field from its name, messages are made from the
//! list, and `laws` holds every algorithm of it to the same laws.

#![deny(clippy::arithmetic_side_effects)]

pub mod gcra;
#[cfg(test)]
#[allow(
    clippy::arithmetic_side_effects,
    reason = "numbers of a test are small"
)]
mod laws;
pub mod sliding_window;

use std::fmt;
use std::time::Duration;

use self::gcra::Gcra;
use self::sliding_window::SlidingWindow;
use portcullis_document::{Fields, Node, Problems, Quoted};

/// What a limit or a tier can count by. All arithmetic is on numbers of nanoseconds, and of
/// requests or what they cost.
pub trait Algorithm: Copy + Eq + fmt::Debug {
    /// The field of a limit or a tier, with its numbers.
    const NAME: &'static str;
    /// Tells it from others in the keys of cells. INVARIANT: it never changes, and no other
    /// algorithm ever has it.
    const ID: u64;
    /// How many numbers of a [`State`] it uses.
    const WIDTH: usize;

    /// Reads the numbers.
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self>;

    /// The same, for costs that become known afterwards: a caller can owe as much as it has.
    #[must_use]
    fn with_debt(self) -> Self;

    /// The same, for requests that wait for their turn: so long at most, and so many of them, or of what they cost,
    /// at once. None if it knows no turns.
    #[must_use]
    fn with_delay(self, longest: u64, queue: u64) -> Option<Self> {
        let _ = (longest, queue);
        None
    }

    /// How long until it is the turn of a request that led to this state.
    fn turn(&self, after: State, now: u64) -> u64 {
        let _ = (after, now);
        0
    }

    /// What its states cannot be read without; a cell with another is of no use.
    fn scale(&self) -> u64;

    /// All its numbers: with the same, a state means the same.
    fn meaning(&self) -> [u64; 3];

    /// The most that passes at once.
    fn quota(&self) -> u64;

    /// The time in which so much passes.
    fn period(&self) -> u64;

    /// The state of a caller who has not asked for anything.
    fn fresh(&self, now: u64) -> State;

    /// Whether a state is as good as none.
    fn is_fresh(&self, state: State, now: u64) -> bool;

    /// The state as it is to be believed now.
    fn settle(&self, state: State, now: u64) -> State;

    /// The state after a request.
    ///
    /// # Errors
    /// How long until it would pass, in nanoseconds.
    fn spend(&self, state: State, now: u64, cost: u64) -> Result<State, u64>;

    /// The state after a cost that is charged in any case.
    fn charge(&self, state: State, now: u64, cost: u64) -> State;

    /// What to keep of a charge that led to this state.
    fn receipt(&self, after: State) -> Receipt;

    /// The state after so much of a charge has been taken back.
    fn refund(&self, state: State, receipt: Receipt, now: u64, cost: u64) -> State;

    /// How much passes now.
    fn remaining(&self, state: State, now: u64) -> u64;

    /// How long until all of it would pass again, in nanoseconds.
    fn resets_in(&self, state: State, now: u64) -> u64;

    /// How much has been used, to compare callers by.
    fn load(&self, state: State, now: u64) -> u128;

    /// How much passes now, and how long until a request of that cost passes if it does not now or has to wait for its
    /// turn, and otherwise until all of it would pass again; in nanoseconds.
    fn standing(&self, state: State, now: u64, cost: u64) -> (u64, u64) {
        let reset = match self.spend(state, now, cost) {
            Ok(after) => match self.turn(after, now) {
                0 => self.resets_in(state, now),
                turn => turn,
            },
            Err(wait) => wait,
        };
        (self.remaining(state, now), reset)
    }

    /// The state after a request that passes, of a caller who is alone in a cell with that floor; and whether the
    /// caller's state was as good as none. None where there is no room, or a state is not to be believed as it is.
    fn charge_alone(
        &self,
        floor: State,
        known: State,
        now: u64,
        cost: u64,
    ) -> Option<(State, bool)> {
        let stands = |state| self.settle(state, now) == state;
        (stands(floor) && stands(known)).then_some(())?;
        let is_fresh = self.is_fresh(known, now);
        let before = match is_fresh {
            // It is as good as unknown.
            true => self.merge(floor, self.fresh(now), now),
            false => known,
        };
        Some((self.spend(before, now, cost).ok()?, is_fresh))
    }

    /// A state in which at no time more passes than in either.
    fn merge(&self, one: State, other: State, now: u64) -> State;

    /// Some of it with numbers of all sizes, for the laws.
    #[cfg(test)]
    fn samples() -> Vec<Self>;
}

/// What is known of one caller: numbers that mean something to one algorithm.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct State(pub [u64; 2]);

/// What it takes to take a charge back: what it led to, or when it was made, in the algorithm's own
/// measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Receipt(pub(super) u64);

impl Receipt {
    /// Whether this is the state that the charge led to: nobody has charged since, or all who did took it back.
    pub(super) fn is_last(self, State([state, _]): State) -> bool {
        self.0 == state
    }

    /// The state that the charge led to.
    pub(super) fn state(self) -> State {
        State([self.0, 0])
    }
}

/// An algorithm of the list.
#[derive(Debug)]
pub struct AlgorithmEntry {
    /// The field that holds its numbers.
    pub name: &'static str,
    read: fn(&Node<'_>, &mut Problems) -> Option<LimitAlgorithm>,
    #[cfg(test)]
    samples: fn() -> Vec<LimitAlgorithm>,
}

/// Makes one type of all algorithms. Which of them a limit has is a `match` and no call through a
/// pointer: a request settles every caller of its cell.
macro_rules! algorithms {
    ($dollar:tt $($algorithm:ident),+ $(,)?) => {
        /// How requests are counted, and how many pass.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum LimitAlgorithm {
            $(
                /// By that algorithm.
                $algorithm($algorithm)
            ),+
        }

        /// Every algorithm.
        pub const ALGORITHMS: &[AlgorithmEntry] = &[$(AlgorithmEntry {
            name: $algorithm::NAME,
            read: |node, problems| $algorithm::read(node, problems).map(LimitAlgorithm::$algorithm),
            #[cfg(test)]
            samples: || $algorithm::samples().into_iter().map(LimitAlgorithm::$algorithm).collect(),
        }),+];

        $(impl From<$algorithm> for LimitAlgorithm {
            fn from(algorithm: $algorithm) -> Self {
                LimitAlgorithm::$algorithm(algorithm)
            }
        })+

        /// What an expression comes to for the algorithm of a rule.
        macro_rules! of_each {
            ($dollar rule:expr, $dollar each:ident => $dollar value:expr) => {
                match $dollar rule {
                    $(LimitAlgorithm::$algorithm($dollar each) => $dollar value),+
                }
            };
        }
    };
}

algorithms! {
    $
    Gcra,
    SlidingWindow,
}

/// How many numbers of a state an algorithm uses, and what tells it from others.
fn constants<A: Algorithm>(_: &A) -> (usize, u64) {
    (A::WIDTH, A::ID)
}

impl LimitAlgorithm {
    /// [`Algorithm::WIDTH`]
    pub fn width(&self) -> usize {
        of_each!(self, each => constants(each).0)
    }

    /// All that it is, in numbers: two rules with the same read a state alike.
    pub fn meaning(&self) -> [u64; 4] {
        let [one, two, three] = of_each!(self, each => Algorithm::meaning(each));
        [of_each!(self, each => constants(each).1), one, two, three]
    }

    /// Whether more passes by it than by another: at once, or in time.
    pub fn is_wider_than(&self, other: &Self) -> bool {
        let numbers = |rule: &Self| (u128::from(rule.quota()), u128::from(rule.period()));
        let ((own, own_period), (others, other_period)) = (numbers(self), numbers(other));
        own > others || own.saturating_mul(other_period) > others.saturating_mul(own_period)
    }

    /// [`Algorithm::with_debt`]
    #[must_use]
    pub fn with_debt(self) -> Self {
        of_each!(self, each => Algorithm::with_debt(each).into())
    }

    /// [`Algorithm::with_delay`]
    #[must_use]
    pub fn with_delay(self, longest: u64, queue: u64) -> Option<Self> {
        of_each!(self, each => Algorithm::with_delay(each, longest, queue).map(Into::into))
    }

    /// [`Algorithm::turn`]
    pub fn turn(&self, after: State, now: u64) -> u64 {
        of_each!(self, each => Algorithm::turn(each, after, now))
    }

    /// [`Algorithm::scale`]
    pub fn scale(&self) -> u64 {
        of_each!(self, each => Algorithm::scale(each))
    }

    /// [`Algorithm::quota`]
    pub fn quota(&self) -> u64 {
        of_each!(self, each => Algorithm::quota(each))
    }

    /// [`Algorithm::period`]
    pub fn period(&self) -> u64 {
        of_each!(self, each => Algorithm::period(each))
    }

    /// [`Algorithm::fresh`]
    #[inline]
    pub fn fresh(&self, now: u64) -> State {
        of_each!(self, each => Algorithm::fresh(each, now))
    }

    /// [`Algorithm::is_fresh`]
    #[inline]
    pub fn is_fresh(&self, state: State, now: u64) -> bool {
        of_each!(self, each => Algorithm::is_fresh(each, state, now))
    }

    /// [`Algorithm::settle`]
    #[inline]
    pub fn settle(&self, state: State, now: u64) -> State {
        of_each!(self, each => Algorithm::settle(each, state, now))
    }

    /// [`Algorithm::spend`]
    ///
    /// # Errors
    /// How long until it would pass, in nanoseconds.
    pub fn spend(&self, state: State, now: u64, cost: u64) -> Result<State, u64> {
        of_each!(self, each => Algorithm::spend(each, state, now, cost))
    }

    /// [`Algorithm::charge`]
    pub fn charge(&self, state: State, now: u64, cost: u64) -> State {
        of_each!(self, each => Algorithm::charge(each, state, now, cost))
    }

    /// [`Algorithm::receipt`]
    pub fn receipt(&self, after: State) -> Receipt {
        of_each!(self, each => Algorithm::receipt(each, after))
    }

    /// [`Algorithm::refund`]
    pub fn refund(&self, state: State, receipt: Receipt, now: u64, cost: u64) -> State {
        of_each!(self, each => Algorithm::refund(each, state, receipt, now, cost))
    }

    /// [`Algorithm::remaining`]
    pub fn remaining(&self, state: State, now: u64) -> u64 {
        of_each!(self, each => Algorithm::remaining(each, state, now))
    }

    /// [`Algorithm::resets_in`]
    pub fn resets_in(&self, state: State, now: u64) -> u64 {
        of_each!(self, each => Algorithm::resets_in(each, state, now))
    }

    /// [`Algorithm::standing`]
    pub fn standing(&self, state: State, now: u64, cost: u64) -> (u64, u64) {
        of_each!(self, each => Algorithm::standing(each, state, now, cost))
    }

    /// [`Algorithm::charge_alone`]
    #[inline]
    pub fn charge_alone(
        &self,
        floor: State,
        known: State,
        now: u64,
        cost: u64,
    ) -> Option<(State, bool)> {
        of_each!(self, each => Algorithm::charge_alone(each, floor, known, now, cost))
    }

    /// [`Algorithm::load`]
    pub fn load(&self, state: State, now: u64) -> u128 {
        of_each!(self, each => Algorithm::load(each, state, now))
    }

    /// [`Algorithm::merge`]
    pub fn merge(&self, one: State, other: State, now: u64) -> State {
        of_each!(self, each => Algorithm::merge(each, one, other, now))
    }
}

/// The names of all algorithms.
pub fn names() -> impl Iterator<Item = &'static str> {
    ALGORITHMS.iter().map(|each| each.name)
}

/// Reads the field of an algorithm. `Some(None)` when there is none.
pub(super) fn read(
    fields: &mut Fields<'_>,
    problems: &mut Problems,
) -> Option<Option<LimitAlgorithm>> {
    let written = ALGORITHMS.iter();
    let written = written.filter_map(|each| Some((each, fields.optional(each.name)?)));
    let written: Vec<(&AlgorithmEntry, Node<'_>)> = written.collect();
    match &written[..] {
        [] => Some(None),
        [(algorithm, node)] => (algorithm.read)(node, problems).map(Some),
        [(first, _), (_, second), ..] => {
            let name = first.name;
            second.report(
                problems,
                format_args!("cannot stand beside `{name}`; make it a limit of its own"),
            );
            None
        }
    }
}

/// Notes that there is no algorithm.
pub(super) fn lacks(fields: &mut Fields<'_>, problems: &mut Problems) {
    let quoted: Vec<String> = names().map(|name| Quoted(name).to_string()).collect();
    let names: Vec<&str> = names().collect();
    fields.lacks(
        &names,
        problems,
        format_args!("needs {}", quoted.join(" or ")),
    );
}

/// The longest time that anything of a limit may take: a hundred years. Sums of a few of these
/// and of any time since the machine began do not overflow.
pub const LONGEST: u64 = 100 * 366 * 24 * 3600 * 1_000_000_000;

/// A duration of the document or of the clock; five hundred years fit.
pub(super) fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
