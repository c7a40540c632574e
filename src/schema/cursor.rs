//! What a keyword sees of the schema in which it stands, while it is compiled.

use portcullis_wire::regex::Regex;

use super::check::SchemaId;
use super::compile::Compiler;
use super::dialect::Dialect;
use super::index::{Home, Referred};
use super::pattern::{self, PatternError};
use portcullis_document::Pointer;
use portcullis_wire::json::decimal::Decimal;
use portcullis_wire::json::{Json, Object};

/// A keyword of a schema while it is compiled.
pub(super) struct SchemaCursor<'s, 'd> {
    pub(super) compiler: &'s mut Compiler<'d>,
    /// The members of the schema.
    pub(super) object: &'d Object,
    /// The name of the keyword.
    pub(super) name: &'static str,
    /// What stands under it.
    pub(super) value: &'d Json,
    pub(super) dialect: Dialect,
    pub(super) id: SchemaId,
    pub(super) home: &'s Home,
}

impl<'d> SchemaCursor<'_, 'd> {
    /// The place of a keyword of this schema.
    pub(super) fn place(&self, keyword: &str) -> Pointer {
        self.home.place.member(keyword)
    }

    /// Reports what is wrong with this keyword.
    pub(super) fn report(&mut self, reason: &str) {
        let place = self.place(self.name);
        self.report_at(place, reason);
    }

    /// Reports what is wrong somewhere under it.
    pub(super) fn report_at(&mut self, place: Pointer, reason: &str) {
        self.compiler.problems.push((place, reason.to_owned()));
    }

    /// Notes what is not asked for although it is written.
    pub(super) fn note_unknown_format(&mut self, format: &str) {
        let found = Compiler::found(self.id, self.place(self.name), format);
        self.compiler.unknown_formats.push(found);
    }

    /// Whether this is the first of `keywords` that stands in the schema.
    pub(super) fn leads(&self, keywords: &[&str]) -> bool {
        let first = keywords
            .iter()
            .find(|keyword| self.object.member(keyword).is_some());
        first.is_some_and(|first| *first == self.name)
    }

    /// Another keyword of the schema, if the dialect knows it.
    pub(super) fn sibling(&self, keyword: &str) -> Option<&'d Json> {
        let known = self.compiler.index.keywords.named(keyword);
        let known = known.is_some_and(|entry| entry.known_in(self.dialect));
        self.object.member(keyword).filter(|_| known)
    }

    /// A schema under `keyword` that judges parts of the value.
    pub(super) fn below(
        &mut self,
        keyword: &'static str,
        json: &'d Json,
        place: Pointer,
    ) -> SchemaId {
        let home = Home {
            resource: self.home.resource,
            place,
        };
        let id = self.compiler.schema(json, &home, keyword);
        if let Some(children) = self.compiler.children.get_mut(self.id.0) {
            children.push(id);
        }
        id
    }

    /// A schema under `keyword` that judges the same value.
    pub(super) fn here(
        &mut self,
        keyword: &'static str,
        json: &'d Json,
        place: Pointer,
    ) -> SchemaId {
        let id = self.below(keyword, json, place);
        if let Some(edges) = self.compiler.in_place.get_mut(self.id.0) {
            edges.push(id);
        }
        id
    }

    /// The schemas of a list under this keyword that judge the same value.
    pub(super) fn list_here(&mut self) -> Option<Vec<SchemaId>> {
        let place = self.place(self.name);
        match self.value {
            Json::Array(items) if !items.is_empty() => {
                let items = items.iter().enumerate();
                let ids = items.map(|(index, item)| self.here(self.name, item, place.item(index)));
                Some(ids.collect())
            }
            _ => {
                self.report("must be an array of schemas that is not empty");
                None
            }
        }
    }

    /// The named values of an object under this keyword.
    pub(super) fn named(
        &mut self,
        keyword: &'static str,
    ) -> Option<Vec<(&'d str, &'d Json, Pointer)>> {
        let place = self.place(keyword);
        match self.object.member(keyword) {
            None => Some(Vec::new()),
            Some(Json::Object(object)) => {
                let named = object.iter();
                Some(
                    named
                        .map(|(name, json)| (name, json, place.member(name)))
                        .collect(),
                )
            }
            Some(_) => {
                self.report_at(place, "must be an object");
                None
            }
        }
    }

    /// The text under this keyword.
    pub(super) fn text(&mut self) -> Option<&'d str> {
        let text = self.value.as_str();
        if text.is_none() {
            self.report("must be a string");
        }
        text
    }

    /// The number under this keyword.
    pub(super) fn number(&mut self) -> Option<Decimal> {
        match self.value {
            Json::Number(number) => Some(number.decimal()),
            _ => {
                self.report("must be a number");
                None
            }
        }
    }

    /// The whole number under `keyword` that is not negative.
    pub(super) fn count(&mut self, keyword: &str) -> Option<usize> {
        let place = self.place(keyword);
        let count = match self.object.member(keyword)? {
            Json::Number(number) => number.decimal().to_u64(),
            _ => None,
        };
        if count.is_none() {
            self.report_at(place, "must be a whole number, at least 0");
        }
        Some(usize::try_from(count?).unwrap_or(usize::MAX))
    }

    /// The different names in a list.
    pub(super) fn names(&mut self, json: &Json, place: Pointer) -> Option<Vec<String>> {
        let names: Option<Vec<String>> = match json {
            Json::Array(items) => items
                .iter()
                .map(|item| item.as_str().map(str::to_owned))
                .collect(),
            _ => None,
        };
        if names.is_none() {
            self.report_at(place, "must be an array of strings");
        }
        names
    }

    /// A pattern, compiled once however often it is written. None if it cannot be had: then that has
    /// been noted, and it asks for nothing.
    pub(super) fn regex(&mut self, pattern: &str, place: Pointer) -> Option<Regex> {
        match pattern::compile(pattern) {
            Ok(regex) => {
                self.compiler.patterns.push((place, regex.clone()));
                Some(regex)
            }
            // What is a pattern nowhere is a mistake; what is one elsewhere is in documents of others.
            Err(error @ PatternError::Syntax) if !self.dialect.is_openapi() => {
                self.report_at(place, &error.to_string());
                None
            }
            Err(error) => {
                let found = Compiler::found(self.id, place, error);
                self.compiler.unsupported.push(found);
                None
            }
        }
    }

    /// What the reference under this keyword leads to.
    pub(super) fn refer(&mut self) -> Option<(SchemaId, Option<String>)> {
        let reference = self.text()?;
        let resolved = self.compiler.index.resolve(self.home.resource, reference);
        match resolved {
            Ok(Referred { json, dynamic }) => {
                let place = self.place(self.name);
                if let Some(name) = &dynamic {
                    self.compiler.dynamic.push((self.id, name.clone()));
                }
                Some((self.here(self.name, json, place), dynamic))
            }
            Err(reason) => {
                self.report(&reason);
                None
            }
        }
    }
}
