//! The certificate of the client's connection, as rules ask for it.

use portcullis_exchange::host::{Properties, Property};
use portcullis_wire::effort::{Effort, TooCostly};

use super::decision::{Fault, Truth};
use super::texts::Texts;

/// What the proxy tells of a certificate.
#[derive(Debug)]
pub(super) enum Peer {
    /// There is none.
    Absent,
    /// It cannot be told whose it is: the proxy does not report it as verified, so it may be anybody's, or does
    /// not say whether there is one.
    Untold,
    /// Its first URI and its first host name, which are all that the proxy tells; none of what is no text.
    Named(Vec<Option<String>>),
}

impl Peer {
    /// That of the connection.
    pub(super) fn of<H: Properties + ?Sized>(host: &H) -> Self {
        let says = |property| host.property(property);
        match says(Property::PeerCertificatePresented).as_deref() {
            Some(&[0]) => return Peer::Absent,
            Some(&[1]) => {}
            _ => return Peer::Untold,
        }
        if says(Property::PeerCertificateValid).as_deref() != Some(&[1]) {
            return Peer::Untold;
        }
        let names = [Property::PeerUri, Property::PeerDnsName].into_iter();
        let names = names.filter_map(says);
        Peer::Named(names.map(|name| String::from_utf8(name).ok()).collect())
    }

    /// Whether one of its names is one of these.
    pub(super) fn has_a_name_of(&self, texts: &Texts, effort: &Effort) -> Truth {
        let names = match self {
            Peer::Absent => return Truth::No,
            Peer::Untold => return Truth::Unknown(Fault::Certificate),
            Peer::Named(names) => names,
        };
        for name in names {
            let Some(name) = name else {
                return Truth::Unknown(Fault::Kind);
            };
            match texts.has(name, effort) {
                Ok(true) => return Truth::Yes,
                Ok(false) => {}
                Err(TooCostly) => return Truth::Unknown(Fault::Effort),
            }
        }
        Truth::No
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_memory_host::MemoryHost;

    #[test]
    fn only_a_proxy_that_says_so_has_no_certificate() {
        let peer = |properties: &[(Property, &[u8])]| {
            let host = MemoryHost::new();
            let host = properties.iter().fold(host, |host, (property, value)| {
                host.with_property(*property, *value)
            });
            Peer::of(&host)
        };
        assert!(matches!(peer(&[]), Peer::Untold));
        let presented = Property::PeerCertificatePresented;
        assert!(matches!(peer(&[(presented, &[0])]), Peer::Absent));
        assert!(matches!(peer(&[(presented, &[1])]), Peer::Untold));
        let valid = (Property::PeerCertificateValid, &[1][..]);
        let named = peer(&[(presented, &[1]), valid, (Property::PeerUri, b"spiffe://a")]);
        assert!(matches!(named, Peer::Named(names) if names == [Some("spiffe://a".to_owned())]));
    }
}
