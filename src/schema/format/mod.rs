//! What `format` names.

mod net;
mod pointer;
mod time;
mod uri;

use super::pattern;
use super::value::Value;
use portcullis_wire::json::decimal::Decimal;

/// A known format.
#[derive(Clone, Copy)]
pub(super) enum Format {
    /// Of strings.
    Text(fn(&str) -> bool),
    /// Of strings, and dear to tell.
    Syntax(fn(&str) -> bool),
    /// Of numbers.
    Number(fn(&Decimal) -> bool),
    /// It says something to readers and asks nothing.
    Hint,
}

impl Format {
    /// What it costs to tell whether a value is of that form, in steps of an effort.
    pub(super) fn steps(self, value: &Value<'_>) -> u64 {
        let each = match self {
            Format::Text(_) => 4,
            Format::Number(_) => 2,
            Format::Syntax(_) => 80,
            Format::Hint => 0,
        };
        match value {
            Value::String(text) => u64::try_from(text.len()).unwrap_or(u64::MAX),
            Value::Number(number) => number.size(),
            _ => 0,
        }
        .saturating_mul(each)
    }

    /// Whether a value is of that form. Values of other types are.
    pub(super) fn fits(self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Format::Text(fits) | Format::Syntax(fits), Value::String(text)) => fits(text),
            (Format::Number(fits), Value::Number(number)) => fits(number),
            _ => true,
        }
    }
}

/// The format of that name.
pub(super) fn named(name: &str) -> Option<Format> {
    Some(match name {
        "date-time" => Format::Text(time::is_date_time),
        "date" => Format::Text(time::is_date),
        "time" => Format::Text(time::is_time),
        "duration" => Format::Text(time::is_duration),
        "email" => Format::Text(net::is_email),
        "idn-email" => Format::Text(net::is_idn_email),
        "hostname" => Format::Text(net::is_hostname),
        "ipv4" => Format::Text(net::is_ipv4),
        "ipv6" => Format::Text(net::is_ipv6),
        "uri" => Format::Text(uri::is_uri),
        "uri-reference" => Format::Text(uri::is_uri_reference),
        "iri" => Format::Text(uri::is_iri),
        "iri-reference" => Format::Text(uri::is_iri_reference),
        "uri-template" => Format::Text(uri::is_uri_template),
        "uuid" => Format::Text(is_uuid),
        "json-pointer" => Format::Text(pointer::is_json_pointer),
        "relative-json-pointer" => Format::Text(pointer::is_relative_json_pointer),
        "regex" => Format::Syntax(pattern::is_pattern),
        "byte" => Format::Text(is_base64),
        "int32" => Format::Number(|number| is_within(number, 1 << 31)),
        "int64" => Format::Number(|number| is_within(number, 1 << 63)),
        "float" | "double" | "binary" | "password" => Format::Hint,
        _ => return None,
    })
}

/// RFC 9562 §4.
fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// RFC 4648 §4, with padding.
fn is_base64(text: &str) -> bool {
    let body = text.trim_end_matches('=');
    let padding = text.len().saturating_sub(body.len());
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/';
    text.len().is_multiple_of(4) && padding <= 2 && body.bytes().all(plain)
}

/// Whether a number is whole and `-bound ..= bound - 1`.
fn is_within(number: &Decimal, bound: u64) -> bool {
    let size = Decimal::whole(bound);
    let fits = if number.is_negative() {
        *number >= size.negated()
    } else {
        *number < size
    };
    number.is_integer() && fits
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_have_bounds() {
        let fits = |format: &str, text: &str| {
            let number = Decimal::parse(text.as_bytes()).unwrap();
            named(format).unwrap().fits(&Value::Number(number))
        };
        assert!(fits("int32", "2147483647") && fits("int32", "-2147483648"));
        assert!(!fits("int32", "2147483648") && !fits("int32", "-2147483649"));
        assert!(!fits("int32", "1.5") && fits("int32", "1.0"));
        assert!(fits("int64", "9223372036854775807") && fits("int64", "-9223372036854775808"));
        assert!(!fits("int64", "9223372036854775808"));
    }

    #[test]
    fn base64_has_padding() {
        assert!(is_base64("") && is_base64("YWI=") && is_base64("YWJj"));
        assert!(
            !is_base64("YWI") && !is_base64("Y===") && !is_base64("YW-_") && !is_base64("Y=I=")
        );
    }
}
