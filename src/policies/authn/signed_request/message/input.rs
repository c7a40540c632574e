//! `Signature-Input`: what a signature covers, and what it says of itself. RFC 9421 §2.3 and §4.1.

use portcullis_wire::structured::{BareItem, InnerList, StructuredItem};

/// What a signature covers, and what it says of itself.
#[derive(Debug)]
pub(super) struct SignatureInput<'i> {
    pub(super) covered: Vec<Covered<'i>>,
    pub(super) created: Option<u64>,
    pub(super) expires: Option<u64>,
    pub(super) nonce: Option<&'i str>,
    pub(super) key: Option<&'i str>,
    pub(super) algorithm: Option<&'i str>,
    /// As it stands in the signature base.
    pub(super) written: &'i InnerList,
}

/// A component that is covered.
#[derive(Debug)]
pub(super) struct Covered<'i> {
    pub(super) name: &'i str,
    pub(super) how: Shape<'i>,
    /// Its identifier, as it stands in the signature base.
    pub(super) written: &'i StructuredItem,
}

/// How a component is taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape<'i> {
    /// As it is.
    Plain,
    /// `;bs`: each value of the field as a byte sequence.
    Bytes,
    /// `;key`: one member of a dictionary.
    Key(&'i str),
    /// `;name`: one parameter of the query.
    Parameter(&'i str),
}

/// What is wrong with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum InputError {
    /// It is not of the form.
    Form,
    /// It covers what cannot be covered, or is not taken here.
    Component,
}

/// The most components that a signature may cover.
pub(super) const MOST_COMPONENTS: usize = 32;
/// The longest nonce, key id and tag, in bytes.
const LONGEST: usize = 256;

impl<'i> SignatureInput<'i> {
    /// Reads the member of one label.
    pub(super) fn read(written: &'i InnerList) -> Result<Self, InputError> {
        if written.items.len() > MOST_COMPONENTS {
            return Err(InputError::Component);
        }
        let mut covered: Vec<Covered<'i>> = Vec::with_capacity(written.items.len());
        for item in &written.items {
            let component = Covered::read(item)?;
            // RFC 9421 §2: an identifier comes once. Each has one parameter at most, so none has two orders.
            let is_known =
                |each: &Covered<'_>| each.name == component.name && each.how == component.how;
            if covered.iter().any(is_known) {
                return Err(InputError::Component);
            }
            covered.push(component);
        }
        let number = |name| match written.parameters.find(name) {
            None => Ok(None),
            Some(BareItem::Integer(seconds)) => u64::try_from(*seconds)
                .map(Some)
                .map_err(|_| InputError::Form),
            Some(_) => Err(InputError::Form),
        };
        let text = |name| match written.parameters.find(name) {
            None => Ok(None),
            Some(BareItem::Text(text)) if text.len() <= LONGEST => Ok(Some(&**text)),
            Some(_) => Err(InputError::Form),
        };
        text("tag")?;
        Ok(Self {
            covered,
            created: number("created")?,
            expires: number("expires")?,
            nonce: text("nonce")?,
            key: text("keyid")?,
            algorithm: text("alg")?,
            written,
        })
    }

    /// Whether a component is covered as it is, by itself or as a part of another.
    pub(super) fn covers(&self, name: &str) -> bool {
        let mut covered = self.covered.iter();
        covered.any(|each| each.how == Shape::Plain && has(each.name, name))
    }
}

/// Whether the value of a component tells that of another: RFC 9421 §2.2.2 and §2.2.5.
fn has(whole: &str, part: &str) -> bool {
    match whole {
        "@target-uri" => {
            ["@target-uri", "@scheme", "@authority", "@path", "@query"].contains(&part)
        }
        "@request-target" => ["@request-target", "@path", "@query"].contains(&part),
        _ => whole == part,
    }
}

impl<'i> Covered<'i> {
    fn read(written: &'i StructuredItem) -> Result<Self, InputError> {
        let BareItem::Text(name) = &written.bare else {
            return Err(InputError::Form);
        };
        let how = match &written.parameters.0[..] {
            [] => Shape::Plain,
            [(parameter, value)] => match (&**parameter, value) {
                ("bs", BareItem::Boolean(true)) => Shape::Bytes,
                ("key", BareItem::Text(key)) => Shape::Key(key),
                ("name", BareItem::Text(parameter)) => Shape::Parameter(parameter),
                // `sf` needs to know the type of every field, `tr` trailers, and `req` has no place in a
                // request (§2.4).
                _ => return Err(InputError::Component),
            },
            _ => return Err(InputError::Component),
        };
        let is_known = match name.strip_prefix('@') {
            Some(_) => match how {
                Shape::Plain => is_derived(name),
                Shape::Parameter(_) => name == "@query-param",
                Shape::Bytes | Shape::Key(_) => false,
            },
            None => is_field(name) && !matches!(how, Shape::Parameter(_)),
        };
        match is_known {
            true => Ok(Self { name, how, written }),
            false => Err(InputError::Component),
        }
    }
}

/// Whether it is a component of a request that needs no parameter, RFC 9421 §2.2.
pub(super) fn is_derived(name: &str) -> bool {
    const NAMES: [&str; 7] = [
        "@method",
        "@target-uri",
        "@authority",
        "@scheme",
        "@request-target",
        "@path",
        "@query",
    ];
    NAMES.contains(&name)
}

/// Whether it is the name of a field: in lower case, RFC 9421 §2.1.
pub(super) fn is_field(name: &str) -> bool {
    let plain = |b: u8| portcullis_wire::headers::is_token_byte(b) && !b.is_ascii_uppercase();
    !name.is_empty() && name.bytes().all(plain)
}
