//! Texts that are masked.

use portcullis::formats::sensitive::{
    Finder, Findings, Kind, Selector, Selectors, Treatment, Treatments, redact_json, redact_text,
};
use portcullis::json_gate::{Limits, check};
use serde_json::Value;

const LIMITS: Limits = Limits {
    depth: 48,
    ..Limits::GENEROUS
};

/// What is masked is strict JSON if it was before, and else is not touched; nothing that looks like something is left in
/// it; masked once more it stays as it is. Under `mask` each token, each number and each blank stays to the byte but
/// for strings and numbers that look like something. Under `remove`, and with members that are named, a plain reader
/// of trees comes to the same value. Plain texts keep all but what was found.
///
/// # Panics
/// When that does not hold.
pub fn redact(text: &[u8]) -> bool {
    let strict = check(text, &LIMITS).is_ok();
    let plain = Selectors::default();
    for treatment in [Treatment::Mask, Treatment::Remove] {
        let wanted = all(treatment);
        let (out, found) = redacted(text, &plain, &wanted);
        assert_eq!(out.is_some(), strict);
        if let Some(out) = out {
            assert_eq!(check(&out, &LIMITS), Ok(()), "{}", shown(&out));
            assert_eq!(redacted(&out, &plain, &wanted), (Some(out.clone()), 0));
            assert_eq!(out == text, found == 0, "{}", shown(&out));
            assert!(tokens(&out).iter().all(|token| !tells(token, &wanted)));
            if treatment == Treatment::Mask && !names_tell(text, &wanted) {
                stays(text, &out, &wanted);
            }
            same_tree(text, &out, &[], &wanted);
        }
        plain_text(text, &wanted);
    }
    for (members, treatment) in [
        (&["a", "/b", "/c/*", "/*/d", "/e/1"][..], Treatment::Mask),
        (&["a", "/b", "/c/*", "/*/d", "/e/1"], Treatment::Remove),
    ] {
        let mut selectors = Selectors::default();
        for member in members {
            let selector = Selector::parse(member).expect("it is one");
            assert!(selectors.add(selector, treatment));
        }
        let none = Treatments::default();
        if let (Some(out), _) = redacted(text, &selectors, &none) {
            assert_eq!(check(&out, &LIMITS), Ok(()), "{}", shown(&out));
            assert_eq!(redacted(&out, &selectors, &none), (Some(out.clone()), 0));
            same_tree(text, &out, &[(members, treatment)], &none);
        }
    }
    strict
}

fn all(treatment: Treatment) -> Treatments {
    let mut all = Treatments::default();
    Kind::OF_TEXT
        .iter()
        .for_each(|kind| all.set(*kind, treatment));
    all
}

fn shown(text: &[u8]) -> String {
    String::from_utf8_lossy(text).into_owned()
}

fn redacted(text: &[u8], selectors: &Selectors, wanted: &Treatments) -> (Option<Vec<u8>>, u32) {
    let mut findings = Findings::default();
    let out = redact_json(text, &LIMITS, selectors, wanted, &mut findings);
    let found = Kind::ALL.iter().map(|kind| findings.count(*kind)).sum();
    let out = out.map(|out| out.map_or_else(|| text.to_vec(), |out| out.bytes().to_vec()));
    (out.ok(), found)
}

fn plain_text(text: &[u8], wanted: &Treatments) {
    let mut findings = Findings::default();
    let out = redact_text(text, wanted, &mut findings).expect("there is memory");
    let Some(out) = out else {
        assert_eq!(Finder::new(text, wanted).next(), None);
        return;
    };
    assert_eq!(Finder::new(out.bytes(), wanted).next(), None);
    assert!(out.bytes().len() < text.len());
    let again = redact_text(out.bytes(), wanted, &mut findings).expect("there is memory");
    assert!(again.is_none());
}

/// Strings, numbers and words, signs and blanks, in their order.
fn tokens(text: &[u8]) -> Vec<&[u8]> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.first() {
        let length = match first {
            b'"' => {
                let mut length = 1;
                while rest[length] != b'"' {
                    length += if rest[length] == b'\\' { 2 } else { 1 };
                }
                length + 1
            }
            b'{' | b'}' | b'[' | b']' | b',' | b':' => 1,
            b' ' | b'\t' | b'\n' | b'\r' => {
                rest.iter().take_while(|b| b.is_ascii_whitespace()).count()
            }
            _ => rest
                .iter()
                .take_while(|b| b.is_ascii_alphanumeric() || b"+-.".contains(b))
                .count(),
        };
        let (token, after) = rest.split_at(length);
        tokens.push(token);
        rest = after;
    }
    tokens
}

fn tells(token: &[u8], wanted: &Treatments) -> bool {
    match serde_json::from_slice::<Value>(token) {
        Ok(Value::String(text)) => Finder::new(text.as_bytes(), wanted).next().is_some(),
        Ok(Value::Number(_)) if token.iter().all(u8::is_ascii_digit) => {
            Finder::new(token, wanted).next().is_some()
        }
        _ => false,
    }
}

fn names_tell(text: &[u8], wanted: &Treatments) -> bool {
    let tokens: Vec<&[u8]> = tokens(text)
        .into_iter()
        .filter(|token| !token[0].is_ascii_whitespace())
        .collect();
    let mut pairs = tokens.windows(2);
    pairs.any(|pair| pair[1] == b":" && tells(pair[0], wanted))
}

fn stays(text: &[u8], out: &[u8], wanted: &Treatments) {
    let (before, after) = (tokens(text), tokens(out));
    assert_eq!(before.len(), after.len(), "{}", shown(out));
    for (before, after) in before.into_iter().zip(after) {
        assert!(
            before == after || tells(before, wanted),
            "{}",
            shown(before)
        );
    }
}

/// The value of what goes out is that of what came, redacted by a reader of trees.
fn same_tree(text: &[u8], out: &[u8], members: &[(&[&str], Treatment)], wanted: &Treatments) {
    let read = |text| serde_json::from_slice::<Value>(text).ok();
    // What is no double is no value of that reader.
    let (Some(before), Some(after)) = (read(text), read(out)) else {
        return;
    };
    let by_texts = members.is_empty();
    if by_texts && wanted.of(Kind::Email) == Some(Treatment::Mask) {
        return;
    }
    let expected = tree(before, &mut Vec::new(), members, wanted).unwrap_or(Value::Null);
    assert_eq!(after, expected);
}

/// A value, redacted; none if it goes.
fn tree(
    value: Value,
    path: &mut Vec<(String, bool)>,
    members: &[(&[&str], Treatment)],
    wanted: &Treatments,
) -> Option<Value> {
    if let Some((_, treatment)) = members.iter().find(|(all, _)| means(all, path)) {
        return match treatment {
            Treatment::Mask if value.is_null() => Some(value),
            Treatment::Mask => Some(Value::from("****")),
            _ => None,
        };
    }
    match value {
        Value::Object(object) => {
            let kept = object.into_iter().filter_map(|(name, value)| {
                if Finder::new(name.as_bytes(), wanted).next().is_some() {
                    return None;
                }
                path.push((name.clone(), true));
                let value = tree(value, path, members, wanted);
                path.pop();
                Some((name, value?))
            });
            Some(Value::Object(kept.collect()))
        }
        Value::Array(items) => {
            let items = items.into_iter().enumerate().map(|(index, item)| {
                path.push((index.to_string(), false));
                let item = tree(item, path, members, wanted);
                path.pop();
                item.unwrap_or(Value::Null)
            });
            Some(Value::Array(items.collect()))
        }
        Value::String(text) => {
            let tells = Finder::new(text.as_bytes(), wanted).next().is_some();
            (!tells).then_some(Value::String(text))
        }
        Value::Number(number) => {
            let written = number.to_string();
            let is_whole = written.bytes().all(|b| b.is_ascii_digit());
            let tells = is_whole && Finder::new(written.as_bytes(), wanted).next().is_some();
            (!tells).then_some(Value::Number(number))
        }
        other => Some(other),
    }
}

fn means(members: &[&str], path: &[(String, bool)]) -> bool {
    members.iter().any(|member| match member.strip_prefix('/') {
        None => path
            .last()
            .is_some_and(|(name, is_member)| *is_member && name.eq_ignore_ascii_case(member)),
        Some(steps) => {
            let steps: Vec<&str> = steps.split('/').collect();
            steps.len() == path.len()
                && steps
                    .iter()
                    .zip(path)
                    .all(|(step, (name, _))| *step == "*" || step == name)
        }
    })
}
