//! Bodies that are forms: the fields and files that a schema's properties declare.

use super::document::{DeclaredParameter, Reader, is_json};
use crate::forms::FormType;
use portcullis_document::Node;
use portcullis_wire::json::{Json, Object};
use portcullis_wire::sort;

/// A form, before its schemas are compiled.
pub(super) struct DeclaredForm<'d> {
    pub(super) form_type: FormType,
    /// Each with whether it must be there.
    pub(super) fields: Vec<(DeclaredParameter<'d>, bool)>,
    pub(super) files: Vec<FileField<'d>>,
    /// What is among both and may come as either, each with whether it must come.
    pub(super) either: Vec<(&'d str, bool)>,
    /// Whether nothing else may be there.
    pub(super) closed: bool,
}

/// A file of a form.
pub(super) struct FileField<'d> {
    pub(super) node: Node<'d>,
    pub(super) name: &'d str,
    pub(super) required: bool,
    pub(super) repeated: bool,
    /// Its media types, separated by commas.
    pub(super) media_types: Option<&'d str>,
}

/// What a schema may have beside `properties` that asks nothing of a form.
const ANNOTATIONS: [&str; 14] = [
    "type",
    "properties",
    "required",
    "additionalProperties",
    "unevaluatedProperties",
    "title",
    "description",
    "default",
    "example",
    "examples",
    "deprecated",
    "externalDocs",
    "xml",
    "$comment",
];

impl<'d> Reader<'d, '_> {
    /// The form that a media type of a body declares; none if it does not say of which fields.
    pub(super) fn form(
        &mut self,
        media: &Node<'d>,
        form_type: FormType,
    ) -> Option<DeclaredForm<'d>> {
        let written = media.member("schema")?;
        let schema = self.resolve(&written)?;
        let Some(properties) = schema.member("properties") else {
            self.notes.add(
                "forms whose schema has no `properties` of its own are judged by their size alone",
                &written,
            );
            return None;
        };
        let entries = schema.members(self.problems).unwrap_or_default();
        let asks = |name: &&str| !ANNOTATIONS.contains(name) && !name.starts_with("x-");
        if entries.iter().map(|(name, _)| name).any(asks) {
            self.notes.add(
                "of the schema of a form, `properties`, `required` and `additionalProperties: false` are enforced and nothing else",
                &written,
            );
        }
        let is_false =
            |name| schema.member(name).map(|node| node.json()) == Some(&Json::Bool(false));
        let mut form = DeclaredForm {
            form_type,
            fields: Vec::new(),
            files: Vec::new(),
            either: Vec::new(),
            closed: is_false("additionalProperties") || is_false("unevaluatedProperties"),
        };
        let required = schema.member("required");
        let required = required.and_then(|list| list.items(self.problems));
        let required = required.unwrap_or_default();
        let required = required.iter().filter_map(|item| item.json().as_str());
        let required = sort::set(required);
        let encodings = media.member("encoding");
        for (name, node) in properties.members(self.problems).unwrap_or_default() {
            let encoding = encodings.as_ref().and_then(|all| all.member(name));
            let Some(property) = self.resolve(&node) else {
                continue;
            };
            let read_only = property.member("readOnly").map(|node| node.json());
            let required = required.contains(name) && read_only != Some(&Json::Bool(true));
            let media_types = encoding
                .as_ref()
                .and_then(|node| node.member("contentType"));
            let media_types = media_types.and_then(|node| node.json().as_str());
            if form_type == FormType::Multipart
                && let Some(repeated) = self.file(&property)
            {
                form.files.push(FileField {
                    node: property,
                    name,
                    required,
                    repeated,
                    media_types,
                });
                continue;
            }
            let schema = Some(self.requests.schema(&node));
            let parameter = DeclaredParameter {
                node,
                encoding,
                name,
                place: match form_type {
                    FormType::UrlEncoded => "form",
                    FormType::Multipart => "multipart",
                },
                schema,
                is_json: media_types.is_some_and(is_json),
            };
            form.fields.push((parameter, required));
        }
        if form_type == FormType::Multipart && form.files.is_empty() {
            self.texts_or_files(&mut form);
        }
        Some(form)
    }

    /// A form in parts is asked for where there is a file. Where none is declared as one, it is a
    /// string that asks for nothing more: published documents have many of these.
    fn texts_or_files(&mut self, form: &mut DeclaredForm<'d>) {
        for (field, required) in &mut form.fields {
            let Some(node) = self.resolve(&field.node) else {
                continue;
            };
            if field.is_json || !is_any_text(&node) {
                continue;
            }
            self.notes.add(
                "a string of a form that declares no file may come as a file",
                &field.node,
            );
            let encoding = field.encoding.as_ref();
            let media_types = encoding.and_then(|node| node.member("contentType"));
            form.either.push((field.name, std::mem::take(required)));
            form.files.push(FileField {
                node,
                name: field.name,
                required: false,
                repeated: false,
                media_types: media_types.and_then(|node| node.json().as_str()),
            });
        }
    }

    /// Whether a property is a file, and then whether there may be several.
    fn file(&mut self, property: &Node<'d>) -> Option<bool> {
        if is_binary(property) {
            return Some(false);
        }
        let items = self.resolve(&property.member("items")?)?;
        is_binary(&items).then_some(true)
    }
}

/// Whether a schema takes every string, and nothing else.
fn is_any_text(schema: &Node<'_>) -> bool {
    let members = schema.json().as_object().map(Object::iter);
    let mut members = members.into_iter().flatten();
    let is_text = schema.member("type").and_then(|node| node.json().as_str()) == Some("string");
    let silent = |name: &str| {
        let own = ["nullable", "readOnly", "writeOnly"].contains(&name);
        own || ANNOTATIONS.contains(&name) || name.starts_with("x-")
    };
    is_text && members.all(|(name, _)| silent(name))
}

/// Whether a value is bytes as they are: in 3.0 by its `format`, in 3.1 by its media type.
fn is_binary(schema: &Node<'_>) -> bool {
    let text = |name| schema.member(name).and_then(|node| node.json().as_str());
    let format = text("format") == Some("binary");
    format || (text("contentMediaType").is_some() && text("contentEncoding").is_none())
}
