//! The steps of one block of a route.

use std::rc::Rc;

use super::super::document::Document;
use super::super::node::Node;
use super::Block;
use crate::engine::{Mode, StagedRollout, Step};
use portcullis_exchange::body::Inspection;
use portcullis_exchange::policy::{ChainPart, Compile, Context, PolicyKind, Stage};
use portcullis_exchange::refusal::BlockPlace;
use portcullis_exchange::rollout::Rollout;
use portcullis_policies as policy;
use portcullis_wire::budget::Share;

impl Document<'_> {
    /// The block of that kind in `defaults`, if there is one: `Some(None)` when it is wrong.
    pub(super) fn inherit(&mut self, kind: &PolicyKind) -> Option<Option<Block>> {
        let mut defaults = self.defaults.iter_mut();
        let found = defaults.find(|each| each.kind.name == kind.name)?;
        found.is_used = true;
        Some(found.block.clone())
    }

    pub(super) fn context<'c>(&'c mut self, place: &'c str) -> Context<'c> {
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
    pub(super) fn read_written(
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
    pub(super) fn read_policy(
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
    pub(super) fn read_tried(
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

fn place_of(kind: &PolicyKind) -> Option<usize> {
    policy::LIST.iter().position(|each| each.name == kind.name)
}
