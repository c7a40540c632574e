//! The response on its way back: its head, shaped, and its body, judged.

use std::time::Duration;

use super::body::{Awaiting, StreamedBody, held, holds, most};
use super::judge::By;
use super::settle::Stop;
use super::{Action, Stream};
use crate::engine::{Chain, Engine, Lane};
use crate::record::Redaction;
use portcullis_exchange::body::{BufferedBody, HostBuffer, Inspection};
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::exchange::{Author, BodyState, Edit, Response};
use portcullis_exchange::host::{Failure, Host, Side};
use portcullis_exchange::policy::Policy;
use portcullis_exchange::refusal::core::{BODY_NOT_SHOWN, WAIT};
use portcullis_exchange::refusal::{Refusal, Reply};
use portcullis_exchange::rewrite::Rewrite;
use portcullis_wire::headers::Headers;

/// What is to become of the head of a response.
#[derive(Debug, Default)]
pub struct ResponseHead {
    /// Changes to its fields.
    pub edits: Vec<Edit>,
    /// What goes out in place of its body.
    pub body: Option<Vec<u8>>,
    /// Whether it waits until its body has been judged.
    pub held: bool,
}

/// The body of the service's response, as far as it is judged.
#[derive(Default)]
pub(super) struct JudgedResponse {
    awaiting: Vec<Awaiting>,
    pub(super) body: StreamedBody,
    /// How long it has been judged.
    pub(super) judging: Duration,
    refused: bool,
    /// What goes out in its place, once all have judged it.
    rewrite: Option<Box<Rewrite>>,
    /// Whether another body goes out in place of its own.
    replaced: bool,
}

impl JudgedResponse {
    /// Lets go of what is kept of it.
    pub(super) fn end(&mut self) {
        self.body.take_kept();
    }

    /// Whether a policy still waits for more of it.
    pub(super) fn awaits(&self) -> bool {
        !self.awaiting.is_empty()
    }
}

impl Stream {
    /// Whether [`Stream::on_response_headers`] is to be given the response's fields.
    pub fn reads_response(&self) -> bool {
        let engine = self.engine.as_deref();
        !self.has_replied() && engine.is_some_and(|engine| self.chain(engine).reads_response)
    }

    /// Shapes the head of the service's response. `rest` is complete when nothing will follow the
    /// head. Of a reply of ours, which proxies may take back through here, nothing is left to do.
    pub fn on_response_headers(
        &mut self,
        headers: Option<&Headers>,
        rest: BodyState,
        host: &dyn Host,
    ) -> ResponseHead {
        self.leave_plan();
        let engine = match self.engine.clone() {
            Some(engine) if !self.has_replied() => engine,
            _ => return ResponseHead::default(),
        };
        self.responded = true;
        let none = Headers::default();
        let headers = headers.unwrap_or(&none);
        let chain = self.chain(&engine);
        let mut head = self.edit_response(&engine, chain, headers, Author::Upstream, rest, host);
        let judged = rest == BodyState::Open && head.body.is_none();
        if judged {
            self.await_response(&engine, headers, rest);
        }
        // Whether there is a body that can be replaced is not known before it comes.
        self.response.replaced = head.body.is_some() && rest == BodyState::Open;
        head.held = engine.inspection == Inspection::HoldHeaders
            && (self.response.replaced || holds(&self.response.awaiting));
        head
    }

    /// Whether [`Stream::on_response_body`] has anything to do, or to hold, when a piece of the body comes.
    pub fn minds_response_body(&self) -> bool {
        self.response.refused || self.response.awaits()
    }

    /// Judges the body of the response. `size` is as in [`Stream::on_request_body`].
    pub fn on_response_body(&mut self, size: u64, state: BodyState, host: &dyn Host) -> Action {
        self.response.body.arrived(size);
        let side = Side::Response;
        let before = self.before_body(side, host);
        let action = self.judge_response(state, Some(HostBuffer { host, side }), host);
        self.after_body(side, before, host);
        action
    }

    /// The proxy keeps back the body for which a head waits: what is answered, if the head still
    /// waits.
    pub fn body_withheld(&mut self, side: Side, host: &dyn Host) -> Option<Reply> {
        let refusal = Refusal::new(&BODY_NOT_SHOWN);
        match side {
            Side::Request if !holds(&self.awaiting) => None,
            Side::Request => match self.refuse(refusal, None, host) {
                Action::Reply(reply) => Some(reply),
                Action::Continue(_) | Action::Pause { .. } | Action::Replace(_) => None,
            },
            Side::Response if !holds(&self.response.awaiting) && !self.response.replaced => None,
            Side::Response => {
                self.response.awaiting.clear();
                self.response.refused = true;
                Some(self.refusal_reply(refusal, None, host))
            }
        }
    }

    /// Where the proxy shows no bodies: what is answered, if one would have to be judged or replaced.
    pub fn without_body(&mut self, side: Side, host: &dyn Host) -> Option<Reply> {
        let judged = |awaiting: &[Awaiting]| awaiting.iter().any(Awaiting::is_enforced);
        let refusal = Refusal::new(&BODY_NOT_SHOWN);
        match side {
            Side::Request if self.has_replied() || !judged(&self.awaiting) => None,
            Side::Request => match self.refuse(refusal, None, host) {
                Action::Reply(reply) => Some(reply),
                Action::Continue(_) | Action::Pause { .. } | Action::Replace(_) => None,
            },
            Side::Response if !judged(&self.response.awaiting) && !self.response.replaced => None,
            Side::Response => {
                self.response.awaiting.clear();
                self.response.refused = true;
                Some(self.refusal_reply(refusal, None, host))
            }
        }
    }

    /// The head of the response cannot be read: what goes out in its place, unless nothing is refused.
    pub fn response_unread(&mut self, failure: Failure, host: &dyn Host) -> Option<Reply> {
        self.leave_plan();
        let engine = self.engine.clone()?;
        let mut steps = self.chain(&engine).steps.iter();
        let enforced = steps.any(|step| {
            self.mode_of(&engine, step) == Mode::Enforce && step.declared.reads_response
        });
        if self.has_replied() || !enforced {
            return None;
        }
        self.response.refused = true;
        Some(self.refusal_reply(failure.refusal(), None, host))
    }

    /// Whether [`Stream::response_ended`] is to be given the response's trailers.
    pub fn reads_response_trailers(&self) -> bool {
        self.facts.limits.awaits_trailers()
    }

    /// Hears of the trailers of the response, before [`Stream::on_response_trailers`].
    pub fn response_ended(&mut self, trailers: &Headers, host: &dyn Host) {
        self.leave_plan();
        if let Some(engine) = self.engine.clone() {
            let mut facts = std::mem::take(&mut self.facts);
            for policy in self.hearing(&engine) {
                policy.upstream_ended(trailers, &mut facts, host);
            }
            self.facts = facts;
        }
    }

    /// The policies that hear of the service's response.
    fn hearing<'e>(&self, engine: &'e Engine) -> impl Iterator<Item = &'e dyn Policy> {
        let passes = self.passes();
        let asked = self.chain(engine).steps.iter().filter(move |step| {
            match self.mode_of_document(engine) {
                Mode::Enforce => self.mode_of(engine, step) == Mode::Enforce,
                Mode::Shadow => passes,
            }
        });
        asked.map(|step| &*step.policy)
    }

    /// Judges the body of the response when trailers end it.
    pub fn on_response_trailers(&mut self, host: &dyn Host) -> Action {
        let side = Side::Response;
        let before = self.before_body(side, host);
        let rest = self.response.body.at_trailers(HostBuffer { host, side });
        let action = self.judge_response(BodyState::Complete, rest, host);
        self.after_body(side, before, host);
        action
    }

    /// Has the chain shape the head of a response.
    pub(super) fn edit_response(
        &mut self,
        engine: &Engine,
        chain: &Chain,
        headers: &Headers,
        author: Author,
        rest: BodyState,
        host: &dyn Host,
    ) -> ResponseHead {
        let mut facts = std::mem::take(&mut self.facts);
        let trusts = chain.trusts_forwarded_proto;
        facts.connection.trust_forwarded_proto(trusts);
        if author == Author::Upstream {
            if self.mode_of_document(engine) == Mode::Shadow && !self.decision.shadow.is_empty() {
                facts.limits.never_asked(host);
            }
            for policy in self.hearing(engine) {
                policy.upstream_responded(headers, &mut facts, host);
            }
        }
        let mut response = Response {
            request: &self.headers,
            author,
            headers,
            rest,
            page: chain.error_page.as_deref(),
            facts: &mut facts,
            edits: Vec::new(),
            body: None,
        };
        for step in &chain.steps {
            if self.mode_of(engine, step) == Mode::Enforce {
                step.policy.edit_response(&mut response, host);
            }
        }
        let version = response.facts.version();
        self.append_diagnostics(engine, version, &mut response.edits);
        let head = ResponseHead {
            edits: response.edits,
            body: response.body,
            held: false,
        };
        self.facts = facts;
        head
    }

    /// Notes which policies want to judge the body.
    fn await_response(&mut self, engine: &Engine, headers: &Headers, rest: BodyState) {
        let mut facts = std::mem::take(&mut self.facts);
        let mut response = Response {
            request: &self.headers,
            author: Author::Upstream,
            headers,
            rest,
            page: self.chain(engine).error_page.as_deref(),
            facts: &mut facts,
            edits: Vec::new(),
            body: None,
        };
        let steps = self.chain(engine).steps.iter().enumerate();
        let awaiting = steps.filter_map(|(index, step)| {
            Some(Awaiting {
                lane: Lane::InForce,
                step: index,
                mode: self.mode_of(engine, step),
                need: step.policy.response_body_need(&mut response)?,
            })
        });
        let mut awaiting: Vec<Awaiting> = awaiting.collect();
        let tried = self.chain(engine).beside.iter().enumerate();
        for (index, step) in tried.take(self.beside.asked()) {
            let mut own = self.beside.take(step.kind, response.facts);
            let mut apart = Response {
                facts: &mut own,
                edits: Vec::new(),
                body: None,
                ..response
            };
            awaiting.extend(
                step.policy
                    .response_body_need(&mut apart)
                    .map(|need| Awaiting {
                        lane: Lane::Beside,
                        step: index,
                        mode: Mode::Shadow,
                        need,
                    }),
            );
            self.beside.put(step.kind, own);
        }
        self.facts = facts;
        self.response.awaiting = awaiting;
    }

    /// Whether a policy in force judges the body of the response, and so may have it go out otherwise.
    pub fn may_rewrite_response(&self) -> bool {
        self.response.awaiting.iter().any(Awaiting::is_enforced)
    }

    /// The proxy does not do with the response what was asked: what goes out in its place.
    pub fn response_failed(&mut self, failure: Failure, host: &dyn Host) -> Reply {
        self.response.awaiting.clear();
        self.response.refused = true;
        self.refusal_reply(failure.refusal(), None, host)
    }

    /// Notes that a policy puts another body in place of the response's, or would.
    pub(super) fn rewrite(
        &mut self,
        mut rewrite: Box<Rewrite>,
        policy: &'static str,
        is_enforced: bool,
        state: BodyState,
    ) -> Result<(), (Stop, Option<By>)> {
        if is_enforced && state == BodyState::Open {
            return Err((Stop::Refuse(Refusal::new(&WAIT)), None));
        }
        self.decision.redacted.push(Redaction {
            policy,
            is_enforced,
            found: std::mem::take(&mut rewrite.found),
        });
        if !self.reserve_kept() {
            self.decision.redacted = Vec::new();
        }
        if is_enforced {
            self.response.rewrite = Some(rewrite);
        }
        Ok(())
    }

    fn judge_response(
        &mut self,
        state: BodyState,
        at_hand: Option<HostBuffer<'_>>,
        host: &dyn Host,
    ) -> Action {
        if self.response.refused {
            return held();
        }
        if self.response.awaiting.is_empty() {
            return Action::Continue(Vec::new());
        }
        let kept = self.response.body.take_kept();
        let progress = self.response.body.progress(state);
        let most = most(&self.response.awaiting);
        let content = BufferedBody::new(progress, most, kept, at_hand);
        let awaiting = std::mem::take(&mut self.response.awaiting);
        match self.ask_all(Side::Response, awaiting, progress, &content, host) {
            Ok(awaiting) => self.response.awaiting = awaiting,
            Err((stop, by)) => {
                self.response.refused = true;
                self.response.body.is_judged();
                return Action::Reply(match stop {
                    Stop::Refuse(refusal) => {
                        self.refusal_reply(refusal, by.map(|by| by.name), host)
                    }
                    Stop::Respond(reply) => self.shaped(reply, host),
                    Stop::Wait(_) => {
                        let refusal = Refusal::new(&WAIT);
                        self.refusal_reply(refusal, by.map(|by| by.name), host)
                    }
                });
            }
        }
        if state == BodyState::Complete {
            self.response.awaiting.clear();
            self.response.body.is_judged();
            if let Some(rewrite) = self.response.rewrite.take() {
                return Action::Replace(rewrite);
            }
        }
        match at_hand {
            Some(rest) => {
                let Self {
                    response: answer, ..
                } = self;
                let JudgedResponse { awaiting, body, .. } = answer;
                body.go_on(awaiting, content.into_kept(), rest)
            }
            None => Action::Continue(Vec::new()),
        }
    }
}
