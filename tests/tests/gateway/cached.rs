//! What the cache keeps, and that nobody gets what was another's.

use std::thread;
use std::time::Duration;

use portcullis_tests::upstream::Answer;
use portcullis_tests::wire::Response;

use super::client::{Client, field};
use super::stage::{Edge, bearer};

const CORS: &str = "Origin: https://app.example.com\r\n";

fn answers(edge: &Edge, path: &str, fields: &[(&str, &str)], body: &str) {
    answers_late(edge, Duration::ZERO, path, fields, body);
}

fn answers_late(edge: &Edge, delay: Duration, path: &str, fields: &[(&str, &str)], body: &str) {
    let response = Response {
        status: 200,
        headers: fields
            .iter()
            .map(|(name, value)| ((*name).to_owned(), value.as_bytes().to_vec()))
            .collect(),
        body: body.as_bytes().to_vec(),
        ..Response::default()
    };
    for upstream in &edge.upstreams {
        upstream.answer_path(path, Answer::Delay(delay, response.clone()));
    }
}

/// Those who ask in this time ask together.
const TOGETHER: Duration = Duration::from_millis(200);

const PUBLIC: (&str, &str) = ("cache-control", "public, max-age=600");

pub(super) fn what_is_everybodys_is_kept(edge: &Edge) {
    let path = "/catalog/shoes";
    // A server that sets a cookie for whoever asks, on a response that it calls everybody's.
    answers(
        edge,
        path,
        &[PUBLIC, ("set-cookie", "session=first")],
        "shoes",
    );
    let client = Client::new();
    let personal = "Cookie: session=alice\r\nX-Forwarded-Host: evil.example\r\nX-Api-Key: k\r\n";
    let first = client.get(edge.https, path, personal);
    assert_eq!((first.status, &*first.body), (200, &b"shoes"[..]));
    for upstream in &edge.upstreams {
        for received in upstream.take_path(path) {
            for name in [
                "cookie",
                "x-forwarded-host",
                "x-api-key",
                "x-forwarded-for",
                "x-geo-country",
            ] {
                assert_eq!(received.values(name).count(), 0, "{name}: {received:?}");
            }
        }
    }
    for (fields, origin) in [
        ("", None),
        (CORS, Some("https://app.example.com")),
        ("", None),
    ] {
        let again = client.get(edge.https, path, fields);
        assert_eq!(
            (again.status, &*again.body),
            (200, &b"shoes"[..]),
            "{again:?}"
        );
        assert!(field(&again, "age").is_some(), "{again:?}");
        // What is a client's own is written behind the cache, anew for each.
        assert_eq!(
            field(&again, "access-control-allow-origin").as_deref(),
            origin
        );
        assert!(field(&again, "strict-transport-security").is_some());
        assert!(field(&again, "alt-svc").is_some());
        assert_eq!(field(&again, "cache-control").as_deref(), Some(PUBLIC.1));
    }
    for response in [first, client.get(edge.https, path, CORS)] {
        assert_eq!(field(&response, "set-cookie"), None);
    }
    assert_eq!(
        edge.arrived(path),
        0,
        "none but the first has asked the server"
    );
    // Another page is another response.
    answers(edge, path, &[PUBLIC], "more shoes");
    for _ in 0..2 {
        let page = client.get(edge.https, "/catalog/shoes?page=2", "");
        assert_eq!(&*page.body, b"more shoes");
    }
    assert_eq!(edge.arrived("/catalog/shoes?page=2"), 1);
}

pub(super) fn what_is_somebodys_is_not(edge: &Edge) {
    let client = Client::new();
    // The worst that a server can do: it calls a caller's own response everybody's.
    let path = "/orders/own";
    for subject in ["alice", "bob", "alice"] {
        answers(edge, path, &[PUBLIC], subject);
        let response = client.get(edge.https, path, &bearer(subject));
        assert_eq!(
            (response.status, &*response.body),
            (200, subject.as_bytes())
        );
        assert_eq!(field(&response, "age"), None);
        let said = field(&response, "cache-control");
        assert_eq!(
            said.as_deref(),
            Some("no-store, max-age=0"),
            "nor by others on the way"
        );
    }
    assert_eq!(client.get(edge.https, path, "").status, 401);
    assert_eq!(edge.arrived(path), 3);

    // Whoever sends a token to what is public gets no copy, and leaves none.
    let path = "/catalog/hats";
    answers(edge, path, &[PUBLIC], "hats");
    for _ in 0..2 {
        assert_eq!(client.get(edge.https, path, &bearer("alice")).status, 200);
    }
    for upstream in &edge.upstreams {
        for received in upstream.take_path(path) {
            assert_eq!(received.values("authorization").count(), 0, "{received:?}");
        }
    }
    answers(edge, path, &[PUBLIC], "new hats");
    assert_eq!(client.get(edge.https, path, "").body, b"new hats");
    assert_eq!(edge.arrived(path), 1);

    // What a server calls private, or different for clients, is never kept, and is no answer to
    // those who wait beside.
    for (name, fields) in [
        ("private", &[("cache-control", "private, max-age=600")][..]),
        ("no-store", &[("cache-control", "no-store")]),
        ("silent", &[]),
        ("cookie", &[PUBLIC, ("vary", "cookie")]),
        ("language", &[PUBLIC, ("vary", "accept-language")]),
        ("all", &[PUBLIC, ("vary", "*")]),
    ] {
        let path = format!("/catalog/{name}");
        answers_late(edge, TOGETHER, &path, fields, name);
        thread::scope(|scope| {
            let asking: Vec<_> = (0..4)
                .map(|_| scope.spawn(|| client.get(edge.https, &path, "")))
                .collect();
            for response in asking {
                let response = response.join().unwrap();
                assert_eq!((response.status, &*response.body), (200, name.as_bytes()));
            }
        });
        assert_eq!(client.get(edge.https, &path, "").status, 200);
        assert_eq!(edge.arrived(&path), 5, "{name}");
    }
}

pub(super) fn the_filter_stands_before_the_cache(edge: &Edge) {
    let client = Client::new();
    let path = "/catalog/kept";
    answers(edge, path, &[PUBLIC], "kept");
    for _ in 0..2 {
        assert_eq!(client.get(edge.https, path, "").status, 200);
    }
    // What is refused gets no copy either: by its origin, by its parameters, without a route.
    let foreign = "Origin: https://evil.example\r\n";
    assert_eq!(client.get(edge.https, path, foreign).status, 403);
    assert_eq!(
        client.get(edge.https, "/catalog/kept?other=1", "").status,
        400
    );
    assert_eq!(client.get(edge.https, "/catalogue/kept", "").status, 404);
    assert_eq!(edge.arrived(path), 1);
}
