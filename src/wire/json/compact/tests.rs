use super::*;

const TEXTS: [&str; 16] = [
    "null",
    "true",
    "-0",
    "1e15",
    "[]",
    "{}",
    r#""""#,
    r#""a\u0000\ud83d\ude00\"\\é""#,
    r#"[1,-2,0.5,true,null,"x",18446744073709551615,1e300]"#,
    r#"{"a":{"b":[10,{"c":"x"}],"":0},"é":{},"n":[[],[[]]]}"#,
    r#"{"a":1,"\u0061":2}"#,
    r#"[{"x":{"a":1,"b":2,"a":3}}]"#,
    "{} x",
    "[1",
    "1e999",
    "",
];

#[test]
fn reads_and_refuses_what_the_tree_does() {
    let long = format!(r#"{{"long":"{}","z":1}}"#, "é".repeat(40_000));
    let deep = "[".repeat(9) + &"]".repeat(9);
    for text in TEXTS.into_iter().chain([long.as_str(), deep.as_str()]) {
        let tree = Json::parse(text.as_bytes(), 8).ok();
        let compact = Compact::parse(text.as_bytes(), 8);
        let shown = compact.as_ref().map(|compact| compact.value().to_string());
        assert_eq!(shown, tree.as_ref().map(Json::to_string), "{text}");
        let grown = compact.and_then(|compact| compact.value().to_tree(usize::MAX));
        assert_eq!(grown, tree, "{text}");
    }
    assert!(Compact::parse(&vec![b' '; LONGEST + 1], 8).is_none());
}

#[test]
fn fractions_are_those_of_the_tree() {
    for number in 1..2000_u64 {
        let digits = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let text = format!("{}.{digits}e-{}", number % 7, number % 40);
        let tree = Json::parse(text.as_bytes(), 1).unwrap();
        let compact = Compact::parse(text.as_bytes(), 1).unwrap();
        assert_eq!(compact.value().to_tree(1), Some(tree), "{text}");
    }
}

#[test]
fn is_about_as_large_as_its_text() {
    let repeated = |item: &str| format!("[{}]", vec![item; 2000].join(","));
    for (item, most) in [
        (r#"{"":0}"#, 2),
        ("{}", 2),
        ("0", 2),
        (r#""""#, 2),
        ("1e15", FACTOR),
    ] {
        let text = repeated(item);
        let size = Compact::parse(text.as_bytes(), 8).unwrap().size();
        assert!(
            size <= text.len() * most,
            "{item}: {size} of {}",
            text.len()
        );
    }
}

#[test]
fn a_tree_of_it_has_a_bound() {
    let compact = Compact::parse(br#"[1,[2,{"a":3}]]"#, 8).unwrap();
    assert!(compact.value().to_tree(6).is_some());
    assert!(compact.value().to_tree(5).is_none());
}

#[test]
fn follows_pointers_through_objects_and_arrays() {
    let compact = Compact::parse(TEXTS[9].as_bytes(), 8).unwrap();
    let at = |tokens: &[&str]| {
        let tokens: Vec<String> = tokens.iter().map(|token| (*token).to_owned()).collect();
        compact
            .value()
            .pointer(&tokens)
            .map(|value| value.to_string())
    };
    assert_eq!(at(&["a", "b", "1", "c"]).as_deref(), Some("\"x\""));
    assert_eq!(at(&["a", ""]).as_deref(), Some("0"));
    assert_eq!(at(&["a", "b", "01"]), None);
    assert_eq!(at(&["a", "b", "2"]), None);
    assert_eq!(at(&["x"]), None);
    assert_eq!(compact.member("é").unwrap().to_string(), "{}");
}
