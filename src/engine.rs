//! A compiled document: immutable, shared by all requests that began with it.

use std::fmt;
use std::rc::Rc;

use crate::access_log::AccessLog;
use crate::body::Ledger;
use crate::config::{self, ConfigError};
use crate::exchange::{PropertyName, Request};
use crate::headers::HeaderName;
use crate::metrics::Gauges;
use crate::policy::jwt::RemoteKeys;
use crate::policy::{Policy, Stage};
use crate::route::{RequestMatcher, Undecidable};

/// Whether refusals are carried out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// They are.
    Enforce,
    /// They are judged, counted and logged; the request goes on as if the policy were absent.
    Shadow,
}

/// A compiled document.
#[derive(Debug)]
pub struct Engine {
    pub(crate) mode: Mode,
    pub(crate) routes: Vec<Route>,
    pub(crate) fallback: Chain,
    pub(crate) owned_request_headers: Vec<HeaderName>,
    pub(crate) access_log: Option<AccessLog>,
    pub(crate) notes: Vec<String>,
    pub(crate) environment: Vec<(Rc<str>, String)>,
    pub(crate) exports: Vec<PropertyName>,
    pub(crate) remote_keys: Vec<Rc<RemoteKeys>>,
    pub(crate) ledger: Rc<Ledger>,
    pub(crate) gauges: Gauges,
}

/// One route and what is asked there.
#[derive(Debug)]
pub(crate) struct Route {
    pub(crate) name: Rc<str>,
    pub(crate) matcher: RequestMatcher,
    pub(crate) chain: Chain,
}

/// Parts of policies in running order.
#[derive(Clone, Debug, Default)]
pub(crate) struct Chain {
    pub(crate) steps: Vec<Step>,
    /// Whether a step reads the header fields of answers.
    pub(crate) reads_response: bool,
}

impl Chain {
    pub(crate) fn new(mut steps: Vec<Step>) -> Self {
        // Stable: parts of one stage keep the order of the list of policies.
        steps.sort_by_key(|step| step.stage);
        let reads_response = steps.iter().any(|step| step.policy.reads_response());
        Self {
            steps,
            reads_response,
        }
    }
}

/// One part of a policy in a chain.
#[derive(Clone)]
pub(crate) struct Step {
    pub(crate) name: &'static str,
    pub(crate) mode: Mode,
    pub(crate) stage: Stage,
    pub(crate) policy: Rc<dyn Policy>,
}

/// Which route a request belongs to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Selection {
    /// The route at that place.
    Route(usize),
    /// None.
    NoRoute,
    /// None, but with another method there would be: one of these.
    MethodNotAllowed(Vec<String>),
    /// A route asks for something that cannot be told.
    Undecidable(Undecidable),
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

    /// The variables of the VM's environment that hold secrets, each with the provider that needs it.
    pub fn environment(&self) -> &[(Rc<str>, String)] {
        &self.environment
    }

    /// The names of all values that policies may leave for other filters.
    pub fn exports(&self) -> &[PropertyName] {
        &self.exports
    }

    /// The keys that providers publish; somebody has to fetch them.
    pub fn remote_keys(&self) -> &[Rc<RemoteKeys>] {
        &self.remote_keys
    }

    /// The gauges that the document asks for by what it names; somebody has to show them.
    pub fn gauges(&self) -> &Gauges {
        &self.gauges
    }

    /// How finished exchanges are logged; none if they are not.
    pub fn access_log(&self) -> Option<&AccessLog> {
        self.access_log.as_ref()
    }

    /// The number of routes.
    pub fn route_count(&self) -> usize {
        self.routes.len()
    }

    pub(crate) fn select(&self, request: &Request<'_>) -> Selection {
        let mut allowed: Vec<String> = Vec::new();
        for (index, route) in self.routes.iter().enumerate() {
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
