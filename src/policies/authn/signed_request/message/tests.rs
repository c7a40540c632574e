//! The examples of RFC 9421, appendix B, and what it asks of verifiers, section by section.

use std::time::Duration;

use super::*;
use crate::authn::signed_request::refusals::{EARLY, MISMATCH};
use portcullis_memory_host::MemoryHost;
use portcullis_wire::json::Json;

/// The keys of appendix B.1: B.1.2, B.1.3, B.1.4 and B.1.5.
const KEYS: &str = r#"[
    {"id": "test-key-rsa-pss", "algorithm": "rsa-pss-sha512", "jwk": {"kty": "RSA", "e": "AQAB", "n": "r4tmm3r20Wd_PbqvP1s2-QEtvpuRaV8Yq40gjUR8y2Rjxa6dpG2GXHbPfvMs8ct-Lh1GH45x28Rw3Ry53mm-oAXjyQ86OnDkZ5N8lYbggD4O3w6M6pAvLkhk95AndTrifbIFPNU8PPMO7OyrFAHqgDsznjPFmTOtCEcN2Z1FpWgchwuYLPL-Wokqltd11nqqzi-bJ9cvSKADYdUAAN5WUtzdpiy6LbTgSxP7ociU4Tn0g5I6aDZJ7A8Lzo0KSyZYoA485mqcO0GVAdVw9lq4aOT9v6d-nb4bnNkQVklLQ3fVAvJm-xdDOp9LCNCN48V2pnDOkFV6-U9nV5oyc6XI2w"}},
    {"id": "test-key-ecc-p256", "algorithm": "ecdsa-p256-sha256", "jwk": {"kty": "EC", "crv": "P-256", "x": "qIVYZVLCrPZHGHjP17CTW0_-D9Lfw0EkjqF7xB4FivA", "y": "Mc4nN9LTDOBhfoUeg8Ye9WedFRhnZXZJA12Qp0zZ6F0"}},
    {"id": "test-key-ed25519", "algorithm": "ed25519", "jwk": {"kty": "OKP", "crv": "Ed25519", "x": "JrQLj5P_89iXES9-vFgrIy29clF9CC_oPPsw3c5D0bs"}},
    {"id": "test-shared-secret", "algorithm": "hmac-sha256", "secret": {"env": "SECRET"}, "secret_encoding": "base64"}
]"#;
const SECRET: &str =
    "uzvJfB4u3N0Jy4T7NZ75MDVcr8zSTInedJtkgcu46YW4XByzNJjxBdtjUkdJPBtbmHhIDi6pcl8jsasjlTMtDQ==";
const CREATED: u64 = 1_618_884_473;
const BODY: &[u8] = b"{\"hello\": \"world\"}";
const DIGEST_512: &str = "sha-512=:WZDPaVn/7XgHaAy8pmojAkGWoRx2UFChF41A2svX+TaPm+AbwAgBWnrIiYllu7BNNyealdVLvRwEmTHWXvJwew==:";

/// `test-request` of appendix B.2.
const REQUEST: &[(&str, &str)] = &[
    (":method", "POST"),
    (":scheme", "https"),
    (":authority", "example.com"),
    (":path", "/foo?param=Value&Pet=dog"),
    ("date", "Tue, 20 Apr 2021 02:07:55 GMT"),
    ("content-type", "application/json"),
    ("content-digest", DIGEST_512),
    ("content-length", "18"),
];

/// Each: its section, the label with the input, and the signature.
const EXAMPLES: [(&str, &str, &str); 5] = [
    (
        "B.2.1",
        "sig-b21=();created=1618884473;keyid=\"test-key-rsa-pss\";nonce=\"b3k2pp5k7z-50gnwp.yemd\"",
        "sig-b21=:d2pmTvmbncD3xQm8E9ZV2828BjQWGgiwAaw5bAkgibUopemLJcWDy/lkbbHAve4cRAtx31Iq786U7it++wgGxbtRxf8Udx7zFZsckzXaJMkA7ChG52eSkFxykJeNqsrWH5S+oxNFlD4dzVuwe8DhTSja8xxbR/Z2cOGdCbzR72rgFWhzx2VjBqJzsPLMIQKhO4DGezXehhWwE56YCE+O6c0mKZsfxVrogUvA4HELjVKWmAvtl6UnCh8jYzuVG5WSb/QEVPnP5TmcAnLH1g+s++v6d4s8m0gCw1fV5/SITLq9mhho8K3+7EPYTU8IU1bLhdxO5Nyt8C8ssinQ98Xw9Q==:",
    ),
    (
        "B.2.2",
        "sig-b22=(\"@authority\" \"content-digest\" \"@query-param\";name=\"Pet\");created=1618884473;keyid=\"test-key-rsa-pss\";tag=\"header-example\"",
        "sig-b22=:LjbtqUbfmvjj5C5kr1Ugj4PmLYvx9wVjZvD9GsTT4F7GrcQEdJzgI9qHxICagShLRiLMlAJjtq6N4CDfKtjvuJyE5qH7KT8UCMkSowOB4+ECxCmT8rtAmj/0PIXxi0A0nxKyB09RNrCQibbUjsLS/2YyFYXEu4TRJQzRw1rLEuEfY17SARYhpTlaqwZVtR8NV7+4UKkjqpcAoFqWFQh62s7Cl+H2fjBSpqfZUJcsIk4N6wiKYd4je2U/lankenQ99PZfB4jY3I5rSV2DSBVkSFsURIjYErOs0tFTQosMTAoxk//0RoKUqiYY8Bh0aaUEb0rQl3/XaVe4bXTugEjHSw==:",
    ),
    (
        "B.2.3",
        "sig-b23=(\"date\" \"@method\" \"@path\" \"@query\" \"@authority\" \"content-type\" \"content-digest\" \"content-length\");created=1618884473;keyid=\"test-key-rsa-pss\"",
        "sig-b23=:bbN8oArOxYoyylQQUU6QYwrTuaxLwjAC9fbY2F6SVWvh0yBiMIRGOnMYwZ/5MR6fb0Kh1rIRASVxFkeGt683+qRpRRU5p2voTp768ZrCUb38K0fUxN0O0iC59DzYx8DFll5GmydPxSmme9v6ULbMFkl+V5B1TP/yPViV7KsLNmvKiLJH1pFkh/aYA2HXXZzNBXmIkoQoLd7YfW91kE9o/CCoC1xMy7JA1ipwvKvfrs65ldmlu9bpG6A9BmzhuzF8Eim5f8ui9eH8LZH896+QIF61ka39VBrohr9iyMUJpvRX2Zbhl5ZJzSRxpJyoEZAFL2FUo5fTIztsDZKEgM4cUA==:",
    ),
    (
        "B.2.5",
        "sig-b25=(\"date\" \"@authority\" \"content-type\");created=1618884473;keyid=\"test-shared-secret\"",
        "sig-b25=:pxcQw6G3AjtMBQjwo8XzkZf/bws5LelbaMk5rGIGtE8=:",
    ),
    (
        "B.2.6",
        "sig-b26=(\"date\" \"@method\" \"@path\" \"@authority\" \"content-type\" \"content-length\");created=1618884473;keyid=\"test-key-ed25519\"",
        "sig-b26=:wqcAqbmYJ2ji2glfAMaRy4gruYYnx2nEFN2HN6jrnDnQCK1u02Gb04v9EDgwUPiu4A0w6vuQv5lIp5WPpBKRCw==:",
    ),
];

/// A signer with the keys of the RFC and these other members.
fn signer(others: &str) -> MessageSignatures {
    let text = format!("{{\"keys\": {KEYS}{others}}}");
    let json = Json::parse(text.as_bytes(), 8).unwrap();
    let mut problems = Problems::default();
    let read = MessageSignatures::read(&Node::root(&json), &mut problems);
    let read = problems.into_result(read);
    read.unwrap_or_else(|error| panic!("{error}"))
}

/// One that asks for nothing but a signature.
fn lenient() -> MessageSignatures {
    signer(r#", "components": [], "content_digest": "optional""#)
}

fn headers(fields: &[(&str, &str)]) -> Headers {
    let mut headers = Headers::default();
    for (name, value) in fields {
        headers.push(name.as_bytes(), value.as_bytes());
    }
    headers
}

/// A request with this signature beside its fields.
fn signed(fields: &[(&str, &str)], input: &str, signature: &str) -> Headers {
    let mut headers = headers(fields);
    headers.push(b"signature-input", input.as_bytes());
    headers.push(b"signature", signature.as_bytes());
    headers
}

/// The request without a field, or with another value for it.
fn changed<'f>(name: &str, value: Option<&'f str>) -> Vec<(&'f str, &'f str)> {
    let fields = REQUEST.iter().copied();
    fields
        .filter_map(|(each, own)| match each == name {
            true => value.map(|value| (each, value)),
            false => Some((each, own)),
        })
        .collect()
}

fn judge_at<'s>(
    signer: &'s MessageSignatures,
    headers: &Headers,
    now: u64,
) -> Result<SignedMessage<'s>, &'static Reason> {
    let period = Period::new(Duration::from_secs(now), 300);
    let host = MemoryHost::new().with_variable("SECRET", SECRET);
    let judged = signer.judge_head(headers, BodyState::Open, &period, &host);
    judged.map_err(|refusal| refusal.reason)
}

fn reason(signer: &MessageSignatures, headers: &Headers) -> Option<&'static Reason> {
    judge_at(signer, headers, CREATED).err()
}

/// Signed with the shared secret, by what is said to be covered and by this base.
fn mac(fields: &[(&str, &str)], input: &str, base: &str) -> Headers {
    use hmac_sha256::HMAC;
    use jwt_simple::reexports::ct_codecs::{Base64, Decoder as _, Encoder as _};
    let secret = Base64::decode_to_vec(SECRET, None).unwrap();
    let base = format!("{base}\"@signature-params\": {input}");
    let tag = Base64::encode_to_string(HMAC::mac(base, secret)).unwrap();
    signed(fields, &format!("s={input}"), &format!("s=:{tag}:"))
}

/// Whichever key signs it, and whatever a signature says of itself.
#[test]
fn what_is_covered_makes_a_message() {
    let identity = |input: &str| {
        let signer = signer(r#", "components": [], "content_digest": "optional""#);
        let base = "\"@method\": POST\n";
        let message = mac(REQUEST, input, base);
        judge_at(&signer, &message, CREATED)
            .map(|signed| signed.identity)
            .ok()
    };
    let usual = "(\"@method\");created=1618884473;keyid=\"test-shared-secret\"";
    let of = |input: &str| identity(input).unwrap_or_else(|| panic!("{input}"));
    assert_eq!(of(usual), of(&format!("{usual};tag=\"a\"")));
    assert_eq!(of(usual), of(&format!("{usual};expires=1618884500")));
    assert_ne!(of(usual), of(&usual.replace("4473", "4474")));
    assert_ne!(of(usual), of(&format!("{usual};nonce=\"a\"")));
    let mut alike = REQUEST.to_vec();
    alike.push(("content_type", "text/plain"));
    let input = "(\"content-type\");created=1618884473;keyid=\"test-shared-secret\"";
    let message = mac(&alike, input, "\"content-type\": application/json\n");
    assert_eq!(reason(&lenient(), &message), Some(&REPEATED));
}

/// Appendix B.2 but for B.2.4, which is a response's. Each is good, and is not for any other request.
#[test]
fn the_examples_of_appendix_b_2() {
    for (section, input, signature) in EXAMPLES {
        let good = signed(REQUEST, input, signature);
        assert_eq!(reason(&lenient(), &good), None, "{section}");
        let label = input.split_once('=').unwrap().0;
        // The whole query has each of its parameters.
        let covers = |name: &str| {
            let has = |name: &str| input.contains(&format!("\"{name}\""));
            has(name) || (name == "@query-param" && has("@query"))
        };
        for (covered, name, value) in [
            ("@authority", ":authority", "example.org"),
            ("@method", ":method", "PUT"),
            ("@path", ":path", "/fou?param=Value&Pet=dog"),
            ("@query", ":path", "/foo?param=value&Pet=dog"),
            ("@query-param", ":path", "/foo?param=Value&Pet=cat"),
            ("date", "date", "Tue, 20 Apr 2021 02:07:56 GMT"),
            ("content-type", "content-type", "text/plain"),
            ("content-length", "content-length", "19"),
        ] {
            let other = signed(&changed(name, Some(value)), input, signature);
            let expected = covers(covered).then_some(&MISMATCH);
            assert_eq!(reason(&lenient(), &other), expected, "{section}: {covered}");
        }
        let (_, tag) = signature.split_once(':').unwrap();
        let forged = format!("{label}=:{}", tag.replace('A', "B"));
        assert_ne!(forged, signature, "{section}");
        let forged = signed(REQUEST, input, &forged);
        assert!(reason(&lenient(), &forged).is_some(), "{section}");
        let other_key = input.replace("test-key-rsa-pss", "test-key-ed25519");
        let other_key = signed(REQUEST, &other_key, signature);
        let is_rsa = input.contains("rsa");
        assert_eq!(
            reason(&lenient(), &other_key).is_some(),
            is_rsa,
            "{section}"
        );
    }
}

/// Appendix B.3: a proxy signs what it has found of the client's certificate.
#[test]
fn the_example_of_appendix_b_3() {
    let certificate = ":MIIBqDCCAU6gAwIBAgIBBzAKBggqhkjOPQQDAjA6MRswGQYDVQQKDBJMZXQncyBBdXRoZW50aWNhdGUxGzAZBgNVBAMMEkxBIEludGVybWVkaWF0ZSBDQTAeFw0yMDAxMTQyMjU1MzNaFw0yMTAxMjMyMjU1MzNaMA0xCzAJBgNVBAMMAkJDMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE8YnXXfaUgmnMtOXU/IncWalRhebrXmckC8vdgJ1p5Be5F/3YC8OthxM4+k1M6aEAEFcGzkJiNy6J84y7uzo9M6NyMHAwCQYDVR0TBAIwADAfBgNVHSMEGDAWgBRm3WjLa38lbEYCuiCPct0ZaSED2DAOBgNVHQ8BAf8EBAMCBsAwEwYDVR0lBAwwCgYIKwYBBQUHAwIwHQYDVR0RAQH/BBMwEYEPYmRjQGV4YW1wbGUuY29tMAoGCCqGSM49BAMCA0gAMEUCIBHda/r1vaL6G3VliL4/Di6YK0Q6bMjeSkC3dFCOOB8TAiEAx/kHSB4urmiZ0NX5r5XarmPk0wmuydBVoU4hBVZ1yhk=:";
    let input = "ttrp=(\"@path\" \"@query\" \"@method\" \"@authority\" \"client-cert\");created=1618884473;keyid=\"test-key-ecc-p256\"";
    let signature = "ttrp=:xVMHVpawaAC/0SbHrKRs9i8I3eOs5RtTMGCWXm/9nvZzoHsIg6Mce9315T6xoklyy0yzhD9ah4JHRwMLOgmizw==:";
    let with = |certificate| {
        let mut fields = changed(":authority", Some("service.internal.example"));
        fields.push(("client-cert", certificate));
        signed(&fields, input, signature)
    };
    assert_eq!(reason(&lenient(), &with(certificate)), None);
    assert_eq!(reason(&lenient(), &with(":AAAA:")), Some(&MISMATCH));
}

/// Appendix B.4: what a message may go through on its way, and what it may not.
#[test]
fn the_example_of_appendix_b_4() {
    let input = "transform=(\"@method\" \"@path\" \"@authority\" \"accept\");created=1618884473;keyid=\"test-key-ed25519\"";
    let signature = "transform=:ZT1kooQsEHpZ0I1IjCqtQppOmIqlJPeo7DHR3SoMn0s5JZ1eRGS0A+vyYP9t/LXlh5QMFFQ6cpLt2m0pmj3NDA==:";
    let request = |method, authority, path, accepts: &[&'static str]| {
        let mut fields = vec![
            (":method", method),
            (":scheme", "https"),
            (":authority", authority),
            (":path", path),
        ];
        fields.extend(accepts.iter().map(|value| ("accept", *value)));
        reason(&lenient(), &signed(&fields, input, signature))
    };
    let (path, both) = (
        "/demo?name1=Value1&Name2=value2",
        &["application/json", "*/*"][..],
    );
    for (method, authority, path, accepts, expected) in [
        ("GET", "example.org", path, both, None),
        ("GET", "example.org", "/demo?param=added", both, None),
        (
            "GET",
            "EXAMPLE.org:443",
            path,
            &["application/json, */*"],
            None,
        ),
        ("POST", "example.com", path, both, Some(&MISMATCH)),
        (
            "GET",
            "example.org",
            path,
            &["*/*", "application/json"],
            Some(&MISMATCH),
        ),
        ("GET", "example.org", path, &[], Some(&COMPONENTS)),
    ] {
        let found = request(method, authority, path, accepts);
        assert_eq!(found, expected, "{method} {authority} {accepts:?}");
    }
}

/// §2.1: values of a field are trimmed and joined in order. §2.1.2, §2.1.3: members of dictionaries, and bytes.
/// §7.5.1: names that begin with `@` are of no field.
#[test]
fn fields_are_taken_as_section_2_1_says() {
    let fields = [
        (":method", "GET"),
        (":path", "/"),
        (":authority", "example.com"),
        ("x-two", "  one "),
        ("x-two", "two, three"),
        ("x-empty", ""),
        ("x-latin", "caf\u{e9}"),
        ("example-dict", "a=1, b=2;x=1;y=2, c=(a   b c), d"),
        // §7.5.1: what begins so is no field, whatever a server lets through.
        ("@method", "POST"),
    ];
    for (component, value) in [
        ("\"x-two\"", "one, two, three"),
        ("\"x-empty\"", ""),
        ("\"x-two\";bs", ":b25l:, :dHdvLCB0aHJlZQ==:"),
        ("\"x-latin\";bs", ":Y2Fmw6k=:"),
        ("\"@method\"", "GET"),
        ("\"example-dict\";key=\"a\"", "1"),
        ("\"example-dict\";key=\"b\"", "2;x=1;y=2"),
        ("\"example-dict\";key=\"c\"", "(a b c)"),
        ("\"example-dict\";key=\"d\"", "?1"),
        ("\"host\"", "example.com"),
    ] {
        let input = format!("({component});created={CREATED};keyid=\"test-shared-secret\"");
        let request = mac(&fields, &input, &format!("{component}: {value}\n"));
        assert_eq!(reason(&lenient(), &request), None, "{component}");
    }
}

/// §2.2: the components of a request that are no fields.
#[test]
fn derived_components_are_those_of_section_2_2() {
    for (authority, path, component, value) in [
        ("www.example.com", "/path?param=value", "@method", "GET"),
        (
            "www.example.com",
            "/path?param=value",
            "@target-uri",
            "https://www.example.com/path?param=value",
        ),
        ("WWW.Example.com:443", "/", "@authority", "www.example.com"),
        (
            "www.example.com:8443",
            "/",
            "@authority",
            "www.example.com:8443",
        ),
        ("www.example.com", "/", "@scheme", "https"),
        (
            "www.example.com",
            "/path?param=value",
            "@request-target",
            "/path?param=value",
        ),
        ("www.example.com", "/path?param=value", "@path", "/path"),
        ("www.example.com", "?a", "@path", "/"),
        (
            "www.example.com",
            "/path?param=value&foo=bar&baz=bat%2Dman",
            "@query",
            "?param=value&foo=bar&baz=bat%2Dman",
        ),
        (
            "www.example.com",
            "/path?queryString",
            "@query",
            "?queryString",
        ),
        ("www.example.com", "/path", "@query", "?"),
        ("www.example.com", "/path?", "@query", "?"),
    ] {
        let fields = [
            (":method", "GET"),
            (":scheme", "https"),
            (":authority", authority),
            (":path", path),
        ];
        let input = format!("(\"{component}\");created={CREATED};keyid=\"test-shared-secret\"");
        let request = mac(&fields, &input, &format!("\"{component}\": {value}\n"));
        assert_eq!(reason(&lenient(), &request), None, "{component} {path}");
    }
    // Where clients see another service than the proxy.
    let signer = signer(r#", "components": [], "origin": "https://api.example.com""#);
    let fields = [
        (":method", "GET"),
        (":scheme", "http"),
        (":authority", "10.0.0.1:8080"),
        (":path", "/a"),
    ];
    let input = format!("(\"@target-uri\");created={CREATED};keyid=\"test-shared-secret\"");
    let request = mac(
        &fields,
        &input,
        "\"@target-uri\": https://api.example.com/a\n",
    );
    assert_eq!(reason(&signer, &request), None);
}

/// §2, §2.2.8, §2.4, §2.5: what makes a signature base impossible, and is an error for a verifier.
#[test]
fn a_base_that_cannot_be_made_is_an_error() {
    let fields = [
        (":method", "GET"),
        (":scheme", "https"),
        (":authority", "example.com"),
        (":path", "/?a=1&a=2&b=3"),
        ("x-a", "a=1"),
        ("x-latin", "\u{e4}"),
        ("x-dict", "a=1, a=2"),
    ];
    for (section, covered) in [
        ("2: each identifier once", "\"@method\" \"@method\""),
        (
            "2: each identifier once",
            "\"x-a\";key=\"a\" \"x-a\";key=\"a\"",
        ),
        ("2.1: names in lower case", "\"X-A\""),
        ("2.1: a field that is not there", "\"x-b\""),
        ("2.1.2: a member that is not there", "\"x-a\";key=\"b\""),
        ("2.1.2: no dictionary", "\"x-dict\";key=\"a\""),
        ("2.2: unknown", "\"@unknown\""),
        ("2.2.8: the name of a parameter", "\"@query-param\""),
        (
            "2.2.8: a parameter that comes twice",
            "\"@query-param\";name=\"a\"",
        ),
        (
            "2.2.8: a parameter that is not there",
            "\"@query-param\";name=\"c\"",
        ),
        ("2.2.9: a status is a response's", "\"@status\""),
        ("2.3: not itself", "\"@signature-params\""),
        ("2.4: no request of a request", "\"@method\";req"),
        ("2.5: unknown parameters", "\"x-a\";foo"),
        ("2.5: one line of ASCII", "\"x-latin\""),
        ("not taken here: types of fields", "\"x-a\";sf"),
        ("not taken here: trailers", "\"x-a\";tr"),
        ("two ways to be taken", "\"x-a\";bs;key=\"a\""),
    ] {
        let input = format!("({covered});created={CREATED};keyid=\"test-shared-secret\"");
        let request = mac(&fields, &input, "");
        assert_eq!(reason(&lenient(), &request), Some(&COMPONENTS), "{section}");
    }
}

/// §2.2: what is derived is printable and has no blanks at its ends; §2.5: fields may have tabs.
#[test]
fn a_derived_value_is_printable() {
    for (name, value, component, expected) in [
        (":path", "/a b", "@path", None),
        (":path", "/a\tb", "@path", Some(&COMPONENTS)),
        (":path", "/a ", "@path", Some(&COMPONENTS)),
        (":path", "/a? ", "@query", Some(&COMPONENTS)),
        (":method", " GET", "@method", Some(&COMPONENTS)),
        ("date", "a\tb", "date", None),
    ] {
        let fields = changed(name, Some(value));
        let input = format!("(\"{component}\");created={CREATED};keyid=\"test-shared-secret\"");
        let request = mac(&fields, &input, &format!("\"{component}\": {value}\n"));
        assert_eq!(reason(&lenient(), &request), expected, "{value:?}");
    }
}

/// §2.3 and §3.2: what a signature says of itself.
#[test]
fn parameters_are_judged_as_sections_2_3_and_3_2_say() {
    let base = "\"@method\": POST\n";
    let judged = |signer: &MessageSignatures, parameters: &str, now| {
        let request = mac(REQUEST, &format!("(\"@method\"){parameters}"), base);
        judge_at(signer, &request, now).err()
    };
    let key = ";keyid=\"test-shared-secret\"";
    let created = format!(";created={CREATED}");
    for (parameters, now, expected) in [
        (format!("{created}{key}"), CREATED, None),
        (format!("{created}{key}"), CREATED + 300, None),
        (format!("{created}{key}"), CREATED + 301, Some(&OLD)),
        (format!("{created}{key}"), CREATED - 301, Some(&EARLY)),
        (
            format!("{created}{key};expires={}", CREATED + 9),
            CREATED + 9,
            None,
        ),
        (
            format!("{created}{key};expires={}", CREATED + 9),
            CREATED + 10,
            Some(&OLD),
        ),
        (
            format!("{created}{key};expires={}", CREATED - 1),
            CREATED,
            Some(&FORMAT),
        ),
        (format!("{created}{key};alg=\"hmac-sha256\""), CREATED, None),
        (
            format!("{created}{key};alg=\"ed25519\""),
            CREATED,
            Some(&ALGORITHM),
        ),
        (
            format!("{created}{key};alg=\"none\""),
            CREATED,
            Some(&ALGORITHM),
        ),
        (
            format!("{created};keyid=\"test-key-rsa-pss\";alg=\"hmac-sha256\""),
            CREATED,
            Some(&ALGORITHM),
        ),
        (
            format!("{created};keyid=\"test-key-ed25519\""),
            CREATED,
            Some(&MISMATCH),
        ),
        (format!("{created};keyid=\"another\""), CREATED, Some(&KEY)),
        (created.clone(), CREATED, Some(&KEY)),
        (key.to_owned(), CREATED, Some(&FORMAT)),
        (
            format!(";created=\"{CREATED}\"{key}"),
            CREATED,
            Some(&FORMAT),
        ),
        (format!(";created={CREATED}.0{key}"), CREATED, Some(&FORMAT)),
        (format!(";created=-1{key}"), CREATED, Some(&FORMAT)),
        (format!("{created}{key};nonce=1"), CREATED, Some(&FORMAT)),
        (format!("{created}{key};tag=t"), CREATED, Some(&FORMAT)),
        (
            format!("{created};keyid=test-shared-secret"),
            CREATED,
            Some(&FORMAT),
        ),
        (format!("{created}{key};unknown=?0"), CREATED, None),
    ] {
        assert_eq!(
            judged(&lenient(), &parameters, now),
            expected,
            "{parameters} {now}"
        );
    }
    let nonce = signer(r#", "components": [], "content_digest": "optional", "nonce": "required""#);
    let plain = format!("{created}{key}");
    assert_eq!(judged(&nonce, &plain, CREATED), Some(&NONCE));
    assert_eq!(
        judged(&nonce, &format!("{plain};nonce=\"n\""), CREATED),
        None
    );
    let tagged = signer(r#", "components": [], "content_digest": "optional", "tag": "a""#);
    assert_eq!(judged(&tagged, &plain, CREATED), Some(&KEY));
    assert_eq!(
        judged(&tagged, &format!("{plain};tag=\"b\""), CREATED),
        Some(&KEY)
    );
    assert_eq!(
        judged(&tagged, &format!("{plain};tag=\"a\""), CREATED),
        None
    );
}

/// §3.2, step 1, §4.1 and §4.2: which signature it is.
#[test]
fn one_signature_is_chosen_and_has_both_its_parts() {
    let good = |label: &str| {
        let input = format!("{label}=(\"@method\");created={CREATED};keyid=\"test-shared-secret\"");
        let signature = mac(
            REQUEST,
            input.split_once('=').unwrap().1,
            "\"@method\": POST\n",
        );
        let value = signature.one("signature").unwrap().unwrap();
        let value = String::from_utf8(value.to_vec()).unwrap();
        (
            input,
            format!("{label}{}", value.strip_prefix('s').unwrap()),
        )
    };
    let ((one, one_tag), (two, two_tag)) = (good("one"), good("two"));
    let other = format!("x=();created={CREATED};keyid=\"of-somebody-else\"");
    let labelled = signer(r#", "components": [], "content_digest": "optional", "label": "two""#);
    for (signer, input, signature, expected) in [
        (&lenient(), one.clone(), one_tag.clone(), None),
        (
            &lenient(),
            format!("{one}, {two}"),
            format!("{one_tag}, {two_tag}"),
            Some(&REPEATED),
        ),
        (
            &labelled,
            format!("{one}, {two}"),
            format!("{two_tag}, {one_tag}"),
            None,
        ),
        // §4: a label in one of the fields alone, though another is meant.
        (
            &labelled,
            format!("{one}, {two}"),
            two_tag.clone(),
            Some(&FORMAT),
        ),
        (
            &labelled,
            two.clone(),
            format!("{one_tag}, {two_tag}"),
            Some(&FORMAT),
        ),
        (&labelled, one.clone(), one_tag.clone(), Some(&KEY)),
        (
            &lenient(),
            format!("{other}, {one}"),
            format!("{one_tag}, x=:AA==:"),
            None,
        ),
        (
            &lenient(),
            format!("{one}, {one}"),
            one_tag.clone(),
            Some(&FORMAT),
        ),
        (
            &lenient(),
            one.clone(),
            format!("{one_tag}, {one_tag}"),
            Some(&FORMAT),
        ),
        (&lenient(), one.clone(), two_tag.clone(), Some(&FORMAT)),
        (&lenient(), one.clone(), String::new(), Some(&FORMAT)),
        (
            &lenient(),
            String::new(),
            one_tag.clone(),
            Some(&NO_SIGNATURE),
        ),
        (
            &lenient(),
            one.clone(),
            "one=\"AA==\"".to_owned(),
            Some(&FORMAT),
        ),
        (&lenient(), one.clone(), "one=()".to_owned(), Some(&FORMAT)),
        (
            &lenient(),
            "one=1".to_owned(),
            one_tag.clone(),
            Some(&FORMAT),
        ),
        (
            &lenient(),
            "one=(a)".to_owned(),
            one_tag.clone(),
            Some(&FORMAT),
        ),
        (
            &lenient(),
            format!("one=({})", "\"x\" ".repeat(40)),
            one_tag.clone(),
            Some(&COMPONENTS),
        ),
        (
            &lenient(),
            "a".repeat(LONGEST),
            one_tag.clone(),
            Some(&FORMAT),
        ),
    ] {
        let request = signed(REQUEST, &input, &signature);
        assert_eq!(reason(signer, &request), expected, "{input} {signature}");
    }
    // In two lines, the same.
    let mut lines = signed(REQUEST, &other, "x=:AA==:");
    lines.push(b"signature-input", one.as_bytes());
    lines.push(b"signature", one_tag.as_bytes());
    assert_eq!(reason(&lenient(), &lines), None);
}

/// §3.2.1 and §7.2.1, §7.2.8: what an application asks for is covered, and the body by its digest.
#[test]
fn what_has_to_be_covered_is() {
    let strict = signer("");
    let method = "\"@method\": POST\n";
    let whole = [
        ("\"@authority\"", "\"@authority\": example.com\n"),
        ("\"@path\"", "\"@path\": /foo\n"),
        ("\"@query\"", "\"@query\": ?param=Value&Pet=dog\n"),
        (
            "\"content-digest\"",
            &format!("\"content-digest\": {DIGEST_512}\n"),
        ),
    ];
    let judged = |signer: &MessageSignatures, left_out: Option<usize>| {
        let parts = whole
            .iter()
            .enumerate()
            .filter(|(at, _)| Some(*at) != left_out);
        let (names, lines): (Vec<&str>, Vec<&str>) = parts.map(|(_, part)| *part).unzip();
        let input = format!(
            "(\"@method\" {});created={CREATED};keyid=\"test-shared-secret\"",
            names.join(" ")
        );
        let request = mac(REQUEST, &input, &format!("{method}{}", lines.concat()));
        judge_at(signer, &request, CREATED).map(|message| message.body)
    };
    let Ok(SignedBody::Digest(mut check)) = judged(&strict, None) else {
        panic!("it is good, and the body has to bear it out");
    };
    check.update(BODY);
    assert!(check.end());
    for left_out in 0..3 {
        assert_eq!(
            judged(&strict, Some(left_out)).err(),
            Some(&COMPONENTS),
            "{left_out}"
        );
    }
    assert_eq!(judged(&strict, Some(3)).err(), Some(&UNSIGNED_BODY));
    let named = signer(r#", "components": ["date"], "content_digest": "optional""#);
    assert_eq!(judged(&named, None).err(), Some(&COMPONENTS));
    // A whole covers its parts.
    let input =
        format!("(\"@method\" \"@target-uri\");created={CREATED};keyid=\"test-shared-secret\"");
    let base = format!("{method}\"@target-uri\": https://example.com/foo?param=Value&Pet=dog\n");
    let fields = changed("content-length", None);
    let request = mac(&fields, &input, &base);
    let judged = judge_at(&strict, &request, CREATED).map(|message| message.body);
    assert!(matches!(judged, Ok(SignedBody::Empty)));
}

/// What a library of others has signed: see `tests/vectors/interop`.
#[test]
fn what_http_message_signatures_signs_is_good() {
    const MADE: &str =
        include_str!("../../../../../tests/vectors/interop/http-message-signatures.json");
    let secret = include_str!("../../../../../tests/keys/hmac.txt");
    let made = Json::parse(MADE.as_bytes(), 8).unwrap();
    let Some(Json::Array(messages)) = made.as_object().unwrap().member("messages") else {
        panic!("there are messages");
    };
    for message in messages {
        let member = |name| message.as_object().unwrap().member(name).unwrap();
        let text = |name| member(name).as_str().unwrap();
        let material = match text("key") {
            "hmac" => r#""secret": {"env": "SECRET"}"#.to_owned(),
            _ => format!("\"jwk\": {}", member("jwk")),
        };
        let (id, algorithm) = (text("key"), text("algorithm"));
        let keys = format!("[{{\"id\": \"{id}\", \"algorithm\": \"{algorithm}\", {material}}}]");
        let json = format!("{{\"keys\": {keys}, \"nonce\": \"required\"}}");
        let json = Json::parse(json.as_bytes(), 8).unwrap();
        let mut problems = Problems::default();
        let signer = MessageSignatures::read(&Node::root(&json), &mut problems).unwrap();
        let fields = |path| {
            [
                (":method", "POST"),
                (":scheme", "https"),
                (":authority", "shop.example.com"),
                (":path", path),
                ("content-type", "application/json"),
                ("content-digest", text("content_digest")),
                ("content-length", "20"),
            ]
        };
        let judged = |path| {
            let fields = fields(path);
            let request = signed(&fields, text("signature_input"), text("signature"));
            let period = Period::new(Duration::from_secs(1_700_000_030), 300);
            let host = MemoryHost::new().with_variable("SECRET", secret);
            let judged = signer.judge_head(&request, BodyState::Open, &period, &host);
            judged
                .map(|message| message.body)
                .map_err(|refusal| refusal.reason)
        };
        let Ok(SignedBody::Digest(mut check)) = judged("/orders/7?dry=1&note=a%20b+c") else {
            panic!("{algorithm} is good");
        };
        check.update(text("body").as_bytes());
        assert!(check.end(), "{algorithm}");
        let other = judged("/orders/8?dry=1&note=a%20b+c").err();
        assert_eq!(other, Some(&MISMATCH), "{algorithm}");
    }
    assert_eq!(messages.len(), 6);
}
