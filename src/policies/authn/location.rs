//! Where a credential may stand in a request, and how it is found there.

use super::few::read_few;
use super::presented::{AuthScheme, CredentialSource, PresentedCredential, cookies, split_once};
use portcullis_document::header::read_changeable;
use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::exchange::Request;
use portcullis_wire::headers::{HeaderName, is_token_byte};
use portcullis_wire::sort;

/// Every place where a provider's tokens may stand.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Locations {
    headers: Vec<HeaderLocation>,
    params: Vec<String>,
    cookies: Vec<String>,
}

#[derive(Debug, PartialEq, Eq)]
struct HeaderLocation {
    name: HeaderName,
    value_prefix: String,
    /// Whether a token may stand behind `DPoP` as well.
    takes_dpop: bool,
}

/// What stands in `Authorization` before a token that comes with a proof.
const DPOP: &str = "DPoP ";

/// Why there is not one token.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LocationError {
    /// None of the places holds one.
    Missing,
    /// Two of them do, or one does twice.
    Repeated,
}

impl Locations {
    /// Reads `from_headers`, `from_params` and `from_cookies`; with none of them, the place is
    /// `Authorization: Bearer`, RFC 6750 §2.1.
    pub(super) fn read(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Self> {
        Self::read_or(fields, ("authorization", "Bearer "), problems)
    }

    /// The same, where another header field and what stands in it before a credential are the usual place.
    pub(super) fn read_or(
        fields: &mut Fields<'_>,
        (name, value_prefix): (&str, &str),
        problems: &mut Problems,
    ) -> Option<Self> {
        let headers = fields.or_default("from_headers", Vec::new(), problems, |node, problems| {
            read_few(node, problems, HeaderLocation::read)
        });
        let params = fields.or_default("from_params", Vec::new(), problems, |node, problems| {
            read_few(node, problems, read_plain_name)
        });
        let cookies = fields.or_default("from_cookies", Vec::new(), problems, |node, problems| {
            read_few(node, problems, read_plain_name)
        });
        let (mut headers, params, cookies) = (headers?, params?, cookies?);
        if headers.is_empty() && params.is_empty() && cookies.is_empty() {
            headers.push(HeaderLocation {
                name: HeaderName::parse(name).ok()?,
                value_prefix: value_prefix.to_owned(),
                takes_dpop: false,
            });
        }
        let mut names: Vec<&str> = headers
            .iter()
            .map(|location| location.name.as_str())
            .collect();
        sort::sort(&mut names, Ord::cmp);
        if names
            .windows(2)
            .any(|pair| matches!(pair, [a, b] if a == b))
        {
            problems.report(
                &fields.pointer().member("from_headers"),
                "names a header twice, by which every token in it would count as two",
            );
            return None;
        }
        Some(Self {
            headers,
            params,
            cookies,
        })
    }

    /// Nowhere in a request.
    pub(super) fn nowhere() -> Self {
        Self {
            headers: Vec::new(),
            params: Vec::new(),
            cookies: Vec::new(),
        }
    }

    /// One header field, of which all is the credential.
    pub(super) fn header(name: HeaderName) -> Self {
        let location = HeaderLocation {
            name,
            value_prefix: String::new(),
            takes_dpop: false,
        };
        Self {
            headers: vec![location],
            ..Self::nowhere()
        }
    }

    /// Takes tokens behind `DPoP` where it takes them behind `Bearer`; whether there is such a place, or one for
    /// `DPoP` alone.
    pub(super) fn take_dpop(&mut self) -> bool {
        let mut found = false;
        for location in &mut self.headers {
            let prefix = location.value_prefix.trim_end();
            if location.name.as_str() != "authorization" {
                continue;
            }
            location.takes_dpop = prefix.eq_ignore_ascii_case("Bearer");
            found |= location.takes_dpop || prefix.eq_ignore_ascii_case(DPOP.trim_end());
        }
        found
    }

    /// Whether `Authorization` with that scheme is one of them.
    pub(super) fn takes_behind(&self, scheme: &str) -> bool {
        let is_dpop = scheme.eq_ignore_ascii_case(DPOP.trim_end());
        self.headers.iter().any(|location| {
            let prefix = location.value_prefix.trim_end();
            let takes = prefix.eq_ignore_ascii_case(scheme) || (is_dpop && location.takes_dpop);
            location.name.as_str() == "authorization" && takes
        })
    }

    /// Whether a header field, a parameter or a cookie of that name is one of them.
    pub(super) fn names(&self, name: &str) -> bool {
        let mut headers = self.headers().map(|(name, _)| name.as_str());
        headers.any(|each| each == name)
            || self.params().any(|each| each == name)
            || self.cookies().any(|each| each == name)
    }

    /// The name of a place where what stands there may be read as a credential for both.
    pub(super) fn shared_with<'l>(&'l self, other: &Self) -> Option<&'l str> {
        let begins = |one: &str, with: &str| {
            let start = one.as_bytes().get(..with.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(with.as_bytes()))
        };
        let mut headers = self.headers();
        let header = headers.find(|(name, prefix)| {
            let mut others = other.headers().filter(|(other, _)| other == name);
            others.any(|(_, other)| begins(prefix, other) || begins(other, prefix))
        });
        let param = || {
            self.params()
                .find(|name| other.params.iter().any(|other| other == name))
        };
        let cookie = || {
            self.cookies()
                .find(|name| other.cookies.iter().any(|other| other == name))
        };
        header
            .map(|(name, _)| name.as_str())
            .or_else(param)
            .or_else(cookie)
    }

    /// The header fields in which tokens may stand.
    pub(super) fn header_names(&self) -> Vec<HeaderName> {
        let names = self.headers.iter().map(|location| location.name.clone());
        names.collect()
    }

    /// The header fields, each with what stands in it before a token.
    pub(super) fn headers(&self) -> impl Iterator<Item = (&HeaderName, &str)> {
        self.headers.iter().flat_map(|location| {
            let dpop = location.takes_dpop.then_some(DPOP);
            let prefixes = std::iter::once(&*location.value_prefix).chain(dpop);
            prefixes.map(|prefix| (&location.name, prefix))
        })
    }

    /// The header field and what stands in it before a token, if tokens stand nowhere else but for those that
    /// come with a proof.
    pub(super) fn only_header(&self) -> Option<(&HeaderName, &str)> {
        match (&*self.headers, &*self.params, &*self.cookies) {
            ([only], [], []) => Some((&only.name, &only.value_prefix)),
            _ => None,
        }
    }

    /// The query parameters.
    pub(super) fn params(&self) -> impl Iterator<Item = &str> {
        self.params.iter().map(String::as_str)
    }

    /// The cookies.
    pub(super) fn cookies(&self) -> impl Iterator<Item = &str> {
        self.cookies.iter().map(String::as_str)
    }

    /// Finds the token. All places are looked at: a second token is refused, for the service
    /// might believe the one that we do not check.
    pub(super) fn find<'r>(
        &'r self,
        request: &Request<'r>,
    ) -> Result<PresentedCredential<'r>, LocationError> {
        let mut found = Vec::new();
        for location in &self.headers {
            let value = request.headers.one(location.name.as_str());
            let value = value.map_err(|_| LocationError::Repeated)?;
            if let Some((token, scheme)) = value.and_then(|value| location.token(value)) {
                found.push(PresentedCredential {
                    token,
                    scheme,
                    place: CredentialSource::Header(&location.name),
                });
            }
        }
        self.find_params(request, &mut found);
        self.find_cookies(request, &mut found)?;
        let mut found = found.into_iter();
        match (found.next(), found.next()) {
            (None, _) => Err(LocationError::Missing),
            (Some(one), None) => Ok(one),
            (Some(_), Some(_)) => Err(LocationError::Repeated),
        }
    }

    fn find_params<'r>(&'r self, request: &Request<'r>, found: &mut Vec<PresentedCredential<'r>>) {
        if self.params.is_empty() {
            return;
        }
        let path = request
            .headers
            .one(":path")
            .ok()
            .flatten()
            .unwrap_or_default();
        for pair in request
            .target
            .query(path)
            .unwrap_or_default()
            .split(|b| *b == b'&')
        {
            let (name, value) = split_once(pair, b'=').unwrap_or((pair, b""));
            if let Some(param) = self.params.iter().find(|param| param.as_bytes() == name) {
                found.push(PresentedCredential {
                    token: value,
                    scheme: AuthScheme::Other,
                    place: CredentialSource::Param { path, name: param },
                });
            }
        }
    }

    fn find_cookies<'r>(
        &'r self,
        request: &Request<'r>,
        found: &mut Vec<PresentedCredential<'r>>,
    ) -> Result<(), LocationError> {
        if self.cookies.is_empty() {
            return Ok(());
        }
        let line = request
            .headers
            .one("cookie")
            .map_err(|_| LocationError::Repeated)?;
        let line = line.unwrap_or_default();
        for (name, value) in cookies(line) {
            if let Some(cookie) = self.cookies.iter().find(|cookie| cookie.as_bytes() == name) {
                found.push(PresentedCredential {
                    token: value,
                    scheme: AuthScheme::Other,
                    place: CredentialSource::Cookie { line, name: cookie },
                });
            }
        }
        Ok(())
    }
}

impl HeaderLocation {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.object(problems, "{\"name\": \"…\"}")?;
        let name = fields
            .required("name", problems)
            .and_then(|node| read_changeable(&node, problems));
        let value_prefix = fields.or_default("value_prefix", "", problems, |node, problems| {
            node.non_empty(problems)
        });
        fields.deny_unknown(problems);
        Some(Self {
            name: name?,
            value_prefix: value_prefix?.to_owned(),
            takes_dpop: false,
        })
    }

    /// What follows the prefix.
    fn token<'r>(&self, value: &'r [u8]) -> Option<(&'r [u8], AuthScheme)> {
        let is_authorization = self.name.as_str() == "authorization";
        let own = || {
            let token = behind(&self.value_prefix, value)?;
            let prefix = self.value_prefix.trim_end();
            let is_dpop = is_authorization && prefix.eq_ignore_ascii_case(DPOP.trim_end());
            Some(match is_dpop {
                true => (token, AuthScheme::Dpop),
                false => (token, AuthScheme::Other),
            })
        };
        let dpop = || Some((behind(DPOP, value)?, AuthScheme::Dpop));
        own().or_else(|| self.takes_dpop.then(dpop).flatten())
    }
}

/// RFC 9110 §11: the case of a scheme does not count, and there may be more than one blank after it.
fn behind<'r>(prefix: &str, value: &'r [u8]) -> Option<&'r [u8]> {
    let (start, rest) = value.split_at_checked(prefix.len())?;
    let fits = start.eq_ignore_ascii_case(prefix.as_bytes());
    let blanks = rest.iter().take_while(|b| **b == b' ').count();
    fits.then_some(rest.get(blanks..)?)
}

fn read_plain_name(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let name = node.non_empty(problems)?;
    let plain = name
        .bytes()
        .all(|b| is_token_byte(b) && b != b'%' && b != b'+' && b != b'&');
    if !plain {
        node.report(problems, "must be letters, digits and !#$'*-.^_`|~");
    }
    plain.then(|| name.to_owned())
}
