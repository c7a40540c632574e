//! Judging the head of a request by the plan of its route.

use std::cell::OnceCell;
use std::rc::Rc;
use std::time::Duration;

use super::Stream;
use super::kept::{FIXED, is_crowded};
use super::measure::Times;
use super::planned::{Planned, PlannedRefusal, PlannedStream};
use crate::access_log::AccessLog;
use crate::access_log::prepared::Shown;
use crate::engine::{Engine, Route};
use crate::metrics::Outcome;
use crate::plan::{
    End, FORWARDED_PROTO, MOST_STEPS, Plan, behind, find, is_for_programs, plain_path,
};
use crate::refused::{PlannedReply, Refused};
use portcullis_exchange::connection::Connection;
use portcullis_exchange::host::{Counter, Host};
use portcullis_exchange::plan::{
    AcceptedToken, AllowedBy, Caller, Fields, JudgedToken, Limit, PlannedHead, RefusedToken, Rules,
    Step, Tokens,
};
use portcullis_exchange::refusal::{Detail, Refusal, Reply};
use portcullis_wire::budget::{Reservation, Share};

/// Room in the budget for what is made up later beside the fields: `General` itself, and what it says of a
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
        let memory = std::mem::replace(&mut self.memory, Reservation::none(Share::Streams));
        let mut on_plan = PlannedStream::begin(&engine, memory, block);
        match on_plan.judge(host) {
            Some(reply) => {
                self.go_on_from(on_plan);
                Ok(reply.map(PlannedReply::into_reply))
            }
            None => {
                let (block, memory) = on_plan.give_back();
                self.memory = memory;
                Err(block)
            }
        }
    }
}

impl PlannedStream {
    /// A request whose head has come, in memory that has been reserved for it.
    #[inline]
    pub fn begin(engine: &Rc<Engine>, memory: Reservation, block: Vec<u8>) -> Self {
        Self {
            engine: Rc::clone(engine),
            times: Times::default(),
            route: None,
            refusal: None,
            planned: Planned {
                fields: Fields::unread(block),
                host_length: 0,
                accepted: None,
                words: None,
                charge: None,
                standing: None,
                end: End::Passes,
                connection: Connection::default(),
                general: OnceCell::new(),
            },
            memory,
        }
    }

    /// Judges the head by the plan of its route. What is sent in place of the upstream's answer; `Some(None)` if the
    /// request goes on, with its [changes](PlannedStream::changes). None where no plan knows all of it, and nothing has
    /// been changed or counted: then its head is to be [given back](PlannedStream::give_back).
    #[inline]
    pub fn judge(&mut self, host: &dyn Host) -> Option<Option<PlannedReply>> {
        // What is judged lies where it stays: nothing of it is moved.
        let engine = Rc::clone(&self.engine);
        let engine = &*engine;
        let names = engine.plans.names.as_ref()?;
        names.find(&mut self.planned.fields).then_some(())?;
        said_of_connection(&mut self.planned, engine);
        let (plan, own) = self.settle(engine, host)?;
        let planned = &mut self.planned;
        let route = self.route.and_then(|route| engine.routes.get(route));
        let chain = route.map_or(&engine.fallback, |route| &route.chain);
        let trusts = chain.trusts_forwarded_proto;
        planned.connection.trust_forwarded_proto(trusts);
        // A client that sends much and then waits has no more of the budget than what is kept.
        let whole = planned.fields.memory();
        planned.fields.keep(names);
        let gone = whole.saturating_sub(planned.fields.memory());
        if gone > 0 {
            let left = self.memory.bytes().saturating_sub(gone);
            self.memory.shrink_to(left);
        }
        engine.plans.take();
        self.times.head_judged(engine, host);
        let refused = plan.refused(planned.end);
        Some(refused.map(|refused| self.refuse(refused, own, plan, engine, host)))
    }

    /// The fields and the memory of a request that no plan knows all of, as they were handed over.
    #[cold]
    #[inline(never)]
    pub fn give_back(self) -> (Vec<u8>, Reservation) {
        (self.planned.fields.into_block(), self.memory)
    }

    /// Notes why a request is refused. What the client gets.
    #[inline(never)]
    fn refuse(
        &mut self,
        refused: &Refused,
        own: Option<Refusal>,
        plan: &Plan,
        engine: &Engine,
        host: &dyn Host,
    ) -> PlannedReply {
        self.refusal = Some(PlannedRefusal {
            reason: refused.refusal.reason,
            detail: match own {
                Some(refusal) => refusal.detail,
                None => refused.refusal.detail.clone(),
            },
            by: refused.policy,
            at: refused.step,
        });
        self.planned.reply(refused, plan, engine, host)
    }

    /// What its plan comes to, charged and counted; with the refusal of its own, if it has one. None if the request
    /// leaves its plan, and nothing is.
    #[inline(always)]
    fn settle<'e>(
        &mut self,
        engine: &'e Engine,
        host: &dyn Host,
    ) -> Option<(&'e Plan, Option<Refusal>)> {
        let Planned {
            fields,
            host_length,
            accepted,
            words,
            charge,
            standing,
            end,
            connection,
            general: _,
        } = &mut self.planned;
        let (fields, connection) = (&*fields, &*connection);
        let method = fields.text(Shown::METHOD)?;
        // Preflights, and what becomes another protocol.
        (!matches!(method, "OPTIONS" | "CONNECT")).then_some(())?;
        let authority = fields.one(Shown::AUTHORITY)?;
        *host_length = engine.plans.host_length(authority)?;
        let named = std::str::from_utf8(authority.get(..*host_length)?).ok()?;
        let path = plain_path(fields.one(Shown::PATH)?)?;
        let route = choose(engine, named, path, method)?;
        self.route = route.map(|(place, _)| place);
        let plan = engine.plans.of(self.route)?;
        let may_refuse = is_for_programs(fields) && !is_crowded();
        let missing = || (may_refuse && plan.missing.is_some()).then_some(End::Missing);
        let times = Times::begin(Some(engine), host);
        self.times = times;
        if route.is_none() {
            *end = missing()?;
        }
        // The refusal of the token for which it is refused.
        let mut own: Option<Refusal> = None;
        let mut limit: Option<(usize, &Rc<dyn Limit>)> = None;
        let mut token: Option<(&Rc<dyn Tokens>, &[u8])> = None;
        // No two lists on one plan allow requests.
        let mut allowed: Option<(usize, &Rc<dyn Rules>, AllowedBy)> = None;
        let mut asked = plan.steps.len();
        let mut counters = [None; MOST_STEPS];
        for (index, step) in plan.steps.iter().enumerate() {
            match step {
                Step::OneOf(cases) => {
                    let case = find(cases, fields, method, host)?;
                    note(&mut counters, index, case.counter);
                }
                Step::Token {
                    slot,
                    prefix,
                    tokens,
                    ..
                } => {
                    let Some(value) = fields.one(*slot) else {
                        *end = missing()?;
                        asked = index;
                        break;
                    };
                    let text = behind(value, prefix)?;
                    note(&mut counters, index, tokens.counter());
                    token = Some((tokens, text));
                    match tokens.judged(text, times.started, host)? {
                        JudgedToken::Accepted(known, its_words) => {
                            (*accepted, *words) = (Some(known), its_words);
                        }
                        JudgedToken::Refused(refused) => {
                            let ends = plan.refuses_token(refused.refusal.reason);
                            *end = ends.filter(|_| may_refuse)?;
                            let (_, route) = route?;
                            let placed = placed(*refused, *end, plan, engine, route)?;
                            (own, *words) = (Some(placed.refusal), placed.words);
                            asked = index.saturating_add(1);
                            break;
                        }
                    }
                }
                Step::Limit(each) => limit = Some((index, each)),
                Step::Rules(rules) => {
                    let head = PlannedHead {
                        host_name: named,
                        method,
                        path,
                        fields,
                        principal: accepted.as_ref().map(|each| &each.principal),
                        connection,
                        arrived: times.started,
                    };
                    let by = rules.allow(&head, host)?;
                    if by != AllowedBy::Default {
                        allowed = Some((index, rules, by));
                    }
                }
                Step::Count(counter) => note(&mut counters, index, Some(*counter)),
                Step::Edit(_) => {}
            }
        }
        let claims = accepted.as_ref();
        let claims = claims.map_or(0, |each| each.principal.memory());
        let detail = own.as_ref().and_then(|refusal| refusal.detail.as_deref());
        let detail = detail.map_or(0, Detail::memory);
        let need = fields.memory().saturating_add(FIXED + GENERAL);
        let need = need.saturating_add(claims).saturating_add(detail);
        let more = need.saturating_sub(self.memory.bytes());
        (more == 0 || self.memory.grow(more)).then_some(())?;
        if let (Some(log), Some((tokens, text)), None) = (&engine.access_log, token, &words) {
            *words = written_words(accepted.as_deref(), own.as_ref(), plan, log, host);
            words.iter().for_each(|words| tokens.note(text, words));
        }
        if let (Some((index, limit)), Some((_, route))) = (limit, route) {
            let caller = Caller {
                route: &route.name,
                method,
                principal: accepted.as_ref().map(|each| &each.principal),
                connection,
            };
            let now = nanoseconds(times.began.unwrap_or_else(|| host.monotonic()));
            let may_refuse = may_refuse && plan.full.is_some();
            let charged = limit.charge(&caller, may_refuse, now, host)?;
            // Records and answers say how the caller stands: it is worked out by what charging has just gone through.
            *standing = Some(limit.standing(&charged));
            if charged.receipt.is_none() {
                *end = End::Full;
                asked = index;
                // By asking, the chain ends at the limit. What comes after it has not been asked: nobody
                // knows whose token that is.
                let is_after = |step: &Step| matches!(step, Step::Token { .. });
                let mut later = plan.steps.iter().skip(index);
                if later.any(is_after) {
                    (*accepted, *words, own) = (None, None, None);
                }
            }
            *charge = Some(charged);
        }
        // From here on it stays on the plan.
        self.memory.shrink_to(need);
        for counter in counters.iter().take(asked).flatten() {
            host.count(*counter);
        }
        if let Some((_, rules, by)) = allowed.filter(|(index, ..)| *index < asked) {
            rules.count(by);
        }
        match plan.refused(*end) {
            None => host.count(Outcome::Allowed.counter()),
            Some(refused) => {
                host.count(Outcome::Denied.counter());
                let counters = refused.counters.into_iter().flatten();
                counters.for_each(|counter| host.count(counter));
            }
        }
        Some((plan, own))
    }
}

/// What records say of a token. It is kept with it, so that it is written once for each.
#[cold]
#[inline(never)]
fn written_words(
    accepted: Option<&AcceptedToken>,
    refused: Option<&Refusal>,
    plan: &Plan,
    log: &AccessLog,
    host: &dyn Host,
) -> Option<Rc<str>> {
    match (
        accepted,
        refused.and_then(|refusal| refusal.detail.as_ref()),
    ) {
        (Some(accepted), _) if plan.record.is_some() => {
            log.words(Some(&accepted.principal), None, host)
        }
        (None, Some(detail)) if plan.token_record.is_some() => {
            log.words(detail.principal.as_ref(), detail.claimed.as_deref(), host)
        }
        _ => None,
    }
}

/// A refused token, with the place of the rule and no more of what it says than records show. None if that
/// has not been read yet.
#[inline(never)]
fn placed(
    refused: RefusedToken,
    end: End,
    plan: &Plan,
    engine: &Engine,
    route: &Route,
) -> Option<RefusedToken> {
    let RefusedToken { refusal, words } = refused;
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
#[inline(always)]
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
        None => is_nowhere(engine, host, path).then_some(None),
    }
}

/// Whether no route is for a request, whatever its method.
#[cold]
#[inline(never)]
fn is_nowhere(engine: &Engine, host: &str, path: &str) -> bool {
    first(engine, host, path, None).is_none()
}

/// The first route that fits, or may: whether it does.
#[inline]
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

/// Notes what the head says of the client's connection.
#[inline]
fn said_of_connection(planned: &mut Planned, engine: &Engine) {
    let fields = &planned.fields;
    let is_tls = fields.one(FORWARDED_PROTO) == Some(b"https");
    planned.connection.note_forwarded(is_tls);
    if let Some(slot) = engine.plans.forwarded_for {
        let client = engine.client_address.forwarded_in(fields.one(slot));
        planned.connection.forward_client(client);
    }
}

/// Notes what is counted of a request that has fitted the step at a place, if it stays on the plan.
#[inline]
fn note(counters: &mut [Option<Counter>; MOST_STEPS], place: usize, counter: Option<Counter>) {
    if let Some(noted) = counters.get_mut(place) {
        *noted = counter;
    }
}

#[inline]
fn nanoseconds(time: Duration) -> u64 {
    const SECOND: u64 = 1_000_000_000;
    const WHOLE: u64 = u64::MAX / SECOND;
    match time.as_secs() {
        seconds @ 0..=WHOLE => (seconds * SECOND).saturating_add(time.subsec_nanos().into()),
        _ => u64::MAX,
    }
}
