//! The order in which the reference says that policies are asked.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::engine::Engine;
use portcullis_exchange::policy::Stage;
use portcullis_policies as policy;

fn pages(folder: &Path, into: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        match path.is_dir() {
            true => pages(&path, into),
            false if path.extension().is_some_and(|ending| ending == "md") => into.push(path),
            false => {}
        }
    }
}

/// The stage and the place in the list of every part that a document of the pages has.
fn parts(docs: &Path) -> BTreeSet<(u8, usize)> {
    let mut paths = Vec::new();
    pages(docs, &mut paths);
    let mut found = BTreeSet::new();
    for page in paths.iter().map(|path| fs::read_to_string(path).unwrap()) {
        let fences = page.split("```json\n").skip(1);
        for text in fences.filter_map(|rest| rest.split("\n```").next()) {
            // Parts of documents are shown too.
            let Ok(engine) = Engine::compile(text.as_bytes()) else {
                continue;
            };
            let steps = engine.routes.iter().flat_map(|route| &route.chain.steps);
            found.extend(steps.map(|step| (step.stage as u8, step.kind)));
        }
    }
    found
}

fn names(text: &str) -> Vec<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

#[test]
fn the_reference_lists_all_policies_in_their_order() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs");
    let parts = parts(&docs);
    let of = |(_, kind): &(u8, usize)| policy::name(*kind);
    let is_late = |(stage, _): &&(u8, usize)| *stage == Stage::Response as u8;
    let asked: Vec<&str> = parts.iter().filter(|part| !is_late(part)).map(of).collect();
    // Those that only shape responses; others write into them what they have found out.
    let shaping = parts.iter().filter(is_late).map(of);
    let shaping: Vec<&str> = shaping.filter(|name| !asked.contains(name)).collect();

    let page = fs::read_to_string(docs.join("configuration.md")).unwrap();
    let (_, rest) = page
        .split_once("Policies of a route run in the order ")
        .unwrap();
    let (order, rest) = rest.split_once("Responses are then shaped by ").unwrap();
    let (responses, _) = rest.split_once(", however they are written").unwrap();
    assert_eq!(names(order), asked);
    assert_eq!(names(responses), shaping);
    for kind in policy::LIST.iter().filter(|kind| kind.name != "test_wait") {
        let is_named = asked.contains(&kind.name) || shaping.contains(&kind.name);
        assert!(is_named, "no page shows {}", kind.name);
    }
}
