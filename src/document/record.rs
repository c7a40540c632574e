//! What readers ask of a document, as they ask it: for what has to know the format of documents without
//! saying it again, such as the schema in `docs/schema`.
//!
//! Only with the feature `record`, which no module has.

use std::cell::RefCell;
use std::panic::Location;

use crate::problem::Pointer;

/// One question that a reader asked of a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Question {
    /// Its members, by names that the reader knows.
    Object,
    /// That it has no other members than those that were asked for.
    Closed,
    /// The member of an object, which may be absent.
    Member(&'static str),
    /// One of these members, of which none is there.
    Lacks(Vec<String>),
    /// Its members, by names that the operator chooses.
    Map,
    /// Its items.
    Items,
    /// Text.
    Text,
    /// `true` or `false`.
    Boolean,
    /// A whole number, of those from the first to the second.
    Integer(u64, u64),
    /// One of these texts.
    Names(Vec<String>),
    /// Whether it is `off`.
    Off,
    /// A number and a unit of time.
    Duration,
    /// A number, or one and a unit of size.
    Bytes,
    /// A regular expression.
    Pattern,
    /// The value as it is.
    Raw,
}

/// A step from a value to one within.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Step {
    /// To the member of an object.
    Member(String),
    /// To an item of an array.
    Item(usize),
}

/// A question, the value that it was asked of, and the reader that asked it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// The way from the root of the document.
    pub place: Vec<Step>,
    /// What was asked.
    pub question: Question,
    /// Where the reader stands in the sources.
    pub reader: &'static Location<'static>,
}

/// What is being noted.
struct Record {
    way: Vec<Step>,
    asked: Vec<Asked>,
}

thread_local! {
    static RECORD: RefCell<Option<Record>> = const { RefCell::new(None) };
}

/// Does some work, and tells what was asked of documents meanwhile on this thread: of the values on the way
/// to one place, and of those within.
pub fn record<T>(way: &[Step], work: impl FnOnce() -> T) -> (T, Vec<Asked>) {
    let record = Record {
        way: way.to_vec(),
        asked: Vec::new(),
    };
    let outer = RECORD.replace(Some(record));
    let done = work();
    let record = RECORD.replace(outer);
    (done, record.map(|record| record.asked).unwrap_or_default())
}

#[track_caller]
pub(crate) fn note(place: &Pointer, question: impl FnOnce() -> Question) {
    let reader = Location::caller();
    RECORD.with_borrow_mut(|record| {
        let Some(record) = record else {
            return;
        };
        if place.along(&record.way).is_some() {
            record.asked.push(Asked {
                place: place.steps(),
                question: question(),
                reader,
            });
        }
    });
}
