use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use super::*;
use portcullis_document::Node;
use portcullis_exchange::fetched::{Fetched as _, Purpose};
use portcullis_exchange::section::{Reading, Section as _, Sections};
use portcullis_exchange::whole_response::WholeResponse;
use portcullis_memory_host::MemoryHost;
use portcullis_wire::headers::Headers;
use portcullis_wire::json::Json;

/// The lists of a document, and what is wrong with it.
fn lists(written: &str) -> (Option<NetworkLists>, Vec<String>) {
    let json = Json::parse(written.as_bytes(), 8).unwrap();
    let (mut problems, mut notes) = (Problems::default(), Vec::new());
    let read = NetworkLists::read(
        &Node::root(&json),
        &mut Reading {
            known: &Sections::default(),
            notes: &mut notes,
            problems: &mut problems,
        },
    );
    match problems.into_result(Some(())) {
        Ok(()) => (read, Vec::new()),
        Err(error) => (
            read,
            error.problems.iter().map(ToString::to_string).collect(),
        ),
    }
}

fn named(lists: &NetworkLists, name: &str) -> Option<Rc<NetworkList>> {
    let json = Json::parse(format!("\"{name}\"").as_bytes(), 1).unwrap();
    lists.read_name(&Node::root(&json), &mut Problems::default())
}

fn at(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn address(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn lists_of_the_document_are_always_there() {
    let (lists, problems) = lists(
        r#"{"office": {"addresses": ["203.0.113.0/24", "2001:db8::/32", "::ffff:192.0.2.1"]}}"#,
    );
    assert!(problems.is_empty(), "{problems:?}");
    let lists = lists.unwrap();
    let office = named(&lists, "office").unwrap();
    for (client, expected) in [
        ("203.0.113.9", Membership::In),
        ("::ffff:203.0.113.9", Membership::In),
        ("203.0.114.9", Membership::Out),
        ("192.0.2.1", Membership::In),
        ("2001:db8::1", Membership::In),
        ("2001:db9::1", Membership::Out),
    ] {
        assert_eq!(
            office.contains(address(client), at(0)),
            expected,
            "{client}"
        );
    }
    assert!(named(&lists, "other").is_none());
}

#[test]
fn what_is_wrong_has_a_place_and_a_cure() {
    for (written, expected) in [
        (
            r#"{"a": {"addresses": ["192.0.2.1/24"]}}"#,
            "/a/addresses/0: has bits set behind its prefix: write \"192.0.2.0/24\" for the network, or \"192.0.2.1\" for the one address",
        ),
        (
            r#"{"a": {"addresses": ["10.0.0.0/33"]}}"#,
            "/a/addresses/0: is no address and no network: write \"192.0.2.1\", \"192.0.2.0/24\" or \"2001:db8::/32\"",
        ),
        (
            r#"{"a": {}}"#,
            "/a: has no networks; add `addresses` or `remote`",
        ),
        (
            r#"{"a": {"addresses": ["::1"], "remote": {}}}"#,
            "/a/remote: cannot stand beside `addresses`; keep one of them, or make two lists",
        ),
        (
            r#"{"a-b": {"addresses": ["::1"]}, "a_b": {"addresses": ["::2"]}}"#,
            "/a_b: in names of metrics this is \"a_b\", and so is network list \"a-b\"; let their names differ in letters or digits",
        ),
    ] {
        let (_, problems) = lists(written);
        assert_eq!(problems, [expected], "{written}");
    }
}

#[test]
fn a_list_that_is_not_there_knows_nothing() {
    let (lists, problems) = lists(
        r#"{"blocked": {"remote": {"cluster": "lists", "uri": "https://lists.example/blocked", "max_stale": "100s"}}}"#,
    );
    assert!(problems.is_empty(), "{problems:?}");
    let lists = lists.unwrap();
    let (blocked, host) = (named(&lists, "blocked").unwrap(), MemoryHost::new());
    let known = |client: &str, now| blocked.contains(address(client), at(now));
    assert_eq!(known("192.0.2.1", 0), Membership::Unknown);
    let list::NetworkSource::Fetched(fetched) = &blocked.networks else {
        panic!("it is fetched");
    };
    let arrive = |now, body: &str| {
        let mut headers = Headers::default();
        headers.push(b":status", b"200");
        let response = WholeResponse::of(headers, body.as_bytes());
        fetched
            .received(at(now), Purpose::default(), response, &host)
            .unwrap()
    };
    arrive(10, r#"{"networks": ["192.0.2.0/24", "2001:db8::1"]}"#);
    assert_eq!(known("192.0.2.1", 10), Membership::In);
    assert_eq!(known("192.0.3.1", 10), Membership::Out);
    // One network that cannot be read would be missing: the list before stays.
    for wrong in [
        r#"{"networks": ["198.51.100.0/24", "192.0.2.1/24"]}"#,
        r#"{"networks": ["198.51.100.0/24", 7]}"#,
        r#"{"networks": ["198.51.100.0/24",]}"#,
        r#"{"networks": ["198.51.100.0/24"], "more": 1}"#,
        r#"["198.51.100.0/24"]"#,
    ] {
        arrive(20, wrong);
        assert_eq!(known("192.0.2.1", 20), Membership::In, "{wrong}");
        assert_eq!(known("198.51.100.1", 20), Membership::Out, "{wrong}");
    }
    assert_eq!(known("192.0.2.1", 110), Membership::In);
    assert_eq!(known("192.0.2.1", 111), Membership::Unknown);
    assert_eq!(known("192.0.3.1", 111), Membership::Unknown);
    arrive(120, r#"{"networks": []}"#);
    assert_eq!(known("192.0.2.1", 120), Membership::Out);
}
