//! `prefixItems`, `items`, draft 7's `items` and `additionalItems`; `minItems`, `maxItems`,
//! `uniqueItems`.

use crate::check::{At, Check, SchemaId, Seen, Set};
use crate::cursor::SchemaCursor;
use crate::dialect::Dialect;
use crate::rule::{Keyword, Outcome};
use crate::value::Value;
use crate::walk::Demand;
use portcullis_wire::json::Json;
use portcullis_wire::sort::sort;

struct Items {
    first: Vec<SchemaId>,
    rest: Option<SchemaId>,
}

struct ItemCount {
    least: usize,
    most: usize,
}

struct Unique;

impl Keyword for Items {
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
            let Some(id) = self.first.get(index).copied().or(self.rest) else {
                break;
            };
            let place = at.item(index);
            holds &= check.schema(id, item, at.to(&place), &mut Seen::Off);
            seen.mark(index);
            if !holds && check.is_settled(at) {
                break;
            }
        }
        Outcome::within(holds)
    }

    fn items(&self, _: &Set, _: usize) -> Option<SchemaId> {
        self.rest.filter(|_| self.first.is_empty())
    }

    fn demand(&self, demand: &mut Demand) -> bool {
        self.first.is_empty() && demand.items(self.rest)
    }
}

impl Keyword for ItemCount {
    fn check(&self, _: &mut Check<'_>, value: &Value<'_>, _: At<'_>, _: &mut Seen) -> Outcome {
        let Value::Array(items) = value else {
            return Outcome::Holds;
        };
        Outcome::of((self.least..=self.most).contains(&items.len()))
    }

    fn demand(&self, demand: &mut Demand) -> bool {
        demand.item_count(self.least, self.most)
    }
}

impl Keyword for Unique {
    fn check(&self, check: &mut Check<'_>, value: &Value<'_>, _: At<'_>, _: &mut Seen) -> Outcome {
        let Value::Array(items) = value else {
            return Outcome::Holds;
        };
        if items.len() < 2 {
            return Outcome::Holds;
        }
        // Sorted, so that a long list costs little more than its length. Each item is compared with
        // others some times the logarithm of their number.
        let rounds = items.len().ilog2().saturating_add(2);
        let size: u64 = items.iter().map(Value::size).fold(0, u64::saturating_add);
        check.spend(size.saturating_mul(u64::from(rounds)).saturating_mul(3));
        if check.is_exhausted() {
            return Outcome::Fails;
        }
        let mut sorted: Vec<&Value<'_>> = items.iter().collect();
        sort(&mut sorted, |one, other| one.cmp(other));
        let twice = |pair: &[&Value<'_>]| matches!(pair, [one, other] if one == other);
        Outcome::of(!sorted.windows(2).any(twice))
    }
}

pub(super) fn compile(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    if !subject.leads(&["prefixItems", "items"]) {
        return None;
    }
    if subject.dialect == Dialect::Draft7 {
        return compile_draft7(subject);
    }
    let mut first = Vec::new();
    if let Some(list) = subject.sibling("prefixItems") {
        first = list_below(subject, "prefixItems", list)?;
    }
    let rest = subject.sibling("items");
    if let Some(Json::Array(_)) = rest {
        let place = subject.place("items");
        subject.report_at(
            place,
            "must be a schema; a list of them is `prefixItems` now",
        );
        return None;
    }
    let rest = rest.map(|json| {
        let place = subject.place("items");
        subject.below("items", json, place)
    });
    Some(Box::new(Items { first, rest }))
}

fn compile_draft7(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    let items = subject.value;
    if !matches!(items, Json::Array(_)) {
        let place = subject.place("items");
        let rest = Some(subject.below("items", items, place));
        let first = Vec::new();
        return Some(Box::new(Items { first, rest }));
    }
    let first = list_below(subject, "items", items)?;
    let rest = subject.sibling("additionalItems").map(|json| {
        let place = subject.place("additionalItems");
        subject.below("additionalItems", json, place)
    });
    Some(Box::new(Items { first, rest }))
}

fn list_below<'d>(
    subject: &mut SchemaCursor<'_, 'd>,
    keyword: &'static str,
    list: &'d Json,
) -> Option<Vec<SchemaId>> {
    let place = subject.place(keyword);
    let Json::Array(items) = list else {
        subject.report_at(place, "must be an array of schemas");
        return None;
    };
    let items = items.iter().enumerate();
    let ids = items.map(|(index, item)| subject.below(keyword, item, place.item(index)));
    Some(ids.collect())
}

pub(super) fn compile_min(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    let least = subject.count("minItems")?;
    Some(Box::new(ItemCount {
        least,
        most: usize::MAX,
    }))
}

pub(super) fn compile_max(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    let most = subject.count("maxItems")?;
    Some(Box::new(ItemCount { least: 0, most }))
}

pub(super) fn compile_unique(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    match subject.value {
        Json::Bool(true) => Some(Box::new(Unique)),
        Json::Bool(false) => None,
        _ => {
            subject.report("must be true or false");
            None
        }
    }
}
