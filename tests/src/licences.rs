//! What `deny.toml` asks of licences and sources, held where there is no `cargo deny`: in every run of the tests, without
//! a network. Duplicates and advisories are left to `make audit`.

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::process::Command;

    use serde_json::Value;

    use crate::tokens::repository;

    /// The licences in `deny.toml`.
    fn allowed() -> BTreeSet<String> {
        let rules = fs::read_to_string(repository().join("deny.toml")).unwrap();
        let (_, list) = rules.split_once("[licenses]\nallow = [").unwrap();
        let (list, _) = list.split_once(']').unwrap();
        list.split('"')
            .skip(1)
            .step_by(2)
            .map(str::to_owned)
            .collect()
    }

    /// Crates that are fetched for a platform.
    fn packages(target: &str) -> Vec<Value> {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args(["metadata", "--format-version", "1", "--offline", "--locked"])
            .args(["--filter-platform", target, "--manifest-path"])
            .arg(repository().join("Cargo.toml"))
            .output()
            .unwrap();
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{error}");
        let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
        metadata["packages"].as_array().unwrap().clone()
    }

    /// Whether an expression of SPDX is met by the licences that are allowed.
    fn is_met(expression: &str, allowed: &BTreeSet<String>) -> bool {
        // Before there were expressions, alternatives were written with a slash.
        let spaced = expression.replace('(', " ( ").replace(')', " ) ");
        let spaced = spaced.replace('/', " OR ").replace(" WITH ", "-WITH-");
        let mut words = spaced.split_whitespace().peekable();
        let met = any(&mut words, allowed);
        assert_eq!(words.next(), None, "{expression}");
        met
    }

    type Words<'w> = std::iter::Peekable<std::str::SplitWhitespace<'w>>;

    fn any(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
        let mut met = all(words, allowed);
        while words.next_if_eq(&"OR").is_some() {
            met |= all(words, allowed);
        }
        met
    }

    fn all(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
        let mut met = one(words, allowed);
        while words.next_if_eq(&"AND").is_some() {
            met &= one(words, allowed);
        }
        met
    }

    fn one(words: &mut Words<'_>, allowed: &BTreeSet<String>) -> bool {
        match words.next() {
            Some("(") => {
                let met = any(words, allowed);
                assert_eq!(words.next(), Some(")"));
                met
            }
            Some(licence) => allowed.contains(licence),
            None => panic!("a licence is missing"),
        }
    }

    #[test]
    fn expressions_are_understood() {
        let allowed: BTreeSet<String> = ["MIT", "ISC"].map(str::to_owned).into();
        for met in [
            "MIT",
            "GPL-3.0 OR MIT",
            "GPL-3.0/MIT",
            "(MIT OR GPL-3.0) AND ISC",
        ] {
            assert!(is_met(met, &allowed), "{met}");
        }
        for unmet in [
            "GPL-3.0",
            "MIT AND GPL-3.0",
            "MIT WITH exception",
            "(GPL-3.0)",
        ] {
            assert!(!is_met(unmet, &allowed), "{unmet}");
        }
    }

    #[test]
    fn crates_have_licences_and_sources_that_are_allowed() {
        let allowed = allowed();
        assert!(allowed.len() > 3 && allowed.contains("MIT"), "{allowed:?}");
        for target in ["x86_64-unknown-linux-gnu", "wasm32-wasip1"] {
            let packages = packages(target);
            assert!(packages.len() > 50, "{}", packages.len());
            for package in packages {
                let name = &package["name"];
                let licence = package["license"].as_str();
                let licence = licence.unwrap_or_else(|| panic!("{name} names no licence"));
                assert!(is_met(licence, &allowed), "{name}: {licence}");
                let source = &package["source"];
                let registry = "registry+https://github.com/rust-lang/crates.io-index";
                assert!(source.is_null() || *source == registry, "{name}: {source}");
            }
        }
    }
}
