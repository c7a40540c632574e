//! What is in force for a share of requests, on a real Envoy with several workers: whose share it is, and how large.

use std::net::SocketAddr;
use std::time::Duration;

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::patience::wait_until;
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::Request;
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(20);

/// How many requests are asked each time.
const MANY: usize = 200;

/// Each route refuses the share that its name says.
fn document() -> Value {
    let routes = [
        ("none", 0, json!("request")),
        ("drawn", 50, json!("request")),
        ("few", 20, json!({ "header": "x-tenant" })),
        ("most", 70, json!({ "header": "x-tenant" })),
        ("address", 50, json!("address")),
        ("all", 100, json!("request")),
    ];
    let routes = routes.map(|(name, percent, by)| {
        json!({
            "name": name,
            "match": { "path": { "exact": format!("/{name}") } },
            "open": true,
            "maintenance": { "percent": percent, "percent_by": by },
        })
    });
    json!({ "version": 1, "routes": routes })
}

/// Whether it is refused: on a connection of its own, so that any worker may get it.
fn is_in(addr: SocketAddr, route: &str, tenant: &str) -> bool {
    let request = Request {
        method: b"GET".to_vec(),
        path: format!("/{route}").into_bytes(),
        authority: b"api.example.com".to_vec(),
        headers: vec![(b"x-tenant".to_vec(), tenant.as_bytes().to_vec())],
        ..Request::default()
    };
    match client::send(addr, &request, TIMEOUT).unwrap().status {
        503 => true,
        200 => false,
        other => panic!("{route}: {other}"),
    }
}

#[test]
fn shares_are_as_large_as_they_say_and_keys_stay_in_theirs() {
    let upstream = Upstream::start().unwrap();
    let filter = wasm_filter(
        "shares",
        &module_path(),
        string_value(&document().to_string()),
        WasmOptions::default(),
    );
    let listeners = vec![listener("shares", vec![filter], ListenerOptions::default())];
    let clusters = vec![cluster("upstream", upstream.addr())];
    let options = Options {
        concurrency: 4,
        ..Options::reused()
    };
    let envoy = Envoy::start(bootstrap(listeners, clusters), &options).expect("Envoy starts");
    let addr = envoy.listener_addr("shares").expect("it listens");
    let count = |route: &str| {
        let asked = (0..MANY).map(|_| is_in(addr, route, "t"));
        asked.filter(|is_in| *is_in).count()
    };

    // None and all are exact.
    assert_eq!(count("none"), 0);
    assert_eq!(count("all"), MANY);
    // Each is drawn for itself. Of a hundred million runs, one is outside.
    let drawn = count("drawn");
    assert!((60..=140).contains(&drawn), "{drawn}");
    // One client is in or out, whichever worker it meets.
    let by_address = count("address");
    assert!([0, MANY].contains(&by_address), "{by_address}");

    let tenants: Vec<String> = (0..100).map(|number| format!("tenant-{number}")).collect();
    let members = |route: &str| -> Vec<bool> {
        let each = tenants.iter().map(|tenant| is_in(addr, route, tenant));
        each.collect()
    };
    let (few, most) = (members("few"), members("most"));
    assert_eq!(few, members("few"), "the same whenever they ask");
    assert_eq!(most, members("most"), "the same whenever they ask");
    let size = |members: &[bool]| members.iter().filter(|is_in| **is_in).count();
    assert!((8..=35).contains(&size(&few)), "{}", size(&few));
    assert!((55..=85).contains(&size(&most)), "{}", size(&most));
    let mut both = few.iter().zip(&most);
    assert!(
        both.all(|(few, most)| !few || *most),
        "who is in stays in when the share grows"
    );

    // None and all are no shares, and not counted.
    let enforced = drawn + by_address + 2 * size(&few) + 2 * size(&most);
    let asked = 2 * MANY + 4 * tenants.len();
    let name = |leaf: &str| format!("wasmcustom.portcullis.rollout.policy.maintenance.{leaf}");
    let stat = |leaf: &str| usize::try_from(envoy.stat(&name(leaf)).unwrap()).unwrap();
    wait_until("all are counted", || {
        stat("enforced") + stat("shadow") >= asked
    });
    assert_eq!(
        (stat("enforced"), stat("shadow")),
        (enforced, asked - enforced)
    );
}

/// Limits of one request each, a hundred hours long.
fn limits() -> Value {
    let routes = [
        ("none", 0, json!("address")),
        ("drawn", 50, json!("request")),
        ("few", 20, json!({ "header": "x-tenant" })),
        ("most", 70, json!({ "header": "x-tenant" })),
        ("all", 100, json!("address")),
    ];
    let routes = routes.map(|(name, percent, by)| {
        json!({
            "name": name,
            "match": { "path": { "exact": format!("/{name}") } },
            "open": true,
            "rate_limits": [{
                "name": name,
                "key": [{ "header": "x-tenant" }],
                "token_bucket": { "max_tokens": 1, "fill_interval": "100h" },
                "percent": percent,
                "percent_by": by,
            }],
        })
    });
    json!({ "version": 1, "routes": routes })
}

/// Whether it is refused, on a connection of its own.
fn is_limited(addr: SocketAddr, route: &str, tenant: &str) -> bool {
    let request = Request {
        method: b"GET".to_vec(),
        path: format!("/{route}").into_bytes(),
        authority: b"api.example.com".to_vec(),
        headers: vec![(b"x-tenant".to_vec(), tenant.as_bytes().to_vec())],
        ..Request::default()
    };
    match client::send(addr, &request, TIMEOUT).unwrap().status {
        429 => true,
        200 => false,
        other => panic!("{route}: {other}"),
    }
}

#[test]
fn a_limit_refuses_its_share_and_counts_all() {
    let upstream = Upstream::start().unwrap();
    let filter = wasm_filter(
        "limits",
        &module_path(),
        string_value(&limits().to_string()),
        WasmOptions::default(),
    );
    let listeners = vec![listener("limits", vec![filter], ListenerOptions::default())];
    let clusters = vec![cluster("upstream", upstream.addr())];
    let options = Options {
        concurrency: 4,
        ..Options::default()
    };
    let envoy = Envoy::start(bootstrap(listeners, clusters), &options).expect("Envoy starts");
    let addr = envoy.listener_addr("limits").expect("it listens");

    let tenants: Vec<String> = (0..60).map(|number| format!("tenant-{number}")).collect();
    let refused = |route: &str| -> Vec<bool> {
        let each = tenants.iter().map(|tenant| is_limited(addr, route, tenant));
        each.collect()
    };
    let size = |members: &[bool]| members.iter().filter(|is_in| **is_in).count();
    for route in ["none", "few", "most", "all"] {
        assert_eq!(size(&refused(route)), 0, "{route}: each has one request");
    }
    // From the second on, those in the share are refused, whichever worker they meet.
    assert_eq!(size(&refused("none")), 0);
    assert_eq!(size(&refused("all")), tenants.len());
    let (few, most) = (refused("few"), refused("most"));
    assert_eq!(few, refused("few"), "the same whenever they ask");
    assert_eq!(most, refused("most"), "the same whenever they ask");
    // Of a hundred million runs, one would be outside, were names not what they are.
    assert!((2..=27).contains(&size(&few)), "{}", size(&few));
    assert!((24..=57).contains(&size(&most)), "{}", size(&most));

    // Each is drawn for itself.
    let drawn = (0..MANY).filter(|_| is_limited(addr, "drawn", "t"));
    let drawn = drawn.count();
    assert!((59..=140).contains(&drawn), "{drawn}");

    let name = |limit: &str, leaf: &str| format!("wasmcustom.portcullis.{limit}.{leaf}");
    let stat =
        |limit: &str, leaf: &str| usize::try_from(envoy.stat(&name(limit, leaf)).unwrap()).unwrap();
    let (in_force, asked) = (size(&few), tenants.len());
    wait_until("all are counted", || {
        stat("rollout.limit.few", "enforced") + stat("rollout.limit.few", "shadow") >= 3 * asked
    });
    assert_eq!(stat("rollout.limit.few", "enforced"), 3 * in_force);
    assert_eq!(stat("rate_limit.few", "rate_limited"), 2 * in_force);
    assert_eq!(
        stat("rate_limit.few", "shadow_denied"),
        2 * (asked - in_force)
    );
    assert_eq!(stat("rate_limit.few", "ok"), asked);
    // None and all are no shares.
    assert_eq!(stat("rollout.limit.all", "enforced"), 0);
}
