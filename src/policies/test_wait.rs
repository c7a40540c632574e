//! A policy that waits, for tests alone: it shows what becomes of requests that wait.
//!
//! `test_wait: { until, call: { cluster, timeout }, on_error, traps }`. It waits for a time, then for a
//! call. A response with 200 lets the request pass, one with 403 does not; of anything else `on_error`
//! decides. One that `traps` does so in that place: with the response that it waits for, or with the head, the
//! first piece or the end of what the service answers.

use std::rc::Rc;
use std::time::Duration;

use portcullis_document::Fields;
use portcullis_exchange::body::{BodyNeed, ResponseBody};
use portcullis_exchange::call::{Call, CallError};
use portcullis_exchange::exchange::{BodyState, Edit, Exchange, Finished, Response};
use portcullis_exchange::host::Host;
use portcullis_exchange::policy::{
    ChainPart, Compile, Context, Declaration, Policy, PolicyKind, Role, Stage, Verdict,
};
use portcullis_exchange::refusal::{Blame, Code, Reason, Refusal, grpc};
use portcullis_exchange::wait::{Wait, Wake};
use portcullis_wire::headers::{HeaderName, HeaderValue};

/// The block.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "test_wait",
    role: Role::Guards,
    codes: &[&WAITED],
    compile: Compile::Object(compile),
    rules: &[],
};

static WAITED: Code = Code {
    name: "test_waited",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "It was not worth the wait.",
    reasons: &[&RESPONSE, &ERROR, &TIMEOUT],
};

static RESPONSE: Reason = Reason::new("response", &WAITED, Blame::Request);
static ERROR: Reason = Reason::new("error", &WAITED, Blame::Request);
static TIMEOUT: Reason = Reason::new("timeout", &WAITED, Blame::Request);

struct TestWait {
    until: Option<Duration>,
    call: Option<(Rc<str>, Duration)>,
    on_error: OnFailure,
    traps: Option<TrapPlace>,
    waited: HeaderName,
}

#[derive(Clone, Copy)]
enum OnFailure {
    Refuse,
    Pass,
}

/// Where it traps.
#[derive(Clone, Copy, PartialEq, Eq)]
enum TrapPlace {
    Wake,
    ResponseHead,
    ResponsePiece,
    ResponseEnd,
}

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    let problems = &mut *context.problems;
    let until = fields.or_default("until", None, problems, |node, problems| {
        node.duration(problems).map(Some)
    });
    let call = fields.or_default("call", None, problems, |node, problems| {
        let mut fields = node.fields(problems)?;
        let cluster = fields.required("cluster", problems);
        let timeout = fields.required("timeout", problems);
        fields.deny_unknown(problems);
        let (cluster, timeout) = (cluster?.text(problems)?, timeout?.duration(problems)?);
        Some(Some((Rc::from(cluster), timeout)))
    });
    let on_error = fields.or_default("on_error", OnFailure::Refuse, problems, |node, problems| {
        let choices = [("refuse", OnFailure::Refuse), ("pass", OnFailure::Pass)];
        node.choice(problems, &choices)
    });
    let traps = fields.or_default("traps", None, problems, |node, problems| {
        let places = [
            ("wake", TrapPlace::Wake),
            ("response_head", TrapPlace::ResponseHead),
            ("response_piece", TrapPlace::ResponsePiece),
            ("response_end", TrapPlace::ResponseEnd),
        ];
        node.choice(problems, &places).map(Some)
    });
    let policy = TestWait {
        until: until?,
        call: call?,
        on_error: on_error?,
        traps: traps?,
        waited: HeaderName::parse("x-waited").ok()?,
    };
    Some(ChainPart::only(Stage::Credentials, policy))
}

impl TestWait {
    fn call(&self, exchange: &mut Exchange<'_>) -> Verdict {
        let Some((cluster, timeout)) = &self.call else {
            return self.pass(exchange, b"time");
        };
        let path = exchange.request.headers.text(":path").to_owned();
        let fields = [
            (":method", "GET".to_owned()),
            (":scheme", "http".to_owned()),
            (":authority", "waiting.example.com".to_owned()),
            (":path", path),
        ];
        Verdict::Wait(Wait::Response(Call {
            cluster: Rc::clone(cluster),
            headers: fields.map(|(name, value)| (name.into(), value)).into(),
            body: Vec::new(),
            timeout: *timeout,
        }))
    }

    fn pass(&self, exchange: &mut Exchange<'_>, what: &[u8]) -> Verdict {
        let value = HeaderValue::parse(what).ok();
        let edit = |value| Edit::Set(self.waited.clone(), value);
        exchange.edits.extend(value.map(edit));
        Verdict::Pass
    }

    fn trap_in(&self, place: TrapPlace) {
        if self.traps == Some(place) {
            std::process::abort();
        }
    }

    fn failed(&self, exchange: &mut Exchange<'_>, reason: &'static Reason) -> Verdict {
        match self.on_error {
            OnFailure::Pass => self.pass(exchange, reason.name.as_bytes()),
            OnFailure::Refuse => Verdict::Refuse(Refusal::new(reason)),
        }
    }
}

impl Policy for TestWait {
    fn check_request(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        match self.until {
            Some(until) => Verdict::Wait(Wait::Until(host.monotonic().saturating_add(until))),
            None => self.call(exchange),
        }
    }

    fn resume(&self, wake: Wake<'_>, exchange: &mut Exchange<'_>, _: &dyn Host) -> Verdict {
        let response = match wake {
            Wake::Time => return self.call(exchange),
            Wake::Response(response) => response,
        };
        self.trap_in(TrapPlace::Wake);
        match response.map(|response| response.status()) {
            Ok(Some(200)) => self.pass(exchange, b"response"),
            Ok(Some(403)) => Verdict::Refuse(Refusal::new(&RESPONSE)),
            Err(CallError::Timeout) => self.failed(exchange, &TIMEOUT),
            Ok(_) | Err(_) => self.failed(exchange, &ERROR),
        }
    }

    fn edit_response(&self, _: &mut Response<'_>, _: &dyn Host) {
        self.trap_in(TrapPlace::ResponseHead);
    }

    fn response_body_need(&self, _: &mut Response<'_>) -> Option<BodyNeed> {
        let in_body = matches!(
            self.traps,
            Some(TrapPlace::ResponsePiece | TrapPlace::ResponseEnd)
        );
        in_body.then_some(BodyNeed::Count)
    }

    fn response_body(&self, body: &mut ResponseBody<'_>, _: &dyn Host) -> Verdict {
        self.trap_in(TrapPlace::ResponsePiece);
        match body.progress.state {
            BodyState::Open => Verdict::AwaitBody(body.need),
            BodyState::Complete => {
                self.trap_in(TrapPlace::ResponseEnd);
                Verdict::Pass
            }
        }
    }

    fn finished(&self, exchange: &mut Finished<'_>, _: &dyn Host) {
        let path = exchange.request.text(":path");
        log::info!("test_wait: finished {path}");
        FINISHED.with(|finished| finished.set(finished.get() + 1));
    }

    fn declares(&self) -> Declaration {
        Declaration {
            minds_end: true,
            later_request_fields: &[":path"],
            ..Declaration::default()
        }
    }
}

thread_local! {
    /// How many exchanges it has heard the end of.
    pub static FINISHED: std::cell::Cell<usize> = const { std::cell::Cell::new(0) };
}
