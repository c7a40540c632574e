//! The request target: what routes are matched on.
//!
//! A service behind the proxy may decode, fold or cut a path in ways of its own. So that no
//! spelling reaches it under another route's policy, a path is brought to one spelling
//! first, and one that different servers read differently is refused.

mod authority;
mod readings;
mod rules;

use std::fmt;

pub use self::authority::{Authority, AuthorityError};
use self::readings::{PathReading, SLASH, others};
pub use self::readings::{fold_case, folded};
use self::rules::allows_semicolon;
pub use self::rules::{Ambiguous, Empty, LetterCase, Padding, PathRules};

/// The path and query of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    path: String,
    /// Whether upper and lower case are the same in it.
    any_case: bool,
    /// What else servers may read in it.
    others: Vec<PathReading>,
    query_start: Option<usize>,
}

/// Why a path cannot be judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TargetError {
    /// It is not an absolute path: `*`, an absolute URI, or nothing.
    NotAbsolute,
    /// A byte that RFC 3986 does not allow in a target: a control, a blank, `\`, or one outside ASCII.
    ForbiddenByte,
    /// A `%` without two hexadecimal digits, or an encoded one that would decode twice.
    Encoding,
    /// An encoded `/`, `\` or control character.
    EncodedDelimiter,
    /// The encoded bytes are not UTF-8.
    NotUtf8,
    /// A `.` or `..` segment, however spelled.
    DotSegment,
    /// An empty segment, as in `//`.
    EmptySegment,
    /// A `;`, which some servers cut off together with what follows.
    PathParameter,
    /// A `#`, which never belongs to a request.
    Fragment,
    /// A segment that ends in dots or blanks, begins with blanks, or has a character in it that nobody
    /// sees.
    Padding,
    /// It is too long to be read in several ways.
    TooCostly,
    /// Read in one way it belongs to another route than read in another.
    TwoRoutes,
}

impl Target {
    /// Splits and canonicalises `:path`: percent-encodings are decoded exactly once.
    ///
    /// # Errors
    /// See [`TargetError`].
    pub fn parse(raw: &[u8]) -> Result<Self, TargetError> {
        Self::parse_by(raw, PathRules::default())
    }

    /// The same, where more may pass.
    ///
    /// # Errors
    /// See [`TargetError`].
    pub fn parse_by(raw: &[u8], rules: PathRules) -> Result<Self, TargetError> {
        if raw.first() != Some(&b'/') {
            return Err(TargetError::NotAbsolute);
        }
        let query_start = raw.iter().position(|b| *b == b'?');
        let (path, query) = match query_start.and_then(|at| raw.split_at_checked(at)) {
            Some((path, query)) => (path, query),
            None => (raw, &b""[..]),
        };
        if raw.contains(&b'#') {
            return Err(TargetError::Fragment);
        }
        if raw.iter().any(|b| !b.is_ascii_graphic()) || path.contains(&b'\\') {
            return Err(TargetError::ForbiddenByte);
        }
        let query_start = (!query.is_empty()).then_some(path.len());
        let path = decode(path, rules)?;
        check_segments(&path)?;
        let others = others(&path, rules)?;
        others
            .iter()
            .try_for_each(|other| check_segments(&other.path))?;
        Ok(Self {
            path,
            any_case: false,
            others,
            query_start,
        })
    }

    /// What else servers may read in it. Whatever holds for the path has to hold for these.
    pub fn other_readings(&self) -> impl Iterator<Item = Self> {
        self.others.iter().map(|other| Self {
            path: other.path.clone(),
            any_case: other.any_case,
            others: Vec::new(),
            query_start: self.query_start,
        })
    }

    /// The path in each way in which servers may read it, its one spelling first; each with
    /// [`Target::any_case`] of it.
    pub fn readings(&self) -> impl Iterator<Item = (&str, bool)> {
        let others = self.others.iter();
        let others = others.map(|other| (other.path.as_str(), other.any_case));
        std::iter::once((self.path(), self.any_case)).chain(others)
    }

    /// The path in its one spelling: decoded, without query. An encoded `/`, where one may be, stands
    /// there as `%2F`.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Whether it stands for paths in upper and lower case alike. It is folded then, and what it is compared
    /// with has to be.
    pub fn any_case(&self) -> bool {
        self.any_case
    }

    /// The query of `raw`, the `:path` this target was parsed from, without its `?`.
    pub fn query<'r>(&self, raw: &'r [u8]) -> Option<&'r [u8]> {
        raw.get(self.query_start?.checked_add(1)?..)
    }
}

/// Decodes a path of visible ASCII.
fn decode(path: &[u8], rules: PathRules) -> Result<String, TargetError> {
    if !path.iter().any(|b| matches!(b, b'%' | b';')) {
        return String::from_utf8(path.to_vec()).map_err(|_| TargetError::NotUtf8);
    }
    let mut decoded = Vec::with_capacity(path.len());
    let mut bytes = path.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b';' => {
                allows_semicolon(rules)?;
                decoded.push(byte);
            }
            b'%' => {
                let digit = |b: Option<u8>| b.and_then(|b| (b as char).to_digit(16));
                let (high, low) = (digit(bytes.next()), digit(bytes.next()));
                let (Some(high), Some(low)) = (high, low) else {
                    return Err(TargetError::Encoding);
                };
                match (high * 16 + low) as u8 {
                    b'/' if rules.encoded_slashes == Ambiguous::SameRoute => {
                        decoded.extend_from_slice(SLASH.as_bytes());
                    }
                    byte => decoded.push(encoded_byte(byte)?),
                }
            }
            _ => decoded.push(byte),
        }
    }
    let decoded = String::from_utf8(decoded).map_err(|_| TargetError::NotUtf8)?;
    if decoded.chars().any(char::is_control) {
        return Err(TargetError::EncodedDelimiter);
    }
    Ok(decoded)
}

fn encoded_byte(byte: u8) -> Result<u8, TargetError> {
    match byte {
        // An encoded percent sign is how a path is encoded twice.
        b'%' => Err(TargetError::Encoding),
        b'/' | b'\\' | b';' | 0..=0x1f | 0x7f => Err(TargetError::EncodedDelimiter),
        _ => Ok(byte),
    }
}

fn check_segments(path: &str) -> Result<(), TargetError> {
    let mut segments = path.split('/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            "." | ".." => return Err(TargetError::DotSegment),
            "" if segments.peek().is_some() => return Err(TargetError::EmptySegment),
            _ => {}
        }
    }
    Ok(())
}

impl TargetError {
    /// The word for it in the log.
    pub fn reason(self) -> &'static str {
        match self {
            TargetError::NotAbsolute => "path_not_absolute",
            TargetError::ForbiddenByte => "path_byte",
            TargetError::Encoding => "path_encoding",
            TargetError::EncodedDelimiter => "path_encoded_delimiter",
            TargetError::NotUtf8 => "path_utf8",
            TargetError::DotSegment => "path_dot_segment",
            TargetError::EmptySegment => "path_empty_segment",
            TargetError::PathParameter => "path_parameter",
            TargetError::Fragment => "path_fragment",
            TargetError::Padding => "path_padding",
            TargetError::TooCostly => "effort",
            TargetError::TwoRoutes => "path_two_routes",
        }
    }
}

impl fmt::Display for TargetError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.reason())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(raw: &str) -> Result<String, TargetError> {
        Target::parse(raw.as_bytes()).map(|target| target.path().to_owned())
    }

    #[test]
    fn one_spelling_for_each_path() {
        assert_eq!(path("/orders").unwrap(), "/orders");
        assert_eq!(path("/%61dmin").unwrap(), "/admin");
        assert_eq!(path("/a%20b/").unwrap(), "/a b/");
        assert_eq!(path("/caf%C3%A9").unwrap(), "/café");
        assert_eq!(path("/?a=..//").unwrap(), "/");
        assert_eq!(path("/..a/.b").unwrap(), "/..a/.b");
    }

    #[test]
    fn refuses_what_servers_read_differently() {
        use TargetError::*;
        for (raw, error) in [
            ("", NotAbsolute),
            ("*", NotAbsolute),
            ("http://a/b", NotAbsolute),
            ("/a\\b", ForbiddenByte),
            ("/a b", ForbiddenByte),
            ("/é", ForbiddenByte),
            ("/%zz", Encoding),
            ("/%4", Encoding),
            ("/%", Encoding),
            ("/%252e%252e/", Encoding),
            ("/a%2fb", EncodedDelimiter),
            ("/a%5Cb", EncodedDelimiter),
            ("/a%00", EncodedDelimiter),
            ("/a%3bx", EncodedDelimiter),
            ("/a%C2%85", EncodedDelimiter),
            ("/%c0%ae%c0%ae/", NotUtf8),
            ("/%ff", NotUtf8),
            ("/a/../b", DotSegment),
            ("/a/%2e%2E/b", DotSegment),
            ("/a/.", DotSegment),
            ("/..", DotSegment),
            ("//a", EmptySegment),
            ("/a//", EmptySegment),
            ("/a;b=c", PathParameter),
            ("/a/..;/b", PathParameter),
            ("/a#b", Fragment),
        ] {
            assert_eq!(path(raw), Err(error), "{raw}");
        }
        assert_eq!(Target::parse(b"/\xff"), Err(ForbiddenByte));
    }

    #[test]
    fn what_may_be_read_in_several_ways_has_several_readings() {
        let rules = PathRules {
            semicolons: Ambiguous::SameRoute,
            encoded_slashes: Ambiguous::SameRoute,
            empty_segments: Empty::Merge,
            ..PathRules::default()
        };
        let read = |raw: &str| {
            let target = Target::parse_by(raw.as_bytes(), rules)?;
            let others = target.other_readings().map(|other| other.path().to_owned());
            Ok((target.path().to_owned(), others.collect::<Vec<_>>()))
        };
        let of = |path: &str, others: &[&str]| {
            let others = others.iter().map(|other| (*other).to_owned());
            Ok((path.to_owned(), others.collect()))
        };
        assert_eq!(read("/a"), of("/a", &[]));
        assert_eq!(read("/a%2fb"), of("/a%2Fb", &["/a/b"]));
        assert_eq!(read("/a;x/b"), of("/a;x/b", &["/a/b", "/a"]));
        let both = of(
            "/a%2Fb;x/c",
            &["/a/b;x/c", "/a%2Fb/c", "/a%2Fb", "/a/b/c", "/a/b"],
        );
        assert_eq!(read("/a%2Fb;x/c"), both);
        for (raw, error) in [
            ("/a/..;/b", TargetError::DotSegment),
            ("/a%2f..%2fb", TargetError::DotSegment),
            ("/;x/b", TargetError::EmptySegment),
            ("/a/%2fb", TargetError::EmptySegment),
            ("/a%3bb", TargetError::EncodedDelimiter),
            ("/a%5cb", TargetError::EncodedDelimiter),
            ("/a%252fb", TargetError::Encoding),
        ] {
            assert_eq!(read(raw), Err(error), "{raw}");
        }
    }

    #[test]
    fn padding_and_case_have_readings_of_their_own() {
        let readings = |raw: &str, rules| {
            let target = Target::parse_by(raw.as_bytes(), rules)?;
            let others = target.other_readings();
            let others = others.map(|other| (other.path().to_owned(), other.any_case()));
            Ok(others.collect::<Vec<_>>())
        };
        let plain = |paths: &[&str]| {
            let each = paths.iter().map(|path| ((*path).to_owned(), false));
            Ok(each.collect::<Vec<_>>())
        };
        let usual = PathRules::default();
        assert_eq!(readings("/Admin", usual), plain(&[]));
        assert_eq!(readings("/admin.", usual), plain(&["/admin"]));
        assert_eq!(readings("/admin%20/x", usual), plain(&["/admin/x"]));
        assert_eq!(readings("/admin%E2%80%8B", usual), plain(&["/admin"]));
        assert_eq!(readings("/admin%3Fx/y", usual), plain(&["/admin"]));
        assert_eq!(readings("/admin%23", usual), plain(&["/admin"]));
        assert_eq!(readings("/admin.%3F", usual), plain(&["/admin.", "/admin"]));
        assert_eq!(readings("/..%3Fa", usual), Err(TargetError::DotSegment));
        assert_eq!(readings("/a/..%20/b", usual), Err(TargetError::DotSegment));
        assert_eq!(readings("/a/.../b", usual), Err(TargetError::EmptySegment));
        let slashes = PathRules {
            encoded_slashes: Ambiguous::SameRoute,
            semicolons: Ambiguous::SameRoute,
            ..usual
        };
        assert_eq!(readings("/a.%2Fb", slashes), plain(&["/a./b", "/a/b"]));
        assert_eq!(
            readings("/a.;x", slashes),
            plain(&["/a.", "/a.", "/a", "/a"])
        );
        let refusing = PathRules {
            padding: Padding::Refuse,
            ..usual
        };
        assert_eq!(readings("/admin.", refusing), Err(TargetError::Padding));
        assert_eq!(readings("/a%20b", refusing), plain(&[]));
        let passing = PathRules {
            padding: Padding::Pass,
            ..usual
        };
        assert_eq!(readings("/admin.", passing), plain(&[]));
        let any_case = PathRules {
            letter_case: LetterCase::SameRoute,
            ..usual
        };
        let both = vec![
            ("/Admin".to_owned(), false),
            ("/admin.".to_owned(), true),
            ("/admin".to_owned(), true),
        ];
        assert_eq!(readings("/Admin.", any_case), Ok(both));
    }

    #[test]
    fn empty_segments_may_be_taken_out() {
        let rules = PathRules {
            empty_segments: Empty::Merge,
            ..PathRules::default()
        };
        let merged = |raw: &str| rules.merged(raw.as_bytes());
        assert_eq!(merged("//a///b//?c=//d"), Some(b"/a/b/?c=//d".to_vec()));
        assert_eq!(merged("/a/b?c=//d"), None);
        assert_eq!(PathRules::default().merged(b"//a"), None);
    }

    #[test]
    fn the_query_is_what_follows_the_first_question_mark() {
        let query = |raw: &'static str| {
            let target = Target::parse(raw.as_bytes()).unwrap();
            target
                .query(raw.as_bytes())
                .map(|query| String::from_utf8_lossy(query).into_owned())
        };
        assert_eq!(query("/a?b=c?d"), Some("b=c?d".to_owned()));
        assert_eq!(query("/%61?b"), Some("b".to_owned()));
        assert_eq!(query("/a?"), Some(String::new()));
        assert_eq!(query("/a"), None);
    }
}
