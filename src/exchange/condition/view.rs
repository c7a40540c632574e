//! What conditions see of a request, and the readings of what can be read in several ways.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::fmt;

use super::found::{Found, HeldValue, Letters};
use super::kept::Kept;
use super::operand::Scalars;
use super::{BodyMembers, ClaimPath, Undecidable};
use crate::exchange::Request;
use crate::target::folded;
use portcullis_wire::effort::Effort;
use portcullis_wire::headers::{HeaderName, Headers, are_alike};
use portcullis_wire::json::compact::Compact;
use portcullis_wire::urlencoded::{Controls, Malformed, Pair, pairs};

/// What can be looked at.
#[derive(Debug)]
pub struct View<'v> {
    head: Head<'v>,
    claims: Option<&'v Compact>,
    body: Option<&'v BodyMembers>,
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
            effort,
        }
    }

    /// What was kept of a request whose body has come.
    pub fn later(kept: &'v Kept, body: &'v BodyMembers, effort: &'v Effort) -> Self {
        Self {
            head: Head::Gone(kept),
            claims: kept.claims(),
            body: Some(body),
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

    /// With another effort than the request's.
    #[must_use]
    pub fn within(self, effort: &'v Effort) -> Self {
        Self { effort, ..self }
    }

    /// What comparing may still cost.
    pub fn effort(&self) -> &'v Effort {
        self.effort
    }

    /// The claims.
    pub(super) fn claims(&self) -> Option<&'v Compact> {
        self.claims
    }

    /// The value of a header field.
    pub(super) fn header(&self, name: &HeaderName) -> Result<Option<&[u8]>, Undecidable> {
        match &self.head {
            Head::Here { request, .. } => {
                let value = request.headers.one(name.as_str());
                let value = value.map_err(|_| Undecidable::Repeated)?;
                match comes_alike(request.headers, name) {
                    true => Err(Undecidable::Repeated),
                    false => Ok(value),
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

/// Whether a field came whose name some services take for that one, which is not the same.
fn comes_alike(headers: &Headers, name: &HeaderName) -> bool {
    let name = name.as_str().as_bytes();
    let mut names = headers.iter().map(|(own, _)| own);
    names.any(|own| own != name && are_alike(own, name))
}

/// Whether some services take a name for another, which is not the same. They fold the case of letters; read
/// what stands in brackets, in front of them or between them as the name; blanks, dots and a bracket that is
/// not closed as `_`, as PHP does; and pass over marks in front of it, as Spring does (`!`, `_`) and OData (`$`).
fn is_like(one: &str, other: &str) -> bool {
    let (one, other) = (unmarked(one), unmarked(other));
    bare(one).eq(bare(other)) || unclosed(one).eq(unclosed(other))
}

/// A name without what stands in front of it.
fn unmarked(name: &str) -> &str {
    name.trim_start_matches(|letter: char| !letter.is_alphanumeric())
}

/// What is left of a name where brackets end it.
fn bare(name: &str) -> impl Iterator<Item = char> {
    let name = name.split(['[', ']']).next().unwrap_or_default();
    folded(name).map(underscored)
}

/// A name where a bracket is a letter of it.
fn unclosed(name: &str) -> impl Iterator<Item = char> {
    let name = name.trim_end_matches(']');
    folded(name).map(|letter| match letter {
        '[' => '_',
        letter => underscored(letter),
    })
}

fn underscored(letter: char) -> char {
    match letter {
        '.' | ' ' => '_',
        letter => letter,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_some_services_take_for_another() {
        for name in [
            "tenant_id",
            "Tenant_ID",
            "tenant_id[]",
            "tenant_id[0]",
            "tenant.id",
            "tenant id",
            " tenant_id",
            "[tenant_id]",
            "[tenant_id",
            "[[tenant_id]][0]",
            "tenant_id]",
            "tenant[id",
            "tenant[id]",
            "!tenant_id",
            "!tenant.id",
            "_tenant_id",
            "$tenant_id",
        ] {
            assert!(is_like(name, "tenant_id"), "{name}");
        }
        for name in ["tenant", "tenant_id2", "tenantid", "!tenant", "[id]", ""] {
            assert!(!is_like(name, "tenant_id"), "{name}");
        }
    }
}
