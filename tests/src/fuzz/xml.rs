//! XML texts before the gate.

use portcullis::formats::xml::{
    ExpandedName, SoapMessage, SoapRules, SoapVersion, XmlError, XmlFault, XmlLimits, XmlName,
    XmlPieces, XmlShape, XmlText, XmlWatch, check, watch,
};
use roxmltree::{Document, Error, Node};

const LIMITS: XmlLimits = XmlLimits {
    depth: 48,
    attributes: 64,
    namespaces: 32,
    ..XmlLimits::GENEROUS
};

const NARROW: XmlLimits = XmlLimits {
    depth: 3,
    elements: 5,
    attributes: 3,
    namespaces: 2,
    name_bytes: 6,
    text_bytes: 12,
    attribute_bytes: 40,
    comments: false,
    schema_locations: false,
};

/// What stands in a text, one thing after the other.
#[derive(Debug, PartialEq, Eq)]
enum Thing {
    Begins(String, String),
    Attribute(String, String, String),
    Text(String),
    Ends,
}

#[derive(Default)]
struct Things(Vec<Thing>);

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("what is shown is UTF-8")
}

impl Things {
    /// All text between two tags is one. The other reader leaves ends of lines of old Macs where a reference follows,
    /// which XML 1.0 §2.11 does not.
    fn push_text(&mut self, more: &str) {
        let more = &*more.replace('\r', "\n");
        match self.0.last_mut() {
            _ if more.is_empty() => {}
            Some(Thing::Text(text)) => text.push_str(more),
            _ => self.0.push(Thing::Text(more.to_owned())),
        }
    }

    fn push_node(&mut self, node: Node<'_, '_>) {
        if let Some(text) = node.text().filter(|_| node.is_text()) {
            self.push_text(text);
        }
        if !node.is_element() {
            return node.children().for_each(|child| self.push_node(child));
        }
        let namespace = |name: Option<&str>| name.unwrap_or_default().to_owned();
        let name = node.tag_name();
        let begins = Thing::Begins(namespace(name.namespace()), name.name().to_owned());
        self.0.push(begins);
        for each in node.attributes() {
            let (name, value) = (each.name().to_owned(), each.value().to_owned());
            let attribute = Thing::Attribute(namespace(each.namespace()), name, value);
            self.0.push(attribute);
        }
        node.children().for_each(|child| self.push_node(child));
        self.0.push(Thing::Ends);
    }
}

impl XmlWatch for Things {
    fn begins(&mut self, _: usize, name: XmlName<'_>) -> Result<(), XmlFault> {
        self.0
            .push(Thing::Begins(text(name.namespace), text(name.local)));
        Ok(())
    }

    fn attribute(&mut self, name: XmlName<'_>, value: XmlText<'_>) {
        let value = text(&value.decoded());
        self.0.push(Thing::Attribute(
            text(name.namespace),
            text(name.local),
            value,
        ));
    }

    fn text(&mut self, _: usize, shown: XmlText<'_>) -> Result<(), XmlFault> {
        self.push_text(&text(&shown.decoded()));
        Ok(())
    }

    fn ends(&mut self, _: usize) -> Result<(), XmlFault> {
        self.0.push(Thing::Ends);
        Ok(())
    }
}

/// The gate opens for nothing that a reader of another make does not read, and shows the same of it: the same
/// elements in the same namespaces, attributes and texts. A text in pieces comes to the same as in one, its place
/// included; tighter limits open the gate for nothing more; and what is a message of SOAP is XML.
///
/// # Panics
/// When that does not hold.
pub fn xml(bytes: &[u8]) -> bool {
    let mut things = Things::default();
    let verdict = watch(bytes, &LIMITS, &mut things);
    if verdict.is_ok() {
        let text = std::str::from_utf8(bytes).expect("what passes is UTF-8");
        match Document::parse(text) {
            Ok(document) => {
                let mut read = Things::default();
                read.push_node(document.root());
                assert_eq!(things.0, read.0);
            }
            // It knows no elements of that prefix, which is declared for all texts (Namespaces 1.0 §3).
            Err(Error::UnknownNamespace(prefix, _)) if prefix == "xml" => {}
            Err(error) => panic!("what passes is read: {error}"),
        }
    }
    if check(bytes, &NARROW).is_ok() {
        assert_eq!(verdict, Ok(()));
    }
    let operations = ExpandedName::parse("{urn:o}Get").map(|name| [name]);
    let soap = operations.as_ref().map(|operations| SoapRules {
        version: SoapVersion::One,
        action: Some(b"urn:a"),
        operations: Some(operations),
    });
    for (limits, soap) in [(LIMITS, None), (NARROW, None), (LIMITS, soap)] {
        let whole = in_pieces(bytes, bytes.len().max(1), limits, soap);
        for step in [1, 2, 7, bytes.len() / 2 + 1] {
            // What is left of a piece is looked at again with the next, here with each: in a long value that adds up. A
            // filter waits until as much has come.
            if bytes.len() / step > 1000 {
                continue;
            }
            assert_eq!(in_pieces(bytes, step, limits, soap), whole, "{step}");
        }
        if whole.is_ok() {
            assert_eq!(verdict, Ok(()));
        }
    }
    verdict.is_ok()
}

/// Judges a text of which so many bytes come at a time.
fn in_pieces(
    text: &[u8],
    step: usize,
    limits: XmlLimits,
    soap: Option<SoapRules<'_>>,
) -> Result<(), XmlError> {
    let (mut pieces, mut message, mut done) = (XmlPieces::new(limits), SoapMessage::default(), 0);
    let mut shape = XmlShape {
        roots: &[],
        soap,
        message: &mut message,
    };
    for end in (0..text.len()).step_by(step) {
        done += pieces.more(&text[done..end], &mut shape)?;
    }
    pieces.last(&text[done..], &mut shape)
}
