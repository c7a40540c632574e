//! What a service has been asked about a credential of a request, and what it has said of it.
//!
//! A policy that waits for such an answer judges the whole request again when it is there, and finds the
//! answer here, whether or not it is remembered anywhere else.

use std::any::Any;
use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use portcullis_wire::budget::Reservation;

/// Who asks: told apart by a number of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Asker(pub usize);

/// A question whose answer the request waits for.
#[derive(Debug)]
pub struct Question {
    /// Who asks.
    pub by: Asker,
    /// When, on the clock that does not step.
    pub since: Duration,
    /// What the asker notes with it.
    pub note: u64,
    /// If no other is to be asked meanwhile: the turn that it takes.
    pub turn: Option<Turn>,
}

/// The turn to ask a question beside which there is to be no other. It is taken when the call is made, and not
/// before, and is free again when this is dropped: at the end of the question, or of the request.
#[derive(Debug)]
pub struct Turn {
    taken: Rc<Cell<Option<Duration>>>,
    until: Duration,
    is_ours: bool,
}

impl Turn {
    /// A turn that can be taken. `taken` says until when it is, once it has been, on the clock that does not
    /// step: whoever else looks there asks nothing before.
    pub fn new(taken: &Rc<Cell<Option<Duration>>>, until: Duration) -> Self {
        Self {
            taken: Rc::clone(taken),
            until,
            is_ours: false,
        }
    }

    fn take(&mut self) {
        self.taken.set(Some(self.until));
        self.is_ours = true;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if self.is_ours && self.taken.get() == Some(self.until) {
            self.taken.set(None);
        }
    }
}

/// The question that is open, and the answers to those before it. There are no more of them than a request may
/// wait.
#[derive(Default)]
pub struct Asked {
    /// Few requests ever ask: the others hold no place for it.
    noted: Option<Box<Noted>>,
}

#[derive(Default)]
struct Noted {
    open: Option<Question>,
    answers: Vec<(Asker, Rc<dyn Any>, Reservation)>,
}

impl Asked {
    /// What a request takes of memory that asks, beside its answers.
    pub const MEMORY: usize = size_of::<Noted>();

    fn noted(&mut self) -> &mut Noted {
        self.noted.get_or_insert_default()
    }

    fn open(&self) -> Option<&Question> {
        self.noted.as_ref()?.open.as_ref()
    }

    /// A question has been asked.
    pub fn ask(&mut self, question: Question) {
        self.noted().open = Some(question);
    }

    /// Who has asked the open question.
    pub fn asker(&self) -> Option<Asker> {
        self.open().map(|question| question.by)
    }

    /// The call has been made with which the open question is asked.
    pub fn made(&mut self) {
        let open = self.noted.as_mut().and_then(|noted| noted.open.as_mut());
        if let Some(turn) = open.and_then(|question| question.turn.as_mut()) {
            turn.take();
        }
    }

    /// Nobody waits for the answer to the open question.
    pub fn withdraw(&mut self) {
        if let Some(noted) = &mut self.noted {
            noted.open = None;
        }
    }

    /// The open question, if it is of that asker: it is open no more.
    pub fn take(&mut self, by: Asker) -> Option<Question> {
        let noted = self.noted.as_mut()?;
        noted.open.take_if(|question| question.by == by)
    }

    /// Notes what an asker has heard, and the memory that this takes.
    pub fn hear(&mut self, by: Asker, answer: Rc<dyn Any>, memory: Reservation) {
        self.noted().answers.push((by, answer, memory));
    }

    /// What an asker has heard about the request, last.
    pub fn heard<T: Any>(&self, by: Asker) -> Option<Rc<T>> {
        let mut answers = self.noted.as_ref()?.answers.iter().rev();
        let (_, answer, _) = answers.find(|(of, _, _)| *of == by)?;
        Rc::clone(answer).downcast().ok()
    }

    /// Forgets all: who asked has judged.
    pub fn clear(&mut self) {
        self.noted = None;
    }
}

/// The answers tell of people.
impl fmt::Debug for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let answers = self.noted.as_ref().map_or(0, |noted| noted.answers.len());
        write!(f, "Asked({:?}, {answers})", self.open())
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
            turn: None,
        });
        assert!(asked.take(other).is_none());
        assert_eq!(asked.take(one).map(|question| question.note), Some(7));
        assert!(asked.take(one).is_none());
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

    #[test]
    fn a_turn_is_taken_when_the_call_is_made_and_free_when_the_question_ends() {
        let taken = Rc::default();
        let until = Duration::from_secs(1);
        let ask = |asked: &mut Asked| {
            asked.ask(Question {
                by: Asker(1),
                since: Duration::ZERO,
                note: 0,
                turn: Some(Turn::new(&taken, until)),
            });
        };
        let mut asked = Asked::default();
        ask(&mut asked);
        assert_eq!(taken.get(), None);
        asked.made();
        assert_eq!(taken.get(), Some(until));
        // One that was never asked frees nothing.
        let mut other = Asked::default();
        ask(&mut other);
        drop(other);
        assert_eq!(taken.get(), Some(until));
        drop(asked);
        assert_eq!(taken.get(), None);
    }
}
