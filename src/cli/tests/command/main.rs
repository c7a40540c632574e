//! The command, run as people run it; and what its page shows.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails where what it expects is not there"
)]

mod hook;
#[path = "../import/mod.rs"]
mod import;
#[path = "../import/strict.rs"]
mod import_strict;
mod testing;
mod under;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(arguments)
        .current_dir(folder)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}

/// A folder that goes with the test.
struct Scratch(PathBuf);

impl Scratch {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("portcullis-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        Self(folder)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.0.join(name), text).unwrap();
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// The blocks of a page in a language, in order.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let fence = format!("```{language}\n");
    let parts = page.split(&fence).skip(1);
    let block = |part: &str| part.split("```").next().unwrap().to_owned();
    parts.map(block).collect()
}

#[test]
fn the_page_shows_what_it_prints() {
    let page = fs::read_to_string(repository().join("docs/command.md")).unwrap();
    let scratch = Scratch::new("page");
    scratch.write("guard.yaml", &blocks(&page, "yaml")[0]);
    scratch.write("policy.json", &blocks(&page, "json")[0]);
    let consoles = blocks(&page, "console");
    assert_eq!(consoles.len(), 2);
    for console in consoles {
        let (line, expected) = console.split_once('\n').unwrap();
        let words: Vec<&str> = line.split_whitespace().skip(2).collect();
        let output = run(&scratch.0, &words);
        assert_eq!(output.status.code(), Some(1), "{line}");
        // How long it took differs.
        let without_times = |text: &str| -> String {
            let lines = text.lines().map(|line| line.split("; us=").next().unwrap());
            lines.collect::<Vec<_>>().join("\n")
        };
        let printed = text(&output.stdout);
        assert_eq!(without_times(&printed), without_times(expected), "{line}");
    }
}

/// The table of the page is what it prints.
#[test]
fn the_page_lists_what_is_looked_for() {
    let page = fs::read_to_string(repository().join("docs/command.md")).unwrap();
    let behind = page.split("<!-- audit -->\n").nth(1).unwrap();
    let table = behind.split("<!-- end of audit -->").next().unwrap();
    let output = run(&repository(), &["audit", "--list"]);
    assert_eq!(text(&output.stdout), table);
}

#[test]
fn findings_are_accepted_by_name_and_with_a_reason() {
    let scratch = Scratch::new("audit");
    scratch.write("open.json", &WRONG.replace("opem", "open"));
    let audit = |more: &[&str]| run(&scratch.0, &[&["audit", "open.json"], more].concat());
    let output = audit(&[]);
    assert_eq!(output.status.code(), Some(1));
    let printed = text(&output.stdout);
    assert!(printed.contains("warning[open-for-writing]: "), "{printed}");
    let accepted = [
        "--accept",
        "open-for-writing=it is a demo",
        "--accept",
        "body-unlimited=it is a demo",
        "--accept",
        "no-access-log=it is a demo",
    ];
    let output = audit(&accepted);
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{printed}");
    assert!(
        printed.contains("open-for-writing: accepted: it is a demo"),
        "{printed}"
    );
    assert_eq!(audit(&["--fail-on", "error"]).status.code(), Some(0));
    assert_eq!(
        audit(&["--accept", "open-for-writing="]).status.code(),
        Some(2)
    );
    assert_eq!(audit(&["--accept", "nothing=why"]).status.code(), Some(2));
}

#[test]
fn what_ships_is_valid() {
    let output = run(&repository(), &["check", "envoy"]);
    let printed = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{printed}");
    for name in [
        "envoy/envoy.yaml: ",
        "envoy/istio/wasmplugin.yaml: WasmPlugin portcullis: ",
        "envoy/istio/envoyfilter.yaml: EnvoyFilter portcullis: ",
        "envoy/production/edge.yaml: ",
        "envoy/envoy-gateway/policy.yaml: EnvoyExtensionPolicy portcullis: ",
    ] {
        assert!(printed.contains(name), "{name} is not in {printed}");
    }
}

const WRONG: &str =
    "{\n  \"version\": 1,\n  \"routes\": [{\"name\": \"a\", \"match\": {}, \"opem\": true}]\n}\n";

#[test]
fn programs_can_read_it() {
    let scratch = Scratch::new("formats");
    scratch.write("wrong.json", WRONG);
    let format = |format: &str| {
        let output = run(&scratch.0, &["check", "--format", format, "wrong.json"]);
        assert_eq!(output.status.code(), Some(1));
        text(&output.stdout)
    };
    let json: Value = serde_json::from_str(&format("json")).unwrap();
    let finding = &json["findings"][0];
    assert_eq!(
        (&finding["line"], &finding["column"], &finding["pointer"]),
        (&3.into(), &41.into(), &"/routes/0/opem".into())
    );
    let sarif: Value = serde_json::from_str(&format("sarif")).unwrap();
    let result = &sarif["runs"][0]["results"][0];
    let region = &result["locations"][0]["physicalLocation"]["region"];
    assert_eq!(
        (&result["level"], &region["startLine"]),
        (&"error".into(), &3.into())
    );
    let github = format("github");
    assert!(
        github.starts_with("::error file=wrong.json,line=3,col=41::unknown field"),
        "{github}"
    );
}

#[test]
fn the_exit_status_tells_a_wrong_document_from_one_that_cannot_be_read() {
    let scratch = Scratch::new("status");
    scratch.write("wrong.json", WRONG);
    scratch.write("open.json", &WRONG.replace("opem", "open"));
    scratch.write("other.yaml", "kind: Service\nmetadata: {name: a}\n");
    let status = |arguments: &[&str]| run(&scratch.0, arguments).status.code();
    assert_eq!(status(&["check", "wrong.json"]), Some(1));
    // A folder is as good as the worst in it, and what has no document is not asked for one.
    assert_eq!(status(&["check", "."]), Some(1));
    assert_eq!(status(&["check", "other.yaml"]), Some(1));
    assert_eq!(status(&["check", "open.json"]), Some(0));
    // That every route is open is a note.
    assert_eq!(status(&["check", "--strict", "open.json"]), Some(1));
    assert_eq!(status(&["check", "absent.json"]), Some(2));
    assert_eq!(status(&["chekc", "open.json"]), Some(2));
    assert_eq!(status(&["explain", "open.json", "/"]), Some(0));
    assert_eq!(status(&["explain", "wrong.json", "/"]), Some(2));
}

#[test]
fn a_document_comes_by_standard_input_too() {
    let mut child = Command::new(env!("CARGO_BIN_EXE_portcullis"))
        .args(["check", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(WRONG.as_bytes())
        .unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("-:3:41"));
}

/// A document whose keys the proxy fetches is tried with a token of one's own.
#[test]
fn tokens_of_ones_own_try_a_document() {
    let scratch = Scratch::new("tokens");
    let document = r#"{"version": 1,
        "providers": {"corp": {"issuer": "https://id.example.com/", "audiences": ["orders"],
            "jwks": {"remote": {"cluster": "idp", "uri": "https://id.example.com/jwks"}}}},
        "routes": [{"name": "a", "match": {}, "jwt": {"provider": "corp", "require": {"scopes": ["read"]}}}]}"#;
    scratch.write("policy.json", document);
    let printed = |arguments: &[&str]| {
        let output = run(&scratch.0, arguments);
        assert!(output.status.success(), "{}", text(&output.stderr));
        text(&output.stdout)
    };
    scratch.write("key.pem", &printed(&["token", "key"]));
    scratch.write(
        "keys.json",
        &printed(&["token", "jwks", "--key", "key.pem"]),
    );
    let token = |more: &[&str]| {
        let given = [
            "token",
            "new",
            "--key",
            "key.pem",
            "--issuer",
            "https://id.example.com/",
            "--audience",
            "orders",
        ];
        printed(&[&given[..], more].concat()).trim().to_owned()
    };
    let explained = |token: &str| -> Value {
        let header = format!("authorization: Bearer {token}");
        let output = run(
            &scratch.0,
            &[
                "explain",
                "policy.json",
                "/",
                "--json",
                "--jwks",
                "corp=keys.json",
                "-H",
                &header,
            ],
        );
        assert!(!output.stdout.is_empty(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    };
    let good = token(&["--scope", "read"]);
    assert_eq!(explained(&good)["passes"], true);
    let code = |token: &str| {
        let outcome = explained(token);
        assert_eq!(outcome["passes"], false);
        let body: Value =
            serde_json::from_str(outcome["response"]["body"].as_str().unwrap()).unwrap();
        body["code"].as_str().unwrap().to_owned()
    };
    assert_eq!(
        code(&token(&["--scope", "write"])),
        "jwt_insufficient_scope"
    );
    assert_eq!(
        code(&token(&["--scope", "read", "--lifetime", "-600"])),
        "jwt_expired"
    );
    let inspected = printed(&["token", "inspect", &good]);
    assert!(inspected.contains("\"scope\": \"read\"") && inspected.contains("expires in"));
    let output = run(&scratch.0, &["token", "inspect", "one-word"]);
    assert!(text(&output.stderr).contains("introspection"));
}

#[test]
fn a_key_is_one_of_the_store_that_has_its_entry() {
    let scratch = Scratch::new("keys");
    let output = run(
        &scratch.0,
        &["key", "new", "--client", "acme", "--prefix", "pk_live"],
    );
    let printed = text(&output.stdout);
    let (key, entry) = printed.split_once('\n').unwrap();
    let document = format!(
        r#"{{"version": 1,
            "api_key_stores": {{"partners": {{"prefix": "pk_live", "keys": [{entry}]}}}},
            "routes": [{{"name": "a", "match": {{}}, "api_key": {{"store": "partners"}}}}]}}"#
    );
    scratch.write("policy.json", &document);
    let status = |key: &str| {
        let header = format!("x-api-key: {key}");
        run(&scratch.0, &["explain", "policy.json", "/", "-H", &header])
            .status
            .code()
    };
    assert_eq!(status(key), Some(0));
    assert_eq!(status(&format!("{key}0")), Some(1));
}

#[test]
fn a_request_is_judged_at_the_time_that_is_given() {
    let scratch = Scratch::new("at");
    scratch.write(
        "policy.json",
        r#"{"version": 1,
            "versions": {"in": [{"path_segment": 1}], "known": {"v1": {
                "sunset": "2027-01-15",
                "brownouts": [{"from": "2026-12-01T09:00:00Z", "until": "2026-12-01T10:00:00Z"}]
            }}},
            "routes": [{"name": "a", "match": {}, "open": true}]}"#,
    );
    let status = |at: &str| {
        let output = run(
            &scratch.0,
            &["explain", "policy.json", "/v1/a", "--json", "--at", at],
        );
        let outcome: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
        outcome["response"]["status"].as_u64()
    };
    for (at, expected) in [
        ("2026-12-01T08:59:59Z", Some(200)),
        ("2026-12-01T10:30:00+01:00", Some(410)),
        ("1796119200", Some(200)),
        ("2027-01-14", Some(200)),
        ("2027-01-15", Some(410)),
        ("tomorrow", None),
    ] {
        assert_eq!(status(at), expected, "{at}");
    }
}

#[test]
fn a_window_and_a_grpc_request_are_explained() {
    let scratch = Scratch::new("window");
    scratch.write(
        "policy.json",
        r#"{"version": 1,
            "versions": {"in": [{"header": "api-version"}], "default": "v1", "known": {"v1": {
                "sunset": "2027-01-15",
                "brownouts": [
                    {"from": "2026-12-01", "until": "2026-12-02", "percent": 20},
                    {"from": "2026-12-03", "until": "2026-12-04"}
                ]
            }}},
            "routes": [
                {"name": "denied", "match": {"path": {"prefix": "/denied"}}, "deny": true},
                {"name": "a", "match": {}, "open": true}
            ]}"#,
    );
    let told = |path: &str, at: &str, media_type: &str| -> Vec<String> {
        let field = format!("content-type: {media_type}");
        let output = run(
            &scratch.0,
            &[
                "explain",
                "policy.json",
                path,
                "--json",
                "--at",
                at,
                "-H",
                &field,
            ],
        );
        let outcome: Value = serde_json::from_slice(&output.stdout).unwrap();
        serde_json::from_value(outcome["explanation"].clone()).unwrap()
    };
    let partial = told("/a", "2026-12-01", "text/plain");
    assert_eq!(partial[0], "route=a; version=v1; version_state=current");
    assert_eq!(
        partial[1],
        "brownout=v1; from=2026-12-01T00:00:00Z; until=2026-12-02T00:00:00Z; percent=20; drawn=no"
    );
    let full = told("/a", "2026-12-03", "application/grpc+proto");
    assert_eq!(
        full[0],
        "route=a; version=v1; version_state=current; protocol=grpc; code=version_brownout; reason=window; grpc_status=14"
    );
    assert_eq!(
        full[1],
        "brownout=v1; from=2026-12-03T00:00:00Z; until=2026-12-04T00:00:00Z; percent=100; drawn=yes"
    );
    let before = told("/denied", "2026-12-01", "application/grpc-web");
    assert_eq!(
        before[0],
        "route=denied; protocol=grpc-web; code=route_denied; reason=route; grpc_status=7"
    );
    let none = told("/a", "2026-12-02", "application/grpc");
    assert_eq!(
        none[0],
        "route=a; version=v1; version_state=current; protocol=grpc"
    );
    assert!(none.iter().all(|line| !line.starts_with("brownout=")));
}

#[test]
fn a_response_is_judged_with_its_body() {
    let scratch = Scratch::new("response");
    let outcome = |inspection: &str, responses: &str| -> Value {
        let document = format!(
            r#"{{"version": 1, "body_inspection": "{inspection}",
                "routes": [{{"name": "a", "match": {{}}, "open": true, "responses": {responses}}}]}}"#
        );
        scratch.write("policy.json", &document);
        let arguments = [
            "explain",
            "policy.json",
            "/",
            "--json",
            "--response-header",
            "content-type: application/json",
            "--response-data",
            r#"{"a":"4111 1111 1111 1111"}"#,
        ];
        let output = run(&scratch.0, &arguments);
        assert!(!output.stdout.is_empty(), "{}", text(&output.stderr));
        serde_json::from_slice::<Value>(&output.stdout).unwrap()["response"].take()
    };
    let masks = r#"{"mode": "enforce", "redact": {"kinds": {"card": "mask"}}}"#;
    let masked = outcome("stream", masks);
    assert_eq!(masked["body"], r#"{"a":"****1111"}"#);
    let usual = outcome("stream", r#"{"redact": {"kinds": {"card": "mask"}}}"#);
    assert_eq!(usual["body"], r#"{"a":"4111 1111 1111 1111"}"#);
    let forbids = r#"{"mode": "enforce", "forbid": {"kinds": ["card"]}}"#;
    let broken = outcome("stream", forbids);
    assert_eq!(
        (&broken["status"], &broken["broken_off"]),
        (&200.into(), &true.into())
    );
    assert_eq!(broken["body"], "");
    let held = outcome("hold_headers", forbids);
    assert_eq!(
        (&held["status"], &held["broken_off"]),
        (&502.into(), &false.into())
    );
}

#[test]
fn a_folder_is_not_well_with_a_document_that_cannot_be_read() {
    let scratch = Scratch::new("folder");
    let open = r#"{"version": 1, "routes": [{"name": "a", "match": {}, "open": true}]}"#;
    scratch.write("open.json", open);
    scratch.write("other.json", "{\"compilerOptions\": {},}");
    scratch.write("template.yaml", "name: {{ .Values.name }}\n");
    let status = |command: &str| run(&scratch.0, &[command, "."]).status.code();
    assert_eq!(status("check"), Some(0));
    scratch.write("slip.json", &open.replace("true}]", "true},]"));
    let output = run(&scratch.0, &["check", "."]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stdout).contains("slip.json:1:"));
    fs::remove_file(scratch.0.join("slip.json")).unwrap();
    fs::write(scratch.0.join("utf16.json"), b"\xff\xfe{").unwrap();
    for command in ["check", "audit"] {
        let output = run(&scratch.0, &[command, "."]);
        assert_eq!(output.status.code(), Some(2));
        assert!(text(&output.stdout).contains("open.json: valid"));
        assert!(text(&output.stderr).contains("utf16.json: is not UTF-8"));
    }
}

#[test]
fn a_name_that_is_there_twice_is_named() {
    let scratch = Scratch::new("twice");
    scratch.write(
        "twice.json",
        r#"{"version": 1, "routes": [], "version": 2}"#,
    );
    let output = run(&scratch.0, &["check", "twice.json"]);
    let printed = text(&output.stdout);
    assert!(
        printed.contains("the name \"version\" is there twice"),
        "{printed}"
    );
    assert!(printed.contains("twice.json:1:30"), "{printed}");
}

#[test]
fn a_configuration_is_rendered_without_a_key() {
    let scratch = Scratch::new("render");
    let open = r#"{"version": 1, "routes": [{"name": "a", "match": {}, "open": true}]}"#;
    scratch.write("open.json", open);
    let base = repository().join("envoy/envoy.yaml");
    let base = base.to_str().unwrap();
    let output = run(&scratch.0, &["render", "open.json", "--base", base]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    scratch.write("envoy.yaml", &text(&output.stdout));
    assert_eq!(
        run(&scratch.0, &["check", "envoy.yaml"]).status.code(),
        Some(0)
    );
}

#[test]
fn the_schema_is_printed_as_it_stands_in_the_documentation() {
    let printed = run(&repository(), &["schema"]);
    let path = repository().join("docs/schema/portcullis.schema.json");
    assert_eq!(text(&printed.stdout), fs::read_to_string(path).unwrap());
}

#[test]
fn shells_complete_every_command() {
    for shell in ["bash", "zsh", "fish", "powershell"] {
        let output = run(&repository(), &["completions", shell]);
        assert_eq!(output.status.code(), Some(0), "{shell}");
        let script = text(&output.stdout);
        for command in ["check", "audit", "explain", "render", "schema", "man"] {
            assert!(script.contains(command), "{shell}: {command}");
        }
    }
    let output = run(&repository(), &["completions", "cmd"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn bash_takes_the_script_and_completes() {
    let script = text(&run(&repository(), &["completions", "bash"]).stdout);
    let ask = "COMP_WORDS=(portcullis che); COMP_CWORD=1; _portcullis portcullis che portcullis; echo \"${COMPREPLY[@]}\"";
    let output = Command::new("bash")
        .args(["-c", &format!("{script}\n{ask}")])
        .output()
        .unwrap();
    assert_eq!(text(&output.stdout).trim(), "check");
}

#[test]
fn the_manual_has_a_page_for_each_command() {
    let page = text(&run(&repository(), &["man"]).stdout);
    assert!(page.contains(".TH portcullis 1"), "{page}");
    let page = text(&run(&repository(), &["man", "check"]).stdout);
    assert!(page.contains(".TH portcullis-check 1"), "{page}");
    assert!(page.contains("strict"), "{page}");
    let output = run(&repository(), &["man", "nothing"]);
    assert_eq!(output.status.code(), Some(2));
}

#[test]
fn the_version_names_the_format_of_documents() {
    let printed = text(&run(&repository(), &["--version"]).stdout);
    let expected = format!(
        "portcullis {} (document format 1)\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(printed, expected);
}
