//! What says that a request is signed, before anything is known of who signed it.

use std::cell::OnceCell;
use std::rc::Rc;

use portcullis::engine::Engine;
use portcullis::exchange::BodyState;
use portcullis::headers::Headers;
use portcullis::stream::{Action, Stream};
use portcullis::structured::Dictionary;
use serde_json::json;

use super::judge::NOW;
use crate::still::still;
use crate::tokens::SigningKey;

thread_local! {
    static ENGINE: OnceCell<Rc<Engine>> = const { OnceCell::new() };
}

fn engine() -> Rc<Engine> {
    let document = || {
        let key = json!({ "id": "known", "algorithm": "ed25519", "jwk": SigningKey::named("ed25519").jwk() });
        let secrets = json!([{ "env": "NOT_THERE" }]);
        let route = |name: &str| {
            json!({
                "name": name,
                "match": { "path": { "prefix": format!("/{name}") } },
                "signed_request": { "signer": name },
            })
        };
        let names = ["message", "stripe", "standard_webhooks"];
        json!({
            "version": 1,
            "body_inspection": "hold_headers",
            "signers": {
                "message": { "message_signatures": { "keys": [key], "components": [] }, "tolerance": "24h" },
                "stripe": { "preset": "stripe", "secrets": secrets },
                "standard_webhooks": { "preset": "standard_webhooks", "secrets": secrets },
            },
            "routes": names.map(route),
        })
    };
    let compile = || {
        let engine = Engine::compile(document().to_string().as_bytes());
        Rc::new(engine.expect("the document is valid"))
    };
    ENGINE.with(|engine| Rc::clone(engine.get_or_init(compile)))
}

fn passes(path: &str, fields: &[(&str, &[u8])]) -> bool {
    let mut headers = Headers::default();
    headers.push(b":authority", b"api.example.com");
    headers.push(b":path", path.as_bytes());
    headers.push(b":method", b"GET");
    headers.push(b":scheme", b"https");
    headers.push(b"x-a", b"b=1");
    for (name, value) in fields {
        headers.push(name.as_bytes(), value);
    }
    let mut stream = Stream::new(Some(engine()));
    let action = stream.on_request_headers(headers, BodyState::Complete, &still(NOW));
    matches!(action, Action::Continue(_))
}

fn written(read: &Dictionary) -> Vec<u8> {
    let mut out = Vec::new();
    for (name, member) in &read.members {
        if !out.is_empty() {
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(name.as_bytes());
        out.push(b'=');
        member.write(&mut out);
    }
    out
}

/// What is read of a structured field is read again when it is written anew, and has one spelling then. Nobody
/// gets in with it who has no key, wherever it stands.
///
/// # Panics
/// When that does not hold.
pub fn signature_input(raw: &[u8]) -> bool {
    let value = raw.trim_ascii();
    let zeros = format!("s=:{}==:", "A".repeat(86));
    let zeros = zeros.as_bytes();
    let path = "/message?Pet=dog";
    let inputs = [("signature-input", value), ("signature", zeros)];
    assert!(!passes(path, &inputs));
    let good = format!("s=(\"content-digest\");created={NOW};keyid=\"known\"");
    let good = good.as_bytes();
    let digest = [
        ("signature-input", good),
        ("signature", zeros),
        ("content-digest", value),
    ];
    assert!(!passes(path, &digest));
    assert!(!passes(
        path,
        &[("signature-input", good), ("signature", value)]
    ));
    assert!(!passes("/stripe", &[("stripe-signature", value)]));
    let now = NOW.to_string();
    let standard: &[(&str, &[u8])] = &[
        ("webhook-id", b"a"),
        ("webhook-timestamp", now.as_bytes()),
        ("webhook-signature", value),
    ];
    assert!(!passes("/standard_webhooks", standard));
    let Ok(read) = Dictionary::parse(raw) else {
        return false;
    };
    let once = written(&read);
    let again = Dictionary::parse(&once).expect("it is read again");
    assert_eq!(again, read);
    assert_eq!(written(&again), once);
    true
}
