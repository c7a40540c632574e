//! JSON Schema, draft 2020-12 and draft 7: compiled once, then judging in bounded time.
//!
//! `parse` reads a body into a [`Value`] with exact numbers. `index` finds out where schemas
//! stand; `compile` turns them into rules, one file for each kind under `keyword`; `check` runs
//! them. What a dialect does not know is an error, never passed over. Nothing is fetched: a
//! reference leads to a schema of the same document or nowhere.

mod check;
mod compile;
mod cost;
mod dialect;
mod embedded;
mod format;
mod index;
mod keyword;
mod kinds;
mod parse;
mod pattern;
mod sort;
mod subject;
mod uri;
mod value;

use std::collections::BTreeMap;
use std::fmt;
use std::rc::Rc;

use self::check::{Check, SchemaId, Set};
use self::compile::{Compiler, misnamed, uri_of};
use crate::config::{Node, Pointer, Problems, Quoted};
use crate::regex::Effort;

pub use self::check::{Verdict, Violation};
pub use self::cost::allowance;
pub use self::dialect::Dialect;
pub use self::embedded::{Compiled, Embedded, Handle, Sender};
pub use self::kinds::Kinds;
pub use self::parse::{Text, TextError};
pub use self::value::{Members, Twice, Value};
pub use crate::json::decimal::Decimal;

/// The document's `schemas`: compiled, by name.
#[derive(Default)]
pub struct Schemas {
    set: Rc<Set>,
    /// `None` when something is wrong with one of them.
    named: BTreeMap<String, Option<SchemaId>>,
    unknown_formats: Vec<(Pointer, String)>,
}

/// One schema, ready to judge.
#[derive(Clone)]
pub struct Schema {
    set: Rc<Set>,
    id: SchemaId,
    formats: Formats,
}

/// What `format` is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Formats {
    /// Readers: it asks nothing.
    Annotate,
    /// It asks that the value be of that form.
    Assert,
}

impl fmt::Debug for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl Schemas {
    /// Reads `schemas`: an object of schemas that may refer to one another.
    pub fn read(node: &Node<'_>, problems: &mut Problems) -> Self {
        let entries = node.entries(problems).unwrap_or_default();
        let mut compiler = Compiler::default();
        let mut roots = Vec::new();
        for (name, schema) in &entries {
            let Some(uri) = uri_of(name) else {
                schema.report(problems, misnamed(name));
                continue;
            };
            let place = schema.pointer().clone();
            compiler
                .index
                .add_schema(uri, schema.json(), place, Dialect::Draft202012);
            roots.push((name, schema));
        }
        let mut named = BTreeMap::new();
        for (name, schema) in roots {
            let id = compiler.root(schema.json(), schema.pointer());
            named.insert((*name).to_owned(), Some(id));
        }
        compiler.compile_all(problems);
        let set = compiler.finish(problems);
        if set.is_none() {
            named.values_mut().for_each(|id| *id = None);
        }
        Self {
            set: Rc::new(set.unwrap_or_default()),
            named,
            unknown_formats: compiler.unknown_formats,
        }
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.named.keys().map(String::as_str)
    }

    /// The schema of that name; `Some(None)` if something is wrong with it.
    pub fn named(&self, name: &str, formats: Formats) -> Option<Option<Schema>> {
        let id = self.named.get(name)?;
        Some(id.map(|id| Schema {
            set: Rc::clone(&self.set),
            id,
            formats,
        }))
    }

    /// The formats that nobody knows, each with its place.
    pub fn unknown_formats(&self) -> &[(Pointer, String)] {
        &self.unknown_formats
    }
}

impl Schema {
    /// Reads a schema that stands alone. It must say all that it asks itself.
    pub fn read(node: &Node<'_>, formats: Formats, problems: &mut Problems) -> Option<Self> {
        let mut compiler = Compiler::default();
        let (uri, place) = (uri_of("schema")?, node.pointer().clone());
        compiler
            .index
            .add_schema(uri, node.json(), place, Dialect::Draft202012);
        let id = compiler.root(node.json(), node.pointer());
        compiler.compile_all(problems);
        let set = compiler.finish(problems);
        if let (Formats::Assert, Some((place, format))) =
            (formats, compiler.unknown_formats.first())
        {
            let format = Quoted(format);
            problems.report(place, format_args!("no format is known as {format}"));
            return None;
        }
        let set = Rc::new(set?);
        Some(Self { set, id, formats })
    }

    /// The kinds of value that it can take.
    pub fn kinds(&self) -> Kinds {
        self.set.kinds(self.id, 0)
    }

    /// The kinds of item that it can take in an array.
    pub fn items_kinds(&self) -> Kinds {
        let items = self.set.items(self.id, 0);
        items.map_or(Kinds::STRING, |items| self.set.kinds(items, 0))
    }

    /// Judges a text that has been read.
    pub fn judge(&self, text: &Text<'_>) -> Verdict {
        self.judge_value(&text.value, &allowance(text.bytes, text.count))
    }

    /// Judges a value, by as much effort as there is.
    pub fn judge_value(&self, value: &Value<'_>, effort: &Effort) -> Verdict {
        let formats = self.formats == Formats::Assert;
        Check::run(&self.set, self.id, value, formats, effort)
    }
}
