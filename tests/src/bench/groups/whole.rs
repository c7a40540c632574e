//! The whole chain against the whole native chain.

use std::path::{Path, PathBuf};

use serde_json::json;

use super::super::chain::{Algorithm, Chain, Traffic, Work, answering, native, portcullis, router};
use super::super::native::{self, TokenCache};
use super::super::{document, scratch::Scratch};
use super::{Group, compare};

pub(super) const GROUP: Group = Group {
    name: "whole",
    about: "the whole chain, the same token with each request",
    chains,
    comparisons: &[
        compare("portcullis", "native-cached", Some(1.0)),
        compare("portcullis", "native", Some(2.0)),
        compare("portcullis", "native-same-work", None),
        compare("portcullis-no-log", "portcullis", None),
        compare("portcullis-api", "native-cached", None),
        compare("portcullis", "router", None),
    ],
    equal_load: &["native-cached", "native", "portcullis"],
};

fn chains(module: &Path, scratch: &Scratch) -> Vec<Chain> {
    let log = |name: &str| scratch.file(&format!("{name}.log"));
    let whole = (Traffic::Same(Algorithm::Rs256), Work::Whole);
    vec![
        router(),
        native(
            "native-cached",
            "native chain, token cache on",
            TokenCache::On,
            log("native-cached"),
        ),
        native(
            "native",
            "native chain, no token cache (its default)",
            TokenCache::Off,
            log("native"),
        ),
        native_without_limits(log("native-same-work")),
        portcullis(
            "portcullis",
            "Portcullis, RS256, the same five headers",
            module,
            &document::whole(),
            whole,
        ),
        portcullis(
            "portcullis-no-log",
            "Portcullis, RS256, five headers, no access log",
            module,
            &document::without_log(),
            whole,
        ),
        portcullis(
            "portcullis-api",
            "Portcullis, RS256, preset api",
            module,
            &document::with_preset(),
            whole,
        ),
    ]
}

/// The native chain reduced to what the module does so far.
fn native_without_limits(log: PathBuf) -> Chain {
    let filters = vec![native::jwt_authn(TokenCache::On), native::header_mutation()];
    let manager = json!({ "access_log": native::access_log(&log) });
    Chain {
        id: "native-same-work",
        title: "native, cache on, without cors and local_ratelimit",
        listener: answering("api", filters, manager),
        traffic: Traffic::Same(Algorithm::Rs256),
        work: Work::Whole,
        access_log: Some(log),
    }
}
