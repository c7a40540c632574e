//! Where texts stand that are looked at, and what bodies are looked at as.

use super::{
    IN_COOKIES, IN_FORM, IN_HEADERS, IN_JSON, IN_MULTIPART, IN_PATH, IN_QUERY, IN_TEXT, IN_XML,
};
use crate::forms::multipart::is_boundary;
use crate::payload::head::is_upgrade;
use crate::payload::untold::{Declared, begins_like_json};
use portcullis_exchange::media_type::{Format, MediaType};
use portcullis_exchange::refusal::Reason;
use portcullis_wire::headers::Headers;

/// Where texts stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SearchedPart {
    Path,
    Query,
    Headers,
    Cookies,
    Json,
    Form,
    Multipart,
    Xml,
    Text,
}

pub(super) const PLACES: [(&str, SearchedPart); 9] = [
    ("path", SearchedPart::Path),
    ("query", SearchedPart::Query),
    ("headers", SearchedPart::Headers),
    ("cookies", SearchedPart::Cookies),
    ("json", SearchedPart::Json),
    ("form", SearchedPart::Form),
    ("multipart", SearchedPart::Multipart),
    ("xml", SearchedPart::Xml),
    ("text", SearchedPart::Text),
];

/// How a body is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Look {
    /// As that.
    As(SearchedPart),
    /// As what it begins like: what it is cannot be told.
    AsItBegins,
    /// It cannot be read.
    Unread,
}

impl SearchedPart {
    /// What is found there is refused for that.
    pub(super) fn reason(self) -> &'static Reason {
        match self {
            SearchedPart::Path => &IN_PATH,
            SearchedPart::Query => &IN_QUERY,
            SearchedPart::Headers => &IN_HEADERS,
            SearchedPart::Cookies => &IN_COOKIES,
            SearchedPart::Json => &IN_JSON,
            SearchedPart::Form => &IN_FORM,
            SearchedPart::Multipart => &IN_MULTIPART,
            SearchedPart::Xml => &IN_XML,
            SearchedPart::Text => &IN_TEXT,
        }
    }

    fn is_body(self) -> bool {
        matches!(
            self,
            SearchedPart::Json
                | SearchedPart::Form
                | SearchedPart::Multipart
                | SearchedPart::Xml
                | SearchedPart::Text
        )
    }

    /// What bodies of a type are looked at as, if they are.
    fn of(media_type: &MediaType<'_>) -> Option<Self> {
        match media_type.format() {
            Format::Json => Some(SearchedPart::Json),
            Format::Xml => Some(SearchedPart::Xml),
            _ if media_type.is("application", "x-www-form-urlencoded") => Some(SearchedPart::Form),
            _ if media_type.is("multipart", "form-data") => Some(SearchedPart::Multipart),
            _ if media_type.is("text", "plain") => Some(SearchedPart::Text),
            _ => None,
        }
    }
}

/// How the body of a request is looked at, if it is.
pub(super) fn look(places: &[SearchedPart], headers: &Headers) -> Option<Look> {
    let identity = |coding: &[u8]| coding.eq_ignore_ascii_case(b"identity");
    let is_encoded = !headers.all("content-encoding").all(identity);
    let look = match Declared::of(headers) {
        Declared::As(media_type) => match SearchedPart::of(&media_type) {
            Some(place) if !places.contains(&place) => return None,
            Some(SearchedPart::Form | SearchedPart::Text) if !is_like_ascii(&media_type) => {
                Look::Unread
            }
            Some(SearchedPart::Multipart) if boundary(headers).is_none() => Look::Unread,
            Some(place) => Look::As(place),
            None => return None,
        },
        Declared::Untold if !places.iter().any(|place| place.is_body()) => return None,
        // What comes over it is no body, unless one is declared besides.
        Declared::Untold if is_upgrade(headers) => {
            let mut lengths = headers.all("content-length");
            lengths
                .find(|length| *length != b"0")
                .map(|_| Look::Unread)?
        }
        // Whoever reads parts in it knows where they end.
        Declared::Untold if names_parts(headers) => Look::Unread,
        Declared::Untold => Look::AsItBegins,
    };
    Some(if is_encoded { Look::Unread } else { look })
}

/// What a body is looked at as.
pub(super) fn place(places: &[SearchedPart], look: Look, body: &[u8]) -> Option<SearchedPart> {
    let place = match look {
        Look::As(place) => place,
        Look::AsItBegins if begins_like_json(body) => SearchedPart::Json,
        Look::AsItBegins => SearchedPart::Form,
        Look::Unread => return None,
    };
    places.contains(&place).then_some(place)
}

/// What stands between the parts of a body.
pub(super) fn boundary(headers: &Headers) -> Option<String> {
    let Declared::As(media_type) = Declared::of(headers) else {
        return None;
    };
    let boundary = media_type.parameter("boundary")?;
    is_boundary(boundary).then(|| boundary.to_owned())
}

fn names_parts(headers: &Headers) -> bool {
    const PARTS: &[u8] = b"multipart";
    let names = |value: &[u8]| {
        let mut windows = value.windows(PARTS.len());
        windows.any(|window| window.eq_ignore_ascii_case(PARTS))
    };
    headers.all("content-type").any(names)
}

/// Whether letters are what they are in ASCII. In others a form says what nobody finds in it; JSON has
/// no other.
fn is_like_ascii(media_type: &MediaType<'_>) -> bool {
    const LIKE_ASCII: [&str; 5] = ["utf-8", "utf8", "us-ascii", "iso-8859-1", "windows-1252"];
    let charset = media_type.parameter("charset");
    let known = |charset: &str| {
        LIKE_ASCII
            .iter()
            .any(|each| each.eq_ignore_ascii_case(charset))
    };
    charset.is_none_or(known)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn looked(places: &[SearchedPart], fields: &[(&str, &str)]) -> Option<Look> {
        let mut headers = Headers::default();
        for (name, value) in fields {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        look(places, &headers)
    }

    #[test]
    fn what_comes_over_an_upgrade_is_no_body() {
        let look = |fields: &[(&str, &str)]| looked(&[SearchedPart::Form], fields);
        let upgrade = [("connection", "upgrade"), ("upgrade", "websocket")];
        assert_eq!(look(&[]), Some(Look::AsItBegins));
        assert_eq!(look(&upgrade), None);
        assert_eq!(look(&[(":method", "CONNECT")]), None);
        let empty = [upgrade[0], upgrade[1], ("content-length", "0")];
        assert_eq!(look(&empty), None);
        let with_body = [upgrade[0], upgrade[1], ("content-length", "7")];
        assert_eq!(look(&with_body), Some(Look::Unread));
    }

    #[test]
    fn parts_have_a_boundary_or_are_unread() {
        let places = [SearchedPart::Multipart];
        let look = |value: &str| looked(&places, &[("content-type", value)]);
        let parts = Some(Look::As(SearchedPart::Multipart));
        assert_eq!(look("multipart/form-data; boundary=x"), parts);
        for unread in [
            "multipart/form-data",
            "multipart/form-data; boundary=\"x y\"",
            "multipart/form-data; boundary=x; boundary=y",
            "Multipart/form-data;",
        ] {
            assert_eq!(look(unread), Some(Look::Unread), "{unread}");
        }
        assert_eq!(look("multipart/mixed; boundary=x"), None);
        assert_eq!(look("application/json"), None);
    }
}
