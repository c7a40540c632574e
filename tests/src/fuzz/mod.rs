//! What holds for all bytes, as functions of bytes: each takes what anybody may send, and panics
//! when a law is broken. Fuzzers search for such bytes (`tests/fuzz`), and the suite puts to them
//! those that have been found worth keeping.

mod api_keys;
mod bytes;
mod claims;
mod compact;
mod conditions;
mod detect;
mod discovery;
mod document;
mod dpop_proof;
mod forms;
mod graphql;
mod introspection_response;
mod json_gate;
mod judge;
mod jwks;
mod network_list;
mod openapi;
mod path;
mod plan;
mod query;
mod redact;
mod regex;
mod revocation_list;
mod ring_host;
mod schema;
mod seeds;
mod signature_input;
mod spelling;
mod token;
mod xfcc;
mod xml;

pub use api_keys::api_keys;
pub use bytes::mutate_part;
pub use claims::claims;
pub use compact::compact;
pub use conditions::conditions;
pub use detect::detect;
pub use discovery::discovery;
pub use document::document;
pub use dpop_proof::dpop_proof;
pub use forms::forms;
pub use graphql::graphql;
pub use introspection_response::introspection_response;
pub use json_gate::json_gate;
pub use judge::{NOW, bearer, judge};
pub use jwks::jwks;
pub use network_list::network_list;
pub use openapi::openapi;
pub use path::path;
pub use plan::plan;
pub use query::query;
pub use redact::redact;
pub use regex::regex;
pub use revocation_list::revocation_list;
pub use ring_host::ring_host;
pub use schema::schema;
pub use seeds::seeds;
pub use signature_input::signature_input;
pub use token::token;
pub use xfcc::xfcc;
pub use xml::xml;

/// The name of a target, and its law, which tells whether the bytes were accepted as what they
/// were taken for.
pub type Target = (&'static str, fn(&[u8]) -> bool);

/// Every target, by the name of its program and of its seeds' folder.
pub const TARGETS: &[Target] = &[
    ("api_keys", api_keys),
    ("claims", claims),
    ("compact", compact),
    ("conditions", conditions),
    ("detect", detect),
    ("discovery", discovery),
    ("document", document),
    ("dpop_proof", dpop_proof),
    ("forms", forms),
    ("graphql", graphql),
    ("introspection_response", introspection_response),
    ("json_gate", json_gate),
    ("jwks", jwks),
    ("network_list", network_list),
    ("openapi", openapi),
    ("path", path),
    ("plan", plan),
    ("query", query),
    ("redact", redact),
    ("regex", regex),
    ("revocation_list", revocation_list),
    ("schema", schema),
    ("signature_input", signature_input),
    ("token", token),
    ("xfcc", xfcc),
    ("xml", xml),
];
