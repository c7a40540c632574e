//! One exchange on its way through the policies of its route.

mod address;
mod beside;
mod body;
mod judge;
mod kept;
mod measure;
mod overrides;
mod planned;
mod planned_answer;
mod planned_head;
mod response;
mod rollout;
mod settle;
mod summary;
mod waiting;

use std::rc::Rc;
use std::time::Duration;

use self::address::merge;
use self::beside::Beside;
use self::body::{Awaiting, StreamedBody};
use self::judge::{Judge, Judgement};
use self::measure::StepTimes;
use self::planned::Planned;
use self::response::JudgedResponse;
use self::waiting::{Paused, ResumePoint, Waits};
use crate::engine::{Chain, Engine, Lane};
use portcullis_exchange::connection::Connection;
use portcullis_exchange::exchange::{BodyState, Edit, Facts};
use portcullis_exchange::host::{Failure, Host};
use portcullis_exchange::refusal::core::NOT_CONFIGURED;
use portcullis_exchange::refusal::{Refusal, Reply};
use portcullis_exchange::rewrite::Rewrite;
use portcullis_exchange::wait::{Wait, Wake};
use portcullis_wire::budget::{Reservation, Share};
use portcullis_wire::headers::Headers;

pub use self::kept::{FIXED, MOST_HEAD};
pub use self::overrides::override_fields;
pub use self::planned::PlannedStream;
pub use self::planned_answer::PlannedAnswer;
pub use self::response::ResponseHead;
pub use self::waiting::waiting;
pub use crate::metrics::count_unavailable;
pub use crate::record::{Decision, PolicyVerdict, ShadowRefusal};
pub use crate::refused::PlannedReply;
pub use portcullis_exchange::refusal::core::{
    CODES, NO_MEMORY_REPLY, NOT_CONFIGURED_REPLY, PreparedReply,
};

/// One exchange. It keeps the engine it began with, so a new document never changes it midway.
pub struct Stream {
    engine: Option<Rc<Engine>>,
    /// All of the request's fields until its head has been judged; then the fields that are kept.
    headers: Headers,
    started: Option<Duration>,
    /// The same on the clock that does not step; none if nobody wants to know how long it took.
    began: Option<Duration>,
    judging: Option<Duration>,
    body_judging: Duration,
    times: StepTimes,
    route: Option<usize>,
    facts: Facts,
    awaiting: Vec<Awaiting>,
    /// Parts that would have waited in the chain, were they not in shadow mode.
    skipped: Vec<(Lane, usize)>,
    /// Set while the request waits in the midst of its chain.
    paused: Option<Box<Paused>>,
    /// What there was of that. In a box, since few wait.
    waits: Option<Box<Waits>>,
    /// Whether a response that is not ours has begun: then no wait matters any more.
    responded: bool,
    /// Whether policies have been told that it has ended.
    ended: bool,
    beside: Beside,
    body: StreamedBody,
    response: JudgedResponse,
    decision: Decision,
    /// Set while it is on the plan of its route; then there are no headers and facts here.
    planned: Option<Planned>,
    /// What is reserved for it.
    memory: Reservation,
}

/// What the proxy is to do with the message in hand.
#[derive(Debug)]
pub enum Action {
    /// Apply the edits and pass it on.
    Continue(Vec<Edit>),
    /// Apply the edits and keep what is in hand until what it waits for has come.
    Pause {
        /// The edits.
        edits: Vec<Edit>,
        /// What it waits for.
        reason: PauseReason,
    },
    /// Answer in place of the service.
    Reply(Reply),
    /// Put another body in place of the response's, all of which is in hand, and pass it on.
    Replace(Box<Rewrite>),
}

/// Why a message is kept.
#[derive(Debug)]
pub enum PauseReason {
    /// Until more of it has come.
    Body,
    /// Until that is over; the host has to see to it.
    Wait(Wait),
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
            times: StepTimes::default(),
            route: None,
            facts: Facts::default(),
            awaiting: Vec::new(),
            skipped: Vec::new(),
            paused: None,
            waits: None,
            responded: false,
            ended: false,
            beside: Beside::default(),
            body: StreamedBody::default(),
            response: JudgedResponse::default(),
            decision: Decision::default(),
            planned: None,
            memory: Reservation::none(Share::Streams),
        }
    }

    /// Judges the head of the request. `body` is complete when no body will follow.
    pub fn on_request_headers(
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
        if let Some(engine) = &self.engine {
            let forwarded = engine.client_address.forwarded(&self.headers);
            self.facts.connection.forward_client(forwarded);
        }
        self.begin(host);
        let Some(engine) = self.engine.clone() else {
            return self.refuse(Refusal::new(&NOT_CONFIGURED), None, host);
        };
        self.start_explain(&engine, host);
        self.sample_document(&engine, host);
        let place = ResumePoint::head(merge(&engine, &mut self.headers), body);
        let judgement = self.judge_head(&engine, place, None, host);
        self.settle_head(&engine, judgement, host)
    }

    /// What judging the head comes to, from a place on.
    fn judge_head(
        &mut self,
        engine: &Engine,
        place: ResumePoint,
        wake: Option<Wake<'_>>,
        host: &dyn Host,
    ) -> Judgement {
        let facts = std::mem::take(&mut self.facts);
        let judge = Judge {
            engine,
            host,
            arrived: self.started.unwrap_or_default(),
            body: place.body,
            beside: &mut self.beside,
            times: &mut self.times,
            sampled: &mut self.decision.sampled,
            noted: Vec::new(),
            awaiting: Vec::new(),
            skipped: Vec::new(),
        };
        judge.judge(&self.headers, place, wake, facts)
    }

    fn chain<'e>(&self, engine: &'e Engine) -> &'e Chain {
        match self.route.and_then(|index| engine.routes.get(index)) {
            Some(route) => &route.chain,
            None => &engine.fallback,
        }
    }

    /// Refuses because the proxy did not do what it was asked.
    pub fn host_failed(&mut self, failure: Failure, host: &dyn Host) -> Action {
        self.leave_plan();
        self.refuse(failure.refusal(), None, host)
    }

    /// The engine the exchange began with.
    pub fn engine(&self) -> Option<&Engine> {
        self.engine.as_deref()
    }

    /// The request's header fields that are kept; none if the request never reached the filter.
    pub fn headers(&self) -> &Headers {
        self.general().map_or(&self.headers, |made| &made.headers)
    }

    /// What became of it.
    pub fn decision(&self) -> &Decision {
        &self.decision
    }

    /// Whether a policy still waits, for the body or in the chain. Policies that are only tried do not
    /// count.
    pub fn awaits_body(&self) -> bool {
        let mut awaiting = self.awaiting.iter();
        self.is_paused() || awaiting.any(|waiting| waiting.lane == Lane::InForce)
    }

    /// What policies learned.
    pub fn facts(&self) -> &Facts {
        self.general().map_or(&self.facts, |made| &made.facts)
    }

    /// The name of its route.
    pub fn route_name(&self) -> Option<&str> {
        let route = self.engine.as_ref()?.routes.get(self.route?)?;
        Some(&route.name)
    }
}

#[cfg(test)]
mod signed;
