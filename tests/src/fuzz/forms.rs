//! Bodies of forms.

use portcullis::policy::forms::multipart::{is_boundary, parse};
use portcullis::policy::parameters::{Controls, pairs};

/// How many parts are read.
const MOST: usize = 8;

/// A reader that takes every line that begins with the delimiter for one, whatever ends the lines, reads the
/// same parts in a `multipart/form-data` body that is accepted: as many, of the same names and
/// with the same contents. What is accepted is all of the body, and can be written again from its parts.
/// A urlencoded form that is accepted has no control characters but line ends and tabs.
///
/// # Panics
/// When that does not hold.
pub fn forms(body: &[u8]) -> bool {
    if let Ok(pairs) = pairs(body, Controls::Lines) {
        let odd = |c: char| c.is_control() && !"\r\n\t".contains(c);
        assert!(
            !pairs
                .iter()
                .any(|pair| pair.value.contains(odd) || pair.name.contains(odd))
        );
    }
    assert!(is_boundary("x"));
    let Ok(pieces) = parse(body, "x", MOST) else {
        return false;
    };
    assert!(pieces.len() <= MOST);
    let read: Vec<(Vec<u8>, Vec<u8>)> = pieces
        .iter()
        .map(|piece| (piece.name.as_bytes().to_vec(), piece.content.to_vec()))
        .collect();
    assert_eq!(read, leniently(body));
    for piece in &pieces {
        let names = [Some(piece.name), piece.filename];
        let odd = |name: &str| name.contains(['\\', '"', '\r', '\n', '\0']);
        assert!(!names.into_iter().flatten().any(odd), "{piece:?}");
    }
    let mut again = Vec::new();
    for piece in &pieces {
        let filename = piece.filename.map(|name| format!("; filename=\"{name}\""));
        let filename = filename.unwrap_or_default();
        let head = format!(
            "--x\r\nContent-Disposition: form-data; name=\"{}\"{filename}\r\n\r\n",
            piece.name
        );
        again.extend([head.as_bytes(), piece.content, b"\r\n"].concat());
    }
    again.extend(b"--x--\r\n");
    let again = parse(&again, "x", MOST).expect("what is written plainly is read");
    let plain = |piece: &portcullis::policy::forms::multipart::FormPart<'_>| {
        let filename = piece.filename.map(str::to_owned);
        (piece.name.to_owned(), filename, piece.content.to_vec())
    };
    assert!(again.iter().map(plain).eq(pieces.iter().map(plain)));
    true
}

/// Names and contents as a lenient server reads them.
fn leniently(body: &[u8]) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut starts: Vec<usize> = Vec::new();
    for at in 0..body.len() {
        let begins = at == 0 || body[at - 1] == b'\n' || body[at - 1] == b'\r';
        if begins && body[at..].starts_with(b"--x") {
            starts.push(at);
        }
    }
    let mut parts = Vec::new();
    for pair in starts.windows(2) {
        let part = &body[pair[0]..pair[1]];
        let line_end = part.iter().position(|b| *b == b'\n').unwrap_or(0);
        let part = &part[line_end + 1..];
        let (head, content) = split_head(part);
        let content = content.strip_suffix(b"\n").unwrap_or(content);
        let content = content.strip_suffix(b"\r").unwrap_or(content);
        parts.push((name(head), content.to_vec()));
    }
    parts
}

/// The head ends at the first empty line.
fn split_head(part: &[u8]) -> (&[u8], &[u8]) {
    for at in 0..part.len() {
        for end in [&b"\n\n"[..], b"\n\r\n", b"\r\r"] {
            if part[at..].starts_with(end) {
                return (&part[..at], &part[at + end.len()..]);
            }
        }
    }
    (part, b"")
}

/// The first `name` of the head, in quotation marks or without.
fn name(head: &[u8]) -> Vec<u8> {
    let lowered = head.to_ascii_lowercase();
    for at in 1..lowered.len() {
        if lowered[at..].starts_with(b"name=") && matches!(lowered[at - 1], b' ' | b';') {
            let value = &head[at + 5..];
            return match value.strip_prefix(b"\"") {
                Some(quoted) => quoted.split(|b| *b == b'"').next(),
                None => value.split(|b| b" ;\r\n".contains(b)).next(),
            }
            .unwrap_or_default()
            .to_vec();
        }
    }
    Vec::new()
}
