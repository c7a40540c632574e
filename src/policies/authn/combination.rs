//! Which credentials a route asks for: one of several, or each of them.

use super::Authenticator;
use super::challenge::Challenges;
use super::location::{LocationError, PresentedCredential};
use super::places::{Places, Stray};
use portcullis_exchange::exchange::Exchange;
use portcullis_exchange::host::Host;
use portcullis_exchange::refusal::Refusal;

/// The authorities of a route, and how many of them must accept a credential.
pub(super) struct Combination<A> {
    needed: Needed,
    presence: Presence,
    members: Vec<A>,
    /// Where all of them look for credentials.
    places: Places,
    challenges: Challenges,
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

impl<A: Authenticator> Combination<A> {
    pub(super) fn new(
        needed: Needed,
        presence: Presence,
        members: Vec<A>,
        challenges: Challenges,
    ) -> Self {
        Self {
            needed,
            presence,
            places: Places::of(members.iter().map(A::locations)),
            members,
            challenges,
        }
    }

    pub(super) fn members(&self) -> &[A] {
        &self.members
    }

    /// Judges the credentials of a request.
    pub(super) fn judge(
        &self,
        exchange: &mut Exchange<'_>,
        host: &dyn Host,
    ) -> Result<(), Refusal> {
        let request = exchange.request;
        let mut found = Vec::with_capacity(self.members.len());
        for member in &self.members {
            match member.extract(&request) {
                Ok(credential) => found.push((member, credential)),
                Err(LocationError::Missing) => {}
                Err(LocationError::Repeated) => return Err(self.several()),
            }
        }
        match (self.places.stray(&request), self.presence, found.len()) {
            (None | Some((Stray::Empty, _)), Presence::Required, 0) => return Err(self.missing()),
            (None, Presence::Optional, 0) => return Ok(()),
            (None, _, _) => {}
            (Some((_, place)), _, _) => {
                return Err(self.challenges.attach(A::resembling(place)));
            }
        }
        match self.needed {
            Needed::All if found.len() < self.members.len() => Err(self.missing()),
            Needed::All => meet_all(&found, exchange, host),
            Needed::Any => self.meet_any(&found, exchange, host),
        }
    }

    fn missing(&self) -> Refusal {
        self.challenges.attach(Refusal::new(A::MISSING))
    }

    fn several(&self) -> Refusal {
        self.challenges.attach(Refusal::new(A::SEVERAL))
    }

    fn meet_any(
        &self,
        found: &[(&A, PresentedCredential<'_>)],
        exchange: &mut Exchange<'_>,
        host: &dyn Host,
    ) -> Result<(), Refusal> {
        let Some(((_, credential), others)) = found.split_first() else {
            return Err(self.missing());
        };
        // Of two credentials in two places one would reach the service unchecked.
        if others.iter().any(|(_, other)| !other.is_same(credential)) {
            return Err(self.several());
        }
        let mut all = found.iter().map(|(member, _)| *member);
        let attempt = A::attempt(credential.token(), &mut all);
        let mut refusal: Option<Refusal> = None;
        for (member, _) in found {
            if found.len() > 1 && !member.may_have_issued(&attempt) {
                continue;
            }
            match member.authenticate(credential, &attempt, exchange, host) {
                Ok(()) => return Ok(()),
                // A credential that was accepted and does not suffice says more than one that was not.
                Err(next)
                    if refusal
                        .as_ref()
                        .is_none_or(|last| last.code().status == 401) =>
                {
                    refusal = Some(next);
                }
                Err(_) => {}
            }
        }
        Err(refusal.unwrap_or_else(|| {
            let all: Vec<&A> = found.iter().map(|(member, _)| *member).collect();
            let refusal = A::not_issued(&all, &attempt, exchange);
            self.challenges.attach(refusal)
        }))
    }
}

/// Meets each of the members. A credential of another issuer is refused before any is judged; the first
/// that is not accepted ends it.
fn meet_all<A: Authenticator>(
    found: &[(&A, PresentedCredential<'_>)],
    exchange: &mut Exchange<'_>,
    host: &dyn Host,
) -> Result<(), Refusal> {
    if found.len() > 1 {
        let mut last: Option<(&[u8], A::Attempt<'_>)> = None;
        for (member, credential) in found {
            let bytes = credential.token();
            let same = last.take().filter(|(last, _)| *last == bytes);
            let (_, attempt) = same.unwrap_or_else(|| (bytes, of_one(*member, bytes)));
            if !member.may_have_issued(&attempt) {
                let refusal = A::not_issued(&[*member], &attempt, exchange);
                return Err(member.challenge().attach(refusal));
            }
            last = Some((bytes, attempt));
        }
    }
    found.iter().try_for_each(|(member, credential)| {
        let attempt = of_one(*member, credential.token());
        member.authenticate(credential, &attempt, exchange, host)
    })
}

fn of_one<'c, A: Authenticator>(member: &A, credential: &'c [u8]) -> A::Attempt<'c> {
    A::attempt(credential, &mut std::iter::once(member))
}
