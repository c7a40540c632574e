//! The conformance suite of the Gateway API.

use serde_json::{Value, json};

use super::{Trial, answer, field, items, names, request, strings, suite, text};

/// The routes of `httproute-cors.yaml`, by their paths.
fn gateway_route(path: &str) -> Value {
    match path {
        "/cors-1" => json!({
            "allow_origins": [{ "exact": "https://www.foo.com" }, { "wildcard": "https://*.bar.com" }],
            "allow_methods": ["GET", "OPTIONS"],
            "allow_headers": ["x-header-1", "x-header-2"],
            "expose_headers": ["x-header-3", "x-header-4"],
            "allow_credentials": true,
            "max_age": "3600s",
        }),
        "/cors-2" => {
            json!({ "allow_origins": [{ "exact": "https://www.foo.com" }], "allow_methods": ["*"] })
        }
        "/cors-wildcard-origin" => json!({
            "allow_origins": [{ "wildcard": "*" }], "allow_methods": ["PUT"], "allow_credentials": false,
        }),
        "/cors-wildcard-methods-headers-unauth" => json!({
            "allow_origins": [{ "wildcard": "*" }], "allow_methods": ["*"], "allow_headers": ["*"],
        }),
        // The route has `*` three times, with credentials: an error here. This is its cure.
        "/cors-wildcard-methods-headers" => json!({
            "allow_origins": [{ "exact": "https://other.foo.com" }], "allow_methods": ["PUT"],
            "allow_headers": ["x-header-1", "x-header-2"], "allow_credentials": true,
        }),
        other => panic!("no route for {other}"),
    }
}

pub(super) fn trials() -> Vec<Trial> {
    let suite = suite("cors-gateway-api/cases.json");
    let mut trials = Vec::new();
    for case in items(&suite, "cases") {
        let (asked, expect) = (&case["request"], case["expect"].clone());
        let fields = asked["Headers"].as_object().expect("headers");
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (name.as_str(), text(value)))
            .collect();
        let mut cors = gateway_route(text(&asked["Path"]));
        // The suite expects the service's answer where the origin is not allowed and that is no preflight.
        cors["on_disallowed"] = "omit".into();
        trials.push(Trial {
            name: format!("gateway-api: {}", text(&case["id"])),
            cors,
            request: request(text(&asked["Method"]), &fields),
            upstream: answer(200, &[]),
            check: Box::new(move |response| {
                let statuses = match &expect["status"] {
                    Value::Array(several) => several.iter().filter_map(Value::as_u64).collect(),
                    one => one.as_u64().map_or(vec![200], |one| vec![one]),
                };
                let valid = expect["valid_header_values"].as_object().expect("headers");
                let absent = strings(&expect["absent_headers"]);
                statuses.contains(&response.status.into())
                    && valid.iter().all(|(name, values)| {
                        let found = field(response, name).map(names);
                        strings(values)
                            .into_iter()
                            .any(|value| found == Some(names(value)))
                    })
                    && absent
                        .iter()
                        .all(|name| field(response, &name.to_lowercase()).is_none())
            }),
        });
    }
    trials
}
