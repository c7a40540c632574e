//! The nonces of this server, RFC 9449 §8 and §9, without state: a nonce is the time at which it was given
//! out, and shows that by a MAC under a key that no client knows.

use std::rc::Rc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac_sha256::HMAC;
use jwt_simple::reexports::ct_codecs;

use super::authority::TokenAuthority;
use crate::authn::secret::{EnvironmentSecret, read_variable};
use portcullis_document::{Node, Problems};
use portcullis_exchange::host::Host;
use portcullis_exchange::section::{EnvironmentFault, Variable};
use portcullis_exchange::seed::{Hashed, Seed};
use portcullis_wire::headers::HeaderValue;
use portcullis_wire::json::Json;

/// How nonces are made.
#[derive(Debug)]
pub(super) struct Nonces {
    key: NonceKey,
    /// Nonces change so often, in seconds; one is accepted until the next but one.
    period: u64,
}

/// Under which key.
#[derive(Debug)]
enum NonceKey {
    /// One that the workers of this proxy have drawn: each proxy has its own, until it is started anew.
    OfProxy,
    /// One that several proxies share.
    Environment(EnvironmentSecret),
}

/// What a nonce is worth.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct KnownNonce {
    /// Whether another is given out by now.
    pub(super) is_old: bool,
    /// The second until which it is accepted.
    pub(super) until: u64,
}

/// There is no key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Keyless;

/// The bytes of the MAC that a nonce has: enough that nobody guesses one.
const MAC: usize = 16;
/// The shortest secret, in bytes.
const LEAST_SECRET: usize = 32;
/// For how long a nonce is accepted at most, unless the document says so.
const LIFETIME: Duration = Duration::from_secs(300);

impl Nonces {
    /// Reads `nonce`; `Some(None)` where there are none.
    pub(super) fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Option<Self>> {
        if let Json::String(_) = node.json() {
            let choices = [("off", false), ("required", true)];
            let is_required = node.choice(problems, &choices)?;
            return Some(is_required.then(|| Self::new(NonceKey::OfProxy, LIFETIME)));
        }
        let mut fields = node.fields_or(problems, "\"required\", \"off\" or an object")?;
        let key = fields.or_default("env", NonceKey::OfProxy, problems, |node, problems| {
            let variable = read_variable(node, problems)?;
            Some(NonceKey::Environment(EnvironmentSecret::new(variable)))
        });
        let lifetime = fields.or_default("lifetime", LIFETIME, problems, |node, problems| {
            let lifetime = node.duration(problems)?;
            let range = Duration::from_secs(10)..=Duration::from_secs(3600);
            if !range.contains(&lifetime) {
                node.report(problems, "must be from 10s to 1h");
                return None;
            }
            Some(lifetime)
        });
        fields.deny_unknown(problems);
        Some(Some(Self::new(key?, lifetime?)))
    }

    fn new(key: NonceKey, lifetime: Duration) -> Self {
        let period = lifetime.as_secs().checked_div(2).unwrap_or_default().max(1);
        Self { key, period }
    }

    /// The variable of the environment that it needs.
    pub(super) fn variable(&self, place: &str) -> Option<Variable> {
        let NonceKey::Environment(secret) = &self.key else {
            return None;
        };
        let without = "bound tokens are refused with 503";
        let needed = Variable::new(place, secret.variable(), without);
        Some(needed.checked(|value| {
            (value.len() < LEAST_SECRET).then(|| EnvironmentFault {
                is_error: true,
                text: format!(
                    "is too short: nonces need {LEAST_SECRET} bytes at least. Until then bound tokens are refused with 503"
                ),
            })
        }))
    }

    /// The nonce that clients are told now.
    pub(super) fn current(
        &self,
        authority: &TokenAuthority,
        now: Duration,
        seed: &Rc<Seed>,
        host: &dyn Host,
    ) -> Result<HeaderValue, Keyless> {
        let text = self.text(self.slice(now), authority, seed, host)?;
        HeaderValue::parse(text.as_bytes()).map_err(|_| Keyless)
    }

    /// What a nonce is worth; none if it is none of these, or too old.
    pub(super) fn judge(
        &self,
        nonce: &str,
        authority: &TokenAuthority,
        now: Duration,
        seed: &Rc<Seed>,
        host: &dyn Host,
    ) -> Result<Option<KnownNonce>, Keyless> {
        let current = self.slice(now);
        let first = current.saturating_sub(1);
        let last = match &self.key {
            // Given out by this proxy, by this clock.
            NonceKey::OfProxy => current,
            // One ahead: the clock of the proxy that gave it out may be.
            NonceKey::Environment(_) => current.saturating_add(1),
        };
        for slice in (first..=last).rev() {
            let own = self.text(slice, authority, seed, host)?;
            if ct_codecs::verify(own.as_bytes(), nonce.as_bytes()) {
                let end = slice.saturating_add(2);
                return Ok(Some(KnownNonce {
                    is_old: slice < current,
                    until: end.saturating_mul(self.period),
                }));
            }
        }
        Ok(None)
    }

    fn slice(&self, now: Duration) -> u64 {
        now.as_secs().checked_div(self.period).unwrap_or_default()
    }

    fn text(
        &self,
        slice: u64,
        authority: &TokenAuthority,
        seed: &Rc<Seed>,
        host: &dyn Host,
    ) -> Result<String, Keyless> {
        let slice = slice.to_be_bytes();
        let period = self.period.to_be_bytes();
        let name = authority.name().as_bytes();
        let message = [authority.nonces(), &period[..], &slice, name].concat();
        let mac = match &self.key {
            NonceKey::Environment(secret) => {
                let secret = secret.value(host);
                let secret = secret.filter(|secret| secret.len() >= LEAST_SECRET);
                HMAC::mac(&message, secret.ok_or(Keyless)?)
            }
            NonceKey::OfProxy => {
                let half = |name: &[u8]| {
                    let Hashed { place, tag } = seed.hash(name, host).map_err(|_| Keyless)?;
                    Ok([place.to_be_bytes(), tag.to_be_bytes()].concat())
                };
                let key = [half(b"dpop nonce key 1")?, half(b"dpop nonce key 2")?].concat();
                HMAC::mac(&message, &key)
            }
        };
        Ok(URL_SAFE_NO_PAD.encode(mac.get(..MAC).unwrap_or(&mac)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_memory_host::MemoryHost;

    const NOW: u64 = 1_800_000_000;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn proxy() -> MemoryHost {
        MemoryHost::new().with_variable("SECRET", "0123456789abcdef0123456789abcdef")
    }

    fn of_environment(variable: &str) -> Nonces {
        let secret = EnvironmentSecret::new(variable.to_owned());
        Nonces::new(NonceKey::Environment(secret), LIFETIME)
    }

    fn provider(name: &str) -> TokenAuthority {
        TokenAuthority::Provider(name.into())
    }

    #[test]
    fn rfc9449_8_a_nonce_is_accepted_for_a_while_and_changes() {
        for nonces in [
            Nonces::new(NonceKey::OfProxy, LIFETIME),
            of_environment("SECRET"),
        ] {
            let (host, seed) = (proxy(), Rc::default());
            let given = nonces
                .current(&provider("a"), at(NOW), &seed, &host)
                .unwrap();
            let text = String::from_utf8(given.as_bytes().to_vec()).unwrap();
            // RFC 9449 §8.1: what it is made of.
            assert!(
                text.bytes()
                    .all(|b| b.is_ascii_graphic() && b != b'"' && b != b'\\')
            );
            let judge = |text: &str, now| {
                let known = nonces
                    .judge(text, &provider("a"), at(now), &seed, &host)
                    .unwrap();
                known.map(|known| (known.is_old, known.until))
            };
            let until = NOW + 300;
            assert_eq!(NOW % 150, 0);
            assert_eq!(judge(&text, NOW), Some((false, until)));
            assert_eq!(judge(&text, NOW + 149), Some((false, until)));
            assert_eq!(judge(&text, NOW + 150), Some((true, until)));
            assert_eq!(judge(&text, NOW + 299), Some((true, until)));
            assert_eq!(judge(&text, NOW + 300), None);
            // The clock of another proxy may be behind, and that of this one is its own.
            let is_shared = matches!(nonces.key, NonceKey::Environment(_));
            let expected = is_shared.then_some((false, until));
            assert_eq!(judge(&text, NOW - 1), expected);
            assert_eq!(judge(&text, NOW - 151), None);
            let next = nonces
                .current(&provider("a"), at(NOW + 150), &seed, &host)
                .unwrap();
            assert_ne!(next, given);
            for wrong in ["", "x", text.get(1..).unwrap(), &format!("{text}x")] {
                assert_eq!(judge(wrong, NOW), None, "{wrong}");
            }
            for other in [
                provider("b"),
                TokenAuthority::IntrospectionServer("a".into()),
            ] {
                assert_eq!(nonces.judge(&text, &other, at(NOW), &seed, &host), Ok(None));
            }
        }
    }

    #[test]
    fn proxies_share_nonces_by_a_secret_and_not_without() {
        let current = |nonces: &Nonces, host: &MemoryHost| {
            nonces
                .current(&provider("a"), at(NOW), &Rc::default(), host)
                .unwrap()
        };
        let (one, other) = (proxy().with_seed(1), proxy().with_seed(2));
        let shared = of_environment("SECRET");
        assert_eq!(
            current(&shared, &one),
            current(&of_environment("SECRET"), &other)
        );
        let own = Nonces::new(NonceKey::OfProxy, LIFETIME);
        assert_ne!(current(&own, &one), current(&own, &other));
        let worker = MemoryHost::new().with_cells_of(&one).with_seed(9);
        assert_eq!(current(&own, &one), current(&own, &worker));
    }

    #[test]
    fn without_a_key_there_is_no_nonce() {
        let host = proxy().with_variable("SHORT", "0123456789abcdef0123456789abcde");
        for variable in ["MISSING", "SHORT"] {
            let nonces = of_environment(variable);
            assert_eq!(
                nonces.current(&provider("a"), at(NOW), &Rc::default(), &host),
                Err(Keyless)
            );
            let judged = nonces.judge("x", &provider("a"), at(NOW), &Rc::default(), &host);
            assert_eq!(judged, Err(Keyless));
        }
        let nonces = Nonces::new(NonceKey::OfProxy, LIFETIME);
        let without = MemoryHost::new().without_cells();
        assert_eq!(
            nonces.current(&provider("a"), at(NOW), &Rc::default(), &without),
            Err(Keyless)
        );
    }
}
