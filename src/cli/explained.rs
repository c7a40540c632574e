//! What the filter says of an exchange when a document lets everybody ask.

use std::rc::Rc;

use portcullis::engine::Engine;
use portcullis_cases::wire::Request;
use serde_json::{Value, json};

/// The field by which a request asks for what is told; nothing that a client sends.
pub(crate) const ASKS: &str = "x-portcullis-explain-asked";
/// The field of a response in which the filter tells what it has made of the request.
const TELLS: &str = "x-portcullis-explain";

/// The document with `explain` in it, for whoever asks.
///
/// # Errors
/// What is wrong with the document.
pub(crate) fn engine(document: &[u8]) -> Result<Rc<Engine>, String> {
    let mut document: Value =
        serde_json::from_slice(document).map_err(|error| error.to_string())?;
    if let Value::Object(members) = &mut document {
        members.insert("explain".to_owned(), block());
    }
    let compiled = Engine::compile(document.to_string().as_bytes());
    compiled.map(Rc::new).map_err(|error| {
        let problems: Vec<String> = error.problems.iter().map(ToString::to_string).collect();
        problems.join("; ")
    })
}

/// The block that lets everybody ask.
pub(crate) fn block() -> Value {
    json!({ "header": ASKS, "addresses": ["0.0.0.0/0", "::/0"] })
}

/// Has a request ask.
pub(crate) fn ask(request: &mut Request) {
    let field = (ASKS.as_bytes().to_vec(), b"1".to_vec());
    request.headers.push(field);
}

/// What is told in a response.
pub(crate) fn told(headers: &[(String, Vec<u8>)]) -> Vec<String> {
    let told = headers.iter().filter(|(name, _)| name == TELLS);
    told.map(|(_, value)| String::from_utf8_lossy(value).into_owned())
        .collect()
}
