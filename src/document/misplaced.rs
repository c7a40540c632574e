//! Fields of our own that stand one object too high or too low: where each belongs.

use super::foreign::snake_case;
use super::problem::{Quoted, Words};

/// Fields that are often written beside another, and belong elsewhere.
struct Misplaced {
    names: &'static [&'static str],
    /// A field that is known where they are written, and tells which object that is.
    beside: &'static str,
    /// The field in which they belong, if that is known there: it is that one which lacks then.
    object: &'static str,
    /// What to do, if it is not that they belong in that.
    home: &'static str,
}

const fn within(
    names: &'static [&'static str],
    beside: &'static str,
    object: &'static str,
) -> Misplaced {
    Misplaced {
        names,
        beside,
        object,
        home: "",
    }
}

const fn elsewhere(
    names: &'static [&'static str],
    beside: &'static str,
    home: &'static str,
) -> Misplaced {
    Misplaced {
        names,
        beside,
        object: "",
        home,
    }
}

const fn renamed(
    names: &'static [&'static str],
    beside: &'static str,
    object: &'static str,
    home: &'static str,
) -> Misplaced {
    Misplaced {
        names,
        beside,
        object,
        home,
    }
}

/// A field that is known in routes and in `defaults`.
const IN_ROUTES: &str = "security_headers";

const TOP: &str = "it stands at the top of the document, beside `version`";

/// Fields of `from` of a rule.
const OF_CALLERS: &[&str] = &[
    "subjects",
    "clients",
    "issuers",
    "roles",
    "scopes",
    "credentials",
    "authorities",
    "certificates",
    "addresses",
    "networks",
    "countries",
    "asns",
    "authenticated",
];

/// Fields of `to` of a rule.
const OF_REQUESTS: &[&str] = &["hosts", "methods", "paths", "operations"];

const MISPLACED: &[Misplaced] = &[
    // The document; where policies and sections stand is told by their lists.
    elsewhere(
        &["match", "open"],
        "defaults",
        "it stands in an item of `routes`",
    ),
    within(
        &[
            "semicolons",
            "encoded_slashes",
            "empty_segments",
            "padding",
            "letter_case",
        ],
        "defaults",
        "paths",
    ),
    within(&["override_headers"], "defaults", "requests"),
    // A route, and `defaults`.
    elsewhere(&["version", "defaults", "mode"], IN_ROUTES, TOP),
    within(&["hosts", "methods", "path", "headers"], "match", "match"),
    elsewhere(
        &["exact", "prefix", "regex", "template"],
        "match",
        "it stands in `path` of `match`",
    ),
    within(&["exact", "prefix", "regex", "template"], "hosts", "path"),
    // Origins, and parameters.
    renamed(
        &["prefix", "suffix", "contains"],
        "wildcard",
        "wildcard",
        "an origin is compared as a whole; write `exact`, `wildcard` or `regex`",
    ),
    within(
        &[
            "type",
            "enum",
            "items",
            "minimum",
            "maximum",
            "min_length",
            "max_length",
        ],
        "style",
        "schema",
    ),
    // Tokens.
    within(&["inline", "remote", "discovery"], "jwks", "jwks"),
    elsewhere(
        &[
            "cluster",
            "cache_duration",
            "cooldown",
            "max_stale",
            "jwks_cluster",
        ],
        "jwks",
        "it stands in `remote` of `jwks`",
    ),
    within(
        &[
            "cluster",
            "uri",
            "cache_duration",
            "cooldown",
            "max_stale",
            "timeout",
        ],
        "remote",
        "remote",
    ),
    within(&["keys"], "inline", "inline"),
    elsewhere(&["keys"], "jwks", "it stands in `inline` of `jwks`"),
    elsewhere(
        &["require", "optional", "realm"],
        "jwks",
        "it stands in the block `jwt` of a route or of `defaults`",
    ),
    elsewhere(
        &[
            "issuer",
            "audiences",
            "jwks",
            "algorithms",
            "clock_skew",
            "from_headers",
            "from_params",
            "from_cookies",
            "forward",
            "claim_to_headers",
            "forward_payload_header",
        ],
        "any_of",
        "it stands in the provider, under `providers`",
    ),
    renamed(
        &["header", "header_name"],
        "from_headers",
        "from_headers",
        "it is `from_headers: [{\"name\": …}]`",
    ),
    renamed(
        &["secret", "value", "client_secret"],
        "env",
        "env",
        "if that is the secret, everybody can read it here: replace it, put the new one into a variable of vm_config.environment_variables, and write {\"env\": \"NAME\"}",
    ),
    // Tokens that are bound.
    renamed(
        &["dpop"],
        IN_ROUTES,
        "jwt",
        "it stands in `bound` of a provider: {\"bound\": {\"dpop\": \"required\"}}",
    ),
    within(&["dpop"], "bound", "bound"),
    elsewhere(
        &["mode"],
        "dpop",
        "write `bound: \"required\"`, or a word for each of `certificate` and `dpop`",
    ),
    // Kinds of credentials.
    within(&["any_of", "all_of"], IN_ROUTES, "credentials"),
    renamed(
        &["provider"],
        "api_key",
        "jwt",
        "it stands in `jwt`: {\"jwt\": {\"provider\": …}}",
    ),
    renamed(
        &["store"],
        "api_key",
        "api_key",
        "it stands in `api_key`: {\"api_key\": {\"store\": …}}",
    ),
    renamed(
        &["server"],
        "api_key",
        "introspection",
        "it stands in `introspection`: {\"introspection\": {\"server\": …}}",
    ),
    renamed(
        &["set"],
        "api_key",
        "certificate",
        "it stands in `certificate`: {\"certificate\": {\"set\": …}}",
    ),
    renamed(
        &["signed_request"],
        "api_key",
        "api_key",
        "it stands beside `credentials`, in the route",
    ),
    renamed(
        &["provider", "store"],
        "server",
        "server",
        "here it is called \"server\"",
    ),
    renamed(
        &["provider", "server"],
        "store",
        "store",
        "here it is called \"store\"",
    ),
    within(
        &["client_secret_basic", "client_secret_post", "bearer"],
        "authentication",
        "authentication",
    ),
    renamed(
        &["client_id", "client_secret"],
        "authentication",
        "authentication",
        "it stands in `authentication`: {\"client_secret_basic\": {\"client_id\": \"…\", \"client_secret\": {\"env\": \"…\"}}}",
    ),
    within(&["scopes", "claims"], "require", "require"),
    within(&["all", "any"], "scopes", "scopes"),
    renamed(
        &["header", "header_name"],
        "value_prefix",
        "name",
        "here it is called \"name\"",
    ),
    renamed(
        &["name"],
        "header_name",
        "header_name",
        "here it is called \"header_name\"",
    ),
    renamed(
        &["name"],
        "includes",
        "claim",
        "here it is called \"claim\"",
    ),
    renamed(
        &["key"],
        "includes",
        "claim",
        "here it is called \"claim\", and Istio's `request.auth.claims[a][b]` is \"/a/b\"; `request.headers[a]` is `header`",
    ),
    // Rules.
    elsewhere(OF_CALLERS, "weekly", "it stands in `from`"),
    elsewhere(OF_CALLERS, "not_methods", "it stands in `from`"),
    elsewhere(OF_REQUESTS, "weekly", "it stands in `to`"),
    elsewhere(OF_REQUESTS, "not_subjects", "it stands in `to`"),
    renamed(
        &["groups"],
        "not_subjects",
        "roles",
        "groups are `roles` that who vouches makes of a claim; or look at the claim in `when`",
    ),
    renamed(
        &["sub"],
        "not_subjects",
        "subjects",
        "here it is called \"subjects\"",
    ),
    renamed(
        &["client_id", "azp"],
        "not_subjects",
        "clients",
        "here it is called \"clients\"",
    ),
    renamed(
        &["iss"],
        "not_subjects",
        "issuers",
        "here it is called \"issuers\"",
    ),
    // Limits.
    within(
        &["max_tokens", "tokens_per_fill", "fill_interval"],
        "token_bucket",
        "token_bucket",
    ),
    within(&["requests", "per"], "sliding_window", "sliding_window"),
    within(&["on_status"], "charge", "charge"),
    within(
        &["v4_prefix_mask_len", "v6_prefix_mask_len"],
        "client_address",
        "client_address",
    ),
    // Bodies.
    within(
        &[
            "max_depth",
            "max_values",
            "max_members",
            "max_elements",
            "max_key_bytes",
            "max_string_bytes",
            "max_number_bytes",
        ],
        "json",
        "json",
    ),
];

fn rows<'a>(written: &'a str, known: &'a [&str]) -> impl Iterator<Item = &'static Misplaced> + 'a {
    let snake = snake_case(written);
    MISPLACED
        .iter()
        .filter(move |row| row.names.contains(&&*snake) && known.contains(&row.beside))
}

/// Where a field belongs that is not known among `known`.
pub fn home(written: &str, known: &[&str], words: &Words) -> Option<String> {
    if words.blocks.contains(&written) && known.contains(&"defaults") {
        return Some("it stands in a route, or in `defaults` for all of them".to_owned());
    }
    let is_section = words.sections.contains(&&*snake_case(written));
    if is_section && known.contains(&IN_ROUTES) {
        return Some(TOP.to_owned());
    }
    let row = rows(written, known).next()?;
    Some(match row.home {
        "" => format!("it stands in {}", Quoted(row.object)),
        home => home.to_owned(),
    })
}

/// The field of `known` in which it belongs.
pub fn object(written: &str, known: &[&str]) -> Option<&'static str> {
    rows(written, known).next().map(|row| row.object)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_our_own_have_one_home_at_each_place() {
        for row in MISPLACED {
            assert!(
                !(row.object.is_empty() && row.home.is_empty()),
                "{:?}",
                row.names
            );
            assert!(!row.names.contains(&row.beside), "{:?}", row.names);
        }
        let limit = ["key", "token_bucket", "sliding_window"];
        assert_eq!(
            home("max_tokens", &limit, &Words::default()).as_deref(),
            Some("it stands in \"token_bucket\"")
        );
        assert_eq!(object("per", &limit), Some("sliding_window"));
        assert_eq!(home("per", &["key"], &Words::default()), None);
    }

    #[test]
    fn blocks_and_sections_are_sent_where_the_lists_have_them() {
        let words = Words {
            blocks: vec!["jwt"],
            sections: vec!["metrics"],
        };
        let top = ["version", "defaults", "metrics"];
        let told = home("jwt", &top, &words).unwrap();
        assert!(told.starts_with("it stands in a route"), "{told}");
        let route = ["match", "jwt", "security_headers"];
        assert_eq!(home("metrics", &route, &words).as_deref(), Some(TOP));
        assert_eq!(home("mode", &route, &words).as_deref(), Some(TOP));
        assert_eq!(home("metrics", &["key"], &words), None);
    }
}
