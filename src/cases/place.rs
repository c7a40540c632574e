//! Places of a file as people count them.

use std::ops::Range;

/// A file's name and text.
pub struct Source {
    pub name: String,
    pub text: String,
}

/// Where something stands, from 1 on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    pub line: usize,
    /// In characters.
    pub column: usize,
}

impl Source {
    pub fn position(&self, at: usize) -> Position {
        let before = self.text.get(..at).unwrap_or(&self.text);
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let line = before.matches('\n').count() + 1;
        let column = before.get(start..).map_or(0, |line| line.chars().count()) + 1;
        Position { line, column }
    }

    /// The line that a place is in, without its end.
    pub fn line(&self, at: usize) -> &str {
        let before = self.text.get(..at).unwrap_or(&self.text);
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let rest = self.text.get(start..).unwrap_or_default();
        rest.lines().next().unwrap_or_default()
    }

    /// How many characters of its first line a range has: one at least.
    pub fn width(&self, at: &Range<usize>) -> usize {
        let shown = self.text.get(at.clone()).unwrap_or_default();
        let first = shown.lines().next().unwrap_or_default();
        first.chars().count().max(1)
    }
}
