//! A store that is fetched: when to ask for its keys, what to make of the response, and how long to go on
//! with the old ones. The rules are those of published keys of tokens; there is no discovery.
//!
//! A bad response changes nothing but the time of the next question. Workers share the response in a
//! cell of its own, and what they look at on every tick is small: which response that is.

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use hmac_sha256::Hash;

use super::published::{Bounds, StoreError, read_store};
use super::table::KeyTable;
use crate::authn::jwt::remote::{CellNames, Fetcher, RemoteSource, read_response};
use crate::authn::schedule::Schedule;
use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::call::{Call, CallError, CallResponse};
use portcullis_exchange::credentials::{Credential, tells};
use portcullis_exchange::fetched::{Errand, Fetched, Next, Note, Purpose, Received, SharedCells};
use portcullis_exchange::host::{Host, Level};
use portcullis_exchange::meter::{Event, Timing};
use portcullis_wire::budget::{Share, reserve};

/// The keys of one store that are fetched.
pub(super) struct FetchedStore {
    name: Rc<str>,
    source: RemoteSource,
    bounds: Bounds,
    part: Fetcher,
    state: RefCell<StoreState>,
}

#[derive(Default)]
struct StoreState {
    loaded: Option<LoadedKeys>,
    schedule: Schedule,
}

struct LoadedKeys {
    table: Rc<KeyTable>,
    record: Record,
}

/// Which response is in force, as workers tell one another. Bytes in shared data are anybody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Record {
    fetched: Duration,
    next_fetch: Duration,
    digest: [u8; 32],
    length: u32,
}

/// How long keys are used without a new response, if the document does not say: an hour, and longer only where
/// they are fetched more seldom. Whoever can keep the service from answering keeps keys alive so long that
/// have been revoked.
fn usual_max_stale(cache_duration: Duration) -> Duration {
    const USUAL: Duration = Duration::from_secs(3600);
    USUAL.max(cache_duration.saturating_mul(2))
}

impl FetchedStore {
    /// Reads `remote: { cluster, uri, headers, timeout, cache_duration, max_stale, cooldown, max_keys }`.
    pub(super) fn read(name: &Rc<str>, node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        let mut fields: Fields<'_> = node.fields(problems)?;
        let source = RemoteSource::read_known(&mut fields, usual_max_stale, problems);
        let bounds = fields.or_default("max_keys", Bounds::default(), problems, Bounds::read);
        fields.deny_unknown(problems);
        let (source, bounds) = (source?, bounds?);
        problems.account(node.pointer(), Share::Documents, bounds.memory());
        Some(Self {
            name: Rc::clone(name),
            part: Fetcher::new(source.names(|each| Some(each.written().to_owned())).keys),
            source,
            bounds,
            state: RefCell::default(),
        })
    }

    /// The keys at `now`, on the clock that does not step; none before the first response, and none once
    /// they are too old.
    pub(super) fn keys(&self, now: Duration) -> Option<Rc<KeyTable>> {
        let state = self.state.try_borrow().ok()?;
        let loaded = state.loaded.as_ref()?;
        let limit = loaded
            .record
            .fetched
            .saturating_add(self.source.limits.max_stale);
        (now <= limit).then(|| Rc::clone(&loaded.table))
    }

    /// Asks for an early fetch because a key came that is not there. At most once in a cool-down, so that
    /// nobody can have the service hammered.
    pub(super) fn request_refresh(&self, now: Duration) {
        if let Ok(mut state) = self.state.try_borrow_mut() {
            let cooldown = self.source.limits.cooldown;
            state.schedule.request_refresh(now, cooldown);
        }
    }

    /// Leaves fetching to another document with the same store, as long as there is one.
    pub(super) fn release(&self) {
        self.part.release();
    }

    fn names(&self, host: &dyn Host) -> CellNames {
        self.source
            .names(|each| each.field(host).map(|(_, value)| value))
    }

    /// The cell with the response itself.
    fn data_cell(&self, host: &dyn Host) -> String {
        format!("api_keys/data/{}", self.names(host).keys)
    }

    fn is_due(&self, now: Duration) -> bool {
        let is_replaced = self.part.is_replaced();
        let state = self.state.try_borrow();
        state.is_ok_and(|state| state.schedule.is_due(now, is_replaced))
    }

    /// Takes a response, or the news that there is none.
    fn arrived(
        &self,
        now: Duration,
        response: Result<(&[u8], Option<Duration>), StoreError>,
        notes: &mut Vec<String>,
        host: &dyn Host,
    ) -> Result<Record, StoreError> {
        let (body, age) = response?;
        let digest = Hash::hash(body);
        // Most responses are the one before: nothing has to be read again.
        let table = match self.loaded(&digest) {
            Some(table) => table,
            None => Rc::new(read_store(body, self.bounds, notes)?),
        };
        let pause = self.early(self.source.limits.pause(age));
        let record = Record {
            fetched: now,
            next_fetch: now.saturating_add(pause),
            digest,
            length: u32::try_from(body.len()).unwrap_or_default(),
        };
        // Should it not be taken, the others find no response of that digest, and ask themselves.
        let _ = host.compare_and_swap(&self.data_cell(host), None, body);
        self.load(table, record);
        Ok(record)
    }

    /// The table of the response of that digest, if it is the last that was read.
    fn loaded(&self, digest: &[u8; 32]) -> Option<Rc<KeyTable>> {
        let state = self.state.try_borrow().ok()?;
        let loaded = state.loaded.as_ref()?;
        (loaded.record.digest == *digest).then(|| Rc::clone(&loaded.table))
    }

    fn load(&self, table: Rc<KeyTable>, record: Record) {
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.schedule.answered(record.next_fetch);
            state.loaded = Some(LoadedKeys { table, record });
        }
    }

    fn back_off(&self, now: Duration) -> Duration {
        let state = self.state.try_borrow_mut();
        state.map_or(Schedule::longest_pause(), |mut state| {
            state.schedule.back_off(now)
        })
    }

    fn early(&self, pause: Duration) -> Duration {
        let state = self.state.try_borrow();
        state.map_or(pause, |state| state.schedule.early(pause))
    }

    /// The table of a response that another worker has fetched.
    fn shared(&self, record: &Record, host: &dyn Host) -> Option<KeyTable> {
        let length = usize::try_from(record.length).ok()?;
        (length <= self.bounds.body()).then_some(())?;
        let _memory = reserve(Share::Queues, length)?;
        let (body, _) = host.cell(&self.data_cell(host)).ok()??;
        let is_it = body.len() == length && Hash::hash(&body) == record.digest;
        is_it.then(|| read_store(&body, self.bounds, &mut Vec::new()).ok())?
    }

    /// What is said of a response, without any part of a credential.
    fn shown(&self, text: String, host: &dyn Host) -> String {
        let credentials = self.source.credentials.iter();
        let mut fields = credentials.filter_map(|each| each.field(host));
        match fields.any(|(_, value)| tells(&text, &value)) {
            true => "(left out, since a part of a credential stands in it)".to_owned(),
            false => text,
        }
    }
}

impl Fetched for FetchedStore {
    fn place(&self) -> String {
        format!("API key store {}", self.name)
    }

    fn noun(&self) -> &'static str {
        "API keys"
    }

    fn cells(&self, host: &dyn Host) -> SharedCells {
        let names = self.names(host);
        SharedCells {
            published: format!("api_keys/keys/{}", names.keys),
            lease: format!("api_keys/lease/{}", names.lease),
        }
    }

    fn credentials(&self) -> &[Credential] {
        &self.source.credentials
    }

    fn cooldown(&self) -> Duration {
        self.source.limits.cooldown
    }

    fn timing(&self) -> Timing {
        Timing::KeysFetch
    }

    fn due(&self, now: Duration, host: &dyn Host) -> Option<Errand> {
        let uri = self.source.known().filter(|_| self.is_due(now))?;
        let mut headers = uri.fields("GET");
        headers.push(("accept".into(), "application/json".to_owned()));
        for credential in &self.source.credentials {
            let field = credential.field(host);
            headers.extend(field.map(|(name, value)| (Cow::Owned(name.to_owned()), value)));
        }
        Some(Errand {
            call: Call {
                cluster: Rc::clone(&self.source.cluster),
                headers,
                body: Vec::new(),
                timeout: self.source.limits.timeout,
            },
            purpose: Purpose::default(),
        })
    }

    fn longest(&self, _: Purpose) -> usize {
        self.bounds.body()
    }

    fn received(
        &self,
        now: Duration,
        _: Purpose,
        response: Result<CallResponse<'_>, CallError>,
        host: &dyn Host,
    ) -> Received {
        let mut passed_over = Vec::new();
        let response = read_response(response).map_err(StoreError::Fetch);
        let arrived = self.arrived(now, response, &mut passed_over, host);
        let warn = |text: String| Note {
            level: Level::Warn,
            text: self.shown(text, host),
        };
        let mut notes: Vec<Note> = passed_over.into_iter().map(warn).collect();
        let (event, next) = match arrived {
            Ok(record) => (Event::ApiKeysFetched, Next::Publish(record.write())),
            Err(error) => {
                let pause = self.back_off(now);
                let then = pause.as_millis();
                let text =
                    format!("the API keys cannot be fetched: {error}; next try in {then} ms");
                notes.push(warn(text));
                (Event::ApiKeysFetchFailed, Next::Wait(pause))
            }
        };
        Received { event, notes, next }
    }

    fn adopt(&self, published: &[u8], now: Duration, host: &dyn Host) -> bool {
        let Some(record) = Record::read(published) else {
            return false;
        };
        let known = self.state.try_borrow().ok();
        let known = known.and_then(|state| {
            let loaded = state.loaded.as_ref()?;
            Some((Rc::clone(&loaded.table), loaded.record))
        });
        let newer = known
            .as_ref()
            .is_none_or(|(_, known)| record.fetched > known.fetched);
        if !newer || record.fetched > now.saturating_add(Duration::from_secs(60)) {
            return false;
        }
        let longest = self.source.limits.cache_duration;
        let longest = record.fetched.saturating_add(longest);
        let record = Record {
            next_fetch: record.next_fetch.min(longest),
            ..record
        };
        let table = match known {
            Some((table, known)) if known.digest == record.digest => Some(table),
            _ => self.shared(&record, host).map(Rc::new),
        };
        let adopted = table.is_some();
        table.into_iter().for_each(|table| self.load(table, record));
        adopted
    }
}

impl Record {
    const FORMAT: u8 = 1;

    /// A format number; two times in milliseconds, on the clock that does not step; the length and the
    /// digest of the response.
    fn write(&self) -> Vec<u8> {
        let millis = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        let mut record = vec![Self::FORMAT];
        for time in [self.fetched, self.next_fetch] {
            record.extend_from_slice(&millis(time).to_le_bytes());
        }
        record.extend_from_slice(&self.length.to_le_bytes());
        record.extend_from_slice(&self.digest);
        record
    }

    fn read(record: &[u8]) -> Option<Self> {
        let (format, rest) = record.split_first()?;
        (*format == Self::FORMAT).then_some(())?;
        let (fetched, rest) = rest.split_first_chunk()?;
        let (next_fetch, rest) = rest.split_first_chunk()?;
        let (length, digest) = rest.split_first_chunk()?;
        let time = |bytes: &[u8; 8]| Duration::from_millis(u64::from_le_bytes(*bytes));
        Some(Self {
            fetched: time(fetched),
            next_fetch: time(next_fetch),
            length: u32::from_le_bytes(*length),
            digest: digest.try_into().ok()?,
        })
    }
}

#[cfg(test)]
mod tests;
