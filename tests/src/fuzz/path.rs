//! Request targets.

use portcullis::target::Target;

/// However a server reads a path that is accepted, it reads the same: decoding it once more,
/// resolving dots, merging slashes, cutting parameters off, turning backslashes round changes
/// nothing. And the path is what is decoded once, and the query what follows the first `?`.
///
/// # Panics
/// When that does not hold.
pub fn path(raw: &[u8]) -> bool {
    let Ok(target) = Target::parse(raw) else {
        return false;
    };
    let path = target.path();
    let mut halves = raw.splitn(2, |b| *b == b'?');
    let (before, query) = (halves.next().unwrap_or_default(), halves.next());
    assert_eq!(target.query(raw), query);
    assert_eq!(path.as_bytes(), decoded(before));
    assert!(path.starts_with('/') && !path.chars().any(char::is_control));
    assert_eq!(lenient(path.as_bytes()), path.as_bytes(), "{path:?}");
    let plainly: Vec<u8> = path.bytes().flat_map(encoded).collect();
    let again = Target::parse(&plainly).map(|again| again.path().to_owned());
    assert_eq!(again.as_deref(), Ok(path));
    true
}

/// Percent-decoding as the most lenient server does it: what is no encoding stays.
fn decoded(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = path;
    while let [first, tail @ ..] = rest {
        let digits = tail.get(..2).and_then(|two| std::str::from_utf8(two).ok());
        let value = digits.and_then(|two| u8::from_str_radix(two, 16).ok());
        match (first, value) {
            (b'%', Some(value)) => {
                out.push(value);
                rest = &tail[2..];
            }
            _ => {
                out.push(*first);
                rest = tail;
            }
        }
    }
    out
}

/// What a path becomes where everything is done to it that servers do.
fn lenient(path: &[u8]) -> Vec<u8> {
    let path = decoded(path);
    let mut out: Vec<&[u8]> = Vec::new();
    let mut segments = path.split(|b| matches!(b, b'/' | b'\\')).peekable();
    segments.next();
    while let Some(segment) = segments.next() {
        let segment = segment.split(|b| *b == b';').next().unwrap_or_default();
        match segment {
            b"." => {}
            b".." => {
                out.pop();
            }
            b"" if segments.peek().is_some() => {}
            other => out.push(other),
        }
    }
    [b"/", out.join(&b'/').as_slice()].concat()
}

fn encoded(byte: u8) -> Vec<u8> {
    match byte {
        b'/' | b'-' | b'.' | b'_' | b'~' => vec![byte],
        plain if plain.is_ascii_alphanumeric() => vec![plain],
        other => format!("%{other:02X}").into_bytes(),
    }
}
