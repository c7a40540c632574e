//! What is wrong with a document, and where.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use portcullis_wire::budget::{SHARES, Share};
use portcullis_wire::regex::Regex;

/// One thing that is wrong with a document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Where, as an RFC 6901 JSON pointer; empty for the document as a whole.
    pub pointer: String,
    /// What, and what to write instead. Never quotes a value that may be a secret.
    pub reason: String,
}

/// Everything that is wrong with a document: never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// In document order as far as the compiler walks in that order.
    pub problems: Vec<Problem>,
}

/// Collects problems while a document is compiled, so that one try reports them all.
///
/// It also adds up what the document can take of each [`Share`] at most, so that one which can take
/// more than there is does not load.
#[derive(Debug, Default)]
pub struct Problems {
    found: Vec<Problem>,
    needs: [usize; SHARES.len()],
    patterns: Patterns,
    /// What is under a name that is not known here, where it is plain what was meant: the object,
    /// and the name.
    misnamed: Vec<(String, String)>,
    memory: Vec<Box<dyn Any>>,
    words: Words,
}

/// What stands where in a document, for messages that tell where something belongs.
#[derive(Debug, Default)]
pub struct Words {
    /// The blocks of routes and of `defaults`.
    pub blocks: Vec<&'static str>,
    /// The sections at the top of the document.
    pub sections: Vec<&'static str>,
}

/// The patterns of a document, each once, and what it takes to compile them.
#[derive(Debug, Default)]
struct Patterns {
    seen: BTreeMap<usize, Regex>,
    work: usize,
}

/// The most bytes that one document may take when it is compiled, as estimated from what it says:
/// several generations of it live side by side while the older ones drain.
pub const MAX_COMPILED: usize = 32 << 20;

/// How many problems are listed.
const MAX_PROBLEMS: usize = 1000;

/// How much work the patterns of one document may be, in steps of [`Regex::work`]: a worker stands
/// still until they are compiled.
const MAX_PATTERN_WORK: usize = 2_000_000;

/// A place in the document; cheap to extend.
#[derive(Clone, Debug, Default)]
pub struct Pointer {
    last: Option<Rc<PointerStep>>,
}

#[derive(Debug)]
struct PointerStep {
    before: Pointer,
    token: Token,
}

#[derive(Debug)]
enum Token {
    Member(String),
    Item(usize),
}

impl Problems {
    /// Works with what readers of one kind remember while they read one document; at first that is
    /// nothing.
    pub fn with_memory<T: Any + Default, R>(&mut self, work: impl FnOnce(&mut T) -> R) -> R {
        let at = self.memory.iter().position(|each| each.is::<T>());
        let taken = at.map(|at| self.memory.swap_remove(at));
        let mut memory: Box<T> = taken
            .and_then(|each| each.downcast().ok())
            .unwrap_or_default();
        let done = work(&mut memory);
        self.memory.push(memory);
        done
    }

    /// Says what stands where, so that a message can tell where a name belongs that stands elsewhere.
    pub fn teach(&mut self, words: Words) {
        self.words = words;
    }

    pub(crate) fn words(&self) -> &Words {
        &self.words
    }

    /// Notes a problem.
    pub fn report(&mut self, place: &Pointer, reason: impl fmt::Display) {
        self.note(place, &reason);
    }

    #[cold]
    #[inline(never)]
    fn note(&mut self, place: &Pointer, reason: &dyn fmt::Display) {
        if self.found.len() > MAX_PROBLEMS {
            return;
        }
        if self.found.len() == MAX_PROBLEMS {
            self.found.push(Problem {
                pointer: String::new(),
                reason: format!("more than {MAX_PROBLEMS} problems; the others are not listed"),
            });
            return;
        }
        self.found.push(Problem {
            pointer: place.to_string(),
            reason: reason.to_string(),
        });
    }

    /// Takes back a problem with a place: another one says what is behind it.
    #[inline(never)]
    pub fn retract(&mut self, place: &Pointer, reason: &str) {
        let place = place.to_string();
        let is_it = |each: &Problem| each.pointer == place && each.reason == reason;
        if let Some(at) = self.found.iter().rposition(is_it) {
            self.found.remove(at);
        }
    }

    /// Notes a problem with a member of the object at a place that seems to be another under a wrong
    /// name.
    #[cold]
    #[inline(never)]
    pub fn report_misnamed(&mut self, object: &Pointer, name: &str, reason: impl fmt::Display) {
        if self.found.len() < MAX_PROBLEMS {
            let written = Quoted(name).visible().collect();
            self.misnamed.push((object.to_string(), written));
        }
        self.report(&object.member(name), reason);
    }

    /// Notes that the object at a place lacks something, unless that seems to be there under a wrong
    /// name, which has been reported.
    #[cold]
    #[inline(never)]
    pub fn lacks(&mut self, object: &Pointer, reason: impl fmt::Display) {
        let place = object.to_string();
        if !self.misnamed.iter().any(|(each, _)| *each == place) {
            self.report(object, reason);
        }
    }

    /// Whether a member of the object at a place has been reported as wrong, as a whole or by its
    /// name: what refers to it is not wrong for that.
    #[inline(never)]
    pub fn is_amiss(&self, object: &Pointer, name: &str) -> bool {
        let (outer, place) = (object.to_string(), object.member(name).to_string());
        self.found.iter().any(|each| each.pointer == place)
            || self
                .misnamed
                .iter()
                .any(|(each, written)| *each == outer && is_near(written, name))
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.found.len()
    }

    /// Notes that what stands at a place can take so many bytes of a share, at most. The first
    /// place by which the document takes more than there is, or for [`Share::Documents`] more than
    /// [`MAX_COMPILED`], is a problem. Whether there is still room.
    #[inline(never)]
    pub fn account(&mut self, place: &Pointer, share: Share, bytes: usize) -> bool {
        let most = match share {
            Share::Documents => MAX_COMPILED,
            share => share.most(),
        };
        let Some(need) = self.needs.get_mut(share as usize) else {
            return false;
        };
        let fitted = *need <= most;
        *need = need.saturating_add(bytes);
        let fits = *need <= most;
        if fitted && !fits {
            let (most, name) = (most >> 20, share.name());
            self.report(
                place,
                format_args!(
                    "here the document passes the {most} MiB that it may take of a worker's memory for {name}; make it smaller (an OpenAPI document with `make shrink`), or split it between filters"
                ),
            );
        }
        fits
    }

    /// Notes that a pattern is needed at a place: its memory, unless it has been noted before, and
    /// the work of compiling it. Whether there is still room.
    #[inline(never)]
    pub fn account_pattern(&mut self, place: &Pointer, pattern: &Regex) -> bool {
        if self
            .patterns
            .seen
            .insert(pattern.address(), pattern.clone())
            .is_some()
        {
            return !self.is_full();
        }
        let fitted = self.patterns.work <= MAX_PATTERN_WORK;
        self.patterns.work = self.patterns.work.saturating_add(pattern.work());
        let fits = self.patterns.work <= MAX_PATTERN_WORK;
        if fitted && !fits {
            self.report(
                place,
                "here the patterns of the document are more work than a worker can do at a time; use fewer, or smaller ones",
            );
        }
        self.account(place, Share::Documents, pattern.bytes()) && fits
    }

    /// Whether the document takes more memory or more work than it may, or has more problems than
    /// anybody reads: compiling it may stop.
    pub fn is_full(&self) -> bool {
        self.need(Share::Documents) > MAX_COMPILED
            || self.patterns.work > MAX_PATTERN_WORK
            || self.found.len() > MAX_PROBLEMS
    }

    /// What the document can take of a share at most, in bytes.
    pub fn need(&self, share: Share) -> usize {
        self.needs.get(share as usize).copied().unwrap_or_default()
    }

    /// The problems as an error, or `value` if there are none.
    ///
    /// # Errors
    /// When anything was reported, or there is no value.
    pub fn into_result<T>(mut self, value: Option<T>) -> Result<T, ConfigError> {
        match value {
            Some(value) if self.found.is_empty() => return Ok(value),
            None if self.found.is_empty() => self.report(
                &Pointer::default(),
                "cannot be used, and nothing says why; that is a mistake of the filter, please report it",
            ),
            _ => {}
        }
        Err(ConfigError {
            problems: self.found,
        })
    }
}

impl Pointer {
    /// The place of a member of the object here.
    #[inline(never)]
    pub fn member(&self, name: &str) -> Self {
        self.step(Token::Member(name.to_owned()))
    }

    /// The place of an item of the array here.
    #[inline(never)]
    pub fn item(&self, index: usize) -> Self {
        self.step(Token::Item(index))
    }

    /// How many steps it is from the root, if it lies on a way or beyond its end.
    #[cfg(feature = "record")]
    pub(crate) fn along(&self, way: &[crate::record::Step]) -> Option<usize> {
        use crate::record::Step as Known;
        let Some(step) = &self.last else {
            return Some(0);
        };
        let depth = step.before.along(way)?;
        let is_next = match (way.get(depth), &step.token) {
            (None, _) => true,
            (Some(Known::Member(name)), Token::Member(own)) => name == own,
            (Some(Known::Item(index)), Token::Item(own)) => index == own,
            (Some(_), _) => false,
        };
        is_next.then(|| depth.saturating_add(1))
    }

    /// The way from the root.
    #[cfg(feature = "record")]
    pub(crate) fn steps(&self) -> Vec<crate::record::Step> {
        let Some(step) = &self.last else {
            return Vec::new();
        };
        let mut steps = step.before.steps();
        steps.push(match &step.token {
            Token::Member(name) => crate::record::Step::Member(name.clone()),
            Token::Item(index) => crate::record::Step::Item(*index),
        });
        steps
    }

    #[inline(never)]
    fn step(&self, token: Token) -> Self {
        Self {
            last: Some(Rc::new(PointerStep {
                before: self.clone(),
                token,
            })),
        }
    }
}

impl fmt::Display for Pointer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(step) = &self.last else {
            return Ok(());
        };
        step.before.fmt(f)?;
        match &step.token {
            Token::Member(name) => {
                let name: String = Quoted(name).visible().collect();
                write!(f, "/{}", name.replace('~', "~0").replace('/', "~1"))
            }
            Token::Item(index) => write!(f, "/{index}"),
        }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() {
            "document"
        } else {
            &self.pointer
        };
        write!(f, "{place}: {}", self.reason)
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, problem) in self.problems.iter().enumerate() {
            let separator = if index == 0 { "" } else { "\n" };
            write!(f, "{separator}{problem}")?;
        }
        Ok(())
    }
}

/// A name out of the document, in quotes, short and on one line whatever it holds.
pub struct Quoted<'a>(pub &'a str);

impl Quoted<'_> {
    const LONGEST: usize = 80;

    fn visible(&self) -> impl Iterator<Item = char> {
        let cut = self.0.chars().count() > Self::LONGEST;
        let shown = self.0.chars().take(Self::LONGEST);
        shown
            .map(|c| if c.is_control() { '\u{fffd}' } else { c })
            .chain(cut.then_some('…'))
    }
}

impl fmt::Display for Quoted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.visible().collect::<String>())
    }
}

/// `; did you mean "…"?` if one of `names` is near to `written`, else nothing.
pub struct DidYouMean<'a, I>(pub &'a str, pub I);

impl<'a, I: Iterator<Item = &'a str> + Clone> fmt::Display for DidYouMean<'_, I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match nearest(self.0, self.1.clone()) {
            Some(name) => write!(f, "; did you mean {}?", Quoted(name)),
            None => Ok(()),
        }
    }
}

/// Whether one change of a letter makes one name of the other: one more, one less, another one,
/// or two neighbours swapped. Case does not count, nor whether it is `-` or `_`.
pub fn is_near(one: &str, other: &str) -> bool {
    one.len() <= Quoted::LONGEST && distance(&folded(one), &folded(other)) <= 1
}

fn folded(name: &str) -> String {
    name.to_ascii_lowercase().replace('-', "_")
}

/// The name of `names` that is near to `written`.
pub fn nearest<'a>(written: &str, mut names: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    nearest_of(written, &mut names)
}

#[cold]
#[inline(never)]
fn nearest_of<'a>(written: &str, names: &mut dyn Iterator<Item = &'a str>) -> Option<&'a str> {
    if written.len() > Quoted::LONGEST {
        return None;
    }
    let written = folded(written);
    names
        .map(|name| (distance(&written, &folded(name)), name))
        .filter(|(far, name)| *far <= 1 + name.chars().count() / 4)
        .min_by_key(|(far, _)| *far)
        .map(|(_, name)| name)
}

/// Optimal string alignment: insert, delete, replace, or swap two neighbours.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut older: Vec<usize> = Vec::new();
    let mut old: Vec<usize> = (0..=other.len()).collect();
    let mut before: Option<char> = None;
    for (row, c) in one.chars().enumerate() {
        let mut new = vec![row.saturating_add(1)];
        for (column, d) in other.iter().enumerate() {
            let at = |line: &[usize], index: usize| line.get(index).copied().unwrap_or(usize::MAX);
            let replaced = at(&old, column).saturating_add(usize::from(c != *d));
            let added = at(&new, column).saturating_add(1);
            let removed = at(&old, column.saturating_add(1)).saturating_add(1);
            let mut best = replaced.min(added).min(removed);
            let left = column.checked_sub(1);
            let swapped = before == Some(*d) && left.and_then(|left| other.get(left)) == Some(&c);
            if let (true, Some(left)) = (swapped, left) {
                best = best.min(at(&older, left).saturating_add(1));
            }
            new.push(best);
        }
        older = std::mem::replace(&mut old, new);
        before = Some(c);
    }
    old.last().copied().unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests;
