//! Configurations that documents could be looser than, and are not.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::{Scratch, run, text};

/// What came of an import.
struct Imported {
    scratch: Scratch,
    status: i32,
    told: String,
    document: Value,
}

fn import(name: &str, kind: &str, input: &str, more: &[&str]) -> Imported {
    let scratch = Scratch::new(&format!("strict-{name}"));
    scratch.write("input.yaml", input);
    let words = [&["import", kind, "input.yaml"], more].concat();
    let output = run(&scratch.0, &words);
    let made = text(&output.stdout);
    scratch.write("made.json", &made);
    Imported {
        scratch,
        status: output.status.code().unwrap(),
        told: text(&output.stderr),
        document: serde_json::from_str(&made).unwrap_or_default(),
    }
}

impl Imported {
    /// Whether a request passes.
    fn passes(&self, url: &str, more: &[&str]) -> bool {
        let words = [&["explain", "made.json", url], more].concat();
        let output = run(&self.scratch.0, &words);
        match output.status.code() {
            Some(0) => true,
            Some(1) => false,
            _ => panic!("{url}: {}{}", text(&output.stderr), self.told),
        }
    }
}

const RBAC: &str = "type.googleapis.com/envoy.extensions.filters.http.rbac.v3.RBAC";

/// What a route or a host says to refuse all.
fn nobody() -> String {
    format!(
        r#"typed_per_filter_config: {{ rbac: {{ "@type": {RBAC}PerRoute, rbac: {{ rules: {{ action: ALLOW }} }} }} }}"#
    )
}

/// A manager with a filter that asks nothing by itself.
fn manager(settings: &str, rules: &str, virtual_hosts: &str) -> String {
    format!(
        "{settings}\nhttp_filters:\n- name: rbac\n  typed_config: {{ \"@type\": {RBAC}{rules} }}\nroute_config:\n  virtual_hosts:\n{virtual_hosts}"
    )
}

fn host(name: &str, domain: &str, more: &str) -> String {
    format!(
        "  - name: {name}\n    domains: [\"{domain}\"]\n    routes: [{{ match: {{ prefix: / }}, route: {{ cluster: a }} }}]\n    {more}\n"
    )
}

#[test]
fn a_host_with_a_port_or_a_dot_is_told_where_envoy_takes_it_for_another() {
    let hosts = |rest: &str| host("public", "public.com", "") + &host("rest", "*", rest);
    let port = "with a port in `Host`";
    let dot = "with a dot at the end of `Host`";
    for (name, settings, rest, told) in [
        ("neither", "", nobody(), vec![port, dot]),
        ("port", "strip_any_host_port: true", nobody(), vec![dot]),
        ("dot", "stripTrailingHostDot: true", nobody(), vec![port]),
        (
            "both",
            "strip_any_host_port: true\nstrip_trailing_host_dot: true",
            nobody(),
            vec![],
        ),
        ("same", "", String::new(), vec![]),
    ] {
        let made = import(name, "envoy", &manager(settings, "", &hosts(&rest)), &[]);
        assert_eq!(made.status, i32::from(!told.is_empty()), "{}", made.told);
        for each in [port, dot] {
            assert_eq!(made.told.contains(each), told.contains(&each), "{name}");
        }
    }
    let ignored = manager("strip_trailing_host_dot: true", "", &hosts(&nobody()));
    let ignored = ignored.replace(
        "route_config:\n",
        "route_config:\n  ignore_port_in_host_matching: true\n",
    );
    assert_eq!(import("ignored", "envoy", &ignored, &[]).status, 0);
}

#[test]
fn a_host_of_one_port_refuses_before_all_others() {
    let hosts = host("public", "public.com", "")
        + &host("port", "public.com:8080", &nobody())
        + &host("rest", "*", &nobody());
    let made = import("of-a-port", "envoy", &manager("", "", &hosts), &[]);
    assert_eq!(made.status, 1);
    assert!(!made.passes("http://public.com:8080/", &[]));
    assert!(made.told.contains("is for one port"), "{}", made.told);
}

#[test]
fn paths_that_envoy_does_not_decode_are_told() {
    let rules = |path: &str| {
        format!(
            ", rules: {{ policies: {{ open: {{ permissions: [{{ url_path: {{ path: {path} }} }}], principals: [{{ any: true }}] }} }} }}"
        )
    };
    let all = host("all", "*", "");
    let health = "{ exact: /health }";
    for (name, settings, path, told) in [
        ("raw", "", health, Some("`/%68ealth` is `/health`")),
        ("decoded", "normalize_path: true", health, None),
        ("camel", "normalizePath: true", health, None),
        (
            "reserved",
            "normalize_path: true",
            "{ exact: \"/a$b\" }",
            Some("\"/a$b\""),
        ),
        (
            "wide",
            "normalize_path: true",
            "{ safe_regex: { regex: /v1.0 } }",
            Some("\"/v1.0\""),
        ),
        (
            "regex",
            "normalize_path: true",
            r#"{ safe_regex: { regex: "/v1\\.0/.*" } }"#,
            None,
        ),
    ] {
        let made = import(
            &format!("path-{name}"),
            "envoy",
            &manager(settings, &rules(path), &all),
            &[],
        );
        assert_eq!(
            made.status,
            i32::from(told.is_some()),
            "{name}: {}",
            made.told
        );
        assert!(
            told.is_none_or(|told| made.told.contains(told)),
            "{}",
            made.told
        );
    }
    // What refuses alone may be for more.
    let denied = rules(health).replace("policies", "action: DENY, policies");
    let made = import("path-denied", "envoy", &manager("", &denied, &all), &[]);
    assert_eq!(made.status, 0, "{}", made.told);
    assert!(!made.passes("/%68ealth", &[]));
}

#[test]
fn a_match_that_is_not_for_head_refuses_where_it_cannot_be_said() {
    let route = |method: &str, is_inverted: bool| {
        format!(
            "  - name: all\n    domains: [\"*\"]\n    {}\n    routes:\n    - match: {{ prefix: /x, headers: [{{ name: \":method\", string_match: {{ exact: {method} }}, invert_match: {is_inverted} }}] }}\n      route: {{ cluster: a }}\n      typed_per_filter_config: {{ rbac: {{ \"@type\": {RBAC}PerRoute }} }}\n",
            nobody()
        )
    };
    let head = ["-X", "HEAD"].as_slice();
    let made = import(
        "not-head",
        "envoy",
        &manager("normalize_path: true", "", &route("HEAD", true)),
        &[],
    );
    assert_eq!(made.status, 1, "{}", made.told);
    assert!(!made.passes("/x", head) && !made.passes("/x", &[]));
    let made = import(
        "get",
        "envoy",
        &manager("normalize_path: true", "", &route("GET", false)),
        &[],
    );
    assert_eq!(made.status, 0, "{}", made.told);
    assert!(made.passes("/x", &[]) && !made.passes("/x", head));
}

#[test]
fn what_is_of_the_wrong_kind_or_elsewhere_is_no_document() {
    let all = host("all", "*", "");
    let good = manager("", "", &all);
    for (name, input, told) in [
        ("filters", "http_filters: 5\n".to_owned(), "is no list"),
        (
            "vhds",
            good.replace("route_config:\n", "route_config:\n  vhds: {}\n"),
            "/config_dump",
        ),
        (
            "hosts",
            good.replace(&all, "    5\n"),
            "`virtual_hosts` is no list",
        ),
        ("domains", good.replace("[\"*\"]", "a.com"), "`domains`"),
        (
            "routes",
            good.replace("routes: [", "routes: [5, "),
            "`routes`",
        ),
    ] {
        let made = import(&format!("kind-{name}"), "envoy", &input, &[]);
        assert_eq!(made.status, 2, "{name}: {}", made.told);
        assert!(made.told.contains(told), "{name}: {}", made.told);
        assert_eq!(made.document, Value::Null, "{name}");
    }
    assert_eq!(import("kind-good", "envoy", &good, &[]).status, 0);
}

fn policy(spec: &str) -> String {
    format!(
        "apiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {{ name: p }}\nspec: {spec}\n"
    )
}

#[test]
fn a_policy_without_a_namespace_is_for_the_one_that_is_asked_for() {
    let allowed = policy("{ rules: [{}] }").replace("name: p", "name: a, namespace: shop");
    let denied = policy("{ action: DENY, rules: [{ to: [{ operation: { paths: [/admin*] } }] }] }");
    let both = format!("{allowed}---\n{denied}");
    let made = import("namespace", "istio", &both, &["--namespace", "shop"]);
    assert_eq!(made.status, 0, "{}", made.told);
    assert!(made.passes("/a", &[]) && !made.passes("/admin", &[]));
    assert!(made.told.contains("names no namespace"), "{}", made.told);
}

#[test]
fn what_a_policy_does_not_say_as_it_should_lets_nobody_through() {
    for (number, rule) in [
        "{ from: [{ source: { principals: [] } }] }",
        "{ from: [{ source: { requestPrincipals: '*' } }] }",
        "{ from: [{ source: {} }] }",
        "{ from: [{ source: { ipBlocks: [{}] } }] }",
        "{ from: [] }",
        "{ from: { source: { namespaces: [a] } } }",
        "{ form: [{ source: { namespaces: [a] } }] }",
        "{ to: [{ operation: { paths: [] } }] }",
        "{ to: [{ operation: { paths: /b } }] }",
        "{ to: [{ operation: { notPaths: [] } }] }",
        "{ to: [{ operation: { paths: [/b], other: [a] } }] }",
        "{ to: [{ operation: { methods: [GET] }, more: 1 }] }",
        "{ to: [{}] }",
        "{ when: [] }",
        "{ when: [{ key: 'request.headers[x]' }] }",
        "{ when: [{ key: 'request.headers[x]', values: [] }] }",
        "{ when: [{ key: 'request.headers[x]', values: [a], notValues: [] }] }",
        "{ when: [{ key: 'request.headers[x]', values: a }] }",
        "{ when: [{ values: [a] }] }",
        "5",
    ]
    .into_iter()
    .enumerate()
    {
        for action in ["ALLOW", "DENY"] {
            let spec = format!("{{ action: {action}, rules: [{rule}] }}");
            let name = format!("rule-{number}-{action}");
            let made = import(&name, "istio", &policy(&spec), &[]);
            assert_eq!(made.status, 1, "{action} {rule}: {}", made.told);
            let passes = made.passes("/b", &["-H", "x: a"]);
            assert!(!passes, "{action} {rule}: {:#}", made.document);
        }
    }
    for (number, spec) in [
        "{ action: deny, rules: [{}] }",
        "{ action: 7, rules: [{}] }",
        "{ action: DENY, rules: { to: [] } }",
        "{ action: DENY, rule: [{}] }",
    ]
    .into_iter()
    .enumerate()
    {
        let made = import(&format!("spec-{number}"), "istio", &policy(spec), &[]);
        assert_eq!(made.status, 1, "{spec}: {}", made.told);
        assert!(!made.passes("/b", &[]), "{spec}: {:#}", made.document);
    }
    // By its number in protobuf.
    let made = import(
        "spec-deny",
        "istio",
        &policy("{ action: 1, rules: [{}] }"),
        &[],
    );
    assert_eq!(made.status, 0, "{}", made.told);
    assert!(!made.passes("/b", &[]));
}

const KEY: [u8; 32] = [b'k'; 32];

/// `authorization` with a token of the issuer, and these claims besides.
fn token(more: &[(&str, &str)]) -> String {
    let mut claims = json!({ "iss": "https://a.example.com/" });
    for (name, value) in more {
        claims[*name] = (*value).into();
    }
    let part = |value: Value| URL_SAFE_NO_PAD.encode(value.to_string());
    let signed = part(json!({ "alg": "HS256", "kid": "k" })) + "." + &part(claims);
    let signature = hmac_sha256::HMAC::mac(signed.as_bytes(), KEY);
    let signature = URL_SAFE_NO_PAD.encode(signature);
    format!("authorization: Bearer {signed}.{signature}")
}

fn issuer(more: &str) -> String {
    let key = URL_SAFE_NO_PAD.encode(KEY);
    format!(
        "apiVersion: security.istio.io/v1\nkind: RequestAuthentication\nmetadata: {{ name: r }}\nspec:\n  jwtRules:\n  - issuer: https://a.example.com/\n    jwks: '{{\"keys\":[{{\"kty\":\"oct\",\"alg\":\"HS256\",\"kid\":\"k\",\"k\":\"{key}\"}}]}}'\n{more}---\n"
    )
}

#[test]
fn a_token_without_a_subject_has_no_principal() {
    let (nobody, somebody) = (token(&[]), token(&[("sub", "alice")]));
    for (number, (action, field, values, passing)) in [
        ("ALLOW", "requestPrincipals", "'*'", [false, false, true]),
        (
            "ALLOW",
            "requestPrincipals",
            "https://a.example.com//*",
            [false, false, true],
        ),
        ("ALLOW", "notRequestPrincipals", "'*'", [true, true, false]),
        ("DENY", "requestPrincipals", "'*'", [true, true, false]),
        ("DENY", "notRequestPrincipals", "'*'", [false, false, true]),
        (
            "DENY",
            "notRequestPrincipals",
            "https://a.example.com//*",
            [false, false, true],
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let spec = format!(
            "{{ action: {action}, rules: [{{ from: [{{ source: {{ {field}: [{values}] }} }}] }}] }}"
        );
        let made = import(
            &format!("subject-{number}"),
            "istio",
            &(issuer("") + &policy(&spec)),
            &[],
        );
        assert_eq!(made.status, 0, "{spec}: {}", made.told);
        let found = [
            made.passes("/", &[]),
            made.passes("/", &["-H", &nobody]),
            made.passes("/", &["-H", &somebody]),
        ];
        assert_eq!(found, passing, "{spec}: {:#}", made.document);
    }
}

#[test]
fn an_issuer_whose_lists_cannot_be_read_lets_nobody_through() {
    let somebody = token(&[("sub", "alice"), ("aud", "b")]);
    let field = ["-H", somebody.as_str()];
    for (number, (more, status)) in [
        ("    audiences: [b]\n", 0),
        ("    audiences: a\n", 1),
        ("    fromHeaders: [{ prefix: a }]\n", 1),
        ("    fromParams: t\n", 1),
    ]
    .into_iter()
    .enumerate()
    {
        let made = import(&format!("issuer-{number}"), "istio", &issuer(more), &[]);
        assert_eq!(made.status, status, "{more}: {}", made.told);
        assert_eq!(made.passes("/", &field), status == 0, "{more}");
    }
}

#[test]
fn objects_that_are_not_read_are_told() {
    let object = |version: &str, kind: &str| {
        format!(
            "apiVersion: {version}\nkind: {kind}\nmetadata: {{ name: other }}\nspec: {{}}\n---\n"
        )
    };
    for (kind, object, status, told) in [
        (
            "peers",
            object("security.istio.io/v1", "PeerAuthentication"),
            1,
            "error: PeerAuthentication other has no counterpart",
        ),
        (
            "plugin",
            object("extensions.istio.io/v1alpha1", "WasmPlugin"),
            1,
            "error: WasmPlugin other has no counterpart",
        ),
        (
            "filter",
            object("networking.istio.io/v1alpha3", "EnvoyFilter").replace(
                "{}",
                "{ configPatches: [{ applyTo: HTTP_FILTER, patch: { operation: INSERT_BEFORE, value: { name: lua } } }] }",
            ),
            1,
            "a patch of EnvoyFilter other that is not read",
        ),
        (
            "entry",
            object("networking.istio.io/v1", "ServiceEntry"),
            0,
            "note: ServiceEntry other is not read",
        ),
        ("none", "metadata: {}\n---\n".to_owned(), 1, "without `kind`"),
    ] {
        let input = object + &policy("{ rules: [{ to: [{ operation: { paths: [/a] } }] }] }");
        let made = import(&format!("kind-{kind}"), "istio", &input, &[]);
        assert_eq!(made.status, status, "{kind}: {}", made.told);
        assert!(made.told.contains(told), "{kind}: {}", made.told);
        assert!(made.passes("/a", &[]) && !made.passes("/b", &[]), "{kind}");
    }
}

#[test]
fn operations_that_stand_elsewhere_in_an_api_are_looked_at() {
    let api = |security: &str| {
        format!(
            "openapi: 3.1.0\ninfo: {{ title: t, version: '1' }}\npaths:\n  /a: {{ $ref: '#/components/pathItems/A~1' }}\ncomponents:\n  pathItems:\n    A/: {{ $ref: '#/components/pathItems/B' }}\n    B: {{ get: {{ {security} responses: {{ '200': {{ description: ok }} }} }} }}\n  securitySchemes: {{ k: {{ type: apiKey, in: header, name: x-key }} }}\n"
        )
    };
    let made = import("api-keys", "openapi", &api("security: [{ k: [] }],"), &[]);
    assert_eq!(made.status, 1, "{}", made.told);
    assert_eq!(made.document["routes"][0]["deny"], true);
    let made = import("api-open", "openapi", &api("security: [{}],"), &[]);
    assert_eq!(made.status, 0, "{}", made.told);
    assert_eq!(made.document["routes"][0]["open"], true);
}
