//! A compiled document: immutable, shared by all requests that began with it.

mod chain;
mod requests;
mod shown;
mod staged;

use std::collections::BTreeSet;
use std::rc::Rc;
use std::time::Duration;

use crate::access_log::AccessLog;
use crate::access_log::collector::OtlpExporter;
use crate::access_log::security::SecurityEvents;
use crate::explain::Explain;
use crate::metrics::{Gauges, MetricsConfig};
use crate::plan::Plans;
use portcullis_exchange::body::Inspection;
use portcullis_exchange::client_address::ClientAddress;
use portcullis_exchange::exchange::{FilterStateKey, Request};
use portcullis_exchange::fetched::Fetched;
use portcullis_exchange::host::Host;
use portcullis_exchange::route::{PathIndex, PreflightMatch, RequestMatcher, Undecidable};
use portcullis_exchange::section::{EnvironmentFault, Registry, Sections, Ticking, Variable};
use portcullis_exchange::target::PathRules;
use portcullis_exchange::versions::VersionScheme;
use portcullis_policies::jwt::{Providers, RemoteKeys};
use portcullis_wire::budget::Reservation;
use portcullis_wire::headers::HeaderName;
use portcullis_wire::preflight::Preflight;
use portcullis_wire::sort;

pub use self::chain::{Chain, Lane, Step};
pub use self::requests::{Overrides, Requests};
pub use self::shown::ShownFields;
pub use self::staged::StagedRollout;
pub use portcullis_exchange::enforcement::Mode;

/// A compiled document. INVARIANT: it depends on the document's bytes alone, and never changes.
#[derive(Debug)]
pub struct Engine {
    pub mode: Mode,
    /// For which share of requests it is in force, if neither for all nor for none.
    pub rollout: Option<StagedRollout>,
    /// Whether a number is drawn for each request, for what goes by that.
    pub draws: bool,
    pub routes: Vec<Route>,
    /// Where to look for the route of a path.
    pub paths: PathIndex,
    /// The same for folded paths; empty if there are none.
    pub any_case_paths: PathIndex,
    pub fallback: Chain,
    pub owned_request_headers: Vec<HeaderName>,
    /// What becomes of fields that name another method or path.
    pub overrides: Overrides,
    /// Fields that the document judges, which are no use in a trailer therefore.
    pub judged_request_headers: Vec<HeaderName>,
    pub access_log: Option<Rc<AccessLog>>,
    pub notes: Vec<String>,
    pub registry: Registry,
    pub sections: Sections,
    pub client_address: ClientAddress,
    pub inspection: Inspection,
    pub path_rules: PathRules,
    pub measured: MetricsConfig,
    pub digest: [u8; 32],
    pub compiled_bytes: usize,
    pub collector: Option<Rc<OtlpExporter>>,
    pub security_events: Option<Rc<SecurityEvents>>,
    pub explain: Option<Rc<Explain>>,
    pub request_id: Option<HeaderName>,
    /// How requests name versions, unless an API says it otherwise.
    pub versions: Option<Rc<VersionScheme>>,
    pub shown_fields: ShownFields,
    /// What most requests come to, prepared.
    pub plans: Plans,
    /// What it may take of the worker's memory.
    pub memory: Option<Reservation>,
}

/// One route and what is asked there.
#[derive(Debug)]
pub struct Route {
    pub name: Rc<str>,
    pub matcher: RequestMatcher,
    /// Whether it asks for no credentials.
    pub is_open: bool,
    /// For which share of its requests it is in force, if neither for all nor for none.
    pub rollout: Option<StagedRollout>,
    pub chain: Chain,
}

/// Which route a request belongs to.
#[derive(Debug, PartialEq, Eq)]
pub enum Selection {
    /// The route at that place.
    Route(usize),
    /// It is a preflight, which is answered here.
    Preflight(PreflightRoutes),
    /// None.
    NoRoute,
    /// None, but with another method there would be: one of these.
    MethodNotAllowed(Vec<String>),
    /// A route asks for something that cannot be told.
    Undecidable(Undecidable),
}

/// What a preflight is about.
#[derive(Debug, PartialEq, Eq)]
pub struct PreflightRoutes {
    /// The route whose policy answers: the first that grants nothing, else the first.
    pub answers: usize,
    /// Every route that the request in question may take.
    pub routes: Vec<usize>,
}

impl Engine {
    /// How many requests have been judged by plans.
    pub fn planned(&self) -> u64 {
        self.plans.taken()
    }

    /// What an operator should know about the document although it is valid.
    pub fn notes(&self) -> &[String] {
        &self.notes
    }

    /// What the document takes up in the proxy, one line for each limit.
    pub fn memory_estimates(&self) -> &[String] {
        &self.registry.memory_estimates
    }

    /// The names of the variables that the VM's environment has to have, each once.
    pub fn variables(&self) -> BTreeSet<&str> {
        let needed = self.registry.environment.iter();
        needed.map(Variable::name).collect()
    }

    /// What an operator should know of the environment of this VM, as the document needs it.
    pub fn environment_faults(&self, host: &dyn Host) -> impl Iterator<Item = EnvironmentFault> {
        let needed = self.registry.environment.iter();
        needed.filter_map(|variable| variable.fault(host))
    }

    /// The places in the document of what says nothing any more.
    pub fn ended(&self, wall_clock: Duration) -> impl Iterator<Item = &str> {
        let ending = self.registry.ending.iter();
        let ended = ending.filter(move |(end, _)| u64::from(*end) <= wall_clock.as_secs());
        ended.map(|(_, place)| &**place)
    }

    /// The names of all values that policies may leave for other filters.
    pub fn exports(&self) -> &[FilterStateKey] {
        &self.registry.exports
    }

    /// The keys that providers publish. The worker fetches them.
    pub fn remote_keys(&self) -> Vec<Rc<RemoteKeys>> {
        self.sections.get::<Providers>().remote_keys()
    }

    /// What the document has fetched on a schedule, in the order of the document.
    pub fn fetched(&self) -> impl Iterator<Item = Rc<dyn Fetched>> + '_ {
        self.registry.fetched.iter().cloned()
    }

    /// Forgets every token that was judged: each will be verified anew.
    pub fn forget_tokens(&self) {
        self.sections.forget();
    }

    /// Forgets every token that was refused: each will be judged anew.
    pub fn forget_refused_tokens(&self) {
        self.sections.get::<Providers>().forget_refused();
    }

    /// Lets go of what is only kept to be quicker, and keeps little of it from then on: for a document
    /// that another has replaced, while its last requests end. It still judges them as before.
    pub fn release_caches(&self) {
        self.sections.release();
    }

    /// What has something to do from time to time.
    pub fn ticks(&self) -> &[Rc<dyn Ticking>] {
        &self.registry.ticks
    }

    /// The gauges of what the document names. The worker reports them to the proxy.
    pub fn gauges(&self) -> &Gauges {
        &self.registry.gauges
    }

    /// What is measured beyond what always is.
    pub fn measured(&self) -> MetricsConfig {
        self.measured
    }

    /// Keeps the memory that was asked for, for as long as the engine lives.
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
    pub fn collector(&self) -> Option<&Rc<OtlpExporter>> {
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
    pub fn notes_claimed(&self) -> bool {
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
    pub fn select(&self, request: &Request<'_>) -> Selection {
        let Some(preflight) = Preflight::of(request.headers, request.effort) else {
            return self.select_by_method(request);
        };
        let method = preflight.method.unwrap_or_default();
        let routes =
            self.preflight_routes(request, &preflight, |route| route.matcher.allows(method));
        if let Some(answers) = self.responder(&routes, &preflight) {
            return Selection::Preflight(PreflightRoutes { answers, routes });
        }
        match self.select_by_method(request) {
            // Nobody takes the method. A browser reads no 405 here, and an answer that grants nothing
            // tells it as much.
            Selection::MethodNotAllowed(allowed) if routes.is_empty() => {
                let others = self.preflight_routes(request, &preflight, |_| true);
                match self.responder(&others, &preflight) {
                    Some(answers) => Selection::Preflight(PreflightRoutes { answers, routes }),
                    None => Selection::MethodNotAllowed(allowed),
                }
            }
            selection => selection,
        }
    }

    /// The routes that the request in question may take, among those that `takes` is true for.
    pub fn preflight_routes(
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
            match route.matcher.matches_preflight(request, preflight) {
                PreflightMatch::Misses => {}
                PreflightMatch::Depends => routes.push(index),
                PreflightMatch::Matches => {
                    routes.push(index);
                    break;
                }
            }
        }
        routes
    }

    /// Who of them answers a preflight, if each of them answers preflights.
    fn responder(&self, routes: &[usize], preflight: &Preflight<'_>) -> Option<usize> {
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
    pub fn is_unambiguous(&self, request: &Request<'_>, selection: &Selection) -> bool {
        request.target.other_readings().all(|other| {
            let read = Request {
                target: &other,
                ..*request
            };
            self.select(&read) == *selection
        })
    }

    /// Whether a route would be for a request if that named a version.
    pub fn misses_version(&self, request: &Request<'_>) -> bool {
        let mut candidates = self.candidates(request);
        candidates.any(|(_, route)| route.matcher.misses_version(request))
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
        sort::sort(&mut allowed, Ord::cmp);
        allowed.dedup();
        Selection::MethodNotAllowed(allowed)
    }
}
