//! RFC 6901 pointers, and relative ones.

/// `json-pointer`.
pub(super) fn is_json_pointer(text: &str) -> bool {
    let escaped = text
        .split('~')
        .skip(1)
        .all(|rest| rest.starts_with(['0', '1']));
    (text.is_empty() || text.starts_with('/')) && escaped
}

/// `relative-json-pointer`: how many levels up, and then a pointer or `#`.
pub(super) fn is_relative_json_pointer(text: &str) -> bool {
    let rest = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let Some(levels) = text.strip_suffix(rest).filter(|levels| !levels.is_empty()) else {
        return false;
    };
    let canonical = levels == "0" || !levels.starts_with('0');
    canonical && (rest == "#" || is_json_pointer(rest))
}
