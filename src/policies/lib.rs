//! The policies, one module for each, and their list.
//!
//! What a policy is stands in [`portcullis_exchange::policy`]. None of them knows another, but for
//! what several share.

pub mod access;
mod authn;
pub mod concurrency;
pub mod cors;
pub mod csrf;
pub mod deny;
pub mod deny_patterns;
pub mod error_pages;
mod fetched_list;
pub mod forms;
pub mod graphql;
pub mod https;
pub mod maintenance;
mod named;
mod networks;
pub mod openapi;
mod owned;
pub mod parameters;
pub mod payload;
mod places;
pub mod protected_resource;
pub mod rate_limits;
mod remote;
pub mod request_headers;
pub mod respond;
pub mod response_headers;
pub mod responses;
pub mod sanitize_errors;
pub mod security_headers;
#[cfg(any(test, feature = "fault-injection"))]
pub mod test_wait;
pub mod versions;
mod written;

use portcullis_exchange::policy::PolicyKind;
use portcullis_exchange::refusal::Code;
use portcullis_exchange::refusal::core::CODES;

/// Whether versions, concurrency, and responses and header fields of a document's own are there; a module may be
/// built without them.
const HAS_TRAFFIC: bool = cfg!(feature = "traffic");

/// Whether XML, GraphQL, and what is taken out of responses are there; a module may be built without them.
pub const HAS_FORMATS: bool = cfg!(feature = "formats");

pub use self::authn::api_key;
pub use self::authn::certificate;
pub use self::authn::credentials;
pub use self::authn::introspection;
pub use self::authn::jwt;
pub use self::authn::signed_request;
/// Lists of networks, which whatever judges by an address may ask.
pub use self::networks::{Membership, NetworkList, NetworkLists};
/// Points in time as documents have them.
pub use authn::moment::{Rounding, day_or_time, rfc3339};
/// Lists of what is revoked, which every kind of credential may ask.
pub use authn::revocation::RevocationLists;

/// Lists the kinds of policies. A request meets their parts by [`Stage`](portcullis_exchange::policy::Stage), those of one stage in the
/// order of this list; the first refusal ends it.
macro_rules! kinds {
    ($($name:ident),+ $(,)?) => {
        /// Every kind of policy. One more where tests are: no module that is shipped has it.
        pub const LIST: &[PolicyKind] = &[
            $($name::KIND,)+
            #[cfg(any(test, feature = "fault-injection"))]
            test_wait::KIND,
        ];
        /// What the log calls a block that is tried beside the one in force, by the place of its
        /// kind in the list.
        const BESIDE: &[&str] = &[
            $(concat!(stringify!($name), "_shadow"),)+
            #[cfg(any(test, feature = "fault-injection"))]
            "test_wait_shadow",
        ];
    };
}

kinds! {
    deny,
    https,
    maintenance,
    jwt,
    api_key,
    certificate,
    introspection,
    credentials,
    signed_request,
    graphql,
    access,
    rate_limits,
    concurrency,
    respond,
    parameters,
    payload,
    openapi,
    forms,
    deny_patterns,
    request_headers,
    response_headers,
    sanitize_errors,
    responses,
    error_pages,
    protected_resource,
    security_headers,
    cors,
    csrf,
    versions,
}

/// What the log calls a policy: first those in force, by their places in [`LIST`], then those that
/// are tried beside them, in the same order.
pub fn name(place: usize) -> &'static str {
    let beside = || BESIDE.get(place.checked_sub(LIST.len())?).copied();
    match LIST.get(place) {
        Some(kind) => kind.name,
        None => beside().unwrap_or_default(),
    }
}

/// Every code there is: the core's own and the policies'.
pub fn codes() -> impl Iterator<Item = &'static Code> {
    let of_policies = LIST.iter().flat_map(|kind| kind.codes);
    CODES.iter().chain(of_policies).copied()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use portcullis_exchange::policy::Role;
    use portcullis_exchange::refusal::Blame;

    #[test]
    fn every_module_of_a_policy_is_in_the_list() {
        let lines = include_str!("lib.rs").lines();
        // What asks for credentials stands in a folder of its own.
        let starts = ["pub mod ", "pub use self::authn::"];
        let modules = lines.filter_map(|line| {
            let name = starts.iter().find_map(|start| line.strip_prefix(start))?;
            name.strip_suffix(';')
        });
        let mut modules: Vec<_> = modules.collect();
        modules.sort_unstable();
        let mut listed: Vec<_> = LIST.iter().map(|kind| kind.name).collect();
        listed.sort_unstable();
        assert_eq!(modules, listed);
    }

    #[test]
    fn what_is_tried_is_named_after_its_policy() {
        for (place, kind) in LIST.iter().enumerate() {
            assert_eq!(name(place), kind.name);
            assert_eq!(name(place + LIST.len()), format!("{}_shadow", kind.name));
        }
    }

    #[test]
    fn codes_and_reasons_refer_to_each_other() {
        let mut names = BTreeSet::new();
        for code in codes() {
            assert!(names.insert(code.name), "{code:?} is there twice");
            let mut reasons = BTreeSet::new();
            for reason in code.reasons {
                assert_eq!(reason.code, code);
                assert!(reasons.insert(reason.name), "{reason:?} is there twice");
            }
            assert!(!reasons.is_empty(), "{code:?}");
        }
    }

    /// What a client is told and what others go by say the same.
    #[test]
    fn blame_agrees_with_the_status() {
        for reason in codes().flat_map(|code| code.reasons) {
            let statuses: &[u16] = match reason.blame {
                Blame::NoCredential
                | Blame::ExpiredCredential
                | Blame::UsedCredential
                | Blame::Credential => &[401],
                Blame::Caller => &[403, 404],
                Blame::Limit => &[429],
                Blame::Upstream => &[502],
                // A route that is not to be known is not, whatever is wrong.
                Blame::Dependency | Blame::Ourselves => &[404, 503],
                Blame::Request => &[400, 403, 404, 405, 410, 413, 415, 417, 422, 431],
            };
            assert!(statuses.contains(&reason.code.status), "{reason:?}");
        }
    }

    #[test]
    fn only_who_asks_for_credentials_blames_them() {
        let guards = LIST.iter().filter(|kind| kind.role == Role::Guards);
        let codes = guards.flat_map(|kind| kind.codes).chain(CODES);
        for reason in codes.flat_map(|code| code.reasons) {
            let is_of_request = match reason.blame {
                Blame::Request
                | Blame::Limit
                | Blame::Upstream
                | Blame::Dependency
                | Blame::Ourselves => true,
                // It asks for nothing, and goes by who calls.
                Blame::Caller => access::KIND.codes.contains(&reason.code),
                _ => false,
            };
            assert!(is_of_request, "{reason:?}");
        }
    }
}
