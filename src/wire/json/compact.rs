//! A JSON value in one block of memory, about as large as its text: for values that are kept.
//!
//! A tree takes up to thirty times the bytes of its text, in as many allocations as it has nodes.
//! Here a value is its kind, its length and its bytes, one after the other, so that a reader steps
//! over what it is not looking for. Strings have no escapes any more, and stand there as text.

use std::cmp::Ordering;
use std::fmt;
use std::rc::Rc;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

use super::reader::{Cause, Numeral, Reader};
use super::{Json, Number, Object, array_index, quoted};
use crate::sort;

/// A JSON value whose objects have no member twice. A copy shares its memory.
#[derive(Clone, PartialEq, Eq)]
pub struct Compact(Rc<str>);

/// A value in it.
#[derive(Clone, Copy, Debug)]
pub enum Value<'c> {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number, as text.
    Number(&'c str),
    /// A string.
    String(&'c str),
    /// An array.
    Array(Items<'c>),
    /// An object.
    Object(Members<'c>),
}

/// The items of an array.
#[derive(Clone, Copy)]
pub struct Items<'c>(&'c str);

/// The members of an object, in the order of the text.
#[derive(Clone, Copy)]
pub struct Members<'c>(&'c str);

/// The longest text that is read, in bytes.
pub const LONGEST: usize = 1 << 20;

/// So many times the bytes of a text a value takes at most, and so many while it is read: an empty
/// object takes five bytes, and what is read grows by doubling.
pub const FACTOR: usize = 5;
/// See [`FACTOR`].
pub const FACTOR_WHILE_READ: usize = 16;

/// Digits of lengths have six bits each, so that each is a character, and the whole is text: a part
/// of it is found without looking at its bytes again.
const DIGIT: u32 = 6;
const DIGIT_MASK: usize = 0x3f;
/// Set where another digit follows.
const MORE: u8 = 0x40;

impl Compact {
    /// Reads one JSON text of at most [`LONGEST`] bytes, as strictly as [`Json::parse`] does.
    pub fn parse(text: &[u8], depth: usize) -> Option<Self> {
        if text.len() > LONGEST {
            return None;
        }
        let mut out = Vec::with_capacity(text.len());
        let reader = Reader::new(text, depth);
        let seed = CompactSeed {
            depth,
            reader: &reader,
            out: &mut out,
        };
        reader.read(seed).ok()?;
        Some(Self(std::str::from_utf8(&out).ok()?.into()))
    }

    /// The value.
    pub fn value(&self) -> Value<'_> {
        split_value(&self.0).map_or(Value::Null, |(value, _)| value)
    }

    /// A member, if it is an object.
    pub fn member(&self, name: &str) -> Option<Value<'_>> {
        self.value().as_object()?.member(name)
    }

    /// The bytes that it takes.
    pub fn size(&self) -> usize {
        self.0.len()
    }
}

impl<'c> Value<'c> {
    /// The value an RFC 6901 pointer leads to.
    pub fn pointer(self, tokens: &[String]) -> Option<Self> {
        tokens.iter().try_fold(self, |value, token| match value {
            Value::Object(members) => members.member(token),
            Value::Array(items) => array_index(token).and_then(|index| items.iter().nth(index)),
            _ => None,
        })
    }

    /// What it is, in JSON's words.
    pub fn kind(self) -> &'static str {
        match self {
            Value::Null => "null",
            Value::Bool(_) => "boolean",
            Value::Number(_) => "number",
            Value::String(_) => "string",
            Value::Array(_) => "array",
            Value::Object(_) => "object",
        }
    }

    /// The string, if it is one.
    pub fn as_str(self) -> Option<&'c str> {
        match self {
            Value::String(text) => Some(text),
            _ => None,
        }
    }

    /// The number, if it is one.
    pub fn as_number(self) -> Option<Number> {
        let Value::Number(text) = self else {
            return None;
        };
        Number::parse(text)
    }

    /// The members, if it is an object.
    pub fn as_object(self) -> Option<Members<'c>> {
        match self {
            Value::Object(members) => Some(members),
            _ => None,
        }
    }

    /// The value as a tree; none if that has more than so many values.
    pub fn to_tree(self, most: usize) -> Option<Json> {
        let mut left = most;
        self.grow(&mut left)
    }

    fn grow(self, left: &mut usize) -> Option<Json> {
        *left = left.checked_sub(1)?;
        Some(match self {
            Value::Null => Json::Null,
            Value::Bool(value) => Json::Bool(value),
            Value::Number(_) => Json::Number(self.as_number()?),
            Value::String(text) => Json::String(text.to_owned()),
            Value::Array(items) => Json::Array(
                items
                    .iter()
                    .map(|item| item.grow(left))
                    .collect::<Option<_>>()?,
            ),
            Value::Object(members) => {
                let member =
                    |(name, value): (&str, Value<'_>)| Some((name.to_owned(), value.grow(left)?));
                let members = members.iter().map(member).collect::<Option<_>>()?;
                let mut object = Object {
                    members,
                    ..Object::default()
                };
                object.arrange().then_some(Json::Object(object))?
            }
        })
    }
}

impl<'c> Items<'c> {
    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = Value<'c>> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (value, after) = split_value(rest)?;
            rest = after;
            Some(value)
        })
    }
}

impl<'c> Members<'c> {
    /// The value of a member.
    pub fn member(self, name: &str) -> Option<Value<'c>> {
        let bytes = self.0.as_bytes();
        let mut at = 0;
        loop {
            let (length, start) = read_length(bytes, at)?;
            let value = start.checked_add(length)?;
            let end = value_end(bytes, value)?;
            if bytes.get(start..value)? == name.as_bytes() {
                return split_value(self.0.get(value..end)?).map(|(value, _)| value);
            }
            at = end;
        }
    }

    /// Each of them.
    pub fn iter(self) -> impl Iterator<Item = (&'c str, Value<'c>)> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (name, after) = split_text(rest)?;
            let (value, after) = split_value(after)?;
            rest = after;
            Some((name, value))
        })
    }
}

fn split_value(text: &str) -> Option<(Value<'_>, &str)> {
    let (kind, rest) = text.split_at_checked(1)?;
    let read: fn(&str) -> Value<'_> = match kind {
        "n" => return Some((Value::Null, rest)),
        "t" => return Some((Value::Bool(true), rest)),
        "f" => return Some((Value::Bool(false), rest)),
        "#" => |text| Value::Number(text),
        "\"" => |text| Value::String(text),
        "[" => |text| Value::Array(Items(text)),
        _ => |text| Value::Object(Members(text)),
    };
    let (content, rest) = split_text(rest)?;
    Some((read(content), rest))
}

/// A length, and as many bytes.
fn split_text(text: &str) -> Option<(&str, &str)> {
    let (length, start) = read_length(text.as_bytes(), 0)?;
    text.get(start..)?.split_at_checked(length)
}

/// Where the value that begins there ends.
fn value_end(bytes: &[u8], at: usize) -> Option<usize> {
    let after = at.checked_add(1)?;
    match bytes.get(at)? {
        b'n' | b't' | b'f' => Some(after),
        _ => {
            let (length, start) = read_length(bytes, after)?;
            start.checked_add(length)
        }
    }
}

/// A length, and where what follows it begins.
fn read_length(bytes: &[u8], at: usize) -> Option<(usize, usize)> {
    let mut length = 0_usize;
    let mut next = at;
    loop {
        let byte = *bytes.get(next)?;
        next = next.checked_add(1)?;
        length = length.wrapping_shl(DIGIT) | (usize::from(byte) & DIGIT_MASK);
        if byte & MORE == 0 {
            return Some((length, next));
        }
    }
}

fn push_text(out: &mut Vec<u8>, kind: Option<u8>, text: &[u8]) {
    out.extend(kind);
    let digit = |place: u32| {
        let shifted = text.len().wrapping_shr(place.saturating_mul(DIGIT));
        u8::try_from(shifted & DIGIT_MASK).unwrap_or_default()
    };
    let significant = usize::BITS.saturating_sub(text.len().leading_zeros());
    for place in (1..significant.div_ceil(DIGIT)).rev() {
        out.push(MORE | digit(place));
    }
    out.push(digit(0));
    out.extend_from_slice(text);
}

/// An array or object in the making; its length is written when it is known.
struct Open {
    length_at: usize,
}

impl Open {
    /// Enough for sixteen times [`LONGEST`].
    const DIGITS: usize = 4;

    fn begin(out: &mut Vec<u8>, kind: u8) -> Self {
        out.push(kind);
        let length_at = out.len();
        out.extend([0; Self::DIGITS]);
        Self { length_at }
    }

    fn end(self, out: &mut [u8]) {
        let length = out
            .len()
            .saturating_sub(self.length_at.saturating_add(Self::DIGITS));
        let digits = out.iter_mut().skip(self.length_at).take(Self::DIGITS).rev();
        for (place, byte) in (0_u32..).zip(digits) {
            let shifted = length.wrapping_shr(place.saturating_mul(DIGIT));
            let digit = u8::try_from(shifted & DIGIT_MASK).unwrap_or_default();
            *byte = digit | if place == 0 { 0 } else { MORE };
        }
    }
}

/// Writes a value, within so many arrays and objects.
struct CompactSeed<'o, 't> {
    depth: usize,
    reader: &'o Reader<'t>,
    out: &'o mut Vec<u8>,
}

impl CompactSeed<'_, '_> {
    fn number<E: serde::de::Error>(self, read: Numeral) -> Result<(), E> {
        let written = self.reader.number(read)?;
        push_text(self.out, Some(b'#'), written.as_bytes());
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for CompactSeed<'_, '_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for CompactSeed<'_, '_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        self.out.push(b'n');
        Ok(())
    }

    fn visit_bool<E>(self, value: bool) -> Result<(), E> {
        self.out.push(if value { b't' } else { b'f' });
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<(), E> {
        self.number(Numeral::Unsigned(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<(), E> {
        self.number(Numeral::Negative(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<(), E> {
        self.number(Numeral::Double(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<(), E> {
        push_text(self.out, Some(b'"'), value.as_bytes());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let Self { depth, reader, out } = self;
        let depth = reader.descend(depth)?;
        let open = Open::begin(out, b'[');
        while access
            .next_element_seed(CompactSeed { depth, reader, out })?
            .is_some()
        {}
        open.end(out);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<(), A::Error> {
        let Self { depth, reader, out } = self;
        let depth = reader.descend(depth)?;
        let open = Open::begin(out, b'{');
        let mut names: Vec<(u32, u32)> = Vec::new();
        while let Some(name) = access.next_key_seed(Name(out))? {
            names.push(name);
            access.next_value_seed(CompactSeed { depth, reader, out })?;
        }
        if has_duplicates(names, out) {
            return Err(reader.refuse(Cause::Duplicate));
        }
        open.end(out);
        Ok(())
    }
}

/// The name of a member; where it stands in what has been written.
struct Name<'o>(&'o mut Vec<u8>);

impl<'de> DeserializeSeed<'de> for Name<'_> {
    type Value = (u32, u32);

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(u32, u32), D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name<'_> {
    type Value = (u32, u32);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E: serde::de::Error>(self, name: &str) -> Result<(u32, u32), E> {
        push_text(self.0, None, name.as_bytes());
        let end = self.0.len();
        let span = |at: usize| u32::try_from(at).map_err(|_| E::custom("too long"));
        Ok((span(end.saturating_sub(name.len()))?, span(end)?))
    }
}

/// Not copied to every comparison of a sort.
#[inline(never)]
fn by_name(one: (u32, u32), other: (u32, u32), out: &[u8]) -> Ordering {
    let name = |(start, end): (u32, u32)| out.get(start as usize..end as usize);
    name(one).cmp(&name(other))
}

fn has_duplicates(mut spans: Vec<(u32, u32)>, out: &[u8]) -> bool {
    sort::sort(&mut spans, |one, other| by_name(*one, *other, out));
    let is_twice = |pair: &[(u32, u32)]| match pair {
        [one, other] => by_name(*one, *other, out) == Ordering::Equal,
        _ => false,
    };
    spans.windows(2).any(is_twice)
}

/// JSON text without white space.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Null => f.write_str("null"),
            Value::Bool(value) => value.fmt(f),
            Value::Number(text) => f.write_str(text),
            Value::String(text) => quoted(text).fmt(f),
            Value::Array(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { "," })?;
                    item.fmt(f)?;
                }
                f.write_str("]")
            }
            Value::Object(members) => {
                f.write_str("{")?;
                for (index, (name, value)) in members.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { "," })?;
                    write!(f, "{}:{value}", quoted(name))?;
                }
                f.write_str("}")
            }
        }
    }
}

impl fmt::Debug for Compact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.value().fmt(f)
    }
}

impl fmt::Debug for Items<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl fmt::Debug for Members<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests;
