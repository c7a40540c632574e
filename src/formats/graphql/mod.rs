//! Executable GraphQL documents, as the October 2021 and September 2025 editions of the specification have them:
//! operations and fragments. Read strictly and once, without recursion; nothing is copied.
//!
//! What a document comes to is known without a schema: how deep it is, how many fields, aliases and directives it
//! has once its fragments are put in, and what that costs by a table. Each fragment is looked at once for each
//! operation, whatever others it is in, so that a few lines that stand for millions of fields take as long as any
//! others.
//!
//! Refused beside what the grammar has not: definitions of types, fragments that are not there, never used, or in
//! themselves, and names that come twice where one may stand.

mod fragments;
mod lexer;
mod measure;
mod parse;

use portcullis_wire::budget::Reservation;

pub use self::measure::{CostTable, GivenVariable, Totals};
pub use self::parse::DocumentBounds;

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum OperationKind {
    Query,
    Mutation,
    Subscription,
}

/// Every kind.
pub const OPERATION_KINDS: [OperationKind; 3] = [
    OperationKind::Query,
    OperationKind::Mutation,
    OperationKind::Subscription,
];

impl OperationKind {
    /// The word that begins such an operation.
    pub const fn name(self) -> &'static str {
        match self {
            OperationKind::Query => "query",
            OperationKind::Mutation => "mutation",
            OperationKind::Subscription => "subscription",
        }
    }

    /// The type whose fields it asks for, as schemas usually call it.
    pub const fn type_name(self) -> &'static str {
        match self {
            OperationKind::Query => "Query",
            OperationKind::Mutation => "Mutation",
            OperationKind::Subscription => "Subscription",
        }
    }
}

/// Why a document cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DocumentFault {
    /// It is not UTF-8, or has characters where they cannot be.
    Characters,
    /// It does not follow the grammar.
    Syntax,
    /// It defines or extends types, or describes what it defines.
    TypeSystem,
    /// A name comes twice: of an operation, a fragment, a variable, an argument or a member of a value.
    Repeated,
    /// It has several operations, and not all of them have a name.
    Unnamed,
    /// A fragment is not there.
    UnknownFragment,
    /// A fragment is used nowhere.
    UnusedFragment,
    /// A fragment is in itself.
    Cycle,
    /// It has more tokens than it may.
    Tokens,
    /// Braces or brackets contain one another more often than is read.
    Nesting,
    /// Reading it would take too much work.
    Effort,
    /// There is no memory to read it.
    Memory,
}

/// A document that has been read.
#[derive(Debug)]
pub struct Document<'t> {
    operations: Vec<Operation<'t>>,
    /// In order of their names.
    fragments: Vec<Fragment<'t>>,
    /// Of all definitions, in the order of the text.
    selections: Vec<Selection<'t>>,
    arguments: Vec<(&'t [u8], Given<'t>)>,
    variables: Vec<(&'t [u8], Given<'t>)>,
    /// The places of fragments: each comes after those that it uses.
    order: Vec<u32>,
    tokens: u32,
    memory: Reservation,
}

/// An operation.
#[derive(Clone, Copy, Debug)]
pub struct Operation<'t> {
    kind: OperationKind,
    name: Option<&'t [u8]>,
    directives: u32,
    selections: Span,
    variables: Span,
}

#[derive(Clone, Copy, Debug)]
struct Fragment<'t> {
    name: &'t [u8],
    directives: u32,
    selections: Span,
}

/// A field, or a fragment that is put in.
#[derive(Clone, Copy, Debug)]
struct Selection<'t> {
    kind: SelectionKind,
    name: &'t [u8],
    is_aliased: bool,
    directives: u32,
    arguments: Span,
    /// Where what is within it ends; it begins right behind it.
    end: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SelectionKind {
    Field,
    Inline,
    /// The fragment at that place.
    Spread(u32),
}

/// Items of a list: from the first up to where the next would be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Span {
    start: u32,
    end: u32,
}

/// What an argument has, or a variable has by default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Given<'t> {
    /// Nothing, or `null`.
    Nothing,
    /// An integer that is not negative.
    Number(u64),
    Variable(&'t [u8]),
    Other,
}

impl Span {
    fn of<T>(self, list: &[T]) -> &[T] {
        list.get(self.start as usize..self.end as usize)
            .unwrap_or_default()
    }
}

impl<'t> Document<'t> {
    /// How many tokens it has.
    pub fn tokens(&self) -> u32 {
        self.tokens
    }

    /// Its operations: one or more.
    pub fn operations(&self) -> &[Operation<'t>] {
        &self.operations
    }
}

impl<'t> Operation<'t> {
    /// What it does.
    pub fn kind(&self) -> OperationKind {
        self.kind
    }

    /// Its name, if it has one.
    pub fn name(&self) -> Option<&'t [u8]> {
        self.name
    }
}

#[cfg(test)]
mod tests;
