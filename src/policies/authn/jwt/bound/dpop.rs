//! Tokens that are bound to a key: DPoP, RFC 9449.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac_sha256::Hash;
use jwt_simple::reexports::ct_codecs;

use super::super::signature::SignatureResult;
use super::nonce::{Keyless, KnownNonce};
use super::proof::{Proof, ProofClaims};
use super::proof_key::ProofSignature;
use super::refusals::{
    ALGORITHM, CELLS, CONTENDED, EXPIRED, FULL, ISSUED_IN_FUTURE, KEY, KEY_MISMATCH, METHOD,
    NO_CHECKER, NO_NONCE, NO_PROOF, NO_SECRET, OTHER_NONCE, SEVERAL_PROOFS, SIGNATURE, TOKEN,
    USED_BEFORE,
};
use super::replay::{ReplayTable, Use};
use super::settings::ProofRules;
use super::target;
use portcullis_exchange::exchange::Exchange;
use portcullis_exchange::host::{CellUnavailable, Host};
use portcullis_exchange::meter::{Event, Timing, micros};
use portcullis_exchange::refusal::{Fact, Refusal};
use portcullis_wire::headers::{HeaderName, HeaderValue};

/// Judges the proofs that come with the tokens of one authority.
pub(super) struct ProofChecker {
    pub(super) rules: ProofRules,
    pub(super) replay: ReplayTable,
    pub(super) fields: ProofFields,
}

/// The header fields of RFC 9449.
pub(super) struct ProofFields {
    /// With a proof.
    pub(super) proof: HeaderName,
    /// With a nonce for the next one.
    pub(super) nonce: HeaderName,
}

/// Until which second a proof is accepted.
struct Until(f64);

/// The time by which proofs are judged: a request may have waited since it came, and what was used before be
/// forgotten by now.
#[expect(
    clippy::disallowed_methods,
    reason = "a proof says by a date when it was made"
)]
pub(super) fn now(exchange: &Exchange<'_>, host: &dyn Host) -> Duration {
    exchange.arrived.max(host.wall_clock())
}

impl ProofChecker {
    /// Judges the proof that comes with a token, whose `cnf` has that thumbprint. What is cheap is asked first;
    /// a proof that is good is used up.
    pub(super) fn check(
        &self,
        thumbprint: &str,
        token: &[u8],
        exchange: &mut Exchange<'_>,
        host: &dyn Host,
    ) -> Result<(), Refusal> {
        let began = host.monotonic();
        let checked = self.check_proof(thumbprint, token, exchange, host);
        let took = host.monotonic().saturating_sub(began);
        host.observe(Timing::ProofVerification.histogram(), micros(took));
        checked
    }

    fn check_proof(
        &self,
        thumbprint: &str,
        token: &[u8],
        exchange: &mut Exchange<'_>,
        host: &dyn Host,
    ) -> Result<(), Refusal> {
        let request = exchange.request;
        let mut fields = request.headers.all(self.fields.proof.as_str());
        let proof = match (fields.next(), fields.next()) {
            (None, _) => return Err(Refusal::new(&NO_PROOF)),
            (Some(one), None) => one,
            (Some(_), Some(_)) => return Err(Refusal::new(&SEVERAL_PROOFS)),
        };
        let proof = Proof::parse(proof)?;
        if !self.rules.algorithms.contains(&proof.algorithm) {
            return Err(Refusal::new(&ALGORITHM));
        }
        let key = proof.key()?;
        let own = key.thumbprint().ok_or_else(|| Refusal::new(&KEY))?;
        if !ct_codecs::verify(own.as_bytes(), thumbprint.as_bytes()) {
            return Err(Refusal::new(&KEY_MISMATCH));
        }
        let claims = proof.claims()?;
        if claims.method.as_bytes() != request.headers.method().as_bytes() {
            return Err(Refusal::new(&METHOD));
        }
        let scheme = exchange.facts.connection.scheme(host);
        if !target::fits(claims.uri, &request, scheme, &self.rules.origins) {
            return Err(target::expected(&request, scheme, &self.rules.origins));
        }
        let hash = URL_SAFE_NO_PAD.encode(Hash::hash(token));
        if !ct_codecs::verify(hash.as_bytes(), claims.token.as_bytes()) {
            return Err(Refusal::new(&TOKEN));
        }
        let now = now(exchange, host);
        let known = self.check_nonce(&claims, now, host)?;
        let until = match known {
            // RFC 9449 §4.3 (11): this clock says when it was made, whatever the client's does.
            Some(known) => Until(known.until as f64),
            None => self.check_time(&claims, now)?,
        };
        // There is one proof in a request, whoever judges it.
        if exchange.facts.proofs.is_forged {
            return Err(Refusal::new(&SIGNATURE));
        }
        let signature = ProofSignature {
            algorithm: proof.algorithm,
            signed: proof.signed,
            signature: &proof.signature,
        };
        match key.verify(&signature, self.rules.backend, host) {
            None => return Err(Refusal::new(&KEY)),
            Some(SignatureResult::Valid) => {}
            Some(SignatureResult::Invalid) => {
                exchange.facts.proofs.is_forged = true;
                return Err(Refusal::new(&SIGNATURE));
            }
            Some(SignatureResult::Impossible) => return Err(Refusal::new(&NO_CHECKER)),
        }
        self.use_up(thumbprint, &claims, &until, now, exchange, host)?;
        if known.is_some_and(|known| known.is_old) {
            exchange.facts.proofs.next_nonce = self.nonce(now, host).and_then(Result::ok);
        }
        Ok(())
    }

    /// What the nonce of a proof is worth; none where the document asks for none.
    fn check_nonce(
        &self,
        claims: &ProofClaims<'_>,
        now: Duration,
        host: &dyn Host,
    ) -> Result<Option<KnownNonce>, Refusal> {
        let Some(nonces) = &self.rules.nonces else {
            return Ok(None);
        };
        let nonce = claims.nonce.ok_or_else(|| Refusal::new(&NO_NONCE))?;
        let (authority, seed) = (&self.rules.authority, self.replay.seed());
        let known = nonces.judge(nonce, authority, now, seed, host);
        let known = known.map_err(|Keyless| Refusal::new(&NO_SECRET))?;
        let known = known.ok_or_else(|| Refusal::new(&OTHER_NONCE))?;
        Ok(Some(known))
    }

    /// Whether a proof was made lately, by the clock of who made it.
    fn check_time(&self, claims: &ProofClaims<'_>, now: Duration) -> Result<Until, Refusal> {
        let ProofRules { lifetime, skew, .. } = &self.rules;
        let (now, skew) = (now.as_secs_f64(), skew.as_secs_f64());
        let until = claims.issued + lifetime.as_secs_f64() + skew;
        let seconds = |by: f64| Fact::Number(by.ceil() as u64);
        let refuse = |reason, by| {
            let refusal = Refusal::new(reason).and("claim", Fact::Word("iat"));
            refusal.and("seconds", seconds(by))
        };
        if now > until {
            return Err(refuse(&EXPIRED, now - until));
        }
        if claims.issued > now + skew {
            return Err(refuse(&ISSUED_IN_FUTURE, claims.issued - now - skew));
        }
        Ok(Until(until))
    }

    fn use_up(
        &self,
        thumbprint: &str,
        claims: &ProofClaims<'_>,
        until: &Until,
        now: Duration,
        exchange: &mut Exchange<'_>,
        host: &dyn Host,
    ) -> Result<(), Refusal> {
        let mark = self.replay.mark(thumbprint, claims.id, host);
        let mark = mark.map_err(|CellUnavailable| Refusal::new(&CELLS))?;
        let own = self.replay.own(mark);
        if exchange.facts.proofs.has(own) {
            return Ok(());
        }
        // Saturates. A second more: it stays for as long as the proof would be accepted.
        let until = (until.0.ceil() as u32).saturating_add(1);
        let now = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
        let reason = match self.replay.use_up(mark, until, now, host) {
            Use::First => {
                exchange.facts.proofs.note(own);
                return Ok(());
            }
            Use::Again => &USED_BEFORE,
            Use::Full => {
                host.count(Event::ProofsFull.counter());
                &FULL
            }
            Use::Contended => {
                host.count(Event::ProofsContended.counter());
                &CONTENDED
            }
            Use::Unavailable => &CELLS,
        };
        Err(Refusal::new(reason))
    }

    /// The nonce that clients are told; none where there are none.
    fn nonce(&self, now: Duration, host: &dyn Host) -> Option<Result<HeaderValue, Keyless>> {
        let nonces = self.rules.nonces.as_ref()?;
        let (authority, seed) = (&self.rules.authority, self.replay.seed());
        Some(nonces.current(authority, now, seed, host))
    }

    /// The refusal of a proof, with a nonce for the next one: RFC 9449 §8. Without a key for it nothing can come
    /// of asking for another.
    pub(super) fn with_nonce(&self, refusal: Refusal, now: Duration, host: &dyn Host) -> Refusal {
        if refusal.code().status != 401 {
            return refusal;
        }
        match self.nonce(now, host) {
            None => refusal,
            Some(Ok(nonce)) => refusal.with_header(self.fields.nonce.clone(), nonce),
            Some(Err(Keyless)) => Refusal {
                reason: &NO_SECRET,
                ..refusal
            },
        }
    }
}
