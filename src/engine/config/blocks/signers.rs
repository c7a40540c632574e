//! What is said of signers that share a secret, and of limits that come before their clients are known.

use crate::engine::Engine;

fn notes(signers: &str, block: &str) -> Vec<String> {
    let document = format!(
        r#"{{"version": 1, "body_inspection": "hold_headers",
            "providers": {{"corp": {{"issuer": "https://a.example", "audiences": "any", "hmac": [{{"env": "T"}}]}}}},
            "signers": {{{signers}}},
            "routes": [{{"name": "a", "match": {{"path": {{"exact": "/a"}}}}, {block}}},
                {{"name": "b", "match": {{"path": {{"exact": "/b"}}}}, "jwt": {{"provider": "corp"}},
                    "signed_request": {{"signer": "two"}}}}]}}"#
    );
    let engine = Engine::compile(document.as_bytes());
    let engine = engine.unwrap_or_else(|error| panic!("{error}"));
    engine.notes().to_vec()
}

fn signer(name: &str, preset: &str, secret: &str) -> String {
    format!(r#""{name}": {{"preset": "{preset}", "secrets": [{{"env": "{secret}"}}]}}"#)
}

const BLOCK: &str = r#""signed_request": {"signer": "one"}"#;

#[test]
fn signers_with_one_secret_are_noted() {
    let apart = [signer("one", "stripe", "A"), signer("two", "github", "B")].join(", ");
    assert_eq!(notes(&apart, BLOCK), [""; 0]);
    let shared = [signer("one", "stripe", "A"), signer("two", "github", "A")].join(", ");
    let found = notes(&shared, BLOCK);
    assert!(
        found.len() == 1 && found[0].starts_with("/signers: \"one\" and \"two\" have the secret A"),
        "{found:?}"
    );
}

#[test]
fn limits_that_come_before_a_client_is_known_are_noted() {
    let signers = [signer("one", "stripe", "A"), signer("two", "github", "B")].join(", ");
    let limited = |key: &str, more: &str| {
        let limit = format!(
            r#"{BLOCK}, {more} "rate_limits": [{{"name": "l", "key": ["{key}"],
                "token_bucket": {{"max_tokens": 2, "fill_interval": "1h"}}}}]"#
        );
        notes(&signers, &limit)
    };
    let found = limited("subject", "");
    assert!(
        found.len() == 1 && found[0].contains("1, the first is \"a\""),
        "{found:?}"
    );
    assert_eq!(limited("client_address", ""), [""; 0]);
    let token = r#""jwt": {"provider": "corp"},"#;
    assert_eq!(limited("subject", token), [""; 0]);
}
