//! What of a document cases reach: its routes, its rules, its limits, and the codes with which it refuses.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use portcullis::policy::LIST;
use portcullis::record::PolicyVerdict;
use portcullis::stream::Stream;
use portcullis_cases::documents;
use portcullis_cases::place::{Position, Source};
use portcullis_cases::{Case, DocumentPlace};
use serde_json::Value;

use super::shown;

/// Where a pointer leads in the text of a file.
type Locate = Box<dyn Fn(&str, &str) -> usize>;

/// What cases have reached, by document.
#[derive(Default)]
pub(crate) struct Coverage {
    documents: BTreeMap<(PathBuf, String), Reached>,
}

/// What of one document was reached.
pub(crate) struct Reached {
    place: DocumentPlace,
    document: Value,
    routes: BTreeSet<usize>,
    /// Policies that refused, or would have in shadow mode, by route.
    refused: BTreeSet<(usize, &'static str)>,
    /// Places of what was not met.
    rules: BTreeSet<String>,
    codes: BTreeSet<(Option<&'static str>, &'static str)>,
}

/// What is covered of a document, and what is not.
pub(crate) struct Covered {
    pub(crate) file: String,
    /// How many routes, rules and limits it has, and how many of them are reached.
    pub(crate) all: usize,
    pub(crate) reached: usize,
    /// How many codes its policies may refuse with, and how many have.
    pub(crate) codes: usize,
    pub(crate) codes_reached: usize,
    pub(crate) missing: Vec<Missing>,
}

/// What no case reaches.
pub(crate) struct Missing {
    pub(crate) kind: Kind,
    pub(crate) pointer: String,
    pub(crate) at: Position,
    pub(crate) text: String,
}

/// Of what kind it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    Route,
    Rule,
    Limit,
    Code,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Route => "route",
            Self::Rule => "rule",
            Self::Limit => "limit",
            Self::Code => "code",
        }
    }
}

/// The share of routes, rules and limits that are reached, in percent.
pub(crate) fn share(all: &[Covered]) -> f64 {
    let many: usize = all.iter().map(|each| each.all).sum();
    let reached: usize = all.iter().map(|each| each.reached).sum();
    match many {
        0 => 100.0,
        many => 100.0 * reached as f64 / many as f64,
    }
}

impl Coverage {
    /// That of a case's document.
    pub(crate) fn of(&mut self, case: &Case) -> &mut Reached {
        let key = match &case.document_at {
            DocumentPlace::Here(pointer) => (case.path.clone(), (*pointer).to_owned()),
            DocumentPlace::File(file, number) => {
                let file = std::fs::canonicalize(file).unwrap_or_else(|_| file.clone());
                (file, format!("{number:?}"))
            }
        };
        let place = match &case.document_at {
            DocumentPlace::Here(_) => case.document_at.clone(),
            DocumentPlace::File(file, number) => DocumentPlace::File(plain(file), *number),
        };
        self.documents.entry(key).or_insert_with(|| Reached {
            place,
            document: serde_json::from_slice(&case.document).unwrap_or_default(),
            routes: BTreeSet::new(),
            refused: BTreeSet::new(),
            rules: BTreeSet::new(),
            codes: BTreeSet::new(),
        })
    }

    /// What came of it all.
    pub(crate) fn finish(&self) -> Vec<Covered> {
        let documents = self.documents.iter();
        documents
            .map(|((path, _), reached)| reached.covered(path))
            .collect()
    }
}

/// Without the folders that it leads back out of.
fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        let is_named = matches!(
            plain.components().next_back(),
            Some(std::path::Component::Normal(_))
        );
        match part {
            std::path::Component::ParentDir if is_named => {
                plain.pop();
            }
            part => plain.push(part),
        }
    }
    plain
}

impl Reached {
    /// Notes what an exchange reached.
    pub(crate) fn note(&mut self, stream: &Stream) {
        let outcome = stream.outcome();
        let decision = outcome.record;
        self.routes.extend(outcome.route);
        if let Some(reason) = decision.refusal {
            self.codes.insert((decision.refused_by, reason.code.name));
        }
        let mut details: Vec<_> = decision.detail.iter().collect();
        for shadow in &decision.shadow {
            self.codes.insert((shadow.policy, shadow.reason.code.name));
            details.extend(&shadow.detail);
        }
        let rules = details.into_iter().filter_map(|detail| detail.rule());
        self.rules.extend(rules.map(str::to_owned));
        let Some(route) = outcome.route else { return };
        let refused = stream.policy_verdicts().into_iter().filter(|(_, verdict)| {
            matches!(verdict, PolicyVerdict::Denied | PolicyVerdict::ShadowDenied)
        });
        self.refused
            .extend(refused.map(|(policy, _)| (route, policy)));
        // Those that shape responses are not among the verdicts of the request.
        if let Some(policy) = decision.refused_by {
            self.refused.insert((route, policy));
        }
    }

    /// Whether something below a place, or that itself, was not met.
    fn has(&self, pointer: &str) -> bool {
        let mut rules = self.rules.iter();
        rules.any(|rule| {
            let rest = rule.strip_prefix(pointer);
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        })
    }

    /// What there is, and whether it was reached.
    fn parts(&self) -> Vec<(Kind, String, String, bool)> {
        let mut parts = Vec::new();
        let empty = Vec::new();
        let routes = self.document.get("routes").and_then(Value::as_array);
        let routes = routes.unwrap_or(&empty);
        for (index, route) in routes.iter().enumerate() {
            let name = route
                .get("name")
                .and_then(Value::as_str)
                .unwrap_or_default();
            let pointer = format!("/routes/{index}");
            let text = format!("no request takes the route `{name}`");
            parts.push((
                Kind::Route,
                pointer.clone(),
                text,
                self.routes.contains(&index),
            ));
            self.blocks(&pointer, route, &mut parts, &|policy| {
                self.refused.contains(&(index, policy))
            });
        }
        if let Some(defaults) = self.document.get("defaults") {
            self.blocks("/defaults", defaults, &mut parts, &|policy| {
                let theirs = routes.iter().enumerate();
                let mut theirs = theirs.filter(|(_, route)| route.get(policy).is_none());
                theirs.any(|(index, _)| self.refused.contains(&(index, policy)))
            });
        }
        for (section, kind) in [("access_rules", Kind::Rule), ("rate_limits", Kind::Limit)] {
            let members = self.document.get(section).and_then(Value::as_object);
            for (name, rule) in members.into_iter().flatten() {
                let escaped = name.replace('~', "~0").replace('/', "~1");
                self.item(kind, format!("/{section}/{escaped}"), rule, &mut parts);
            }
        }
        parts
    }

    /// The blocks of policies that can refuse, and what stands in their lists.
    fn blocks(
        &self,
        at: &str,
        blocks: &Value,
        parts: &mut Vec<(Kind, String, String, bool)>,
        has_refused: &dyn Fn(&'static str) -> bool,
    ) {
        for policy in LIST.iter().filter(|policy| !policy.codes.is_empty()) {
            let Some(block) = blocks.get(policy.name) else {
                continue;
            };
            if block == "off" || block == &Value::Bool(false) {
                continue;
            }
            let pointer = format!("{at}/{}", policy.name);
            match (policy.name, block.as_array()) {
                ("rate_limits", Some(limits)) => {
                    for (index, limit) in limits.iter().enumerate() {
                        // One that is shared is a limit where it stands.
                        if limit.is_object() && limit.get("use").is_none() {
                            self.item(Kind::Limit, format!("{pointer}/{index}"), limit, parts);
                        }
                    }
                }
                _ => {
                    let is_reached = has_refused(policy.name) || self.has(&pointer);
                    let text = format!("`{}` refuses nothing here", policy.name);
                    parts.push((Kind::Rule, pointer.clone(), text, is_reached));
                    self.lists(&pointer, block, parts);
                }
            }
        }
    }

    /// Lists of rules in a block, at any depth.
    fn lists(&self, at: &str, block: &Value, parts: &mut Vec<(Kind, String, String, bool)>) {
        match block {
            Value::Object(members) => {
                // What is in schemas says which values there are, not who may do what.
                let members = members.iter().filter(|(name, _)| *name != "schema");
                for (name, value) in members {
                    let pointer = format!("{at}/{}", name.replace('~', "~0").replace('/', "~1"));
                    let items = value
                        .as_array()
                        .filter(|_| ["rules", "claims"].contains(&name.as_str()));
                    match items {
                        Some(items) => {
                            let objects = items.iter().enumerate();
                            let objects = objects.filter(|(_, item)| item.is_object());
                            for (index, item) in objects {
                                self.item(Kind::Rule, format!("{pointer}/{index}"), item, parts);
                            }
                        }
                        None => self.lists(&pointer, value, parts),
                    }
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    self.lists(&format!("{at}/{index}"), item, parts);
                }
            }
            _ => {}
        }
    }

    fn item(
        &self,
        kind: Kind,
        pointer: String,
        item: &Value,
        parts: &mut Vec<(Kind, String, String, bool)>,
    ) {
        // One that allows refuses nothing.
        if item.get("action").is_some_and(|action| action == "allow") {
            return;
        }
        let text = match kind {
            Kind::Limit => "no request is above this limit",
            _ => "no request is refused by this rule",
        };
        let is_reached = self.has(&pointer);
        parts.push((kind, pointer, text.to_owned(), is_reached));
    }

    fn covered(&self, case: &Path) -> Covered {
        let (file, source, locate) = self.text(case);
        let parts = self.parts();
        let at = |pointer: &str| source.position(locate(pointer, &source.text));
        let missing = parts.iter().filter(|(.., is_reached)| !is_reached);
        let mut missing: Vec<Missing> = missing
            .map(|(kind, pointer, text, _)| Missing {
                kind: *kind,
                at: at(pointer),
                pointer: pointer.clone(),
                text: text.clone(),
            })
            .collect();
        let (mut codes, mut codes_reached) = (0, 0);
        for policy in LIST {
            let Some(pointer) = self.first_block(policy.name) else {
                continue;
            };
            for code in policy.codes {
                codes += 1;
                if self.codes.contains(&(Some(policy.name), code.name)) {
                    codes_reached += 1;
                    continue;
                }
                missing.push(Missing {
                    kind: Kind::Code,
                    at: at(&pointer),
                    pointer: pointer.clone(),
                    text: format!("`{}` never refuses with {}", policy.name, code.name),
                });
            }
        }
        Covered {
            file,
            all: parts.len(),
            reached: parts.iter().filter(|(.., is_reached)| *is_reached).count(),
            codes,
            codes_reached,
            missing,
        }
    }

    /// Where a policy stands first.
    fn first_block(&self, policy: &str) -> Option<String> {
        let is_there = |blocks: &Value| {
            let block = blocks.get(policy);
            block.is_some_and(|block| block != "off" && block != &Value::Bool(false))
        };
        if self.document.get("defaults").is_some_and(is_there) {
            return Some(format!("/defaults/{policy}"));
        }
        let mut routes = self.document.get("routes")?.as_array()?.iter();
        let index = routes.position(is_there)?;
        Some(format!("/routes/{index}/{policy}"))
    }

    /// The file that the document stands in, and where pointers lead in it.
    fn text(&self, case: &Path) -> (String, Source, Locate) {
        match &self.place {
            DocumentPlace::File(path, number) => {
                let name = shown(path);
                match documents::one(path, *number) {
                    Ok((found, text)) => (
                        name.clone(),
                        Source { name, text },
                        Box::new(move |pointer, text| found.locate(pointer, text).start),
                    ),
                    // It was there when cases ran.
                    Err(_) => nowhere(name),
                }
            }
            DocumentPlace::Here(prefix) => {
                let name = shown(case);
                let text = std::fs::read_to_string(case).unwrap_or_default();
                let prefix = *prefix;
                match portcullis_cases::tree::of_json(&text) {
                    Ok(tree) => (
                        name.clone(),
                        Source { name, text },
                        Box::new(move |pointer, _| {
                            tree.locate(&format!("{prefix}{pointer}")).start
                        }),
                    ),
                    Err(_) => nowhere(name),
                }
            }
        }
    }
}

fn nowhere(name: String) -> (String, Source, Locate) {
    let source = Source {
        name: name.clone(),
        text: String::new(),
    };
    (name, source, Box::new(|_, _| 0))
}
