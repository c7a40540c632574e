//! Whose tokens may be bound.

use std::fmt;
use std::rc::Rc;

use portcullis_document::Quoted;
use portcullis_wire::json::Json;
use portcullis_wire::json::compact::{Compact, Value};

use super::confirmation::CLAIM;

/// The block in which credentials of several kinds stand.
const CREDENTIALS: &str = "credentials";

/// Who issued a token, or tells of it; by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::authn) enum TokenAuthority {
    /// Who signs tokens, whose `cnf` is a claim (RFC 7800).
    Provider(Rc<str>),
    /// Who is asked about tokens, and says `cnf` in its answer: RFC 8705 §3.2, RFC 9449 §6.2.
    IntrospectionServer(Rc<str>),
}

impl TokenAuthority {
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Provider(name) | Self::IntrospectionServer(name) => name,
        }
    }

    /// The policy that asks for its tokens, and the field there that names it.
    fn asked_by(&self) -> (&'static str, &'static str) {
        match self {
            Self::Provider(_) => ("jwt", "provider"),
            Self::IntrospectionServer(_) => ("introspection", "server"),
        }
    }

    /// Whether a route asks for its tokens, by a block of its own or by one of `defaults`.
    pub(super) fn is_asked_by(&self, route: &Json, defaults: Option<&Json>) -> bool {
        let (policy, field) = self.asked_by();
        [policy, CREDENTIALS].into_iter().any(|name| {
            let block = route.step(name).or_else(|| defaults?.step(name));
            block.is_some_and(|block| self.is_named_in(block, field))
        })
    }

    /// Whether a block, or one of its members, names it in that field.
    fn is_named_in(&self, block: &Json, field: &str) -> bool {
        match block {
            Json::Object(object) => object.iter().any(|(name, value)| {
                (name == field && value.as_str() == Some(self.name()))
                    || self.is_named_in(value, field)
            }),
            Json::Array(items) => items.iter().any(|item| self.is_named_in(item, field)),
            _ => false,
        }
    }

    /// The section in which it stands.
    pub(super) fn section(&self) -> &'static str {
        match self {
            Self::Provider(_) => "providers",
            Self::IntrospectionServer(_) => "introspection_servers",
        }
    }

    /// What tells its proofs from those of others of that name.
    pub(super) fn proofs(&self) -> &'static [u8] {
        match self {
            Self::Provider(_) => b"dpop proofs",
            Self::IntrospectionServer(_) => b"introspection proofs",
        }
    }

    /// The same for its nonces. Neither of them begins with the other.
    pub(super) fn nonces(&self) -> &'static [u8] {
        match self {
            Self::Provider(_) => b"dpop nonce",
            Self::IntrospectionServer(_) => b"introspection nonce",
        }
    }

    /// What it says a token is bound to. A server may write `null` where it has nothing to say.
    pub(super) fn confirmation<'c>(&self, claims: &'c Compact) -> Option<Value<'c>> {
        let said = claims.member(CLAIM);
        match self {
            Self::Provider(_) => said,
            Self::IntrospectionServer(_) => said.filter(|value| !matches!(value, Value::Null)),
        }
    }

    /// Whether it says otherwise that a token is bound to a key: RFC 9449 §6.2.
    pub(super) fn says_key(&self, claims: &Compact) -> bool {
        let Self::IntrospectionServer(_) = self else {
            return false;
        };
        let said = claims.member("token_type").and_then(Value::as_str);
        said.is_some_and(|said| said.eq_ignore_ascii_case("DPoP"))
    }
}

impl fmt::Display for TokenAuthority {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Provider(_) => "provider",
            Self::IntrospectionServer(_) => "introspection server",
        };
        write!(f, "{kind} {}", Quoted(self.name()))
    }
}
