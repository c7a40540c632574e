//! Which language a schema is written in.

/// A version of JSON Schema, or of what OpenAPI makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// JSON Schema draft 7.
    Draft7,
    /// JSON Schema draft 2020-12.
    Draft202012,
    /// The schema object of OpenAPI 3.0.
    OpenApi30,
    /// The schema object of OpenAPI 3.1: draft 2020-12 with a few annotations more.
    OpenApi31,
}

impl Dialect {
    /// The dialect that a `$schema` names.
    pub(super) fn named(uri: &str) -> Option<Self> {
        let uri = uri.strip_suffix('#').unwrap_or(uri);
        Some(match uri {
            "https://json-schema.org/draft/2020-12/schema" => Dialect::Draft202012,
            "http://json-schema.org/draft-07/schema"
            | "https://json-schema.org/draft-07/schema" => Dialect::Draft7,
            "https://spec.openapis.org/oas/3.1/dialect/base" => Dialect::OpenApi31,
            _ => return None,
        })
    }

    /// How messages call it.
    pub(super) fn name(self) -> &'static str {
        match self {
            Dialect::Draft7 => "draft 7",
            Dialect::Draft202012 => "draft 2020-12",
            Dialect::OpenApi30 => "OpenAPI 3.0",
            Dialect::OpenApi31 => "OpenAPI 3.1",
        }
    }

    /// Whether what stands beside a `$ref` counts for nothing.
    pub(super) fn reference_stands_alone(self) -> bool {
        matches!(self, Dialect::Draft7 | Dialect::OpenApi30)
    }

    /// Whether it is OpenAPI's.
    pub(super) fn is_openapi(self) -> bool {
        matches!(self, Dialect::OpenApi30 | Dialect::OpenApi31)
    }
}
