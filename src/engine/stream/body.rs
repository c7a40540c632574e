//! The request's body on its way through the policies that wait for it.

use std::rc::Rc;

use super::beside::ReadOnlyHost;
use super::judge::By;
use super::overrides::{strip_explain_trailer, strip_reserved_trailers};
use super::settle::{Flow, Stop, settle};
use super::{Action, PauseReason, Stream};
use crate::engine::{Engine, Lane, Step};
use crate::record::ShadowRefusal;
use portcullis_exchange::body::{
    BodyCopy, BodyNeed, BufferedBody, HostBuffer, Inspection, RequestBody, ResponseBody, UnderWay,
};
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::exchange::{BodyProgress, BodyState, Edit, Facts};
use portcullis_exchange::host::{Host, Side};
use portcullis_exchange::policy::Verdict;
use portcullis_exchange::refusal::Refusal;
use portcullis_exchange::refusal::core::WAIT;
use portcullis_wire::headers::Headers;

/// A policy that waits for the body, by its place in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Awaiting {
    pub(super) lane: Lane,
    pub(super) step: usize,
    pub(super) mode: Mode,
    pub(super) need: BodyNeed,
}

/// How much of a body has come.
#[derive(Default)]
pub(super) struct StreamedBody {
    pub(super) size: u64,
    pub(super) held: bool,
    /// Set when some of it has come while the request waits in its chain: whether that is all.
    pub(super) meanwhile: Option<BodyState>,
    /// What has passed on.
    kept: Option<BodyCopy>,
    /// What policies know of it, by their places.
    under_way: Vec<((Lane, usize), UnderWay)>,
}

impl Awaiting {
    /// A policy in shadow mode looks on; it must not make the proxy hold a body.
    fn holds(&self) -> bool {
        self.mode == Mode::Enforce && self.need.holds()
    }

    /// Whether what it says is carried out.
    pub(super) fn is_enforced(&self) -> bool {
        self.mode == Mode::Enforce && self.lane == Lane::InForce
    }

    /// Whether it refuses when the bytes of a body of that size cannot be had.
    pub(super) fn needs_bytes(&self, progress: BodyProgress) -> bool {
        self.mode == Mode::Enforce && self.need.most() >= progress.size.max(1)
    }
}

/// A piece of a body that is kept.
pub(super) fn held() -> Action {
    Action::Pause {
        edits: Vec::new(),
        reason: PauseReason::Body,
    }
}

/// Whether the proxy is to hold a body for these policies.
pub(super) fn holds(awaiting: &[Awaiting]) -> bool {
    awaiting.iter().any(Awaiting::holds)
}

/// How many bytes these policies want to read.
pub(super) fn most(awaiting: &[Awaiting]) -> u64 {
    let needs = awaiting.iter().map(|waiting| waiting.need.most());
    needs.max().unwrap_or(0)
}

impl StreamedBody {
    /// Counts what has come: `size` is what the proxy says. While it holds the body it counts in
    /// total; while the body streams, by pieces.
    pub(super) fn arrived(&mut self, size: u64) {
        self.size = if self.held {
            size
        } else {
            self.size.saturating_add(size)
        };
    }

    pub(super) fn progress(&self, state: BodyState) -> BodyProgress {
        let size = self.size;
        BodyProgress { size, state }
    }

    /// What is still in the proxy when trailers come: what streamed has gone.
    pub(super) fn at_trailers<'h>(&self, rest: HostBuffer<'h>) -> Option<HostBuffer<'h>> {
        self.held.then_some(rest)
    }

    /// What a policy knows of it.
    fn under_way(&mut self, waiting: Awaiting) -> UnderWay {
        let place = (waiting.lane, waiting.step);
        let mut known = self.under_way.iter();
        let found = known.position(|(each, _)| *each == place)?;
        self.under_way.swap_remove(found).1
    }

    /// Keeps what a policy knows of it.
    fn keep_under_way(&mut self, waiting: Awaiting, known: UnderWay) {
        if known.is_some() {
            let place = (waiting.lane, waiting.step);
            self.under_way.push((place, known));
        }
    }

    /// Forgets what policies know of it: nobody waits for it any more.
    pub(super) fn is_judged(&mut self) {
        self.under_way = Vec::new();
    }

    pub(super) fn take_kept(&mut self) -> Option<BodyCopy> {
        self.kept.take()
    }

    /// Lets the piece at hand pass, or has it held, as those who still wait for more need it.
    pub(super) fn go_on(
        &mut self,
        awaiting: &[Awaiting],
        kept: Option<BodyCopy>,
        rest: HostBuffer<'_>,
    ) -> Action {
        self.held = holds(awaiting);
        if self.held {
            return held();
        }
        let most = most(awaiting);
        if most > 0 {
            let mut kept = kept.unwrap_or_default();
            kept.push(rest, self.size, most);
            self.kept = Some(kept);
        }
        Action::Continue(Vec::new())
    }
}

impl Stream {
    /// Whether [`Stream::on_request_body`] has anything to do, or to hold, when a piece of the body comes.
    /// It does not begin to without having been asked for the head.
    pub fn minds_request_body(&self) -> bool {
        self.is_paused() || self.has_replied() || !self.awaiting.is_empty()
    }

    /// Judges the body. `size` is what the proxy says has come: all of it while it is held,
    /// the piece at hand while it streams.
    pub fn on_request_body(&mut self, size: u64, state: BodyState, host: &dyn Host) -> Action {
        if self.is_paused() {
            self.body.comes_meanwhile(state);
            self.body.arrived(size);
            return held();
        }
        self.body.arrived(size);
        let side = Side::Request;
        let before = self.before_body(side, host);
        let action = self.judge_body(state, Some(HostBuffer { host, side }), host);
        self.after_body(side, before, host);
        action
    }

    /// Judges the body when trailers end it: the body callback never says so then. The edits are of the
    /// trailers.
    pub fn on_request_trailers(&mut self, trailers: &Headers, host: &dyn Host) -> Action {
        if self.is_paused() {
            self.body.comes_meanwhile(BodyState::Complete);
            return Action::Pause {
                edits: self.edit_trailers(trailers),
                reason: PauseReason::Body,
            };
        }
        let side = Side::Request;
        let before = self.before_body(side, host);
        let rest = self.body.at_trailers(HostBuffer { host, side });
        let action = self.judge_body(BodyState::Complete, rest, host);
        self.after_body(side, before, host);
        match action {
            Action::Continue(_) => Action::Continue(self.edit_trailers(trailers)),
            action => action,
        }
    }

    /// Takes out of trailers what the service must not get there. A document in shadow mode takes out what asks
    /// for an explanation alone.
    fn edit_trailers(&self, trailers: &Headers) -> Vec<Edit> {
        let Some(engine) = &self.engine else {
            return Vec::new();
        };
        let mut edits = strip_explain_trailer(engine, trailers);
        if engine.mode == Mode::Enforce {
            edits.extend(strip_reserved_trailers(engine, trailers));
        }
        edits
    }

    /// Whether the head waits for the body.
    pub(super) fn holds_head(&self, engine: &Engine) -> bool {
        engine.inspection == Inspection::HoldHeaders && holds(&self.awaiting)
    }

    pub(super) fn judge_body(
        &mut self,
        state: BodyState,
        at_hand: Option<HostBuffer<'_>>,
        host: &dyn Host,
    ) -> Action {
        if self.has_replied() {
            return held();
        }
        if self.awaiting.is_empty() {
            return Action::Continue(Vec::new());
        }
        let (kept, waited) = (self.body.take_kept(), self.awaits_body());
        let progress = self.body.progress(state);
        let content = BufferedBody::new(progress, most(&self.awaiting), kept, at_hand);
        let awaiting = std::mem::take(&mut self.awaiting);
        match self.ask_all(Side::Request, awaiting, progress, &content, host) {
            Ok(awaiting) => self.awaiting = awaiting,
            Err((stop, by)) => {
                self.body.is_judged();
                return self.stop(stop, by, host);
            }
        }
        if state == BodyState::Complete {
            self.awaiting.clear();
            self.body.is_judged();
        }
        if waited && !self.awaits_body() {
            self.allow(host);
        }
        match at_hand {
            Some(rest) => self.body.go_on(&self.awaiting, content.into_kept(), rest),
            None => Action::Continue(Vec::new()),
        }
    }

    /// Asks every policy that waits for a body: the policies that go on waiting, or what stops the message.
    pub(super) fn ask_all(
        &mut self,
        side: Side,
        awaiting: Vec<Awaiting>,
        progress: BodyProgress,
        content: &BufferedBody<'_>,
        host: &dyn Host,
    ) -> Result<Vec<Awaiting>, (Stop, Option<By>)> {
        let mut still = Vec::new();
        let Some(engine) = self.engine.as_ref().map(Rc::clone) else {
            return Ok(still);
        };
        for waiting in awaiting {
            let lane = self.chain(&engine).lane(waiting.lane);
            let Some(step) = lane.get(waiting.step) else {
                continue;
            };
            let verdict = self.ask(step, side, waiting, progress, content, host);
            if let Some(failure) = content.failed() {
                match waiting.mode {
                    Mode::Enforce if waiting.needs_bytes(progress) => {
                        return Err((Stop::Refuse(failure.refusal()), None));
                    }
                    Mode::Enforce => {}
                    Mode::Shadow => continue,
                }
            }
            let by = By {
                step: waiting.step,
                name: step.name,
            };
            match settle(step.placed_in(verdict), waiting.mode) {
                Flow::GoOn | Flow::Skip => {}
                Flow::Await(need) => still.push(Awaiting { need, ..waiting }),
                Flow::Rewrite(rewrite) if side == Side::Response => {
                    let is_enforced = waiting.is_enforced();
                    self.rewrite(rewrite, step.name, is_enforced, progress.state)?;
                }
                Flow::Rewrite(_) => return Err((Stop::Refuse(Refusal::new(&WAIT)), Some(by))),
                Flow::Note(refusal) => {
                    let by = Some((step.name, waiting.lane));
                    self.note(ShadowRefusal::new(refusal, by), host);
                }
                Flow::Stop(stop) => return Err((stop, Some(by))),
            }
        }
        Ok(still)
    }

    fn ask(
        &mut self,
        step: &Step,
        side: Side,
        waiting: Awaiting,
        progress: BodyProgress,
        content: &BufferedBody<'_>,
        host: &dyn Host,
    ) -> Verdict {
        let mut under_way = self.body_of(side).under_way(waiting);
        let mut ask = |facts: &mut Facts, host: &dyn Host| {
            let under_way = &mut under_way;
            let (request, need) = (&self.headers, waiting.need);
            match side {
                Side::Request => {
                    let mut body = RequestBody {
                        request,
                        facts,
                        progress,
                        need,
                        content,
                        under_way,
                    };
                    step.policy.request_body(&mut body, host)
                }
                Side::Response => {
                    let mut body = ResponseBody {
                        request,
                        facts,
                        progress,
                        need,
                        content,
                        under_way,
                    };
                    step.policy.response_body(&mut body, host)
                }
            }
        };
        let verdict = match waiting.lane {
            Lane::InForce if step.only_looks(waiting.mode) => {
                ask(&mut self.facts, &ReadOnlyHost(host))
            }
            Lane::InForce => ask(&mut self.facts, host),
            Lane::Beside => {
                let mut facts = self.beside.take(step.kind, &self.facts);
                if facts.graphql().is_none() {
                    facts.note_graphql(self.facts.graphql().cloned());
                }
                let verdict = ask(&mut facts, &ReadOnlyHost(host));
                self.beside.put(step.kind, facts);
                verdict
            }
        };
        self.body_of(side).keep_under_way(waiting, under_way);
        verdict
    }

    fn body_of(&mut self, side: Side) -> &mut StreamedBody {
        match side {
            Side::Request => &mut self.body,
            Side::Response => &mut self.response.body,
        }
    }
}
