use super::*;

fn rules(written: &str) -> Result<RoleRules, Vec<String>> {
    let text = format!(r#"{{"roles":{written}}}"#);
    let json = Json::parse(text.as_bytes(), 16).unwrap();
    let mut problems = Problems::default();
    let mut fields = Node::root(&json).fields(&mut problems).unwrap();
    let rules = RoleRules::read(&mut fields, &mut problems);
    problems.into_result(rules).map_err(|error| {
        let problems = error.problems.iter();
        problems.map(ToString::to_string).collect()
    })
}

fn of(written: &str, claims: &str) -> Result<String, String> {
    let rules = rules(written).unwrap();
    let claims = Compact::parse(claims.as_bytes(), 16).unwrap();
    match rules.of(&claims) {
        Ok(roles) => Ok(roles.iter().collect::<Vec<_>>().join(",")),
        Err(detail) => {
            let mut facts = detail.facts().iter().filter(|(name, _)| *name == "fault");
            match facts.next() {
                Some((_, Fact::Word(word))) => Err((*word).to_owned()),
                other => panic!("{other:?}"),
            }
        }
    }
}

#[test]
fn roles_are_found_where_issuers_write_them() {
    for (from, claims, expected) in [
        (
            "/realm_access/roles",
            r#"{"realm_access":{"roles":["b","a"]}}"#,
            "a,b",
        ),
        (
            "/resource_access/shop/roles",
            r#"{"resource_access":{"shop":{"roles":["x"]},"other":{"roles":["y"]}}}"#,
            "x",
        ),
        ("cognito:groups", r#"{"cognito:groups":["g","g"]}"#, "g"),
        ("roles", r#"{"roles":"one  two "}"#, "one,two"),
        ("groups", r#"{"groups":["Domain Users"]}"#, "Domain Users"),
        ("permissions", r#"{"permissions":["read:a"]}"#, "read:a"),
        (
            "https://example.com/roles",
            r#"{"https://example.com/roles":["r"]}"#,
            "r",
        ),
        ("roles", "{}", ""),
        ("roles", r#"{"roles":null}"#, ""),
        ("roles", r#"{"roles":[]}"#, ""),
        ("roles", r#"{"roles":""}"#, ""),
        ("/a/0", r#"{"a":["x","y"]}"#, "x"),
    ] {
        let written = format!(r#"{{"from":["{from}"]}}"#);
        assert_eq!(
            of(&written, claims),
            Ok(expected.to_owned()),
            "{from} {claims}"
        );
    }
    let both = r#"{"from":["roles","/realm_access/roles"]}"#;
    let claims = r#"{"roles":"a","realm_access":{"roles":["b","a"]}}"#;
    assert_eq!(of(both, claims), Ok("a,b".to_owned()));
}

#[test]
fn names_lose_their_prefix_and_are_mapped_then() {
    let written = r#"{"from":["roles"],"strip_prefix":["ROLE_","/"],
        "map":{"ops":["admin","reader"],"staff":"reader"}}"#;
    let claims = r#"{"roles":["ROLE_ops","/staff","others"]}"#;
    assert_eq!(of(written, claims), Ok("admin,reader".to_owned()));
    let kept = written.replace("\"map\"", "\"unmapped\":\"keep\",\"map\"");
    assert_eq!(of(&kept, claims), Ok("admin,others,reader".to_owned()));
    let dropped = written.replace("\"map\"", "\"unmapped\":\"drop\",\"map\"");
    assert_eq!(of(&dropped, claims), Ok("admin,reader".to_owned()));
    let plain = r#"{"from":["roles"],"strip_prefix":"ROLE_"}"#;
    let claims = r#"{"roles":["ROLE_a","ROLE_ROLE_b","role_c","d"]}"#;
    assert_eq!(of(plain, claims), Ok("ROLE_b,a,d,role_c".to_owned()));
}

#[test]
fn what_cannot_be_read_is_no_list_of_roles() {
    let plain = r#"{"from":["roles"]}"#;
    for (claims, fault) in [
        (r#"{"roles":1}"#, "kind"),
        (r#"{"roles":true}"#, "kind"),
        (r#"{"roles":{"a":["b"]}}"#, "kind"),
        (r#"{"roles":["a",1]}"#, "kind"),
        (r#"{"roles":["a",null]}"#, "kind"),
        (r#"{"roles":["a",["b"]]}"#, "kind"),
        (r#"{"roles":["a",""]}"#, "length"),
        (r#"{"roles":["a\nb"]}"#, "characters"),
        (r#"{"roles":"a\tb"}"#, "characters"),
    ] {
        assert_eq!(of(plain, claims), Err(fault.to_owned()), "{claims}");
    }
    let bare = r#"{"from":["roles"],"strip_prefix":"ROLE_"}"#;
    assert_eq!(of(bare, r#"{"roles":["ROLE_"]}"#), Err("length".to_owned()));
    let names: Vec<String> = (0..300).map(|number| format!("\"r{number}\"")).collect();
    let claims = format!(r#"{{"roles":[{}]}}"#, names.join(","));
    assert_eq!(of(plain, &claims), Err("too_many".to_owned()));
    // What is no role does not count.
    let few = r#"{"from":["roles"],"map":{"r1":"one"}}"#;
    assert_eq!(of(few, &claims), Ok("one".to_owned()));
}

#[test]
fn rules_that_say_nothing_or_cannot_hold_are_errors() {
    for (written, expected) in [
        ("[]", "/roles: must be an object, not an array"),
        ("{}", "/roles: lacks the field \"from\""),
        (r#"{"from":[]}"#, "/roles/from: must not be empty"),
        (
            r#"{"from":["a"],"map":{}}"#,
            "/roles/map: must have 1 to 1000 members",
        ),
        (
            r#"{"from":["a"],"map":{"a":[]}}"#,
            "/roles/map/a: must not be empty",
        ),
        (
            r#"{"from":["a"],"map":{"a":""}}"#,
            "/roles/map/a: is no role",
        ),
        (
            r#"{"from":["a"],"map":{"a":["x","a\nb"]}}"#,
            "/roles/map/a/1: is no role",
        ),
        (
            r#"{"from":["a"],"unmapped":"keep"}"#,
            "/roles/unmapped: says nothing here",
        ),
        (
            r#"{"from":["a"],"unmapped":"pass","map":{"a":"b"}}"#,
            "/roles/unmapped: must be one of \"drop\", \"keep\"",
        ),
        (
            r#"{"from":["a"],"strip_prefix":"R_","map":{"R_a":"b"}}"#,
            "/roles/map/R_a: is for a name that begins with what `strip_prefix` takes away",
        ),
        (
            r#"{"from":["a"],"strip_prefix":["R","R_"]}"#,
            "/roles/strip_prefix: \"R_\" is never taken away",
        ),
        (
            r#"{"from":["a"],"strip_prefix":""}"#,
            "/roles/strip_prefix: must not be empty",
        ),
        (r#"{"from":["a"],"mapp":{"a":"b"}}"#, "/roles"),
    ] {
        let found = rules(written).unwrap_err();
        assert_eq!(found.len(), 1, "{written}: {found:?}");
        assert!(found[0].starts_with(expected), "{written}: {found:?}");
    }
}

#[test]
fn a_role_that_nobody_can_have_is_an_error() {
    let can = |written: &str, role: &str| {
        let mut problems = Problems::default();
        let checked = rules(written).unwrap();
        let checked = checked.check(role, &Pointer::default(), &mut problems);
        assert_eq!(checked.is_some(), problems.count() == 0);
        checked.is_some()
    };
    let mapped = r#"{"from":["a"],"map":{"g":["admin"]}}"#;
    assert!(can(mapped, "admin"));
    assert!(!can(mapped, "g") && !can(mapped, "other"));
    let kept = r#"{"from":["a"],"map":{"g":["admin"]},"unmapped":"keep"}"#;
    assert!(can(kept, "admin") && can(kept, "other"));
    assert!(!can(kept, "g"));
    let stripped = r#"{"from":["a"],"strip_prefix":"ROLE_"}"#;
    assert!(can(stripped, "admin"));
    assert!(!can(stripped, "ROLE_admin"));
    let mut problems = Problems::default();
    let none = RoleRules::default().check("a", &Pointer::default(), &mut problems);
    assert_eq!((none, problems.count()), (None, 1));
}
