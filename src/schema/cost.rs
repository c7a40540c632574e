//! What judging may cost.

use portcullis_wire::regex::Effort;

/// What judging may cost, in steps of an [`Effort`]: so much in any case, and more for more to judge.
const STEPS: u64 = 1_000_000;
const STEPS_PER_BYTE: u64 = 8;
const STEPS_PER_VALUE: u64 = 8;
/// What looking at a schema costs, and at each of its keywords.
pub(super) const SCHEMA_STEPS: u64 = 5;
pub(super) const KEYWORD_STEPS: u64 = 1;

/// What looking at a member by name costs, where members are judged by name.
pub(super) const MEMBER_STEPS: u64 = 8;

/// What it costs to look one up among so many members.
pub(super) fn search_steps(members: usize) -> u64 {
    let rounds = members.checked_ilog2().unwrap_or(0);
    u64::from(rounds).saturating_add(2).saturating_mul(2)
}

/// What it may cost to judge so many bytes of values.
pub fn allowance(bytes: usize, values: usize) -> Effort {
    let steps = |count: usize, each: u64| {
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        count.saturating_mul(each)
    };
    let more = steps(values, STEPS_PER_VALUE).saturating_add(steps(bytes, STEPS_PER_BYTE));
    Effort::new(STEPS.saturating_add(more))
}

#[cfg(test)]
mod tests {
    use crate::{Formats, Notes, Schema, Text, Verdict};
    use portcullis_document::{Node, Problems};
    use portcullis_wire::json::Json;

    fn judge(schema: &str, body: &str) -> Verdict {
        let json = Json::parse(schema.as_bytes(), 16).unwrap();
        let mut problems = Problems::default();
        let schema = Schema::read(
            &Node::root(&json),
            Formats::Assert,
            &mut Notes::default(),
            &mut problems,
        );
        let schema = problems.into_result(schema).unwrap();
        schema.judge(&Text::parse(body.as_bytes(), 16).unwrap())
    }

    /// A text for which the pattern has to find out much for each character.
    fn hostile() -> String {
        let letters = (0..60_000_u32).map(|at| match at.wrapping_mul(2_654_435_761) >> 20 & 63 {
            0 => '1',
            _ => 'a',
        });
        letters.collect()
    }

    #[test]
    fn a_pattern_that_costs_too_much_is_not_decided_whatever_stands_around_it() {
        let body = format!("\"{}\"", hostile());
        let pattern = r#"{"pattern": "(?:[a-z]{1,1000}x|[a-z0-9]{1,1000}y)$"}"#;
        for schema in [
            pattern.to_owned(),
            format!(r#"{{"not": {pattern}}}"#),
            format!(r#"{{"anyOf": [{pattern}, true]}}"#),
            format!(r#"{{"oneOf": [true, {pattern}]}}"#),
            format!(r#"{{"if": {pattern}, "else": true}}"#),
            format!(r#"{{"not": {{"not": {pattern}}}}}"#),
        ] {
            assert_eq!(judge(&schema, &body), Verdict::Undecided, "{schema}");
        }
        let names = r#"{"patternProperties": {"(?:[a-z]{1,1000}x|[a-z0-9]{1,1000}y)$": true}}"#;
        let body = format!("{{{body}: 1}}");
        assert_eq!(judge(names, &body), Verdict::Undecided);
    }

    #[test]
    fn no_pattern_and_no_format_is_tried_on_a_text_of_the_wrong_length() {
        let body = format!("\"{}\"", hostile());
        let schema = r#"{"maxLength": 1000, "format": "regex", "pattern": "(?:[a-z]{1,1000}x|[a-z0-9]{1,1000}y)$"}"#;
        let Verdict::Invalid(violations) = judge(schema, &body) else {
            panic!("it is too long");
        };
        let keywords: Vec<&str> = violations.iter().map(|each| each.keyword).collect();
        assert_eq!(keywords, ["maxLength"]);
    }

    #[test]
    fn what_compares_much_pays_for_it() {
        let long = "9".repeat(100_000);
        let (numbers, texts) = (
            vec![&*long; 20].join(","),
            vec![long.as_str(); 20].join("\",\""),
        );
        for (schema, body) in [
            (r#"{"items": {"multipleOf": 3}}"#, format!("[{numbers}]")),
            (
                r#"{"items": {"format": "regex"}}"#,
                format!("[\"{texts}\"]"),
            ),
        ] {
            assert_eq!(judge(schema, &body), Verdict::Undecided, "{schema}");
        }
    }

    #[test]
    fn large_bodies_of_common_kinds_are_decided() {
        let people = r#"{"name": "Ada Lovelace", "age": 36, "tags": ["a", "b"], "ok": true},"#;
        let body = format!("[{}{{\"name\": \"x\"}}]", people.repeat(20_000));
        let schema = r#"{"type": "array", "items": {"type": "object", "required": ["name"], "additionalProperties": false,
            "properties": {
                "name": {"type": "string", "minLength": 1, "maxLength": 100, "pattern": "^[\\p{L} .-]+$"},
                "age": {"type": "integer", "minimum": 0, "maximum": 150},
                "tags": {"type": "array", "uniqueItems": true, "items": {"enum": ["a", "b", "c"]}},
                "ok": {"type": "boolean"}}}}"#;
        assert_eq!(judge(schema, &body), Verdict::Valid);
        let numbers = format!("[{}1]", "1,".repeat(500_000));
        let schema = r#"{"items": {"type": "integer", "minimum": 0}}"#;
        assert_eq!(judge(schema, &numbers), Verdict::Valid);
    }
}
