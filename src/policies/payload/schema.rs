//! `json_schema`: what a JSON body must be like.

use super::json;
use super::refusals::{
    JSON_DEPTH, JSON_DUPLICATE_KEY, JSON_NUMBER_RANGE, JSON_SURROGATE, JSON_SYNTAX, JSON_VALUES,
    SCHEMA_EFFORT, SCHEMA_VIOLATED,
};
use portcullis_document::{DidYouMean, Fields, Node, Quoted};
use portcullis_exchange::policy::Context;
use portcullis_exchange::refusal::core::NO_MEMORY;
use portcullis_exchange::refusal::{Disclosure, Refusal};
use portcullis_schema::{Formats, Schema, Schemas, TextError, Unjudged, Unsure, Verdict};
use portcullis_wire::json::Json;
use portcullis_wire::json_gate::Limits;

/// How deep a body that is judged may nest, whatever `json` allows.
pub(super) const MAX_DEPTH: usize = 128;

/// Judges a whole body by a schema.
pub(super) struct SchemaCheck {
    schema: Schema,
    told: Disclosure,
}

impl SchemaCheck {
    /// A check by that schema.
    pub(super) fn new(schema: Schema, told: Disclosure) -> Self {
        Self { schema, told }
    }

    /// Reads `json_schema` and what belongs to it. `Some(None)` if there is none.
    pub(super) fn read(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Option<Self>> {
        let name = fields.optional("json_schema");
        let formats = fields.optional("formats");
        let patterns = fields.optional("patterns");
        let details = fields.optional("details");
        let Some(name) = name else {
            if fields.misnames(&["json_schema"], context.problems) {
                return None;
            }
            let of_none = formats.or(patterns).or(details);
            if let Some(node) = &of_none {
                node.report(context.problems, "says nothing without `json_schema`");
            }
            return of_none.is_none().then_some(None);
        };
        let told = match &details {
            None => Some(Disclosure::CodeOnly),
            Some(node) => node.choice(
                context.problems,
                &[
                    ("none", Disclosure::CodeOnly),
                    ("pointers", Disclosure::Pointers),
                ],
            ),
        };
        let schema = find(&name, formats.as_ref(), patterns.as_ref(), context);
        Some(Some(Self {
            schema: schema?,
            told: told?,
        }))
    }

    /// The schema.
    pub(super) fn schema(&self) -> &Schema {
        &self.schema
    }

    /// Judges a text, which has to pass the gate as well.
    ///
    /// # Errors
    /// Why it may not pass.
    pub(super) fn judge(&self, body: &[u8], limits: &Limits) -> Result<(), Refusal> {
        let judged = self.schema.judge_bytes(body, limits, MAX_DEPTH);
        self.settle(judged)
    }

    /// Judges a text that has passed the gate.
    ///
    /// # Errors
    /// Why it may not pass.
    pub(super) fn judge_passed(&self, body: &[u8], unsure: &Unsure) -> Result<(), Refusal> {
        let judged = self.schema.judge_passed(body, unsure, MAX_DEPTH);
        self.settle(judged.map_err(Unjudged::Text))
    }

    fn settle(&self, judged: Result<Verdict, Unjudged>) -> Result<(), Refusal> {
        let judged = judged.map_err(|error| match error {
            Unjudged::Gate(fault) => json::refusal(fault),
            Unjudged::Text(error) => unreadable(error),
        });
        match judged? {
            Verdict::Valid => Ok(()),
            Verdict::Undecided => Err(Refusal::new(&SCHEMA_EFFORT)),
            Verdict::Invalid(violations) => {
                Err(Refusal::new(&SCHEMA_VIOLATED).with_violations(violations, self.told))
            }
        }
    }
}

/// What the limits of `json` let pass and cannot be judged.
pub(super) fn unreadable(error: TextError) -> Refusal {
    let reason = match error {
        TextError::Syntax => &JSON_SYNTAX,
        TextError::LoneSurrogate => &JSON_SURROGATE,
        TextError::DuplicateMember => &JSON_DUPLICATE_KEY,
        TextError::TooDeep => &JSON_DEPTH,
        TextError::NumberRange => &JSON_NUMBER_RANGE,
        TextError::TooMany => &JSON_VALUES,
        TextError::Memory => &NO_MEMORY,
    };
    Refusal::new(reason)
}

/// The schema of that name; what `formats` and `patterns` say of it is read as well.
pub(super) fn find(
    node: &Node<'_>,
    formats: Option<&Node<'_>>,
    patterns: Option<&Node<'_>>,
    context: &mut Context<'_>,
) -> Option<Schema> {
    if let Json::Object(_) = node.json() {
        let reason = "must be the name of a schema, not the schema; give it a name in `schemas`, beside `version`";
        node.report(context.problems, reason);
        return None;
    }
    let name = node.non_empty(context.problems);
    let said = formats.map_or(Some(Formats::Annotate), |node| {
        let choices = [("annotate", Formats::Annotate), ("assert", Formats::Assert)];
        node.choice(context.problems, &choices)
    });
    let skips = patterns.map_or(Some(false), |node| {
        let choices = [("strict", false), ("skip_unsupported", true)];
        node.choice(context.problems, &choices)
    });
    let (name, said, skips) = (name?, said?, skips?);
    let schemas = context.sections.get::<Schemas>();
    let Some(schema) = schemas.named(name, said) else {
        let near = DidYouMean(name, schemas.names());
        let reason = format_args!("no schema is named {}{near}", Quoted(name)).to_string();
        node.report(context.problems, reason);
        return None;
    };
    let unknown = schemas.unknown_format(name);
    if let (Formats::Assert, Some((place, format)), Some(node)) = (said, unknown, formats) {
        let format = Quoted(format);
        let reason = format_args!("cannot be asserted: {place} names {format}, which is not known")
            .to_string();
        node.report(context.problems, reason);
        return None;
    }
    let place = Some(node.pointer());
    let complete = skips || schemas.has_all_patterns(name, place, context.problems);
    schema.filter(|_| complete)
}
