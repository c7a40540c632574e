//! What is said of a request that rules do not allow.

use portcullis_exchange::refusal::{Blame, Code, Detail, Disclosure, Fact, Reason, Refusal, grpc};

use super::closest::Closest;
use super::decision::Fault;
use super::rule::{AccessRule, RuleCondition};

/// Every code with which rules refuse.
pub(super) const CODES: &[&Code] = &[&DENIED, &CONCEALED, &UNAVAILABLE];

pub static DENIED: Code = Code {
    name: "access_denied",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "This is not allowed.",
    reasons: &[&RULE, &NO_RULE, &OBJECT, &UNDECIDABLE, &EFFORT],
};

pub static RULE: Reason = Reason::new("rule", &DENIED, Blame::Caller);
pub static NO_RULE: Reason = Reason::new("no_rule", &DENIED, Blame::Caller);
/// All that is lacking is that the object is the caller's.
pub static OBJECT: Reason = Reason::new("object", &DENIED, Blame::Caller);
pub static UNDECIDABLE: Reason = Reason::new("undecidable", &DENIED, Blame::Request);
pub static EFFORT: Reason = Reason::new("effort", &DENIED, Blame::Request);

/// What clients are told is that there is no such route.
pub static CONCEALED: Code = Code {
    name: "access_concealed",
    status: 404,
    grpc_status: grpc::UNIMPLEMENTED,
    title: "There is nothing at this address.",
    reasons: &[
        &CONCEALED_RULE,
        &CONCEALED_NO_RULE,
        &CONCEALED_OBJECT,
        &CONCEALED_UNDECIDABLE,
        &CONCEALED_EFFORT,
        &CONCEALED_ADDRESS,
        &CONCEALED_LIST,
    ],
};

pub static CONCEALED_RULE: Reason = Reason::new("rule", &CONCEALED, Blame::Caller);
pub static CONCEALED_NO_RULE: Reason = Reason::new("no_rule", &CONCEALED, Blame::Caller);
pub static CONCEALED_OBJECT: Reason = Reason::new("object", &CONCEALED, Blame::Caller);
pub static CONCEALED_UNDECIDABLE: Reason = Reason::new("undecidable", &CONCEALED, Blame::Request);
pub static CONCEALED_EFFORT: Reason = Reason::new("effort", &CONCEALED, Blame::Request);
pub static CONCEALED_ADDRESS: Reason = Reason::new("address", &CONCEALED, Blame::Ourselves);
pub static CONCEALED_LIST: Reason = Reason::new("list", &CONCEALED, Blame::Dependency);

pub static UNAVAILABLE: Code = Code {
    name: "access_unavailable",
    status: 503,
    grpc_status: grpc::UNAVAILABLE,
    title: "It cannot be told right now whether this is allowed.",
    reasons: &[&ADDRESS, &LIST],
};

pub static ADDRESS: Reason = Reason::new("address", &UNAVAILABLE, Blame::Ourselves);
/// A list of networks has not been fetched, or is too old.
pub static LIST: Reason = Reason::new("list", &UNAVAILABLE, Blame::Dependency);

/// Whether clients learn that there is something which they may not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Visibility {
    Refused,
    /// They get what they would get if there was no such route.
    Nothing,
}

impl Visibility {
    fn refusal(self, open: &'static Reason, concealed: &'static Reason) -> Refusal {
        match self {
            Visibility::Refused => Refusal::new(open),
            Visibility::Nothing => Refusal {
                told: Disclosure::NoRoute,
                ..Refusal::new(concealed)
            },
        }
    }

    /// Whether clients are to learn nothing of the route.
    pub(super) fn conceals(self) -> bool {
        self == Self::Nothing
    }

    /// A rule denies it.
    pub(super) fn denied(self, rule: &AccessRule) -> Refusal {
        let refusal = match rule.when.iter().any(RuleCondition::is_of_object) {
            true => self.refusal(&OBJECT, &CONCEALED_OBJECT),
            false => self.refusal(&RULE, &CONCEALED_RULE),
        };
        refusal.because(about(rule))
    }

    /// No rule allows it; which came closest, and what of it does not hold.
    pub(super) fn without_rule(
        self,
        closest: Option<&Closest<'_>>,
        tried: Option<&AccessRule>,
    ) -> Refusal {
        let mut detail = Detail::within("/rules");
        if let Some(Closest { rule, unmet, .. }) = closest {
            detail = detail.and("closest", Fact::trusted(&rule.name)).and(
                "unmet",
                Fact::trusted_list(unmet.iter().map(String::as_str)),
            );
        }
        if let Some(rule) = tried {
            detail = shared(
                rule,
                detail.and("allowed_in_shadow", Fact::trusted(&rule.name)),
            );
        }
        let refusal = match closest.is_some_and(|closest| closest.lacks_only_object) {
            true => self.refusal(&OBJECT, &CONCEALED_OBJECT),
            false => self.refusal(&NO_RULE, &CONCEALED_NO_RULE),
        };
        refusal.because(detail)
    }

    /// It cannot be told whether a rule matches.
    pub(super) fn undecidable(self, rule: &AccessRule, fault: Fault) -> Refusal {
        let (open, concealed): (&'static Reason, &'static Reason) = match fault {
            Fault::Condition(_)
            | Fault::Readings
            | Fault::Kind
            | Fault::Place
            | Fault::Certificate
            | Fault::Graphql => (&UNDECIDABLE, &CONCEALED_UNDECIDABLE),
            Fault::Effort => (&EFFORT, &CONCEALED_EFFORT),
            Fault::Address => (&ADDRESS, &CONCEALED_ADDRESS),
            Fault::List => (&LIST, &CONCEALED_LIST),
        };
        let detail = about(rule).and("fault", Fact::Word(fault.word()));
        self.refusal(open, concealed).because(detail)
    }
}

impl Fault {
    /// The word in the log.
    fn word(self) -> &'static str {
        match self {
            Fault::Condition(why) => why.word(),
            Fault::Effort => "too_costly",
            Fault::Readings => "two_readings",
            Fault::Kind => "kind",
            Fault::Address => "no_address",
            Fault::List => "no_list",
            Fault::Place => "no_place",
            Fault::Certificate => "unverified",
            Fault::Graphql => "graphql",
        }
    }
}

fn about(rule: &AccessRule) -> Detail {
    let detail = Detail::at(rule.place.as_ref()).and("access_rule", Fact::trusted(&rule.name));
    shared(rule, detail)
}

/// With the share of callers for whom a rule is in force, where that is not all or none.
fn shared(rule: &AccessRule, detail: Detail) -> Detail {
    match &rule.trial.partial {
        Some(partial) => detail.and("percent", Fact::Number(partial.percent().into())),
        None => detail,
    }
}
