//! A rich document with one fault, at every place that there is: one problem, at that place.

use super::document::compile;
use crate::engine::Engine;
use portcullis_wire::json::{Json, Object};

/// A valid document with most of what a document can have.
const RICH: &str = include_str!("rich.json");

/// A place: names of members, and numbers of items.
#[derive(Clone, Debug)]
enum PathStep {
    Member(String),
    Item(usize),
}

fn pointer(path: &[PathStep]) -> String {
    let step = |step: &PathStep| match step {
        PathStep::Member(name) => format!("/{}", name.replace('~', "~0").replace('/', "~1")),
        PathStep::Item(index) => format!("/{index}"),
    };
    path.iter().map(step).collect()
}

/// Every place of a value, the whole of it apart.
fn places(json: &Json, here: &[PathStep], out: &mut Vec<Vec<PathStep>>) {
    let mut each = |step: PathStep, value: &Json| {
        let mut path = here.to_vec();
        path.push(step);
        out.push(path.clone());
        places(value, &path, out);
    };
    match json {
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                each(PathStep::Item(index), item);
            }
        }
        Json::Object(object) => {
            for (name, value) in object.iter() {
                each(PathStep::Member(name.to_owned()), value);
            }
        }
        _ => {}
    }
}

/// The value as text, with `change` made at a place.
fn with(json: &Json, path: &[PathStep], change: &dyn Fn(&Json) -> String) -> String {
    let Some((first, rest)) = path.split_first() else {
        return change(json);
    };
    let written = |is_there: bool, value: &Json| match is_there {
        true => with(value, rest, change),
        false => value.to_string(),
    };
    match (json, first) {
        (Json::Array(items), PathStep::Item(place)) => {
            let items = items.iter().enumerate();
            let items: Vec<String> = items
                .map(|(at, item)| written(at == *place, item))
                .collect();
            format!("[{}]", items.join(","))
        }
        (Json::Object(object), PathStep::Member(place)) => {
            let member = |(name, value): (&str, &Json)| {
                let name_text = Json::String(name.to_owned());
                format!("{name_text}:{}", written(name == place, value))
            };
            let members: Vec<String> = object.iter().map(member).collect();
            format!("{{{}}}", members.join(","))
        }
        _ => panic!("{path:?} leads nowhere"),
    }
}

fn find<'j>(json: &'j Json, path: &[PathStep]) -> &'j Json {
    path.iter().fold(json, |json, step| match (json, step) {
        (Json::Array(items), PathStep::Item(at)) => &items[*at],
        (Json::Object(object), PathStep::Member(name)) => object.member(name).unwrap(),
        _ => panic!("{path:?} leads nowhere"),
    })
}

/// What is wrong with a document.
fn problems(text: &str) -> Vec<(String, String)> {
    match compile(text.as_bytes()) {
        Ok(_) => Vec::new(),
        Err(error) => error
            .problems
            .into_iter()
            .map(|each| (each.pointer, each.reason))
            .collect(),
    }
}

/// The document, its places, and an engine of it, so that its patterns need not be compiled each time.
fn rich() -> (Json, Vec<Vec<PathStep>>, Engine) {
    let json = Json::parse(RICH.as_bytes(), 64).unwrap();
    assert_eq!(problems(RICH), []);
    let engine = compile(RICH.as_bytes()).unwrap();
    let mut all = Vec::new();
    places(&json, &[], &mut all);
    assert!(all.len() > 250, "{}", all.len());
    (json, all, engine)
}

/// Places below these are the business of others, who say where in their own words.
fn is_schema(path: &[PathStep]) -> bool {
    let is = |step: &PathStep, name: &str| matches!(step, PathStep::Member(each) if each == name);
    path.iter()
        .any(|step| is(step, "schema") || is(step, "inline"))
        || path
            .first()
            .is_some_and(|step| is(step, "schemas") || is(step, "apis"))
}

#[test]
fn a_value_of_no_type_is_one_problem_at_its_place() {
    let (json, all, _engine) = rich();
    let mut wrong = Vec::new();
    for path in all.iter().filter(|path| !is_schema(path)) {
        let found = problems(&with(&json, path, &|_| "null".to_owned()));
        let place = pointer(path);
        if !matches!(&found[..], [(at, _)] if *at == place) {
            wrong.push(format!("{place}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_value_of_another_type_is_one_problem_at_its_place() {
    let (json, all, _engine) = rich();
    let mut wrong = Vec::new();
    for path in all.iter().filter(|path| !is_schema(path)) {
        let other = match find(&json, path) {
            Json::String(_) | Json::Number(_) | Json::Bool(_) => "[[]]",
            Json::Null | Json::Array(_) | Json::Object(_) => "7.5",
        };
        let found = problems(&with(&json, path, &|_| other.to_owned()));
        let place = pointer(path);
        if !matches!(&found[..], [(at, _)] if at.starts_with(&place)) {
            wrong.push(format!("{place}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_member_too_many_is_one_problem_at_its_place() {
    let (json, mut all, _engine) = rich();
    all.push(Vec::new());
    let mut wrong = Vec::new();
    for path in all.iter().filter(|path| !is_schema(path)) {
        let Json::Object(object) = find(&json, path) else {
            continue;
        };
        let text = with(&json, path, &|value| {
            let text = value.to_string();
            let comma = if object.iter().next().is_some() {
                ","
            } else {
                ""
            };
            // Where names are free, what they name has to be right.
            let like = object
                .iter()
                .next()
                .map_or("null".to_owned(), |(_, json)| json.to_string());
            text.replacen('{', &format!("{{\"zz zz\":{like}{comma}"), 1)
        });
        let found = problems(&text);
        let place = format!("{}/zz zz", pointer(path));
        let is_free = found.is_empty() && FREE.contains(&&*pointer(path));
        if !is_free && !matches!(&found[..], [(at, _)] if *at == place) {
            wrong.push(format!("{place}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn a_misspelt_member_is_one_problem_at_its_place() {
    let (json, all, _engine) = rich();
    let mut wrong = Vec::new();
    for path in all.iter().filter(|path| !is_schema(path)) {
        let Some((PathStep::Member(name), object)) = path.split_last() else {
            continue;
        };
        let misspelt = format!("{name}q");
        let text = with(&json, object, &|value| {
            let members = Object::iter(value.as_object().unwrap()).map(|(each, value)| {
                let each = if each == name { &misspelt } else { each };
                format!("{}:{value}", Json::String(each.to_owned()))
            });
            format!("{{{}}}", members.collect::<Vec<_>>().join(","))
        });
        let found = problems(&text);
        let place = format!("{}/{misspelt}", pointer(object));
        let is_free = found.is_empty() && FREE.contains(&&*pointer(object))
            || REFERRED_TO.contains(&&*pointer(object));
        if !is_free && !matches!(&found[..], [(at, _)] if *at == place) {
            wrong.push(format!("{place}: {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}:\n{}", wrong.len(), wrong.join("\n"));
}

/// Objects in which any name is right.
const FREE: [&str; 5] = [
    "/providers",
    "/otlp_http/headers",
    "/defaults/security_headers/cookies/by_name",
    "/defaults/security_headers/set",
    "/otlp_http/resource",
];

/// Objects whose members the document names elsewhere: there a name is wrong that has changed here.
const REFERRED_TO: [&str; 2] = ["/providers", "/rate_limits"];
