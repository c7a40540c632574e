//! Parameters of a query, as services read them.

use super::KeyError;

/// The decoded value of a parameter: `a%62c` and `abc` are one value, and so are names.
pub(super) fn parameter(query: &[u8], name: &str) -> Result<Option<Vec<u8>>, KeyError> {
    let mut found = None;
    for pair in query.split(|b| *b == b'&') {
        let mut halves = pair.splitn(2, |b| *b == b'=');
        let (key, value) = (halves.next().unwrap_or_default(), halves.next());
        if decode(key) != name.as_bytes() {
            continue;
        }
        if found.is_some() {
            return Err(KeyError::Repeated);
        }
        found = Some(decode(value.unwrap_or_default()));
    }
    Ok(found)
}

/// Percent-decodes as `application/x-www-form-urlencoded` is read; a `%` that encodes nothing
/// stands for itself.
pub fn decode(encoded: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut rest = encoded;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => match hexadecimal(after) {
                Some((byte, after)) => {
                    rest = after;
                    byte
                }
                None => b'%',
            },
            byte => *byte,
        });
    }
    decoded
}

fn hexadecimal(bytes: &[u8]) -> Option<(u8, &[u8])> {
    let (digits, rest) = bytes.split_first_chunk::<2>()?;
    let [high, low] = digits.map(|digit| char::from(digit).to_digit(16));
    let byte = u8::try_from(high?.checked_mul(16)?.checked_add(low?)?).ok()?;
    Some((byte, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_has_one_value() {
        let of = |query: &str| parameter(query.as_bytes(), "key");
        let value = |text: &str| Ok(Some(text.as_bytes().to_vec()));
        assert_eq!(of("a=1&key=x&b"), value("x"));
        assert_eq!(of("k%65y=a%62c+d%2"), value("abc d%2"));
        assert_eq!(of("key"), value(""));
        assert_eq!(of("key=a=b"), value("a=b"));
        assert_eq!(of("keys=1&Key=2"), Ok(None));
        assert_eq!(of(""), Ok(None));
        assert_eq!(of("key=1&%6bey=1"), Err(KeyError::Repeated));
    }
}
