//! `portcullis import openapi`: a document with a route that enforces an API.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Map, Value, json};

use super::assembly::usable_name;
use super::probe::probe;
use super::reading::{Report, entries, items, member, path, scalar, text};
use super::{Output, read};
use portcullis_cases::tree::{Content, Tree};

#[derive(Debug, Args)]
pub(crate) struct OpenapiArguments {
    /// The API, JSON or YAML; - is standard input
    file: PathBuf,
    /// What precedes its paths; of the first of its `servers` if it is not given
    #[arg(long, value_name = "PATH")]
    base_path: Option<String>,
    /// The largest body
    #[arg(long, value_name = "SIZE", default_value = "1MiB")]
    max_bytes: String,
    #[command(flatten)]
    pub(super) output: Output,
}

impl OpenapiArguments {
    /// The document.
    ///
    /// # Errors
    /// Why there is none.
    pub(super) fn import(&self, report: &mut Report) -> Result<Value, String> {
        let trees = read(&self.file, report)?;
        let told = |reason: &str| format!("{}: {reason}", self.file.display());
        let [api] = trees.as_slice() else {
            return Err(told("has more than one document"));
        };
        if text(api, "openapi").is_none() && api.get("openapi").and_then(scalar).is_none() {
            return Err(told(
                "is no OpenAPI document of version 3: it has no `openapi`",
            ));
        }
        let title = path(api, &["info", "title"])
            .and_then(Tree::text)
            .unwrap_or("api");
        let name = usable_name(&title.to_ascii_lowercase());
        let base = self.base_path.clone().unwrap_or_else(|| base_path(api));
        let base = base.trim_end_matches('/').to_owned();
        let mut matching = Map::new();
        let mut block = Map::new();
        block.insert("api".into(), name.as_str().into());
        if !base.is_empty() {
            matching.insert("path".into(), json!({ "prefix": base }));
            block.insert("base_path".into(), base.into());
        }
        block.insert("max_bytes".into(), self.max_bytes.as_str().into());
        let mut document = api.json();
        if let Some(version) = document.get_mut("openapi")
            && !version.is_string()
        {
            *version = version.to_string().into();
        }
        let mut route = json!({ "name": name, "match": matching, "openapi": block });
        let is_guarded = asks_for_credentials(api, report);
        let guard = if is_guarded {
            ("deny", true)
        } else {
            ("open", true)
        };
        if let Value::Object(route) = &mut route {
            route.insert(guard.0.into(), guard.1.into());
        }
        let document = json!({ "version": 1, "apis": { name: document }, "routes": [route] });
        match probe(&document) {
            Ok(()) => {
                report.took(format!("{title:?}: paths, parameters and bodies"));
                Ok(document)
            }
            Err(problems) => Err(told(&problems)),
        }
    }
}

/// The path of the first server.
fn base_path(api: &Tree) -> String {
    let first = items(api, "servers").into_iter().next();
    let url = first
        .and_then(|server| text(server, "url"))
        .unwrap_or_default();
    let behind = url.split_once("://").map_or(url, |(_, rest)| {
        rest.find('/')
            .and_then(|at| rest.get(at..))
            .unwrap_or_default()
    });
    behind.to_owned()
}

/// Whether `security` stands there and asks for something. What cannot be read does.
fn asks(tree: &Tree) -> bool {
    let is_nothing =
        |each: &Tree| matches!(&each.content, Content::Object(members) if members.is_empty());
    match member(tree, "security").map(|list| &list.content) {
        None => false,
        Some(Content::List(items)) => !items.iter().all(is_nothing),
        Some(_) => true,
    }
}

/// Whether an operation of a path asks for credentials: of one that stands elsewhere in the document too. One in another
/// document counts as asking.
fn asks_in_path(item: &Tree, api: &Tree, depth: usize) -> bool {
    /// One that leads on to others leads so far.
    const MOST: usize = 16;
    if item.children().into_iter().any(asks) {
        return true;
    }
    let Some(reference) = item.get("$ref") else {
        return false;
    };
    let found = reference.text().and_then(|text| text.strip_prefix("#/"));
    let found = found.and_then(|pointer| {
        let mut names = pointer.split('/');
        names.try_fold(api, |tree, name| {
            let name = name.replace("~1", "/").replace("~0", "~");
            match &tree.content {
                Content::List(items) => items.get(name.parse::<usize>().ok()?),
                _ => tree.get(&name),
            }
        })
    });
    match found {
        Some(found) if depth < MOST => asks_in_path(found, api, depth + 1),
        _ => true,
    }
}

/// Whether some operation asks for credentials. Who issues them is not known: the route refuses all until that is said.
fn asks_for_credentials(api: &Tree, report: &mut Report) -> bool {
    let paths = api.get("paths").map(Tree::children).unwrap_or_default();
    let is_asked = asks(api) || paths.into_iter().any(|item| asks_in_path(item, api, 0));
    if !is_asked {
        return false;
    }
    let schemes = path(api, &["components", "securitySchemes"])
        .map(entries)
        .unwrap_or_default();
    for (name, scheme) in schemes {
        let kind = text(scheme, "type").unwrap_or_default();
        let cure = match kind {
            "apiKey" => "an entry in `api_key_stores`, and `api_key` on the route",
            "oauth2" | "openIdConnect" => {
                "an entry in `providers` with its issuer and keys, and `jwt` on the route"
            }
            "http" => {
                "`providers` for `bearer`, `api_key_stores` for `basic`, and the block on the route"
            }
            "mutualTLS" => "`certificate` on the route",
            _ => "credentials on the route",
        };
        report.lost(
            &scheme.at,
            format!("TODO: the API asks for {name:?} ({kind}), and who issues it is not in it: the route refuses all until you write {cure}, name it in `security` of `openapi`, and take `deny` out"),
        );
    }
    report.lost(
        &api.at,
        "the route refuses all: its credentials have to be written first",
    );
    true
}
