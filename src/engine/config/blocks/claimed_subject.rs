//! What is said of subjects that nobody can claim, and of providers that nothing names.

use crate::engine::Engine;

fn notes(routes: &str) -> Vec<String> {
    let provider = |issuer: &str| {
        format!(r#"{{"issuer":"{issuer}","audiences":"any","hmac":[{{"env":"SECRET"}}]}}"#)
    };
    let document = format!(
        r#"{{"version":1,"providers":{{"corp":{},"other":{}}},"routes":[{routes}]}}"#,
        provider("https://a.example"),
        provider("https://b.example")
    );
    let engine = Engine::compile(document.as_bytes()).unwrap();
    // That clients choose whose subject they claim is said of every such limit.
    let notes = engine.notes().iter();
    let notes = notes.filter(|note| !note.contains("clients choose"));
    notes.cloned().collect()
}

const LIMIT: &str = r#""rate_limits":[{"name":"l","key":["claimed_subject"],"token_bucket":{"max_tokens":2,"fill_interval":"1h"}}]"#;

#[test]
fn providers_that_nothing_names_are_noted() {
    let both =
        r#"{"name":"r","match":{},"jwt":{"any_of":[{"provider":"corp"},{"provider":"other"}]}}"#;
    assert_eq!(notes(both), [""; 0]);
    let one = r#"{"name":"r","match":{},"jwt":{"provider":"corp"}}"#;
    assert_eq!(
        notes(one),
        ["provider \"other\" is used by no `jwt` block: no route asks for its tokens"]
    );
}

#[test]
fn claims_that_nobody_can_make_are_noted() {
    let guarded = format!(
        r#"{{"name":"r","match":{{}},"jwt":{{"all_of":[{{"provider":"corp"}},{{"provider":"other"}}]}},{LIMIT}}}"#
    );
    assert_eq!(notes(&guarded), [""; 0]);
    let open = |name: &str| format!(r#"{{"name":"{name}","match":{{}},"open":true,{LIMIT}}}"#);
    let found = notes(&format!("{guarded},{},{}", open("a"), open("b")));
    let note = "routes that ask for no token and yet count by `claimed_subject`: 2, the first is \"a\"; their requests have no such key";
    assert!(found.iter().any(|each| each == note), "{found:?}");
    let document = format!(r#"{{"version":1,"routes":[{}]}}"#, open("a"));
    let error = Engine::compile(document.as_bytes())
        .unwrap_err()
        .to_string();
    assert_eq!(
        error,
        "/routes/0/rate_limits/0/key/0: there is no token whose subject could be claimed: the document has no `providers`"
    );
}
