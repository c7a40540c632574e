//! How much there is in a text: what a tree of its values will take is known before it is built.

use super::list::List;
use super::{Fault, Kind, Limits, MemberName, Text, Watch, Written, watch};

/// What is in a text that has passed.
#[derive(Debug, Default)]
pub struct Shape {
    /// How many values.
    pub values: usize,
    /// How many of them are members of objects.
    pub members: usize,
    /// How many bytes of strings and numbers cannot be read where they stand.
    pub apart_bytes: usize,
    /// In how many pieces.
    pub apart: usize,
    /// How many values each array and object has that is not empty, in the order in which they
    /// begin.
    lengths: List<u32>,
}

/// A number of more digits may not fit into a word.
const LONGEST_IN_PLACE: usize = 19;

/// Judges one JSON text, as [`super::check`], and says how much there is in it.
///
/// # Errors
/// The first [`Fault`].
pub fn measure(text: &[u8], limits: &Limits) -> Result<Shape, Fault> {
    let mut shape = Shape::default();
    watch(text, limits, &mut shape)?;
    Ok(shape.whole())
}

impl Shape {
    /// When all of a text has been seen: the value that holds all others is in none.
    #[must_use]
    pub fn whole(mut self) -> Self {
        self.values = self.values.saturating_add(1);
        self
    }

    /// See [`Shape::lengths`].
    pub fn lengths(&self) -> &[u32] {
        self.lengths.as_slice()
    }

    fn apart(&mut self, bytes: usize) {
        self.apart = self.apart.saturating_add(1);
        self.apart_bytes = self.apart_bytes.saturating_add(bytes);
    }
}

impl<'t> Watch<'t> for Shape {
    #[inline]
    fn name(&mut self, name: MemberName<'t>) {
        self.string(name.text);
    }

    #[inline]
    fn string(&mut self, text: Text<'t>) {
        if text.plain().is_none() {
            self.apart(text.raw().len());
        }
    }

    #[inline]
    fn number(&mut self, Written { written, .. }: Written<'t>) {
        if written.len() > LONGEST_IN_PLACE {
            // Its digits are gathered, and then put where they are kept.
            self.apart(written.len().saturating_mul(2));
        }
    }

    #[inline]
    fn begins(&mut self, _: Kind) -> Result<usize, Fault> {
        let place = self.lengths.len();
        self.lengths.push(0)?;
        Ok(place)
    }

    #[inline]
    fn ends(&mut self, place: usize, length: usize, kind: Kind) {
        self.values = self.values.saturating_add(length);
        if kind == Kind::Object {
            self.members = self.members.saturating_add(length);
        }
        if let Some(written) = self.lengths.get_mut(place) {
            *written = u32::try_from(length).unwrap_or(u32::MAX);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_is_there() {
        let shape = |text: &str| measure(text.as_bytes(), &Limits::GENEROUS).unwrap();
        let counted = |text| {
            let shape = shape(text);
            (shape.values, shape.members, shape.lengths().to_vec())
        };
        assert_eq!(counted("1"), (1, 0, vec![]));
        assert_eq!(counted("[[],{}]"), (3, 0, vec![2]));
        assert_eq!(
            counted(r#"{"a":[1,2,{"b":[3]}],"c":{}}"#),
            (8, 3, vec![2, 3, 1, 1])
        );
        let apart = |text| {
            let shape = shape(text);
            (shape.apart, shape.apart_bytes)
        };
        assert_eq!(apart(r#"{"a":"b","\n":"\u0041"}"#), (2, 8));
        assert_eq!(apart("[1234567890123456789,12345678901234567890]"), (1, 40));
    }
}
