//! Who issues tokens: its keys and its rules.

use std::rc::Rc;
use std::time::Duration;

use super::cache::{CacheLimits, TokenCache, Verified};
use super::claims::{Accepted, ClaimRules, Expiration, Revoked};
use super::forwarding::Forwarding;
use super::gauges::Names;
use super::jwk;
use super::key_source::KeySource;
use super::location::Locations;
use super::remote::RemoteKeys;
use super::signature::{ALGORITHMS, Algorithm, Checked, Checker};
use super::token::{Token, TokenError, media_type};
use crate::config::{Fields, Node, Problems, Quoted};
use crate::host::Host;
use crate::json::Json;
use crate::matcher::StringMatcher;
use crate::metrics::{Event, Timing, micros};
use crate::refusal::Refusal;

/// The document's `providers`. One whose block is wrong is still known by name.
#[derive(Debug, Default)]
pub struct Providers {
    named: Vec<(Rc<str>, Option<Rc<Provider>>)>,
}

/// One issuer of tokens.
pub(super) struct Provider {
    pub(super) name: Rc<str>,
    pub(super) locations: Locations,
    rules: ClaimRules,
    types: TokenTypes,
    algorithms: Vec<Algorithm>,
    pub(super) keys: KeySource,
    pub(super) forwarding: Forwarding,
    pub(super) cache: Option<TokenCache>,
    checker: Checker,
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

/// The most keys that one token is tried against.
const MAX_TRIES: usize = 8;

impl Providers {
    /// Reads `providers`. `notes` takes what an operator should know.
    pub fn read(node: &Node<'_>, notes: &mut Vec<String>, problems: &mut Problems) -> Self {
        let entries = node.entries(problems).unwrap_or_default();
        let mut names = Names::default();
        let named = entries.into_iter().map(|(name, node)| {
            names.check(name, &node, problems);
            let name: Rc<str> = name.into();
            let provider = Provider::read(&name, &node, notes, problems).map(Rc::new);
            (name, provider)
        });
        Self {
            named: named.collect(),
        }
    }

    /// The provider of that name; `Some(None)` if its block is wrong.
    pub(super) fn named(&self, name: &str) -> Option<Option<Rc<Provider>>> {
        self.named
            .iter()
            .find(|(each, _)| **each == *name)
            .map(|(_, provider)| provider.clone())
    }

    /// The variables of the VM's environment that hold secrets, each with its provider's name.
    pub fn environment(&self) -> Vec<(Rc<str>, String)> {
        self.read_well()
            .flat_map(|provider| {
                let keys = match &provider.keys {
                    KeySource::Fixed(keys) => &keys[..],
                    KeySource::Remote(_) => &[],
                };
                let variables = keys.iter().filter_map(|key| key.verifying.variable());
                variables.map(|variable| (Rc::clone(&provider.name), variable.to_owned()))
            })
            .collect()
    }

    /// The keys that providers publish.
    pub fn remote_keys(&self) -> Vec<Rc<RemoteKeys>> {
        self.read_well()
            .filter_map(|provider| provider.keys.remote().cloned())
            .collect()
    }

    /// Those whose blocks are right.
    pub(super) fn read_well(&self) -> impl Iterator<Item = &Rc<Provider>> {
        self.named
            .iter()
            .filter_map(|(_, provider)| provider.as_ref())
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> + Clone {
        self.named.iter().map(|(name, _)| &**name)
    }
}

impl Provider {
    fn read(
        name: &Rc<str>,
        node: &Node<'_>,
        notes: &mut Vec<String>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let rules = read_rules(&mut fields, problems);
        let types = fields.or("typ", TokenTypes::Usual, problems, |node, problems| {
            let name =
                |node: &Node<'_>, problems: &mut Problems| node.name(problems).map(media_type);
            match node.json() {
                Json::String(_) => name(node, problems).map(|one| TokenTypes::OneOf(vec![one])),
                _ => node.list(problems, name).map(TokenTypes::OneOf),
            }
        });
        let algorithms = fields.or("algorithms", Vec::new(), problems, |node, problems| {
            node.list(problems, jwk::read_algorithm)
        });
        let issuers = rules.as_ref().map(|rules| &rules.issuers);
        let keys = KeySource::read(name, issuers, &mut fields, notes, problems);
        let locations = Locations::read(&mut fields, problems);
        let forwarding = Forwarding::read(&mut fields, problems);
        let cache = fields.or(
            "jwt_cache",
            Some(CacheLimits::default()),
            problems,
            CacheLimits::read,
        );
        let checker = fields.or("signatures", Checker::Auto, problems, |node, problems| {
            let choices = [
                ("auto", Checker::Auto),
                ("proxy", Checker::Proxy),
                ("filter", Checker::Filter),
            ];
            node.choice(problems, &choices)
        });
        fields.finish(problems);
        let (rules, algorithms, keys) = (rules?, algorithms?, keys?);
        if matches!(rules.audiences, Accepted::Absent) {
            notes.push(format!(
                "provider {} has no `audiences`: tokens that name an audience are refused",
                Quoted(name)
            ));
        }
        let provider = Self {
            name: Rc::clone(name),
            locations: locations?,
            rules,
            types: types?,
            algorithms,
            keys,
            forwarding: forwarding?,
            cache: cache?.map(TokenCache::new),
            checker: checker?,
        };
        if !provider.has_use() {
            node.report(
                problems,
                "none of the keys can check any algorithm that `algorithms` and `signatures` allow",
            );
            return None;
        }
        Some(provider)
    }

    /// Whether there is a token that it could accept.
    fn has_use(&self) -> bool {
        let allowed = |algorithm| match &self.keys {
            KeySource::Fixed(keys) => keys.iter().any(|key| key.may_check(algorithm, None)),
            // What will be published cannot be known; secrets will not be.
            KeySource::Remote(_) => true,
        };
        ALGORITHMS
            .iter()
            .any(|(_, algorithm)| self.allows(*algorithm) && allowed(*algorithm))
    }

    /// Whether a token claims to be of this provider. That is not to be believed, only to choose
    /// whose keys are tried; a token that cannot be read may be anybody's.
    pub(super) fn may_have_issued(&self, token: &[u8]) -> bool {
        // A token remembered from keys that are gone is verified again before it counts.
        let remembered = |cache: &TokenCache| cache.find(token).is_some();
        if self.cache.as_ref().is_some_and(remembered) {
            return true;
        }
        Token::parse(token).map_or(true, |token| self.rules.may_be_issuer(&token.payload))
    }

    /// What there is to know of a token that this provider signed and that is valid `now`.
    pub(super) fn verify(
        &self,
        token: &[u8],
        now: Duration,
        host: &dyn Host,
    ) -> Result<Verified, Refusal> {
        if let (Some(cache), Some(remote)) = (&self.cache, self.keys.remote()) {
            if remote.keys(now).is_none() {
                return Err(TokenError::NoKeys.into());
            }
            cache.belong_to(remote.generation());
        }
        if let Some(verified) = self.cache.as_ref().and_then(|cache| cache.find(token)) {
            host.count(Event::TokenCacheHit.counter());
            let judged = self.rules.check_times(verified.times, now);
            if let (Err(_), Some(cache)) = (&judged, &self.cache) {
                cache.forget(token);
            }
            judged?;
            return Ok(verified);
        }
        if self.cache.is_some() {
            host.count(Event::TokenCacheMiss.counter());
        }
        let began = host.monotonic();
        let verified = self.verify_anew(token, now, host);
        let took = host.monotonic().saturating_sub(began);
        host.observe(Timing::TokenVerification.histogram(), micros(took));
        let verified = verified?;
        if let Some(cache) = &self.cache {
            cache.remember(token, verified.clone());
        }
        Ok(verified)
    }

    /// Verifies a token that is not remembered.
    fn verify_anew(
        &self,
        token: &[u8],
        now: Duration,
        host: &dyn Host,
    ) -> Result<Verified, Refusal> {
        let parsed = Token::parse(token)?;
        if !self.types.accepts(parsed.header.typ.as_deref()) {
            return Err(TokenError::Header.into());
        }
        self.check_signature(&parsed, now, host)?;
        let key_id = parsed.header.key_id.as_deref();
        let (claims, times) = self.rules.check(&parsed.payload, key_id, now)?;
        let edits = self.forwarding.edits(token, &claims)?.into();
        let claims = Rc::new(claims);
        Ok(Verified {
            claims,
            times,
            edits,
        })
    }

    fn allows(&self, algorithm: Algorithm) -> bool {
        let listed = self.algorithms.is_empty() || self.algorithms.contains(&algorithm);
        listed && (self.checker != Checker::Proxy || algorithm.suits_proxy())
    }

    fn check_signature(
        &self,
        token: &Token<'_>,
        now: Duration,
        host: &dyn Host,
    ) -> Result<(), TokenError> {
        let algorithm = token.header.algorithm;
        let keys = self.keys.keys(now).ok_or(TokenError::NoKeys)?;
        if !self.allows(algorithm) {
            return Err(TokenError::Algorithm);
        }
        let key_id = token.header.key_id.as_deref();
        let mut candidates = keys
            .iter()
            .filter(|key| key.may_check(algorithm, key_id))
            .peekable();
        if candidates.peek().is_none() {
            // The provider may have published the key since.
            if let Some(remote) = self.keys.remote() {
                remote.want_fetch(now);
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
        for key in candidates.take(MAX_TRIES) {
            match key
                .verifying
                .verify(algorithm, signed, signature, self.checker, host)
            {
                Checked::Valid => return Ok(()),
                Checked::Invalid => {}
                Checked::Impossible => return Err(TokenError::Unverifiable),
            }
        }
        Err(TokenError::Signature)
    }
}

impl std::fmt::Debug for Provider {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Its keys may be secrets.
        write!(f, "Provider({})", self.name)
    }
}

fn read_rules(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<ClaimRules> {
    const LARGEST_SKEW: Duration = Duration::from_secs(600);
    let issuers = fields
        .required("issuer", problems)
        .and_then(|node| match node.json() {
            Json::String(_) => node.name(problems).map(|name| match name {
                "any" => Accepted::Any,
                issuer => Accepted::OneOf(vec![issuer.to_owned()]),
            }),
            _ => node.list(problems, owned_name).map(Accepted::OneOf),
        });
    let audiences = fields.or(
        "audiences",
        Accepted::Absent,
        problems,
        |node, problems| match node.json() {
            Json::String(any) if any == "any" => Some(Accepted::Any),
            _ => node.list(problems, owned_name).map(Accepted::OneOf),
        },
    );
    let clock_skew = fields.or(
        "clock_skew",
        Duration::from_secs(60),
        problems,
        |node, problems| {
            let skew = node.duration(problems)?;
            if skew > LARGEST_SKEW {
                node.report(
                    problems,
                    "must not be more than 10m: so long would an expired token live on",
                );
                return None;
            }
            Some(skew)
        },
    );
    let expiration = fields.or(
        "require_expiration",
        Expiration::Required,
        problems,
        |node, problems| {
            Some(if node.boolean(problems)? {
                Expiration::Required
            } else {
                Expiration::Optional
            })
        },
    );
    let subjects = fields.or("subjects", Vec::new(), problems, |node, problems| {
        node.list(problems, read_subject)
    });
    let read_limit = |node: &Node<'_>, problems: &mut Problems| node.duration(problems).map(Some);
    let max_lifetime = fields.or("max_lifetime", None, problems, read_limit);
    let max_age = fields.or("max_age", None, problems, read_limit);
    let revoked = fields.or("revoked", Revoked::default(), problems, read_revoked);
    Some(ClaimRules {
        issuers: issuers?,
        audiences: audiences?,
        subjects: subjects?,
        clock_skew: clock_skew?,
        expiration: expiration?,
        max_lifetime: max_lifetime?,
        max_age: max_age?,
        revoked: revoked?,
    })
}

fn read_subject(node: &Node<'_>, problems: &mut Problems) -> Option<StringMatcher> {
    let mut fields = node.fields(problems)?;
    let matcher = StringMatcher::read(&mut fields, problems);
    fields.finish(problems);
    let matcher = matcher.ok()?;
    if matcher.is_none() {
        let kinds = StringMatcher::FIELDS
            .map(|name| Quoted(name).to_string())
            .join(", ");
        node.report(problems, format_args!("needs one of {kinds}"));
    }
    matcher
}

/// `revoked: { jti, sub, kid, issued_before }`.
fn read_revoked(node: &Node<'_>, problems: &mut Problems) -> Option<Revoked> {
    let mut fields = node.fields(problems)?;
    let mut list = |name, problems: &mut Problems| {
        fields.or(name, Vec::new(), problems, |node, problems| {
            node.list(problems, |item, problems| {
                item.name(problems).map(str::to_owned)
            })
        })
    };
    let token_ids = list("jti", problems);
    let subjects = list("sub", problems);
    let key_ids = list("kid", problems);
    let issued_before = fields.or("issued_before", None, problems, |node, problems| {
        node.integer(problems, 0..=u64::from(u32::MAX)).map(Some)
    });
    fields.finish(problems);
    Some(Revoked {
        token_ids: token_ids?,
        subjects: subjects?,
        key_ids: key_ids?,
        issued_before: issued_before?,
    })
}

fn owned_name(node: &Node<'_>, problems: &mut Problems) -> Option<String> {
    let name = node.name(problems)?;
    if name == "any" {
        node.report(problems, "`any` stands in place of the list, not in it");
        return None;
    }
    Some(name.to_owned())
}
