//! The sums of crates, from `Cargo.lock`.

use std::collections::BTreeMap;

/// The SHA-256 of each crate's archive, by name and version.
pub(crate) fn sums(lock: &str) -> BTreeMap<(String, String), String> {
    let mut sums = BTreeMap::new();
    for package in lock.split("[[package]]") {
        let field = |name: &str| {
            let line = package.lines().find_map(|line| line.strip_prefix(name))?;
            let value = line.strip_prefix(" = \"")?.strip_suffix('"')?;
            Some(value.to_owned())
        };
        if let (Some(name), Some(version), Some(sum)) =
            (field("name"), field("version"), field("checksum"))
        {
            sums.insert((name, version), sum);
        }
    }
    sums
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_crate_of_the_registry_has_its_sum() {
        let lock = "version = 4\n\n[[package]]\nname = \"a\"\nversion = \"1.0.0\"\nsource = \"registry\"\n\
            checksum = \"00ff\"\ndependencies = [\n \"b\",\n]\n\n[[package]]\nname = \"b\"\nversion = \"0.1.0\"\n";
        let expected = BTreeMap::from([(("a".into(), "1.0.0".into()), "00ff".to_owned())]);
        assert_eq!(sums(lock), expected);
    }
}
