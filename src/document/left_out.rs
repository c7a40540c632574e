//! What a module lacks that was built without a feature.

use std::fmt;

/// That a document asks for what has been left out of the module. A module that would pass over it
/// would not guard what it was told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeftOut {
    what: &'static str,
    feature: &'static str,
}

impl LeftOut {
    /// Rules of access, and lists of networks.
    pub const ACCESS: Self = Self {
        what: "access rules and lists of networks",
        feature: "access",
    };
    /// Formats of bodies other than JSON and forms, and what is taken out of responses.
    pub const FORMATS: Self = Self {
        what: "XML, GraphQL, and what is taken out of responses",
        feature: "formats",
    };
    /// Versions of an API, requests under way at once, and responses and header fields of the document's own.
    pub const TRAFFIC: Self = Self {
        what: "versions, concurrency, and responses and header fields of a document's own",
        feature: "traffic",
    };
    /// Judging values by schemas, and so by OpenAPI documents.
    pub const SCHEMAS: Self = Self {
        what: "JSON Schema",
        feature: "json-schema",
    };
    /// Regular expressions, and what is built on them.
    pub const PATTERNS: Self = Self {
        what: "regular expressions",
        feature: "patterns",
    };
    /// Credentials of other kinds than tokens that the module judges itself, and lists of what is revoked.
    pub const CREDENTIALS: Self = Self {
        what: "API keys, certificates, opaque and bound tokens, signed requests and lists of what is revoked",
        feature: "credentials",
    };
    /// Signatures that the module itself checks, and the libraries for their keys.
    pub const SIGNATURES: Self = Self {
        what: "signatures that it checks itself",
        feature: "signatures",
    };
}

impl fmt::Display for LeftOut {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "this module is built without {}; build it with the feature `{}`",
            self.what, self.feature
        )
    }
}
