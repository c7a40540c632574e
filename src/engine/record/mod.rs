//! What became of an exchange, as values that know nothing of streams: all who count, record and
//! explain it stand above.

mod ending;
mod rollout;
pub(crate) mod security;
mod summary;
mod verdicts;

use portcullis_exchange::principal::Principal;
use portcullis_exchange::refusal::{Claimed, Detail, Reason};
use portcullis_exchange::rewrite::FoundInBody;
use portcullis_schema::Violation;

pub use self::ending::Ending;
pub use self::rollout::{DOCUMENT, ROUTE, RolloutState};
pub use self::summary::Summary;
pub use self::verdicts::{PolicyVerdict, Verdicts};

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
    /// What policies put in place of the response's body, or would have.
    pub redacted: Vec<Redaction>,
    /// What was in force, of what is for a share of requests.
    pub sampled: RolloutState,
    /// The place in the chain of the part that refused or answered the request: none was asked after it.
    pub(crate) ended_at: Option<usize>,
}

/// A refusal that was not carried out.
#[derive(Debug, PartialEq, Eq)]
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

/// What a policy put in place of the response's body, or would have.
#[derive(Debug, PartialEq, Eq)]
pub struct Redaction {
    /// The policy.
    pub policy: &'static str,
    /// Whether that has been done.
    pub is_enforced: bool,
    /// What it found.
    pub found: FoundInBody,
}

/// How many bytes of memory a list takes.
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

impl Decision {
    /// Forgets what was wrong in detail, but not what became of the exchange.
    pub(crate) fn forget(&mut self) {
        self.violations = Vec::new();
        self.detail = None;
        self.shadow = Vec::new();
        self.redacted = Vec::new();
    }

    /// Forgets what a client says of itself and nobody has accepted.
    pub(crate) fn forget_claimed(&mut self) {
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
        self.details().find_map(|detail| detail.claimed.as_deref())
    }

    /// How many bytes of memory it takes.
    pub(crate) fn memory(&self) -> usize {
        let shadow = self
            .shadow
            .capacity()
            .saturating_mul(size_of::<ShadowRefusal>());
        let lists = self.shadow.iter().map(|each| &each.violations);
        let lists = lists.chain([&self.violations]).map(violations);
        let details = self.details().map(Detail::memory);
        let redacted = self.redacted.iter().map(|each| each.found.memory());
        let all = lists.chain(details).chain([self.sampled.memory()]);
        let all = all.chain(redacted);
        all.fold(shadow, usize::saturating_add)
    }

    /// What a policy said that was asked.
    pub(crate) fn said_by(&self, policy: &str) -> PolicyVerdict {
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
