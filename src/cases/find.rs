//! Documents where they stand: alone in a file, or in the configuration of a proxy or a mesh.

use std::ops::Range;

use crate::tree::{Content, Tree, of_json, of_yaml};

/// A document, and how places in it are places of the file.
pub struct Found {
    /// What it stands in, if that is more than the file: `WasmPlugin portcullis`.
    pub within: Option<String>,
    pub document: Vec<u8>,
    tree: Tree,
    /// The text of the file that the tree is of, if it is a text in it.
    text: Option<Embedded>,
}

/// A document that is a text of the file.
struct Embedded {
    at: Range<usize>,
    value: String,
    is_block: bool,
}

/// What a file has for the filter.
#[derive(Default)]
pub struct Contents {
    pub documents: Vec<Found>,
    /// All that it has.
    pub trees: Vec<Tree>,
    /// What can never be read by the filter, where, and why.
    pub faults: Vec<(Range<usize>, String)>,
}

/// The type of a configuration that a filter gets as it is.
const STRING_VALUE: &str = "google.protobuf.StringValue";
const STRUCT: &str = "google.protobuf.Struct";

impl Found {
    /// The document, with places of its own.
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Where a pointer of the document leads, as bytes of the file.
    pub fn locate(&self, pointer: &str, file: &str) -> Range<usize> {
        let at = self.tree.locate(pointer);
        match &self.text {
            None => at,
            Some(text) => text.locate(&at, file).unwrap_or_else(|| text.at.clone()),
        }
    }
}

impl Embedded {
    /// A range of the text, as one of the file; none unless each of its lines is one of the file's.
    fn locate(&self, at: &Range<usize>, file: &str) -> Option<Range<usize>> {
        if !self.is_block {
            return None;
        }
        let before = self.value.get(..at.start)?;
        let line = before.matches('\n').count();
        let column = before.len() - before.rfind('\n').map_or(0, |end| end + 1);
        let wanted = self.value.lines().nth(line)?;
        // The first line of the block is the one behind its `|`, or the one that it begins in.
        let begin = file.get(..self.at.start)?;
        let mut start = begin.rfind('\n').map_or(0, |end| end + 1);
        let first = self.value.lines().next()?;
        let rest = file.get(start..)?;
        let begins_there = rest.lines().next()?.trim_start() == first.trim_start();
        let skipped = line + usize::from(!begins_there);
        for _ in 0..skipped {
            start += file.get(start..)?.find('\n')? + 1;
        }
        let shown = file.get(start..)?.lines().next()?;
        let indentation = shown.len().checked_sub(wanted.len())?;
        if shown.get(indentation..)? != wanted {
            return None;
        }
        let from = start + indentation + column;
        let most = wanted.len().saturating_sub(column);
        Some(from..from + at.len().min(most).max(1))
    }
}

/// Finds them in what is one text of JSON, or one document of YAML, of a file. One that was named is meant to be a
/// document, if it is not for somebody else.
pub fn find(tree: &Tree, (source, is_json): (&str, bool), is_named: bool, contents: &mut Contents) {
    if looks_like_one(tree) || (is_named && !is_of_others(tree)) {
        contents.documents.push(here(tree, None, source, is_json));
        return;
    }
    let seek = Seek {
        source,
        is_json,
        resource: resource(tree),
    };
    seek.walk(tree, contents);
}

/// Whether a value says what only a document says.
fn looks_like_one(tree: &Tree) -> bool {
    tree.get("routes").is_some() && tree.get("kind").is_none()
}

/// Whether a text is for a proxy or a cluster, whatever stands in it.
fn is_of_others(tree: &Tree) -> bool {
    let names = [
        "kind",
        "apiVersion",
        "static_resources",
        "dynamic_resources",
        "resources",
        "@type",
        "admin",
        "node",
        "layered_runtime",
        "name",
        "services",
    ];
    names.iter().any(|name| tree.get(name).is_some()) || !matches!(tree.content, Content::Object(_))
}

/// What an object of Kubernetes is called.
fn resource(tree: &Tree) -> Option<String> {
    let kind = tree.get("kind")?.text()?;
    let name = tree.get("metadata").and_then(|data| data.get("name"));
    Some(match name.and_then(Tree::text) {
        Some(name) => format!("{kind} {name}"),
        None => kind.to_owned(),
    })
}

fn here(tree: &Tree, within: Option<String>, source: &str, is_json: bool) -> Found {
    // The very bytes where they are JSON, so that whatever is wrong with them is told.
    let bytes = source.get(tree.at.clone()).filter(|_| is_json);
    let document = match bytes {
        Some(text) => text.as_bytes().to_vec(),
        None => tree.json().to_string().into_bytes(),
    };
    Found {
        within,
        document,
        tree: tree.clone(),
        text: None,
    }
}

struct Seek<'s> {
    source: &'s str,
    is_json: bool,
    resource: Option<String>,
}

impl Seek<'_> {
    fn walk(&self, tree: &Tree, contents: &mut Contents) {
        match &tree.content {
            Content::Object(members) => {
                for member in members {
                    self.member(&member.name, &member.tree, contents);
                    self.walk(&member.tree, contents);
                }
            }
            Content::List(items) => items.iter().for_each(|item| self.walk(item, contents)),
            Content::Plain(_) | Content::Text(_) => {}
        }
    }

    fn member(&self, name: &str, tree: &Tree, contents: &mut Contents) {
        match (name, &tree.content) {
            ("pluginConfig", Content::Object(_)) if says_something(tree) => {
                self.push(here(tree, None, self.source, self.is_json), contents);
            }
            ("configuration", Content::Object(_)) => self.configuration(tree, contents),
            // Of Envoy Gateway's extensions, which have `code` beside it.
            ("wasm", Content::List(items)) => {
                let configs = items.iter().filter_map(|item| item.get("config"));
                for config in configs.filter(|config| says_something(config)) {
                    self.push(here(config, None, self.source, self.is_json), contents);
                }
            }
            ("data", Content::Object(members)) => {
                for member in members {
                    self.text(&member.tree, contents);
                }
            }
            _ => {}
        }
    }

    /// What Envoy hands to a filter: a message with its type.
    fn configuration(&self, tree: &Tree, contents: &mut Contents) {
        let Some(kind) = tree.get("@type").and_then(Tree::text) else {
            return;
        };
        let Some(value) = tree.get("value") else {
            return;
        };
        if kind.ends_with(STRING_VALUE) {
            self.text(value, contents);
        } else if kind.ends_with(STRUCT) && looks_like_one(value) {
            contents.faults.push((
                tree.locate("/@type"),
                format!(
                    "a Struct reaches the filter as bytes of protobuf, which it refuses; write type.googleapis.com/{STRING_VALUE} and the document as one text of JSON"
                ),
            ));
        }
    }

    /// A text that is a document.
    fn text(&self, tree: &Tree, contents: &mut Contents) {
        let Content::Text(text) = &tree.content else {
            return;
        };
        let read = of_json(&text.value);
        let is_json = read.is_ok();
        let inner = match read {
            Ok(inner) => Some(inner),
            Err(_) => of_yaml(&text.value).ok().and_then(|all| {
                let [one] = <[Tree; 1]>::try_from(all).ok()?;
                Some(one)
            }),
        };
        let Some(inner) = inner.filter(says_something) else {
            return;
        };
        let mut found = here(&inner, None, &text.value, is_json);
        // The filter gets the text as it stands, YAML too, and says itself that it is none.
        found.document = text.value.clone().into_bytes();
        found.text = Some(Embedded {
            at: tree.at.clone(),
            value: text.value.clone(),
            is_block: text.is_block,
        });
        self.push(found, contents);
    }

    fn push(&self, mut found: Found, contents: &mut Contents) {
        found.within.clone_from(&self.resource);
        contents.documents.push(found);
    }
}

/// Whether it may be a document, and not what another plugin is told.
fn says_something(tree: &Tree) -> bool {
    tree.get("routes").is_some()
        || (tree.get("version").is_some() && tree.get("defaults").is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str = r#"{"version":1,"routes":[{"name":"a","match":{},"opem":true}]}"#;

    fn shown<'f>(file: &'f str, found: &Found) -> &'f str {
        file.get(found.locate("/routes/0/opem", file)).unwrap()
    }

    fn in_yaml(file: &str) -> Contents {
        let mut contents = Contents::default();
        for tree in of_yaml(file).unwrap() {
            find(&tree, (file, false), true, &mut contents);
        }
        contents
    }

    #[test]
    fn a_plugin_of_istio_has_one() {
        let file = "apiVersion: extensions.istio.io/v1alpha1\nkind: WasmPlugin\nmetadata:\n  name: guard\nspec:\n  pluginConfig:\n    version: 1\n    routes:\n    - name: a\n      match: {}\n      opem: true\n";
        let contents = in_yaml(file);
        let [found] = &contents.documents[..] else {
            panic!("{} documents", contents.documents.len());
        };
        assert_eq!(found.within.as_deref(), Some("WasmPlugin guard"));
        assert_eq!(shown(file, found), "opem");
    }

    #[test]
    fn an_extension_of_envoy_gateway_has_one_and_other_plugins_have_none() {
        let file = "kind: EnvoyExtensionPolicy\nspec:\n  wasm:\n  - name: other\n    config: {color: red}\n  - name: guard\n    config: {version: 1, routes: [{name: a, match: {}, opem: true}]}\n";
        let contents = in_yaml(file);
        assert_eq!(contents.documents.len(), 1);
        assert_eq!(shown(file, &contents.documents[0]), "opem");
    }

    #[test]
    fn a_bootstrap_has_it_as_a_text() {
        let text = serde_json::Value::from(DOCUMENT).to_string();
        let file = format!(
            r#"{{"static_resources":{{"listeners":[{{"configuration":{{"@type":"type.googleapis.com/google.protobuf.StringValue","value":{text}}}}}]}}}}"#
        );
        let mut contents = Contents::default();
        find(&of_json(&file).unwrap(), (&file, true), true, &mut contents);
        assert_eq!(contents.documents.len(), 1);
        let found = &contents.documents[0];
        assert_eq!(found.document, DOCUMENT.as_bytes());
        // Where lines are escaped, the place is that of the text.
        assert_eq!(shown(&file, found), text);
    }

    #[test]
    fn a_block_of_lines_has_the_lines_of_the_file() {
        let file = "static_resources:\n  filters:\n  - configuration:\n      \"@type\": type.googleapis.com/google.protobuf.StringValue\n      value: |\n        {\n          \"version\": 1,\n          \"routes\": [\n            {\"name\": \"a\", \"match\": {}, \"opem\": true}\n          ]\n        }\n";
        let contents = in_yaml(file);
        assert_eq!(contents.documents.len(), 1);
        assert_eq!(shown(file, &contents.documents[0]), "\"opem\"");
    }

    #[test]
    fn a_struct_is_told() {
        let file = "resources:\n- configuration:\n    '@type': type.googleapis.com/google.protobuf.Struct\n    value: {version: 1, routes: []}\n";
        let contents = in_yaml(file);
        assert!(contents.documents.is_empty());
        let [(at, reason)] = &contents.faults[..] else {
            panic!("{:?}", contents.faults);
        };
        assert_eq!(file.get(at.clone()), Some("'@type'"));
        assert!(reason.contains("StringValue"), "{reason}");
    }
}
