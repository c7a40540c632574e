//! What is measured of an exchange, and told of it to who may ask.

use std::time::Duration;

use super::Stream;
use crate::engine::Engine;
use crate::explain::JudgedRequest;
use crate::metrics::{Timing, micros};
use portcullis_exchange::exchange::Edit;
use portcullis_exchange::host::{Host, Side};
use portcullis_exchange::lifecycle::RequestVersion;
use portcullis_exchange::refusal::usable_id;
use portcullis_wire::headers::HeaderValue;

/// How long each policy took with the head; kept only for who asked to know.
#[derive(Debug, Default)]
pub(super) struct StepTimes(Option<Vec<(&'static str, Duration)>>);

impl StepTimes {
    /// The time before a policy is asked; none if nobody wants to know.
    pub(super) fn before(&self, host: &dyn Host) -> Option<Duration> {
        self.0.is_some().then(|| host.monotonic())
    }

    /// Notes how long a policy took.
    pub(super) fn after(
        &mut self,
        policy: &'static str,
        before: Option<Duration>,
        host: &dyn Host,
    ) {
        if let (Some(times), Some(before)) = (&mut self.0, before) {
            times.push((policy, host.monotonic().saturating_sub(before)));
        }
    }
}

/// When an exchange came, and what is known from then on of how long it took.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Times {
    pub(super) started: Duration,
    /// The same on the clock that does not step; none if nobody wants to know how long it took.
    pub(super) began: Option<Duration>,
    pub(super) judging: Option<Duration>,
}

impl Times {
    /// Of one whose head has just come.
    #[inline(always)]
    pub(super) fn begin(engine: Option<&Engine>, host: &dyn Host) -> Self {
        #[allow(
            clippy::disallowed_methods,
            reason = "what tokens say of their times is judged by it"
        )]
        let started = host.wall_clock();
        let measures = |engine: &Engine| engine.access_log.is_some() || engine.measured.timings;
        let is_measured = engine.is_some_and(measures);
        Self {
            started,
            began: is_measured.then(|| host.monotonic()),
            judging: None,
        }
    }

    /// How long ago its head came; none if nobody wanted to know.
    #[inline]
    pub(super) fn elapsed(&self, host: &dyn Host) -> Option<Duration> {
        host.monotonic().checked_sub(self.began?)
    }

    /// Notes how long the head was judged, if anybody wants to know.
    #[inline]
    pub(super) fn head_judged(&mut self, engine: &Engine, host: &dyn Host) {
        if self.began.is_none() {
            return;
        }
        self.judging = self.elapsed(host);
        if let Some(judging) = self.judging.filter(|_| engine.measured.timings) {
            host.observe(Timing::Filter.histogram(), micros(judging));
        }
    }
}

impl Stream {
    /// Notes when its head came.
    pub(super) fn begin(&mut self, host: &dyn Host) {
        let times = Times::begin(self.engine.as_deref(), host);
        (self.started, self.began) = (Some(times.started), times.began);
    }

    /// Notes how long the head was judged, if anybody wants to know.
    pub(super) fn head_judged(&mut self, engine: &Engine, host: &dyn Host) {
        let mut times = Times {
            started: self.started.unwrap_or_default(),
            began: self.began,
            judging: None,
        };
        times.head_judged(engine, host);
        self.judging = times.judging.or(self.judging);
    }

    /// The time before a piece of a body is judged; none if nobody wants to know.
    pub(super) fn before_body(&self, side: Side, host: &dyn Host) -> Option<Duration> {
        let engine = self.engine.as_deref()?;
        let wanted = engine.measured.timings && self.awaits(side);
        wanted.then(|| host.monotonic())
    }

    /// Adds the time that a piece of a body took. When all have judged, the sum is recorded.
    pub(super) fn after_body(&mut self, side: Side, before: Option<Duration>, host: &dyn Host) {
        let Some(before) = before else {
            return;
        };
        let took = host.monotonic().saturating_sub(before);
        let (timing, sum) = match side {
            Side::Request => (Timing::BodyCheck, &mut self.body_judging),
            Side::Response => (Timing::ResponseCheck, &mut self.response.judging),
        };
        *sum = sum.saturating_add(took);
        let sum = *sum;
        if !self.awaits(side) {
            host.observe(timing.histogram(), micros(sum));
        }
    }

    fn awaits(&self, side: Side) -> bool {
        match side {
            Side::Request => !self.awaiting.is_empty(),
            Side::Response => self.response.awaits(),
        }
    }

    /// Finds out whether the request asks for an explanation, and may.
    pub(super) fn start_explain(&mut self, engine: &Engine, host: &dyn Host) {
        if let Some(explain) = &engine.explain
            && explain.may_ask(&self.headers, &self.facts, host)
        {
            self.times.0 = Some(Vec::new());
        }
    }

    /// Adds to a response what the document wants told of the request.
    pub(super) fn append_diagnostics(
        &self,
        engine: &Engine,
        version: Option<&RequestVersion>,
        edits: &mut Vec<Edit>,
    ) {
        if let Some(name) = &engine.request_id {
            let id = self.headers.all("x-request-id").next().and_then(usable_id);
            let id = id.and_then(|id| HeaderValue::parse(id.as_bytes()).ok());
            edits.extend(id.map(|id| Edit::Set(name.clone(), id)));
        }
        if let (Some(explain), Some(times)) = (&engine.explain, &self.times.0) {
            edits.extend(explain.tell(&JudgedRequest {
                arrived: self.started.unwrap_or_default(),
                headers: &self.headers,
                route: self.route_name(),
                version,
                asked: &self.policy_verdicts(),
                times,
                record: &self.decision,
            }));
        }
    }
}

/// Changes of a request, and that the field which asks for explanations goes no further: its
/// value may be a secret.
pub(super) fn strip_explain_header(engine: &Engine, mut edits: Vec<Edit>) -> Vec<Edit> {
    if let Some(explain) = &engine.explain {
        edits.push(Edit::Remove(explain.header().clone()));
    }
    edits
}
