//! Requests and tokens under documents: `portcullis diff`, and `token inspect --document`.

use std::fs;

use serde_json::{Value, json};

use super::testing::page;
use super::{Scratch, blocks, repository};

#[test]
fn another_document_is_told_by_what_becomes_of_cases() {
    let scratch = Scratch::of_page("diff");
    let policy = &blocks(&page(), "yaml")[0];
    let (text, status) =
        scratch.printed(&["diff", "policy.yaml", "policy.yaml", "--cases", "cases"]);
    assert_eq!(status, 0, "{text}");
    assert!(
        text.contains("3 requests compared, 0 differ, 0 cannot be replayed"),
        "{text}"
    );
    scratch.write("new.yaml", &policy.replace("orders.read", "orders.all"));
    let (text, status) = scratch.printed(&["diff", "policy.yaml", "new.yaml", "--cases", "cases"]);
    assert_eq!(status, 1);
    let command = fs::read_to_string(repository().join("docs/command.md")).unwrap();
    let shown = blocks(&command, "text");
    let shown = shown
        .iter()
        .find(|text| text.contains("requests compared"))
        .unwrap();
    assert_eq!(text.trim(), shown.trim());
    scratch.write(
        "new.yaml",
        &(policy.clone() + "- name: rest\n  match: { path: { prefix: / } }\n  open: true\n"),
    );
    let (all, status) = scratch.json(&[
        "diff",
        "policy.yaml",
        "new.yaml",
        "--cases",
        "cases",
        "--format",
        "json",
    ]);
    assert_eq!(status, 1);
    assert_eq!(
        (
            &all["documents"][0]["kind"],
            &all["documents"][0]["pointer"]
        ),
        (&json!("added"), &json!("/routes/1"))
    );
    assert_eq!(all["differing"], 0);
}

/// A line of Envoy's log with a record.
fn line(members: &Value) -> String {
    format!(
        "[2026-11-30 10:00:00.000][1][info][wasm] [source/wasm.cc:1] wasm log portcullis: {members}\n"
    )
}

#[test]
fn another_document_is_told_by_the_access_log() {
    let scratch = Scratch::of_page("log");
    let record = |more: Value| {
        let mut record = json!({
            "timestamp": "2026-11-30T10:00:00.000Z", "event.name": "portcullis.access",
            "portcullis.route": "orders", "http.request.method": "GET", "url.scheme": "https",
            "server.address": "api.example.com", "url.path": "/orders/7", "client.address": "198.51.100.7",
            "http.response.status_code": 200,
        });
        record
            .as_object_mut()
            .unwrap()
            .extend(more.as_object().unwrap().clone());
        line(&record)
    };
    let accepted = json!({
        "portcullis.outcome": "allowed", "user.id": "alice", "portcullis.issuer": "https://id.example.com/",
        "portcullis.provider": "corp", "portcullis.claim.scope": "orders.read",
    });
    let mut without_scope = accepted.clone();
    without_scope
        .as_object_mut()
        .unwrap()
        .remove("portcullis.claim.scope");
    let denied = json!({ "portcullis.outcome": "denied", "portcullis.policy": "jwt", "portcullis.code": "jwt_missing", "portcullis.reason": "missing" });
    let with_key = json!({ "portcullis.outcome": "allowed", "portcullis.credential": "api_key" });
    let unfinished = json!({ "portcullis.outcome": "unfinished" });
    let log = [accepted, without_scope, denied, with_key, unfinished]
        .map(record)
        .concat();
    scratch.write("access.log", &format!("starting\n{log}"));
    scratch.write(
        "new.yaml",
        &blocks(&page(), "yaml")[0].replace("orders.read", "orders.all"),
    );
    let (all, status) = scratch.json(&[
        "diff",
        "policy.yaml",
        "new.yaml",
        "--log",
        "access.log",
        "--format",
        "json",
    ]);
    assert_eq!(status, 1);
    assert_eq!(
        (&all["compared"], &all["differing"]),
        (&json!(2), &json!(1)),
        "{all}"
    );
    let group = &all["differences"][0];
    assert_eq!(
        (&group["route"], &group["count"]),
        (&json!("orders"), &json!(1))
    );
    assert!(
        group["difference"]
            .as_str()
            .unwrap()
            .starts_with("allowed 200 -> denied 403 "),
        "{group}"
    );
    assert_eq!(group["examples"][0]["place"], "access.log:2");
    let reasons = all["cannot_be_replayed"].as_array().unwrap();
    let told: Vec<&str> = reasons
        .iter()
        .map(|each| each["reason"].as_str().unwrap())
        .collect();
    assert_eq!(told.len(), 3, "{told:?}");
    for part in ["api_key", "unfinished", "does not suffice"] {
        assert!(
            told.iter().any(|reason| reason.contains(part)),
            "{part}: {told:?}"
        );
    }
    scratch.write("empty.log", "nothing here\n");
    let (text, status) =
        scratch.printed(&["diff", "policy.yaml", "new.yaml", "--log", "empty.log"]);
    assert_eq!(status, 2, "{text}");
}

#[test]
fn a_document_says_why_it_refuses_a_token() {
    let scratch = Scratch::of_page("inspect");
    let (key, _) = scratch.printed(&["token", "key"]);
    scratch.write("key.pem", &key);
    let (keys, _) = scratch.printed(&["token", "jwks", "--key", "key.pem"]);
    scratch.write("keys.json", &keys);
    let token = |more: &[&str]| {
        let all = [
            "token",
            "new",
            "--key",
            "key.pem",
            "--issuer",
            "https://id.example.com/",
        ];
        let (token, status) = scratch.printed(&[&all[..], more].concat());
        assert_eq!(status, 0, "{token}");
        token.trim().to_owned()
    };
    let inspect = |token: &str, more: &[&str]| {
        let all = ["token", "inspect", token, "--document", "policy.yaml"];
        scratch.printed(&[&all[..], more].concat())
    };
    let good = token(&["--audience", "orders-api", "--scope", "orders.read"]);
    let (text, status) = inspect(&good, &["--jwks", "corp=keys.json"]);
    assert_eq!(status, 0, "{text}");
    assert!(text.contains("provider corp: takes it\n"), "{text}");
    assert!(
        text.contains("route orders, /routes/0/jwt: lets it pass\n"),
        "{text}"
    );
    // Without keys, all but the signature is judged.
    let (text, status) = inspect(&good, &[]);
    assert_eq!(status, 0, "{text}");
    assert!(
        text.contains("provider corp: takes it if its signature is good, which is not checked"),
        "{text}"
    );
    for (token, more, told) in [
        (
            token(&[
                "--audience",
                "orders-api",
                "--scope",
                "orders.read",
                "--forged",
            ]),
            &["--jwks", "corp=keys.json"][..],
            "signature",
        ),
        (
            token(&["--audience", "other", "--scope", "orders.read"]),
            &[],
            "\"claim\":\"aud\"",
        ),
        (
            token(&["--audience", "orders-api", "--lifetime", "-400"]),
            &[],
            "\"claim\":\"exp\",\"fault\":\"past\"",
        ),
    ] {
        let (text, status) = inspect(&token, more);
        assert_eq!(status, 1, "{text}");
        assert!(
            text.contains("provider corp: refuses it") && text.contains(told),
            "{told}: {text}"
        );
    }
    // The provider takes it, and the route asks for more.
    let (text, status) = inspect(
        &token(&["--audience", "orders-api"]),
        &["--jwks", "corp=keys.json"],
    );
    assert_eq!(status, 0, "{text}");
    assert!(
        text.contains("provider corp: takes it\n")
            && text.contains("route orders, /routes/0/jwt: refuses it\n"),
        "{text}"
    );
    assert!(text.contains("/routes/0/jwt/require/scopes"), "{text}");
}
