//! Cases in the built module, in the host for browsers, which Node.js runs.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use serde_json::{Value, json};

use super::{Case, Exchange, Outcome, Upstream, expect, read};
use crate::tokens::repository;
use crate::wire::{Request, Response, Version};

/// Runs cases; what differs from what they expect, and how many exchanges there were.
///
/// # Errors
/// Why Node.js did not get to the end.
pub fn run_all(node: &Path, wasm: &Path, cases: &[Case]) -> io::Result<(Vec<String>, usize)> {
    let mut script = Command::new(node)
        .arg(repository().join("tests/playground/cases.mjs"))
        .arg(wasm)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map(Running)?;
    let broken = || io::Error::from(io::ErrorKind::BrokenPipe);
    let mut input = script.0.stdin.take().ok_or_else(broken)?;
    let output = script.0.stdout.take().ok_or_else(broken)?;
    let mut lines = BufReader::new(output).lines();
    let (send, sent) = mpsc::channel();
    thread::scope(|scope| {
        let writing = scope.spawn(move || -> io::Result<()> {
            for case in cases {
                let exchanges = case.fresh_exchanges();
                writeln!(input, "{}", described(case, &exchanges))?;
                // Whoever compares has left if nobody takes it.
                let _ = send.send(exchanges);
            }
            Ok(())
        });
        let (mut differences, mut exchanges) = (Vec::new(), 0);
        for case in cases {
            let line = lines.next().ok_or_else(|| {
                let text = format!("{}: no outcome", case.path.display());
                io::Error::other(text)
            })??;
            let exchanged = sent.recv().map_err(|_| broken())?;
            let found = compare(case, &exchanged, &serde_json::from_str(&line)?);
            let place = |difference| format!("{}: {difference}", case.path.display());
            differences.extend(found.into_iter().map(place));
            exchanges += exchanged.len();
        }
        writing.join().map_err(|_| broken())??;
        Ok((differences, exchanges))
    })
}

/// Ends with whoever started it.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn compare(case: &Case, exchanges: &[Exchange], outcome: &Value) -> Vec<String> {
    let accepted = outcome["accepted"] == true;
    if !accepted || !case.problems.is_empty() {
        let missing = (case.problems.iter()).filter(|problem| {
            let lines = outcome["log"].as_array();
            !lines.is_some_and(|lines| lines.iter().any(|line| line == problem.as_str()))
        });
        let mut differences: Vec<String> = missing.map(|p| format!("not logged: {p}")).collect();
        if accepted != case.problems.is_empty() {
            differences.push(format!("accepted: {accepted}, logged: {}", outcome["log"]));
        }
        return differences;
    }
    let outcomes = outcome["exchanges"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    if outcomes.len() != exchanges.len() {
        return vec![format!("{} exchanges", outcomes.len())];
    }
    let pairs = exchanges.iter().zip(outcomes);
    let compared = pairs.flat_map(|(exchange, found)| {
        let differences = match found["failure"].as_str() {
            Some(failure) => vec![failure.to_owned()],
            None => expect::compare(&exchange.expect, &outcome_of(found)),
        };
        let named = differences.into_iter();
        named.map(|difference| format!("{}: {difference}", exchange.name))
    });
    compared.collect()
}

fn described(case: &Case, exchanges: &[Exchange]) -> Value {
    let servers = case.servers.iter().map(|server| {
        let answers = server.answers.iter();
        // A text is compared with bytes there.
        let answers =
            answers.map(|(when, answer)| json!([text(when.as_bytes()), response(answer)]));
        (server.cluster.clone(), answers.collect())
    });
    let servers: serde_json::Map<String, Value> = servers.collect();
    let exchanges = exchanges.iter().map(|exchange| {
        json!({ "request": request(&exchange.request), "upstream": response(&exchange.upstream) })
    });
    json!({
        "document": text(&case.document),
        "environment": super::environment().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
        "servers": servers,
        // A case may wait for its turn, and its tokens are of this moment.
        "now": read::now(),
        "headers_stop_iteration": case.headers_stop_iteration,
        "exchanges": exchanges.collect::<Vec<_>>(),
    })
}

/// Bytes as a text with a character for each.
fn text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

fn request(request: &Request) -> Value {
    let body = request.body.as_ref();
    json!({
        "version": match request.version { Version::Http1 => 1, Version::Http2 => 2 },
        "method": text(&request.method),
        "path": text(&request.path),
        "authority": text(&request.authority),
        "headers": fields(request.headers.iter().map(|(name, value)| (name.as_slice(), value))),
        "body": body.map(|pieces| pieces.iter().map(|piece| text(piece)).collect::<Vec<_>>()),
        "trailers": fields(request.trailers.iter().map(|(name, value)| (name.as_slice(), value))),
    })
}

fn response(response: &Response) -> Value {
    json!({
        "status": response.status,
        "headers": fields(response.headers.iter().map(|(name, value)| (name.as_bytes(), value))),
        "body": text(&response.body),
        "trailers": fields(response.trailers.iter().map(|(name, value)| (name.as_bytes(), value))),
    })
}

fn fields<'f>(fields: impl Iterator<Item = (&'f [u8], &'f Vec<u8>)>) -> Vec<[String; 2]> {
    fields
        .map(|(name, value)| [text(name), text(value)])
        .collect()
}

fn outcome_of(found: &Value) -> Outcome {
    let answered = &found["response"];
    let strings = |fields: Vec<(Vec<u8>, Vec<u8>)>| {
        let named = fields.into_iter();
        let named = named.map(|(name, value)| (String::from_utf8_lossy(&name).into_owned(), value));
        named.collect()
    };
    let response = Response {
        status: answered["status"]
            .as_u64()
            .and_then(|status| u16::try_from(status).ok())
            .unwrap_or_default(),
        headers: strings(pairs(&answered["headers"])),
        body: bytes(&answered["body"]),
        trailers: strings(pairs(&answered["trailers"])),
    };
    let seen = &found["upstream"];
    let upstream = match (seen.is_null(), found["went_ahead"] == true) {
        (true, false) => Upstream::Nothing,
        (true, true) => Upstream::Part,
        (false, _) => Upstream::Whole(Request {
            method: bytes(&seen["method"]),
            path: bytes(&seen["path"]),
            authority: bytes(&seen["authority"]),
            headers: pairs(&seen["headers"]),
            body: seen["body"]
                .as_array()
                .map(|pieces| pieces.iter().map(bytes).collect()),
            trailers: pairs(&seen["trailers"]),
            ..Request::default()
        }),
    };
    let lines = found["log"].as_array().map_or(&[][..], Vec::as_slice);
    let log = lines
        .iter()
        .filter_map(|line| serde_json::from_str(line.as_str()?).ok());
    Outcome {
        response,
        upstream,
        log: log.collect(),
    }
}

fn bytes(text: &Value) -> Vec<u8> {
    let characters = text.as_str().unwrap_or_default().chars();
    characters
        .filter_map(|each| u8::try_from(u32::from(each)).ok())
        .collect()
}

fn pairs(fields: &Value) -> Vec<(Vec<u8>, Vec<u8>)> {
    let fields = fields.as_array().map_or(&[][..], Vec::as_slice);
    let pairs = fields.iter();
    pairs
        .map(|field| (bytes(&field[0]), bytes(&field[1])))
        .collect()
}
