//! Plans: what they come to is what asking every policy comes to.

use std::time::Duration;

use portcullis::exchange::BodyState;
use portcullis::headers::Headers;
use portcullis_tests::believing::{believing, good_request, whole_document};
use portcullis_tests::both::Both;
use serde_json::{Value, json};

fn both(document: &Value) -> Both {
    let both = Both::new(document.to_string().as_bytes(), believing);
    both.unwrap_or_else(|error| panic!("{error}"))
}

fn answer() -> Headers {
    let mut headers = Headers::default();
    headers.push(b":status", b"200");
    headers.push(b"content-type", b"application/json");
    headers
}

/// How many of so many equal requests are judged by a plan.
fn planned(document: &Value, request: &Headers, many: u64) -> u64 {
    let both = both(document);
    for _ in 0..many {
        both.exchange(request, BodyState::Complete, &answer());
        both.advance(Duration::from_millis(1));
    }
    both.planned.0.planned()
}

#[test]
fn the_whole_chain_is_judged_by_its_plan_once_the_token_is_known() {
    let request = good_request("alice");
    assert_eq!(planned(&whole_document(3), &request, 5), 4);
    let mut document = whole_document(0);
    document["access_log"] = json!("off");
    assert_eq!(planned(&document, &request, 5), 4);
    document["access_log"] = json!({ "schema": "ecs", "attributes": "all", "query": "values" });
    document["metrics"] = json!({ "by_route": true, "timings": true });
    assert_eq!(planned(&document, &request, 5), 4);
}
