//! CORS: what pages may send, and what they may read.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::stage::{APP, NEIGHBOUR, OTHER, SERVICE, Stage};

fn document() -> Value {
    let route = |name: &str, cors: Value| {
        json!({
            "name": name, "match": { "path": { "prefix": format!("/{name}") } }, "open": true,
            "cors": cors,
        })
    };
    let app = json!([{ "exact": APP }]);
    json!({
        "version": 1,
        "routes": [
            route("plain", json!({
                "allow_origins": app, "allow_methods": ["PUT"], "allow_headers": ["x-team", "content-type"],
                "expose_headers": ["x-shown"], "max_age": "1h",
            })),
            route("forgotten", json!({ "allow_origins": app, "allow_methods": ["PUT"], "max_age": "0s" })),
            route("omitted", json!({ "allow_origins": app, "on_disallowed": "omit" })),
            route("credentials", json!({
                "allow_origins": [{ "exact": NEIGHBOUR }], "allow_credentials": true, "allow_methods": ["PUT"],
            })),
            route("everybody", json!({ "allow_origins": [{ "wildcard": "*" }] })),
            route("below", json!({ "allow_origins": [{ "wildcard": "https://*.example.com" }] })),
        ],
    })
}

fn at(path: &str) -> String {
    format!("{SERVICE}{path}")
}

#[test]
fn simple_requests_are_sent_at_once_and_read_by_those_who_may() {
    let Some(stage) = Stage::open("browser: simple requests", document()) else {
        return;
    };
    stage.serve("/plain/fields", Some(("x-shown", "1")), "body");
    stage.serve("/plain/more", Some(("x-hidden", "1")), "body");
    stage.visit(APP);
    let got = stage.fetch(&at("/plain/fields"), json!({}));
    assert_eq!(
        (got.status(), got.kind(), got.body()),
        (Some(200), "cors", "body")
    );
    assert_eq!(stage.methods("/plain/fields", 1), [("GET".to_owned(), 200)]);
    // A field that is exposed is read, another is not.
    assert_eq!(got.header("x-shown"), Some("1"), "{got:?}");
    let got = stage.fetch(&at("/plain/more"), json!({}));
    assert_eq!(
        (got.status(), got.header("x-hidden")),
        (Some(200), None),
        "{got:?}"
    );
    let form =
        json!({ "method": "POST", "body": "a=b", "headers": { "content-type": "text/plain" } });
    let got = stage.fetch(&at("/plain/post"), form.clone());
    assert_eq!(
        (got.status(), stage.methods("/plain/post", 1)),
        (Some(200), vec![("POST".to_owned(), 200)])
    );

    // The origin of another page is not allowed: it learns nothing, and the service is not asked.
    for origin in [OTHER, NEIGHBOUR] {
        stage.visit(origin);
        for (path, options) in [("/plain/b", json!({})), ("/plain/c", form.clone())] {
            let got = stage.fetch(&at(path), options);
            assert!(got.is_hidden(), "{origin}: {got:?}");
            assert_eq!(stage.served(path), 0, "{origin}");
            let seen = stage.seen(path, 1);
            assert!(seen.iter().all(|seen| seen.status == 403), "{seen:?}");
        }
        // With `omit` the service is asked, and the browser hides what it says.
        let got = stage.fetch(&at("/omitted/a"), json!({}));
        assert!(got.is_hidden(), "{origin}: {got:?}");
        assert_eq!(stage.served("/omitted/a"), 1, "{origin}");
        let got = stage.fetch(&at("/everybody/a"), json!({}));
        assert_eq!(got.status(), Some(200), "{origin}: {got:?}");
        let got = stage.fetch(&at("/below/a"), json!({}));
        assert_eq!(
            got.status().is_some(),
            origin == NEIGHBOUR,
            "{origin}: {got:?}"
        );
    }

    // The filter tells its counters a little later than it answers. The stage has listeners without
    // a filter too, so that requests to all of them are no measure.
    let count = |stats: &BTreeMap<String, u64>, name: &str| {
        let name = format!("wasmcustom.portcullis.{name}");
        stats.get(&name).copied().unwrap_or(0)
    };
    let all = |stats: &_| count(stats, "origin_valid") + count(stats, "origin_invalid") >= 13;
    let stats = stage.envoy.stats_once(all).unwrap();
    assert_eq!(count(&stats, "origin_valid"), 6);
    assert_eq!(count(&stats, "origin_invalid"), 7);
}

#[test]
fn preflights_come_first_and_are_remembered() {
    let Some(stage) = Stage::open("browser: preflights", document()) else {
        return;
    };
    let put = |fields: Value| json!({ "method": "PUT", "headers": fields, "body": "{}" });
    let seen = |path: &str, count: usize| {
        let seen = stage.seen(path, count).into_iter();
        let seen = seen.map(|seen| format!("{} {}", seen.method, seen.details));
        seen.collect::<Vec<_>>()
    };
    const GRANTED: &str = "OPTIONS portcullis.preflight.granted";
    const SENT: &str = "PUT via_upstream";
    stage.visit(APP);
    // One question, and no other for the same while the answer holds.
    let fields = json!({ "x-team": "a", "content-type": "application/json" });
    for _ in 0..3 {
        let got = stage.fetch(&at("/plain/put"), put(fields.clone()));
        assert_eq!(got.status(), Some(200), "{got:?}");
    }
    assert_eq!(seen("/plain/put", 4), [GRANTED, SENT, SENT, SENT]);
    assert_eq!(stage.served("/plain/put"), 3);
    // Where the answer holds for no time, each request has a question of its own.
    for _ in 0..2 {
        let got = stage.fetch(&at("/forgotten/put"), json!({ "method": "PUT" }));
        assert_eq!(got.status(), Some(200), "{got:?}");
    }
    assert_eq!(seen("/forgotten/put", 4), [GRANTED, SENT, GRANTED, SENT]);

    // What is not granted is not sent.
    for (path, options, why) in [
        ("/plain/method", json!({ "method": "DELETE" }), "method"),
        ("/plain/field", put(json!({ "x-other": "a" })), "headers"),
        ("/omitted/method", json!({ "method": "PUT" }), "method"),
        (
            "/everybody/field",
            json!({ "headers": { "x-team": "a" } }),
            "headers",
        ),
    ] {
        let got = stage.fetch(&at(path), options);
        assert!(got.is_hidden(), "{path}: {got:?}");
        assert_eq!(
            seen(path, 1),
            [format!("OPTIONS portcullis.preflight.{why}")]
        );
        assert_eq!(stage.served(path), 0, "{path}");
    }
    stage.visit(OTHER);
    for path in ["/plain/from-other", "/omitted/from-other"] {
        let got = stage.fetch(&at(path), put(json!({})));
        assert!(got.is_hidden(), "{path}: {got:?}");
        assert_eq!(seen(path, 1), ["OPTIONS portcullis.preflight.origin"]);
    }
}

#[test]
fn credentials_go_along_where_they_may() {
    let Some(stage) = Stage::open("browser: credentials", document()) else {
        return;
    };
    let cookie = ("set-cookie", "who=me; Secure; SameSite=Lax; Path=/");
    stage.serve("/credentials/login", Some(cookie), "logged in");
    stage.browser.open(&at("/credentials/login")).unwrap();
    let include = json!({ "credentials": "include" });
    let sent = |path: &str| {
        let received = stage.upstream.take_path(path);
        let cookies = received
            .iter()
            .flat_map(|received| received.values("cookie"));
        cookies
            .map(|cookie| String::from_utf8_lossy(cookie).into_owned())
            .collect::<Vec<_>>()
    };
    // Of the same site, so that browsers which keep third parties' cookies apart send them too.
    stage.visit(NEIGHBOUR);
    let got = stage.fetch(&at("/credentials/a"), include.clone());
    assert_eq!(
        (got.status(), sent("/credentials/a")),
        (Some(200), vec!["who=me".to_owned()])
    );
    let put = json!({ "credentials": "include", "method": "PUT" });
    let got = stage.fetch(&at("/credentials/put"), put);
    assert_eq!(
        (got.status(), sent("/credentials/put")),
        (Some(200), vec!["who=me".to_owned()])
    );
    let got = stage.fetch(&at("/credentials/b"), json!({}));
    assert_eq!((got.status(), sent("/credentials/b")), (Some(200), vec![]));
    // Where the document does not allow it, the browser hides the answer to a request with a cookie.
    for path in ["/below/a", "/everybody/a"] {
        let got = stage.fetch(&at(path), include.clone());
        assert!(got.is_hidden(), "{path}: {got:?}");
        assert_eq!(sent(path), ["who=me"], "{path}");
    }
    // And nobody else's page gets the cookie to the service.
    stage.visit(OTHER);
    let got = stage.fetch(&at("/credentials/c"), include);
    assert!(got.is_hidden(), "{got:?}");
    assert_eq!(sent("/credentials/c"), [""; 0]);
}
