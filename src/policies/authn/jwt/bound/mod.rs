//! Tokens that are of use to nobody but whom they were issued to: bound to a client certificate (RFC 8705) or
//! to a key (DPoP, RFC 9449), which their sender shows with every request.
//!
//! What a token is bound to stands in its `cnf`. Whether its sender shows that is judged at every request, after
//! the token has been accepted, whether or not it was remembered: it is the request that shows it.
//!
//! INVARIANT: a token that says it is bound is never taken for one that is not, unless the document says `off`.

mod authority;
mod certificate;
mod challenges;
mod confirmation;
mod dpop;
mod nonce;
mod pages;
mod proof;
mod proof_key;
pub mod refusals;
mod replay;
mod settings;
mod target;
#[cfg(test)]
mod tests;
mod told;
mod written;

use std::time::Duration;

use self::certificate::CertificateBinding;
use self::confirmation::{Confirmation, Unreadable};
use self::dpop::ProofChecker;
use self::refusals::{CONFIRMATION, CONFIRMATION_UNKNOWN, SCHEME, UNBOUND};
use crate::authn::left_out::HAS_CREDENTIALS;
use crate::authn::presented::AuthScheme;
use crate::authn::revocation::UsedLists;
use portcullis_exchange::exchange::{Edit, Exchange, Response};
use portcullis_exchange::host::Host;
use portcullis_exchange::refusal::{Fact, Refusal};
use portcullis_exchange::section::Variable;
use portcullis_wire::headers::{HeaderName, HeaderValue};
use portcullis_wire::json::compact::Compact;

pub(in crate::authn) use self::authority::TokenAuthority;
use self::challenges::{ProofAudience, ProofChallenges, is_of_proof, proof_challenge, proof_parts};
pub(in crate::authn) use self::told::{TokenChallenges, challenge_of, challenges_of};
pub(in crate::authn) use super::signature::SignatureBackend;

/// What an authority asks of bound tokens, and whether its tokens have to be bound.
pub(in crate::authn) struct Binding {
    /// Whether a token has to be bound to one or the other.
    is_required: bool,
    certificate: CertificateBinding,
    proofs: ProofChecker,
    /// Whether the document speaks of proofs: then clients are told that they would do.
    tells_of_proofs: bool,
}

/// Whether something that a token may be bound to is asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::authn) enum BindingMode {
    /// Every token has to be bound to it.
    Required,
    /// Those that are have to show it.
    #[default]
    IfBound,
    /// Nobody asks.
    Off,
}

/// A token as it was sent.
pub(in crate::authn) struct SentToken<'t> {
    pub(in crate::authn) token: &'t [u8],
    pub(in crate::authn) scheme: AuthScheme,
    /// The lists of what is revoked that its authority names: they revoke certificates as well.
    pub(in crate::authn) lists: &'t UsedLists,
}

/// What came of asking a sender for what a token is bound to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::authn) enum Shown {
    /// It is bound to nothing that is asked for.
    Nothing,
    /// A certificate.
    Certificate,
    /// A proof, perhaps with a certificate.
    Proof,
}

/// Whose tokens they are, and what is said elsewhere and holds here too.
pub(in crate::authn) struct OfAuthority {
    pub(in crate::authn) authority: TokenAuthority,
    pub(in crate::authn) clock_skew: Duration,
    pub(in crate::authn) backend: SignatureBackend,
}

impl Binding {
    /// Whether tokens may come by the scheme `DPoP`.
    pub(in crate::authn) fn takes_proofs(&self) -> bool {
        HAS_CREDENTIALS && self.proofs.rules.mode != BindingMode::Off
    }

    /// Whether nobody is asked for anything.
    pub(in crate::authn) fn is_off(&self) -> bool {
        self.certificate.mode == BindingMode::Off && !self.takes_proofs()
    }

    /// Whether no token comes by another scheme.
    pub(in crate::authn) fn needs_proofs(&self) -> bool {
        self.proofs.rules.mode == BindingMode::Required
    }

    /// The algorithms of proofs as clients are told of them; none if the document does not speak of proofs.
    pub(in crate::authn) fn told_algorithms(&self) -> Option<String> {
        let tells = HAS_CREDENTIALS && self.tells_of_proofs;
        tells.then(|| self.algorithms())
    }

    /// The algorithms of proofs, with blanks between them.
    pub(in crate::authn) fn algorithms(&self) -> String {
        self.proofs.rules.algorithm_names()
    }

    /// Whether every token has to be bound to something.
    pub(in crate::authn) fn is_demanded(&self) -> bool {
        let modes = [self.certificate.mode, self.proofs.rules.mode];
        self.is_required || modes.contains(&BindingMode::Required)
    }

    /// Whether something is asked of who sends a token with these claims.
    pub(in crate::authn) fn concerns(&self, claims: &Compact) -> bool {
        let authority = &self.proofs.rules.authority;
        let is_said =
            || authority.confirmation(claims).is_some() || self.is_said_to_need_key(claims);
        !self.is_off() && (self.is_demanded() || is_said())
    }

    /// Whether a token with these claims is for proofs alone, whatever its `cnf` says.
    fn is_said_to_need_key(&self, claims: &Compact) -> bool {
        self.takes_proofs() && self.proofs.rules.authority.says_key(claims)
    }

    /// The fields of a request that are judged here.
    pub(in crate::authn) fn judged_headers(&self) -> impl Iterator<Item = HeaderName> {
        let proof = &self.proofs.fields.proof;
        let proof = self.takes_proofs().then(|| proof.clone());
        proof.into_iter().chain(self.certificate.header().cloned())
    }

    /// The variables of the environment that are needed.
    pub(in crate::authn) fn variable(&self, place: &str) -> Option<Variable> {
        self.proofs.rules.nonces.as_ref()?.variable(place)
    }

    /// Whether who sends an accepted token shows what it is bound to.
    pub(in crate::authn) fn check(
        &self,
        sent: &SentToken<'_>,
        claims: &Compact,
        exchange: &mut Exchange<'_>,
        host: &dyn Host,
    ) -> Result<Shown, Refusal> {
        let by_proof = sent.scheme == AuthScheme::Dpop && self.takes_proofs();
        if !by_proof && !self.concerns(claims) {
            return Ok(Shown::Nothing);
        }
        let (certificates, proofs) = (self.certificate.mode, self.proofs.rules.mode);
        let confirmation = self.proofs.rules.authority.confirmation(claims);
        let confirmation = Confirmation::of(confirmation);
        let confirmation = confirmation.map_err(|Unreadable| Refusal::new(&CONFIRMATION))?;
        if !HAS_CREDENTIALS {
            // Nothing here can check it.
            return Err(Refusal::new(&CONFIRMATION_UNKNOWN));
        }
        match (confirmation.certificate, confirmation.key) {
            (None, None) if confirmation.is_there => {
                return Err(Refusal::new(&CONFIRMATION_UNKNOWN));
            }
            (None, None) if self.is_required => return Err(Refusal::new(&UNBOUND)),
            (None, _) if certificates == BindingMode::Required => {
                return Err(unbound("x5t#S256"));
            }
            (_, None)
                if by_proof
                    || proofs == BindingMode::Required
                    || self.is_said_to_need_key(claims) =>
            {
                return Err(unbound("jkt"));
            }
            _ => {}
        }
        let mut shown = Shown::Nothing;
        if let Some(thumbprint) = confirmation.certificate
            && certificates != BindingMode::Off
        {
            self.certificate
                .check(thumbprint, sent.lists, &exchange.request, host)?;
            shown = Shown::Certificate;
        }
        if let Some(thumbprint) = confirmation.key
            && proofs != BindingMode::Off
        {
            let now = dpop::now(exchange, host);
            let checked = match by_proof {
                false => Err(Refusal::new(&SCHEME)),
                true => self.proofs.check(thumbprint, sent.token, exchange, host),
            };
            let with_nonce = |refusal| self.proofs.with_nonce(refusal, now, host);
            checked.map_err(with_nonce)?;
            shown = Shown::Proof;
        }
        Ok(shown)
    }

    /// Takes out of a request what was shown, if the token is taken out as well.
    pub(in crate::authn) fn strip(&self, shown: Shown, edits: &mut Vec<Edit>) {
        if shown == Shown::Proof {
            edits.push(Edit::Remove(self.proofs.fields.proof.clone()));
        }
    }
}

fn unbound(member: &'static str) -> Refusal {
    Refusal::new(&UNBOUND).and("member", Fact::Word(member))
}

/// Tells a client the nonce that it should use from now on: RFC 9449 §8.2. Nobody keeps such a response.
pub(in crate::authn) fn tell_nonce(response: &mut Response<'_>) {
    let Some(nonce) = response.facts.proofs.next_nonce.take() else {
        return;
    };
    let names = ["dpop-nonce", "cache-control"].map(|name| HeaderName::parse(name).ok());
    let no_store = HeaderValue::parse(b"no-store").ok();
    let values = [Some(nonce), no_store];
    for (name, value) in names.into_iter().zip(values) {
        response
            .edits
            .extend(name.zip(value).map(|(name, value)| Edit::Set(name, value)));
    }
}
