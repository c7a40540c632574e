//! Node.js, which runs what is written for browsers.

use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use crate::tokens::repository;

/// The least release that will do.
const LEAST: u32 = 20;

/// `NODE`, else `node` on `PATH`, else the one that `tests/find-oidc-provider.sh` names or
/// has left.
///
/// None if `NODE` is there and empty: whoever calls knows that there is none. That is said on standard
/// error, past whatever captures the output of tests.
///
/// # Panics
/// If there is none that is recent enough, and nobody has said so.
pub fn locate(test: &str) -> Option<PathBuf> {
    if let Some(named) = env::var_os("NODE") {
        if named.is_empty() {
            let line = format!("NOT TESTED, since NODE is empty: {test}\n");
            let _ = io::stderr().write_all(line.as_bytes());
            return None;
        }
        return Some(named.into());
    }
    let mut places = vec![PathBuf::from("node")];
    places.extend(env::var_os("OIDC_PROVIDER").map(|folder| Path::new(&folder).join("node")));
    let left = fs::read_dir(repository().join(".cache/oidc-provider"));
    let left = left.into_iter().flatten().flatten();
    places.extend(left.map(|entry| entry.path().join("node")));
    let found = places.into_iter().find(|place| is_recent(place));
    assert!(
        found.is_some(),
        "no Node.js {LEAST} or later; install one, or name one in NODE. NODE= skips this test"
    );
    found
}

fn is_recent(node: &Path) -> bool {
    let version = Command::new(node).arg("--version").output();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let major = version.ok().and_then(|text| {
        let (major, _) = text.trim().strip_prefix('v')?.split_once('.')?;
        major.parse::<u32>().ok()
    });
    major.is_some_and(|major| major >= LEAST)
}
