use super::*;
use portcullis_document::{Node, Problems};
use portcullis_exchange::refusal::Fact;
use portcullis_wire::json::Json;

const NOW: u64 = 1_000_000;

fn check(payload: &str) -> Result<(), ClaimsError> {
    check_by(Vec::new(), payload)
}

fn rules(subjects: Vec<Check>) -> ClaimRules {
    ClaimRules {
        issuers: Accepted::OneOf(vec!["i".to_owned()]),
        audiences: Accepted::OneOf(vec!["a".to_owned(), "b".to_owned()]),
        subjects,
        clock_skew: Duration::from_secs(60),
        expiration: Expiration::Required,
        max_lifetime: None,
        max_age: None,
        revoked: Revoked::default(),
    }
}

fn check_by(subjects: Vec<Check>, payload: &str) -> Result<(), ClaimsError> {
    rules(subjects)
        .check(payload.as_bytes(), None, Duration::from_secs(NOW))
        .map(|_| ())
        .map_err(|objection| objection.error)
}

fn with(more: &str) -> Result<(), ClaimsError> {
    check(&format!(r#"{{"iss":"i","aud":"a"{more}}}"#))
}

#[test]
fn expiry_is_required_and_exact() {
    use ClaimsError::{Expired, Malformed};
    assert_eq!(with(""), Err(Malformed));
    assert_eq!(with(r#","exp":999941"#), Ok(()));
    assert_eq!(with(r#","exp":999940"#), Err(Expired));
    assert_eq!(with(r#","exp":999940.5"#), Ok(()));
    assert_eq!(with(r#","exp":0"#), Err(Expired));
    assert_eq!(with(r#","exp":253402300799"#), Ok(()));
    for wrong in [
        "-1",
        "\"1100000\"",
        "null",
        "true",
        "[1100000]",
        "253402300800",
        "1e300",
        "1e999",
    ] {
        assert_eq!(
            with(&format!(r#","exp":{wrong}"#)),
            Err(Malformed),
            "{wrong}"
        );
    }
    assert_eq!(with(r#","exp":1100000,"exp":1100000"#), Err(Malformed));
}

#[test]
fn it_is_told_which_claim_is_wrong_and_by_how_much() {
    let said = |more: &str| {
        let payload = format!(r#"{{"iss":"i","aud":"a"{more}}}"#);
        let now = Duration::from_secs(NOW);
        let detail = rules(Vec::new()).check(payload.as_bytes(), None, now);
        let detail = detail.unwrap_err().detail();
        let facts = detail.facts().iter().map(|(_, fact)| match fact {
            Fact::Word(word) => (*word).to_owned(),
            Fact::Number(number) => number.to_string(),
            other => panic!("{other:?}"),
        });
        assert!(detail.signed);
        facts.collect::<Vec<_>>().join(" ")
    };
    for (more, expected) in [
        ("", "exp missing"),
        (r#","exp":999900"#, "exp past 100"),
        (r#","exp":999939.5"#, "exp past 61"),
        (r#","exp":"1100000""#, "exp kind string"),
        (r#","exp":-1"#, "exp out_of_range"),
        (r#","exp":1100000,"nbf":1000061"#, "nbf future 61"),
        (r#","exp":1100000,"iat":1003600"#, "iat future 3600"),
        (r#","sub":[]"#, "sub kind array"),
        (r#","x":{"#, "unreadable"),
    ] {
        assert_eq!(said(more), expected, "{more}");
    }
}

#[test]
fn a_subject_that_is_too_costly_is_not_accepted() {
    let matcher = |written: &str| {
        let json = Json::parse(written.as_bytes(), 4).unwrap();
        let mut problems = Problems::default();
        let mut fields = Node::root(&json).fields(&mut problems).unwrap();
        Check::read_of_text(&mut fields, &mut problems).unwrap()
    };
    let judged = |subject: &str| {
        let subjects = vec![
            matcher(r#"{"regex": ".*a.*"}"#),
            matcher(r#"{"prefix": "b"}"#),
        ];
        let payload = format!(r#"{{"iss":"i","aud":"a","exp":1100000,"sub":"{subject}"}}"#);
        check_by(subjects, &payload)
    };
    assert_eq!(judged("bb"), Ok(()));
    assert_eq!(judged("c"), Err(ClaimsError::Subject));
    assert_eq!(judged(&"b".repeat(1_000_000)), Err(ClaimsError::Effort));
}

#[test]
fn a_token_from_the_future_is_not_accepted() {
    use ClaimsError::{IssuedInFuture, NotYetValid};
    assert_eq!(with(r#","exp":1100000,"nbf":1000060"#), Ok(()));
    assert_eq!(with(r#","exp":1100000,"nbf":1000061"#), Err(NotYetValid));
    assert_eq!(with(r#","exp":1100000,"iat":1000060"#), Ok(()));
    assert_eq!(with(r#","exp":1100000,"iat":1000061"#), Err(IssuedInFuture));
    assert_eq!(
        with(r#","exp":1100000,"nbf":"1""#),
        Err(ClaimsError::Malformed)
    );
    assert_eq!(
        with(r#","exp":1100000,"iat":-5"#),
        Err(ClaimsError::Malformed)
    );
}

#[test]
fn issuer_and_audience_are_compared_whole() {
    use ClaimsError::{Audience, Issuer, Malformed};
    let exp = r#""exp":1100000"#;
    assert_eq!(
        check(&format!(r#"{{"iss":"i","aud":["x","b"],{exp}}}"#)),
        Ok(())
    );
    assert_eq!(
        check(&format!(r#"{{"iss":"I","aud":"a",{exp}}}"#)),
        Err(Issuer)
    );
    assert_eq!(check(&format!(r#"{{"aud":"a",{exp}}}"#)), Err(Issuer));
    assert_eq!(
        check(&format!(r#"{{"iss":["i"],"aud":"a",{exp}}}"#)),
        Err(Malformed)
    );
    assert_eq!(check(&format!(r#"{{"iss":"i",{exp}}}"#)), Err(Audience));
    assert_eq!(
        check(&format!(r#"{{"iss":"i","aud":"ab",{exp}}}"#)),
        Err(Audience)
    );
    assert_eq!(
        check(&format!(r#"{{"iss":"i","aud":[],{exp}}}"#)),
        Err(Audience)
    );
    assert_eq!(
        check(&format!(r#"{{"iss":"i","aud":["a",1],{exp}}}"#)),
        Err(Malformed)
    );
    assert_eq!(check(r#"["iss"]"#), Err(Malformed));
    assert_eq!(check("not json"), Err(Malformed));
}

#[test]
fn whether_times_hold_is_what_checking_them_says() {
    // Around every boundary, with the skew and without.
    let near = |second: f64| [second - 0.5, second, second + 0.5];
    let seconds = [
        NOW as f64 - 160.0,
        NOW as f64 - 60.0,
        NOW as f64,
        NOW as f64 + 60.0,
    ];
    let times: Vec<Option<f64>> = seconds
        .into_iter()
        .flat_map(near)
        .map(Some)
        .chain([None])
        .collect();
    let mut said = [0, 0];
    for max_age in [None, Some(Duration::ZERO), Some(Duration::from_secs(100))] {
        for skew in [0, 60] {
            let rules = ClaimRules {
                max_age,
                clock_skew: Duration::from_secs(skew),
                ..rules(Vec::new())
            };
            for expires in &times {
                for not_before in &times {
                    for issued in &times {
                        let times = Times {
                            expires: *expires,
                            not_before: *not_before,
                            issued: *issued,
                        };
                        let now = Duration::from_secs(NOW);
                        let holds = rules.hold(times, now);
                        assert_eq!(holds, rules.check_times(times, now).is_ok(), "{times:?}");
                        said[usize::from(holds)] += 1;
                    }
                }
            }
        }
    }
    assert!(said.iter().all(|times| *times > 1000), "{said:?}");
}
