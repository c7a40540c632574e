use super::*;
use crate::lifecycle::{Lifecycle, VersionCounts};
use crate::target::{Authority, PathRules, Target};
use portcullis_wire::effort::Effort;
use portcullis_wire::headers::Headers;

fn scheme(places: Vec<VersionPlace>, names: &[&str], usual: Option<usize>) -> VersionScheme {
    let version = |name: &&str| {
        Rc::new(ApiVersion {
            name: (*name).into(),
            pointer: "".into(),
            lifecycle: Lifecycle::default(),
            counts: VersionCounts::default(),
        })
    };
    VersionScheme {
        pointer: "/versions".into(),
        mode: Mode::Enforce,
        places,
        form: VersionForm::Marked,
        known: names.iter().map(version).collect(),
        usual,
        unknown: &refusals::NO_SUCH,
        upstream: UpstreamFields::Replace,
    }
}

fn of(
    scheme: &VersionScheme,
    path: &str,
    fields: &[(&str, &str)],
) -> Result<Option<String>, VersionFault> {
    let mut headers = Headers::default();
    headers.push(b":authority", b"a.example");
    headers.push(b":path", path.as_bytes());
    for (name, value) in fields {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    let rules = PathRules::default();
    let target = Target::parse_by(path.as_bytes(), rules).unwrap();
    let request = Request {
        headers: &headers,
        authority: &Authority::of(&headers).unwrap(),
        target: &target,
        effort: &Effort::new(10_000),
    };
    scheme.of(&request).map(|named| match named {
        NamedVersion::None => None,
        NamedVersion::Known(place) => Some(scheme.known[place].name.to_string()),
        NamedVersion::Unknown(sent) => Some(format!("?{}", String::from_utf8_lossy(&sent))),
    })
}

fn name(text: &str) -> Result<Option<String>, VersionFault> {
    Ok(Some(text.to_owned()))
}

#[test]
fn a_segment_of_the_path() {
    let scheme = scheme(vec![VersionPlace::PathSegment(0)], &["v1", "v2"], None);
    assert_eq!(of(&scheme, "/v1/users", &[]), name("v1"));
    assert_eq!(of(&scheme, "/v1", &[]), name("v1"));
    assert_eq!(of(&scheme, "/%761/users", &[]), name("v1"));
    assert_eq!(of(&scheme, "/v2?version=v1", &[]), name("v2"));
    assert_eq!(of(&scheme, "/V1/users", &[]), name("?V1"));
    assert_eq!(of(&scheme, "/v9/users", &[]), name("?v9"));
    assert_eq!(of(&scheme, "/users/v1", &[]), Ok(None));
    assert_eq!(of(&scheme, "/", &[]), Ok(None));
    // Some servers cut off what ends in a dot or a blank.
    for path in ["/v1./users", "/v1%20/users", "/v1%E2%80%8B"] {
        assert_eq!(of(&scheme, path, &[]), Err(VersionFault::Path), "{path}");
    }
}

#[test]
fn a_header_field_or_a_parameter() {
    let header = || VersionPlace::Header(HeaderName::parse("api-version").unwrap());
    let query = || VersionPlace::Query("version".into());
    let scheme = scheme(vec![header(), query()], &["v1", "v2"], Some(1));
    for (path, fields, expected) in [
        ("/", &[][..], name("v2")),
        ("/", &[("api-version", "v1")], name("v1")),
        ("/", &[("api-version", "V1")], name("?V1")),
        ("/", &[("api-version", "v1, v2")], name("?v1, v2")),
        ("/", &[("api-version", "")], name("?")),
        (
            "/",
            &[("api-version", "v1"), ("api-version", "v1")],
            Err(VersionFault::Repeated),
        ),
        (
            "/",
            &[("api-version", "v1"), ("api_version", "v2")],
            Err(VersionFault::Repeated),
        ),
        ("/", &[("api_version", "v1")], Err(VersionFault::Repeated)),
        ("/?version=v1", &[], name("v1")),
        ("/?%76ersion=v%31", &[], name("v1")),
        ("/?version=v1&version=v1", &[], Err(VersionFault::Repeated)),
        ("/?version=v1&Version=v2", &[], Err(VersionFault::Repeated)),
        ("/?version[]=v1", &[], Err(VersionFault::Repeated)),
        ("/?version=v1;a", &[], Err(VersionFault::Query)),
        ("/?version=%zz", &[], Err(VersionFault::Query)),
        ("/?version=v1", &[("api-version", "v1")], name("v1")),
        (
            "/?version=v1",
            &[("api-version", "v2")],
            Err(VersionFault::Several),
        ),
        (
            "/?version=v9",
            &[("api-version", "v2")],
            Err(VersionFault::Several),
        ),
    ] {
        assert_eq!(of(&scheme, path, fields), expected, "{path} {fields:?}");
    }
}

#[test]
fn media_types() {
    let subtype = VersionPlace::AcceptSubtype(accept::SubtypePattern {
        before: "vnd.example.".into(),
        after: "".into(),
    });
    let parameter = VersionPlace::AcceptParameter("version".into());
    let (by_subtype, by_parameter) = (
        scheme(vec![subtype], &["v1", "v2"], Some(1)),
        scheme(vec![parameter], &["v1", "v2"], None),
    );
    let accept = Err(VersionFault::Accept);
    for (value, expected) in [
        ("application/vnd.example.v1+json", name("v1")),
        ("Application/VND.Example.V1+JSON", name("v1")),
        ("application/vnd.example.v1", name("v1")),
        ("application/vnd.example.v9+json", name("?v9")),
        ("application/json", name("v2")),
        ("*/*", name("v2")),
        ("", name("v2")),
        ("application/vnd.example.v1+json, */*;q=0.9", name("v1")),
        ("application/vnd.example.v1+json, */*", accept.clone()),
        (
            "application/vnd.example.v1+json;q=0.5, application/json",
            accept.clone(),
        ),
        ("application/vnd.example.v2+json;q=0.5, */*", name("v2")),
        (
            "application/vnd.example.v1+json, application/vnd.example.v2+json;q=0.1",
            Err(VersionFault::Several),
        ),
        (
            "application/vnd.example.v1+json, application/vnd.example.v1+xml;q=0.5",
            name("v1"),
        ),
        ("application/vnd.example.v1+json;q=0", accept.clone()),
        ("application/vnd.example.v1+json;q=2", accept.clone()),
        ("application/vnd.example.v1+json;q=0.0001", accept.clone()),
        ("nonsense", accept.clone()),
    ] {
        assert_eq!(
            of(&by_subtype, "/", &[("accept", value)]),
            expected,
            "{value}"
        );
    }
    let two = [
        ("accept", "application/vnd.example.v1+json"),
        ("accept", "application/vnd.example.v2+json"),
    ];
    assert_eq!(of(&by_subtype, "/", &two), Err(VersionFault::Several));
    for (value, expected) in [
        ("application/json;version=v1", name("v1")),
        ("application/json; Version=\"v1\"", name("v1")),
        ("application/json;version=v1;version=v2", accept.clone()),
        ("application/json;version=\"v1,v2\"", accept.clone()),
        ("application/json;version=\"v1", accept.clone()),
        ("application/json;version*=UTF-8''v1", accept.clone()),
        (
            "application/json;version=v2;version*=UTF-8''v1",
            accept.clone(),
        ),
        ("application/json;version*0=v1", accept.clone()),
        ("application/json", Ok(None)),
    ] {
        assert_eq!(
            of(&by_parameter, "/", &[("accept", value)]),
            expected,
            "{value}"
        );
    }
    let other = ("a_ccept", "application/json");
    assert!(of(&by_parameter, "/", &[other]).is_ok());
}

#[test]
fn what_takes_too_long_to_tell_is_not_told() {
    let scheme = scheme(vec![VersionPlace::PathSegment(0)], &["v1"], None);
    let mut headers = Headers::default();
    headers.push(b":authority", b"a.example");
    headers.push(b":path", b"/v1");
    let target = Target::parse(b"/v1").unwrap();
    let request = Request {
        headers: &headers,
        authority: &Authority::of(&headers).unwrap(),
        target: &target,
        effort: &Effort::new(0),
    };
    assert_eq!(scheme.of(&request), Err(VersionFault::Effort));
}
