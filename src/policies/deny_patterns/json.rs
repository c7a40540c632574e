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
            self.search.see(&text.decoded(), Context::Json, at);
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
