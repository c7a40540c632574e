//! Host names, addresses of machines and of people.

use std::net::{Ipv4Addr, Ipv6Addr};

/// RFC 1123 §2.1, with the lengths of RFC 1034; a name that claims to be internationalised must
/// be letters, digits and hyphens all the same.
pub(super) fn is_hostname(text: &str) -> bool {
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let reserved = label.get(2..4) == Some("--") && !is_a_label(label);
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
            && !reserved
    };
    !text.is_empty() && text.len() <= 253 && text.split('.').all(label)
}

/// RFC 5891 §4.2.3.1 reserves hyphens in these places for names that are encoded this way.
fn is_a_label(label: &str) -> bool {
    let encoded = label
        .get(..4)
        .filter(|start| start.eq_ignore_ascii_case("xn--"));
    encoded.is_some() && label.len() > 4
}

/// RFC 2673 §3.2: four numbers, none with a leading zero.
pub(super) fn is_ipv4(text: &str) -> bool {
    text.parse::<Ipv4Addr>().is_ok()
}

/// RFC 4291 §2.2, without a zone.
pub(super) fn is_ipv6(text: &str) -> bool {
    text.parse::<Ipv6Addr>().is_ok()
}

/// RFC 5321 §4.1.2.
pub(super) fn is_email(text: &str) -> bool {
    text.is_ascii() && is_mailbox(text)
}

/// RFC 6531: the same with other letters.
pub(super) fn is_idn_email(text: &str) -> bool {
    is_mailbox(text)
}

fn is_mailbox(text: &str) -> bool {
    let Some((local, domain)) = text.rsplit_once('@') else {
        return false;
    };
    let local_fits = match local
        .strip_prefix('"')
        .and_then(|rest| rest.strip_suffix('"'))
    {
        Some(quoted) => is_quoted(quoted),
        None => local.split('.').all(is_atom),
    };
    local_fits && local.len() <= 64 && is_domain(domain)
}

fn is_quoted(inner: &str) -> bool {
    let mut chars = inner.chars();
    while let Some(c) = chars.next() {
        let printable = |c: char| c == ' ' || c.is_ascii_graphic() || !c.is_ascii();
        let fits = match c {
            '\\' => chars.next().is_some_and(printable),
            '"' => false,
            c => printable(c),
        };
        if !fits {
            return false;
        }
    }
    true
}

fn is_atom(text: &str) -> bool {
    let atext =
        |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || !c.is_ascii();
    !text.is_empty() && text.chars().all(atext)
}

fn is_domain(text: &str) -> bool {
    match text
        .strip_prefix('[')
        .and_then(|rest| rest.strip_suffix(']'))
    {
        Some(literal) => match literal.strip_prefix("IPv6:") {
            Some(address) => is_ipv6(address),
            None => is_ipv4(literal),
        },
        None => {
            let ascii: String = text
                .chars()
                .map(|c| if c.is_ascii() { c } else { 'x' })
                .collect();
            is_hostname(&ascii)
        }
    }
}
