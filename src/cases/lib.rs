//! Cases: a document, exchanges, and what must come of them, as files.
//!
//! `docs/testing.md` documents the format. The same file runs on the engine alone ([`judge`]), and by the project's
//! tests in the built module in a fake host and through a real Envoy. Besides, what it takes to say where something
//! stands: texts of JSON and YAML as [`tree`]s, and the [`documents`] in them.

pub mod documents;
mod expect;
mod fields;
pub mod find;
pub mod judge;
pub mod keys;
mod message;
mod minted;
pub mod place;
pub mod planned;
mod read;
mod servers;
mod shipped;
pub mod tokens;
pub mod tree;
pub mod wire;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use keys::KeyRing;

pub use documents::ProviderKeys;
pub use expect::{Difference, compare};
pub use minted::now;
pub use read::CASE_MEMBERS;
pub use servers::{CaseServer, answer};

/// One case file.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where it stands.
    pub path: PathBuf,
    /// A short name, unique in its folder.
    pub name: String,
    /// The configuration document, byte for byte; or with keys in place of those that a proxy would fetch.
    pub document: Vec<u8>,
    /// Where the document stands.
    pub document_at: DocumentPlace,
    /// Keys in place of those that a proxy would fetch, of a document that ships.
    pub keys: ProviderKeys,
    /// Whether the proxy lets heads wait for bodies (`allow_on_headers_stop_iteration`).
    pub headers_stop_iteration: bool,
    /// What the engine must say of the document; none when it must be accepted.
    pub problems: Vec<String>,
    /// What is called while requests wait.
    pub servers: Vec<CaseServer>,
    /// The environment of the VM.
    pub environment: BTreeMap<String, String>,
    /// The time for which tokens were minted, in seconds since 1970.
    pub now: u64,
    /// The exchanges, in order.
    pub exchanges: Vec<Exchange>,
}

/// Where the document of a case stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DocumentPlace {
    /// In the case file, at that pointer.
    Here(&'static str),
    /// In another file, of which it is that document, from 1 on.
    File(PathBuf, Option<usize>),
}

/// One request and what must come of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// What it shows.
    pub name: String,
    /// What the client sends.
    pub request: wire::Request,
    /// What the service answers, if it is asked.
    pub upstream: wire::Response,
    /// What must come of it.
    pub expect: Value,
}

/// What came of an exchange.
#[derive(Debug, Default)]
pub struct Outcome {
    /// What the client received.
    pub response: wire::Response,
    /// What the service received.
    pub upstream: Upstream,
    /// The access log lines.
    pub log: Vec<Value>,
}

/// What the service received.
#[derive(Debug, Default)]
pub enum Upstream {
    /// Nothing.
    #[default]
    Nothing,
    /// The head, and not the whole of the body.
    Part,
    /// All of a request.
    Whole(wire::Request),
}

impl Case {
    /// All cases of a folder and the folders in it, in order of their paths.
    ///
    /// # Errors
    /// A message that names the file and what is wrong with it.
    pub fn read_all(folder: &Path, keys: &dyn KeyRing) -> Result<Vec<Case>, String> {
        read::folder(folder, keys)
    }

    /// The case of a file.
    ///
    /// # Errors
    /// What is wrong with it; with a JSON pointer in front, if that is in its text.
    pub fn read(path: &Path, keys: &dyn KeyRing) -> Result<Case, String> {
        read::file(path, keys)
    }

    /// The exchanges with tokens of this moment: those that were minted when all files were read may have
    /// aged. As they are where the document has a token too, which must stay the same.
    pub fn fresh_exchanges(&self, keys: &dyn KeyRing) -> Vec<Exchange> {
        match read::file(&self.path, keys) {
            Ok(fresh) if fresh.document == self.document => fresh.exchanges,
            _ => self.exchanges.clone(),
        }
    }
}

/// The files of cases below a folder, in order of their paths.
///
/// # Errors
/// If a folder cannot be read.
pub fn files(folder: &Path) -> Result<Vec<PathBuf>, String> {
    read::files(folder)
}

/// The number in an outcome that a case calls `grpc_status`: of a header, or of a trailer.
fn grpc_status(response: &wire::Response) -> Option<u64> {
    let fields = response.headers.iter().chain(&response.trailers);
    let (_, value) = fields.into_iter().find(|(name, _)| name == "grpc-status")?;
    std::str::from_utf8(value).ok()?.parse().ok()
}
