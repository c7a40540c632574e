//! What is risky in a document.

use super::super::check::Severity::{Error, Note, Warning};
use super::{Hit, Place, Risk, walk};
use portcullis_cases::tree::{Content, Tree};

const AUDIENCE_ANY: Risk = Risk {
    id: "audience-any",
    severity: Error,
    owasp: "API2:2023",
    what: "tokens for any audience are taken: one that a client got for another service works here",
    cure: "list the names of this API in `audiences`",
};
const TOKEN_LIFETIME: Risk = Risk {
    id: "token-lifetime",
    severity: Note,
    owasp: "API2:2023",
    what: "tokens may live for years: one that leaks stays good",
    cure: "set `max_lifetime` to what the identity provider gives",
};
const KEYS_IN_CLEAR: Risk = Risk {
    id: "keys-in-clear",
    severity: Warning,
    owasp: "API8:2023",
    what: "what decides who may pass is fetched by http://: whoever is on the way decides",
    cure: "write https://, and give the cluster TLS",
};
const SECRET_IN_DOCUMENT: Risk = Risk {
    id: "secret-in-document",
    severity: Error,
    owasp: "API2:2023",
    what: "a shared secret stands in the document: whoever reads it makes tokens",
    cure: "use `hmac` with `env`, or keys with a public half",
};
const OPEN_FOR_WRITING: Risk = Risk {
    id: "open-for-writing",
    severity: Warning,
    owasp: "API2:2023",
    what: "an open route takes methods that change something, from anybody",
    cure: "ask for credentials, or name the methods in `match`",
};
const LOGIN_WITHOUT_LIMIT: Risk = Risk {
    id: "log-in-without-limit",
    severity: Error,
    owasp: "API2:2023",
    what: "a route where people log in has no rate limit: passwords can be guessed",
    cure: "add `rate_limits` by `client_address`, and one by account",
};
const NO_LIMIT: Risk = Risk {
    id: "no-limit",
    severity: Note,
    owasp: "API4:2023",
    what: "nothing bounds how often one caller asks",
    cure: "add `rate_limits` or `concurrency`, in `defaults` perhaps",
};
const BODY_UNLIMITED: Risk = Risk {
    id: "body-unlimited",
    severity: Warning,
    owasp: "API4:2023",
    what: "a body of any size and type reaches the service",
    cure: "add `payload` with `max_bytes`, or name the methods in `match`",
};
const ANY_ORIGIN_WITH_CREDENTIALS: Risk = Risk {
    id: "any-origin-with-credentials",
    severity: Error,
    owasp: "API8:2023",
    what: "pages of many origins may read what is for the user who is logged in",
    cure: "list origins in `allow_origins` by `exact`",
};
const HSTS_MISSING: Risk = Risk {
    id: "hsts-missing",
    severity: Note,
    owasp: "API8:2023",
    what: "no security headers: browsers may come back without TLS and show responses in frames",
    cure: "add `security_headers` with a `preset`, in `defaults` perhaps",
};
const SHADOW_LEFT_ON: Risk = Risk {
    id: "shadow-left-on",
    severity: Warning,
    owasp: "API8:2023",
    what: "it looks on and refuses nothing",
    cure: "when its log has been looked at, write `mode: enforce`",
};
const SHARE_LEFT_ON: Risk = Risk {
    id: "share-left-on",
    severity: Note,
    owasp: "API8:2023",
    what: "it is in force for a share of requests only",
    cure: "when its log has been looked at, remove `percent`",
};
const CREDENTIALS_FOR_A_SHARE: Risk = Risk {
    id: "credentials-for-a-share",
    severity: Warning,
    owasp: "API2:2023",
    what: "credentials are asked of a share of requests only: all others pass without",
    cure: "remove `percent`, or keep it for routes that are open",
};
const EXEMPT_FROM_DEFAULTS: Risk = Risk {
    id: "exempt-from-defaults",
    severity: Note,
    owasp: "API8:2023",
    what: "the route goes without what `defaults` asks of others",
    cure: "see that this is still meant",
};
const FAILS_OPEN: Risk = Risk {
    id: "fails-open",
    severity: Error,
    owasp: "API8:2023",
    what: "requests pass unjudged while what is asked does not answer",
    cure: "remove `on_error`, or write `deny`",
};
const UNINSPECTED: Risk = Risk {
    id: "uninspected-upgrades",
    severity: Note,
    owasp: "API8:2023",
    what: "what is sent over a connection that leaves HTTP is not looked at",
    cure: "see that the service judges it itself",
};
const NO_ACCESS_LOG: Risk = Risk {
    id: "no-access-log",
    severity: Warning,
    owasp: "API8:2023",
    what: "nobody can tell afterwards who did what, and why something was refused",
    cure: "add `\"access_log\": {}`",
};
const NO_SECURITY_EVENTS: Risk = Risk {
    id: "no-security-events",
    severity: Note,
    owasp: "API8:2023",
    what: "attacks are not told apart from mistakes",
    cure: "add `\"security_events\": {}`",
};
const EXPLAIN_BY_ADDRESS: Risk = Risk {
    id: "explain-by-address",
    severity: Note,
    owasp: "API8:2023",
    what: "whoever is at an address is told why requests are refused, without a secret",
    cure: "add `secret_sha256` to `explain`",
};

pub(super) const RISKS: &[&Risk] = &[
    &AUDIENCE_ANY,
    &SECRET_IN_DOCUMENT,
    &LOGIN_WITHOUT_LIMIT,
    &ANY_ORIGIN_WITH_CREDENTIALS,
    &FAILS_OPEN,
    &KEYS_IN_CLEAR,
    &OPEN_FOR_WRITING,
    &BODY_UNLIMITED,
    &SHADOW_LEFT_ON,
    &CREDENTIALS_FOR_A_SHARE,
    &NO_ACCESS_LOG,
    &TOKEN_LIFETIME,
    &NO_LIMIT,
    &HSTS_MISSING,
    &SHARE_LEFT_ON,
    &EXEMPT_FROM_DEFAULTS,
    &UNINSPECTED,
    &NO_SECURITY_EVENTS,
    &EXPLAIN_BY_ADDRESS,
];

/// Methods that change nothing (RFC 9110 §9.2.1), and what browsers ask before.
const SAFE: [&str; 4] = ["GET", "HEAD", "OPTIONS", "TRACE"];
/// Blocks that bound a body.
const OF_BODIES: [&str; 3] = ["payload", "openapi", "graphql"];
/// Blocks that say who calls.
const OF_CALLERS: [&str; 6] = [
    "jwt",
    "api_key",
    "certificate",
    "introspection",
    "signed_request",
    "credentials",
];
/// Blocks that guard, of which a route may be exempt.
const GUARDS: [&str; 9] = [
    "access",
    "concurrency",
    "cors",
    "csrf",
    "deny_patterns",
    "https",
    "payload",
    "rate_limits",
    "security_headers",
];
/// Blocks that look on unless they are told to enforce.
const LOOKS_ON: [&str; 2] = ["deny_patterns", "responses"];
/// Words of paths where people log in.
const OF_LOGIN: [&str; 9] = [
    "login", "log-in", "signin", "sign-in", "password", "otp", "token", "register", "signup",
];

/// What is risky, by places of the document.
pub(super) fn look(document: &Tree) -> Vec<Hit> {
    let mut hits = Vec::new();
    let mut hit = |risk: &'static Risk, pointer: &str| {
        hits.push(Hit {
            risk,
            at: Place::Document(pointer.to_owned()),
        });
    };
    if document.get("access_log").is_none_or(is_off) {
        hit(&NO_ACCESS_LOG, "");
    }
    if document.get("security_events").is_none_or(is_off) {
        hit(&NO_SECURITY_EVENTS, "");
    }
    let explain = document.get("explain").filter(|block| !is_off(block));
    if explain.is_some_and(|block| block.get("secret_sha256").is_none()) {
        hit(&EXPLAIN_BY_ADDRESS, "/explain");
    }
    for (name, provider) in members(document.get("providers")) {
        let at = format!("/providers/{}", name.replace('~', "~0").replace('/', "~1"));
        look_at_provider(provider, &at, &mut hit);
    }
    walk(document, "", &mut |pointer, name, value| {
        // Values of schemas and OpenAPI documents are not ours.
        if pointer.starts_with("/schemas/") || pointer.starts_with("/apis/") {
            return;
        }
        match (name, value.text()) {
            ("mode", Some("shadow")) => hit(&SHADOW_LEFT_ON, pointer),
            (name, None) if LOOKS_ON.contains(&name) && looks_on(pointer, value) => {
                hit(&SHADOW_LEFT_ON, pointer);
            }
            ("on_error", Some("allow")) => hit(&FAILS_OPEN, pointer),
            ("upgrades", Some("uninspected")) => hit(&UNINSPECTED, pointer),
            ("uri", Some(uri)) if uri.starts_with("http://") && !pointer.starts_with("/otlp") => {
                hit(&KEYS_IN_CLEAR, pointer);
            }
            ("percent", None) if !pointer.contains("/brownouts/") => {
                let is_for_all = value.json() == 100;
                let risk = match !is_for_all && is_of_credentials(document, pointer) {
                    true => &CREDENTIALS_FOR_A_SHARE,
                    false => &SHARE_LEFT_ON,
                };
                hit(risk, pointer);
            }
            ("cors", None) if is_broad(value) => hit(&ANY_ORIGIN_WITH_CREDENTIALS, pointer),
            _ => {}
        }
    });
    let routes = match document.get("routes").map(|routes| &routes.content) {
        Some(Content::List(routes)) => routes.as_slice(),
        _ => &[],
    };
    for (index, route) in routes.iter().enumerate() {
        let view = Route {
            route,
            defaults: document.get("defaults"),
        };
        view.look(&format!("/routes/{index}"), &mut hit);
    }
    hits
}

/// Whether a block of that kind, of a route or of `defaults`, says nothing of its mode.
fn looks_on(pointer: &str, block: &Tree) -> bool {
    let mut tokens = pointer.split('/').skip(1);
    let is_block = match (tokens.next(), tokens.next()) {
        (Some("defaults"), Some(_)) => tokens.next().is_none(),
        (Some("routes"), Some(_)) => tokens.next().is_some() && tokens.next().is_none(),
        _ => false,
    };
    let says = ["mode", "percent"]
        .iter()
        .any(|name| block.get(name).is_some());
    is_block && !says && !is_off(block)
}

/// Whether the `percent` that stands there is of a block that asks for credentials, or of a route or a document that
/// does.
fn is_of_credentials(document: &Tree, pointer: &str) -> bool {
    let tokens: Vec<&str> = pointer.split('/').skip(1).collect();
    let routes = document.get("routes").map(Tree::children);
    let routes = routes.unwrap_or_default();
    let asks = |route: &&Tree| {
        let says = |name: &str| route.get(name).map(Tree::json) == Some(true.into());
        !says("open") && !says("deny")
    };
    match tokens.as_slice() {
        ["percent"] => routes.iter().any(asks),
        ["routes", at, "percent"] => {
            let route = at.parse().ok().and_then(|at: usize| routes.get(at));
            route.is_some_and(asks)
        }
        ["defaults", block, "percent"] | ["routes", _, block, "percent"] => {
            OF_CALLERS.contains(block)
        }
        _ => false,
    }
}

/// Whether something goes by the address of clients.
pub(super) fn goes_by_address(document: &Tree) -> bool {
    let mut goes = false;
    walk(document, "", &mut |_, name, value| {
        goes |= ["addresses", "networks", "not_addresses", "not_networks"].contains(&name);
        goes |= name == "key"
            && value
                .children()
                .iter()
                .any(|part| part.text() == Some("client_address"));
    });
    goes
}

fn look_at_provider(provider: &Tree, at: &str, hit: &mut dyn FnMut(&'static Risk, &str)) {
    let audiences = provider.get("audiences").and_then(Tree::text);
    if audiences == Some("any") {
        hit(&AUDIENCE_ANY, &format!("{at}/audiences"));
    }
    if ["max_lifetime", "max_age"]
        .iter()
        .all(|name| provider.get(name).is_none())
    {
        hit(&TOKEN_LIFETIME, at);
    }
    let keys = provider
        .get("jwks")
        .and_then(|jwks| jwks.get("inline"))
        .and_then(|set| set.get("keys"));
    let keys = keys.map(Tree::children).unwrap_or_default();
    for (index, key) in keys.iter().enumerate() {
        if key.get("kty").and_then(Tree::text) == Some("oct") {
            hit(
                &SECRET_IN_DOCUMENT,
                &format!("{at}/jwks/inline/keys/{index}"),
            );
        }
    }
}

/// Whether any page, or any below a name, may read what is for the user.
fn is_broad(cors: &Tree) -> bool {
    let credentials = cors.get("allow_credentials").map(Tree::json);
    if credentials != Some(true.into()) {
        return false;
    }
    let origins = cors.get("allow_origins").map(Tree::children);
    let is_broad = |origin: &&Tree| {
        origin.get("wildcard").is_some() || origin.get("exact").and_then(Tree::text) == Some("null")
    };
    origins.is_some_and(|origins| origins.iter().any(is_broad))
}

fn members(tree: Option<&Tree>) -> impl Iterator<Item = (&str, &Tree)> {
    let members = match tree.map(|tree| &tree.content) {
        Some(Content::Object(members)) => members.as_slice(),
        _ => &[],
    };
    members
        .iter()
        .map(|member| (member.name.as_str(), &member.tree))
}

fn is_off(block: &Tree) -> bool {
    block.text() == Some("off") || block.json() == false
}

/// A route with what it has from `defaults`.
struct Route<'t> {
    route: &'t Tree,
    defaults: Option<&'t Tree>,
}

impl<'t> Route<'t> {
    /// The block that counts.
    fn block(&self, name: &str) -> Option<&'t Tree> {
        let own = self.route.get(name);
        let usual = || self.defaults.and_then(|defaults| defaults.get(name));
        own.or_else(usual).filter(|block| !is_off(block))
    }

    fn look(&self, at: &str, hit: &mut dyn FnMut(&'static Risk, &str)) {
        let is = |name: &str| self.route.get(name).map(Tree::json) == Some(true.into());
        // Nothing comes of such a request.
        if is("deny") || self.block("respond").is_some() {
            return;
        }
        let matched = self.route.get("match");
        let methods = matched.and_then(|of| of.get("methods")).map(Tree::children);
        let is_safe = methods.is_some_and(|methods| {
            let mut methods = methods.iter().filter_map(|method| method.text());
            methods.all(|method| SAFE.contains(&method))
        });
        let asks = OF_CALLERS.iter().any(|name| self.block(name).is_some());
        let is_limited = ["rate_limits", "concurrency"].iter().any(|name| {
            self.block(name)
                .is_some_and(|block| !block.children().is_empty())
        });
        if is("open") && !asks && !is_safe {
            hit(&OPEN_FOR_WRITING, at);
        }
        if !is_limited && !is_safe && self.is_login() {
            hit(&LOGIN_WITHOUT_LIMIT, at);
        } else if !is_limited {
            hit(&NO_LIMIT, at);
        }
        if !is_safe && OF_BODIES.iter().all(|name| self.block(name).is_none()) {
            hit(&BODY_UNLIMITED, at);
        }
        if self.block("security_headers").is_none() {
            hit(&HSTS_MISSING, at);
        }
        for name in GUARDS {
            let usual = self.defaults.and_then(|defaults| defaults.get(name));
            if usual.is_some_and(|block| !is_off(block)) && self.route.get(name).is_some_and(is_off)
            {
                hit(&EXEMPT_FROM_DEFAULTS, &format!("{at}/{name}"));
            }
        }
    }

    /// Whether its path, or its name, is one where people log in.
    fn is_login(&self) -> bool {
        let path = self.route.get("match").and_then(|of| of.get("path"));
        let texts = path.map(Tree::children).unwrap_or_default();
        let texts = texts.into_iter().filter_map(Tree::text);
        let name = self.route.get("name").and_then(Tree::text);
        let mut words = texts.chain(name).flat_map(|text| {
            let parts = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '-');
            parts.map(str::to_ascii_lowercase)
        });
        words.any(|word| OF_LOGIN.contains(&word.as_str()))
    }
}
