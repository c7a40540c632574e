//! The certificate of the client's connection, as rules ask for it.

use portcullis_exchange::host::{Properties, Property};
use portcullis_wire::effort::{Effort, TooCostly};

use super::decision::{Fault, Truth};
use super::texts::Texts;

/// Whether one of its names is one of these: the first URI and the first host name, which are all that the proxy
/// tells. A certificate that the proxy does not report as verified may be anybody's.
pub(super) fn has_a_name_of<H: Properties + ?Sized>(
    host: &H,
    texts: &Texts,
    effort: &Effort,
) -> Truth {
    let says_yes = |property| host.property(property).as_deref() == Some(&[1]);
    if !says_yes(Property::PeerCertificatePresented) {
        return Truth::No;
    }
    if !says_yes(Property::PeerCertificateValid) {
        return Truth::Unknown(Fault::Certificate);
    }
    for property in [Property::PeerUri, Property::PeerDnsName] {
        let Some(name) = host.property(property) else {
            continue;
        };
        let Ok(name) = String::from_utf8(name) else {
            return Truth::Unknown(Fault::Kind);
        };
        match texts.has(&name, effort) {
            Ok(true) => return Truth::Yes,
            Ok(false) => {}
            Err(TooCostly) => return Truth::Unknown(Fault::Effort),
        }
    }
    Truth::No
}
