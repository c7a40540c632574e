//! The documents that tell of a failure: RFC 9457 for programs, a page for browsers.

use portcullis_schema::Violation;
use portcullis_wire::headers::{HeaderName, HeaderValue, Headers};
use portcullis_wire::json;

/// What a client may know of a failure.
#[derive(Clone, Copy, Debug)]
pub struct ErrorDetails<'a> {
    /// The stable name.
    pub name: &'a str,
    /// The HTTP status.
    pub status: u16,
    /// One sentence for people.
    pub title: &'a str,
    /// The id of the request; client input as often as not.
    pub request_id: Option<&'a [u8]>,
    /// What in its own message is wrong, as far as the client may know.
    pub violations: &'a [Violation],
    /// More members, as JSON writes them: the document's own.
    pub members: Option<&'a str>,
}

/// A page in place of a problem document, where a browser is to show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorPage {
    /// A paragraph for people, in HTML.
    message: String,
}

/// Which of the two a client gets.
#[derive(Clone, Copy, Debug)]
pub struct ErrorFormat<'a> {
    page: Option<&'a ErrorPage>,
    navigation: bool,
}

impl ErrorPage {
    /// A page with a paragraph of the operator's own; none if it is empty.
    pub fn new(message: &str) -> Self {
        Self {
            message: escaped(message),
        }
    }

    /// No script, no style, nothing to load: any policy that allows less than all fits it.
    fn document(&self, failure: &ErrorDetails<'_>) -> String {
        let ErrorDetails { status, title, .. } = failure;
        let title = escaped(title);
        let paragraph = |text: &str| match text {
            "" => String::new(),
            text => format!("<p>{text}</p>\n"),
        };
        let instance = failure.instance();
        let id = instance.map(|id| format!("Request: <code>{}</code>", escaped(id)));
        format!(
            "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n\
             <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n\
             <meta name=\"color-scheme\" content=\"light dark\">\n<title>{status} {title}</title>\n\
             </head>\n<body>\n<main>\n<h1>{status}</h1>\n<p>{title}</p>\n{}{}</main>\n</body>\n</html>\n",
            paragraph(&self.message),
            paragraph(&id.unwrap_or_default()),
        )
    }
}

impl<'a> ErrorFormat<'a> {
    /// What suits that request, where the route has such a page or none.
    pub fn of(headers: &Headers, page: Option<&'a ErrorPage>) -> Self {
        Self {
            page,
            navigation: page.is_some() && navigates(headers),
        }
    }

    /// The body, and the fields that belong to it.
    pub fn write(self, failure: &ErrorDetails<'_>) -> (Vec<(HeaderName, HeaderValue)>, Vec<u8>) {
        let page = self.page.filter(|_| self.navigation);
        let (media_type, body) = match page {
            Some(page) => ("text/html; charset=utf-8", page.document(failure)),
            None => ("application/problem+json", failure.problem()),
        };
        let mut fields = vec![("content-type", media_type)];
        if self.page.is_some() {
            fields.push(("vary", "accept, sec-fetch-mode"));
        }
        if page.is_some() {
            fields.push(("content-security-policy", POLICY));
        }
        let fields = fields.into_iter().filter_map(|(name, value)| {
            let value = HeaderValue::parse(value.as_bytes()).ok()?;
            Some((HeaderName::parse(name).ok()?, value))
        });
        (fields.collect(), body.into_bytes())
    }
}

/// The page's own; `security_headers` replaces it by that of the route.
const POLICY: &str =
    "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

impl<'a> ErrorDetails<'a> {
    /// RFC 9457 §3.
    fn problem(&self) -> String {
        let ErrorDetails {
            name,
            status,
            title,
            ..
        } = self;
        let mut body = format!(
            r#"{{"type":"urn:portcullis:problem:{name}","title":"{title}","status":{status},"code":"{name}""#
        );
        if let Some(instance) = self.instance() {
            body.push_str(",\"instance\":\"");
            body.push_str(instance);
            body.push('"');
        }
        for (index, violation) in self.violations.iter().enumerate() {
            let separator = if index == 0 { ",\"errors\":[" } else { "," };
            let pointer = json::quoted(&violation.instance);
            body.push_str(&format!("{separator}{{\"pointer\":{pointer}}}"));
        }
        if !self.violations.is_empty() {
            body.push(']');
        }
        if let Some(members) = self.members {
            body.push(',');
            body.push_str(members);
        }
        body.push('}');
        body
    }

    /// A request id that is a URI reference as it stands; any other is left out.
    fn instance(&self) -> Option<&'a str> {
        usable_id(self.request_id?)
    }
}

/// The id of a request, if it is one that can be told: it is client input as often as not.
pub fn usable_id(request_id: &[u8]) -> Option<&str> {
    const LONGEST: usize = 128;
    let unreserved = |b: &u8| b.is_ascii_alphanumeric() || b"-._~".contains(b);
    let usable = (1..=LONGEST).contains(&request_id.len()) && request_id.iter().all(unreserved);
    if usable {
        std::str::from_utf8(request_id).ok()
    } else {
        None
    }
}

/// Whether a browser is about to show the response as a page of its own: by Fetch Metadata, and for
/// browsers without, by asking for HTML in so many words.
fn navigates(headers: &Headers) -> bool {
    match headers.one("sec-fetch-mode") {
        Ok(Some(mode)) => mode == b"navigate",
        Ok(None) => headers.all("accept").any(accepts_html),
        Err(_) => false,
    }
}

fn accepts_html(accept: &[u8]) -> bool {
    accept.split(|b| *b == b',').any(|range| {
        let mut parts = range.split(|b| *b == b';').map(<[u8]>::trim_ascii);
        let is_html = parts
            .next()
            .is_some_and(|range| range.eq_ignore_ascii_case(b"text/html"));
        let unwanted = |parameter: &[u8]| {
            let weight = parameter
                .strip_prefix(b"q=")
                .or_else(|| parameter.strip_prefix(b"Q="));
            weight.is_some_and(|weight| weight.iter().all(|b| b"0.".contains(b)))
        };
        is_html && !parts.any(unwanted)
    })
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_for_navigations() {
        for (fields, navigates) in [
            (&[("sec-fetch-mode", "navigate")][..], true),
            (
                &[("sec-fetch-mode", "cors"), ("accept", "text/html")],
                false,
            ),
            (
                &[("sec-fetch-mode", "navigate"), ("sec-fetch-mode", "cors")],
                false,
            ),
            (&[("accept", "text/html,*/*;q=0.8")], true),
            (&[("accept", "application/json, Text/HTML ;q=0.1")], true),
            (&[("accept", "text/html;q=0.0, application/json")], false),
            (&[("accept", "*/*")], false),
            (&[("accept", "application/xhtml+xml")], false),
            (&[], false),
        ] {
            let mut headers = Headers::default();
            for (name, value) in fields {
                headers.push(name.as_bytes(), value.as_bytes());
            }
            assert_eq!(super::navigates(&headers), navigates, "{fields:?}");
        }
    }

    #[test]
    fn a_page_holds_no_markup_but_its_own() {
        let page = ErrorPage::new("<script>alert('1')</script> & \"more\"");
        let failure = ErrorDetails {
            name: "x",
            status: 403,
            title: "A <b>title</b>.",
            request_id: Some(b"7-a"),
            violations: &[],
            members: None,
        };
        let document = page.document(&failure);
        assert!(!document.contains("<script") && !document.contains("<b>"));
        assert!(
            document.contains("&lt;script&gt;alert(&#39;1&#39;)&lt;/script&gt; &amp; &quot;more")
        );
        assert!(document.contains("<code>7-a</code>"));
        let hostile = ErrorDetails {
            request_id: Some(b"<img src=x>"),
            ..failure
        };
        assert!(!page.document(&hostile).contains("img"));
    }
}
