//! What is signed: `{timestamp}.{body}` and the like. The body ends it, so that it can be judged as it comes.

use portcullis_document::{Node, Problems};

/// What is signed, the body behind it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SignedText {
    pieces: Vec<SignedPiece>,
}

/// One piece of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum SignedPiece {
    Literal(Box<[u8]>),
    Value(SignedValue),
}

/// What of a request stands in its place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SignedValue {
    Timestamp,
    Id,
    Method,
    /// The path, with the query.
    Path,
}

const BODY: &str = "body";
const VALUES: [(&str, SignedValue); 4] = [
    ("timestamp", SignedValue::Timestamp),
    ("id", SignedValue::Id),
    ("method", SignedValue::Method),
    ("path", SignedValue::Path),
];
/// The longest text of a document.
const LONGEST: usize = 256;

/// What a request has for each value. None of a request that lacks it.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SignedValues<'r> {
    pub(super) timestamp: Option<&'r [u8]>,
    pub(super) id: Option<&'r [u8]>,
    pub(super) method: &'r [u8],
    pub(super) path: &'r [u8],
}

impl SignedText {
    /// Reads `signed`.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let text = node.non_empty(problems)?;
        match Self::parse(text) {
            Ok(read) => Some(read),
            Err(reason) => {
                node.report(problems, reason);
                None
            }
        }
    }

    /// That of a text that is known to be well formed, if it is.
    pub(super) fn parse(text: &str) -> Result<Self, &'static str> {
        if text.len() > LONGEST {
            return Err("has more than 256 bytes");
        }
        let mut pieces = Vec::new();
        let mut rest = text;
        loop {
            let Some((before, after)) = rest.split_once('{') else {
                return Err("must end with `{body}`: what is not signed could be anything");
            };
            if before.contains('}') {
                return Err("has a `}` without a `{`");
            }
            if !before.is_empty() {
                pieces.push(SignedPiece::Literal(before.as_bytes().into()));
            }
            let Some((name, after)) = after.split_once('}') else {
                return Err("has a `{` without a `}`");
            };
            if name == BODY {
                if !after.is_empty() {
                    return Err("must end with `{body}`, and nothing may stand behind it");
                }
                break;
            }
            let Some((_, value)) = VALUES.iter().find(|(each, _)| *each == name) else {
                return Err("knows {timestamp}, {id}, {method}, {path} and {body}");
            };
            pieces.push(SignedPiece::Value(*value));
            rest = after;
        }
        let read = Self { pieces };
        if read.is_ambiguous() {
            return Err(
                "lets two requests have one text: a value has to end where the next begins, so put a character behind it that it cannot have, such as `.` or `:`",
            );
        }
        Ok(read)
    }

    /// Whether a value may be followed by something with which it could run together. A path begins with `/`,
    /// which no time and no method has.
    fn is_ambiguous(&self) -> bool {
        self.pieces.iter().enumerate().any(|(place, piece)| {
            let next = self.pieces.get(place.saturating_add(1));
            match (piece, next) {
                (SignedPiece::Literal(_), _)
                | (SignedPiece::Value(_), Some(SignedPiece::Literal(_)))
                | (
                    SignedPiece::Value(SignedValue::Timestamp | SignedValue::Method),
                    Some(SignedPiece::Value(SignedValue::Path)),
                ) => false,
                (SignedPiece::Value(_), _) => true,
            }
        })
    }

    /// Whether it has that value.
    pub(super) fn has(&self, value: SignedValue) -> bool {
        self.pieces.contains(&SignedPiece::Value(value))
    }

    /// Hands over what stands before the body, piece by piece. None where a value is not there, or has the
    /// byte with which it ends: it could be read in two ways then.
    pub(super) fn head<'r>(
        &'r self,
        values: &SignedValues<'r>,
        mut take: impl FnMut(&'r [u8]),
    ) -> Option<()> {
        for (place, piece) in self.pieces.iter().enumerate() {
            let value = match piece {
                SignedPiece::Literal(text) => {
                    take(text);
                    continue;
                }
                SignedPiece::Value(SignedValue::Timestamp) => values.timestamp?,
                SignedPiece::Value(SignedValue::Id) => values.id?,
                SignedPiece::Value(SignedValue::Method) => values.method,
                SignedPiece::Value(SignedValue::Path) => values.path,
            };
            let end = match self.pieces.get(place.saturating_add(1)) {
                Some(SignedPiece::Literal(text)) => text.first(),
                _ => None,
            };
            if end.is_some_and(|end| value.contains(end)) {
                return None;
            }
            take(value);
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(template: &str, values: &SignedValues<'_>) -> Option<Vec<u8>> {
        let template = SignedText::parse(template).unwrap();
        let mut text = Vec::new();
        template.head(values, |piece| text.extend_from_slice(piece))?;
        Some(text)
    }

    #[test]
    fn what_stands_before_the_body_is_put_together() {
        let values = SignedValues {
            timestamp: Some(b"17"),
            id: Some(b"msg_1"),
            method: b"POST",
            path: b"/a?b=c",
        };
        for (template, expected) in [
            ("{body}", ""),
            ("{timestamp}.{body}", "17."),
            ("v0:{timestamp}:{body}", "v0:17:"),
            ("{id}.{timestamp}.{body}", "msg_1.17."),
            ("{timestamp}{path}\n{method} {body}", "17/a?b=c\nPOST "),
        ] {
            assert_eq!(text(template, &values).unwrap(), expected.as_bytes());
        }
        let split = SignedValues {
            id: Some(b"msg_1.1"),
            ..values
        };
        assert_eq!(text("{id}.{timestamp}.{body}", &split), None);
        assert!(text("{id}:{timestamp}.{body}", &split).is_some());
        assert_eq!(text("{id}.{body}", &SignedValues::default()), None);
    }

    #[test]
    fn a_text_that_says_too_little_is_refused() {
        for (wrong, reason) in [
            ("", "must end"),
            ("{timestamp}", "must end"),
            ("{body}.{timestamp}", "nothing may stand behind"),
            ("{body}{body}", "nothing may stand behind"),
            ("{timestamp.{body}", "knows"),
            ("{stamp}.{body}", "knows"),
            ("timestamp}.{body}", "without a `{`"),
            ("{timestamp}.{body", "without a `}`"),
            ("{timestamp}{body}", "two requests"),
            ("{method}{timestamp}.{body}", "two requests"),
            ("{path}{body}", "two requests"),
            ("{id}{path}.{body}", "two requests"),
        ] {
            let error = SignedText::parse(wrong).unwrap_err();
            assert!(error.contains(reason), "{wrong}: {error}");
        }
        assert!(SignedText::parse(&format!("{}{{body}}", "a".repeat(256))).is_err());
    }
}
