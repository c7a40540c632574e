//! The metaschemas of the drafts, which schemas may refer to like any other.

use std::cell::OnceCell;

use portcullis_wire::json::Json;

/// Each is read when something first refers to it.
#[derive(Default)]
pub struct Metaschemas {
    read: [OnceCell<Json>; TEXTS.len()],
}

/// How deep they nest, at most.
const DEPTH: usize = 16;

/// By URI.
const TEXTS: [(&str, &str); 9] = [
    (
        "http://json-schema.org/draft-07/schema",
        include_str!("metaschemas/draft7.json"),
    ),
    (
        "https://json-schema.org/draft/2020-12/schema",
        include_str!("metaschemas/draft2020-12.json"),
    ),
    (
        "https://json-schema.org/draft/2020-12/meta/core",
        include_str!("metaschemas/draft2020-12-core.json"),
    ),
    (
        "https://json-schema.org/draft/2020-12/meta/applicator",
        include_str!("metaschemas/draft2020-12-applicator.json"),
    ),
    (
        "https://json-schema.org/draft/2020-12/meta/unevaluated",
        include_str!("metaschemas/draft2020-12-unevaluated.json"),
    ),
    (
        "https://json-schema.org/draft/2020-12/meta/validation",
        include_str!("metaschemas/draft2020-12-validation.json"),
    ),
    (
        "https://json-schema.org/draft/2020-12/meta/meta-data",
        include_str!("metaschemas/draft2020-12-meta-data.json"),
    ),
    (
        "https://json-schema.org/draft/2020-12/meta/format-annotation",
        include_str!("metaschemas/draft2020-12-format-annotation.json"),
    ),
    (
        "https://json-schema.org/draft/2020-12/meta/content",
        include_str!("metaschemas/draft2020-12-content.json"),
    ),
];

impl Metaschemas {
    /// The one of that URI.
    pub(super) fn named(&self, uri: &str) -> Option<&Json> {
        // Some write the older one with `https`.
        let draft7 = uri == "https://json-schema.org/draft-07/schema";
        let index = TEXTS
            .iter()
            .position(|(each, _)| *each == uri)
            .or(draft7.then_some(0))?;
        let (_, text) = TEXTS.get(index)?;
        let cell = self.read.get(index)?;
        // They are JSON; a test sees to that.
        Some(cell.get_or_init(|| Json::parse(text.as_bytes(), DEPTH).unwrap_or(Json::Bool(false))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_what_it_says() {
        let all = Metaschemas::default();
        for (uri, _) in TEXTS {
            let id = all.named(uri).unwrap().as_object().unwrap().member("$id");
            let id = id.unwrap().as_str().unwrap();
            assert_eq!(id.trim_end_matches('#'), uri);
        }
    }
}
