//! `xml`: which XML texts may pass.

use super::arriving::Coming;
use super::refusals::BODY_TOO_LARGE;
use super::refusals::{SOAP_ADDRESSING, SOAP_ENVELOPE, SOAP_OPERATION, SOAP_VERSION};
use super::refusals::{
    XML_ATTRIBUTE_BYTES, XML_ATTRIBUTES, XML_COMMENT, XML_DEPTH, XML_DOCTYPE,
    XML_DUPLICATE_ATTRIBUTE, XML_ELEMENTS, XML_ENCODING, XML_ENTITY, XML_INCLUSION, XML_NAME_BYTES,
    XML_NAMESPACE, XML_NAMESPACES, XML_PROCESSING_INSTRUCTION, XML_ROOT, XML_SCHEMA_LOCATION,
    XML_SYNTAX, XML_TEXT_BYTES, XML_UTF8, XML_VERSION,
};
use super::soap::SoapBlock;
use crate::HAS_FORMATS;
use portcullis_document::{LeftOut, Node, Problems};
use portcullis_exchange::body::{NoBytes, RequestBody};
use portcullis_exchange::exchange::BodyState;
use portcullis_exchange::refusal::core::NO_MEMORY;
use portcullis_exchange::refusal::{Detail, Fact, Refusal};
use portcullis_formats::xml::{
    ExpandedName, SoapMessage, SoapRules, XmlError, XmlFault, XmlLimits, XmlShape, watch,
};

/// Which texts may pass.
pub(super) struct XmlBlock {
    limits: XmlLimits,
    roots: Vec<ExpandedName>,
    pub(super) soap: Option<SoapBlock>,
}

/// What one text is judged by.
pub(super) struct XmlRules<'x> {
    pub(super) limits: XmlLimits,
    pub(super) roots: &'x [ExpandedName],
    pub(super) soap: Option<SoapRules<'x>>,
}

/// What may pass where the document sets no limits.
const USUAL: XmlLimits = XmlLimits {
    depth: 64,
    elements: 100_000,
    attributes: 64,
    namespaces: 32,
    name_bytes: 256,
    text_bytes: usize::MAX,
    attribute_bytes: 64 << 10,
    comments: true,
    schema_locations: false,
};

impl XmlBlock {
    /// Reads the block.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        if !HAS_FORMATS {
            node.report(problems, LeftOut::FORMATS);
            return None;
        }
        let mut fields = node.fields(problems)?;
        let mut limits = Some(USUAL);
        // Those that have to be compared with one another have a bound of their own.
        for (node, most, part) in [
            (
                fields.optional("max_depth"),
                1..=1000,
                (|limits| &mut limits.depth) as XmlPart,
            ),
            (fields.optional("max_elements"), 1..=10_000_000, |limits| {
                &mut limits.elements
            }),
            (fields.optional("max_attributes"), 0..=256, |limits| {
                &mut limits.attributes
            }),
            (fields.optional("max_namespaces"), 0..=64, |limits| {
                &mut limits.namespaces
            }),
        ] {
            let value = node.map(|node| node.integer(problems, most));
            set(&mut limits, part, value);
        }
        for (node, part) in [
            (
                fields.optional("max_name_bytes"),
                (|limits| &mut limits.name_bytes) as XmlPart,
            ),
            (fields.optional("max_text_bytes"), |limits| {
                &mut limits.text_bytes
            }),
            (fields.optional("max_attribute_bytes"), |limits| {
                &mut limits.attribute_bytes
            }),
        ] {
            let value = node.map(|node| node.bytes(problems));
            set(&mut limits, part, value);
        }
        let comments = fields.or_default("comments", USUAL.comments, problems, is_allowed);
        let locations = USUAL.schema_locations;
        let locations = fields.or_default("schema_locations", locations, problems, is_allowed);
        let named = fields.optional("roots");
        let soap = fields.or_default("soap", None, problems, |node, problems| {
            SoapBlock::read(node, problems).map(Some)
        });
        let roots = match &named {
            None => Some(Vec::new()),
            Some(node) if !matches!(soap, Some(None)) => {
                node.report(
                    problems,
                    "cannot stand beside `soap`: the root is its envelope",
                );
                None
            }
            Some(node) => node.list(problems, read_name),
        };
        fields.deny_unknown(problems);
        Some(Self {
            limits: XmlLimits {
                comments: comments?,
                schema_locations: locations?,
                ..limits?
            },
            roots: roots?,
            soap: soap?,
        })
    }

    /// What a text is judged by that has to be a message of that kind, if it has to be one.
    pub(super) fn rules<'x>(&'x self, soap: Option<SoapRules<'x>>) -> XmlRules<'x> {
        XmlRules {
            limits: self.limits,
            roots: &self.roots,
            soap,
        }
    }
}

type XmlPart = fn(&mut XmlLimits) -> &mut usize;

/// Takes a limit that has been read, if it was there.
fn set(limits: &mut Option<XmlLimits>, part: XmlPart, read: Option<Option<u64>>) {
    match (read, limits.as_mut()) {
        (Some(Some(value)), Some(limits)) => {
            *part(limits) = usize::try_from(value).unwrap_or(usize::MAX);
        }
        (Some(None), _) => *limits = None,
        (None, _) | (_, None) => {}
    }
}

fn is_allowed(node: &Node<'_>, problems: &mut Problems) -> Option<bool> {
    node.choice(problems, &[("allow", true), ("refuse", false)])
}

/// Reads the name of an element.
pub(super) fn read_name(node: &Node<'_>, problems: &mut Problems) -> Option<ExpandedName> {
    let name = ExpandedName::parse(node.non_empty(problems)?);
    if name.is_none() {
        node.report(
            problems,
            "must be the name of an element with its namespace, such as \"{urn:example:orders}order\", or \"order\" if it is in none",
        );
    }
    name
}

impl XmlRules<'_> {
    /// Judges a whole text.
    ///
    /// # Errors
    /// Why it may not pass.
    pub(super) fn judge(&self, text: &[u8]) -> Result<(), XmlError> {
        watch(
            text,
            &self.limits,
            &mut self.shape(&mut SoapMessage::default()),
        )
    }

    /// Who is told of a text of which that is known.
    pub(super) fn shape<'m>(&'m self, message: &'m mut SoapMessage) -> XmlShape<'m> {
        XmlShape {
            roots: self.roots,
            soap: self.soap,
            message,
        }
    }
}

/// Judges what has come of a body that is XML.
pub(super) fn judge(body: &mut RequestBody<'_>, rules: &XmlRules<'_>) -> Result<(), Refusal> {
    let mut coming = Coming {
        content: body.content,
        progress: body.progress,
        need: body.need,
        under_way: body.under_way,
    };
    if body.progress.state == BodyState::Open {
        coming.look_at_xml(rules);
        return Ok(());
    }
    let judged = match (coming.end_of_xml(rules), body.bytes()) {
        (Some(judged), _) => judged,
        (None, Ok(bytes)) => rules.judge(bytes),
        (None, Err(NoBytes::TooMany)) => return Err(Refusal::new(&BODY_TOO_LARGE)),
        // The first is not so, and of the other the stream takes care.
        (None, Err(NoBytes::Incomplete | NoBytes::Unavailable)) => Ok(()),
    };
    judged.map_err(refusal)
}

/// Why a text with that fault is refused.
pub(super) fn refusal(error: XmlError) -> Refusal {
    let reason = match error.fault {
        XmlFault::Syntax => &XML_SYNTAX,
        XmlFault::Utf8 => &XML_UTF8,
        XmlFault::Encoding => &XML_ENCODING,
        XmlFault::Version => &XML_VERSION,
        XmlFault::Namespace => &XML_NAMESPACE,
        XmlFault::DuplicateAttribute => &XML_DUPLICATE_ATTRIBUTE,
        XmlFault::Doctype => &XML_DOCTYPE,
        XmlFault::Entity => &XML_ENTITY,
        XmlFault::ProcessingInstruction => &XML_PROCESSING_INSTRUCTION,
        XmlFault::Comment => &XML_COMMENT,
        XmlFault::Inclusion => &XML_INCLUSION,
        XmlFault::SchemaLocation => &XML_SCHEMA_LOCATION,
        XmlFault::Depth => &XML_DEPTH,
        XmlFault::Elements => &XML_ELEMENTS,
        XmlFault::Attributes => &XML_ATTRIBUTES,
        XmlFault::Namespaces => &XML_NAMESPACES,
        XmlFault::NameBytes => &XML_NAME_BYTES,
        XmlFault::TextBytes => &XML_TEXT_BYTES,
        XmlFault::AttributeBytes => &XML_ATTRIBUTE_BYTES,
        XmlFault::Root => &XML_ROOT,
        XmlFault::SoapEnvelope => &SOAP_ENVELOPE,
        XmlFault::SoapVersion => &SOAP_VERSION,
        XmlFault::SoapOperation => &SOAP_OPERATION,
        XmlFault::SoapAddressing => &SOAP_ADDRESSING,
        XmlFault::Memory => return Refusal::new(&NO_MEMORY),
    };
    let place = Detail::within(super::soap::place_of(reason));
    Refusal::new(reason).because(place.and("position", Fact::Number(error.at)))
}
