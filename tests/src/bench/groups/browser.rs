//! CORS and the preset `web`, against `cors` and `header_mutation` with the same fields. Behind each chain is
//! a service, since Envoy's `cors` leaves alone what the proxy answers itself.

use std::path::Path;
use std::rc::Rc;

use portcullis::engine::Engine;
use portcullis::exchange::{BodyState, Edit};
use portcullis::headers::Headers;
use portcullis::stream::Stream;
use portcullis_tests::envoy::{ListenerOptions, listener};
use portcullis_tests::still::still;
use serde_json::{Value, json};

use super::super::chain::{BODY, Chain, PATH, Service, Work, filter, router};
use super::super::native;
use super::super::{document, scratch::Scratch};
use super::{Group, aim, compare};

const UPSTREAM_TIME: &str = "x-envoy-upstream-service-time";

pub(super) const GROUP: Group = Group {
    name: "browser",
    about: "CORS and the preset web against cors and header_mutation",
    chains,
    comparisons: &[
        aim(
            ("portcullis-browser", "native-browser"),
            "CORS and headers alone",
            1.1,
        ),
        compare("portcullis-browser", "router-browser"),
    ],
    half_load: &[],
};

fn chains(module: &Path, scratch: &Scratch) -> Vec<Chain> {
    let mut fields = preset();
    // Envoy adds it, and nobody is to see it.
    fields.push((UPSTREAM_TIME.to_owned(), String::new()));
    let before_service = |chain: Chain, filters: Vec<Value>, per_filter: Value| {
        let options = ListenerOptions {
            route: json!({ "typed_per_filter_config": per_filter }),
            ..ListenerOptions::default()
        };
        Chain {
            listener: listener("api", filters, options),
            service: Some(Service {
                socket: scratch.file(chain.id),
                fields: fields.clone(),
                answer: BODY,
            }),
            ..chain
        }
    };
    let theirs = Chain {
        id: "native-browser",
        title: "cors and header_mutation",
        work: Work::Headers,
        ..router()
    };
    let ours = Chain {
        id: "portcullis-browser",
        title: "Portcullis, cors and the preset web",
        work: Work::Headers,
        ..router()
    };
    let alone = Chain {
        id: "router-browser",
        title: "nothing but the router",
        ..router()
    };
    let filters = vec![native::cors(), mutation(&preset())];
    vec![
        before_service(alone, Vec::new(), json!({})),
        before_service(theirs, filters, native::cors_policy()),
        before_service(
            ours,
            vec![filter(module, &document::browser(), "portcullis")],
            json!({}),
        ),
    ]
}

/// The preset's fields set, and the one removed that would tell of Envoy.
fn mutation(fields: &[(String, String)]) -> Value {
    let fields: Vec<(&str, &str)> = fields
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    let mut filter = native::header_mutation(&fields);
    let mutations = &mut filter["typed_config"]["mutations"]["response_mutations"];
    if let Some(list) = mutations.as_array_mut() {
        list.push(json!({ "remove": UPSTREAM_TIME }));
    }
    filter
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
    let host = still(0);
    let mut stream = Stream::new(engine);
    stream.on_request_headers(headers, BodyState::Complete, &host);
    let head = stream.on_response_headers(None, BodyState::Open, &host);
    let edits = head.edits.iter().flat_map(|edit| match edit {
        Edit::Prepared(edits) => edits.to_vec(),
        edit => vec![edit.clone()],
    });
    edits
        .filter_map(|edit| match edit {
            // Over TLS alone, which the engine's host here has and the chains have not.
            Edit::Set(name, _) if name.as_str() == "strict-transport-security" => None,
            Edit::Set(name, value) => {
                let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
                Some((name.as_str().to_owned(), value))
            }
            _ => None,
        })
        .collect()
}
