//! What a policy says of itself while the document is compiled.

use std::fmt;
use std::rc::Rc;

use crate::condition::Condition;
use crate::edit::FilterStateKey;
use crate::enforcement::Mode;
use crate::exchange::{ApiOperations, ClaimedSubject};
use crate::principal::CredentialKind;
use crate::refusal::ErrorPage;
use crate::versions::VersionScheme;
use portcullis_document::Pointer;
use portcullis_wire::headers::{HeaderName, HeaderValue};

/// What a policy says of itself once, while the document is compiled.
#[derive(Clone, Debug)]
pub struct Declaration {
    /// A mode of its own, where its block has another.
    pub mode: Mode,
    /// Whether it reads the response's header fields. Asking the proxy for them takes time.
    pub reads_response: bool,
    /// The request's fields that it reads after the head has been judged: with a body, or with the
    /// answer. No others are kept until then.
    pub later_request_fields: &'static [&'static str],
    /// The page on which browsers are to show refusals.
    pub error_page: Option<Rc<ErrorPage>>,
    /// Whose tokens it asks for, so that others can tell who a request says it comes from.
    pub claimants: Option<Rc<dyn ClaimedSubject>>,
    /// Whether it goes by the operations of the route's API.
    pub asks_operations: bool,
    /// Whether it goes by what GraphQL requests ask for.
    pub asks_graphql: bool,
    /// Whether it reads GraphQL requests, for those that go by them.
    pub reads_graphql: bool,
    /// Whether it asks what the security of that API says of callers.
    pub checks_security: bool,
    /// What operations its API has.
    pub operations: Option<Rc<dyn ApiOperations>>,
    /// How requests name versions of its API.
    pub versions: Option<Rc<VersionScheme>>,
    /// Whose credentials it asks for, if it asks for any.
    pub asks_for: Option<AskedCredentials>,
    /// Whether it goes by the claimants of the route.
    pub counts_claimants: bool,
    /// Whether it counts by the version of a request.
    pub counts_versions: bool,
    /// What of its limits clients can evade by what they send.
    pub evadable: Vec<EvadableLimit>,
    /// Whether one of its limits bounds every client, whatever they send.
    pub bounds_clients: bool,
    /// Request fields that only this filter may set. A client's own are removed on every
    /// route, whether or not the policy runs there.
    pub owned_request_headers: Vec<HeaderName>,
    /// Request fields that it judges. In a trailer nobody would, so a client's are removed from there.
    pub judged_request_headers: Vec<HeaderName>,
    /// Request fields by which its conditions go, each with the place of the condition.
    pub conditions_on_headers: Vec<(HeaderName, Pointer)>,
    /// Request fields that it counts by.
    pub counted_request_headers: Vec<HeaderName>,
    /// Request fields that it sets or removes because the document names them.
    pub sets_request_headers: Vec<ChangedRequestField>,
    /// Response fields that it sets or removes because the document names them.
    pub sets_response_headers: Vec<HeaderName>,
    /// Response fields of which nothing stays that an answer has, be it the service's or the filter's.
    pub replaces_response_headers: Vec<HeaderName>,
    /// Fields of the response that it sends in place of the service's.
    pub answers_with: Vec<HeaderName>,
    /// Where that response leads, if it is a redirect.
    pub redirects_to: Option<RedirectTarget>,
    /// What it tells of the age of versions or operations.
    pub tells_age: Option<AgeFields>,
    /// By which versions it judges.
    pub judges_versions: Option<Rc<VersionScheme>>,
    /// Whether it answers or refuses every request, so that nothing behind it is asked.
    pub ends_chain: bool,
    /// Whether it is told that an exchange has ended, by [`Policy::finished`](super::Policy::finished).
    pub minds_end: bool,
    /// The same, for requests that policies were asked about: on a plan it has nothing to hear.
    pub minds_end_if_asked: bool,
    /// Whether it says who calls only when all of the body has come.
    pub names_caller_late: bool,
    /// Whether it is to write nothing that others read where nothing is carried out of what it says.
    pub only_looks_in_shadow: bool,
    /// Whether it accepts every token of an issuer, whatever that grants.
    pub admits_any_token: bool,
    /// Whether whom it refuses is to learn nothing of the route.
    pub conceals: bool,
    /// Whether it goes by the certificate of the connection, and asks for no credentials.
    pub asks_for_certificate: bool,
    /// Whether it goes by the number that is drawn for a request.
    pub draws: bool,
    /// Whether it believes `X-Forwarded-Proto` of the proxy in front.
    pub trusts_forwarded_proto: bool,
    /// The names of the values that it may leave for other filters.
    pub exports: Vec<FilterStateKey>,
}

/// A request field that a document sets or removes.
#[derive(Clone, Debug)]
pub struct ChangedRequestField {
    /// Its name.
    pub name: HeaderName,
    /// Where the block stands that says so.
    pub place: Pointer,
    /// What becomes of it.
    pub change: RequestFieldChange,
}

/// What becomes of a request field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RequestFieldChange {
    /// It gets a value in place of what the client sent.
    Set,
    /// It gets a value where the client sent none: that one, unless the request decides it.
    AddIfAbsent(Option<HeaderValue>),
    /// The service does not get it.
    Remove,
}

/// Response fields that tell how old versions or operations are.
#[derive(Clone, Debug)]
pub struct AgeFields {
    /// Their names.
    pub names: Vec<HeaderName>,
    /// Where the document says their dates and links.
    pub place: Rc<str>,
}

/// Where a redirect leads.
#[derive(Clone, Debug)]
pub struct RedirectTarget {
    /// Where it stands in the document.
    pub place: Pointer,
    /// The host that it names, in lower case; none where it stays with that of the request.
    pub host: Option<Box<str>>,
    /// The path. Where the request fills a part of it, one to which it may lead; none where it is that of the
    /// request.
    pub path: Option<Box<str>>,
    /// Whether it is the same for all requests.
    pub is_constant: bool,
    /// The method of the request that follows; none where it is that of the one before.
    pub method: Option<&'static str>,
}

/// A limit that clients can evade by what they send, unless another bounds them.
#[derive(Clone, Debug)]
pub struct EvadableLimit {
    /// Where that stands in the document by which they do.
    pub place: Rc<str>,
    /// How they do.
    pub how: Rc<str>,
}

/// Whose credentials a route accepts.
#[derive(Clone, Debug)]
pub struct AskedCredentials {
    /// Each kind with the name of who vouches.
    pub authorities: Vec<(CredentialKind, Rc<str>)>,
    /// Of those of them whose callers may have roles, which.
    pub roles: Vec<Rc<dyn RoleSource>>,
    /// Whether a request needs one of each, and not one of any.
    pub needs_all: bool,
    /// Whether a request without any passes.
    pub is_optional: bool,
}

/// Which roles callers may have for whom an authority vouches.
pub trait RoleSource: fmt::Debug {
    /// Whether one of them may have that role.
    fn can_give(&self, role: &str) -> bool;

    /// The roles that it names. There may be others.
    fn names(&self) -> Vec<&str>;
}

/// How a route asks for credentials, for policies that go by who was found to call.
#[derive(Debug)]
pub struct RouteCredentials<'r> {
    /// In which mode; none if it asks for none.
    pub guard: Option<Mode>,
    /// What each of its policies asks for. Nothing of one whose block is wrong, which has been reported.
    pub asked: Vec<&'r AskedCredentials>,
}

/// What does not fit together in a route.
#[derive(Debug, Default)]
pub struct Misfits {
    /// What cannot be meant: the document is refused.
    pub problems: Vec<String>,
    /// What may still not be what was meant.
    pub notes: Vec<String>,
}

impl Default for Declaration {
    fn default() -> Self {
        Self {
            mode: Mode::Enforce,
            reads_response: false,
            later_request_fields: &[],
            error_page: None,
            claimants: None,
            asks_operations: false,
            asks_graphql: false,
            reads_graphql: false,
            checks_security: false,
            operations: None,
            versions: None,
            asks_for: None,
            counts_claimants: false,
            counts_versions: false,
            evadable: Vec::new(),
            bounds_clients: false,
            owned_request_headers: Vec::new(),
            judged_request_headers: Vec::new(),
            conditions_on_headers: Vec::new(),
            counted_request_headers: Vec::new(),
            sets_request_headers: Vec::new(),
            sets_response_headers: Vec::new(),
            replaces_response_headers: Vec::new(),
            answers_with: Vec::new(),
            redirects_to: None,
            tells_age: None,
            judges_versions: None,
            ends_chain: false,
            minds_end: false,
            minds_end_if_asked: false,
            names_caller_late: false,
            only_looks_in_shadow: false,
            admits_any_token: false,
            conceals: false,
            asks_for_certificate: false,
            draws: false,
            trusts_forwarded_proto: false,
            exports: Vec::new(),
        }
    }
}

impl Declaration {
    /// With the request fields by which a condition goes.
    pub fn goes_by(&mut self, condition: &Condition) {
        for name in condition.header_names() {
            self.judged_request_headers.push(name.clone());
            if let Some(place) = condition.place() {
                self.conditions_on_headers
                    .push((name.clone(), place.clone()));
            }
        }
    }
}
