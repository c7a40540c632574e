//! What is known of a refusal beyond its reason, as JSON.

use super::line::quoted;
use super::redact;
use portcullis_exchange::refusal::{Detail, Fact};
use portcullis_wire::digits;

/// Whether names of parameters that a client sent are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parameters {
    Shown,
    Hidden,
}

/// Writes an object: the place of the rule, and what was found. Nothing at all if neither is known.
pub fn write(out: &mut String, detail: &Detail, parameters: Parameters) -> bool {
    let start = out.len();
    let mut first = true;
    let mut key = |out: &mut String, name: &str| {
        out.push_str(if first { "{\"" } else { ",\"" });
        first = false;
        out.push_str(name);
        out.push_str("\":");
    };
    if let Some(rule) = detail.rule() {
        key(out, "rule");
        trusted(out, rule);
    }
    for (name, fact) in detail.facts() {
        if matches!(fact, Fact::Parameter(_)) && parameters == Parameters::Hidden {
            continue;
        }
        key(out, name);
        value(out, fact);
    }
    if out.len() == start {
        return false;
    }
    out.push('}');
    true
}

fn value(out: &mut String, fact: &Fact) {
    match fact {
        Fact::Word(word) => trusted(out, word),
        Fact::Words(words) => list(out, words.iter().copied()),
        Fact::Trusted(name) => trusted(out, name),
        Fact::TrustedList(names) => list(out, names.iter().map(|name| &**name)),
        Fact::Untrusted(sent) | Fact::Parameter(sent) => quoted(out, &redact::tokens(sent)),
        Fact::Path(path) => quoted(out, &redact::path(path)),
        Fact::Number(number) => digits::push(out, *number),
    }
}

fn list<'n>(out: &mut String, names: impl Iterator<Item = &'n str>) {
    out.push('[');
    for (index, name) in names.enumerate() {
        if index > 0 {
            out.push(',');
        }
        trusted(out, name);
    }
    out.push(']');
}

/// A name in the document may be anything, so it is escaped as well.
fn trusted(out: &mut String, name: &str) {
    quoted(out, name.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_wire::json::Json;

    fn written(detail: &Detail, parameters: Parameters) -> String {
        let mut out = String::new();
        write(&mut out, detail, parameters);
        out
    }

    #[test]
    fn nothing_a_client_sent_leaves_its_place() {
        let sent = b"a\"},{\r\n eyJhbGciOiJIUzI1NiJ9.e30.c2ln \xff";
        let detail = Detail::at("/routes/0/cors/allow_origins")
            .and("origin", Fact::untrusted(sent))
            .and("names", Fact::trusted_list(["x\"y"].into_iter()))
            .and("kinds", Fact::Words(vec!["a", "b"]))
            .and(
                "path",
                Fact::path(b"/a;token=eye/\"eyJhbGciOiJIUzI1NiJ9.e30.c2ln"),
            )
            .and("seconds", Fact::Number(7));
        let text = written(&detail, Parameters::Shown);
        assert_eq!(
            text,
            r#"{"rule":"/routes/0/cors/allow_origins","origin":"a\"},{\u000d\u000a REDACTED \\xff","names":["x\"y"],"kinds":["a","b"],"path":"/a;token=REDACTED/\"REDACTED","seconds":7}"#
        );
        assert!(Json::parse(text.as_bytes(), 4).is_ok());
    }

    #[test]
    fn names_of_parameters_are_hidden_where_queries_are() {
        let detail = Detail::default().and("parameter", Fact::Parameter(Box::from(*b"x")));
        assert_eq!(written(&detail, Parameters::Shown), r#"{"parameter":"x"}"#);
        assert_eq!(written(&detail, Parameters::Hidden), "");
    }
}
