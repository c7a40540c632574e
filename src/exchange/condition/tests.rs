use std::collections::BTreeSet;

use super::*;

#[test]
fn each_test_has_a_name_of_its_own() {
    let names: BTreeSet<&str> = TESTS.iter().map(|test| test.name).collect();
    assert_eq!(names.len(), TESTS.len());
}
