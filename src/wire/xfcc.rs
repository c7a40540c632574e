//! `x-forwarded-client-cert`: what each proxy on the way says of the certificate of who called it.
//!
//! One element for each proxy, the last one's at the end, in Envoy's syntax: elements are parted by `,`, pairs
//! by `;`, and a value stands in quotes if it holds one of `,;="`, with `\"` for a quote. It is read
//! exactly or not at all: whatever two readers could take for two things is no such field.
//!
//! Envoy writes URIs and host names of a certificate as they are, marks among them included. A name that would
//! pass for another pair is found out where that pair could not stand: Envoy writes pairs in one order, and
//! host names have few marks. A URI can still pass for a host name, or for another URI.

use std::borrow::Cow;

/// What one proxy says of a certificate.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Element<'v> {
    /// The SHA-256 of the certificate, 64 hexadecimal digits.
    pub hash: Option<&'v str>,
    /// Its subject.
    pub subject: Option<Cow<'v, str>>,
    /// The URIs among its names.
    pub uris: Vec<Cow<'v, str>>,
    /// The host names among them.
    pub dns: Vec<Cow<'v, str>>,
    /// The last key.
    last: Option<PairName>,
    /// Whether it says that there is no URI.
    has_no_uri: bool,
}

/// The keys, in the order in which they stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum PairName {
    By,
    Hash,
    Cert,
    Chain,
    Subject,
    Uri,
    Dns,
}

const KEYS: [(&str, PairName); 7] = [
    ("By", PairName::By),
    ("Hash", PairName::Hash),
    ("Cert", PairName::Cert),
    ("Chain", PairName::Chain),
    ("Subject", PairName::Subject),
    ("URI", PairName::Uri),
    ("DNS", PairName::Dns),
];

/// Why it is not read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum XfccError {
    /// It is not of that syntax.
    Malformed,
    /// It has more elements than there are proxies.
    TooMany,
}

/// How many pairs of an element name its proxy or its certificate at most.
const MOST_NAMES: usize = 64;
/// The longest field, in bytes: chains of certificates in PEM are a few kilobytes.
pub const LONGEST: usize = 16 << 10;

/// The elements, of which there are so many at most.
///
/// # Errors
/// [`XfccError`]
pub fn elements(value: &[u8], most: usize) -> Result<Vec<Element<'_>>, XfccError> {
    if value.len() > LONGEST {
        return Err(XfccError::Malformed);
    }
    let value = std::str::from_utf8(value).map_err(|_| XfccError::Malformed)?;
    if !value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err(XfccError::Malformed);
    }
    let mut elements = Vec::new();
    let mut rest = value;
    loop {
        // What is behind the last is not read: it may be long.
        if elements.len() >= most {
            return Err(XfccError::TooMany);
        }
        let (element, end) = element(rest).ok_or(XfccError::Malformed)?;
        elements.push(element);
        match end {
            Some(after) => rest = after.trim_start_matches(' '),
            None => return Ok(elements),
        }
    }
}

/// The first element, and what stands behind the comma after it, if there is one.
fn element(text: &str) -> Option<(Element<'_>, Option<&str>)> {
    let mut element = Element::default();
    let mut rest = text;
    let mut names = 0_usize;
    loop {
        let (key, after) = rest.split_once('=')?;
        let (value, after) = value(after)?;
        names = names.checked_add(1).filter(|names| *names <= MOST_NAMES)?;
        element.add(key, value)?;
        if after.is_empty() {
            return Some((element, None));
        }
        if let Some(after) = after.strip_prefix(',') {
            return Some((element, Some(after)));
        }
        rest = after.strip_prefix(';')?;
    }
}

/// The value at the beginning of a text, and what stands behind it.
fn value(text: &str) -> Option<(Cow<'_, str>, &str)> {
    if let Some(text) = text.strip_prefix('"') {
        return quoted(text);
    }
    let end = text.find([',', ';']).unwrap_or(text.len());
    let (value, rest) = text.split_at_checked(end)?;
    let plain = value.bytes().all(|b| !b"=\" ".contains(&b));
    plain.then_some((Cow::Borrowed(value), rest))
}

/// The same, behind the opening quote.
fn quoted(text: &str) -> Option<(Cow<'_, str>, &str)> {
    let mut value = Cow::Borrowed("");
    let mut rest = text;
    loop {
        let (before, after) = rest.split_once('"')?;
        let backslashes = before.bytes().rev().take_while(|b| *b == b'\\').count();
        match backslashes {
            0 => {
                join(&mut value, before);
                return Some((value, after));
            }
            1 => {
                join(&mut value, before.strip_suffix('\\')?);
                value.to_mut().push('"');
                rest = after;
            }
            // To one reader the value ends here, to another it does not.
            _ => return None,
        }
    }
}

fn join<'v>(value: &mut Cow<'v, str>, part: &'v str) {
    match value.is_empty() {
        true => *value = Cow::Borrowed(part),
        false => value.to_mut().push_str(part),
    }
}

impl<'v> Element<'v> {
    /// Takes a pair; none if it is unknown, or may not be there. Proxies write a key without a value where
    /// there is none.
    fn add(&mut self, key: &str, value: Cow<'v, str>) -> Option<()> {
        let mut keys = KEYS.iter();
        let (_, key) = *keys.find(|(name, _)| name.eq_ignore_ascii_case(key))?;
        let is_last = self.last == Some(key);
        if self.last > Some(key)
            || (is_last && !matches!(key, PairName::By | PairName::Uri | PairName::Dns))
        {
            return None;
        }
        self.last = Some(key);
        match key {
            PairName::By | PairName::Cert | PairName::Chain => {}
            PairName::Hash => {
                self.hash = match value {
                    Cow::Borrowed("") => None,
                    Cow::Borrowed(hash) if is_sha256(hash) => Some(hash),
                    _ => return None,
                };
            }
            PairName::Subject => self.subject = Some(value).filter(|subject| !subject.is_empty()),
            PairName::Uri => {
                // One that is empty stands alone: that there is none.
                if self.has_no_uri || (is_last && value.is_empty()) {
                    return None;
                }
                self.has_no_uri = value.is_empty();
                self.uris.extend(Some(value).filter(|uri| !uri.is_empty()));
            }
            PairName::Dns => {
                let of_host = |b: u8| b.is_ascii_alphanumeric() || b"._*-".contains(&b);
                if !value.bytes().all(of_host) {
                    return None;
                }
                self.dns.extend(Some(value).filter(|name| !name.is_empty()));
            }
        }
        Some(())
    }
}

/// Whether a text is 32 bytes in hexadecimal.
pub fn is_sha256(text: &str) -> bool {
    text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HASH: &str = "468ed33be74eee6556d90c0149c1309e9ba61d6425303443c0748a02dd8de688";

    fn malformed(text: &str) {
        let read = elements(text.as_bytes(), 8);
        assert_eq!(read, Err(XfccError::Malformed), "{text:?}");
    }

    #[test]
    fn what_envoy_writes_is_read() {
        let text = format!(
            r#"By=http://frontend.example.com;Hash={HASH};Subject="/C=US/ST=CA/L=San \"F\"/CN=Test";URI=http://a.example.com;URI=spiffe://m/a;DNS=a.example.com;DNS=b.example.com, By=;hash={HASH};Cert="-----BEGIN%20CERTIFICATE-----%0Ab%3D";Chain="x";Subject="";URI="#
        );
        let read = elements(text.as_bytes(), 2).unwrap();
        let [first, second] = &read[..] else {
            panic!("{read:?}");
        };
        assert_eq!(first.hash, Some(HASH));
        assert_eq!(
            first.subject.as_deref(),
            Some(r#"/C=US/ST=CA/L=San "F"/CN=Test"#)
        );
        assert_eq!(first.uris, ["http://a.example.com", "spiffe://m/a"]);
        assert_eq!(first.dns, ["a.example.com", "b.example.com"]);
        assert_eq!(second.hash, Some(HASH));
        assert_eq!((&second.subject, second.uris.len()), (&None, 0));
        let subject = r#"Subject="O=A\, B;C=\\x,CN=y""#;
        let read = elements(subject.as_bytes(), 1).unwrap();
        assert_eq!(read[0].subject.as_deref(), Some(r"O=A\, B;C=\\x,CN=y"));
    }

    #[test]
    fn what_can_be_read_in_two_ways_is_not_read() {
        for text in [
            "",
            " ",
            ",",
            "URI",
            "=a",
            "URI=a,",
            ",URI=a",
            "URI=a;",
            "URI=a;;DNS=b",
            "URI=a ;DNS=b",
            "URI=a,,URI=b",
            "URI= a",
            "URI =a",
            "URI=a=b",
            "URI=a\"b\"",
            "URI=\"a\"b",
            "URI=\"a",
            "URI=\"a\\\"",
            "Subject=\"CN=a\\\\\";DNS=b",
            "Hash=ab",
            "Hash=\"zz\"",
            "Name=a",
            "URI=a\tb",
            "URI=\u{e9}",
            "Subject=\"a\";Subject=\"b\"",
            "Cert=\"a\";cert=\"a\"",
            "URI=a\u{7f}",
        ] {
            malformed(text);
        }
        malformed(&format!("Hash={HASH};Hash={HASH}"));
        malformed(&"URI=a;".repeat(MOST_NAMES + 1).replace(";;", ";"));
        assert_eq!(elements(b"URI=\xff", 1), Err(XfccError::Malformed));
    }

    #[test]
    fn a_name_does_not_pass_for_another_pair() {
        for text in [
            // `DNS=` and a name that is `a;URI=spiffe://m/a`, and the like.
            "URI=;DNS=a;URI=spiffe://m/a",
            "DNS=a;URI=spiffe://m/a",
            "DNS=a;Subject=\"CN=a\"",
            "DNS=a;Hash=",
            "DNS=a;By=b",
            "DNS=a:b",
            "DNS=a/b",
            "DNS=a\\b",
            "DNS=\"a b\"",
            "DNS=\"a;URI=b\"",
            "DNS=a@b",
            // A URI.
            "URI=a;Subject=\"CN=a\"",
            "URI=a;Cert=\"a\"",
            "URI=;URI=a",
            "URI=a;URI=",
            "URI=;URI=",
            "Subject=\"a\";Hash=",
        ] {
            malformed(text);
        }
        let read = elements(b"URI=;DNS=*.a-b.example;DNS=_c.example", 1).unwrap();
        assert_eq!(read[0].dns, ["*.a-b.example", "_c.example"]);
        assert!(read[0].uris.is_empty());
    }

    #[test]
    fn a_field_is_not_longer_than_it_takes() {
        let of = |bytes: usize| format!("URI={}", "a".repeat(bytes - "URI=".len()));
        assert!(elements(of(LONGEST).as_bytes(), 1).is_ok());
        malformed(&of(LONGEST + 1));
    }

    #[test]
    fn there_are_no_more_elements_than_proxies() {
        assert_eq!(elements(b"URI=a,URI=b", 1), Err(XfccError::TooMany));
        // What is behind them is not read.
        assert_eq!(elements(b"URI=a,URI=b,c", 1), Err(XfccError::TooMany));
        assert_eq!(elements(b"URI=a,", 1), Err(XfccError::TooMany));
        assert_eq!(elements(b"URI=a,URI=b,c", 3), Err(XfccError::Malformed));
        assert_eq!(elements(b"URI=a,URI=b", 2).map(|all| all.len()), Ok(2));
        let most = format!("{}URI=a", "URI=a;".repeat(MOST_NAMES - 1));
        assert_eq!(
            elements(most.as_bytes(), 1).unwrap()[0].uris.len(),
            MOST_NAMES
        );
    }
}
