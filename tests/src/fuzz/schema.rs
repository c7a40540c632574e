//! Schemas, and values that they judge.

use portcullis::config::{Node, Problems};
use portcullis::json::Json;
use portcullis::json_gate::Limits;
use portcullis::schema::{Formats, Passed, Pieces, Schema, Schemas, Text, Unjudged, Verdict};

use super::document::check;
use super::spelling::respelled;

const DEPTH: usize = 32;

const LIMITS: Limits = Limits {
    depth: DEPTH,
    ..Limits::GENEROUS
};

/// `schemas`, a line break, a value. Compiled twice, schemas are the same or wrong for the same
/// reasons, each with its place. Each schema says the same of one value in two spellings, and so
/// does the schema in another spelling, unless it gives up; it says the same of a text that it judges
/// while it passes the gate, at once or in pieces; it says what is wrong where something is, and quotes no value.
///
/// # Panics
/// When that does not hold.
pub fn schema(bytes: &[u8]) -> bool {
    let Some(at) = bytes.iter().position(|b| *b == b'\n') else {
        return false;
    };
    let (written, value) = (&bytes[..at], &bytes[at + 1..]);
    let Ok(json) = Json::parse(written, DEPTH) else {
        return false;
    };
    let (schemas, again) = (compile(&json), compile(&json));
    let schemas = match (schemas, again) {
        (Ok(schemas), Ok(_)) => schemas,
        (Err(error), Err(again)) => {
            assert_eq!(error, again);
            check(&error);
            return false;
        }
        _ => panic!("compiling depends on more than the schemas"),
    };
    let other_spelling = respelled(written, b"");
    let other = Json::parse(&other_spelling, DEPTH).expect("it is JSON");
    let other = compile(&other).expect("a good schema in another spelling");
    if Text::parse(value, DEPTH).is_err() {
        return false;
    }
    let (written_value, respelled) = (value, respelled(value, b"E+0"));
    let value = Text::parse(value, DEPTH).expect("it has been read");
    let same = Text::parse(&respelled, DEPTH).expect("the same value");
    assert_eq!(value.count, same.count);
    let mut valid = false;
    let names: Vec<&str> = schemas.names().collect();
    for name in names {
        for formats in [Formats::Annotate, Formats::Assert] {
            let schema = schemas.named(name, formats).flatten().expect("it is there");
            let verdict = schema.judge(&value);
            for text in [written_value, &respelled] {
                let walked = schema.judge_bytes(text, &LIMITS, DEPTH);
                assert_eq!(walked.as_ref(), Ok(&verdict), "{name}");
                for step in [5, text.len() / 2 + 1] {
                    let in_pieces = in_pieces(&schema, text, step);
                    assert_eq!(in_pieces.as_ref(), Ok(&verdict), "{name}");
                }
            }
            assert_eq!(verdict, schema.judge(&same), "{name}");
            if let Verdict::Invalid(violations) = &verdict {
                assert!((1..=8).contains(&violations.len()), "{name}");
                for violation in violations {
                    assert!(violation.schema.starts_with('/'), "{violation:?}");
                }
            }
            let other = other.named(name, formats).flatten().expect("it is there");
            match (&verdict, other.judge(&value)) {
                (Verdict::Undecided, _) | (_, Verdict::Undecided) => {}
                (one, another) => assert_eq!(
                    matches!(one, Verdict::Valid),
                    matches!(another, Verdict::Valid),
                    "{name}"
                ),
            }
            valid |= verdict == Verdict::Valid;
        }
    }
    valid
}

/// Judges a text of which so many bytes come at a time.
fn in_pieces(schema: &Schema, text: &[u8], step: usize) -> Result<Verdict, Unjudged> {
    let mut pieces = Pieces::new(schema, LIMITS, DEPTH).expect("there is memory");
    let mut done = 0;
    for end in (0..text.len()).step_by(step) {
        done += pieces.more(&text[done..end])?;
    }
    match pieces.last(&text[done..])? {
        Passed::Valid => Ok(Verdict::Valid),
        Passed::Unsure(unsure) => Ok(schema.judge_passed(text, &unsure, DEPTH)?),
    }
}

fn compile(json: &Json) -> Result<Schemas, portcullis::config::ConfigError> {
    let mut problems = Problems::default();
    let schemas = Schemas::read(&Node::root(json), &mut problems);
    problems.into_result(Some(schemas))
}
