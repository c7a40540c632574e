//! A compiled document: immutable, shared by all requests that began with it.

use std::fmt;
use std::rc::Rc;

use crate::access_log::AccessLog;
use crate::access_log::collector::Collector;
use crate::access_log::security::SecurityEvents;
use crate::body::Inspection;
use crate::budget::Reservation;
use crate::config::{self, ConfigError};
use crate::exchange::{ClaimedSubject, PropertyName, Request};
use crate::explain::Explain;
use crate::fetched::Fetched;
use crate::headers::HeaderName;
use crate::host::Host;
use crate::metrics::{Gauges, Measured};
use crate::policy::jwt::{Providers, RemoteKeys};
use crate::policy::{self, Declaration, Policy, Stage, Verdict};
use crate::preflight::Preflight;
use crate::refusal::{BlockPlace, ErrorPage, Refusal};
use crate::route::{Foresight, PathIndex, RequestMatcher, Undecidable};
use crate::section::{EnvironmentFault, Registry, Sections};
use crate::stream::{Overrides, ShownFields, later_request_fields};
use crate::target::PathRules;

pub use crate::enforcement::Mode;

/// A compiled document.
#[derive(Debug)]
pub struct Engine {
    pub(crate) mode: Mode,
    pub(crate) routes: Vec<Route>,
    /// Where to look for the route of a path.
    pub(crate) paths: PathIndex,
    /// The same for folded paths; empty if there are none.
    pub(crate) any_case_paths: PathIndex,
    pub(crate) fallback: Chain,
    pub(crate) owned_request_headers: Vec<HeaderName>,
    /// What becomes of fields that name another method or path.
    pub(crate) overrides: Overrides,
    /// Fields that the document judges, which are no use in a trailer therefore.
    pub(crate) judged_request_headers: Vec<HeaderName>,
    pub(crate) access_log: Option<Rc<AccessLog>>,
    pub(crate) notes: Vec<String>,
    pub(crate) registry: Registry,
    pub(crate) sections: Sections,
    pub(crate) inspection: Inspection,
    pub(crate) path_rules: PathRules,
    pub(crate) measured: Measured,
    pub(crate) digest: [u8; 32],
    pub(crate) compiled_bytes: usize,
    pub(crate) collector: Option<Rc<Collector>>,
    pub(crate) security_events: Option<Rc<SecurityEvents>>,
    pub(crate) explain: Option<Rc<Explain>>,
    pub(crate) request_id: Option<HeaderName>,
    pub(crate) shown_fields: ShownFields,
    /// What it may take of the worker's memory.
    pub(crate) memory: Option<Reservation>,
}

/// One route and what is asked there.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) name: Rc<str>,
    pub(crate) matcher: RequestMatcher,
    /// Whether it asks for no credentials.
    pub(crate) is_open: bool,
    pub(crate) chain: Chain,
}

/// Parts of policies in running order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chain {
    pub(crate) steps: Vec<Step>,
    /// Those that are tried beside them, in running order: nothing comes of what they say.
    pub(crate) beside: Vec<Step>,
    /// Whether a step reads the header fields of answers.
    pub(crate) reads_response: bool,
    /// Whether a proxy in front says of connections that they are encrypted.
    pub(crate) trusts_forwarded_proto: bool,
    /// What browsers are to show.
    pub(crate) error_page: Option<Rc<ErrorPage>>,
    /// Who a request may say it comes from.
    pub(crate) claimants: Option<Rc<dyn ClaimedSubject>>,
    /// The request's fields that are asked for after its head has been judged.
    pub(crate) later_request_fields: Vec<&'static str>,
    /// Those that are asked for by what is tried alone.
    pub(crate) tried_request_fields: Vec<&'static str>,
}

impl Chain {
    pub(crate) fn new(mut steps: Vec<Step>, mut beside: Vec<Step>) -> Self {
        // Stable: parts of one stage keep the order of the list of policies.
        steps.sort_by_key(|step| step.stage);
        beside.sort_by_key(|step| step.stage);
        let mut all = steps.iter().chain(&beside);
        let reads_response = all.any(|step| step.declared.reads_response);
        let declared = || steps.iter().map(|step| &step.declared);
        let trusts_forwarded_proto = declared().any(|each| each.trusts_forwarded_proto);
        let enforced = steps.iter().filter(|step| step.mode == Mode::Enforce);
        let mut pages = enforced.filter_map(|step| step.declared.error_page.as_ref());
        let error_page = pages.next().cloned();
        let claimants = declared().find_map(|each| each.claimants.clone());
        let page: &[&str] = match error_page {
            Some(_) => &["accept", "sec-fetch-mode"],
            None => &[],
        };
        let later_request_fields = later_request_fields(&steps, page);
        let mut tried_request_fields = self::later_request_fields(&beside, &[]);
        tried_request_fields.retain(|name| !later_request_fields.contains(name));
        Self {
            steps,
            beside,
            claimants,
            reads_response,
            trusts_forwarded_proto,
            error_page,
            later_request_fields,
            tried_request_fields,
        }
    }

    /// The steps that are in force, or those that are tried.
    pub(crate) fn lane(&self, lane: Lane) -> &[Step] {
        match lane {
            Lane::InForce => &self.steps,
            Lane::Beside => &self.beside,
        }
    }

    /// Whether a browser may send what a preflight asks about; none if no policy says.
    fn grants(&self, preflight: &Preflight<'_>, mode: Mode) -> Option<bool> {
        let enforced = self
            .steps
            .iter()
            .filter(|step| mode.over(step.mode) == Mode::Enforce);
        enforced
            .filter_map(|step| step.policy.grants(preflight))
            .reduce(|one, other| one && other)
    }
}

/// Which steps of a chain are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// Those in force, be it in shadow mode.
    InForce,
    /// Those that are tried beside them.
    Beside,
}

/// One part of a policy in a chain.
#[derive(Clone)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    /// The place of its policy, as [`crate::policy::name`] has it.
    pub(crate) kind: usize,
    pub(crate) mode: Mode,
    pub(crate) stage: Stage,
    pub(crate) policy: Rc<dyn Policy>,
    /// What that says of itself.
    pub(crate) declared: Rc<Declaration>,
    /// Where its block stands, if there is one.
    pub(crate) place: Option<Rc<BlockPlace>>,
}

impl Step {
    /// The refusal, with the place of the rule that was not met.
    pub(crate) fn placed(&self, refusal: Refusal) -> Refusal {
        let Some(place) = &self.place else {
            return refusal;
        };
        // What is tried has the rules of its policy.
        let kind = policy::LIST.get(self.kind % policy::LIST.len());
        let field = kind.and_then(|kind| kind.field_of(&refusal));
        refusal.placed(place, field)
    }

    /// The verdict, with the place of the rule if it is a refusal.
    pub(crate) fn placed_in(&self, verdict: Verdict) -> Verdict {
        match verdict {
            Verdict::Refuse(refusal) => Verdict::Refuse(self.placed(refusal)),
            verdict => verdict,
        }
    }
}

/// Which route a request belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// The route at that place.
    Route(usize),
    /// It is a preflight, which is answered here.
    Preflight(Asked),
    /// None.
    NoRoute,
    /// None, but with another method there would be: one of these.
    MethodNotAllowed(Vec<String>),
    /// A route asks for something that cannot be told.
    Undecidable(Undecidable),
}

/// What a preflight is about.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The route whose policy answers: the first that grants nothing, else the first.
    pub(crate) answers: usize,
    /// Every route that the request in question may take.
    pub(crate) routes: Vec<usize>,
}

impl Engine {
    /// Compiles a document. The result depends on nothing but these bytes.
    ///
    /// # Errors
    /// Everything that is wrong with the document, each with its place.
    pub fn compile(document: &[u8]) -> Result<Self, ConfigError> {
        config::compile(document)
    }

    /// What an operator should know about the document although it is valid.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What the document takes up in the proxy, one line for each limit.
    pub fn footprints(&self) -> &[String] {
        &self.registry.footprints
    }

    /// What an operator should know of the environment of this VM, as the document needs it.
    pub fn environment_faults(&self, host: &dyn Host) -> impl Iterator<Item = EnvironmentFault> {
        let needed = self.registry.environment.iter();
        needed.filter_map(|variable| variable.fault(host))
    }

    /// The names of all values that policies may leave for other filters.
    pub fn exports(&self) -> &[PropertyName] {
        &self.registry.exports
    }

    /// The keys that providers publish; somebody has to fetch them.
    pub fn remote_keys(&self) -> Vec<Rc<RemoteKeys>> {
        self.sections.get::<Providers>().remote_keys()
    }

    /// What the document has fetched on a schedule, in the order of the document.
    pub fn fetched(&self) -> impl Iterator<Item = Rc<dyn Fetched>> + '_ {
        self.registry.fetched.iter().cloned()
    }

    /// Forgets every token that was verified: each will be verified anew.
    pub fn forget_tokens(&self) {
        self.sections.forget();
    }

    /// Lets go of what is only kept to be quicker, and keeps little of it from then on: for a document
    /// that another has replaced, while its last requests end. It still judges them as before.
    pub fn release_caches(&self) {
        self.sections.release();
    }

    /// The gauges that the document asks for by what it names; somebody has to show them.
    pub fn gauges(&self) -> &Gauges {
        &self.registry.gauges
    }

    /// What is measured beyond what always is.
    pub fn measured(&self) -> Measured {
        self.measured
    }

    /// Keeps the memory that was asked for, for as long as somebody has the engine.
    pub fn hold(&mut self, memory: Reservation) {
        self.memory = Some(memory);
    }

    /// The SHA-256 of the document.
    pub fn digest(&self) -> &[u8; 32] {
        &self.digest
    }

    /// What the document takes of memory, at most, as estimated while it was compiled.
    pub fn compiled_bytes(&self) -> usize {
        self.compiled_bytes
    }

    /// Where records are sent, if they are.
    pub fn collector(&self) -> Option<&Rc<Collector>> {
        self.collector.as_ref()
    }

    /// How security events are told; none if they are not.
    pub fn security_events(&self) -> Option<&SecurityEvents> {
        self.security_events.as_deref()
    }

    /// The name of the route at a place.
    pub fn route_name(&self, index: usize) -> Option<&str> {
        self.routes.get(index).map(|route| &*route.name)
    }

    /// How finished exchanges are logged; none if they are not.
    pub fn access_log(&self) -> Option<&AccessLog> {
        self.access_log.as_deref()
    }

    /// Whether records show what tokens say that are not accepted.
    pub(crate) fn notes_claimed(&self) -> bool {
        let log = self.access_log();
        log.is_some_and(AccessLog::shows_claimed)
    }

    /// What becomes of heads while bodies are judged.
    pub fn inspection(&self) -> Inspection {
        self.inspection
    }

    /// The number of routes.
    pub fn route_count(&self) -> usize {
        self.routes.len()
    }

    /// Finds the route of a request. A preflight belongs to the routes of the request that it asks about,
    /// if all of those answer preflights. Otherwise it is a request like any other.
    pub(crate) fn select(&self, request: &Request<'_>) -> Selection {
        let Some(preflight) = Preflight::of(request.headers, request.effort) else {
            return self.select_by_method(request);
        };
        let method = preflight.method.unwrap_or_default();
        let routes = self.foreseen(request, &preflight, |route| route.matcher.allows(method));
        if let Some(answers) = self.answering(&routes, &preflight) {
            return Selection::Preflight(Asked { answers, routes });
        }
        match self.select_by_method(request) {
            // Nobody takes the method. A browser reads no 405 here, and an answer that grants nothing
            // tells it as much.
            Selection::MethodNotAllowed(allowed) if routes.is_empty() => {
                let others = self.foreseen(request, &preflight, |_| true);
                match self.answering(&others, &preflight) {
                    Some(answers) => Selection::Preflight(Asked { answers, routes }),
                    None => Selection::MethodNotAllowed(allowed),
                }
            }
            selection => selection,
        }
    }

    /// The routes that the request in question may take, among those that `takes` is true for.
    pub(crate) fn foreseen(
        &self,
        request: &Request<'_>,
        preflight: &Preflight<'_>,
        takes: impl Fn(&Route) -> bool,
    ) -> Vec<usize> {
        let mut routes = Vec::new();
        for (index, route) in self.candidates(request) {
            if !takes(route) {
                continue;
            }
            match route.matcher.foresees(request, preflight) {
                Foresight::No => {}
                Foresight::Perhaps => routes.push(index),
                Foresight::Yes => {
                    routes.push(index);
                    break;
                }
            }
        }
        routes
    }

    /// Who of them answers a preflight, if each of them answers preflights.
    fn answering(&self, routes: &[usize], preflight: &Preflight<'_>) -> Option<usize> {
        let mut refusing = None;
        for index in routes {
            let grants = self
                .routes
                .get(*index)?
                .chain
                .grants(preflight, self.mode)?;
            if !grants && refusing.is_none() {
                refusing = Some(*index);
            }
        }
        refusing.or(routes.first().copied())
    }

    /// The routes that may be for a request by its path, in order.
    fn candidates(&self, request: &Request<'_>) -> impl Iterator<Item = (usize, &Route)> {
        let paths = match request.target.any_case() {
            true => &self.any_case_paths,
            false => &self.paths,
        };
        let places = paths.candidates(request.target.path());
        places.filter_map(|place| Some((place, self.routes.get(place)?)))
    }

    /// Whether a request belongs to the same route however its path is read.
    pub(crate) fn agrees(&self, request: &Request<'_>, selection: &Selection) -> bool {
        request.target.others().all(|other| {
            let read = Request {
                target: &other,
                ..*request
            };
            self.select(&read) == *selection
        })
    }

    fn select_by_method(&self, request: &Request<'_>) -> Selection {
        let mut allowed: Vec<String> = Vec::new();
        for (index, route) in self.candidates(request) {
            match route.matcher.matches(request) {
                Err(undecidable) => return Selection::Undecidable(undecidable),
                Ok(false) => {}
                Ok(true) if route.matcher.allows(request.method()) => {
                    return Selection::Route(index);
                }
                Ok(true) => allowed.extend(route.matcher.methods().iter().cloned()),
            }
        }
        if allowed.is_empty() {
            return Selection::NoRoute;
        }
        allowed.sort_unstable();
        allowed.dedup();
        Selection::MethodNotAllowed(allowed)
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.name, self.mode)
    }
}
