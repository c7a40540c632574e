//! CORS and the preset `web`, against `cors` and `header_mutation` with the same fields.

use std::path::Path;
use std::rc::Rc;

use portcullis::engine::Engine;
use portcullis::exchange::{BodyState, Edit};
use portcullis::headers::Headers;
use portcullis::stream::Stream;
use portcullis_tests::still::Still;
use serde_json::json;

use super::super::chain::{
    Algorithm, Chain, PATH, Traffic, Work, answering, portcullis, router, routes,
};
use super::super::native;
use super::super::{document, scratch::Scratch};
use super::{Group, compare};

pub(super) const GROUP: Group = Group {
    name: "browser",
    about: "CORS and the preset web against cors and header_mutation",
    chains,
    comparisons: &[
        compare("portcullis-browser", "native-browser", None),
        compare("portcullis-browser", "router", None),
    ],
    equal_load: &[],
};

fn chains(module: &Path, _: &Scratch) -> Vec<Chain> {
    let manager = json!({ "route_config": routes(native::cors_policy()) });
    let fields = preset();
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    vec![
        router(),
        Chain {
            id: "native-browser",
            title: "cors and header_mutation",
            listener: answering(
                "api",
                vec![native::cors(), native::header_mutation(&fields)],
                manager,
            ),
            work: Work::Headers,
            ..router()
        },
        portcullis(
            "portcullis-browser",
            "Portcullis, cors and the preset web",
            module,
            &document::browser(),
            (Traffic::Same(Algorithm::Rs256), Work::Headers),
        ),
    ]
}

/// The fields that the preset sets on an answer over cleartext.
fn preset() -> Vec<(String, String)> {
    let document = document::browser().to_string();
    let engine = Engine::compile(document.as_bytes()).ok().map(Rc::new);
    let mut headers = Headers::default();
    for (name, value) in [
        (":method", "GET"),
        (":path", PATH),
        (":authority", "api.bench.test"),
        (":scheme", "http"),
    ] {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    let host = Still { now: 0 };
    let mut stream = Stream::new(engine);
    stream.request_headers(headers, BodyState::Complete, &host);
    let head = stream.response_headers(None, BodyState::Open, &host);
    let edits = head.edits.iter().flat_map(|edit| match edit {
        Edit::Shared(edits) => edits.to_vec(),
        edit => vec![edit.clone()],
    });
    edits
        .filter_map(|edit| match edit {
            Edit::Set(name, value) => {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                Some((name.as_str().to_owned(), value))
            }
            _ => None,
        })
        .collect()
}
