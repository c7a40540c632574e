//! Which credentials of one kind a route asks for: one of several, or each of them.

use super::challenge::Challenges;
use super::kindred::{Kindred, check_issuers};
use super::places::{Places, Stray};
use super::{Authenticator, Heard, NotAccepted};
use portcullis_document::{Fields, Problems};
use portcullis_exchange::exchange::Exchange;
use portcullis_exchange::host::Host;
use portcullis_exchange::policy::AskedCredentials;
use portcullis_exchange::refusal::Refusal;

/// The authorities of a route, and how many of them must accept a credential.
pub(super) struct Combination<A> {
    needed: Needed,
    presence: Presence,
    kindred: Kindred<A>,
    /// Where all of them look for credentials.
    places: Places,
}

/// How many of the members must accept a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Needed {
    /// One of them.
    Any,
    /// Each of them.
    All,
}

/// Whether a request without a credential may pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    Required,
    Optional,
}

impl Presence {
    /// Reads `optional`.
    pub(super) fn read(fields: &mut Fields<'_>, problems: &mut Problems) -> Option<Self> {
        fields.or_default(
            "optional",
            Presence::Required,
            problems,
            |node, problems| {
                Some(if node.boolean(problems)? {
                    Presence::Optional
                } else {
                    Presence::Required
                })
            },
        )
    }
}

impl<A: Authenticator> Combination<A> {
    pub(super) fn new(
        needed: Needed,
        presence: Presence,
        members: Vec<A>,
        challenges: Challenges,
    ) -> Self {
        let kindred = Kindred::new(members, challenges);
        Self {
            needed,
            presence,
            places: Places::of(kindred.locations()),
            kindred,
        }
    }

    /// Whose credentials it asks for.
    pub(super) fn asked(&self) -> AskedCredentials {
        AskedCredentials {
            authorities: self.members().iter().map(A::authority).collect(),
            roles: self.kindred.role_sources().collect(),
            needs_all: self.needed == Needed::All,
            is_optional: self.presence == Presence::Optional,
        }
    }

    pub(super) fn members(&self) -> &[A] {
        self.kindred.members()
    }

    /// Whether a request without a credential may pass.
    pub(super) fn presence(&self) -> Presence {
        self.presence
    }

    /// Judges the credentials of a request.
    pub(super) fn judge(
        &self,
        exchange: &mut Exchange<'_>,
        host: &dyn Host,
    ) -> Result<(), NotAccepted> {
        let request = exchange.request;
        let found = self.kindred.presented(&request, host)?;
        match (self.places.stray(&request), self.presence, found.len()) {
            (None | Some((Stray::Empty, _)), Presence::Required, 0) => {
                return Err(self.missing().into());
            }
            (None, Presence::Optional, 0) => return Ok(()),
            (None, _, _) => {}
            (Some((_, place)), _, _) => return Err(self.kindred.resembling(place).into()),
        }
        match self.needed {
            Needed::All if found.len() < self.members().len() => Err(self.missing().into()),
            // The first that is not accepted ends it.
            Needed::All => {
                if found.len() > 1 {
                    check_issuers(&found, exchange)?;
                }
                let judged = found
                    .iter()
                    .map(|presented| presented.judge(exchange, host));
                let accepted = judged.collect::<Result<Vec<_>, NotAccepted>>()?;
                accepted.into_iter().for_each(|each| each.enter(exchange));
                Ok(())
            }
            Needed::Any => {
                let (_, accepted) = self.kindred.meet_any(&found, exchange, host)?;
                accepted.enter(exchange);
                Ok(())
            }
        }
    }

    /// Tells the members what has been asked.
    pub(super) fn heard(&self, answer: &Heard<'_>, exchange: &mut Exchange<'_>, host: &dyn Host) {
        self.kindred.heard(answer, exchange, host);
    }

    /// Why a request without a credential is refused.
    pub(super) fn missing(&self) -> Refusal {
        self.kindred.missing()
    }
}
