//! A server dies while it works on requests.

use std::collections::BTreeMap;
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use portcullis_tests::patience::wait_until;
use portcullis_tests::upstream::{Answer, Received, Upstream};
use portcullis_tests::wire::Response;

use super::client::Client;
use super::stage::{Edge, bearer};

/// Requests of each kind that are under way when it happens.
pub(super) const UNDER_WAY: usize = 16;

/// A server that dies before it has answered those; the other answers after this.
const SLOW: Duration = Duration::from_secs(3);

/// What a client says to have its requests repeated. It is not its to say.
pub(super) const WISHES: &str = "X-Envoy-Retry-On: 5xx,reset\r\nX-Envoy-Max-Retries: 5\r\n";

pub(super) fn a_server_dies(edge: &mut Edge) {
    let client = Client::new();
    let https = edge.https;
    let token = bearer("alice");
    let slow = Answer::Delay(SLOW, ok());
    for upstream in &edge.upstreams {
        upstream.answer_path("/orders/slow", slow.clone());
        upstream.answer_path(
            "/orders/quick",
            Answer::Delay(Duration::from_millis(5), ok()),
        );
        upstream.take_all();
    }
    // A first check that meets a busy machine fails, and the workers hear of the next one a second after the main
    // thread: a server that is out for them would have nothing under way.
    let probe = bearer("carol");
    wait_until("both servers are in for every worker", || {
        thread::sleep(Duration::from_millis(100));
        edge.upstreams.iter().for_each(|each| drop(each.take_all()));
        for _ in 0..8 {
            let mut connection = client.connect(https).unwrap();
            let response = connection.send("GET", "/orders/quick", &probe).unwrap();
            assert_eq!(response.status, 200, "{response:?}");
        }
        let arrived = |each: &Upstream| each.take_path("/orders/quick").len();
        edge.upstreams.iter().all(|each| arrived(each) >= 3)
    });
    let before = edge.envoy.stats().unwrap();
    let [first, second] = &mut edge.upstreams;
    let (ended, count) = (AtomicBool::new(false), AtomicU64::new(0));
    let together = Barrier::new(2 * UNDER_WAY + 1);

    thread::scope(|scope| {
        // A stream of quick ones all the while.
        let quick = |number: usize| {
            let (token, client, ended, count) = (&token, client.clone(), &ended, &count);
            scope.spawn(move || {
                let mut connection = client.connect(https).unwrap();
                let mut posts = BTreeMap::new();
                for turn in 0.. {
                    if ended.load(Ordering::Relaxed) {
                        break;
                    }
                    let get = connection.send("GET", "/orders/quick", token).unwrap();
                    assert_eq!(get.status, 200, "a safe request is lost: {get:?}");
                    let case = format!("quick-{number}-{turn}");
                    let fields = format!("{token}{WISHES}X-Case-Number: {case}\r\n");
                    let post = connection.send("POST", "/orders/quick", &fields).unwrap();
                    posts.insert(case, post.status);
                    count.fetch_add(1, Ordering::Relaxed);
                }
                posts
            })
        };
        let quick: Vec<_> = (0..4).map(quick).collect();

        wait_until("requests are answered", || {
            count.load(Ordering::Relaxed) > 50
        });

        // Under way when it dies, half of them with each server.
        let slow = |method: &'static str, number: usize| {
            let fields = format!("{token}{WISHES}X-Case-Number: {method}-{number}\r\n");
            let client = client.clone();
            let together = &together;
            scope.spawn(move || {
                let mut connection = client.connect(https).unwrap();
                together.wait();
                connection
                    .send(method, "/orders/slow", &fields)
                    .unwrap()
                    .status
            })
        };
        let gets: Vec<_> = (0..UNDER_WAY).map(|number| slow("GET", number)).collect();
        let posts: Vec<_> = (0..UNDER_WAY).map(|number| slow("POST", number)).collect();
        together.wait();
        wait_until("the slow ones are under way", || {
            waiting(first) + waiting(second) == 2 * UNDER_WAY
        });
        first.stop();
        let at_first = first.take_all();
        let stopped = count.load(Ordering::Relaxed);
        wait_until("requests go on without it", || {
            count.load(Ordering::Relaxed) > stopped + 100
        });
        ended.store(true, Ordering::Relaxed);

        for get in gets {
            assert_eq!(get.join().unwrap(), 200, "no safe request is lost");
        }
        let statuses: Vec<u16> = posts.into_iter().map(|post| post.join().unwrap()).collect();
        let at_second = second.take_all();
        let received = |all: &[Received], method: &str, path: &str| {
            let wanted =
                |each: &&Received| each.method == method.as_bytes() && each.path == path.as_bytes();
            all.iter()
                .filter(wanted)
                .map(case_of)
                .collect::<Vec<String>>()
        };
        let lost = received(&at_first, "POST", "/orders/slow");
        assert!(!lost.is_empty(), "some were under way there");
        let failed = statuses.iter().filter(|status| **status == 503).count();
        assert_eq!(failed, lost.len(), "{statuses:?}");
        assert_eq!(
            statuses.iter().filter(|status| **status == 200).count(),
            UNDER_WAY - failed
        );
        // Every request that was under way there and is safe has come to the other one.
        let repeated = received(&at_second, "GET", "/orders/slow");
        let moved = received(&at_first, "GET", "/orders/slow");
        assert!(!moved.is_empty(), "some were under way there");
        assert!(
            moved.iter().all(|case| repeated.contains(case)),
            "{moved:?} {repeated:?}"
        );

        // No server has seen an unsafe request that another has seen, or seen it twice.
        let mut seen: BTreeMap<String, usize> = BTreeMap::new();
        for path in ["/orders/slow", "/orders/quick"] {
            for all in [&at_first, &at_second] {
                for case in received(all, "POST", path) {
                    *seen.entry(case).or_default() += 1;
                }
            }
        }
        assert!(seen.values().all(|times| *times == 1), "{seen:?}");
        for (case, status) in quick.into_iter().flat_map(|client| client.join().unwrap()) {
            assert!(matches!(status, 200 | 503), "{case}: {status}");
            // One that failed may have been seen, and one that was answered was.
            assert!(status == 503 || seen.contains_key(&case), "{case}");
        }
    });

    wait_until("it is out", || {
        edge.envoy
            .stat("cluster.upstream.membership_healthy")
            .unwrap()
            == 1
    });
    let after = edge.envoy.stats().unwrap();
    let grown = |name: &str| {
        after[&format!("cluster.upstream.{name}")] - before[&format!("cluster.upstream.{name}")]
    };
    assert!(grown("upstream_rq_retry_success") > 0);
    assert_eq!(
        grown("upstream_rq_retry_overflow"),
        0,
        "the budget was large enough"
    );
    // Nothing fails any more.
    let mut connection = client.connect(https).unwrap();
    for _ in 0..20 {
        for method in ["GET", "POST"] {
            let response = connection.send(method, "/orders/quick", &token).unwrap();
            assert_eq!(response.status, 200, "{method}");
        }
    }
}

fn ok() -> Response {
    Response {
        status: 200,
        ..Response::default()
    }
}

/// How many slow requests it works on. None is taken away by looking.
fn waiting(upstream: &Upstream) -> usize {
    upstream.count_path("/orders/slow")
}

pub(super) fn case_of(received: &Received) -> String {
    let case = received.values("x-case-number").next().unwrap_or_default();
    String::from_utf8_lossy(case).into_owned()
}
