//! The bill of materials of one artefact, in CycloneDX 1.6: every crate that is built in, with its licence and the
//! sum of its archive. What only takes part in the build, such as macros, is not in the artefact and not in the bill.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use crate::{date, hex_sum, pretty};

/// What a bill is of.
pub(crate) struct Subject<'a> {
    /// The crate that is built.
    pub(crate) crate_name: &'a str,
    pub(crate) version: &'a str,
    /// What the compiler says of itself.
    pub(crate) rustc: &'a str,
    pub(crate) epoch: u64,
    /// What `cargo tree --prefix depth --format '{p}|{l}'` says of the crate.
    pub(crate) tree: &'a str,
    /// The SHA-256 of archives, by name and version.
    pub(crate) sums: &'a BTreeMap<(String, String), String>,
}

/// A crate, by name and version.
type Id = (String, String);

/// What a tree of crates says.
#[derive(Default)]
struct Tree {
    licences: BTreeMap<Id, String>,
    needs: BTreeMap<Id, BTreeSet<Id>>,
}

impl Tree {
    fn read(tree: &str) -> Result<Self, String> {
        let mut read = Self::default();
        // The crates above the line, from the root down.
        let mut above: Vec<Id> = Vec::new();
        for line in tree.lines().filter(|line| !line.is_empty()) {
            let wrong = || format!("cargo tree is not understood: {line}");
            let (depth, rest) = line
                .find(|c: char| !c.is_ascii_digit())
                .and_then(|end| line.split_at_checked(end))
                .ok_or_else(wrong)?;
            let depth: usize = depth.parse().map_err(|_| wrong())?;
            let (package, licence) = rest.rsplit_once('|').ok_or_else(wrong)?;
            let mut words = package.split(' ');
            let name = words.next().ok_or_else(wrong)?.to_owned();
            let version = words.next().and_then(|word| word.strip_prefix('v'));
            let id = (name, version.ok_or_else(wrong)?.to_owned());
            // The second time that a crate comes, what it needs is not listed again.
            let licence = licence.trim_end_matches(" (*)").trim();
            if licence.is_empty() {
                return Err(format!("{} {} names no licence", id.0, id.1));
            }
            above.truncate(depth);
            if let Some(parent) = above.last() {
                let needs = read.needs.entry(parent.clone()).or_default();
                needs.insert(id.clone());
            }
            read.needs.entry(id.clone()).or_default();
            // Before there were expressions, alternatives were written with a slash.
            read.licences
                .insert(id.clone(), licence.replace('/', " OR "));
            above.push(id);
        }
        Ok(read)
    }
}

/// Writes the bill.
pub(crate) fn write(subject: &Subject<'_>) -> Result<Vec<u8>, String> {
    let tree = Tree::read(subject.tree)?;
    let root = (subject.crate_name.to_owned(), subject.version.to_owned());
    if !tree.licences.contains_key(&root) {
        return Err(format!("the tree of {} {} is not this one", root.0, root.1));
    }
    let standard = standard_library(subject.rustc)?;
    let component = |(id, licence): (&Id, &String)| component(id, licence, subject.sums);
    let mut components: Vec<Value> = tree
        .licences
        .iter()
        .filter(|(id, _)| **id != root)
        .map(component)
        .collect();
    let standard_reference = standard.get("bom-ref").cloned().unwrap_or_default();
    components.push(standard);

    let needs = tree.needs.iter().map(|(id, needs)| {
        let mut needs: Vec<Value> = needs.iter().map(|id| reference(id).into()).collect();
        if *id == root {
            needs.push(standard_reference.clone());
        }
        json!({ "ref": reference(id), "dependsOn": needs })
    });
    let needs: Vec<Value> = needs.collect();
    let mut main = tree
        .licences
        .get_key_value(&root)
        .map(component)
        .unwrap_or_default();
    if let Some(members) = main.as_object_mut() {
        members.insert("type".into(), "application".into());
        members.remove("scope");
    }
    let mut bill = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": date(subject.epoch),
            "tools": { "components": [
                { "type": "application", "name": "portcullis-release", "version": subject.version },
            ] },
            "component": main,
        },
        "components": components,
        "dependencies": needs,
    });
    let serial = serial_number(&bill);
    if let Some(members) = bill.as_object_mut() {
        members.insert("serialNumber".into(), serial.into());
    }
    Ok(pretty(&bill))
}

fn component(id: &Id, licence: &str, sums: &BTreeMap<Id, String>) -> Value {
    let (name, version) = id;
    let mut component = Map::new();
    component.insert("type".into(), "library".into());
    component.insert("bom-ref".into(), reference(id).into());
    component.insert("name".into(), name.as_str().into());
    component.insert("version".into(), version.as_str().into());
    component.insert("scope".into(), "required".into());
    component.insert("licenses".into(), json!([{ "expression": licence }]));
    // Crates of the workspace are not in a registry.
    if let Some(sum) = sums.get(id) {
        let hashes = json!([{ "alg": "SHA-256", "content": sum }]);
        component.insert("hashes".into(), hashes);
        component.insert("purl".into(), format!("pkg:cargo/{name}@{version}").into());
    }
    component.into()
}

fn reference((name, version): &Id) -> String {
    format!("{name}@{version}")
}

/// The standard library comes with the compiler, whose version it has.
fn standard_library(rustc: &str) -> Result<Value, String> {
    let version = rustc.split(' ').nth(1);
    let version = version.ok_or_else(|| format!("rustc has no version in: {rustc}"))?;
    Ok(json!({
        "type": "library",
        "bom-ref": format!("rust-std@{version}"),
        "name": "rust-std",
        "version": version,
        "scope": "required",
        "description": format!("The standard library of {rustc}, with the C library of its target"),
        "licenses": [{ "expression": "MIT OR Apache-2.0" }],
    }))
}

/// A UUID of the bill's own content, version 8 of RFC 9562.
fn serial_number(bill: &Value) -> String {
    let sum = hex_sum(bill.to_string().as_bytes());
    let part = |from: usize, to: usize| sum.get(from..to).unwrap_or_default();
    let (a, b, c, d, e) = (
        part(0, 8),
        part(8, 12),
        part(13, 16),
        part(17, 20),
        part(20, 32),
    );
    format!("urn:uuid:{a}-{b}-8{c}-8{d}-{e}")
}

#[cfg(test)]
mod tests {
    use portcullis_document::{Node, Problems};
    use portcullis_schema::{Formats, Notes, Schema, Text, Verdict};
    use portcullis_wire::json::Json;

    use super::*;

    const TREE: &str = "0portcullis-cli v0.1.0 (/somewhere/src/cli)|Apache-2.0
1base64 v0.22.1|MIT/Apache-2.0
1sha2 v0.11.1|MIT OR Apache-2.0
2digest v0.11.2|MIT OR Apache-2.0
1hmac v0.1.0|ISC
2digest v0.11.2|MIT OR Apache-2.0 (*)
";

    fn bill(tree: &str) -> Result<Value, String> {
        let sum = |name: &str, version: &str| ((name.into(), version.into()), "ab".repeat(32));
        let bytes = write(&Subject {
            crate_name: "portcullis-cli",
            version: "0.1.0",
            rustc: "rustc 1.95.0 (59807616e 2026-04-14)",
            epoch: 1_800_000_000,
            tree,
            sums: &BTreeMap::from([sum("base64", "0.22.1")]),
        })?;
        Ok(serde_json::from_slice(&bytes).unwrap())
    }

    #[test]
    fn crates_are_listed_with_licence_and_sum() {
        let bill = bill(TREE).unwrap();
        let components = bill["components"].as_array().unwrap();
        let names: Vec<&Value> = components.iter().map(|each| &each["bom-ref"]).collect();
        let expected = [
            "base64@0.22.1",
            "digest@0.11.2",
            "hmac@0.1.0",
            "sha2@0.11.1",
            "rust-std@1.95.0",
        ];
        assert_eq!(names, expected);
        assert_eq!(components[0]["purl"], "pkg:cargo/base64@0.22.1");
        assert_eq!(components[0]["hashes"][0]["content"], "ab".repeat(32));
        assert_eq!(
            components[0]["licenses"][0]["expression"],
            "MIT OR Apache-2.0"
        );
        assert_eq!(bill["metadata"]["component"]["name"], "portcullis-cli");
        let needs = bill["dependencies"].as_array().unwrap();
        let of = |name: &str| needs.iter().find(|each| each["ref"] == name).unwrap();
        assert_eq!(of("hmac@0.1.0")["dependsOn"], json!(["digest@0.11.2"]));
        let all = json!([
            "base64@0.22.1",
            "hmac@0.1.0",
            "sha2@0.11.1",
            "rust-std@1.95.0"
        ]);
        assert_eq!(of("portcullis-cli@0.1.0")["dependsOn"], all);
        assert!(!bill.to_string().contains("somewhere"));
    }

    /// The schema of CycloneDX with those that it refers to in it.
    fn schema() -> Value {
        let read = |name: &str| -> Value {
            let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/cyclonedx");
            let file = std::fs::read(format!("{folder}/{name}.schema.json")).unwrap();
            serde_json::from_slice(&file).unwrap()
        };
        let mut schema = read("bom-1.6");
        for name in ["spdx", "jsf-0.82"] {
            let mut other = read(name);
            // What they are called before a release.
            let id = format!("http://cyclonedx.org/schema/{name}.SNAPSHOT.schema.json");
            other["$id"] = id.into();
            schema["definitions"][name] = other;
        }
        schema
    }

    fn verdict(schema: &Value, bill: &Value) -> Verdict {
        let json = Json::parse(schema.to_string().as_bytes(), 64).unwrap();
        let mut problems = Problems::default();
        let node = Node::root(&json);
        let read = Schema::read(
            &node,
            Formats::Annotate,
            &mut Notes::default(),
            &mut problems,
        );
        let schema = problems.into_result(read).unwrap();
        schema.judge(&Text::parse(bill.to_string().as_bytes(), 64).unwrap())
    }

    #[test]
    fn it_is_a_bill_by_the_schema() {
        let (schema, mut bill) = (schema(), bill(TREE).unwrap());
        assert_eq!(verdict(&schema, &bill), Verdict::Valid);
        bill["components"][0]["hashes"][0]["content"] = "no sum".into();
        assert!(matches!(verdict(&schema, &bill), Verdict::Invalid(_)));
        bill["components"][0]["hashes"] = json!([]);
        bill["components"][0]["licenses"] = json!([{ "license": { "id": "No-Such" } }]);
        assert!(matches!(verdict(&schema, &bill), Verdict::Invalid(_)));
    }

    #[test]
    fn what_is_not_understood_is_no_bill() {
        assert!(bill("").is_err());
        assert!(bill("portcullis-cli").is_err());
        assert!(bill("0portcullis-wire v0.1.0|MIT").is_err());
        let unlicensed = format!("{TREE}1secret v1.0.0|\n");
        assert!(bill(&unlicensed).is_err_and(|error| error.contains("no licence")));
    }
}
