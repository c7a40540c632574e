//! What is known of the connection between client and proxy.

use std::cell::OnceCell;
use std::net::IpAddr;

use crate::host::{Host, Property};
use portcullis_wire::address;
use portcullis_wire::headers::Headers;

/// Whether it is encrypted, and where it comes from. A client writes the scheme of a request itself, over HTTP/2
/// and in an absolute URI, so that alone says nothing.
#[derive(Clone, Debug, Default)]
pub struct Connection {
    /// A proxy in front says so, or a client that wrote the same.
    forwarded_tls: bool,
    trusts_forwarded: bool,
    has_tls: OnceCell<bool>,
    /// Whether the client's address is by those in front, since the document trusts them.
    has_forwarded_client: bool,
    client: OnceCell<Option<IpAddr>>,
}

impl Connection {
    /// What a request says of it.
    pub fn of(request: &Headers) -> Self {
        Self {
            forwarded_tls: says_https(request),
            ..Self::default()
        }
    }

    /// What a request says of it whose `:scheme` is `https`, or not, which is nothing; and whose
    /// `X-Forwarded-Proto` is.
    #[inline]
    pub fn said(_claims_tls: bool, forwarded_tls: bool) -> Self {
        Self {
            forwarded_tls,
            ..Self::default()
        }
    }

    /// Notes whether `X-Forwarded-Proto` says that the client came over TLS.
    #[inline]
    pub fn note_forwarded(&mut self, tls: bool) {
        self.forwarded_tls = tls;
    }

    /// Has the client's address be that which proxies in front say, if the document trusts them: what
    /// [`crate::client_address::ClientAddress`] reads.
    #[inline]
    pub fn forward_client(&mut self, forwarded: Option<Option<IpAddr>>) {
        if let Some(client) = forwarded {
            self.has_forwarded_client = true;
            self.client = OnceCell::from(client);
        }
    }

    /// The client's address by proxies in front, where the document trusts them; `Some(None)` where that cannot
    /// be read.
    #[inline]
    pub fn forwarded_client(&self) -> Option<Option<IpAddr>> {
        let client = || self.client.get().copied().flatten();
        self.has_forwarded_client.then(client)
    }

    /// The client's address: by the proxy's word, which is asked for once, or by that of those in front. None if
    /// it is not said in a form that we know.
    #[inline]
    pub fn client(&self, host: &dyn Host) -> Option<IpAddr> {
        let ask = || address::with_port(&host.property(Property::ClientAddress)?);
        *self.client.get_or_init(ask)
    }

    /// Believes the proxy in front, or does not.
    #[inline]
    pub fn trust_forwarded_proto(&mut self, trusts: bool) {
        self.trusts_forwarded = trusts;
    }

    /// The scheme by what the proxy and those in front that the document trusts know, whatever the client says: a
    /// proxy in front that speaks TLS may write another `:scheme` than its client has.
    #[inline]
    pub fn scheme(&self, host: &dyn Host) -> Scheme {
        let forwarded = self.trusts_forwarded && self.forwarded_tls;
        if forwarded || self.has_tls(host) {
            Scheme::Https
        } else {
            Scheme::Http
        }
    }

    /// The proxy is asked once.
    fn has_tls(&self, host: &dyn Host) -> bool {
        let ask = || host.property(Property::TlsVersion).is_some();
        *self.has_tls.get_or_init(ask)
    }
}

/// Whether the proxy in front says that the client came over TLS.
pub fn says_https(headers: &Headers) -> bool {
    headers.one("x-forwarded-proto") == Ok(Some(b"https"))
}

/// The scheme of a client's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Cleartext, or unknown.
    Http,
    /// TLS.
    Https,
}

impl Scheme {
    /// As it is written in a URI.
    pub fn name(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }

    /// Reads `:scheme`: what the request says, and not what is known ([`Connection::scheme`]).
    pub fn of(headers: &Headers) -> Self {
        match headers.one(":scheme") {
            Ok(Some(b"https")) => Scheme::Https,
            _ => Scheme::Http,
        }
    }
}
