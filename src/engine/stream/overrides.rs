//! Header fields and trailers of clients' that the upstream must not get: overrides of method and path, names that are the filter's.

use crate::engine::{Engine, Overrides};
use portcullis_document::header::OVERRIDES;
use portcullis_exchange::exchange::Edit;
use portcullis_wire::headers::{HeaderName, Headers, are_alike};

/// The fields by which a request names another method or path.
pub fn override_fields() -> &'static [&'static str] {
    &OVERRIDES
}

/// RFC 9110 §6.5.1: what frames or routes a message, changes what it asks for, says who asks, or tells how
/// its content is read has been judged, or could have been, when trailers come. A service that takes
/// trailers for header fields would believe it unjudged.
const NO_TRAILERS: [&str; 48] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "api-key",
    "apikey",
    "authorization",
    "cache-control",
    "cf-connecting-ip",
    "connection",
    "cookie",
    "early-data",
    "expect",
    "fastly-client-ip",
    "forwarded",
    "from",
    "host",
    "keep-alive",
    "max-forwards",
    "origin",
    "pragma",
    "prefer",
    "priority",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "referer",
    "set-cookie",
    "te",
    "traceparent",
    "tracestate",
    "trailer",
    "transfer-encoding",
    "true-client-ip",
    "upgrade",
    "user-agent",
    "via",
    "x-access-token",
    "x-api-key",
    "x-auth-token",
    "x-client-ip",
    "x-cluster-client-ip",
    "x-csrf-token",
    "x-host",
    "x-http-method",
    "x-method-override",
    "x-real-ip",
    "x-request-id",
    "x-xsrf-token",
];

/// The same, of all names that begin so.
const NO_TRAILERS_OF: [&str; 8] = [
    "access-control-",
    "content-",
    "if-",
    "sec-",
    "x-envoy-",
    "x-forwarded-",
    "x-original-",
    "x-rewrite-",
];

/// Whether a field names another method or path.
fn is_override(name: &[u8]) -> bool {
    // Most fields are told apart by this.
    name.first() == Some(&b'x')
        && OVERRIDES
            .iter()
            .any(|each| are_alike(each.as_bytes(), name))
}

/// Whether a request has a field that names another method or path.
pub(super) fn has_override(headers: &Headers) -> bool {
    headers.iter().any(|(name, _)| is_override(name))
}

/// Removes what only this filter may set, and what names another method or path, in every spelling that
/// services fold together.
pub(super) fn strip_reserved_headers(engine: &Engine, headers: &Headers) -> Vec<Edit> {
    let strips = engine.overrides == Overrides::Strip;
    if engine.owned_request_headers.is_empty() && !strips {
        return Vec::new();
    }
    removed(headers, |name| {
        is_among(&engine.owned_request_headers, name) || (strips && is_override(name))
    })
}

/// Removes from trailers what is no use there.
pub(super) fn strip_reserved_trailers(engine: &Engine, trailers: &Headers) -> Vec<Edit> {
    removed(trailers, |name| {
        NO_TRAILERS
            .iter()
            .any(|each| are_alike(each.as_bytes(), name))
            || NO_TRAILERS_OF.iter().any(|begins| {
                let start = name.get(..begins.len());
                start.is_some_and(|start| are_alike(begins.as_bytes(), start))
            })
            || is_override(name)
            || is_among(&engine.owned_request_headers, name)
            || is_among(&engine.judged_request_headers, name)
    })
}

/// Removes from trailers what asks for an explanation: its value may be a secret.
pub(super) fn strip_explain_trailer(engine: &Engine, trailers: &Headers) -> Vec<Edit> {
    let asks = engine.explain.as_ref().map(|explain| explain.header());
    removed(trailers, |name| {
        asks.is_some_and(|asks| are_alike(asks.as_str().as_bytes(), name))
    })
}

fn is_among(names: &[HeaderName], name: &[u8]) -> bool {
    names
        .iter()
        .any(|each| are_alike(each.as_str().as_bytes(), name))
}

/// Removes every field that is meant.
fn removed(headers: &Headers, is_meant: impl Fn(&[u8]) -> bool) -> Vec<Edit> {
    let names = headers.iter().map(|(name, _)| name);
    let meant = names.filter(|name| is_meant(name));
    let parsed = meant.filter_map(|name| HeaderName::parse(std::str::from_utf8(name).ok()?).ok());
    parsed.map(Edit::Remove).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn engine(more: &str) -> Engine {
        let document = format!(
            r#"{{"version": 1, {more} "routes": [{{"name": "a", "match": {{"headers": [{{"name": "x-tenant", "present": true}}]}}, "open": true}}]}}"#
        );
        Engine::compile(document.as_bytes()).unwrap()
    }

    fn left(of: &[&str], edits: &[Edit]) -> Vec<String> {
        let gone = |name: &&&str| {
            let mut edits = edits.iter();
            edits.any(|edit| matches!(edit, Edit::Remove(each) if each.as_str() == **name))
        };
        let left = of.iter().filter(|name| !gone(name));
        left.map(|name| (*name).to_owned()).collect()
    }

    fn fields(names: &[&str]) -> Headers {
        let mut fields = Headers::default();
        for name in names {
            fields.push(name.as_bytes(), b"1");
        }
        fields
    }

    #[test]
    fn trailers_keep_what_belongs_there() {
        let engine = engine(r#""explain": {"header": "x-why", "addresses": ["10.0.0.0/8"]},"#);
        let names = [
            "authorization",
            "Content_Length",
            "content-type",
            "x-forwarded-for",
            "x.forwarded.host",
            "if-none-match",
            "x_http_method_override",
            "x-original-url",
            "host",
            "te",
            "x-tenant",
            "x*tenant",
            "true_client-ip",
            "x-auth-token",
            "grpc-status",
            "digest",
            "server-timing",
            "x-checksum",
            "x-why",
        ];
        let names = names.map(str::to_ascii_lowercase);
        let names = names.each_ref().map(String::as_str);
        let kept = left(&names, &strip_reserved_trailers(&engine, &fields(&names)));
        let expected = [
            "grpc-status",
            "digest",
            "server-timing",
            "x-checksum",
            "x-why",
        ];
        assert_eq!(kept, expected);
        let edits = strip_explain_trailer(&engine, &fields(&["x_why", "x-checksum"]));
        assert_eq!(left(&["x_why", "x-checksum"], &edits), ["x-checksum"]);
    }

    #[test]
    fn overrides_are_known_in_every_spelling() {
        let names = [
            "x-http-method-override",
            "x_http_method",
            "x.method~override",
            "x-original-url",
            "x-rewrite-url",
            "x-http-methods",
            "x-original-uri",
            "http-method",
        ];
        let stripping = engine(r#""requests": {"override_headers": "strip"},"#);
        let kept = left(&names, &strip_reserved_headers(&stripping, &fields(&names)));
        assert_eq!(kept, ["x-http-methods", "x-original-uri", "http-method"]);
        assert_eq!(strip_reserved_headers(&engine(""), &fields(&names)), []);
    }
}
