//! The access log and nothing else, by sink, against Envoy's own JSON file log.

use std::path::Path;

use serde_json::json;

use super::super::chain::{Algorithm, Chain, Traffic, Work, answering, filter, portcullis, router};
use super::super::native;
use super::super::rounds::COLLECTOR;
use super::super::{document, scratch::Scratch};
use super::{Group, aim, compare};

pub(super) const GROUP: Group = Group {
    name: "records",
    about: "the access log alone, by sink",
    chains,
    comparisons: &[
        aim(
            ("portcullis-filter-state", "native-log"),
            "record alone",
            1.1,
        ),
        compare("portcullis-envoy-log", "native-log"),
        compare("portcullis-otlp", "native-log"),
        compare("portcullis-no-record", "router"),
    ],
    half_load: &[],
};

fn chains(module: &Path, scratch: &Scratch) -> Vec<Chain> {
    let (theirs, ours) = (scratch.file("native.log"), scratch.file("ours.log"));
    let open = (Traffic::Same(Algorithm::Rs256), Work::Nothing);
    let mut sent = document::log_only(&["otlp_http"]);
    sent["otlp_http"] = json!({
        "cluster": COLLECTOR, "uri": "http://collector.example.com/v1/logs",
        "max_queue_bytes": "16MiB",
    });
    let filtered = filter(module, &document::log_only(&["filter_state"]), "portcullis");
    vec![
        router(),
        Chain {
            id: "native-log",
            title: "Envoy's JSON log to a file",
            listener: answering(
                "api",
                Vec::new(),
                json!({ "access_log": native::access_log(&theirs) }),
            ),
            access_log: Some(theirs),
            ..router()
        },
        portcullis(
            "portcullis-no-record",
            "Portcullis, one open route, no record",
            module,
            &document::log_only(&[]),
            open,
        ),
        Chain {
            id: "portcullis-filter-state",
            title: "Portcullis, the sink filter_state, Envoy's log to a file",
            listener: answering(
                "api",
                vec![filtered],
                json!({ "access_log": native::record_log(&ours) }),
            ),
            access_log: Some(ours),
            ..router()
        },
        portcullis(
            "portcullis-envoy-log",
            "Portcullis, the sink envoy_log",
            module,
            &document::log_only(&["envoy_log"]),
            open,
        ),
        portcullis(
            "portcullis-otlp",
            "Portcullis, the sink otlp_http, a collector that takes all",
            module,
            &sent,
            open,
        ),
    ]
}
