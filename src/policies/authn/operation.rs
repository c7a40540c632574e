//! What an operation of an API asks of credentials that its route has accepted: what the security
//! requirements of an OpenAPI document come to.
//!
//! INVARIANT: this only ever refuses more. Credentials are looked for and judged by the route's own policies;
//! here it is asked whose they are, and what they grant. One that was not accepted counts as none.

use std::rc::Rc;

use super::authority::Authority;
use super::challenge::{Challenges, usual_metadata};
use super::credentials::refusals::{MISSING, NO_CREDENTIAL, OTHER, ROLE, SCOPE};
use super::jwt::bound::{Binding, challenges_of};
use super::member::About;
use super::requirement::{granted_scopes, read_scope};
use super::roles::read_role;
use portcullis_document::{Node, Pointer, Problems, Quoted};
use portcullis_exchange::exchange::Facts;
use portcullis_exchange::policy::RouteCredentials;
use portcullis_exchange::principal::{CredentialKind, Principal};
use portcullis_exchange::refusal::{Detail, Fact, Refusal};
use portcullis_exchange::section::Sections;

/// What a security scheme of an API stands for.
pub(crate) struct SchemeAuthority(Authority);

/// Where a client puts a credential, by what the scheme says.
#[derive(Clone, Copy, Debug)]
pub(crate) enum SchemePlace<'s> {
    /// In `Authorization`, behind that word.
    Authorization(&'s str),
    /// In a header field of that name.
    Header(&'s str),
    /// In a parameter of the query.
    Query(&'s str),
    /// In a cookie.
    Cookie(&'s str),
    /// In the handshake of the connection.
    Certificate,
}

/// What the list of a requirement means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListMeaning {
    Scopes,
    Roles,
    /// There is to be none.
    Nothing,
}

/// What one operation asks for.
pub(crate) struct OperationSecurity {
    /// One of these is enough. Nobody is asked for anything where one of them asks for nothing.
    alternatives: Vec<Vec<Demand>>,
    /// Where that is said: a JSON pointer.
    place: Rc<str>,
    challenges: Challenges,
}

/// A credential, and what it must grant.
pub(crate) struct Demand {
    authority: (CredentialKind, Rc<str>),
    scopes: Vec<String>,
    roles: Vec<String>,
    place: Rc<str>,
}

/// The most items of one list of scopes or roles, and of alternatives, and of credentials of one of them.
const MOST: usize = 32;

impl SchemeAuthority {
    /// Reads what a scheme stands for; `Some(None)` if the block of that is wrong, and has been reported there.
    pub(crate) fn read(
        node: &Node<'_>,
        sections: &Sections,
        problems: &mut Problems,
    ) -> Option<Option<Self>> {
        let found = Authority::read(node, sections, problems)?;
        Some(found.map(Self))
    }

    /// Reports at that node where clients that do what the scheme says could never be let in.
    pub(crate) fn check(
        &self,
        place: SchemePlace<'_>,
        node: &Node<'_>,
        problems: &mut Problems,
    ) -> Option<()> {
        let (told, agrees) = match (place, self.0.locations()) {
            (SchemePlace::Certificate, None) => return Some(()),
            (SchemePlace::Certificate, Some(_)) => {
                node.report(
                    problems,
                    "must name a set of `certificates`: the scheme is of type `mutualTLS`",
                );
                return None;
            }
            (_, None) => {
                node.report(
                    problems,
                    "must not name a set of `certificates`: the scheme is not of type `mutualTLS`",
                );
                return None;
            }
            (SchemePlace::Authorization(word), Some(at)) => (
                format!("behind {} in `Authorization`", Quoted(word)),
                at.takes_behind(word),
            ),
            (SchemePlace::Header(name), Some(at)) => {
                let mut headers = at.headers();
                let agrees = headers.any(|(each, _)| each.as_str().eq_ignore_ascii_case(name));
                (format!("in the header field {}", Quoted(name)), agrees)
            }
            (SchemePlace::Query(name), Some(at)) => (
                format!("in the parameter {}", Quoted(name)),
                at.params().any(|each| each == name),
            ),
            (SchemePlace::Cookie(name), Some(at)) => (
                format!("in the cookie {}", Quoted(name)),
                at.cookies().any(|each| each == name),
            ),
        };
        if agrees {
            return Some(());
        }
        let (kind, name) = self.0.name();
        node.report(
            problems,
            format_args!(
                "stands for credentials {told}, by the API, and {} ({}) looks for none there; add the place to its `from_headers`, `from_params` or `from_cookies`",
                Quoted(&name),
                kind.name()
            ),
        );
        None
    }

    /// Reads the list of a requirement: scopes, or roles.
    pub(crate) fn demand(
        &self,
        list: &Node<'_>,
        listed: ListMeaning,
        problems: &mut Problems,
    ) -> Option<Demand> {
        let items = list.items(problems)?;
        if items.len() > MOST {
            list.report(problems, format_args!("has more than {MOST} items"));
            return None;
        }
        let (mut scopes, mut roles) = (Vec::new(), Vec::new());
        let mut good = true;
        for item in &items {
            match listed {
                ListMeaning::Scopes => scopes.extend(read_scope(item, problems)),
                ListMeaning::Roles => {
                    let role = read_role(item, problems);
                    let role = role.filter(|role| {
                        let checked = self.0.roles().check(role, item.pointer(), problems);
                        checked.is_some()
                    });
                    roles.extend(role.map(str::to_owned));
                }
                ListMeaning::Nothing => {
                    item.report(
                        problems,
                        "is a scope of a scheme that has none: in OpenAPI 3.0 only `oauth2` and `openIdConnect` have scopes; take it out, or there will be no check of it",
                    );
                    good = false;
                }
            }
        }
        let is_whole = scopes.len().saturating_add(roles.len()) == items.len();
        (good && is_whole).then(|| Demand {
            authority: self.0.name(),
            scopes,
            roles,
            place: list.pointer().to_string().into(),
        })
    }

    fn binding(&self) -> Option<&Binding> {
        self.0.binding()
    }
}

impl OperationSecurity {
    /// What those alternatives come to, which stand at that place; `of` are the authorities of all of them.
    pub(crate) fn new(
        alternatives: Vec<Vec<Demand>>,
        of: &[&SchemeAuthority],
        place: &Pointer,
        document: &Node<'_>,
    ) -> Option<Self> {
        let metadata = usual_metadata(document);
        let bindings: Vec<&Binding> = of.iter().filter_map(|each| each.binding()).collect();
        let mut texts: Vec<String> = Vec::new();
        for text in of.iter().filter_map(|each| each.0.challenge(REALM)) {
            if !texts.contains(&text) {
                texts.push(text);
            }
        }
        let beside = texts.join(", ");
        let mut scopes: Vec<&str> = Vec::new();
        for scope in alternatives
            .iter()
            .flatten()
            .flat_map(|demand| &demand.scopes)
        {
            if !scopes.contains(&scope.as_str()) {
                scopes.push(scope);
            }
        }
        let about = About {
            at: "",
            realm: REALM,
            metadata: &metadata,
            beside: &beside,
        };
        let challenges = match bindings.is_empty() {
            true => Challenges::none(&MISSING)?.beside(&beside)?,
            false => challenges_of(&MISSING, &bindings, &about, &scopes.join(" "))?,
        };
        Some(Self {
            alternatives,
            place: place.to_string().into(),
            challenges,
        })
    }

    /// The most alternatives of an operation, and credentials of one.
    pub(crate) const MOST: usize = MOST;

    /// Whether anybody may call it.
    pub(crate) fn is_open(&self) -> bool {
        self.alternatives.is_empty() || self.alternatives.iter().any(Vec::is_empty)
    }

    /// Judges a request by the credentials that were accepted.
    ///
    /// # Errors
    /// Why it is refused: 401 without the credentials of any alternative, 403 with those and too little
    /// granted.
    pub(crate) fn judge(&self, facts: &Facts) -> Result<(), Refusal> {
        if self.is_open() {
            return Ok(());
        }
        let mut short: Option<Refusal> = None;
        for demands in &self.alternatives {
            match meet(demands, facts) {
                Met::Yes => return Ok(()),
                Met::Short(refusal) => short = short.or(Some(refusal)),
                Met::Absent => {}
            }
        }
        let refusal = short.unwrap_or_else(|| {
            let reason = match facts.principal {
                None => &NO_CREDENTIAL,
                Some(_) => &OTHER,
            };
            Refusal::new(reason).because(Detail::at(Rc::clone(&self.place)))
        });
        Err(self.challenges.attach(refusal))
    }

    /// In what way its route does not ask for what it needs; none if it does, or if that cannot be told.
    pub(crate) fn misfit(&self, credentials: &RouteCredentials<'_>) -> Option<String> {
        if self.is_open() {
            return None;
        }
        if credentials.guard.is_none() {
            return Some(
                "asks for credentials, and the route for none; write a `credentials` block on the route that has all kinds of them in `any_of`, with `optional: true` if some operations are for anybody".to_owned(),
            );
        }
        let accepts = |demand: &Demand| {
            let mut asked = credentials.asked.iter();
            asked.any(|asked| asked.authorities.contains(&demand.authority))
        };
        let demands = self.alternatives.iter().flatten();
        if let Some(demand) = demands.into_iter().find(|demand| !accepts(demand)) {
            let (kind, name) = &demand.authority;
            return Some(format!(
                "asks for what {} ({}) vouches for, and the route does not accept it; add it to `any_of` of the route's `credentials` block",
                Quoted(name),
                kind.name()
            ));
        }
        let needs_all = credentials.asked.iter().any(|asked| asked.needs_all);
        let has_two = |demands: &Vec<Demand>| {
            let mut rest = &demands[..];
            while let Some((first, others)) = rest.split_first() {
                // Two schemes may stand for the same, and one credential is both then.
                let is_other = |other: &Demand| {
                    other.authority.0 == first.authority.0 && other.authority != first.authority
                };
                if others.iter().any(is_other) {
                    return true;
                }
                rest = others;
            }
            false
        };
        if !needs_all && self.alternatives.iter().any(has_two) {
            return Some(
                "asks for two credentials of one kind at once, and `any_of` accepts one of a kind; let the route ask for `all_of` them".to_owned(),
            );
        }
        None
    }
}

/// What `WWW-Authenticate` says of where a credential is for.
const REALM: &str = "api";

enum Met {
    Yes,
    /// The credentials are there, and do not grant what is needed.
    Short(Refusal),
    Absent,
}

/// Whether what was accepted has all of these.
fn meet(demands: &[Demand], facts: &Facts) -> Met {
    let mut short = None;
    for demand in demands {
        let mut lacking = None;
        let mut callers = facts.named().filter(|each| demand.is_of(each)).peekable();
        if callers.peek().is_none() {
            return Met::Absent;
        }
        let is_met = callers.any(|caller| match demand.lacking(caller) {
            None => true,
            Some(refusal) => {
                lacking.get_or_insert(refusal);
                false
            }
        });
        if !is_met {
            short = short.or(lacking);
        }
    }
    short.map_or(Met::Yes, Met::Short)
}

impl Demand {
    fn is_of(&self, principal: &Principal) -> bool {
        let (kind, name) = &self.authority;
        principal.kind == *kind && principal.authority == *name
    }

    /// Why what is accepted of them does not suffice.
    fn lacking(&self, principal: &Principal) -> Option<Refusal> {
        let detail = |name, names: Vec<&str>| {
            let detail = Detail::at(Rc::clone(&self.place));
            let detail = detail.and(name, Fact::trusted_list(names.into_iter()));
            detail.and("fault", Fact::Word("not_granted"))
        };
        let granted = granted_scopes(&principal.attributes);
        let scopes = self.scopes.iter().map(String::as_str);
        let scopes: Vec<&str> = scopes.filter(|scope| !granted.contains(scope)).collect();
        if !scopes.is_empty() {
            return Some(Refusal::new(&SCOPE).because(detail("scopes", scopes)));
        }
        let roles = self.roles.iter().map(String::as_str);
        let roles: Vec<&str> = roles.filter(|role| !principal.has_role(role)).collect();
        match roles.is_empty() {
            true => None,
            false => Some(Refusal::new(&ROLE).because(detail("roles", roles))),
        }
    }
}
