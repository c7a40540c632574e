use super::*;
use portcullis_detect::Scores;
use portcullis_wire::regex::Effort;

use crate::deny_patterns::DenyPatterns;
use crate::deny_patterns::search::tests::policy;

/// What comes of a body: why it is refused, and how much effort is left.
fn judged(
    policy: &DenyPatterns,
    body: &str,
    effort: u64,
    seen: Option<SeenTexts>,
) -> (Option<&'static str>, u64) {
    let mut search = Search::new(policy, Effort::new(effort), Scores::default());
    let mut watch = JsonTexts {
        search: &mut search,
        steps: Vec::new(),
        seen,
    };
    json_gate::watch(body.as_bytes(), &LIMITS, &mut watch).unwrap();
    (search.reason(), search.left())
}

#[test]
fn what_has_been_seen_comes_to_the_same_as_what_is_looked_at() {
    let policy = policy();
    let items = |each: &str| format!("[{}]", vec![each; 40].join(","));
    let bodies = [
        items(r#"{"count":1,"note":"n","size":"m","select":"drop","a'--":"' or 1=1"}"#),
        items(r#"{"sku":"AB-0001","exec":"../","on":"&lt;x","m":"m","":""}"#),
        items(r#"["count","size",{"count":"size","size":"count"}]"#),
        // What is a little in each adds up.
        items(r#"{"a":"x; ls","b":"$(id","c":"or 1"}"#),
        items(r#"{"a":"c291cmNl","c291cmNl":"a"}"#),
    ];
    for body in &bodies {
        for effort in [0, 1, 100, 500, 1000, 2000, 4000, 8000, 16_000, 1_000_000] {
            let plainly = judged(&policy, body, effort, None);
            let quickly = judged(&policy, body, effort, Some(SeenTexts::default()));
            assert_eq!(plainly, quickly, "{body} {effort}");
        }
    }
}

#[test]
fn no_two_texts_are_taken_for_one() {
    let texts: [&[u8]; 7] = [
        b"",
        b"\0",
        b"\0\0",
        b"a",
        b"a\0",
        b"aaaaaaaaaaaaaaa",
        b"aaaaaaaaaaaaaa",
    ];
    let keys = texts
        .iter()
        .flat_map(|text| [false, true].map(|is_name| SeenTexts::key(text, is_name)));
    let mut keys: Vec<Option<u128>> = keys.collect();
    assert!(keys.iter().all(Option::is_some));
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), 2 * texts.len());
    assert_eq!(SeenTexts::key(b"aaaaaaaaaaaaaaaa", false), None);
}
