//! Claims of tokens.

use serde_json::{Value, json};

use super::{Example, anything, claim, get, policy, rbac, url_path};

pub(super) fn all() -> Vec<Example> {
    vec![claims(), kinds()]
}

fn claims() -> Example {
    let at = |path: &str, principal: Value| {
        policy(
            json!([url_path(json!({ "exact": path }))]),
            json!([principal]),
        )
    };
    let text = |text: &str| json!({ "string_match": { "exact": text } });
    let rule = |name: &str, when: Value| {
        json!({
            "name": name, "action": "allow",
            "to": { "paths": [format!("/{name}")] }, "when": [when],
        })
    };
    let nested = &["realm", "roles"];
    let alice = || json!({ "sub": "alice", "groups": ["a", "b"], "level": 3, "staff": true, "realm": { "roles": ["admin"] } });
    let bob = || json!({ "sub": "bob", "groups": ["c"], "level": 11, "staff": false });
    Example {
        name: "claims",
        native: rbac(
            "ALLOW",
            json!({
                "subject": at("/subject", claim(&["sub"], text("alice"))),
                "begins": at("/begins", claim(&["sub"], json!({ "string_match": { "prefix": "al" } }))),
                "group": at("/group", claim(&["groups"], json!({ "list_match": { "one_of": text("b") } }))),
                "nested": at("/nested", claim(nested, json!({ "list_match": { "one_of": text("admin") } }))),
                "level": at("/level", claim(&["level"], json!({ "double_match": { "range": { "start": 3, "end": 10 } } }))),
                "staff": at("/staff", claim(&["staff"], json!({ "bool_match": true }))),
                "there": at("/there", claim(&["realm"], json!({ "present_match": true }))),
                "not": at("/not", json!({ "not_id": claim(&["sub"], text("alice")) })),
            }),
        ),
        ours: json!({ "rules": [
            { "name": "subject", "action": "allow", "from": { "subjects": ["alice"] }, "to": { "paths": ["/subject"] } },
            {
                "name": "begins", "action": "allow",
                "from": { "subjects": [{ "prefix": "al" }] }, "to": { "paths": ["/begins"] },
            },
            rule("group", json!({ "claim": "groups", "includes": "b" })),
            rule("nested", json!({ "claim": "/realm/roles", "includes_any": ["admin"] })),
            rule("level", json!({ "claim": "level", "range": { "minimum": 3, "less_than": 10 } })),
            rule("staff", json!({ "claim": "staff", "exact": true })),
            rule("there", json!({ "claim": "realm", "exists": true })),
            { "name": "not", "action": "allow", "from": { "not_subjects": ["alice"] }, "to": { "paths": ["/not"] } },
        ] }),
        asks: [
            "/subject", "/begins", "/group", "/nested", "/level", "/staff", "/there",
        ]
        .into_iter()
        .flat_map(|path| {
            [
                get(path).bearer(alice()),
                get(path).bearer(bob()).denied(),
                get(path).denied(),
            ]
        })
        .chain([
            get("/not").bearer(alice()).denied(),
            get("/not").bearer(bob()),
            get("/not"),
            // A claim of another kind.
            get("/group")
                .bearer(json!({ "sub": "x", "groups": "b" }))
                .denied(),
            get("/level")
                .bearer(json!({ "sub": "x", "level": "3" }))
                .denied(),
            get("/staff")
                .bearer(json!({ "sub": "x", "staff": "true" }))
                .denied(),
        ])
        .collect(),
    }
}

/// A claim of another kind than what it is compared with is another value, to denials too.
fn kinds() -> Example {
    Example {
        name: "kinds",
        native: rbac(
            "DENY",
            json!({ "no": anything(json!([
            claim(&["state"], json!({ "string_match": { "exact": "banned" } })),
        ])) }),
        ),
        ours: json!({ "default": "allow", "rules": [{
            "name": "no", "action": "deny", "when": [{ "claim": "state", "exact": "banned" }],
        }] }),
        asks: vec![
            get("/")
                .bearer(json!({ "sub": "a", "state": "banned" }))
                .denied(),
            get("/").bearer(json!({ "sub": "a", "state": "good" })),
            get("/").bearer(json!({ "sub": "a", "state": ["banned"] })),
        ],
    }
}
