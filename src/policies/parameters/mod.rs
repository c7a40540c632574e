//! The parameters of a request: in its query, its path and its header fields. What is declared is
//! judged by a schema; what is not, as the document says.

mod read;
pub mod refusals;
mod set;

use std::borrow::Cow;
use std::rc::Rc;

use self::refusals::malformed;
pub use self::refusals::refusal;
use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::exchange::{Edit, Exchange};
use portcullis_exchange::host::Host;
use portcullis_exchange::policy::{
    Compile, Context, Declaration, Policy, PolicyKind, Role, Stage, Verdict,
};
use portcullis_exchange::refusal::detail::cut;
use portcullis_exchange::refusal::{Disclosure, Fact, Refusal, Selector};
use portcullis_exchange::route::PathTemplate;
use portcullis_wire::headers::{HeaderName, HeaderValue, Headers};
pub use portcullis_wire::urlencoded::{Controls, Malformed, Pair, pairs, vetted};

pub(super) use self::read::{read_list, read_told};
pub use self::set::{
    Parameter, ParameterError, ParameterErrorKind, ParameterLocation, ParameterSet, Style,
};

/// `parameters: { query, path, headers, undeclared, details }`.
pub(super) const KIND: PolicyKind = PolicyKind {
    name: "parameters",
    role: Role::Guards,
    codes: &[&refusals::MALFORMED, &refusals::INVALID],
    compile: Compile::Object(compile),
    rules: &[(Selector::Reason(&refusals::UNDECLARED), "undeclared")],
};

/// What the parameters of a request must be like.
pub struct Parameters {
    /// None: the query is not looked at.
    pub query: Option<ParameterSet>,
    /// What becomes of parameters in the query that nobody declared.
    pub undeclared: Undeclared,
    /// With the template that says where they stand.
    pub path: Option<(Rc<PathTemplate>, ParameterSet)>,
    /// Their names are in lower case. Other fields are not looked at.
    pub headers: Option<ParameterSet>,
    /// How much the client learns.
    pub told: Disclosure,
}

/// What becomes of parameters that nobody declared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Undeclared {
    /// They pass.
    Pass,
    /// The request is refused.
    Refuse,
    /// They are taken out of the query.
    Strip,
}

impl Undeclared {
    /// Reads `undeclared`.
    pub fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let choices = [
            ("pass", Undeclared::Pass),
            ("refuse", Undeclared::Refuse),
            ("strip", Undeclared::Strip),
        ];
        node.choice(problems, &choices)
    }
}

fn compile(
    fields: &mut Fields<'_>,
    context: &mut Context<'_>,
) -> Option<Vec<portcullis_exchange::policy::ChainPart>> {
    let policy = read::read(fields, context)?;
    Some(portcullis_exchange::policy::ChainPart::only(
        Stage::Content,
        policy,
    ))
}

impl Policy for Parameters {
    fn check_request(&self, exchange: &mut Exchange<'_>, _host: &dyn Host) -> Verdict {
        match self.judge(exchange) {
            Ok(()) => Verdict::Pass,
            Err(refusal) => Verdict::Refuse(refusal),
        }
    }

    fn declares(&self) -> Declaration {
        Declaration {
            judged_request_headers: self.header_names().collect(),
            ..Declaration::default()
        }
    }
}

impl Parameters {
    /// The header fields that are declared.
    pub fn header_names(&self) -> impl Iterator<Item = HeaderName> {
        let declared = self.headers.iter().flat_map(ParameterSet::iter);
        declared.filter_map(|parameter| HeaderName::parse(&parameter.name).ok())
    }

    /// Judges all parameters of a request.
    ///
    /// # Errors
    /// Why it may not pass.
    pub fn judge(&self, exchange: &mut Exchange<'_>) -> Result<(), Refusal> {
        let faulty = |fault| refusal(fault, self.told);
        if let Some((template, set)) = &self.path {
            let values = template.values(exchange.request.target.path());
            let came: Vec<_> = values
                .map(|(name, value)| (Cow::Borrowed(name), value))
                .collect();
            set.judge(&came).map_err(faulty)?;
        }
        if let Some(set) = &self.headers {
            let came = header_values(exchange.request.headers, set).map_err(malformed)?;
            set.judge(&came).map_err(faulty)?;
        }
        if let Some(set) = &self.query {
            let stripped = self.judge_query(set, exchange)?;
            exchange.edits.extend(stripped);
        }
        Ok(())
    }

    /// Judges the query as the service would get it: other policies may have taken a token out.
    fn judge_query(
        &self,
        set: &ParameterSet,
        exchange: &Exchange<'_>,
    ) -> Result<Option<Edit>, Refusal> {
        let edited = exchange.edits.iter().rev().find_map(|edit| match edit {
            Edit::SetPath(path) => Some(path.as_bytes()),
            _ => None,
        });
        let sent = || exchange.request.headers.one(":path").ok().flatten();
        let raw = edited.or_else(sent).unwrap_or_default();
        let Some(at) = raw.iter().position(|b| *b == b'?') else {
            return set
                .judge(&[])
                .map(|()| None)
                .map_err(|fault| refusal(fault, self.told));
        };
        let (path, query) = raw.split_at(at);
        let pairs = pairs(query.get(1..).unwrap_or_default(), Controls::Refused);
        let pairs = pairs.map_err(malformed)?;
        let mut came = Vec::with_capacity(pairs.len());
        let mut kept = Vec::with_capacity(pairs.len());
        let mut stripped = false;
        let versions = exchange.facts.seldom();
        let versions = versions.and_then(|facts| facts.version_parameters.as_deref());
        let versions = versions.unwrap_or_default();
        // What names the version has been judged, and the service may go by it.
        let is_version = |name: &str| versions.iter().any(|read| **read == *name);
        for Pair { raw, name, value } in pairs {
            if !set.declares(&name) && !is_version(&name) {
                match self.undeclared {
                    Undeclared::Strip => {
                        stripped = true;
                        continue;
                    }
                    // Some services take names for the same that differ in case alone.
                    Undeclared::Pass if !set.resembles(&name) => {}
                    Undeclared::Pass | Undeclared::Refuse => {
                        let fact = Fact::Parameter(cut(name.as_bytes()));
                        let refusal = refusal(ParameterError::undeclared(), self.told);
                        return Err(refusal.and("parameter", fact));
                    }
                }
            }
            kept.push(raw);
            came.push((name, value));
        }
        set.judge(&came)
            .map_err(|fault| refusal(fault, self.told))?;
        if !stripped {
            return Ok(None);
        }
        let mut rest = path.to_vec();
        for (index, pair) in kept.iter().enumerate() {
            rest.push(if index == 0 { b'?' } else { b'&' });
            rest.extend_from_slice(pair);
        }
        // It is part of what was read, so it can be written.
        Ok(HeaderValue::parse(&rest).ok().map(Edit::SetPath))
    }
}

/// A name and a value, as parameters are judged.
pub(crate) type NamedValue<'v> = (Cow<'v, str>, Cow<'v, str>);

fn header_values<'v>(
    headers: &'v Headers,
    set: &'v ParameterSet,
) -> Result<Vec<NamedValue<'v>>, Malformed> {
    let mut came = Vec::new();
    for parameter in set.iter() {
        for value in headers.all(&parameter.name) {
            let text = std::str::from_utf8(value).map_err(|_| Malformed::Utf8)?;
            if text.chars().any(|c| c.is_control() && c != '\t') {
                return Err(Malformed::Control);
            }
            let name = Cow::Borrowed(parameter.name.as_str());
            came.push((name, Cow::Borrowed(text)));
        }
    }
    Ok(came)
}
