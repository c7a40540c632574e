//! The origins that an operator names.

use portcullis_wire::regex::{Effort, Regex, TooCostly};

use super::Origin;
use super::reader::{Item, Power, Reader};
use portcullis_document::{Node, Problems};
use portcullis_wire::headers::HeaderValue;
use portcullis_wire::sort;

/// Origins by name, by pattern, or all.
#[derive(Debug, Default)]
pub struct AllowedOrigins {
    /// Every origin but `null`.
    any: bool,
    null: bool,
    /// Sorted.
    exact: Vec<HeaderValue>,
    below: Vec<Below>,
    regexes: Vec<Regex>,
}

/// How an `Origin` field stands to a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OriginMatch {
    /// It is on the list.
    Listed,
    /// It is an origin, and not on the list.
    NotListed,
    /// It is `null`, which the list does not name.
    Null,
    /// It is no origin: no browser writes such a field.
    Malformed,
    /// It would take too much work to tell.
    Undecided,
}

/// The origins of all hosts below one.
#[derive(Debug)]
pub(super) struct Below {
    pub(super) scheme: String,
    /// Begins with a dot.
    pub(super) suffix: String,
    port: Option<u16>,
}

impl AllowedOrigins {
    /// Reads a list of objects with one of `exact`, `wildcard` and `regex`. Where pages act as the
    /// user, an item that lets strangers in is a problem, otherwise a note.
    pub fn read(
        node: &Node<'_>,
        power: Power,
        notes: &mut Vec<String>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut origins = Self::default();
        let mut reader = Reader::new(power, notes);
        for item in node.list(problems, |node, problems| reader.item(node, problems))? {
            match item {
                Item::Any => origins.any = true,
                Item::Null => origins.null = true,
                Item::Exact(origin) => origins.exact.push(origin),
                Item::Below(below) => origins.below.push(below),
                Item::Regex(regex) => origins.regexes.push(regex),
            }
        }
        sort::sort(&mut origins.exact, |one, other| {
            one.as_bytes().cmp(other.as_bytes())
        });
        Some(origins)
    }

    /// Whether the list has `*`.
    pub fn has_any(&self) -> bool {
        self.any
    }

    /// Whether the list has `*` and `null`: then nothing depends on the origin.
    pub fn has_all(&self) -> bool {
        self.any && self.null
    }

    /// Looks a field's value up.
    pub fn standing(&self, origin: &[u8], effort: &Effort) -> OriginMatch {
        if origin == b"null" {
            return if self.null {
                OriginMatch::Listed
            } else {
                OriginMatch::Null
            };
        }
        let listed = self
            .exact
            .binary_search_by(|each| each.as_bytes().cmp(origin));
        if listed.is_ok() {
            return OriginMatch::Listed;
        }
        let compared = origin.len().saturating_add(self.below.len());
        if effort.spend(compared as u64).is_err() {
            return OriginMatch::Undecided;
        }
        // Patterns meet nothing but origins: what a `.*` may match holds no path and no user.
        let text = std::str::from_utf8(origin).unwrap_or_default();
        let Ok(parsed) = Origin::parse(text) else {
            return OriginMatch::Malformed;
        };
        if self.any || self.below.iter().any(|below| below.has(&parsed)) {
            return OriginMatch::Listed;
        }
        for regex in &self.regexes {
            match regex.is_match(text, effort) {
                Ok(true) => return OriginMatch::Listed,
                Ok(false) => {}
                Err(TooCostly) => return OriginMatch::Undecided,
            }
        }
        OriginMatch::NotListed
    }
}

impl Below {
    fn has(&self, origin: &Origin<'_>) -> bool {
        let name = origin.host.strip_suffix(self.suffix.as_str());
        name.is_some_and(|name| !name.is_empty())
            && origin.scheme == self.scheme
            && origin.port == self.port
    }

    /// `https://*.example.com`: the star is the whole first label.
    pub(super) fn read(written: &str) -> Result<Self, String> {
        let form = "must be \"*\", or an origin with `*.` before its host, such as \"https://*.example.com\"";
        let (scheme, host) = written.split_once("://*.").ok_or(form)?;
        let origin = format!("{scheme}://{host}");
        let origin = Origin::parse(&origin).map_err(|error| error.to_string())?;
        if origin.host.starts_with('[') {
            return Err("an address has nothing below it; use `exact`".to_owned());
        }
        // Not a list of public suffixes: the one mistake that can be told without one.
        if !origin.host.contains('.') && origin.host != "localhost" {
            return Err(
                "stands for a whole top-level domain; name the domain below it that is yours"
                    .to_owned(),
            );
        }
        Ok(Self {
            scheme: origin.scheme.to_owned(),
            suffix: format!(".{}", origin.host),
            port: origin.port,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::effort;
    use portcullis_wire::json::Json;

    fn read(list: &str) -> Result<AllowedOrigins, Vec<String>> {
        let json = Json::parse(list.as_bytes(), 8).unwrap();
        let mut problems = Problems::default();
        let (root, mut notes) = (Node::root(&json), Vec::new());
        let origins = AllowedOrigins::read(&root, Power::Read, &mut notes, &mut problems);
        problems
            .into_result(origins)
            .map_err(|error| error.problems.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn patterns_meet_whole_origins() {
        let origins = read(
            r#"[{"exact": "https://app.example.com"}, {"wildcard": "https://*.example.net:8443"},
                {"regex": "^https://.*\\.example\\.org$"}]"#,
        )
        .unwrap();
        for listed in [
            "https://app.example.com",
            "https://a.example.net:8443",
            "https://a.b.example.net:8443",
            "https://a.example.org",
        ] {
            assert_eq!(
                origins.standing(listed.as_bytes(), &Effort::new(effort::HEAD)),
                OriginMatch::Listed,
                "{listed}"
            );
        }
        for other in [
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.example",
            "https://xapp.example.com",
            "https://example.net:8443",
            "https://a.example.net",
            "http://a.example.net:8443",
            "https://aexample.net:8443",
            "https://example.org.evil.example",
        ] {
            assert_eq!(
                origins.standing(other.as_bytes(), &Effort::new(effort::HEAD)),
                OriginMatch::NotListed,
                "{other}"
            );
        }
        for malformed in [
            &b"https://evil.example/.example.org"[..],
            b"https://evil.example#.example.org",
            b"https://u@a.example.org",
            b"https://app.example.com,https://app.example.com",
            b"https://.example.net:8443",
            b"HTTPS://app.example.com",
            b"https://app.example.com/",
            b"",
            b"*",
            b"Null",
            b"\xff",
        ] {
            assert_eq!(
                origins.standing(malformed, &Effort::new(effort::HEAD)),
                OriginMatch::Malformed,
                "{malformed:?}"
            );
        }
        assert_eq!(
            origins.standing(b"null", &Effort::new(effort::HEAD)),
            OriginMatch::Null
        );
    }

    #[test]
    fn an_origin_that_is_too_costly_is_not_listed() {
        let origins = read(
            r#"[{"regex": "^https://.*a[a-z]{800}x\\.example$"},
                {"regex": "^https://.*$"}]"#,
        )
        .unwrap();
        let letters = (0..2000_u32).map(|at| match at.wrapping_mul(2_654_435_761) >> 16 & 1 {
            0 => 'a',
            _ => 'b',
        });
        let long = format!("https://{}.example", letters.collect::<String>());
        let standing = |origin: &[u8]| origins.standing(origin, &Effort::new(effort::HEAD));
        assert_eq!(standing(b"https://a.example"), OriginMatch::Listed);
        assert_eq!(standing(long.as_bytes()), OriginMatch::Undecided);
    }

    #[test]
    fn any_is_not_null() {
        let any = read(r#"[{"wildcard": "*"}]"#).unwrap();
        assert!(any.has_any() && !any.has_all());
        assert_eq!(
            any.standing(b"http://evil.example", &Effort::new(effort::HEAD)),
            OriginMatch::Listed
        );
        assert_eq!(
            any.standing(b"null", &Effort::new(effort::HEAD)),
            OriginMatch::Null
        );
        assert_eq!(
            any.standing(b"evil", &Effort::new(effort::HEAD)),
            OriginMatch::Malformed
        );
        let null = read(r#"[{"exact": "null"}]"#).unwrap();
        assert_eq!(
            null.standing(b"null", &Effort::new(effort::HEAD)),
            OriginMatch::Listed
        );
    }

    #[test]
    fn what_is_spent_is_spent_for_all_lists() {
        let origins = read(r#"[{"wildcard": "https://*.example.com"}]"#).unwrap();
        let effort = Effort::new(60);
        let origin = b"https://app.example.com";
        assert_eq!(origins.standing(origin, &effort), OriginMatch::Listed);
        assert_eq!(origins.standing(origin, &effort), OriginMatch::Listed);
        assert_eq!(origins.standing(origin, &effort), OriginMatch::Undecided);
    }
}
