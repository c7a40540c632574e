//! Requests over a rate wait for their turn in the proxy: how evenly the service gets them, in which order, and
//! what becomes of those who leave.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use portcullis_tests::envoy::{Options, cluster};
use portcullis_tests::module_path;
use portcullis_tests::patience::wait_until;
use serde_json::{Value, json};

use super::{Proxy, limited_by};

/// A service that notes when each request came, and which.
pub(crate) struct NotingService {
    pub(crate) addr: SocketAddr,
    came: Arc<Mutex<Vec<(Instant, String)>>>,
}

impl NotingService {
    /// One that responds at once, or never.
    pub(crate) fn start(responds: bool) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let addr = listener.local_addr().unwrap();
        let came = Arc::<Mutex<Vec<_>>>::default();
        let noted = Arc::clone(&came);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let noted = Arc::clone(&noted);
                thread::spawn(move || serve(stream, &noted, responds));
            }
        });
        Self { addr, came }
    }

    pub(crate) fn count(&self) -> usize {
        self.came.lock().unwrap().len()
    }

    fn times(&self) -> Vec<Instant> {
        let came = self.came.lock().unwrap();
        came.iter().map(|(at, _)| *at).collect()
    }

    pub(crate) fn paths(&self) -> Vec<String> {
        let came = self.came.lock().unwrap();
        came.iter().map(|(_, path)| path.clone()).collect()
    }
}

fn serve(mut stream: TcpStream, came: &Mutex<Vec<(Instant, String)>>, responds: bool) {
    let (mut read, mut block) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&read[..end]).into_owned();
            let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
            came.lock().unwrap().push((Instant::now(), path));
            read.drain(..end + 4);
            let answer: &[u8] = match head.contains("upgrade: websocket") {
                true => b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
                false => b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",
            };
            if responds && stream.write_all(answer).is_err() {
                return;
            }
        }
        match stream.read(&mut block) {
            Ok(0) | Err(_) => return,
            Ok(count) => read.extend_from_slice(&block[..count]),
        }
    }
}

/// Sends a request on a connection of its own.
pub(crate) fn send(addr: SocketAddr, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(addr).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    stream
}

/// The head of its response.
pub(crate) fn head(stream: &mut TcpStream) -> String {
    let (mut read, mut block) = (Vec::new(), [0; 4096]);
    while !read.windows(4).any(|window| window == b"\r\n\r\n") {
        match stream.read(&mut block) {
            Ok(0) | Err(_) => break,
            Ok(count) => read.extend_from_slice(&block[..count]),
        }
    }
    String::from_utf8_lossy(&read).into_owned()
}

pub(crate) fn status(stream: &mut TcpStream) -> Option<u16> {
    let head = head(stream);
    head.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()
}

pub(crate) fn start(limit: Value, service: &NotingService, workers: u32) -> Proxy {
    let limits = json!([limit]);
    let mut listener = limited_by(&module_path(), &limits, json!({}));
    // On a busy machine one worker would take all connections, more than it lets wait.
    listener["connection_balance_config"] = json!({ "exact_balance": {} });
    let options = Options {
        concurrency: workers,
        ..Options::reused()
    };
    let clusters = vec![cluster("upstream", service.addr)];
    Proxy::start_with(&options, clusters, &listener)
}

pub(crate) fn gauge(proxy: &Proxy, name: &str) -> u64 {
    let name = format!("wasmcustom.portcullis.{name}");
    // As far as it has been told: what waits has not been judged.
    let stats = proxy.envoy.stats().unwrap();
    stats.get(&name).copied().unwrap_or_default()
}

const BURST: u32 = 10;
const RATE: u32 = 200;

/// A thousand at once, at two hundred in a second: the service gets them evenly.
#[test]
fn a_burst_of_a_thousand_comes_out_even() {
    const MANY: usize = 1000;
    let service = NotingService::start(true);
    let limit = json!({
        "name": "all",
        "key": [],
        "token_bucket": { "max_tokens": BURST, "tokens_per_fill": RATE, "fill_interval": "1s" },
        "on_limit": { "delay": { "max": "20s", "queue": 2000 } },
    });
    let proxy = start(limit, &service, 4);
    let begin = Instant::now();
    let mut streams: Vec<TcpStream> = (0..MANY).map(|_| send(proxy.addr, "/")).collect();
    let mut statuses = Vec::new();
    for stream in &mut streams {
        statuses.push(status(stream));
    }
    let elapsed = begin.elapsed();
    assert!(statuses.iter().all(|status| *status == Some(200)));
    let times = service.times();
    assert_eq!(times.len(), MANY);
    // The law, between the first that was sent and the last that was answered.
    let most = f64::from(BURST) + f64::from(RATE) * elapsed.as_secs_f64();
    assert!(MANY as f64 <= most, "{MANY} in {elapsed:?}");
    // All of the burst has gone on by then; the rest waits, each for its turn.
    let gaps: Vec<f64> = times[usize::try_from(BURST).unwrap() * 2..]
        .windows(2)
        .map(|pair| pair[1].saturating_duration_since(pair[0]).as_secs_f64() * 1000.0)
        .collect();
    let mean = gaps.iter().sum::<f64>() / gaps.len() as f64;
    let variance = gaps.iter().map(|gap| (gap - mean).powi(2)).sum::<f64>() / gaps.len() as f64;
    let longest = gaps.iter().fold(0.0_f64, |longest, gap| longest.max(*gap));
    println!(
        "{MANY} requests at {RATE} in a second over 4 workers: {elapsed:?}; gaps at the service: mean {mean:.3} ms, standard deviation {:.3} ms, longest {longest:.1} ms",
        variance.sqrt()
    );
    wait_until("nobody waits", || {
        gauge(&proxy, "rate_limit.all.waiting") == 0
    });
    wait_until("all is told", || gauge(&proxy, "rate_limits.delayed") > 0);
}

/// What a request that waits costs the proxy, beside one that has not to: processor time of all its threads, with a
/// connection for each. It is printed, and decides nothing.
#[test]
fn what_a_wait_costs() {
    const MANY: u32 = 400;
    let cost = |max_tokens: u32| {
        let service = NotingService::start(true);
        let limit = json!({
            "name": "all",
            "key": [],
            "token_bucket": { "max_tokens": max_tokens, "fill_interval": "5ms" },
            "on_limit": { "delay": { "max": "30s", "queue": 2000 } },
        });
        let proxy = start(limit, &service, 1);
        let mut total = Duration::ZERO;
        for counts in [false, true] {
            let before = proxy.envoy.cpu_time().unwrap();
            let mut streams: Vec<TcpStream> = (0..MANY).map(|_| send(proxy.addr, "/")).collect();
            for stream in &mut streams {
                assert_eq!(status(stream), Some(200));
            }
            if counts {
                total = proxy.envoy.cpu_time().unwrap() - before;
            }
        }
        wait_until("all is told", || {
            gauge(&proxy, "rate_limits.ok") >= u64::from(2 * MANY)
        });
        let delayed = gauge(&proxy, "rate_limits.delayed");
        (total / MANY, delayed)
    };
    let (waiting, delayed) = cost(1);
    let (passing, none) = cost(2 * MANY);
    assert!(delayed > 0 && none == 0);
    println!("a request that waits: {waiting:?} of processor time, one that does not: {passing:?}");
}

/// Whichever worker has them: they go on in the order in which they came.
#[test]
fn four_workers_keep_one_order() {
    let service = NotingService::start(true);
    let limit = json!({
        "name": "all",
        "key": [],
        "token_bucket": { "max_tokens": 1, "fill_interval": "900ms" },
        "on_limit": { "delay": { "max": "20s", "queue": 20 } },
    });
    let proxy = start(limit, &service, 4);
    let mut streams = Vec::new();
    let mut expected = Vec::new();
    for number in 0..10 {
        let path = format!("/{number}");
        streams.push(send(proxy.addr, &path));
        expected.push(path);
        // It has come before the next one is sent: the first one goes on at once, and others wait.
        wait_until("the request has come", || {
            let waited = gauge(&proxy, "rate_limits.delayed") as usize;
            let is_first = streams.len() == 1;
            (!is_first && waited + 1 >= streams.len()) || service.count() >= streams.len()
        });
    }
    for stream in &mut streams {
        assert_eq!(status(stream), Some(200));
    }
    assert_eq!(service.paths(), expected);
}

/// The queue of one key is full; its clients leave, and others find room at once.
#[test]
fn clients_that_leave_make_room() {
    let service = NotingService::start(true);
    let limit = json!({
        "name": "all",
        "key": [],
        "token_bucket": { "max_tokens": 1, "fill_interval": "10s" },
        "on_limit": { "delay": { "max": "60s", "queue": 5 } },
    });
    // What one worker cannot give back for those who wait in another is lost until its turn.
    let proxy = start(limit, &service, 1);
    assert_eq!(status(&mut send(proxy.addr, "/first")), Some(200));
    for _ in 0..3 {
        let crowd: Vec<TcpStream> = (0..5).map(|_| send(proxy.addr, "/leaves")).collect();
        wait_until("all wait", || gauge(&proxy, "rate_limit.all.waiting") == 5);
        let refused = head(&mut send(proxy.addr, "/late"));
        assert!(refused.starts_with("HTTP/1.1 429"), "{refused}");
        let after = refused
            .lines()
            .find_map(|line| line.strip_prefix("retry-after: "));
        let after: u64 = after.unwrap().parse().unwrap();
        assert!((1..=10).contains(&after), "{after}");
        drop(crowd);
        wait_until("none waits", || {
            gauge(&proxy, "rate_limit.all.waiting") == 0
        });
    }
    assert_eq!(service.count(), 1);
    // The next turn is the first one's of those who left.
    assert_eq!(status(&mut send(proxy.addr, "/stays")), Some(200));
    assert_eq!(service.paths(), ["/first", "/stays"]);
}

/// A worker lets so many wait for one limit, and those hold up nobody else: no thread waits with them.
#[test]
fn who_waits_holds_up_nobody_else() {
    let service = NotingService::start(true);
    let limit = json!({
        "name": "all",
        "key": [{ "header": "x-key" }],
        "missing": "skip",
        "token_bucket": { "max_tokens": 1, "fill_interval": "110ms" },
        "on_limit": { "delay": { "max": "60s", "queue": 2000 } },
    });
    let proxy = start(limit, &service, 1);
    let keyed = || {
        let mut stream = TcpStream::connect(proxy.addr).unwrap();
        stream
            .write_all(b"GET /k HTTP/1.1\r\nhost: a\r\nx-key: one\r\n\r\n")
            .unwrap();
        stream
    };
    let mut held: Vec<TcpStream> = (0..530).map(|_| keyed()).collect();
    // There was room for 501 and for who came in place of those that went on meanwhile.
    wait_until("one too many is refused", || {
        // More than go on until the last of them has been looked at.
        let mut late: Vec<TcpStream> = (0..30).map(|_| keyed()).collect();
        let last = late.last_mut().unwrap();
        last.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
        let is_refused = status(last) == Some(429);
        held.extend(late);
        is_refused
    });
    for _ in 0..20 {
        assert_eq!(status(&mut send(proxy.addr, "/other")), Some(200));
    }
    held.clear();
    wait_until("none waits", || {
        gauge(&proxy, "rate_limit.all.waiting") == 0
    });
}
