//! What is risky in the configuration around a document.

use super::super::check::Severity::{Error, Warning};
use super::{Hit, Place, Risk};
use portcullis_cases::tree::{Content, Tree};

const PROXY_FAILS_OPEN: Risk = Risk {
    id: "proxy-fails-open",
    severity: Error,
    owasp: "API8:2023",
    what: "requests pass unjudged while the filter is not there",
    cure: "write FAIL_RELOAD, or FAIL_CLOSED",
};
const FILTER_NOT_FIRST: Risk = Risk {
    id: "filter-not-first",
    severity: Warning,
    owasp: "API8:2023",
    what: "filters before this one see requests that it refuses, and may change what it judges",
    cure: "put it first in `http_filters`, or see that those before it are meant to be there",
};
const CLIENT_ADDRESS_UNTRUE: Risk = Risk {
    id: "client-address-untrue",
    severity: Error,
    owasp: "API8:2023",
    what: "the document goes by addresses of clients, and the proxy takes them from what clients write",
    cure: "set `use_remote_address: true`, with `xff_num_trusted_hops` where proxies stand in front",
};

pub(super) const RISKS: &[&Risk] = &[&PROXY_FAILS_OPEN, &CLIENT_ADDRESS_UNTRUE, &FILTER_NOT_FIRST];

/// The type of our filter, whose document is looked for elsewhere.
const WASM: &str = "envoy.extensions.filters.http.wasm.v3.Wasm";

/// Filters that say who calls, or make a body readable, and belong before this one.
const BEFORE: [&str; 3] = ["decompressor", "health_check", "geoip"];

/// What is risky in one text of a file.
pub(super) fn look(tree: &Tree, by_address: bool) -> Vec<Hit> {
    let mut hits = Vec::new();
    search(tree, by_address, &mut hits);
    hits
}

fn search(tree: &Tree, by_address: bool, hits: &mut Vec<Hit>) {
    let mut hit = |risk: &'static Risk, at: &std::ops::Range<usize>| {
        hits.push(Hit {
            risk,
            at: Place::File(at.clone()),
        });
    };
    if let Content::Object(members) = &tree.content {
        for member in members {
            let text = member.tree.text().unwrap_or_default();
            let fails_open = match member.name.as_str() {
                "failure_policy" | "failStrategy" => text == "FAIL_OPEN",
                "fail_open" | "failOpen" => member.tree.json() == true,
                _ => false,
            };
            if fails_open {
                hit(&PROXY_FAILS_OPEN, &member.tree.at);
            }
        }
        if let Some(filters) = tree.get("http_filters") {
            let filters = filters.children();
            let is_ours = |filter: &&Tree| {
                let typed = filter
                    .get("typed_config")
                    .and_then(|config| config.get("@type"));
                typed
                    .and_then(Tree::text)
                    .is_some_and(|kind| kind.ends_with(WASM))
            };
            if let Some(place) = filters.iter().position(is_ours) {
                let before = filters.iter().take(place);
                let others = before.filter(|filter| {
                    let name = filter.get("name").and_then(Tree::text).unwrap_or_default();
                    !BEFORE.iter().any(|known| name.contains(known))
                });
                if let (Some(_), Some(ours)) = (others.into_iter().next(), filters.get(place)) {
                    hit(&FILTER_NOT_FIRST, &ours.at);
                }
                let trusted = tree.get("use_remote_address").map(Tree::json);
                let detects = tree.get("original_ip_detection_extensions").is_some();
                if by_address && trusted != Some(true.into()) && !detects {
                    hit(&CLIENT_ADDRESS_UNTRUE, &tree.at);
                }
            }
        }
    }
    for child in tree.children() {
        search(child, by_address, hits);
    }
}
