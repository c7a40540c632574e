//! Judging the head of a request: a walk along the chain of its route that comes to a value.
//!
//! What policies count and charge, they do themselves. What becomes of the request is decided here
//! and carried out in `settle`. INVARIANT: nothing here is recorded, counted as an outcome, or sent.

use std::time::Duration;

use super::address::address;
use super::beside::{Beside, ReadOnlyHost, ask_of_no_body};
use super::body::Awaiting;
use super::measure::StepTimes;
use super::overrides::strip_reserved_headers;
use super::rollout::{document_mode, mode, sample};
use super::settle::{Flow, Stop, settle};
use super::waiting::ResumePoint;
use crate::engine::{Chain, Engine, Lane, Selection};
use crate::record::{ROUTE, RolloutState, ShadowRefusal};
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::exchange::{BodyState, Edit, Exchange, Facts, Request};
use portcullis_exchange::host::Host;
use portcullis_exchange::policy::{Stage, Verdict};
use portcullis_exchange::refusal::Refusal;
use portcullis_exchange::refusal::core::{
    EFFORT, NOTHING_HERE, PATH_TWO_ROUTES, ROUTE_HEADER, WAIT, method_not_allowed,
};
use portcullis_exchange::route::Undecidable;
use portcullis_exchange::versions::refusals;
use portcullis_exchange::versions::refusals::of_fault;
use portcullis_exchange::wait::Wake;
use portcullis_wire::effort::Effort;
use portcullis_wire::headers::{HeaderValue, Headers};
use portcullis_wire::preflight::{Preflight, SameRoutes};

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
    /// Parts that would wait and do not, for nothing comes of what they say.
    pub(super) skipped: Vec<(Lane, usize)>,
    /// Where judging goes on, if the end is a wait.
    pub(super) place: Option<ResumePoint>,
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
    pub(super) sampled: &'j mut RolloutState,
    pub(super) noted: Vec<ShadowRefusal>,
    pub(super) awaiting: Vec<Awaiting>,
    pub(super) skipped: Vec<(Lane, usize)>,
}

impl Judge<'_> {
    /// Judges a head with these fields, from a place on: with the wake of the policy that waited
    /// there, if one did.
    pub(super) fn judge(
        mut self,
        headers: &Headers,
        mut place: ResumePoint,
        wake: Option<Wake<'_>>,
        mut facts: Facts,
    ) -> Judgement {
        let mut end = self.walk(headers, &mut place, wake, &mut facts).err();
        let mut edits = Vec::new();
        if document_mode(self.engine, self.sampled) == Mode::Shadow {
            // The core's own refusals: of policies' verdicts the chain has settled already.
            if let Some((Stop::Refuse(refusal), _)) = end.take() {
                self.noted.push(ShadowRefusal::new(refusal, None));
            }
            // What the filter sets for some requests is a client's own for none.
            if self.engine.mode == Mode::Enforce {
                for_service(self.engine, headers, None, &mut edits);
            }
        } else if end.is_none() {
            edits = std::mem::take(&mut place.edits);
            for_service(self.engine, headers, place.merged.take(), &mut edits);
        }
        Judgement {
            route: place.route,
            place: matches!(end, Some((Stop::Wait(_), _))).then_some(place),
            end,
            edits,
            facts,
            noted: self.noted,
            awaiting: self.awaiting,
            skipped: self.skipped,
        }
    }

    /// Chooses the route and asks its chain. The place is where it ends.
    ///
    /// # Errors
    /// What stops the request.
    fn walk(
        &mut self,
        headers: &Headers,
        place: &mut ResumePoint,
        wake: Option<Wake<'_>>,
        facts: &mut Facts,
    ) -> Result<(), (Stop, Option<By>)> {
        let core = |refusal| (Stop::Refuse(refusal), None);
        let engine = self.engine;
        let (authority, target) = address(engine, headers).map_err(core)?;
        let request = Request {
            headers,
            authority: &authority,
            target: &target,
            effort: &Effort::new(place.effort),
        };
        let asked = match place.route {
            Some(_) => place.asked.take(),
            None => {
                let whole = document_mode(engine, self.sampled);
                let chosen = choose(engine, &request, self.arrived, whole, facts);
                let (route, asked) = chosen.map_err(core)?;
                place.route = Some(route);
                asked
            }
        };
        let route = place.route.and_then(|route| engine.routes.get(route));
        let route = route.ok_or_else(|| core(Refusal::new(&NOTHING_HERE)))?;
        let trusts = route.chain.trusts_forwarded_proto;
        facts.connection.trust_forwarded_proto(trusts);
        let staged = route.rollout.as_ref();
        sample(self.sampled, ROUTE, staged, facts, headers, self.host);
        facts.claimants.clone_from(&route.chain.claimants);
        facts.set_operations(route.chain.operations.as_ref());
        let preflight = Preflight::of(headers, request.effort);
        let same_routes = |method: &str| {
            let taken = preflight.as_ref().map(|preflight| {
                engine.preflight_routes(&request, preflight, |route| route.matcher.allows(method))
            });
            taken == asked && !request.effort.is_spent()
        };
        // When no route takes the method, nobody can grant it.
        let is_asked = asked.as_ref().is_some_and(|routes| !routes.is_empty());
        let mut exchange = Exchange {
            arrived: self.arrived,
            request,
            body: self.body,
            route: &route.name,
            facts,
            preflight: is_asked.then_some(SameRoutes(&same_routes)),
            notes_claimed: engine.notes_claimed(),
            edits: std::mem::take(&mut place.edits),
            shadow: Vec::new(),
        };
        let stopped = self.ask(&route.chain, &mut exchange, place, wake);
        place.edits = exchange.edits;
        place.effort = request.effort.left();
        place.asked = asked;
        match stopped {
            Some((stop, by)) => Err((stop, Some(by))),
            None => Ok(()),
        }
    }

    /// Asks the steps of a chain from a place on, one after the other; what stops the request, if one
    /// does.
    fn ask(
        &mut self,
        chain: &Chain,
        exchange: &mut Exchange<'_>,
        place: &mut ResumePoint,
        mut wake: Option<Wake<'_>>,
    ) -> Option<(Stop, By)> {
        let host = self.host;
        let effort = Effort::new(place.effort_of_tried);
        let steps = chain.steps.iter().enumerate().skip(place.step);
        for (index, step) in steps {
            self.try_before(chain, Some(step.stage), exchange, &effort);
            let (staged, headers) = (step.rollout.as_ref(), exchange.request.headers);
            sample(
                self.sampled,
                step.name,
                staged,
                exchange.facts,
                headers,
                host,
            );
            let mode = mode(self.engine, self.sampled, step);
            let edits_before = exchange.edits.len();
            let before = self.times.before(host);
            let looks = ReadOnlyHost(host);
            let shown: &dyn Host = match step.only_looks(mode) {
                true => &looks,
                false => host,
            };
            let mut verdict = match wake.take() {
                Some(wake) => step.policy.resume(wake, exchange, shown),
                None => step.policy.check_request(exchange, shown),
            };
            self.times.after(step.name, before, host);
            for refusal in exchange.shadow.drain(..) {
                self.note(step.placed(refusal), step.name, Lane::InForce);
            }
            if let (Verdict::AwaitBody(need), BodyState::Complete) = (&verdict, self.body) {
                let (headers, facts) = (exchange.request.headers, &mut *exchange.facts);
                verdict = ask_of_no_body(step, *need, headers, facts, shown);
            }
            if mode == Mode::Shadow {
                exchange.edits.truncate(edits_before);
            }
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
                    let whole = document_mode(self.engine, self.sampled);
                    if whole == Mode::Shadow && passes(&self.noted) {
                        for other in &chain.steps {
                            let (facts, by) = (&mut *exchange.facts, Some(step.name));
                            other.policy.refused(&refusal, by, facts, host);
                        }
                    }
                    self.note(refusal, step.name, Lane::InForce);
                }
                Flow::Rewrite(_) => {
                    let refusal = Refusal::new(&WAIT);
                    let by = By {
                        step: index,
                        name: step.name,
                    };
                    return Some((Stop::Refuse(refusal), by));
                }
                Flow::Skip => {
                    exchange.facts.asked.withdraw();
                    step.policy.not_waited(exchange.facts);
                    self.skipped.push((Lane::InForce, index));
                }
                Flow::Stop(stop) => {
                    if matches!(stop, Stop::Respond(_)) {
                        self.fill_response(chain, exchange);
                    }
                    place.step = index;
                    place.effort_of_tried = effort.left();
                    let name = step.name;
                    return Some((stop, By { step: index, name }));
                }
            }
        }
        self.try_before(chain, None, exchange, &effort);
        None
    }

    /// Has those who shape responses take what they need of a request that ends with one of ours.
    fn fill_response(&mut self, chain: &Chain, exchange: &mut Exchange<'_>) {
        let shaping = chain.steps.iter();
        for step in shaping.filter(|step| step.stage == Stage::Response) {
            let (staged, headers) = (step.rollout.as_ref(), exchange.request.headers);
            let facts = &*exchange.facts;
            sample(self.sampled, step.name, staged, facts, headers, self.host);
            if mode(self.engine, self.sampled, step) == Mode::Enforce {
                // What is answered is settled.
                let _ = step.policy.check_request(exchange, self.host);
            }
        }
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

/// What policies set comes after what is taken away, and what they make of the path after what the core
/// does.
fn for_service(
    engine: &Engine,
    headers: &Headers,
    merged: Option<HeaderValue>,
    edits: &mut Vec<Edit>,
) {
    let taken = strip_reserved_headers(engine, headers).into_iter();
    edits.splice(..0, merged.map(Edit::SetPath).into_iter().chain(taken));
}

/// The place of the route of a request, and if it is a preflight, every route that the request in
/// question may take. The refusal, if there is none or it cannot be told.
fn choose(
    engine: &Engine,
    request: &Request<'_>,
    now: Duration,
    whole: Mode,
    facts: &mut Facts,
) -> Result<(usize, Option<Vec<usize>>), Refusal> {
    let selection = engine.select(request);
    let agrees = engine.is_unambiguous(request, &selection);
    if request.effort.is_spent() {
        return Err(Refusal::new(&EFFORT));
    }
    if !agrees {
        return Err(Refusal::new(&PATH_TWO_ROUTES));
    }
    match selection {
        Selection::Route(place) => Ok((place, None)),
        Selection::Preflight(asked) => Ok((asked.answers, Some(asked.routes))),
        Selection::NoRoute => Err(without_route(engine, request, now, whole, facts)),
        Selection::MethodNotAllowed(allowed) => Err(method_not_allowed(&allowed)),
        Selection::Undecidable(Undecidable::Effort) => Err(Refusal::new(&EFFORT)),
        Selection::Undecidable(Undecidable::Version(fault)) => Err(match &engine.versions {
            Some(versions) if versions.of(request) == Err(fault) => versions.undecided(fault, now),
            // It is an API that says how versions are named.
            _ => Refusal::new(of_fault(fault)),
        }),
        Selection::Undecidable(_) => Err(Refusal::new(&ROUTE_HEADER)),
    }
}

/// The refusal of a request that no route is for: since there is no such version, or nothing at all. What is no
/// more is counted and noted there as everywhere: somebody still asks for it.
fn without_route(
    engine: &Engine,
    request: &Request<'_>,
    now: Duration,
    whole: Mode,
    facts: &mut Facts,
) -> Refusal {
    let versions = engine.versions.as_ref();
    let versions = versions.filter(|versions| versions.mode == Mode::Enforce);
    let Some(versions) = versions else {
        return Refusal::new(&NOTHING_HERE);
    };
    let (version, refusal) = versions.judge(request, now);
    let Some(refusal) = refusal else {
        return Refusal::new(&NOTHING_HERE);
    };
    // Who names none may have meant another address.
    if refusal.reason == &refusals::ABSENT && !engine.misses_version(request) {
        return Refusal::new(&NOTHING_HERE);
    }
    let version = version.unwrap_or_default();
    let of = version.as_ref().and_then(|version| version.of.clone());
    if let Some(version) = &of {
        version.counts.judged(true, whole == Mode::Shadow);
    }
    facts.note_version(version);
    let fields = of.map_or(Vec::new(), |version| version.lifecycle.fields.clone());
    fields.into_iter().fold(refusal, |refusal, (name, value)| {
        refusal.with_header(name, value)
    })
}

#[cfg(test)]
mod tests;
