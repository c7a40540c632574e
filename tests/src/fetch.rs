//! A browser's judgement of an answer, by the Fetch standard.

use crate::wire::Response;

/// The page whose script sends a request.
#[derive(Clone, Debug)]
pub struct Page {
    /// Its origin, serialised.
    pub origin: String,
    /// Whether cookies go with the request: `credentials: "include"`.
    pub credentials: bool,
}

impl Page {
    /// Whether the script may read an answer: the CORS check, §4.10.
    pub fn may_read(&self, response: &Response) -> bool {
        match value(response, "access-control-allow-origin") {
            None => false,
            Some(allowed) if allowed == "*" && !self.credentials => true,
            Some(allowed) if allowed != self.origin => false,
            Some(_) if !self.credentials => true,
            Some(_) => {
                value(response, "access-control-allow-credentials").as_deref() == Some("true")
            }
        }
    }

    /// Whether the browser sends a request after that answer to its preflight: §4.8.
    /// `headers` are the names that are not safelisted.
    pub fn may_send(&self, method: &str, headers: &[&str], preflight: &Response) -> bool {
        if !self.may_read(preflight) || !(200..300).contains(&preflight.status) {
            return false;
        }
        let methods = list(preflight, "access-control-allow-methods");
        let names = list(preflight, "access-control-allow-headers");
        let (Some(methods), Some(names)) = (methods, names) else {
            return false;
        };
        let method_fits = ["GET", "HEAD", "POST"].contains(&method)
            || methods.iter().any(|each| each == method)
            || (!self.credentials && methods.iter().any(|each| each == "*"));
        let any = !self.credentials && names.iter().any(|each| each == "*");
        let named = |name: &str| names.iter().any(|each| each.eq_ignore_ascii_case(name));
        let wildcard_fits = |name: &str| any && !name.eq_ignore_ascii_case("authorization");
        method_fits
            && headers
                .iter()
                .all(|name| named(name) || wildcard_fits(name))
    }
}

/// All values of a field as one, the white space of HTTP taken off each.
fn value(response: &Response, name: &str) -> Option<String> {
    let fields = response.headers.iter().filter(|(each, _)| each == name);
    let values: Vec<String> = fields
        .map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .map(|value| value.trim_matches(['\t', '\n', '\r', ' ']).to_owned())
        .collect();
    (!values.is_empty()).then(|| values.join(", "))
}

/// The tokens of a list; none if one of its elements is no token. Empty elements do not count.
fn list(response: &Response, name: &str) -> Option<Vec<String>> {
    let text = value(response, name).unwrap_or_default();
    let elements = text
        .split(',')
        .map(|element| element.trim_matches([' ', '\t']));
    let elements: Vec<String> = elements
        .filter(|element| !element.is_empty())
        .map(str::to_owned)
        .collect();
    let is_token = |element: &String| element.bytes().all(portcullis::headers::is_token_byte);
    elements.iter().all(is_token).then_some(elements)
}
