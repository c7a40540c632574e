//! What a policy is: how its block is read, when it is asked, and what it may say.

use std::rc::Rc;

use crate::body::{BodyNeed, Inspection, RequestBody, ResponseBody};
use crate::condition::{Condition, Language, PathVariables};
use crate::enforcement::Mode;
use crate::exchange::{ApiOperations, Exchange, Facts, Finished, Response};
use crate::host::Host;
use crate::plan::Draft;
use crate::refusal::{Code, Refusal, Reply, Selector};
use crate::rewrite::Rewrite;
use crate::route::{PathTemplate, RequestMatcher};
use crate::section::Sections;
use crate::versions::VersionScheme;
use crate::wait::{Wait, Wake};
use portcullis_document::{Fields, Node, Problems};
use portcullis_wire::headers::Headers;
use portcullis_wire::preflight::Preflight;

mod declaration;

pub use self::declaration::{
    AgeFields, AskedCredentials, ChangedRequestField, Declaration, EvadableLimit, Misfits,
    RedirectTarget, RequestFieldChange, RoleSource, RouteCredentials,
};

/// One kind of policy, as the document names it.
#[derive(Debug)]
pub struct PolicyKind {
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

impl PolicyKind {
    /// The field of its block by which that was refused, where the refusal does not say it itself.
    pub fn field_of(&self, refusal: &Refusal) -> Option<&'static str> {
        let mut rules = self.rules.iter();
        let found = rules.find(|(selector, _)| selector.has(refusal.reason));
        found.map(|(_, field)| *field)
    }
}

/// How a block is read. `None` when something is wrong with it; that has been reported then.
#[derive(Debug)]
pub enum Compile {
    /// An object. `mode` and unknown fields are the caller's concern.
    Object(fn(&mut Fields<'_>, &mut Context<'_>) -> Option<Vec<ChainPart>>),
    /// The same, and its `mode` is `shadow` unless it says otherwise.
    Shadowed(fn(&mut Fields<'_>, &mut Context<'_>) -> Option<Vec<ChainPart>>),
    /// `true`, or `false` for nothing.
    Flag(fn(&mut Context<'_>) -> Vec<ChainPart>),
    /// A list of objects, each with a `mode` of its own. It is asked as well where there is no
    /// block, for what the document says once for all routes.
    List(fn(Option<&Node<'_>>, &mut Context<'_>) -> Option<Vec<ChainPart>>),
    /// An object, as [`Compile::Object`]; and on every route, whatever its block says and whether or not
    /// it has one, what the document says once for all of them.
    Everywhere {
        /// Reads the block.
        object: fn(&mut Fields<'_>, &mut Context<'_>) -> Option<Vec<ChainPart>>,
        /// What every route has besides; it may look at its block. No `mode` of that changes it.
        always: fn(Option<&Node<'_>>, &mut Context<'_>) -> Option<Vec<ChainPart>>,
        /// Whether a route goes without it that says `off`.
        may_be_off: bool,
    },
}

/// What a block asks at one stage. Most blocks have one part.
#[derive(Clone)]
pub struct ChainPart {
    /// When it is asked.
    pub stage: Stage,
    /// What is asked.
    pub policy: Rc<dyn Policy>,
}

impl ChainPart {
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
    /// Who the caller is, by its credentials.
    Credentials,
    /// Limits on callers who have been identified.
    Identity,
    /// What callers may do.
    Access,
    /// What the request contains: parameters and body.
    Content,
    /// What is used up by a request that nothing else refuses.
    Acceptance,
    /// The response alone.
    Response,
}

/// What a policy does for a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It asks for credentials. A route without such a policy must say `open: true`, and none has two.
    Authenticates,
    /// It asks for a signature of the message, which is a credential too. It may stand alone, and beside a
    /// policy that [authenticates](Role::Authenticates), which then says who calls.
    Seals,
    /// It asks for anything else, or only shapes messages.
    Guards,
}

impl Role {
    /// Whether it asks for credentials of any kind.
    pub fn asks_for_credentials(self) -> bool {
        self != Role::Guards
    }
}

/// On what kind of route a policy stands.
#[derive(Clone, Copy, Debug)]
pub struct Placement<'r> {
    /// In which mode the route asks for credentials; none if it asks for none.
    pub guard: Option<Mode>,
    /// Whether a policy of the route may say who calls only when all of the body has come.
    pub names_caller_late: bool,
    /// How its requests name versions; none if they have none.
    pub versions: Option<&'r Rc<VersionScheme>>,
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
    /// How requests of the route name versions, if they do: as the document says, or the API of the route.
    pub versions: Option<Rc<VersionScheme>>,
    /// Where the block stands: `defaults`, or `routes/` and the route's name.
    pub place: &'c str,
    /// Where to report what is wrong.
    pub problems: &'c mut Problems,
    /// What is valid, and may still not be what was meant.
    pub notes: &'c mut Vec<String>,
}

/// The path of the route that a block is for, as far as conditions go.
#[derive(Clone, Debug, Default)]
pub struct RoutePath {
    template: Option<Rc<PathTemplate>>,
    /// Whether it is known: nothing is wrong with how the route is matched.
    is_known: bool,
}

impl Context<'_> {
    /// The path of the route.
    pub fn route_path(&self) -> RoutePath {
        RoutePath {
            template: self.template.clone(),
            is_known: self.is_matched,
        }
    }
}

impl RoutePath {
    /// The template of the path, if it has one.
    pub fn template(&self) -> Option<&Rc<PathTemplate>> {
        self.template.as_ref()
    }

    /// The same, as conditions look at it.
    pub fn variables(&self) -> Option<&dyn PathVariables> {
        let template = self.template.as_deref();
        template.map(|template| template as &dyn PathVariables)
    }

    /// Reads a condition, which stands there; what it says of path variables has to be in the template.
    pub fn read(
        &self,
        node: &Node<'_>,
        language: &Language,
        problems: &mut Problems,
    ) -> Option<Condition> {
        let condition = Condition::read(node, language, problems)?;
        let fits = !self.is_known || condition.check_template(node, self.variables(), problems);
        fits.then_some(condition)
    }
}

/// A policy, ready to judge. INVARIANT: it is shared by all requests and holds nothing of any of them.
pub trait Policy {
    /// Judges the head of a request.
    fn check_request(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        let _ = (exchange, host);
        Verdict::Pass
    }

    /// Goes on judging the head of a request after [`Verdict::Wait`]: what it waited for has come, or
    /// will not come. It may wait again.
    fn resume(&self, wake: Wake<'_>, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        let _ = wake;
        self.check_request(exchange, host)
    }

    /// Hears that the request does not wait, though it said so: nothing comes of what it says, and the chain goes
    /// on.
    fn not_waited(&self, facts: &mut Facts) {
        let _ = facts;
    }

    /// Whether a browser may send what a preflight asks about. None from a policy that does not answer
    /// preflights; a policy that does answers them in [`Policy::check_request`].
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

    /// Hears of the head of the service's response, before any is shaped, and also when the whole
    /// document is in shadow mode, unless the request would have been refused.
    fn upstream_responded(&self, headers: &Headers, facts: &mut Facts, host: &dyn Host) {
        let _ = (headers, facts, host);
    }

    /// Hears of the trailers that end the service's response, as of its head.
    fn upstream_ended(&self, trailers: &Headers, facts: &mut Facts, host: &dyn Host) {
        let _ = (trailers, facts, host);
    }

    /// Shapes the head of the response, the service's or ours.
    fn edit_response(&self, response: &mut Response<'_>, host: &dyn Host) {
        let _ = (response, host);
    }

    /// Hears that an exchange on its route has ended, however it did: once, and last of all, if
    /// [`Declaration::minds_end`] says so.
    fn finished(&self, exchange: &mut Finished<'_>, host: &dyn Host) {
        let _ = (exchange, host);
    }

    /// Says what it must see of the body of the service's response, with the response's head and in
    /// either mode. None if it does not judge it.
    fn response_body_need(&self, response: &mut Response<'_>) -> Option<BodyNeed> {
        let _ = response;
        None
    }

    /// Judges the body of the response, after [`Policy::response_body_need`] asked for it, as
    /// [`Policy::request_body`] judges the request's. Where the head has gone ahead, a refusal
    /// breaks the response off.
    fn response_body(&self, body: &mut ResponseBody<'_>, host: &dyn Host) -> Verdict {
        let _ = (body, host);
        Verdict::Pass
    }

    /// Is told, while the document is compiled, on what kind of route it stands.
    fn placed(&self, route: Placement<'_>) {
        let _ = route;
    }

    /// Is told, while the document is compiled, for which requests a route is that it stands on.
    fn meets(&self, matcher: &RequestMatcher) {
        let _ = matcher;
    }

    /// Says, while the document is compiled, how it does not fit how its route asks for credentials.
    fn misfits(&self, credentials: &RouteCredentials<'_>) -> Misfits {
        let _ = credentials;
        Misfits::default()
    }

    /// Says, while the document is compiled, how it does not fit the operations of its route's API; without
    /// one, the route has no API.
    fn misfits_of_api(&self, api: Option<&dyn ApiOperations>) -> Vec<String> {
        let _ = api;
        Vec::new()
    }

    /// Puts its work on the plan of its route, once the document is compiled; none if its work is not of
    /// that kind, and then the route has no plan. What it puts there comes to what its other methods come
    /// to, in every byte; tests hold all cases to that.
    fn plan(&self, draft: &mut Draft<'_>) -> Option<()> {
        let _ = draft;
        None
    }

    /// The same for a part in shadow mode: requests of which it would note something leave the plan.
    fn plan_in_shadow(&self, draft: &mut Draft<'_>) -> Option<()> {
        let _ = draft;
        None
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
    /// Not known yet: the request is held, and [`Policy::resume`] goes on judging it when the wait is over.
    /// Only for a head: as the verdict on a body it refuses.
    Wait(Wait),
    /// It may not pass.
    Refuse(Refusal),
    /// It is answered here, and that is no refusal: a preflight, a redirect.
    Respond(Reply),
    /// It may pass with another body. Only for the whole body of a response, which has been held: as the verdict on
    /// anything else it refuses.
    Rewrite(Box<Rewrite>),
}
