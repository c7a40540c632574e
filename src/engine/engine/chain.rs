//! What is asked on a route: parts of policies in running order.

use std::fmt;
use std::rc::Rc;

use portcullis_exchange::enforcement::Mode;
use portcullis_exchange::exchange::{ApiOperations, ClaimedSubject};
use portcullis_exchange::policy::{Declaration, Policy, Stage, Verdict};
use portcullis_exchange::refusal::{BlockPlace, ErrorPage, Refusal};
use portcullis_policies as policy;
use portcullis_wire::preflight::Preflight;
use portcullis_wire::sort;

use super::staged::StagedRollout;

/// Parts of policies in running order.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    pub steps: Vec<Step>,
    /// Steps that are tried beside them, in running order: nothing comes of their verdicts.
    pub beside: Vec<Step>,
    /// Whether a step reads the header fields of responses.
    pub reads_response: bool,
    /// Whether a step is told that an exchange has ended.
    pub minds_end: bool,
    /// Whether one is told of every one, so that there is no plan.
    pub minds_every_end: bool,
    /// Whether a proxy in front says of connections that they are encrypted.
    pub trusts_forwarded_proto: bool,
    /// What browsers are to show.
    pub error_page: Option<Rc<ErrorPage>>,
    /// Who a request may say it comes from.
    pub claimants: Option<Rc<dyn ClaimedSubject>>,
    /// The operations of its API, if a step asks.
    pub operations: Option<Rc<dyn ApiOperations>>,
    /// The request's fields that are asked for after its head has been judged.
    pub later_request_fields: Vec<&'static str>,
    /// Fields that are asked for by what is tried alone.
    pub tried_request_fields: Vec<&'static str>,
}

/// In the order of their stages. Parts of one stage keep the order of the list of policies.
fn by_stage(steps: Vec<Step>) -> Vec<Step> {
    let mut ordered: Vec<Step> = Vec::with_capacity(steps.len());
    for step in steps {
        let at = ordered.partition_point(|each| each.stage <= step.stage);
        ordered.insert(at, step);
    }
    ordered
}

impl Chain {
    pub fn new(steps: Vec<Step>, beside: Vec<Step>) -> Self {
        let (steps, beside) = (by_stage(steps), by_stage(beside));
        let mut all = steps.iter().chain(&beside);
        let reads_response = all.any(|step| step.declared.reads_response);
        let declared = || steps.iter().map(|step| &step.declared);
        let minds_every_end = declared().any(|each| each.minds_end);
        let minds_end = minds_every_end || declared().any(|each| each.minds_end_if_asked);
        let trusts_forwarded_proto = declared().any(|each| each.trusts_forwarded_proto);
        let enforced = steps.iter().filter(|step| step.mode == Mode::Enforce);
        let mut pages = enforced.filter_map(|step| step.declared.error_page.as_ref());
        let error_page = pages.next().cloned();
        let claimants = declared().find_map(|each| each.claimants.clone());
        let mut all = steps.iter().chain(&beside);
        let asks_operations = all.any(|step| step.declared.asks_operations);
        let operations = declared().find_map(|each| each.operations.clone());
        let operations = operations.filter(|_| asks_operations);
        let page: &[&str] = match error_page {
            Some(_) => &["accept", "sec-fetch-mode"],
            None => &[],
        };
        let later_request_fields = later_request_fields(&steps, page);
        let mut tried_request_fields = self::later_request_fields(&beside, &[]);
        tried_request_fields.retain(|name| !later_request_fields.contains(name));
        Self {
            steps,
            beside,
            claimants,
            operations,
            reads_response,
            minds_end,
            minds_every_end,
            trusts_forwarded_proto,
            error_page,
            later_request_fields,
            tried_request_fields,
        }
    }

    /// The steps that are in force, or the steps that are tried.
    pub fn lane(&self, lane: Lane) -> &[Step] {
        match lane {
            Lane::InForce => &self.steps,
            Lane::Beside => &self.beside,
        }
    }

    /// Whether a browser may send what a preflight asks about; none if no policy says.
    pub(super) fn grants(&self, preflight: &Preflight<'_>, mode: Mode) -> Option<bool> {
        let enforced = self
            .steps
            .iter()
            .filter(|step| mode.over(step.mode) == Mode::Enforce);
        enforced
            .filter_map(|step| step.policy.grants(preflight))
            .reduce(|one, other| one && other)
    }
}

/// Which steps of a chain are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Those in force, be it in shadow mode.
    InForce,
    /// Steps that are tried beside them.
    Beside,
}

/// One part of a policy in a chain.
#[derive(Clone)]
pub struct Step {
    pub name: &'static str,
    /// The place of its policy, as [`portcullis_policies::name`] has it.
    pub kind: usize,
    pub mode: Mode,
    /// For which share of requests it is in force, if its mode says so and not for all.
    pub rollout: Option<StagedRollout>,
    pub stage: Stage,
    pub policy: Rc<dyn Policy>,
    /// What that says of itself.
    pub declared: Rc<Declaration>,
    /// Where its block stands, if there is one.
    pub place: Option<Rc<BlockPlace>>,
}

impl Step {
    /// Whether what it says is carried out for every request, unless the document or its route is not in force.
    pub fn is_always_enforced(&self) -> bool {
        self.mode == Mode::Enforce && self.rollout.is_none()
    }

    /// Whether it is to write nothing in that mode.
    pub fn only_looks(&self, mode: Mode) -> bool {
        mode == Mode::Shadow && self.declared.only_looks_in_shadow
    }

    /// The refusal, with the place of the rule that was not met.
    pub fn placed(&self, refusal: Refusal) -> Refusal {
        let Some(place) = &self.place else {
            return refusal;
        };
        // What is tried has the rules of its policy.
        let kind = policy::LIST.get(self.kind % policy::LIST.len());
        let field = kind.and_then(|kind| kind.field_of(&refusal));
        refusal.placed(place, field)
    }

    /// The verdict, with the place of the rule if it is a refusal.
    pub fn placed_in(&self, verdict: Verdict) -> Verdict {
        match verdict {
            Verdict::Refuse(refusal) => Verdict::Refuse(self.placed(refusal)),
            verdict => verdict,
        }
    }
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({:?})", self.name, self.mode)
    }
}

/// What steps of a chain read of a request later, and its page for browsers.
fn later_request_fields(steps: &[Step], page: &[&'static str]) -> Vec<&'static str> {
    let named = steps.iter().map(|step| step.declared.later_request_fields);
    let mut fields: Vec<&str> = named.chain([page]).flatten().copied().collect();
    sort::sort(&mut fields, Ord::cmp);
    fields.dedup();
    fields
}
