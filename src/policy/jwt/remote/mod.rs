//! Keys that a provider publishes: when to ask for them, what to make of the answer, and how long
//! to go on with the old ones.
//!
//! This is a state machine without input and output. The proxy's side carries messages: on its
//! ticks it asks what is [due](RemoteKeys::due), and it tells what [arrived](RemoteKeys::arrived).
//! One worker fetches and leaves the answer where the others find it.
//!
//! A bad answer changes nothing but the time of the next question.

mod answer;
mod uri;

use std::cell::RefCell;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::rc::Rc;
use std::time::Duration;

pub(super) use self::answer::read_set as read_published;
use self::answer::{read_record, read_set, record};
use self::uri::read_uri;
use super::jwk::Key;
use crate::config::{Node, Problems};

pub use self::answer::{FetchError, MAX_BODY_BYTES};

/// The published keys of one provider.
pub struct RemoteKeys {
    provider: Rc<str>,
    source: Source,
    limits: Limits,
    state: RefCell<State>,
    jitter: RandomState,
}

/// Where keys are published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// The proxy's cluster for the host.
    pub cluster: String,
    /// `http` or `https`; whether the connection is encrypted is up to the cluster.
    pub scheme: &'static str,
    /// The host, with its port if it has one.
    pub authority: String,
    /// Path and query.
    pub path: String,
    /// How long an answer may take.
    pub timeout: Duration,
}

#[derive(Clone, Copy, Debug)]
struct Limits {
    /// The longest time between two fetches that succeed.
    cache_duration: Duration,
    /// How long keys are used without a new answer.
    max_stale: Duration,
    /// The shortest time between two fetches, whatever happens.
    cooldown: Duration,
}

#[derive(Default)]
struct State {
    loaded: Option<Loaded>,
    next_fetch: Duration,
    failures: u32,
    next_early: Duration,
    generation: u64,
}

struct Loaded {
    keys: Rc<[Key]>,
    body: Vec<u8>,
    fetched: Duration,
}

/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

impl RemoteKeys {
    /// Reads `remote: { cluster, uri, timeout, cache_duration, max_stale, cooldown }`.
    pub(super) fn read(
        provider: &Rc<str>,
        node: &Node<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        let mut fields = node.fields(problems)?;
        let cluster = fields
            .required("cluster", problems)
            .and_then(|node| node.name(problems).map(str::to_owned));
        let uri = fields
            .required("uri", problems)
            .and_then(|node| read_uri(&node, problems));
        let seconds = Duration::from_secs;
        let timeout = fields.or("timeout", seconds(5), problems, |node, problems| {
            read_duration(node, seconds(1)..=seconds(60), problems)
        });
        let cache_duration = fields.or(
            "cache_duration",
            seconds(600),
            problems,
            |node, problems| read_duration(node, seconds(1)..=seconds(86_400), problems),
        );
        let max_stale = fields.or("max_stale", seconds(86_400), problems, |node, problems| {
            read_duration(node, seconds(1)..=seconds(30 * 86_400), problems)
        });
        let cooldown = fields.or("cooldown", seconds(30), problems, |node, problems| {
            read_duration(node, seconds(1)..=seconds(3600), problems)
        });
        fields.finish(problems);
        let (scheme, authority, path) = uri?;
        Some(Self {
            provider: Rc::clone(provider),
            source: Source {
                cluster: cluster?,
                scheme,
                authority,
                path,
                timeout: timeout?,
            },
            limits: Limits {
                cache_duration: cache_duration?,
                max_stale: max_stale?,
                cooldown: cooldown?,
            },
            state: RefCell::default(),
            jitter: RandomState::new(),
        })
    }

    /// The provider's name in the document.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// Where to ask.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The shortest time between two fetches by all workers together.
    pub fn cooldown(&self) -> Duration {
        self.limits.cooldown
    }

    /// The keys to check tokens with at `now`; none before the first answer, and none once they
    /// are too old.
    pub(super) fn keys(&self, now: Duration) -> Option<Rc<[Key]>> {
        let state = self.state.try_borrow().ok()?;
        let loaded = state.loaded.as_ref()?;
        let too_old = now > loaded.fetched.saturating_add(self.limits.max_stale);
        (!too_old).then(|| Rc::clone(&loaded.keys))
    }

    /// The time since the keys were fetched; none before the first answer.
    pub(super) fn age(&self, now: Duration) -> Option<Duration> {
        let state = self.state.try_borrow().ok()?;
        let loaded = state.loaded.as_ref()?;
        Some(now.saturating_sub(loaded.fetched))
    }

    /// Counts changes of the keys: what was verified with others has to be verified again.
    pub(super) fn generation(&self) -> u64 {
        self.state.try_borrow().map_or(0, |state| state.generation)
    }

    /// Asks for an early fetch because a token names a key that is not there. At most once in a
    /// cool-down, so that nobody can have the provider hammered.
    pub(super) fn want_fetch(&self, now: Duration) {
        if let Ok(mut state) = self.state.try_borrow_mut()
            && now >= state.next_early
        {
            state.next_early = now.saturating_add(self.limits.cooldown);
            state.next_fetch = state.next_fetch.min(now);
        }
    }

    /// Whether it is time to fetch.
    pub fn due(&self, now: Duration) -> bool {
        let state = self.state.try_borrow();
        // A wall clock that stepped back must not put a fetch off for as long as it stepped.
        let longest = self.limits.cache_duration.max(LONGEST_PAUSE);
        let longest = longest.saturating_add(self.limits.cooldown);
        state.is_ok_and(|state| {
            now >= state.next_fetch || state.next_fetch > now.saturating_add(longest)
        })
    }

    /// An answer arrived at `now`, or none did. On success: the record with which the other
    /// workers need not ask. On failure: how long to wait.
    ///
    /// # Errors
    /// Why the answer is of no use, and when to try again; the keys stay as they were.
    pub fn arrived(
        &self,
        now: Duration,
        answer: Result<(&[u8], Option<Duration>), FetchError>,
    ) -> Result<Vec<u8>, (FetchError, Duration)> {
        let taken = answer.and_then(|(body, max_age)| Ok((body, max_age, read_set(body)?)));
        match taken {
            Ok((body, max_age, keys)) => {
                let longest = self.limits.cache_duration;
                let shortest = self.limits.cooldown.min(longest);
                let pause = max_age.map_or(longest, |age| age.clamp(shortest, longest));
                let next_fetch = now.saturating_add(self.early(pause));
                self.load(body, keys, now, next_fetch);
                Ok(record(now, next_fetch, body))
            }
            Err(error) => Err((error, self.back_off(now))),
        }
    }

    /// Takes up what another worker fetched. Bytes in shared data are anybody's: what is not a
    /// record, or not newer, or from the future, is left alone.
    pub fn adopt(&self, record: &[u8], now: Duration) -> bool {
        let Some((fetched, next_fetch, body)) = read_record(record) else {
            return false;
        };
        let newer = self.state.try_borrow().is_ok_and(|state| {
            state
                .loaded
                .as_ref()
                .is_none_or(|loaded| fetched > loaded.fetched)
        });
        if !newer || fetched > now.saturating_add(Duration::from_secs(60)) {
            return false;
        }
        match read_set(body) {
            Ok(keys) => {
                self.load(body, keys, fetched, next_fetch);
                true
            }
            Err(_) => false,
        }
    }

    fn load(&self, body: &[u8], keys: Rc<[Key]>, fetched: Duration, next_fetch: Duration) {
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return;
        };
        state.failures = 0;
        state.next_fetch = next_fetch;
        match &mut state.loaded {
            Some(loaded) if loaded.body == body => loaded.fetched = fetched,
            _ => {
                let body = body.to_vec();
                state.loaded = Some(Loaded {
                    keys,
                    body,
                    fetched,
                });
                state.generation = state.generation.wrapping_add(1);
            }
        }
    }

    /// Doubles the pause with each failure, up to a minute.
    fn back_off(&self, now: Duration) -> Duration {
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return LONGEST_PAUSE;
        };
        let doubled = 1_u32.checked_shl(state.failures).unwrap_or(u32::MAX);
        let pause = self.early(Duration::from_secs(doubled.into()).min(LONGEST_PAUSE));
        state.failures = state.failures.saturating_add(1).min(16);
        state.next_fetch = now.saturating_add(pause);
        pause
    }

    /// A little less than `pause`, so that many proxies do not ask all at once.
    fn early(&self, pause: Duration) -> Duration {
        let now = self.state.try_borrow().map_or(0, |state| state.generation);
        let random = self.jitter.hash_one((now, pause)) % 1000;
        pause.saturating_sub(pause.mul_f64(random as f64 / 4000.0))
    }
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteKeys({})", self.provider)
    }
}

fn read_duration(
    node: &Node<'_>,
    range: std::ops::RangeInclusive<Duration>,
    problems: &mut Problems,
) -> Option<Duration> {
    let duration = node.duration(problems)?;
    if !range.contains(&duration) {
        let (low, high) = (range.start().as_secs(), range.end().as_secs());
        node.report(problems, format_args!("must be from {low}s to {high}s"));
        return None;
    }
    Some(duration)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::Json;

    const SET: &[u8] = br#"{"keys":[
        {"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
        {"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
        {"kty":"XYZ"}, {"kty":"RSA","n":"AA","e":"AQAB"}, 7
    ]}"#;
    const OTHER: &[u8] = br#"{"keys":[
        {"kty":"OKP","crv":"Ed25519","kid":"b","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
    ]}"#;

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(1_000_000 + seconds)
    }

    fn remote() -> RemoteKeys {
        let text = br#"{"cluster":"idp","uri":"https://id.example.com/jwks","cache_duration":"100s","max_stale":"1000s","cooldown":"10s"}"#;
        let json = Json::parse(text, 4).unwrap();
        let mut problems = Problems::default();
        let remote = RemoteKeys::read(&"corp".into(), &Node::root(&json), &mut problems);
        problems.settle(remote).unwrap()
    }

    #[test]
    fn a_bad_answer_harms_no_key() {
        let remote = remote();
        assert!(remote.due(at(0)) && remote.keys(at(0)).is_none());
        assert!(remote.arrived(at(0), Ok((SET, None))).is_ok());
        let generation = remote.generation();
        for (second, bad) in [
            (200, Ok((&b"x"[..], None))),
            (300, Err(FetchError::Status(500))),
        ] {
            assert!(remote.due(at(second)));
            assert!(remote.arrived(at(second), bad).is_err());
            assert_eq!(remote.keys(at(second)).unwrap().len(), 1);
            assert!(!remote.due(at(second)), "no pause after a failure");
        }
        assert_eq!(remote.generation(), generation);
        assert!(remote.keys(at(1000)).is_some());
        assert!(remote.keys(at(1001)).is_none(), "keys are used for ever");
    }

    #[test]
    fn pauses_grow_and_have_a_limit() {
        let remote = remote();
        let mut last = Duration::ZERO;
        for failure in 0..40 {
            let (_, pause) = remote
                .arrived(at(failure * 100), Err(FetchError::Unreachable))
                .unwrap_err();
            assert!(pause <= Duration::from_secs(60));
            assert!(
                failure > 5 || pause > last / 2,
                "{failure}: {pause:?} after {last:?}"
            );
            last = pause;
        }
        assert!(last >= Duration::from_secs(45));
    }

    #[test]
    fn cache_control_is_honoured_within_bounds() {
        for (max_age, from, to) in [
            (None, 75, 100),
            (Some(50), 37, 50),
            (Some(1), 7, 10),
            (Some(9999), 75, 100),
        ] {
            let remote = remote();
            let max_age = max_age.map(Duration::from_secs);
            assert!(remote.arrived(at(0), Ok((SET, max_age))).is_ok());
            assert!(!remote.due(at(from - 1)), "{max_age:?}");
            assert!(remote.due(at(to)), "{max_age:?}");
        }
    }

    #[test]
    fn an_unknown_key_asks_once_in_a_cool_down() {
        let remote = remote();
        assert!(remote.arrived(at(0), Ok((SET, None))).is_ok());
        remote.want_fetch(at(1));
        assert!(remote.due(at(1)));
        assert!(remote.arrived(at(1), Ok((SET, None))).is_ok());
        for second in 2..11 {
            remote.want_fetch(at(second));
            assert!(!remote.due(at(second)), "second {second}");
        }
        remote.want_fetch(at(11));
        assert!(remote.due(at(11)));
    }

    #[test]
    fn records_carry_keys_to_other_workers() {
        let (one, other) = (remote(), remote());
        let first = one.arrived(at(0), Ok((SET, None))).unwrap();
        assert!(other.adopt(&first, at(1)));
        assert!(!other.due(at(1)) && other.keys(at(1)).is_some());
        assert!(!other.adopt(&first, at(2)), "the same again");
        let second = one.arrived(at(50), Ok((OTHER, None))).unwrap();
        let generation = other.generation();
        assert!(other.adopt(&second, at(50)));
        assert_ne!(other.generation(), generation);
        assert!(!other.adopt(&first, at(51)), "an older one");
        let future = remote().arrived(at(9999), Ok((SET, None))).unwrap();
        assert!(!other.adopt(&future, at(52)), "one from the future");
        for junk in [
            &b""[..],
            b"\x01",
            b"\x02aaaaaaaabbbbbbbb{}",
            b"\x01aaaaaaaabbbbbbbb{}",
        ] {
            assert!(!remote().adopt(junk, at(0)), "{junk:?}");
        }
    }
}
