//! Matches that do not mean what they seem to: errors where nobody can mean what they say, and
//! notes elsewhere.

use regex_syntax::hir::{Class, Hir, HirKind};

use portcullis_document::{Node, Quoted};
use portcullis_wire::regex;

/// Why a path that stands for itself alone was meant as a pattern; none if it was not.
pub(super) fn pattern_in_literal(kind: &str, path: &str) -> Option<String> {
    let literally =
        "; what is meant literally can be written as `regex`, with a backslash in front";
    let mut segments = path.split('/').skip(1);
    let rest = path
        .strip_suffix("/*")
        .or_else(|| path.strip_suffix("/**"))
        .or_else(|| path.strip_suffix("/.*"));
    if let Some(rest) = rest.filter(|rest| !rest.contains(['*', '{', '}'])) {
        let rest = if rest.is_empty() { "/" } else { rest };
        return Some(format!(
            "`*` stands for itself here, and no such path is sent; everything below is `prefix: {}`{literally}",
            Quoted(rest)
        ));
    }
    let odd = segments.find_map(|segment| {
        let is_glob = segment.contains(".*")
            || segment.contains(".+")
            || segment.contains("[^")
            || segment.starts_with('*')
            || segment.ends_with(['*', '$']);
        let inner = |open, close| {
            let inner = segment.strip_prefix(open)?.strip_suffix(close)?;
            (!inner.is_empty()).then_some(inner)
        };
        if is_glob {
            return Some("`*`, `.` and `$` stand for themselves here; patterns are `regex`, or `template` for whole segments");
        }
        if inner('{', '}').is_some() || inner('<', '>').is_some() || segment.contains(['{', '}']) {
            return Some("stands for itself here, braces included; segments with names are `template`: \"/users/{id}\"");
        }
        is_parameter(segment).then_some("`:` stands for itself here; segments with names are `template`: \"/users/{id}\"")
    });
    let odd = odd?;
    let below = match kind {
        "prefix" => ", and \"/users/{id}/{rest=**}\" for what is below",
        _ => "",
    };
    Some(format!("{odd}{below}{literally}"))
}

/// `:id`, as other routers write it.
pub(super) fn is_parameter(segment: &str) -> bool {
    segment
        .strip_prefix(':')
        .is_some_and(|name| name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_'))
}

/// Why no request has a host that is written like that; none if one may.
pub(super) fn impossible_host(written: &str) -> Option<&'static str> {
    let host = written.strip_prefix("*.").unwrap_or(written);
    let (before, behind) = host.rsplit_once(':').unwrap_or((host, ""));
    Some(if matches!(written, "*" | "*." | "*.*") {
        "stands for every host; a `match` without `hosts` is for all of them"
    } else if host.contains("://") {
        "is a URL; write the host alone, such as \"api.example.com\""
    } else if host.contains('/') {
        "has a path; write the host alone, and the path in `path`"
    } else if !before.contains(':')
        && !behind.is_empty()
        && behind.bytes().all(|b| b.is_ascii_digit())
    {
        "has a port, and hosts are compared without; leave it out"
    } else if host.contains('*') {
        "may have a `*` at the beginning alone, as in \"*.example.com\""
    } else if !host.starts_with('[') && (host.starts_with('.') || host.contains("..")) {
        "has an empty label, and such a host is always refused"
    } else {
        return None;
    })
}

/// Why no request has a method of that name that is meant to stand for all.
pub(super) fn every_method(method: &str) -> Option<&'static str> {
    matches!(method, "*" | "ANY" | "ALL" | "any" | "all" | "Any" | "All")
        .then_some("is no method; a route without `methods` is for all of them")
}

/// Why a field can never be seen by a route.
pub(super) fn unseen_field(name: &str) -> Option<&'static str> {
    Some(match name {
        "host" | ":authority" => {
            "is never among the fields, for the proxy keeps the host apart; use `hosts`"
        }
        ":path" => "is no header field; use `path`",
        ":method" => "is no header field; use `methods`",
        ":scheme" => "is no header field; use the block `https`",
        _ => return None,
    })
}

/// Why no path matches an expression.
pub(super) fn impossible_regex(pattern: &str) -> Option<&'static str> {
    let hir = parse(pattern)?;
    if !begins(&hir).has_slash {
        return Some(
            "matches no path: an expression is compared with the whole path, which begins with \"/\"",
        );
    }
    if [b'?', b'#'].iter().any(|byte| demands(&hir, *byte)) {
        return Some(
            "matches no path: what is compared is the path without its query; see `parameters` for that",
        );
    }
    None
}

/// What an operator should know of a `match` block that is valid.
pub fn notes(block: &Node<'_>) -> Option<String> {
    let node = block.member("path")?.member("regex")?;
    let pattern = node.json().as_str()?;
    let hir = parse(pattern)?;
    let cure = match (pattern.starts_with('^'), pattern.ends_with('$')) {
        (true, false) if !is_open(&hir, End::Last) => {
            "an expression is compared with the whole path, so this is for no path that only begins so; end it with `.*` if that is meant, else with `$`"
        }
        (false, true) if !is_open(&hir, End::First) => {
            "an expression is compared with the whole path, so this is for no path that only ends so; begin it with `.*` if that is meant, else with `^`"
        }
        _ => return None,
    };
    Some(format!("{}: {cure}", node.pointer()))
}

fn parse(pattern: &str) -> Option<Hir> {
    if !regex::AVAILABLE {
        return None;
    }
    regex_syntax::parse(pattern).ok()
}

/// How the texts of an expression begin.
#[derive(Clone, Copy)]
struct Begins {
    has_slash: bool,
    may_be_empty: bool,
}

fn begins(hir: &Hir) -> Begins {
    let one = |has_slash| Begins {
        has_slash,
        may_be_empty: false,
    };
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) => Begins {
            has_slash: false,
            may_be_empty: true,
        },
        HirKind::Literal(literal) => one(literal.0.first() == Some(&b'/')),
        HirKind::Class(class) => one(has_slash(class)),
        HirKind::Repetition(repeated) => {
            let inner = begins(&repeated.sub);
            Begins {
                may_be_empty: inner.may_be_empty || repeated.min == 0,
                ..inner
            }
        }
        HirKind::Capture(capture) => begins(&capture.sub),
        HirKind::Concat(parts) => {
            let mut all = Begins {
                has_slash: false,
                may_be_empty: true,
            };
            for part in parts {
                let part = begins(part);
                all.has_slash |= part.has_slash;
                if !part.may_be_empty {
                    all.may_be_empty = false;
                    break;
                }
            }
            all
        }
        HirKind::Alternation(choices) => {
            let choices = choices.iter().map(begins);
            choices.fold(one(false), |all, choice| Begins {
                has_slash: all.has_slash || choice.has_slash,
                may_be_empty: all.may_be_empty || choice.may_be_empty,
            })
        }
    }
}

fn has_slash(class: &Class) -> bool {
    match class {
        Class::Unicode(class) => class
            .ranges()
            .iter()
            .any(|range| (range.start()..=range.end()).contains(&'/')),
        Class::Bytes(class) => class
            .ranges()
            .iter()
            .any(|range| (range.start()..=range.end()).contains(&b'/')),
    }
}

/// Whether every text of an expression has that byte.
fn demands(hir: &Hir, byte: u8) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(_) => false,
        HirKind::Literal(literal) => literal.0.contains(&byte),
        HirKind::Repetition(repeated) => repeated.min > 0 && demands(&repeated.sub, byte),
        HirKind::Capture(capture) => demands(&capture.sub, byte),
        HirKind::Concat(parts) => parts.iter().any(|part| demands(part, byte)),
        HirKind::Alternation(choices) => choices.iter().all(|choice| demands(choice, byte)),
    }
}

#[derive(Clone, Copy)]
enum End {
    First,
    Last,
}

/// Whether an expression has at that end what goes on over any number of segments.
fn is_open(hir: &Hir, end: End) -> bool {
    match hir.kind() {
        HirKind::Empty | HirKind::Look(_) | HirKind::Class(_) | HirKind::Literal(_) => false,
        HirKind::Repetition(repeated) => {
            let goes_on = match repeated.sub.kind() {
                HirKind::Class(class) => repeated.max.is_none() && has_slash(class),
                HirKind::Capture(_) | HirKind::Concat(_) => {
                    repeated.max.is_none() && demands(&repeated.sub, b'/')
                }
                _ => false,
            };
            goes_on || is_open(&repeated.sub, end)
        }
        HirKind::Capture(capture) => is_open(&capture.sub, end),
        HirKind::Concat(parts) => {
            let mut parts = parts
                .iter()
                .filter(|part| !matches!(part.kind(), HirKind::Look(_)));
            let part = match end {
                End::First => parts.next(),
                End::Last => parts.next_back(),
            };
            part.is_some_and(|part| is_open(part, end))
        }
        HirKind::Alternation(choices) => choices.iter().any(|choice| is_open(choice, end)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::json::Json;

    #[test]
    fn literal_paths_that_were_meant_as_patterns_are_found() {
        for meant in [
            "/admin/*",
            "/admin/**",
            "/admin.*",
            "/admin*",
            "/*",
            "/users/{id}",
            "/users/:id",
            "/users/<id>",
            "/a/[^/]+/b",
            "/a/.+",
            "/admin$",
            "/a/*/b",
            "/v{n}",
        ] {
            assert!(pattern_in_literal("prefix", meant).is_some(), "{meant}");
        }
        for literal in [
            "/",
            "/admin",
            "/admin/",
            "/odata/$metadata",
            "/$batch",
            "/things/a:cancel",
            "/wiki/A*_search",
            "/a.b",
            "/a+b",
            "/Products(1)",
            "/:8080",
            "/a b",
            "/~user",
        ] {
            assert_eq!(pattern_in_literal("prefix", literal), None, "{literal}");
        }
    }

    #[test]
    fn expressions_that_match_no_path_are_found() {
        for never in [
            "admin/.*", "^admin", "(a|b)/c", "/a\\?x=1", "^/a#b$", "[a-z]+", "$",
        ] {
            assert!(impossible_regex(never).is_some(), "{never}");
        }
        for may in [
            "/admin/.*",
            "^/admin/",
            ".*",
            ".*\\.php",
            "(/a|b)/c",
            "/?a",
            "/a\\??",
            "(?i)/a",
            "[^a]b",
            "a*/b",
            "/.*",
            "(a|/b)?/c",
        ] {
            assert_eq!(impossible_regex(may), None, "{may}");
        }
    }

    #[test]
    fn expressions_with_one_anchor_are_noted() {
        let note = |pattern: &str| {
            let text = format!(r#"{{"path": {{"regex": "{pattern}"}}}}"#);
            let json = Json::parse(text.as_bytes(), 8).unwrap();
            notes(&Node::root(&json))
        };
        for half in ["^/admin/", "^/v[0-9]+", "^/(a|b)", "/admin$"] {
            assert!(note(half).is_some(), "{half}");
        }
        for whole in [
            "/admin/",
            "^/admin/$",
            "^/admin/.*",
            "^/admin(/.*)?",
            ".*\\\\.php$",
            "^/a(/[a-z]+)*",
        ] {
            assert_eq!(note(whole), None, "{whole}");
        }
    }

    #[test]
    fn hosts_that_nobody_sends_are_found() {
        for never in [
            "*",
            "https://a.example",
            "a.example/x",
            "a.example:443",
            "*.a.example:443",
            "a..example",
            ".a.example",
            "a.*.example",
        ] {
            assert!(impossible_host(never).is_some(), "{never}");
        }
        for may in [
            "a.example",
            "*.a.example",
            "A.Example",
            "a.example.",
            "[::1]",
            "localhost",
            "10.0.0.1",
            "a_b.example",
        ] {
            assert_eq!(impossible_host(may), None, "{may}");
        }
    }
}
