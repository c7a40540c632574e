//! Both ways of judging a text say the same of it.

use portcullis_document::{Node, Problems};
use portcullis_wire::budget::{Share, reserve};
use portcullis_wire::json::Json;
use portcullis_wire::json_gate::{Fault, Limits, measure};
use portcullis_wire::regex::Effort;

use crate::walk_judge::{Walked, counted, judge};
use crate::{Formats, Passed, Pieces, Schema, Schemas, Text, Unjudged, Verdict};

const DEPTH: usize = 128;

fn schema_of(text: &str, formats: Formats) -> Schema {
    let json = Json::parse(format!("{{\"s\":{text}}}").as_bytes(), 64).expect(text);
    let mut problems = Problems::default();
    let schemas = Schemas::read(&Node::root(&json), &mut problems);
    let schemas = problems.into_result(Some(schemas)).expect(text);
    schemas.named("s", formats).flatten().expect(text)
}

fn schema(text: &str) -> Schema {
    schema_of(text, Formats::Annotate)
}

/// The slow way.
fn as_value(schema: &Schema, text: &[u8], depth: usize) -> Result<Verdict, Unjudged> {
    let shape = measure(text, &Limits::GENEROUS)?;
    Ok(schema.judge(&Text::read(text, &shape, depth)?))
}

/// What is said of a text that comes up to there, and there, and in the end as a whole; none if there is no
/// memory to begin with.
fn in_pieces(
    schema: &Schema,
    text: &[u8],
    depth: usize,
    ends: impl Iterator<Item = usize>,
) -> Option<Result<Passed, Fault>> {
    let mut pieces = Pieces::new(schema, Limits::GENEROUS, depth)?;
    let mut done = 0;
    for end in ends {
        // Memory of its own, so that nothing can be read beyond it.
        let at_hand = text[done..end].to_vec();
        match pieces.more(&at_hand) {
            Ok(more) => done += more,
            Err(fault) => return Some(Err(fault)),
        }
    }
    Some(pieces.last(&text[done..]))
}

/// Judges a text that comes in pieces, which must come to the same.
fn pieces_say(schema: &Schema, text: &[u8], depth: usize, expected: &Result<Verdict, Unjudged>) {
    let some = (text.len() / 20).max(1);
    for (first, step) in [(0, some), (text.len() / 2, text.len() + 1)] {
        (0..8).for_each(|_| schema.set.plan.walked(schema.id, true));
        let ends = (first.min(text.len())..=text.len()).step_by(step);
        let verdict = match in_pieces(schema, text, depth, ends) {
            None => continue,
            Some(Ok(Passed::Valid)) => Ok(Verdict::Valid),
            Some(Ok(Passed::Unsure(unsure))) => {
                let judged = schema.judge_passed(text, &unsure, depth);
                judged.map_err(Unjudged::Text)
            }
            Some(Err(fault)) => Err(Unjudged::Gate(fault)),
        };
        assert_eq!(verdict, *expected, "{}", String::from_utf8_lossy(text));
    }
}

/// What both ways say, which must be the same; whether the walk took the text.
fn judged(schema: &Schema, text: &str, depth: usize) -> (Result<Verdict, Unjudged>, bool) {
    let bytes = text.as_bytes();
    let slow = as_value(schema, bytes, depth);
    (0..8).for_each(|_| schema.set.plan.walked(schema.id, true));
    let quick = schema.judge_bytes(bytes, &Limits::GENEROUS, depth);
    assert_eq!(quick, slow, "{text}");
    pieces_say(schema, bytes, depth, &slow);
    let counted = match schema.walks() {
        true => counted(&schema.set.plan, schema.id, bytes, depth),
        false => None,
    };
    if let Some(steps) = counted {
        assert_eq!(slow, Ok(Verdict::Valid), "{text}");
        // It would have been enough for the slow way.
        let shape = measure(bytes, &Limits::GENEROUS).unwrap();
        let value = Text::read(bytes, &shape, depth).unwrap();
        let verdict = schema.judge_value(&value.value, &Effort::new(steps));
        assert_eq!(verdict, Verdict::Valid, "{steps} steps: {text}");
    }
    (quick, counted.is_some())
}

/// Whether a text is valid and the walk takes it.
fn takes(schema: &Schema, text: &str) -> bool {
    let (verdict, taken) = judged(schema, text, DEPTH);
    verdict == Ok(Verdict::Valid) && taken
}

fn is_valid(schema: &Schema, text: &str) -> bool {
    judged(schema, text, DEPTH).0 == Ok(Verdict::Valid)
}

struct Generator(u64);

impl Generator {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(end.max(1)).unwrap()).unwrap()
    }

    fn one<'l>(&mut self, list: &[&'l str]) -> &'l str {
        list[self.below(list.len())]
    }

    fn some(&mut self, list: &[&str]) -> String {
        let chosen: Vec<&str> = list
            .iter()
            .copied()
            .filter(|_| self.below(2) == 0)
            .collect();
        chosen.join(",")
    }
}

const NAMES: [&str; 8] = [
    "\"a\"",
    "\"b\"",
    "\"\\u0061\"",
    "\"\"",
    "\"customer\"",
    "\"customer_one\"",
    "\"customer_two\"",
    "\"\u{e9}\"",
];

const SCALARS: [&str; 26] = [
    "null",
    "true",
    "false",
    "0",
    "-0",
    "1",
    "2",
    "3",
    "10",
    "1.0",
    "1.5",
    "-2.50",
    "1e1",
    "10E-1",
    "0.01",
    "0.015",
    "123456789012345678901",
    "999999999999999999",
    "100000000000000.0001",
    "\"\"",
    "\"a\"",
    "\"b\"",
    "\"\\u0061\"",
    "\"\u{e9}\u{e9}\"",
    "\"abc\"",
    "\"a longer text \\u00e9\"",
];

fn value(random: &mut Generator, depth: usize) -> String {
    match random.below(if depth == 0 { 4 } else { 8 }) {
        0..=3 => random.one(&SCALARS).to_owned(),
        4 | 5 => {
            let count = random.below(4);
            let items: Vec<String> = (0..count).map(|_| value(random, depth - 1)).collect();
            format!("[{}]", items.join(","))
        }
        _ => {
            let mut members = Vec::new();
            for name in NAMES {
                // The third one is the first, spelled otherwise.
                let twin = name == NAMES[2] && !members.is_empty();
                if random.below(3) == 0 && !twin {
                    members.push(format!("{name}:{}", value(random, depth - 1)));
                }
            }
            if random.below(2) == 0 {
                members.reverse();
            }
            format!("{{{}}}", members.join(","))
        }
    }
}

const KINDS: [&str; 7] = [
    "\"null\"",
    "\"boolean\"",
    "\"integer\"",
    "\"number\"",
    "\"string\"",
    "\"array\"",
    "\"object\"",
];

/// A keyword, from the ones most used to those that no walk knows.
fn keyword(random: &mut Generator, depth: usize) -> String {
    let under = |random: &mut Generator| match depth {
        0 => random
            .one(&["true", "{}", "{\"type\":\"string\"}", "false"])
            .to_owned(),
        depth => schema_text(random, depth - 1),
    };
    let list = |random: &mut Generator| {
        let list: Vec<String> = (0..=random.below(3)).map(|_| under(random)).collect();
        list.join(",")
    };
    match random.below(34) {
        0..=3 => format!("\"type\":{}", random.one(&KINDS)),
        4 => {
            let (one, other) = (random.below(7), random.below(6));
            let other = if other >= one { other + 1 } else { other };
            format!("\"type\":[{},{}]", KINDS[one], KINDS[other])
        }
        5..=9 => {
            let mut named = Vec::new();
            for name in NAMES {
                if name != NAMES[2] && random.below(2) == 0 {
                    named.push(format!("{name}:{}", under(random)));
                }
            }
            format!("\"properties\":{{{}}}", named.join(","))
        }
        10 | 11 => format!(
            "\"required\":[{}]",
            random.some(&[NAMES[0], NAMES[1], NAMES[5]])
        ),
        12 | 13 => format!("\"additionalProperties\":{}", under(random)),
        14 | 15 => format!("\"items\":{}", under(random)),
        16 => format!("\"minItems\":{}", random.below(3)),
        17 => format!("\"maxItems\":{}", random.below(4)),
        18 => {
            let values = format!("{},{}", SCALARS[3], random.one(&SCALARS[19..]));
            format!(
                "\"enum\":[null,{values},{}]",
                random.one(&["true", "[1]", "1.5"])
            )
        }
        19 => format!("\"const\":{}", random.one(&SCALARS)),
        20 => format!(
            "\"minimum\":{}",
            random.one(&["0", "1.5", "-3", "1e3", "0.015"])
        ),
        21 => format!(
            "\"exclusiveMaximum\":{}",
            random.one(&["10", "1.0", "3", "1e30"])
        ),
        22 => format!(
            "\"multipleOf\":{}",
            random.one(&["0.01", "1", "2.5", "7", "1e2"])
        ),
        23 => format!("\"minLength\":{}", random.below(3)),
        24 => format!("\"maxLength\":{}", random.below(12)),
        25 => format!(
            "\"pattern\":{}",
            random.one(&["\"^a\"", "\"b\"", "\"^.{2}$\""])
        ),
        26 => format!("\"anyOf\":[{}]", list(random)),
        27 => format!("\"oneOf\":[{}]", list(random)),
        28 => format!("\"allOf\":[{}]", list(random)),
        29 => format!("\"not\":{}", under(random)),
        30 => format!("\"if\":{},\"then\":{}", under(random), under(random)),
        31 => format!("\"maxProperties\":{}", random.below(5)),
        32 => format!("\"format\":{}", random.one(&["\"date\"", "\"ipv4\""])),
        _ => random
            .one(&[
                "\"uniqueItems\":true",
                "\"contains\":{\"const\":1}",
                "\"propertyNames\":{\"maxLength\":1}",
                "\"patternProperties\":{\"^a\":{\"type\":\"string\"}}",
                "\"unevaluatedProperties\":false",
                "\"prefixItems\":[true]",
                "\"dependentRequired\":{\"a\":[\"b\"]}",
                "\"$ref\":\"#/$defs/other\"",
                "\"$ref\":\"#\"",
            ])
            .to_owned(),
    }
}

fn schema_text(random: &mut Generator, depth: usize) -> String {
    let mut keywords: Vec<(String, String)> = Vec::new();
    for _ in 0..random.below(4) {
        let keyword = keyword(random, depth);
        let name = keyword.split(':').next().unwrap_or_default().to_owned();
        if keywords.iter().all(|(each, _)| *each != name) {
            keywords.push((name, keyword));
        }
    }
    let keywords: Vec<String> = keywords.into_iter().map(|(_, keyword)| keyword).collect();
    format!("{{{}}}", keywords.join(","))
}

#[test]
fn both_ways_say_the_same_of_whatever_is_made_up() {
    let mut random = Generator(0x9e37_79b9_7f4a_7c15);
    let (mut walking, mut taken, mut valid, mut wrong) = (0, 0, 0, 0);
    for _ in 0..2000 {
        let mut text = schema_text(&mut random, 3);
        let other = schema_text(&mut random, 1).replace("\"$ref\":\"#/$defs/other\"", "");
        let other = other
            .replace(",,", ",")
            .replace("{,", "{")
            .replace(",}", "}");
        let defs = format!("\"$defs\":{{\"other\":{other}}}");
        text = match text.as_str() {
            "{}" => format!("{{{defs}}}"),
            text => format!(
                "{},{defs}}}",
                text.trim_end_matches('}').to_owned()
                    + &"}".repeat(text.len() - text.trim_end_matches('}').len() - 1)
            ),
        };
        let Ok(json) = Json::parse(format!("{{\"s\":{text}}}").as_bytes(), 64) else {
            panic!("{text}");
        };
        let mut problems = Problems::default();
        let schemas = Schemas::read(&Node::root(&json), &mut problems);
        // Some lead back to themselves.
        let Ok(schemas) = problems.into_result(Some(schemas)) else {
            continue;
        };
        for formats in [Formats::Annotate, Formats::Assert] {
            let schema = schemas.named("s", formats).flatten().unwrap();
            walking += usize::from(schema.walks());
            for _ in 0..12 {
                let text = value(&mut random, 3);
                let (verdict, walked) = judged(&schema, &text, DEPTH);
                taken += usize::from(walked);
                match verdict {
                    Ok(Verdict::Valid) => valid += 1,
                    Ok(Verdict::Invalid(_)) => wrong += 1,
                    _ => {}
                }
            }
        }
    }
    // It is no test of one way alone.
    assert!(walking > 1000, "{walking} schemas walk");
    assert!(wrong > 5000 && valid > 5000, "{wrong} wrong, {valid} valid");
    assert!(taken > valid / 2, "{taken} taken of {valid} valid");
}

#[test]
fn the_walk_takes_what_most_schemas_ask() {
    for (schema_text, good, bad) in [
        ("true", "{\"a\":[1]}", ""),
        (r#"{"type":"integer"}"#, "1.0", "1.5"),
        (r#"{"type":"integer"}"#, "10e-1", "15e-1"),
        (r#"{"type":["null","number"]}"#, "1.5", "\"1\""),
        (r#"{"enum":["a",null,1,true]}"#, "\"\\u0061\"", "\"b\""),
        (r#"{"enum":["a",null,1,true]}"#, "1.0", "2"),
        (r#"{"const":false}"#, "false", "true"),
        (r#"{"minimum":0.1,"exclusiveMaximum":1e3}"#, "0.10", "1000"),
        (
            r#"{"minimum":12345678901234567890123}"#,
            "12345678901234567890123",
            "12345678901234567890122",
        ),
        (r#"{"multipleOf":0.01}"#, "1.23", "1.234"),
        (r#"{"multipleOf":3}"#, "-9", "10"),
        (r#"{"multipleOf":1e30}"#, "3e30", "3e29"),
        (
            r#"{"minLength":2,"maxLength":3}"#,
            "\"\u{e9}\u{e9}\u{e9}\"",
            "\"\u{e9}\"",
        ),
        (
            r#"{"pattern":"^\\p{Lu}"}"#,
            "\"\\u00c9t\u{e9}\"",
            "\"\u{e9}t\u{e9}\"",
        ),
        (
            r#"{"minItems":1,"maxItems":2,"items":{"type":"string"}}"#,
            r#"["a","b"]"#,
            "[]",
        ),
        (
            r#"{"required":["a","b"],"minProperties":2}"#,
            r#"{"b":1,"a":2}"#,
            r#"{"b":1,"c":2}"#,
        ),
        (
            r#"{"properties":{"a":{"type":"string"}},"required":["b"],"additionalProperties":{"type":"null"}}"#,
            r#"{"b":null,"a":"","c":null}"#,
            r#"{"b":1,"a":""}"#,
        ),
        (
            r#"{"anyOf":[{"type":"null"},{"type":"object","required":["a"]}]}"#,
            r#"{"a":1}"#,
            "{}",
        ),
        (
            r#"{"oneOf":[{"type":"null"},{"type":"string"},{"maxLength":2}]}"#,
            r#""abc""#,
            r#""ab""#,
        ),
        (
            r#"{"allOf":[{"minimum":1},{"maximum":2}],"not":{"const":1.5}}"#,
            "2",
            "1.50",
        ),
        (
            r#"{"if":{"type":"string"},"then":{"minLength":2},"else":{"type":"null"}}"#,
            r#""ab""#,
            "1",
        ),
        (
            r##"{"properties":{"next":{"$ref":"#"}},"additionalProperties":false}"##,
            r#"{"next":{"next":{}}}"#,
            r#"{"next":{"last":{}}}"#,
        ),
        (r#"{"format":"date"}"#, r#""no date""#, ""),
    ] {
        let schema = schema(schema_text);
        assert!(takes(&schema, good), "{schema_text} of {good}");
        assert!(
            bad.is_empty() || !is_valid(&schema, bad),
            "{schema_text} of {bad}"
        );
    }
}

#[test]
fn what_cannot_be_told_on_the_way_is_left_to_the_slow_way() {
    let nines = "9".repeat(300);
    for (text, valid) in [
        (r#"{"not":{"multipleOf":3}}"#, false),
        (r#"{"not":{"multipleOf":19}}"#, true),
        (r#"{"oneOf":[{"multipleOf":3},{"type":"integer"}]}"#, false),
    ] {
        let schema = schema(text);
        let (verdict, taken) = judged(&schema, &nines, DEPTH);
        assert!(schema.walks() && !taken, "{text}");
        assert_eq!(verdict == Ok(Verdict::Valid), valid, "{text}");
    }
    for text in [
        r#"{"uniqueItems":true}"#,
        r#"{"properties":{"a":{"items":{"contains":{"const":1}}}}}"#,
        r#"{"patternProperties":{"^a":{}}}"#,
        r#"{"prefixItems":[{}]}"#,
        r#"{"enum":[[1]]}"#,
        r#"{"anyOf":[{"type":"string","pattern":"^a"},{"type":"null"}]}"#,
        r#"{"allOf":[{"required":["a"]},{"required":["b"]}]}"#,
        r#"{"anyOf":[{"required":["a"]},{"required":["b"]}]}"#,
        r#"{"unevaluatedProperties":false}"#,
        r#"{"not":{"minLength":7,"maxLength":2}}"#,
    ] {
        assert!(!schema(text).walks(), "{text}");
    }
    let dates = schema_of(r#"{"items":{"format":"date"}}"#, Formats::Assert);
    assert!(!dates.walks());
    assert!(!is_valid(&dates, r#"["no date"]"#));
}

#[test]
fn members_are_found_among_many() {
    let names: Vec<String> = (0..100).map(|n| format!("\"the member {n}\"")).collect();
    let named: Vec<String> = names
        .iter()
        .map(|name| format!("{name}:{{\"type\":\"null\"}}"))
        .collect();
    let required = |count: usize| {
        let (named, required) = (named.join(","), names[..count].join(","));
        schema(&format!(
            "{{\"properties\":{{{named}}},\"required\":[{required}],\"additionalProperties\":false}}"
        ))
    };
    let members = |count: usize, last: &str| {
        let members: Vec<String> = names[..count]
            .iter()
            .map(|name| format!("{name}:null"))
            .collect();
        format!("{{{}{last}}}", members.join(","))
    };
    let all = required(64);
    assert!(takes(&all, &members(64, "")) && takes(&all, &members(100, "")));
    assert!(!is_valid(&all, &members(63, "")));
    assert!(!is_valid(&all, &members(64, ",\"the member 64\":1")));
    assert!(!is_valid(&all, &members(64, ",\"the member 640\":null")));
    assert!(!required(65).walks(), "there are not as many bits");
}

#[test]
fn what_is_too_deep_or_too_large_is_refused_in_the_same_way() {
    let deep = |count: usize| ["[".repeat(count), "]".repeat(count)].concat();
    let any = schema(r#"{"type":"array"}"#);
    for depth in [1, 2, 3, 127, 128, 129] {
        assert_eq!(
            judged(&any, &deep(depth), 3).0.is_ok(),
            depth <= 3,
            "{depth}"
        );
        assert_eq!(
            judged(&any, &deep(depth), 128).0.is_ok(),
            depth <= 128,
            "{depth}"
        );
    }
    // Each level is four schemas deep.
    let chain = schema(
        r##"{"$ref":"#/$defs/a","$defs":{"a":{"$ref":"#/$defs/b"},"b":{"$ref":"#/$defs/c"},"c":{"items":{"$ref":"#"}}}}"##,
    );
    let mut undecided = 0;
    for depth in 60..128 {
        let (verdict, taken) = judged(&chain, &deep(depth), 128);
        undecided += usize::from(verdict == Ok(Verdict::Undecided));
        assert!(!taken || verdict == Ok(Verdict::Valid));
    }
    assert!(undecided > 0 && takes(&chain, &deep(50)));
    for text in ["1e1000001", "[1e-1000001]", "{\"a\":1e-99999999999}"] {
        assert!(judged(&schema("true"), text, DEPTH).0.is_err(), "{text}");
    }
    for text in ["[1,]", "{\"a\":1,\"a\":2}", "\"\\ud800\""] {
        assert!(judged(&schema("true"), text, DEPTH).0.is_err(), "{text}");
    }
}

#[test]
fn what_costs_too_much_is_not_decided_by_the_walk_either() {
    // The walk counts each of these as if it were the long one.
    let choice = schema(&format!(
        "{{\"items\":{{\"enum\":[\"a\",\"{}\"]}}}}",
        "b".repeat(100_000)
    ));
    let items = vec!["\"a\""; 1000].join(",");
    let text = format!("[{items}]");
    assert!(is_valid(&choice, &text));
    let walked = judge(
        &choice.set.plan,
        choice.id,
        text.as_bytes(),
        &Limits::GENEROUS,
        DEPTH,
    );
    assert!(matches!(walked, Ok(Walked::Unsure(_))), "{walked:?}");
    let multiples = schema(r#"{"items":{"multipleOf":3}}"#);
    let nines = vec!["9".repeat(100_000); 20].join(",");
    let (verdict, _) = judged(&multiples, &format!("[{nines}]"), DEPTH);
    assert_eq!(verdict, Ok(Verdict::Undecided));
}

#[test]
fn a_walk_without_memory_leaves_the_text_to_the_slow_way() {
    let texts = schema(r#"{"items":{"pattern":"^a"}}"#);
    let text = format!("[{}]", vec!["\"a\""; 1000].join(","));
    assert!(takes(&texts, &text));
    let most = Share::Bodies.most();
    let spent = reserve(Share::Bodies, most - 2000).unwrap();
    let refused = texts.judge_bytes(text.as_bytes(), &Limits::GENEROUS, DEPTH);
    assert!(refused.is_err(), "{refused:?}");
    drop(spent);
    assert!(takes(&texts, &text));
}

#[test]
fn a_walk_that_takes_long_ends() {
    let references = vec!["{\"$ref\":\"#/$defs/any\"}"; 100].join(",");
    let references = schema(&format!(
        "{{\"items\":{{\"allOf\":[{references}]}},\"$defs\":{{\"any\":{{\"minimum\":0}}}}}}"
    ));
    assert!(takes(&references, "[1,2,3]"));
    let (verdict, taken) = judged(&references, &format!("[{}1]", "1,".repeat(2000)), DEPTH);
    assert_eq!((verdict, taken), (Ok(Verdict::Undecided), false));
    // Nor is what it has not told a reason to take the opposite for told.
    let not = schema(&format!(
        "{{\"items\":{{\"not\":{{\"not\":{{\"allOf\":[{}]}}}}}}}}",
        vec!["{\"minimum\":2}"; 100].join(",")
    ));
    let (verdict, taken) = judged(&not, &format!("[{}1]", "2,".repeat(1000)), DEPTH);
    assert!(
        matches!(verdict, Ok(Verdict::Invalid(_))) && !taken,
        "{verdict:?}"
    );
}

#[test]
fn a_value_is_found_among_many() {
    let texts: Vec<String> = (0..1000).map(|n| format!("\"{n}\"")).collect();
    let numbers: Vec<String> = (0..1000).map(|n| format!("{n}.5")).collect();
    let choice = schema(&format!(
        "{{\"enum\":[{},{}]}}",
        texts.join(","),
        numbers.join(",")
    ));
    for text in texts.iter().chain(&numbers) {
        assert!(takes(&choice, text), "{text}");
    }
    for text in ["\"1000\"", "\"\"", "1", "1000.5", "null"] {
        assert!(!is_valid(&choice, text), "{text}");
    }
}

#[test]
fn texts_that_no_walk_takes_are_soon_not_tried() {
    let schema = schema(r#"{"items":{"type":"null"}}"#);
    let promising = || schema.set.plan.is_promising(schema.id);
    let judge = |text: &str| {
        let judged = schema.judge_bytes(text.as_bytes(), &Limits::GENEROUS, DEPTH);
        judged == Ok(Verdict::Valid)
    };
    assert!(promising());
    (0..3).for_each(|_| assert!(!judge("[1]")));
    assert!(!promising());
    assert!(
        !judge("[1]") && !promising(),
        "what is wrong is no reason to try again"
    );
    (0..4).for_each(|_| assert!(judge("[null]")));
    assert!(promising(), "what is valid is");
    assert!(judge("[null]") && judge("[null]") && promising());
    assert!(!judge("[1]") && promising(), "one text is no rule");
}

#[test]
fn a_long_number_is_read_where_there_is_memory_for_it() {
    let long = "9".repeat(100_000);
    for (schema_text, text) in [
        (r#"{"type":"integer"}"#, long.clone()),
        (r#"{"type":"array"}"#, format!("[{long}]")),
        (r#"{"items":{"minimum":1}}"#, format!("[{long}]")),
    ] {
        let schema = schema(schema_text);
        assert!(takes(&schema, &text), "{schema_text}");
        let spent = reserve(Share::Bodies, Share::Bodies.most() - 100_000).unwrap();
        let refused = schema.judge_bytes(text.as_bytes(), &Limits::GENEROUS, DEPTH);
        assert!(refused.is_err(), "{schema_text}: {refused:?}");
        drop(spent);
        assert!(takes(&schema, &text), "{schema_text}");
    }
}

#[test]
fn a_long_number_is_what_it_is_to_all_schemas_that_judge_it() {
    let (nines, tens) = ("9".repeat(40), format!("1{}", "0".repeat(40)));
    let schema = schema(&format!(
        r#"{{"oneOf":[{{"const":1}},{{"const":{nines}}},{{"const":1e40}},{{"maximum":-1,"type":"integer"}}]}}"#
    ));
    for text in [&nines, &tens, &format!("{nines}.0"), &format!("-{tens}")] {
        assert!(takes(&schema, text), "{text}");
    }
    for text in [
        format!("{nines}8"),
        format!("-{nines}.5"),
        "1e41".to_owned(),
    ] {
        assert!(!is_valid(&schema, &text), "{text}");
    }
}
