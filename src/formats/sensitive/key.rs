//! Private keys as files have them: PEM of RFC 7468 and of OpenSSH and PGP, and PuTTY's own form.

/// Where a key ends whose first line begins there; without its last line, at the end of the text.
pub(super) fn at(text: &[u8], start: usize) -> Option<usize> {
    const LONGEST_LABEL: usize = 48;
    let rest = text.get(start..)?;
    let (begins, ends, dashes): (&[u8], &[u8], &[u8]) = match rest {
        [b'-', b'-', b'-', b'-', b'-', b'B', ..] => (b"-----BEGIN ", b"-----END ", b"-----"),
        [b'-', b'-', b'-', b'-', b' ', b'B', ..] => (b"---- BEGIN ", b"---- END ", b" ----"),
        _ => return None,
    };
    let label = rest.strip_prefix(begins)?;
    let label = label.get(..LONGEST_LABEL).unwrap_or(label);
    let label = label.get(..find(label, dashes)?)?;
    let is_private = label.ends_with(b"PRIVATE KEY") || label.ends_with(b"PRIVATE KEY BLOCK");
    is_private.then_some(())?;
    let Some(last) = find(rest, ends) else {
        return Some(text.len());
    };
    let last_line = start.saturating_add(last).saturating_add(ends.len());
    let behind = text.get(last_line..).unwrap_or_default();
    let behind = behind.get(..LONGEST_LABEL).unwrap_or(behind);
    let length = find(behind, dashes).map_or(0, |at| at.saturating_add(dashes.len()));
    Some(last_line.saturating_add(length))
}

/// Where a key in PuTTY's form ends: behind the code that authenticates it.
pub(super) fn putty(text: &[u8], start: usize) -> usize {
    const LAST: &[u8] = b"Private-MAC: ";
    let rest = text.get(start..).unwrap_or_default();
    let Some(last) = find(rest, LAST) else {
        return text.len();
    };
    let code = start.saturating_add(last).saturating_add(LAST.len());
    let digits = text.get(code..).unwrap_or_default();
    let digits = digits.iter().take_while(|b| b.is_ascii_hexdigit());
    code.saturating_add(digits.count())
}

fn find(text: &[u8], wanted: &[u8]) -> Option<usize> {
    let mut windows = text.windows(wanted.len());
    windows.position(|window| window == wanted)
}
