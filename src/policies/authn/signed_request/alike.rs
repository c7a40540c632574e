//! Fields that some gateways take for others.

use portcullis_wire::headers::{Headers, are_alike};

/// Whether there is a field that is none of these, and that some gateways would take for one of them.
pub(super) fn has_alike<'n>(
    headers: &Headers,
    names: impl Iterator<Item = &'n str> + Clone,
) -> bool {
    headers.iter().any(|(name, _)| {
        let mut alike = names.clone().map(str::as_bytes);
        alike.any(|own| own != name && are_alike(own, name))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_in_punctuation_alone_is_alike() {
        let mut headers = Headers::default();
        let mut has = |name: &str| {
            headers.push(name.as_bytes(), b"1");
            has_alike(&headers, ["x-id", "x-time"].into_iter())
        };
        assert!(!has("x-id"));
        assert!(!has("x-ids"));
        assert!(has("x_time"));
    }
}
