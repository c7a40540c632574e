use super::*;
use portcullis_wire::json::Json;

const SET: &[u8] = br#"{"keys":[
    {"kty":"OKP","crv":"Ed25519","kid":"a","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"},
    {"kty":"oct","k":"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA"},
    {"kty":"XYZ"}, {"kty":"RSA","n":"AA","e":"AQAB"}, 7
]}"#;
const OTHER: &[u8] = br#"{"keys":[
    {"kty":"OKP","crv":"Ed25519","kid":"b","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}
]}"#;

fn at(seconds: u64) -> Duration {
    Duration::from_secs(1_000_000 + seconds)
}

fn remote() -> RemoteKeys {
    let text = br#"{"cluster":"idp","uri":"https://id.example.com/jwks","cache_duration":"100s","max_stale":"1000s","cooldown":"10s"}"#;
    let json = Json::parse(text, 4).unwrap();
    let mut problems = Problems::default();
    let remote = RemoteKeys::read(&"corp".into(), &Node::root(&json), &mut problems);
    problems.into_result(remote).unwrap()
}

/// The record to share, or why there is none and how long to wait.
fn arrive(
    remote: &RemoteKeys,
    second: u64,
    response: Result<(&[u8], Option<Duration>), FetchError>,
) -> Result<Vec<u8>, (FetchError, Duration)> {
    let settled = remote.on_response(at(second), FetchTarget::KeySet, response);
    match (settled.outcome, settled.next) {
        (Ok(()), Next::Share(record)) => Ok(record),
        (Err(error), Next::Wait(pause)) => Err((error, pause)),
        other => panic!("keys are followed by {other:?}"),
    }
}

#[test]
fn a_bad_answer_harms_no_key() {
    let remote = remote();
    assert!(remote.due(at(0)) && remote.keys(at(0)).is_none());
    assert!(arrive(&remote, 0, Ok((SET, None))).is_ok());
    let generation = remote.generation();
    for (second, bad) in [
        (200, Ok((&b"x"[..], None))),
        (300, Err(FetchError::NoAnswer(NoAnswer::Status(500)))),
    ] {
        assert!(remote.due(at(second)));
        assert!(arrive(&remote, second, bad).is_err());
        assert_eq!(remote.keys(at(second)).unwrap().len(), 1);
        assert!(!remote.due(at(second)), "no pause after a failure");
    }
    assert_eq!(remote.generation(), generation);
    assert!(remote.keys(at(1000)).is_some());
    assert!(remote.keys(at(1001)).is_none(), "keys are used for ever");
}

#[test]
fn pauses_grow_and_have_a_limit() {
    let remote = remote();
    for failure in 0..40_u32 {
        let at = u64::from(failure) * 100;
        let (_, pause) = arrive(
            &remote,
            at,
            Err(FetchError::NoAnswer(NoAnswer::Unreachable)),
        )
        .unwrap_err();
        // Up to a quarter early.
        let whole = Duration::from_secs(1 << failure.min(6)).min(Duration::from_secs(60));
        let range = whole.mul_f64(0.75)..=whole;
        assert!(range.contains(&pause), "{failure}: {pause:?}");
    }
}

#[test]
fn cache_control_is_honoured_within_bounds() {
    for (max_age, from, to) in [
        (None, 75, 100),
        (Some(50), 37, 50),
        (Some(1), 7, 10),
        (Some(9999), 75, 100),
    ] {
        let remote = remote();
        let max_age = max_age.map(Duration::from_secs);
        assert!(arrive(&remote, 0, Ok((SET, max_age))).is_ok());
        assert!(!remote.due(at(from - 1)), "{max_age:?}");
        assert!(remote.due(at(to)), "{max_age:?}");
    }
}

#[test]
fn an_unknown_key_asks_once_in_a_cool_down() {
    let remote = remote();
    assert!(arrive(&remote, 0, Ok((SET, None))).is_ok());
    remote.request_refresh(at(1));
    assert!(remote.due(at(1)));
    assert!(arrive(&remote, 1, Ok((SET, None))).is_ok());
    for second in 2..11 {
        remote.request_refresh(at(second));
        assert!(!remote.due(at(second)), "second {second}");
    }
    remote.request_refresh(at(11));
    assert!(remote.due(at(11)));
}

#[test]
fn records_carry_keys_to_other_workers() {
    let (one, other) = (remote(), remote());
    let first = arrive(&one, 0, Ok((SET, None))).unwrap();
    assert!(other.adopt(&first, at(1)));
    assert!(!other.due(at(1)) && other.keys(at(1)).is_some());
    assert!(!other.adopt(&first, at(2)), "the same again");
    let second = arrive(&one, 50, Ok((OTHER, None))).unwrap();
    let generation = other.generation();
    assert!(other.adopt(&second, at(50)));
    assert_ne!(other.generation(), generation);
    assert!(!other.adopt(&first, at(51)), "an older one");
    let future = arrive(&remote(), 9999, Ok((SET, None))).unwrap();
    assert!(!other.adopt(&future, at(52)), "one from the future");
    for junk in [
        &b""[..],
        b"\x01",
        b"\x01aaaaaaaabbbbbbbb{}",
        b"\x02aaaaaaaabbbbbbbbcccccccc\0\0{}",
        b"\x02aaaaaaaabbbbbbbbcccccccc\xff\xff{}",
    ] {
        assert!(!remote().adopt(junk, at(0)), "{junk:?}");
    }
}

const ISSUER: &str = "https://id.example.com/t";

fn discovering(cluster: &str) -> RemoteKeys {
    let text = format!(
        r#"{{"cluster":"idp",{cluster}"cache_duration":"100s","max_stale":"1000s","cooldown":"10s"}}"#
    );
    let json = Json::parse(text.as_bytes(), 4).unwrap();
    let mut problems = Problems::default();
    let accepted = Accepted::OneOf(vec![ISSUER.to_owned()]);
    let remote = RemoteKeys::read_discovery(
        &"corp".into(),
        &Node::root(&json),
        Some(&accepted),
        &mut Vec::new(),
        &mut problems,
    );
    problems.into_result(remote).unwrap()
}

fn document(uri: &str) -> String {
    format!(r#"{{"issuer":"{ISSUER}","jwks_uri":"{uri}"}}"#)
}

/// What is asked: the first letter of its subject, the cluster and the address.
fn asked(request: &FetchRequest) -> String {
    let FetchRequest {
        subject,
        cluster,
        uri,
        ..
    } = request;
    format!("{subject:?} {cluster} {uri}")
}

fn asks(settled: &FetchOutcome) -> String {
    match &settled.next {
        Next::Ask(request) => asked(request),
        next => format!("{next:?}"),
    }
}

const DOCUMENT: &str = "Discovery idp https://id.example.com/t/.well-known/openid-configuration";

#[test]
fn keys_are_asked_for_where_the_document_says() {
    for (cluster, uri, then) in [
        (
            "",
            "https://id.example.com/keys",
            "KeySet idp https://id.example.com/keys",
        ),
        (
            r#""jwks_cluster":"cdn","#,
            "https://keys.example.net/k",
            "KeySet cdn https://keys.example.net/k",
        ),
        (
            r#""jwks_cluster":"cdn","#,
            "https://id.example.com/keys",
            "KeySet cdn https://id.example.com/keys",
        ),
    ] {
        let remote = discovering(cluster);
        assert_eq!(asked(&remote.first_request(at(0))), DOCUMENT);
        let body = document(uri);
        let settled =
            remote.on_response(at(0), FetchTarget::Discovery, Ok((body.as_bytes(), None)));
        assert_eq!(settled.outcome, Ok(()));
        assert_eq!(settled.moved.as_ref().unwrap().to_string(), uri);
        assert_eq!(asks(&settled), then);
        assert!(arrive(&remote, 1, Ok((SET, None))).is_ok());
        // The next fetch knows where the keys are, and one after that asks anew.
        remote.request_refresh(at(50));
        assert_eq!(asked(&remote.first_request(at(50))), then);
        assert_eq!(asked(&remote.first_request(at(100))), DOCUMENT);
        let again =
            remote.on_response(at(100), FetchTarget::Discovery, Ok((body.as_bytes(), None)));
        assert_eq!((again.moved, again.outcome), (None, Ok(())));
    }
}

#[test]
fn a_bad_document_harms_no_keys() {
    let remote = discovering("");
    let other_host = document("https://evil.example/keys");
    let other_issuer = document("https://id.example.com/keys").replace("/t", "/u");
    type Body<'b> = (&'b [u8], Option<Duration>);
    let bad: [Result<Body<'_>, FetchError>; 4] = [
        Err(FetchError::NoAnswer(NoAnswer::Status(500))),
        Ok((b"<html>", None)),
        Ok((other_host.as_bytes(), None)),
        Ok((other_issuer.as_bytes(), None)),
    ];
    for response in bad {
        let settled = remote.on_response(at(0), FetchTarget::Discovery, response);
        assert!(settled.outcome.is_err() && settled.moved.is_none());
        assert!(matches!(settled.next, Next::Wait(_)), "{settled:?}");
        assert!(!remote.due(at(0)));
    }
    let good = document("https://id.example.com/keys");
    let settled = remote.on_response(at(100), FetchTarget::Discovery, Ok((good.as_bytes(), None)));
    let keys = asks(&settled);
    assert!(arrive(&remote, 100, Ok((SET, None))).is_ok());
    for response in bad {
        // Where they were before, keys are asked for all the same.
        let settled = remote.on_response(at(300), FetchTarget::Discovery, response);
        assert!(settled.outcome.is_err() && settled.moved.is_none());
        assert_eq!(asks(&settled), keys);
        assert!(remote.keys(at(300)).is_some());
    }
}

/// When the proxy's side sees that a fetch is due.
fn first_tick(remote: &RemoteKeys, from: u64) -> Duration {
    let mut tick = at(from);
    while !remote.due(tick) {
        tick += Duration::from_millis(250);
    }
    tick
}

#[test]
fn keys_that_are_not_there_are_looked_for_anew() {
    let remote = discovering("");
    let body = document("https://id.example.com/keys");
    let found = |second| {
        let age = Some(Duration::from_secs(100));
        remote.on_response(
            at(second),
            FetchTarget::Discovery,
            Ok((body.as_bytes(), age)),
        )
    };
    found(0);
    assert!(arrive(&remote, 0, Ok((SET, Some(Duration::from_secs(10))))).is_ok());
    assert!(asked(&remote.first_request(first_tick(&remote, 0))).starts_with("KeySet"));
    assert!(
        arrive(
            &remote,
            10,
            Err(FetchError::NoAnswer(NoAnswer::Status(404)))
        )
        .is_err()
    );
    assert_eq!(asked(&remote.first_request(at(12))), DOCUMENT);
    // Another worker does not know of the failure; that nobody has brought keys in time tells it.
    let other = discovering("");
    found(20);
    let record = arrive(&remote, 20, Ok((OTHER, Some(Duration::from_secs(10))))).unwrap();
    assert!(other.adopt(&record, at(20)));
    let next = first_tick(&other, 20);
    assert!(
        asked(&other.first_request(next)).starts_with("KeySet"),
        "at once"
    );
    let late = next + Duration::from_secs(1);
    assert_eq!(asked(&other.first_request(late)), DOCUMENT, "too late");
}

#[test]
fn a_record_does_not_lead_to_another_host() {
    let (lenient, strict) = (discovering(r#""jwks_cluster":"cdn","#), discovering(""));
    let body = document("https://evil.example/keys");
    lenient.on_response(at(0), FetchTarget::Discovery, Ok((body.as_bytes(), None)));
    let record = arrive(&lenient, 0, Ok((SET, None))).unwrap();
    assert!(strict.adopt(&record, at(0)));
    assert_eq!(asked(&strict.first_request(at(1))), DOCUMENT);
}

#[test]
fn a_document_that_is_replaced_takes_up_what_its_successor_fetches() {
    let (old, new) = (remote(), remote());
    let record = arrive(&old, 0, Ok((SET, None))).unwrap();
    assert!(new.adopt(&record, at(1)));
    let (kept, taken) = (old.keys(at(1)).unwrap(), new.keys(at(1)).unwrap());
    assert!(Rc::ptr_eq(&kept, &taken), "one set is held twice");
    old.release();
    assert!(!old.due(at(101)) && new.due(at(101)));
    let record = arrive(&new, 101, Ok((OTHER, None))).unwrap();
    assert!(old.adopt(&record, at(102)));
    assert_eq!(old.keys(at(102)).unwrap()[0].id.as_deref(), Some("b"));
    old.request_refresh(at(103));
    assert!(old.due(at(103)), "the other may see no token of a new key");
    let record = arrive(&new, 103, Ok((SET, None))).unwrap();
    assert!(old.adopt(&record, at(103)) && !old.due(at(103)));
    assert!(!old.due(at(204)));
    assert!(old.due(at(264)), "what the other fetches is not found here");
    assert!(old.adopt(&arrive(&new, 990, Ok((OTHER, None))).unwrap(), at(990)));
    assert!(!old.due(at(1000)));
    drop(new);
    assert!(old.due(at(1091)), "nobody fetches them any more");
}

/// Names for a source with these fields beside cluster and address.
fn names(more: &str, value: &str) -> CellNames {
    let text = format!(r#"{{"cluster":"idp","uri":"https://id.example.com/jwks"{more}}}"#);
    let json = Json::parse(text.as_bytes(), 4).unwrap();
    let mut problems = Problems::default();
    let remote = RemoteKeys::read(&"corp".into(), &Node::root(&json), &mut problems);
    let remote = problems.into_result(remote).unwrap();
    remote.source.names(|_| Some(value.to_owned()))
}

#[test]
fn workers_share_with_those_who_ask_for_the_same_and_take_turns_with_those_who_ask_as_often() {
    let plain = names("", "");
    assert_eq!(plain, names(r#","cooldown":"30s""#, ""), "the default");
    for limit in [
        r#","cooldown":"31s""#,
        r#","cache_duration":"1h""#,
        r#","max_stale":"1h""#,
        r#","timeout":"6s""#,
    ] {
        let other = names(limit, "");
        assert_eq!(other.keys, plain.keys, "{limit}");
        assert_ne!(other.lease, plain.lease, "{limit}");
    }
    let header = r#","headers":{"authorization":{"env":"A"}}"#;
    let asked = names(header, "Bearer one");
    assert_eq!(asked, names(header, "Bearer one"));
    for other in [
        plain,
        names(header, "Bearer two"),
        names(
            r#","headers":{"x-authorization":{"env":"A"}}"#,
            "Bearer one",
        ),
    ] {
        assert_ne!(other.keys, asked.keys);
        assert_ne!(other.lease, asked.lease);
    }
}

#[test]
fn a_record_of_somebody_who_asks_seldom_puts_nothing_off() {
    let seldom = br#"{"cluster":"idp","uri":"https://id.example.com/jwks","cache_duration":"24h"}"#;
    let json = Json::parse(seldom, 4).unwrap();
    let mut problems = Problems::default();
    let seldom = RemoteKeys::read(&"corp".into(), &Node::root(&json), &mut problems);
    let seldom = problems.into_result(seldom).unwrap();
    let record = arrive(&seldom, 0, Ok((SET, None))).unwrap();
    let often = remote();
    assert!(often.adopt(&record, at(1)));
    assert!(!seldom.due(at(101)) && often.due(at(101)));
}
