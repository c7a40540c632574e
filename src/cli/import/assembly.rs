//! Documents put together: what routes have in common is said once, and what would not be valid refuses all.

use std::collections::BTreeSet;

use portcullis::engine::Engine;
use serde_json::{Map, Value, json};

use super::expression::{Action, Rule};

/// A document that is being made.
#[derive(Default)]
pub(super) struct Assembly {
    pub(super) providers: Map<String, Value>,
    pub(super) api_key_stores: Map<String, Value>,
    pub(super) rate_limits: Map<String, Value>,
    routes: Vec<Map<String, Value>>,
    names: BTreeSet<String>,
}

/// Blocks that may stand in `defaults`.
const SHARED: [&str; 7] = [
    "cors",
    "csrf",
    "access",
    "rate_limits",
    "payload",
    "request_headers",
    "response_headers",
];

impl Assembly {
    /// Adds a route with a name like this one.
    pub(super) fn route(&mut self, name: &str, matcher: Value, blocks: Map<String, Value>) {
        let name = self.name(name);
        let mut route = Map::new();
        route.insert("name".into(), name.into());
        route.insert("match".into(), matcher);
        route.extend(blocks);
        self.routes.push(route);
    }

    /// A name that no other route has.
    fn name(&mut self, wanted: &str) -> String {
        let wanted = usable_name(wanted);
        let mut name = wanted.clone();
        let mut number = 1;
        while !self.names.insert(name.clone()) {
            number += 1;
            name = format!("{wanted}-{number}");
        }
        name
    }

    /// The document, and what is wrong with routes that refuse all because of that.
    ///
    /// # Errors
    /// If there is no way to make it one.
    pub(super) fn document(mut self) -> Result<(Value, Vec<String>), String> {
        let mut refused = Vec::new();
        // Each time, at least one route becomes one that cannot be wrong.
        for _ in 0..=self.routes.len() {
            let document = self.with_shared();
            let problems = match Engine::compile(document.to_string().as_bytes()) {
                Ok(_) => return Ok((document, refused)),
                Err(error) => error.problems,
            };
            let mut is_mended = false;
            for problem in &problems {
                let place = problem.pointer.strip_prefix("/routes/");
                let place = place.and_then(|rest| rest.split('/').next()?.parse::<usize>().ok());
                let route = place.and_then(|place| self.routes.get_mut(place));
                let Some(route) = route else { continue };
                refused.push(format!(
                    "the route {} refuses all: {problem}",
                    route.get("name").unwrap_or(&Value::Null)
                ));
                let is_match = problem.pointer.contains("/match");
                route.retain(|name, _| name == "name" || name == "match");
                if is_match {
                    route.insert("match".into(), json!({}));
                }
                route.insert("deny".into(), true.into());
                is_mended = true;
            }
            if !is_mended {
                let told = problems.iter().map(ToString::to_string);
                return Err(told.collect::<Vec<_>>().join("; "));
            }
        }
        Err("no document could be made".to_owned())
    }

    fn unshared(&self) -> Value {
        self.top(Map::new(), self.routes.clone())
    }

    /// With blocks that all routes have in `defaults`.
    fn with_shared(&self) -> Value {
        let mut routes = self.routes.clone();
        let mut defaults = Map::new();
        for name in SHARED {
            let open = || routes.iter().filter(|route| !route.contains_key("deny"));
            let Some(first) = open().find_map(|route| route.get(name)).cloned() else {
                continue;
            };
            let many = open().count();
            if many < 2 || !open().all(|route| route.get(name) == Some(&first)) {
                continue;
            }
            for route in &mut routes {
                route.remove(name);
            }
            defaults.insert(name.to_owned(), first);
        }
        let document = self.top(defaults, routes);
        match Engine::compile(document.to_string().as_bytes()) {
            Ok(_) => document,
            Err(_) => self.unshared(),
        }
    }

    fn top(&self, defaults: Map<String, Value>, routes: Vec<Map<String, Value>>) -> Value {
        let text = json!([defaults, routes]).to_string();
        // What nobody names is left out.
        let used = |all: &Map<String, Value>| -> Map<String, Value> {
            let named = all
                .iter()
                .filter(|(name, _)| text.contains(&Value::from(name.as_str()).to_string()));
            named
                .map(|(name, value)| (name.clone(), value.clone()))
                .collect()
        };
        let mut document = Map::new();
        document.insert("version".into(), 1.into());
        for (name, all) in [
            ("providers", &self.providers),
            ("api_key_stores", &self.api_key_stores),
            ("rate_limits", &self.rate_limits),
        ] {
            let all = used(all);
            if !all.is_empty() {
                document.insert(name.into(), all.into());
            }
        }
        if !defaults.is_empty() {
            document.insert("defaults".into(), defaults.into());
        }
        document.insert("routes".into(), routes.into());
        document.into()
    }
}

/// A name that documents take: letters, digits and some punctuation.
pub(super) fn usable_name(wanted: &str) -> String {
    let plain = |c: char| match c {
        c if c.is_ascii_alphanumeric() || "-_.".contains(c) => c,
        _ => '-',
    };
    let name: String = wanted.chars().map(plain).take(48).collect();
    match name.trim_matches('-') {
        "" => "unnamed".to_owned(),
        name => name.to_owned(),
    }
}

/// Rules with names, for one block.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Access {
    rules: Vec<Value>,
    names: BTreeSet<String>,
    /// Whether something has to allow a request.
    pub(super) needs_allowance: bool,
    has_allowance: bool,
}

impl Access {
    /// Adds rules of one policy. `is_tried`: in shadow mode.
    pub(super) fn add(&mut self, name: &str, rules: &[Rule], action: Action, is_tried: bool) {
        let wanted = usable_name(name);
        for rule in rules {
            let mut name = wanted.clone();
            let mut number = 1;
            while !self.names.insert(name.clone()) {
                number += 1;
                name = format!("{wanted}-{number}");
            }
            let mut named = Map::new();
            named.insert("name".into(), name.into());
            named.extend(rule.json(action));
            if is_tried {
                named.insert("mode".into(), "shadow".into());
            } else if action == Action::Allow {
                self.has_allowance = true;
            }
            self.rules.push(named.into());
        }
    }

    /// The block; none if there is nothing to ask. An error: nobody can get through.
    pub(super) fn block(&self) -> Result<Option<Value>, ()> {
        if self.needs_allowance && !self.has_allowance {
            return Err(());
        }
        if self.rules.is_empty() {
            return Ok(None);
        }
        let mut block = Map::new();
        if !self.needs_allowance {
            // An allowance says nothing where all is allowed.
            let is_denial =
                |rule: &&Value| rule.get("action").is_some_and(|action| action == "deny");
            let denials: Vec<Value> = self.rules.iter().filter(is_denial).cloned().collect();
            if denials.is_empty() {
                return Ok(None);
            }
            block.insert("default".into(), "allow".into());
            block.insert("rules".into(), denials.into());
        } else {
            block.insert("rules".into(), self.rules.clone().into());
        }
        Ok(Some(block.into()))
    }
}
