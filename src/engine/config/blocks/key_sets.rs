//! What is said of key sets.

use crate::engine::Engine;

fn notes(jwks: &str, issuer: &str) -> Vec<String> {
    let document = format!(
        r#"{{"version":1,"providers":{{"corp":{{"issuer":"{issuer}","audiences":"any","jwks":{jwks}}}}},
        "routes":[{{"name":"a","match":{{}},"jwt":{{"provider":"corp"}}}}]}}"#
    );
    let engine = Engine::compile(document.as_bytes()).unwrap();
    engine.notes().to_vec()
}

fn inline(member: &str) -> Vec<String> {
    let key = r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;
    notes(
        &format!(r#"{{"inline":{{"keys":[{{{key}{member}}}]}}}}"#),
        "https://a.example",
    )
}

#[test]
fn misspelt_members_are_noted_and_unknown_ones_are_not() {
    for (member, meant) in [
        ("kdi", "kid"),
        ("Alg", "alg"),
        ("usee", "use"),
        ("key-ops", "key_ops"),
    ] {
        assert_eq!(
            inline(&format!(r#","{member}":"x""#)),
            [format!(
                "/providers/corp/jwks/inline/keys/0/{member}: ignored; did you mean \"{meant}\"?"
            )]
        );
    }
    let usual = r#","kid":"a","alg":"EdDSA","use":"sig","key_ops":["verify"],"x5t":"x","x5c":[],"exp":1,"ext":true"#;
    assert_eq!(inline(usual), [""; 0]);
}

#[test]
fn an_issuer_whose_tokens_are_not_accepted_is_noted() {
    let discovery =
        |issuer: &str| format!(r#"{{"discovery":{{"cluster":"idp","issuer":"{issuer}"}}}}"#);
    let found = notes(&discovery("https://a.example"), "https://b.example");
    assert_eq!(found.len(), 1);
    assert!(found[0].starts_with("/providers/corp/jwks/discovery: keys are taken"));
    let (same, any) = ("https://a.example", "any");
    assert_eq!(notes(&discovery(same), same), [""; 0]);
    assert_eq!(
        notes(&discovery(same), any),
        [
            "provider \"corp\": `issuer` is \"any\": whatever its keys sign is accepted, for every issuer and for none; write the issuer, if there is one"
        ]
    );
}

#[test]
fn members_beside_keys_are_ignored_and_noted() {
    let set = |more: &str| {
        let key =
            r#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#;
        let set = format!(r#"{{"inline":{{{more}"keys":[{key}]}}}}"#);
        notes(&set, "https://a.example")
    };
    assert_eq!(set(""), [""; 0]);
    assert_eq!(
        set(r#""issuer":"x","Keys":[],"#),
        [
            "/providers/corp/jwks/inline: only `keys` of a JWK Set is read (RFC 7517 §5); ignored: \"issuer\", \"Keys\""
        ]
    );
    let many: String = (0..9).map(|n| format!(r#""m{n}":"secret","#)).collect();
    assert_eq!(
        set(&many),
        [
            "/providers/corp/jwks/inline: only `keys` of a JWK Set is read (RFC 7517 §5); ignored: \"m0\", \"m1\", \"m2\", \"m3\" and 5 more"
        ]
    );
}
