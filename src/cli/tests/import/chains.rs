//! Chains of Envoy and policies of Istio of which a document has to say no less than they do.

use serde_json::{Value, json};

use super::super::{Scratch, run, text};
use super::{TYPE, imported};

const KEYS: &str = r#"{ inline_string: '{"keys":[{"kty":"oct","alg":"HS256","kid":"k","k":"a2tra2tra2tra2tra2tra2tra2tra2tra2tra2tra2s"}]}' }"#;

/// `jwt_authn` with these providers, each with what else is said of it, and these rules.
fn jwt(providers: &[(&str, &str)], rules: &[&str]) -> String {
    let providers = providers.iter().map(|(name, more)| {
        format!("      {name}: {{ issuer: \"https://{name}.example/\", audiences: [x], local_jwks: {KEYS}{more} }}\n")
    });
    let rules = rules.iter().map(|rule| format!("    - {rule}\n"));
    format!(
        "- name: envoy.filters.http.jwt_authn\n  typed_config:\n    \"@type\": {TYPE}.jwt_authn.v3.JwtAuthentication\n    providers:\n{}    rules:\n{}",
        providers.collect::<String>(),
        rules.collect::<String>()
    )
}

/// `rbac` with one policy.
fn rbac(action: &str, permission: &str, principal: &str) -> String {
    format!(
        "- name: envoy.filters.http.rbac\n  typed_config:\n    \"@type\": {TYPE}.rbac.v3.RBAC\n    rules:\n      action: {action}\n      policies: {{ p: {{ permissions: [{permission}], principals: [{principal}] }} }}\n"
    )
}

const ANY: &str = "{ any: true }";

/// What makes a connection manager of filters: one that sees paths as documents do.
const NORMAL: &str = "normalize_path: true\nhttp_filters:\n";

/// Whose claims under that key of the metadata have the role of a guest.
fn guests(key: &str) -> String {
    format!(
        "{{ metadata: {{ filter: envoy.filters.http.jwt_authn, path: [{{ key: {key} }}, {{ key: role }}], value: {{ string_match: {{ exact: guest }} }} }} }}"
    )
}

fn path(path: &str) -> String {
    format!("{{ url_path: {{ path: {{ exact: {path} }} }} }}")
}

/// The only rule of the first route.
fn rule(document: &Value) -> &Value {
    let rules = &document["routes"][0]["access"]["rules"];
    assert_eq!(rules.as_array().map(Vec::len), Some(1), "{document:#}");
    &rules[0]
}

fn refuses_all(document: &Value) -> bool {
    let routes = document["routes"].as_array();
    routes.is_some_and(|routes| !routes.is_empty() && routes.iter().all(|it| it["deny"] == true))
}

#[test]
fn providers_with_other_audiences_take_no_names_of_others() {
    let of = |audiences: &str| {
        format!(
            "{{ match: {{ prefix: / }}, requires: {{ provider_and_audiences: {{ provider_name: corp, audiences: [{audiences}] }} }} }}"
        )
    };
    let (document, _, told) = imported(&jwt(
        &[("corp", ""), ("corp-admin", "")],
        &[
            "{ match: { path: /admin }, requires: { provider_name: corp-admin } }",
            &of("admin"),
        ],
    ));
    let providers = &document["providers"];
    assert_eq!(
        document["routes"][0]["jwt"]["provider"], "corp-admin",
        "{told}"
    );
    assert_eq!(
        providers["corp-admin"]["issuer"],
        "https://corp-admin.example/"
    );
    assert_eq!(document["routes"][1]["jwt"]["provider"], "corp-admin-2");
    let other = &providers["corp-admin-2"];
    assert_eq!(other["issuer"], "https://corp.example/");
    assert_eq!(other["audiences"], json!(["admin"]));
    // What differs at the end alone, and what differs by where words end.
    let long = |end: &str| {
        format!("\"https://a-long-name-of-an-audience.example/services/billing/{end}\"")
    };
    for (one, another) in [
        (long("pay"), long("all")),
        ("pay-web".to_owned(), "pay, web".to_owned()),
    ] {
        let first = of(&one).replace("prefix: /", "path: /pay");
        let (document, _, _) = imported(&jwt(&[("corp", "")], &[&first, &of(&another)]));
        let audiences = |route: usize| {
            let name = &document["routes"][route]["jwt"]["provider"];
            document["providers"][name.as_str().unwrap_or_default()]["audiences"].to_string()
        };
        let plain = |text: &str| text.replace('"', "");
        assert_eq!(plain(&audiences(0)), format!("[{}]", plain(&one)));
        let another = plain(&another).replace(", ", ",");
        assert_eq!(plain(&audiences(1)), format!("[{another}]"));
    }
}

#[test]
fn a_denial_by_claims_is_for_all_providers_with_that_key() {
    let audiences = "{ match: { prefix: / }, requires: { provider_and_audiences: { provider_name: a, audiences: [y] } } }";
    let denial = |key| rbac("DENY", ANY, &guests(key));
    let key = ", payload_in_metadata: payload";
    let condition = json!([{ "claim": "role", "exact": "guest" }]);
    let (document, status, told) =
        imported(&(jwt(&[("a", key)], &[audiences]) + &denial("payload")));
    assert_eq!(status, 0, "{told}");
    assert_eq!(
        rule(&document),
        &json!({ "name": "p", "action": "deny", "when": condition })
    );
    let (document, status, told) =
        imported(&(jwt(&[("a", key), ("b", "")], &[audiences]) + &denial("payload")));
    assert_eq!(status, 0, "{told}");
    assert_eq!(
        rule(&document)["from"],
        json!({ "authorities": ["a", "a-y"] })
    );
    let either = "{ match: { prefix: / }, requires: { requires_any: { requirements: [{ provider_name: a }, { provider_name: b }] } } }";
    let (document, _, _) =
        imported(&(jwt(&[("a", key), ("b", key)], &[either]) + &denial("payload")));
    assert_eq!(rule(&document)["when"], condition);
    assert_eq!(rule(&document).get("from"), None);
    // Rules ask the first of several tokens for its claims.
    let both = either.replace("requires_any", "requires_all");
    let own = [
        ("a", ", payload_in_metadata: a"),
        ("b", ", payload_in_metadata: b"),
    ];
    for (key, status, conditions) in [("a", 0, Some(&condition)), ("b", 1, None)] {
        let (document, found, told) = imported(&(jwt(&own, &[&both]) + &denial(key)));
        assert_eq!(found, status, "{told}");
        assert_eq!(rule(&document).get("when"), conditions);
    }
}

#[test]
fn two_networks_at_once_are_not_none() {
    let both = "{ and_ids: { ids: [{ remote_ip: { address_prefix: 10.0.0.0, prefix_len: 8 } }, { remote_ip: { address_prefix: 10.1.0.0, prefix_len: 16 } }] } }";
    let (document, status, told) = imported(&rbac("DENY", ANY, both));
    assert_eq!(status, 1, "{told}");
    assert_eq!(
        rule(&document),
        &json!({ "name": "p", "action": "deny", "from": { "addresses": ["10.0.0.0/8"] } })
    );
    let (document, status, told) = imported(&rbac("ALLOW", ANY, both));
    assert_eq!(status, 1, "{told}");
    assert!(refuses_all(&document), "{document:#}");
}

#[test]
fn enumerations_may_be_numbers() {
    for (written, action) in [
        ("1", "deny"),
        ("\"1\"", "deny"),
        ("DENY", "deny"),
        ("0", "allow"),
    ] {
        let (document, status, told) =
            imported(&(NORMAL.to_owned() + &rbac(written, &path("/a"), ANY)));
        assert_eq!(status, 0, "{told}");
        assert_eq!(rule(&document)["action"], action, "{written}");
    }
    for written in ["7", "deny", "[DENY]", "1.0"] {
        let (document, status, told) = imported(&rbac(written, &path("/a"), ANY));
        assert_eq!(status, 1, "{told}");
        assert!(refuses_all(&document), "{written}: {document:#}");
    }
    let share = |denominator: &str| {
        imported(&format!(
            "- name: csrf\n  typed_config:\n    \"@type\": {TYPE}.csrf.v3.CsrfPolicy\n    filter_enabled: {{ default_value: {{ numerator: 5000, denominator: {denominator} }} }}\n"
        ))
    };
    for (denominator, status, percent) in [
        ("1", 0, json!(50)),
        ("TEN_THOUSAND", 0, json!(50)),
        ("2", 1, json!(1)),
        ("9", 1, Value::Null),
    ] {
        let (document, found, told) = share(denominator);
        assert_eq!(found, status, "{told}");
        let csrf = &document["routes"][0]["csrf"];
        assert!(csrf.is_object(), "{document:#}");
        assert_eq!(csrf["percent"], percent, "{denominator}");
    }
    let (document, status, told) = imported(&format!(
        r#"- name: m
  typed_config:
    "@type": {TYPE}.header_mutation.v3.HeaderMutation
    mutations: {{ request_mutations: [{{ append: {{ header: {{ key: x-a, value: b }}, append_action: 2 }} }}] }}
- name: l
  typed_config:
    "@type": {TYPE}.local_ratelimit.v3.LocalRateLimit
    stat_prefix: local
    enable_x_ratelimit_headers: 1
    token_bucket: {{ max_tokens: 5, fill_interval: 1s }}
    filter_enabled: {{ default_value: {{ numerator: 1, denominator: 0 }} }}
    filter_enforced: {{ default_value: {{ numerator: 1000000, denominator: 2 }} }}
"#
    ));
    assert_eq!(status, 1, "a share of requests is told: {told}");
    assert_eq!(
        document["routes"][0]["request_headers"],
        json!({ "set": { "x-a": "b" } })
    );
    assert_eq!(document["rate_limits"]["local"]["headers"], "x_ratelimit");
}

#[test]
fn expressions_know_of_case_by_themselves() {
    let open = |matching: &str| {
        let rule = format!("{{ match: {{ {matching}, case_sensitive: false }} }}");
        let rest = "{ match: { prefix: / }, requires: { provider_name: a } }";
        let (document, status, told) =
            imported(&(NORMAL.to_owned() + &jwt(&[("a", "")], &[&rule, rest])));
        assert_eq!(status, 0, "{told}");
        assert_eq!(document["routes"][0]["open"], true);
        document["routes"][0]["match"]["path"].clone()
    };
    for (matching, regex) in [
        ("safe_regex: { regex: \"/public/.*\" }", "/public/.*"),
        (
            "path_match_policy: { name: t, typed_config: { path_template: \"/public/*\" } }",
            "/public/[^/]+",
        ),
        ("path: /public", "(?i)/public"),
    ] {
        assert_eq!(open(matching), json!({ "regex": regex }), "{matching}");
    }
}

#[test]
fn a_host_is_not_the_same_host_at_any_port() {
    let host =
        |test: &str| format!("{{ header: {{ name: \":authority\", string_match: {test} }} }}");
    for (test, is_told_why) in [
        ("{ exact: \"a.com:8443\" }", false),
        ("{ exact: \"*.b.com\" }", false),
        ("{ exact: a.com }", true),
        ("{ exact: a.com, ignore_case: true }", true),
        ("{ suffix: .a.com }", true),
    ] {
        let (document, status, told) = imported(&rbac("ALLOW", &host(test), ANY));
        assert_eq!(status, 1, "{test}: {told}");
        assert!(refuses_all(&document), "{test}: {document:#}");
        assert_eq!(told.contains("at any port"), is_told_why, "{told}");
    }
    let (document, status, told) = imported(&rbac("DENY", &host("{ exact: a.com }"), ANY));
    assert_eq!(status, 0, "{told}");
    assert_eq!(rule(&document)["to"], json!({ "hosts": ["a.com"] }));
    let other = format!("{{ not_rule: {} }}", host("{ exact: a.com }"));
    let (document, status, told) = imported(&rbac("ALLOW", &other, ANY));
    assert_eq!(status, 0, "{told}");
    assert_eq!(rule(&document)["to"], json!({ "not_hosts": ["a.com"] }));
    let (document, status, told) = imported(&rbac("DENY", &other, ANY));
    assert_eq!(status, 1, "{told}");
    assert_eq!(rule(&document), &json!({ "name": "p", "action": "deny" }));
    // Where Envoy takes ports and final dots off, they are the same.
    let filters = rbac("ALLOW", &host("{ exact: a.com, ignore_case: true }"), ANY);
    let manager = format!("strip_any_host_port: true\nhttp_filters:\n{filters}");
    assert!(refuses_all(&imported(&manager).0));
    let (document, status, told) = imported(&format!("strip_trailing_host_dot: true\n{manager}"));
    assert_eq!(status, 0, "{told}");
    assert_eq!(rule(&document)["to"], json!({ "hosts": ["a.com"] }));
}

#[test]
fn hosts_of_istio_are_at_no_port() {
    let policy = |action: &str, hosts: &str| {
        let scratch = Scratch::new(&format!("istio-{action}-{}", hosts.len()));
        scratch.write(
            "policy.yaml",
            &format!("kind: AuthorizationPolicy\nmetadata: {{ name: p }}\nspec: {{ action: {action}, rules: [{{ to: [{{ operation: {{ hosts: [{hosts}] }} }}] }}] }}\n"),
        );
        let output = run(&scratch.0, &["import", "istio", "policy.yaml"]);
        let document: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        (document, output.status.code(), text(&output.stderr))
    };
    for hosts in ["a.com", "\"a.com:80\"", "\"*.a.com\"", "a.com, \"a.com:*\""] {
        let (document, status, told) = policy("ALLOW", hosts);
        assert_eq!(status, Some(1), "{told}");
        assert!(refuses_all(&document), "{hosts}: {document:#}");
    }
    for hosts in ["a.com", "a.com, \"a.com:*\""] {
        let (document, status, told) = policy("DENY", hosts);
        assert_eq!(status, Some(0), "{told}");
        assert_eq!(rule(&document)["to"], json!({ "hosts": ["a.com"] }));
    }
}

#[test]
fn filters_see_what_those_in_front_of_them_leave() {
    let jwt = |rule: &str| jwt(&[("a", ", payload_in_metadata: a")], &[rule]);
    let token = "{ match: { prefix: / }, requires: { provider_name: a } }";
    let claim = rbac("ALLOW", ANY, &guests("a"));
    let (document, _, told) = imported(&(claim.clone() + &jwt(token)));
    assert!(refuses_all(&document), "{told}");
    let (document, status, told) = imported(&(jwt(token) + &claim));
    assert_eq!(status, 0, "{told}");
    assert_eq!(rule(&document)["when"][0]["claim"], "role");
    // Without claims a denial of all that are no guests is for all.
    let others = format!("{{ not_id: {} }}", guests("a"));
    let (document, _, _) = imported(&(rbac("DENY", ANY, &others) + &jwt(token)));
    assert_eq!(rule(&document), &json!({ "name": "p", "action": "deny" }));

    let mutation = |each: &str| {
        format!(
            "- name: m\n  typed_config:\n    \"@type\": {TYPE}.header_mutation.v3.HeaderMutation\n    mutations: {{ request_mutations: [{each}] }}\n"
        )
    };
    let removal = mutation("{ remove: X-Internal }");
    let internal = rbac(
        "ALLOW",
        "{ header: { name: x-internal, present_match: true } }",
        ANY,
    );
    let (document, status, told) = imported(&(removal.clone() + &internal));
    assert_eq!(status, 1, "{told}");
    assert!(refuses_all(&document), "{document:#}");
    let (document, status, told) = imported(&(internal + &removal));
    assert_eq!(status, 0, "{told}");
    assert_eq!(rule(&document)["when"][0]["header"], "x-internal");
    let rewritten = mutation(
        "{ append: { header: { key: \":path\", value: /a }, append_action: OVERWRITE_IF_EXISTS_OR_ADD } }",
    );
    let (document, status, told) = imported(&(rewritten + &rbac("ALLOW", &path("/a"), ANY)));
    assert_eq!(status, 1, "{told}");
    assert!(refuses_all(&document), "{document:#}");
    // The token is taken out, and a claim is put in.
    let writes = super::chains::jwt(
        &[(
            "a",
            ", claim_to_headers: [{ header_name: x-role, claim_name: role }]",
        )],
        &[token],
    );
    for name in ["x-role", "authorization"] {
        let present = format!("{{ header: {{ name: {name}, present_match: true }} }}");
        let (document, status, told) = imported(&(writes.clone() + &rbac("ALLOW", &present, ANY)));
        assert_eq!(status, 1, "{told}");
        assert!(refuses_all(&document), "{document:#}");
    }
    let open = "{ match: { prefix: /, headers: [{ name: x-internal, present_match: true }] } }";
    let (document, status, told) = imported(&(removal + &jwt(open)));
    assert_eq!(status, 1, "{told}");
    assert!(refuses_all(&document), "{document:#}");
}

#[test]
fn of_a_filter_that_guards_all_is_read_or_nobody_gets_through() {
    let filter = |kind: &str, more: &str| {
        format!("- name: f\n  typed_config: {{ \"@type\": {TYPE}.x.v3.{kind}, {more} }}\n")
    };
    let token = "{ match: { prefix: / }, requires: { provider_name: a } }";
    let matcher = "matcher: { on_no_match: { action: { name: x } } }";
    for chain in [
        filter("RBAC", matcher),
        filter("RBAC", "rules: { action: DENY, novel: 1 }"),
        filter("CsrfPolicy", "novel: 1"),
        filter("LocalRateLimit", "stat_prefix: l, novel: 1"),
        filter(
            "ApiKeyAuth",
            "credentials: [{ key: k, client: c }], key_sources: [{ header: x-key }], novel: 1",
        ),
        jwt(&[("a", ", novel: 1")], &[token]),
        jwt(&[("a", "")], &["{ match: { prefix: / }, novel: 1 }"]),
        jwt(&[("a", "")], &[]) + "    novel: 1\n",
    ] {
        let (document, status, told) = imported(&chain);
        assert_eq!(status, 1, "{chain}: {told}");
        assert!(told.contains("is not taken"), "{told}");
        assert!(refuses_all(&document), "{chain}: {document:#}");
    }
    // So of what a route says, and the others are as they were.
    let route = format!(
        "http_filters:\n{}virtual_hosts:\n- name: v\n  domains: [\"*\"]\n  routes:\n  - {{ match: {{ path: /x }}, typed_per_filter_config: {{ f: {{ \"@type\": x.RBACPerRoute, rules: {{ action: ALLOW }} }} }} }}\n",
        filter("RBAC", "rules_stat_prefix: x")
    );
    let (document, status, told) = imported(&route);
    assert_eq!(status, 1, "{told}");
    assert_eq!(document["routes"][0]["deny"], true, "{document:#}");
    assert_eq!(document["routes"][1]["open"], true, "{document:#}");
}
