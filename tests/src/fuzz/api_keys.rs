//! Stores of API keys.

use std::rc::Rc;

use portcullis::engine::Engine;
use portcullis::policy::api_key::form::{self, RANDOM_BYTES};
use ring::digest::{SHA256, digest};
use serde_json::{Value, json};

use super::{NOW, bearer, judge};
use crate::still::still;

thread_local! {
    static KEYS: Vec<(String, String)> = keys();
}

/// Keys that requests are made with, each with its hash. Seeds have these hashes.
pub(super) fn keys() -> Vec<(String, String)> {
    let made = (1..4).map(|byte| form::key("pk_live", &[byte; RANDOM_BYTES]));
    let all = made.chain(["a-key-of-another-make".to_owned()]);
    all.map(|key| {
        let hash = digest(&SHA256, key.as_bytes());
        let hex: String = hash.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        (key, hex)
    })
    .collect()
}

/// A store: it is read or refused, and what is wrong quotes no key. A key is accepted only if a plain
/// reader finds its hash in one entry, which is active and whose time it is, and as of the client that
/// is named there.
///
/// # Panics
/// When that does not hold.
pub fn api_keys(block: &[u8]) -> bool {
    let Ok(text) = std::str::from_utf8(block) else {
        return false;
    };
    let document = format!(
        r#"{{ "version": 1, "access_log": {{ "query": "values" }}, "api_key_stores": {{ "s": {text} }},
        "routes": [{{ "name": "all", "match": {{}}, "api_key": {{ "store": "s" }} }}] }}"#
    );
    let compiled = Engine::compile(document.as_bytes());
    KEYS.with(|keys| match compiled {
        Ok(engine) => judge_all(&Rc::new(engine), text, keys),
        Err(error) => {
            for problem in &error.problems {
                let quotes = |(key, _): &&(String, String)| problem.reason.contains(&**key);
                assert_eq!(keys.iter().find(quotes), None, "{problem:?}");
            }
            false
        }
    })
}

fn judge_all(engine: &Rc<Engine>, text: &str, keys: &[(String, String)]) -> bool {
    // What closes the braces before it is another document.
    let Ok(block) = serde_json::from_str::<Value>(text) else {
        return true;
    };
    let entries = block["keys"].as_array().cloned().unwrap_or_default();
    for (key, hash) in keys {
        let of_key = |entry: &&Value| {
            let written = entry["hash"].as_str().unwrap_or_default();
            written.eq_ignore_ascii_case(hash)
        };
        let found: Vec<&Value> = entries.iter().filter(of_key).collect();
        let mut headers = bearer(b"/", b"Basic none");
        headers.push(b"x-api-key", key.as_bytes());
        let judged = judge(engine, headers, &still(NOW));
        let is_plain = |entry: &&&Value| entry.as_object().is_some_and(|entry| entry.len() == 3);
        if let Some(one) = found.first().filter(is_plain)
            && block.as_object().is_some_and(|block| block.len() == 1)
        {
            assert!(judged.passes(), "{one}: {judged:?}");
        }
        assert!(!judged.line.contains(&**key), "{}", judged.line);
        if !judged.passes() {
            continue;
        }
        let [entry] = &found[..] else {
            panic!("{key} is accepted, and is of {found:?}");
        };
        assert_ne!(entry["state"], json!("revoked"));
        let begins = entry["not_before"].as_f64().unwrap_or_default();
        let ends = entry["not_after"].as_f64().unwrap_or(f64::INFINITY);
        assert!(begins <= NOW as f64 && (NOW as f64) < ends, "{entry}");
        let line: Value = serde_json::from_str(&judged.line).expect("a line of JSON");
        // A name in which something looks like a key is not shown whole.
        let shown = line["user.id"].as_str().unwrap_or_default();
        assert!(
            shown.contains("REDACTED") || entry["client"] == shown,
            "{line}"
        );
    }
    true
}
