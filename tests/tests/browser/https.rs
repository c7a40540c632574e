//! HTTPS only: what becomes of pages and scripts that ask in the clear.

use serde_json::{Value, json};

use super::stage::{APP, SERVICE, SERVICE_CLEARTEXT, Stage};

fn document() -> Value {
    json!({
        "version": 1,
        "defaults": {
            "https": { "on_cleartext": "redirect", "hosts": ["api.example.com"] },
            "cors": {
                "allow_origins": [{ "exact": SERVICE_CLEARTEXT }, { "exact": "http://www.app.test" }, { "exact": APP }],
                "allow_methods": ["PUT"],
            },
        },
        "routes": [
            { "name": "remembered", "match": { "path": { "prefix": "/remembered" } }, "open": true, "security_headers": { "preset": "web" } },
            { "name": "clear", "match": { "path": { "prefix": "/clear" } }, "open": true, "https": "off" },
            { "name": "led", "match": { "path": { "prefix": "/led" } }, "open": true },
        ],
    })
}

#[test]
fn browsers_are_led_to_https() {
    let Some(stage) = Stage::open("browser: redirects", document()) else {
        return;
    };
    for path in ["/led/page?a=b", "/led/form"] {
        let path = path.split('?').next().unwrap();
        stage.serve(path, None, "<!doctype html><p>the service");
    }
    stage
        .browser
        .open(&format!("{SERVICE_CLEARTEXT}/led/page?a=b"))
        .unwrap();
    assert_eq!(
        stage.browser.url().unwrap(),
        format!("{SERVICE}/led/page?a=b")
    );
    assert_eq!(
        stage.methods("/led/page?a=b", 2),
        [("GET".to_owned(), 308), ("GET".to_owned(), 200)]
    );

    // A script of the cleartext page gets there with its method and its body.
    stage
        .browser
        .open(&format!("{SERVICE_CLEARTEXT}/clear/page"))
        .unwrap();
    let post =
        json!({ "method": "POST", "body": "a=b", "headers": { "content-type": "text/plain" } });
    let got = stage.fetch("/led/post", post.clone());
    assert_eq!(
        (got.status(), got.url()),
        (Some(200), format!("{SERVICE}/led/post").as_str()),
        "{got:?}"
    );
    let received = stage.upstream.take_path("/led/post");
    assert_eq!(
        (&received[0].method[..], &received[0].body[..]),
        (&b"POST"[..], &b"a=b"[..])
    );

    // That of another origin does not: after a redirect to another origin its own is `null`, and a
    // preflight may not be redirected at all.
    stage.visit("http://www.app.test");
    let got = stage.fetch(&format!("{SERVICE_CLEARTEXT}/led/other"), post);
    assert!(got.is_hidden(), "{got:?}");
    let origins: Vec<_> = stage
        .seen("/led/other", 2)
        .into_iter()
        .map(|seen| (seen.status, seen.origin))
        .collect();
    assert_eq!(
        origins,
        [
            (308, "http://www.app.test".to_owned()),
            (403, "null".to_owned())
        ]
    );
    let got = stage.fetch(
        &format!("{SERVICE_CLEARTEXT}/led/put"),
        json!({ "method": "PUT" }),
    );
    assert!(got.is_hidden(), "{got:?}");
    assert_eq!(stage.methods("/led/put", 1), [("OPTIONS".to_owned(), 308)]);
    // It names HTTPS itself.
    let got = stage.fetch(&format!("{SERVICE}/led/named"), json!({ "method": "PUT" }));
    assert_eq!(got.status(), Some(200), "{got:?}");
}

#[test]
fn browsers_remember_https() {
    let Some(stage) = Stage::open("browser: strict transport security", document()) else {
        return;
    };
    stage.serve("/remembered/a", None, "<!doctype html><p>the service");
    stage.serve("/led/a", None, "<!doctype html><p>the service");
    stage
        .browser
        .open(&format!("{SERVICE}/remembered/a"))
        .unwrap();
    stage
        .browser
        .open(&format!("{SERVICE_CLEARTEXT}/led/a"))
        .unwrap();
    assert_eq!(stage.browser.url().unwrap(), format!("{SERVICE}/led/a"));
    assert_eq!(
        stage.methods("/led/a", 1),
        [("GET".to_owned(), 200)],
        "it came in the clear"
    );
}
