use super::*;

#[test]
fn finds_the_nearest_name_and_only_a_near_one() {
    let names = ["issuer", "audiences", "jwks", "clock_skew"];
    assert_eq!(nearest("isuer", names.into_iter()), Some("issuer"));
    assert_eq!(nearest("audience", names.into_iter()), Some("audiences"));
    assert_eq!(nearest("Clock-Skew", names.into_iter()), Some("clock_skew"));
    assert_eq!(nearest("jkws", names.into_iter()), Some("jwks"));
    assert_eq!(nearest("timeout", names.into_iter()), None);
}

#[test]
fn an_error_is_never_empty() {
    let error = Problems::default().into_result(None::<()>).unwrap_err();
    assert_eq!(error.problems.len(), 1);
    assert_eq!(Problems::default().into_result(Some(7)), Ok(7));
}

#[test]
fn near_names_are_one_change_apart() {
    for near in ["kdi", "KID", "kd", "kidd", "kit", "kid"] {
        assert!(is_near(near, "kid"), "{near}");
    }
    for far in ["k", "key", "issuer", "kdii"] {
        assert!(!is_near(far, "kid"), "{far}");
    }
}

#[test]
fn measures_edits() {
    assert_eq!(distance("crop", "corp"), 1);
    assert_eq!(distance("", "abc"), 3);
    assert_eq!(distance("abc", ""), 3);
    assert_eq!(distance("kitten", "sitting"), 3);
}

#[test]
fn pointers_escape_as_rfc_6901() {
    let place = Pointer::default().member("a/b~c").item(2).member("x");
    assert_eq!(place.to_string(), "/a~1b~0c/2/x");
}

#[test]
fn quotes_stay_on_one_line_and_short() {
    assert_eq!(Quoted("a\r\nb").to_string(), "\"a\u{fffd}\u{fffd}b\"");
    assert!(Quoted(&"x".repeat(500)).to_string().chars().count() < 90);
}
