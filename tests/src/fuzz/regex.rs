//! Regular expressions, and texts that they nearly describe.

use ::regex::{Error as TheirError, RegexBuilder};
use portcullis::regex::{Effort, Error, Regex};

/// Choices that bytes make; the first of each list when they have run out.
struct Choices<'b>(&'b [u8]);

impl Choices<'_> {
    fn below(&mut self, end: usize) -> usize {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        usize::from(*first) % end.max(1)
    }

    fn of<T: Copy>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())]
    }
}

/// An expression, as a tree.
enum Node {
    Empty,
    Character(char),
    /// A class as it is written, and some of its characters.
    Class(&'static str, &'static str),
    Look(&'static str),
    Repeat(Box<Node>, usize, Option<usize>, bool),
    Sequence(Vec<Node>),
    Choice(Vec<Node>),
    /// What a group begins with, and what is in it.
    Group(&'static str, Box<Node>),
    /// So many different characters that the expression has no alphabet of its own.
    Many,
}

const CHARACTERS: &[char] = &[
    'a',
    'b',
    'k',
    'K',
    's',
    '1',
    '_',
    '-',
    ' ',
    '\n',
    '\r',
    '.',
    '\0',
    'é',
    'É',
    'ß',
    'ſ',
    '\u{212a}',
    'σ',
    'ς',
    '٧',
    '\u{301}',
    '\u{85}',
    '\u{2028}',
    '\u{d7ff}',
    '\u{e000}',
    '🐲',
    '\u{10ffff}',
];
const CLASSES: &[(&str, &str)] = &[
    (".", "ab\r\0é🐲\u{2028}"),
    (r"\w", "a_1é٧K\u{301}"),
    (r"\W", " -\n.🐲\u{e000}"),
    (r"\d", "1٧"),
    (r"\D", "a\n🐲"),
    (r"\s", " \n\r\u{85}\u{2028}"),
    (r"\S", "a🐲\0"),
    ("[ab]", "ab"),
    ("[^a]", "b\né🐲"),
    ("[a-zé]", "aké"),
    ("[^\u{e000}-\u{f000}]", "a\u{d7ff}🐲"),
    (r"[\w-]", "a-é_"),
    ("(?s:.)", "\na🐲"),
    ("(?R:.)", "a\0é"),
    (r"(?-u:\w)", "a_1K"),
    (r"(?-u:\d)", "1"),
    ("[[a-z]&&[^b]]", "ak"),
    (r"[\x00-\x{10FFFF}]", "\0a\n\u{10ffff}"),
    (r"[^\x00-\x{10FFFF}]", ""),
    ("[a&&b]", ""),
    ("(?i:k)", "kK\u{212a}"),
    ("(?i:[sσ])", "sSſσςΣ"),
    (r"[^\w\s]", "-.🐲"),
    (r"[\d🐲]", "1🐲"),
];
const LOOKS: &[&str] = &[
    "^",
    "$",
    r"\A",
    r"\z",
    "(?m:^)",
    "(?m:$)",
    "(?mR:^)",
    "(?mR:$)",
    r"\b",
    r"\B",
    r"(?-u:\b)",
    r"(?-u:\B)",
    r"\b{start}",
    r"\b{end}",
    r"\b{start-half}",
    r"\b{end-half}",
    r"(?-u:\b{start})",
    r"(?-u:\b{end})",
    r"(?-u:\b{start-half})",
    r"(?-u:\b{end-half})",
];
const GROUPS: &[&str] = &[
    "(", "(?:", "(?i:", "(?s:", "(?m:", "(?x:", "(?U:", "(?mR:", "(?-u:",
];

fn node(choices: &mut Choices<'_>, depth: usize) -> Node {
    let inner = |choices: &mut Choices<'_>| Box::new(node(choices, depth - 1));
    match choices.below(if depth == 0 { 8 } else { 24 }) {
        0 => Node::Empty,
        1..=3 => Node::Character(choices.of(CHARACTERS)),
        4 | 5 => {
            let (written, members) = choices.of(CLASSES);
            Node::Class(written, members)
        }
        6 | 7 => Node::Look(choices.of(LOOKS)),
        8..=11 => {
            let count = 2 + choices.below(3);
            Node::Sequence((0..count).map(|_| node(choices, depth - 1)).collect())
        }
        12..=15 => {
            let count = 2 + choices.below(3);
            Node::Choice((0..count).map(|_| node(choices, depth - 1)).collect())
        }
        16..=20 => {
            let least = choices.of(&[0, 0, 1, 2, 0, 1, 3, 0, 1, 2, 5, 13]);
            let most = choices.of(&[Some(0), None, None, Some(1), Some(2), Some(1), Some(9)]);
            let most = most.map(|more| least + more);
            let greedy = choices.below(4) > 0;
            Node::Repeat(inner(choices), least, most, greedy)
        }
        21 | 22 => Node::Group(choices.of(GROUPS), inner(choices)),
        _ if choices.below(24) == 1 => Node::Many,
        _ => *inner(choices),
    }
}

fn many() -> impl Iterator<Item = char> {
    '\u{4e00}'..'\u{4f00}'
}

fn write(node: &Node, out: &mut String) {
    let all = |nodes: &[Node], between: &str, out: &mut String| {
        for (index, each) in nodes.iter().enumerate() {
            out.push_str(if index == 0 { "" } else { between });
            write(each, out);
        }
    };
    match node {
        Node::Empty => {}
        // Between other things so that it means the same where white space does not count.
        Node::Character(c) => out.push_str(&format!(r"\x{{{:x}}}", u32::from(*c))),
        Node::Class(written, _) | Node::Look(written) => out.push_str(written),
        Node::Repeat(inner, least, most, greedy) => {
            out.push_str("(?:");
            write(inner, out);
            let most = most.map_or(String::new(), |most| most.to_string());
            out.push_str(&format!("){{{least},{most}}}"));
            out.push_str(if *greedy { "" } else { "?" });
        }
        Node::Sequence(nodes) => all(nodes, "", out),
        Node::Choice(nodes) => {
            out.push_str("(?:");
            all(nodes, "|", out);
            out.push(')');
        }
        Node::Group(opening, inner) => {
            out.push_str(opening);
            write(inner, out);
            out.push(')');
        }
        Node::Many => many().for_each(|c| out.push_str(&format!("{c}{{0,1}}"))),
    }
}

/// A text that the expression describes, but for what it says of the characters beside it.
fn describe(node: &Node, choices: &mut Choices<'_>, out: &mut String) {
    match node {
        Node::Empty | Node::Look(_) => {}
        Node::Character(c) => out.push(*c),
        Node::Class(_, members) => {
            let members: Vec<char> = members.chars().collect();
            if !members.is_empty() {
                out.push(choices.of(&members));
            }
        }
        Node::Repeat(inner, least, most, _) => {
            let more = most.map_or(3, |most| most - least);
            for _ in 0..least + choices.below(more + 1) {
                if out.len() < 4000 {
                    describe(inner, choices, out);
                }
            }
        }
        Node::Sequence(nodes) => nodes.iter().for_each(|each| describe(each, choices, out)),
        Node::Choice(nodes) => {
            let which = choices.below(nodes.len());
            describe(&nodes[which], choices, out);
        }
        Node::Group(_, inner) => describe(inner, choices, out),
        Node::Many => out.extend(many().filter(|_| choices.below(8) > 0)),
    }
}

/// What differs a little.
fn disturb(text: &str, choices: &mut Choices<'_>) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    for _ in 0..choices.below(4) {
        let at = choices.below(characters.len() + 1);
        match choices.below(4) {
            0 => characters.insert(at, choices.of(CHARACTERS)),
            1 if at < characters.len() => drop(characters.remove(at)),
            2 if at < characters.len() => characters[at] = choices.of(CHARACTERS),
            3 if at < characters.len() => {
                let c = characters[at];
                let other = c
                    .to_uppercase()
                    .chain(c.to_lowercase())
                    .find(|other| *other != c);
                characters[at] = other.unwrap_or(c);
            }
            _ => {}
        }
    }
    characters.into_iter().collect()
}

/// The bytes make an expression, and texts that it describes or nearly does. What the `regex` crate
/// finds is found, and nothing else, however often the expression has been used; with less effort
/// the answer is the same or none. Whether it was found in one of them.
///
/// # Panics
/// When that does not hold.
pub fn regex(bytes: &[u8]) -> bool {
    let mut choices = Choices(bytes);
    let (around, ignore_case) = (choices.below(2), choices.below(4) == 1);
    let tree = node(&mut choices, 4);
    let mut written = String::new();
    write(&tree, &mut written);
    if around == 1 {
        written = format!("^(?:{written})$");
    }
    let theirs = RegexBuilder::new(&written)
        .case_insensitive(ignore_case)
        .build();
    let ours = Regex::compile(&written, ignore_case);
    let (theirs, ours) = match (theirs, ours) {
        (Ok(theirs), Ok(ours)) => (theirs, ours),
        (Err(TheirError::Syntax(_)), ours) => {
            assert!(matches!(ours, Err(Error::Syntax)), "{written:?}");
            return false;
        }
        (theirs, ours) => {
            // Either may be too large by its own measure, and by no other.
            assert!(
                !matches!(ours, Err(Error::Syntax)),
                "{written:?} {theirs:?}"
            );
            return false;
        }
    };
    let mut any = false;
    for _ in 0..8 {
        let mut text = String::new();
        describe(&tree, &mut choices, &mut text);
        let text = disturb(&text, &mut choices);
        let effort = Effort::new(10_000_000_000);
        let expected = theirs.is_match(&text);
        let found = ours.is_match(&text, &effort);
        assert_eq!(found, Ok(expected), "{written:?} {text:?} {ignore_case}");
        let little = Effort::new(1 << choices.below(16));
        if let Ok(found) = ours.is_match(&text, &little) {
            assert_eq!(found, expected, "{written:?} {text:?} {ignore_case}");
        } else {
            assert!(little.is_spent());
        }
        any |= expected;
    }
    any
}
