//! Tokens and nothing else, against `jwt_authn`: seen for the first time, and seen before.

use std::path::Path;

use serde_json::json;

use super::super::chain::{Algorithm, Chain, Traffic, Work, answering, portcullis};
use super::super::native::{self, TokenCache};
use super::super::{document, scratch::Scratch};
use super::{Group, aim, compare};

pub(super) const GROUP: Group = Group {
    name: "tokens",
    about: "jwt alone against jwt_authn alone",
    chains,
    comparisons: &[
        aim(
            ("portcullis-new-rs256", "native-new-rs256"),
            "new RS256 tokens, against `jwt_authn`",
            1.05,
        ),
        aim(
            ("portcullis-new-es256", "native-new-es256"),
            "new ES256 tokens, against `jwt_authn`",
            1.05,
        ),
        aim(
            ("portcullis-new-ps256", "native-new-ps256"),
            "new PS256 tokens, against `jwt_authn`",
            3.5,
        ),
        aim(
            ("portcullis-new-eddsa", "native-new-eddsa"),
            "new EdDSA tokens, against `jwt_authn`",
            1.4,
        ),
        compare("portcullis-seen-rs256", "native-seen-rs256"),
        compare("portcullis-seen-es256", "native-seen-es256"),
    ],
    half_load: &[],
};

fn chains(module: &Path, _: &Scratch) -> Vec<Chain> {
    let ours = |id, title, traffic| {
        let work = (traffic, Work::Token);
        portcullis(id, title, module, &document::token_only(), work)
    };
    let new = Traffic::New;
    let seen = Traffic::Same;
    vec![
        native(
            "native-new-rs256",
            "jwt_authn, new RS256 tokens",
            new(Algorithm::Rs256),
            TokenCache::Off,
        ),
        ours(
            "portcullis-new-rs256",
            "Portcullis, new RS256 tokens",
            new(Algorithm::Rs256),
        ),
        native(
            "native-new-es256",
            "jwt_authn, new ES256 tokens",
            new(Algorithm::Es256),
            TokenCache::Off,
        ),
        ours(
            "portcullis-new-es256",
            "Portcullis, new ES256 tokens",
            new(Algorithm::Es256),
        ),
        native(
            "native-new-ps256",
            "jwt_authn, new PS256 tokens",
            new(Algorithm::Ps256),
            TokenCache::Off,
        ),
        ours(
            "portcullis-new-ps256",
            "Portcullis, new PS256 tokens",
            new(Algorithm::Ps256),
        ),
        native(
            "native-new-eddsa",
            "jwt_authn, new EdDSA tokens",
            new(Algorithm::EdDsa),
            TokenCache::Off,
        ),
        ours(
            "portcullis-new-eddsa",
            "Portcullis, new EdDSA tokens",
            new(Algorithm::EdDsa),
        ),
        native(
            "native-seen-rs256",
            "jwt_authn, token cache on, RS256 seen before",
            seen(Algorithm::Rs256),
            TokenCache::On,
        ),
        ours(
            "portcullis-seen-rs256",
            "Portcullis, RS256 seen before",
            seen(Algorithm::Rs256),
        ),
        native(
            "native-seen-es256",
            "jwt_authn, token cache on, ES256 seen before",
            seen(Algorithm::Es256),
            TokenCache::On,
        ),
        ours(
            "portcullis-seen-es256",
            "Portcullis, ES256 seen before",
            seen(Algorithm::Es256),
        ),
    ]
}

fn native(id: &'static str, title: &'static str, traffic: Traffic, cache: TokenCache) -> Chain {
    Chain {
        id,
        title,
        listener: answering("api", vec![native::jwt_authn(cache)], json!({})),
        traffic,
        work: Work::Token,
        workers: 1,
        access_log: None,
        service: None,
        body: None,
    }
}
