//! What is said of limits that can do nothing where they stand.

use crate::engine::Engine;

fn notes(limits: &str, more: &str) -> Vec<String> {
    let document = format!(
        r#"{{ "version": 1,
        "providers": {{ "corp": {{ "issuer": "https://id.example.com/", "audiences": ["a"],
            "jwks": {{ "inline": {{ "keys": [{{ "kty": "EC", "crv": "P-256", "alg": "ES256",
                "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",
                "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0" }}] }} }} }} }},
        "routes": [{{ "name": "a", "match": {{}}, "jwt": {{ "provider": "corp", "mode": "shadow" }},
            "rate_limits": [{limits}] }}]
        {more} }}"#
    );
    let engine = Engine::compile(document.as_bytes());
    let engine = engine.unwrap_or_else(|error| panic!("{error}"));
    let notes = engine.notes().iter();
    let ours = notes.filter(|note| note.contains("rate_limits"));
    ours.cloned().collect()
}

#[test]
fn what_may_not_be_meant_is_noted() {
    const BUCKET: &str = r#""token_bucket": { "max_tokens": 9, "fill_interval": "1s" }"#;
    let one = |fields: &str| {
        let limit = format!(r#"{{ "name": "l", "key": ["client_address"], {BUCKET} {fields} }}"#);
        notes(&limit, "")
    };
    let noted = |fields: &str, place: &str, what: &str| {
        let notes = one(fields);
        let [note] = &notes[..] else {
            panic!("{fields}: {notes:?}");
        };
        assert!(note.starts_with(place) && note.contains(what), "{note}");
    };
    noted(
        r#", "charge": "on_refusal""#,
        "/routes/0/rate_limits/0/charge: ",
        "shadow",
    );
    noted(
        r#", "mode": "shadow", "headers": "both""#,
        "/routes/0/rate_limits/0/headers: ",
        "shadow",
    );
    let cost = r#", "cost": { "response_header": "x-cost" }"#;
    noted(cost, "/routes/0/rate_limits/0/cost: ", "`maximum`");
    for (fields, place, what) in [
        (r#", "percent": 0"#, "percent", "for nobody"),
        (
            r#", "percent": 5, "percent_by": "caller""#,
            "percent_by",
            "before it is known who calls",
        ),
        (
            r#", "percent": 5, "percent_by": { "header": "x-tenant" }"#,
            "percent_by",
            r#""x-tenant""#,
        ),
        (
            r#", "percent": 5, "percent_by": "request", "charge": { "on_status": [401] }"#,
            "percent_by",
            "who guesses",
        ),
    ] {
        noted(fields, &format!("/routes/0/rate_limits/0/{place}: "), what);
    }
    let by_key = format!(
        r#"{{ "name": "l", "key": [{{ "header": "x-api-key" }}], "percent": 5, {BUCKET} }}"#
    );
    let noted_of_key = notes(&by_key, "");
    assert!(
        noted_of_key.len() == 1 && noted_of_key[0].contains("percent: this limit is asked before"),
        "{noted_of_key:?}"
    );
    for fields in [
        "",
        r#", "percent": 5"#,
        r#", "percent": 100, "percent_by": "caller""#,
        r#", "percent": 5, "percent_by": "address", "charge": { "on_status": [401] }"#,
        r#", "charge": { "on_status": [401] }"#,
        r#", "cost": { "response_header": "x-cost", "maximum": 9 }"#,
        r#", "headers": "both""#,
    ] {
        assert_eq!(one(fields), Vec::<String>::new(), "{fields}");
    }
    let shared = format!(r#", "rate_limits": {{ "s": {{ "key": [], {BUCKET} }} }}"#);
    assert_eq!(
        notes("", &shared),
        ["/rate_limits/s: no route has this limit"]
    );
    let used = r#"{ "use": "s", "cost": { "response_header": "x-cost" } }"#;
    let noted = notes(used, &shared);
    assert!(
        noted.len() == 1 && noted[0].starts_with("/routes/0/rate_limits/0/cost: "),
        "{noted:?}"
    );
}
