//! What is known of who calls, as rules ask for it.

use portcullis_exchange::principal::{CredentialKind, Principal};
use portcullis_wire::effort::{Effort, TooCostly};
use portcullis_wire::json::compact::Value;

use super::decision::{Fault, Truth};
use super::texts::Texts;
use crate::authn::requirement::scope_claim;

/// A value of which rules know one text.
fn text_is_one_of(value: Option<Value<'_>>, texts: &Texts, effort: &Effort) -> Truth {
    match value {
        None => Truth::No,
        Some(Value::String(text)) => truth(texts.has(text, effort)),
        // Services may read a name out of what is no text.
        Some(_) => Truth::Unknown(Fault::Kind),
    }
}

fn truth(holds: Result<bool, TooCostly>) -> Truth {
    match holds {
        Ok(holds) => Truth::of(holds),
        Err(TooCostly) => Truth::Unknown(Fault::Effort),
    }
}

/// Whether the client is one of these: by `client_id` or else `azp` of tokens (RFC 9068, RFC 7662, OpenID
/// Connect), by its name in the document of other credentials.
pub(super) fn client_is_one_of(principal: &Principal, texts: &Texts, effort: &Effort) -> Truth {
    let member = |name| principal.attributes.member(name);
    let value = match principal.kind {
        CredentialKind::Jwt | CredentialKind::Introspection => {
            member("client_id").or_else(|| member("azp"))
        }
        CredentialKind::ApiKey | CredentialKind::Certificate | CredentialKind::SignedRequest => {
            member("client")
        }
    };
    text_is_one_of(value, texts, effort)
}

/// Whether the subject is one of these.
pub(super) fn subject_is_one_of(principal: &Principal, texts: &Texts, effort: &Effort) -> Truth {
    text_is_one_of(principal.attributes.member("sub"), texts, effort)
}

/// Whether the issuer is one of these.
pub(super) fn issuer_is_one_of(principal: &Principal, texts: &Texts, effort: &Effort) -> Truth {
    text_is_one_of(principal.attributes.member("iss"), texts, effort)
}

/// Whether one of the roles is one of these.
pub(super) fn has_a_role_of(principal: &Principal, texts: &Texts, effort: &Effort) -> Truth {
    truth(any(&mut principal.roles.iter(), texts, effort))
}

/// Whether one of the scopes is one of these.
pub(super) fn has_a_scope_of(principal: &Principal, texts: &Texts, effort: &Effort) -> Truth {
    let (_, value) = scope_claim(&principal.attributes);
    match value {
        None => Truth::No,
        Some(Value::String(words)) => {
            let mut words = words.split(' ').filter(|word| !word.is_empty());
            truth(any(&mut words, texts, effort))
        }
        Some(Value::Array(items)) if items.iter().all(|item| item.as_str().is_some()) => truth(
            any(&mut items.iter().filter_map(Value::as_str), texts, effort),
        ),
        Some(_) => Truth::Unknown(Fault::Kind),
    }
}

fn any(
    found: &mut dyn Iterator<Item = &str>,
    texts: &Texts,
    effort: &Effort,
) -> Result<bool, TooCostly> {
    for text in found {
        if texts.has(text, effort)? {
            return Ok(true);
        }
    }
    Ok(false)
}
