//! The examples of RBAC's reference, and one for each part of its language that rules have too.

use serde_json::{Value, json};

use super::{Example, anybody, anything, get, header, policy, rbac, url_path};

pub(super) fn all() -> Vec<Example> {
    vec![
        methods(),
        headers(),
        paths(),
        templates(),
        addresses(),
        denial(),
        combined(),
        nothing(),
        everything(),
        no_denial(),
        shadow(),
        hosts(),
    ]
}

fn methods() -> Example {
    Example {
        name: "methods",
        native: rbac(
            "ALLOW",
            json!({
                "read": anybody(json!([{ "or_rules": { "rules": [
                    header(":method", json!({ "exact": "GET" })), header(":method", json!({ "exact": "HEAD" })),
                ] } }])),
                "rest": anybody(json!([{ "and_rules": { "rules": [
                    url_path(json!({ "exact": "/x" })),
                    { "not_rule": header(":method", json!({ "exact": "DELETE" })) },
                ] } }])),
            }),
        ),
        ours: json!({ "rules": [
            { "name": "read", "action": "allow", "to": { "methods": ["GET", "HEAD"] } },
            { "name": "rest", "action": "allow", "to": { "paths": ["/x"], "not_methods": ["DELETE"] } },
        ] }),
        asks: vec![
            get("/"),
            get("/a").method("HEAD"),
            get("/a").method("POST").denied(),
            get("/x").method("POST"),
            get("/x?a=1").method("PUT"),
            get("/x").method("DELETE").denied(),
        ],
    }
}

fn headers() -> Example {
    let at = |path: &str, test: Value| {
        let path = url_path(json!({ "exact": path }));
        anybody(json!([{ "and_rules": { "rules": [path, test] } }]))
    };
    let x = |test: Value| header("x-a", test);
    let rule = |name: &str, when: Value| {
        json!({
            "name": name, "action": "allow",
            "to": { "paths": [format!("/{name}")] }, "when": [when],
        })
    };
    Example {
        name: "headers",
        native: rbac(
            "ALLOW",
            json!({
                "exact": at("/exact", x(json!({ "exact": "one" }))),
                "prefix": at("/prefix", x(json!({ "prefix": "on" }))),
                "suffix": at("/suffix", x(json!({ "suffix": "ne" }))),
                "contains": at("/contains", x(json!({ "contains": "n" }))),
                "case": at("/case", x(json!({ "exact": "one", "ignore_case": true }))),
                "regex": at("/regex", x(json!({ "safe_regex": { "regex": "o.e" } }))),
                "present": at("/present", json!({ "header": { "name": "x-a", "present_match": true } })),
                "absent": at("/absent", json!({ "header": { "name": "x-a", "present_match": false } })),
                "not": at("/not", json!({ "not_rule": x(json!({ "exact": "one" })) })),
                "range": at("/range", json!({ "header": { "name": "x-a", "range_match": { "start": 1, "end": 10 } } })),
            }),
        ),
        ours: json!({ "rules": [
            rule("exact", json!({ "header": "x-a", "exact": "one" })),
            rule("prefix", json!({ "header": "x-a", "prefix": "on" })),
            rule("suffix", json!({ "header": "x-a", "suffix": "ne" })),
            rule("contains", json!({ "header": "x-a", "contains": "n" })),
            rule("case", json!({ "header": "x-a", "exact": "one", "ignore_case": true })),
            rule("regex", json!({ "header": "x-a", "regex": "o.e" })),
            rule("present", json!({ "header": "x-a", "exists": true })),
            rule("absent", json!({ "header": "x-a", "exists": false })),
            rule("not", json!({ "not": { "header": "x-a", "exact": "one" } })),
            rule("range", json!({ "header": "x-a", "range": { "minimum": 1, "less_than": 10 } })),
        ] }),
        asks: vec![
            get("/exact").header("X-A", "one"),
            get("/exact").header("x-a", "One").denied(),
            get("/exact").denied(),
            get("/prefix").header("x-a", "one"),
            get("/prefix").header("x-a", "none").denied(),
            get("/suffix").header("x-a", "none"),
            get("/suffix").header("x-a", "ones").denied(),
            get("/contains").header("x-a", "ones"),
            get("/contains").header("x-a", "two").denied(),
            get("/case").header("x-a", "ONE"),
            get("/case").header("x-a", "TWO").denied(),
            get("/regex").header("x-a", "ooe"),
            get("/regex").header("x-a", "x one").denied(),
            get("/present").header("x-a", "x"),
            get("/present").denied(),
            get("/absent"),
            get("/absent").header("x-a", "x").denied(),
            get("/not").header("x-a", "two"),
            get("/not"),
            get("/not").header("x-a", "one").denied(),
            get("/range").header("x-a", "9"),
            get("/range").header("x-a", "10").denied(),
            get("/range").denied(),
        ],
    }
}

fn paths() -> Example {
    Example {
        name: "paths",
        native: rbac(
            "ALLOW",
            json!({ "paths": anybody(json!([
                url_path(json!({ "exact": "/exact" })),
                url_path(json!({ "prefix": "/prefix/" })),
                url_path(json!({ "prefix": "/begin" })),
                url_path(json!({ "suffix": "/end" })),
                url_path(json!({ "safe_regex": { "regex": "/v[0-9]+/items" } })),
                url_path(json!({ "exact": "/case", "ignore_case": true })),
            ])) }),
        ),
        ours: json!({ "rules": [{ "name": "paths", "action": "allow", "to": { "paths": [
            "/exact",
            { "regex": "/prefix/.*" },
            { "regex": "/begin.*" },
            { "regex": ".*/end" },
            { "regex": "/v[0-9]+/items" },
            { "regex": "(?i)/case" },
        ] } }] }),
        asks: vec![
            get("/exact"),
            get("/exact?a=/x"),
            get("/exact/").denied(),
            get("/Exact").denied(),
            get("/prefix/a/b"),
            get("/prefix/"),
            get("/prefix").denied(),
            get("/beginning"),
            get("/begin/a"),
            get("/a/end"),
            get("/a/ends").denied(),
            get("/a?x=/end").denied(),
            get("/v12/items"),
            get("/v/items").denied(),
            get("/x/v1/items").denied(),
            get("/CASE"),
        ],
    }
}

fn templates() -> Example {
    let template = |path: &str| {
        json!({ "uri_template": {
            "name": "envoy.path.match.uri_template.uri_template_matcher",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.path.match.uri_template.v3.UriTemplateMatchConfig",
                "path_template": path,
            },
        } })
    };
    Example {
        name: "templates",
        native: rbac(
            "ALLOW",
            json!({ "templates": anybody(json!([
                template("/foo/*"), template("/store/*/items/**"), template("/users/{id}/keys"),
            ])) }),
        ),
        ours: json!({ "rules": [{ "name": "templates", "action": "allow", "to": { "paths": [
            { "template": "/foo/{any}" },
            { "template": "/store/{any}/items/{rest=**}" },
            { "template": "/users/{id}/keys" },
        ] } }] }),
        asks: vec![
            get("/foo/a"),
            get("/foo/a/b").denied(),
            get("/foo").denied(),
            get("/foo/").denied(),
            get("/store/7/items/a"),
            get("/store/7/items/a/b"),
            get("/store/7/8/items/a").denied(),
            get("/users/7/keys"),
            get("/users/7/keys/8").denied(),
        ],
    }
}

fn addresses() -> Example {
    let network = |address: &str, length: u32| json!({ "remote_ip": { "address_prefix": address, "prefix_len": length } });
    Example {
        name: "addresses",
        native: rbac(
            "ALLOW",
            json!({
                "office": anything(json!([{ "and_ids": { "ids": [
                    network("198.51.100.0", 24), { "not_id": network("198.51.100.66", 32) },
                ] } }])),
                "others": anything(json!([{ "or_ids": { "ids": [
                    network("203.0.113.7", 32), network("2001:db8::", 32),
                ] } }])),
            }),
        ),
        ours: json!({ "rules": [
            {
                "name": "office", "action": "allow",
                "from": { "addresses": ["198.51.100.0/24"], "not_addresses": ["198.51.100.66"] },
            },
            { "name": "others", "action": "allow", "from": { "addresses": ["203.0.113.7", "2001:db8::/32"] } },
        ] }),
        asks: vec![
            get("/").from("198.51.100.1"),
            get("/").from("198.51.100.66").denied(),
            get("/").from("198.51.101.1").denied(),
            get("/").from("203.0.113.7"),
            get("/").from("203.0.113.8").denied(),
            get("/").from("2001:db8:1::1"),
            get("/").from("2001:db9::1").denied(),
            // What the client itself has written does not count.
            get("/").from("198.51.100.1, 192.0.2.1").denied(),
            get("/").from("192.0.2.1, 198.51.100.1"),
            get("/").denied(),
        ],
    }
}

fn denial() -> Example {
    Example {
        name: "denial",
        native: rbac(
            "DENY",
            json!({ "admin": policy(
                json!([{ "and_rules": { "rules": [
                    url_path(json!({ "prefix": "/admin" })),
                    { "not_rule": header("x-token", json!({ "exact": "good" })) },
                ] } }]),
                json!([{ "any": true }]),
            ) }),
        ),
        ours: json!({ "default": "allow", "rules": [{
            "name": "admin", "action": "deny", "to": { "paths": [{ "regex": "/admin.*" }] },
            "when": [{ "not": { "header": "x-token", "exact": "good" } }],
        }] }),
        asks: vec![
            get("/"),
            get("/admin").denied(),
            get("/admin/x").header("x-token", "bad").denied(),
            get("/admin/x").header("x-token", "good"),
            get("/administrator").denied(),
        ],
    }
}

/// Two policies, of which one has several permissions and several principals.
fn combined() -> Example {
    Example {
        name: "combined",
        native: rbac(
            "ALLOW",
            json!({ "either": policy(
                json!([url_path(json!({ "exact": "/a" })), url_path(json!({ "exact": "/b" }))]),
                json!([
                    header("x-role", json!({ "exact": "admin" })),
                    { "and_ids": { "ids": [
                        { "remote_ip": { "address_prefix": "198.51.100.0", "prefix_len": 24 } },
                        { "or_ids": { "ids": [
                            header("x-team", json!({ "exact": "one" })), header("x-team", json!({ "exact": "two" })),
                        ] } },
                    ] } },
                ]),
            ) }),
        ),
        ours: json!({ "rules": [
            {
                "name": "admin", "action": "allow", "to": { "paths": ["/a", "/b"] },
                "when": [{ "header": "x-role", "exact": "admin" }],
            },
            {
                "name": "team", "action": "allow", "to": { "paths": ["/a", "/b"] },
                "from": { "addresses": ["198.51.100.0/24"] },
                "when": [{ "header": "x-team", "in": ["one", "two"] }],
            },
        ] }),
        asks: vec![
            get("/a").header("x-role", "admin"),
            get("/b").header("x-role", "admin"),
            get("/c").header("x-role", "admin").denied(),
            get("/a").header("x-team", "two").from("198.51.100.7"),
            get("/a").header("x-team", "two").denied(),
            get("/a").from("198.51.100.7").denied(),
            get("/a")
                .header("x-team", "six")
                .from("198.51.100.7")
                .denied(),
        ],
    }
}

fn nothing() -> Example {
    Example {
        name: "nothing",
        native: rbac("ALLOW", json!({})),
        ours: json!({ "default": "allow", "rules": [{ "name": "nobody", "action": "deny" }] }),
        asks: vec![get("/").denied(), get("/a").method("POST").denied()],
    }
}

fn everything() -> Example {
    Example {
        name: "everything",
        native: rbac(
            "ALLOW",
            json!({ "all": anything(json!([{ "any": true }])) }),
        ),
        ours: json!({ "rules": [{ "name": "all", "action": "allow" }] }),
        asks: vec![get("/"), get("/a").method("POST")],
    }
}

fn no_denial() -> Example {
    Example {
        name: "no-denial",
        native: rbac("DENY", json!({})),
        ours: json!("off"),
        asks: vec![get("/"), get("/a").method("POST")],
    }
}

fn shadow() -> Example {
    let admin = || anybody(json!([url_path(json!({ "exact": "/admin" }))]));
    Example {
        name: "shadow",
        native: json!({
            "rules": { "action": "DENY", "policies": { "keys": anybody(json!([url_path(json!({ "exact": "/keys" }))])) } },
            "shadow_rules": { "action": "DENY", "policies": { "admin": admin() } },
        }),
        ours: json!({ "default": "allow", "rules": [
            { "name": "keys", "action": "deny", "to": { "paths": ["/keys"] } },
            { "name": "admin", "action": "deny", "mode": "shadow", "to": { "paths": ["/admin"] } },
        ] }),
        asks: vec![get("/admin"), get("/a"), get("/keys").denied()],
    }
}

fn hosts() -> Example {
    Example {
        name: "hosts",
        native: rbac(
            "ALLOW",
            json!({ "hosts": anybody(json!([
                header(":authority", json!({ "exact": "shop.hosts.example" })),
                header(":authority", json!({ "suffix": ".api.hosts.example" })),
            ])) }),
        ),
        ours: json!({ "rules": [{
            "name": "hosts", "action": "allow", "to": { "hosts": ["shop.hosts.example", "*.api.hosts.example"] },
        }] }),
        asks: vec![
            get("/").host("shop.", ""),
            get("/").host("a.shop.", "").denied(),
            get("/").host("a.api.", ""),
            get("/").host("a.b.api.", ""),
            get("/").host("api.", "").denied(),
            get("/").host("", "").denied(),
        ],
    }
}
