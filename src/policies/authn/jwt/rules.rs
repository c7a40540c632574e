//! Reads what a provider demands of the claims of its tokens.

use std::time::Duration;

use super::claims::{Accepted, ClaimRules, Expiration, Revoked};
use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::condition::Check;
use portcullis_wire::json::Json;
use portcullis_wire::json::compact::{Compact, Value};

/// Reads them from the fields of a provider.
pub(in crate::authn) fn read_rules(
    fields: &mut Fields<'_>,
    problems: &mut Problems,
) -> Option<ClaimRules> {
    let issuers = fields
        .required("issuer", problems)
        .and_then(|node| read_issuers(&node, problems));
    read_others(issuers, Expiration::Required, fields, problems)
}

/// Reads those of what an issuer says when it is asked about a token: who answers is known, and it vouches that
/// the token has not expired.
pub(in crate::authn) fn read_rules_of_answers(
    fields: &mut Fields<'_>,
    problems: &mut Problems,
) -> Option<ClaimRules> {
    let issuers = fields.or_default("issuer", Accepted::Any, problems, read_issuers);
    read_others(issuers, Expiration::Optional, fields, problems)
}

fn read_issuers(node: &Node<'_>, problems: &mut Problems) -> Option<Accepted> {
    match node.json() {
        Json::String(_) => node.non_empty(problems).map(|name| match name {
            "any" => Accepted::Any,
            issuer => Accepted::OneOf(vec![issuer.to_owned()]),
        }),
        _ => node.list(problems, owned_name).map(Accepted::OneOf),
    }
}

fn read_others(
    issuers: Option<Accepted>,
    usual_expiration: Expiration,
    fields: &mut Fields<'_>,
    problems: &mut Problems,
) -> Option<ClaimRules> {
    const LARGEST_SKEW: Duration = Duration::from_secs(600);
    let audiences =
        fields.or_default(
            "audiences",
            Accepted::Absent,
            problems,
            |node, problems| match node.json() {
                Json::String(any) if any == "any" => Some(Accepted::Any),
                _ => node.list(problems, owned_name).map(Accepted::OneOf),
            },
        );
    let clock_skew = fields.or_default(
        "clock_skew",
        Duration::from_secs(60),
        problems,
        |node, problems| {
            let skew = node.duration(problems)?;
            if skew > LARGEST_SKEW {
                node.report(
                    problems,
                    "must not be more than 10m: so long would an expired token live on",
                );
                return None;
            }
            Some(skew)
        },
    );
    let expiration = fields.or_default(
        "require_expiration",
        usual_expiration,
        problems,
        |node, problems| {
            Some(if node.boolean(problems)? {
                Expiration::Required
            } else {
                Expiration::Optional
            })
        },
    );
    let subjects = fields.or_default("subjects", Vec::new(), problems, |node, problems| {
        node.list(problems, read_subject)
    });
    let read_limit = |node: &Node<'_>, problems: &mut Problems| node.duration(problems).map(Some);
    let max_lifetime = fields.or_default("max_lifetime", None, problems, read_limit);
    let max_age = fields.or_default("max_age", None, problems, read_limit);
    let revoked = fields.or_default("revoked", Revoked::default(), problems, read_revoked);
    Some(ClaimRules {
        issuers: issuers?,
        audiences: audiences?,
        subjects: subjects?,
        clock_skew: clock_skew?,
        expiration: expiration?,
        max_lifetime: max_lifetime?,
        max_age: max_age?,
        revoked: revoked?,
    })
}

impl ClaimRules {
    /// The issuer that is listed and that these claims have but for a `/` at its end, or for the case
    /// of letters: most likely the one that was meant.
    pub(in crate::authn) fn near_issuer(&self, claims: Option<&Compact>) -> Option<&str> {
        let (Some(Value::String(issuer)), Accepted::OneOf(listed)) =
            (claims?.member("iss"), &self.issuers)
        else {
            return None;
        };
        let near = listed.iter().find(|each| are_near(each, issuer));
        near.map(String::as_str)
    }
}

/// Whether two issuers differ in a `/` at the end or in the case of letters alone: most likely the
/// same was meant.
pub(in crate::authn) fn are_near(one: &str, other: &str) -> bool {
    let bare = |issuer: &str| issuer.trim_end_matches('/').to_ascii_lowercase();
    bare(one) == bare(other)
}

fn read_subject(node: &Node<'_>, problems: &mut Problems) -> Option<Check> {
    let mut fields = node.fields(problems)?;
    let check = Check::read_of_text(&mut fields, problems);
    fields.deny_unknown(problems);
    check
}

/// `revoked: { jti, sub, kid, issued_before }`.
fn read_revoked(node: &Node<'_>, problems: &mut Problems) -> Option<Revoked> {
    let mut fields = node.object(problems, "{\"jti\": [\"…\"]}")?;
    let mut list = |name, problems: &mut Problems| {
        fields.or_default(name, Vec::new(), problems, |node, problems| {
            node.list(problems, |item, problems| {
                item.non_empty(problems).map(str::to_owned)
            })
        })
    };
    let token_ids = list("jti", problems);
    let subjects = list("sub", problems);
    let key_ids = list("kid", problems);
    let issued_before = fields.or_default("issued_before", None, problems, |node, problems| {
        node.integer(problems, 0..=u64::from(u32::MAX)).map(Some)
    });
    fields.deny_unknown(problems);
    Some(Revoked {
        token_ids: token_ids?,
        subjects: subjects?,
        key_ids: key_ids?,
        issued_before: issued_before?,
    })
}

fn owned_name(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let name = node.non_empty(problems)?;
    if name == "any" {
        node.report(problems, "`any` stands in place of the list, not in it");
        return None;
    }
    Some(name.to_owned())
}
