//! Who issues tokens: its keys and its rules.

use std::cell::Cell;
use std::rc::Rc;
use std::time::Duration;

use super::algorithm::{ALGORITHMS, CHECKS_SIGNATURES, SignatureAlgorithm};
use super::bound::{Binding, OfAuthority, TokenAuthority};
use super::cache::{TokenCache, Verified};
use super::cache_limits::CacheLimits;
use super::checks::{Allowance, CheckedSignature, KeyChoice, Naming, SigningKey};
use super::claims::{Accepted, ClaimRules, Times};
use super::dotted::note_dotted;
use super::gauges::ProviderNames;
use super::jwk;
use super::key_source::KeySource;
use super::refusals::{ISSUER, field_of_provider};
use super::refused::Refused;
use super::remote::RemoteKeys;
use super::rules::read_rules;
use super::signature::{SignatureBackend, SignatureResult};
use super::token::{
    MAX_DEPTH, Token, TokenError, TokenForm, Unverified, media_type, without_padding,
};
use super::variables::variables;
use crate::authn::certificate::set::CertificateSets;
use crate::authn::forwarding::Forwarding;
use crate::authn::location::{Locations, Unwritable};
use crate::authn::revocation::{Issued, Revocable, RevocationLists, SignedBy, UsedLists};
use portcullis_document::{LeftOut, Node, Problems, Quoted};
use portcullis_exchange::exchange::Edit;
use portcullis_exchange::host::Host;
use portcullis_exchange::meter::{Event, Timing, micros};
use portcullis_exchange::refusal::{BlockPlace, Claimed, Detail, Fact, Refusal};
use portcullis_exchange::section::{Finishing, Reading, Registry, Section};
use portcullis_wire::budget::Share;
use portcullis_wire::headers::HeaderValue;
use portcullis_wire::json::Json;
use portcullis_wire::json::compact::{Compact, Value};

/// The document's `providers`. One whose block is wrong is still known by name.
#[derive(Debug, Default)]
pub struct Providers {
    named: Vec<NamedProvider>,
}

#[derive(Debug)]
struct NamedProvider {
    name: Rc<str>,
    provider: Option<Rc<Provider>>,
    /// Whether anything has named it.
    used: Cell<bool>,
}

/// One issuer of tokens.
pub(super) struct Provider {
    pub(super) name: Rc<str>,
    /// Where its block stands.
    place: BlockPlace,
    pub(super) locations: Locations,
    pub(super) form: TokenForm,
    rules: ClaimRules,
    /// What is revoked whatever the rules say.
    pub(super) lists: UsedLists,
    types: TokenTypes,
    algorithms: Vec<SignatureAlgorithm>,
    pub(super) choice: KeyChoice,
    pub(super) keys: KeySource,
    pub(super) forwarding: Forwarding,
    pub(super) binding: Binding,
    pub(super) cache: Option<TokenCache>,
    checker: SignatureBackend,
}

/// Which `typ` a token may have. RFC 8725 §3.11: tokens made for another purpose (`logout+jwt`,
/// `dpop+jwt`, …) are not for us.
#[derive(Debug)]
enum TokenTypes {
    /// `JWT`, `at+jwt`, or none.
    Usual,
    /// One of these, in lower case.
    OneOf(Vec<String>),
}

impl TokenTypes {
    fn accepts(&self, typ: Option<&str>) -> bool {
        match (self, typ) {
            (TokenTypes::Usual, typ) => matches!(typ, None | Some("jwt" | "at+jwt")),
            (TokenTypes::OneOf(types), Some(typ)) => types.iter().any(|each| each == typ),
            (TokenTypes::OneOf(_), None) => false,
        }
    }
}

impl Providers {
    fn read_all(node: &Node<'_>, reading: &mut Reading<'_>) -> Self {
        let entries = node.members(reading.problems).unwrap_or_default();
        let mut names = ProviderNames::default();
        let cache = CacheLimits::default_of(entries.len());
        let named = entries.into_iter().map(|(name, node)| {
            names.check(name, &node, reading.problems);
            let name: Rc<str> = name.into();
            let provider = Provider::read(&name, &node, cache, reading).map(Rc::new);
            NamedProvider {
                name,
                provider,
                used: Cell::new(false),
            }
        });
        Self {
            named: named.collect(),
        }
    }

    /// The provider of that name; `Some(None)` if its block is wrong.
    pub(super) fn named(&self, name: &str) -> Option<Option<Rc<Provider>>> {
        let named = self.named.iter().find(|each| *each.name == *name)?;
        named.used.set(true);
        Some(named.provider.clone())
    }

    /// A note for each provider that nothing has named so far.
    fn unused(&self) -> impl Iterator<Item = String> {
        let unused = self.named.iter().filter(|each| !each.used.get());
        unused.map(|each| {
            format!(
                "provider {} is used by no `jwt` block: no route asks for its tokens",
                Quoted(&each.name)
            )
        })
    }

    /// Which issuers stand behind which names: with others, a subject is another person.
    pub fn issuers(&self) -> String {
        let one = |provider: &Rc<Provider>| {
            let issuers = &provider.rules.issuers;
            format!("{:?}={issuers:?};", provider.name)
        };
        self.valid().map(one).collect()
    }

    /// The keys that providers publish.
    pub fn remote_keys(&self) -> Vec<Rc<RemoteKeys>> {
        self.valid()
            .filter_map(|provider| provider.keys.remote().cloned())
            .collect()
    }

    /// Forgets every token that was refused.
    pub fn forget_refused(&self) {
        let caches = self.valid().filter_map(|provider| provider.cache.as_ref());
        caches.for_each(TokenCache::forget_refused);
    }

    /// The providers whose blocks are right.
    pub(super) fn valid(&self) -> impl Iterator<Item = &Rc<Provider>> {
        self.named.iter().filter_map(|each| each.provider.as_ref())
    }

    pub fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.named.iter().map(|each| &*each.name)
    }
}

impl Section for Providers {
    const NAME: &'static str = "providers";

    fn read(node: &Node<'_>, reading: &mut Reading<'_>) -> Option<Self> {
        Some(Self::read_all(node, reading))
    }

    fn absent() -> Option<Self> {
        Some(Self::default())
    }

    fn finish(&self, finishing: &mut Finishing<'_>) {
        finishing.notes.extend(self.unused());
        finishing.notes.extend(note_dotted(finishing.document));
        for provider in self.valid() {
            provider.binding.finish(finishing);
        }
    }

    fn register(section: &Rc<Self>, registry: &mut Registry) {
        let secrets = section.valid().flat_map(|provider| variables(provider));
        registry.environment.extend(secrets);
        for keys in section.remote_keys() {
            registry.fetch(keys);
        }
        let estimates = section
            .valid()
            .map(|provider| provider.binding.memory_estimate());
        registry.memory_estimates.extend(estimates.flatten());
        section.show(&mut registry.gauges);
    }

    /// Forgets every token that was judged.
    fn forget(&self) {
        let caches = self.valid().filter_map(|provider| provider.cache.as_ref());
        caches.for_each(TokenCache::forget_all);
    }

    /// Few tokens are remembered from then on. Keys are fetched no longer while another document fetches
    /// the same.
    fn release(&self) {
        for provider in self.valid() {
            if let Some(cache) = &provider.cache {
                cache.release();
            }
            if let Some(remote) = provider.keys.remote() {
                remote.release();
            }
        }
    }
}

impl Provider {
    fn read(
        name: &Rc<str>,
        node: &Node<'_>,
        cache: CacheLimits,
        reading: &mut Reading<'_>,
    ) -> Option<Self> {
        let sets = reading.known.get::<CertificateSets>();
        let lists = reading.known.get::<RevocationLists>();
        let (notes, problems) = (&mut *reading.notes, &mut *reading.problems);
        let mut fields = node.fields(problems)?;
        let rules = read_rules(&mut fields, problems);
        let lists = UsedLists::read(&mut fields, &lists, problems);
        let types = fields.or_default("typ", TokenTypes::Usual, problems, |node, problems| {
            let name =
                |node: &Node<'_>, problems: &mut Problems| node.non_empty(problems).map(media_type);
            match node.json() {
                Json::String(_) => name(node, problems).map(|one| TokenTypes::OneOf(vec![one])),
                _ => node.list(problems, name).map(TokenTypes::OneOf),
            }
        });
        let algorithms = fields.or_default("algorithms", Vec::new(), problems, |node, problems| {
            node.list(problems, jwk::read_algorithm)
        });
        let issuers = rules.as_ref().map(|rules| &rules.issuers);
        let keys = KeySource::read(name, issuers, &mut fields, notes, problems);
        let locations = Locations::read(&mut fields, problems);
        let form = TokenForm::read(&mut fields, problems);
        let forwarding = Forwarding::read(&mut fields, problems);
        let choice = KeyChoice::read(&mut fields, problems);
        let cache = fields.or_default("jwt_cache", Some(cache), problems, |node, problems| {
            CacheLimits::read(node, cache, problems)
        });
        let checker = fields.or_default(
            "signatures",
            SignatureBackend::Auto,
            problems,
            |node, problems| {
                let choices = [
                    ("auto", SignatureBackend::Auto),
                    ("proxy", SignatureBackend::Proxy),
                    ("filter", SignatureBackend::Filter),
                ];
                let chosen = node.choice(problems, &choices)?;
                if chosen == SignatureBackend::Filter && !CHECKS_SIGNATURES {
                    node.report(problems, LeftOut::SIGNATURES);
                    return None;
                }
                Some(chosen)
            },
        );
        let of_provider = OfAuthority {
            authority: TokenAuthority::Provider(Rc::clone(name)),
            clock_skew: rules
                .as_ref()
                .map_or(Duration::ZERO, |rules| rules.clock_skew),
            backend: checker.unwrap_or(SignatureBackend::Auto),
        };
        let binding = Binding::read(&mut fields, &of_provider, &sets, problems);
        fields.deny_unknown(problems);
        let (rules, algorithms, keys, cache) = (rules?, algorithms?, keys?, cache?);
        let (mut locations, binding) = (locations?, binding?);
        binding.settle(&mut locations, node, notes, problems)?;
        if let Some(limits) = cache {
            problems.account(node.pointer(), Share::Caches, limits.max_bytes);
        }
        if matches!(rules.audiences, Accepted::Absent) {
            notes.push(format!(
                "provider {} has no `audiences`: tokens that name an audience are refused",
                Quoted(name)
            ));
        }
        if matches!(rules.issuers, Accepted::Any) {
            notes.push(format!(
                "provider {}: `issuer` is \"any\": whatever its keys sign is accepted, for every issuer and for none; write the issuer, if there is one",
                Quoted(name)
            ));
        }
        let place = BlockPlace::of(node);
        problems.account(node.pointer(), Share::Documents, place.memory());
        let provider = Self {
            name: Rc::clone(name),
            place,
            locations,
            form: form?,
            rules,
            lists: lists?,
            types: types?,
            algorithms,
            choice: choice?,
            keys,
            forwarding: forwarding?,
            binding,
            cache: cache.map(TokenCache::new),
            checker: checker?,
        };
        if !provider.has_use() {
            node.report(
                problems,
                "none of the keys can check any algorithm that `algorithms` and `signatures` allow",
            );
            return None;
        }
        if let KeySource::Fixed(keys) = &provider.keys
            && let Some(note) = provider
                .choice
                .note(keys, |algorithm| provider.allows(algorithm))
        {
            notes.push(format!("provider {}: {note}", Quoted(name)));
        }
        Some(provider)
    }

    /// How many checks a token of that algorithm without `kid` takes at most, as far as is known.
    pub(super) fn nameless_checks(&self, algorithm: SignatureAlgorithm) -> usize {
        if !self.allows(algorithm) || self.choice.naming == Naming::Required {
            return 0;
        }
        match &self.keys {
            KeySource::Fixed(keys) => {
                let able = keys.iter().filter(|key| key.may_check(algorithm, None));
                able.count().min(self.choice.most)
            }
            KeySource::Remote(_) => 1,
        }
    }

    /// The issuers that it lists; none if it accepts any.
    pub(super) fn issuers(&self) -> Option<&[String]> {
        match &self.rules.issuers {
            Accepted::OneOf(listed) => Some(listed),
            Accepted::Any | Accepted::Absent => None,
        }
    }

    /// Whether there is a token that it could accept.
    fn has_use(&self) -> bool {
        let allowed = |algorithm| match &self.keys {
            KeySource::Fixed(keys) => keys
                .iter()
                .any(|key| self.choice.fits(key, algorithm, None)),
            // What will be published cannot be known; secrets will not be.
            KeySource::Remote(_) => true,
        };
        ALGORITHMS
            .iter()
            .any(|(_, algorithm)| self.allows(*algorithm) && allowed(*algorithm))
    }

    /// Whether a token claims to be of this provider. That is not to be believed, only to choose
    /// whose keys are tried; a token that cannot be read may be anybody's.
    pub(super) fn may_have_issued(&self, token: &Unverified<'_>) -> bool {
        // A token remembered from keys that are gone is verified again before it counts.
        let remembered = |cache: &TokenCache| cache.find(token.token()).is_some();
        self.cache.as_ref().is_some_and(remembered) || self.rules.may_be_issuer(token.claims())
    }

    /// A refusal; where the issuer is another one, and nearly one that is listed, it says which.
    pub(super) fn naming_issuer(&self, refusal: Refusal, claims: Option<&Compact>) -> Refusal {
        let is_issuer = *refusal.reason == ISSUER;
        match self.rules.near_issuer(claims).filter(|_| is_issuer) {
            Some(listed) => refusal.and("listed", Fact::trusted(listed)),
            None => refusal,
        }
    }

    /// The facts of a token that this provider signed and that is valid `now`, by the
    /// wall clock.
    pub(super) fn verify(
        &self,
        token: &[u8],
        now: Duration,
        allowance: &Allowance,
        host: &dyn Host,
    ) -> Result<Verified, Refusal> {
        let judged = self.judge(token, now, allowance, host);
        judged.map_err(|refusal| self.placed(refusal))
    }

    /// A refusal by one of its rules.
    pub(super) fn placed(&self, refusal: Refusal) -> Refusal {
        let field = field_of_provider(&refusal);
        refusal.placed(&self.place, field)
    }

    /// A refusal by the rule that stands in that field.
    pub(super) fn placed_in(&self, refusal: Refusal, field: &str) -> Refusal {
        refusal.placed(&self.place, Some(field))
    }

    fn judge(
        &self,
        token: &[u8],
        now: Duration,
        allowance: &Allowance,
        host: &dyn Host,
    ) -> Result<Verified, Refusal> {
        let cache = self.cache_in_force(host).ok_or(TokenError::NoKeys)?;
        if let Some(verified) = cache.and_then(|cache| cache.find(token)) {
            host.count(Event::TokenCacheHit.counter());
            let judged = self.rules.check_times(verified.times, now);
            if let (Err(_), Some(cache)) = (&judged, cache) {
                cache.forget(token);
            }
            judged?;
            return self.unless_revoked(token, verified, host);
        }
        if let Some(refusal) = cache.and_then(|cache| self.recall(cache, token, now, allowance)) {
            host.count(Event::TokenCacheHit.counter());
            return Err(refusal);
        }
        if self.cache.is_some() {
            host.count(Event::TokenCacheMiss.counter());
        }
        let began = host.monotonic();
        let verified = self.verify_anew(token, now, allowance, host);
        let took = host.monotonic().saturating_sub(began);
        host.observe(Timing::TokenVerification.histogram(), micros(took));
        let verified = verified.map_err(|Unaccepted { refusal, refused }| {
            if let (Some(cache), Some(refused)) = (&self.cache, refused) {
                cache.remember_refused(token, *refused);
            }
            refusal
        })?;
        if let Some(cache) = &self.cache {
            cache.remember(token, verified.clone());
        }
        self.unless_revoked(token, verified, host)
    }

    /// A token that has passed every other check, if no list revokes it. Lists change more often than keys, so
    /// tokens are remembered without regard to them, and with what was the last state of them that let
    /// the token pass: in another one they are asked again.
    fn unless_revoked(
        &self,
        token: &[u8],
        verified: Verified,
        host: &dyn Host,
    ) -> Result<Verified, Refusal> {
        if self.lists.is_empty() {
            return Ok(verified);
        }
        let generation = self.lists.generation(host);
        if generation.is_some() && verified.cleared == generation {
            return Ok(verified);
        }
        // Of a key without a name of its own, the token may say any.
        let is_named = verified.signed_by == SigningKey::Named;
        let key_id = match is_named && self.lists.name_signing_keys(host) {
            true => Token::parse(token, &self.form)?.header.key_id,
            false => None,
        };
        let text = |name| verified.claims.member(name).and_then(Value::as_str);
        let clients = ["client_id", "azp"];
        let is_odd = |name| verified.claims.member(name).is_some() && text(name).is_none();
        let revocable = Revocable {
            token: text("jti"),
            subject: text("sub"),
            clients: clients.map(text),
            has_odd_client: clients.into_iter().any(is_odd),
            signed_by: key_id.as_deref().map_or(SignedBy::Unnamed, SignedBy::Key),
            issued: verified.times.issued().map_or(Issued::Unsaid, Issued::At),
            ..Revocable::default()
        };
        self.lists.check(&revocable, host)?;
        if let Some(cache) = self.cache.as_ref().filter(|_| generation.is_some()) {
            cache.change(token, |verified| verified.cleared = generation);
        }
        Ok(verified)
    }

    /// Why a token is refused that was refused before, if judging it anew would come to that.
    fn recall(
        &self,
        cache: &TokenCache,
        token: &[u8],
        now: Duration,
        allowance: &Allowance,
    ) -> Option<Refusal> {
        let refused = cache.find_refused(token)?;
        let refusal = self.recalled(&refused, now);
        if refusal.is_none() {
            cache.forget_one_refused(token);
        }
        refusal.filter(|_| allowance.repeat(self, refused.signature))
    }

    /// Why such a token is refused at that time, if that is known.
    pub(super) fn recalled(&self, refused: &Refused, now: Duration) -> Option<Refusal> {
        let refusal = refused.refusal(&self.rules, now);
        refusal.map(|refusal| self.placed(refusal))
    }

    /// Keeps with a refused token what it says, so that it is read once.
    pub(super) fn note_claimed(&self, token: &[u8], claimed: &Rc<Claimed>) {
        if let Some(cache) = &self.cache {
            cache.change_refused(token, |refused| refused.note_claimed(claimed));
        }
    }

    /// The tokens that the keys have signed which are in force, if any are remembered. None if there are no
    /// keys.
    pub(super) fn cache_in_force(&self, host: &dyn Host) -> Option<Option<&TokenCache>> {
        if let (Some(cache), Some(remote)) = (&self.cache, self.keys.remote()) {
            remote.keys(host.monotonic())?;
            cache.belong_to(remote.generation());
        }
        Some(self.cache.as_ref())
    }

    /// Whether no list revokes a token that was accepted, as far as that is known without asking them again.
    pub(super) fn is_cleared(&self, verified: &Verified, host: &dyn Host) -> bool {
        let generation = || self.lists.generation(host);
        self.lists.is_empty() || (verified.cleared.is_some() && verified.cleared == generation())
    }

    /// Whether a token with these times may be used now.
    pub(super) fn is_in_time(&self, times: Times, now: Duration) -> bool {
        self.rules.check_times(times, now).is_ok()
    }

    /// Verifies a token that is not remembered.
    fn verify_anew(
        &self,
        token: &[u8],
        now: Duration,
        allowance: &Allowance,
        host: &dyn Host,
    ) -> Result<Verified, Unaccepted> {
        let parsed = Token::parse(token, &self.form)?;
        if !self.types.accepts(parsed.header.typ.as_deref()) {
            let detail = Detail::within("/typ").and("member", Fact::Word("typ"));
            return Err(Refusal::from(TokenError::Header).because(detail).into());
        }
        let left = allowance.left();
        let said = allowance.settle(self, || self.check_signature(&parsed, allowance, host));
        let checks = left.saturating_sub(allowance.left());
        let signature = CheckedSignature::of(said, checks, self.choice.most);
        let unaccepted =
            |refusal: Refusal, refused: &dyn Fn(CheckedSignature, &Refusal) -> Refused| {
                let refusal = self.placed(refusal);
                let refused = signature.map(|signature| Box::new(refused(signature, &refusal)));
                Unaccepted { refusal, refused }
            };
        let signed_by = said.map_err(|error| unaccepted(error.into(), &Refused::unsigned))?;
        let key_id = parsed.header.key_id.as_deref();
        let key_id = key_id.filter(|_| signed_by == SigningKey::Named);
        let checked = self.rules.check(&parsed.payload, key_id, now);
        let (claims, times) = checked.map_err(|objection| {
            let claims = Compact::parse(&parsed.payload, MAX_DEPTH);
            let refusal = self.naming_issuer(objection.into(), claims.as_ref());
            unaccepted(refusal, &|signature, refusal| {
                Refused::objected(signature, &objection, refusal)
            })
        })?;
        let edits = self.forwarding.edits(&claims);
        let mut edits = edits.map_err(|Unwritable| {
            unaccepted(TokenError::ClaimValue.into(), &|signature, refusal| {
                Refused::unusable(signature, times, refusal)
            })
        })?;
        if let Some(name) = self.forwarding.payload() {
            edits.push(Edit::Set(name.clone(), payload(token)?));
        }
        Ok(Verified {
            signed_by,
            is_bound: self.binding.concerns(&claims),
            claims,
            times,
            edits: edits.into(),
            cleared: None,
            met: 0,
            words: None,
        })
    }

    pub(super) fn allows(&self, algorithm: SignatureAlgorithm) -> bool {
        let listed = self.algorithms.is_empty() || self.algorithms.contains(&algorithm);
        let is_left_to_proxy = self.checker == SignatureBackend::Proxy;
        listed && algorithm.is_available() && (!is_left_to_proxy || algorithm.suits_proxy())
    }

    fn check_signature(
        &self,
        token: &Token<'_>,
        allowance: &Allowance,
        host: &dyn Host,
    ) -> Result<SigningKey, TokenError> {
        let algorithm = token.header.algorithm;
        let keys = self.keys.keys(host).ok_or(TokenError::NoKeys)?;
        if !self.allows(algorithm) {
            return Err(TokenError::Algorithm);
        }
        let key_id = token.header.key_id.as_deref();
        if key_id.is_none() && self.choice.naming == Naming::Required {
            return Err(TokenError::KeyId);
        }
        let candidates = self.choice.candidates(&keys, algorithm, key_id);
        let mut candidates = candidates.peekable();
        if candidates.peek().is_none() {
            // The provider may have published the key since.
            if let Some(remote) = self.keys.remote() {
                remote.request_refresh(host.monotonic());
            }
            let of_kind = keys.iter().any(|key| key.may_check(algorithm, None));
            let error = if of_kind {
                TokenError::Key
            } else {
                TokenError::Algorithm
            };
            return Err(error);
        }
        let Token {
            signed, signature, ..
        } = token;
        for (tried, key) in candidates.enumerate() {
            if tried >= self.choice.most || !allowance.take() {
                return Err(TokenError::Untried);
            }
            match key
                .verifying
                .verify(algorithm, signed, signature, self.checker, host)
            {
                SignatureResult::Valid => return Ok(SigningKey::of(key)),
                SignatureResult::Invalid => {}
                SignatureResult::Impossible => return Err(TokenError::Unverifiable),
            }
        }
        Err(TokenError::Signature)
    }
}

/// Why a token is not accepted, and what is remembered of that.
struct Unaccepted {
    refusal: Refusal,
    refused: Option<Box<Refused>>,
}

/// Nothing is remembered of it.
impl From<Refusal> for Unaccepted {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            refused: None,
        }
    }
}

/// Nor of this.
impl From<TokenError> for Unaccepted {
    fn from(error: TokenError) -> Self {
        Refusal::from(error).into()
    }
}

/// The payload as it stands in the token: base64url already.
fn payload(token: &[u8]) -> Result<HeaderValue, TokenError> {
    let payload = token.split(|b| *b == b'.').nth(1).unwrap_or_default();
    HeaderValue::parse(without_padding(payload)).map_err(|_| TokenError::Format)
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Its keys may be secrets.
        write!(f, "Provider({})", self.name)
    }
}
