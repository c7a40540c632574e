//! `x-forwarded-client-cert`: what each proxy on the way says of the certificate of who called it.
//!
//! One element for each proxy, the last one's at the end, in Envoy's syntax: elements are parted by `,`, pairs
//! by `;`, and a value stands in quotes if it holds one of `,;="`, with `\"` for a quote. It is read
//! exactly or not at all: whatever two readers could take for two things is no such field.

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
    seen: Seen,
}

/// Which pairs there are that may be there once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Seen {
    hash: bool,
    subject: bool,
    cert: bool,
    chain: bool,
}

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

/// The elements, of which there are so many at most.
///
/// # Errors
/// [`XfccError`]
pub fn elements(value: &[u8], most: usize) -> Result<Vec<Element<'_>>, XfccError> {
    let value = std::str::from_utf8(value).map_err(|_| XfccError::Malformed)?;
    if !value.bytes().all(|b| (b' '..=b'~').contains(&b)) {
        return Err(XfccError::Malformed);
    }
    let mut elements = Vec::new();
    let mut rest = value;
    let mut is_over = false;
    loop {
        let (element, end) = element(rest).ok_or(XfccError::Malformed)?;
        // All of them are read: one that is malformed is said to be that.
        is_over |= elements.len() >= most;
        if !is_over {
            elements.push(element);
        }
        match end {
            Some(after) => rest = after.trim_start_matches(' '),
            None if is_over => return Err(XfccError::TooMany),
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
        let once = |seen: &mut bool| (!std::mem::replace(seen, true)).then_some(());
        let is_key = |name: &str| key.eq_ignore_ascii_case(name);
        if is_key("By") {
        } else if is_key("Hash") {
            once(&mut self.seen.hash)?;
            self.hash = match value {
                Cow::Borrowed("") => None,
                Cow::Borrowed(hash) if is_sha256(hash) => Some(hash),
                _ => return None,
            };
        } else if is_key("Cert") {
            once(&mut self.seen.cert)?;
        } else if is_key("Chain") {
            once(&mut self.seen.chain)?;
        } else if is_key("Subject") {
            once(&mut self.seen.subject)?;
            self.subject = Some(value).filter(|subject| !subject.is_empty());
        } else if is_key("URI") {
            self.uris.extend(Some(value).filter(|uri| !uri.is_empty()));
        } else if is_key("DNS") {
            self.dns.extend(Some(value).filter(|name| !name.is_empty()));
        } else {
            return None;
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
            r#"By=http://frontend.example.com;Hash={HASH};Subject="/C=US/ST=CA/L=San \"F\"/CN=Test";URI=http://a.example.com;URI=spiffe://m/a;DNS=a.example.com;DNS=b.example.com, By=;hash={HASH};URI=;Cert="-----BEGIN%20CERTIFICATE-----%0Ab%3D";Chain="x";Subject="""#
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
    fn there_are_no_more_elements_than_proxies() {
        assert_eq!(elements(b"URI=a,URI=b", 1), Err(XfccError::TooMany));
        assert_eq!(elements(b"URI=a,URI=b,c", 1), Err(XfccError::Malformed));
        assert_eq!(elements(b"URI=a,URI=b", 2).map(|all| all.len()), Ok(2));
        let most = format!("{}URI=a", "URI=a;".repeat(MOST_NAMES - 1));
        assert_eq!(
            elements(most.as_bytes(), 1).unwrap()[0].uris.len(),
            MOST_NAMES
        );
    }
}
