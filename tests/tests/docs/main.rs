//! What the documentation says, held against what the code does.

mod guides;
mod standards;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::rc::Rc;

use portcullis::access_log::Member;
use portcullis::access_log::members::MEMBERS;
use portcullis::access_log::security::KINDS;
use portcullis::budget::{CEILING, SHARES};
use portcullis::engine::Engine;
use portcullis::exchange::BodyState;
use portcullis::headers::Headers;
use portcullis::memory_host::MemoryHost;
use portcullis::metrics::Aggregation;
use portcullis::policy::rate_limits::algorithm;
use portcullis::stream::{Action, Stream};
use portcullis::{condition, metrics, policy};
use portcullis_tests::case::{self, Case};
use portcullis_tests::pages::{
    self, REFERENCE, anchor, fences, name_of, pages, quoted, read, reference, tables,
    with_published_api,
};
use portcullis_tests::still::{LOG_KEY, still};
use portcullis_tests::tokens::{self, SigningKey};
use serde_json::{Map, Value, json};

/// The seconds at which everything here happens.
const NOW: u64 = 1_800_000_000;

/// Every page of the repository, but those that came with the vectors of others.
fn every_page(folder: &str, into: &mut Vec<String>) {
    for entry in fs::read_dir(tokens::repository().join(folder)).expect("pages can be listed") {
        let entry = entry.expect("pages can be listed");
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = match folder {
            "" => name.clone(),
            folder => format!("{folder}/{name}"),
        };
        let is_other = ["target", "vectors", "node_modules"].contains(&name.as_str());
        if entry.path().is_dir() && !is_other && !name.starts_with('.') {
            every_page(&path, into);
        } else if name.ends_with(".md") {
            into.push(path);
        }
    }
}

#[test]
fn links_lead_somewhere() {
    let root = tokens::repository();
    let mut followed = 0;
    let mut paths = Vec::new();
    every_page("", &mut paths);
    for (path, page) in paths.into_iter().map(|path| (path.clone(), read(&path))) {
        let targets = page
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            let (file, fragment) = target.split_once('#').unwrap_or((target, ""));
            let folder = Path::new(&path).parent().expect("a page is in a folder");
            let file = match file {
                "" => root.join(&path),
                file => root.join(folder).join(file),
            };
            assert!(file.exists(), "{path}: {target} leads nowhere");
            if !fragment.is_empty() {
                let text = fs::read_to_string(&file).expect("a page is text");
                let headings = text.lines().filter(|line| line.starts_with('#'));
                let found = headings.map(anchor).any(|each| each == fragment);
                assert!(found, "{path}: {target} has no such heading");
            }
            followed += 1;
        }
    }
    assert!(followed > 300, "only {followed} links");
}

fn assert_same(written: &BTreeSet<String>, real: &BTreeSet<String>, what: &str) {
    let undocumented: Vec<_> = real.difference(written).collect();
    let invented: Vec<_> = written.difference(real).collect();
    assert!(
        undocumented.is_empty() && invented.is_empty(),
        "{what}: not in {REFERENCE}: {undocumented:?}; only there: {invented:?}"
    );
}

#[test]
fn examples_are_valid() {
    let mut documents = 0;
    for (path, page) in pages() {
        for text in fences(&page, "json") {
            let mut value: Value = serde_json::from_str(&text)
                .unwrap_or_else(|error| panic!("{path}: {error} in\n{text}"));
            if value.get("version").is_some() {
                documents += 1;
                with_published_api(&mut value);
                let compiled = Engine::compile(value.to_string().as_bytes());
                let problems = compiled.map_err(|error| error.to_string());
                assert!(problems.is_ok(), "{path}: {problems:?} in\n{text}");
            }
        }
    }
    assert!(documents >= 9, "only {documents} whole documents");
}

/// What a recipe lets through and refuses is a case, of the very document of the page.
#[test]
fn every_recipe_is_a_case() {
    let page = read("docs/recipes.md");
    let folder = tokens::repository().join("tests/cases/recipes");
    let mut cases = Case::read_all(&folder).unwrap_or_else(|error| panic!("{error}"));
    let rows = page.lines().filter(|line| line.starts_with("| ["));
    let files = rows.filter_map(|row| row.split('`').nth(1));
    let documents = fences(&page, "json");
    let mut written = Vec::new();
    for (file, text) in files.zip(&documents) {
        let case = cases.iter().position(|case| case.path.ends_with(file));
        let case = cases.remove(case.unwrap_or_else(|| panic!("there is no {file}")));
        let [page, case]: [Value; 2] = [text.as_bytes(), &case.document]
            .map(|text| serde_json::from_slice(text).expect("JSON"));
        assert_eq!(page, case, "{file}");
        written.push(file);
    }
    assert_eq!(written.len(), documents.len());
    assert!(
        cases.is_empty(),
        "a case is on no page: {:?}",
        cases[0].path
    );
    assert!(written.len() >= 7);
}

#[test]
fn the_example_case_does_what_it_expects() {
    let page = read("tests/cases/README.md");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("documented-case");
    fs::create_dir_all(&folder).expect("the folder can be made");
    let example = fences(&page, "json").remove(0);
    fs::write(folder.join("example.json"), example).expect("the case can be written");
    let cases = Case::read_all(&folder).unwrap_or_else(|error| panic!("{error}"));
    let differences: Vec<String> = cases.iter().flat_map(case::run_on_engine).collect();
    assert!(differences.is_empty(), "{differences:#?}");
}

#[test]
fn the_table_of_refusals_is_the_code() {
    let page = reference();
    let rows = tables(&page, "| code | status | gRPC | reasons | when |");
    let written: BTreeSet<String> = rows.iter().map(|row| name_of(row)).collect();
    assert_eq!(written.len(), rows.len(), "a code is there twice");
    let real: BTreeSet<String> = metrics::codes().map(|code| code.name.to_owned()).collect();
    assert_same(&written, &real, "codes");
    for code in metrics::codes() {
        let row = rows.iter().find(|row| name_of(row) == code.name);
        let row = row.expect("every code has a row");
        let numbers = (row[1].as_str(), row[2].as_str());
        let expected = (code.status.to_string(), code.grpc_status.to_string());
        assert_eq!(numbers, (&*expected.0, &*expected.1), "{}", code.name);
        let reasons: Vec<&str> = code.reasons.iter().map(|reason| reason.name).collect();
        assert_eq!(quoted(&row[3]), reasons, "{}", code.name);
    }
}

#[test]
fn the_reasons_of_paths_are_all_explained() {
    let page = reference();
    let rows = tables(&page, "| path | reason in the log |");
    let written: BTreeSet<String> = rows.iter().flat_map(|row| quoted(&row[1])).collect();
    let code = metrics::codes().find(|code| code.name == "path_malformed");
    let reasons = code.expect("paths can be refused").reasons;
    let real: BTreeSet<String> = reasons.iter().map(|each| each.name.to_owned()).collect();
    assert_same(&written, &real, "reasons of path_malformed");
}

#[test]
fn counters_are_all_listed() {
    let page = reference();
    let rows = tables(&page, "| counter | counts |");
    let written: BTreeSet<String> = rows.iter().map(|row| name_of(row)).collect();
    let real = metrics::names().into_iter().map(|name| {
        let code = metrics::codes().find(|code| name.contains(&format!(".{}.", code.name)));
        let event = KINDS
            .iter()
            .find(|kind| name.ends_with(&format!("events.{}", kind.id)));
        let pattern = match (code, event) {
            (Some(code), _) => name.replace(code.name, "<code>"),
            (None, Some(event)) => name.replace(event.id, "<event>"),
            (None, None) => name,
        };
        format!("wasmcustom.{pattern}")
    });
    let of_documents = metrics_of_a_document(|spread| spread == Aggregation::Counter);
    assert_same(&written, &real.chain(of_documents).collect(), "counters");
}

/// The names of the metrics that a document brings, with patterns for what it names.
fn metrics_of_a_document(wanted: impl Fn(Aggregation) -> bool) -> Vec<String> {
    let document = json!({
        "version": 1,
        "percent": 50,
        "providers": { "corp": {
            "issuer": "https://id.example.com/",
            "audiences": ["orders-api"],
            "jwks": { "remote": { "cluster": "idp", "uri": "https://id.example.com/jwks" } },
        } },
        "revocation_lists": { "central": {
            "remote": { "cluster": "lists", "uri": "https://lists.example.com/revoked" },
        } },
        "networks": { "central": {
            "remote": { "cluster": "lists", "uri": "https://lists.example.com/networks" },
        } },
        "otlp_http": { "cluster": "collector", "uri": "http://collector.example.com/v1/logs" },
        "access_log": { "sinks": ["otlp_http"] },
        "versions": { "in": [{ "header": "api-version" }], "known": { "v7": { "sunset": 1 } } },
        "routes": [{ "name": "all", "percent": 50, "match": {}, "jwt": { "provider": "corp" },
            "payload": { "max_bytes": 1, "percent": 50 }, "rate_limits": [{
            "name": "each", "key": [], "sliding_window": { "requests": 1, "per": "1s" }, "percent": 50,
        }], "concurrency": { "name": "each", "key": [], "max": 1 }, "access": { "rules": [{ "name": "some", "action": "allow" }] } }],
    });
    let engine = Engine::compile(document.to_string().as_bytes());
    let engine = engine.unwrap_or_else(|error| panic!("{error}"));
    let gauges = engine
        .gauges()
        .iter()
        .filter(|gauge| wanted(gauge.aggregation()));
    let pattern = |name: &str| {
        let name = name.replace(".corp.", ".<provider>.");
        let name = name.replace(".central.", ".<list>.");
        let name = name.replace(".some.", ".<rule>.");
        let name = name.replace(".document.v7.", ".<api>.<version>.");
        let name = name.replace("rollout.route.all.", "rollout.route.<route>.");
        let name = name.replace("rollout.policy.payload.", "rollout.policy.<policy>.");
        format!("wasmcustom.{}", name.replace(".each.", ".<limit>."))
    };
    gauges.map(|gauge| pattern(gauge.name())).collect()
}

#[test]
fn gauges_are_all_listed() {
    let page = reference();
    let rows = tables(&page, "| gauge | shows |");
    let written: BTreeSet<String> = rows.iter().map(|row| name_of(row)).collect();
    let real = metrics_of_a_document(|spread| spread != Aggregation::Counter);
    let memory = metrics::MEMORY_GAUGES.map(str::to_owned);
    let memory = memory.into_iter().chain([metrics::share_gauge("<share>")]);
    let memory = memory.map(|name| format!("wasmcustom.{name}"));
    let real = real.into_iter().chain(memory);
    assert_same(&written, &real.collect(), "gauges");
}

#[test]
fn counters_of_memory_are_all_listed() {
    let page = reference();
    let rows = tables(&page, "| counter of memory | counts |");
    let written: BTreeSet<String> = rows.iter().map(|row| name_of(row)).collect();
    let real = format!("wasmcustom.{}", metrics::share_counter("<share>"));
    assert_same(&written, &BTreeSet::from([real]), "counters of memory");
    let page = pages::read("docs/deployment.md");
    for share in SHARES {
        let (name, mib) = (share.name(), share.most() >> 20);
        assert!(
            page.contains(&format!("| `{name}` | {mib} MiB |")),
            "{name}"
        );
    }
    let ceiling = format!("| all together | {} MiB |", CEILING >> 20);
    assert!(page.contains(&ceiling), "{ceiling}");
}

#[test]
fn histograms_are_all_listed() {
    let page = reference();
    let rows = tables(&page, "| histogram | records |");
    let written: BTreeSet<String> = rows.iter().map(|row| name_of(row)).collect();
    let names = metrics::histogram_names().into_iter();
    let real = names.map(|name| format!("wasmcustom.{name}"));
    assert_same(&written, &real.collect(), "histograms");
}

/// A field is read by its name, so the names stand in the sources.
fn fields_in_sources() -> BTreeSet<String> {
    const READERS: [&str; 9] = [
        "const NAME: &'static str =",
        "OperandField::new(",
        "optional(",
        "required(",
        ".or_default(",
        "= list(",
        "= number(",
        "= read(",
        "required_bytes(fields,",
    ];
    let mut names = BTreeSet::new();
    let mut folders = vec![tokens::repository().join("src")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).expect("sources can be listed") {
            let path = entry.expect("sources can be listed").path();
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            // A policy for tests alone, of which no user hears.
            let is_for_tests = path.file_name().is_some_and(|name| name == "test_wait.rs");
            if is_for_tests || path.extension().is_none_or(|ending| ending != "rs") {
                continue;
            }
            let text = fs::read_to_string(&path).expect("sources are text");
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for reader in READERS {
                let calls = code.split(reader).skip(1);
                names.extend(calls.filter_map(first_literal));
            }
            for list in code.split("const FIELDS:").skip(1) {
                let list = list
                    .split_once("= [")
                    .and_then(|(_, rest)| rest.split_once(']'));
                names.extend(quotes(list.expect("FIELDS is a list").0));
            }
        }
    }
    names
}

fn first_literal(arguments: &str) -> Option<String> {
    let inner = arguments.trim_start().strip_prefix('"')?;
    inner.split_once('"').map(|(name, _)| name.to_owned())
}

fn quotes(list: &str) -> Vec<String> {
    let pieces = list.split('"').skip(1).step_by(2);
    pieces.map(str::to_owned).collect()
}

#[test]
fn fields_are_all_documented_and_none_is_invented() {
    let page = reference();
    let mut real = fields_in_sources();
    real.extend(policy::LIST.iter().map(|kind| kind.name.to_owned()));
    real.extend(condition::TESTS.iter().map(|test| test.name.to_owned()));
    real.extend(algorithm::names().map(str::to_owned));
    for known in [
        "version",
        "issuer",
        "max_bytes",
        "any",
        "suffix",
        "kid",
        "n",
    ] {
        assert!(real.contains(known), "the search does not find {known}");
    }
    let described: BTreeSet<String> = page.lines().flat_map(quoted).collect();
    let missing: Vec<_> = real.difference(&described).collect();
    assert!(missing.is_empty(), "not in {REFERENCE}: {missing:?}");
    let rows = tables(&page, "| field | type | default | meaning |");
    let written: BTreeSet<String> = rows.iter().flat_map(|row| quoted(&row[0])).collect();
    let invented: Vec<_> = written.difference(&real).collect();
    assert!(invented.is_empty(), "only in {REFERENCE}: {invented:?}");
    // Their names are common words, quoted in many places: each has a row.
    let tests = condition::TESTS.iter().map(|test| test.name);
    let missing: Vec<_> = tests.filter(|name| !written.contains(*name)).collect();
    assert!(missing.is_empty(), "without a row: {missing:?}");
}

#[test]
fn the_operator_that_is_shown_is_one() {
    let page = read("docs/where.md");
    let shown = fences(&page, "rust").remove(0);
    let file = read("src/exchange/condition/prefix.rs");
    assert_eq!(shown.trim(), file.trim());
}

#[test]
fn each_policy_has_a_section() {
    let page = reference();
    for kind in policy::LIST {
        let heading = format!("\n## {}\n", kind.name);
        assert!(page.contains(&heading), "no section {}", kind.name);
    }
}

#[test]
fn the_readme_lists_the_targets_of_make() {
    let listed = tables(&read("README.md"), "| target | what it does |");
    let listed: BTreeSet<String> = listed.iter().map(|row| name_of(row)).collect();
    let makefile = read("Makefile");
    let targets = makefile
        .lines()
        .filter(|line| line.contains(":") && line.contains(" ## "));
    let targets = targets.filter_map(|line| line.split_once(':'));
    let real: BTreeSet<String> = targets
        .map(|(name, _)| format!("make {name}"))
        .filter(|name| !name.contains('\t'))
        .collect();
    assert!(real.len() > 5, "the search finds only {real:?}");
    assert_eq!(listed, real);
    for (path, page) in pages() {
        let named = quoted(&page)
            .into_iter()
            .filter(|text| text.starts_with("make "));
        for command in named {
            let words: Vec<&str> = command.split_whitespace().take(2).collect();
            assert!(
                real.contains(&words.join(" ")),
                "{path}: {command} is no target"
            );
        }
    }
}

fn proxy() -> MemoryHost {
    still(NOW)
}

/// A stream that has judged a request for `/orders`, and its engine.
fn judged(mode: &str, access_log: &Value, authorization: Option<&str>) -> (Stream, Rc<Engine>) {
    let document = json!({
        "version": 1,
        "mode": mode,
        "access_log": access_log,
        "providers": { "corp": {
            "issuer": "https://id.example.com/",
            "audiences": ["orders-api"],
            "jwks": { "inline": { "keys": [SigningKey::named("p256").jwk()] } },
            "roles": { "from": ["tenant"] },
        } },
        "defaults": { "security_headers": { "preset": "api" } },
        "routes": [{
            "name": "orders",
            "match": {},
            "jwt": { "provider": "corp" },
            "rate_limits": [{
                "name": "all",
                "key": [],
                "token_bucket": { "max_tokens": 1, "fill_interval": "1s" },
            }],
        }],
    });
    let engine = Engine::compile(document.to_string().as_bytes());
    let engine = Rc::new(engine.unwrap_or_else(|error| panic!("{error}")));
    let mut headers = Headers::default();
    for (name, value) in [
        (":authority", "api.example.com"),
        (":path", "/orders?page=2"),
        (":method", "GET"),
        (":scheme", "https"),
        ("user-agent", "test"),
        ("x-request-id", "1"),
        ("x-partner", "p"),
        (
            "traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
    ] {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    if let Some(value) = authorization {
        headers.push(b"authorization", value.as_bytes());
    }
    let mut stream = Stream::new(Some(Rc::clone(&engine)));
    stream.on_request_headers(headers, BodyState::Complete, &proxy());
    (stream, engine)
}

fn record(mode: &str, access_log: &Value, authorization: Option<&str>) -> String {
    let (stream, engine) = judged(mode, access_log, authorization);
    let log = engine.access_log().expect("the document asks for a log");
    log.record(&stream.summary(), None, &proxy())
        .expect("all are kept")
}

/// The record of a request whose body, which is `{}`, is not as a schema asks.
fn record_of_a_body(schema: &str) -> String {
    let document = json!({
        "version": 1,
        "access_log": { "schema": schema },
        "schemas": { "list": { "type": "array" } },
        "routes": [{
            "name": "lists",
            "match": {},
            "open": true,
            "payload": { "max_bytes": 2, "json_schema": "list" },
        }],
    });
    let engine = Engine::compile(document.to_string().as_bytes());
    let engine = Rc::new(engine.unwrap_or_else(|error| panic!("{error}")));
    let mut headers = Headers::default();
    headers.push(b":authority", b"api.example.com");
    headers.push(b":path", b"/lists");
    headers.push(b":method", b"POST");
    headers.push(b"content-type", b"application/json");
    let mut stream = Stream::new(Some(Rc::clone(&engine)));
    stream.on_request_headers(headers, BodyState::Open, &proxy());
    stream.on_request_body(2, BodyState::Complete, &proxy());
    let log = engine.access_log().expect("the document asks for a log");
    log.record(&stream.summary(), None, &proxy())
        .expect("all are kept")
}

/// The records of exchanges that between them have every member there is.
fn records(schema: &str) -> [Map<String, Value>; 8] {
    lines_of(schema).map(|line| {
        let record: Value = serde_json::from_str(&line).expect("a record is JSON");
        record.as_object().expect("a record is an object").clone()
    })
}

fn lines_of(schema: &str) -> [String; 8] {
    let token = json!({
        "key": "p256",
        "header": { "kid": "k1" },
        "claims": {
            "iss": "https://id.example.com/", "aud": "orders-api", "sub": "alice", "exp": "now+60",
            "tenant": "blue",
        },
    });
    let good = format!("Bearer {}", tokens::mint(&token, NOW));
    let expired = format!("Bearer {}", tokens::mint(&token, NOW - 3600));
    let everything = json!({
        "schema": schema,
        "attributes": "all",
        "fields": { "roles": true, "claims": ["tenant"], "headers": ["x-partner"] },
    });
    let hashed = json!({
        "schema": schema,
        "subject": "hashed", "claimed": "hashed", "subject_key": { "env": LOG_KEY },
    });
    [
        record("enforce", &everything, Some(&good)),
        record("enforce", &everything, None),
        record("shadow", &everything, None),
        record("enforce", &hashed, Some(&good)),
        record(
            "enforce",
            &json!({ "schema": schema, "max_bytes": 512 }),
            None,
        ),
        record_of_a_body(schema),
        record("enforce", &everything, Some(&expired)),
        record("enforce", &hashed, Some(&expired)),
    ]
}

#[test]
fn the_table_of_the_access_log_is_what_is_logged() {
    let records = records("otel");
    let outcomes = records
        .each_ref()
        .map(|record| &record["portcullis.outcome"]);
    assert_eq!(
        outcomes,
        [
            "allowed", "denied", "allowed", "allowed", "denied", "denied", "denied", "denied"
        ]
    );
    let names = records.iter().flat_map(|record| record.keys());
    let mut real: BTreeSet<String> = names
        .map(|name| match name.as_str() {
            "portcullis.claim.tenant" => "portcullis.claim.<claim>".to_owned(),
            "http.request.header.x-partner" => "http.request.header.<name>".to_owned(),
            name => name.to_owned(),
        })
        .collect();
    // These are all of tokens; `tests/cases/certificate` has it.
    real.insert("portcullis.credential".to_owned());
    // These are of APIs with versions; `tests/cases/versions` has them.
    for name in ["portcullis.version", "portcullis.version_state"] {
        real.insert(name.to_owned());
    }
    // Nothing of this is in force for a share; `tests/cases/rollout` has it.
    real.insert("portcullis.rollout".to_owned());
    // No response of these is searched; `tests/cases/responses` has them.
    for name in ["portcullis.redacted", "portcullis.unjudged"] {
        real.insert(name.to_owned());
    }
    // None of these waits.
    real.insert("portcullis.waited_us".to_owned());
    let page = reference();
    let rows = tables(&page, "| log field | value |");
    let written: BTreeSet<String> = rows.iter().map(|row| name_of(row)).collect();
    assert_same(&written, &real, "fields of the access log");
    let rows_in_order: Vec<String> = rows.iter().map(|row| name_of(row)).collect();
    let listed: Vec<&str> = MEMBERS.iter().filter_map(Member::otel).collect();
    assert_eq!(
        rows_in_order, listed,
        "the order of the table is the weight"
    );
    let shadow = rows.iter().find(|row| name_of(row) == "portcullis.shadow");
    let shadow = quoted(&shadow.expect("it has a row")[1]);
    let item = records[2]["portcullis.shadow"][0].as_object();
    let item: Vec<&String> = item.expect("shadow mode is logged").keys().collect();
    assert!(item.iter().all(|name| shadow.contains(name)), "{item:?}");
    let errors = rows.iter().find(|row| name_of(row) == "portcullis.errors");
    let errors = quoted(&errors.expect("it has a row")[1]);
    let item = records[5]["portcullis.errors"][0].as_object();
    let item: Vec<&String> = item.expect("errors are logged").keys().collect();
    assert!(item.iter().all(|name| errors.contains(name)), "{item:?}");
}

#[test]
fn the_table_of_details_is_what_is_found() {
    let folder = tokens::repository().join("tests/cases");
    let cases = Case::read_all(&folder).unwrap_or_else(|error| panic!("{error}"));
    let records: Vec<Value> = cases.iter().flat_map(case::records_on_engine).collect();
    let details = records
        .iter()
        .filter_map(|record| record["portcullis.detail"].as_object());
    let (mut members, mut faults) = (BTreeSet::new(), BTreeSet::new());
    for detail in details {
        members.extend(detail.keys().cloned());
        faults.extend(
            detail
                .get("fault")
                .and_then(Value::as_str)
                .map(str::to_owned),
        );
    }
    let page = reference();
    let rows = tables(&page, "| detail | value |");
    let written: BTreeSet<String> = rows.iter().flat_map(|row| quoted(&row[0])).collect();
    assert_same(&written, &members, "details of refusals");
    let row = rows.iter().find(|row| name_of(row) == "fault");
    let mut written: BTreeSet<String> =
        quoted(&row.expect("it has a row")[1]).into_iter().collect();
    // A word that is none, and one that a claim must be too long for to be read.
    for other in ["not", "too_costly"] {
        assert!(written.remove(other), "{other}");
    }
    assert_same(&written, &faults, "faults");
}

#[test]
fn the_table_of_the_other_schema_is_what_is_logged() {
    let names = |schema: &str| -> BTreeSet<String> {
        let records = records(schema);
        records
            .iter()
            .flat_map(|record| record.keys().cloned())
            .collect()
    };
    let (otel, ecs) = (names("otel"), names("ecs"));
    let page = reference();
    let rows = tables(&page, "| ECS field | in place of |");
    let written: BTreeSet<String> = rows.iter().map(|row| name_of(row)).collect();
    let real: BTreeSet<String> = ecs.difference(&otel).cloned().collect();
    assert_same(&written, &real, "fields of the Elastic Common Schema");
    let replaced: BTreeSet<String> = rows.iter().flat_map(|row| quoted(&row[1])).collect();
    let gone: BTreeSet<String> = otel.difference(&ecs).cloned().collect();
    assert_same(&replaced, &gone, "fields that it replaces");
    let pairs = rows
        .iter()
        .map(|row| (name_of(row), quoted(&row[1]).first().cloned()));
    let listed = MEMBERS
        .iter()
        .filter(|member| member.otel() != member.ecs())
        .map(|member| {
            let name = member.ecs().expect("a record for ECS has all members");
            (name.to_owned(), member.otel().map(str::to_owned))
        });
    let (pairs, listed): (Vec<_>, Vec<_>) = (pairs.collect(), listed.collect());
    assert_eq!(pairs, listed, "names and those that they replace, in order");
}

#[test]
fn the_table_of_the_attributes_is_what_can_be_asked_for() {
    let page = reference();
    let rows = tables(&page, "| attribute | member |");
    let written: Vec<(String, String)> = rows
        .iter()
        .map(|row| (name_of(row), quoted(&row[1]).concat()))
        .collect();
    let listed: Vec<(String, String)> = MEMBERS
        .iter()
        .filter_map(|member| Some((member.attribute()?.to_owned(), member.otel()?.to_owned())))
        .collect();
    assert_eq!(written, listed);
}

#[test]
fn what_may_tell_who_a_person_is_stands_on_the_page() {
    let page = reference();
    let paragraph = page
        .split("\n\n")
        .find(|paragraph| paragraph.starts_with("Personal data may be in:"))
        .expect("the page says which members are personal");
    let (_, names) = paragraph.split_once(':').expect("it ends in a colon");
    let (names, _) = names.split_once(". ").expect("the list is a sentence");
    let listed: Vec<&str> = MEMBERS
        .iter()
        .filter(|member| member.is_personal())
        .filter_map(Member::otel)
        .collect();
    assert_eq!(quoted(names), listed);
}

/// The order is the weight: what comes later is left out first.
#[test]
fn members_are_written_in_the_order_of_the_list() {
    for schema in ["otel", "ecs"] {
        let names: Vec<&str> = MEMBERS
            .iter()
            .filter_map(|member| match schema {
                "otel" => member.otel(),
                _ => member.ecs(),
            })
            .collect();
        for line in lines_of(schema) {
            let places = names
                .iter()
                .filter_map(|name| line.find(&format!("\"{name}\":")));
            let places: Vec<usize> = places.collect();
            assert!(places.len() > 8, "{line}");
            assert!(places.is_sorted(), "{line}");
        }
    }
}

#[test]
fn the_table_of_the_presets_is_what_is_set() {
    let page = reference();
    let rows = tables(&page, "| header field | value | presets | source |");
    let mut described = BTreeSet::new();
    for preset in ["api", "web", "strict", "none"] {
        let of_preset = rows
            .iter()
            .filter(|row| quoted(&row[2]).iter().any(|each| each == preset));
        let written: BTreeSet<(String, String)> = of_preset
            .map(|row| (name_of(row), quoted(&row[1]).concat()))
            .collect();
        assert_eq!(written, set_on_a_refusal(preset), "{preset}");
        described.extend(written);
    }
    assert_eq!(described.len(), rows.len(), "a row is for no preset");
}

/// What a preset sets on a refusal over TLS: no field of a preset is for less.
fn set_on_a_refusal(preset: &str) -> BTreeSet<(String, String)> {
    let document = json!({
        "version": 1,
        "defaults": { "security_headers": { "preset": preset } },
        "routes": [{ "name": "none", "match": { "path": { "exact": "/" } }, "open": true }],
    });
    let engine = Engine::compile(document.to_string().as_bytes());
    let engine = Rc::new(engine.unwrap_or_else(|error| panic!("{error}")));
    let mut headers = Headers::default();
    for (name, value) in [
        (":authority", "api.example.com"),
        (":path", "/x"),
        (":method", "GET"),
        (":scheme", "https"),
    ] {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    let mut stream = Stream::new(Some(engine));
    let Action::Reply(reply) = stream.on_request_headers(headers, BodyState::Complete, &proxy())
    else {
        panic!("a request without a route is refused");
    };
    let set = reply.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.as_str().to_owned(), value)
    });
    set.filter(|(name, _)| name != "content-type").collect()
}
