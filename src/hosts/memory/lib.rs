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

use crate::host::{
    CellUnavailable, Counter, Failure, Histogram, Host, HostVerdict, Mark, Property, Side,
    SignatureCheck, Swap,
};
pub use cells::{CellStore, CellTable, ForgetfulCells};
pub use metrics::Recorded;

use body::Bodies;
use cells::CellFault;
use clock::Clock;
use metrics::Metrics;

/// Checks one signature.
type Checker = Box<dyn Fn(SignatureCheck<'_>) -> HostVerdict>;

/// A host whose every part is in memory. Its clock stands at the beginning of time until it is
/// set or moved.
pub struct MemoryHost {
    clock: Clock,
    metrics: RefCell<Metrics>,
    environment: RefCell<BTreeMap<String, Vec<u8>>>,
    properties: RefCell<Vec<(Property, Vec<u8>)>>,
    cells: RefCell<CellTable>,
    /// Where cells are, if not in the table.
    store: Option<Rc<dyn CellStore>>,
    fault: Cell<CellFault>,
    bodies: RefCell<Bodies>,
    random: Cell<u64>,
    checker: Option<Checker>,
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
            clock: Clock::default(),
            metrics: RefCell::default(),
            environment: RefCell::default(),
            properties: RefCell::default(),
            cells: RefCell::default(),
            store: None,
            fault: Cell::default(),
            bodies: RefCell::default(),
            random: Cell::new(0),
            checker: None,
        }
    }

    /// One with the system's clocks, and random bits that nobody can guess: what a command runs.
    pub fn of_system() -> Self {
        let mut host = Self::new();
        host.clock = Clock::of_system();
        // The standard library seeds its hashers from the system's random bytes.
        host.with_seed(RandomState::new().hash_one(0_u8))
    }

    /// Both clocks stand at that time.
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
        self.clock.set_step(step);
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
    pub fn with_cell_store(mut self, store: Rc<dyn CellStore>) -> Self {
        self.store = Some(store);
        self
    }

    /// Cells that are there already.
    #[must_use]
    pub fn with_cells(self, cells: CellTable) -> Self {
        self.cells.replace(cells);
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
        self.clock.set_wall(now);
        self.clock.set_monotonic(now);
    }

    /// Sets the wall clock alone: it steps, and what lasts is to know nothing of it.
    pub fn set_wall_clock(&self, now: Duration) {
        self.clock.set_wall(now);
    }

    /// Lets time pass, on both clocks.
    pub fn advance(&self, by: Duration) {
        self.clock.advance(by);
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

    /// Writes a cell as another worker might, or somebody who means something else by it.
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
        self.metrics.borrow().counted(counter)
    }

    /// What a histogram has recorded.
    pub fn recorded(&self, histogram: Histogram) -> Recorded {
        self.metrics.borrow().recorded(histogram)
    }

    /// The cells of its own table as they are now.
    pub fn cells(&self) -> CellTable {
        self.cells.borrow().clone()
    }
}

impl Host for MemoryHost {
    fn wall_clock(&self) -> Duration {
        self.clock.wall()
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }

    fn count(&self, counter: Counter) {
        self.count_many(counter, 1);
    }

    fn count_many(&self, counter: Counter, many: u64) {
        self.metrics.borrow_mut().count(counter, many);
    }

    fn observe(&self, histogram: Histogram, value: u64) {
        self.metrics.borrow_mut().record(histogram, value);
    }

    fn environment(&self, name: &str) -> Option<Vec<u8>> {
        self.environment.borrow().get(name).cloned()
    }

    fn verify_signature(&self, check: SignatureCheck<'_>) -> HostVerdict {
        match &self.checker {
            Some(checker) => checker(check),
            None => HostVerdict::Unavailable,
        }
    }

    fn property(&self, property: Property) -> Option<Vec<u8>> {
        let properties = self.properties.borrow();
        let known = properties.iter().find(|(each, _)| *each == property);
        known.map(|(_, value)| value.clone())
    }

    fn cell(&self, key: &str) -> Result<Option<(Vec<u8>, Mark)>, CellUnavailable> {
        if self.fault.get() == CellFault::Unavailable {
            return Err(CellUnavailable);
        }
        match &self.store {
            Some(store) => store.read(key),
            None => Ok(self.cells.borrow().read(key)),
        }
    }

    fn swap_cell(
        &self,
        key: &str,
        seen: Option<Mark>,
        value: &[u8],
    ) -> Result<Swap, CellUnavailable> {
        match self.fault.get() {
            CellFault::Unavailable => return Err(CellUnavailable),
            CellFault::Lost(writes @ 1..) => {
                self.fault.set(CellFault::Lost(writes.saturating_sub(1)));
                return Ok(Swap::Changed);
            }
            CellFault::Lost(0) | CellFault::None => {}
        }
        match &self.store {
            Some(store) => store.write(key, seen, value),
            None => self.cells.borrow_mut().write(key, seen, value),
        }
    }

    /// SplitMix64.
    fn random(&self) -> u64 {
        let state = self.random.get().wrapping_add(0x9e37_79b9_7f4a_7c15);
        self.random.set(state);
        let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn body(&self, side: Side, size: usize) -> Result<Vec<u8>, Failure> {
        self.bodies.borrow().read(side, size)
    }
}
