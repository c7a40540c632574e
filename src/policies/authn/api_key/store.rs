//! A store of API keys: where they stand in a request, how they are hashed, and which there are.

use std::rc::Rc;
use std::time::Duration;

use super::digest::KeyHash;
use super::entry::{HashedKey, WrittenKey, known};
use super::fetched::FetchedStore;
use super::form;
use super::refusals::{
    EXPIRED, NO_KEYS, NO_REVOCATIONS, NO_SECRET, NOT_YET_VALID, REVOKED, ROLES, UNKNOWN,
    field_of_store, malformed,
};
use super::table::{KeyEntry, KeyState, KeyTable, MOST_KEYS, NEVER, TableBuilder};
use crate::authn::forwarding::Forwarding;
use crate::authn::left_out::{HAS_CREDENTIALS, left_out};
use crate::authn::location::Locations;
use crate::authn::revocation::{Revocable, RevocationLists, RevocationObjection, UsedLists};
use crate::authn::roles::RoleRules;
use crate::named::{NamedBlock, NamedBlocks};
use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::host::Host;
use portcullis_exchange::principal::{CredentialKind, Principal};
use portcullis_exchange::refusal::{BlockPlace, Detail, Fact, Reason, Refusal};
use portcullis_exchange::section::{Finishing, Reading, Registry, Section};
use portcullis_wire::budget::Share;

/// The document's `api_key_stores`. One whose block is wrong is still known by name.
#[derive(Debug, Default)]
pub struct ApiKeyStores {
    pub(in crate::authn) by_name: NamedBlocks<ApiKeyStore>,
}

/// One store.
pub(in crate::authn) struct ApiKeyStore {
    pub(in crate::authn) name: Rc<str>,
    /// Where its block stands.
    place: BlockPlace,
    pub(in crate::authn) locations: Locations,
    pub(super) forwarding: Forwarding,
    pub(in crate::authn) roles: RoleRules,
    hash: KeyHash,
    /// How its keys begin, if all of them are of the form that this project makes.
    prefix: Option<Box<str>>,
    keys: StoredKeys,
    /// What is revoked whatever the keys say.
    lists: UsedLists,
}

/// Where its keys come from.
enum StoredKeys {
    /// The document.
    Written(Rc<KeyTable>),
    /// A service.
    Fetched(Rc<FetchedStore>),
}

/// The longest key, in bytes.
pub(super) const LONGEST_KEY: usize = 256;

impl ApiKeyStores {
    fn fetched(&self) -> impl Iterator<Item = Rc<FetchedStore>> {
        self.by_name.valid().filter_map(|store| match &store.keys {
            StoredKeys::Written(_) => None,
            StoredKeys::Fetched(fetched) => Some(Rc::clone(fetched)),
        })
    }

    /// The header fields, parameters and cookies in which keys stand.
    pub fn places(&self) -> impl Iterator<Item = &str> {
        self.by_name.valid().flat_map(|store| {
            let locations = &store.locations;
            let headers = locations.headers().map(|(name, _)| name.as_str());
            headers.chain(locations.params()).chain(locations.cookies())
        })
    }
}

impl Section for ApiKeyStores {
    const NAME: &'static str = "api_key_stores";

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        if !HAS_CREDENTIALS {
            return left_out(node, reading);
        }
        let lists = reading.known.get::<RevocationLists>();
        let entries = node.members(reading.problems).unwrap_or_default();
        let by_name = NamedBlocks::read(entries, reading, |name, node, reading| {
            ApiKeyStore::read(name, node, &lists, reading.problems)
        });
        Some(Self { by_name })
    }

    fn absent() -> Option<Self> {
        HAS_CREDENTIALS.then(Self::default)
    }

    fn finish(&self, finishing: &mut Finishing<'_>) {
        finishing.notes.extend(self.by_name.unused().map(|name| {
            format!("API key store {name} is used by no block: no route asks for its keys")
        }));
    }

    fn register(section: &Rc<Self>, registry: &mut Registry) {
        // There is none, and so no code that fetches one.
        if !HAS_CREDENTIALS {
            return;
        }
        let variables = section.by_name.valid();
        let variables = variables.filter_map(|store| store.hash.variable(&store.name));
        registry.environment.extend(variables);
        for fetched in section.fetched() {
            registry.fetch(fetched);
        }
    }

    /// What is being read can be fetched again.
    fn forget(&self) {
        self.fetched().for_each(|fetched| fetched.forget());
    }

    /// Keys are fetched no longer while another document fetches the same.
    fn release(&self) {
        self.fetched().for_each(|fetched| fetched.release());
    }
}

impl NamedBlock for ApiKeyStore {
    const SECTION: &'static str = ApiKeyStores::NAME;
    const NOUN: &'static str = "API key store";
}

impl ApiKeyStore {
    fn read(
        name: &Rc<str>,
        node: &Node<'_>,
        lists: &RevocationLists,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut fields = node.object(problems, "{\"keys\": […]}")?;
        let locations = Locations::read_or(&mut fields, ("x-api-key", ""), problems);
        let hash = fields.or_default("hash", KeyHash::Sha256, problems, KeyHash::read);
        let prefix = fields.or_default("prefix", None, problems, read_prefix);
        let prefix_of_values = locations
            .iter()
            .flat_map(Locations::headers)
            .map(|(_, value_prefix)| value_prefix)
            .next();
        let material = HashedKey::behind(prefix_of_values.unwrap_or_default());
        let roles = RoleRules::read(&mut fields, problems);
        let of_keys = OfKeys {
            material,
            roles: roles.as_ref(),
        };
        let keys = StoredKeys::read(name, &mut fields, &of_keys, problems);
        let lists = UsedLists::read(&mut fields, lists, problems);
        let forwarding = Forwarding::read_without_payload(&mut fields, problems);
        fields.deny_unknown(problems);
        let place = BlockPlace::of(node);
        problems.account(
            node.pointer(),
            Share::Documents,
            FIXED.saturating_add(place.memory()),
        );
        Some(Self {
            name: Rc::clone(name),
            place,
            locations: locations?,
            forwarding: forwarding?,
            roles: roles?,
            hash: hash?,
            prefix: prefix?,
            keys: keys?,
            lists: lists?,
        })
    }

    /// Whether a key may be of this store.
    pub(super) fn may_have_issued(&self, key: &[u8]) -> bool {
        match &self.prefix {
            Some(prefix) => {
                let rest = key.strip_prefix(prefix.as_bytes());
                rest.is_some_and(|rest| rest.starts_with(b"_"))
            }
            None => true,
        }
    }

    /// Who calls with that key at `now`, by the wall clock.
    pub(super) fn judge(
        &self,
        key: &[u8],
        now: Duration,
        host: &dyn Host,
    ) -> Result<Principal, Refusal> {
        let judged = self.find(key, now, host);
        judged.map_err(|refusal| self.placed(refusal))
    }

    /// A refusal by one of its rules.
    pub(super) fn placed(&self, refusal: Refusal) -> Refusal {
        let field = field_of_store(&refusal);
        refusal.placed(&self.place, field)
    }

    fn find(&self, key: &[u8], now: Duration, host: &dyn Host) -> Result<Principal, Refusal> {
        self.check_form(key)?;
        let digest = self.hash.of(key, host);
        let digest = digest.ok_or_else(|| Refusal::new(&NO_SECRET))?;
        let table = self.keys.table(host);
        let table = table.ok_or_else(|| Refusal::new(&NO_KEYS))?;
        let Some(entry) = table.find(&digest) else {
            // It may have been made since.
            if let StoredKeys::Fetched(fetched) = &self.keys {
                fetched.request_refresh(host.monotonic());
            }
            return Err(Refusal::new(&UNKNOWN));
        };
        check_use(&entry, now.as_secs())?;
        self.check_lists(&entry, host)?;
        self.principal(&entry)
    }

    /// Whether no list revokes a key that may be used.
    fn check_lists(&self, entry: &KeyEntry<'_>, host: &dyn Host) -> Result<(), Refusal> {
        if self.lists.is_empty() {
            return Ok(());
        }
        let revocable = Revocable {
            subject: Some(entry.client),
            clients: [Some(entry.client), None],
            api_key: Some(entry.id),
            ..Revocable::default()
        };
        let checked = self.lists.check(&revocable, host);
        checked.map_err(|objection| match objection {
            RevocationObjection::Revoked(detail) => refused_of(&REVOKED, entry, detail),
            RevocationObjection::Missing(detail) => Refusal::new(&NO_REVOCATIONS).because(detail),
        })
    }

    /// What can be seen of a key without looking for it.
    fn check_form(&self, key: &[u8]) -> Result<(), Refusal> {
        if key.is_empty() || key.len() > LONGEST_KEY {
            return Err(malformed("length"));
        }
        if !key.iter().all(u8::is_ascii_graphic) {
            return Err(malformed("characters"));
        }
        match &self.prefix {
            Some(_) if !self.may_have_issued(key) => Err(malformed("prefix")),
            Some(prefix) if !form::is_well_formed(key, prefix) => Err(malformed("checksum")),
            _ => Ok(()),
        }
    }

    /// Made at each use: kept for each key it would take more memory than all else that is kept of it.
    fn principal(&self, entry: &KeyEntry<'_>) -> Result<Principal, Refusal> {
        let attributes = known(entry).ok_or_else(|| Refusal::new(&UNKNOWN))?;
        let roles = self.roles.of(&attributes);
        let roles = roles.map_err(|detail| refused_of(&ROLES, entry, detail))?;
        Ok(Principal {
            kind: CredentialKind::ApiKey,
            authority: Rc::clone(&self.name),
            attributes,
            roles,
        })
    }
}

/// What is said of all keys of a store.
struct OfKeys<'s> {
    material: HashedKey,
    /// None if they are wrong, and have been reported.
    roles: Option<&'s RoleRules>,
}

impl StoredKeys {
    /// Reads `keys`, or `remote`.
    fn read(
        name: &Rc<str>,
        fields: &mut Fields<'_>,
        of_keys: &OfKeys<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        match (fields.optional("keys"), fields.optional("remote")) {
            (Some(keys), None) => {
                let table = read_keys(&keys, of_keys, problems)?;
                Some(Self::Written(Rc::new(table)))
            }
            (None, Some(remote)) => {
                let fetched = FetchedStore::read_store(name, &remote, problems)?;
                Some(Self::Fetched(Rc::new(fetched)))
            }
            (Some(_), Some(remote)) => {
                remote.report(
                    problems,
                    "cannot stand beside `keys`; keep one of them, or make two stores",
                );
                None
            }
            (None, None) => {
                fields.lacks(
                    &["keys", "remote"],
                    problems,
                    "has no keys; add `keys` or `remote`",
                );
                None
            }
        }
    }

    /// The keys; none while those of a service are not there.
    fn table(&self, host: &dyn Host) -> Option<Rc<KeyTable>> {
        match self {
            Self::Written(table) => Some(Rc::clone(table)),
            Self::Fetched(fetched) => fetched.in_force(host.monotonic()),
        }
    }
}

/// Whether a key that is known may be used in that second.
fn check_use(entry: &KeyEntry<'_>, now: u64) -> Result<(), Refusal> {
    let reason: &'static Reason = if entry.state == KeyState::Revoked {
        &REVOKED
    } else if entry.not_after != NEVER && now >= u64::from(entry.not_after) {
        &EXPIRED
    } else if now < u64::from(entry.not_before) {
        &NOT_YET_VALID
    } else {
        return Ok(());
    };
    Err(refused_of(reason, entry, Detail::default()))
}

/// A refusal of a key that is known.
fn refused_of(reason: &'static Reason, entry: &KeyEntry<'_>, detail: Detail) -> Refusal {
    let detail = detail.and("key_id", Fact::trusted(entry.id));
    Refusal::new(reason).because(detail.and("client", Fact::trusted(entry.client)))
}

/// What a store takes beside its keys and what it says.
const FIXED: usize = 2048;

fn read_prefix(node: &Node<'_>, problems: &mut Problems) -> Option<Option<Box<str>>> {
    let prefix = node.non_empty(problems)?;
    if !form::is_prefix(prefix) {
        node.report(
            problems,
            format_args!(
                "must be up to {} lower-case letters and digits, in words that `_` parts, and begin with a letter: keys are this, `_`, and 33 letters and digits, as `make key` makes them",
                form::LONGEST_PREFIX
            ),
        );
        return None;
    }
    Some(Some(prefix.into()))
}

fn read_keys(node: &Node<'_>, of_keys: &OfKeys<'_>, problems: &mut Problems) -> Option<KeyTable> {
    let items = node.items_unquoted(problems)?;
    if items.len() > MOST_KEYS {
        node.report(
            problems,
            format_args!("has more than {MOST_KEYS} keys; make two stores"),
        );
        return None;
    }
    let mut builder = TableBuilder::default();
    let mut good = true;
    for item in &items {
        let written = WrittenKey::read(item, of_keys.material, problems);
        let written = written.filter(|written| of_keys.can_be_told(written, item, problems));
        good &= written.is_some_and(|written| builder.push(&written.entry()));
    }
    if !good {
        return None;
    }
    problems.account(node.pointer(), Share::Documents, builder.memory());
    if let Some(twice) = builder.twice() {
        let at = node.pointer().item(twice.second).member(twice.field);
        problems.report(&at, format_args!("is that of item {} as well", twice.first));
        return None;
    }
    Some(builder.finish())
}

impl OfKeys<'_> {
    /// Whether it can be told which roles a key has: at a request it would be too late.
    fn can_be_told(&self, key: &WrittenKey<'_>, item: &Node<'_>, problems: &mut Problems) -> bool {
        let Some(rules) = self.roles.filter(|rules| !rules.is_none()) else {
            return true;
        };
        let known = known(&key.entry());
        known.is_some_and(|known| rules.tells(&known, item.pointer(), problems))
    }
}

impl std::fmt::Debug for ApiKeyStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "ApiKeyStore({})", self.name)
    }
}
