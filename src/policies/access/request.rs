//! A request as rules ask about it.

use std::cell::OnceCell;
use std::time::Duration;

use portcullis_exchange::condition::{Condition, Undecidable, View};
use portcullis_exchange::exchange::{Facts, Request};
use portcullis_exchange::host::Host;
use portcullis_exchange::principal::Principal;
use portcullis_exchange::target::Target;
use portcullis_wire::effort::{Effort, TooCostly};
use portcullis_wire::json::compact::Compact;

use super::decision::{Asked, Fault, Truth};
use super::rule::{FieldTest, Rule, Values, When};
use super::schedule::Schedule;
use super::{from, peer, to};

/// Who calls, as far as that is known.
#[derive(Clone, Copy)]
pub(super) enum Caller<'c> {
    Known(&'c Principal),
    /// No credential has been accepted, and none will be.
    Nobody,
    /// A credential may be accepted at the end of the body.
    KnownLater,
}

/// The head of a request.
pub(super) struct Head<'h> {
    pub(super) request: Request<'h>,
    pub(super) facts: &'h Facts,
    pub(super) host: &'h dyn Host,
    /// The time, since the epoch.
    pub(super) now: Duration,
    pub(super) caller: Caller<'h>,
    others: OnceCell<Vec<Target>>,
}

impl<'h> Head<'h> {
    pub(super) fn new(
        request: Request<'h>,
        facts: &'h Facts,
        host: &'h dyn Host,
        now: Duration,
        names_caller_late: bool,
    ) -> Self {
        let caller = match &facts.principal {
            Some(principal) => Caller::Known(principal),
            None if names_caller_late => Caller::KnownLater,
            None => Caller::Nobody,
        };
        Self {
            request,
            facts,
            host,
            now,
            caller,
            others: OnceCell::new(),
        }
    }

    /// The same, where looking costs of another effort.
    pub(super) fn at_cost_of(&self, effort: &'h Effort) -> Self {
        Self {
            request: Request {
                effort,
                ..self.request
            },
            others: OnceCell::new(),
            ..*self
        }
    }
}

impl Asked for Head<'_> {
    fn field(&self, _: &Rule, test: &FieldTest) -> Truth {
        let effort = self.request.effort;
        match &test.values {
            Values::Hosts(hosts) => to::is_host(hosts, &self.request),
            Values::Methods(methods) => to::is_method(methods, &self.request),
            Values::Paths(paths) => {
                let target = self.request.target;
                let others = self
                    .others
                    .get_or_init(|| target.other_readings().collect());
                to::is_path(paths, target, others, effort)
            }
            Values::Addresses(ranges) => {
                from::is_in_ranges(ranges, self.facts.client(self.host), effort)
            }
            Values::Certificates(texts) => peer::has_a_name_of(self.host, texts, effort),
            values => from::holds(values, self.caller, effort),
        }
    }

    fn condition(&self, _: &Rule, when: &When) -> Truth {
        let condition = &when.condition;
        let claims = match self.caller {
            Caller::Known(principal) => Some(&principal.attributes),
            Caller::KnownLater if condition.operand().needs_identity() => return Truth::Later,
            Caller::Nobody | Caller::KnownLater => None,
        };
        let holds = condition.holds(&View {
            request: self.request,
            claims,
            effort: self.request.effort,
        });
        match holds {
            Ok(holds) => Truth::of(holds),
            Err(Undecidable::Repeated) => Truth::Unknown(Fault::Repeated),
            Err(Undecidable::Effort) => Truth::Unknown(Fault::Effort),
        }
    }

    fn time(&self, schedule: &Schedule) -> bool {
        schedule.holds(self.now)
    }
}

/// Whether a condition on claims holds.
pub(super) fn claims_condition(
    condition: &Condition,
    claims: Option<&Compact>,
    effort: &Effort,
) -> Truth {
    let none = match claims {
        Some(_) => None,
        None => Compact::parse(b"{}", 1),
    };
    let holds = claims.or(none.as_ref());
    let holds = holds.and_then(|claims| condition.holds_of_claims(claims, effort));
    match holds {
        Some(Ok(holds)) => Truth::of(holds),
        Some(Err(TooCostly)) => Truth::Unknown(Fault::Effort),
        // It looks at something that is no claim, and that cannot have been left open.
        None => Truth::Unknown(Fault::Kind),
    }
}
