//! `portcullis audit`: what is valid, and risky.

mod document;
mod proxy;

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::Args;
use portcullis::engine::Engine;

use super::check::{self, Checked, Finding, Severity};
use super::report::{self, Format};
use portcullis_cases::tree::Tree;

#[derive(Debug, Args)]
pub(crate) struct AuditArguments {
    /// Files and folders, as of `check`; - is standard input
    #[arg(required_unless_present = "list", value_name = "FILE")]
    paths: Vec<PathBuf>,
    /// How to write what is found
    #[arg(long, value_enum, default_value = "text")]
    format: Format,
    /// A finding that is accepted, with the reason: ID=REASON
    #[arg(long, value_name = "ID=REASON")]
    accept: Vec<String>,
    /// The least severity that fails
    #[arg(long, value_enum, default_value = "warning")]
    fail_on: Severity,
    /// Print what is looked for, and look at nothing
    #[arg(long)]
    list: bool,
}

/// Something that is looked for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Risk {
    /// Its name, which stays.
    pub(crate) id: &'static str,
    pub(crate) severity: Severity,
    /// Its item of the OWASP API Security Top 10 (2023).
    pub(crate) owasp: &'static str,
    /// What it is.
    pub(crate) what: &'static str,
    /// What to do.
    pub(crate) cure: &'static str,
}

/// A risk at a place.
pub(crate) struct Hit {
    pub(crate) risk: &'static Risk,
    pub(crate) at: Place,
}

/// Where, in what a file has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A pointer of the document.
    Document(String),
    /// Bytes of the file, of what is around it.
    File(Range<usize>),
}

/// Everything that is looked for.
fn risks() -> impl Iterator<Item = &'static Risk> {
    document::RISKS.iter().chain(proxy::RISKS).copied()
}

impl AuditArguments {
    /// What was found, as text; whether it is no worse than is accepted; and what could not be read.
    ///
    /// # Errors
    /// A file that cannot be read, or a finding that does not exist.
    pub(crate) fn run(&self, colour: bool) -> Result<(String, bool, Vec<String>), String> {
        if self.list {
            return Ok((list(), true, Vec::new()));
        }
        let accepted = self.accepted()?;
        let (mut all, unread) = check::each(&self.paths, audited)?;
        let mut unused: Vec<&str> = Vec::new();
        for id in accepted.keys() {
            let mut findings = all.iter().flat_map(|checked| &checked.findings);
            if !findings.any(|finding| finding.id == Some(*id)) {
                unused.push(id);
            }
        }
        for checked in &mut all {
            let is_left =
                |finding: &Finding| finding.id.is_none_or(|id| !accepted.contains_key(id));
            checked.findings.retain(is_left);
        }
        let fails = |finding: &Finding| finding.severity <= self.fail_on;
        let mut findings = all.iter().flat_map(|checked| &checked.findings);
        let is_good = !findings.any(fails);
        let mut text = report::write(&all, self.format, colour);
        if self.format == Format::Text {
            for (id, reason) in &accepted {
                let state = if unused.contains(id) {
                    "accepted, and no longer found"
                } else {
                    "accepted"
                };
                text += &format!("{id}: {state}: {reason}\n");
            }
        }
        Ok((text, is_good, unread))
    }

    fn accepted(&self) -> Result<BTreeMap<&'static str, &str>, String> {
        let mut accepted = BTreeMap::new();
        for given in &self.accept {
            let halves = given.split_once('=');
            let (id, reason) = halves
                .filter(|(_, reason)| !reason.trim().is_empty())
                .ok_or_else(|| {
                    format!(
                        "--accept takes ID=REASON, not {given:?}: who reads it wants to know why"
                    )
                })?;
            let risk = risks().find(|risk| risk.id == id).ok_or_else(|| {
                format!("--accept: nothing is called {id:?}; --list prints what there is")
            })?;
            accepted.insert(risk.id, reason);
        }
        Ok(accepted)
    }
}

/// What is looked for, as rows of a table.
fn list() -> String {
    let mut text = String::from(
        "| id | severity | OWASP | what | what to do |\n| --- | --- | --- | --- | --- |\n",
    );
    for risk in risks() {
        text += &format!(
            "| `{}` | {} | {} | {} | {} |\n",
            risk.id,
            risk.severity.name(),
            risk.owasp,
            risk.what,
            risk.cure
        );
    }
    text
}

/// What is wrong with a file, and what is risky in documents that are not.
fn audited(path: &Path, is_named: bool) -> Result<Option<Checked>, String> {
    let Some(mut checked) = check::check(path, is_named)? else {
        return Ok(None);
    };
    if checked.has_errors() {
        return Ok(Some(checked));
    }
    // Notes are of `check`.
    checked.findings.clear();
    let text = &checked.source.text;
    let contents = portcullis_cases::documents::contents(path, text, is_named);
    let contents = contents.map_err(|error| format!("{}: {}", path.display(), error.reason))?;
    let mut findings = Vec::new();
    for found in &contents.documents {
        let mut hits = document::look(found.tree());
        if Engine::compile(&found.document).is_err() {
            hits.clear();
        }
        for hit in hits {
            let Place::Document(pointer) = hit.at else {
                continue;
            };
            findings.push(finding(
                hit.risk,
                found.locate(&pointer, text),
                Some(pointer),
            ));
        }
    }
    for tree in &contents.trees {
        let by_address = contents
            .documents
            .iter()
            .any(|found| document::goes_by_address(found.tree()));
        for hit in proxy::look(tree, by_address) {
            if let Place::File(at) = hit.at {
                findings.push(finding(hit.risk, at, None));
            }
        }
    }
    findings.sort_by_key(|finding: &Finding| (finding.severity, finding.at.start));
    // An anchor of YAML may stand for several filters.
    findings.dedup_by(|a, b| (a.id, &a.at) == (b.id, &b.at));
    checked.findings = findings;
    Ok(Some(checked))
}

fn finding(risk: &'static Risk, at: Range<usize>, pointer: Option<String>) -> Finding {
    Finding {
        severity: risk.severity,
        id: Some(risk.id),
        at,
        pointer,
        message: format!("{}; {} ({})", risk.what, risk.cure, risk.owasp),
    }
}

/// Walks over a value and all that is in it: pointers, names and values.
fn walk(tree: &Tree, pointer: &str, visit: &mut dyn FnMut(&str, &str, &Tree)) {
    match &tree.content {
        portcullis_cases::tree::Content::Object(members) => {
            for member in members {
                let token = member.name.replace('~', "~0").replace('/', "~1");
                let place = format!("{pointer}/{token}");
                visit(&place, &member.name, &member.tree);
                walk(&member.tree, &place, visit);
            }
        }
        portcullis_cases::tree::Content::List(items) => {
            for (index, item) in items.iter().enumerate() {
                walk(item, &format!("{pointer}/{index}"), visit);
            }
        }
        portcullis_cases::tree::Content::Plain(_) | portcullis_cases::tree::Content::Text(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use portcullis_cases::tree::of_json;

    fn found(document: &str) -> Vec<(&'static str, Place)> {
        let hits = document::look(&of_json(document).unwrap());
        hits.into_iter().map(|hit| (hit.risk.id, hit.at)).collect()
    }

    fn ids(document: &str) -> Vec<&'static str> {
        found(document).into_iter().map(|(id, _)| id).collect()
    }

    /// A document of which there is nothing to say.
    const GOOD: &str = r#"{"version": 1, "access_log": {}, "security_events": {},
        "providers": {"corp": {"issuer": "https://id.example.com/", "audiences": ["a"], "max_lifetime": "1h",
            "jwks": {"remote": {"cluster": "idp", "uri": "https://id.example.com/jwks"}}}},
        "defaults": {"jwt": {"provider": "corp"}, "payload": {"max_bytes": "64KiB"},
            "security_headers": {"preset": "api"},
            "rate_limits": [{"key": ["client_address"], "token_bucket": {"max_tokens": 10, "fill_interval": "1s"}}]},
        "routes": [{"name": "orders", "match": {"path": {"prefix": "/orders"}}},
            {"name": "health", "match": {"path": {"exact": "/healthz"}, "methods": ["GET"]}, "open": true}]}"#;

    #[test]
    fn a_careful_document_is_not_talked_about() {
        assert_eq!(found(GOOD), []);
    }

    /// Each change of the careful document, and what is said of it.
    #[test]
    fn each_risk_is_found_where_it_is() {
        for (from, to, id, place) in [
            (
                r#""audiences": ["a"]"#,
                r#""audiences": "any""#,
                "audience-any",
                "/providers/corp/audiences",
            ),
            (
                r#""max_lifetime": "1h","#,
                "",
                "token-lifetime",
                "/providers/corp",
            ),
            (
                "https://id.example.com/jwks",
                "http://id.example.com/jwks",
                "keys-in-clear",
                "/providers/corp/jwks/remote/uri",
            ),
            (r#""security_events": {},"#, "", "no-security-events", ""),
            (r#""access_log": {},"#, "", "no-access-log", ""),
            (
                r#""payload": {"max_bytes": "64KiB"},"#,
                "",
                "body-unlimited",
                "/routes/0",
            ),
            (
                r#", "methods": ["GET"]}, "open": true"#,
                r#"}, "open": true, "payload": "off""#,
                "body-unlimited",
                "/routes/1",
            ),
            (
                r#""security_headers": {"preset": "api"},"#,
                "",
                "hsts-missing",
                "/routes/0",
            ),
            (
                r#"{"prefix": "/orders"}"#,
                r#"{"prefix": "/orders"}}, "open": true, "jwt": "off", "rate_limits": "off", "x": {"y": 1"#,
                "open-for-writing",
                "/routes/0",
            ),
            (
                r#""provider": "corp"}"#,
                r#""provider": "corp", "mode": "shadow"}"#,
                "shadow-left-on",
                "/defaults/jwt/mode",
            ),
            (
                r#""provider": "corp"}"#,
                r#""provider": "corp", "percent": 5}"#,
                "credentials-for-a-share",
                "/defaults/jwt/percent",
            ),
            (
                r#"{"name": "orders", "#,
                r#"{"name": "orders", "percent": 5, "#,
                "credentials-for-a-share",
                "/routes/0/percent",
            ),
            (
                r#"{"name": "health", "#,
                r#"{"name": "health", "percent": 5, "#,
                "share-left-on",
                "/routes/1/percent",
            ),
            (
                r#"{"version": 1, "#,
                r#"{"version": 1, "percent": 5, "#,
                "credentials-for-a-share",
                "/percent",
            ),
            (
                r#""payload": {"max_bytes": "64KiB"},"#,
                r#""payload": {"max_bytes": "64KiB"}, "responses": {"forbid": {"kinds": ["card"]}},"#,
                "shadow-left-on",
                "/defaults/responses",
            ),
            (
                r#""fill_interval": "1s"}}"#,
                r#""fill_interval": "1s"}, "on_error": "allow"}"#,
                "fails-open",
                "/defaults/rate_limits/0/on_error",
            ),
            (
                "\"/orders\"",
                "\"/login\"}}, \"rate_limits\": \"off\", \"x\": {\"y\": {\"z\": \"\"",
                "log-in-without-limit",
                "/routes/0",
            ),
            (
                "\"/orders\"",
                "\"/orders\"}}, \"rate_limits\": \"off\", \"x\": {\"y\": {\"z\": \"\"",
                "no-limit",
                "/routes/0",
            ),
        ] {
            let changed = GOOD.replacen(from, to, 1);
            assert_ne!(changed, GOOD, "{id}");
            let expected = (id, Place::Document(place.to_owned()));
            let found = found(&changed);
            assert!(found.contains(&expected), "{id}: {found:?}");
        }
    }

    #[test]
    fn an_exemption_from_defaults_is_told() {
        let changed = GOOD.replacen("\"/orders\"}}", "\"/orders\"}}, \"payload\": \"off\"", 1);
        assert!(ids(&changed).contains(&"exempt-from-defaults"));
    }

    #[test]
    fn what_is_around_a_document_is_looked_at() {
        let file = r#"{"config": {"failure_policy": "FAIL_OPEN", "configuration": {}},
            "http_connection_manager": {"http_filters": [{"name": "cors"}, {"name": "portcullis",
                "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"}}]}}"#;
        let tree = of_json(file).unwrap();
        let ids = |by_address| -> Vec<&str> {
            let hits = proxy::look(&tree, by_address);
            hits.into_iter().map(|hit| hit.risk.id).collect()
        };
        assert_eq!(
            ids(true),
            [
                "proxy-fails-open",
                "filter-not-first",
                "client-address-untrue"
            ]
        );
        assert_eq!(ids(false), ["proxy-fails-open", "filter-not-first"]);
    }

    #[test]
    fn names_stand_for_one_risk() {
        let mut seen = std::collections::BTreeSet::new();
        for risk in risks() {
            assert!(seen.insert(risk.id), "{}", risk.id);
            assert!(
                risk.owasp.starts_with("API") && risk.owasp.ends_with(":2023"),
                "{}",
                risk.id
            );
        }
    }
}
