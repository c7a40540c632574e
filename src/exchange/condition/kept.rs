//! What conditions will want to know of a head that is gone when the body comes.

use std::borrow::Cow;

use super::found::{Held, Letters};
use super::{Condition, Operand, Undecidable, View};
use portcullis_wire::budget::{Reservation, Share, reserve};
use portcullis_wire::headers::HeaderName;
use portcullis_wire::json::compact::Compact;

/// What some conditions look at in a head, and the claims of the sender.
#[derive(Debug)]
pub struct Kept {
    claims: Option<Compact>,
    headers: Vec<(HeaderName, KeptValue<[u8]>)>,
    parameters: Vec<(Box<str>, KeptValue<str>)>,
    readings: usize,
    variables: Vec<KeptVariable>,
    memory: Reservation,
}

/// What was there, or why that cannot be told.
#[derive(Debug)]
struct KeptValue<T: ?Sized>(Result<Option<Box<T>>, Undecidable>);

/// What the path has for a variable in one of its readings.
#[derive(Debug)]
struct KeptVariable {
    name: Box<str>,
    reading: usize,
    value: Box<str>,
    letters: Letters,
}

impl<T: ?Sized> KeptValue<T> {
    fn get(&self) -> Result<Option<&T>, Undecidable> {
        let value = self.0.as_ref().map_err(|why| *why)?;
        Ok(value.as_deref())
    }
}

/// What each of them takes beside its texts.
const EACH: usize = 96;

impl Kept {
    /// Keeps what these conditions look at. None if there is no memory for it.
    pub fn of<'c>(
        conditions: impl Iterator<Item = &'c Condition>,
        view: &View<'_>,
    ) -> Option<Self> {
        let mut kept = Self {
            claims: view.claims().cloned(),
            headers: Vec::new(),
            parameters: Vec::new(),
            readings: view.readings(),
            variables: Vec::new(),
            memory: reserve(Share::Streams, size_of::<Self>())?,
        };
        let claims = kept.claims.as_ref().map_or(0, Compact::size);
        kept.takes(claims)?;
        for operand in conditions.flat_map(Condition::operands) {
            kept.keep(operand, view)?;
        }
        Some(kept)
    }

    /// How many bytes of memory it takes.
    pub fn memory(&self) -> usize {
        self.memory.bytes()
    }

    fn keep(&mut self, operand: &Operand, view: &View<'_>) -> Option<()> {
        match operand {
            Operand::Header(name) if !self.headers.iter().any(|(each, _)| each == name) => {
                let value = view.header(name);
                let bytes = value.map_or(0, |value| value.map_or(0, <[u8]>::len));
                self.takes(bytes)?;
                let value = value.map(|value| value.map(Box::from));
                self.headers.push((name.clone(), KeptValue(value)));
            }
            Operand::Query(name) if !self.parameters.iter().any(|(each, _)| each == name) => {
                let value = view.parameter(name);
                let bytes = value.map_or(0, |value| value.map_or(0, str::len));
                self.takes(bytes)?;
                let value = value.map(|value| value.map(Box::from));
                self.parameters.push((name.clone(), KeptValue(value)));
            }
            Operand::PathVariable(name)
                if !self.variables.iter().any(|each| each.name == *name) =>
            {
                for reading in 0..self.readings {
                    // What has no value in a reading has none then either.
                    if let Ok(Held::Text(value, letters)) = view.variable(name, reading) {
                        self.takes(value.len())?;
                        self.variables.push(KeptVariable {
                            name: name.clone(),
                            reading,
                            value: value.into(),
                            letters,
                        });
                    }
                }
            }
            _ => {}
        }
        Some(())
    }

    fn takes(&mut self, bytes: usize) -> Option<()> {
        let bytes = bytes.saturating_add(EACH);
        self.memory.grow(bytes).then_some(())
    }

    pub(super) fn claims(&self) -> Option<&Compact> {
        self.claims.as_ref()
    }

    pub(super) fn header(&self, name: &HeaderName) -> Result<Option<&[u8]>, Undecidable> {
        let mut headers = self.headers.iter();
        let kept = headers.find(|(each, _)| each == name);
        // What was not kept cannot be told.
        let (_, value) = kept.ok_or(Undecidable::Unreadable)?;
        value.get()
    }

    pub(super) fn parameter(&self, name: &str) -> Result<Option<&str>, Undecidable> {
        let mut parameters = self.parameters.iter();
        let kept = parameters.find(|(each, _)| **each == *name);
        let (_, value) = kept.ok_or(Undecidable::Unreadable)?;
        value.get()
    }

    pub(super) fn readings(&self) -> usize {
        self.readings
    }

    pub(super) fn variable(&self, name: &str, reading: usize) -> Option<(Cow<'_, str>, Letters)> {
        let mut variables = self.variables.iter();
        let kept = variables.find(|each| *each.name == *name && each.reading == reading)?;
        Some((Cow::Borrowed(&kept.value), kept.letters))
    }
}
