//! Prints a token for the demo. Its key is public: the tokens are worth nothing elsewhere.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use portcullis_tests::tokens::{self, SigningKey};
use serde_json::{Value, json};

fn main() -> ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    let Some(token) = described(&name) else {
        eprintln!("usage: mint good|expired|wrong-scope|wrong-audience|forged");
        return ExitCode::from(2);
    };
    #[allow(
        clippy::disallowed_methods,
        reason = "the demo's proxy goes by the real clock"
    )]
    let now = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |now| now.as_secs());
    let key = tokens::repository().join("envoy/demo-keys/es256.pem");
    println!(
        "{}",
        tokens::mint_with(&SigningKey::from_pem_file(&key), &token, now)
    );
    ExitCode::SUCCESS
}

fn described(name: &str) -> Option<Value> {
    let mut token = json!({
        "header": { "kid": "demo-es256" },
        "claims": {
            "iss": "https://id.demo.portcullis.test/",
            "aud": "orders-api",
            "sub": "alice",
            "scope": "orders.read",
            "iat": "now",
            "exp": "now+86400",
        },
    });
    match name {
        "good" => {}
        "expired" => {
            token["claims"]["iat"] = "now-7200".into();
            token["claims"]["exp"] = "now-3600".into();
        }
        "wrong-scope" => token["claims"]["scope"] = "orders.write".into(),
        "wrong-audience" => token["claims"]["aud"] = "another-api".into(),
        "forged" => token["tamper"] = "payload".into(),
        _ => return None,
    }
    Some(token)
}
