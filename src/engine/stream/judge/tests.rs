use std::rc::Rc;

use super::*;
use portcullis_memory_host::MemoryHost;

/// All that follows from a judgement is in it. Of facts counts what others may know of them.
impl PartialEq for Judgement {
    fn eq(&self, other: &Self) -> bool {
        let known = |facts: &Facts| {
            let limit = facts.limits.tightest();
            let limit = limit.map(|(name, standing)| (name.to_owned(), standing));
            let claimants = facts.claimants.as_ref().map(Rc::as_ptr);
            let claimants = claimants.map(<*const _>::cast::<()>);
            let answers = facts.response_checks().to_vec();
            let principal = facts.principal.clone();
            (principal, limit, facts.operation, claimants, answers)
        };
        let Self {
            end,
            route,
            edits,
            facts,
            noted,
            awaiting,
            skipped,
            place,
        } = self;
        (end, route, edits, noted) == (&other.end, &other.route, &other.edits, &other.noted)
            && (awaiting, skipped, place) == (&other.awaiting, &other.skipped, &other.place)
            && known(facts) == known(&other.facts)
    }
}

/// What judging comes to where nothing happens, at a route.
fn passed(route: Option<usize>) -> Judgement {
    Judgement {
        end: None,
        route,
        edits: Vec::new(),
        facts: Facts::default(),
        noted: Vec::new(),
        awaiting: Vec::new(),
        skipped: Vec::new(),
        place: None,
    }
}

fn engine(mode: &str) -> Engine {
    let document = format!(
        r#"{{"version": 1, "mode": "{mode}", "routes": [{{
            "name": "a", "match": {{"path": {{"prefix": "/a"}}}}, "open": true,
            "payload": {{"max_bytes": 2}}
        }}]}}"#
    );
    Engine::compile(document.as_bytes()).unwrap()
}

fn judged(engine: &Engine, path: &str, more: &[(&str, &str)], body: BodyState) -> Judgement {
    let mut headers = Headers::default();
    let usual = [
        (":method", "POST"),
        (":authority", "a.example"),
        (":path", path),
    ];
    for (name, value) in usual.iter().chain(more) {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    let judge = Judge {
        engine,
        host: &MemoryHost::new(),
        arrived: Duration::ZERO,
        body,
        beside: &mut Beside::default(),
        times: &mut StepTimes::default(),
        sampled: &mut RolloutState::default(),
        noted: Vec::new(),
        awaiting: Vec::new(),
        skipped: Vec::new(),
    };
    judge.judge(
        &headers,
        ResumePoint::head(None, body),
        None,
        Facts::default(),
    )
}

#[test]
fn a_request_without_a_route_ends_there() {
    let refused = Stop::Refuse(Refusal::new(&NOTHING_HERE));
    let expected = Judgement {
        end: Some((refused, None)),
        ..passed(None)
    };
    let found = judged(&engine("enforce"), "/b", &[], BodyState::Complete);
    assert_eq!(found, expected);
    let expected = Judgement {
        noted: vec![ShadowRefusal::new(Refusal::new(&NOTHING_HERE), None)],
        ..passed(None)
    };
    let found = judged(&engine("shadow"), "/b", &[], BodyState::Complete);
    assert_eq!(found, expected);
}

#[test]
fn what_waits_for_a_body_waits_only_if_one_comes() {
    let engine = engine("enforce");
    let without = judged(&engine, "/a", &[], BodyState::Complete);
    assert_eq!(without, passed(Some(0)));
    let with = judged(&engine, "/a", &[], BodyState::Open);
    assert_eq!(with.awaiting.len(), 1, "{with:?}");
    let expected = Judgement {
        awaiting: with.awaiting.clone(),
        ..passed(Some(0))
    };
    assert_eq!(with, expected);
    assert_ne!(with, without);
}

#[test]
fn what_only_the_filter_may_say_is_taken_out() {
    let engine = Engine::compile(
        br#"{"version": 1, "requests": {"override_headers": "strip"}, "routes": [{
            "name": "a", "match": {}, "open": true
        }]}"#,
    );
    let more = [("x-http-method-override", "DELETE")];
    let found = judged(&engine.unwrap(), "/a", &more, BodyState::Complete);
    let name = portcullis_wire::headers::HeaderName::parse("x-http-method-override");
    let expected = Judgement {
        edits: vec![Edit::Remove(name.unwrap())],
        ..passed(Some(0))
    };
    assert_eq!(found, expected);
}
