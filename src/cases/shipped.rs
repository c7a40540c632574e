//! The document of a case: in the file, or the one that ships.

use std::fs;
use std::path::Path;

use portcullis::engine::Engine;
use serde_json::{Value, json};

use crate::DocumentPlace;
use crate::documents::{self, ProviderKeys};
use crate::fields::{Members, unhex};
use crate::keys::LOCAL;
use crate::minted::{Minted, expand};

/// The document of a case.
pub(crate) struct Shipped {
    pub(crate) document: Vec<u8>,
    pub(crate) document_at: DocumentPlace,
    pub(crate) keys: ProviderKeys,
}

impl Shipped {
    fn at(pointer: &'static str, document: Vec<u8>) -> Self {
        Self {
            document,
            document_at: DocumentPlace::Here(pointer),
            keys: ProviderKeys::default(),
        }
    }
}

/// Reads it.
pub(crate) fn document(
    path: &Path,
    file: &Members<'_>,
    tokens: &Minted<'_>,
) -> Result<Shipped, String> {
    let names = [
        "document",
        "policy",
        "policy_file",
        "policy_text",
        "policy_hex",
    ];
    let said: Vec<&str> = names
        .into_iter()
        .filter(|name| file.get(name).is_some())
        .collect();
    let [said] = said[..] else {
        return Err(match said[..] {
            [] => "needs `document`, `policy`, `policy_file`, `policy_text` or `policy_hex`"
                .to_owned(),
            _ => format!("has several documents: {}", said.join(", ")),
        });
    };
    for name in ["keys", "document_number"] {
        if said != "document" && file.get(name).is_some() {
            return Err(format!("/{name}: is for `document` alone"));
        }
    }
    let text = |name: &str| -> Result<&str, String> {
        let text = file.get(name).and_then(Value::as_str);
        text.ok_or_else(|| format!("`{name}` must be a string"))
    };
    match said {
        "document" => shipped(path, text("document")?, file, tokens),
        "policy_text" => {
            let document = text("policy_text")?.as_bytes().to_vec();
            Ok(Shipped::at("/policy_text", document))
        }
        "policy_hex" => Ok(Shipped::at("/policy_hex", unhex(text("policy_hex")?)?)),
        "policy_file" => {
            let beside = path.with_file_name(text("policy_file")?);
            let document = fs::read(&beside);
            let document = document.map_err(|error| format!("{}: {error}", beside.display()))?;
            Ok(Shipped {
                document_at: DocumentPlace::File(beside, None),
                ..Shipped::at("", document)
            })
        }
        _ => {
            let policy = file.get("policy").unwrap_or(&Value::Null);
            let document = expand(policy, tokens)?.to_string().into_bytes();
            Ok(Shipped::at("/policy", document))
        }
    }
}

/// The document that ships, with keys in place of those that a proxy would fetch.
fn shipped(
    path: &Path,
    name: &str,
    file: &Members<'_>,
    tokens: &Minted<'_>,
) -> Result<Shipped, String> {
    let number = match file.get("document_number") {
        None => None,
        Some(number) => {
            let number = number
                .as_u64()
                .and_then(|number| usize::try_from(number).ok());
            Some(number.ok_or("`document_number` must be a number from 1 on")?)
        }
    };
    let beside = path.with_file_name("").join(name);
    let (found, _) =
        documents::one(&beside, number).map_err(|error| format!("/document: {error}"))?;
    let keys = provider_keys(file.get("keys"), tokens)?;
    let mut document = found.document;
    // What the engine says of the document, it says of what ships.
    if Engine::compile(&document).is_ok() {
        let read: Result<Value, _> = serde_json::from_slice(&document);
        let mut filled = read.map_err(|error| format!("/document: {error}"))?;
        let is_changed = keys.fill(&mut filled);
        if is_changed.map_err(|error| format!("/keys: {error}"))? {
            document = filled.to_string().into_bytes();
        }
    }
    Ok(Shipped {
        document,
        document_at: DocumentPlace::File(beside, number),
        keys,
    })
}

fn provider_keys(described: Option<&Value>, tokens: &Minted<'_>) -> Result<ProviderKeys, String> {
    const FORM: &str = "/keys: must have a list of keys for each provider that it names";
    let key = tokens.mint.keys.key(tokens.mint.case, LOCAL)?;
    let mut local = key.jwk();
    if let Value::Object(members) = &mut local {
        members.insert("kid".to_owned(), LOCAL.into());
        members.insert("alg".to_owned(), key.usual_algorithm().into());
    }
    let mut keys = ProviderKeys {
        local: Some(json!({ "keys": [local] })),
        ..ProviderKeys::default()
    };
    let Some(described) = described else {
        return Ok(keys);
    };
    for (provider, list) in described.as_object().ok_or(FORM)? {
        let list = expand(list, tokens).map_err(|error| format!("/keys/{provider}: {error}"))?;
        let list = list.as_array().ok_or(FORM)?;
        keys.named.insert(provider.clone(), json!({ "keys": list }));
    }
    Ok(keys)
}
