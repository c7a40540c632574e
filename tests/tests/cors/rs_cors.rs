//! The suite of `github.com/rs/cors`.

use portcullis_tests::case;
use portcullis_tests::wire::{Request, Response};
use serde_json::{Value, json};

use super::{
    Trial, answer, document, field, is_allow, items, names, page, request, strings, suite, text,
};

/// `github.com/rs/cors` options as a block.
fn rs_block(options: &Value) -> Value {
    let origin = |origin: &&str| match *origin {
        "*" => json!({ "wildcard": "*" }),
        origin if origin.contains('*') => json!({ "wildcard": origin }),
        origin => json!({ "exact": origin }),
    };
    let origins = strings(&options["AllowedOrigins"]);
    let origins = if origins.is_empty() {
        vec!["*"]
    } else {
        origins
    };
    let headers = strings(&options["AllowedHeaders"]);
    // The package's own default.
    let headers = if headers.is_empty() {
        vec!["accept", "content-type", "x-requested-with"]
    } else {
        headers
    };
    let mut block = json!({
        "allow_origins": origins.iter().map(origin).collect::<Vec<_>>(),
        "allow_headers": headers,
        "allow_credentials": options["AllowCredentials"] == true,
        "allow_private_network_access": options["AllowPrivateNetwork"] == true,
        "on_disallowed": "omit",
    });
    for (ours, theirs) in [
        ("allow_methods", "AllowedMethods"),
        ("expose_headers", "ExposedHeaders"),
    ] {
        if options[theirs].is_array() {
            block[ours] = options[theirs].clone();
        }
    }
    if let Some(seconds) = options["MaxAge"].as_i64() {
        block["max_age"] = format!("{}s", seconds.max(0)).into();
    }
    block
}

pub(super) fn trials() -> Vec<Trial> {
    let suite = suite("cors-rs/cases.json");
    let mut trials = Vec::new();
    for case in items(&suite, "cases") {
        let cors = rs_block(&case["config"]);
        let compiled = case::answer_on_engine(
            document(&cors).as_bytes(),
            &Request::default(),
            &Response::default(),
        );
        // `*` with credentials: the suite expects an answer that browsers refuse. Here it is an error.
        assert_eq!(
            compiled.is_err(),
            case["id"] == "MatchAllOriginWithCredentials",
            "{case}"
        );
        if compiled.is_err() {
            continue;
        }
        let asked = &case["request"];
        let mut fields = Vec::new();
        for (name, values) in asked["headers"].as_object().into_iter().flatten() {
            fields.extend(
                strings(values)
                    .into_iter()
                    .map(|value| (name.as_str(), value)),
            );
        }
        let expected = case.clone();
        trials.push(Trial {
            name: format!("rs: {}", text(&case["id"])),
            cors,
            request: request(text(&asked["method"]), &fields),
            upstream: answer(200, &[]),
            check: Box::new(move |response| rs_holds(&expected, response)),
        });
    }
    trials
}

fn rs_holds(case: &Value, response: &Response) -> bool {
    /// Told as they are; lists of names are for the judge.
    const SAME: [&str; 4] = [
        "Access-Control-Allow-Origin",
        "Access-Control-Allow-Credentials",
        "Access-Control-Max-Age",
        "Access-Control-Allow-Private-Network",
    ];
    let asked = |name: &str| strings(&case["request"]["headers"][name]).join(",");
    let expected = &case["upstream_expectation"];
    let told = SAME.iter().all(|name| {
        let value = expected["headers"][*name][0].as_str();
        field(response, &name.to_lowercase()) == value
    });
    let varies = names(field(response, "vary").unwrap_or_default());
    let vary_fits = names(&strings(&expected["headers"]["Vary"]).join(","))
        .iter()
        .all(|name| varies.contains(name));
    let method = asked("Access-Control-Request-Method");
    let wanted = names(&asked("Access-Control-Request-Headers"));
    let wanted: Vec<&str> = wanted.iter().map(String::as_str).collect();
    let verdicts_fit =
        [("omit", false), ("include", true)]
            .into_iter()
            .all(|(name, credentials)| {
                let page = page(&asked("Origin"), credentials);
                let may = match method.as_str() {
                    "" => page.may_read(response),
                    method => page.may_send(method, &wanted, response),
                };
                case["browser_verdict"].is_null() || may == is_allow(&case["browser_verdict"][name])
            });
    told && vary_fits && verdicts_fit && response.status == expected["status"]
}
