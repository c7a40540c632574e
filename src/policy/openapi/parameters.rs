//! From declared parameters to sets that judge.

use super::document::Parameter as Declared;
use super::notes::Notes;
use crate::json::Json;
use crate::policy::parameters::{Parameter, ParameterSet, Parameters, Part, Style, Undeclared};
use crate::refusal::Told;
use crate::schema::{Compiled, Formats, Handle, Kinds};

/// What is asked of all parameters of an API.
pub(super) struct Rules<'c> {
    pub(super) schemas: &'c Compiled,
    /// A schema that asks nothing.
    pub(super) anything: Handle,
    pub(super) formats: Formats,
    pub(super) undeclared: Undeclared,
    pub(super) told: Told,
}

/// How a parameter can be judged.
enum Reading {
    As(Style),
    /// It is known by its name alone.
    Unjudged,
    /// Not even its names are known.
    Unknown,
}

impl Rules<'_> {
    /// Those in the path, and the others.
    pub(super) fn compile(
        &self,
        declared: &[Declared<'_>],
        keys: &[Declared<'_>],
        notes: &mut Notes,
    ) -> (ParameterSet, Parameters) {
        let mut undeclared = self.undeclared;
        let mut sets = [Part::Path, Part::Query, Part::Headers].map(|part| (part, Vec::new()));
        let is_declared = |key: &&Declared<'_>| {
            let mut declared = declared.iter();
            declared.any(|each| (each.name, each.place) == (key.name, key.place))
        };
        let keys = keys.iter().filter(|key| !is_declared(key));
        for parameter in declared.iter().chain(keys) {
            let part = match parameter.place {
                "path" => Part::Path,
                "query" => Part::Query,
                "header" => Part::Headers,
                _ => {
                    notes.add("parameters in cookies are not judged", &parameter.node);
                    continue;
                }
            };
            let Some(compiled) = self.parameter(parameter, part, notes) else {
                if part == Part::Query {
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

    fn parameter(
        &self,
        declared: &Declared<'_>,
        part: Part,
        notes: &mut Notes,
    ) -> Option<Parameter> {
        let handle = declared.schema.unwrap_or(self.anything);
        let schema = self.schemas.schema(handle, self.formats);
        let kinds = schema.kinds();
        let is = |name: &str| declared.flag(name) == Some(true);
        let reading = declared.reading(part, kinds);
        if !matches!(reading, Reading::As(_)) {
            notes.add(
                "parameters of this style or type are not judged",
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
            Part::Headers => declared.name.to_ascii_lowercase(),
            _ => declared.name.to_owned(),
        };
        let place = declared.node.pointer().clone();
        let mut parameter = Parameter::new(&name, style, schema, place);
        parameter.required = part == Part::Path || is("required");
        parameter.allow_empty = is("allowEmptyValue");
        Some(parameter)
    }
}

impl Declared<'_> {
    fn flag(&self, name: &str) -> Option<bool> {
        match self.node.member(name)?.json() {
            Json::Bool(value) => Some(*value),
            _ => None,
        }
    }

    fn reading(&self, part: Part, kinds: Kinds) -> Reading {
        if self.is_json {
            return Reading::As(Style::Json);
        }
        let style = self.node.member("style");
        let style = style.as_ref().and_then(|style| style.json().as_str());
        let explode = self
            .flag("explode")
            .unwrap_or(matches!(style, None | Some("form")));
        let is_one = kinds.is_every() || !(kinds.array() || kinds.object());
        let is_list = kinds.array() && !(kinds.object() || kinds.text() || kinds.number());
        let separator = match (part, style) {
            (Part::Query, None | Some("form")) => ',',
            (Part::Query, Some("spaceDelimited")) => ' ',
            (Part::Query, Some("pipeDelimited")) => '|',
            (Part::Path | Part::Headers, None | Some("simple")) => ',',
            (Part::Query, _) => return Reading::Unknown,
            _ => return Reading::Unjudged,
        };
        let repeats = part == Part::Query && explode;
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
