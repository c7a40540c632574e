//! The cells of one limit, and a place in one of them.

use std::cell::{Cell, RefCell};
use std::collections::{BTreeMap, VecDeque};
use std::rc::Rc;

use super::holder::{OwedPlace, PlaceHolder};
use super::records::{self, PlaceSum, Records};
use portcullis_exchange::host::{CasResult, CasToken, Host};
use portcullis_exchange::meter::Event;
use portcullis_exchange::seed::{Hashed, plain_hash};
use portcullis_wire::budget::{Reservation, Share, reserve};
use portcullis_wire::digits;

/// How many callers with requests under way share a cell, about. A cell has room for eight times as many.
const USUAL: u64 = 32;

/// How often a place is asked for again when another worker was quicker.
const ATTEMPTS: usize = 16;

/// How often one is given back.
const ATTEMPTS_TO_GIVE: usize = 64;

/// What a place takes of memory, about.
const MEMORY: usize = 256;

/// The cells of one limit.
#[derive(Debug)]
pub(crate) struct PlaceStore {
    /// The beginning of the cells' keys: it stands for all that a place means, and not for how many there are.
    prefix: String,
    shards: u64,
    holder: Rc<PlaceHolder>,
    /// Those of this worker that wait, by caller, in the order in which they came.
    lines: RefCell<BTreeMap<u64, VecDeque<u64>>>,
    tickets: Cell<u64>,
}

/// What is said to a request that asks for a place.
#[derive(Debug)]
pub(crate) enum PlaceAnswer {
    /// It has one, or a place in the line.
    Held(HeldPlace),
    /// There is none for it.
    Full,
    /// There is no room to count it.
    Crowded,
    /// Others were quicker each time.
    Contended,
    /// The proxy does not give access to its cells, or there is no memory.
    Unavailable,
}

/// A place that a request has, or its place in the line of those that wait for one. It is given back with
/// [`HeldPlace::give_back`]; one that is only dropped is with the next tick.
#[derive(Debug)]
pub(crate) struct HeldPlace {
    store: Rc<PlaceStore>,
    caller: Hashed,
    /// Its number in the line, while it waits.
    ticket: Option<u64>,
    is_given: bool,
    _memory: Reservation,
}

/// The time, on the clock that all workers share.
pub(super) fn now(host: &dyn Host) -> u64 {
    u64::try_from(host.monotonic().as_nanos()).unwrap_or(u64::MAX)
}

/// What is to become of a cell.
enum PlaceChange<T> {
    Write(T),
    Leave(T),
}

impl PlaceStore {
    /// The cells of what is counted under these names, for about so many callers at once.
    pub(crate) fn new(names: &[&str], max_entries: u64, holder: &Rc<PlaceHolder>) -> Self {
        let size = max_entries.to_le_bytes();
        let names = names.iter().map(|name| name.as_bytes());
        let pieces: Vec<&[u8]> = std::iter::once(size.as_slice()).chain(names).collect();
        let [one, other] = plain_hash(&pieces);
        Self {
            prefix: format!("places/{one:016x}{other:016x}/"),
            shards: max_entries.div_ceil(USUAL).max(1),
            holder: Rc::clone(holder),
            lines: RefCell::default(),
            tickets: Cell::new(0),
        }
    }

    /// What its cells take up in the proxy, at most.
    pub(crate) fn footprint(&self) -> String {
        // A node of the proxy's map, and what allocations round up to.
        const AROUND: usize = 256;
        let cell = records::MOST_BYTES.saturating_add(AROUND);
        let bytes = self
            .shards
            .saturating_mul(cell.try_into().unwrap_or(u64::MAX));
        let (cells, kibibytes) = (self.shards, bytes.div_ceil(1024));
        format!("{cells} cells, at most {kibibytes} KiB")
    }

    /// Asks for one of so many places. If there is none, or others wait for one, and `queue` says how many may, for
    /// a place in the line.
    pub(crate) fn ask(
        self: &Rc<Self>,
        caller: Hashed,
        most: u64,
        queue: Option<u64>,
        host: &dyn Host,
    ) -> PlaceAnswer {
        self.holder.pay(host);
        let Some(memory) = reserve(Share::Streams, MEMORY) else {
            return PlaceAnswer::Unavailable;
        };
        let holder = self.holder.number(host);
        let answer = self.change(caller, ATTEMPTS, host, |records, sum| {
            let is_free = sum.taken < most && (queue.is_none() || sum.waiting == 0);
            let may_wait = queue.is_some_and(|queue| sum.waiting < queue);
            if !is_free && !may_wait {
                return Ok(PlaceChange::Leave(None));
            }
            let own = records.own(caller.tag, holder).ok_or(())?;
            match is_free {
                true => own.taken = own.taken.saturating_add(1),
                false => own.waiting = own.waiting.saturating_add(1),
            }
            Ok(PlaceChange::Write(Some(is_free)))
        });
        let is_free = match answer {
            Ok(Some(is_free)) => is_free,
            Ok(None) => return PlaceAnswer::Full,
            Err(answer) => return answer,
        };
        PlaceAnswer::Held(HeldPlace {
            store: Rc::clone(self),
            caller,
            ticket: (!is_free).then(|| self.queue_up(caller)),
            // Where nothing can be written, nothing has to be given back.
            is_given: host.is_read_only(),
            _memory: memory,
        })
    }

    /// Gives back a place, or one in the line. Whether it has been.
    pub(super) fn give_back(&self, caller: Hashed, is_waiting: bool, host: &dyn Host) -> bool {
        let holder = self.holder.number(host);
        let given = self.change(caller, ATTEMPTS_TO_GIVE, host, |records, _| {
            // A cell that was lost has nothing to be given back to.
            let Some(own) = records.known(caller.tag, holder) else {
                return Ok(PlaceChange::Leave(()));
            };
            let many = match is_waiting {
                true => &mut own.waiting,
                false => &mut own.taken,
            };
            *many = many.saturating_sub(1);
            Ok(PlaceChange::Write(()))
        });
        given.is_ok()
    }

    /// Reads the cell of a caller, and writes what becomes of it. Who is gone is left out where something there
    /// would keep the caller from a place, or have it wait.
    fn change<T>(
        &self,
        caller: Hashed,
        attempts: usize,
        host: &dyn Host,
        change: impl Fn(&mut Records, PlaceSum) -> Result<PlaceChange<T>, ()>,
    ) -> Result<T, PlaceAnswer> {
        let key = self.key(caller);
        let mut remembered = host.remembered(&key);
        for _ in 0..attempts {
            let is_remembered = remembered.is_some();
            let found = match remembered.take() {
                Some(known) => Some(known),
                None => host.cell(&key).map_err(|_| PlaceAnswer::Unavailable)?,
            };
            let (mut records, mark) = match found {
                Some((bytes, mark)) => (Records::read(&bytes).unwrap_or_default(), Some(mark)),
                None => (Records::default(), None),
            };
            let mut lapsed = 0;
            let mut sum = records.of(caller.tag);
            if sum.waiting > 0 {
                // Whoever waited where nobody is any more holds up all who come.
                lapsed = records.lapse(|holder| self.holder.is_gone(holder));
                sum = records.of(caller.tag);
            }
            let mut changed = change(&mut records, sum);
            if !matches!(changed, Ok(PlaceChange::Write(_))) {
                if is_remembered {
                    // By that alone nobody is refused.
                    continue;
                }
                let more = records.lapse(|holder| self.holder.is_gone(holder));
                lapsed = lapsed.saturating_add(more);
                if more > 0 || matches!(changed, Err(())) {
                    let sum = records.of(caller.tag);
                    changed = change(&mut records, sum);
                }
            }
            let value = match changed {
                Ok(PlaceChange::Write(value)) => value,
                Ok(PlaceChange::Leave(value)) => return Ok(value),
                Err(()) => return Err(PlaceAnswer::Crowded),
            };
            records.trim();
            match self.store(&key, mark, &records, host) {
                Ok(CasResult::Written) => {
                    if lapsed > 0 {
                        host.count_many(Event::ConcurrencyLapsed.counter(), lapsed);
                    }
                    return Ok(value);
                }
                Ok(CasResult::Changed) => {}
                Err(answer) => return Err(answer),
            }
        }
        host.count(Event::ConcurrencyContended.counter());
        Err(PlaceAnswer::Contended)
    }

    fn store(
        &self,
        key: &str,
        mark: Option<CasToken>,
        records: &Records,
        host: &dyn Host,
    ) -> Result<CasResult, PlaceAnswer> {
        if host.is_read_only() {
            return Ok(CasResult::Written);
        }
        let bytes = records.bytes();
        let written = match mark {
            None => host.create_cell(key, &bytes),
            Some(_) => host.compare_and_swap(key, mark, &bytes),
        };
        written.map_err(|_| PlaceAnswer::Unavailable)
    }

    fn key(&self, caller: Hashed) -> String {
        // The upper bits of a product: a hash scaled to the number of cells.
        let scaled = u128::from(caller.place).saturating_mul(self.shards.into());
        let place = u64::try_from(scaled.wrapping_shr(64)).unwrap_or_default();
        let mut key = self.prefix.clone();
        digits::push(&mut key, place);
        key
    }

    fn queue_up(&self, caller: Hashed) -> u64 {
        let ticket = self.tickets.get();
        self.tickets.set(ticket.wrapping_add(1));
        if let Ok(mut lines) = self.lines.try_borrow_mut() {
            lines.entry(caller.tag).or_default().push_back(ticket);
        }
        ticket
    }

    fn leave_line(&self, caller: Hashed, ticket: u64) {
        if let Ok(mut lines) = self.lines.try_borrow_mut()
            && let Some(line) = lines.get_mut(&caller.tag)
        {
            line.retain(|other| *other != ticket);
            if line.is_empty() {
                lines.remove(&caller.tag);
            }
        }
    }

    fn is_first(&self, caller: Hashed, ticket: u64) -> bool {
        let lines = self.lines.try_borrow();
        lines.is_ok_and(|lines| {
            let line = lines.get(&caller.tag);
            line.and_then(VecDeque::front) == Some(&ticket)
        })
    }
}

impl HeldPlace {
    /// Whether it is one in the line.
    pub(crate) fn waits(&self) -> bool {
        self.ticket.is_some()
    }

    /// Takes one of so many places, if it is the turn of the request and there is one. Whether it has one now.
    pub(crate) fn try_again(&mut self, most: u64, host: &dyn Host) -> bool {
        let Some(ticket) = self.ticket else {
            return true;
        };
        let (store, caller) = (Rc::clone(&self.store), self.caller);
        if !store.is_first(caller, ticket) {
            return false;
        }
        let holder = store.holder.number(host);
        let moved = store.change(caller, ATTEMPTS, host, |records, sum| {
            if sum.taken >= most {
                return Ok(PlaceChange::Leave(false));
            }
            let own = records.own(caller.tag, holder).ok_or(())?;
            own.waiting = own.waiting.saturating_sub(1);
            own.taken = own.taken.saturating_add(1);
            Ok(PlaceChange::Write(true))
        });
        let moved = matches!(moved, Ok(true));
        if moved {
            self.ticket = None;
            store.leave_line(caller, ticket);
        }
        moved
    }

    /// Gives it back.
    pub(crate) fn give_back(mut self, host: &dyn Host) {
        self.leave();
        if !self.is_given {
            self.is_given = self.store.give_back(self.caller, self.waits(), host);
        }
    }

    fn leave(&self) {
        if let Some(ticket) = self.ticket {
            self.store.leave_line(self.caller, ticket);
        }
    }
}

impl Drop for HeldPlace {
    fn drop(&mut self) {
        self.leave();
        if !self.is_given {
            self.store.holder.owe(OwedPlace {
                store: Rc::clone(&self.store),
                caller: self.caller,
                is_waiting: self.waits(),
            });
        }
    }
}
