//! What was found in the texts of one request, and whether that is enough.

use crate::{Class, Classes};

/// Something in a text that attacks have, and texts of people have not, or seldom.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Evidence {
    /// What it is, for the log: a few words of ours, never of the text's.
    pub kind: &'static str,
    /// How much it weighs: [`Evidence::SURE`] is an attack by itself, [`Evidence::HINT`] never is.
    pub score: u16,
}

impl Evidence {
    /// Found at every sensitivity.
    pub const SURE: u16 = 100;
    /// Found at `medium`.
    pub const LIKELY: u16 = 60;
    /// Found at `high`; at `medium` together with another kind of half its weight.
    pub const SUSPECT: u16 = 40;
    /// Found together with others.
    pub const HINT: u16 = 20;

    /// Evidence of some weight.
    #[must_use]
    pub const fn new(kind: &'static str, score: u16) -> Self {
        Self { kind, score }
    }
}

/// How much it takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sensitivity {
    /// What cannot be anything else.
    Low,
    /// What is hardly anything else.
    #[default]
    Medium,
    /// What might be something else.
    High,
}

impl Sensitivity {
    /// The score that is enough.
    pub const fn threshold(self) -> u16 {
        match self {
            Sensitivity::Low => 80,
            Sensitivity::Medium => 50,
            Sensitivity::High => 30,
        }
    }
}

/// What was found of one class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    pub class: Class,
    /// The kind of the weightiest evidence.
    pub kind: &'static str,
    pub score: u16,
}

/// What was found in the texts of one request so far. What one text gives is the best of each kind; of further texts
/// only a little is added to the best.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scores {
    classes: [Sum; Class::ALL.len()],
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Sum {
    kind: &'static str,
    best: u16,
    rest: u16,
}

/// The most that all texts but the best add.
const MOST_OF_REST: u16 = 15;

impl Sum {
    fn total(self) -> u16 {
        self.best.saturating_add(self.rest)
    }

    fn add(&mut self, kind: &'static str, score: u16) {
        let lesser = score.min(self.best);
        // What is less than a hint in each text is nothing in many.
        if lesser >= Evidence::HINT {
            self.rest = self.rest.saturating_add(lesser / 4).min(MOST_OF_REST);
        }
        if score > self.best {
            (self.kind, self.best) = (kind, score);
        }
    }
}

impl Scores {
    /// What there is most of, if it is enough.
    pub fn found(&self, sensitivity: Sensitivity) -> Option<Found> {
        self.found_of(Classes::ALL, sensitivity)
    }

    /// The same of some classes.
    pub fn found_of(&self, classes: Classes, sensitivity: Sensitivity) -> Option<Found> {
        let found = self
            .each()
            .filter(|found| classes.has(found.class) && found.score >= sensitivity.threshold());
        // The first of those that weigh the same.
        found.reduce(|best, found| match found.score > best.score {
            true => found,
            false => best,
        })
    }

    /// What there is of each class, little as it may be.
    pub fn each(&self) -> impl Iterator<Item = Found> + '_ {
        let classes = Class::ALL.into_iter().zip(&self.classes);
        let found = classes.map(|(class, sum)| Found {
            class,
            kind: sum.kind,
            score: sum.total(),
        });
        found.filter(|found| found.score > 0)
    }

    pub(crate) fn add(&mut self, sheet: &Sheet) {
        if sheet.found.is_empty() {
            return;
        }
        for (class, sum) in Class::ALL.into_iter().zip(&mut self.classes) {
            if let Some((kind, score)) = sheet.total(class) {
                sum.add(kind, score);
            }
        }
    }
}

/// What was found in one text, in all its forms: each kind once.
#[derive(Default)]
pub(crate) struct Sheet {
    found: Vec<(Class, Evidence)>,
}

/// How many kinds of a class are told apart in one text.
const KINDS: usize = 6;

impl Sheet {
    pub(crate) fn add(&mut self, class: Class, evidence: Evidence) {
        let mut of_class = self.found.iter_mut().filter(|(of, _)| *of == class);
        let same = of_class.find(|(_, known)| known.kind == evidence.kind);
        if let Some((_, known)) = same {
            known.score = known.score.max(evidence.score);
            return;
        }
        let of_class = self.found.iter_mut().filter(|(of, _)| *of == class);
        let mut count: usize = 0;
        let least = of_class
            .inspect(|_| count = count.saturating_add(1))
            .min_by_key(|(_, known)| known.score);
        match least {
            Some((_, least)) if count >= KINDS => {
                if least.score < evidence.score {
                    *least = evidence;
                }
            }
            _ => self.found.push((class, evidence)),
        }
    }

    /// How many kinds there are.
    pub(crate) fn len(&self) -> usize {
        self.found.len()
    }

    /// Puts what was found last, from `late` on, before what was found from `early` on: of two that weigh the same the
    /// first is named.
    pub(crate) fn bring_forward(&mut self, early: usize, late: usize) {
        let count = self.found.len().saturating_sub(late);
        if let Some(found) = self
            .found
            .get_mut(early..)
            .filter(|found| count < found.len())
        {
            found.rotate_right(count);
        }
    }

    /// The best of a class, and half of what its other kinds weigh.
    fn total(&self, class: Class) -> Option<(&'static str, u16)> {
        let mut best: Option<Evidence> = None;
        let mut all: u16 = 0;
        for (_, evidence) in self.found.iter().filter(|(of, _)| *of == class) {
            all = all.saturating_add(evidence.score);
            if best.is_none_or(|best| evidence.score > best.score) {
                best = Some(*evidence);
            }
        }
        let best = best?;
        let others = all.saturating_sub(best.score) / 2;
        Some((best.kind, best.score.saturating_add(others)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sheet(found: &[(&'static str, u16)]) -> Sheet {
        let mut sheet = Sheet::default();
        for (kind, score) in found {
            sheet.add(Class::Sql, Evidence::new(kind, *score));
        }
        sheet
    }

    #[test]
    fn many_texts_with_a_hint_each_are_no_attack() {
        let mut scores = Scores::default();
        for _ in 0..1000 {
            scores.add(&sheet(&[("keyword", Evidence::HINT)]));
        }
        assert_eq!(scores.found(Sensitivity::Medium), None);
        let found = scores.each().next().unwrap();
        assert_eq!(
            (found.kind, found.score),
            ("keyword", Evidence::HINT + MOST_OF_REST)
        );
    }

    #[test]
    fn kinds_of_one_text_add_up_and_repeats_do_not() {
        let total = |found: &[(&'static str, u16)]| {
            let mut scores = Scores::default();
            scores.add(&sheet(found));
            scores
                .found(Sensitivity::High)
                .map(|found| (found.kind, found.score))
        };
        assert_eq!(total(&[("a", 20); 9]), None);
        assert_eq!(total(&[("a", 20), ("b", 20)]), Some(("a", 30)));
        assert_eq!(total(&[("a", 20), ("b", 40)]), Some(("b", 50)));
        let many = [
            ("a", 10),
            ("b", 10),
            ("c", 10),
            ("d", 10),
            ("e", 10),
            ("f", 10),
            ("g", 60),
        ];
        assert_eq!(total(&many), Some(("g", 85)));
    }

    #[test]
    fn the_weightiest_class_is_named() {
        let mut scores = Scores::default();
        let mut sheet = sheet(&[("union", 60)]);
        sheet.add(Class::Script, Evidence::new("tag", 100));
        scores.add(&sheet);
        let found = scores.found(Sensitivity::Low).unwrap();
        assert_eq!((found.class, found.kind), (Class::Script, "tag"));
        let sql = Classes::NONE.with(Class::Sql);
        assert_eq!(scores.found_of(sql, Sensitivity::Low), None);
        assert_eq!(
            scores.found_of(sql, Sensitivity::Medium).unwrap().kind,
            "union"
        );
    }
}
