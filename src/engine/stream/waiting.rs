//! A request that waits in the midst of its chain, see [`portcullis_exchange::wait`].

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::time::Duration;

use super::body::StreamedBody;

use super::{Action, PauseReason, Stream};
use crate::engine::Lane;
use portcullis_exchange::asked::{Asked, Asker};
use portcullis_exchange::body::HostBuffer;
use portcullis_exchange::call::{CallError, CallResponse, Token};
use portcullis_exchange::exchange::{BodyState, Edit};
use portcullis_exchange::host::{Host, Side};
use portcullis_exchange::refusal::core::{NO_MEMORY, WAIT};
use portcullis_exchange::refusal::{Reason, Refusal};
use portcullis_exchange::wait::{GRACE, LONGEST, MOST, MOST_OF_ASKER, MOST_OF_REQUEST, Wait, Wake};
use portcullis_wire::budget;
use portcullis_wire::budget::{Reservation, Share};
use portcullis_wire::effort;
use portcullis_wire::headers::HeaderValue;

/// Where judging a head is, and goes on when a wait is over.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct ResumePoint {
    /// The place of the route, once it has been chosen.
    pub(super) route: Option<usize>,
    /// The step that is asked next, or waits.
    pub(super) step: usize,
    /// What policies before it want changed.
    pub(super) edits: Vec<Edit>,
    /// The path that the service gets, if it is another than the client's.
    pub(super) merged: Option<HeaderValue>,
    /// If it is a preflight: every route that the request in question may take.
    pub(super) asked: Option<Vec<usize>>,
    /// What is left of the effort.
    pub(super) effort: u64,
    /// The same for steps that are tried.
    pub(super) effort_of_tried: u64,
    /// Whether a body was to follow the head.
    pub(super) body: BodyState,
}

/// A request that waits.
pub(super) struct Paused {
    place: ResumePoint,
    /// When the wait ends at the latest.
    deadline: Duration,
    /// Whether that is what it waits for; else it waits for a call.
    is_timed: bool,
    /// How long the call may take.
    timeout: Duration,
    /// Since when the call is under way that is waited for; none while it has to be made again.
    runs_since: Option<Duration>,
    /// The call, once it has been made.
    token: Option<Token>,
    /// Since when it waits.
    began: Duration,
    /// None of one that waits for its turn: its policy holds its place.
    _slot: Option<Slot>,
    _memory: Reservation,
}

/// One of the [`MOST`] that may wait at once, and of the [`MOST_OF_ASKER`] that may for one asker.
struct Slot(Option<Asker>);

thread_local! {
    static WAITING: Cell<usize> = const { Cell::new(0) };
    /// How many wait for each that any does for.
    static WAITING_FOR: RefCell<BTreeMap<Asker, usize>> = const { RefCell::new(BTreeMap::new()) };
}

impl Slot {
    fn take(asker: Option<Asker>) -> Option<Self> {
        let all = waiting();
        if all >= MOST {
            return None;
        }
        if let Some(asker) = asker {
            WAITING_FOR.with_borrow_mut(|each| {
                let many = each.entry(asker).or_default();
                (*many < MOST_OF_ASKER).then(|| *many = many.saturating_add(1))
            })?;
        }
        WAITING.set(all.saturating_add(1));
        Some(Self(asker))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        WAITING.set(waiting().saturating_sub(1));
        if let Some(asker) = self.0 {
            WAITING_FOR.with_borrow_mut(|each| {
                let left = each.get(&asker).map_or(0, |many| many.saturating_sub(1));
                match left {
                    0 => each.remove(&asker),
                    left => each.insert(asker, left),
                }
            });
        }
    }
}

/// How many requests of this VM wait.
pub fn waiting() -> usize {
    WAITING.with(Cell::get)
}

impl ResumePoint {
    /// Before the chain.
    pub(super) fn head(merged: Option<HeaderValue>, body: BodyState) -> Self {
        Self {
            route: None,
            step: 0,
            edits: Vec::new(),
            merged,
            asked: None,
            effort: effort::HEAD,
            effort_of_tried: effort::HEAD,
            body,
        }
    }

    fn memory(&self) -> usize {
        let values = self.edits.iter().filter_map(Edit::value);
        let values = values.map(|value| value.as_bytes().len());
        let lists = [
            self.edits.capacity().saturating_mul(size_of::<Edit>()),
            self.asked
                .as_ref()
                .map_or(0, Vec::capacity)
                .saturating_mul(8),
            size_of::<Paused>(),
        ];
        values.chain(lists).fold(0, usize::saturating_add)
    }
}

/// The waits of a request in the midst of its chain.
#[derive(Debug, Default)]
pub(super) struct Waits {
    /// How often it has waited for calls.
    count: u32,
    /// For how long, in waits that are over.
    pub(super) time: Duration,
}

impl Waits {
    fn note(&mut self, time: Duration) {
        self.time = self.time.saturating_add(time);
    }
}

impl Stream {
    /// Keeps the request until the wait is over; a refusal, if it may not wait.
    pub(super) fn pause(&mut self, mut wait: Wait, place: ResumePoint, host: &dyn Host) -> Action {
        let paused = self.paused_at(&mut wait, place, host);
        match paused {
            Ok(paused) => {
                // Kept apart, for all of them are large and few streams wait.
                self.paused = Some(Box::new(paused));
                Action::Pause {
                    edits: Vec::new(),
                    reason: PauseReason::Wait(wait),
                }
            }
            Err((step, reason)) => {
                self.stands_at(step);
                self.refuse(Refusal::new(reason), None, host)
            }
        }
    }

    /// That step waited and was not asked again, and nobody was asked after it.
    pub(super) fn stands_at(&mut self, step: usize) {
        self.decision.ended_at = Some(step);
        self.skipped.push((Lane::InForce, step));
    }

    fn paused_at(
        &mut self,
        wait: &mut Wait,
        place: ResumePoint,
        host: &dyn Host,
    ) -> Result<Paused, (usize, &'static Reason)> {
        let step = place.step;
        if !matches!(wait, Wait::Turn(_)) {
            let waits = &mut self.waits.get_or_insert_default().count;
            *waits = waits.saturating_add(1);
        }
        let now = host.monotonic();
        let (deadline, timeout) = match wait {
            Wait::Response(call) | Wait::Shared(call) => {
                call.timeout = call.timeout.min(LONGEST);
                let until = now.saturating_add(call.timeout);
                (until.saturating_add(GRACE), Some(call.timeout))
            }
            Wait::Until(time) | Wait::Turn(time) => (*time, None),
        };
        let asker = match wait {
            Wait::Shared(_) => self.facts.asked.asker(),
            Wait::Response(_) | Wait::Until(_) | Wait::Turn(_) => None,
        };
        let is_turn = matches!(wait, Wait::Turn(_));
        if self
            .waits
            .as_ref()
            .is_some_and(|waits| waits.count > MOST_OF_REQUEST)
            || deadline > now.saturating_add(LONGEST).saturating_add(GRACE)
        {
            return Err((step, &WAIT));
        }
        let slot = match is_turn {
            true => None,
            false => Some(Slot::take(asker).ok_or((step, &WAIT))?),
        };
        let memory = place.memory().saturating_add(Asked::MEMORY);
        let memory = budget::reserve(Share::Streams, memory).ok_or((step, &NO_MEMORY))?;
        // All of the head is kept: policies behind this one may ask for it.
        if !self.reserve_kept() {
            return Err((step, &NO_MEMORY));
        }
        Ok(Paused {
            place,
            deadline,
            is_timed: timeout.is_none(),
            timeout: timeout.unwrap_or_default(),
            runs_since: Some(now),
            token: None,
            began: now,
            _slot: slot,
            _memory: memory,
        })
    }

    /// Notes how long a request has waited that still does, when it ends.
    pub(super) fn note_wait(&mut self, host: &dyn Host) {
        if let Some(paused) = &self.paused {
            let waited = host.monotonic().saturating_sub(paused.began);
            self.waits.get_or_insert_default().note(waited);
        }
    }

    /// Whether the request waits in the midst of its chain.
    pub fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// The step at which it waits.
    pub(super) fn paused_step(&self) -> Option<usize> {
        self.paused.as_ref().map(|paused| paused.place.step)
    }

    /// When the wait ends at the latest, on the clock that does not step; none if it does not wait.
    pub fn deadline(&self) -> Option<Duration> {
        self.paused.as_ref().map(|paused| paused.deadline)
    }

    /// The call that the request waits for has been made.
    pub fn called(&mut self, token: Token) {
        if let Some(paused) = &mut self.paused {
            paused.token = Some(token);
            self.facts.asked.made();
        }
    }

    /// Since when the call is under way that the request waits for, on the clock that does not step: it may have
    /// been made again. None if it has yet to be.
    pub fn call_runs_since(&mut self, since: Option<Duration>) {
        if let Some(paused) = &mut self.paused {
            paused.runs_since = since;
        }
    }

    /// The call that the request waits for cannot be made: what is to be done.
    pub fn not_called(&mut self, error: CallError, host: &dyn Host) -> Option<Action> {
        self.wake(Wake::Response(Err(error)), host)
    }

    /// Whether the request waits for the end of that call.
    pub fn awaits_call(&self, token: Token) -> bool {
        let paused = self.paused.as_ref();
        paused.is_some_and(|paused| paused.token == Some(token))
    }

    /// A call has ended: what is to be done, if the request waits for it.
    pub fn received(
        &mut self,
        token: Token,
        response: Result<CallResponse<'_>, CallError>,
        host: &dyn Host,
    ) -> Option<Action> {
        match self.awaits_call(token) {
            true => self.wake(Wake::Response(response), host),
            false => None,
        }
    }

    /// Time has passed: what is to be done, if that ends a wait.
    pub fn passed(&mut self, now: Duration, host: &dyn Host) -> Option<Action> {
        let paused = self.paused.as_ref()?;
        if now < paused.deadline {
            return None;
        }
        let wake = match paused.is_timed {
            true => Wake::Time,
            false => {
                let ran = paused.runs_since.map(|since| now.saturating_sub(since));
                Wake::Response(Err(match ran {
                    Some(ran) if ran >= paused.timeout => CallError::Timeout,
                    _ => CallError::CutShort,
                }))
            }
        };
        self.wake(wake, host)
    }

    fn wake(&mut self, wake: Wake<'_>, host: &dyn Host) -> Option<Action> {
        if self.responded {
            return None;
        }
        let paused = self.paused.take()?;
        let engine = self.engine.clone()?;
        let Paused { place, began, .. } = *paused;
        let waited = host.monotonic().saturating_sub(began);
        self.waits.get_or_insert_default().note(waited);
        let judgement = self.judge_head(&engine, place, Some(wake), host);
        let action = self.settle_head(&engine, judgement, host);
        Some(self.catch_up(action, host))
    }

    /// Judges what has come of the body while the request waited.
    fn catch_up(&mut self, action: Action, host: &dyn Host) -> Action {
        let edits = match action {
            Action::Continue(edits) => edits,
            Action::Pause {
                edits,
                reason: PauseReason::Body,
            } => edits,
            action => return action,
        };
        let Some(state) = self.body.came_meanwhile() else {
            return match self.holds_head_now() {
                true => Action::Pause {
                    edits,
                    reason: PauseReason::Body,
                },
                false => Action::Continue(edits),
            };
        };
        let side = Side::Request;
        let before = self.before_body(side, host);
        let action = self.judge_body(state, Some(HostBuffer { host, side }), host);
        self.after_body(side, before, host);
        match action {
            Action::Continue(_) => Action::Continue(edits),
            Action::Pause { reason, .. } => Action::Pause { edits, reason },
            action => action,
        }
    }

    fn holds_head_now(&self) -> bool {
        let engine = self.engine.as_ref();
        engine.is_some_and(|engine| self.holds_head(engine))
    }
}

impl StreamedBody {
    /// Whether something of it came while the request waited, all of which the proxy has at hand.
    fn came_meanwhile(&mut self) -> Option<BodyState> {
        self.meanwhile.take()
    }

    /// Notes that it, or a part of it, comes while the request waits. The proxy holds it.
    pub(super) fn comes_meanwhile(&mut self, state: BodyState) {
        self.held = true;
        self.meanwhile = Some(state);
    }
}

#[cfg(test)]
mod introspection;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod turns;
