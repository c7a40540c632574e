//! From where it is known which certificate a client has.

use std::borrow::Cow;

use portcullis_document::{Node, Problems};
use portcullis_exchange::exchange::Edit;
use portcullis_exchange::host::{Host, Property};
use portcullis_exchange::refusal::Refusal;
use portcullis_wire::headers::HeaderName;
use portcullis_wire::json::Json;
use portcullis_wire::xfcc::{self, XfccError};

use super::refusals::{ELEMENTS, FORMAT, NOT_REPORTED, UNVERIFIED};

/// From where it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// From the connection, as this proxy sees it.
    Connection(Verification),
    /// From a header field that the proxies in front write, of which there are so many.
    Header { name: HeaderName, hops: usize },
}

/// What shows that the proxy has verified the certificate of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verification {
    /// It says so of this connection. Of a TLS session that was resumed it does not, and older ones never do.
    Reported,
    /// It has one, and the document says that the listener lets nobody in whose certificate it has not
    /// verified.
    ByListener,
}

/// What is known of a certificate.
#[derive(Debug, Default)]
pub(super) struct Certificate<'c> {
    pub(super) subject: Option<Cow<'c, str>>,
    pub(super) uris: Vec<Cow<'c, str>>,
    pub(super) dns: Vec<Cow<'c, str>>,
    /// In hexadecimal digits, of either case.
    pub(super) sha256: Option<Cow<'c, str>>,
}

/// Which of that is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Asked {
    pub(super) subject: bool,
    pub(super) uri: bool,
    pub(super) dns: bool,
    pub(super) sha256: bool,
}

const FIELD: &str = "x-forwarded-client-cert";
/// So many proxies there may be in front.
const MOST_HOPS: u64 = 8;

impl Default for Source {
    fn default() -> Self {
        Source::Connection(Verification::Reported)
    }
}

impl Source {
    /// Reads `source`.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        if let Json::String(_) = node.json() {
            let choices = [("connection", Verification::Reported)];
            return node.choice(problems, &choices).map(Source::Connection);
        }
        let mut fields = node.fields(problems)?;
        let connection = fields.optional("connection");
        let header = fields.optional("x_forwarded_client_cert");
        let source = match (connection, header) {
            (Some(_), Some(second)) => {
                second.report(
                    problems,
                    "cannot stand beside `connection`; make it a set of its own",
                );
                None
            }
            (Some(node), None) => read_connection(&node, problems),
            (None, Some(node)) => read_header(&node, problems),
            (None, None) => {
                fields.lacks(
                    &["connection", "x_forwarded_client_cert"],
                    problems,
                    "needs \"connection\" or \"x_forwarded_client_cert\"",
                );
                None
            }
        };
        fields.deny_unknown(problems);
        source
    }

    /// The header field, if it is one.
    pub(super) fn header(&self) -> Option<&HeaderName> {
        match self {
            Source::Connection(_) => None,
            Source::Header { name, .. } => Some(name),
        }
    }

    /// Whether a connection has a certificate, by what the proxy says.
    pub(super) fn is_presented(host: &dyn Host) -> bool {
        host.property(Property::PeerCertificatePresented).as_deref() == Some(&[1])
    }

    /// Whether a field tells of the client's certificate, and not only of proxies behind the first. One that
    /// cannot be read may tell of anything.
    pub(super) fn tells(value: &[u8], hops: usize) -> bool {
        xfcc::elements(value, hops).map_or(true, |elements| elements.len() >= hops)
    }

    /// What is known of the certificate.
    pub(super) fn certificate<'c>(
        &self,
        field: &'c [u8],
        asked: Asked,
        host: &dyn Host,
    ) -> Result<Certificate<'c>, Refusal> {
        match self {
            Source::Connection(verification) => of_connection(*verification, asked, host),
            Source::Header { hops, .. } => of_field(field, *hops),
        }
    }

    /// Takes the header field out.
    pub(super) fn take_out(&self, edits: &mut Vec<Edit>) {
        edits.extend(self.header().cloned().map(Edit::Remove));
    }
}

fn read_connection(node: &Node<'_>, problems: &mut Problems) -> Option<Source> {
    let mut fields = node.fields(problems)?;
    let choices = [
        ("reported", Verification::Reported),
        ("by_listener", Verification::ByListener),
    ];
    let verification = fields.or_default(
        "verified",
        Verification::Reported,
        problems,
        |node, problems| node.choice(problems, &choices),
    );
    fields.deny_unknown(problems);
    verification.map(Source::Connection)
}

fn read_header(node: &Node<'_>, problems: &mut Problems) -> Option<Source> {
    let mut fields = node.fields(problems)?;
    let hops = fields.or_default("hops", 1, problems, |node, problems| {
        node.integer(problems, 1..=MOST_HOPS)
    });
    fields.deny_unknown(problems);
    Some(Source::Header {
        name: HeaderName::parse(FIELD).ok()?,
        hops: usize::try_from(hops?).ok()?,
    })
}

fn of_connection(
    verification: Verification,
    asked: Asked,
    host: &dyn Host,
) -> Result<Certificate<'static>, Refusal> {
    if verification == Verification::Reported {
        match host.property(Property::PeerCertificateValid).as_deref() {
            Some([1]) => {}
            Some(_) => return Err(Refusal::new(&UNVERIFIED)),
            // Older proxies have no word for it.
            None => return Err(Refusal::new(&NOT_REPORTED)),
        }
    }
    // What is no text names nobody.
    let text = |is_asked: bool, property| {
        let value = is_asked.then(|| host.property(property)).flatten()?;
        String::from_utf8(value).ok().map(Cow::Owned)
    };
    Ok(Certificate {
        subject: text(asked.subject, Property::PeerSubject),
        uris: text(asked.uri, Property::PeerUri).into_iter().collect(),
        dns: text(asked.dns, Property::PeerDnsName).into_iter().collect(),
        sha256: text(asked.sha256, Property::PeerSha256),
    })
}

/// What the first of the proxies in front says: it has seen the client.
fn of_field(field: &[u8], hops: usize) -> Result<Certificate<'_>, Refusal> {
    let elements = xfcc::elements(field, hops).map_err(|error| match error {
        XfccError::Malformed => Refusal::new(&FORMAT),
        XfccError::TooMany => Refusal::new(&ELEMENTS),
    })?;
    let at = elements.len().checked_sub(hops);
    let element = at.and_then(|at| elements.into_iter().nth(at));
    let element = element.ok_or_else(|| Refusal::new(&FORMAT))?;
    Ok(Certificate {
        subject: element.subject,
        uris: element.uris,
        dns: element.dns,
        sha256: element.hash.map(Cow::Borrowed),
    })
}
