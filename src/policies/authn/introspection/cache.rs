//! What servers have said of tokens, for a while: so that each is not asked at every request.
//!
//! Tokens are found by keyed hashes and bounded by bytes, as verified ones are. Those that are accepted and
//! those that are not have parts of their own, so that a flood of the latter pushes out none of the former.

use std::rc::Rc;
use std::time::Duration;

use crate::authn::jwt::cache_limits::CacheLimits;
use crate::authn::jwt::claims::Times;
use crate::authn::jwt::store::{AROUND, TokenStore, Weighed};
use portcullis_exchange::exchange::Edit;
use portcullis_exchange::principal::Roles;
use portcullis_exchange::refusal::Refusal;
use portcullis_wire::json::compact::Compact;

/// What a server reports of a token that is accepted.
#[derive(Clone, Debug)]
pub(super) struct Reported {
    pub(super) claims: Compact,
    /// What its holder is, as those say.
    pub(super) roles: Roles,
    pub(super) times: Times,
    /// What tells the service and other filters of it.
    pub(super) edits: Rc<[Edit]>,
    /// Until when it is believed, on the clock that does not step.
    pub(super) until: Duration,
    /// In which state of the lists none of them revoked it, if it is known of one.
    pub(super) cleared: Option<u64>,
}

/// A token that is not accepted.
#[derive(Clone, Debug)]
pub(super) struct Rejected {
    pub(super) refusal: Rc<Refusal>,
    /// Until when that is believed, as above.
    pub(super) until: Duration,
}

/// What one server has said.
pub(super) struct AnswerCache {
    accepted: TokenStore<Reported>,
    rejected: TokenStore<Rejected>,
}

impl AnswerCache {
    pub(super) fn new(limits: CacheLimits) -> Self {
        Self {
            accepted: TokenStore::new(limits.of_accepted()),
            rejected: TokenStore::new(limits.of_refused()),
        }
    }

    /// What is remembered of an accepted token, and believed at that time.
    pub(super) fn accepted(&self, token: &[u8], now: Duration) -> Option<Reported> {
        let found = self.accepted.find(token)?;
        if now < found.until {
            return Some(found);
        }
        self.accepted.forget(token);
        None
    }

    /// The same of one that is not accepted.
    pub(super) fn rejected(&self, token: &[u8], now: Duration) -> Option<Rejected> {
        let found = self.rejected.find(token)?;
        if now < found.until {
            return Some(found);
        }
        self.rejected.forget(token);
        None
    }

    pub(super) fn accept(&self, token: &[u8], reported: Reported) {
        self.rejected.forget(token);
        self.accepted.remember(token, reported);
    }

    pub(super) fn reject(&self, token: &[u8], rejected: Rejected) {
        self.accepted.forget(token);
        self.rejected.remember(token, rejected);
    }

    /// Notes that the lists, in that state, revoke no such token.
    pub(super) fn clear_by(&self, token: &[u8], generation: Option<u64>) {
        self.accepted
            .change(token, |reported| reported.cleared = generation);
    }

    pub(super) fn forget(&self, token: &[u8]) {
        self.accepted.forget(token);
    }

    pub(super) fn forget_all(&self) {
        self.accepted.forget_all();
        self.rejected.forget_all();
    }

    /// Remembers little from then on.
    pub(super) fn release(&self) {
        self.accepted.release();
        self.rejected.release();
    }
}

impl Weighed for Reported {
    fn weight(&self) -> usize {
        let edits = self.edits.iter().map(|edit| {
            let kept = edit.value().map_or(0, |value| value.as_bytes().len());
            kept.saturating_add(size_of::<Edit>())
                .saturating_add(AROUND)
        });
        let held = self.claims.size().saturating_add(self.roles.memory());
        let parts = [held, AROUND, AROUND];
        parts
            .into_iter()
            .chain(edits)
            .fold(0, usize::saturating_add)
    }
}

impl Weighed for Rejected {
    fn weight(&self) -> usize {
        /// Around each piece of what is said for the log.
        const PIECES: usize = 12 * AROUND;
        let detail = self.refusal.detail.as_ref();
        let detail = detail.map_or(0, |detail| detail.memory().saturating_add(PIECES));
        size_of::<Refusal>().saturating_add(detail)
    }
}

#[cfg(test)]
mod tests {
    use super::super::refusals::INACTIVE;
    use super::*;
    use portcullis_wire::budget::{Share, used};

    const SECOND: Duration = Duration::from_secs(1);

    fn cache() -> AnswerCache {
        AnswerCache::new(CacheLimits {
            max_entries: 1000,
            max_token_bytes: 8192,
            max_bytes: 1 << 20,
        })
    }

    fn reported(until: Duration) -> Reported {
        Reported {
            claims: Compact::parse(b"{\"active\":true}", 2).unwrap(),
            roles: Roles::of(["reader"]).unwrap(),
            times: Times::default(),
            edits: Rc::from([]),
            until,
            cleared: None,
        }
    }

    fn rejected(until: Duration) -> Rejected {
        let refusal = Rc::new(Refusal::new(&INACTIVE));
        Rejected { refusal, until }
    }

    #[test]
    fn what_is_believed_ends() {
        let cache = cache();
        cache.accept(b"a", reported(SECOND * 2));
        assert!(cache.accepted(b"a", SECOND).is_some());
        assert!(cache.accepted(b"a", SECOND * 2).is_none());
        assert!(cache.accepted(b"a", SECOND).is_none(), "it is forgotten");
        cache.reject(b"b", rejected(SECOND));
        assert!(cache.rejected(b"b", Duration::ZERO).is_some());
        assert!(cache.rejected(b"b", SECOND).is_none());
        assert_eq!(used(Share::Caches), 0);
    }

    #[test]
    fn the_last_answer_counts() {
        let cache = cache();
        cache.reject(b"a", rejected(SECOND));
        cache.accept(b"a", reported(SECOND));
        assert!(cache.rejected(b"a", Duration::ZERO).is_none());
        cache.reject(b"a", rejected(SECOND));
        assert!(cache.accepted(b"a", Duration::ZERO).is_none());
    }

    #[test]
    fn tokens_that_are_tried_push_out_no_accepted_ones_and_stay_within_their_part() {
        let cache = cache();
        for number in 0..100 {
            cache.accept(format!("good {number}").as_bytes(), reported(SECOND));
        }
        let good = used(Share::Caches);
        for number in 0..10_000 {
            cache.reject(format!("bad {number}").as_bytes(), rejected(SECOND));
            assert!(used(Share::Caches) <= good + (1 << 20) / 16);
        }
        let is_there = |number| cache.accepted(format!("good {number}").as_bytes(), Duration::ZERO);
        assert!((0..100).all(|number| is_there(number).is_some()));
        cache.forget_all();
        assert_eq!(used(Share::Caches), 0);
    }
}
