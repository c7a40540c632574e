//! Texts of JSON and YAML as trees whose nodes know where they stand.

use std::collections::{HashMap, HashSet};
use std::ops::Range;

use jsonc_parser::ast;
use jsonc_parser::{CollectOptions, ParseOptions};
use saphyr_parser::{Event, Marker, Parser, ScalarStyle, Span};
use serde_json::{Number, Value};

/// A value, and the bytes of the file that it stands at.
#[derive(Clone, Debug)]
pub struct Tree {
    pub at: Range<usize>,
    pub content: Content,
}

#[derive(Clone, Debug)]
pub enum Content {
    /// A number, a boolean or null.
    Plain(Value),
    Text(Text),
    List(Vec<Tree>),
    Object(Vec<Member>),
}

#[derive(Clone, Debug)]
pub struct Text {
    pub value: String,
    /// Whether each of its lines is a line of the file, as in a block of YAML.
    pub is_block: bool,
}

#[derive(Clone, Debug)]
pub struct Member {
    pub name: String,
    pub name_at: Range<usize>,
    pub tree: Tree,
}

/// Why a text is no tree, and where.
#[derive(Debug)]
pub struct Unreadable {
    pub at: usize,
    pub reason: String,
}

/// What aliases may grow a text to.
const MOST_VALUES: usize = 200_000;
/// How deep values may stand in one another.
const DEEPEST: usize = 100;

impl Tree {
    /// The member of an object.
    pub fn get(&self, name: &str) -> Option<&Tree> {
        match &self.content {
            Content::Object(members) => {
                let member = members.iter().find(|member| member.name == name);
                member.map(|member| &member.tree)
            }
            _ => None,
        }
    }

    pub fn text(&self) -> Option<&str> {
        match &self.content {
            Content::Text(text) => Some(&text.value),
            _ => None,
        }
    }

    /// The values in it.
    pub fn children(&self) -> Vec<&Tree> {
        match &self.content {
            Content::List(items) => items.iter().collect(),
            Content::Object(members) => members.iter().map(|member| &member.tree).collect(),
            Content::Plain(_) | Content::Text(_) => Vec::new(),
        }
    }

    /// As JSON.
    pub fn json(&self) -> Value {
        match &self.content {
            Content::Plain(value) => value.clone(),
            Content::Text(text) => Value::String(text.value.clone()),
            Content::List(items) => items.iter().map(Tree::json).collect(),
            Content::Object(members) => {
                let members = members.iter();
                members
                    .map(|member| (member.name.clone(), member.tree.json()))
                    .collect()
            }
        }
    }

    /// Where an RFC 6901 pointer leads, or as far as there is something: the name of a member, or an item.
    pub fn locate(&self, pointer: &str) -> Range<usize> {
        let mut at = self.at.clone();
        let mut tree = self;
        for token in pointer.split('/').skip(1) {
            let token = token.replace("~1", "/").replace("~0", "~");
            let next = match &tree.content {
                Content::Object(members) => {
                    let member = members.iter().find(|member| member.name == token);
                    member.map(|member| (member.name_at.clone(), &member.tree))
                }
                Content::List(items) => {
                    let item = token.parse().ok().and_then(|place: usize| items.get(place));
                    item.map(|item| (item.at.clone(), item))
                }
                Content::Plain(_) | Content::Text(_) => None,
            };
            let Some((place, below)) = next else { break };
            at = place;
            tree = below;
        }
        at
    }
}

/// One JSON text.
pub fn of_json(text: &str) -> Result<Tree, Unreadable> {
    let depth = nesting(text);
    if depth > DEEPEST {
        return Err(Unreadable {
            at: 0,
            reason: format!("has values more than {DEEPEST} deep in one another"),
        });
    }
    let strict = ParseOptions {
        allow_comments: false,
        allow_loose_object_property_names: false,
        allow_trailing_commas: false,
        allow_missing_commas: false,
        allow_single_quoted_strings: false,
        allow_hexadecimal_numbers: false,
        allow_unary_plus_numbers: false,
        allow_bare_decimal_point_numbers: false,
        allow_non_finite_numbers: false,
        allow_extended_string_escapes: false,
    };
    let parsed = jsonc_parser::parse_to_ast(text, &CollectOptions::default(), &strict);
    let parsed = parsed.map_err(|error| Unreadable {
        at: error.range().start,
        reason: format!("is not JSON: {}", error.kind()),
    })?;
    match parsed.value {
        Some(value) => of_ast(value),
        None => Err(Unreadable {
            at: 0,
            reason: "is empty".to_owned(),
        }),
    }
}

/// How deep brackets stand in one another, in strings too.
fn nesting(text: &str) -> usize {
    let (mut depth, mut most) = (0_usize, 0);
    for byte in text.bytes() {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        most = most.max(depth);
    }
    most
}

fn of_ast(value: ast::Value<'_>) -> Result<Tree, Unreadable> {
    let plain = |range: &jsonc_parser::common::Range, value: Value| Tree {
        at: range.start..range.end,
        content: Content::Plain(value),
    };
    Ok(match value {
        ast::Value::StringLit(text) => Tree {
            at: text.range.start..text.range.end,
            content: Content::Text(Text {
                value: text.value.into_owned(),
                is_block: false,
            }),
        },
        ast::Value::NumberLit(number) => {
            let value = serde_json::from_str(number.value).unwrap_or_default();
            plain(&number.range, value)
        }
        ast::Value::BooleanLit(boolean) => plain(&boolean.range, boolean.value.into()),
        ast::Value::NullKeyword(null) => plain(&null.range, Value::Null),
        ast::Value::Object(object) => {
            let mut members: Vec<Member> = Vec::new();
            let mut names = HashSet::new();
            for property in object.properties {
                let name_at = match &property.name {
                    ast::ObjectPropName::String(name) => name.range,
                    ast::ObjectPropName::Word(name) => name.range,
                };
                let name = property.name.into_string();
                if !names.insert(name.clone()) {
                    return Err(Unreadable {
                        at: name_at.start,
                        reason: format!("the name {name:?} is there twice"),
                    });
                }
                members.push(Member {
                    name,
                    name_at: name_at.start..name_at.end,
                    tree: of_ast(property.value)?,
                });
            }
            Tree {
                at: object.range.start..object.range.end,
                content: Content::Object(members),
            }
        }
        ast::Value::Array(array) => {
            let items: Result<_, _> = array.elements.into_iter().map(of_ast).collect();
            Tree {
                at: array.range.start..array.range.end,
                content: Content::List(items?),
            }
        }
    })
}

/// The documents of a YAML text: the core schema of YAML 1.2, with anchors and merge keys.
pub fn of_yaml(text: &str) -> Result<Vec<Tree>, Unreadable> {
    let offsets = text.char_indices().map(|(at, _)| at).collect();
    let mut reader = Reader {
        parser: Parser::new_from_str(text),
        anchors: HashMap::new(),
        offsets,
        end: text.len(),
        left: MOST_VALUES,
    };
    let mut trees = Vec::new();
    loop {
        match reader.next()? {
            (Event::StreamEnd, _) => return Ok(trees),
            (Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd, _) => {
                reader.anchors.clear();
            }
            (first, span) => trees.push(reader.value(first, span, 0)?),
        }
    }
}

struct Reader<'t> {
    parser: Parser<'t, saphyr_parser::StrInput<'t>>,
    anchors: HashMap<usize, Tree>,
    /// The bytes at which characters begin.
    offsets: Vec<usize>,
    end: usize,
    /// How many more values may be read, those of aliases again.
    left: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), Unreadable> {
        match self.parser.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => {
                let at = self.offset(error.marker());
                Err(self.unreadable(at, format!("is not YAML: {}", error.info())))
            }
            None => Err(self.unreadable(self.end, "ends too soon".to_owned())),
        }
    }

    fn offset(&self, marker: &Marker) -> usize {
        let offset = self.offsets.get(marker.index()).copied();
        offset.unwrap_or(self.end)
    }

    fn range(&self, span: Span) -> Range<usize> {
        self.offset(&span.start)..self.offset(&span.end)
    }

    fn unreadable(&self, at: usize, reason: String) -> Unreadable {
        Unreadable { at, reason }
    }

    fn count(&mut self, at: usize, more: usize) -> Result<(), Unreadable> {
        match self.left.checked_sub(more) {
            Some(left) => self.left = left,
            None => {
                let reason = format!("has more than {MOST_VALUES} values");
                return Err(self.unreadable(at, reason));
            }
        }
        Ok(())
    }

    fn value(&mut self, event: Event<'t>, span: Span, depth: usize) -> Result<Tree, Unreadable> {
        let at = self.range(span);
        self.count(at.start, 1)?;
        if depth > DEEPEST {
            let reason = format!("has values more than {DEEPEST} deep in one another");
            return Err(self.unreadable(at.start, reason));
        }
        let (anchor, tree) = match event {
            Event::Scalar(text, ScalarStyle::Plain, anchor, None) => {
                let content = plain(&text);
                (anchor, Tree { at, content })
            }
            Event::Scalar(value, style, anchor, _) => {
                let text = Text {
                    value: value.into_owned(),
                    is_block: style == ScalarStyle::Literal,
                };
                let content = Content::Text(text);
                (anchor, Tree { at, content })
            }
            Event::Alias(anchor) => {
                let Some(known) = self.anchors.get(&anchor).cloned() else {
                    return Err(self.unreadable(at.start, "is an alias of nothing".to_owned()));
                };
                self.count(at.start, size(&known))?;
                return Ok(known);
            }
            Event::SequenceStart(anchor, _) => (anchor, self.sequence(at.start, depth)?),
            Event::MappingStart(anchor, _) => (anchor, self.mapping(at.start, depth)?),
            _ => return Err(self.unreadable(at.start, "is not YAML".to_owned())),
        };
        if anchor > 0 {
            self.anchors.insert(anchor, tree.clone());
        }
        Ok(tree)
    }

    fn sequence(&mut self, start: usize, depth: usize) -> Result<Tree, Unreadable> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, span) => {
                    return Ok(Tree {
                        at: start..self.range(span).end,
                        content: Content::List(items),
                    });
                }
                (item, span) => items.push(self.value(item, span, depth + 1)?),
            }
        }
    }

    fn mapping(&mut self, start: usize, depth: usize) -> Result<Tree, Unreadable> {
        let mut members: Vec<Member> = Vec::new();
        let mut merged: Vec<Member> = Vec::new();
        loop {
            let (name, name_at) = match self.next()? {
                (Event::MappingEnd, span) => {
                    for member in merged {
                        if !members.iter().any(|own| own.name == member.name) {
                            members.push(member);
                        }
                    }
                    return Ok(Tree {
                        at: start..self.range(span).end,
                        content: Content::Object(members),
                    });
                }
                // A status such as 200 is a number in YAML and a name in JSON.
                (Event::Scalar(text, ..), span) => (text.into_owned(), self.range(span)),
                (_, span) => {
                    let at = self.range(span).start;
                    return Err(self.unreadable(at, "is a name that is no scalar".to_owned()));
                }
            };
            let (event, span) = self.next()?;
            let tree = self.value(event, span, depth + 1)?;
            match (name.as_str(), tree) {
                (
                    "<<",
                    Tree {
                        content: Content::Object(more),
                        ..
                    },
                ) => merged.extend(more),
                (_, tree) => {
                    if members.iter().any(|member| member.name == name) {
                        let reason = format!("the name {name:?} is there twice");
                        return Err(self.unreadable(name_at.start, reason));
                    }
                    members.push(Member {
                        name,
                        name_at,
                        tree,
                    });
                }
            }
        }
    }
}

/// How many values stand in a tree.
fn size(tree: &Tree) -> usize {
    let children = tree.children();
    children
        .into_iter()
        .fold(1, |sum: usize, child| sum.saturating_add(size(child)))
}

fn plain(text: &str) -> Content {
    let value = match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" => true.into(),
        "false" | "False" | "FALSE" => false.into(),
        _ => {
            let is_number = text.starts_with(|c: char| c.is_ascii_digit() || "+-.".contains(c));
            let whole = text.parse::<i64>().map(Number::from);
            let number = whole
                .ok()
                .or_else(|| Number::from_f64(text.parse().ok()?))
                .filter(|_| is_number);
            match number {
                Some(number) => Value::Number(number),
                None => {
                    return Content::Text(Text {
                        value: text.to_owned(),
                        is_block: false,
                    });
                }
            }
        }
    };
    Content::Plain(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn places_are_those_of_the_file() {
        let json = "{\n  \"a\": [1, {\"ü\": true}]\n}";
        let yaml = "# ü\na:\n- 1\n- ü: true\n";
        let value = json!({"a": [1, {"ü": true}]});
        let trees = [
            (json, of_json(json).unwrap()),
            (yaml, of_yaml(yaml).unwrap().remove(0)),
        ];
        for (text, tree) in trees {
            assert_eq!(tree.json(), value);
            let at = |pointer: &str| text.get(tree.locate(pointer)).unwrap().trim_matches('"');
            assert_eq!(at("/a"), "a");
            assert_eq!(at("/a/0"), "1");
            assert_eq!(at("/a/1/ü"), "ü");
            // What is not there is told of where it would be.
            assert_eq!(at("/a/7"), "a");
        }
    }

    #[test]
    fn what_cannot_be_read_is_told_with_its_place() {
        let fault = |text: &str| of_json(text).unwrap_err();
        assert_eq!(fault("{\"a\": 1,}").at, 7);
        assert!(fault(&"[".repeat(101)).reason.contains("deep"));
        let fault = |text: &str| of_yaml(text).unwrap_err().reason;
        assert!(fault("a: 1\na: 2\n").contains("twice"));
        assert!(fault("a: [1").contains("not YAML"));
        assert!(fault("a: *b").contains("not YAML"));
        let deep = ["[".repeat(102), "]".repeat(102)].concat();
        assert!(fault(&deep).contains("deep"), "{}", fault(&deep));
        let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x]\n".to_owned();
        for (name, before) in ('b'..='h').zip('a'..='g') {
            let items = format!("*{before},").repeat(9);
            bomb += &format!("{name}: &{name} [{items}]\n");
        }
        assert!(fault(&bomb).contains("values"));
    }
}
