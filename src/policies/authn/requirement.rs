//! What a route demands of an accepted credential: of the claims of a token, or of what is known of another
//! kind under the same names.

use std::collections::BTreeSet;

use super::roles::{RoleRules, read_role};
use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::condition::{Condition, REQUIRE, Undecidable, View};
use portcullis_exchange::exchange::Request;
use portcullis_exchange::policy::{Declaration, RoutePath};
use portcullis_exchange::principal::Principal;
use portcullis_exchange::refusal::{Detail, Fact, Reason, Refusal};
use portcullis_wire::effort;
use portcullis_wire::effort::Effort;
use portcullis_wire::json::Json;
use portcullis_wire::json::compact::{Compact, Value};
use portcullis_wire::sort;

/// Scopes, roles and conditions, all of which must be met.
#[derive(Debug, Default)]
pub(super) struct Requirement {
    scopes: Demanded,
    roles: Demanded,
    claims: Vec<Condition>,
    /// The path that the conditions are for.
    path: RoutePath,
}

/// Names of scopes, or of roles.
#[derive(Debug, Default)]
struct Demanded {
    /// The field that has them.
    field: &'static str,
    /// Where in it those stand of which all are needed.
    all_at: &'static str,
    all: Vec<String>,
    /// One of these, if there are any.
    any: Vec<String>,
}

/// What is not met: the scopes, the roles, or the condition at that place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum RequirementError {
    Scope,
    Role,
    Claim(usize),
    /// It would take too much work to tell.
    Effort(usize),
}

/// Why a kind of credential is refused that is accepted and does not suffice.
pub(super) struct Insufficient {
    pub(super) scope: &'static Reason,
    pub(super) role: &'static Reason,
    pub(super) claim: &'static Reason,
    pub(super) effort: &'static Reason,
}

impl Insufficient {
    fn reason(&self, unmet: RequirementError) -> &'static Reason {
        match unmet {
            RequirementError::Scope => self.scope,
            RequirementError::Role => self.role,
            RequirementError::Claim(_) => self.claim,
            RequirementError::Effort(_) => self.effort,
        }
    }
}

impl Requirement {
    /// Reads `require`, beside what names an authority with those rules for roles; none, if its own block is
    /// wrong.
    pub(super) fn beside(
        fields: &mut Fields<'_>,
        rules: Option<&RoleRules>,
        path: &RoutePath,
        problems: &mut Problems,
    ) -> Option<Self> {
        let Some(node) = fields.optional("require") else {
            return Some(Self::default());
        };
        let requirement = Self::read(&node, path, problems)?;
        match rules {
            None => Some(requirement),
            Some(rules) => {
                let checked = requirement.check_roles(rules, &node, problems);
                checked.map(|()| requirement)
            }
        }
    }

    /// Reads `require: { scopes, roles, claims }` of a route with that path.
    pub(super) fn read(node: &Node<'_>, path: &RoutePath, problems: &mut Problems) -> Option<Self> {
        let mut fields = node.object(problems, "{\"scopes\": […]}")?;
        let scopes = fields.or_default("scopes", Demanded::default(), problems, read_scopes);
        let roles = fields.or_default("roles", Demanded::default(), problems, read_roles);
        let claims = fields.or_default("claims", Vec::new(), problems, |node, problems| {
            node.list(problems, |item, problems| {
                path.read(item, &REQUIRE, problems)
            })
        });
        fields.deny_unknown(problems);
        Some(Self {
            scopes: scopes?,
            roles: roles?,
            claims: claims?,
            path: path.clone(),
        })
    }

    /// Reports roles that no caller can have by these rules. `node` is where it is written.
    fn check_roles(
        &self,
        rules: &RoleRules,
        node: &Node<'_>,
        problems: &mut Problems,
    ) -> Option<()> {
        let at = node.pointer().member("roles");
        if rules.is_none() && !self.roles.is_empty() {
            return rules.check("", &at, problems);
        }
        let list = |name: &str| match node.member("roles") {
            Some(node) if node.member(name).is_some() => at.member(name),
            _ => at.clone(),
        };
        let mut good = Some(());
        for (names, at) in [
            (&self.roles.all, list("all")),
            (&self.roles.any, list("any")),
        ] {
            for (place, role) in names.iter().enumerate() {
                good = good.and(rules.check(role, &at.item(place), problems));
            }
        }
        good
    }

    /// The scopes as RFC 6750 §3 lists them to the client.
    pub(super) fn scopes(&self) -> String {
        let all = self.scopes.all.iter().chain(&self.scopes.any);
        all.map(String::as_str).collect::<Vec<_>>().join(" ")
    }

    /// Whether it demands nothing.
    pub(super) fn is_empty(&self) -> bool {
        self.scopes.is_empty() && self.roles.is_empty() && self.claims.is_empty()
    }

    /// Whether it demands scopes.
    pub(super) fn demands_scopes(&self) -> bool {
        !self.scopes.is_empty()
    }

    /// Whether it looks at claims alone: then a token that meets it does so with every request.
    pub(super) fn is_of_claims(&self) -> bool {
        self.claims.iter().all(Condition::is_of_claims)
    }

    /// Declares the header fields that it looks at.
    pub(super) fn declare(&self, declared: &mut Declaration) {
        for condition in &self.claims {
            declared.goes_by(condition);
        }
    }

    /// Whether what is known of a caller meets everything, as far as it takes nothing of the request.
    pub(super) fn is_met_by(&self, principal: &Principal) -> bool {
        let claims = &principal.attributes;
        let effort = Effort::new(effort::HEAD);
        let mut conditions = self.claims.iter();
        self.grants_scopes(claims)
            && self.roles.is_met(|role| principal.has_role(role))
            && conditions.all(|each| each.holds_of_claims(claims, &effort) == Some(Ok(true)))
    }

    /// Whether what is known of a caller who sent that request meets everything.
    fn check(&self, request: &Request<'_>, principal: &Principal) -> Result<(), RequirementError> {
        let claims = &principal.attributes;
        if !self.grants_scopes(claims) {
            return Err(RequirementError::Scope);
        }
        if !self.roles.is_met(|role| principal.has_role(role)) {
            return Err(RequirementError::Role);
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
        match self.check(request, &principal) {
            Ok(()) => Ok(principal),
            Err(unmet) => {
                let mut detail = self.detail(unmet, request, &principal, at);
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
        principal: &Principal,
        at: &str,
    ) -> Detail {
        let claims = &principal.attributes;
        let place = |index| format!("{at}/require/claims/{index}");
        match unmet {
            RequirementError::Scope => self.scope_detail(claims, at),
            RequirementError::Role => self.role_detail(principal, at),
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
        let has = |scope: &str| granted.contains(scope);
        let detail = self.scopes.lacking(has, at, "any_scope");
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

    /// Which roles a caller lacks, for the log; `at` as above.
    fn role_detail(&self, principal: &Principal, at: &str) -> Detail {
        let has = |role: &str| principal.has_role(role);
        let detail = self.roles.lacking(has, at, "any_role");
        let fault = match principal.roles.is_empty() {
            true => "missing",
            false => "not_granted",
        };
        detail.and("fault", Fact::Word(fault))
    }

    /// Whether the claims of a token have the scopes: what is asked first.
    pub(super) fn grants_scopes(&self, claims: &Compact) -> bool {
        if self.scopes.is_empty() {
            return true;
        }
        let granted = granted_scopes(claims);
        self.scopes.is_met(|scope| granted.contains(scope))
    }
}

impl Demanded {
    fn is_empty(&self) -> bool {
        self.all.is_empty() && self.any.is_empty()
    }

    fn is_met(&self, has: impl Fn(&str) -> bool) -> bool {
        let any = self.any.is_empty() || self.any.iter().any(|name| has(name));
        any && self.all.iter().all(|name| has(name))
    }

    /// What is lacking, for the log: under the name of the field, or under `any`, if any of several would do.
    fn lacking(&self, has: impl Fn(&str) -> bool, at: &str, any: &'static str) -> Detail {
        let Self { field, all_at, .. } = self;
        let at = format!("{at}/require/{field}");
        let lacks = |name: &&String| !has(name);
        let lacking: Vec<&str> = self.all.iter().filter(lacks).map(String::as_str).collect();
        let (rule, name, names) = match self.all.iter().position(|name| !has(name)) {
            Some(index) => (format!("{at}{all_at}/{index}"), *field, lacking),
            None => {
                let names = self.any.iter().map(String::as_str).collect();
                (format!("{at}/any"), any, names)
            }
        };
        Detail::within(rule).and(name, Fact::trusted_list(names.into_iter()))
    }

    /// A list of which all are needed, or `{ all: [...] }`, or `{ any: [...] }`.
    fn read(
        node: &Node<'_>,
        field: &'static str,
        read: fn(&Node<'_>, &mut Problems) -> Option<String>,
        problems: &mut Problems,
    ) -> Option<Self> {
        if let Json::Array(_) | Json::String(_) = node.json() {
            return Some(Self {
                field,
                all_at: "",
                all: node.list(problems, read)?,
                any: Vec::new(),
            });
        }
        let mut fields = node.fields(problems)?;
        let mut list = |name, problems: &mut Problems| {
            fields.or_default(name, Vec::new(), problems, |node, problems| {
                node.list(problems, read)
            })
        };
        let all = list("all", problems);
        let any = list("any", problems);
        fields.deny_unknown(problems);
        let (all, any) = (all?, any?);
        if all.is_empty() && any.is_empty() {
            problems.lacks(
                node.pointer(),
                format_args!("needs \"all\" or \"any\", or a list of {field} in its place"),
            );
            return None;
        }
        Some(Self {
            field,
            all_at: "/all",
            all,
            any,
        })
    }
}

fn read_scopes(node: &Node<'_>, problems: &mut Problems) -> Option<Demanded> {
    Demanded::read(node, "scopes", read_scope, problems)
}

fn read_roles(node: &Node<'_>, problems: &mut Problems) -> Option<Demanded> {
    let read =
        |node: &Node<'_>, problems: &mut Problems| read_role(node, problems).map(str::to_owned);
    Demanded::read(node, "roles", read, problems)
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
pub(super) fn granted_scopes(claims: &Compact) -> BTreeSet<&str> {
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
