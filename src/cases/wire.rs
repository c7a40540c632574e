//! Requests and responses as bytes, as the backends exchange them.

/// One HTTP request, with every part as bytes so that hostile ones can be written down.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The protocol to send it with.
    pub version: Version,
    /// The method token.
    pub method: Vec<u8>,
    /// The request target, query included.
    pub path: Vec<u8>,
    /// The `Host` or `:authority`.
    pub authority: Vec<u8>,
    /// Fields in order; duplicates stay duplicates.
    pub headers: Vec<(Vec<u8>, Vec<u8>)>,
    /// The body in the pieces in which it is sent; more than one piece, or
    /// trailers, makes an HTTP/1.1 body chunked. `None`: no body at all.
    pub body: Option<Vec<Vec<u8>>>,
    /// Trailer fields, sent after the body.
    pub trailers: Vec<(Vec<u8>, Vec<u8>)>,
}

/// The protocol version of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Version {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 over cleartext with prior knowledge.
    Http2,
}

/// What came back.
#[derive(Clone, Debug, Default)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// Fields in order, names in lower case.
    pub headers: Vec<(String, Vec<u8>)>,
    /// The body, de-chunked.
    pub body: Vec<u8>,
    /// Trailer fields.
    pub trailers: Vec<(String, Vec<u8>)>,
}
