//! The load generator for HTTP/2, <https://nghttp2.org/documentation/h2load.1.html>.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use super::chain::PATH;
use super::placement::Placement;
use super::wrk::{CONNECTIONS, Load};

/// Drives `addr` for so many seconds, with one request under way on each connection.
pub(super) fn drive(
    placement: &Placement,
    addr: SocketAddr,
    tokens: &Path,
    seconds: u32,
) -> Result<Load, String> {
    let failed = |error: std::io::Error| {
        format!("h2load: {error}; on Debian and Ubuntu: sudo apt-get install nghttp2-client")
    };
    let token = fs::read_to_string(tokens).map_err(|error| error.to_string())?;
    let log = tokens.with_extension("h2load");
    // It appends.
    let _ = fs::remove_file(&log);
    let mut command = placement.load("h2load");
    command
        .args(["-t", "1", "-m", "1", "-c", &CONNECTIONS.to_string()])
        .args(["-D", &format!("{seconds}s"), "-p", "h2c"])
        .arg(format!("--log-file={}", log.display()))
        .args(["-H", &format!("authorization: Bearer {}", token.trim())])
        .args([
            "-H",
            "accept: application/json",
            "-H",
            "accept-encoding: gzip",
        ])
        .args(["-H", "user-agent: portcullis-bench/1"])
        .args([
            "-H",
            ":authority: api.bench.test",
            "-H",
            "origin: https://app.bench.test",
        ])
        .arg(format!("http://{addr}{PATH}"));
    let output = command.output().map_err(failed)?;
    let text = String::from_utf8_lossy(&output.stdout);
    let records = fs::read_to_string(&log).map_err(failed)?;
    let _ = fs::remove_file(&log);
    load(&records, seconds).ok_or_else(|| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("h2load gave no result: {text}{errors}")
    })
}

/// Each line of the log is a request: when it began, its status, how long it took; microseconds.
fn load(records: &str, seconds: u32) -> Option<Load> {
    let mut times = Vec::new();
    let (mut refused, mut broken) = (0, 0);
    for line in records.lines() {
        let mut columns = line.split('\t').skip(1);
        let status: i32 = columns.next()?.parse().ok()?;
        let time: u64 = columns.next()?.parse().ok()?;
        match status {
            400.. => refused += 1,
            200..400 => {}
            _ => broken += 1,
        }
        times.push(time);
    }
    times.sort_unstable();
    let percentile = |percent: usize| times.get(times.len() * percent / 100).copied();
    Some(Load {
        requests: times.len() as u64,
        microseconds: u64::from(seconds) * 1_000_000,
        p50_us: percentile(50)?,
        p99_us: percentile(99)?,
        refused,
        broken,
    })
}
