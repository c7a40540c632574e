//! What it costs to find out which version a request is for.

use std::path::Path;

use serde_json::{Value, json};

use super::super::chain::{Algorithm, Chain, Traffic, Work, portcullis, router};
use super::super::scratch::Scratch;
use super::{Group, compare};

pub(super) const GROUP: Group = Group {
    name: "versions",
    about: "versions of an API by path, header and media type, against a document without",
    chains,
    comparisons: &[
        compare("versions-path", "versions-none"),
        compare("versions-header", "versions-none"),
        compare("versions-deprecated", "versions-none"),
        compare("versions-accept", "versions-none"),
        compare("versions-header", "router"),
    ],
    half_load: &[],
};

fn document(versions: Option<Value>) -> Value {
    let mut document = json!({
        "version": 1,
        "routes": [{ "name": "all", "match": { "path": { "prefix": "/" } }, "open": true }],
    });
    if let Some(versions) = versions {
        document["versions"] = versions;
    }
    document
}

/// All requests are for the usual version, since none names one.
fn versions(place: Value, usual: &str) -> Value {
    document(Some(json!({
        "in": [place],
        "default": usual,
        "known": {
            "v1": { "removed": true, "successor": "v3" },
            "v2": {
                "deprecated": "2020-01-01", "sunset": "2099-01-01", "successor": "v3",
                "guide": "https://example.com/v3",
            },
            "v3": {},
        },
    })))
}

fn chains(module: &Path, _: &Scratch) -> Vec<Chain> {
    let ours = |id, title, document: Value| {
        let traffic = (Traffic::Same(Algorithm::Rs256), Work::Nothing);
        portcullis(id, title, module, &document, traffic)
    };
    vec![
        router(),
        ours("versions-none", "Portcullis, no versions", document(None)),
        ours(
            "versions-path",
            "Portcullis, a version in the path",
            versions(json!({ "path_segment": 1 }), "v3"),
        ),
        ours(
            "versions-header",
            "Portcullis, a version in a header",
            versions(json!({ "header": "api-version" }), "v3"),
        ),
        ours(
            "versions-deprecated",
            "Portcullis, a deprecated version in a header",
            versions(json!({ "header": "api-version" }), "v2"),
        ),
        ours(
            "versions-accept",
            "Portcullis, a version in Accept",
            versions(
                json!({ "accept": { "subtype": "vnd.example.{version}" } }),
                "v3",
            ),
        ),
    ]
}
