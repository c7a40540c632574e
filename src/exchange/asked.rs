//! What a service has been asked about a credential of a request, and what it has said of it.
//!
//! A policy that waits for such an answer judges the whole request again when it is there, and finds the
//! answer here, whether or not it is remembered anywhere else.

use std::any::Any;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use portcullis_wire::budget::Reservation;

/// Who asks: told apart by a number of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Asker(pub usize);

/// A question whose answer the request waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// Who asks.
    pub by: Asker,
    /// When, on the clock that does not step.
    pub since: Duration,
    /// What the asker notes with it.
    pub note: u64,
}

/// The question that is open, and the answers to those before it. There are no more of them than a request may
/// wait.
#[derive(Default)]
pub struct Asked {
    open: Option<Question>,
    answers: Vec<(Asker, Rc<dyn Any>, Reservation)>,
}

impl Asked {
    /// A question has been asked.
    pub fn ask(&mut self, question: Question) {
        self.open = Some(question);
    }

    /// The open question, if it is of that asker: it is open no more.
    pub fn take(&mut self, by: Asker) -> Option<Question> {
        self.open.take_if(|question| question.by == by)
    }

    /// Notes what an asker has heard, and the memory that this takes.
    pub fn hear(&mut self, by: Asker, answer: Rc<dyn Any>, memory: Reservation) {
        self.answers.push((by, answer, memory));
    }

    /// What an asker has heard about the request, last.
    pub fn heard<T: Any>(&self, by: Asker) -> Option<Rc<T>> {
        let mut answers = self.answers.iter().rev();
        let (_, answer, _) = answers.find(|(of, _, _)| *of == by)?;
        Rc::clone(answer).downcast().ok()
    }

    /// Forgets all: who asked has judged.
    pub fn clear(&mut self) {
        self.open = None;
        self.answers = Vec::new();
    }
}

/// The answers tell of people.
impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Asked({:?}, {})", self.open, self.answers.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::budget::Share;

    #[test]
    fn each_finds_its_own_answer() {
        let (one, other) = (Asker(1), Asker(2));
        let mut asked = Asked::default();
        asked.ask(Question {
            by: one,
            since: Duration::ZERO,
            note: 7,
        });
        assert_eq!(asked.take(other), None);
        assert_eq!(asked.take(one).map(|question| question.note), Some(7));
        assert_eq!(asked.take(one), None);
        let none = || Reservation::none(Share::Streams);
        asked.hear(one, Rc::new(1_u8), none());
        asked.hear(other, Rc::new(2_u8), none());
        asked.hear(one, Rc::new(3_u8), none());
        assert_eq!(asked.heard::<u8>(one).as_deref(), Some(&3));
        assert_eq!(asked.heard::<u8>(other).as_deref(), Some(&2));
        assert_eq!(asked.heard::<u16>(other), None);
        asked.clear();
        assert_eq!(asked.heard::<u8>(one), None);
    }
}
