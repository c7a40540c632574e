//! Unicode's general categories, in a table of a few thousand bytes.
//!
//! The `regex` crate has these as well; its table would be ten times as large in the module.

use std::fmt::Write as _;

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

/// Those that stand for several: all whose short name begins so.
const GROUPS: [(&str, &str); 7] = [
    ("L", "Letter"),
    ("M", "Mark"),
    ("N", "Number"),
    ("P", "Punctuation"),
    ("S", "Symbol"),
    ("Z", "Separator"),
    ("C", "Other"),
];

/// The inside of a class with all characters of that category. `None` if there is none of that
/// name; empty if it has no characters.
pub(super) fn class(name: &str) -> Option<String> {
    let mut class = String::new();
    let mut push = |first: u32, end: u32| {
        // Writing to a `String` cannot fail.
        let _ = write!(class, "\\x{{{first:X}}}-\\x{{{:X}}}", end.saturating_sub(1));
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
    Some(class)
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
            let class = class(long).unwrap();
            // The crate does not count what is unassigned among "Other".
            if !matches!(*short, "Cs" | "C") {
                let theirs = parse(&format!(r"\p{{{short}}}"));
                assert!(parse(&format!("[{class}]")) == theirs, "{short}");
            }
        }
    }

    #[test]
    fn names_are_short_or_long() {
        assert_eq!(class("L"), class("Letter"));
        assert_eq!(class("Zl").as_deref(), Some(r"\x{2028}-\x{2028}"));
        assert_eq!(class("Cs").as_deref(), Some(""));
        assert!(class("Greek").is_none() && class("").is_none());
    }
}
