//! One plugin configuration in one VM: the document as it came, then compiled.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::Duration;

use super::abi::{self, Buffer, HostError, LogLevel};
use super::calls::Arrived;
use super::held::BodyHoldWatchdog;
use super::host::{Envoy, add, define, lineage};
use super::vm;
use super::waits::{self, Waits};
use portcullis_engine::config;
use portcullis_engine::engine::Engine;
use portcullis_engine::metrics;
use portcullis_engine::proof;
use portcullis_engine::worker::{FailedCall, Worker, report_missing};
use portcullis_exchange::call::Token;
use portcullis_exchange::exchange::FilterStateKey;
use portcullis_exchange::host::{Clock as _, MetricId, MetricKind, Property};
use portcullis_wire::budget;
use portcullis_wire::budget::{Reservation, Share};

/// How often it is looked whether something is due.
const TICK_MILLISECONDS: u32 = waits::USUAL.as_millis() as u32;

/// When a document is compiled that was taken: as soon as Envoy has configured all it wants to.
const SOON_MILLISECONDS: u32 = 1;

/// One plugin configuration. Until its document is compiled, requests are refused.
pub(super) struct Plugin {
    /// Its root context.
    id: u32,
    state: RefCell<State>,
    barred: RefCell<DenyAll>,
    /// What compiling the document takes of memory at most; 0 before that is known.
    bound: Cell<usize>,
    /// Whether it has been said that there is no memory for the document.
    told: Cell<bool>,
}

enum State {
    /// The proxy has not handed over a document.
    Empty,
    /// It has, and it is to be compiled.
    Pending(Vec<u8>),
    /// It is being compiled.
    Compiling,
    /// It is in force.
    Running(Rc<Running>),
}

/// What judges by a document, and what that asks for besides requests.
pub(super) struct Running {
    pub(super) engine: Rc<Engine>,
    pub(super) host: Rc<Envoy>,
    /// Whether bodies are shown as far as can be known: where they are not, nothing that is to be judged
    /// by its body may pass.
    pub(super) shows_bodies: bool,
    /// Whether records have the status of the response.
    pub(super) records_status: bool,
    pub(super) held: BodyHoldWatchdog,
    pub(super) waits: Waits,
    pub(super) worker: Worker,
    /// When all was last done that is done in ticks.
    ticked: Cell<Option<Duration>>,
    lineage: String,
}

impl Plugin {
    pub(super) fn new(id: u32) -> Self {
        Self {
            id,
            state: RefCell::new(State::Empty),
            barred: RefCell::default(),
            bound: Cell::new(0),
            told: Cell::new(false),
        }
    }

    /// Takes the document, of so many bytes. `false` only where these bytes are no valid document,
    /// and only in a VM in which nothing was configured before: the one in which Envoy tries it.
    ///
    /// In a VM that was used before, nothing here allocates but by ways that can fail.
    pub(super) fn configure(self: &Rc<Self>, size: usize) -> bool {
        let fresh = vm::is_fresh();
        let document = match self.take_document(size) {
            Ok(document) => document,
            Err(error) => {
                vm::say(
                    LogLevel::Error,
                    match error {
                        HostError::NO_MEMORY => {
                            "there is no memory for the configuration in the worker's VM; it refuses every request until the next update"
                        }
                        HostError(_) => {
                            "the proxy does not hand over the configuration; every request is refused"
                        }
                    },
                );
                self.bar();
                self.ask_for_tick(TICK_MILLISECONDS);
                return true;
            }
        };
        if fresh && !is_proven(&document) && !is_valid(&document) {
            return false;
        }
        self.set(State::Pending(document));
        self.ask_for_tick(SOON_MILLISECONDS);
        true
    }

    fn take_document(&self, size: usize) -> Result<Vec<u8>, HostError> {
        if size == 0 {
            return Ok(Vec::new());
        }
        if !vm::has_room(size) {
            return Err(HostError::NO_MEMORY);
        }
        abi::buffer(Buffer::PluginConfiguration)
    }

    /// What judges a request, in its context. A document that was taken and not compiled is compiled now.
    pub(super) fn running(self: &Rc<Self>, context: u32) -> Option<Rc<Running>> {
        self.compiled().or_else(|| {
            self.compile();
            // That concerned the plugin; what follows concerns the request.
            abi::set_effective_context(context).ok()?;
            self.compiled()
        })
    }

    /// What judges requests, if the document has been compiled.
    #[inline]
    pub(super) fn compiled(&self) -> Option<Rc<Running>> {
        match self.state.try_borrow().as_deref() {
            Ok(State::Running(running)) => Some(Rc::clone(running)),
            _ => None,
        }
    }

    /// Compiles the document that was taken, if there is memory for it. A trap here refuses.
    fn compile(self: &Rc<Self>) {
        let document = match self.set(State::Compiling) {
            State::Pending(document) => document,
            other => {
                self.set(other);
                return;
            }
        };
        let Some(mut memory) = self.memory_for(&document) else {
            self.set(State::Pending(document));
            self.bar();
            return;
        };
        // A request may have come before the tick; what follows concerns the plugin.
        let _ = abi::set_effective_context(self.id);
        let before = budget::live();
        match Engine::compile(&document).map(Engine::with_plans) {
            Ok(engine) => {
                // What is left over is the engine's own.
                memory.shrink_to(budget::live().saturating_sub(before));
                self.run(engine, memory);
                vm::keep_reserve();
            }
            Err(error) => {
                report(&error);
                log::error!(
                    "the configuration was accepted before and is refused now; every request is refused"
                );
                self.set(State::Empty);
                self.bar();
            }
        }
    }

    /// Memory for the largest thing that the document can become. If there is none, what is
    /// remembered is given up for it.
    fn memory_for(&self, document: &[u8]) -> Option<Reservation> {
        // Counted once: requests may ask again and again.
        if self.bound.get() == 0 {
            self.bound.set(config::bound(document));
        }
        let bytes = self.bound.get();
        let memory = budget::reserve(Share::Documents, bytes).or_else(|| {
            // Where other documents have it all, that would help nobody, as often as requests come.
            let of_documents = budget::used(Share::Documents).saturating_add(bytes);
            if of_documents > Share::Documents.most() {
                return None;
            }
            vm::forget_tokens();
            budget::reserve(Share::Documents, bytes)
        });
        if memory.is_none() && !self.told.replace(true) {
            log::error!(
                "the worker's VM has no memory for the new configuration while requests of older ones last; it refuses every request and tries again. Shorten the drain time, update less often, or make the configuration smaller"
            );
        }
        memory
    }

    /// Begins to judge by a document, and to do what it asks for besides requests.
    fn run(self: &Rc<Self>, mut engine: Engine, memory: Reservation) {
        let host = Rc::new(Envoy::new());
        report_missing(&engine, &*host);
        engine.exports().iter().for_each(declare_filter_state);
        let (routes, [a, b, c, d, ..]) = (engine.route_count(), *engine.digest());
        log::info!("configured, routes: {routes}, sha256: {a:02x}{b:02x}{c:02x}{d:02x}");
        engine.hold(memory);
        let engine = Rc::new(engine);
        let worker = Worker::new(Rc::clone(&engine), Rc::clone(&host) as _);
        if self.ask_for_tick(TICK_MILLISECONDS) {
            host.ticks();
        }
        let shows_bodies = abi::may_replace_bodies();
        if !shows_bodies {
            log::warn!(
                "capability_restriction_config keeps proxy_set_buffer_bytes from the filter, so that bodies count as not shown: what is to be judged by its body gets 503"
            );
        }
        let running = Running {
            shows_bodies,
            records_status: engine
                .access_log()
                .is_some_and(|log| log.asks(Property::ResponseStatus)),
            held: BodyHoldWatchdog::default(),
            waits: Waits::new(host.monotonic()),
            worker,
            ticked: Cell::new(None),
            lineage: lineage(),
            engine,
            host,
        };
        self.set(State::Running(Rc::new(running)));
        if let Ok(mut barred) = self.barred.try_borrow_mut() {
            *barred = DenyAll::default();
        }
        vm::replace(self);
    }

    /// Envoy may not be able to call anybody while it configures; the first call is made here.
    pub(super) fn tick(self: &Rc<Self>) {
        self.compile();
        let running = self.compiled();
        if let Some(running) = &running {
            running.call_again(self.id);
            if !running.is_due() {
                let is_busy = running.worker.read_on();
                running.waits.tick(self.id, is_busy, &*running.host);
                return;
            }
            running.tick(self.id);
        } else {
            // A tick that was asked for soon has come.
            self.ask_for_tick(TICK_MILLISECONDS);
        }
        if let Ok(mut barred) = self.barred.try_borrow_mut() {
            barred.tick();
        }
        // Last, for much of the above counts.
        match &running {
            Some(running) => {
                vm::tick(&running.host);
                running.host.flush_counters();
            }
            None => vm::tick(&Envoy::new()),
        }
    }

    /// The response to a call, or the news that there is none.
    pub(super) fn call_response(&self, token: u32, response: &Arrived) {
        if let Some(running) = self.compiled() {
            running.call_response(Token(token), response);
        }
    }

    /// Whether one may have come in the place of the other.
    pub(super) fn has_lineage_of(&self, other: &Self) -> bool {
        let (one, other) = (self.compiled(), other.compiled());
        one.zip(other)
            .is_some_and(|(one, other)| one.lineage == other.lineage)
    }

    /// Forgets what can be found out again.
    pub(super) fn forget_tokens(&self) {
        if let Some(running) = self.compiled() {
            running.engine.forget_tokens();
        }
    }

    /// Lets go of what is remembered to make answers quicker, since another document is in force.
    pub(super) fn release_caches(&self) {
        if let Some(running) = self.compiled() {
            running.engine.release_caches();
        }
    }

    fn bar(&self) {
        if let Ok(mut barred) = self.barred.try_borrow_mut() {
            barred.begin();
        }
    }

    fn set(&self, state: State) -> State {
        match self.state.try_borrow_mut() {
            Ok(mut current) => std::mem::replace(&mut *current, state),
            // Nobody holds it across a callback.
            Err(_) => State::Empty,
        }
    }

    fn ask_for_tick(&self, milliseconds: u32) -> bool {
        let asked = abi::set_tick_period(milliseconds);
        if asked.is_err() {
            vm::say(
                LogLevel::Error,
                "the proxy gives no ticks; keys are never fetched, gauges never set, and a wrong setting for held heads never noticed",
            );
        }
        asked.is_ok()
    }
}

impl Drop for Plugin {
    fn drop(&mut self) {
        vm::leave();
    }
}

impl Running {
    /// Whether it is time for all that is done in ticks. They come more often while a request waits.
    fn is_due(&self) -> bool {
        let now = self.host.monotonic();
        let last = self.ticked.get();
        // A little before, for the proxy's clock may stand still during its callbacks.
        let since = last.map(|last| now.saturating_sub(last));
        let is_time = |since: Duration| since.is_zero() || since >= waits::USUAL.mul_f32(0.9);
        // A clock that stands still for good must not put an end to ticks.
        let is_due = since.is_none_or(is_time);
        if is_due {
            self.ticked.set(Some(now));
        }
        is_due
    }

    fn tick(&self, root: u32) {
        self.host.forget_cells();
        let is_busy = self.worker.tick();
        // What follows concerns requests.
        self.held.tick(&*self.host);
        self.waits.tick(root, is_busy, &*self.host);
    }

    /// Makes calls again that requests wait for which did not make them. Those who did have left, and a call
    /// ends with the context that makes it.
    fn call_again(&self, root: u32) {
        for failed in self.worker.call_again() {
            let FailedCall { awaiting, error } = failed;
            self.waits.received(&awaiting, &Err(error));
            let _ = abi::set_effective_context(root);
        }
    }

    fn call_response(&self, token: Token, response: &Arrived) {
        let awaiting = self.worker.received(token, response);
        self.host.flush_counters();
        // What follows concerns requests.
        if let Some(awaiting) = awaiting {
            self.waits.received(&awaiting, &waits::read(response));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.worker.leave();
    }
}

/// Whether this worker refuses everything, and has said so in the gauge of workers that do.
#[derive(Debug, Default, PartialEq, Eq)]
enum DenyAll {
    #[default]
    No,
    Untold,
    Told(Option<MetricId>),
}

impl DenyAll {
    fn begin(&mut self) {
        if *self == DenyAll::No {
            *self = DenyAll::Untold;
        }
    }

    /// On ticks and not while configuring: Envoy tries documents in a VM that never ticks.
    fn tick(&mut self) {
        if *self == DenyAll::Untold {
            let name = format!("portcullis.{}", metrics::DENY_ALL);
            let id = define(MetricKind::Gauge, &name);
            if let Some(id) = id {
                add(id, 1);
            }
            *self = DenyAll::Told(id);
        }
    }
}

impl Drop for DenyAll {
    fn drop(&mut self) {
        if let DenyAll::Told(Some(id)) = self {
            add(*id, -1);
        }
    }
}

/// Tries a document that no VM is known to have compiled before, and tells what an operator should
/// know of it. It is compiled again when it is to be used: nearly always in another VM.
fn is_valid(document: &[u8]) -> bool {
    match Engine::compile(document) {
        Ok(engine) => {
            for note in engine.notes() {
                log::warn!("{note}");
            }
            for footprint in engine.memory_estimates() {
                log::info!("{footprint}");
            }
            prove(document);
            true
        }
        Err(error) => {
            report(&error);
            false
        }
    }
}

/// Whether a VM of this proxy has compiled the document.
fn is_proven(document: &[u8]) -> bool {
    match abi::shared(proof::CELL) {
        Ok((cell, _)) => proof::holds(&cell, &proof::digest(document)),
        // There is a note and no memory to read it, so this VM has failed and refuses. To compile
        // now would trap once more, where a trap lets requests pass.
        Err(HostError::NOT_HANDED_OVER) => true,
        Err(HostError(_)) => false,
    }
}

/// Notes that this VM has.
fn prove(document: &[u8]) {
    const TRIES: usize = 4;
    let digest = proof::digest(document);
    for _ in 0..TRIES {
        let (cell, seen) = match abi::shared(proof::CELL) {
            Ok((cell, seen)) => (cell, Some(seen)),
            Err(HostError(_)) => (Vec::new(), None),
        };
        if abi::set_shared(proof::CELL, &proof::with(&cell, &digest), seen).is_ok() {
            return;
        }
    }
    // Without a proof, workers compile while they configure.
    log::info!("the proxy does not keep note that it has compiled the configuration");
}

fn report(error: &config::ConfigError) {
    log::error!("configuration refused, problems: {}", error.problems.len());
    for problem in &error.problems {
        log::error!("{problem}");
    }
}

/// Tells Envoy that a value is text; without that, others would see bytes. Envoy asks for this on
/// the root context. Hosts that cannot be told so go on with bytes.
fn declare_filter_state(name: &FilterStateKey) {
    // `DeclarePropertyArguments`: `name`, and `type: String`.
    let name = name.as_str().as_bytes();
    let Ok(length) = u8::try_from(name.len()) else {
        return;
    };
    let message = [&[0x0a, length][..], name, &[0x18, 0x01]].concat();
    if let Err(HostError(status)) = abi::foreign_function("declare_property", &message) {
        log::warn!(
            "the proxy does not take declarations (status {status}); exported values are bytes"
        );
    }
}
