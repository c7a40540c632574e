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
    AcceptedToken, AllowedBy, Caller, Charge, Fields, JudgedToken, Limit, PlannedHead,
    RefusedToken, Rules, Step, Tokens,
};
use portcullis_exchange::refusal::{Detail, Refusal, Reply};
use portcullis_wire::budget::{Reservation, Share};

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
    times: Times,
}

impl Judged<'_> {
    /// Has what records say of a token written, and kept with it. Once for each token.
    #[cold]
    #[inline(never)]
    fn write_words(&mut self, log: &AccessLog, tokens: &dyn Tokens, text: &[u8], host: &dyn Host) {
        if let Some(accepted) = &mut self.accepted
            && accepted.words.is_none()
            && self.plan.record.is_some()
        {
            let words = log.words(Some(&accepted.principal), None, host);
            words.iter().for_each(|words| tokens.note(text, words));
            accepted.words = words;
        }
        if let Some(refused) = &mut self.refused
            && let Some(detail) = &refused.refusal.detail
            && refused.words.is_none()
            && self.plan.token_record.is_some()
        {
            let (principal, claimed) = (detail.principal.as_ref(), detail.claimed.as_deref());
            let words = log.words(principal, claimed, host);
            words.iter().for_each(|words| tokens.note(text, words));
            refused.words = words;
        }
    }
}

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
        match PlannedStream::judge(&engine, memory, block, host) {
            Ok((on_plan, reply)) => {
                self.go_on_from(on_plan);
                Ok(reply.map(PlannedReply::into_reply))
            }
            Err((block, memory)) => {
                self.memory = memory;
                Err(block)
            }
        }
    }
}

/// A request on its plan, and what is sent in place of the upstream's answer, if something is.
pub type JudgedByPlan = (PlannedStream, Option<PlannedReply>);

impl PlannedStream {
    /// Judges the head of a request by the plan of its route, in memory that has been reserved for it. What is
    /// sent in place of the upstream's answer; none if the request goes on, with its
    /// [changes](PlannedStream::changes).
    ///
    /// # Errors
    /// The fields and the memory, as they were handed over, where no plan knows all of the request. Nothing has
    /// been changed or counted.
    #[inline]
    pub fn judge(
        engine: &Rc<Engine>,
        mut memory: Reservation,
        block: Vec<u8>,
        host: &dyn Host,
    ) -> Result<JudgedByPlan, (Vec<u8>, Reservation)> {
        let Some(names) = &engine.plans.names else {
            return Err((block, memory));
        };
        let mut fields = match names.read(block) {
            Ok(fields) => fields,
            Err(block) => return Err((block, memory)),
        };
        let mut connection = connection(engine, &fields);
        let judged = judge_by_plan(engine, &mut memory, &fields, &connection, host);
        let Some(judged) = judged else {
            return Err((fields.into_block(), memory));
        };
        let Judged {
            route,
            plan,
            host_length,
            accepted,
            refused,
            charge,
            end,
            mut times,
        } = judged;
        let (refusal, refused_words) = match refused {
            Some(RefusedToken { refusal, words }) => (Some(refusal), words),
            None => (None, None),
        };
        let chain = route.and_then(|route| engine.routes.get(route));
        let chain = chain.map_or(&engine.fallback, |route| &route.chain);
        connection.trust_forwarded_proto(chain.trusts_forwarded_proto);
        // A client that sends much and then waits has no more of the budget than what is kept.
        let whole = fields.memory();
        fields.keep(names.kept().map(|(_, slot)| slot));
        let gone = whole.saturating_sub(fields.memory());
        if gone > 0 {
            memory.shrink_to(memory.bytes().saturating_sub(gone));
        }
        engine.plans.take();
        times.head_judged(engine, host);
        let mut on_plan = Self {
            engine: Rc::clone(engine),
            times,
            route,
            refusal: None,
            planned: Planned {
                fields,
                host_length,
                accepted,
                refused_words,
                charge,
                end,
                connection,
                standing: OnceCell::new(),
                general: OnceCell::new(),
            },
            memory,
        };
        // Records and answers say how the caller stands: it is worked out by what charging has just gone through.
        let _ = on_plan.planned.standing(plan);
        let reply = plan
            .refused(end)
            .map(|refused| on_plan.refuse(refused, refusal, plan, host));
        Ok((on_plan, reply))
    }

    /// Notes why a request is refused. What the client gets.
    #[inline(never)]
    fn refuse(
        &mut self,
        refused: &Refused,
        own: Option<Refusal>,
        plan: &Plan,
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
        self.planned.reply(refused, plan, &self.engine, host)
    }
}

/// What a plan comes to, charged and counted. None if the request leaves it, and nothing is.
#[inline(always)]
fn judge_by_plan<'e>(
    engine: &'e Engine,
    memory: &mut Reservation,
    fields: &Fields,
    connection: &Connection,
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
    let times = Times::begin(Some(engine), host);
    let mut judged = Judged {
        times,
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
                    judged.end = missing()?;
                    asked = index;
                    break;
                };
                let text = behind(value, prefix)?;
                note(&mut counters, index, tokens.counter());
                let now = times.started;
                token = Some((tokens, text));
                match tokens.judged(text, now, host)? {
                    JudgedToken::Accepted(accepted) => judged.accepted = Some(accepted),
                    JudgedToken::Refused(refused) => {
                        let end = plan.refuses_token(refused.refusal.reason);
                        judged.end = end.filter(|_| may_refuse)?;
                        let route = route.map(|(_, route)| route);
                        let placed = placed(refused, judged.end, plan, engine, route?);
                        judged.refused = Some(placed?);
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
                    principal: judged.accepted.as_ref().map(|each| &each.principal),
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
    let claims = judged.accepted.as_ref();
    let claims = claims.map_or(0, |each| each.principal.memory());
    let detail = judged.refused.as_ref();
    let detail = detail.and_then(|each| each.refusal.detail.as_deref());
    let detail = detail.map_or(0, Detail::memory);
    let need = [FIXED, GENERAL, fields.memory(), claims, detail];
    let need = need.into_iter().fold(0, usize::saturating_add);
    let more = need.saturating_sub(memory.bytes());
    (more == 0 || memory.grow(more)).then_some(())?;
    if let (Some(log), Some((tokens, text))) = (&engine.access_log, token) {
        let lacks_words = match (&judged.accepted, &judged.refused) {
            (Some(accepted), _) => accepted.words.is_none(),
            (None, Some(refused)) => refused.words.is_none(),
            (None, None) => false,
        };
        if lacks_words {
            judged.write_words(log, &**tokens, text, host);
        }
    }
    if let (Some((index, limit)), Some((_, route))) = (limit, route) {
        let caller = Caller {
            route: &route.name,
            method,
            principal: judged.accepted.as_ref().map(|each| &each.principal),
            connection,
        };
        let now = nanoseconds(times.began.unwrap_or_else(|| host.monotonic()));
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
    memory.shrink_to(need);
    for counter in counters.iter().take(asked).flatten() {
        host.count(*counter);
    }
    if let Some((_, rules, by)) = allowed.filter(|(index, ..)| *index < asked) {
        rules.count(by);
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
        None => match first(engine, host, path, None) {
            Some(_) => None,
            None => Some(None),
        },
    }
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

#[inline]
fn connection(engine: &Engine, fields: &Fields) -> Connection {
    let says = |slot, what: &[u8]| fields.one(slot) == Some(what);
    let mut connection = Connection::said(
        says(Shown::SCHEME, b"https"),
        says(FORWARDED_PROTO, b"https"),
    );
    let line = engine.plans.forwarded_for.and_then(|slot| fields.one(slot));
    connection.forward_client(engine.client_address.forwarded_in(line));
    connection
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
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}
