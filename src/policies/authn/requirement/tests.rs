use super::*;
use portcullis_exchange::refusal::BlockPlace;
use portcullis_exchange::target::{Authority, Target};
use portcullis_wire::headers::Headers;

fn requirement(text: &str) -> Result<Requirement, String> {
    let json = Json::parse(text.as_bytes(), 16).unwrap();
    let mut problems = Problems::default();
    let requirement = Requirement::read(&Node::root(&json), &RoutePath::default(), &mut problems);
    problems
        .into_result(requirement)
        .map_err(|error| error.to_string())
}

/// Hands out a request of which nothing is asked.
fn with_request<T>(ask: impl FnOnce(&Request<'_>) -> T) -> T {
    ask(&Request {
        headers: &Headers::default(),
        authority: &Authority::default(),
        target: &Target::parse(b"/").unwrap(),
        effort: &Effort::new(0),
    })
}

fn check(written: &str, claims: &str) -> Result<(), RequirementError> {
    let requirement = requirement(written).unwrap();
    let claims = Compact::parse(claims.as_bytes(), 16).unwrap();
    with_request(|request| requirement.check(request, &claims))
}

#[test]
fn scopes_are_whole_words() {
    let both = r#"{"scopes": ["a.read", "b"]}"#;
    assert_eq!(check(both, r#"{"scope": "b a.read c"}"#), Ok(()));
    assert_eq!(check(both, r#"{"scp": ["b", "a.read"]}"#), Ok(()));
    for claims in [
        r#"{"scope": "a.read"}"#,
        r#"{"scope": "a.readb b"}"#,
        "{}",
        r#"{"scope": 1}"#,
    ] {
        assert_eq!(
            check(both, claims),
            Err(RequirementError::Scope),
            "{claims}"
        );
    }
    let any = r#"{"scopes": {"any": ["a", "b"]}}"#;
    assert_eq!(check(any, r#"{"scope": "b"}"#), Ok(()));
    assert_eq!(
        check(any, r#"{"scope": "c"}"#),
        Err(RequirementError::Scope)
    );
}

#[test]
fn conditions_mean_what_they_say() {
    let claims = r#"{"n": 1, "b": true, "s": "gold-1", "r": {"roles": ["admin", 7]}, "a/b": null}"#;
    for (condition, holds) in [
        (r#"{"claim": "n", "exact": 1.0}"#, true),
        (r#"{"claim": "n", "exact": "1"}"#, false),
        (r#"{"claim": "b", "exact": true}"#, true),
        (r#"{"claim": "b", "exact": false}"#, false),
        (r#"{"claim": "s", "prefix": "gold"}"#, true),
        (r#"{"claim": "s", "regex": "gold"}"#, false),
        (
            r#"{"claim": "s", "exact": "GOLD-1", "ignore_case": true}"#,
            true,
        ),
        (r#"{"claim": "/r/roles", "includes": "admin"}"#, true),
        (r#"{"claim": "/r/roles", "includes": 7}"#, true),
        (r#"{"claim": "/r/roles", "includes": "adm"}"#, false),
        (r#"{"claim": "s", "includes": "gold-1"}"#, false),
        (r#"{"claim": "/a~1b", "exists": true}"#, true),
        (r#"{"claim": "a/b", "exists": true}"#, true),
        (r#"{"claim": "x", "exists": true}"#, false),
        (r#"{"claim": "x", "exists": false}"#, true),
        (r#"{"claim": "n", "in": ["1", true]}"#, false),
        (r#"{"claim": "n", "in": ["1", 1.0]}"#, true),
        (r#"{"claim": "b", "in": ["x", true]}"#, true),
        (r#"{"claim": "s", "in": ["silver", "gold-1"]}"#, true),
        (r#"{"claim": "s", "in": ["gold", "GOLD-1"]}"#, false),
        (
            r#"{"claim": "s", "in": ["a", "GOLD-1"], "ignore_case": true}"#,
            true,
        ),
        (r#"{"claim": "x", "in": ["a"]}"#, false),
        (r#"{"claim": "n", "range": {"minimum": 1}}"#, true),
        (r#"{"claim": "n", "range": {"more_than": 1}}"#, false),
        (r#"{"claim": "n", "range": {"maximum": 1.0}}"#, true),
        (r#"{"claim": "n", "range": {"less_than": 1}}"#, false),
        (
            r#"{"claim": "n", "range": {"more_than": 0.9999999999999999999999, "less_than": 1.1}}"#,
            true,
        ),
        (r#"{"claim": "s", "range": {"minimum": 0}}"#, false),
        (r#"{"claim": "/r/roles", "includes_any": ["x", 7]}"#, true),
        (
            r#"{"claim": "/r/roles", "includes_any": ["x", "7"]}"#,
            false,
        ),
        (
            r#"{"claim": "/r/roles", "includes_all": ["admin", 7]}"#,
            true,
        ),
        (
            r#"{"claim": "/r/roles", "includes_all": ["admin", "x"]}"#,
            false,
        ),
        (
            r#"{"claim": "/r/roles", "includes": "ADMIN", "ignore_case": true}"#,
            true,
        ),
        (r#"{"claim": "s", "includes_any": ["gold-1"]}"#, false),
        (r#"{"claim": "n", "present": true}"#, true),
        (r#"{"not": {"claim": "n", "exists": false}}"#, true),
        (r#"{"not": {"claim": "n", "exists": true}}"#, false),
        (r#"{"not": {"claim": "s", "prefix": "gold"}}"#, false),
        (r#"{"not": {"claim": "x", "exact": "y"}}"#, true),
    ] {
        let expected = if holds {
            Ok(())
        } else {
            Err(RequirementError::Claim(0))
        };
        let written = format!(r#"{{"claims": [{condition}]}}"#);
        assert_eq!(check(&written, claims), expected, "{condition}");
    }
}

#[test]
fn what_is_not_met_is_named_and_in_what_way() {
    let claims = r#"{"n": "1", "s": "gold", "r": ["user"], "scope": "a"}"#;
    let said = |written: &str, claims: &str| {
        let requirement = requirement(written).unwrap();
        let claims = Compact::parse(claims.as_bytes(), 16).unwrap();
        let mut detail = with_request(|request| {
            let unmet = requirement.check(request, &claims).unwrap_err();
            requirement.detail(unmet, request, &claims, "/any_of/1")
        });
        let block = Json::parse(br#"{"any_of": []}"#, 4).unwrap();
        detail.place(&BlockPlace::of(&Node::root(&block)), None);
        let word = |name: &str| {
            let mut facts = detail.facts().iter().filter(|(each, _)| *each == name);
            facts.next().map_or(String::new(), |(_, fact)| match fact {
                Fact::Word(word) => (*word).to_owned(),
                Fact::Trusted(name) => name.to_string(),
                Fact::TrustedList(names) => names.join(" "),
                other => panic!("{other:?}"),
            })
        };
        let all = ["claim", "fault", "found", "scopes", "any_scope"].map(word);
        format!("{} {}", detail.rule().unwrap(), all.join(","))
    };
    for (written, expected) in [
        (
            r#"{"scopes": ["a", "b", "c"]}"#,
            "/any_of/1/require/scopes/1 scope,not_granted,,b c,",
        ),
        (
            r#"{"scopes": {"all": ["b"], "any": ["a"]}}"#,
            "/any_of/1/require/scopes/all/0 scope,not_granted,,b,",
        ),
        (
            r#"{"scopes": {"any": ["x", "y"]}}"#,
            "/any_of/1/require/scopes/any scope,not_granted,,,x y",
        ),
        (
            r#"{"claims": [{"claim": "s", "exact": "gold"}, {"claim": "n", "exact": 1}]}"#,
            "/any_of/1/require/claims/1 n,kind,string,,",
        ),
        (
            r#"{"claims": [{"claim": "/x/y", "exists": true}]}"#,
            "/any_of/1/require/claims/0 /x/y,missing,,,",
        ),
        (
            r#"{"claims": [{"claim": "s", "exists": false}]}"#,
            "/any_of/1/require/claims/0 s,unexpected,,,",
        ),
        (
            r#"{"claims": [{"not": {"claim": "s", "prefix": "g"}}]}"#,
            "/any_of/1/require/claims/0 s,forbidden,,,",
        ),
        (
            r#"{"claims": [{"claim": "s", "prefix": "x"}]}"#,
            "/any_of/1/require/claims/0 s,no_match,,,",
        ),
        (
            r#"{"claims": [{"claim": "s", "exact": true}]}"#,
            "/any_of/1/require/claims/0 s,kind,string,,",
        ),
        (
            r#"{"claims": [{"claim": "r", "includes": "admin"}]}"#,
            "/any_of/1/require/claims/0 r,not_included,,,",
        ),
        (
            r#"{"claims": [{"claim": "s", "in": ["a", "b"]}]}"#,
            "/any_of/1/require/claims/0 s,not_listed,,,",
        ),
        (
            r#"{"claims": [{"claim": "s", "in": [1, true]}]}"#,
            "/any_of/1/require/claims/0 s,kind,string,,",
        ),
        (
            r#"{"claims": [{"claim": "n", "range": {"minimum": 1}}]}"#,
            "/any_of/1/require/claims/0 n,kind,string,,",
        ),
        (
            r#"{"claims": [{"claim": "s", "includes_all": ["gold"]}]}"#,
            "/any_of/1/require/claims/0 s,kind,string,,",
        ),
    ] {
        assert_eq!(said(written, claims), expected, "{written}");
    }
    let scope = r#"{"scopes": ["b"]}"#;
    let none = "/any_of/1/require/scopes/0 scope,missing,,b,";
    assert_eq!(said(scope, "{}"), none);
    let number = "/any_of/1/require/scopes/0 scp,kind,number,b,";
    assert_eq!(said(scope, r#"{"scp": 1}"#), number);
}

#[test]
fn a_condition_that_is_too_costly_neither_holds_nor_fails() {
    let claims = format!(r#"{{"s":"{}"}}"#, "b".repeat(1_000_000));
    let costly = r#"{"claim": "s", "regex": ".*a.*"}"#;
    for condition in [costly.to_owned(), format!(r#"{{"not": {costly}}}"#)] {
        let written = format!(r#"{{"claims": [{condition}]}}"#);
        assert_eq!(
            check(&written, &claims),
            Err(RequirementError::Effort(0)),
            "{condition}"
        );
    }
}

#[test]
fn conditions_that_say_nothing_or_two_things_are_errors() {
    for condition in [
        r#"{"claim": "n"}"#,
        r#"{"claim": "n", "exact": 1, "exists": true}"#,
        r#"{"claim": "n", "exact": "a", "prefix": "b"}"#,
        r#"{"claim": "n", "includes": []}"#,
        r#"{"claim": "n", "exact": 1, "prefix": "b"}"#,
        r#"{"exact": 1}"#,
        r#"{"claim": "n", "exists": true, "present": true}"#,
        r#"{"claim": "n", "exact": 1, "ignore_case": true}"#,
        r#"{"claim": "n", "in": []}"#,
        r#"{"claim": "n", "in": ["a", null]}"#,
        r#"{"claim": "n", "includes_all": ["a", []]}"#,
        r#"{"claim": "n", "range": {}}"#,
        r#"{"claim": "n", "range": 1}"#,
        r#"{"claim": "n", "range": {"minimum": "1"}}"#,
        r#"{"claim": "n", "range": {"minimum": 2, "maximum": 1}}"#,
        r#"{"claim": "n", "range": {"minimum": 1, "less_than": 1}}"#,
        r#"{"claim": "n", "range": {"minimum": 1, "more_than": 0}}"#,
        r#"{"not": {"not": {"claim": "n", "exists": true}}}"#,
    ] {
        assert!(
            requirement(&format!(r#"{{"claims": [{condition}]}}"#)).is_err(),
            "{condition}"
        );
    }
}
