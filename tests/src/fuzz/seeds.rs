//! What fuzzers begin with: the repository's own cases, tokens and vectors.

use std::fs;

use serde_json::{Value, json};

use super::dpop_proof::{good_proofs, odd_proofs};
use super::token::good_tokens;
use crate::case::{self, Case};
use crate::random::Random;
use crate::tokens::{SigningKey, repository};

/// The beginnings for a target.
///
/// # Panics
/// When the repository is not whole.
pub fn seeds(target: &str) -> Vec<Vec<u8>> {
    match target {
        "api_keys" => key_stores(),
        "claims" => claims(),
        "compact" => texts().into_iter().chain(numbers()).collect(),
        "conditions" => conditions(),
        "discovery" => discovery_documents(),
        "document" => documents(),
        "dpop_proof" => proofs(),
        "forms" => bodies(),
        "json_gate" | "redact" => texts(),
        "jwks" => key_sets(),
        "network_list" => network_lists(),
        "openapi" => apis(),
        "path" => paths(),
        "plan" => choices(),
        "query" => queries(),
        "regex" => expressions(),
        "revocation_list" => revocation_lists(),
        "schema" => schemas(),
        "token" => authorizations(),
        "xml" => xml_texts(),
        _ => Vec::new(),
    }
}

/// Bytes that look random: each is a document with its requests.
fn choices() -> Vec<Vec<u8>> {
    let of = |number: u64| {
        let mut random = Random(number.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        (0..300).map(|_| random.byte()).collect()
    };
    (1..=200).map(of).collect()
}

/// Those of the conformance suite that are UTF-8.
fn xml_texts() -> Vec<Vec<u8>> {
    let path = repository().join("tests/vectors/xmlconf/cases.json");
    let cases = fs::read(path).expect("the suite is there");
    let cases: Vec<Value> = serde_json::from_slice(&cases).expect("the suite is JSON");
    let texts = cases.iter().filter_map(|case| case["text"].as_str());
    texts.map(|text| text.as_bytes().to_vec()).collect()
}

/// Every two parts of a request beside one another, in each way.
fn conditions() -> Vec<Vec<u8>> {
    const PARTS: [&str; 6] = [
        r#""claim": "name""#,
        r#""claim": "/list""#,
        r#""header": "x-a""#,
        r#""query": "a""#,
        r#""path_variable": "a""#,
        r#""body": "/m/a""#,
    ];
    const TESTS: [&str; 6] = [
        "exact",
        "in",
        "prefix",
        "includes",
        "includes_any",
        "includes_all",
    ];
    const HEADS: [&str; 3] = [
        "{\"name\":\"x\",\"list\":[\"x\",7]}\n/t/x/y?a=x&b=%61\nx\n{\"m\":{\"a\":\"x\"}}",
        "{\"name\":7,\"list\":\"y\"}\n/t/7/y?a=07\ny\n{\"m\":{\"a\":7}}",
        "{\"name\":\"a/b\",\"list\":[]}\n/t/A/b/c?a=A/b/c\na/b\n{\"m\":{\"a\":[\"a/b\"]}}",
    ];
    let mut all = Vec::new();
    for one in PARTS {
        for head in HEADS {
            let alone = ["\"exact\": \"x\"", "\"exists\": true"];
            all.extend(alone.map(|test| format!("{{{one}, {test}}}\n{head}")));
            for (test, other) in TESTS.iter().flat_map(|test| PARTS.map(|part| (test, part))) {
                all.push(format!("{{{one}, \"{test}\": {{{other}}}}}\n{head}"));
            }
        }
    }
    all.into_iter().map(String::into_bytes).collect()
}

fn vectors(name: &str) -> Value {
    let path = repository().join("tests/vectors").join(name);
    let text = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    serde_json::from_slice(&text).expect("vectors are JSON")
}

fn authorizations() -> Vec<Vec<u8>> {
    let mut all: Vec<String> = good_tokens();
    let rfc = vectors("jose-rfc/rfc7515_rfc8037.json");
    let suite = vectors("wycheproof/blackbox_jws.json");
    let groups = suite["groups"].as_array().into_iter().flatten();
    let cases = rfc["cases"].as_array().into_iter().flatten();
    all.extend(cases.filter_map(|case| Some(case["token"].as_str()?.to_owned())));
    all.extend(groups.filter_map(|group| Some(group["control_token"].as_str()?.to_owned())));
    let bearer = |token: String| format!("Bearer {token}").into_bytes();
    let odd = [
        "Bearer",
        "Bearer  a.b.c",
        "bearer\ta.b.c",
        "Basic YTpi",
        "a.b.c",
    ];
    all.into_iter()
        .map(bearer)
        .chain(odd.map(|text| text.as_bytes().to_vec()))
        .collect()
}

/// Proofs that are good, and some in which something is not.
fn proofs() -> Vec<Vec<u8>> {
    let good = good_proofs();
    let twice = format!("{},{}", good[0], good[0]);
    let rfc = vectors("dpop/rfc9449.json");
    let example = rfc["resource_request"]["proof"].as_str().map(str::to_owned);
    let all = good.into_iter().chain(odd_proofs()).chain([twice]);
    all.chain(example).map(String::into_bytes).collect()
}

fn claims() -> Vec<Vec<u8>> {
    let good = r#""iss":"https://id.example.com/","aud":"orders-api","scope":"orders.read""#;
    let headers = [
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"HS512","typ":"at+JWT","kid":"a"}"#,
        r#"{"alg":"HS256","crit":["exp"]}"#,
        r#"{"alg":"none"}"#,
    ];
    let more = [
        r#""exp":2000000060"#,
        r#""exp":2000000060.5,"nbf":1999999999,"iat":1e9"#,
        r#""exp":1999999940"#,
        r#""exp":2e9,"sub":"al\u00ecce","jti":"1","realm":{"roles":["a",1,true,null]}"#,
        r#""exp":"2000000060""#,
        r#""exp":-1"#,
        r#""exp":1e400"#,
        r#""exp":2000000060,"exp":2000000060"#,
    ];
    let with_headers = headers.iter().map(|header| (*header, more[0]));
    let with_claims = more.iter().map(|more| (headers[0], *more));
    with_headers
        .chain(with_claims)
        .map(|(header, more)| format!("{header}\n{{{good},{more}}}").into_bytes())
        .collect()
}

/// Stores with the keys that requests are made with.
fn key_stores() -> Vec<Vec<u8>> {
    let keys = super::api_keys::keys();
    let entry = |place: usize, more: Value| {
        let (_, hash) = &keys[place];
        let mut entry = json!({ "id": place.to_string(), "hash": hash, "client": "acme" });
        let members = more.as_object().into_iter().flatten();
        members.for_each(|(name, value)| entry[name] = value.clone());
        entry
    };
    let (key, hash) = &keys[0];
    let all = [
        json!({ "keys": [entry(0, json!({})), entry(1, json!({})), entry(3, json!({}))] }),
        json!({ "prefix": "pk_live", "keys": [entry(0, json!({})), entry(3, json!({}))] }),
        json!({ "keys": [entry(0, json!({ "state": "revoked" })), entry(1, json!({ "not_after": 1 }))] }),
        json!({ "keys": [entry(0, json!({ "not_before": "2033-05-18T03:33:20Z", "not_after": 2_000_000_001 }))] }),
        json!({ "keys": [entry(0, json!({ "scopes": ["a", "b"], "attributes": { "plan": [1, { "a": null }] } }))] }),
        json!({ "keys": [entry(0, json!({ "hash": hash.to_uppercase() }))], "forward": true, "hash": "sha256" }),
        json!({ "keys": [entry(0, json!({})), entry(1, json!({}))], "from_headers": [{ "name": "authorization", "value_prefix": "ApiKey " }], "from_params": ["k"], "from_cookies": ["c"] }),
        json!({ "keys": [entry(0, json!({}))], "claim_to_headers": [{ "header_name": "x-c", "claim_name": "client" }] }),
        json!({ "keys": [entry(0, json!({})), entry(0, json!({ "id": "b" }))] }),
        json!({ "keys": [entry(0, json!({ "hash": key }))] }),
        json!({ "keys": [entry(0, json!({ "key": key }))] }),
        json!({ "hash": { "hmac_sha256": { "env": "LOG_KEY" } }, "keys": [entry(0, json!({}))] }),
    ];
    all.iter()
        .map(|store| store.to_string().into_bytes())
        .collect()
}

/// Lists that name who calls, and others.
fn revocation_lists() -> Vec<Vec<u8>> {
    let hash = "46:8E:D3:3B:E7:4E:EE:65:56:D9:0C:01:49:C1:30:9E:9B:A6:1D:64:25:30:34:43:C0:74:8A:02:DD:8D:E6:88";
    let all = [
        json!([]),
        json!([{ "jti": "t-1" }, { "jti": "t-2" }]),
        json!([{ "sub": "alice", "issued_before": 1_999_999_001 }, { "sub": "acme" }]),
        json!([{ "sub": "alice", "issued_before": "2020-01-01T00:00:00Z" }, { "client": "app" }]),
        json!([{ "client": "web" }, { "key_id": "k-1" }, { "certificate": hash }]),
        json!([{ "kid": "k1" }, { "kid": "k2", "issued_before": 7 }]),
        json!([{ "issued_before": 1_999_999_001 }, { "issued_before": 5 }]),
        json!([{ "jti": "a, [\"{}\"]" }, { "sub": "\\" }]),
        json!([{ "jti": "t-1", "sub": "alice" }]),
        json!([{ "jti": "t-1", "issued_before": 7 }]),
        json!([{ "reason": "x" }]),
    ];
    let whole = all
        .iter()
        .map(|entries| json!({ "revoked": entries }).to_string());
    let others = [
        "",
        "{}",
        "[]",
        r#"{"revoked":{}}"#,
        r#"{"revoked":[],"more":1}"#,
    ];
    whole
        .chain(others.map(str::to_owned))
        .map(String::into_bytes)
        .collect()
}

/// Lists of networks, good ones and others.
fn network_lists() -> Vec<Vec<u8>> {
    let all = [
        json!([]),
        json!(["192.0.2.0/24", "192.0.3.0/24", "192.0.2.128/25"]),
        json!(["0.0.0.0/0", "::/0"]),
        json!(["2001:db8::/64", "2001:db8:0:1::/64", "2001:db8::1"]),
        json!(["::ffff:192.0.2.0/120", "::ffff:0:0/96", "::ffff:0:0/95"]),
        json!(["::fffe:0:0/95", "255.255.255.255", "ffff::/16"]),
        json!(["192.0.2.1/24"]),
        json!(["192.0.2.0/33"]),
        json!(["192.0.2.0/"]),
        json!([7]),
    ];
    let whole = all
        .iter()
        .map(|networks| json!({ "networks": networks }).to_string());
    let others = ["", "[]", r#"{"networks":["::1"],"more":1}"#];
    whole
        .chain(others.map(str::to_owned))
        .map(String::into_bytes)
        .collect()
}

fn key_sets() -> Vec<Vec<u8>> {
    let names = [
        "rsa",
        "p256",
        "p384",
        "p521",
        "secp256k1",
        "ed25519",
        "hmac",
    ];
    let keys: Vec<Value> = names.map(|name| SigningKey::named(name).jwk()).to_vec();
    let one = keys.iter().map(|key| json!({ "keys": [key] }).to_string());
    let mut all: Vec<Vec<u8>> = one.map(String::into_bytes).collect();
    let mut described = keys[1].clone();
    for (name, value) in [
        ("kid", json!("a")),
        ("use", json!("sig")),
        ("alg", json!("ES256")),
    ] {
        described[name] = value;
    }
    described["key_ops"] = json!(["verify"]);
    described["x5c"] = json!(["MIIB"]);
    all.push(
        json!({ "keys": [described, keys[0], keys[5]] })
            .to_string()
            .into_bytes(),
    );
    let suite = vectors("wycheproof/blackbox_jws.json");
    let groups = suite["groups"].as_array().into_iter().flatten();
    all.extend(groups.map(|group| group["jwks"].to_string().into_bytes()));
    all
}

/// The texts of the JSON parsing test suite.
fn texts() -> Vec<Vec<u8>> {
    const LONGEST: u64 = 4 << 10;
    let folder = repository().join("tests/vectors/json-test-suite/test_parsing");
    let entries = fs::read_dir(folder).expect("the suite is there");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("the suite can be listed"))
        .filter(|entry| entry.metadata().is_ok_and(|file| file.len() <= LONGEST))
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    let read = |path| fs::read(path).expect("the suite can be read");
    paths.into_iter().map(read).collect()
}

/// Lists of numbers, with many digits and few, with exponents and without.
fn numbers() -> impl Iterator<Item = Vec<u8>> {
    let mut random = Random(5);
    let mut digits = move |most: usize| -> String {
        let count = 1 + random.below(most);
        (0..count)
            .map(|_| char::from(b'1' + random.byte() % 9))
            .collect()
    };
    (0..100).map(move |_| {
        let mut one = || {
            let (whole, fraction, exponent) = (digits(22), digits(20), digits(2));
            format!("{whole},-0.{fraction},{whole}.{fraction}e-{exponent},{fraction}e{exponent}")
        };
        format!("{{\"a\": [{}, {}]}}", one(), one()).into_bytes()
    })
}

/// Choices that make expressions.
fn expressions() -> Vec<Vec<u8>> {
    let mut random = Random(5);
    let mut choices = || (0..96).map(|_| random.byte()).collect();
    (0..400).map(|_| choices()).collect()
}

/// The first groups of each file of the JSON Schema test suite, each with a value that is valid
/// and one that is not.
fn schemas() -> Vec<Vec<u8>> {
    const GROUPS: usize = 6;
    let suite = "json-schema-test-suite";
    let mut all = Vec::new();
    for (draft, uri) in [
        (
            "draft2020-12",
            "https://json-schema.org/draft/2020-12/schema",
        ),
        ("draft7", "http://json-schema.org/draft-07/schema#"),
    ] {
        let folder = repository().join("tests/vectors").join(suite).join(draft);
        let entries = fs::read_dir(folder).expect("the suite is there");
        let mut names: Vec<String> = entries
            .map(|entry| entry.expect("the suite can be listed").file_name())
            .map(|name| name.to_string_lossy().into_owned())
            .filter(|name| name.ends_with(".json"))
            .collect();
        names.sort();
        for name in names {
            let file = vectors(&format!("{suite}/{draft}/{name}"));
            for group in file.as_array().into_iter().flatten().take(GROUPS) {
                let mut schema = group["schema"].clone();
                if let Value::Object(members) = &mut schema {
                    members.entry("$schema").or_insert_with(|| uri.into());
                }
                let schemas = json!({ "test": schema });
                for valid in [true, false] {
                    let mut tests = group["tests"].as_array().into_iter().flatten();
                    let test = tests.find(|test| test["valid"] == valid);
                    all.extend(
                        test.map(|test| format!("{schemas}\n{}", test["data"]).into_bytes()),
                    );
                }
            }
        }
    }
    all
}

fn discovery_documents() -> Vec<Vec<u8>> {
    let issuer = r#""issuer":"https://id.example.com/realms/corp""#;
    let keys = r#""jwks_uri":"https://id.example.com/realms/corp/keys""#;
    let whole = format!(
        r#"{{{issuer},"authorization_endpoint":"https://id.example.com/authorize",{keys},
        "response_types_supported":["code"],"subject_types_supported":["public"],
        "mtls_endpoint_aliases":{{"token_endpoint":"https://mtls.example.com/token"}},
        "claims_parameter_supported":false,"op_policy_uri":null,"x_max_age":3600.5}}"#
    );
    let mut all = vec![
        whole,
        format!("{{{keys},{issuer}}}"),
        format!("{{{issuer},{keys},{keys}}}"),
        format!(r#"{{"issuer":"https://evil.example.com/",{issuer},{keys}}}"#),
        format!(r#"{{"issuer":"https:\/\/id.example.com\/realms\u002fcorp",{keys}}}"#),
        format!(r#"{{"issuer":"https://id.example.com/realms/corp/",{keys}}}"#),
        format!(r#"{{{issuer},{keys},"x":[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]}}"#),
        format!(r#"{{{issuer},{keys},"x":[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]}}"#),
        format!(r#"{{{issuer},{keys},"x":{{"jwks_uri":"https://a/","issuer":"https://a/"}}}}"#),
    ];
    let addresses = [
        "https://ID.example.com:443?v=1&kid=%2a",
        "https://id.example.com",
        "https://id.example.com.evil.example/keys",
        "https://id.example.com:8443/keys",
        "http://id.example.com/keys",
        "https://user@id.example.com/keys",
        "https://[2001:db8::1]:443/keys",
        "https://id.example.com/keys#one",
        "https://id.example.com/keys\\u0000",
        "/realms/corp/keys",
    ];
    all.extend(addresses.map(|uri| format!(r#"{{{issuer},"jwks_uri":"{uri}"}}"#)));
    all.into_iter().map(String::into_bytes).collect()
}

fn paths() -> Vec<Vec<u8>> {
    let cases = cases();
    let exchanges = cases.iter().flat_map(|case| &case.exchanges);
    let mut all: Vec<Vec<u8>> = exchanges
        .map(|exchange| exchange.request.path.clone())
        .collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn bodies() -> Vec<Vec<u8>> {
    let cases = cases();
    let forms = cases
        .iter()
        .filter(|case| case.path.to_string_lossy().contains("/forms/"));
    let exchanges = forms.flat_map(|case| &case.exchanges);
    exchanges
        .filter_map(|exchange| exchange.request.body.as_ref().map(|body| body.concat()))
        .collect()
}

fn queries() -> Vec<Vec<u8>> {
    let query = |path: &Vec<u8>| {
        let start = path.iter().position(|b| *b == b'?')?;
        path.get(start + 1..).map(<[u8]>::to_vec)
    };
    paths().iter().filter_map(query).collect()
}

/// The APIs of the cases, each with the requests there that are declared or nearly so.
fn apis() -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for case in cases() {
        let document: Value = serde_json::from_slice(&case.document).unwrap_or_default();
        let apis = document["apis"].as_object().into_iter().flatten();
        for (name, api) in apis {
            let of_api = |route: &&Value| route["openapi"]["api"] == name.as_str();
            let mut routes = document["routes"].as_array().into_iter().flatten();
            let route = routes.find(of_api).unwrap_or(&Value::Null);
            let base = route["openapi"]["base_path"].as_str().unwrap_or_default();
            for exchange in &case.exchanges {
                let request = &exchange.request;
                let path = request.path.strip_prefix(base.as_bytes());
                let mut seed = format!("{api}\n").into_bytes();
                seed.extend(&request.method);
                seed.push(b' ');
                seed.extend(path.unwrap_or_default());
                seed.push(b'\n');
                seed.extend(request.body.iter().flatten().flatten());
                all.push(seed);
            }
            if case.exchanges.is_empty() {
                all.push(format!("{api}\nGET /\n").into_bytes());
            }
        }
    }
    all
}

fn documents() -> Vec<Vec<u8>> {
    const LONGEST: usize = 8 << 10;
    let documents = cases().into_iter().map(|case| case.document);
    documents
        .filter(|document| document.len() <= LONGEST)
        .collect()
}

fn cases() -> Vec<Case> {
    case::read_all(&repository().join("tests/cases")).expect("the cases can be read")
}
