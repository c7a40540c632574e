//! Different numbers for different callers.

use super::algorithm::{self, LimitAlgorithm};
use super::key::{Caller, KeyError, NetworkChoice};
use super::named::LimitNames;
use super::table::CounterStore;
use crate::authn::roles::read_role;
use portcullis_document::{Node, Problems};
use portcullis_exchange::condition::{
    ClaimPath, Condition, Kinds, Language, Operand, OperandField, OtherKinds, Scalars, Undecidable,
    VERSION, VersionTest, View, needs_one_of,
};
use portcullis_exchange::policy::Stage;
use portcullis_exchange::principal::Principal;
use portcullis_exchange::route::read_header_name;
use portcullis_wire::headers::HeaderName;

/// Numbers, and for whom they are.
#[derive(Debug)]
pub(super) struct Tier {
    pub(super) when: Option<TierWhen>,
    /// Where callers of this tier count; none if they are not limited.
    pub(super) table: Option<CounterStore>,
}

/// For whom a tier is.
#[derive(Debug)]
pub(super) enum TierWhen {
    /// Of whom this is true.
    Condition(Condition),
    /// Who comes from one of these networks, or from none.
    Network(NetworkChoice, bool),
    /// Who has one of these roles, or none.
    Role(Vec<Box<str>>, bool),
}

/// A tier as it is written.
pub(super) struct TierDraft {
    pub(super) when: Option<TierWhen>,
    pub(super) rule: Option<LimitAlgorithm>,
    /// Tells its table from those of the other tiers.
    pub(super) name: String,
}

/// Whom a tier is for. Claims that are numbers or booleans are compared as the texts that they are
/// in JSON: plans and levels are written either way.
const LANGUAGE: Language = Language {
    operands: &[
        OperandField::new("claim", Operand::CLAIM, |node, problems| {
            let path = ClaimPath::read(node, problems)?;
            Some(Operand::Claim(path, Scalars::Spelled))
        }),
        OperandField::new("header", Operand::HEADER, |node, problems| {
            read_header_name(node, problems).map(Operand::Header)
        }),
        VERSION,
        OperandField::new("authenticated", Kinds::NONE, |_, _| Some(Operand::Identity)),
    ],
    parts: &[],
    elsewhere: &[],
    other_kinds: OtherKinds::Fail,
};

/// Fields that take a list of names and no test.
const LISTS: [&str; 2] = ["network", "role"];

impl TierDraft {
    /// Whether it depends on tokens.
    pub(super) fn is_of_tokens(&self) -> bool {
        let claim = |when: &TierWhen| match when {
            TierWhen::Condition(when) => matches!(when.operand(), Operand::Claim(..)),
            TierWhen::Network(..) => false,
            TierWhen::Role(..) => true,
        };
        self.when.as_ref().is_some_and(claim)
    }

    /// Reads one item of `tiers`.
    pub(super) fn read(
        node: &Node<'_>,
        named: &LimitNames,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let written = fields.required("when", problems);
        let when = written
            .as_ref()
            .and_then(|node| TierWhen::read(node, named, problems));
        let unlimited = fields.or_default("unlimited", false, problems, |node, problems| {
            let unlimited = node.boolean(problems)?;
            if !unlimited {
                node.report(problems, "says nothing; leave it out");
            }
            Some(unlimited)
        });
        let rule = algorithm::read(&mut fields, problems);
        let place = fields.pointer().clone();
        fields.deny_unknown(problems);
        let (when, unlimited, rule) = (when?, unlimited?, rule?);
        if unlimited == rule.is_some() {
            let names: Vec<&str> = algorithm::names().chain(["unlimited"]).collect();
            problems.lacks(&place, needs_one_of(&names));
            return None;
        }
        Some(Self {
            when: Some(when),
            rule,
            name: written?.json().to_string(),
        })
    }
}

impl TierWhen {
    /// Reads `{ "network": [ … ] }` or `{ "role": [ … ] }`, the same under `not`, or a condition.
    fn read(node: &Node<'_>, named: &LimitNames, problems: &mut Problems) -> Option<Self> {
        let inner = node.member("not");
        let is_list = |node: &Node<'_>| LISTS.iter().any(|name| node.member(name).is_some());
        let (lists, is_in) = match &inner {
            Some(inner) if is_list(inner) => (inner, false),
            _ => (node, true),
        };
        if !is_list(lists) {
            return Condition::read(node, &LANGUAGE, problems).map(Self::Condition);
        }
        let mut fields = lists.fields(problems)?;
        let (networks, roles) = (fields.optional("network"), fields.optional("role"));
        let when = match (networks, roles) {
            (Some(networks), None) => {
                let choice = NetworkChoice::read(&networks, &named.networks, problems);
                choice.map(|choice| Self::Network(choice, is_in))
            }
            (Some(_), Some(roles)) => {
                roles.report(problems, "cannot stand beside `network`; keep one of them");
                None
            }
            (None, roles) => {
                let roles = roles.and_then(|node| {
                    node.list(problems, |item, problems| {
                        read_role(item, problems).map(Box::from)
                    })
                });
                roles.map(|roles| Self::Role(roles, is_in))
            }
        };
        fields.deny_unknown(problems);
        if !is_in {
            let mut fields = node.fields(problems)?;
            let _ = fields.optional("not");
            fields.deny_unknown(problems);
        }
        when
    }

    /// The roles that it is for, or not for.
    pub(super) fn roles(&self) -> &[Box<str>] {
        match self {
            Self::Role(roles, _) => roles,
            Self::Condition(_) | Self::Network(..) => &[],
        }
    }

    /// The header field by which it is told, if it is one.
    pub(super) fn header(&self) -> Option<&HeaderName> {
        match self {
            Self::Condition(when) => when.operand().header(),
            Self::Role(..) | Self::Network(..) => None,
        }
    }

    /// What it asks of the version of a request.
    pub(super) fn version_test(&self) -> Option<VersionTest> {
        match self {
            Self::Condition(when) => when.version_test(),
            Self::Role(..) | Self::Network(..) => None,
        }
    }

    /// When it can be told.
    pub(super) fn stage(&self) -> Stage {
        match self {
            Self::Condition(when) if when.operand().needs_identity() => Stage::Identity,
            Self::Role(..) => Stage::Identity,
            Self::Condition(_) | Self::Network(..) => Stage::Arrival,
        }
    }

    /// Whether a caller is one of those whom it is for.
    ///
    /// # Errors
    /// A header field came more than once, or it would take too much work to tell, or it is not known where the
    /// caller comes from.
    pub(super) fn holds(&self, caller: &Caller<'_>) -> Result<bool, KeyError> {
        match self {
            Self::Condition(when) => holds(when, caller),
            Self::Network(networks, is_in) => {
                let client = caller.facts.client(caller.host);
                let client = client.ok_or(KeyError::Unknown)?;
                let name = networks.name_of(client, caller.host)?;
                Ok(name.is_some() == *is_in)
            }
            Self::Role(roles, is_in) => {
                let who = caller.facts.principal.as_ref();
                let has = |who: &Principal| roles.iter().any(|role| who.has_role(role));
                Ok(who.is_some_and(has) == *is_in)
            }
        }
    }
}

/// Whether a caller is one of those that a condition is for.
///
/// # Errors
/// A header field came more than once, or it would take too much work to tell.
fn holds(when: &Condition, caller: &Caller<'_>) -> Result<bool, KeyError> {
    let principal = caller.facts.principal.as_ref();
    let view = View::new(&caller.request)
        .of(principal.map(|who| &who.attributes))
        .versioned(caller.facts.told_version());
    when.holds(&view).map_err(|undecidable| match undecidable {
        Undecidable::Effort => KeyError::Effort,
        // Of what else there is, tiers look at nothing.
        _ => KeyError::Repeated,
    })
}

/// The place of a tier that has the condition of an earlier one.
pub(super) fn repeated(tiers: &[TierDraft]) -> Option<usize> {
    let before = |index: usize| tiers.get(..index).unwrap_or_default().iter();
    let mut places = tiers.iter().enumerate();
    let found = places.find(|(index, tier)| before(*index).any(|other| other.name == tier.name));
    found.map(|(index, _)| index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_exchange::exchange::{Facts, Request};
    use portcullis_exchange::principal::{CredentialKind, Roles};
    use portcullis_exchange::target::{Authority, Target};
    use portcullis_memory_host::MemoryHost;
    use portcullis_wire::effort::Effort;
    use portcullis_wire::headers::Headers;
    use portcullis_wire::json::Json;
    use portcullis_wire::json::compact::Compact;

    /// Whether a caller of that name is of a tier, where so many steps are left.
    fn holds_for(when: &str, name: &str, steps: u64) -> Result<bool, KeyError> {
        let json = Json::parse(when.as_bytes(), 4).unwrap();
        let mut problems = Problems::default();
        let condition = Condition::read(&Node::root(&json), &LANGUAGE, &mut problems).unwrap();
        let mut headers = Headers::default();
        headers.push(b"x-name", name.as_bytes());
        let mut facts = Facts::default();
        facts.principal = Some(Principal {
            kind: CredentialKind::Jwt,
            authority: "corp".into(),
            attributes: Compact::parse(
                format!(r#"{{"name":"{name}","level":7,"beta":true,"rate":1.50}}"#).as_bytes(),
                2,
            )
            .unwrap(),
            roles: Roles::default(),
        });
        let caller = Caller {
            request: Request {
                headers: &headers,
                authority: &Authority::default(),
                target: &Target::parse(b"/").unwrap(),
                effort: &Effort::new(steps),
            },
            route: "a",
            facts: &facts,
            host: &MemoryHost::new(),
        };
        holds(&condition, &caller)
    }

    #[test]
    fn what_is_too_costly_is_of_no_tier() {
        for when in [
            r#"{"claim": "name", "regex": ".*a.*"}"#,
            r#"{"header": "x-name", "regex": ".*a.*"}"#,
        ] {
            let long = "b".repeat(2000);
            assert_eq!(holds_for(when, &long, 100_000), Ok(false), "{when}");
            assert_eq!(
                holds_for(when, &long, 1000),
                Err(KeyError::Effort),
                "{when}"
            );
            assert_eq!(holds_for(when, "a", 1000), Ok(true), "{when}");
        }
    }

    #[test]
    fn claims_are_compared_as_texts_and_numbers_as_numbers_too() {
        for (when, expected) in [
            (r#"{"claim": "level", "exact": "7"}"#, true),
            (r#"{"claim": "level", "exact": "7.0"}"#, false),
            (r#"{"claim": "level", "exact": 7.0}"#, true),
            (r#"{"claim": "level", "prefix": "7"}"#, true),
            (r#"{"claim": "rate", "exact": "1.50"}"#, true),
            (r#"{"claim": "rate", "exact": "1.5"}"#, false),
            (r#"{"claim": "beta", "exact": "true"}"#, true),
            (r#"{"claim": "beta", "in": ["false"]}"#, false),
            (r#"{"claim": "beta", "exact": true}"#, true),
            (r#"{"claim": "level", "in": ["6", "7"]}"#, true),
            (
                r#"{"claim": "level", "range": {"minimum": 7, "less_than": 8}}"#,
                true,
            ),
            (r#"{"header": "x-name", "range": {"minimum": 5}}"#, true),
            (r#"{"header": "x-name", "range": {"less_than": 5}}"#, false),
            (r#"{"header": "x-name", "in": ["4", "5"]}"#, true),
            (r#"{"header": "x-other", "exists": true}"#, false),
            (r#"{"not": {"header": "x-other", "exists": true}}"#, true),
            (r#"{"not": {"claim": "level", "exact": "7"}}"#, false),
            (r#"{"authenticated": true}"#, true),
            (r#"{"authenticated": false}"#, false),
            (r#"{"not": {"authenticated": false}}"#, true),
        ] {
            assert_eq!(holds_for(when, "5", 1000), Ok(expected), "{when}");
        }
        let range = r#"{"header": "x-name", "range": {"minimum": 0}}"#;
        // Blanks around a value are not part of it.
        assert_eq!(holds_for(range, " 5", 1000), Ok(true));
        for text in ["+5", "05", "5 5", "0x5", "five", ""] {
            assert_eq!(holds_for(range, text, 1000), Ok(false), "{text}");
        }
    }
}
