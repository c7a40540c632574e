//! What became of an exchange.

use super::Stream;
use crate::engine::{Lane, Step};
use portcullis_exchange::policy::Stage;
use portcullis_exchange::principal::Principal;
use portcullis_exchange::refusal::{Claimed, Detail, Reason};
use portcullis_policies as policy;
use portcullis_schema::Violation;

/// What became of an exchange, for the log.
#[derive(Debug, Default)]
pub struct Decision {
    /// The refusal that was carried out.
    pub refusal: Option<&'static Reason>,
    /// What a schema found wrong, if that is why.
    pub violations: Vec<Violation>,
    /// Which rule was not met, and in what way.
    pub detail: Option<Box<Detail>>,
    /// The policy that refused; none if it was the core.
    pub refused_by: Option<&'static str>,
    /// The policy that answered in place of the service without refusing.
    pub responded_by: Option<&'static str>,
    /// What policies in shadow mode would have refused.
    pub shadow: Vec<ShadowRefusal>,
    /// The place in the chain of the part that refused or answered the request: none was asked after it.
    pub(super) ended_at: Option<usize>,
}

/// A refusal that was not carried out.
#[derive(Debug)]
pub struct ShadowRefusal {
    /// The policy; none if it was the core.
    pub policy: Option<&'static str>,
    /// Whether that is only tried beside the one in force.
    pub is_tried: bool,
    /// Why.
    pub reason: &'static Reason,
    /// What a schema found wrong, if that is why.
    pub violations: Vec<Violation>,
    /// Which rule was not met, and in what way.
    pub detail: Option<Box<Detail>>,
}

fn violations(list: &Vec<Violation>) -> usize {
    let list_itself = list.capacity().saturating_mul(size_of::<Violation>());
    let texts = list.iter().map(|each| {
        let Violation {
            instance,
            keyword: _,
            schema,
        } = each;
        instance.capacity().saturating_add(schema.capacity())
    });
    texts.fold(list_itself, usize::saturating_add)
}

/// What a policy said of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PolicyVerdict {
    /// No objection.
    Allowed,
    /// It refused.
    Denied,
    /// It answered without refusing.
    Responded,
    /// It would have refused, but is in shadow mode.
    ShadowDenied,
    /// It waits for the body.
    Waiting,
}

impl PolicyVerdict {
    /// The word in the log.
    pub fn name(self) -> &'static str {
        match self {
            PolicyVerdict::Allowed => "allowed",
            PolicyVerdict::Denied => "denied",
            PolicyVerdict::Responded => "answered",
            PolicyVerdict::ShadowDenied => "shadow_denied",
            PolicyVerdict::Waiting => "waiting",
        }
    }
}

/// What each policy said, by its place as [`policy::name`] has it.
pub type Verdicts = [Option<PolicyVerdict>; policy::LIST.len() * 2];

impl Stream {
    /// What each policy of its route has said so far, in the order in which they were asked.
    pub fn policy_verdicts(&self) -> Vec<(&'static str, PolicyVerdict)> {
        let mut asked: Vec<(&'static str, PolicyVerdict)> = Vec::new();
        self.each_asked(
            |step, said| match asked.iter_mut().find(|(name, _)| *name == step.name) {
                Some(found) => found.1 = said,
                None => asked.push((step.name, said)),
            },
        );
        asked
    }

    /// The same, by policy.
    pub fn verdicts(&self) -> Verdicts {
        let mut verdicts = [None; policy::LIST.len() * 2];
        self.each_asked(|step, said| {
            if let Some(verdict) = verdicts.get_mut(step.kind) {
                *verdict = Some(said);
            }
        });
        verdicts
    }

    /// Names every part that was asked, with what its policy said as far as that part goes.
    fn each_asked(&self, mut each: impl FnMut(&Step, PolicyVerdict)) {
        let route = self.route.zip(self.engine.as_deref());
        let Some(route) = route.and_then(|(index, engine)| engine.routes.get(index)) else {
            return;
        };
        for (index, step) in route.chain.steps.iter().enumerate() {
            if step.stage == Stage::Response {
                break;
            }
            each(step, self.said(Lane::InForce, index, step));
            if self.decision.ended_at == Some(index) || self.paused_step() == Some(index) {
                break;
            }
        }
        let tried = route.chain.beside.iter().enumerate();
        let tried = tried.take(self.beside.asked());
        for (index, step) in tried.take_while(|(_, step)| step.stage != Stage::Response) {
            each(step, self.said(Lane::Beside, index, step));
        }
    }

    fn said(&self, lane: Lane, index: usize, step: &Step) -> PolicyVerdict {
        let mut awaiting = self.awaiting.iter();
        let waits = awaiting.any(|waiting| (waiting.lane, waiting.step) == (lane, index));
        let waits = waits || (lane == Lane::Beside && self.beside.has_given_up(index));
        let is_paused = lane == Lane::InForce && self.paused_step() == Some(index);
        let waits = waits || is_paused || self.skipped.contains(&(lane, index));
        match self.decision.said_by(step.name) {
            PolicyVerdict::Allowed if waits => PolicyVerdict::Waiting,
            said => said,
        }
    }
}

impl Decision {
    /// Forgets what was wrong in detail, but not what became of the exchange.
    pub(super) fn forget(&mut self) {
        self.violations = Vec::new();
        self.detail = None;
        self.shadow = Vec::new();
    }

    /// Forgets what a client says of itself and nobody has accepted.
    pub(super) fn forget_claimed(&mut self) {
        let shadow = self.shadow.iter_mut().map(|each| &mut each.detail);
        for detail in shadow.chain([&mut self.detail]).flatten() {
            detail.claimed = None;
        }
    }

    /// What is known of refusals, that which was carried out first. What is only tried tells nobody's
    /// identity.
    fn details(&self) -> impl Iterator<Item = &Detail> {
        let shadow = self.shadow.iter().filter(|each| !each.is_tried);
        let shadow = shadow.map(|each| &each.detail);
        let all = std::iter::once(&self.detail).chain(shadow);
        all.filter_map(|detail| detail.as_deref())
    }

    /// Whose token it was that was accepted and did not suffice.
    pub fn principal(&self) -> Option<&Principal> {
        self.details().find_map(|detail| detail.principal.as_ref())
    }

    /// What a token says that was not accepted.
    pub fn claimed(&self) -> Option<&Claimed> {
        self.details().find_map(|detail| detail.claimed.as_ref())
    }

    /// How many bytes of memory it takes.
    pub(super) fn memory(&self) -> usize {
        let shadow = self
            .shadow
            .capacity()
            .saturating_mul(size_of::<ShadowRefusal>());
        let lists = self.shadow.iter().map(|each| &each.violations);
        let lists = lists.chain([&self.violations]).map(violations);
        let details = self.details().map(Detail::memory);
        lists.chain(details).fold(shadow, usize::saturating_add)
    }

    /// What a policy said that was asked.
    pub(super) fn said_by(&self, policy: &str) -> PolicyVerdict {
        if self.refused_by == Some(policy) {
            PolicyVerdict::Denied
        } else if self.responded_by == Some(policy) {
            PolicyVerdict::Responded
        } else if self.shadow.iter().any(|each| each.policy == Some(policy)) {
            PolicyVerdict::ShadowDenied
        } else {
            PolicyVerdict::Allowed
        }
    }
}
