//! A host in memory: all that the core asks of a proxy, without one.
//!
//! It serves whatever runs the engine natively: a command, the case files, every test. Its clock
//! can be set, its counters can be read, its cells can be made to fail. What it does not know it
//! says so: without a client address there is none, and no signature is checked by it unless it is
//! told how.
//!
//! It is one worker with one request at a time, as a VM is: it is neither `Send` nor `Sync`.
//!
//! INVARIANT: no borrow of its parts outlives the method that takes it, and no code from outside
//! runs meanwhile. So none of the borrows can fail.

mod body;
mod calls;
mod cells;
mod clock;
mod metrics;
#[cfg(test)]
mod tests;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;
use std::time::Duration;

pub use calls::{CallEnd, MemoryResponse};
pub use cells::{CellTable, ForgetfulCells};
pub use metrics::Recorded;
use portcullis_exchange::call::{Call, CallError, Calls, Token};
use portcullis_exchange::cell_memory::CellMemory;
use portcullis_exchange::host::{
    Bodies, CasResult, CasToken, CellUnavailable, Cells, Clock, Counter, Counters, Entropy,
    Environment, Failure, Histogram, HostVerdict, Level, Log, MetricId, MetricKind, Metrics,
    Properties, Property, Side, SignatureCheck, Signatures,
};

use body::BodyBuffers;
use calls::Clusters;
use cells::CellFault;
use clock::Clocks;
use metrics::{Lines, Registry};

/// Checks one signature.
type Checker = Box<dyn Fn(SignatureCheck<'_>) -> HostVerdict>;
/// Writes one line of the log.
type Writer = Box<dyn Fn(Level, &str)>;

/// A host whose every part is in memory. Its clock stands at the beginning of time until it is
/// set or moved.
pub struct MemoryHost {
    clocks: Clocks,
    registry: RefCell<Registry>,
    environment: RefCell<BTreeMap<String, Vec<u8>>>,
    properties: RefCell<Vec<(Property, Vec<u8>)>>,
    cells: Rc<RefCell<CellTable>>,
    /// Where cells are, if not in the table.
    store: Option<Rc<dyn Cells>>,
    /// What was written to cells last, if that is remembered.
    memory: RefCell<Option<CellMemory>>,
    fault: Cell<CellFault>,
    bodies: RefCell<BodyBuffers>,
    random: Cell<u64>,
    checker: Option<Checker>,
    clusters: RefCell<Clusters>,
    lines: RefCell<Lines>,
    /// Where lines go, if they are not kept.
    writer: Option<Writer>,
    filter_state: RefCell<BTreeMap<String, String>>,
}

impl Default for MemoryHost {
    fn default() -> Self {
        Self::new()
    }
}

/// What it is from its beginning.
impl MemoryHost {
    /// One that knows nothing, whose random bits are the same in every run, and whose cells are
    /// empty.
    pub fn new() -> Self {
        Self {
            clocks: Clocks::default(),
            registry: RefCell::default(),
            environment: RefCell::default(),
            properties: RefCell::default(),
            cells: Rc::default(),
            store: None,
            memory: RefCell::new(None),
            fault: Cell::default(),
            bodies: RefCell::default(),
            random: Cell::new(0),
            checker: None,
            clusters: RefCell::default(),
            lines: RefCell::default(),
            writer: None,
            filter_state: RefCell::default(),
        }
    }

    /// One with the system's clocks, and random bits that nobody can guess: what a command runs.
    pub fn of_system() -> Self {
        let mut host = Self::new();
        host.clocks = Clocks::of_system();
        // The standard library seeds its hashers from the system's random bytes.
        host.with_seed(RandomState::new().hash_one(0_u8))
    }

    /// Both clocks stand at that time; those of the system go on, the wall clock from that time.
    #[must_use]
    pub fn at(self, now: Duration) -> Self {
        self.set_now(now);
        self
    }

    /// Both clocks stand so many seconds after their beginning.
    #[must_use]
    pub fn at_second(self, now: u64) -> Self {
        self.at(Duration::from_secs(now))
    }

    /// Every look at the monotonic clock moves both clocks on by so much.
    #[must_use]
    pub fn with_clock_step(self, step: Duration) -> Self {
        self.clocks.set_step(step);
        self
    }

    /// The address and port of the client.
    #[must_use]
    pub fn with_client(self, address: &str) -> Self {
        self.with_property(Property::ClientAddress, address)
    }

    /// What it knows of a connection or an exchange.
    #[must_use]
    pub fn with_property(self, property: Property, value: impl Into<Vec<u8>>) -> Self {
        self.set_property(property, value);
        self
    }

    /// The same, of a number.
    #[must_use]
    pub fn with_number(self, property: Property, value: u64) -> Self {
        self.set_number(property, value);
        self
    }

    /// A variable of the environment.
    #[must_use]
    pub fn with_variable(self, name: &str, value: impl Into<Vec<u8>>) -> Self {
        self.set_variable(name, value);
        self
    }

    /// The body that it has at hand, of either side.
    #[must_use]
    pub fn with_bodies(self, bytes: &[u8]) -> Self {
        self.set_body(Side::Request, bytes);
        self.set_body(Side::Response, bytes);
        self
    }

    /// Signatures are checked by that.
    #[must_use]
    pub fn with_signatures(
        mut self,
        check: impl Fn(SignatureCheck<'_>) -> HostVerdict + 'static,
    ) -> Self {
        self.checker = Some(Box::new(check));
        self
    }

    /// Random bits that follow from a seed.
    #[must_use]
    pub fn with_seed(self, seed: u64) -> Self {
        self.random.set(seed);
        self
    }

    /// Cells that stand elsewhere than in its own table.
    #[must_use]
    pub fn with_cell_store(mut self, store: Rc<dyn Cells>) -> Self {
        self.store = Some(store);
        self
    }

    /// What is written to cells is remembered, as the worker of a proxy does.
    #[must_use]
    pub fn with_cell_memory(self) -> Self {
        self.memory.replace(Some(CellMemory::default()));
        self
    }

    /// Cells that are there already.
    #[must_use]
    pub fn with_cells(self, cells: CellTable) -> Self {
        self.cells.replace(cells);
        self
    }

    /// The cells of another: both are workers of one proxy.
    #[must_use]
    pub fn with_cells_of(mut self, other: &Self) -> Self {
        self.cells = Rc::clone(&other.cells);
        self
    }

    /// A cluster that can be called. Its calls are to be taken, and their ends told, by whoever
    /// runs the host.
    #[must_use]
    pub fn with_cluster(self, name: &str) -> Self {
        self.clusters.borrow_mut().add(name, None);
        self
    }

    /// A cluster that answers each call at once, by a function of the call alone. The ends of its
    /// calls are there to be [taken](Self::take_ended), and told.
    #[must_use]
    pub fn with_responding_cluster(
        self,
        name: &str,
        answer: impl Fn(&Call) -> Result<MemoryResponse, CallError> + 'static,
    ) -> Self {
        let answer = Some(Rc::new(answer) as _);
        self.clusters.borrow_mut().add(name, answer);
        self
    }

    /// Lines of the log go there and are not kept.
    #[must_use]
    pub fn with_log(mut self, write: impl Fn(Level, &str) + 'static) -> Self {
        self.writer = Some(Box::new(write));
        self
    }

    /// No access to cells.
    #[must_use]
    pub fn without_cells(self) -> Self {
        self.fail_cells(true);
        self
    }
}

/// What changes while it runs.
impl MemoryHost {
    /// Sets both clocks.
    pub fn set_now(&self, now: Duration) {
        self.clocks.set_wall(now);
        self.clocks.set_monotonic(now);
    }

    /// Sets the wall clock alone: it steps, and what lasts is to know nothing of it.
    pub fn set_wall_clock(&self, now: Duration) {
        self.clocks.set_wall(now);
    }

    /// Lets time pass, on both clocks.
    pub fn advance(&self, by: Duration) {
        self.clocks.advance(by);
    }

    /// What it knows of a connection or an exchange from now on.
    pub fn set_property(&self, property: Property, value: impl Into<Vec<u8>>) {
        let mut properties = self.properties.borrow_mut();
        properties.retain(|(each, _)| *each != property);
        properties.push((property, value.into()));
    }

    /// The same, of a number.
    pub fn set_number(&self, property: Property, value: u64) {
        self.set_property(property, value.to_le_bytes());
    }

    /// It no longer knows that.
    pub fn clear_property(&self, property: Property) {
        let mut properties = self.properties.borrow_mut();
        properties.retain(|(each, _)| *each != property);
    }

    /// The address and port of the client from now on.
    pub fn set_client(&self, address: &str) {
        self.set_property(Property::ClientAddress, address);
    }

    /// Sets a variable of the environment.
    pub fn set_variable(&self, name: &str, value: impl Into<Vec<u8>>) {
        let mut environment = self.environment.borrow_mut();
        environment.insert(name.to_owned(), value.into());
    }

    /// What is at hand of a body.
    pub fn set_body(&self, side: Side, bytes: &[u8]) {
        self.bodies.borrow_mut().set(side, bytes);
    }

    /// A piece of a body has come. It is added to what is at hand if that was `held`, and else
    /// takes its place. How much is at hand then.
    pub fn receive(&self, side: Side, piece: &[u8], held: bool) -> u64 {
        self.bodies.borrow_mut().receive(side, piece, held)
    }

    /// Whether cells cannot be had from now on.
    pub fn fail_cells(&self, fail: bool) {
        let fault = match fail {
            true => CellFault::Unavailable,
            false => CellFault::None,
        };
        self.fault.set(fault);
    }

    /// So many of the next writes to cells find that another worker was quicker. The cells stay as
    /// they are.
    pub fn lose_writes(&self, writes: u32) {
        self.fault.set(CellFault::Lost(writes));
    }

    /// Writes a cell as another worker might, or a plugin that means something else by it.
    ///
    /// # Errors
    /// There is no room for it.
    pub fn set_cell(&self, key: &str, value: &[u8]) -> Result<(), CellUnavailable> {
        self.cells.borrow_mut().write(key, None, value).map(drop)
    }
}

/// What can be read of it.
impl MemoryHost {
    /// How often something has been counted.
    pub fn counted(&self, counter: Counter) -> u64 {
        self.registry.borrow().counted(counter)
    }

    /// What a histogram has recorded.
    pub fn recorded(&self, histogram: Histogram) -> Recorded {
        self.registry.borrow().recorded(histogram)
    }

    /// The value of a metric that a document brought.
    pub fn metric(&self, name: &str) -> Option<i64> {
        self.registry.borrow().named(name)
    }

    /// The lines of the log since they were taken last, up to 1024 of them.
    pub fn take_log(&self) -> Vec<(Level, String)> {
        self.lines.borrow_mut().take()
    }

    /// What has been set as filter state under a name.
    pub fn filter_state(&self, name: &str) -> Option<String> {
        self.filter_state.borrow().get(name).cloned()
    }

    /// The calls since they were taken last.
    pub fn take_calls(&self) -> Vec<(Token, Call)> {
        self.clusters.borrow_mut().take_calls()
    }

    /// The ends of calls, of which whoever made them is to be told.
    pub fn take_ended(&self) -> Vec<(Token, CallEnd)> {
        self.clusters.borrow_mut().take_ended()
    }

    /// The token of the last call.
    pub fn last_call(&self) -> Option<Token> {
        self.clusters.borrow().last()
    }

    /// The cells of its own table as they are now.
    pub fn cells(&self) -> CellTable {
        self.cells.borrow().clone()
    }
}

impl Clock for MemoryHost {
    fn wall_clock(&self) -> Duration {
        self.clocks.wall()
    }

    fn monotonic(&self) -> Duration {
        self.clocks.monotonic()
    }
}

impl Counters for MemoryHost {
    fn count_many(&self, counter: Counter, many: u64) {
        self.registry.borrow_mut().count(counter, many);
    }

    fn observe(&self, histogram: Histogram, value: u64) {
        self.registry.borrow_mut().record(histogram, value);
    }
}

impl Environment for MemoryHost {
    fn environment(&self, name: &str) -> Option<Vec<u8>> {
        self.environment.borrow().get(name).cloned()
    }
}

impl Signatures for MemoryHost {
    fn verify_signature(&self, check: SignatureCheck<'_>) -> HostVerdict {
        match &self.checker {
            Some(checker) => checker(check),
            None => HostVerdict::Unavailable,
        }
    }
}

impl Properties for MemoryHost {
    fn property(&self, property: Property) -> Option<Vec<u8>> {
        let properties = self.properties.borrow();
        let known = properties.iter().find(|(each, _)| *each == property);
        known.map(|(_, value)| value.clone())
    }
}

impl Cells for MemoryHost {
    fn remembered(&self, key: &str) -> Option<(Vec<u8>, CasToken)> {
        self.memory.borrow_mut().as_mut()?.take(key)
    }

    fn change_remembered(
        &self,
        key: &str,
        change: &mut dyn FnMut(&mut [u8]) -> bool,
    ) -> Option<Result<CasResult, CellUnavailable>> {
        let mut memory = self.memory.borrow_mut();
        let write = |value: &[u8], mark| self.write(key, Some(mark), value);
        memory.as_mut()?.change(key, change, write)
    }

    fn cell(&self, key: &str) -> Result<Option<(Vec<u8>, CasToken)>, CellUnavailable> {
        if self.fault.get() == CellFault::Unavailable {
            return Err(CellUnavailable);
        }
        match &self.store {
            Some(store) => store.cell(key),
            None => Ok(self.cells.borrow().read(key)),
        }
    }

    fn compare_and_swap(
        &self,
        key: &str,
        seen: Option<CasToken>,
        value: &[u8],
    ) -> Result<CasResult, CellUnavailable> {
        let swap = self.write(key, seen, value)?;
        if let Some(memory) = &mut *self.memory.borrow_mut() {
            memory.wrote(key, seen, value, swap);
        }
        Ok(swap)
    }
}

impl MemoryHost {
    /// Writes a cell, which is not remembered.
    fn write(
        &self,
        key: &str,
        seen: Option<CasToken>,
        value: &[u8],
    ) -> Result<CasResult, CellUnavailable> {
        match self.fault.get() {
            CellFault::Unavailable => return Err(CellUnavailable),
            CellFault::Lost(writes @ 1..) => {
                self.fault.set(CellFault::Lost(writes.saturating_sub(1)));
                return Ok(CasResult::Changed);
            }
            CellFault::Lost(0) | CellFault::None => {}
        }
        match &self.store {
            Some(store) => store.compare_and_swap(key, seen, value),
            None => self.cells.borrow_mut().write(key, seen, value),
        }
    }
}

impl Entropy for MemoryHost {
    /// SplitMix64.
    fn random(&self) -> u64 {
        let state = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }
}

impl Bodies for MemoryHost {
    fn body(&self, side: Side, start: usize, size: usize) -> Result<Vec<u8>, Failure> {
        self.bodies.borrow().read(side, start, size)
    }
}

impl Calls for MemoryHost {
    fn call(&self, call: &Call) -> Result<Token, CallError> {
        let responder = self.clusters.borrow().responder(call)?;
        let end = responder.map(|responder| CallEnd(responder(call)));
        self.clusters.borrow_mut().note(call, end)
    }
}

impl Log for MemoryHost {
    fn log(&self, level: Level, line: &str) {
        match &self.writer {
            Some(write) => write(level, line),
            None => self.lines.borrow_mut().push(level, line),
        }
    }

    fn set_filter_state(&self, name: &str, value: &str) {
        let mut states = self.filter_state.borrow_mut();
        states.insert(name.to_owned(), value.to_owned());
    }
}

impl Metrics for MemoryHost {
    fn define(&self, kind: MetricKind, name: &str) -> Option<MetricId> {
        self.registry.borrow_mut().define(kind, name)
    }

    fn add(&self, metric: MetricId, change: i64) {
        if let Some(value) = self.registry.borrow_mut().value(metric) {
            *value = value.saturating_add(change);
        }
    }

    fn set(&self, metric: MetricId, new: u64) {
        if let Some(value) = self.registry.borrow_mut().value(metric) {
            *value = i64::try_from(new).unwrap_or(i64::MAX);
        }
    }
}
