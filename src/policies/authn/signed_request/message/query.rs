//! `@query-param`: one parameter of a query. RFC 9421 §2.2.8.

/// The value of the parameter of that name, which stands encoded in a signature as in here. None if there is no such
/// parameter, or more than one: then none of them can be signed.
pub(super) fn parameter(query: &[u8], name: &str) -> Option<Vec<u8>> {
    let mut found = None;
    for pair in query.split(|b| *b == b'&').filter(|pair| !pair.is_empty()) {
        let mark = pair.iter().position(|b| *b == b'=');
        let (own, value) = match mark {
            None => (pair, &b""[..]),
            Some(mark) => {
                let (own, value) = pair.split_at_checked(mark)?;
                (own, value.get(1..)?)
            }
        };
        if encoded(&decoded(own)) == name.as_bytes() && found.replace(value).is_some() {
            return None;
        }
    }
    Some(encoded(&decoded(found?)))
}

/// As forms are decoded: `+` is a blank, and what is no code stays as it is.
fn decoded(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        rest = after;
        match (first, after) {
            (b'+', _) => out.push(b' '),
            (b'%', [high, low, behind @ ..]) => match code(*high, *low) {
                Some(byte) => {
                    out.push(byte);
                    rest = behind;
                }
                None => out.push(b'%'),
            },
            (byte, _) => out.push(*byte),
        }
    }
    out
}

fn code(high: u8, low: u8) -> Option<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16);
    let code = digit(high)?.checked_mul(16)?.checked_add(digit(low)?)?;
    u8::try_from(code).ok()
}

/// Percent-encoded, all but letters, digits and `*-._`.
fn encoded(text: &[u8]) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let digit = |number: u8| DIGITS.get(usize::from(number)).copied().unwrap_or(b'0');
    let mut out = Vec::with_capacity(text.len());
    for byte in text {
        if byte.is_ascii_alphanumeric() || b"*-._".contains(byte) {
            out.push(*byte);
        } else {
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 9421 §2.2.8.
    #[test]
    fn parameters_are_decoded_and_encoded_again() {
        let one = b"param=value&foo=bar&baz=batman&qux=";
        let two = b"var=this%20is%20a%20big%0Amultiline%20value&bar=with+plus+whitespace&fa%C3%A7ade%22%3A%20=something";
        for (query, name, value) in [
            (&one[..], "baz", Some("batman")),
            (one, "qux", Some("")),
            (one, "param", Some("value")),
            (two, "var", Some("this%20is%20a%20big%0Amultiline%20value")),
            (two, "bar", Some("with%20plus%20whitespace")),
            (two, "fa%C3%A7ade%22%3A%20", Some("something")),
            (b"a=1&b=2&a=3", "a", None),
            (b"a=1&%61=3", "a", None),
            (b"a=1&b=2&a=3", "b", Some("2")),
            (b"a", "a", Some("")),
            (b"a=%zz%4", "a", Some("%25zz%254")),
            (b"", "a", None),
        ] {
            let found = parameter(query, name);
            assert_eq!(found.as_deref(), value.map(str::as_bytes), "{name}");
        }
    }
}
