//! Tokens that have been judged, so that a signature is checked once and not at every request.
//!
//! A token is found by a [fingerprint](super::fingerprint) of all its bytes, since its text would take more
//! memory than what is known of it. Only one that passed every check is kept among the accepted, and only one whose signature was checked among the refused. What changes with time is checked again at
//! every use. The cache belongs to one provider of one document in one VM and ends with it, and with its
//! keys.
//!
//! It is bounded by bytes: each entry weighs what it keeps, and is asked of the VM's budget. Refused tokens
//! are anybody's, so they have a small part of it, which is theirs alone: however many there are, they
//! push out no accepted ones.

use std::cell::Cell;
use std::rc::Rc;

use super::cache_limits::CacheLimits;
use super::checks::SigningKey;
use super::claims::Times;
use super::refused::Refused;
use super::store::{AROUND, TokenStore, Weighed};
use portcullis_exchange::exchange::Edit;
use portcullis_exchange::plan::AcceptedToken;

/// What is remembered of an accepted token.
#[derive(Clone, Debug)]
pub(super) struct Verified {
    /// Whose it is, and what tells the service and other filters of it: requests share it.
    pub(super) accepted: Rc<AcceptedToken>,
    pub(super) times: Times,
    /// With which kind of key its signature was checked.
    pub(super) signed_by: SigningKey,
    /// Whether its sender has to show something at every request.
    pub(super) is_bound: bool,
    /// In which state of the lists of what is revoked none of them had it.
    pub(super) cleared: Option<u64>,
    /// Which demands on plans it meets, a bit for each.
    pub(super) met: u64,
    /// What records say of it, once that has been noted.
    pub(super) words: Option<Rc<str>>,
}

/// Tokens of one provider that have been judged.
pub(super) struct TokenCache {
    accepted: TokenStore<Verified>,
    refused: TokenStore<Refused>,
    /// How many demands have a bit of [`Verified::met`].
    bits: Cell<u32>,
}

impl TokenCache {
    pub(super) fn new(limits: CacheLimits) -> Self {
        Self {
            accepted: TokenStore::new(limits.of_accepted()),
            refused: TokenStore::new(limits.of_refused()),
            bits: Cell::new(0),
        }
    }

    /// Forgets everything unless it was judged with these keys.
    pub(super) fn belong_to(&self, keys: u64) {
        self.accepted.belong_to(keys);
        self.refused.belong_to(keys);
    }

    /// Forgets everything, and remembers little from then on: another document has replaced this
    /// one, or one of the same name stands beside it, which cannot be told apart.
    pub(super) fn release(&self) {
        self.accepted.release();
        self.refused.release();
    }

    /// Forgets everything.
    pub(super) fn forget_all(&self) {
        self.accepted.forget_all();
        self.forget_refused();
    }

    /// Forgets every refused token.
    pub(super) fn forget_refused(&self) {
        self.refused.forget_all();
    }

    /// What is remembered of an accepted token.
    pub(super) fn find(&self, token: &[u8]) -> Option<Verified> {
        self.accepted.find(token)
    }

    /// The same, where not all of it is wanted. `look` is not to ask the cache.
    #[inline]
    pub(super) fn look_at<R>(&self, token: &[u8], look: impl FnOnce(&Verified) -> R) -> Option<R> {
        self.accepted.look_at(token, look)
    }

    /// Remembers a token that has passed every check.
    pub(super) fn remember(&self, token: &[u8], verified: Verified) {
        self.accepted.remember(token, verified);
    }

    /// What is remembered of a refused token.
    pub(super) fn find_refused(&self, token: &[u8]) -> Option<Refused> {
        self.refused.find(token)
    }

    /// Remembers a token that has not passed every check.
    pub(super) fn remember_refused(&self, token: &[u8], refused: Refused) {
        self.refused.remember(token, refused);
    }

    /// Changes what is remembered of a refused token that has just been found.
    pub(super) fn change_refused(&self, token: &[u8], change: impl FnOnce(&mut Refused)) {
        self.refused.change(token, change);
    }

    /// Forgets a refused token.
    pub(super) fn forget_one_refused(&self, token: &[u8]) {
        self.refused.forget(token);
    }

    /// A bit of [`Verified::met`] for one more demand; none if all are taken.
    pub(super) fn next_bit(&self) -> Option<u64> {
        let bit = 1_u64.checked_shl(self.bits.get())?;
        self.bits.set(self.bits.get().saturating_add(1));
        Some(bit)
    }

    /// Changes what is remembered of an accepted token that has just been found. Whether it is one.
    pub(super) fn change(&self, token: &[u8], change: impl FnOnce(&mut Verified)) -> bool {
        self.accepted.change(token, change)
    }

    /// Forgets an accepted token.
    pub(super) fn forget(&self, token: &[u8]) {
        self.accepted.forget(token);
    }

    /// How many accepted tokens are remembered.
    pub(super) fn len(&self) -> usize {
        self.accepted.len()
    }
}

impl Weighed for Verified {
    fn weight(&self) -> usize {
        let AcceptedToken { principal, edits } = &*self.accepted;
        let edits = edits.iter().map(|edit| {
            let kept = edit.value().map_or(0, |value| value.as_bytes().len());
            size_of::<Edit>()
                .saturating_add(kept)
                .saturating_add(AROUND)
        });
        let words = self.words.as_ref();
        let words = words.map_or(0, |words| words.len().saturating_add(AROUND));
        let shared = size_of::<AcceptedToken>();
        let parts = [principal.memory(), shared, AROUND, AROUND, AROUND, words];
        parts
            .into_iter()
            .chain(edits)
            .fold(0, usize::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::authn::jwt::checks::CheckedSignature;
    use crate::authn::jwt::token::TokenError;
    use portcullis_exchange::principal::{CredentialKind, Principal, Roles};
    use portcullis_wire::budget::{Share, reserve, used};
    use portcullis_wire::json::compact::Compact;

    fn verified() -> Verified {
        of_claims("{}")
    }

    fn of_claims(claims: &str) -> Verified {
        of_roles(claims, Roles::default())
    }

    fn of_roles(claims: &str, roles: Roles) -> Verified {
        let principal = Principal {
            kind: CredentialKind::Jwt,
            authority: Rc::from("corp"),
            attributes: Compact::parse(claims.as_bytes(), 8).unwrap(),
            roles,
        };
        let edits = Rc::from([]);
        Verified {
            accepted: Rc::new(AcceptedToken { principal, edits }),
            times: Times::default(),
            signed_by: SigningKey::Named,
            is_bound: false,
            cleared: None,
            met: 0,
            words: None,
        }
    }

    fn cache(max_entries: usize) -> TokenCache {
        TokenCache::new(CacheLimits {
            max_entries,
            max_token_bytes: 100,
            max_bytes: 1 << 20,
        })
    }

    #[test]
    fn a_flood_moves_no_bound() {
        let cache = cache(10);
        for number in 0..10_000 {
            cache.remember(format!("t{number}").as_bytes(), verified());
            assert!(cache.len() <= 10);
        }
        assert!(cache.find(b"t9999").is_some());
        assert!(cache.find(b"t0").is_none());
    }

    #[test]
    fn what_is_used_stays() {
        let cache = cache(10);
        cache.remember(b"used", verified());
        for number in 0..1000 {
            cache.remember(format!("t{number}").as_bytes(), verified());
            assert!(cache.find(b"used").is_some(), "after {number}");
        }
    }

    /// What a token gives is kept with it, and weighs.
    #[test]
    fn roles_are_remembered_and_weighed() {
        let cache = cache(10);
        cache.remember(b"a", verified());
        let without = used(Share::Caches);
        let long = "r".repeat(200);
        let roles = Roles::of(["admin", &long]).unwrap();
        cache.remember(b"a", of_roles("{}", roles.clone()));
        assert!(used(Share::Caches) >= without + 200);
        let found = cache.find(b"a").unwrap();
        assert_eq!(found.accepted.principal.roles, roles);
    }

    #[test]
    fn a_token_is_looked_up_whole() {
        let cache = cache(10);
        cache.remember(b"abcdef", verified());
        for other in [&b"abcde"[..], b"abcdefg", b"abcdeF", b""] {
            assert!(cache.find(other).is_none());
        }
        cache.forget(b"abcdef");
        assert!(cache.find(b"abcdef").is_none());
    }

    #[test]
    fn tokens_that_end_alike_are_told_apart() {
        let cache = cache(10);
        let token = |first: u8| [&[first][..], &[b'x'; 60]].concat();
        cache.remember(&token(b'a'), verified());
        assert!(cache.find(&token(b'a')).is_some());
        assert!(cache.find(&token(b'b')).is_none());
    }

    #[test]
    fn long_tokens_are_not_kept() {
        let cache = cache(10);
        cache.remember(&[b'a'; 101], verified());
        assert_eq!(cache.len(), 0);
    }

    #[test]
    fn large_claims_stay_within_its_bytes_and_go_with_it() {
        const MOST: usize = 4 << 20;
        let claims = format!(r#"{{"x":[{}]}}"#, vec![r#"{"":0}"#; 1150].join(","));
        let cache = TokenCache::new(CacheLimits {
            max_entries: 100_000,
            max_token_bytes: 16 << 10,
            max_bytes: MOST,
        });
        for number in 0..2000 {
            let token = format!("{number:013900}");
            cache.remember(token.as_bytes(), of_claims(&claims));
            assert!(used(Share::Caches) <= MOST);
            assert!(cache.find(token.as_bytes()).is_some());
        }
        assert!(cache.len() > 60, "{}", cache.len());
        cache.belong_to(7);
        assert_eq!((cache.len(), used(Share::Caches)), (0, 0));
    }

    #[test]
    fn a_token_too_large_for_half_of_it_is_not_kept() {
        let cache = TokenCache::new(CacheLimits {
            max_entries: 10,
            max_token_bytes: 100,
            max_bytes: 2000,
        });
        cache.remember(b"small", verified());
        let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(2000));
        cache.remember(b"large", of_claims(&long));
        assert_eq!(cache.len(), 1);
        assert!(cache.find(b"small").is_some());
    }

    #[test]
    fn without_memory_the_old_are_forgotten_and_then_nothing_is_kept() {
        let cache = cache(4);
        for token in [b"a", b"b", b"c"] {
            cache.remember(token, verified());
        }
        let left = Share::Caches.most() - used(Share::Caches);
        let others = reserve(Share::Caches, left).unwrap();
        cache.remember(b"d", verified());
        assert_eq!(cache.len(), 2, "the old made room");
        assert!(cache.find(b"d").is_some());
        let rest = reserve(Share::Caches, Share::Caches.most() - used(Share::Caches)).unwrap();
        cache.forget(b"c");
        let more = reserve(Share::Caches, Share::Caches.most() - used(Share::Caches)).unwrap();
        cache.remember(b"e", verified());
        assert!(cache.find(b"e").is_none());
        assert!(cache.find(b"d").is_some());
        drop((others, rest, more));
        cache.remember(b"e", verified());
        assert!(cache.find(b"e").is_some());
    }

    #[test]
    fn a_replaced_document_remembers_little() {
        let cache = cache(10);
        cache.remember(b"a", verified());
        cache.forget_all();
        assert_eq!((cache.len(), used(Share::Caches)), (0, 0));
        cache.remember(b"a", verified());
        assert_eq!(cache.len(), 1);
        cache.release();
        assert_eq!((cache.len(), used(Share::Caches)), (0, 0));
        cache.belong_to(1);
        for number in 0..100 {
            cache.remember(format!("t{number}").as_bytes(), verified());
            assert!(cache.len() <= 2, "after {number}");
        }
        assert!(cache.find(b"t99").is_some());
    }

    #[test]
    fn a_token_that_is_remembered_twice_weighs_once() {
        let cache = cache(10);
        cache.remember(b"a", verified());
        let once = used(Share::Caches);
        cache.remember(b"a", verified());
        assert_eq!(used(Share::Caches), once);
        cache.forget(b"a");
        assert_eq!(used(Share::Caches), 0);
    }

    fn refused() -> Refused {
        let signature = CheckedSignature {
            said: Err(TokenError::Signature),
            checks: 1,
        };
        Refused::unsigned(signature, &TokenError::Signature.into())
    }

    #[test]
    fn refused_tokens_push_out_no_accepted_ones_and_stay_within_their_part() {
        const MOST: usize = 1 << 20;
        let cache = TokenCache::new(CacheLimits {
            max_entries: 1000,
            max_token_bytes: 4096,
            max_bytes: MOST,
        });
        for number in 0..100 {
            cache.remember(format!("good {number}").as_bytes(), verified());
        }
        let good = used(Share::Caches);
        for number in 0..10_000 {
            let token = format!("{number:02000}");
            cache.remember_refused(token.as_bytes(), refused());
            assert!(cache.find_refused(token.as_bytes()).is_some());
            assert!(used(Share::Caches) <= good + MOST / 16);
        }
        assert_eq!(cache.len(), 100);
        assert!(
            cache
                .find_refused(format!("{:02000}", 0).as_bytes())
                .is_none()
        );
        assert!((0..100).all(|number| cache.find(format!("good {number}").as_bytes()).is_some()));
        cache.belong_to(1);
        assert!(
            cache
                .find_refused(format!("{:02000}", 9999).as_bytes())
                .is_none()
        );
        assert_eq!(used(Share::Caches), 0);
    }

    #[test]
    fn both_parts_together_take_no_more_than_all() {
        for max_bytes in [64 << 10, (4 << 20) + 15, 32 << 20] {
            let limits = CacheLimits {
                max_entries: 2,
                max_token_bytes: 2,
                max_bytes,
            };
            let (accepted, refused) = (limits.of_accepted(), limits.of_refused());
            assert_eq!(accepted.max_bytes + refused.max_bytes, max_bytes);
            assert_eq!((accepted.max_entries, refused.max_entries), (2, 2));
        }
    }
}
