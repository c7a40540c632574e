//! What is said of shares of requests: by whom they go, and what becomes of the others.

use crate::engine::Engine;

/// The notes on shares of a document with one route that asks for a token, and one that is open.
fn notes(whole: &str, guarded: &str, open: &str) -> Vec<String> {
    let document = format!(
        r#"{{"version":1,{whole}
            "providers":{{"corp":{{"issuer":"https://a.example","audiences":"any","hmac":[{{"env":"SECRET"}}]}}}},
            "routes":[
                {{"name":"guarded","match":{{"path":{{"prefix":"/a"}}}},{guarded}}},
                {{"name":"open","match":{{"path":{{"prefix":"/b"}}}},"open":true{open}}}]}}"#
    );
    let engine = Engine::compile(document.as_bytes());
    let engine = engine.unwrap_or_else(|error| panic!("{document}: {error}"));
    let notes = engine.notes().iter();
    let ours = notes.filter(|note| note.contains("/percent") || note.contains("percent_by"));
    ours.cloned().collect()
}

const JWT: &str = r#""jwt":{"provider":"corp"}"#;

/// Whether there is one note, which stands there and says so.
fn is_one(notes: &[String], place: &str, what: &str) -> bool {
    matches!(notes, [note] if note.starts_with(place) && note.contains(what))
}

#[test]
fn credentials_for_a_share_of_requests_are_noted() {
    let others = "the others, 95 of a hundred, pass without";
    for (whole, guarded, place) in [
        (r#""percent":5,"#, JWT.to_owned(), "/percent: "),
        ("", format!(r#""percent":5,{JWT}"#), "/routes/0/percent: "),
        (
            "",
            r#""jwt":{"provider":"corp","percent":5}"#.to_owned(),
            "/routes/0/jwt/percent: ",
        ),
    ] {
        let found = notes(whole, &guarded, "");
        assert!(is_one(&found, place, others), "{place}: {found:?}");
    }
    for open in [r#","percent":5"#, r#","maintenance":{"percent":5}"#] {
        assert_eq!(notes("", JWT, open), [""; 0], "{open}");
    }
}

#[test]
fn shares_of_callers_that_are_of_addresses_are_noted() {
    let by = r#""percent":5,"percent_by":"caller""#;
    let of_block = format!(r#"{JWT},"maintenance":{{{by}}}"#);
    let found = notes("", &of_block, "");
    assert!(
        is_one(&found, "/routes/0/maintenance/percent_by: ", "of addresses"),
        "{found:?}"
    );
    let of_route = format!(",{by}");
    let found = notes("", JWT, &of_route);
    assert!(
        is_one(&found, "/routes/1/percent_by: ", "of addresses"),
        "{found:?}"
    );
    let payload = format!(r#""payload":{{"max_bytes":1,{by}}}"#);
    let found = notes("", JWT, &format!(",{payload}"));
    assert!(
        is_one(&found, "/routes/1/payload/percent_by: ", "no credentials"),
        "{found:?}"
    );
    assert_eq!(notes("", &format!("{JWT},{payload}"), ""), [""; 0]);
    let address = r#"{"percent":5,"percent_by":"address"}"#;
    let found = notes("", &format!(r#"{JWT},"maintenance":{address}"#), "");
    assert_eq!(found, [""; 0]);
}

#[test]
fn shares_of_rules_are_noted_as_those_of_blocks() {
    let rule = |rule: &str| {
        format!(
            r#""access":{{"default":"allow","rules":[{{"name":"r","action":"deny","percent":5{rule}}}]}}"#
        )
    };
    let at = "/routes/0/access/rules/0/";
    let guarded = |written: &str| notes("", &format!("{JWT},{}", rule(written)), "");
    let found = guarded(r#","percent_by":{"header":"x-tenant"}"#);
    assert!(
        is_one(
            &found,
            &format!("{at}percent_by: "),
            r#"the header field "x-tenant""#
        ),
        "{found:?}"
    );
    for written in [
        r#","percent_by":"caller""#,
        r#","percent_by":"caller","from":{"addresses":["192.0.2.0/24"]}"#,
    ] {
        let found = guarded(written);
        let told = is_one(
            &found,
            &format!("{at}percent_by: "),
            "by the head of a request",
        );
        assert!(told, "{written}: {found:?}");
    }
    let found = guarded("");
    assert!(
        is_one(
            &found,
            &format!("{at}percent: "),
            "by the head of a request"
        ),
        "{found:?}"
    );
    for written in [
        r#","from":{"addresses":["192.0.2.0/24"]}"#,
        r#","percent_by":"address""#,
        r#","percent_by":"caller","from":{"authenticated":true}"#,
        r#","percent_by":"request""#,
    ] {
        assert_eq!(guarded(written), [""; 0], "{written}");
    }
    let open = |written: &str| notes("", JWT, &format!(",{}", rule(written)));
    let found = open(r#","percent_by":"caller""#);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(open(""), [""; 0]);
}
