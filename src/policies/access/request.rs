//! A request as rules ask about it.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Duration;

use portcullis_exchange::condition::{BodyMembers, Condition, Undecidable, View};
use portcullis_exchange::exchange::{Facts, Request};
use portcullis_exchange::host::Host;
use portcullis_exchange::policy::RoutePath;
use portcullis_exchange::principal::Principal;
use portcullis_exchange::target::Target;
use portcullis_wire::effort::Effort;
use portcullis_wire::json::compact::Compact;

use super::callers::Callers;
use super::decision::{Fault, RequestFacts, Truth};
use super::peer::Peer;
use super::rule::{AccessRule, AsnRange, FieldTest, RuleCondition, Values};
use super::schedule::RuleSchedule;
use super::{from, to};

/// Who calls, as far as that is known.
#[derive(Clone, Copy)]
pub(super) enum CallerIdentity<'c> {
    Known(&'c Principal),
    /// No credential has been accepted, and none will be.
    Nobody,
    /// A credential may be accepted at the end of the body.
    KnownLater,
}

/// The head of a request.
pub(super) struct Head<'h> {
    request: Request<'h>,
    known: HeadContext<'h>,
    caller: CallerIdentity<'h>,
    view: View<'h>,
    others: OnceCell<Vec<Target>>,
    peer: OnceCell<Peer>,
}

/// What is known beside a head.
#[derive(Clone, Copy)]
pub(super) struct HeadContext<'k> {
    pub(super) facts: &'k Facts,
    pub(super) host: &'k dyn Host,
    /// The time, since the epoch.
    pub(super) now: Duration,
    /// Whether a credential may be accepted at the end of the body.
    pub(super) names_caller_late: bool,
    pub(super) path: &'k RoutePath,
    /// What conditions look at in the body, if that is known.
    pub(super) body: Option<&'k BodyMembers>,
}

impl<'h> Head<'h> {
    pub(super) fn new(request: Request<'h>, known: HeadContext<'h>) -> Self {
        let caller = match &known.facts.principal {
            Some(principal) => CallerIdentity::Known(principal),
            None if known.names_caller_late => CallerIdentity::KnownLater,
            None => CallerIdentity::Nobody,
        };
        let view = View::new(&request)
            .of(caller.claims())
            .on(known.path.variables())
            .with_body(known.body)
            .versioned(known.facts.told_version());
        Self {
            request,
            known,
            caller,
            view,
            others: OnceCell::new(),
            peer: OnceCell::new(),
        }
    }

    /// The same, where looking costs of another effort.
    pub(super) fn at_cost_of(&self, effort: &'h Effort) -> Self {
        let request = Request {
            effort,
            ..self.request
        };
        Self::new(request, self.known)
    }

    pub(super) fn request(&self) -> &Request<'h> {
        &self.request
    }

    /// Whom its credentials name.
    pub(super) fn callers(&self) -> Callers<'h> {
        Callers::new(self.caller, self.known.facts, self.known.names_caller_late)
    }

    /// What conditions see of it.
    pub(super) fn view(&self) -> &View<'h> {
        &self.view
    }
}

impl<'c> CallerIdentity<'c> {
    /// The claims of the credential.
    pub(super) fn claims(self) -> Option<&'c Compact> {
        match self {
            CallerIdentity::Known(principal) => Some(&principal.attributes),
            CallerIdentity::Nobody | CallerIdentity::KnownLater => None,
        }
    }
}

/// Whether a condition holds.
pub(super) fn holds(condition: &Condition, view: &View<'_>) -> Truth {
    match condition.holds(view) {
        Ok(holds) => Truth::of(holds),
        Err(Undecidable::NotYet) => Truth::Later,
        Err(Undecidable::Effort) => Truth::Unknown(Fault::Effort),
        Err(why) => Truth::Unknown(Fault::Condition(why)),
    }
}

impl RequestFacts for Head<'_> {
    fn field(&self, rule: &AccessRule, test: &FieldTest) -> Truth {
        let (effort, known) = (self.request.effort, &self.known);
        match &test.values {
            Values::Hosts(hosts) => to::is_host(hosts, self.request.host(), effort),
            Values::Methods(methods) => to::is_method(methods, self.request.method(), effort),
            Values::Paths(paths) => {
                let target = self.request.target;
                let others = || target.other_readings().collect();
                to::is_path(paths, target, self.others.get_or_init(others), effort)
            }
            Values::Operations(names) => to::is_operation(
                names,
                known.facts.operations().map(Rc::as_ref),
                &self.request,
            ),
            Values::Addresses(addresses) => {
                from::is_address(addresses, known.facts.client(known.host))
            }
            Values::Networks(lists) => {
                let client = known.facts.client(known.host);
                from::is_in_networks(lists, client, known.host, effort)
            }
            Values::Countries(geo, countries) => {
                let place = geo.country(self.request.headers);
                from::is_located(place, |country| countries.contains(&country))
            }
            Values::Asns(geo, systems) => {
                let place = geo.asn(self.request.headers);
                from::is_located(place, |asn| AsnRange::has(systems, asn))
            }
            Values::Certificates(texts) => {
                let peer = self.peer.get_or_init(|| Peer::of(known.host));
                peer.has_a_name_of(texts, effort)
            }
            Values::Versions(names) => to::is_version(names, known.facts.told_version()),
            Values::Graphql(fields) => {
                to::asks_for(fields, rule.action, test, known.facts, Truth::Later, effort)
            }
            values => {
                let caller = self.callers().met_by(rule, test, effort);
                from::holds(values, caller, effort)
            }
        }
    }

    fn condition(&self, _: &AccessRule, when: &RuleCondition) -> Truth {
        match self.caller {
            CallerIdentity::KnownLater if when.condition.needs_identity() => Truth::Later,
            _ => holds(&when.condition, &self.view),
        }
    }

    fn time(&self, schedule: &RuleSchedule) -> bool {
        schedule.holds(self.known.now)
    }
}
