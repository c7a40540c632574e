//! Signed messages on their way through a stream: what is used up, and when.

use std::time::Duration;

use super::*;
use hmac_sha256::HMAC;
use portcullis_exchange::host::Side;
use portcullis_memory_host::MemoryHost;

const NOW: u64 = 1_800_000_000;
const NEW: &str = "new-secret-0123456789";
const OLD: &str = "old-secret-0123456789";
const SIGNER: &str = r#"{"preset": "stripe", "secrets": [{"env": "NEW"}, {"env": "OLD"}]}"#;
const BLOCK: &str = r#""signed_request": {"signer": "s"}"#;

fn engine(signer: &str, block: &str) -> Rc<Engine> {
    let document = format!(
        r#"{{"version": 1, "access_log": {{}}, "body_inspection": "hold_headers", "signers": {{"s": {signer}}},
            "routes": [{{"name": "a", "match": {{}}, {block}}}]}}"#
    );
    let engine = Engine::compile(document.as_bytes());
    Rc::new(engine.unwrap_or_else(|error| panic!("{error}")))
}

fn host() -> MemoryHost {
    let host = MemoryHost::new().at_second(NOW);
    host.with_variable("NEW", NEW).with_variable("OLD", OLD)
}

fn tag(secret: &str, body: &str) -> String {
    let tag = HMAC::mac(format!("{NOW}.{body}"), secret);
    tag.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn signed(body: &str) -> String {
    format!("t={NOW},v1={}", tag(NEW, body))
}

/// What becomes of it: nothing, or the details of the refusal.
fn outcome(action: &Action) -> &str {
    match action {
        Action::Continue(_) => "passes",
        Action::Pause { .. } => "waits",
        Action::Replace(_) => "is replaced",
        Action::Reply(reply) => reply.details.rsplit('{').next().unwrap_or_default(),
    }
}

fn begun(engine: &Rc<Engine>, fields: &[(&str, &str)], host: &MemoryHost) -> (Stream, Action) {
    let usual = [
        (":method", "POST"),
        (":path", "/h"),
        (":authority", "a.example"),
    ];
    let mut headers = Headers::default();
    for (name, value) in usual.iter().chain(fields) {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    let mut stream = Stream::new(Some(Rc::clone(engine)));
    let action = stream.on_request_headers(headers, BodyState::Open, host);
    (stream, action)
}

fn ended(stream: &mut Stream, body: &str, host: &MemoryHost) -> String {
    host.set_body(Side::Request, body.as_bytes());
    let size = u64::try_from(body.len()).unwrap();
    let action = stream.on_request_body(size, BodyState::Complete, host);
    outcome(&action).to_owned()
}

fn sent(engine: &Rc<Engine>, signature: &str, body: &str, host: &MemoryHost) -> String {
    let (mut stream, action) = begun(engine, &[("stripe-signature", signature)], host);
    match action {
        Action::Reply(_) => outcome(&action).to_owned(),
        _ => ended(&mut stream, body, host),
    }
}

fn is_again(outcome: &str) -> bool {
    outcome.contains("signature_replayed") && outcome.contains("again")
}

#[test]
fn a_message_with_a_tag_of_each_secret_is_one_message() {
    let (engine, host) = (engine(SIGNER, BLOCK), host());
    let (new, old) = (tag(NEW, "pay"), tag(OLD, "pay"));
    let both = format!("t={NOW},v1={new},v1={old}");
    assert_eq!(sent(&engine, &both, "pay", &host), "passes");
    for again in [
        both,
        format!("t={NOW},v1={new}"),
        format!("t={NOW},v1={old}"),
        format!("t={NOW},v1={old},v1={new}"),
    ] {
        let outcome = sent(&engine, &again, "pay", &host);
        assert!(is_again(&outcome), "{again}: {outcome}");
    }
    assert_eq!(sent(&engine, &signed("other"), "other", &host), "passes");
}

#[test]
fn a_message_whose_body_comes_late_is_old() {
    let (engine, host) = (engine(SIGNER, BLOCK), host());
    let fields = [("stripe-signature", &*signed("pay"))];
    let mut held: Vec<Stream> = Vec::new();
    for _ in 0..3 {
        let (stream, action) = begun(&engine, &fields, &host);
        assert_eq!(outcome(&action), "waits");
        held.push(stream);
    }
    let [mut first, mut second, mut third] = <[Stream; 3]>::try_from(held).ok().unwrap();
    host.set_now(Duration::from_secs(NOW + 300));
    assert_eq!(ended(&mut first, "pay", &host), "passes");
    assert!(is_again(&ended(&mut second, "pay", &host)));
    host.set_now(Duration::from_secs(NOW + 301));
    let outcome = ended(&mut third, "pay", &host);
    assert!(outcome.contains("signature_expired"), "{outcome}");
}

#[test]
fn a_message_that_another_policy_refuses_is_not_used_up() {
    let small = format!(r#"{BLOCK}, "payload": {{"max_bytes": "2B"}}"#);
    let (small, large, host) = (engine(SIGNER, &small), engine(SIGNER, BLOCK), host());
    for _ in 0..2 {
        let outcome = sent(&small, &signed("pay"), "pay", &host);
        assert!(
            !outcome.contains("signature") && outcome != "passes",
            "{outcome}"
        );
    }
    assert_eq!(sent(&large, &signed("pay"), "pay", &host), "passes");
    // What has been used is refused before others are asked.
    assert!(is_again(&sent(&small, &signed("pay"), "pay", &host)));
}

#[test]
fn what_is_only_tried_uses_nothing_up() {
    let host = host();
    let tried = r#""open": true, "shadow": {"signed_request": {"signer": "s"}}"#;
    let shadow = r#""signed_request": {"signer": "s", "mode": "shadow"}"#;
    let in_force = engine(SIGNER, BLOCK);
    for block in [tried, shadow] {
        let engine = engine(SIGNER, block);
        let noted = |signature: &str| {
            let (mut stream, _) = begun(&engine, &[("stripe-signature", signature)], &host);
            assert_eq!(ended(&mut stream, block, &host), "passes");
            let noted = stream.decision().shadow.iter();
            noted.map(|each| each.reason.name).collect::<Vec<_>>()
        };
        let signature = signed(block);
        assert_eq!(noted(&signature), [""; 0], "{block}");
        assert_eq!(noted(&signature), [""; 0], "{block}");
        assert_eq!(
            noted(&format!("t={NOW},v1={}", "0".repeat(64))),
            ["mismatch"]
        );
        assert_eq!(sent(&in_force, &signature, block, &host), "passes");
        assert_eq!(noted(&signature), ["again"], "{block}");
    }
}

#[test]
fn retries_are_no_failed_attempts() {
    let block = format!(
        r#"{BLOCK}, "rate_limits": [{{"name": "t", "key": [], "charge": "on_refusal",
            "token_bucket": {{"max_tokens": 2, "fill_interval": "1h"}}}}]"#
    );
    let (engine, host) = (engine(SIGNER, &block), host());
    assert_eq!(sent(&engine, &signed("pay"), "pay", &host), "passes");
    for _ in 0..4 {
        assert!(is_again(&sent(&engine, &signed("pay"), "pay", &host)));
    }
    assert_eq!(sent(&engine, &signed("new"), "new", &host), "passes");
}

#[test]
fn fields_that_look_like_those_of_a_signature_are_refused() {
    let signer = r#"{"preset": "standard_webhooks", "secrets": [{"env": "NEW"}]}"#;
    let engine = engine(
        signer,
        r#""signed_request": {"signer": "s", "optional": true}"#,
    );
    let host = host();
    for alike in ["webhook_signature", "webhook_id", "webhook-timestamp_"] {
        let (_, action) = begun(&engine, &[(alike, "1")], &host);
        let is_refused = outcome(&action).contains("repeated");
        assert_eq!(is_refused, !alike.ends_with('_'), "{alike}: {action:?}");
    }
}
