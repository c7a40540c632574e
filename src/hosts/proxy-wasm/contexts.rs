//! The contexts of a VM by the numbers that the proxy gives them: plugins, and exchanges.
//!
//! What makes an exchange is put off until it is first heard of. A number that is not known here is
//! that of an exchange that was refused without one, or has ended: what else comes of it is held.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{BuildHasherDefault, Hasher};
use std::rc::Rc;

use super::abi::{Action, LogLevel};
use super::calls::Arrived;
use super::filter::Live;
use super::planned::{OnPlan, Tried};
use super::plugin::{Plugin, Running};
use super::refusing;
use super::vm;
use portcullis_engine::stream::{NO_MEMORY_REPLY, NOT_CONFIGURED_REPLY, PreparedReply};

thread_local! {
    static CONTEXTS: Contexts = const {
        Contexts {
            roots: RefCell::new(Vec::new()),
            made: Cell::new(None),
            planned: RefCell::new(Vec::new()),
            exchanges: RefCell::new(HashMap::with_hasher(BuildHasherDefault::new())),
            minding: Cell::new(0),
            refused: Cell::new(false),
            rootless: Cell::new([0; ROOTLESS]),
        }
    };
}

struct Contexts {
    /// Few: the plugins of a VM, and the generations of their documents. One that there was no memory
    /// for is missing here, and refuses.
    roots: RefCell<Vec<(u32, Rc<Plugin>)>>,
    /// The context that was made last and has not been heard of, and its root's. The proxy calls with
    /// the head of a request right after.
    made: Cell<Option<(u32, u32)>>,
    /// Exchanges that are on their plan, each where its number has its place. One that finds another there is
    /// judged by asking from then on, and so is each where there was no memory for these.
    planned: RefCell<Vec<Option<OnPlan>>>,
    exchanges: RefCell<HashMap<u32, Exchange, BuildHasherDefault<Spread>>>,
    /// How many exchanges have something to do when a piece of a body comes.
    minding: Cell<usize>,
    /// Whether requests have been refused without an exchange. If the proxy did not take the refusal,
    /// their bodies must not have them go on.
    refused: Cell<bool>,
    /// Root contexts that there was no memory for, the last ones; 0 is no context.
    rootless: Cell<[u32; ROOTLESS]>,
}

/// So many root contexts without memory are told from requests. What a request's end does to another one is nothing.
const ROOTLESS: usize = 8;

/// So many exchanges are on their plan at once, if their numbers follow each other.
const PLACES: usize = 1024;

enum Exchange {
    /// Another context was made before this one was heard of. With its root's.
    Made(u32),
    Begun(Rc<Live>),
}

/// Numbers come in order and are not a client's: to spread them is enough.
#[derive(Default)]
struct Spread(u64);

impl Hasher for Spread {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u32((*byte).into()));
    }

    fn write_u32(&mut self, number: u32) {
        // 2^64 divided by the golden ratio.
        const FACTOR: u64 = 0x9e37_79b9_7f4a_7c15;
        self.0 = (self.0 ^ u64::from(number)).wrapping_mul(FACTOR);
    }
}

/// A root context for a configuration; `false` if there is no memory for it.
pub(super) fn make_root(id: u32) -> bool {
    let is_made = make_plugin(id);
    if !is_made {
        with(|contexts| {
            let [first @ .., _] = contexts.rootless.get();
            let mut rootless = [id; ROOTLESS];
            rootless
                .iter_mut()
                .skip(1)
                .zip(first)
                .for_each(|(place, earlier)| *place = earlier);
            contexts.rootless.set(rootless);
        });
    }
    is_made
}

fn make_plugin(id: u32) -> bool {
    /// For the plugin, and for what is noted of it, by the SDK too.
    const MOST_BYTES: usize = 4096;
    if !vm::has_room(MOST_BYTES) {
        return false;
    }
    let plugin = Rc::new(Plugin::new(id));
    with(|contexts| {
        let Ok(mut roots) = contexts.roots.try_borrow_mut() else {
            return false;
        };
        let has_room = roots.try_reserve(1).is_ok();
        if has_room {
            roots.push((id, plugin));
            contexts.make_places();
        }
        has_room
    })
}

/// Whether a context that ends is a plugin's, and not a request's.
#[cfg(feature = "own-exports")]
#[inline]
pub(super) fn is_root(id: u32) -> bool {
    with(|contexts| {
        let roots = contexts.roots.try_borrow();
        let is_known = roots.is_ok_and(|roots| roots.iter().any(|(root, _)| *root == id));
        is_known || contexts.is_rootless(id)
    })
}

/// A context for a request is only noted.
pub(super) fn make_stream(id: u32, root: u32) {
    with(|contexts| {
        let Some((earlier, root)) = contexts.made.replace(Some((id, root))) else {
            return;
        };
        // One that is not noted is refused when it is heard of.
        if let Ok(mut exchanges) = contexts.exchanges.try_borrow_mut()
            && exchanges.try_reserve(1).is_ok()
        {
            exchanges.insert(earlier, Exchange::Made(root));
        }
    });
}

/// `false` only for bytes that are no valid document, see [`Plugin::configure`].
pub(super) fn configure(root: u32, size: usize) -> bool {
    match plugin(root) {
        Some(plugin) => plugin.configure(size),
        None => {
            no_root();
            true
        }
    }
}

/// A plugin that there was no memory for is configured.
pub(super) fn no_root() {
    vm::say(
        LogLevel::Error,
        "there is no memory for this plugin in the worker's VM; it refuses every request until the next update",
    );
}

/// Refuses a request for which there is no memory.
#[cfg(not(feature = "own-exports"))]
pub(super) fn refuse_for_memory() -> Action {
    refuse(&NO_MEMORY_REPLY)
}

fn refuse(reply: &PreparedReply) -> Action {
    with(|contexts| contexts.refused.set(true));
    refusing::send(reply)
}

pub(super) fn tick(root: u32) {
    if let Some(plugin) = plugin(root) {
        plugin.tick();
    }
}

pub(super) fn call_response(root: u32, token: u32, fields: usize, body: usize) {
    if let Some(plugin) = plugin(root) {
        plugin.call_response(token, &Arrived { fields, body });
    }
}

pub(super) fn request_headers(id: u32, fields: usize, ends: bool) -> Action {
    if let Some(running) = with(|contexts| contexts.just_made(id)) {
        match OnPlan::judge(id, &running, fields, ends) {
            Tried::Planned(exchange, action) => {
                with(|contexts| contexts.put(exchange));
                return action;
            }
            Tried::Asked(live, action) => {
                with(|contexts| contexts.keep(live));
                return action;
            }
            Tried::Not => {}
        }
    }
    request_by_asking(id, fields, ends)
}

#[cold]
#[inline(never)]
fn request_by_asking(id: u32, fields: usize, ends: bool) -> Action {
    match begun(id).map_or_else(|| begin(id), Ok) {
        Ok(live) => live.request_headers(fields, ends),
        Err(reply) => refuse(reply),
    }
}

impl Contexts {
    /// What judges the request of a context that was made last, if that has been compiled and there is room to
    /// keep what becomes of it.
    #[inline]
    fn just_made(&self, id: u32) -> Option<Rc<Running>> {
        let (made, root) = self.made.get()?;
        let has_room = || {
            let mut exchanges = self.exchanges.try_borrow_mut().ok()?;
            exchanges.try_reserve(1).ok()
        };
        (made == id && has_room().is_some()).then_some(())?;
        let roots = self.roots.try_borrow().ok()?;
        let (_, plugin) = roots.iter().rev().find(|(each, _)| *each == root)?;
        plugin.compiled()
    }

    /// Whether a context that ends is that of a plugin without memory. After that a request may have its number.
    #[cfg(feature = "own-exports")]
    fn is_rootless(&self, id: u32) -> bool {
        let mut rootless = self.rootless.get();
        let place = rootless.iter_mut().find(|root| **root == id);
        let Some(place) = place else {
            return false;
        };
        *place = 0;
        self.rootless.set(rootless);
        true
    }

    /// Makes the places of exchanges that are on their plan, if there is memory for them.
    fn make_places(&self) {
        if let Ok(mut planned) = self.planned.try_borrow_mut()
            && planned.is_empty()
            && planned.try_reserve_exact(PLACES).is_ok()
        {
            planned.resize_with(PLACES, || None);
        }
    }

    /// Keeps an exchange that is on its plan.
    #[inline]
    fn put(&self, exchange: OnPlan) {
        self.made.set(None);
        if let Ok(mut planned) = self.planned.try_borrow_mut()
            && let Some(place @ None) = planned.get_mut(exchange.place())
        {
            *place = Some(exchange);
            return;
        }
        self.keep(exchange.leave());
    }

    /// Keeps one that is judged by asking; there is room.
    #[cold]
    #[inline(never)]
    fn keep(&self, live: Rc<Live>) {
        self.made.set(None);
        if let Ok(mut exchanges) = self.exchanges.try_borrow_mut() {
            exchanges.insert(live.id, Exchange::Begun(live));
        }
    }

    /// Takes an exchange that is on its plan out of those.
    #[inline]
    fn take(&self, id: u32) -> Option<OnPlan> {
        let mut planned = self.planned.try_borrow_mut().ok()?;
        let place = planned.get_mut(place(id))?;
        place.take_if(|exchange| exchange.id == id)
    }

    /// One that was on its plan, and leaves it since it is asked for.
    #[cold]
    #[inline(never)]
    fn leave(&self, exchange: OnPlan) -> Rc<Live> {
        let live = exchange.leave();
        self.keep(Rc::clone(&live));
        live
    }
}

impl OnPlan {
    fn place(&self) -> usize {
        place(self.id)
    }
}

/// Where an exchange of that number has its place, if it is on its plan.
fn place(id: u32) -> usize {
    usize::try_from(id).unwrap_or_default() % PLACES
}

/// Whether anybody has something to do when a piece of a body comes.
pub(super) fn minds_bodies() -> bool {
    with(|contexts| contexts.minding.get() > 0 || contexts.refused.get())
}

/// An exchange begins, or ceases, to have something to do when a piece of a body comes.
pub(super) fn mind(more: bool) {
    with(|contexts| {
        let minding = contexts.minding.get();
        contexts.minding.set(match more {
            true => minding.saturating_add(1),
            false => minding.saturating_sub(1),
        });
    });
}

/// Whether an exchange is on its plan, where no body is judged, and has been answered.
fn planned_reply(id: u32) -> Option<bool> {
    with(|contexts| {
        let planned = contexts.planned.try_borrow().ok()?;
        let exchange = planned.get(place(id))?.as_ref()?;
        (exchange.id == id).then(|| exchange.stream.has_replied())
    })
}

pub(super) fn request_body(id: u32, size: usize, ends: bool) -> Action {
    match planned_reply(id) {
        // The service gets nothing of a request that was refused, should the proxy not send the reply.
        Some(true) => return Action::Pause,
        Some(false) => return Action::Continue,
        None => {}
    }
    begun(id).map_or(Action::Pause, |live| live.request_body(size, ends))
}

pub(super) fn request_trailers(id: u32, fields: usize) -> Action {
    begun(id).map_or(Action::Pause, |live| live.request_trailers(fields))
}

pub(super) fn response_headers(id: u32, fields: usize, ends: bool) -> Action {
    let is_shaped = with(|contexts| {
        let mut planned = contexts.planned.try_borrow_mut().ok()?;
        let exchange = planned.get_mut(place(id))?.as_mut()?;
        (exchange.id == id && exchange.shape(fields)).then_some(())
    });
    match is_shaped {
        Some(()) => Action::Continue,
        None => response_by_asking(id, fields, ends),
    }
}

#[cold]
#[inline(never)]
fn response_by_asking(id: u32, fields: usize, ends: bool) -> Action {
    begun(id).map_or(Action::Continue, |live| live.response_headers(fields, ends))
}

pub(super) fn response_body(id: u32, size: usize, ends: bool) -> Action {
    if planned_reply(id).is_some() {
        return Action::Continue;
    }
    begun(id).map_or(Action::Continue, |live| live.response_body(size, ends))
}

pub(super) fn response_trailers(id: u32, fields: usize) -> Action {
    begun(id).map_or(Action::Continue, |live| live.response_trailers(fields))
}

/// The proxy logs an exchange, after which nothing of it comes but its end.
pub(super) fn log(id: u32) {
    match with(|contexts| contexts.take(id)) {
        Some(exchange) => {
            exchange.end();
            #[cfg(feature = "own-exports")]
            super::exports::note_recorded(id);
        }
        None => log_asked(id),
    }
}

#[cold]
#[inline(never)]
fn log_asked(id: u32) {
    if let Some(live) = end(id) {
        live.log();
    } else if let Some(root) = made(id)
        && let Ok(live) = exchange(id, root)
    {
        // It was made for the log alone: the request never came here.
        live.log();
    }
}

/// The context of an exchange ends.
pub(super) fn exchange_done(id: u32) {
    let is_known = with(|contexts| {
        let is_made = contexts.made.get().is_some_and(|(made, _)| made == id);
        let exchanges = contexts.exchanges.try_borrow();
        is_made || exchanges.is_ok_and(|exchanges| !exchanges.is_empty())
    });
    // Most are gone with their record.
    match with(|contexts| contexts.take(id)) {
        Some(exchange) => exchange.end(),
        None if is_known => done(id),
        None => {}
    }
}

/// A context ends: an exchange's that is judged by asking, or a plugin's.
#[cold]
#[inline(never)]
pub(super) fn done(id: u32) {
    if let Some(live) = end(id) {
        live.done();
        return;
    }
    made(id);
    let plugin = with(|contexts| {
        let mut roots = contexts.roots.try_borrow_mut().ok()?;
        let place = roots.iter().position(|(root, _)| *root == id)?;
        Some(roots.swap_remove(place))
    });
    drop(plugin);
}

fn with<T>(work: impl FnOnce(&Contexts) -> T) -> T {
    CONTEXTS.with(work)
}

fn plugin(root: u32) -> Option<Rc<Plugin>> {
    with(|contexts| {
        let roots = contexts.roots.try_borrow().ok()?;
        // The newest has most to do.
        let (_, plugin) = roots.iter().rev().find(|(id, _)| *id == root)?;
        Some(Rc::clone(plugin))
    })
}

/// The root's number of a context that was made and has not been heard of. From now on it has.
fn made(id: u32) -> Option<u32> {
    with(|contexts| match contexts.made.take() {
        Some((made, root)) if made == id => Some(root),
        other => {
            contexts.made.set(other);
            let mut exchanges = contexts.exchanges.try_borrow_mut().ok()?;
            match exchanges.entry(id) {
                Entry::Occupied(entry) => match entry.get() {
                    Exchange::Made(root) => {
                        let root = *root;
                        entry.remove();
                        Some(root)
                    }
                    Exchange::Begun(_) => None,
                },
                Entry::Vacant(_) => None,
            }
        }
    })
}

/// An exchange that is judged by asking, from now on if it was not before.
fn begun(id: u32) -> Option<Rc<Live>> {
    if let Some(exchange) = with(|contexts| contexts.take(id)) {
        return Some(with(|contexts| contexts.leave(exchange)));
    }
    with(|contexts| {
        // What was made last has not begun.
        if contexts.made.get().is_some_and(|(made, _)| made == id) {
            return None;
        }
        let exchanges = contexts.exchanges.try_borrow().ok()?;
        match exchanges.get(&id)? {
            Exchange::Begun(live) => Some(Rc::clone(live)),
            Exchange::Made(_) => None,
        }
    })
}

/// Begins an exchange; what is answered if it cannot be.
fn begin(id: u32) -> Result<Rc<Live>, &'static PreparedReply> {
    let root = made(id).ok_or(&NO_MEMORY_REPLY)?;
    let live = exchange(id, root)?;
    let is_kept = with(|contexts| {
        let Ok(mut exchanges) = contexts.exchanges.try_borrow_mut() else {
            return false;
        };
        let has_room = exchanges.try_reserve(1).is_ok();
        if has_room {
            exchanges.insert(id, Exchange::Begun(Rc::clone(&live)));
        }
        has_room
    });
    is_kept.then_some(live).ok_or(&NO_MEMORY_REPLY)
}

fn exchange(id: u32, root: u32) -> Result<Rc<Live>, &'static PreparedReply> {
    let plugin = plugin(root).ok_or(&NO_MEMORY_REPLY)?;
    let running = plugin.running(id).ok_or(&NOT_CONFIGURED_REPLY)?;
    Live::begin(id, &running).ok_or(&NO_MEMORY_REPLY)
}

/// Takes an exchange out of those that are on their way.
fn end(id: u32) -> Option<Rc<Live>> {
    with(|contexts| {
        let mut exchanges = contexts.exchanges.try_borrow_mut().ok()?;
        match exchanges.entry(id) {
            Entry::Occupied(entry) if matches!(entry.get(), Exchange::Begun(_)) => {
                match entry.remove() {
                    Exchange::Begun(live) => Some(live),
                    Exchange::Made(_) => None,
                }
            }
            Entry::Occupied(_) | Entry::Vacant(_) => None,
        }
    })
}
