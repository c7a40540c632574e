//! Filters that are blocks of a route as they stand: `cors`, `csrf`, `buffer`, `header_mutation`, `api_key_auth`.

use serde_json::{Map, Value, json};

use super::paths::string_matcher;
use super::probe::probe;
use super::reading::{
    Report, boolean, choice, items, member, number, path, rest, scalar, text, texts,
};
use portcullis_cases::tree::Tree;

/// How many of a hundred requests something is for; rounded up. `usual`: if nothing is said.
pub(super) fn percent(tree: Option<&Tree>, usual: u64, report: &mut Report) -> u64 {
    let Some(tree) = tree else { return usual };
    if text(tree, "runtime_key").is_some() {
        report.note(
            &tree.at,
            "the share is that of `default_value`: nothing asks the proxy's runtime here",
        );
    }
    let value = member(tree, "default_value").unwrap_or(tree);
    let numerator = match member(value, "numerator") {
        Some(_) => number(value, "numerator"),
        None => Some(0),
    };
    let names = ["HUNDRED", "TEN_THOUSAND", "MILLION"];
    let (Some(numerator), Ok(name)) = (numerator, choice(value, "denominator", &names)) else {
        report.lost(
            &value.at,
            "a share that cannot be read: it is all; write a number as `numerator`, and HUNDRED, TEN_THOUSAND or MILLION",
        );
        return 100;
    };
    let whole: u64 = match name {
        Some("TEN_THOUSAND") => 10_000,
        Some("MILLION") => 1_000_000,
        _ => 100,
    };
    let share = numerator.min(whole).saturating_mul(100);
    if !share.is_multiple_of(whole) {
        report.lost(
            &value.at,
            "a share that is no whole number of a hundred: it is rounded up",
        );
    }
    share.div_ceil(whole)
}

/// Puts a block into shadow mode, or into force for a share of requests. None: it is not in force at all.
pub(super) fn in_force(
    mut block: Map<String, Value>,
    enabled: u64,
    shadow: u64,
) -> Option<Map<String, Value>> {
    match (enabled, shadow) {
        (0, 0) => return None,
        (0, _) => {
            block.insert("mode".into(), "shadow".into());
        }
        (100, _) => {}
        (share, _) => {
            block.insert("percent".into(), share.into());
            block.insert("percent_by".into(), "request".into());
        }
    }
    Some(block)
}

/// Whether a block is one: alone on a route.
fn stands(name: &str, block: &Value) -> Result<(), String> {
    probe(&json!({
        "version": 1,
        "routes": [{ "name": "all", "match": {}, "open": true, name: block }],
    }))
}

/// The words of a list that is one text: `GET, POST`.
fn words(tree: &Tree, name: &str) -> Vec<String> {
    let text = text(tree, name).unwrap_or_default().split(',');
    let words = text.map(|word| word.trim().to_owned());
    words.filter(|word| !word.is_empty()).collect()
}

/// A `CorsPolicy`.
pub(super) fn cors(tree: &Tree, report: &mut Report) -> Option<Value> {
    rest(
        tree,
        &[
            "allow_origin_string_match",
            "allow_methods",
            "allow_headers",
            "expose_headers",
            "max_age",
            "allow_credentials",
            "filter_enabled",
            "shadow_enabled",
            "allow_private_network_access",
            "forward_not_matching_preflights",
        ],
        "a policy of cors",
        report,
    );
    let mut cors = Map::new();
    let mut origins: Vec<Value> = Vec::new();
    for each in items(tree, "allow_origin_string_match") {
        let mut trial = cors_with(tree, &[]);
        match origin(each) {
            Some(origin) => {
                trial.insert("allow_origins".into(), json!([origin]));
                match stands("cors", &trial.into()) {
                    Ok(()) => origins.push(origin),
                    Err(problems) => report.lost(&each.at, format!("an origin that is left out: {problems}")),
                }
            }
            None => report.lost(&each.at, "origins that cannot be said are left out: write `exact`, `wildcard` or `regex` of whole origins"),
        }
    }
    if origins.is_empty() {
        report.lost(&tree.at, "a policy of cors without origins is left out: pages of no other origin get through then");
        return None;
    }
    cors.extend(cors_with(tree, &origins));
    let enabled = percent(member(tree, "filter_enabled"), 100, report);
    let shadow = percent(member(tree, "shadow_enabled"), 0, report);
    let cors = in_force(cors, enabled, shadow)?;
    report.took("a policy of cors");
    Some(cors.into())
}

fn cors_with(tree: &Tree, origins: &[Value]) -> Map<String, Value> {
    let mut cors = Map::new();
    cors.insert("allow_origins".into(), origins.to_vec().into());
    let methods = words(tree, "allow_methods").into_iter();
    // Browsers send these unasked.
    let methods =
        methods.filter(|method| !["GET", "HEAD", "POST", "OPTIONS"].contains(&method.as_str()));
    for (name, list) in [
        ("allow_methods", methods.collect::<Vec<_>>()),
        ("allow_headers", words(tree, "allow_headers")),
        ("expose_headers", words(tree, "expose_headers")),
    ] {
        let list: Vec<String> = match name {
            "allow_methods" => list,
            _ => list.iter().map(|word| word.to_ascii_lowercase()).collect(),
        };
        if !list.is_empty() {
            cors.insert(name.into(), list.into());
        }
    }
    if let Some(age) = member(tree, "max_age").and_then(scalar) {
        cors.insert("max_age".into(), format!("{age}s").into());
    }
    for name in ["allow_credentials", "allow_private_network_access"] {
        if boolean(tree, name) {
            cors.insert(name.into(), true.into());
        }
    }
    cors.insert("on_disallowed".into(), "omit".into());
    cors
}

fn origin(tree: &Tree) -> Option<Value> {
    let (kind, value, _) = string_matcher(tree)?;
    Some(match kind {
        "exact" if value == "*" => json!({ "wildcard": "*" }),
        "exact" => json!({ "exact": value }),
        "regex" if value == ".*" => json!({ "wildcard": "*" }),
        "regex" => {
            let inner = value.strip_prefix('^').unwrap_or(&value);
            let inner = inner.strip_suffix('$').unwrap_or(inner);
            json!({ "regex": format!("^{inner}$") })
        }
        _ => return None,
    })
}

/// A `CsrfPolicy`; none if it is not in force.
///
/// # Errors
/// If not all of it is read, which has been reported.
pub(super) fn csrf(tree: &Tree, report: &mut Report) -> Result<Option<Value>, ()> {
    let known = ["filter_enabled", "shadow_enabled", "additional_origins"];
    if !rest(tree, &known, "a policy of csrf", report) {
        return Err(());
    }
    let mut csrf = Map::new();
    let mut origins = Vec::new();
    for each in items(tree, "additional_origins") {
        let host = string_matcher(each).filter(|(kind, ..)| *kind == "exact");
        let origin = host.map(|(_, host, _)| json!({ "exact": format!("https://{host}") }));
        let is_one =
            |origin: &Value| stands("csrf", &json!({ "additional_origins": [origin] })).is_ok();
        match origin.filter(is_one) {
            Some(origin) => {
                report.note(&each.at, "pages of this host over https alone: here an origin has a scheme");
                origins.push(origin);
            }
            None => report.lost(&each.at, "origins that cannot be said are left out: write `exact`, `wildcard` or `regex` of whole origins"),
        }
    }
    if !origins.is_empty() {
        csrf.insert("additional_origins".into(), origins.into());
    }
    let enabled = percent(member(tree, "filter_enabled"), 0, report);
    let shadow = percent(member(tree, "shadow_enabled"), 0, report);
    let Some(csrf) = in_force(csrf, enabled, shadow) else {
        return Ok(None);
    };
    report.took("a policy of csrf");
    Ok(Some(csrf.into()))
}

/// `Buffer`: how large a body may be.
pub(super) fn buffer(tree: &Tree, report: &mut Report) -> Option<Value> {
    rest(tree, &["max_request_bytes"], "buffer", report);
    let Some(bytes) = number(tree, "max_request_bytes") else {
        report.lost(&tree.at, "a limit of buffer that is no number is left out");
        return None;
    };
    report.took("the limit of buffer");
    report.note(&tree.at, "a body is held only where a block has to see it; `forbid_body` is empty, since buffer looks at no method");
    Some(json!({ "max_bytes": bytes, "forbid_body": [], "upgrades": "uninspected" }))
}

/// The blocks of `HeaderMutation`s, from the filter's own to the most specific.
pub(super) fn header_mutations(
    all: &[&Tree],
    report: &mut Report,
) -> (Option<Value>, Option<Value>) {
    let mut sides = [Fields::default(), Fields::default()];
    for config in all {
        rest(
            config,
            &["mutations", "most_specific_header_mutations_wins"],
            "header_mutation",
            report,
        );
        let Some(mutations) = member(config, "mutations") else {
            continue;
        };
        rest(
            mutations,
            &["request_mutations", "response_mutations"],
            "header_mutation",
            report,
        );
        let names = ["request_mutations", "response_mutations"];
        for (fields, name) in sides.iter_mut().zip(names) {
            for each in items(mutations, name) {
                fields.add(each, name == "request_mutations", report);
            }
        }
    }
    let [request, response] = sides;
    let request = request.json("request_headers", report, all);
    (request, response.json("response_headers", report, all))
}

#[derive(Default)]
struct Fields {
    set: Map<String, Value>,
    if_absent: Map<String, Value>,
    remove: Vec<String>,
}

impl Fields {
    fn add(&mut self, tree: &Tree, is_request: bool, report: &mut Report) {
        rest(tree, &["append", "remove"], "a mutation", report);
        if let Some(name) = text(tree, "remove") {
            self.forget(name);
            self.remove.push(name.to_ascii_lowercase());
            return;
        }
        let Some(append) = member(tree, "append") else {
            return;
        };
        rest(
            append,
            &["header", "append_action", "keep_empty_value"],
            "a mutation",
            report,
        );
        let Some(header) = member(append, "header") else {
            return;
        };
        let Some(name) = text(header, "key").map(str::to_ascii_lowercase) else {
            return;
        };
        let value = member(header, "value").and_then(scalar).unwrap_or_default();
        let value = template(&value);
        let actions = [
            "APPEND_IF_EXISTS_OR_ADD",
            "ADD_IF_ABSENT",
            "OVERWRITE_IF_EXISTS_OR_ADD",
            "OVERWRITE_IF_EXISTS",
        ];
        let action = choice(append, "append_action", &actions);
        let action = action.map(|action| action.unwrap_or("APPEND_IF_EXISTS_OR_ADD"));
        let action = action.unwrap_or("unknown");
        let value = match (value, action) {
            (Some(value), "OVERWRITE_IF_EXISTS_OR_ADD" | "ADD_IF_ABSENT") => value,
            (Some(value), "APPEND_IF_EXISTS_OR_ADD") => {
                report.lost(&append.at, format!("a second field {name:?} beside one that is there cannot be added: it is set, in place of that"));
                value
            }
            (found, _) => {
                let why = match found {
                    None => "a value that cannot be written: see the places of `request_headers`",
                    Some(_) if action == "unknown" => "an `append_action` that is none",
                    Some(_) => "a field that is set only where it is there",
                };
                let came = if is_request {
                    "it is taken out"
                } else {
                    "it is left as it is"
                };
                report.lost(&append.at, format!("{name:?}: {why}; {came}"));
                if is_request {
                    self.forget(&name);
                    self.remove.push(name);
                }
                return;
            }
        };
        self.forget(&name);
        let fields = match action {
            "ADD_IF_ABSENT" => &mut self.if_absent,
            _ => &mut self.set,
        };
        fields.insert(name, value.into());
    }

    /// Whatever comes later counts.
    fn forget(&mut self, name: &str) {
        let name = name.to_ascii_lowercase();
        self.set.remove(&name);
        self.if_absent.remove(&name);
        self.remove.retain(|each| *each != name);
    }

    fn json(self, name: &str, report: &mut Report, all: &[&Tree]) -> Option<Value> {
        let mut block = Map::new();
        if !self.set.is_empty() {
            block.insert("set".into(), self.set.into());
        }
        if !self.if_absent.is_empty() {
            block.insert("add_if_absent".into(), self.if_absent.into());
        }
        if !self.remove.is_empty() {
            block.insert("remove".into(), self.remove.into());
        }
        if block.is_empty() {
            return None;
        }
        let block = Value::from(block);
        match stands(name, &block) {
            Ok(()) => {
                report.took(format!("header_mutation as `{name}`"));
                Some(block)
            }
            Err(problems) => {
                if let Some(tree) = all.last() {
                    report.lost(
                        &tree.at,
                        format!("header_mutation has no counterpart; keep the filter: {problems}"),
                    );
                }
                None
            }
        }
    }
}

/// A value as documents write it; none if something in it has no counterpart.
fn template(value: &str) -> Option<String> {
    let mut out = String::new();
    let mut parts = value.split('%');
    out += &parts.next()?.replace('{', "{{").replace('}', "}}");
    while let Some(command) = parts.next() {
        let rest = parts.next()?;
        out += match command {
            "" => "%",
            "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT" => "{client.address}",
            "REQ(:METHOD)" | "REQ(:method)" => "{request.method}",
            "REQ(X-REQUEST-ID)" | "REQ(x-request-id)" => "{request.id}",
            _ => return None,
        };
        out += &rest.replace('{', "{{").replace('}', "}}");
    }
    Some(out)
}

/// An `ApiKeyAuth`, or what a route has of it in its place, as a store; and the clients that are allowed.
pub(super) fn api_keys(
    config: &Tree,
    route: Option<&Tree>,
    report: &mut Report,
) -> Option<(Value, Vec<String>)> {
    let own = |name| {
        route
            .and_then(|route| member(route, name))
            .or_else(|| member(config, name))
    };
    let known = ["credentials", "key_sources", "forwarding"];
    if !rest(config, &known, "api_key_auth", report) {
        return None;
    }
    let mut store = Map::new();
    let mut keys = Vec::new();
    for each in own("credentials").map(Tree::children).unwrap_or_default() {
        let (Some(key), Some(client)) = (text(each, "key"), text(each, "client")) else {
            report.lost(&each.at, "a key without `key` and `client` is left out");
            continue;
        };
        let hash = hmac_sha256::Hash::hash(key.as_bytes());
        let hash: String = hash.iter().map(|byte| format!("{byte:02x}")).collect();
        let id = format!("{client}-{}", keys.len() + 1);
        keys.push(json!({ "id": id, "hash": hash, "client": client }));
    }
    store.insert("keys".into(), keys.into());
    let (mut headers, mut params, mut cookies) = (Vec::new(), Vec::new(), Vec::new());
    for source in own("key_sources").map(Tree::children).unwrap_or_default() {
        if let Some(header) = text(source, "header") {
            let name = header.to_ascii_lowercase();
            headers.push(match name.as_str() {
                // Envoy takes the scheme of a token off.
                "authorization" => json!({ "name": name, "value_prefix": "Bearer " }),
                _ => json!({ "name": name }),
            });
        } else if let Some(param) = text(source, "query") {
            params.push(Value::from(param));
        } else if let Some(cookie) = text(source, "cookie") {
            cookies.push(Value::from(cookie));
        }
    }
    for (name, list) in [
        ("from_headers", headers),
        ("from_params", params),
        ("from_cookies", cookies),
    ] {
        if !list.is_empty() {
            store.insert(name.into(), list.into());
        }
    }
    let forwarding = member(config, "forwarding");
    if !forwarding.is_some_and(|tree| boolean(tree, "hide_credentials")) {
        store.insert("forward".into(), true.into());
    }
    if let Some(header) = forwarding.and_then(|tree| text(tree, "header")) {
        let name = header.to_ascii_lowercase();
        store.insert(
            "claim_to_headers".into(),
            json!([{ "header_name": name, "claim_name": "client" }]),
        );
    }
    let allowed = route
        .map(|route| texts(route, "allowed_clients"))
        .unwrap_or_default();
    let store = Value::from(store);
    let trial = probe(&json!({
        "version": 1,
        "api_key_stores": { "keys": store },
        "routes": [{ "name": "all", "match": {}, "api_key": { "store": "keys" } }],
    }));
    match trial {
        Ok(()) => {
            report.took("the keys of api_key_auth");
            Some((store, allowed))
        }
        Err(problems) => {
            let at = path(config, &["credentials"]).unwrap_or(config);
            report.lost(
                &at.at,
                format!("the keys are left out, and what asks for them is refused: {problems}"),
            );
            None
        }
    }
}
