//! The model as a JSON Schema.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Map, Value, json};

use super::model::{Facts, Kind, Model, ObjectKey, Place};
use super::words::{Reference, Subject};

/// What identifies the schema. It names no place from which it could be fetched.
const ID: &str = "https://schemas.example.com/portcullis/portcullis.schema.json";

const DURATION: &str = "^[0-9]+(ms|s|m|h)$";
const SIZE: &str = "^[0-9]+(B|KiB|MiB)$";

struct Writer<'m> {
    model: &'m Model,
    /// What each object is called.
    names: BTreeMap<ObjectKey, String>,
    /// The objects around each, nearest first.
    within: BTreeMap<ObjectKey, Vec<String>>,
    descriptions: BTreeMap<(ObjectKey, String), Vec<usize>>,
    reference: Reference,
}

pub(super) fn schema(model: &Model) -> Value {
    let writer = Writer::new(model);
    let mut definitions = Map::new();
    let mut root = Map::new();
    for (key, name) in &writer.names {
        let object = writer.object(key);
        if key.name == "document" {
            root = object;
        } else {
            definitions.insert(name.clone(), Value::Object(object));
        }
    }
    unite_alike(&mut definitions, &mut root);
    let mut schema = Map::new();
    schema.insert(
        "$schema".to_owned(),
        json!("https://json-schema.org/draft/2020-12/schema"),
    );
    schema.insert("$id".to_owned(), json!(ID));
    schema.insert(
        "title".to_owned(),
        json!("Portcullis: the configuration document"),
    );
    schema.insert(
        "$comment".to_owned(),
        json!("Made by `make schema` from the readers of the document. Do not edit."),
    );
    schema.extend(root);
    schema.insert("$defs".to_owned(), Value::Object(definitions));
    Value::Object(schema)
}

impl<'m> Writer<'m> {
    fn new(model: &'m Model) -> Self {
        let mut writer = Self {
            model,
            names: BTreeMap::new(),
            within: BTreeMap::new(),
            descriptions: BTreeMap::new(),
            reference: Reference::read(),
        };
        writer.walk();
        writer.describe();
        writer
    }

    /// Names the objects that can be reached, those nearest to the root first.
    fn walk(&mut self) {
        let mut waiting = VecDeque::from([(Place::Root, Vec::new())]);
        let mut taken = BTreeSet::new();
        let mut seen = BTreeSet::new();
        while let Some((place, within)) = waiting.pop_front() {
            let Some(facts) = self
                .model
                .places
                .get(&place)
                .filter(|_| seen.insert(place.clone()))
            else {
                continue;
            };
            if facts.is_foreign {
                continue;
            }
            for key in &facts.objects {
                if self.names.contains_key(key) {
                    continue;
                }
                let name = name_for(&key.name, &within, &mut taken);
                self.names.insert(key.clone(), name);
                let around: Vec<String> = [&[key.name.clone()], within.as_slice()].concat();
                self.within.insert(key.clone(), around.clone());
                for field in &self.model.objects[key].names {
                    waiting.push_back((Place::Member(key.clone(), field.clone()), around.clone()));
                }
            }
            waiting.push_back((Place::Value(Box::new(place.clone())), within.clone()));
            waiting.push_back((Place::Item(Box::new(place.clone())), within));
        }
    }

    /// Gives each field the row that fits best, and each row that is left over the field that it fits best.
    fn describe(&mut self) {
        let mut fits: Vec<(f64, usize, ObjectKey, String)> = Vec::new();
        for key in self.names.keys() {
            let fields = &self.model.objects[key].names;
            let subject = Subject {
                within: &self.within[key],
                fields,
            };
            for field in fields
                .iter()
                .filter(|field| self.property(key, field).is_some())
            {
                let rows = self.reference.about(field, &subject);
                fits.extend(
                    rows.into_iter()
                        .map(|(row, fit)| (fit, row, key.clone(), field.clone())),
                );
            }
        }
        fits.sort_by(|one, other| other.0.total_cmp(&one.0));
        let mut used = BTreeSet::new();
        for (_, row, key, field) in &fits {
            let rows = self
                .descriptions
                .entry((key.clone(), field.clone()))
                .or_default();
            if rows.is_empty() {
                rows.push(*row);
                used.insert((*row, field.clone()));
            }
        }
        for (_, row, key, field) in &fits {
            if used.insert((*row, field.clone())) {
                let rows = self
                    .descriptions
                    .entry((key.clone(), field.clone()))
                    .or_default();
                rows.push(*row);
            }
        }
    }

    fn object(&self, key: &ObjectKey) -> Map<String, Value> {
        let members = &self.model.objects[key];
        let mut properties = Map::new();
        for field in &members.names {
            if let Some(mut property) = self.property(key, field) {
                self.explain(key, field, &mut property);
                properties.insert(field.clone(), Value::Object(property));
            }
        }
        let mut object = Map::new();
        object.insert("type".to_owned(), json!("object"));
        let (mut required, mut either) = (Vec::new(), Vec::new());
        for set in members.required() {
            let set: Vec<String> = set
                .into_iter()
                .filter(|name| properties.contains_key(name))
                .collect();
            match set.as_slice() {
                [] => {}
                [one] => required.push(json!(one)),
                many => {
                    let each = many.iter().map(|name| json!({ "required": [name] }));
                    either.push(json!({ "anyOf": each.collect::<Vec<_>>() }));
                }
            }
        }
        object.insert("properties".to_owned(), Value::Object(properties));
        if !required.is_empty() {
            object.insert("required".to_owned(), Value::Array(required));
        }
        if !either.is_empty() {
            object.insert("allOf".to_owned(), Value::Array(either));
        }
        if members.is_closed {
            object.insert("additionalProperties".to_owned(), json!(false));
        }
        object
    }

    fn property(&self, key: &ObjectKey, field: &str) -> Option<Map<String, Value>> {
        self.value(&Place::Member(key.clone(), field.to_owned()))
    }

    fn explain(&self, key: &ObjectKey, field: &str, property: &mut Map<String, Value>) {
        let rows = self.descriptions.get(&(key.clone(), field.to_owned()));
        let rows: Vec<_> = rows
            .into_iter()
            .flatten()
            .map(|row| self.reference.row(*row))
            .collect();
        if rows.is_empty() {
            return;
        }
        // Tables of several pages may say the same.
        let mut said = BTreeSet::new();
        let rows: Vec<_> = rows
            .into_iter()
            .filter(|row| said.insert(row.text()))
            .collect();
        let text: Vec<String> = rows.iter().map(|row| row.text()).collect();
        let markdown = rows.iter().map(|row| {
            let page = &row.page;
            format!("{}\n\n[{page}]({})", row.markdown(), row.link())
        });
        let markdown: Vec<String> = markdown.collect();
        property.insert("description".to_owned(), json!(text.join("\n\n")));
        property.insert(
            "markdownDescription".to_owned(),
            json!(markdown.join("\n\n")),
        );
        let default = rows[0].default.as_deref().and_then(plain);
        if let Some(default) = default.filter(|default| rows.len() == 1 && suits(property, default))
        {
            property.insert("default".to_owned(), default);
        }
    }

    /// The schema of the values at a place; none if nothing may stand there.
    fn value(&self, place: &Place) -> Option<Map<String, Value>> {
        let facts = self.model.places.get(place)?;
        if facts.is_foreign {
            let is_schema = facts.takes(Kind::True);
            let types = if is_schema {
                json!(["object", "boolean"])
            } else {
                json!("object")
            };
            return Some(Map::from_iter([("type".to_owned(), types)]));
        }
        let every = [
            Kind::True,
            Kind::False,
            Kind::Number,
            Kind::Text,
            Kind::List,
            Kind::Object,
        ];
        // Where a reader did not look, anything passed: what was asked where one did says more.
        let is_any = every.iter().all(|kind| facts.accepted.contains(kind));
        if is_any && facts.objects.is_empty() && facts.wanted.is_empty() {
            return Some(Map::new());
        }
        let asked = is_any.then(|| facts.as_asked());
        let facts = asked.as_ref().unwrap_or(facts);
        let mut choices: Vec<Map<String, Value>> = Vec::new();
        for key in facts.objects.iter().filter(|_| facts.takes(Kind::Object)) {
            let name = self.names.get(key)?;
            choices.push(map(json!({ "$ref": format!("#/$defs/{name}") })));
        }
        if facts.takes(Kind::Object) && facts.objects.is_empty() {
            let mut choice = map(json!({ "type": "object" }));
            let within = Place::Value(Box::new(place.clone()));
            if let Some(values) = self
                .value(&within)
                .filter(|values| facts.is_map && !values.is_empty())
            {
                choice.insert("additionalProperties".to_owned(), Value::Object(values));
            }
            choices.push(choice);
        }
        if facts.takes(Kind::List) {
            choices.push(self.list(place, facts));
        }
        choices.extend(texts(facts));
        if facts.takes(Kind::Number) {
            choices.push(number(facts));
        }
        match (facts.takes(Kind::True), facts.takes(Kind::False)) {
            (true, true) => choices.push(map(json!({ "type": "boolean" }))),
            (true, false) => choices.push(map(json!({ "const": true }))),
            (false, true) => choices.push(map(json!({ "const": false }))),
            (false, false) => {}
        }
        match choices.len() {
            0 => None,
            1 => choices.pop(),
            _ => {
                let choices = choices.into_iter().map(Value::Object);
                Some(Map::from_iter([(
                    "anyOf".to_owned(),
                    Value::Array(choices.collect()),
                )]))
            }
        }
    }

    fn list(&self, place: &Place, facts: &Facts) -> Map<String, Value> {
        let mut list = map(json!({ "type": "array" }));
        let items = self.value(&Place::Item(Box::new(place.clone())));
        if let Some(items) = items.filter(|items| !items.is_empty()) {
            list.insert("items".to_owned(), Value::Object(items));
        }
        if facts.refuses_empty(Kind::List) {
            list.insert("minItems".to_owned(), json!(1));
        }
        list
    }
}

fn texts(facts: &Facts) -> Vec<Map<String, Value>> {
    let mut choices = Vec::new();
    let is_text = facts.takes(Kind::Text);
    // Texts that were taken are words of the format where another kind stands beside them, as "off" beside an
    // object. All others are texts of those who wrote the examples.
    let is_word = |text: &String| text.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let has_kinds = [Kind::Object, Kind::List, Kind::False, Kind::True];
    let are_words =
        has_kinds.iter().any(|kind| facts.takes(*kind)) && facts.literals.iter().all(is_word);
    let is_told = !facts.literals.is_empty() && !are_words;
    let is_open = facts.is_free_text || facts.is_pattern || is_told;
    let mut words = facts.names.clone();
    if !is_open {
        let literals = facts.literals.iter().filter(|text| !words.contains(text));
        let literals: Vec<String> = literals.cloned().collect();
        words.extend(literals);
    }
    if !words.is_empty() {
        choices.push(map(json!({ "enum": words })));
    }
    if facts.is_duration {
        choices.push(map(json!({ "type": "string", "pattern": DURATION })));
    }
    if facts.is_size {
        choices.push(map(json!({ "type": "string", "pattern": SIZE })));
    }
    let nothing_known = choices.is_empty() && is_text;
    if is_text && (is_open || nothing_known) {
        let mut text = map(json!({ "type": "string" }));
        if facts.refuses_empty(Kind::Text) {
            text.insert("minLength".to_owned(), json!(1));
        }
        choices.push(text);
    }
    choices
}

fn number(facts: &Facts) -> Map<String, Value> {
    match facts.integers {
        Some((low, high)) if !facts.is_any_number => {
            map(json!({ "type": "integer", "minimum": low, "maximum": high }))
        }
        _ => map(json!({ "type": "number" })),
    }
}

fn map(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(map) => map,
        _ => Map::new(),
    }
}

/// A name that no other object has: with as many of the names around it as that takes.
fn name_for(name: &str, within: &[String], taken: &mut BTreeSet<String>) -> String {
    let mut full = name.to_owned();
    for outer in within.iter().filter(|outer| *outer != "document") {
        if taken.insert(full.clone()) {
            return full;
        }
        full = format!("{outer}.{full}");
    }
    let mut number = 1;
    let base = full.clone();
    while !taken.insert(full.clone()) {
        number += 1;
        full = format!("{base}.{number}");
    }
    full
}

/// A default that a table writes as a value.
fn plain(cell: &str) -> Option<Value> {
    let text = cell.strip_prefix('`')?.strip_suffix('`')?;
    if text.contains('`') {
        return None;
    }
    Some(serde_json::from_str(text).unwrap_or_else(|_| json!(text)))
}

/// Whether a value is of a kind that the property takes.
fn suits(property: &Map<String, Value>, value: &Value) -> bool {
    let kind = match value {
        Value::Bool(_) => "boolean",
        Value::Number(_) => "integer",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        _ => return false,
    };
    let suits = |choice: &Map<String, Value>| {
        let listed = choice.get("enum").and_then(Value::as_array);
        let is_listed = listed.is_some_and(|words| words.contains(value));
        is_listed
            || (choice.get("type").and_then(Value::as_str) == Some(kind)
                && !choice.contains_key("pattern"))
            || (choice.contains_key("pattern")
                && value
                    .as_str()
                    .is_some_and(|text| text.starts_with(|c: char| c.is_ascii_digit())))
    };
    match property.get("anyOf").and_then(Value::as_array) {
        Some(choices) => choices.iter().filter_map(Value::as_object).any(suits),
        None => suits(property),
    }
}

/// Leaves one of definitions that say the same, until no two do.
fn unite_alike(definitions: &mut Map<String, Value>, root: &mut Map<String, Value>) {
    loop {
        let mut first: BTreeMap<String, String> = BTreeMap::new();
        let mut replaced: BTreeMap<String, String> = BTreeMap::new();
        let mut names: Vec<String> = definitions.keys().cloned().collect();
        names.sort_by_key(|name| (name.len(), name.clone()));
        for name in names {
            let kept = first
                .entry(definitions[&name].to_string())
                .or_insert_with(|| name.clone());
            if *kept != name {
                replaced.insert(name, kept.clone());
            }
        }
        if replaced.is_empty() {
            return;
        }
        definitions.retain(|name, _| !replaced.contains_key(name));
        let all = definitions.values_mut().chain(root.values_mut());
        all.for_each(|value| redirect(value, &replaced));
    }
}

fn redirect(value: &mut Value, replaced: &BTreeMap<String, String>) {
    match value {
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                let target = member
                    .as_str()
                    .and_then(|text| text.strip_prefix("#/$defs/"));
                match target
                    .filter(|_| name == "$ref")
                    .and_then(|name| replaced.get(name))
                {
                    Some(kept) => *member = json!(format!("#/$defs/{kept}")),
                    None => redirect(member, replaced),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| redirect(item, replaced)),
        _ => {}
    }
}

/// As text, with a line for each property: short, and good to compare.
pub(super) fn text(schema: &Value) -> String {
    let mut text = String::new();
    lines(schema, 0, &mut text);
    text.push('\n');
    text
}

fn lines(value: &Value, depth: usize, text: &mut String) {
    const DEEPEST: usize = 4;
    let members = value
        .as_object()
        .filter(|members| depth < DEEPEST && !members.is_empty());
    let Some(members) = members else {
        text.push_str(&value.to_string());
        return;
    };
    for (index, (name, member)) in members.iter().enumerate() {
        let open = if index == 0 { "{" } else { "," };
        text.push_str(&format!("{open}\n{:depth$} {}: ", "", json!(name)));
        lines(member, depth + 1, text);
    }
    text.push_str(&format!("\n{:depth$}}}", ""));
}
