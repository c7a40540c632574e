//! Limits and nothing else, against `local_ratelimit`.

use std::path::Path;

use serde_json::json;

use super::super::chain::{Algorithm, Bucket, Chain, Traffic, Work, answering, portcullis, router};
use super::super::native;
use super::super::{document, scratch::Scratch};
use super::{Group, aim, compare};

pub(super) const GROUP: Group = Group {
    name: "limits",
    about: "rate limits alone against local_ratelimit alone",
    chains,
    comparisons: &[
        aim(
            ("portcullis-limit-all", "native-limit"),
            "one limit alone, one bucket for all",
            1.1,
        ),
        aim(
            ("portcullis-limit", "native-limit"),
            "one limit alone, by address against one bucket",
            1.1,
        ),
        aim(
            ("portcullis-limit", "native-limit-address"),
            "one limit alone, by address",
            1.1,
        ),
        compare("portcullis-limits-3", "native-limit"),
        compare("portcullis-limit-2w", "native-limit-2w"),
        compare("portcullis-limits-3-2w", "native-limit-2w"),
        compare("portcullis-limit", "router"),
    ],
    half_load: &[],
};

fn chains(module: &Path, _: &Scratch) -> Vec<Chain> {
    let ours = |id, title, count, workers| Chain {
        workers,
        ..portcullis(
            id,
            title,
            module,
            &document::limits(count),
            (Traffic::Same(Algorithm::Rs256), Work::Limit),
        )
    };
    let native = |id, title, filter, workers| Chain {
        id,
        title,
        listener: answering("api", vec![filter], json!({})),
        work: Work::Limit,
        workers,
        ..router()
    };
    let one_bucket = native::local_ratelimit(Bucket::Ample);
    vec![
        router(),
        native(
            "native-limit",
            "local_ratelimit, one bucket",
            one_bucket.clone(),
            1,
        ),
        native(
            "native-limit-address",
            "local_ratelimit, a bucket for each address",
            native::local_ratelimit_by_address(),
            1,
        ),
        portcullis(
            "portcullis-limit-all",
            "Portcullis, one limit for all",
            module,
            &document::limit_for_all(),
            (Traffic::Same(Algorithm::Rs256), Work::Limit),
        ),
        ours("portcullis-limit", "Portcullis, one limit by address", 1, 1),
        ours(
            "portcullis-limits-3",
            "Portcullis, three limits by address",
            3,
            1,
        ),
        native(
            "native-limit-2w",
            "local_ratelimit, two workers",
            one_bucket,
            2,
        ),
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
