//! The whole chain against the whole native chain.

use std::path::Path;

use super::super::chain::{Algorithm, Chain, Traffic, Work, native, portcullis, recorded, router};
use super::super::native::TokenCache;
use super::super::{document, scratch::Scratch};
use super::{Group, aim, aims, compare};

pub(super) const GROUP: Group = Group {
    name: "whole",
    about: "the whole chain, the same token with each request",
    chains,
    comparisons: &[
        aims(
            ("portcullis", "native-cached"),
            "whole, token seen before, against native with its token cache",
            (1.1, 1.2),
        ),
        aim(
            ("portcullis", "native"),
            "whole, against native as it comes",
            0.55,
        ),
        compare("portcullis-envoy-log", "native-cached"),
        compare("portcullis-no-log", "portcullis"),
        compare("portcullis-api", "native-cached"),
        compare("portcullis", "router"),
    ],
    half_load: &["native-cached", "native", "portcullis"],
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
        recorded(
            "portcullis",
            "Portcullis, the same work, record to the same logger",
            module,
            &document::whole(),
            log("portcullis"),
        ),
        portcullis(
            "portcullis-envoy-log",
            "Portcullis, record to the sink envoy_log",
            module,
            &document::with_envoy_log(),
            whole,
        ),
        portcullis(
            "portcullis-no-log",
            "Portcullis, no access log",
            module,
            &document::without_log(),
            whole,
        ),
        recorded(
            "portcullis-api",
            "Portcullis, preset api",
            module,
            &document::with_preset(),
            log("portcullis-api"),
        ),
    ]
}
