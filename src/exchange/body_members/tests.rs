use super::*;
use crate::condition::{ACCESS, Condition, Undecidable, View};
use crate::exchange::Request;
use crate::target::{Authority, Target};
use portcullis_document::{Node, Problems};
use portcullis_wire::effort::Effort;
use portcullis_wire::json::Json;

fn condition(text: &str) -> Condition {
    let json = Json::parse(text.as_bytes(), 8).unwrap();
    let mut problems = Problems::default();
    let condition = Condition::read(&Node::root(&json), &ACCESS, &mut problems);
    problems.into_result(condition).unwrap()
}

/// What a condition comes to for a body, in one and in pieces of any size.
fn judged(written: &str, body: &str) -> Result<bool, Undecidable> {
    let condition = condition(written);
    let plan = BodyPlan::of(std::iter::once(&condition), 1 << 20).unwrap();
    let whole = holds(&condition, &plan.members_of(body.as_bytes()));
    // A string is read again until it ends.
    for step in [1, 2, 7].map(|step| step.max(body.len() / 100)) {
        assert_eq!(
            holds(&condition, &in_pieces(&plan, body.as_bytes(), step)),
            whole,
            "{body}"
        );
    }
    whole
}

fn in_pieces(plan: &BodyPlan, body: &[u8], step: usize) -> BodyMembers {
    let (mut gate, mut done) = (Pieces::new(LIMITS), 0);
    let mut collector = Collector::new(&plan.tree).unwrap();
    for end in (0..body.len()).step_by(step) {
        match gate.more(&body[done..end], &mut collector) {
            Ok(more) => done += more,
            Err(fault) => return BodyMembers::unreadable(unreadable(fault)),
        }
    }
    match gate.last(&body[done..], &mut collector) {
        Ok(()) => collector.into_members(),
        Err(fault) => BodyMembers::unreadable(unreadable(fault)),
    }
}

fn holds(condition: &Condition, members: &BodyMembers) -> Result<bool, Undecidable> {
    let headers = Headers::default();
    let request = Request {
        headers: &headers,
        authority: &Authority::default(),
        target: &Target::parse(b"/").unwrap(),
        effort: &Effort::new(100_000),
    };
    condition.holds(&View::new(&request).with_body(Some(members)))
}

#[test]
fn members_are_taken_out_by_their_pointers() {
    for (condition, body, expected) in [
        (
            r#"{"body": "/tenant", "exact": "acme"}"#,
            r#"{"tenant":"acme"}"#,
            true,
        ),
        (
            r#"{"body": "/tenant", "exact": "acme"}"#,
            r#"{"a":1,"tenant":"beta"}"#,
            false,
        ),
        (
            r#"{"body": "/tenant", "exact": "acme"}"#,
            r#"{"\u0074enant":"\u0061cme"}"#,
            true,
        ),
        (
            r#"{"body": "/tenant", "exact": "acme"}"#,
            r#"{"x":{"tenant":"acme"}}"#,
            false,
        ),
        (
            r#"{"body": "/tenant", "exists": true}"#,
            r#"{"x":[{"tenant":"acme"}]}"#,
            false,
        ),
        (
            r#"{"body": "/a/b", "exact": 7}"#,
            r#"{"a":{"b":7.0}}"#,
            true,
        ),
        (
            r#"{"body": "/a/b", "exists": false}"#,
            r#"{"a":null}"#,
            true,
        ),
        (r#"{"body": "/a/b", "exists": false}"#, r#"{"a":{}}"#, true),
        (
            r#"{"body": "/a/1/c", "exact": true}"#,
            r#"{"a":[0,{"c":true}]}"#,
            true,
        ),
        (
            r#"{"body": "/a/1", "exact": "y"}"#,
            r#"{"a":[[],"y",{}]}"#,
            true,
        ),
        (
            r#"{"body": "/a/1", "exact": "y"}"#,
            r#"{"a":{"1":"y"}}"#,
            true,
        ),
        (
            r#"{"body": "/a", "includes": "y"}"#,
            r#"{"a":["x",{"z":[1]},[2],"y"]}"#,
            true,
        ),
        (
            r#"{"body": "/a", "includes": "z"}"#,
            r#"{"a":["x",null,"y"]}"#,
            false,
        ),
        (
            r#"{"body": "/a", "exists": true}"#,
            r#"{"a":{"b":{"c":[1,2]}}}"#,
            true,
        ),
        (r#"{"body": "/a~1b", "exact": "x"}"#, r#"{"a/b":"x"}"#, true),
        (
            r#"{"body": "/a", "range": {"minimum": 3}}"#,
            r#"{"a":1e3}"#,
            true,
        ),
        (
            r#"{"not": {"body": "/a", "exact": "x"}}"#,
            r#"{"a":"y"}"#,
            true,
        ),
        (
            r#"{"body": "/a", "exact": {"body": "/b/0"}}"#,
            r#"{"a":"y","b":["y"]}"#,
            true,
        ),
        (
            r#"{"body": "/b", "includes": {"body": "/b/0"}}"#,
            r#"{"b":["y","z"]}"#,
            true,
        ),
    ] {
        assert_eq!(judged(condition, body), Ok(expected), "{condition} {body}");
    }
}

#[test]
fn what_two_services_may_read_differently_is_neither() {
    use BodyFault::{Ambiguous, Malformed, Number, TooLarge};
    let tenant = r#"{"body": "/tenant", "exact": "acme"}"#;
    let large = format!(r#"{{"tenant":"{}"}}"#, "x".repeat(70_000));
    let body = |fault| Err(Undecidable::Body(fault));
    for (condition, text, expected) in [
        (tenant, r#"{"tenant":"acme","tenant":"b"}"#, body(Malformed)),
        (
            tenant,
            r#"{"tenant":"acme","x":{"a":1,"a":2}}"#,
            body(Malformed),
        ),
        (tenant, r#"{"tenant":"acme"} x"#, body(Malformed)),
        (tenant, r#"{"tenant":"acme""#, body(Malformed)),
        (tenant, "{\"tenant\":\"\u{1}\"}", body(Malformed)),
        (tenant, r#"{"tenant":"acme","Tenant":"b"}"#, body(Ambiguous)),
        (tenant, r#"{"TENANT":"acme"}"#, body(Ambiguous)),
        (tenant, "{\"\u{17f}x\":1,\"tenant\":\"acme\"}", Ok(true)),
        (tenant, r#"[{"tenant":"acme"}]"#, body(Ambiguous)),
        (tenant, r#"[]"#, body(Ambiguous)),
        (tenant, r#""acme""#, body(Ambiguous)),
        (tenant, "null", Ok(false)),
        (tenant, &large, body(TooLarge)),
        (tenant, r#"{"tenant":["acme"]}"#, Err(Undecidable::Kind)),
        (tenant, r#"{"tenant":7}"#, Err(Undecidable::Kind)),
        (tenant, r#"{"tenant":null}"#, Ok(false)),
        (
            r#"{"body": "/a/s", "exists": true}"#,
            "{\"a\":{\"\u{17f}\":1}}",
            body(Ambiguous),
        ),
        (
            r#"{"body": "/a/s", "exists": true}"#,
            r#"{"a":"s"}"#,
            body(Ambiguous),
        ),
        (
            r#"{"body": "/a/0", "exists": true}"#,
            r#"{"a":[]}"#,
            Ok(false),
        ),
        (
            r#"{"body": "/a", "exact": 1}"#,
            r#"{"a":9007199254740993}"#,
            body(Number),
        ),
        (
            r#"{"body": "/a", "exact": 1}"#,
            r#"{"a":1e300}"#,
            body(Number),
        ),
        (
            r#"{"body": "/a", "includes": 1}"#,
            r#"{"a":[1,1e300]}"#,
            body(Number),
        ),
        (
            r#"{"body": "/a", "exact": 1}"#,
            r#"{"a":1.00000000000000000001}"#,
            body(Number),
        ),
        (
            r#"{"body": "/a", "includes": "z"}"#,
            r#"{"a":["x",["z"]]}"#,
            Err(Undecidable::Kind),
        ),
        (
            r#"{"body": "/a", "range": {"minimum": 1}}"#,
            r#"{"a":"7"}"#,
            Err(Undecidable::Kind),
        ),
    ] {
        assert_eq!(judged(condition, text), expected, "{condition} {text}");
    }
}

#[test]
fn heads_say_whether_there_is_a_body_to_be_read() {
    let asked = condition(r#"{"body": "/a", "exists": true}"#);
    let plan = BodyPlan::of(std::iter::once(&asked), 100).unwrap();
    let ahead = |fields: &[(&str, &str)], state, inspection| {
        let mut headers = Headers::default();
        for (name, value) in fields {
            headers.push(name.as_bytes(), value.as_bytes());
        }
        match plan.ahead(&headers, state, inspection) {
            BodyAhead::Comes => Ok(None),
            BodyAhead::Known(members) => holds(&asked, &members).map(Some),
        }
    };
    let fault = |fault| Err(Undecidable::Body(fault));
    let json = ("content-type", "application/json");
    let long = ("content-length", "7");
    let stream = Inspection::Stream;
    assert_eq!(ahead(&[json], BodyState::Open, stream), Ok(None));
    assert_eq!(ahead(&[], BodyState::Open, stream), Ok(None));
    assert_eq!(ahead(&[json], BodyState::Complete, stream), Ok(Some(false)));
    for (fields, expected) in [
        (&[long][..], BodyFault::Type),
        (&[long, ("content-type", "text/plain")], BodyFault::Type),
        (&[long, json, json], BodyFault::Type),
        (
            &[long, ("content-type", "application/json; charset=utf-16")],
            BodyFault::Type,
        ),
        (
            &[long, json, ("content-encoding", "gzip")],
            BodyFault::Encoding,
        ),
        (
            &[json, ("connection", "upgrade"), ("upgrade", "x")],
            BodyFault::Upgrade,
        ),
    ] {
        assert_eq!(
            ahead(fields, BodyState::Open, stream),
            fault(expected),
            "{fields:?}"
        );
    }
    let expect = [json, ("expect", "100-continue")];
    let held = ahead(&expect, BodyState::Open, Inspection::HoldHeaders);
    assert_eq!(held, fault(BodyFault::Expect));
    assert_eq!(ahead(&expect, BodyState::Open, stream), Ok(None));
}

#[test]
fn a_body_that_has_not_come_is_not_decided() {
    let asked = condition(r#"{"body": "/a", "exists": true}"#);
    let headers = Headers::default();
    let request = Request {
        headers: &headers,
        authority: &Authority::default(),
        target: &Target::parse(b"/").unwrap(),
        effort: &Effort::new(100),
    };
    assert!(asked.needs_body());
    assert_eq!(asked.holds(&View::new(&request)), Err(Undecidable::NotYet));
}

#[test]
fn memory_for_members_is_asked_for() {
    let asked = condition(r#"{"body": "/a", "exists": true}"#);
    let plan = BodyPlan::of(std::iter::once(&asked), 100).unwrap();
    let spent = reserve(Share::Bodies, Share::Bodies.most() - 10).unwrap();
    let members = plan.members_of(br#"{"a":1}"#);
    let none = Err(Undecidable::Body(BodyFault::Unavailable));
    assert_eq!(holds(&asked, &members), none);
    drop(spent);
    let members = plan.members_of(br#"{"a":1}"#);
    assert_eq!(holds(&asked, &members), Ok(true));
}
