use super::*;
use crate::authn::location::LocationError;
use portcullis_document::{Node, Problems};
use portcullis_exchange::target::{Authority, Target};
use portcullis_wire::effort::Effort;
use portcullis_wire::headers::Headers;
use portcullis_wire::json::Json;

fn locations(written: &str) -> Locations {
    let json = Json::parse(written.as_bytes(), 8).unwrap();
    let mut problems = Problems::default();
    let mut fields = Node::root(&json).fields(&mut problems).unwrap();
    let read = Locations::read(&mut fields, &mut problems);
    problems.into_result(read).unwrap()
}

fn with_request<T>(path: &[u8], fields: &[(&str, &[u8])], see: impl Fn(&Request<'_>) -> T) -> T {
    let mut headers = Headers::default();
    headers.push(b":path", path);
    for (name, value) in fields {
        headers.push(name.as_bytes(), value);
    }
    see(&Request {
        headers: &headers,
        target: &Target::parse(path).unwrap(),
        authority: &Authority::default(),
        effort: &Effort::new(1000),
    })
}

/// Whether a token is found, or several, and what is stray.
fn seen(written: &str, path: &[u8], fields: &[(&str, &[u8])]) -> (bool, Option<Stray>) {
    let locations = locations(written);
    let places = Places::of([&locations].into_iter());
    with_request(path, fields, |request| {
        let found = locations.find(request);
        let stray = places.stray(request).map(|(stray, _)| stray);
        (found.err() != Some(LocationError::Missing), stray)
    })
}

const BEARER: &str = "{}";

fn authorization(value: &[u8]) -> (bool, Option<Stray>) {
    seen(BEARER, b"/a", &[("authorization", value)])
}

const NONE: (bool, Option<Stray>) = (false, None);
const FOUND: (bool, Option<Stray>) = (true, None);
const STRAY: (bool, Option<Stray>) = (false, Some(Stray::Token));

#[test]
fn a_scheme_is_read_exactly_and_whatever_resembles_it_is_seen() {
    for found in [
        "Bearer x",
        "bearer x",
        "BEARER x",
        "Bearer   x",
        "Bearer x y",
        "Bearer x,Bearer y",
    ] {
        assert_eq!(authorization(found.as_bytes()), FOUND, "{found:?}");
    }
    for stray in [
        &b"Bearer\tforged"[..],
        b"Bearer\xa0forged",
        b"Bearer\xc2\xa0forged",
        b"Bearer,forged",
        b"Bearer:forged",
        b"Bearer=forged",
        b"Bearer\"forged\"",
        b"Bearerforged",
        b" Bearer forged",
        b"\tBearer forged",
        b"\xa0Bearer forged",
        b",Bearer forged",
        b"\"Bearer forged\"",
        b"BEARER\tforged",
        b"Basic YTpi,Bearer forged",
        b"Basic YTpi, bearer\tforged",
        b"Basic YTpi Bearer forged",
        b"Basic x,Bearerforged",
        b"XBearer forged",
        b"Digest username=\"bearer\"",
        b"eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.",
        b"Token eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.",
        b"Token token=eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.x",
        b"DPoP x.eyJzdWIiOiJhIn0.x",
        b"JWT IHsic3ViIjoiYSJ9.x",
        b"JWT 77u_eyJzdWIiOiJhIn0.x",
    ] {
        assert_eq!(
            authorization(stray),
            STRAY,
            "{:?}",
            String::from_utf8_lossy(stray)
        );
    }
    for none in [
        "",
        "Basic YTpi",
        "Basic YmVhcmVy/bearer",
        "Basic a/bearer/c+bearer=",
        "Digest username=\"a\", realm=\"example.com\", uri=\"/a.b\"",
        "Negotiate YIIeyJ+/==",
        "AWS4-HMAC-SHA256 Credential=AKID/20150830/us-east-1/iam/aws4_request, Signature=5d6",
        "Token 0123456789.abcdef",
    ] {
        assert_eq!(authorization(none.as_bytes()), NONE, "{none:?}");
    }
    for empty in [
        &b"Bearer"[..],
        b"bearer",
        b"Bearer\t",
        b"Bearer,",
        b" Bearer \xa0",
    ] {
        assert_eq!(authorization(empty), (false, Some(Stray::Empty)));
    }
}

#[test]
fn fields_whose_names_fold_together_are_one_place() {
    let written = r#"{"from_headers": [{"name": "X-Auth-Token"}]}"#;
    let of = |name: &str, value: &[u8]| seen(written, b"/a", &[(name, value)]);
    assert_eq!(of("x-auth-token", b"forged"), FOUND);
    for name in [
        "x_auth_token",
        "x.auth_token",
        "x~auth*token",
        "x-auth_token",
    ] {
        assert_eq!(of(name, b"forged"), STRAY, "{name}");
        assert_eq!(of(name, b" "), NONE, "{name}");
    }
    for other in ["x-auth-tokens", "xauthtoken", "y-auth-token"] {
        assert_eq!(of(other, b"forged"), NONE, "{other}");
    }
}

#[test]
fn schemes_of_any_form_are_looked_for() {
    let of = |prefix: &str, value: &[u8]| {
        let written =
            format!(r#"{{"from_headers": [{{"name": "x-t", "value_prefix": "{prefix}"}}]}}"#);
        seen(&written, b"/a", &[("x-t", value)])
    };
    assert_eq!(of("My Key=", b"my key=abc"), FOUND);
    for stray in [
        &b"My Key abc"[..],
        b"my\tkey=abc",
        b"MyKey=abc",
        b"my-key:abc",
    ] {
        assert_eq!(of("My Key=", stray), STRAY);
    }
    assert_eq!(of("~", b"~abc"), FOUND);
    assert_eq!(of("~", b"abc"), STRAY, "nothing tells where a token begins");
}

#[test]
fn what_one_provider_reads_is_not_stray_to_another() {
    let one = locations(r#"{"from_params": ["tok"]}"#);
    let other = locations(
        r#"{"from_headers": [{"name": "authorization", "value_prefix": "Token "}], "from_params": ["Tok"]}"#,
    );
    let bearer = locations(BEARER);
    let places = Places::of([&one, &other, &bearer].into_iter());
    let jwt = b"Token eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.x";
    let stray = |path: &[u8], value: &[u8]| {
        with_request(path, &[("authorization", value)], |request| {
            places.stray(request).map(|(stray, place)| {
                assert_eq!(stray, Stray::Token);
                place.to_owned()
            })
        })
    };
    assert_eq!(stray(b"/a?tok=x&Tok=y", jwt), None);
    assert_eq!(stray(b"/a?tok=x&TOK=y", jwt).as_deref(), Some("tok"));
    assert_eq!(
        stray(b"/a", b"Basic eyJhbGciOiJub25lIn0.e30.x").as_deref(),
        Some("authorization")
    );
}

#[test]
fn parameters_are_read_exactly_and_whatever_resembles_them_is_seen() {
    let of = |query: &str| {
        let path = format!("/a?{query}");
        seen(r#"{"from_params": ["acc_tok"]}"#, path.as_bytes(), &[])
    };
    for found in [
        "acc_tok=x",
        "a=1&acc_tok=x",
        "acc_tok",
        "acc_tok=",
        "acc_tok=x;y=1",
    ] {
        assert_eq!(of(found), FOUND, "{found}");
    }
    for stray in [
        "x=1;acc_tok=forged",
        "x;acc_tok=forged;y",
        "acc%5Ftok=forged",
        "%61cc_tok=forged",
        "ACC_TOK=forged",
        "acc.tok=forged",
        "acc+tok=forged",
        "acc%20tok=forged",
        "+acc_tok=forged",
        "%20acc_tok=forged",
        "acc_tok+=forged",
        "acc_tok%00x=forged",
        "acc_tok[]=forged",
        "acc_tok%5B%5D=forged",
        "acc_tok[0]=forged",
        "acc_tok[a][b]=forged",
        "acc_tok:list=forged",
        "?acc_tok=forged",
        "%C2%A0acc_tok=forged",
        "acc[tok=forged",
        "x=1&acc%5ftok",
        "%zz=1",
        "a%=1",
    ] {
        assert_eq!(of(stray), STRAY, "{stray}");
    }
    assert_eq!(
        of("acc_tok=x&x=1;acc_tok=forged"),
        (true, Some(Stray::Token))
    );
    for none in [
        "",
        "x=acc_tok",
        "x=1&acc_toks=2",
        "next=/b?acc_tok=1",
        "a;b;c=%zz",
        "acc=1&tok=2",
    ] {
        assert_eq!(of(none), NONE, "{none}");
    }
}

#[test]
fn cookies_are_read_exactly_and_whatever_resembles_them_is_seen() {
    let of = |line: &[u8]| seen(r#"{"from_cookies": ["tok"]}"#, b"/a", &[("cookie", line)]);
    for found in [
        "tok=x",
        "a=1;tok=x",
        "a=1;  tok=x",
        "$Version=1; tok=\"x\"; $Path=/",
        "tok",
        "tok = x",
        "a=\"1; tok=x\"",
    ] {
        assert_eq!(of(found.as_bytes()), FOUND, "{found}");
    }
    for stray in [
        &b"a=1, tok=forged"[..],
        b"a=1,tok=forged",
        b"a=1 tok=forged",
        b"a=1\ttok=forged",
        b"a=\"1\" tok=forged",
        b"a=1 tok =forged",
        b"=tok=forged",
        b"TOK=forged",
        b"\"tok\"=forged",
        b"t%6fk=forged",
        b"tok[]=forged",
        b"tok[a]=forged",
        b"\xa0tok=forged",
        b"tok\xa0=forged",
        b"a=1;\x0btok=forged",
        b"$tok=forged",
        b"tok%00=forged",
    ] {
        assert_eq!(of(stray), STRAY, "{:?}", String::from_utf8_lossy(stray));
    }
    assert_eq!(of(b"tok=x; Tok=forged"), (true, Some(Stray::Token)));
    assert_eq!(of(b"tok=x; a=1 tok=forged"), (true, Some(Stray::Token)));
    for none in ["", "a=tok", "toks=1", "a=1,2; tok.sig=3", "__Host-tok=1"] {
        assert_eq!(of(none.as_bytes()), NONE, "{none}");
    }
}

/// It would take minutes if each place were a beginning.
#[test]
fn a_run_of_punctuation_is_looked_through_once() {
    let block = r#"{"from_headers": [{"name": "x-t", "value_prefix": "-=token="}]}"#;
    let mut line = b"a".to_vec();
    line.resize(1 << 18, b'.');
    assert_eq!(seen(block, b"/a", &[("x-t", &line)]), NONE);
    assert_eq!(seen(block, b"/a", &[("x-t", b"-+token,x")]), STRAY);
    assert_eq!(seen(block, b"/a", &[("x-t", b"a, token x")]), STRAY);
}

/// Texts made of pieces, in an order that looks like none and is always the same.
fn texts(pieces: &[&'static [u8]], count: u64) -> impl Iterator<Item = Vec<u8>> {
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state % u64::try_from(below).unwrap()).unwrap()
    };
    let pieces = pieces.to_vec();
    (0..count).map(move |_| {
        let length = 1 + next(6);
        let picked = (0..length).map(|_| pieces[next(pieces.len())]);
        picked.collect::<Vec<_>>().concat()
    })
}

/// What services make of an `Authorization` field that do not look closely: they split it where there
/// are blanks, take away a word in front, or search for the word.
fn read_loosely(value: &str) -> bool {
    let lower = value.to_lowercase();
    let blank = |c: char| c.is_whitespace() || c == '\u{a0}';
    let mut words = value.split(blank).filter(|word| !word.is_empty());
    let split = words
        .next()
        .is_some_and(|word| word.eq_ignore_ascii_case("bearer"))
        && words.next().is_some();
    let listed = lower.split(',').any(|item| {
        let rest = item.trim_matches(blank).strip_prefix("bearer");
        rest.is_some_and(|rest| rest.contains(char::is_alphanumeric))
    });
    let searched = lower
        .match_indices("bearer")
        .filter_map(|(place, word)| lower.get(place + word.len()..))
        .any(|rest| {
            rest.starts_with(|c| blank(c) || c == ':') && rest.contains(char::is_alphanumeric)
        });
    split || listed || searched || value.contains(JWT)
}

const JWT: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJhIn0.";

#[test]
fn whatever_is_read_loosely_is_a_token_or_refused() {
    let pieces: [&[u8]; 17] = [
        b"Bearer",
        b"bearer",
        b"BEARER",
        b"Basic",
        b"Token",
        b" ",
        b"  ",
        b"\t",
        b",",
        b"\xc2\xa0",
        b":",
        b"=",
        b"\"",
        b";",
        b"x",
        b"YTpi",
        JWT.as_bytes(),
    ];
    let (mut read, mut passed) = (0, 0);
    for text in texts(&pieces, 40_000) {
        let value = String::from_utf8(text).unwrap();
        let seen = authorization(value.as_bytes());
        if read_loosely(&value) {
            read += 1;
            assert_ne!(seen, NONE, "{value:?}");
        } else if seen == NONE {
            passed += 1;
        }
    }
    assert!(read > 10_000 && passed > 2_000, "{read}, {passed}");
}

/// What services make of a query that do not look closely.
fn has_parameter(query: &str) -> bool {
    query.split(['&', ';']).any(|pair| {
        let name = pair.split('=').next().unwrap_or_default();
        let decoded: Vec<u8> = decoded(name.as_bytes()).collect();
        let name = String::from_utf8_lossy(&decoded)
            .replace('+', " ")
            .to_lowercase();
        let name = name.split(['[', '\0']).next().unwrap_or_default();
        name.trim().replace([' ', '.', '-'], "_") == "acc_tok"
    })
}

#[test]
fn whatever_is_a_parameter_to_somebody_is_a_token_or_refused() {
    let pieces: [&[u8]; 19] = [
        b"acc_tok", b"acc", b"_", b"tok", b"ACC", b"%61cc", b"%5F", b"%5f", b".", b"+", b"%20",
        b"[]", b"[0]", b"%5B", b"=", b"&", b";", b"x", b"%00",
    ];
    let (mut read, mut passed) = (0, 0);
    for text in texts(&pieces, 40_000) {
        let query = String::from_utf8(text).unwrap();
        let path = format!("/a?{query}");
        let seen = seen(r#"{"from_params": ["acc_tok"]}"#, path.as_bytes(), &[]);
        if has_parameter(&query) {
            read += 1;
            assert_ne!(seen, NONE, "{query:?}");
        } else if seen == NONE {
            passed += 1;
        }
    }
    assert!(read > 1_000 && passed > 10_000, "{read}, {passed}");
}
