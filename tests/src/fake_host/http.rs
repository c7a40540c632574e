//! What the proxy does to messages around the filter.

use super::headers::{HeaderMap, Kind};
use super::state::LocalReply;
use crate::wire::{Request, Response, Version};

/// The head the filter sees, as the connection manager leaves it.
pub(super) fn request_head(request: &Request, id: &str) -> HeaderMap {
    let mut head = HeaderMap::new(Kind::Request);
    head.add(b":authority", &request.authority);
    head.add(b":path", &request.path);
    head.add(b":method", &request.method);
    head.add(b":scheme", b"http");
    for (name, default) in [("x-forwarded-proto", "http"), ("x-request-id", id)] {
        if !carries(request, name) {
            head.add(name.as_bytes(), default.as_bytes());
        }
    }
    let mut cookies: Vec<&[u8]> = Vec::new();
    for (name, value) in &request.headers {
        match name.to_ascii_lowercase().as_slice() {
            b"cookie" if request.version == Version::Http2 => cookies.push(value),
            b"host" if request.version == Version::Http2 => {}
            b"host" => head.add(b":authority", value),
            name => head.add(name, value),
        }
    }
    if !cookies.is_empty() {
        head.add(b"cookie", &cookies.join(&b"; "[..]));
    }
    if let Some(length) = announced_length(request) {
        head.add(b"content-length", length.to_string().as_bytes());
    }
    let upgrades = head.first("upgrade").is_some()
        && (head.first("connection")).is_some_and(|value| {
            value
                .to_ascii_lowercase()
                .windows(7)
                .any(|w| w == b"upgrade")
        });
    if !upgrades {
        head.remove(b"connection");
        head.remove(b"upgrade");
    }
    for name in ["keep-alive", "proxy-connection", "transfer-encoding"] {
        head.remove(name.as_bytes());
    }
    head
}

fn carries(request: &Request, name: &str) -> bool {
    let mut names = request.headers.iter().map(|(name, _)| name);
    names.any(|given| given.eq_ignore_ascii_case(name.as_bytes()))
}

/// The length an HTTP/1.1 client writes for a body in one piece.
fn announced_length(request: &Request) -> Option<usize> {
    let pieces = request.body.as_ref()?;
    let one_piece = pieces.len() <= 1 && request.trailers.is_empty();
    let framed = carries(request, "content-length") || carries(request, "transfer-encoding");
    (request.version == Version::Http1 && one_piece && !framed)
        .then(|| pieces.iter().map(Vec::len).sum())
}

/// Whether the head ends the request.
pub(super) fn ends_with_head(request: &Request) -> bool {
    let pieces = request.body.as_deref().unwrap_or_default();
    let empty = pieces.iter().all(Vec::is_empty);
    // An empty HTTP/1.1 body announced with its length is no body; an empty DATA frame is one.
    let no_body = request.body.is_none() || request.version == Version::Http1 && empty;
    no_body && request.trailers.is_empty()
}

pub(super) fn trailers(fields: &[(Vec<u8>, Vec<u8>)]) -> HeaderMap {
    let mut map = HeaderMap::new(Kind::Trailers);
    for (name, value) in fields {
        map.add(name, value);
    }
    map
}

/// Whether the request is gRPC, in Envoy's reading of its content type.
pub(super) fn is_grpc(head: &HeaderMap) -> bool {
    let rest = (head.first("content-type")).and_then(|t| t.strip_prefix(b"application/grpc"));
    matches!(rest, Some([] | [b'+', ..]))
}

/// The head as the upstream receives it, or why the router does not send it.
pub(super) fn forwarded(head: &HeaderMap, version: Version) -> Result<Request, LocalReply> {
    for (name, value) in head.fields() {
        let name = name.strip_prefix(b":").unwrap_or(name);
        if name.is_empty() || !name.iter().all(|b| is_token(*b)) {
            return Err(unsendable("invalid header name", name));
        }
        if !value
            .iter()
            .all(|b| *b == b'\t' || *b >= b' ' && *b != 0x7f)
        {
            return Err(unsendable("invalid header value", name));
        }
    }
    let required = |name: &str| {
        let value = head.first(name).map(<[u8]>::to_vec);
        value.ok_or_else(|| unsendable("missing required header", name.as_bytes()))
    };
    Ok(Request {
        version,
        method: required(":method")?,
        path: required(":path")?,
        authority: required(":authority")?,
        headers: (head.fields().iter())
            .filter(|(name, _)| !name.starts_with(b":"))
            .cloned()
            .collect(),
        body: None,
        trailers: Vec::new(),
    })
}

fn is_token(b: u8) -> bool {
    b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b)
}

fn unsendable(reason: &str, name: &[u8]) -> LocalReply {
    let name = String::from_utf8_lossy(name);
    let reason = format!("{reason}: {name}");
    let details = format!("filter_removed_required_request_headers{{{reason}}}");
    LocalReply::of_proxy(503, &details.replace(' ', "_"), &reason)
}

/// Head and body of a reply of the proxy's own.
pub(super) fn local_reply(reply: &LocalReply, grpc: bool, to_head: bool) -> (HeaderMap, Vec<u8>) {
    let mut head = HeaderMap::new(Kind::Response);
    head.add(b":status", reply.status.to_string().as_bytes());
    for (name, value) in &reply.headers {
        head.add(name, value);
    }
    if grpc {
        head.replace(b":status", b"200");
        head.replace(b"content-type", b"application/grpc");
        if head.first("grpc-status").is_none_or(<[u8]>::is_empty) {
            let status = reply
                .grpc_status
                .unwrap_or_else(|| grpc_status(reply.status));
            head.replace(b"grpc-status", status.to_string().as_bytes());
        }
        if !reply.body.is_empty() && !to_head {
            head.replace(b"grpc-message", &percent_encoded(&reply.body));
        }
        head.remove(b"content-length");
        return (head, Vec::new());
    }
    if reply.body.is_empty() {
        head.remove(b"content-length");
        head.remove(b"content-type");
        return (head, Vec::new());
    }
    head.replace(b"content-length", reply.body.len().to_string().as_bytes());
    if head.first("content-type").is_none_or(<[u8]>::is_empty) {
        head.replace(b"content-type", b"text/plain");
    }
    let body = match to_head {
        true => Vec::new(),
        false => reply.body.clone(),
    };
    (head, body)
}

/// The gRPC status Envoy takes an HTTP status for.
pub(super) fn grpc_status(http: u32) -> u32 {
    match http {
        400 => 13,
        401 => 16,
        403 => 7,
        404 => 12,
        429 | 502..=504 => 14,
        _ => 2,
    }
}

fn percent_encoded(message: &[u8]) -> Vec<u8> {
    let encode = |b: &u8| match b {
        b'%' => b"%25".to_vec(),
        b' '..=b'~' => vec![*b],
        _ => format!("%{b:02X}").into_bytes(),
    };
    message.iter().flat_map(encode).collect()
}

/// The upstream's head as the router hands it on.
pub(super) fn upstream_head(upstream: &Response, to_head: bool) -> HeaderMap {
    let mut head = HeaderMap::new(Kind::Response);
    head.add(b":status", upstream.status.to_string().as_bytes());
    for (name, value) in &upstream.headers {
        match name.to_ascii_lowercase().as_str() {
            "connection" | "keep-alive" | "transfer-encoding" => {}
            name => head.add(name.as_bytes(), value),
        }
    }
    let chunked =
        (upstream.headers.iter()).any(|(n, _)| n.eq_ignore_ascii_case("transfer-encoding"));
    let has_body = !matches!(upstream.status, 100..=199 | 204 | 304);
    let framed = chunked || head.first("content-length").is_some();
    if has_body && !framed && !to_head && upstream.trailers.is_empty() {
        head.add(
            b"content-length",
            upstream.body.len().to_string().as_bytes(),
        );
    }
    head.replace(b"x-envoy-upstream-service-time", b"0");
    head
}

/// The head the client receives, once the connection manager has set its own fields.
pub(super) fn client_response(head: &HeaderMap, now_nanos: u64) -> Response {
    let mut head = head.clone();
    head.replace(b"server", b"envoy");
    if head.first("date").is_none() {
        head.add(b"date", date(now_nanos / 1_000_000_000).as_bytes());
    }
    let status = head
        .first(":status")
        .and_then(|s| std::str::from_utf8(s).ok()?.parse().ok());
    Response {
        status: status.unwrap_or_default(),
        headers: fields(&head),
        body: Vec::new(),
        trailers: Vec::new(),
    }
}

/// Fields without the pseudo-headers, names as text.
pub(super) fn fields(map: &HeaderMap) -> Vec<(String, Vec<u8>)> {
    (map.fields().iter())
        .filter(|(name, _)| !name.starts_with(b":"))
        .map(|(name, value)| (String::from_utf8_lossy(name).into_owned(), value.clone()))
        .collect()
}

/// Seconds since the epoch as `Thu, 01 Jan 1970 00:00:00 GMT`.
fn date(seconds: u64) -> String {
    const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];
    const MONTHS: [&str; 12] = [
        "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    let (days, time) = (seconds / 86_400, seconds % 86_400);
    // Days are counted in years that begin in March, so that the leap day comes last.
    let since_era = days + 719_468;
    let (era, day_of_era) = (since_era / 146_097, since_era % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = (from_march + 2) % 12;
    let year = era * 400 + year_of_era + u64::from(month < 2);
    format!(
        "{}, {day:02} {} {year} {:02}:{:02}:{:02} GMT",
        DAYS[(days % 7) as usize],
        MONTHS[month as usize],
        time / 3600,
        time / 60 % 60,
        time % 60,
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_http() {
        assert_eq!(date(0), "Thu, 01 Jan 1970 00:00:00 GMT");
        assert_eq!(date(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(date(951_782_400), "Tue, 29 Feb 2000 00:00:00 GMT");
    }
}
