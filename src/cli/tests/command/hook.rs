//! The Job of the chart in `envoy/helm`, which stands before every change: its containers' commands as helm renders them,
//! on the files of its ConfigMap as a node mounts them.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use portcullis_cases::tree;
use serde_json::{Value, json};

use super::testing::page;
use super::{Scratch, blocks, repository, text};

/// What the chart has beside the values of its example.
struct Hook {
    folder: Scratch,
    containers: Vec<Value>,
}

/// The exit status of a container, and what it says.
type Said = (i32, String);

impl Hook {
    /// With these in place of some values of the example; null takes one away.
    fn rendered(name: &str, others: &Value) -> Self {
        let example = repository().join("envoy/helm/portcullis/examples/gateway.yaml");
        let example = tree::of_yaml(&fs::read_to_string(example).unwrap()).unwrap();
        let mut values = example[0].json();
        patch(&mut values, others);
        let folder = Scratch::new(name);
        folder.write("values.json", &values.to_string());
        let output = Command::new(helm())
            .args([
                "template",
                "portcullis",
                "--show-only",
                "templates/check.yaml",
            ])
            .arg(repository().join("envoy/helm/portcullis"))
            .arg("--values")
            .arg(folder.0.join("values.json"))
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let objects = tree::of_yaml(&text(&output.stdout)).unwrap();
        let objects: Vec<Value> = objects.iter().map(tree::Tree::json).collect();
        let of_kind = |kind: &str| objects.iter().find(|each| each["kind"] == kind).unwrap();
        let (map, job) = (of_kind("ConfigMap"), of_kind("Job"));
        let pod = &job["spec"]["template"]["spec"];
        assert_eq!(
            pod["volumes"][0]["configMap"]["name"],
            map["metadata"]["name"]
        );
        folder.mount(map["data"].as_object().unwrap());
        Self {
            folder,
            containers: pod["containers"].as_array().unwrap().clone(),
        }
    }

    /// Runs each container's command. The image has the command as its entry point, and nothing else.
    fn run(&self) -> Vec<Said> {
        self.containers.iter().map(|each| self.said(each)).collect()
    }

    fn said(&self, container: &Value) -> Said {
        assert_eq!(container.get("command"), None);
        let mount = &container["volumeMounts"][0];
        assert_eq!(mount["name"], "document");
        let mount = mount["mountPath"].as_str().unwrap();
        let here = self.folder.0.join("mount");
        let arguments = container["args"].as_array().unwrap().iter();
        let arguments = arguments.map(|argument| match argument.as_str().unwrap() {
            path if path.starts_with(mount) => path.replacen(mount, here.to_str().unwrap(), 1),
            word => word.to_owned(),
        });
        let output = Command::new(env!("CARGO_BIN_EXE_portcullis"))
            .args(arguments)
            .env_clear()
            .current_dir("/")
            .output()
            .unwrap();
        let said = text(&output.stdout) + &text(&output.stderr);
        (output.status.code().unwrap(), said)
    }
}

impl Scratch {
    /// Each file is a link to one in a folder that is replaced as a whole.
    fn mount(&self, files: &serde_json::Map<String, Value>) {
        let mount = self.0.join("mount");
        fs::create_dir_all(mount.join("..2027_01")).unwrap();
        std::os::unix::fs::symlink("..2027_01", mount.join("..data")).unwrap();
        for (name, content) in files {
            let file = mount.join("..2027_01").join(name);
            fs::write(file, content.as_str().unwrap()).unwrap();
            let link = PathBuf::from("..data").join(name);
            std::os::unix::fs::symlink(link, mount.join(name)).unwrap();
        }
    }
}

/// RFC 7396.
fn patch(value: &mut Value, others: &Value) {
    match others.as_object() {
        None => *value = others.clone(),
        Some(others) => {
            for (name, other) in others {
                match other {
                    Value::Null => drop(value.as_object_mut().unwrap().remove(name)),
                    other => patch(&mut value[name], other),
                }
            }
        }
    }
}

/// That of the environment, else what `tests/find-helm.sh` finds.
fn helm() -> PathBuf {
    let named = std::env::var_os("HELM").filter(|path| !path.is_empty());
    named.map(PathBuf::from).unwrap_or_else(|| {
        let found = Command::new(repository().join("tests/find-helm.sh"));
        let output = { found }.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout).trim().into()
    })
}

#[test]
fn a_good_document_is_let_through() {
    let said = Hook::rendered("hook-good", &json!({})).run();
    let [(checked, _), (tested, cases)] = &said[..] else {
        panic!("{said:?}");
    };
    assert_eq!((*checked, *tested), (0, 0), "{said:?}");
    assert!(
        cases.starts_with("2 exchanges in 1 file, 0 failed"),
        "{cases}"
    );
    // Without cases there is nothing to test.
    let said = Hook::rendered("hook-none", &json!({ "check": { "cases": null } })).run();
    assert!(matches!(&said[..], [(0, _)]), "{said:?}");
}

#[test]
fn a_bad_document_stops_the_release() {
    let bad = json!({ "document": { "routes": [{ "name": "orders", "match": {}, "jwt": { "provider": "crop" } }] } });
    let said = Hook::rendered("hook-bad", &bad).run();
    let [(checked, problem), (tested, _)] = &said[..] else {
        panic!("{said:?}");
    };
    assert_eq!(*checked, 1, "{problem}");
    assert!(problem.contains("did you mean \"corp\"?"), "{problem}");
    assert_ne!(*tested, 0);
}

/// What is valid, and risky enough for a note.
#[test]
fn a_note_stops_it_where_that_is_asked_for() {
    let noted = |strict: bool| {
        json!({
            "check": { "strict": strict, "cases": null },
            "document": { "routes": [{ "name": "all", "match": {}, "open": true }] },
        })
    };
    let said = Hook::rendered("hook-note", &noted(false)).run();
    assert!(
        matches!(&said[..], [(0, note)] if note.contains("note")),
        "{said:?}"
    );
    let said = Hook::rendered("hook-strict", &noted(true)).run();
    assert!(matches!(&said[..], [(1, _)]), "{said:?}");
}

#[test]
fn a_case_that_fails_stops_it() {
    let case = json!({
        "about": "What is expected does not come.",
        "exchanges": [{
            "name": "without a token", "request": { "path": "/orders/7" }, "expect": { "status": 200 },
        }],
    });
    let wrong = json!({ "check": { "cases": { "wrong": case } } });
    let said = Hook::rendered("hook-case", &wrong).run();
    let [(checked, _), (tested, difference)] = &said[..] else {
        panic!("{said:?}");
    };
    assert_eq!((*checked, *tested), (0, 1), "{said:?}");
    let expected = "case-wrong.json:1:";
    assert!(difference.contains(expected), "{difference}");
    assert!(
        difference.contains("status: expected 200, found 401"),
        "{difference}"
    );
    assert!(
        difference.contains("3 exchanges in 2 files, 1 failed"),
        "{difference}"
    );
}

/// A case of a repository, which names its document there, is one of the chart as it is.
#[test]
fn a_case_file_is_taken_as_it_is() {
    let case: Value = serde_json::from_str(&blocks(&page(), "json")[0]).unwrap();
    let document = tree::of_yaml(&blocks(&page(), "yaml")[0]).unwrap();
    let mut values = json!({
        "document": document[0].json(),
        "check": { "cases": { "orders": case } },
    });
    // In place of the example's keys, not besides.
    values["document"]["providers"]["corp"]["jwks"]["inline"] = Value::Null;
    let said = Hook::rendered("hook-file", &values).run();
    let [(0, _), (0, passed)] = &said[..] else {
        panic!("{said:?}");
    };
    assert!(
        passed.starts_with("3 exchanges in 1 file, 0 failed"),
        "{passed}"
    );
}
