//! The JSON Schema of the configuration document, made from what its readers ask.
//!
//! Nothing here says what a document may hold. The readers of `src` are watched while they read all
//! documents of the cases and of the pages, and then variations of them: at each place where a value stands
//! or may stand, values of every kind. What they ask tells the names of members, names to choose from,
//! and bounds; what they refuse tells kinds, and what is required. Descriptions are rows of the tables
//! of the reference.

mod explore;
mod model;
mod reading;
mod words;
mod write;

use std::path::Path;

use serde_json::Value;

use crate::case;
use crate::pages::{fences, pages, with_published_api};
use crate::tokens::repository;

pub use words::{Row, rows};

/// Where the schema stands in the repository.
pub const PATH: &str = "docs/schema/portcullis.schema.json";

/// Every document of the cases and of the pages that is JSON: where it stands, and the document.
pub fn documents() -> Vec<(String, Value)> {
    let folder = repository().join("tests/cases");
    let cases = case::read_all(Path::new(&folder)).unwrap_or_else(|error| panic!("{error}"));
    let mut documents = Vec::new();
    for case in cases {
        if let Ok(document) = serde_json::from_slice(&case.document) {
            documents.push((case.path.display().to_string(), document));
        }
    }
    for (path, page) in pages() {
        for text in fences(&page, "json") {
            let mut value: Value = serde_json::from_str(&text).expect("examples are JSON");
            if value.get("version").is_some() {
                with_published_api(&mut value);
                documents.push((path.clone(), value));
            }
        }
    }
    documents
}

/// The schema, as the sources are.
pub fn generate() -> Value {
    let documents = documents().into_iter().map(|(_, document)| document);
    write::schema(&explore::explore(documents.collect()))
}

/// The same as it stands in the repository.
pub fn text() -> String {
    write::text(&generate())
}
