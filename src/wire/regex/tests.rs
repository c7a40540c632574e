use super::*;

/// A generator of numbers that is the same in each run.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(self.0 >> 33).unwrap() % bound
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

const ATOMS: &[&str] = &[
    "a",
    "b",
    "ab",
    "é",
    "ß",
    "ſ",
    "K",
    "_",
    "-",
    "1",
    " ",
    r"\n",
    r"\r",
    "🐲",
    ".",
    "[ab]",
    "[^a]",
    "[a-zé]",
    r"\w",
    r"\W",
    r"\d",
    r"\D",
    r"\s",
    r"\S",
    "[^\u{e000}-\u{f000}]",
    r"[\w-]",
    "(?s:.)",
    r"(?-u:\w)",
    "[[a-z]&&[^b]]",
    r"[^\x00-\x{10FFFF}]",
    "(?i:k)",
    "(?i:ß)",
    r"[\d🐲]",
    "",
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
    r"(?-u:\b{end-half})",
];
const COUNTS: &[&str] = &["*", "+", "?", "*?", "{2}", "{0,2}", "{1,3}", "{2,}", "{0}"];
const TEXTS: &[&str] = &[
    "a",
    "b",
    "ab",
    "é",
    "ß",
    "ſ",
    "K",
    "k",
    "K",
    "_",
    "-",
    "1",
    "٧",
    " ",
    "\n",
    "\r",
    "\r\n",
    "🐲",
    "\u{e000}",
    "\u{d7ff}",
    "\u{10ffff}",
    "\0",
    "x",
];

fn pattern(random: &mut Random, depth: usize) -> String {
    match random.below(if depth == 0 { 4 } else { 10 }) {
        0..=2 => random.of(ATOMS).to_owned(),
        3 => random.of(LOOKS).to_owned(),
        4 | 5 => pattern(random, depth - 1) + &pattern(random, depth - 1),
        6 | 7 => {
            let inner = pattern(random, depth - 1);
            format!("(?:{inner}){}", random.of(COUNTS))
        }
        8 => {
            let one = pattern(random, depth - 1);
            format!("(?:{one}|{})", pattern(random, depth - 1))
        }
        _ => format!("({})", pattern(random, depth - 1)),
    }
}

/// The law: whatever the `regex` crate finds is found, and nothing else.
#[test]
fn finds_what_the_regex_crate_finds() {
    let mut random = Random(7);
    let (mut found, mut missed) = (0, 0);
    for _ in 0..6000 {
        let written = pattern(&mut random, 4);
        let ignore_case = random.below(4) == 0;
        let theirs = ::regex::RegexBuilder::new(&written)
            .case_insensitive(ignore_case)
            .build();
        let Ok(theirs) = theirs else {
            continue;
        };
        let ours = match Regex::compile(&written, ignore_case) {
            Ok(ours) => ours,
            Err(error) => panic!("{written}: {error}"),
        };
        for _ in 0..30 {
            let length = random.below(7);
            let text: String = (0..length).map(|_| random.of(TEXTS)).collect();
            let expected = theirs.is_match(&text);
            let is = ours.is_match(&text, &Effort::new(1_000_000));
            assert_eq!(is, Ok(expected), "{written:?} {text:?} {ignore_case}");
            found += usize::from(expected);
            missed += usize::from(!expected);
        }
    }
    assert!(found > 20_000 && missed > 20_000, "{found} {missed}");
}

#[test]
fn what_tells_many_characters_apart_is_left_to_the_regex_crate() {
    let many: String = ('\u{4e00}'..'\u{4f00}').map(|c| format!("{c}x")).collect();
    let regex = Regex::compile(&format!("^{many}$"), false).unwrap();
    assert!(matches!(regex.0.machine, Machine::Other(..)));
    let found = |text: &str| regex.is_match(text, &Effort::new(10_000_000));
    assert_eq!(found(&many), Ok(true));
    assert_eq!(found(many.trim_start_matches('\u{4e00}')), Ok(false));
    assert_eq!(regex.is_match(&many, &Effort::new(100)), Err(TooCostly));
}

#[test]
fn what_is_left_to_the_regex_crate_means_what_it_did() {
    let many: String = ('\u{4e00}'..'\u{4f00}').map(|c| format!("{c}?")).collect();
    for (repeated, yes, no) in [
        ("(?:a+)?", ["", "aa"], "b"),
        ("(?:a{2})*", ["", "aaaa"], "a"),
        ("(?:a?){2}", ["", "aa"], "aaa"),
        ("(?:a+?){0,1}b", ["b", "aab"], "a"),
        ("(?:(?:a{2}){2}){2}", ["aaaaaaaa", "aaaaaaaa"], "aaaa"),
        (r"a(?:\b)?", ["a", "a"], ""),
        (r"a(?:\b){2}", ["a", "a"], ""),
    ] {
        let regex = Regex::compile(&format!("^{many}{repeated}$"), false).unwrap();
        assert!(matches!(regex.0.machine, Machine::Other(..)));
        let found = |text: &str| regex.is_match(text, &Effort::new(10_000_000));
        assert_eq!(yes.map(found), [Ok(true), Ok(true)], "{repeated}");
        assert_eq!(found(no), Ok(false), "{repeated}");
    }
}

#[test]
fn what_is_too_costly_is_neither_found_nor_not() {
    let regex = Regex::compile("[a-z]{1,1000}x$", false).unwrap();
    let text: String = (0..60_000)
        .map(|at| if at % 7 < 5 { 'a' } else { '1' })
        .collect();
    for steps in [0, 1, 1000, 50_000] {
        let effort = Effort::new(steps);
        assert_eq!(regex.is_match(&text, &effort), Err(TooCostly), "{steps}");
        assert!(effort.is_spent());
    }
    let effort = Effort::new(3_000_000);
    assert_eq!(regex.is_match(&(text + "ax"), &effort), Ok(true));
}

#[test]
fn a_text_of_the_wrong_length_costs_nothing() {
    let regex = Regex::compile("^[a-z]{2,100}$", false).unwrap();
    let effort = Effort::new(20);
    for text in ["a", "", &*"a".repeat(1_000_000)] {
        assert_eq!(regex.is_match(text, &effort), Ok(false));
    }
}

#[test]
fn expressions_of_one_text_are_one_and_forgotten_with_the_last() {
    let before = Regex::count();
    let one = Regex::compile("one of a kind", false).unwrap();
    let same = Regex::compile("one of a kind", false).unwrap();
    let other = Regex::compile("one of a kind", true).unwrap();
    assert!(Rc::ptr_eq(&one.0, &same.0) && !Rc::ptr_eq(&one.0, &other.0));
    assert_eq!(Regex::count(), before + 2);
    drop((one, same, other));
    assert_eq!(Regex::count(), before);
}

#[test]
fn little_is_kept_and_it_is_asked_for() {
    let used = crate::budget::used(Share::Caches);
    let regex = Regex::compile("^[a-z]+[0-9]$", false).unwrap();
    assert_eq!(regex.is_match("abc1", &Effort::new(10_000)), Ok(true));
    let kept = crate::budget::used(Share::Caches) - used;
    assert!((1..=KEPT_BYTES).contains(&kept), "{kept}");
    drop(regex);
    assert_eq!(crate::budget::used(Share::Caches), used);
}

#[test]
fn what_has_become_large_is_given_back() {
    let regex = Regex::compile("[a-z]{1,500}x$", false).unwrap();
    let used = crate::budget::used(Share::Caches);
    let found = regex.is_match(&"a".repeat(1000), &Effort::new(10_000_000));
    assert_eq!(found, Ok(false));
    assert_eq!(crate::budget::used(Share::Caches), used);
}

#[test]
fn what_is_forgotten_is_given_back() {
    let regex = Regex::compile("[ab]*a[ab]{12}x", false).unwrap();
    let mut random = Random(3);
    let text: String = (0..600).map(|_| random.of(&["a", "b"])).collect();
    let mut least = usize::MAX;
    for length in 400..600 {
        let Machine::Own(program, _) = &regex.0.machine else {
            panic!("it has few letters");
        };
        let mut memory = Memory::of(20_000);
        let effort = Effort::new(1_000_000);
        let found = memory.search(
            program,
            &regex.0.anchors,
            text.get(..length).unwrap(),
            &effort,
        );
        assert_eq!(found, Ok(false));
        let (bytes, taken) = (memory.bytes(), memory.taken());
        assert!(taken <= bytes, "{length}: {taken} taken, {bytes} counted");
        least = least.min(bytes);
    }
    assert!(least < 2000, "{least}");
}

/// The law of [`finds_what_the_regex_crate_finds`] where everything is forgotten again and again.
#[test]
fn forgetting_changes_nothing() {
    let mut random = Random(11);
    let mut found = 0;
    for round in 0..3000 {
        let written = pattern(&mut random, 5);
        let (Ok(theirs), Ok(ours)) = (
            ::regex::Regex::new(&written),
            Regex::compile(&written, false),
        ) else {
            continue;
        };
        let Machine::Own(program, _) = &ours.0.machine else {
            panic!("{written}: it has few letters");
        };
        // From none at all to some sets at a time; the memory goes on to the next text.
        let mut memory = Memory::of((round % 8) * 150);
        for _ in 0..20 {
            let length = random.below(12);
            let text: String = (0..length).map(|_| random.of(TEXTS)).collect();
            let effort = Effort::new(1_000_000);
            let is = memory.search(program, &ours.0.anchors, &text, &effort);
            let expected = theirs.is_match(&text);
            assert_eq!(is, Ok(expected), "{written:?} {text:?} {round}");
            found += usize::from(expected);
        }
    }
    assert!(found > 10_000, "{found}");
}

#[test]
fn a_class_of_all_letters_is_small() {
    let regex = Regex::compile(r"^[\w ,.-]{1,66}$|x1-1", false).unwrap();
    assert!(regex.bytes() < 16 << 10, "{}", regex.bytes());
    assert_eq!(
        Regex::compile("(?:a{1000}){1000}", false).unwrap_err(),
        Error::TooLarge
    );
    assert_eq!(Regex::compile("(", false).unwrap_err(), Error::Syntax);
}
