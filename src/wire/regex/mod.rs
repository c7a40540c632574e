//! Regular expressions whose price is known before it is paid, in memory and in work.
//!
//! The syntax and its meaning are those of the `regex` crate, whose parser reads them. What is made
//! of them here is smaller: the characters that an expression does not tell apart are one letter of
//! its `alphabet`, so that a class of all letters of Unicode is one state of its `program` and
//! not hundreds; what follows from what is found out while a text is read (`search`). An
//! expression that tells too many characters apart for that is left to the `regex` crate itself.
//!
//! Every step is taken from an [`Effort`]. When that is spent the answer is [`TooCostly`], which is
//! neither yes nor no.

mod alphabet;
mod program;
mod search;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::rc::{Rc, Weak};

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Capture, Hir, HirKind, Look, Repetition};

use self::program::Program;
use self::search::{Anchors, Memory};
use crate::budget::{Reservation, Share};
pub use crate::effort::{Effort, TooCostly};

/// A compiled expression. Those of the same text are one, in all documents of a VM.
#[derive(Clone)]
pub struct Regex(Rc<Compiled>);

/// Why an expression cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// It is none.
    Syntax,
    /// It would take too much memory.
    TooLarge,
    /// It tells too many characters apart.
    Alphabet,
    /// No expression can be had.
    LeftOut,
}

/// What an expression is written in, and so what its text means.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Syntax {
    /// That of the `regex` crate.
    Rust,
    /// The same, upper and lower case being the same.
    RustIgnoringCase,
    /// That of ECMA-262.
    Ecma,
}

/// Whether this build has expressions. Where it has none, what would read them is left out of the module.
pub const AVAILABLE: bool = cfg!(feature = "patterns");

type Key = (Syntax, Rc<str>);

struct Compiled {
    key: Key,
    anchors: Anchors,
    machine: Machine,
}

enum Machine {
    Own(Box<Program>, RefCell<Kept>),
    /// Each byte of a text costs that many steps.
    Other(::regex::Regex, u64),
}

/// What has been found out of an expression, and its memory.
struct Kept {
    memory: Option<Memory>,
    reservation: Reservation,
}

/// What one expression may keep between texts, and what all of them may.
const KEPT_BYTES: usize = 32 << 10;
const KEPT_BYTES_OF_ALL: usize = 16 << 20;

/// What an expression that is left to the `regex` crate may take.
const LARGEST_OTHER: usize = 256 << 10;

thread_local! {
    static COMPILED: RefCell<BTreeMap<Key, Weak<Compiled>>> = const { RefCell::new(BTreeMap::new()) };
    static KEPT: Cell<usize> = const { Cell::new(0) };
}

impl Regex {
    /// Compiles an expression of the `regex` crate.
    ///
    /// # Errors
    /// See [`Error`].
    pub fn compile(pattern: &str, ignore_case: bool) -> Result<Self, Error> {
        let syntax = match ignore_case {
            false => Syntax::Rust,
            true => Syntax::RustIgnoringCase,
        };
        Self::interned(syntax, pattern, || {
            let mut parser = ParserBuilder::new();
            parser.case_insensitive(ignore_case);
            parser.build().parse(pattern).map_err(|_| Error::Syntax)
        })
    }

    /// The expression of that text, which `parse` reads if nobody has yet.
    ///
    /// # Errors
    /// Those of `parse`, and see [`Error`].
    pub fn interned<E: From<Error>>(
        syntax: Syntax,
        pattern: &str,
        parse: impl FnOnce() -> Result<Hir, E>,
    ) -> Result<Self, E> {
        if !AVAILABLE {
            return Err(Error::LeftOut.into());
        }
        let key: Key = (syntax, pattern.into());
        let known = COMPILED.with_borrow(|compiled| compiled.get(&key).and_then(Weak::upgrade));
        if let Some(known) = known {
            return Ok(Self(known));
        }
        let compiled = Rc::new(Compiled::new(key.clone(), &parse()?)?);
        COMPILED.with_borrow_mut(|all| all.insert(key, Rc::downgrade(&compiled)));
        Ok(Self(compiled))
    }

    /// Whether it is found in a text.
    ///
    /// # Errors
    /// [`TooCostly`] when that is not known: it takes more than there is left.
    pub fn is_match(&self, text: &str, effort: &Effort) -> Result<bool, TooCostly> {
        effort.spend(4)?;
        if !AVAILABLE {
            return Err(TooCostly);
        }
        if self.0.anchors.rule_out(text.len()) {
            return Ok(false);
        }
        match &self.0.machine {
            Machine::Own(program, kept) => {
                let mut memory = kept.take().unwrap_or_else(Memory::new);
                let found = memory.search(program, &self.0.anchors, text, effort);
                kept.put(memory);
                found
            }
            Machine::Other(regex, steps) => {
                let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
                effort.spend(length.saturating_mul(*steps))?;
                // A clone shares the expression, and has working memory of its own.
                Ok(regex.clone().is_match(text))
            }
        }
    }

    /// Searches apart from all others.
    pub fn trials(&self) -> Trials<'_> {
        Trials {
            regex: self,
            memory: Memory::new(),
        }
    }

    /// What it takes of memory, at most, apart from what it finds out.
    pub fn bytes(&self) -> usize {
        let own = match &self.0.machine {
            Machine::Own(program, _) => size_of::<Program>().saturating_add(program.bytes()),
            Machine::Other(..) => LARGEST_OTHER.saturating_mul(2),
        };
        let key = self.0.key.1.len().saturating_add(128);
        own.saturating_add(key)
            .saturating_add(size_of::<Compiled>())
    }

    /// How much work it was to compile, in steps like those of an [`Effort`].
    pub fn work(&self) -> usize {
        match &self.0.machine {
            Machine::Own(program, _) => program.work,
            Machine::Other(..) => LARGEST_OTHER,
        }
        .saturating_add(self.0.key.1.len().saturating_mul(8))
    }

    /// What it was compiled from.
    pub fn text(&self) -> &str {
        let (_, text) = &self.0.key;
        text
    }

    /// Where it stands in memory: expressions of the same text stand at the same place.
    pub fn address(&self) -> usize {
        Rc::as_ptr(&self.0).addr()
    }

    /// How many different expressions there are.
    pub fn count() -> usize {
        COMPILED.with_borrow(BTreeMap::len)
    }
}

/// Searches that know nothing of what others have found out of an expression: what they cost depends
/// on it and on their texts alone, in every VM.
pub struct Trials<'r> {
    regex: &'r Regex,
    memory: Memory,
}

impl Trials<'_> {
    /// As [`Regex::is_match`].
    ///
    /// # Errors
    /// See there.
    pub fn is_match(&mut self, text: &str, effort: &Effort) -> Result<bool, TooCostly> {
        if !AVAILABLE {
            return Err(TooCostly);
        }
        let compiled = &self.regex.0;
        match &compiled.machine {
            Machine::Own(program, _) => {
                effort.spend(4)?;
                if compiled.anchors.rule_out(text.len()) {
                    return Ok(false);
                }
                self.memory.search(program, &compiled.anchors, text, effort)
            }
            Machine::Other(..) => self.regex.is_match(text, effort),
        }
    }
}

impl fmt::Debug for Trials<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Trials(..)")
    }
}

impl Compiled {
    fn new(key: Key, hir: &Hir) -> Result<Self, Error> {
        let properties = hir.properties();
        let start = properties.look_set_prefix().contains(Look::Start);
        let anchors = Anchors {
            start,
            both: start && properties.look_set_suffix().contains(Look::End),
            least: properties.minimum_len().unwrap_or(0),
            most: properties.maximum_len(),
        };
        let machine = match Program::new(hir) {
            Ok(program) => Machine::Own(Box::new(program), RefCell::new(Kept::nothing())),
            Err(Error::Alphabet) => Machine::other(hir)?,
            Err(error) => return Err(error),
        };
        Ok(Self {
            key,
            anchors,
            machine,
        })
    }
}

impl Machine {
    /// Leaves an expression to the `regex` crate. Its size is known by what it is too large for.
    fn other(hir: &Hir) -> Result<Self, Error> {
        let text = parenthesized(hir).to_string();
        let mut limit = LARGEST_OTHER / 64;
        while limit <= LARGEST_OTHER {
            let mut builder = ::regex::RegexBuilder::new(&text);
            builder.size_limit(limit).dfa_size_limit(limit);
            match builder.build() {
                Ok(regex) => {
                    let steps = u64::try_from(limit / 16).unwrap_or(u64::MAX);
                    return Ok(Machine::Other(regex, steps));
                }
                Err(::regex::Error::CompiledTooBig(_)) => limit = limit.saturating_mul(2),
                Err(_) => return Err(Error::Syntax),
            }
        }
        Err(Error::TooLarge)
    }
}

/// The same expression so that it is read as it was when it has been written: what is written of
/// `(?:a+)?` by itself is `a+?`.
fn parenthesized(hir: &Hir) -> Hir {
    let all = |parts: &[Hir]| parts.iter().map(parenthesized).collect();
    match hir.kind() {
        HirKind::Repetition(repetition) => {
            let inner = parenthesized(&repetition.sub);
            let sub = match inner.kind() {
                HirKind::Repetition(_) | HirKind::Look(_) => Hir::capture(Capture {
                    index: 1,
                    name: None,
                    sub: Box::new(inner),
                }),
                _ => inner,
            };
            Hir::repetition(Repetition {
                sub: Box::new(sub),
                ..repetition.clone()
            })
        }
        HirKind::Capture(capture) => Hir::capture(Capture {
            sub: Box::new(parenthesized(&capture.sub)),
            ..capture.clone()
        }),
        HirKind::Concat(parts) => Hir::concat(all(parts)),
        HirKind::Alternation(parts) => Hir::alternation(all(parts)),
        HirKind::Empty | HirKind::Literal(_) | HirKind::Class(_) | HirKind::Look(_) => hir.clone(),
    }
}

impl Kept {
    const fn nothing() -> Self {
        Self {
            memory: None,
            reservation: Reservation::none(Share::Caches),
        }
    }
}

/// What is kept is lent to one search at a time.
trait Lend {
    fn take(&self) -> Option<Memory>;
    fn put(&self, memory: Memory);
}

impl Lend for RefCell<Kept> {
    fn take(&self) -> Option<Memory> {
        self.try_borrow_mut().ok()?.memory.take()
    }

    /// Keeps what it found out, if it is little enough.
    fn put(&self, memory: Memory) {
        let Ok(mut kept) = self.try_borrow_mut() else {
            return;
        };
        let (bytes, before) = (memory.bytes(), kept.reservation.bytes());
        let others = KEPT.get().saturating_sub(before);
        let fits = bytes <= KEPT_BYTES && others.saturating_add(bytes) <= KEPT_BYTES_OF_ALL;
        if fits && kept.reservation.grow(bytes.saturating_sub(before)) {
            kept.reservation.shrink_to(bytes);
            kept.memory = Some(memory);
        } else {
            kept.reservation = Reservation::none(Share::Caches);
        }
        KEPT.set(others.saturating_add(kept.reservation.bytes()));
    }
}

impl Drop for Compiled {
    fn drop(&mut self) {
        if let Machine::Own(_, kept) = &self.machine {
            let bytes = kept.borrow().reservation.bytes();
            let _ = KEPT.try_with(|all| all.set(all.get().saturating_sub(bytes)));
        }
        let _ = COMPILED.try_with(|compiled| {
            if let Ok(mut compiled) = compiled.try_borrow_mut() {
                compiled.remove(&self.key);
            }
        });
    }
}

impl fmt::Debug for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0.key.1)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Error::Syntax => "no regular expression",
            Error::TooLarge => "too large when compiled",
            Error::Alphabet => "tells too many characters apart",
            Error::LeftOut => "left out of this build",
        })
    }
}
