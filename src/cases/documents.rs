//! Files that have documents, read as a proxy's configuration is, and documents with keys of one's own.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::Path;

use serde_json::{Value, json};

use crate::find::{Contents, Found, find};
use crate::tree::{Tree, Unreadable, of_json, of_yaml};

/// A document has at most 4 MiB, and what is around it is no larger.
const LARGEST: u64 = 16 << 20;

/// The text of a file; `-` is standard input.
///
/// # Errors
/// If it cannot be read, is too large or is no text.
pub fn read(path: &Path) -> Result<String, String> {
    let mut bytes = Vec::new();
    let told = |error: io::Error| error.to_string();
    if path == Path::new("-") {
        let input = io::stdin().lock();
        input.take(LARGEST + 1).read_to_end(&mut bytes)
    } else {
        let file = fs::File::open(path).map_err(told)?;
        file.take(LARGEST + 1).read_to_end(&mut bytes)
    }
    .map_err(told)?;
    if u64::try_from(bytes.len()).unwrap_or(u64::MAX) > LARGEST {
        return Err(format!("has more than {} MiB", LARGEST >> 20));
    }
    String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())
}

/// What a text has for the filter: read as its name says, or as it begins.
///
/// # Errors
/// If it is neither JSON nor YAML.
pub fn contents(path: &Path, text: &str, is_named: bool) -> Result<Contents, Unreadable> {
    let ending = path.extension().and_then(|ending| ending.to_str());
    let is_json = match ending {
        Some("json") => true,
        Some("yaml" | "yml") => false,
        _ => text.trim_start().starts_with('{'),
    };
    let trees: Vec<Tree> = match is_json {
        true => vec![of_json(text)?],
        false => of_yaml(text)?,
    };
    let mut contents = Contents::default();
    for tree in &trees {
        find(tree, (text, is_json), is_named, &mut contents);
    }
    contents.trees = trees;
    Ok(contents)
}

/// A document of a file, and the file's text: the one that there is, or that with a number, from 1 on.
///
/// # Errors
/// If the file cannot be read, or has none, or several and no number says which.
pub fn one(path: &Path, number: Option<usize>) -> Result<(Found, String), String> {
    let told = |reason: &dyn std::fmt::Display| format!("{}: {reason}", path.display());
    let text = read(path).map_err(|error| told(&error))?;
    let contents = contents(path, &text, true).map_err(|error| told(&error.reason))?;
    let mut found = contents.documents;
    let at = match (number, found.len()) {
        (None, 1) => Some(0),
        (Some(number), many) => number.checked_sub(1).filter(|at| *at < many),
        (None, _) => None,
    };
    match at {
        Some(at) => Ok((found.swap_remove(at), text)),
        None => Err(match found.len() {
            0 => told(&"has no document"),
            many => told(&format_args!(
                "has {many} documents; say which: --number, or `document_number` in a case"
            )),
        }),
    }
}

/// Keys in place of those that a proxy would fetch, so that the document that ships is the one that is tried.
#[derive(Clone, Debug, Default)]
pub struct ProviderKeys {
    /// Those of providers that are not named: a JSON Web Key Set.
    pub local: Option<Value>,
    /// Those of a provider: a JSON Web Key Set.
    pub named: BTreeMap<String, Value>,
}

impl ProviderKeys {
    /// Puts them in. Whether anything was changed.
    ///
    /// # Errors
    /// If a provider is named that is not there.
    pub fn fill(&self, document: &mut Value) -> Result<bool, String> {
        let mut changed = false;
        let providers = document.get_mut("providers").and_then(Value::as_object_mut);
        let Some(providers) = providers else {
            return match self.named.keys().next() {
                None => Ok(false),
                Some(name) => Err(format!("no provider is named `{name}`")),
            };
        };
        if let Some(name) = self
            .named
            .keys()
            .find(|name| !providers.contains_key(*name))
        {
            return Err(format!("no provider is named `{name}`"));
        }
        for (name, provider) in providers {
            let is_fetched = ["remote", "discovery"]
                .iter()
                .any(|how| provider.pointer(&format!("/jwks/{how}")).is_some());
            let local = self.local.as_ref().filter(|_| is_fetched);
            let keys = self.named.get(name).or(local);
            if let (Some(keys), Value::Object(provider)) = (keys, provider) {
                provider.insert("jwks".to_owned(), json!({ "inline": keys }));
                changed = true;
            }
        }
        Ok(changed)
    }
}
