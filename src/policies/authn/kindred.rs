//! The credentials of one kind that a route asks for: each is looked for, and judged beside the others of
//! its kind.

use std::rc::Rc;

use super::challenge::Challenges;
use super::location::{LocationError, Locations};
use super::presented::PresentedCredential;
use super::{AcceptedCredential, Authenticator, Heard, NotAccepted};
use portcullis_exchange::exchange::{Exchange, Request};
use portcullis_exchange::host::Host;
use portcullis_exchange::policy::RoleSource;
use portcullis_exchange::refusal::Refusal;

/// The authorities of one kind.
pub(super) struct Kindred<A> {
    members: Vec<A>,
    /// Which of what stands where they look is for this kind, where another looks there too.
    takes: Option<fn(&[u8]) -> bool>,
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
            takes: None,
            challenges,
        }
    }

    /// Leaves what is not such a credential to another kind.
    pub(super) fn take_only(&mut self, takes: fn(&[u8]) -> bool) {
        self.takes = Some(takes);
    }

    /// Whether it leaves to another kind what has another form.
    pub(super) fn is_told_by_form(&self) -> bool {
        self.takes.is_some()
    }

    /// Tells each of what has been asked.
    pub(super) fn heard(&self, answer: &Heard<'_>, exchange: &mut Exchange<'_>, host: &dyn Host) {
        let members = self.members.iter();
        members.for_each(|each| each.heard(answer, exchange, host));
    }

    pub(super) fn members(&self) -> &[A] {
        &self.members
    }

    /// Which roles their callers may have.
    pub(super) fn role_sources(&self) -> impl Iterator<Item = Rc<dyn RoleSource>> {
        let members = self.members.iter();
        members.filter_map(|member| member.roles().source())
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
                Ok(credential) if self.takes.is_some_and(|takes| !takes(credential.token())) => {}
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
    ) -> Result<(usize, AcceptedCredential), NotAccepted> {
        let Some((Presented { credential, .. }, others)) = found.split_first() else {
            return Err(self.missing().into());
        };
        // Of two credentials in two places one would reach the service unchecked.
        if others
            .iter()
            .any(|other| !other.credential.is_same(credential))
        {
            return Err(self.several().into());
        }
        let mut all = found.iter().map(|each| each.member);
        let attempt = A::attempt(credential.token(), &mut all);
        let mut refusal: Option<Refusal> = None;
        let mut unknown = None;
        for Presented { at, member, .. } in found {
            if found.len() > 1 && !member.may_have_issued(&attempt) {
                continue;
            }
            let (edits, noted) = (exchange.edits.len(), exchange.shadow.len());
            match member.authenticate(credential, &attempt, exchange, host) {
                Ok(accepted) if accepted.principal.is_some() => return Ok((*at, accepted)),
                // Another may know whose it is: then nothing of this is left.
                Ok(accepted) => {
                    let edits = exchange.edits.split_off(edits);
                    let noted = exchange.shadow.split_off(noted);
                    unknown = unknown.or(Some((*at, accepted, edits, noted)));
                }
                Err(asks @ NotAccepted::Asks(_)) => return Err(asks),
                Err(NotAccepted::Refused(next))
                    if refusal
                        .as_ref()
                        .is_none_or(|last| A::outweighs(&next, last)) =>
                {
                    refusal = Some(next);
                }
                Err(NotAccepted::Refused(_)) => {}
            }
        }
        if let Some((at, accepted, edits, noted)) = unknown {
            exchange.edits.extend(edits);
            exchange.shadow.extend(noted);
            return Ok((at, accepted));
        }
        let refusal = refusal.unwrap_or_else(|| {
            let all: Vec<&A> = found.iter().map(|each| each.member).collect();
            let refusal = A::not_issued(&all, &attempt, exchange);
            self.challenges.attach(refusal)
        });
        Err(refusal.into())
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
    ) -> Result<AcceptedCredential, NotAccepted> {
        let attempt = of_one(self.member, self.credential.token());
        self.member
            .authenticate(&self.credential, &attempt, exchange, host)
    }
}

fn of_one<'c, A: Authenticator>(member: &A, credential: &'c [u8]) -> A::Attempt<'c> {
    A::attempt(credential, &mut std::iter::once(member))
}
