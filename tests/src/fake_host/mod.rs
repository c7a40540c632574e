//! A fake Envoy: it loads the built module in an interpreter and sends exchanges through it.
//!
//! It is a fake by state, not by script: shared cells, metrics, log lines, properties and a
//! clock that only a test moves. Of what Envoy does around a filter it leaves out routes and
//! clusters (calls to other services fail as for an unknown cluster), other filters, TLS, and
//! anything that takes time, so that a stream which waits is reported as a [`Trap`] of kind
//! [`TrapKind::Hang`].

mod abi;
mod course;
mod exchange;
mod guest;
mod headers;
mod http;
mod incoming;
mod life;
mod modules;
mod properties;
mod services;
mod state;
mod steps;
mod wasi;
mod worker;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use wasmi::{Instance, Linker, Module, Store, WasmParams, WasmResults};

use crate::wire::Response;
pub use exchange::Exchange;
use state::{MetricKind, ROOT, Server, Stat, Vm};
pub use steps::{Callback, Led};
pub use worker::{Answer, Worker};

/// One worker of the proxy: a VM with one plugin in it.
pub struct FakeHost {
    store: Store<Vm>,
    instance: Instance,
    module: Module,
    server: Arc<Mutex<Server>>,
    next_context: u32,
    /// Requests that the upstream has got as a whole.
    passed: u64,
    /// What the client has got of the last answer.
    shown: Option<Response>,
    headers_stop_iteration: bool,
    buffer_limit: usize,
}

/// What is fixed when a VM is made.
#[derive(Clone, Debug, Default)]
pub struct HostOptions {
    /// The name of the plugin, as the attribute `plugin_name`.
    pub plugin_name: String,
    /// The namespace of shared cells and queues.
    pub vm_id: String,
    /// Environment variables of the VM.
    pub environment: Vec<(String, String)>,
    /// Both clocks at the start.
    pub now_nanos: u64,
    /// Whether a timer is refused.
    pub refuses_ticks: bool,
    /// Callbacks and host calls that `capability_restriction_config` leaves out.
    pub denied: &'static [&'static str],
}

/// One line the module wrote.
#[derive(Clone, PartialEq, Eq)]
pub struct LogLine {
    /// From 0, trace, to 5, critical. A panic is critical.
    pub level: u32,
    /// As written; nothing is escaped.
    pub message: Vec<u8>,
}

impl fmt::Debug for LogLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.message);
        write!(f, "{} {text:?}", self.level)
    }
}

/// Why there is no plugin.
#[derive(Clone, Debug)]
pub enum StartError {
    /// It trapped.
    Trap(String),
    /// It refused its configuration, or to start at all.
    Refused {
        /// What it wrote until then.
        log: Vec<LogLine>,
    },
    /// Envoy would not load these bytes.
    Module(String),
}

/// The module failed; its VM takes no further callback.
#[derive(Clone, Debug)]
pub struct Trap {
    /// How.
    pub kind: TrapKind,
    /// The interpreter's words, then the panic's if there was one.
    pub message: String,
    /// What the module wrote in this exchange or tick.
    pub log: Vec<LogLine>,
}

/// How a module failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TrapKind {
    /// The callback trapped.
    Trap,
    /// It paused a stream that nothing will resume. The VM lives on.
    Hang,
    /// It had trapped before; Envoy answers 503.
    Before,
}

/// Host calls of one exchange, one tick, or the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// All of them, those of WASI included.
    pub total: usize,
    /// Those that handed bytes over, for which the host re-enters the VM to allocate.
    pub returning_bytes: usize,
    /// All of them by the name of the import.
    pub by_name: BTreeMap<&'static str, usize>,
}

impl Calls {
    fn count(&mut self, name: &'static str) {
        self.total += 1;
        *self.by_name.entry(name).or_default() += 1;
    }
}

impl FakeHost {
    /// Loads a module and configures its plugin.
    pub fn start(
        wasm: &[u8],
        configuration: &[u8],
        options: HostOptions,
    ) -> Result<FakeHost, StartError> {
        let mut host = FakeHost::load(wasm, options)?;
        host.configure(configuration)?;
        Ok(host)
    }

    /// Loads a module and initialises it, without a plugin in it: for tests that set something
    /// up which [`FakeHost::configure`] is to find.
    pub fn load(wasm: &[u8], options: HostOptions) -> Result<FakeHost, StartError> {
        let module = modules::read(wasm).map_err(|e| StartError::Module(e.to_string()))?;
        let server = Server {
            now_nanos: options.now_nanos,
            ..Server::default()
        };
        FakeHost::instantiate(&module, Arc::new(Mutex::new(server)), options)
    }

    /// Another worker of the same proxy: the same module, options and clock, the same shared
    /// cells, queues and metrics, its own memory. It waits for [`FakeHost::configure`].
    pub fn load_beside(&self) -> Result<FakeHost, StartError> {
        let vm = self.store.data();
        let mut host =
            FakeHost::instantiate(&self.module, self.server.clone(), vm.options.clone())?;
        host.headers_stop_iteration = self.headers_stop_iteration;
        host.buffer_limit = self.buffer_limit;
        let beside = host.store.data_mut();
        beside.functions = vm.functions.clone();
        beside.properties = vm.properties.clone();
        beside.log_level = vm.log_level;
        beside.clusters = vm.clusters.clone();
        Ok(host)
    }

    fn instantiate(
        module: &Module,
        server: Arc<Mutex<Server>>,
        options: HostOptions,
    ) -> Result<FakeHost, StartError> {
        let mut host = FakeHost::instantiate_only(module, server, options)?;
        host.call_start::<_, ()>("_initialize", ())?;
        Ok(host)
    }

    /// The instance before any of its code has run.
    fn instantiate_only(
        module: &Module,
        server: Arc<Mutex<Server>>,
        options: HostOptions,
    ) -> Result<FakeHost, StartError> {
        const DEFAULT_BUFFER_LIMIT: usize = 1 << 20;
        if module.get_export("proxy_abi_version_0_2_1").is_none() {
            return Err(StartError::Module("no proxy-wasm ABI 0.2.1".to_owned()));
        }
        let vm = Vm::new(server.clone(), options);
        let mut store = Store::new(module.engine(), vm);
        store.limiter(|vm| &mut vm.limits);
        let mut linker = Linker::new(module.engine());
        let imports = [abi::STREAM_IMPORT, abi::SERVICE_IMPORT, wasi::IMPORT];
        guest::link(&mut linker, module, &imports).map_err(StartError::Module)?;
        let instance = (linker.instantiate_and_start(&mut store, module))
            .map_err(|error| StartError::Trap(error.to_string()))?;
        let memory = instance.get_memory(&store, "memory");
        let allocate = instance.get_typed_func(&store, "proxy_on_memory_allocate");
        let (Some(memory), Ok(allocate)) = (memory, allocate) else {
            let missing = "no export `memory` or `proxy_on_memory_allocate`";
            return Err(StartError::Module(missing.to_owned()));
        };
        store.data_mut().memory = Some(memory);
        store.data_mut().allocate = Some(allocate);
        Ok(FakeHost {
            store,
            instance,
            module: module.clone(),
            server,
            next_context: ROOT,
            passed: 0,
            shown: None,
            headers_stop_iteration: false,
            buffer_limit: DEFAULT_BUFFER_LIMIT,
        })
    }

    fn call_start<P: WasmParams, R: WasmResults>(
        &mut self,
        name: &str,
        params: P,
    ) -> Result<R, StartError> {
        let called = self.call(name, params);
        called.map_err(|message| StartError::Trap(format!("{name}: {message}")))
    }

    /// Calls an export, and marks the VM as failed if that traps.
    fn call<P: WasmParams, R: WasmResults>(&mut self, name: &str, params: P) -> Result<R, String> {
        let logged = self.log().len();
        let called = (self.instance.get_typed_func(&self.store, name))
            .and_then(|function| function.call(&mut self.store, params));
        called.map_err(|error| {
            const CRITICAL: u32 = 5;
            self.store.data_mut().failed = true;
            let panic = self.log()[logged..].iter().rfind(|l| l.level == CRITICAL);
            let panic = panic.map(|line| String::from_utf8_lossy(&line.message));
            match panic {
                Some(panic) => format!("{error}: {panic}"),
                None => error.to_string(),
            }
        })
    }

    /// Sets both clocks, for all workers of this proxy.
    pub fn set_now_nanos(&mut self, n: u64) {
        self.server().now_nanos = n;
    }

    /// All lines written since the VM was made.
    pub fn log(&self) -> &[LogLine] {
        &self.store.data().log
    }

    /// What `proxy_get_log_level` answers; info unless set. The fake keeps all lines.
    pub fn set_log_level(&mut self, level: u32) {
        self.store.data_mut().log_level = level;
    }

    /// A counter or gauge by the name the module gave it, or how often a histogram recorded.
    /// `None`: no worker of this proxy has defined it.
    pub fn metric(&self, name: &str) -> Option<u64> {
        let server = self.server();
        let stat = |kind| server.stats.get(&(name.to_owned(), kind));
        let value = |stat: &Stat| stat.value;
        (stat(MetricKind::Counter)
            .or(stat(MetricKind::Gauge))
            .map(value))
        .or_else(|| Some(stat(MetricKind::Histogram)?.recorded.len() as u64))
    }

    /// All counters and gauges of this proxy, by name.
    pub fn metrics(&self) -> BTreeMap<String, u64> {
        let server = self.server();
        let stats = (server.stats.iter()).filter(|((_, kind), _)| *kind != MetricKind::Histogram);
        stats
            .map(|((name, _), stat)| (name.clone(), stat.value))
            .collect()
    }

    /// What a histogram recorded, in order.
    pub fn histogram(&self, name: &str) -> Option<Vec<u64>> {
        let key = (name.to_owned(), MetricKind::Histogram);
        Some(self.server().stats.get(&key)?.recorded.clone())
    }

    /// The value of a shared cell in this VM's namespace.
    pub fn shared_data(&self, key: &str) -> Option<Vec<u8>> {
        let key = (
            self.store.data().options.vm_id.clone(),
            key.as_bytes().to_vec(),
        );
        Some(self.server().cells.get(&key)?.value.clone())
    }

    /// The keys of all shared cells in this VM's namespace.
    pub fn shared_keys(&self) -> Vec<Vec<u8>> {
        let vm_id = &self.store.data().options.vm_id;
        let server = self.server();
        let keys = server.cells.keys().filter(|(id, _)| id == vm_id);
        keys.map(|(_, key)| key.clone()).collect()
    }

    /// Writes a shared cell as another plugin in the same namespace might.
    pub fn set_shared_data(&mut self, key: &str, value: Vec<u8>) {
        let key = (
            self.store.data().options.vm_id.clone(),
            key.as_bytes().to_vec(),
        );
        let mut server = self.server();
        let cas = server.next_cas();
        server.cells.insert(key, state::Cell { value, cas });
    }

    /// Sets an attribute for streams from now on. Those under `xds.node` are also there when no
    /// stream is. A value set here wins over the one that would follow from the stream.
    pub fn set_property(&mut self, path: &[&str], value: Vec<u8>) {
        let path = path.join("\0").into_bytes();
        self.store.data_mut().properties.insert(path, value);
    }

    /// Registers a function of the host. It answers a status, 0 for success, and a result.
    pub fn set_foreign_function(
        &mut self,
        name: &str,
        function: impl Fn(&[u8]) -> (u32, Vec<u8>) + Send + Sync + 'static,
    ) {
        let functions = &mut self.store.data_mut().functions;
        functions.insert(name.as_bytes().to_vec(), Arc::new(function));
    }

    /// The plugin setting `allow_on_headers_stop_iteration`: a pause in a headers callback then
    /// lets the body callbacks run. Off, as in Envoy, unless set.
    pub fn set_headers_stop_iteration(&mut self, allowed: bool) {
        self.headers_stop_iteration = allowed;
    }

    /// The most that is held back for a paused body; 1 MiB, as in Envoy, unless set.
    pub fn set_buffer_limit(&mut self, bytes: usize) {
        self.buffer_limit = bytes;
    }

    /// The period the newest plugin asked ticks for, in milliseconds; 0 for none.
    pub fn tick_period_ms(&self) -> u32 {
        let vm = self.store.data();
        vm.roots.get(&vm.root).copied().unwrap_or(0)
    }

    /// The module's linear memory, which never shrinks.
    pub fn memory_bytes(&self) -> usize {
        let memory = self.store.data().memory;
        memory.map_or(0, |memory| memory.data_size(&self.store))
    }

    /// Host calls since the last exchange or tick began, or in the start if there was none.
    pub fn calls(&self) -> &Calls {
        &self.store.data().calls
    }

    /// Lets the timer of each plugin fire once, if it has set one. The clock stays.
    pub fn tick(&mut self) -> Result<(), Trap> {
        self.check_alive()?;
        let mut roots = self.store.data().roots.clone();
        roots.retain(|_, period| *period > 0);
        if roots.is_empty() {
            return Ok(());
        }
        let logged = self.log().len();
        self.store.data_mut().calls = Calls::default();
        for root in roots.into_keys() {
            self.store.data_mut().effective_context = root;
            self.callback::<_, ()>("proxy_on_tick", root, logged)?;
        }
        let vm = self.store.data_mut();
        vm.effective_context = vm.root;
        Ok(())
    }

    fn check_alive(&self) -> Result<(), Trap> {
        match self.store.data().failed {
            false => Ok(()),
            true => Err(Trap {
                kind: TrapKind::Before,
                message: "the VM has failed".to_owned(),
                log: Vec::new(),
            }),
        }
    }

    /// Calls back. What the module does not export is not called, and the proxy goes on.
    fn callback<P: WasmParams, R: WasmResults + Default>(
        &mut self,
        name: &str,
        params: P,
        logged: usize,
    ) -> Result<R, Trap> {
        if !self.exports(name) {
            return Ok(R::default());
        }
        let called = self.call(name, params).and_then(|result| {
            // The module went on, but its VM has failed; the proxy looks again after each callback.
            match self.store.data().failed {
                true => Err("the allocation for a host call trapped".to_owned()),
                false => Ok(result),
            }
        });
        called.map_err(|message| Trap {
            kind: TrapKind::Trap,
            message: format!("{name}: {message}"),
            log: self.log()[logged..].to_vec(),
        })
    }

    fn exports(&self, name: &str) -> bool {
        !self.store.data().options.denied.contains(&name)
            && self.instance.get_func(&self.store, name).is_some()
    }

    fn server(&self) -> MutexGuard<'_, Server> {
        self.store.data().server()
    }
}
