//! `required`, `minProperties`, `maxProperties`, `dependentRequired`, `propertyNames`, and draft
//! 7's `dependencies`.

use std::borrow::Cow;

use super::combine::DependentSchemas;
use crate::check::{At, Check, SchemaId, Seen};
use crate::cursor::SchemaCursor;
use crate::rule::{Keyword, Outcome};
use crate::value::{Members, Value};
use crate::walk::Demand;
use portcullis_wire::json::Json;

struct Required(Vec<String>);

struct MemberCount {
    least: usize,
    most: usize,
}

/// Names, each with the names that must be there beside it.
struct DependentRequired(Vec<(String, Vec<String>)>);

struct PropertyNames(SchemaId);

/// Draft 7 has one keyword for two.
struct Dependencies {
    required: DependentRequired,
    schemas: DependentSchemas,
}

impl Keyword for Required {
    fn check(&self, check: &mut Check<'_>, value: &Value<'_>, _: At<'_>, _: &mut Seen) -> Outcome {
        let Value::Object(members) = value else {
            return Outcome::Holds;
        };
        check.spend_on(self.0.len(), members.search_steps());
        Outcome::of(has_all(members, &self.0))
    }

    fn demand(&self, demand: &mut Demand) -> bool {
        demand.required(&self.0)
    }
}

impl Keyword for MemberCount {
    fn check(&self, _: &mut Check<'_>, value: &Value<'_>, _: At<'_>, _: &mut Seen) -> Outcome {
        let Value::Object(members) = value else {
            return Outcome::Holds;
        };
        Outcome::of((self.least..=self.most).contains(&members.len()))
    }

    fn demand(&self, demand: &mut Demand) -> bool {
        demand.member_count(self.least, self.most)
    }
}

impl Keyword for DependentRequired {
    fn check(&self, check: &mut Check<'_>, value: &Value<'_>, _: At<'_>, _: &mut Seen) -> Outcome {
        let Value::Object(members) = value else {
            return Outcome::Holds;
        };
        let names = |(_, needed): &(String, Vec<String>)| needed.len().saturating_add(1);
        let names = self.0.iter().map(names).fold(0, usize::saturating_add);
        check.spend_on(names, members.search_steps());
        let holds =
            |(name, needed): &(String, Vec<String>)| !members.has(name) || has_all(members, needed);
        Outcome::of(self.0.iter().all(holds))
    }
}

impl Keyword for PropertyNames {
    fn check(&self, check: &mut Check<'_>, value: &Value<'_>, at: At<'_>, _: &mut Seen) -> Outcome {
        let Value::Object(members) = value else {
            return Outcome::Holds;
        };
        check.spend_on(members.len(), 4);
        let mut holds = true;
        for (name, _) in members.iter() {
            let place = at.member(name);
            let name = Value::String(Cow::Borrowed(name));
            holds &= check.schema(self.0, &name, at.to(&place), &mut Seen::Off);
            if !holds && check.is_settled(at) {
                break;
            }
        }
        Outcome::within(holds)
    }
}

impl Keyword for Dependencies {
    fn check(
        &self,
        check: &mut Check<'_>,
        value: &Value<'_>,
        at: At<'_>,
        seen: &mut Seen,
    ) -> Outcome {
        match self.required.check(check, value, at, seen) {
            Outcome::Holds => self.schemas.check(check, value, at, seen),
            outcome => outcome,
        }
    }
}

fn has_all(members: &Members<'_>, names: &[String]) -> bool {
    names.iter().all(|name| members.has(name))
}

pub(super) fn compile_required(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    let place = subject.place("required");
    let mut names = subject.names(subject.value, place)?;
    // OpenAPI: `required` has an effect in one direction alone for what goes in one.
    if let Some(annotation) = subject.compiler.not_required {
        let properties = subject
            .object
            .member("properties")
            .and_then(Json::as_object);
        let is_marked = |name: &String| {
            let property = properties.and_then(|properties| properties.member(name));
            let property = property.and_then(Json::as_object);
            property.and_then(|property| property.member(annotation)) == Some(&Json::Bool(true))
        };
        names.retain(|name| !is_marked(name));
    }
    Some(Box::new(Required(names)))
}

pub(super) fn compile_min(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    let least = subject.count("minProperties")?;
    Some(Box::new(MemberCount {
        least,
        most: usize::MAX,
    }))
}

pub(super) fn compile_max(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    let most = subject.count("maxProperties")?;
    Some(Box::new(MemberCount { least: 0, most }))
}

pub(super) fn compile_dependent_required(
    subject: &mut SchemaCursor<'_, '_>,
) -> Option<Box<dyn Keyword>> {
    let mut dependent = Vec::new();
    for (name, json, place) in subject.named("dependentRequired")? {
        dependent.push((name.to_owned(), subject.names(json, place)?));
    }
    Some(Box::new(DependentRequired(dependent)))
}

pub(super) fn compile_property_names(
    subject: &mut SchemaCursor<'_, '_>,
) -> Option<Box<dyn Keyword>> {
    let place = subject.place("propertyNames");
    let schema = subject.below("propertyNames", subject.value, place);
    Some(Box::new(PropertyNames(schema)))
}

pub(super) fn compile_dependencies(subject: &mut SchemaCursor<'_, '_>) -> Option<Box<dyn Keyword>> {
    let mut required = Vec::new();
    let mut schemas = Vec::new();
    for (name, json, place) in subject.named("dependencies")? {
        match json {
            Json::Array(_) => required.push((name.to_owned(), subject.names(json, place)?)),
            _ => schemas.push((name.to_owned(), subject.here("dependencies", json, place))),
        }
    }
    Some(Box::new(Dependencies {
        required: DependentRequired(required),
        schemas: DependentSchemas(schemas),
    }))
}
