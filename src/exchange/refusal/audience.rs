//! In which protocol a client expects to learn of a failure.

use super::document::{ErrorFormat, ErrorPage};
use super::grpc_web::GrpcWeb;
use portcullis_wire::headers::Headers;

/// In which protocol the client expects its errors.
#[derive(Clone, Copy, Debug)]
pub enum ErrorProtocol<'a> {
    /// A document with an HTTP status.
    Http(ErrorFormat<'a>),
    /// A gRPC status, which the proxy writes.
    Grpc,
    /// A gRPC status in a body that scripts can read.
    GrpcWeb(GrpcWeb<'a>),
}

impl<'a> ErrorProtocol<'a> {
    /// Whose request it is. `page` is for browsers, if the route has one.
    ///
    /// gRPC goes by the rule of Envoy's `Grpc::Common::isGrpcRequestHeaders`: the proxy turns our
    /// answer into a gRPC status by that rule, so the body must fit it.
    pub fn of(headers: &'a Headers, page: Option<&'a ErrorPage>) -> Self {
        let media_type = headers.all("content-type").next().unwrap_or_default();
        match media_type.strip_prefix(b"application/grpc") {
            Some([] | [b'+', ..]) => ErrorProtocol::Grpc,
            Some(_) => match GrpcWeb::of(media_type) {
                Some(protocol) => ErrorProtocol::GrpcWeb(protocol),
                None => ErrorProtocol::Http(ErrorFormat::of(headers, page)),
            },
            None => ErrorProtocol::Http(ErrorFormat::of(headers, page)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn grpc_is_told_apart_as_the_proxy_does() {
        let of = |value: &[u8]| {
            let mut headers = Headers::default();
            headers.push(b"content-type", value);
            match ErrorProtocol::of(&headers, None) {
                ErrorProtocol::Http(_) => "http",
                ErrorProtocol::Grpc => "grpc",
                ErrorProtocol::GrpcWeb(_) => "grpc-web",
            }
        };
        for (media_type, audience) in [
            ("application/grpc", "grpc"),
            ("application/grpc+proto", "grpc"),
            ("application/grpc-web", "grpc-web"),
            ("application/grpc-web+proto", "grpc-web"),
            ("application/grpc-web-text+proto; charset=x", "grpc-web"),
            ("application/grpc-website", "http"),
            ("application/grpc-web+<x>", "http"),
            ("application/grpc;x=y", "http"),
            ("application/json", "http"),
            ("", "http"),
        ] {
            assert_eq!(of(media_type.as_bytes()), audience, "{media_type}");
        }
    }
}
