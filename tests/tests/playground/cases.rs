//! The case files of `tests/cases` in the host for browsers.

use portcullis_tests::case::{self, Case};
use portcullis_tests::{module_path, node, tokens};

#[test]
fn cases_come_out_in_the_host_for_browsers_as_in_envoy() {
    let Some(node) = node::locate("cases in the host for browsers") else {
        return;
    };
    let folder = tokens::repository().join("tests/cases");
    let cases = Case::read_all(&folder).unwrap_or_else(|error| panic!("{error}"));
    let ran = case::run_all_in_javascript(&node, &module_path(), &cases);
    let (differences, exchanges) = ran.unwrap_or_else(|error| panic!("{error}"));
    assert!(differences.is_empty(), "\n{}\n", differences.join("\n"));
    println!("{exchanges} exchanges of {} cases", cases.len());
    assert!(exchanges > 4000, "only {exchanges} exchanges");
}
