//! A gate for XML texts: one pass over the bytes that says whether they are well-formed XML 1.0 with
//! Namespaces 1.0 within limits, and builds nothing.
//!
//! It takes less than the recommendations allow, wherever a text could reach out to something else, grow
//! when it is read, or be read in two ways: no document type and so no entities but the five, no processing
//! instructions, no XInclude, no encoding but UTF-8. Nothing is validated: it knows no schema.
//!
//! A text may come in pieces, and then comes to the same as in one. What is kept between two pieces is the
//! names of the elements that are open and the namespaces that are declared, asked of the budget.

mod chars;
mod declaration;
mod reference;
mod scope;
mod soap;
mod stack;
mod tag;
#[cfg(test)]
mod tests;
mod walk;

pub use self::soap::{ExpandedName, SoapMessage, SoapRules, SoapVersion, XmlShape};
pub use self::walk::XmlPieces;

/// What a text may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XmlLimits {
    /// How many elements may contain one another.
    pub depth: usize,
    /// Elements in all.
    pub elements: usize,
    /// Attributes of one element, declarations of namespaces among them.
    pub attributes: usize,
    /// Namespaces that are declared at one place.
    pub namespaces: usize,
    /// Bytes of a name, with its prefix.
    pub name_bytes: usize,
    /// Bytes of a text between two tags, as sent.
    pub text_bytes: usize,
    /// Bytes of an attribute's value, as sent.
    pub attribute_bytes: usize,
    /// Whether there may be comments.
    pub comments: bool,
    /// Whether it may name schemas for others to fetch.
    pub schema_locations: bool,
}

impl XmlLimits {
    /// The grammar and nothing else, but for what would take much to find out.
    pub const GENEROUS: Self = Self {
        depth: 1000,
        elements: usize::MAX,
        attributes: 1000,
        namespaces: 256,
        name_bytes: usize::MAX,
        text_bytes: usize::MAX,
        attribute_bytes: usize::MAX,
        comments: true,
        schema_locations: true,
    };
}

/// Why a text does not pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XmlFault {
    /// It is not well-formed.
    Syntax,
    /// It is not UTF-8.
    Utf8,
    /// It says that it is in another encoding, or looks like it.
    Encoding,
    /// It is of another version than 1.0.
    Version,
    /// A prefix is not declared, or what is reserved is declared; or a name has two colons.
    Namespace,
    /// An element has an attribute twice, whatever its prefix.
    DuplicateAttribute,
    /// It has a document type.
    Doctype,
    /// It refers to an entity that would have to be declared.
    Entity,
    /// It has a processing instruction.
    ProcessingInstruction,
    /// See [`XmlLimits::comments`].
    Comment,
    /// It includes others by XInclude.
    Inclusion,
    /// See [`XmlLimits::schema_locations`].
    SchemaLocation,
    /// See [`XmlLimits::depth`].
    Depth,
    /// See [`XmlLimits::elements`].
    Elements,
    /// See [`XmlLimits::attributes`].
    Attributes,
    /// See [`XmlLimits::namespaces`].
    Namespaces,
    /// See [`XmlLimits::name_bytes`].
    NameBytes,
    /// See [`XmlLimits::text_bytes`].
    TextBytes,
    /// See [`XmlLimits::attribute_bytes`].
    AttributeBytes,
    /// Its outermost element is none of those that may be.
    Root,
    /// It is no SOAP envelope with a body, and at most a header before it.
    SoapEnvelope,
    /// It is of another version of SOAP than its media type.
    SoapVersion,
    /// Its body asks for something else than its action.
    SoapOperation,
    /// Its header names another action than the request.
    SoapAddressing,
    /// There is no memory to find out.
    Memory,
}

/// A fault, and how many bytes of the text stand before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XmlError {
    pub fault: XmlFault,
    pub at: u64,
}

/// A name whose prefix has been resolved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct XmlName<'n> {
    /// Empty where it is in none.
    pub namespace: &'n [u8],
    pub local: &'n [u8],
}

/// A text, as it stands there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XmlText<'t> {
    /// Between tags.
    Content(&'t [u8]),
    /// The same in `<![CDATA[`, where nothing is a reference.
    Verbatim(&'t [u8]),
    /// Of an attribute.
    Value(&'t [u8]),
}

/// Who is told what stands in a text, in its order. What is told may stand before a fault.
///
/// `depth` is how many elements are around what is told.
pub trait XmlWatch {
    /// An element begins.
    ///
    /// # Errors
    /// What ends the walk.
    fn begins(&mut self, _depth: usize, _name: XmlName<'_>) -> Result<(), XmlFault> {
        Ok(())
    }
    /// An attribute of the element that began last; declarations of namespaces are none.
    fn attribute(&mut self, _name: XmlName<'_>, _value: XmlText<'_>) {}
    /// Some text. The text between two tags may come in several parts, and an end of line be cut in two.
    ///
    /// # Errors
    /// What ends the walk.
    fn text(&mut self, _depth: usize, _text: XmlText<'_>) -> Result<(), XmlFault> {
        Ok(())
    }
    /// An element ends.
    ///
    /// # Errors
    /// What ends the walk.
    fn ends(&mut self, _depth: usize) -> Result<(), XmlFault> {
        Ok(())
    }
}

impl XmlWatch for () {}

/// Judges one XML text.
///
/// # Errors
/// The first [`XmlError`].
pub fn check(text: &[u8], limits: &XmlLimits) -> Result<(), XmlError> {
    watch(text, limits, &mut ())
}

/// Judges one XML text, and tells `watch` on the way what stands in it.
///
/// # Errors
/// The first [`XmlError`], which may be one of `watch`.
pub fn watch(text: &[u8], limits: &XmlLimits, watch: &mut dyn XmlWatch) -> Result<(), XmlError> {
    XmlPieces::new(*limits).last(text, watch)
}

/// Judges one XML text and shows every text and every value of an attribute on the way.
///
/// # Errors
/// The first [`XmlError`].
pub fn walk(
    text: &[u8],
    limits: &XmlLimits,
    see: &mut dyn FnMut(XmlText<'_>),
) -> Result<(), XmlError> {
    self::watch(text, limits, &mut Shown(see))
}

/// Who wants to see texts alone.
struct Shown<'s>(&'s mut dyn FnMut(XmlText<'_>));

impl XmlWatch for Shown<'_> {
    fn attribute(&mut self, _: XmlName<'_>, value: XmlText<'_>) {
        (self.0)(value);
    }

    fn text(&mut self, _: usize, text: XmlText<'_>) -> Result<(), XmlFault> {
        (self.0)(text);
        Ok(())
    }
}
