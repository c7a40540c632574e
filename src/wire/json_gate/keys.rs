//! The names of the objects that are open, to find one that comes twice.
//!
//! Most objects have few names, which differ in their lengths or at their ends: a bit set of these
//! tells that none has come twice. Otherwise names are compared by what they mean, those of large
//! objects in the order of a hash. A client that makes hashes equal on purpose makes us compare names,
//! each of which they had to send.

use std::cmp::Ordering;

use super::list::List;
use super::text::{Place, eight_at};
use super::{Fault, MemberName, Text};
use crate::budget::{self, Share};
use crate::sort;

/// The names of all open objects, those of the innermost last.
#[derive(Default)]
pub(super) struct Keys {
    names: List<Place>,
    /// How many of them, from the outermost on, stand in what is kept; the others stand in the text at hand.
    kept_names: usize,
    /// Names of texts that are no longer at hand.
    kept: List<u8>,
}

/// The names of one object that is open.
#[derive(Clone, Copy)]
pub(super) struct Names {
    first: usize,
    /// A bit for each kind of name that has come; see [`kind`].
    seen: u64,
    /// How many names are of a kind that has come before, or of one that cannot be told. Without any, no name
    /// has come twice.
    doubtful: usize,
}

impl Names {
    /// None yet, of an object that begins here.
    pub(super) fn none(keys: &Keys) -> Self {
        Self {
            first: keys.names.len(),
            seen: 0,
            doubtful: 0,
        }
    }
}

impl Keys {
    /// Adds a name of the innermost object, which begins there in the text at hand.
    #[inline(always)]
    pub(super) fn push(
        &mut self,
        names: &mut Names,
        start: usize,
        name: MemberName<'_>,
    ) -> Result<(), Fault> {
        match name.text.plain() {
            Some(plain) => {
                let bit = 1u64.wrapping_shl(kind(plain, name.word));
                let again = usize::from(names.seen & bit != 0);
                names.doubtful = names.doubtful.saturating_add(again);
                names.seen |= bit;
            }
            // It may be any of them, differently spelled.
            None => names.doubtful = names.doubtful.saturating_add(1),
        }
        self.names.push(name.text.place(start))
    }

    /// Ends the innermost object, where `text` is at hand.
    #[inline(always)]
    pub(super) fn close(&mut self, names: Names, text: &[u8]) -> Result<(), Fault> {
        let twice = names.doubtful > 0 && self.has_twice(names, text)?;
        self.names.truncate(names.first);
        self.kept_names = self.kept_names.min(names.first);
        if twice {
            Err(Fault::DuplicateKey)
        } else {
            Ok(())
        }
    }

    #[cold]
    #[inline(never)]
    fn has_twice(&self, names: Names, text: &[u8]) -> Result<bool, Fault> {
        let places = self.names.as_slice().get(names.first..);
        let own = Own {
            places: places.unwrap_or_default(),
            kept_names: self.kept_names.saturating_sub(names.first),
            kept: self.kept.as_slice(),
            text,
        };
        own.has_twice()
    }

    /// Keeps the names that stand in the text at hand, which goes.
    pub(super) fn keep(&mut self, text: &[u8]) -> Result<(), Fault> {
        let (before, new) = self
            .names
            .as_mut_slice()
            .split_at_mut_checked(self.kept_names)
            .unwrap_or_default();
        let end = before
            .last()
            .map_or(0, |last| last.start.saturating_add(last.length));
        self.kept.truncate(end);
        for place in new {
            let start = self.kept.len();
            self.kept.extend(place.text(text).raw())?;
            place.start = start;
        }
        self.kept_names = self.names.len();
        Ok(())
    }
}

/// The first eight bytes of a name of that length, which begins there; zeros for those that it does
/// not have. Names of fewer bytes that mean themselves differ in it.
#[inline(always)]
pub(super) fn word(text: &[u8], at: usize, length: usize) -> u64 {
    let Some(eight) = eight_at(text, at) else {
        let end = at.saturating_add(length);
        let name = text.get(at..end).unwrap_or_default();
        let bytes = name.iter().take(8).rev();
        return bytes.fold(0, |word, byte| word << 8 | u64::from(*byte));
    };
    match u32::try_from(length) {
        Ok(length @ 0..8) => eight & !u64::MAX.wrapping_shl(length.wrapping_mul(8)),
        _ => eight,
    }
}

/// A number below 64 that equal names share, and other names seldom. `word` is what the name begins with.
#[inline(always)]
fn kind(name: &[u8], word: u64) -> u32 {
    const MULTIPLIER: u64 = 0x9e37_79b9_7f4a_7c15;
    let mut mixed = word;
    if let [_, _, _, _, _, _, _, _, .., last] = name {
        let length = u64::try_from(name.len()).unwrap_or_default();
        mixed ^= u64::from(*last) << 32 ^ length;
    }
    let kind = mixed.wrapping_mul(MULTIPLIER) >> 58;
    u32::try_from(kind).unwrap_or_default()
}

/// The names of one object.
#[derive(Clone, Copy)]
struct Own<'n> {
    places: &'n [Place],
    /// How many of them, from the first on, stand in what is kept; the others stand in the text.
    kept_names: usize,
    kept: &'n [u8],
    text: &'n [u8],
}

impl<'n> Own<'n> {
    /// Up to here, comparing each with each is quicker than sorting.
    const FEW: usize = 12;

    fn get(self, index: usize, place: Place) -> Text<'n> {
        match index < self.kept_names {
            true => place.text(self.kept),
            false => place.text(self.text),
        }
    }

    fn all(self) -> impl Iterator<Item = Text<'n>> {
        let places = self.places.iter().enumerate();
        places.map(move |(index, place)| self.get(index, *place))
    }

    fn has_twice(self) -> Result<bool, Fault> {
        let is_few = self.places.len() <= Self::FEW;
        // Two names are decoded at a time, where there is something to decode.
        let escaped = self.places.iter().filter(|place| !place.is_plain());
        let longest = escaped.map(|place| place.length).max().unwrap_or(0);
        let sorted = match is_few {
            true => 0,
            false => {
                let each = size_of::<(u64, Text<'_>)>().saturating_add(size_of::<u32>());
                each.saturating_mul(self.places.len())
            }
        };
        let needed = sorted.saturating_add(longest.saturating_mul(2));
        let _memory = match needed {
            0 => None,
            _ => Some(budget::reserve(Share::Bodies, needed).ok_or(Fault::Memory)?),
        };
        Ok(match is_few {
            true => self.has_twice_among_few(),
            false => self.has_twice_among_many(),
        })
    }

    fn has_twice_among_few(self) -> bool {
        let mut places = self.places.iter().enumerate();
        while let Some((index, one)) = places.next() {
            let name = self.get(index, *one);
            // Most differ in their lengths.
            let twice = places.clone().any(|(index, other)| {
                (one.length == other.length || !one.is_plain() || !other.is_plain())
                    && name.means_the_same(self.get(index, *other))
            });
            if twice {
                return true;
            }
        }
        false
    }

    fn has_twice_among_many(self) -> bool {
        let names: Vec<(u64, Text<'_>)> = self
            .all()
            .map(|name| (hash(&name.decoded()), name))
            .collect();
        let pair =
            |one: u32, other: u32| Some((names.get(one as usize)?, names.get(other as usize)?));
        let mut order: Vec<u32> = (0_u32..).take(names.len()).collect();
        sort::places(&mut order, &|one, other| match pair(one, other) {
            Some(((one, a), (other, b))) => one.cmp(other).then_with(|| by_text(*a, *b)),
            None => Ordering::Equal,
        });
        let mut pairs = order.iter().zip(order.iter().skip(1));
        pairs.any(|(one, other)| {
            let same = |((one, a), (other, b)): (&(u64, Text<'_>), &(u64, Text<'_>))| {
                one == other && a.means_the_same(*b)
            };
            pair(*one, *other).is_some_and(same)
        })
    }
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
