use super::*;
use portcullis_wire::json_gate::{Fault, Limits};

fn all(treatment: Treatment) -> Treatments {
    let mut all = Treatments::default();
    for kind in Kind::OF_TEXT {
        all.set(kind, treatment);
    }
    all
}

fn found(text: &str) -> Vec<(&'static str, &str)> {
    let wanted = all(Treatment::Mask);
    let found = Finder::new(text.as_bytes(), &wanted);
    found
        .map(|place| (place.kind.name(), text.get(place.start..place.end).unwrap()))
        .collect()
}

fn only(kind: &'static str, text: &str) {
    assert_eq!(found(text), [(kind, text)], "{text}");
    for around in ["({})", "x: {}, y", "=\"{}\"", "{}.", "/{}/", "'{}'", "{}\n"] {
        let whole = around.replace("{}", text);
        assert_eq!(found(&whole), [(kind, text)], "{whole}");
    }
    for part in ["x{}", "{}x", "_{}", "{}_"] {
        let part = part.replace("{}", text);
        let found = found(&part);
        assert!(found.iter().all(|(_, found)| *found != text), "{part}");
    }
}

#[test]
fn cards_are_found_by_their_ranges_lengths_and_check_digits() {
    for card in [
        "4111111111111111",
        "4111 1111 1111 1111",
        "4111-1111-1111-1111",
        "5555555555554444",
        "2223003122003222",
        "378282246310005",
        "3782 822463 10005",
        "36227206271667",
        "3622 720627 1667",
        "6011111111111117",
        "3530111333300000",
        "6200000000000005",
        "6304000000000000",
        "4222 222 222 222",
    ] {
        only("card", card);
    }
    for none in [
        "4111111111111112",
        "4111 1111-1111 1111",
        "4111  1111 1111 1111",
        "41 11111111111111",
        "4222222222222",
        "1111111111111117",
        "9111111111111111",
        "0.4111111111111111",
        "4111111111111111.5",
        "+4111111111111111",
        "id-4111111111111111",
        "4111111111111111-a",
        "41111111111111111111",
    ] {
        assert_eq!(found(none), [], "{none}");
    }
    assert_eq!(
        found("12 4111 1111 1111 1111 33"),
        [("card", "4111 1111 1111 1111")]
    );
}

#[test]
fn accounts_are_found_by_their_countries_and_check_digits() {
    for iban in [
        "DE89370400440532013000",
        "DE89 3704 0044 0532 0130 00",
        "GB29NWBK60161331926819",
        "gb29nwbk60161331926819",
        "FR1420041010050500013M02606",
        "NO9386011117947",
        "MT84MALT011000012345MTLCAST001S",
        "LC55 HEMM 0001 0001 0012 0012 0002 3015",
    ] {
        only("iban", iban);
    }
    for none in [
        "DE88370400440532013000",
        "DE8937040044053201300",
        "XX89370400440532013000",
        "DE89 37040044 0532 0130 00",
        "DEAD370400440532013000",
    ] {
        assert_eq!(found(none), [], "{none}");
    }
}

#[test]
fn social_security_numbers_have_their_hyphens_and_are_given() {
    only("ssn", "536-90-4399");
    for none in [
        "536904399",
        "536 90 4399",
        "000-12-3456",
        "666-12-3456",
        "900-12-3456",
        "536-00-4399",
        "536-90-0000",
        "1-536-90-4399",
        "536-90-43991",
        "536-90-4399-1",
    ] {
        assert_eq!(found(none), [], "{none}");
    }
}

#[test]
fn tokens_are_found_by_what_they_begin_with() {
    let forms = [
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJl",
        "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0.",
        "eyJhbGciOiJkaXIifQ..aXY.Y2lwaGVydGV4dA.dGFn",
        "AKIAIOSFODNN7EXAMPLE",
        "xoxb-123456789012-abcdefghijkl",
        "sk_live_abcdefghijklmnopqrstuvwx",
        "glpat-abcdefghij0123456789",
    ];
    for token in forms {
        let whole = format!("a: {token}\n");
        assert_eq!(found(&whole), [("token", token)], "{token}");
    }
    let long = "a1B2c3D4e5F6g7H8i9J0k1L2m3N4o5P6q7R8";
    for prefix in ["ghp_", "github_pat_", "npm_", "hf_"] {
        only("token", &format!("{prefix}{long}"));
    }
    for none in [
        "eyJhbGciOiJIUzI1NiJ9",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0",
        "eyJ.a.b",
        "AKIA-IOSFODNN7EXAMPLE",
        "ghp_short",
        "npm_config_registry_of_some_length_that_is_no_token_at_all",
        "eyJxxxxxxxxxx..",
    ] {
        assert_eq!(found(none), [], "{none}");
    }
}

#[test]
fn private_keys_are_found_with_or_without_their_end() {
    let pem = |label: &str| format!("-----BEGIN {label}-----\nMIIE\n-----END {label}-----");
    for label in [
        "PRIVATE KEY",
        "RSA PRIVATE KEY",
        "EC PRIVATE KEY",
        "OPENSSH PRIVATE KEY",
        "ENCRYPTED PRIVATE KEY",
        "PGP PRIVATE KEY BLOCK",
    ] {
        let key = pem(label);
        assert_eq!(found(&format!("a\n{key}\nb")), [("private_key", &*key)]);
    }
    let cut = "-----BEGIN PRIVATE KEY-----\nMIIE";
    assert_eq!(found(cut), [("private_key", cut)]);
    let putty = "PuTTY-User-Key-File-3: ssh-ed25519\nEncryption: none\nPrivate-MAC: 0a1b";
    assert_eq!(found(&format!("{putty}\nx")), [("private_key", putty)]);
    let encoded = "LS0tLS1CRUdJTiBQUklWQVRFIEtFWS0tLS0tCk1JSUU=";
    assert_eq!(found(encoded), [("private_key", encoded)]);
    for none in [
        pem("PUBLIC KEY"),
        pem("CERTIFICATE"),
        pem("OPENSSH PUBLIC KEY"),
        "-----BEGIN".to_owned(),
    ] {
        assert_eq!(found(&none), []);
    }
}

#[test]
fn addresses_are_found_and_file_names_are_not() {
    for address in [
        "a@b.cc",
        "first.last+tag@mail.example.com",
        "o'neil@example.org",
    ] {
        let whole = format!("<{address}>, x");
        assert_eq!(found(&whole), [("email", address)], "{whole}");
    }
    assert_eq!(found("mail a@example.com."), [("email", "a@example.com")]);
    assert_eq!(found("a@b.cc@d.ee"), [("email", "a@b.cc")]);
    for none in [
        "a@b",
        "@b.cc",
        "a@.cc",
        "icon@2x.png",
        "pkg@1.2.3",
        "a@b.c",
        "a@ b.cc",
        "a.@b.cc",
        "@scope/pkg",
        "a@-b.cc",
    ] {
        assert_eq!(found(none), [], "{none}");
    }
}

/// Whatever is repeated, one text takes no more than a few steps a byte: a test that would not end otherwise.
#[test]
fn no_text_is_gone_through_over_and_over() {
    let wanted = all(Treatment::Mask);
    for piece in [
        "eyJaaaaaaaa-",
        "eyJaaaaaaaa-AKIAIOSFODNN7EXAMPLE-",
        "-----BEGIN ",
        "-----BEGIN RSA PRIVATE KE",
        "ghp_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa_",
        "whsec_aaaaaaaaaaaaaaaaaaaaaaaaaaaaa/",
        "a@",
        "aaaa@b",
        "4111 ",
        "DE89 3704 ",
        "eyJ.",
        "glrt-",
        "LS0tLS1CRUdJTiBQUklWQVRF+",
        "PuTTY-User-Key-File-",
    ] {
        let text = piece.repeat((1 << 18) / piece.len());
        assert!(Finder::new(text.as_bytes(), &wanted).count() <= text.len() / 5);
        for kind in Kind::OF_TEXT {
            let mut wanted = Treatments::default();
            wanted.set(kind, Treatment::Mask);
            assert!(Finder::new(text.as_bytes(), &wanted).all(|place| place.kind == kind));
        }
    }
}

const LIMITS: Limits = Limits {
    depth: 64,
    ..Limits::GENEROUS
};

fn rules(members: &[(&str, Treatment)]) -> Selectors {
    let mut selectors = Selectors::default();
    for (selector, treatment) in members {
        assert!(selectors.add(Selector::parse(selector).unwrap(), *treatment));
    }
    selectors
}

fn redacted(text: &str, selectors: &Selectors, wanted: &Treatments) -> (String, Findings) {
    let mut findings = Findings::default();
    let out = redact_json(text.as_bytes(), &LIMITS, selectors, wanted, &mut findings).unwrap();
    let out = out.map(|out| String::from_utf8(out.bytes().to_vec()).unwrap());
    (out.unwrap_or_else(|| text.to_owned()), findings)
}

fn by_members(text: &str, members: &[(&str, Treatment)]) -> String {
    let (out, _) = redacted(text, &rules(members), &Treatments::default());
    let (again, _) = redacted(&out, &rules(members), &Treatments::default());
    assert_eq!(again, out, "what is redacted stays so");
    out
}

use Treatment::{Forbid, Mask, Remove};

#[test]
fn members_are_masked_where_they_stand() {
    let text =
        r#"{ "user" : {"ssn":"1", "n": 1.50e0 } ,"list":[{"ssn":[1,2]},{"a":{"ssn":{"x":1}}}] }"#;
    assert_eq!(
        by_members(text, &[("/user/ssn", Mask)]),
        r#"{ "user" : {"ssn":"****", "n": 1.50e0 } ,"list":[{"ssn":[1,2]},{"a":{"ssn":{"x":1}}}] }"#
    );
    assert_eq!(
        by_members(text, &[("SSN", Mask)]),
        r#"{ "user" : {"ssn":"****", "n": 1.50e0 } ,"list":[{"ssn":"****"},{"a":{"ssn":"****"}}] }"#
    );
    assert_eq!(
        by_members(text, &[("/list/*/ssn", Mask)]),
        r#"{ "user" : {"ssn":"1", "n": 1.50e0 } ,"list":[{"ssn":"****"},{"a":{"ssn":{"x":1}}}] }"#
    );
    assert_eq!(
        by_members(text, &[("/list/1", Mask), ("/user", Remove)]),
        r#"{ "list":[{"ssn":[1,2]},"****"] }"#
    );
    assert_eq!(
        by_members(r#"{"\u0061":1}"#, &[("/a", Mask)]),
        r#"{"\u0061":"****"}"#
    );
    assert_eq!(
        by_members(r#"{"a/b":1,"c~":2}"#, &[("/a~1b", Mask), ("/c~0", Mask)]),
        r#"{"a/b":"****","c~":"****"}"#
    );
    assert_eq!(by_members(r#"{"a":null}"#, &[("a", Mask)]), r#"{"a":null}"#);
    assert_eq!(by_members(r#"{"A":1}"#, &[("/a", Mask)]), r#"{"A":1}"#);
}

#[test]
fn commas_go_with_members_that_go() {
    let members = [("x", Remove)];
    for (text, expected) in [
        (r#"{"x":1}"#, "{}"),
        (r#"{ "x" : 1 }"#, "{  }"),
        (r#"{"x":1,"a":2}"#, r#"{"a":2}"#),
        (r#"{ "x":1 , "a":2 }"#, r#"{ "a":2 }"#),
        (r#"{"a":1,"x":2}"#, r#"{"a":1}"#),
        (r#"{"a":1 , "x":2 }"#, r#"{"a":1 }"#),
        (r#"{"a":1,"x":{"y":[1,{}]},"b":3}"#, r#"{"a":1,"b":3}"#),
        (r#"{"x":1,"X":2}"#, "{}"),
        (r#"{"x":1,"X":2,"b":3}"#, r#"{"b":3}"#),
        (r#"{"a":1,"x":1,"X":2}"#, r#"{"a":1}"#),
        (r#"{"a":1,"x":1,"X":2,"b":3}"#, r#"{"a":1,"b":3}"#),
        (
            r#"{"a":{"x":1},"x":2,"b":[{"x":1,"c":1}]}"#,
            r#"{"a":{},"b":[{"c":1}]}"#,
        ),
        (r#"[{"x":"]}"},{"x":"\""}]"#, "[{},{}]"),
    ] {
        assert_eq!(by_members(text, &members), expected);
    }
    assert_eq!(
        by_members("[1,[2],null]", &[("/*", Remove)]),
        "[null,null,null]"
    );
    assert_eq!(by_members("[1,2]", &[("/1", Remove)]), "[1,null]");
}

#[test]
fn texts_are_masked_inside_of_strings() {
    let by = |treatment, text: &str| redacted(text, &Selectors::default(), &all(treatment)).0;
    for (text, masked, removed) in [
        (
            r#"{"a":"pay 4111 1111 1111 1111 now","b":1}"#,
            r#"{"a":"pay ****1111 now","b":1}"#,
            r#"{"b":1}"#,
        ),
        (
            r#"["x\/\u00e9 a@b.cc \ud83d\ude00"]"#,
            r#"["x\/\u00e9 **** \ud83d\ude00"]"#,
            "[null]",
        ),
        (
            r#"["\u0034111111111111111\t!"]"#,
            r#"["****1111\t!"]"#,
            "[null]",
        ),
        (
            r#"["4\u00311111111111111\u0031"]"#,
            r#"["****1111"]"#,
            "[null]",
        ),
        (
            "[4111111111111111, 4111111111111112]",
            r#"["****1111", 4111111111111112]"#,
            "[null, 4111111111111112]",
        ),
        ("4111111111111111", "\"****1111\"", "null"),
        (r#"{"a@b.cc":1,"c":2}"#, r#"{"c":2}"#, r#"{"c":2}"#),
        (
            r#"{"c":[{"a@b.cc":{"d":"e@f.gg"}}]}"#,
            r#"{"c":[{}]}"#,
            r#"{"c":[{}]}"#,
        ),
        (
            "[4111111111111111.0,-4111111111111111]",
            "[4111111111111111.0,-4111111111111111]",
            "[4111111111111111.0,-4111111111111111]",
        ),
    ] {
        assert_eq!(by(Mask, text), masked);
        assert_eq!(by(Remove, text), removed);
        assert_eq!(by(Forbid, text), text);
    }
}

#[test]
fn what_a_mask_leaves_is_looked_at_again() {
    let token = format!("ghp_{}", "a".repeat(36));
    let text = format!(r#"["4111111111111111-{token}"]"#);
    let (out, findings) = redacted(&text, &Selectors::default(), &all(Mask));
    assert_eq!(out, r#"["****1111-****"]"#);
    assert_eq!(
        (findings.count(Kind::Card), findings.count(Kind::Token)),
        (1, 1)
    );
}

#[test]
fn findings_say_where_and_never_what() {
    let text = r#"{"a~/b":["x",{"mail":"a@b.cc, c@d.ee"}],"k@l.mm":{"x":1},"forbidden":1}"#;
    let (_, findings) = redacted(text, &rules(&[("/forbidden", Forbid)]), &all(Mask));
    let places: Vec<(&str, &str)> = findings
        .places
        .iter()
        .map(|(kind, place)| (kind.name(), place.as_str()))
        .collect();
    assert_eq!(
        places,
        [
            ("email", "/a~0~1b/1/mail"),
            ("email", "/a~0~1b/1/mail"),
            ("email", "/*"),
            ("member", "/forbidden"),
        ]
    );
    assert_eq!(
        (findings.count(Kind::Email), findings.count(Kind::Member)),
        (3, 0)
    );
    assert_eq!(findings.first_forbidden(), Some(Kind::Member));
    let many = format!("[{}\"a@b.cc\"]", "\"a@b.cc\",".repeat(100));
    let (_, findings) = redacted(&many, &Selectors::default(), &all(Mask));
    assert_eq!(
        (findings.count(Kind::Email), findings.places.len()),
        (101, 8)
    );
    let deep = format!(
        "{}\"a@b.cc\"{}",
        "{\"abcdefgh\":".repeat(60),
        "}".repeat(60)
    );
    let (_, findings) = redacted(&deep, &Selectors::default(), &all(Mask));
    let (_, place) = &findings.places[0];
    assert!(place.ends_with("/…") && place.len() <= 140, "{place}");
}

#[test]
fn what_is_no_strict_json_is_not_rewritten() {
    let judged = |text: &str| {
        let mut findings = Findings::default();
        let wanted = all(Mask);
        let out = redact_json(
            text.as_bytes(),
            &LIMITS,
            &Selectors::default(),
            &wanted,
            &mut findings,
        );
        out.map(|out| out.is_some())
    };
    assert_eq!(judged(r#"{"a":1,"a":"a@b.cc"}"#), Err(Fault::DuplicateKey));
    assert_eq!(judged(r#"["a@b.cc""#), Err(Fault::Syntax));
    assert_eq!(judged("[\"a@b.cc\",\"\\ud800\"]"), Err(Fault::Surrogate));
    assert_eq!(judged(&"[".repeat(200)), Err(Fault::Depth));
    assert_eq!(judged("[1]"), Ok(false));
}

#[test]
fn plain_texts_are_masked_too() {
    let by = |treatment, text: &str| {
        let mut findings = Findings::default();
        let out = redact_text(text.as_bytes(), &all(treatment), &mut findings).unwrap();
        let out = out.map(|out| String::from_utf8(out.bytes().to_vec()).unwrap());
        (
            out,
            findings.count(Kind::Email),
            findings.forbidden(Kind::Email),
        )
    };
    let text = "To: a@b.cc\nCc: \\u0061@d.ee";
    assert_eq!(
        by(Mask, text),
        (Some("To: ****\nCc: \\****".to_owned()), 2, 0)
    );
    assert_eq!(by(Remove, text), (Some("To: \nCc: \\".to_owned()), 2, 0));
    assert_eq!(by(Forbid, text), (None, 0, 2));
    assert_eq!(by(Mask, "nothing"), (None, 0, 0));
}

#[test]
fn selectors_say_what_they_cover() {
    let covers = |one: &str, other: &str| {
        let parse = |text| Selector::parse(text).unwrap();
        parse(one).covers(&parse(other))
    };
    assert!(covers("/a", "/a/b") && covers("/*", "/a") && covers("/a/*", "/a/b/c"));
    assert!(covers("ssn", "SSN") && covers("user", "/User/ssn"));
    assert!(!covers("/a", "/b") && !covers("/a/b", "/a") && !covers("/a", "/*"));
    assert!(!covers("1", "/1/a") && !covers("/ssn", "ssn"));
    assert_eq!(Selector::parse(""), Err(SelectorFault::Empty));
    assert_eq!(Selector::parse("/a~2"), Err(SelectorFault::Escape));
    assert_eq!(Selector::parse(&"/a".repeat(129)), Err(SelectorFault::Deep));
}

#[test]
fn without_memory_nothing_is_rewritten() {
    use portcullis_wire::budget::{Share, reserve};
    let text = format!(r#"["{} a@b.cc"]"#, "x".repeat(1 << 16));
    let spent = reserve(Share::Bodies, Share::Bodies.most() - (1 << 15)).unwrap();
    let mut findings = Findings::default();
    let judged = |findings: &mut Findings| {
        let none = Selectors::default();
        redact_json(text.as_bytes(), &LIMITS, &none, &all(Mask), findings).map(|out| out.is_some())
    };
    assert_eq!(judged(&mut findings), Err(Fault::Memory));
    drop(spent);
    assert_eq!(judged(&mut findings), Ok(true));
}

/// Numbers by the generator of Knuth's MMIX.
struct Numbers(u64);

impl Iterator for Numbers {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        Some(self.0 ^ self.0 >> 33)
    }
}

/// Of texts that only look like something by chance, how many do: in a hundred thousand of each.
#[test]
fn how_often_texts_look_like_something_by_chance() {
    let digits = |number: u64, most: u32| {
        format!(
            "{:0width$}",
            number % 10u64.pow(most),
            width = most as usize
        )
    };
    type Make<'m> = &'m dyn Fn(u64, u64) -> String;
    let uuid = |a: u64, b: u64| {
        format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            a >> 32,
            a >> 16 & 0xffff,
            a & 0xfff,
            b >> 52,
            b & 0xffff_ffff_ffff
        )
    };
    let made: [(&str, Make<'_>, usize); 10] = [
        ("16 digits", &|a, _| digits(a, 16), 2900),
        ("15 digits", &|a, _| digits(a, 15), 300),
        ("14 digits", &|a, _| digits(a, 14), 500),
        ("13 digits", &|a, _| digits(a, 13), 0),
        ("64-bit ids", &|a, _| (a >> 1).to_string(), 300),
        (
            "milliseconds",
            &|a, _| (1_500_000_000_000 + a % 500_000_000_000).to_string(),
            0,
        ),
        (
            "microseconds",
            &|a, _| (1_500_000_000_000_000 + a % 500_000_000_000_000).to_string(),
            0,
        ),
        (
            "nanoseconds",
            &|a, _| (1_500_000_000_000_000_000 + a % 500_000_000_000_000_000).to_string(),
            0,
        ),
        ("UUIDs", &uuid, 10),
        (
            "SHA-256",
            &|a, b| format!("{a:016x}{b:016x}{:016x}{:016x}", !a, !b),
            0,
        ),
    ];
    for (name, make, most) in made {
        let mut numbers = Numbers(1);
        let mut hits = 0;
        for _ in 0..100_000 {
            let (a, b) = (numbers.next().unwrap(), numbers.next().unwrap());
            hits += found(&make(a, b)).len();
        }
        assert!(hits <= most, "{name}: {hits} of 100000");
    }
}
