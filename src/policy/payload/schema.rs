//! `json_schema`: what a JSON body must be like.

use super::refusals::{MALFORMED, SCHEMA, STRUCTURE};
use crate::config::{DidYouMean, Fields, Node, Quoted};
use crate::json_gate::Shape;
use crate::policy::Context;
use crate::refusal::{Refusal, Told};
use crate::schema::{Formats, Schema, Text, TextError, Verdict};
use crate::stream::UNAVAILABLE;

/// How deep a body that is judged may nest, whatever `json` allows.
pub(super) const MAX_DEPTH: usize = 128;

/// Judges a whole body by a schema.
pub(super) struct SchemaCheck {
    schema: Schema,
    told: Told,
}

impl SchemaCheck {
    /// A check by that schema.
    pub(super) fn new(schema: Schema, told: Told) -> Self {
        Self { schema, told }
    }

    /// Reads `json_schema` and what belongs to it. `Some(None)` if there is none.
    pub(super) fn read(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Option<Self>> {
        let name = fields.optional("json_schema");
        let formats = fields.optional("formats");
        let details = fields.optional("details");
        let Some(name) = name else {
            if fields.misnames(&["json_schema"], context.problems) {
                return None;
            }
            let of_none = formats.or(details);
            if let Some(node) = &of_none {
                node.report(context.problems, "says nothing without `json_schema`");
            }
            return of_none.is_none().then_some(None);
        };
        let formats = match &formats {
            None => Some(Formats::Annotate),
            Some(node) => read_formats(node, context),
        };
        let told = match &details {
            None => Some(Told::Class),
            Some(node) => node.choice(
                context.problems,
                &[("none", Told::Class), ("pointers", Told::Pointers)],
            ),
        };
        let schema = find(&name, formats.unwrap_or(Formats::Annotate), context);
        formats?;
        Some(Some(Self {
            schema: schema?,
            told: told?,
        }))
    }

    /// Judges a JSON text of that shape.
    ///
    /// # Errors
    /// Why it may not pass.
    pub(super) fn judge(&self, body: &[u8], shape: &Shape) -> Result<(), Refusal> {
        let text = Text::read(body, shape, MAX_DEPTH).map_err(unreadable)?;
        match self.schema.judge(&text) {
            Verdict::Valid => Ok(()),
            Verdict::Undecided => Err(Refusal::new(&SCHEMA, "effort")),
            Verdict::Invalid(violations) => {
                Err(Refusal::new(&SCHEMA, "schema").with_violations(violations, self.told))
            }
        }
    }
}

/// What the limits of `json` let pass and cannot be judged.
pub(super) fn unreadable(error: TextError) -> Refusal {
    let (code, reason) = match error {
        TextError::Syntax => (&MALFORMED, "json_syntax"),
        TextError::LoneSurrogate => (&MALFORMED, "json_surrogate"),
        TextError::DuplicateMember => (&STRUCTURE, "json_duplicate_key"),
        TextError::TooDeep => (&STRUCTURE, "json_depth"),
        TextError::NumberRange => (&STRUCTURE, "json_number_range"),
        TextError::TooMany => (&STRUCTURE, "json_values"),
        TextError::Memory => (&UNAVAILABLE, "memory"),
    };
    Refusal::new(code, reason)
}

pub(super) fn find(node: &Node<'_>, formats: Formats, context: &mut Context<'_>) -> Option<Schema> {
    let name = node.name(context.problems)?;
    let Some(schema) = context.schemas.named(name, formats) else {
        let near = DidYouMean(name, context.schemas.names());
        let reason = format_args!("no schema is named {}{near}", Quoted(name)).to_string();
        node.report(context.problems, reason);
        return None;
    };
    schema
}

/// Where formats are asserted, each must be known.
pub(super) fn read_formats(node: &Node<'_>, context: &mut Context<'_>) -> Option<Formats> {
    let choices = [("annotate", Formats::Annotate), ("assert", Formats::Assert)];
    let formats = node.choice(context.problems, &choices)?;
    let unknown = context.schemas.unknown_formats();
    if let (Formats::Assert, Some((place, format))) = (formats, unknown.first()) {
        let format = Quoted(format);
        let reason = format_args!("cannot be asserted: {place} names {format}, which is not known")
            .to_string();
        node.report(context.problems, reason);
        return None;
    }
    Some(formats)
}
