use super::super::operand::Scalars;
use super::*;
use portcullis_wire::json::compact::Compact;

/// What two values of JSON come to. One in brackets of its own kind, `~text`, is a text of the query.
fn compared(
    how: fn(&Pair<'_>) -> Result<bool, Undecidable>,
    one: &str,
    other: &str,
    case: Case,
) -> Result<bool, Undecidable> {
    let parsed = [one, other].map(|text| Compact::parse(text.as_bytes(), 8));
    let found = |text: &'static str| Found::decoded(text);
    let [one, other] = [(one, &parsed[0]), (other, &parsed[1])].map(|(text, parsed)| {
        match text.strip_prefix('~') {
            Some(text) => found(text.to_owned().leak()),
            None if text == "-" => Found::Nothing,
            None => Found::Json(parsed.as_ref().unwrap().value(), Scalars::Typed),
        }
    });
    how(&Pair {
        found: one,
        other,
        case,
        effort: &Effort::new(1000),
    })
}

fn plain(
    how: fn(&Pair<'_>) -> Result<bool, Undecidable>,
    one: &str,
    other: &str,
) -> Result<bool, Undecidable> {
    compared(how, one, other, Case::Significant)
}

#[test]
fn what_is_equal_has_the_same_bytes_or_the_same_value() {
    use Undecidable::{Empty, Kind, Spelling};
    for (one, other, expected) in [
        ("~acme", r#""acme""#, Ok(true)),
        ("~acme", r#""acme2""#, Ok(false)),
        ("~acme", r#""ACME""#, Ok(false)),
        ("~é", r#""e\u0301""#, Ok(false)),
        ("~", r#""acme""#, Ok(false)),
        ("~acme", r#""""#, Ok(false)),
        ("~", r#""""#, Err(Empty)),
        ("-", r#""acme""#, Ok(false)),
        ("~acme", "-", Ok(false)),
        ("-", "-", Ok(false)),
        ("null", "null", Ok(false)),
        ("~null", "null", Ok(false)),
        ("~42", "42", Ok(true)),
        (r#""42""#, "42", Ok(true)),
        ("~042", "42", Err(Spelling)),
        ("~+42", "42", Err(Spelling)),
        ("~42.0", "42", Err(Spelling)),
        ("~ 42", "42", Err(Spelling)),
        ("~4.2e1", "42", Err(Spelling)),
        ("~-0", "0", Err(Spelling)),
        ("~43", "42", Ok(false)),
        ("~x42", "42", Ok(false)),
        ("~", "0", Err(Spelling)),
        ("~", "1", Ok(false)),
        ("42", "42.0", Ok(true)),
        ("42", "43", Ok(false)),
        ("true", "true", Ok(true)),
        ("true", "false", Ok(false)),
        ("~true", "true", Ok(true)),
        ("~True", "true", Err(Spelling)),
        ("~no", "true", Ok(false)),
        ("1", "true", Err(Kind)),
        ("~acme", r#"["acme"]"#, Err(Kind)),
        ("~acme", r#"{"acme":1}"#, Err(Kind)),
        ("[1]", "[1]", Err(Kind)),
    ] {
        assert_eq!(
            plain(|pair| pair.are_equal(), one, other),
            expected,
            "{one} {other}"
        );
        assert_eq!(
            plain(|pair| pair.are_equal(), other, one),
            expected,
            "{other} {one}"
        );
    }
    let folded = compared(|pair| pair.are_equal(), "~Acme", r#""aCME""#, Case::Ignored);
    assert_eq!(folded, Ok(true));
}

#[test]
fn what_is_in_a_list_is_equal_to_an_item() {
    use Undecidable::{Empty, Kind, Spelling};
    for (one, list, expected) in [
        ("~acme", r#"["beta","acme"]"#, Ok(true)),
        ("~acme", r#"["beta","acme2"]"#, Ok(false)),
        ("~acme", r#""acme""#, Ok(true)),
        ("~acme", r#""beta acme""#, Ok(false)),
        ("~acme", "[]", Ok(false)),
        ("~acme", "-", Ok(false)),
        ("-", r#"["acme"]"#, Ok(false)),
        ("~7", r#"["x",7]"#, Ok(true)),
        ("~07", r#"["x",7]"#, Err(Spelling)),
        ("~07", r#"[7,"07"]"#, Ok(true)),
        ("~a", r#"[["a"]]"#, Err(Kind)),
        ("~a", r#"[["a"],"a"]"#, Ok(true)),
        (r#"["a"]"#, r#"["a"]"#, Err(Kind)),
    ] {
        assert_eq!(
            plain(|pair| pair.is_in(), one, list),
            expected,
            "{one} {list}"
        );
        assert_eq!(
            plain(|pair| pair.includes(), list, one),
            expected,
            "{list} {one}"
        );
    }
    for (list, others, any, all) in [
        (r#"["a","b"]"#, r#"["b","c"]"#, Ok(true), Ok(false)),
        (r#"["a","b"]"#, r#"["b","a"]"#, Ok(true), Ok(true)),
        (r#"["a","b"]"#, r#""b""#, Ok(true), Ok(true)),
        (r#"["a","b"]"#, r#"["c"]"#, Ok(false), Ok(false)),
        (r#"["a","b"]"#, "[]", Ok(false), Err(Empty)),
        (r#"["a","b"]"#, "-", Ok(false), Ok(false)),
        ("-", r#"["a"]"#, Ok(false), Ok(false)),
        (r#"["a","b"]"#, r#"["a",{}]"#, Ok(true), Err(Kind)),
        (r#"["a","b"]"#, r#"["c",{}]"#, Err(Kind), Ok(false)),
    ] {
        assert_eq!(
            plain(|pair| pair.includes_any(), list, others),
            any,
            "{list} {others}"
        );
        assert_eq!(
            plain(|pair| pair.includes_all(), list, others),
            all,
            "{list} {others}"
        );
    }
}

#[test]
fn a_prefix_is_made_of_whole_segments() {
    use Undecidable::{Empty, Kind, Unreadable};
    for (text, prefix, expected) in [
        ("~home/ann", r#""home/ann""#, Ok(true)),
        ("~home/ann/x", r#""home/ann""#, Ok(true)),
        ("~home/ann/x", r#""home/ann/""#, Ok(true)),
        ("~home/anna", r#""home/ann""#, Ok(false)),
        ("~home", r#""home/ann""#, Ok(false)),
        ("~/home/ann", r#""home""#, Ok(false)),
        ("~/home/ann", r#""/home""#, Ok(true)),
        ("~/home", r#""/""#, Ok(true)),
        ("~home/ann/../bob", r#""home/ann""#, Err(Unreadable)),
        ("~home/ann/.", r#""home/ann""#, Err(Unreadable)),
        ("~home//ann", r#""home""#, Err(Unreadable)),
        ("~home/ann/%2e%2e/bob", r#""home/ann""#, Err(Unreadable)),
        (r#""home\\ann""#, r#""home""#, Err(Unreadable)),
        ("~home/ann", r#""home/..""#, Err(Unreadable)),
        ("~home/ann", r#""""#, Err(Empty)),
        ("~", r#""home""#, Ok(false)),
        ("-", r#""home""#, Ok(false)),
        ("~home", "-", Ok(false)),
        ("~7/8", "7", Err(Kind)),
        ("~b/c", r#"["a","b"]"#, Ok(true)),
        ("~c/b", r#"["a","b"]"#, Ok(false)),
        ("~c/b", r#"["a",""]"#, Err(Empty)),
    ] {
        assert_eq!(
            plain(|pair| pair.begins(), text, prefix),
            expected,
            "{text} {prefix}"
        );
    }
    let folded = compared(
        |pair| pair.begins(),
        "~Home/Ann",
        r#""hOME""#,
        Case::Ignored,
    );
    assert_eq!(folded, Ok(true));
}

#[test]
fn where_case_is_nothing_to_services_it_is_nothing_here() {
    let text = Compact::parse(r#"["ACME","STRASSE"]"#.as_bytes(), 2).unwrap();
    let effort = Effort::new(1000);
    let pair = |folded| Pair {
        found: Found::Text(folded, Letters::AnyCase),
        other: Found::Json(text.value(), Scalars::Typed),
        case: Case::Significant,
        effort: &effort,
    };
    assert_eq!(pair("acme").is_in(), Ok(true));
    assert_eq!(pair("acme/x").begins(), Ok(true));
    assert_eq!(pair("acmé").is_in(), Ok(false));
}

#[test]
fn comparing_has_a_price() {
    let items: Vec<String> = (0..1000).map(|n| format!("\"{n:0>100}\"")).collect();
    let list = Compact::parse(format!("[{}]", items.join(",")).as_bytes(), 2).unwrap();
    let found = Found::Json(list.value(), Scalars::Typed);
    type How = fn(&Pair<'_>) -> Result<bool, Undecidable>;
    let all: [How; 2] = [|pair| pair.includes_any(), |pair| pair.includes_all()];
    for how in all {
        let effort = Effort::new(10_000);
        let none = Compact::parse(br#"["x","y"]"#, 2).unwrap();
        let pair = Pair {
            found,
            other: Found::Json(none.value(), Scalars::Typed),
            case: Case::Significant,
            effort: &effort,
        };
        assert_eq!(how(&pair), Err(Undecidable::Effort));
    }
}
