//! E-mail addresses: RFC 5321 as addresses are written, in ASCII and without quotes, with a domain that has a dot.

/// How much of an address stands before and behind its `@` at most.
const LONGEST_LOCAL: usize = 64;
const LONGEST_DOMAIN: usize = 253;

/// Where files end, and domains do not: `icon@2x.png` is none.
const FILES: &[&[u8]] = &[
    b"avif", b"css", b"gif", b"html", b"ico", b"jpeg", b"jpg", b"js", b"json", b"mjs", b"png",
    b"svg", b"ts", b"webp", b"xml",
];

/// Where an address begins and ends that has its `@` there. Nothing before `from` is part of it.
pub(super) fn around(text: &[u8], from: usize, at: usize) -> Option<(usize, usize)> {
    let before = text.get(from..at)?;
    let local = before.iter().rev().take(LONGEST_LOCAL);
    let local = local.take_while(|b| is_local(**b)).count();
    let start = at.saturating_sub(local);
    let local = text.get(start..at)?;
    // What is cut at its longest is no address, and one does not begin or end with a dot.
    let trimmed = local.iter().take_while(|b| !b.is_ascii_alphanumeric());
    let start = start.saturating_add(trimmed.count());
    let local = text.get(start..at)?;
    (!local.is_empty() && !local.ends_with(b".")).then_some(())?;
    let first = at.saturating_add(1);
    let end = first.saturating_add(domain(text.get(first..)?)?);
    Some((start, end))
}

/// How many bytes of a domain name a text begins with.
fn domain(text: &[u8]) -> Option<usize> {
    let text = text.get(..LONGEST_DOMAIN).unwrap_or(text);
    let is_part = |b: &&u8| b.is_ascii_alphanumeric() || matches!(**b, b'.' | b'-');
    let name = text.get(..text.iter().take_while(is_part).count())?;
    let dots = name.windows(2).position(|pair| pair == b"..");
    let mut name = name.get(..dots.unwrap_or(name.len()))?;
    while let [before @ .., b'.' | b'-'] = name {
        name = before;
    }
    let mut labels = name.rsplit(|b| *b == b'.');
    let top = labels.next()?;
    let is_name = top.len() > 1 && top.iter().all(u8::is_ascii_alphabetic);
    let is_name = is_name || top.starts_with(b"xn--");
    let is_file = FILES.iter().any(|end| top.eq_ignore_ascii_case(end));
    let first = name.first()?;
    let has_labels = labels.next().is_some_and(|label| !label.is_empty());
    (is_name && !is_file && has_labels && first.is_ascii_alphanumeric()).then_some(name.len())
}

fn is_local(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b".!#$%&'+-/=?^_`{|}~".contains(&byte)
}
