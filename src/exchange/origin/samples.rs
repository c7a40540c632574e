//! Texts that an expression accepts, made from the expression itself: of everything that it leaves
//! open, each choice at least once.

use std::collections::VecDeque;

use regex_syntax::ParserBuilder;
use regex_syntax::hir::{Class, Hir, HirKind};

use portcullis_wire::effort::{Effort, TooCostly};
use portcullis_wire::regex;

/// The longest text, in bytes: no host of an origin is as long.
const LONGEST: usize = 320;

/// How many parts of an expression are walked through for one text.
const MOST_PARTS: usize = 4096;

/// So many texts have several choices at a time made otherwise.
const COMBINED: usize = 256;

/// How many texts may wait to be made.
const MOST_WAITING: usize = 4096;

/// Shows texts that `pattern` may accept, until `show` says that it has seen enough.
///
/// # Errors
/// [`TooCostly`] when not every choice can be shown.
pub(super) fn each(
    pattern: &str,
    effort: &Effort,
    mut show: impl FnMut(&str) -> Result<bool, TooCostly>,
) -> Result<(), TooCostly> {
    if !regex::AVAILABLE {
        return Err(TooCostly);
    }
    let Ok(hir) = ParserBuilder::new().build().parse(pattern) else {
        return Ok(());
    };
    let mut waiting = VecDeque::from([Vec::new()]);
    let mut shown = 0_usize;
    while let Some(picks) = waiting.pop_front() {
        let mut writer = Writer {
            picks: &picks,
            made: Vec::new(),
            text: String::new(),
            parts: 0,
        };
        let whole = writer.write(&hir);
        effort.spend(u64::try_from(writer.parts).unwrap_or(u64::MAX))?;
        if whole.is_some() && show(&writer.text)? {
            return Ok(());
        }
        shown = shown.saturating_add(1);
        let otherwise = picks.iter().filter(|pick| **pick > 0).count();
        if otherwise > 0 && shown > COMBINED {
            continue;
        }
        for (place, (_, options)) in writer.made.iter().enumerate().skip(picks.len()) {
            for option in 1..*options {
                if waiting.len() == MOST_WAITING {
                    return Err(TooCostly);
                }
                let before = writer.made.iter().take(place).map(|(pick, _)| *pick);
                waiting.push_back(before.chain([option]).collect());
            }
        }
    }
    Ok(())
}

/// Writes one text.
struct Writer<'p> {
    /// The first choices; the others are the first that fit.
    picks: &'p [usize],
    /// Each choice, and of how many.
    made: Vec<(usize, usize)>,
    text: String,
    parts: usize,
}

impl Writer<'_> {
    /// None when the text becomes too long.
    fn write(&mut self, hir: &Hir) -> Option<()> {
        self.parts = self.parts.saturating_add(1);
        if self.parts > MOST_PARTS || self.text.len() > LONGEST {
            return None;
        }
        match hir.kind() {
            HirKind::Empty | HirKind::Look(_) => {}
            HirKind::Literal(literal) => self.text.push_str(std::str::from_utf8(&literal.0).ok()?),
            HirKind::Class(class) => self.text.push(usual(class)?),
            HirKind::Repetition(repetition) => {
                let least = repetition.min;
                let varies = repetition.max.is_none_or(|most| most > least);
                let more = if varies { self.choose(2) } else { 0 };
                for _ in 0..u64::from(least).saturating_add(u64::from(more > 0)) {
                    self.write(&repetition.sub)?;
                }
            }
            HirKind::Capture(capture) => self.write(&capture.sub)?,
            HirKind::Concat(parts) => parts.iter().try_for_each(|part| self.write(part))?,
            HirKind::Alternation(branches) => {
                let branch = self.choose(branches.len());
                self.write(branches.get(branch)?)?;
            }
        }
        Some(())
    }

    fn choose(&mut self, options: usize) -> usize {
        let pick = self.picks.get(self.made.len()).copied().unwrap_or(0);
        self.made.push((pick, options));
        pick
    }
}

/// A character of a class: one that hosts have, if there is one.
fn usual(class: &Class) -> Option<char> {
    let has = |character: char| match class {
        Class::Unicode(class) => {
            let mut ranges = class.iter();
            ranges.any(|range| (range.start()..=range.end()).contains(&character))
        }
        Class::Bytes(class) => {
            let mut ranges = class.iter();
            u8::try_from(character)
                .is_ok_and(|byte| ranges.any(|range| (range.start()..=range.end()).contains(&byte)))
        }
    };
    // No port begins with 0.
    let mut hosts = ('a'..='z').chain('1'..='9').chain(['0', '-', '.']);
    hosts
        .find(|character| has(*character))
        .or_else(|| match class {
            Class::Unicode(class) => class.iter().next().map(|range| range.start()),
            Class::Bytes(class) => class.iter().next().map(|range| char::from(range.start())),
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(pattern: &str) -> Vec<String> {
        let mut texts = Vec::new();
        let shown = each(pattern, &Effort::new(1_000_000), |text| {
            texts.push(text.to_owned());
            Ok(false)
        });
        shown.unwrap();
        texts
    }

    #[test]
    fn every_choice_is_made_once() {
        assert_eq!(all("^abc$"), ["abc"]);
        assert_eq!(all("^(?:ab|cd|ef)$"), ["ab", "cd", "ef"]);
        let texts = all("^x[0-9]{2}-?[^a-z]+$");
        assert_eq!(texts, ["x111", "x11-1", "x1111", "x11-11"]);
    }

    #[test]
    fn choices_within_choices_are_made() {
        let texts = all("^(?:a(?:bb|cc)|d(?:ee|ff))$");
        for text in ["abb", "acc", "dee", "dff"] {
            assert!(texts.iter().any(|each| each == text), "{text}: {texts:?}");
        }
    }

    #[test]
    fn what_is_too_much_is_not_left_out_in_silence() {
        let many: Vec<String> = (0..5000).map(|n| format!("a{n}b")).collect();
        let many = format!("^(?:{})$", many.join("|"));
        let shown = each(&many, &Effort::new(u64::MAX), |_| Ok(false));
        assert_eq!(shown, Err(TooCostly));
        let long = each("^a{1000}$", &Effort::new(u64::MAX), |text| panic!("{text}"));
        assert_eq!(long, Ok(()));
    }
}
