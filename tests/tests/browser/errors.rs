//! Refusals: pages can read them, and people are shown a page.

use portcullis_tests::tokens::{SigningKey, mint};
use portcullis_tests::upstream::Answer;
use serde_json::{Value, json};

use super::stage::{APP, OTHER, SERVICE, Stage};

fn document() -> Value {
    let mut key = SigningKey::named("p256").jwk();
    key["alg"] = "ES256".into();
    let cors = json!({
        "allow_origins": [{ "exact": APP }], "allow_methods": ["PUT"],
        "allow_headers": ["authorization", "content-type"],
        "expose_headers": ["retry-after", "ratelimit", "ratelimit-policy", "www-authenticate"],
    });
    json!({
        "version": 1,
        "body_inspection": "hold_headers",
        "providers": { "corp": { "issuer": "https://id.example.com/", "audiences": ["api"], "jwks": { "inline": { "keys": [key] } } } },
        "schemas": { "order": { "type": "object", "required": ["items"] } },
        "defaults": { "cors": cors, "error_pages": { "message": "Ask the desk." }, "sanitize_errors": {} },
        "routes": [
            {
                "name": "private", "match": { "path": { "prefix": "/private" } },
                "jwt": { "provider": "corp", "require": { "scopes": ["orders.read"] } },
            },
            {
                "name": "limited", "match": { "path": { "prefix": "/limited" } }, "open": true,
                "rate_limits": [{
                    "name": "all", "key": [], "token_bucket": { "max_tokens": 1, "fill_interval": "1h" }, "headers": "ietf",
                }],
            },
            {
                "name": "shaped", "match": { "path": { "prefix": "/shaped" } }, "open": true,
                "payload": { "max_bytes": "1KiB", "json_schema": "order" },
            },
            { "name": "rest", "match": { "path": { "prefix": "/rest" }, "methods": ["GET"] }, "open": true },
        ],
    })
}

#[test]
fn pages_can_read_why_they_were_refused() {
    let Some(stage) = Stage::open("browser: refusals", document()) else {
        return;
    };
    let token = mint(
        &json!({ "key": "p256", "claims": {
            "iss": "https://id.example.com/", "aud": "api", "exp": 4_000_000_000_u64, "scope": "other",
        } }),
        0,
    );
    let order = json!({ "method": "POST", "headers": { "content-type": "application/json" }, "body": "{}" });
    stage.visit(APP);
    let first = stage.fetch(&format!("{SERVICE}/limited/a"), json!({}));
    assert_eq!(first.status(), Some(200), "{first:?}");
    stage.upstream.answer_path("/rest/hang-up", Answer::HangUp);
    for (path, options, status, code, exposed) in [
        (
            "/private/a",
            json!({}),
            401,
            "jwt_missing",
            "www-authenticate",
        ),
        (
            "/private/b",
            json!({ "headers": { "authorization": format!("Bearer {token}") } }),
            403,
            "jwt_insufficient_scope",
            "www-authenticate",
        ),
        ("/limited/b", json!({}), 429, "rate_limited", "retry-after"),
        ("/limited/c", json!({}), 429, "rate_limited", "ratelimit"),
        ("/shaped/a", order, 422, "payload_schema", ""),
        ("/rest/hang-up", json!({}), 503, "upstream_error", ""),
        ("/rest/put", json!({ "method": "PUT" }), 0, "", ""),
        ("/nowhere", json!({}), 404, "no_route", ""),
    ] {
        let got = stage.fetch(&format!("{SERVICE}{path}"), options);
        if status == 0 {
            // A method that no route has is no method that a preflight grants.
            assert!(got.is_hidden(), "{path}: {got:?}");
            continue;
        }
        assert_eq!(got.status(), Some(status), "{path}: {got:?}");
        assert_eq!(
            got.header("content-type"),
            Some("application/problem+json"),
            "{path}"
        );
        let problem = got.json();
        assert_eq!(
            (&problem["code"], &problem["status"]),
            (&json!(code), &json!(status)),
            "{path}"
        );
        assert!(
            exposed.is_empty() || got.header(exposed).is_some(),
            "{path}: {got:?}"
        );
    }
    // To the page of another site, all of them are the same.
    stage.visit(OTHER);
    for path in ["/private/a", "/limited/b", "/nowhere"] {
        let got = stage.fetch(&format!("{SERVICE}{path}"), json!({}));
        assert!(got.is_hidden(), "{path}: {got:?}");
    }
}

#[test]
fn people_are_shown_a_page() {
    let Some(stage) = Stage::open("browser: error pages", document()) else {
        return;
    };
    for (path, status) in [("/private/page", "401"), ("/nowhere", "404")] {
        stage.browser.open(&format!("{SERVICE}{path}")).unwrap();
        let shown = stage.browser.value("document.body.innerText").unwrap();
        let shown = shown.as_str().unwrap_or_default();
        assert!(
            shown.contains(status) && shown.contains("Ask the desk."),
            "{path}: {shown}"
        );
        assert_eq!(
            stage.browser.value("document.contentType").unwrap(),
            "text/html",
            "{path}"
        );
        // A script of that page is a program.
        let got = stage.fetch(&format!("{SERVICE}{path}"), json!({}));
        assert!(
            got.is_hidden(),
            "the page's own policy lets it fetch nothing: {got:?}"
        );
    }
}
