//! `cookies`: attributes that the service's cookies lack.
//!
//! Attributes are only ever added, at the end: nothing of what the service wrote is touched, so a
//! value with odd bytes stays what it is. Of an attribute that comes twice, browsers take the last.

use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::exchange::Edit;
use portcullis_wire::headers::{HeaderName, HeaderValue, Headers};

/// What cookies get.
#[derive(Debug)]
pub(super) struct Cookies {
    name: HeaderName,
    all: Attributes,
    by_name: Vec<(Box<[u8]>, Attributes)>,
}

/// What a cookie gets where it lacks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Attributes {
    secure: bool,
    http_only: bool,
    same_site: Option<SameSite>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SameSite {
    Lax,
    Strict,
    None,
}

impl Cookies {
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let safest = Attributes {
            secure: true,
            http_only: true,
            same_site: Some(SameSite::Lax),
        };
        let all = Attributes::read(&mut fields, safest, problems);
        let by_name = fields.or_default("by_name", Vec::new(), problems, |node, problems| {
            let entries = node.members(problems)?;
            let read = entries.iter().map(|(name, node)| {
                let mut fields = node.fields(problems)?;
                let attributes = Attributes::read(&mut fields, all.unwrap_or(safest), problems);
                fields.deny_unknown(problems);
                Some((name.as_bytes().into(), attributes?))
            });
            let read: Vec<Option<_>> = read.collect();
            read.into_iter().collect()
        });
        fields.deny_unknown(problems);
        Some(Self {
            name: HeaderName::parse("set-cookie").ok()?,
            all: all?,
            by_name: by_name?,
        })
    }

    /// What becomes of the cookies of a response; nothing if they lack nothing.
    ///
    /// A line with control characters goes: no browser takes it, and it cannot be written again.
    pub(super) fn edits(&self, headers: &Headers) -> Vec<Edit> {
        let mut changed = false;
        let mut edits = vec![Edit::Remove(self.name.clone())];
        for line in headers.all(self.name.as_str()) {
            let added = self.missing(line);
            let line = line.trim_ascii();
            let value = match added.as_str() {
                "" => HeaderValue::parse(line),
                added => HeaderValue::parse(&[line, added.as_bytes()].concat()),
            };
            changed |= !added.is_empty() || value.is_err();
            edits.extend(value.map(|value| Edit::Add(self.name.clone(), value)));
        }
        if changed { edits } else { Vec::new() }
    }

    /// The attributes that a cookie is to get, as they are written after it.
    fn missing(&self, line: &[u8]) -> String {
        let Some(cookie) = Cookie::parse(line) else {
            return String::new();
        };
        let wanted = self
            .by_name
            .iter()
            .find(|(name, _)| **name == *cookie.name)
            .map_or(self.all, |(_, attributes)| *attributes);
        let prefix = Prefix::of(cookie.name);
        let mut added = String::new();
        if prefix.host && !cookie.domain && !cookie.path {
            added.push_str("; Path=/");
        }
        if (wanted.secure || prefix.secure) && !cookie.secure {
            added.push_str("; Secure");
        }
        if (wanted.http_only || prefix.http_only) && !cookie.http_only {
            added.push_str("; HttpOnly");
        }
        if let (Some(same_site), false) = (wanted.same_site, cookie.same_site) {
            added.push_str(match same_site {
                SameSite::Lax => "; SameSite=Lax",
                SameSite::Strict => "; SameSite=Strict",
                SameSite::None => "; SameSite=None",
            });
        }
        added
    }
}

impl Attributes {
    fn read(fields: &mut Fields<'_>, default: Self, problems: &mut Problems) -> Option<Self> {
        let secure = fields.or_default("secure", default.secure, problems, Node::boolean);
        let http_only = fields.or_default("http_only", default.http_only, problems, Node::boolean);
        let place = fields.pointer().clone();
        let same_site = fields.or_default(
            "same_site",
            default.same_site,
            problems,
            |node, problems| {
                if node.is_off() {
                    return Some(None);
                }
                let choices = [
                    ("lax", Some(SameSite::Lax)),
                    ("strict", Some(SameSite::Strict)),
                    ("none", Some(SameSite::None)),
                    ("off", None),
                ];
                node.choice(problems, &choices)
            },
        );
        let read = Self {
            secure: secure?,
            http_only: http_only?,
            same_site: same_site?,
        };
        if read.same_site == Some(SameSite::None) && !read.secure {
            problems.report(
                &place,
                "\"same_site\": \"none\" needs \"secure\": true; browsers refuse such cookies otherwise",
            );
            return None;
        }
        Some(read)
    }
}

/// What a cookie's name promises, and browsers insist on.
struct Prefix {
    secure: bool,
    http_only: bool,
    host: bool,
}

impl Prefix {
    /// RFC 6265bis §4.1.3; browsers do not tell upper and lower case apart here.
    fn of(name: &[u8]) -> Self {
        let begins = |prefix: &[u8]| {
            let start = name.get(..prefix.len());
            start.is_some_and(|start| start.eq_ignore_ascii_case(prefix))
        };
        let host = begins(b"__Host-");
        let http_only = begins(b"__Http-") || begins(b"__Host-Http-");
        Self {
            secure: host || http_only || begins(b"__Secure-"),
            http_only,
            host,
        }
    }
}

/// What a `Set-Cookie` line says, as RFC 6265bis §5.6 reads it.
struct Cookie<'l> {
    name: &'l [u8],
    secure: bool,
    http_only: bool,
    /// A value that browsers know.
    same_site: bool,
    domain: bool,
    path: bool,
}

impl<'l> Cookie<'l> {
    /// None for a line that browsers ignore.
    fn parse(line: &'l [u8]) -> Option<Self> {
        let control = |b: &u8| b.is_ascii_control() && *b != b'\t';
        if line.iter().any(control) {
            return None;
        }
        let mut parts = line.split(|b| *b == b';');
        let pair = parts.next().unwrap_or_default();
        let (name, value) = split_pair(pair).unwrap_or((b"", pair.trim_ascii()));
        if name.is_empty() && value.is_empty() {
            return None;
        }
        let mut cookie = Self {
            name,
            secure: false,
            http_only: false,
            same_site: false,
            domain: false,
            path: false,
        };
        for part in parts {
            cookie.take(part);
        }
        Some(cookie)
    }

    fn take(&mut self, attribute: &[u8]) {
        const LONGEST: usize = 1024;
        let (name, value) = split_pair(attribute).unwrap_or((attribute.trim_ascii(), b""));
        if value.len() > LONGEST {
            return;
        }
        match name.to_ascii_lowercase().as_slice() {
            b"secure" => self.secure = true,
            b"httponly" => self.http_only = true,
            b"domain" => self.domain = true,
            b"path" => self.path = true,
            b"samesite" => {
                let known: [&[u8]; 3] = [b"lax", b"strict", b"none"];
                self.same_site = known.iter().any(|each| value.eq_ignore_ascii_case(each));
            }
            _ => {}
        }
    }
}

fn split_pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|b| *b == b'=')?;
    let (name, value) = text.split_at_checked(at)?;
    Some((name.trim_ascii(), value.get(1..)?.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::json::Json;

    fn cookies(block: &str) -> Cookies {
        let json = Json::parse(block.as_bytes(), 8).unwrap();
        let mut problems = Problems::default();
        let read = Cookies::read(&Node::root(&json), &mut problems);
        problems.into_result(read).unwrap()
    }

    #[test]
    fn what_is_missing_is_added_at_the_end() {
        let strict = cookies(r#"{"same_site": "strict", "by_name": {"x": {"http_only": false}}}"#);
        for (line, added) in [
            ("a=b", "; Secure; HttpOnly; SameSite=Strict"),
            ("a=b; secure ; HTTPONLY=1; samesite = nOnE", ""),
            ("a=b;SameSite=Lax", "; Secure; HttpOnly"),
            (
                "a=b; SameSite=lax; SameSite=oops; Secure",
                "; HttpOnly; SameSite=Strict",
            ),
            ("a=Secure; HttpOnly", "; Secure; SameSite=Strict"),
            ("secure", "; Secure; HttpOnly; SameSite=Strict"),
            ("=v", "; Secure; HttpOnly; SameSite=Strict"),
            ("x=1", "; Secure; SameSite=Strict"),
            ("X=1", "; Secure; HttpOnly; SameSite=Strict"),
            ("  x  = 1", "; Secure; SameSite=Strict"),
            ("", ""),
            ("=", ""),
            ("; Secure", ""),
            ("a=\x01", ""),
        ] {
            assert_eq!(strict.missing(line.as_bytes()), added, "{line}");
        }
    }

    #[test]
    fn names_are_kept_to_their_promise() {
        let nothing = r#"{"secure": false, "http_only": false, "same_site": "off"}"#;
        let nothing = cookies(nothing);
        for (line, added) in [
            ("a=b", ""),
            ("__Secure-a=b", "; Secure"),
            ("__host-a=b", "; Path=/; Secure"),
            ("__Host-a=b; Path=/; Secure", ""),
            ("__Host-a=b; Path=/x", "; Secure"),
            ("__Host-a=b; Domain=a.example", "; Secure"),
            ("__Http-a=b", "; Secure; HttpOnly"),
            ("__Host-Http-a=b; path=/", "; Secure; HttpOnly"),
            ("__Hosta=b", ""),
        ] {
            assert_eq!(nothing.missing(line.as_bytes()), added, "{line}");
        }
    }

    #[test]
    fn lines_keep_their_order_and_their_bytes() {
        let plain = cookies("{}");
        let mut headers = Headers::default();
        for line in [
            &b"a=\xff\x80; Path=/"[..],
            b"b=1\x07",
            b"c=1; Secure; HttpOnly; SameSite=Lax",
        ] {
            headers.push(b"set-cookie", line);
        }
        let edits = plain.edits(&headers);
        let lines: Vec<&[u8]> = edits
            .iter()
            .filter_map(|edit| match edit {
                Edit::Add(_, value) => Some(value.as_bytes()),
                _ => None,
            })
            .collect();
        assert!(matches!(edits.first(), Some(Edit::Remove(_))));
        assert_eq!(
            lines,
            [
                &b"a=\xff\x80; Path=/; Secure; HttpOnly; SameSite=Lax"[..],
                b"c=1; Secure; HttpOnly; SameSite=Lax"
            ]
        );
        let mut complete = Headers::default();
        complete.push(b"set-cookie", b"c=1; Secure; HttpOnly; SameSite=Lax");
        assert!(plain.edits(&complete).is_empty());
    }

    #[test]
    fn a_cross_site_cookie_is_a_secure_one() {
        let json = br#"{"secure": false, "same_site": "none"}"#;
        let json = Json::parse(json, 8).unwrap();
        let mut problems = Problems::default();
        assert!(Cookies::read(&Node::root(&json), &mut problems).is_none());
        assert_eq!(
            problems.into_result(Some(())).unwrap_err().problems.len(),
            1
        );
    }
}
