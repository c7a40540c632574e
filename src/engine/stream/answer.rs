//! The answer on its way back: its head, shaped, and its body, judged.

use std::time::Duration;

use super::body::{Awaiting, Body, held, holds, most};
use super::settle::Stop;
use super::{Action, Stream};
use crate::engine::{Engine, Lane};
use portcullis_exchange::body::{Content, Inspection, Rest};
use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::exchange::{Author, BodyState, Edit, Response};
use portcullis_exchange::host::{Failure, Host, Side};
use portcullis_exchange::policy::Policy;
use portcullis_exchange::refusal::core::{BODY_NOT_SHOWN, WAIT};
use portcullis_exchange::refusal::{Refusal, Reply};
use portcullis_wire::headers::Headers;

/// What is to become of the head of an answer.
#[derive(Debug, Default)]
pub struct ResponseHead {
    /// Changes to its fields.
    pub edits: Vec<Edit>,
    /// What goes out in place of its body.
    pub body: Option<Vec<u8>>,
    /// Whether it waits until its body has been judged.
    pub held: bool,
}

/// The body of the service's answer, as far as it is judged.
#[derive(Default)]
pub(super) struct Answer {
    awaiting: Vec<Awaiting>,
    body: Body,
    /// How long it has been judged.
    pub(super) judging: Duration,
    refused: bool,
    /// Whether another body goes out in place of its own.
    replaced: bool,
}

impl Answer {
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
    /// Whether [`Stream::response_headers`] is to be given the answer's fields.
    pub fn reads_response(&self) -> bool {
        let engine = self.engine.as_deref();
        !self.has_replied() && engine.is_some_and(|engine| self.chain(engine).reads_response)
    }

    /// Shapes the head of the service's answer. `rest` is complete when nothing will follow the
    /// head. Of a reply of ours, which proxies may take back through here, nothing is left to do.
    pub fn response_headers(
        &mut self,
        headers: Option<&Headers>,
        rest: BodyState,
        host: &dyn Host,
    ) -> ResponseHead {
        let engine = match self.engine.clone() {
            Some(engine) if !self.has_replied() => engine,
            _ => return ResponseHead::default(),
        };
        self.responded = true;
        let none = Headers::default();
        let headers = headers.unwrap_or(&none);
        let mut head = self.shape(&engine, headers, Author::Service, rest, host);
        let judged = rest == BodyState::Open && head.body.is_none();
        if judged {
            self.await_answer(&engine, headers, rest);
        }
        // Whether there is a body that can be replaced is not known before it comes.
        self.answer.replaced = head.body.is_some() && rest == BodyState::Open;
        head.held = engine.inspection == Inspection::HoldHeaders
            && (self.answer.replaced || holds(&self.answer.awaiting));
        head
    }

    /// Whether [`Stream::response_body`] has anything to do, or to hold, when a piece of the body comes.
    pub fn minds_response_body(&self) -> bool {
        self.answer.refused || self.answer.awaits()
    }

    /// Judges the body of the answer. `size` is as in [`Stream::request_body`].
    pub fn response_body(&mut self, size: u64, state: BodyState, host: &dyn Host) -> Action {
        self.answer.body.arrived(size);
        let side = Side::Response;
        let before = self.before_body(side, host);
        let action = self.judge_answer(state, Some(Rest { host, side }), host);
        self.after_body(side, before, host);
        action
    }

    /// The proxy keeps back the body for which a head waits: what is answered, if the head still
    /// waits.
    pub fn never_shown(&mut self, side: Side, host: &dyn Host) -> Option<Reply> {
        let refusal = Refusal::new(&BODY_NOT_SHOWN);
        match side {
            Side::Request if !holds(&self.awaiting) => None,
            Side::Request => match self.refuse(refusal, None, host) {
                Action::Reply(reply) => Some(reply),
                Action::Continue(_) | Action::Pause { .. } => None,
            },
            Side::Response if !holds(&self.answer.awaiting) && !self.answer.replaced => None,
            Side::Response => {
                self.answer.awaiting.clear();
                self.answer.refused = true;
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
                Action::Continue(_) | Action::Pause { .. } => None,
            },
            Side::Response if !judged(&self.answer.awaiting) && !self.answer.replaced => None,
            Side::Response => {
                self.answer.awaiting.clear();
                self.answer.refused = true;
                Some(self.refusal_reply(refusal, None, host))
            }
        }
    }

    /// The head of the answer cannot be read: what goes out in its place, unless nothing is refused.
    pub fn response_unread(&mut self, failure: Failure, host: &dyn Host) -> Option<Reply> {
        let engine = self.engine.clone()?;
        let mut steps = self.chain(&engine).steps.iter();
        let enforced = steps.any(|step| {
            engine.mode.over(step.mode) == Mode::Enforce && step.declared.reads_response
        });
        if self.has_replied() || !enforced {
            return None;
        }
        self.answer.refused = true;
        Some(self.refusal_reply(failure.refusal(), None, host))
    }

    /// Whether [`Stream::response_ended`] is to be given the answer's trailers.
    pub fn reads_response_trailers(&self) -> bool {
        self.facts.limits.awaits_trailers()
    }

    /// Hears of the trailers of the answer, before [`Stream::response_trailers`].
    pub fn response_ended(&mut self, trailers: &Headers, host: &dyn Host) {
        if let Some(engine) = self.engine.clone() {
            let mut facts = std::mem::take(&mut self.facts);
            for policy in self.hearing(&engine) {
                policy.ended(trailers, &mut facts, host);
            }
            self.facts = facts;
        }
    }

    /// Those policies that hear of the service's answer.
    fn hearing<'e>(&self, engine: &'e Engine) -> impl Iterator<Item = &'e dyn Policy> {
        let passes = self.passes();
        let asked = self
            .chain(engine)
            .steps
            .iter()
            .filter(move |step| match engine.mode {
                Mode::Enforce => step.mode == Mode::Enforce,
                Mode::Shadow => passes,
            });
        asked.map(|step| &*step.policy)
    }

    /// Judges the body of the answer when trailers end it.
    pub fn response_trailers(&mut self, host: &dyn Host) -> Action {
        let side = Side::Response;
        let before = self.before_body(side, host);
        let rest = self.answer.body.at_trailers(Rest { host, side });
        let action = self.judge_answer(BodyState::Complete, rest, host);
        self.after_body(side, before, host);
        action
    }

    /// Has the chain shape the head of a response.
    pub(super) fn shape(
        &mut self,
        engine: &Engine,
        headers: &Headers,
        author: Author,
        rest: BodyState,
        host: &dyn Host,
    ) -> ResponseHead {
        let mut facts = std::mem::take(&mut self.facts);
        let trusts = self.chain(engine).trusts_forwarded_proto;
        facts.connection.trust_forwarded_proto(trusts);
        if author == Author::Service {
            if engine.mode == Mode::Shadow && !self.record.shadow.is_empty() {
                facts.limits.never_asked(host);
            }
            for policy in self.hearing(engine) {
                policy.answered(headers, &mut facts, host);
            }
        }
        let mut response = Response {
            request: &self.headers,
            author,
            headers,
            rest,
            page: self.chain(engine).error_page.as_deref(),
            facts: &mut facts,
            edits: Vec::new(),
            body: None,
        };
        for step in &self.chain(engine).steps {
            if engine.mode.over(step.mode) == Mode::Enforce {
                step.policy.response_headers(&mut response, host);
            }
        }
        self.tell(engine, &mut response.edits);
        let head = ResponseHead {
            edits: response.edits,
            body: response.body,
            held: false,
        };
        self.facts = facts;
        head
    }

    /// Notes which policies want to judge the body.
    fn await_answer(&mut self, engine: &Engine, headers: &Headers, rest: BodyState) {
        let mut facts = std::mem::take(&mut self.facts);
        let mut response = Response {
            request: &self.headers,
            author: Author::Service,
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
                mode: engine.mode.over(step.mode),
                need: step.policy.response_need(&mut response)?,
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
            awaiting.extend(step.policy.response_need(&mut apart).map(|need| Awaiting {
                lane: Lane::Beside,
                step: index,
                mode: Mode::Shadow,
                need,
            }));
            self.beside.put(step.kind, own);
        }
        self.facts = facts;
        self.answer.awaiting = awaiting;
    }

    fn judge_answer(
        &mut self,
        state: BodyState,
        at_hand: Option<Rest<'_>>,
        host: &dyn Host,
    ) -> Action {
        if self.answer.refused {
            return held();
        }
        if self.answer.awaiting.is_empty() {
            return Action::Continue(Vec::new());
        }
        let kept = self.answer.body.take_kept();
        let progress = self.answer.body.progress(state);
        let most = most(&self.answer.awaiting);
        let content = Content::new(progress, most, kept, at_hand);
        let awaiting = std::mem::take(&mut self.answer.awaiting);
        match self.ask_all(Side::Response, awaiting, progress, &content, host) {
            Ok(awaiting) => self.answer.awaiting = awaiting,
            Err((stop, by)) => {
                self.answer.refused = true;
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
            self.answer.awaiting.clear();
        }
        match at_hand {
            Some(rest) => {
                let Self { answer, .. } = self;
                let Answer { awaiting, body, .. } = answer;
                body.go_on(awaiting, content.into_kept(), rest)
            }
            None => Action::Continue(Vec::new()),
        }
    }
}
