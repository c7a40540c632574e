use std::time::Duration;

use super::*;
use portcullis_document::Node;
use portcullis_exchange::call::CallResponse;
use portcullis_exchange::fetched::{Fetched, Next, Purpose, Received};
use portcullis_exchange::host::Clock as _;
use portcullis_exchange::section::{Reading, Section, Sections};
use portcullis_memory_host::MemoryHost;
use portcullis_wire::headers::Headers;
use portcullis_wire::json::Json;

use super::list::Entries;

fn lists(text: &str) -> RevocationLists {
    let json = Json::parse(text.as_bytes(), 8).unwrap();
    let mut problems = Problems::default();
    let mut reading = Reading {
        known: &Sections::default(),
        notes: &mut Vec::new(),
        problems: &mut problems,
    };
    let read = RevocationLists::read(&Node::root(&json), &mut reading);
    problems.into_result(read).unwrap()
}

fn used(lists: &RevocationLists) -> UsedLists {
    let names: Vec<String> = lists
        .by_name
        .names()
        .map(|name| format!("\"{name}\""))
        .collect();
    let text = format!(r#"{{"revocation_lists":[{}]}}"#, names.join(","));
    let json = Json::parse(text.as_bytes(), 8).unwrap();
    let mut problems = Problems::default();
    let mut fields = Node::root(&json).fields(&mut problems).unwrap();
    let used = UsedLists::read(&mut fields, lists, &mut problems);
    problems.into_result(used).unwrap()
}

/// A list that is fetched.
fn fetched(more: &str) -> RevocationLists {
    lists(&format!(
        r#"{{"l":{{"remote":{{"cluster":"c","uri":"https://a.example/l","max_stale":"100s","max_entries":10}}{more}}}}}"#
    ))
}

/// What comes of an answer with that status and body.
fn arrive(lists: &RevocationLists, status: &str, body: &str, host: &MemoryHost) -> Received {
    let list = lists.by_name.valid().next().unwrap();
    let Entries::Fetched(fetched) = &list.entries else {
        panic!("{list:?}");
    };
    let mut headers = Headers::default();
    headers.push(b":status", status.as_bytes());
    let response = CallResponse {
        headers: &headers,
        body: body.as_bytes(),
    };
    fetched.received(host.monotonic(), Purpose::default(), Ok(response), host)
}

/// What a list says of a credential: nothing, the claim and the fault, or that it is not there.
fn said(used: &UsedLists, credential: &Revocable<'_>, host: &MemoryHost) -> String {
    match used.check(credential, host) {
        Ok(()) => String::new(),
        Err(RevocationObjection::Missing(_)) => "missing".to_owned(),
        Err(RevocationObjection::Revoked(detail)) => {
            let words = detail.facts().iter().filter_map(|(_, fact)| match fact {
                Fact::Word(word) => Some(*word),
                _ => None,
            });
            words.collect::<Vec<_>>().join(" ")
        }
    }
}

fn subject(name: &str) -> Revocable<'_> {
    Revocable {
        subject: Some(name),
        ..Revocable::default()
    }
}

#[test]
fn each_kind_of_name_revokes() {
    let hash = "ab".repeat(32);
    let lists = lists(&format!(
        r#"{{"a":{{"entries":[{{"jti":"t"}},{{"sub":"s"}},{{"client":"c"}},{{"key_id":"k"}}]}},
            "b":{{"entries":[{{"certificate":"{hash}"}},{{"sub":"later","issued_before":100}}]}}}}"#
    ));
    let (used, host) = (used(&lists), MemoryHost::new());
    let upper = hash.to_uppercase();
    let token = |issued| Revocable {
        issued,
        ..subject("later")
    };
    for (credential, expected) in [
        (Revocable::default(), ""),
        (subject("s"), "sub listed"),
        (subject("t"), ""),
        (
            Revocable {
                token: Some("t"),
                ..Revocable::default()
            },
            "jti listed",
        ),
        (
            Revocable {
                clients: [None, Some("c")],
                ..Revocable::default()
            },
            "client listed",
        ),
        (
            Revocable {
                api_key: Some("k"),
                ..Revocable::default()
            },
            "key_id listed",
        ),
        (
            Revocable {
                certificate: Some(&upper),
                ..Revocable::default()
            },
            "certificate listed",
        ),
        (subject("later"), ""),
        (token(Issued::At(100.0)), ""),
        (token(Issued::At(99.5)), "sub listed"),
        (token(Issued::Unsaid), "sub listed"),
    ] {
        assert_eq!(said(&used, &credential, &host), expected, "{credential:?}");
    }
}

#[test]
fn times_and_signing_keys_are_those_of_tokens() {
    let lists = lists(r#"{"a":{"entries":[{"issued_before":100},{"kid":"old"}]}}"#);
    let (used, host) = (used(&lists), MemoryHost::new());
    let token = |key: Option<&'static str>, issued| Revocable {
        signed_by: match (key, issued) {
            (Some(key), _) => SignedBy::Key(key),
            (None, Issued::NoToken) => SignedBy::Nobody,
            (None, _) => SignedBy::Unnamed,
        },
        issued,
        ..Revocable::default()
    };
    for (credential, expected) in [
        (token(None, Issued::NoToken), ""),
        (token(Some("new"), Issued::At(100.0)), ""),
        (token(Some("old"), Issued::At(100.0)), "kid listed"),
        (token(None, Issued::At(100.0)), "kid missing"),
        (token(Some("new"), Issued::At(99.0)), "iat too_old"),
        (token(Some("new"), Issued::Unsaid), "iat missing"),
    ] {
        assert_eq!(said(&used, &credential, &host), expected, "{credential:?}");
    }
}

#[test]
fn a_list_that_is_not_there_refuses() {
    let (lists, host) = (fetched(""), MemoryHost::new());
    let used = used(&lists);
    assert_eq!(used.generation(&host), None);
    assert_eq!(said(&used, &subject("a"), &host), "missing");
    let received = arrive(&lists, "200", r#"{"revoked":[{"sub":"b"}]}"#, &host);
    assert_eq!(received.event, Event::RevocationsFetched);
    let first = used.generation(&host);
    assert_eq!(said(&used, &subject("a"), &host), "");
    assert_eq!(said(&used, &subject("b"), &host), "sub listed");
    host.advance(Duration::from_secs(100));
    assert_eq!(used.generation(&host), first);
    host.advance(Duration::from_secs(1));
    assert_eq!(used.generation(&host), None, "too old");
    assert_eq!(said(&used, &subject("a"), &host), "missing");
    // The same again is no change, another is.
    arrive(&lists, "200", r#"{"revoked":[{"sub":"b"}]}"#, &host);
    assert_eq!(used.generation(&host), first);
    arrive(&lists, "200", r#"{"revoked":[]}"#, &host);
    assert_ne!(used.generation(&host), first);
    assert_eq!(said(&used, &subject("b"), &host), "");
}

#[test]
fn where_the_document_says_so_the_last_one_is_enough() {
    let (lists, host) = (fetched(r#","on_error":"allow""#), MemoryHost::new());
    let used = used(&lists);
    assert_eq!(said(&used, &subject("b"), &host), "");
    assert_eq!(used.generation(&host), None, "it has to be asked");
    arrive(&lists, "200", r#"{"revoked":[{"sub":"b"}]}"#, &host);
    assert_eq!(said(&used, &subject("b"), &host), "sub listed");
    host.advance(Duration::from_secs(101));
    assert_eq!(used.generation(&host), None);
    assert_eq!(said(&used, &subject("b"), &host), "sub listed");
    assert_eq!(said(&used, &subject("a"), &host), "");
}

/// An entry that is passed over would be one that is not in force.
#[test]
fn one_entry_that_cannot_be_read_spoils_the_answer() {
    let (lists, host) = (fetched(""), MemoryHost::new());
    let used = used(&lists);
    arrive(&lists, "200", r#"{"revoked":[{"sub":"b"}]}"#, &host);
    let all: Vec<String> = (0..11).map(|n| format!(r#"{{"sub":"{n}"}}"#)).collect();
    let all = format!(r#"{{"revoked":[{}]}}"#, all.join(","));
    for (body, told) in [
        (
            r#"{"revoked":[{"sub":"a"},{"subject":"c"}]}"#,
            "a list of which entry 2 cannot be used",
        ),
        (r#"{"revoked":[{"sub":"a"}"#, "an answer that is not"),
        (r#"{"keys":[]}"#, "an answer that is not {\"revoked\": […]}"),
        (&all, "more than 10 entries, which is `max_entries`"),
    ] {
        let received = arrive(&lists, "200", body, &host);
        assert_eq!(received.event, Event::RevocationsFetchFailed);
        assert!(matches!(received.next, Next::Wait(_)));
        let [note] = &received.notes[..] else {
            panic!("{body}: {:?}", received.notes);
        };
        assert!(note.text.contains(told), "{}", note.text);
        assert_eq!(said(&used, &subject("b"), &host), "sub listed");
        assert_eq!(said(&used, &subject("a"), &host), "");
    }
}

/// The length that the reference states.
#[test]
fn a_hundred_thousand_entries_are_read() {
    use super::table::MOST_ENTRIES;
    use crate::authn::item_list::{MostItems, read_list};

    let entries: Vec<String> = (0..MOST_ENTRIES)
        .map(|n| format!(r#"{{"jti":"6f1c7a52-8f0e-4d5c-9b1a-{n:012}"}}"#))
        .collect();
    let body = format!(r#"{{"revoked":[{}]}}"#, entries.join(","));
    let most = MostItems(MOST_ENTRIES);
    assert!(
        body.len() < most.body::<RevocationTable>(),
        "{}",
        body.len()
    );
    let table: RevocationTable = read_list(body.as_bytes(), most, &mut Vec::new()).unwrap();
    assert_eq!(table.len(), MOST_ENTRIES);
    assert!(table.memory() < most.memory::<RevocationTable>());
}
