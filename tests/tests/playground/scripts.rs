//! The tests that are in JavaScript.

use std::process::Command;

use portcullis_tests::tokens::repository;
use portcullis_tests::{module_path, node};

#[test]
fn scripts_do_what_they_say() {
    let Some(node) = node::locate("the scripts of the playground") else {
        return;
    };
    let folder = repository().join("tests/playground");
    let tests = ["host.test.mjs", "module.test.mjs", "page.test.mjs"].map(|name| folder.join(name));
    let ran = Command::new(node)
        .args(["--test", "--test-reporter=tap"])
        .args(tests)
        .env("PORTCULLIS_WASM", module_path())
        .output();
    let ran = ran.expect("Node.js runs");
    let report = String::from_utf8_lossy(&ran.stdout);
    assert!(ran.status.success(), "{report}");
    let passed = report.lines().find_map(|line| line.strip_prefix("# pass "));
    let passed: usize = passed
        .and_then(|count| count.parse().ok())
        .unwrap_or_default();
    assert!(passed >= 25, "{report}");
}
