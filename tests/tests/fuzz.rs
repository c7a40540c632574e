//! The laws that fuzzers look for breaches of, for what they begin with and for what they have
//! found worth keeping. `make fuzz` searches on.

use std::fs;
use std::panic::catch_unwind;

use portcullis_tests::fuzz::{TARGETS, seeds};
use portcullis_tests::tokens::repository;

#[test]
fn laws_hold_for_all_that_is_kept() {
    for (name, law) in TARGETS {
        let folder = repository().join("tests/fuzz/seeds").join(name);
        let mut kept: Vec<(String, Vec<u8>)> = fs::read_dir(&folder)
            .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
            .map(|entry| {
                let path = entry.unwrap().path();
                (path.display().to_string(), fs::read(&path).unwrap())
            })
            .collect();
        kept.sort();
        assert!(!kept.is_empty(), "{name} has no seeds");
        let derived = seeds(name).into_iter().enumerate();
        kept.extend(derived.map(|(index, seed)| (format!("{name}: seed {index}"), seed)));
        let mut accepted = 0;
        for (place, bytes) in kept {
            match catch_unwind(|| law(&bytes)) {
                Ok(yes) => accepted += usize::from(yes),
                Err(_) => panic!("{place}: {:?}", String::from_utf8_lossy(&bytes)),
            }
        }
        assert!(accepted >= 5, "{name}: only {accepted} are accepted");
    }
}

#[test]
fn each_target_has_a_program() {
    let manifest = fs::read_to_string(repository().join("tests/fuzz/Cargo.toml")).unwrap();
    let programs: Vec<&str> = manifest
        .lines()
        .filter_map(|line| {
            line.strip_prefix("path = \"targets/")?
                .strip_suffix(".rs\"")
        })
        .collect();
    let targets: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(programs, targets);
}
