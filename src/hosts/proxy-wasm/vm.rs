//! What a VM has once, whatever plugins and generations of their documents it holds.
//!
//! A VM in which something was configured before is never the one in which Envoy tries a document:
//! that one is always fresh. INVARIANT: what configures in a used VM does not trap and does not say no, or
//! Envoy leaves the filter out of the worker's chain.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use super::abi::{self, LogLevel};
use super::host::{Envoy, MetricIds, add, define};
use super::plugin::Plugin;
use portcullis_engine::metrics;
use portcullis_engine::stream;
use portcullis_exchange::host::{MetricId, MetricKind};
use portcullis_wire::budget;
use portcullis_wire::budget::SHARES;

thread_local! {
    static VM: Vm = const {
        Vm {
            used: Cell::new(false),
            reserve: RefCell::new(Vec::new()),
            plugins: RefCell::new(Vec::new()),
            ids: RefCell::new(None),
            unjudged: Cell::new(0),
            gauges: RefCell::new(None),
        }
    };
}

/// Bytes that are kept for an update that finds no other memory.
const RESERVE: usize = 256 << 10;

struct Vm {
    /// Whether something was configured in it.
    used: Cell<bool>,
    reserve: RefCell<Vec<u8>>,
    plugins: RefCell<Vec<Weak<Plugin>>>,
    ids: RefCell<Option<Rc<MetricIds>>>,
    /// Requests that were refused without a stream since that was last counted.
    unjudged: Cell<u64>,
    gauges: RefCell<Option<VmGauges>>,
}

/// The gauges of the VM: its release and its memory. The proxy has one of each for all VMs, to which each adds.
struct VmGauges {
    build: Part,
    live: Part,
    ceiling: Part,
    shares: [Part; SHARES.len()],
    refused: [Part; SHARES.len()],
}

/// This VM's part of a metric.
struct Part {
    id: Option<MetricId>,
    added: i64,
}

/// The release of the module.
const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Whether nothing was configured in this VM before; asked once by each configuration. The first says which
/// release it is.
pub(super) fn is_fresh() -> bool {
    let fresh = VM.with(|vm| !vm.used.replace(true));
    if fresh {
        say(
            LogLevel::Info,
            concat!("Portcullis ", env!("CARGO_PKG_VERSION")),
        );
    }
    fresh
}

/// Whether so many bytes can be allocated; the reserve is given up for that if need be.
pub(super) fn has_room(bytes: usize) -> bool {
    if abi::has_room(bytes) {
        return true;
    }
    give_up_reserve();
    abi::has_room(bytes)
}

fn give_up_reserve() {
    let reserve = VM.with(|vm| {
        vm.reserve
            .try_borrow_mut()
            .ok()
            .map(|mut reserve| std::mem::take(&mut *reserve))
    });
    drop(reserve);
}

/// Takes the reserve if it is not there and there is memory for it.
pub(super) fn keep_reserve() {
    VM.with(|vm| {
        if let Ok(mut reserve) = vm.reserve.try_borrow_mut()
            && reserve.capacity() == 0
        {
            // Without it the next update may refuse requests, and lets none pass.
            let _ = reserve.try_reserve_exact(RESERVE);
        }
    });
}

/// The numbers of the filter's metrics in this VM, and which signatures its host can check.
pub(super) fn ids() -> Rc<MetricIds> {
    VM.with(|vm| {
        let known = vm.ids.try_borrow().ok().and_then(|ids| ids.clone());
        known.unwrap_or_else(|| {
            let ids = Rc::new(MetricIds::define());
            if let Ok(mut known) = vm.ids.try_borrow_mut() {
                *known = Some(Rc::clone(&ids));
            }
            ids
        })
    })
}

/// A plugin judges requests by a new document: others of its lineage, which it replaces, let go of
/// what they remember.
pub(super) fn replace(plugin: &Rc<Plugin>) {
    for other in plugins() {
        if !Rc::ptr_eq(&other, plugin) && other.has_lineage_of(plugin) {
            other.release_caches();
        }
    }
    VM.with(|vm| {
        if let Ok(mut plugins) = vm.plugins.try_borrow_mut() {
            plugins.retain(|each| each.strong_count() > 0);
            plugins.push(Rc::downgrade(plugin));
        }
    });
}

/// Gives up what can be had again: tokens that were verified will be verified anew.
pub(super) fn forget_tokens() {
    plugins().iter().for_each(|plugin| plugin.forget_tokens());
}

/// A plugin leaves. After the last the VM may end, which nobody is told, so its part of the gauges is
/// taken away; the tick of a plugin that comes later adds it again.
pub(super) fn leave() {
    if !plugins().is_empty() {
        return;
    }
    VM.with(|vm| {
        if let Ok(mut gauges) = vm.gauges.try_borrow_mut()
            && let Some(gauges) = &mut *gauges
        {
            gauges.take_away();
        }
    });
}

fn plugins() -> Vec<Rc<Plugin>> {
    VM.with(|vm| {
        let plugins = vm.plugins.try_borrow();
        plugins.map_or_else(
            |_| Vec::new(),
            |plugins| plugins.iter().filter_map(Weak::upgrade).collect(),
        )
    })
}

/// Counts a request that is refused without a stream; the proxy learns of it on the next tick.
pub(super) fn count_unjudged() {
    VM.with(|vm| vm.unjudged.set(vm.unjudged.get().saturating_add(1)));
}

/// Tells the proxy of the VM's memory, and what has been refused for lack of it.
pub(super) fn tick(host: &Envoy) {
    let unjudged = VM.with(|vm| vm.unjudged.take());
    if unjudged > 0 {
        stream::count_unavailable(host, unjudged);
    }
    VM.with(|vm| {
        if let Ok(mut gauges) = vm.gauges.try_borrow_mut() {
            gauges.get_or_insert_with(VmGauges::define).tell();
        }
    });
}

/// Writes a line that is ready as it stands: that takes no memory.
pub(super) fn say(level: LogLevel, line: &'static str) {
    // There is nowhere to say that the log cannot be written.
    let _ = abi::log(level, line.as_bytes());
}

impl VmGauges {
    fn define() -> Self {
        let gauge = |name: &str| Part::define(MetricKind::Gauge, name);
        let [live, ceiling] = metrics::MEMORY_GAUGES.map(gauge);
        Self {
            build: gauge(&metrics::build_gauge(VERSION)),
            live,
            ceiling,
            shares: SHARES.map(|share| gauge(&metrics::share_gauge(share.name()))),
            refused: SHARES.map(|share| {
                let name = metrics::share_counter(share.name());
                Part::define(MetricKind::Counter, &name)
            }),
        }
    }

    /// If there is a tick after that, all is told again.
    fn take_away(&mut self) {
        let all = [&mut self.build, &mut self.live, &mut self.ceiling];
        let all = all.into_iter().chain(&mut self.shares);
        all.for_each(|part| part.add_up_to(0));
    }

    fn tell(&mut self) {
        let signed = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
        self.build.add_up_to(1);
        self.live.add_up_to(signed(budget::live()));
        self.ceiling.add_up_to(signed(budget::CEILING));
        for (share, part) in SHARES.iter().zip(&mut self.shares) {
            part.add_up_to(signed(budget::used(*share)));
        }
        for (share, part) in SHARES.iter().zip(&mut self.refused) {
            part.add_up_to(i64::try_from(budget::refused(*share)).unwrap_or(i64::MAX));
        }
    }
}

impl Part {
    fn define(kind: MetricKind, name: &str) -> Self {
        Self {
            id: define(kind, name),
            added: 0,
        }
    }

    fn add_up_to(&mut self, value: i64) {
        let change = value.saturating_sub(self.added);
        if change != 0 {
            if let Some(id) = self.id {
                add(id, change);
            }
            self.added = value;
        }
    }
}
