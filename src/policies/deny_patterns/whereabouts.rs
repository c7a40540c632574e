//! Where in a request a text stands: by that exceptions are found, and the log says it.

use std::fmt::Write as _;

use super::place::SearchedPart;
use portcullis_exchange::refusal::detail::cut;
use portcullis_exchange::refusal::{Detail, Fact};
use portcullis_wire::json_gate::Text;

/// Where a text stands.
#[derive(Clone, Copy)]
pub(super) struct Whereabouts<'t> {
    pub(super) place: SearchedPart,
    /// The name of its header field, cookie or parameter.
    pub(super) name: Option<&'t [u8]>,
    /// Whether it is a name itself, which the log does not show.
    pub(super) is_name: bool,
    /// Of the cookie, parameter or part, which one it is.
    pub(super) index: Option<usize>,
    /// The way to it in JSON.
    pub(super) steps: &'t [JsonStep<'t>],
}

/// A step on the way to a value of JSON.
#[derive(Clone, Copy)]
pub(super) enum JsonStep<'t> {
    /// To the member of that name; of none before the first.
    Member(Option<Text<'t>>),
    /// To that element.
    Item(usize),
}

impl<'t> Whereabouts<'t> {
    pub(super) fn of(place: SearchedPart) -> Self {
        Self {
            place,
            name: None,
            is_name: false,
            index: None,
            steps: &[],
        }
    }

    /// One of several with names.
    pub(super) fn nth(place: SearchedPart, index: usize, name: &'t [u8]) -> Self {
        Self {
            name: Some(name),
            index: Some(index),
            ..Self::of(place)
        }
    }

    /// The name itself.
    pub(super) fn as_name(self) -> Self {
        Self {
            is_name: true,
            ..self
        }
    }

    /// It as a JSON pointer into the request, cut after some hundred bytes. Names of JSON are in it, but not
    /// what is judged.
    pub(super) fn pointer(&self) -> String {
        const LONGEST: usize = 240;
        let mut pointer = ["/", self.place.reason().name].concat();
        let shown = match self.is_name {
            true => self.steps.len().saturating_sub(1),
            false => self.steps.len(),
        };
        if let Some(index) = self.index {
            // Writing to a `String` cannot fail.
            let _ = write!(pointer, "/{index}");
        } else if let Some(name) = self.name {
            push(&mut pointer, &String::from_utf8_lossy(name), LONGEST);
        }
        for step in self.steps.iter().take(shown) {
            if pointer.len() > LONGEST {
                pointer.push('…');
                break;
            }
            match step {
                JsonStep::Item(index) => {
                    let _ = write!(pointer, "/{index}");
                }
                JsonStep::Member(Some(name)) => {
                    push(
                        &mut pointer,
                        &String::from_utf8_lossy(&name.decoded()),
                        LONGEST,
                    );
                }
                JsonStep::Member(None) => {}
            }
        }
        pointer
    }

    /// Says the name of the parameter or cookie, which the pointer has not.
    pub(super) fn tell(&self, detail: Detail) -> Detail {
        match self.name.filter(|_| self.index.is_some() && !self.is_name) {
            Some(name) => detail.and("parameter", Fact::Parameter(cut(name))),
            None => detail,
        }
    }
}

fn push(pointer: &mut String, name: &str, most: usize) {
    pointer.push('/');
    for c in name.chars().take(most) {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            c => pointer.push(c),
        }
    }
}
