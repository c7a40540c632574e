//! Names that some services take for one another.

use crate::target::folded;
use portcullis_wire::headers::{HeaderName, Headers, are_alike};

/// Whether a field came whose name some services take for that one, which is not the same.
pub(crate) fn comes_alike(headers: &Headers, name: &HeaderName) -> bool {
    let name = name.as_str().as_bytes();
    let mut names = headers.iter().map(|(own, _)| own);
    names.any(|own| own != name && are_alike(own, name))
}

/// Whether some services take a name for another, which is not the same. They fold the case of letters; read
/// what stands in brackets, in front of them or between them as the name; blanks, dots and a bracket that is
/// not closed as `_`, as PHP does; and pass over marks in front of it, as Spring does (`!`, `_`) and OData (`$`).
pub fn is_like(one: &str, other: &str) -> bool {
    let (one, other) = (unmarked(one), unmarked(other));
    bare(one).eq(bare(other)) || unclosed(one).eq(unclosed(other))
}

/// A name without what stands in front of it.
fn unmarked(name: &str) -> &str {
    name.trim_start_matches(|letter: char| !letter.is_alphanumeric())
}

/// What is left of a name where brackets end it.
fn bare(name: &str) -> impl Iterator<Item = char> {
    let name = name.split(['[', ']']).next().unwrap_or_default();
    folded(name).map(underscored)
}

/// A name where a bracket is a letter of it.
fn unclosed(name: &str) -> impl Iterator<Item = char> {
    let name = name.trim_end_matches(']');
    folded(name).map(|letter| match letter {
        '[' => '_',
        letter => underscored(letter),
    })
}

fn underscored(letter: char) -> char {
    match letter {
        '.' | ' ' => '_',
        letter => letter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_some_services_take_for_another() {
        for name in [
            "tenant_id",
            "Tenant_ID",
            "tenant_id[]",
            "tenant_id[0]",
            "tenant.id",
            "tenant id",
            " tenant_id",
            "[tenant_id]",
            "[tenant_id",
            "[[tenant_id]][0]",
            "tenant_id]",
            "tenant[id",
            "tenant[id]",
            "!tenant_id",
            "!tenant.id",
            "_tenant_id",
            "$tenant_id",
        ] {
            assert!(is_like(name, "tenant_id"), "{name}");
        }
        for name in ["tenant", "tenant_id2", "tenantid", "!tenant", "[id]", ""] {
            assert!(!is_like(name, "tenant_id"), "{name}");
        }
    }
}
