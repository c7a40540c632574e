//! Case files to cases.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::documents;
use crate::fields::{Members, bytes, fields, strings};
use crate::keys::{KeyRing, variables};
use crate::minted::{Minted, TOKEN, expand, fill};
use crate::shipped::{Shipped, document};
use crate::tokens::{self, Mint};
use crate::wire::{Request, Response, Version};
use crate::{Case, CaseServer, Exchange, minted};

/// The fields of a case file, and of what stands in it, by the name of the part.
pub const CASE_MEMBERS: &[(&str, &[&str])] = &[
    (
        "file",
        &[
            "about",
            "document",
            "document_number",
            "policy",
            "policy_text",
            "policy_hex",
            "policy_file",
            "keys",
            "environment",
            "tokens",
            "servers",
            "headers_stop_iteration",
            "problems",
            "exchanges",
        ],
    ),
    ("token", TOKEN),
    ("server", SERVER),
    ("exchange", EXCHANGE),
    ("request", REQUEST),
    ("upstream", UPSTREAM),
    ("expect", crate::expect::EXPECT),
    ("expect upstream", crate::expect::UPSTREAM),
];

const SERVER: &[&str] = &["when", "status", "headers", "body", "json", "trailers"];
const EXCHANGE: &[&str] = &["name", "request", "upstream", "expect"];
const REQUEST: &[&str] = &[
    "http",
    "method",
    "path",
    "authority",
    "headers",
    "body",
    "chunks",
    "trailers",
];
const UPSTREAM: &[&str] = &["status", "headers", "body", "trailers"];

/// Every `.json` file below a folder.
pub(super) fn folder(folder: &Path, keys: &dyn KeyRing) -> Result<Vec<Case>, String> {
    let read = |path: PathBuf| {
        let case = file(&path, keys).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Case {
            name: name(folder, &path),
            ..case
        })
    };
    files(folder)?.into_iter().map(read).collect()
}

/// Their paths.
pub(super) fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    let mut found = Vec::new();
    collect(folder, &mut found)?;
    if found.is_empty() {
        return Err(format!("{}: no case files (*.json)", folder.display()));
    }
    Ok(found)
}

fn collect(folder: &Path, found: &mut Vec<PathBuf>) -> Result<(), String> {
    let place = |error: std::io::Error| format!("{}: {error}", folder.display());
    let entries = fs::read_dir(folder).map_err(place)?;
    let mut paths: Vec<_> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(place)?;
    paths.sort();
    for path in paths {
        // A link to a folder may lead to where it stands.
        if path.is_dir() && !path.is_symlink() {
            let is_keys = path.file_name().is_some_and(|name| name == "keys");
            if !is_keys {
                collect(&path, found)?;
            }
        } else if path.extension().is_some_and(|ending| ending == "json") {
            found.push(path);
        }
    }
    Ok(())
}

fn name(root: &Path, path: &Path) -> String {
    let relative = path.strip_prefix(root).unwrap_or(path).with_extension("");
    let plain = |c: char| if c.is_alphanumeric() { c } else { '_' };
    relative.to_string_lossy().chars().map(plain).collect()
}

/// A case file; the case has no name yet.
pub(super) fn file(path: &Path, keys: &dyn KeyRing) -> Result<Case, String> {
    let text = documents::read(path)?;
    let value: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let file = Members::of(&value, "the file", fields_of("file"))?;
    file.text("about")?;
    let mint = Mint {
        keys,
        case: path,
        now: minted::now(),
    };
    let tokens = Minted::all(file.get("tokens"), mint)?;
    let servers = servers(file.get("servers"), &tokens)?;
    let exchanges = match file.get("exchanges") {
        None => Vec::new(),
        Some(list) => {
            let list = list.as_array().ok_or("`exchanges` must be an array")?;
            list.iter()
                .enumerate()
                .map(|(index, item)| {
                    exchange(item, &tokens).map_err(|error| format!("/exchanges/{index}: {error}"))
                })
                .collect::<Result<_, _>>()?
        }
    };
    let problems = match file.get("problems") {
        None => Vec::new(),
        Some(list) => strings(list, "problems")?,
    };
    if exchanges.is_empty() == problems.is_empty() {
        return Err("needs either `exchanges` or `problems`, not both and not none".to_owned());
    }
    let Shipped {
        document,
        document_at,
        keys: provider_keys,
    } = document(path, &file, &tokens)?;
    let mut environment = keys.environment(path)?;
    if let Some(described) = file.get("environment") {
        let described = variables(described);
        environment.extend(described.ok_or("/environment: must be an object of strings")?);
    }
    let headers_stop_iteration = match file.get("headers_stop_iteration") {
        None => holds_headers(&document),
        Some(value) => value
            .as_bool()
            .ok_or("`headers_stop_iteration` must be true or false")?,
    };
    Ok(Case {
        path: path.to_owned(),
        name: String::new(),
        document,
        document_at,
        keys: provider_keys,
        headers_stop_iteration,
        problems,
        servers,
        environment,
        now: tokens.mint.now,
        exchanges,
    })
}

/// Whether the document wants the proxy to be set so.
fn holds_headers(document: &[u8]) -> bool {
    let document: Value = serde_json::from_slice(document).unwrap_or_default();
    let held = document.get("body_inspection");
    held.is_some_and(|held| held == "hold_headers")
}

/// The fields of a part of a case file.
fn fields_of(part: &str) -> &'static [&'static str] {
    let found = CASE_MEMBERS.iter().find(|(name, _)| *name == part);
    found.map_or(&[], |(_, fields)| fields)
}

/// What is called, by the names of the proxy's clusters.
fn servers(described: Option<&Value>, tokens: &Minted<'_>) -> Result<Vec<CaseServer>, String> {
    let Some(described) = described else {
        return Ok(Vec::new());
    };
    let described = described.as_object();
    let described = described.ok_or("`servers` must be an object")?.iter();
    let read = described.map(|(cluster, answers)| {
        let answers = answers.as_array().ok_or("a server is a list of answers")?;
        let answers = answers.iter().map(|answer| called(answer, tokens));
        Ok(CaseServer {
            cluster: cluster.clone(),
            answers: answers.collect::<Result<_, String>>()?,
        })
    });
    read.collect()
}

/// One answer, and to which calls it is given.
fn called(value: &Value, tokens: &Minted<'_>) -> Result<(String, Response), String> {
    let members = Members::of(value, "an answer", SERVER)?;
    let when = fill(&members.text("when")?, tokens)?;
    let mut rest = members.members.clone();
    rest.remove("when");
    let json = rest.remove("json");
    let mut response = response(&Value::Object(rest), tokens)?;
    if let Some(json) = json {
        let expanded = expand(&json, tokens)?;
        let json = tokens.mint.derived(&expanded, &tokens.tokens)?;
        let json = tokens::at(&json, tokens.mint.now);
        response.body = json.to_string().into_bytes();
        if !response
            .headers
            .iter()
            .any(|(name, _)| name == "content-type")
        {
            let media_type = b"application/json".to_vec();
            response
                .headers
                .push(("content-type".to_owned(), media_type));
        }
    }
    Ok((when, response))
}

fn exchange(value: &Value, tokens: &Minted<'_>) -> Result<Exchange, String> {
    let members = Members::of(value, "the exchange", EXCHANGE)?;
    let request = members.get("request").ok_or("needs `request`")?;
    let upstream = members
        .get("upstream")
        .map_or_else(|| Ok(default_answer()), |value| response(value, tokens))?;
    let expect = members.get("expect").ok_or("needs `expect`")?;
    Ok(Exchange {
        name: members.text("name")?,
        request: self::request(request, tokens)?,
        upstream,
        expect: expand(expect, tokens)?,
    })
}

fn request(value: &Value, tokens: &Minted<'_>) -> Result<Request, String> {
    let members = Members::of(value, "`request`", REQUEST)?;
    let version = match members.get("http").map(Value::as_u64) {
        None | Some(Some(1)) => Version::Http1,
        Some(Some(2)) => Version::Http2,
        Some(_) => return Err("`http` must be 1 or 2".to_owned()),
    };
    let bytes_or = |name, default: &str| {
        members
            .get(name)
            .map_or(Ok(default.as_bytes().to_vec()), |value| {
                bytes(value, tokens)
            })
    };
    let body = match (members.get("body"), members.get("chunks")) {
        (Some(_), Some(_)) => return Err("`body` cannot stand beside `chunks`".to_owned()),
        (Some(body), None) => Some(vec![bytes(body, tokens)?]),
        (None, Some(chunks)) => {
            let chunks = chunks.as_array().ok_or("`chunks` must be an array")?;
            Some(
                chunks
                    .iter()
                    .map(|chunk| bytes(chunk, tokens))
                    .collect::<Result<_, _>>()?,
            )
        }
        (None, None) => None,
    };
    Ok(Request {
        version,
        method: bytes_or("method", "GET")?,
        path: bytes_or("path", "/")?,
        authority: bytes_or("authority", "api.example.com")?,
        headers: fields(members.get("headers"), tokens)?,
        body,
        trailers: fields(members.get("trailers"), tokens)?,
    })
}

fn response(value: &Value, tokens: &Minted<'_>) -> Result<Response, String> {
    let members = Members::of(value, "`upstream`", UPSTREAM)?;
    let status = members.get("status").map_or(Some(200), Value::as_u64);
    let status = status
        .and_then(|status| u16::try_from(status).ok())
        .ok_or("`status` must be a status")?;
    let named = |name| -> Result<Vec<(String, Vec<u8>)>, String> {
        let fields = fields(members.get(name), tokens)?.into_iter();
        let text = |name: Vec<u8>| String::from_utf8_lossy(&name).into_owned();
        Ok(fields.map(|(name, value)| (text(name), value)).collect())
    };
    Ok(Response {
        status,
        headers: named("headers")?,
        body: members
            .get("body")
            .map_or(Ok(Vec::new()), |body| bytes(body, tokens))?,
        trailers: named("trailers")?,
    })
}

fn default_answer() -> Response {
    Response {
        status: 200,
        headers: vec![("content-type".to_owned(), b"text/plain".to_vec())],
        body: b"the service's answer".to_vec(),
        trailers: Vec::new(),
    }
}
