//! Why text is not JSON, for its author: most often it is JSON of another kind, or YAML.

use std::fmt;

use portcullis_wire::json::JsonError;

/// What the text has in place of JSON, where that can be told, and what to do about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    line: usize,
    column: usize,
    cure: &'static str,
}

const BYTE_ORDER_MARK: &str =
    "a byte order mark, which JSON text must not begin with; save it as UTF-8 without one";
const UTF_16: &str = "UTF-16; save it as UTF-8";
const COMMENT: &str = "a comment, and JSON has none; take it out";
const COMMA: &str = "a comma behind the last value; take it out";
const SINGLE: &str = "a single quotation mark; JSON has texts and names in \"double\" ones";
const YAML: &str = "YAML, and the filter reads JSON alone; turn it into JSON first, with `yq -o json` for instance";
const ENDS: &str = "it ends too early; something is left open, or cut off";
const NAME: &str = "a name or a text without quotation marks; write it in \"double\" ones";
const CONTROL: &str = "a line break or another control character in a text: its last quotation mark is missing, or write \\n";
const PROTOBUF: &str = "configuration must be google.protobuf.StringValue holding JSON; Envoy hands any other message, google.protobuf.Struct for one, to the filter as protobuf bytes";

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { line, column, cure } = self;
        write!(f, "not JSON, at line {line} column {column}: {cure}")
    }
}

impl Fault {
    /// What is wrong with a text that cannot be read for that reason; none if nobody can tell.
    pub fn of(text: &[u8], error: JsonError) -> Option<Self> {
        let JsonError::Syntax { line, column } = error else {
            return None;
        };
        let at = |line, column, cure| Some(Self { line, column, cure });
        if text.starts_with(b"\xef\xbb\xbf") {
            return at(1, 1, BYTE_ORDER_MARK);
        }
        if text.starts_with(b"\xff\xfe") || text.starts_with(b"\xfe\xff") {
            return at(1, 1, UTF_16);
        }
        if let Some((place, cure)) = not_json(text) {
            let (line, column) = position(text, place);
            return at(line, column, cure);
        }
        let begins = text.trim_ascii_start();
        if is_yaml(text) {
            let (line, column) = position(text, text.len().saturating_sub(begins.len()));
            return at(line, column, YAML);
        }
        if !matches!(begins.first(), Some(b'{' | b'[')) {
            return at(line, column, PROTOBUF);
        }
        // The reader names the byte that it cannot go on with, or the one before.
        let place = offset(text, line, column);
        let near = text.get(place..).unwrap_or_default();
        match near.first() {
            _ if near.trim_ascii().len() <= 1 && !is_closed(text) => at(line, column, ENDS),
            Some(b) if b.is_ascii_alphabetic() || matches!(b, b'_' | b'$') => {
                at(line, column, NAME)
            }
            _ => None,
        }
    }
}

/// The first thing outside of texts that stands nowhere in JSON.
fn not_json(text: &[u8]) -> Option<(usize, &'static str)> {
    let mut inside = false;
    let mut escaped = false;
    let mut comma: Option<usize> = None;
    let mut begun = false;
    for (place, byte) in text.iter().enumerate() {
        if inside {
            match byte {
                _ if escaped => escaped = false,
                b'\\' => escaped = true,
                b'"' => inside = false,
                0..b' ' => return Some((place, CONTROL)),
                _ => {}
            }
            continue;
        }
        let after = text.get(place.saturating_add(1));
        match byte {
            b'/' if matches!(after, Some(b'/' | b'*')) => return Some((place, COMMENT)),
            b'#' => return Some((place, COMMENT)),
            // YAML has them too, and more.
            b'\'' if begun => return Some((place, SINGLE)),
            b'}' | b']' if comma.is_some() => return Some((comma?, COMMA)),
            _ => {}
        }
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' => continue,
            b'"' => inside = true,
            b'{' | b'[' => begun = true,
            _ if !begun => return None,
            _ => {}
        }
        comma = (*byte == b',').then_some(place);
    }
    None
}

/// Whether the first line is one of a YAML mapping or list.
fn is_yaml(text: &[u8]) -> bool {
    let mut lines = text.split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
    let Some(first) = lines.find(|line| !line.is_empty()) else {
        return false;
    };
    let name = first.split(|b| *b == b':').next().unwrap_or_default();
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"_-\"'".contains(b);
    let is_mapping = name.len() < first.len()
        && !name.is_empty()
        && name.iter().all(plain)
        && matches!(first.get(name.len().saturating_add(1)), None | Some(b' '));
    is_mapping
        || first.starts_with(b"---")
        || first.starts_with(b"- ")
        || first.starts_with(b"%YAML")
}

/// Whether as much is closed as is opened.
fn is_closed(text: &[u8]) -> bool {
    let (mut inside, mut escaped, mut depth) = (false, false, 0_i64);
    for byte in text {
        match (inside, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => inside = !inside,
            (false, b'{' | b'[') => depth = depth.saturating_add(1),
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    !inside && depth <= 0
}

/// Line and column of a place, both from 1, the column in bytes.
fn position(text: &[u8], place: usize) -> (usize, usize) {
    let before = text.get(..place).unwrap_or_default();
    let line = before.iter().filter(|b| **b == b'\n').count();
    let start = before.iter().rposition(|b| *b == b'\n');
    let column = match start {
        Some(start) => place.saturating_sub(start),
        None => place.saturating_add(1),
    };
    (line.saturating_add(1), column)
}

/// The place of line and column.
fn offset(text: &[u8], line: usize, column: usize) -> usize {
    let before = text
        .split_inclusive(|b| *b == b'\n')
        .take(line.saturating_sub(1));
    let start: usize = before.map(<[u8]>::len).sum();
    start.saturating_add(column.saturating_sub(1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::json::Json;

    fn fault(text: &[u8]) -> String {
        let error = Json::parse(text, 16).unwrap_err();
        Fault::of(text, error).map_or_else(|| error.to_string(), |fault| fault.to_string())
    }

    #[test]
    fn what_people_write_in_place_of_json_is_told() {
        for (text, place, cure) in [
            (
                "{\"a\": 1,\n  // why\n \"b\": 2}",
                "line 2 column 3",
                COMMENT,
            ),
            (
                "{\"a\": 1, /* why */ \"b\": 2}",
                "line 1 column 10",
                COMMENT,
            ),
            ("{\"a\": 1 # why\n}", "line 1 column 9", COMMENT),
            ("# a policy\n{\"a\": 1}", "line 1 column 1", COMMENT),
            ("{\"a\": [1, 2,]}", "line 1 column 12", COMMA),
            ("{\"a\": 1,\n}", "line 1 column 8", COMMA),
            ("{'a': 1}", "line 1 column 2", SINGLE),
            ("{\"a\": 'b'}", "line 1 column 7", SINGLE),
            ("version: 1\nroutes: []\n", "line 1 column 1", YAML),
            ("---\nversion: 1\n", "line 1 column 1", YAML),
            ("\n- a\n- b\n", "line 2 column 1", YAML),
            ("\u{feff}{\"a\": 1}", "line 1 column 1", BYTE_ORDER_MARK),
            ("{\"a\": [", "line 1 column 7", ENDS),
            ("{\"a\": \"b", "line 1 column 8", ENDS),
            ("", "line 1 column 0", PROTOBUF),
            ("{version: 1}", "line 1 column 2", NAME),
            ("{\"a\": yes}", "line 1 column 7", NAME),
            ("{\"a\": None}", "line 1 column 7", NAME),
            ("{\"a\": \"b\nc\"}", "line 1 column 9", CONTROL),
            ("\n\u{14}\n\u{7}version", "line 2 column 1", PROTOBUF),
        ] {
            assert_eq!(
                fault(text.as_bytes()),
                format!("not JSON, at {place}: {cure}"),
                "{text:?}"
            );
        }
        assert!(fault(b"\xff\xfe{\0}\0").contains(UTF_16));
    }

    #[test]
    fn texts_may_hold_anything() {
        for text in [
            r#"{"a": "// # ' ,}", "b": [}"#,
            r#"{"a\"": "/* */", "b" 1}"#,
        ] {
            let told = fault(text.as_bytes());
            for cure in [COMMENT, COMMA, SINGLE, YAML] {
                assert!(!told.contains(cure), "{told}");
            }
        }
    }
}
