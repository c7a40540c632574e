use super::*;

fn number(text: &str) -> Decimal {
    Decimal::parse(text.as_bytes()).unwrap_or_else(|| panic!("{text}"))
}

#[test]
fn one_number_has_one_form() {
    for (one, other) in [
        ("1", "1.0"),
        ("100", "1e2"),
        ("0.5", "5E-1"),
        ("-0", "0"),
        ("0.000", "0e9"),
        ("10000000000000000000000", "1e22"),
        ("0.10000000000000000000000000000", "1e-1"),
        (
            "123456789012345678901234567890.0",
            "12345678901234567890123456789e1",
        ),
    ] {
        assert_eq!(number(one), number(other), "{one} {other}");
    }
    assert_ne!(number("9007199254740993"), number("9007199254740992"));
    assert_ne!(
        number("100000000000000000000000000001"),
        number("100000000000000000000000000002")
    );
}

#[test]
fn what_is_no_number() {
    for text in [
        "",
        "-",
        "+1",
        "01",
        "1.",
        ".5",
        "1e",
        "1e+",
        "0x1",
        "1 ",
        "NaN",
        "1e5.0",
        "--1",
        "1e1000001",
        "1e-1000001",
        "1e99999999999999999999",
    ] {
        assert_eq!(Decimal::parse(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn ordered_by_value() {
    let ascending = [
        "-1e30",
        "-123456789012345678901234567890",
        "-2",
        "-1.5",
        "-1e-9",
        "0",
        "1e-1000",
        "0.1",
        "0.11",
        "9",
        "10",
        "18446744073709551615",
        "18446744073709551616",
        "18446744073709551616.5",
        "1e100",
        "1e1000",
    ];
    for (at, one) in ascending.iter().enumerate() {
        for (other_at, other) in ascending.iter().enumerate() {
            assert_eq!(
                number(one).cmp(&number(other)),
                at.cmp(&other_at),
                "{one} {other}"
            );
        }
    }
}

#[test]
fn multiples_are_exact() {
    for (value, divisor, expected) in [
        ("4.5", "1.5", true),
        ("35", "1.5", false),
        ("0.0075", "0.0001", true),
        ("0.00751", "0.0001", false),
        ("19.99", "0.01", true),
        ("1e308", "0.123456789", false),
        ("1e308", "0.5", true),
        ("12391239123", "1e-8", true),
        ("0", "3", true),
        ("7", "0", false),
        ("-9", "3", true),
        ("1000", "30", false),
        ("900", "30", true),
        ("30", "900", false),
        ("999999999999999999999999999999", "3", true),
        ("999999999999999999999999999998", "3", false),
        (
            "246913578024691357802469135780",
            "123456789012345678901234567890",
            true,
        ),
        (
            "246913578024691357802469135781",
            "123456789012345678901234567890",
            false,
        ),
        ("1e60", "0.0000000000000000000000000000152587890625", true),
        ("1e60", "0.0000000000000000000000000000152587890627", false),
        ("3", "1.00000000000000000000000000000001", false),
        (
            "300000000000000000000000000000003",
            "1.00000000000000000000000000000001",
            true,
        ),
        ("1e300", "36893488147419103232", true),
        ("1e30", "36893488147419103232e30", false),
    ] {
        assert_eq!(
            number(value).is_multiple_of(&number(divisor)),
            expected,
            "{value} {divisor}"
        );
    }
}

#[test]
fn whole_numbers() {
    assert_eq!(number("2.0").to_u64(), Some(2));
    assert_eq!(number("18446744073709551615").to_u64(), Some(u64::MAX));
    assert_eq!(number("2e1").to_u64(), Some(20));
    for none in ["2.5", "-1", "18446744073709551616", "1e100"] {
        assert_eq!(number(none).to_u64(), None, "{none}");
    }
    assert!(number("1.0").is_integer() && !number("1.1").is_integer());
}
