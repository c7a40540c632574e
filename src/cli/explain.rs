//! `portcullis explain`: what becomes of a request under a document, and why, without a proxy.

use std::fs;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use clap::Args;
use portcullis::call::CallError;
use portcullis::call::Calls as _;
use portcullis::engine::Engine;
use portcullis::exchange::{BodyState, Edit};
use portcullis::headers::Headers;
use portcullis::host::{Property, Side};
use portcullis::memory_host::MemoryHost;
use portcullis::policy::{Rounding, day_or_time};
use portcullis::refusal::Reply;
use portcullis::stream::{Action, PauseReason, Stream};
use portcullis::wait::Wait;
use portcullis::worker::WholeResponse;
use serde_json::{Value, json};

use super::check;
use super::explained::{self, ASKS};
use super::outcome::{Outcome, lossy, written};

/// A request, in the words of curl.
#[derive(Debug, Args)]
pub(crate) struct ExplainArguments {
    /// The document, or a file that has one; - is standard input
    document: PathBuf,
    /// `https://api.example.com/orders?x=1`, or a path; a path is asked of `localhost`
    url: String,
    /// Which of several documents of the file, from 1 on
    #[arg(long, value_name = "NUMBER")]
    number: Option<usize>,
    /// The method; POST with --data, else GET
    #[arg(short = 'X', long = "request", value_name = "METHOD")]
    method: Option<String>,
    /// A header field, "name: value"
    #[arg(short = 'H', long = "header", value_name = "FIELD")]
    headers: Vec<String>,
    /// The body, or @FILE
    #[arg(short = 'd', long, value_name = "BODY")]
    data: Option<String>,
    /// Whose request it is
    #[arg(long, value_name = "ADDRESS", default_value = "192.0.2.1")]
    client: std::net::IpAddr,
    /// The keys of a provider, in place of those that the proxy would fetch: NAME=FILE, a JSON Web Key Set
    #[arg(long, value_name = "PROVIDER=FILE")]
    jwks: Vec<String>,
    /// An environment variable of the VM: NAME=VALUE
    #[arg(long = "env", value_name = "NAME=VALUE")]
    variables: Vec<String>,
    /// When it is: 2027-01-15, 2027-01-15T09:00:00Z, or seconds since 1970; now, if not given
    #[arg(long, value_name = "TIME", value_parser = moment)]
    at: Option<u64>,
    /// The status of the service's response
    #[arg(long, value_name = "STATUS", default_value_t = 200)]
    response_status: u16,
    /// A header field of the service's response
    #[arg(long = "response-header", value_name = "FIELD")]
    response_headers: Vec<String>,
    /// The body of the service's response, or @FILE
    #[arg(long, value_name = "BODY")]
    response_data: Option<String>,
    /// One object, for programs
    #[arg(long)]
    json: bool,
}

/// What the words say.
struct Request {
    method: String,
    path: String,
    host: String,
    scheme: &'static str,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
}

impl ExplainArguments {
    /// What became of the request, as text; and whether it passed.
    ///
    /// # Errors
    /// What is wrong with the words or the document.
    pub(crate) fn run(&self) -> Result<(String, bool), String> {
        let mut document = check::one_document(&self.document, self.number)?;
        self.give_keys(&mut document)?;
        let request = self.request()?;
        // What is told of it changes the response. So it is asked for apart.
        let mut outcome = self.judge(&document, &request)?;
        if let Value::Object(members) = &mut document {
            members.insert("explain".to_owned(), explained::block());
        }
        outcome.told = self.judge(&document, &request)?.told;
        let passed = outcome.edits.is_some();
        let text = match self.json {
            true => outcome.json().to_string() + "\n",
            false => outcome.text(&request.method, &request.path),
        };
        Ok((text, passed))
    }

    /// Puts keys in place of those that are fetched.
    fn give_keys(&self, document: &mut Value) -> Result<(), String> {
        for given in &self.jwks {
            let (name, file) = pair(given, "--jwks", "PROVIDER=FILE")?;
            let text = fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
            let keys: Value =
                serde_json::from_str(&text).map_err(|error| format!("{file}: {error}"))?;
            let provider = document.pointer_mut(&format!("/providers/{name}"));
            let Some(Value::Object(provider)) = provider else {
                return Err(format!("--jwks: no provider is named {name:?}"));
            };
            provider.insert("jwks".to_owned(), json!({ "inline": keys }));
        }
        Ok(())
    }

    fn request(&self) -> Result<Request, String> {
        let (scheme, rest) = match self.url.split_once("://") {
            Some(("https", rest)) => ("https", rest),
            Some(("http", rest)) => ("http", rest),
            Some((other, _)) => return Err(format!("no request is for {other:?}; write https://")),
            None if self.url.starts_with('/') => ("https", ""),
            None => {
                return Err("the address must begin with https://, or with / for a path".to_owned());
            }
        };
        let (host, path) = match rest.find(['/', '?']) {
            _ if rest.is_empty() => ("localhost", self.url.as_str()),
            None => (rest, "/"),
            Some(at) => rest.split_at(at),
        };
        // A fragment stays with the client.
        let path = path.split('#').next().unwrap_or_default();
        let path = match path.starts_with('/') {
            true => path.to_owned(),
            false => format!("/{path}"),
        };
        let body = body(self.data.as_deref())?.unwrap_or_default();
        let mut headers = fields(&self.headers)?;
        let mut host = host.to_owned();
        if let Some(at) = headers.iter().position(|(name, _)| name == "host") {
            host = headers.remove(at).1;
        }
        let has = |name: &str| headers.iter().any(|(each, _)| each == name);
        if self.data.is_some() {
            if !has("content-type") {
                // As curl does.
                let form = "application/x-www-form-urlencoded";
                headers.push(("content-type".to_owned(), form.to_owned()));
            }
            if !headers.iter().any(|(each, _)| each == "content-length") {
                headers.push(("content-length".to_owned(), body.len().to_string()));
            }
        }
        let usual = if self.data.is_some() { "POST" } else { "GET" };
        Ok(Request {
            method: self.method.clone().unwrap_or_else(|| usual.to_owned()),
            path,
            host,
            scheme,
            headers,
            body,
        })
    }

    fn host(&self) -> Result<MemoryHost, String> {
        let address = std::net::SocketAddr::new(self.client, 40000);
        let mut host = MemoryHost::of_system().with_client(&address.to_string());
        if let Some(at) = self.at {
            host = host.at(Duration::from_secs(at));
        }
        for given in &self.variables {
            let (name, value) = pair(given, "--env", "NAME=VALUE")?;
            host.set_variable(name, value);
        }
        Ok(host)
    }

    fn judge(&self, document: &Value, request: &Request) -> Result<Outcome, String> {
        let engine = Engine::compile(document.to_string().as_bytes()).map_err(|error| {
            let problems: Vec<String> = error.problems.iter().map(ToString::to_string).collect();
            let file = self.document.display();
            format!("{file} is not valid:\n{}", problems.join("\n"))
        })?;
        let engine = Rc::new(engine);
        let host = &self.host()?;
        let mut stream = Stream::new(Some(Rc::clone(&engine)));
        let mut outcome = Outcome::default();
        match forward(&mut stream, request, host)? {
            Err(reply) => {
                outcome.status = reply.status;
                outcome.body = String::from_utf8_lossy(&reply.body).into_owned();
                outcome.response = written(&reply);
                drop(outcome.shape(&mut stream, BodyState::Open, host));
            }
            Ok(edits) => {
                outcome.status = self.response_status;
                outcome.response = fields(&self.response_headers)?;
                let edits = edits.iter().flat_map(changes);
                let edits = edits.filter(|edit| !edit.ends_with(ASKS));
                outcome.edits = Some(edits.collect());
                match body(self.response_data.as_deref())? {
                    None => drop(outcome.shape(&mut stream, BodyState::Complete, host)),
                    Some(data) => outcome.answer(&mut stream, data, host)?,
                }
            }
        }
        host.set_number(Property::ResponseStatus, u64::from(outcome.status));
        if let Some(log) = engine.access_log() {
            let line = log.record(&stream.summary(), None, host);
            outcome.record = line.and_then(|line| serde_json::from_str(&line).ok());
        }
        Ok(outcome)
    }
}

/// A body as curl takes it: itself, or the name of its file.
fn body(given: Option<&str>) -> Result<Option<Vec<u8>>, String> {
    let Some(given) = given else {
        return Ok(None);
    };
    Ok(Some(match given.strip_prefix('@') {
        Some(file) => fs::read(file).map_err(|error| format!("{file}: {error}"))?,
        None => given.as_bytes().to_vec(),
    }))
}

/// A time as documents have it: a day, RFC 3339, or seconds.
fn moment(text: &str) -> Result<u64, String> {
    let seconds = day_or_time(text, Rounding::Down).and_then(|at| u64::try_from(at).ok());
    let seconds = seconds.or_else(|| text.parse().ok());
    seconds
        .ok_or_else(|| "write 2027-01-15, 2027-01-15T09:00:00Z, or seconds since 1970".to_owned())
}

/// The halves of NAME=VALUE.
fn pair<'w>(given: &'w str, option: &str, form: &str) -> Result<(&'w str, &'w str), String> {
    let halves = given.split_once('=');
    halves.ok_or_else(|| format!("{option} takes {form}, not {given:?}"))
}

/// Header fields, in lower case.
fn fields(written: &[String]) -> Result<Vec<(String, String)>, String> {
    let read = |field: &String| {
        let (name, value) = field
            .split_once(':')
            .ok_or_else(|| format!("a header field is \"name: value\", not {field:?}"))?;
        Ok((name.trim().to_ascii_lowercase(), value.trim().to_owned()))
    };
    written.iter().map(read).collect()
}

/// Takes the request through the stream: what is changed of it, or the refusal.
fn forward(
    stream: &mut Stream,
    request: &Request,
    host: &MemoryHost,
) -> Result<Result<Vec<Edit>, Reply>, String> {
    let mut headers = Headers::default();
    let mut push = |name: &str, value: &str| headers.push(name.as_bytes(), value.as_bytes());
    push(":authority", &request.host);
    push(":path", &request.path);
    push(":method", &request.method);
    push(":scheme", request.scheme);
    push("x-forwarded-proto", request.scheme);
    for (name, value) in &request.headers {
        push(name, value);
    }
    push("x-request-id", "00000000-0000-4000-8000-000000000000");
    push(ASKS, "1");
    let state = match request.body.is_empty() {
        true => BodyState::Complete,
        false => BodyState::Open,
    };
    let mut all = Vec::new();
    let mut action = stream.on_request_headers(headers, state, host);
    let mut whole = false;
    loop {
        action = match action {
            Action::Reply(reply) => return Ok(Err(reply)),
            Action::Continue(edits) if whole || state == BodyState::Complete => {
                all.extend(edits);
                return Ok(Ok(all));
            }
            Action::Pause {
                reason: PauseReason::Wait(wait),
                ..
            } => called(stream, &wait, host)?,
            Action::Replace(_) => return Err("a request has the body of a response".to_owned()),
            Action::Pause { .. } if whole || state == BodyState::Complete => {
                return Err("the request is held for something that does not come".to_owned());
            }
            Action::Continue(edits) | Action::Pause { edits, .. } => {
                all.extend(edits);
                whole = true;
                let size = host.receive(Side::Request, &request.body, false);
                match stream.on_request_body(size, BodyState::Open, host) {
                    Action::Reply(reply) => return Ok(Err(reply)),
                    first => {
                        let held = matches!(first, Action::Pause { .. });
                        if let Action::Continue(edits) = first {
                            all.extend(edits);
                        }
                        let size = host.receive(Side::Request, b"", held);
                        stream.on_request_body(size, BodyState::Complete, host)
                    }
                }
            }
        };
    }
}

/// Makes the call that a request waits for, which nobody answers here.
fn called(stream: &mut Stream, wait: &Wait, host: &MemoryHost) -> Result<Action, String> {
    let (Wait::Response(call) | Wait::Shared(call)) = wait else {
        return Err(
            "the request waits for its turn, and no time passes here; look at the limit that delays"
                .to_owned(),
        );
    };
    let next = match host.call(call) {
        Err(error) => stream.not_called(error, host),
        Ok(token) => {
            stream.called(token);
            let none: Result<WholeResponse, CallError> = Err(CallError::Timeout);
            let none = none.as_ref().map(WholeResponse::as_response);
            stream.received(token, none.map_err(|error| *error), host)
        }
    };
    next.ok_or_else(|| "a call has come to nothing".to_owned())
}

/// A change, as it is shown.
fn changes(edit: &Edit) -> Vec<String> {
    match edit {
        Edit::Remove(name) => vec![format!("- {}", name.as_str())],
        Edit::Set(name, value) => {
            vec![format!("= {}: {}", name.as_str(), lossy(value.as_bytes()))]
        }
        Edit::Add(name, value) => {
            vec![format!("+ {}: {}", name.as_str(), lossy(value.as_bytes()))]
        }
        Edit::SetPath(path) => vec![format!("= :path: {}", lossy(path.as_bytes()))],
        Edit::FilterState(key, value) => {
            vec![format!("filter state {key:?}: {}", lossy(value.as_bytes()))]
        }
        Edit::HitsAddend(hits) => vec![format!("hits {hits:?}")],
        Edit::Prepared(edits) => edits.iter().flat_map(changes).collect(),
    }
}
