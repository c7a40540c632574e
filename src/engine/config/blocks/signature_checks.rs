//! What is said of keys and providers that share the checks of a token, and of their caches.

use crate::engine::Engine;

const POINT: &str =
    r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;

fn set(members: &[&str]) -> String {
    let keys: Vec<String> = members
        .iter()
        .map(|more| format!("{{{POINT}{more}}}"))
        .collect();
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

fn notes(keys: &[&str], more: &str) -> Vec<String> {
    let document = format!(
        r#"{{"version":1,"providers":{{"corp":{{"issuer":"x","audiences":"any","jwks":{{"inline":{}}}{more}}}}},
        "routes":[{{"name":"a","match":{{}},"jwt":{{"provider":"corp"}}}}]}}"#,
        set(keys)
    );
    let engine = Engine::compile(document.as_bytes()).unwrap();
    engine.notes().to_vec()
}

#[test]
fn keys_that_are_not_all_tried_are_noted() {
    assert_eq!(notes(&["", ""], ""), [""; 0]);
    let named = [r#","kid":"a""#, r#","kid":"b""#, r#","kid":"c""#];
    assert_eq!(
        notes(&named, ""),
        [
            "provider \"corp\": 3 keys can check EdDSA, and a token without `kid` is tried against 2 of them; set `require_kid`, or raise `max_signature_checks`"
        ]
    );
    assert_eq!(notes(&named, r#","require_kid":true"#), [""; 0]);
    assert_eq!(notes(&named, r#","max_signature_checks":3"#), [""; 0]);
    let one = [r#","kid":"a""#, ""];
    assert_eq!(
        notes(&one, r#","require_kid":true"#),
        [
            "provider \"corp\": 1 of its keys have no `kid` and are never used, since `require_kid` is set"
        ]
    );
}

#[test]
fn providers_that_share_an_issuer_and_the_checks_are_noted() {
    let noted = |issuers: [&str; 3], more: &str| {
        let provider = |(number, issuer): (usize, &str)| {
            let keys = set(&[""]);
            format!(
                r#""p{number}":{{"issuer":"{issuer}","audiences":"any","jwks":{{"inline":{keys}}}{more}}}"#
            )
        };
        let providers: Vec<String> = issuers.into_iter().enumerate().map(provider).collect();
        let document = format!(
            r#"{{"version":1,"providers":{{{}}},"routes":[{{"name":"a","match":{{}},
            "jwt":{{"any_of":[{{"provider":"p0"}},{{"provider":"p1"}},{{"provider":"p2"}},{{"provider":"p2"}}]}}}}]}}"#,
            providers.join(",")
        );
        let engine = Engine::compile(document.as_bytes()).unwrap();
        let shared = engine.notes().iter().filter(|note| note.starts_with('/'));
        shared.cloned().collect::<Vec<_>>().join(" ")
    };
    let note = "/routes/0/jwt/any_of: one issuer's tokens may be of several of these providers, which have 3 keys for EdDSA; one without `kid` is tried against 2 of them; set `require_kid`, or raise `max_signature_checks`";
    assert_eq!(noted(["any", "any", "any"], ""), note);
    assert_eq!(noted(["x", "x", "any"], ""), note);
    assert_eq!(noted(["x", "y", "any"], ""), "");
    assert_eq!(noted(["x", "y", "z"], ""), "");
    assert_eq!(noted(["x", "x", "x"], r#","max_signature_checks":3"#), "");
}

#[test]
fn caches_that_could_take_more_than_there_is_do_not_load() {
    let document = |count: usize, cache: &str| {
        let one = |number: usize| {
            format!(
                r#""p{number}":{{"issuer":"any","audiences":"any","jwks":{{"inline":{}}}{cache}}}"#,
                set(&[""])
            )
        };
        let providers: Vec<String> = (0..count).map(one).collect();
        let document = format!(
            r#"{{"version":1,"providers":{{{}}},"routes":[{{"name":"a","match":{{}},"open":true}}]}}"#,
            providers.join(",")
        );
        Engine::compile(document.as_bytes()).map(|_| ())
    };
    assert_eq!(document(40, ""), Ok(()));
    let large = r#","jwt_cache":{"max_bytes":"32MiB"}"#;
    assert_eq!(document(2, large), Ok(()));
    let error = document(3, large).unwrap_err().to_string();
    assert!(
        error.starts_with("/providers/p2: here the document passes the 64 MiB"),
        "{error}"
    );
}
