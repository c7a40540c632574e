//! `multipart/form-data`: RFC 7578, and RFC 2046 §5.1 as browsers write it and no other way.
//!
//! Servers differ in what they make of anything else: of text before the first part or after the last,
//! of blanks behind a delimiter, of bare line feeds, of a delimiter inside a line. None of it is read.

use portcullis_wire::headers::is_token_byte;

/// One part of a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FormPart<'b> {
    /// The name of its field.
    pub name: &'b str,
    /// Of a file, its name.
    pub filename: Option<&'b str>,
    /// Its `Content-Type`.
    pub media_type: Option<&'b [u8]>,
    /// What is in it.
    pub content: &'b [u8],
}

/// Why parts cannot be told apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Broken {
    /// A delimiter is missing, or stands where none may.
    Delimiter,
    /// The head of a part is not as it must be.
    Head,
    /// There are too many.
    TooMany,
}

/// RFC 2046 §5.1.1, without the blank.
pub fn is_boundary(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"'()+_,-./:=?".contains(&b);
    (1..=70).contains(&text.len()) && text.bytes().all(plain)
}

/// Takes a body apart.
///
/// # Errors
/// See [`Broken`].
pub fn parse<'b>(body: &'b [u8], boundary: &str, most: usize) -> Result<Vec<FormPart<'b>>, Broken> {
    let delimiter = [b"--", boundary.as_bytes()].concat();
    let borders = borders(&delimiter);
    let mut pieces = Vec::new();
    let mut rest = body.strip_prefix(&*delimiter).ok_or(Broken::Delimiter)?;
    loop {
        if let Some(after) = rest.strip_prefix(b"--") {
            return match after {
                b"" | b"\r\n" => Ok(pieces),
                _ => Err(Broken::Delimiter),
            };
        }
        rest = rest.strip_prefix(b"\r\n").ok_or(Broken::Delimiter)?;
        let at = find(rest, &delimiter, &borders).ok_or(Broken::Delimiter)?;
        let (part, after) = rest.split_at_checked(at).ok_or(Broken::Delimiter)?;
        rest = after.get(delimiter.len()..).ok_or(Broken::Delimiter)?;
        let part = part.strip_suffix(b"\r\n").ok_or(Broken::Delimiter)?;
        if pieces.len() >= most {
            return Err(Broken::TooMany);
        }
        pieces.push(piece(part).ok_or(Broken::Head)?);
    }
}

/// For each length of the needle's beginning, how much of its end is a beginning too.
fn borders(needle: &[u8]) -> Vec<usize> {
    let mut borders = vec![0; needle.len()];
    let mut length = 0_usize;
    for (at, byte) in needle.iter().enumerate().skip(1) {
        length = extend(needle, &borders, length, *byte);
        if let Some(border) = borders.get_mut(at) {
            *border = length;
        }
    }
    borders
}

/// How much of the needle's beginning a text ends in, when that was `length` before this byte.
fn extend(needle: &[u8], borders: &[usize], length: usize, byte: u8) -> usize {
    let mut length = length;
    while length > 0 && needle.get(length) != Some(&byte) {
        let shorter = length.checked_sub(1).and_then(|last| borders.get(last));
        length = shorter.copied().unwrap_or_default();
    }
    match needle.get(length) == Some(&byte) {
        true => length.saturating_add(1),
        false => length,
    }
}

/// Where the needle stands first, in time that grows with the text alone, whatever a client chose for
/// both: Knuth, Morris and Pratt.
fn find(text: &[u8], needle: &[u8], borders: &[usize]) -> Option<usize> {
    let mut length = 0;
    for (at, byte) in text.iter().enumerate() {
        length = extend(needle, borders, length, *byte);
        if length == needle.len() {
            return at.checked_add(1)?.checked_sub(length);
        }
    }
    None
}

fn piece(part: &[u8]) -> Option<FormPart<'_>> {
    let mut rest = part;
    let (mut disposition, mut media_type, mut length) = (None, None, None);
    loop {
        let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
        let (line, after) = rest.split_at_checked(end)?;
        rest = after.get(2..)?;
        if line.is_empty() {
            break;
        }
        let (name, value) = header(line)?;
        let refused = match name.to_ascii_lowercase().as_str() {
            "content-disposition" => disposition.replace(value).is_some(),
            "content-type" => names_something(value) || media_type.replace(value).is_some(),
            "content-length" => length.replace(value).is_some(),
            // RFC 7578 §4.7: encodings are not for forms.
            "content-transfer-encoding" => !matches!(value, b"binary" | b"8bit" | b"7bit"),
            _ => true,
        };
        if refused {
            return None;
        }
    }
    // Some programs write it, and it must be true.
    if let Some(length) = length {
        let length: usize = std::str::from_utf8(length).ok()?.parse().ok()?;
        (length == rest.len()).then_some(())?;
    }
    let (name, filename) = names(disposition?)?;
    Some(FormPart {
        name,
        filename,
        media_type,
        content: rest,
    })
}

/// Whether there is a `name` or `filename` in a `Content-Type`. Some readers look for these anywhere in a head.
fn names_something(media_type: &[u8]) -> bool {
    let mut windows = media_type.windows(4);
    windows.any(|four| four.eq_ignore_ascii_case(b"name"))
}

fn header(line: &[u8]) -> Option<(&str, &[u8])> {
    let colon = line.iter().position(|b| *b == b':')?;
    let (name, value) = line.split_at_checked(colon)?;
    let value = value.get(1..)?;
    let is_token = !name.is_empty() && name.iter().copied().all(is_token_byte);
    let controls = value.iter().any(u8::is_ascii_control);
    let name = std::str::from_utf8(name).ok()?;
    (is_token && !controls).then_some((name, value.trim_ascii()))
}

/// The name and the file name of `form-data; name="a"; filename="b"`. Escapes are not read: half of the
/// readers take a backslash for one, and browsers write `%22`.
fn names(disposition: &[u8]) -> Option<(&str, Option<&str>)> {
    let text = std::str::from_utf8(disposition).ok()?;
    let (kind, mut rest) = text.split_at(text.find(';')?);
    if !kind.trim_end().eq_ignore_ascii_case("form-data") {
        return None;
    }
    let (mut name, mut filename) = (None, None);
    while !rest.is_empty() {
        rest = rest.strip_prefix(';')?.trim_start_matches(' ');
        let (key, after) = rest.split_once('=')?;
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"')?,
            None => {
                let end = after.bytes().position(|b| !is_token_byte(b));
                after.split_at_checked(end.unwrap_or(after.len()))?
            }
        };
        rest = after.trim_start_matches(' ');
        let odd = value.contains('\\') || value.chars().any(char::is_control);
        let place = match key {
            _ if odd => return None,
            "name" => &mut name,
            "filename" => &mut filename,
            _ => return None,
        };
        if place.replace(value).is_some() {
            return None;
        }
    }
    Some((name?, filename))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(body: &str) -> Result<Vec<(String, Option<String>, String)>, Broken> {
        let pieces = parse(body.as_bytes(), "x", 3)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let owned = |piece: FormPart<'_>| {
            let filename = piece.filename.map(str::to_owned);
            (piece.name.to_owned(), filename, text(piece.content))
        };
        Ok(pieces.into_iter().map(owned).collect())
    }

    fn one(head: &str) -> Result<usize, Broken> {
        parts(&format!("--x\r\n{head}\r\n\r\nabc\r\n--x--\r\n")).map(|parts| parts.len())
    }

    #[test]
    fn parts_are_as_browsers_write_them() {
        let disposition = "Content-Disposition: form-data; name=";
        let body = format!(
            "--x\r\n{disposition}\"a\"\r\n\r\n1\r\n2\r\n--x\r\n{disposition}\"f\"; filename=\"a b.png\"\r\nContent-Type: image/png\r\n\r\n\r\n--x--\r\n"
        );
        let expected = vec![
            ("a".to_owned(), None, "1\r\n2".to_owned()),
            ("f".to_owned(), Some("a b.png".to_owned()), String::new()),
        ];
        assert_eq!(parts(&body), Ok(expected));
        assert_eq!(parts("--x--\r\n"), Ok(Vec::new()));
        assert_eq!(one("content-disposition: FORM-DATA;name=a"), Ok(1));
        assert_eq!(
            one(&format!("{disposition}\"a\"\r\nContent-Length: 3")),
            Ok(1)
        );
    }

    #[test]
    fn a_needle_is_found_where_it_stands_first() {
        for (text, needle) in [
            ("aabaabaaab", "aabaaa"),
            ("------x", "--x"),
            ("ababac", "abac"),
            ("abc", "d"),
            ("", "a"),
            ("aaaa", "aaaaa"),
        ] {
            let (text, needle) = (text.as_bytes(), needle.as_bytes());
            let plainly = text
                .windows(needle.len())
                .position(|window| window == needle);
            assert_eq!(find(text, needle, &borders(needle)), plainly, "{text:?}");
        }
    }

    #[test]
    fn delimiters_stand_where_they_must() {
        let part = "\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\n1";
        for body in [
            "",
            "--x",
            "--y--",
            "\r\n--x--",
            "--x-- ",
            "--x--\r\nmore",
            "--x \r\n--x--",
            &format!("preamble\r\n--x{part}\r\n--x--"),
            &format!("--x{part}"),
            &format!("--x{part}\n--x--"),
            &format!("--x{part}--x\r\n--x--"),
            &format!("--x{part}\r\n--xy\r\n--x--"),
            &format!("--x{part}\r\n--x--{part}"),
        ] {
            assert_eq!(parts(body), Err(Broken::Delimiter), "{body:?}");
        }
        let four = format!("--x{part}\r\n").repeat(4);
        assert_eq!(parts(&format!("{four}--x--")), Err(Broken::TooMany));
    }

    #[test]
    fn heads_say_one_thing() {
        let disposition = "Content-Disposition: form-data; name=\"a\"";
        for head in [
            "Content-Type: text/plain",
            "Content-Disposition: form-data",
            "Content-Disposition: attachment; name=\"a\"",
            "Content-Disposition: form-data; name=\"a\"; name=\"b\"",
            "Content-Disposition: form-data; name=\"a\\\"b\"",
            "Content-Disposition: form-data; name=\"a",
            "Content-Disposition: form-data; name=\"a\"; filename*=UTF-8''b",
            "Content-Disposition: form-data; name=\"a\nb\"",
            "Content-Disposition : form-data; name=\"a\"",
            &format!("{disposition}\r\n{disposition}"),
            &format!("{disposition}\r\n folded"),
            &format!("{disposition}\r\nContent-Length: 4"),
            &format!("{disposition}\r\nContent-Length: 3\r\nContent-Length: 3"),
            &format!("{disposition}\r\nContent-Transfer-Encoding: base64"),
            &format!("{disposition}\r\nX-Other: 1"),
            &format!("{disposition}\r\nContent-Type: a/b\n\n"),
            &format!("Content-Type: a/b; name=\"b\"\r\n{disposition}"),
            // Some readers take the tab for a part of the name.
            "Content-Disposition: form-data; name=a\t",
        ] {
            assert_eq!(one(head), Err(Broken::Head), "{head}");
        }
    }
}
