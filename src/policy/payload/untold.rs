//! Bodies whose media type cannot be told: none is said, several are, or what is said is malformed.
//! Services differ in what they read such a body as.

use super::media_type::MediaType;
use crate::headers::Headers;

/// What a message says of its body.
pub(in crate::policy) enum Declared<'h> {
    /// This, once and well formed.
    As(MediaType<'h>),
    /// Nothing that everybody reads alike.
    Untold,
}

impl<'h> Declared<'h> {
    /// Reads `Content-Type`.
    pub(in crate::policy) fn of(headers: &'h Headers) -> Self {
        let sent = headers.one("content-type").ok().flatten();
        sent.and_then(MediaType::parse)
            .map_or(Declared::Untold, Declared::As)
    }
}

/// Whether a body begins like a JSON text that has names or strings in it.
pub(in crate::policy) fn begins_like_json(body: &[u8]) -> bool {
    const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
    let body = body.strip_prefix(BYTE_ORDER_MARK).unwrap_or(body);
    matches!(body.trim_ascii_start().first(), Some(b'{' | b'[' | b'"'))
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
        for body in [&b"{"[..], b" \r\n\t[1]", b"\"a\"", b"\xef\xbb\xbf{}"] {
            assert!(begins_like_json(body), "{body:?}");
        }
        for body in [&b""[..], b"a=1", b"<a>", b"1", b"\0{", b"--x"] {
            assert!(!begins_like_json(body), "{body:?}");
        }
    }
}
