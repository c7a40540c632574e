//! What conditions look at.

use super::found::{Found, HeldValue};
use super::test::Kinds;
use super::{ClaimPath, Undecidable, View};
use portcullis_wire::headers::HeaderName;
use portcullis_wire::json::compact::{Compact, Value};

/// A part of a request, or what is known of its sender.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operand {
    /// A claim of the accepted token.
    Claim(ClaimPath, Scalars),
    /// A header field of the request.
    Header(HeaderName),
    /// A parameter of the query.
    Query(Box<str>),
    /// A variable of the template of the route's path.
    PathVariable(Box<str>),
    /// A member of the JSON body, by pointer.
    Body(ClaimPath),
    /// What is known of the version of the API that the request is for.
    Version(VersionFact),
    /// Whether there is an accepted token.
    Identity,
}

/// What a condition looks at of the version of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VersionFact {
    /// Its name.
    Name,
    /// How old it is.
    State,
}

impl VersionFact {
    /// The word for it in conditions.
    fn name(self) -> &'static str {
        match self {
            VersionFact::Name => "name",
            VersionFact::State => "state",
        }
    }
}

/// How tests of text read the numbers and booleans of JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scalars {
    /// They are no texts: `"1"` is not `1`.
    Typed,
    /// They are texts as well, as JSON writes them: `"1"` is `1`.
    Spelled,
}

impl Operand {
    /// What may be found in a claim.
    pub const CLAIM: Kinds = Kinds::TEXT
        .or(Kinds::NUMBER)
        .or(Kinds::BOOLEAN)
        .or(Kinds::LIST)
        .or(Kinds::ABSENCE);
    /// What may be found in a header field.
    pub const HEADER: Kinds = Kinds::TEXT.or(Kinds::NUMERAL).or(Kinds::ABSENCE);
    /// What may be found in a parameter of the query.
    pub const QUERY: Kinds = Self::HEADER;
    /// What may be found in a variable of the path, which every path of the route has.
    pub const PATH_VARIABLE: Kinds = Kinds::TEXT.or(Kinds::NUMERAL);
    /// What may be found in a member of the body.
    pub const BODY: Kinds = Self::CLAIM;

    /// What may be found of a version.
    pub const VERSION: Kinds = Kinds::TEXT.or(Kinds::ABSENCE);

    /// Whether it is known only once a token has been accepted, and not from the request alone.
    pub fn needs_identity(&self) -> bool {
        matches!(self, Operand::Claim(..) | Operand::Identity)
    }

    /// Whether it is known only once the body has come.
    pub fn needs_body(&self) -> bool {
        matches!(self, Operand::Body(_))
    }

    /// The header field that it is, if it is one.
    pub fn header(&self) -> Option<&HeaderName> {
        match self {
            Operand::Header(name) => Some(name),
            _ => None,
        }
    }

    /// The name of the path variable that it is, if it is one.
    pub fn path_variable(&self) -> Option<&str> {
        match self {
            Operand::PathVariable(name) => Some(name),
            _ => None,
        }
    }

    /// The pointer into the body that it is, if it is one.
    pub(super) fn body(&self) -> Option<&ClaimPath> {
        match self {
            Operand::Body(path) => Some(path),
            _ => None,
        }
    }

    /// The field of a condition that names it, and its name there; none if that field has no name.
    pub fn name(&self) -> Option<(&'static str, String)> {
        match self {
            Operand::Claim(path, _) => Some(("claim", path.to_string())),
            Operand::Header(name) => Some(("header", name.as_str().to_owned())),
            Operand::Query(name) => Some(("query", name.to_string())),
            Operand::PathVariable(name) => Some(("path_variable", name.to_string())),
            Operand::Body(path) => Some(("body", path.to_string())),
            Operand::Version(fact) => Some(("version", fact.name().to_owned())),
            Operand::Identity => None,
        }
    }

    /// What it has in claims; none if it looks at something else.
    pub(super) fn find_claim<'v>(&self, claims: &'v Compact) -> Option<Found<'v>> {
        match self {
            Operand::Claim(path, scalars) => Some(Found::json(path.value(claims), *scalars)),
            _ => None,
        }
    }

    /// What it has, in one of the readings of the path.
    ///
    /// # Errors
    /// Why that cannot be told.
    pub(super) fn find<'a>(
        &self,
        view: &'a View<'_>,
        reading: usize,
    ) -> Result<HeldValue<'a>, Undecidable> {
        Ok(HeldValue::Found(match self {
            Operand::Claim(path, scalars) => {
                let value = view.claims().and_then(|claims| path.value(claims));
                Found::json(value, *scalars)
            }
            Operand::Header(name) => view.header(name)?.map_or(Found::Nothing, Found::Field),
            Operand::Query(name) => {
                let value = view.parameter(name)?;
                value.map_or(Found::Nothing, Found::decoded)
            }
            Operand::PathVariable(name) => return view.variable(name, reading),
            Operand::Body(path) => view.member(path)?,
            Operand::Version(fact) => {
                let version = view.version()?;
                let text = version.and_then(|version| match fact {
                    VersionFact::Name => version.name(),
                    VersionFact::State => Some(version.state.name()),
                });
                text.map_or(Found::Nothing, Found::decoded)
            }
            Operand::Identity => match view.claims() {
                Some(_) => Found::Json(Value::Null, Scalars::Typed),
                None => Found::Nothing,
            },
        }))
    }
}
