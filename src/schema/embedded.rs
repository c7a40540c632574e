//! Schemas that stand here and there in a document of another kind.

use std::rc::Rc;

use super::check::{SchemaId, Set};
use super::compile::Compiler;
use super::dialect::Dialect;
use super::keyword::KEYWORDS;
use super::metaschemas::Metaschemas;
use super::notes::Notes;
use super::uri::Uri;
use super::{Formats, Schema};
use portcullis_document::{Node, Pointer, Problems};

/// Compiles schemas of one document, which may refer to all of it.
pub struct Embedded<'d> {
    compiler: Compiler<'d>,
}

/// One of them, before all are compiled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handle(SchemaId);

/// All of them, compiled.
pub struct Compiled {
    set: Rc<Set>,
    /// What is written in them and asks for nothing.
    pub notes: Notes,
    /// The formats that nobody knows, each with its place.
    pub unknown_formats: Vec<(Pointer, String)>,
}

/// Whose values are judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// What the client sends: it need not send what is `readOnly`.
    Request,
    /// What the upstream sends: it need not send what is `writeOnly`.
    Response,
}

impl<'d> Embedded<'d> {
    /// For schemas of this document.
    pub fn new(
        document: &Node<'d>,
        dialect: Dialect,
        sender: Direction,
        metaschemas: &'d Metaschemas,
    ) -> Self {
        let mut compiler = Compiler::new(KEYWORDS);
        compiler.index.metaschemas = Some(metaschemas);
        compiler.not_required = Some(match sender {
            Direction::Request => "readOnly",
            Direction::Response => "writeOnly",
        });
        let place = document.pointer().clone();
        let uri = Uri::parse("schemas:///document");
        compiler
            .index
            .add_resource(uri, document.json(), place, dialect);
        Self { compiler }
    }

    /// Takes in the schema that stands there.
    pub fn schema(&mut self, node: &Node<'d>) -> Handle {
        Handle(self.compiler.root(node.json(), node.pointer()))
    }

    /// Compiles them. `None` if something is wrong; that has been reported then.
    pub fn finish(mut self, problems: &mut Problems) -> Option<Compiled> {
        let set = self.compiler.finish(problems)?;
        let mut notes = self.compiler.notes;
        for found in self.compiler.unsupported {
            let reason = format!("a pattern asks for nothing that {}", found.what);
            notes.add_at(&reason, &found.place);
        }
        let formats = self.compiler.unknown_formats.into_iter();
        Some(Compiled {
            set: Rc::new(set),
            notes,
            unknown_formats: formats.map(|found| (found.place, found.what)).collect(),
        })
    }
}

impl Compiled {
    /// A schema, ready to judge.
    pub fn schema(&self, Handle(id): Handle, formats: Formats) -> Schema {
        Schema {
            set: Rc::clone(&self.set),
            id,
            formats,
        }
    }
}
