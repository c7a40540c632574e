//! The proxy as the core knows it: a clock, metrics, and a checker of signatures.

use std::cell::{Cell, RefCell};
use std::hash::{BuildHasher as _, RandomState};
use std::rc::Rc;
use std::time::Duration;

use super::abi::{self, Buffer, HostError, LogLevel};
use super::signature;
use super::vm;
use portcullis_engine::metrics;
use portcullis_engine::worker::PendingCount;
use portcullis_exchange::cell_memory::CellMemory;
use portcullis_exchange::host::{
    Bodies, CasResult, CasToken, CellUnavailable, Cells, Clock, Counter, Counters, Entropy,
    Environment, Failure, Histogram, HostVerdict, Level, Log, MetricId, MetricKind, Metrics,
    Properties, Property, Side, SignatureCheck, Signatures,
};

/// The proxy of this worker, for one plugin.
pub(super) struct Envoy {
    ids: Rc<MetricIds>,
    /// By the numbers of the counters.
    pending: Vec<PendingCount>,
    /// Whether there are ticks, on which the proxy is told of counters.
    ticks: Cell<bool>,
    cells: RefCell<CellKeys>,
    /// What this worker wrote to cells last.
    written: RefCell<CellMemory>,
    /// The status of the response to the request that is being recorded, where it is known.
    status: Cell<Option<u16>>,
}

/// What the proxy calls the filter's metrics in this VM, and what it can do. Each metric is made
/// known once: the proxy keeps a note of every time.
pub(super) struct MetricIds {
    counters: Vec<Option<MetricId>>,
    histograms: Vec<Option<MetricId>>,
    signatures: signature::Support,
}

impl MetricIds {
    /// Makes every counter and histogram known to the proxy. One that it refuses is not kept.
    pub(super) fn define() -> Self {
        let counter = |name: &String| define(MetricKind::Counter, name);
        let histogram = |name: &String| define(MetricKind::Histogram, name);
        Self {
            counters: metrics::names().iter().map(counter).collect(),
            histograms: metrics::histogram_names().iter().map(histogram).collect(),
            signatures: signature::Support::probe(),
        }
    }
}

/// Keys of cells, put together in one place.
struct CellKeys {
    /// In front of every key: other plugins may share the namespace.
    namespace: usize,
    key: String,
}

impl Envoy {
    pub(super) fn new() -> Self {
        let ids = vm::ids();
        Self {
            pending: ids
                .counters
                .iter()
                .map(|_| PendingCount::default())
                .collect(),
            ids,
            ticks: Cell::new(false),
            cells: RefCell::new(CellKeys::new()),
            written: RefCell::default(),
            status: Cell::new(None),
        }
    }
}

/// Makes a metric known to the proxy; none if it refuses.
pub(super) fn define(kind: MetricKind, name: &str) -> Option<MetricId> {
    let report = |HostError(status)| {
        log::warn!("the proxy refuses the metric {name} with status {status}");
    };
    let kind = match kind {
        MetricKind::Counter => abi::MetricKind::Counter,
        MetricKind::Gauge => abi::MetricKind::Gauge,
        MetricKind::Histogram => abi::MetricKind::Histogram,
    };
    let id = abi::define_metric(kind, name).map_err(report).ok();
    id.map(MetricId)
}

/// Adds to a metric. One that cannot be changed changes nothing else.
pub(super) fn add(MetricId(id): MetricId, change: i64) {
    let _ = abi::increment(id, change);
}

/// Whose cells are this plugin's: the beginning of all their keys. A VM's id is a namespace of the
/// proxy's own. In it, the plugin's name and root id say which document and its successors this
/// is; a plugin can know no more of the listener that it is in. What else tells cells apart is in
/// their own keys.
pub(super) fn lineage() -> String {
    let text = |path: &[u8]| {
        let value = abi::property(path).unwrap_or_default();
        String::from_utf8_lossy(&value).into_owned()
    };
    // In quotes, so that no two pairs look alike.
    let (name, root_id) = (text(b"plugin_name"), text(b"plugin_root_id"));
    format!("portcullis/2/{name:?}/{root_id:?}/")
}

impl CellKeys {
    fn new() -> Self {
        let key = lineage();
        Self {
            namespace: key.len(),
            key,
        }
    }

    fn whole(&mut self, key: &str) -> &str {
        // Most requests ask for the same cell as the one before.
        if self.key.as_bytes().get(self.namespace..) != Some(key.as_bytes()) {
            self.change(key);
        }
        &self.key
    }

    #[cold]
    #[inline(never)]
    fn change(&mut self, key: &str) {
        self.key.truncate(self.namespace);
        self.key.push_str(key);
    }
}

impl Envoy {
    /// Notes the status of the response to the request that is being recorded: the proxy need not be asked.
    pub(super) fn know_status(&self, status: Option<u16>) {
        self.status.set(status);
    }

    /// Notes that there are ticks from now on.
    pub(super) fn ticks(&self) {
        self.ticks.set(true);
    }

    /// Forgets what was written to cells. Marks are remembered from one tick to the next, at the most.
    pub(super) fn forget_cells(&self) {
        if let Ok(mut written) = self.written.try_borrow_mut() {
            written.age();
        }
    }

    /// Tells the proxy what has been counted; totals last, so that a reader who sees them sees what
    /// they are made of.
    pub(super) fn flush_counters(&self) {
        for (id, pending) in self.ids.counters.iter().zip(&self.pending).rev() {
            pending.tell(*id, self);
        }
    }
}

/// Exchanges that are still on their way hold it: it tells what they count last.
impl Drop for Envoy {
    fn drop(&mut self) {
        self.flush_counters();
    }
}

impl Clock for Envoy {
    fn wall_clock(&self) -> Duration {
        abi::wall_clock().map_or(Duration::ZERO, Duration::from_nanos)
    }

    fn monotonic(&self) -> Duration {
        // Envoy's is the machine's, and the same for all workers. A host without one has time stand
        // still: what was used of a limit is then used for ever.
        abi::monotonic_clock().map_or(Duration::ZERO, Duration::from_nanos)
    }
}

impl Counters for Envoy {
    fn count_many(&self, Counter(number): Counter, many: u64) {
        let id = self.ids.counters.get(number);
        if let Some((id, pending)) = id.zip(self.pending.get(number)) {
            pending.add(many);
            if !self.has_ticks() {
                pending.tell(*id, self);
            }
        }
    }

    fn observe(&self, Histogram(number): Histogram, value: u64) {
        if let Some(MetricId(id)) = self.ids.histograms.get(number).copied().flatten() {
            let _ = abi::record(id, value);
        }
    }
}

impl Environment for Envoy {
    fn environment(&self, name: &str) -> Option<Vec<u8>> {
        // An empty name, or one with `=` or NUL, is no variable's; asking for one may panic.
        let is_name = !name.is_empty() && !name.contains(['=', '\0']);
        let value = is_name.then(|| std::env::var_os(name)).flatten()?;
        Some(value.into_encoded_bytes())
    }
}

impl Signatures for Envoy {
    fn verify_signature(&self, check: SignatureCheck<'_>) -> HostVerdict {
        self.ids.signatures.verify(check)
    }
}

impl Properties for Envoy {
    fn property(&self, property: Property) -> Option<Vec<u8>> {
        if let (Property::ResponseStatus, Some(status)) = (property, self.status.get()) {
            return Some(u64::from(status).to_le_bytes().to_vec());
        }
        let path: &[u8] = match property {
            Property::ClientAddress => b"source\0address",
            Property::TlsVersion => b"connection\0tls_version",
            Property::PeerCertificatePresented => b"connection\0mtls",
            Property::PeerCertificateValid => b"connection\0peer_certificate_valid",
            Property::PeerUri => b"connection\0uri_san_peer_certificate",
            Property::PeerDnsName => b"connection\0dns_san_peer_certificate",
            Property::PeerSubject => b"connection\0subject_peer_certificate",
            Property::PeerSha256 => b"connection\0sha256_peer_certificate_digest",
            Property::Protocol => b"request\0protocol",
            Property::RequestSize => b"request\0total_size",
            Property::ResponseStatus => b"response\0code",
            Property::ResponseDetails => b"response\0code_details",
            Property::ResponseFlags => b"response\0flags",
            Property::ResponseSize => b"response\0total_size",
            Property::UpstreamAddress => b"upstream\0address",
        };
        abi::property(path).ok().filter(|value| !value.is_empty())
    }

    fn response_status(&self) -> Option<u64> {
        match self.status.get() {
            Some(status) => Some(status.into()),
            None => {
                let status = self.property(Property::ResponseStatus)?;
                status.try_into().ok().map(u64::from_le_bytes)
            }
        }
    }
}

impl Cells for Envoy {
    fn remembered(&self, key: &str) -> Option<(Vec<u8>, CasToken)> {
        self.written.try_borrow_mut().ok()?.take(key)
    }

    #[inline]
    fn change_remembered(
        &self,
        key: &str,
        change: &mut dyn FnMut(&mut [u8]) -> bool,
    ) -> Option<Result<CasResult, CellUnavailable>> {
        let mut written = self.written.try_borrow_mut().ok()?;
        written.change(key, change, |value, mark| {
            self.write(key, Some(mark), value)
        })
    }

    fn cell(&self, key: &str) -> Result<Option<(Vec<u8>, CasToken)>, CellUnavailable> {
        const NOT_FOUND: HostError = HostError(1);
        let mut keys = self.cells.try_borrow_mut().map_err(|_| CellUnavailable)?;
        match abi::shared(keys.whole(key)) {
            Ok((value, mark)) => Ok(Some((value, CasToken(mark)))),
            Err(NOT_FOUND) => Ok(None),
            Err(HostError(_)) => Err(CellUnavailable),
        }
    }

    fn compare_and_swap(
        &self,
        key: &str,
        seen: Option<CasToken>,
        value: &[u8],
    ) -> Result<CasResult, CellUnavailable> {
        let swap = self.write(key, seen, value)?;
        // It is forgotten on ticks.
        if self.has_ticks()
            && let Ok(mut written) = self.written.try_borrow_mut()
        {
            written.wrote(key, seen, value, swap);
        }
        Ok(swap)
    }
}

impl Envoy {
    /// Writes a cell, which is not remembered.
    #[inline]
    fn write(
        &self,
        key: &str,
        seen: Option<CasToken>,
        value: &[u8],
    ) -> Result<CasResult, CellUnavailable> {
        const CAS_MISMATCH: HostError = HostError(8);
        let mut keys = self.cells.try_borrow_mut().map_err(|_| CellUnavailable)?;
        let mark = seen.map(|CasToken(mark)| mark);
        match abi::set_shared(keys.whole(key), value, mark) {
            Ok(()) => Ok(CasResult::Written),
            Err(CAS_MISMATCH) => Ok(CasResult::Changed),
            Err(HostError(_)) => Err(CellUnavailable),
        }
    }
}

impl Entropy for Envoy {
    fn random(&self) -> u64 {
        // The standard library seeds its hashers from the system's random bytes.
        RandomState::new().hash_one(0_u8)
    }
}

impl Bodies for Envoy {
    fn body(&self, side: Side, start: usize, size: usize) -> Result<Vec<u8>, Failure> {
        let buffer = match side {
            Side::Request => Buffer::RequestBody,
            Side::Response => Buffer::ResponseBody,
        };
        abi::buffer_of(buffer, start, size).map_err(abi::HostError::failure)
    }
}

impl Log for Envoy {
    fn log(&self, level: Level, line: &str) {
        let level = match level {
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        };
        let _ = abi::log(level, line.as_bytes());
    }

    fn set_filter_state(&self, name: &str, value: &str) {
        let _ = abi::set_property(name, value.as_bytes());
    }
}

impl Metrics for Envoy {
    fn define(&self, kind: MetricKind, name: &str) -> Option<MetricId> {
        define(kind, name)
    }

    fn add(&self, metric: MetricId, change: i64) {
        add(metric, change);
    }

    fn set(&self, MetricId(id): MetricId, value: u64) {
        let _ = abi::record(id, value);
    }

    fn has_ticks(&self) -> bool {
        self.ticks.get()
    }
}
