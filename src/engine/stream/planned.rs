//! A request on the plan of its route. What it lacks of a stream that was judged by asking is made up when
//! somebody wants it.

use std::cell::OnceCell;
use std::rc::Rc;

use super::Stream;
use super::measure::Times;
use crate::access_log::prepared::{PlannedExchange, Shown};
use crate::engine::{Engine, Route};
use crate::plan::{End, Plan};
use portcullis_exchange::connection::Connection;
use portcullis_exchange::exchange::Facts;
use portcullis_exchange::host::Host;
use portcullis_exchange::limits::LimitStatus;
use portcullis_exchange::plan::{AcceptedToken, Charge, Fields, Limit, PlannedChange, Step};
use portcullis_exchange::refusal::{Detail, Reason};
use portcullis_wire::budget::Reservation;
use portcullis_wire::headers::Headers;

/// What is kept of a request that passed on a plan.
pub(super) struct Planned {
    pub(super) fields: Fields,
    /// How much of `:authority` is the host's one spelling.
    pub(super) host_length: usize,
    pub(super) accepted: Option<Rc<AcceptedToken>>,
    /// What records say of its token, or of that for which it was refused.
    pub(super) words: Option<Rc<str>>,
    pub(super) charge: Option<Charge>,
    /// How the caller then stood with the limit.
    pub(super) standing: Option<LimitStatus>,
    pub(super) end: End,
    pub(super) connection: Connection,
    /// The same as a stream has it that was judged by asking.
    pub(super) general: OnceCell<Box<General>>,
}

/// What a stream keeps that was judged by asking.
#[derive(Default)]
pub(super) struct General {
    pub(super) headers: Headers,
    pub(super) facts: Facts,
}

/// A request on its plan, and nothing besides: a [`Stream`] is made of it once it leaves.
pub struct PlannedStream {
    pub(super) engine: Rc<Engine>,
    pub(super) times: Times,
    pub(super) route: Option<usize>,
    /// The refusal that was carried out.
    pub(super) refusal: Option<PlannedRefusal>,
    pub(super) planned: Planned,
    /// What is reserved for it.
    pub(super) memory: Reservation,
}

/// The refusal of a request on its plan, as [`crate::record::Decision`] has it.
pub(super) struct PlannedRefusal {
    pub(super) reason: &'static Reason,
    pub(super) detail: Option<Box<Detail>>,
    pub(super) by: Option<&'static str>,
    pub(super) at: Option<usize>,
}

/// What there is to see of a request on its plan.
#[derive(Clone, Copy)]
pub(super) struct View<'s> {
    pub(super) planned: &'s Planned,
    pub(super) engine: &'s Engine,
    pub(super) plan: &'s Plan,
    route: Option<usize>,
    times: Times,
    refusal: Option<(&'static Reason, Option<&'s Detail>)>,
}

impl View<'_> {
    /// Names the changes of the request, in order.
    #[inline(always)]
    fn changes(self, each: &mut impl FnMut(PlannedChange<'_>)) {
        for step in &self.plan.steps {
            if let Step::Edit(edits) = step {
                edits.iter().all(|edit| edit.changes(each));
            }
            if let (Step::Token { strips, .. }, Some(accepted)) = (step, &self.planned.accepted) {
                if let Some(name) = strips {
                    each(PlannedChange::Remove(name.as_str()));
                }
                accepted.edits.iter().all(|edit| edit.changes(each));
            }
        }
        if let Some(name) = &self.engine.plans.removed {
            each(PlannedChange::Remove(name.as_str()));
        }
    }

    #[inline]
    fn number(self) -> Option<usize> {
        let route = self.route.map_or(0, |route| route.saturating_add(1));
        let of_route = route.checked_mul(End::MOST)?;
        of_route.checked_add(self.planned.end.number())
    }

    /// Writes the record in place of what `buffer` holds. None if that is to be written as for all others.
    #[inline]
    fn record<'b>(self, host: &dyn Host, buffer: &'b mut Vec<u8>) -> Option<&'b str> {
        let (planned, engine, plan) = (self.planned, self.engine, self.plan);
        let (log, record) = (engine.access_log.as_ref()?, plan.record(planned.end)?);
        let words = match (&planned.accepted, planned.end) {
            (Some(_), _) | (None, End::Token(_)) => planned.words.as_deref()?,
            (None, _) => "",
        };
        let elapsed = self.times.elapsed(host)?;
        let (reason, detail) = self.refusal.unzip();
        let known = PlannedExchange {
            fields: &planned.fields,
            host_name: planned.host_name(),
            words,
            reason,
            detail: detail.flatten(),
            remaining: planned.standing.map(|standing| standing.remaining),
            written: self.times.started.saturating_add(elapsed),
            elapsed,
            judging: self.times.judging,
            connection: &planned.connection,
            host,
        };
        record.write(log, &known, buffer)
    }
}

impl PlannedStream {
    #[inline]
    pub(super) fn view(&self) -> Option<View<'_>> {
        let refusal = self.refusal.as_ref();
        Some(View {
            planned: &self.planned,
            engine: &self.engine,
            plan: self.engine.plans.of(self.route)?,
            route: self.route,
            times: self.times,
            refusal: refusal.map(|refusal| (refusal.reason, refusal.detail.as_deref())),
        })
    }

    /// The engine that it began with.
    #[inline]
    pub fn engine(&self) -> &Rc<Engine> {
        &self.engine
    }

    /// Whether it was answered in place of the service.
    #[inline]
    pub fn has_replied(&self) -> bool {
        self.refusal.is_some()
    }

    /// The same as [`Stream::plan_number`].
    #[inline]
    pub fn plan_number(&self) -> Option<usize> {
        self.view()?.number()
    }

    /// The same as [`Stream::planned_changes`].
    #[inline(always)]
    pub fn changes(&self, each: &mut impl FnMut(PlannedChange<'_>)) {
        if let Some(view) = self.view() {
            view.changes(each);
        }
    }

    /// The same as [`Stream::record_by_plan`].
    #[inline]
    pub fn record<'b>(&self, host: &dyn Host, buffer: &'b mut Vec<u8>) -> Option<&'b str> {
        self.view()?.record(host, buffer)
    }

    /// As a stream, which is on its plan still.
    #[cold]
    #[inline(never)]
    pub fn into_stream(self) -> Stream {
        let mut stream = Stream::new(Some(Rc::clone(&self.engine)));
        stream.go_on_from(self);
        stream
    }

    /// As a stream that has left its plan: what follows is as if it had been judged by asking.
    #[cold]
    #[inline(never)]
    pub fn leave(self) -> Stream {
        let mut stream = self.into_stream();
        stream.leave_plan();
        stream
    }
}

impl Stream {
    /// Whether it was judged by a plan.
    pub fn is_planned(&self) -> bool {
        self.planned.is_some()
    }

    pub(super) fn go_on_from(&mut self, on_plan: PlannedStream) {
        let PlannedStream {
            engine: _,
            times,
            route,
            refusal,
            planned,
            memory,
        } = on_plan;
        self.started = Some(times.started);
        (self.began, self.judging) = (times.began, times.judging);
        if let Some(refusal) = refusal {
            self.decision.refusal = Some(refusal.reason);
            self.decision.detail = refusal.detail;
            self.decision.refused_by = refusal.by;
            self.decision.ended_at = refusal.at;
        }
        self.route = route;
        self.planned = Some(planned);
        self.memory = memory;
    }

    /// A number for its plan and the way in which it ended there, if it was judged by one: requests of one
    /// number raise the same counters.
    #[inline]
    pub fn plan_number(&self) -> Option<usize> {
        self.view()?.number()
    }

    /// Names the changes of a request that was judged by a plan, in order.
    pub fn planned_changes(&self, each: &mut impl FnMut(PlannedChange<'_>)) {
        if let Some(view) = self.view() {
            view.changes(each);
        }
    }

    /// Writes the record of a request that was judged by a plan in place of what `buffer` holds. None if
    /// that is to be written as for all others.
    pub fn record_by_plan<'b>(&self, host: &dyn Host, buffer: &'b mut Vec<u8>) -> Option<&'b str> {
        self.view()?.record(host, buffer)
    }

    pub(super) fn view(&self) -> Option<View<'_>> {
        let (planned, engine, plan) = self.on_plan()?;
        let reason = self.decision.refusal;
        Some(View {
            planned,
            engine,
            plan,
            route: self.route,
            times: Times {
                started: self.started?,
                began: self.began,
                judging: self.judging,
            },
            refusal: reason.map(|reason| (reason, self.decision.detail.as_deref())),
        })
    }

    fn on_plan(&self) -> Option<(&Planned, &Engine, &Plan)> {
        let planned = self.planned.as_ref()?;
        let engine = self.engine.as_deref()?;
        Some((planned, engine, engine.plans.of(self.route)?))
    }

    /// What a stream keeps that was judged by asking, if this one was not.
    pub(super) fn general(&self) -> Option<&General> {
        let (planned, engine, plan) = self.on_plan()?;
        let route = self.route.and_then(|route| engine.routes.get(route));
        let made_up = || Box::new(planned.make_up(engine, route, plan));
        Some(planned.general.get_or_init(made_up))
    }

    /// Takes a request off its plan: what follows is as if it had been judged by asking.
    pub(super) fn leave_plan(&mut self) {
        if self.general().is_none() {
            return;
        }
        let planned = self.planned.take();
        let general = planned.and_then(|mut planned| planned.general.take());
        let General { headers, facts } = *general.unwrap_or_default();
        (self.headers, self.facts) = (headers, facts);
        self.reserve_kept();
    }
}

impl Planned {
    #[inline]
    fn host_name(&self) -> &[u8] {
        let named = self.fields.one(Shown::AUTHORITY).unwrap_or_default();
        named.get(..self.host_length).unwrap_or_default()
    }

    /// The limit, and how the caller stands with it.
    pub(super) fn standing<'p>(&self, plan: &'p Plan) -> Option<(&'p dyn Limit, LimitStatus)> {
        let mut limits = plan.steps.iter().filter_map(|step| match step {
            Step::Limit(limit) => Some(&**limit),
            _ => None,
        });
        Some((limits.next()?, self.standing?))
    }

    /// What a stream keeps that was judged by asking.
    fn make_up(&self, engine: &Engine, route: Option<&Route>, plan: &Plan) -> General {
        let mut general = General::default();
        let names = engine.plans.names.iter();
        for (name, slot) in names.flat_map(|names| names.kept()) {
            if let Some(value) = self.fields.one(slot) {
                general.headers.push(name.as_bytes(), value);
            }
        }
        let facts = &mut general.facts;
        facts.principal = self.accepted.as_ref().map(|each| each.principal.clone());
        facts.claimants = route.and_then(|route| route.chain.claimants.clone());
        facts.set_operations(route.and_then(|route| route.chain.operations.as_ref()));
        facts.connection = self.connection.clone();
        for step in &plan.steps {
            if let (Step::Limit(limit), Some(charge)) = (step, &self.charge) {
                limit.enter(charge, facts);
            }
        }
        if self.end == End::Passes {
            facts.limits.goes_ahead();
        }
        general
    }
}
