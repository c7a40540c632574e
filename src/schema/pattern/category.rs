//! Unicode's general categories, in a table of a few thousand bytes.
//!
//! The `regex` crate has these as well; its table would be ten times as large in the module.

use regex_syntax::hir::ClassUnicodeRange;

/// Every character's category: runs of characters, each a byte with the category's place in
/// [`CATEGORIES`] times 8 and the length if that is less than 8; after a length of 0 it follows,
/// seven bits to a byte, the lowest first. A test holds it against the `regex` crate.
const RUNS: &[u8] = include_bytes!("categories.bin");

/// In the order of the table: short name and long name.
const CATEGORIES: [(&str, &str); 30] = [
    ("Lu", "Uppercase_Letter"),
    ("Ll", "Lowercase_Letter"),
    ("Lt", "Titlecase_Letter"),
    ("Lm", "Modifier_Letter"),
    ("Lo", "Other_Letter"),
    ("Mn", "Nonspacing_Mark"),
    ("Mc", "Spacing_Mark"),
    ("Me", "Enclosing_Mark"),
    ("Nd", "Decimal_Number"),
    ("Nl", "Letter_Number"),
    ("No", "Other_Number"),
    ("Pc", "Connector_Punctuation"),
    ("Pd", "Dash_Punctuation"),
    ("Ps", "Open_Punctuation"),
    ("Pe", "Close_Punctuation"),
    ("Pi", "Initial_Punctuation"),
    ("Pf", "Final_Punctuation"),
    ("Po", "Other_Punctuation"),
    ("Sm", "Math_Symbol"),
    ("Sc", "Currency_Symbol"),
    ("Sk", "Modifier_Symbol"),
    ("So", "Other_Symbol"),
    ("Zs", "Space_Separator"),
    ("Zl", "Line_Separator"),
    ("Zp", "Paragraph_Separator"),
    ("Cc", "Control"),
    ("Cf", "Format"),
    ("Cs", "Surrogate"),
    ("Co", "Private_Use"),
    ("Cn", "Unassigned"),
];

/// Categories that stand for several: all whose short name begins so.
const GROUPS: [(&str, &str); 7] = [
    ("L", "Letter"),
    ("M", "Mark"),
    ("N", "Number"),
    ("P", "Punctuation"),
    ("S", "Symbol"),
    ("Z", "Separator"),
    ("C", "Other"),
];

/// All characters of a category, in order. `None` if there is none of that name.
pub(super) fn ranges(name: &str) -> Option<Vec<ClassUnicodeRange>> {
    let mut ranges = Vec::new();
    let mut push = |first: u32, end: u32| {
        let last = char::from_u32(end.saturating_sub(1)).unwrap_or('\u{d7ff}');
        if let Some(first) = char::from_u32(first) {
            ranges.push(ClassUnicodeRange::new(first, last));
        }
    };
    let wanted = wanted(name)?;
    let mut at = 0_u32;
    let mut open = None;
    let mut runs = RUNS.iter().copied();
    while let Some((category, length)) = next_run(&mut runs) {
        // Halves of characters are in no text.
        let within = wanted >> category & 1 == 1 && !(0xd800..0xe000).contains(&at);
        match (open, within) {
            (None, true) => open = Some(at),
            (Some(first), false) => {
                push(first, at);
                open = None;
            }
            _ => {}
        }
        at = at.saturating_add(length);
    }
    if let Some(first) = open {
        push(first, at);
    }
    Some(ranges)
}

fn wanted(name: &str) -> Option<u32> {
    let group = GROUPS
        .iter()
        .find(|(short, long)| *short == name || *long == name)
        .map(|(short, _)| *short);
    let fits = |(short, long): &(&str, &str)| match (name, group) {
        ("LC" | "Cased_Letter", _) => matches!(*short, "Lu" | "Ll" | "Lt"),
        (_, Some(group)) => short.starts_with(group),
        _ => *short == name || *long == name,
    };
    let places = CATEGORIES.iter().enumerate();
    let wanted = places.filter(|(_, names)| fits(names));
    let bits = wanted.fold(0, |bits, (place, _)| bits | 1 << place);
    (bits != 0).then_some(bits)
}

fn next_run(bytes: &mut impl Iterator<Item = u8>) -> Option<(u8, u32)> {
    let first = bytes.next()?;
    let (category, mut length) = (first >> 3, u32::from(first & 7));
    if length == 0 {
        let mut shift = 0_u32;
        loop {
            let byte = bytes.next()?;
            length |= u32::from(byte & 0x7f).checked_shl(shift)?;
            shift = shift.saturating_add(7);
            if byte & 0x80 == 0 {
                break;
            }
        }
    }
    Some((category, length))
}

#[cfg(test)]
mod tests {
    use super::*;
    use regex_syntax::hir::{Class, ClassUnicode, Hir};

    #[test]
    fn the_table_has_every_character_once() {
        let mut runs = RUNS.iter().copied();
        let mut total = 0;
        while let Some((category, length)) = next_run(&mut runs) {
            assert!(usize::from(category) < CATEGORIES.len());
            total += length;
        }
        assert_eq!(total, 0x11_0000);
    }

    #[test]
    fn the_table_is_that_of_the_regex_crate() {
        let parse = |pattern: &str| regex_syntax::parse(pattern).unwrap();
        for (short, long) in CATEGORIES
            .iter()
            .chain(&GROUPS)
            .chain(&[("LC", "Cased_Letter")])
        {
            let class = ClassUnicode::new(ranges(long).unwrap());
            // The crate does not count what is unassigned among "Other".
            if !matches!(*short, "Cs" | "C") {
                let theirs = parse(&format!(r"\p{{{short}}}"));
                assert!(Hir::class(Class::Unicode(class)) == theirs, "{short}");
            }
        }
    }

    #[test]
    fn names_are_short_or_long() {
        assert_eq!(ranges("L"), ranges("Letter"));
        let separator = ClassUnicodeRange::new('\u{2028}', '\u{2028}');
        assert_eq!(ranges("Zl"), Some(vec![separator]));
        assert_eq!(ranges("Cs"), Some(Vec::new()));
        assert!(ranges("Greek").is_none() && ranges("").is_none());
    }
}
