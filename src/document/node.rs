//! Reading a document value by value: each with its place, each problem noted
//! and none of them the end, so that one try shows everything that is wrong.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use super::fields::Fields;
use super::problem::{DidYouMean, Pointer, Problems, Quoted};
use super::units::{duration, size, whole};
use portcullis_wire::json::Json;

/// A value of the document and its place.
#[derive(Clone, Debug)]
pub struct Node<'d> {
    json: &'d Json,
    pointer: Pointer,
}

impl<'d> Node<'d> {
    /// The root of a document.
    pub fn root(json: &'d Json) -> Self {
        Self {
            json,
            pointer: Pointer::default(),
        }
    }

    /// A value that stands there.
    pub fn at(json: &'d Json, pointer: Pointer) -> Self {
        Self { json, pointer }
    }

    /// A member of an object; none if it is no object, or has no such member.
    #[inline(never)]
    pub fn member(&self, name: &str) -> Option<Self> {
        let json = self.json.as_object()?.member(name)?;
        Some(Self::at(json, self.pointer.member(name)))
    }

    /// The value.
    #[cfg_attr(feature = "record", track_caller)]
    pub fn json(&self) -> &'d Json {
        ask!(&self.pointer, Raw);
        self.json
    }

    /// Its place.
    pub fn pointer(&self) -> &Pointer {
        &self.pointer
    }

    /// Whether it is `off`. YAML 1.1 reads an unquoted `off` as `false`, so that counts as well.
    #[cfg_attr(feature = "record", track_caller)]
    pub fn is_off(&self) -> bool {
        ask!(&self.pointer, Off);
        matches!(self.json, Json::Bool(false)) || self.json.as_str() == Some("off")
    }

    /// Notes a problem here.
    pub fn report(&self, problems: &mut Problems, reason: impl fmt::Display) {
        problems.report(&self.pointer, reason);
    }

    fn expected<T>(&self, problems: &mut Problems, what: &str) -> Option<T> {
        self.report_kind(problems, what);
        None
    }

    #[cold]
    #[inline(never)]
    fn report_kind(&self, problems: &mut Problems, what: &str) {
        let kind = self.json.kind();
        self.report(problems, format_args!("must be {what}, not {kind}"));
    }

    /// The members of an object.
    #[inline(never)]
    #[cfg_attr(feature = "record", track_caller)]
    pub fn fields(&self, problems: &mut Problems) -> Option<Fields<'d>> {
        ask!(&self.pointer, Object);
        match self.json {
            Json::Object(object) => Some(Fields::of(object, self.pointer.clone())),
            _ => self.expected(problems, "an object"),
        }
    }

    /// The same of one in whose place words stand as well: all that can, as a message says it.
    #[inline(never)]
    #[cfg_attr(feature = "record", track_caller)]
    pub fn fields_or(&self, problems: &mut Problems, what: &str) -> Option<Fields<'d>> {
        match self.json {
            Json::Object(_) => self.fields(problems),
            _ => self.expected(problems, what),
        }
    }

    /// The same of one for which people write something shorter: what to write in place of that.
    #[inline(never)]
    #[cfg_attr(feature = "record", track_caller)]
    pub fn object(&self, problems: &mut Problems, instead: &str) -> Option<Fields<'d>> {
        match self.json {
            Json::String(_) | Json::Array(_) | Json::Bool(_) | Json::Number(_) => {
                let kind = self.json.kind();
                let reason = format_args!("must be an object, not {kind}; write {instead}");
                self.report(problems, reason);
                None
            }
            _ => self.fields(problems),
        }
    }

    /// The members of an object whose names the operator chooses.
    #[inline(never)]
    #[cfg_attr(feature = "record", track_caller)]
    pub fn members(&self, problems: &mut Problems) -> Option<Vec<(&'d str, Node<'d>)>> {
        ask!(&self.pointer, Map);
        match self.json {
            Json::Object(object) => {
                let entry = |(name, json): (&'d str, &'d Json)| {
                    (
                        name,
                        Node {
                            json,
                            pointer: self.pointer.member(name),
                        },
                    )
                };
                Some(object.iter().map(entry).collect())
            }
            _ => self.expected(problems, "an object"),
        }
    }

    /// The items of an array in which somebody may write secrets: what stands in its place is not quoted.
    #[inline(never)]
    #[cfg_attr(feature = "record", track_caller)]
    pub fn items_unquoted(&self, problems: &mut Problems) -> Option<Vec<Node<'d>>> {
        match self.json {
            Json::Array(_) => self.items(problems),
            _ => self.expected(problems, "an array"),
        }
    }

    /// The items of an array.
    #[inline(never)]
    #[cfg_attr(feature = "record", track_caller)]
    pub fn items(&self, problems: &mut Problems) -> Option<Vec<Node<'d>>> {
        ask!(&self.pointer, Items);
        match self.json {
            Json::Array(items) => {
                let item = |(index, json)| Node {
                    json,
                    pointer: self.pointer.item(index),
                };
                Some(items.iter().enumerate().map(item).collect())
            }
            single => {
                let (kind, list) = (single.kind(), as_list(single));
                self.report(problems, format_args!("must be an array, not {kind}{list}"));
                None
            }
        }
    }

    /// An array with at least one item, each read by `read`. All items are read, even when some fail.
    #[cfg_attr(feature = "record", track_caller)]
    pub fn list<T>(
        &self,
        problems: &mut Problems,
        mut read: impl FnMut(&Node<'d>, &mut Problems) -> Option<T>,
    ) -> Option<Vec<T>> {
        let items = self.some_items(problems)?;
        let mut values = Vec::with_capacity(items.len());
        for item in &items {
            values.extend(read(item, problems));
        }
        (values.len() == items.len()).then_some(values)
    }

    #[inline(never)]
    #[cfg_attr(feature = "record", track_caller)]
    fn some_items(&self, problems: &mut Problems) -> Option<Vec<Node<'d>>> {
        let items = self.items(problems)?;
        if items.is_empty() {
            self.report(problems, "must not be empty");
            return None;
        }
        Some(items)
    }

    /// A string.
    #[inline(never)]
    #[cfg_attr(feature = "record", track_caller)]
    pub fn text(&self, problems: &mut Problems) -> Option<&'d str> {
        ask!(&self.pointer, Text);
        match self.json {
            Json::String(text) => Some(text),
            _ => self.expected(problems, "a string"),
        }
    }

    /// A string that is not empty.
    #[inline(never)]
    #[cfg_attr(feature = "record", track_caller)]
    pub fn non_empty(&self, problems: &mut Problems) -> Option<&'d str> {
        let text = self.text(problems)?;
        if text.is_empty() {
            self.report(problems, "must not be empty");
            return None;
        }
        Some(text)
    }

    /// A boolean.
    #[inline(never)]
    #[cfg_attr(feature = "record", track_caller)]
    pub fn boolean(&self, problems: &mut Problems) -> Option<bool> {
        ask!(&self.pointer, Boolean);
        match self.json {
            Json::Bool(value) => Some(*value),
            _ => self.expected(problems, "true or false"),
        }
    }

    /// A whole number within `range`.
    #[inline(never)]
    #[cfg_attr(feature = "record", track_caller)]
    pub fn integer(&self, problems: &mut Problems, range: RangeInclusive<u64>) -> Option<u64> {
        ask!(&self.pointer, Integer(*range.start(), *range.end()));
        let value = match self.json {
            Json::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
            _ => return self.expected(problems, "a whole number"),
        };
        match value {
            Some(value) if range.contains(&value) => Some(value),
            _ => {
                let (low, high) = (range.start(), range.end());
                self.report(
                    problems,
                    format_args!("must be a whole number from {low} to {high}"),
                );
                None
            }
        }
    }

    /// One of a closed set of names.
    #[cfg_attr(feature = "record", track_caller)]
    pub fn choice<T: Copy>(&self, problems: &mut Problems, choices: &[(&str, T)]) -> Option<T> {
        let name = |place: usize| choices.get(place).map(|(name, _)| *name);
        let place = self.place_in(problems, &name)?;
        choices.get(place).map(|(_, value)| *value)
    }

    #[inline(never)]
    #[cfg_attr(feature = "record", track_caller)]
    fn place_in<'n>(
        &self,
        problems: &mut Problems,
        name: &dyn Fn(usize) -> Option<&'n str>,
    ) -> Option<usize> {
        let written = self.text(problems)?;
        let names: Vec<&str> = (0..usize::MAX).map_while(name).collect();
        ask!(
            &self.pointer,
            Names(names.iter().map(|name| (*name).to_owned()).collect())
        );
        let found = names.iter().position(|name| *name == written);
        if found.is_none() {
            let names = names.iter().copied();
            let listed: Vec<_> = names.clone().map(|name| Quoted(name).to_string()).collect();
            let near = DidYouMean(written, names);
            self.report(
                problems,
                format_args!("must be one of {}{near}", listed.join(", ")),
            );
        }
        found
    }

    /// A status of HTTP within `range`, or the name of a class of `classes`, as `"5xx"`, with the first of
    /// its statuses. Whether it is a class.
    #[inline(never)]
    #[cfg_attr(feature = "record", track_caller)]
    pub fn status(
        &self,
        problems: &mut Problems,
        range: RangeInclusive<u64>,
        classes: &[(&str, u64)],
    ) -> Option<(u64, bool)> {
        match self.json {
            Json::String(text) if text.bytes().all(|b| b.is_ascii_digit()) => {
                self.report(problems, "a status is a number, without quotation marks");
                None
            }
            Json::String(_) => self.choice(problems, classes).map(|first| (first, true)),
            _ => self.integer(problems, range).map(|status| (status, false)),
        }
    }

    /// A duration: a whole number and `ms`, `s`, `m` or `h`, at most a year.
    #[inline(never)]
    #[cfg_attr(feature = "record", track_caller)]
    pub fn duration(&self, problems: &mut Problems) -> Option<Duration> {
        ask!(&self.pointer, Duration);
        const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);
        let parsed = match self.json {
            Json::String(text) => duration(text).filter(|duration| *duration <= LONGEST),
            _ => return self.expected(problems, "a duration such as \"10s\""),
        };
        if parsed.is_none() {
            self.report(
                problems,
                "must be a duration of at most a year: a whole number and ms, s, m or h, such as \"250ms\"",
            );
        }
        parsed
    }

    /// A number of bytes: a whole number, or one with `B`, `KiB` or `MiB`.
    #[inline(never)]
    #[cfg_attr(feature = "record", track_caller)]
    pub fn bytes(&self, problems: &mut Problems) -> Option<u64> {
        ask!(&self.pointer, Bytes);
        const LARGEST: u64 = 1 << 31;
        let parsed = match self.json {
            Json::Number(number) => number.as_u64().or_else(|| whole(number.as_f64()?)),
            Json::String(text) => size(text),
            _ => return self.expected(problems, "a size such as \"64KiB\""),
        };
        let parsed = parsed.filter(|size| *size <= LARGEST);
        if parsed.is_none() {
            self.report(
                problems,
                "must be a size of at most 2048MiB: a whole number and B, KiB or MiB, such as \"64KiB\"",
            );
        }
        parsed
    }

    /// The size of something that is read whole, with what is made of it: it has to fit into a
    /// worker's memory.
    #[cfg_attr(feature = "record", track_caller)]
    pub fn bytes_read(&self, problems: &mut Problems) -> Option<u64> {
        const LARGEST: u64 = 16 << 20;
        let size = self.bytes(problems)?;
        if size > LARGEST {
            self.report(
                problems,
                "must be at most 16MiB, for all of it is read into a worker's memory; give larger bodies a route that only counts them: `payload` without `json`, `json_schema` and `xml`",
            );
            return None;
        }
        Some(size)
    }
}

/// `; write ["x"]` where `"x"` stands: most often one item is meant. What may be a secret is not
/// quoted.
fn as_list(single: &Json) -> String {
    const LONGEST: usize = 64;
    let plain = |b: u8| b.is_ascii_alphanumeric() || b" ,._:/*-@+".contains(&b);
    match single {
        Json::String(text) if text.len() <= LONGEST && text.bytes().all(plain) => {
            // Envoy has lists in one text.
            let items = text.split(',').map(str::trim);
            let items: Vec<String> = items.map(|item| Quoted(item).to_string()).collect();
            format!("; write [{}]", items.join(", "))
        }
        Json::String(_) => "; write [\"…\"]".to_owned(),
        Json::Number(number) => format!("; write [{number}]"),
        Json::Object(_) => "; write [{…}]".to_owned(),
        Json::Null | Json::Bool(_) | Json::Array(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Case;
    use portcullis_wire::regex;

    fn problems_of(text: &str, read: impl FnOnce(&Node<'_>, &mut Problems)) -> Vec<String> {
        let json = Json::parse(text.as_bytes(), 16).unwrap();
        let mut problems = Problems::default();
        read(&Node::root(&json), &mut problems);
        match problems.into_result(Some(())) {
            Ok(()) => Vec::new(),
            Err(error) => error.problems.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn durations_have_a_limit() {
        let found = problems_of("\"9000h\"", |node, problems| {
            assert!(node.duration(problems).is_none());
        });
        assert_eq!(found.len(), 1);
    }

    #[test]
    fn unknown_fields_name_the_nearest_known_one() {
        let found = problems_of(r#"{"isuer": "x", "zzz": 1}"#, |node, problems| {
            let mut fields = node.fields(problems).unwrap();
            assert!(fields.optional("issuer").is_none());
            fields.deny_unknown(problems);
        });
        assert_eq!(
            found,
            [
                "/isuer: unknown field; did you mean \"issuer\"?",
                "/zzz: unknown field"
            ]
        );
    }

    #[test]
    fn a_misspelt_field_does_not_lack_as_well() {
        for (written, told) in [
            ("isuer", "unknown field; did you mean \"issuer\"?"),
            ("issuers", "unknown field; did you mean \"issuer\"?"),
        ] {
            let text = format!(r#"{{"{written}": "x"}}"#);
            let found = problems_of(&text, |node, problems| {
                let mut fields = node.fields(problems).unwrap();
                assert!(fields.required("issuer", problems).is_none());
                fields.deny_unknown(problems);
            });
            assert_eq!(found, [format!("/{written}: {told}")]);
        }
    }

    #[test]
    fn one_item_in_place_of_a_list_is_shown_as_a_list() {
        for (written, told) in [
            (r#""orders-api""#, r#"a string; write ["orders-api"]"#),
            (r#""GET, POST""#, r#"a string; write ["GET", "POST"]"#),
            (r#""a\"b""#, r#"a string; write ["…"]"#),
            ("7", "a number; write [7]"),
            ("{}", "an object; write [{…}]"),
            ("null", "null"),
        ] {
            let found = problems_of(written, |node, problems| {
                assert!(node.items(problems).is_none());
            });
            assert_eq!(found, [format!("document: must be an array, not {told}")]);
        }
    }

    #[test]
    fn what_may_be_secret_is_not_shown_as_a_list() {
        let found = problems_of(r#""a-secret""#, |node, problems| {
            assert!(node.items_unquoted(problems).is_none());
        });
        assert_eq!(found, ["document: must be an array, not a string"]);
    }

    #[test]
    fn whole_numbers_survive_a_trip_through_a_double() {
        let none = problems_of("3.0", |node, problems| {
            assert_eq!(node.integer(problems, 0..=10), Some(3));
        });
        assert!(none.is_empty());
        for wrong in ["3.5", "-1", "11", "1e300"] {
            let found = problems_of(wrong, |node, problems| {
                assert_eq!(node.integer(problems, 0..=10), None);
            });
            assert_eq!(found, ["document: must be a whole number from 0 to 10"]);
        }
    }

    #[test]
    fn regexes_match_whole_values_and_have_a_bound() {
        let json = Json::parse(br#"["a|b", "(", "\\w{500}{500}"]"#, 4).unwrap();
        let mut problems = Problems::default();
        let items = Node::root(&json).items(&mut problems).unwrap();
        let regex = items[0].regex(&mut problems, Case::Significant).unwrap();
        let found = |text| regex.is_match(text, &regex::Effort::new(1000));
        assert_eq!(
            [found("a"), found("ab"), found("xb")],
            [Ok(true), Ok(false), Ok(false)]
        );
        assert!(items[1].regex(&mut problems, Case::Significant).is_none());
        assert!(items[2].regex(&mut problems, Case::Significant).is_none());
        let error = problems.into_result(Some(())).unwrap_err();
        assert_eq!(error.problems.len(), 2);
    }
}
