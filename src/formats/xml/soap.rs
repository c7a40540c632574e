//! What a text is about: the name of its outermost element, and SOAP messages, which are an envelope with a body in
//! which one element says what is asked for.

use super::chars::{begins_name, continues_name, is_all_blank};
use super::stack::Stack;
use super::{XmlFault, XmlName, XmlText, XmlWatch};

/// The name of an element, as documents of ours write it: `{namespace}local`, or `local` if it is in none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExpandedName {
    namespace: Box<[u8]>,
    local: Box<[u8]>,
}

/// A version of SOAP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SoapVersion {
    /// 1.1
    One,
    /// 1.2
    Two,
}

/// What a message must be like.
#[derive(Clone, Copy, Debug)]
pub struct SoapRules<'r> {
    pub version: SoapVersion,
    /// What the request says it asks for. Where the header of the message says so too, it must be the same.
    pub action: Option<&'r [u8]>,
    /// Names of the element in the body; none if any will do.
    pub operations: Option<&'r [ExpandedName]>,
}

/// What is known of a message that is under way.
#[derive(Debug, Default)]
pub struct SoapMessage {
    part: Part,
    /// How many elements the part at hand has.
    children: usize,
    /// What the header says is asked for; there while it is read.
    addressed: Stack<u8>,
    addressing: Addressing,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Part {
    #[default]
    Begun,
    Header,
    Body,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Addressing {
    #[default]
    Unsaid,
    /// It is being read.
    Open,
    Said,
}

/// Who judges a text by what it is about.
#[derive(Debug)]
pub struct XmlShape<'j> {
    /// What the outermost element may be; anything if there are none.
    pub roots: &'j [ExpandedName],
    /// What a message must be like, if it has to be one.
    pub soap: Option<SoapRules<'j>>,
    /// What is known of it from before.
    pub message: &'j mut SoapMessage,
}

impl ExpandedName {
    /// Reads `{namespace}local` or `local`.
    pub fn parse(written: &str) -> Option<Self> {
        let (namespace, local) = match written.strip_prefix('{') {
            Some(rest) => rest.split_once('}')?,
            None => ("", written),
        };
        let mut characters = local.chars();
        let is_name = characters.next().is_some_and(begins_name) && characters.all(continues_name);
        is_name.then(|| Self {
            namespace: namespace.as_bytes().into(),
            local: local.as_bytes().into(),
        })
    }

    /// Whether an element has it.
    pub fn is(&self, name: XmlName<'_>) -> bool {
        *self.namespace == *name.namespace && *self.local == *name.local
    }
}

/// How much is read of the action in a message's header: longer ones are nobody's.
const LONGEST: usize = 4096;

impl SoapVersion {
    fn of(namespace: &[u8]) -> Option<Self> {
        match namespace {
            b"http://schemas.xmlsoap.org/soap/envelope/" => Some(SoapVersion::One),
            b"http://www.w3.org/2003/05/soap-envelope" => Some(SoapVersion::Two),
            _ => None,
        }
    }
}

/// An element that says what is asked for, where the header of a message has it: WS-Addressing, as it is and as it was.
fn is_addressed(name: XmlName<'_>) -> bool {
    name.local == b"Action"
        && matches!(
            name.namespace,
            b"http://www.w3.org/2005/08/addressing"
                | b"http://schemas.xmlsoap.org/ws/2004/08/addressing"
        )
}

impl SoapMessage {
    fn begins(
        &mut self,
        depth: usize,
        name: XmlName<'_>,
        rules: SoapRules<'_>,
    ) -> Result<(), XmlFault> {
        match depth {
            0 => match SoapVersion::of(name.namespace) {
                Some(version) if name.local == b"Envelope" => match version == rules.version {
                    true => Ok(()),
                    false => Err(XmlFault::SoapVersion),
                },
                _ => Err(XmlFault::SoapEnvelope),
            },
            1 => {
                self.part = match (name.local, self.part) {
                    (b"Header", Part::Begun) => Part::Header,
                    (b"Body", Part::Begun | Part::Header) => Part::Body,
                    _ => return Err(XmlFault::SoapEnvelope),
                };
                self.children = 0;
                match SoapVersion::of(name.namespace) == Some(rules.version) {
                    true => Ok(()),
                    false => Err(XmlFault::SoapEnvelope),
                }
            }
            2 if self.part == Part::Body => {
                self.children = self.children.saturating_add(1);
                let is_one =
                    |operations: &[ExpandedName]| operations.iter().any(|each| each.is(name));
                match (self.children, rules.operations) {
                    // Which of them is asked for would be the service's to guess.
                    (2.., _) => Err(XmlFault::SoapEnvelope),
                    (_, Some(operations)) if !is_one(operations) => Err(XmlFault::SoapOperation),
                    _ => Ok(()),
                }
            }
            2 if is_addressed(name) => match self.addressing {
                Addressing::Unsaid => {
                    self.addressing = Addressing::Open;
                    Ok(())
                }
                _ => Err(XmlFault::SoapAddressing),
            },
            _ if self.addressing == Addressing::Open => Err(XmlFault::SoapAddressing),
            _ => Ok(()),
        }
    }

    fn text(&mut self, depth: usize, text: XmlText<'_>) -> Result<(), XmlFault> {
        if depth < 3 {
            let is_blank = is_all_blank(text.raw());
            return if is_blank {
                Ok(())
            } else {
                Err(XmlFault::SoapEnvelope)
            };
        }
        if self.addressing != Addressing::Open {
            return Ok(());
        }
        let mut kept = Ok(0);
        text.decode(&mut |piece| {
            let room = LONGEST.saturating_sub(self.addressed.len());
            if kept.is_ok() {
                kept = self.addressed.extend(piece.get(..room).unwrap_or(piece));
            }
        });
        kept.map(|_| ())
    }

    fn ends(&mut self, depth: usize, rules: SoapRules<'_>) -> Result<(), XmlFault> {
        match depth {
            0 if self.part != Part::Body => Err(XmlFault::SoapEnvelope),
            0 if rules.operations.is_some() && self.children == 0 => Err(XmlFault::SoapOperation),
            2 if self.addressing == Addressing::Open => {
                self.addressing = Addressing::Said;
                let is_cut = self.addressed.len() >= LONGEST;
                let said = self.addressed.items().trim_ascii();
                match rules.action.is_none_or(|action| action == said && !is_cut) {
                    true => Ok(()),
                    false => Err(XmlFault::SoapAddressing),
                }
            }
            _ => Ok(()),
        }
    }
}

impl XmlWatch for XmlShape<'_> {
    fn begins(&mut self, depth: usize, name: XmlName<'_>) -> Result<(), XmlFault> {
        if depth == 0 && !self.roots.is_empty() && !self.roots.iter().any(|root| root.is(name)) {
            return Err(XmlFault::Root);
        }
        match self.soap {
            Some(rules) => self.message.begins(depth, name, rules),
            None => Ok(()),
        }
    }

    fn text(&mut self, depth: usize, text: XmlText<'_>) -> Result<(), XmlFault> {
        match self.soap {
            Some(_) => self.message.text(depth, text),
            None => Ok(()),
        }
    }

    fn ends(&mut self, depth: usize) -> Result<(), XmlFault> {
        match self.soap {
            Some(rules) => self.message.ends(depth, rules),
            None => Ok(()),
        }
    }
}
