//! The texts of a JSON text, each with the way to it.

use portcullis_detect::Context;
use portcullis_wire::json_gate::{
    self, Fault, Kind, Limits, MemberName, Text, Watch, Word, Written,
};

use super::place::SearchedPart;
use super::search::Search;
use super::whereabouts::{JsonStep, Whereabouts};

/// What a text may nest to be read. What is deeper is not JSON that a service reads either.
pub(super) const LIMITS: Limits = Limits {
    depth: 128,
    ..Limits::GENEROUS
};

/// Shows a search every name and every string.
///
/// # Errors
/// It is no JSON, or not within the limits.
pub(super) fn walk(text: &[u8], search: &mut Search<'_>) -> Result<(), Fault> {
    let mut watch = JsonTexts {
        seen: search.is_the_same_everywhere().then(SeenTexts::default),
        search,
        steps: Vec::new(),
    };
    json_gate::watch(text, &LIMITS, &mut watch)
}

/// Who sees the texts of a JSON text.
struct JsonTexts<'s, 'p, 't> {
    search: &'s mut Search<'p>,
    /// Where it has got to: no more of them than texts may nest.
    steps: Vec<JsonStep<'t>>,
    /// Short texts with nothing in them; none where it matters where one stands.
    seen: Option<SeenTexts>,
}

/// Short texts of one body in which there was nothing, with the steps that it took to see that: names of members come
/// again with every element of a list. They are compared whole, and a text takes the same steps each time.
#[derive(Default)]
struct SeenTexts([SeenText; SEEN]);

#[derive(Clone, Copy, Default)]
struct SeenText {
    /// The text, blanks, and in the last byte how long it is and whether it is a name: never nothing.
    text: u128,
    steps: u64,
}

/// How many are remembered, each in the place that its bytes say.
const SEEN: usize = 32;
/// The longest of them.
const LONGEST_SEEN: usize = 15;

impl SeenTexts {
    /// What a text is here; none if it is too long.
    fn key(text: &[u8], is_name: bool) -> Option<u128> {
        let mut key = [0; LONGEST_SEEN + 1];
        key.get_mut(..text.len())
            .filter(|_| text.len() <= LONGEST_SEEN)?
            .copy_from_slice(text);
        let length = u8::try_from(text.len()).ok()?;
        *key.last_mut()? = length << 2 | u8::from(is_name) << 1 | 1;
        Some(u128::from_le_bytes(key))
    }

    fn place(&mut self, key: u128) -> Option<&mut SeenText> {
        let mixed = u64::try_from((key ^ key >> 64) & u128::from(u64::MAX)).ok()?;
        let mixed = mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 59;
        self.0.get_mut(usize::try_from(mixed).ok()?)
    }
}

impl JsonTexts<'_, '_, '_> {
    /// A value comes: in an array it is the next element.
    #[inline]
    fn comes(&mut self) {
        if let Some(JsonStep::Item(next)) = self.steps.last_mut() {
            *next = next.wrapping_add(1);
        }
    }

    fn see(&mut self, text: Text<'_>, is_name: bool) {
        if !self.search.is_over() {
            let at = Whereabouts {
                is_name,
                steps: &self.steps,
                ..Whereabouts::of(SearchedPart::Json)
            };
            let text = text.decoded();
            let key = SeenTexts::key(&text, is_name);
            let known = self.seen.as_mut().zip(key);
            let Some((known, key)) = known.and_then(|(seen, key)| Some((seen.place(key)?, key)))
            else {
                return self.search.see(&text, Context::Json, at);
            };
            if known.text == key {
                return self.search.take(known.steps);
            }
            if let Some(steps) = self.search.measure(&text, Context::Json, at) {
                *known = SeenText { text: key, steps };
            }
        }
    }
}

impl<'t> Watch<'t> for JsonTexts<'_, '_, 't> {
    #[inline]
    fn name(&mut self, name: MemberName<'t>) {
        if let Some(JsonStep::Member(current)) = self.steps.last_mut() {
            *current = Some(name.text);
        }
        self.see(name.text, true);
    }

    #[inline]
    fn string(&mut self, text: Text<'t>) {
        self.comes();
        self.see(text, false);
    }

    #[inline]
    fn number(&mut self, _: Written<'t>) {
        self.comes();
    }

    #[inline]
    fn word(&mut self, _: Word) {
        self.comes();
    }

    #[inline]
    fn empty(&mut self, _: Kind) {
        self.comes();
    }

    fn begins(&mut self, kind: Kind) -> Result<usize, Fault> {
        self.comes();
        self.steps.push(match kind {
            // One before the first.
            Kind::Array => JsonStep::Item(usize::MAX),
            Kind::Object => JsonStep::Member(None),
        });
        Ok(0)
    }

    fn ends(&mut self, _: usize, _: usize, _: Kind) {
        self.steps.pop();
    }
}

#[cfg(test)]
mod tests;
