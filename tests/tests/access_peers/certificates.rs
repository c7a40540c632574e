//! Principals of certificates.

use serde_json::{Value, json};

use super::proxy::Over;
use super::{Example, anything, get, header, policy, rbac, url_path};

const BILLING: &str = "spiffe://mesh.example/ns/billing/sa/invoices";

fn principal(test: Value) -> Value {
    json!({ "authenticated": { "principal_name": test } })
}

/// Several policies by certificate.
pub(super) fn all() -> Vec<Example> {
    let uri = Over::Tls(Some("uri"));
    let other = Over::Tls(Some("unknown"));
    let dns = Over::Tls(Some("dns"));
    let nobody = Over::Tls(None);
    vec![
        Example {
            // The first example of the page: an administrator may do everything, others look at products.
            name: "service-admin",
            native: rbac(
                "ALLOW",
                json!({
                    "service-admin": anything(json!([principal(json!({ "exact": BILLING }))])),
                    "product-viewer": policy(
                        json!([{ "and_rules": { "rules": [
                            header(":method", json!({ "exact": "GET" })),
                            url_path(json!({ "prefix": "/products" })),
                            { "or_rules": { "rules": [
                                { "destination_port_range": { "start": 1, "end": 65536 } },
                                { "destination_port": 443 },
                            ] } },
                        ] } }]),
                        json!([{ "any": true }]),
                    ),
                }),
            ),
            ours: json!({ "rules": [
                { "name": "service-admin", "action": "allow", "from": { "certificates": [BILLING] } },
                {
                    "name": "product-viewer", "action": "allow",
                    "to": { "methods": ["GET"], "paths": [{ "regex": "/products.*" }] },
                },
            ] }),
            asks: vec![
                get("/keys").method("DELETE").over(uri),
                get("/keys").over(other).denied(),
                get("/keys").over(dns).denied(),
                get("/keys").over(nobody).denied(),
                get("/keys").denied(),
                get("/products/7").over(nobody),
                get("/products/7").over(other),
                get("/products").method("DELETE").over(other).denied(),
            ],
        },
        Example {
            name: "principals",
            native: rbac(
                "ALLOW",
                json!({
                    "namespace": policy(
                        json!([url_path(json!({ "exact": "/namespace" }))]),
                        json!([principal(json!({ "prefix": "spiffe://mesh.example/ns/billing/" }))]),
                    ),
                    "host": policy(
                        json!([url_path(json!({ "exact": "/host" }))]),
                        json!([principal(json!({ "exact": "batch.example.com" }))]),
                    ),
                    "any": policy(
                        json!([url_path(json!({ "exact": "/any" }))]),
                        json!([{ "authenticated": {} }]),
                    ),
                    "not": policy(
                        json!([url_path(json!({ "exact": "/not" }))]),
                        json!([{ "not_id": principal(json!({ "exact": BILLING })) }]),
                    ),
                    "none": policy(
                        json!([url_path(json!({ "exact": "/none" }))]),
                        json!([{ "not_id": { "authenticated": {} } }]),
                    ),
                }),
            ),
            ours: json!({ "rules": [
                {
                    "name": "namespace", "action": "allow", "to": { "paths": ["/namespace"] },
                    "from": { "certificates": [{ "prefix": "spiffe://mesh.example/ns/billing/" }] },
                },
                {
                    "name": "host", "action": "allow", "to": { "paths": ["/host"] },
                    "from": { "certificates": ["batch.example.com"] },
                },
                {
                    "name": "any", "action": "allow", "to": { "paths": ["/any"] },
                    "from": { "certificates": [{ "regex": ".+" }] },
                },
                {
                    "name": "not", "action": "allow", "to": { "paths": ["/not"] },
                    "from": { "not_certificates": [BILLING] },
                },
                {
                    "name": "none", "action": "allow", "to": { "paths": ["/none"] },
                    "from": { "not_certificates": [{ "regex": ".+" }] },
                },
            ] }),
            asks: vec![
                get("/namespace").over(uri),
                get("/namespace").over(other).denied(),
                get("/namespace").over(nobody).denied(),
                get("/host").over(dns),
                get("/host").over(uri).denied(),
                get("/any").over(uri),
                get("/any").over(dns),
                get("/any").denied(),
                get("/not").over(uri).denied(),
                get("/not").over(other),
                get("/not").over(nobody),
                get("/none"),
                get("/none").over(dns).denied(),
                // What differs.
                // RBAC takes whoever comes over TLS for authenticated.
                get("/any").over(nobody).differs(true, false),
                get("/none").over(nobody).differs(false, true),
                // A certificate without names is one for RBAC, and for rules has none.
                get("/any")
                    .over(Over::Tls(Some("plain")))
                    .differs(true, false),
                get("/none")
                    .over(Over::Tls(Some("plain")))
                    .differs(false, true),
                // A certificate that nobody has verified is somebody's for RBAC.
                get("/any")
                    .over(Over::Untrusted("stranger"))
                    .differs(true, false),
                get("/namespace").over(Over::Untrusted("uri")),
                // Of a TLS session that was resumed, Envoy tells filters not that it was verified.
                get("/namespace")
                    .over(Over::Resumed("uri"))
                    .differs(true, false),
            ],
        },
    ]
}
