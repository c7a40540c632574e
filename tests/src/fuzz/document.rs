//! Configuration documents.

use std::rc::Rc;

use portcullis::config::ConfigError;
use portcullis::engine::Engine;
use serde_json::Value;

use super::{NOW, bearer, judge};
use crate::still::Still;

/// Whatever an operator writes is compiled or refused, twice the same, with a place and a reason
/// in one short line for each problem, and none of them quotes a key. What is compiled judges
/// requests.
///
/// # Panics
/// When that does not hold.
pub fn document(document: &[u8]) -> bool {
    match (Engine::compile(document), Engine::compile(document)) {
        (Ok(engine), Ok(again)) => {
            assert_eq!(engine.notes(), again.notes());
            assert_eq!(engine.route_count(), again.route_count());
            let (engine, host) = (Rc::new(engine), Still { now: NOW });
            for path in [&b"/orders/7?access_token=a.b.c&x=1"[..], b"/", b"/a/%2e/b"] {
                judge(&engine, bearer(path, b"Bearer a.b.c"), &host);
            }
            true
        }
        (Err(error), Err(again)) => {
            assert_eq!(error, again);
            check(&error, document);
            false
        }
        _ => panic!("compiling depends on more than the document"),
    }
}

pub(super) fn check(error: &ConfigError, document: &[u8]) {
    assert!(!error.problems.is_empty());
    let mut secrets = Vec::new();
    collect(
        &serde_json::from_slice(document).unwrap_or_default(),
        &mut secrets,
    );
    let text = String::from_utf8_lossy(document);
    for problem in &error.problems {
        let line = problem.to_string();
        let pointer = &problem.pointer;
        assert!(pointer.is_empty() || pointer.starts_with('/'), "{line:?}");
        assert!(!problem.reason.is_empty(), "{line:?}");
        assert!(!line.contains(char::is_control), "{line:?}");
        for secret in &secrets {
            // What stands elsewhere as well may be quoted from there.
            let once = text.matches(secret.as_str()).count() == 1;
            assert!(!once || !line.contains(secret.as_str()), "{line:?}");
        }
    }
}

/// The strings that are private parts of keys.
fn collect(value: &Value, secrets: &mut Vec<String>) {
    const PRIVATE: [&str; 8] = ["k", "d", "p", "q", "dp", "dq", "qi", "key"];
    match value {
        Value::Array(items) => items.iter().for_each(|item| collect(item, secrets)),
        Value::Object(members) => {
            for (name, value) in members {
                if let (Some(text), true) = (value.as_str(), PRIVATE.contains(&name.as_str()))
                    && text.len() >= 16
                {
                    secrets.push(text.to_owned());
                }
                collect(value, secrets);
            }
        }
        _ => {}
    }
}
