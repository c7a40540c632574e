//! What the head of a response says of its body: as what it is searched, and what would be wrong of another.

use super::ResponseRules;
use super::refusals::{CHARSET, CONTENT_ENCODING, PARTIAL, SIZE, STREAM};
use crate::payload::untold::Declared;
use portcullis_exchange::exchange::{Edit, Response, SearchWay};
use portcullis_exchange::media_type::{Format, MediaType};
use portcullis_wire::headers::{HeaderName, HeaderValue, Headers};

/// Fields that say something of the bytes of a body; some of them as a hash, by which one could tell what was masked.
const OF_THE_BYTES: [&str; 5] = [
    "accept-ranges",
    "content-digest",
    "content-md5",
    "digest",
    "repr-digest",
];

/// Types that are no body with an end: messages that come as they are made.
const STREAMS: [&str; 7] = [
    "text/event-stream",
    "multipart/x-mixed-replace",
    "application/json-seq",
    "application/x-ndjson",
    "application/ndjson",
    "application/jsonl",
    "application/x-jsonlines",
];

impl ResponseRules {
    /// As what a response with this head is searched; none if it is not.
    pub(super) fn way(&self, response: &Response<'_>) -> Option<SearchWay> {
        // What comes over a tunnel is no answer.
        if response.request.method() == "CONNECT" {
            return None;
        }
        let headers = response.headers;
        let one = |name| headers.one(name).ok().flatten();
        let number = |value| std::str::from_utf8(value).ok()?.parse::<u64>().ok();
        let status = one(":status").and_then(number)?;
        // What is not modified is what came with 200.
        let counts_as = if status == 304 { 200 } else { status };
        let mut statuses = self.statuses.iter();
        let is_meant = self.statuses.is_empty()
            || statuses
                .any(|(first, last)| (u64::from(*first)..=(*last).into()).contains(&counts_as));
        // And what follows 101 is another protocol.
        if status < 200 || !is_meant {
            return None;
        }
        let way = match Declared::of(headers) {
            Declared::Untold => SearchWay::Untold,
            Declared::As(media_type) if is_stream(&media_type) => SearchWay::Unjudged(&STREAM),
            // Of what these are parts, each says itself.
            Declared::As(media_type) if media_type.is("multipart", "byteranges") => {
                SearchWay::Unjudged(&PARTIAL)
            }
            Declared::As(media_type) if is_json(&media_type) => match media_type.is_utf8() {
                true => SearchWay::Json,
                false => SearchWay::Unjudged(&CHARSET),
            },
            Declared::As(media_type) => {
                let mut types = self.types.iter();
                types
                    .any(|range| range.contains(&media_type))
                    .then_some(())?;
                match has_ascii(&media_type) {
                    true => SearchWay::Text,
                    false => SearchWay::Unjudged(&CHARSET),
                }
            }
        };
        let is_plain = |coding: &[u8]| coding.eq_ignore_ascii_case(b"identity");
        let length = one("content-length").and_then(number);
        Some(match way {
            SearchWay::Unjudged(_) => way,
            _ if !headers.all("content-encoding").all(is_plain) => {
                SearchWay::Unjudged(&CONTENT_ENCODING)
            }
            _ if status == 206 => SearchWay::Unjudged(&PARTIAL),
            _ if length.is_some_and(|length| length > self.most) => SearchWay::Unjudged(&SIZE),
            way => way,
        })
    }
}

/// Whether it is JSON: of services of AWS too, which have types of their own for it.
fn is_json(media_type: &MediaType<'_>) -> bool {
    let of_aws = |version| media_type.is("application", version);
    media_type.format() == Format::Json || of_aws("x-amz-json-1.0") || of_aws("x-amz-json-1.1")
}

pub(super) fn is_stream(media_type: &MediaType<'_>) -> bool {
    let sub = media_type.subtype().to_ascii_lowercase();
    sub.ends_with("+json-seq")
        || STREAMS.iter().any(|stream| {
            let parts = stream.split_once('/');
            parts.is_some_and(|(main, sub)| media_type.is(main, sub))
        })
}

/// Whether letters and digits are the bytes of ASCII in its characters.
fn has_ascii(media_type: &MediaType<'_>) -> bool {
    let charset = media_type.parameter("charset").unwrap_or("utf-8");
    let charset = charset.to_ascii_lowercase();
    ["utf-8", "utf8", "us-ascii", "ascii"].contains(&charset.as_str())
        || ["iso-8859-", "windows-125"]
            .iter()
            .any(|start| charset.starts_with(start))
}

/// Whether a head without a body says something of one: the answer to HEAD, and 304.
pub(super) fn speaks_of_a_body(response: &Response<'_>) -> bool {
    let status = response.headers.one(":status").ok().flatten();
    response.request.method() == "HEAD" || status == Some(b"304")
}

/// Changes of what is said of the bytes of a body that may be changed. A validator stays, and says no more that
/// bytes are the same: RFC 9110 §8.8.1.
pub(super) fn describing(headers: &Headers) -> Vec<Edit> {
    let there = OF_THE_BYTES
        .iter()
        .filter(|name| headers.all(name).next().is_some());
    let names = there.filter_map(|name| HeaderName::parse(name).ok());
    let mut edits: Vec<Edit> = names.map(Edit::Remove).collect();
    let name = HeaderName::parse("etag").ok();
    let strong = headers.all("etag").find(|value| !value.starts_with(b"W/"));
    let weak = strong.and_then(|strong| HeaderValue::parse(&[b"W/", strong].concat()).ok());
    edits.extend(name.zip(weak).map(|(name, weak)| Edit::Set(name, weak)));
    edits
}

/// Those of them that may come behind a body.
pub(super) fn of_trailers() -> Vec<Edit> {
    let names = OF_THE_BYTES
        .iter()
        .filter_map(|name| HeaderName::parse(name).ok());
    names.map(Edit::Remove).collect()
}
