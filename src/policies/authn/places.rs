//! What stands where a route's tokens stand and is none.
//!
//! Where a token is optional, a request without one goes on. So nothing may count as no token that
//! a service could take for one: `Bearer` and a tab, a second parameter behind a `;`, a header
//! field with `_` for `-`. And beside a token that has been verified, no other may pass unseen.
//! A place is read exactly or not at all; what resembles it is refused.

use super::location::Locations;
use super::presented::cookies;
use portcullis_exchange::exchange::Request;
use portcullis_wire::headers::{HeaderName, are_alike, fold};

/// Every place where tokens of a route may stand, of all issuers.
#[derive(Debug)]
pub(super) struct Places {
    headers: Vec<HeaderPlace>,
    params: Vec<Spelling>,
    cookies: Vec<Spelling>,
}

/// A header field, and what stands in it before a token.
#[derive(Debug)]
struct HeaderPlace {
    name: HeaderName,
    prefixes: Vec<String>,
}

/// A name, and what is left of it when case and punctuation do not count.
#[derive(Debug)]
struct Spelling {
    name: String,
    folded: Vec<u8>,
}

/// What stands at a place and is no token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stray {
    /// What stands before a token, and nothing after it.
    Empty,
    /// What some service could read as a token.
    Token,
}

impl Places {
    /// The places of all of them.
    pub(super) fn of<'l>(all: impl Iterator<Item = &'l Locations>) -> Self {
        let mut places = Self {
            headers: Vec::new(),
            params: Vec::new(),
            cookies: Vec::new(),
        };
        for locations in all {
            for (name, prefix) in locations.headers() {
                places.add_header(name, prefix);
            }
            add_names(&mut places.params, locations.params());
            add_names(&mut places.cookies, locations.cookies());
        }
        places
    }

    fn add_header(&mut self, name: &HeaderName, prefix: &str) {
        let prefix = prefix.to_owned();
        match self.headers.iter_mut().find(|place| place.name == *name) {
            Some(place) if place.prefixes.contains(&prefix) => {}
            Some(place) => place.prefixes.push(prefix),
            None => self.headers.push(HeaderPlace {
                name: name.clone(),
                prefixes: vec![prefix],
            }),
        }
    }

    /// What stands at one of the places and is not read as a token there.
    pub(super) fn stray(&self, request: &Request<'_>) -> Option<(Stray, &str)> {
        let header = self.stray_header(request);
        let token = header.filter(|(stray, _)| *stray == Stray::Token);
        let others = || {
            let param = self.stray_param(request);
            let name = param.or_else(|| self.stray_cookie(request))?;
            Some((Stray::Token, name))
        };
        token.or_else(others).or(header)
    }

    fn stray_header(&self, request: &Request<'_>) -> Option<(Stray, &str)> {
        let mut empty = None;
        for (name, value) in request.headers.iter() {
            for place in &self.headers {
                let own = place.name.as_str();
                let stray = if name == own.as_bytes() {
                    place.stray(value)
                } else if place.resembles(name) && !value.trim_ascii().is_empty() {
                    Some(Stray::Token)
                } else {
                    None
                };
                match stray {
                    Some(Stray::Token) => return Some((Stray::Token, own)),
                    Some(Stray::Empty) => empty = Some((Stray::Empty, own)),
                    None => {}
                }
            }
        }
        empty
    }

    fn stray_param(&self, request: &Request<'_>) -> Option<&str> {
        let first = self.params.first()?;
        let query = request.query().unwrap_or_default();
        // What is read as a token has been found where `&` alone parts one parameter from another.
        let is_read = |pair: &&[u8]| self.params.iter().any(|param| param.is(name_of(pair)));
        let mut others = query.split(|b| *b == b'&').filter(|pair| !is_read(pair));
        others.find_map(|pair| {
            // A name that nobody can read the same way may be any.
            if !is_decodable(name_of(pair)) {
                return Some(&*first.name);
            }
            let mut names = pair.split(|b| *b == b';').map(name_of);
            // `tok[]`, `tok[0]` and `tok:list` are lists to those who know them, and `a[b` is `a_b`.
            let ends: [&[u8]; 2] = [b"[:\0", b"\0"];
            names.find_map(|name| {
                let spelt = |param: &&Spelling| {
                    ends.iter().any(|ends| param.resembles(decoded(name), ends))
                };
                self.params.iter().find(spelt).map(|param| &*param.name)
            })
        })
    }

    fn stray_cookie(&self, request: &Request<'_>) -> Option<&str> {
        if self.cookies.is_empty() {
            return None;
        }
        let line = request.headers.one("cookie").ok().flatten();
        let line = line.unwrap_or_default();
        let is_read = |name: &[u8]| self.cookies.iter().any(|cookie| cookie.is(name));
        let others = line
            .split(|b| *b == b';')
            .filter(|pair| !cookies(pair).any(|(name, _)| is_read(name)));
        // RFC 2109 had a comma between cookies, and some still read it so; to Python's `http.cookies` a
        // blank ends one.
        let ends = |b: &u8| *b == b',' || *b == b'\x0b' || b.is_ascii_whitespace();
        let mut pieces = others.flat_map(|pair| pair.split(ends));
        pieces.find_map(|piece| {
            let name = name_of(from_word(piece));
            let spelt = |cookie: &&Spelling| cookie.resembles(decoded(name), b"[\0");
            self.cookies.iter().find(spelt).map(|cookie| &*cookie.name)
        })
    }
}

/// Each name once, however many ask for it.
fn add_names<'l>(spellings: &mut Vec<Spelling>, names: impl Iterator<Item = &'l str>) {
    for name in names {
        if !spellings.iter().any(|each| each.is(name.as_bytes())) {
            spellings.push(Spelling::of(name));
        }
    }
}

impl HeaderPlace {
    fn stray(&self, value: &[u8]) -> Option<Stray> {
        let starts = |prefix: &String| {
            let start = value.get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix.as_bytes()))
        };
        if value.trim_ascii().is_empty() || self.prefixes.iter().any(starts) {
            return None;
        }
        let mut empty = false;
        for prefix in &self.prefixes {
            // Or a long run of punctuation would be looked through from each place in it.
            let scheme = until_word_ends(from_word(prefix.as_bytes()));
            if after(scheme, from_word(value)).is_some_and(|rest| from_word(rest).is_empty()) {
                empty = true;
            } else if names_scheme(value, scheme) {
                return Some(Stray::Token);
            }
        }
        if value.split(|b| !is_token68(*b)).any(looks_like_token) {
            return Some(Stray::Token);
        }
        empty.then_some(Stray::Empty)
    }

    /// Whether some gateways make one name of both.
    fn resembles(&self, name: &[u8]) -> bool {
        let own = self.name.as_str().as_bytes();
        own != name && are_alike(own, name)
    }
}

impl Spelling {
    fn of(name: &str) -> Self {
        let word = until_word_ends(from_word(name.as_bytes()));
        Self {
            name: name.to_owned(),
            folded: word.iter().copied().map(fold).collect(),
        }
    }

    fn is(&self, name: &[u8]) -> bool {
        self.name.as_bytes() == name
    }

    /// Whether a service could take a name for this one: in any case, with other punctuation in and around
    /// it, up to one of `ends`.
    fn resembles(&self, name: impl Iterator<Item = u8> + Clone, ends: &[u8]) -> bool {
        if self.folded.is_empty() {
            return name.eq(self.name.bytes());
        }
        let name = name.skip_while(|b| !b.is_ascii_alphanumeric());
        let mut name = name.take_while(|b| !ends.contains(b)).map(fold);
        let begins = self.folded.iter().all(|own| name.next() == Some(*own));
        begins && name.all(|b| b == b'-')
    }
}

/// What follows all that is neither letter nor digit.
fn from_word(bytes: &[u8]) -> &[u8] {
    let start = bytes.iter().position(u8::is_ascii_alphanumeric);
    start
        .and_then(|start| bytes.get(start..))
        .unwrap_or_default()
}

/// What stands before all that is neither letter nor digit, at the end.
fn until_word_ends(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().rposition(u8::is_ascii_alphanumeric);
    end.and_then(|end| bytes.get(..=end)).unwrap_or_default()
}

/// What follows a scheme, in any case and with any punctuation for its own.
fn after<'v>(scheme: &[u8], value: &'v [u8]) -> Option<&'v [u8]> {
    let mut rest = value;
    for own in scheme {
        rest = if own.is_ascii_alphanumeric() {
            let (first, after) = rest.split_first()?;
            first.eq_ignore_ascii_case(own).then_some(after)?
        } else {
            from_word(rest)
        };
    }
    Some(rest)
}

/// Whether a value names a scheme where some service would look for it: at its beginning, after a
/// comma, or wherever something follows that is not of one word with it.
fn names_scheme(value: &[u8], scheme: &[u8]) -> bool {
    let mut lists = value.split(|b| *b == b',').map(from_word);
    if lists.any(|item| !item.is_empty() && after(scheme, item).is_some()) {
        return true;
    }
    let mut rest = value;
    while let Some((_, shorter)) = rest.split_first() {
        let ends = after(scheme, rest).and_then(|rest| rest.first());
        if ends.is_some_and(|b| !is_token68(*b)) {
            return true;
        }
        rest = shorter;
    }
    false
}

/// RFC 9110 §11.2 `token68`: what tokens and other credentials are made of.
fn is_token68(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"-._~+/=".contains(&byte)
}

/// Whether it has parts of which the first or the second begins as a JSON object does in base64:
/// the header of a token, and what those read who verify nothing.
fn looks_like_token(word: &[u8]) -> bool {
    let mut parts = word.split(|b| *b == b'.');
    let first = [parts.next(), parts.next()];
    let [Some(header), Some(payload)] = first else {
        return false;
    };
    [header, payload].into_iter().any(begins_object)
}

/// Whether bytes in base64 begin with `{"` or `{}`, whatever blanks stand before and between.
fn begins_object(encoded: &[u8]) -> bool {
    let sextet = |b: &u8| match b {
        b'A'..=b'Z' => Some(b - b'A'),
        b'a'..=b'z' => Some(b - b'a' + 26),
        b'0'..=b'9' => Some(b - b'0' + 52),
        b'+' | b'-' => Some(62),
        b'/' | b'_' => Some(63),
        _ => None,
    };
    let (mut bits, mut held) = (0_u32, 0_u32);
    let mut opened = false;
    for digit in encoded.iter().map_while(sextet) {
        bits = (bits << 6 | u32::from(digit)) & 0xffff;
        held += 6;
        if held >= 8 {
            held -= 8;
            match ((bits >> held & 0xff) as u8, opened) {
                // Blanks, and the byte order mark.
                (b' ' | b'\t' | b'\r' | b'\n' | 0xef | 0xbb | 0xbf, _) => {}
                (b'{', false) => opened = true,
                (byte, _) => return opened && b"\"}".contains(&byte),
            }
        }
    }
    false
}

/// What stands before a `=`.
fn name_of(pair: &[u8]) -> &[u8] {
    pair.split(|b| *b == b'=').next().unwrap_or_default()
}

fn digit(byte: Option<&u8>) -> Option<u8> {
    let digit = char::from(*byte?).to_digit(16)?;
    u8::try_from(digit).ok()
}

/// Whether every `%` encodes a byte.
fn is_decodable(name: &[u8]) -> bool {
    let mut parts = name.split(|b| *b == b'%');
    parts.next();
    parts.all(|part| digit(part.first()).and(digit(part.get(1))).is_some())
}

/// Percent-decodes; a `%` that encodes nothing stands for itself.
fn decoded(name: &[u8]) -> impl Iterator<Item = u8> + Clone {
    let mut rest = name;
    std::iter::from_fn(move || {
        let (first, after) = rest.split_first()?;
        let encoded = digit(after.first()).zip(digit(after.get(1)));
        Some(match (first, encoded) {
            (b'%', Some((high, low))) => {
                rest = after.get(2..).unwrap_or_default();
                high << 4 | low
            }
            _ => {
                rest = after;
                *first
            }
        })
    })
}

#[cfg(test)]
mod tests;
