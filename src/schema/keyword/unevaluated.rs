//! `unevaluatedItems` and `unevaluatedProperties`.

use crate::check::{At, Check, SchemaId, Seen};
use crate::cursor::SchemaCursor;
use crate::rule::{Keyword, Outcome};
use crate::value::Value;

struct UnevaluatedItems(SchemaId);

struct UnevaluatedProperties(SchemaId);

impl Keyword for UnevaluatedItems {
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
        let mut holds = true;
        for (index, item) in items.iter().enumerate() {
            if seen.has(index) {
                continue;
            }
            let place = at.item(index);
            holds &= check.schema(self.0, item, at.to(&place), &mut Seen::Off);
            seen.mark(index);
            if !holds && check.is_settled(at) {
                break;
            }
        }
        Outcome::within(holds)
    }
}

impl Keyword for UnevaluatedProperties {
    fn check(
        &self,
        check: &mut Check<'_>,
        value: &Value<'_>,
        at: At<'_>,
        seen: &mut Seen,
    ) -> Outcome {
        let Value::Object(members) = value else {
            return Outcome::Holds;
        };
        let mut holds = true;
        for (index, (name, member)) in members.iter().enumerate() {
            if seen.has(index) {
                continue;
            }
            let place = at.member(name);
            holds &= check.schema(self.0, member, at.to(&place), &mut Seen::Off);
            seen.mark(index);
            if !holds && check.is_settled(at) {
                break;
            }
        }
        Outcome::within(holds)
    }
}

pub(super) fn compile_items(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    let place = subject.place("unevaluatedItems");
    let schema = subject.below("unevaluatedItems", subject.value, place);
    Some(Box::new(UnevaluatedItems(schema)))
}

pub(super) fn compile_properties(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    let place = subject.place("unevaluatedProperties");
    let schema = subject.below("unevaluatedProperties", subject.value, place);
    Some(Box::new(UnevaluatedProperties(schema)))
}
