//! An Envoy that is attacked and updated, and what its clients saw meanwhile.

use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, Update, WasmOptions, bootstrap, cluster, listener,
    string_value, wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::Request;
use serde_json::{Value, json};

use super::documents::{self, token};
use super::size;

/// How long a request may take. A worker that stands still for longer answers nobody.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(60);
/// Fresh connections for each worker; the chance to miss one of three is below one in a million.
const FRESH: u32 = 16;
const NAME: &str = "guarded";

/// How a document reaches Envoy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Delivery {
    /// The whole listener is replaced.
    Lds,
    /// The filter's configuration alone.
    Ecds,
}

/// How it is started.
pub(crate) struct Setting {
    pub(crate) workers: u32,
    pub(crate) delivery: Delivery,
    pub(crate) listener: ListenerOptions,
    /// How long what was replaced lives on.
    pub(crate) drain: Duration,
    /// Whether in an Envoy that others use too.
    pub(crate) reuse: bool,
    /// Other services, by the names of their clusters.
    pub(crate) clusters: Vec<(&'static str, SocketAddr)>,
}

impl Setting {
    pub(crate) fn new(workers: u32, delivery: Delivery) -> Self {
        Self {
            workers,
            delivery,
            listener: ListenerOptions::default(),
            drain: Duration::from_secs(size(15, 60)),
            reuse: false,
            clusters: Vec::new(),
        }
    }
}

/// An Envoy, the service behind it, and what it had told before it was attacked.
pub(crate) struct Stage {
    pub(crate) envoy: Envoy,
    pub(crate) addr: SocketAddr,
    pub(crate) upstream: Upstream,
    setting: Setting,
    ecds: Option<Ecds>,
}

impl Stage {
    pub(crate) fn start(setting: Setting, document: &Value) -> Self {
        let ecds = (setting.delivery == Delivery::Ecds).then(|| Ecds::create(document));
        let filter = match &ecds {
            None => filter(document),
            Some(ecds) => ecds.filter(),
        };
        Self::start_with(setting, vec![filter], ecds)
    }

    /// An Envoy to compare with.
    pub(crate) fn start_unfiltered(setting: Setting) -> Self {
        Self::start_with(setting, Vec::new(), None)
    }

    fn start_with(setting: Setting, filters: Vec<Value>, ecds: Option<Ecds>) -> Self {
        let upstream = Upstream::start_forgetful().unwrap();
        let clusters = [("upstream", upstream.addr())]
            .into_iter()
            .chain(setting.clusters.iter().copied())
            .map(|(name, addr)| cluster(name, addr))
            .collect();
        let options = Options {
            concurrency: setting.workers,
            timeout: Duration::from_secs(180),
            drain_time: Some(setting.drain),
            reuse: setting.reuse,
            ..Options::default()
        };
        let first = [listener(NAME, filters, setting.listener.clone())];
        let bootstrap = bootstrap(Vec::new(), clusters);
        let envoy = Envoy::start_with_lds(bootstrap, &first, &options).unwrap();
        let addr = envoy.listener_addr(NAME).unwrap();
        Self {
            envoy,
            addr,
            upstream,
            setting,
            ecds,
        }
    }

    pub(crate) fn workers(&self) -> u32 {
        self.setting.workers
    }

    /// Offers a document; whether it was accepted.
    pub(crate) fn update(&self, document: &Value) -> bool {
        match &self.ecds {
            Some(ecds) => ecds.update(&self.envoy, document),
            None => {
                let filter = filter(document);
                let listener = listener(NAME, vec![filter], self.setting.listener.clone());
                self.envoy.update_listeners(&[listener]).unwrap() == Update::Accepted
            }
        }
    }

    /// What requests without a token get, on as many fresh connections as reach every worker.
    pub(crate) fn ask_without_token(&self) -> Tally {
        let mut tally = Tally::default();
        for _ in 0..FRESH * self.workers() {
            tally.ask(self.addr, &documents::get(None));
        }
        tally
    }

    /// Waits until good tokens pass on every worker, at the latest when all is gone that was
    /// replaced.
    pub(crate) fn await_good(&self) {
        let deadline = Instant::now() + self.setting.drain + TIMEOUT;
        let request = documents::get(Some(&token()));
        let mut in_a_row = 0;
        let mut last = String::new();
        while in_a_row < FRESH * self.workers() {
            let status = client::send(self.addr, &request, TIMEOUT).map(|answer| answer.status);
            in_a_row = if matches!(status, Ok(200)) {
                in_a_row + 1
            } else {
                0
            };
            if in_a_row == 0 {
                last = format!("{status:?}");
                thread::sleep(Duration::from_millis(20));
            }
            assert!(
                Instant::now() < deadline,
                "good requests do not pass again: {last}"
            );
        }
    }

    /// Does something while a client without a token goes on asking on fresh connections.
    pub(crate) fn watched<T>(&self, act: impl FnOnce() -> T) -> (T, Tally) {
        let (stop, stopped) = mpsc::channel::<()>();
        let addr = self.addr;
        thread::scope(|scope| {
            let asking = scope.spawn(move || {
                let mut tally = Tally::default();
                while stopped.recv_timeout(Duration::from_millis(4))
                    == Err(mpsc::RecvTimeoutError::Timeout)
                {
                    tally.ask(addr, &documents::get(None));
                }
                tally
            });
            let acted = act();
            drop(stop);
            (acted, asking.join().unwrap())
        })
    }

    /// How often a VM has trapped.
    pub(crate) fn traps(&self) -> usize {
        let log = self.envoy.log();
        let stats = self.envoy.stats().unwrap();
        let reloads = stats
            .iter()
            .filter(|(name, _)| name.contains("vm_reload"))
            .map(|(_, count)| usize::try_from(*count).unwrap_or(usize::MAX))
            .sum();
        let failed = log
            .lines()
            .filter(|line| line.contains("Function: proxy_") || line.contains("panicked"));
        failed.count().max(reloads)
    }

    pub(crate) fn resident_mebibytes(&self) -> u64 {
        self.envoy.resident_memory().unwrap() >> 20
    }

    /// What the filter says of the memory of all its VMs, in MiB.
    pub(crate) fn memory(&self) -> String {
        const PREFIX: &str = "wasmcustom.portcullis.memory.";
        let stats = self.envoy.stats().unwrap();
        let gauges = stats.iter().filter_map(|(name, bytes)| {
            let share = name.strip_prefix(PREFIX)?.strip_suffix("_bytes")?;
            Some(format!("{share} {:.1}", *bytes as f64 / f64::from(1 << 20)))
        });
        gauges.collect::<Vec<_>>().join(", ")
    }

    /// What must hold at the end of every attack.
    pub(crate) fn assert_shut(&self, what: &str, mut tally: Tally) {
        tally.add(self.ask_without_token());
        let traps = self.traps();
        println!(
            "{what}: {tally}, {traps} traps, {} MiB resident",
            self.resident_mebibytes()
        );
        assert_eq!(tally.passed, 0, "{what}: requests without a token passed");
        assert_eq!(tally.lost, 0, "{what}: requests were lost");
        assert_eq!(traps, 0, "{what}: VMs trapped");
        let begun = Instant::now();
        self.await_good();
        println!("{what}: good requests pass after {:.1?}", begun.elapsed());
        tally.add(self.ask_without_token());
        assert_eq!(tally.passed, 0, "{what}: requests without a token passed");
    }
}

fn filter(document: &Value) -> Value {
    wasm_filter(
        NAME,
        &module_path(),
        string_value(&document.to_string()),
        WasmOptions::default(),
    )
}

/// What requests that must be refused got.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Tally {
    /// 401.
    pub(crate) unauthorized: u32,
    /// 503.
    pub(crate) unavailable: u32,
    /// Any other answer: the door stood open.
    pub(crate) passed: u32,
    /// No answer in time.
    pub(crate) lost: u32,
    /// The longest that one took.
    pub(crate) longest: Duration,
}

impl Tally {
    pub(crate) fn count(&mut self, status: Option<u16>) {
        match status {
            Some(401) => self.unauthorized += 1,
            Some(503) => self.unavailable += 1,
            Some(_) => self.passed += 1,
            None => self.lost += 1,
        }
    }

    pub(crate) fn add(&mut self, other: Tally) {
        self.unauthorized += other.unauthorized;
        self.unavailable += other.unavailable;
        self.passed += other.passed;
        self.lost += other.lost;
        self.longest = self.longest.max(other.longest);
    }

    fn ask(&mut self, addr: SocketAddr, request: &Request) {
        let begun = Instant::now();
        let answer = client::send(addr, request, TIMEOUT);
        self.longest = self.longest.max(begun.elapsed());
        self.count(answer.ok().map(|answer| answer.status));
    }
}

impl std::fmt::Display for Tally {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            unauthorized,
            unavailable,
            passed,
            lost,
            longest,
        } = self;
        write!(
            f,
            "401 {unauthorized} times, 503 {unavailable}, PASSED {passed}, lost {lost}, the longest {longest:.1?}"
        )
    }
}

/// The file of a filter's configuration, in a directory that Envoy watches.
struct Ecds {
    directory: PathBuf,
    version: AtomicU32,
}

impl Ecds {
    fn create(document: &Value) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("portcullis-ecds-{}-{count}", std::process::id());
        let ecds = Self {
            directory: std::env::temp_dir().join(name),
            version: AtomicU32::new(0),
        };
        fs::create_dir_all(ecds.directory.join("watched")).unwrap();
        ecds.write(document);
        ecds
    }

    fn write(&self, document: &Value) {
        let version = self.version.fetch_add(1, Ordering::Relaxed) + 1;
        let mut resource = filter(document);
        resource["@type"] = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig".into();
        let response = json!({ "version_info": version.to_string(), "resources": [resource] });
        let draft = self.directory.join("draft.json");
        fs::write(&draft, response.to_string()).unwrap();
        fs::rename(draft, self.file()).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.directory.join("watched/filter.json")
    }

    fn filter(&self) -> Value {
        json!({
            "name": NAME,
            "config_discovery": {
                "config_source": {
                    "resource_api_version": "V3",
                    "path_config_source": {
                        "path": self.file(),
                        "watched_directory": { "path": self.directory.join("watched") },
                    },
                },
                "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
            },
        })
    }

    fn update(&self, envoy: &Envoy, document: &Value) -> bool {
        let count = |name: &str| {
            let stats = envoy.stats().unwrap();
            let matching = stats.iter().filter(|(key, _)| {
                key.starts_with("extension_config_discovery.") && key.ends_with(name)
            });
            matching.map(|(_, count)| *count).sum::<u64>()
        };
        let counts = || {
            [
                ".update_success",
                ".update_rejected",
                ".config_fail",
                ".update_failure",
            ]
            .map(count)
        };
        let before = counts();
        self.write(document);
        let deadline = Instant::now() + Duration::from_secs(180);
        loop {
            let now = counts();
            // Workers have it a moment later.
            if now[1..] != before[1..] {
                return false;
            }
            if now[0] > before[0] {
                return true;
            }
            assert!(
                Instant::now() < deadline,
                "no answer to the new configuration: {now:?}"
            );
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Ecds {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.directory);
    }
}
