//! `exists`: whether something is there. Header conditions of routes have always called it
//! `present`; both words are in every language.

use super::found::Found;
use super::test::{Expected, Kinds, Test};

pub(super) const TEST: Test = Test {
    name: "exists",
    kinds: Kinds::ABSENCE,
    fault: "missing",
    read: |node, _, problems| node.boolean(problems).map(Expected::Flag),
    holds: |expected, found, _| {
        let is_there = !matches!(found, Found::Nothing);
        Ok(matches!(expected, Expected::Flag(expected) if *expected == is_there))
    },
    compare: None,
};

pub(super) const PRESENT: Test = Test {
    name: "present",
    ..TEST
};
