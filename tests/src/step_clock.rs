//! A wall clock that a test sets, for a process that it starts. Its other clocks go on.

use std::fs;
use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};

/// The clock of one process, or of several.
#[derive(Debug)]
pub struct StepClock {
    file: PathBuf,
}

impl StepClock {
    /// A clock that is right.
    pub fn new() -> io::Result<Self> {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("portcullis-clock-{}-{count}", std::process::id());
        let clock = Self {
            file: std::env::temp_dir().join(name),
        };
        clock.set(0)?;
        Ok(clock)
    }

    /// What the environment of the process must have.
    pub fn environment(&self) -> Vec<(String, String)> {
        let file = self.file.display().to_string();
        vec![
            ("LD_PRELOAD".into(), env!("STEP_CLOCK_LIBRARY").into()),
            ("STEP_CLOCK".into(), file),
        ]
    }

    /// From now on the clock is so many seconds fast, or slow.
    pub fn set(&self, seconds: i64) -> io::Result<()> {
        let nanoseconds = seconds * 1_000_000_000;
        // In place: the file is mapped.
        let mut file = fs::OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(&self.file)?;
        io::Write::write_all(&mut file, &nanoseconds.to_ne_bytes())
    }
}

impl Drop for StepClock {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.file);
    }
}
