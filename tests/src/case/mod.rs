//! Cases: a policy, exchanges, and what must come of them, as files.
//!
//! `tests/cases/README.md` documents the format. The same file runs on the engine alone, in the
//! built module in a fake host, and through a real Envoy.

mod envoy;
mod expect;
mod javascript;
mod module;
mod native;
mod read;
mod servers;

use std::path::{Path, PathBuf};

use jwt_simple::reexports::ct_codecs::{Base64, Encoder as _};
use serde_json::Value;

use crate::tokens::repository;
use crate::wire;

pub use envoy::run_all as run_all_on_envoy;
pub use javascript::run_all as run_all_in_javascript;
pub use module::run as run_in_module;
pub use native::{
    answer as answer_on_engine, answer_by, planned, records as records_on_engine,
    run as run_on_engine,
};
pub use servers::CaseServer;

/// One case file.
#[derive(Clone, Debug)]
pub struct Case {
    /// Where it stands.
    pub path: PathBuf,
    /// A short name, unique in its folder.
    pub name: String,
    /// The configuration document, byte for byte.
    pub document: Vec<u8>,
    /// Whether the proxy lets heads wait for bodies (`allow_on_headers_stop_iteration`).
    pub headers_stop_iteration: bool,
    /// What the engine must say of the document; none when it must be accepted.
    pub problems: Vec<String>,
    /// What is called while requests wait.
    pub servers: Vec<CaseServer>,
    /// The exchanges, in order.
    pub exchanges: Vec<Exchange>,
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
    pub fn read_all(folder: &Path) -> Result<Vec<Case>, String> {
        read::folder(folder)
    }

    /// The exchanges with tokens of this moment: those that were minted when all files were read may have
    /// aged. As they are where the document has a token too, which must stay the same.
    pub fn fresh_exchanges(&self) -> Vec<Exchange> {
        match read::file(&self.path) {
            Ok(fresh) if fresh.document == self.document => fresh.exchanges,
            _ => self.exchanges.clone(),
        }
    }
}

/// A secret that is being replaced.
const OLD_SECRET: &str = "the secret of the year before";

/// The environment of the VM in which cases run.
fn environment() -> Vec<(String, String)> {
    let secret = std::fs::read_to_string(repository().join("tests/keys/hmac.txt"));
    let secret = secret.expect("tests/keys has the secret");
    let encoded = Base64::encode_to_string(&secret).expect("base64 encodes");
    let variables = [
        ("TEST_SECRET", &*secret),
        ("TEST_SHORT_SECRET", "short"),
        ("TEST_WEBHOOK_SECRET", &format!("whsec_{encoded}")),
        ("TEST_OLD_SECRET", OLD_SECRET),
        // That of the service's published example.
        ("TEST_GITHUB_SECRET", "It's a Secret to Everybody"),
    ];
    let owned = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
    owned.into()
}

/// The number in an outcome that a case calls `grpc_status`: of a header, or of a trailer.
fn grpc_status(response: &wire::Response) -> Option<u64> {
    let fields = response.headers.iter().chain(&response.trailers);
    let (_, value) = fields.into_iter().find(|(name, _)| name == "grpc-status")?;
    std::str::from_utf8(value).ok()?.parse().ok()
}
