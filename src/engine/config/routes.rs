//! The document's routes and their policy blocks.

use std::collections::BTreeSet;
use std::rc::Rc;

use super::document::Document;
use super::fields::Fields;
use super::node::Node;
use super::problem::{Problems, Quoted};
use super::size::{EACH, MOST_PLANS, PLAN, ROUTE};
use crate::engine::{Chain, Mode, Route, StagedRollout, Step};
use portcullis_exchange::body::Inspection;
use portcullis_exchange::policy::{
    ChainPart, Compile, Context, Placement, PolicyKind, Role, Stage,
};
use portcullis_exchange::refusal::BlockPlace;
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
        let guard = match &rollout {
            Some(_) if authenticated => Some(Mode::Shadow),
            _ => guard(authenticated, &chain.steps),
        };
        self.check_fit(guard, &chain, &at);
        self.check_operations(&chain, is_whole, &at);
        self.check_graphql(&chain, is_whole, &at);
        self.check_ends(&chain, &at);
        self.check_written(&chain, &at);
        let mut steps = chain.steps.iter();
        let placement = Placement {
            guard,
            names_caller_late: steps.any(|step| step.declared.names_caller_late),
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

    /// The block of that kind in `defaults`, if there is one: `Some(None)` when it is wrong.
    fn inherit(&mut self, kind: &PolicyKind) -> Option<Option<Block>> {
        let mut defaults = self.defaults.iter_mut();
        let found = defaults.find(|each| each.kind.name == kind.name)?;
        found.is_used = true;
        Some(found.block.clone())
    }

    fn context<'c>(&'c mut self, place: &'c str) -> Context<'c> {
        Context {
            document: self.root,
            sections: self.sections,
            inspection: *self.sections.get::<Inspection>(),
            template: self.template.clone(),
            is_matched: self.is_matched,
            versions: self.versions.clone(),
            place,
            problems: self.problems,
            notes: self.notes,
        }
    }

    /// The steps of a block that is written. One that makes none is a problem, whatever its reader has said:
    /// the route would go without it.
    fn read_written(
        &mut self,
        kind: &'static PolicyKind,
        block: &Node<'_>,
        place: &str,
    ) -> Option<Block> {
        let read = self.read_policy(kind, Some(block), place);
        // What it names may be wrong, and have been reported there.
        if read.is_none() && self.problems.count() == 0 {
            block.report(self.problems, "cannot be read");
        }
        read
    }

    /// The steps of a block, or the steps that there are without one.
    fn read_policy(
        &mut self,
        kind: &'static PolicyKind,
        block: Option<&Node<'_>>,
        place: &str,
    ) -> Option<Block> {
        let mut tried = None;
        let mut context = self.context(place);
        let mut always = Vec::new();
        let whole = Rollout::of(Mode::Enforce);
        let (rollout, parts) = match kind.compile {
            Compile::List(read) => (whole, read(block, &mut context)?),
            Compile::Everywhere { always, .. } if block.is_none() => {
                (whole, always(None, &mut context)?)
            }
            Compile::Flag(read) => match block?.boolean(context.problems)? {
                true => (whole, read(&mut context)),
                false => (whole, Vec::new()),
            },
            Compile::Object(read)
            | Compile::Shadowed(read)
            | Compile::Everywhere { object: read, .. } => {
                let usual = match kind.compile {
                    Compile::Shadowed(_) => Mode::Shadow,
                    _ => Mode::Enforce,
                };
                let mut fields = match kind.name {
                    "api_key" => block?.object(context.problems, "{\"store\": \"…\"}")?,
                    "concurrency" => block?.object(
                        context.problems,
                        "{\"key\": [\"client_address\"], \"max\": 10}",
                    )?,
                    "maintenance" => block?.object(context.problems, "{}")?,
                    "respond" => block?.object(context.problems, "{\"status\": 404}")?,
                    "introspection" => block?.object(context.problems, "{\"server\": \"…\"}")?,
                    "jwt" => block?.object(context.problems, "{\"provider\": \"…\"}")?,
                    _ => block?.fields(context.problems)?,
                };
                let rollout = Rollout::read(&mut fields, usual, context.problems);
                tried = fields.optional("shadow").filter(|node| !node.is_off());
                let parts = read(&mut fields, &mut context);
                fields.deny_unknown(context.problems);
                if let Compile::Everywhere { always: read, .. } = kind.compile {
                    always = read(block, &mut context)?;
                }
                (rollout?, parts?)
            }
        };
        let at = place_of(kind)?;
        let written = block.map(|block| self.block_place(block));
        if let (Some(block), Some(_), "error_pages") = (block, &rollout.partial, kind.name) {
            block.report(
                self.problems,
                "refuses nothing, so there is nothing to bring in for a share of requests; remove `percent`",
            );
            return None;
        }
        let (mode, staged) = match block {
            Some(block) => self.staged_policy(rollout, kind.name, block.pointer()),
            None => (rollout.mode, None),
        };
        let step = |mode: Mode, rollout: Option<&StagedRollout>, ChainPart { stage, policy }| {
            let declared = policy.declares();
            let mode = mode.over(declared.mode);
            Step {
                name: kind.name,
                kind: at,
                mode,
                rollout: rollout.filter(|_| mode == Mode::Enforce).cloned(),
                stage,
                policy,
                declared: Rc::new(declared),
                place: written.clone(),
            }
        };
        let always = always.into_iter();
        let always = always.map(|part| step(Mode::Enforce, None, part));
        let parts = parts.into_iter();
        let steps = always.chain(parts.map(|part| step(mode, staged.as_ref(), part)));
        let steps = steps.collect();
        let beside = match tried {
            None => Vec::new(),
            Some(node) => self.read_tried(kind, &node, place)?,
        };
        Some(Block { steps, beside })
    }

    /// The steps of a block that is tried beside the one in force.
    fn read_tried(
        &mut self,
        kind: &'static PolicyKind,
        node: &Node<'_>,
        place: &str,
    ) -> Option<Vec<Step>> {
        if node.is_off() {
            return Some(Vec::new());
        }
        let place = format!("{place}/shadow");
        let context = &mut self.context(&place);
        let (Compile::Object(read)
        | Compile::Shadowed(read)
        | Compile::Everywhere { object: read, .. }) = kind.compile
        else {
            let instead = match kind.compile {
                Compile::Flag(_) => {
                    "is for all or nothing: add `mode: \"shadow\"` to a route that has it"
                }
                _ => {
                    "is tried limit by limit: add one to the list of the route with `mode: \"shadow\"`"
                }
            };
            node.report(context.problems, instead);
            return None;
        };
        let mut fields = node.fields(context.problems)?;
        for name in ["mode", "shadow"] {
            if let Some(node) = fields.optional(name) {
                node.report(
                    context.problems,
                    "says nothing here: what is tried is in shadow mode, and nothing is tried beside it; take it out",
                );
            }
        }
        let parts = read(&mut fields, context);
        fields.deny_unknown(context.problems);
        let parts = parts?;
        if parts.iter().all(|part| part.stage == Stage::Response) {
            node.report(
                context.problems,
                format_args!(
                    "`{}` refuses nothing, so there is nothing to try",
                    kind.name
                ),
            );
            return None;
        }
        let at = place_of(kind)?.checked_add(policy::LIST.len())?;
        let written = self.block_place(node);
        let step = |ChainPart { stage, policy }| Step {
            name: policy::name(at),
            kind: at,
            mode: Mode::Shadow,
            rollout: None,
            stage,
            declared: Rc::new(policy.declares()),
            policy,
            place: Some(Rc::clone(&written)),
        };
        Some(parts.into_iter().map(step).collect())
    }

    /// Where a block stands, for the log.
    fn block_place(&mut self, block: &Node<'_>) -> Rc<BlockPlace> {
        let place = BlockPlace::of(block);
        self.problems
            .account(block.pointer(), Share::Documents, place.memory());
        Rc::new(place)
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

fn place_of(kind: &PolicyKind) -> Option<usize> {
    policy::LIST.iter().position(|each| each.name == kind.name)
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
