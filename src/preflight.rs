//! A browser's question before a request: the CORS preflight of the Fetch standard.

use std::cell::OnceCell;
use std::fmt;

use crate::headers::{HeaderName, Headers, is_token_byte};

/// What a preflight asks about. It may be malformed; then nothing is granted.
#[derive(Clone, Debug)]
pub struct Preflight<'r> {
    fields: &'r Headers,
    /// Read when they are first asked for: many routes may ask.
    names: OnceCell<Result<Vec<HeaderName>, NamesMalformed>>,
    /// The method of the request that would follow; none if it cannot be read as one.
    pub method: Option<&'r str>,
}

/// The names in `Access-Control-Request-Headers` cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamesMalformed;

/// Whether a request with that method would belong to the routes that a preflight is about. Only
/// such methods may stand beside the one asked for: a browser remembers all that an answer lists.
#[derive(Clone, Copy)]
pub struct SameRoutes<'r>(pub &'r dyn Fn(&str) -> bool);

impl<'r> Preflight<'r> {
    /// A preflight is an `OPTIONS` request with `Origin` and `Access-Control-Request-Method`.
    pub fn of(request: &'r Headers) -> Option<Self> {
        let has = |name| request.all(name).next().is_some();
        let is_options = request.one(":method") == Ok(Some(b"OPTIONS"));
        if !is_options || !has("access-control-request-method") || !has("origin") {
            return None;
        }
        let method = request.one("access-control-request-method").ok().flatten();
        let method = method.and_then(|method| std::str::from_utf8(method).ok());
        let is_token = |method: &&str| !method.is_empty() && method.bytes().all(is_token_byte);
        Some(Self {
            fields: request,
            names: OnceCell::new(),
            method: method.filter(is_token),
        })
    }

    /// The fields of the preflight itself.
    pub fn fields(&self) -> &'r Headers {
        self.fields
    }

    /// The names of the fields that the script sets and that are not safelisted, in lower case.
    /// Proxies may have made several lines of them, with blanks and empty elements (RFC 9110 §5.6.1).
    ///
    /// # Errors
    /// [`NamesMalformed`] when one of them is no name, or there are more than any browser sends.
    pub fn headers(&self) -> Result<&[HeaderName], NamesMalformed> {
        let names = self.names.get_or_init(|| read_names(self.fields));
        names.as_deref().map_err(|error| *error)
    }

    /// Whether the request that would follow can differ from the preflight in that field. A script sets
    /// what the preflight names; a browser itself sets the others of these as the request needs.
    pub fn leaves_open(&self, name: &str) -> bool {
        const SET_BY_BROWSERS: [&str; 7] = [
            "accept",
            "accept-language",
            "authorization",
            "content-language",
            "content-type",
            "cookie",
            "range",
        ];
        SET_BY_BROWSERS.contains(&name)
            || name.starts_with("sec-")
            || name.starts_with("access-control-")
            || match self.headers() {
                Ok(names) => names.iter().any(|each| each.as_str() == name),
                Err(NamesMalformed) => true,
            }
    }
}

fn read_names(fields: &Headers) -> Result<Vec<HeaderName>, NamesMalformed> {
    const MOST: usize = 128;
    let mut names = Vec::new();
    let mut read = 0_usize;
    for line in fields.all("access-control-request-headers") {
        let line = std::str::from_utf8(line).map_err(|_| NamesMalformed)?;
        let elements = line
            .split(',')
            .map(|element| element.trim_matches([' ', '\t']));
        for element in elements.filter(|element| !element.is_empty()) {
            let name = HeaderName::parse(element).map_err(|_| NamesMalformed)?;
            if read == MOST {
                return Err(NamesMalformed);
            }
            read = read.saturating_add(1);
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    Ok(names)
}

impl SameRoutes<'_> {
    /// Whether it would.
    pub fn take(&self, method: &str) -> bool {
        (self.0)(method)
    }
}

impl fmt::Debug for SameRoutes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SameRoutes(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_counted_however_often_one_comes() {
        let count = |names: &str| {
            let mut fields = Headers::default();
            fields.push(b":method", b"OPTIONS");
            fields.push(b"origin", b"https://a.example");
            fields.push(b"access-control-request-method", b"GET");
            fields.push(b"access-control-request-headers", names.as_bytes());
            let preflight = Preflight::of(&fields).unwrap();
            assert_eq!(preflight.leaves_open("x-k"), names.contains("x-k"));
            preflight.headers().map(<[HeaderName]>::len)
        };
        assert_eq!(count("x-k, a,, A"), Ok(2));
        assert_eq!(count(&"x-k,".repeat(128)), Ok(1));
        assert_eq!(count(&"x-k,".repeat(129)), Err(NamesMalformed));
    }
}
