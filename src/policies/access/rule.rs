//! A rule, read and ready to be decided by: plain data.

use std::cell::Cell;
use std::rc::Rc;

use portcullis_document::Pointer;
use portcullis_exchange::condition::{Condition, PathVariables, VersionTest};
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::geo::{Asn, Country, Geo};
use portcullis_exchange::graphql::GraphqlField;
use portcullis_exchange::principal::CredentialKind;
use portcullis_exchange::rollout::{PartialRollout, Rollout, RolloutSubject};
use portcullis_exchange::route::{HostPattern, PathPattern, RequestMatcher};
use portcullis_wire::effort::{Effort, HEAD};
use portcullis_wire::json::compact::Compact;
use portcullis_wire::networks::NetworkSet;

use super::caller::TextField;
use super::counts::RuleCounts;
use super::schedule::RuleSchedule;
use super::texts::Texts;
use super::vouched::Vouchers;
use crate::networks::NetworkList;
use crate::versions::VersionSchemes;

/// One rule. It matches where one group of `from`, one of `to`, all conditions and its time do; a list
/// without groups asks for nothing.
#[derive(Debug)]
pub(super) struct AccessRule {
    pub(super) name: Rc<str>,
    /// Where it stands in the document: a JSON pointer.
    pub(super) place: Rc<str>,
    pub(super) action: RuleAction,
    pub(super) from: Vec<Group>,
    pub(super) to: Vec<Group>,
    pub(super) when: Vec<RuleCondition>,
    pub(super) schedule: RuleSchedule,
    pub(super) trial: Rollout,
    /// How many parts it has: their numbers are below.
    pub(super) parts: usize,
    pub(super) counts: Rc<RuleCounts>,
    pub(super) usage: RuleUsage,
}

/// On what kinds of routes a rule stands.
#[derive(Debug, Default)]
pub(super) struct RuleUsage {
    pub(super) is_placed: Cell<bool>,
    /// Routes that take requests which it is for, by hosts and methods.
    pub(super) meets_requests: Cell<bool>,
    /// Routes that ask for credentials.
    pub(super) is_guarded: Cell<bool>,
    /// How requests of its routes name versions.
    pub(super) schemes: VersionSchemes,
    pub(super) vouchers: Vouchers,
}

/// What comes of a rule that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum RuleAction {
    Allow,
    Deny,
}

/// Tests of which all must hold.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) tests: Vec<FieldTest>,
}

/// One field of a group. It holds where one of its values does, or none of them.
#[derive(Debug)]
pub(super) struct FieldTest {
    /// Its number among the parts of the rule.
    pub(super) part: usize,
    /// Its name, `not_` included.
    pub(super) name: &'static str,
    /// Where it stands in the document.
    pub(super) at: Pointer,
    pub(super) is_negated: bool,
    pub(super) values: Values,
}

/// A condition of `when`.
#[derive(Debug)]
pub(super) struct RuleCondition {
    /// Its number among the parts of the rule.
    pub(super) part: usize,
    pub(super) condition: Condition,
}

/// The values of a field.
#[derive(Debug)]
pub(super) enum Values {
    Clients(Texts),
    Subjects(Texts),
    Issuers(Texts),
    Credentials(Vec<CredentialKind>),
    Authorities(Vec<Box<str>>),
    Roles(Texts),
    Scopes(Texts),
    Authenticated(bool),
    Certificates(Texts),
    Addresses(NetworkSet),
    Networks(Vec<Rc<NetworkList>>),
    Countries(Rc<Geo>, Vec<Country>),
    Asns(Rc<Geo>, Vec<AsnRange>),
    Hosts(Vec<HostPattern>),
    Methods(Vec<String>),
    Paths(Vec<PathPattern>),
    Operations(Vec<Box<str>>),
    Versions(Vec<Box<str>>),
    Graphql(Vec<GraphqlField>),
}

/// The numbers of autonomous systems, from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct AsnRange {
    pub(super) first: Asn,
    pub(super) last: Asn,
}

/// What must be known to decide a part of a rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Need {
    /// The head of the request, and from where it comes.
    Head,
    /// Who calls.
    Identity,
    /// The body.
    Body,
}

impl AsnRange {
    /// Whether one of these has a number.
    pub(super) fn has(ranges: &[Self], asn: Asn) -> bool {
        let own = Self {
            first: asn,
            last: asn,
        };
        ranges.iter().any(|range| range.contains(&own))
    }

    pub(super) fn contains(&self, other: &Self) -> bool {
        self.first <= other.first && other.last <= self.last
    }
}

impl Values {
    pub(super) fn need(&self) -> Need {
        match self {
            Values::Certificates(_)
            | Values::Addresses(_)
            | Values::Networks(_)
            | Values::Countries(..)
            | Values::Asns(..)
            | Values::Hosts(_)
            | Values::Methods(_)
            | Values::Paths(_)
            | Values::Operations(_)
            | Values::Versions(_) => Need::Head,
            Values::Clients(_)
            | Values::Subjects(_)
            | Values::Issuers(_)
            | Values::Credentials(_)
            | Values::Authorities(_)
            | Values::Roles(_)
            | Values::Scopes(_)
            | Values::Authenticated(_) => Need::Identity,
            Values::Graphql(_) => Need::Body,
        }
    }

    /// The texts of a field that is compared with texts of who calls.
    pub(super) fn texts(&self) -> Option<(TextField, &Texts)> {
        match self {
            Values::Clients(texts) => Some((TextField::Clients, texts)),
            Values::Subjects(texts) => Some((TextField::Subjects, texts)),
            Values::Issuers(texts) => Some((TextField::Issuers, texts)),
            Values::Roles(texts) => Some((TextField::Roles, texts)),
            Values::Scopes(texts) => Some((TextField::Scopes, texts)),
            Values::Credentials(_)
            | Values::Authorities(_)
            | Values::Authenticated(_)
            | Values::Certificates(_)
            | Values::Addresses(_)
            | Values::Networks(_)
            | Values::Countries(..)
            | Values::Asns(..)
            | Values::Hosts(_)
            | Values::Methods(_)
            | Values::Paths(_)
            | Values::Operations(_)
            | Values::Versions(_)
            | Values::Graphql(_) => None,
        }
    }
}

impl RuleCondition {
    fn need(&self) -> Need {
        match (self.condition.needs_body(), self.condition.needs_identity()) {
            (true, _) => Need::Body,
            (false, true) => Need::Identity,
            (false, false) => Need::Head,
        }
    }

    /// Whether it compares a part of the request with what is known of the caller.
    pub(super) fn is_of_object(&self) -> bool {
        let condition = &self.condition;
        condition.needs_identity() && !condition.is_of_claims()
    }
}

impl AccessRule {
    /// All fields of its groups.
    pub(super) fn tests(&self) -> impl Iterator<Item = &FieldTest> {
        let groups = self.from.iter().chain(&self.to);
        groups.flat_map(|group| &group.tests)
    }

    /// The names of operations that it is for, or not for.
    pub(super) fn operations(&self) -> impl Iterator<Item = &str> {
        let names = self.tests().filter_map(|test| match &test.values {
            Values::Operations(names) => Some(names),
            _ => None,
        });
        names.flatten().map(|name| &**name)
    }

    /// The versions that it is for, or not for, each with where it stands.
    pub(super) fn versions(&self) -> impl Iterator<Item = (&FieldTest, &str)> {
        let tests = self.tests().filter_map(|test| match &test.values {
            Values::Versions(names) => Some((test, names)),
            _ => None,
        });
        tests.flat_map(|(test, names)| names.iter().map(move |name| (test, &**name)))
    }

    /// What its conditions ask of the version of a request.
    pub(super) fn version_tests(&self) -> impl Iterator<Item = VersionTest> {
        let conditions = self.when.iter();
        conditions.filter_map(|when| when.condition.version_test())
    }

    /// What must be known to decide it.
    pub(super) fn need(&self) -> Need {
        let tests = self.tests().map(|test| test.values.need());
        let conditions = self.when.iter().map(RuleCondition::need);
        tests.chain(conditions).max().unwrap_or(Need::Head)
    }

    /// The first path variable that it looks at and a template does not have.
    pub(super) fn lacking(&self, template: Option<&dyn PathVariables>) -> Option<&str> {
        let mut conditions = self.when.iter();
        conditions.find_map(|when| when.condition.lacking(template))
    }

    /// Whether it can match only where somebody is known.
    pub(super) fn needs_somebody(&self) -> bool {
        let names_somebody = |test: &FieldTest| {
            !test.is_negated
                && test.values.need() == Need::Identity
                && !matches!(test.values, Values::Authenticated(false))
        };
        let mut groups = self.from.iter();
        let all_name = groups.all(|group| group.tests.iter().any(names_somebody));
        let effort = Effort::new(HEAD);
        let none = Compact::parse(b"{}", 1);
        let is_of_somebody = |when: &RuleCondition| {
            let holds = none.as_ref();
            let holds = holds.and_then(|none| when.condition.holds_of_claims(none, &effort));
            holds == Some(Ok(false))
        };
        !self.from.is_empty() && all_name || self.when.iter().any(is_of_somebody)
    }

    /// Conditions of which something else may be meant than they say.
    pub(super) fn misreadings(&self) -> impl Iterator<Item = String> {
        let conditions = self.when.iter().enumerate();
        conditions.filter_map(|(place, when)| {
            let misreading = when.condition.misreading()?;
            Some(format!("{}/when/{place}: {misreading}", self.place))
        })
    }

    /// What may not be meant of the share of requests for which it is in force, once its routes are known.
    pub(super) fn share_notes(&self) -> Vec<String> {
        let Some(share) = &self.trial.partial else {
            return Vec::new();
        };
        let choice = share.choice("this rule");
        let choice = choice.map(|choice| format!("{}/percent_by: {choice}", self.place));
        let is_early = self.action == RuleAction::Deny && self.need() == Need::Head;
        let (is_placed, is_guarded) = (self.usage.is_placed.get(), self.usage.is_guarded.get());
        let why = match (is_early, is_guarded) {
            (true, _) => {
                "a denial by the head of a request alone is judged before it is known who calls"
            }
            (false, false) => "no route with it asks for credentials",
            (false, true) => "",
        };
        let of_places = |test: &FieldTest| {
            matches!(
                test.values,
                Values::Addresses(_)
                    | Values::Networks(_)
                    | Values::Countries(..)
                    | Values::Asns(..)
            )
        };
        let is_meant = share.says_key() || is_guarded && !self.tests().any(of_places);
        let is_untrue = is_placed && share.goes_by_caller() && is_meant && !why.is_empty();
        let by_address = is_untrue.then(|| {
            format!(
                "{}/{}: {why}, so that the share is of addresses; write `percent_by: address`",
                self.place,
                share.field_of_key()
            )
        });
        choice.into_iter().chain(by_address).collect()
    }

    /// Whether a route may take requests that it is for, as far as hosts, methods and versions say.
    pub(super) fn may_meet(&self, matcher: &RequestMatcher) -> bool {
        let versions: Vec<&str> = matcher.versions().collect();
        let meets = |test: &FieldTest| match &test.values {
            _ if test.is_negated => true,
            Values::Hosts(hosts) => matcher.meets_host(hosts),
            Values::Methods(methods) => methods.iter().any(|method| matcher.allows(method)),
            Values::Versions(names) => {
                let mut names = names.iter();
                versions.is_empty() || names.any(|name| versions.contains(&&**name))
            }
            _ => true,
        };
        let never = |test: VersionTest| !versions.is_empty() && test.never_holds(&versions);
        if self.version_tests().any(never) {
            return false;
        }
        let mut groups = self.to.iter();
        self.to.is_empty() || groups.any(|group| group.tests.iter().all(meets))
    }

    /// Whether it goes by the certificate of the connection.
    pub(super) fn asks_for_certificate(&self) -> bool {
        self.tests()
            .any(|test| matches!(test.values, Values::Certificates(_)))
    }

    /// Whether it goes by what GraphQL requests ask for.
    pub(super) fn asks_graphql(&self) -> bool {
        self.tests()
            .any(|test| matches!(test.values, Values::Graphql(_)))
    }

    /// Whether it may be carried out.
    pub(super) fn may_be_in_force(&self) -> bool {
        self.trial.mode == Mode::Enforce
    }

    /// Whether it is in force for a request. One of whom nothing is known meets denials and no allowances.
    pub(super) fn is_met_by(&self, subject: &RolloutSubject<'_>) -> bool {
        match &self.trial.partial {
            None => self.may_be_in_force(),
            Some(partial) => match subject.is_in(partial, &self.name) {
                Some(is_in) => is_in,
                None => self.action == RuleAction::Deny,
            },
        }
    }

    /// Whether it goes by the number that is drawn for a request.
    pub(super) fn draws(&self) -> bool {
        let partial = self.trial.partial.as_ref();
        partial.is_some_and(PartialRollout::draws)
    }

    /// Whether it is in force for a share of requests.
    pub(super) fn is_rolled_out(&self) -> bool {
        self.trial.partial.is_some()
    }

    /// Whether it is in force for every request.
    pub(super) fn is_always_in_force(&self) -> bool {
        self.may_be_in_force() && self.trial.partial.is_none()
    }
}
