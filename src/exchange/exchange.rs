//! What policies see of a request and its response, and what they leave behind.

use std::any::Any;
use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use crate::asked::Asked;
use crate::connection::Connection;
use crate::graphql::{GraphqlRequest, UnreadGraphql};
use crate::host::Host;
use crate::lifecycle::{RequestVersion, VersionFault, VersionState};
use crate::limits::Limits;
use crate::principal::Principal;
use crate::proof::Proofs;
use crate::refusal::{ErrorPage, Reason, Refusal};
use crate::target::{Authority, Target};
use portcullis_wire::headers::{HeaderName, HeaderValue, Headers};
use portcullis_wire::preflight::SameRoutes;
use portcullis_wire::regex::Effort;

pub use crate::connection::Scheme;
pub use crate::edit::{Change, Edit, FilterStateKey, changes};

/// A request whose target can be judged.
#[derive(Clone, Copy, Debug)]
pub struct Request<'r> {
    /// All fields, pseudo-header fields included.
    pub headers: &'r Headers,
    /// The host and port that are asked.
    pub authority: &'r Authority<'r>,
    /// The path and query.
    pub target: &'r Target,
    /// What comparing it with patterns may still cost.
    pub effort: &'r Effort,
}

/// A request on its way through the policies.
#[derive(Debug)]
pub struct Exchange<'r> {
    /// When its head arrived: what a policy should go by that asks for the time.
    pub arrived: Duration,
    /// The request as the client sent it.
    pub request: Request<'r>,
    /// Whether a body, or trailers, may follow the head.
    pub body: BodyState,
    /// The name of its route.
    pub route: &'r str,
    /// What policies have found out.
    pub facts: &'r mut Facts,
    /// Set when the request is a preflight about this route, and every other route that the request in
    /// question may take would grant it. Without it a preflight is granted nothing.
    pub preflight: Option<SameRoutes<'r>>,
    /// Whether a record or an event shows what a token says that is not accepted.
    pub notes_claimed: bool,
    /// What policies want changed before the service sees the request.
    pub edits: Vec<Edit>,
    /// What a policy would have refused by a part of it that is in shadow mode.
    pub shadow: Vec<Refusal>,
}

/// What policies learn about a request and others may rely on: each fact has one writer.
#[derive(Debug, Default)]
pub struct Facts {
    /// Who calls. Written by the policy that asks for credentials, once it has accepted one.
    pub principal: Option<Principal>,
    /// What limits said. Written by `rate_limits`.
    pub limits: Limits,
    /// What proofs of possession came with the request. Written by the policies that ask for credentials.
    pub proofs: Proofs,
    /// Which operation of its API it is. Written by `openapi`.
    pub operation: Option<OperationIndex>,
    /// Whose tokens its route asks for. Written by the stream.
    pub claimants: Option<Rc<dyn ClaimedSubject>>,
    /// What is known of the client's connection.
    pub connection: Connection,
    /// What services were asked about its credentials. Written by the policy that asks for them, and
    /// forgotten when that has judged.
    pub asked: Asked,
    /// In a box, since every open stream has facts and few have these.
    seldom: Option<Box<SeldomFacts>>,
}

/// Facts of few requests.
#[derive(Debug, Default)]
pub struct SeldomFacts {
    /// Whom credentials name that were accepted beside that of who calls. Written by the policy that asks for
    /// credentials.
    beside: Vec<Principal>,
    /// What operations the API of its route has, if a policy asks. Written by the stream.
    operations: Option<Rc<dyn ApiOperations>>,
    /// Which version of the API it is for. Written by `versions`; `openapi` says how old the operation is.
    version: Option<RequestVersion>,
    /// A number that was drawn for the request, where the document goes by one. Written by the stream.
    draw: u64,
    /// What the body of the response is judged by, each with who judges. Written by `payload`.
    pub response_checks: Vec<(usize, ResponseCheck)>,
    /// How the body of the response is searched. Written by `responses`.
    pub response_search: Option<ResponseSearch>,
    /// Why the body of the response has passed without being searched, if it has. Written by `responses`.
    pub response_unjudged: Option<&'static Reason>,
    /// What a signature leaves to be compared with the body. Written by `signed_request`, which asks the budget
    /// for it.
    pub unsettled_signature: Option<Box<dyn Any>>,
    /// What the request has filled of the fields that its response gets. Written by `response_headers`.
    pub response_fields: Vec<(HeaderName, HeaderValue)>,
    /// What rules leave to be decided with the body. Written by `access`, which asks the budget for it.
    pub access: Option<Box<dyn Any>>,
    /// What was found in the head, to be added to what is in the body. Written by `deny_patterns`, which asks the
    /// budget for it.
    pub evidence: Option<Box<dyn Any>>,
    /// The place that the request has among those under way. Written by `concurrency`.
    pub place: Option<Box<dyn Any>>,
    /// Why it cannot be told which version of the API the request is for. Written by `versions`.
    pub version_fault: Option<VersionFault>,
    /// The parameters of the query in which its version was looked for. Written by `versions`.
    pub version_parameters: Option<Rc<[Box<str>]>>,
    /// What it asks for, if it is a GraphQL request that has been read, or cannot be. Written by `graphql`.
    graphql: Option<Result<Rc<GraphqlRequest>, UnreadGraphql>>,
}

/// The place of an operation in its API: that of its path, and its own there.
pub type OperationIndex = (usize, usize);

/// The operations of an API, for policies that are for some of them.
pub trait ApiOperations: fmt::Debug {
    /// Whether a request is one of those that are called so: by their `operationId`, or by method and the
    /// template of their path, as in `GET /users/{id}`. Whatever a server may take it for has to come to the same.
    ///
    /// # Errors
    /// [`UntoldOperation`].
    fn is_one_of(&self, request: &Request<'_>, names: &[Box<str>])
    -> Result<bool, UntoldOperation>;

    /// All that operations are called. A name of several is in it as often.
    fn names(&self) -> Vec<&str>;

    /// How many operations there are.
    fn count(&self) -> usize;
}

/// Why it cannot be told which operation a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UntoldOperation {
    /// Servers may read its path so that it is another, or take it for another whose path fits as well.
    Path,
    /// Its method is that of one in other letters, which is the same to some servers.
    Method,
    /// It would take too much work.
    Effort,
}

/// Who a request says it comes from, before that has been verified: for limits by what is claimed.
pub trait ClaimedSubject: fmt::Debug {
    /// The subject; none if the request names none.
    ///
    /// # Errors
    /// [`Several`].
    fn subject(&self, request: &Request<'_>) -> Result<Option<String>, Several>;
}

/// There are several tokens where there is to be one: whose subject counts would be for the sender
/// to choose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Several;

/// How a response is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseCheck {
    /// By the schema at that place in the judge's list.
    Schema(usize),
    /// The same, though it cannot be told what it is: it has to be JSON.
    Untold(usize),
    /// It cannot be read, for that reason.
    Unreadable(&'static Reason),
}

/// How a response is searched for what may not leave.
#[derive(Debug)]
pub struct ResponseSearch {
    /// What it is searched as.
    pub way: SearchWay,
    /// What has to be changed of its head, should its body be changed.
    pub edits: Vec<Edit>,
    /// Whether its head says how long it is.
    pub has_length: bool,
}

/// What a response is searched as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SearchWay {
    /// JSON.
    Json,
    /// Plain text.
    Text,
    /// It cannot be told what it is: JSON if it begins like that.
    Untold,
    /// It cannot be searched, for that reason.
    Unjudged(&'static Reason),
}

impl ResponseSearch {
    fn memory(&self) -> usize {
        let edits = self.edits.capacity().saturating_mul(size_of::<Edit>());
        let values = self.edits.iter().filter_map(Edit::value);
        let values = values.map(|value| value.as_bytes().len());
        values.fold(edits, usize::saturating_add)
    }
}

impl Facts {
    /// Notes whom an accepted credential names: who calls, if nobody is known yet.
    pub fn name(&mut self, principal: Principal) {
        match &self.principal {
            None => self.principal = Some(principal),
            Some(caller) if *caller == principal || self.beside().contains(&principal) => {}
            Some(_) => self.seldom_mut().beside.push(principal),
        }
    }

    /// Notes how old the operation is, if that is older than its version.
    pub fn grows_old(&mut self, state: VersionState) {
        match &mut self.seldom_mut().version {
            Some(version) => version.state = version.state.max(state),
            version => {
                *version = Some(RequestVersion {
                    of: None,
                    state,
                    is_drawn: None,
                });
            }
        }
    }

    /// Notes whether the request was drawn to be refused in a window in which its version is switched off.
    pub fn note_drawn(&mut self, is_drawn: bool) {
        if let Some(version) = &mut self.seldom_mut().version {
            version.is_drawn = Some(is_drawn);
        }
    }

    /// The version of the API that the request is for, if there are any.
    ///
    /// # Errors
    /// It cannot be told.
    pub fn told_version(&self) -> Result<Option<&RequestVersion>, VersionFault> {
        let fault = self.seldom().and_then(|seldom| seldom.version_fault);
        fault.map_or(Ok(self.version()), Err)
    }

    /// Everybody whom an accepted credential names, who calls first.
    pub fn named(&self) -> impl Iterator<Item = &Principal> {
        self.principal.iter().chain(self.beside())
    }

    fn beside(&self) -> &[Principal] {
        self.seldom().map_or(&[], |seldom| &seldom.beside)
    }

    /// What operations the API of its route has, if a policy of that asks.
    pub fn operations(&self) -> Option<&Rc<dyn ApiOperations>> {
        self.seldom()?.operations.as_ref()
    }

    /// Notes what operations the API of its route has.
    pub fn set_operations(&mut self, operations: Option<&Rc<dyn ApiOperations>>) {
        if operations.is_some() || self.operations().is_some() {
            self.seldom_mut().operations = operations.cloned();
        }
    }

    /// Those of few requests, if there are any.
    pub fn seldom(&self) -> Option<&SeldomFacts> {
        self.seldom.as_deref()
    }

    /// The same, to be written.
    pub fn seldom_mut(&mut self) -> &mut SeldomFacts {
        self.seldom.get_or_insert_default()
    }

    /// Which version of the API it is for, if that is known.
    pub fn version(&self) -> Option<&RequestVersion> {
        self.seldom()?.version.as_ref()
    }

    /// Notes which version of the API it is for.
    pub fn note_version(&mut self, version: Option<RequestVersion>) {
        if version.is_some() || self.version().is_some() {
            self.seldom_mut().version = version;
        }
    }

    /// What a GraphQL request asks for; nothing before it has been read.
    pub fn graphql(&self) -> Option<&Result<Rc<GraphqlRequest>, UnreadGraphql>> {
        self.seldom()?.graphql.as_ref()
    }

    /// Notes what a GraphQL request asks for.
    pub fn note_graphql(&mut self, asked: Option<Result<Rc<GraphqlRequest>, UnreadGraphql>>) {
        if asked.is_some() || self.graphql().is_some() {
            self.seldom_mut().graphql = asked;
        }
    }

    /// The number that was drawn for the request; 0 where none was.
    pub fn draw(&self) -> u64 {
        self.seldom().map_or(0, |seldom| seldom.draw)
    }

    /// Notes a number that was drawn for the request.
    pub fn note_draw(&mut self, draw: u64) {
        if draw != self.draw() {
            self.seldom_mut().draw = draw;
        }
    }

    /// What the body of the response is judged by, each with who judges.
    pub fn response_checks(&self) -> &[(usize, ResponseCheck)] {
        self.seldom().map_or(&[], |seldom| &seldom.response_checks)
    }

    /// How many bytes of memory they take. Claims count whole: a cache that has them too may forget
    /// them first.
    pub fn memory(&self) -> usize {
        let beside = self.beside().iter().map(|principal| {
            let own = size_of::<Principal>();
            principal.memory().saturating_add(own)
        });
        let claims = self.principal.as_ref().map_or(0, Principal::memory);
        let claims = beside.fold(claims, usize::saturating_add);
        let seldom = self.seldom().map_or(0, |seldom| {
            let answers = seldom.response_checks.capacity();
            let answers = answers.saturating_mul(size_of::<(usize, ResponseCheck)>());
            let fields = seldom.response_fields.iter().map(|(name, value)| {
                let texts = name.as_str().len().saturating_add(value.as_bytes().len());
                texts.saturating_add(size_of::<(HeaderName, HeaderValue)>())
            });
            let fields = fields.fold(0, usize::saturating_add);
            let both = answers.saturating_add(fields);
            let search = seldom.response_search.as_ref();
            let both = both.saturating_add(search.map_or(0, ResponseSearch::memory));
            both.saturating_add(size_of::<SeldomFacts>())
        });
        self.limits
            .memory()
            .saturating_add(self.proofs.memory())
            .saturating_add(seldom)
            .saturating_add(claims)
    }

    /// Forgets all but the client's connection.
    pub fn forget(&mut self) {
        let draw = self.draw();
        *self = Self {
            connection: std::mem::take(&mut self.connection),
            ..Self::default()
        };
        self.note_draw(draw);
    }

    /// What is known of the client's connection, and nothing else.
    pub fn of_connection(&self) -> Self {
        Self {
            connection: self.connection.clone(),
            ..Self::default()
        }
    }

    /// What is known, apart from what policies keep for themselves: for steps that are tried.
    pub fn apart(&self) -> Self {
        let version_fault = self.told_version().err();
        let is_there = !self.beside().is_empty()
            || self.operations().is_some()
            || self.version().is_some()
            || version_fault.is_some()
            || self.graphql().is_some()
            || self.draw() != 0;
        let seldom = is_there.then(|| {
            Box::new(SeldomFacts {
                beside: self.beside().to_vec(),
                operations: self.operations().cloned(),
                version_fault,
                version: self.version().cloned(),
                draw: self.draw(),
                graphql: self.graphql().cloned(),
                ..SeldomFacts::default()
            })
        });
        Self {
            principal: self.principal.clone(),
            seldom,
            claimants: self.claimants.clone(),
            proofs: self.proofs.clone(),
            connection: self.connection.clone(),
            limits: Limits::default(),
            operation: None,
            asked: Asked::default(),
        }
    }

    /// Where the request comes from: [`Connection::client`].
    pub fn client(&self, host: &dyn Host) -> Option<IpAddr> {
        self.connection.client(host)
    }
}

/// The response on its way back through the policies.
#[derive(Debug)]
pub struct Response<'r> {
    /// Those of the request's fields that are kept, pseudo-header fields included
    /// ([`crate::policy::Declaration::later_request_fields`]).
    pub request: &'r Headers,
    /// Whose answer it is.
    pub author: Author,
    /// The response's fields, `:status` included; none unless a policy of the route reads them
    /// ([`crate::policy::Declaration::reads_response`]).
    pub headers: &'r Headers,
    /// Whether a body, or trailers, may follow the head. Without, `body` goes nowhere.
    pub rest: BodyState,
    /// What browsers are to show when something fails; none if they get what programs get.
    pub page: Option<&'r ErrorPage>,
    /// What policies have found out.
    pub facts: &'r mut Facts,
    /// Changes in order; a later one for the same name wins.
    pub edits: Vec<Edit>,
    /// A body in place of the response's own; its trailers go with it. A policy that sets it also
    /// removes the fields that describe a body. `content-length` is one of them: there is none
    /// to be sure of, since a response may have trailers and no body that could be replaced.
    pub body: Option<Vec<u8>>,
}

/// An exchange that has ended.
#[derive(Debug)]
pub struct Finished<'f> {
    /// Those of the request's fields that are kept, pseudo-header fields included.
    pub request: &'f Headers,
    /// What policies have found out.
    pub facts: &'f mut Facts,
    /// Why it was refused, if it was.
    pub refusal: Option<&'static Reason>,
}

/// Who wrote a response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Author {
    /// The service, or the proxy in its place.
    Upstream,
    /// This filter.
    Filter,
}

/// How much of a request's body has arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BodyProgress {
    /// Bytes so far.
    pub size: u64,
    /// Whether that is all: the body has ended, or trailers have come.
    pub state: BodyState,
}

/// Whether more of a body is to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodyState {
    /// There may be more.
    Open,
    /// That was all.
    Complete,
}

impl<'r> Request<'r> {
    /// The method; empty if it is not text, which no method is.
    pub fn method(&self) -> &str {
        self.headers.method()
    }

    /// The host that is asked, in its one spelling and without its port.
    pub fn host(&self) -> &str {
        self.authority.host()
    }

    /// The query, without its `?`.
    pub fn query(&self) -> Option<&'r [u8]> {
        let raw = self.headers.one(":path").ok().flatten()?;
        self.target.query(raw)
    }
}

#[cfg(test)]
mod tests;
