//! The blocks at the top of the document. Each registers itself: it is a type with a name, how it is
//! read, and what it has the worker do; the list of all is in the engine. They are read in the order
//! of that list. A section finds the sections before it by their types; policies find all of them.

mod registry;

use std::any::Any;
use std::fmt;
use std::rc::Rc;

use portcullis_document::{Fields, Node, Problems};
use portcullis_schema::Schemas;

pub use self::registry::{EnvironmentFault, Registry, Ticking, Variable};

/// A block at the top of the document.
pub trait Section: Sized + 'static {
    /// Its name there.
    const NAME: &'static str;

    /// Whether `off` stands for no block.
    const MAY_BE_OFF: bool = false;

    /// Reads the block. `None` when it is wrong, and nothing of it can be used; that has been reported.
    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self>;

    /// Its value where the document has no such block, or a wrong one.
    fn absent() -> Option<Self> {
        None
    }

    /// Looks at how the document uses it, when all routes have been read.
    fn finish(&self, finishing: &mut Finishing<'_>) {
        let _ = finishing;
    }

    /// Says what it has the worker do beside judging.
    fn register(section: &Rc<Self>, registry: &mut Registry) {
        let _ = (section, registry);
    }

    /// Drops what can be computed again: the worker needs the memory.
    fn forget(&self) {}

    /// Frees its caches, and keeps them small from then on: another document is in force.
    fn release(&self) {}
}

/// What a section may use while it is read.
pub struct Reading<'r> {
    /// The sections before it.
    pub known: &'r Sections,
    /// Takes what an operator should know of a section that is valid.
    pub notes: &'r mut Vec<String>,
    /// Takes what is wrong.
    pub problems: &'r mut Problems,
}

/// What a section may use when all routes have been read.
pub struct Finishing<'r> {
    /// The whole document.
    pub document: &'r Node<'r>,
    /// The names of its routes.
    pub routes: &'r [&'r str],
    /// Whether nothing was found wrong before: what is not there has not been left out for being wrong.
    pub is_whole: bool,
    /// Takes what an operator should know.
    pub notes: &'r mut Vec<String>,
    /// Takes what is wrong.
    pub problems: &'r mut Problems,
}

/// One place in the list of sections.
pub enum Entry {
    /// A section.
    Section(SectionKind),
    /// What sections before it must agree on.
    Agreement(fn(&mut Sections, &mut Fields<'_>, &mut Vec<String>, &mut Problems)),
}

/// What is known of a section without its type.
pub struct SectionKind {
    /// Its name in the document.
    pub name: &'static str,
    may_be_off: bool,
    read: fn(&Node<'_>, &mut Reading<'_>) -> Option<Rc<dyn Held>>,
    absent: fn() -> Option<Rc<dyn Held>>,
}

impl Entry {
    /// The place of a section.
    pub const fn of<T: Section>() -> Self {
        Entry::Section(SectionKind {
            name: T::NAME,
            may_be_off: T::MAY_BE_OFF,
            read: |node, reading| T::read(node, reading).map(|read| Rc::new(read) as _),
            absent: || T::absent().map(|absent| Rc::new(absent) as _),
        })
    }

    /// The section's name, if it is one.
    pub fn name(&self) -> Option<&'static str> {
        match self {
            Entry::Section(kind) => Some(kind.name),
            Entry::Agreement(_) => None,
        }
    }
}

/// A section whose type is not known.
trait Held: Any {
    fn finish(&self, finishing: &mut Finishing<'_>);
    fn register(self: Rc<Self>, registry: &mut Registry);
    fn forget(&self);
    fn release(&self);
}

impl<T: Section> Held for T {
    fn finish(&self, finishing: &mut Finishing<'_>) {
        Section::finish(self, finishing);
    }

    fn register(self: Rc<Self>, registry: &mut Registry) {
        Section::register(&self, registry);
    }

    fn forget(&self) {
        Section::forget(self);
    }

    fn release(&self) {
        Section::release(self);
    }
}

/// The sections of one document.
#[derive(Default)]
pub struct Sections {
    held: Vec<Rc<dyn Held>>,
    wrong: Vec<&'static str>,
}

impl Sections {
    /// Reads what stands at one place of the list.
    pub fn read(
        &mut self,
        entry: &Entry,
        fields: &mut Fields<'_>,
        notes: &mut Vec<String>,
        problems: &mut Problems,
    ) {
        let kind = match entry {
            Entry::Section(kind) => kind,
            Entry::Agreement(agree) => return agree(self, fields, notes, problems),
        };
        let node = fields.optional(kind.name);
        let node = node.filter(|node| !(kind.may_be_off && node.is_off()));
        let read = node.as_ref().and_then(|node| {
            let known = &*self;
            let reading = &mut Reading {
                known,
                notes,
                problems,
            };
            (kind.read)(node, reading)
        });
        if node.is_some() && read.is_none() {
            self.wrong.push(kind.name);
        }
        self.held.extend(read.or_else(kind.absent));
    }

    /// The section of a type; none if the document has no such block.
    pub fn find<T: Section>(&self) -> Option<Rc<T>> {
        let mut all = self.held.iter();
        all.find_map(|held| {
            let held: Rc<dyn Any> = Rc::<dyn Held>::clone(held);
            held.downcast().ok()
        })
    }

    /// The section of a type, or what its default is.
    pub fn get<T: Section + Default>(&self) -> Rc<T> {
        self.find().unwrap_or_default()
    }

    /// Changes the section of a type, which nothing has found yet.
    pub fn change<T: Section>(&mut self, change: impl FnOnce(&mut T)) {
        let found = self.held.iter_mut().find_map(|held| {
            let held: &mut dyn Any = Rc::get_mut(held)?;
            held.downcast_mut()
        });
        if let Some(found) = found {
            change(found);
        }
    }

    /// Whether one of these blocks is there and wrong.
    pub fn is_wrong(&self, names: &[&str]) -> bool {
        self.wrong.iter().any(|name| names.contains(name))
    }

    /// Whether all blocks that are there could be read.
    pub fn are_read(&self) -> bool {
        self.wrong.is_empty()
    }

    /// See [`Section::finish`].
    pub fn finish(&self, finishing: &mut Finishing<'_>) {
        self.held.iter().for_each(|held| held.finish(finishing));
    }

    /// See [`Section::register`].
    pub fn register(&self, registry: &mut Registry) {
        let held = self.held.iter().cloned();
        held.for_each(|held| held.register(registry));
    }

    /// See [`Section::forget`].
    pub fn forget(&self) {
        self.held.iter().for_each(|held| held.forget());
    }

    /// See [`Section::release`].
    pub fn release(&self) {
        self.held.iter().for_each(|held| held.release());
    }
}

impl fmt::Debug for Sections {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sections({})", self.held.len())
    }
}

impl Section for Schemas {
    const NAME: &'static str = "schemas";

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        let mut schemas = Self::read(node, reading.problems);
        reading.notes.extend(schemas.notes());
        Some(schemas)
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }
}
