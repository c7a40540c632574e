//! Rules on the plan of a route: the same rules, found by the same index, for the requests that they allow. All
//! others leave the plan: what refuses has more to say than a plan has ready.

use std::cell::OnceCell;
use std::rc::Rc;

use portcullis_exchange::condition::View;
use portcullis_exchange::host::Host;
use portcullis_exchange::plan::{self, AllowedBy, Draft, PlannedHead, Slot, Step};
use portcullis_exchange::policy::RoutePath;
use portcullis_wire::effort::{Effort, HEAD};

use super::counts::Effect;
use super::decision::{Fallback, RequestFacts, Truth, matches};
use super::index::{RuleList, Sought};
use super::judge::{Judge, Task};
use super::peer::Peer;
use super::request::{CallerIdentity, holds};
use super::rule::{AccessRule, AsnRange, FieldTest, RuleAction, RuleCondition, Values};
use super::schedule::RuleSchedule;
use super::{from, to};

/// The rules of one part of a chain.
pub(super) struct PlannedRules {
    pub(super) rules: Rc<RuleList>,
    pub(super) fallback: Fallback,
    pub(super) task: Task,
    /// As what requests count that they allow.
    pub(super) effect: Effect,
    /// The path of the route.
    pub(super) path: RoutePath,
    /// The fields that say where a client is, where rules ask for that.
    pub(super) country: Option<Slot>,
    pub(super) asn: Option<Slot>,
}

/// What asking on a plan may cost. By asking, the same costs no more, and there is more left than that of what a
/// request may cost: the route has been found without effort, so that no request is allowed here for which it
/// would be too much there.
const EFFORT: u64 = HEAD / 8;

impl Judge {
    /// Puts its rules on a plan.
    pub(super) fn put_on(&self, draft: &mut Draft<'_>, effect: Effect) -> Option<()> {
        if self.names_caller_late.get() {
            return None;
        }
        let all = self.rules.all();
        // For whom such a rule is in force is told by asking.
        if all.iter().any(|rule| rule.is_rolled_out()) {
            return None;
        }
        if all.is_empty() && self.fallback == Fallback::Allow {
            return Some(());
        }
        let (mut country, mut asn) = (None, None);
        for test in all.iter().flat_map(|rule| rule.tests()) {
            match &test.values {
                Values::Countries(geo, _) => {
                    let field = geo.country_field();
                    country = field.map(|field| draft.slot(field.as_str()));
                }
                Values::Asns(geo, _) => {
                    let field = geo.asn_field();
                    asn = field.map(|field| draft.slot(field.as_str()));
                }
                _ => {}
            }
        }
        draft.steps.push(Step::Rules(Rc::new(PlannedRules {
            rules: Rc::clone(&self.rules),
            fallback: self.fallback,
            task: self.task,
            effect,
            path: self.path.clone(),
            country,
            asn,
        })));
        Some(())
    }
}

impl plan::Rules for PlannedRules {
    fn allow(&self, request: &PlannedHead<'_>, host: &dyn Host) -> Option<AllowedBy> {
        let effort = Effort::new(EFFORT);
        let asked = PlannedFacts {
            rules: self,
            request,
            caller: request
                .principal
                .map_or(CallerIdentity::Nobody, CallerIdentity::Known),
            effort: &effort,
            host,
            peer: OnceCell::new(),
        };
        let sought = Sought {
            method: request.method,
            effort: &effort,
        };
        let mut first: Option<usize> = None;
        self.rules.visit(
            sought,
            std::iter::once(request.path),
            || Some(asked.caller),
            |place| {
                let rule = self.rules.all().get(place)?;
                match (rule.action, self.task, rule.may_be_in_force()) {
                    // What denies, or may, leaves the plan; so does what would, were it in force.
                    (RuleAction::Deny, Task::Enforce, true)
                    | (RuleAction::Deny, Task::Try, false) => {
                        (matches(rule, &asked) == Truth::No).then_some(())
                    }
                    (RuleAction::Allow, Task::Enforce, true)
                        if self.fallback == Fallback::Deny
                            && first.is_none_or(|first| place < first) =>
                    {
                        match matches(rule, &asked) {
                            Truth::Yes => first = Some(place),
                            Truth::No => {}
                            // It may be the one that is counted.
                            Truth::Unknown(_) | Truth::Later => return None,
                        }
                        Some(())
                    }
                    _ => Some(()),
                }
            },
        )?;
        match (first, self.task, self.fallback) {
            (Some(first), ..) => Some(AllowedBy::Rule(first)),
            (None, Task::Enforce, Fallback::Deny) => None,
            // What is in force has allowed it, on the same plan.
            (None, Task::Try, _) | (None, _, Fallback::Allow) => Some(AllowedBy::Default),
        }
    }

    fn count(&self, allowed: AllowedBy) {
        if let AllowedBy::Rule(place) = allowed
            && let Some(rule) = self.rules.all().get(place)
        {
            rule.counts.allowed(self.effect);
        }
    }
}

/// The head of a request on a plan, as rules ask about it. What is not so plain is told later: not on the plan.
struct PlannedFacts<'a> {
    rules: &'a PlannedRules,
    request: &'a PlannedHead<'a>,
    caller: CallerIdentity<'a>,
    effort: &'a Effort,
    host: &'a dyn Host,
    peer: OnceCell<Peer>,
}

impl PlannedFacts<'_> {
    fn sent(&self, slot: Option<Slot>) -> Option<&[u8]> {
        slot.and_then(|slot| self.request.fields.one(slot))
    }
}

impl RequestFacts for PlannedFacts<'_> {
    fn field(&self, _: &AccessRule, test: &FieldTest) -> Truth {
        let (request, effort) = (self.request, self.effort);
        match &test.values {
            Values::Hosts(hosts) => to::is_host(hosts, request.host_name, effort),
            Values::Methods(methods) => to::is_method(methods, request.method, effort),
            Values::Paths(paths) => to::is_plain_path(paths, request.path, effort),
            Values::Operations(_) | Values::Graphql(_) => Truth::Later,
            Values::Addresses(addresses) => {
                from::is_address(addresses, request.connection.client(self.host))
            }
            Values::Networks(lists) => {
                let client = request.connection.client(self.host);
                from::is_in_networks(lists, client, self.host, effort)
            }
            Values::Countries(geo, countries) => {
                let place = geo.country_in(Ok(self.sent(self.rules.country)));
                from::is_located(place, |country| countries.contains(&country))
            }
            Values::Asns(geo, systems) => {
                let place = geo.asn_in(Ok(self.sent(self.rules.asn)));
                from::is_located(place, |asn| AsnRange::has(systems, asn))
            }
            Values::Certificates(texts) => {
                let peer = self.peer.get_or_init(|| Peer::of(self.host));
                peer.has_a_name_of(texts, effort)
            }
            // On a plan there is one credential at most.
            values => from::holds(values, self.caller, effort),
        }
    }

    fn condition(&self, _: &AccessRule, when: &RuleCondition) -> Truth {
        let view = View::of_path(self.request.path, self.rules.path.variables(), self.effort);
        holds(&when.condition, &view.of(self.caller.claims()))
    }

    fn time(&self, schedule: &RuleSchedule) -> bool {
        schedule.holds(self.request.arrived)
    }
}
