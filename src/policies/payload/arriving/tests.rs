//! A body that comes in pieces is judged as one that comes at once.

use std::cell::Cell;

use portcullis_document::{Node, Problems};
use portcullis_exchange::body::{
    BodyCopy, BodyNeed, BufferedBody, HostBuffer, Inspection, RequestBody, UnderWay,
};
use portcullis_exchange::exchange::{BodyProgress, BodyState, Facts};
use portcullis_exchange::host::{Bodies, Failure, Side};
use portcullis_exchange::media_type::MediaRange;
use portcullis_exchange::policy::{Policy, Verdict};
use portcullis_exchange::refusal::Disclosure;
use portcullis_memory_host::MemoryHost;
use portcullis_schema::{Formats, Notes, Schema};
use portcullis_wire::budget::{Share, reserve, used};
use portcullis_wire::headers::Headers;
use portcullis_wire::json::Json;

use super::STEP;
use crate::payload::{BodyRules, Payload, USUAL_JSON};

const MOST: u64 = 1 << 20;

/// A proxy that has these bytes at hand, and notes how many are read at once.
struct Hand<'b> {
    bytes: &'b [u8],
    most_read: &'b Cell<usize>,
}

impl Bodies for Hand<'_> {
    fn body(&self, _: Side, start: usize, size: usize) -> Result<Vec<u8>, Failure> {
        self.most_read.set(self.most_read.get().max(size));
        let bytes = self.bytes.get(start..).and_then(|rest| rest.get(..size));
        bytes.map(<[u8]>::to_vec).ok_or(Failure::HostCall)
    }
}

/// What becomes of a body while it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// The proxy holds it.
    Held,
    /// It passes on, and is kept.
    Kept,
}

const ORDER: &str = r#"{"type": "array", "items": {"type": "object", "required": ["sku", "count"],
    "properties": {"sku": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$"},
        "count": {"type": "integer", "minimum": 1}, "note": {"type": ["string", "null"]}},
    "additionalProperties": false}}"#;

fn payload(schema: Option<&str>) -> Payload {
    let schema = schema.map(|text| {
        let (json, mut problems) = (
            Json::parse(text.as_bytes(), 16).unwrap(),
            Problems::default(),
        );
        let node = Node::root(&json);
        let schema = Schema::read(
            &node,
            Formats::Annotate,
            &mut Notes::default(),
            &mut problems,
        );
        problems.into_result(schema).unwrap()
    });
    Payload::declared(BodyRules {
        method: "POST",
        required: Some(true),
        content: vec![(MediaRange::parse("application/json").unwrap(), schema)],
        max_bytes: MOST,
        json: USUAL_JSON,
        told: Disclosure::Pointers,
        inspection: Inspection::HoldHeaders,
    })
}

/// What is said of a body that comes up to there, and there, and in the end as a whole; and how many bytes
/// were read at once at the end.
fn judged(payload: &Payload, body: &[u8], ends: &[usize], way: Way) -> (Verdict, usize) {
    let mut headers = Headers::default();
    headers.push(b":method", b"POST");
    headers.push(b"content-type", b"application/json");
    let (mut under_way, mut facts): (UnderWay, _) = (None, Facts::default());
    let (mut kept, mut before): (Option<BodyCopy>, usize) = (None, 0);
    let most_read = Cell::new(0);
    let all = ends.iter().map(|end| (*end, BodyState::Open));
    for (end, state) in all.chain([(body.len(), BodyState::Complete)]) {
        let size = u64::try_from(end).unwrap();
        let at_hand = match way {
            Way::Held => &body[..end],
            Way::Kept => &body[before..end],
        };
        most_read.set(0);
        let host = Hand {
            bytes: at_hand,
            most_read: &most_read,
        };
        let side = Side::Request;
        let rest = HostBuffer { host: &host, side };
        let progress = BodyProgress { size, state };
        let content = BufferedBody::new(progress, MOST, kept.take(), Some(rest));
        let verdict = payload.request_body(
            &mut RequestBody {
                request: &headers,
                facts: &mut facts,
                progress,
                need: BodyNeed::Bytes { most: MOST },
                content: &content,
                under_way: &mut under_way,
            },
            &MemoryHost::new(),
        );
        if state == BodyState::Complete {
            assert_eq!(content.failed(), None);
            return (verdict, most_read.get());
        }
        assert!(matches!(verdict, Verdict::AwaitBody(_)), "{verdict:?}");
        if way == Way::Kept {
            let mut copy = content.into_kept().unwrap_or_default();
            copy.push(rest, size, MOST);
            kept = Some(copy);
        }
        before = end;
    }
    panic!("it has not ended")
}

fn refused(verdict: Verdict) -> Option<portcullis_exchange::refusal::Refusal> {
    match verdict {
        Verdict::Pass => None,
        Verdict::Refuse(refusal) => Some(refusal),
        _ => panic!("it is neither"),
    }
}

fn order(items: usize) -> String {
    let item = |n: usize| {
        format!(
            r#"{{"sku": "AB-{n}", "count": {}, "note": "t\u00e9xt"}}"#,
            n + 1
        )
    };
    let items: Vec<String> = (0..items).map(item).collect();
    format!("[{}]", items.join(","))
}

/// In steps of that size.
fn ends(body: &[u8], step: usize) -> Vec<usize> {
    (step..=body.len()).step_by(step).collect()
}

fn is_judged_alike(schema: Option<&str>, body: &[u8]) {
    let payload = payload(schema);
    let whole = refused(judged(&payload, body, &[], Way::Held).0);
    for way in [Way::Held, Way::Kept] {
        for step in [1000, 16_384, 20_001, 65_536] {
            let (verdict, _) = judged(&payload, body, &ends(body, step), way);
            assert_eq!(refused(verdict), whole, "{way:?} {step}");
        }
    }
}

const SCHEMAS: [Option<&str>; 3] = [
    None,
    Some(ORDER),
    // No walk can do that.
    Some(r#"{"uniqueItems": true, "items": {"required": ["sku"]}}"#),
];

#[test]
fn good_and_bad_bodies_are_judged_alike() {
    let good = order(2500);
    for schema in SCHEMAS {
        is_judged_alike(schema, good.as_bytes());
        for wrong in [
            ("\"count\": 5,", "\"count\": 0,"),
            ("\"count\": 2400,", "\"count\": \"x\","),
            ("AB-1200", "ab-1200"),
            ("\"count\": 2400,", "\"count\": 2400 \"x\","),
            ("AB-9\"", "AB-9\", \"sku\": \"AB-8\""),
            ("AB-2000\"", "AB-2000\", \"sk\\u0075\": \"AB-1\""),
            ("AB-12\"", "AB-12\\ud800\""),
            ("AB-13\"", "AB-13\n\""),
            ("\"count\": 2400,", "\"count\": 2400, \"more\": 1,"),
            ("\"count\": 1500,", "\"count\": 1e999,"),
            ("}]", "}]]"),
            ("}]", "}"),
        ] {
            assert!(good.contains(wrong.0), "{wrong:?}");
            is_judged_alike(schema, good.replacen(wrong.0, wrong.1, 1).as_bytes());
        }
        is_judged_alike(schema, &good.as_bytes()[..good.len() - 40_000]);
        is_judged_alike(schema, &[&b"\xff"[..], good.as_bytes()].concat());
    }
}

#[test]
fn so_are_long_strings_and_blanks_and_many_values() {
    let long = "x".repeat(100_000);
    for schema in SCHEMAS {
        for body in [
            format!("[{{\"sku\": \"AB-1\", \"count\": 1, \"note\": \"{long}\"}}]"),
            format!("[{{\"sku\": \"AB-1\", \"count\": 1, \"note\": \"{long}\u{1}\"}}]"),
            format!("{}[]{}", " ".repeat(50_000), "\n".repeat(50_000)),
            format!("[{}1]", "1,".repeat(50_000)),
            format!("[{}1]", "[],".repeat(9_999)),
            format!("{}{}", "[".repeat(30), "]".repeat(30)),
            "[".repeat(20_000),
            format!("{{{}\"z\":1}}", "\"a\":1,".repeat(5_000)),
            "9".repeat(40_000),
            String::new(),
        ] {
            is_judged_alike(schema, body.as_bytes());
        }
    }
}

#[test]
fn a_body_that_is_too_long_is_refused_as_that_whatever_stands_in_it() {
    let payload = payload(None);
    let body = vec![b'!'; usize::try_from(MOST).unwrap() + 1];
    let judge = |ends: &[usize]| refused(judged(&payload, &body, ends, Way::Held).0);
    let refusal = judge(&[]).unwrap();
    assert_eq!(judge(&[100_000, 500_000]).unwrap(), refusal);
    assert_eq!(refusal.code().name, "payload_too_large");
}

#[test]
fn little_is_left_for_the_end() {
    let body = order(9_000);
    let step = usize::try_from(STEP).unwrap();
    for schema in [None, Some(ORDER)] {
        let ends = ends(body.as_bytes(), step);
        let (verdict, read) = judged(&payload(schema), body.as_bytes(), &ends, Way::Held);
        assert_eq!(refused(verdict), None);
        assert!(read <= 2 * step, "{read}");
    }
}

#[test]
fn where_memory_is_short_it_is_judged_as_a_whole() {
    let (good, payload) = (order(2500), payload(Some(ORDER)));
    let bad = good.replacen("\"count\": 2400,", "\"count\": 0,", 1);
    for body in [&good, &bad] {
        let ends = ends(body.as_bytes(), 20_000);
        let whole = judged(&payload, body.as_bytes(), &[], Way::Held).0;
        let crowd = reserve(Share::Bodies, Share::Bodies.most() / 2 + 1).unwrap();
        let (verdict, read) = judged(&payload, body.as_bytes(), &ends, Way::Held);
        assert_eq!((refused(verdict), read), (refused(whole), body.len()));
        drop(crowd);
    }
    assert_eq!(used(Share::Bodies), 0);
}
