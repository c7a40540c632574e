//! gRPC-Web: statuses in a form that scripts in browsers can read.
//!
//! A browser does not show trailers to scripts, so the protocol puts them into the body, as the
//! last message. Clients read that message whatever header fields CORS lets them see.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use portcullis_wire::headers::HeaderValue;

/// The form of gRPC-Web that a client speaks.
#[derive(Clone, Copy, Debug)]
pub struct GrpcWeb<'a> {
    media_type: &'a str,
    encoding: Encoding,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Encoding {
    Binary,
    /// Base64, for `-text`.
    Text,
}

impl<'a> GrpcWeb<'a> {
    /// Reads a request's media type; parameters do not count.
    pub(super) fn of(media_type: &'a [u8]) -> Option<Self> {
        const LONGEST: usize = 64;
        let text = std::str::from_utf8(media_type).ok()?;
        let text = text.split(';').next().unwrap_or_default().trim_ascii_end();
        let rest = text.strip_prefix("application/grpc-web")?;
        let (encoding, rest) = match rest.strip_prefix("-text") {
            Some(rest) => (Encoding::Text, rest),
            None => (Encoding::Binary, rest),
        };
        let is_format = |format: &str| {
            !format.is_empty()
                && format
                    .bytes()
                    .all(|b| b.is_ascii_alphanumeric() || b == b'-')
        };
        let known = rest.is_empty() || rest.strip_prefix('+').is_some_and(is_format);
        (known && text.len() <= LONGEST).then_some(Self {
            media_type: text,
            encoding,
        })
    }

    /// The media type of the response: the request's own.
    pub(super) fn media_type(self) -> Option<HeaderValue> {
        HeaderValue::parse(self.media_type.as_bytes()).ok()
    }

    /// A body of trailers alone.
    pub(super) fn trailers(self, status: u32, message: &str) -> Vec<u8> {
        const TRAILERS: u8 = 0x80;
        let message = percent_encoded(message);
        let trailers = format!("grpc-status:{status}\r\ngrpc-message:{message}\r\n");
        let length = u32::try_from(trailers.len()).unwrap_or_default();
        let mut frame = vec![TRAILERS];
        frame.extend_from_slice(&length.to_be_bytes());
        frame.extend_from_slice(trailers.as_bytes());
        match self.encoding {
            Encoding::Binary => frame,
            Encoding::Text => STANDARD.encode(&frame).into_bytes(),
        }
    }
}

/// As gRPC's HTTP/2 mapping wants messages.
fn percent_encoded(message: &str) -> String {
    let encode = |b: u8| match b {
        b'%' => "%25".to_owned(),
        b' '..=b'~' => char::from(b).to_string(),
        _ => format!("%{b:02X}"),
    };
    message.bytes().map(encode).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trailers_are_a_message_of_their_own() {
        let binary = GrpcWeb::of(b"application/grpc-web+proto").unwrap();
        let body = binary.trailers(16, "100 % ü");
        let text = b"grpc-status:16\r\ngrpc-message:100 %25 %C3%BC\r\n";
        let length = u8::try_from(text.len()).unwrap();
        assert_eq!(body, [&[0x80, 0, 0, 0, length], &text[..]].concat());
        let text = GrpcWeb::of(b"application/grpc-web-text").unwrap();
        let body = text.trailers(16, "x");
        assert!(body.starts_with(b"gAAAA") && body.len().is_multiple_of(4));
    }
}
