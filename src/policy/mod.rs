//! The policies: what may be asked of a request, and in which order it is asked.

use std::rc::Rc;

use crate::body::{BodyNeed, Inspection, RequestBody, ResponseBody};
use crate::config::{Fields, Node, Problems};
use crate::enforcement::Mode;
use crate::exchange::{Exchange, Facts, Finished, Response};
use crate::headers::Headers;
use crate::host::Host;
use crate::preflight::Preflight;
use crate::refusal::{Code, Refusal, Reply, Selector};
use crate::route::PathTemplate;
use crate::section::Sections;
use crate::wait::{Wait, Wake};

mod authn;
pub mod cors;
pub mod csrf;
mod declaration;
pub mod deny_patterns;
pub mod error_pages;
pub mod forms;
pub mod https;
pub mod openapi;
mod owned;
pub mod parameters;
pub mod payload;
pub mod rate_limits;
pub mod sanitize_errors;
pub mod security_headers;
#[cfg(any(test, feature = "fault-injection"))]
pub(crate) mod test_wait;

pub use self::authn::jwt;
pub use self::declaration::Declaration;

/// Lists the kinds of policies. A request meets their parts by [`Stage`], those of one stage in the
/// order of this list; the first refusal ends it.
macro_rules! kinds {
    ($($name:ident),+ $(,)?) => {
        /// Every kind of policy.
        pub const LIST: &[Kind] = &[$($name::KIND),+];
        /// What the log calls a block that is tried beside the one in force, by the place of its
        /// kind in the list.
        const BESIDE: &[&str] = &[$(concat!(stringify!($name), "_shadow")),+];
    };
}

#[cfg(not(any(test, feature = "fault-injection")))]
kinds! {
    https,
    jwt,
    rate_limits,
    parameters,
    payload,
    openapi,
    forms,
    deny_patterns,
    sanitize_errors,
    error_pages,
    security_headers,
    cors,
    csrf,
}

// One more where tests are: no module that is shipped has it.
#[cfg(any(test, feature = "fault-injection"))]
kinds! {
    https,
    jwt,
    rate_limits,
    parameters,
    payload,
    openapi,
    forms,
    deny_patterns,
    sanitize_errors,
    error_pages,
    security_headers,
    cors,
    csrf,
    test_wait,
}

/// What the log calls a policy: first those in force, by their places in [`LIST`], then those that
/// are tried beside them, in the same order.
pub fn name(place: usize) -> &'static str {
    let beside = || BESIDE.get(place.checked_sub(LIST.len())?).copied();
    match LIST.get(place) {
        Some(kind) => kind.name,
        None => beside().unwrap_or_default(),
    }
}

/// One kind of policy, as the document names it.
#[derive(Debug)]
pub struct Kind {
    /// The name of its block under `defaults` and under a route, and in the log.
    pub name: &'static str,
    /// What it does for a route.
    pub role: Role,
    /// Every code with which it refuses.
    pub codes: &'static [&'static Code],
    /// Reads its block.
    pub compile: Compile,
    /// The field of its block that decides, by what is refused; the first that fits. For the log.
    pub rules: &'static [(Selector, &'static str)],
}

impl Kind {
    /// The field of its block by which that was refused, where the refusal does not say it itself.
    pub(crate) fn field_of(&self, refusal: &Refusal) -> Option<&'static str> {
        let mut rules = self.rules.iter();
        let found = rules.find(|(selector, _)| selector.has(refusal.reason));
        found.map(|(_, field)| *field)
    }
}

/// How a block is read. `None` when something is wrong with it; that has been reported then.
#[derive(Debug)]
pub enum Compile {
    /// An object. `mode` and unknown fields are the caller's concern.
    Object(fn(&mut Fields<'_>, &mut Context<'_>) -> Option<Vec<Part>>),
    /// The same, and its `mode` is `shadow` unless it says otherwise.
    Shadowed(fn(&mut Fields<'_>, &mut Context<'_>) -> Option<Vec<Part>>),
    /// A list of objects, each with a `mode` of its own. It is asked as well where there is no
    /// block, for what the document says once for all routes.
    List(fn(Option<&Node<'_>>, &mut Context<'_>) -> Option<Vec<Part>>),
}

/// What a block asks at one stage. Most blocks have one part.
#[derive(Clone)]
pub struct Part {
    /// When it is asked.
    pub stage: Stage,
    /// What is asked.
    pub policy: Rc<dyn Policy>,
}

impl Part {
    /// The parts of a block that has one.
    pub fn only(stage: Stage, policy: impl Policy + 'static) -> Vec<Self> {
        vec![Self {
            stage,
            policy: Rc::new(policy),
        }]
    }
}

/// When a part of a policy is asked, from the first to the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// Over which connection the request came.
    Transport,
    /// From which site it was sent; a preflight has no credentials and ends here.
    Origin,
    /// Limits on clients of whom nothing is known yet.
    Arrival,
    /// Who asks.
    Credentials,
    /// Limits on those who are known.
    Identity,
    /// What is asked: parameters and body.
    Content,
    /// The answer alone.
    Answer,
}

/// What a policy does for a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It asks for credentials. A route without such a policy must say `open: true`.
    Authenticates,
    /// It asks for anything else, or only shapes messages.
    Guards,
}

/// What a policy may refer to while its block is read.
#[derive(Debug)]
pub struct Context<'c> {
    /// The whole document, as it is written.
    pub document: &'c Node<'c>,
    /// Its sections.
    pub sections: &'c Sections,
    /// What becomes of heads while bodies are judged.
    pub inspection: Inspection,
    /// The template of the route's path, if it has one.
    pub template: Option<Rc<PathTemplate>>,
    /// Whether nothing is wrong with how the route is matched.
    pub is_matched: bool,
    /// Where the block stands: `defaults`, or `routes/` and the route's name.
    pub place: &'c str,
    /// Where to report what is wrong.
    pub problems: &'c mut Problems,
    /// What is valid, and may still not be what was meant.
    pub notes: &'c mut Vec<String>,
}

/// A policy, ready to judge. It is shared by all requests and holds nothing of any of them.
pub trait Policy {
    /// Judges the head of a request.
    fn request_headers(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        let _ = (exchange, host);
        Verdict::Pass
    }

    /// Judges the head of a request on, after [`Verdict::Wait`]: what it waited for has come, or does not
    /// come any more. It may wait again.
    fn resume(&self, wake: Wake<'_>, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        let _ = wake;
        self.request_headers(exchange, host)
    }

    /// Whether a browser may send what a preflight asks about; none from a policy that leaves preflights
    /// alone. One that does not answers them in [`Policy::request_headers`].
    fn grants(&self, preflight: &Preflight<'_>) -> Option<bool> {
        let _ = preflight;
        None
    }

    /// Judges the body, after [`Verdict::AwaitBody`] and for as long as that is repeated, each
    /// time that more of it has come. When the body is complete, `AwaitBody` counts as `Pass`.
    fn request_body(&self, body: &mut RequestBody<'_>, host: &dyn Host) -> Verdict {
        let _ = (body, host);
        Verdict::Pass
    }

    /// Hears that the request has been refused, by the policy of that name or by the core, whether
    /// or not it has been asked itself. Refusals in shadow mode are not told, unless the whole
    /// document is in shadow mode: then the first is, which would have been carried out.
    fn refused(
        &self,
        refusal: &Refusal,
        by: Option<&'static str>,
        facts: &mut Facts,
        host: &dyn Host,
    ) {
        let _ = (refusal, by, facts, host);
    }

    /// Hears of the head of the service's answer, before any is shaped, and also when the whole
    /// document is in shadow mode, unless the request would have been refused.
    fn answered(&self, headers: &Headers, facts: &mut Facts, host: &dyn Host) {
        let _ = (headers, facts, host);
    }

    /// Hears of the trailers that end the service's answer, as of its head.
    fn ended(&self, trailers: &Headers, facts: &mut Facts, host: &dyn Host) {
        let _ = (trailers, facts, host);
    }

    /// Shapes the head of the answer, the service's or ours.
    fn response_headers(&self, response: &mut Response<'_>, host: &dyn Host) {
        let _ = (response, host);
    }

    /// Hears that an exchange on its route has ended, however it did: once, and last of all, if
    /// [`Declaration::minds_end`] says so.
    fn finished(&self, exchange: &mut Finished<'_>, host: &dyn Host) {
        let _ = (exchange, host);
    }

    /// Says what it must see of the body of the service's answer, with the answer's head and in
    /// either mode. None if it does not judge it.
    fn response_need(&self, response: &mut Response<'_>) -> Option<BodyNeed> {
        let _ = response;
        None
    }

    /// Judges the body of the answer, after [`Policy::response_need`] asked for it, as
    /// [`Policy::request_body`] judges the request's. Where the head has gone ahead, a refusal
    /// breaks the answer off.
    fn response_body(&self, body: &mut ResponseBody<'_>, host: &dyn Host) -> Verdict {
        let _ = (body, host);
        Verdict::Pass
    }

    /// Hears, while the document is compiled, on which route it stands: one that asks for credentials
    /// in that mode, or for none.
    fn placed(&self, guard: Option<Mode>) {
        let _ = guard;
    }

    /// What it says of itself, once, while the document is compiled.
    fn declares(&self) -> Declaration {
        Declaration::default()
    }
}

/// What a policy says of a request.
#[derive(Debug)]
pub enum Verdict {
    /// No objection.
    Pass,
    /// No objection so far; the body is to be judged, and needs to be seen like this.
    AwaitBody(BodyNeed),
    /// Not known yet: the request is kept, and [`Policy::resume`] judges it on when the wait is over. Only of
    /// a head; said of a body, it refuses.
    Wait(Wait),
    /// It may not pass.
    Refuse(Refusal),
    /// It is answered here, and that is no refusal: a preflight, a redirect.
    Answer(Reply),
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::refusal::Blame;
    use crate::{metrics, stream};

    #[test]
    fn every_module_of_a_policy_is_in_the_list() {
        let lines = include_str!("mod.rs").lines();
        // What asks for credentials stands in a folder of its own.
        let starts = ["pub mod ", "pub use self::authn::"];
        let modules = lines.filter_map(|line| {
            let name = starts.iter().find_map(|start| line.strip_prefix(start))?;
            name.strip_suffix(';')
        });
        let mut modules: Vec<_> = modules.collect();
        modules.sort_unstable();
        let mut listed: Vec<_> = LIST.iter().map(|kind| kind.name).collect();
        listed.sort_unstable();
        assert_eq!(modules, listed);
    }

    #[test]
    fn what_is_tried_is_named_after_its_policy() {
        for (place, kind) in LIST.iter().enumerate() {
            assert_eq!(name(place), kind.name);
            assert_eq!(name(place + LIST.len()), format!("{}_shadow", kind.name));
        }
    }

    #[test]
    fn codes_and_reasons_refer_to_each_other() {
        let mut codes = BTreeSet::new();
        for code in metrics::codes() {
            assert!(codes.insert(code.name), "{code:?} is there twice");
            let mut reasons = BTreeSet::new();
            for reason in code.reasons {
                assert_eq!(reason.code, code);
                assert!(reasons.insert(reason.name), "{reason:?} is there twice");
            }
            assert!(!reasons.is_empty(), "{code:?}");
        }
    }

    /// What a client is told and what others go by say the same.
    #[test]
    fn blame_agrees_with_the_status() {
        for reason in metrics::codes().flat_map(|code| code.reasons) {
            let statuses: &[u16] = match reason.blame {
                Blame::NoCredential | Blame::ExpiredCredential | Blame::Credential => &[401],
                Blame::Caller => &[403],
                Blame::Limit => &[429],
                Blame::Upstream => &[502],
                Blame::Dependency | Blame::Ourselves => &[503],
                Blame::Request => &[400, 403, 404, 405, 413, 415, 417, 422, 431],
            };
            assert!(statuses.contains(&reason.code.status), "{reason:?}");
        }
    }

    #[test]
    fn only_who_asks_for_credentials_blames_them() {
        let guards = LIST.iter().filter(|kind| kind.role == Role::Guards);
        let codes = guards.flat_map(|kind| kind.codes).chain(stream::CODES);
        for reason in codes.flat_map(|code| code.reasons) {
            let is_of_request = matches!(
                reason.blame,
                Blame::Request | Blame::Limit | Blame::Upstream | Blame::Ourselves
            );
            assert!(is_of_request, "{reason:?}");
        }
    }
}
