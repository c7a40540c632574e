//! Texts with places.

use super::*;

fn fits(written: &str, usage: ValueUse) -> bool {
    let json = Json::String(written.to_owned());
    let node = Node::root(&json);
    let mut problems = Problems::default();
    let Ok(template) = ValueTemplate::parse(written) else {
        return false;
    };
    match usage {
        ValueUse::Field => true,
        ValueUse::Location => template.leads(&node, &mut problems).is_some(),
    }
}

#[test]
fn no_place_chooses_the_host_of_an_address() {
    for good in [
        "https://new.example.com{request.path}{request.query}",
        "https://new.example.com/{path.id}",
        "https://new.example.com:8443/a",
        "https://new.example.com",
        "/new/{path.rest}",
        "/new",
        "/",
        "/new{request.query}",
    ] {
        assert!(fits(good, ValueUse::Location), "{good}");
    }
    for wrong in [
        "{request.path}",
        "//{path.host}/x",
        "/{path.rest}",
        "/\\evil.example",
        "https://{request.host}/x",
        "https://new.example.com{path.id}",
        "https://new.example.com.{path.id}/",
        "https://new.example.com{request.query}",
        "https:///x",
        "https://a@b/x",
        "javascript:alert(1)",
        "new",
        "",
        "https://new.example.com/\\x",
        "https://new.example.com/a b",
    ] {
        assert!(!fits(wrong, ValueUse::Location), "{wrong}");
    }
}

#[test]
fn commands_of_envoy_are_no_places() {
    for wrong in [
        "%REQ(x-tenant)%",
        "a %DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT%",
        "%%PROTOCOL%",
        "{caller}%RESP(a)%",
    ] {
        assert!(ValueTemplate::parse(wrong).is_err(), "{wrong}");
    }
    for good in ["100%", "/a%AB%CD", "%C3%BC", "50% OF ALL", "%req(a)%", "%"] {
        assert!(ValueTemplate::parse(good).is_ok(), "{good}");
    }
}

#[test]
fn places_are_a_closed_list() {
    for good in [
        "",
        "a",
        "{{}}",
        "a{caller}b",
        "{claim.sub}",
        "{claim./a/b}",
        "{path.id}",
    ] {
        assert!(fits(good, ValueUse::Field), "{good}");
    }
    for wrong in [
        "{",
        "}",
        "{}",
        "{a",
        "a}",
        "{header.x}",
        "{claim.}",
        "{path.}",
        "{{}",
        "{CALLER}",
    ] {
        assert!(!fits(wrong, ValueUse::Field), "{wrong}");
    }
    let braces = ValueTemplate::parse("{{a}}").unwrap();
    assert_eq!(braces.constant().as_deref(), Some("{a}"));
}

#[test]
fn what_is_written_into_an_address_means_itself() {
    let encoded = |source: TemplateSource, value: &[u8]| {
        let mut out = Vec::new();
        source.encode(value, &mut out);
        String::from_utf8(out).unwrap()
    };
    let variable = TemplateSource::Variable("id".into());
    assert_eq!(
        encoded(variable, b"a/b?c#d\\e%\xc3"),
        "a/b%3Fc%23d%5Ce%25%C3"
    );
    assert_eq!(encoded(TemplateSource::Caller, b"a/b@c"), "a%2Fb%40c");
    assert_eq!(
        encoded(TemplateSource::RawPath, b"/%2e@x\"<"),
        "/%2e@x%22%3C"
    );
}
