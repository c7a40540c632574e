//! The suite of the web platform: it holds for the judge, and then for the policy.

use std::collections::BTreeMap;

use portcullis_tests::case;
use portcullis_tests::wire::{Request, Response};
use serde_json::{Value, json};

use super::{
    Trial, answer, document, is_allow, items, page, preflight, request, strings, suite, text,
};

/// The origin of the pages in the suite.
const WPT: &str = "http://web-platform.test:8000";

#[test]
fn the_judge_judges_as_browsers_do() {
    let responses = suite("cors-wpt/response_verdicts.json");
    for case in items(&responses, "cases") {
        let mut fields: Vec<_> = strings(&case["acao"])
            .into_iter()
            .map(|value| ("access-control-allow-origin", value))
            .collect();
        fields.extend(
            case["acac"]
                .as_str()
                .map(|value| ("access-control-allow-credentials", value)),
        );
        let may = page(WPT, case["cred"] == true).may_read(&answer(200, &fields));
        assert_eq!(may, is_allow(&case["verdict"]), "{case}");
    }
    let preflights = suite("cors-wpt/preflight_verdicts.json");
    let origin = ("access-control-allow-origin", WPT);
    for case in items(&preflights, "status") {
        let status = u16::try_from(case["status"].as_u64().unwrap()).unwrap();
        let may = page(WPT, false).may_send("GET", &[], &answer(status, &[origin]));
        assert_eq!(may, is_allow(&case["verdict"]), "{case}");
    }
    for case in items(&preflights, "wildcards") {
        let granted = answer(
            200,
            &[
                origin,
                ("access-control-allow-credentials", "true"),
                ("access-control-allow-methods", text(&case["allow_methods"])),
                ("access-control-allow-headers", text(&case["allow_headers"])),
            ],
        );
        let page = page(WPT, case["credentials"] == true);
        let may = page.may_send(
            text(&case["request_method"]),
            &strings(&case["request_headers"]),
            &granted,
        );
        assert_eq!(may, is_allow(&case["verdict"]), "{case}");
    }
    for case in items(&preflights, "malformed") {
        let granted = answer(
            200,
            &[
                origin,
                ("access-control-allow-methods", text(&case["allow_methods"])),
                ("access-control-allow-headers", text(&case["allow_headers"])),
            ],
        );
        let named = strings(&case["request_headers"]);
        let named = if named.is_empty() {
            vec!["x-force-preflight"]
        } else {
            named
        };
        let may = page(WPT, false).may_send("GET", &named, &granted);
        assert_eq!(may, is_allow(&case["verdict"]), "{case}");
    }
}

/// Whatever a service grants, pages get what the policy grants.
pub(super) fn services_that_grant() -> Vec<Trial> {
    let responses = suite("cors-wpt/response_verdicts.json");
    let mut trials = Vec::new();
    for case in items(&responses, "cases") {
        let mut fields: Vec<_> = strings(&case["acao"])
            .into_iter()
            .map(|value| ("access-control-allow-origin", value))
            .collect();
        fields.extend(
            case["acac"]
                .as_str()
                .map(|value| ("access-control-allow-credentials", value)),
        );
        let credentials = case["cred"] == true;
        for (allowed, origin) in [(true, WPT), (false, "https://other.example")] {
            trials.push(Trial {
                name: format!("wpt: {} when {origin} is allowed", case["acao"]),
                cors: json!({ "allow_origins": [{ "exact": origin }], "allow_credentials": credentials, "on_disallowed": "omit" }),
                request: request("GET", &[("origin", WPT)]),
                upstream: answer(200, &fields),
                check: Box::new(move |response| page(WPT, credentials).may_read(response) == allowed),
            });
        }
    }
    trials
}

/// The policies of the suite's answers, where they can be written. With credentials, `*` is an error.
pub(super) fn wildcards() -> Vec<Trial> {
    let preflights = suite("cors-wpt/preflight_verdicts.json");
    let mut trials = Vec::new();
    for case in items(&preflights, "wildcards") {
        let credentials = case["credentials"] == true;
        let (methods, headers) = (text(&case["allow_methods"]), text(&case["allow_headers"]));
        let mut cors =
            json!({ "allow_origins": [{ "exact": WPT }], "allow_credentials": credentials });
        for (name, list) in [("allow_methods", methods), ("allow_headers", headers)] {
            if !list.is_empty() {
                cors[name] = list.split(',').map(str::trim).collect();
            }
        }
        let compiled = case::answer_on_engine(
            document(&cors).as_bytes(),
            &Request::default(),
            &Response::default(),
        );
        let writable = !(credentials && (methods == "*" || headers == "*")) && methods != "get";
        assert_eq!(compiled.is_ok(), writable, "{case}");
        if !writable {
            continue;
        }
        let method = text(&case["request_method"]).to_owned();
        let asked: Vec<String> = strings(&case["request_headers"])
            .into_iter()
            .map(str::to_owned)
            .collect();
        let allow = is_allow(&case["verdict"]);
        let named: Vec<&str> = asked.iter().map(String::as_str).collect();
        trials.push(Trial {
            name: format!("wpt: {case}"),
            cors,
            request: preflight(WPT, &method, &named),
            upstream: Response::default(),
            check: Box::new(move |response| {
                let named: Vec<&str> = asked.iter().map(String::as_str).collect();
                page(WPT, credentials).may_send(&method, &named, response) == allow
            }),
        });
    }
    trials
}

/// What browsers send at once is judged by its origin; what they ask about first, by what is listed.
pub(super) fn safelists() -> Vec<Trial> {
    let suite = suite("cors-wpt/safelisted_request_headers.json");
    let mut trials = Vec::new();
    let mut ask = |method: &str, headers: &[&str], listed: Value, allow: bool| {
        let mut cors = json!({ "allow_origins": [{ "exact": WPT }] });
        for (name, list) in listed.as_object().expect("an object") {
            cors[name] = list.clone();
        }
        let method = method.to_owned();
        let asked: Vec<String> = headers.iter().map(|name| (*name).to_owned()).collect();
        trials.push(Trial {
            name: format!("wpt: {method} with {headers:?} where there is {listed}"),
            cors,
            request: preflight(WPT, &method, headers),
            upstream: Response::default(),
            check: Box::new(move |response| {
                let named: Vec<&str> = asked.iter().map(String::as_str).collect();
                page(WPT, false).may_send(&method, &named, response) == allow
            }),
        });
    };
    for (method, asks) in suite["methods"].as_object().expect("methods") {
        ask(method, &[], json!({}), asks == false);
        ask(method, &[], json!({ "allow_methods": [method] }), true);
    }
    let names: BTreeMap<&str, ()> = items(&suite, "cases")
        .iter()
        .map(|case| (text(&case["name"]), ()))
        .collect();
    for name in names.keys() {
        ask("GET", &[name], json!({}), false);
        ask("GET", &[name], json!({ "allow_headers": [name] }), true);
    }
    let sent_at_once = items(&suite, "cases")
        .iter()
        .filter(|case| case["preflight"] == false);
    for case in sent_at_once {
        let value = text(&case["value"]);
        for (origin, status) in [(WPT, 200), ("https://other.example", 403)] {
            trials.push(Trial {
                name: format!("wpt: {case} from {origin}"),
                cors: json!({ "allow_origins": [{ "exact": WPT }] }),
                request: request("GET", &[("origin", origin), (text(&case["name"]), value)]),
                upstream: answer(200, &[]),
                check: Box::new(move |response| {
                    response.status == status
                        && page(origin, false).may_read(response) == (status == 200)
                }),
            });
        }
    }
    trials
}
