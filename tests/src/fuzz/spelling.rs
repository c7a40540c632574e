//! Other spellings of one JSON value.

/// The same value with members in the opposite order, letters escaped, `exponent` after numbers that
/// have none, and blanks between everything. The text must be JSON, and not nested deep.
///
/// # Panics
/// When it is not.
pub(super) fn respelled(text: &[u8], exponent: &[u8]) -> Vec<u8> {
    let mut reader = Reader {
        rest: text,
        exponent,
    };
    let mut out = Vec::new();
    reader.value(&mut out);
    reader.blanks();
    assert!(reader.rest.is_empty(), "JSON with something after it");
    out
}

struct Reader<'t> {
    rest: &'t [u8],
    exponent: &'t [u8],
}

impl<'t> Reader<'t> {
    fn blanks(&mut self) {
        self.rest = self.rest.trim_ascii_start();
    }

    /// Takes a character that may stand here, and says whether it does.
    fn takes(&mut self, byte: u8) -> bool {
        self.blanks();
        let found = self.rest.first() == Some(&byte);
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    fn value(&mut self, out: &mut Vec<u8>) {
        out.push(b'\n');
        self.blanks();
        match self.rest.first() {
            Some(b'{') => self.object(out),
            Some(b'[') => self.array(out),
            Some(b'"') => out.extend(escaped(self.string())),
            _ => {
                let end = self.rest.iter().position(|b| b" \t\r\n,]}".contains(b));
                let (word, rest) = self.rest.split_at(end.unwrap_or(self.rest.len()));
                out.extend(word);
                let is_number = word.first().is_some_and(|b| !b.is_ascii_alphabetic());
                if is_number && !word.iter().any(|b| b"eE".contains(b)) {
                    out.extend(self.exponent);
                }
                self.rest = rest;
            }
        }
        out.push(b'\t');
    }

    fn object(&mut self, out: &mut Vec<u8>) {
        assert!(self.takes(b'{'));
        let mut members = Vec::new();
        while !self.takes(b'}') {
            self.takes(b',');
            self.blanks();
            let mut member = escaped(self.string());
            assert!(self.takes(b':'));
            member.extend(b" :");
            self.value(&mut member);
            members.push(member);
        }
        members.reverse();
        out.push(b'{');
        out.extend(members.join(&b", "[..]));
        out.push(b'}');
    }

    fn array(&mut self, out: &mut Vec<u8>) {
        assert!(self.takes(b'['));
        out.push(b'[');
        let mut is_first = true;
        while !self.takes(b']') {
            self.takes(b',');
            if !is_first {
                out.push(b',');
            }
            is_first = false;
            self.value(out);
        }
        out.push(b']');
    }

    /// A string with its quotes.
    fn string(&mut self) -> &'t [u8] {
        let mut end = 1;
        while self.rest[end] != b'"' {
            end += if self.rest[end] == b'\\' { 2 } else { 1 };
        }
        let (string, rest) = self.rest.split_at(end + 1);
        self.rest = rest;
        string
    }
}

fn escaped(string: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut bytes = string.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' => {
                out.push(b'\\');
                let kind = *bytes.next().expect("an escape");
                out.push(kind);
                if kind == b'u' {
                    let digits = bytes.by_ref().take(4);
                    out.extend(digits.map(u8::to_ascii_uppercase));
                }
            }
            letter if letter.is_ascii_alphanumeric() => {
                out.extend(format!("\\u{letter:04x}").into_bytes());
            }
            other => out.push(*other),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_the_same_in_other_words() {
        let text = br#" { "a\n" :[1, -2.5e3,true,"\u00e9"],"b":{ } } "#;
        let other = respelled(text, b"E+0");
        let value = |text: &[u8]| serde_json::from_slice::<serde_json::Value>(text).unwrap();
        assert_eq!(value(text)["b"], value(&other)["b"]);
        assert_eq!(value(text)["a\n"][3], value(&other)["a\n"][3]);
        assert!(other.starts_with(b"\n{\"\\u0062\" :\n{}\t, "));
    }
}
