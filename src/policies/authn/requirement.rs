//! What a route demands of an accepted credential: of the claims of a token, or of what is known of another
//! kind under the same names.

use std::collections::BTreeSet;

use portcullis_document::{Node, Problems};
use portcullis_exchange::condition::{Condition, REQUIRE, Undecidable, View};
use portcullis_exchange::exchange::Request;
use portcullis_exchange::policy::RoutePath;
use portcullis_exchange::principal::Principal;
use portcullis_exchange::refusal::{Detail, Fact, Reason, Refusal};
use portcullis_wire::effort;
use portcullis_wire::effort::Effort;
use portcullis_wire::headers::HeaderName;
use portcullis_wire::json::Json;
use portcullis_wire::json::compact::{Compact, Value};
use portcullis_wire::sort;

/// Scopes and conditions, all of which must be met.
#[derive(Debug, Default)]
pub(super) struct Requirement {
    all_scopes: Vec<String>,
    any_scopes: Vec<String>,
    /// Where those stand of which all are needed.
    all_at: &'static str,
    claims: Vec<Condition>,
    /// The path that the conditions are for.
    path: RoutePath,
}

/// What is not met: the scopes, or the condition at that place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequirementError {
    Scope,
    Claim(usize),
    /// It would take too much work to tell.
    Effort(usize),
}

/// Why a kind of credential is refused that is accepted and does not suffice.
pub(super) struct Insufficient {
    pub(super) scope: &'static Reason,
    pub(super) claim: &'static Reason,
    pub(super) effort: &'static Reason,
}

impl Insufficient {
    fn reason(&self, unmet: RequirementError) -> &'static Reason {
        match unmet {
            RequirementError::Scope => self.scope,
            RequirementError::Claim(_) => self.claim,
            RequirementError::Effort(_) => self.effort,
        }
    }
}

impl Requirement {
    /// Reads `require: { scopes, claims }` of a route with that path.
    pub(super) fn read(node: &Node<'_>, path: &RoutePath, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.object(problems, "{\"scopes\": […]}")?;
        let scopes = fields.or_default("scopes", Default::default(), problems, read_scopes);
        let claims = fields.or_default("claims", Vec::new(), problems, |node, problems| {
            node.list(problems, |item, problems| {
                path.read(item, &REQUIRE, problems)
            })
        });
        fields.deny_unknown(problems);
        let (Scopes { all_at, all, any }, claims) = (scopes?, claims?);
        Some(Self {
            all_scopes: all,
            any_scopes: any,
            all_at,
            claims,
            path: path.clone(),
        })
    }

    /// The scopes as RFC 6750 §3 lists them to the client.
    pub(super) fn scopes(&self) -> String {
        let all: Vec<&str> = self
            .all_scopes
            .iter()
            .chain(&self.any_scopes)
            .map(String::as_str)
            .collect();
        all.join(" ")
    }

    /// Whether it demands nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.all_scopes.is_empty() && self.any_scopes.is_empty() && self.claims.is_empty()
    }

    /// Whether it demands scopes.
    pub(super) fn demands_scopes(&self) -> bool {
        !(self.all_scopes.is_empty() && self.any_scopes.is_empty())
    }

    /// Whether it looks at claims alone: then a token that meets it does so with every request.
    pub(super) fn is_of_claims(&self) -> bool {
        self.claims.iter().all(Condition::is_of_claims)
    }

    /// The header fields that it looks at.
    pub(super) fn header_names(&self) -> impl Iterator<Item = HeaderName> {
        self.claims
            .iter()
            .flat_map(Condition::header_names)
            .cloned()
    }

    /// Whether the claims of a token meet everything, as far as it takes nothing but claims.
    pub(super) fn is_met_by(&self, claims: &Compact) -> bool {
        let effort = Effort::new(effort::HEAD);
        let mut conditions = self.claims.iter();
        self.grants_scopes(claims)
            && conditions.all(|each| each.holds_of_claims(claims, &effort) == Some(Ok(true)))
    }

    /// Whether the claims of a token that came with that request meet everything.
    fn check(&self, request: &Request<'_>, claims: &Compact) -> Result<(), RequirementError> {
        if !self.grants_scopes(claims) {
            return Err(RequirementError::Scope);
        }
        let effort = Effort::new(effort::HEAD);
        let view = self.view(request, claims, &effort);
        for (index, condition) in self.claims.iter().enumerate() {
            match condition.holds(&view) {
                Ok(true) => {}
                Err(Undecidable::Effort) => return Err(RequirementError::Effort(index)),
                Ok(false) | Err(_) => return Err(RequirementError::Claim(index)),
            }
        }
        Ok(())
    }

    fn view<'v>(
        &'v self,
        request: &Request<'v>,
        claims: &'v Compact,
        effort: &'v Effort,
    ) -> View<'v> {
        let view = View::new(request).of(Some(claims));
        view.on(self.path.variables()).within(effort)
    }

    /// Who asks with that request, if what is known of them meets everything. `at` is where the block with
    /// this stands in that of the policy.
    pub(super) fn met(
        &self,
        principal: Principal,
        request: &Request<'_>,
        at: &str,
        insufficient: &Insufficient,
    ) -> Result<Principal, Refusal> {
        let claims = &principal.attributes;
        match self.check(request, claims) {
            Ok(()) => Ok(principal),
            Err(unmet) => {
                let mut detail = self.detail(unmet, request, claims, at);
                detail.principal = Some(principal);
                Err(Refusal::new(insufficient.reason(unmet)).because(detail))
            }
        }
    }

    /// What is not met, for the log. `at` as above.
    fn detail(
        &self,
        unmet: RequirementError,
        request: &Request<'_>,
        claims: &Compact,
        at: &str,
    ) -> Detail {
        let place = |index| format!("{at}/require/claims/{index}");
        match unmet {
            RequirementError::Scope => self.scope_detail(claims, at),
            RequirementError::Claim(index) => {
                let detail = Detail::within(place(index));
                match self.claims.get(index) {
                    Some(condition) => {
                        let effort = Effort::new(effort::HEAD);
                        let view = self.view(request, claims, &effort);
                        condition_detail(condition, detail, &view)
                    }
                    None => detail,
                }
            }
            RequirementError::Effort(index) => {
                Detail::within(place(index)).and("fault", Fact::Word("too_costly"))
            }
        }
    }

    /// Which scopes a token lacks, for the log; `at` as above.
    pub(super) fn scope_detail(&self, claims: &Compact, at: &str) -> Detail {
        let granted = granted_scopes(claims);
        let lacks = |scope: &&String| !granted.contains(scope.as_str());
        let lacking: Vec<&str> = self
            .all_scopes
            .iter()
            .filter(lacks)
            .map(String::as_str)
            .collect();
        let first = self.all_scopes.iter().position(|scope| lacks(&scope));
        let (rule, name, scopes) = match first {
            Some(index) => (format!("{at}{}/{index}", self.all_at), "scopes", lacking),
            None => {
                let any = self.any_scopes.iter().map(String::as_str).collect();
                (format!("{at}/require/scopes/any"), "any_scope", any)
            }
        };
        let detail = Detail::within(rule).and(name, Fact::trusted_list(scopes.into_iter()));
        let (claim, value) = scope_claim(claims);
        let detail = detail.and("claim", Fact::Word(claim));
        match value {
            None => detail.and("fault", Fact::Word("missing")),
            Some(Value::String(_) | Value::Array(_)) => {
                detail.and("fault", Fact::Word("not_granted"))
            }
            Some(other) => detail
                .and("fault", Fact::Word("kind"))
                .and("found", Fact::Word(other.kind())),
        }
    }

    /// Whether the claims of a token have the scopes: what is asked first.
    pub(super) fn grants_scopes(&self, claims: &Compact) -> bool {
        if self.any_scopes.is_empty() && self.all_scopes.is_empty() {
            return true;
        }
        let granted = granted_scopes(claims);
        let has = |scope: &String| granted.contains(scope.as_str());
        let any = self.any_scopes.is_empty() || self.any_scopes.iter().any(has);
        any && self.all_scopes.iter().all(has)
    }
}

/// What `scopes` says.
#[derive(Default)]
struct Scopes {
    all_at: &'static str,
    all: Vec<String>,
    any: Vec<String>,
}

/// A list of which all are needed, or `{ all: [...] }`, or `{ any: [...] }`.
fn read_scopes(node: &Node<'_>, problems: &mut Problems) -> Option<Scopes> {
    if let Json::Array(_) | Json::String(_) = node.json() {
        return Some(Scopes {
            all_at: "/require/scopes",
            all: node.list(problems, read_scope)?,
            any: Vec::new(),
        });
    }
    let mut fields = node.fields(problems)?;
    let mut list = |name, problems: &mut Problems| {
        fields.or_default(name, Vec::new(), problems, |node, problems| {
            node.list(problems, read_scope)
        })
    };
    let all = list("all", problems);
    let any = list("any", problems);
    fields.deny_unknown(problems);
    let (all, any) = (all?, any?);
    if all.is_empty() && any.is_empty() {
        problems.lacks(
            node.pointer(),
            "needs \"all\" or \"any\", or a list of scopes in its place",
        );
        return None;
    }
    let all_at = "/require/scopes/all";
    Some(Scopes { all_at, all, any })
}

/// RFC 6749 §3.3 `scope-token`.
pub(super) fn read_scope(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let scope = node.non_empty(problems)?;
    let plain = scope
        .bytes()
        .all(|b| (b'!'..=b'~').contains(&b) && b != b'"' && b != b'\\');
    if !plain {
        node.report(
            problems,
            "is not one scope: printable ASCII without blanks, quotes and backslashes",
        );
    }
    plain.then(|| scope.to_owned())
}

/// The claim that holds the scopes, and its value.
pub(crate) fn scope_claim(claims: &Compact) -> (&'static str, Option<Value<'_>>) {
    match (claims.member("scope"), claims.member("scp")) {
        (None, Some(value)) => ("scp", Some(value)),
        (value, _) => ("scope", value),
    }
}

/// `scope` as RFC 8693 §4.2 has it, a string of words; `scp`, as others call it; either may be an array.
fn granted_scopes(claims: &Compact) -> BTreeSet<&str> {
    match scope_claim(claims).1 {
        Some(Value::String(words)) => sort::set(words.split(' ').filter(|word| !word.is_empty())),
        Some(Value::Array(items)) => sort::set(items.iter().filter_map(Value::as_str)),
        _ => BTreeSet::new(),
    }
}

/// In what way a condition does not hold.
fn condition_detail(condition: &Condition, detail: Detail, view: &View<'_>) -> Detail {
    let detail = match condition.operand().name() {
        Some((field, name)) => detail.and(field, Fact::trusted(&name)),
        None => detail,
    };
    let (fault, found) = condition.fault(view);
    let detail = detail.and("fault", Fact::Word(fault));
    match found {
        Some(kind) => detail.and("found", Fact::Word(kind)),
        None => detail,
    }
}

#[cfg(test)]
mod tests;
