//! Where Envoys stand that no test uses: a folder in which each has a file.
//!
//! `PORTCULLIS_ENVOYS` names one that test binaries share, which run one after the other or side by side:
//! `tests/with-envoys.sh` makes it and ends what is left in it. Without it, a process has a folder of its own.

use std::fs::{self, File};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::SystemTime;

use serde::{Deserialize, Serialize};

use super::EnvoyError;
use super::process::cannot;

/// The folder.
#[derive(Debug)]
pub(super) struct Depot {
    path: PathBuf,
    /// The end of the pipe of a folder that is of this process alone.
    held: Option<File>,
}

/// All there is to know of an Envoy that stands there.
#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Idle {
    /// How it was started, and with which module.
    pub(super) kind: String,
    pub(super) pid: u32,
    /// When the process was started, as its system counts.
    pub(super) started: u64,
    /// The process that ends it when the folder goes.
    pub(super) guard: Option<u32>,
    pub(super) directory: PathBuf,
    pub(super) admin: SocketAddr,
    pub(super) version: String,
    /// The versions of its listeners and clusters.
    pub(super) listeners: u64,
    pub(super) clusters: u64,
    /// How many VMs it has without those of a test.
    pub(super) vms: u64,
}

impl Depot {
    /// The one of this process.
    pub(super) fn of_process() -> Result<&'static Self, EnvoyError> {
        static DEPOT: OnceLock<Option<Depot>> = OnceLock::new();
        let depot = DEPOT.get_or_init(|| match std::env::var_os("PORTCULLIS_ENVOYS") {
            Some(path) if !path.is_empty() => Some(Self {
                path: path.into(),
                held: None,
            }),
            _ => Self::create().ok(),
        });
        depot.as_ref().ok_or_else(|| {
            cannot("make a folder for Envoys")(std::io::Error::other(
                "no temporary folder, or no mkfifo",
            ))
        })
    }

    /// One that goes with this process, which alone holds the pipe.
    fn create() -> Result<Self, EnvoyError> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("portcullis-envoys-{}-{count}", std::process::id());
        let mut depot = Self {
            path: std::env::temp_dir().join(name),
            held: None,
        };
        fs::create_dir(&depot.path).map_err(cannot("create a directory"))?;
        let made = Command::new("mkfifo").arg(depot.pipe()).status();
        if !made.is_ok_and(|status| status.success()) {
            let failed = std::io::Error::other("mkfifo failed");
            return Err(cannot("make a pipe")(failed));
        }
        // For both, or it would wait for somebody who writes.
        let held = File::options().read(true).write(true).open(depot.pipe());
        depot.held = Some(held.map_err(cannot("open a pipe"))?);
        Ok(depot)
    }

    /// The pipe that nobody holds any more when the folder is to go.
    pub(super) fn pipe(&self) -> PathBuf {
        self.path.join("held")
    }

    /// The folder, if it goes with the last Envoy.
    pub(super) fn own(&self) -> Option<&Path> {
        self.held.as_ref().map(|_| &*self.path)
    }

    /// Leaves an Envoy there.
    pub(super) fn put(&self, idle: &Idle) -> Result<(), EnvoyError> {
        let file = |state: &str| self.path.join(format!("{}.{state}", idle.pid));
        let text = serde_json::to_vec(idle).unwrap_or_default();
        fs::write(file("draft"), text)
            .and_then(|()| fs::rename(file("draft"), file("idle")))
            .map_err(cannot("leave an Envoy"))
    }

    /// Takes the one that has stood there longest, of those that are wanted.
    pub(super) fn take(&self, wanted: impl Fn(&Idle) -> bool) -> Option<Idle> {
        self.standing().into_iter().find_map(|file| {
            read(&file).filter(|idle| wanted(idle))?;
            // Whoever moves it has it. Meanwhile another may have had it and put it back.
            let taken = file.with_extension("taken");
            fs::rename(&file, &taken).ok()?;
            let idle = read(&taken);
            let _ = fs::remove_file(&taken);
            idle
        })
    }

    /// How many stand there.
    pub(super) fn count(&self) -> usize {
        self.standing().len()
    }

    /// Their files, the oldest first.
    fn standing(&self) -> Vec<PathBuf> {
        let entries = fs::read_dir(&self.path).into_iter().flatten();
        let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let files = files.filter(|path| path.extension().is_some_and(|state| state == "idle"));
        let mut files: Vec<(SystemTime, PathBuf)> = files
            .filter_map(|path| Some((fs::metadata(&path).ok()?.modified().ok()?, path)))
            .collect();
        files.sort();
        files.into_iter().map(|(_, path)| path).collect()
    }
}

fn read(file: &Path) -> Option<Idle> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::patience;

    fn idle(pid: u32, kind: &str) -> Idle {
        Idle {
            kind: kind.into(),
            pid,
            started: 0,
            guard: None,
            directory: PathBuf::new(),
            admin: ([127, 0, 0, 1], 1).into(),
            version: String::new(),
            listeners: 1,
            clusters: 1,
            vms: 0,
        }
    }

    /// What guards an Envoy reads from the pipe until `tests/with-envoys.sh` has ended, which ends as its command did.
    #[test]
    fn what_is_left_ends_with_the_command() {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/with-envoys.sh");
        let ended = std::env::temp_dir().join(format!("portcullis-ended-{}", std::process::id()));
        let command = "(read -r _ <\"$PORTCULLIS_ENVOYS/held\"; touch \"$0\") >/dev/null 2>&1 & \
            echo \"$PORTCULLIS_ENVOYS\"; exit 7";
        let output = Command::new(script)
            .args(["sh", "-c", command])
            .arg(&ended)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(7));
        let folder = String::from_utf8(output.stdout).unwrap();
        assert!(folder.starts_with('/'), "{folder}");
        assert!(!Path::new(folder.trim()).exists(), "{folder}");
        assert!(patience::comes(|| ended.exists()), "the guard still waits");
        fs::remove_file(ended).unwrap();
    }

    #[test]
    fn who_takes_one_has_it_alone() {
        let depot = Depot::create().unwrap();
        for pid in 1..=20 {
            depot.put(&idle(pid, "one")).unwrap();
        }
        depot.put(&idle(21, "other")).unwrap();
        let take = || {
            let mut taken = Vec::new();
            while let Some(idle) = depot.take(|idle| idle.kind == "one") {
                taken.push(idle.pid);
            }
            taken
        };
        let (mine, others) = std::thread::scope(|scope| {
            let other = scope.spawn(take);
            (take(), other.join().unwrap())
        });
        let mut all = [mine, others].concat();
        all.sort_unstable();
        assert_eq!(all, (1..=20).collect::<Vec<_>>());
        assert_eq!(depot.count(), 1);
        fs::remove_dir_all(&depot.path).unwrap();
    }
}
