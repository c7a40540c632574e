//! A list that is fetched whole: when to ask for it, what to make of the response, and how long to go on
//! with the old one. The rules are those of published keys of tokens; there is no discovery.
//!
//! A bad response changes nothing but the time of the next question. Workers share the response in a
//! cell of its own, and what they look at on every tick is small: which response that is.
//!
//! A long response is read a slice at a time, so that requests do not wait for it ([`reading`]). Until it has
//! been read whole, and is good, the old list stays in force and nothing is shared.

mod items;
mod reading;
mod record;

use std::borrow::Cow;
use std::cell::RefCell;
use std::rc::Rc;
use std::time::Duration;

use self::reading::{ListOrigin, ListReading, ReadOn};
use self::record::Record;
use crate::remote::{CellNames, Fetcher, Schedule, Service, read_answer};
use portcullis_document::{Fields, Node, Problems};
use portcullis_exchange::call::{Call, CallError};
use portcullis_exchange::credentials::{Credential, tells};
use portcullis_exchange::fetched::{
    Errand, Fetched, Next, Note, Progress, Purpose, Received, SharedCells,
};
use portcullis_exchange::host::{Host, Level};
use portcullis_exchange::http_uri::Uri;
use portcullis_exchange::meter::{Event, Timing};
use portcullis_exchange::whole_response::{ReadBody, WholeResponse};
use portcullis_wire::budget::{Share, reserve};

#[cfg(test)]
pub(crate) use self::items::read_list;
pub(crate) use self::items::{ItemList, ListError, ListWords, MostItems, Twice};

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
pub(crate) struct FetchedList<L: ItemList> {
    name: Rc<str>,
    service: Service,
    uri: Uri,
    most: MostItems,
    part: Fetcher,
    state: RefCell<ListState<L>>,
}

struct ListState<L: ItemList> {
    loaded: Option<LoadedList<L>>,
    reading: Option<ListReading<L>>,
    schedule: Schedule,
    generation: u64,
}

struct LoadedList<L> {
    list: Rc<L>,
    record: Record,
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
                reading: None,
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

    /// Lets go of a response that has not been read whole: it is fetched again.
    pub(crate) fn forget(&self) {
        self.begin(None);
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
        state.is_ok_and(|state| state.reading.is_none() && state.schedule.is_due(now, is_replaced))
    }

    /// Has that read in place of what is being read.
    fn begin(&self, reading: Option<ListReading<L>>) {
        if let Ok(mut state) = self.state.try_borrow_mut() {
            state.reading = reading;
        }
    }

    /// Whether the response of that record is being read already. It goes on, for the newer record: else one that
    /// takes longer to read than until the next record would never be read to its end.
    fn is_reading(&self, record: Record) -> bool {
        let Ok(mut state) = self.state.try_borrow_mut() else {
            return false;
        };
        match state.reading.as_mut().map(|reading| &mut reading.origin) {
            Some(ListOrigin::Shared(known)) if known.is_of_same(&record) => {
                *known = record;
                true
            }
            _ => false,
        }
    }

    /// Reads a slice.
    fn read_slice(&self, now: Duration, host: &dyn Host) -> Option<Progress> {
        let mut state = self.state.try_borrow_mut().ok()?;
        let reading = state.reading.take()?;
        let loaded = state.loaded.as_ref();
        let known = loaded.map(|loaded| loaded.record.digest);
        let (whole, reading) = match reading.read_on(known, self.most) {
            ReadOn::Reading(reading) => {
                state.reading = Some(reading);
                return Some(Progress::Reading);
            }
            ReadOn::Ended(whole, reading) => (whole, reading),
        };
        drop(state);
        Some(match reading.origin {
            ListOrigin::Response { since, age } => {
                let arrived =
                    whole.and_then(|list| self.arrived(list, &reading, (since, age), host));
                Progress::Received(self.told(now, arrived, &reading.notes, host))
            }
            ListOrigin::Shared(record) => {
                let list = whole.ok().map(|list| list.map(Rc::new));
                let list = list.and_then(|list| list.or_else(|| self.loaded(&record.digest)));
                let adopted = list.is_some();
                list.into_iter().for_each(|list| self.load(list, record));
                Progress::Adopted(adopted)
            }
        })
    }

    /// Takes up a response that has been read, and shares it. No list is the one that is in force.
    fn arrived(
        &self,
        list: Option<L>,
        reading: &ListReading<L>,
        (since, age): (Duration, Option<Duration>),
        host: &dyn Host,
    ) -> Result<Record, ListError> {
        let list = list.map(Rc::new).or_else(|| self.loaded(&reading.digest));
        let list = list.ok_or(ListError::NoList)?;
        let pause = self.early(self.service.limits.pause(age));
        let body = reading.body.bytes();
        let record = Record {
            fetched: since,
            next_fetch: since.saturating_add(pause),
            digest: reading.digest,
            length: u32::try_from(body.len()).unwrap_or_default(),
        };
        // Should it not be taken, the others find no response of that digest, and ask themselves.
        let _ = host.compare_and_swap(&self.data_cell(host), None, body);
        self.load(list, record);
        Ok(record)
    }

    /// What has become of a response.
    fn told(
        &self,
        now: Duration,
        arrived: Result<Record, ListError>,
        passed_over: &[String],
        host: &dyn Host,
    ) -> Received {
        let warn = |text: String| Note {
            level: Level::Warn,
            text: self.shown(text, host),
        };
        let mut notes: Vec<Note> = passed_over.iter().cloned().map(warn).collect();
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

    /// When the newest response came that is known: the one in force, or that is being read.
    fn newest(&self) -> Option<Duration> {
        let state = self.state.try_borrow().ok()?;
        let read = state.reading.as_ref().map(|reading| reading.origin.since());
        let loaded = state.loaded.as_ref().map(|loaded| loaded.record.fetched);
        read.max(loaded)
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

    /// The response that another worker has fetched.
    fn shared(&self, record: &Record, host: &dyn Host) -> Option<ReadBody> {
        let length = usize::try_from(record.length).ok()?;
        (length <= self.most.body::<L>()).then_some(())?;
        let memory = reserve(Share::Queues, length)?;
        let (body, _) = host.cell(&self.data_cell(host)).ok()??;
        (body.len() == length).then(|| ReadBody::held(body, memory))
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
        response: Result<WholeResponse, CallError>,
        host: &dyn Host,
    ) -> Option<Received> {
        let age = read_answer(&response).map(|(_, age)| age);
        let (age, whole) = match (age, response) {
            (Ok(age), Ok(whole)) => (age, whole),
            (Err(error), _) => {
                let error = Err(ListError::NoAnswer(error));
                return Some(self.told(now, error, &[], host));
            }
            (Ok(_), Err(_)) => return None,
        };
        // Of what is being read this is the newer; an answer that is of no use leaves that alone.
        let origin = ListOrigin::Response { since: now, age };
        self.begin(Some(ListReading::new(whole.into_body(), origin)));
        match self.read_slice(now, host)? {
            Progress::Received(received) => Some(received),
            Progress::Reading | Progress::Adopted(_) => None,
        }
    }

    fn read_on(&self, now: Duration, host: &dyn Host) -> Option<Progress> {
        self.read_slice(now, host)
    }

    fn adopt(&self, published: &[u8], now: Duration, host: &dyn Host) -> bool {
        let Some(record) = Record::read(published) else {
            return false;
        };
        let known = self.newest();
        let newer = known.is_none_or(|known| record.fetched > known);
        if !newer || record.fetched > now.saturating_add(Duration::from_secs(60)) {
            return false;
        }
        let longest = self.service.limits.cache_duration;
        let longest = record.fetched.saturating_add(longest);
        let record = Record {
            next_fetch: record.next_fetch.min(longest),
            ..record
        };
        // Most responses are the one before: that is not asked of the proxy again.
        if let Some(list) = self.loaded(&record.digest) {
            self.begin(None);
            self.load(list, record);
            return true;
        }
        if self.is_reading(record) {
            return false;
        }
        let Some(body) = self.shared(&record, host) else {
            return false;
        };
        self.begin(Some(ListReading::new(body, ListOrigin::Shared(record))));
        matches!(self.read_slice(now, host), Some(Progress::Adopted(true)))
    }
}

#[cfg(test)]
mod tests;
