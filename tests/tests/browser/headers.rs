//! What the fields of the preset `web` keep pages from.

use serde_json::{Value, json};

use super::stage::{APP, OTHER, SERVICE, Stage};

fn document() -> Value {
    let route = |name: &str| {
        json!({
            "name": name, "match": { "path": { "prefix": format!("/{name}") } }, "open": true,
            "cors": { "allow_origins": [{ "exact": APP }] },
        })
    };
    let mut guarded = route("guarded");
    guarded["security_headers"] = json!({ "preset": "web" });
    json!({ "version": 1, "routes": [guarded, route("bare")] })
}

/// A page with a script inside.
const PAGE: &str =
    "<!doctype html><title>page</title><script>document.title = 'inline'</script><p>the service";

#[test]
fn the_preset_web_keeps_pages_from_harm() {
    let Some(stage) = Stage::open("browser: security headers", document()) else {
        return;
    };
    for folder in ["/guarded", "/bare"] {
        let guarded = folder == "/guarded";
        stage.serve(&format!("{folder}/page"), None, PAGE);
        stage.serve(&format!("{folder}/text"), None, "document.title = 'text'");
        // Content-Security-Policy: a script in the page does not run.
        stage
            .browser
            .open(&format!("{SERVICE}{folder}/page"))
            .unwrap();
        let title = stage.browser.value("document.title").unwrap();
        assert_eq!(title, if guarded { "page" } else { "inline" });
        // X-Content-Type-Options: what does not say that it is a script is none.
        const SCRIPT: &str = "const script = document.createElement('script');
            script.onload = () => done('ran'); script.onerror = () => done('blocked');
            script.src = arguments[0]; document.head.append(script);";
        let url = format!("{SERVICE}{folder}/text");
        let ran = stage.browser.run(SCRIPT, &[url.clone().into()]).unwrap();
        assert_eq!(ran, if guarded { "blocked" } else { "ran" });
        // Cross-Origin-Resource-Policy: nobody else loads it blindly, and whom CORS lets may read it.
        let blind = json!({ "mode": "no-cors" });
        let got = stage.fetch_from(OTHER, &url, blind);
        assert_eq!(got.is_hidden(), guarded, "{got:?}");
        assert!(guarded || got.kind() == "opaque", "{got:?}");
        let got = stage.fetch_from(APP, &url, json!({}));
        assert_eq!(got.status(), Some(200), "{got:?}");
        // Cross-Origin-Opener-Policy: who opens it gets no handle on its window.
        stage.visit(APP);
        const OPEN: &str = "const opened = window.open(arguments[0]);
            const look = () => opened.closed ? done('no handle') : count-- ? setTimeout(look, 50) : done('handle');
            let count = arguments[1]; look();";
        let page = format!("{SERVICE}{folder}/page");
        let tries = if guarded { 1000 } else { 40 };
        let handle = stage
            .browser
            .run(OPEN, &[page.into(), tries.into()])
            .unwrap();
        assert_eq!(handle, if guarded { "no handle" } else { "handle" });
    }
}
