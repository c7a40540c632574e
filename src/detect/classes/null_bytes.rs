//! NUL: what follows it is not there for readers in C, and is for others.

use super::Words;
use crate::{Evidence, Spot};

pub(super) const WORDS: &[Words] = &[Words {
    list: "\0",
    verify: null_byte,
}];

fn null_byte(_: &Spot<'_>) -> Option<Evidence> {
    Some(Evidence::new("null byte", Evidence::SURE))
}

#[cfg(test)]
mod tests {
    use crate::Class;
    use crate::detector::found;

    #[test]
    fn one_is_enough() {
        assert_eq!(found("a.php\0.png"), [(Class::NullBytes, "null byte", 100)]);
        assert_eq!(found("a.php.png 0"), []);
    }
}
