//! API keys: who calls, by a secret that a store knows the hash of.
//!
//! No key stands anywhere but in the request that presents it: a document has hashes, and records and
//! explanations have the names of keys. The form of a key is judged before any look-up, so that what cannot
//! be one costs nothing.

mod digest;
mod entry;
pub(crate) mod fetched;
pub mod form;
mod planned;
pub mod refusals;
mod store;
mod table;

use std::cmp::Ordering;
use std::rc::Rc;

use self::refusals::{
    CODES, INSUFFICIENT, MISSING, NO_KEY, REPEATED, SEVERAL_KEYS, UNKNOWN, resembling, unusable,
    weight,
};
pub(super) use self::store::ApiKeyStore;
use super::challenge::{Challenges, plain_challenge, read_realm};
use super::combination::{Combination, Needed, Presence};
use super::left_out::unless_left_out;
use super::location::Locations;
use super::member::{About, Member};
use super::presented::{PresentedCredential, Unwritable};
use super::requirement::Requirement;
use super::{AcceptedCredential, Authenticator, NotAccepted, settle};
use crate::authn::roles::RoleRules;
use portcullis_document::{Fields, Problems};
use portcullis_exchange::exchange::Exchange;
use portcullis_exchange::host::Host;
use portcullis_exchange::plan::Draft;
use portcullis_exchange::policy::{
    ChainPart, Compile, Context, Declaration, Policy, PolicyKind, Role, RoutePath, Stage, Verdict,
};
use portcullis_exchange::principal::CredentialKind;
use portcullis_exchange::refusal::{Reason, Refusal, Selector};

pub use self::store::ApiKeyStores;

/// `api_key: { store, require, optional, realm }`.
pub const KIND: PolicyKind = PolicyKind {
    name: "api_key",
    role: Role::Authenticates,
    codes: CODES,
    compile: Compile::Object(unless_left_out(compile)),
    rules: &[(Selector::Code(&MISSING), "store")],
};

/// Asks for a key, and for what it must grant.
struct ApiKey {
    combination: Combination<StoreRequirement>,
}

/// A key of one store, and what it must grant.
pub(super) struct StoreRequirement {
    /// Where it stands in the block, if it is one of several.
    at: String,
    store: Rc<ApiKeyStore>,
    requirement: Rc<Requirement>,
    challenges: Challenges,
}

fn compile(fields: &mut Fields<'_>, context: &mut Context<'_>) -> Option<Vec<ChainPart>> {
    let stores = &*context.sections.get::<ApiKeyStores>();
    let path = &context.route_path();
    let problems = &mut *context.problems;
    let realm = fields.or_default("realm", "api", problems, read_realm);
    let presence = Presence::read(fields, problems);
    // What stands beside a realm that is wrong is read all the same.
    let about = About {
        at: "",
        realm: realm.unwrap_or("api"),
        metadata: "",
        beside: "",
    };
    let demand = StoreRequirement::read_one(fields, &about, stores, path, problems);
    // A store whose own block is wrong has been reported there.
    let demand = demand??;
    realm?;
    let challenges = StoreRequirement::challenges(&about, "")?;
    let policy = ApiKey {
        combination: Combination::new(Needed::Any, presence?, vec![demand], challenges),
    };
    Some(ChainPart::only(Stage::Credentials, policy))
}

impl StoreRequirement {
    /// Reads `store` and `require`; `Some(None)` when the store's own block is wrong.
    fn read_one(
        fields: &mut Fields<'_>,
        about: &About<'_>,
        stores: &ApiKeyStores,
        path: &RoutePath,
        problems: &mut Problems,
    ) -> Option<Option<Self>> {
        let store = fields
            .required("store", problems)
            .and_then(|node| stores.by_name.asked(&node, problems));
        let named = store.as_ref().and_then(Option::as_deref);
        let requirement =
            Requirement::beside(fields, named.map(|store| &store.roles), path, problems);
        let (store, requirement) = (store?, requirement?);
        let challenges = Self::challenges(about, "")?;
        Some(store.map(|store| Self {
            at: about.at.to_owned(),
            store,
            requirement: Rc::new(requirement),
            challenges,
        }))
    }
}

impl Member for StoreRequirement {
    const NAME: &'static str = "api_key";
    const EXAMPLE: &'static str = "{\"store\": \"…\"}";

    fn read(
        fields: &mut Fields<'_>,
        about: &About<'_>,
        context: &mut Context<'_>,
    ) -> Option<Option<Self>> {
        let stores = context.sections.get::<ApiKeyStores>();
        let path = context.route_path();
        Self::read_one(fields, about, &stores, &path, context.problems)
    }

    fn challenge_alone(about: &About<'_>) -> Option<String> {
        Some(plain_challenge(SCHEME, about.realm))
    }

    fn challenges(about: &About<'_>, _: &str) -> Option<Challenges> {
        Challenges::plain(&REPEATED, SCHEME, about.realm)?.beside(about.beside)
    }

    fn declare(&self, declared: &mut Declaration) {
        self.requirement.declare(declared);
        let forwarding = &self.store.forwarding;
        declared
            .owned_request_headers
            .extend(forwarding.owned_headers());
        declared.exports.extend(forwarding.exports());
    }
}

/// The scheme in `WWW-Authenticate`. There is no registered one; this is what most gateways say.
pub(super) const SCHEME: &str = "ApiKey";

impl Authenticator for StoreRequirement {
    type Attempt<'c> = &'c [u8];
    const MISSING: &'static Reason = &NO_KEY;
    const SEVERAL: &'static Reason = &SEVERAL_KEYS;

    fn authority(&self) -> (CredentialKind, Rc<str>) {
        (CredentialKind::ApiKey, Rc::clone(&self.store.name))
    }

    fn roles(&self) -> &RoleRules {
        &self.store.roles
    }

    fn locations(&self) -> &Locations {
        &self.store.locations
    }

    fn attempt<'c>(key: &'c [u8], _: &mut dyn Iterator<Item = &Self>) -> &'c [u8] {
        key
    }

    fn may_have_issued(&self, key: &&[u8]) -> bool {
        self.store.may_have_issued(key)
    }

    fn authenticate(
        &self,
        found: &PresentedCredential<'_>,
        _: &&[u8],
        exchange: &mut Exchange<'_>,
        host: &dyn Host,
    ) -> Result<AcceptedCredential, NotAccepted> {
        let attach = |refusal| self.challenges.attach(refusal);
        let principal = self.store.judge(found.token(), exchange.arrived, host);
        let principal = principal.map_err(attach)?;
        let edits = self.store.forwarding.edits(&principal.attributes);
        let edits = edits.map_err(|Unwritable| attach(self.store.placed(unusable())))?;
        let sufficient =
            self.requirement
                .met(principal, &exchange.request, &self.at, &INSUFFICIENT);
        let principal = sufficient.map_err(attach)?;
        if !self.store.forwarding.forwards_token() {
            let stripped = found.strip(&mut exchange.edits);
            stripped.map_err(|Unwritable| attach(refusals::malformed("characters")))?;
        }
        Ok(AcceptedCredential {
            principal: Some(principal),
            edits: edits.into(),
        })
    }

    /// Where one store alone was asked, its rule is named.
    fn not_issued(by: &[&Self], _: &&[u8], _: &Exchange<'_>) -> Refusal {
        let refusal = Refusal::new(&UNKNOWN);
        match by {
            [one] => one.store.placed(refusal),
            _ => refusal,
        }
    }

    /// A key that one store knows is no guess, whatever another says of it.
    fn outweighs(later: &Refusal, earlier: &Refusal) -> bool {
        match weight(later).cmp(&weight(earlier)) {
            Ordering::Greater => true,
            Ordering::Equal => earlier.code().status == 401,
            Ordering::Less => false,
        }
    }

    fn resembling(place: &str) -> Refusal {
        resembling(place)
    }

    fn challenge(&self) -> &Challenges {
        &self.challenges
    }
}

impl Policy for ApiKey {
    fn check_request(&self, exchange: &mut Exchange<'_>, host: &dyn Host) -> Verdict {
        settle(exchange, |exchange| self.combination.judge(exchange, host))
    }

    fn plan(&self, draft: &mut Draft<'_>) -> Option<()> {
        self.put_on(draft)
    }

    fn declares(&self) -> Declaration {
        let mut declared = Declaration {
            asks_for: Some(self.combination.asked()),
            ..Declaration::default()
        };
        for member in self.combination.members() {
            member.declare(&mut declared);
            let judged = member.store.locations.header_names();
            declared.judged_request_headers.extend(judged);
        }
        declared
    }
}
