//! The order of the crates: an edge against it does not compile into the house unnoticed.

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::process::Command;

    use serde_json::Value;

    /// From the ground up: a crate knows those before it and no other. Those that judge requests
    /// know nothing of a proxy; hosts know the engine and do not know one another.
    const ORDER: [(&str, &[&str]); 15] = [
        ("portcullis-wire", &[]),
        ("portcullis-document", &["portcullis-wire"]),
        ("portcullis-formats", &["portcullis-wire"]),
        ("portcullis-detect", &["portcullis-wire"]),
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
                "portcullis-formats",
                "portcullis-detect",
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
        ("portcullis-release", &[]),
        ("portcullis", &[]),
        ("portcullis-cases", &["portcullis"]),
        ("portcullis-cli", &[]),
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
            // The facade names all that it gives away; the command and tests know everything, and a release its
            // own tests' schemas.
            if [
                "portcullis",
                "portcullis-cli",
                "portcullis-release",
                "portcullis-tests",
            ]
            .contains(&name)
            {
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

/// Files that need one another stand in one folder.
#[cfg(test)]
mod circles {
    use std::collections::{BTreeMap, BTreeSet};
    use std::fs;
    use std::path::{Path, PathBuf};

    use crate::tokens::repository;

    /// The engine's modules from the ground up: one knows those before it and no other. What became
    /// of an exchange is a value at the bottom; a compiled document holds what counts and records
    /// such values, streams hold the document and make them, and what compiles documents and what
    /// works by them stand above.
    const ENGINE: [&str; 11] = [
        "record",
        "metrics",
        "access_log",
        "refused",
        "plan",
        "explain",
        "engine",
        "stream",
        "config",
        "worker",
        "proof",
    ];

    /// The files of a crate by the paths of their modules.
    struct Sources {
        files: BTreeMap<Vec<String>, PathBuf>,
    }

    impl Sources {
        fn of(root: &Path) -> Self {
            let mut files = BTreeMap::new();
            let mut folders = vec![root.to_owned()];
            while let Some(folder) = folders.pop() {
                for entry in fs::read_dir(&folder).unwrap() {
                    let path = entry.unwrap().path();
                    if path.is_dir() {
                        folders.push(path);
                    } else if path.extension().is_some_and(|kind| kind == "rs") {
                        let module = path.strip_prefix(root).unwrap().with_extension("");
                        let mut module: Vec<String> = module
                            .iter()
                            .map(|part| part.to_str().unwrap().to_owned())
                            .collect();
                        let is_root = ["mod", "lib"].contains(&module.last().unwrap().as_str());
                        if is_root {
                            module.pop();
                        }
                        files.insert(module, path);
                    }
                }
            }
            Self { files }
        }

        /// The file in which a path of a module leads to an item.
        fn file(&self, path: &[String]) -> Option<&PathBuf> {
            (0..=path.len())
                .rev()
                .find_map(|length| self.files.get(&path[..length]))
        }

        /// The files that each file names.
        fn edges(&self) -> BTreeMap<&PathBuf, BTreeSet<&PathBuf>> {
            let mut edges = BTreeMap::new();
            for (module, file) in &self.files {
                let text = fs::read_to_string(file).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                let lines = code
                    .lines()
                    .map(str::trim_start)
                    .filter(|line| !line.starts_with("//"));
                let code: Vec<&str> = lines.collect();
                let mut known = BTreeSet::new();
                for path in paths(&code.join("\n")) {
                    let mut parts: Vec<String> = path.split("::").map(str::to_owned).collect();
                    let mut base = module.clone();
                    match parts.remove(0).as_str() {
                        "crate" => base.clear(),
                        "super" => {
                            base.pop();
                            while parts.first().is_some_and(|part| part == "super") {
                                parts.remove(0);
                                base.pop();
                            }
                        }
                        _ => {}
                    }
                    base.append(&mut parts);
                    known.extend(self.file(&base).filter(|found| *found != file));
                }
                edges.insert(file, known);
            }
            edges
        }
    }

    /// The paths in a text that begin with `crate`, `super` or `self`, groups of imports written out.
    fn paths(code: &str) -> Vec<String> {
        let mut found = Vec::new();
        let is_name = |c: char| c.is_alphanumeric() || c == '_';
        for start in ["crate::", "super::", "self::"] {
            for (at, _) in code.match_indices(start) {
                let before = code[..at].chars().next_back();
                // `pub(in crate::…)` says who may use it.
                let is_visibility = code[..at].ends_with("(in ");
                if is_visibility || before.is_some_and(|c| is_name(c) || c == ':') {
                    continue;
                }
                let rest = &code[at..];
                let end = rest.find(|c| !is_name(c) && c != ':').unwrap_or(rest.len());
                let path = rest[..end].trim_end_matches(':');
                if rest[end..].starts_with('{') {
                    let group = rest[end + 1..].split('}').next().unwrap();
                    for item in group.split([',', '{']) {
                        let item: String = item
                            .trim()
                            .chars()
                            .take_while(|c| is_name(*c) || *c == ':')
                            .collect();
                        found.push(format!("{path}::{item}"));
                    }
                } else {
                    found.push(path.to_owned());
                }
            }
        }
        found
    }

    /// All files that a file leads to.
    fn reached<'s>(
        edges: &BTreeMap<&'s PathBuf, BTreeSet<&'s PathBuf>>,
        from: &'s PathBuf,
    ) -> BTreeSet<&'s PathBuf> {
        let mut reached = BTreeSet::new();
        let mut next = vec![from];
        while let Some(file) = next.pop() {
            for to in &edges[file] {
                if reached.insert(*to) {
                    next.push(to);
                }
            }
        }
        reached
    }

    #[test]
    fn files_of_different_folders_do_not_need_one_another() {
        let mut files = 0;
        for folder in [
            "src/wire",
            "src/document",
            "src/schema",
            "src/formats",
            "src/detect",
            "src/exchange",
            "src/policies",
            "src/engine",
            "src/hosts/memory",
            "src/hosts/proxy-wasm",
            "src/cases",
            "src/cli",
            "src/release",
        ] {
            let sources = Sources::of(&repository().join(folder));
            let edges = sources.edges();
            files += edges.len();
            let all: BTreeMap<_, _> = edges
                .keys()
                .map(|file| (*file, reached(&edges, file)))
                .collect();
            let mut circles = BTreeSet::new();
            for (file, leads_to) in &all {
                for other in leads_to {
                    if all[other].contains(file) && file.parent() != other.parent() {
                        circles.insert((file, other));
                    }
                }
            }
            assert!(circles.is_empty(), "{folder}: {circles:#?}");
        }
        assert!(files > 200, "{files}");
    }

    #[test]
    fn no_module_of_the_engine_knows_one_above_it() {
        let root = repository().join("src/engine");
        let sources = Sources::of(&root);
        let module = |file: &Path| {
            let first = file.strip_prefix(&root).unwrap().iter().next().unwrap();
            let stem = Path::new(first).file_stem().unwrap();
            stem.to_str().unwrap().to_owned()
        };
        let place = |module: &str| {
            let place = ENGINE.iter().position(|each| *each == module);
            place.unwrap_or_else(|| panic!("{module} has no place in the order"))
        };
        let mut edges = 0;
        for (file, known) in sources.edges() {
            let from = module(file);
            // They have no items.
            if ["lib", "build"].contains(&from.as_str()) {
                continue;
            }
            let above = place(&from);
            for to in known.iter().map(|file| module(file)) {
                edges += usize::from(to != from);
                assert!(
                    place(&to) <= above,
                    "{} must not know {to}: move what it needs of it down",
                    file.display()
                );
            }
        }
        assert!(edges > 40, "{edges}");
    }
}

/// One name, one type: what a name means in a file, it means in the whole crate.
#[cfg(test)]
mod names {
    use std::collections::BTreeMap;
    use std::fs;
    use std::path::{Path, PathBuf};

    use crate::tokens::repository;

    /// Names that stand for two types of one crate, each with its reason.
    const KNOWN: &[(&str, &str, &str)] = &[];

    fn files(folder: &Path, out: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                files(&path, out);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                out.push(path);
            }
        }
    }

    /// The type that a line defines. An associated type is none: it is indented.
    fn defined(line: &str) -> Option<&str> {
        let mut words = line.split_whitespace().peekable();
        while words
            .next_if(|word| word.starts_with("pub") || word.starts_with("crate"))
            .is_some()
        {}
        let kind = words.next()?;
        let is_alias = kind == "type" && !line.starts_with(' ');
        if !is_alias && !["struct", "enum", "trait", "union"].contains(&kind) {
            return None;
        }
        let name = words.next()?;
        let end = name.find(|c: char| !c.is_alphanumeric() && c != '_');
        let name = &name[..end.unwrap_or(name.len())];
        name.starts_with(char::is_uppercase).then_some(name)
    }

    #[test]
    fn a_name_stands_for_one_type_of_its_crate() {
        let mut types = 0;
        let mut twice = Vec::new();
        for folder in [
            "src/wire",
            "src/document",
            "src/schema",
            "src/formats",
            "src/detect",
            "src/exchange",
            "src/policies",
            "src/engine",
            "src/hosts/memory",
            "src/hosts/proxy-wasm",
            "src/cases",
            "src/cli",
            "src/release",
        ] {
            let mut sources = Vec::new();
            files(&repository().join(folder), &mut sources);
            let mut places: BTreeMap<String, Vec<PathBuf>> = BTreeMap::new();
            for file in sources {
                let text = fs::read_to_string(&file).unwrap();
                let code = text.split("#[cfg(test)]\nmod tests {").next().unwrap();
                for name in code.lines().filter_map(defined) {
                    places
                        .entry(name.to_owned())
                        .or_default()
                        .push(file.clone());
                }
            }
            types += places.len();
            let several = places.into_iter().filter(|(_, files)| files.len() > 1);
            twice.extend(several.map(|(name, files)| (folder, name, files)));
        }
        assert!(types > 500, "{types}");
        let known: Vec<_> = KNOWN
            .iter()
            .map(|(folder, name, _)| (*folder, *name))
            .collect();
        let new: Vec<_> = twice
            .iter()
            .filter(|(folder, name, _)| !known.contains(&(*folder, name.as_str())))
            .collect();
        assert!(new.is_empty(), "two types of one name: {new:#?}");
        assert_eq!(known.len(), twice.len(), "a reason without a name");
    }

    #[test]
    fn definitions_are_seen() {
        for (line, name) in [
            ("pub struct Found<'r> {", Some("Found")),
            ("pub(in crate::authn) enum Said {", Some("Said")),
            ("    struct Hand(Vec<u8>);", Some("Hand")),
            ("type Answer<'a> = u8;", Some("Answer")),
            ("    type Attempt<'c> = u8;", None),
            ("let kind = 1;", None),
        ] {
            assert_eq!(defined(line), name, "{line}");
        }
    }
}
