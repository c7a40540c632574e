//! `contains`, with `minContains` and `maxContains`.

use crate::check::{At, Check, SchemaId, Seen};
use crate::cursor::SchemaCursor;
use crate::rule::{Keyword, Outcome};
use crate::value::Value;

struct Contains {
    schema: SchemaId,
    least: usize,
    most: usize,
}

impl Keyword for Contains {
    fn check(
        &self,
        check: &mut Check<'_>,
        value: &Value<'_>,
        at: At<'_>,
        seen: &mut Seen,
    ) -> Outcome {
        let Value::Array(items) = value else {
            return Outcome::Holds;
        };
        let at = at.quietly();
        let all = seen.is_on() || self.most != usize::MAX;
        let mut found: usize = 0;
        for (index, item) in items.iter().enumerate() {
            if check.is_exhausted() || (!all && found >= self.least) {
                break;
            }
            let place = at.item(index);
            if check.schema(self.schema, item, at.to(&place), &mut Seen::Off) {
                found = found.saturating_add(1);
                seen.mark(index);
            }
        }
        Outcome::of((self.least..=self.most).contains(&found))
    }
}

pub(super) fn compile(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    let place = subject.place("contains");
    let schema = subject.below("contains", subject.value, place);
    let least = match subject.sibling("minContains") {
        None => 1,
        Some(_) => subject.count("minContains")?,
    };
    let most = match subject.sibling("maxContains") {
        None => usize::MAX,
        Some(_) => subject.count("maxContains")?,
    };
    Some(Box::new(Contains {
        schema,
        least,
        most,
    }))
}
