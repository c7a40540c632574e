//! More callers than there are places. `make flood` sends twenty times as many.

use std::thread;
use std::time::Instant;

use serde_json::{Value, json};

use super::Proxy;
use super::bundle::{Bundle, SIZE};

const BATCH: u64 = SIZE as u64;
const CLIENTS: u64 = 2;
const MEBIBYTE: u64 = 1 << 20;

/// How many callers come: more than twice as many as there are places.
fn callers() -> u64 {
    let wanted = std::env::var("FLOOD").ok();
    wanted.map_or(150_000, |count| count.parse().expect("FLOOD is a number"))
}

fn limit(interval: &str) -> Value {
    json!([{
        "name": "per-key",
        "key": [{ "header": "x-key" }],
        "token_bucket": { "max_tokens": 10, "fill_interval": interval },
        "max_entries": 65536,
    }])
}

/// Sends one request for each of `count` keys that nobody has used; how many passed.
fn flood(proxy: &Proxy, name: &str, count: u64) -> u64 {
    ask_all(proxy, count, |caller| format!("{name}-{caller}"))
}

/// Sends `count` requests, each with the key of its number; how many passed.
fn ask_all(proxy: &Proxy, count: u64, key: impl Fn(u64) -> String + Sync) -> u64 {
    let client = |number: u64| {
        let mut bundle = Bundle::open(proxy.addr).unwrap();
        let mut passed = 0;
        for batch in 0..count / BATCH / CLIENTS {
            let first = (batch * CLIENTS + number) * BATCH;
            let keys: Vec<String> = (first..first + BATCH).map(&key).collect();
            let statuses = bundle.ask(&keys).unwrap();
            let expected = |status: &u16| [200, 429].contains(status);
            assert!(statuses.iter().all(expected), "{statuses:?}");
            passed += statuses.iter().filter(|status| **status == 200).count() as u64;
        }
        passed
    };
    thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS)
            .map(|number| scope.spawn(move || client(number)))
            .collect();
        clients
            .into_iter()
            .map(|client| client.join().unwrap())
            .sum()
    })
}

fn one(bundle: &mut Bundle, key: &str) -> u16 {
    bundle.ask(&[key.to_owned()]).unwrap()[0]
}

#[test]
fn a_flood_takes_no_memory_and_frees_nobody() {
    // A request takes an hour to be made up for: every caller needs its place all the time.
    let proxy = Proxy::start_alone(2, &limit("1h"));
    let log = proxy.envoy.log();
    let said = "rate limit routes/all/per-key: 2048 cells, at most ";
    let said = log
        .split(said)
        .nth(1)
        .expect("the filter says what it takes up");
    let kibibytes: String = said.chars().take_while(char::is_ascii_digit).collect();
    let bound = kibibytes.parse::<u64>().unwrap() * 1024;

    let mut victim = Bundle::open(proxy.addr).unwrap();
    for _ in 0..10 {
        assert_eq!(one(&mut victim, "victim"), 200);
    }
    assert_eq!(one(&mut victim, "victim"), 429);
    // What the proxy takes for any traffic is there before memory is compared.
    let (parts, count) = (10, callers());
    ask_all(&proxy, count / parts, |_| "one".to_owned());
    let before = proxy.envoy.resident_memory().unwrap();
    let begun = Instant::now();
    let mut passed = 0;
    for part in 0..parts {
        passed += flood(&proxy, &format!("part-{part}"), count / parts);
        assert_eq!(one(&mut victim, "victim"), 429, "after part {part}");
    }
    let after = proxy.envoy.resident_memory().unwrap();
    let grown = after.saturating_sub(before);
    println!(
        "{count} callers in {:.1?}, {passed} passed, {} evicted; memory grew by {grown} bytes, cells may take {bound}",
        begun.elapsed(),
        proxy.stat("evicted"),
    );
    assert!(proxy.stat("evicted") > 0);
    assert!(grown <= bound + 8 * MEBIBYTE, "{grown}, bound {bound}");
    assert_eq!(proxy.stat("failed") + proxy.stat("foreign"), 0);
}

#[test]
fn a_flood_refuses_nobody_else_while_there_is_room() {
    // A request takes a tenth of a second to be made up for: a tenth of what comes in a second
    // needs a place at a time, which is less than half of them.
    let proxy = Proxy::start(2, &limit("100ms"));
    let mut client = Bundle::open(proxy.addr).unwrap();
    let (parts, count) = (20, callers());
    for part in 0..parts {
        let sent = count / parts / BATCH / CLIENTS * BATCH * CLIENTS;
        let passed = flood(&proxy, &format!("part-{part}"), count / parts);
        assert_eq!(passed, sent, "a caller that came once was refused");
        assert_eq!(one(&mut client, "regular"), 200, "after part {part}");
    }
    let evicted = proxy.stat("evicted");
    println!("{count} callers, {evicted} evicted");
    assert!(evicted * 1000 <= count, "{evicted} of {count}");
}
