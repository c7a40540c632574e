//! The request's body on its way through the policies that wait for it.

use std::rc::Rc;

use super::{Action, Stream};
use crate::body::{BodyNeed, Content, Kept, RequestBody, Rest};
use crate::engine::Mode;
use crate::exchange::{BodyProgress, BodyState, Request};
use crate::host::{Host, Side};
use crate::policy::Verdict;

/// A policy that waits for the body, by its place in the chain.
#[derive(Clone, Copy)]
pub(super) struct Awaiting {
    pub(super) step: usize,
    pub(super) mode: Mode,
    pub(super) need: BodyNeed,
}

/// How much of the body has come. While the proxy holds it, the proxy counts in total; while it
/// streams, by pieces.
#[derive(Default)]
pub(super) struct Body {
    size: u64,
    held: bool,
    /// What has passed on.
    kept: Option<Kept>,
}

impl Awaiting {
    /// A policy in shadow mode looks on; it must not make the proxy hold a body.
    fn holds(&self) -> bool {
        self.mode == Mode::Enforce && self.need.holds()
    }
}

impl Stream {
    /// Judges the body. `size` is what the proxy says has come: all of it while it is held,
    /// the piece at hand while it streams.
    pub fn request_body(&mut self, size: u64, state: BodyState, host: &dyn Host) -> Action {
        self.body.size = if self.body.held {
            size
        } else {
            self.body.size.saturating_add(size)
        };
        let side = Side::Request;
        self.judge_body(state, Some(Rest { host, side }), host)
    }

    /// Judges the body when trailers end it: the body callback never says so then.
    pub fn request_trailers(&mut self, host: &dyn Host) -> Action {
        let side = Side::Request;
        // What streamed has gone; what was held is still there.
        let rest = self.body.held.then_some(Rest { host, side });
        self.judge_body(BodyState::Complete, rest, host)
    }

    /// Whether the proxy is to hold the body that has begun to come.
    pub(super) fn holds_body(&self) -> bool {
        self.awaiting.iter().any(Awaiting::holds)
    }

    fn judge_body(
        &mut self,
        state: BodyState,
        at_hand: Option<Rest<'_>>,
        host: &dyn Host,
    ) -> Action {
        if self.record.refusal.is_some() || self.record.answered_by.is_some() {
            return Action::Hold(Vec::new());
        }
        if self.awaiting.is_empty() {
            return Action::Continue(Vec::new());
        }
        let size = self.body.size;
        let kept = self.body.kept.take();
        let progress = BodyProgress { size, state };
        let content = Content::new(progress, self.most(), kept.as_ref(), at_hand);
        if let Some(stop) = self.ask_all(progress, &content, host) {
            return stop;
        }
        if state == BodyState::Complete {
            self.awaiting.clear();
        }
        if self.awaiting.is_empty() {
            self.allow(host);
        }
        self.body.held = self.holds_body();
        if self.body.held {
            return Action::Hold(Vec::new());
        }
        if let (Some(engine), 1..) = (&self.engine, self.most()) {
            let mut kept = kept.unwrap_or_else(|| Kept::new(&engine.ledger));
            kept.push(host.body(Side::Request), self.most());
            self.body.kept = Some(kept);
        }
        Action::Continue(Vec::new())
    }

    /// How many bytes the policies that wait want to read.
    fn most(&self) -> u64 {
        let needs = self.awaiting.iter().map(|waiting| waiting.need.most());
        needs.max().unwrap_or(0)
    }

    /// Asks every policy that waits; what ends the request, if something does.
    fn ask_all(
        &mut self,
        progress: BodyProgress,
        content: &Content<'_>,
        host: &dyn Host,
    ) -> Option<Action> {
        for waiting in std::mem::take(&mut self.awaiting) {
            let Some((name, verdict)) = self.ask(waiting, progress, content, host) else {
                continue;
            };
            match (verdict, waiting.mode) {
                (_, Mode::Enforce) if content.failed() => return Some(self.host_failed(host)),
                (_, Mode::Shadow) if content.failed() => {}
                (Verdict::Pass, _) => {}
                (Verdict::AwaitBody(need), _) => self.awaiting.push(Awaiting { need, ..waiting }),
                (Verdict::Refuse(refusal), Mode::Enforce) => {
                    return Some(self.refuse(refusal, Some(name), host));
                }
                (Verdict::Refuse(refusal), Mode::Shadow) => self.shadow(&refusal, Some(name), host),
                (Verdict::Answer(reply), Mode::Enforce) => {
                    return Some(self.answer(reply, name, host));
                }
                (Verdict::Answer(_), Mode::Shadow) => {}
            }
        }
        None
    }

    fn ask(
        &mut self,
        waiting: Awaiting,
        progress: BodyProgress,
        content: &Content<'_>,
        host: &dyn Host,
    ) -> Option<(&'static str, Verdict)> {
        let engine = self.engine.as_ref().map(Rc::clone)?;
        let step = engine
            .routes
            .get(self.route?)?
            .chain
            .steps
            .get(waiting.step)?;
        let mut body = RequestBody {
            request: Request {
                headers: &self.headers,
                target: self.target.as_ref()?,
            },
            facts: &mut self.facts,
            progress,
            content,
        };
        Some((step.name, step.policy.request_body(&mut body, host)))
    }
}
