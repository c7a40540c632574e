//! A list that is fetched whole: when to ask for it, what to make of the response, and how long to go on
//! with the old one. The rules are those of published keys of tokens; there is no discovery.
//!
//! A bad response changes nothing but the time of the next question. Workers share the response in a
//! cell of its own, and what they look at on every tick is small: which response that is.

mod items;

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use hmac_sha256::Hash;

use crate::remote::{CellNames, Fetcher, Schedule, Service, read_answer};
use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::call::{Call, CallError, CallResponse};
use portcullis_exchange::credentials::{Credential, tells};
use portcullis_exchange::fetched::{Errand, Fetched, Next, Note, Purpose, Received, SharedCells};
use portcullis_exchange::host::{Host, Level};
use portcullis_exchange::http_uri::Uri;
use portcullis_exchange::meter::{Event, Timing};
use portcullis_wire::budget::{Share, reserve};

pub(crate) use self::items::{ItemList, ListError, ListWords, MostItems, Twice, read_list};

/// What is fetched so.
pub(crate) trait FetchedContent: ItemList {
    /// What names it in messages, before its name in the document.
    const PLACE: &'static str;
    /// What it brings, in the plural.
    const NOUN: &'static str;
    /// How the names of its shared cells begin.
    const CELLS: &'static str;
    /// What is counted when it has come, and when it has not.
    const FETCHED: Event;
    const FAILED: Event;
}

/// One such list of a document.
pub(crate) struct FetchedList<L> {
    name: Rc<str>,
    service: Service,
    uri: Uri,
    most: MostItems,
    part: Fetcher,
    state: RefCell<ListState<L>>,
}

struct ListState<L> {
    loaded: Option<LoadedList<L>>,
    schedule: Schedule,
    generation: u64,
}

struct LoadedList<L> {
    list: Rc<L>,
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

/// How long a list is used without a new response, if the document does not say: an hour, and longer only where
/// it is fetched more seldom. Whoever can keep the service from answering keeps alive so long what has been
/// revoked.
fn usual_max_stale(cache_duration: Duration) -> Duration {
    const USUAL: Duration = Duration::from_secs(3600);
    USUAL.max(cache_duration.saturating_mul(2))
}

/// The names under which workers share what is asked of a service there, with these values of its credentials.
fn names(service: &Service, uri: &Uri, value: impl Fn(&Credential) -> Option<String>) -> CellNames {
    service.names(&[uri.to_string().as_bytes()], value)
}

impl<L: FetchedContent> FetchedList<L> {
    /// Reads `remote: { cluster, uri, headers, timeout, cache_duration, max_stale, cooldown }`, and what
    /// `read_most` reads of how many items there may be.
    pub(crate) fn read(
        name: &Rc<str>,
        node: &Node<'_>,
        problems: &mut Problems,
        read_most: impl FnOnce(&mut Fields<'_>, &mut Problems) -> Option<MostItems>,
    ) -> Option<Self> {
        let mut fields: Fields<'_> = node.fields(problems)?;
        let read = Service::read(
            &mut fields,
            usual_max_stale,
            problems,
            |fields, problems| {
                let node = fields.required("uri", problems)?;
                Uri::read(&node, problems)
            },
        );
        let most = read_most(&mut fields, problems);
        fields.deny_unknown(problems);
        let ((service, uri), most) = (read?, most?);
        let fetcher = names(&service, &uri, |each| Some(each.written().to_owned())).keys;
        problems.account(node.pointer(), Share::Documents, most.memory::<L>());
        Some(Self {
            name: Rc::clone(name),
            part: Fetcher::new(format!("{}/{fetcher}", L::CELLS)),
            service,
            uri,
            most,
            state: RefCell::new(ListState {
                loaded: None,
                schedule: Schedule::default(),
                generation: 0,
            }),
        })
    }

    /// The list at `now`, on the clock that does not step; none before the first response, and none once
    /// it is too old.
    pub(crate) fn in_force(&self, now: Duration) -> Option<Rc<L>> {
        let age = self.age(now)?;
        (age <= self.service.limits.max_stale).then(|| self.last())?
    }

    /// The list that came last, however old it is.
    pub(crate) fn last(&self) -> Option<Rc<L>> {
        let state = self.state.try_borrow().ok()?;
        state.loaded.as_ref().map(|loaded| Rc::clone(&loaded.list))
    }

    /// How old it is; none before the first response.
    pub(crate) fn age(&self, now: Duration) -> Option<Duration> {
        let state = self.state.try_borrow().ok()?;
        let loaded = state.loaded.as_ref()?;
        Some(now.saturating_sub(loaded.record.fetched))
    }

    /// Counts changes of the list; none before the first response.
    pub(crate) fn generation(&self) -> u64 {
        self.state.try_borrow().map_or(0, |state| state.generation)
    }

    /// Asks for an early fetch because something was looked for that is not there. At most once in a cool-down, so that
    /// nobody can have the service hammered.
    pub(crate) fn request_refresh(&self, now: Duration) {
        if let Ok(mut state) = self.state.try_borrow_mut() {
            let cooldown = self.service.limits.cooldown;
            state.schedule.request_refresh(now, cooldown);
        }
    }

    /// Leaves fetching to another document with the same list, as long as there is one.
    pub(crate) fn release(&self) {
        self.part.release();
    }

    fn names(&self, host: &dyn Host) -> CellNames {
        names(&self.service, &self.uri, |each| {
            each.field(host).map(|(_, value)| value)
        })
    }

    /// The cell with the response itself.
    fn data_cell(&self, host: &dyn Host) -> String {
        format!("{}/data/{}", L::CELLS, self.names(host).keys)
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
        response: Result<(&[u8], Option<Duration>), ListError>,
        notes: &mut Vec<String>,
        host: &dyn Host,
    ) -> Result<Record, ListError> {
        let (body, age) = response?;
        let digest = Hash::hash(body);
        // Most responses are the one before: nothing has to be read again.
        let list = match self.loaded(&digest) {
            Some(list) => list,
            None => Rc::new(read_list(body, self.most, notes)?),
        };
        let pause = self.early(self.service.limits.pause(age));
        let record = Record {
            fetched: now,
            next_fetch: now.saturating_add(pause),
            digest,
            length: u32::try_from(body.len()).unwrap_or_default(),
        };
        // Should it not be taken, the others find no response of that digest, and ask themselves.
        let _ = host.compare_and_swap(&self.data_cell(host), None, body);
        self.load(list, record);
        Ok(record)
    }

    /// The list of the response of that digest, if it is the last that was read.
    fn loaded(&self, digest: &[u8; 32]) -> Option<Rc<L>> {
        let state = self.state.try_borrow().ok()?;
        let loaded = state.loaded.as_ref()?;
        (loaded.record.digest == *digest).then(|| Rc::clone(&loaded.list))
    }

    fn load(&self, list: Rc<L>, record: Record) {
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.schedule.answered(record.next_fetch);
            let before = state.loaded.replace(LoadedList { list, record });
            if before.is_none_or(|before| before.record.digest != record.digest) {
                state.generation = state.generation.wrapping_add(1);
            }
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

    /// The list of a response that another worker has fetched.
    fn shared(&self, record: &Record, host: &dyn Host) -> Option<L> {
        let length = usize::try_from(record.length).ok()?;
        (length <= self.most.body::<L>()).then_some(())?;
        let _memory = reserve(Share::Queues, length)?;
        let (body, _) = host.cell(&self.data_cell(host)).ok()??;
        let is_it = body.len() == length && Hash::hash(&body) == record.digest;
        is_it.then(|| read_list(&body, self.most, &mut Vec::new()).ok())?
    }

    /// What is said of a response, without any part of a credential.
    fn shown(&self, text: String, host: &dyn Host) -> String {
        let credentials = self.service.credentials.iter();
        let mut fields = credentials.filter_map(|each| each.field(host));
        match fields.any(|(_, value)| tells(&text, &value)) {
            true => "(left out, since a part of a credential stands in it)".to_owned(),
            false => text,
        }
    }
}

impl<L: FetchedContent> Fetched for FetchedList<L> {
    fn place(&self) -> String {
        format!("{} {}", L::PLACE, self.name)
    }

    fn noun(&self) -> &'static str {
        L::NOUN
    }

    fn cells(&self, host: &dyn Host) -> SharedCells {
        let names = self.names(host);
        SharedCells {
            published: format!("{}/keys/{}", L::CELLS, names.keys),
            lease: format!("{}/lease/{}", L::CELLS, names.lease),
        }
    }

    fn credentials(&self) -> &[Credential] {
        &self.service.credentials
    }

    fn cooldown(&self) -> Duration {
        self.service.limits.cooldown
    }

    fn timing(&self) -> Timing {
        Timing::KeysFetch
    }

    fn due(&self, now: Duration, host: &dyn Host) -> Option<Errand> {
        self.is_due(now).then_some(())?;
        let mut headers = self.uri.fields("GET");
        headers.push(("accept".into(), "application/json".to_owned()));
        for credential in &self.service.credentials {
            let field = credential.field(host);
            headers.extend(field.map(|(name, value)| (Cow::Owned(name.to_owned()), value)));
        }
        Some(Errand {
            call: Call {
                cluster: Rc::clone(&self.service.cluster),
                headers,
                body: Vec::new(),
                timeout: self.service.limits.timeout,
            },
            purpose: Purpose::default(),
        })
    }

    fn longest(&self, _: Purpose) -> usize {
        self.most.body::<L>()
    }

    fn received(
        &self,
        now: Duration,
        _: Purpose,
        response: Result<CallResponse<'_>, CallError>,
        host: &dyn Host,
    ) -> Received {
        let mut passed_over = Vec::new();
        let response = read_answer(response).map_err(ListError::NoAnswer);
        let arrived = self.arrived(now, response, &mut passed_over, host);
        let warn = |text: String| Note {
            level: Level::Warn,
            text: self.shown(text, host),
        };
        let mut notes: Vec<Note> = passed_over.into_iter().map(warn).collect();
        let (event, next) = match arrived {
            Ok(record) => (L::FETCHED, Next::Publish(record.write())),
            Err(error) => {
                let pause = self.back_off(now);
                let (noun, error, then) = (L::NOUN, error.told(&L::WORDS), pause.as_millis());
                let text = format!("the {noun} cannot be fetched: {error}; next try in {then} ms");
                notes.push(warn(text));
                (L::FAILED, Next::Wait(pause))
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
            Some((Rc::clone(&loaded.list), loaded.record))
        });
        let newer = known
            .as_ref()
            .is_none_or(|(_, known)| record.fetched > known.fetched);
        if !newer || record.fetched > now.saturating_add(Duration::from_secs(60)) {
            return false;
        }
        let longest = self.service.limits.cache_duration;
        let longest = record.fetched.saturating_add(longest);
        let record = Record {
            next_fetch: record.next_fetch.min(longest),
            ..record
        };
        let list = match known {
            Some((list, known)) if known.digest == record.digest => Some(list),
            _ => self.shared(&record, host).map(Rc::new),
        };
        let adopted = list.is_some();
        list.into_iter().for_each(|list| self.load(list, record));
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
