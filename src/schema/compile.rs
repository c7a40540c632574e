//! From the text of schemas to what judges values.

use std::collections::{BTreeMap, VecDeque};

use super::check::{Body, Node, SchemaId, Set};
use super::cursor::SchemaCursor;
use super::dialect::Dialect;
use super::index::{Home, Index, address, is_schema};
use super::notes::Notes;
use super::rule::{Entry, Keywords, Meaning, Rule};
use super::uri::Uri;
use super::walk::Plan;
use portcullis_document::{Pointer, Problems, Quoted, nearest};
use portcullis_wire::budget::Share;
use portcullis_wire::json::{Json, Object};
use portcullis_wire::regex::Regex;
use portcullis_wire::sort;

/// The compiler of some documents that may refer to one another.
pub(super) struct Compiler<'d> {
    pub(super) index: Index<'d>,
    nodes: Vec<Option<Node>>,
    ids: BTreeMap<usize, SchemaId>,
    pending: VecDeque<Pending<'d>>,
    /// For each schema the schemas that judge the same value with it.
    pub(super) in_place: Vec<Vec<SchemaId>>,
    /// For each schema the schemas that it leads to.
    pub(super) children: Vec<Vec<SchemaId>>,
    /// Schemas that lead to whichever has the dynamic anchor of that name.
    pub(super) dynamic: Vec<(SchemaId, String)>,
    /// Those of the schema that is being compiled, each with its place.
    pub(super) patterns: Vec<(Pointer, Regex)>,
    /// The formats that nobody knows.
    pub(super) unknown_formats: Vec<Found>,
    /// The patterns that cannot be had, each with the reason.
    pub(super) unsupported: Vec<Found>,
    /// Members with this annotation need not be there.
    pub(super) not_required: Option<&'static str>,
    /// What is written in schemas and asks for nothing.
    pub(super) notes: Notes,
    pub(super) problems: Vec<(Pointer, String)>,
    /// What has been said of names that no dialect, or not that one, has for a keyword.
    unknown: BTreeMap<(&'d str, Dialect), Unknown>,
}

/// Something that stands in a schema.
pub(super) struct Found {
    id: SchemaId,
    pub(super) place: Pointer,
    pub(super) what: String,
}

/// What becomes of a keyword that is none.
#[derive(Clone)]
enum Unknown {
    Noted(String),
    Refused(String),
}

struct Pending<'d> {
    id: SchemaId,
    json: &'d Json,
    home: Home,
    keyword: &'static str,
}

impl<'d> Compiler<'d> {
    /// Knows these keywords, and no schema so far.
    pub(super) fn new(keywords: Keywords) -> Self {
        Self {
            index: Index::new(keywords),
            nodes: Vec::new(),
            ids: BTreeMap::new(),
            pending: VecDeque::new(),
            in_place: Vec::new(),
            children: Vec::new(),
            dynamic: Vec::new(),
            patterns: Vec::new(),
            unknown_formats: Vec::new(),
            unsupported: Vec::new(),
            not_required: None,
            notes: Notes::default(),
            problems: Vec::new(),
            unknown: BTreeMap::new(),
        }
    }

    /// Notes something that stands in a schema.
    pub(super) fn found(id: SchemaId, place: Pointer, what: impl ToString) -> Found {
        let what = what.to_string();
        Found { id, place, what }
    }

    /// The compiled form of a schema, which will be there when [`Self::finish`] is.
    pub(super) fn schema(
        &mut self,
        json: &'d Json,
        home: &Home,
        keyword: &'static str,
    ) -> SchemaId {
        if let Some(id) = self.ids.get(&address(json)) {
            return *id;
        }
        let id = SchemaId(self.nodes.len());
        self.nodes.push(None);
        self.in_place.push(Vec::new());
        self.children.push(Vec::new());
        self.ids.insert(address(json), id);
        if !is_schema(json) {
            let reason = format!(
                "must be a schema: an object, true or false, not {}",
                json.kind()
            );
            self.problems.push((home.place.clone(), reason));
        }
        let home = self.index.home(json, home);
        self.pending.push_back(Pending {
            id,
            json,
            home,
            keyword,
        });
        id
    }

    /// The schema at the root of a document that the index has.
    pub(super) fn root(&mut self, json: &'d Json, place: &Pointer) -> SchemaId {
        let home = Home {
            resource: 0,
            place: place.clone(),
        };
        self.schema(json, &home, "false")
    }

    /// Compiles everything that was asked for, and what that refers to. `None` if something is
    /// wrong; that has been reported then.
    pub(super) fn finish(&mut self, problems: &mut Problems) -> Option<Set> {
        self.compile_pending(problems);
        self.find_endless();
        let found = std::mem::take(&mut self.problems);
        let found = std::mem::take(&mut self.index.problems)
            .into_iter()
            .chain(found);
        let mut sound = true;
        for (place, reason) in found {
            problems.report(&place, reason);
            sound = false;
        }
        let resources = &self.index.resources;
        let anchors = resources.iter().map(|resource| {
            let anchors = resource.dynamic_anchors.iter();
            let anchors = anchors.filter_map(|(name, json)| {
                let id = self.ids.get(&address(json))?;
                Some(((*name).to_owned(), *id))
            });
            anchors.collect()
        });
        let anchors = anchors.collect();
        let nodes: Option<Vec<Node>> = std::mem::take(&mut self.nodes).into_iter().collect();
        let nodes = nodes.filter(|_| sound)?;
        Some(Set {
            plan: Plan::of(&nodes),
            nodes,
            anchors,
        })
    }

    /// Compiles every schema that the index has, whether or not something refers to it.
    pub(super) fn compile_all(&mut self, problems: &mut Problems) {
        self.compile_pending(problems);
        let mut next = 0;
        while let Some(json) = self.index.schemas.get(next).copied() {
            self.root(json, &Pointer::default());
            self.compile_pending(problems);
            next = next.saturating_add(1);
        }
    }

    /// Compiles what was asked for, as long as there is room for more.
    fn compile_pending(&mut self, problems: &mut Problems) {
        while !problems.is_full()
            && let Some(Pending {
                id,
                json,
                home,
                keyword,
            }) = self.pending.pop_front()
        {
            let body = match json {
                Json::Bool(false) => Body::Nothing(keyword),
                Json::Object(object) => self.body(id, object, &home),
                _ => Body::Anything,
            };
            problems.account(&home.place, Share::Documents, size(json, &body));
            for (place, pattern) in self.patterns.drain(..) {
                problems.account_pattern(&place, &pattern);
            }
            let node = Node {
                resource: home.resource,
                place: home.place,
                body,
            };
            if let Some(place) = self.nodes.get_mut(id.0) {
                *place = Some(node);
            }
        }
    }

    fn body(&mut self, id: SchemaId, object: &'d Object, home: &Home) -> Body {
        let dialect = self
            .index
            .resources
            .get(home.resource)
            .map_or(Dialect::Draft202012, |resource| resource.dialect);
        let keywords = self.index.keywords;
        let alone = dialect.reference_stands_alone() && object.member("$ref").is_some();
        let mut written = Vec::new();
        for (name, value) in object.iter() {
            self.vet(name, alone, dialect, &home.place);
            let place = keywords.0.iter().position(|entry| entry.name == name);
            written.extend(place.map(|place| (place, value)));
        }
        // In the order of the keywords, whatever that of the document.
        sort::sort(&mut written, |(one, _), (other, _)| one.cmp(other));
        let mut rules = Vec::new();
        let mut tracks = false;
        for (place, value) in written {
            let entry = keywords
                .0
                .get(place)
                .filter(|entry| entry.known_in(dialect));
            let Some((entry, Meaning::Rule(compile))) = entry.map(|entry| (entry, entry.meaning))
            else {
                continue;
            };
            if alone && entry.name != "$ref" {
                continue;
            }
            let keyword = compile(&mut SchemaCursor {
                compiler: self,
                object,
                name: entry.name,
                value,
                dialect,
                id,
                home,
            });
            tracks |= entry.name.starts_with("unevaluated");
            rules.extend(keyword.map(|keyword| Rule {
                name: entry.name,
                keyword,
            }));
        }
        if rules.is_empty() {
            Body::Anything
        } else {
            Body::Rules { rules, tracks }
        }
    }

    /// Reports a name that the dialect does not know, or takes no notice of.
    fn vet(&mut self, name: &'d str, alone: bool, dialect: Dialect, place: &Pointer) {
        let entry = self.index.keywords.named(name);
        let known = entry.filter(|entry| entry.known_in(dialect));
        match known {
            // RFC 6648 notwithstanding, this is how such documents mark what is their own.
            None if name.starts_with("x-") => {}
            None => match self.judge_unknown(name, dialect) {
                Unknown::Noted(reason) => self.notes.add_at(&reason, &place.member(name)),
                Unknown::Refused(reason) => self.object(place.member(name), reason),
            },
            Some(entry) if alone => {
                let harmless = matches!(
                    entry.name,
                    "$ref" | "$schema" | "$id" | "$comment" | "$defs" | "definitions"
                );
                if harmless || matches!(entry.meaning, Meaning::Annotation) {
                    return;
                }
                let reason = format!(
                    "{} takes no notice of what stands beside `$ref`; put both into `allOf`",
                    dialect.name()
                );
                self.notes.add_at(&reason, &place.member(name));
            }
            Some(_) => {}
        }
    }

    /// What becomes of a name that is no keyword: it could be one that is written wrong, and would
    /// ask for nothing then.
    fn judge_unknown(&mut self, name: &'d str, dialect: Dialect) -> Unknown {
        if let Some(judged) = self.unknown.get(&(name, dialect)) {
            return judged.clone();
        }
        let reason = format!("no keyword of {}", dialect.name());
        // To look for a near one takes time.
        if self.unknown.len() >= MAX_OBJECTIONS {
            return match dialect.is_openapi() {
                true => Unknown::Noted(reason),
                false => Unknown::Refused(format!("{reason}, and there are too many of that kind")),
            };
        }
        let keywords = self.index.keywords;
        let known = keywords.0.iter().filter(|each| each.known_in(dialect));
        let near = nearest(name, known.map(|each| each.name)).and_then(|near| keywords.named(near));
        let cure = match (replacement(keywords, name, dialect), near) {
            (Some(cure), _) => Some(format!("; {cure}")),
            (None, Some(near)) if dialect.is_openapi() || is_mistaken(name, near) => {
                Some(format!("; did you mean {}?", Quoted(near.name)))
            }
            _ => None,
        };
        let judged = match (cure, dialect.is_openapi()) {
            (Some(cure), true) => Unknown::Noted(format!("{reason}{cure}")),
            (Some(cure), false) => Unknown::Refused(format!("{reason}{cure}")),
            (None, true) => Unknown::Noted(reason),
            (None, false) => Unknown::Noted(format!("{reason}, so it asks for nothing")),
        };
        self.unknown.insert((name, dialect), judged.clone());
        judged
    }

    /// Notes a problem, as long as anybody reads more of them.
    fn object(&mut self, place: Pointer, reason: String) {
        if self.problems.len() <= MAX_OBJECTIONS {
            self.problems.push((place, reason));
        }
    }

    /// For each of these schemas, which of what has been found it leads to, or holds itself: all of
    /// the first, and of what is beyond these one thing at least.
    pub(super) fn leading_to(&self, found: &[Found], roots: &[SchemaId]) -> Vec<Vec<usize>> {
        let mut leads = vec![Vec::new(); roots.len()];
        if found.is_empty() {
            return leads;
        }
        let parents = self.parents();
        // Who has been reached, in which round.
        let mut reached = vec![0; self.children.len()];
        let mut open = VecDeque::new();
        for (index, each) in found.iter().enumerate() {
            let round = index.min(MOST_FOUND).saturating_add(1);
            let mut fresh = Vec::new();
            open.push_back(each.id);
            while let Some(id) = open.pop_front() {
                match reached.get_mut(id.0) {
                    Some(before) if *before != round => *before = round,
                    _ => continue,
                }
                fresh.push(id);
                open.extend(parents.get(id.0).into_iter().flatten());
            }
            sort::sort(&mut fresh, SchemaId::cmp);
            for (root, leads) in roots.iter().zip(&mut leads) {
                if fresh.binary_search(root).is_ok() {
                    leads.push(index);
                }
            }
        }
        leads
    }

    /// For each schema the schemas that lead to it.
    fn parents(&self) -> Vec<Vec<SchemaId>> {
        let mut parents: Vec<Vec<SchemaId>> = vec![Vec::new(); self.children.len()];
        let mut edge = |from: SchemaId, to: SchemaId| {
            if let Some(parents) = parents.get_mut(to.0) {
                parents.push(from);
            }
        };
        for (from, children) in self.children.iter().enumerate() {
            children.iter().for_each(|to| edge(SchemaId(from), *to));
        }
        for (from, name) in &self.dynamic {
            for resource in &self.index.resources {
                let anchor = resource.dynamic_anchors.get(name.as_str());
                let to = anchor.and_then(|json| self.ids.get(&address(json)));
                to.into_iter().for_each(|to| edge(*from, *to));
            }
        }
        parents
    }

    /// Schemas that lead back to themselves while they judge one and the same value never end.
    fn find_endless(&mut self) {
        #[derive(Clone, Copy, PartialEq)]
        enum State {
            New,
            Open,
            Done,
        }
        let mut states = vec![State::New; self.in_place.len()];
        let mut found = Vec::new();
        for start in 0..self.in_place.len() {
            let mut path = vec![(SchemaId(start), 0)];
            while let Some((id, next)) = path.pop() {
                let Some(state) = states.get_mut(id.0) else {
                    continue;
                };
                if *state == State::Done {
                    continue;
                }
                *state = State::Open;
                let target = self
                    .in_place
                    .get(id.0)
                    .and_then(|edges| edges.get(next))
                    .copied();
                let Some(target) = target else {
                    *state = State::Done;
                    continue;
                };
                path.push((id, next.saturating_add(1)));
                match states.get(target.0) {
                    Some(State::New) => path.push((target, 0)),
                    Some(State::Open) => found.push(target),
                    _ => {}
                }
            }
        }
        for id in found {
            if let Some(Some(node)) = self.nodes.get(id.0) {
                let reason =
                    "leads back to itself without going deeper into the value: it never ends";
                self.problems.push((node.place.clone(), reason.to_owned()));
            }
        }
    }
}

/// Of how many formats or patterns it is known for each schema whether it leads to them.
const MOST_FOUND: usize = 50;

/// How many unknown keywords are looked into, and how many problems with them are listed.
const MAX_OBJECTIONS: usize = 300;

/// What editors and code generators have beside the keywords, near to one of them.
const ELSEWHERE: &[&str] = &["tsType", "typeof"];

/// Whether a name is likely to be that keyword written wrong, and something is lost by it.
fn is_mistaken(name: &str, near: &Entry) -> bool {
    !matches!(near.meaning, Meaning::Annotation) && !ELSEWHERE.contains(&name)
}

/// What a compiled schema takes of memory, at most, apart from its patterns and from the schemas
/// under it.
fn size(json: &Json, body: &Body) -> usize {
    const NODE: usize = 1800;
    const RULE: usize = 160;
    let rules = match body {
        Body::Rules { rules, .. } => rules.len(),
        Body::Anything | Body::Nothing(_) => 0,
    };
    let members = json.as_object().map(Object::iter).into_iter().flatten();
    let under = members.map(|(name, value)| match (name, value) {
        ("enum" | "const" | "required" | "dependentRequired" | "dependencies", value) => {
            value.weight().saturating_mul(2)
        }
        (_, Json::Object(named)) => {
            let names = named
                .iter()
                .map(|(name, _)| name.len().saturating_mul(2).saturating_add(128));
            names.fold(0, usize::saturating_add)
        }
        (_, Json::Array(items)) => items.len().saturating_mul(16),
        (_, Json::Number(number)) => number.bytes_beside(),
        _ => 0,
    });
    let own = RULE.saturating_mul(rules).saturating_add(NODE);
    under.fold(own, usize::saturating_add)
}

/// What to write in place of a keyword of another dialect.
fn replacement(keywords: Keywords, name: &str, dialect: Dialect) -> Option<&'static str> {
    let new = matches!(dialect, Dialect::Draft202012 | Dialect::OpenApi31);
    Some(match name {
        "additionalItems" if new => "write `prefixItems` and `items`",
        "dependencies" if new => "write `dependentRequired` or `dependentSchemas`",
        "$recursiveRef" if new => "write `$dynamicRef`",
        "$recursiveAnchor" if new => "write `$dynamicAnchor`",
        "nullable" if new => "add \"null\" to `type`",
        "id" if dialect != Dialect::OpenApi30 => "write `$id`",
        _ if !new
            && keywords
                .named(name)
                .is_some_and(|entry| entry.known_in(Dialect::Draft202012)) =>
        {
            "it belongs to draft 2020-12"
        }
        _ => return None,
    })
}

/// The URI of a schema that has only a name: `schemas:///order`, so that `$ref: "item"` in it is
/// `schemas:///item`. A name that is a URI stands for itself. `None` if it is neither.
pub(super) fn uri_of(name: &str) -> Option<Uri> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
    if !name.is_empty() && name.bytes().all(plain) && !matches!(name, "." | "..") {
        return Some(Uri::parse(&format!("schemas:///{name}")));
    }
    let uri = Uri::parse(name);
    let usable = uri.is_absolute() && name.bytes().all(|byte| byte.is_ascii_graphic());
    usable.then(|| uri.without_fragment())
}

/// What is said of a name that is neither.
pub(super) fn misnamed(name: &str) -> String {
    format!(
        "{} is no name for a schema: letters, digits, \"-\", \".\" and \"_\", or a URI",
        Quoted(name)
    )
}
