//! Cookies of the service, with what the filter adds to them.

use serde_json::{Value, json};

use super::stage::{APP, NEIGHBOUR, SERVICE, SERVICE_CLEARTEXT, Stage};

fn document() -> Value {
    json!({
        "version": 1,
        "defaults": {
            "cors": { "allow_origins": [{ "exact": APP }, { "exact": NEIGHBOUR }], "allow_credentials": true },
        },
        "routes": [
            {
                "name": "hardened", "match": { "path": { "prefix": "/hardened" } }, "open": true,
                "security_headers": {
                    "preset": "none", "cookies": { "by_name": { "XSRF-TOKEN": { "http_only": false } } },
                },
            },
            { "name": "rest", "match": { "path": { "prefix": "/" } }, "open": true },
        ],
    })
}

#[test]
fn cookies_stay_where_they_belong() {
    let Some(stage) = Stage::open("browser: cookies", document()) else {
        return;
    };
    for (folder, name) in [
        ("/hardened", "session"),
        ("/hardened", "XSRF-TOKEN"),
        ("/bare", "bare"),
    ] {
        let cookie = format!("{name}=1; Path=/");
        let path = format!("{folder}/{name}");
        stage.serve(
            &path,
            Some(("set-cookie", &cookie)),
            "<!doctype html><p>the service",
        );
        stage.browser.open(&format!("{SERVICE}{path}")).unwrap();
    }
    let sent = |path: &str| {
        stage.seen(path, 1);
        let received = stage.upstream.take_path(path);
        let cookies = received
            .iter()
            .flat_map(|received| received.values("cookie"));
        let mut names: Vec<String> = cookies
            .flat_map(|line| {
                String::from_utf8_lossy(line)
                    .split("; ")
                    .map(str::to_owned)
                    .collect::<Vec<_>>()
            })
            .collect();
        names.sort();
        names
    };
    // To the service itself all are sent; its scripts see what is theirs.
    let mut read: Vec<String> = {
        let read = stage.browser.value("document.cookie").unwrap();
        read.as_str()
            .unwrap_or_default()
            .split("; ")
            .map(str::to_owned)
            .collect()
    };
    read.sort();
    assert_eq!(read, ["XSRF-TOKEN=1", "bare=1"]);
    stage.fetch(&format!("{SERVICE}/own"), json!({}));
    assert_eq!(sent("/own"), ["XSRF-TOKEN=1", "bare=1", "session=1"]);
    // Hosts of the same site have them sent, other sites do not. Chromium takes a cookie without
    // `SameSite` for a lax one; other browsers do not.
    let include = json!({ "credentials": "include" });
    stage.visit(NEIGHBOUR);
    stage.fetch(&format!("{SERVICE}/neighbour"), include.clone());
    assert_eq!(sent("/neighbour"), ["XSRF-TOKEN=1", "bare=1", "session=1"]);
    stage.visit(APP);
    stage.fetch(&format!("{SERVICE}/app"), include);
    assert_eq!(sent("/app"), [""; 0]);
    // In the clear only those go that nobody has secured.
    stage
        .browser
        .open(&format!("{SERVICE_CLEARTEXT}/clear"))
        .unwrap();
    assert_eq!(sent("/clear"), ["bare=1"]);
}
