//! A request on the plan of its route. What it lacks of a stream that was judged by asking is made up when
//! somebody wants it.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Duration;

use super::Stream;
use super::kept::{FIXED, is_crowded};
use crate::access_log::prepared::{PlannedExchange, Shown};
use crate::engine::{Engine, Route};
use crate::metrics::Outcome;
use crate::plan::{
    End, FORWARDED_PROTO, Plan, Refused, behind, find, is_for_programs, is_in, plain_path,
};
use portcullis_exchange::connection::{Connection, Scheme};
use portcullis_exchange::edit::Edit;
use portcullis_exchange::exchange::{Author, Facts};
use portcullis_exchange::host::{Counter, Host};
use portcullis_exchange::limits::{LimitStatus, seconds};
use portcullis_exchange::plan::{
    AcceptedToken, Caller, Charge, Fields, JudgedToken, Limit, PlannedChange, RefusedToken,
    Shaping, Step, Tokens,
};
use portcullis_exchange::refusal::{Detail, Reply, usable_id};
use portcullis_wire::digits;
use portcullis_wire::digits::Digits;
use portcullis_wire::headers::Headers;

/// A head of an answer that is shaped.
trait Shaped {
    fn change(&mut self, change: PlannedChange<'_>);
    fn edit(&mut self, edit: &Edit);
}

/// Names each change to somebody who carries it out.
struct EachChange<'n>(&'n mut dyn FnMut(PlannedChange<'_>));

impl Shaped for EachChange<'_> {
    fn change(&mut self, change: PlannedChange<'_>) {
        (self.0)(change);
    }

    fn edit(&mut self, edit: &Edit) {
        edit.changes(self.0);
    }
}

impl Shaped for Reply {
    fn change(&mut self, change: PlannedChange<'_>) {
        Reply::change(self, change);
    }

    fn edit(&mut self, edit: &Edit) {
        Reply::edit(self, edit);
    }
}

/// What is kept of a request that passed on a plan.
pub(super) struct Planned {
    fields: Fields,
    /// How much of `:authority` is the host's one spelling.
    host_length: usize,
    accepted: Option<AcceptedToken>,
    /// What records say of the token for which it was refused.
    refused_words: Option<Rc<str>>,
    charge: Option<Charge>,
    end: End,
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

/// What a request comes to.
struct Judged<'p> {
    route: Option<usize>,
    plan: &'p Plan,
    host_length: usize,
    accepted: Option<AcceptedToken>,
    /// The token for which it is refused.
    refused: Option<RefusedToken>,
    charge: Option<Charge>,
    end: End,
}

/// Room in the budget for what is made up later beside the fields: [`General`] itself, and what it says of a
/// limit.
const GENERAL: usize = 512;

impl Stream {
    /// Judges the head of a request by the plan of its route. What is sent in place of the upstream's answer;
    /// none if the request goes on, with the changes of [`Stream::planned_changes`]. It must have been
    /// admitted.
    ///
    /// # Errors
    /// The fields, as they were handed over, where no plan knows all of the request. Nothing has been changed
    /// or counted: it is to be judged by [`Stream::on_request_headers`].
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
        let mut fields = names.read(block)?;
        let Some(judged) = self.judge_by_plan(&engine, &fields, host) else {
            return Err(fields.into_block());
        };
        let Judged {
            route,
            plan,
            host_length,
            accepted,
            refused,
            charge,
            end,
        } = judged;
        let (refusal, refused_words) = match refused {
            Some(RefusedToken { refusal, words }) => (Some(refusal), words),
            None => (None, None),
        };
        let connection = connection(&engine, route, &fields);
        fields.keep(names.kept().map(|(_, slot)| slot));
        self.route = route;
        engine.plans.take();
        self.head_judged(&engine, host);
        let planned = Planned {
            fields,
            host_length,
            accepted,
            refused_words,
            charge,
            end,
            connection,
            general: OnceCell::new(),
        };
        let reply = plan.refused(end).map(|refused| {
            self.decision.refusal = Some(refused.refusal.reason);
            self.decision.detail = match refusal {
                Some(refusal) => refusal.detail,
                None => refused.refusal.detail.clone(),
            };
            self.decision.refused_by = refused.policy;
            self.decision.ended_at = refused.step;
            planned.reply(refused, plan, &engine, host)
        });
        self.planned = Some(planned);
        Ok(reply)
    }

    /// What a plan comes to, charged and counted. None if the request leaves it, and nothing is.
    fn judge_by_plan<'e>(
        &mut self,
        engine: &'e Engine,
        fields: &Fields,
        host: &dyn Host,
    ) -> Option<Judged<'e>> {
        let method = fields.text(Shown::METHOD)?;
        // Preflights, and what becomes another protocol.
        (!matches!(method, "OPTIONS" | "CONNECT")).then_some(())?;
        let authority = fields.one(Shown::AUTHORITY)?;
        let host_length = engine.plans.host_length(authority)?;
        let named = std::str::from_utf8(authority.get(..host_length)?).ok()?;
        let path = plain_path(fields.one(Shown::PATH)?)?;
        let route = choose(engine, named, path, method)?;
        let place = route.map(|(place, _)| place);
        let plan = engine.plans.of(place)?;
        let may_refuse = is_for_programs(fields) && !is_crowded();
        let missing = || (may_refuse && plan.missing.is_some()).then_some(End::Missing);
        self.begin(host);
        let mut judged = Judged {
            route: place,
            plan,
            host_length,
            accepted: None,
            refused: None,
            charge: None,
            end: End::Passes,
        };
        if route.is_none() {
            judged.end = missing()?;
        }
        let mut limit: Option<(usize, &Rc<dyn Limit>)> = None;
        let mut token: Option<(&Rc<dyn Tokens>, &[u8])> = None;
        let mut asked = plan.steps.len();
        for (index, step) in plan.steps.iter().enumerate() {
            match step {
                Step::OneOf(cases) => _ = find(cases, fields, method, host)?,
                Step::Token {
                    slot,
                    prefix,
                    tokens,
                    ..
                } => {
                    let Some(value) = fields.one(*slot) else {
                        judged.end = missing()?;
                        asked = index;
                        break;
                    };
                    let text = behind(value, prefix)?;
                    let now = self.started.unwrap_or_default();
                    token = Some((tokens, text));
                    match tokens.judged(text, now, host)? {
                        JudgedToken::Accepted(accepted) => judged.accepted = Some(accepted),
                        JudgedToken::Refused(refused) => {
                            let end = plan.refuses_token(refused.refusal.reason);
                            judged.end = end.filter(|_| may_refuse)?;
                            judged.refused = Some(claiming(refused, plan, judged.end, engine, route)?);
                            asked = index.saturating_add(1);
                            break;
                        }
                    }
                }
                Step::Limit(each) => limit = Some((index, each)),
                Step::Count(_) => {}
            }
        }
        let claims = judged.accepted.as_ref();
        let claims = claims.map(|each| each.principal.memory());
        let detail = judged.refused.as_ref();
        let detail = detail.and_then(|each| each.refusal.detail.as_deref());
        let detail = detail.map_or(0, Detail::memory);
        let need = [FIXED, GENERAL, fields.memory(), claims.unwrap_or(0), detail];
        let need = need.into_iter().fold(0, usize::saturating_add);
        let more = need.saturating_sub(self.memory.bytes());
        (more == 0 || self.memory.grow(more)).then_some(())?;
        if let (Some(accepted), Some(log), Some((tokens, text))) =
            (&mut judged.accepted, &engine.access_log, token)
            && accepted.words.is_none()
            && plan.record.is_some()
        {
            let words = log.words(Some(&accepted.principal), None, host);
            words.iter().for_each(|words| tokens.note(text, words));
            accepted.words = words;
        }
        if let (Some(refused), Some(log), Some((tokens, text))) =
            (&mut judged.refused, &engine.access_log, token)
            && let Some(detail) = &refused.refusal.detail
            && refused.words.is_none()
            && plan.token_record.is_some()
        {
            let words = log.words(detail.principal.as_ref(), detail.claimed.as_deref(), host);
            words.iter().for_each(|words| tokens.note(text, words));
            refused.words = words;
        }
        if let (Some((index, limit)), Some((_, route))) = (limit, route) {
            let caller = Caller {
                route: &route.name,
                method,
                principal: judged.accepted.as_ref().map(|each| &each.principal),
            };
            let now = nanoseconds(self.began.unwrap_or_else(|| host.monotonic()));
            let may_refuse = may_refuse && plan.full.is_some();
            let charge = limit.charge(&caller, may_refuse, now, host)?;
            if charge.receipt.is_none() {
                judged.end = End::Full;
                asked = index;
                // By asking, the chain ends at the limit. What comes after it has not been asked: nobody
                // knows whose token that is.
                let is_after = |step: &Step| matches!(step, Step::Token { .. });
                let mut later = plan.steps.iter().skip(index);
                if later.any(is_after) {
                    judged.accepted = None;
                    judged.refused = None;
                }
            }
            judged.charge = Some(charge);
        }
        // From here on it stays on the plan.
        self.memory.shrink_to(need);
        for step in plan.steps.iter().take(asked) {
            if let Some(counter) = counter(step, fields, method, host) {
                host.count(counter);
            }
        }
        match plan.refused(judged.end) {
            None => host.count(Outcome::Allowed.counter()),
            Some(refused) => {
                host.count(Outcome::Denied.counter());
                let counters = refused.counters.into_iter().flatten();
                counters.for_each(|counter| host.count(counter));
            }
        }
        Some(judged)
    }

    /// Whether it was judged by a plan.
    pub fn is_planned(&self) -> bool {
        self.planned.is_some()
    }

    /// A number for its plan and the way in which it ended there, if it was judged by one: requests of one
    /// number raise the same counters.
    pub fn plan_number(&self) -> Option<usize> {
        let planned = self.planned.as_ref()?;
        let route = self.route.map_or(0, |route| route.saturating_add(1));
        let of_route = route.checked_mul(End::MOST)?;
        of_route.checked_add(planned.end.number())
    }

    /// Names the changes of a request that was judged by a plan, in order.
    pub fn planned_changes(&self, each: &mut dyn FnMut(PlannedChange<'_>)) {
        let Some((planned, engine, plan)) = self.on_plan() else {
            return;
        };
        for step in &plan.steps {
            if let (Step::Token { strips, .. }, Some(accepted)) = (step, &planned.accepted) {
                if let Some(name) = strips {
                    each(PlannedChange::Remove(name.as_str()));
                }
                accepted.edits.iter().all(|edit| edit.changes(each));
            }
        }
        if let Some(name) = &engine.plans.removed {
            each(PlannedChange::Remove(name.as_str()));
        }
    }

    /// Shapes the head of the answer by the plan: names its changes, in order. `headers` are its fields where
    /// [`Stream::reads_response`] asks for them. False if that is to be done by
    /// [`Stream::on_response_headers`]; then none is named.
    pub fn response_by_plan(
        &mut self,
        headers: Option<&Headers>,
        host: &dyn Host,
        each: &mut dyn FnMut(PlannedChange<'_>),
    ) -> bool {
        let Some((planned, engine, plan)) = self.on_plan() else {
            return false;
        };
        // A reply of ours was shaped before it went.
        if planned.end == End::Passes {
            let Some(shapings) = &plan.shapings else {
                return false;
            };
            let none = Headers::default();
            let answer = (Author::Upstream, headers.unwrap_or(&none));
            planned.shape_all(shapings, answer, plan, engine, host, &mut EachChange(each));
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
        let (Some(log), Some(record)) = (&engine.access_log, plan.record(planned.end)) else {
            return false;
        };
        let words = match (&planned.accepted, planned.end) {
            (Some(accepted), _) => accepted.words.as_deref(),
            (None, End::Token(_)) => planned.refused_words.as_deref(),
            (None, _) => Some(""),
        };
        let Some(words) = words else {
            return false;
        };
        let (Some(started), Some(elapsed)) = (self.started, self.elapsed(host)) else {
            return false;
        };
        let known = PlannedExchange {
            fields: &planned.fields,
            host_name: planned.host_name(),
            words,
            reason: self.decision.refusal,
            detail: self.decision.detail.as_deref(),
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

/// The refusal of a token, with the place of its rule and with what records show of it. None if that has not
/// been read yet.
fn claiming(
    refused: RefusedToken,
    plan: &Plan,
    end: End,
    engine: &Engine,
    route: Option<(usize, &Route)>,
) -> Option<RefusedToken> {
    let RefusedToken { refusal, words } = refused;
    let (_, route) = route?;
    let step = plan.refused(end)?.step?;
    let mut refusal = route.chain.steps.get(step)?.placed(refusal);
    let detail = refusal.detail.as_mut()?;
    if !engine.notes_claimed() {
        detail.claimed = None;
    } else if detail.principal.is_none() && detail.claimed.is_none() {
        return None;
    }
    Some(RefusedToken { refusal, words })
}

/// The first route that is for a request, or that there is none. None if that cannot be told without effort,
/// or would be with another method.
fn choose<'e>(
    engine: &'e Engine,
    host: &str,
    path: &str,
    method: &str,
) -> Option<Option<(usize, &'e Route)>> {
    match first(engine, host, path, Some(method)) {
        Some((place, fits)) => {
            fits?;
            Some(Some((place, engine.routes.get(place)?)))
        }
        None => match first(engine, host, path, None) {
            Some(_) => None,
            None => Some(None),
        },
    }
}

/// The first route that fits, or may: whether it does.
fn first(
    engine: &Engine,
    host: &str,
    path: &str,
    method: Option<&str>,
) -> Option<(usize, Option<()>)> {
    let mut found: Option<(usize, Option<()>)> = None;
    for list in engine.paths.lists(path) {
        for place in list {
            if found.is_some_and(|(before, _)| before <= *place) {
                break;
            }
            let matcher = engine.routes.get(*place).map(|route| &route.matcher);
            let fits = matcher.and_then(|matcher| matcher.fits_plainly(host, path, method));
            if fits != Some(false) {
                found = Some((*place, fits.map(|_| ())));
                break;
            }
        }
    }
    found
}

fn connection(engine: &Engine, route: Option<usize>, fields: &Fields) -> Connection {
    let says = |slot, what: &[u8]| fields.one(slot) == Some(what);
    let mut connection = Connection::said(
        says(Shown::SCHEME, b"https"),
        says(FORWARDED_PROTO, b"https"),
    );
    let route = route.and_then(|route| engine.routes.get(route));
    let chain = route.map_or(&engine.fallback, |route| &route.chain);
    connection.trust_forwarded_proto(chain.trusts_forwarded_proto);
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

    fn standing<'p>(&self, plan: &'p Plan) -> Option<(&'p dyn Limit, LimitStatus)> {
        let charge = self.charge.as_ref()?;
        plan.steps.iter().find_map(|step| match step {
            Step::Limit(limit) => Some((&**limit, limit.standing(charge))),
            _ => None,
        })
    }

    /// A refusal as the client gets it.
    fn reply(&self, refused: &Refused, plan: &Plan, engine: &Engine, host: &dyn Host) -> Reply {
        let id = self.fields.one(Shown::REQUEST_ID).and_then(usable_id);
        let wait = match self.end {
            End::Full => self
                .standing(plan)
                .map(|(_, standing)| seconds(standing.reset).max(1)),
            End::Missing | End::Passes | End::Token(_) => None,
        };
        let mut reply = refused.reply(id, wait);
        let mut headers = Headers::default();
        if plan.reads_response {
            for (name, value) in &reply.headers {
                headers.push(name.as_str().as_bytes(), value.as_bytes());
            }
        }
        let shapings = plan.shapings.as_deref().unwrap_or_default();
        let answer = (Author::Filter, &headers);
        self.shape_all(shapings, answer, plan, engine, host, &mut reply);
        reply
    }

    fn shape_all(
        &self,
        shapings: &[Shaping],
        answer: (Author, &Headers),
        plan: &Plan,
        engine: &Engine,
        host: &dyn Host,
        shaped: &mut dyn Shaped,
    ) {
        for shaping in shapings {
            self.shape(shaping, answer, plan, engine, host, shaped);
        }
        if let Some(name) = &engine.request_id {
            let id = self.fields.one(Shown::REQUEST_ID).and_then(usable_id);
            if let Some(id) = id {
                shaped.change(PlannedChange::Set(name.as_str(), id.as_bytes()));
            }
        }
    }

    fn scheme(&self, minds_scheme: bool, host: &dyn Host) -> Scheme {
        match minds_scheme {
            true => self.connection.scheme(host),
            false => Scheme::Http,
        }
    }

    fn shape(
        &self,
        shaping: &Shaping,
        (author, answer): (Author, &Headers),
        plan: &Plan,
        engine: &Engine,
        host: &dyn Host,
        shaped: &mut dyn Shaped,
    ) {
        let is_known = self.accepted.is_some() || author == Author::Filter;
        match shaping {
            Shaping::Always(edits) => edits.iter().for_each(|edit| shaped.edit(edit)),
            Shaping::ByCaller {
                minds_scheme,
                https,
                http,
            } => {
                let by_caller = match self.scheme(*minds_scheme, host) {
                    Scheme::Https => https,
                    Scheme::Http => http,
                };
                let edits = match is_known {
                    true => &by_caller.authenticated,
                    false => &by_caller.anyone,
                };
                edits.iter().for_each(|edit| shaped.edit(edit));
            }
            Shaping::Revealing(names) => {
                for (name, _) in answer.iter() {
                    let find = |known: &&str| known.as_bytes().cmp(name);
                    let found = names.binary_search_by(find).ok();
                    if let Some(name) = found.and_then(|place| names.get(place)) {
                        shaped.change(PlannedChange::Remove(name));
                    }
                }
            }
            Shaping::IfAbsent {
                minds_scheme,
                fields,
            } => {
                let scheme = self.scheme(*minds_scheme, host);
                for field in fields {
                    let applies = (!field.needs_tls || scheme == Scheme::Https)
                        && (!field.needs_caller || is_known);
                    if applies && answer.all(field.name.as_str()).next().is_none() {
                        shaped.edit(&field.edit);
                    }
                }
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
                    shaped.change(PlannedChange::Set(name.as_str(), says));
                    shaped.edit(granted);
                }
                None => shaped.edit(withheld),
            },
            Shaping::Limits { numbers, lists } => {
                let Some((limit, standing)) = self.standing(plan) else {
                    return;
                };
                let [told_in_numbers, told_in_lists] = limit.is_told();
                if told_in_numbers {
                    let values = [standing.quota, standing.remaining, seconds(standing.reset)];
                    for (name, value) in numbers.iter().zip(values) {
                        shaped.change(PlannedChange::Set(
                            name.as_str(),
                            Digits::of(value).as_bytes(),
                        ));
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
                            shaped.change(PlannedChange::Set(name.as_str(), buffer.as_bytes()));
                        }
                    });
                }
            }
        }
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
