//! What the test suites share.
pub mod authorization_server;
pub mod believing;
pub mod both;
pub mod case;
pub mod chromium;
pub mod client;
pub mod conformance;
pub mod detection;
pub mod document_schema;
pub mod entries;
pub mod envoy;
pub mod fake_host;
pub mod fetch;
pub mod fuzz;
pub mod grpc;
mod layers;
mod licences;
pub mod limit_service;
pub mod mesh;
pub mod node;
pub mod oidc_provider;
pub mod pages;
pub mod patience;
pub mod prometheus;
pub mod proxy_signatures;
pub mod published;
pub mod random;
pub mod redis;
pub mod step_clock;
pub mod still;
pub mod tokens;
pub mod upstream;
pub mod wire;
pub mod yaml;

use std::path::PathBuf;

/// The built module: `PORTCULLIS_WASM`, else where `make build` puts it.
pub fn module_path() -> PathBuf {
    match std::env::var_os("PORTCULLIS_WASM").filter(|path| !path.is_empty()) {
        Some(path) => path.into(),
        None => tokens::repository().join("target/portcullis.wasm"),
    }
}
