//! Bodies whose media type cannot be told: none is said, several are, or what is said is malformed.
//! Services differ in what they read such a body as.

use portcullis_exchange::media_type::MediaType;
use portcullis_wire::headers::Headers;

/// What a message says of its body.
pub(crate) enum Declared<'h> {
    /// This, once and well formed.
    As(MediaType<'h>),
    /// Nothing that everybody reads alike.
    Untold,
}

impl<'h> Declared<'h> {
    /// Reads `Content-Type`.
    pub(crate) fn of(headers: &'h Headers) -> Self {
        let sent = headers.one("content-type").ok().flatten();
        sent.and_then(MediaType::parse)
            .map_or(Declared::Untold, Declared::As)
    }
}

/// Whether a body begins like a JSON text that has names or strings in it. Some services find out by
/// the first bytes that it is UTF-16 or UTF-32, where zeros stand between and there may be a mark.
pub(crate) fn begins_like_json(body: &[u8]) -> bool {
    const BYTE_ORDER_MARKS: [&[u8]; 3] = [b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff"];
    let blank = |b: &u8| b.is_ascii_whitespace() || *b == 0;
    let zeros = body.iter().take_while(|b| **b == 0).count();
    let body = body.get(zeros.min(2)..).unwrap_or_default();
    let marks = BYTE_ORDER_MARKS.iter();
    let body = marks.fold(body, |body, mark| body.strip_prefix(*mark).unwrap_or(body));
    let first = body.iter().find(|b| !blank(b));
    matches!(first, Some(b'{' | b'[' | b'"'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_is_told_once_and_well_formed_or_not() {
        let told = |values: &[&str]| {
            let mut headers = Headers::default();
            for value in values {
                headers.push(b"content-type", value.as_bytes());
            }
            matches!(Declared::of(&headers), Declared::As(_))
        };
        assert!(told(&["application/json"]) && told(&["a/b; c=d"]));
        for values in [
            &[][..],
            &["application/json", "application/json"],
            &["application/json, text/html"],
            &["application/json;x"],
            &["application/json;charset=utf-8;charset=utf-8"],
            &["json"],
            &[""],
        ] {
            assert!(!told(values), "{values:?}");
        }
    }

    #[test]
    fn bodies_begin_behind_blanks() {
        for body in [
            &b"{"[..],
            b" \r\n\t[1]",
            b"\"a\"",
            b"\xef\xbb\xbf{}",
            b"\0{\0}",
            b"{\0}\0",
            b"\0 \0[",
            b"\0\0\0{",
            b"\xff\xfe{\0",
            b"\xfe\xff\0{",
            b"\0\0\xfe\xff\0\0\0{",
            b"\xff\xfe\0\0{\0\0\0",
        ] {
            assert!(begins_like_json(body), "{body:?}");
        }
        for body in [&b""[..], b"a=1", b"<a>", b"1", b"\0a", b"\xff{", b"--x"] {
            assert!(!begins_like_json(body), "{body:?}");
        }
    }
}
