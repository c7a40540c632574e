//! Case files to cases.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use super::{Case, CaseServer, Exchange};
use crate::tokens::{self, SigningKey};
use crate::wire::{Request, Response, Version};

/// Every `.json` file below a folder.
pub(super) fn folder(folder: &Path) -> Result<Vec<Case>, String> {
    let mut cases = Vec::new();
    collect(folder, folder, &mut cases)?;
    if cases.is_empty() {
        return Err(format!("{}: no case files (*.json)", folder.display()));
    }
    Ok(cases)
}

fn collect(root: &Path, folder: &Path, cases: &mut Vec<Case>) -> Result<(), String> {
    let place = |error: std::io::Error| format!("{}: {error}", folder.display());
    let entries = fs::read_dir(folder).map_err(place)?;
    let mut paths: Vec<_> = entries
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()
        .map_err(place)?;
    paths.sort();
    for path in paths {
        if path.is_dir() {
            collect(root, &path, cases)?;
        } else if path.extension().is_some_and(|ending| ending == "json") {
            let case = file(&path).map_err(|error| format!("{}: {error}", path.display()))?;
            cases.push(Case {
                name: name(root, &path),
                ..case
            });
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
pub(super) fn file(path: &Path) -> Result<Case, String> {
    let text = fs::read_to_string(path).map_err(|error| error.to_string())?;
    let value: Value = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let file = Members::of(
        &value,
        "the file",
        &[
            "about",
            "policy",
            "policy_text",
            "policy_hex",
            "policy_file",
            "tokens",
            "servers",
            "headers_stop_iteration",
            "problems",
            "exchanges",
        ],
    )?;
    file.text("about")?;
    let tokens = Minted::all(file.get("tokens"));
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
    let document = document(path, &file, &tokens)?;
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
        headers_stop_iteration,
        problems,
        servers,
        exchanges,
    })
}

/// Whether the document wants the proxy to be set so.
fn holds_headers(document: &[u8]) -> bool {
    let document: Value = serde_json::from_slice(document).unwrap_or_default();
    document["body_inspection"] == "hold_headers"
}

fn document(path: &Path, file: &Members<'_>, tokens: &Minted) -> Result<Vec<u8>, String> {
    if let Some(text) = file.get("policy_text") {
        return Ok(text
            .as_str()
            .ok_or("`policy_text` must be a string")?
            .as_bytes()
            .to_vec());
    }
    if let Some(hex) = file.get("policy_hex") {
        return unhex(hex.as_str().ok_or("`policy_hex` must be a string")?);
    }
    if let Some(name) = file.get("policy_file") {
        let name = name.as_str().ok_or("`policy_file` must be a string")?;
        let beside = path.with_file_name(name);
        return fs::read(&beside).map_err(|error| format!("{}: {error}", beside.display()));
    }
    let policy = file
        .get("policy")
        .ok_or("needs `policy`, `policy_file`, `policy_text` or `policy_hex`")?;
    Ok(expand(policy, tokens)?.to_string().into_bytes())
}

/// What stands in the place of `{{token:NAME}}` and of `{{now}}`.
struct Minted {
    tokens: BTreeMap<String, String>,
    now: u64,
}

impl Minted {
    fn all(described: Option<&Value>) -> Self {
        let now = now();
        let described = described.and_then(Value::as_object).into_iter().flatten();
        // Those that say something of others come after them.
        let (proofs, others): (Vec<_>, Vec<_>) =
            described.partition(|(_, token)| token.to_string().contains("\"$ath\""));
        let mut tokens = BTreeMap::new();
        for (name, token) in others.into_iter().chain(proofs) {
            let token = tokens::mint_beside(token, now, &tokens);
            tokens.insert(name.clone(), token);
        }
        Self { tokens, now }
    }
}

#[allow(
    clippy::disallowed_methods,
    reason = "tokens are minted for the clock of a real proxy"
)]
pub(super) fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}

/// What is called, by the names of the proxy's clusters.
fn servers(described: Option<&Value>, tokens: &Minted) -> Result<Vec<CaseServer>, String> {
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
fn called(value: &Value, tokens: &Minted) -> Result<(String, Response), String> {
    let names = ["when", "status", "headers", "body", "json", "trailers"];
    let members = Members::of(value, "an answer", &names)?;
    let when = fill(&members.text("when")?, tokens)?;
    let mut rest = members.members.clone();
    rest.remove("when");
    let json = rest.remove("json");
    let mut response = response(&Value::Object(rest), tokens)?;
    if let Some(json) = json {
        let json = tokens::derived(&expand(&json, tokens)?, &tokens.tokens);
        let json = tokens::at(&json, tokens.now);
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

/// Puts tokens for `{{token:NAME}}`, and keys for `{"$jwk": NAME, …}`.
fn expand(value: &Value, tokens: &Minted) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => fill(text, tokens)?.into(),
        Value::Array(items) => items
            .iter()
            .map(|item| expand(item, tokens))
            .collect::<Result<_, _>>()?,
        Value::Object(members) => match members.get("$jwk") {
            Some(name) => {
                let mut jwk =
                    SigningKey::named(name.as_str().ok_or("`$jwk` must be a string")?).jwk();
                for (name, value) in members.iter().filter(|(name, _)| *name != "$jwk") {
                    jwk[name] = value.clone();
                }
                jwk
            }
            None => {
                let mut expanded = Map::new();
                for (name, value) in members {
                    expanded.insert(name.clone(), expand(value, tokens)?);
                }
                Value::Object(expanded)
            }
        },
        other => other.clone(),
    })
}

fn fill(text: &str, minted: &Minted) -> Result<String, String> {
    let text = &*tokens::at_now(text, minted.now);
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{token:") {
        let (name, after) = after.split_once("}}").ok_or("`{{token:` without `}}`")?;
        let token = minted
            .tokens
            .get(name)
            .ok_or_else(|| format!("no token is named `{name}`"))?;
        filled.push_str(before);
        filled.push_str(token);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

fn exchange(value: &Value, tokens: &Minted) -> Result<Exchange, String> {
    let members = Members::of(
        value,
        "the exchange",
        &["name", "request", "upstream", "expect"],
    )?;
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

fn request(value: &Value, tokens: &Minted) -> Result<Request, String> {
    let members = Members::of(
        value,
        "`request`",
        &[
            "http",
            "method",
            "path",
            "authority",
            "headers",
            "body",
            "chunks",
            "trailers",
        ],
    )?;
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

fn response(value: &Value, tokens: &Minted) -> Result<Response, String> {
    let members = Members::of(
        value,
        "`upstream`",
        &["status", "headers", "body", "trailers"],
    )?;
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

/// The name and the value of a header field.
type Field = (Vec<u8>, Vec<u8>);

fn fields(value: Option<&Value>, tokens: &Minted) -> Result<Vec<Field>, String> {
    const FORM: &str = "fields must be an array of [name, value] pairs";
    let Some(value) = value else {
        return Ok(Vec::new());
    };
    let pair = |pair: &Value| match pair.as_array().map(Vec::as_slice) {
        Some([name, value]) => Ok((bytes(name, tokens)?, bytes(value, tokens)?)),
        _ => Err(FORM.to_owned()),
    };
    value.as_array().ok_or(FORM)?.iter().map(pair).collect()
}

/// Text, or `{"hex": "…"}`, or `{"repeat": "…", "times": N}`.
fn bytes(value: &Value, tokens: &Minted) -> Result<Vec<u8>, String> {
    match value {
        Value::String(text) => Ok(fill(text, tokens)?.into_bytes()),
        Value::Object(object) => {
            match (object.get("hex"), object.get("repeat"), object.get("times")) {
                (Some(Value::String(hex)), None, None) => unhex(hex),
                (None, Some(Value::String(text)), Some(times)) => {
                    let times = times.as_u64().and_then(|times| usize::try_from(times).ok());
                    Ok(text
                        .repeat(times.ok_or("`times` must be a number")?)
                        .into_bytes())
                }
                _ => Err("bytes are a string, {\"hex\"} or {\"repeat\", \"times\"}".to_owned()),
            }
        }
        _ => Err(format!("{} is not bytes", json!(value))),
    }
}

fn unhex(hex: &str) -> Result<Vec<u8>, String> {
    let digits: String = hex.split_whitespace().collect();
    let pair = |at: usize| {
        digits
            .get(at..at + 2)
            .and_then(|pair| u8::from_str_radix(pair, 16).ok())
    };
    (0..digits.len())
        .step_by(2)
        .map(|at| pair(at).ok_or_else(|| format!("`{hex}` is not hexadecimal")))
        .collect()
}

fn strings(value: &Value, name: &str) -> Result<Vec<String>, String> {
    let list = value.as_array().and_then(|items| {
        items
            .iter()
            .map(|item| item.as_str().map(str::to_owned))
            .collect()
    });
    list.ok_or_else(|| format!("`{name}` must be an array of strings"))
}

/// The members of an object, none of them unknown.
struct Members<'v> {
    members: &'v Map<String, Value>,
}

impl<'v> Members<'v> {
    fn of(value: &'v Value, what: &str, known: &[&str]) -> Result<Self, String> {
        let members = value
            .as_object()
            .ok_or_else(|| format!("{what} must be an object"))?;
        match members.keys().find(|name| !known.contains(&name.as_str())) {
            Some(unknown) => Err(format!(
                "{what} has no field `{unknown}`; it has {}",
                known.join(", ")
            )),
            None => Ok(Self { members }),
        }
    }

    fn get(&self, name: &str) -> Option<&'v Value> {
        self.members.get(name)
    }

    fn text(&self, name: &str) -> Result<String, String> {
        let text = self
            .get(name)
            .and_then(Value::as_str)
            .filter(|text| !text.is_empty());
        text.map(str::to_owned)
            .ok_or_else(|| format!("needs `{name}`, a string"))
    }
}
