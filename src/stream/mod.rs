//! One exchange on its way through the policies of its route.

mod address;
mod answer;
mod beside;
mod body;
mod foreign;
mod kept;
mod measure;
mod record;
pub(crate) mod refusals;

use std::rc::Rc;
use std::time::Duration;

use self::address::{address, merge};
use self::answer::Answer;
use self::beside::{Beside, ask_of_no_body};
use self::body::{Awaiting, Body};
use self::foreign::foreign_fields;
use self::measure::without_question;
use self::refusals::{EFFORT, HOST_CALL, NOT_CONFIGURED, PATH_TWO_ROUTES, ROUTE_HEADER};
use crate::budget::{Reservation, Share};
use crate::connection::Connection;
use crate::effort::{self, Effort};
use crate::engine::{Chain, Engine, Lane, Mode, Selection};
use crate::exchange::{BodyState, Edit, Exchange, Facts, Request};
use crate::headers::Headers;
use crate::host::{Failure, Host};
use crate::metrics::{self, Outcome};
use crate::policy::Verdict;
use crate::preflight::{Preflight, SameRoutes};
use crate::refusal::{Audience, Refusal, Reply};
use crate::route::Undecidable;

pub use self::answer::ResponseHead;
pub(crate) use self::foreign::Overrides;
pub use self::kept::MOST_HEAD;
pub(crate) use self::kept::{ShownFields, later_request_fields};
pub use self::record::{Record, Said, ShadowRefusal, Verdicts};
pub use self::refusals::{
    CODES, NO_MEMORY_REPLY, NOT_CONFIGURED_REPLY, PreparedReply, count_unavailable,
};
pub(crate) use self::refusals::{NO_MEMORY, NOTHING_HERE, method_not_allowed};

/// One exchange. It keeps the engine it began with, so a new document never changes it midway.
pub struct Stream {
    engine: Option<Rc<Engine>>,
    /// All of the request's fields until its head has been judged; then those that are kept.
    headers: Headers,
    started: Option<Duration>,
    /// The same on the clock that does not step; none if nobody wants to know how long it took.
    began: Option<Duration>,
    judging: Option<Duration>,
    body_judging: Duration,
    times: Option<Vec<(&'static str, Duration)>>,
    route: Option<usize>,
    facts: Facts,
    awaiting: Vec<Awaiting>,
    beside: Beside,
    body: Body,
    answer: Answer,
    record: Record,
    /// What is reserved for it.
    memory: Reservation,
}

/// Why a request does not go on to the service.
enum Stop {
    /// It may not.
    Refused(Refusal, Option<&'static str>),
    /// That policy has answered it.
    Answered(Reply, &'static str),
}

/// What the proxy is to do with the message in hand.
#[derive(Debug)]
pub enum Action {
    /// Apply the edits and pass it on.
    Continue(Vec<Edit>),
    /// Apply the edits and keep what is in hand until more of it has come.
    Hold(Vec<Edit>),
    /// Answer in place of the service.
    Reply(Reply),
}

impl Failure {
    /// The refusal of a request for that reason.
    fn refusal(self) -> Refusal {
        let reason = match self {
            Failure::HostCall => &HOST_CALL,
            Failure::Memory => &NO_MEMORY,
        };
        Refusal::new(reason)
    }
}

impl Stream {
    /// A new exchange. Without an engine everything is refused.
    pub fn new(engine: Option<Rc<Engine>>) -> Self {
        Self {
            engine,
            headers: Headers::default(),
            started: None,
            began: None,
            judging: None,
            body_judging: Duration::ZERO,
            times: None,
            route: None,
            facts: Facts::default(),
            awaiting: Vec::new(),
            beside: Beside::default(),
            body: Body::default(),
            answer: Answer::default(),
            record: Record::default(),
            memory: Reservation::none(Share::Streams),
        }
    }

    /// Judges the head of the request. `body` is complete when no body will follow.
    pub fn request_headers(
        &mut self,
        headers: Headers,
        body: BodyState,
        host: &dyn Host,
    ) -> Action {
        if !self.is_admitted()
            && let Some(refused) = self.admit(headers.memory(), host)
        {
            return refused;
        }
        self.headers = headers;
        self.facts.connection = Connection::of(&self.headers);
        self.begin(host);
        let Some(engine) = self.engine.clone() else {
            return self.refuse(Refusal::new(&NOT_CONFIGURED), None, host);
        };
        self.hear_question(&engine, host);
        let judged = self.judge_head(&engine, body, host);
        self.head_judged(&engine, host);
        let action = match judged {
            Ok(edits) => Action::Continue(without_question(&engine, edits)),
            Err(Stop::Answered(reply, policy)) => return self.answer(reply, policy, host),
            Err(Stop::Refused(refusal, policy)) => match engine.mode {
                Mode::Enforce => return self.refuse(refusal, policy, host),
                Mode::Shadow => {
                    self.shadow(refusal, in_force(policy), host);
                    Action::Continue(without_question(&engine, Vec::new()))
                }
            },
        };
        if let Err(refusal) = self.keep(&engine, host) {
            return self.refuse(refusal, None, host);
        }
        if !self.awaits_body() {
            self.allow(host);
        }
        match action {
            Action::Continue(edits) if self.holds_head(&engine) => Action::Hold(edits),
            action => {
                self.facts.limits.goes_ahead();
                action
            }
        }
    }

    fn chain<'e>(&self, engine: &'e Engine) -> &'e Chain {
        match self.route.and_then(|index| engine.routes.get(index)) {
            Some(route) => &route.chain,
            None => &engine.fallback,
        }
    }

    /// Refuses because the proxy did not do what it was asked.
    pub fn host_failed(&mut self, failure: Failure, host: &dyn Host) -> Action {
        self.refuse(failure.refusal(), None, host)
    }

    /// The engine the exchange began with.
    pub fn engine(&self) -> Option<&Engine> {
        self.engine.as_deref()
    }

    /// The request's header fields that are kept; none if the request never reached the filter.
    pub fn headers(&self) -> &Headers {
        &self.headers
    }

    /// What became of it.
    pub fn record(&self) -> &Record {
        &self.record
    }

    /// Whether a policy still waits for the body. Those that are only tried do not count.
    pub fn awaits_body(&self) -> bool {
        let mut awaiting = self.awaiting.iter();
        awaiting.any(|waiting| waiting.lane == Lane::InForce)
    }

    /// What policies learned.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }

    /// When its head arrived.
    pub fn started(&self) -> Option<Duration> {
        self.started
    }

    /// How long its head was judged; none if nobody wants to know.
    pub fn judging(&self) -> Option<Duration> {
        self.judging
    }

    /// The name of its route.
    pub fn route_name(&self) -> Option<&str> {
        let route = self.engine.as_ref()?.routes.get(self.route?)?;
        Some(&route.name)
    }

    /// Runs the chain; what it leaves for the service, or the first refusal.
    fn judge_head(
        &mut self,
        engine: &Engine,
        body: BodyState,
        host: &dyn Host,
    ) -> Result<Vec<Edit>, Stop> {
        // Borrowed apart from `self`, which the chain writes to.
        let mut headers = std::mem::take(&mut self.headers);
        let merged = merge(engine, &mut headers);
        let judged = self.judge(engine, &headers, body, host);
        self.headers = headers;
        let mut edits = judged?;
        if engine.mode == Mode::Enforce {
            // What policies make of the path comes after.
            edits.splice(..0, merged.map(Edit::SetPath));
        }
        Ok(edits)
    }

    fn judge(
        &mut self,
        engine: &Engine,
        headers: &Headers,
        body: BodyState,
        host: &dyn Host,
    ) -> Result<Vec<Edit>, Stop> {
        let (authority, target) = address(engine, headers)?;
        let request = Request {
            headers,
            authority: &authority,
            target: &target,
            effort: &Effort::new(effort::HEAD),
        };
        let selection = engine.select(&request);
        let agrees = engine.agrees(&request, &selection);
        if request.effort.is_spent() {
            return Err(Stop::Refused(Refusal::new(&EFFORT), None));
        }
        if !agrees {
            return Err(Stop::Refused(Refusal::new(&PATH_TWO_ROUTES), None));
        }
        let (index, asked) = match selection {
            Selection::Route(index) => (index, None),
            Selection::Preflight(asked) => (asked.answers, Some(asked.routes)),
            Selection::NoRoute => {
                return Err(Stop::Refused(Refusal::new(&NOTHING_HERE), None));
            }
            Selection::MethodNotAllowed(allowed) => {
                return Err(Stop::Refused(method_not_allowed(&allowed), None));
            }
            Selection::Undecidable(Undecidable::Effort) => {
                return Err(Stop::Refused(Refusal::new(&EFFORT), None));
            }
            Selection::Undecidable(Undecidable::Repeated) => {
                return Err(Stop::Refused(Refusal::new(&ROUTE_HEADER), None));
            }
        };
        self.route = Some(index);
        let Some(route) = engine.routes.get(index) else {
            return Ok(Vec::new());
        };
        let mut facts = std::mem::take(&mut self.facts);
        let trusts = route.chain.trusts_forwarded_proto;
        facts.connection.trust_forwarded_proto(trusts);
        facts.claimants.clone_from(&route.chain.claimants);
        let edits = Vec::new();
        let preflight = Preflight::of(headers, request.effort);
        let same_routes = |method: &str| {
            let taken = preflight.as_ref().map(|preflight| {
                engine.foreseen(&request, preflight, |route| route.matcher.allows(method))
            });
            taken == asked && !request.effort.is_spent()
        };
        // When no route takes the method, nobody can grant it.
        let is_asked = asked.as_ref().is_some_and(|routes| !routes.is_empty());
        let mut exchange = Exchange {
            arrived: self.started.unwrap_or_default(),
            request,
            body,
            route: &route.name,
            facts: &mut facts,
            preflight: is_asked.then_some(SameRoutes(&same_routes)),
            notes_claimed: engine.notes_claimed(),
            edits,
            shadow: Vec::new(),
        };
        let outcome = self.run(engine, &route.chain, &mut exchange, body, host);
        let edits = exchange.edits;
        self.facts = facts;
        outcome?;
        Ok(match engine.mode {
            Mode::Shadow => Vec::new(),
            Mode::Enforce => {
                // What policies set comes after what is taken away.
                let mut all = foreign_fields(engine, headers);
                all.extend(edits);
                all
            }
        })
    }

    fn run(
        &mut self,
        engine: &Engine,
        chain: &Chain,
        exchange: &mut Exchange<'_>,
        body: BodyState,
        host: &dyn Host,
    ) -> Result<(), Stop> {
        let effort = Effort::new(effort::HEAD);
        for (index, step) in chain.steps.iter().enumerate() {
            self.try_before(chain, Some(step.stage), exchange, &effort, host);
            let mode = engine.mode.over(step.mode);
            let edits_before = exchange.edits.len();
            let before = self.before_step(host);
            let mut verdict = step.policy.request_headers(exchange, host);
            self.after_step(step.name, before, host);
            for refusal in exchange.shadow.drain(..) {
                self.shadow(step.placed(refusal), in_force(Some(step.name)), host);
            }
            if let (Verdict::AwaitBody(need), BodyState::Complete) = (&verdict, body) {
                let (headers, facts) = (exchange.request.headers, &mut *exchange.facts);
                verdict = ask_of_no_body(step, *need, headers, facts, host);
            }
            match (verdict, mode) {
                (Verdict::Pass, Mode::Enforce) => {}
                (Verdict::Pass, Mode::Shadow) => exchange.edits.truncate(edits_before),
                (Verdict::AwaitBody(_), _) if body == BodyState::Complete => {}
                (Verdict::AwaitBody(need), _) => self.awaiting.push(Awaiting {
                    lane: Lane::InForce,
                    step: index,
                    mode,
                    need,
                }),
                (Verdict::Refuse(refusal), Mode::Enforce) => {
                    self.record.ended_at = Some(index);
                    return Err(Stop::Refused(step.placed(refusal), Some(step.name)));
                }
                (Verdict::Refuse(refusal), Mode::Shadow) => {
                    exchange.edits.truncate(edits_before);
                    if engine.mode == Mode::Shadow && self.record.passes() {
                        for other in &chain.steps {
                            let facts = &mut *exchange.facts;
                            other.policy.refused(&refusal, Some(step.name), facts, host);
                        }
                    }
                    self.shadow(step.placed(refusal), in_force(Some(step.name)), host);
                }
                (Verdict::Answer(reply), Mode::Enforce) => {
                    self.record.ended_at = Some(index);
                    return Err(Stop::Answered(reply, step.name));
                }
                (Verdict::Answer(_), Mode::Shadow) => exchange.edits.truncate(edits_before),
            }
        }
        self.try_before(chain, None, exchange, &effort, host);
        Ok(())
    }

    fn allow(&self, host: &dyn Host) {
        host.count(Outcome::Allowed.counter());
    }

    /// Notes a refusal that is not carried out, and whose it is.
    fn shadow(&mut self, refusal: Refusal, by: Option<(&'static str, Lane)>, host: &dyn Host) {
        let Refusal {
            reason,
            violations,
            headers: _,
            told: _,
            detail,
        } = refusal;
        if self.record.shadow.is_empty() {
            host.count(Outcome::ShadowDenied.counter());
        }
        if let Some(counter) = metrics::by_code(reason.code, Outcome::ShadowDenied) {
            host.count(counter);
        }
        self.record.shadow.push(ShadowRefusal {
            policy: by.map(|(policy, _)| policy),
            is_tried: by.is_some_and(|(_, lane)| lane == Lane::Beside),
            reason,
            violations,
            detail,
        });
    }

    fn answer(&mut self, reply: Reply, policy: &'static str, host: &dyn Host) -> Action {
        self.record.answered_by = Some(policy);
        host.count(Outcome::Answered.counter());
        self.let_go();
        Action::Reply(reply)
    }

    fn refuse(
        &mut self,
        mut refusal: Refusal,
        policy: Option<&'static str>,
        host: &dyn Host,
    ) -> Action {
        if let Some(engine) = self.engine.clone() {
            for step in &self.chain(&engine).steps {
                if engine.mode.over(step.mode) == Mode::Enforce {
                    step.policy.refused(&refusal, policy, &mut self.facts, host);
                }
            }
        }
        self.record.refusal = Some(refusal.reason);
        self.record.violations.clone_from(&refusal.violations);
        self.record.detail = refusal.detail.take();
        self.record.refused_by = policy;
        host.count(Outcome::Denied.counter());
        if let Some(counter) = metrics::by_code(refusal.code(), Outcome::Denied) {
            host.count(counter);
        }
        let reply = self.reply(refusal);
        self.let_go();
        Action::Reply(reply)
    }

    /// What the client is told of a refusal, in its protocol.
    fn reply(&self, refusal: Refusal) -> Reply {
        let request_id = self.headers.all("x-request-id").next();
        let engine = self.engine.as_deref();
        let page = engine.and_then(|engine| self.chain(engine).error_page.as_deref());
        refusal.reply(Audience::of(&self.headers, page), request_id)
    }
}

/// A refusal by a policy that is in force, or by the core.
fn in_force(policy: Option<&'static str>) -> Option<(&'static str, Lane)> {
    policy.map(|policy| (policy, Lane::InForce))
}
