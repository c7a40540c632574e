//! The tokens of a case, and what stands for them in its texts.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value, json};

use crate::fields::Members;
use crate::keys::LOCAL;
use crate::tokens::{self, Mint};

/// The fields of a token.
pub(crate) const TOKEN: &[&str] = &[
    "key", "alg", "header", "claims", "payload", "tamper", "padding", "raw", "signed", "secret",
    "encoding",
];
/// What stands in the place of `{{token:NAME}}` and of `{{now}}`.
pub(crate) struct Minted<'k> {
    pub(crate) tokens: BTreeMap<String, String>,
    pub(crate) mint: Mint<'k>,
}

impl<'k> Minted<'k> {
    pub(crate) fn all(described: Option<&Value>, mint: Mint<'k>) -> Result<Self, String> {
        const FORM: &str = "/tokens: must be an object";
        let empty = Map::new();
        let described = match described {
            None => &empty,
            Some(described) => described.as_object().ok_or(FORM)?,
        };
        // Those that say something of others come after them.
        let (proofs, others): (Vec<_>, Vec<_>) = described
            .iter()
            .partition(|(_, token)| token.to_string().contains("\"$ath\""));
        let mut tokens = BTreeMap::new();
        for (name, token) in others.into_iter().chain(proofs) {
            let place = |error: String| format!("/tokens/{name}: {error}");
            Members::of(token, "a token", TOKEN).map_err(place)?;
            let token = mint.token(&of_local(token), &tokens).map_err(place)?;
            tokens.insert(name.clone(), token);
        }
        Ok(Self { tokens, mint })
    }
}

/// A token of the local issuer names its key, unless it says otherwise.
fn of_local(token: &Value) -> Value {
    let mut token = token.clone();
    if token.get("key").is_some_and(|key| key == LOCAL)
        && let Value::Object(members) = &mut token
    {
        let header = members.entry("header").or_insert_with(|| json!({}));
        if let Value::Object(header) = header {
            header.entry("kid").or_insert_with(|| LOCAL.into());
        }
    }
    token
}

/// Puts tokens for `{{token:NAME}}`, and keys for `{"$jwk": NAME, …}`.
pub(crate) fn expand(value: &Value, tokens: &Minted<'_>) -> Result<Value, String> {
    Ok(match value {
        Value::String(text) => fill(text, tokens)?.into(),
        Value::Array(items) => items
            .iter()
            .map(|item| expand(item, tokens))
            .collect::<Result<_, _>>()?,
        Value::Object(members) => match members.get("$jwk") {
            Some(name) => {
                let name = name.as_str().ok_or("`$jwk` must be a string")?;
                tokens.mint.jwk(name, members)?
            }
            None => {
                let mut expanded = Map::new();
                for (name, value) in members {
                    expanded.insert(name.clone(), expand(value, tokens)?);
                }
                Value::Object(expanded)
            }
        },
        other => other.clone(),
    })
}

pub(crate) fn fill(text: &str, minted: &Minted<'_>) -> Result<String, String> {
    let text = &*tokens::at_now(text, minted.mint.now)?;
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{token:") {
        let (name, after) = after.split_once("}}").ok_or("`{{token:` without `}}`")?;
        let token = minted
            .tokens
            .get(name)
            .ok_or_else(|| format!("no token is named `{name}`"))?;
        filled.push_str(before);
        filled.push_str(token);
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

#[allow(
    clippy::disallowed_methods,
    reason = "tokens are minted for the clock of a real proxy"
)]
pub fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH);
    now.map_or(0, |now| now.as_secs())
}
