//! The whole chain under requests that it refuses, each one.

use std::path::Path;

use super::super::chain::{Chain, Traffic, native, native_spent, recorded};
use super::super::native::TokenCache;
use super::super::{document, scratch::Scratch};
use super::{Group, aim};

pub(super) const GROUP: Group = Group {
    name: "refusals",
    about: "the whole chain: no token, the same expired token, over the limit; every request refused",
    chains,
    comparisons: &[
        aim(
            ("portcullis-no-token", "native-no-token"),
            "refused, no token",
            1.3,
        ),
        aim(
            ("portcullis-expired", "native-expired"),
            "refused, expired token",
            1.3,
        ),
        aim(
            ("portcullis-over", "native-over"),
            "refused, over the limit",
            1.3,
        ),
    ],
    half_load: &[],
};

fn chains(module: &Path, scratch: &Scratch) -> Vec<Chain> {
    let log = |id: &str| scratch.file(&format!("{id}.log"));
    let theirs = |id: &'static str, title, traffic| Chain {
        traffic,
        ..native(id, title, TokenCache::On, log(id))
    };
    let ours = |id: &'static str, title, traffic| {
        let document = match traffic {
            Traffic::OverLimit => document::spent(),
            _ => document::whole(),
        };
        Chain {
            traffic,
            ..recorded(id, title, module, &document, log(id))
        }
    };
    vec![
        theirs("native-no-token", "native chain, no token", Traffic::None),
        ours("portcullis-no-token", "Portcullis, no token", Traffic::None),
        theirs(
            "native-expired",
            "native chain, expired token",
            Traffic::Expired,
        ),
        ours(
            "portcullis-expired",
            "Portcullis, expired token",
            Traffic::Expired,
        ),
        Chain {
            traffic: Traffic::OverLimit,
            ..native_spent(
                "native-over",
                "native chain, over the limit",
                log("native-over"),
            )
        },
        ours(
            "portcullis-over",
            "Portcullis, over the limit",
            Traffic::OverLimit,
        ),
    ]
}
