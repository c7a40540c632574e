//! The keywords: what each asks of a value, and which dialects know it.

mod combine;
mod contains;
mod items;
mod number;
mod object;
mod properties;
mod reference;
mod string;
mod types;
mod unevaluated;

use super::dialect::Dialect;
use super::rule::{Compile, Entry, Keywords, Meaning};

const ALL: &[Dialect] = &[
    Dialect::Draft7,
    Dialect::Draft202012,
    Dialect::OpenApi30,
    Dialect::OpenApi31,
];
const DRAFTS: &[Dialect] = &[Dialect::Draft7, Dialect::Draft202012, Dialect::OpenApi31];
const DRAFT7: &[Dialect] = &[Dialect::Draft7];
const NEW: &[Dialect] = &[Dialect::Draft202012, Dialect::OpenApi31];
const OPENAPI: &[Dialect] = &[Dialect::OpenApi30, Dialect::OpenApi31];
const OPENAPI30: &[Dialect] = &[Dialect::OpenApi30];

const fn rule(name: &'static str, dialects: &'static [Dialect], compile: Compile) -> Entry {
    Entry {
        name,
        dialects,
        meaning: Meaning::Rule(compile),
    }
}

const fn annotation(name: &'static str, dialects: &'static [Dialect]) -> Entry {
    Entry {
        name,
        dialects,
        meaning: Meaning::Annotation,
    }
}

const fn structure(name: &'static str, dialects: &'static [Dialect]) -> Entry {
    Entry {
        name,
        dialects,
        meaning: Meaning::Structure,
    }
}

/// Every keyword that this module is built with.
pub(super) const KEYWORDS: Keywords = Keywords(match cfg!(feature = "json-schema") {
    true => EVERY,
    false => &[],
});

/// Every keyword. Keywords that ask what others have looked at come last.
const EVERY: &[Entry] = &[
    rule("type", ALL, types::compile_type),
    rule("nullable", OPENAPI30, types::compile_nullable),
    rule("const", DRAFTS, types::compile_const),
    rule("enum", ALL, types::compile_enum),
    rule("minimum", ALL, number::compile_minimum),
    rule("maximum", ALL, number::compile_maximum),
    rule("exclusiveMinimum", ALL, number::compile_exclusive_minimum),
    rule("exclusiveMaximum", ALL, number::compile_exclusive_maximum),
    rule("multipleOf", ALL, number::compile_multiple_of),
    rule("minLength", ALL, string::compile_min_length),
    rule("maxLength", ALL, string::compile_max_length),
    rule("pattern", ALL, string::compile_pattern),
    rule("format", ALL, string::compile_format),
    rule("minItems", ALL, items::compile_min),
    rule("maxItems", ALL, items::compile_max),
    rule("uniqueItems", ALL, items::compile_unique),
    rule("required", ALL, object::compile_required),
    rule("minProperties", ALL, object::compile_min),
    rule("maxProperties", ALL, object::compile_max),
    rule("dependentRequired", NEW, object::compile_dependent_required),
    rule("propertyNames", DRAFTS, object::compile_property_names),
    rule("properties", ALL, properties::compile),
    rule("patternProperties", DRAFTS, properties::compile),
    rule("additionalProperties", ALL, properties::compile),
    rule("prefixItems", NEW, items::compile),
    rule("items", ALL, items::compile),
    rule("contains", DRAFTS, contains::compile),
    rule("allOf", ALL, combine::compile_all_of),
    rule("anyOf", ALL, combine::compile_any_of),
    rule("oneOf", ALL, combine::compile_one_of),
    rule("not", ALL, combine::compile_not),
    rule("if", DRAFTS, combine::compile_if),
    rule("dependencies", DRAFT7, object::compile_dependencies),
    rule("dependentSchemas", NEW, combine::compile_dependent_schemas),
    rule("$ref", ALL, reference::compile_ref),
    rule("$dynamicRef", NEW, reference::compile_dynamic_ref),
    rule("unevaluatedItems", NEW, unevaluated::compile_items),
    rule(
        "unevaluatedProperties",
        NEW,
        unevaluated::compile_properties,
    ),
    structure("then", DRAFTS),
    structure("else", DRAFTS),
    structure("additionalItems", DRAFT7),
    structure("minContains", NEW),
    structure("maxContains", NEW),
    structure("$schema", DRAFTS),
    structure("$id", DRAFTS),
    structure("$anchor", NEW),
    structure("$dynamicAnchor", NEW),
    structure("$vocabulary", NEW),
    structure("$defs", DRAFTS),
    structure("definitions", DRAFTS),
    annotation("$comment", DRAFTS),
    annotation("title", ALL),
    annotation("description", ALL),
    annotation("default", ALL),
    annotation("examples", DRAFTS),
    annotation("deprecated", ALL),
    annotation("readOnly", ALL),
    annotation("writeOnly", ALL),
    annotation("contentEncoding", DRAFTS),
    annotation("contentMediaType", DRAFTS),
    annotation("contentSchema", NEW),
    annotation("discriminator", OPENAPI),
    annotation("xml", OPENAPI),
    annotation("externalDocs", OPENAPI),
    annotation("example", OPENAPI),
];
