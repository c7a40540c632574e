//! Numbers of schemas against exact arithmetic, for random decimals.

use std::cmp::Ordering;

use super::{Formats, Notes, Schema, Text, Verdict};
use portcullis_document::{Node, Problems};
use portcullis_wire::json::Json;

/// A decimal as a fraction of a power of ten, written by hand: a sign, digits, and how many of them
/// stand behind the point, which is the same for all.
#[derive(Clone, Debug)]
struct Exact {
    negative: bool,
    digits: Vec<u8>,
}

/// So many digits stand behind the point of an [`Exact`].
const BEHIND: i32 = 80;

impl Exact {
    fn of(text: &str) -> Self {
        let (text, exponent) = match text.split_once(['e', 'E']) {
            Some((text, exponent)) => (text, exponent.parse::<i32>().unwrap()),
            None => (text, 0),
        };
        let (negative, text) = match text.strip_prefix('-') {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        let mut digits: Vec<u8> = whole
            .bytes()
            .chain(fraction.bytes())
            .map(|b| b - b'0')
            .collect();
        let behind = BEHIND + exponent - i32::try_from(fraction.len()).unwrap();
        digits.extend(vec![0; usize::try_from(behind).unwrap()]);
        let first = digits.iter().position(|digit| *digit != 0);
        digits.drain(..first.unwrap_or(digits.len()));
        let negative = negative && !digits.is_empty();
        Self { negative, digits }
    }

    fn size(&self, other: &Self) -> Ordering {
        let length = self.digits.len().cmp(&other.digits.len());
        length.then_with(|| self.digits.cmp(&other.digits))
    }

    fn compare(&self, other: &Self) -> Ordering {
        match (self.negative, other.negative) {
            (false, false) => self.size(other),
            (true, true) => other.size(self),
            (false, true) => Ordering::Greater,
            (true, false) => Ordering::Less,
        }
    }

    /// Schoolbook division; what is left of it.
    fn is_multiple_of(&self, divisor: &Self) -> bool {
        let mut rest = Self {
            negative: false,
            digits: Vec::new(),
        };
        for digit in &self.digits {
            if !rest.digits.is_empty() || *digit != 0 {
                rest.digits.push(*digit);
            }
            while rest.size(divisor) != Ordering::Less {
                rest.subtract(&divisor.digits);
            }
        }
        rest.digits.is_empty()
    }

    fn subtract(&mut self, less: &[u8]) {
        let mut borrow = 0;
        let shift = self.digits.len() - less.len();
        for at in (0..self.digits.len()).rev() {
            let other = if at >= shift { less[at - shift] } else { 0 } + borrow;
            borrow = u8::from(self.digits[at] < other);
            self.digits[at] = self.digits[at] + 10 * borrow - other;
        }
        let first = self.digits.iter().position(|digit| *digit != 0);
        self.digits.drain(..first.unwrap_or(self.digits.len()));
    }
}

struct Random(u64);

impl Random {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(0x5851_f42d_4c95_7f2d)
            .wrapping_add(0x1405_7b7e_f767_814f);
        (self.0 >> 33) % most
    }

    fn digits(&mut self, most: u64) -> String {
        let count = 1 + self.below(most);
        (0..count)
            .map(|_| char::from(b'0' + u8::try_from(self.below(10)).unwrap()))
            .collect()
    }

    /// A decimal with up to 29 digits on either side of its point, and a small exponent.
    fn decimal(&mut self) -> String {
        let most = [2, 17, 29][usize::try_from(self.below(3)).unwrap()];
        let whole = self.digits(most);
        let whole = whole.trim_start_matches('0');
        let mut text = if self.below(3) == 0 { "-" } else { "" }.to_owned();
        text.push_str(if whole.is_empty() { "0" } else { whole });
        if self.below(2) == 0 {
            text.push('.');
            text.push_str(&self.digits(most));
        }
        match self.below(4) {
            0 => text.push_str(&format!("e-{}", self.below(40))),
            1 => text.push_str(&format!("E{}", self.below(20))),
            _ => {}
        }
        text
    }
}

fn holds(schema: &str, body: &str) -> bool {
    let json = Json::parse(schema.as_bytes(), 16).unwrap();
    let (mut notes, mut problems) = (Notes::default(), Problems::default());
    let schema = Schema::read(
        &Node::root(&json),
        Formats::Annotate,
        &mut notes,
        &mut problems,
    );
    let schema = problems.into_result(schema).unwrap();
    match schema.judge(&Text::parse(body.as_bytes(), 16).unwrap()) {
        Verdict::Undecided => panic!("{body} is too much work"),
        verdict => verdict == Verdict::Valid,
    }
}

/// Another number that is near: its last digit is another one.
fn neighbour(text: &str) -> String {
    let (digits, power) = text.split_at(text.find(['e', 'E']).unwrap_or(text.len()));
    let (front, last) = digits.split_at(digits.len() - 1);
    let last = (last.parse::<u8>().unwrap() + 1) % 10;
    format!("{front}{last}{power}")
}

#[test]
fn a_schema_means_the_number_that_is_written() {
    let mut random = Random(7);
    for _ in 0..600 {
        let one = random.decimal();
        let factor = random.below(1000);
        for other in [
            one.clone(),
            neighbour(&one),
            random.decimal(),
            format!("{factor}"),
        ] {
            let (exact, exact_other) = (Exact::of(&one), Exact::of(&other));
            let order = exact_other.compare(&exact);
            let found = |keyword: &str| holds(&format!(r#"{{"{keyword}":{one}}}"#), &other);
            let both = format!("{other} by {one}");
            assert_eq!(found("const"), order == Ordering::Equal, "{both}");
            assert_eq!(found("minimum"), order != Ordering::Less, "{both}");
            assert_eq!(found("maximum"), order != Ordering::Greater, "{both}");
            assert_eq!(
                found("exclusiveMinimum"),
                order == Ordering::Greater,
                "{both}"
            );
            assert_eq!(found("exclusiveMaximum"), order == Ordering::Less, "{both}");
            let listed = holds(&format!(r#"{{"enum":["x",{one}]}}"#), &other);
            assert_eq!(listed, order == Ordering::Equal, "{both}");
            let excluded = holds(&format!(r#"{{"not":{{"const":{one}}}}}"#), &other);
            assert_eq!(excluded, order != Ordering::Equal, "{both}");
            if !exact.negative && !exact.digits.is_empty() {
                assert_eq!(
                    found("multipleOf"),
                    exact_other.is_multiple_of(&exact),
                    "{both}"
                );
            }
        }
    }
}

#[test]
fn multiples_of_long_numbers_are_found() {
    let mut random = Random(11);
    for _ in 0..300 {
        let one = random.digits(45);
        let one = one.trim_start_matches('0');
        if one.is_empty() {
            continue;
        }
        let point = usize::try_from(random.below(30))
            .unwrap()
            .min(one.len() - 1);
        let (whole, fraction) = one.split_at(one.len() - point);
        let divisor = if point == 0 {
            whole.to_owned()
        } else {
            format!("{whole}.{fraction}")
        };
        // The same digits twice, with zeros between: a multiple, whatever they are.
        let gap = "0".repeat(usize::try_from(random.below(20)).unwrap());
        let multiple = format!("{one}{gap}{one}e-{point}");
        let more = format!("{one}{gap}{}e-{point}", neighbour(one));
        let found = |body: &str| holds(&format!(r#"{{"multipleOf":{divisor}}}"#), body);
        assert!(found(&multiple), "{multiple} by {divisor}");
        let exact = Exact::of(&more).is_multiple_of(&Exact::of(&divisor));
        assert_eq!(found(&more), exact, "{more} by {divisor}");
    }
}
