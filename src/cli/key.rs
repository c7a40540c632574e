//! `portcullis key new`: an API key, printed once, and the entry for the document, which holds its hash alone.

use clap::Args;
use portcullis::policy::api_key::form::{self, RANDOM_BYTES};
use serde_json::json;

#[derive(Debug, Args)]
pub(crate) struct NewKey {
    /// Whose it is
    #[arg(long)]
    client: String,
    /// How the key begins, such as pk_live: the store's `prefix`
    #[arg(long, default_value = "key")]
    prefix: String,
    /// Its name; unless given, a part of its hash
    #[arg(long)]
    id: Option<String>,
    /// The environment variable with the secret, where the store's `hash` is `hmac_sha256`
    #[arg(long, value_name = "VARIABLE")]
    secret: Option<String>,
}

impl NewKey {
    /// The key, and its entry on a line of its own.
    ///
    /// # Errors
    /// What is wrong with a word, or with the system.
    pub(crate) fn make(&self) -> Result<String, String> {
        if !form::is_prefix(&self.prefix) {
            return Err(format!(
                "--prefix must be up to {} lower-case letters and digits, in words that `_` parts, and begin with a letter",
                form::LONGEST_PREFIX
            ));
        }
        if self.client.is_empty() {
            return Err("--client is empty: whose key is it?".to_owned());
        }
        let mut random = [0; RANDOM_BYTES];
        getrandom::fill(&mut random).map_err(|error| format!("no random bytes: {error}"))?;
        let key = form::key(&self.prefix, &random);
        let hash = match &self.secret {
            None => hex(&hmac_sha256::Hash::hash(key.as_bytes())),
            Some(variable) => match std::env::var(variable) {
                Ok(secret) if secret.len() >= 32 => {
                    hex(&hmac_sha256::HMAC::mac(key.as_bytes(), secret.as_bytes()))
                }
                _ => {
                    return Err(format!(
                        "{variable} is no environment variable with 32 bytes at least"
                    ));
                }
            },
        };
        let id = match &self.id {
            Some(id) if !id.is_empty() => id.clone(),
            _ => format!("{}_{}", self.prefix, hash.get(..8).unwrap_or_default()),
        };
        let (id, client) = (json!(id), json!(self.client));
        Ok(format!(
            "{key}\n{{ \"id\": {id}, \"hash\": \"{hash}\", \"client\": {client} }}\n"
        ))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
