//! The credentials of one kind that a route asks for: each is looked for, and judged beside the others of
//! its kind.

use super::challenge::Challenges;
use super::location::{LocationError, Locations, PresentedCredential};
use super::{AcceptedCredential, Authenticator};
use portcullis_exchange::exchange::{Exchange, Request};
use portcullis_exchange::host::Host;
use portcullis_exchange::refusal::Refusal;

/// The authorities of one kind.
pub(super) struct Kindred<A> {
    members: Vec<A>,
    /// What a client is told that is to present one of any of them.
    challenges: Challenges,
}

/// A credential that a request presents to one of the members.
pub(super) struct Presented<'r, A> {
    /// The member's place among its kind.
    pub(super) at: usize,
    pub(super) member: &'r A,
    credential: PresentedCredential<'r>,
}

impl<A: Authenticator> Kindred<A> {
    pub(super) fn new(members: Vec<A>, challenges: Challenges) -> Self {
        Self {
            members,
            challenges,
        }
    }

    pub(super) fn members(&self) -> &[A] {
        &self.members
    }

    /// Where all of them look for credentials.
    pub(super) fn locations(&self) -> impl Iterator<Item = &Locations> {
        self.members.iter().map(A::locations)
    }

    /// What a request presents to each of them.
    pub(super) fn presented<'r>(
        &'r self,
        request: &Request<'r>,
        host: &dyn Host,
    ) -> Result<Vec<Presented<'r, A>>, Refusal> {
        let mut found = Vec::with_capacity(self.members.len());
        for (at, member) in self.members.iter().enumerate() {
            match member.extract(request, host) {
                Ok(credential) => found.push(Presented {
                    at,
                    member,
                    credential,
                }),
                Err(LocationError::Missing) => {}
                Err(LocationError::Repeated) => return Err(self.several()),
            }
        }
        Ok(found)
    }

    /// Why a request without a credential is refused.
    pub(super) fn missing(&self) -> Refusal {
        self.challenges.attach(Refusal::new(A::MISSING))
    }

    /// Why what resembles a credential at that place is.
    pub(super) fn resembling(&self, place: &str) -> Refusal {
        self.challenges.attach(A::resembling(place))
    }

    fn several(&self) -> Refusal {
        self.challenges.attach(Refusal::new(A::SEVERAL))
    }

    /// Has one of the members accept what was presented. The place of the one that does comes with it.
    pub(super) fn meet_any(
        &self,
        found: &[Presented<'_, A>],
        exchange: &mut Exchange<'_>,
        host: &dyn Host,
    ) -> Result<(usize, AcceptedCredential), Refusal> {
        let Some((Presented { credential, .. }, others)) = found.split_first() else {
            return Err(self.missing());
        };
        // Of two credentials in two places one would reach the service unchecked.
        if others
            .iter()
            .any(|other| !other.credential.is_same(credential))
        {
            return Err(self.several());
        }
        let mut all = found.iter().map(|each| each.member);
        let attempt = A::attempt(credential.token(), &mut all);
        let mut refusal: Option<Refusal> = None;
        for Presented { at, member, .. } in found {
            if found.len() > 1 && !member.may_have_issued(&attempt) {
                continue;
            }
            match member.authenticate(credential, &attempt, exchange, host) {
                Ok(accepted) => return Ok((*at, accepted)),
                Err(next)
                    if refusal
                        .as_ref()
                        .is_none_or(|last| A::outweighs(&next, last)) =>
                {
                    refusal = Some(next);
                }
                Err(_) => {}
            }
        }
        Err(refusal.unwrap_or_else(|| {
            let all: Vec<&A> = found.iter().map(|each| each.member).collect();
            let refusal = A::not_issued(&all, &attempt, exchange);
            self.challenges.attach(refusal)
        }))
    }
}

/// Refuses a credential of another issuer than the one that it is presented to: before any is judged.
pub(super) fn check_issuers<A: Authenticator>(
    found: &[Presented<'_, A>],
    exchange: &Exchange<'_>,
) -> Result<(), Refusal> {
    let mut last: Option<(&[u8], A::Attempt<'_>)> = None;
    for Presented {
        member, credential, ..
    } in found
    {
        let bytes = credential.token();
        let same = last.take().filter(|(last, _)| *last == bytes);
        let (_, attempt) = same.unwrap_or_else(|| (bytes, of_one(*member, bytes)));
        if !member.may_have_issued(&attempt) {
            let refusal = A::not_issued(&[*member], &attempt, exchange);
            return Err(member.challenge().attach(refusal));
        }
        last = Some((bytes, attempt));
    }
    Ok(())
}

impl<A: Authenticator> Presented<'_, A> {
    /// Has the member judge what was presented to it, whatever the others say.
    pub(super) fn judge(
        &self,
        exchange: &mut Exchange<'_>,
        host: &dyn Host,
    ) -> Result<AcceptedCredential, Refusal> {
        let attempt = of_one(self.member, self.credential.token());
        self.member
            .authenticate(&self.credential, &attempt, exchange, host)
    }
}

fn of_one<'c, A: Authenticator>(member: &A, credential: &'c [u8]) -> A::Attempt<'c> {
    A::attempt(credential, &mut std::iter::once(member))
}
