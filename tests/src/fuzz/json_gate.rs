//! JSON texts before the gate.

use portcullis::json::{Json, JsonError};
use portcullis::json_gate::{Fault, Limits, Numbers, Pieces, check, walk};
use portcullis::schema::{Text, TextError};

use super::spelling::respelled;

const LIMITS: Limits = Limits {
    depth: 48,
    numbers: Numbers::Double,
    ..Limits::GENEROUS
};

const NARROW: Limits = Limits {
    depth: 3,
    values: 9,
    members: 4,
    elements: 5,
    key_bytes: 6,
    string_bytes: 12,
    number_bytes: 8,
    numbers: Numbers::Exact,
};

/// The gate opens for exactly the texts that a reader of another make reads, and that have no name
/// twice; it says the same of the same value in another spelling; it shows as many names and
/// strings as there are; tighter limits open it for nothing more; whatever passes it can be
/// read by those who judge by schemas; and a text in pieces comes to the same as in one.
///
/// # Panics
/// When that does not hold.
pub fn json_gate(text: &[u8]) -> bool {
    let verdict = check(text, &LIMITS);
    let read = Json::parse(text, LIMITS.depth);
    // A number with an exponent of minus millions is a double, and nothing exact.
    let tiny = verdict.is_ok() && matches!(read, Err(JsonError::NumberRange { .. }));
    assert!(
        read.is_ok() == verdict.is_ok() || tiny,
        "{verdict:?}, {read:?}"
    );
    let any = Limits {
        numbers: Numbers::Any,
        ..LIMITS
    };
    let without_range = check(text, &any);
    match Text::parse(text, LIMITS.depth) {
        Ok(_) => assert_eq!(without_range, Ok(())),
        Err(TextError::NumberRange) => {}
        Err(error) => assert!(without_range.is_err(), "{error}"),
    }
    if check(text, &NARROW).is_ok() {
        assert_eq!(verdict, Ok(()));
    }
    if without_range.is_ok() {
        assert!(matches!(verdict, Ok(()) | Err(Fault::NumberRange)));
        assert_eq!(check(&respelled(text, b"E+0"), &LIMITS), verdict);
    }
    for limits in [LIMITS, NARROW] {
        let whole = check(text, &limits);
        for step in [1, 2, 7, text.len() / 2 + 1] {
            assert_eq!(in_pieces(text, step, limits), whole, "{step}");
        }
    }
    if let Ok(read) = &read {
        let mut shown = 0;
        let walked = walk(text, &LIMITS, &mut |_| shown += 1);
        assert_eq!((walked, shown), (Ok(()), strings(read)));
    }
    verdict.is_ok()
}

/// Judges a text of which so many bytes come at a time.
///
/// # Errors
/// As `check`.
fn in_pieces(text: &[u8], step: usize, limits: Limits) -> Result<(), Fault> {
    let (mut pieces, mut done) = (Pieces::new(limits), 0);
    for end in (0..text.len()).step_by(step) {
        done += pieces.more(&text[done..end], &mut ())?;
    }
    pieces.last(&text[done..], &mut ())
}

fn strings(json: &Json) -> usize {
    match json {
        Json::String(_) => 1,
        Json::Array(items) => items.iter().map(strings).sum(),
        Json::Object(members) => members.iter().map(|(_, value)| 1 + strings(value)).sum(),
        _ => 0,
    }
}
