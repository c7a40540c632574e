//! Suites that others wrote for CORS: the policy answers on the engine and through Envoy, and a
//! judge that goes by the Fetch standard says what a browser makes of it.

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis_tests::case;
use portcullis_tests::client;
use portcullis_tests::envoy::{
    Envoy, ListenerOptions, Options, WasmOptions, bootstrap, cluster, listener, string_value,
    wasm_filter,
};
use portcullis_tests::fetch::Page;
use portcullis_tests::module_path;
use portcullis_tests::tokens::repository;
use portcullis_tests::upstream::Upstream;
use portcullis_tests::wire::{Request, Response};
use serde_json::{Value, json};

const TIMEOUT: Duration = Duration::from_secs(10);

/// The origin of the pages in the suite of the web platform.
const WPT: &str = "http://web-platform.test:8000";

/// One request to a route with a `cors` block, and what must be true of the answer.
struct Trial {
    name: String,
    cors: Value,
    request: Request,
    /// What the service answers.
    upstream: Response,
    check: Box<dyn Fn(&Response) -> bool>,
}

fn suite(path: &str) -> Value {
    let path = repository().join("tests/vectors").join(path);
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).expect("a suite is JSON")
}

fn items<'v>(suite: &'v Value, list: &str) -> &'v [Value] {
    suite[list].as_array().expect("a suite has its list")
}

fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

fn is_allow(verdict: &Value) -> bool {
    match text(verdict) {
        "allow" => true,
        "deny" => false,
        other => panic!("no verdict: {other}"),
    }
}

fn strings(value: &Value) -> Vec<&str> {
    match value {
        Value::String(one) => vec![one],
        Value::Array(several) => several.iter().map(text).collect(),
        _ => Vec::new(),
    }
}

fn answer(status: u16, fields: &[(&str, &str)]) -> Response {
    let field = |(name, value): &(&str, &str)| ((*name).to_owned(), value.as_bytes().to_vec());
    Response {
        status,
        headers: fields.iter().map(field).collect(),
        ..Response::default()
    }
}

fn request(method: &str, fields: &[(&str, &str)]) -> Request {
    let field =
        |(name, value): &(&str, &str)| (name.as_bytes().to_vec(), value.as_bytes().to_vec());
    Request {
        method: method.as_bytes().to_vec(),
        path: b"/".to_vec(),
        authority: b"api.example.com".to_vec(),
        headers: fields.iter().map(field).collect(),
        ..Request::default()
    }
}

fn preflight(origin: &str, method: &str, headers: &[&str]) -> Request {
    let names = headers.join(",");
    let mut fields = vec![
        ("origin", origin),
        ("access-control-request-method", method),
    ];
    if !headers.is_empty() {
        fields.push(("access-control-request-headers", &names));
    }
    request("OPTIONS", &fields)
}

fn page(origin: &str, credentials: bool) -> Page {
    Page {
        origin: origin.to_owned(),
        credentials,
    }
}

fn document(cors: &Value) -> String {
    let route = json!({ "name": "all", "match": {}, "open": true, "cors": cors });
    json!({ "version": 1, "routes": [route] }).to_string()
}

fn field<'r>(response: &'r Response, name: &str) -> Option<&'r str> {
    let (_, value) = response.headers.iter().find(|(each, _)| each == name)?;
    std::str::from_utf8(value).ok()
}

/// The names of a list, in lower case and in order.
fn names(list: &str) -> Vec<String> {
    let mut names: Vec<String> = list
        .split(',')
        .map(|name| name.trim().to_lowercase())
        .collect();
    names.retain(|name| !name.is_empty());
    names.sort();
    names
}

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
fn services_that_grant() -> Vec<Trial> {
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
fn wildcards() -> Vec<Trial> {
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
fn safelists() -> Vec<Trial> {
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

fn gateway_api() -> Vec<Trial> {
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

fn rs_cors() -> Vec<Trial> {
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

fn trials() -> Vec<Trial> {
    let suites = [
        services_that_grant(),
        wildcards(),
        safelists(),
        gateway_api(),
        rs_cors(),
    ];
    let counts = suites.each_ref().map(Vec::len);
    assert_eq!(
        counts,
        [122, 4, 52, 17, 22],
        "a suite has another number of cases"
    );
    suites.into_iter().flatten().collect()
}

#[test]
fn the_suites_hold_on_the_engine() {
    for trial in trials() {
        let response = case::answer_on_engine(
            document(&trial.cors).as_bytes(),
            &trial.request,
            &trial.upstream,
        );
        let response = response.unwrap_or_else(|error| panic!("{}: {error}", trial.name));
        assert!((trial.check)(&response), "{}: {response:?}", trial.name);
    }
}

#[test]
fn the_suites_hold_through_envoy() {
    let trials = trials();
    let mut documents: Vec<String> = trials.iter().map(|trial| document(&trial.cors)).collect();
    documents.sort();
    documents.dedup();
    let upstream = Upstream::start().unwrap();
    let listeners = documents.iter().enumerate().map(|(index, document)| {
        let name = format!("suite-{index}");
        let filter = wasm_filter(
            &name,
            &module_path(),
            string_value(document),
            WasmOptions::default(),
        );
        listener(&name, vec![filter], ListenerOptions::default())
    });
    let bootstrap = bootstrap(
        listeners.collect(),
        vec![cluster("upstream", upstream.addr())],
    );
    let envoy = Envoy::start(bootstrap, &Options::default()).unwrap();
    for trial in trials {
        let index = documents.binary_search(&document(&trial.cors)).unwrap();
        let addr = envoy.listener_addr(&format!("suite-{index}")).unwrap();
        upstream.answer("trial", trial.upstream.clone());
        let mut request = trial.request.clone();
        request
            .headers
            .push((b"x-case-id".to_vec(), b"trial".to_vec()));
        let response = client::send(addr, &request, TIMEOUT)
            .unwrap_or_else(|error| panic!("{}: {error}", trial.name));
        assert!((trial.check)(&response), "{}: {response:?}", trial.name);
    }
}
