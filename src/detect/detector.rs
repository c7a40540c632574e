//! The one who looks.

use std::borrow::Cow;

use portcullis_wire::effort::{Effort, TooCostly};

use crate::classes::Verify;
use crate::forms;
use crate::index::{Index, Scan};
use crate::scores::{Scores, Sheet};
use crate::spot::{Context, REACH, Spot, Work};
use crate::{Class, Classes};

/// Looks for evidence of some classes.
pub struct Detector {
    classes: Classes,
    index: Index,
    /// Who is asked where a text begins.
    beginnings: Vec<(Class, Verify)>,
}

/// What a byte costs that is looked at, in each form of a text. A step is about a nanosecond.
const BYTE_STEPS: u64 = 2;
/// What a place costs where a word may begin, and each word that is compared there.
const PLACE_STEPS: u64 = 16;
const COMPARED_STEPS: u64 = 8;
/// What it costs to look at what stands next to a word. What is gone over beyond that is counted ([`Work`]).
const WORD_STEPS: u64 = 24;

/// What it may cost to judge texts of so many bytes together, `texts` being how many they are. Texts of people need a
/// tenth of it.
pub fn allowance(bytes: u64, texts: u64) -> u64 {
    bytes
        .saturating_mul(64)
        .saturating_add(texts.saturating_mul(192))
        .saturating_add(2048)
}

impl Detector {
    /// One that looks for these.
    pub fn new(classes: Classes) -> Self {
        let mut beginnings = Vec::new();
        for class in Class::ALL.into_iter().filter(|class| classes.has(*class)) {
            let words = class.words().iter().filter(|words| words.list.is_empty());
            beginnings.extend(words.map(|words| (class, words.verify)));
        }
        beginnings.shrink_to_fit();
        Self {
            classes,
            index: Index::new(classes),
            beginnings,
        }
    }

    /// What it looks for.
    pub fn classes(&self) -> Classes {
        self.classes
    }

    /// What it takes of memory.
    pub fn bytes(&self) -> usize {
        let beginnings = self.beginnings.capacity();
        let beginnings = beginnings.saturating_mul(size_of::<(Class, Verify)>());
        size_of::<Self>()
            .saturating_add(self.index.bytes())
            .saturating_add(beginnings)
    }

    /// Adds what there is in a text to what there was in others, of classes that are looked for and not left out.
    ///
    /// It takes memory of up to three times the text while it looks, which the caller has asked for.
    ///
    /// # Errors
    /// [`TooCostly`] when that takes more than there is left; nothing is known then.
    pub fn judge(
        &self,
        text: &[u8],
        context: Context,
        left_out: Classes,
        effort: &Effort,
        scores: &mut Scores,
    ) -> Result<(), TooCostly> {
        let classes = self.classes.without(left_out);
        if classes.is_empty() {
            return Ok(());
        }
        let mut sheet = Sheet::default();
        let mut form = Cow::Borrowed(text);
        for _ in 0..=forms::ROUNDS {
            let escaped = self.look(&form, context, classes, effort, &mut sheet)?;
            match escaped.then(|| forms::undo(&form)).flatten() {
                Some(undone) => form = Cow::Owned(undone),
                None => break,
            }
        }
        scores.add(&sheet);
        Ok(())
    }

    /// Asks who wants to know how a text begins.
    fn begin(
        &self,
        text: &[u8],
        context: Context,
        classes: Classes,
        effort: &Effort,
        sheet: &mut Sheet,
    ) -> Result<(), TooCostly> {
        // As much as is seen from there.
        let mut lower = [0; REACH];
        let length = text.len().min(REACH);
        let seen = (lower.get_mut(..length)).zip(text.get(..length));
        if let Some((lower, text)) = seen {
            lower.copy_from_slice(text);
            lower.make_ascii_lowercase();
        }
        let work = Work::default();
        let lower = lower.get(..length).unwrap_or_default();
        let spot = Spot::new(text, lower, (0, 0), context, &work);
        for (class, verify) in &self.beginnings {
            if !classes.has(*class) {
                continue;
            }
            if let Some(evidence) = verify(&spot) {
                sheet.add(*class, evidence);
            }
            effort.spend(WORD_STEPS.saturating_add(work.take()))?;
        }
        Ok(())
    }

    /// Looks through one form of a text. Whether it may hide another.
    fn look(
        &self,
        text: &[u8],
        context: Context,
        classes: Classes,
        effort: &Effort,
        sheet: &mut Sheet,
    ) -> Result<bool, TooCostly> {
        let length = u64::try_from(text.len()).unwrap_or(u64::MAX);
        effort.spend(length.saturating_mul(BYTE_STEPS))?;
        let before = sheet.len();
        let mut lower = Vec::new();
        let work = Work::default();
        let mut scan = Scan::new(text);
        while let Some(at) = self.index.next(&mut scan) {
            let compared = self.index.words_at(&scan, at, |word| {
                if !classes.has(word.class) {
                    return Ok(());
                }
                if lower.is_empty() {
                    lower = text.to_ascii_lowercase();
                }
                let end = at.saturating_add(word.text.len());
                let spot = Spot::new(text, &lower, (at, end), context, &work);
                if let Some(evidence) = (word.verify)(&spot) {
                    sheet.add(word.class, evidence);
                }
                effort.spend(WORD_STEPS.saturating_add(work.take()))
            })?;
            effort.spend(
                compared
                    .saturating_mul(COMPARED_STEPS)
                    .saturating_add(PLACE_STEPS),
            )?;
        }
        if context == Context::FileName || !scan.is_plain() {
            let behind = sheet.len();
            self.begin(text, context, classes, effort, sheet)?;
            sheet.bring_forward(before, behind);
        }
        Ok(scan.escapes())
    }
}

/// The classes that are found in a text at `medium`, for tests of classes.
#[cfg(test)]
pub(crate) fn found(text: &str) -> Vec<(Class, &'static str, u16)> {
    found_in(Context::Value, text)
}

#[cfg(test)]
pub(crate) fn found_in(context: Context, text: &str) -> Vec<(Class, &'static str, u16)> {
    use crate::scores::Sensitivity;
    thread_local! {
        static DETECTOR: Detector = Detector::new(Classes::ALL);
    }
    let mut scores = Scores::default();
    let bytes = u64::try_from(text.len()).unwrap_or(u64::MAX);
    let effort = Effort::new(allowance(bytes, 1));
    DETECTOR.with(|detector| {
        let judged = detector.judge(
            text.as_bytes(),
            context,
            Classes::NONE,
            &effort,
            &mut scores,
        );
        judged.unwrap();
    });
    let enough = |score: u16| score >= Sensitivity::Medium.threshold();
    let found = scores.each().filter(|found| enough(found.score));
    found
        .map(|found| (found.class, found.kind, found.score))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scores::Sensitivity;

    #[test]
    fn what_is_left_out_is_not_found() {
        let detector = Detector::new(Classes::ALL);
        let judge = |left_out| {
            let (mut scores, effort) = (Scores::default(), Effort::new(1000));
            let judged = detector.judge(b"a\0", Context::Value, left_out, &effort, &mut scores);
            judged.map(|()| scores.found(Sensitivity::Low).map(|found| found.class))
        };
        assert_eq!(judge(Classes::NONE), Ok(Some(Class::NullBytes)));
        assert_eq!(judge(Classes::NONE.with(Class::NullBytes)), Ok(None));
    }

    #[test]
    fn work_is_bounded() {
        let detector = Detector::new(Classes::ALL);
        let mut scores = Scores::default();
        let text = [0; 100];
        let judged = detector.judge(
            &text,
            Context::Value,
            Classes::NONE,
            &Effort::new(200),
            &mut scores,
        );
        assert_eq!(judged, Err(TooCostly));
        assert!(detector.bytes() > 1000);
    }
}
