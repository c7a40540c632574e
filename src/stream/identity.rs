//! Header fields that only this filter may set.

use crate::engine::Engine;
use crate::exchange::Edit;
use crate::headers::{HeaderName, Headers};

/// Removes what only this filter may set, in every spelling that frameworks fold together:
/// CGI and its heirs read `x_user` and `x-user` as one variable.
pub(super) fn foreign_identity(engine: &Engine, headers: &Headers) -> Vec<Edit> {
    let owned = &engine.owned_request_headers;
    if owned.is_empty() {
        return Vec::new();
    }
    let folded = |b: u8| {
        if b == b'_' {
            b'-'
        } else {
            b.to_ascii_lowercase()
        }
    };
    let is_owned = |name: &[u8]| {
        owned.iter().map(HeaderName::as_str).any(|owned| {
            let folds_to = || {
                owned
                    .bytes()
                    .map(folded)
                    .eq(name.iter().copied().map(folded))
            };
            owned.len() == name.len() && folds_to()
        })
    };
    let sent = headers
        .iter()
        .map(|(name, _)| name)
        .filter(|name| is_owned(name));
    let parsed = sent.filter_map(|name| HeaderName::parse(std::str::from_utf8(name).ok()?).ok());
    parsed.map(Edit::Remove).collect()
}
