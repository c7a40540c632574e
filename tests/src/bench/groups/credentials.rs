//! Credentials that are no tokens, against Envoy's filters for them: API keys and client certificates.
//!
//! Certificates are those that a proxy in front tells of: the load generator has none, and a handshake is Envoy's in
//! either chain.

use std::path::Path;

use serde_json::{Value, json};

use super::super::chain::{Chain, Traffic, Work, answering, filter};
use super::super::native;
use super::super::{document, scratch::Scratch};
use super::{Group, aim};

pub(super) const GROUP: Group = Group {
    name: "credentials",
    about: "API keys and certificates alone, against `api_key_auth` and `rbac` alone",
    chains,
    comparisons: &[
        aim(
            ("portcullis-api-key", "native-api-key"),
            "an API key, against `api_key_auth`",
            1.2,
        ),
        aim(
            ("portcullis-certificate", "native-certificate"),
            "a client certificate, against `rbac`",
            1.2,
        ),
    ],
    half_load: &[],
};

fn chains(module: &Path, _: &Scratch) -> Vec<Chain> {
    let ours = |document: Value| filter(module, &document, "portcullis");
    vec![
        chain(
            "native-api-key",
            "api_key_auth, keys in plain text",
            native::api_key_auth(),
            Traffic::ApiKey,
        ),
        chain(
            "portcullis-api-key",
            "Portcullis, an API key by its hash",
            ours(document::api_key_only()),
            Traffic::ApiKey,
        ),
        chain(
            "native-certificate",
            "rbac, the end of x-forwarded-client-cert",
            native::rbac_by_certificate(),
            Traffic::Certificate,
        ),
        chain(
            "portcullis-certificate",
            "Portcullis, a SPIFFE ID in x-forwarded-client-cert",
            ours(document::certificate_only()),
            Traffic::Certificate,
        ),
    ]
}

fn chain(id: &'static str, title: &'static str, filter: Value, traffic: Traffic) -> Chain {
    let manager = json!({ "forward_client_cert_details": "ALWAYS_FORWARD_ONLY" });
    Chain {
        id,
        title,
        listener: answering("api", vec![filter], manager),
        traffic,
        work: Work::Credential,
        workers: 1,
        access_log: None,
        service: None,
        body: None,
    }
}
