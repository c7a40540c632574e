//! Each limit has counters of its own name, to which all workers add.

use portcullis_tests::envoy::Update;
use portcullis_tests::patience::{self, wait_until};
use serde_json::{Value, json};

use super::bundle::{Bundle, SIZE};
use super::{Proxy, limited};

fn limits(note: &str) -> Value {
    let bucket = |tokens| json!({ "max_tokens": tokens, "fill_interval": "1000h" });
    let key = json!([{ "header": "x-key" }, { "constant": note }]);
    json!([
        { "name": "Per-Key", "key": key, "token_bucket": bucket(2) },
        { "name": "crowded", "key": key, "token_bucket": bucket(500), "max_entries": 1 },
        { "name": "tried", "key": [], "mode": "shadow", "token_bucket": bucket(40) },
    ])
}

fn read(proxy: &Proxy, name: &str) -> Option<u64> {
    let name = format!("wasmcustom.portcullis.rate_limit.{name}");
    proxy.envoy.stats().unwrap().get(&name).copied()
}

fn wait_for(proxy: &Proxy, expected: &[(&str, u64)]) {
    let mut found = Vec::new();
    let there = patience::comes(|| {
        let each = expected.iter();
        found = each
            .map(|(name, wanted)| (*name, *wanted, read(proxy, name)))
            .collect();
        found.iter().all(|(_, wanted, read)| *read == Some(*wanted))
    });
    assert!(there, "{found:?}");
}

#[test]
fn each_limit_has_its_own() {
    let proxy = Proxy::start(2, &limits("before"));
    let mut bundle = Bundle::open(proxy.addr).unwrap();
    let keys: Vec<String> = (0..SIZE).map(|key| key.to_string()).collect();
    for _ in 0..3 {
        bundle.ask(&keys).unwrap();
    }
    let all = SIZE as u64;
    let counted = [
        ("per_key.ok", 2 * all),
        ("per_key.rate_limited", all),
        ("per_key.shadow_denied", 0),
        ("crowded.rate_limited", 0),
        // Limits in shadow mode are not asked for what the others refuse.
        ("tried.ok", 40),
        ("tried.shadow_denied", 2 * all - 40),
        ("tried.rate_limited", 0),
    ];
    wait_for(&proxy, &counted);
    assert!(read(&proxy, "crowded.evicted").unwrap() > 0);
    // A new document counts on.
    let update = proxy.envoy.update_listeners(&[limited(&limits("after"))]);
    assert!(matches!(update, Ok(Update::Accepted)), "{update:?}");
    let mut bundle = Bundle::open(proxy.envoy.listener_addr("limits").unwrap()).unwrap();
    let asked = bundle.ask(&keys[..2]).unwrap();
    assert_eq!(asked, [200, 200]);
    let counted = [
        ("per_key.ok", 2 * all + 2),
        ("per_key.rate_limited", all),
        ("tried.shadow_denied", 2 * all - 38),
    ];
    wait_for(&proxy, &counted);
    // One place, and somebody in it, as every request finds it but the first.
    let mut number = 0;
    wait_until("it seems full", || {
        bundle.ask(&[format!("new-{number}")]).unwrap();
        number += 1;
        read(&proxy, "tried.occupancy_percent") == Some(100)
    });
}
