//! A browser's question before a request: the CORS preflight of the Fetch standard.

use std::fmt;

use crate::effort::{Effort, TooCostly};
use crate::headers::{HeaderName, Headers, is_token_byte};

/// What a preflight asks about. It may be malformed; then nothing is granted.
#[derive(Clone, Debug)]
pub struct Preflight<'r> {
    fields: &'r Headers,
    /// The method of the request that would follow; none if it cannot be read as one.
    pub method: Option<&'r str>,
    names: Result<Vec<HeaderName>, NamesMalformed>,
    /// What comparing it with routes and their policies may cost.
    effort: &'r Effort,
}

/// The names in `Access-Control-Request-Headers` cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NamesMalformed;

/// Whether a request with that method would belong to the routes that a preflight is about. Only
/// such methods may stand beside the one asked for: a browser remembers all that an answer lists.
#[derive(Clone, Copy)]
pub struct SameRoutes<'r>(pub &'r dyn Fn(&str) -> bool);

impl<'r> Preflight<'r> {
    /// Whether a request is one: `OPTIONS` with `Origin` and `Access-Control-Request-Method`.
    pub fn is(request: &Headers) -> bool {
        let has = |name| request.all(name).next().is_some();
        let is_options = request.one(":method") == Ok(Some(b"OPTIONS"));
        is_options && has("access-control-request-method") && has("origin")
    }

    /// What a request asks about, if it is a preflight.
    pub fn of(request: &'r Headers, effort: &'r Effort) -> Option<Self> {
        if !Self::is(request) {
            return None;
        }
        let method = request.one("access-control-request-method").ok().flatten();
        let method = method.and_then(|method| std::str::from_utf8(method).ok());
        let is_token = |method: &&str| !method.is_empty() && method.bytes().all(is_token_byte);
        Some(Self {
            fields: request,
            method: method.filter(is_token),
            names: read_names(request),
            effort,
        })
    }

    /// What is left to be spent on it.
    pub fn effort(&self) -> &'r Effort {
        self.effort
    }

    /// The fields of the preflight itself.
    pub fn fields(&self) -> &'r Headers {
        self.fields
    }

    /// The names of the fields that the script sets and that are not safelisted, in lower case.
    ///
    /// # Errors
    /// [`NamesMalformed`] when one of them is no name, or there are more than any browser sends.
    pub fn headers(&self) -> Result<&[HeaderName], NamesMalformed> {
        match &self.names {
            Ok(names) => Ok(names),
            Err(NamesMalformed) => Err(NamesMalformed),
        }
    }

    /// Whether the request that would follow can differ from the preflight in that field. A script sets
    /// what the preflight names; a browser itself sets the others of these as the request needs.
    ///
    /// # Errors
    /// [`TooCostly`] when that is not known.
    pub fn leaves_open(&self, name: &str) -> Result<bool, TooCostly> {
        const SET_BY_BROWSERS: [&str; 7] = [
            "accept",
            "accept-language",
            "authorization",
            "content-language",
            "content-type",
            "cookie",
            "range",
        ];
        let asked = self.headers();
        let count = asked.map_or(0, <[HeaderName]>::len);
        self.effort.spend(NAME_STEPS.saturating_mul(count as u64))?;
        Ok(SET_BY_BROWSERS.contains(&name)
            || name.starts_with("sec-")
            || name.starts_with("access-control-")
            || match asked {
                Ok(names) => names.iter().any(|each| each.as_str() == name),
                Err(NamesMalformed) => true,
            })
    }
}

/// What it costs to compare a name with another.
pub const NAME_STEPS: u64 = 1;

/// The names that a preflight lists, each once. Proxies may have made several lines of them, with blanks
/// and empty elements (RFC 9110 §5.6.1).
fn read_names(request: &Headers) -> Result<Vec<HeaderName>, NamesMalformed> {
    const MOST: usize = 128;
    let mut names = Vec::new();
    let mut count = 0;
    for line in request.all("access-control-request-headers") {
        let line = std::str::from_utf8(line).map_err(|_| NamesMalformed)?;
        for element in line.split(',') {
            if count == MOST {
                return Err(NamesMalformed);
            }
            count += 1;
            let element = element.trim_matches([' ', '\t']);
            if element.is_empty() {
                continue;
            }
            let name = HeaderName::parse(element).map_err(|_| NamesMalformed)?;
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

    fn asking(names: &str) -> Headers {
        let mut headers = Headers::default();
        for (name, value) in [
            (":method", "OPTIONS"),
            ("origin", "https://app.example.com"),
            ("access-control-request-method", "PUT"),
            ("access-control-request-headers", names),
        ] {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        headers
    }

    #[test]
    fn names_are_counted_however_often_they_come() {
        for (names, count) in [
            ("x-a, x-b,,x-a".to_owned(), Ok(2)),
            ("x-a,".repeat(127), Ok(1)),
            ("x-a,".repeat(128), Err(NamesMalformed)),
            (",".repeat(200), Err(NamesMalformed)),
        ] {
            let (headers, effort) = (asking(&names), Effort::new(1000));
            let preflight = Preflight::of(&headers, &effort).unwrap();
            assert_eq!(preflight.headers().map(<[_]>::len), count, "{names}");
        }
    }

    #[test]
    fn comparing_names_is_paid_for() {
        let names: Vec<String> = (0..100).map(|n| format!("x-{n}")).collect();
        let (headers, effort) = (asking(&names.join(",")), Effort::new(1000));
        let preflight = Preflight::of(&headers, &effort).unwrap();
        for _ in 0..10 {
            assert_eq!(preflight.leaves_open("x-99"), Ok(true));
        }
        assert_eq!(preflight.leaves_open("x-99"), Err(TooCostly));
        assert!(effort.is_spent());
    }
}
