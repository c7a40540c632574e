//! Servers that fail, and clients that make them seem to.

use super::*;
use portcullis_exchange::exchange::Edit;
use portcullis_wire::headers::HeaderName;

const ALLOW: &str = r#","on_error":"allow""#;

fn unavailable(reason: &str) -> String {
    format!("portcullis.introspection_unavailable.{reason}")
}

#[test]
fn a_token_that_nobody_has_judged_does_not_reach_the_service() {
    let host = proxy();
    for forward in ["true", "false"] {
        let more = format!(r#"{ALLOW},"forward":{forward}"#);
        let all = engine(&document(&more, ALONE));
        let (mut stream, _) = head(&all, "a", &[], &host);
        stream.called(Token(1));
        let action = stream.received(Token(1), Err(CallError::Unreachable), &host);
        let Some(Action::Continue(edits)) = action else {
            panic!("{action:?}");
        };
        let authorization = HeaderName::parse("authorization").unwrap();
        assert!(edits.contains(&Edit::Remove(authorization)), "{forward}");
    }
}

#[test]
fn what_we_lack_ourselves_opens_nothing() {
    let host = proxy();
    let document = document(ALLOW, ALONE);
    let secretless = document.replace(r#""none""#, r#"{"bearer":{"env":"NOWHERE"}}"#);
    let (_, action) = head(&engine(&secretless), "a", &[], &host);
    assert_eq!(told(Some(&action)), unavailable("no_secret"));
    let all = engine(&document);
    let (mut stream, _) = head(&all, "a", &[], &host);
    stream.called(Token(1));
    let action = stream.received(Token(1), Err(CallError::NoMemory), &host);
    assert_eq!(told(action.as_ref()), unavailable("memory"));
    let (mut stream, _) = head(&all, "a", &[], &host);
    stream.called(Token(1));
    let rest = reserve(Share::Streams, Share::Streams.most() - used(Share::Streams)).unwrap();
    let told = answer(&mut stream, Token(1), "200", ACTIVE, &host);
    assert_eq!(told, unavailable("memory"));
    drop(rest);
}
