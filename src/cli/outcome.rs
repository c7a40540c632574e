//! What becomes of a request and its response, as `portcullis explain` tells it.

use std::fmt::Write as _;

use portcullis::exchange::{BodyState, Edit};
use portcullis::headers::Headers;
use portcullis::host::Side;
use portcullis::memory_host::MemoryHost;
use portcullis::refusal::Reply;
use portcullis::stream::{Action, ResponseHead, Stream};
use serde_json::{Value, json};

/// The field of a response in which the filter tells what it has made of the request.
const TELLS: &str = "x-portcullis-explain";

/// What became of it.
#[derive(Default)]
pub(crate) struct Outcome {
    /// What the filter tells of itself, line by line.
    pub(crate) told: Vec<String>,
    /// Changes to the request that the service gets; none if it does not.
    pub(crate) edits: Option<Vec<String>>,
    pub(crate) status: u16,
    pub(crate) response: Vec<(String, String)>,
    pub(crate) body: String,
    /// The head has gone, and what was to follow is refused.
    pub(crate) is_broken_off: bool,
    pub(crate) record: Option<Value>,
}

impl Outcome {
    /// Takes the service's response through the stream, with its body.
    pub(crate) fn answer(
        &mut self,
        stream: &mut Stream,
        data: Vec<u8>,
        host: &MemoryHost,
    ) -> Result<(), String> {
        let mut names = self.response.iter();
        if !names.any(|(name, _)| name == "content-length") {
            let length = ("content-length".to_owned(), data.len().to_string());
            self.response.push(length);
        }
        let head = self.shape(stream, BodyState::Open, host);
        if head.body.is_some() {
            return Ok(());
        }
        let size = host.receive(Side::Response, &data, false);
        let mut action = stream.on_response_body(size, BodyState::Open, host);
        if let Action::Continue(_) | Action::Pause { .. } = action {
            let held = matches!(action, Action::Pause { .. });
            let size = host.receive(Side::Response, b"", held);
            action = stream.on_response_body(size, BodyState::Complete, host);
        }
        match action {
            Action::Continue(edits) => {
                self.edit(&edits);
                self.body = lossy(&data);
            }
            Action::Replace(rewrite) => {
                self.edit(&rewrite.edits);
                self.body = lossy(&rewrite.body);
            }
            Action::Reply(reply) if head.held => {
                self.status = reply.status;
                self.response = written(&reply);
                self.body = lossy(&reply.body);
            }
            Action::Reply(_) => {
                self.is_broken_off = true;
            }
            Action::Pause { .. } => {
                return Err("the response is held for something that does not come".to_owned());
            }
        }
        Ok(())
    }

    /// Takes the head of the response through the stream.
    pub(crate) fn shape(
        &mut self,
        stream: &mut Stream,
        rest: BodyState,
        host: &MemoryHost,
    ) -> ResponseHead {
        let mut headers = Headers::default();
        headers.push(b":status", self.status.to_string().as_bytes());
        for (name, value) in &self.response {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        let read = stream.reads_response().then_some(&headers);
        let head = stream.on_response_headers(read, rest, host);
        self.edit(&head.edits);
        if let Some(body) = &head.body {
            self.body = lossy(body);
        }
        let mut kept = Vec::new();
        for (name, value) in self.response.drain(..) {
            match name == TELLS {
                true => self.told.push(value),
                false => kept.push((name, value)),
            }
        }
        self.response = kept;
        head
    }

    fn edit(&mut self, edits: &[Edit]) {
        for edit in edits {
            match edit {
                Edit::Remove(name) => self.response.retain(|(each, _)| each != name.as_str()),
                Edit::Set(name, value) => {
                    self.response.retain(|(each, _)| each != name.as_str());
                    let field = (name.as_str().to_owned(), lossy(value.as_bytes()));
                    self.response.push(field);
                }
                Edit::Add(name, value) => {
                    let field = (name.as_str().to_owned(), lossy(value.as_bytes()));
                    self.response.push(field);
                }
                Edit::Prepared(edits) => self.edit(edits),
                Edit::SetPath(_) | Edit::FilterState(..) | Edit::HitsAddend(_) => {}
            }
        }
    }

    pub(crate) fn json(&self) -> Value {
        let fields: Vec<Value> = self
            .response
            .iter()
            .map(|(name, value)| json!([name, value]))
            .collect();
        json!({
            "passes": self.edits.is_some(),
            "explanation": self.told,
            "request_changes": self.edits,
            "response": {
                "status": self.status,
                "headers": fields,
                "body": self.body,
                "broken_off": self.is_broken_off,
            },
            "record": self.record,
        })
    }

    pub(crate) fn text(&self, method: &str, path: &str) -> String {
        let mut out = String::new();
        let _ = writeln!(out, "{method} {path}");
        for line in &self.told {
            let _ = writeln!(out, "  {line}");
        }
        let _ = match &self.edits {
            None => writeln!(out, "\nThe service gets nothing."),
            Some(edits) if edits.is_empty() => writeln!(out, "\nThe service gets it as it is."),
            Some(edits) => writeln!(out, "\nThe service gets it with\n  {}", edits.join("\n  ")),
        };
        let _ = writeln!(out, "\nThe client gets {}", self.status);
        for (name, value) in &self.response {
            let _ = writeln!(out, "  {name}: {value}");
        }
        if !self.body.is_empty() {
            let _ = writeln!(out, "\n{}", self.body.trim_end());
        }
        if self.is_broken_off {
            let _ = writeln!(
                out,
                "\nThe head has gone ahead of the body, which is refused: the response is broken off."
            );
        }
        if let Some(record) = &self.record {
            let _ = writeln!(out, "\nThe access log gets\n{record}");
        }
        out.chars()
            .map(|c| match c {
                '\n' => c,
                c if c.is_control() => '\u{fffd}',
                c => c,
            })
            .collect()
    }
}

/// The header fields of a reply, as they are shown.
pub(crate) fn written(reply: &Reply) -> Vec<(String, String)> {
    let fields = reply.headers.iter();
    fields
        .map(|(name, value)| (name.as_str().to_owned(), lossy(value.as_bytes())))
        .collect()
}

pub(crate) fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
