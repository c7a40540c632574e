//! What smooths load and bounds it: a limit that delays, and the number of requests under way.

use std::path::Path;

use serde_json::json;

use super::super::chain::{Algorithm, Chain, Traffic, Work, answering, portcullis, router};
use super::super::native;
use super::super::{document, scratch::Scratch};
use super::{Group, compare};

pub(super) const GROUP: Group = Group {
    name: "traffic",
    about: "requests under way at once, and a limit that delays, against admission_control and no filter",
    chains,
    comparisons: &[
        compare("portcullis-concurrency-all", "native-admission"),
        compare("portcullis-concurrency", "native-admission"),
        compare("portcullis-concurrency", "traffic-router"),
        compare("portcullis-throttle", "traffic-router"),
        compare("portcullis-waiting", "portcullis-throttle"),
    ],
    half_load: &[],
};

fn chains(module: &Path, _: &Scratch) -> Vec<Chain> {
    let ours = |id, title, document, work| {
        let sent = (Traffic::Same(Algorithm::Rs256), work);
        portcullis(id, title, module, &document, sent)
    };
    vec![
        Chain {
            id: "traffic-router",
            ..router()
        },
        Chain {
            id: "native-admission",
            title: "admission_control",
            listener: answering("api", vec![native::admission_control()], json!({})),
            ..router()
        },
        ours(
            "portcullis-concurrency-all",
            "Portcullis, concurrency, one key for all",
            document::concurrency(&[]),
            Work::Nothing,
        ),
        ours(
            "portcullis-concurrency",
            "Portcullis, concurrency by address",
            document::concurrency(&["client_address"]),
            Work::Nothing,
        ),
        ours(
            "portcullis-throttle",
            "Portcullis, a limit that delays, with room",
            document::throttle(),
            Work::Limit,
        ),
        ours(
            "portcullis-waiting",
            "Portcullis, a limit that delays, every request waits",
            document::waiting(),
            Work::Limit,
        ),
    ]
}
