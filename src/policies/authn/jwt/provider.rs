//! Who issues tokens: its keys and its rules.

use std::rc::Rc;
use std::time::Duration;

use super::algorithm::{ALGORITHMS, CHECKS_SIGNATURES, SignatureAlgorithm};
use super::bound::{Binding, OfAuthority, TokenAuthority};
use super::cache::TokenCache;
use super::cache_limits::CacheLimits;
use super::checks::{KeyChoice, Naming};
use super::claims::{Accepted, ClaimRules};
use super::jwk;
use super::key_source::KeySource;
use super::rules::read_rules;
use super::signature::SignatureBackend;
use super::token::{TokenForm, media_type};
use crate::authn::certificate::set::CertificateSets;
use crate::authn::forwarding::Forwarding;
use crate::authn::location::Locations;
use crate::authn::revocation::{RevocationLists, UsedLists};
use crate::authn::roles::RoleRules;
use portcullis_document::{LeftOut, Node, Problems, Quoted};
use portcullis_exchange::refusal::BlockPlace;
use portcullis_exchange::section::Reading;
use portcullis_wire::budget::Share;
use portcullis_wire::json::Json;

/// One issuer of tokens.
pub(in crate::authn) struct Provider {
    pub(in crate::authn) name: Rc<str>,
    /// Where its block stands.
    pub(super) place: BlockPlace,
    pub(in crate::authn) locations: Locations,
    pub(super) form: TokenForm,
    pub(super) rules: ClaimRules,
    /// What is revoked whatever the rules say.
    pub(super) lists: UsedLists,
    pub(super) types: TokenTypes,
    algorithms: Vec<SignatureAlgorithm>,
    pub(super) choice: KeyChoice,
    pub(super) keys: KeySource,
    pub(super) forwarding: Forwarding,
    pub(in crate::authn) roles: RoleRules,
    pub(in crate::authn) binding: Binding,
    pub(super) cache: Option<TokenCache>,
    pub(super) checker: SignatureBackend,
}

/// Which `typ` a token may have. RFC 8725 §3.11: tokens made for another purpose (`logout+jwt`,
/// `dpop+jwt`, …) are not for us.
#[derive(Debug)]
pub(super) enum TokenTypes {
    /// `JWT`, `at+jwt`, or none.
    Usual,
    /// One of these, in lower case.
    OneOf(Vec<String>),
}

impl TokenTypes {
    /// Reads one type or a list of them.
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let name =
            |node: &Node<'_>, problems: &mut Problems| node.non_empty(problems).map(media_type);
        match node.json() {
            Json::String(_) => name(node, problems).map(|one| TokenTypes::OneOf(vec![one])),
            _ => node.list(problems, name).map(TokenTypes::OneOf),
        }
    }

    pub(super) fn accepts(&self, typ: Option<&str>) -> bool {
        match (self, typ) {
            (TokenTypes::Usual, typ) => matches!(typ, None | Some("jwt" | "at+jwt")),
            (TokenTypes::OneOf(types), Some(typ)) => types.iter().any(|each| each == typ),
            (TokenTypes::OneOf(_), None) => false,
        }
    }
}

impl Provider {
    pub(super) fn read(
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
        let types = fields.or_default("typ", TokenTypes::Usual, problems, TokenTypes::read);
        let algorithms = fields.or_default("algorithms", Vec::new(), problems, |node, problems| {
            node.list(problems, jwk::read_algorithm)
        });
        let issuers = rules.as_ref().map(|rules| &rules.issuers);
        let keys = KeySource::read(name, issuers, &mut fields, notes, problems);
        let locations = Locations::read(&mut fields, problems);
        let form = TokenForm::read(&mut fields, problems);
        let forwarding = Forwarding::read(&mut fields, problems);
        let roles = RoleRules::read(&mut fields, problems);
        let choice = KeyChoice::read(&mut fields, problems);
        let cache = fields.or_default("jwt_cache", Some(cache), problems, |node, problems| {
            CacheLimits::read(node, cache, problems)
        });
        let checker =
            fields.or_default("signatures", SignatureBackend::Auto, problems, read_backend);
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
            roles: roles?,
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
        provider.note(notes);
        Some(provider)
    }

    /// What its author should know of it.
    fn note(&self, notes: &mut Vec<String>) {
        let name = Quoted(&self.name);
        if matches!(self.rules.audiences, Accepted::Absent) {
            notes.push(format!(
                "provider {name} has no `audiences`: tokens that name an audience are refused"
            ));
        }
        if matches!(self.rules.issuers, Accepted::Any) {
            notes.push(format!(
                "provider {name}: `issuer` is \"any\": whatever its keys sign is accepted, for every issuer and for none; write the issuer, if there is one"
            ));
        }
        if let KeySource::Fixed(keys) = &self.keys
            && let Some(note) = self.choice.note(keys, |algorithm| self.allows(algorithm))
        {
            notes.push(format!("provider {name}: {note}"));
        }
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

    pub(super) fn allows(&self, algorithm: SignatureAlgorithm) -> bool {
        let listed = self.algorithms.is_empty() || self.algorithms.contains(&algorithm);
        let is_left_to_proxy = self.checker == SignatureBackend::Proxy;
        listed && algorithm.is_available() && (!is_left_to_proxy || algorithm.suits_proxy())
    }
}

fn read_backend(node: &Node<'_>, problems: &mut Problems) -> Option<SignatureBackend> {
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
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Its keys may be secrets.
        write!(f, "Provider({})", self.name)
    }
}
