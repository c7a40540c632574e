//! Strict JSON: what the configuration and the tokens are read with.
//!
//! Stricter than [`serde_json::Value`] where leniency has been an attack: a member that appears twice is an
//! error (RFC 8259 leaves the meaning open, and two readers that choose differently disagree about
//! who a token belongs to), and nesting has a limit. And exact: a [`Number`] is what is written.

pub mod compact;
pub mod decimal;
pub mod number;
mod reader;

use std::cmp::Ordering;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

pub use self::number::Number;
use self::reader::{Cause, Numeral, Reader};
use crate::sort;

/// A JSON value whose objects have no member twice.
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number as written.
    Number(Number),
    /// A string.
    String(String),
    /// An array.
    Array(Vec<Json>),
    /// An object.
    Object(Object),
}

/// The members of a JSON object, in document order, each name once.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Object {
    members: Vec<(String, Json)>,
    /// The places of the members in the order of their names, where they are many.
    by_name: Vec<u32>,
}

/// So few names are looked through one by one.
const FEW: usize = 16;

/// Why bytes are not JSON of the strict kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JsonError {
    /// Not RFC 8259 JSON; the place counts from 1, columns in bytes.
    Syntax {
        /// The line of the first byte that cannot be read.
        line: usize,
        /// Its column.
        column: usize,
    },
    /// An object has a member twice.
    DuplicateMember {
        /// The line on which the object ends.
        line: usize,
        /// Its column.
        column: usize,
    },
    /// A number that no double holds, such as `1e999`.
    NumberRange {
        /// The line on which it stands.
        line: usize,
        /// A column of it.
        column: usize,
    },
    /// Arrays and objects are nested deeper than allowed.
    TooDeep {
        /// How deep they may be.
        limit: usize,
    },
}

impl Json {
    /// Reads one JSON text, with nothing but white space around it.
    ///
    /// # Errors
    /// See [`JsonError`]. `depth` is how many arrays and objects may contain one another.
    pub fn parse(bytes: &[u8], depth: usize) -> Result<Self, JsonError> {
        let reader = Reader::new(bytes, depth);
        let seed = JsonSeed {
            depth,
            reader: &reader,
        };
        reader.read(seed)
    }

    /// The value an RFC 6901 pointer leads to.
    pub fn pointer(&self, tokens: &[String]) -> Option<&Json> {
        tokens
            .iter()
            .try_fold(self, |value, token| value.step(token))
    }

    /// The value that one token of a pointer leads to.
    pub fn step(&self, token: &str) -> Option<&Json> {
        match self {
            Json::Object(object) => object.member(token),
            Json::Array(items) => array_index(token).and_then(|index| items.get(index)),
            _ => None,
        }
    }

    /// What a copy of it takes of memory, at most.
    pub fn weight(&self) -> usize {
        const VALUE: usize = 96;
        match self {
            Json::Null | Json::Bool(_) => VALUE,
            Json::Number(number) => number.bytes_beside().saturating_add(VALUE),
            Json::String(text) => text.len().saturating_add(VALUE),
            Json::Array(items) => {
                let items = items.iter().map(Json::weight);
                items.fold(VALUE, usize::saturating_add)
            }
            Json::Object(object) => {
                let members = object.iter().map(|(name, value)| {
                    let name = name.len().saturating_add(VALUE / 2);
                    name.saturating_add(value.weight())
                });
                members.fold(VALUE, usize::saturating_add)
            }
        }
    }

    /// The string, if it is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Json::String(text) => Some(text),
            _ => None,
        }
    }

    /// The members, if it is an object.
    pub fn as_object(&self) -> Option<&Object> {
        match self {
            Json::Object(object) => Some(object),
            _ => None,
        }
    }

    /// What kind of value it is, in the words of RFC 8259.
    pub fn kind(&self) -> &'static str {
        match self {
            Json::Null => "null",
            Json::Bool(_) => "a boolean",
            Json::Number(_) => "a number",
            Json::String(_) => "a string",
            Json::Array(_) => "an array",
            Json::Object(_) => "an object",
        }
    }
}

impl Object {
    /// The value of a member.
    pub fn member(&self, name: &str) -> Option<&Json> {
        if self.by_name.is_empty() {
            let found = self.members.iter().find(|(key, _)| key == name);
            return found.map(|(_, value)| value);
        }
        let found = self
            .by_name
            .binary_search_by(|place| self.name_at(*place).cmp(name));
        let place = self.by_name.get(found.ok()?)?;
        let (_, value) = self.members.get(usize::try_from(*place).ok()?)?;
        Some(value)
    }

    fn name_at(&self, place: u32) -> &str {
        let member = usize::try_from(place).ok();
        let member = member.and_then(|place| self.members.get(place));
        member.map_or("", |(name, _)| name)
    }

    /// All members in document order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Json)> {
        self.members
            .iter()
            .map(|(name, value)| (name.as_str(), value))
    }

    /// Puts the names in order, so that they are found. Whether each is there once.
    fn arrange(&mut self) -> bool {
        let Ok(count) = u32::try_from(self.members.len()) else {
            return false;
        };
        if self.members.len() <= FEW {
            let mut rest = self.members.as_slice();
            while let Some(((name, _), others)) = rest.split_first() {
                if others.iter().any(|(other, _)| other == name) {
                    return false;
                }
                rest = others;
            }
            return true;
        }
        let mut order: Vec<u32> = (0..count).collect();
        sort::places(&mut order, &|one, other| self.compare(one, other));
        let twice = |pair: &[u32]| match pair {
            [one, other] => self.name_at(*one) == self.name_at(*other),
            _ => false,
        };
        let once = !order.windows(2).any(twice);
        self.by_name = order;
        once
    }

    fn compare(&self, one: u32, other: u32) -> Ordering {
        self.name_at(one).cmp(self.name_at(other))
    }
}

/// JSON text without white space.
impl fmt::Display for Json {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Json::Null => f.write_str("null"),
            Json::Bool(value) => value.fmt(f),
            Json::Number(value) => value.fmt(f),
            Json::String(value) => write_string(f, value),
            Json::Array(items) => {
                f.write_str("[")?;
                for (index, item) in items.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { "," })?;
                    item.fmt(f)?;
                }
                f.write_str("]")
            }
            Json::Object(object) => {
                f.write_str("{")?;
                for (index, (name, value)) in object.iter().enumerate() {
                    f.write_str(if index == 0 { "" } else { "," })?;
                    write_string(f, name)?;
                    f.write_str(":")?;
                    value.fmt(f)?;
                }
                f.write_str("}")
            }
        }
    }
}

/// A JSON string, quotes included.
pub fn quoted(text: &str) -> impl fmt::Display + '_ {
    fmt::from_fn(move |f| write_string(f, text))
}

/// RFC 8259 §7, with every control character escaped.
fn write_string(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    f.write_str("\"")?;
    for c in text.chars() {
        match c {
            '"' => f.write_str("\\\"")?,
            '\\' => f.write_str("\\\\")?,
            c if c.is_control() => write!(f, "\\u{:04x}", u32::from(c))?,
            c => write!(f, "{c}")?,
        }
    }
    f.write_str("\"")
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            JsonError::Syntax { line, column } => {
                write!(f, "not JSON, at line {line} column {column}")
            }
            JsonError::DuplicateMember { line, column } => {
                write!(
                    f,
                    "the object that ends at line {line} column {column} has a member twice"
                )
            }
            JsonError::NumberRange { line, column } => write!(
                f,
                "a number that no double holds, at line {line} column {column}"
            ),
            JsonError::TooDeep { limit } => write!(f, "nested deeper than {limit} levels"),
        }
    }
}

/// RFC 6901 §4: digits without a leading zero.
pub fn array_index(token: &str) -> Option<usize> {
    let canonical = token == "0" || !token.starts_with(['0', '+']);
    if canonical { token.parse().ok() } else { None }
}

/// Reads a value, within so many arrays and objects.
#[derive(Clone, Copy)]
struct JsonSeed<'r, 't> {
    depth: usize,
    reader: &'r Reader<'t>,
}

impl JsonSeed<'_, '_> {
    fn descend<E: serde::de::Error>(self) -> Result<Self, E> {
        let depth = self.reader.descend(self.depth)?;
        Ok(Self { depth, ..self })
    }

    fn number<E: serde::de::Error>(self, read: Numeral) -> Result<Json, E> {
        let number = Number::parse(self.reader.number(read)?);
        number
            .map(Json::Number)
            .ok_or_else(|| self.reader.refuse(Cause::NumberRange))
    }
}

impl<'de> DeserializeSeed<'de> for JsonSeed<'_, '_> {
    type Value = Json;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Json, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonSeed<'_, '_> {
    type Value = Json;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Json, E> {
        Ok(Json::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Json, E> {
        Ok(Json::Bool(value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<Json, E> {
        self.number(Numeral::Unsigned(value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<Json, E> {
        self.number(Numeral::Negative(value))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Json, E> {
        self.number(Numeral::Double(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Json, E> {
        Ok(Json::String(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let inner = self.descend()?;
        let mut items = Vec::new();
        while let Some(item) = access.next_element_seed(inner)? {
            items.push(item);
        }
        Ok(Json::Array(items))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Json, A::Error> {
        let inner = self.descend()?;
        let mut object = Object::default();
        while let Some(name) = access.next_key::<String>()? {
            object.members.push((name, access.next_value_seed(inner)?));
        }
        if !object.arrange() {
            return Err(self.reader.refuse(Cause::Duplicate));
        }
        Ok(Json::Object(object))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(list: &[&str]) -> Vec<String> {
        list.iter().map(|token| (*token).to_owned()).collect()
    }

    #[test]
    fn refuses_a_member_that_appears_twice_at_any_depth() {
        let text = br#"{"a": [{"b": 1, "c": 2, "b": 3}]}"#;
        assert!(matches!(
            Json::parse(text, 8),
            Err(JsonError::DuplicateMember { .. })
        ));
    }

    #[test]
    fn members_are_found_among_many() {
        for count in [FEW, FEW + 1, 1000] {
            let members: Vec<String> = (0..count).map(|n| format!("\"k{n}\": {n}")).collect();
            let text = format!("{{{}}}", members.join(","));
            let json = Json::parse(text.as_bytes(), 8).unwrap();
            let object = json.as_object().unwrap();
            for n in 0..count {
                let found = object.member(&format!("k{n}")).unwrap();
                assert_eq!(found.to_string(), n.to_string());
            }
            assert!(object.member("k").is_none() && object.member("k1000").is_none());
            let twice = format!("{{{},\"k0\":1}}", members.join(","));
            assert!(Json::parse(twice.as_bytes(), 8).is_err(), "{count}");
        }
    }

    #[test]
    fn an_escaped_name_is_the_same_name() {
        let text = br#"{"sub": 1, "s\u0075b": 2}"#;
        assert!(matches!(
            Json::parse(text, 8),
            Err(JsonError::DuplicateMember { .. })
        ));
    }

    #[test]
    fn counts_depth_in_containers() {
        assert!(Json::parse(b"[[1]]", 2).is_ok());
        assert_eq!(
            Json::parse(b"[[[1]]]", 2),
            Err(JsonError::TooDeep { limit: 2 })
        );
        assert!(Json::parse("[".repeat(100_000).as_bytes(), 64).is_err());
    }

    #[test]
    fn refuses_what_follows_the_value() {
        assert!(matches!(
            Json::parse(b"{} x", 2),
            Err(JsonError::Syntax { line: 1, .. })
        ));
        assert!(Json::parse(b"", 2).is_err());
        assert!(Json::parse(b"{\"a\": \xff}", 2).is_err());
        assert!(Json::parse(b"1e999", 2).is_err());
    }

    #[test]
    fn is_written_as_it_was_read() {
        let text = r#"{"a":[1,-2,0.5,true,null],"b\"\\":"x\u000ay é","c":{},"d":[]}"#;
        let value = Json::parse(text.as_bytes(), 8).unwrap();
        assert_eq!(value.to_string(), text);
    }

    #[test]
    fn follows_pointers_through_objects_and_arrays() {
        let value = Json::parse(br#"{"a": {"b": [10, {"c": "x"}]}}"#, 8).unwrap();
        assert_eq!(
            value
                .pointer(&tokens(&["a", "b", "1", "c"]))
                .unwrap()
                .as_str(),
            Some("x")
        );
        assert_eq!(value.pointer(&tokens(&["a", "b", "01"])), None);
        assert_eq!(value.pointer(&tokens(&["a", "b", "2"])), None);
        assert_eq!(value.pointer(&tokens(&["a", "x"])), None);
    }
}
