//! Documents that others have published, loaded as a user would: how many load, and why the others
//! do not.

pub mod shrink;
mod yaml;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use portcullis::engine::Engine;
use portcullis::json::Json;

pub use self::yaml::to_json;

/// What a document is, as far as it says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// OpenAPI 3.0 or 3.1.
    OpenApi,
    /// A schema of draft 7 or draft 2020-12.
    Schema,
    /// Anything else: another version, another draft, no such document, not JSON.
    Other,
}

/// How many documents of one kind there are, and how many of them load.
#[derive(Debug, Default)]
pub struct Count {
    /// All.
    pub documents: usize,
    /// Those that load as they are.
    pub load: usize,
    /// Those that load when they have been shrunk.
    pub load_shrunk: usize,
    /// Those that do not, by what is wrong with them first.
    pub classes: BTreeMap<String, Class>,
}

/// What is wrong with some documents.
#[derive(Debug, Default)]
pub struct Class {
    documents: usize,
    example: String,
}

/// How deep documents are read to know them.
const DEEPEST: usize = 512;

/// Loads every document in these directories, and in those under them.
#[must_use]
pub fn count(directories: &[PathBuf]) -> BTreeMap<Kind, Count> {
    let mut files = Vec::new();
    for directory in directories {
        gather(directory, &mut files);
    }
    files.sort();
    let mut counts: BTreeMap<Kind, Count> = BTreeMap::new();
    for file in files {
        let (kind, problem) = match read(&file) {
            Err(problem) => (Kind::Other, Some((problem, String::new(), false))),
            Ok((text, value)) => {
                let kind = kind(&value);
                (kind, problem(kind, &text, &value))
            }
        };
        let count = counts.entry(kind).or_default();
        count.documents += 1;
        match problem {
            None => count.load += 1,
            Some((_, _, true)) => count.load_shrunk += 1,
            Some((class, place, false)) => {
                let class = count.classes.entry(class).or_default();
                class.documents += 1;
                class.example = format!("{} {place}", file.display());
            }
        }
    }
    counts
}

/// What is wrong with a document first, where, and whether nothing is when it has been shrunk.
fn problem(kind: Kind, text: &str, value: &Json) -> Option<(String, String, bool)> {
    if kind == Kind::Other {
        return Some((
            "not of a version that is read".to_owned(),
            String::new(),
            false,
        ));
    }
    let error = Engine::compile(document(kind, text).as_bytes()).err()?;
    let first = &error.problems[0];
    let shrunk = kind == Kind::OpenApi && {
        let smaller = shrink::shrink(value);
        Engine::compile(document(kind, &smaller).as_bytes()).is_ok()
    };
    Some((class(&first.reason), first.pointer.clone(), shrunk))
}

/// A configuration document around what was published.
#[must_use]
pub fn document(kind: Kind, text: &str) -> String {
    let (section, policy) = match kind {
        Kind::OpenApi => (
            "apis",
            r#""openapi": {"api": "published", "max_bytes": "64KiB", "responses": {}}"#,
        ),
        Kind::Schema | Kind::Other => (
            "schemas",
            r#""payload": {"json_schema": "published", "max_bytes": "64KiB"}"#,
        ),
    };
    format!(
        r#"{{"version": 1, "{section}": {{"published": {text}}}, "routes": [{{"name": "all", "match": {{}}, "open": true, {policy}}}]}}"#
    )
}

fn kind(value: &Json) -> Kind {
    let text = |name| value.as_object()?.member(name)?.as_str();
    match (text("openapi"), text("$schema")) {
        (Some(version), _) if version.starts_with("3.0") || version.starts_with("3.1") => {
            Kind::OpenApi
        }
        (None, Some(schema)) if schema.contains("draft-07") || schema.contains("2020-12") => {
            Kind::Schema
        }
        _ => Kind::Other,
    }
}

/// A file as JSON text, and what that says.
fn read(path: &Path) -> Result<(String, Json), String> {
    let text = fs::read_to_string(path).map_err(|error| error.kind().to_string())?;
    let text = text.trim_start_matches('\u{feff}');
    let text = match path.extension().and_then(|extension| extension.to_str()) {
        Some("json") => text.to_owned(),
        _ => to_json(text)?.to_string(),
    };
    let value = Json::parse(text.as_bytes(), DEEPEST).map_err(|error| class(&error.to_string()))?;
    Ok((text, value))
}

fn gather(directory: &Path, files: &mut Vec<PathBuf>) {
    let entries =
        fs::read_dir(directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    for entry in entries {
        let path = entry.expect("a directory").path();
        let extension = path.extension().and_then(|extension| extension.to_str());
        if path.is_dir() {
            gather(&path, files);
        } else if matches!(extension, Some("json" | "yaml" | "yml")) {
            files.push(path);
        }
    }
}

/// A reason without what is particular to one document.
fn class(reason: &str) -> String {
    let mut class = String::new();
    for (index, part) in reason.split('"').enumerate() {
        class.push_str(if index % 2 == 0 { part } else { "\"…\"" });
    }
    let mut digits = false;
    class.retain(|c| {
        let again = digits && c.is_ascii_digit();
        digits = c.is_ascii_digit();
        !again
    });
    class
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |count: usize| {
            let tenths = count * 1000 / self.documents.max(1);
            format!("{}.{} %", tenths / 10, tenths % 10)
        };
        let shrunk = self.load + self.load_shrunk;
        writeln!(
            f,
            "{} documents, {} load ({}), {shrunk} with those that were shrunk ({})",
            self.documents,
            self.load,
            share(self.load),
            share(shrunk)
        )?;
        let mut classes: Vec<_> = self.classes.iter().collect();
        classes.sort_by_key(|(_, class)| std::cmp::Reverse(class.documents));
        for (reason, class) in classes {
            writeln!(f, "{:6}  {reason}", class.documents)?;
            writeln!(f, "        {}", class.example)?;
        }
        Ok(())
    }
}
