//! What is remembered of a token that was refused after its signature had been checked: enough to refuse it
//! again in the same words, and to charge it the same signature checks, without making one.
//!
//! INVARIANT: nothing is remembered that could turn out otherwise for the same token, the same keys and
//! the same document, but for the time. What depends on the time is judged again at every use; what depends
//! on anything else that passes is not kept: keys that are not there, a key that may be published
//! yet, a signature that nobody could check, checks that were spent on other providers.

use std::rc::Rc;
use std::time::Duration;

use super::checks::CheckedSignature;
use super::claims::{ClaimRules, ClaimsError, Times};
use super::objection::Objection;
use super::store::{AROUND, Weighed};
use portcullis_exchange::refusal::{Claimed, Detail, Refusal};

/// A token that was refused.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    pub(super) signature: CheckedSignature,
    /// Its times, if it was refused for them or for what is judged after them.
    times: Option<Times>,
    /// Why, if that does not change with time.
    refusal: Option<Rc<Refusal>>,
    /// What it says, once that has been noted for a record.
    claimed: Option<Rc<Claimed>>,
    /// What records say of that, once it has been noted.
    pub(super) words: Option<Rc<str>>,
}

impl Refused {
    /// For its signature: whatever the time.
    pub(super) fn unsigned(signature: CheckedSignature, refusal: &Refusal) -> Self {
        Self::new(signature, None, Some(refusal))
    }

    /// For its claims.
    pub(super) fn objected(
        signature: CheckedSignature,
        objection: &Objection,
        refusal: &Refusal,
    ) -> Self {
        let is_for_times = objection.error.is_of_time();
        let refusal = (!is_for_times).then_some(refusal);
        Self::new(signature, objection.times, refusal)
    }

    /// For what comes of its claims.
    pub(super) fn unusable(signature: CheckedSignature, times: Times, refusal: &Refusal) -> Self {
        Self::new(signature, Some(times), Some(refusal))
    }

    fn new(signature: CheckedSignature, times: Option<Times>, refusal: Option<&Refusal>) -> Self {
        Self {
            signature,
            times,
            refusal: refusal.cloned().map(Rc::new),
            claimed: None,
            words: None,
        }
    }

    /// Why it is refused at that time; none if it has to be judged anew.
    pub(super) fn refusal(&self, rules: &ClaimRules, now: Duration) -> Option<Refusal> {
        let untimely = self.times.map(|times| rules.check_times(times, now));
        let mut refusal = match (untimely, &self.refusal) {
            (Some(Err(objection)), _) => objection.into(),
            (_, Some(refusal)) => Refusal::clone(refusal),
            (_, None) => return None,
        };
        if self.claimed.is_some() {
            let detail = refusal.detail.get_or_insert_default();
            detail.claimed.clone_from(&self.claimed);
        }
        Some(refusal)
    }

    /// Keeps what it says, if it has been read as that of a token whose signature came to the same.
    pub(super) fn note_claimed(&mut self, claimed: &Rc<Claimed>) {
        if claimed.signed == self.signature.said.is_ok() {
            self.claimed = Some(Rc::clone(claimed));
        }
    }
}

impl ClaimsError {
    /// Whether another moment may have no such objection.
    fn is_of_time(self) -> bool {
        match self {
            ClaimsError::Expired
            | ClaimsError::Age
            | ClaimsError::NotYetValid
            | ClaimsError::IssuedInFuture => true,
            ClaimsError::Malformed
            | ClaimsError::Issuer
            | ClaimsError::Audience
            | ClaimsError::Subject
            | ClaimsError::Effort
            | ClaimsError::Lifetime
            | ClaimsError::Revoked => false,
        }
    }
}

impl Weighed for Refused {
    fn weight(&self) -> usize {
        let refusal = self.refusal.as_ref().map_or(0, |refusal| {
            let detail = refusal.detail.as_ref().map_or(0, |detail| memory(detail));
            size_of::<Refusal>().saturating_add(detail)
        });
        let words = self.words.as_ref().map_or(0, |words| words.len());
        let claimed = self.claimed.as_ref();
        let claimed = claimed.map_or(0, |claimed| claimed.memory().saturating_add(CLAIMED));
        let parts = [refusal, AROUND, words, AROUND, claimed, AROUND];
        parts.into_iter().fold(0, usize::saturating_add)
    }
}

/// Around what a token says: itself, and around each of its texts.
const CLAIMED: usize = size_of::<Claimed>() + AROUND * (5 + Claimed::AUDIENCES);

/// Each fact may be a piece of memory.
fn memory(detail: &Detail) -> usize {
    let pieces = detail.facts().len().saturating_add(3);
    detail
        .memory()
        .saturating_add(pieces.saturating_mul(AROUND))
}
