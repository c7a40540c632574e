//! Writes structured fields: RFC 9651 §4.1.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::{BareItem, InnerList, StructuredParameters};

pub(super) fn list(list: &InnerList, out: &mut Vec<u8>) {
    out.push(b'(');
    for (place, item) in list.items.iter().enumerate() {
        if place > 0 {
            out.push(b' ');
        }
        item.write(out);
    }
    out.push(b')');
    parameters(&list.parameters, out);
}

pub(super) fn parameters(parameters: &StructuredParameters, out: &mut Vec<u8>) {
    for (name, value) in &parameters.0 {
        out.push(b';');
        out.extend_from_slice(name.as_bytes());
        if *value != BareItem::Boolean(true) {
            out.push(b'=');
            bare(value, out);
        }
    }
}

pub(super) fn bare(item: &BareItem, out: &mut Vec<u8>) {
    match item {
        BareItem::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
        BareItem::Decimal(thousandths) => decimal(*thousandths, out),
        BareItem::Text(text) => {
            out.push(b'"');
            for byte in text.bytes() {
                if byte == b'"' || byte == b'\\' {
                    out.push(b'\\');
                }
                out.push(byte);
            }
            out.push(b'"');
        }
        BareItem::Token(token) => out.extend_from_slice(token.as_bytes()),
        BareItem::Bytes(bytes) => {
            out.push(b':');
            out.extend_from_slice(STANDARD.encode(bytes).as_bytes());
            out.push(b':');
        }
        BareItem::Boolean(true) => out.extend_from_slice(b"?1"),
        BareItem::Boolean(false) => out.extend_from_slice(b"?0"),
        BareItem::Date(seconds) => out.extend_from_slice(format!("@{seconds}").as_bytes()),
    }
}

fn decimal(thousandths: i64, out: &mut Vec<u8>) {
    let size = thousandths.unsigned_abs();
    let sign = if thousandths < 0 { "-" } else { "" };
    let fraction = format!("{:03}", size % 1000);
    let fraction = match fraction.trim_end_matches('0') {
        "" => "0",
        some => some,
    };
    out.extend_from_slice(format!("{sign}{}.{fraction}", size / 1000).as_bytes());
}
