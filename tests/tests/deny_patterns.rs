//! How much of what others call attacks is found, and how much of what nobody does: the tables of the
//! reference, computed anew.

use std::fs;

use portcullis_tests::detection::{page, tables};

#[test]
fn the_reference_says_what_is_found() {
    let written = fs::read_to_string(page()).expect("the reference is there");
    let tables = tables();
    assert!(
        written.contains(&tables),
        "`make detection` writes what the reference should have:\n{tables}"
    );
}
