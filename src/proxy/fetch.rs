//! Fetching the keys that providers publish: one worker asks, the others find the answer in shared
//! data.
//!
//! Ticks run in every worker and on the main thread, and in a document that is being replaced
//! beside its successor. Who may ask is settled by a lease, a shared cell with a time: whoever
//! moves it on by compare-and-swap asks. The very first time several may succeed, since the host
//! has no way to create a cell once; then several ask, which does no harm.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use proxy_wasm::hostcalls;

use super::abi::{self, Buffer, HostError, Map};
use super::host::Envoy;
use super::pairs;
use crate::headers::Headers;
use crate::host::Host;
use crate::metrics::{Event, Timing};
use crate::policy::jwt::{FetchError, MAX_BODY_BYTES, RemoteKeys};

/// The fetches of one document in one VM.
pub(super) struct Fetches {
    fetches: Vec<Fetch>,
    /// Which fetch a call in flight belongs to and when it began, by its token.
    calls: BTreeMap<u32, (usize, Duration)>,
}

struct Fetch {
    keys: Rc<RemoteKeys>,
    record: Cell,
    lease: Cell,
}

/// A shared cell, and the mark under which it was last read.
struct Cell {
    key: String,
    seen: Option<u32>,
}

impl Fetches {
    /// `plugin` keeps documents of other plugins in the same namespace apart.
    pub(super) fn new(keys: &[Rc<RemoteKeys>], plugin: &str) -> Self {
        let cell = |keys: &RemoteKeys, what: &str| Cell {
            // The source is part of the name: another document may mean another issuer.
            key: format!(
                "portcullis/1/{plugin}/jwks/{}/{}{}/{what}",
                keys.provider(),
                keys.source().authority,
                keys.source().path
            ),
            seen: None,
        };
        let fetch = |keys: &Rc<RemoteKeys>| Fetch {
            keys: Rc::clone(keys),
            record: cell(keys, "keys"),
            lease: cell(keys, "lease"),
        };
        Self {
            fetches: keys.iter().map(fetch).collect(),
            calls: BTreeMap::new(),
        }
    }

    /// Whether there is anything to fetch.
    pub(super) fn is_empty(&self) -> bool {
        self.fetches.is_empty()
    }

    /// Takes up what others fetched, and asks for what is due.
    pub(super) fn tick(&mut self, host: &Envoy) {
        let now = host.now();
        for (index, fetch) in self.fetches.iter_mut().enumerate() {
            fetch.adopt(now);
            if !fetch.keys.due(now) || !fetch.lease(now) {
                continue;
            }
            match fetch.ask() {
                Some(token) => {
                    self.calls.insert(token, (index, now));
                }
                None => fetch.settle(Err(FetchError::Unreachable), host),
            }
        }
    }

    /// An answer, or the news that there is none.
    pub(super) fn arrived(&mut self, token: u32, headers: usize, host: &Envoy) {
        let Some((index, asked)) = self.calls.remove(&token) else {
            return;
        };
        let Some(fetch) = self.fetches.get_mut(index) else {
            return;
        };
        let took = host.now().saturating_sub(asked).as_millis();
        let histogram = Timing::KeysFetch.histogram();
        host.observe(histogram, u64::try_from(took).unwrap_or(u64::MAX));
        // Without headers the call has failed, and there is nothing to read.
        let answer = match headers {
            0 => Err(FetchError::Unreachable),
            _ => read_answer(),
        };
        fetch.settle(answer, host);
    }
}

impl Fetch {
    fn adopt(&mut self, now: Duration) {
        if let Some(record) = self.record.changed()
            && self.keys.adopt(&record, now)
        {
            log::info!("provider {}: took up new keys", self.keys.provider());
        }
    }

    /// Whether this worker may ask.
    fn lease(&mut self, now: Duration) -> bool {
        const LONGEST: Duration = Duration::from_secs(2 * 3600);
        let (until, seen) = match abi::shared(&self.lease.key) {
            Ok((value, cas)) => (time(&value), Some(cas)),
            Err(_) => (None, None),
        };
        // A time that nobody here would write is left over from a clock that stepped back.
        let held = until.is_some_and(|until| now < until && until < now.saturating_add(LONGEST));
        let answered_by = now.saturating_add(self.keys.source().timeout);
        !held && self.hold(answered_by.saturating_add(Duration::from_secs(1)), seen)
    }

    fn hold(&self, until: Duration, seen: Option<u32>) -> bool {
        let millis = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        abi::set_shared(&self.lease.key, &millis.to_le_bytes(), seen).is_ok()
    }

    fn ask(&self) -> Option<u32> {
        let source = self.keys.source();
        let headers = vec![
            (":method", "GET"),
            (":scheme", source.scheme),
            (":authority", source.authority.as_str()),
            (":path", source.path.as_str()),
            ("accept", "application/jwk-set+json, application/json"),
        ];
        let call = hostcalls::dispatch_http_call(
            &source.cluster,
            headers,
            None,
            Vec::new(),
            source.timeout,
        );
        call.map_err(|status| {
            log::warn!(
                "provider {}: cluster {} cannot be called ({status:?})",
                self.keys.provider(),
                source.cluster
            );
        })
        .ok()
    }

    fn settle(&mut self, answer: Result<(Vec<u8>, Option<Duration>), FetchError>, host: &Envoy) {
        let now = host.now();
        let answer = match &answer {
            Ok((body, max_age)) => Ok((body.as_slice(), *max_age)),
            Err(error) => Err(*error),
        };
        let provider = self.keys.provider();
        match self.keys.arrived(now, answer) {
            Ok(record) => {
                host.count(Event::KeysFetched.counter());
                if abi::set_shared(&self.record.key, &record, None).is_err() {
                    log::warn!(
                        "provider {provider}: the keys cannot be shared; each worker fetches its own"
                    );
                }
                self.hold(now.saturating_add(self.keys.cooldown()), None);
            }
            Err((error, pause)) => {
                host.count(Event::KeysFetchFailed.counter());
                log::warn!(
                    "provider {provider}: the keys cannot be fetched: {error}; next try in {} ms",
                    pause.as_millis()
                );
                self.hold(now.saturating_add(pause), None);
            }
        }
    }
}

impl Cell {
    /// The value, if it is another than the last time.
    fn changed(&mut self) -> Option<Vec<u8>> {
        let (value, cas) = abi::shared(&self.key).ok()?;
        let changed = self.seen != Some(cas);
        self.seen = Some(cas);
        changed.then_some(value)
    }
}

fn time(value: &[u8]) -> Option<Duration> {
    let millis = u64::from_le_bytes(value.try_into().ok()?);
    Some(Duration::from_millis(millis))
}

fn read_answer() -> Result<(Vec<u8>, Option<Duration>), FetchError> {
    let unreadable = |HostError(_)| FetchError::Unreachable;
    let block = abi::header_pairs(Map::CallResponse).map_err(unreadable)?;
    let headers = pairs::read(block).ok_or(FetchError::Unreachable)?;
    let status = headers.one(":status").ok().flatten().unwrap_or_default();
    if status != b"200" {
        let status = std::str::from_utf8(status)
            .ok()
            .and_then(|text| text.parse().ok());
        return Err(status.map_or(FetchError::Unreachable, FetchError::Status));
    }
    let body = abi::buffer(Buffer::CallResponseBody).map_err(unreadable)?;
    if body.len() > MAX_BODY_BYTES {
        return Err(FetchError::TooLong);
    }
    Ok((body, max_age(&headers)))
}

/// RFC 9111 §5.2.2.1. `no-store` and `no-cache` count as no age at all.
fn max_age(headers: &Headers) -> Option<Duration> {
    let directives = headers
        .all("cache-control")
        .flat_map(|value| value.split(|b| *b == b','));
    let mut age = None;
    for directive in directives {
        let directive = directive.trim_ascii().to_ascii_lowercase();
        if directive == b"no-store" || directive == b"no-cache" {
            return Some(Duration::ZERO);
        }
        if let Some(seconds) = directive.strip_prefix(b"max-age=") {
            let seconds = std::str::from_utf8(seconds)
                .ok()
                .and_then(|text| text.parse().ok());
            age = age.or(seconds.map(Duration::from_secs));
        }
    }
    age
}
