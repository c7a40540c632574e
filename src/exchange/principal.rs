//! Who calls, as a credential proves it.
//!
//! Every kind of credential writes a [`Principal`], and whatever goes by the caller reads it: limits
//! and their tiers, the record, security events, what the upstream is told.

use std::rc::Rc;

use portcullis_wire::json::compact::{Compact, Value};

/// Who calls.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// By what it was proven.
    pub kind: CredentialKind,
    /// Who vouches for it: the name in the document of the provider, or of the store.
    pub authority: Rc<str>,
    /// All that is known: the claims of an accepted token. A kind of credential that has no claims
    /// writes what it knows under their names (`sub`, `scope`). So one that is remembered is handed
    /// on without a copy, and nobody reads two places for one fact.
    pub attributes: Compact,
}

/// What a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CredentialKind {
    /// A JSON Web Token.
    Jwt,
    /// An API key.
    ApiKey,
    /// A client certificate.
    Certificate,
    /// A signature of the request.
    SignedRequest,
    /// A token that its issuer was asked about.
    Introspection,
}

impl CredentialKind {
    /// The word in the log: the name of the policy that asks for it.
    pub fn name(self) -> &'static str {
        match self {
            CredentialKind::Jwt => "jwt",
            CredentialKind::ApiKey => "api_key",
            CredentialKind::Certificate => "certificate",
            CredentialKind::SignedRequest => "signed_request",
            CredentialKind::Introspection => "introspection",
        }
    }
}

impl Principal {
    /// The `sub` claim.
    pub fn subject(&self) -> Option<&str> {
        self.text("sub")
    }

    /// The `iss` claim.
    pub fn issuer(&self) -> Option<&str> {
        self.text("iss")
    }

    /// How many bytes of memory its attributes take.
    pub fn memory(&self) -> usize {
        self.attributes.size()
    }

    fn text(&self, name: &str) -> Option<&str> {
        self.attributes.member(name).and_then(Value::as_str)
    }
}
