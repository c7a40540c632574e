//! The wait that a refusal names is true: who waits for so long passes, who waits for less does not.

use std::thread;
use std::time::{Duration, Instant};

use portcullis_tests::client;
use portcullis_tests::envoy::Options;
use portcullis_tests::wire::{Request, Response};
use serde_json::{Value, json};

use super::{Proxy, limited};

const PATIENCE: Duration = Duration::from_secs(60);

fn get(proxy: &Proxy) -> Response {
    let request = Request {
        method: b"GET".to_vec(),
        path: b"/".to_vec(),
        authority: b"a".to_vec(),
        ..Request::default()
    };
    client::send(proxy.addr, &request, PATIENCE).unwrap()
}

fn retry_after(response: &Response) -> Duration {
    let mut fields = response.headers.iter();
    let (_, value) = fields.find(|(name, _)| name == "retry-after").unwrap();
    let seconds = std::str::from_utf8(value).unwrap().parse().unwrap();
    Duration::from_secs(seconds)
}

fn is_true_of(rule: &Value) {
    let mut limit = rule.clone();
    limit["name"] = json!("one");
    limit["key"] = json!(["client_address"]);
    let proxy = Proxy::start_with(&Options::reused(), Vec::new(), &limited(&json!([limit])));
    assert_eq!(get(&proxy).status, 200);
    // On a busy machine a request can take longer than the wait; then it says nothing.
    let mut too_early = 0;
    for _ in 0..5 {
        let asked = Instant::now();
        let refused = get(&proxy);
        if refused.status == 200 {
            continue;
        }
        let (answered, wait) = (Instant::now(), retry_after(&refused));
        // Whole seconds, rounded up: more than all but the last of them are left.
        let least = wait - Duration::from_secs(1);
        let last = loop {
            thread::sleep(Duration::from_millis(200));
            let status = get(&proxy).status;
            if asked.elapsed() > least {
                break status;
            }
            assert_eq!(status, 429, "passed in less than {least:?}");
            too_early += 1;
        };
        if last == 200 {
            continue;
        }
        // The wait is what is tested: not a moment longer.
        thread::sleep(wait.saturating_sub(answered.elapsed()));
        assert_eq!(get(&proxy).status, 200, "refused after {wait:?}");
        if too_early > 0 {
            return;
        }
    }
    panic!("no request was early enough");
}

#[test]
fn a_bucket_names_the_wait() {
    is_true_of(&json!({ "token_bucket": { "max_tokens": 1, "fill_interval": "3s" } }));
}

#[test]
fn a_window_names_the_wait() {
    is_true_of(&json!({ "sliding_window": { "requests": 1, "per": "3s" } }));
}
