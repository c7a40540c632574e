//! Cross-site request forgery: forms, scripts, images, frames and WebSockets of other sites.

use portcullis_tests::upstream::Answer;
use serde_json::{Value, json};

use super::stage::{APP, NEIGHBOUR, OTHER, SERVICE, SERVICE_CLEARTEXT, Seen, Stage};

fn document() -> Value {
    let route = |name: &str, csrf: Value| {
        json!({
            "name": name, "match": { "path": { "prefix": format!("/{name}") } }, "open": true, "csrf": csrf,
            "security_headers": { "preset": "web", "keep": ["content-security-policy", "strict-transport-security"] },
        })
    };
    let additional = json!([{ "exact": APP }]);
    json!({
        "version": 1,
        "access_log": {},
        "routes": [
            route("account", json!({ "additional_origins": additional })),
            {
                "name": "clear", "match": { "path": { "prefix": "/clear" } }, "open": true, "csrf": {},
                // With the preset's `no-referrer`, a browser calls the origin of such forms `null`.
                "security_headers": { "preset": "api", "set": { "referrer-policy": "same-origin" }, "keep": ["content-security-policy"] },
            },
            route("isolated", json!({ "safe_methods": "isolate" })),
            { "name": "unguarded", "match": { "path": { "prefix": "/unguarded" } }, "open": true },
        ],
    })
}

impl Stage {
    /// Posts a form from the page that is shown, and waits for the answer to be shown.
    fn post_form(&self, url: &str) {
        let script = format!(
            "(() => {{ const form = document.createElement('form'); form.method = 'POST'; \
             form.action = '{url}'; document.body.append(form); form.submit(); return 1; }})()"
        );
        self.browser.value(&script).unwrap();
        let arrived = format!("location.href === '{url}' && document.readyState === 'complete'");
        self.browser.wait_until(&arrived).unwrap();
    }

    /// What a script hears from a WebSocket: its messages, and `closed` or `failed`.
    fn socket(&self, url: &str) -> Value {
        const SCRIPT: &str = "const heard = [];
            const socket = new WebSocket(arguments[0]);
            socket.onmessage = event => heard.push(event.data);
            socket.onerror = () => heard.push('failed');
            socket.onclose = () => { if (!heard.includes('failed')) heard.push('closed'); done(heard); };";
        self.browser.run(SCRIPT, &[url.into()]).unwrap()
    }
}

#[test]
fn forms_of_other_sites_are_refused() {
    let Some(stage) = Stage::open("browser: forged forms", document()) else {
        return;
    };
    for path in [
        "/account/form",
        "/account/done",
        "/clear/form",
        "/clear/done",
        "/unguarded/done",
    ] {
        stage.serve(path, None, "<!doctype html><p>the service");
    }
    let own = format!("{SERVICE}/account/form");
    let own_cleartext = format!("{SERVICE_CLEARTEXT}/clear/form");
    let empty = |origin: &str| format!("{origin}/empty");
    let guarded = format!("{SERVICE}/account/done");
    let cleartext = format!("{SERVICE_CLEARTEXT}/clear/done");
    for (page, target, served) in [
        (own.clone(), &guarded, true),
        (empty(APP), &guarded, true),
        (empty(OTHER), &guarded, false),
        (empty(NEIGHBOUR), &guarded, false),
        // Without TLS browsers send no fetch metadata, and `Origin` decides.
        (own_cleartext, &cleartext, true),
        (empty("http://www.other.test"), &cleartext, false),
        (empty("http://blog.example.com"), &cleartext, false),
    ] {
        stage.browser.open(&page).unwrap();
        stage.post_form(target);
        let path = target.rsplit(".com").next().unwrap();
        let posts = stage.served(path);
        assert_eq!(posts == 1, served, "{page}: {:?}", stage.seen(path, 1));
        let shown = stage.browser.value("document.body.innerText").unwrap();
        assert_eq!(shown == "the service", served, "{page}: {shown}");
    }
    // It is the policy that makes the difference.
    stage.visit(OTHER);
    stage.post_form(&format!("{SERVICE}/unguarded/done"));
    assert_eq!(stage.served("/unguarded/done"), 1);
    // Their links lead to the route all the same.
    stage.visit(OTHER);
    stage
        .browser
        .value(&format!("location.assign('{own}')"))
        .unwrap();
    stage
        .browser
        .wait_until(&format!("location.href === '{own}'"))
        .unwrap();
}

#[test]
fn scripts_of_other_sites_are_refused() {
    let Some(stage) = Stage::open("browser: forged requests", document()) else {
        return;
    };
    let blind = json!({ "method": "POST", "mode": "no-cors", "body": "a=b" });
    for (origin, served) in [(OTHER, 0), (NEIGHBOUR, 0), (APP, 1)] {
        stage.visit(origin);
        stage.fetch(&format!("{SERVICE}/account/blind"), blind.clone());
        stage.seen("/account/blind", 1);
        assert_eq!(stage.served("/account/blind"), served, "{origin}");
    }
    // What changes nothing is loaded by whoever likes to, unless the route is isolated.
    stage.visit(OTHER);
    for (path, served) in [("/account/image", 1), ("/isolated/image", 0)] {
        const SCRIPT: &str =
            "const image = new Image(); image.onload = image.onerror = () => done(1);
            image.src = arguments[0];";
        stage
            .browser
            .run(SCRIPT, &[format!("{SERVICE}{path}").into()])
            .unwrap();
        stage.seen(path, 1);
        assert_eq!(stage.served(path), served, "{path}");
    }
    for (path, served) in [("/account/frame", 1), ("/isolated/frame", 0)] {
        const SCRIPT: &str =
            "const frame = document.createElement('iframe'); frame.onload = () => done(1);
            frame.src = arguments[0]; document.body.append(frame);";
        stage
            .browser
            .run(SCRIPT, &[format!("{SERVICE}{path}").into()])
            .unwrap();
        stage.seen(path, 1);
        assert_eq!(stage.served(path), served, "{path}");
    }
    let link = format!("{SERVICE}/isolated/link");
    stage
        .browser
        .value(&format!("location.assign('{link}')"))
        .unwrap();
    stage
        .browser
        .wait_until(&format!("location.href === '{link}'"))
        .unwrap();
    assert_eq!(stage.served("/isolated/link"), 1);
}

#[test]
fn websockets_of_other_sites_are_refused() {
    let Some(stage) = Stage::open("browser: forged WebSockets", document()) else {
        return;
    };
    let answer = || Answer::WebSocket("hello".into());
    stage.upstream.answer_path("/account/socket", answer());
    stage.upstream.answer_path("/unguarded/socket", answer());
    stage.serve("/account/page", None, "<!doctype html><p>the service");
    let own = format!("{SERVICE}/account/page");
    let empty = |origin: &str| format!("{origin}/empty");
    for (page, opens) in [
        (own, true),
        (empty(APP), true),
        (empty(OTHER), false),
        (empty(NEIGHBOUR), false),
    ] {
        stage.browser.open(&page).unwrap();
        let heard = stage.socket("wss://api.example.com/account/socket");
        let expected = if opens {
            json!(["hello", "closed"])
        } else {
            json!(["failed"])
        };
        assert_eq!(
            heard,
            expected,
            "{page}: {:?}",
            stage.seen("/account/socket", 1)
        );
        assert_eq!(
            stage.served("/account/socket"),
            usize::from(opens),
            "{page}"
        );
    }
    // No rule of the browser's own keeps other sites from a service's WebSockets.
    stage.visit(OTHER);
    let heard = stage.socket("wss://api.example.com/unguarded/socket");
    assert_eq!(heard, json!(["hello", "closed"]));
    // Chromium says of a WebSocket where it comes from, and nothing else.
    let seen = stage.seen("/account/socket", 4);
    let said = |seen: &Seen| seen.origin.starts_with("https://") && seen.site == "-";
    assert!(seen.iter().all(said), "{seen:?}");
}
