//! Configuration documents.

use std::rc::Rc;

use portcullis::config::ConfigError;
use portcullis::engine::Engine;
use serde_json::Value;

use super::{NOW, bearer, judge};
use crate::still::still;

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
            let (engine, host) = (Rc::new(engine), still(NOW));
            for path in [&b"/orders/7?access_token=a.b.c&x=1"[..], b"/", b"/a/%2e/b"] {
                judge(&engine, bearer(path, b"Bearer a.b.c"), &host);
            }
            true
        }
        (Err(error), Err(again)) => {
            assert_eq!(error, again);
            check(&error);
            quotes_no_key(&error, document);
            false
        }
        _ => panic!("compiling depends on more than the document"),
    }
}

pub(super) fn check(error: &ConfigError) {
    assert!(!error.problems.is_empty());
    for problem in &error.problems {
        let line = problem.to_string();
        let pointer = &problem.pointer;
        assert!(pointer.is_empty() || pointer.starts_with('/'), "{line:?}");
        assert!(!problem.reason.is_empty(), "{line:?}");
        assert!(!line.contains(char::is_control), "{line:?}");
    }
}

/// A key that a problem seems to quote is exchanged for another: words of the compiler's own, and
/// of other places of the document, stay.
fn quotes_no_key(error: &ConfigError, document: &[u8]) {
    let mut secrets = Vec::new();
    collect(
        &serde_json::from_slice(document).unwrap_or_default(),
        &mut secrets,
    );
    let text = String::from_utf8_lossy(document);
    for secret in &secrets {
        if text.matches(secret.as_str()).count() != 1 {
            continue;
        }
        let other: String = secret.chars().map(other).collect();
        let changed = text.replace(secret.as_str(), &other);
        for problem in &error.problems {
            let line = problem.to_string();
            if line.contains(secret.as_str())
                && let Err(changed) = Engine::compile(changed.as_bytes())
            {
                let same = changed.problems.iter().any(|p| p.to_string() == line);
                assert!(same, "{line:?}");
            }
        }
    }
}

fn other(c: char) -> char {
    match c {
        'a'..='y' | 'A'..='Y' | '0'..='8' => char::from(c as u8 + 1),
        'z' => 'a',
        'Z' => 'A',
        '9' => '0',
        _ => c,
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
