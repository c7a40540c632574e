//! `jwt_authn`: who issues tokens, and what asks for them.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::headers::{item, test};
use super::paths::string_matcher;
use super::probe::probe;
use super::reading::{
    Report, boolean, duration, entries, items, member, number, path, rest, text, texts,
};
use portcullis_cases::tree::{Tree, of_json};

/// The providers of one filter.
#[derive(Default)]
pub(super) struct Providers {
    /// As documents have them.
    pub(super) taken: BTreeMap<String, Value>,
    /// Under which name the metadata has the claims of which providers.
    pub(super) metadata: BTreeMap<String, BTreeSet<String>>,
    /// The names of all that are configured, be they taken or not.
    configured: BTreeSet<String>,
    /// Providers that are others but for their audiences, and those others.
    derived: BTreeMap<String, String>,
}

/// What a route asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Need {
    /// No token.
    Nothing,
    /// This `jwt` block.
    Jwt(Value),
    /// Something that cannot be said: nobody gets through.
    Denied,
}

const KNOWN: [&str; 21] = [
    "issuer",
    "audiences",
    "subjects",
    "require_expiration",
    "max_lifetime",
    "remote_jwks",
    "local_jwks",
    "forward",
    "from_headers",
    "from_params",
    "from_cookies",
    "forward_payload_header",
    "payload_in_metadata",
    "clock_skew_seconds",
    "claim_to_headers",
    "jwt_cache_config",
    "normalize_payload_in_metadata",
    "failed_status_in_metadata",
    "header_in_metadata",
    "pad_forward_payload_header",
    "clear_route_cache",
];

impl Providers {
    /// Those of a `JwtAuthentication`.
    pub(super) fn read(config: &Tree, report: &mut Report) -> Self {
        let mut providers = Self::default();
        let all = member(config, "providers").map(entries).unwrap_or_default();
        for (name, tree) in all {
            providers.configured.insert(name.to_owned());
            if let Some(metadata) = text(tree, "payload_in_metadata") {
                let names = providers.metadata.entry(metadata.to_owned()).or_default();
                names.insert(name.to_owned());
                report.note(
                    &tree.at,
                    format!("filters behind this one find no claims in the metadata of jwt_authn: give them what they need with `claim_to_filter_state` of the provider {name:?}"),
                );
            }
            if let Some(provider) = provider(name, tree, report) {
                report.took(format!("the provider {name:?} of jwt_authn"));
                providers.taken.insert(name.to_owned(), provider);
            }
        }
        providers
    }

    /// What a `JwtRequirement` asks for.
    pub(super) fn need(&mut self, tree: &Tree, report: &mut Report) -> Need {
        let mut found = Combination::default();
        let all: Vec<(&str, &Tree)> = entries(tree);
        let is_met = match all.as_slice() {
            [] => return Need::Nothing,
            [("requires_all" | "requiresAll", list)] => {
                found.is_all = true;
                items(list, "requirements")
                    .into_iter()
                    .all(|each| self.add(each, &mut found, report))
            }
            [("requires_any" | "requiresAny", list)] => items(list, "requirements")
                .into_iter()
                .all(|each| self.add(each, &mut found, report)),
            _ => self.add(tree, &mut found, report),
        };
        if !is_met || found.providers.len() > 8 {
            report.lost(
                &tree.at,
                "a requirement that `jwt` cannot say: what asks for it is refused; write `any_of` or `all_of` of up to 8 providers for it",
            );
            return Need::Denied;
        }
        if found.is_all && found.is_optional {
            report.lost(
                &tree.at,
                "all of several tokens or none: a token is needed here",
            );
            found.is_optional = false;
        }
        if found.providers.is_empty() {
            // Whoever brings a token has to bring a good one, of anybody.
            found.providers = self.taken.keys().cloned().collect();
            if found.providers.is_empty() || found.providers.len() > 8 {
                report.lost(
                    &tree.at,
                    "tokens of nobody, or of more than eight providers: what asks for them is refused; write `any_of` of up to 8 providers for it",
                );
                return Need::Denied;
            }
        }
        Need::Jwt(found.json())
    }

    /// The name of a provider that is another but for its audiences. Its claims stand where those of the other do.
    fn derive(&mut self, base: &str, wanted: &str, provider: Value) -> String {
        // With a number behind it, a name is still no longer than names are.
        let wanted: String = wanted.chars().take(56).collect();
        let is_other = |name: &String| {
            let is_same = self.derived.get(name).is_some_and(|of| of == base)
                && self.taken.get(name) == Some(&provider);
            !is_same && (self.taken.contains_key(name) || self.configured.contains(name))
        };
        let mut name = wanted.clone();
        let mut number = 1;
        while is_other(&name) {
            number += 1;
            name = format!("{wanted}-{number}");
        }
        for names in self.metadata.values_mut() {
            if names.contains(base) {
                names.insert(name.clone());
            }
        }
        self.derived.insert(name.clone(), base.to_owned());
        self.taken.insert(name.clone(), provider);
        name
    }

    /// Takes those of another filter.
    pub(super) fn extend(&mut self, other: Self) {
        self.taken.extend(other.taken);
        self.metadata.extend(other.metadata);
        self.configured.extend(other.configured);
        self.derived.extend(other.derived);
    }

    /// Adds one requirement to those of a combination. Whether it can be said.
    fn add(&mut self, tree: &Tree, found: &mut Combination, report: &mut Report) -> bool {
        let all = entries(tree);
        let [(kind, inner)] = all.as_slice() else {
            return false;
        };
        match *kind {
            "provider_name" | "providerName" => {
                let name = inner.text().unwrap_or_default();
                found.providers.push(name.to_owned());
                self.taken.contains_key(name)
            }
            "provider_and_audiences" | "providerAndAudiences" => {
                let name = text(inner, "provider_name").unwrap_or_default();
                let Some(mut provider) = self.taken.get(name).cloned() else {
                    return false;
                };
                let audiences = texts(inner, "audiences");
                if !audiences.is_empty() {
                    let wanted = format!("{name}-{}", audiences.join("-"));
                    if let Value::Object(provider) = &mut provider {
                        provider.insert("audiences".into(), audiences.into());
                    }
                    found.providers.push(self.derive(name, &wanted, provider));
                } else {
                    found.providers.push(name.to_owned());
                }
                true
            }
            "allow_missing" | "allowMissing" => {
                found.is_optional = true;
                true
            }
            "allow_missing_or_failed" | "allowMissingOrFailed" => {
                report.lost(
                    &inner.at,
                    "lets requests with bad tokens pass: here a token may be missing, and a bad one is refused",
                );
                found.is_optional = true;
                true
            }
            _ => false,
        }
    }
}

/// Several requirements as one block.
#[derive(Default)]
struct Combination {
    providers: Vec<String>,
    is_all: bool,
    is_optional: bool,
}

impl Combination {
    fn json(self) -> Value {
        let mut block = Map::new();
        match self.providers.as_slice() {
            [one] => {
                block.insert("provider".into(), json!(one));
            }
            several => {
                let name = if self.is_all { "all_of" } else { "any_of" };
                let each = several.iter().map(|name| json!({ "provider": name }));
                block.insert(name.into(), each.collect());
            }
        }
        if self.is_optional {
            block.insert("optional".into(), true.into());
        }
        block.into()
    }
}

/// One provider; none if it cannot be had.
fn provider(name: &str, tree: &Tree, report: &mut Report) -> Option<Value> {
    if !rest(tree, &KNOWN, &format!("the provider {name:?}"), report) {
        report.lost(
            &tree.at,
            format!(
                "the provider {name:?} is left out, and what asks for its tokens is refused: not all that it says is read"
            ),
        );
        return None;
    }
    let mut provider = Map::new();
    provider.insert(
        "issuer".into(),
        text(tree, "issuer").unwrap_or("any").into(),
    );
    let audiences = texts(tree, "audiences");
    let audiences = match audiences.is_empty() {
        true => "any".into(),
        false => Value::from(audiences),
    };
    provider.insert("audiences".into(), audiences);
    keys(tree, &mut provider, report);
    places(tree, ENVOYS_PLACES, &mut provider);
    if !boolean(tree, "require_expiration") {
        provider.insert("require_expiration".into(), false.into());
        report.note(
            &tree.at,
            format!("tokens without `exp` are good for ever, as they were: take `require_expiration: false` out of the provider {name:?} if there are none"),
        );
    }
    if let Some(lifetime) = member(tree, "max_lifetime") {
        provider.insert("max_lifetime".into(), duration(lifetime).into());
        report.note(
            &lifetime.at,
            "bounds the time from `iat` to `exp` here, not what is left of it, and asks for `iat`",
        );
    }
    if let Some(skew) = number(tree, "clock_skew_seconds") {
        provider.insert("clock_skew".into(), format!("{}s", skew.min(600)).into());
        if skew > 600 {
            report.lost(
                &tree.at,
                "`clock_skew_seconds` is above ten minutes, the most here",
            );
        }
    }
    if let Some(subjects) = member(tree, "subjects") {
        let test = string_matcher(subjects).and_then(test);
        match test {
            Some(test) => {
                provider.insert("subjects".into(), json!([test]));
            }
            None => {
                report.lost(
                    &subjects.at,
                    "a test of subjects without counterpart: the provider is left out",
                );
                return None;
            }
        }
    }
    if boolean(tree, "forward") {
        provider.insert("forward".into(), true.into());
    }
    if let Some(header) = text(tree, "forward_payload_header") {
        provider.insert("forward_payload_header".into(), header.into());
        if boolean(tree, "pad_forward_payload_header") {
            report.lost(&tree.at, "the payload is forwarded without padding here");
        }
    }
    let claims = items(tree, "claim_to_headers")
        .into_iter()
        .filter_map(|each| {
            let claim = claim(text(each, "claim_name")?);
            Some(json!({ "header_name": text(each, "header_name")?, "claim_name": claim }))
        });
    let claims: Vec<Value> = claims.collect();
    if !claims.is_empty() {
        provider.insert("claim_to_headers".into(), claims.into());
    }
    let provider = Value::from(provider);
    let document = json!({
        "version": 1,
        "providers": { name: provider },
        "routes": [{ "name": "all", "match": {}, "jwt": { "provider": name } }],
    });
    match probe(&document) {
        Ok(()) => Some(provider),
        Err(problems) => {
            report.lost(
                &tree.at,
                format!("the provider {name:?} is left out, and what asks for its tokens is refused: {problems}"),
            );
            None
        }
    }
}

/// A claim's name: `a.b` is the claim `b` in `a`.
pub(super) fn claim(name: &str) -> String {
    match name.contains('.') && !name.contains("://") {
        true => format!(
            "/{}",
            name.replace('~', "~0").replace('/', "~1").replace('.', "/")
        ),
        false => name.to_owned(),
    }
}

fn keys(tree: &Tree, provider: &mut Map<String, Value>, report: &mut Report) {
    if let Some(remote) = member(tree, "remote_jwks") {
        rest(
            remote,
            &["http_uri", "cache_duration", "async_fetch", "retry_policy"],
            "`remote_jwks`",
            report,
        );
        let mut fetched = Map::new();
        let uri = path(remote, &["http_uri"]);
        for name in ["cluster", "uri"] {
            if let Some(value) = uri.and_then(|uri| text(uri, name)) {
                fetched.insert(name.into(), value.into());
            }
        }
        for (place, name) in [
            (path(remote, &["http_uri", "timeout"]), "timeout"),
            (member(remote, "cache_duration"), "cache_duration"),
        ] {
            let written = place.and_then(duration);
            let fits = |value: &String| {
                let seconds = value
                    .strip_suffix('s')
                    .and_then(|text| text.parse::<u64>().ok());
                let most = if name == "timeout" { 60 } else { 86_400 };
                seconds.is_some_and(|seconds| (1..=most).contains(&seconds))
            };
            match written {
                Some(value) if fits(&value) => {
                    fetched.insert(name.into(), value.into());
                }
                Some(_) => report.note(&remote.at, format!("`{name}` is that of documents: what is written is too short or too long for one")),
                None => {}
            }
        }
        provider.insert("jwks".into(), json!({ "remote": fetched }));
        return;
    }
    let Some(local) = member(tree, "local_jwks") else {
        return;
    };
    let Some(written) = text(local, "inline_string") else {
        report.lost(
            &local.at,
            "keys that are in no text: a filter sees no files; write them into `inline_string`, or fetch them",
        );
        return;
    };
    if written.contains("-----BEGIN") {
        provider.insert("pem".into(), json!([{ "key": written }]));
        return;
    }
    match of_json(written) {
        Ok(keys) => {
            provider.insert("jwks".into(), json!({ "inline": keys.json() }));
        }
        Err(problem) => report.lost(
            &local.at,
            format!("the keys cannot be read: {}", problem.reason),
        ),
    }
}

/// What names the places of tokens: in Envoy, in Istio.
pub(super) const ENVOYS_PLACES: [&str; 4] = [
    "from_headers",
    "value_prefix",
    "from_params",
    "from_cookies",
];
pub(super) const ISTIOS_PLACES: [&str; 4] = ["fromHeaders", "prefix", "fromParams", "fromCookies"];

/// Where tokens stand. Both look into a parameter too where nothing is said.
pub(super) fn places(tree: &Tree, names: [&str; 4], provider: &mut Map<String, Value>) {
    let [of_headers, prefix_name, of_params, of_cookies] = names;
    let headers = items(tree, of_headers).into_iter().filter_map(|each| {
        let mut place = Map::new();
        let name = text(each, "name")?.to_ascii_lowercase();
        place.insert("name".into(), name.into());
        if let Some(prefix) = text(each, prefix_name) {
            place.insert("value_prefix".into(), prefix.into());
        }
        Some(Value::from(place))
    });
    let of = |name: &str| texts(tree, name).into_iter().map(Value::from).collect();
    let (headers, params, cookies): (Vec<Value>, Vec<Value>, Vec<Value>) =
        (headers.collect(), of(of_params), of(of_cookies));
    if headers.is_empty() && params.is_empty() && cookies.is_empty() {
        let usual = json!([{ "name": "authorization", "value_prefix": "Bearer " }]);
        provider.insert("from_headers".into(), usual);
        provider.insert("from_params".into(), json!(["access_token"]));
        return;
    }
    for (name, list) in [
        ("from_headers", headers),
        ("from_params", params),
        ("from_cookies", cookies),
    ] {
        if !list.is_empty() {
            provider.insert(name.into(), list.into());
        }
    }
}

/// A `ValueMatcher` on a claim, as a condition of documents; none if there is no counterpart.
pub(super) fn condition(claim: &str, value: &Tree) -> Option<Map<String, Value>> {
    let mut condition = if let Some(matcher) = member(value, "string_match") {
        test(string_matcher(matcher)?)?
    } else if let Some(flag) = member(value, "bool_match") {
        json!({ "exact": flag.json() }).as_object()?.clone()
    } else if let Some(number) = path(value, &["double_match", "exact"]) {
        json!({ "exact": number.json() }).as_object()?.clone()
    } else if let Some(present) = member(value, "present_match") {
        json!({ "exists": present.json() }).as_object()?.clone()
    } else if let Some(one_of) = path(value, &["list_match", "one_of"]) {
        let (kind, text, ignores_case) = string_matcher(member(one_of, "string_match")?)?;
        if kind != "exact" || ignores_case {
            return None;
        }
        json!({ "includes": text }).as_object()?.clone()
    } else {
        return None;
    };
    condition.insert("claim".into(), claim.into());
    Some(condition)
}

/// An item of a list of texts for a `StringMatcher`.
pub(super) fn text_item(tree: &Tree) -> Option<Value> {
    string_matcher(tree).and_then(test).map(item)
}
