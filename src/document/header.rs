//! Names of header fields that a document has the filter write or take away.
//!
//! What frames a message, or says which way it goes, is not for a document to change: a wrong length
//! is a way to smuggle a second message in.

use super::node::Node;
use super::problem::Problems;
use portcullis_wire::headers::{HeaderError, HeaderName, fold};

/// Fields of messages that frame them, route them, or say how they are encoded. Those that begin with
/// `proxy-` belong to them as well, but for `proxy-status`, which tells.
const FRAMING: [&str; 11] = [
    "connection",
    "content-encoding",
    "content-length",
    "expect",
    "host",
    "http2-settings",
    "keep-alive",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Fields of requests that mean something by themselves.
const OF_REQUESTS: [&str; 21] = [
    "accept",
    "accept-encoding",
    "access-control-request-headers",
    "access-control-request-method",
    "authorization",
    "content-type",
    "cookie",
    "forwarded",
    "if-match",
    "if-none-match",
    "if-range",
    "origin",
    "range",
    "set-cookie",
    "user-agent",
    "via",
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-port",
    "x-forwarded-proto",
    "x-request-id",
];

/// The request's own method and path are what is judged; these name others. Symfony, Zend and IIS read the
/// last two.
pub const OVERRIDES: [&str; 5] = [
    "x-http-method-override",
    "x-http-method",
    "x-method-override",
    "x-original-url",
    "x-rewrite-url",
];

/// Whether a field of requests means something by itself, so that a client's own is not to be removed.
pub fn has_meaning_in_requests(name: &HeaderName) -> bool {
    let folded = folded(name);
    OF_REQUESTS.contains(&folded.as_str()) || folded.starts_with("sec-")
}

/// Fields of responses that mean something by themselves.
const OF_RESPONSES: [&str; 21] = [
    "age",
    "allow",
    "cache-control",
    "content-disposition",
    "content-language",
    "content-location",
    "content-range",
    "content-security-policy",
    "content-type",
    "date",
    "etag",
    "expires",
    "last-modified",
    "link",
    "location",
    "refresh",
    "retry-after",
    "set-cookie",
    "strict-transport-security",
    "vary",
    "www-authenticate",
];

/// Whether fields of that name are none that a document may have written or taken away.
pub fn is_framing(name: &HeaderName) -> bool {
    let folded = folded(name);
    let is_of_proxies = folded.starts_with("proxy-") && folded != "proxy-status";
    FRAMING.contains(&folded.as_str()) || is_of_proxies
}

/// Reads the name of any header field.
///
/// # Errors
/// It is none, or frames messages: that has been reported then.
pub fn read_changeable(node: &Node<'_>, problems: &mut Problems) -> Option<HeaderName> {
    changeable(node, HeaderName::parse(node.text(problems)?), problems)
}

/// The same, of a name that stands as a member's.
pub fn changeable(
    node: &Node<'_>,
    name: Result<HeaderName, HeaderError>,
    problems: &mut Problems,
) -> Option<HeaderName> {
    match name {
        Ok(name) if is_framing(&name) => {
            node.report(
                problems,
                "frames or routes messages; it cannot be set or removed",
            );
            None
        }
        Ok(name) => Some(name),
        Err(error) => {
            node.report(problems, error);
            None
        }
    }
}

/// Reads the name of a request's field that the filter claims for itself: a client's own is removed
/// on every route.
pub fn read_claimed(node: &Node<'_>, problems: &mut Problems) -> Option<HeaderName> {
    let name = read_changeable(node, problems)?;
    if has_meaning_in_requests(&name) {
        node.report(
            problems,
            "has a meaning of its own, and would be removed from every request; choose another name",
        );
        return None;
    }
    Some(name)
}

/// Reads the name of a response's field for a value of the filter's own.
pub fn read_told(node: &Node<'_>, problems: &mut Problems) -> Option<HeaderName> {
    let name = read_changeable(node, problems)?;
    let folded = folded(&name);
    if OF_RESPONSES.contains(&folded.as_str()) || folded.starts_with("access-control-") {
        node.report(problems, "has a meaning of its own; choose another name");
        return None;
    }
    Some(name)
}

/// As servers read names that make variables of them: `content_length` is `content-length`.
fn folded(name: &HeaderName) -> String {
    name.as_str().bytes().map(fold).map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::json::Json;

    #[test]
    fn names_that_frame_messages_are_known_however_they_are_spelled() {
        let frames = |name: &str| is_framing(&HeaderName::parse(name).unwrap());
        for name in [
            "Content-Length",
            "content_length",
            "transfer.encoding",
            "HOST",
            "te",
            "Proxy-Connection",
            "proxy_authorization",
            "trailer",
        ] {
            assert!(frames(name), "{name}");
        }
        for name in [
            "x-content-length",
            "contentlength",
            "proxy-status",
            "x-host",
            "trailers",
        ] {
            assert!(!frames(name), "{name}");
        }
    }

    #[test]
    fn values_of_the_filters_own_have_names_of_their_own() {
        let json = Json::parse(
            br#"["x-user", "X_Forwarded-For", "sec-fetch-site", "set-cookie", "vary", "access-control-allow-origin", "a b"]"#,
            2,
        )
        .unwrap();
        let mut problems = Problems::default();
        let items = Node::root(&json).items(&mut problems).unwrap();
        let claimed = items
            .iter()
            .map(|item| read_claimed(item, &mut problems).is_some());
        assert_eq!(
            claimed.collect::<Vec<_>>(),
            [true, false, false, false, true, true, false]
        );
        let told = items
            .iter()
            .map(|item| read_told(item, &mut problems).is_some());
        assert_eq!(
            told.collect::<Vec<_>>(),
            [true, true, true, false, false, false, false]
        );
    }
}
