//! JSON Web Tokens: who asks, proven by a signature.
//!
//! Order is what keeps this safe. The token's form and header are read first; the header only
//! ever narrows which of our keys may have signed. Then the signature is checked. Only then is
//! the payload read, and only then are claims compared. Where several providers could have issued
//! a token, its `iss` is looked at before that, to choose between them and for nothing else.

mod cache;
mod cache_limits;
mod challenge;
mod checks;
mod claim_path;
mod claimant;
mod claimed;
mod claims;
mod dotted;
mod ec;
mod forwarding;
mod gauges;
mod jwk;
mod key_source;
mod location;
mod objection;
mod places;
mod provider;
pub(crate) mod refusals;
mod remote;
mod requirement;
mod rules;
mod secret;
mod signature;
mod token;
pub mod trial;

use std::rc::Rc;

use self::challenge::{Challenges, read_realm};
use self::checks::{Allowance, note_shared};
use self::claimed::claimed;
use self::location::{Found, LocationError};
use self::places::{Places, Stray};
use self::provider::Provider;
use self::refusals::{CODES, MISSING, NO_TOKEN, SEVERAL_TOKENS, resembling, unknown_issuer};
use self::requirement::Requirement;
use self::token::Unverified;
use super::{Compile, Context, Kind, Part, Policy, Role, Stage, Verdict};
use crate::config::{DidYouMean, Fields, Node, Pointer, Problems, Quoted};
use crate::exchange::{Exchange, PropertyName};
use crate::headers::HeaderName;
use crate::host::Host;
use crate::json::compact::Compact;
use crate::principal::{CredentialKind, Principal};
use crate::refusal::{Refusal, Selector};

pub use self::claim_path::ClaimPath;
pub use self::claimant::{Claimants, Several};
pub use self::dotted::note_dotted;
pub use self::provider::Providers;
pub use self::remote::{
    FetchError, Next, Question, RemoteKeys, Settled, Subject, Uri, read_discovery_document,
};
pub use self::secret::{SecretFault, SecretVariable};

/// `jwt: { provider, require, any_of, all_of, optional, realm }`.
pub(super) const KIND: Kind = Kind {
    name: "jwt",
    role: Role::Authenticates,
    codes: CODES,
    compile: Compile::Object(compile),
    rules: &[(Selector::Code(&MISSING), "provider")],
};

/// Asks for tokens, and for what they must grant.
struct Jwt {
    needed: Needed,
    demands: Vec<Demand>,
    presence: Presence,
    /// Where all of them look for tokens.
    places: Places,
    claimants: Rc<Claimants>,
    challenges: Challenges,
}

/// A token of one provider, and what it must grant.
struct Demand {
    /// Where it stands in the block, if it is one of several.
    at: String,
    provider: Rc<Provider>,
    requirement: Requirement,
    challenges: Challenges,
}

/// How many of the demands must be met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Needed {
    /// One of them.
    Any,
    /// Each of them.
    All,
}

/// Whether a request without a token may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Presence {
    Required,
    Optional,
}

/// The most demands of one block: each may cost a signature.
const MAX_DEMANDS: usize = 8;

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<Part>> {
    let (providers, problems) = (context.providers, &mut *context.problems);
    let realm = fields.or("realm", "api", problems, read_realm);
    let presence = fields.or(
        "optional",
        Presence::Required,
        problems,
        |node, problems| {
            Some(if node.boolean(problems)? {
                Presence::Optional
            } else {
                Presence::Required
            })
        },
    );
    let any_of = fields.optional("any_of");
    let all_of = fields.optional("all_of");
    let several = match (&any_of, &all_of) {
        (Some(_), Some(second)) => {
            second.report(problems, "cannot stand beside `any_of`; keep one of them");
            return None;
        }
        (Some(list), None) => Some((Needed::Any, list)),
        (None, Some(list)) => Some((Needed::All, list)),
        (None, None) if fields.misnames(&["any_of", "all_of"], problems) => return None,
        (None, None) => None,
    };
    // What stands beside a realm that is wrong is read all the same.
    let named = realm.unwrap_or("api");
    let (needed, demands) = match several {
        None => {
            let demand = Demand::read(fields, String::new(), named, providers, problems);
            (Needed::Any, vec![demand?])
        }
        Some((needed, list)) => {
            let name = match needed {
                Needed::Any => "any_of",
                Needed::All => "all_of",
            };
            let mut places = (0_usize..).map(|index| format!("/{name}/{index}"));
            let demands = list.list(problems, |item, problems| {
                let at = places.next().unwrap_or_default();
                let mut fields = item.fields(problems)?;
                let demand = Demand::read(&mut fields, at, named, providers, problems);
                fields.finish(problems);
                demand
            })?;
            if demands.len() > MAX_DEMANDS {
                list.report(problems, format_args!("has more than {MAX_DEMANDS} items"));
                return None;
            }
            (needed, demands)
        }
    };
    // A provider whose own block is wrong has been reported there.
    let demands: Vec<Demand> = demands.into_iter().collect::<Option<_>>()?;
    if let Some(list) = &any_of
        && let Some(note) = note_shared(&distinct(&demands))
    {
        context.notes.push(format!("{}: {note}", list.pointer()));
    }
    let providers = distinct(&demands).into_iter().map(Rc::clone).collect();
    let policy = Jwt {
        needed,
        places: Places::of(distinct(&demands).iter().map(|each| &each.locations)),
        claimants: Rc::new(Claimants::new(needed, providers)),
        demands,
        presence: presence?,
        challenges: Challenges::new(realm?, "")?,
    };
    Some(Part::only(Stage::Credentials, policy))
}

/// The providers of demands, each once.
fn distinct(demands: &[Demand]) -> Vec<&Rc<Provider>> {
    let mut all: Vec<&Rc<Provider>> = Vec::new();
    for Demand { provider, .. } in demands {
        if !all.iter().any(|each| Rc::ptr_eq(each, provider)) {
            all.push(provider);
        }
    }
    all
}

impl Demand {
    /// Reads `provider` and `require`; `Some(None)` when the provider's own block is wrong.
    fn read(
        fields: &mut Fields<'_>,
        at: String,
        realm: &str,
        providers: &Providers,
        problems: &mut Problems,
    ) -> Option<Option<Self>> {
        let provider = fields
            .required("provider", problems)
            .and_then(|node| named_provider(&node, providers, problems));
        let requirement = fields.or(
            "require",
            Requirement::default(),
            problems,
            Requirement::read,
        );
        let (provider, requirement) = (provider?, requirement?);
        let challenges = Challenges::new(realm, &requirement.scopes())?;
        Some(provider.map(|provider| Self {
            at,
            provider,
            requirement,
            challenges,
        }))
    }

    /// Accepts the token, or says why not. Nothing is left in the exchange unless it is accepted.
    fn meet(
        &self,
        found: &Found<'_>,
        allowance: &Allowance,
        exchange: &mut Exchange<'_>,
        host: &dyn Host,
    ) -> Result<(), Refusal> {
        let attach = |refusal| self.challenges.attach(refusal);
        let (token, now) = (found.token(), exchange.arrived);
        let verified = self.provider.verify(token, now, allowance, host);
        let verified = verified.map_err(|refusal| attach(claiming(refusal, token, exchange)))?;
        if let Err(unmet) = self.requirement.check(&verified.claims) {
            let mut detail = self.requirement.detail(unmet, &verified.claims, &self.at);
            detail.principal = Some(self.principal(verified.claims));
            return Err(attach(Refusal::from(unmet).because(detail)));
        }
        if !self.provider.forwarding.forwards_token() {
            let stripped = found.strip(&mut exchange.edits);
            stripped.map_err(|error| attach(error.into()))?;
        }
        exchange.edits.extend(verified.edits.iter().cloned());
        let principal = &mut exchange.facts.principal;
        principal.get_or_insert_with(|| self.principal(verified.claims));
        Ok(())
    }

    fn principal(&self, claims: Compact) -> Principal {
        Principal {
            kind: CredentialKind::Jwt,
            authority: Rc::clone(&self.provider.name),
            attributes: claims,
        }
    }
}

/// The refusal of a token, with what that says for whoever wants to know.
fn claiming(mut refusal: Refusal, token: &[u8], exchange: &Exchange<'_>) -> Refusal {
    if exchange.notes_claimed {
        let detail = refusal.detail.get_or_insert_default();
        detail.claimed = claimed(token, detail.signed);
    }
    refusal
}

/// The provider, or `Some(None)` when its own block is wrong and has been reported there.
fn named_provider(
    node: &Node<'_>,
    providers: &Providers,
    problems: &mut Problems,
) -> Option<Option<Rc<Provider>>> {
    let name = node.name(problems)?;
    let found = providers.named(name);
    let none_is_read = providers.names().next().is_none();
    let is_amiss = none_is_read && problems.is_amiss(&Pointer::default(), "providers");
    if found.is_none() && !is_amiss {
        let near = DidYouMean(name, providers.names());
        node.report(
            problems,
            format_args!("no provider is named {}{near}", Quoted(name)),
        );
    }
    found
}

impl Jwt {
    fn judge(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Result<(), Refusal> {
        let request = exchange.request;
        let mut found = Vec::with_capacity(self.demands.len());
        for demand in &self.demands {
            match demand.provider.locations.find(&request) {
                Ok(token) => found.push((demand, token)),
                Err(LocationError::Missing) => {}
                Err(error) => return Err(self.challenges.attach(error.into())),
            }
        }
        match (self.places.stray(&request), self.presence, found.len()) {
            (None | Some((Stray::Empty, _)), Presence::Required, 0) => return Err(self.missing()),
            (None, Presence::Optional, 0) => return Ok(()),
            (None, _, _) => {}
            (Some((_, place)), _, _) => return Err(self.challenges.attach(resembling(place))),
        }
        match self.needed {
            Needed::All if found.len() < self.demands.len() => Err(self.missing()),
            Needed::All => meet_all(&found, exchange, host),
            Needed::Any => self.meet_any(&found, exchange, host),
        }
    }

    fn missing(&self) -> Refusal {
        self.challenges.attach(Refusal::new(&NO_TOKEN))
    }

    fn meet_any(
        &self,
        found: &[(&Demand, Found<'_>)],
        exchange: &mut Exchange<'_>,
        host: &dyn Host,
    ) -> Result<(), Refusal> {
        let Some(((_, token), others)) = found.split_first() else {
            return Err(self.missing());
        };
        // Of two tokens in two places one would reach the service unchecked.
        if others.iter().any(|(_, other)| !other.is_same(token)) {
            return Err(self.challenges.attach(Refusal::new(&SEVERAL_TOKENS)));
        }
        // One token, so its signature is checked so often and no more, whoever may have issued it.
        let most = found.iter().map(|(demand, _)| demand.provider.choice.most);
        let allowance = Allowance::new(most.max().unwrap_or_default());
        let unverified = Unverified::new(token.token());
        let mut refusal: Option<Refusal> = None;
        for (demand, _) in found
            .iter()
            .filter(|(demand, _)| found.len() == 1 || demand.provider.may_have_issued(&unverified))
        {
            match demand.meet(token, &allowance, exchange, host) {
                Ok(()) => return Ok(()),
                // A token that was accepted and does not suffice says more than one that was not.
                Err(next)
                    if refusal
                        .as_ref()
                        .is_none_or(|last| last.code().status == 401) =>
                {
                    refusal = Some(next);
                }
                Err(_) => {}
            }
        }
        Err(refusal.unwrap_or_else(|| {
            let refusal = found.iter().fold(unknown_issuer(), |refusal, (demand, _)| {
                demand.provider.naming_issuer(refusal, unverified.claims())
            });
            let refusal = claiming(refusal, token.token(), exchange);
            self.challenges.attach(refusal)
        }))
    }
}

/// Meets each of the demands. A token of somebody else is refused before a signature is checked;
/// the first that is not accepted ends it.
fn meet_all(
    found: &[(&Demand, Found<'_>)],
    exchange: &mut Exchange<'_>,
    host: &dyn Host,
) -> Result<(), Refusal> {
    if found.len() > 1 {
        let mut last: Option<Unverified<'_>> = None;
        for (demand, token) in found {
            let token = token.token();
            let same = last.take().filter(|last| last.token() == token);
            let unverified = same.unwrap_or_else(|| Unverified::new(token));
            if !demand.provider.may_have_issued(&unverified) {
                let refusal = demand.provider.placed(unknown_issuer());
                let refusal = demand.provider.naming_issuer(refusal, unverified.claims());
                let refusal = claiming(refusal, token, exchange);
                return Err(demand.challenges.attach(refusal));
            }
            last = Some(unverified);
        }
    }
    found.iter().try_for_each(|(demand, token)| {
        let allowance = Allowance::new(demand.provider.choice.most);
        demand.meet(token, &allowance, exchange, host)
    })
}

impl Policy for Jwt {
    fn request_headers(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        match self.judge(exchange, host) {
            Ok(()) => Verdict::Pass,
            Err(refusal) => Verdict::Refuse(refusal),
        }
    }

    fn claimants(&self) -> Option<&Rc<Claimants>> {
        Some(&self.claimants)
    }

    fn owned_request_headers(&self) -> Vec<HeaderName> {
        let owned = |demand: &Demand| demand.provider.forwarding.owned_headers();
        self.demands.iter().flat_map(owned).collect()
    }

    fn judged_request_headers(&self) -> Vec<HeaderName> {
        let names = |demand: &Demand| demand.provider.locations.header_names();
        self.demands.iter().flat_map(names).collect()
    }

    fn exports(&self) -> Vec<PropertyName> {
        let exports = |demand: &Demand| demand.provider.forwarding.exports();
        self.demands.iter().flat_map(exports).collect()
    }
}
