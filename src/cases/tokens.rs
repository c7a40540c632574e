//! Mints tokens, good ones and bad ones, as case files describe them.

use std::collections::BTreeMap;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Map, Value, json};

use crate::keys::{Key, KeyRing};

/// Who mints: the keys that there are, for a case, at a time.
pub struct Mint<'k> {
    /// Where keys are.
    pub keys: &'k dyn KeyRing,
    /// The file of the case.
    pub case: &'k Path,
    /// Seconds since 1970.
    pub now: u64,
}

impl Mint<'_> {
    /// Mints what a case file describes, beside tokens that have been minted:
    ///
    /// - `raw`: the token as it stands, nothing else counts;
    /// - `key`: the name of a key;
    /// - `alg`: the algorithm in the header, and to sign with where the key can;
    /// - `header`: members to add to the header; `null` takes one away;
    /// - `claims`: the payload; a string `now`, `now+N` or `now-N` becomes that second;
    /// - `payload`: the payload as text, in place of `claims`;
    /// - `tamper`: `signature` or `payload`, changed after signing;
    /// - `padding`: whether base64url is padded, in what is signed too;
    /// - `signed`: in place of a token the signature alone of that text, in which `{{now}}`, `{{now+N}}` and
    ///   `{{now-N}}` become that second; with `secret`, a text, or `key`; `encoding` is `base64`, `base64url` or `hex`.
    ///
    /// In `header` and `claims`, at any depth,
    ///
    /// - `{"$jwk": NAME}` is the public key of that name;
    /// - `{"$jkt": NAME}` is its thumbprint, RFC 7638;
    /// - `{"$ath": NAME}` is the hash of the token of that name, RFC 9449 §4.2.
    ///
    /// # Errors
    /// When the description cannot be understood.
    pub fn token(
        &self,
        description: &Value,
        others: &BTreeMap<String, String>,
    ) -> Result<String, String> {
        let mut description = description.clone();
        for part in ["header", "claims"] {
            if let Some(members) = description.get_mut(part) {
                *members = self.derived(members, others)?;
            }
        }
        let description = &description;
        if let Some(raw) = text(description, "raw")? {
            return Ok(raw.to_owned());
        }
        let key = match text(description, "secret")? {
            Some(secret) => self.keys.secret(secret.as_bytes()),
            None => {
                let name = text(description, "key")?.ok_or("needs `key`, `secret` or `raw`")?;
                self.keys.key(self.case, name)?
            }
        };
        match text(description, "signed")? {
            Some(signed) => self.signature(&*key, description, signed),
            None => sign(&*key, description, self.now),
        }
    }

    /// A signature of a text, without a token around it.
    fn signature(
        &self,
        key: &dyn Key,
        description: &Value,
        signed: &str,
    ) -> Result<String, String> {
        let signed = at_now(signed, self.now)?;
        let algorithm = text(description, "alg")?.unwrap_or(key.usual_algorithm());
        let signature = key.sign(algorithm, signed.as_bytes())?;
        match text(description, "encoding")? {
            None | Some("base64") => Ok(STANDARD.encode(&signature)),
            Some("base64url") => Ok(base64url(&signature)),
            Some("hex") => Ok(signature.iter().map(|b| format!("{b:02x}")).collect()),
            Some(other) => Err(format!(
                "`encoding` is `base64`, `base64url` or `hex`, not `{other}`"
            )),
        }
    }

    /// Puts in what comes of keys and of other tokens.
    ///
    /// # Errors
    /// If there is none of a name.
    pub fn derived(
        &self,
        value: &Value,
        others: &BTreeMap<String, String>,
    ) -> Result<Value, String> {
        let Value::Object(members) = value else {
            return match value {
                Value::Array(items) => items
                    .iter()
                    .map(|item| self.derived(item, others))
                    .collect(),
                other => Ok(other.clone()),
            };
        };
        let name = |member: &str| members.get(member).and_then(Value::as_str);
        match (name("$jwk"), name("$jkt"), name("$ath")) {
            (Some(key), _, _) => self.jwk(key, members),
            (_, Some(key), _) => Ok(thumbprint(&self.keys.key(self.case, key)?.jwk()).into()),
            (_, _, Some(name)) => {
                let token = others.get(name);
                let token = token.ok_or_else(|| format!("no token is named `{name}`"))?;
                Ok(base64url(&hmac_sha256::Hash::hash(token.as_bytes())).into())
            }
            _ => members
                .iter()
                .map(|(name, value)| Ok((name.clone(), self.derived(value, others)?)))
                .collect(),
        }
    }

    /// The public key of a name, with the other members of what asks for it.
    ///
    /// # Errors
    /// If there is no such key.
    pub fn jwk(&self, name: &str, members: &Map<String, Value>) -> Result<Value, String> {
        let mut jwk = self.keys.key(self.case, name)?.jwk();
        if let Value::Object(jwk) = &mut jwk {
            let others = members.iter().filter(|(name, _)| *name != "$jwk");
            jwk.extend(others.map(|(name, value)| (name.clone(), value.clone())));
        }
        Ok(jwk)
    }
}

fn text<'v>(description: &'v Value, name: &str) -> Result<Option<&'v str>, String> {
    match description.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(format!("`{name}` must be a string")),
    }
}

/// A text with that second in the place of `{{now}}`, `{{now+N}}` and `{{now-N}}`.
///
/// # Errors
/// If what stands there is none of them.
pub fn at_now(text: &str, now: u64) -> Result<String, String> {
    let mut filled = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{now") {
        let (offset, after) = after.split_once("}}").ok_or("`{{now` without `}}`")?;
        let offset: i64 = match offset {
            "" => 0,
            offset => offset.parse().map_err(|_| {
                format!("`{{{{now{offset}}}}}` is not `{{{{now+N}}}}` with a number")
            })?,
        };
        filled.push_str(before);
        filled.push_str(&now.saturating_add_signed(offset).to_string());
        rest = after;
    }
    filled.push_str(rest);
    Ok(filled)
}

/// As [`Mint::token`], by this key and without what comes of others.
///
/// # Errors
/// When the description cannot be understood.
pub fn sign(key: &dyn Key, description: &Value, now: u64) -> Result<String, String> {
    let algorithm = text(description, "alg")?.unwrap_or(key.usual_algorithm());
    let mut header = Map::new();
    header.insert("alg".into(), algorithm.into());
    header.insert("typ".into(), "JWT".into());
    let described = description.get("header").and_then(Value::as_object);
    for (name, value) in described.into_iter().flatten() {
        match value {
            Value::Null => header.remove(name),
            value => header.insert(name.clone(), value.clone()),
        };
    }
    let payload = match text(description, "payload")? {
        Some(text) => text.to_owned(),
        None => at(description.get("claims").unwrap_or(&json!({})), now).to_string(),
    };
    let base64url: fn(&[u8]) -> String = match description.get("padding") {
        Some(Value::Bool(true)) => |bytes| URL_SAFE.encode(bytes),
        _ => base64url,
    };
    let header = base64url(Value::Object(header).to_string().as_bytes());
    let signed = format!("{header}.{}", base64url(payload.as_bytes()));
    let mut signature = key.sign(algorithm, signed.as_bytes())?;
    match text(description, "tamper")? {
        None => {}
        Some("signature") => {
            if let Some(first) = signature.first_mut() {
                *first ^= 1;
            }
        }
        Some("payload") => {
            let changed = payload.replacen('}', ",\"admin\":true}", 1);
            let signature = base64url(&signature);
            return Ok(format!(
                "{header}.{}.{signature}",
                base64url(changed.as_bytes())
            ));
        }
        Some(other) => {
            return Err(format!(
                "`tamper` is `signature` or `payload`, not `{other}`"
            ));
        }
    }
    Ok(format!("{signed}.{}", base64url(&signature)))
}

/// The SHA-256 thumbprint of a public key, RFC 7638 §3, in base64url.
pub fn thumbprint(jwk: &Value) -> String {
    // A map of serde_json has its members in the order of their names.
    let needed = ["crv", "e", "kty", "n", "x", "y"];
    let members: Map<String, Value> = needed
        .into_iter()
        .filter_map(|name| Some((name.to_owned(), jwk.get(name)?.clone())))
        .collect();
    let text = Value::Object(members).to_string();
    base64url(&hmac_sha256::Hash::hash(text.as_bytes()))
}

/// Replaces `now`, `now+N` and `now-N` at any depth.
pub fn at(value: &Value, now: u64) -> Value {
    match value {
        Value::String(text) => match text.strip_prefix("now") {
            Some("") => now.into(),
            Some(offset) => match offset.parse::<i64>() {
                Ok(offset) => now.saturating_add_signed(offset).into(),
                Err(_) => text.as_str().into(),
            },
            None => text.as_str().into(),
        },
        Value::Array(items) => items.iter().map(|item| at(item, now)).collect(),
        Value::Object(members) => members
            .iter()
            .map(|(name, value)| (name.clone(), at(value, now)))
            .collect(),
        other => other.clone(),
    }
}

/// Base64url without padding.
pub fn base64url(bytes: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
