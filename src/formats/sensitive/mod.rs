//! Text that says too much: numbers of cards and accounts, keys, tokens and addresses, found by what they look like,
//! and what is put in their place, in plain text and in JSON.
//!
//! A kind is found by all that can be told from the text alone: lengths and prefixes that are issued, check digits, and
//! that it stands apart from other letters and digits. Each place is looked at a bounded number of times, whatever the
//! text is.

mod card;
mod email;
mod iban;
mod json;
mod key;
mod output;
mod selector;
mod ssn;
mod text;
mod token;

pub use self::json::redact_json;
pub use self::output::Rewritten;
pub use self::selector::{MOST_SELECTORS, Selector, SelectorFault, Selectors};
pub use self::text::redact_text;

/// What is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A member of a JSON object that a rule names. No text looks like one.
    Member,
    /// The number of a payment card.
    Card,
    /// An international bank account number.
    Iban,
    /// A social security number of the United States.
    Ssn,
    /// A private key in one of its usual forms.
    PrivateKey,
    /// A token or an API key of a known form.
    Token,
    /// An e-mail address.
    Email,
}

impl Kind {
    /// Every kind, by its number.
    pub const ALL: [Self; 7] = [
        Kind::Member,
        Kind::Card,
        Kind::Iban,
        Kind::Ssn,
        Kind::PrivateKey,
        Kind::Token,
        Kind::Email,
    ];

    /// Those that a text may look like.
    pub const OF_TEXT: [Self; 6] = [
        Kind::Card,
        Kind::Iban,
        Kind::Ssn,
        Kind::PrivateKey,
        Kind::Token,
        Kind::Email,
    ];

    /// Its name in documents, records and metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Kind::Member => "member",
            Kind::Card => "card",
            Kind::Iban => "iban",
            Kind::Ssn => "ssn",
            Kind::PrivateKey => "private_key",
            Kind::Token => "token",
            Kind::Email => "email",
        }
    }
}

/// What becomes of something that is found. The greater one counts where several are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Treatment {
    /// Stars stand in its place.
    Mask,
    /// It is taken out.
    Remove,
    /// Nothing may go out that has it.
    Forbid,
}

/// What becomes of each kind of text; nothing of one without a treatment, which is not looked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Treatments([Option<Treatment>; Kind::ALL.len()]);

impl Treatments {
    /// What becomes of a kind.
    pub fn of(&self, kind: Kind) -> Option<Treatment> {
        self.0.get(kind as usize).copied().flatten()
    }

    /// Says what becomes of a kind.
    pub fn set(&mut self, kind: Kind, treatment: Treatment) {
        if let Some(place) = self.0.get_mut(kind as usize) {
            *place = Some(treatment);
        }
    }

    /// Whether no kind is looked for.
    pub fn is_empty(&self) -> bool {
        self.0.iter().all(Option::is_none)
    }
}

/// Where something stands in a text, and what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// What it is.
    pub kind: Kind,
    /// Its first byte.
    pub start: usize,
    /// Behind its last.
    pub end: usize,
}

/// What was found in a body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    counts: [u32; Kind::ALL.len()],
    forbidden: [u32; Kind::ALL.len()],
    /// The first of them: kinds, and JSON pointers of the values.
    pub places: Vec<(Kind, String)>,
}

impl Findings {
    /// So many places are noted.
    pub const MOST_PLACES: usize = 8;
    /// A pointer is cut before it takes more bytes.
    pub const LONGEST_PLACE: usize = 128;

    fn note(&mut self, kind: Kind, treatment: Treatment, place: impl FnOnce() -> String) {
        let counts = match treatment {
            Treatment::Forbid => &mut self.forbidden,
            Treatment::Mask | Treatment::Remove => &mut self.counts,
        };
        if let Some(count) = counts.get_mut(kind as usize) {
            *count = count.saturating_add(1);
        }
        if self.places.len() < Self::MOST_PLACES {
            self.places.push((kind, place()));
        }
    }

    /// How many of a kind are masked or removed.
    pub fn count(&self, kind: Kind) -> u32 {
        self.counts.get(kind as usize).copied().unwrap_or_default()
    }

    /// How many there are of which none may go out.
    pub fn forbidden(&self, kind: Kind) -> u32 {
        let counts = self.forbidden.get(kind as usize);
        counts.copied().unwrap_or_default()
    }

    /// The first kind that was found and may not go out.
    pub fn first_forbidden(&self) -> Option<Kind> {
        let mut kinds = Kind::ALL.into_iter();
        kinds.find(|kind| self.forbidden(*kind) > 0)
    }
}

/// The places of a text that look like one of the kinds that have a treatment, from the first to the last. None
/// overlaps another.
#[derive(Debug)]
pub struct Finder<'t> {
    text: &'t [u8],
    wanted: &'t Treatments,
    /// Where the last place has ended.
    from: usize,
    /// Up to here, no token in parts begins: it would go on where one that begins before does, and is none.
    no_token: usize,
}

impl<'t> Finder<'t> {
    /// Of all of a text.
    pub fn new(text: &'t [u8], wanted: &'t Treatments) -> Self {
        Self {
            text,
            wanted,
            from: 0,
            no_token: 0,
        }
    }

    /// What begins with a digit that stands there.
    fn number(&self, at: usize) -> Option<(Kind, usize, usize)> {
        let found = |kind: Kind, find: fn(&[u8], usize) -> Option<usize>| {
            self.wanted.of(kind)?;
            Some((kind, at, find(self.text, at)?))
        };
        found(Kind::Card, card::at).or_else(|| found(Kind::Ssn, ssn::at))
    }

    /// What begins with a letter that stands there.
    fn letters(&mut self, at: usize) -> Option<(Kind, usize, usize)> {
        if self.wanted.of(Kind::Iban).is_some()
            && let Some(end) = iban::at(self.text, at)
        {
            return Some((Kind::Iban, at, end));
        }
        let (kind, end) = token::at(self.text, at, self.wanted, &mut self.no_token)?;
        Some((kind, at, end))
    }
}

impl Iterator for Finder<'_> {
    type Item = Place;

    fn next(&mut self) -> Option<Place> {
        let (text, from) = (self.text, self.from);
        let before = from.checked_sub(1);
        let mut is_inside = before.is_some_and(|at| is_word(byte(text, at)));
        let mut at = from;
        while let Some(&here) = text.get(at) {
            let found = match here {
                b'0'..=b'9' if !is_inside => self.number(at),
                b'a'..=b'z' | b'A'..=b'Z' if !is_inside => self.letters(at),
                b'@' if self.wanted.of(Kind::Email).is_some() => {
                    let found = email::around(text, from, at);
                    found.map(|(start, end)| (Kind::Email, start, end))
                }
                b'-' if self.wanted.of(Kind::PrivateKey).is_some() => {
                    key::at(text, at).map(|end| (Kind::PrivateKey, at, end))
                }
                _ => None,
            };
            if let Some((kind, start, end)) = found {
                self.from = end;
                return Some(Place { kind, start, end });
            }
            is_inside = is_word(here);
            at = at.saturating_add(1);
        }
        self.from = text.len();
        None
    }
}

/// Puts stars in place of what was found. Of numbers, the last four digits or letters stay.
pub(crate) fn mask(kind: Kind, found: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"****");
    if matches!(kind, Kind::Card | Kind::Iban | Kind::Ssn) {
        let mut last = [b'*'; 4];
        let signs = found.iter().rev().filter(|b| b.is_ascii_alphanumeric());
        for (to, sign) in last.iter_mut().rev().zip(signs) {
            *to = *sign;
        }
        out.extend_from_slice(&last);
    }
}

/// The byte at a place; a blank where there is none.
fn byte(text: &[u8], at: usize) -> u8 {
    text.get(at).copied().unwrap_or(b' ')
}

/// Whether it is part of what people call a word.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}

/// Whether a number that stands there is one, and no part of an id, a version or a number with a fraction.
fn is_apart(text: &[u8], start: usize, end: usize) -> bool {
    let (after, beyond) = (byte(text, end), byte(text, end.saturating_add(1)));
    starts_apart(text, start) && !is_word(after) && !joins(after, beyond)
}

/// Whether it is apart from what stands before.
fn starts_apart(text: &[u8], start: usize) -> bool {
    let before = |back: usize| start.checked_sub(back).map_or(b' ', |at| byte(text, at));
    !is_word(before(1)) && before(1) != b'+' && !joins(before(1), before(2))
}

fn joins(joint: u8, beyond: u8) -> bool {
    matches!(joint, b'-' | b'.') && is_word(beyond)
}

#[cfg(test)]
mod tests;
