//! The whole chain under other requests and with more routes.

use std::path::Path;

use super::super::chain::{Algorithm, Chain, Traffic, native, native_behind, recorded};
use super::super::native::TokenCache;
use super::super::{document, scratch::Scratch};
use super::{Group, aim, compare};

pub(super) const GROUP: Group = Group {
    name: "workloads",
    about: "the whole chain: many fields, HTTP/2, two workers, many routes",
    chains,
    comparisons: &[
        aim(
            ("portcullis-64-fields", "native-64-fields"),
            "64 more fields",
            1.2,
        ),
        aim(("portcullis-http2", "native-http2"), "HTTP/2", 1.2),
        aim(("portcullis-2w", "native-2w"), "two workers", 1.2),
        aim(
            ("portcullis-500-routes", "native-500-routes"),
            "500 routes",
            1.2,
        ),
        compare("portcullis-10-routes", "native-10-routes"),
        compare("portcullis-100-routes", "native-100-routes"),
        compare("portcullis-500-routes", "portcullis-10-routes"),
        compare("portcullis-50-providers", "portcullis-10-routes"),
    ],
    half_load: &["native-2w", "portcullis-2w"],
};

fn chains(module: &Path, scratch: &Scratch) -> Vec<Chain> {
    let peer = |id: &'static str, title, traffic| Chain {
        traffic,
        ..native(
            id,
            title,
            TokenCache::On,
            scratch.file(&format!("{id}.log")),
        )
    };
    let ours = |id: &'static str, title, traffic| {
        let log = scratch.file(&format!("{id}.log"));
        Chain {
            traffic,
            ..recorded(id, title, module, &document::whole(), log)
        }
    };
    let same = Traffic::Same(Algorithm::Rs256);
    let mut chains = vec![
        peer(
            "native-64-fields",
            "native chain, 64 more fields",
            Traffic::Wide,
        ),
        ours(
            "portcullis-64-fields",
            "Portcullis, 64 more fields",
            Traffic::Wide,
        ),
        peer("native-http2", "native chain, HTTP/2", Traffic::Http2),
        ours("portcullis-http2", "Portcullis, HTTP/2", Traffic::Http2),
        Chain {
            workers: 2,
            ..peer("native-2w", "native chain, two workers", same)
        },
        Chain {
            workers: 2,
            ..ours("portcullis-2w", "Portcullis, two workers", same)
        },
    ];
    for (count, theirs, their_title, our, our_title) in [
        (
            10,
            "native-10-routes",
            "native chain, 10 rules",
            "portcullis-10-routes",
            "Portcullis, 10 routes",
        ),
        (
            100,
            "native-100-routes",
            "native chain, 100 rules",
            "portcullis-100-routes",
            "Portcullis, 100 routes",
        ),
        (
            500,
            "native-500-routes",
            "native chain, 500 rules",
            "portcullis-500-routes",
            "Portcullis, 500 routes",
        ),
    ] {
        let prefixes: Vec<String> = (0..count).map(document::kind).collect();
        let log = |id: &str| scratch.file(&format!("{id}.log"));
        chains.push(native_behind(theirs, their_title, &prefixes, log(theirs)));
        let document = document::behind_routes(count);
        chains.push(recorded(our, our_title, module, &document, log(our)));
    }
    let id = "portcullis-50-providers";
    chains.push(recorded(
        id,
        "Portcullis, 50 more providers, 200 schemas",
        module,
        &document::among_others(),
        scratch.file(&format!("{id}.log")),
    ));
    chains
}
