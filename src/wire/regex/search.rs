//! Looking for an expression in a text: one step for a character, once it is known what follows
//! from what; what it costs to find that out is paid for.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;
use std::rc::Rc;

use siphasher::sip::SipHasher13;

use super::alphabet::{Letter, Traits};
use super::program::{Program, State, StateId, holds};
use crate::effort::{Effort, TooCostly};
use crate::sort;

/// What has been found out of a program: sets of its states, and what follows from each by letter.
pub(super) struct Memory {
    /// For each set and each letter, and for the end of the text, what follows.
    next: Vec<u32>,
    /// What looks see of the letter before, then the states, in order.
    sets: Vec<Rc<[StateId]>>,
    numbers: HashMap<Rc<[StateId]>, u32, BuildHasherDefault<SipHasher13>>,
    /// What of that is in use, in bytes, and how much may be.
    bytes: usize,
    most: usize,
    /// How often all was forgotten.
    forgotten: u64,
    marks: Vec<bool>,
    stack: Vec<StateId>,
    reached: Vec<StateId>,
}

const UNKNOWN: u32 = u32::MAX;
const FOUND: u32 = u32::MAX - 1;
const NEVER: u32 = u32::MAX - 2;

/// When more than that has been found out, it is forgotten.
const LARGEST: usize = 512 << 10;

/// What it takes to look at a state, and at a set, in steps of the effort.
const STATE_STEPS: u64 = 3;
const SET_STEPS: u64 = 60;
/// A character that is not ASCII is looked up.
const LOOK_UP_STEPS: u64 = 3;

/// How the text before and behind bounds an expression.
#[derive(Clone, Copy, Debug)]
pub(super) struct Anchors {
    /// It is found at the beginning of a text or not at all.
    pub(super) start: bool,
    /// It reaches to the end as well.
    pub(super) both: bool,
    /// The fewest bytes that it is found in.
    pub(super) least: usize,
    /// The most.
    pub(super) most: Option<usize>,
}

impl Anchors {
    /// Whether a text of so many bytes is too short or too long.
    pub(super) fn rule_out(&self, length: usize) -> bool {
        let long = self.both && self.most.is_some_and(|most| length > most);
        long || length < self.least
    }
}

impl Memory {
    pub(super) fn new() -> Self {
        Self::of(LARGEST)
    }

    /// A memory that forgets when there are so many bytes of it.
    pub(super) fn of(most: usize) -> Self {
        Self {
            next: Vec::new(),
            sets: Vec::new(),
            numbers: HashMap::default(),
            bytes: 0,
            most,
            forgotten: 0,
            marks: Vec::new(),
            stack: Vec::new(),
            reached: Vec::new(),
        }
    }

    /// What it takes, at most.
    pub(super) fn bytes(&self) -> usize {
        let scratch = self
            .stack
            .capacity()
            .saturating_add(self.reached.capacity());
        let scratch = scratch
            .saturating_mul(4)
            .saturating_add(self.marks.capacity());
        // Vectors and tables grow by doubling.
        self.bytes.saturating_mul(2).saturating_add(scratch)
    }

    /// What it does take.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        let sets = self.sets.iter().map(|set| set.len() * 4 + 16);
        let scratch = (self.stack.capacity() + self.reached.capacity()) * 4 + self.marks.capacity();
        let lists = self.next.capacity() * 4 + self.sets.capacity() * 16;
        sets.sum::<usize>() + lists + self.numbers.capacity() * 24 + scratch
    }

    /// Whether the program is found in a text.
    pub(super) fn search(
        &mut self,
        program: &Program,
        anchors: &Anchors,
        text: &str,
        effort: &Effort,
    ) -> Result<bool, TooCostly> {
        let mut left = effort.left();
        let before = left;
        let found = self.run(program, anchors, text, &mut left);
        effort.spend(before.saturating_sub(left))?;
        if found.is_err() {
            // Nobody else may go on with what was not enough.
            let _ = effort.spend(u64::MAX);
        }
        found
    }

    fn run(
        &mut self,
        program: &Program,
        anchors: &Anchors,
        text: &str,
        left: &mut u64,
    ) -> Result<bool, TooCostly> {
        let stride = program.alphabet.len().saturating_add(1);
        let edge = Traits::EDGE.and(program.asked);
        let mut set = self.number(Rc::new([u32::from(edge.0), program.start]), stride);
        for c in text.chars() {
            spend(left, if c.is_ascii() { 1 } else { 1 + LOOK_UP_STEPS })?;
            let letter = program.alphabet.letter(c);
            let place = place(set, stride, usize::from(letter));
            let mut next = self.next.get(place).copied().unwrap_or(UNKNOWN);
            if next == UNKNOWN {
                next = self.follow(program, anchors, set, Some(letter), left)?;
            }
            match next {
                FOUND => return Ok(true),
                NEVER => return Ok(false),
                next => set = next,
            }
        }
        let place = place(set, stride, stride.saturating_sub(1));
        let mut last = self.next.get(place).copied().unwrap_or(UNKNOWN);
        if last == UNKNOWN {
            last = self.follow(program, anchors, set, None, left)?;
        }
        Ok(last == FOUND)
    }

    /// Finds out what follows from a set by a letter, or by the end of the text.
    fn follow(
        &mut self,
        program: &Program,
        anchors: &Anchors,
        set: u32,
        letter: Option<Letter>,
        left: &mut u64,
    ) -> Result<u32, TooCostly> {
        let stride = program.alphabet.len().saturating_add(1);
        let traits = letter.map_or(Traits::EDGE, |letter| program.alphabet.traits(letter));
        let behind = traits.and(program.asked);
        let found = self.reach(program, set, letter, behind, left)?;
        let next = match letter {
            _ if found => FOUND,
            None => NEVER,
            Some(_) => {
                if !anchors.start {
                    self.reached.push(program.start);
                }
                match self.reached.is_empty() {
                    true => NEVER,
                    false => {
                        sort::places(&mut self.reached, &|one, other| one.cmp(&other));
                        self.reached.dedup();
                        self.reached.insert(0, u32::from(behind.0));
                        let reached: Rc<[StateId]> = self.reached.as_slice().into();
                        spend(left, u64::try_from(reached.len()).unwrap_or(u64::MAX))?;
                        let times = self.forgotten;
                        let next = self.number(reached, stride);
                        if self.forgotten != times {
                            // With it the set that this follows from.
                            return Ok(next);
                        }
                        next
                    }
                }
            }
        };
        let column = letter.map_or(stride.saturating_sub(1), usize::from);
        if let Some(known) = self.next.get_mut(place(set, stride, column)) {
            *known = next;
        }
        Ok(next)
    }

    /// Gathers the states that follow from a set by a letter. Whether the expression has been found
    /// before it.
    fn reach(
        &mut self,
        program: &Program,
        set: u32,
        letter: Option<Letter>,
        behind: Traits,
        left: &mut u64,
    ) -> Result<bool, TooCostly> {
        let set = usize::try_from(set).ok().and_then(|set| self.sets.get(set));
        let (before, states) = match set.and_then(|set| set.split_first()) {
            Some((traits, states)) => (Traits((*traits & 0xff) as u8), states),
            None => return Err(TooCostly),
        };
        self.marks.clear();
        self.marks.resize(program.len(), false);
        self.stack.clear();
        self.stack.extend_from_slice(states);
        self.reached.clear();
        let mut steps = SET_STEPS.saturating_add(u64::try_from(program.len() / 64).unwrap_or(0));
        let mut found = false;
        while let Some(id) = self.stack.pop() {
            let mark = usize::try_from(id)
                .ok()
                .and_then(|id| self.marks.get_mut(id));
            if mark.is_none_or(|mark| std::mem::replace(mark, true)) {
                continue;
            }
            steps = steps.saturating_add(STATE_STEPS);
            match program.state(id) {
                Some(State::Found) => {
                    found = true;
                    break;
                }
                Some(State::Split(one, other)) => self.stack.extend([other, one]),
                Some(State::Look(look, next)) if holds(look, before, behind) => {
                    self.stack.push(next);
                }
                Some(State::Letter(own, next)) if letter == Some(own) => self.reached.push(next),
                Some(State::Set(set, next))
                    if letter.is_some_and(|letter| program.has(set, letter)) =>
                {
                    self.reached.push(next);
                }
                _ => {}
            }
        }
        spend(left, steps)?;
        Ok(found)
    }

    /// Forgets all, and gives the memory of it back: what is kept may be little afterwards.
    fn forget(&mut self) {
        self.next = Vec::new();
        self.sets = Vec::new();
        self.numbers = HashMap::default();
        self.bytes = 0;
        self.forgotten = self.forgotten.saturating_add(1);
    }

    /// The number of a set, which is kept. It may take forgetting all others.
    fn number(&mut self, set: Rc<[StateId]>, stride: usize) -> u32 {
        if let Some(number) = self.numbers.get(&set) {
            return *number;
        }
        let own = set.len().saturating_mul(4).saturating_add(64);
        let more = own.saturating_add(stride.saturating_mul(4));
        if self.bytes.saturating_add(more) > self.most {
            self.forget();
        }
        let number = u32::try_from(self.sets.len()).unwrap_or(NEVER);
        self.bytes = self.bytes.saturating_add(more);
        let length = self.next.len().saturating_add(stride);
        self.next.resize(length, UNKNOWN);
        self.sets.push(Rc::clone(&set));
        self.numbers.insert(set, number);
        number
    }
}

fn place(set: u32, stride: usize, column: usize) -> usize {
    let row = usize::try_from(set).unwrap_or(usize::MAX);
    row.saturating_mul(stride).saturating_add(column)
}

fn spend(left: &mut u64, steps: u64) -> Result<(), TooCostly> {
    *left = left.checked_sub(steps).ok_or(TooCostly)?;
    Ok(())
}
