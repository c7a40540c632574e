//! The names of the objects that are open, to find one that comes twice.
//!
//! Most objects have few names, which differ in their lengths or at their ends: a bit set of these
//! tells that none has come twice. Otherwise names are compared by what they mean, those of large
//! objects in the order of a hash. A client that makes hashes equal on purpose makes us compare names,
//! each of which they had to send.

use std::cmp::Ordering;

use super::list::List;
use super::{Fault, Text};
use crate::budget::{self, Share};

/// The names of all open objects, those of the innermost last.
#[derive(Default)]
pub(super) struct Keys<'t> {
    names: List<Text<'t>>,
}

/// The names of one object that is open.
#[derive(Clone, Copy)]
pub(super) struct Names {
    first: usize,
    /// A bit for each kind of name that has come; see [`kind`].
    seen: u64,
    /// Whether two names are of one kind. Until then none has come twice.
    crowded: bool,
}

impl Names {
    /// None yet, of an object that begins here.
    pub(super) fn none(keys: &Keys<'_>) -> Self {
        Self {
            first: keys.names.len(),
            seen: 0,
            crowded: false,
        }
    }
}

impl<'t> Keys<'t> {
    /// Adds a name of the innermost object; how many it has then.
    #[inline]
    pub(super) fn push(&mut self, names: &mut Names, text: Text<'t>) -> Result<usize, Fault> {
        match text.plain() {
            Some(plain) => {
                let bit = 1u64.wrapping_shl(kind(plain));
                names.crowded |= names.seen & bit != 0;
                names.seen |= bit;
            }
            // It may be any of them, differently spelled.
            None => names.crowded = true,
        }
        self.names.push(text)?;
        Ok(self.count(*names))
    }

    /// How many names the innermost object has.
    #[inline]
    pub(super) fn count(&self, names: Names) -> usize {
        self.names.len().saturating_sub(names.first)
    }

    /// Ends the innermost object.
    #[inline]
    pub(super) fn close(&mut self, names: Names) -> Result<(), Fault> {
        let own = self.names.as_slice().get(names.first..);
        let twice = names.crowded && has_twice(own.unwrap_or_default())?;
        self.names.truncate(names.first);
        if twice {
            Err(Fault::DuplicateKey)
        } else {
            Ok(())
        }
    }
}

/// A number below 64 that equal names share, and other names seldom.
#[inline]
fn kind(name: &[u8]) -> u32 {
    const MULTIPLIER: u32 = 0x9e37_79b1;
    let end = |byte: Option<&u8>| u32::from(byte.copied().unwrap_or_default());
    let length = u32::try_from(name.len()).unwrap_or_default();
    let ends = end(name.first()) << 8 | end(name.last());
    (length << 16 ^ ends).wrapping_mul(MULTIPLIER) >> 26
}

fn has_twice(names: &[Text<'_>]) -> Result<bool, Fault> {
    /// Up to here, comparing each with each is quicker than sorting.
    const FEW: usize = 12;
    // Two names are decoded at a time, where there is something to decode.
    let escaped = names.iter().filter(|name| name.plain().is_none());
    let longest = escaped.map(|name| name.raw().len()).max().unwrap_or(0);
    let needed = match names.len() > FEW {
        true => size_of_val(names).saturating_mul(2),
        false => 0,
    };
    let needed = needed.saturating_add(longest.saturating_mul(2));
    let _memory = budget::reserve(Share::Bodies, needed).ok_or(Fault::Memory)?;
    if names.len() > FEW {
        return Ok(has_twice_among_many(names));
    }
    let mut rest = names;
    while let Some((name, others)) = rest.split_first() {
        if others.iter().any(|other| name.means_the_same(*other)) {
            return Ok(true);
        }
        rest = others;
    }
    Ok(false)
}

fn has_twice_among_many(names: &[Text<'_>]) -> bool {
    let mut sorted: Vec<(u64, Text<'_>)> = names
        .iter()
        .map(|name| (hash(&name.decoded()), *name))
        .collect();
    sorted.sort_unstable_by(|(one, a), (other, b)| one.cmp(other).then_with(|| by_text(*a, *b)));
    let mut pairs = sorted.iter().zip(sorted.iter().skip(1));
    pairs.any(|((one, a), (other, b))| one == other && a.means_the_same(*b))
}

/// For those whose hashes are equal. Not copied to every comparison of the sort.
#[cold]
#[inline(never)]
fn by_text(one: Text<'_>, other: Text<'_>) -> Ordering {
    one.decoded().cmp(&other.decoded())
}

/// Equal for equal bytes, and seldom for others that nobody chose for it.
fn hash(bytes: &[u8]) -> u64 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mix = |hash: u64, word: u64| {
        let mixed = (hash ^ word).wrapping_mul(MULTIPLIER);
        mixed ^ mixed >> 32
    };
    let mut hash = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
    let mut rest = bytes;
    while let Some((eight, after)) = rest.split_first_chunk::<8>() {
        hash = mix(hash, u64::from_le_bytes(*eight));
        rest = after;
    }
    let last = rest
        .iter()
        .fold(0, |word, byte| word << 8 | u64::from(*byte));
    mix(hash, last)
}

#[cfg(test)]
mod tests {
    use super::super::{Fault, Limits, check};

    fn with_names(names: impl Iterator<Item = String>) -> Result<(), Fault> {
        let members: Vec<String> = names.map(|name| format!("\"{name}\":0")).collect();
        check(
            format!("{{{}}}", members.join(",")).as_bytes(),
            &Limits::GENEROUS,
        )
    }

    #[test]
    fn finds_a_name_that_comes_twice_among_few_and_many() {
        for count in [2, 11, 12, 13, 14, 100, 5000] {
            let names = |range: std::ops::Range<usize>| range.map(|n| format!("name{n}"));
            assert_eq!(with_names(names(0..count)), Ok(()), "{count}");
            for again in [0, count / 2, count - 1] {
                let twice = names(0..count).chain(names(again..again + 1));
                assert_eq!(with_names(twice), Err(Fault::DuplicateKey), "{count}");
            }
        }
    }

    #[test]
    fn a_name_is_what_it_means() {
        for text in [
            r#"{"a":1,"\u0061":2}"#,
            r#"{"\u0061":1,"\u0061":2}"#,
            r#"{"/":1,"\/":2}"#,
            r#"{"é":1,"\u00E9":2}"#,
            r#"{"\ud83d\ude00":1,"😀":2}"#,
            r#"{"":1,"":2}"#,
        ] {
            let found = check(text.as_bytes(), &Limits::GENEROUS);
            assert_eq!(found, Err(Fault::DuplicateKey), "{text}");
        }
        for text in [
            r#"{"a":1,"A":2}"#,
            r#"{"a":{"a":1},"b":{"a":1}}"#,
            r#"[{"a":1},{"a":1}]"#,
            r#"{"\\u0061":1,"a":2}"#,
            r#"{"a":1,"a\u0000":2}"#,
        ] {
            assert_eq!(check(text.as_bytes(), &Limits::GENEROUS), Ok(()), "{text}");
        }
    }
}
