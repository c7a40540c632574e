//! What policies put on a plan: their work for most requests, as plain data that one straight function
//! goes through without asking them.
//!
//! A plan is for requests that are as most are: a token that was accepted before or none, a field once or
//! not at all, no body that anybody judges. It decides nothing new. Whatever it does not know of leaves it
//! before anything has been changed or counted, and is judged by asking every policy, as without plans:
//! that is what a plan is measured by, and what it must come to in every byte.
//!
//! A policy is on plans once it implements [`Policy::plan`](crate::policy::Policy::plan). Until then routes
//! with it have none, which costs time and nothing else.

mod fields;

use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use crate::connection::Connection;
use crate::edit::Edit;
use crate::exchange::Facts;
use crate::host::{Counter, Host, Property};
use crate::limits::LimitStatus;
use crate::principal::Principal;
use crate::refusal::Refusal;
use crate::seed::Hashed;
use portcullis_wire::headers::{HeaderName, HeaderValue};

pub use self::fields::{Fields, MOST_SLOTS, Names};

/// A field of the request that a plan reads, by its place among them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slot(pub usize);

/// The plan of one route while its policies write it.
#[derive(Debug)]
pub struct Draft<'d> {
    names: &'d mut Vec<Box<str>>,
    /// What is asked, in order.
    pub steps: Vec<Step>,
    /// How answers are shaped, in order.
    pub shapings: Vec<Shaping>,
    /// Whether answers are shaped by asking the policies.
    pub asks_for_answers: bool,
}

/// What is asked of a request. One that does not fit leaves the plan.
#[derive(Debug)]
pub enum Step {
    /// One of these cases is the request's: the first that is counts.
    OneOf(Box<[Case]>),
    /// The token in that field was accepted before, or is refused for a reason that is known.
    Token {
        /// The field.
        slot: Slot,
        /// What stands in front of the token, in upper or lower case; blanks may follow it.
        prefix: Box<str>,
        /// The field, if it is taken out of the request before the upstream gets it.
        strips: Option<HeaderName>,
        /// Where tokens are remembered.
        tokens: Rc<dyn Tokens>,
        /// Why a request without the field is refused.
        missing: Refusal,
        /// Why a request with a token is refused, but for its details: one for each reason that is to be
        /// prepared. A request that is refused for any other leaves the plan.
        refused: Box<[Refusal]>,
    },
    /// A limit has room for it. A plan has one at most, which is charged after all else has been asked:
    /// a request that left its plan after that would be charged twice.
    Limit(Rc<dyn Limit>),
    /// Rules allow it.
    Rules(Rc<dyn Rules>),
    /// Nothing is asked; this is counted.
    Count(Counter),
    /// Nothing is asked; this is changed.
    Edit(Rc<[Edit]>),
}

/// A case that requests are of.
#[derive(Debug)]
pub struct Case {
    /// All of them hold.
    pub tests: Box<[HeadTest]>,
    /// What is counted of such requests.
    pub counter: Option<Counter>,
}

/// What can be seen of a request without effort.
#[derive(Debug)]
pub enum HeadTest {
    /// The field is not there.
    Absent(Slot),
    /// The field is there, and has one of these values.
    Is(Slot, Rc<[HeaderValue]>),
    /// It has one of these methods.
    Method(&'static [&'static str]),
    /// The proxy gives the property one of these values; any value, if none is listed.
    Proxy(Property, &'static [&'static [u8]]),
}

/// How the head of an answer is shaped.
#[derive(Debug)]
pub enum Shaping {
    /// The same for all.
    Always(Rc<[Edit]>),
    /// By how the request came, and by whether its sender is known.
    ByCaller {
        /// Whether the two below differ; if not, the proxy is not asked about TLS.
        minds_scheme: bool,
        /// Over TLS.
        https: ByCaller,
        /// Over anything else.
        http: ByCaller,
    },
    /// Fields that are taken away where the answer has them, sorted.
    Revealing(Box<[&'static str]>),
    /// Fields that are added where the answer has none of that name.
    IfAbsent {
        /// Whether it matters how the request came.
        minds_scheme: bool,
        /// In order.
        fields: Box<[IfAbsent]>,
    },
    /// By the origin of the request.
    ByOrigin {
        /// The field that names it.
        slot: Slot,
        /// Those that may read the answer. Others have left the plan.
        listed: Rc<[HeaderValue]>,
        /// The field that says so.
        name: HeaderName,
        /// `*`, if that is what it says and not the origin.
        star: Option<HeaderValue>,
        /// What follows for these.
        granted: Edit,
        /// What is done where no origin is named.
        withheld: Edit,
    },
    /// How the caller stands with the limit.
    Limits {
        /// `X-RateLimit-*`: the quota, what remains, the seconds until it is whole.
        numbers: [HeaderName; 3],
        /// `RateLimit-Policy` and `RateLimit`.
        lists: [HeaderName; 2],
    },
}

/// Edits by whether the sender of a request is known.
#[derive(Debug)]
pub struct ByCaller {
    /// It is.
    pub authenticated: Rc<[Edit]>,
    /// It is not.
    pub anyone: Rc<[Edit]>,
}

/// A field of an answer that has none of that name.
#[derive(Debug)]
pub struct IfAbsent {
    /// Its name.
    pub name: HeaderName,
    /// What adds it.
    pub edit: Edit,
    /// Whether only over TLS.
    pub needs_tls: bool,
    /// Whether only where the sender of the request is known.
    pub needs_caller: bool,
}

/// Tokens that were judged before.
pub trait Tokens {
    /// What is known of one that is remembered: that it holds now and suffices on the route, or why it is
    /// refused. None of any other, which then leaves the plan. Looking has no effect that can be seen.
    fn judged(&self, token: &[u8], now: Duration, host: &dyn Host) -> Option<JudgedToken>;

    /// Keeps with the token what records say of it, so that it is written once.
    fn note(&self, token: &[u8], words: &Rc<str>);

    /// What is counted of a request with a token that is remembered, if anything is.
    fn counter(&self) -> Option<Counter>;
}

/// What is known of a token.
#[derive(Clone, Debug)]
pub enum JudgedToken {
    /// It is accepted, and suffices; with what records say of it, once that has been noted.
    Accepted(Rc<AcceptedToken>, Option<Rc<str>>),
    /// The request is refused for it.
    Refused(Box<RefusedToken>),
}

/// A token for which a request is refused.
#[derive(Clone, Debug)]
pub struct RefusedToken {
    /// Why, without header fields.
    pub refusal: Refusal,
    /// What records say of it, once that has been noted.
    pub words: Option<Rc<str>>,
}

/// A token that was accepted before.
#[derive(Clone, Debug)]
pub struct AcceptedToken {
    /// Whose it is.
    pub principal: Principal,
    /// What tells the upstream and other filters of it.
    pub edits: Rc<[Edit]>,
}

/// Rules of who may do what, as far as they allow a request.
pub trait Rules {
    /// By which rule they do. None if they do not, or that is not so plain: the request leaves the plan then.
    /// Looking has no effect that can be seen.
    fn allow(&self, request: &PlannedHead<'_>, host: &dyn Host) -> Option<AllowedBy>;

    /// Counts a request that was allowed so, once it is certain that it stays on the plan.
    fn count(&self, allowed: AllowedBy);
}

/// By what a request is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AllowedBy {
    /// By the rule at that place.
    Rule(usize),
    /// By none: nothing denies it, which is enough.
    Default,
}

/// The head of a request on a plan, and what is known of it so far.
#[derive(Clone, Copy, Debug)]
pub struct PlannedHead<'h> {
    /// The host, in its one spelling.
    pub host_name: &'h str,
    /// The method.
    pub method: &'h str,
    /// The path, which can be read in one way alone.
    pub path: &'h str,
    /// The fields that plans read.
    pub fields: &'h Fields,
    /// Whom an accepted token names.
    pub principal: Option<&'h Principal>,
    /// What is known of the client's connection.
    pub connection: &'h Connection,
    /// When it came.
    pub arrived: Duration,
}

/// A limit that can be asked on a plan.
pub trait Limit {
    /// Its name.
    fn name(&self) -> &str;

    /// Whether `X-RateLimit-*` and whether `RateLimit` tell of it.
    fn is_told(&self) -> [bool; 2];

    /// Charges a request, if there is room for it. None, and nothing has been charged, if the request
    /// leaves the plan: its cell or its key is not to be had, or there is no room and no refusal prepared
    /// (`may_refuse`).
    fn charge(
        &self,
        caller: &Caller<'_>,
        may_refuse: bool,
        now: u64,
        host: &dyn Host,
    ) -> Option<Charge>;

    /// Why it refuses, without how long to wait; and what is counted then.
    fn refusal(&self) -> (Refusal, Counter);

    /// How the caller stands after that.
    fn standing(&self, charge: &Charge) -> LimitStatus;

    /// Notes what has been charged, for those who ask policies afterwards.
    fn enter(&self, charge: &Charge, facts: &mut Facts);
}

/// Who is asking.
#[derive(Clone, Copy, Debug)]
pub struct Caller<'c> {
    /// The name of the route.
    pub route: &'c str,
    /// The method.
    pub method: &'c str,
    /// Whom an accepted token names.
    pub principal: Option<&'c Principal>,
    /// What is known of the client's connection.
    pub connection: &'c Connection,
}

/// What a request has been charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charge {
    /// Who was.
    pub caller: Hashed,
    /// What was known of the caller after that, in the algorithm's own numbers.
    pub state: [u64; 2],
    /// What it takes to give it back; none if there was no room, and nothing has been charged.
    pub receipt: Option<u64>,
    /// When that was.
    pub at: u64,
}

/// One change of a message's head, as hosts carry it out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PlannedChange<'c> {
    /// Remove every field of that name.
    Remove(&'c str),
    /// Replace every field of that name by one.
    Set(&'c str, &'c [u8]),
    /// Add a field beside those of that name.
    Add(&'c str, &'c [u8]),
    /// The same, where the message has no field that another change of it minds: it may be carried out without a look
    /// at what there is, and at what has been written.
    New(&'c str, &'c [u8]),
    /// Leave a value of that name for other filters.
    FilterState(&'c str, &'c [u8]),
}

impl<'d> Draft<'d> {
    /// An empty one, which adds the fields that it reads to these names.
    pub fn new(names: &'d mut Vec<Box<str>>) -> Self {
        Self {
            names,
            steps: Vec::new(),
            shapings: Vec::new(),
            asks_for_answers: false,
        }
    }

    /// The place of a field. A request that has it twice leaves the plan.
    pub fn slot(&mut self, name: &str) -> Slot {
        let found = self.names.iter().position(|each| **each == *name);
        Slot(found.unwrap_or_else(|| {
            self.names.push(name.into());
            self.names.len().saturating_sub(1)
        }))
    }

    /// Asks for one of these cases.
    pub fn one_of(&mut self, cases: impl IntoIterator<Item = Case>) {
        self.steps.push(Step::OneOf(cases.into_iter().collect()));
    }
}

impl Case {
    /// One of which nothing is counted.
    pub fn of(tests: impl IntoIterator<Item = HeadTest>) -> Self {
        Self {
            tests: tests.into_iter().collect(),
            counter: None,
        }
    }

    /// The same, counted.
    #[must_use]
    pub fn counted(self, counter: Counter) -> Self {
        Self {
            counter: Some(counter),
            ..self
        }
    }
}

impl Edit {
    /// Names its changes, in order. False if it is one that no plan makes; the rest is not named then.
    #[inline]
    pub fn changes(&self, each: &mut impl FnMut(PlannedChange<'_>)) -> bool {
        match self {
            Edit::Remove(name) => each(PlannedChange::Remove(name.as_str())),
            Edit::Set(name, value) => each(PlannedChange::Set(name.as_str(), value.as_bytes())),
            Edit::Add(name, value) => each(PlannedChange::Add(name.as_str(), value.as_bytes())),
            Edit::FilterState(name, value) => {
                each(PlannedChange::FilterState(name.as_str(), value.as_bytes()))
            }
            Edit::Prepared(edits) => return edits.iter().all(|edit| edit.changes(each)),
            Edit::SetPath(_) | Edit::HitsAddend(_) => return false,
        }
        true
    }
}

impl fmt::Debug for dyn Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tokens(..)")
    }
}

impl fmt::Debug for dyn Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rules(..)")
    }
}

impl fmt::Debug for dyn Limit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Limit({})", self.name())
    }
}
