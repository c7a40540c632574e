//! What is known of who calls, as rules ask for it.

use portcullis_exchange::principal::{CredentialKind, Principal};
use portcullis_wire::effort::{Effort, TooCostly};
use portcullis_wire::json::compact::Value;

use super::decision::{Fault, Truth};
use super::texts::Texts;
use crate::authn::requirement::scope_claim;

/// A field of rules that is compared with texts of who calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum TextField {
    /// `client_id` or else `azp` of tokens (RFC 9068, RFC 7662, OpenID Connect), the name in the document of
    /// other credentials.
    Clients,
    /// `sub`.
    Subjects,
    /// `iss`.
    Issuers,
    Roles,
    /// The words of `scope`, or the items of a list.
    Scopes,
}

impl TextField {
    pub(super) const ALL: [Self; 5] = [
        TextField::Clients,
        TextField::Subjects,
        TextField::Issuers,
        TextField::Roles,
        TextField::Scopes,
    ];
}

/// Says of a text whether it is one that is looked for.
type IsOne<'t> = &'t mut dyn FnMut(&str) -> Result<bool, TooCostly>;

/// Whether one of the texts of a caller is one that is looked for. None is where what stands there is no text.
pub(super) fn one_of(principal: &Principal, field: TextField, is_one: IsOne<'_>) -> Truth {
    let member = |name| principal.attributes.member(name);
    match field {
        TextField::Clients => {
            let value = match principal.kind {
                CredentialKind::Jwt | CredentialKind::Introspection => {
                    member("client_id").or_else(|| member("azp"))
                }
                CredentialKind::ApiKey
                | CredentialKind::Certificate
                | CredentialKind::SignedRequest => member("client"),
            };
            text(value, is_one)
        }
        TextField::Subjects => text(member("sub"), is_one),
        TextField::Issuers => text(member("iss"), is_one),
        TextField::Roles => any(&mut principal.roles.iter(), is_one),
        TextField::Scopes => scope(principal, is_one),
    }
}

/// Whether one of the texts of a caller is one of these.
pub(super) fn has(
    principal: &Principal,
    field: TextField,
    texts: &Texts,
    effort: &Effort,
) -> Truth {
    one_of(principal, field, &mut |text| texts.has(text, effort))
}

/// A value of which rules know one text.
fn text(value: Option<Value<'_>>, is_one: IsOne<'_>) -> Truth {
    match value {
        None => Truth::No,
        Some(Value::String(text)) => any(&mut std::iter::once(text), is_one),
        // Services may read a name out of what is no text.
        Some(_) => Truth::Unknown(Fault::Kind),
    }
}

fn scope(principal: &Principal, is_one: IsOne<'_>) -> Truth {
    let (_, value) = scope_claim(&principal.attributes);
    match value {
        None => Truth::No,
        Some(Value::String(words)) => {
            let mut words = words.split(' ').filter(|word| !word.is_empty());
            any(&mut words, is_one)
        }
        Some(Value::Array(items)) if items.iter().all(|item| item.as_str().is_some()) => {
            any(&mut items.iter().filter_map(Value::as_str), is_one)
        }
        Some(_) => Truth::Unknown(Fault::Kind),
    }
}

fn any(found: &mut dyn Iterator<Item = &str>, is_one: IsOne<'_>) -> Truth {
    for text in found {
        match is_one(text) {
            Ok(true) => return Truth::Yes,
            Ok(false) => {}
            Err(TooCostly) => return Truth::Unknown(Fault::Effort),
        }
    }
    Truth::No
}
