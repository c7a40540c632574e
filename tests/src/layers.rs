//! The order of the crates: an edge against it does not compile into the house unnoticed.

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::process::Command;

    use serde_json::Value;

    /// From the ground up: a crate knows those before it and no other. Those that judge requests
    /// know nothing of a proxy; hosts know the engine and do not know one another.
    const ORDER: [(&str, &[&str]); 10] = [
        ("portcullis-wire", &[]),
        ("portcullis-document", &["portcullis-wire"]),
        (
            "portcullis-schema",
            &["portcullis-wire", "portcullis-document"],
        ),
        (
            "portcullis-exchange",
            &[
                "portcullis-wire",
                "portcullis-document",
                "portcullis-schema",
            ],
        ),
        (
            "portcullis-policies",
            &[
                "portcullis-wire",
                "portcullis-document",
                "portcullis-schema",
                "portcullis-exchange",
            ],
        ),
        (
            "portcullis-engine",
            &[
                "portcullis-wire",
                "portcullis-document",
                "portcullis-schema",
                "portcullis-exchange",
                "portcullis-policies",
            ],
        ),
        (
            "portcullis-memory-host",
            &["portcullis-wire", "portcullis-exchange"],
        ),
        (
            "portcullis-proxy-wasm",
            &[
                "portcullis-wire",
                "portcullis-exchange",
                "portcullis-engine",
            ],
        ),
        ("portcullis", &[]),
        ("portcullis-tests", &[]),
    ];

    fn metadata() -> Value {
        let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
        let output = Command::new(cargo)
            .args([
                "metadata",
                "--format-version",
                "1",
                "--no-deps",
                "--offline",
            ])
            .args(["--locked", "--manifest-path"])
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
            .output()
            .unwrap();
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        serde_json::from_slice(&output.stdout).unwrap()
    }

    #[test]
    fn no_crate_knows_one_above_it() {
        let metadata = metadata();
        let packages = metadata["packages"].as_array().unwrap();
        let order: BTreeMap<_, _> = ORDER.into_iter().collect();
        assert_eq!(packages.len(), ORDER.len());
        let mut edges = 0;
        for package in packages {
            let name = package["name"].as_str().unwrap();
            let allowed = order.get(name);
            let allowed = allowed.unwrap_or_else(|| panic!("{name} has no place in the order"));
            // The facade names all that it gives away; tests know everything.
            if ["portcullis", "portcullis-tests"].contains(&name) {
                continue;
            }
            for dependency in package["dependencies"].as_array().unwrap() {
                let known = dependency["name"].as_str().unwrap();
                // Tests of a crate may run it on the memory host.
                let is_for_tests = dependency["kind"] == "dev" && known == "portcullis-memory-host";
                if !known.starts_with("portcullis") || is_for_tests {
                    continue;
                }
                edges += 1;
                assert!(
                    allowed.contains(&known),
                    "{name} must not know {known}: move what it needs of it down"
                );
            }
        }
        assert!(edges > 10, "{edges}");
    }
}
