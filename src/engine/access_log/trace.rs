//! The trace a request belongs to: `traceparent`, W3C Trace Context level 2, §3.2.

/// The ids of a `traceparent`, as they were written: lower-case hexadecimal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Trace<'h> {
    /// The trace, 32 digits.
    pub(super) trace_id: &'h str,
    /// The span that the caller was in, 16 digits.
    pub(super) parent_id: &'h str,
}

impl<'h> Trace<'h> {
    /// Reads the field's value. `None` when it is malformed in any way: such a value is no id.
    pub(super) fn parse(value: &'h [u8]) -> Option<Self> {
        let text = std::str::from_utf8(value).ok()?;
        let mut parts = text.splitn(5, '-');
        let version = hexadecimal(parts.next()?, 2)?;
        let trace_id = hexadecimal(parts.next()?, 32)?;
        let parent_id = hexadecimal(parts.next()?, 16)?;
        hexadecimal(parts.next()?, 2)?;
        let more = parts.next();
        let known = match version {
            "ff" => false,
            // Version 0 has four parts; a later one may have more.
            "00" => more.is_none(),
            _ => true,
        };
        let zero = |id: &str| id.bytes().all(|b| b == b'0');
        (known && !zero(trace_id) && !zero(parent_id)).then_some(Self {
            trace_id,
            parent_id,
        })
    }
}

fn hexadecimal(text: &str, length: usize) -> Option<&str> {
    let digit = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    (text.len() == length && text.bytes().all(digit)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_example_of_the_specification() {
        let value = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
        let trace = Trace::parse(value).unwrap();
        assert_eq!(trace.trace_id, "0af7651916cd43dd8448eb211c80319c");
        assert_eq!(trace.parent_id, "b7ad6b7169203331");
    }

    #[test]
    fn a_later_version_may_have_more() {
        let value = b"cc-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-what-comes";
        assert!(Trace::parse(value).is_some());
    }

    #[test]
    fn malformed_values_are_none() {
        for value in [
            &b""[..],
            b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331",
            b"00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
            b"00-00000000000000000000000000000000-b7ad6b7169203331-01",
            b"00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
            b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-x",
            b"ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            b"0-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
            b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-1",
            b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01 ",
            b"00-0af7651916cd43dd8448eb211c80319\xff-b7ad6b7169203331-01",
        ] {
            assert_eq!(Trace::parse(value), None, "{value:?}");
        }
    }
}
