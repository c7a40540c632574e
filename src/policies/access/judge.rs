//! The rules of a block, or those of all routes, as a part of a chain.

use std::cell::Cell;
use std::iter;
use std::rc::Rc;

use portcullis_exchange::body::{BodyNeed, Inspection, RequestBody};
use portcullis_exchange::condition::{BodyAhead, BodyMembers, BodyPlan};
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::exchange::{ApiOperations, BodyState, Exchange, Facts};
use portcullis_exchange::host::Host;
use portcullis_exchange::plan::Draft;
use portcullis_exchange::policy::{
    Declaration, Misfits, Placement, Policy, RouteCredentials, RoutePath, Verdict,
};
use portcullis_exchange::refusal::Refusal;
use portcullis_exchange::refusal::core::NO_MEMORY;
use portcullis_exchange::rollout::RolloutSubject;
use portcullis_exchange::route::RequestMatcher;
use portcullis_wire::effort::{self, Effort};

use super::closest::closest;
use super::counts::Effect;
use super::decision::{Decision, Fallback, RequestFacts, Truth, decide, matches};
use super::index::RuleList;
use super::kept::{Kept, Whole};
use super::operations::unknown_operations;
use super::refusals::Visibility;
use super::request::{Head, HeadContext};
use super::rule::{AccessRule, RuleAction};

/// Rules that are decided together.
pub(super) struct Judge {
    /// Tells it from the other parts of its chain.
    pub(super) part: u8,
    pub(super) rules: Rc<RuleList>,
    pub(super) fallback: Fallback,
    pub(super) shown: Visibility,
    pub(super) task: Task,
    /// The path of the route.
    pub(super) path: RoutePath,
    /// What is asked of bodies, if something is.
    pub(super) body: Option<BodyPlan>,
    pub(super) inspection: Inspection,
    /// Whether one of its routes may learn who calls only at the end of the body.
    pub(super) names_caller_late: Cell<bool>,
}

/// Which of the rules count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Task {
    /// Those in force.
    Enforce,
    /// All, where those in force let a request pass: what it tells is in shadow mode.
    Try,
}

/// How much explaining a refusal may cost.
const EXPLAINING: u64 = 10_000;

impl Policy for Judge {
    fn check_request(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        let own = Effort::new(effort::HEAD);
        let explaining = Effort::new(EXPLAINING);
        let is_open = exchange.body == BodyState::Open;
        let late = is_open && self.names_caller_late.get();
        let facts = &*exchange.facts;
        let ahead = self
            .body
            .as_ref()
            .map(|plan| plan.ahead(exchange.request.headers, exchange.body, self.inspection));
        let known = HeadContext {
            facts,
            host,
            now: exchange.arrived,
            names_caller_late: late,
            path: &self.path,
            body: match &ahead {
                Some(BodyAhead::Known(members)) => Some(members),
                Some(BodyAhead::Comes) | None => None,
            },
        };
        let head = Head::new(exchange.request, known);
        // What is tried takes nothing from what is in force.
        let head = match self.task {
            Task::Enforce => head,
            Task::Try => head.at_cost_of(&own),
        };
        let subject = RolloutSubject::new(facts, exchange.request.headers, host);
        let in_force = |rule: &AccessRule| rule.is_met_by(&subject);
        let candidates = self.rules.candidates(&head);
        let all = || candidates.iter().map(|rule| &***rule);
        let enforced = all().filter(|rule| in_force(rule));
        let decision = decide(enforced, self.fallback, &head);
        let decision = match (self.task, decision) {
            (Task::Enforce, decision) => decision,
            (Task::Try, Decision::Later) => Decision::Later,
            (Task::Try, Decision::Allowed(_)) => match decide(all(), self.fallback, &head) {
                // What is in force has counted it.
                Decision::Allowed(_) => return Verdict::Pass,
                decision => decision,
            },
            (Task::Try, _) => return Verdict::Pass,
        };
        if let Decision::Later = decision {
            let rules = candidates.iter().map(|rule| (*rule, in_force(rule)));
            let kept = Kept::of(self.part, rules, &head);
            return match kept {
                Some(kept) => {
                    keep(exchange.facts, kept);
                    let need = self.body.as_ref().map(BodyPlan::need);
                    Verdict::AwaitBody(need.unwrap_or(BodyNeed::Size))
                }
                None => Verdict::Refuse(Refusal::new(&NO_MEMORY)),
            };
        }
        let head = head.at_cost_of(&explaining);
        let tried = all().filter(|rule| !in_force(rule));
        // One that does not match may come close, first of all one that the index finds.
        let rules = all().chain(self.rules.all().iter().map(|rule| &**rule));
        let in_force = rules.filter(|rule| in_force(rule));
        self.settle(decision, in_force, tried, &head, host)
    }

    fn request_body(&self, body: &mut RequestBody<'_>, host: &dyn Host) -> Verdict {
        let members = match &self.body {
            Some(plan) => plan.read(body),
            None => Some(BodyMembers::none()),
        };
        let is_open = body.progress.state == BodyState::Open;
        // What cannot be read is refused at once, unless it is the end of the body that says who calls.
        let waits = is_open && (self.body.is_none() || self.names_caller_late.get());
        let Some(members) = members.filter(|_| !waits) else {
            return Verdict::AwaitBody(body.need);
        };
        let Some(kept) = take(body.facts, self.part) else {
            return Verdict::Refuse(Refusal::new(&NO_MEMORY));
        };
        let (effort, explaining) = (Effort::new(effort::HEAD), Effort::new(EXPLAINING));
        let whole = Whole::new(&kept, body.facts, &members, &effort);
        let decision = decide(kept.rules(false), self.fallback, &whole);
        let decision = match (self.task, decision) {
            (Task::Enforce, decision) => decision,
            (Task::Try, Decision::Allowed(_)) => {
                match decide(kept.rules(true), self.fallback, &whole) {
                    // What is in force has counted it.
                    Decision::Allowed(_) => return Verdict::Pass,
                    decision => decision,
                }
            }
            (Task::Try, _) => return Verdict::Pass,
        };
        let whole = Whole::new(&kept, body.facts, &members, &explaining);
        self.settle(decision, kept.rules(false), iter::empty(), &whole, host)
    }

    fn plan(&self, draft: &mut Draft<'_>) -> Option<()> {
        self.put_on(draft, Effect::Enforced)
    }

    fn plan_in_shadow(&self, draft: &mut Draft<'_>) -> Option<()> {
        self.put_on(draft, Effect::Shadow)
    }

    fn placed(&self, route: Placement<'_>) {
        if route.names_caller_late {
            self.names_caller_late.set(true);
        }
        for rule in self.rules.all() {
            rule.usage.is_placed.set(true);
            if route.guard.is_some() {
                rule.usage.is_guarded.set(true);
            }
            if let Some(scheme) = route.versions {
                rule.usage.schemes.meet(scheme);
            }
        }
    }

    fn meets(&self, matcher: &RequestMatcher) {
        for rule in self.rules.all() {
            if rule.may_meet(matcher) {
                rule.usage.meets_requests.set(true);
            }
        }
    }

    fn misfits_of_api(&self, api: Option<&dyn ApiOperations>) -> Vec<String> {
        // What is tried is enforced, or judged, by another part.
        if self.task == Task::Try {
            return Vec::new();
        }
        unknown_operations(self.rules.all(), api)
    }

    fn misfits(&self, credentials: &RouteCredentials<'_>) -> Misfits {
        for rule in self.rules.all() {
            rule.meet(credentials);
        }
        // Rules that several routes have are looked at when all routes are known.
        Misfits::default()
    }

    fn declares(&self) -> Declaration {
        let all = self.rules.all();
        let mut declared = Declaration {
            mode: match self.task {
                Task::Enforce => Mode::Enforce,
                Task::Try => Mode::Shadow,
            },
            later_request_fields: match &self.body {
                Some(_) => BodyPlan::LATER_FIELDS,
                None => &[],
            },
            only_looks_in_shadow: true,
            conceals: self.shown.conceals(),
            asks_for_certificate: all.iter().any(|rule| rule.asks_for_certificate()),
            draws: all.iter().any(|rule| rule.draws()),
            asks_graphql: all.iter().any(|rule| rule.asks_graphql()),
            asks_operations: all.iter().any(|rule| rule.operations().next().is_some()),
            ..Declaration::default()
        };
        for when in self.rules.all().iter().flat_map(|rule| &rule.when) {
            declared.goes_by(&when.condition);
        }
        declared
    }
}

impl Judge {
    /// Counts what the rules say, and says it.
    fn settle<'r>(
        &self,
        decision: Decision<'_>,
        in_force: impl Iterator<Item = &'r AccessRule>,
        mut tried: impl Iterator<Item = &'r AccessRule>,
        asked: &dyn RequestFacts,
        host: &dyn Host,
    ) -> Verdict {
        // A part that is in shadow mode may write nothing.
        let effect = match host.is_read_only() {
            true => Effect::Shadow,
            false => Effect::Enforced,
        };
        Verdict::Refuse(match decision {
            Decision::Allowed(rule) => {
                if let Some(rule) = rule {
                    rule.counts.allowed(effect);
                }
                return Verdict::Pass;
            }
            Decision::Denied(rule) => {
                rule.counts.denied(effect);
                self.shown.denied(rule)
            }
            Decision::Undecidable(rule, fault) => self.shown.undecidable(rule, fault),
            Decision::NoRule => {
                let closest = closest(in_force, asked);
                let is_allowance = |rule: &&AccessRule| rule.action == RuleAction::Allow;
                let tried = tried
                    .find(|rule| is_allowance(rule) && matches(rule, asked) == Truth::Yes)
                    .inspect(|rule| rule.counts.allowed(Effect::Shadow));
                self.shown.without_rule(closest.as_ref(), tried)
            }
            // Only of a head.
            Decision::Later => Refusal::new(&NO_MEMORY),
        })
    }
}

/// Keeps what a head says until its body has come.
fn keep(facts: &mut Facts, kept: Kept) {
    let others = facts
        .seldom_mut()
        .access
        .take()
        .and_then(|all| all.downcast().ok());
    let mut all: Box<Vec<Kept>> = others.unwrap_or_default();
    all.push(kept);
    facts.seldom_mut().access = Some(all);
}

/// What a part has kept.
fn take(facts: &mut Facts, part: u8) -> Option<Kept> {
    let all: &mut Vec<Kept> = facts.seldom_mut().access.as_mut()?.downcast_mut()?;
    let place = all.iter().position(|kept| kept.part == part)?;
    Some(all.swap_remove(place))
}
