//! Where it was measured, and when.

use std::fs;
use std::process::Command;
use std::thread;

use serde::Serialize;

/// What figures depend on beside the code.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Machine {
    pub(super) processor: String,
    pub(super) cores: usize,
    pub(super) memory_mib: u64,
    /// Runnable processes in the last minute, before the run: 0 on a machine of one's own.
    pub(super) load_average_before: f64,
}

impl Machine {
    pub(super) fn look() -> Self {
        let value = |file: &str, key: &str| {
            let text = fs::read_to_string(file).unwrap_or_default();
            let line = text.lines().find(|line| line.starts_with(key))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        };
        let memory = value("/proc/meminfo", "MemTotal")
            .and_then(|text| text.split_whitespace().next()?.parse::<u64>().ok());
        Self {
            processor: value("/proc/cpuinfo", "model name")
                .unwrap_or_else(|| std::env::consts::ARCH.to_owned()),
            cores: thread::available_parallelism().map_or(1, std::num::NonZero::get),
            memory_mib: memory.unwrap_or(0) / 1024,
            load_average_before: load_average(),
        }
    }
}

/// Over the last minute.
pub(super) fn load_average() -> f64 {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let first = text.split_whitespace().next();
    first.and_then(|first| first.parse().ok()).unwrap_or(0.0)
}

/// Now, as in `2026-01-31T12:00:00Z`.
pub(super) fn date() -> Result<String, String> {
    let output = Command::new("date").args(["-u", "+%FT%TZ"]).output();
    let output = output.map_err(|error| format!("date: {error}"))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
