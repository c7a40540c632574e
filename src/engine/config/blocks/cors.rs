//! What is said of settings of CORS.

use crate::engine::Engine;

/// The notes on a document whose one route has that block.
fn notes(name: &str, block: &str) -> Vec<String> {
    let document = format!(
        r#"{{"version":1,"routes":[{{"name":"a","match":{{}},"open":true,"{name}":{block}}}]}}"#
    );
    let engine = Engine::compile(document.as_bytes()).unwrap_or_else(|error| panic!("{error}"));
    let notes = engine.notes().iter();
    // That nobody is asked for credentials is no matter here.
    notes.filter(|note| note.contains(name)).cloned().collect()
}

#[test]
fn what_no_browser_does_is_a_note() {
    let of = |rest: &str| {
        let block = format!(r#"{{"allow_origins":[{{"exact":"https://a.example"}}],{rest}}}"#);
        notes("cors", &block)
    };
    let place = "/routes/0/cors/";
    for (rest, note) in [
        (
            r#""allow_methods":["PUT","TRACE","CONNECT"]"#,
            "allow_methods: to no effect: browsers let no page send TRACE, CONNECT",
        ),
        (
            r#""allow_headers":["X-A","Cookie","sec-ch-ua","proxy-authorization","host"]"#,
            "allow_headers: to no effect: browsers let no page send cookie, sec-ch-ua, proxy-authorization, host",
        ),
        (
            r#""expose_headers":["etag","Set-Cookie"]"#,
            "expose_headers: to no effect: browsers let no page read set-cookie",
        ),
        (
            r#""max_age":"121m""#,
            "max_age: Chromium remembers no more than two hours",
        ),
        (
            r#""max_age":"25h""#,
            "max_age: browsers remember less: Chromium two hours, Firefox a day",
        ),
    ] {
        assert_eq!(of(rest), [format!("{place}{note}")], "{rest}");
    }
    let quiet = r#""allow_methods":["PUT"],"allow_headers":["authorization"],"expose_headers":["etag"],"max_age":"2h","allow_credentials":true"#;
    assert_eq!(of(quiet), [""; 0]);
}

#[test]
fn origins_that_let_in_more_than_they_seem_to_are_notes() {
    let cors = |credentials: bool, item: &str| {
        let block = format!(r#"{{"allow_origins":[{item}],"allow_credentials":{credentials}}}"#);
        notes("cors", &block)
    };
    let cleartext = |origin: &str| {
        format!(
            "pages of \"{origin}\" come without TLS: whoever is on their way can write them, and act as the user"
        )
    };
    let place = "/routes/0/cors/allow_origins/0/";
    for (item, kind, origin) in [
        (
            r#"{"exact":"http://app.example.com"}"#,
            "exact",
            "http://app.example.com",
        ),
        (
            r#"{"wildcard":"http://*.example.com"}"#,
            "wildcard",
            "http://*.example.com",
        ),
        (
            r#"{"regex":"^https?://app\\.example\\.com$"}"#,
            "regex",
            "http://app.example.com",
        ),
    ] {
        let note = cleartext(origin);
        assert_eq!(cors(true, item), [format!("{place}{kind}: {note}")]);
        assert_eq!(cors(false, item), [""; 0], "{item}");
        let of_csrf = notes("csrf", &format!(r#"{{"additional_origins":[{item}]}}"#));
        assert_eq!(
            of_csrf,
            [format!(
                "/routes/0/csrf/additional_origins/0/{kind}: {note}"
            )]
        );
    }
    for item in [
        r#"{"exact":"http://localhost:3000"}"#,
        r#"{"exact":"http://127.0.0.1:3000"}"#,
        r#"{"regex":"^http://localhost:[0-9]+$"}"#,
        r#"{"wildcard":"http://*.localhost"}"#,
        r#"{"wildcard":"https://*.example.com"}"#,
    ] {
        assert_eq!(cors(true, item), [""; 0], "{item}");
    }
    for (item, note) in [
        (
            r#"{"wildcard":"https://*.github.io"}"#,
            "wildcard: anybody can have a name below \"github.io\", a public suffix",
        ),
        (
            r#"{"regex":"^https://.*example\\.com$"}"#,
            "regex: accepts \"https://qzxvwkexample.com\" as well, which anybody could have",
        ),
    ] {
        assert_eq!(cors(false, item), [format!("{place}{note}")]);
    }
}
