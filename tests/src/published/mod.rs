//! Documents that others have published, loaded as a user would: how many load, and why the others
//! do not.

pub mod shrink;
mod yaml;

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use portcullis::engine::Engine;
use portcullis::json::{Json, quoted};

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
    /// Those that load when somebody has done what the messages say.
    pub load_cured: usize,
    /// What was wrong with those first.
    pub cured: BTreeMap<String, Class>,
    /// What is wrong first with those that do not load.
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
    for file in &files {
        let (kind, outcome) = match read(file) {
            Err(problem) => (Kind::Other, Err((problem, String::new(), false))),
            Ok((text, value)) => {
                let kind = kind(&value);
                (kind, load(kind, &text, &value, &files))
            }
        };
        let count = counts.entry(kind).or_default();
        count.documents += 1;
        let Err((class, place, cured)) = outcome else {
            count.load += 1;
            continue;
        };
        count.load_cured += usize::from(cured);
        let classes = if cured {
            &mut count.cured
        } else {
            &mut count.classes
        };
        let class = classes.entry(class).or_default();
        class.documents += 1;
        class.example = format!("{} {place}", file.display());
    }
    counts
}

/// Loads a document. What is wrong with it first, where, and whether doing what the messages say
/// helps.
fn load(
    kind: Kind,
    text: &str,
    value: &Json,
    files: &[PathBuf],
) -> Result<(), (String, String, bool)> {
    if kind == Kind::Other {
        let reason = "not of a version that is read";
        return Err((reason.to_owned(), String::new(), false));
    }
    let Err(error) = Engine::compile(document(kind, text).as_bytes()) else {
        return Ok(());
    };
    let first = &error.problems[0];
    let cured = match kind {
        Kind::OpenApi => Engine::compile(document(kind, &shrink::shrink(value)).as_bytes()).is_ok(),
        _ => loads_with_others(text, files),
    };
    Err((class(&first.reason), first.pointer.clone(), cured))
}

/// Whether a schema loads without the patterns that cannot be had, and beside the schemas that it
/// refers to, as far as they are among the files.
fn loads_with_others(text: &str, files: &[PathBuf]) -> bool {
    const MOST: usize = 100;
    let mut schemas = format!("\"published\": {text}");
    let mut names = Vec::new();
    while names.len() < MOST {
        let document = schemas_document(&schemas, r#", "patterns": "skip_unsupported""#);
        let Err(error) = Engine::compile(document.as_bytes()) else {
            return true;
        };
        let missing = error.problems.iter().find_map(|problem| {
            let (_, rest) = problem.reason.split_once("no schema is \"")?;
            Some(rest.split_once('"')?.0.to_owned())
        });
        // By its own name if it has no other URI; some of them stand without an ending.
        let name = missing.map(|uri| uri.trim_start_matches("schemas:///").to_owned());
        let Some(name) = name.filter(|name| !names.contains(name)) else {
            return false;
        };
        let last = name.rsplit('/').next().unwrap_or(&name);
        let fits = |file: &&PathBuf| {
            let found = file.file_name().and_then(|found| found.to_str());
            found.is_some_and(|found| found == last || found.strip_suffix(".json") == Some(last))
        };
        let Some(Ok((other, _))) = files.iter().find(fits).map(|file| read(file)) else {
            return false;
        };
        schemas.push_str(&format!(", {}: {other}", quoted(&name)));
        names.push(name);
    }
    false
}

/// A configuration document around what was published.
#[must_use]
pub fn document(kind: Kind, text: &str) -> String {
    if kind != Kind::OpenApi {
        return schemas_document(&format!("\"published\": {text}"), "");
    }
    format!(
        r#"{{"version": 1, "apis": {{"published": {text}}}, "routes": [{{"name": "all", "match": {{}}, "open": true, "openapi": {{"api": "published", "max_bytes": "64KiB", "responses": {{}}}}}}]}}"#
    )
}

fn schemas_document(schemas: &str, more: &str) -> String {
    format!(
        r#"{{"version": 1, "schemas": {{{schemas}}}, "routes": [{{"name": "all", "match": {{}}, "open": true, "payload": {{"max_bytes": "64KiB", "json_schema": "published"{more}}}}}]}}"#
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

/// A reason without what is particular to one document: quoted names, places, numbers.
fn class(reason: &str) -> String {
    let unquoted = reason.split('"').enumerate();
    let unquoted = unquoted.map(|(at, part)| if at % 2 == 0 { part } else { "\"…\"" });
    let unquoted: String = unquoted.collect();
    let words = unquoted.split(' ').map(|word| {
        let end = word.trim_start_matches(|c: char| !",;".contains(c));
        let number = word.starts_with(|c: char| c.is_ascii_digit());
        match word.starts_with('/') || number {
            true => format!("…{end}"),
            false => word.to_owned(),
        }
    });
    words.collect::<Vec<String>>().join(" ")
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let share = |count: usize| {
            let tenths = count * 1000 / self.documents.max(1);
            format!("{}.{} %", tenths / 10, tenths % 10)
        };
        let cured = self.load + self.load_cured;
        writeln!(
            f,
            "{} documents; {} load ({}), {cured} when one does what the messages say ({})",
            self.documents,
            self.load,
            share(self.load),
            share(cured)
        )?;
        for (what, classes) in [("cured", &self.cured), ("not loaded", &self.classes)] {
            let mut classes: Vec<_> = classes.iter().collect();
            classes.sort_by_key(|(_, class)| std::cmp::Reverse(class.documents));
            for (reason, class) in classes {
                writeln!(f, "{:6}  {what}: {reason}", class.documents)?;
                writeln!(f, "        {}", class.example)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_is_counted_by_kind() {
        let folder = std::env::temp_dir().join(format!("published-{}", std::process::id()));
        fs::create_dir_all(folder.join("inner")).unwrap();
        let write = |name: &str, text: &str| fs::write(folder.join(name), text).unwrap();
        write("good.yaml", "openapi: 3.0.0\npaths: {/a: {get: {}}}\n");
        write("empty.json", r#"{"openapi": "3.1.0", "paths": {}}"#);
        write("old.json", r#"{"swagger": "2.0"}"#);
        write("broken.yml", "a: [");
        let schema = |rest: &str| {
            format!(r#"{{"$schema": "http://json-schema.org/draft-07/schema#", {rest}}}"#)
        };
        write(
            "inner/a.json",
            &schema(r#""$ref": "b.json#/definitions/c""#),
        );
        write(
            "inner/b.json",
            &schema(r#""definitions": {"c": {"pattern": "(?=x)"}}"#),
        );
        write("inner/c.json", &schema(r#""$ref": "gone.json""#));
        let counts = count(std::slice::from_ref(&folder));
        fs::remove_dir_all(&folder).unwrap();
        let figures = |kind| {
            let count: &Count = &counts[&kind];
            (count.documents, count.load, count.load_cured)
        };
        assert_eq!(figures(Kind::OpenApi), (2, 1, 0));
        assert_eq!(figures(Kind::Schema), (3, 0, 2));
        assert_eq!(figures(Kind::Other), (2, 0, 0));
        let shown = counts[&Kind::Schema].to_string();
        assert!(
            shown.contains("3 documents; 0 load (0.0 %), 2 when"),
            "{shown}"
        );
        assert!(
            shown.contains("not loaded: leads nowhere: no schema is \"…\""),
            "{shown}"
        );
        let reason = "has GET for the same paths as /apis/a/b; more than 32 MiB";
        assert_eq!(
            class(reason),
            "has GET for the same paths as …; more than … MiB"
        );
    }
}
