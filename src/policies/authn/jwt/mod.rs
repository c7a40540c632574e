//! JSON Web Tokens: who asks, proven by a signature.
//!
//! Order is what keeps this safe. The token's form and header are read first; the header only
//! ever narrows which of our keys may have signed. Then the signature is checked. Only then is
//! the payload read, and only then are claims compared. Where several providers could have issued
//! a token, its `iss` is looked at before that, to choose between them and for nothing else.

mod algorithm;
pub mod bound;
mod cache;
pub(super) mod cache_limits;
mod checks;
mod claimant;
mod claimed;
pub(super) mod claims;
mod dotted;
mod ec;
mod ed25519;
mod fingerprint;
mod gauges;
mod jwk;
mod key_source;
mod member;
pub(super) mod objection;
mod pem;
mod planned;
mod provider;
mod providers;
mod public_key;
pub mod refusals;
mod refused;
pub(super) mod remote;
mod rsa;
pub(super) mod rules;
pub(super) mod signature;
mod spki;
pub(super) mod store;
pub mod testing;
mod token;
mod variables;
mod verification;

use std::rc::Rc;

use self::bound::{SentToken, TokenChallenges, tell_nonce};
use self::checks::{Allowance, note_shared};
use self::claimant::UnverifiedSubject;
use self::claimed::claimed;
pub(super) use self::provider::Provider;
pub(super) use self::public_key::{KeyVerdict, PublicKey};
use self::refusals::{
    CODES, INSUFFICIENT, MISSING, NO_TOKEN, REPEATED, SEVERAL_TOKENS, resembling, unknown_issuer,
};
use self::token::{TokenError, Unverified};
use super::challenge::{Challenges, read_metadata, read_realm};
use super::combination::{Combination, Needed, Presence};
use super::location::Locations;
use super::member::{About, Member};
use super::presented::{AuthScheme, PresentedCredential, Unwritable};
use super::requirement::Requirement;
use super::{AcceptedCredential, Authenticator, NotAccepted, settle};
use crate::authn::roles::RoleRules;
use portcullis_document::{Fields, Problems};
use portcullis_exchange::exchange::{Exchange, Response};
use portcullis_exchange::host::Host;
use portcullis_exchange::plan::{AcceptedToken, Draft};
use portcullis_exchange::policy::{
    ChainPart, Compile, Context, Declaration, Policy, PolicyKind, Role, RoutePath, Stage, Verdict,
};
use portcullis_exchange::principal::CredentialKind;
use portcullis_exchange::refusal::{Reason, Refusal, Selector};

pub(super) use self::token::key_named_by;

pub use self::providers::Providers;
pub use self::remote::{
    FetchError, FetchOutcome, FetchRequest, FetchTarget, Next, NoAnswer, RemoteKeys, Uri,
    read_discovery_document,
};

/// `jwt: { provider, require, any_of, all_of, optional, realm, resource_metadata }`.
pub const KIND: PolicyKind = PolicyKind {
    name: "jwt",
    role: Role::Authenticates,
    codes: CODES,
    compile: Compile::Object(compile),
    rules: &[(Selector::Code(&MISSING), "provider")],
};

/// Asks for tokens, and for what they must grant.
struct Jwt {
    combination: Combination<ProviderRequirement>,
    claimants: Rc<UnverifiedSubject>,
}

/// A token of one provider, and what it must grant.
pub(super) struct ProviderRequirement {
    /// Where it stands in the block, if it is one of several.
    at: String,
    provider: Rc<Provider>,
    requirement: Rc<Requirement>,
    challenges: TokenChallenges,
}

/// The most demands of one block: each may cost a signature.
const MAX_DEMANDS: usize = 8;

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    let providers = &*context.sections.get::<Providers>();
    let metadata = read_metadata(fields, context);
    let path = &context.route_path();
    let problems = &mut *context.problems;
    let realm = fields.or_default("realm", "api", problems, read_realm);
    let presence = Presence::read(fields, problems);
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
    let told = metadata.as_deref().unwrap_or_default();
    let (needed, demands) = match several {
        None => {
            let about = About {
                at: "",
                realm: named,
                metadata: told,
                beside: "",
            };
            let demand = ProviderRequirement::read_one(fields, &about, providers, path, problems);
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
                let mut fields = item.object(problems, "{\"provider\": \"…\"}")?;
                let about = About {
                    at: &at,
                    realm: named,
                    metadata: told,
                    beside: "",
                };
                let demand =
                    ProviderRequirement::read_one(&mut fields, &about, providers, path, problems);
                fields.deny_unknown(problems);
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
    let demands: Vec<ProviderRequirement> = demands.into_iter().collect::<Option<_>>()?;
    if let Some(list) = &any_of
        && let Some(note) = note_shared(&distinct(&demands))
    {
        context.notes.push(format!("{}: {note}", list.pointer()));
    }
    let providers = distinct(&demands).into_iter().map(Rc::clone).collect();
    let about = About {
        at: "",
        realm: realm?,
        metadata: &metadata?,
        beside: "",
    };
    let challenges = <ProviderRequirement as Member>::challenges_of_all(&demands, &about)?;
    let policy = Jwt {
        combination: Combination::new(needed, presence?, demands, challenges),
        claimants: Rc::new(UnverifiedSubject::new(needed, providers)),
    };
    Some(ChainPart::only(Stage::Credentials, policy))
}

/// The providers of demands, each once.
fn distinct(demands: &[ProviderRequirement]) -> Vec<&Rc<Provider>> {
    let mut all: Vec<&Rc<Provider>> = Vec::new();
    for ProviderRequirement { provider, .. } in demands {
        if !all.iter().any(|each| Rc::ptr_eq(each, provider)) {
            all.push(provider);
        }
    }
    all
}

impl ProviderRequirement {
    /// Reads `provider` and `require`; `Some(None)` when the provider's own block is wrong.
    fn read_one(
        fields: &mut Fields<'_>,
        about: &About<'_>,
        providers: &Providers,
        path: &RoutePath,
        problems: &mut Problems,
    ) -> Option<Option<Self>> {
        let provider = fields
            .required("provider", problems)
            .and_then(|node| providers.by_name.asked(&node, problems));
        let named = provider.as_ref().and_then(Option::as_deref);
        let rules = named.map(|provider| &provider.roles);
        let requirement = Requirement::beside(fields, rules, path, problems);
        let (provider, requirement) = (provider?, requirement?);
        let Some(provider) = provider else {
            return Some(None);
        };
        let scopes = requirement.scopes();
        let challenges = TokenChallenges::new(&REPEATED, &provider.binding, about, &scopes)?;
        Some(Some(Self {
            at: about.at.to_owned(),
            provider,
            requirement: Rc::new(requirement),
            challenges,
        }))
    }

    /// With what a client is to do that has sent a token so.
    fn attach(&self, refusal: Refusal, scheme: AuthScheme) -> Refusal {
        let scopes = || self.requirement.scopes();
        let binding = &self.provider.binding;
        self.challenges.attach(refusal, scheme, binding, scopes)
    }
}

/// A token whose issuer is looked for, and how many of its signatures may still be checked.
pub(super) struct Attempt<'t> {
    unverified: Unverified<'t>,
    allowance: Allowance,
}

impl Authenticator for ProviderRequirement {
    type Attempt<'c> = Attempt<'c>;
    const MISSING: &'static Reason = &NO_TOKEN;
    const SEVERAL: &'static Reason = &SEVERAL_TOKENS;

    fn authority(&self) -> (CredentialKind, Rc<str>) {
        (CredentialKind::Jwt, Rc::clone(&self.provider.name))
    }

    fn roles(&self) -> &RoleRules {
        &self.provider.roles
    }

    fn locations(&self) -> &Locations {
        &self.provider.locations
    }

    /// One token, so its signature is checked so often and no more, however many issuers it may have.
    fn attempt<'c>(token: &'c [u8], of: &mut dyn Iterator<Item = &Self>) -> Attempt<'c> {
        let most = of.map(|demand| demand.provider.choice.most).max();
        Attempt {
            unverified: Unverified::new(token),
            allowance: Allowance::new(most.unwrap_or_default()),
        }
    }

    fn may_have_issued(&self, attempt: &Attempt<'_>) -> bool {
        self.provider.may_have_issued(&attempt.unverified)
    }

    fn authenticate(
        &self,
        found: &PresentedCredential<'_>,
        attempt: &Attempt<'_>,
        exchange: &mut Exchange<'_>,
        host: &dyn Host,
    ) -> Result<AcceptedCredential, NotAccepted> {
        let scheme = found.scheme();
        let attach = |refusal| self.attach(refusal, scheme);
        let (token, now) = (found.token(), exchange.arrived);
        let verified = self.provider.verify(token, now, &attempt.allowance, host);
        let verified = verified.map_err(|refusal| {
            let by = Some(&*self.provider);
            attach(claiming(refusal, token, by, exchange))
        })?;
        let sent = SentToken {
            token,
            scheme,
            lists: &self.provider.lists,
        };
        let binding = &self.provider.binding;
        let AcceptedToken { principal, edits } = &*verified.accepted;
        let shown = binding.check(&sent, &principal.attributes, exchange, host);
        let principal = principal.clone();
        let shown = shown.map_err(|mut refusal| {
            let detail = refusal.detail.get_or_insert_default();
            detail.principal = Some(principal.clone());
            attach(self.provider.placed_in(refusal, "bound"))
        })?;
        let sufficient =
            self.requirement
                .met(principal, &exchange.request, &self.at, &INSUFFICIENT);
        let principal = sufficient.map_err(attach)?;
        if !self.provider.forwarding.forwards_token() {
            let stripped = found.strip(&mut exchange.edits);
            stripped.map_err(|Unwritable| attach(TokenError::Format.into()))?;
            binding.strip(shown, &mut exchange.edits);
        }
        Ok(AcceptedCredential {
            principal: Some(principal),
            edits: Rc::clone(edits),
        })
    }

    /// Where one provider alone was asked, its rule is named.
    fn not_issued(by: &[&Self], attempt: &Attempt<'_>, exchange: &Exchange<'_>) -> Refusal {
        let claims = attempt.unverified.claims();
        let refusal = match by {
            [one] => one.provider.placed(unknown_issuer()),
            _ => unknown_issuer(),
        };
        let refusal = by.iter().fold(refusal, |refusal, demand| {
            demand.provider.naming_issuer(refusal, claims)
        });
        claiming(refusal, attempt.unverified.token(), None, exchange)
    }

    fn resembling(place: &str) -> Refusal {
        resembling(place)
    }

    fn challenge(&self) -> &Challenges {
        self.challenges.plain()
    }
}

/// The refusal of a token, with what that says for the record. The provider that refused it keeps that with
/// the token.
fn claiming(
    mut refusal: Refusal,
    token: &[u8],
    by: Option<&Provider>,
    exchange: &Exchange<'_>,
) -> Refusal {
    match &mut refusal.detail {
        Some(detail) if !exchange.notes_claimed => detail.claimed = None,
        Some(detail) if detail.claimed.is_some() => {}
        _ if !exchange.notes_claimed => {}
        detail => {
            let detail = detail.get_or_insert_default();
            detail.claimed = claimed(token, detail.signed).map(Rc::new);
            if let (Some(by), Some(claimed)) = (by, &detail.claimed) {
                by.note_claimed(token, claimed);
            }
        }
    }
    refusal
}

impl Policy for Jwt {
    fn check_request(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        settle(exchange, |exchange| self.combination.judge(exchange, host))
    }

    fn edit_response(&self, response: &mut Response<'_>, _: &dyn Host) {
        tell_nonce(response);
    }

    fn plan(&self, draft: &mut Draft<'_>) -> Option<()> {
        self.put_on(draft)
    }

    fn declares(&self) -> Declaration {
        let mut declared = Declaration {
            claimants: Some(Rc::<UnverifiedSubject>::clone(&self.claimants)),
            asks_for: Some(self.combination.asked()),
            ..Declaration::default()
        };
        for demand in self.combination.members() {
            demand.declare(&mut declared);
            let locations = &demand.provider.locations;
            declared
                .judged_request_headers
                .extend(locations.header_names());
        }
        declared
    }
}
