//! Judging the head of a request: a walk along the chain of its route that comes to a value.
//!
//! What policies count and charge, they do themselves. What becomes of the request is decided here
//! and carried out in `settle`: nothing here is recorded, counted as an outcome, or sent.

use std::time::Duration;

use super::address::address;
use super::beside::{Beside, ask_of_no_body};
use super::body::Awaiting;
use super::foreign::foreign_fields;
use super::measure::StepTimes;
use super::record::ShadowRefusal;
use super::settle::{Flow, Stop, settle};
use crate::effort::{self, Effort};
use crate::engine::{Engine, Lane, Mode, Route, Selection};
use crate::exchange::{BodyState, Edit, Exchange, Facts, Request};
use crate::headers::{HeaderValue, Headers};
use crate::host::Host;
use crate::policy::Verdict;
use crate::preflight::{Preflight, SameRoutes};
use crate::refusal::Refusal;
use crate::refusal::core::{
    EFFORT, NOTHING_HERE, PATH_TWO_ROUTES, ROUTE_HEADER, method_not_allowed,
};
use crate::route::Undecidable;

/// What judging the head of a request came to.
#[derive(Debug)]
pub(super) struct Judgement {
    /// What stops the request, and whose verdict it is; none if it goes on.
    pub(super) end: Option<(Stop, Option<By>)>,
    /// The place of its route.
    pub(super) route: Option<usize>,
    /// What is changed before the service sees it, in order.
    pub(super) edits: Vec<Edit>,
    /// What policies found out.
    pub(super) facts: Facts,
    /// Refusals that are not carried out, in order.
    pub(super) noted: Vec<ShadowRefusal>,
    /// Policies that wait for the body.
    pub(super) awaiting: Vec<Awaiting>,
}

/// The part of the chain whose verdict it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct By {
    pub(super) step: usize,
    pub(super) name: &'static str,
}

/// Judges one head.
pub(super) struct Judge<'j> {
    pub(super) engine: &'j Engine,
    pub(super) host: &'j dyn Host,
    /// When the head came.
    pub(super) arrived: Duration,
    pub(super) body: BodyState,
    pub(super) beside: &'j mut Beside,
    pub(super) times: &'j mut StepTimes,
    pub(super) noted: Vec<ShadowRefusal>,
    pub(super) awaiting: Vec<Awaiting>,
}

/// The route that a request takes.
struct Choice<'e> {
    place: usize,
    route: &'e Route,
    /// If it is a preflight: every route that the request in question may take.
    asked: Option<Vec<usize>>,
}

impl Judge<'_> {
    /// Judges a head with these fields. `merged` is the path that the service gets, if it is another than the
    /// client's.
    pub(super) fn judge(
        mut self,
        headers: &Headers,
        merged: Option<HeaderValue>,
        mut facts: Facts,
    ) -> Judgement {
        let mut route = None;
        let walked = self.walk(headers, &mut facts, &mut route);
        let (end, edits) = match walked {
            Ok(edits) => (None, edits),
            // The core's own refusals: of policies' verdicts the chain has settled already.
            Err((Stop::Refuse(refusal), None)) if self.engine.mode == Mode::Shadow => {
                self.noted.push(ShadowRefusal::new(refusal, None));
                (None, Vec::new())
            }
            Err(end) => (Some(end), Vec::new()),
        };
        let edits = match (&end, self.engine.mode) {
            (None, Mode::Enforce) => self.for_service(headers, merged, edits),
            _ => Vec::new(),
        };
        Judgement {
            end,
            route,
            edits,
            facts,
            noted: self.noted,
            awaiting: self.awaiting,
        }
    }

    /// What policies set comes after what is taken away, and what they make of the path after the core's.
    fn for_service(
        &self,
        headers: &Headers,
        merged: Option<HeaderValue>,
        edits: Vec<Edit>,
    ) -> Vec<Edit> {
        let mut all = foreign_fields(self.engine, headers);
        if all.is_empty() {
            all = edits;
        } else {
            all.extend(edits);
        }
        all.splice(..0, merged.map(Edit::SetPath));
        all
    }

    /// Chooses the route and asks its chain: what policies want changed, or what stops the request.
    fn walk(
        &mut self,
        headers: &Headers,
        facts: &mut Facts,
        place: &mut Option<usize>,
    ) -> Result<Vec<Edit>, (Stop, Option<By>)> {
        let core = |refusal| (Stop::Refuse(refusal), None);
        let engine = self.engine;
        let (authority, target) = address(engine, headers).map_err(core)?;
        let request = Request {
            headers,
            authority: &authority,
            target: &target,
            effort: &Effort::new(effort::HEAD),
        };
        let choice = choose(engine, &request).map_err(core)?;
        *place = Some(choice.place);
        let route = choice.route;
        let trusts = route.chain.trusts_forwarded_proto;
        facts.connection.trust_forwarded_proto(trusts);
        facts.claimants.clone_from(&route.chain.claimants);
        let preflight = Preflight::of(headers, request.effort);
        let same_routes = |method: &str| {
            let taken = preflight.as_ref().map(|preflight| {
                engine.foreseen(&request, preflight, |route| route.matcher.allows(method))
            });
            taken == choice.asked && !request.effort.is_spent()
        };
        // When no route takes the method, nobody can grant it.
        let is_asked = choice
            .asked
            .as_ref()
            .is_some_and(|routes| !routes.is_empty());
        let mut exchange = Exchange {
            arrived: self.arrived,
            request,
            body: self.body,
            route: &route.name,
            facts,
            preflight: is_asked.then_some(SameRoutes(&same_routes)),
            notes_claimed: engine.notes_claimed(),
            edits: Vec::new(),
            shadow: Vec::new(),
        };
        match self.ask(route, &mut exchange) {
            Some((stop, by)) => Err((stop, Some(by))),
            None => Ok(exchange.edits),
        }
    }

    /// Asks the steps of a route's chain, one after the other; what stops the request, if one does.
    fn ask(&mut self, route: &Route, exchange: &mut Exchange<'_>) -> Option<(Stop, By)> {
        let chain = &route.chain;
        let effort = Effort::new(effort::HEAD);
        for (index, step) in chain.steps.iter().enumerate() {
            self.try_before(chain, Some(step.stage), exchange, &effort);
            let mode = self.engine.mode.over(step.mode);
            let edits_before = exchange.edits.len();
            let before = self.times.before(self.host);
            let mut verdict = step.policy.request_headers(exchange, self.host);
            self.times.after(step.name, before, self.host);
            for refusal in exchange.shadow.drain(..) {
                self.note(step.placed(refusal), step.name, Lane::InForce);
            }
            if let (Verdict::AwaitBody(need), BodyState::Complete) = (&verdict, self.body) {
                let (headers, facts) = (exchange.request.headers, &mut *exchange.facts);
                verdict = ask_of_no_body(step, *need, headers, facts, self.host);
            }
            if mode == Mode::Shadow {
                exchange.edits.truncate(edits_before);
            }
            let by = By {
                step: index,
                name: step.name,
            };
            match settle(step.placed_in(verdict), mode) {
                Flow::GoOn => {}
                Flow::Await(_) if self.body == BodyState::Complete => {}
                Flow::Await(need) => self.awaiting.push(Awaiting {
                    lane: Lane::InForce,
                    step: index,
                    mode,
                    need,
                }),
                Flow::Note(refusal) => {
                    if self.engine.mode == Mode::Shadow && passes(&self.noted) {
                        for other in &chain.steps {
                            let (facts, by) = (&mut *exchange.facts, Some(step.name));
                            other.policy.refused(&refusal, by, facts, self.host);
                        }
                    }
                    self.note(refusal, step.name, Lane::InForce);
                }
                Flow::Stop(stop) => return Some((stop, by)),
            }
        }
        self.try_before(chain, None, exchange, &effort);
        None
    }

    /// Notes a refusal that is not carried out, and whose it is.
    pub(super) fn note(&mut self, refusal: Refusal, policy: &'static str, lane: Lane) {
        let by = Some((policy, lane));
        self.noted.push(ShadowRefusal::new(refusal, by));
    }
}

/// Whether nothing would have refused a request, were it not in shadow mode. What is only tried
/// does not count.
pub(super) fn passes(noted: &[ShadowRefusal]) -> bool {
    noted.iter().all(|each| each.is_tried)
}

/// The route of a request; the refusal, if there is none or it cannot be told.
fn choose<'e>(engine: &'e Engine, request: &Request<'_>) -> Result<Choice<'e>, Refusal> {
    let selection = engine.select(request);
    let agrees = engine.agrees(request, &selection);
    if request.effort.is_spent() {
        return Err(Refusal::new(&EFFORT));
    }
    if !agrees {
        return Err(Refusal::new(&PATH_TWO_ROUTES));
    }
    let none = || Refusal::new(&NOTHING_HERE);
    let (place, asked) = match selection {
        Selection::Route(place) => (place, None),
        Selection::Preflight(asked) => (asked.answers, Some(asked.routes)),
        Selection::NoRoute => return Err(none()),
        Selection::MethodNotAllowed(allowed) => return Err(method_not_allowed(&allowed)),
        Selection::Undecidable(Undecidable::Effort) => {
            return Err(Refusal::new(&EFFORT));
        }
        Selection::Undecidable(Undecidable::Repeated) => {
            return Err(Refusal::new(&ROUTE_HEADER));
        }
    };
    let route = engine.routes.get(place).ok_or_else(none)?;
    Ok(Choice {
        place,
        route,
        asked,
    })
}
