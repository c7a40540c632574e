//! Which members of a JSON text are meant: by their place, or by their name wherever they are.

use super::Treatment;

/// So many selectors there are at most: each has a bit while a text is gone through.
pub const MOST_SELECTORS: usize = 64;

/// Which members are meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selector {
    /// A JSON pointer: RFC 6901. `*` stands for any member and any element.
    Place(Vec<Step>),
    /// A name of members anywhere, in capital or small letters of ASCII.
    Name(Box<[u8]>),
}

/// One step of a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Any member or element.
    Any,
    /// The member of that name, or the element of that number.
    Named(Box<[u8]>),
}

/// Why a text says no selector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SelectorFault {
    /// It is empty.
    Empty,
    /// `~` is not followed by `0` or `1`.
    Escape,
    /// It has more steps than a text that is read may have.
    Deep,
}

/// Selectors, each with what becomes of the members that it means.
#[derive(Debug, Default)]
pub struct Selectors {
    /// The bits of `places` are of those in `all` that are places.
    all: Vec<(Selector, Treatment)>,
}

/// How deep texts nest that are gone through.
pub(super) const MOST_DEPTH: usize = 128;

impl Selector {
    /// Reads a selector: a pointer if it begins with `/`, else a name.
    ///
    /// # Errors
    /// See [`SelectorFault`].
    pub fn parse(text: &str) -> Result<Self, SelectorFault> {
        let Some(path) = text.strip_prefix('/') else {
            return match text {
                "" => Err(SelectorFault::Empty),
                name => Ok(Selector::Name(
                    name.to_ascii_lowercase().into_bytes().into(),
                )),
            };
        };
        let steps: Option<Vec<Step>> = path.split('/').map(Step::parse).collect();
        let steps = steps.ok_or(SelectorFault::Escape)?;
        if steps.len() > MOST_DEPTH {
            return Err(SelectorFault::Deep);
        }
        Ok(Selector::Place(steps))
    }

    /// Whether another is only of what stands within what this one means, or of the same.
    pub fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Selector::Name(one), Selector::Name(other)) => one == other,
            (Selector::Place(one), Selector::Place(other)) => {
                let mut pairs = one.iter().zip(other);
                one.len() <= other.len() && pairs.all(|(one, other)| one.covers(other))
            }
            (Selector::Name(name), Selector::Place(place)) => place.iter().any(|step| match step {
                Step::Named(step) => step.eq_ignore_ascii_case(name) && !is_number(step),
                Step::Any => false,
            }),
            (Selector::Place(_), Selector::Name(_)) => false,
        }
    }
}

/// Whether it may be the number of an element as well as a name.
fn is_number(step: &[u8]) -> bool {
    step.iter().all(u8::is_ascii_digit)
}

impl Step {
    fn parse(text: &str) -> Option<Self> {
        if text == "*" {
            return Some(Step::Any);
        }
        let mut name = String::new();
        let mut rest = text.chars();
        while let Some(character) = rest.next() {
            name.push(match character {
                '~' => match rest.next()? {
                    '0' => '~',
                    '1' => '/',
                    _ => return None,
                },
                other => other,
            });
        }
        Some(Step::Named(name.into_bytes().into()))
    }

    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Step::Any, _) => true,
            (one, other) => one == other,
        }
    }

    fn means(&self, name: &[u8]) -> bool {
        match self {
            Step::Any => true,
            Step::Named(step) => **step == *name,
        }
    }
}

impl Selectors {
    /// With one more; false if there are too many.
    pub fn add(&mut self, selector: Selector, treatment: Treatment) -> bool {
        let has_room = self.all.len() < MOST_SELECTORS;
        if has_room {
            self.all.push((selector, treatment));
        }
        has_room
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Whether a member of that name may be meant somewhere: an element never is by its number alone.
    pub(super) fn may_mean(&self, name: &[u8]) -> bool {
        self.all.iter().any(|(selector, _)| match selector {
            Selector::Name(wanted) => wanted.eq_ignore_ascii_case(name),
            Selector::Place(steps) => steps.last().is_some_and(|last| last.means(name)),
        })
    }

    /// Whether elements of arrays may be meant.
    pub(super) fn may_mean_elements(&self) -> bool {
        self.all.iter().any(|(selector, _)| match selector {
            Selector::Name(_) => false,
            Selector::Place(steps) => steps.last().is_some_and(|last| match last {
                Step::Any => true,
                Step::Named(name) => is_number(name),
            }),
        })
    }

    /// Those that may mean something in the value of all of a text.
    pub(super) fn at_root(&self) -> u64 {
        let places = self.all.iter().enumerate();
        places.fold(0, |bits, (place, (selector, _))| match selector {
            Selector::Place(_) => bits | 1 << place,
            Selector::Name(_) => bits,
        })
    }

    /// Of those that may mean something in a value at that depth, those that may in its member or element of that
    /// name; and what becomes of that.
    pub(super) fn within(
        &self,
        bits: u64,
        depth: usize,
        name: &[u8],
        is_member: bool,
    ) -> (u64, Option<Treatment>) {
        let mut within = 0;
        let mut treatment = None;
        for (place, (selector, of_it)) in self.all.iter().enumerate() {
            match selector {
                Selector::Name(wanted) if is_member && wanted.eq_ignore_ascii_case(name) => {
                    treatment = treatment.max(Some(*of_it));
                }
                Selector::Place(steps) if bits >> place & 1 == 1 => {
                    match (steps.get(depth), steps.len() == depth.saturating_add(1)) {
                        (Some(step), true) if step.means(name) => {
                            treatment = treatment.max(Some(*of_it));
                        }
                        (Some(step), false) if step.means(name) => within |= 1 << place,
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        (within, treatment)
    }
}
