//! What conditions see of a request, and the readings of what can be read in several ways.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;

use super::found::{Found, HeldValue, Letters};
use super::kept::Kept;
use super::operand::Scalars;
use super::{BodyMembers, ClaimPath, Undecidable};
use crate::alike::{comes_alike, is_like};
use crate::blanks::without_blanks;
use crate::exchange::Request;
use crate::lifecycle::{RequestVersion, VersionFault};
use portcullis_wire::effort::Effort;
use portcullis_wire::headers::HeaderName;
use portcullis_wire::json::compact::Compact;
use portcullis_wire::urlencoded::{Controls, Malformed, Pair, pairs};

/// What can be looked at.
#[derive(Debug)]
pub struct View<'v> {
    head: Head<'v>,
    claims: Option<&'v Compact>,
    body: Option<&'v BodyMembers>,
    version: Result<Option<&'v RequestVersion>, VersionFault>,
    effort: &'v Effort,
}

/// Says what a path has for the variables of a template.
pub trait PathVariables: fmt::Debug {
    /// Whether it has a variable of that name.
    fn has(&self, name: &str) -> bool;

    /// The names of all.
    fn names(&self) -> Vec<&str>;

    /// What a path in its one spelling has for a variable; none if it does not fit the template.
    fn value<'p>(&self, name: &str, path: &'p str) -> Option<Cow<'p, str>>;
}

/// Where the head of a request is.
#[derive(Debug)]
enum Head<'v> {
    /// At hand.
    Here {
        request: Request<'v>,
        variables: Option<&'v dyn PathVariables>,
        query: OnceCell<Result<Vec<Pair<'v>>, Malformed>>,
    },
    /// A path that can be read in one way alone, and of which nothing else is known yet.
    Path(&'v str, Option<&'v dyn PathVariables>),
    /// Gone, but for what was kept.
    Gone(&'v Kept),
}

/// So many bytes of a query are read, or looked through, by a step of the effort.
const BYTES_OF_A_QUERY_BY_A_STEP: u64 = 4;

impl<'v> View<'v> {
    /// A request of whose sender nothing is known, and of whose body nothing has come.
    pub fn new(request: &Request<'v>) -> Self {
        Self {
            head: Head::Here {
                request: *request,
                variables: None,
                query: OnceCell::new(),
            },
            claims: None,
            body: None,
            version: Ok(None),
            effort: request.effort,
        }
    }

    /// A request of which nothing is known yet but its path, which can be read in one way alone.
    pub fn of_path(
        path: &'v str,
        variables: Option<&'v dyn PathVariables>,
        effort: &'v Effort,
    ) -> Self {
        Self {
            head: Head::Path(path, variables),
            claims: None,
            body: None,
            // Routes with versions have no plan.
            version: Ok(None),
            effort,
        }
    }

    /// What was kept of a request whose body has come.
    pub fn later(kept: &'v Kept, body: &'v BodyMembers, effort: &'v Effort) -> Self {
        Self {
            head: Head::Gone(kept),
            claims: kept.claims(),
            body: Some(body),
            version: Ok(None),
            effort,
        }
    }

    /// With the claims of the accepted token, or what is known of the sender under their names.
    #[must_use]
    pub fn of(self, claims: Option<&'v Compact>) -> Self {
        Self { claims, ..self }
    }

    /// With the template of the route, which says what path variables are.
    #[must_use]
    pub fn on(mut self, template: Option<&'v dyn PathVariables>) -> Self {
        if let Head::Here { variables, .. } = &mut self.head {
            *variables = template;
        }
        self
    }

    /// With what is known of the body.
    #[must_use]
    pub fn with_body(self, body: Option<&'v BodyMembers>) -> Self {
        Self { body, ..self }
    }

    /// With the version of the API that it is for.
    #[must_use]
    pub fn versioned(self, version: Result<Option<&'v RequestVersion>, VersionFault>) -> Self {
        Self { version, ..self }
    }

    /// With another effort than the request's.
    #[must_use]
    pub fn within(self, effort: &'v Effort) -> Self {
        Self { effort, ..self }
    }

    /// What comparing may still cost.
    pub fn effort(&self) -> &'v Effort {
        self.effort
    }

    /// The version of the API that it is for, if that is known.
    ///
    /// # Errors
    /// It cannot be told.
    pub(super) fn version(&self) -> Result<Option<&'v RequestVersion>, Undecidable> {
        self.version.map_err(Undecidable::Version)
    }

    /// The claims.
    pub(super) fn claims(&self) -> Option<&'v Compact> {
        self.claims
    }

    /// The value of a header field, without the blanks around it: they are not part of it (RFC 9110 §5.5), and over
    /// HTTP/2 they come all the same.
    pub(super) fn header(&self, name: &HeaderName) -> Result<Option<&[u8]>, Undecidable> {
        match &self.head {
            Head::Here { request, .. } => {
                let value = request.headers.one(name.as_str());
                let value = value.map_err(|_| Undecidable::Repeated)?;
                match comes_alike(request.headers, name) {
                    true => Err(Undecidable::Repeated),
                    false => Ok(value.map(without_blanks)),
                }
            }
            Head::Path(..) => Err(Undecidable::NotYet),
            Head::Gone(kept) => kept.header(name),
        }
    }

    /// The decoded value of a parameter of the query, which is read as `parameters` reads it.
    pub(super) fn parameter(&self, name: &str) -> Result<Option<&str>, Undecidable> {
        let (request, query) = match &self.head {
            Head::Here { request, query, .. } => (request, query),
            Head::Path(..) => return Err(Undecidable::NotYet),
            Head::Gone(kept) => return kept.parameter(name),
        };
        let bytes = request.query().unwrap_or_default();
        // It is read once, and each parameter is looked for in all of it.
        let steps = bytes.len() as u64 / BYTES_OF_A_QUERY_BY_A_STEP;
        self.effort.spend(steps)?;
        let came = query.get_or_init(|| pairs(bytes, Controls::Refused));
        let came = came.as_ref().map_err(|_| Undecidable::Query)?;
        let mut found = None;
        for pair in came {
            if pair.name != name {
                if is_like(&pair.name, name) {
                    return Err(Undecidable::Query);
                }
            } else if found.replace(&*pair.value).is_some() {
                return Err(Undecidable::Repeated);
            }
        }
        Ok(found)
    }

    /// How many ways there are in which servers may read the path.
    pub(super) fn readings(&self) -> usize {
        match &self.head {
            Head::Here { request, .. } => request.target.readings().count(),
            Head::Path(..) => 1,
            Head::Gone(kept) => kept.readings(),
        }
    }

    /// What the path has for a variable, in one of its readings.
    pub(super) fn variable(
        &self,
        name: &str,
        reading: usize,
    ) -> Result<HeldValue<'_>, Undecidable> {
        let found = match &self.head {
            Head::Here {
                request, variables, ..
            } => {
                let path = request.target.readings().nth(reading);
                path.zip(*variables).and_then(|((path, any_case), all)| {
                    Some((all.value(name, path)?, Letters::of(any_case)))
                })
            }
            Head::Path(path, variables) => {
                let value = variables.and_then(|all| all.value(name, path));
                value.map(|value| (value, Letters::AsWritten))
            }
            Head::Gone(kept) => kept.variable(name, reading),
        };
        let (value, letters) = found.ok_or(Undecidable::Path)?;
        Ok(HeldValue::Text(value, letters))
    }

    /// A member of the body.
    pub(super) fn member(&self, path: &ClaimPath) -> Result<Found<'_>, Undecidable> {
        let body = self.body.ok_or(Undecidable::NotYet)?;
        self.effort.spend(1)?;
        let value = body.find(path).map_err(Undecidable::Body)?;
        Ok(Found::json(value, Scalars::Typed))
    }
}
