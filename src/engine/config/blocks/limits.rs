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
        matches!(&noted_of_key[..], [share, key]
            if share.contains("percent: this limit is asked before") && key.contains("/key: clients choose")),
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

#[test]
fn limits_that_clients_evade_are_noted_unless_another_bounds_them() {
    const BUCKET: &str = r#""token_bucket": { "max_tokens": 9, "fill_interval": "1s" }"#;
    let limit = |name: &str, more: &str| format!(r#"{{ "name": "{name}", {more}, {BUCKET} }}"#);
    let told = |limits: &str| {
        let notes = notes(limits, "");
        let ours = notes
            .into_iter()
            .filter(|note| note.contains("clients choose"));
        ours.collect::<Vec<String>>()
    };
    for (key, what) in [
        (
            r#"[{ "header": "x-tenant" }]"#,
            r#"the header field "x-tenant""#,
        ),
        (
            r#"["client_address", { "query_parameter": "id" }]"#,
            r#"the parameter "id" of the query"#,
        ),
        (r#"["claimed_subject"]"#, "the subject of a token"),
    ] {
        let free = limit("free", &format!(r#""key": {key}"#));
        let found = told(&free);
        let [note] = &found[..] else {
            panic!("{key}: {found:?}");
        };
        assert!(
            note.starts_with("/routes/0/rate_limits/0/key: clients choose") && note.contains(what),
            "{note}"
        );
        for beside in [
            r#""key": ["client_address"]"#,
            r#""key": ["subject"]"#,
            r#""key": ["route"]"#,
            r#""key": []"#,
        ] {
            let found = told(&format!("{free}, {}", limit("bound", beside)));
            assert_eq!(found, [""; 0], "{key} {beside}");
        }
        for beside in [
            r#""key": ["client_address"], "mode": "shadow""#,
            r#""key": ["client_address"], "percent": 5, "percent_by": "address""#,
            r#""key": ["client_address"], "charge": { "on_status": [401] }"#,
            r#""key": ["client_address", { "header": "x-other" }]"#,
        ] {
            let found = told(&format!("{free}, {}", limit("bound", beside)));
            assert!(!found.is_empty(), "{key} {beside}");
        }
    }
    let lockout = limit(
        "lockout",
        r#""key": [{ "header": "x-account" }], "charge": { "on_status": [401] }"#,
    );
    assert_eq!(told(&lockout), [""; 0]);
    let skipped = limit("free", r#""key": [{ "header": "x" }], "missing": "skip""#);
    assert!(told(&skipped)[0].contains("without it nothing is counted"));
    let tier = |numbers: &str| {
        let tiers =
            format!(r#"[{{ "when": {{ "header": "x-plan", "exact": "gold" }}, {numbers} }}]"#);
        told(&limit(
            "tiers",
            &format!(r#""key": ["subject"], "tiers": {tiers}"#),
        ))
    };
    for wider in [
        r#""unlimited": true"#,
        r#""token_bucket": { "max_tokens": 10, "fill_interval": "2s" }"#,
        r#""token_bucket": { "max_tokens": 9, "tokens_per_fill": 2, "fill_interval": "1s" }"#,
    ] {
        let found = tier(wider);
        assert!(
            matches!(&found[..], [note] if note.starts_with("/routes/0/rate_limits/0/tiers/0/when: ")),
            "{wider}: {found:?}"
        );
    }
    let narrower = r#""token_bucket": { "max_tokens": 2, "fill_interval": "1s" }"#;
    assert_eq!(tier(narrower), [""; 0]);
}

#[test]
fn bounds_of_a_delay_that_never_count_are_noted() {
    let told = |rate: u64, delay: &str| {
        let limit = format!(
            r#"{{ "name": "l", "key": [], "token_bucket": {{ "max_tokens": 9, "tokens_per_fill": {rate}, "fill_interval": "60s" }},
                "on_limit": {{ "delay": {{ {delay} }} }} }}"#
        );
        notes(&limit, "")
    };
    let at = "/routes/0/rate_limits/0/on_limit/delay/";
    for (rate, delay, field, what) in [
        (
            6000,
            r#""max": "5s", "queue": 10"#,
            "max: ",
            "10 that wait are through in 100ms, so that none waits for 5s",
        ),
        (60_000, r#""max": "5s""#, "max: ", "100 that wait"),
        (
            600,
            r#""max": "2s", "queue": 1000"#,
            "queue: ",
            "no more than 20 get their turn within 2s, so that 1000 never wait",
        ),
        (1, r#""max": "2s""#, "max: ", "a turn comes up every 60s"),
    ] {
        let found = told(rate, delay);
        assert!(
            matches!(&found[..], [note] if note.starts_with(&[at, field].concat()) && note.contains(what)),
            "{delay}: {found:?}"
        );
    }
    for (rate, delay) in [
        (6000, r#""max": "2s", "queue": 100"#),
        (6000, r#""max": "2s""#),
        (600, r#""max": "2s""#),
        (600, r#""max": "2s", "queue": 40"#),
        (60, r#""max": "1s", "queue": 1"#),
    ] {
        assert_eq!(told(rate, delay), [""; 0], "{delay}");
    }
}
