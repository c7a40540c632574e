//! The document's routes and their policy blocks.

mod steps;

use std::collections::BTreeSet;
use std::rc::Rc;

use super::document::Document;
use super::fields::Fields;
use super::node::Node;
use super::problem::{Problems, Quoted};
use super::size::{EACH, MOST_PLANS, PLAN, ROUTE};
use crate::engine::{Chain, Mode, Route, Step};
use portcullis_exchange::policy::{Compile, Placement, PolicyKind, Role, Stage};
use portcullis_exchange::rollout::Rollout;
use portcullis_exchange::route;
use portcullis_exchange::route::RequestMatcher;
use portcullis_exchange::section::Section;
use portcullis_exchange::target::PathRules;
use portcullis_exchange::versions::VersionScheme;
use portcullis_policies as policy;
use portcullis_policies::versions::Versions;
use portcullis_wire::budget::Share;
use portcullis_wire::json::Json;

/// A block of `defaults`.
pub(super) struct Default {
    kind: &'static PolicyKind,
    /// None if something is wrong with it; that has been reported.
    block: Option<Block>,
    is_used: bool,
}

/// What a block asks, and what the one asks that is tried beside it.
#[derive(Clone)]
pub(super) struct Block {
    pub(super) steps: Vec<Step>,
    pub(super) beside: Vec<Step>,
}

impl Document<'_> {
    pub(super) fn read_defaults(&mut self, node: &Node<'_>) {
        let Some(mut fields) = node.fields(self.problems) else {
            return;
        };
        for kind in policy::LIST {
            let Some(block) = fields.optional(kind.name) else {
                continue;
            };
            if !block.is_off() {
                let block = self.read_written(kind, &block, "defaults");
                self.defaults.push(Default {
                    kind,
                    block,
                    is_used: false,
                });
            }
        }
        fields.deny_unknown(self.problems);
    }

    /// What requests get that no route is for: of the policies, those that shape answers.
    pub(super) fn fallback(&self) -> Chain {
        let blocks = self.defaults.iter().filter_map(|each| each.block.as_ref());
        let steps = blocks.flat_map(|block| block.steps.clone());
        Chain::new(steps.collect(), Vec::new())
    }

    /// Notes the defaults that no route has. Those that shape answers are for requests without a
    /// route too.
    pub(super) fn note_unused(&mut self) {
        for Default {
            kind,
            block,
            is_used,
        } in &self.defaults
        {
            let steps = block.iter().flat_map(|block| &block.steps);
            let shapes = |step: &Step| step.stage == Stage::Response || step.name == "rate_limits";
            if *is_used || steps.clone().any(shapes) {
                continue;
            }
            let open = match kind.role {
                Role::Authenticates | Role::Seals => ", or asks for no credentials",
                Role::Guards => "",
            };
            self.notes.push(format!(
                "/defaults/{0}: no route uses it: each has its own `{0}`, or says `off`{open}; remove it",
                kind.name
            ));
        }
    }

    pub(super) fn read_routes(&mut self, node: &Node<'_>) -> Option<Vec<Route>> {
        let items = node.items(self.problems)?;
        if items.is_empty() {
            node.report(
                self.problems,
                "must not be empty: a request that no route is for is refused",
            );
            return None;
        }
        let mut names: BTreeSet<&str> = BTreeSet::new();
        let mut routes = Vec::with_capacity(items.len());
        for item in &items {
            let Some(mut fields) = item.fields(self.problems) else {
                continue;
            };
            let name_node = fields.required("name", self.problems);
            let name = name_node
                .as_ref()
                .and_then(|node| node.non_empty(self.problems));
            if let (Some(name), Some(node)) = (name, &name_node)
                && !names.insert(name)
            {
                let reason =
                    format_args!("another route is named {} too", Quoted(name)).to_string();
                node.report(self.problems, reason);
            }
            let plan = if routes.len() < MOST_PLANS { PLAN } else { 0 };
            let size = item
                .json()
                .weight()
                .saturating_mul(EACH)
                .saturating_add(ROUTE)
                .saturating_add(plan);
            let fits = self
                .problems
                .account(item.pointer(), Share::Documents, size);
            if !fits || self.problems.is_full() {
                return None;
            }
            routes.push(self.read_route(name.unwrap_or_default(), fields));
        }
        routes.into_iter().collect()
    }

    fn read_route(&mut self, name: &str, mut fields: Fields<'_>) -> Option<Route> {
        let before = self.problems.count();
        let block = fields.required("match", self.problems);
        self.notes.extend(block.as_ref().and_then(route::notes));
        let letter_case = self.sections.get::<PathRules>().letter_case;
        let mut matcher =
            block.and_then(|node| RequestMatcher::read(&node, letter_case, self.problems));
        self.template = matcher.as_ref().and_then(RequestMatcher::template);
        self.is_matched = self.problems.count() == before;
        let denies = fields.optional("deny");
        let denies = denies.is_some_and(|node| matches!(node.json(), Json::Bool(true)));
        let usual = match denies {
            true => Access::Open,
            false => Access::Guarded,
        };
        let access = fields.or_default("open", usual, self.problems, Access::read);
        let rollout = Rollout::read(&mut fields, Mode::Enforce, self.problems);
        let place = format!("routes/{name}");
        let tried = fields.optional("shadow").filter(|node| !node.is_off());
        let mut tried = tried.and_then(|node| node.fields(self.problems));
        let mut chain = Block {
            steps: Vec::new(),
            beside: Vec::new(),
        };
        let (mut authenticated, mut is_whole) = (false, true);
        let mut asking: Vec<&'static str> = Vec::new();
        for kind in policy::LIST {
            let written = fields.optional(kind.name);
            let candidate = tried.as_mut().and_then(|tried| tried.optional(kind.name));
            let is_twice = written.as_ref().and_then(|block| block.member("shadow"));
            let authenticates = kind.role.asks_for_credentials();
            let open = access == Some(Access::Open) && authenticates;
            let is_there = match &written {
                Some(block) => !block.is_off(),
                None => self.defaults.iter().any(|each| each.kind.name == kind.name),
            };
            // An API may say it for its routes: the policy that names the API comes before.
            if can_go_without(kind) {
                self.versions = self.scheme(&chain);
            }
            let block = match written {
                Some(block) if block.is_off() && can_go_without(kind) => Some(Block {
                    steps: Vec::new(),
                    beside: Vec::new(),
                }),
                Some(block) if block.is_off() => self.read_policy(kind, None, &place),
                Some(block) if open => {
                    block.report(
                        self.problems,
                        "an open route asks for no credentials; remove this block, or `open`",
                    );
                    None
                }
                Some(block) => {
                    authenticated |= authenticates;
                    self.read_written(kind, &block, &place)
                }
                None if open => None,
                None => match self.inherit(kind) {
                    Some(block) => {
                        authenticated |= authenticates;
                        block
                    }
                    None => self.read_policy(kind, None, &place),
                },
            };
            is_whole &= block.is_some() || !is_there;
            let is_only = kind.role == Role::Authenticates;
            if is_only && block.as_ref().is_some_and(|block| !block.steps.is_empty()) {
                asking.push(kind.name);
            }
            let Block { steps, mut beside } = block.unwrap_or_else(|| Block {
                steps: Vec::new(),
                beside: Vec::new(),
            });
            if let Some(candidate) = candidate {
                match is_twice {
                    Some(_) => candidate.report(
                        self.problems,
                        "the block of the route has a `shadow` of its own; keep one of them",
                    ),
                    None => {
                        beside = self
                            .read_tried(kind, &candidate, &place)
                            .unwrap_or_default()
                    }
                }
            }
            chain.steps.extend(steps);
            chain.beside.extend(beside);
        }
        if let [first, second, ..] = asking[..] {
            let reason = format_args!(
                "asks for credentials twice, in `{first}` and in `{second}`, and there is to be one caller; write one `credentials` block with `any_of` or `all_of`, and `off` for a block of `defaults`"
            );
            self.problems.report(fields.pointer(), reason);
        }
        if access == Some(Access::Guarded) && !authenticated {
            let kinds = policy::LIST
                .iter()
                .filter(|kind| kind.role.asks_for_credentials());
            let mut names: Vec<&str> = kinds.map(|kind| kind.name).collect();
            let listed: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
            let listed = listed.join(" or ");
            names.push("open");
            fields.lacks(
                &names,
                self.problems,
                format_args!("asks for no credentials; add {listed}, or say `open: true`"),
            );
        }
        if let Some(tried) = tried {
            tried.deny_unknown(self.problems);
        }
        let at = fields.pointer().clone();
        fields.deny_unknown(self.problems);
        let scheme = self.scheme(&chain);
        // One that is wrong has been reported.
        if let Some(matcher) = &mut matcher
            && is_whole
            && !self.sections.is_wrong(&[Versions::NAME])
        {
            matcher.tell_versions(scheme.as_ref(), self.problems);
        }
        if access == Some(Access::Guarded) && !authenticated {
            return None;
        }
        let staged = rollout.map(|rollout| self.staged_route(rollout, name, &at));
        let (mode, rollout) = staged?;
        for step in &mut chain.steps {
            step.mode = mode.over(step.mode);
        }
        self.note_shares(rollout.as_ref(), &chain.steps, &at);
        let guard = match &rollout {
            Some(_) if authenticated => Some(Mode::Shadow),
            _ => guard(authenticated, &chain.steps),
        };
        self.check_fit(guard, &chain, &at);
        self.check_operations(&chain, is_whole, &at);
        self.check_graphql(&chain, is_whole, &at);
        self.check_ends(&chain, &at);
        self.check_written(&chain, &at);
        let has_versions = chain.steps.iter().any(|step| step.name == Versions::NAME);
        let judges = |step: &Step| step.name == Versions::NAME && step.is_always_enforced();
        if let (Some(matcher), Some(scheme)) = (&matcher, &scheme)
            && chain.steps.iter().any(judges)
        {
            self.check_versions(matcher, scheme, &at);
        }
        if scheme.is_some() && !has_versions {
            self.note_versions_off(matcher.as_ref(), &chain, &at);
        }
        let mut steps = chain.steps.iter();
        let placement = Placement {
            guard,
            names_caller_late: steps.any(|step| step.declared.names_caller_late),
            versions: scheme.as_ref().filter(|_| has_versions),
        };
        let steps = chain.steps.iter().chain(&chain.beside);
        for step in steps {
            step.policy.placed(placement);
            matcher.iter().for_each(|each| step.policy.meets(each));
        }
        access?;
        Some(Route {
            name: name.into(),
            matcher: matcher?,
            is_open: access == Some(Access::Open) && !denies,
            rollout,
            chain: Chain::new(chain.steps, chain.beside),
        })
    }

    /// How requests of a route name versions: as its API says, else as the document does.
    fn scheme(&self, chain: &Block) -> Option<Rc<VersionScheme>> {
        let mut steps = chain.steps.iter();
        let of_api = steps.find_map(|step| step.declared.versions.clone());
        let of_document = || {
            let versions = self.sections.find::<Versions>()?;
            Some(Rc::clone(&versions.0))
        };
        of_api.or_else(of_document)
    }
}

/// In which mode a route asks for credentials; none if it does not.
fn guard(authenticated: bool, steps: &[Step]) -> Option<Mode> {
    let authenticates = |step: &&Step| {
        let kind = policy::LIST.get(step.kind);
        kind.is_some_and(|kind| kind.role.asks_for_credentials())
    };
    let mut modes = steps.iter().filter(authenticates).map(|step| {
        // Where it is in force for some, of the others nobody need be known.
        match step.is_always_enforced() {
            true => Mode::Enforce,
            false => Mode::Shadow,
        }
    });
    // A block that is wrong leaves no steps, and has been reported.
    let only_shadow = modes.next() == Some(Mode::Shadow) && modes.all(|mode| mode == Mode::Shadow);
    match (authenticated, only_shadow) {
        (false, _) => None,
        (true, true) => Some(Mode::Shadow),
        (true, false) => Some(Mode::Enforce),
    }
}

/// Whether `off` on a route leaves nothing of a policy.
fn can_go_without(kind: &PolicyKind) -> bool {
    matches!(
        kind.compile,
        Compile::Everywhere {
            may_be_off: true,
            ..
        }
    )
}

/// Whether a route asks for credentials.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Guarded,
    Open,
}

impl Access {
    fn read(node: &Node<'_>, problems: &mut Problems) -> Option<Self> {
        Some(if node.boolean(problems)? {
            Access::Open
        } else {
            Access::Guarded
        })
    }
}

#[cfg(test)]
mod tests;
