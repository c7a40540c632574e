//! What a service answers that is asked for a list: an object with nothing but that, `{"keys": […]}`.
//!
//! Item by item, and a slice of them at a time: a tree of a hundred thousand items would be many times as large as their text. What is no
//! such text as a whole changes nothing. Whether one item that cannot be used spoils the others, the list
//! says: a key that is left out is unknown, and what is left out of a list of what is refused would pass.

use std::fmt;
use std::ops::Range;

use crate::remote::NoAnswer;
use portcullis_document::{Node, Problems};
use portcullis_wire::budget::{Reservation, Share, reserve};
use portcullis_wire::json::Json;

/// A list that is fetched, and made of its items.
pub(crate) trait ItemList: Sized + 'static {
    /// It in the making.
    type Builder: Default;
    /// Its words.
    const WORDS: ListWords;
    /// What an item may take of memory, on average.
    const MEMORY_EACH: usize;
    /// What its text may be long, on average.
    const TEXT_EACH: usize;
    /// How many bytes of memory a byte of its text may take while it is read.
    const GROWTH: usize = 2;

    /// Reads an item and adds it; whether it could be added. None if something is wrong with it.
    fn push(builder: &mut Self::Builder, item: &Node<'_>, problems: &mut Problems) -> Option<bool>;

    /// How many bytes of memory the list would take.
    fn memory(builder: &Self::Builder) -> usize;

    /// Two items that cannot stand beside one another.
    fn twice(builder: &Self::Builder) -> Option<Twice>;

    /// The list.
    fn finish(builder: Self::Builder) -> Self;
}

/// How a list and what stands in it are called.
#[derive(Debug)]
pub(crate) struct ListWords {
    /// The member of the answer that it is.
    pub(crate) member: &'static str,
    /// An item, and several.
    pub(crate) item: &'static str,
    pub(crate) items: &'static str,
    /// The list.
    pub(crate) list: &'static str,
    /// The field of the document that says how many there may be.
    pub(crate) most: &'static str,
    /// Whether an item that cannot be used spoils the others.
    pub(crate) is_spoilt: bool,
}

/// What two items of a list have in common that no two may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Twice {
    pub(crate) field: &'static str,
    /// The places of both, in the order in which they were added.
    pub(crate) first: usize,
    pub(crate) second: usize,
}

/// The most items that are read, and with that how much of an answer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct MostItems(pub(crate) usize);

/// Why a response is of no use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListError {
    /// There is none, or it could not be read.
    NoAnswer(NoAnswer),
    /// It is no object with nothing but the list.
    NoList,
    /// It has more items than that.
    TooMany(usize),
    /// Its items take more memory than there is for so many.
    TooLarge(usize),
    /// Two items have something in common.
    Twice(Twice),
    /// An item that cannot be used, and why.
    Item(usize, String),
    /// An item is longer than any may be.
    LongItem(usize),
    /// None of its items can be used.
    Unusable,
}

/// The longest text.
const LONGEST: usize = 16 << 20;
/// How deep an item may nest.
const MAX_DEPTH: usize = 16;
/// So many items that were passed over are named; the others are counted.
const MAX_NAMED: usize = 16;
/// The longest text of an item: it is read at once, and as a tree takes many times that memory.
const LONGEST_ITEM: usize = 64 << 10;
/// How many bytes of memory a byte of its text may take as a tree.
const ITEM_GROWTH: usize = 64;

impl MostItems {
    /// The usual number.
    pub(crate) const USUAL: Self = Self(10_000);

    /// Reads it.
    pub(crate) fn read(node: &Node<'_>, most: usize, problems: &mut Problems) -> Option<Self> {
        let most = u64::try_from(most).unwrap_or(u64::MAX);
        let items = node.integer(problems, 1..=most)?;
        usize::try_from(items).ok().map(Self)
    }

    /// The longest text that is read, in bytes.
    pub(crate) fn body<L: ItemList>(self) -> usize {
        const LEAST: usize = 64 << 10;
        self.0.saturating_mul(L::TEXT_EACH).clamp(LEAST, LONGEST)
    }

    /// The memory that the items may take.
    pub(crate) fn memory<L: ItemList>(self) -> usize {
        const LEAST: usize = 8 << 10;
        self.0.saturating_mul(L::MEMORY_EACH).max(LEAST)
    }
}

/// What a service answered, while it is being read: as much at a time as is wanted.
pub(crate) struct ListReader<L: ItemList> {
    builder: L::Builder,
    most: MostItems,
    /// Where the next item begins, and where the last has ended.
    at: usize,
    end: usize,
    all: usize,
    passed: usize,
    /// Which items were passed over, and why.
    notes: Vec<String>,
    stage: ItemStage,
    /// That of the list: one that grows is for a moment there twice.
    _memory: Reservation,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ItemStage {
    Items,
    Twice,
    Finish,
}

/// How far a list has been read.
pub(crate) enum ReadItems<L: ItemList> {
    /// There is more to do.
    Reading(ListReader<L>),
    /// It is whole; which items were passed over, and why.
    Whole(L, Vec<String>),
}

/// How much may be done at a time, counted in bytes of text whose items are read.
#[derive(Debug)]
pub(crate) struct Work(usize);

impl Work {
    /// As much as requests may wait for: some milliseconds.
    pub(crate) const fn slice() -> Self {
        Self(128 << 10)
    }

    /// As much as there is.
    #[cfg(test)]
    pub(crate) const fn all() -> Self {
        Self(usize::MAX)
    }

    /// Takes what so many bytes cost; the last piece of a slice may take more than is left.
    pub(crate) fn spend(&mut self, bytes: usize) {
        self.0 = self.0.saturating_sub(bytes);
    }

    pub(crate) fn left(&self) -> usize {
        self.0
    }

    pub(crate) fn is_spent(&self) -> bool {
        self.0 == 0
    }
}

impl<L: ItemList> ListReader<L> {
    /// Begins with what a service answered.
    pub(crate) fn begin(body: &[u8], most: MostItems) -> Result<Self, ListError> {
        let memory = most.memory::<L>().saturating_mul(2);
        let memory = reserve(
            Share::Queues,
            memory.min(body.len().saturating_mul(L::GROWTH)),
        );
        let memory = memory.ok_or(ListError::NoAnswer(NoAnswer::NoMemory))?;
        let inner = inner(body, L::WORDS.member).ok_or(ListError::NoList)?;
        Ok(Self {
            builder: L::Builder::default(),
            most,
            at: inner.start,
            end: inner.end,
            all: 0,
            passed: 0,
            notes: Vec::new(),
            stage: ItemStage::Items,
            _memory: memory,
        })
    }

    /// Reads on in the same text.
    ///
    /// # Errors
    /// Why it is of no use; and which items were passed over, and why.
    pub(crate) fn read_on(
        mut self,
        body: &[u8],
        work: &mut Work,
    ) -> Result<ReadItems<L>, (ListError, Vec<String>)> {
        while !work.is_spent() {
            match self.advance(body, work) {
                Ok(()) => {}
                Err(error) => return Err((error, self.notes)),
            }
            if self.stage == ItemStage::Finish && !work.is_spent() {
                work.spend(L::memory(&self.builder));
                return Ok(ReadItems::Whole(L::finish(self.builder), self.notes));
            }
        }
        Ok(ReadItems::Reading(self))
    }

    /// Takes a step, if it is not the last.
    fn advance(&mut self, body: &[u8], work: &mut Work) -> Result<(), ListError> {
        match self.stage {
            ItemStage::Items => {
                let before = self.at;
                if !self.read_item(body)? {
                    self.end_items()?;
                    self.stage = ItemStage::Twice;
                }
                work.spend(self.at.saturating_sub(before));
            }
            ItemStage::Twice => {
                if let Some(twice) = L::twice(&self.builder) {
                    return Err(ListError::Twice(twice));
                }
                work.spend(L::memory(&self.builder));
                self.stage = ItemStage::Finish;
            }
            ItemStage::Finish => {}
        }
        Ok(())
    }

    /// Reads an item; whether there was one.
    fn read_item(&mut self, body: &[u8]) -> Result<bool, ListError> {
        let words = &L::WORDS;
        let rest = body.get(self.at..self.end).unwrap_or_default();
        let Some(PublishedItem { text, after }) = next_item(rest, self.all)? else {
            self.at = self.end;
            return Ok(false);
        };
        self.at = self.end.saturating_sub(after.len());
        self.all = self.all.saturating_add(1);
        if self.all > self.most.0 {
            return Err(ListError::TooMany(self.most.0));
        }
        let tree = text.len().saturating_mul(ITEM_GROWTH);
        let _memory =
            reserve(Share::Queues, tree).ok_or(ListError::NoAnswer(NoAnswer::NoMemory))?;
        let json = Json::parse(text, MAX_DEPTH).map_err(|_| ListError::NoList)?;
        let mut problems = Problems::default();
        let pushed = L::push(&mut self.builder, &Node::root(&json), &mut problems);
        let most = self.most.memory::<L>();
        let why = match problems.into_result(pushed) {
            Ok(true) if L::memory(&self.builder) > most => return Err(ListError::TooLarge(most)),
            Ok(true) => return Ok(true),
            Ok(false) => "its texts are too long".to_owned(),
            Err(error) => {
                let first = error.problems.first();
                first.map(ToString::to_string).unwrap_or_default()
            }
        };
        if words.is_spoilt {
            return Err(ListError::Item(self.all, why));
        }
        self.passed = self.passed.saturating_add(1);
        if self.notes.len() < MAX_NAMED {
            let (all, item, list) = (self.all, words.item, words.list);
            let note = format!("{item} {all} of the {list} is passed over: {why}");
            self.notes.push(note);
        }
        Ok(true)
    }

    /// All items have been read.
    fn end_items(&mut self) -> Result<(), ListError> {
        let more = self.passed.saturating_sub(self.notes.len());
        if more > 0 {
            let (items, list) = (L::WORDS.items, L::WORDS.list);
            let note = format!("{more} more {items} of the {list} are passed over");
            self.notes.push(note);
        }
        match self.passed > 0 && self.passed == self.all {
            true => Err(ListError::Unusable),
            false => Ok(()),
        }
    }
}

/// Reads what a service answered. `notes` takes which items were passed over, and why.
#[cfg(test)]
pub(crate) fn read_list<L: ItemList>(
    body: &[u8],
    most: MostItems,
    notes: &mut Vec<String>,
) -> Result<L, ListError> {
    let reader = ListReader::<L>::begin(body, most)?;
    match reader.read_on(body, &mut Work::all()) {
        Ok(ReadItems::Whole(list, passed)) => {
            notes.extend(passed);
            Ok(list)
        }
        Ok(ReadItems::Reading(_)) => panic!("there is as much to do as is wanted"),
        Err((error, passed)) => {
            notes.extend(passed);
            Err(error)
        }
    }
}

/// Where that stands in a text that is in the list of `{"member": [ … ]}`.
fn inner(body: &[u8], member: &str) -> Option<Range<usize>> {
    let name = format!("\"{member}\"");
    let mut rest = blanks(body);
    for piece in [&b"{"[..], name.as_bytes(), b":", b"["] {
        rest = blanks(rest.strip_prefix(piece)?);
    }
    let start = body.len().checked_sub(rest.len())?;
    for piece in [&b"}"[..], b"]"] {
        let end = rest.iter().rposition(|b| !is_blank(b))?;
        rest = rest.get(..=end)?.strip_suffix(piece)?;
    }
    Some(start..start.checked_add(rest.len())?)
}

/// What follows white space.
fn blanks(text: &[u8]) -> &[u8] {
    let count = text.iter().take_while(|b| is_blank(b)).count();
    text.get(count..).unwrap_or_default()
}

fn is_blank(byte: &u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

/// An item of a list, and what follows it.
struct PublishedItem<'b> {
    text: &'b [u8],
    after: &'b [u8],
}

/// The next item of a list of which `before` have been, and what follows it. Whether it is JSON is for
/// others to see: here it ends at the first comma that is in no string and in no brackets.
fn next_item(list: &[u8], before: usize) -> Result<Option<PublishedItem<'_>>, ListError> {
    let list = blanks(list);
    let list = match (list.split_first(), before) {
        (None, _) => return Ok(None),
        (_, 0) => list,
        (Some((b',', rest)), _) => rest,
        (Some(_), _) => return Err(ListError::NoList),
    };
    let (mut depth, mut quoted, mut escaped) = (0_usize, false, false);
    let end = list.iter().take(LONGEST_ITEM).position(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = quoted,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => depth = depth.saturating_add(1),
            b']' | b'}' if !quoted => depth = depth.saturating_sub(1),
            b',' if !quoted && depth == 0 => return true,
            _ => {}
        }
        false
    });
    if end.is_none() && list.len() > LONGEST_ITEM {
        return Err(ListError::LongItem(before.saturating_add(1)));
    }
    let item = list.split_at_checked(end.unwrap_or(list.len()));
    let (text, after) = item.ok_or(ListError::NoList)?;
    Ok(Some(PublishedItem { text, after }))
}

impl ListError {
    /// In the words of that list.
    pub(crate) fn told(&self, words: &'static ListWords) -> impl fmt::Display {
        ToldError {
            error: self.clone(),
            words,
        }
    }
}

struct ToldError {
    error: ListError,
    words: &'static ListWords,
}

impl fmt::Display for ToldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ListWords {
            member,
            item,
            items,
            most: field,
            ..
        } = self.words;
        match &self.error {
            ListError::NoAnswer(error) => error.fmt(f),
            ListError::NoList => write!(
                f,
                "an answer that is not {{\"{member}\": […]}} with nothing beside it"
            ),
            ListError::TooMany(most) => write!(f, "more than {most} {items}, which is `{field}`"),
            ListError::TooLarge(most) => write!(
                f,
                "{items} that take more than the {most} bytes of memory that `{field}` allows"
            ),
            ListError::Twice(twice) => {
                let Twice {
                    field,
                    first,
                    second,
                } = twice;
                write!(f, "items {first} and {second} have the same `{field}`")
            }
            ListError::Item(place, why) => {
                write!(f, "a list of which {item} {place} cannot be used: {why}")
            }
            ListError::LongItem(place) => write!(
                f,
                "a list of which {item} {place} is longer than {LONGEST_ITEM} bytes"
            ),
            ListError::Unusable => write!(f, "a list of which no {item} can be used"),
        }
    }
}
