//! What RBAC lets pass and rules do not, or the other way about.

use serde_json::{Value, json};

use super::{Example, anybody, anything, get, header, rbac, url_path};

/// All of them; one is of Envoy's oldest release that is tested.
pub(super) fn all(is_oldest: bool) -> Vec<Example> {
    vec![
        dot_segments(),
        spellings(),
        prefixes(),
        repeated_headers(is_oldest),
        queries(),
        hosts(),
        connections(),
        unreadable(),
    ]
}

/// A rule that denies, and what it is compared with on either side.
fn denial(native: Value, to: Value, when: Value) -> (Value, Value) {
    let mut rule = json!({ "name": "no", "action": "deny" });
    if !to.is_null() {
        rule["to"] = to;
    }
    if !when.is_null() {
        rule["when"] = json!([when]);
    }
    (
        rbac("DENY", json!({ "no": anybody(json!([native])) })),
        json!({ "default": "allow", "rules": [rule] }),
    )
}

/// What services take for another path than RBAC does.
fn dot_segments() -> Example {
    Example {
        name: "dots",
        native: rbac(
            "ALLOW",
            json!({ "public": anybody(json!([url_path(json!({ "prefix": "/public/" }))])) }),
        ),
        ours: json!({ "rules": [{
            "name": "public", "action": "allow", "to": { "paths": [{ "prefix": "/public" }] },
        }] }),
        asks: vec![
            get("/public/a"),
            get("/admin").denied(),
            get("/public/../admin").differs(true, false),
            get("/public/%2e%2e/admin").differs(true, false),
            get("/public/..%2fadmin").differs(true, false),
            get("/public/..;/admin").differs(true, false),
            get("/public/%252e%252e/admin").differs(true, false),
        ],
    }
}

fn spellings() -> Example {
    let (native, ours) = denial(
        url_path(json!({ "exact": "/admin" })),
        json!({ "paths": ["/admin"] }),
        Value::Null,
    );
    Example {
        name: "spellings",
        native,
        ours,
        asks: vec![
            get("/admin").denied(),
            get("/admin?x").denied(),
            get("/%61dmin").differs(true, false),
            get("//admin").differs(true, false),
            get("/admin;x=1").differs(true, false),
            get("/admin.").differs(true, false),
            get("/admin%20").differs(true, false),
            get("/admin%3Fx").differs(true, false),
            get("/admin/"),
            get("/ADMIN"),
        ],
    }
}

/// A prefix of rules is of whole segments.
fn prefixes() -> Example {
    let (native, ours) = denial(
        url_path(json!({ "prefix": "/admin" })),
        json!({ "paths": [{ "prefix": "/admin" }] }),
        Value::Null,
    );
    Example {
        name: "prefixes",
        native,
        ours,
        asks: vec![
            get("/admin").denied(),
            get("/admin/x").denied(),
            get("/administrator").differs(false, true),
        ],
    }
}

/// RBAC of Envoy 1.36 joins them by commas; that of 1.40 denies where one of them is the one.
fn repeated_headers(is_joined: bool) -> Example {
    let (native, ours) = denial(
        header("x-role", json!({ "exact": "banned" })),
        Value::Null,
        json!({ "header": "x-role", "exact": "banned" }),
    );
    Example {
        name: "repeated",
        native,
        ours,
        asks: vec![
            get("/").header("x-role", "user"),
            get("/").header("x-role", "banned").denied(),
            get("/")
                .header("x-role", "user")
                .header("x-role", "banned")
                .differs(is_joined, false),
            get("/")
                .header("x-role", "banned")
                .header("x-role", "user")
                .differs(is_joined, false),
        ],
    }
}

/// To RBAC the header `:path` has the query; rules know no such header.
fn queries() -> Example {
    Example {
        name: "queries",
        native: rbac(
            "ALLOW",
            json!({ "a": anybody(json!([header(":path", json!({ "exact": "/a" }))])) }),
        ),
        ours: json!({ "rules": [{ "name": "a", "action": "allow", "to": { "paths": ["/a"] } }] }),
        asks: vec![
            get("/a"),
            get("/b").denied(),
            get("/a?x=1").differs(false, true),
        ],
    }
}

/// To RBAC a host is text.
fn hosts() -> Example {
    let (native, ours) = denial(
        header(":authority", json!({ "exact": "admin.authority.example" })),
        json!({ "hosts": ["admin.authority.example"] }),
        Value::Null,
    );
    Example {
        name: "authority",
        native,
        ours,
        asks: vec![
            get("/"),
            get("/").host("admin.", "").denied(),
            get("/").host("admin.", ":8080").differs(true, false),
            get("/").host("ADMIN.", "").differs(true, false),
        ],
    }
}

/// RBAC can ask for the address of the connection itself, behind a proxy; rules ask for the client's.
fn connections() -> Example {
    Example {
        name: "connections",
        native: rbac(
            "ALLOW",
            json!({ "local": anything(json!([
            { "direct_remote_ip": { "address_prefix": "127.0.0.0", "prefix_len": 8 } },
        ])) }),
        ),
        ours: json!({ "rules": [{
            "name": "local", "action": "allow", "from": { "addresses": ["127.0.0.0/8"] },
        }] }),
        asks: vec![get("/"), get("/").from("198.51.100.1").differs(true, false)],
    }
}

/// A header that is to be a number and is none.
fn unreadable() -> Example {
    let (native, ours) = denial(
        json!({ "header": { "name": "x-level", "range_match": { "start": 1, "end": 5 } } }),
        Value::Null,
        json!({ "header": "x-level", "range": { "minimum": 1, "less_than": 5 } }),
    );
    Example {
        name: "unreadable",
        native,
        ours,
        asks: vec![
            get("/").header("x-level", "7"),
            get("/").header("x-level", "3").denied(),
            get("/").header("x-level", "3x").differs(true, false),
        ],
    }
}
