//! Reading an OpenAPI document: its paths, and what each operation asks for.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::forms::DeclaredForm;
use super::references::{MAX_DECLARATIONS, report_siblings};
use super::template::Template;
use crate::forms::FormType;
use portcullis_document::{Node, Problems};
use portcullis_exchange::media_type::MediaRange;
use portcullis_schema::{Dialect, Direction, Embedded, Handle, Metaschemas, Notes};
use portcullis_wire::json::Json;
use portcullis_wire::sort;

/// How many paths a document may have.
const MAX_PATHS: usize = 5000;

/// A document while it is read.
pub(super) struct Reader<'d, 'p> {
    pub(super) root: Node<'d>,
    /// The schemas of what clients send.
    pub(super) requests: Embedded<'d>,
    /// The schemas of what the service sends; none if nobody asks.
    pub(super) responses: Option<Embedded<'d>>,
    pub(super) notes: Notes,
    pub(super) dialect: Dialect,
    /// Whether it is asked who may call.
    pub(super) enforces_security: bool,
    /// How many declarations may still come.
    pub(super) left: usize,
    pub(super) problems: &'p mut Problems,
}

/// One path of a document.
pub(super) struct PathItem<'d> {
    pub(super) template: Template,
    pub(super) operations: Vec<DeclaredOperation<'d>>,
}

/// One operation, before its schemas are compiled.
pub(super) struct DeclaredOperation<'d> {
    pub(super) method: String,
    /// Its `operationId`.
    pub(super) id: Option<&'d str>,
    /// Its method and the template of its path, as in `GET /users/{id}`.
    pub(super) name: String,
    /// The template of its path, where the variables of that have other names.
    pub(super) template: Option<Template>,
    pub(super) parameters: Vec<DeclaredParameter<'d>>,
    pub(super) body: Option<DeclaredBody<'d>>,
    /// Its own security requirements, if it has any.
    pub(super) security: Option<Node<'d>>,
    pub(super) responses: Vec<DeclaredResponse>,
    /// Whether clients are to leave it.
    pub(super) deprecated: bool,
}

/// A parameter, or a field of a form. `node` is where it is declared.
pub(super) struct DeclaredParameter<'d> {
    pub(super) node: Node<'d>,
    /// Where its style is, if not there.
    pub(super) encoding: Option<Node<'d>>,
    pub(super) name: &'d str,
    pub(super) place: &'d str,
    pub(super) schema: Option<Handle>,
    pub(super) is_json: bool,
}

impl<'d> DeclaredParameter<'d> {
    /// What tells it from others: names of header fields have no case.
    fn identity(&self) -> (Cow<'d, str>, &'d str) {
        let name = match self.place {
            "header" => Cow::Owned(self.name.to_ascii_lowercase()),
            _ => Cow::Borrowed(self.name),
        };
        (name, self.place)
    }

    /// Whether it is the one of that name there.
    pub(super) fn is_for(&self, name: &str, place: &str) -> bool {
        let is_named = match place {
            "header" => self.name.eq_ignore_ascii_case(name),
            _ => self.name == name,
        };
        self.place == place && is_named
    }
}

/// A request body: its media types, each with a schema if it can be judged by one.
pub(super) struct DeclaredBody<'d> {
    pub(super) required: bool,
    pub(super) content: Vec<(MediaRange, Option<Handle>)>,
    /// What is known of media types that are forms.
    pub(super) forms: Vec<DeclaredForm<'d>>,
}

/// Answers with these statuses.
pub(super) struct DeclaredResponse {
    pub(super) statuses: (u16, u16),
    pub(super) content: Vec<(MediaRange, Option<Handle>)>,
}

const NOT_ENFORCED: &str =
    "who may call is not enforced; say `security` in the block, or `jwt` on the route";

pub(super) const METHODS: [&str; 8] = [
    "get", "put", "post", "delete", "options", "head", "patch", "trace",
];

impl<'d, 'p> Reader<'d, 'p> {
    /// Begins to read a document. `None` if it is of no version that is known.
    pub(super) fn new(
        root: &Node<'d>,
        judges_responses: bool,
        metaschemas: &'d Metaschemas,
        problems: &'p mut Problems,
    ) -> Option<Self> {
        let dialect = match root.member("openapi").map(|node| node.json()) {
            Some(Json::String(version)) if version.starts_with("3.0.") => Dialect::OpenApi30,
            Some(Json::String(version)) if version.starts_with("3.1.") => Dialect::OpenApi31,
            _ => {
                root.report(problems, "must be an OpenAPI document of version 3.0 or 3.1, with its version in `openapi`");
                return None;
            }
        };
        let schemas = |sender| Embedded::new(root, dialect, sender, metaschemas);
        Some(Self {
            root: root.clone(),
            requests: schemas(Direction::Request),
            responses: judges_responses.then(|| schemas(Direction::Response)),
            notes: Notes::default(),
            dialect,
            enforces_security: false,
            left: MAX_DECLARATIONS,
            problems,
        })
    }

    /// The security schemes, by name.
    pub(super) fn security_schemes(&mut self) -> Vec<(&'d str, Node<'d>)> {
        let components = self.root.member("components");
        let schemes = components.and_then(|node| node.member("securitySchemes"));
        let entries = schemes.and_then(|node| node.members(self.problems));
        let entries = entries.unwrap_or_default().into_iter();
        let found = entries.filter_map(|(name, node)| Some((name, self.resolve(&node)?)));
        found.collect()
    }

    /// The parameters that hold the keys of clients.
    pub(super) fn keys(&mut self) -> Vec<DeclaredParameter<'d>> {
        let mut keys = Vec::new();
        for (_, node) in self.security_schemes() {
            let text = |name| node.member(name).and_then(|node| node.json().as_str());
            if let (Some("apiKey"), Some(name), Some(place @ ("query" | "header"))) =
                (text("type"), text("name"), text("in"))
                // Several schemes may stand in one place: it is one field all the same.
                && !keys.iter().any(|key: &DeclaredParameter<'d>| key.is_for(name, place))
            {
                keys.push(DeclaredParameter {
                    node,
                    encoding: None,
                    name,
                    place,
                    schema: None,
                    is_json: false,
                });
            }
        }
        keys
    }

    /// A schema that asks nothing.
    pub(super) fn anything(&mut self) -> Handle {
        static ANYTHING: Json = Json::Bool(true);
        let place = self.root.pointer().clone();
        self.requests.schema(&Node::at(&ANYTHING, place))
    }

    /// Reads all paths, in the order in which they are asked.
    pub(super) fn paths(&mut self) -> Vec<PathItem<'d>> {
        self.note_security(&self.root.clone());
        if let Some(node) = self.root.member("webhooks") {
            self.notes
                .add("webhooks are requests of the service, not to it", &node);
        }
        let mut paths: Vec<PathItem<'d>> = Vec::new();
        let entries = match self.root.member("paths") {
            Some(node) => node.members(self.problems).unwrap_or_default(),
            None => Vec::new(),
        };
        if entries.len() > MAX_PATHS {
            let reason = format!("has more than {MAX_PATHS} paths");
            self.root.report(self.problems, reason);
            return Vec::new();
        }
        if entries.is_empty() {
            self.root.report(
                self.problems,
                "has no `paths`, so every request would be refused",
            );
        }
        // For each shape the place of its path, and where each of its methods is declared.
        let mut shapes: BTreeMap<String, (usize, BTreeMap<String, Node<'d>>)> = BTreeMap::new();
        for (path, node) in entries.iter().filter(|(path, _)| !path.starts_with("x-")) {
            let template = match Template::parse(path) {
                Ok(template) => template,
                Err(reason) => {
                    self.notes
                        .add(&format!("no request can have a path that {reason}"), node);
                    continue;
                }
            };
            let Some(item) = self.follow(node, report_siblings) else {
                continue;
            };
            // What is no object has no operations to read.
            if item.members(self.problems).is_none() {
                continue;
            }
            let mut operations = self.operations(&item, &template);
            let (at, methods) = shapes
                .entry(template.shape())
                .or_insert_with(|| (paths.len(), BTreeMap::new()));
            for operation in &operations {
                let known = methods.get(&operation.method);
                if let Some(known) = known {
                    let reason = format!(
                        "has {} for the same paths as {}; take one of the two out",
                        operation.method,
                        known.pointer()
                    );
                    node.report(self.problems, reason);
                }
                methods.insert(operation.method.clone(), node.clone());
            }
            match paths.get_mut(*at) {
                None => paths.push(PathItem {
                    template,
                    operations,
                }),
                // The names of variables are each entry's own.
                Some(known) => {
                    self.notes.add(
                        "two entries are for the same paths: they are taken as one, with the methods of both",
                        node,
                    );
                    for operation in &mut operations {
                        operation.template = Some(template.clone());
                    }
                    known.operations.extend(operations);
                }
            }
        }
        // Those of which none is before the other stay as they are written.
        let mut placed: Vec<_> = paths.into_iter().enumerate().collect();
        sort::sort(&mut placed, |(at, one), (other_at, other)| {
            let first = one.template.before(&other.template);
            first.then(at.cmp(other_at))
        });
        placed.into_iter().map(|(_, path)| path).collect()
    }

    /// Whether what stands for an operation can be read as one. What cannot would ask for nothing, and nobody
    /// would be asked who calls.
    fn is_operation(&mut self, node: &Node<'d>) -> bool {
        if node.members(self.problems).is_none() {
            return false;
        }
        match node.member("$ref") {
            None => true,
            Some(reference) => {
                reference.report(
                    self.problems,
                    "an operation has no `$ref` by OpenAPI, and servers may read it in two ways; write the operation out, or let its path have the `$ref`",
                );
                false
            }
        }
    }

    /// Whether an operation says that clients are to leave it.
    fn is_deprecated(&mut self, operation: &Node<'d>) -> bool {
        let node = operation.member("deprecated");
        node.and_then(|node| node.boolean(self.problems))
            .unwrap_or(false)
    }

    /// Notes requirements that nobody looks at.
    fn note_security(&mut self, of: &Node<'d>) {
        if let Some(node) = of.member("security").filter(|_| !self.enforces_security) {
            self.notes.add(NOT_ENFORCED, &node);
        }
    }

    fn operations(&mut self, item: &Node<'d>, template: &Template) -> Vec<DeclaredOperation<'d>> {
        if let Some(node) = item.member("servers") {
            self.notes.add(
                "servers are not looked at; say `hosts` and `base_path`",
                &node,
            );
        }
        let shared = self.parameters(item);
        let mut operations = Vec::new();
        for method in METHODS {
            let Some(node) = item.member(method) else {
                continue;
            };
            if !self.is_operation(&node) {
                continue;
            }
            self.note_security(&node);
            for (name, what) in [
                (
                    "servers",
                    "servers are not looked at; say `hosts` and `base_path`",
                ),
                (
                    "callbacks",
                    "callbacks are requests of the service, not to it",
                ),
            ] {
                if let Some(node) = node.member(name) {
                    self.notes.add(what, &node);
                }
            }
            let mut parameters = self.parameters(&node);
            let own = parameters.iter().map(DeclaredParameter::identity);
            let mut own = sort::set(own);
            for parameter in &shared {
                if own.insert(parameter.identity()) {
                    parameters.push(DeclaredParameter {
                        node: parameter.node.clone(),
                        encoding: None,
                        ..*parameter
                    });
                }
            }
            let variables = sort::set(template.names());
            for parameter in parameters.iter().filter(|each| each.place == "path") {
                if !variables.contains(parameter.name) {
                    parameter
                        .node
                        .report(self.problems, "is not in the template of the path");
                }
            }
            let body = node.member("requestBody").and_then(|node| self.body(&node));
            operations.push(DeclaredOperation {
                method: method.to_ascii_uppercase(),
                id: node
                    .member("operationId")
                    .and_then(|node| node.json().as_str()),
                name: format!("{} {template}", method.to_ascii_uppercase()),
                template: None,
                parameters,
                body,
                security: node.member("security"),
                responses: self.responses(&node),
                deprecated: self.is_deprecated(&node),
            });
        }
        operations
    }

    fn parameters(&mut self, node: &Node<'d>) -> Vec<DeclaredParameter<'d>> {
        let Some(list) = node.member("parameters") else {
            return Vec::new();
        };
        let items = list.items(self.problems).unwrap_or_default();
        let mut parameters: Vec<DeclaredParameter<'d>> = Vec::new();
        for item in &items {
            let Some(node) = self.resolve(item) else {
                continue;
            };
            let text = |name| node.member(name).and_then(|node| node.json().as_str());
            let (Some(name), Some(place)) = (text("name"), text("in")) else {
                node.report(self.problems, "must have `name` and `in`");
                continue;
            };
            // OpenAPI: such parameters are ignored.
            let ignored = ["accept", "content-type", "authorization"];
            let is_header = place == "header";
            if is_header && ignored.iter().any(|each| name.eq_ignore_ascii_case(each)) {
                continue;
            }
            if parameters.iter().any(|other| other.is_for(name, place)) {
                node.report(self.problems, "is declared twice");
            }
            let json = node.member("content").and_then(|content| {
                let media = content.members(self.problems)?;
                let [(_, media)] = media.as_slice() else {
                    content.report(self.problems, "must have one media type");
                    return None;
                };
                Some(media.member("schema"))
            });
            let is_json = json.is_some();
            let schema = match json {
                None => node.member("schema"),
                Some(schema) => schema,
            };
            let schema = schema.map(|schema| self.requests.schema(&schema));
            parameters.push(DeclaredParameter {
                node,
                encoding: None,
                name,
                place,
                schema,
                is_json,
            });
        }
        parameters
    }

    fn body(&mut self, node: &Node<'d>) -> Option<DeclaredBody<'d>> {
        let node = self.resolve(node)?;
        let required = node.member("required").map(|node| node.json()) == Some(&Json::Bool(true));
        let Some(content) = node.member("content") else {
            node.report(self.problems, "must have `content`");
            return None;
        };
        let mut declared: Vec<(MediaRange, Option<Handle>)> = Vec::new();
        let mut forms: Vec<DeclaredForm<'d>> = Vec::new();
        for (media_type, node) in content.members(self.problems)? {
            let Some(range) = MediaRange::declared(media_type) else {
                self.notes.add("no body can have such a media type", &node);
                continue;
            };
            let schema = node.member("schema");
            let mut handle = None;
            if range.has_json() {
                let schema = schema.as_ref();
                handle = schema.map(|schema| self.requests.schema(schema));
            }
            if let Some(form_type) = FormType::of(media_type) {
                forms.extend(self.form(&node, form_type));
            } else if let (Some(schema), false) = (&schema, range.is_json()) {
                self.notes.add(
                    "bodies that are neither JSON nor forms are judged by their size alone",
                    schema,
                );
            }
            declared.push((range, handle));
        }
        Some(DeclaredBody {
            required,
            content: declared,
            forms,
        })
    }

    /// Those with one status come first, then those with a class of them, then the rest.
    fn responses(&mut self, operation: &Node<'d>) -> Vec<DeclaredResponse> {
        if self.responses.is_none() {
            return Vec::new();
        }
        let entries = operation.member("responses");
        let entries = entries
            .and_then(|node| node.members(self.problems))
            .unwrap_or_default();
        let mut answers: Vec<DeclaredResponse> = Vec::new();
        for (status, node) in &entries {
            let statuses = match (status.parse::<u16>(), status.as_bytes()) {
                (Ok(status @ 100..=599), [_, _, _]) => (status, status),
                (_, [class @ b'1'..=b'5', b'X', b'X']) => {
                    let first = u16::from(class.wrapping_sub(b'0')).saturating_mul(100);
                    (first, first.saturating_add(99))
                }
                (_, b"default") => (0, u16::MAX),
                _ => continue,
            };
            let content = self.resolve(node).and_then(|node| node.member("content"));
            let entries = content.and_then(|node| node.members(self.problems));
            let entries = entries.unwrap_or_default();
            let mut content = Vec::new();
            for (media_type, node) in &entries {
                let range = MediaRange::declared(media_type);
                let schema = node.member("schema").zip(self.responses.as_mut());
                if let Some(range) = range.filter(MediaRange::has_json) {
                    let schema = schema.map(|(schema, responses)| responses.schema(&schema));
                    // Where the type of an answer is none of these, what says least is asked.
                    let length = range.as_str().len();
                    let says_less = |(other, _): &(MediaRange, _)| other.as_str().len() <= length;
                    let at = content.partition_point(says_less);
                    content.insert(at, (range, schema));
                }
            }
            let width = |(first, last): (u16, u16)| last.saturating_sub(first);
            let before = |other: &DeclaredResponse| width(other.statuses) <= width(statuses);
            let at = answers.partition_point(before);
            answers.insert(at, DeclaredResponse { statuses, content });
        }
        answers
    }
}

/// Whether bodies of that type are judged as JSON.
pub(super) fn is_json(essence: &str) -> bool {
    let essence = essence.to_ascii_lowercase();
    essence == "application/json" || essence == "text/json" || essence.ends_with("+json")
}
