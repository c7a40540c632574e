//! What else servers may read in a path beyond its one spelling.

use super::TargetError;
use super::rules::{LetterCase, Padding, PathRules};

/// How an encoded `/` stands in a path in its one spelling. No other `%` does.
pub(super) const SLASH: &str = "%2F";

/// A path that is longer is not read in several ways: some milliseconds of work.
const LONGEST: usize = 64 << 10;

/// A path as some servers read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PathReading {
    pub(super) path: String,
    /// Whether upper and lower case are the same to them. The path is folded then.
    pub(super) any_case: bool,
}

/// All of them. Each is still to be checked for its segments.
///
/// # Errors
/// [`TargetError::Padding`], [`TargetError::TooCostly`], and a dot segment that is one to those who take blanks
/// off.
pub(super) fn others(path: &str, rules: PathRules) -> Result<Vec<PathReading>, TargetError> {
    let has_more = path.contains(SLASH)
        || path.contains([';', '?', '#'])
        || (rules.padding != Padding::Pass && has_padding(path))
        || rules.letter_case != LetterCase::Significant;
    if !has_more {
        return Ok(Vec::new());
    }
    if path.len() > LONGEST {
        return Err(TargetError::TooCostly);
    }
    let mut readings = delimited(path);
    if rules.padding != Padding::Pass {
        let mut bare = Vec::new();
        for reading in std::iter::once(path).chain(readings.iter().map(String::as_str)) {
            bare.extend(without_padding(reading, rules)?);
        }
        readings.extend(bare);
    }
    let folded: Vec<PathReading> = match rules.letter_case {
        LetterCase::Significant => Vec::new(),
        LetterCase::SameRoute => std::iter::once(path)
            .chain(readings.iter().map(String::as_str))
            .map(|path| PathReading {
                path: fold_case(path),
                any_case: true,
            })
            .collect(),
    };
    let plain = readings.into_iter().map(|path| PathReading {
        path,
        any_case: false,
    });
    Ok(plain.chain(folded).collect())
}

/// With its encoded slashes decoded, without what follows a `;` in each segment, without all that follows
/// the first; without what follows an encoded `?` or `#`, which ends the path for those who decode it
/// before they take it apart.
fn delimited(path: &str) -> Vec<String> {
    let mut readings = Vec::new();
    if path.contains(SLASH) {
        readings.push(path.replace(SLASH, "/"));
    }
    if path.contains(['?', '#']) {
        let before = readings.clone();
        for reading in std::iter::once(path).chain(before.iter().map(String::as_str)) {
            let end = reading.find(['?', '#']);
            readings.extend(end.and_then(|end| reading.get(..end)).map(str::to_owned));
        }
    }
    if path.contains(';') {
        let before = readings.clone();
        for reading in std::iter::once(path).chain(before.iter().map(String::as_str)) {
            let kept = |text: &str| text.split(';').next().unwrap_or_default().to_owned();
            let segments: Vec<String> = reading.split('/').map(kept).collect();
            readings.push(segments.join("/"));
            readings.push(kept(reading));
        }
    }
    readings
}

/// The path of servers that take dots and blanks off the ends of segments, as Windows does, and characters
/// out that nobody sees; none if that is the same.
fn without_padding(path: &str, rules: PathRules) -> Result<Option<String>, TargetError> {
    if !has_padding(path) {
        return Ok(None);
    }
    if rules.padding == Padding::Refuse {
        return Err(TargetError::Padding);
    }
    let mut bare = String::with_capacity(path.len());
    for (place, segment) in path.split('/').enumerate() {
        let visible: String = segment.chars().filter(|c| !is_invisible(*c)).collect();
        let trimmed = visible.trim();
        if matches!(trimmed, "." | "..") {
            return Err(TargetError::DotSegment);
        }
        if place > 0 {
            bare.push('/');
        }
        bare.push_str(trimmed.trim_end_matches(|c: char| c == '.' || c.is_whitespace()));
    }
    Ok(Some(bare))
}

fn has_padding(path: &str) -> bool {
    let mut before = b'/';
    for byte in path.bytes() {
        let ends = byte == b'/' && matches!(before, b'.' | b' ');
        let begins = byte == b' ' && before == b'/';
        if ends || begins || !byte.is_ascii() {
            return ends || begins || path.split('/').any(is_padded);
        }
        before = byte;
    }
    matches!(before, b'.' | b' ')
}

fn is_padded(segment: &str) -> bool {
    segment.contains(is_invisible)
        || segment.ends_with(|c: char| c == '.' || c.is_whitespace())
        || segment.starts_with(char::is_whitespace)
}

/// `Default_Ignorable_Code_Point` of Unicode, which text is often freed from, and joiners of scripts.
fn is_invisible(character: char) -> bool {
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{61c}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}

/// Text in which upper and lower case are the same. What becomes one letter in either case is one: `ſ`
/// is `s`, and the sign of kelvins is `k`.
pub fn fold_case(text: &str) -> String {
    folded(text).collect()
}

/// The same, character by character.
pub fn folded(text: &str) -> impl Iterator<Item = char> {
    text.chars()
        .flat_map(char::to_uppercase)
        .flat_map(char::to_lowercase)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bare(path: &str) -> Result<Option<String>, TargetError> {
        without_padding(path, PathRules::default())
    }

    #[test]
    fn padding_is_what_nobody_sees_and_windows_drops() {
        for plain in [
            "/",
            "/a",
            "/a/",
            "/.well-known/a.b",
            "/..a/b",
            "/a b",
            "/café",
            "/日本/語",
        ] {
            assert_eq!(bare(plain), Ok(None), "{plain}");
        }
        for (padded, expected) in [
            ("/admin.", "/admin"),
            ("/admin...", "/admin"),
            ("/admin ", "/admin"),
            ("/admin. .", "/admin"),
            (" /admin", "/admin"),
            ("/ admin/x", "/admin/x"),
            ("/admin./x", "/admin/x"),
            ("/admin /x", "/admin/x"),
            ("/admin\u{200b}", "/admin"),
            ("/ad\u{200d}min/x", "/admin/x"),
            ("/\u{feff}admin", "/admin"),
            ("/admin\u{a0}", "/admin"),
            ("/admin\u{3000}/x", "/admin/x"),
            ("/admin.\u{200b}", "/admin"),
            ("/...", "/"),
            ("/ ", "/"),
        ] {
            assert_eq!(bare(padded), Ok(Some(expected.to_owned())), "{padded}");
        }
        for dots in [
            "/a/.. /b",
            "/a/ ../b",
            "/a/.\u{200b}./b",
            "/a/.. ",
            "/a/\u{a0}./b",
        ] {
            assert_eq!(bare(dots), Err(TargetError::DotSegment), "{dots}");
        }
    }

    #[test]
    fn long_paths_have_one_reading_or_none() {
        let long = format!("/{}", "a".repeat(LONGEST));
        let rules = PathRules::default();
        assert_eq!(others(&long, rules), Ok(Vec::new()));
        assert_eq!(others(&(long + "."), rules), Err(TargetError::TooCostly));
        assert_eq!(others("/a.", rules).map(|others| others.len()), Ok(1));
    }

    #[test]
    fn case_is_folded_as_widely_as_anybody_does() {
        for (text, folded) in [
            ("/Admin", "/admin"),
            ("/\u{212a}", "/k"),
            ("/\u{17f}", "/s"),
            ("/ÉTÉ", "/été"),
            ("/Σς", "/σσ"),
        ] {
            assert_eq!(fold_case(text), folded, "{text}");
        }
    }
}
