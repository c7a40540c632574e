//! Two gateways behind another proxy.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use portcullis_tests::envoy::{Envoy, Options};
use portcullis_tests::patience::wait_until;
use portcullis_tests::upstream::{Answer, Upstream};
use portcullis_tests::wire::Response;
use serde_json::{Value, json};

use super::client::{Client, field};
use super::lost::{UNDER_WAY, WISHES, case_of};
use super::older;
use super::stage::{Files, Limits, bearer};

/// Where the proxy in front comes from, so that it is told from its clients.
const FRONT: &str = "127.0.0.9";

/// Where a client says that it comes from, and by which proxy.
const FORGED: [&str; 2] = ["203.0.113.5", "198.51.100.7"];

/// How many requests of one client the limit service allows in a minute.
const ALLOWED: u64 = 6;

/// The proxy in front, two gateways, one of each release, and what stands behind them.
struct Site {
    front: Envoy,
    gateways: Vec<Envoy>,
    addrs: Vec<SocketAddr>,
    api: Upstream,
    limits: Option<Limits>,
    _files: Files,
    https: SocketAddr,
}

impl Site {
    fn start() -> Self {
        let files = Files::new("behind");
        let api = Upstream::start().unwrap();
        let limits = Limits::start(Some(ALLOWED));
        let run = |bootstrap: Value, binary: Option<PathBuf>| {
            let options = Options {
                binary,
                ..Options::default()
            };
            Envoy::start(bootstrap, &options).unwrap_or_else(|error| panic!("{error}"))
        };
        let clusters: [(&str, &[SocketAddr]); 2] = [
            ("upstream", &[api.addr()]),
            ("ratelimit", &[limits.service.addr()]),
        ];
        let behind = files.bootstrap("behind.yaml", false, &clusters);
        let gateways: Vec<Envoy> = thread::scope(|scope| {
            let starting = [None, Some(older())].map(|binary| {
                let behind = behind.clone();
                scope.spawn(move || run(behind, binary))
            });
            starting.map(|gateway| gateway.join().unwrap()).into()
        });
        let addrs: Vec<SocketAddr> = gateways
            .iter()
            .map(|gateway| gateway.listener_addr("gateway").unwrap())
            .collect();
        let mut bootstrap = files.bootstrap("front.yaml", false, &[("gateways", &addrs)]);
        bootstrap["static_resources"]["clusters"][0]["upstream_bind_config"] =
            json!({ "source_address": { "address": FRONT, "port_value": 0 } });
        let front = run(bootstrap, None);
        let https = front.listener_addr("https").unwrap();
        Self {
            front,
            gateways,
            addrs,
            api,
            limits: Some(limits),
            _files: files,
            https,
        }
    }

    fn ask(&self, method: &str, path: &str, fields: &str) -> Response {
        let mut connection = Client::new().connect(self.https).unwrap();
        connection.send(method, path, fields).unwrap()
    }
}

#[test]
fn two_gateways_behind_another_proxy() {
    let mut site = Site::start();
    both_know_the_client(&site);
    nobody_gets_past_the_proxy_in_front(&site);
    one_limit_holds_in_both(&site);
    a_gateway_dies(&mut site);
    without_the_limit_service_nothing_passes_uncounted(&mut site);
}

fn both_know_the_client(site: &Site) {
    // Of two that are told of, neither is believed.
    let [first, second] = FORGED;
    let forged =
        format!("X-Forwarded-For: {first}, {second}\r\nX-Envoy-External-Address: {first}\r\n");
    let judged = |gateway: &Envoy| {
        gateway
            .log()
            .matches("\"url.path\":\"/orders/who\"")
            .count()
    };
    wait_until("both have judged a request", || {
        let refused = site.ask("GET", "/orders/who", &forged);
        assert_eq!(refused.status, 401, "{refused:?}");
        site.gateways.iter().all(|gateway| judged(gateway) > 0)
    });
    // Who is on this machine has, in that list, the address of the machine. With a proxy less the one
    // in front would be the client, with one more the client would choose.
    let mut clients = BTreeSet::new();
    for gateway in &site.gateways {
        let log = gateway.log();
        let judged = log
            .lines()
            .filter(|line| line.contains("\"url.path\":\"/orders/who\""));
        for line in judged {
            let (_, rest) = line.split_once("\"client.address\":\"").expect(line);
            clients.insert(rest.split('"').next().unwrap_or_default().to_owned());
        }
    }
    let clients: Vec<String> = clients.into_iter().collect();
    let [client] = &clients[..] else {
        panic!("one client, not {clients:?}");
    };
    assert!(!FORGED.contains(&&**client) && client != FRONT, "{client}");
    let passed = site.ask("GET", "/orders/for", &format!("{forged}{}", bearer("who")));
    assert_eq!(passed.status, 200, "{passed:?}");
    // What is written down for the API ends with the client, and with the proxy that it came by.
    let taken = site.api.take_path("/orders/for");
    let list: Vec<&[u8]> = taken[0].values("x-forwarded-for").collect();
    let list = String::from_utf8_lossy(list[0]).replace(' ', "");
    let from_the_end: Vec<&str> = list.rsplit(',').collect();
    assert_eq!(from_the_end[1], client, "{list}");
    assert_eq!(from_the_end[2..], [FORGED[1], FORGED[0]], "{list}");
}

fn nobody_gets_past_the_proxy_in_front(site: &Site) {
    for gateway in &site.addrs {
        for client in [
            Client::new(),
            Client::with_certificate("unknown"),
            Client::with_certificate("dns"),
            Client::with_certificate("stranger"),
        ] {
            // In TLS 1.3 a client learns of it when it reads.
            let answer = client
                .connect(*gateway)
                .and_then(|mut connection| connection.send("GET", "/healthz", ""));
            assert!(answer.is_err(), "{answer:?}");
        }
        let known = Client::with_certificate("uri").get(*gateway, "/healthz", "");
        assert_eq!(known.status, 200, "{known:?}");
    }
}

fn one_limit_holds_in_both(site: &Site) {
    let token = bearer("counted");
    for _ in 0..ALLOWED {
        assert_eq!(site.ask("GET", "/orders/counted", &token).status, 200);
    }
    for _ in 0..4 {
        let refused = site.ask("GET", "/orders/counted", &token);
        assert_eq!(refused.status, 429, "{refused:?}");
        let problem: Value = serde_json::from_slice(&refused.body).unwrap();
        assert_eq!(problem["code"], "rate_limited");
        assert!(field(&refused, "retry-after").is_some());
        assert_eq!(
            field(&refused, "x-content-type-options").as_deref(),
            Some("nosniff")
        );
    }
    assert_eq!(site.api.take_path("/orders/counted").len() as u64, ALLOWED);
}

fn a_gateway_dies(site: &mut Site) {
    let path = "/orders/slow";
    let late = Response {
        status: 200,
        ..Response::default()
    };
    site.api
        .answer_path(path, Answer::Delay(Duration::from_secs(3), late));
    let https = site.https;
    let together = Barrier::new(2 * UNDER_WAY + 1);
    let (gets, posts) = thread::scope(|scope| {
        let slow = |method: &'static str, number: usize| {
            let case = format!("{method}-{number}");
            let fields = format!("{}{WISHES}X-Case-Number: {case}\r\n", bearer(&case));
            let together = &together;
            scope.spawn(move || {
                let mut connection = Client::new().connect(https).unwrap();
                together.wait();
                connection.send(method, path, &fields).unwrap().status
            })
        };
        let gets: Vec<_> = (0..UNDER_WAY).map(|number| slow("GET", number)).collect();
        let posts: Vec<_> = (0..UNDER_WAY).map(|number| slow("POST", number)).collect();
        together.wait();
        wait_until("the slow ones are under way", || {
            site.api.count_path(path) == 2 * UNDER_WAY
        });
        drop(site.gateways.remove(0));
        [gets, posts]
            .map(|all| {
                all.into_iter()
                    .map(|one| one.join().unwrap())
                    .collect::<Vec<u16>>()
            })
            .into()
    });
    let taken = site.api.take_path(path);
    let times = |method: &str, number: usize| {
        let case = format!("{method}-{number}");
        taken.iter().filter(|each| case_of(each) == case).count()
    };
    assert_eq!(gets, [200; UNDER_WAY], "no safe request is lost");
    let again = (0..UNDER_WAY).filter(|number| times("GET", *number) == 2);
    assert!(again.count() > 0, "some were under way there");
    let failed = posts.iter().filter(|status| **status == 503).count();
    assert!(failed > 0, "some were under way there: {posts:?}");
    for (number, status) in posts.iter().enumerate() {
        assert!(matches!(status, 200 | 503), "{posts:?}");
        assert_eq!(times("POST", number), 1, "no unsafe request comes twice");
    }
    wait_until("it is out", || {
        site.front
            .stat("cluster.gateways.membership_healthy")
            .unwrap()
            == 1
    });
    for number in 0..20 {
        let token = bearer(&format!("after-{number}"));
        assert_eq!(site.ask("POST", "/orders/after", &token).status, 200);
    }
}

/// Without the service, what it counts is refused, and what it does not count goes on.
fn without_the_limit_service_nothing_passes_uncounted(site: &mut Site) {
    site.limits = None;
    for _ in 0..4 {
        let refused = site.ask("GET", "/orders/uncounted", &bearer("other"));
        assert_eq!(refused.status, 503, "{refused:?}");
        assert_eq!(site.ask("GET", "/healthz", "").status, 200);
    }
    assert_eq!(site.api.take_path("/orders/uncounted").len(), 0);
}
