//! JSON Schema, draft 2020-12 and draft 7: compiled once, then judging in bounded time.
//!
//! `parse` reads a body into a [`Value`] with exact numbers. `index` finds out where schemas
//! stand; `compile` turns them into rules, one file for each kind under `keyword`; `check` runs
//! them. Where the keywords allow it, `walk` tells that a text is valid while it passes the gate, and
//! no value is made of it; `pieces` has it walk while the text comes. What could be a keyword written wrong is an error, and what else a dialect does not know is
//! noted. Nothing is fetched: a reference leads to a schema of the same document, to the
//! metaschemas, or nowhere.

mod check;
mod compile;
mod cost;
mod cursor;
mod dialect;
mod embedded;
#[cfg(test)]
mod exact;
mod format;
mod index;
mod keyword;
mod metaschemas;
mod notes;
mod parse;
mod pattern;
mod pieces;
mod rule;
mod type_set;
mod uri;
mod value;
mod walk;
mod walk_demand;
mod walk_judge;
mod walk_number;
mod walk_object;
#[cfg(test)]
mod walk_tests;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::rc::Rc;

use self::check::{Check, SchemaId, Set};
use self::compile::{Compiler, Found, misnamed, uri_of};
use self::keyword::KEYWORDS;
use self::walk::Walked;
use portcullis_document::{LeftOut, Node, Pointer, Problems, Quoted};
use portcullis_wire::json_gate::{Fault, Limits, Shape, measure};
use portcullis_wire::regex::Effort;
use portcullis_wire::sort;

pub use self::check::{Verdict, Violation};
pub use self::cost::allowance;
pub use self::dialect::Dialect;
pub use self::embedded::{Compiled, Direction, Embedded, Handle};
pub use self::metaschemas::Metaschemas;
pub use self::notes::Notes;
pub use self::parse::{Text, TextError};
pub use self::pieces::Pieces;
pub use self::type_set::TypeSet;
pub use self::value::{Members, Twice, Value};
pub use portcullis_wire::json::decimal::Decimal;

/// Whether this build judges by schemas. Where it does not, what would read them is left out of the module.
pub const AVAILABLE: bool = cfg!(feature = "json-schema");

/// The document's `schemas`: compiled, by name.
#[derive(Default)]
pub struct Schemas {
    set: Rc<Set>,
    /// `None` when something is wrong with one of them.
    named: BTreeMap<String, Option<Named>>,
    unknown_formats: Vec<Found>,
    unsupported: Vec<Found>,
    reported: RefCell<BTreeSet<usize>>,
    notes: Notes,
}

/// A schema that has a name. What it leads to is by its place in the list of all.
struct Named {
    id: SchemaId,
    unknown_formats: Vec<usize>,
    unsupported: Vec<usize>,
}

/// One schema, ready to judge.
#[derive(Clone)]
pub struct Schema {
    set: Rc<Set>,
    id: SchemaId,
    formats: Formats,
}

/// What a text that passes the gate comes to by that alone.
#[derive(Debug)]
pub enum Passed {
    /// It is valid.
    Valid,
    /// It has to be read: [`Schema::judge_passed`].
    Unsure(Unsure),
}

/// What is known of a text that has passed the gate.
#[derive(Debug)]
pub struct Unsure {
    shape: Shape,
    /// Whether it has been judged on the way.
    is_tried: bool,
}

/// Why a text is not judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unjudged {
    /// It does not pass the gate.
    Gate(Fault),
    /// It passes, and cannot be read.
    Text(TextError),
}

impl From<Fault> for Unjudged {
    fn from(fault: Fault) -> Self {
        Unjudged::Gate(fault)
    }
}

impl From<TextError> for Unjudged {
    fn from(error: TextError) -> Self {
        Unjudged::Text(error)
    }
}

/// What `format` is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Formats {
    /// Readers: it asks nothing.
    Annotate,
    /// It asks that the value be of that form.
    Assert,
}

/// The tokens of a pointer that stands behind `#`, decoded; none if it is no pointer.
pub fn fragment_tokens(fragment: &str) -> Option<Vec<String>> {
    index::fragment_tokens(fragment)
}

impl fmt::Debug for Schemas {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.names()).finish()
    }
}

impl Schemas {
    /// Reads `schemas`: an object of schemas that may refer to one another.
    pub fn read(node: &Node<'_>, problems: &mut Problems) -> Self {
        let entries = node.members(problems).unwrap_or_default();
        if !AVAILABLE {
            // Those who name one need not be told as well.
            let named = entries.iter().map(|(name, schema)| {
                schema.report(problems, LeftOut::SCHEMAS);
                ((*name).to_owned(), None)
            });
            return Self {
                named: named.collect(),
                ..Self::default()
            };
        }
        let metaschemas = Metaschemas::default();
        let mut compiler = Compiler::new(KEYWORDS);
        compiler.index.metaschemas = Some(&metaschemas);
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
        let mut ids = Vec::new();
        for (name, schema) in roots {
            ids.push((*name, compiler.root(schema.json(), schema.pointer())));
        }
        compiler.compile_all(problems);
        let set = compiler.finish(problems);
        let roots: Vec<SchemaId> = ids.iter().map(|(_, id)| *id).collect();
        let formats = compiler.leading_to(&compiler.unknown_formats, &roots);
        let patterns = compiler.leading_to(&compiler.unsupported, &roots);
        let leads = formats.into_iter().zip(patterns);
        let named = ids.into_iter().zip(leads);
        let named = named.map(|((name, id), (unknown_formats, unsupported))| {
            let named = Named {
                id,
                unknown_formats,
                unsupported,
            };
            (name.to_owned(), set.is_some().then_some(named))
        });
        Self {
            named: sort::map(named),
            set: Rc::new(set.unwrap_or_default()),
            unknown_formats: compiler.unknown_formats,
            unsupported: compiler.unsupported,
            reported: RefCell::default(),
            notes: compiler.notes,
        }
    }

    /// The names.
    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.named.keys().map(String::as_str)
    }

    /// The schema of that name; `Some(None)` if something is wrong with it.
    pub fn named(&self, name: &str, formats: Formats) -> Option<Option<Schema>> {
        let named = self.named.get(name)?;
        Some(named.as_ref().map(|Named { id, .. }| Schema {
            set: Rc::clone(&self.set),
            id: *id,
            formats,
        }))
    }

    /// A format that nobody knows and the schema of that name leads to, with its place.
    pub fn unknown_format(&self, name: &str) -> Option<(&Pointer, &str)> {
        let first = self.named.get(name)?.as_ref()?.unknown_formats.first()?;
        let found = self.unknown_formats.get(*first)?;
        Some((&found.place, &found.what))
    }

    /// Whether every pattern that the schema of that name leads to can be had. Those that cannot are
    /// reported, each once, with the place of the name if a setting beside it could do without them.
    pub fn has_all_patterns(
        &self,
        name: &str,
        place_of_name: Option<&Pointer>,
        problems: &mut Problems,
    ) -> bool {
        let named = self.named.get(name).and_then(Option::as_ref);
        let unsupported = named.map_or(&[][..], |named| named.unsupported.as_slice());
        for index in unsupported {
            let found = self.unsupported.get(*index);
            if let (Some(Found { place, what, .. }), true) =
                (found, self.reported.borrow_mut().insert(*index))
            {
                let setting = place_of_name.map_or(String::new(), |beside| {
                    format!("; or write `patterns: \"skip_unsupported\"` beside {beside}, to do without such patterns")
                });
                problems.report(place, format_args!("{what}{setting}"));
            }
        }
        unsupported.is_empty()
    }

    /// What is written in them and asks for nothing.
    pub fn notes(&mut self) -> impl Iterator<Item = String> {
        let mut notes = std::mem::take(&mut self.notes);
        for found in &self.unsupported {
            let reason = format!("a pattern that {}", found.what);
            notes.add_at(&reason, &found.place);
        }
        notes.lines("schemas")
    }
}

impl Schema {
    /// Reads a schema that stands alone. It must say all that it asks itself.
    pub fn read(
        node: &Node<'_>,
        formats: Formats,
        notes: &mut Notes,
        problems: &mut Problems,
    ) -> Option<Self> {
        if !AVAILABLE {
            node.report(problems, LeftOut::SCHEMAS);
            return None;
        }
        let metaschemas = Metaschemas::default();
        let mut compiler = Compiler::new(KEYWORDS);
        compiler.index.metaschemas = Some(&metaschemas);
        let (uri, place) = (uri_of("schema")?, node.pointer().clone());
        compiler
            .index
            .add_schema(uri, node.json(), place, Dialect::Draft202012);
        let id = compiler.root(node.json(), node.pointer());
        compiler.compile_all(problems);
        let set = compiler.finish(problems);
        for found in &compiler.unsupported {
            problems.report(&found.place, &found.what);
        }
        notes.extend(compiler.notes);
        if let (Formats::Assert, Some(found)) = (formats, compiler.unknown_formats.first()) {
            let format = Quoted(&found.what);
            problems.report(&found.place, format_args!("no format is known as {format}"));
            return None;
        }
        if !compiler.unsupported.is_empty() {
            return None;
        }
        let set = Rc::new(set?);
        Some(Self { set, id, formats })
    }

    /// The kinds of value that it can take.
    pub fn kinds(&self) -> TypeSet {
        self.set.kinds(self.id, 0)
    }

    /// The kinds of item that it can take in an array.
    pub fn items_kinds(&self) -> TypeSet {
        let items = self.set.items(self.id, 0);
        items.map_or(TypeSet::STRING, |items| self.set.kinds(items, 0))
    }

    /// Passes a text through the gate, and judges it. No more than `depth` arrays and objects may contain
    /// one another.
    ///
    /// # Errors
    /// See [`Unjudged`].
    pub fn judge_bytes(
        &self,
        bytes: &[u8],
        limits: &Limits,
        depth: usize,
    ) -> Result<Verdict, Unjudged> {
        let is_tried = self.tries_walk();
        let walked = match is_tried {
            true => walk::judge(&self.set.plan, self.id, bytes, limits, depth)?,
            false => Walked::Unsure(measure(bytes, limits)?),
        };
        match self.passed(walked, is_tried) {
            Passed::Valid => Ok(Verdict::Valid),
            Passed::Unsure(unsure) => Ok(self.judge_passed(bytes, &unsure, depth)?),
        }
    }

    /// Judges a text that has passed the gate without its being told that it is valid. No more than `depth`
    /// arrays and objects may contain one another.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn judge_passed(
        &self,
        bytes: &[u8],
        unsure: &Unsure,
        depth: usize,
    ) -> Result<Verdict, TextError> {
        let verdict = self.judge(&Text::read(bytes, &unsure.shape, depth)?);
        if !unsure.is_tried && verdict == Verdict::Valid {
            self.set.plan.valid_without(self.id);
        }
        Ok(verdict)
    }

    /// What a walk has come to, or, if none has been tried, what has been found without one.
    fn passed(&self, walked: Walked, is_tried: bool) -> Passed {
        if is_tried {
            let taken = matches!(walked, Walked::Valid);
            self.set.plan.walked(self.id, taken);
        }
        match walked {
            Walked::Valid => Passed::Valid,
            Walked::Unsure(shape) => Passed::Unsure(Unsure { shape, is_tried }),
        }
    }

    /// Whether the next text is to be judged while it passes the gate.
    fn tries_walk(&self) -> bool {
        self.walks() && self.set.plan.is_promising(self.id)
    }

    /// Whether texts are judged by it while they pass the gate, as far as they are valid.
    pub fn walks(&self) -> bool {
        let asserts = self.formats == Formats::Assert;
        self.set.plan.walks(self.id, asserts)
    }

    /// Judges a text that has been read.
    pub fn judge(&self, text: &Text<'_>) -> Verdict {
        self.judge_value(&text.value, &allowance(text.bytes, text.count))
    }

    /// Judges a value, by as much effort as there is.
    pub fn judge_value(&self, value: &Value<'_>, effort: &Effort) -> Verdict {
        if !AVAILABLE {
            return Verdict::Undecided;
        }
        let formats = self.formats == Formats::Assert;
        Check::run(&self.set, self.id, value, formats, effort)
    }
}
