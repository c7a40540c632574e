//! Keys that a provider publishes: when to ask for them, what to make of the response, and how long
//! to go on with the old ones.
//!
//! This is a state machine without input and output. A worker carries messages, as for all that is
//! [`Fetched`](portcullis_exchange::fetched::Fetched): on its ticks it asks whether something is
//! [due](RemoteKeys::due), puts the [question](RemoteKeys::first_request), and tells what
//! [arrived](RemoteKeys::on_response), which may lead to the next question. One worker fetches and leaves
//! the response where the others find it.
//!
//! Where the keys are is either known or asked of the provider first. That is asked again when
//! the response has aged, and when keys could not be had there.
//!
//! A bad response changes nothing but the time of the next question.
//!
//! All times are those of the clock that does not step ([`portcullis_exchange::host::Clock::monotonic`]), those that workers
//! share included.

mod discovery;
mod fetched;
mod published;
mod request;
mod response;
mod settings;
#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::Duration;

use self::discovery::Discovery;
use self::published::{MOST_MEMORY, Published, read_set};
use self::response::SharedKeySet;
use self::settings::{KeyLocation, RemoteSource};
use super::claims::Accepted;
use super::jwk::Jwk;
use crate::remote::{CellNames, Fetcher, Schedule};
use portcullis_document::{Node, Problems};
use portcullis_exchange::credentials::tells;
use portcullis_exchange::host::Host;
use portcullis_wire::budget::Share;

pub(super) use self::published::read_set as read_published;

pub use self::discovery::read_discovery_document;
pub use self::request::{FetchOutcome, FetchRequest, FetchTarget, Next};
pub use self::response::FetchError;
pub use crate::remote::NoAnswer;
pub use portcullis_exchange::http_uri::Uri;

/// The published keys of one provider.
pub struct RemoteKeys {
    provider: Rc<str>,
    source: RemoteSource,
    part: Fetcher,
    state: RefCell<FetchState>,
}

#[derive(Default)]
struct FetchState {
    loaded: Option<Loaded>,
    location: Option<Location>,
    schedule: Schedule,
    generation: u64,
}

struct Loaded {
    published: Published,
    fetched: Duration,
}

/// Where the provider says that its keys are.
struct Location {
    uri: Rc<Uri>,
    /// Until when that needs no new question.
    until: Duration,
}

/// So much later than due, a fetch by another worker must have failed.
const LATE: Duration = Duration::from_millis(600);

impl RemoteKeys {
    /// Reads `remote`, an address of keys.
    pub(super) fn read(
        provider: &Rc<str>,
        node: &Node<'_>,
        problems: &mut Problems,
    ) -> Option<Self> {
        problems.account(node.pointer(), Share::Documents, MOST_MEMORY);
        RemoteSource::read_remote(node, problems).map(|source| Self::new(provider, source))
    }

    /// Reads `discovery`, an issuer that tells the address. `accepted` are the issuers of tokens.
    pub(super) fn read_discovery(
        provider: &Rc<str>,
        node: &Node<'_>,
        accepted: Option<&Accepted>,
        notes: &mut Vec<String>,
        problems: &mut Problems,
    ) -> Option<Self> {
        problems.account(node.pointer(), Share::Documents, MOST_MEMORY);
        let source = RemoteSource::read_discovery(node, accepted, notes, problems);
        source.map(|source| Self::new(provider, source))
    }

    fn new(provider: &Rc<str>, source: RemoteSource) -> Self {
        Self {
            provider: Rc::clone(provider),
            part: Fetcher::new(source.names(|each| Some(each.written().to_owned())).keys),
            source,
            state: RefCell::default(),
        }
    }

    /// The provider's name in the document.
    pub fn provider(&self) -> &str {
        &self.provider
    }

    /// The names under which workers share the keys, and the right to ask for them.
    fn names(&self, host: &dyn Host) -> CellNames {
        self.source
            .names(|each| each.field(host).map(|(_, value)| value))
    }

    /// Whether a text of the provider's holds a part of what it was asked with.
    fn tells(&self, said: &str, host: &dyn Host) -> bool {
        let mut fields = self
            .source
            .service
            .credentials
            .iter()
            .filter_map(|each| each.field(host));
        fields.any(|(_, value)| tells(said, &value))
    }

    /// The keys to check tokens with at `now`; none before the first response, and none once they
    /// are too old.
    pub(super) fn keys(&self, now: Duration) -> Option<Rc<[Jwk]>> {
        let state = self.state.try_borrow().ok()?;
        let loaded = state.loaded.as_ref()?;
        let too_old = now
            > loaded
                .fetched
                .saturating_add(self.source.service.limits.max_stale);
        (!too_old).then(|| Rc::clone(&loaded.published.keys))
    }

    /// The time since the keys were fetched; none before the first response.
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
    pub(super) fn request_refresh(&self, now: Duration) {
        if let Ok(mut state) = self.state.try_borrow_mut() {
            let cooldown = self.source.service.limits.cooldown;
            state.schedule.request_refresh(now, cooldown);
        }
    }

    /// Leaves fetching to another document with the same keys, as long as there is one. What that
    /// one shares is still taken up. A key that a token names and nobody has is asked for all the
    /// same: the other may stand beside this one, and see no such token.
    pub(super) fn release(&self) {
        self.part.release();
    }

    /// Whether it is time to fetch.
    pub fn due(&self, now: Duration) -> bool {
        let is_replaced = self.part.is_replaced();
        let state = self.state.try_borrow();
        state.is_ok_and(|state| state.schedule.is_due(now, is_replaced))
    }

    /// What to ask first when a fetch is due.
    pub fn first_request(&self, now: Duration) -> FetchRequest {
        match &self.source.place {
            KeyLocation::Known(uri) => self.ask_for_keys(&self.source.service.cluster, uri),
            KeyLocation::Discovered(discovery) => match self.fresh_location(now) {
                Some(uri) => self.ask_for_found_keys(discovery, &uri),
                None => FetchRequest {
                    subject: FetchTarget::Discovery,
                    cluster: Rc::clone(&self.source.service.cluster),
                    uri: Rc::clone(&discovery.document),
                    timeout: self.source.service.limits.timeout,
                },
            },
        }
    }

    fn ask_for_keys(&self, cluster: &Rc<str>, uri: &Rc<Uri>) -> FetchRequest {
        FetchRequest {
            subject: FetchTarget::KeySet,
            cluster: Rc::clone(cluster),
            uri: Rc::clone(uri),
            timeout: self.source.service.limits.timeout,
        }
    }

    fn ask_for_found_keys(&self, discovery: &Discovery, uri: &Rc<Uri>) -> FetchRequest {
        let cluster = discovery.keys_cluster.as_ref();
        self.ask_for_keys(cluster.unwrap_or(&self.source.service.cluster), uri)
    }

    /// Where the keys are, unless there is reason to ask again.
    fn fresh_location(&self, now: Duration) -> Option<Rc<Uri>> {
        let state = self.state.try_borrow().ok()?;
        let location = state.location.as_ref()?;
        let aged = now >= location.until;
        let late = now > state.schedule.next_fetch().saturating_add(LATE);
        (!aged && !late).then(|| Rc::clone(&location.uri))
    }

    /// A response to a question arrived at `now`, or none did; the age is how long the provider
    /// says that it is good. The keys, and where they are, change only when it is of use.
    pub fn on_response(
        &self,
        now: Duration,
        subject: FetchTarget,
        response: Result<(&[u8], Option<Duration>), FetchError>,
    ) -> FetchOutcome {
        match (subject, &self.source.place) {
            (FetchTarget::Discovery, KeyLocation::Discovered(discovery)) => {
                self.document_arrived(now, discovery, response)
            }
            _ => self.keys_arrived(now, response),
        }
    }

    fn document_arrived(
        &self,
        now: Duration,
        discovery: &Discovery,
        response: Result<(&[u8], Option<Duration>), FetchError>,
    ) -> FetchOutcome {
        let body = response.map_or(&[][..], |(body, _)| body);
        let read = response.and_then(|(body, age)| Ok((discovery.keys_uri(body)?, age)));
        match read {
            Ok((uri, age)) => {
                let until = now.saturating_add(self.source.service.limits.pause(age));
                let (uri, moved) = self.locate(uri, until);
                FetchOutcome {
                    outcome: Ok(()),
                    next: Next::Ask(self.ask_for_found_keys(discovery, &uri)),
                    moved: moved.then_some(uri),
                    notes: Vec::new(),
                }
            }
            Err(error) => {
                let state = self.state.try_borrow();
                let known = state.ok().and_then(|state| {
                    let location = state.location.as_ref()?;
                    Some(Rc::clone(&location.uri))
                });
                // Where they were before, they may still be.
                let next = match known {
                    Some(uri) => Next::Ask(self.ask_for_found_keys(discovery, &uri)),
                    None => Next::Wait(self.back_off(now)),
                };
                let notes = match error {
                    FetchError::OtherIssuer => discovery.issuers(body),
                    _ => None,
                };
                FetchOutcome {
                    outcome: Err(error),
                    next,
                    moved: None,
                    notes: notes.into_iter().collect(),
                }
            }
        }
    }

    fn keys_arrived(
        &self,
        now: Duration,
        response: Result<(&[u8], Option<Duration>), FetchError>,
    ) -> FetchOutcome {
        let mut notes = Vec::new();
        let read = response.and_then(|(body, age)| Ok((body, age, read_set(body, &mut notes)?)));
        let (outcome, next) = match read {
            Ok((body, age, published)) => {
                let next_fetch =
                    now.saturating_add(self.early(self.source.service.limits.pause(age)));
                self.load(published, now, next_fetch);
                (Ok(()), Next::Share(self.record(now, next_fetch, body)))
            }
            Err(error) => (Err(error), Next::Wait(self.back_off(now))),
        };
        FetchOutcome {
            outcome,
            next,
            moved: None,
            notes,
        }
    }

    fn locate(&self, uri: Uri, until: Duration) -> (Rc<Uri>, bool) {
        let uri = Rc::new(uri);
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return (uri, false);
        };
        let before = state.location.replace(Location {
            uri: Rc::clone(&uri),
            until,
        });
        let moved = before.is_none_or(|before| before.uri != uri);
        (uri, moved)
    }

    fn record(&self, fetched: Duration, next_fetch: Duration, body: &[u8]) -> Vec<u8> {
        let state = self.state.try_borrow();
        let location = state.ok().and_then(|state| {
            let location = state.location.as_ref()?;
            Some((location.uri.to_string(), location.until))
        });
        let record = SharedKeySet {
            fetched,
            next_fetch,
            location: location.as_ref().map(|(uri, until)| (uri.as_str(), *until)),
            body,
        };
        record.write()
    }

    /// Takes up what another worker fetched, perhaps for another document that asks at other times:
    /// this one asks no later than it would have. Bytes in shared data are anybody's: what is not
    /// a record, or not newer, or from the future, is left alone.
    pub fn adopt(&self, record: &[u8], now: Duration) -> bool {
        let Some(record) = SharedKeySet::read(record) else {
            return false;
        };
        let newer = self.state.try_borrow().is_ok_and(|state| {
            let loaded = state.loaded.as_ref();
            loaded.is_none_or(|loaded| record.fetched > loaded.fetched)
        });
        if !newer || record.fetched > now.saturating_add(Duration::from_secs(60)) {
            return false;
        }
        let Ok(published) = read_set(record.body, &mut Vec::new()) else {
            return false;
        };
        let longest = record
            .fetched
            .saturating_add(self.source.service.limits.cache_duration);
        if let (KeyLocation::Discovered(discovery), Some((uri, until))) =
            (&self.source.place, record.location)
            && let Some(uri) = Uri::parse(uri).filter(|uri| discovery.allows(uri).is_ok())
        {
            self.locate(uri, until.min(longest));
        }
        self.load(published, record.fetched, record.next_fetch.min(longest));
        true
    }

    fn load(&self, published: Published, fetched: Duration, next_fetch: Duration) {
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return;
        };
        state.schedule.answered(next_fetch);
        match &mut state.loaded {
            Some(loaded) if loaded.published.digest == published.digest => {
                loaded.fetched = fetched;
            }
            _ => {
                state.loaded = Some(Loaded { published, fetched });
                state.generation = state.generation.wrapping_add(1);
            }
        }
    }

    /// There is no answer. Next it is asked again where the keys are.
    fn back_off(&self, now: Duration) -> Duration {
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return Schedule::longest_pause();
        };
        if let Some(location) = &mut state.location {
            location.until = Duration::ZERO;
        }
        state.schedule.back_off(now)
    }

    fn early(&self, pause: Duration) -> Duration {
        let state = self.state.try_borrow();
        state.map_or(pause, |state| state.schedule.early(pause))
    }
}

impl fmt::Debug for RemoteKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteKeys({})", self.provider)
    }
}
