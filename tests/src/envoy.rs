//! A real Envoy as a child process.

#![allow(
    clippy::disallowed_methods,
    reason = "deadlines against a real process need the real clock"
)]

mod admin;
mod config;
mod depot;
mod error;
mod lds;
mod locate;
mod pool;
mod process;
mod resources;

use std::io::{Read, Seek, SeekFrom};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::{Duration, Instant};
use std::{fs, thread};

use serde_json::Value;

pub use config::{
    FailPolicy, ListenerOptions, WasmOptions, bootstrap, client_certificates, cluster,
    downstream_quic, downstream_tls, json_filter, listener, router_filter, string_value,
    upstream_quic, wasm_filter,
};
pub use error::EnvoyError;
pub use lds::Update;
pub use locate::locate;

use lds::Lds;
use process::Process;

/// How often something is looked at that cannot be waited for.
const POLL: Duration = Duration::from_millis(5);

/// A running Envoy. Dropping it ends the process and removes its directory.
///
/// When it is dropped by a panic the directory stays, for its log, and
/// standard error says where.
#[derive(Debug)]
pub struct Envoy {
    process: Process,
    admin: SocketAddr,
    version: String,
    lds: Option<Mutex<Lds>>,
    /// How much of the log and of the output is that of earlier tests.
    earlier: [u64; 2],
    pooled: Option<pool::Pooled>,
}

/// How Envoy is started.
#[derive(Clone, Debug)]
pub struct Options {
    /// The binary; `None`: the one that [`fn@locate`] finds.
    pub binary: Option<PathBuf>,
    /// Worker threads.
    pub concurrency: u32,
    /// `-l`.
    pub log_level: String,
    /// `--component-log-level`, as in `wasm:debug`.
    pub component_log_level: Option<String>,
    /// `--drain-time-s`: how long replaced listeners and filter chains live on.
    /// Envoy's default is ten minutes.
    pub drain_time: Option<Duration>,
    /// Every connection to something replaced ends with its next answer, instead
    /// of one after the other over the drain time.
    pub drain_at_once: bool,
    /// Whether it may be one that earlier tests have used, and goes on to the next: of this process, or of
    /// any under `tests/with-envoys.sh`.
    ///
    /// It takes seconds of processor time to compile the module, and each Envoy does it once. What
    /// another test has left is gone: listeners, clusters, VMs and what these share, counters and
    /// log lines. Not for tests of memory or of the number of VMs, nor for any with old connections to
    /// replaced listeners: these live on for a second only, unless `drain_time` says more.
    pub reuse: bool,
    /// Further variables of its environment.
    pub environment: Vec<(String, String)>,
    /// How long it may take until it is ready, and an update until it is applied.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            binary: None,
            concurrency: 2,
            log_level: "info".into(),
            component_log_level: None,
            drain_time: None,
            drain_at_once: false,
            reuse: false,
            environment: Vec::new(),
            timeout: Duration::from_secs(180),
        }
    }
}

impl Options {
    /// The default ones, for an Envoy that [others use too](Self::reuse).
    pub fn reused() -> Self {
        Self {
            reuse: true,
            ..Self::default()
        }
    }
}

impl Envoy {
    /// Starts Envoy with a bootstrap and waits until it is ready.
    ///
    /// A bootstrap without `admin` gets one on a free port of 127.0.0.1.
    pub fn start(bootstrap: Value, options: &Options) -> Result<Self, EnvoyError> {
        match options.reuse {
            true => pool::take(bootstrap, &[], options),
            false => Self::launch(bootstrap, None, options),
        }
    }

    /// Starts Envoy with listeners that [`update_listeners`](Self::update_listeners) can replace.
    ///
    /// The first listeners must be accepted.
    pub fn start_with_lds(
        bootstrap: Value,
        listeners: &[Value],
        options: &Options,
    ) -> Result<Self, EnvoyError> {
        match options.reuse {
            true => pool::take(bootstrap, listeners, options),
            false => Self::launch(bootstrap, Some(listeners), options),
        }
    }

    fn launch(
        mut bootstrap: Value,
        listeners: Option<&[Value]>,
        options: &Options,
    ) -> Result<Self, EnvoyError> {
        let deadline = Instant::now() + options.timeout;
        let directory = process::Directory::create()?;
        config::with_admin(&mut bootstrap);
        let lds = listeners
            .map(|listeners| Lds::create(directory.path(), listeners, None, options))
            .transpose()?;
        if let Some(lds) = &lds {
            bootstrap["dynamic_resources"]["lds_config"] = lds.config_source();
        }
        let process = Process::spawn(directory, &bootstrap, options)?;
        let mut envoy = Self::ready(process, deadline)?;
        if let Some(lds) = lds {
            lds.wait_for_first(&envoy, deadline)?;
            envoy.lds = Some(Mutex::new(lds));
        }
        Ok(envoy)
    }

    /// The one of this process, when it is ready.
    fn ready(mut process: Process, deadline: Instant) -> Result<Self, EnvoyError> {
        let admin = process.wait_until_ready(deadline)?;
        let mut envoy = Self {
            process,
            admin,
            version: String::new(),
            lds: None,
            earlier: [0; 2],
            pooled: None,
        };
        envoy.version = envoy.ask_version()?;
        Ok(envoy)
    }

    /// Replaces the listeners by those given, and waits until the workers serve them.
    ///
    /// A new connection then meets the new listener. One that is open stays
    /// with the old one, and its configuration, until that has drained.
    ///
    /// Envoy keeps the old listener of each one it rejects, but applies the
    /// rest of the update all the same.
    ///
    /// # Panics
    ///
    /// If Envoy was not started with [`start_with_lds`](Self::start_with_lds).
    pub fn update_listeners(&self, listeners: &[Value]) -> Result<Update, EnvoyError> {
        let lds = self.lds.as_ref().expect("started with start_with_lds");
        let mut lds = lds.lock().expect("no panic under this lock");
        lds.update(self, listeners)
    }

    /// What Envoy has logged so far, with everything else on its standard error.
    pub fn log(&self) -> String {
        self.log_since(0)
    }

    /// What Envoy has logged after [`log_mark`](Self::log_mark) returned `mark`.
    pub fn log_since(&self, mark: u64) -> String {
        let [log, _] = self.earlier;
        read_lossy(&self.file("stderr"), mark.max(log))
    }

    /// How long the log is now, in bytes.
    pub fn log_mark(&self) -> u64 {
        length(&self.file("stderr"))
    }

    /// What Envoy has written to standard output: the access log, where it goes there.
    pub fn stdout(&self) -> String {
        let [_, output] = self.earlier;
        read_lossy(&self.file("stdout"), output)
    }

    /// Waits until the log contains `text`, which it may do already.
    pub fn wait_for_log(&self, text: &str, timeout: Duration) -> Result<(), EnvoyError> {
        let deadline = Instant::now() + timeout;
        self.wait_until(deadline, "a line of the log", || {
            Ok(self.log().contains(text).then_some(()))
        })
    }

    /// Waits until standard output contains `text`, which it may do already.
    pub fn wait_for_stdout(&self, text: &str, timeout: Duration) -> Result<(), EnvoyError> {
        let deadline = Instant::now() + timeout;
        self.wait_until(deadline, "a line of the output", || {
            Ok(self.stdout().contains(text).then_some(()))
        })
    }

    /// The lines of JSON that filters have logged, once there are so many.
    pub fn records(&self, least: usize, timeout: Duration) -> Result<Vec<Value>, EnvoyError> {
        let deadline = Instant::now() + timeout;
        self.wait_until(deadline, "records", || {
            let log = self.log();
            let lines = log.lines().filter_map(|line| line.split_once("wasm log "));
            let lines = lines.filter_map(|(_, line)| line.split_once(": "));
            let lines = lines.filter(|(_, line)| line.starts_with('{'));
            let read = |(_, line)| {
                serde_json::from_str(line).map_err(|_| EnvoyError::Unexpected {
                    what: "record",
                    body: String::from(line),
                })
            };
            let all: Vec<Value> = lines.map(read).collect::<Result<_, _>>()?;
            Ok((all.len() >= least).then_some(all))
        })
    }

    /// The directory of this process: its bootstrap, log and output.
    pub fn directory(&self) -> &Path {
        self.process.path()
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// The version, as in `1.40.0`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Whether the process is still there.
    pub fn is_running(&self) -> bool {
        !self.process.has_ended()
    }

    /// Resident memory in bytes.
    pub fn resident_memory(&self) -> Result<u64, EnvoyError> {
        self.process.resident_memory()
    }

    /// The processor time of all its threads so far.
    pub fn cpu_time(&self) -> Result<Duration, EnvoyError> {
        self.process.cpu_time()
    }

    fn file(&self, name: &str) -> PathBuf {
        self.process.path().join(name)
    }

    /// Asks again and again until there is an answer.
    fn wait_until<T>(
        &self,
        deadline: Instant,
        what: &'static str,
        mut look: impl FnMut() -> Result<Option<T>, EnvoyError>,
    ) -> Result<T, EnvoyError> {
        loop {
            // A process that has ended is the cause of whatever else fails.
            let looked = look();
            match looked {
                Ok(Some(found)) => return Ok(found),
                _ if self.process.has_ended() => return Err(self.process.ended()),
                Err(error) => return Err(error),
                Ok(None) if Instant::now() >= deadline => {
                    let log = process::tail(&self.log());
                    return Err(EnvoyError::TimedOut { what, log });
                }
                Ok(None) => thread::sleep(POLL),
            }
        }
    }
}

impl Drop for Envoy {
    fn drop(&mut self) {
        // One whose test has failed says where its log is, and ends.
        if !thread::panicking() {
            pool::put(self);
        }
    }
}

fn length(path: &Path) -> u64 {
    fs::metadata(path).map_or(0, |file| file.len())
}

fn read_lossy(path: &Path, mark: u64) -> String {
    let mut bytes = Vec::new();
    // What others have written before may be much.
    let _ = fs::File::open(path).and_then(|mut file| {
        file.seek(SeekFrom::Start(mark))?;
        file.read_to_end(&mut bytes)
    });
    String::from_utf8_lossy(&bytes).into_owned()
}
