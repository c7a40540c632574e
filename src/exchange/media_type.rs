//! Media types: RFC 9110 §8.3.1.

use std::cmp::Reverse;

use portcullis_document::{Node, Problems};
use portcullis_wire::headers::is_token_byte;

/// The value of a `Content-Type` field.
#[derive(Debug, PartialEq, Eq)]
pub struct MediaType<'v> {
    main: &'v str,
    sub: &'v str,
    parameters: Vec<(&'v str, String)>,
}

/// How a body of a media type can be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// RFC 8259, and what RFC 6839 builds on it.
    Json,
    /// XML 1.0, and what RFC 7303 builds on it.
    Xml,
    /// A message in length-prefixed pieces, each of which may be compressed.
    Grpc,
    /// By its size.
    Opaque,
}

impl<'v> MediaType<'v> {
    /// Reads a field's value. None if it is malformed, gives a parameter twice, or has more of them
    /// than any media type; and with a parameter that is written as RFC 2231 has it (`name*`, `name*0`), which some
    /// services read as `name` and others as nothing.
    pub fn parse(value: &'v [u8]) -> Option<Self> {
        const MOST_PARAMETERS: usize = 32;
        let text = std::str::from_utf8(value).ok()?;
        let (essence, mut rest) = text.split_at(text.find(';').unwrap_or(text.len()));
        let (main, sub) = essence.trim_end_matches(BLANKS).split_once('/')?;
        if !is_token(main) || !is_token(sub) {
            return None;
        }
        let mut parameters: Vec<(&str, String)> = Vec::new();
        while !rest.is_empty() {
            rest = rest.trim_start_matches(BLANKS).strip_prefix(';')?;
            rest = rest.trim_start_matches(BLANKS);
            // Nothing between two semicolons, or after the last, is allowed.
            if rest.is_empty() || rest.starts_with(';') {
                continue;
            }
            let (name, after) = rest.split_once('=')?;
            let (value, after) = parameter_value(after)?;
            let again = |(each, _): &(&str, String)| each.eq_ignore_ascii_case(name);
            let is_known = parameters.iter().any(again);
            let is_odd = !is_token(name) || name.contains('*');
            if is_known || is_odd || parameters.len() == MOST_PARAMETERS {
                return None;
            }
            parameters.push((name, value));
            rest = after;
            if rest.trim_start_matches(BLANKS).is_empty() {
                break;
            }
        }
        Some(Self {
            main,
            sub,
            parameters,
        })
    }

    /// The value of a parameter.
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let found = |(each, _): &&(&str, String)| each.eq_ignore_ascii_case(name);
        Some(&self.parameters.iter().find(found)?.1)
    }

    /// What stands behind the slash, as it was sent.
    pub fn subtype(&self) -> &'v str {
        self.sub
    }

    /// Whether it is that one, parameters aside.
    pub fn is(&self, main: &str, sub: &str) -> bool {
        self.main.eq_ignore_ascii_case(main) && self.sub.eq_ignore_ascii_case(sub)
    }

    /// Whether its characters are UTF-8, as far as it says so. `utf8` is no registered name, and
    /// many a client writes it.
    pub fn is_utf8(&self) -> bool {
        let charset = self.parameter("charset");
        charset.is_none_or(|charset| {
            charset.eq_ignore_ascii_case("utf-8") || charset.eq_ignore_ascii_case("utf8")
        })
    }

    /// How it can be judged.
    pub fn format(&self) -> Format {
        let is = |main: &str, sub: &str| self.is(main, sub);
        let application = self.main.eq_ignore_ascii_case("application");
        if is("application", "json") || is("text", "json") || ends_with(self.sub, "+json") {
            Format::Json
        } else if is("application", "xml") || is("text", "xml") || ends_with(self.sub, "+xml") {
            Format::Xml
        } else if application && (is("application", "grpc") || starts_with(self.sub, "grpc+")) {
            Format::Grpc
        } else {
            Format::Opaque
        }
    }
}

const BLANKS: [char; 2] = [' ', '\t'];

fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(is_token_byte)
}

fn ends_with(text: &str, end: &str) -> bool {
    let start = text.len().checked_sub(end.len());
    let tail = start.and_then(|start| text.get(start..));
    tail.is_some_and(|tail| tail.eq_ignore_ascii_case(end))
}

fn starts_with(text: &str, start: &str) -> bool {
    let head = text.get(..start.len());
    head.is_some_and(|head| head.eq_ignore_ascii_case(start))
}

/// A token or a quoted string, and what follows it.
fn parameter_value(start: &str) -> Option<(String, &str)> {
    let Some(inside) = start.strip_prefix('"') else {
        let end = start.bytes().position(|b| !is_token_byte(b));
        let (value, rest) = start.split_at_checked(end.unwrap_or(start.len()))?;
        return is_token(value).then(|| (value.to_owned(), rest));
    };
    let mut value = String::new();
    let mut characters = inside.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '"' => return Some((value, inside.get(at.checked_add(1)?..)?)),
            '\\' => value.push(characters.next().filter(|(_, c)| is_text(*c))?.1),
            other if is_text(other) => value.push(other),
            _ => return None,
        }
    }
    None
}

fn is_text(character: char) -> bool {
    character == '\t' || !character.is_control()
}

/// Media types that are allowed: one, all of a type, all with a suffix, or any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MediaRange {
    written: String,
    /// `*` stands for any.
    main: String,
    sub: Sub,
    /// What a media type may not have otherwise.
    parameters: Vec<(String, String)>,
}

/// How much a range says of a media type: RFC 9110 §12.5.1. The greater one says more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Precedence {
    kind: u8,
    parameters: usize,
    /// Parameters of the range that the media type does not have.
    missing: Reverse<usize>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Sub {
    Any,
    Exact(String),
    Suffix(String),
}

impl MediaRange {
    /// Reads `type/subtype`, `type/*` or `type/*+suffix`.
    pub fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let range = Self::parse(node.non_empty(problems)?);
        if range.is_none() {
            node.report(
                problems,
                "must be a media type without parameters, such as \"application/json\", \"image/*\" or \"application/*+json\"",
            );
        }
        range
    }

    pub fn parse(text: &str) -> Option<Self> {
        let lowered = text.to_ascii_lowercase();
        let (main, sub) = lowered.split_once('/')?;
        if !is_token(main) || !is_token(sub) || main.contains('*') {
            return None;
        }
        let sub = match sub.strip_prefix('*') {
            None if sub.contains('*') => return None,
            None => Sub::Exact(sub.to_owned()),
            Some("") => Sub::Any,
            Some(suffix) if suffix.starts_with('+') && !suffix.contains('*') => {
                Sub::Suffix(suffix.to_owned())
            }
            Some(_) => return None,
        };
        Some(Self {
            main: main.to_owned(),
            sub,
            parameters: Vec::new(),
            written: lowered,
        })
    }

    /// Reads a key of an OpenAPI document's `content`: `*/*` is one as well, and it may have
    /// parameters. `charset` says nothing: what is read is UTF-8.
    pub fn declared(text: &str) -> Option<Self> {
        let media_type = match text.trim() {
            "*" => MediaType::parse(b"*/*")?,
            text => MediaType::parse(text.as_bytes())?,
        };
        let mut range = match (media_type.main, media_type.sub) {
            ("*", "*") => Self {
                written: "*/*".to_owned(),
                main: "*".to_owned(),
                sub: Sub::Any,
                parameters: Vec::new(),
            },
            (main, sub) => Self::parse(&format!("{main}/{sub}"))?,
        };
        for (name, value) in media_type.parameters {
            let name = name.to_ascii_lowercase();
            if !matches!(name.as_str(), "charset" | "boundary") {
                range.parameters.push((name, value));
            }
        }
        Some(range)
    }

    /// As a document writes it.
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Whether the media type is one of these.
    pub fn contains(&self, media_type: &MediaType<'_>) -> bool {
        self.precedence(media_type).is_some()
    }

    /// How much it says of a media type that is one of these; none if it is not.
    pub fn precedence(&self, media_type: &MediaType<'_>) -> Option<Precedence> {
        let any = self.main == "*";
        let sub = match &self.sub {
            Sub::Any => true,
            Sub::Exact(sub) => media_type.sub.eq_ignore_ascii_case(sub),
            Sub::Suffix(suffix) => ends_with(media_type.sub, suffix),
        };
        if !sub || !(any || media_type.main.eq_ignore_ascii_case(&self.main)) {
            return None;
        }
        let mut precedence = Precedence {
            kind: match self.sub {
                Sub::Any if any => 0,
                Sub::Any => 1,
                Sub::Suffix(_) => 2,
                Sub::Exact(_) => 3,
            },
            parameters: 0,
            missing: Reverse(0),
        };
        for (name, value) in &self.parameters {
            let count = match media_type.parameter(name) {
                Some(sent) if sent == value => &mut precedence.parameters,
                Some(_) => return None,
                None => &mut precedence.missing.0,
            };
            *count = count.saturating_add(1);
        }
        Some(precedence)
    }

    /// The place of the range that says most of a media type: of ranges that say as much, the first.
    pub fn best<'r>(
        ranges: impl Iterator<Item = &'r Self>,
        media_type: &MediaType<'_>,
    ) -> Option<usize> {
        let mut best = None;
        for (place, range) in ranges.enumerate() {
            let precedence = range.precedence(media_type);
            if precedence.is_some() && best.is_none_or(|(_, before)| precedence > before) {
                best = Some((place, precedence));
            }
        }
        best.map(|(place, _)| place)
    }

    /// Whether it is `*/*`.
    pub fn is_any(&self) -> bool {
        self.main == "*" && self.parameters.is_empty()
    }

    /// Whether some JSON is in it.
    pub fn has_json(&self) -> bool {
        self.sub == Sub::Any || self.may_be(Format::Json)
    }

    /// Whether all that is in it is JSON.
    pub fn is_json(&self) -> bool {
        self.sub != Sub::Any && self.may_be(Format::Json)
    }

    /// Whether it has media types of that format.
    pub fn may_be(&self, format: Format) -> bool {
        let sub = match &self.sub {
            Sub::Any => {
                return matches!(format, Format::Opaque | Format::Xml)
                    || self.main == "application";
            }
            Sub::Exact(sub) => sub.clone(),
            Sub::Suffix(suffix) => ["x", suffix].concat(),
        };
        let parameters = Vec::new();
        let example = MediaType {
            main: &self.main,
            sub: &sub,
            parameters,
        };
        example.format() == format
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> Option<MediaType<'_>> {
        MediaType::parse(value.as_bytes())
    }

    #[test]
    fn reads_types_and_parameters() {
        for good in [
            "application/json",
            "application/json ; charset=utf-8",
            "application/json;charset=utf-8;",
            "application/json;; charset=\"utf-8\" ",
            "a/b;c=d;e=\"f;g\\\"\"",
            "multipart/form-data; boundary=\"a b\"",
        ] {
            assert!(parse(good).is_some(), "{good}");
        }
        let quoted = parse("a/b; X=\"y\\\"z\"").unwrap();
        assert_eq!(quoted.parameter("x"), Some("y\"z"));
        for bad in [
            "",
            "json",
            "/json",
            "application/",
            "application/json,text/plain",
            "application /json",
            "application/ json",
            "a/b;c",
            "a/b;=d",
            "a/b;c=",
            "a/b;c =d",
            "a/b;c=d e",
            "a/b;c=\"d",
            "a/b;c=\"d\"e",
            "a/b;c=d;C=e",
            "a/b c=d",
            "a/b;c=\u{7f}",
            "a/b;c=é",
            "a/b;c*=utf-8''d",
            "a/b;c*0=d",
            "a/b;c=d;c*=utf-8''e",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
        assert_eq!(MediaType::parse(b"a/b;c=\"\xff\""), None);
        let with = |count: usize| {
            let parameters = (0..count).map(|n| format!(";p{n}=1"));
            format!("a/b{}", parameters.collect::<String>())
        };
        assert!(parse(&with(32)).is_some());
        assert_eq!(parse(&with(33)), None);
    }

    #[test]
    fn formats_do_not_depend_on_case() {
        let format = |value: &'static str| parse(value).unwrap().format();
        for json in [
            "application/json",
            "Application/JSON;charset=x",
            "application/problem+json",
            "image/x+Json",
            "text/json",
        ] {
            assert_eq!(format(json), Format::Json, "{json}");
        }
        for xml in [
            "application/xml",
            "Text/XML; charset=utf-8",
            "application/soap+xml",
            "image/svg+XML",
        ] {
            assert_eq!(format(xml), Format::Xml, "{xml}");
        }
        for grpc in ["application/grpc", "application/grpc+proto"] {
            assert_eq!(format(grpc), Format::Grpc, "{grpc}");
        }
        for opaque in [
            "text/plain",
            "application/jsonp",
            "application/xml-dtd",
            "application/grpc-web",
            "a/json",
        ] {
            assert_eq!(format(opaque), Format::Opaque, "{opaque}");
        }
    }

    #[test]
    fn ranges_contain_what_they_say() {
        let within = |range: &str, value: &'static str| {
            MediaRange::parse(range)
                .unwrap()
                .contains(&parse(value).unwrap())
        };
        assert!(within("application/JSON", "Application/json;charset=utf-8"));
        assert!(!within("application/json", "application/jsonx"));
        assert!(within("image/*", "image/png"));
        assert!(!within("image/*", "images/png"));
        assert!(within("application/*+json", "application/vnd.api+json"));
        assert!(!within("application/*+json", "application/json"));
        for wrong in ["*/*", "json", "a/b;c=d", "a/b*", "a/*x", "a b/c", "a/*+*"] {
            assert_eq!(MediaRange::parse(wrong), None, "{wrong}");
        }
        assert_eq!(MediaRange::declared("application/"), None);
        let may_be = |range: &str, format| MediaRange::parse(range).unwrap().may_be(format);
        assert!(may_be("application/json", Format::Json));
        assert!(may_be("application/*+json", Format::Json));
        assert!(may_be("application/*", Format::Json));
        assert!(!may_be("text/plain", Format::Json));
        assert!(may_be("image/*", Format::Xml) && may_be("application/*+xml", Format::Xml));
        assert!(!may_be("application/json", Format::Xml));
    }

    #[test]
    fn the_most_specific_range_counts() {
        let best = |ranges: &[&str], value: &'static str| {
            let ranges: Vec<MediaRange> = ranges
                .iter()
                .map(|range| MediaRange::declared(range).unwrap())
                .collect();
            MediaRange::best(ranges.iter(), &parse(value).unwrap())
        };
        let all = [
            "*/*",
            "application/*",
            "application/*+json",
            "application/json; charset=utf-8",
            "application/json;v=1",
            "application/json;V=2;w=\"a b\"",
        ];
        for (value, place) in [
            ("text/plain", 0),
            ("image/x+json", 0),
            ("application/pdf", 1),
            ("application/x+json;v=1", 2),
            ("application/json", 3),
            ("Application/JSON;charset=utf8", 3),
            ("application/json;v=3", 3),
            ("application/json;v=1", 4),
            ("application/json;v=2", 5),
            ("application/json;v=2;w=\"a b\";x=y", 5),
            ("application/json;v=2;w=b", 3),
        ] {
            assert_eq!(best(&all, value), Some(place), "{value}");
        }
        assert_eq!(best(&["application/json;v=1"], "application/json"), Some(0));
        assert_eq!(
            best(&["application/json;v=1"], "application/json;v=2"),
            None
        );
        assert_eq!(best(&["*"], "a/b"), Some(0));
        let has_json = |range: &str| MediaRange::declared(range).unwrap().has_json();
        assert!(has_json("*/*") && has_json("text/*") && has_json("a/b+json;v=1"));
        assert!(!has_json("text/plain") && !has_json("application/*+xml"));
    }
}
