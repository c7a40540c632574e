//! How many requests are under way at once, over all workers of a real Envoy: with connections that are cut, new
//! documents, and VMs that trap.

use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::time::Duration;

use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, FailPolicy, ListenerOptions, Options, Update, WasmOptions, bootstrap, cluster, listener,
    string_value, wasm_filter,
};
use portcullis_tests::module_path;
use portcullis_tests::patience::{self, wait_until};
use serde_json::{Value, json};

use super::survival::{request, trapping};
use super::turns::{NotingService, send, status};

const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct PlacesProxy {
    envoy: Envoy,
    pub(crate) service: NotingService,
}

pub(crate) fn document(max: u64, more: &Value, routes: &Value) -> Value {
    let mut block = json!({ "name": "all", "key": [], "max": max });
    for (name, value) in more.as_object().unwrap() {
        block[name] = value.clone();
    }
    let mut all = json!([{ "name": "all", "match": {}, "open": true, "concurrency": block }]);
    for route in routes.as_array().unwrap() {
        all.as_array_mut().unwrap().insert(0, route.clone());
    }
    json!({ "version": 1, "routes": all })
}

fn listening(module: &Path, document: &Value) -> Value {
    let options = WasmOptions {
        fail_policy: FailPolicy::Reload,
        ..WasmOptions::default()
    };
    let filter = wasm_filter(
        "places",
        module,
        string_value(&document.to_string()),
        options,
    );
    let options = ListenerOptions {
        http_connection_manager: json!({
            "upgrade_configs": [{ "upgrade_type": "websocket" }],
        }),
        ..ListenerOptions::default()
    };
    listener("places", vec![filter], options)
}

impl PlacesProxy {
    pub(crate) fn start(workers: u32, document: &Value, responds: bool) -> Self {
        Self::start_in(Options::reused(), workers, document, responds)
    }

    /// In an Envoy of its own, whose VMs may trap and whose old listeners live on.
    fn start_alone(workers: u32, document: &Value) -> Self {
        Self::start_in(Options::default(), workers, document, false)
    }

    fn start_in(options: Options, workers: u32, document: &Value, responds: bool) -> Self {
        let service = NotingService::start(responds);
        let options = Options {
            concurrency: workers,
            ..options
        };
        let bootstrap = bootstrap(Vec::new(), vec![cluster("upstream", service.addr)]);
        let listeners = [listening(&module_path(), document)];
        let envoy = Envoy::start_with_lds(bootstrap, &listeners, &options).unwrap();
        Self { envoy, service }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.envoy.listener_addr("places").unwrap()
    }

    pub(crate) fn stat(&self, name: &str) -> u64 {
        let name = format!("wasmcustom.portcullis.{name}");
        let stats = self.envoy.stats().unwrap();
        stats.get(&name).copied().unwrap_or_default()
    }

    /// Sends so many at once; those that are under way then, and how many were refused.
    fn fill(&self, many: usize, most: usize) -> (Vec<TcpStream>, usize) {
        let before = self.service.count();
        let mut streams: Vec<TcpStream> = (0..many).map(|_| send(self.addr(), "/")).collect();
        wait_until("the service has them", || {
            self.service.count() >= before + most
        });
        // All others have been refused; those under way never get an answer.
        let mut refused = 0;
        let mut left = Vec::new();
        for mut stream in streams.drain(..) {
            stream
                .set_read_timeout(Some(Duration::from_millis(20)))
                .unwrap();
            match status(&mut stream) {
                Some(429) => refused += 1,
                Some(other) => panic!("{other}"),
                None => left.push(stream),
            }
        }
        assert_eq!(self.service.count(), before + most);
        (left, refused)
    }
}

/// Time and again the clients cut all of them off, and exactly as many find a place.
#[test]
fn four_workers_have_exactly_as_many_under_way_as_may_be() {
    const MOST: usize = 7;
    let proxy = PlacesProxy::start(4, &document(7, &json!({}), &json!([])), false);
    for round in 0..8 {
        let (held, refused) = proxy.fill(40, MOST);
        assert_eq!((held.len(), refused), (MOST, 40 - MOST), "{round}");
        wait_until("all are counted", || {
            proxy.stat("concurrency_limit.all.in_flight") == 7
        });
        drop(held);
        wait_until("all are given back", || {
            proxy.stat("concurrency_limit.all.in_flight") == 0
        });
    }
    wait_until("all refusals are told", || {
        proxy.stat("concurrency.limited") == 8 * (40 - 7)
    });
    assert_eq!(proxy.stat("concurrency.contended"), 0);
    assert_eq!(proxy.stat("concurrency.failed"), 0);
}

/// What is under way under one document counts under the next.
#[test]
fn a_new_document_gives_no_places_away() {
    let proxy = PlacesProxy::start_alone(2, &document(3, &json!({}), &json!([])));
    let (held, _) = proxy.fill(10, 3);
    assert_eq!(held.len(), 3);
    let more = json!([{ "name": "more", "match": { "path": { "exact": "/more" } }, "open": true }]);
    let update = listening(&module_path(), &document(3, &json!({}), &more));
    let update = proxy.envoy.update_listeners(&[update]);
    assert!(matches!(update, Ok(Update::Accepted)), "{update:?}");
    for _ in 0..4 {
        assert_eq!(status(&mut send(proxy.addr(), "/")), Some(429));
    }
    drop(held);
    // As soon as they are gone there is room, for as many.
    wait_until("one finds a place", || {
        let before = proxy.service.count();
        let mut stream = send(proxy.addr(), "/");
        stream
            .set_read_timeout(Some(Duration::from_millis(300)))
            .unwrap();
        status(&mut stream).is_none() && proxy.service.count() > before
    });
}

/// Nobody gives back what a VM held that is gone: it lapses.
#[test]
fn what_a_vm_held_that_trapped_lapses() {
    let proxy = PlacesProxy::start_alone(1, &document(2, &json!({}), &json!([])));
    let module = trapping(proxy.envoy.directory());
    let update = listening(&module, &document(2, &json!({}), &json!([])));
    let update = proxy.envoy.update_listeners(&[update]);
    assert!(matches!(update, Ok(Update::Accepted)), "{update:?}");
    let (held, _) = proxy.fill(1, 1);
    assert_eq!(held.len(), 1);
    // It takes the other place; then the VM traps.
    let trap = client::send(proxy.addr(), &request(&[("x", "y")]), PATIENCE);
    assert_eq!(trap.unwrap().status, 503);
    // In a new VM, both still count.
    let first = patience::find(|| {
        Some(status(&mut send(proxy.addr(), "/"))).filter(|status| *status != Some(503))
    });
    assert_eq!(first, Some(Some(429)));
    let before = proxy.service.count();
    wait_until("a place is free again", || {
        let mut stream = send(proxy.addr(), "/");
        stream
            .set_read_timeout(Some(Duration::from_millis(200)))
            .unwrap();
        status(&mut stream).is_none() && proxy.service.count() > before
    });
}

/// Beyond the number they wait, and each gets a place when another gives one back.
#[test]
fn who_waits_for_a_place_gets_one() {
    let wait = json!({ "on_limit": { "delay": { "max": "30s", "queue": 100 } } });
    let proxy = PlacesProxy::start(4, &document(2, &wait, &json!([])), true);
    let mut streams: Vec<TcpStream> = (0..60).map(|_| send(proxy.addr(), "/")).collect();
    for stream in &mut streams {
        assert_eq!(status(stream), Some(200));
    }
    wait_until("all are given back", || {
        proxy.stat("concurrency_limit.all.in_flight") == 0
            && proxy.stat("concurrency_limit.all.waiting") == 0
    });
    assert_eq!(proxy.service.count(), 60);
}
