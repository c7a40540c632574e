//! A list of networks that a real Envoy fetches: addresses are known by it without another document.

use std::fmt::Write as _;

use portcullis_tests::client;
use portcullis_tests::mesh::{self, TIMEOUT, answer};
use portcullis_tests::patience::wait_until;
use portcullis_tests::upstream::{Answer, Upstream};
use portcullis_tests::wire::Request;
use serde_json::{Value, json};

/// Whoever is in the list passes. Envoy appends the test's own address to what the test writes.
fn document() -> Value {
    json!({
        "version": 1,
        "client_address": { "trusted_hops": 2 },
        "networks": { "Partners": { "remote": {
            "cluster": "lists", "uri": "http://lists.example.com/list",
            "cache_duration": "1s", "cooldown": "1s", "max_stale": "5s", "max_networks": 100_000,
        } } },
        "routes": [{ "name": "all", "match": {}, "open": true, "rate_limits": [{
            "name": "each", "key": [{ "network": ["Partners"] }], "missing": "refuse",
            "sliding_window": { "requests": 1_000_000, "per": "1s" },
        }] }],
    })
}

/// From where requests come.
const CLIENTS: [&str; 3] = ["192.0.2.7", "2001:db8::7", "10.99.0.1"];

struct Partners {
    mesh: mesh::Mesh,
    lists: Upstream,
}

impl Partners {
    fn start(answer: Answer) -> Self {
        let lists = Upstream::start().unwrap();
        lists.answer_path("/list", answer);
        let mesh = mesh::Mesh::start_reused(&document(), 2, &[("lists", &lists)]);
        Self { mesh, lists }
    }

    fn publish(&self, networks: &Value) {
        let list = json!({ "networks": networks }).to_string();
        self.lists.answer_path("/list", answer(200, &list));
    }

    fn statuses(&self) -> [u16; 3] {
        CLIENTS.map(|address| {
            let request = Request {
                method: b"GET".to_vec(),
                path: b"/".to_vec(),
                authority: b"api.example.com".to_vec(),
                headers: vec![(b"x-forwarded-for".to_vec(), address.as_bytes().to_vec())],
                ..Request::default()
            };
            let response = client::send(self.mesh.addr(), &request, TIMEOUT).unwrap();
            response.status
        })
    }

    /// Waits until all workers, as far as can be seen, answer so.
    fn wait_for(&self, statuses: [u16; 3]) {
        wait_until(&format!("{statuses:?}"), || {
            (0..16).all(|_| self.statuses() == statuses)
        });
    }
}

/// So many networks of one address each that are no neighbours, and those.
fn many(count: usize, more: &[&str]) -> Value {
    let mut networks = Vec::with_capacity(count);
    for each in 0..count {
        let mut text = String::new();
        match each % 2 {
            0 => write!(text, "10.{}.{}.0/25", each >> 8 & 63, each & 255).unwrap(),
            _ => write!(text, "2001:db8:{:x}:{:x}::/64", each >> 8, each & 255).unwrap(),
        }
        networks.push(json!(text));
    }
    let more = more.iter().map(|each| json!(each));
    json!(networks.into_iter().chain(more).collect::<Vec<_>>())
}

#[test]
fn addresses_are_known_by_a_list_without_another_document() {
    let partners = Partners::start(answer(500, "no"));
    let mesh = &partners.mesh;
    mesh.wait_for_log(0, "the networks cannot be fetched: status 500", || {});
    assert_eq!(partners.statuses(), [503; 3]);
    partners.publish(&json!([]));
    partners.wait_for([400; 3]);
    partners.publish(&json!(["192.0.2.0/24"]));
    partners.wait_for([200, 400, 400]);
    partners.publish(&json!(["2001:db8::/32", "10.99.0.0/31"]));
    partners.wait_for([400, 200, 200]);
    wait_until("the list is as large as it is", || {
        mesh.metric("network_list.partners.networks") == 2
    });
    // Whatever is wrong with an answer, the list that there is goes on.
    for (bad, message) in [
        (
            answer(200, r#"{"networks":["192.0.2.0/24","192.0.2.1/24"]}"#),
            "a list of which network 2 cannot be used: document: has bits set behind its prefix",
        ),
        (answer(200, "<html>"), "an answer that is not"),
    ] {
        let mark = mesh.envoy.log_mark();
        partners.lists.answer_path("/list", bad);
        mesh.wait_for_log(mark, message, || {
            assert_eq!(partners.statuses(), [400, 200, 200], "after {message}");
        });
        partners.publish(&json!(["2001:db8::/32", "10.99.0.0/31"]));
        let before = mesh.metric("networks_fetch_success");
        mesh.wait_for_metric("networks_fetch_success", |fetches| fetches > before);
    }
    // As many as there may be: they are read in slices, and the list before goes on until that is done.
    partners.publish(&many(99_999, &["192.0.2.7"]));
    wait_until("the long list is in force", || {
        let statuses = partners.statuses();
        // By the old list or by the new one, whichever a worker has; never by none.
        let judged = statuses.iter().all(|status| [200, 400].contains(status));
        assert!(judged, "{statuses:?}");
        statuses == [200, 400, 400]
    });
    partners.wait_for([200, 400, 400]);
    wait_until("it is as large as it is", || {
        mesh.metric("network_list.partners.networks") == 100_000
    });
    // Too old, it is none.
    partners.lists.answer_path("/list", Answer::HangUp);
    partners.wait_for([503; 3]);
    assert!(mesh.metric("networks_fetch_failed") > 0);
    partners.publish(&json!(["192.0.2.7"]));
    partners.wait_for([200, 400, 400]);
    assert!(!mesh.envoy.log().contains("panicked"));
}
