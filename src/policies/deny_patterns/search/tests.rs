use super::*;
use crate::deny_patterns::place::PLACES;
use portcullis_detect::{Detector, Sensitivity};
use portcullis_exchange::body::Inspection;

pub(in crate::deny_patterns) fn policy() -> DenyPatterns {
    DenyPatterns {
        detector: Detector::new(Classes::ALL),
        sensitivity: Sensitivity::Medium,
        own: Vec::new(),
        places: PLACES.map(|(_, place)| place).to_vec(),
        except: Vec::new(),
        max_bytes: 1000,
        inspection: Inspection::Stream,
    }
}

fn outcome(search: Search<'_>) -> Option<(&'static str, String)> {
    let (refusal, _) = search.outcome?;
    let place = refusal.violations.first();
    let place = place.map(|violation| violation.instance.clone());
    Some((refusal.reason.name, place.unwrap_or_default()))
}

#[test]
fn what_would_take_too_much_is_refused() {
    let policy = policy();
    for (place, body) in [
        (SearchedPart::Json, &br#"["a long text of nothing"]"#[..]),
        (SearchedPart::Form, b"a=a+long+text+of+nothing"),
    ] {
        let mut search = Search::new(&policy, Effort::new(10), Scores::default());
        search.body(place, body, None);
        assert_eq!(outcome(search), Some(("effort", String::new())));
    }
}

#[test]
fn what_stands_between_two_tags_is_one_text() {
    let policy = policy();
    let found = |body: &str| {
        let mut search = Search::new(&policy, Effort::new(100_000), Scores::default());
        search.body(SearchedPart::Xml, body.as_bytes(), None);
        outcome(search)
    };
    let at = Some(("xml", "/xml".to_owned()));
    let hidden = "<a>1 uni<![CDATA[on sel]]>ect pass&#119;ord fr<!-- -->om users</a>";
    assert_eq!(found(hidden), at);
    assert_eq!(found(r#"<a b="x' or 1=1 -- "/>"#), at);
    assert_eq!(
        found("<a>union</a><b/>"),
        Some(("body_unread", String::new()))
    );
    assert_eq!(
        found("<table><script/><a href='x'>a select few</a></table>"),
        None
    );
}

#[test]
fn what_is_in_base64_is_judged_where_people_put_it() {
    let policy = policy();
    let (attack, harmless) = ("eCcgb3IgMT0xIC0tID4+Pz8=", "UGxlYXNlIGNhbGwgYmFjay4=");
    let of_body = |place, body: String| {
        let mut search = Search::new(&policy, Effort::new(10_000), Scores::default());
        search.body(place, body.as_bytes(), None);
        outcome(search)
    };
    let found = |place: &'static str, at: &str| Some((place, at.to_owned()));
    let json = |text: &str| of_body(SearchedPart::Json, format!("{{\"a\":[\"{text}\"]}}"));
    assert_eq!(json(attack), found("json", "/json/a/0"));
    assert_eq!(json(harmless), None);
    let form = |text: &str| of_body(SearchedPart::Form, format!("b=1&a={text}"));
    assert_eq!(form(attack), found("form", "/form/1"));
    assert_eq!(form(harmless), None);
    let head = |name: &str, value: String| {
        let mut headers = Headers::default();
        headers.push(name.as_bytes(), value.as_bytes());
        let mut search = Search::new(&policy, Effort::new(10_000), Scores::default());
        match name {
            "cookie" => search.cookies(&headers),
            _ => search.headers(&headers),
        }
        outcome(search)
    };
    assert_eq!(
        head("cookie", format!("s={attack}")),
        found("cookies", "/cookies/0")
    );
    assert_eq!(head("cookie", format!("s={harmless}")), None);
    assert_eq!(head("x-note", attack.to_owned()), None);
    // `admin' or 1=1--:x`, and `ann:correct horse`.
    let of_basic = |credentials: &str| head("authorization", format!("bAsIc  {credentials}"));
    let at = found("headers", "/headers/authorization");
    assert_eq!(of_basic("YWRtaW4nIG9yIDE9MS0tOng="), at);
    assert_eq!(of_basic("YW5uOmNvcnJlY3QgaG9yc2U="), None);
    assert_eq!(
        head(
            "authorization",
            "Bearer YWRtaW4nIG9yIDE9MS0tOng=".to_owned()
        ),
        None
    );
}

#[test]
fn elements_are_counted_whatever_they_are() {
    let policy = policy();
    let found = |body: &str| {
        let mut search = Search::new(&policy, Effort::new(10_000), Scores::default());
        search.body(SearchedPart::Json, body.as_bytes(), None);
        outcome(search)
    };
    let at = |place: &str| Some(("json", place.to_owned()));
    assert_eq!(
        found(r#"[1,null,[],{},[2],{"a":1},"x","\u0000"]"#),
        at("/json/7")
    );
    assert_eq!(found(r#"{"a":[{"b":[[],"\u0000"]}]}"#), at("/json/a/0/b/1"));
    assert_eq!(found(r#"{"a":{"b":1},"c":"\u0000"}"#), at("/json/c"));
    assert_eq!(found(r#""\u0000""#), at("/json"));
    let long = format!(r#"{{"{}":{{"b":"\u0000"}}}}"#, "n".repeat(999));
    let (_, place) = found(&long).unwrap();
    assert!(place.len() < 300 && place.ends_with('…'), "{place}");
    assert_eq!(found(r#"["x",]"#), Some(("body_unread", String::new())));
}

#[test]
fn files_are_text_if_they_say_so_or_nothing() {
    let part = |media_type: Option<&'static str>| FormPart {
        name: "f",
        filename: Some("f"),
        media_type: media_type.map(str::as_bytes),
        content: b"",
    };
    for text in [
        "text/plain",
        "TEXT/html; a=b",
        "application/json",
        "image/svg+xml",
    ] {
        assert!(is_text(&part(Some(text))), "{text}");
    }
    assert!(is_text(&part(None)));
    assert!(!is_text(&part(Some("image/png"))));
}
