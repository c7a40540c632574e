//! Fetching: one worker asks, the others find the response in shared cells.
//!
//! Ticks run in every worker and on the main thread, and in a document that is being replaced
//! beside its successor. Who may ask is settled by a lease, a shared cell with a time: the worker
//! that moves it on by compare-and-swap asks. The very first time several may succeed; then several
//! ask, which does no harm.

use std::rc::Rc;
use std::time::Duration;

use super::calls::{CallInFlight, InFlight};
use portcullis_document::Quoted;
use portcullis_exchange::call::{Call, CallError, HostResponse, Owner, Token};
use portcullis_exchange::fetched::{Errand, Fetched, Next, Progress, Purpose, Received};
use portcullis_exchange::host::{CasResult, CasToken, Level, WorkerHost};
use portcullis_exchange::whole_response::WholeResponse;

/// What one document has fetched in one worker.
pub(super) struct Fetches(Vec<Fetch>);

struct Fetch {
    fetched: Rc<dyn Fetched>,
    /// The cell with what was fetched, and the mark under which it was last read.
    published: String,
    seen: Option<CasToken>,
    lease: String,
    /// The call whose end is awaited, and what it is for.
    call: Option<(Token, Purpose)>,
}

impl Fetches {
    pub(super) fn new(all: impl Iterator<Item = Rc<dyn Fetched>>, host: &dyn WorkerHost) -> Self {
        let fetch = |fetched: Rc<dyn Fetched>| {
            let cells = fetched.cells(host);
            Fetch {
                fetched,
                published: cells.published,
                seen: None,
                lease: cells.lease,
                call: None,
            }
        };
        Self(all.map(fetch).collect())
    }

    /// Takes up what others fetched, and asks for what is due.
    pub(super) fn tick(&mut self, calls: &mut InFlight, host: &dyn WorkerHost) {
        let now = host.monotonic();
        let mut due = Vec::new();
        for (index, fetch) in self.0.iter_mut().enumerate() {
            fetch.adopt(now, host);
            if let Some(errand) = fetch.fetched.due(now, host)
                && fetch.lease(now, &errand.call, host)
            {
                due.push((index, errand));
            }
        }
        for (index, errand) in due {
            self.ask(index, errand, calls, host);
        }
    }

    /// A response, or the news that there is none.
    pub(super) fn received(
        &mut self,
        index: usize,
        pending: CallInFlight,
        response: &dyn HostResponse,
        calls: &mut InFlight,
        host: &dyn WorkerHost,
    ) {
        let Some(fetch) = self.0.get_mut(index) else {
            return;
        };
        // Of a call that another has taken the place of, nothing is told.
        let Some((_, purpose)) = fetch.call.take() else {
            return;
        };
        let took = host.monotonic().saturating_sub(pending.since).as_millis();
        let took = u64::try_from(took).unwrap_or(u64::MAX);
        host.observe(fetch.fetched.timing().histogram(), took);
        if let Some(errand) = fetch.read(purpose, response, host) {
            self.ask(index, errand, calls, host);
        }
    }

    /// Reads on in one thing of which more is to be read than in one callback. Whether there may be more.
    pub(super) fn read_on(&mut self, calls: &mut InFlight, host: &dyn WorkerHost) -> bool {
        let now = host.monotonic();
        let mut all = self.0.iter_mut().enumerate();
        let found = all.find_map(|(index, fetch)| {
            let progress = fetch.fetched.read_on(now, host)?;
            Some((index, fetch, progress))
        });
        let Some((index, fetch, progress)) = found else {
            return false;
        };
        match progress {
            Progress::Reading => {}
            Progress::Adopted(adopted) => {
                if !adopted {
                    // Another try is due: with it may come what could not be read.
                    fetch.seen = None;
                }
                fetch.tell_adopted(adopted, host);
            }
            Progress::Received(received) => {
                if let Some(errand) = fetch.conclude(received, now, host) {
                    self.ask(index, errand, calls, host);
                }
            }
        }
        true
    }

    /// Asks, and where that cannot be asked, asks what is left to ask: for the keys, after the
    /// document.
    fn ask(&mut self, index: usize, errand: Errand, calls: &mut InFlight, host: &dyn WorkerHost) {
        let Some(fetch) = self.0.get_mut(index) else {
            return;
        };
        let mut next = Some(errand);
        while let Some(Errand { call, purpose }) = next.take() {
            match calls.make(Owner::Fetch(index), &call, host) {
                Ok(token) => {
                    if let Some((before, _)) = fetch.call.replace((token, purpose)) {
                        calls.end(before);
                    }
                }
                Err(error) => {
                    fetch.report(&call.cluster, error, host);
                    next = fetch.settle(purpose, Err(error), host);
                }
            }
        }
    }
}

impl Fetch {
    fn adopt(&mut self, now: Duration, host: &dyn WorkerHost) {
        let Ok(Some((published, mark))) = host.cell(&self.published) else {
            return;
        };
        let is_new = self.seen.replace(mark) != Some(mark);
        if is_new {
            let adopted = self.fetched.adopt(&published, now, host);
            self.tell_adopted(adopted, host);
        }
    }

    fn tell_adopted(&self, adopted: bool, host: &dyn WorkerHost) {
        if adopted {
            let line = format!("took up new {}", self.fetched.noun());
            self.log(Level::Info, &line, host);
        }
    }

    /// Whether this worker may ask.
    fn lease(&self, now: Duration, call: &Call, host: &dyn WorkerHost) -> bool {
        const LONGEST: Duration = Duration::from_secs(2 * 3600);
        let (until, seen) = match host.cell(&self.lease) {
            Ok(Some((value, mark))) => (time(&value), Some(mark)),
            Ok(None) | Err(_) => (None, None),
        };
        // A time that nobody here would write is somebody else's.
        let held = until.is_some_and(|until| now < until && until < now.saturating_add(LONGEST));
        !held && self.hold(ended_by(now, call), seen, host)
    }

    fn hold(&self, until: Duration, seen: Option<CasToken>, host: &dyn WorkerHost) -> bool {
        let millis = u64::try_from(until.as_millis()).unwrap_or(u64::MAX);
        let swapped = host.compare_and_swap(&self.lease, seen, &millis.to_le_bytes());
        swapped == Ok(CasResult::Written)
    }

    fn publish(&self, bytes: &[u8], now: Duration, host: &dyn WorkerHost) {
        if host.compare_and_swap(&self.published, None, bytes) != Ok(CasResult::Written) {
            let noun = self.fetched.noun();
            let line = format!("the {noun} cannot be shared; each worker fetches its own");
            self.log(Level::Warn, &line, host);
        }
        self.hold(now.saturating_add(self.fetched.cooldown()), None, host);
    }

    /// Reads a response and settles it. Only a success has a body that matters.
    fn read(
        &self,
        purpose: Purpose,
        response: &dyn HostResponse,
        host: &dyn WorkerHost,
    ) -> Option<Errand> {
        let longest = self.fetched.longest(purpose);
        let read = WholeResponse::read(response, longest, |status| status == Some(200));
        self.settle(purpose, read, host)
    }

    /// Hands over what has become of a call; the call to make now.
    fn settle(
        &self,
        purpose: Purpose,
        response: Result<WholeResponse, CallError>,
        host: &dyn WorkerHost,
    ) -> Option<Errand> {
        let now = host.monotonic();
        match self.fetched.received(now, purpose, response, host) {
            Some(received) => self.conclude(received, now, host),
            None => {
                self.keep_lease(now, host);
                None
            }
        }
    }

    /// Has nobody else ask while this worker reads.
    fn keep_lease(&self, now: Duration, host: &dyn WorkerHost) {
        const PATIENCE: Duration = Duration::from_secs(30);
        self.hold(now.saturating_add(PATIENCE), None, host);
    }

    /// Counts and logs what has become of a response; the call to make now.
    fn conclude(&self, received: Received, now: Duration, host: &dyn WorkerHost) -> Option<Errand> {
        let Received { event, notes, next } = received;
        host.count(event.counter());
        for note in notes {
            self.log(note.level, &note.text, host);
        }
        match next {
            Next::Call(errand) => {
                self.hold(ended_by(now, &errand.call), None, host);
                return Some(errand);
            }
            Next::Publish(bytes) => self.publish(&bytes, now, host),
            Next::Wait(pause) => {
                self.hold(now.saturating_add(pause), None, host);
            }
        }
        None
    }

    /// Logs that a call could not be made.
    fn report(&self, cluster: &str, error: CallError, host: &dyn WorkerHost) {
        match error {
            CallError::NoCluster => self.log(Level::Error, &no_cluster(cluster), host),
            _ => {
                let line = format!("cluster {cluster} cannot be called ({error:?})");
                self.log(Level::Warn, &line, host);
            }
        }
    }

    fn log(&self, level: Level, line: &str, host: &dyn WorkerHost) {
        host.log(level, &format!("{}: {line}", self.fetched.place()));
    }
}

/// The time at which it is certain that there is no response.
fn ended_by(now: Duration, call: &Call) -> Duration {
    now.saturating_add(call.timeout)
        .saturating_add(Duration::from_secs(1))
}

fn time(value: &[u8]) -> Option<Duration> {
    let millis = u64::from_le_bytes(value.try_into().ok()?);
    Some(Duration::from_millis(millis))
}

/// What to do where the proxy has no cluster of that name.
pub(super) fn no_cluster(cluster: &str) -> String {
    format!(
        "the proxy has no cluster {}; write one of that name, or correct the name (/clusters of the admin interface lists them; in Istio they are called outbound|443||host)",
        Quoted(cluster)
    )
}
