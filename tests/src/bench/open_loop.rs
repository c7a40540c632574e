//! Requests at a fixed rate, whatever the answers do: an open loop.
//!
//! Each connection has times of its own at which its requests are due, at random, as many users have. If an answer
//! comes so late that the next request is due already, that one is late too and its time counts from when it was due:
//! waiting is not left out. What the generator itself is late by, as a thread that wakes up, is left out.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use portcullis_tests::random::Random;

use super::chain::{ORIGIN, PATH};
use super::placement::Placement;
use super::wrk::Load;

/// The word on the command line that makes this program the generator.
pub(crate) const MODE: &str = "open-loop";

const CONNECTIONS: u32 = 32;
const TIMEOUT: Duration = Duration::from_secs(5);

/// Sends so many requests a second with this token, from a process of its own.
pub(super) fn drive(
    placement: &Placement,
    addr: SocketAddr,
    tokens: &Path,
    (rate, seconds): (u32, u32),
) -> Result<Load, String> {
    let failed = |error: std::io::Error| format!("the open loop: {error}");
    let program = std::env::current_exe().map_err(failed)?;
    let output = placement
        .load(&program.to_string_lossy())
        .args([MODE, &addr.to_string()])
        .args([&rate.to_string(), &seconds.to_string()])
        .arg(tokens)
        .output()
        .map_err(failed)?;
    serde_json::from_slice(&output.stdout).map_err(|_| {
        let errors = String::from_utf8_lossy(&output.stderr);
        format!("the open loop gave no result: {errors}")
    })
}

/// The generator's own process: address, rate, seconds, file with a token. It prints what it saw as JSON.
pub(crate) fn run(arguments: &[String]) -> Result<String, String> {
    let [addr, rate, seconds, tokens] = arguments else {
        return Err(format!(
            "{MODE} needs an address, a rate, seconds and a file"
        ));
    };
    let wrong = |what: &str| format!("{MODE}: no {what}");
    let addr: SocketAddr = addr.parse().map_err(|_| wrong("address"))?;
    let rate: u32 = rate.parse().map_err(|_| wrong("rate"))?;
    let seconds: u32 = seconds.parse().map_err(|_| wrong("seconds"))?;
    let token = std::fs::read_to_string(tokens).map_err(|error| error.to_string())?;
    let load = load(addr, token.trim(), (rate, seconds))?;
    serde_json::to_string(&load).map_err(|error| error.to_string())
}

fn load(addr: SocketAddr, token: &str, (rate, seconds): (u32, u32)) -> Result<Load, String> {
    let request = format!(
        "GET {PATH} HTTP/1.1\r\nHost: api.bench.test\r\nAccept: application/json\r\nAccept-Encoding: gzip\r\n\
         User-Agent: portcullis-bench/1\r\nOrigin: {ORIGIN}\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    let failed = |error: std::io::Error| error.to_string();
    let connect = || -> Result<TcpStream, std::io::Error> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(stream)
    };
    let streams: Result<Vec<TcpStream>, String> = (0..CONNECTIONS)
        .map(|_| connect().map_err(failed))
        .collect();
    let schedule = Schedule {
        begins: Instant::now() + Duration::from_millis(50),
        lasts: Duration::from_secs(seconds.into()),
        mean: Duration::from_secs(CONNECTIONS.into()) / rate.max(1),
    };
    let seen: Result<Vec<Seen>, String> = thread::scope(|scope| {
        let numbered = (1..).zip(streams?);
        let parts: Vec<_> = numbered
            .map(|(number, stream)| {
                let (request, schedule) = (request.as_bytes(), &schedule);
                scope.spawn(move || schedule.keep(number, stream, request))
            })
            .collect();
        let ended = parts.into_iter().map(|part| match part.join() {
            Ok(seen) => seen.map_err(failed),
            Err(_) => Err("a connection's thread has panicked".to_owned()),
        });
        ended.collect()
    });
    together(seen?, seconds)
}

/// When requests are due on each connection.
struct Schedule {
    begins: Instant,
    lasts: Duration,
    /// Between two requests of a connection.
    mean: Duration,
}

/// What one connection has seen.
#[derive(Default)]
struct Seen {
    times: Vec<Duration>,
    refused: u64,
    /// Requests that were due, and for which there was no time.
    unsent: u64,
}

impl Schedule {
    fn keep(&self, number: u64, mut stream: TcpStream, request: &[u8]) -> std::io::Result<Seen> {
        let mut random = Random(number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut seen = Seen::default();
        let mut answer = Vec::new();
        let mut due = self.gap(&mut random);
        let mut free = Duration::ZERO;
        while due < self.lasts {
            let now = self.begins.elapsed();
            if now > self.lasts * 2 {
                seen.unsent += 1;
                due += self.gap(&mut random);
                continue;
            }
            let is_early = free < due;
            let until = self.begins + due;
            thread::sleep(until.saturating_duration_since(Instant::now()));
            let sent = self.begins.elapsed();
            stream.write_all(request)?;
            let status = read(&mut stream, &mut answer)?;
            free = self.begins.elapsed();
            // A generator that was late is no wait for an answer.
            seen.times.push(free - if is_early { sent } else { due });
            seen.refused += u64::from(status >= 400);
            due += self.gap(&mut random);
        }
        Ok(seen)
    }

    /// As of a Poisson process.
    fn gap(&self, random: &mut Random) -> Duration {
        const FINE: usize = 1 << 24;
        let share = (random.below(FINE) + 1) as f64 / FINE as f64;
        self.mean.mul_f64(-share.ln())
    }
}

/// Reads an answer with a body of a known length; its status.
fn read(stream: &mut TcpStream, answer: &mut Vec<u8>) -> std::io::Result<u16> {
    let broken = |what: &str| std::io::Error::other(what.to_owned());
    answer.clear();
    let mut piece = [0; 4096];
    loop {
        if let Some((status, length)) = head(answer) {
            match answer.len().cmp(&length) {
                std::cmp::Ordering::Less => {}
                std::cmp::Ordering::Equal => return Ok(status),
                std::cmp::Ordering::Greater => return Err(broken("more than an answer")),
            }
        }
        match stream.read(&mut piece)? {
            0 => return Err(broken("the connection was closed")),
            count => answer.extend_from_slice(piece.get(..count).unwrap_or_default()),
        }
    }
}

/// The status, and the length of head and body, once the head is there.
fn head(answer: &[u8]) -> Option<(u16, usize)> {
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = std::str::from_utf8(answer.get(..end)?).ok()?;
    let status = text.split(' ').nth(1)?.parse().ok()?;
    let length = text.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        let is_length = name.eq_ignore_ascii_case("content-length");
        is_length.then(|| value.trim().parse::<usize>().ok())?
    });
    Some((status, end + length.unwrap_or(0)))
}

fn together(seen: Vec<Seen>, seconds: u32) -> Result<Load, String> {
    let refused = seen.iter().map(|each| each.refused).sum();
    let broken = seen.iter().map(|each| each.unsent).sum();
    let mut times: Vec<Duration> = seen.into_iter().flat_map(|each| each.times).collect();
    times.sort_unstable();
    let percentile = |percent: usize| {
        let time = times.get(times.len() * percent / 100);
        time.map(|time| time.as_micros() as u64)
            .ok_or("no request was sent")
    };
    Ok(Load {
        requests: times.len() as u64,
        microseconds: u64::from(seconds) * 1_000_000,
        p50_us: percentile(50)?,
        p99_us: percentile(99)?,
        refused,
        broken,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_as_long_as_they_say() {
        let answer = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 3\r\nx: y\r\n\r\nabc";
        assert_eq!(head(answer), Some((429, answer.len())));
        assert_eq!(head(b"HTTP/1.1 200 OK\r\n"), None);
        let empty = b"HTTP/1.1 204 No Content\r\n\r\n";
        assert_eq!(head(empty), Some((204, empty.len())));
    }

    #[test]
    fn gaps_are_so_long_on_average() {
        let schedule = Schedule {
            begins: Instant::now(),
            lasts: Duration::from_secs(1),
            mean: Duration::from_millis(3),
        };
        let mut random = Random(7);
        let all: Duration = (0..20_000).map(|_| schedule.gap(&mut random)).sum();
        let mean = all / 20_000;
        assert!((2900..3100).contains(&mean.as_micros()), "{mean:?}");
    }
}
