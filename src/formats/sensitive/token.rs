//! Tokens and API keys of known forms, by what they begin with.

use super::{Kind, Treatments, byte, is_word, key};

/// What one form consists of behind its prefix.
#[derive(Clone, Copy)]
enum Signs {
    /// Letters and digits.
    Plain,
    /// The same, `-` and `_`.
    Url,
    /// The same and `.`.
    Dotted,
    /// Capital letters and digits.
    Capital,
    /// Base64, with its padding.
    Base64,
    /// Three or five parts of base64url with dots between.
    Compact,
    /// A file of PuTTY's.
    Putty,
}

struct Form(&'static [u8], Signs, usize);

/// Prefixes, what follows them, and how many signs of it at least. Those of a private key are at the end.
const FORMS: &[Form] = &[
    Form(b"eyJ", Signs::Compact, 8),
    Form(b"AKIA", Signs::Capital, 16),
    Form(b"ASIA", Signs::Capital, 16),
    Form(b"ghp_", Signs::Plain, 36),
    Form(b"gho_", Signs::Plain, 36),
    Form(b"ghu_", Signs::Plain, 36),
    Form(b"ghs_", Signs::Dotted, 36),
    Form(b"ghr_", Signs::Plain, 36),
    Form(b"github_pat_", Signs::Url, 36),
    Form(b"glpat-", Signs::Dotted, 20),
    Form(b"gldt-", Signs::Url, 20),
    Form(b"glrt-", Signs::Dotted, 20),
    Form(b"xoxa-", Signs::Url, 20),
    Form(b"xoxb-", Signs::Url, 20),
    Form(b"xoxe-", Signs::Url, 20),
    Form(b"xoxe.xox", Signs::Url, 20),
    Form(b"xoxp-", Signs::Url, 20),
    Form(b"xoxr-", Signs::Url, 20),
    Form(b"xoxs-", Signs::Url, 20),
    Form(b"xapp-", Signs::Url, 20),
    Form(b"sk_live_", Signs::Plain, 20),
    Form(b"sk_test_", Signs::Plain, 20),
    Form(b"rk_live_", Signs::Plain, 20),
    Form(b"rk_test_", Signs::Plain, 20),
    Form(b"whsec_", Signs::Base64, 24),
    Form(b"AIza", Signs::Url, 35),
    Form(b"GOCSPX-", Signs::Url, 28),
    Form(b"ya29.", Signs::Dotted, 30),
    Form(b"npm_", Signs::Plain, 36),
    Form(b"pypi-AgE", Signs::Url, 50),
    Form(b"hf_", Signs::Plain, 34),
    Form(b"sk-ant-", Signs::Url, 32),
    Form(b"sk-proj-", Signs::Url, 32),
    Form(b"dop_v1_", Signs::Plain, 64),
    Form(b"shpat_", Signs::Plain, 32),
    Form(b"hvs.", Signs::Url, 24),
    Form(b"SG.", Signs::Dotted, 60),
    Form(b"AGE-SECRET-KEY-1", Signs::Capital, 58),
    Form(b"PuTTY-User-Key-File-", Signs::Putty, 1),
    Form(b"LS0tLS1CRUdJTiBQUklWQVRF", Signs::Base64, 20),
    Form(b"LS0tLS1CRUdJTiBSU0EgUFJJVkFU", Signs::Base64, 20),
    Form(b"LS0tLS1CRUdJTiBFQyBQUklWQVRF", Signs::Base64, 20),
    Form(b"LS0tLS1CRUdJTiBPUEVOU1NIIFBSSVZBVE", Signs::Base64, 20),
    Form(b"LS0tLS1CRUdJTiBFTkNSWVBURUQgUFJJVkFU", Signs::Base64, 20),
];

/// A bit for what each form begins with: most words begin like none.
const BEGINNINGS: [u64; 4] = {
    let (mut first, mut second, mut third, mut fourth) = (0, 0, 0, 0);
    let mut forms = FORMS;
    while let [Form(prefix, _, _), rest @ ..] = forms {
        if let [a, b, c, ..] = prefix {
            let (word, bit) = beginning(*a, *b, *c);
            match word {
                0 => first |= 1 << bit,
                1 => second |= 1 << bit,
                2 => third |= 1 << bit,
                _ => fourth |= 1 << bit,
            }
        }
        forms = rest;
    }
    [first, second, third, fourth]
};

const fn beginning(a: u8, b: u8, c: u8) -> (usize, u32) {
    let mixed = (a as u32).wrapping_mul(31) ^ (b as u32).wrapping_mul(7) ^ (c as u32) << 1;
    ((mixed >> 6 & 3) as usize, mixed & 63)
}

/// What kind of secret begins there, and where it ends. `no_token` is up to where it is known that none in parts
/// begins. One that is not wanted is not followed to its end: the search would go on within it, and over it again.
pub(super) fn at(
    text: &[u8],
    start: usize,
    wanted: &Treatments,
    no_token: &mut usize,
) -> Option<(Kind, usize)> {
    let rest = text.get(start..)?;
    let [a, b, c, ..] = rest else {
        return None;
    };
    let (word, bit) = beginning(*a, *b, *c);
    (BEGINNINGS.get(word)? >> bit & 1 == 1).then_some(())?;
    let form = FORMS.iter().find(|form| rest.starts_with(form.0))?;
    let Form(prefix, signs, least) = form;
    let is_key = matches!(prefix, [b'L' | b'P', ..]);
    let kind = if is_key {
        Kind::PrivateKey
    } else {
        Kind::Token
    };
    wanted.of(kind)?;
    let first = start.saturating_add(prefix.len());
    let end = match signs {
        Signs::Compact => compact(text, start, *least, no_token)?,
        Signs::Putty => key::putty(text, first),
        signs => {
            let behind = text.get(first..)?;
            let length = behind.iter().take_while(|b| signs.has(**b)).count();
            (length >= *least).then(|| first.saturating_add(length))?
        }
    };
    // Letters that go on behind are of something else.
    let is_whole = is_key || !is_word(byte(text, end));
    is_whole.then_some((kind, end))
}

/// The end of a compact serialisation: RFC 7515 and RFC 7516. What is not signed has nothing behind its last dot.
fn compact(text: &[u8], start: usize, least: usize, no_token: &mut usize) -> Option<usize> {
    if start < *no_token {
        return None;
    }
    let mut at = start;
    let mut ends = [0; 5];
    let mut parts = 0_usize;
    for end in &mut ends {
        let part = text.get(at..).unwrap_or_default();
        let length = part.iter().take_while(|b| Signs::Url.has(**b)).count();
        at = at.saturating_add(length);
        *end = at;
        parts = parts.saturating_add(1);
        if byte(text, at) != b'.' {
            break;
        }
        at = at.saturating_add(1);
    }
    let [first, second, third, _, fifth] = ends;
    let whole = match parts {
        5 => Some(fifth),
        // A part of two signs at least: one byte.
        3 | 4 if second.saturating_sub(first) > 2 => Some(third),
        _ => None,
    };
    if whole.is_none() {
        *no_token = first;
    }
    let is_long = first.saturating_sub(start) >= least;
    whole.filter(|_| is_long)
}

impl Signs {
    fn has(self, byte: u8) -> bool {
        match self {
            Signs::Plain => byte.is_ascii_alphanumeric(),
            Signs::Url | Signs::Compact | Signs::Putty => is_word(byte) || byte == b'-',
            Signs::Dotted => is_word(byte) || matches!(byte, b'-' | b'.'),
            Signs::Capital => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
            Signs::Base64 => byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'='),
        }
    }
}
