//! What a document has the filter write, with places that a request fills: header fields, and where a redirect
//! leads.

mod fields;
mod template;

pub(super) use self::fields::{FieldRules, RuleSet, alike};
pub(super) use self::template::{Filled, Filling, ValueTemplate, ValueUse};
