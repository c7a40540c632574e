//! `properties`, `patternProperties`, `additionalProperties`: one pass over the members.

use portcullis_wire::regex::Regex;

use crate::check::{At, Check, SchemaId, Seen};
use crate::cost::MEMBER_STEPS;
use crate::cursor::SchemaCursor;
use crate::rule::{Keyword, Outcome};
use crate::value::{Value, by_length};
use crate::walk::Demand;
use portcullis_wire::sort::sort;

struct Properties {
    /// In the order of members.
    named: Vec<(String, SchemaId)>,
    patterns: Vec<(Regex, SchemaId)>,
    additional: Option<SchemaId>,
    /// Whether there is a pattern that cannot be had: any name may fit it.
    open: bool,
}

impl Keyword for Properties {
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
        check.spend_on(members.len(), MEMBER_STEPS);
        let mut holds = true;
        // Both are in order, so what was passed is not looked at again.
        let mut named = self.named.as_slice();
        for (index, (name, member)) in members.iter().enumerate() {
            let place = at.member(name);
            let at = at.to(&place);
            let mut judged = false;
            let found = named.binary_search_by(|(each, _)| by_length(each, name));
            let (Ok(next) | Err(next)) = found;
            named = named.get(next..).unwrap_or_default();
            if let (Ok(_), Some((_, id))) = (found, named.first()) {
                judged = true;
                holds &= check.schema(*id, member, at, &mut Seen::Off);
            }
            for (pattern, id) in &self.patterns {
                if check.finds(pattern, name) {
                    judged = true;
                    holds &= check.schema(*id, member, at, &mut Seen::Off);
                }
            }
            if let (false, Some(id)) = (judged, self.additional) {
                judged = true;
                holds &= check.schema(id, member, at, &mut Seen::Off);
            }
            if judged || self.open {
                seen.mark(index);
            }
            if check.is_exhausted() || (!holds && check.is_settled(at)) {
                break;
            }
        }
        Outcome::within(holds)
    }

    fn demand(&self, demand: &mut Demand) -> bool {
        self.patterns.is_empty() && !self.open && demand.properties(&self.named, self.additional)
    }
}

pub(super) fn compile(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    if !subject.leads(&["properties", "patternProperties", "additionalProperties"]) {
        return None;
    }
    let mut named = Vec::new();
    for (name, json, place) in subject.named("properties")? {
        named.push((name.to_owned(), subject.below("properties", json, place)));
    }
    sort(&mut named, |one, other| by_length(&one.0, &other.0));
    let mut patterns = Vec::new();
    let mut open = false;
    if subject.sibling("patternProperties").is_some() {
        for (pattern, json, place) in subject.named("patternProperties")? {
            let regex = subject.regex(pattern, place.clone());
            let id = subject.below("patternProperties", json, place);
            match regex {
                Some(regex) => patterns.push((regex, id)),
                None => open = true,
            }
        }
    }
    let additional = subject.sibling("additionalProperties").map(|json| {
        let place = subject.place("additionalProperties");
        subject.below("additionalProperties", json, place)
    });
    Some(Box::new(Properties {
        named,
        patterns,
        additional: additional.filter(|_| !open),
        open,
    }))
}
