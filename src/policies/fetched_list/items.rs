//! What a service answers that is asked for a list: an object with nothing but that, `{"keys": […]}`.
//!
//! Item by item: a tree of a hundred thousand items would be many times as large as their text. What is no
//! such text as a whole changes nothing. Whether one item that cannot be used spoils the others, the list
//! says: a key that is left out is unknown, and what is left out of a list of what is refused would pass.

use std::fmt;

use crate::remote::NoAnswer;
use portcullis_document::{Node, Problems};
use portcullis_wire::budget::{Share, reserve};
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
    /// None of its items can be used.
    Unusable,
}

/// The longest text.
const LONGEST: usize = 16 << 20;
/// How deep an item may nest.
const MAX_DEPTH: usize = 16;
/// So many items that were passed over are named; the others are counted.
const MAX_NAMED: usize = 16;

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

/// Reads what a service answered. `notes` takes which items were passed over, and why.
pub(crate) fn read_list<L: ItemList>(
    body: &[u8],
    most: MostItems,
    notes: &mut Vec<String>,
) -> Result<L, ListError> {
    let words = &L::WORDS;
    // A list that grows is for a moment there twice.
    let memory = most.memory::<L>().saturating_mul(2);
    let _memory = reserve(
        Share::Queues,
        memory.min(body.len().saturating_mul(L::GROWTH)),
    );
    let _memory = _memory.ok_or(ListError::NoAnswer(NoAnswer::NoMemory))?;
    let mut builder = L::Builder::default();
    let (mut passed, mut all) = (0_usize, 0_usize);
    let mut rest = inner(body, words.member).ok_or(ListError::NoList)?;
    while let Some(PublishedItem { text, after }) = next_item(rest, all)? {
        rest = after;
        all = all.saturating_add(1);
        if all > most.0 {
            return Err(ListError::TooMany(most.0));
        }
        let json = Json::parse(text, MAX_DEPTH).map_err(|_| ListError::NoList)?;
        let mut problems = Problems::default();
        let pushed = L::push(&mut builder, &Node::root(&json), &mut problems);
        let why = match problems.into_result(pushed) {
            Ok(true) if L::memory(&builder) > most.memory::<L>() => {
                return Err(ListError::TooLarge(most.memory::<L>()));
            }
            Ok(true) => continue,
            Ok(false) => "its texts are too long".to_owned(),
            Err(error) => {
                let first = error.problems.first();
                first.map(ToString::to_string).unwrap_or_default()
            }
        };
        if words.is_spoilt {
            return Err(ListError::Item(all, why));
        }
        passed = passed.saturating_add(1);
        if notes.len() < MAX_NAMED {
            let (item, list) = (words.item, words.list);
            notes.push(format!("{item} {all} of the {list} is passed over: {why}"));
        }
    }
    let more = passed.saturating_sub(notes.len());
    if more > 0 {
        let (items, list) = (words.items, words.list);
        notes.push(format!("{more} more {items} of the {list} are passed over"));
    }
    if passed > 0 && passed == all {
        return Err(ListError::Unusable);
    }
    match L::twice(&builder) {
        None => Ok(L::finish(builder)),
        Some(twice) => Err(ListError::Twice(twice)),
    }
}

/// What stands in the list of `{"member": [ … ]}`.
fn inner<'b>(body: &'b [u8], member: &str) -> Option<&'b [u8]> {
    let name = format!("\"{member}\"");
    let mut rest = blanks(body);
    for piece in [&b"{"[..], name.as_bytes(), b":", b"["] {
        rest = blanks(rest.strip_prefix(piece)?);
    }
    for piece in [&b"}"[..], b"]"] {
        let end = rest.iter().rposition(|b| !is_blank(b))?;
        rest = rest.get(..=end)?.strip_suffix(piece)?;
    }
    Some(rest)
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
    let end = list.iter().position(|byte| {
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
            ListError::Unusable => write!(f, "a list of which no {item} can be used"),
        }
    }
}
