//! Where schemas stand: by URI, by anchor, and by place.

use std::collections::BTreeMap;

use super::dialect::Dialect;
use super::metaschemas::Metaschemas;
use super::rule::{Entry, Keywords, Meaning};
use super::uri::{Uri, decode};
use portcullis_document::{Pointer, Quoted};
use portcullis_wire::json::{Json, Object};

/// A schema with a URI of its own, and those in it that have none.
pub(super) struct Resource<'d> {
    pub(super) uri: Uri,
    pub(super) dialect: Dialect,
    root: &'d Json,
    place: Pointer,
    anchors: BTreeMap<&'d str, &'d Json>,
    pub(super) dynamic_anchors: BTreeMap<&'d str, &'d Json>,
}

/// Where a schema is at home.
#[derive(Clone)]
pub(super) struct Home {
    pub(super) resource: usize,
    pub(super) place: Pointer,
}

/// All schemas of some documents.
pub(super) struct Index<'d> {
    /// The keywords that may hold schemas.
    pub(super) keywords: Keywords,
    pub(super) resources: Vec<Resource<'d>>,
    by_uri: BTreeMap<String, usize>,
    homes: BTreeMap<usize, Home>,
    /// All schemas, in the order in which they were found.
    pub(super) schemas: Vec<&'d Json>,
    pub(super) problems: Vec<(Pointer, String)>,
    /// What references may lead to that is in no document.
    pub(super) metaschemas: Option<&'d Metaschemas>,
}

/// What a reference leads to.
pub(super) struct Referred<'d> {
    pub(super) json: &'d Json,
    /// The name, if it is that of a dynamic anchor.
    pub(super) dynamic: Option<String>,
}

/// How schemas stand under a keyword.
enum Holds {
    One,
    List,
    Named,
}

/// The keywords that hold schemas.
const HOLDERS: &[(&str, Holds)] = &[
    ("$defs", Holds::Named),
    ("definitions", Holds::Named),
    ("properties", Holds::Named),
    ("patternProperties", Holds::Named),
    ("dependentSchemas", Holds::Named),
    ("dependencies", Holds::Named),
    ("allOf", Holds::List),
    ("anyOf", Holds::List),
    ("oneOf", Holds::List),
    ("prefixItems", Holds::List),
    ("items", Holds::List),
    ("items", Holds::One),
    ("additionalItems", Holds::One),
    ("additionalProperties", Holds::One),
    ("propertyNames", Holds::One),
    ("contains", Holds::One),
    ("not", Holds::One),
    ("if", Holds::One),
    ("then", Holds::One),
    ("else", Holds::One),
    ("unevaluatedItems", Holds::One),
    ("unevaluatedProperties", Holds::One),
];

impl<'d> Index<'d> {
    /// Of no document so far.
    pub(super) fn new(keywords: Keywords) -> Self {
        Self {
            keywords,
            resources: Vec::new(),
            by_uri: BTreeMap::new(),
            homes: BTreeMap::new(),
            schemas: Vec::new(),
            problems: Vec::new(),
            metaschemas: None,
        }
    }

    /// Takes in a document whose root is a schema.
    pub(super) fn add_schema(&mut self, uri: Uri, root: &'d Json, place: Pointer, usual: Dialect) {
        let dialect = self.dialect(root, &place, usual);
        let resource = self.add_resource(uri, root, place.clone(), dialect);
        self.walk(root, Home { resource, place });
    }

    /// Takes in a document that holds schemas in places of its own.
    pub(super) fn add_resource(
        &mut self,
        uri: Uri,
        root: &'d Json,
        place: Pointer,
        dialect: Dialect,
    ) -> usize {
        let index = self.resources.len();
        if self.by_uri.insert(uri.to_string(), index).is_some() {
            let reason = format!("another schema is {} too", Quoted(&uri.to_string()));
            self.problems.push((place.clone(), reason));
        }
        self.resources.push(Resource {
            uri,
            dialect,
            root,
            place,
            anchors: BTreeMap::new(),
            dynamic_anchors: BTreeMap::new(),
        });
        index
    }

    /// Where a schema is at home; it is taken in if it has not been.
    pub(super) fn home(&mut self, json: &'d Json, otherwise: &Home) -> Home {
        if !self.homes.contains_key(&address(json)) {
            self.walk(json, otherwise.clone());
        }
        let found = self.homes.get(&address(json));
        found.unwrap_or(otherwise).clone()
    }

    /// What `reference` means in a resource.
    ///
    /// # Errors
    /// Why it means nothing.
    pub(super) fn resolve(
        &mut self,
        resource: usize,
        reference: &str,
    ) -> Result<Referred<'d>, String> {
        // Most lead to another place of the same resource.
        let (index, fragment) = match reference.strip_prefix('#') {
            Some(fragment) => (resource, fragment.to_owned()),
            None => {
                let base = self.resources.get(resource).map(|each| each.uri.clone());
                let mut uri = base.unwrap_or_default().join(reference);
                let fragment = uri.fragment.take().unwrap_or_default();
                let uri = uri.to_string();
                let index = self.by_uri.get(&uri).copied();
                let index = index.or_else(|| self.metaschema(&uri));
                let nowhere = || {
                    let cure = match uri.starts_with("schemas:") {
                        true => "",
                        false => {
                            ", and nothing is fetched; put it into the document, in `schemas` under that name"
                        }
                    };
                    format!("leads nowhere: no schema is {}{cure}", Quoted(&uri))
                };
                (index.ok_or_else(nowhere)?, fragment)
            }
        };
        let Some(target) = self.resources.get(index) else {
            return Err("leads nowhere".to_owned());
        };
        let Some(fragment) = decode(&fragment) else {
            return Err("has a malformed fragment".to_owned());
        };
        if !fragment.is_empty() && !fragment.starts_with('/') {
            let name = fragment.as_str();
            let dynamic = target.dynamic_anchors.get(name);
            let found = dynamic.or_else(|| target.anchors.get(name)).copied();
            let dynamic = dynamic.map(|_| name.to_owned());
            let json = found
                .ok_or_else(|| format!("leads nowhere: there is no anchor {}", Quoted(name)))?;
            return Ok(Referred { json, dynamic });
        }
        let tokens = tokens(&fragment);
        let found = target.root.pointer(&tokens).filter(|json| is_schema(json));
        let json = found.ok_or("leads nowhere: there is no schema at its pointer")?;
        if !self.homes.contains_key(&address(json)) {
            let place = target.place.clone();
            let place = tokens
                .iter()
                .fold(place, |place, token| place.member(token));
            let resource = index;
            self.walk(json, Home { resource, place });
        }
        Ok(Referred {
            json,
            dynamic: None,
        })
    }

    /// Takes in a metaschema; the place of its resource.
    fn metaschema(&mut self, uri: &str) -> Option<usize> {
        let json = self.metaschemas?.named(uri)?;
        let place = Pointer::default().member(uri);
        let resource = self.resources.len();
        self.add_schema(Uri::parse(uri), json, place, Dialect::Draft202012);
        Some(resource)
    }

    fn walk(&mut self, json: &'d Json, mut home: Home) {
        if self.homes.contains_key(&address(json)) {
            return;
        }
        if let Json::Object(object) = json {
            home.resource = self.identify(json, object, &home);
            self.name(json, object, &home);
        }
        self.homes.insert(address(json), home.clone());
        self.schemas.push(json);
        let Json::Object(object) = json else {
            return;
        };
        let dialect = self.resources.get(home.resource).map(|each| each.dialect);
        for (keyword, holds) in HOLDERS {
            let known = |entry: &Entry| {
                let known = dialect.is_none_or(|dialect| entry.known_in(dialect));
                known && !matches!(entry.meaning, Meaning::Annotation)
            };
            let Some(held) = object
                .member(keyword)
                .filter(|_| self.keywords.named(keyword).is_some_and(known))
            else {
                continue;
            };
            let place = home.place.member(keyword);
            let inner = |place| Home {
                resource: home.resource,
                place,
            };
            match (holds, held) {
                (Holds::One, Json::Object(_) | Json::Bool(_)) => self.walk(held, inner(place)),
                (Holds::List, Json::Array(items)) => {
                    for (index, item) in
                        items.iter().enumerate().filter(|(_, item)| is_schema(item))
                    {
                        self.walk(item, inner(place.item(index)));
                    }
                }
                (Holds::Named, Json::Object(named)) => {
                    for (name, item) in named.iter().filter(|(_, item)| is_schema(item)) {
                        self.walk(item, inner(place.member(name)));
                    }
                }
                _ => {}
            }
        }
    }

    /// The resource of a schema: a new one if it has an identifier.
    fn identify(&mut self, json: &'d Json, object: &'d Object, home: &Home) -> usize {
        let Some(resource) = self.resources.get(home.resource) else {
            return home.resource;
        };
        let stands_alone = resource.dialect.reference_stands_alone();
        let written = object.member("$id").and_then(Json::as_str);
        let Some(written) = written.filter(|_| !(stands_alone && object.member("$ref").is_some()))
        else {
            return home.resource;
        };
        let mut uri = resource.uri.join(written);
        let fragment = uri.fragment.take().unwrap_or_default();
        if written.starts_with('#') && stands_alone {
            return home.resource;
        }
        if !fragment.is_empty() {
            let place = home.place.member("$id");
            let reason = "must have no fragment; name a part of a schema with `$anchor`";
            self.problems.push((place, reason.to_owned()));
        }
        let usual = resource.dialect;
        if std::ptr::eq(resource.root, json) {
            self.rename(home.resource, uri, &home.place);
            return home.resource;
        }
        let dialect = self.dialect(json, &home.place, usual);
        self.add_resource(uri, json, home.place.clone(), dialect)
    }

    /// Gives a document the URI that it says it has, beside the one under which it was found.
    fn rename(&mut self, index: usize, uri: Uri, place: &Pointer) {
        let before = self.by_uri.insert(uri.to_string(), index);
        if before.is_some_and(|before| before != index) {
            let reason = format!("another schema is {} too", Quoted(&uri.to_string()));
            self.problems.push((place.clone(), reason));
        }
        if let Some(resource) = self.resources.get_mut(index) {
            resource.uri = uri;
        }
    }

    fn name(&mut self, json: &'d Json, object: &'d Object, home: &Home) {
        let Some(resource) = self.resources.get_mut(home.resource) else {
            return;
        };
        let text = |keyword| object.member(keyword).and_then(Json::as_str);
        let old = text("$id")
            .and_then(|id| id.strip_prefix('#'))
            .filter(|name| !name.is_empty() && resource.dialect.reference_stands_alone());
        let mut known_twice = None;
        for name in text("$anchor").into_iter().chain(old) {
            known_twice = resource
                .anchors
                .insert(name, json)
                .map(|_| name)
                .or(known_twice);
        }
        if let Some(name) = text("$dynamicAnchor") {
            let before = resource.dynamic_anchors.insert(name, json);
            known_twice = before.map(|_| name).or(known_twice);
        }
        if let Some(name) = known_twice {
            let reason = format!("another schema has the anchor {} too", Quoted(name));
            self.problems.push((home.place.clone(), reason));
        }
    }

    /// The dialect of a schema with a URI of its own.
    fn dialect(&mut self, json: &Json, place: &Pointer, usual: Dialect) -> Dialect {
        let written = json.as_object().and_then(|object| object.member("$schema"));
        let Some(written) = written else {
            return usual;
        };
        let named = written.as_str().and_then(Dialect::named);
        if named.is_none() {
            let reason = "is not supported; write \"https://json-schema.org/draft/2020-12/schema\" or \"http://json-schema.org/draft-07/schema#\"";
            let place = place.member("$schema");
            self.problems.push((place, reason.to_owned()));
        }
        named.unwrap_or(usual)
    }
}

/// Whether a value can be a schema.
pub(super) fn is_schema(json: &Json) -> bool {
    matches!(json, Json::Object(_) | Json::Bool(_))
}

/// Where a value of the document stands in memory. The document outlives the index and does not
/// move, so this is who it is.
pub(super) fn address(json: &Json) -> usize {
    std::ptr::from_ref(json).addr()
}

/// The tokens of a pointer that is a fragment: RFC 6901 §6. None if it is none.
pub(super) fn fragment_tokens(fragment: &str) -> Option<Vec<String>> {
    let pointer = decode(fragment)?;
    let is_pointer = pointer.is_empty() || pointer.starts_with('/');
    is_pointer.then(|| tokens(&pointer))
}

/// RFC 6901 §4.
fn tokens(pointer: &str) -> Vec<String> {
    let tokens = pointer.split('/').skip(1);
    tokens
        .map(|token| token.replace("~1", "/").replace("~0", "~"))
        .collect()
}
