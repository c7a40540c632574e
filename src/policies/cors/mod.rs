//! Which pages of other origins may use a route: the server's side of CORS, by the Fetch standard.

mod forbidden;
mod preflight;
mod response;
mod settings;

use std::rc::Rc;

use self::response::ResponseGrant;
use self::settings::{OnDisallowed, Settings};
use portcullis_document::Fields;
use portcullis_exchange::exchange::{Exchange, Request, Response};
use portcullis_exchange::host::Host;
use portcullis_exchange::meter::Event;
use portcullis_exchange::origin::{OriginMatch, is_own};
use portcullis_exchange::policy::{
    ChainPart, Compile, Context, Declaration, Policy, PolicyKind, Role, Stage, Verdict,
};
use portcullis_exchange::refusal::{Blame, Code, Reason, Refusal, Selector, grpc};
use portcullis_wire::effort::Effort;
use portcullis_wire::headers::Headers;
use portcullis_wire::preflight::Preflight;

/// `cors: { allow_origins, allow_methods, … }`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "cors",
    role: Role::Guards,
    codes: &[&NOT_ALLOWED],
    compile: Compile::Object(compile),
    rules: &[(Selector::Code(&NOT_ALLOWED), "allow_origins")],
};

pub static NOT_ALLOWED: Code = Code {
    name: "origin_not_allowed",
    status: 403,
    grpc_status: grpc::PERMISSION_DENIED,
    title: "Pages of this origin may not use this.",
    reasons: &[&NOT_LISTED, &NULL, &MALFORMED, &EFFORT],
};

pub static NOT_LISTED: Reason = Reason::new("not_listed", &NOT_ALLOWED, Blame::Request);
pub static NULL: Reason = Reason::new("null", &NOT_ALLOWED, Blame::Request);
pub static MALFORMED: Reason = Reason::new("malformed", &NOT_ALLOWED, Blame::Request);
pub static EFFORT: Reason = Reason::new("effort", &NOT_ALLOWED, Blame::Request);

/// Answers preflights and judges the origins of other requests.
struct Cors {
    settings: Rc<Settings>,
}

/// The origin of a request, as the policy of a route sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Sender<'r> {
    /// It names none.
    Unnamed,
    /// A page of the service itself.
    Own,
    /// An origin that may use the route.
    Allowed(&'r [u8]),
    /// Any other; the reason in the log.
    Disallowed(&'static Reason),
}

/// The response has a part of its own, which comes after other policies have shaped it: none of them
/// takes `Vary` away again.
fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    let settings = Rc::new(Settings::read(fields, context.notes, context.problems)?);
    let answer = ResponseGrant::new(Rc::clone(&settings))?;
    Some(vec![
        ChainPart {
            stage: Stage::Origin,
            policy: Rc::new(Cors { settings }),
        },
        ChainPart {
            stage: Stage::Response,
            policy: Rc::new(answer),
        },
    ])
}

impl Settings {
    fn sender<'r>(&self, headers: &'r Headers, effort: &Effort) -> Sender<'r> {
        let origin = match headers.one("origin") {
            Ok(None) => return Sender::Unnamed,
            _ if self.origins.has_all() => return Sender::Allowed(b"*"),
            Ok(Some(origin)) => origin,
            Err(_) => return Sender::Disallowed(&MALFORMED),
        };
        match self.origins.standing(origin, effort) {
            OriginMatch::Listed => Sender::Allowed(origin),
            // Browsers name the origin of a `POST` to a page's own server too.
            OriginMatch::NotListed if is_own(origin, headers) => Sender::Own,
            OriginMatch::NotListed => Sender::Disallowed(&NOT_LISTED),
            OriginMatch::Null => Sender::Disallowed(&NULL),
            OriginMatch::Malformed => Sender::Disallowed(&MALFORMED),
            OriginMatch::Undecided => Sender::Disallowed(&EFFORT),
        }
    }
}

impl Policy for Cors {
    fn grants(&self, preflight: &Preflight<'_>) -> Option<bool> {
        Some(preflight::judge(&self.settings, preflight).is_ok())
    }

    fn check_request(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        let Request {
            headers, effort, ..
        } = exchange.request;
        let sender = self.settings.sender(headers, effort);
        match sender {
            Sender::Unnamed => {}
            Sender::Own | Sender::Allowed(_) => host.count(Event::OriginValid.counter()),
            Sender::Disallowed(_) => host.count(Event::OriginInvalid.counter()),
        }
        if let Some(preflight) = Preflight::of(headers, effort) {
            return Verdict::Respond(preflight::reply(
                &self.settings,
                &preflight,
                exchange.preflight,
            ));
        }
        match (sender, self.settings.on_disallowed) {
            (Sender::Disallowed(reason), OnDisallowed::Refuse) => {
                let refusal = Refusal::new(reason);
                let origin = headers.all("origin").next();
                Verdict::Refuse(refusal.telling("origin", origin))
            }
            _ => Verdict::Pass,
        }
    }
}

impl Policy for ResponseGrant {
    fn declares(&self) -> Declaration {
        Declaration {
            later_request_fields: &[":method", "origin", "access-control-request-method"],
            ..Declaration::default()
        }
    }

    fn edit_response(&self, response: &mut Response<'_>, _host: &dyn Host) {
        self.shape(response);
    }
}
