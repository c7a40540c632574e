use std::collections::BTreeSet;

use super::*;

#[test]
fn each_name_has_one_cure() {
    let names = FOREIGN.iter().flat_map(|row| row.names);
    let distinct: BTreeSet<_> = names.clone().collect();
    assert_eq!(distinct.len(), names.clone().count());
    for name in names {
        assert_eq!(snake_case(name), **name);
    }
    for row in FOREIGN {
        let cures = !row.here.is_empty() || !row.instead.is_empty();
        assert!(cures, "{:?}", row.names);
    }
}

#[test]
fn names_of_others_are_told_in_both_spellings() {
    for (written, known, told) in [
        (
            "remote_jwks",
            &["jwks"][..],
            "keys that are fetched are `jwks: {\"remote\": ",
        ),
        (
            "jwksUri",
            &["jwks"],
            "keys that are fetched are `jwks: {\"remote\": ",
        ),
        ("localJwks", &["jwks"], "keys in the document are"),
        ("payloadInMetadata", &["jwks"], "claims go to other filters"),
        (
            "forwardOriginalToken",
            &["forward"],
            "here it is called \"forward\"",
        ),
        (
            "outputPayloadToHeader",
            &["forward_payload_header"],
            "here it is called",
        ),
        (
            "fromHeaders",
            &["from_headers"],
            "did you mean \"from_headers\"?",
        ),
        (
            "prefix",
            &["name", "value_prefix"],
            "here it is called \"value_prefix\"",
        ),
        (
            "allow_origin_string_match",
            &["allow_origins"],
            "here it is called \"allow_origins\"",
        ),
        ("safe_regex", &["regex"], "here it is called \"regex\""),
        ("stat_prefix", &["key"], "leave it out"),
    ] {
        let cure = cure(written, known).unwrap();
        assert!(cure.starts_with(told), "{written}: {cure}");
    }
    assert_eq!(cure("prefix", &["name"]), None);
    assert_eq!(cure("zzz", &["name"]), None);
    assert_eq!(cure("name", &["name"]), None);
}
