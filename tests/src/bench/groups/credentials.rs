//! Credentials that are no tokens, against Envoy's filters for them: API keys and client certificates. What a proof of
//! DPoP adds to a token, for which Envoy has no filter.
//!
//! Certificates are those that a proxy in front tells of: the load generator has none, and a handshake is Envoy's in
//! either chain.

use std::path::Path;

use serde_json::{Value, json};

use super::super::chain::{Algorithm, Chain, Service, Traffic, Work, answering, filter};
use super::super::native::{self, TokenCache};
use super::super::{document, scratch::Scratch};
use super::{Group, aim, compare};

pub(super) const GROUP: Group = Group {
    name: "credentials",
    about: "API keys, certificates, opaque tokens and proofs alone, against `api_key_auth`, `rbac`, `ext_authz` and `jwt_authn` alone",
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
        compare("portcullis-introspection-asked", "native-ext-authz"),
        compare("portcullis-introspection", "portcullis-api-key"),
        compare("portcullis-bearer", "native-bearer"),
        compare("portcullis-dpop", "portcullis-bearer"),
        compare("portcullis-dpop", "native-bearer"),
    ],
    half_load: &[],
};

/// What the issuer says of every token. Its time is in that of the chains that ask it.
const ACTIVE: &str =
    r#"{"active":true,"sub":"alice","client_id":"shop","scope":"orders.read","aud":"orders-api"}"#;

fn chains(module: &Path, scratch: &Scratch) -> Vec<Chain> {
    let asking = |chain: Chain| Chain {
        service: Some(Service {
            socket: scratch.file(chain.id),
            fields: Vec::new(),
            answer: ACTIVE,
        }),
        ..chain
    };
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
        asking(chain(
            "native-ext-authz",
            "ext_authz over HTTP, asked with each request",
            native::ext_authz(),
            Traffic::Opaque,
        )),
        asking(chain(
            "portcullis-introspection-asked",
            "Portcullis, introspection with each request",
            ours(document::introspection_only(false)),
            Traffic::Opaque,
        )),
        asking(chain(
            "portcullis-introspection",
            "Portcullis, introspection, remembered",
            ours(document::introspection_only(true)),
            Traffic::Opaque,
        )),
        chain(
            "native-bearer",
            "jwt_authn, token cache on, a bearer token",
            native::jwt_authn(TokenCache::On),
            Traffic::Same(Algorithm::Rs256),
        ),
        chain(
            "portcullis-bearer",
            "Portcullis, a bearer token, remembered",
            ours(document::token_only()),
            Traffic::Same(Algorithm::Rs256),
        ),
        chain(
            "portcullis-dpop",
            "Portcullis, that token with DPoP, a fresh ES256 proof each time",
            ours(document::proof_only()),
            Traffic::Proof,
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
