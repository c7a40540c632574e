//! Under which names anybody can register another: the Public Suffix List.

/// What each byte stands for, a pair of others or, where that is two zeros, itself; then a line for each top-level domain that
/// has rules of more than one label. The text of it is `public_suffixes.txt`, under the Mozilla Public License 2.0;
/// `tests/vectors/public-suffixes/compact.py` packs it.
const PACKED: &[u8] = include_bytes!("public_suffixes.packed");
const TABLE: usize = 512;

/// What it costs at most to look a name up, in steps of an effort.
pub(super) const STEPS: u64 = 4000;

/// One label of a rule, and what the list has below it.
#[derive(Clone, Copy, Default)]
struct SuffixLabel<'l> {
    is_rule: bool,
    is_exception: bool,
    below: &'l str,
}

/// The end of a name below which names belong to different people, by the longest rule. A name of a
/// top-level domain without rules has its last label.
pub(super) fn suffix(name: &str) -> &str {
    let mut labels = name.rsplit('.');
    let top = labels.next().unwrap_or_default();
    let (mut length, mut seen) = (top.len(), top.len());
    let line = line(top);
    let mut level = line.as_str();
    for label in labels {
        if level.is_empty() {
            break;
        }
        let (found, any) = (find(level, label), find(level, "*"));
        if found.is_exception {
            length = seen;
            break;
        }
        seen = seen.saturating_add(label.len()).saturating_add(1);
        if found.is_rule || any.is_rule {
            length = seen;
        }
        level = found.below;
    }
    ending(name, length)
}

/// The part of a name that somebody has registered: a public suffix and one label before it. None
/// if nobody can have registered it.
pub(super) fn registrable(name: &str) -> Option<&str> {
    let suffix = suffix(name);
    let before = name.strip_suffix(suffix)?.strip_suffix('.')?;
    let label = before
        .rsplit('.')
        .next()
        .filter(|label| !label.is_empty())?;
    let length = label.len().saturating_add(suffix.len()).saturating_add(1);
    Some(ending(name, length))
}

fn ending(name: &str, length: usize) -> &str {
    let start = name.len().saturating_sub(length);
    name.get(start..).unwrap_or(name)
}

/// What the list has below a top-level domain.
fn line(top: &str) -> String {
    let (pairs, list) = PACKED.split_at_checked(TABLE).unwrap_or_default();
    let mut lines = list
        .split(|byte| *byte == b'\n')
        .filter_map(|line| line.strip_prefix(top.as_bytes()));
    let below = lines.find_map(|rest| rest.strip_prefix(b"(")?.strip_suffix(b")"));
    unpacked(below.unwrap_or_default(), pairs)
}

fn unpacked(text: &[u8], pairs: &[u8]) -> String {
    let mut out = Vec::new();
    // Each byte of a pair stands for a pair in turn, or for itself. The later ones stand for the earlier, so this ends.
    let mut open: Vec<u8> = Vec::new();
    for byte in text {
        open.push(*byte);
        while let Some(byte) = open.pop() {
            let pair = pairs.chunks_exact(2).nth(usize::from(byte));
            match pair {
                Some([one, other]) if *one != 0 => open.extend([*other, *one]),
                _ => out.push(byte),
            }
        }
    }
    String::from_utf8(out).unwrap_or_default()
}

/// Looks a label up among `a,b(c,d),!e,f?(g)`.
fn find<'l>(level: &'l str, label: &str) -> SuffixLabel<'l> {
    let mut rest = level;
    while !rest.is_empty() {
        let end = rest.find([',', '(']).unwrap_or(rest.len());
        let (item, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        let (below, after) = match after.strip_prefix('(') {
            Some(inside) => inside
                .split_at_checked(closing(inside))
                .unwrap_or((inside, "")),
            None => ("", after),
        };
        let plain = item.trim_start_matches('!').trim_end_matches('?');
        if plain == label {
            let is_exception = item.starts_with('!');
            return SuffixLabel {
                is_rule: !is_exception && !item.ends_with('?'),
                is_exception,
                below,
            };
        }
        rest = after.trim_start_matches(')').trim_start_matches(',');
    }
    SuffixLabel::default()
}

/// Where the parenthesis closes in which a text begins.
fn closing(inside: &str) -> usize {
    let mut open = 1_usize;
    let closes = |byte: u8| {
        match byte {
            b'(' => open = open.saturating_add(1),
            b')' => open = open.saturating_sub(1),
            _ => {}
        }
        open == 0
    };
    inside.bytes().position(closes).unwrap_or(inside.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_packed_is_the_list() {
        let (pairs, list) = PACKED.split_at(TABLE);
        let lines = list.split(|byte| *byte == b'\n');
        let lines = lines.map(|line| unpacked(line, pairs));
        let text = include_str!("public_suffixes.txt").lines();
        let text = text.filter(|line| !line.starts_with("//")).chain([""]);
        assert!(lines.eq(text));
    }

    /// The list's own tests: `checkPublicSuffix('a.example.com', 'example.com');`.
    #[test]
    fn names_are_registered_as_the_list_says() {
        let tests = include_str!("../../../tests/vectors/public-suffixes/test_psl.txt");
        let mut count = 0;
        for line in tests.lines() {
            let Some(arguments) = line.strip_prefix("checkPublicSuffix(") else {
                continue;
            };
            let arguments = arguments.trim_end_matches(");");
            let (name, expected) = arguments.split_once(", ").unwrap();
            let quoted = |text: &str| {
                let text = text.strip_prefix('\'')?.strip_suffix('\'')?;
                Some(text.to_ascii_lowercase())
            };
            // Origins have neither: a name begins with a label, and browsers write punycode.
            let Some(name) = quoted(name).filter(|name| name.is_ascii() && !name.starts_with('.'))
            else {
                continue;
            };
            count += 1;
            assert_eq!(registrable(&name), quoted(expected).as_deref(), "{name}");
        }
        assert!(count > 50, "{count}");
    }

    #[test]
    fn suffixes_of_companies_count() {
        for (name, expected) in [
            ("app.example.com", "com"),
            ("example.co.uk", "co.uk"),
            ("me.github.io", "github.io"),
            ("github.io", "github.io"),
            ("a.b.vercel.app", "vercel.app"),
            ("www.ck", "ck"),
            ("a.www.ck", "ck"),
            ("a.b.ck", "b.ck"),
            ("localhost", "localhost"),
            ("a.internal", "internal"),
            ("", ""),
        ] {
            assert_eq!(suffix(name), expected, "{name}");
        }
    }
}
