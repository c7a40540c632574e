//! A request on the plan of its route. What it lacks of a stream that was judged by asking is made up when
//! somebody wants it.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Duration;

use super::Stream;
use super::kept::FIXED;
use crate::access_log::prepared::{Known, Shown};
use crate::engine::{Engine, Route};
use crate::metrics::Outcome;
use crate::plan::{FORWARDED_PROTO, Plan, behind, find, is_in, plain_path};
use portcullis_exchange::connection::{Connection, Scheme};
use portcullis_exchange::exchange::Facts;
use portcullis_exchange::host::{Counter, Host};
use portcullis_exchange::limits::{Standing, seconds};
use portcullis_exchange::plan::{
    Accepted, Caller, Change, Charge, Fields, Limit, Shaping, Step, Tokens,
};
use portcullis_exchange::refusal::{Reply, usable_id};
use portcullis_wire::digits;
use portcullis_wire::digits::Digits;
use portcullis_wire::headers::Headers;

/// What is kept of a request that passed on a plan.
pub(super) struct Planned {
    fields: Fields,
    /// How much of `:authority` is the host's one spelling.
    host_length: usize,
    accepted: Option<Accepted>,
    charge: Option<Charge>,
    connection: Connection,
    /// The same as a stream has it that was judged by asking.
    general: OnceCell<Box<General>>,
}

/// What a stream keeps that was judged by asking.
#[derive(Default)]
pub(super) struct General {
    pub(super) headers: Headers,
    pub(super) facts: Facts,
}

/// What a request comes to, before anything is charged or counted.
struct Draft<'p> {
    route: usize,
    host_length: usize,
    accepted: Option<Accepted>,
    limit: Option<&'p Rc<dyn Limit>>,
}

/// What a stream keeps of a limit beyond its own size, and of the rest that is made up when it is asked for.
const GENERAL: usize = 512;

impl Stream {
    /// Judges the head of a request by the plan of its route. What is sent in place of the upstream's answer;
    /// none if the request goes on, with the changes of [`Stream::planned_changes`]. It must have been
    /// admitted.
    ///
    /// # Errors
    /// The fields, as they were handed over, where no plan knows all of the request. Nothing has been changed
    /// or counted: it is to be judged by [`Stream::request_headers`].
    pub fn request_by_plan(
        &mut self,
        block: Vec<u8>,
        host: &dyn Host,
    ) -> Result<Option<Reply>, Vec<u8>> {
        let engine = match &self.engine {
            Some(engine) if self.is_admitted() => Rc::clone(engine),
            _ => return Err(block),
        };
        let Some(names) = &engine.plans.names else {
            return Err(block);
        };
        let fields = names.read(block)?;
        match self.judge_by_plan(&engine, &fields, host) {
            Some((draft, charge)) => {
                let Draft {
                    host_length,
                    accepted,
                    route,
                    ..
                } = draft;
                let connection = connection(&engine, route, &fields);
                let mut fields = fields;
                fields.keep(names.kept().map(|(_, slot)| slot));
                self.route = Some(route);
                self.planned = Some(Planned {
                    fields,
                    host_length,
                    accepted,
                    charge,
                    connection,
                    general: OnceCell::new(),
                });
                self.head_judged(&engine, host);
                engine.plans.take();
                Ok(None)
            }
            None => Err(fields.into_block()),
        }
    }

    /// What a plan comes to, charged and counted. None if the request leaves it, and nothing is.
    fn judge_by_plan<'e>(
        &mut self,
        engine: &'e Engine,
        fields: &Fields,
        host: &dyn Host,
    ) -> Option<(Draft<'e>, Option<Charge>)> {
        let method = fields.text(Shown::METHOD)?;
        // Preflights, and what becomes another protocol.
        (!matches!(method, "OPTIONS" | "CONNECT")).then_some(())?;
        let authority = fields.one(Shown::AUTHORITY)?;
        let host_length = engine.plans.host_length(authority)?;
        let named = std::str::from_utf8(authority.get(..host_length)?).ok()?;
        let path = plain_path(fields.one(Shown::PATH)?)?;
        let (place, route) = choose(engine, named, path, method)?;
        let plan = engine.plans.of(place)?;
        self.begin(host);
        let mut draft = Draft {
            route: place,
            host_length,
            accepted: None,
            limit: None,
        };
        let mut token: Option<(&Rc<dyn Tokens>, &[u8])> = None;
        for step in &plan.steps {
            match step {
                Step::OneOf(cases) => _ = find(cases, fields, method, host)?,
                Step::Token {
                    slot,
                    prefix,
                    tokens,
                    strips: _,
                } => {
                    let text = behind(fields.one(*slot)?, prefix)?;
                    let now = self.started.unwrap_or_default();
                    draft.accepted = Some(tokens.accepted(text, now, host)?);
                    token = Some((tokens, text));
                }
                Step::Limit(limit) => draft.limit = Some(limit),
                Step::Count(_) => {}
            }
        }
        let claims = draft.accepted.as_ref().map(|each| each.principal.memory());
        let need = [FIXED, GENERAL, fields.memory(), claims.unwrap_or(0)];
        let need = need.into_iter().fold(0, usize::saturating_add);
        let more = need.saturating_sub(self.memory.bytes());
        (more == 0 || self.memory.grow(more)).then_some(())?;
        if let (Some(accepted), Some(log), Some((tokens, text))) =
            (&mut draft.accepted, &engine.access_log, token)
            && accepted.words.is_none()
            && plan.record.is_some()
        {
            let words = log.words(&accepted.principal, host);
            words.iter().for_each(|words| tokens.note(text, words));
            accepted.words = words;
        }
        let charge = match draft.limit {
            None => None,
            Some(limit) => {
                let caller = Caller {
                    route: &route.name,
                    method,
                    principal: draft.accepted.as_ref().map(|each| &each.principal),
                };
                let now = self.began.unwrap_or_else(|| host.monotonic());
                Some(limit.charge(&caller, nanoseconds(now), host)?)
            }
        };
        // From here on it stays on the plan.
        self.memory.shrink_to(need);
        for step in &plan.steps {
            if let Some(counter) = counter(step, fields, method, host) {
                host.count(counter);
            }
        }
        host.count(Outcome::Allowed.counter());
        Some((draft, charge))
    }

    /// Whether it was judged by a plan.
    pub fn is_planned(&self) -> bool {
        self.planned.is_some()
    }

    /// Names the changes of a request that was judged by a plan, in order.
    pub fn planned_changes(&self, each: &mut dyn FnMut(Change<'_>)) {
        let Some((planned, engine, plan)) = self.on_plan() else {
            return;
        };
        for step in &plan.steps {
            if let (Step::Token { strips, .. }, Some(accepted)) = (step, &planned.accepted) {
                if let Some(name) = strips {
                    each(Change::Remove(name.as_str()));
                }
                accepted.edits.iter().all(|edit| edit.changes(each));
            }
        }
        if let Some(name) = &engine.plans.removed {
            each(Change::Remove(name.as_str()));
        }
    }

    /// Shapes the head of the answer by the plan: names its changes, in order. False if that is to be done
    /// by [`Stream::response_headers`]; then none is named.
    pub fn response_by_plan(&mut self, host: &dyn Host, each: &mut dyn FnMut(Change<'_>)) -> bool {
        let Some((planned, engine, plan)) = self.on_plan() else {
            return false;
        };
        let Some(shapings) = &plan.shapings else {
            return false;
        };
        for shaping in shapings {
            planned.shape(shaping, plan, engine, host, each);
        }
        if let Some(name) = &engine.request_id {
            let id = planned.fields.one(Shown::REQUEST_ID).and_then(usable_id);
            if let Some(id) = id {
                each(Change::Set(name.as_str(), id.as_bytes()));
            }
        }
        self.responded = true;
        true
    }

    /// Writes the record of a request that was judged by a plan in place of what `buffer` holds. False if
    /// that is to be written as for all others.
    pub fn record_by_plan(&self, host: &dyn Host, buffer: &mut String) -> bool {
        let Some((planned, engine, plan)) = self.on_plan() else {
            return false;
        };
        let (Some(log), Some(record)) = (&engine.access_log, &plan.record) else {
            return false;
        };
        let words = match &planned.accepted {
            None => "",
            Some(Accepted {
                words: Some(words), ..
            }) => words,
            Some(Accepted { words: None, .. }) => return false,
        };
        let (Some(started), Some(elapsed)) = (self.started, self.elapsed(host)) else {
            return false;
        };
        let known = Known {
            fields: &planned.fields,
            host_name: planned.host_name(),
            words,
            remaining: planned
                .standing(plan)
                .map(|(_, standing)| standing.remaining),
            written: started.saturating_add(elapsed),
            elapsed: Some(elapsed),
            judging: self.judging,
            host,
        };
        record.write(log, &known, buffer)
    }

    fn on_plan(&self) -> Option<(&Planned, &Engine, &Plan)> {
        let planned = self.planned.as_ref()?;
        let engine = self.engine.as_deref()?;
        Some((planned, engine, engine.plans.of(self.route?)?))
    }

    /// What a stream keeps that was judged by asking, if this one was not.
    pub(super) fn general(&self) -> Option<&General> {
        let (planned, engine, plan) = self.on_plan()?;
        let route = engine.routes.get(self.route?)?;
        Some(
            planned
                .general
                .get_or_init(|| Box::new(planned.make_up(engine, route, plan))),
        )
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

/// The first route that is for a request, if that can be told without effort.
fn choose<'e>(
    engine: &'e Engine,
    host: &str,
    path: &str,
    method: &str,
) -> Option<(usize, &'e Route)> {
    let mut found: Option<(usize, &Route, Option<bool>)> = None;
    for list in engine.paths.lists(path) {
        for place in list {
            if found.is_some_and(|(before, ..)| before <= *place) {
                break;
            }
            let route = engine.routes.get(*place)?;
            let fits = route.matcher.fits_plainly(host, path, method);
            if fits != Some(false) {
                found = Some((*place, route, fits));
                break;
            }
        }
    }
    let (place, route, fits) = found?;
    fits.map(|_| (place, route))
}

fn connection(engine: &Engine, route: usize, fields: &Fields) -> Connection {
    let says = |slot, what: &[u8]| fields.one(slot) == Some(what);
    let mut connection = Connection::said(
        says(Shown::SCHEME, b"https"),
        says(FORWARDED_PROTO, b"https"),
    );
    let route = engine.routes.get(route);
    let trusts = route.is_some_and(|route| route.chain.trusts_forwarded_proto);
    connection.trust_forwarded_proto(trusts);
    connection
}

/// What is counted of a step that a request has fitted.
fn counter(step: &Step, fields: &Fields, method: &str, host: &dyn Host) -> Option<Counter> {
    match step {
        Step::OneOf(cases) if cases.iter().all(|case| case.counter.is_none()) => None,
        Step::OneOf(cases) => find(cases, fields, method, host)?.counter,
        Step::Token { tokens, .. } => Some(tokens.counter()),
        Step::Count(counter) => Some(*counter),
        Step::Limit(_) => None,
    }
}

fn nanoseconds(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

impl Planned {
    fn host_name(&self) -> &str {
        let named = self.fields.text(Shown::AUTHORITY).unwrap_or_default();
        named.get(..self.host_length).unwrap_or_default()
    }

    fn standing<'p>(&self, plan: &'p Plan) -> Option<(&'p dyn Limit, Standing)> {
        let charge = self.charge.as_ref()?;
        plan.steps.iter().find_map(|step| match step {
            Step::Limit(limit) => Some((&**limit, limit.standing(charge))),
            _ => None,
        })
    }

    fn shape(
        &self,
        shaping: &Shaping,
        plan: &Plan,
        engine: &Engine,
        host: &dyn Host,
        each: &mut dyn FnMut(Change<'_>),
    ) {
        match shaping {
            Shaping::Always(edits) => _ = edits.iter().all(|edit| edit.changes(each)),
            Shaping::ByCaller {
                minds_scheme,
                https,
                http,
            } => {
                let by_caller = match minds_scheme {
                    true if self.connection.scheme(host) == Scheme::Https => https,
                    _ => http,
                };
                let edits = match self.accepted {
                    Some(_) => &by_caller.authenticated,
                    None => &by_caller.anyone,
                };
                edits.iter().all(|edit| edit.changes(each));
            }
            Shaping::ByOrigin {
                slot,
                listed,
                name,
                star,
                granted,
                withheld,
            } => match self
                .fields
                .one(*slot)
                .filter(|origin| is_in(listed, origin))
            {
                Some(origin) => {
                    let says = star.as_ref().map_or(origin, |star| star.as_bytes());
                    each(Change::Set(name.as_str(), says));
                    granted.changes(each);
                }
                None => _ = withheld.changes(each),
            },
            Shaping::Limits { numbers, lists } => {
                let Some((limit, standing)) = self.standing(plan) else {
                    return;
                };
                let [told_in_numbers, told_in_lists] = limit.is_told();
                if told_in_numbers {
                    let values = [standing.quota, standing.remaining, seconds(standing.reset)];
                    for (name, value) in numbers.iter().zip(values) {
                        each(Change::Set(name.as_str(), Digits::of(value).as_bytes()));
                    }
                }
                if told_in_lists {
                    let period = seconds(standing.period).max(1);
                    let values = [
                        [(";q=", standing.quota), (";w=", period)],
                        [
                            (";r=", standing.remaining),
                            (";t=", seconds(standing.reset)),
                        ],
                    ];
                    engine.plans.with_buffer(|buffer| {
                        for (name, parameters) in lists.iter().zip(values) {
                            buffer.clear();
                            for part in ["\"", limit.name(), "\""] {
                                buffer.push_str(part);
                            }
                            for (parameter, number) in parameters {
                                buffer.push_str(parameter);
                                digits::push(buffer, number);
                            }
                            each(Change::Set(name.as_str(), buffer.as_bytes()));
                        }
                    });
                }
            }
        }
    }

    /// What a stream keeps that was judged by asking.
    fn make_up(&self, engine: &Engine, route: &Route, plan: &Plan) -> General {
        let mut general = General::default();
        let names = engine.plans.names.iter();
        for (name, slot) in names.flat_map(|names| names.kept()) {
            if let Some(value) = self.fields.one(slot) {
                general.headers.push(name.as_bytes(), value);
            }
        }
        let facts = &mut general.facts;
        facts.principal = self.accepted.as_ref().map(|each| each.principal.clone());
        facts.claimants.clone_from(&route.chain.claimants);
        facts.connection = self.connection.clone();
        for step in &plan.steps {
            if let (Step::Limit(limit), Some(charge)) = (step, &self.charge) {
                limit.enter(charge, facts);
            }
        }
        facts.limits.goes_ahead();
        general
    }
}
