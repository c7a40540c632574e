//! From where it is known which certificate a client has.

use std::borrow::Cow;

use portcullis_document::{Node, Problems};
use portcullis_exchange::exchange::Edit;
use portcullis_exchange::host::{Host, Property};
use portcullis_exchange::refusal::Refusal;
use portcullis_wire::headers::HeaderName;
use portcullis_wire::json::Json;
use portcullis_wire::xfcc::{self, XfccError};

use super::names::{Names, optional};
use super::refusals::{ELEMENTS, FORMAT, NOT_REPORTED, PROXY, UNVERIFIED};

/// From where it is known.
#[derive(Debug)]
pub(super) enum CertificateSource {
    /// From the connection, as this proxy sees it.
    Connection(Verification),
    /// From a header field.
    Header(Forwarded),
}

/// A header field that proxies write.
#[derive(Debug)]
pub(super) struct Forwarded {
    name: HeaderName,
    /// How many elements it has: two if this proxy adds one for the certificate of the one in front.
    hops: usize,
    sender: Option<ConnectedPeer>,
}

/// What must be known of the connection on which the field came, or of which it tells.
#[derive(Debug)]
struct ConnectedPeer {
    verification: Verification,
    /// The certificates of the proxies in front; empty if any will do.
    proxies: Vec<Names>,
    asked: Asked,
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
/// The most elements. Of what stands between two, this proxy's connection shows nothing.
const MOST_HOPS: u64 = 2;
/// The most entries of `proxies`.
const MOST_PROXIES: usize = 16;
const VERIFICATIONS: [(&str, Verification); 2] = [
    ("reported", Verification::Reported),
    ("by_listener", Verification::ByListener),
];

impl Default for CertificateSource {
    fn default() -> Self {
        CertificateSource::Connection(Verification::Reported)
    }
}

impl CertificateSource {
    /// Reads `source`.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        if let Json::String(name) = node.json() {
            if name == "x_forwarded_client_cert" {
                let reason = "must be an object: write {\"x_forwarded_client_cert\": {}}";
                node.report(problems, reason);
                return None;
            }
            let choices = [("connection", Verification::Reported)];
            return node
                .choice(problems, &choices)
                .map(CertificateSource::Connection);
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
            (None, Some(node)) => Forwarded::read(&node, problems).map(CertificateSource::Header),
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
            CertificateSource::Connection(_) => None,
            CertificateSource::Header(field) => Some(&field.name),
        }
    }

    /// How many bytes of memory it takes beside its own.
    pub(super) fn memory(&self) -> usize {
        match self {
            CertificateSource::Connection(_) => 0,
            CertificateSource::Header(forwarded) => forwarded.memory(),
        }
    }

    /// Whether a connection has a certificate, by what the proxy says.
    pub(super) fn is_presented(host: &dyn Host) -> bool {
        host.property(Property::PeerCertificatePresented).as_deref() == Some(&[1])
    }

    /// What is known of the certificate.
    pub(super) fn certificate<'c>(
        &self,
        field: &'c [u8],
        asked: Asked,
        host: &dyn Host,
    ) -> Result<Certificate<'c>, Refusal> {
        match self {
            CertificateSource::Connection(verification) => {
                of_connection(*verification, asked, host)
            }
            CertificateSource::Header(forwarded) => {
                forwarded.check_sender(host)?;
                of_field(field, forwarded.hops)
            }
        }
    }

    /// Takes the header field out.
    pub(super) fn take_out(&self, edits: &mut Vec<Edit>) {
        edits.extend(self.header().cloned().map(Edit::Remove));
    }
}

impl Forwarded {
    /// Reads `x_forwarded_client_cert`.
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let hops = fields.or_default("hops", 1, problems, read_hops);
        let verified = optional("verified", &mut fields, problems, read_verification);
        let proxies = optional("proxies", &mut fields, problems, read_proxies);
        fields.deny_unknown(problems);
        let (hops, verified, proxies) = (hops?, verified?, proxies?);
        if hops > 1 && proxies.is_none() {
            let reason = "needs `proxies` where `hops` is 2: whoever may connect here could write the first element, and this proxy would add the second";
            problems.lacks(node.pointer(), reason);
            return None;
        }
        let is_asked = verified.is_some() || proxies.is_some();
        let sender = is_asked.then(|| {
            let proxies = proxies.unwrap_or_default();
            let mut asked = Asked::default();
            proxies.iter().for_each(|proxy| proxy.asks(&mut asked));
            ConnectedPeer {
                verification: verified.unwrap_or(Verification::Reported),
                proxies,
                asked,
            }
        });
        Some(Self {
            name: HeaderName::parse(FIELD).ok()?,
            hops: usize::try_from(hops).ok()?,
            sender,
        })
    }

    /// Whether a field tells of the client's certificate, and not only of the proxy in front. One that cannot
    /// be read may tell of anything.
    pub(super) fn tells(&self, value: &[u8]) -> bool {
        let hops = self.hops;
        // Whatever is read has one.
        hops <= 1 || xfcc::elements(value, hops).map_or(true, |elements| elements.len() >= hops)
    }

    /// Whether anything shows that a proxy has written the field.
    pub(super) fn knows_sender(&self) -> bool {
        self.sender.is_some()
    }

    fn memory(&self) -> usize {
        let proxies = self.sender.iter().flat_map(|sender| &sender.proxies);
        let each = proxies.map(|proxy| size_of::<Names>().saturating_add(proxy.memory()));
        each.fold(0, usize::saturating_add)
    }

    /// Asks the connection, and not the element that this proxy has added: the names in that stand between
    /// marks that names may have in them.
    fn check_sender(&self, host: &dyn Host) -> Result<(), Refusal> {
        let Some(sender) = &self.sender else {
            return Ok(());
        };
        if !CertificateSource::is_presented(host) {
            return Err(Refusal::new(&UNVERIFIED));
        }
        let certificate = of_connection(sender.verification, sender.asked, host)?;
        let mut proxies = sender.proxies.iter();
        let is_known = proxies.any(|proxy| proxy.fit(&certificate).is_some());
        match is_known || sender.proxies.is_empty() {
            true => Ok(()),
            false => Err(Refusal::new(&PROXY)),
        }
    }
}

fn read_connection(node: &Node<'_>, problems: &mut Problems) -> Option<CertificateSource> {
    let mut fields = node.fields(problems)?;
    let verification = fields.or_default(
        "verified",
        Verification::Reported,
        problems,
        read_verification,
    );
    fields.deny_unknown(problems);
    verification.map(CertificateSource::Connection)
}

fn read_verification(node: &Node<'_>, problems: &mut Problems) -> Option<Verification> {
    node.choice(problems, &VERIFICATIONS)
}

fn read_hops(node: &Node<'_>, problems: &mut Problems) -> Option<u64> {
    let written = match node.json() {
        Json::Number(number) => number.as_u64(),
        _ => None,
    };
    if written.is_some_and(|hops| hops > MOST_HOPS) {
        node.report(
            problems,
            "must be 1 or 2: of elements between the first and the last, nothing shows who wrote them; let the proxies between say `FORWARD_ONLY`, which adds none",
        );
        return None;
    }
    node.integer(problems, 1..=MOST_HOPS)
}

fn read_proxies(node: &Node<'_>, problems: &mut Problems) -> Option<Vec<Names>> {
    let proxies = node.list(problems, |node, problems| {
        let mut fields = node.object(problems, "{\"spiffe\": {\"exact\": \"…\"}}")?;
        let names = Names::read(&mut fields, problems)?;
        fields.deny_unknown(problems);
        Some(names)
    })?;
    if proxies.is_empty() {
        node.report(problems, "must not be empty: nobody could call");
        return None;
    }
    if proxies.len() > MOST_PROXIES {
        node.report(problems, format_args!("has more than {MOST_PROXIES} items"));
        return None;
    }
    Some(proxies)
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

/// What the first of the proxies says: it has seen the client.
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

#[cfg(test)]
mod tests {
    use portcullis_memory_host::MemoryHost;

    use super::*;

    const CLIENT: &[u8] = b"URI=https://client.example";
    const BOTH: &[u8] = b"URI=https://client.example,URI=https://edge.example";

    fn read(source: &str) -> Result<CertificateSource, String> {
        let json = Json::parse(source.as_bytes(), 16).unwrap();
        let mut problems = Problems::default();
        let read = CertificateSource::read(&Node::root(&json), &mut problems);
        problems
            .into_result(read)
            .map_err(|error| error.to_string())
    }

    /// A connection whose certificate has that URI; Envoy says so much of its verification.
    fn connection(uri: &str, verified: Option<u8>) -> MemoryHost {
        let host = MemoryHost::default()
            .with_property(Property::PeerCertificatePresented, [1])
            .with_property(Property::PeerUri, uri.as_bytes());
        match verified {
            Some(verified) => host.with_property(Property::PeerCertificateValid, [verified]),
            None => host,
        }
    }

    /// The reason for which a field is refused; none if the client is `client.example`.
    fn refused(
        source: &CertificateSource,
        field: &[u8],
        host: &MemoryHost,
    ) -> Option<&'static str> {
        match source.certificate(field, Asked::default(), host) {
            Ok(certificate) => {
                assert_eq!(certificate.uris, ["https://client.example"]);
                None
            }
            Err(refusal) => Some(refusal.reason.name),
        }
    }

    #[test]
    fn the_proxy_in_front_is_known_by_the_connection() {
        for (hops, field) in [(1, CLIENT), (2, BOTH)] {
            let source = read(&format!(
                r#"{{"x_forwarded_client_cert": {{"hops": {hops}, "proxies": [{{"dns": "a.example"}}, {{"uri": "https://edge.example"}}]}}}}"#
            ));
            let source = source.unwrap();
            let reason = |uri: &str, verified| refused(&source, field, &connection(uri, verified));
            assert_eq!(reason("https://edge.example", Some(1)), None);
            assert_eq!(reason("https://edge.example", Some(0)), Some("unverified"));
            assert_eq!(reason("https://edge.example", None), Some("not_reported"));
            assert_eq!(reason("https://other.example", Some(1)), Some("proxy"));
            // A name in which the elements of two certificates stand.
            let both = "https://client.example,URI=https://edge.example";
            assert_eq!(reason(both, Some(1)), Some("proxy"));
            assert_eq!(
                refused(&source, field, &MemoryHost::default()),
                Some("unverified")
            );
        }
    }

    #[test]
    fn the_listener_may_be_believed_of_proxies_too() {
        let source = read(
            r#"{"x_forwarded_client_cert": {"verified": "by_listener", "proxies": [{"uri": "https://edge.example"}]}}"#,
        );
        let source = source.unwrap();
        let reason = |uri| refused(&source, CLIENT, &connection(uri, None));
        assert_eq!(reason("https://edge.example"), None);
        assert_eq!(reason("https://client.example"), Some("proxy"));
    }

    #[test]
    fn what_this_proxy_writes_of_a_connection_may_be_asked_of_it() {
        let source = read(r#"{"x_forwarded_client_cert": {"verified": "reported"}}"#).unwrap();
        let reason = |verified| {
            let host = connection("https://client.example", verified);
            refused(&source, CLIENT, &host)
        };
        assert_eq!(reason(Some(1)), None);
        assert_eq!(reason(Some(0)), Some("unverified"));
        assert_eq!(reason(None), Some("not_reported"));
        let alone = read(r#"{"x_forwarded_client_cert": {}}"#).unwrap();
        assert_eq!(refused(&alone, CLIENT, &MemoryHost::default()), None);
    }

    #[test]
    fn more_elements_are_believed_of_known_proxies_alone() {
        for (source, reason) in [
            (r#"{"hops": 2}"#, "needs `proxies`"),
            (r#"{"hops": 2, "verified": "reported"}"#, "needs `proxies`"),
            (
                r#"{"hops": 3, "proxies": [{"dns": "a"}]}"#,
                "must be 1 or 2",
            ),
            (r#"{"proxies": []}"#, "must not be empty"),
            (r#"{"proxies": [{}]}"#, "would be every certificate"),
        ] {
            let text = format!(r#"{{"x_forwarded_client_cert": {source}}}"#);
            let error = read(&text).map(|_| ()).unwrap_err();
            assert!(error.contains(reason), "{source}: {error}");
        }
    }
}
