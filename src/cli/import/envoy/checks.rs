//! What has to be known of a connection manager before its routes can be believed: that they are there, and that Envoy sees
//! hosts and paths in the one spelling that documents compare.

use serde_json::Value;

use super::super::reading::{Report, boolean, items, member, texts};
use super::areas::is_of_its_own;
use super::chain::Chain;
use portcullis_cases::tree::{Content, Tree};

/// Whether what says of filters is all there.
///
/// # Errors
/// What is not, or is of another kind than it has to be.
pub(super) fn readable(manager: &Tree) -> Result<(), String> {
    const ELSEWHERE: &str = "come from elsewhere, and what they say of filters is not known: put `route_config` in the place of `rds`, as /config_dump shows it";
    let is_list = |tree: &Tree| matches!(tree.content, Content::List(_));
    let is_object = |tree: &Tree| matches!(tree.content, Content::Object(_));
    if let Some(filters) = member(manager, "http_filters")
        && !is_list(filters)
    {
        return Err("`http_filters` is no list".to_owned());
    }
    for name in ["rds", "scoped_routes"] {
        if member(manager, name).is_some() {
            return Err(format!("its routes {ELSEWHERE}"));
        }
    }
    let config = member(manager, "route_config");
    if config.is_some_and(|config| !is_object(config)) {
        return Err("`route_config` is no object".to_owned());
    }
    let config = config.unwrap_or(manager);
    if member(config, "vhds").is_some() {
        return Err(format!("its virtual hosts {ELSEWHERE}, without `vhds`"));
    }
    let Some(hosts) = member(config, "virtual_hosts") else {
        return Ok(());
    };
    if !is_list(hosts) {
        return Err("`virtual_hosts` is no list".to_owned());
    }
    for host in hosts.children() {
        let domains = member(host, "domains").filter(|domains| is_list(domains));
        let domains = domains.map(Tree::children).unwrap_or_default();
        if domains.is_empty() || domains.iter().any(|domain| domain.text().is_none()) {
            return Err("`domains` of a virtual host is no list of names".to_owned());
        }
        if let Some(routes) = member(host, "routes")
            && !(is_list(routes) && routes.children().into_iter().all(is_object))
        {
            return Err("`routes` of a virtual host is no list of routes".to_owned());
        }
    }
    Ok(())
}

/// Tells where Envoy takes another virtual host for `name:8080` or `name.` than for `name`, which are one host here.
pub(super) fn hosts(manager: &Tree, chain: &Chain<'_>, report: &mut Report) {
    let config = member(manager, "route_config").unwrap_or(manager);
    let hosts = items(config, "virtual_hosts");
    let has_name = |host: &Tree| texts(host, "domains").iter().any(|domain| domain != "*");
    let named = hosts.iter().find(|host| has_name(host));
    let Some(named) = named.filter(|_| hosts.len() > 1) else {
        return;
    };
    if !hosts.iter().any(|host| is_of_its_own(host, chain)) {
        return;
    }
    if !boolean(manager, "strip_any_host_port") && !boolean(config, "ignore_port_in_host_matching")
    {
        report.lost(
            &named.at,
            "a request with a port in `Host` goes to another virtual host in Envoy than to that of its name, which is for any port here: set `strip_any_host_port: true` in the connection manager",
        );
    }
    if !boolean(manager, "strip_trailing_host_dot") {
        report.lost(
            &named.at,
            "a request with a dot at the end of `Host` goes to another virtual host in Envoy than to that of its name, which is the same here: set `strip_trailing_host_dot: true` in the connection manager",
        );
    }
}

/// Tells where Envoy compares paths as they were sent: `/%68ealth` is no `/health` for it.
pub(super) fn paths(manager: &Tree, document: &Value, report: &mut Report) {
    let mut found = Vec::new();
    for part in ["routes", "defaults"] {
        let Some(part) = document.get(part) else {
            continue;
        };
        let blocks = match part {
            Value::Array(routes) => routes.iter().collect(),
            defaults => vec![defaults],
        };
        // What refuses all cannot be for too many.
        let blocks = blocks.iter().filter(|block| block.get("deny").is_none());
        for block in blocks {
            found.extend(block.pointer("/match/path"));
            for name in ["/access", "/shadow/access"] {
                let rules = block.pointer(name).and_then(|access| access.get("rules"));
                let rules = rules.and_then(Value::as_array);
                rules
                    .into_iter()
                    .flatten()
                    .for_each(|rule| of_rule(rule, &mut found));
            }
        }
    }
    if found.is_empty() {
        return;
    }
    if !boolean(manager, "normalize_path") {
        report.lost(
            &manager.at,
            "Envoy compares paths as they were sent, and here they are decoded: `/%68ealth` is `/health`; set `normalize_path: true` in the connection manager",
        );
    }
    for path in found {
        let (regex, text) = match path {
            Value::Object(test) => (test.contains_key("regex"), test.values().next()),
            path => (false, Some(path)),
        };
        let text = text.and_then(Value::as_str).unwrap_or_default();
        let is_plain = match regex {
            true => is_plain_regex(text),
            false => text.chars().all(is_plain),
        };
        if !is_plain {
            report.lost(
                &manager.at,
                format!("for the path {text:?} Envoy does not decode what is percent-encoded, even with `normalize_path`, and here it is: `%24` is `$`; see whether `/a%24b` may go where `/a$b` may"),
            );
        }
    }
}

/// Paths of a rule that let requests through.
fn of_rule<'v>(rule: &'v Value, found: &mut Vec<&'v Value>) {
    let name = match rule.get("action").and_then(Value::as_str) {
        Some("allow") => "paths",
        _ => "not_paths",
    };
    let objects = match rule.get("to") {
        Some(Value::Array(objects)) => objects.iter().collect(),
        to => Vec::from_iter(to),
    };
    for object in objects {
        let paths = object.get(name).and_then(Value::as_array);
        found.extend(paths.into_iter().flatten());
    }
}

/// Whether Envoy's `normalize_path` decodes it: what RFC 3986 calls unreserved. A slash is never decoded, here neither.
fn is_plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || "-._~/".contains(c)
}

/// Whether an expression is for a path in any spelling if it is for it decoded: it has no character that may be encoded, and
/// what stands for any such character stands for any number of them.
fn is_plain_regex(regex: &str) -> bool {
    let mut chars = regex.chars().peekable();
    let (mut is_in_class, mut is_negated) = (false, false);
    while let Some(c) = chars.next() {
        let is_wide = match c {
            '\\' => match chars.next() {
                Some('S' | 'D' | 'W') => true,
                Some(c) if is_plain(c) => false,
                _ => return false,
            },
            ']' if is_in_class => {
                is_in_class = false;
                std::mem::take(&mut is_negated)
            }
            '[' if !is_in_class => {
                is_in_class = true;
                is_negated = chars.next_if_eq(&'^').is_some();
                false
            }
            '.' => !is_in_class,
            c if is_plain(c) => false,
            c if !is_in_class && "*+?()|{}^$:,".contains(c) => false,
            _ => return false,
        };
        if is_wide && !matches!(chars.peek(), Some('*' | '+')) {
            return false;
        }
    }
    !is_in_class
}

#[cfg(test)]
mod tests {
    use super::is_plain_regex;

    #[test]
    fn expressions_that_are_for_encoded_characters_are_told() {
        for plain in [
            "/a.*",
            r"/a\.b/[^/]+/.*",
            "(?i)/v[0-9]+(/.*)?",
            "/a|/b{2}",
            r"/\d+\.json",
            "/[a-z0-9._-]+",
        ] {
            assert!(is_plain_regex(plain), "{plain}");
        }
        for wide in [
            "/v1.0",
            r"/a\$b",
            "/a[^/]{3}",
            "/a%20b",
            "/a@b",
            "/[a$]",
            r"/\S{3}",
            r"/a\",
        ] {
            assert!(!is_plain_regex(wide), "{wide}");
        }
    }
}
