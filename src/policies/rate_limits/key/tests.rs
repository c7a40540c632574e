use super::*;
use crate::rate_limits::named::LimitNames;
use portcullis_document::{Node, Problems};
use portcullis_exchange::policy::Stage;
use portcullis_exchange::principal::{CredentialKind, Principal, Roles};
use portcullis_exchange::target::Target;
use portcullis_memory_host::MemoryHost;
use portcullis_wire::headers::Headers;
use portcullis_wire::json::Json;
use portcullis_wire::json::compact::Compact;

fn key(text: &str) -> Key {
    let json = Json::parse(text.as_bytes(), 8).unwrap();
    let mut problems = Problems::default();
    let key = Key::read(&Node::root(&json), &LimitNames::default(), &mut problems);
    problems.into_result(key).unwrap()
}

/// One request, and what is known of it.
struct Sent {
    client: &'static str,
    path: &'static str,
    headers: &'static [(&'static str, &'static str)],
    claims: Option<&'static str>,
}

const PLAIN: Sent = Sent {
    client: "192.0.2.1:40000",
    path: "/users/7/posts?key=a%62c",
    headers: &[("x-api-key", "k1")],
    claims: None,
};

fn of<T>(sent: &Sent, take: impl FnOnce(&Caller<'_>) -> T) -> T {
    let mut headers = Headers::default();
    headers.push(b":method", b"GET");
    headers.push(b":path", sent.path.as_bytes());
    for (name, value) in sent.headers {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    let target = Target::parse(sent.path.as_bytes()).unwrap();
    let mut facts = Facts::default();
    facts.principal = sent.claims.map(|claims| Principal {
        kind: CredentialKind::Jwt,
        authority: "corp".into(),
        attributes: Compact::parse(claims.as_bytes(), 8).unwrap(),
        roles: Roles::default(),
    });
    let host = MemoryHost::new().with_client(sent.client);
    take(&Caller {
        request: Request {
            headers: &headers,
            authority: &portcullis_exchange::target::Authority::default(),
            target: &target,
            effort: &portcullis_wire::regex::Effort::new(1000),
        },
        route: "users",
        facts: &facts,
        host: &host,
    })
}

fn text(written: &str, sent: &Sent) -> Result<String, KeyError> {
    of(sent, |caller| key(written).text(caller))
}

fn bytes_of(key: &Key, caller: &Caller<'_>) -> Result<Vec<u8>, KeyError> {
    let mut bytes = Vec::new();
    key.pieces(caller, &mut |piece| bytes.extend_from_slice(piece))?;
    Ok(bytes)
}

#[test]
fn parts_are_read_from_the_request() {
    for (written, expected) in [
        (r#"["client_address"]"#, "client_address=192.0.2.1"),
        (
            r#"[{"client_address": {"v4_prefix_mask_len": 24}}]"#,
            "client_address=192.0.2.0/24",
        ),
        (r#"[{"header": "X-API-Key"}]"#, "header.x-api-key=k1"),
        (r#"[{"query_parameter": "key"}]"#, "query_parameter.key=abc"),
        (
            r#"[{"path_template": ["/a/{b}", "/users/{id}/posts"]}]"#,
            "path_template=/users/{id}/posts",
        ),
        (r#"["method", "route"]"#, "method=GET|route=users"),
        (r#"[{"constant": "a b|c"}]"#, "constant=a%20b%7Cc"),
        ("[]", ""),
    ] {
        assert_eq!(text(written, &PLAIN).as_deref(), Ok(expected));
    }
}

#[test]
fn claims_are_read_from_an_accepted_token_alone() {
    let known = Sent {
        claims: Some(r#"{"sub": "a,b", "plan": {"name": "gold"}, "n": 7, "l": ["x"], "e": ""}"#),
        ..PLAIN
    };
    for (written, expected) in [
        (r#"["subject"]"#, "subject=corp,a%2Cb"),
        (r#"[{"claim": "/plan/name"}]"#, "claim./plan/name=gold"),
        (r#"[{"claim": "n"}]"#, "claim.n=7"),
    ] {
        assert_eq!(text(written, &known).as_deref(), Ok(expected));
        assert_eq!(text(written, &PLAIN), Err(KeyError::Missing));
        assert_eq!(key(written).stage(), Stage::Identity);
    }
    for none in [
        r#"[{"claim": "l"}]"#,
        r#"[{"claim": "e"}]"#,
        r#"[{"claim": "x"}]"#,
    ] {
        assert_eq!(text(none, &known), Err(KeyError::Missing), "{none}");
    }
    assert_eq!(
        key(r#"["client_address", "route"]"#).stage(),
        Stage::Arrival
    );
}

#[test]
fn what_is_not_there_or_twice_is_no_key() {
    let twice = Sent {
        headers: &[("x-api-key", "k1"), ("x-api-key", "k1")],
        path: "/a?key=1&k%65y=1",
        ..PLAIN
    };
    for written in [
        r#"[{"header": "x-api-key"}]"#,
        r#"[{"query_parameter": "key"}]"#,
    ] {
        assert_eq!(text(written, &twice), Err(KeyError::Repeated));
    }
    let bare = Sent {
        headers: &[("x-api-key", "")],
        path: "/a",
        client: "/run/socket",
        ..PLAIN
    };
    for written in [
        r#"["client_address"]"#,
        r#"[{"header": "x-api-key"}]"#,
        r#"[{"query_parameter": "key"}]"#,
        r#"[{"path_template": ["/b"]}]"#,
    ] {
        assert_eq!(text(written, &bare), Err(KeyError::Missing), "{written}");
    }
}

#[test]
fn networks_have_one_key() {
    let written = r#"["client_address"]"#;
    let bytes = |client| {
        of(&Sent { client, ..PLAIN }, |caller| {
            bytes_of(&key(written), caller)
        })
    };
    assert_eq!(bytes("[2001:db8::1]:1"), bytes("[2001:db8::ffff:2]:2"));
    assert_ne!(bytes("[2001:db8::1]:1"), bytes("[2001:db8:0:1::1]:1"));
    assert_eq!(bytes("[::ffff:192.0.2.1]:1"), bytes("192.0.2.1:9"));
    assert_ne!(bytes("192.0.2.2:1"), bytes("192.0.2.1:1"));
}

#[test]
fn no_two_lists_of_values_are_one_key() {
    let written = r#"[{"header": "a"}, {"header": "b"}]"#;
    let one: &[(&str, &str)] = &[("a", "x|header.b=y"), ("b", "z")];
    let other: &[(&str, &str)] = &[("a", "x"), ("b", "y|header.b=z")];
    let both = [one, other].map(|headers| {
        let headers = headers.to_vec().leak();
        let sent = Sent { headers, ..PLAIN };
        of(&sent, |caller| {
            let key = key(written);
            (bytes_of(&key, caller).unwrap(), key.text(caller).unwrap())
        })
    });
    assert_ne!(both[0].0, both[1].0);
    assert_ne!(both[0].1, both[1].1);
}

#[test]
fn header_values_are_bounded() {
    let value = |longest| {
        let value = of(&PLAIN, |caller| {
            key(r#"[{"header": "x-api-key"}]"#).header_value(caller, longest)
        });
        String::from_utf8(value.unwrap().as_bytes().to_vec()).unwrap()
    };
    assert_eq!(value(64), "header.x-api-key=k1");
    assert_eq!(value(8).len(), "sha256=".len() + 64);
    let digest = of(&PLAIN, |caller| {
        key(r#"[{"header": "x-api-key"}]"#).digest(caller)
    });
    assert_eq!(digest.unwrap().as_bytes(), value(0).as_bytes());
}

#[test]
fn what_is_no_part_is_explained() {
    for (wrong, problem) in [
        (
            r#"["clientaddress"]"#,
            "/0: must be one of \"client_address\", \"subject\", \"claimed_subject\", \"country\", \"asn\", \"method\", \"route\", \"version\", or an object with one of \"client_address\", \"network\", \"claim\", \"header\", \"query_parameter\", \"path_template\", \"constant\"; did you mean \"client_address\"?",
        ),
        (
            r#"[{}]"#,
            "/0: needs one of \"client_address\", \"network\", \"claim\", \"header\", \"query_parameter\", \"path_template\", \"constant\"",
        ),
        (
            r#"[{"claim": "a", "header": "b"}]"#,
            "/0/header: cannot stand beside `claim`; make it a part of its own",
        ),
        (
            r#"[{"client_address": {"v4_prefix_mask_len": 33}}]"#,
            "/0/client_address/v4_prefix_mask_len: must be a whole number from 0 to 32",
        ),
    ] {
        let json = Json::parse(wrong.as_bytes(), 8).unwrap();
        let mut problems = Problems::default();
        let key = Key::read(&Node::root(&json), &LimitNames::default(), &mut problems);
        let error = problems.into_result(key).unwrap_err();
        assert_eq!(error.problems[0].to_string(), problem);
    }
}
