//! The elements that are open, and the namespaces that are declared in them.

use super::stack::Stack;
use super::{XmlFault, XmlName, XmlText};

/// What is open. All names stand in one place, those of the innermost element last.
#[derive(Debug, Default)]
pub(super) struct Scope {
    pub(super) names: Stack<u8>,
    pub(super) open: Stack<Open>,
    bindings: Stack<Binding>,
    /// Those of one tag, while it is read.
    pub(super) attributes: Stack<Attribute>,
}

/// An element that is open.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    /// Where its name begins, and behind that what it declares.
    name: usize,
    pub(super) name_end: usize,
    /// How many bindings there are around it.
    bindings: usize,
}

/// An attribute of a tag, by its places in what is at hand.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attribute {
    pub(super) name: usize,
    /// Where the local name begins.
    pub(super) local: usize,
    pub(super) name_end: usize,
    pub(super) value: usize,
    pub(super) value_end: usize,
    /// Once it has been resolved.
    pub(super) namespace: Namespace,
}

/// A prefix, and what it stands for: places in the names.
#[derive(Clone, Copy, Debug)]
struct Binding {
    prefix: usize,
    /// Where the prefix ends and the namespace begins.
    uri: usize,
    end: usize,
    namespace: Namespace,
}

/// Equal for equal namespaces, of those that are declared at one place.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Namespace(usize);

impl Namespace {
    pub(super) const NONE: Self = Self(0);
    const XML: Self = Self(1);
    /// Of the declarations themselves.
    pub(super) const XMLNS: Self = Self(2);
    /// How many there are before any is declared.
    const RESERVED: usize = 3;
}

const XML_URI: &[u8] = b"http://www.w3.org/XML/1998/namespace";
const XMLNS_URI: &[u8] = b"http://www.w3.org/2000/xmlns/";

impl Scope {
    pub(super) fn depth(&self) -> usize {
        self.open.len()
    }

    /// The name of the innermost element, as it was written.
    pub(super) fn innermost(&self) -> Option<&[u8]> {
        let open = self.open.items().last()?;
        self.names.items().get(open.name..open.name_end)
    }

    /// An element of that name, which is to be opened.
    pub(super) fn enter(&mut self, name: &[u8]) -> Result<Open, XmlFault> {
        let start = self.names.extend(name)?;
        Ok(Open {
            name: start,
            name_end: self.names.len(),
            bindings: self.bindings.len(),
        })
    }

    /// Forgets an element and what it declares.
    pub(super) fn leave(&mut self, open: Open) {
        self.names.truncate(open.name);
        self.bindings.truncate(open.bindings);
    }

    /// Declares what a prefix stands for; an empty one is for names without.
    pub(super) fn declare(
        &mut self,
        prefix: &[u8],
        uri: XmlText<'_>,
        most: usize,
    ) -> Result<(), XmlFault> {
        if self.bindings.len() >= most {
            return Err(XmlFault::Namespaces);
        }
        let start = self.names.extend(prefix)?;
        let uri_start = self.names.len();
        let (mut told, names) = (Ok(0), &mut self.names);
        uri.decode(&mut |piece| {
            if told.is_ok() {
                told = names.extend(piece);
            }
        });
        told?;
        let all = self.names.items();
        let uri = all.get(uri_start..).unwrap_or_default();
        let is_xml = uri == XML_URI;
        if prefix == b"xmlns" || uri == XMLNS_URI || is_xml != (prefix == b"xml") {
            return Err(XmlFault::Namespace);
        }
        let known = |each: &&Binding| all.get(each.uri..each.end) == Some(uri);
        let namespace = match self.bindings.items().iter().find(known) {
            _ if is_xml => Namespace::XML,
            // A prefix cannot be taken back.
            _ if uri.is_empty() && prefix.is_empty() => Namespace::NONE,
            _ if uri.is_empty() => return Err(XmlFault::Namespace),
            Some(known) => known.namespace,
            None => Namespace(self.bindings.len().saturating_add(Namespace::RESERVED)),
        };
        self.bindings.push(Binding {
            prefix: start,
            uri: uri_start,
            end: all.len(),
            namespace,
        })
    }

    /// What a prefix stands for.
    pub(super) fn resolve(&self, prefix: &[u8]) -> Result<(Namespace, &[u8]), XmlFault> {
        let names = self.names.items();
        let is_it = |each: &&Binding| names.get(each.prefix..each.uri) == Some(prefix);
        if let Some(found) = self.bindings.items().iter().rev().find(is_it) {
            let uri = names.get(found.uri..found.end).unwrap_or_default();
            return Ok((found.namespace, uri));
        }
        match prefix {
            b"" => Ok((Namespace::NONE, b"")),
            b"xml" => Ok((Namespace::XML, XML_URI)),
            _ => Err(XmlFault::Namespace),
        }
    }
}

/// A name in a namespace from which others are included. The second was so for some years, and is still read.
pub(super) fn is_inclusion(name: XmlName<'_>) -> bool {
    matches!(
        name.namespace,
        b"http://www.w3.org/2001/XInclude" | b"http://www.w3.org/2003/XInclude"
    )
}

/// The name of an attribute that says where a schema is to be had.
pub(super) fn is_schema_location(name: XmlName<'_>) -> bool {
    name.namespace == b"http://www.w3.org/2001/XMLSchema-instance"
        && matches!(name.local, b"schemaLocation" | b"noNamespaceSchemaLocation")
}
