use super::*;
use crate::principal::{CredentialKind, Roles};
use portcullis_wire::json::compact::Compact;

#[test]
fn claims_count_among_what_a_stream_keeps() {
    let mut facts = Facts::default();
    let before = facts.memory();
    let claims = format!(r#"{{"x":"{}"}}"#, "y".repeat(1000));
    facts.principal = Some(Principal {
        kind: CredentialKind::Jwt,
        authority: "corp".into(),
        attributes: Compact::parse(claims.as_bytes(), 8).unwrap(),
        roles: Roles::of(["admin"]).unwrap(),
    });
    assert!(facts.memory() >= before + 1000);
}

#[test]
fn the_first_who_is_named_calls_and_the_others_are_beside() {
    let principal = |authority: &str| Principal {
        kind: CredentialKind::Jwt,
        authority: authority.into(),
        attributes: Compact::parse(b"{\"x\":\"yyyyyyyyyy\"}", 8).unwrap(),
        roles: Roles::default(),
    };
    let mut facts = Facts::default();
    facts.name(principal("a"));
    let one = facts.memory();
    for authority in ["a", "b", "b"] {
        facts.name(principal(authority));
    }
    let named: Vec<&str> = facts.named().map(|each| &*each.authority).collect();
    assert_eq!(named, ["a", "b"]);
    assert_eq!(&*facts.principal.as_ref().unwrap().authority, "a");
    assert!(facts.memory() >= one + 10);
    assert_eq!(facts.apart().named().count(), 2);
}
