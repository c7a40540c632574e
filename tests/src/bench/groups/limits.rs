//! Limits and nothing else, against `local_ratelimit`.

use std::path::Path;

use serde_json::json;

use super::super::chain::{Algorithm, Chain, Traffic, Work, answering, portcullis, router};
use super::super::native;
use super::super::{document, scratch::Scratch};
use super::{Group, compare};

pub(super) const GROUP: Group = Group {
    name: "limits",
    about: "rate limits alone against local_ratelimit alone",
    chains,
    comparisons: &[
        compare("portcullis-limit", "native-limit", None),
        compare("portcullis-limits-3", "native-limit", None),
        compare("portcullis-limit-2w", "native-limit-2w", None),
        compare("portcullis-limits-3-2w", "native-limit-2w", None),
        compare("portcullis-limit", "router", None),
    ],
    equal_load: &[],
};

fn chains(module: &Path, _: &Scratch) -> Vec<Chain> {
    let ours = |id, title, count, workers| Chain {
        workers,
        ..portcullis(
            id,
            title,
            module,
            &document::limits(count),
            (Traffic::Same(Algorithm::Rs256), Work::Nothing),
        )
    };
    let native = |id, title, workers| Chain {
        id,
        title,
        listener: answering("api", vec![native::local_ratelimit()], json!({})),
        workers,
        ..router()
    };
    vec![
        router(),
        native("native-limit", "local_ratelimit, one bucket", 1),
        ours("portcullis-limit", "Portcullis, one limit by address", 1, 1),
        ours(
            "portcullis-limits-3",
            "Portcullis, three limits by address",
            3,
            1,
        ),
        native("native-limit-2w", "local_ratelimit, two workers", 2),
        ours(
            "portcullis-limit-2w",
            "Portcullis, one limit, two workers",
            1,
            2,
        ),
        ours(
            "portcullis-limits-3-2w",
            "Portcullis, three limits, two workers",
            3,
            2,
        ),
    ]
}
