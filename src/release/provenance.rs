//! Where a release comes from: a statement of in-toto with the predicate of SLSA 1, not signed.

use serde_json::{Value, json};

use crate::{date, pretty};

/// What was built from what.
pub(crate) struct Build<'a> {
    /// Files and their SHA-256.
    pub(crate) subjects: &'a [(String, String)],
    pub(crate) revision: &'a str,
    pub(crate) source: Option<&'a str>,
    pub(crate) builder: &'a str,
    pub(crate) version: &'a str,
    pub(crate) rustc: &'a str,
    pub(crate) epoch: u64,
    /// The SHA-256 of `Cargo.lock`.
    pub(crate) lock: &'a str,
    /// The SHA-256 of `rust-toolchain.toml`.
    pub(crate) toolchain: &'a str,
}

/// Writes the statement.
pub(crate) fn write(build: &Build<'_>) -> Vec<u8> {
    let subject =
        |(name, sum): &(String, String)| json!({ "name": name, "digest": { "sha256": sum } });
    let subjects: Vec<Value> = build.subjects.iter().map(subject).collect();
    let mut source = json!({ "name": "source", "digest": { "gitCommit": build.revision } });
    if let (Some(members), Some(url)) = (source.as_object_mut(), build.source) {
        let uri = format!("git+{url}@{}", build.revision);
        members.insert("uri".into(), uri.into());
    }
    let file = |name: &str, sum: &str| json!({ "name": name, "digest": { "sha256": sum } });
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": subjects,
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {
            "buildDefinition": {
                // RELEASING.md says what it does.
                "buildType": "urn:portcullis:build:make-release:v1",
                "externalParameters": { "target": "release", "version": build.version },
                "internalParameters": { "SOURCE_DATE_EPOCH": build.epoch, "rustc": build.rustc },
                "resolvedDependencies": [
                    source,
                    file("Cargo.lock", build.lock),
                    file("rust-toolchain.toml", build.toolchain),
                ],
            },
            "runDetails": {
                "builder": { "id": build.builder },
                // The time of the commit, not of the build, so that a second build says the same.
                "metadata": { "invocationId": format!("{}@{}", build.version, date(build.epoch)) },
            },
        },
    });
    pretty(&statement)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_names_what_it_is_of_and_from() {
        let subjects = [("portcullis-0.1.0.wasm".to_owned(), "ab".repeat(32))];
        let mut build = Build {
            subjects: &subjects,
            revision: "0123456789abcdef0123456789abcdef01234567",
            source: None,
            builder: "urn:example",
            version: "0.1.0",
            rustc: "rustc 1.95.0",
            epoch: 1_800_000_000,
            lock: "00",
            toolchain: "11",
        };
        let said: Value = serde_json::from_slice(&write(&build)).unwrap();
        assert_eq!(said["subject"][0]["digest"]["sha256"], "ab".repeat(32));
        let definition = &said["predicate"]["buildDefinition"];
        let inputs = definition["resolvedDependencies"].as_array().unwrap();
        assert_eq!(inputs[0]["digest"]["gitCommit"], build.revision);
        assert_eq!(inputs[0].get("uri"), None);
        assert_eq!(inputs[1]["digest"]["sha256"], "00");
        assert_eq!(
            said["predicate"]["runDetails"]["builder"]["id"],
            "urn:example"
        );

        build.source = Some("https://git.example/portcullis");
        let said: Value = serde_json::from_slice(&write(&build)).unwrap();
        let uri = &said["predicate"]["buildDefinition"]["resolvedDependencies"][0]["uri"];
        let expected =
            "git+https://git.example/portcullis@0123456789abcdef0123456789abcdef01234567";
        assert_eq!(uri, expected);
    }
}
