//! Whether a token is one that its provider has issued.

use std::rc::Rc;
use std::time::Duration;

use super::cache::{TokenCache, Verified};
use super::checks::{Allowance, CheckedSignature, Naming, SigningKey};
use super::claims::Times;
use super::provider::Provider;
use super::refusals::{ISSUER, ROLES, field_of_provider};
use super::refused::Refused;
use super::signature::SignatureResult;
use super::token::{MAX_DEPTH, Token, TokenError, Unverified, without_padding};
use crate::authn::presented::Unwritable;
use crate::authn::revocation::{Issued, Revocable, SignedBy};
use portcullis_exchange::exchange::Edit;
use portcullis_exchange::host::Host;
use portcullis_exchange::meter::{Event, Timing, micros};
use portcullis_exchange::plan::AcceptedToken;
use portcullis_exchange::principal::{CredentialKind, Principal};
use portcullis_exchange::refusal::{Claimed, Detail, Fact, Refusal};
use portcullis_wire::headers::HeaderValue;
use portcullis_wire::json::compact::{Compact, Value};

impl Provider {
    /// Whether a token claims to be of this provider. That is not to be believed, only to choose
    /// whose keys are tried; a token that cannot be read may be anybody's.
    pub(super) fn may_have_issued(&self, token: &Unverified<'_>) -> bool {
        // A token remembered from keys that are gone is verified again before it counts.
        let remembered = |cache: &TokenCache| cache.find(token.token()).is_some();
        self.cache.as_ref().is_some_and(remembered) || self.rules.may_be_issuer(token.claims())
    }

    /// A refusal; where the issuer is another one, and nearly one that is listed, it says which.
    pub(super) fn naming_issuer(&self, refusal: Refusal, claims: Option<&Compact>) -> Refusal {
        let is_issuer = *refusal.reason == ISSUER;
        match self.rules.near_issuer(claims).filter(|_| is_issuer) {
            Some(listed) => refusal.and("listed", Fact::trusted(listed)),
            None => refusal,
        }
    }

    /// The facts of a token that this provider signed and that is valid `now`, by the
    /// wall clock.
    pub(super) fn verify(
        &self,
        token: &[u8],
        now: Duration,
        allowance: &Allowance,
        host: &dyn Host,
    ) -> Result<Verified, Refusal> {
        let judged = self.judge(token, now, allowance, host);
        judged.map_err(|refusal| self.placed(refusal))
    }

    /// A refusal by one of its rules.
    pub(super) fn placed(&self, refusal: Refusal) -> Refusal {
        let field = field_of_provider(&refusal);
        refusal.placed(&self.place, field)
    }

    /// A refusal by the rule that stands in that field.
    pub(super) fn placed_in(&self, refusal: Refusal, field: &str) -> Refusal {
        refusal.placed(&self.place, Some(field))
    }

    fn judge(
        &self,
        token: &[u8],
        now: Duration,
        allowance: &Allowance,
        host: &dyn Host,
    ) -> Result<Verified, Refusal> {
        let cache = self.cache_in_force(host).ok_or(TokenError::NoKeys)?;
        if let Some(verified) = cache.and_then(|cache| cache.find(token)) {
            host.count(Event::TokenCacheHit.counter());
            let judged = self.rules.check_times(verified.times, now);
            if let (Err(_), Some(cache)) = (&judged, cache) {
                cache.forget(token);
            }
            judged?;
            return self.unless_revoked(token, verified, host);
        }
        if let Some(refusal) = cache.and_then(|cache| self.recall(cache, token, now, allowance)) {
            host.count(Event::TokenCacheHit.counter());
            return Err(refusal);
        }
        if self.cache.is_some() {
            host.count(Event::TokenCacheMiss.counter());
        }
        let began = host.monotonic();
        let verified = self.verify_anew(token, now, allowance, host);
        let took = host.monotonic().saturating_sub(began);
        host.observe(Timing::TokenVerification.histogram(), micros(took));
        let verified = verified.map_err(|Unaccepted { refusal, refused }| {
            if let (Some(cache), Some(refused)) = (&self.cache, refused) {
                cache.remember_refused(token, *refused);
            }
            refusal
        })?;
        if let Some(cache) = &self.cache {
            cache.remember(token, verified.clone());
        }
        self.unless_revoked(token, verified, host)
    }

    /// A token that has passed every other check, if no list revokes it. Lists change more often than keys, so
    /// tokens are remembered without regard to them, and with what was the last state of them that let
    /// the token pass: in another one they are asked again.
    fn unless_revoked(
        &self,
        token: &[u8],
        verified: Verified,
        host: &dyn Host,
    ) -> Result<Verified, Refusal> {
        if self.lists.is_empty() {
            return Ok(verified);
        }
        let generation = self.lists.generation(host);
        if generation.is_some() && verified.cleared == generation {
            return Ok(verified);
        }
        // Of a key without a name of its own, the token may say any.
        let is_named = verified.signed_by == SigningKey::Named;
        let key_id = match is_named && self.lists.name_signing_keys(host) {
            true => Token::parse(token, &self.form)?.header.key_id,
            false => None,
        };
        let claims = &verified.accepted.principal.attributes;
        let text = |name| claims.member(name).and_then(Value::as_str);
        let clients = ["client_id", "azp"];
        let is_odd = |name| claims.member(name).is_some() && text(name).is_none();
        let revocable = Revocable {
            token: text("jti"),
            subject: text("sub"),
            clients: clients.map(text),
            has_odd_client: clients.into_iter().any(is_odd),
            signed_by: key_id.as_deref().map_or(SignedBy::Unnamed, SignedBy::Key),
            issued: verified.times.issued().map_or(Issued::Unsaid, Issued::At),
            ..Revocable::default()
        };
        self.lists.check(&revocable, host)?;
        if let Some(cache) = self.cache.as_ref().filter(|_| generation.is_some()) {
            cache.change(token, |verified| verified.cleared = generation);
        }
        Ok(verified)
    }

    /// Why a token is refused that was refused before, if judging it anew would come to that.
    fn recall(
        &self,
        cache: &TokenCache,
        token: &[u8],
        now: Duration,
        allowance: &Allowance,
    ) -> Option<Refusal> {
        let refused = cache.find_refused(token)?;
        let refusal = self.recalled(&refused, now);
        if refusal.is_none() {
            cache.forget_one_refused(token);
        }
        refusal.filter(|_| allowance.repeat(self, refused.signature))
    }

    /// Why such a token is refused at that time, if that is known.
    pub(super) fn recalled(&self, refused: &Refused, now: Duration) -> Option<Refusal> {
        let refusal = refused.refusal(&self.rules, now);
        refusal.map(|refusal| self.placed(refusal))
    }

    /// Keeps with a refused token what it says, so that it is read once.
    pub(super) fn note_claimed(&self, token: &[u8], claimed: &Rc<Claimed>) {
        if let Some(cache) = &self.cache {
            cache.change_refused(token, |refused| refused.note_claimed(claimed));
        }
    }

    /// The tokens that the keys have signed which are in force, if any are remembered. None if there are no
    /// keys.
    pub(super) fn cache_in_force(&self, host: &dyn Host) -> Option<Option<&TokenCache>> {
        if let (Some(cache), Some(remote)) = (&self.cache, self.keys.remote()) {
            remote.keys(host.monotonic())?;
            cache.belong_to(remote.generation());
        }
        Some(self.cache.as_ref())
    }

    /// Whether no list revokes a token that was accepted, as far as that is known without asking them again.
    pub(super) fn is_cleared(&self, verified: &Verified, host: &dyn Host) -> bool {
        let generation = || self.lists.generation(host);
        self.lists.is_empty() || (verified.cleared.is_some() && verified.cleared == generation())
    }

    /// Whether a token with these times may be used now.
    #[inline]
    pub(super) fn is_in_time(&self, times: Times, now: Duration) -> bool {
        self.rules.hold(times, now)
    }

    /// Whether there are lists of what is revoked.
    #[inline]
    pub(super) fn has_lists(&self) -> bool {
        !self.lists.is_empty()
    }

    /// Verifies a token that is not remembered.
    fn verify_anew(
        &self,
        token: &[u8],
        now: Duration,
        allowance: &Allowance,
        host: &dyn Host,
    ) -> Result<Verified, Unaccepted> {
        let parsed = Token::parse(token, &self.form)?;
        if !self.types.accepts(parsed.header.typ.as_deref()) {
            let detail = Detail::within("/typ").and("member", Fact::Word("typ"));
            return Err(Refusal::from(TokenError::Header).because(detail).into());
        }
        let left = allowance.left();
        let said = allowance.settle(self, || self.check_signature(&parsed, allowance, host));
        let checks = left.saturating_sub(allowance.left());
        let signature = CheckedSignature::of(said, checks, self.choice.most);
        let unaccepted =
            |refusal: Refusal, refused: &dyn Fn(CheckedSignature, &Refusal) -> Refused| {
                let refusal = self.placed(refusal);
                let refused = signature.map(|signature| Box::new(refused(signature, &refusal)));
                Unaccepted { refusal, refused }
            };
        let signed_by = said.map_err(|error| unaccepted(error.into(), &Refused::unsigned))?;
        let key_id = parsed.header.key_id.as_deref();
        let key_id = key_id.filter(|_| signed_by == SigningKey::Named);
        let checked = self.rules.check(&parsed.payload, key_id, now);
        let (claims, times) = checked.map_err(|objection| {
            let claims = Compact::parse(&parsed.payload, MAX_DEPTH);
            let refusal = self.naming_issuer(objection.into(), claims.as_ref());
            unaccepted(refusal, &|signature, refusal| {
                Refused::objected(signature, &objection, refusal)
            })
        })?;
        let roles = self.roles.of(&claims).map_err(|detail| {
            let refusal = Refusal::new(&ROLES).because(detail.of_signed());
            unaccepted(refusal, &|signature, refusal| {
                Refused::unusable(signature, times, refusal)
            })
        })?;
        let edits = self.forwarding.edits(&claims);
        let mut edits = edits.map_err(|Unwritable| {
            unaccepted(TokenError::ClaimValue.into(), &|signature, refusal| {
                Refused::unusable(signature, times, refusal)
            })
        })?;
        if let Some(name) = self.forwarding.payload() {
            edits.push(Edit::Set(name.clone(), payload(token)?));
        }
        let is_bound = self.binding.concerns(&claims);
        let principal = Principal {
            kind: CredentialKind::Jwt,
            authority: Rc::clone(&self.name),
            attributes: claims,
            roles,
        };
        let edits = edits.into();
        Ok(Verified {
            accepted: Rc::new(AcceptedToken { principal, edits }),
            signed_by,
            is_bound,
            times,
            cleared: None,
            met: 0,
            words: None,
        })
    }

    fn check_signature(
        &self,
        token: &Token<'_>,
        allowance: &Allowance,
        host: &dyn Host,
    ) -> Result<SigningKey, TokenError> {
        let algorithm = token.header.algorithm;
        let keys = self.keys.keys(host).ok_or(TokenError::NoKeys)?;
        if !self.allows(algorithm) {
            return Err(TokenError::Algorithm);
        }
        let key_id = token.header.key_id.as_deref();
        if key_id.is_none() && self.choice.naming == Naming::Required {
            return Err(TokenError::KeyId);
        }
        let candidates = self.choice.candidates(&keys, algorithm, key_id);
        let mut candidates = candidates.peekable();
        if candidates.peek().is_none() {
            // The provider may have published the key since.
            if let Some(remote) = self.keys.remote() {
                remote.request_refresh(host.monotonic());
            }
            let of_kind = keys.iter().any(|key| key.may_check(algorithm, None));
            let error = if of_kind {
                TokenError::Key
            } else {
                TokenError::Algorithm
            };
            return Err(error);
        }
        let Token {
            signed, signature, ..
        } = token;
        for (tried, key) in candidates.enumerate() {
            if tried >= self.choice.most || !allowance.take() {
                return Err(TokenError::Untried);
            }
            match key
                .verifying
                .verify(algorithm, signed, signature, self.checker, host)
            {
                SignatureResult::Valid => return Ok(SigningKey::of(key)),
                SignatureResult::Invalid => {}
                SignatureResult::Impossible => return Err(TokenError::Unverifiable),
            }
        }
        Err(TokenError::Signature)
    }
}

/// Why a token is not accepted, and what is remembered of that.
struct Unaccepted {
    refusal: Refusal,
    refused: Option<Box<Refused>>,
}

/// Nothing is remembered of it.
impl From<Refusal> for Unaccepted {
    fn from(refusal: Refusal) -> Self {
        Self {
            refusal,
            refused: None,
        }
    }
}

/// Nor of this.
impl From<TokenError> for Unaccepted {
    fn from(error: TokenError) -> Self {
        Refusal::from(error).into()
    }
}

/// The payload as it stands in the token: base64url already.
fn payload(token: &[u8]) -> Result<HeaderValue, TokenError> {
    let payload = token.split(|b| *b == b'.').nth(1).unwrap_or_default();
    HeaderValue::parse(without_padding(payload)).map_err(|_| TokenError::Format)
}
