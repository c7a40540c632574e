//! `portcullis render`: a configuration of Envoy with another document in it, to try that document on this machine.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::Args;
use portcullis::engine::Engine;
use serde_json::{Value, json};

use super::check;
use super::token::KeyFile;

/// What has a document put into it, unless another configuration is named.
const BASE: &str = include_str!("../../envoy/envoy.yaml");

#[derive(Debug, Args)]
pub(crate) struct RenderArguments {
    /// The document, or a file that has one
    document: PathBuf,
    /// Which of several documents of the file, from 1 on
    #[arg(long, value_name = "NUMBER")]
    number: Option<usize>,
    /// A configuration of Envoy in YAML with a document as a block of lines, in place of envoy/envoy.yaml
    #[arg(long, value_name = "FILE")]
    base: Option<PathBuf>,
    /// Every provider takes tokens of this key, in place of those whose keys the proxy would fetch: a private key, as
    /// `portcullis token key` prints it
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// The name of the key
    #[arg(long, default_value = "local")]
    kid: String,
    /// Where clusters lead that the document names and the configuration lacks
    #[arg(long, value_name = "PORT", default_value_t = 10001)]
    upstream_port: u16,
}

impl RenderArguments {
    /// The configuration.
    ///
    /// # Errors
    /// What is wrong with a file or with the document.
    pub(crate) fn run(&self) -> Result<String, String> {
        let mut document = check::one_document(&self.document, self.number)?;
        if let Some(key) = &self.key {
            let keys = KeyFile::named(key, &self.kid).jwks()?;
            let providers = document.get_mut("providers").and_then(Value::as_object_mut);
            for (_, provider) in providers.into_iter().flatten() {
                if let Value::Object(provider) = provider {
                    provider.insert("jwks".to_owned(), json!({ "inline": keys }));
                }
            }
        }
        let engine = Engine::compile(document.to_string().as_bytes()).map_err(|error| {
            let problems: Vec<String> = error.problems.iter().map(ToString::to_string).collect();
            let file = self.document.display();
            format!("{file} is not valid:\n{}", problems.join("\n"))
        })?;
        let base = match &self.base {
            None => BASE.to_owned(),
            Some(path) => {
                fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?
            }
        };
        let mut configuration = replaced(&base, &document).ok_or_else(|| {
            let base = self
                .base
                .as_deref()
                .unwrap_or(Path::new("envoy/envoy.yaml"));
            format!(
                "{} has no document as a block of lines, `value: |`",
                base.display()
            )
        })?;
        let named = check::clusters(&document);
        if document.get("body_inspection").and_then(Value::as_str) == Some("hold_headers") {
            let place = "                failure_policy:";
            let with = format!("                allow_on_headers_stop_iteration: true\n{place}");
            configuration = configuration.replacen(place, &with, 1);
        }
        configuration = with_clusters(&configuration, &named, self.upstream_port);
        Ok(with_variables(&configuration, &engine.variables()))
    }
}

/// The base with the document in place of the block behind `value: |` that follows `StringValue`.
fn replaced(base: &str, document: &Value) -> Option<String> {
    let mut lines = base.lines();
    let mut out = String::new();
    let mut is_ours = false;
    let mut rest = Vec::new();
    while let Some(line) = lines.next() {
        out += line;
        out.push('\n');
        is_ours |= line.contains("google.protobuf.StringValue");
        if is_ours && line.trim_end().ends_with("value: |") {
            rest = lines.collect();
            break;
        }
    }
    let indentation = |line: &str| line.len() - line.trim_start().len();
    let deep = rest.first().map(|line| indentation(line))?;
    let text = serde_json::to_string_pretty(document).ok()?;
    for line in text.lines() {
        out += &" ".repeat(deep);
        out += line;
        out.push('\n');
    }
    let behind = |line: &&&str| line.trim().is_empty() || indentation(line) >= deep;
    let skipped = rest.iter().take_while(behind).count();
    for line in rest.iter().skip(skipped) {
        out += line;
        out.push('\n');
    }
    Some(out)
}

/// Clusters that are named and not there lead to the demo's upstream, behind those that there are.
fn with_clusters(configuration: &str, named: &BTreeSet<String>, port: u16) -> String {
    let mut out = configuration.to_owned();
    for name in named {
        let is_there = out.contains(&format!("- name: {name}\n"));
        if is_there {
            continue;
        }
        let cluster = json!({
            "name": name, "type": "STATIC", "connect_timeout": "1s",
            "load_assignment": { "cluster_name": name, "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": {
                "socket_address": { "address": "127.0.0.1", "port_value": port } } } }] }] },
        });
        // The list of clusters is the last of the file.
        out += &format!("  - {cluster}\n");
    }
    out
}

/// Variables that the document names come from the environment of Envoy.
fn with_variables(configuration: &str, names: &BTreeSet<&str>) -> String {
    if names.is_empty() {
        return configuration.to_owned();
    }
    let line = json!({ "host_env_keys": names });
    let place = "                vm_config:\n";
    let with = format!("{place}                  environment_variables: {line}\n");
    configuration.replacen(place, &with, 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_takes_the_place_of_the_one_that_is_there() {
        let base = "a:\n  configuration:\n    \"@type\": type.googleapis.com/google.protobuf.StringValue\n    value: |\n      {\n        \"version\": 1\n      }\nb: 1\n";
        let rendered = replaced(base, &json!({ "routes": [] })).unwrap();
        let expected = "a:\n  configuration:\n    \"@type\": type.googleapis.com/google.protobuf.StringValue\n    value: |\n      {\n        \"routes\": []\n      }\nb: 1\n";
        assert_eq!(rendered, expected);
        assert_eq!(replaced("a: 1\n", &json!({})), None);
    }
}
