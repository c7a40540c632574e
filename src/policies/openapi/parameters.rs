//! From declared parameters to sets that judge.

use super::document::DeclaredParameter as Declared;
use super::forms::DeclaredForm;
use crate::parameters::{
    Parameter, ParameterLocation, ParameterSet, Parameters, Style, Undeclared,
};
use portcullis_document::Node;
use portcullis_exchange::refusal::Disclosure;
use portcullis_schema::{Compiled, Formats, Handle, Notes, TypeSet};
use portcullis_wire::json::Json;

/// What is asked of all parameters of an API.
pub(super) struct ParameterRules<'c> {
    pub(super) schemas: &'c Compiled,
    /// A schema that asks nothing.
    pub(super) anything: Handle,
    pub(super) formats: Formats,
    pub(super) undeclared: Undeclared,
    pub(super) told: Disclosure,
}

/// How a parameter can be judged.
enum Reading {
    As(Style),
    /// It is known by its name alone.
    Unjudged,
    /// Not even its names are known.
    Unknown,
}

impl ParameterRules<'_> {
    /// Those in the path, and the others.
    pub(super) fn compile(
        &self,
        declared: &[Declared<'_>],
        keys: &[Declared<'_>],
        notes: &mut Notes,
    ) -> (ParameterSet, Parameters) {
        let mut undeclared = self.undeclared;
        let mut sets = [
            ParameterLocation::Path,
            ParameterLocation::Query,
            ParameterLocation::Headers,
        ]
        .map(|part| (part, Vec::new()));
        let is_declared = |key: &&Declared<'_>| {
            let mut declared = declared.iter();
            declared.any(|each| each.is_for(key.name, key.place))
        };
        let keys = keys.iter().filter(|key| !is_declared(key));
        for parameter in declared.iter().chain(keys) {
            let part = match parameter.place {
                "path" => ParameterLocation::Path,
                "query" => ParameterLocation::Query,
                "header" => ParameterLocation::Headers,
                _ => {
                    notes.add("parameters in cookies are not judged", &parameter.node);
                    continue;
                }
            };
            let Some(compiled) = self.parameter(parameter, part, notes) else {
                if part == ParameterLocation::Query {
                    undeclared = Undeclared::Pass;
                }
                continue;
            };
            if let Some((_, set)) = sets.iter_mut().find(|(each, _)| *each == part) {
                set.push(compiled);
            }
        }
        let [path, query, headers] = sets.map(|(part, set)| ParameterSet::new(part, set));
        let others = Parameters {
            query: Some(query),
            undeclared,
            path: None,
            headers: Some(headers),
            told: self.told,
        };
        (path, others)
    }

    /// The fields of a form, and whether all of its fields are known.
    pub(super) fn fields(
        &self,
        form: &DeclaredForm<'_>,
        notes: &mut Notes,
    ) -> (ParameterSet, bool) {
        let mut known = true;
        let mut fields = Vec::new();
        for (declared, required) in &form.fields {
            match self.parameter(declared, ParameterLocation::Form, notes) {
                Some(mut field) => {
                    field.required = *required;
                    fields.push(field);
                }
                None => known = false,
            }
        }
        (ParameterSet::new(ParameterLocation::Form, fields), known)
    }

    fn parameter(
        &self,
        declared: &Declared<'_>,
        part: ParameterLocation,
        notes: &mut Notes,
    ) -> Option<Parameter> {
        let handle = declared.schema.unwrap_or(self.anything);
        let schema = self.schemas.schema(handle, self.formats);
        let kinds = schema.kinds();
        let is = |name: &str| declared.flag(name) == Some(true);
        let reading = declared.reading(part, kinds, schema.items_kinds());
        if !matches!(reading, Reading::As(_)) {
            notes.add(
                "parameters and fields of this style or type are not judged",
                &declared.node,
            );
        }
        let (style, schema) = match reading {
            Reading::As(style) => (style, schema),
            Reading::Unjudged => {
                let anything = self.schemas.schema(self.anything, self.formats);
                (Style::Repeated, anything)
            }
            Reading::Unknown => return None,
        };
        let name = match part {
            ParameterLocation::Headers => declared.name.to_ascii_lowercase(),
            _ => declared.name.to_owned(),
        };
        let place = declared.node.pointer().clone();
        let mut parameter = Parameter::new(&name, style, schema, place);
        parameter.required = part == ParameterLocation::Path || is("required");
        parameter.allow_empty = is("allowEmptyValue");
        Some(parameter)
    }
}

impl Declared<'_> {
    fn flag(&self, name: &str) -> Option<bool> {
        match self.style_node().member(name)?.json() {
            Json::Bool(value) => Some(*value),
            _ => None,
        }
    }

    fn style_node(&self) -> &Node<'_> {
        self.encoding.as_ref().unwrap_or(&self.node)
    }

    fn reading(&self, part: ParameterLocation, kinds: TypeSet, items: TypeSet) -> Reading {
        if self.is_json {
            return Reading::As(Style::Json);
        }
        let style = self.style_node().member("style");
        let style = style.as_ref().and_then(|style| style.json().as_str());
        let explode = self
            .flag("explode")
            .unwrap_or(matches!(style, None | Some("form")));
        let is_one = kinds.is_every() || !(kinds.array() || kinds.object());
        let lists = kinds.array() && !(kinds.object() || kinds.text() || kinds.number());
        // An item that is no text itself would be JSON, or written as nobody has said.
        let is_list = lists && (items.text() || items.number() || items.boolean());
        if self.place == "multipart" {
            return match (is_one, is_list) {
                (true, _) => Reading::As(Style::Single),
                (_, true) => Reading::As(Style::Repeated),
                // Without a media type of its own, an object is JSON.
                _ if !lists && !kinds.text() => Reading::As(Style::Json),
                _ => Reading::Unjudged,
            };
        }
        let separator = match (part, style) {
            (ParameterLocation::Query | ParameterLocation::Form, None | Some("form")) => ',',
            (ParameterLocation::Query | ParameterLocation::Form, Some("spaceDelimited")) => ' ',
            (ParameterLocation::Query | ParameterLocation::Form, Some("pipeDelimited")) => '|',
            (ParameterLocation::Path | ParameterLocation::Headers, None | Some("simple")) => ',',
            (ParameterLocation::Query | ParameterLocation::Form, _) => return Reading::Unknown,
            _ => return Reading::Unjudged,
        };
        let repeats = matches!(part, ParameterLocation::Query | ParameterLocation::Form) && explode;
        match (is_one, is_list) {
            (true, _) => Reading::As(Style::Single),
            (_, true) if repeats => Reading::As(Style::Repeated),
            (_, true) => Reading::As(Style::Separated(separator)),
            // Each of its members is a parameter then.
            _ if repeats && kinds.object() => Reading::Unknown,
            _ => Reading::Unjudged,
        }
    }
}
