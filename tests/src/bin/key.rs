//! Makes an API key: prints it once, and the entry for the document, which holds its hash alone.

use std::process::ExitCode;

use portcullis::policy::api_key::form::{self, RANDOM_BYTES};
use ring::digest::{SHA256, digest};
use ring::hmac::{self, HMAC_SHA256};
use ring::rand::{SecureRandom, SystemRandom};
use serde_json::json;

const USAGE: &str = "usage: make key CLIENT=… [PREFIX=…] [ID=…] [SECRET=…]
CLIENT  whose it is
PREFIX  how the key begins, such as pk_live; the store's `prefix`
ID      its name; unless given, a part of its hash
SECRET  the environment variable with the secret, where the store's `hash` is `hmac_sha256`
The program itself takes them in the order PREFIX CLIENT ID SECRET.";

fn main() -> ExitCode {
    let written: Vec<String> = std::env::args().skip(1).collect();
    let word = |place: usize, usual: &'static str| match written.get(place) {
        Some(word) if !word.is_empty() => word.clone(),
        _ => usual.to_owned(),
    };
    let (prefix, client, variable) = (word(0, "key"), word(1, ""), word(3, ""));
    let wrong = if written.len() > 4 {
        "there are more than four words".to_owned()
    } else if !form::is_prefix(&prefix) {
        format!(
            "PREFIX must be up to {} lower-case letters and digits, in words that `_` parts, and begin with a letter",
            form::LONGEST_PREFIX
        )
    } else if client.is_empty() {
        "CLIENT is missing: whose key is it?".to_owned()
    } else {
        String::new()
    };
    if !wrong.is_empty() {
        eprintln!("{wrong}\n{USAGE}");
        return ExitCode::from(2);
    }
    let mut random = [0; RANDOM_BYTES];
    if SystemRandom::new().fill(&mut random).is_err() {
        eprintln!("the system has no random bytes");
        return ExitCode::FAILURE;
    }
    let key = form::key(&prefix, &random);
    let hash = if variable.is_empty() {
        hex(digest(&SHA256, key.as_bytes()).as_ref())
    } else {
        match std::env::var(&variable) {
            Ok(secret) if secret.len() >= 32 => {
                let secret = hmac::Key::new(HMAC_SHA256, secret.as_bytes());
                hex(hmac::sign(&secret, key.as_bytes()).as_ref())
            }
            _ => {
                eprintln!("{variable} is no environment variable with 32 bytes at least");
                return ExitCode::FAILURE;
            }
        }
    };
    let id = match word(2, "") {
        id if id.is_empty() => format!("{prefix}_{}", &hash[..8]),
        id => id,
    };
    let (id, client) = (json!(id), json!(client));
    println!(
        r#"{key}
{{ "id": {id}, "hash": "{hash}", "client": {client} }}"#
    );
    ExitCode::SUCCESS
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
