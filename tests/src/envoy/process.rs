//! The process and its directory.

use std::net::SocketAddr;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{fs, io, thread};

use serde_json::Value;

use super::depot::{Depot, Idle};
use super::{EnvoyError, Options, POLL, admin, locate, read_lossy};

/// How long Envoy may take to end by itself.
const GRACE: Duration = Duration::from_secs(5);
/// How much of the log an error shows.
const TAIL_LINES: usize = 40;
/// Clock ticks in a second, the same on every Linux that Envoy runs on.
const TICKS: u64 = 100;

/// A directory of its own below the system's temporary one, removed with this.
#[derive(Debug)]
pub(super) struct Directory {
    path: PathBuf,
    /// Whether another process has it now.
    is_left: AtomicBool,
}

impl Directory {
    pub(super) fn create() -> Result<Self, EnvoyError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        loop {
            let count = COUNT.fetch_add(1, Ordering::Relaxed);
            let name = format!("portcullis-envoy-{}-{count}", std::process::id());
            let path = std::env::temp_dir().join(name);
            match fs::create_dir(&path) {
                Ok(()) => return Ok(Self::of(path)),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(cannot("create a directory")(error)),
            }
        }
    }

    fn of(path: PathBuf) -> Self {
        Self {
            path,
            is_left: AtomicBool::new(false),
        }
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if *self.is_left.get_mut() {
            return;
        }
        if thread::panicking() {
            eprintln!("Envoy's log is in {}", self.path.display());
            return;
        }
        let _ = fs::remove_dir_all(&self.path);
    }
}

/// Envoy itself.
#[derive(Debug)]
pub(super) struct Process {
    /// None if another process has started it.
    child: Option<Mutex<Child>>,
    pid: u32,
    /// When it was started, as its system counts.
    started: u64,
    directory: Directory,
    /// The process that ends it when nobody can use it any more, if it may outlive its test.
    guard: Option<u32>,
}

impl Process {
    pub(super) fn spawn(
        directory: Directory,
        bootstrap: &Value,
        options: &Options,
    ) -> Result<Self, EnvoyError> {
        let binary = match &options.binary {
            Some(binary) => binary.clone(),
            None => locate()?,
        };
        let path = directory.path();
        let file = |name: &str| fs::File::create(path.join(name)).map_err(cannot("create a log"));
        fs::write(path.join("bootstrap.json"), bootstrap.to_string())
            .map_err(cannot("write the bootstrap"))?;

        let mut command = Command::new(binary);
        command
            .arg("-c")
            .arg(path.join("bootstrap.json"))
            .arg("--admin-address-path")
            .arg(path.join("admin"))
            .arg("--disable-hot-restart")
            // In a listener of an update Envoy would overlook them.
            .arg("--reject-unknown-dynamic-fields")
            .args(["--concurrency", &options.concurrency.to_string()])
            .args(["-l", &options.log_level])
            // Otherwise an access log may be ten seconds late.
            .args(["--file-flush-interval-msec", "20"])
            .envs(options.environment.iter().cloned())
            .stdin(Stdio::null())
            .stdout(file("stdout")?)
            .stderr(file("stderr")?);
        if let Some(levels) = &options.component_log_level {
            command.args(["--component-log-level", levels]);
        }
        if let Some(time) = options.drain_time {
            command.args(["--drain-time-s", &time.as_secs().to_string()]);
        }
        if options.drain_at_once {
            command.args(["--drain-strategy", "immediate"]);
        }
        let child = command.spawn().map_err(cannot("start Envoy"))?;
        Ok(Self {
            pid: child.id(),
            started: started(child.id()).unwrap_or_default(),
            child: Some(Mutex::new(child)),
            directory,
            guard: None,
        })
    }

    /// One that another test has left, which may be one of another process.
    pub(super) fn adopt(idle: &Idle) -> Self {
        Self {
            child: None,
            pid: idle.pid,
            started: idle.started,
            directory: Directory::of(idle.directory.clone()),
            guard: idle.guard,
        }
    }

    /// From now on it ends with the depot at the latest, and its directory goes.
    pub(super) fn end_with(&mut self, depot: &Depot) -> Result<(), EnvoyError> {
        // What it reads ends when nobody holds the other end of the pipe any more.
        let script = "read -r _ <\"$3\"; kill -TERM $1; rm -rf \"$2\" ${4+\"$4\"}";
        let guard = Command::new("sh")
            .args(["-c", script, "sh", &self.pid.to_string()])
            .arg(self.path())
            .arg(depot.pipe())
            .args(depot.own())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // It outlives those that are ended together with this process.
            .process_group(0)
            .spawn();
        self.guard = Some(guard.map_err(cannot("start sh"))?.id());
        Ok(())
    }

    /// What another process must know to [`adopt`](Self::adopt) it.
    pub(super) fn idle(&self, kind: String, admin: SocketAddr, version: String) -> Idle {
        Idle {
            kind,
            pid: self.pid,
            started: self.started,
            guard: self.guard,
            directory: self.path().to_owned(),
            admin,
            version,
            listeners: 0,
            clusters: 0,
            vms: 0,
        }
    }

    /// Leaves it, and its directory, to whoever adopts it.
    pub(super) fn leave(&self) {
        self.directory.is_left.store(true, Ordering::Relaxed);
    }

    /// Waits until `/ready` answers 200, and returns the address of the admin interface.
    pub(super) fn wait_until_ready(&mut self, deadline: Instant) -> Result<SocketAddr, EnvoyError> {
        loop {
            let addr = fs::read_to_string(self.path().join("admin")).unwrap_or_default();
            if let Ok(addr) = addr.trim().parse()
                && admin::exchange(addr, "GET", "/ready").is_ok_and(|ready| ready.status == 200)
            {
                return Ok(addr);
            }
            if self.has_ended() {
                return Err(self.ended());
            }
            if Instant::now() >= deadline {
                return Err(EnvoyError::TimedOut {
                    what: "Envoy to be ready",
                    log: self.log_tail(),
                });
            }
            thread::sleep(POLL);
        }
    }

    pub(super) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(super) fn pid(&self) -> u32 {
        self.pid
    }

    pub(super) fn has_ended(&self) -> bool {
        match &self.child {
            Some(_) => self.status().is_some(),
            None => started(self.pid) != Some(self.started),
        }
    }

    /// The error that says so.
    pub(super) fn ended(&self) -> EnvoyError {
        EnvoyError::Exited {
            status: self.status(),
            log: self.log_tail(),
        }
    }

    pub(super) fn resident_memory(&self) -> Result<u64, EnvoyError> {
        let status = self.proc_file("status")?;
        let kib = status.lines().find_map(|line| {
            let value = line.strip_prefix("VmRSS:")?;
            value.trim().strip_suffix(" kB")?.parse::<u64>().ok()
        });
        kib.map(|kib| kib * 1024).ok_or(EnvoyError::Unexpected {
            what: "VmRSS",
            body: status,
        })
    }

    /// Of all threads that live, in nanoseconds; a kernel that does not count so has steps of ten milliseconds.
    pub(super) fn cpu_time(&self) -> Result<Duration, EnvoyError> {
        match self.threads_time() {
            Some(time) => Ok(time),
            None => self.ticks_time(),
        }
    }

    fn threads_time(&self) -> Option<Duration> {
        let threads = fs::read_dir(format!("/proc/{}/task", self.pid)).ok()?;
        let mut sum = 0;
        for thread in threads {
            // A thread may have ended since.
            let Ok(text) = fs::read_to_string(thread.ok()?.path().join("schedstat")) else {
                continue;
            };
            let nanoseconds: u64 = text.split_whitespace().next()?.parse().ok()?;
            sum += nanoseconds;
        }
        (sum > 0).then(|| Duration::from_nanos(sum))
    }

    fn ticks_time(&self) -> Result<Duration, EnvoyError> {
        let stat = self.proc_file("stat")?;
        // The name in parentheses may contain anything; fields 14 and 15 of proc(5) count from before it.
        let ticks = stat.rsplit_once(')').and_then(|(_, rest)| {
            let mut fields = rest.split_ascii_whitespace().skip(11);
            let user: u64 = fields.next()?.parse().ok()?;
            let system: u64 = fields.next()?.parse().ok()?;
            Some(user + system)
        });
        let ticks = ticks.ok_or(EnvoyError::Unexpected {
            what: "processor time",
            body: stat,
        })?;
        Ok(Duration::from_millis(ticks * 1000 / TICKS))
    }

    fn proc_file(&self, name: &str) -> Result<String, EnvoyError> {
        fs::read_to_string(format!("/proc/{}/{name}", self.pid)).map_err(cannot("read from /proc"))
    }

    fn status(&self) -> Option<ExitStatus> {
        let child = self.child.as_ref()?;
        let mut child = child.lock().expect("no panic under this lock");
        child.try_wait().ok().flatten()
    }

    fn log_tail(&self) -> String {
        tail(&read_lossy(&self.path().join("stderr"), 0))
    }
}

impl Drop for Process {
    /// SIGTERM, then SIGKILL; never to a process that has been waited for, or to another of that number.
    fn drop(&mut self) {
        if *self.directory.is_left.get_mut() {
            return;
        }
        if let Some(guard) = self.guard {
            signal("KILL", guard);
        }
        if self.has_ended() {
            return;
        }
        signal("TERM", self.pid);
        let deadline = Instant::now() + GRACE;
        while !self.has_ended() && Instant::now() < deadline {
            thread::sleep(POLL);
        }
        if !self.has_ended() {
            signal("KILL", self.pid);
            if let Some(child) = &mut self.child
                && let Ok(child) = child.get_mut()
            {
                let _ = child.wait();
            }
        }
    }
}

fn signal(name: &str, pid: u32) {
    let kill = format!("kill -{name} {pid} 2>/dev/null");
    let _ = Command::new("sh").args(["-c", &kill]).status();
}

/// When the process of this number was started, unless it has ended.
fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may contain anything; behind it stand fields 3, the state, and 22 of proc(5).
    let (_, rest) = stat.rsplit_once(')')?;
    let mut fields = rest.split_ascii_whitespace();
    let state = fields.next()?;
    let started = fields.nth(18)?.parse().ok()?;
    (!["Z", "X"].contains(&state)).then_some(started)
}

/// The last lines of a log.
pub(super) fn tail(log: &str) -> String {
    // At its start Envoy lists every extension it has.
    let is_list = |line: &&str| line.contains("[info][main]") && line.contains("]   ");
    let lines: Vec<&str> = log.lines().filter(|line| !is_list(line)).collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

pub(super) fn cannot(what: &'static str) -> impl Fn(io::Error) -> EnvoyError {
    move |source| EnvoyError::Io { what, source }
}
