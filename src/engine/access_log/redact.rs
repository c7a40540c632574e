//! What a log must not hold: tokens, keys, passwords, wherever a client put them.

use std::borrow::Cow;

/// What stands in the place of a secret.
pub(super) const REDACTED: &[u8] = b"REDACTED";

/// Header fields that are secrets or hold some.
const SECRET_HEADERS: [&str; 11] = [
    "authorization",
    "cookie",
    "dpop",
    "proxy-authorization",
    "set-cookie",
    "x-amz-security-token",
    "x-api-key",
    "x-auth-token",
    "x-csrf-token",
    "x-forwarded-access-token",
    "x-xsrf-token",
];

/// Words in the names of parameters, claims and header fields that hold secrets.
const SECRET_WORDS: [&str; 13] = [
    "apikey",
    "api-key",
    "api_key",
    "assertion",
    "auth",
    "code",
    "credential",
    "jwt",
    "pass",
    "secret",
    "session",
    "sig",
    "token",
];

/// Which values of a query are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ShownValues<'a> {
    /// None of them, the names alone.
    Names,
    /// Those whose name does not tell a secret, and is none of these.
    Except(&'a [String]),
}

/// Whether a header field's value is never shown.
pub(super) fn is_secret_header(name: &str) -> bool {
    SECRET_HEADERS.contains(&name) || is_secret_name(name)
}

/// Whether a name tells that its value is a secret. More names do than need to: a value too few
/// in a log does less harm than one too many.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET_WORDS.iter().any(|word| name.contains(word)) || name == "key"
}

/// A text without what looks like a token or an API key.
pub(super) fn tokens(value: &[u8]) -> Cow<'_, [u8]> {
    match without_tokens(value) {
        Cow::Borrowed(text) => without_keys(text),
        Cow::Owned(text) => Cow::Owned(without_keys(&text).into_owned()),
    }
}

/// A text in which the secret part of what has the form of this project's API keys is replaced: the 33 letters
/// and digits behind the `_`. What stands before that is told to everybody. The checksum is not looked at:
/// a key with a typing error gives most of itself away. Each character may be percent-encoded.
fn without_keys(value: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = find_key(value) else {
        return Cow::Borrowed(value);
    };
    let mut shown = Vec::with_capacity(value.len());
    let (mut rest, mut next) = (value, Some(first));
    while let Some((start, end)) = next {
        shown.extend_from_slice(rest.get(..start).unwrap_or_default());
        shown.extend_from_slice(REDACTED);
        rest = rest.get(end..).unwrap_or_default();
        next = find_key(rest);
    }
    shown.extend_from_slice(rest);
    Cow::Owned(shown)
}

/// How many letters and digits a key has behind its beginning.
const KEY_DIGITS: usize = 33;

/// Where the first begins that is the secret part of a key, and where it ends.
fn find_key(value: &[u8]) -> Option<(usize, usize)> {
    let starts = value.iter().enumerate();
    let mut starts = starts.filter(|(_, b)| matches!(b, b'_' | b'%'));
    starts.find_map(|(at, _)| {
        let (b'_', start) = character(value, at, ROUNDS)? else {
            return None;
        };
        let digit = |at| character(value, at, ROUNDS).filter(|(b, _)| b.is_ascii_alphanumeric());
        let mut end = start;
        for _ in 0..KEY_DIGITS {
            (_, end) = digit(end)?;
        }
        digit(end).is_none().then_some((start, end))
    })
}

/// Whether the secret part of a key may stand in a text without `%`.
#[cold]
#[inline(never)]
fn may_have_key(value: &[u8]) -> bool {
    let mut pieces = value.split(|b| *b == b'_').skip(1);
    value.len() > KEY_DIGITS
        && pieces.any(|piece| {
            let digits = piece.get(..KEY_DIGITS);
            digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_alphanumeric))
        })
}

/// A text in which every run that looks like a compact JWS or JWE is replaced.
///
/// Such a run begins with `eyJ`, the start of a JSON object in base64url, or with an object that
/// begins with a blank or a line break, and goes on through base64url and dots. Each character may be
/// percent-encoded, once or several times: a reader of the log can decode it.
fn without_tokens(value: &[u8]) -> Cow<'_, [u8]> {
    let Some(first) = find_token(value) else {
        return Cow::Borrowed(value);
    };
    let mut shown = Vec::with_capacity(value.len());
    let (mut rest, mut next) = (value, Some(first));
    while let Some(at) = next {
        let (before, token) = rest.split_at_checked(at).unwrap_or((rest, &[]));
        shown.extend_from_slice(before);
        shown.extend_from_slice(REDACTED);
        rest = token.get(run(token)..).unwrap_or_default();
        next = find_token(rest);
    }
    shown.extend_from_slice(rest);
    Cow::Owned(shown)
}

/// Whether a value stands for itself in a record: nothing in it has to be escaped, and nothing begins as a
/// token does, or is as long as a key. `;` is not among what does, for behind it secrets stand in a path. Others may be fit to be
/// shown too: this one pass tells it of most.
#[inline]
pub(super) fn is_plain(value: &[u8]) -> bool {
    let (mut before, mut has_joints) = (0, false);
    let is_plain = value.iter().all(|byte| {
        let begins_token = before == b'e' && matches!(byte, b'y' | b'w');
        before = *byte;
        // In front of the secret part of a key.
        has_joints |= *byte == b'_';
        matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\' | b'%' | b';') && !begins_token
    });
    is_plain && !(has_joints && may_have_key(value))
}

/// A query with its names, and values as `shown` says. What is not shown is [`REDACTED`].
pub(super) fn query(query: &[u8], shown: &ShownValues<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(query.len());
    let mut rest = query;
    loop {
        // Some services separate parameters by `;`, and then a secret begins behind it.
        let end = rest.iter().position(|b| b"&;".contains(b));
        let (pair, after) = rest
            .split_at_checked(end.unwrap_or(rest.len()))
            .unwrap_or((rest, &[]));
        write_pair(&mut out, pair, shown);
        let Some((separator, after)) = after.split_first() else {
            return out;
        };
        out.push(*separator);
        rest = after;
    }
}

fn write_pair(out: &mut Vec<u8>, pair: &[u8], shown: &ShownValues<'_>) {
    let mut halves = pair.splitn(2, |b| *b == b'=');
    let name = halves.next().unwrap_or_default();
    out.extend_from_slice(&tokens(name));
    let Some(value) = halves.next() else {
        return;
    };
    out.push(b'=');
    match shown {
        ShownValues::Except(secret)
            if !names_a_secret(name, secret) && !holds_a_secret(value, secret) =>
        {
            out.extend_from_slice(&tokens(value));
        }
        ShownValues::Names | ShownValues::Except(_) => out.extend_from_slice(REDACTED),
    }
}

/// A path: `;jsessionid=1` is a secret in it.
pub(super) fn path(path: &[u8]) -> Cow<'_, [u8]> {
    if !path.contains(&b';') {
        return tokens(path);
    }
    let mut out = Vec::with_capacity(path.len());
    for (index, segment) in path.split(|b| *b == b'/').enumerate() {
        if index > 0 {
            out.push(b'/');
        }
        for (index, piece) in segment.split(|b| *b == b';').enumerate() {
            if index == 0 {
                out.extend_from_slice(&tokens(piece));
            } else {
                out.push(b';');
                write_pair(&mut out, piece, &ShownValues::Except(&[]));
            }
        }
    }
    Cow::Owned(out)
}

/// A URL in a header field, its query shown as the request's own: `None` shows nothing of it.
pub(super) fn url<'v>(url: &'v [u8], shown: Option<&ShownValues<'_>>) -> Cow<'v, [u8]> {
    let Some(at) = url.iter().position(|b| *b == b'?') else {
        return path(url);
    };
    let (before, after) = url.split_at_checked(at).unwrap_or((url, &[]));
    let mut out = path(before).into_owned();
    if let Some(shown) = shown {
        out.push(b'?');
        out.extend(query(after.get(1..).unwrap_or_default(), shown));
    }
    Cow::Owned(out)
}

/// Whether a header field holds a URL, whose query is to be shown as queries are.
pub(super) fn is_url_header(name: &str) -> bool {
    const URLS: [&str; 8] = [
        "content-location",
        "location",
        "referer",
        "x-envoy-original-path",
        "x-forwarded-uri",
        "x-original-uri",
        "x-original-url",
        "x-rewrite-url",
    ];
    URLS.contains(&name)
}

/// By the name as services decode it. One that is no plain text then may be a spelling of any other.
fn names_a_secret(name: &[u8], secret: &[String]) -> bool {
    let name = decoded(name);
    let Some(name) = as_visible(&name) else {
        return true;
    };
    is_secret_name(name) || secret.iter().any(|each| stands_for(name, each))
}

/// Whether services may take a name for that one: in `user[iban]` the last part counts.
fn stands_for(name: &str, secret: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    name.eq_ignore_ascii_case(secret)
        || (!name.bytes().all(plain) && name.to_ascii_lowercase().contains(secret))
}

/// Whether a value has names and values in it, such as the query of a URL or the members of an
/// object, of which one is a secret.
fn holds_a_secret(value: &[u8], secret: &[String]) -> bool {
    if !value.iter().any(|b| b"=:%".contains(b)) {
        return false;
    }
    let value = decoded(value);
    let in_name = |b: &u8| b.is_ascii_alphanumeric() || b"-_.[]".contains(b);
    let ends = value.iter().enumerate().filter(|(_, b)| b"=:".contains(b));
    ends.into_iter().any(|(end, _)| {
        let before = value.get(..end).unwrap_or_default();
        let before = before.trim_ascii_end();
        let quoted = before.strip_suffix(b"\"").or(before.strip_suffix(b"'"));
        let before = quoted.unwrap_or(before);
        let length = before.iter().rev().take_while(|b| in_name(b)).count();
        let name = before.get(before.len().saturating_sub(length)..);
        let name = name.and_then(as_visible).unwrap_or_default();
        is_secret_name(name) || secret.iter().any(|each| stands_for(name, each))
    })
}

fn as_visible(text: &[u8]) -> Option<&str> {
    let visible = text.iter().all(|b| (b' '..=b'~').contains(b));
    std::str::from_utf8(text).ok().filter(|_| visible)
}

/// Decoded as often as it is encoded.
fn decoded(encoded: &[u8]) -> Cow<'_, [u8]> {
    if !encoded.iter().any(|b| b"%+".contains(b)) {
        return Cow::Borrowed(encoded);
    }
    let mut decoded = Vec::with_capacity(encoded.len());
    let mut at = 0;
    while let Some((byte, next)) = character(encoded, at, ROUNDS) {
        decoded.push(if byte == b'+' { b' ' } else { byte });
        at = next;
    }
    Cow::Owned(decoded)
}

/// How often something may be encoded.
const ROUNDS: usize = 4;

/// What stands there, decoded, and where it ends. A `%` that comes out may begin another encoding.
fn character(text: &[u8], at: usize, rounds: usize) -> Option<(u8, usize)> {
    let mut byte = *text.get(at)?;
    let mut next = at.saturating_add(1);
    for left in (0..rounds).rev() {
        let digit = |at| {
            let (byte, next) = character(text, at, left)?;
            let digit = char::from(byte).to_digit(16)?;
            Some((u8::try_from(digit).ok()?, next))
        };
        let digits = || {
            let (high, next) = digit(next)?;
            let (low, next) = digit(next)?;
            Some(((high << 4) | low, next))
        };
        match (byte == b'%').then(digits).flatten() {
            Some(decoded) => (byte, next) = decoded,
            None => break,
        }
    }
    Some((byte, next))
}

fn find_token(value: &[u8]) -> Option<usize> {
    let starts = value.iter().enumerate();
    let mut starts = starts.filter(|(_, b)| matches!(b, b'e' | b'%'));
    // Up to here no run has the parts of a token: what begins later in one has fewer of them. So each
    // run is looked through once, however often something in it begins as a token does.
    let mut judged = 0;
    let (at, _) = starts.find(|(at, _)| {
        let text = value.get(*at..).unwrap_or_default();
        match start_of(text) {
            Some(Start::Sure) => true,
            Some(Start::Possible) if *at >= judged => {
                judged = at.saturating_add(run(text));
                is_compact(text)
            }
            Some(Start::Possible) | None => false,
        }
    })?;
    Some(at)
}

/// How a token begins.
enum Start {
    /// As nothing else does.
    Sure,
    /// As words do as well: a token has three parts.
    Possible,
}

/// What a text begins as.
fn start_of(text: &[u8]) -> Option<Start> {
    let start = match text.first_chunk::<3>() {
        Some(plain) if !plain.contains(&b'%') => *plain,
        _ => {
            let mut at = 0;
            let mut start = [0_u8; 3];
            for place in &mut start {
                (*place, at) = character(text, at, ROUNDS)?;
            }
            start
        }
    };
    match &start {
        b"eyJ" => Some(Start::Sure),
        // `{` and a blank, a line break or a tab.
        b"eyA" | b"eyI" | b"ewo" | b"ewp" | b"ew0" | b"ewk" => Some(Start::Possible),
        _ => None,
    }
}

/// Whether the run with which a text begins has the parts of a compact JWS or JWE.
fn is_compact(text: &[u8]) -> bool {
    const SHORTEST: usize = 20;
    let length = run(text);
    let text = decoded(text.get(..length).unwrap_or_default());
    length >= SHORTEST && text.iter().filter(|b| **b == b'.').count() >= 2
}

/// How much of a text may be one token.
fn run(text: &[u8]) -> usize {
    let end = text.iter().position(|b| !in_token(*b));
    end.unwrap_or(text.len())
}

fn in_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-_.=+/%~".contains(&byte)
}

#[cfg(test)]
mod tests;
