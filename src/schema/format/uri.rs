//! RFC 3986 URIs, RFC 3987 IRIs, and RFC 6570 templates.

use super::net::is_ipv6;

/// Which characters beyond ASCII may stand there.
#[derive(Clone, Copy, PartialEq)]
enum Letters {
    Ascii,
    All,
}

/// `uri`: with a scheme.
pub(super) fn is_uri(text: &str) -> bool {
    has_scheme(text) && is_reference(text, Letters::Ascii)
}

/// `uri-reference`.
pub(super) fn is_uri_reference(text: &str) -> bool {
    is_reference(text, Letters::Ascii)
}

/// `iri`: with a scheme.
pub(super) fn is_iri(text: &str) -> bool {
    has_scheme(text) && is_reference(text, Letters::All)
}

/// `iri-reference`.
pub(super) fn is_iri_reference(text: &str) -> bool {
    is_reference(text, Letters::All)
}

/// `uri-template`: braces in pairs with names in them, and no characters that a URI cannot have.
pub(super) fn is_uri_template(text: &str) -> bool {
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('{') {
        let Some((expression, after)) = after.split_once('}') else {
            return false;
        };
        if !is_template_text(before) || !is_expression(expression) {
            return false;
        }
        rest = after;
    }
    is_template_text(rest)
}

fn is_template_text(text: &str) -> bool {
    let literal = |c: char| !c.is_control() && !" \"<>\\^`{|}".contains(c);
    text.chars().all(literal) && has_sound_escapes(text)
}

fn is_expression(text: &str) -> bool {
    let names = text
        .strip_prefix(['+', '#', '.', '/', ';', '?', '&'])
        .unwrap_or(text);
    names.split(',').all(|name| {
        let name = match name.split_once(':') {
            Some((name, length)) => {
                let digits = (1..=4).contains(&length.len()) && !length.starts_with('0');
                if !digits || !length.bytes().all(|byte| byte.is_ascii_digit()) {
                    return false;
                }
                name
            }
            None => name.strip_suffix('*').unwrap_or(name),
        };
        let inner = |c: char| c.is_ascii_alphanumeric() || "_.%".contains(c);
        let dots = name.starts_with('.') || name.ends_with('.') || name.contains("..");
        !name.is_empty() && !dots && name.chars().all(inner) && has_sound_escapes(name)
    })
}

fn has_scheme(text: &str) -> bool {
    text.split_once(':')
        .is_some_and(|(scheme, _)| is_scheme(scheme))
}

fn is_scheme(text: &str) -> bool {
    let inner = |byte: u8| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte);
    text.starts_with(|c: char| c.is_ascii_alphabetic()) && text.bytes().all(inner)
}

fn is_reference(text: &str, letters: Letters) -> bool {
    let (text, fragment) = text.split_once('#').unwrap_or((text, ""));
    let (text, query) = text.split_once('?').unwrap_or((text, ""));
    let has_scheme = has_scheme(text);
    let hierarchy = match text.split_once(':') {
        Some((_, rest)) if has_scheme => rest,
        _ => text,
    };
    let (authority, path) = match hierarchy.strip_prefix("//") {
        None => (None, hierarchy),
        Some(rest) => {
            let end = rest.find('/').unwrap_or(rest.len());
            let (authority, path) = rest.split_at_checked(end).unwrap_or((rest, ""));
            (Some(authority), path)
        }
    };
    // RFC 3986 §4.2: a first segment with a colon would be a scheme.
    let first = path.split('/').next().unwrap_or_default();
    let ambiguous = !has_scheme && authority.is_none() && first.contains(':');
    !ambiguous
        && authority.is_none_or(|authority| is_authority(authority, letters))
        && is_made_of(path, "/:@", letters)
        && is_made_of(query, "/:@?", letters)
        && is_made_of(fragment, "/:@?", letters)
}

fn is_authority(text: &str, letters: Letters) -> bool {
    let (user, host) = match text.rsplit_once('@') {
        Some((user, host)) => (user, host),
        None => ("", text),
    };
    let (host, port) = match host.strip_prefix('[') {
        Some(rest) => match rest.split_once(']') {
            Some((address, port)) if is_literal(address) => match port {
                "" => ("", ""),
                port => ("", port),
            },
            _ => return false,
        },
        None => match host.find(':') {
            Some(colon) => host.split_at_checked(colon).unwrap_or((host, "")),
            None => (host, ""),
        },
    };
    let port = port.strip_prefix(':').unwrap_or(port);
    is_made_of(user, ":", letters)
        && is_made_of(host, "", letters)
        && port.bytes().all(|byte| byte.is_ascii_digit())
}

fn is_literal(text: &str) -> bool {
    let future = text
        .strip_prefix(['v', 'V'])
        .and_then(|rest| rest.split_once('.'));
    match future {
        Some((version, rest)) => {
            !version.is_empty()
                && version.bytes().all(|byte| byte.is_ascii_hexdigit())
                && !rest.is_empty()
                && is_made_of(rest, ":", Letters::Ascii)
        }
        None => is_ipv6(text),
    }
}

/// Whether a part has only unreserved characters, sub-delimiters, sound escapes, and `more`.
fn is_made_of(text: &str, more: &str, letters: Letters) -> bool {
    let fits = |c: char| {
        c.is_ascii_alphanumeric()
            || "-._~!$&'()*+,;=%".contains(c)
            || more.contains(c)
            || (letters == Letters::All && is_beyond_ascii(c))
    };
    text.chars().all(fits) && has_sound_escapes(text)
}

/// RFC 3987 §2.2, `ucschar`, and `iprivate` with it.
fn is_beyond_ascii(c: char) -> bool {
    let code = u32::from(c);
    code >= 0xa0 && code & 0xfffe != 0xfffe && !(0xfdd0..=0xfdef).contains(&code)
}

fn has_sound_escapes(text: &str) -> bool {
    text.split('%').skip(1).all(|rest| {
        let digits = rest.get(..2);
        digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
    })
}
