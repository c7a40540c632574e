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
use proxy_wasm::types::Status;

use super::abi::{self, Buffer, HostError, Map};
use super::host::Envoy;
use super::pairs;
use crate::budget::{Reservation, Share, reserve};
use crate::config::Quoted;
use crate::headers::Headers;
use crate::host::Host;
use crate::metrics::{Event, Timing};
use crate::policy::jwt::{FetchError, Next, Question, RemoteKeys, Settled, Subject};

/// The fetches of one document in one VM.
pub(super) struct Fetches {
    fetches: Vec<Fetch>,
    /// Calls in flight by their tokens.
    calls: BTreeMap<u32, Call>,
}

struct Fetch {
    keys: Rc<RemoteKeys>,
    record: Cell,
    lease: Cell,
}

/// A question on its way.
struct Call {
    /// The place of its fetch.
    fetch: usize,
    subject: Subject,
    asked: Duration,
}

/// A shared cell, and the mark under which it was last read.
struct Cell {
    key: String,
    seen: Option<u32>,
}

/// A body, or why there is none.
type Answer = Result<Body, FetchError>;

/// A body and how long it is good. Its memory has been asked for.
struct Body {
    bytes: Vec<u8>,
    max_age: Option<Duration>,
    _memory: Reservation,
}

/// The longest head of an answer that is read.
const LONGEST_HEAD: usize = 64 << 10;

impl Fetches {
    /// Workers find each other under the host's [lineage] and the names of the keys.
    ///
    /// [lineage]: super::host::lineage
    pub(super) fn new(keys: &[Rc<RemoteKeys>], lineage: &str, host: &Envoy) -> Self {
        let cell = |what: &str, name: &str| Cell {
            key: format!("{lineage}jwks/{what}/{name}"),
            seen: None,
        };
        let fetch = |keys: &Rc<RemoteKeys>| {
            let names = keys.names(host);
            Fetch {
                keys: Rc::clone(keys),
                record: cell("keys", &names.keys),
                lease: cell("lease", &names.lease),
            }
        };
        Self {
            fetches: keys.iter().map(fetch).collect(),
            calls: BTreeMap::new(),
        }
    }

    /// Takes up what others fetched, and asks for what is due.
    pub(super) fn tick(&mut self, host: &Envoy) {
        let now = host.monotonic();
        let mut due = Vec::new();
        for (index, fetch) in self.fetches.iter_mut().enumerate() {
            fetch.adopt(now);
            if fetch.keys.due(now) {
                let question = fetch.keys.question(now);
                if fetch.lease(now, &question) {
                    due.push((index, question));
                }
            }
        }
        for (index, question) in due {
            self.ask(index, question, host);
        }
    }

    /// An answer, or the news that there is none.
    pub(super) fn arrived(&mut self, token: u32, headers: usize, body: usize, host: &Envoy) {
        let Some(call) = self.calls.remove(&token) else {
            return;
        };
        let took = host.monotonic().saturating_sub(call.asked).as_millis();
        let histogram = Timing::KeysFetch.histogram();
        host.observe(histogram, u64::try_from(took).unwrap_or(u64::MAX));
        // Without headers the call has failed, and there is nothing to read.
        let answer = match headers {
            0 => Err(FetchError::Unreachable),
            _ => read_answer(call.subject, body),
        };
        if let Some(question) = self.settle(call.fetch, call.subject, &answer, host) {
            self.ask(call.fetch, question, host);
        }
    }

    /// Asks, and where the answer to that is that nobody can be asked, asks what is left to ask:
    /// for the keys, after the document.
    fn ask(&mut self, index: usize, question: Question, host: &Envoy) {
        let mut next = Some(question);
        while let Some(question) = next.take() {
            let Some(fetch) = self.fetches.get(index) else {
                return;
            };
            match fetch.call(&question, host) {
                Ok(token) => {
                    let call = Call {
                        fetch: index,
                        subject: question.subject,
                        asked: host.monotonic(),
                    };
                    self.calls.insert(token, call);
                }
                Err(error) => {
                    let answer = Err(error);
                    next = self.settle(index, question.subject, &answer, host);
                }
            }
        }
    }

    /// Counts and logs what has become of a question; what to ask now.
    fn settle(
        &mut self,
        index: usize,
        subject: Subject,
        answer: &Answer,
        host: &Envoy,
    ) -> Option<Question> {
        let fetch = self.fetches.get(index)?;
        let now = host.monotonic();
        let answer = match answer {
            Ok(body) => Ok((body.bytes.as_slice(), body.max_age)),
            Err(error) => Err(*error),
        };
        let Settled {
            outcome,
            next,
            moved,
            notes,
        } = fetch.keys.arrived(now, subject, answer);
        let event = match (subject, outcome) {
            (Subject::Keys, Ok(())) => Event::KeysFetched,
            (Subject::Keys, Err(_)) => Event::KeysFetchFailed,
            (Subject::Document, Ok(())) => Event::DocumentFetched,
            (Subject::Document, Err(_)) => Event::DocumentFetchFailed,
        };
        host.count(event.counter());
        let provider = fetch.keys.provider();
        let shown = |text: String| {
            let tells = fetch.keys.tells(&text, host);
            let instead = "(left out, since a part of a credential stands in it)";
            if tells { instead.to_owned() } else { text }
        };
        if let Some(uri) = moved {
            let uri = shown(uri.to_string());
            log::info!("provider {provider}: its keys are at {uri}");
        }
        if let Err(error) = outcome {
            let then = match &next {
                Next::Ask(question) => {
                    let uri = shown(question.uri.to_string());
                    format!("keys are fetched from {uri} again")
                }
                Next::Share(_) => String::new(),
                Next::Wait(pause) => format!("next try in {} ms", pause.as_millis()),
            };
            log::warn!("provider {provider}: {subject} cannot be fetched: {error}; {then}");
        }
        for note in notes {
            let note = shown(note);
            log::warn!("provider {provider}: {note}");
        }
        match next {
            Next::Ask(question) => {
                fetch.hold(fetch.answered_by(now, &question), None);
                return Some(question);
            }
            Next::Share(record) => fetch.share(&record, now),
            Next::Wait(pause) => {
                fetch.hold(now.saturating_add(pause), None);
            }
        }
        None
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
    fn lease(&mut self, now: Duration, question: &Question) -> bool {
        const LONGEST: Duration = Duration::from_secs(2 * 3600);
        let (until, seen) = match abi::shared(&self.lease.key) {
            Ok((value, cas)) => (time(&value), Some(cas)),
            Err(_) => (None, None),
        };
        // A time that nobody here would write is somebody else's.
        let held = until.is_some_and(|until| now < until && until < now.saturating_add(LONGEST));
        !held && self.hold(self.answered_by(now, question), seen)
    }

    /// The time at which it is certain that there is no answer.
    fn answered_by(&self, now: Duration, question: &Question) -> Duration {
        now.saturating_add(question.timeout)
            .saturating_add(Duration::from_secs(1))
    }

    fn hold(&self, until: Duration, seen: Option<u32>) -> bool {
        let millis = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        abi::set_shared(&self.lease.key, &millis.to_le_bytes(), seen).is_ok()
    }

    fn share(&self, record: &[u8], now: Duration) {
        if abi::set_shared(&self.record.key, record, None).is_err() {
            log::warn!(
                "provider {}: the keys cannot be shared; each worker fetches its own",
                self.keys.provider()
            );
        }
        self.hold(now.saturating_add(self.keys.cooldown()), None);
    }

    fn call(&self, question: &Question, host: &Envoy) -> Result<u32, FetchError> {
        let mut headers = vec![
            (":method", "GET"),
            (":scheme", question.uri.scheme),
            (":authority", question.uri.authority.as_str()),
            (":path", question.uri.path.as_str()),
            ("accept", question.subject.media_types()),
        ];
        let fields = self.keys.fields(question.subject, host);
        headers.extend(fields.iter().map(|(name, value)| (*name, value.as_str())));
        let Question {
            cluster, timeout, ..
        } = question;
        let call = hostcalls::dispatch_http_call(cluster, headers, None, Vec::new(), *timeout);
        call.map_err(|status| {
            let provider = self.keys.provider();
            // All else that Envoy asks of a call is there.
            if status == Status::BadArgument {
                log::error!("provider {provider}: {}", no_cluster(cluster));
                return FetchError::NoCluster;
            }
            log::warn!("provider {provider}: cluster {cluster} cannot be called ({status:?})");
            FetchError::Unreachable
        })
    }
}

/// What to do where the proxy has no cluster of that name.
pub(super) fn no_cluster(cluster: &str) -> String {
    format!(
        "the proxy has no cluster {}; write one of that name, or correct the name (/clusters of the admin interface lists them; in Istio they are called outbound|443||host)",
        Quoted(cluster)
    )
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

/// Nothing of an answer is copied before its length is known.
fn read_answer(subject: Subject, length: usize) -> Answer {
    let unreadable = |HostError(_)| FetchError::Unreachable;
    let headers = read_headers()?;
    let status = headers.one(":status").ok().flatten().unwrap_or_default();
    if status != b"200" {
        let status = std::str::from_utf8(status)
            .ok()
            .and_then(|text| text.parse().ok());
        return Err(status.map_or(FetchError::Unreachable, FetchError::Status));
    }
    if length > subject.longest() {
        return Err(FetchError::TooLong(subject.longest()));
    }
    let memory = reserve(Share::Queues, length).ok_or(FetchError::NoMemory)?;
    Ok(Body {
        bytes: abi::buffer(Buffer::CallResponseBody).map_err(unreadable)?,
        max_age: max_age(&headers),
        _memory: memory,
    })
}

fn read_headers() -> Result<Headers, FetchError> {
    let unreadable = |HostError(_)| FetchError::Unreachable;
    if head_is_too_long() {
        return Err(FetchError::TooLong(LONGEST_HEAD));
    }
    let block = abi::header_pairs(Map::CallResponse).map_err(unreadable)?;
    pairs::read(block).ok_or(FetchError::Unreachable)
}

/// Whether an answer has a head that is not to be read. Envoy does not tell its size; there it is
/// bounded by the cluster's `max_response_headers_kb`, 60 KiB unless written.
pub(super) fn head_is_too_long() -> bool {
    abi::header_bytes(Map::CallResponse).is_ok_and(|bytes| bytes > LONGEST_HEAD)
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
