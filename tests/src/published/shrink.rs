//! An OpenAPI document without what the filter does not read: descriptions, examples, and what is
//! no request to the service. It means the same to the filter and is a fraction as large.

use portcullis::json::{Json, quoted};

/// What says nothing to the filter.
const SILENT: &[&str] = &[
    "callbacks",
    "contact",
    "default",
    "description",
    "discriminator",
    "example",
    "examples",
    "externalDocs",
    "license",
    "links",
    "operationId",
    "security",
    "servers",
    "summary",
    "tags",
    "termsOfService",
    "title",
    "webhooks",
    "xml",
];

/// What holds things by names that somebody has chosen.
const NAMED: &[&str] = &[
    "$defs",
    "content",
    "definitions",
    "dependencies",
    "dependentSchemas",
    "encoding",
    "headers",
    "parameters",
    "pathItems",
    "paths",
    "patternProperties",
    "properties",
    "requestBodies",
    "responses",
    "schemas",
    "securitySchemes",
];

/// Values that stand for themselves.
const PLAIN: &[&str] = &["const", "dependentRequired", "enum", "required"];

/// The text of the document without what says nothing.
#[must_use]
pub fn shrink(document: &Json) -> String {
    // References may lead to what a publisher has put under names of its own.
    let own = document.to_string().contains("\"#/x-");
    let mut shrunk = Shrunk {
        text: String::new(),
        own,
    };
    shrunk.value(document);
    shrunk.text
}

struct Shrunk {
    text: String,
    /// Whether names that begin with `x-` are kept.
    own: bool,
}

impl Shrunk {
    fn value(&mut self, value: &Json) {
        match value {
            Json::Object(members) => {
                let silent =
                    |name: &str| SILENT.contains(&name) || (name.starts_with("x-") && !self.own);
                let kept: Vec<(&str, &Json)> =
                    members.iter().filter(|(name, _)| !silent(name)).collect();
                self.object(&kept, Self::member);
            }
            Json::Array(items) => {
                self.text.push('[');
                for (index, item) in items.iter().enumerate() {
                    self.text.push_str(if index == 0 { "" } else { "," });
                    self.value(item);
                }
                self.text.push(']');
            }
            value => self.text.push_str(&value.to_string()),
        }
    }

    fn object(&mut self, members: &[(&str, &Json)], write: impl Fn(&mut Self, &str, &Json)) {
        self.text.push('{');
        for (index, (name, value)) in members.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            self.text.push_str(&format!("{separator}{}:", quoted(name)));
            write(self, name, value);
        }
        self.text.push('}');
    }

    fn member(&mut self, name: &str, value: &Json) {
        match value {
            value if PLAIN.contains(&name) => self.text.push_str(&value.to_string()),
            Json::Object(info) if name == "info" => {
                let title = |(name, _): &(&str, &Json)| matches!(*name, "title" | "version");
                let kept: Vec<_> = info.iter().filter(title).collect();
                self.object(&kept, |shrunk, _, value| shrunk.value(value));
            }
            Json::Object(named) if NAMED.contains(&name) => {
                let all: Vec<_> = named.iter().collect();
                self.object(&all, |shrunk, _, value| shrunk.value(value));
            }
            value => self.value(value),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn shrunk(document: &Value) -> Value {
        let document = Json::parse(document.to_string().as_bytes(), 32).unwrap();
        serde_json::from_str(&shrink(&document)).unwrap()
    }

    #[test]
    fn what_says_nothing_goes_and_what_is_named_so_stays() {
        let document = json!({
            "openapi": "3.0.0",
            "info": {"title": "T", "version": "1", "description": "long"},
            "servers": [{"url": "/"}],
            "x-own": {"description": "gone"},
            "paths": {"/description": {"summary": "s", "get": {
                "tags": ["t"], "operationId": "o",
                "parameters": [{"name": "title", "in": "query", "example": 1, "schema": {"type": "string", "title": "T"}}],
                "responses": {"default": {"description": "d", "content": {"application/json": {
                    "example": {}, "schema": {"enum": [{"description": "kept"}]}
                }}}}
            }}},
            "components": {
                "examples": {"e": {}},
                "schemas": {"title": {"description": "gone", "default": 1, "required": ["description"], "properties": {
                    "description": {"type": "string", "description": "gone"},
                    "default": {"type": "object", "x-a": 1},
                }}}
            }
        });
        let expected = json!({
            "openapi": "3.0.0",
            "info": {"title": "T", "version": "1"},
            "paths": {"/description": {"get": {
                "parameters": [{"name": "title", "in": "query", "schema": {"type": "string"}}],
                "responses": {"default": {"content": {"application/json": {
                    "schema": {"enum": [{"description": "kept"}]}
                }}}}
            }}},
            "components": {"schemas": {"title": {"required": ["description"], "properties": {
                "description": {"type": "string"},
                "default": {"type": "object"},
            }}}}
        });
        assert_eq!(shrunk(&document), expected);
        let own = json!({"openapi": "3.0.0", "x-own": {"a": 1}, "$ref": "#/x-own"});
        assert_eq!(shrunk(&own), own);
    }
}
