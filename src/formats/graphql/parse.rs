//! The grammar: definitions, selections, arguments and values.

use super::lexer::{Lexeme, Lexemes};
use super::{
    Document, DocumentFault, Fragment, Given, Operation, OperationKind, Selection, SelectionKind,
    Span,
};
use portcullis_wire::budget::{Reservation, Share, reserve};
use portcullis_wire::effort::{Effort, TooCostly};

/// What a document may have to be read at all.
#[derive(Clone, Copy, Debug)]
pub struct DocumentBounds<'b> {
    /// Tokens in all.
    pub tokens: u32,
    /// The arguments whose values will be asked for.
    pub arguments: &'b [Box<str>],
}

/// How often selections may contain one another, and values.
const NESTING: usize = 200;

/// A step of the effort is enough to read so many bytes.
const BYTES_READ_BY_A_STEP: u64 = 4;

struct DocumentParser<'t, 'b> {
    lexer: Lexemes<'t>,
    token: Lexeme<'t>,
    bounds: DocumentBounds<'b>,
    effort: &'b Effort,
    memory: Reservation,
    operations: Vec<Operation<'t>>,
    fragments: Vec<Fragment<'t>>,
    selections: Vec<Selection<'t>>,
    arguments: Vec<(&'t [u8], Given<'t>)>,
    variables: Vec<(&'t [u8], Given<'t>)>,
    /// Names of which none may come twice: of the lists and values that are open.
    names: Vec<&'t [u8]>,
}

/// Which of the values that are open end with what.
#[derive(Clone, Copy)]
enum OpenList {
    /// `]`
    Items,
    /// `}`; where its names begin.
    Members(usize),
}

impl<'t> Document<'t> {
    /// Reads a document.
    ///
    /// # Errors
    /// See [`DocumentFault`].
    pub fn parse(
        text: &'t [u8],
        bounds: DocumentBounds<'_>,
        effort: &Effort,
    ) -> Result<Self, DocumentFault> {
        effort.spend(text.len() as u64 / BYTES_READ_BY_A_STEP)?;
        let mut parser = DocumentParser {
            lexer: Lexemes::new(text, bounds.tokens)?,
            token: Lexeme::End,
            bounds,
            effort,
            memory: reserve(Share::Bodies, size_of::<Self>()).ok_or(DocumentFault::Memory)?,
            operations: Vec::new(),
            fragments: Vec::new(),
            selections: Vec::new(),
            arguments: Vec::new(),
            variables: Vec::new(),
            names: Vec::new(),
        };
        parser.advance()?;
        while parser.token != Lexeme::End {
            parser.definition()?;
        }
        let mut document = Self {
            operations: parser.operations,
            fragments: parser.fragments,
            selections: parser.selections,
            arguments: parser.arguments,
            variables: parser.variables,
            order: Vec::new(),
            tokens: bounds.tokens.saturating_sub(parser.lexer.left()),
            memory: parser.memory,
        };
        document.resolve(effort)?;
        Ok(document)
    }
}

impl From<TooCostly> for DocumentFault {
    fn from(_: TooCostly) -> Self {
        DocumentFault::Effort
    }
}

/// Adds to a list for which there is memory.
pub(super) fn push<T>(
    list: &mut Vec<T>,
    item: T,
    memory: &mut Reservation,
) -> Result<(), DocumentFault> {
    if list.len() == list.capacity() {
        let more = list.len().max(8);
        if !memory.grow(more.saturating_mul(size_of::<T>())) {
            return Err(DocumentFault::Memory);
        }
        list.reserve_exact(more);
    }
    list.push(item);
    Ok(())
}

/// Places fit: there are no more of anything than tokens.
pub(super) fn place<T>(list: &[T]) -> u32 {
    u32::try_from(list.len()).unwrap_or(u32::MAX)
}

impl<'t> DocumentParser<'t, '_> {
    fn advance(&mut self) -> Result<(), DocumentFault> {
        self.token = self.lexer.next()?;
        Ok(())
    }

    fn is(&self, punctuator: u8) -> bool {
        self.token == Lexeme::Punctuator(punctuator)
    }

    /// Takes a punctuator if it is there.
    fn takes(&mut self, punctuator: u8) -> Result<bool, DocumentFault> {
        let is_there = self.is(punctuator);
        if is_there {
            self.advance()?;
        }
        Ok(is_there)
    }

    fn expect(&mut self, punctuator: u8) -> Result<(), DocumentFault> {
        match self.takes(punctuator)? {
            true => Ok(()),
            false => Err(DocumentFault::Syntax),
        }
    }

    fn name(&mut self) -> Result<&'t [u8], DocumentFault> {
        let Lexeme::Name(name) = self.token else {
            return Err(DocumentFault::Syntax);
        };
        self.advance()?;
        Ok(name)
    }

    /// Notes a name that may come once behind `start`.
    fn note(&mut self, name: &'t [u8], start: usize) -> Result<(), DocumentFault> {
        let others = self.names.get(start..).unwrap_or_default();
        self.effort.spend(others.len() as u64)?;
        if others.contains(&name) {
            return Err(DocumentFault::Repeated);
        }
        push(&mut self.names, name, &mut self.memory)
    }

    fn definition(&mut self) -> Result<(), DocumentFault> {
        let kind = match self.token {
            Lexeme::Punctuator(b'{') => return self.operation(OperationKind::Query, None),
            Lexeme::Name(b"query") => OperationKind::Query,
            Lexeme::Name(b"mutation") => OperationKind::Mutation,
            Lexeme::Name(b"subscription") => OperationKind::Subscription,
            Lexeme::Name(b"fragment") => return self.fragment(),
            Lexeme::Text
            | Lexeme::Name(
                b"schema" | b"scalar" | b"type" | b"interface" | b"union" | b"enum" | b"input"
                | b"directive" | b"extend",
            ) => return Err(DocumentFault::TypeSystem),
            _ => return Err(DocumentFault::Syntax),
        };
        self.advance()?;
        let name = match self.token {
            Lexeme::Name(name) => {
                self.advance()?;
                Some(name)
            }
            _ => None,
        };
        self.operation(kind, name)
    }

    /// What follows the name of an operation.
    fn operation(
        &mut self,
        kind: OperationKind,
        name: Option<&'t [u8]>,
    ) -> Result<(), DocumentFault> {
        let start = place(&self.variables);
        let of_variables = match self.takes(b'(')? {
            true => self.variable_definitions()?,
            false => 0,
        };
        let variables = Span {
            start,
            end: place(&self.variables),
        };
        let operation = Operation {
            kind,
            name,
            directives: self.directives(false)?.saturating_add(of_variables),
            selections: self.selection_set()?,
            variables,
        };
        push(&mut self.operations, operation, &mut self.memory)
    }

    fn fragment(&mut self) -> Result<(), DocumentFault> {
        self.advance()?;
        let name = self.name()?;
        if name == b"on" || self.token != Lexeme::Name(b"on") {
            return Err(DocumentFault::Syntax);
        }
        self.advance()?;
        self.name()?;
        let fragment = Fragment {
            name,
            directives: self.directives(false)?,
            selections: self.selection_set()?,
        };
        push(&mut self.fragments, fragment, &mut self.memory)
    }

    /// From behind the parenthesis up to behind the other; how many directives stand there.
    fn variable_definitions(&mut self) -> Result<u32, DocumentFault> {
        let start = self.names.len();
        let mut directives = 0_u32;
        loop {
            self.expect(b'$')?;
            let name = self.name()?;
            self.note(name, start)?;
            self.expect(b':')?;
            self.type_reference()?;
            let default = match self.takes(b'=')? {
                true => self.value(true)?,
                false => Given::Nothing,
            };
            directives = directives.saturating_add(self.directives(true)?);
            push(&mut self.variables, (name, default), &mut self.memory)?;
            if self.takes(b')')? {
                self.names.truncate(start);
                return Ok(directives);
            }
        }
    }

    fn type_reference(&mut self) -> Result<(), DocumentFault> {
        let mut lists = 0_u32;
        while self.takes(b'[')? {
            lists = lists.saturating_add(1);
        }
        self.name()?;
        self.takes(b'!')?;
        for _ in 0..lists {
            self.expect(b']')?;
            self.takes(b'!')?;
        }
        Ok(())
    }

    /// How many there are.
    fn directives(&mut self, is_constant: bool) -> Result<u32, DocumentFault> {
        let mut count = 0_u32;
        while self.takes(b'@')? {
            self.name()?;
            self.arguments(is_constant, false)?;
            count = count.saturating_add(1);
        }
        Ok(count)
    }

    /// Those whose values will be asked for are kept.
    fn arguments(&mut self, is_constant: bool, is_field: bool) -> Result<Span, DocumentFault> {
        let first = place(&self.arguments);
        let start = self.names.len();
        if self.takes(b'(')? {
            loop {
                let name = self.name()?;
                self.note(name, start)?;
                self.expect(b':')?;
                let value = self.value(is_constant)?;
                let mut asked = self.bounds.arguments.iter();
                if is_field && asked.any(|asked| asked.as_bytes() == name) {
                    push(&mut self.arguments, (name, value), &mut self.memory)?;
                }
                if self.takes(b')')? {
                    break;
                }
            }
            self.names.truncate(start);
        }
        Ok(Span {
            start: first,
            end: place(&self.arguments),
        })
    }

    fn value(&mut self, is_constant: bool) -> Result<Given<'t>, DocumentFault> {
        let mut open: Vec<OpenList> = Vec::new();
        let mut whole = None;
        loop {
            if self.is(b'[') || self.is(b'{') {
                whole = Some(Given::Other);
                if !self.opens_empty(&mut open)? {
                    continue;
                }
            } else {
                let value = self.scalar(is_constant)?;
                whole.get_or_insert(value);
            }
            // Behind a value.
            loop {
                match open.last().copied() {
                    None => return Ok(whole.unwrap_or(Given::Other)),
                    Some(list) if self.closes(list) => {
                        if let OpenList::Members(start) = list {
                            self.names.truncate(start);
                        }
                        open.pop();
                        self.advance()?;
                    }
                    Some(OpenList::Items) => break,
                    Some(OpenList::Members(start)) => {
                        self.member_name(start)?;
                        break;
                    }
                }
            }
        }
    }

    fn closes(&self, list: OpenList) -> bool {
        match list {
            OpenList::Items => self.is(b']'),
            OpenList::Members(_) => self.is(b'}'),
        }
    }

    /// Reads up to where the first value of a list or an object begins; whether it has none.
    fn opens_empty(&mut self, open: &mut Vec<OpenList>) -> Result<bool, DocumentFault> {
        if open.len() >= NESTING {
            return Err(DocumentFault::Nesting);
        }
        let list = match self.is(b'[') {
            true => OpenList::Items,
            false => OpenList::Members(self.names.len()),
        };
        self.advance()?;
        open.push(list);
        let is_empty = self.closes(list);
        if let OpenList::Members(start) = list
            && !is_empty
        {
            self.member_name(start)?;
        }
        Ok(is_empty)
    }

    fn member_name(&mut self, start: usize) -> Result<(), DocumentFault> {
        let name = self.name()?;
        self.note(name, start)?;
        self.expect(b':')
    }

    fn scalar(&mut self, is_constant: bool) -> Result<Given<'t>, DocumentFault> {
        let value = match self.token {
            Lexeme::Punctuator(b'$') if !is_constant => {
                self.advance()?;
                return Ok(Given::Variable(self.name()?));
            }
            Lexeme::Integer(digits) => {
                let number = std::str::from_utf8(digits).ok();
                let number = number.and_then(|digits| digits.parse().ok());
                number.map_or(Given::Other, Given::Number)
            }
            Lexeme::Name(b"null") => Given::Nothing,
            Lexeme::Float | Lexeme::Text | Lexeme::Name(_) => Given::Other,
            _ => return Err(DocumentFault::Syntax),
        };
        self.advance()?;
        Ok(value)
    }

    fn selection_set(&mut self) -> Result<Span, DocumentFault> {
        let start = place(&self.selections);
        // The places of those that are open; the set itself has none.
        let mut open: Vec<usize> = Vec::new();
        self.open_set()?;
        loop {
            if self.takes(b'}')? {
                let end = place(&self.selections);
                let Some(place) = open.pop() else {
                    return Ok(Span { start, end });
                };
                if let Some(selection) = self.selections.get_mut(place) {
                    selection.end = end;
                }
                continue;
            }
            let has_set = self.selection()?;
            let last = self.selections.len().saturating_sub(1);
            if has_set {
                if open.len() >= NESTING {
                    return Err(DocumentFault::Nesting);
                }
                open.push(last);
                self.open_set()?;
            } else if let Some(selection) = self.selections.last_mut() {
                selection.end = u32::try_from(last.saturating_add(1)).unwrap_or(u32::MAX);
            }
        }
    }

    /// Takes a brace behind which something has to stand.
    fn open_set(&mut self) -> Result<(), DocumentFault> {
        self.expect(b'{')?;
        match self.is(b'}') {
            true => Err(DocumentFault::Syntax),
            false => Ok(()),
        }
    }

    /// Reads a selection up to its own set; whether it has one.
    fn selection(&mut self) -> Result<bool, DocumentFault> {
        let mut selection = Selection {
            kind: SelectionKind::Field,
            name: b"",
            is_aliased: false,
            directives: 0,
            arguments: Span::default(),
            end: 0,
        };
        if self.token == Lexeme::Spread {
            self.advance()?;
            selection.kind = SelectionKind::Inline;
            match self.token {
                Lexeme::Name(b"on") => {
                    self.advance()?;
                    self.name()?;
                }
                Lexeme::Name(name) => {
                    self.advance()?;
                    selection.name = name;
                    selection.kind = SelectionKind::Spread(u32::MAX);
                }
                _ => {}
            }
        } else {
            selection.name = self.name()?;
            if self.takes(b':')? {
                selection.is_aliased = true;
                selection.name = self.name()?;
            }
            selection.arguments = self.arguments(false, true)?;
        }
        selection.directives = self.directives(false)?;
        let has_set = match selection.kind {
            SelectionKind::Field => self.is(b'{'),
            SelectionKind::Inline => true,
            SelectionKind::Spread(_) => false,
        };
        push(&mut self.selections, selection, &mut self.memory)?;
        Ok(has_set)
    }
}
