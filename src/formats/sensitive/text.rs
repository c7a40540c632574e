//! What is put in place of what is found in a text, plain or inside of a JSON string.

use std::borrow::Cow;

use super::output::{NoMemory, Output, Rewritten};
use super::{Finder, Findings, Kind, Treatment, Treatments, mask};
use portcullis_wire::budget::{Reservation, Share, reserve};
use portcullis_wire::json_gate::read_string;

/// A text is gone through so often: what is masked may leave something that looks like another. After that, all of
/// it is masked.
const MOST_PASSES: usize = 4;

/// What is to become of a text.
pub(super) enum Outcome {
    /// Nothing was found.
    Untouched,
    /// This goes out in its place.
    Rewritten(
        Vec<u8>,
        #[allow(dead_code, reason = "it is held")] Reservation,
    ),
    /// All of it is taken out.
    Removed,
    /// It may not go out.
    Forbidden,
}

/// How bytes of a text stand for what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Spelling {
    /// They are what it means.
    Plain,
    /// As inside of a JSON string that has been read.
    Escaped,
}

impl Spelling {
    /// What a text means.
    pub(super) fn decode(self, raw: &[u8]) -> Cow<'_, [u8]> {
        if self == Spelling::Plain || !raw.contains(&b'\\') {
            return Cow::Borrowed(raw);
        }
        let quoted = [raw, b"\""].concat();
        match read_string(&quoted) {
            Ok((text, _)) => Cow::Owned(text.decoded().into_owned()),
            Err(_) => Cow::Borrowed(raw),
        }
    }

    /// Where so many bytes of what it means end, from a place on.
    fn advance(self, raw: &[u8], from: usize, mut bytes: usize) -> usize {
        if self == Spelling::Plain {
            return from.saturating_add(bytes);
        }
        let mut at = from;
        while bytes > 0 {
            let (sent, meant) = match raw.get(at..).unwrap_or_default() {
                [] => return raw.len(),
                [b'\\', b'u', digits @ ..] => match unit(digits) {
                    0..=0x7f => (6, 1),
                    0x80..=0x7ff => (6, 2),
                    0xd800..=0xdfff => (12, 4),
                    _ => (6, 3),
                },
                [b'\\', ..] => (2, 1),
                _ => (1, 1),
            };
            at = at.saturating_add(sent);
            bytes = bytes.saturating_sub(meant);
        }
        at
    }
}

/// Four hexadecimal digits.
fn unit(digits: &[u8]) -> u32 {
    let digits = digits.iter().take(4);
    digits.fold(0, |unit, digit| {
        unit << 4 | char::from(*digit).to_digit(16).unwrap_or_default()
    })
}

/// Finds what is in a text, and rewrites it. What it takes is asked of the budget.
pub(super) fn rewrite(
    raw: &[u8],
    spelling: Spelling,
    wanted: &Treatments,
    mut note: impl FnMut(Kind, Treatment),
    removes_whole: bool,
) -> Result<Outcome, NoMemory> {
    let mut rewritten: Option<(Vec<u8>, Reservation)> = None;
    for _ in 0..MOST_PASSES {
        let text = rewritten.as_ref().map_or(raw, |(text, _)| text);
        let needed = match spelling {
            Spelling::Plain => 0,
            Spelling::Escaped => text.len().saturating_mul(2),
        };
        let _decoding = reserve(Share::Bodies, needed).ok_or(NoMemory)?;
        let decoded = spelling.decode(text);
        let mut found = Finder::new(&decoded, wanted).peekable();
        if found.peek().is_none() {
            break;
        }
        // Nothing that stands for something is longer than that.
        let memory = reserve(Share::Bodies, text.len()).ok_or(NoMemory)?;
        let mut out = Vec::new();
        out.try_reserve_exact(text.len()).map_err(|_| NoMemory)?;
        let mut worst = Treatment::Mask;
        let (mut read, mut copied) = (0, 0);
        for place in found {
            let Some(treatment) = wanted.of(place.kind) else {
                continue;
            };
            note(place.kind, treatment);
            worst = worst.max(treatment);
            let start = spelling.advance(text, copied, place.start.saturating_sub(read));
            let length = place.end.saturating_sub(place.start);
            let end = spelling.advance(text, start, length);
            out.extend_from_slice(text.get(copied..start).unwrap_or_default());
            if treatment == Treatment::Mask {
                let found = decoded.get(place.start..place.end).unwrap_or_default();
                mask(place.kind, found, &mut out);
            }
            (read, copied) = (place.end, end);
        }
        out.extend_from_slice(text.get(copied..).unwrap_or_default());
        match worst {
            Treatment::Forbid => return Ok(Outcome::Forbidden),
            Treatment::Remove if removes_whole => return Ok(Outcome::Removed),
            Treatment::Mask | Treatment::Remove => rewritten = Some((out, memory)),
        }
    }
    let Some((mut text, memory)) = rewritten else {
        return Ok(Outcome::Untouched);
    };
    if Finder::new(&spelling.decode(&text), wanted)
        .next()
        .is_some()
    {
        text.clear();
        text.extend_from_slice(b"****");
    }
    Ok(Outcome::Rewritten(text, memory))
}

/// Finds what is in a plain text, and rewrites it: none if nothing is to be changed.
///
/// # Errors
/// There is no memory for it.
pub fn redact_text(
    text: &[u8],
    wanted: &Treatments,
    findings: &mut Findings,
) -> Result<Option<Rewritten>, NoMemory> {
    let note = |kind, treatment| findings.note(kind, treatment, String::new);
    let outcome = rewrite(text, Spelling::Plain, wanted, note, false)?;
    Ok(match outcome {
        Outcome::Rewritten(bytes, memory) => Some(Output::of(bytes, memory).finish()),
        Outcome::Untouched | Outcome::Removed | Outcome::Forbidden => None,
    })
}
